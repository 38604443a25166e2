//! Property lists, section 2.2.2 and the properties of each packet.

use bytes::Bytes;
use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, MALFORMED, PROTOCOL},
    common::{
        ROLES,
        properties::{Cell, State, carrier, matrix, numbered, owners, packet, table},
        wire::unhex,
    },
    samples::{name, publish, samples, text},
};

/// What each statement is about: a property, in a list.
const STATEMENTS: [(&str, &str, PropertyId); 54] = {
    use PropertyId::*;
    [
        ("v5 U5-3.1.2.11.2-1", "CONNECT", SessionExpiryInterval),
        ("v5 U5-3.1.2.11.3-1", "CONNECT", ReceiveMaximum),
        ("v5 U5-3.1.2.11.4-1", "CONNECT", MaximumPacketSize),
        ("v5 U5-3.1.2.11.5-1", "CONNECT", TopicAliasMaximum),
        ("v5 U5-3.1.2.11.6-1", "CONNECT", RequestResponseInformation),
        ("v5 U5-3.1.2.11.7-1", "CONNECT", RequestProblemInformation),
        ("v5 U5-3.1.2.11.9-1", "CONNECT", AuthenticationMethod),
        ("v5 U5-3.1.2.11.10-1", "CONNECT", AuthenticationData),
        ("v5 U5-3.1.3.2.2-1", "WILL", WillDelayInterval),
        ("v5 U5-3.1.3.2.3-1", "WILL", PayloadFormatIndicator),
        ("v5 U5-3.1.3.2.4-1", "WILL", MessageExpiryInterval),
        ("v5 U5-3.1.3.2.5-1", "WILL", ContentType),
        ("v5 U5-3.1.3.2.6-1", "WILL", ResponseTopic),
        ("v5 U5-3.1.3.2.7-1", "WILL", CorrelationData),
        ("v5 U5-3.2.2.3.2-1", "CONNACK", SessionExpiryInterval),
        ("v5 U5-3.2.2.3.3-1", "CONNACK", ReceiveMaximum),
        ("v5 U5-3.2.2.3.4-1", "CONNACK", MaximumQoS),
        ("v5 U5-3.2.2.3.5-1", "CONNACK", RetainAvailable),
        ("v5 U5-3.2.2.3.6-1", "CONNACK", MaximumPacketSize),
        ("v5 U5-3.2.2.3.7-1", "CONNACK", AssignedClientIdentifier),
        ("v5 U5-3.2.2.3.8-1", "CONNACK", TopicAliasMaximum),
        ("v5 U5-3.2.2.3.9-1", "CONNACK", ReasonString),
        ("v5 U5-3.2.2.3.11-1", "CONNACK", WildcardSubscriptionAvailable),
        ("v5 U5-3.2.2.3.12-1", "CONNACK", SubscriptionIdentifierAvailable),
        ("v5 U5-3.2.2.3.13-1", "CONNACK", SharedSubscriptionAvailable),
        ("v5 U5-3.2.2.3.14-1", "CONNACK", ServerKeepAlive),
        ("v5 U5-3.2.2.3.15-1", "CONNACK", ResponseInformation),
        ("v5 U5-3.2.2.3.16-1", "CONNACK", ServerReference),
        ("v5 U5-3.2.2.3.17-1", "CONNACK", AuthenticationMethod),
        ("v5 U5-3.2.2.3.18-1", "CONNACK", AuthenticationData),
        ("v5 U5-3.3.2.3.2-1", "PUBLISH", PayloadFormatIndicator),
        ("v5 U5-3.3.2.3.3-1", "PUBLISH", MessageExpiryInterval),
        ("v5 U5-3.3.2.3.4-1", "PUBLISH", TopicAlias),
        ("v5 MQTT-3.3.2-8", "PUBLISH", TopicAlias),
        ("v5 U5-3.3.2.3.5-1", "PUBLISH", ResponseTopic),
        ("v5 MQTT-3.3.2-14", "PUBLISH", ResponseTopic),
        ("v5 U5-3.3.2.3.6-1", "PUBLISH", CorrelationData),
        ("v5 U5-3.3.2.3.8-1", "PUBLISH", SubscriptionIdentifier),
        ("v5 U5-3.3.2.3.9-1", "PUBLISH", ContentType),
        ("v5 U5-3.4.2.2.2-1", "PUBACK", ReasonString),
        ("v5 U5-3.4.2.2.2-1", "PUBREC", ReasonString),
        ("v5 U5-3.4.2.2.2-1", "PUBREL", ReasonString),
        ("v5 U5-3.4.2.2.2-1", "PUBCOMP", ReasonString),
        ("v5 U5-3.4.2.2.2-1", "SUBACK", ReasonString),
        ("v5 U5-3.4.2.2.2-1", "UNSUBACK", ReasonString),
        ("v5 U5-3.8.2.1.2-1", "SUBSCRIBE", SubscriptionIdentifier),
        ("v5 U5-3.14.2.2.2-1", "DISCONNECT", SessionExpiryInterval),
        ("v5 U5-3.14.2.2.3-1", "DISCONNECT", ReasonString),
        ("v5 U5-3.14.2.2.5-1", "DISCONNECT", ServerReference),
        ("v5 U5-3.15.2.2.2-1", "AUTH", AuthenticationMethod),
        ("v5 U5-3.15.2.2.3-1", "AUTH", AuthenticationData),
        ("v5 U5-3.15.2.2.4-1", "AUTH", ReasonString),
        ("v5 MQTT-1.5.7-1", "PUBLISH", UserProperty),
        ("v5 MQTT-1.5.7-1", "CONNECT", UserProperty),
    ]
};

