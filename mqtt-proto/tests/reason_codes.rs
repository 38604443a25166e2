//! Which reason code is legal where, against `data/reason-codes-5.0.tsv` and section 3.2.2.3 and
//! 3.9.3 of 3.1.1.
#![cfg(feature = "bytes")]

mod common;

use bytes::{Bytes, BytesMut};
use common::rows;
use mqtt_proto::*;

const CODES: &str = include_str!("data/reason-codes-5.0.tsv");
const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// The packets that carry a code.
const CARRIERS: [PacketType; 9] = [
    PacketType::ConnAck,
    PacketType::PubAck,
    PacketType::PubRec,
    PacketType::PubRel,
    PacketType::PubComp,
    PacketType::SubAck,
    PacketType::UnsubAck,
    PacketType::Disconnect,
    PacketType::Auth,
];

fn is_listed(packet: PacketType, code: u8, sender: Role) -> bool {
    // In DISCONNECT though its table lacks it: section 2.4 lists it.
    let extra = packet == PacketType::Disconnect && code == 0x8c;
    let sender = format!("{sender:?}").to_lowercase();
    extra
        || rows(CODES).any(|[name, listed, _, sent_by]| {
            name == packet.name()
                && number(listed) == code
                && (sent_by == "both" || sent_by == sender)
        })
}

/// The shortest packet of this type that spells its code out.
fn wire(packet: PacketType, code: u8) -> Vec<u8> {
    let flags = if packet == PacketType::PubRel { 2 } else { 0 };
    let first = (packet as u8) << 4 | flags;
    match packet {
        PacketType::ConnAck => vec![first, 3, 0, code, 0],
        PacketType::SubAck | PacketType::UnsubAck => vec![first, 4, 0, 1, 0, code],
        PacketType::Disconnect => vec![first, 1, code],
        PacketType::Auth => vec![first, 6, code, 4, 0x15, 0, 1, b'm'],
        _ => vec![first, 3, 0, 1, code],
    }
}

/// A value of this type with this code.
fn value(packet: PacketType, reason: ReasonCode) -> Packet<Bytes> {
    let id = PacketId::MIN;
    let codes = [reason].into_iter().collect();
    let properties = Properties::EMPTY;
    match packet {
        PacketType::ConnAck => {
            Packet::ConnAck(ConnAck { session_present: false, reason, properties })
        }
        PacketType::PubAck => Packet::PubAck(Ack::new(id, reason)),
        PacketType::PubRec => Packet::PubRec(Ack::new(id, reason)),
        PacketType::PubRel => Packet::PubRel(Ack::new(id, reason)),
        PacketType::PubComp => Packet::PubComp(Ack::new(id, reason)),
        PacketType::SubAck => Packet::SubAck(SubAck { id, properties, codes }),
        PacketType::UnsubAck => Packet::UnsubAck(UnsubAck { id, properties, codes }),
        PacketType::Disconnect => Packet::Disconnect(Disconnect::new(reason)),
        PacketType::Auth => {
            let properties = Properties::new([Property::AuthenticationMethod("m")]).unwrap();
            Packet::Auth(Auth { reason, properties })
        }
        _ => panic!("{packet:?} has no code"),
    }
}

#[test]
fn a_code_is_accepted_from_whom_the_table_says_and_refused_from_all_others() {
    assert_eq!(rows::<4>(CODES).count(), 95);
    for packet in CARRIERS {
        for code in 0..=255 {
            for sender in ROLES {
                let legal = is_listed(packet, code, sender);
                assert_eq!(ReasonCode::new(code).is_legal_in(packet, sender), legal);
                let bytes = wire(packet, code);
                let mut decoder = Decoder::new(sender, ProtocolVersion::V5);
                let decoded = decoder.decode(&bytes).map_err(DecodeError::kind);
                let text = format!("{packet:?} {code:#04x} from {sender:?}");
                if legal {
                    let Ok(Status::Ready((packet, _))) = decoded else { panic!("{text}") };
                    assert!(format!("{packet:?}").contains(&format!("{code:#04x}")), "{text}");
                } else if packet.may_be_sent_by(sender) {
                    assert_eq!(decoded, Err(DecodeErrorKind::ReasonCode(code)), "{text}");
                } else {
                    assert_eq!(decoded, Err(DecodeErrorKind::WrongSender(packet)), "{text}");
                }
            }
        }
    }
}

