//! The packets that are measured: each of the 15 types, in each version that has it.

use bytes::{Bytes, BytesMut};
use mqtt_proto::{ProtocolVersion::*, *};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) sender: Role,
    pub(crate) version: ProtocolVersion,
    pub(crate) packet: Packet<Bytes>,
    pub(crate) bytes: Bytes,
}

pub(crate) fn cases() -> Vec<Case> {
    let id = PacketId::MIN;
    let ack = || Ack::success(id);
    let failure = Ack::new(id, ReasonCode::NOT_AUTHORIZED);
    let success = ReasonCode::SUCCESS;
    let packets = [
        ("publish_64B_qos0_v4", V311, publish(0, 64, none())),
        ("publish_64B_qos1_v4", V311, publish(1, 64, none())),
        ("publish_64B_qos0_v5", V5, publish(0, 64, none())),
        ("publish_64B_qos1_v5", V5, publish(1, 64, none())),
        ("publish_64B_qos1_v5_five_properties", V5, publish(1, 64, five_properties())),
        ("publish_16KiB_qos1_v4", V311, publish(1, 16 * 1024, none())),
        ("publish_16KiB_qos1_v5", V5, publish(1, 16 * 1024, none())),
        ("puback_v4", V311, Packet::PubAck(ack())),
        ("puback_v5", V5, Packet::PubAck(ack())),
        ("puback_failure_v5", V5, Packet::PubAck(failure)),
        ("pubrec_v4", V311, Packet::PubRec(ack())),
        ("pubrec_v5", V5, Packet::PubRec(ack())),
        ("pubrel_v4", V311, Packet::PubRel(ack())),
        ("pubrel_v5", V5, Packet::PubRel(ack())),
        ("pubcomp_v4", V311, Packet::PubComp(ack())),
        ("pubcomp_v5", V5, Packet::PubComp(ack())),
        ("connect_v4", V311, connect(V311)),
        ("connect_v5", V5, connect(V5)),
        ("connect_everything_v4", V311, connect_everything(V311)),
        ("connect_everything_v5", V5, connect_everything(V5)),
        ("connack_v4", V311, connack(none())),
        ("connack_v5", V5, connack(none())),
        ("connack_five_properties_v5", V5, connack(connack_properties())),
        ("subscribe_five_filters_v4", V311, subscribe()),
        ("subscribe_five_filters_v5", V5, subscribe()),
        ("suback_five_codes_v4", V311, suback()),
        ("suback_five_codes_v5", V5, suback()),
        ("unsubscribe_five_filters_v4", V311, unsubscribe()),
        ("unsubscribe_five_filters_v5", V5, unsubscribe()),
        ("unsuback_v4", V311, unsuback(0)),
        ("unsuback_five_codes_v5", V5, unsuback(5)),
        ("pingreq_v4", V311, Packet::PingReq),
        ("pingreq_v5", V5, Packet::PingReq),
        ("pingresp_v4", V311, Packet::PingResp),
        ("pingresp_v5", V5, Packet::PingResp),
        ("disconnect_v4", V311, disconnect(success)),
        ("disconnect_v5", V5, disconnect(success)),
        ("disconnect_with_will_v5", V5, disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE)),
        ("auth_v5", V5, auth()),
    ];
    packets.map(|(name, version, packet)| case(name, version, packet)).into()
}

fn case(name: &'static str, version: ProtocolVersion, packet: Packet<Bytes>) -> Case {
    let from_client = packet.packet_type().may_be_sent_by(Role::Client);
    let sender = if from_client { Role::Client } else { Role::Server };
    let mut bytes = BytesMut::new();
    packet.encode(version, &mut bytes).unwrap();
    Case { name, sender, version, packet, bytes: bytes.freeze() }
}

fn none() -> Properties<Bytes> {
    Properties::EMPTY
}

fn five_properties() -> Properties<Bytes> {
    let properties = [
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(60),
        Property::ContentType("text/plain"),
        Property::CorrelationData(&[1, 2, 3, 4]),
        Property::UserProperty(("unit", "celsius")),
    ];
    Properties::new(properties).unwrap()
}

