//! Section 3.1.2.10: who may be silent for how long.

mod common;

use std::time::Duration;

use common::{Pair, Q0, Q1, VERSIONS, lasting};
use mqtt_session::{CloseReason, Instant, proto::ProtocolVersion};

use ProtocolVersion::{V5, V311};

const TICK: Duration = Duration::from_micros(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(time: Duration) -> Option<Instant> {
    Some(Instant::ZERO + time)
}

#[test]
fn the_client_pings_when_it_was_silent_for_the_keep_alive() {
    // Asked for, what the server says instead, when the client pings and the server gives up.
    fn check(version: ProtocolVersion, asked: u16, said: Option<u16>, expected: Option<u16>) {
        let mut pair = Pair::new(lasting(version).keep_alive(asked), version);
        pair.accept.keep_alive = said;
        pair.connect();
        pair.run();
        pair.trace.clear();
        let told = format!("{version} {asked} {said:?}");
        let interval = expected.map(|seconds| Duration::from_secs(seconds.into()));
        let silence = interval.map(|interval| interval * 3 / 2);
        assert_eq!(pair.client.poll_timeout(), interval.and_then(at), "{told}");
        assert_eq!(pair.server().poll_timeout(), silence.and_then(at), "{told}");
        let Some(interval) = interval else {
            pair.pass(seconds(1_000_000));
            pair.tick();
            assert_eq!(pair.trace, [""; 0], "{told}");
            return;
        };
        pair.pass(interval - TICK);
        pair.tick();
        assert_eq!(pair.trace, [""; 0], "{told}");
        pair.pass(TICK);
        pair.tick();
        assert_eq!(pair.trace, ["> PINGREQ", "< PINGRESP"], "{told}");
        assert_eq!(pair.client.poll_timeout(), at(interval * 2), "{told}");
        assert_eq!(pair.server().poll_timeout(), at(interval + interval * 3 / 2), "{told}");
    }
    for version in VERSIONS {
        check(version, 60, None, Some(60));
        check(version, 1, None, Some(1));
        check(version, u16::MAX, None, Some(u16::MAX));
        check(version, 0, None, None);
    }
    check(V5, 60, Some(10), Some(10));
    check(V5, 60, Some(0), None);
    check(V5, 0, Some(10), Some(10));
}

#[test]
fn a_keep_alive_of_the_servers_own_is_enforced_in_3_1_1_and_not_told() {
    // Decision A48: a broker that cannot bear the client's has no word for another.
    let mut pair = Pair::new(lasting(V311).keep_alive(60), V311);
    pair.accept.keep_alive = Some(10);
    pair.connect();
    pair.run();
    assert_eq!(pair.client.poll_timeout(), at(seconds(60)));
    assert_eq!(pair.server().poll_timeout(), at(seconds(15)));
}

#[test]
fn what_is_sent_puts_the_ping_off_and_what_comes_does_not() {
    for version in VERSIONS {
        let mut pair = Pair::connected_with(lasting(version).keep_alive(60), version);
        pair.pass(seconds(30));
        pair.publish_down(Q0, "x");
        pair.run();
        assert_eq!(pair.client.poll_timeout(), at(seconds(60)));
        assert_eq!(pair.server().poll_timeout(), at(seconds(90)), "it counts what it gets");
        pair.publish_up(Q0, "x");
        pair.run();
        assert_eq!(pair.client.poll_timeout(), at(seconds(90)));
        assert_eq!(pair.server().poll_timeout(), at(seconds(120)));
        pair.pass(seconds(30));
        // The acknowledgement is a packet too.
        pair.publish_down(Q1, "x");
        pair.run();
        assert_eq!(pair.client.poll_timeout(), at(seconds(120)));
    }
}

#[test]
fn without_pingresp_the_connection_is_lost() {
    for version in VERSIONS {
        let options = lasting(version).keep_alive(60).ping_timeout(seconds(5));
        let mut pair = Pair::connected_with(options, version);
        pair.down.open = false;
        pair.pass(seconds(60));
        pair.tick();
        assert_eq!(pair.client.poll_timeout(), at(seconds(65)));
        // Only PINGRESP answers PINGREQ.
        pair.publish_up(Q0, "x");
        pair.pass(seconds(5) - TICK);
        pair.tick();
        assert_eq!(pair.client_closed, None);
        pair.pass(TICK);
        pair.trace.clear();
        pair.tick();
        assert_eq!(pair.client_closed, Some(CloseReason::KeepAliveTimeout));
        assert_eq!(pair.trace, [""; 0], "nobody to say DISCONNECT to");
    }
}

#[test]
fn the_server_waits_one_and_a_half_times_as_long() {
    // [MQTT-3.1.2-22]
    fn check(version: ProtocolVersion, keep_alive: u16, goodbye: &[&str]) {
        let mut pair = Pair::connected_with(lasting(version).keep_alive(keep_alive), version);
        pair.up.open = false;
        pair.pass(Duration::from_millis(u64::from(keep_alive) * 1500) - TICK);
        let now = pair.now;
        assert_eq!(pair.server().handle_timeout(now), None);
        pair.pass(TICK);
        let now = pair.now;
        let reason = pair.server().handle_timeout(now);
        assert_eq!(reason, Some(CloseReason::KeepAliveTimeout), "{version} {keep_alive}");
        assert_eq!(pair.server().poll_timeout(), None);
        pair.close_server(CloseReason::KeepAliveTimeout);
        assert_eq!(pair.read_down(), goodbye);
    }
    for keep_alive in [1, 60, u16::MAX] {
        check(V5, keep_alive, &["< DISCONNECT 0x8d"]);
        check(V311, keep_alive, &[]);
    }
}

#[test]
fn a_partial_packet_is_no_sign_of_life() {
    let mut pair = Pair::connected_with(lasting(V5).keep_alive(10), V5);
    pair.pass(seconds(14));
    pair.inject_bytes_up(&[0x30, 50, 0]);
    pair.run();
    assert_eq!(pair.server().poll_timeout(), at(seconds(15)));
}

#[test]
fn a_call_before_its_time_does_nothing() {
    for version in VERSIONS {
        let mut pair = Pair::new(lasting(version).keep_alive(60), version);
        let check = |pair: &mut Pair| {
            let before = format!("{:?} {:?}", pair.client, pair.server);
            pair.client.handle_timeout(pair.now);
            assert_eq!(pair.client.poll_action(), None);
            if let Some(server) = &mut pair.server {
                assert_eq!(server.handle_timeout(pair.now), None);
            }
            assert_eq!(format!("{:?} {:?}", pair.client, pair.server), before);
        };
        check(&mut pair);
        pair.connect();
        check(&mut pair);
        pair.run();
        check(&mut pair);
        pair.down.open = false;
        pair.pass(seconds(60));
        pair.tick();
        check(&mut pair);
        pair.cut();
        check(&mut pair);
    }
}
