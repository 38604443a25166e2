//! Section 4.3: QoS 0, 1 and 2, in either role.

use std::time::Duration;

use bytes::Bytes;
use conformance::Run;
use mqtt_session::{
    CommandError, Outcome,
    proto::{Delivery, Packet, PacketType, ProtocolVersion, ReasonCode, Role},
};

use crate::{
    common::{Q0, Q1, Q2, VERSIONS, expiring, id, publish},
    side::*,
};

/// A message of QoS 1 or 2 that comes as if for the second time.
fn again(qos_2: bool, number: u16, text: &str) -> Packet<Bytes> {
    let id = id(number);
    let Packet::Publish(mut publish) = publish(Q1, number, text) else { unreachable!() };
    publish.delivery = match qos_2 {
        true => Delivery::ExactlyOnce { id, dup: true },
        false => Delivery::AtLeastOnce { id, dup: true },
    };
    Packet::Publish(publish)
}

pub(crate) fn at_most_once(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-4.3.1-1"], &["v5 MQTT-4.3.1-1"]) {
        for role in ROLES {
            let mut side = Side::connected(role, version);
            let which = side.which();
            side.publish(Q0, "x");
            run.acting(ids).equal(side.said(), ["PUBLISH q0 x"], &which);
            run.acting(ids).equal(side.open_exchanges(), 0, &which);
            side.resume();
            run.acting(ids).equal(side.said(), [""; 0], format!("{which}, resumed"));
        }
    }
}

pub(crate) fn first_transmissions(run: &mut Run) {
    let rows = [
        (Q1, by_version(&["v3.1.1 MQTT-4.3.2-1"], &["v5 MQTT-4.3.2-2"])),
        (Q2, by_version(&["v3.1.1 MQTT-4.3.3-1"], &["v5 MQTT-4.3.3-2"])),
    ];
    for (qos, versions) in rows {
        for (version, ids) in versions {
            for role in ROLES {
                let mut side = Side::connected(role, version);
                let which = side.which();
                for _ in 0..3 {
                    let number = side.publish(qos, "x");
                    let expected = format!("PUBLISH {number} q{} x", qos.bits());
                    run.acting(ids).equal(side.said(), [expected], &which);
                }
                // What waited for a connection is sent for the first time as well.
                side.cut();
                let number = side.publish(qos, "later");
                side.connect(true);
                let expected = format!("PUBLISH {number} q{} later", qos.bits());
                run.acting(ids).equal(side.said().last(), Some(&expected), &which);
            }
        }
    }
}

/// What is still to be acknowledged is what is sent again when the session is resumed.
pub(crate) fn unacknowledged(run: &mut Run) {
    let (one, two) = ("PUBLISH 1 q1 dup x", "PUBLISH 1 q2 dup x");
    let rows: [(_, &[Packet<Bytes>], &[&str], _); 8] = [
        (Q1, &[], &[one], by_version(&["v3.1.1 MQTT-4.3.2-1"], &["v5 MQTT-4.3.2-3"])),
        (Q1, &[puback(2)], &[one], by_version(&["v3.1.1 MQTT-4.3.2-1"], &["v5 MQTT-4.3.2-3"])),
        (Q1, &[puback(1)], &[], by_version(&["v3.1.1 MQTT-4.3.2-1"], &["v5 MQTT-4.3.2-3"])),
        (Q2, &[], &[two], by_version(&["v3.1.1 MQTT-4.3.3-1"], &["v5 MQTT-4.3.3-3"])),
        (Q2, &[pubrec(2)], &[two], by_version(&["v3.1.1 MQTT-4.3.3-1"], &["v5 MQTT-4.3.3-3"])),
        (
            Q2,
            &[pubrec(1)],
            &["PUBREL 1"],
            by_version(
                &["v3.1.1 MQTT-4.3.3-1"],
                &["v5 MQTT-4.3.3-3", "v5 MQTT-4.3.3-5", "v5 MQTT-4.3.3-6"],
            ),
        ),
        (
            Q2,
            &[pubrec(1), pubcomp(2), pubrec(1)],
            &["PUBREL 1"],
            by_version(&["v3.1.1 MQTT-4.3.3-1"], &["v5 MQTT-4.3.3-5", "v5 MQTT-4.3.3-6"]),
        ),
        (
            Q2,
            &[pubrec(1), pubcomp(1)],
            &[],
            by_version(&["v3.1.1 MQTT-4.3.3-1"], &["v5 MQTT-4.3.3-5", "v5 MQTT-4.3.3-6"]),
        ),
    ];
    for (qos, heard, expected, versions) in rows {
        for (version, ids) in versions {
            for role in ROLES {
                let mut side = Side::connected(role, version);
                let what = format!("{}, {heard:?}", side.which());
                side.publish(qos, "x");
                side.said();
                heard.iter().for_each(|packet| side.hear(packet));
                run.acting(ids).equal(side.open_exchanges(), expected.len(), &what);
                // More than once: to be sent again is not to be acknowledged.
                for _ in 0..2 {
                    side.resume();
                    run.acting(ids).equal(side.said(), expected, &what);
                }
                run.acting(ids).holds(side.is_open(), &what);
                let finished: &[_] = if expected.is_empty() { &[(1, SUCCESS)] } else { &[] };
                run.acting(ids).equal(&side.finished[..], finished, &what);
            }
        }
    }
}

