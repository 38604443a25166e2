//! What neither side may exceed: Receive Maximum, aliases, packet sizes, buffers, and time.

mod common;

use std::time::Duration;

use bytes::{Buf, Bytes};
use common::{
    Pair, Q0, Q1, Q2, VERSIONS, connack, expiring, id, lasting,
    lone::{Setup, sides},
    on_topic, publication,
};
use mqtt_session::{
    CloseReason, CommandError, Instant, Outcome, PublishError, Server, ServerAction, ServerConfig,
    Session, Violation,
    proto::{
        Ack, DecodeErrorKind, Decoder, Packet, ProtocolVersion, Publication, QoS, ReasonCode, Role,
        Status, SubAck, TopicName, UnsubAck,
    },
    remaining_expiry,
};

use ProtocolVersion::{V5, V311};

const ACKNOWLEDGED: Outcome = Outcome::Acknowledged(ReasonCode::SUCCESS);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn no_more_is_in_flight_than_the_receiver_takes() {
    // Receive Maximum of the receiver (5.0 only), the sender's own limit, what is in flight.
    fn check(version: ProtocolVersion, receive_maximum: u16, own: u16, expected: usize) {
        for qos in [Q1, Q2] {
            let told = format!("{version} {qos:?} {receive_maximum} {own}");
            let options = lasting(version).max_in_flight(own).receive_maximum(receive_maximum);
            let mut pair = Pair::new(options, version);
            pair.config.receive_maximum = receive_maximum;
            pair.config.max_in_flight = own;
            pair.connect();
            pair.run();
            assert_eq!(usize::from(pair.client.send_quota()), expected, "{told}");
            pair.trace.clear();
            for number in 0..10 {
                pair.publish_up(qos, &number.to_string());
                pair.publish_down(qos, &number.to_string());
            }
            let (up, down) = (pair.read_up(), pair.read_down());
            assert_eq!((up.len(), down.len()), (0, 0), "{told}: nothing was written yet");
            (pair.up.open, pair.down.open) = (false, false);
            pair.run();
            (pair.up.open, pair.down.open) = (true, true);
            assert_eq!(usize::from(pair.client.send_quota()), 0, "{told}");
            let (mut up, mut down) = (0, 0);
            // One byte at a time: the quota is taken and comes back one by one.
            while pair.run_bytes(1) {
                let sent = in_flight(pair.client.session());
                assert_eq!(usize::from(pair.client.send_quota()), expected - sent, "{told}");
                up = up.max(sent);
                down = down.max(pair.server().session().map_or(0, in_flight));
            }
            assert_eq!((up, down), (expected, expected), "{told}");
            let texts: Vec<_> = (0..10).map(|number| number.to_string()).collect();
            assert_eq!((&pair.at_server, &pair.at_client), (&texts, &texts), "{told}");
            assert_eq!(usize::from(pair.client.send_quota()), expected, "{told}");
            assert!(pair.at_rest());
        }
    }
    check(V5, 1, 100, 1);
    check(V5, 3, 100, 3);
    check(V5, 100, 2, 2);
    check(V311, 1, 2, 2);
}

/// How many messages were sent and not acknowledged.
fn in_flight(session: &Session) -> usize {
    (1..=10).filter(|&number| session.send_state(id(number)).is_some()).count()
}

