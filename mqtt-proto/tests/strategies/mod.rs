//! Every packet of both versions, as either side may send it.

use bytes::Bytes;
use mqtt_proto::*;
use proptest::{collection::vec, option, prelude::*, sample};

/// A packet, who sends it and on a connection of which version.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) sender: Role,
    pub(crate) version: ProtocolVersion,
    pub(crate) packet: Packet<Bytes>,
}

pub(crate) fn version() -> impl Strategy<Value = ProtocolVersion> {
    sample::select(&[ProtocolVersion::V311, ProtocolVersion::V5])
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    sample::select(&[Role::Client, Role::Server])
}

pub(crate) fn sent() -> impl Strategy<Value = Sent> {
    (role(), version()).prop_flat_map(|(sender, version)| {
        packet(sender, version).prop_map(move |packet| Sent { sender, version, packet })
    })
}

pub(crate) fn packet(sender: Role, version: ProtocolVersion) -> BoxedStrategy<Packet<Bytes>> {
    let types: Vec<_> = PacketType::ALL
        .into_iter()
        .filter(|packet| packet.may_be_sent_by(sender))
        .filter(|&packet| match (version, packet) {
            (ProtocolVersion::V311, PacketType::Auth) => false,
            (ProtocolVersion::V311, PacketType::Disconnect) => sender == Role::Client,
            _ => true,
        })
        .collect();
    sample::select(types).prop_flat_map(move |of| packet_of(of, sender, version)).boxed()
}

fn packet_of(
    packet: PacketType,
    sender: Role,
    version: ProtocolVersion,
) -> BoxedStrategy<Packet<Bytes>> {
    let properties = || properties(PropertyOwner::Packet(packet), sender, version);
    let reason = || reason(packet, sender, version);
    let ack = || {
        (packet_id(), reason(), properties()).prop_map(|(id, reason, properties)| Ack {
            id,
            reason,
            properties,
        })
    };
    match packet {
        PacketType::Connect => {
            connect(version).prop_map(|connect| connect.to_packet().unwrap()).boxed()
        }
        PacketType::ConnAck => (any::<bool>(), reason(), properties())
            .prop_map(|(present, reason, properties)| {
                let session_present = present && reason == ReasonCode::SUCCESS;
                Packet::ConnAck(ConnAck { session_present, reason, properties })
            })
            .boxed(),
        PacketType::Publish => publish(sender, version).prop_map(Packet::Publish).boxed(),
        PacketType::PubAck => ack().prop_map(Packet::PubAck).boxed(),
        PacketType::PubRec => ack().prop_map(Packet::PubRec).boxed(),
        PacketType::PubRel => ack().prop_map(Packet::PubRel).boxed(),
        PacketType::PubComp => ack().prop_map(Packet::PubComp).boxed(),
        PacketType::Subscribe => (packet_id(), properties(), subscribe_filters(version))
            .prop_map(|(id, properties, filters)| {
                Packet::Subscribe(Subscribe { id, properties, filters })
            })
            .boxed(),
        PacketType::SubAck => (packet_id(), properties(), vec(reason(), 1..6))
            .prop_map(|(id, properties, codes)| {
                Packet::SubAck(SubAck { id, properties, codes: codes.into_iter().collect() })
            })
            .boxed(),
        PacketType::Unsubscribe => (packet_id(), properties(), vec(topic_filter(), 1..6))
            .prop_map(|(id, properties, filters)| {
                let filters = UnsubscribeFilters::new(filters).unwrap();
                Packet::Unsubscribe(Unsubscribe { id, properties, filters })
            })
            .boxed(),
        PacketType::UnsubAck => {
            let len = if version == ProtocolVersion::V5 { 1..6 } else { 0..1 };
            (packet_id(), properties(), vec(reason(), len))
                .prop_map(|(id, properties, codes)| {
                    let codes = codes.into_iter().collect();
                    Packet::UnsubAck(UnsubAck { id, properties, codes })
                })
                .boxed()
        }
        PacketType::PingReq => Just(Packet::PingReq).boxed(),
        PacketType::PingResp => Just(Packet::PingResp).boxed(),
        PacketType::Disconnect => (reason(), properties())
            .prop_map(|(reason, properties)| Packet::Disconnect(Disconnect { reason, properties }))
            .boxed(),
        PacketType::Auth => (reason(), properties())
            .prop_map(|(reason, properties)| {
                let method = Property::AuthenticationMethod("SCRAM-SHA-1");
                let list = if properties.authentication_method().is_some() {
                    properties
                } else {
                    Properties::new(properties.iter().chain([method])).unwrap()
                };
                Packet::Auth(Auth { reason, properties: list })
            })
            .boxed(),
    }
}

