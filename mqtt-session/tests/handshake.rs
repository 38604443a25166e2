//! CONNECT and CONNACK: who may say what before them, and what they settle.

mod common;

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use common::{
    Pair, Q0, Q1, Q2, VERSIONS, connack, filters, lasting,
    lone::{Setup, sides},
    on_topic, publication,
};
use mqtt_session::{
    Accept, ClientOptions, ClientState, CloseReason, CommandError, Instant, OptionsError, Outcome,
    PublishError, Server, ServerAction, ServerConfig, Session, Violation,
    proto::{
        Connect, Packet, PacketType, Properties, Property, ProtocolVersion, ReasonCode, Role,
        Status, Str,
    },
};

use ProtocolVersion::{V5, V311};

/// A client whose CONNECT was sent and which was answered so.
fn told(options: ClientOptions, version: ProtocolVersion, answer: &Packet<Bytes>) -> Pair {
    let mut pair = Pair::new(options, version);
    pair.connect();
    pair.up.open = false;
    pair.inject_down(answer);
    pair.run();
    pair.read_up();
    pair
}

#[test]
fn the_first_two_packets_are_connect_and_connack() {
    for version in VERSIONS {
        let mut pair = Pair::new(lasting(version), version);
        assert_eq!(pair.client.state(), ClientState::Idle);
        pair.connect();
        let deadline = Instant::ZERO + Duration::from_secs(10);
        assert_eq!(pair.client.state(), ClientState::Connecting { deadline });
        pair.run();
        assert_eq!(pair.trace, ["> CONNECT resume", "< CONNACK"]);
        assert_eq!(pair.client.state(), ClientState::Connected);
        assert!(pair.server().is_connected());
        assert_eq!(pair.server().version(), version);
    }
}

#[test]
fn a_refusal_reaches_the_client_in_the_words_of_its_version() {
    fn check(version: ProtocolVersion, said: ReasonCode, heard: ReasonCode) {
        let mut pair = Pair::new(lasting(version), version);
        pair.refusal = Some(said);
        pair.connect();
        pair.run();
        assert_eq!(pair.client_closed, Some(CloseReason::Refused(heard)), "{version} {said}");
        assert_eq!(pair.server_closed, Some(CloseReason::Refused(heard)), "{version} {said}");
        assert_eq!(pair.client.state(), ClientState::Idle);
        assert_eq!(pair.trace.len(), 2, "{:?}", pair.trace);
    }
    use ReasonCode as Code;
    check(V5, Code::NOT_AUTHORIZED, Code::NOT_AUTHORIZED);
    check(V5, Code::BANNED, Code::BANNED);
    check(V5, Code::PACKET_TOO_LARGE, Code::PACKET_TOO_LARGE);
    check(V311, Code::NOT_AUTHORIZED, Code::NOT_AUTHORIZED);
    check(V311, Code::CLIENT_IDENTIFIER_NOT_VALID, Code::CLIENT_IDENTIFIER_NOT_VALID);
    check(V311, Code::BAD_USER_NAME_OR_PASSWORD, Code::BAD_USER_NAME_OR_PASSWORD);
    check(V311, Code::BANNED, Code::NOT_AUTHORIZED);
    check(V311, Code::QUOTA_EXCEEDED, Code::SERVER_UNAVAILABLE);
}

