//! Session state, sections 4.1 and 4.4: what is kept, and what is sent again.

use std::time::Duration;

use conformance::Run;
use mqtt_session::{
    CloseReason, Outcome,
    proto::{PacketType, Property, ProtocolVersion, ReasonCode},
};

use crate::{
    common::{Pair, Q0, Q1, Q2, VERSIONS, lasting, publish},
    side::*,
};

/// Everything at once: exactly that, whole, with its identifiers, and nothing that was acknowledged.
pub(crate) fn what_is_sent_again(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-4.4.0-1"], &["v5 MQTT-4.4.0-1"]) {
        for role in ROLES {
            let mut side = Side::connected(role, version);
            side.publish(Q0, "not kept");
            let a = side.publish(Q1, "a");
            let done = side.publish(Q1, "done");
            let b = side.publish(Q2, "b");
            let released = side.publish(Q2, "released");
            let completed = side.publish(Q2, "completed");
            let c = side.publish(Q1, "c");
            side.hear(&puback(done));
            side.hear(&pubrec(released));
            side.complete(Q2, completed);
            // What was received is the peer's to send again.
            side.hear(&publish(Q1, 700, "x"));
            side.hear(&publish(Q2, 701, "x"));
            let expected = [
                format!("PUBREL {released}"),
                format!("PUBLISH {a} q1 dup a"),
                format!("PUBLISH {b} q2 dup b"),
                format!("PUBLISH {c} q1 dup c"),
            ];
            for _ in 0..2 {
                side.resume();
                run.acting(ids).equal(side.said(), &expected, side.which());
            }
            side.hear(&puback(a));
            side.hear(&pubcomp(released));
            side.resume();
            run.acting(ids).equal(side.said(), &expected[2..], side.which());
        }
    }
}

/// Not after minutes, nor when a peer answers something else.
pub(crate) fn at_no_other_time(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-4.4.0-1"], &["v5 MQTT-4.4.0-1"]) {
        for role in ROLES {
            let mut side = Side::connected(role, version);
            side.publish(Q1, "a");
            side.publish(Q2, "b");
            let released = side.publish(Q2, "c");
            side.hear(&pubrec(released));
            side.said();
            for _ in 0..100 {
                side.pass(Duration::from_secs(60));
                side.hear(&publish(Q0, 0, "x"));
                side.hear(&puback(999));
            }
            run.acting(ids).equal(side.said(), [""; 0], side.which());
            run.acting(ids).holds(side.is_open(), side.which());
            run.acting(ids).equal(side.open_exchanges(), 3, side.which());
        }
    }
}

/// When a peer takes too long, a connection of 5.0 ends, and only then is anything sent again.
pub(crate) fn when_answers_take_too_long(run: &mut Run) {
    let ids = &["v5 MQTT-4.4.0-1"];
    let timeout = Duration::from_secs(10);
    for role in ROLES {
        let mut side = match role {
            CLIENT => Side::client(lasting(V5).ack_timeout(Some(timeout)), V5),
            SERVER => Side::new(SERVER, V5),
        };
        side.config.ack_timeout = Some(timeout);
        let mut side = side.opened();
        let released = side.publish(Q2, "b");
        side.hear(&pubrec(released));
        let number = side.publish(Q1, "a");
        side.said();
        side.pass(timeout);
        run.acting(ids).equal(side.said(), ["DISCONNECT 0x80"], side.which());
        let reason = Some(&CloseReason::AckTimeout);
        run.acting(ids).equal(side.closed.as_ref(), reason, side.which());
        side.pass(timeout);
        run.acting(ids).equal(side.said(), [""; 0], side.which());
        side.resume();
        let expected = [format!("PUBREL {released}"), format!("PUBLISH {number} q1 dup a")];
        run.acting(ids).equal(side.said(), expected, side.which());
    }
}

