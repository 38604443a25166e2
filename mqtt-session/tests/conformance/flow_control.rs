//! Flow control, sections 4.9 and 3.3.4: what Receive Maximum allows, and what it never holds back.

use bytes::Bytes;
use conformance::Run;
use mqtt_session::{
    CloseReason, Violation,
    proto::{
        Packet, PacketType, Property, QoS, ReasonCode, ReasonCodes, Role, SubAck, Subscribe,
        Unsubscribe,
    },
};

use crate::{
    common::{Q0, Q1, Q2, VERSIONS, filters, id, publication, publish},
    side::*,
};

/// As many messages as there are identifiers, all of which it would send at once.
const MANY: Limits = Limits {
    receive_maximum: 1024,
    max_packet_size: 1 << 20,
    topic_alias_maximum: 16,
    outbound_topic_aliases: 0,
    max_in_flight: u16::MAX,
    max_pending: u16::MAX,
    max_transmit: 1 << 24,
    manual: false,
};

/// That of each role in one of these pairs.
const fn of(role: Role, [client, server]: [&'static str; 2]) -> &'static str {
    match role {
        CLIENT => client,
        SERVER => server,
    }
}

const KEEPS: [&str; 2] = ["v5 MQTT-3.3.4-7", "v5 MQTT-3.3.4-9"];
const NEVER_HOLDS_BACK: [&str; 2] = ["v5 MQTT-3.3.4-8", "v5 MQTT-3.3.4-10"];

/// How many are sent before one is acknowledged, and again on the next connection.
pub(crate) fn initial_quota(run: &mut Run) {
    for role in ROLES {
        for qos in [Q1, Q2] {
            let mut side = Side::limited(role, V5, MANY);
            side.peer = vec![Property::ReceiveMaximum(2)];
            side.open();
            let which = side.which();
            for _ in 0..u16::MAX {
                side.publish(qos, "");
            }
            let first = &["v5 MQTT-4.9.0-1", "v5 MQTT-4.9.0-2", of(role, KEEPS)];
            run.acting(first).equal(side.published().len(), 2, &which);
            let anew = &["v5 MQTT-4.9.0-1", "v5 U5-3.1.2.11.3-2", "v5 U5-4.9-1"];
            for (maximum, expected) in [(Some(1), 1), (Some(5), 5), (None, 65_535), (Some(7), 7)] {
                side.peer = maximum.map(Property::ReceiveMaximum).into_iter().collect();
                side.resume();
                let sent = side.published().len();
                run.acting(anew).equal(sent, expected, format!("{which}, {maximum:?}"));
            }
        }
        // This side's own limit makes it less, never 0.
        let own = Limits { max_in_flight: 3, ..MANY };
        for (maximum, expected) in [(1, 1), (3, 3), (9, 3)] {
            let peer = [Property::ReceiveMaximum(maximum)];
            let mut side = Side::limited(role, V5, own).told(&peer).opened();
            for _ in 0..20 {
                side.publish(Q1, "");
            }
            let sent = side.published().len();
            run.acting(&["v5 MQTT-4.9.0-1"]).equal(sent, expected, side.which());
        }
    }
}

/// PUBACK, PUBCOMP and a PUBREC that refuses, each for one; and nothing else.
pub(crate) fn what_gives_it_back(run: &mut Run) {
    for role in ROLES {
        let ids = &[of(role, KEEPS), "v5 MQTT-4.9.0-2", "v5 U5-4.9-1"];
        let refused = |packet, number| ack(packet, number, ReasonCode::NOT_AUTHORIZED);
        // QoS of all messages; what the peer says, and what follows. Two of five are sent.
        type Step = (Packet<Bytes>, &'static [&'static str]);
        let rows: [(QoS, &[Step]); 4] = [
            (
                Q1,
                &[
                    (puback(9), &[]),
                    (puback(1), &["PUBLISH 3 q1 x"]),
                    (puback(1), &[]),
                    (refused(PacketType::PubAck, 2), &["PUBLISH 4 q1 x"]),
                ],
            ),
            (
                Q2,
                &[
                    (pubrec(1), &["PUBREL 1"]),
                    (pubrec(1), &["PUBREL 1"]),
                    (pubcomp(9), &[]),
                    (pubcomp(1), &["PUBLISH 3 q2 x"]),
                    (pubcomp(1), &[]),
                ],
            ),
            (
                Q2,
                &[
                    (refused(PacketType::PubRec, 2), &["PUBLISH 3 q2 x"]),
                    (refused(PacketType::PubRec, 2), &[]),
                    (pubrec(2), &["PUBREL 2 0x92"]),
                    (pubcomp(2), &[]),
                ],
            ),
            // What the peer publishes has nothing to do with it.
            (
                Q1,
                &[
                    (publish(Q2, 1, "x"), &["PUBREC 1"]),
                    (pubrel(1), &["PUBCOMP 1"]),
                    (publish(Q1, 2, "x"), &["PUBACK 2"]),
                ],
            ),
        ];
        for (qos, steps) in rows {
            let peer = [Property::ReceiveMaximum(2)];
            let mut side = Side::new(role, V5).told(&peer).opened();
            let what = format!("{} {qos:?}", side.which());
            for _ in 0..5 {
                side.publish(qos, "x");
            }
            run.acting(ids).equal(side.published(), [1, 2], &what);
            for (packet, expected) in steps {
                let what = format!("{what}, {packet:?}");
                run.acting(ids).equal(side.answer(packet), *expected, what);
            }
            run.acting(ids).holds(side.is_open(), what);
        }
    }
}

/// A peer that keeps its own account, says anything at any time, and now and then is lost.
struct Account {
    /// What was sent on this connection and is not settled.
    open: Vec<(u16, QoS)>,
    random: u64,
}

impl Account {
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    /// Something of an honest peer, or a stray acknowledgement of one.
    fn packet(&mut self) -> Packet<Bytes> {
        let at = self.below(self.open.len().max(1) as u64) as usize;
        let stray = 600 + self.below(9) as u16;
        match (self.open.get(at).copied(), self.below(8)) {
            (Some((number, Q1)), 0..3) => {
                self.open.remove(at);
                let refused = self.below(2) == 0;
                let code = if refused { ReasonCode::QUOTA_EXCEEDED } else { ReasonCode::SUCCESS };
                ack(PacketType::PubAck, number, code)
            }
            (Some((number, Q2)), 0) => {
                self.open.remove(at);
                ack(PacketType::PubRec, number, ReasonCode::QUOTA_EXCEEDED)
            }
            (Some((number, Q2)), 1..3) => pubrec(number),
            (_, 3) => pubrec(stray),
            (_, 4) => puback(stray),
            (_, 5) => pubcomp(stray),
            (_, 6) => publish(Q0, 0, "x"),
            _ => pubrel(stray),
        }
    }
}

pub(crate) fn any_acknowledgements(run: &mut Run) {
    for role in ROLES {
        let ids = &["v5 MQTT-4.9.0-2", "v5 U5-4.9-1", of(role, KEEPS)];
        for seed in 0..40 {
            let mut account = Account { open: Vec::new(), random: seed };
            let maximum = 1 + account.below(4) as u16;
            let peer = [Property::ReceiveMaximum(maximum)];
            let limits = Limits { max_pending: 500, ..Limits::default() };
            let mut side = Side::limited(role, V5, limits).told(&peer).opened();
            let what = format!("{}, seed {seed}, {maximum}", side.which());
            for _ in 0..500 {
                let qos = if account.below(2) == 0 { Q1 } else { Q2 };
                // Full is no harm.
                let _ = side.try_publish(publication(qos, "x"));
                let packet = account.packet();
                let released = |packet: &Packet<_>| match packet {
                    Packet::PubRel(ack) => Some(ack.id.get()),
                    _ => None,
                };
                side.hear(&packet);
                if account.below(40) == 0 {
                    account.open.clear();
                    side.resume();
                }
                // The peer answers each PUBREL at once.
                let mut packets = side.packets();
                while !packets.is_empty() {
                    for packet in &packets {
                        if let Packet::Publish(publish) = packet {
                            let number = publish.delivery.id().expect("not QoS 0").get();
                            account.open.push((number, publish.delivery.qos()));
                        }
                    }
                    let few = account.open.len() <= maximum.into();
                    run.acting(ids).holds(few, format!("{what}: {:?}", account.open));
                    for number in packets.iter().filter_map(released) {
                        account.open.retain(|(open, _)| *open != number);
                        side.hear(&pubcomp(number));
                    }
                    packets = side.packets();
                }
                run.acting(ids).holds(side.is_open(), format!("{what}: {:?}", side.closed));
            }
            // Nothing of the quota is lost: on a connection that holds, all of it goes out.
            while let Some((number, qos)) = account.open.pop() {
                side.complete(qos, number);
                for packet in side.packets() {
                    if let Packet::Publish(publish) = packet {
                        let number = publish.delivery.id().expect("not QoS 0").get();
                        account.open.push((number, publish.delivery.qos()));
                    }
                }
            }
            run.acting(ids).equal(side.open_exchanges(), 0, what);
        }
    }
}

/// With the quota used up, everything else is sent and answered as ever.
pub(crate) fn what_needs_none(run: &mut Run) {
    for role in ROLES {
        let ids = &[of(role, NEVER_HOLDS_BACK), "v5 MQTT-4.9.0-3"];
        let peer = [Property::ReceiveMaximum(2)];
        let mut side = match role {
            CLIENT => Side::client(crate::common::lasting(V5).keep_alive(60), V5),
            SERVER => Side::new(SERVER, V5),
        };
        side = side.told(&peer).opened();
        let which = side.which();
        let exact = side.publish(Q2, "x");
        for _ in 0..3 {
            side.publish(Q1, "x");
        }
        side.said();
        side.publish(Q0, "x");
        run.acting(ids).equal(side.said(), ["PUBLISH q0 x"], &which);
        let mut answers = |packet: Packet<_>, expected: &str| {
            run.acting(ids).equal(side.answer(&packet), [expected], &which);
        };
        answers(publish(Q1, 500, "x"), "PUBACK 500");
        answers(publish(Q2, 501, "x"), "PUBREC 501");
        answers(pubrel(501), "PUBCOMP 501");
        answers(pubrec(exact), &format!("PUBREL {exact}"));
        answers(pubrec(999), "PUBREL 999 0x92");
        if role == CLIENT {
            let number = side.subscribe(&["t"]).unwrap_or(0);
            run.acting(ids).equal(side.said(), [format!("SUBSCRIBE {number}")], &which);
            let codes = ReasonCodes::from_iter([ReasonCode::SUCCESS]);
            side.hear(&Packet::SubAck(SubAck::new(id(number.max(1)), codes)));
            run.acting(ids).equal(side.requests.len(), 1, &which);
            let number = side.unsubscribe(&["t"]).unwrap_or(0);
            run.acting(ids).equal(side.said(), [format!("UNSUBSCRIBE {number}")], &which);
            side.pass(std::time::Duration::from_secs(60));
            run.acting(ids).equal(side.said(), ["PINGREQ"], &which);
        } else {
            run.acting(ids).equal(side.answer(&Packet::PingReq), ["PINGRESP"], &which);
            side.hear(&Packet::Subscribe(Subscribe::new(id(7), filters(&["t"]))));
            side.hear(&Packet::Unsubscribe(Unsubscribe::new(id(8), no_more(&["t"]))));
            let now = side.now;
            let codes = || [ReasonCode::SUCCESS];
            run.acting(ids).equal(side.as_server().suback(now, id(7), codes()), Ok(()), &which);
            run.acting(ids).equal(side.as_server().unsuback(now, id(8), codes()), Ok(()), &which);
            run.acting(ids).equal(side.said(), ["SUBACK 7", "UNSUBACK 8"], &which);
        }
        run.acting(ids).equal(side.heard(), ["x", "x"], &which);
        side.disconnect(ReasonCode::UNSPECIFIED_ERROR);
        run.acting(ids).equal(side.said(), ["DISCONNECT 0x80"], &which);
    }
}

/// The peer's part: one more than this side takes ends the connection, one fewer does not.
pub(crate) fn too_many(run: &mut Run) {
    let ids = &["v5 U5-3.3.4-2"];
    for role in ROLES {
        for maximum in [1, 2, 10] {
            let limits = Limits { receive_maximum: maximum, ..Limits::default() };
            for qos in [Q1, Q2] {
                let mut side = Side::limited(role, V5, limits);
                // Nobody has answered them.
                side.verdict = None;
                let mut side = side.opened();
                let what = format!("{} {qos:?} {maximum}", side.which());
                for number in 1..=maximum {
                    side.hear(&publish(qos, number, "x"));
                    side.hear(&publish(Q0, 0, "x"));
                }
                run.acting(ids).holds(side.is_open(), &what);
                side.said();
                // A client answers QoS 1 by itself, at once.
                if (role, qos) == (CLIENT, Q1) {
                    continue;
                }
                side.hear(&publish(qos, maximum, "again"));
                run.acting(ids).holds(side.is_open(), format!("{what}, the same again"));
                side.said();
                side.heard();
                let said = side.answer(&publish(Q1, maximum + 1, "too many"));
                run.acting(ids).equal(said, ["DISCONNECT 0x93"], &what);
                let reason = CloseReason::Violation(Violation::ReceiveMaximumExceeded);
                run.acting(ids).equal(side.closed.as_ref(), Some(&reason), &what);
                run.acting(ids).equal(side.heard(), [""; 0], &what);
            }
        }
    }
    // 3.1.1 has no such limit, and each connection counts for itself.
    for version in VERSIONS {
        let limits = Limits { receive_maximum: 1, ..Limits::default() };
        let mut side = Side::limited(SERVER, version, limits).opened();
        side.hear(&publish(Q2, 1, "x"));
        if version == V5 {
            side.resume();
        }
        side.hear(&publish(Q2, 2, "x"));
        run.acting(ids).holds(side.is_open(), version);
    }
}
