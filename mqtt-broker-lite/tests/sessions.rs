//! Sessions: whose they are, how long they last, what waits in them (sections 3.1.2.4, 3.1.2.11.2,
//! 3.1.3.1, 3.1.4, 4.1).

mod common;

use common::*;
use mqtt_broker_lite::session::{
    CloseReason,
    proto::{ConnAck, Connect, Packet, Property, ProtocolVersion, ReasonCode},
};

/// A row of the truth table of section 3.2.2.1.1: what was there before, and what is present then.
fn check(version: ProtocolVersion, first_lasts: bool, clean: bool, cut: bool, present: bool) {
    let row = format!("{version:?} lasts {first_lasts} clean {clean} cut {cut}");
    let mut world = World::new();
    let publisher = world.join(options(V5, "publisher"));
    let first = match first_lasts {
        true => lasting(version, "c", 60),
        false => options(version, "c"),
    };
    let first = world.join(first);
    world.subscribe(first, "t", AtLeastOnce);
    if cut {
        world.cut(first);
    }
    let second = world.add(match clean {
        true => options(version, "c"),
        false => lasting(version, "c", 60),
    });
    let connack = world.connect(second);
    assert_eq!(connack.session_present, present, "{row}");
    world.publish(publisher, message("t", "x").with_qos(AtLeastOnce));
    let expected: &[&str] = if present { &["t=x q1"] } else { &[] };
    assert_eq!(world.inbox(second), expected, "{row}");
    assert!(world.inbox(first).is_empty(), "{row}");
}

#[test]
fn session_present_says_whether_there_was_one_and_it_was_wanted() {
    for version in VERSIONS {
        for cut in [false, true] {
            check(version, true, false, cut, true);
            check(version, true, true, cut, false);
            check(version, false, false, cut, false);
            check(version, false, true, cut, false);
        }
    }
}

#[test]
fn takeover_tells_the_old_connection_and_ends_it() {
    for version in VERSIONS {
        let mut world = World::new();
        let first = world.join(lasting(version, "c", 60));
        let second = world.join(lasting(version, "c", 60));
        assert!(!world.is_open(first) && world.is_open(second), "{version:?}");
        let told = CloseReason::Disconnected(ReasonCode::SESSION_TAKEN_OVER);
        let expected = (version == V5).then_some(told);
        assert_eq!(world.closed(first), expected.as_ref());
    }
}

#[test]
fn takeover_sends_the_new_connection_what_the_old_one_did_not_acknowledge() {
    for version in VERSIONS {
        let mut world = World::new();
        let publisher = world.join(options(V5, "publisher"));
        let first = world.join(lasting(version, "c", 60));
        world.subscribe(first, "t", ExactlyOnce);
        world.stall(first, true);
        for payload in ["1", "2", "3"] {
            world.publish(publisher, message("t", payload).with_qos(ExactlyOnce));
        }
        let second = world.add(lasting(version, "c", 60));
        assert!(world.connect(second).session_present);
        assert_eq!(world.inbox(second), ["t=1 q2", "t=2 q2", "t=3 q2"]);
    }
}

#[test]
fn a_session_ends_when_its_expiry_has_passed_and_not_before() {
    for (expiry, after, present) in [
        (0, 0.0, false),
        (60, 59.999_999, true),
        (60, 60.0, false),
        (FOREVER, 1e9, true),
        (FOREVER - 1, 4_294_967_293.0, true),
        (FOREVER - 1, 4_294_967_294.0, false),
    ] {
        let mut world = World::new();
        let who = world.join(lasting(V5, "c", expiry));
        world.cut(who);
        world.advance(after);
        let connack = world.connect(who);
        assert_eq!(connack.session_present, present, "{expiry} after {after}");
    }
}

/// Table row A46 of the decisions.
#[test]
fn a_session_of_3_1_1_that_is_not_clean_lasts_for_ever() {
    let mut world = World::new();
    let who = world.join(lasting(V311, "c", 0));
    world.cut(who);
    world.advance(1e9);
    assert!(world.connect(who).session_present);
    let mut world = World::with(|config| config.max_session_expiry = 100);
    let who = world.join(lasting(V311, "c", 0));
    world.cut(who);
    world.advance(100.0);
    assert!(!world.connect(who).session_present, "but no longer than the broker keeps any");
}

#[test]
fn a_client_is_told_when_its_session_lasts_less_than_it_asked_for() {
    for (asked, told) in [(0, None), (100, None), (101, Some(100)), (FOREVER, Some(100))] {
        let mut world = World::with(|config| config.max_session_expiry = 100);
        let who = world.add(lasting(V5, "c", asked));
        assert_eq!(world.connect(who).properties.session_expiry_interval(), told, "{asked}");
    }
}

