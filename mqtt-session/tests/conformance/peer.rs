//! What the peer of a side says, where one line is enough.

use bytes::Bytes;
use mqtt_session::proto::{Ack, Packet, PacketType, ReasonCode, TopicFilter, UnsubscribeFilters};

use crate::common::id;

pub(crate) fn no_more(texts: &[&str]) -> UnsubscribeFilters<Bytes> {
    let filters = texts.iter().map(|&text| TopicFilter::try_from(text).expect("a filter"));
    UnsubscribeFilters::new(filters.collect::<Vec<TopicFilter<Bytes>>>()).expect("some filters")
}

/// One of the four acknowledgements.
pub(crate) fn ack(packet: PacketType, number: u16, code: ReasonCode) -> Packet<Bytes> {
    let ack = Ack::new(id(number), code);
    match packet {
        PacketType::PubAck => Packet::PubAck(ack),
        PacketType::PubRec => Packet::PubRec(ack),
        PacketType::PubRel => Packet::PubRel(ack),
        PacketType::PubComp => Packet::PubComp(ack),
        other => panic!("{} acknowledges nothing", other.name()),
    }
}

pub(crate) fn puback(number: u16) -> Packet<Bytes> {
    ack(PacketType::PubAck, number, ReasonCode::SUCCESS)
}

pub(crate) fn pubrec(number: u16) -> Packet<Bytes> {
    ack(PacketType::PubRec, number, ReasonCode::SUCCESS)
}

pub(crate) fn pubrel(number: u16) -> Packet<Bytes> {
    ack(PacketType::PubRel, number, ReasonCode::SUCCESS)
}

pub(crate) fn pubcomp(number: u16) -> Packet<Bytes> {
    ack(PacketType::PubComp, number, ReasonCode::SUCCESS)
}