fn check_cell(run: &mut Run, ids: &[&str], cell: &Cell<'_>, from: impl Fn(Role) -> bool) {
    for sender in ROLES.into_iter().filter(|&sender| from(sender)) {
        cell.check_decoding(sender, &mut |holds, what| run.decoding(ids).holds(holds, what));
    }
    cell.check_encoding(&mut |holds, what| run.encoding(ids).holds(holds, what));
}

/// Absent, once, twice, with the least and the greatest value and with illegal ones, from who may send it.
pub(crate) fn every_property_of_every_list(run: &mut Run) {
    let table = table();
    for (id, name, property) in STATEMENTS {
        let mut states = 0;
        for cell in matrix(&table).filter(|cell| cell.row.id == property && cell.name == name) {
            let packet = carrier(cell.owner);
            let may_send = |from| packet.may_be_sent_by(from) && cell.row.may_come_from(name, from);
            check_cell(run, &[id], &cell, may_send);
            states += 1;
        }
        assert_eq!(states, State::ALL.len(), "{id}: {property:?} in {name}");
    }
}

/// Each property in each list that it is not for, and, where every value is legal, cut short.
pub(crate) fn properties_where_they_do_not_belong(run: &mut Run) {
    let table = table();
    let any_value = ["u16", "u32", "binary"];
    for cell in matrix(&table) {
        let (row, name) = (cell.row, cell.name);
        let of = carrier(cell.owner);
        if !row.belongs_in(name) && cell.state != State::Illegal && !name.starts_with("PING")
            || row.belongs_in(name)
                && cell.state == State::Illegal
                && row.values == "any"
                && any_value.contains(&row.kind)
        {
            check_cell(run, &["v5 U5-2.2.2.2-1"], &cell, |from| of.may_be_sent_by(from));
        }
        let of_one_side = match (row.id, name) {
            (PropertyId::SubscriptionIdentifier, "PUBLISH") => {
                ("v5 MQTT-3.3.4-6", Role::Client, Role::Server)
            }
            (PropertyId::SessionExpiryInterval, "DISCONNECT") => {
                ("v5 MQTT-3.14.2-2", Role::Server, Role::Client)
            }
            _ => continue,
        };
        let (id, from, other) = of_one_side;
        for from in [from, other] {
            cell.check_decoding(from, &mut |holds, what| run.decoding(&[id]).holds(holds, what));
        }
    }
}

