//! What CONNACK says a server takes and does: said as configured, honoured by the client before a
//! byte leaves, enforced by the server (section 3.2.2.3).

mod common;

use bytes::Bytes;
use common::{
    Pair, Q0, Q1, Q2, VERSIONS, filters, lasting,
    lone::{Lone, Setup},
    publication,
};
use mqtt_session::{
    CloseReason, Outcome, Server, ServerAction, ServerConfig, Violation,
    proto::{
        ConnAck, Connect, Packet, PacketType, Properties, Property, ProtocolVersion, QoS,
        ReasonCode, Role, Str, TopicFilter,
    },
};

use ProtocolVersion::{V5, V311};

/// A server that was given its CONNECT.
fn server(version: ProtocolVersion, config: ServerConfig) -> Lone {
    let mut setup = Setup::new(Role::Server, version);
    setup.config = config;
    setup.connected()
}

#[test]
fn connack_says_what_was_configured() {
    fn check(change: impl Fn(&mut ServerConfig), expected: &[Property<'_>]) {
        for version in VERSIONS {
            let mut setup = Setup::new(Role::Server, version);
            change(&mut setup.config);
            let mut lone = setup.build();
            lone.connect();
            let packets = lone.packets();
            let [Packet::ConnAck(connack)] = &packets[..] else { panic!("{packets:?}") };
            let said: Vec<_> = connack.properties.iter().collect();
            // 3.1.1 has no words for any of it.
            let expected = if version == V5 { expected } else { &[] };
            assert_eq!(said, expected, "{version}");
        }
    }
    use Property::*;
    let usual = |more: &[Property<'static>]| {
        let usual = [ReceiveMaximum(1024), MaximumPacketSize(1 << 20), TopicAliasMaximum(16)];
        [&usual[..], more].concat()
    };
    check(|_| {}, &usual(&[]));
    check(|config| config.maximum_qos = Q1, &usual(&[MaximumQoS(true)]));
    check(|config| config.maximum_qos = Q0, &usual(&[MaximumQoS(false)]));
    check(|config| config.retain_available = false, &usual(&[RetainAvailable(false)]));
    check(
        |config| config.wildcard_subscriptions = false,
        &usual(&[WildcardSubscriptionAvailable(false)]),
    );
    check(
        |config| config.subscription_identifiers = false,
        &usual(&[SubscriptionIdentifierAvailable(false)]),
    );
    check(
        |config| config.shared_subscriptions = false,
        &usual(&[SharedSubscriptionAvailable(false)]),
    );
    check(
        |config| {
            (config.receive_maximum, config.max_packet_size) = (7, 70);
            config.topic_alias_maximum = 700;
        },
        &[ReceiveMaximum(7), MaximumPacketSize(70), TopicAliasMaximum(700)],
    );
    // 0 would be a protocol error to say, or too much.
    check(
        |config| {
            (config.receive_maximum, config.max_packet_size) = (0, u32::MAX);
            config.topic_alias_maximum = 0;
        },
        &[ReceiveMaximum(1), MaximumPacketSize(268_435_460), TopicAliasMaximum(0)],
    );
}

/// Every configuration of Maximum QoS and Retain Available.
fn publishing() -> impl Iterator<Item = ServerConfig> {
    [Q0, Q1, Q2].into_iter().flat_map(|maximum_qos| {
        [true, false].map(|retain_available| ServerConfig {
            maximum_qos,
            retain_available,
            ..ServerConfig::default()
        })
    })
}

/// What such a server says to a message of 5.0, if not that it takes it.
fn ruled_out(config: &ServerConfig, qos: QoS, retain: bool) -> Option<Violation> {
    if qos > config.maximum_qos {
        Some(Violation::QoSNotSupported(config.maximum_qos))
    } else if retain && !config.retain_available {
        Some(Violation::RetainNotSupported)
    } else {
        None
    }
}

fn every_publish() -> impl Iterator<Item = (QoS, bool)> {
    [Q0, Q1, Q2].into_iter().flat_map(|qos| [false, true].map(|retain| (qos, retain)))
}

#[test]
fn a_message_that_was_ruled_out_ends_the_connection_in_5_0() {
    // [MQTT-3.2.2-11] [MQTT-3.2.2-14]; 3.1.1 clients are not held to what they were not told.
    for (config, version) in publishing().flat_map(|config| VERSIONS.map(|v| (config, v))) {
        for (qos, retain) in every_publish() {
            let mut lone = server(version, config);
            let mut packet = common::publish(qos, 1, "x");
            if let Packet::Publish(publish) = &mut packet {
                publish.retain = retain;
            }
            lone.hear(&packet);
            let expected = ruled_out(&config, qos, retain).filter(|_| version == V5);
            let told = format!("{version} {qos:?} {retain} {config:?}");
            assert_eq!(lone.closed, expected.map(CloseReason::Violation), "{told}");
            assert_eq!(lone.delivered.len(), usize::from(expected.is_none()), "{told}");
            let code = expected.map(|violation| match violation {
                Violation::QoSNotSupported(_) => "DISCONNECT 0x9b".to_owned(),
                _ => "DISCONNECT 0x9a".to_owned(),
            });
            assert_eq!(lone.said(), code.into_iter().collect::<Vec<_>>(), "{told}");
        }
    }
}

#[test]
fn a_will_that_was_ruled_out_is_refused_with_its_connect_in_5_0() {
    // [MQTT-3.2.2-12] [MQTT-3.2.2-13]
    for (config, version) in publishing().flat_map(|config| VERSIONS.map(|v| (config, v))) {
        for (qos, retain) in every_publish() {
            let mut connect: Connect<Bytes> =
                Connect::new(version, Str::try_from("c").expect("a string"));
            connect.will = Some(publication(qos, "gone").with_retain(retain));
            let mut server = Server::new(config, mqtt_session::Instant::ZERO);
            let packet = connect.to_packet().expect("encodable");
            let action = server.handle_packet(mqtt_session::Instant::ZERO, packet);
            let told = format!("{version} {qos:?} {retain} {config:?}");
            let said = bytes::Buf::chunk(server.transmit()).to_vec();
            match ruled_out(&config, qos, retain).filter(|_| version == V5) {
                None => {
                    assert!(matches!(action, Some(ServerAction::Connect(_))), "{told}: {action:?}");
                    assert_eq!(said, [0; 0], "{told}");
                }
                Some(violation) => {
                    let code = violation.reason_code();
                    let refused = ServerAction::Close(CloseReason::Refused(code));
                    assert_eq!(action, Some(refused), "{told}");
                    assert_eq!(said, [0x20, 3, 0, code.get(), 0], "{told}");
                }
            }
        }
    }
}

/// Every configuration of what subscriptions may be.
fn subscribing() -> impl Iterator<Item = ServerConfig> {
    (0..8).map(|bits| ServerConfig {
        wildcard_subscriptions: bits & 1 == 0,
        subscription_identifiers: bits & 2 == 0,
        shared_subscriptions: bits & 4 == 0,
        ..ServerConfig::default()
    })
}

/// Filter, whether with an identifier, and what CONNACK may have ruled out about it, in this order.
fn every_subscription() -> Vec<(&'static str, bool, Vec<ReasonCode>)> {
    use ReasonCode as Code;
    let mut rows = Vec::new();
    for (filter, wildcard, shared) in [
        ("a", false, false),
        ("a/+", true, false),
        ("#", true, false),
        ("$share/g/a", false, true),
        ("$share/g/a/#", true, true),
    ] {
        for identifier in [false, true] {
            let codes = [
                identifier.then_some(Code::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED),
                shared.then_some(Code::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
                wildcard.then_some(Code::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
            ];
            rows.push((filter, identifier, codes.into_iter().flatten().collect()));
        }
    }
    rows
}

fn supports(config: &ServerConfig, code: ReasonCode) -> bool {
    match code {
        ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED => config.subscription_identifiers,
        ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED => config.shared_subscriptions,
        _ => config.wildcard_subscriptions,
    }
}

#[test]
fn a_subscription_that_was_ruled_out_has_its_code() {
    // Sections 3.2.2.3.11 to 3.2.2.3.13, decision A53.
    for config in subscribing() {
        let mut lone = server(V5, config);
        for (filter, identifier, codes) in every_subscription() {
            let expected = codes.into_iter().find(|code| !supports(&config, *code));
            let filter: TopicFilter<&[u8]> = TopicFilter::try_from(filter).expect("a filter");
            let checked = lone.server().check_filter(&filter, identifier);
            assert_eq!(checked.err(), expected, "{filter:?} {identifier} {config:?}");
        }
    }
}

#[test]
fn a_client_says_nothing_that_its_server_ruled_out() {
    // What is refused is refused before it is sent, and what is not leads to no complaint.
    for publishing in publishing() {
        let mut pair = Pair::new(lasting(V5), V5);
        pair.config = publishing;
        pair.connect();
        pair.run();
        for (qos, retain) in every_publish() {
            let told = format!("{qos:?} {retain} {publishing:?}");
            pair.trace.clear();
            let message = publication(qos, "x").with_retain(retain);
            let accepted = pair.client.publish(pair.now, message);
            pair.run();
            let expected = ruled_out(&publishing, qos, retain);
            assert_eq!(accepted.is_err(), expected.is_some(), "{told}: {accepted:?}");
            assert_eq!(pair.trace.is_empty(), expected.is_some(), "{told}");
            assert_eq!((&pair.client_closed, &pair.server_closed), (&None, &None), "{told}");
        }
        assert!(pair.at_rest());
    }
    for subscribing in subscribing() {
        let mut pair = Pair::new(lasting(V5), V5);
        pair.config = subscribing;
        pair.connect();
        pair.run();
        for (filter, identifier, codes) in every_subscription() {
            let told = format!("{filter} {identifier} {subscribing:?}");
            pair.trace.clear();
            let identifier = identifier.then_some(Property::SubscriptionIdentifier(7));
            let properties = Properties::new(identifier).expect("legal");
            let accepted = pair.client.subscribe(pair.now, filters(&[filter]), properties);
            pair.run();
            let expected = codes.into_iter().find(|code| !supports(&subscribing, *code));
            let error = expected.map(mqtt_session::CommandError::NotSupported);
            assert_eq!(accepted.err(), error, "{told}");
            assert_eq!(pair.trace.is_empty(), expected.is_some(), "{told}");
        }
        assert!(pair.at_rest());
    }
}

#[test]
fn what_a_server_ruled_out_is_allowed_again_by_the_next_connack() {
    let mut pair = Pair::new(lasting(V5), V5);
    pair.config.maximum_qos = Q0;
    pair.connect();
    pair.run();
    assert!(pair.client.publish(pair.now, publication(Q1, "x")).is_err());
    pair.config.maximum_qos = Q2;
    pair.reconnect();
    pair.run();
    pair.client.publish(pair.now, publication(Q2, "x")).expect("allowed again");
    pair.run();
    assert_eq!(pair.at_server, ["x"]);
}

/// The refusals that CONNACK has in this version.
fn refusals(version: ProtocolVersion) -> Vec<ReasonCode> {
    let codes = (0..=u8::MAX).map(ReasonCode::new);
    match version {
        V5 => codes
            .filter(|code| code.is_error() && code.is_legal_in(PacketType::ConnAck, Role::Server))
            .collect(),
        V311 => (1..=5).filter_map(ReasonCode::from_connect_return_code).collect(),
    }
}

#[test]
fn every_refusal_ends_the_connection_and_keeps_what_waits() {
    for version in VERSIONS {
        let refusals = refusals(version);
        assert_eq!(refusals.len(), if version == V5 { 21 } else { 5 });
        for code in refusals {
            let told = format!("{version} {code:?}");
            let mut lone = Setup::new(Role::Client, version).build();
            lone.publish(Q1, "waits");
            lone.open();
            lone.said();
            let mut connack = ConnAck::refused(code);
            if version == V5 {
                let why = [Property::ReasonString("why"), Property::ServerReference("elsewhere")];
                connack = connack.with_properties(Properties::new(why).expect("legal"));
            }
            lone.hear(&Packet::ConnAck(connack.clone()));
            assert_eq!(lone.closed, Some(CloseReason::Refused(code)), "{told}");
            // Why, and where else to go.
            assert_eq!(lone.connacks, [connack], "{told}");
            assert_eq!(lone.said(), [""; 0], "{told}: there is nothing to say to that");
            assert!(!lone.client.wants_input(), "{told}");
            assert_eq!((lone.deadline(), &lone.finished), (None, &Vec::new()), "{told}");
            lone.cut();
            lone.connect();
            assert_eq!(lone.said(), ["PUBLISH 1 q1 waits"], "{told}");
        }
    }
}

#[test]
fn a_refusal_loses_nothing_of_a_session_that_was_open() {
    // It says nothing of what the server knows.
    for version in VERSIONS {
        let mut lone = Setup::new(Role::Client, version).connected();
        lone.publish(Q2, "sent");
        lone.said();
        lone.cut();
        lone.open();
        let busy = ReasonCode::SERVER_BUSY.nearest_in(version, PacketType::ConnAck);
        lone.hear(&Packet::ConnAck(ConnAck::refused(busy)));
        lone.cut();
        assert_eq!(lone.finished, [], "{version}");
        lone.connect();
        assert_eq!(lone.said(), ["PUBLISH 1 q2 dup sent"], "{version}");
        lone.cut();
        lone.connect_with(false);
        assert_eq!(lone.finished, [(1, Outcome::Lost)], "{version}");
    }
}