fn connect(version: ProtocolVersion) -> impl Strategy<Value = Connect<Bytes>> {
    let owner = PropertyOwner::Packet(PacketType::Connect);
    let names = (text(), option::of(text()), option::of(bytes()));
    let will = option::of(publication(version));
    (any::<bool>(), any::<u16>(), names, will, properties(owner, Role::Client, version)).prop_map(
        move |(clean_start, keep_alive, (client_id, user_name, password), will, properties)| {
            let without_name = version == ProtocolVersion::V311 && user_name.is_none();
            Connect {
                version,
                clean_start,
                keep_alive,
                client_id: Str::try_from(client_id).unwrap(),
                will,
                user_name: user_name.map(|name| Str::try_from(name).unwrap()),
                password: password.filter(|_| !without_name),
                properties: with_method(properties),
            }
        },
    )
}

/// Authentication data needs a method.
fn with_method(list: Properties<Bytes>) -> Properties<Bytes> {
    if list.authentication_data().is_some() && list.authentication_method().is_none() {
        let method = Property::AuthenticationMethod("");
        Properties::new(list.iter().chain([method])).unwrap()
    } else {
        list
    }
}

pub(crate) fn publication(version: ProtocolVersion) -> impl Strategy<Value = Publication<Bytes>> {
    let properties = properties(PropertyOwner::Will, Role::Client, version);
    (qos(), any::<bool>(), topic_name(), bytes(), properties).prop_map(
        |(qos, retain, topic, payload, properties)| Publication {
            qos,
            retain,
            message: Message { topic, payload, properties },
        },
    )
}

pub(crate) fn publish(
    sender: Role,
    version: ProtocolVersion,
) -> impl Strategy<Value = Publish<Bytes>> {
    let properties = properties(PropertyOwner::Packet(PacketType::Publish), sender, version);
    let delivery = (qos(), packet_id(), any::<bool>()).prop_map(|(qos, id, dup)| match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { id, dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { id, dup },
    });
    // An alias may stand for the name.
    let topic = (topic_name(), any::<bool>());
    (delivery, any::<bool>(), topic, bytes(), properties).prop_map(
        |(delivery, retain, (topic, aliased), payload, properties)| {
            let aliased = aliased && properties.topic_alias().is_some();
            let topic = if aliased { TopicName::default() } else { topic };
            Publish { delivery, retain, message: Message { topic, payload, properties } }
        },
    )
}

fn subscribe_filters(version: ProtocolVersion) -> impl Strategy<Value = SubscribeFilters<Bytes>> {
    let handling = sample::select(&[
        RetainHandling::Send,
        RetainHandling::SendIfNew,
        RetainHandling::DoNotSend,
    ]);
    let options = (qos(), any::<bool>(), any::<bool>(), handling);
    vec((topic_filter(), options), 1..6).prop_map(move |filters| {
        let filters = filters.into_iter().map(
            |(filter, (qos, no_local, retain_as_published, retain_handling))| {
                let options = match version {
                    ProtocolVersion::V311 => SubscriptionOptions::new(qos),
                    ProtocolVersion::V5 => SubscriptionOptions {
                        qos,
                        no_local: no_local && filter.shared().is_none(),
                        retain_as_published,
                        retain_handling,
                    },
                };
                (filter, options)
            },
        );
        SubscribeFilters::new(filters).unwrap()
    })
}

