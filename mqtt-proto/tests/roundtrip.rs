//! Laws that hold for every packet.
#![cfg(feature = "bytes")]

mod strategies;

use bytes::{BufMut, BytesMut};
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

proptest! {
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
