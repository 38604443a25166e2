//! A peer that takes too long to answer a PUBLISH or PUBREL: 3.1.1 lets them be sent again on the
//! same connection, 5.0 only on another [MQTT-4.4.0-1].

mod common;

use std::time::Duration;

use common::{
    Q1, Q2, VERSIONS, expiring, filters, id,
    lone::{Lone, Setup, sides},
};
use mqtt_session::{
    CloseReason, Instant, Outcome,
    proto::{Ack, Packet, Properties, ProtocolVersion, QoS, ReasonCode, Role},
};

use ProtocolVersion::{V5, V311};

const TIMEOUT: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_micros(1);
const ACKNOWLEDGED: Outcome = Outcome::Acknowledged(ReasonCode::SUCCESS);

fn lone(role: Role, version: ProtocolVersion) -> Lone {
    Setup::new(role, version).ack_timeout(Some(TIMEOUT)).connected()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(time: Duration) -> Option<Instant> {
    Some(Instant::ZERO + time)
}

fn puback(number: u16) -> Packet<bytes::Bytes> {
    Packet::PubAck(Ack::success(id(number)))
}

fn pubrec(number: u16) -> Packet<bytes::Bytes> {
    Packet::PubRec(Ack::success(id(number)))
}

fn pubcomp(number: u16) -> Packet<bytes::Bytes> {
    Packet::PubComp(Ack::success(id(number)))
}

#[test]
fn unless_it_was_asked_for_a_side_waits_for_ever() {
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).connected();
        lone.publish(Q1, "a");
        lone.publish(Q2, "b");
        lone.said();
        assert_eq!(lone.deadline(), None, "{role:?} {version}");
        lone.pass(seconds(1_000_000));
        lone.timeout();
        assert_eq!((lone.said().len(), &lone.closed), (0, &None), "{role:?} {version}");
    }
}

/// What a side has sent and has no answer to.
#[derive(Clone, Copy, Debug)]
enum Open {
    Publish(QoS),
    PubRel,
}

const OPEN: [Open; 3] = [Open::Publish(Q1), Open::Publish(Q2), Open::PubRel];

impl Open {
    fn begin(self, lone: &mut Lone) {
        match self {
            Self::Publish(qos) => drop(lone.publish(qos, "a")),
            Self::PubRel => {
                lone.publish(Q2, "a");
                lone.hear(&pubrec(1));
            }
        }
        lone.said();
    }

    /// The packet that is sent again.
    fn again(self) -> String {
        match self {
            Self::Publish(qos) => format!("PUBLISH 1 q{} dup a", qos.bits()),
            Self::PubRel => "PUBREL 1".to_owned(),
        }
    }
}

#[test]
fn in_5_0_the_connection_ends_and_the_next_one_resumes() {
    for role in common::lone::ROLES {
        for open in OPEN {
            let told = format!("{role:?} {open:?}");
            let mut lone = lone(role, V5);
            open.begin(&mut lone);
            assert_eq!(lone.deadline(), at(TIMEOUT), "{told}");
            lone.pass(TIMEOUT - TICK);
            lone.timeout();
            assert_eq!((lone.said(), &lone.closed), (Vec::new(), &None), "{told}");
            lone.pass(TICK);
            lone.timeout();
            assert_eq!(lone.closed, Some(CloseReason::AckTimeout), "{told}");
            // The code says that not all is well: the will is published.
            assert_eq!(lone.said(), ["DISCONNECT 0x80"], "{told}: and nothing is sent again");
            assert_eq!(lone.deadline(), None, "{told}");
            assert_eq!(lone.finished, [], "{told}: the session has it");
            assert!(CloseReason::AckTimeout.may_pass());
            lone.cut();
            lone.connect();
            assert_eq!(lone.said().last(), Some(&open.again()), "{told}");
            assert_eq!(lone.deadline(), at(TIMEOUT * 2), "{told}: and has its time again");
        }
    }
}