pub(crate) fn answers_to_pubrec(run: &mut Run) {
    for role in ROLES {
        // Every code that may be there, from whoever plays the peer.
        for code in (0..=255).map(ReasonCode::new) {
            let peer = if role == CLIENT { SERVER } else { CLIENT };
            if !code.is_legal_in(PacketType::PubRec, peer) {
                continue;
            }
            let ids = &["v5 MQTT-4.3.3-4"];
            let mut side = Side::connected(role, V5);
            let what = format!("{}, {code}", side.which());
            let number = side.publish(Q2, "x");
            let answer = side.answer(&ack(PacketType::PubRec, number, code));
            if code.is_error() {
                run.acting(ids).equal(answer, [""; 0], &what);
                run.acting(ids).equal(side.open_exchanges(), 0, &what);
                let finished = [(number, Outcome::Acknowledged(code))];
                run.acting(ids).equal(&side.finished[..], finished, &what);
            } else {
                run.acting(ids).equal(answer, [format!("PUBREL {number}")], &what);
                run.acting(ids).equal(side.open_exchanges(), 1, &what);
                run.acting(ids).equal(&side.finished[..], [], &what);
            }
        }
        let mut side = Side::connected(role, V311);
        let number = side.publish(Q2, "x");
        let answer = side.answer(&pubrec(number));
        let ids = &["v3.1.1 MQTT-4.3.3-1"];
        run.acting(ids).equal(answer, [format!("PUBREL {number}")], side.which());
    }
}

pub(crate) fn expiry_of_what_was_sent(run: &mut Run) {
    let ids = &["v5 MQTT-4.3.3-7"];
    for role in ROLES {
        for seconds in [0, 1, 5] {
            let mut side = Side::connected(role, V5);
            let what = format!("{}, {seconds} s", side.which());
            let number = side.try_publish(expiring(Q2, "x", seconds)).expect("room");
            run.acting(ids).equal(side.said(), [format!("PUBLISH {number} q2 x")], &what);
            side.pass(Duration::from_secs(60));
            side.resume();
            let sent = side.said();
            run.acting(ids).equal(sent, [format!("PUBLISH {number} q2 dup x")], &what);
            side.pass(Duration::from_secs(60));
            let released = side.answer(&pubrec(number));
            run.acting(ids).equal(released, [format!("PUBREL {number}")], &what);
            side.pass(Duration::from_secs(60));
            side.hear(&pubcomp(number));
            run.acting(ids).equal(&side.finished[..], [(number, SUCCESS)], &what);
        }
    }
}

