//! Which reason code is legal where, from `data/reason-codes-5.0.tsv`, and packets that carry one.

use bytes::Bytes;
use mqtt_proto::*;

use super::{number, rows};

pub(crate) const CODES: &str = include_str!("../data/reason-codes-5.0.tsv");

/// The packets that carry a code.
pub(crate) const CARRIERS: [PacketType; 9] = [
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

pub(crate) fn is_listed(packet: PacketType, code: u8, sender: Role) -> bool {
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
pub(crate) fn wire(packet: PacketType, code: u8) -> Vec<u8> {
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

/// What the encoder writes of it: success goes without saying in most acknowledgements.
pub(crate) fn encoded(packet: PacketType, code: u8) -> Vec<u8> {
    let wire = wire(packet, code);
    match (packet, code) {
        (PacketType::Disconnect, 0) => vec![wire[0], 0],
        (PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp, 0) => {
            vec![wire[0], 2, 0, 1]
        }
        _ => wire,
    }
}

/// A value of this type with this code.
pub(crate) fn value(packet: PacketType, reason: ReasonCode) -> Packet<Bytes> {
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
