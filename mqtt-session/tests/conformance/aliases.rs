//! Topic aliases, section 3.3.2.3.4: each side's own, for as long as the connection lasts.

use std::collections::BTreeMap;

use conformance::Run;
use mqtt_session::{
    CloseReason, Violation,
    proto::{Packet, Property, Role},
};

use crate::{
    common::{Q0, on_topic},
    publish::EVERY_QOS,
    side::*,
};

/// A PUBLISH of QoS 0 with this alias.
fn aliased(alias: u16, topic: &str) -> Vec<u8> {
    let len = topic.len() as u8;
    let [high, low] = alias.to_be_bytes();
    [&[0x30, 7 + len, 0, len], topic.as_bytes(), &[3, 0x23, high, low, b'x']].concat()
}

fn announcing(role: Role, topic_alias_maximum: u16) -> Side {
    Side::limited(role, V5, Limits { topic_alias_maximum, ..Limits::default() }).opened()
}

/// Every alias up to the announced maximum, set, used, and set again; the same number the other way means nothing.
pub(crate) fn of_the_peer(run: &mut Run) {
    let mapping = "v5 U5-3.3.2.3.4-4";
    for (role, id) in [(CLIENT, "v5 MQTT-3.3.2-10"), (SERVER, "v5 MQTT-3.3.2-12")] {
        let ids = &[id, mapping];
        for maximum in [1, 3, u16::MAX] {
            let mut side = announcing(role, maximum);
            let what = format!("{}, {maximum}", side.which());
            let all: Vec<_> = match maximum {
                u16::MAX => vec![1, 2, 255, 256, 1000, 65_534, 65_535],
                few => (1..=few).collect(),
            };
            for &alias in &all {
                side.hear_bytes(&aliased(alias, &format!("t/{alias}")));
            }
            for &alias in all.iter().rev() {
                side.hear_bytes(&aliased(alias, ""));
            }
            let there_and_back = all.iter().chain(all.iter().rev());
            let expected: Vec<_> = there_and_back.map(|alias| format!("t/{alias}")).collect();
            run.acting(ids).equal(side.topics(), expected, &what);

            side.hear_bytes(&aliased(maximum, "other"));
            side.hear_bytes(&aliased(maximum, ""));
            if maximum > 1 {
                side.hear_bytes(&aliased(1, ""));
                run.acting(ids).equal(side.topics(), ["other", "other", "t/1"], &what);
            } else {
                run.acting(ids).equal(side.topics(), ["other", "other"], &what);
            }
            run.acting(ids).holds(side.is_open(), &what);
            // The other direction has a table of its own: what this side sends is not in it.
            let _ = side.try_publish(on_topic(Q0, "other", "x"));
            let topic = |packet: &Packet<_>| match packet {
                Packet::Publish(publish) => Some(publish.message.topic.to_string()),
                _ => None,
            };
            let sent: Vec<_> = side.packets().iter().filter_map(topic).collect();
            run.acting(ids).equal(sent, ["other"], &what);
        }
    }
}

/// Aliases that may not be there: which violation it is, and what the peer is told.
pub(crate) fn that_are_none(run: &mut Run) {
    let out_of_range = &["v5 U5-3.3.2.3.4-2"];
    let by_a_server = &["v5 U5-3.3.2.3.4-2", "v5 MQTT-3.3.2-11"];
    let to_a_server = &["v5 U5-3.3.2.3.4-2", "v5 MQTT-3.3.2-12"];
    for role in ROLES {
        for topic in ["", "t"] {
            for (maximum, alias) in [(3, 0), (3, 4), (3, u16::MAX), (0, 1), (u16::MAX, 0)] {
                let ids = match role {
                    _ if alias == 0 => &out_of_range[..],
                    CLIENT => by_a_server,
                    SERVER => to_a_server,
                };
                let mut side = announcing(role, maximum);
                let what = format!("{}, {alias} of {maximum} for {topic:?}", side.which());
                side.hear_bytes(&aliased(alias, topic));
                run.acting(ids).equal(side.said(), ["DISCONNECT 0x94"], &what);
                run.acting(ids).holds(side.closed.is_some(), &what);
                run.acting(ids).equal(side.topics(), [""; 0], &what);
            }
        }
        let ids = &["v5 U5-3.3.2.3.4-3"];
        let mut side = announcing(role, 3);
        side.hear_bytes(&aliased(1, "t"));
        side.hear_bytes(&aliased(2, ""));
        run.acting(ids).equal(side.said(), ["DISCONNECT 0x82"], side.which());
        let reason = CloseReason::Violation(Violation::TopicAliasUnknown(2));
        run.acting(ids).equal(side.closed.as_ref(), Some(&reason), side.which());
        run.acting(ids).equal(side.topics(), ["t"], side.which());
    }
}

