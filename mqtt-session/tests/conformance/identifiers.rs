//! Packet identifiers: section 2.2.1, in 3.1.1 section 2.3.1.

use std::collections::BTreeSet;

use conformance::Run;
use mqtt_session::{
    CommandError, Outcome, PublishError,
    proto::{
        Packet, PacketType, ReasonCode, ReasonCodes, SubAck, Subscribe, UnsubAck, Unsubscribe,
    },
};

use crate::{
    common::{Q1, Q2, filters, id, publication, publish},
    side::*,
};

const ALL: Limits = Limits {
    receive_maximum: 1024,
    max_packet_size: 1 << 20,
    topic_alias_maximum: 16,
    outbound_topic_aliases: 0,
    max_in_flight: u16::MAX,
    max_pending: u16::MAX,
    max_transmit: 1 << 24,
    manual: false,
};

const V311_IDS: [(mqtt_session::proto::Role, &[&str]); 2] = [
    (CLIENT, &["v3.1.1 MQTT-2.3.1-2", "v3.1.1 MQTT-4.3.2-1", "v3.1.1 MQTT-4.3.3-1"]),
    (SERVER, &["v3.1.1 MQTT-2.3.1-4", "v3.1.1 MQTT-4.3.2-1", "v3.1.1 MQTT-4.3.3-1"]),
];
const V5_IDS: [(mqtt_session::proto::Role, &[&str]); 2] = [
    (CLIENT, &["v5 MQTT-2.2.1-3", "v5 MQTT-4.3.2-1", "v5 MQTT-4.3.3-1"]),
    (SERVER, &["v5 MQTT-2.2.1-4", "v5 MQTT-4.3.2-1", "v5 MQTT-4.3.3-1"]),
];

/// Takes an identifier for a message or, at a client, a request; which comes with its number.
fn take(side: &mut Side, turn: usize) -> Option<(u16, PacketType)> {
    let message = |side: &mut Side, qos, answer| {
        side.try_publish(publication(qos, "")).ok().map(|number| (number, answer))
    };
    let client = side.role == CLIENT;
    match turn % 4 {
        0 => message(side, Q1, PacketType::PubAck),
        1 => message(side, Q2, PacketType::PubRec),
        2 if client => side.subscribe(&["t"]).ok().map(|number| (number, PacketType::SubAck)),
        3 if client => side.unsubscribe(&["t"]).ok().map(|number| (number, PacketType::UnsubAck)),
        _ => message(side, Q1, PacketType::PubAck),
    }
}

/// The peer's last word on it.
fn end(side: &mut Side, number: u16, answer: PacketType) {
    let codes = || ReasonCodes::from_iter([ReasonCode::SUCCESS]);
    match answer {
        PacketType::PubAck => side.hear(&puback(number)),
        PacketType::PubRec => {
            side.hear(&pubrec(number));
            side.hear(&pubcomp(number));
        }
        PacketType::SubAck => side.hear(&Packet::SubAck(SubAck::new(id(number), codes()))),
        _ => {
            let codes = if side.version == V5 { codes() } else { ReasonCodes::default() };
            side.hear(&Packet::UnsubAck(UnsubAck::new(id(number), codes)));
        }
    }
}

/// Every one of them once, then an error; and again those that became free.
pub(crate) fn all_of_them(run: &mut Run) {
    for (version, rows) in [(V311, V311_IDS), (V5, V5_IDS)] {
        for (role, ids) in rows {
            let mut side = Side::limited(role, version, ALL).opened();
            let which = side.which();
            let taken: Vec<_> = (0..).map_while(|turn| take(&mut side, turn)).collect();
            side.said();
            let numbers: BTreeSet<_> = taken.iter().map(|(number, _)| *number).collect();
            run.acting(ids).equal(taken.len(), 65_535, format!("{which}: all are taken"));
            run.acting(ids).equal(numbers.len(), 65_535, format!("{which}: each once"));
            run.acting(ids).holds(!numbers.contains(&0), format!("{which}: 0"));
            for qos in [Q1, Q2] {
                let full = Err(PublishError::Full { limit: u16::MAX });
                run.acting(ids).equal(side.try_publish(publication(qos, "")), full, &which);
            }
            if role == CLIENT {
                let none = Err(CommandError::NoPacketId);
                run.acting(ids).equal(side.subscribe(&["t"]), none, &which);
                run.acting(ids).equal(side.unsubscribe(&["t"]), none, &which);
            }
            let freed: BTreeSet<_> = taken.iter().step_by(999).copied().collect();
            for &(number, answer) in &freed {
                end(&mut side, number, answer);
            }
            let freed: BTreeSet<_> = freed.into_iter().map(|(number, _)| number).collect();
            let anew = (0..).map_while(|turn| take(&mut side, turn)).map(|(number, _)| number);
            let anew: Vec<_> = anew.collect();
            run.acting(ids).equal(anew.len(), freed.len(), format!("{which}: each once"));
            let anew: BTreeSet<_> = anew.into_iter().collect();
            run.acting(ids).equal(anew, freed, format!("{which}: those that were free"));
            run.acting(ids).holds(side.is_open(), which);
        }
    }
}