#[test]
fn session_present_decides_what_is_kept() {
    // Asked for a clean start, session present: what becomes of an exchange that was open.
    enum Then {
        Resent,
        Lost,
        Violation,
    }
    fn check(version: ProtocolVersion, clean: bool, present: bool, then: &Then) {
        let told = format!("{version} clean {clean}, present {present}");
        let options = match version {
            V311 => lasting(version).clean_start(clean),
            V5 => lasting(version),
        };
        let mut pair = Pair::new(options, version);
        pair.connect();
        pair.up.open = false;
        if clean {
            // On the first connection: only what was never sent can be there.
            pair.client.publish(pair.now, publication(Q1, "x")).expect("room");
        } else {
            pair.inject_down(&connack(false, &[]));
            pair.run();
            pair.publish_up(Q1, "x");
            pair.reconnect();
        }
        pair.run();
        pair.read_up();
        pair.inject_down(&connack(present, &[]));
        pair.run();
        let sent = pair.read_up();
        match then {
            Then::Resent => {
                let dup = if clean { "" } else { " dup" };
                assert_eq!(sent, [format!("> PUBLISH 1 q1{dup} x")], "{told}");
                assert_eq!(pair.client_finished, [], "{told}");
            }
            Then::Lost => {
                assert_eq!(sent, [""; 0], "{told}");
                assert_eq!(pair.client_finished, [(1, Outcome::Lost)], "{told}");
            }
            Then::Violation => {
                let reason = CloseReason::Violation(Violation::SessionPresent);
                assert_eq!(pair.client_closed, Some(reason), "{told}");
                let goodbye: &[&str] = if version == V5 { &["> DISCONNECT 0x82"] } else { &[] };
                assert_eq!(sent, goodbye, "{told}");
            }
        }
    }
    // 5.0 asks for a clean start on its first connection only, which the next test looks at.
    check(V311, true, true, &Then::Violation);
    check(V311, true, false, &Then::Resent);
    for version in VERSIONS {
        check(version, false, true, &Then::Resent);
        check(version, false, false, &Then::Lost);
    }
}

#[test]
fn a_session_is_resumed_as_long_as_this_side_remembers_it() {
    // Options; what the server says of the expiry; how each CONNECT begins.
    fn check(options: ClientOptions, said: Option<u32>, connects: [&str; 3]) {
        let mut pair = Pair::new(options, V5);
        pair.accept.session_expiry = said;
        for expected in connects {
            pair.trace.clear();
            pair.reconnect();
            pair.run();
            assert_eq!(pair.trace[0], format!("> CONNECT {expected}"), "{said:?}");
        }
    }
    let options = || ClientOptions::new("c");
    check(options().session_expiry(60), None, ["clean", "resume", "resume"]);
    check(options().session_expiry(60).clean_start(false), None, ["resume", "resume", "resume"]);
    check(options(), None, ["clean", "clean", "clean"]);
    check(options().clean_start(false), None, ["resume", "clean", "clean"]);
    check(options().session_expiry(60), Some(0), ["clean", "clean", "clean"]);
    check(options(), Some(60), ["clean", "resume", "resume"]);
}

#[test]
fn a_connection_that_ends_before_connack_settles_nothing() {
    fn check(options: ClientOptions, version: ProtocolVersion, expected: &str) {
        let mut pair = Pair::new(options, version);
        for _ in 0..2 {
            pair.connect();
            pair.run_bytes(3);
            pair.cut();
        }
        pair.trace.clear();
        pair.connect();
        pair.run();
        assert_eq!(pair.trace[0], format!("> CONNECT {expected}"), "{version}");
    }
    let options = || ClientOptions::new("c");
    check(options().session_expiry(60), V5, "clean");
    check(options().session_expiry(60).clean_start(false), V5, "resume");
    check(options(), V5, "clean");
    check(options().clean_start(false), V5, "resume");
    check(options().version(V311), V311, "clean");
    check(options().version(V311).clean_start(false), V311, "resume");
}

#[test]
fn a_3_1_1_clean_session_is_clean_each_time() {
    let mut pair = Pair::new(ClientOptions::new("c").version(V311), V311);
    for _ in 0..3 {
        pair.trace.clear();
        pair.reconnect();
        pair.run();
        assert_eq!(pair.trace, ["> CONNECT clean", "< CONNACK"]);
    }
}

#[test]
fn the_assigned_client_identifier_is_used_from_then_on() {
    let mut pair = Pair::new(ClientOptions::new("").session_expiry(60), V5);
    pair.accept.assigned_client_id = Some(Str::try_from("auto-1").expect("a string"));
    pair.connect();
    pair.run();
    assert_eq!(pair.client.client_id(), "auto-1");
    pair.accept.assigned_client_id = None;
    pair.reconnect();
    pair.run();
    let ids = pair.connects.iter().map(|connect| connect.fields().client_id.to_string());
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids, ["", "auto-1"]);
    assert!(pair.connacks[1].session_present);
}

