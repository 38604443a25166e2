//! Which property belongs where, how often and with which values, against
//! `data/properties-5.0.tsv`.
#![cfg(feature = "bytes")]

mod common;

use bytes::Bytes;
use common::rows;
use mqtt_proto::*;

const TABLE: &str = include_str!("data/properties-5.0.tsv");
const ROLES: [Role; 2] = [Role::Client, Role::Server];

struct Row {
    id: PropertyId,
    kind: &'static str,
    packets: Vec<&'static str>,
    occurs: &'static str,
    values: &'static str,
}

fn table() -> impl Iterator<Item = Row> {
    rows(TABLE).map(|[id, name, kind, packets, occurs, values, _]| {
        let id = PropertyId::new(number(id)).unwrap();
        assert_eq!(format!("{id:?}"), name.replace(' ', ""));
        Row { id, kind, packets: packets.split(',').collect(), occurs, values }
    })
}

fn owners() -> impl Iterator<Item = (&'static str, PropertyOwner)> {
    let packets = PacketType::ALL.map(|packet| (packet.name(), PropertyOwner::Packet(packet)));
    packets.into_iter().chain([("WILL", PropertyOwner::Will)])
}

/// The smallest legal value of this property on the wire, with its identifier.
fn smallest(row: &Row) -> Vec<u8> {
    let least = u8::from(row.values.starts_with("1.."));
    let value: &[u8] = match row.kind {
        "u8" | "varint" => &[least],
        "u16" => &[0, least],
        "u32" => &[0, 0, 0, least],
        // A response topic may not be empty.
        "string" => &[0, 1, b'a'],
        "binary" => &[0, 0],
        "string_pair" => &[0, 0, 0, 0],
        kind => panic!("{kind}"),
    };
    [&[row.id as u8], value].concat()
}

fn from_wire(list: &[u8], owner: PropertyOwner) -> Result<Properties<&[u8]>, DecodeErrorKind> {
    Properties::from_wire(list, owner)
}

/// A packet with this list, the other fields as short as they go.
fn packet(owner: PropertyOwner, list: &[u8]) -> Vec<u8> {
    let behind_length = [&[list.len() as u8], list].concat();
    let list = &behind_length[..];
    let connect = &b"\0\x04MQTT\x05"[..];
    let (first, body) = match owner {
        PropertyOwner::Will => {
            (0x10, [connect, &[4, 0, 0, 0, 0, 0], list, b"\0\x01w\0\0"].concat())
        }
        PropertyOwner::Packet(packet) => {
            let body = match packet {
                PacketType::Connect => [connect, &[0, 0, 0], list, &[0, 0]].concat(),
                PacketType::ConnAck => [&[0, 0], list].concat(),
                PacketType::Publish => [b"\0\x01a", list].concat(),
                PacketType::PubAck
                | PacketType::PubRec
                | PacketType::PubRel
                | PacketType::PubComp => [&[0, 1, 0], list].concat(),
                PacketType::Subscribe => [&[0, 1], list, b"\0\x01a\0"].concat(),
                PacketType::SubAck | PacketType::UnsubAck => [&[0, 1], list, &[0]].concat(),
                PacketType::Unsubscribe => [&[0, 1], list, b"\0\x01a"].concat(),
                PacketType::PingReq | PacketType::PingResp => list.to_vec(),
                PacketType::Disconnect => [&[0], list].concat(),
                PacketType::Auth => [&[0x18], list].concat(),
            };
            let flags = match packet {
                PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 2,
                _ => 0,
            };
            ((packet as u8) << 4 | flags, body)
        }
    };
    [&[first, body.len() as u8], &body[..]].concat()
}

/// Who may send this property in this packet: what the standard says beside the table.
fn may_send(row: &Row, owner: &str, sender: Role) -> bool {
    match (row.id, owner, sender) {
        // [MQTT-3.3.4-6]
        (PropertyId::SubscriptionIdentifier, "PUBLISH", Role::Client) => false,
        // [MQTT-3.14.2-2]
        (PropertyId::SessionExpiryInterval, "DISCONNECT", Role::Server) => false,
        // Section 3.14.2.2.5: the server sends it.
        (PropertyId::ServerReference, "DISCONNECT", Role::Client) => false,
        _ => true,
    }
}