#[test]
fn in_3_1_1_it_is_sent_again_each_time_that_it_is_not_answered() {
    for role in common::lone::ROLES {
        for open in OPEN {
            let told = format!("{role:?} {open:?}");
            let mut lone = lone(role, V311);
            open.begin(&mut lone);
            for round in 1..=3 {
                assert_eq!(lone.deadline(), at(TIMEOUT * round), "{told}");
                lone.pass(TIMEOUT - TICK);
                lone.timeout();
                assert_eq!(lone.said(), [""; 0], "{told}");
                lone.pass(TICK);
                lone.timeout();
                assert_eq!(lone.said(), [open.again()], "{told}, round {round}");
            }
            assert_eq!((&lone.closed, &lone.finished), (&None, &Vec::new()), "{told}");
        }
    }
}

#[test]
fn in_3_1_1_everything_open_is_sent_again_in_the_order_of_a_resume() {
    // PUBRELs in the order of their PUBRECs, then PUBLISHes in theirs; what was never sent waits on.
    for role in common::lone::ROLES {
        let mut lone =
            Setup::new(role, V311).ack_timeout(Some(TIMEOUT)).max_in_flight(5).connected();
        for (qos, text) in [(Q2, "a"), (Q1, "b"), (Q2, "c"), (Q2, "d"), (Q1, "e"), (Q1, "f")] {
            lone.publish(qos, text);
        }
        lone.hear(&pubrec(4));
        lone.hear(&pubrec(1));
        lone.said();
        lone.pass(TIMEOUT);
        lone.timeout();
        let expected = [
            "PUBREL 4",
            "PUBREL 1",
            "PUBLISH 2 q1 dup b",
            "PUBLISH 3 q2 dup c",
            "PUBLISH 5 q1 dup e",
        ];
        let said = lone.said();
        assert_eq!(said[..5], expected, "{role:?}");
        // A repeated PUBREL takes no slot, as on a new connection: there is room for the last.
        assert_eq!(said[5..], ["PUBLISH 6 q1 f"], "{role:?}");
    }
}

#[test]
fn the_time_runs_from_the_oldest_packet_without_an_answer() {
    // Both versions have the same deadlines until one comes.
    for (role, version) in sides() {
        let told = format!("{role:?} {version}");
        let mut lone = lone(role, version);
        assert_eq!(lone.deadline(), None, "{told}: nothing is open");
        lone.publish(Q1, "a");
        lone.pass(seconds(1));
        lone.publish(Q2, "b");
        lone.pass(seconds(1));
        lone.publish(Q1, "c");
        assert_eq!(lone.deadline(), at(seconds(5)), "{told}: of a");
        lone.hear(&puback(3));
        assert_eq!(lone.deadline(), at(seconds(5)), "{told}: still of a");
        lone.hear(&puback(1));
        assert_eq!(lone.deadline(), at(seconds(6)), "{told}: of b");
        lone.pass(seconds(1));
        lone.hear(&pubrec(2));
        assert_eq!(lone.deadline(), at(seconds(8)), "{told}: of the PUBREL of b");
        lone.hear(&pubcomp(2));
        assert_eq!(lone.deadline(), None, "{told}: nothing is open");
        lone.said();
        lone.pass(seconds(100));
        lone.timeout();
        assert_eq!((lone.said(), &lone.closed), (Vec::new(), &None), "{told}");
    }
}

#[test]
fn what_waits_has_no_time_out() {
    for (role, version) in sides() {
        let setup = Setup::new(role, version).ack_timeout(Some(TIMEOUT)).max_in_flight(1);
        let mut lone = setup.connected();
        lone.publish(Q1, "a");
        lone.publish(Q1, "b");
        lone.pass(seconds(4));
        lone.hear(&puback(1));
        assert_eq!(lone.deadline(), at(seconds(9)), "{role:?} {version}: sent just now");
        assert_eq!(lone.said(), ["PUBLISH 1 q1 a", "PUBLISH 2 q1 b"]);
    }
    // Nor have requests, which a driver looks after.
    for version in VERSIONS {
        let mut lone = lone(Role::Client, version);
        lone.client.subscribe(lone.now, filters(&["a"]), Properties::EMPTY).expect("connected");
        assert_eq!(lone.deadline(), None);
    }
}