#[test]
fn options_that_make_no_connect_are_the_callers_fault() {
    fn check(options: ClientOptions, expected: &OptionsError) {
        let error = mqtt_session::Client::new(options).expect_err("no legal CONNECT");
        assert_eq!(error.to_string(), expected.to_string());
    }
    let v311 = |id: &str| ClientOptions::new(id).version(V311);
    check(v311("").clean_start(false), &OptionsError::NoClientId);
    check(v311("c").session_expiry(1), &OptionsError::NotInV311("a Session Expiry Interval"));
    let nul = Str::<Bytes>::try_from("\0").expect_err("NUL");
    check(ClientOptions::new("\0"), &OptionsError::Text("client identifier", nul));
}

#[test]
fn a_handshake_that_takes_too_long_ends_on_both_sides() {
    for version in VERSIONS {
        let mut pair = Pair::new(lasting(version), version);
        pair.connect();
        (pair.up.open, pair.down.open) = (false, false);
        pair.run();
        let deadline = Instant::ZERO + Duration::from_secs(10);
        assert_eq!(pair.client.poll_timeout(), Some(deadline));
        assert_eq!(pair.server().poll_timeout(), Some(deadline));
        pair.pass(Duration::from_micros(9_999_999));
        pair.tick();
        assert_eq!((&pair.client_closed, &pair.server_closed), (&None, &None));
        pair.pass(Duration::from_micros(1));
        pair.tick();
        assert_eq!(pair.client_closed, Some(CloseReason::ConnectTimeout));
        assert_eq!(pair.server_closed, Some(CloseReason::ConnectTimeout));
        assert_eq!(pair.down.len(), 0, "nobody to talk to");
    }
}

#[test]
fn nothing_comes_before_connack() {
    for version in VERSIONS {
        for packet in [Packet::PingResp, common::publish(Q0, 0, "x"), common::publish(Q1, 1, "x")] {
            let packet_type = packet.packet_type();
            let mut pair = told(lasting(version), version, &packet);
            let reason = CloseReason::Violation(Violation::UnexpectedPacket(packet_type));
            assert_eq!(pair.client_closed.take(), Some(reason), "{version}");
            assert_eq!(pair.at_client, [""; 0]);
        }
    }
}

#[test]
fn a_second_connect_or_connack_is_a_protocol_error() {
    for version in VERSIONS {
        let goodbye = if version == V5 { 1 } else { 0 };
        let mut pair = Pair::connected(version);
        let second = Connect::new(version, Str::borrowed("c").expect("a string"));
        pair.inject_up(&second.to_packet().unwrap());
        pair.run();
        let reason = Violation::UnexpectedPacket(PacketType::Connect);
        assert_eq!(pair.server_closed, Some(CloseReason::Violation(reason)), "{version}");
        let said = pair.trace.iter().filter(|line| *line == "< DISCONNECT 0x82").count();
        assert_eq!(said, goodbye);

        let mut pair = Pair::connected(version);
        pair.inject_down(&connack(false, &[]));
        pair.run();
        let reason = Violation::UnexpectedPacket(PacketType::ConnAck);
        assert_eq!(pair.client_closed, Some(CloseReason::Violation(reason)), "{version}");
        let said = pair.trace.iter().filter(|line| *line == "> DISCONNECT 0x82").count();
        assert_eq!(said, goodbye);
    }
}

