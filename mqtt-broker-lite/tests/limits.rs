//! What a peer may cost: every limit, and what happens at it (sections 3.1.2.10, 3.1.4, 3.2.2.3,
//! 4.13).

mod common;

use bytes::Bytes;
use common::*;
use mqtt_broker_lite::session::{
    CloseReason,
    proto::{
        Connect, Delivery, Packet, PacketId, Property, ProtocolVersion, ReasonCode, Subscribe,
        SubscribeFilters, SubscriptionOptions,
    },
};

fn connect(version: ProtocolVersion, client_id: &str) -> Connect<Bytes> {
    let client_id = client_id.to_owned().try_into().expect("a client identifier");
    let mut connect = Connect::new(version, client_id);
    connect.keep_alive = 0;
    connect
}

/// The code of the DISCONNECT that was the last packet, if it was one.
fn told(world: &mut World, who: Who) -> Option<ReasonCode> {
    match world.packets(who).last() {
        Some(Packet::Disconnect(disconnect)) => Some(disconnect.reason),
        _ => None,
    }
}

/// [MQTT-3.3.4-9]
#[test]
fn more_than_receive_maximum_ends_a_connection_of_5_0() {
    for (version, open) in [(V5, false), (V311, true)] {
        let mut world = World::with_server(|config| config.receive_maximum = 3);
        let who = world.raw_join(connect(version, "c"));
        let publish = |id: u8| match version {
            V5 => vec![0x34, 7, 0, 1, b't', 0, id, 0, b'x'],
            V311 => vec![0x34, 6, 0, 1, b't', 0, id, b'x'],
        };
        for id in [1, 2, 3, 3, 2] {
            world.send(who, &publish(id));
        }
        assert!(world.is_open(who), "a repetition takes no second place");
        world.send(who, b"\x62\x02\x00\x01");
        world.send(who, &publish(4));
        assert!(world.is_open(who), "PUBREL makes room");
        world.send(who, &publish(5));
        assert_eq!(world.is_open(who), open);
        let code = (version == V5).then_some(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED);
        assert_eq!(told(&mut world, who), code);
    }
}

#[test]
fn the_limits_are_announced() {
    let mut world = World::with_server(|config| {
        config.receive_maximum = 5;
        config.max_packet_size = 1000;
        config.topic_alias_maximum = 3;
    });
    let who = world.add(options(V5, "c"));
    let connack = world.connect(who);
    let properties = connack.properties.iter().collect::<Vec<_>>();
    let expected = [
        Property::ReceiveMaximum(5),
        Property::MaximumPacketSize(1000),
        Property::TopicAliasMaximum(3),
    ];
    assert_eq!(properties, expected);
}

#[test]
fn a_packet_that_is_too_large_is_refused_by_its_header() {
    for version in VERSIONS {
        let mut world = World::with_server(|config| config.max_packet_size = 130);
        let who = world.raw_join(connect(version, "c"));
        world.send(who, b"\x30\x7f\x00\x01t");
        assert!(world.is_open(who), "129 bytes may follow");
        let who = world.raw_join(connect(version, "d"));
        world.send(who, b"\x30\x80\x01");
        assert!(!world.is_open(who));
        let code = (version == V5).then_some(ReasonCode::PACKET_TOO_LARGE);
        assert_eq!(told(&mut world, who), code);
    }
    let mut world = World::with_server(|config| config.max_packet_size = 130);
    let who = world.raw(V5);
    world.send(who, b"\x10\x80\x01");
    assert!(!world.is_open(who), "before CONNECT as well");
}

#[test]
fn connect_must_come_in_time() {
    let mut world = World::new();
    let silent = world.raw(V5);
    let slow = world.raw(V5);
    world.send(slow, b"\x10");
    world.advance(9.999);
    world.send(slow, b"\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00");
    assert!(world.is_open(silent) && world.is_open(slow));
    world.advance(0.001);
    assert!(!world.is_open(silent) && !world.is_open(slow), "bytes are no CONNECT");
    assert!(world.packets(silent).is_empty() && world.packets(slow).is_empty());
    assert_eq!(world.broker.poll_timeout(), None);
}