#[test]
fn time_without_a_connection_does_not_count() {
    for (role, version) in sides() {
        for open in OPEN {
            let mut lone = lone(role, version);
            open.begin(&mut lone);
            lone.pass(seconds(1));
            lone.cut();
            assert_eq!(lone.deadline(), None, "{role:?} {version} {open:?}");
            lone.pass(seconds(1000));
            lone.connect();
            assert_eq!(lone.deadline(), at(seconds(1006)), "{role:?} {version} {open:?}");
        }
    }
}

#[test]
fn in_3_1_1_who_does_not_read_is_not_flooded() {
    for role in common::lone::ROLES {
        let mut lone = lone(role, V311);
        for text in ["a", "b", "c"] {
            lone.publish(Q1, text);
        }
        // Part of it was read.
        lone.write(5);
        let unwritten = lone.unwritten();
        for _ in 0..100 {
            let deadline = lone.deadline().expect("something is open");
            lone.now = deadline;
            lone.timeout();
            assert_eq!(lone.unwritten(), unwritten, "{role:?}: it has not read it once");
            assert!(lone.deadline().is_some_and(|next| next == deadline + TIMEOUT), "{role:?}");
        }
        assert_eq!(lone.said().len(), 3, "{role:?}");
        lone.pass(TIMEOUT);
        lone.timeout();
        assert_eq!(
            lone.said(),
            ["PUBLISH 1 q1 dup a", "PUBLISH 2 q1 dup b", "PUBLISH 3 q1 dup c"],
            "{role:?}"
        );
    }
}

#[test]
fn in_3_1_1_a_repetition_takes_no_second_slot_and_its_answer_gives_none() {
    let mut lone =
        Setup::new(Role::Client, V311).ack_timeout(Some(TIMEOUT)).max_in_flight(2).connected();
    for text in ["a", "b", "c", "d"] {
        lone.publish(Q1, text);
    }
    assert_eq!(lone.said(), ["PUBLISH 1 q1 a", "PUBLISH 2 q1 b"]);
    for _ in 0..3 {
        lone.pass(TIMEOUT);
        lone.timeout();
        assert_eq!(lone.said(), ["PUBLISH 1 q1 dup a", "PUBLISH 2 q1 dup b"]);
        assert_eq!(lone.client.send_quota(), 0);
    }
    // The answers to the first one and to its repetitions: one message more, and no other.
    for answer in 0..4 {
        lone.hear(&puback(1));
        let expected: &[&str] = if answer == 0 { &["PUBLISH 3 q1 c"] } else { &[] };
        assert_eq!(lone.said(), expected);
        assert_eq!(lone.client.send_quota(), 0);
    }
    lone.hear(&puback(2));
    assert_eq!(lone.said(), ["PUBLISH 4 q1 d"]);
    lone.hear(&puback(3));
    lone.hear(&puback(4));
    assert_eq!(lone.client.send_quota(), 2);
    assert_eq!(lone.finished, [1, 2, 3, 4].map(|id| (id, ACKNOWLEDGED)));
    assert_eq!((lone.client.session().open(), &lone.closed), (0, &None));
}

#[test]
fn in_3_1_1_the_answer_to_a_repetition_is_not_taken_for_that_to_another_message() {
    for role in common::lone::ROLES {
        let mut lone = lone(role, V311);
        let first = lone.publish(Q1, "a");
        lone.said();
        lone.pass(TIMEOUT);
        lone.timeout();
        assert_eq!(lone.said(), ["PUBLISH 1 q1 dup a"], "{role:?}");
        lone.hear(&puback(first));
        assert_eq!(lone.finished, [(first, ACKNOWLEDGED)]);
        let second = lone.publish(Q1, "b");
        lone.hear(&puback(first));
        assert_eq!(lone.finished.len(), 1, "{role:?}: {second} is not answered yet");
        lone.hear(&puback(second));
        assert_eq!(lone.finished.len(), 2, "{role:?}");

        let first = lone.publish(Q2, "c");
        lone.said();
        lone.pass(TIMEOUT);
        lone.timeout();
        assert_eq!(lone.said(), [format!("PUBLISH {first} q2 dup c")], "{role:?}");
        // Both are answered, and so are both PUBRELs.
        for _ in 0..2 {
            lone.hear(&pubrec(first));
        }
        lone.hear(&pubcomp(first));
        let second = lone.publish(Q2, "d");
        lone.hear(&pubcomp(first));
        assert_eq!(lone.closed, None, "{role:?}: the peer has done nothing wrong");
        lone.hear(&pubrec(second));
        lone.hear(&pubcomp(second));
        assert_eq!(lone.finished.len(), 4, "{role:?}");
    }
}