/// A refusal is an answer: the message is not sent again, and whoever sent it is told.
pub(crate) fn what_was_refused(run: &mut Run) {
    let ids = &["v5 MQTT-4.4.0-2"];
    for role in ROLES {
        let peer = if role == CLIENT { SERVER } else { CLIENT };
        for (qos, packet) in [(Q1, PacketType::PubAck), (Q2, PacketType::PubRec)] {
            for code in (0x80..=0xff).map(ReasonCode::new) {
                if !code.is_legal_in(packet, peer) {
                    continue;
                }
                let mut side = Side::connected(role, V5);
                let what = format!("{} {qos:?} {code}", side.which());
                let number = side.publish(qos, "x");
                side.said();
                run.acting(ids).equal(side.answer(&ack(packet, number, code)), [""; 0], &what);
                let finished = [(number, Outcome::Acknowledged(code))];
                run.acting(ids).equal(&side.finished[..], finished, &what);
                side.resume();
                run.acting(ids).equal(side.said(), [""; 0], &what);
                run.acting(ids).equal(side.open_exchanges(), 0, &what);
            }
        }
    }
}

/// Both ends keep it for as long as it lasts, and as long as the connection does in any case.
pub(crate) fn state_of_a_session(run: &mut Run) {
    for version in VERSIONS {
        let while_connected = match version {
            V311 => ["v3.1.1 MQTT-4.1.0-2"],
            V5 => ["v5 MQTT-4.1.0-1"],
        };
        // A session that ends with its connection, over a day of it.
        let mut clean = lasting(version).clean_start(true);
        if version == V5 {
            clean = clean.session_expiry(0);
        }
        let mut pair = Pair::connected_with(clean, version);
        for qos in [Q1, Q2] {
            pair.publish_up(qos, "up");
            pair.publish_down(qos, "down");
        }
        (pair.up.open, pair.down.open) = (false, false);
        for _ in 0..24 {
            pair.pass(Duration::from_secs(3600));
            pair.tick();
        }
        let open = (pair.client.session().open(), pair.server().session().map(|s| s.open()));
        run.acting(&while_connected).equal(open, (2, Some(2)), version);
        (pair.up.open, pair.down.open) = (true, true);
        pair.run();
        run.acting(&while_connected).equal(&pair.at_server[..], ["up", "up"], version);
        run.acting(&while_connected).equal(&pair.at_client[..], ["down", "down"], version);
        run.acting(&while_connected).holds(pair.at_rest(), version);

        // What was received and not released is of it too.
        for role in ROLES {
            let mut side = Side::new(role, version);
            side.clean_start = true;
            side.peer = vec![Property::SessionExpiryInterval(0)];
            side.open();
            side.hear(&publish(Q2, 7, "x"));
            side.pass(Duration::from_secs(86_400));
            side.hear(&publish(Q2, 7, "x"));
            run.acting(&while_connected).equal(side.heard(), ["x"], side.which());
        }
        over_many_connections(run, version);
    }
}

fn over_many_connections(run: &mut Run, version: ProtocolVersion) {
    let ids = match version {
        V311 => &["v3.1.1 MQTT-4.1.0-1"][..],
        V5 => &["v5 MQTT-4.1.0-1"],
    };
    for role in ROLES {
        let mut side = Side::connected(role, version);
        let sent = side.publish(Q2, "sent");
        let released = side.publish(Q2, "released");
        side.said();
        side.hear(&pubrec(released));
        side.hear(&publish(Q2, 7, "x"));
        side.cut();
        side.publish(Q1, "waits");
        for _ in 0..100 {
            side.pass(Duration::from_secs(86_400));
            side.connect(true);
            run.acting(ids).equal(side.open_exchanges(), 3, side.which());
            run.acting(ids).equal(side.session().received().len(), 1, side.which());
            side.cut();
        }
        side.connect(true);
        side.said();
        side.hear(&publish(Q2, 7, "x"));
        run.acting(ids).equal(side.heard(), ["x"], side.which());
        side.complete(Q2, sent);
        side.hear(&pubcomp(released));
        side.resume();
        run.acting(ids).equal(side.said().len(), 1, side.which());
    }
}