/// Numbers that stand for no property, also those of two bytes, in every list; no value is made of them.
pub(crate) fn unknown_identifiers(run: &mut Run) {
    let ids = &["v5 U5-2.2.2.2-2"];
    let known: Vec<_> = table().iter().map(|row| row.id as u8).collect();
    for (name, owner) in owners().filter(|(name, _)| !name.starts_with("PING")) {
        let of = carrier(owner);
        for sender in ROLES.into_iter().filter(|&sender| of.may_be_sent_by(sender)) {
            for number in (0..=u8::MAX).filter(|number| !known.contains(number)) {
                for rest in [&[][..], &[0], &[1, 0, 0, 0, 0]] {
                    let bytes = packet(owner, &[&[number], rest].concat());
                    let kind = DecodeErrorKind::PropertyUnknown(number);
                    check::refuses(run, ids, sender, &bytes, kind, MALFORMED);
                }
            }
            // 128 and 129 in their shortest form, and 1 in a longer one.
            for (list, number) in
                [(numbered(128, &[0]), 0x80), (numbered(129, &[0]), 0x81), (vec![0x81, 0, 0], 0x81)]
            {
                let kind = DecodeErrorKind::PropertyUnknown(number);
                check::refuses(run, ids, sender, &packet(owner, &list), kind, MALFORMED);
            }
        }
        for number in 0..=u8::MAX {
            let id = PropertyId::new(number).map(|id| id as u8);
            let expected = known.contains(&number).then_some(number);
            run.encoding(ids).equal(id, expected, number);
            if expected.is_none() {
                let made = Properties::from_wire(&[number, 0][..], owner).map(|_| ());
                let error = Err(DecodeErrorKind::PropertyUnknown(number));
                run.encoding(ids).equal(made, error, format_args!("{number} in {name}"));
            }
        }
    }
}

/// An empty list is one byte, which has to be there.
pub(crate) fn empty_lists(run: &mut Run) {
    let ids = &["v5 MQTT-2.2.2-1"];
    for sample in samples(ProtocolVersion::V5) {
        let before = match sample.packet_type {
            PacketType::Connect => "100a 0004 4d515454 05 02 003c",
            PacketType::ConnAck => "2002 00 00",
            PacketType::Publish => "3003 0001 61",
            PacketType::Subscribe => "8202 0001",
            PacketType::SubAck => "9002 0001",
            PacketType::Unsubscribe => "a202 0001",
            PacketType::UnsubAck => "b002 0001",
            // The others leave out an empty list, or have none.
            _ => continue,
        };
        let kind = DecodeErrorKind::UnexpectedEnd;
        let before = unhex(before);
        check::refuses(run, ids, sample.from, &before, kind, MALFORMED);
        let start = [&sample.bytes[..2], &before[2..], &[0]].concat();
        run.encoding(ids).holds(sample.bytes.starts_with(&start), sample.packet_type.name());
        check::both_ways(run, ids, sample.from, &sample.bytes, &sample.packet);
    }
    let mut connect = Connect::new(ProtocolVersion::V5, text(""));
    connect.will = Some(Publication::new(name("w"), ""));
    let bytes = unhex("1013 0004 4d515454 05 06 003c 00 0000 00 0001 77 0000");
    check::both_ways(run, ids, Role::Client, &bytes, &Packet::Connect(connect));
    let bytes = unhex("100d 0004 4d515454 05 06 003c 00 0000");
    check::refuses(run, ids, Role::Client, &bytes, DecodeErrorKind::UnexpectedEnd, MALFORMED);
    // Where the code is followed by something, the list is not left out.
    for (hex, from) in [("4004 0001 10 00", Role::Client), ("e002 80 00", Role::Server)] {
        check::accepts(run, ids, from, &unhex(hex));
    }
}

