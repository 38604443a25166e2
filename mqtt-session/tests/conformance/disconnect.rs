//! DISCONNECT, section 3.14.

use std::time::Duration;

use bytes::Bytes;
use conformance::Run;
use mqtt_session::{
    CloseReason, CommandError, PublishError, Violation,
    proto::{Disconnect, Packet, PacketType, Properties, Property, PropertyId, ReasonCode},
};

use crate::{
    common::{Q0, Q1, Q2, publication, publish},
    side::*,
};

/// Until a server has accepted the CONNECT, it ends a connection with a CONNACK or without a word.
pub(crate) fn before_connack(run: &mut Run) {
    let ids = &["v5 MQTT-3.14.0-1"];
    let mut says_no_disconnect = |what: &str, awaiting: bool, end: fn(&mut Side)| {
        let mut side = Side::new(SERVER, V5);
        side.dial();
        if awaiting {
            // A broker that thinks about it.
            side.answers_connect = false;
            let connect = side.connect_packet();
            side.hear(&connect);
        }
        end(&mut side);
        let said = side.packets();
        let refusal = |packet: &Packet<Bytes>| matches!(packet, Packet::ConnAck(connack) if connack.reason.is_error());
        let only_refusal = said.len() <= 1 && said.iter().all(refusal);
        run.acting(ids).holds(only_refusal, format!("{what}: {said:?}"));
        run.acting(ids).holds(!side.as_server().wants_input(), what);
    };
    for awaiting in [false, true] {
        says_no_disconnect("the broker closes", awaiting, |side| {
            side.disconnect(ReasonCode::SERVER_SHUTTING_DOWN);
        });
        says_no_disconnect("the broker refuses and closes", awaiting, |side| {
            let now = side.now;
            side.as_server().reject(now, ReasonCode::SERVER_BUSY);
            side.as_server().close(now, ReasonCode::SERVER_BUSY);
        });
        says_no_disconnect("what is no packet", awaiting, |side| {
            side.hear_bytes(b"GET / HTTP/1.1\r\n");
        });
        says_no_disconnect("a PINGREQ", awaiting, |side| side.hear(&Packet::PingReq));
        says_no_disconnect("a PUBLISH", awaiting, |side| side.hear(&publish(Q1, 1, "x")));
        says_no_disconnect("too large", awaiting, |side| {
            side.hear_bytes(b"\x10\xff\xff\xff\x7f\0\x04MQTT\x05\x02\0\0");
        });
    }
    says_no_disconnect("no CONNECT in time", false, |side| side.pass(Duration::from_secs(60)));
    says_no_disconnect("a malformed CONNECT", false, |side| {
        side.hear_bytes(b"\x10\x0d\0\x04MQTT\x05\x01\0\x3c\0\0\0");
    });
    // Once it has, that is what it says.
    let mut side = Side::connected(SERVER, V5);
    side.disconnect(ReasonCode::SERVER_SHUTTING_DOWN);
    run.acting(ids).equal(side.said(), ["DISCONNECT 0x8b"], "accepted");
}

