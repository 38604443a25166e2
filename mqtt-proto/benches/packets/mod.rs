//! The packets that are measured.

use bytes::{Bytes, BytesMut};
use mqtt_proto::*;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) sender: Role,
    pub(crate) version: ProtocolVersion,
    pub(crate) packet: Packet<Bytes>,
    pub(crate) bytes: Bytes,
}

pub(crate) fn cases() -> Vec<Case> {
    use ProtocolVersion::{V5, V311};
    let none = || Properties::EMPTY;
    let id = PacketId::MIN;
    let ack = Ack::success(id);
    let failure = Ack::new(id, ReasonCode::NOT_AUTHORIZED);
    let five = Properties::new([
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(60),
        Property::ContentType("text/plain"),
        Property::CorrelationData(&[1, 2, 3, 4]),
        Property::UserProperty(("unit", "celsius")),
    ])
    .unwrap();
    let filters = ["a/b/c", "room/+/temperature", "room/+/humidity", "alarm/#", "$SYS/broker/load"];
    let filters =
        filters.map(|filter| (TopicFilter::<Bytes>::try_from(filter).unwrap(), QoS::AtLeastOnce));
    let subscribe = |version| {
        let filters = SubscribeFilters::new(filters.clone()).unwrap();
        (version, Packet::Subscribe(Subscribe { id, properties: none(), filters }))
    };
    let connect = |version| {
        let mut connect = Connect::new(version, Str::try_from("sensor-0001").unwrap());
        connect.user_name = Some(Str::try_from("user").unwrap());
        connect.password = Some("secret".into());
        (version, Packet::Connect(connect))
    };
    [
        ("publish_64B_qos0_v4", (V311, publish(0, 64, none()))),
        ("publish_64B_qos1_v4", (V311, publish(1, 64, none()))),
        ("publish_64B_qos0_v5", (V5, publish(0, 64, none()))),
        ("publish_64B_qos1_v5", (V5, publish(1, 64, none()))),
        ("publish_64B_qos1_v5_five_properties", (V5, publish(1, 64, five))),
        ("publish_16KiB_qos1_v4", (V311, publish(1, 16 * 1024, none()))),
        ("puback_v4", (V311, Packet::PubAck(ack.clone()))),
        ("puback_v5", (V5, Packet::PubAck(ack))),
        ("puback_failure_v5", (V5, Packet::PubAck(failure))),
        ("connect_v4", connect(V311)),
        ("connect_v5", connect(V5)),
        ("subscribe_five_filters_v4", subscribe(V311)),
        ("subscribe_five_filters_v5", subscribe(V5)),
    ]
    .map(|(name, (version, packet))| {
        let mut bytes = BytesMut::new();
        packet.encode(version, &mut bytes).unwrap();
        Case { name, sender: Role::Client, version, packet, bytes: bytes.freeze() }
    })
    .into()
}

/// A PUBLISH with so many bytes of payload.
fn publish(qos: u8, payload: usize, properties: Properties<Bytes>) -> Packet<Bytes> {
    let id = PacketId::MIN;
    let delivery = match qos {
        0 => Delivery::AtMostOnce,
        _ => Delivery::AtLeastOnce { id, dup: false },
    };
    let topic = TopicName::try_from("site/room/temperature").unwrap();
    let message = Message { topic, payload: vec![b'x'; payload].into(), properties };
    Packet::Publish(Publish { delivery, retain: false, message })
}