/// With so many bytes of payload.
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

fn connect(version: ProtocolVersion) -> Packet<Bytes> {
    let mut connect = Connect::new(version, Str::try_from("sensor-0001").unwrap());
    connect.user_name = Some(Str::try_from("user").unwrap());
    connect.password = Some("secret".into());
    Packet::Connect(connect)
}

fn connect_everything(version: ProtocolVersion) -> Packet<Bytes> {
    let Packet::Connect(mut connect) = connect(version) else { unreachable!() };
    let topic = TopicName::try_from("site/room/lost").unwrap();
    let mut will = Publication::new(topic, "gone").with_qos(QoS::AtLeastOnce).with_retain(true);
    if version == V5 {
        let properties = [
            Property::SessionExpiryInterval(3600),
            Property::ReceiveMaximum(100),
            Property::MaximumPacketSize(65_536),
            Property::TopicAliasMaximum(16),
            Property::UserProperty(("device", "gateway-a")),
            Property::AuthenticationMethod("SCRAM-SHA-256"),
            Property::AuthenticationData(b"n,,n=user,r=fyko"),
        ];
        connect.properties = Properties::new(properties).unwrap();
        let properties = [
            Property::WillDelayInterval(5),
            Property::MessageExpiryInterval(60),
            Property::ContentType("text/plain"),
        ];
        will = will.with_properties(Properties::new(properties).unwrap());
    }
    connect.will = Some(will);
    Packet::Connect(connect)
}

fn connack(properties: Properties<Bytes>) -> Packet<Bytes> {
    let reason = ReasonCode::SUCCESS;
    Packet::ConnAck(ConnAck { session_present: false, reason, properties })
}

fn connack_properties() -> Properties<Bytes> {
    let properties = [
        Property::ReceiveMaximum(100),
        Property::MaximumPacketSize(65_536),
        Property::AssignedClientIdentifier("auto-0001"),
        Property::TopicAliasMaximum(16),
        Property::ServerKeepAlive(30),
    ];
    Properties::new(properties).unwrap()
}

const FILTERS: [&str; 5] =
    ["a/b/c", "room/+/temperature", "room/+/humidity", "alarm/#", "$SYS/broker/load"];

fn filters() -> impl Iterator<Item = TopicFilter<Bytes>> {
    FILTERS.into_iter().map(|filter| TopicFilter::try_from(filter).unwrap())
}

fn subscribe() -> Packet<Bytes> {
    let filters = filters().map(|filter| (filter, QoS::AtLeastOnce));
    let filters = SubscribeFilters::new(filters).unwrap();
    Packet::Subscribe(Subscribe { id: PacketId::MIN, properties: none(), filters })
}

fn suback() -> Packet<Bytes> {
    let codes = FILTERS.into_iter().map(|_| ReasonCode::GRANTED_QOS_1).collect();
    Packet::SubAck(SubAck { id: PacketId::MIN, properties: none(), codes })
}

fn unsubscribe() -> Packet<Bytes> {
    let filters = UnsubscribeFilters::new(filters()).unwrap();
    Packet::Unsubscribe(Unsubscribe { id: PacketId::MIN, properties: none(), filters })
}

/// That of 3.1.1 has no codes.
fn unsuback(codes: usize) -> Packet<Bytes> {
    let codes = std::iter::repeat_n(ReasonCode::SUCCESS, codes).collect();
    Packet::UnsubAck(UnsubAck { id: PacketId::MIN, properties: none(), codes })
}

fn disconnect(reason: ReasonCode) -> Packet<Bytes> {
    Packet::Disconnect(Disconnect { reason, properties: none() })
}

fn auth() -> Packet<Bytes> {
    let properties = [
        Property::AuthenticationMethod("SCRAM-SHA-256"),
        Property::AuthenticationData(b"n,,n=user,r=fyko"),
    ];
    let properties = Properties::new(properties).unwrap();
    Packet::Auth(Auth { reason: ReasonCode::CONTINUE_AUTHENTICATION, properties })
}