/// Whatever the application wants, whatever comes, however late it is.
pub(crate) fn nothing_follows(run: &mut Run) {
    let rows: [(_, _, Ids<'_>); 3] = [
        (V311, CLIENT, &["v3.1.1 MQTT-3.14.4-2"]),
        (V5, CLIENT, &["v5 MQTT-3.14.4-1"]),
        (V5, SERVER, &["v5 MQTT-3.14.4-1"]),
    ];
    for (version, role, ids) in rows {
        for by_peer in [false, true] {
            let mut side = Side::new(role, version);
            side.keep_alive = 60;
            if role == CLIENT {
                let options = crate::common::lasting(version).keep_alive(60);
                side = Side::client(options.manual_acknowledgement(true), version);
            }
            side.peer = vec![Property::ReceiveMaximum(2)];
            // A message that the application has not answered.
            side.verdict = None;
            let mut side = side.opened();
            let what = format!("{}, by the peer {by_peer}", side.which());
            side.hear(&publish(Q1, 900, "late"));
            side.heard();
            // One is on its way, and one waits for it.
            let open = side.publish(Q1, "x");
            side.publish(Q2, "y");
            side.publish(Q1, "waits");
            side.said();
            let last: &[&str] = if by_peer {
                // The peer breaks the rules.
                side.hear_bytes(&[0x36, 0]);
                if version == V5 { &["DISCONNECT 0x81"] } else { &[] }
            } else {
                side.disconnect(ReasonCode::NORMAL_DISCONNECTION);
                &["DISCONNECT"]
            };
            let said = side.said();
            run.acting(ids).equal(said, last, &what);

            let at_once = side.try_publish(publication(Q0, "x"));
            run.acting(ids).equal(at_once, Err(PublishError::NotConnected), &what);
            // Kept for the next connection, or refused; not sent.
            let _ = side.try_publish(publication(Q1, "later"));
            if role == CLIENT {
                let not_now = Err(CommandError::NotConnected);
                run.acting(ids).equal(side.subscribe(&["t"]), not_now, &what);
                run.acting(ids).equal(side.unsubscribe(&["t"]), not_now, &what);
            }
            let late = side.acknowledge(0, ReasonCode::SUCCESS);
            run.acting(ids).equal(late, Err(CommandError::NothingToAnswer), &what);
            for packet in [publish(Q1, 1, "x"), publish(Q2, 2, "x"), pubrel(2), puback(open)] {
                side.hear(&packet);
            }
            side.hear(&if role == CLIENT { Packet::PingResp } else { Packet::PingReq });
            side.pass(Duration::from_secs(600));
            side.disconnect(ReasonCode::UNSPECIFIED_ERROR);
            run.acting(ids).equal(side.said(), [""; 0], &what);
            run.acting(ids).equal(side.heard(), [""; 0], &what);
        }
    }
}

pub(crate) fn session_expiry(run: &mut Run) {
    let ids = &["v5 MQTT-3.14.2-2"];
    // The client's part: it takes none from a server.
    for seconds in [0u32, 60] {
        let mut side = Side::connected(CLIENT, V5);
        side.hear_bytes(&[&[0xe0, 7, 0, 5, 0x11][..], &seconds.to_be_bytes()].concat());
        // A property that is not to be there makes the packet malformed (section 2.2.2.2).
        run.acting(ids).equal(side.said(), ["DISCONNECT 0x81"], seconds);
        run.acting(ids).holds(matches!(side.closed, Some(CloseReason::Malformed(_))), seconds);
    }
    for code in (0..=255).map(ReasonCode::new) {
        let mut side = Side::connected(SERVER, V5);
        side.disconnect(code);
        for packet in side.packets() {
            run.acting(ids).equal(packet.packet_type(), PacketType::Disconnect, code);
            let expiry = packet.properties().expect("5.0").session_expiry_interval();
            run.acting(ids).equal(expiry, None, code);
        }
    }
    let ids = &["v5 U5-3.14.2.2.2-2"];
    // What CONNECT said, what DISCONNECT says, and whether that is legal.
    for (asked, said, legal) in
        [(0, 60, false), (0, u32::MAX, false), (0, 0, true), (1, 60, true), (60, 0, true)]
    {
        let mut side = Side::new(SERVER, V5).told(&[Property::SessionExpiryInterval(asked)]);
        side.open();
        let properties = Properties::new([Property::SessionExpiryInterval(said)]).expect("legal");
        let goodbye = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
        let packet = Packet::Disconnect(goodbye.with_properties(properties));
        let what = format!("{asked}, then {said}");
        let answer = side.answer(&packet);
        let expected: &[&str] = if legal { &[] } else { &["DISCONNECT 0x82"] };
        run.acting(ids).equal(answer, expected, &what);
        let reason = CloseReason::Violation(Violation::SessionExpiryRaised);
        run.acting(ids).equal(side.closed.as_ref(), (!legal).then_some(&reason), &what);
        let lives = if legal { said } else { 0 };
        run.acting(ids).equal(side.as_server().session_expiry(), lives, what);
    }
    // The client's part: it cannot.
    for expiry in [0, 60] {
        let options = mqtt_session::ClientOptions::new("c").session_expiry(expiry);
        let mut side = Side::client(options, V5).opened();
        side.disconnect(ReasonCode::NORMAL_DISCONNECTION);
        for packet in side.packets() {
            let set = packet.properties().expect("5.0").set();
            run.acting(ids).holds(!set.contains(PropertyId::SessionExpiryInterval), expiry);
        }
    }
}