#[test]
fn while_the_broker_thinks_nothing_more_is_read() {
    // Decision A42: what the client sends behind its CONNECT waits in the read buffer, and is
    // handled once the CONNECT is accepted.
    for version in VERSIONS {
        let connect = Connect::new(version, Str::borrowed("c").expect("a string"));
        let mut src = BytesMut::new();
        for packet in [connect.to_packet().unwrap(), common::publish(Q1, 1, "x")] {
            packet.encode(version, &mut src).expect("encodable");
        }
        let (now, mut server) =
            (Instant::ZERO, Server::new(ServerConfig::default(), Instant::ZERO));
        let mut delivered = 0;
        let mut read = |server: &mut Server, src: &mut BytesMut| {
            while server.wants_input() {
                match server.decode_bytes(now, src).expect("well-formed") {
                    Status::Ready(packet) => match server.handle_packet(now, packet) {
                        Some(ServerAction::Connect(_)) => {}
                        Some(ServerAction::Publish(_)) => delivered += 1,
                        action => panic!("{action:?}"),
                    },
                    Status::NeedMore(_) => return,
                }
            }
        };
        read(&mut server, &mut src);
        assert!(!src.is_empty() && !server.wants_input(), "{version}");
        let session = Session::new(1);
        server.accept(now, session, &Accept::default(), |_, _| {}).expect("a CONNECT");
        assert!(server.wants_input(), "{version}");
        read(&mut server, &mut src);
        assert!(src.is_empty(), "{version}");
        assert_eq!(delivered, 1, "{version}");
    }
    // And so it is after each step of an enhanced authentication.
    let mut lone =
        Setup::new(Role::Server, V5).told(&[Property::AuthenticationMethod("m")]).build();
    lone.open();
    lone.hear(&lone.connect_packet());
    for _ in 0..2 {
        assert!(!lone.server().wants_input(), "it is the broker's turn");
        lone.server().challenge(Instant::ZERO, b"").expect("its turn");
        assert!(lone.server().wants_input(), "it is the client's");
        lone.hear_bytes(b"\xf0\x06\x18\x04\x15\x00\x01m");
    }
    assert_eq!(lone.closed, None);
}

#[test]
fn before_the_verdict_no_packet_is_taken() {
    let mut server = Server::new(ServerConfig::default(), Instant::ZERO);
    let connect = Connect::new(V5, Str::borrowed("c").expect("a string"));
    server.handle_packet(Instant::ZERO, connect.to_packet().unwrap());
    assert_eq!(server.poll_timeout(), None);
    let action = server.handle_packet(Instant::ZERO, Packet::<Bytes>::PingReq);
    let reason = CloseReason::Violation(Violation::UnexpectedPacket(PacketType::PingReq));
    assert_eq!(action, Some(ServerAction::Close(reason)));
    assert!(server.transmit().is_empty());
    let late = server.accept(Instant::ZERO, Session::new(1), &Accept::default(), |_, _| {});
    assert_eq!(late, Err(CommandError::NothingToAnswer));
}