/// PUBACK and PUBREC follow once the message has a new owner, and not before.
pub(crate) fn ownership(run: &mut Run) {
    let rows = [
        (Q1, "PUBACK", by_version(&["v3.1.1 MQTT-4.3.2-2"], &["v5 MQTT-4.3.2-4"])),
        (Q2, "PUBREC", by_version(&["v3.1.1 MQTT-4.3.3-2"], &["v5 MQTT-4.3.3-8"])),
    ];
    for (qos, name, versions) in rows {
        for (version, ids) in versions {
            for number in [1, 0xabcd, u16::MAX] {
                for role in ROLES {
                    let mut side = Side::connected(role, version);
                    let answer = side.answer(&publish(qos, number, "x"));
                    run.acting(ids).equal(answer, [format!("{name} {number}")], side.which());
                    run.acting(ids).equal(side.heard(), ["x"], side.which());
                }
                // An application that has not decided owns nothing yet.
                for role in ROLES {
                    let mut side = Side::undecided(role, version);
                    let answer = side.answer(&publish(qos, number, "x"));
                    run.acting(ids).equal(answer, [""; 0], side.which());
                    let answered = side.acknowledge(0, ReasonCode::SUCCESS);
                    run.acting(ids).equal(answered, Ok(()), side.which());
                    let expected = format!("{name} {number}");
                    run.acting(ids).equal(side.said(), [expected], side.which());
                    // Once is enough.
                    let again = side.acknowledge(0, ReasonCode::SUCCESS);
                    let nothing = Err(CommandError::NothingToAnswer);
                    run.acting(ids).equal(again, nothing, side.which());
                    run.acting(ids).equal(side.said(), [""; 0], side.which());
                }
            }
        }
    }
}

/// After PUBACK the identifier is a new message's, whatever DUP says.
pub(crate) fn at_least_once(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-4.3.2-2"], &["v5 MQTT-4.3.2-5"]) {
        for role in ROLES {
            let mut side = Side::connected(role, version);
            for packet in [publish(Q1, 7, "a"), again(false, 7, "b"), again(false, 7, "b")] {
                run.acting(ids).equal(side.answer(&packet), ["PUBACK 7"], side.which());
            }
            run.acting(ids).equal(side.heard(), ["a", "b", "b"], side.which());
            side.resume();
            side.answer(&again(false, 7, "c"));
            run.acting(ids).equal(side.heard(), ["c"], side.which());
        }
    }
}

pub(crate) fn exactly_once(run: &mut Run) {
    let v311 = &["v3.1.1 MQTT-4.3.3-2"][..];
    for (version, [repeated, released, anew]) in [
        (V311, [v311, v311, v311]),
        (V5, [&["v5 MQTT-4.3.3-10"][..], &["v5 MQTT-4.3.3-11"], &["v5 MQTT-4.3.3-12"]]),
    ] {
        for role in ROLES {
            let mut side = Side::connected(role, version);
            let which = side.which();
            // Whether it says so or not, and whatever is in it.
            for packet in [publish(Q2, 7, "a"), again(true, 7, "a"), publish(Q2, 7, "b")] {
                run.acting(repeated).equal(side.answer(&packet), ["PUBREC 7"], &which);
            }
            run.acting(repeated).equal(side.heard(), ["a"], &which);
            side.resume();
            run.acting(repeated).equal(side.answer(&again(true, 7, "a")), ["PUBREC 7"], &which);
            run.acting(repeated).equal(side.heard(), [""; 0], format!("{which}, resumed"));

            run.acting(released).equal(side.answer(&pubrel(7)), ["PUBCOMP 7"], &which);
            run.acting(anew).equal(side.answer(&publish(Q2, 7, "c")), ["PUBREC 7"], &which);
            run.acting(anew).equal(side.heard(), ["c"], &which);
            // Of another one the receiver knows nothing.
            let code = if version == V5 { " 0x92" } else { "" };
            for (number, code) in [(9, code), (7, ""), (7, code)] {
                let expected = format!("PUBCOMP {number}{code}");
                run.acting(released).equal(side.answer(&pubrel(number)), [expected], &which);
            }
            unanswered_exactly_once(run, role, version, repeated);
        }
    }
}