#[test]
fn in_3_1_1_a_connection_does_not_wear_out_its_identifiers() {
    // Each that was repeated rests until the next connection; with as many of them as may be open a
    // late answer ends this one, as it does in 5.0.
    for role in common::lone::ROLES {
        let mut setup = Setup::new(role, V311).ack_timeout(Some(TIMEOUT));
        setup.config.max_queued = 3;
        let mut lone = setup.options(|options| options.max_pending(3)).connected();
        for number in 1..=3 {
            assert_eq!(lone.publish(Q1, "a"), number, "{role:?}");
            lone.said();
            lone.pass(TIMEOUT);
            lone.timeout();
            assert_eq!(lone.said(), [format!("PUBLISH {number} q1 dup a")], "{role:?}");
            lone.hear(&puback(number));
        }
        assert_eq!(lone.publish(Q1, "b"), 4, "{role:?}");
        lone.said();
        lone.pass(TIMEOUT);
        lone.timeout();
        assert_eq!(lone.closed, Some(CloseReason::AckTimeout), "{role:?}");
        assert_eq!(lone.said(), [""; 0], "{role:?}: 3.1.1 has no word for it");
        lone.cut();
        lone.connect();
        assert_eq!(lone.said().last().map(String::as_str), Some("PUBLISH 4 q1 dup b"), "{role:?}");
        lone.hear(&puback(4));
        for _ in 0..3 {
            assert!((1..=4).contains(&lone.publish(Q1, "c")), "{role:?}: they come again");
        }
    }
}

#[test]
fn what_comes_due_at_the_same_time_is_done_in_order() {
    // What has expired is given up first; then answers are asked for, which says as well as a
    // PINGREQ that the client is there. After it they would be put off, each time.
    for (version, last) in [(V311, "PUBLISH 1 q1 dup a"), (V5, "DISCONNECT 0x80")] {
        let setup = Setup::new(Role::Client, version).ack_timeout(Some(TIMEOUT)).max_in_flight(1);
        let mut lone = setup.keep_alive(5).connected();
        lone.publish(Q1, "a");
        if version == V5 {
            lone.try_publish(expiring(Q1, "b", 5)).expect("room");
        }
        lone.said();
        lone.pass(TIMEOUT);
        lone.timeout();
        assert_eq!(lone.said(), [last], "{version}");
        let expired: &[_] = if version == V5 { &[(2, Outcome::Expired)] } else { &[] };
        assert_eq!(lone.finished, expired, "{version}");
    }
    // A server that heard nothing at all gives that as its reason.
    for version in VERSIONS {
        let setup = Setup::new(Role::Server, version).ack_timeout(Some(seconds(15)));
        let mut lone = setup.keep_alive(10).connected();
        lone.publish(Q1, "a");
        lone.said();
        lone.pass(seconds(15));
        lone.timeout();
        assert_eq!(lone.closed, Some(CloseReason::KeepAliveTimeout), "{version}");
        let goodbye: &[&str] = if version == V5 { &["DISCONNECT 0x8d"] } else { &[] };
        assert_eq!(lone.said(), goodbye, "{version}");
    }
}

#[test]
fn a_client_whose_pingresp_is_late_closes_for_that() {
    for version in VERSIONS {
        let setup = Setup::new(Role::Client, version).ack_timeout(Some(seconds(12)));
        let setup = setup.keep_alive(5).options(|options| options.ping_timeout(seconds(7)));
        let mut lone = setup.connected();
        lone.publish(Q1, "a");
        lone.pass(seconds(5));
        lone.timeout();
        lone.said();
        lone.pass(seconds(7));
        lone.timeout();
        assert_eq!(lone.closed, Some(CloseReason::KeepAliveTimeout), "{version}");
        assert_eq!(lone.said(), [""; 0], "{version}: nobody to talk to");
    }
}