/// A hundred thousand exchanges come and go beside a few that stay.
pub(crate) fn held_while_others_go_round(run: &mut Run) {
    for (version, rows) in [(V311, V311_IDS), (V5, V5_IDS)] {
        for (role, ids) in rows {
            let limits = Limits { max_pending: 9, ..ALL };
            let mut side = Side::limited(role, version, limits).opened();
            let which = side.which();
            let held: Vec<_> = (0..4).filter_map(|turn| take(&mut side, turn)).collect();
            run.acting(ids).equal(held.len(), 4, &which);
            for turn in 0..100_000 {
                let Some((number, answer)) = take(&mut side, turn) else {
                    run.acting(ids).holds(false, format!("{which}: none left"));
                    break;
                };
                let busy = held.iter().any(|(held, _)| *held == number);
                run.acting(ids).holds(!busy && number != 0, format!("{which}: {number}"));
                end(&mut side, number, answer);
                if turn % 1000 == 0 {
                    side.said();
                }
            }
        }
    }
}

/// Exchanges of both QoS side by side, in both directions: each answer has the identifier of what it answers.
pub(crate) fn of_answers_to_messages(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-2.3.1-6"], &["v5 MQTT-2.2.1-5"]) {
        for role in ROLES {
            let mut side = Side::connected(role, version);
            let which = side.which();
            let numbers: Vec<_> =
                [Q2, Q1, Q2, Q2].map(|qos| side.publish(qos, "x")).into_iter().collect();
            side.said();
            let mut answers = |packet: Packet<_>, expected: &str| {
                run.acting(ids).equal(side.answer(&packet), [expected], &which);
            };
            answers(publish(Q1, 500, "x"), "PUBACK 500");
            answers(publish(Q2, 501, "x"), "PUBREC 501");
            answers(publish(Q2, 65_535, "x"), "PUBREC 65535");
            answers(publish(Q1, 502, "x"), "PUBACK 502");
            answers(pubrec(numbers[3]), &format!("PUBREL {}", numbers[3]));
            answers(pubrel(65_535), "PUBCOMP 65535");
            answers(pubrec(numbers[0]), &format!("PUBREL {}", numbers[0]));
            answers(publish(Q2, numbers[0], "x"), &format!("PUBREC {}", numbers[0]));
            answers(pubrel(501), "PUBCOMP 501");
            answers(pubrec(numbers[2]), &format!("PUBREL {}", numbers[2]));
        }
    }
}

