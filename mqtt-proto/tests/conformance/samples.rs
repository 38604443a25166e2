//! The smallest packet of each type, as bytes written by hand and as a value.

use bytes::Bytes;
use mqtt_proto::*;

use crate::common::wire::unhex;

pub(crate) struct Sample {
    pub(crate) packet_type: PacketType,
    pub(crate) from: Role,
    pub(crate) bytes: Vec<u8>,
    pub(crate) packet: Packet<Bytes>,
}

/// One of each type that the version has.
pub(crate) fn samples(version: ProtocolVersion) -> Vec<Sample> {
    let older = [
        "100c 0004 4d515454 04 02 003c 0000",
        "2002 00 00",
        "3003 0001 61",
        "4002 0001",
        "5002 0001",
        "6202 0001",
        "7002 0001",
        "8206 0001 0001 61 00",
        "9003 0001 00",
        "a205 0001 0001 61",
        "b002 0001",
        "c000",
        "d000",
        "e000",
    ];
    let newer = [
        "100d 0004 4d515454 05 02 003c 00 0000",
        "2003 00 00 00",
        "3004 0001 61 00",
        "4002 0001",
        "5002 0001",
        "6202 0001",
        "7002 0001",
        "8207 0001 00 0001 61 00",
        "9004 0001 00 00",
        "a206 0001 00 0001 61",
        "b004 0001 00 00",
        "c000",
        "d000",
        "e000",
        "f000",
    ];
    let bytes = if version == ProtocolVersion::V5 { &newer[..] } else { &older[..] };
    let of = |(packet_type, bytes): (PacketType, &&str)| Sample {
        packet_type,
        from: sender(packet_type),
        bytes: unhex(bytes),
        packet: packet(packet_type, version),
    };
    PacketType::ALL.into_iter().zip(bytes).map(of).collect()
}

/// Who may send it; AUTH without a code says success, and that is the server's.
fn sender(packet: PacketType) -> Role {
    match packet {
        PacketType::Auth => Role::Server,
        packet if packet.may_be_sent_by(Role::Client) => Role::Client,
        _ => Role::Server,
    }
}

fn packet(packet: PacketType, version: ProtocolVersion) -> Packet<Bytes> {
    let (id, reason, properties) = (PacketId::MIN, ReasonCode::SUCCESS, Properties::EMPTY);
    match packet {
        PacketType::Connect => Packet::Connect(Connect::new(version, text(""))),
        PacketType::ConnAck => {
            Packet::ConnAck(ConnAck { session_present: false, reason, properties })
        }
        PacketType::Publish => Packet::Publish(publish("a", "")),
        PacketType::PubAck => Packet::PubAck(Ack::success(id)),
        PacketType::PubRec => Packet::PubRec(Ack::success(id)),
        PacketType::PubRel => Packet::PubRel(Ack::success(id)),
        PacketType::PubComp => Packet::PubComp(Ack::success(id)),
        PacketType::Subscribe => Packet::Subscribe(subscribe([("a", QoS::AtMostOnce.into())])),
        PacketType::SubAck => {
            Packet::SubAck(SubAck { id, properties, codes: [reason].into_iter().collect() })
        }
        PacketType::Unsubscribe => Packet::Unsubscribe(unsubscribe(["a"])),
        PacketType::UnsubAck => {
            let codes = (version == ProtocolVersion::V5).then_some(reason);
            Packet::UnsubAck(UnsubAck { id, properties, codes: codes.into_iter().collect() })
        }
        PacketType::PingReq => Packet::PingReq,
        PacketType::PingResp => Packet::PingResp,
        PacketType::Disconnect => Packet::Disconnect(Disconnect::new(reason)),
        PacketType::Auth => Packet::Auth(Auth { reason, properties }),
    }
}

pub(crate) fn text(text: &str) -> Str<Bytes> {
    Str::try_from(text).unwrap()
}

pub(crate) fn name(name: &str) -> TopicName<Bytes> {
    TopicName::try_from(name).unwrap()
}

pub(crate) fn filter(filter: &str) -> TopicFilter<Bytes> {
    TopicFilter::try_from(filter).unwrap()
}

/// QoS 0, not retained, without properties.
pub(crate) fn publish(topic: &str, payload: &'static str) -> Publish<Bytes> {
    let payload = Bytes::from_static(payload.as_bytes());
    let message = Message { topic: name(topic), payload, properties: Properties::EMPTY };
    Publish { delivery: Delivery::AtMostOnce, retain: false, message }
}

pub(crate) fn subscribe<'a>(
    filters: impl IntoIterator<Item = (&'a str, SubscriptionOptions)>,
) -> Subscribe<Bytes> {
    let filters = filters.into_iter().map(|(text, options)| (filter(text), options));
    let filters = SubscribeFilters::new(filters).unwrap();
    Subscribe { id: PacketId::MIN, properties: Properties::EMPTY, filters }
}

pub(crate) fn unsubscribe<'a>(filters: impl IntoIterator<Item = &'a str>) -> Unsubscribe<Bytes> {
    let filters = UnsubscribeFilters::new(filters.into_iter().map(filter)).unwrap();
    Unsubscribe { id: PacketId::MIN, properties: Properties::EMPTY, filters }
}