fn may_occur_again(row: &Row, owner: &str) -> bool {
    match row.occurs {
        "once" => false,
        "many" => true,
        _ => owner == "PUBLISH",
    }
}

#[test]
fn a_property_is_accepted_where_the_table_has_it_and_nowhere_else() {
    assert_eq!(table().count(), 27);
    for row in table() {
        for (name, owner) in owners() {
            let list = smallest(&row);
            let expected = if row.packets.contains(&name) {
                Ok(PropertySet::EMPTY.with(row.id))
            } else {
                Err(DecodeErrorKind::PropertyNotAllowed(row.id))
            };
            assert_eq!(from_wire(&list, owner).map(|list| list.set()), expected, "{name}");
        }
    }
}

#[test]
fn a_packet_is_decoded_with_the_properties_it_may_have_from_this_side() {
    // PINGREQ and PINGRESP have no list.
    let lists = || owners().filter(|(name, _)| !name.starts_with("PING"));
    for row in table() {
        for (name, owner) in lists() {
            let of = match owner {
                PropertyOwner::Packet(packet) => packet,
                PropertyOwner::Will => PacketType::Connect,
            };
            for sender in ROLES.into_iter().filter(|&sender| of.may_be_sent_by(sender)) {
                let mut list = smallest(&row);
                // Data of a method needs one, and so does AUTH.
                let wants_method = row.id == PropertyId::AuthenticationData || name == "AUTH";
                if wants_method && row.id != PropertyId::AuthenticationMethod {
                    list.extend_from_slice(&[0x15, 0, 0]);
                }
                let allowed = row.packets.contains(&name) && may_send(&row, name, sender);
                let bytes = packet(owner, &list);
                let decoded = Decoder::new(sender, ProtocolVersion::V5).decode(&bytes);
                let text = format!("{:?} in {name} from {sender:?}: {decoded:?}", row.id);
                match decoded.map_err(DecodeError::kind) {
                    Ok(Status::Ready((packet, _))) => {
                        let list = match (&packet, owner) {
                            (Packet::Connect(connect), PropertyOwner::Will) => {
                                connect.will.as_ref().map(|will| &will.message.properties)
                            }
                            _ => packet.properties(),
                        };
                        assert!(allowed && list.unwrap().set().contains(row.id), "{text}");
                    }
                    Ok(Status::NeedMore(_)) => panic!("{text}"),
                    Err(kind) => {
                        assert!(!allowed, "{text}");
                        assert_eq!(kind, DecodeErrorKind::PropertyNotAllowed(row.id), "{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_property_occurs_as_often_as_the_table_says() {
    for row in table() {
        for (name, owner) in owners().filter(|(name, _)| row.packets.contains(name)) {
            let twice = smallest(&row).repeat(2);
            let expected = if may_occur_again(&row, name) {
                Ok(2)
            } else {
                Err(DecodeErrorKind::PropertyTwice(row.id))
            };
            let count = from_wire(&twice, owner).map(|list| list.iter().count());
            assert_eq!(count, expected, "{:?} in {name}", row.id);
        }
        // What is for no packet in particular may hold what some packet may.
        let once = smallest(&row);
        let property = from_wire(&once, owner_of(&row)).unwrap();
        let property = property.iter().next().unwrap();
        let built = Properties::new([property, property]);
        let many = row.occurs != "once";
        assert_eq!(built.is_ok(), many, "{:?}", row.id);
        if let Err(error) = built {
            assert_eq!(error, PropertyError::Twice(row.id));
        }
    }
}

fn owner_of(row: &Row) -> PropertyOwner {
    owners().find(|(name, _)| row.packets.contains(name)).unwrap().1
}

#[test]
fn a_property_has_the_values_of_the_table() {
    for row in table() {
        let list = |value: &[u8]| [&[row.id as u8], value].concat();
        let check = |value: &[u8], legal: bool| {
            let list = list(value);
            let checked = from_wire(&list, owner_of(&row)).map(|_| ());
            let expected = if legal { Ok(()) } else { Err(DecodeErrorKind::PropertyValue(row.id)) };
            assert_eq!(checked, expected, "{:?} {value:?}", row.id);
        };
        match (row.kind, row.values) {
            ("u8", "0..1") => (0..=255).for_each(|byte| check(&[byte], byte < 2)),
            ("u16", values) => {
                (0..=u16::MAX).for_each(|n| check(&n.to_be_bytes(), n > 0 || values == "any"));
            }
            ("u32", values) => {
                for n in [0, 1, 255, 256, 1 << 24, u32::MAX] {
                    check(&n.to_be_bytes(), n > 0 || values == "any");
                }
            }
            ("varint", "1..268435455") => {
                check(&[0], false);
                for value in [&[1][..], &[0x7f], &[0x80, 1], &[0xff, 0xff, 0xff, 0x7f]] {
                    check(value, true);
                }
                let too_long = from_wire(&list(&[0xff; 5]), owner_of(&row)).map(|_| ());
                assert_eq!(too_long, Err(DecodeErrorKind::VarIntTooLong));
            }
            ("string", "any") => {
                check(&[0, 0], row.id != PropertyId::ResponseTopic);
                let broken = list(&[0, 1, 0xff]);
                let broken = from_wire(&broken, owner_of(&row)).map(|_| ());
                assert_eq!(broken, Err(DecodeErrorKind::InvalidUtf8), "{:?}", row.id);
                let nul = from_wire(&list(&[0, 1, 0]), owner_of(&row)).map(|_| ());
                assert_eq!(nul, Err(DecodeErrorKind::NulCharacter), "{:?}", row.id);
            }
            ("binary", "any") => check(&[0, 2, 0xff, 0], true),
            ("string_pair", "any") => check(&[0, 1, b'a', 0, 1, b'b'], true),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_property_cut_short_anywhere_is_refused() {
    for row in table() {
        let list = smallest(&row);
        for len in 1..list.len() {
            let kind = from_wire(&list[..len], owner_of(&row)).map(|_| ());
            assert_eq!(kind, Err(DecodeErrorKind::PropertyLength), "{:?}", row.id);
        }
    }
}

#[test]
fn a_number_without_a_property_is_refused() {
    let known: Vec<_> = table().map(|row| row.id as u8).collect();
    for number in (0..=255).filter(|number| !known.contains(number)) {
        let owner = PropertyOwner::Packet(PacketType::ConnAck);
        let list = [number, 0, 0, 0, 0];
        let kind = from_wire(&list, owner).map(|_| ());
        assert_eq!(kind, Err(DecodeErrorKind::PropertyUnknown(number)));
    }
}

#[test]
fn a_property_is_encoded_where_the_table_has_it_and_nowhere_else() {
    for row in table() {
        let list = Bytes::from(smallest(&row));
        let properties = Properties::from_wire(list, owner_of(&row)).unwrap();
        let publish = |properties: Properties<Bytes>, retain| Publication {
            message: Message {
                topic: TopicName::try_from("a").unwrap(),
                payload: Bytes::new(),
                properties,
            },
            qos: QoS::AtMostOnce,
            retain,
        };
        let mut connect = Connect::new(ProtocolVersion::V5, Str::try_from("").unwrap());
        connect.will = Some(publish(properties.clone(), false));
        let is = |error, name: &str| {
            let expected = if row.packets.contains(&name) {
                None
            } else {
                Some(EncodeError::PropertyNotAllowed(row.id))
            };
            assert_eq!(error, expected, "{:?} in {name}", row.id);
        };
        let len = |packet: Packet<Bytes>| packet.encoded_len(ProtocolVersion::V5).err();
        is(len(Packet::Connect(connect)), "WILL");
        let ack = Ack { id: PacketId::MIN, reason: ReasonCode::SUCCESS, properties };
        is(len(Packet::PubAck(ack.clone())), "PUBACK");
        is(len(Packet::PubRec(ack.clone())), "PUBREC");
        is(len(Packet::PubRel(ack.clone())), "PUBREL");
        is(len(Packet::PubComp(ack.clone())), "PUBCOMP");
        let message = publish(ack.properties.clone(), false).message;
        let delivery = Delivery::AtMostOnce;
        is(len(Packet::Publish(Publish { delivery, retain: false, message })), "PUBLISH");
        let (reason, properties) = (ack.reason, ack.properties);
        let disconnect = Disconnect { reason, properties: properties.clone() };
        is(len(Packet::Disconnect(disconnect)), "DISCONNECT");
        is(len(Packet::ConnAck(ConnAck { session_present: false, reason, properties })), "CONNACK");
    }
}

#[test]
fn text_and_numbers_out_of_range_cannot_be_written() {
    let long = "a".repeat(65_536);
    for (property, error) in [
        (Property::TopicAlias(0), PropertyError::Value(PropertyId::TopicAlias)),
        (Property::ReceiveMaximum(0), PropertyError::Value(PropertyId::ReceiveMaximum)),
        (Property::MaximumPacketSize(0), PropertyError::Value(PropertyId::MaximumPacketSize)),
        (
            Property::SubscriptionIdentifier(268_435_456),
            PropertyError::Value(PropertyId::SubscriptionIdentifier),
        ),
        (
            Property::ContentType("\0"),
            PropertyError::Text(PropertyId::ContentType, StringError::Nul),
        ),
        (
            Property::ContentType(&long),
            PropertyError::Text(PropertyId::ContentType, StringError::TooLong),
        ),
        (
            Property::ResponseTopic("a/+"),
            PropertyError::Text(PropertyId::ResponseTopic, StringError::Wildcard),
        ),
        (
            Property::ResponseTopic(""),
            PropertyError::Text(PropertyId::ResponseTopic, StringError::Empty),
        ),
        (
            Property::UserProperty(("a", &long)),
            PropertyError::Text(PropertyId::UserProperty, StringError::TooLong),
        ),
        (
            Property::CorrelationData(long.as_bytes()),
            PropertyError::TooLong(PropertyId::CorrelationData),
        ),
    ] {
        let mut builder = PropertiesBuilder::new();
        builder.push(Property::ReasonString("before")).unwrap();
        assert_eq!(builder.push(property).map(|_| ()), Err(error));
        builder.push(Property::ServerKeepAlive(1)).unwrap();
        let expected = [Property::ReasonString("before"), Property::ServerKeepAlive(1)];
        assert!(builder.build().iter().eq(expected), "a refused property left a trace");
    }
}

#[test]
fn a_getter_finds_its_property_among_others_and_the_first_of_many() {
    let list = Properties::new([
        Property::UserProperty(("a", "1")),
        Property::SubscriptionIdentifier(7),
        Property::ContentType("text/plain"),
        Property::UserProperty(("b", "2")),
        Property::SubscriptionIdentifier(300),
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(60),
        Property::TopicAlias(9),
        Property::CorrelationData(b"\xff"),
    ])
    .unwrap();
    assert_eq!(list.user_property(), Some(("a", "1")));
    assert!(list.user_properties().eq([("a", "1"), ("b", "2")]));
    assert_eq!(list.subscription_identifier(), Some(7));
    assert!(list.subscription_identifiers().eq([7, 300]));
    assert_eq!(list.content_type(), Some("text/plain"));
    assert_eq!(list.payload_format_indicator(), Some(true));
    assert_eq!(list.message_expiry_interval(), Some(60));
    assert_eq!(list.topic_alias(), Some(9));
    assert_eq!(list.correlation_data(), Some(&b"\xff"[..]));
    assert_eq!(list.response_topic(), None);
    assert_eq!(list.reason_string(), None);
}

/// `0x8C`.
fn number(text: &str) -> u8 {
    u8::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}
