//! What a decoder knows beside the bytes: whose packets it reads, of which version and of what
//! size.
#![cfg(feature = "bytes")]

use bytes::BytesMut;
use mqtt_proto::{
    DecodeErrorKind::{
        ConnectExpected, DupOnQoS0, FixedHeaderFlags, PacketTooLarge, QoS3, ReservedPacketType,
        VarIntNotMinimal, WrongSender,
    },
    *,
};

const CONNECT_V4: &[u8] = b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02c1";
const CONNECT_V5: &[u8] = b"\x10\x0f\0\x04MQTT\x05\x02\0\x3c\0\0\x02c1";
const CONNECT_V4_LONG: &[u8] = b"\x10\x8e\0\0\x04MQTT\x04\x02\0\x3c\0\x02c1";
const CONNECT_V5_LONG: &[u8] = b"\x10\x8f\0\0\x04MQTT\x05\x02\0\x3c\0\0\x02c1";
const PUBLISH_V4: &[u8] = b"\x30\x04\0\x01ax";
const PUBLISH_V5: &[u8] = b"\x30\x05\0\x01a\0x";

fn kind(decoder: &mut Decoder, bytes: &[u8]) -> Result<PacketType, DecodeErrorKind> {
    match decoder.decode(bytes) {
        Ok(Status::Ready((packet, len))) => {
            assert_eq!(len, bytes.len());
            Ok(packet.packet_type())
        }
        Ok(Status::NeedMore(missing)) => panic!("{missing} bytes missing"),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn the_first_packet_of_a_client_is_a_connect_and_says_the_version() {
    for (first, then, expected) in [
        (CONNECT_V4, PUBLISH_V4, ProtocolVersion::V311),
        (CONNECT_V5, PUBLISH_V5, ProtocolVersion::V5),
        (CONNECT_V4_LONG, PUBLISH_V4, ProtocolVersion::V311),
    ] {
        let mut decoder = Decoder::awaiting_connect();
        assert_eq!(decoder.version(), None);
        assert_eq!(kind(&mut decoder, first), Ok(PacketType::Connect));
        assert_eq!(decoder.version(), Some(expected));
        let Ok(Status::Ready((Packet::Publish(publish), _))) = decoder.decode(then) else {
            panic!("{then:?}");
        };
        assert_eq!(publish.message.payload, b"x");
    }
}

#[test]
fn a_packet_that_may_not_come_now_is_refused_at_its_first_byte() {
    let v4 = |sender| Decoder::new(sender, ProtocolVersion::V311);
    let v5 = |sender| Decoder::new(sender, ProtocolVersion::V5);
    for (mut decoder, first, expected) in [
        (Decoder::awaiting_connect(), 0x30, ConnectExpected),
        (Decoder::awaiting_connect(), 0xf0, ConnectExpected),
        (Decoder::awaiting_connect(), 0x20, ConnectExpected),
        (Decoder::awaiting_connect(), 0x00, ReservedPacketType(0)),
        (Decoder::awaiting_connect(), 0x11, FixedHeaderFlags),
        (v4(Role::Client), 0xf0, ReservedPacketType(15)),
        (v4(Role::Client), 0x20, WrongSender(PacketType::ConnAck)),
        (v4(Role::Server), 0x10, WrongSender(PacketType::Connect)),
        (v4(Role::Server), 0xe0, WrongSender(PacketType::Disconnect)),
        (v5(Role::Server), 0x82, WrongSender(PacketType::Subscribe)),
        (v5(Role::Server), 0x80, WrongSender(PacketType::Subscribe)),
        (v5(Role::Client), 0x80, FixedHeaderFlags),
        (v5(Role::Client), 0x36, QoS3),
        (v5(Role::Client), 0x38, DupOnQoS0),
    ] {
        // Whatever comes behind it is not looked at.
        for bytes in [&[first][..], &[first, 0xff, 0xff, 0xff, 0xff]] {
            let error = decoder.clone().decode(bytes).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (expected, 0), "{first:#04x}");
        }
        assert_eq!(decoder.header(&[first]).unwrap_err().kind(), expected);
    }
}

#[test]
fn only_the_flags_of_its_type_are_legal_in_a_fixed_header() {
    for packet in PacketType::ALL {
        for flags in 0..16 {
            let first = (packet as u8) << 4 | flags;
            let sender =
                if packet.may_be_sent_by(Role::Client) { Role::Client } else { Role::Server };
            let legal = match packet {
                PacketType::Publish => flags & 6 != 6 && flags & 14 != 8,
                PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => flags == 2,
                _ => flags == 0,
            };
            let header = Decoder::new(sender, ProtocolVersion::V5).header(&[first, 0]);
            assert_eq!(header.is_ok(), legal, "{first:#04x}");
        }
    }
}

#[test]
fn a_length_in_too_many_bytes_is_refused_in_5_0_even_in_the_packet_that_says_so() {
    let error = Decoder::awaiting_connect().decode(CONNECT_V5_LONG).unwrap_err();
    assert_eq!((error.kind(), error.offset()), (VarIntNotMinimal, 1));
    let error = Decoder::new(Role::Client, ProtocolVersion::V5).decode(CONNECT_V5_LONG);
    assert_eq!(error.unwrap_err().kind(), VarIntNotMinimal);
    let mut v4 = Decoder::new(Role::Client, ProtocolVersion::V311);
    assert_eq!(kind(&mut v4, CONNECT_V4_LONG), Ok(PacketType::Connect));
}

#[test]
fn a_packet_above_the_limit_is_refused_before_it_is_there() {
    for (limit, header, legal) in [
        (6, &PUBLISH_V4[..2], true),
        (5, &PUBLISH_V4[..2], false),
        (MAX_PACKET_SIZE, &[0x30, 0xff, 0xff, 0xff, 0x7f], true),
        (MAX_PACKET_SIZE - 1, &[0x30, 0xff, 0xff, 0xff, 0x7f], false),
        (0, &[0xc0, 0], false),
        (2, &[0xc0, 0], true),
    ] {
        let mut decoder =
            Decoder::new(Role::Client, ProtocolVersion::V311).with_max_packet_size(limit);
        match decoder.decode(header) {
            Ok(_) => assert!(legal, "{limit}"),
            Err(error) => {
                assert!(!legal, "{limit}");
                assert_eq!((error.kind(), error.offset()), (PacketTooLarge, 1));
                assert_eq!(error.reason_code(), ReasonCode::PACKET_TOO_LARGE);
            }
        }
    }
}

#[test]
fn a_packet_that_is_not_all_there_leaves_its_bytes_where_they_are() {
    let mut decoder = Decoder::awaiting_connect();
    let mut src = BytesMut::new();
    for &byte in CONNECT_V5 {
        assert!(decoder.decode_bytes(&mut src).unwrap().ready().is_none());
        src.extend_from_slice(&[byte]);
    }
    assert_eq!(src, CONNECT_V5);
    assert!(decoder.decode_bytes(&mut src).unwrap().ready().is_some());
    assert!(src.is_empty());
}

#[test]
fn share_means_nothing_in_3_1_1_and_does_not_slip_into_5_0() {
    let subscribe = b"\x82\x0d\0\x01\0\x08$share/g\0";
    let unsubscribe = b"\xa2\x0c\0\x01\0\x08$share/g";
    for bytes in [&subscribe[..], unsubscribe] {
        let mut decoder = Decoder::new(Role::Client, ProtocolVersion::V311);
        let Ok(Status::Ready((packet, _))) = decoder.decode(bytes) else { panic!("{bytes:?}") };
        let filter = match &packet {
            Packet::Subscribe(packet) => packet.filters.iter().next().unwrap().0,
            Packet::Unsubscribe(packet) => packet.filters.iter().next().unwrap(),
            packet => panic!("{packet:?}"),
        };
        assert_eq!(filter.as_str(), "$share/g");
        assert_eq!(filter.shared(), None);
        assert_eq!(packet.encoded_len(ProtocolVersion::V311), Ok(bytes.len() as u32));
        let error = packet.encoded_len(ProtocolVersion::V5);
        assert_eq!(error, Err(EncodeError::SharedFilter));
    }
}

#[test]
fn secrets_are_not_printed() {
    let mut connect = Connect::new(ProtocolVersion::V5, Str::try_from("c1").unwrap());
    connect.password = Some("hunter2".into());
    connect.properties = Properties::new([
        Property::AuthenticationMethod("m"),
        Property::AuthenticationData(b"hunter2"),
    ])
    .unwrap();
    let text = format!("{connect:?}");
    let bytes = format!("{:?}", b"hunter2");
    assert!(!text.contains("hunter2") && !text.contains(&bytes), "{text}");
}

#[test]
fn a_topic_name_of_any_length_is_the_same_borrowed_owned_and_detached() {
    for len in 1..100 {
        for payload in [0, 1, 37, 100] {
            let topic = "t".repeat(len);
            let payload = vec![b'p'; payload];
            let publish =
                Publish::new(TopicName::borrowed(&topic).unwrap(), &payload[..]).with_retain(true);
            let mut src = BytesMut::new();
            publish.encode(ProtocolVersion::V311, &mut src).unwrap();
            let mut decoder = Decoder::new(Role::Server, ProtocolVersion::V311);
            let Ok(Status::Ready(Packet::Publish(owned))) = decoder.decode_bytes(&mut src) else {
                panic!("{len} and {}", payload.len())
            };
            assert_eq!(owned.as_ref(), publish);
            for name in [&owned.message.topic, &owned.message.detach().topic] {
                assert_eq!(name.as_str(), topic);
                assert_eq!(name.clone().into_inner(), topic);
                assert_eq!(*name, TopicName::try_from(topic.as_str()).unwrap());
            }
        }
    }
}

#[test]
fn of_two_faults_the_one_that_makes_the_packet_malformed_is_named() {
    for (bytes, expected, offset) in [
        // Authentication data without a method, and two bytes too many.
        (&b"\xf0\x09\x18\x04\x16\0\x01\x64\x01\xe0\xd7"[..], DecodeErrorKind::TrailingBytes, 8),
        // A user property whose name is no text and whose value is cut short.
        (b"\xe0\x07\0\x05\x26\0\x01\xff\0", DecodeErrorKind::InvalidUtf8, 4),
    ] {
        let error = Decoder::new(Role::Client, ProtocolVersion::V5).decode(bytes).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (expected, offset));
        assert_eq!(error.reason_code(), ReasonCode::MALFORMED_PACKET);
    }
}

#[test]
fn a_packet_without_payload_keeps_nothing_of_its_buffer() {
    for bytes in [&b"\x30\x03\0\x01a"[..], b"\x40\x02\0\x01", b"\xc0\0"] {
        let mut src = BytesMut::with_capacity(64);
        src.extend_from_slice(bytes);
        let capacity = src.capacity();
        let mut decoder = Decoder::new(Role::Client, ProtocolVersion::V311);
        let packet = decoder.decode_bytes(&mut src).unwrap().ready().unwrap();
        assert!(src.try_reclaim(capacity), "{packet:?} shares the buffer");
    }
}
