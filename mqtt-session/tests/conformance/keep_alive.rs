//! Keep Alive, section 3.1.2.10, and the pings that keep it.

use std::time::Duration;

use conformance::Run;
use mqtt_session::{
    CloseReason,
    proto::{Packet, Property, ProtocolVersion},
};

use crate::{
    common::{Q0, Q1, lasting, publication, publish},
    side::*,
};

const TICK: Duration = Duration::from_micros(1);

fn client(version: ProtocolVersion, keep_alive: u16, peer: &[Property<'static>]) -> Side {
    Side::client(lasting(version).keep_alive(keep_alive), version).told(peer).opened()
}

fn server(version: ProtocolVersion, keep_alive: u16) -> Side {
    let mut side = Side::new(SERVER, version);
    side.keep_alive = keep_alive;
    side.opened()
}

/// That it pings after this silence and not before, each time anew.
fn pings_every(run: &mut Run, ids: Ids<'_>, side: &mut Side, interval: Duration) {
    let what = format!("{} every {interval:?}", side.which());
    side.said();
    for _ in 0..3 {
        side.pass(interval - TICK);
        run.acting(ids).equal(side.said(), [""; 0], &what);
        side.pass(TICK);
        run.acting(ids).equal(side.said(), ["PINGREQ"], &what);
        side.hear(&Packet::PingResp);
    }
    run.acting(ids).holds(side.is_open(), what);
}

pub(crate) fn of_a_silent_client(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-3.1.2-23"], &["v5 MQTT-3.1.2-20"]) {
        for seconds in [1, 60, u16::MAX] {
            let interval = Duration::from_secs(seconds.into());
            pings_every(run, ids, &mut client(version, seconds, &[]), interval);
        }
        // What it sends counts, what comes does not.
        let mut side = client(version, 60, &[]);
        let half = Duration::from_secs(30);
        side.pass(half);
        side.publish(Q0, "x");
        side.said();
        side.pass(half);
        run.acting(ids).equal(side.said(), [""; 0], "after a PUBLISH");
        let puback = side.answer(&publish(Q1, 1, "x"));
        run.acting(ids).equal(puback, ["PUBACK 1"], "an answer");
        side.pass(half);
        run.acting(ids).equal(side.said(), [""; 0], "after a PUBACK");
        side.hear(&publish(Q0, 0, "x"));
        side.pass(half);
        run.acting(ids).equal(side.said(), ["PINGREQ"], "after what came");

        let mut never = client(version, 0, &[]);
        run.acting(ids).equal(never.poll_timeout(), None, "keep alive 0");
        never.pass(Duration::from_secs(1_000_000));
        run.acting(ids).equal(never.said(), [""; 0], "keep alive 0");
    }
}

/// Server Keep Alive is the client's from then on, for as long as the connection lasts.
pub(crate) fn of_the_server(run: &mut Run) {
    let ids = &["v5 MQTT-3.1.2-21", "v5 MQTT-3.2.2-21"];
    for asked in [0, 5, 60] {
        let mut side = client(V5, asked, &[Property::ServerKeepAlive(5)]);
        pings_every(run, ids, &mut side, Duration::from_secs(5));
        let mut side = client(V5, asked, &[Property::ServerKeepAlive(0)]);
        run.acting(ids).equal(side.poll_timeout(), None, "no more keep alive");
        // The next connection begins with its own.
        side.peer = Vec::new();
        side.resume();
        let own = (asked > 0).then(|| side.now + Duration::from_secs(asked.into()));
        run.acting(ids).equal(side.poll_timeout(), own, "not mentioned any more");
    }
    // The server's part: what it said is what it waits for.
    for (asked, said) in [(60, 4), (0, 4), (4, 60)] {
        let mut side = Side::new(SERVER, V5);
        (side.keep_alive, side.accept.keep_alive) = (asked, Some(said));
        let mut side = side.opened();
        let greeting = side.greeting.take().expect("CONNACK");
        let told = greeting.properties().expect("5.0").server_keep_alive();
        run.acting(ids).equal(told, Some(said), asked);
        let silence = Duration::from_millis(u64::from(said) * 1500);
        run.acting(ids).equal(side.poll_timeout(), Some(side.now + silence), asked);
    }
}

/// One and a half times the keep alive of the CONNECT without a packet, to the microsecond.
pub(crate) fn seen_by_the_server(run: &mut Run) {
    let rows = by_version(&["v3.1.1 MQTT-3.1.2-24"], &["v5 MQTT-3.1.2-22", "v5 MQTT-3.2.2-22"]);
    for (version, ids) in rows {
        for seconds in [1, 2, 60, u16::MAX] {
            let silence = Duration::from_millis(u64::from(seconds) * 1500);
            let mut side = server(version, seconds);
            let what = format!("{version}, {seconds} s");
            let told = side.greeting.as_ref().and_then(|connack| connack.properties());
            run.acting(ids).equal(told.and_then(|said| said.server_keep_alive()), None, &what);
            side.said();
            // Any packet is a sign of life.
            for packet in [Packet::PingReq, publish(Q0, 0, "x"), puback(9)] {
                side.pass(silence - TICK);
                run.acting(ids).holds(side.is_open(), &what);
                side.hear(&packet);
            }
            // What this side sends is none.
            let _ = side.try_publish(publication(Q0, "x"));
            side.said();
            side.pass(silence - TICK);
            run.acting(ids).holds(side.is_open(), &what);
            side.pass(TICK);
            run.acting(ids).equal(
                side.closed.as_ref(),
                Some(&CloseReason::KeepAliveTimeout),
                &what,
            );
            // Not by the client's good-bye: its will is published.
            run.acting(ids).equal(side.farewell, None, &what);
            let goodbye: &[&str] = if version == V5 { &["DISCONNECT 0x8d"] } else { &[] };
            run.acting(ids).equal(side.said(), goodbye, &what);
            run.acting(ids).equal(side.answer(&Packet::PingReq), [""; 0], &what);
        }
        let mut side = server(version, 0);
        run.acting(ids).equal(side.poll_timeout(), None, "keep alive 0");
        side.pass(Duration::from_secs(1_000_000));
        run.acting(ids).holds(side.is_open(), "keep alive 0");
    }
}

pub(crate) fn pings(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-3.12.4-1"], &["v5 MQTT-3.12.4-1"]) {
        let mut side = Side::connected(SERVER, version);
        for _ in 0..3 {
            run.acting(ids).equal(side.answer(&Packet::PingReq), ["PINGRESP"], version);
        }
        side.hear_bytes(&[0xc0, 0].repeat(100));
        run.acting(ids).equal(side.said(), ["PINGRESP"; 100], version);

        // The client's part: without a PINGRESP in time the server is gone.
        let mut side = client(version, 60, &[]);
        side.pass(Duration::from_secs(60));
        side.pass(Duration::from_secs(10));
        let reason = side.closed.as_ref();
        run.acting(ids).equal(reason, Some(&CloseReason::KeepAliveTimeout), version);
    }
}
