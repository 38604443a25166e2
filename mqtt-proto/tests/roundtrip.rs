//! Laws that hold for every packet.
#![cfg(feature = "bytes")]

mod strategies;

use bytes::{BufMut, Bytes, BytesMut};
use mqtt_proto::*;
use proptest::{collection::vec, prelude::*, sample::Index};
use strategies::{Sent, packet, properties, publication, publish, role, sent, version};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];
const ROLES: [Role; 2] = [Role::Client, Role::Server];

fn encode<B: Storage>(
    packet: &Packet<B>,
    version: ProtocolVersion,
) -> Result<BytesMut, EncodeError> {
    let mut out = BytesMut::new();
    packet.encode(version, &mut out).map(|()| out)
}

/// One packet that fills `bytes`.
fn decode(
    bytes: &[u8],
    sender: Role,
    version: ProtocolVersion,
) -> Result<Option<PacketRef<'_>>, DecodeError> {
    Ok(Decoder::new(sender, version).decode(bytes)?.ready().map(|(packet, len)| {
        assert!(len <= bytes.len());
        packet
    }))
}

/// The list of a packet from which something may be left out for a peer that takes no more.
fn optional(packet: &mut Packet<Bytes>) -> Option<&mut Properties<Bytes>> {
    match packet {
        Packet::ConnAck(packet) => Some(&mut packet.properties),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            Some(&mut ack.properties)
        }
        Packet::SubAck(packet) => Some(&mut packet.properties),
        Packet::UnsubAck(packet) => Some(&mut packet.properties),
        Packet::Disconnect(packet) => Some(&mut packet.properties),
        Packet::Auth(packet) => Some(&mut packet.properties),
        Packet::Connect(_)
        | Packet::Publish(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_)
        | Packet::PingReq
        | Packet::PingResp => None,
    }
}

/// The packet as it is, without User Properties, and without a Reason String as well.
fn ever_shorter(packet: &Packet<Bytes>) -> [Packet<Bytes>; 3] {
    let without = |ids: &[PropertyId]| {
        let mut packet = packet.clone();
        if let Some(list) = optional(&mut packet) {
            let left = list.iter().filter(|property| !ids.contains(&property.id()));
            *list = Properties::new(left).unwrap();
        }
        packet
    };
    [without(&[]), without(&[USER_PROPERTY]), without(&[USER_PROPERTY, REASON_STRING])]
}

const USER_PROPERTY: PropertyId = PropertyId::UserProperty;
const REASON_STRING: PropertyId = PropertyId::ReasonString;

/// What is written for a peer that takes at most `limit` bytes, in every way there is.
fn encode_within(
    packet: &Packet<Bytes>,
    limit: u32,
    version: ProtocolVersion,
) -> Result<BytesMut, EncodeError> {
    let mut bytes = BytesMut::new();
    let written = packet.encode_within(version, limit, &mut bytes);
    assert_eq!(packet.encoded_len_within(version, limit), written.map(|()| bytes.len() as u32));

    let mut slice = [0xee; 300];
    let in_slice = packet.encode_to_slice_within(version, limit, &mut slice);
    assert_eq!(in_slice, written.map(|()| bytes.len()));
    assert_eq!(slice[..bytes.len()], bytes);
    assert!(slice[bytes.len()..].iter().all(|&byte| byte == 0xee));
    if let Some(short) = bytes.len().checked_sub(1) {
        let mut room = &mut slice[..short];
        let too_small = EncodeError::BufferTooSmall;
        assert_eq!(packet.encode_to_slice_within(version, limit, room), Err(too_small));
        assert_eq!(packet.encode_within(version, limit, &mut room), Err(too_small));
    }
    written.map(|()| bytes)
}