/// [MQTT-3.1.2-22]: closed when so many seconds have passed since the last packet.
#[test]
fn silence_ends_a_connection_after_one_and_a_half_times_the_keep_alive() {
    for version in VERSIONS {
        for keep_alive in [1, 10, u16::MAX] {
            let mut world = World::new();
            let mut connect = connect(version, "c");
            connect.keep_alive = keep_alive;
            let who = world.raw_join(connect);
            let silence = 1.5 * f64::from(keep_alive);
            world.advance(silence - 0.001);
            world.send(who, b"\xc0\x00");
            assert!(matches!(&world.packets(who)[..], [Packet::PingResp]));
            world.advance(silence / 2.0);
            // A part of a packet is not one.
            world.send(who, b"\xc0");
            world.advance(silence / 2.0 - 0.001);
            assert!(world.is_open(who), "{keep_alive}");
            world.advance(0.001);
            assert!(!world.is_open(who), "{keep_alive}");
            let code = (version == V5).then_some(ReasonCode::KEEP_ALIVE_TIMEOUT);
            assert_eq!(told(&mut world, who), code);
        }
        let mut world = World::new();
        let who = world.raw_join(connect(version, "c"));
        world.advance(1e7);
        assert!(world.is_open(who), "0 is no limit");
    }
}