/// A DISCONNECT that changes the Session Expiry Interval, and for how long the session is there
/// after it.
fn check_disconnect(connect: u32, disconnect: u32, lasts: u32) {
    let mut world = World::with(|config| config.max_session_expiry = 1000);
    let mut packet = Connect::new(V5, "c".try_into().expect("a client identifier"));
    packet.properties = properties([Property::SessionExpiryInterval(connect)]);
    let who = world.raw_join(packet);
    let mut goodbye =
        mqtt_broker_lite::session::proto::Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    goodbye.properties = properties([Property::SessionExpiryInterval(disconnect)]);
    world.say(who, &Packet::Disconnect(goodbye), V5);
    let row = format!("{connect} then {disconnect}");
    assert!(!world.is_open(who));
    if lasts == 0 {
        assert_eq!(world.queued("c"), None, "{row}");
        return;
    }
    world.advance(f64::from(lasts) - 0.001);
    assert_eq!(world.queued("c"), Some(0), "{row}");
    world.advance(0.001);
    assert_eq!(world.queued("c"), None, "{row}");
}

#[test]
fn disconnect_changes_the_expiry() {
    check_disconnect(60, 0, 0);
    check_disconnect(60, 10, 10);
    check_disconnect(60, 100, 100);
    check_disconnect(60, FOREVER, 1000);
    check_disconnect(0, 0, 0);
}

/// Table row A47 of the decisions.
#[test]
fn disconnect_must_not_raise_an_expiry_of_0() {
    check_disconnect(0, 60, 0);
    let mut world = World::new();
    let who = world.raw_join(Connect::new(V5, "c".try_into().expect("a client identifier")));
    world.send(who, b"\xe0\x07\x00\x05\x11\x00\x00\x00\x01");
    let packets = world.packets(who);
    let [Packet::Disconnect(disconnect)] = &packets[..] else { panic!("{packets:?}") };
    assert_eq!(disconnect.reason, ReasonCode::PROTOCOL_ERROR);
}

#[test]
fn an_assigned_client_identifier_names_the_session() {
    let mut world = World::new();
    let mut names = Vec::new();
    for _ in 0..3 {
        let who = world.add(lasting(V5, "", 60));
        let connack = world.connect(who);
        names.push(connack.properties.assigned_client_identifier().expect("a name").to_owned());
        // The client goes on under that name.
        world.cut(who);
        assert!(world.connect(who).session_present);
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3);
    let named = world.add(options(V5, "named"));
    assert_eq!(world.connect(named).properties.assigned_client_identifier(), None);
}

#[test]
fn the_seed_makes_the_assigned_identifiers() {
    let assigned = |seed| {
        let mut world = World::new();
        world.broker = mqtt_broker_lite::Broker::new(Default::default(), seed);
        let who = world.add(options(V5, ""));
        let connack = world.connect(who);
        connack.properties.assigned_client_identifier().expect("a name").to_owned()
    };
    assert_eq!(assigned(1), assigned(1));
    assert_ne!(assigned(1), assigned(2));
}