#[test]
fn one_message_too_many_is_receive_maximum_exceeded() {
    // [MQTT-3.3.4-9]
    fn check(version: ProtocolVersion, packets: &[Packet<Bytes>], exceeded: bool) {
        let expected =
            exceeded.then_some(CloseReason::Violation(Violation::ReceiveMaximumExceeded));
        let mut pair = Pair::connected_with(lasting(version).receive_maximum(2), version);
        pair.up.open = false;
        packets.iter().for_each(|packet| pair.inject_down(packet));
        pair.run();
        assert_eq!(pair.client_closed, expected, "client: {packets:?}");
        let said = pair.read_up().last() == Some(&"> DISCONNECT 0x93".to_owned());
        assert_eq!(said, exceeded);

        let mut pair = Pair::new(lasting(version), version);
        pair.config.receive_maximum = 2;
        pair.connect();
        pair.run();
        pair.down.open = false;
        packets.iter().for_each(|packet| pair.inject_up(packet));
        pair.run();
        assert_eq!(pair.server_closed, expected, "server: {packets:?}");
    }
    let publish = |qos, number| common::publish(qos, number, "x");
    let release = |number| Packet::PubRel(Ack::success(id(number)));
    let three = [publish(Q2, 1), publish(Q2, 2), publish(Q2, 3)];
    check(V5, &three[..2], false);
    check(V5, &three, true);
    check(V311, &three, false);
    // QoS 1 is answered at once, QoS 0 not at all; but both come behind two that are open.
    check(V5, &[publish(Q1, 1), publish(Q1, 2), publish(Q1, 3)], false);
    check(V5, &[publish(Q2, 1), publish(Q2, 2), publish(Q0, 3)], false);
    check(V5, &[publish(Q2, 1), publish(Q2, 2), publish(Q1, 3)], true);
    // A repetition takes no second slot, and a release gives one back.
    check(V5, &[publish(Q2, 1), publish(Q2, 1), publish(Q2, 2), publish(Q2, 2)], false);
    check(V5, &[publish(Q2, 1), publish(Q2, 2), release(1), publish(Q2, 3)], false);
    check(V5, &[publish(Q2, 1), publish(Q2, 2), release(9), publish(Q2, 3)], true);
}

#[test]
fn an_unanswered_message_takes_a_slot_until_the_broker_answers() {
    let mut pair = Pair::new(lasting(V5), V5);
    pair.config.receive_maximum = 2;
    pair.connect();
    pair.run();
    let mut give = |number, qos| {
        let packet = common::publish(qos, number, "x");
        let now = pair.now;
        pair.server().handle_packet(now, packet)
    };
    let Some(ServerAction::Publish(first)) = give(1, Q1) else { panic!("a message is delivered") };
    assert!(matches!(give(2, Q2), Some(ServerAction::Publish(_))));
    assert_eq!(give(2, Q2), None, "the broker has it already");
    let now = pair.now;
    let receipt = first.receipt().expect("QoS 1 is answered");
    assert_eq!(pair.server().acknowledge(now, receipt, ReasonCode::SUCCESS), Ok(()));
    let again = pair.server().acknowledge(now, receipt, ReasonCode::SUCCESS);
    assert_eq!(again, Err(CommandError::NothingToAnswer));
    let packet = common::publish(Q1, 3, "x");
    assert!(matches!(pair.server().handle_packet(now, packet), Some(ServerAction::Publish(_))));
    let packet = common::publish(Q1, 4, "x");
    let exceeded = CloseReason::Violation(Violation::ReceiveMaximumExceeded);
    assert_eq!(pair.server().handle_packet(now, packet), Some(ServerAction::Close(exceeded)));
}

#[test]
fn a_refused_message_gives_its_slot_back() {
    let mut pair = Pair::new(lasting(V5), V5);
    pair.config.receive_maximum = 1;
    pair.verdict = ReasonCode::NOT_AUTHORIZED;
    pair.connect();
    pair.run();
    for _ in 0..3 {
        pair.publish_up(Q2, "x");
        pair.publish_up(Q1, "x");
    }
    pair.run();
    assert_eq!(pair.server_closed, None);
    assert_eq!(pair.client_finished.len(), 6);
    assert_eq!(pair.client.send_quota(), 1);
}

/// A PUBLISH of QoS 0 with this alias.
fn aliased(alias: u16, name: &str) -> Vec<u8> {
    let len = name.len() as u8;
    let [high, low] = alias.to_be_bytes();
    [&[0x30, 7 + len, 0, len], name.as_bytes(), &[3, 0x23, high, low, b'x']].concat()
}