proptest! {
    #[test]
    fn no_packet_is_larger_than_the_peer_takes_and_none_loses_more_than_it_must(
        Sent { sender, version, packet } in sent(),
    ) {
        let forms = ever_shorter(&packet);
        let sizes = forms.each_ref().map(|form| form.encoded_len(version).unwrap());
        for limit in 2..=300 {
            let written = encode_within(&packet, limit, version);
            match sizes.iter().position(|&size| size <= limit) {
                Some(first) => {
                    let bytes = written.unwrap();
                    prop_assert!(bytes.len() <= limit as usize);
                    prop_assert_eq!(&bytes, &encode(&forms[first], version).unwrap());
                    let decoded = decode(&bytes, sender, version).unwrap().map(Packet::to_bytes);
                    prop_assert_eq!(decoded.as_ref(), Some(&forms[first]));
                }
                None => {
                    let too_large = EncodeError::PacketTooLarge { size: sizes[2], limit };
                    prop_assert_eq!(written, Err(too_large));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_said_at_all_is_not_said_within_a_limit(
        Sent { version, packet, .. } in sent(),
        limit in 0u32..300,
    ) {
        let other = VERSIONS[usize::from(version == ProtocolVersion::V311)];
        if let Err(error) = encode(&packet, other) {
            prop_assert_eq!(encode_within(&packet, limit, other), Err(error));
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_itself(Sent { sender, version, packet } in sent()) {
        let bytes = encode(&packet, version).unwrap();
        let mut decoder = Decoder::new(sender, version);
        let borrowed = decoder.decode(&bytes).unwrap().ready();
        let (borrowed, len) = borrowed.expect("all of it is there");
        prop_assert_eq!(len, bytes.len());
        prop_assert_eq!(&borrowed.to_bytes(), &packet);
        prop_assert_eq!(&encode(&borrowed, version).unwrap(), &bytes);
        let owned = decoder.decode_bytes(&mut bytes.clone()).unwrap().ready();
        prop_assert_eq!(owned, Some(packet));
    }

    #[test]
    fn a_packet_is_as_long_as_it_says_and_the_same_in_a_slice(
        Sent { version, packet, .. } in sent(),
        room in 0usize..9,
    ) {
        let bytes = encode(&packet, version).unwrap();
        prop_assert_eq!(packet.encoded_len(version), Ok(bytes.len() as u32));

        let mut slice = vec![0xee; bytes.len() + room];
        prop_assert_eq!(packet.encode_to_slice(version, &mut slice), Ok(bytes.len()));
        prop_assert_eq!(&slice[..bytes.len()], &bytes[..]);
        prop_assert!(slice[bytes.len()..].iter().all(|&byte| byte == 0xee));
    }

    #[test]
    fn nothing_is_written_where_a_packet_does_not_fit(
        Sent { version, packet, .. } in sent(),
        short in any::<Index>(),
    ) {
        let len = packet.encoded_len(version).unwrap() as usize;
        let mut slice = vec![0xee; short.index(len)];
        let too_small = Err(EncodeError::BufferTooSmall);
        prop_assert_eq!(packet.encode_to_slice(version, &mut slice), too_small);
        let mut room = &mut slice[..];
        prop_assert_eq!(packet.encode(version, &mut room), too_small.map(|_: usize| ()));
        if let Packet::Publish(publish) = &packet {
            let head = publish.head_len(version).unwrap() as usize;
            let mut room = (&mut slice[..]).limit(head - 1);
            prop_assert_eq!(publish.encode_head(version, &mut room), Err(EncodeError::BufferTooSmall));
        }
        prop_assert!(slice.iter().all(|&byte| byte == 0xee));
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_packets(
        (sender, version, packets) in (role(), version()).prop_flat_map(|(sender, version)| {
            (Just(sender), Just(version), vec(packet(sender, version), 1..8))
        }),
        chunks in vec(1usize..40, 1..20),
    ) {
        let mut stream = BytesMut::new();
        for packet in &packets {
            packet.encode(version, &mut stream).unwrap();
        }
        let mut chunks = chunks.into_iter().cycle();
        let mut decoder = Decoder::new(sender, version);
        let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
        while !stream.is_empty() {
            let chunk = chunks.next().unwrap().min(stream.len());
            buffer.extend_from_slice(&stream.split_to(chunk));
            loop {
                match decoder.decode_bytes(&mut buffer).unwrap() {
                    Status::Ready(packet) => seen.push(packet),
                    Status::NeedMore(missing) => {
                        let more = buffer.len() + missing.get() as usize;
                        prop_assert!(more <= buffer.len() + stream.len() || stream.is_empty());
                        break;
                    }
                }
            }
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(seen, packets);
    }

    #[test]
    fn any_other_byte_is_refused_or_makes_another_packet_that_round_trips(
        Sent { version, packet, .. } in sent(),
        place in any::<Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode(&packet, version).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        for version in VERSIONS {
            for sender in ROLES {
                let Ok(Some(packet)) = decode(&bytes, sender, version) else { continue };
                let again = encode(&packet, version).unwrap();
                prop_assert!(again.len() <= bytes.len());
                prop_assert_eq!(decode(&again, sender, version).unwrap(), Some(packet));
            }
        }
    }

    #[test]
    fn nothing_is_dropped_to_fit_the_other_version(Sent { sender, version, packet } in sent()) {
        let other = VERSIONS[usize::from(version == ProtocolVersion::V311)];
        let Ok(bytes) = encode(&packet, other) else { return Ok(()) };
        prop_assert!(!matches!(packet, Packet::Connect(_)));
        prop_assert!(packet.properties().is_none_or(Properties::is_empty));
        match decode(&bytes, sender, other) {
            Ok(decoded) => prop_assert_eq!(decoded.map(Packet::to_bytes), Some(packet)),
            // In 3.1.1 the server does not say DISCONNECT; the encoder is not told who sends.
            Err(error) => {
                let wrong = DecodeErrorKind::WrongSender(PacketType::Disconnect);
                prop_assert_eq!(error.kind(), wrong);
            }
        }
    }

    #[test]
    fn what_only_the_newer_version_has_is_refused_in_the_older(
        Sent { packet, .. } in role().prop_flat_map(|sender| {
            let version = ProtocolVersion::V5;
            packet(sender, version).prop_map(move |packet| Sent { sender, version, packet })
        }),
    ) {
        let newer = match &packet {
            Packet::Connect(_) | Packet::Auth(_) | Packet::UnsubAck(_) => true,
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
                ack.reason != ReasonCode::SUCCESS
            }
            Packet::ConnAck(packet) => packet.reason.connect_return_code().is_none(),
            Packet::Publish(packet) => packet.message.topic.is_empty(),
            Packet::Subscribe(packet) => packet.filters.iter().any(|(_, o)| o.to_byte() > 2),
            Packet::SubAck(packet) => packet.codes.iter().any(|code| code.get() > 0x80),
            Packet::Disconnect(packet) => packet.reason != ReasonCode::NORMAL_DISCONNECTION,
            Packet::Unsubscribe(_) | Packet::PingReq | Packet::PingResp => false,
        };
        let newer = newer || !packet.properties().is_none_or(Properties::is_empty);
        prop_assert_eq!(packet.encode(ProtocolVersion::V311, &mut BytesMut::new()).is_err(), newer);
    }

    #[test]
    fn a_head_and_a_payload_are_a_publish(
        (version, publish) in (role(), version())
            .prop_flat_map(|(sender, version)| (Just(version), publish(sender, version))),
    ) {
        let mut head = BytesMut::new();
        publish.encode_head(version, &mut head).unwrap();
        prop_assert_eq!(publish.head_len(version), Ok(head.len() as u32));
        let mut slice = vec![0; head.len()];
        prop_assert_eq!(publish.encode_head_to_slice(version, &mut slice), Ok(head.len()));
        prop_assert_eq!(&slice, &head);
        slice.pop();
        let too_small = Err(EncodeError::BufferTooSmall);
        prop_assert_eq!(publish.encode_head_to_slice(version, &mut slice), too_small);
        head.extend_from_slice(&publish.message.payload);
        prop_assert_eq!(head, encode(&Packet::Publish(publish.as_ref()), version).unwrap());
    }

    #[test]
    fn what_is_detached_is_equal_and_apart(publication in publication(ProtocolVersion::V5)) {
        let detached = publication.detach();
        prop_assert_eq!(&detached, &publication);
        prop_assert_eq!(&publication.as_ref().detach(), &publication);
        let payload = &publication.message.payload;
        let copy = &detached.message.payload;
        prop_assert!(payload.is_empty() || payload.as_ptr() != copy.as_ptr());
    }

    #[test]
    fn a_list_is_read_from_the_wire_as_it_was_built(
        list in properties(
            PropertyOwner::Packet(PacketType::ConnAck),
            Role::Server,
            ProtocolVersion::V5,
        ),
    ) {
        let owner = PropertyOwner::Packet(PacketType::ConnAck);
        prop_assert_eq!(Properties::from_wire(list.as_bytes().to_vec().into(), owner), Ok(list.clone()));
        prop_assert_eq!(Properties::new(list.iter()), Ok(list));
    }
}

/// Of each type one packet with everything that may be left out, and something that may not.
fn with_texts() -> Vec<Packet<Bytes>> {
    let (id, success) = (PacketId::MIN, ReasonCode::SUCCESS);
    let texts = [
        Property::UserProperty(("a", "1")),
        Property::ReasonString("because"),
        Property::UserProperty(("a", "2")),
    ];
    let list = |more: &[Property<'_>]| Properties::new(more.iter().copied().chain(texts)).unwrap();
    let ack = |reason| Ack { id, reason, properties: list(&[]) };
    let codes = || [ReasonCode::UNSPECIFIED_ERROR; 3].into_iter().collect();
    let reason = ReasonCode::SERVER_MOVED;
    vec![
        Packet::ConnAck(ConnAck {
            session_present: false,
            reason,
            properties: list(&[Property::ServerReference("b")]),
        }),
        Packet::PubAck(ack(success)),
        Packet::PubRec(ack(ReasonCode::QUOTA_EXCEEDED)),
        Packet::PubRel(ack(success)),
        Packet::PubComp(ack(ReasonCode::PACKET_IDENTIFIER_NOT_FOUND)),
        Packet::SubAck(SubAck { id, properties: list(&[]), codes: codes() }),
        Packet::UnsubAck(UnsubAck { id, properties: list(&[]), codes: codes() }),
        Packet::Disconnect(Disconnect { reason: success, properties: list(&[]) }),
        Packet::Disconnect(Disconnect {
            reason,
            properties: list(&[Property::ServerReference("b")]),
        }),
        Packet::Auth(Auth { reason: success, properties: list(&[METHOD]) }),
    ]
}

const METHOD: Property<'_> = Property::AuthenticationMethod("m");

#[test]
fn user_properties_go_before_the_reason_string_and_each_where_it_must() {
    for packet in with_texts() {
        let forms = ever_shorter(&packet);
        let sizes = forms.each_ref().map(|form| form.encoded_len(ProtocolVersion::V5).unwrap());
        // Two user properties of seven bytes, a reason string of ten, and what goes without saying.
        assert_eq!(sizes[0] - sizes[1], 14, "{packet:?}");
        assert!((10..=12).contains(&(sizes[1] - sizes[2])), "{packet:?}");
        for (form, size) in forms.iter().zip(sizes) {
            let whole = encode(form, ProtocolVersion::V5);
            assert_eq!(encode_within(&packet, size, ProtocolVersion::V5), whole, "{packet:?}");
        }
        let limit = sizes[2] - 1;
        let too_large = Err(EncodeError::PacketTooLarge { size: sizes[2], limit });
        assert_eq!(encode_within(&packet, limit, ProtocolVersion::V5), too_large, "{packet:?}");
    }
}