fn qos() -> impl Strategy<Value = QoS> {
    sample::select(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

fn reason(
    packet: PacketType,
    sender: Role,
    version: ProtocolVersion,
) -> impl Strategy<Value = ReasonCode> {
    let codes = (0..=255).map(ReasonCode::new).filter(|code| match (version, packet) {
        (ProtocolVersion::V5, _) => code.is_legal_in(packet, sender),
        (_, PacketType::ConnAck) => code.connect_return_code().is_some(),
        (_, PacketType::SubAck) => matches!(code.get(), 0..=2 | 0x80),
        _ => *code == ReasonCode::SUCCESS,
    });
    sample::select(codes.collect::<Vec<_>>())
}

fn letter() -> impl Strategy<Value = char> {
    prop_oneof![
        8 => (b' '..=b'~').prop_map(char::from),
        1 => any::<char>().prop_filter("U+0000", |&letter| letter != '\0'),
    ]
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    vec(letter(), 0..24).prop_map(String::from_iter)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![8 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 0..400)].prop_map(Bytes::from)
}

fn plain_level(len: core::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec(letter(), len)
        .prop_map(|letters| letters.into_iter().filter(|letter| !"+#/".contains(*letter)).collect())
}

fn topic_name() -> impl Strategy<Value = TopicName<Bytes>> {
    vec(plain_level(0..8), 1..5).prop_map(|levels| {
        let name = levels.join("/");
        TopicName::try_from(if name.is_empty() { "/" } else { &name }).unwrap()
    })
}

fn topic_filter() -> impl Strategy<Value = TopicFilter<Bytes>> {
    let level = prop_oneof![3 => plain_level(0..8), 1 => Just("+".to_owned())];
    let share = option::weighted(0.2, plain_level(1..8));
    (share, vec(level, 0..4), any::<bool>()).prop_map(|(share, mut levels, all)| {
        if all || levels.is_empty() || levels == [""] {
            levels.push("#".to_owned());
        }
        let filter = levels.join("/");
        let filter = match share.filter(|name| !name.is_empty()) {
            Some(name) => format!("$share/{name}/{filter}"),
            None => filter,
        };
        TopicFilter::try_from(filter).unwrap()
    })
}

/// A list that `sender` may put into this packet, empty in 3.1.1, in any order.
pub(crate) fn properties(
    owner: PropertyOwner,
    sender: Role,
    version: ProtocolVersion,
) -> BoxedStrategy<Properties<Bytes>> {
    if version == ProtocolVersion::V311 {
        return Just(Properties::EMPTY).boxed();
    }
    let ids: Vec<_> = PropertyId::ALL
        .into_iter()
        .filter(|&id| match (owner, sender, id) {
            (PropertyOwner::Packet(PacketType::Publish), Role::Client, id) => {
                id != PropertyId::SubscriptionIdentifier
            }
            (PropertyOwner::Packet(PacketType::Disconnect), Role::Client, id) => {
                id != PropertyId::ServerReference
            }
            (PropertyOwner::Packet(PacketType::Disconnect), Role::Server, id) => {
                id != PropertyId::SessionExpiryInterval
            }
            _ => true,
        })
        .filter(|&id| owner_has(owner, id))
        .collect();
    let often = |id| match id {
        PropertyId::UserProperty => 3,
        PropertyId::SubscriptionIdentifier
            if owner == PropertyOwner::Packet(PacketType::Publish) =>
        {
            3
        }
        _ => 1,
    };
    let ids: Vec<_> = ids.into_iter().flat_map(|id| vec![id; often(id)]).collect();
    let max = ids.len();
    let some = sample::subsequence(ids, 0..=max).prop_shuffle();
    (some, vec((any::<u32>(), text(), text()), max))
        .prop_map(|(ids, values)| {
            let mut builder = PropertiesBuilder::new();
            for (id, (number, text, other)) in ids.into_iter().zip(&values) {
                builder.push(property(id, *number, text, other)).unwrap();
            }
            builder.build()
        })
        .boxed()
}

fn owner_has(owner: PropertyOwner, id: PropertyId) -> bool {
    let list = Properties::new([property(id, 1, "a", "a")]).unwrap();
    Properties::from_wire(list.as_bytes(), owner).is_ok()
}

/// A legal value of this property, made of these.
pub(crate) fn property<'a>(
    id: PropertyId,
    number: u32,
    text: &'a str,
    other: &'a str,
) -> Property<'a> {
    let flag = number & 1 != 0;
    let short = number as u16;
    match id {
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(flag),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(number),
        PropertyId::ContentType => Property::ContentType(text),
        PropertyId::ResponseTopic => Property::ResponseTopic(if text.contains(['+', '#']) {
            "response"
        } else if text.is_empty() {
            "/"
        } else {
            text
        }),
        PropertyId::CorrelationData => Property::CorrelationData(text.as_bytes()),
        PropertyId::SubscriptionIdentifier => {
            // Of every length alike.
            Property::SubscriptionIdentifier((number >> 4 >> (number & 31)).max(1))
        }
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(number),
        PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(text),
        PropertyId::ServerKeepAlive => Property::ServerKeepAlive(short),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(text),
        PropertyId::AuthenticationData => Property::AuthenticationData(text.as_bytes()),
        PropertyId::RequestProblemInformation => Property::RequestProblemInformation(flag),
        PropertyId::WillDelayInterval => Property::WillDelayInterval(number),
        PropertyId::RequestResponseInformation => Property::RequestResponseInformation(flag),
        PropertyId::ResponseInformation => Property::ResponseInformation(text),
        PropertyId::ServerReference => Property::ServerReference(text),
        PropertyId::ReasonString => Property::ReasonString(text),
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(short.max(1)),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(short),
        PropertyId::TopicAlias => Property::TopicAlias(short.max(1)),
        PropertyId::MaximumQoS => Property::MaximumQoS(flag),
        PropertyId::RetainAvailable => Property::RetainAvailable(flag),
        PropertyId::UserProperty => Property::UserProperty((text, other)),
        PropertyId::MaximumPacketSize => Property::MaximumPacketSize(number.max(1)),
        PropertyId::WildcardSubscriptionAvailable => Property::WildcardSubscriptionAvailable(flag),
        PropertyId::SubscriptionIdentifierAvailable => {
            Property::SubscriptionIdentifierAvailable(flag)
        }
        PropertyId::SharedSubscriptionAvailable => Property::SharedSubscriptionAvailable(flag),
    }
}