#[test]
fn a_client_that_acknowledges_too_late_is_asked_again_or_disconnected() {
    // Without a keep alive there is nothing else that the broker looks at it for.
    let timeout = std::time::Duration::from_secs(5);
    for version in VERSIONS {
        let mut world = World::with_server(|config| config.ack_timeout = Some(timeout));
        let who = world.raw_join(connect(version, "c"));
        let subscribe: &[u8] = match version {
            V311 => b"\x82\x06\x00\x01\x00\x01t\x01",
            V5 => b"\x82\x07\x00\x01\x00\x00\x01t\x01",
        };
        world.send(who, subscribe);
        let publisher = world.join(options(V5, "publisher"));
        world.publish(publisher, message("t", "x").with_qos(AtLeastOnce));
        world.packets(who);
        world.advance(4.999);
        assert!(world.packets(who).is_empty(), "{version}");
        world.advance(0.001);
        let packets = world.packets(who);
        match (version, &packets[..]) {
            (V311, [Packet::Publish(publish)]) => {
                let delivery = Delivery::AtLeastOnce { id: PacketId::MIN, dup: true };
                assert_eq!(publish.delivery, delivery);
            }
            (V5, [Packet::Disconnect(disconnect)]) => {
                assert_eq!(disconnect.reason, ReasonCode::UNSPECIFIED_ERROR);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.is_open(who), version == V311);
    }
}

#[test]
fn a_client_that_pings_is_not_silent() {
    for version in VERSIONS {
        let mut world = World::new();
        let who = world.join(options(version, "c").keep_alive(10));
        world.advance(10_000.0);
        assert!(world.is_open(who));
    }
}

#[test]
fn a_client_is_heard_while_retained_messages_are_on_their_way() {
    let mut world = World::with_server(|config| config.max_transmit = 1000);
    let publisher = world.join(options(V5, "publisher"));
    for number in 0..200 {
        world.publish(publisher, message(&number.to_string(), "payload").with_retain(true));
    }
    let mut connect = connect(V5, "c");
    connect.keep_alive = 10;
    let who = world.raw_join(connect);
    world.stall(who, true);
    world.send(who, b"\x82\x07\x00\x01\x00\x00\x01#\x00");
    for _ in 0..10 {
        world.advance(14.0);
        world.send(who, b"\xc0\x00");
    }
    assert!(world.is_open(who));
}

#[test]
fn a_subscriber_that_does_not_read_costs_its_own_queue_and_nobody_else() {
    for qos in ALL_QOS {
        let mut world = World::with_server(|config| {
            config.max_transmit = 10_000;
            config.max_queued = 100;
        });
        let publisher = world.join(options(V5, "publisher"));
        let slow = world.join(options(V5, "slow"));
        let fast = world.join(options(V5, "fast"));
        world.subscribe(slow, "t", qos);
        world.subscribe(fast, "t", qos);
        world.stall(slow, true);
        let payload = "x".repeat(100);
        for number in 1..=5000 {
            world.publish(publisher, message("t", &payload).with_qos(qos));
            if number % 500 == 0 {
                assert_eq!(world.messages(fast).len(), 500, "{qos:?}");
            }
        }
        assert!(world.most_waiting(slow) < 10_000 + 200);
        assert!(world.queued("slow").expect("a session") <= 100);
        world.stall(slow, false);
        let got = world.messages(slow).len() as u64;
        assert!(got >= 80, "{qos:?}: {got}");
        assert_eq!(world.broker.stats().dropped_full, 5000 - got, "the rest was counted");
        world.publish(publisher, message("t", "x").with_qos(qos));
        assert_eq!(world.messages(slow).len(), 1, "{qos:?}: and then it goes on");
    }
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_read_from() {
    let mut world = World::with_server(|config| config.max_transmit = 20_000);
    let who = world.raw_join(connect(V5, "c"));
    world.stall(who, true);
    world.send(who, &b"\xc0\x00".repeat(50_000));
    // As much for messages, and as much for answers.
    assert!(world.most_waiting(who) <= 40_002, "{}", world.most_waiting(who));
    world.stall(who, false);
    assert_eq!(world.packets(who).len(), 50_000, "all are answered in the end");
}

/// What of a broker could be seen by anyone.
fn state(world: &World) -> impl PartialEq + std::fmt::Debug + use<> {
    let broker = &world.broker;
    let sessions: Vec<_> =
        broker.sessions().map(|(id, connected, open)| (id.to_owned(), connected, open)).collect();
    let subscriptions: Vec<_> = sessions
        .iter()
        .flat_map(|(id, ..)| broker.subscriptions(id).map(move |s| format!("{id} {s:?}")))
        .collect();
    (sessions, subscriptions, broker.retained(), broker.poll_timeout())
}

/// Table row A55 of the decisions, and effects before authentication: these bytes do nothing.
#[test]
fn a_refused_connect_changes_nothing() {
    let mut authenticated = connect(V5, "away");
    authenticated.properties = properties([Property::AuthenticationMethod("SCRAM-SHA-1")]);
    authenticated.will = Some(message("t", "forged").with_retain(true));
    let mut bytes = Vec::new();
    authenticated.encode(&mut bytes).expect("a legal packet");
    // A PUBLISH behind it is not read.
    bytes.extend_from_slice(b"\x31\x05\x00\x01t\x00x");
    for (refused, code) in [
        (&bytes[..], Some(ReasonCode::BAD_AUTHENTICATION_METHOD)),
        (
            b"\x10\x11\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x04away",
            Some(ReasonCode::MALFORMED_PACKET),
        ),
        (
            b"\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x03away",
            Some(ReasonCode::MALFORMED_PACKET),
        ),
        (
            b"\x10\x11\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x04away",
            Some(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
        ),
        (b"\x10\x11\x00\x04MQTX\x05\x02\x00\x00\x00\x00\x04away", None),
        (b"\x31\x05\x00\x01t\x00x", None),
        (b"\xe0\x00", None),
        (b"\xc0\x00", None),
        (b"GET / HTTP/1.1\r\n\r\n", None),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", None),
        (b"\x00", None),
    ] {
        let mut world = World::new();
        let away = world.join(lasting(V5, "away", 60));
        let here = world.join(lasting(V5, "here", 60));
        for who in [away, here] {
            world.subscribe(who, "#", AtLeastOnce);
        }
        world.cut(away);
        world.publish(here, message("t", "waits").with_qos(AtLeastOnce).with_retain(true));
        world.inbox(here);
        let before = state(&world);
        let received = world.broker.stats();
        let who = world.raw(V5);
        world.send(who, refused);
        assert!(!world.is_open(who), "{refused:?}");
        let packets = world.packets(who);
        match (&packets[..], code) {
            ([], None) => {}
            ([Packet::ConnAck(ack)], Some(code)) => assert_eq!(ack.reason, code, "{refused:?}"),
            _ => panic!("{packets:?} for {refused:?}"),
        }
        assert_eq!(state(&world), before, "{refused:?}");
        assert_eq!(world.broker.stats(), received, "{refused:?}");
        assert!(world.inbox(here).is_empty());
    }
}

#[test]
fn what_follows_disconnect_is_not_read() {
    for version in VERSIONS {
        let mut world = World::new();
        let observer = world.join(options(V5, "observer"));
        world.subscribe(observer, "#", AtMostOnce);
        let who = world.raw_join(connect(version, "c"));
        world.send(who, b"\xe0\x00\x30\x05\x00\x01t\x00x\xff\xff");
        assert!(!world.is_open(who) && world.inbox(observer).is_empty());
        assert!(world.packets(who).is_empty());
    }
}

/// Table row A42 of the decisions.
#[test]
fn what_follows_connect_need_not_wait_for_its_answer() {
    let mut world = World::new();
    let who = world.raw(V311);
    let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c";
    world.send(who, &[&connect[..], b"\x82\x06\x00\x01\x00\x01t\x00\x30\x04\x00\x01tx"].concat());
    let packets = world.packets(who);
    assert!(
        matches!(&packets[..], [Packet::ConnAck(_), Packet::SubAck(_), Packet::Publish(_)]),
        "{packets:?}"
    );
}

/// Table rows A34 and A35 of the decisions.
#[test]
fn a_malformed_filter_or_name_ends_the_connection() {
    for (bytes, code) in [
        (&b"\x82\x08\x00\x01\x00\x00\x02a#\x00"[..], ReasonCode::TOPIC_FILTER_INVALID),
        (b"\x30\x05\x00\x01#\x00x", ReasonCode::TOPIC_NAME_INVALID),
    ] {
        let mut world = World::new();
        let who = world.raw_join(connect(V5, "c"));
        world.send(who, bytes);
        assert_eq!(told(&mut world, who), Some(code));
        assert!(!world.is_open(who));
    }
}

#[test]
fn beyond_max_connections_no_more_are_taken() {
    let mut world = World::with(|config| config.max_connections = 2);
    let first = world.raw(V5);
    world.raw(V5);
    let now = world.now;
    assert_eq!(world.broker.handle_accepted(now), None);
    world.cut(first);
    assert!(world.broker.handle_accepted(now).is_some());
    world.broker.check();
}

#[test]
fn no_later_connection_is_taken_for_one_that_is_gone() {
    let mut world = World::new();
    let now = world.now;
    let gone = world.broker.handle_accepted(now).expect("room");
    world.broker.handle_closed(now, gone);
    let who = world.raw_join(connect(V5, "c"));
    world.broker.handle_input(now, gone, b"\xe0\x00");
    world.broker.handle_closed(now, gone);
    world.broker.check();
    assert_eq!(world.broker.connections(), 1);
    assert!(world.broker.transmit(gone).is_none() && !world.broker.wants_input(gone));
    world.send(who, b"\xc0\x00");
    assert!(matches!(&world.packets(who)[..], [Packet::PingResp]));
}

#[test]
fn beyond_max_subscriptions_new_filters_are_refused() {
    for (version, code) in [(V5, 0x97), (V311, 0x80)] {
        let mut world = World::with(|config| config.max_subscriptions = 2);
        let who = world.join(lasting(version, "c", 60));
        let filters = ["a", "b", "c", "a"].map(|text| (text, AtLeastOnce.into()));
        assert_eq!(world.subscribe_all(who, &filters, 0), [1, 1, code, 1]);
        world.cut(who);
        world.connect(who);
        assert_eq!(world.subscribe(who, "c", AtMostOnce), code, "they are still there");
        world.unsubscribe(who, "c");
        assert_eq!(world.subscribe(who, "c", AtMostOnce), code);
        world.unsubscribe(who, "b");
        assert_eq!(world.subscribe(who, "c", AtMostOnce), 0);
        assert_eq!(world.broker.subscriptions("c").count(), 2);
    }
}

#[test]
fn beyond_max_filter_levels_a_filter_is_refused() {
    for (version, code) in [(V5, 0x97), (V311, 0x80)] {
        let mut world = World::new();
        let who = world.join(options(version, "c"));
        assert_eq!(world.subscribe(who, &"/".repeat(127), AtLeastOnce), 1, "128 levels");
        for deep in ["/".repeat(128), "/".repeat(65_535), "+/".repeat(32_767)] {
            assert_eq!(world.subscribe(who, &deep, AtLeastOnce), code);
        }
        assert_eq!(world.broker.subscriptions("c").count(), 1);
        let deep = "/".repeat(65_535);
        world.subscribe(who, "#", AtMostOnce);
        world.publish(who, message(&deep, "x").with_retain(true));
        assert_eq!(world.inbox(who).len(), 1, "a name costs its bytes only");
    }
}

/// [MQTT-3.1.2-24] for answers: what cannot be said ends the connection.
#[test]
fn an_answer_that_is_too_large_is_not_sent() {
    let mut world = World::new();
    let mut connect = connect(V5, "c");
    connect.properties = properties([Property::MaximumPacketSize(40)]);
    let who = world.raw_join(connect);
    let subscribe = |count: usize| {
        let filters = (0..count).map(|n| (filter(&n.to_string()), SubscriptionOptions::default()));
        Packet::Subscribe(Subscribe {
            id: PacketId::MIN,
            properties: properties([]),
            filters: SubscribeFilters::new(filters).expect("filters"),
        })
    };
    world.say(who, &subscribe(35), V5);
    assert!(matches!(&world.packets(who)[..], [Packet::SubAck(_)]), "40 bytes");
    world.say(who, &subscribe(36), V5);
    assert_eq!(told(&mut world, who), Some(ReasonCode::PACKET_TOO_LARGE));
    assert!(!world.is_open(who));
}

#[test]
fn a_client_that_cannot_take_connack_is_refused() {
    for limit in [1, 5, 15, 16, 20, 40] {
        let mut world = World::new();
        let who = world.raw(V5);
        let mut connect = connect(V5, "c");
        connect.properties = properties([Property::MaximumPacketSize(limit)]);
        world.say(who, &connect.to_packet().unwrap(), V5);
        let packets = world.packets(who);
        let size: u32 = packets.iter().map(|p| p.encoded_len(V5).expect("a packet")).sum();
        assert!(size <= limit, "{limit}: {packets:?}");
        assert_eq!(world.is_open(who), limit >= 16, "{packets:?}");
    }
}

#[test]
fn shut_down_ends_every_connection_and_writes_what_was_queued() {
    let mut world = World::new();
    let publisher = world.join(options(V5, "publisher"));
    let subscribers = VERSIONS.map(|version| {
        let who = world.join(options(version, if version == V5 { "v5" } else { "v3" }));
        world.subscribe(who, "t", AtLeastOnce);
        world.stall(who, true);
        who
    });
    let stranger = world.raw(V5);
    world.publish(publisher, message("t", "x").with_qos(AtLeastOnce));
    world.shut_down();
    assert_eq!(world.broker.connections(), 0);
    assert!(!world.is_open(stranger));
    for who in subscribers {
        assert_eq!(world.inbox(who), ["t=x q1"]);
    }
    let told = CloseReason::Disconnected(ReasonCode::SERVER_SHUTTING_DOWN);
    assert_eq!(world.closed(subscribers[1]), Some(&told));
    assert_eq!(world.closed(subscribers[0]), None, "3.1.1 has no word for it");
}