/// While the application has not decided there is nothing to repeat, and the message is not delivered twice all the
/// same.
fn unanswered_exactly_once(run: &mut Run, role: Role, version: ProtocolVersion, ids: Ids<'_>) {
    let mut side = Side::undecided(role, version);
    let which = side.which();
    for packet in [publish(Q2, 7, "a"), again(true, 7, "a")] {
        run.acting(ids).equal(side.answer(&packet), [""; 0], &which);
    }
    run.acting(ids).equal(side.heard(), ["a"], &which);
    run.acting(ids).equal(side.acknowledge(0, ReasonCode::SUCCESS), Ok(()), &which);
    run.acting(ids).equal(side.said(), ["PUBREC 7"], &which);
    run.acting(ids).equal(side.answer(&again(true, 7, "a")), ["PUBREC 7"], &which);
    run.acting(ids).equal(side.heard(), [""; 0], &which);
}

pub(crate) fn refused_exactly_once(run: &mut Run) {
    let ids = &["v5 MQTT-4.3.3-9"];
    for role in ROLES {
        let mut side = Side::undecided(role, V5);
        let which = side.which();
        for code in [ReasonCode::NOT_AUTHORIZED, ReasonCode::QUOTA_EXCEEDED] {
            side.verdict = Some(code);
            let refused = format!("PUBREC 7 {:#04x}", code.get());
            for packet in [publish(Q2, 7, "a"), again(true, 7, "a")] {
                run.acting(ids).equal(side.answer(&packet), [&refused[..]], &which);
            }
            run.acting(ids).equal(side.heard(), ["a", "a"], format!("{which}: new each time"));
        }
        let unknown = side.answer(&pubrel(7));
        run.acting(ids).equal(unknown, ["PUBCOMP 7 0x92"], format!("{which}: there is none"));
        side.verdict = Some(ReasonCode::SUCCESS);
        run.acting(ids).equal(side.answer(&publish(Q2, 7, "b")), ["PUBREC 7"], which);
    }
}

pub(crate) fn expiry_of_what_was_received(run: &mut Run) {
    let ids = &["v5 MQTT-4.3.3-13"];
    for role in ROLES {
        for resumed in [false, true] {
            let mut side = Side::connected(role, V5);
            let what = format!("{}, resumed {resumed}", side.which());
            let Packet::Publish(mut publish) = publish(Q2, 7, "x") else { unreachable!() };
            publish.message = expiring(Q2, "x", 1).message;
            let answer = side.answer(&Packet::Publish(publish));
            run.acting(ids).equal(answer, ["PUBREC 7"], &what);
            side.pass(Duration::from_secs(60));
            if resumed {
                side.resume();
            }
            run.acting(ids).equal(side.answer(&pubrel(7)), ["PUBCOMP 7"], &what);
        }
    }
}

/// Without a subscription, and after the application has taken it back.
pub(crate) fn messages_nobody_asked_for(run: &mut Run) {
    for version in VERSIONS {
        let ids = if version == V5 { ["v5 MQTT-4.5.0-2"] } else { ["v3.1.1 MQTT-4.5.0-2"] };
        let mut side = Side::connected(CLIENT, version);
        for number in 1..=3 {
            let puback = side.answer(&publish(Q1, number, "x"));
            run.acting(&ids).equal(puback, [format!("PUBACK {number}")], "QoS 1");
            let pubrec = side.answer(&publish(Q2, number, "x"));
            run.acting(&ids).equal(pubrec, [format!("PUBREC {number}")], "QoS 2");
            let pubcomp = side.answer(&pubrel(number));
            run.acting(&ids).equal(pubcomp, [format!("PUBCOMP {number}")], "QoS 2");
            side.unsubscribe(&["t"]).expect("connected");
        }
    }
}