/// Three requests at once, answered in another order.
pub(crate) fn of_answers_to_requests(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-2.3.1-7"], &["v5 MQTT-2.2.1-6"]) {
        let mut side = Side::connected(SERVER, version);
        let subscribe = |number| Packet::Subscribe(Subscribe::new(id(number), filters(&["t"])));
        let unsubscribe = Packet::Unsubscribe(Unsubscribe::new(id(2), no_more(&["t"])));
        for packet in [subscribe(0xabcd), unsubscribe, subscribe(1)] {
            side.hear(&packet);
        }
        let requests = std::mem::take(&mut side.requests);
        run.acting(ids).equal(requests.len(), 3, version);
        for request in requests.iter().rev() {
            let now = side.now;
            let (answered, expected) = match request {
                Packet::Subscribe(subscribe) => (
                    side.as_server().suback(now, subscribe.id, [ReasonCode::SUCCESS]),
                    format!("SUBACK {}", subscribe.id),
                ),
                Packet::Unsubscribe(unsubscribe) => (
                    side.as_server().unsuback(now, unsubscribe.id, [ReasonCode::SUCCESS]),
                    format!("UNSUBACK {}", unsubscribe.id),
                ),
                other => panic!("{other:?} is no request"),
            };
            run.acting(ids).equal(answered, Ok(()), &expected);
            run.acting(ids).equal(side.said(), [expected], version);
        }
        // The client's part: an answer ends the request of its identifier and kind, and no other.
        let mut side = Side::connected(CLIENT, version);
        let first = side.subscribe(&["a"]).expect("room");
        let second = side.unsubscribe(&["a"]).expect("room");
        for (number, answer) in
            [(second, PacketType::SubAck), (first, PacketType::UnsubAck), (999, PacketType::SubAck)]
        {
            end(&mut side, number, answer);
            run.acting(ids).equal(&side.requests[..], [], "an answer to nothing");
            run.acting(ids).equal(side.open_exchanges(), 2, "an answer to nothing");
        }
        end(&mut side, second, PacketType::UnsubAck);
        end(&mut side, first, PacketType::SubAck);
        let number = |packet: &Packet<_>| match packet {
            Packet::SubAck(suback) => suback.id.get(),
            Packet::UnsubAck(unsuback) => unsuback.id.get(),
            _ => 0,
        };
        let answered: Vec<_> = side.requests.iter().map(number).collect();
        run.acting(ids).equal(answered, [second, first], "answers");
        run.acting(ids).equal(&side.finished[..], [], "answers");
    }
}

/// With room for one, the next is taken only after the last acknowledgement of the one before, over any number of
/// connections.
pub(crate) fn until_the_last_acknowledgement(run: &mut Run) {
    for (role, ids) in [(CLIENT, &["v3.1.1 MQTT-2.3.1-3"]), (SERVER, &["v3.1.1 MQTT-2.3.1-4"])] {
        let limits = Limits { max_pending: 1, ..ALL };
        let mut side = Side::limited(role, V311, limits).opened();
        let which = side.which();
        let is_free = |side: &mut Side| {
            side.try_publish(publication(Q1, "")) != Err(PublishError::Full { limit: 1 })
        };
        for qos in [Q1, Q2, Q1] {
            let number = side.publish(qos, "x");
            run.acting(ids).equal(
                side.said(),
                [format!("PUBLISH {number} q{} x", qos.bits())],
                &which,
            );
            run.acting(ids).holds(!is_free(&mut side), &which);
            side.resume();
            let resent = format!("PUBLISH {number} q{} dup x", qos.bits());
            run.acting(ids).equal(side.said(), [resent], &which);
            run.acting(ids).holds(!is_free(&mut side), &which);
            if qos == Q2 {
                side.hear(&pubrec(number));
                run.acting(ids).holds(!is_free(&mut side), format!("{which}, PUBREC"));
                side.resume();
                run.acting(ids).equal(side.said(), [format!("PUBREL {number}")], &which);
                run.acting(ids).holds(!is_free(&mut side), format!("{which}, PUBREL"));
                side.hear(&pubcomp(number));
            } else {
                side.hear(&puback(number));
            }
            run.acting(ids).equal(side.finished.pop(), Some((number, SUCCESS)), &which);
            run.acting(ids).equal(side.open_exchanges(), 0, &which);
        }
        if role == CLIENT {
            let number = side.subscribe(&["t"]).expect("room");
            run.acting(ids).holds(!is_free(&mut side), "SUBSCRIBE");
            end(&mut side, number, PacketType::SubAck);
            let number = side.unsubscribe(&["t"]).expect("room");
            run.acting(ids).holds(!is_free(&mut side), "UNSUBSCRIBE");
            end(&mut side, number, PacketType::UnsubAck);
            let number = side.subscribe(&["t"]).expect("room");
            // A request does not outlive its connection.
            side.resume();
            run.acting(ids).equal(side.finished.pop(), Some((number, Outcome::Lost)), "SUBSCRIBE");
            run.acting(ids).equal(side.open_exchanges(), 0, &which);
        }
    }
}