/// Table rows A31 and A32 of the decisions: byte 4 of this CONNECT is the level, byte 5 the flags.
#[test]
fn an_empty_client_identifier_is_refused_only_in_3_1_1_with_clean_session_0() {
    for (connect, code) in [
        (&b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"[..], ReasonCode::SUCCESS),
        (b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00", ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
        (b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00", ReasonCode::SUCCESS),
        (b"\x10\x0d\x00\x04MQTT\x05\x00\x00\x00\x00\x00\x00", ReasonCode::SUCCESS),
    ] {
        let mut world = World::new();
        let who = world.raw(if connect[8] == 4 { V311 } else { V5 });
        world.send(who, connect);
        let packets = world.packets(who);
        let [Packet::ConnAck(ConnAck { reason, session_present: false, .. })] = &packets[..] else {
            panic!("{packets:?}");
        };
        assert_eq!(*reason, code, "{connect:?}");
        assert_eq!(world.is_open(who), code == ReasonCode::SUCCESS);
        assert_eq!(world.broker.sessions().count(), usize::from(code == ReasonCode::SUCCESS));
    }
}

#[test]
fn what_is_queued_comes_in_order_when_the_client_is_back() {
    for version in VERSIONS {
        let mut world = World::new();
        let publisher = world.join(options(V5, "publisher"));
        let who = world.join(lasting(version, "c", 60));
        world.subscribe(who, "#", ExactlyOnce);
        world.cut(who);
        for (payload, qos) in [("1", AtLeastOnce), ("2", ExactlyOnce), ("3", AtLeastOnce)] {
            assert_eq!(world.publish(publisher, message("t", payload).with_qos(qos)), Some(0));
        }
        assert_eq!(world.queued("c"), Some(3));
        assert!(world.connect(who).session_present);
        assert_eq!(world.inbox(who), ["t=1 q1", "t=2 q2", "t=3 q1"]);
        assert_eq!(world.queued("c"), Some(0));
    }
}

/// Table row A38 of the decisions.
#[test]
fn qos_0_is_not_queued_for_a_client_that_is_away() {
    for version in VERSIONS {
        let mut world = World::new();
        let publisher = world.join(options(V5, "publisher"));
        let who = world.join(lasting(version, "c", 60));
        world.subscribe(who, "a", AtLeastOnce);
        world.subscribe(who, "b", AtMostOnce);
        world.cut(who);
        world.publish(publisher, message("a", "published at QoS 0"));
        world.publish(publisher, message("b", "granted QoS 0").with_qos(AtLeastOnce));
        assert_eq!(world.queued("c"), Some(0));
        assert_eq!(world.broker.stats().dropped_full, 0, "no queue was full");
        world.connect(who);
        assert!(world.inbox(who).is_empty());
    }
}

/// Table row A37 of the decisions.
#[test]
fn a_full_queue_drops_the_newest_and_counts_it() {
    for version in VERSIONS {
        let mut world = World::with_server(|config| config.max_queued = 3);
        let publisher = world.join(options(V5, "publisher"));
        let who = world.join(lasting(version, "c", 60));
        world.subscribe(who, "t", AtLeastOnce);
        world.cut(who);
        for payload in ["1", "2", "3", "4", "5"] {
            let code = world.publish(publisher, message("t", payload).with_qos(AtLeastOnce));
            assert_eq!(code, Some(0));
        }
        assert_eq!(world.broker.stats().dropped_full, 2);
        world.connect(who);
        assert_eq!(world.inbox(who), ["t=1 q1", "t=2 q1", "t=3 q1"]);
        world.publish(publisher, message("t", "6").with_qos(AtLeastOnce));
        assert_eq!(world.inbox(who), ["t=6 q1"], "there is room again");
    }
}

#[test]
fn what_has_expired_makes_room_in_a_full_queue() {
    let mut world = World::with_server(|config| config.max_queued = 2);
    let publisher = world.join(options(V5, "publisher"));
    let who = world.join(lasting(V5, "c", 60));
    world.subscribe(who, "t", AtLeastOnce);
    world.cut(who);
    let expiring = |text| {
        let expiry = properties([Property::MessageExpiryInterval(1)]);
        message("t", text).with_qos(AtLeastOnce).with_properties(expiry)
    };
    for text in ["1", "2"] {
        world.publish(publisher, expiring(text));
    }
    world.advance(1.0);
    world.publish(publisher, message("t", "3").with_qos(AtLeastOnce));
    assert_eq!(world.broker.stats().dropped_full, 0);
    world.connect(who);
    assert_eq!(world.inbox(who), ["t=3 q1"]);
}

#[test]
fn beyond_max_sessions_new_clients_are_refused_and_old_ones_are_not() {
    for (version, code) in
        [(V5, ReasonCode::QUOTA_EXCEEDED), (V311, ReasonCode::SERVER_UNAVAILABLE)]
    {
        let mut world = World::with(|config| config.max_sessions = 2);
        let away = world.join(lasting(version, "away", 60));
        world.cut(away);
        let here = world.join(lasting(version, "here", 60));
        let new = world.add(options(version, "new"));
        assert_eq!(world.connect(new).reason, code);
        assert!(!world.is_open(new));
        assert!(world.connect(away).session_present);
        world.disconnect(here, ReasonCode::NORMAL_DISCONNECTION);
        assert_eq!(world.connect(new).reason, code, "the session is still there");
        let clean = world.join(options(version, "here"));
        world.disconnect(clean, ReasonCode::NORMAL_DISCONNECTION);
        assert_eq!(world.connect(new).reason, ReasonCode::SUCCESS);
    }
}

#[test]
fn who_comes_and_goes_leaves_nothing() {
    let mut world = World::new();
    let fresh = World::new();
    for round in 0..100 {
        let who = world.join(options(VERSIONS[round % 2], "c").keep_alive(u16::MAX));
        world.subscribe(who, "a/+/c", AtLeastOnce);
        world.cut(who);
    }
    assert_eq!(world.broker.connections(), 0);
    assert_eq!(world.broker.sessions().count(), 0);
    assert_eq!(world.broker.poll_timeout(), fresh.broker.poll_timeout());
}

#[test]
fn an_exchange_of_qos_2_survives_its_connection() {
    let mut world = World::new();
    let subscriber = world.join(options(V5, "subscriber"));
    world.subscribe(subscriber, "t", ExactlyOnce);
    let connect = || {
        let mut connect = Connect::new(V311, "c".try_into().expect("a client identifier"));
        connect.clean_start = false;
        connect
    };
    let publish = |dup: u8| [0x34 | dup << 3, 6, 0, 1, b't', 0, 9, b'x'];
    let who = world.raw_join(connect());
    world.send(who, &publish(0));
    world.cut(who);
    let who = world.raw_join(connect());
    world.send(who, &publish(1));
    assert!(matches!(&world.packets(who)[..], [Packet::PubRec(ack)] if ack.id.get() == 9));
    assert_eq!(world.inbox(subscriber), ["t=x q2"], "once");
    world.send(who, b"\x62\x02\x00\x09");
    assert!(matches!(&world.packets(who)[..], [Packet::PubComp(_)]));
    world.send(who, &publish(0));
    assert_eq!(world.inbox(subscriber), ["t=x q2"], "the identifier is free again");
}