#[test]
fn topic_aliases_are_learnt_and_die_with_the_connection() {
    // Alias and name of each PUBLISH (one with alias 9 is refused), "cut" between them; the names
    // delivered or the violation. Both sides announce 3.
    fn check(steps: &[(u16, &str)], expected: Result<&[&str], Violation>) {
        for client in [true, false] {
            let mut pair = Pair::new(lasting(V5).topic_alias_maximum(3), V5);
            pair.config.topic_alias_maximum = 3;
            pair.connect();
            pair.run();
            for &(alias, name) in steps {
                if name == "cut" {
                    pair.reconnect();
                    pair.run();
                    continue;
                }
                let packet = aliased(alias, name);
                if client {
                    pair.inject_bytes_down(&packet)
                } else {
                    pair.inject_bytes_up(&packet)
                }
                pair.run();
            }
            let closed = if client { pair.client_closed } else { pair.server_closed };
            match expected {
                Ok(names) => {
                    let heard: Vec<_> = pair.heads.iter().map(|(name, _)| name.as_str()).collect();
                    assert_eq!(heard, names, "client: {client}");
                    assert_eq!(closed, None);
                }
                Err(violation) => assert_eq!(closed, Some(CloseReason::Violation(violation))),
            }
        }
    }
    check(&[(1, "a"), (1, ""), (1, "")], Ok(&["a", "a", "a"]));
    check(&[(1, "a"), (3, "c"), (1, ""), (3, "")], Ok(&["a", "c", "a", "c"]));
    check(&[(1, "a"), (1, "b"), (1, "")], Ok(&["a", "b", "b"]));
    check(&[(4, "a")], Err(Violation::TopicAliasInvalid(4)));
    check(&[(4, "")], Err(Violation::TopicAliasInvalid(4)));
    check(&[(1, "a"), (2, "")], Err(Violation::TopicAliasUnknown(2)));
    check(&[(1, "a"), (0, "cut"), (1, "")], Err(Violation::TopicAliasUnknown(1)));
}

#[test]
fn an_alias_violation_is_told_by_its_code() {
    // Section 3.3.4; alias 0 is no packet at all.
    fn check(maximum: u16, alias: u16, expected: &str) {
        let mut pair = Pair::connected_with(lasting(V5).topic_alias_maximum(maximum), V5);
        pair.inject_bytes_down(&aliased(alias, ""));
        pair.run();
        assert_eq!(pair.trace.last().map(String::as_str), Some(expected));
        assert_eq!(pair.at_client, [""; 0]);
    }
    check(3, 0, "> DISCONNECT 0x94");
    check(3, 4, "> DISCONNECT 0x94");
    check(0, 1, "> DISCONNECT 0x94");
    check(3, 3, "> DISCONNECT 0x82");
}

#[test]
fn a_server_gives_no_message_without_its_name() {
    let mut pair = Pair::connected(V5);
    let now = pair.now;
    let bytes = aliased(1, "");
    let status = pair.server().decode(now, &bytes).expect("a packet");
    let Status::Ready((packet, _)) = status else { panic!("all of it") };
    let action = pair.server().handle_packet(now, packet);
    let reason = CloseReason::Violation(Violation::TopicAliasUnknown(1));
    assert_eq!(action, Some(ServerAction::Close(reason)));
}