pub(crate) fn end_with_the_connection(run: &mut Run) {
    let ids = &["v5 MQTT-3.3.2-7"];
    for role in ROLES {
        let mut side = announcing(role, 3);
        side.hear_bytes(&aliased(1, "t"));
        side.hear_bytes(&aliased(1, ""));
        run.acting(ids).equal(side.topics(), ["t", "t"], side.which());
        side.resume();
        side.packets();
        side.hear_bytes(&aliased(1, ""));
        run.acting(ids).equal(side.said(), ["DISCONNECT 0x82"], side.which());
        run.acting(ids).equal(side.topics(), [""; 0], side.which());
        let reason = CloseReason::Violation(Violation::TopicAliasUnknown(1));
        run.acting(ids).equal(side.closed.as_ref(), Some(&reason), side.which());
        // What was learnt anew holds.
        side.resume();
        side.hear_bytes(&aliased(1, "u"));
        side.hear_bytes(&aliased(1, ""));
        run.acting(ids).equal(side.topics(), ["u", "u"], side.which());
    }
}

/// What this side says to a peer that takes so many: names and aliases, so that the peer knows every topic, and no
/// alias that it did not announce.
pub(crate) fn of_this_side(run: &mut Run) {
    for role in ROLES {
        for announced in [None, Some(0), Some(1), Some(2), Some(5), Some(u16::MAX)] {
            for own in [0, 1, 4, u16::MAX] {
                says_no_other_alias(run, role, announced, own);
            }
        }
    }
}

fn says_no_other_alias(run: &mut Run, role: Role, announced: Option<u16>, own: u16) {
    let maximum = announced.unwrap_or(0);
    let ids: Ids<'_> = match (role, maximum) {
        (SERVER, 0) => &["v5 MQTT-3.1.2-27", "v5 MQTT-3.1.2-26", "v5 MQTT-3.3.2-11"],
        (SERVER, _) => &["v5 MQTT-3.1.2-26", "v5 MQTT-3.3.2-11"],
        (CLIENT, _) => &["v5 U5-3.3.2.3.4-2"],
    };
    let peer: Vec<_> = announced.map(Property::TopicAliasMaximum).into_iter().collect();
    let limits = Limits { max_in_flight: 1000, outbound_topic_aliases: own, ..Limits::default() };
    let mut side = Side::limited(role, V5, limits).told(&peer).opened();
    let what = format!("{}, {own} for a peer that takes {announced:?}", side.which());
    let topics: Vec<_> =
        (0..60).map(|at| format!("a/topic/worth/an/alias/{}", at * at % 9)).collect();
    for _ in 0..3 {
        for (at, topic) in topics.iter().enumerate() {
            side.try_publish(on_topic(EVERY_QOS[at % 3], topic, "x")).expect("room");
        }
        // What the peer has learnt on this connection.
        let (mut names, mut used) = (BTreeMap::new(), 0);
        let mut heard = Vec::new();
        for packet in side.packets() {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            let topic = publish.message.topic.to_string();
            let alias = publish.message.properties.topic_alias();
            let legal = alias.is_none_or(|alias| (1..=maximum.min(own)).contains(&alias));
            run.acting(ids).holds(legal, format!("{what}: {alias:?}"));
            heard.push(match alias {
                Some(alias) if topic.is_empty() => {
                    used += 1;
                    names.get(&alias).cloned()
                }
                Some(alias) => {
                    names.insert(alias, topic.clone());
                    Some(topic)
                }
                None => Some(topic).filter(|topic| !topic.is_empty()),
            });
        }
        // What was not acknowledged before is sent again first.
        let heard = heard.split_off(heard.len() - topics.len());
        let expected: Vec<_> = topics.iter().cloned().map(Some).collect();
        run.acting(ids).equal(heard, expected, &what);
        run.acting(ids).equal(used > 0, maximum > 0 && own > 0, &what);
        side.resume();
    }
}
