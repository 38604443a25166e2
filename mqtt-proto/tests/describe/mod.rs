//! Packets as JSON, in the words of `data/wellformed.tsv`.

use mqtt_proto::{
    Ack, Connect, Packet, Properties, Property, ProtocolVersion, Publish, ReasonCodes, Storage,
    SubscribeFilters,
};
use serde_json::{Value, json};

pub(crate) fn describe<B: Storage>(packet: &Packet<B>, version: ProtocolVersion) -> Value {
    let v5 = version == ProtocolVersion::V5;
    let mut out = match packet {
        Packet::Connect(packet) => connect(&packet.fields()),
        Packet::ConnAck(packet) => json!({
            "session_present": packet.session_present,
            "code": if v5 { Some(packet.reason.get()) } else { packet.reason.connect_return_code() },
        }),
        Packet::Publish(packet) => publish(packet),
        Packet::PubAck(packet)
        | Packet::PubRec(packet)
        | Packet::PubRel(packet)
        | Packet::PubComp(packet) => ack(packet, v5),
        Packet::Subscribe(packet) => {
            json!({ "packet_id": packet.id.get(), "filters": filters(&packet.filters, v5) })
        }
        Packet::SubAck(packet) => {
            json!({ "packet_id": packet.id.get(), "codes": codes(&packet.codes) })
        }
        Packet::Unsubscribe(packet) => {
            let filters = packet.filters.iter().map(|filter| json!(filter.as_str()));
            json!({ "packet_id": packet.id.get(), "filters": filters.collect::<Value>() })
        }
        Packet::UnsubAck(packet) if v5 => {
            json!({ "packet_id": packet.id.get(), "codes": codes(&packet.codes) })
        }
        Packet::UnsubAck(packet) => json!({ "packet_id": packet.id.get() }),
        Packet::Disconnect(packet) if v5 => json!({ "reason": packet.reason.get() }),
        Packet::Auth(packet) => json!({ "reason": packet.reason.get() }),
        Packet::Disconnect(_) | Packet::PingReq | Packet::PingResp => json!({}),
    };
    out["type"] = packet.packet_type().name().to_lowercase().into();
    match (v5, packet.properties()) {
        (true, Some(list)) => out["properties"] = properties(list),
        (false, Some(list)) => assert!(list.is_empty()),
        (_, None) => {}
    }
    out
}

fn connect<B: Storage>(packet: &Connect<B>) -> Value {
    let v5 = packet.version == ProtocolVersion::V5;
    let mut out = json!({
        "protocol_name": "MQTT",
        "protocol_level": packet.version.level(),
        "keep_alive": packet.keep_alive,
        "client_id": packet.client_id.as_str(),
    });
    out[if v5 { "clean_start" } else { "clean_session" }] = packet.clean_start.into();
    if let Some(will) = &packet.will {
        out["will"] = json!({
            "qos": will.qos.bits(),
            "retain": will.retain,
            "topic": will.message.topic.as_str(),
            "payload": hex(will.message.payload.as_ref()),
        });
        if v5 {
            out["will"]["properties"] = properties(&will.message.properties);
        }
    }
    if let Some(name) = &packet.user_name {
        out["username"] = name.as_str().into();
    }
    if let Some(password) = &packet.password {
        out["password"] = hex(password.as_ref());
    }
    out
}

fn publish<B: Storage>(packet: &Publish<B>) -> Value {
    let mut out = json!({
        "dup": packet.delivery.dup(),
        "qos": packet.delivery.qos().bits(),
        "retain": packet.retain,
        "topic": packet.message.topic.as_str(),
        "payload": hex(packet.message.payload.as_ref()),
    });
    if let Some(id) = packet.delivery.id() {
        out["packet_id"] = id.get().into();
    }
    out
}

fn ack<B: Storage>(packet: &Ack<B>, v5: bool) -> Value {
    let mut out = json!({ "packet_id": packet.id.get() });
    if v5 {
        out["reason"] = packet.reason.get().into();
    } else {
        assert_eq!(packet.reason.get(), 0);
    }
    out
}

fn filters<B: Storage>(filters: &SubscribeFilters<B>, v5: bool) -> Value {
    let describe = |(filter, options): (mqtt_proto::TopicFilter<&[u8]>, _)| {
        let mqtt_proto::SubscriptionOptions { qos, no_local, retain_as_published, retain_handling } =
            options;
        let mut out = json!({ "filter": filter.as_str(), "qos": qos.bits() });
        if v5 {
            out["no_local"] = no_local.into();
            out["retain_as_published"] = retain_as_published.into();
            out["retain_handling"] = (retain_handling as u8).into();
        }
        out
    };
    filters.iter().map(describe).collect()
}

fn codes<B: Storage>(codes: &ReasonCodes<B>) -> Value {
    codes.iter().map(|code| json!(code.get())).collect()
}

fn properties<B: Storage>(list: &Properties<B>) -> Value {
    let mut out = json!({});
    for property in list.iter() {
        match property {
            Property::SubscriptionIdentifier(_) => {
                let ids = list.subscription_identifiers().map(Value::from);
                out["subscription_identifier"] = ids.collect();
            }
            Property::UserProperty(_) => {
                let pairs = list.user_properties().map(|(name, value)| json!([name, value]));
                out["user_property"] = pairs.collect();
            }
            single => {
                let name = snake_case(&format!("{:?}", single.id()));
                assert_eq!(out.get(&name), None, "{name} twice");
                out[name] = value(single);
            }
        }
    }
    out
}

fn value(property: Property<'_>) -> Value {
    use Property::*;
    match property {
        PayloadFormatIndicator(flag)
        | RequestProblemInformation(flag)
        | RequestResponseInformation(flag)
        | MaximumQoS(flag)
        | RetainAvailable(flag)
        | WildcardSubscriptionAvailable(flag)
        | SubscriptionIdentifierAvailable(flag)
        | SharedSubscriptionAvailable(flag) => u8::from(flag).into(),
        ServerKeepAlive(number)
        | ReceiveMaximum(number)
        | TopicAliasMaximum(number)
        | TopicAlias(number) => number.into(),
        MessageExpiryInterval(number)
        | SubscriptionIdentifier(number)
        | SessionExpiryInterval(number)
        | WillDelayInterval(number)
        | MaximumPacketSize(number) => number.into(),
        ContentType(text)
        | ResponseTopic(text)
        | AssignedClientIdentifier(text)
        | AuthenticationMethod(text)
        | ResponseInformation(text)
        | ServerReference(text)
        | ReasonString(text) => text.into(),
        CorrelationData(bytes) | AuthenticationData(bytes) => hex(bytes),
        UserProperty((name, value)) => json!([name, value]),
    }
}

fn hex(bytes: &[u8]) -> Value {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// `MaximumQoS` is `maximum_qos`.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.replace("QoS", "Qos").char_indices() {
        if at > 0 && letter.is_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