#[test]
fn a_code_is_encoded_if_either_side_may_send_it() {
    for packet in CARRIERS {
        for code in (0..=255).map(ReasonCode::new) {
            let legal = ROLES.iter().any(|&sender| is_listed(packet, code.get(), sender));
            let expected = if legal { Ok(()) } else { Err(EncodeError::ReasonCode(code)) };
            let encoded = value(packet, code).encode(ProtocolVersion::V5, &mut BytesMut::new());
            assert_eq!(encoded, expected, "{packet:?} {code}");
        }
    }
}

#[test]
fn every_listed_code_has_the_name_of_the_table() {
    for [packet, code, name, _] in rows(CODES) {
        let plain = ["Granted QoS 0", "Normal disconnection"];
        let name = if plain.contains(&name) { "Success" } else { name.trim_end_matches('.') };
        let ours = ReasonCode::new(number(code)).name();
        assert!(ours.eq_ignore_ascii_case(name), "{packet} {code}: {ours}");
    }
}

#[test]
fn the_older_version_has_six_connect_return_codes() {
    for code in 0..=255 {
        let bytes = [0x20, 2, 0, code];
        let decoded = Decoder::new(Role::Server, ProtocolVersion::V311).decode(&bytes);
        assert_eq!(decoded.is_ok(), code <= 5);
        let reason = ReasonCode::from_connect_return_code(code);
        assert_eq!(reason.is_some(), code <= 5);
        if let Some(reason) = reason {
            assert_eq!(reason.connect_return_code(), Some(code));
            let mut out = BytesMut::new();
            value(PacketType::ConnAck, reason).encode(ProtocolVersion::V311, &mut out).unwrap();
            assert_eq!(out, bytes[..]);
        }
    }
}

#[test]
fn the_older_version_has_four_subscribe_return_codes() {
    for code in 0..=255 {
        let bytes = [0x90, 3, 0, 1, code];
        let legal = matches!(code, 0..=2 | 0x80);
        let decoded = Decoder::new(Role::Server, ProtocolVersion::V311).decode(&bytes);
        assert_eq!(decoded.is_ok(), legal, "{code:#04x}");
        let mut out = BytesMut::new();
        let encoded = value(PacketType::SubAck, ReasonCode::new(code))
            .encode(ProtocolVersion::V311, &mut out);
        assert_eq!(encoded.is_ok(), legal, "{code:#04x}");
    }
}

#[test]
fn every_code_has_a_nearest_one_that_the_older_version_can_say() {
    for packet in [PacketType::ConnAck, PacketType::SubAck] {
        for code in (0..=255).map(ReasonCode::new) {
            if code.is_legal_in(packet, Role::Server) {
                let nearest = code.nearest_in(ProtocolVersion::V311, packet);
                assert_eq!(nearest.is_error(), code.is_error(), "{packet:?} {code}");
                let packet = value(packet, nearest);
                assert!(packet.encoded_len(ProtocolVersion::V311).is_ok(), "{packet:?}");
            }
        }
    }
}

#[test]
fn every_error_has_a_code_that_either_side_may_say_goodbye_with() {
    for code in (0..=255).map(ReasonCode::new) {
        for sender in ROLES {
            let said = code.for_disconnect(sender);
            assert!(said.is_legal_in(PacketType::Disconnect, sender), "{code} from {sender:?}");
            if code.is_legal_in(PacketType::Disconnect, sender) {
                assert_eq!(said, code);
            }
        }
    }
}

/// `0x8C`.
fn number(text: &str) -> u8 {
    u8::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}