/// Authentication Data is data of a method.
pub(crate) fn data_without_a_method(run: &mut Run) {
    let ids = &["v5 U5-3.1.2.11.10-1"];
    let mut connect = Connect::new(ProtocolVersion::V5, text(""));
    connect.properties = Properties::new([Property::AuthenticationData(b"d")]).unwrap();
    let error = EncodeError::NoAuthenticationMethod;
    check::does_not_encode(run, ids, &Packet::Connect(connect.clone()), error);
    let bytes = unhex("1011 0004 4d515454 05 02 003c 04 16000164 0000");
    let kind = DecodeErrorKind::NoAuthenticationMethod;
    check::refuses(run, ids, Role::Client, &bytes, kind, PROTOCOL);
    let both = [Property::AuthenticationData(b"d"), Property::AuthenticationMethod("m")];
    connect.properties = Properties::new(both).unwrap();
    let bytes = unhex("1015 0004 4d515454 05 02 003c 08 16000164 1500016d 0000");
    check::both_ways(run, ids, Role::Client, &bytes, &Packet::Connect(connect));

    // In AUTH more than a bare success has a method.
    let ids = &["v5 U5-3.15.2.2.2-1"];
    for (hex, reason, data) in [
        ("f001 18", 0x18, false),
        ("f002 18 00", 0x18, false),
        ("f006 18 04 16000164", 0x18, true),
        ("f006 00 04 16000164", 0x00, true),
    ] {
        check::refuses(run, ids, Role::Server, &unhex(hex), kind, PROTOCOL);
        let data = data.then_some(Property::AuthenticationData(b"d"));
        let properties = Properties::new(data).unwrap();
        let auth = Auth { reason: ReasonCode::new(reason), properties };
        check::does_not_encode(run, ids, &Packet::Auth(auth), error);
    }
}

/// A list of them in PUBLISH from a server, in the order they came.
pub(crate) fn several_subscription_identifiers(run: &mut Run) {
    let ids = &["v5 U5-3.3.2.3.8-1"];
    let numbers = [7, 300, 7, 268_435_455];
    let mut publish = publish("a", "");
    let listed = numbers.map(Property::SubscriptionIdentifier);
    publish.message.properties = Properties::new(listed).unwrap();
    let bytes = unhex("3010 0001 61 0c 0b07 0bac02 0b07 0bffffff7f");
    check::both_ways(run, ids, Role::Server, &bytes, &Packet::Publish(publish));
    match check::decode(ProtocolVersion::V5, Role::Server, &bytes) {
        Ok(Packet::Publish(publish)) => {
            let found = publish.message.properties.subscription_identifiers();
            run.decoding(ids).equal(found.collect::<Vec<_>>(), numbers, "all of them");
        }
        other => run.decoding(ids).holds(false, format_args!("{other:?}")),
    }
}

/// What is absent is told from every value, so that whoever knows what absence means can say so.
pub(crate) fn defaults(run: &mut Run) {
    let of =
        |list: &[u8], owner| Properties::from_wire(Bytes::copy_from_slice(list), owner).unwrap();
    let connect = PropertyOwner::Packet(PacketType::Connect);
    let connack = PropertyOwner::Packet(PacketType::ConnAck);
    for (list, value) in [(&[][..], None), (&[0x17, 0], Some(false)), (&[0x17, 1], Some(true))] {
        let found = of(list, connect).request_problem_information();
        run.decoding(&["v5 U5-3.1.2.11.7-1"]).equal(found, value, format_args!("{list:02x?}"));
    }
    let delay = [0x18, 0, 0, 0, 0];
    for (list, value) in [(&[][..], None), (&delay[..], Some(0))] {
        let found = of(list, PropertyOwner::Will).will_delay_interval();
        run.decoding(&["v5 U5-3.1.3.2.2-1"]).equal(found, value, format_args!("{list:02x?}"));
    }
    let expiry = [0x11, 0, 0, 0, 0];
    for (list, value) in [(&[][..], None), (&expiry[..], Some(0))] {
        let found = of(list, connack).session_expiry_interval();
        run.decoding(&["v5 U5-3.2.2.3.2-1"]).equal(found, value, format_args!("{list:02x?}"));
    }
}