#[test]
fn a_malformed_connect_is_answered_in_the_version_it_names() {
    // Decision A43.
    fn check(bytes: &[u8], expected: &[u8]) {
        let mut server = Server::new(ServerConfig::default(), Instant::ZERO);
        server.decode(Instant::ZERO, bytes).expect_err("malformed");
        assert_eq!(server.transmit().chunk(), expected, "{bytes:x?} borrowed");

        let mut server = Server::new(ServerConfig::default(), Instant::ZERO);
        server.decode_bytes(Instant::ZERO, &mut BytesMut::from(bytes)).expect_err("malformed");
        assert_eq!(server.transmit().chunk(), expected, "{bytes:x?} owned");
        assert_eq!(server.handle_timeout(Instant::from_micros(u64::MAX)), None);
    }
    let malformed = &[0x20, 0x03, 0x00, 0x81, 0x00];
    // The reserved flag.
    check(b"\x10\x0d\x00\x04MQTT\x05\x01\x00\x3c\x00\x00\x00", malformed);
    check(b"\x10\x0c\x00\x04MQTT\x04\x01\x00\x3c\x00\x00", &[]);
    // The same behind a Remaining Length of four bytes.
    let mut long = b"\x10\x80\x80\x01\x00\x04MQTT\x05\x01".to_vec();
    long.resize(16384 + 4, 0);
    check(&long, malformed);
    // The payload ends too early.
    check(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x09", malformed);
    // Levels that no one speaks here.
    check(b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x3c\x00\x00", &[0x20, 0x03, 0x00, 0x84, 0x00]);
    check(b"\x10\x0c\x00\x04MQTT\x03\x02\x00\x3c\x00\x00", &[0x20, 0x02, 0x00, 0x01]);
    // Flags in the fixed header.
    check(b"\x11\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00", malformed);
    // Larger than this server reads, with and without its version.
    check(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x05", &[0x20, 0x03, 0x00, 0x95, 0x00]);
    check(b"\x10\xff\xff\xff\x7f", &[]);
    // No CONNECT at all, whatever its topic name looks like.
    check(b"\xc0\x00", &[]);
    check(b"\x30\x08\x00\x04MQTT\x05\x00", &[]);
    check(b"GET / HTTP/1.1\r\n", &[]);
}

#[test]
fn what_connack_rules_out_is_refused_before_it_is_sent() {
    let publish = |qos, retain| publication(qos, "x").with_retain(retain);
    let limits = [
        Property::MaximumQoS(false),
        Property::RetainAvailable(false),
        Property::MaximumPacketSize(40),
        Property::WildcardSubscriptionAvailable(false),
        Property::SubscriptionIdentifierAvailable(false),
        Property::SharedSubscriptionAvailable(false),
    ];
    let mut pair = told(lasting(V5), V5, &connack(false, &limits));
    let now = pair.now;
    for qos in [Q1, Q2] {
        let error = pair.client.publish(now, publish(qos, false));
        assert_eq!(error, Err(PublishError::QoSNotSupported(Q0)));
    }
    let error = pair.client.publish(now, publish(Q0, true));
    assert_eq!(error, Err(PublishError::RetainNotSupported));
    let fits = "x".repeat(34);
    assert_eq!(pair.client.publish(now, publication(Q0, &fits)), Ok(None));
    let large = pair.client.publish(now, publication(Q0, &format!("{fits}x")));
    assert_eq!(large, Err(PublishError::PacketTooLarge { size: 41, limit: 40 }));

    let mut subscribe = |filter: &str, properties: &[Property<'_>]| {
        let properties = Properties::new(properties.iter().copied()).expect("legal");
        pair.client.subscribe(now, filters(&[filter]), properties).map(|id| id.get())
    };
    use ReasonCode as Code;
    let unsupported = |code| Err(CommandError::NotSupported(code));
    assert_eq!(subscribe("a/#", &[]), unsupported(Code::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED));
    assert_eq!(subscribe("+/a", &[]), unsupported(Code::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED));
    assert_eq!(subscribe("$share/g/a", &[]), unsupported(Code::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED));
    assert_eq!(
        subscribe("a", &[Property::SubscriptionIdentifier(1)]),
        unsupported(Code::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)
    );
    let long = "a".repeat(40);
    let too_large = Err(CommandError::PacketTooLarge { size: 48, limit: 40 });
    assert_eq!(subscribe(&long, &[]), too_large);
    assert_eq!(subscribe("a", &[]), Ok(1));
    assert_eq!(pair.client.session().open(), 1, "what was refused holds no identifier");
}

#[test]
fn what_connack_does_not_mention_is_allowed() {
    let mut pair = told(lasting(V5), V5, &connack(false, &[]));
    let now = pair.now;
    let retained = publication(Q2, "x").with_retain(true);
    pair.client.publish(now, retained).expect("QoS 2, retained");
    let properties = Properties::new([Property::SubscriptionIdentifier(1)]).expect("legal");
    pair.client.subscribe(now, filters(&["#", "$share/g/a"]), properties).expect("anything");
}

#[test]
fn what_waits_heeds_the_limits_of_a_later_connack() {
    fn check(limit: Property<'_>, waiting: &[(u16, Outcome)], sent: &[(u16, Outcome)]) {
        let mut pair = Pair::connected(V5);
        pair.up.open = false;
        for message in [publication(Q2, "q2"), publication(Q1, "retained").with_retain(true)] {
            pair.client.publish(pair.now, message).expect("room");
        }
        pair.poll_client();
        pair.cut();
        for message in [publication(Q2, "q2"), publication(Q1, "retained").with_retain(true)] {
            pair.client.publish(pair.now, message).expect("room");
        }
        pair.client.publish(pair.now, publication(Q1, "plain")).expect("room");
        pair.connect();
        pair.inject_down(&connack(true, &[limit]));
        pair.run();
        let mut finished = std::mem::take(&mut pair.client_finished);
        finished.sort_by_key(|(id, _)| *id);
        assert_eq!(finished, [sent, waiting].concat(), "{limit:?}");
        assert!(pair.read_up().contains(&"> PUBLISH 5 q1 plain".to_owned()));
    }
    let refused = |id, code| [(id, Outcome::Acknowledged(code))];
    check(
        Property::MaximumQoS(true),
        &refused(3, ReasonCode::QOS_NOT_SUPPORTED),
        &[(1, Outcome::Lost)],
    );
    check(
        Property::RetainAvailable(false),
        &refused(4, ReasonCode::RETAIN_NOT_SUPPORTED),
        &[(2, Outcome::Lost)],
    );
}

#[test]
fn what_waits_and_has_become_too_large_ends() {
    let mut pair = Pair::new(lasting(V5), V5);
    for text in ["small", &"large".repeat(20), "last"] {
        pair.client.publish(pair.now, publication(Q1, text)).expect("room");
    }
    pair.config.max_packet_size = 50;
    pair.connect();
    pair.run();
    let acknowledged = Outcome::Acknowledged(ReasonCode::SUCCESS);
    assert_eq!(
        pair.client_finished,
        [(2, Outcome::TooLarge), (1, acknowledged), (3, acknowledged)]
    );
    assert_eq!(pair.at_server, ["small", "last"]);
}

#[test]
fn the_server_sends_nothing_above_the_clients_maximum_packet_size() {
    // [MQTT-3.1.2-24]
    let mut pair = Pair::connected_with(lasting(V5).max_packet_size(40), V5);
    let now = pair.now;
    let fits = "x".repeat(34);
    assert_eq!(pair.server().publish(now, publication(Q0, &fits)), Ok(None));
    let large = pair.server().publish(now, publication(Q0, &format!("{fits}x")));
    assert_eq!(large, Err(PublishError::PacketTooLarge { size: 41, limit: 40 }));
    let large = pair.server().publish(now, publication(Q1, &fits));
    assert_eq!(large, Err(PublishError::PacketTooLarge { size: 42, limit: 40 }));
    let codes = [ReasonCode::SUCCESS; 40];
    let suback = pair.server().suback(now, common::id(1), codes);
    assert_eq!(suback, Err(CommandError::PacketTooLarge { size: 45, limit: 40 }));
    pair.run();
    assert_eq!(pair.at_client, [fits]);
}

#[test]
fn a_connack_above_the_clients_maximum_packet_size_is_not_sent() {
    let mut server = Server::new(ServerConfig::default(), Instant::ZERO);
    let mut connect = Connect::new(V5, Str::try_from("c").expect("a string"));
    connect.properties = Properties::new([Property::MaximumPacketSize(10)]).expect("legal");
    server.handle_packet(Instant::ZERO, connect.to_packet().unwrap());
    let error = server.accept(Instant::ZERO, Session::new(1), &Accept::default(), |_, _| {});
    assert_eq!(error, Err(CommandError::PacketTooLarge { size: 16, limit: 10 }));
    server.reject(Instant::ZERO, ReasonCode::PACKET_TOO_LARGE);
    assert_eq!(server.transmit().chunk(), [0x20, 0x03, 0x00, 0x95, 0x00]);
}

#[test]
fn the_will_is_void_only_after_a_normal_disconnect() {
    fn check(version: ProtocolVersion, code: ReasonCode, expected: Option<ReasonCode>) {
        let mut pair = Pair::connected(version);
        pair.client.disconnect(pair.now, code);
        pair.run();
        let said = expected.map(CloseReason::Disconnected);
        assert_eq!(pair.server_closed, said, "{version} {code}");
        assert_eq!(pair.client_closed, Some(CloseReason::Requested(code)));
    }
    use ReasonCode as Code;
    let (normal, will) = (Code::NORMAL_DISCONNECTION, Code::DISCONNECT_WITH_WILL_MESSAGE);
    check(V5, normal, Some(normal));
    check(V5, will, Some(will));
    check(V311, normal, Some(normal));
    check(V311, will, None);
}

#[test]
fn disconnect_may_shorten_the_session_but_not_raise_it_from_0() {
    // [MQTT-3.14.2-2], decision A47: asked for, granted, said at the end; how long it lives then.
    fn check(asked: u32, granted: Option<u32>, said: u32, expected: Result<u32, Violation>) {
        use mqtt_session::proto::Disconnect;
        let mut server = Server::new(ServerConfig::default(), Instant::ZERO);
        let mut connect = Connect::new(V5, Str::try_from("c").expect("a string"));
        connect.properties = Properties::new([Property::SessionExpiryInterval(asked)]).expect("ok");
        server.handle_packet(Instant::ZERO, connect.to_packet().unwrap());
        let accept = Accept { session_expiry: granted, ..Accept::default() };
        server.accept(Instant::ZERO, Session::new(1), &accept, |_, _| {}).expect("a CONNECT");
        assert_eq!(server.session_expiry(), granted.unwrap_or(asked));
        let mut disconnect = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
        disconnect.properties =
            Properties::new([Property::SessionExpiryInterval(said)]).expect("legal");
        let action = server.handle_packet(Instant::ZERO, Packet::<Bytes>::Disconnect(disconnect));
        match expected {
            Ok(seconds) => assert_eq!(server.session_expiry(), seconds),
            Err(violation) => {
                let reason = CloseReason::Violation(violation);
                assert_eq!(action, Some(ServerAction::Close(reason)));
                assert_eq!(server.session_expiry(), 0);
            }
        }
    }
    check(10, None, 5, Ok(5));
    check(10, None, 0, Ok(0));
    check(10, Some(0), 5, Ok(5));
    check(0, None, 0, Ok(0));
    check(0, None, 5, Err(Violation::SessionExpiryRaised));
}

#[test]
fn what_follows_the_end_of_a_connection_is_not_read() {
    // Decision A55: behind DISCONNECT, and behind what ended the connection, in the same bytes.
    for (role, version) in sides() {
        let disconnect: &[u8] = match (role, version) {
            // 3.1.1 servers have no DISCONNECT.
            (Role::Client, V311) => continue,
            _ => &[0xe0, 0],
        };
        let second: &[u8] = match role {
            Role::Client => &[0x20, 3, 0, 0, 0],
            Role::Server => &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0],
        };
        for last in [disconnect, second, &[0xff, 0]] {
            let mut lone = Setup::new(role, version).connected();
            let mut after = BytesMut::new();
            common::publish(Q1, 1, "late").encode(version, &mut after).expect("encodable");
            lone.hear_bytes(&[last, &after].concat());
            let closed = lone.closed.clone();
            assert!(closed.is_some(), "{role:?} {version} {last:x?}");
            lone.said();
            lone.hear_bytes(&after);
            let said = lone.said();
            assert_eq!((said, &lone.closed), (Vec::new(), &closed), "{role:?} {version} {last:x?}");
            assert_eq!(lone.delivered, [], "{role:?} {version} {last:x?}");
        }
    }
}

#[test]
fn the_last_word_of_a_closing_server_is_its_reason() {
    for (version, expected) in [(V311, &[][..]), (V5, &["< DISCONNECT 0x8b"][..])] {
        let mut pair = Pair::connected(version);
        let now = pair.now;
        let reason = pair.server().close(now, ReasonCode::SERVER_SHUTTING_DOWN);
        pair.close_server(reason);
        pair.run();
        assert_eq!(pair.trace, expected);
        let heard = expected.first().map(|_| ReasonCode::SERVER_SHUTTING_DOWN);
        assert_eq!(pair.client_closed, heard.map(CloseReason::Disconnected));
        assert_eq!(pair.client.state(), ClientState::Idle);
    }
}

#[test]
fn a_message_has_a_topic_name_and_no_alias() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        let alias = Properties::new([Property::TopicAlias(1)]).expect("legal");
        for qos in [Q0, Q1, Q2] {
            let message = on_topic(qos, "t", "x").with_properties(alias.clone());
            let error = Err(PublishError::TopicAlias);
            let now = pair.now;
            assert_eq!(pair.client.publish(now, message.clone()), error);
            assert_eq!(pair.server().publish(now, message.clone()), error);
            if qos != Q0 {
                let error = Err(PublishError::TopicAlias);
                assert_eq!(Session::new(1).publish(now, message), error);
            }
        }
    }
}