#[test]
fn to_a_peer_that_does_not_read_qos_0_is_refused_and_the_rest_waits() {
    const LIMIT: usize = 1000;
    for version in VERSIONS {
        let options = lasting(version).max_transmit(LIMIT);
        let mut pair = Pair::connected_with(options, version);
        pair.up.capacity = 0;
        let now = pair.now;
        let message = "x".repeat(100);
        let mut accepted = 0;
        let full = loop {
            match pair.client.publish(now, publication(Q0, &message)) {
                Ok(_) => accepted += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(full, PublishError::TransmitFull);
        for _ in 0..50 {
            pair.publish_up(Q1, "one");
            pair.publish_up(Q2, "two");
        }
        assert!(pair.client.transmit().len() < LIMIT + 110, "{:?}", pair.client.transmit());
        assert!(pair.client.wants_input(), "messages alone do not stop the reading");
        // Partly written, it fills up again.
        pair.up.capacity = 300;
        pair.up.open = false;
        pair.run();
        assert!(pair.client.transmit().len() >= LIMIT);
        assert_eq!(pair.client.session().open(), 100);
        pair.up.open = true;
        pair.run();
        assert_eq!(pair.at_server.len(), accepted + 100);
        assert!(pair.at_rest());
    }
}

#[test]
fn to_a_client_that_does_not_read_qos_0_is_dropped_and_the_rest_waits() {
    const LIMIT: usize = 1000;
    for version in VERSIONS {
        let mut pair = Pair::new(lasting(version), version);
        pair.config.max_transmit = LIMIT;
        pair.connect();
        pair.run();
        pair.down.capacity = 0;
        let now = pair.now;
        let message = publication(Q0, &"x".repeat(100)).message;
        let mut accepted = 0;
        let full = loop {
            match pair.server().publish_at_most_once(now, false, &message) {
                Ok(()) => accepted += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(full, PublishError::TransmitFull);
        for _ in 0..50 {
            pair.publish_down(Q1, "one");
            pair.publish_down(Q2, "two");
        }
        assert!(pair.server().transmit().len() < LIMIT + 110);
        pair.run();
        pair.down.capacity = usize::MAX;
        pair.run();
        assert_eq!(pair.at_client.len(), accepted + 100);
        assert!(pair.at_rest());
    }
}

#[test]
fn answers_that_nobody_reads_stop_the_reading() {
    const LIMIT: usize = 20_000;
    for version in VERSIONS {
        let mut pair = Pair::new(lasting(version).max_transmit(LIMIT), version);
        pair.config.max_transmit = LIMIT;
        pair.connect();
        pair.run();
        (pair.up.capacity, pair.down.capacity) = (0, 0);
        (pair.up.chunk, pair.down.chunk) = (10, 10);
        for number in 1..=20_000 {
            pair.inject_up(&common::publish(Q1, number, "x"));
            pair.inject_down(&common::publish(Q1, number, "x"));
        }
        pair.run();
        assert!(!pair.client.wants_input());
        assert!(!pair.server().wants_input());
        for len in [pair.client.transmit().len(), pair.server().transmit().len()] {
            assert!((2 * LIMIT..2 * LIMIT + 10).contains(&len), "{len}");
        }
        (pair.up.capacity, pair.down.capacity) = (usize::MAX, usize::MAX);
        pair.run();
        assert_eq!((pair.at_server.len(), pair.at_client.len()), (20_000, 20_000));
    }
}

#[test]
fn no_packet_costs_more_than_its_answer_and_that_stops_the_reading() {
    // Each packet over and over, to a side whose answers nobody reads: it stops to read, or it has
    // nothing to keep.
    const LIMIT: usize = 20_000;
    let ack = || Ack::success(id(9));
    let suback = SubAck::new(id(9), [ReasonCode::SUCCESS].into_iter().collect());
    let unsuback = UnsubAck::new(id(9), [ReasonCode::SUCCESS].into_iter().collect());
    for (role, version) in sides() {
        let mut packets = vec![
            (common::publish(Q0, 0, "x"), false),
            (common::publish(Q1, 9, "x"), true),
            (common::publish(Q2, 9, "x"), true),
            (Packet::PubAck(ack()), false),
            (Packet::PubRec(ack()), true),
            (Packet::PubRel(ack()), true),
            (Packet::PubComp(ack()), false),
        ];
        match role {
            Role::Client if version == V5 => packets.extend([
                (Packet::PingResp, false),
                (Packet::SubAck(suback.clone()), false),
                (Packet::UnsubAck(unsuback.clone()), false),
            ]),
            Role::Client => packets.push((Packet::PingResp, false)),
            Role::Server => packets.push((Packet::PingReq, true)),
        }
        for (packet, answered) in packets {
            let told = format!("{role:?} {version} {}", common::describe(&packet));
            let mut lone = Setup::new(role, version).max_transmit(LIMIT).connected();
            let mut count = 0;
            while count < 20_000 && lone.wants_input() {
                lone.hear(&packet);
                count += 1;
                if let Some((_, Some(receipt))) = lone.delivered.pop() {
                    lone.acknowledge(receipt, ReasonCode::SUCCESS).expect("it is owed");
                }
            }
            let unwritten = lone.unwritten();
            if answered {
                assert!(!lone.wants_input(), "{told}: {unwritten}");
                assert!((2 * LIMIT..2 * LIMIT + 10).contains(&unwritten), "{told}: {unwritten}");
                lone.said();
                assert!(lone.wants_input(), "{told}: it reads on");
            } else {
                assert_eq!((count, unwritten), (20_000, 0), "{told}");
            }
            assert_eq!(lone.session().map(Session::open), Some(0), "{told}");
            assert_eq!((&lone.closed, &lone.finished), (&None, &Vec::new()), "{told}");
        }
    }
}

#[test]
fn no_more_answers_are_owed_than_receive_maximum_and_in_3_1_1_than_there_are_identifiers() {
    // A peer that releases what it has no PUBREC for, again and again, behind a message that waits
    // for its verdict.
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).connected();
        lone.hear(&common::publish(Q2, 1, "undecided"));
        let mut count = 1;
        while lone.closed.is_none() && count < 100_000 {
            lone.hear(&common::publish(Q2, 2, "x"));
            if let Some((_, Some(receipt))) = lone.delivered.pop() {
                let _ = lone.acknowledge(receipt, ReasonCode::SUCCESS);
            }
            lone.hear(&Packet::PubRel(Ack::success(id(2))));
            lone.said();
            count += 1;
        }
        let maximum = if version == V5 { 1024 } else { usize::from(u16::MAX) };
        assert_eq!(count, maximum + 1, "{role:?} {version}");
        let exceeded = CloseReason::Violation(Violation::ReceiveMaximumExceeded);
        assert_eq!(lone.closed, Some(exceeded), "{role:?} {version}");
    }
}

#[test]
fn two_sides_that_both_send_much_do_not_wait_for_each_other() {
    for version in VERSIONS {
        for qos in [Q0, Q1, Q2] {
            let mut pair = Pair::new(lasting(version).max_transmit(1), version);
            pair.config.max_transmit = 1;
            pair.connect();
            pair.run();
            (pair.up.capacity, pair.down.capacity) = (16, 16);
            let large = "x".repeat(100_000);
            let now = pair.now;
            let (mut up, mut down) = (0, 0);
            for _ in 0..3 {
                let message = || publication(qos, &large);
                up += usize::from(pair.client.publish(now, message()).is_ok());
                down += usize::from(pair.server().publish(now, message()).is_ok());
            }
            pair.run();
            assert_eq!(
                (pair.at_server.len(), pair.at_client.len()),
                (up, down),
                "{version} {qos:?}"
            );
            assert!(pair.at_rest());
        }
    }
}

#[test]
fn a_transmit_limit_of_0_still_lets_one_packet_through() {
    let mut pair = Pair::new(lasting(V5).max_transmit(0), V5);
    pair.config.max_transmit = 0;
    pair.config.receive_maximum = 0;
    pair.config.max_in_flight = 0;
    pair.connect();
    pair.run();
    for qos in [Q0, Q1, Q2] {
        pair.publish_up(qos, "x");
        pair.run();
        pair.publish_down(qos, "x");
        pair.run();
    }
    assert_eq!((pair.at_server.len(), pair.at_client.len()), (3, 3));
}

#[test]
fn a_packet_too_large_ends_the_connection_before_it_is_there() {
    for version in VERSIONS {
        for up in [true, false] {
            let mut pair = Pair::new(lasting(version).max_packet_size(100), version);
            pair.config.max_packet_size = 100;
            // The fixed header of a PUBLISH of 100 bytes, then of 101.
            for len in [98, 99] {
                pair.reconnect();
                pair.run();
                let header = [0x30, len];
                if up {
                    pair.inject_bytes_up(&header)
                } else {
                    pair.inject_bytes_down(&header)
                };
                pair.run();
                let closed = if up { &pair.server_closed } else { &pair.client_closed };
                match closed {
                    None => assert_eq!(len, 98),
                    Some(CloseReason::Malformed(error)) => {
                        assert_eq!(len, 99);
                        assert!(matches!(error.kind(), DecodeErrorKind::PacketTooLarge));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn what_is_left_of_an_expiry_interval_is_rounded_up() {
    fn check(interval: u32, waited_micros: u64, expected: Option<u32>) {
        let waited = Duration::from_micros(waited_micros);
        assert_eq!(remaining_expiry(interval, waited), expected, "{interval} after {waited:?}");
    }
    check(10, 0, Some(10));
    check(10, 1, Some(10));
    check(10, 999_999, Some(10));
    check(10, 1_000_000, Some(9));
    check(10, 1_000_001, Some(9));
    check(10, 9_999_999, Some(1));
    check(10, 10_000_000, None);
    check(0, 0, Some(0));
    check(0, 1, None);
    check(u32::MAX, 1_000_000, Some(u32::MAX - 1));
}

#[test]
fn a_waiting_message_grows_older() {
    // [MQTT-3.3.2-5] [MQTT-3.3.2-6]: the interval, how long it waits for a connection, what
    // arrives.
    fn check(interval: u32, waited: Duration, expected: Option<u32>) {
        let mut pair = Pair::new(lasting(V5), V5);
        let message = expiring(Q1, "x", interval);
        pair.client.publish(pair.now, message).expect("room");
        pair.pass(waited);
        pair.connect();
        pair.run();
        let heard: Vec<_> = pair.heads.iter().map(|(_, expiry)| *expiry).collect();
        let told = format!("{interval} after {waited:?}");
        match expected {
            Some(_) => assert_eq!(heard, [expected], "{told}"),
            None => {
                assert_eq!(pair.client_finished, [(1, Outcome::Expired)], "{told}");
                assert_eq!(heard, [], "{told}");
            }
        }
        assert!(pair.at_rest());
        assert_eq!(pair.client.send_quota(), 100);
    }
    check(10, seconds(0), Some(10));
    check(10, Duration::from_millis(3500), Some(7));
    check(10, seconds(9), Some(1));
    check(10, seconds(10), None);
    check(0, seconds(0), Some(0));
    check(0, seconds(1), None);
}

#[test]
fn once_sent_a_message_does_not_expire() {
    // Decision A15: cut after this many packets of the exchange, long after the expiry.
    for (up, qos, packets) in [(true, Q1, 1), (true, Q2, 3), (false, Q1, 1), (false, Q2, 3)] {
        for heard in 0..=packets {
            let mut pair = Pair::connected(V5);
            let now = pair.now;
            let message = expiring(qos, "x", 10);
            if up {
                pair.client.publish(now, message).expect("room");
            } else {
                pair.server().publish(now, message).expect("room");
            }
            while pair.trace.len() < heard && pair.run_bytes(1) {}
            pair.step(0);
            pair.pass(seconds(3600));
            pair.reconnect();
            pair.run();
            let (delivered, finished) = if up {
                (&pair.at_server, &pair.client_finished)
            } else {
                (&pair.at_client, &pair.server_finished)
            };
            assert!(delivered.iter().all(|text| text == "x") && !delivered.is_empty());
            assert!(qos == Q1 || delivered.len() == 1, "{up} {qos:?} {heard}: {delivered:?}");
            assert_eq!(*finished, [(1, ACKNOWLEDGED)]);
            // What is left is at least a second: never sent as expired.
            assert!(pair.heads.iter().all(|(_, expiry)| matches!(expiry, Some(1 | 10))));
            assert!(pair.at_rest());
        }
    }
}

#[test]
fn a_message_expires_behind_a_full_window_and_the_sender_is_told() {
    for up in [true, false] {
        let mut pair = Pair::new(lasting(V5).max_in_flight(1), V5);
        pair.config.max_in_flight = 1;
        pair.connect();
        pair.run();
        (pair.up.open, pair.down.open) = (false, false);
        let now = pair.now;
        for message in [publication(Q1, "1"), expiring(Q1, "2", 5), publication(Q1, "3")] {
            if up {
                pair.client.publish(now, message).expect("room");
            } else {
                pair.server().publish(now, message).expect("room");
            }
        }
        pair.run();
        pair.pass(seconds(5));
        (pair.up.open, pair.down.open) = (true, true);
        pair.run();
        let (delivered, finished) = if up {
            (&pair.at_server, &mut pair.client_finished)
        } else {
            (&pair.at_client, &mut pair.server_finished)
        };
        assert_eq!(*delivered, ["1", "3"]);
        finished.sort_by_key(|(id, _)| *id);
        assert_eq!(*finished, [(1, ACKNOWLEDGED), (2, Outcome::Expired), (3, ACKNOWLEDGED)]);
        assert!(pair.at_rest());
    }
}

#[test]
fn an_acknowledgement_alone_lets_the_next_message_out() {
    // A broker with nothing to write does not come back for it.
    let mut server =
        Server::new(ServerConfig { max_in_flight: 1, ..Default::default() }, Instant::ZERO);
    let now = Instant::ZERO;
    let name = mqtt_session::proto::Str::borrowed("c").expect("a string");
    let connect = mqtt_session::proto::Connect::new(V5, name);
    server.handle_packet(now, connect.to_packet().unwrap());
    server
        .accept(now, Session::new(9), &mqtt_session::Accept::default(), |_, _| {})
        .expect("a CONNECT");
    for text in ["a", "b"] {
        server.publish(now, publication(Q1, text)).expect("room");
    }
    let count = server.transmit().remaining();
    server.transmit().advance(count);
    server.handle_flushed(now, |_, _| {});
    assert!(server.transmit().is_empty());
    let action = server.handle_packet(now, Packet::<Bytes>::PubAck(Ack::success(id(1))));
    assert_eq!(action, Some(ServerAction::Finished { id: id(1), outcome: ACKNOWLEDGED }));
    assert!(!server.transmit().is_empty());
}

#[test]
fn time_does_not_run_backwards() {
    let mut pair = Pair::connected(V5);
    pair.pass(seconds(100));
    pair.client.publish(pair.now, publication(Q0, "x")).expect("connected");
    pair.up.open = false;
    pair.cut();
    let later = pair.now;
    pair.client.publish(Instant::ZERO, expiring(Q1, "x", 10)).expect("room");
    pair.now = later + seconds(9);
    pair.up.open = true;
    pair.connect();
    pair.inject_down(&connack(true, &[]));
    pair.run();
    assert_eq!(pair.heads.last(), Some(&("t".to_owned(), Some(1))));
}

#[test]
fn a_qos_the_session_does_not_keep_needs_a_connection() {
    fn check(qos: QoS, expected: Result<bool, PublishError>) {
        let mut pair = Pair::new(lasting(V5), V5);
        let now = pair.now;
        let offline = pair.client.publish(now, publication(qos, "x")).map(|id| id.is_some());
        assert_eq!(offline, expected);
        pair.connect();
        let connecting = pair.client.publish(now, publication(qos, "x")).map(|id| id.is_some());
        assert_eq!(connecting, expected);
        let awaiting = pair.server().publish(now, publication(qos, "x"));
        assert_eq!(awaiting, Err(PublishError::NotConnected));
        assert_eq!(pair.client.send_quota(), 0);
    }
    check(Q0, Err(PublishError::NotConnected));
    check(Q1, Ok(true));
    check(Q2, Ok(true));
}

/// What a PUBLISH says of its topic: the name, the alias, or both.
fn said(bytes: &[u8]) -> (String, Option<u16>) {
    let mut decoder = Decoder::new(Role::Client, V5);
    let Ok(Status::Ready((Packet::Publish(publish), _))) = decoder.decode(bytes) else {
        panic!("a PUBLISH: {bytes:?}");
    };
    (publish.message.topic.to_string(), publish.message.properties.topic_alias())
}

/// A publish to `topic` as it goes out.
fn sent(pair: &mut Pair, qos: QoS, topic: &str) -> (String, Option<u16>) {
    let now = pair.now;
    pair.client.publish(now, on_topic(qos, topic, "x")).expect("room");
    let said = said(pair.client.transmit().chunk());
    pair.run();
    said
}

#[test]
fn outbound_aliases_are_as_many_as_both_sides_want_and_begin_anew_with_each_connection() {
    let check = |version, ours: u16, theirs: u16, expected: &[(&str, Option<u16>)]| {
        let mut pair = Pair::new(lasting(version).outbound_topic_aliases(ours), version);
        pair.config.topic_alias_maximum = theirs;
        pair.connect();
        pair.run();
        for qos in [Q0, Q1, Q2] {
            let topics = ["room/1", "room/1", "room/2", "room/2", "a"];
            let said: Vec<_> = topics.map(|topic| sent(&mut pair, qos, topic)).into();
            let expected = expected.iter().map(|(name, at)| ((*name).to_owned(), *at));
            assert_eq!(said, expected.collect::<Vec<_>>(), "{version} {ours} {theirs} {qos:?}");
            // What the receiver sees are names.
            let names: Vec<_> = pair.heads.drain(..).map(|(topic, _)| topic).collect();
            assert_eq!(names, topics);
            pair.reconnect();
            pair.run();
        }
    };
    let none = [("room/1", None), ("room/1", None), ("room/2", None), ("room/2", None)];
    let all = [("room/1", Some(1)), ("", Some(1)), ("room/2", Some(2)), ("", Some(2))];
    let one = [("room/1", Some(1)), ("", Some(1)), ("room/2", None), ("room/2", None)];
    let and_a = |mut said: Vec<_>| {
        said.push(("a", None));
        said
    };
    check(V5, 16, 16, &and_a(all.into()));
    check(V5, 1, 16, &and_a(one.into()));
    check(V5, 16, 1, &and_a(one.into()));
    check(V5, 0, 16, &and_a(none.into()));
    check(V5, 16, 0, &and_a(none.into()));
}

/// A new alias takes three bytes: a message that fits only without goes out without.
#[test]
fn a_message_that_has_no_room_for_an_alias_goes_without() {
    // Long enough for CONNECT to be no larger.
    let topic = "room/".repeat(20);
    let bare = Publication::new(TopicName::<Bytes>::try_from(&*topic).expect("a topic"), "x");
    let publish = bare.as_ref().into_publish(id(1));
    let size = publish.encoded_len(V5).expect("legal");
    for (more, expected) in [(0, None), (2, None), (3, Some(1))] {
        let mut pair = Pair::new(lasting(V5).outbound_topic_aliases(16), V5);
        pair.config.max_packet_size = size + more;
        pair.connect();
        pair.run();
        assert_eq!(sent(&mut pair, Q0, &topic).1, expected, "{more} more bytes");
    }
}

/// What is queued has its name, and is sent on another connection with the alias of that one.
#[test]
fn a_resend_has_the_alias_of_its_own_connection() {
    let mut pair = Pair::connected_with(lasting(V5).outbound_topic_aliases(16), V5);
    let now = pair.now;
    for topic in ["room/1", "room/2", "room/2"] {
        pair.client.publish(now, on_topic(Q1, topic, "x")).expect("room");
    }
    pair.cut();
    pair.reconnect();
    pair.run();
    let names: Vec<_> = pair.heads.drain(..).map(|(topic, _)| topic).collect();
    assert_eq!(names, ["room/1", "room/2", "room/2"]);
    assert_eq!(pair.server_closed, None);
}
