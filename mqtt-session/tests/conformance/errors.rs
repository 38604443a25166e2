//! Errors, section 4.13, in 3.1.1 section 4.8: whoever breaks the rules is told why where the version has a word for
//! it, and loses the connection.

use std::time::Duration;

use bytes::BytesMut;
use conformance::Run;
use mqtt_session::{
    CloseReason,
    proto::{Packet, PacketType, ProtocolVersion, ReasonCode, Role},
};

use crate::{
    common::{Q0, Q1, Q2, VERSIONS, publish},
    publish::EVERY_QOS,
    side::*,
};

/// What a peer must not say after the handshake, in the words of 5.0, and the code it is told.
const TO_EITHER: [(&[u8], u8, &str); 10] = [
    (&[0x00, 0x00], 0x81, "a packet type that is reserved"),
    (&[0x30, 0x02, 0, 1], 0x81, "cut short"),
    (&[0x36, 0x06, 0, 1, b't', 0, 1, 0], 0x81, "QoS 3"),
    (&[0x38, 0x04, 0, 1, b't', 0], 0x81, "DUP at QoS 0"),
    (&[0x32, 0x06, 0, 1, b't', 0, 0, 0], 0x81, "packet identifier 0"),
    (&[0x30, 0x04, 0, 1, 0xff, 0], 0x81, "no UTF-8"),
    (&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01], 0x81, "a length of five bytes"),
    (&[0x60, 0x02, 0, 1], 0x81, "PUBREL with other flags"),
    (&[0x30, 0x04, 0, 1, b'#', 0], 0x90, "a wildcard in a topic name"),
    (&[0x30, 0xff, 0xff, 0xff, 0x7f], 0x95, "too large"),
];

/// The same for 3.1.1, which has other bytes and no codes.
const IN_V311: [(&[u8], &str); 10] = [
    (&[0x00, 0x00], "a packet type that is reserved"),
    (&[0xf0, 0x00], "AUTH"),
    (&[0x30, 0x02, 0, 1], "cut short"),
    (&[0x36, 0x05, 0, 1, b't', 0, 1], "QoS 3"),
    (&[0x32, 0x05, 0, 1, b't', 0, 0], "packet identifier 0"),
    (&[0x30, 0x03, 0, 1, 0xff], "no UTF-8"),
    (&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01], "a length of five bytes"),
    (&[0x60, 0x02, 0, 1], "PUBREL with other flags"),
    (&[0x30, 0x03, 0, 1, b'#'], "a wildcard in a topic name"),
    (&[0x30, 0xff, 0xff, 0xff, 0x7f], "too large"),
];

/// More than a side takes that takes one message of QoS 1 or 2 and one alias at a time, and has not answered any.
const BEYOND_LIMITS: [(&[u8], u8, &str); 4] = [
    (b"\x32\x06\0\x01t\0\x01\0\x32\x06\0\x01t\0\x02\0", 0x93, "two messages"),
    (b"\x30\x07\0\x01t\x03\x23\0\0", 0x94, "alias 0"),
    (b"\x30\x07\0\x01t\x03\x23\0\x02", 0x94, "alias 2"),
    (b"\x30\x06\0\0\x03\x23\0\x01", 0x82, "alias 1, which stands for nothing"),
];

/// And what it has said it does not offer.
const OF_A_CLIENT: [(&[u8], u8, &str); 2] =
    [(b"\x34\x06\0\x01t\0\x01\0", 0x9b, "QoS 2"), (b"\x31\x04\0\x01t\0", 0x9a, "RETAIN")];

fn limited(role: Role) -> Side {
    let limits =
        Limits { receive_maximum: 1, topic_alias_maximum: 1, manual: true, ..Limits::default() };
    Side::limited(role, V5, limits)
}

/// That the connection ends: with this word or, in 3.1.1, without one, and nothing comes of what follows.
fn ends(run: &mut Run, ids: Ids<'_>, side: &mut Side, code: u8, what: &str) {
    let what = format!("{}: {what}", side.which());
    let goodbye = match side.version {
        V5 => vec![format!("DISCONNECT {code:#04x}")],
        V311 => Vec::new(),
    };
    run.acting(ids).equal(side.said(), goodbye, &what);
    side.heard();
    run.acting(ids).holds(side.closed.is_some() && side.farewell.is_none(), &what);
    side.hear(&publish(Q1, 1, "more"));
    side.hear(&publish(Q0, 0, "more"));
    side.pass(Duration::from_secs(1000));
    run.acting(ids).equal(side.said(), [""; 0], &what);
    run.acting(ids).equal(side.heard(), [""; 0], &what);
    let wants_input = match &mut side.machine {
        Machine::Client(client) => client.wants_input(),
        Machine::Server(server) => server.as_ref().is_some_and(|server| server.wants_input()),
    };
    run.acting(ids).holds(!wants_input, what);
}

/// Packets of the other side's, and acknowledgements that fit nothing.
fn out_of_place(run: &mut Run, ids: Ids<'_>, role: Role, version: ProtocolVersion) {
    let mut bytes = BytesMut::new();
    let other = Side::new(role, version);
    let wrong: Vec<Packet<_>> = match role {
        CLIENT => vec![Packet::PingReq, other.connect_packet(), other.connack(false)],
        SERVER => vec![Packet::PingResp, other.connect_packet(), other.connack(false)],
    };
    for packet in wrong {
        bytes.clear();
        packet.encode(version, &mut bytes).expect("encodable");
        let mut side = Side::connected(role, version);
        side.hear_bytes(&bytes);
        ends(run, ids, &mut side, 0x82, packet.packet_type().name());
    }
    for (qos, packet) in [
        (Q1, PacketType::PubRec),
        (Q1, PacketType::PubComp),
        (Q2, PacketType::PubAck),
        (Q2, PacketType::PubComp),
    ] {
        let mut side = Side::connected(role, version);
        let number = side.publish(qos, "x");
        side.said();
        side.hear(&ack(packet, number, ReasonCode::SUCCESS));
        ends(run, ids, &mut side, 0x82, packet.name());
    }
}

fn bytes_that_end_it(run: &mut Run, ids: Ids<'_>, role: Role) {
    for (bytes, code, what) in TO_EITHER {
        let mut side = Side::connected(role, V5);
        side.hear_bytes(bytes);
        ends(run, ids, &mut side, code, what);
    }
    out_of_place(run, ids, role, V5);
}

pub(crate) fn at_the_server(run: &mut Run) {
    let ids = &["v5 MQTT-4.13.1-1"];
    bytes_that_end_it(run, ids, SERVER);
    let more: [(&[u8], u8, &str); 6] = [
        (&[0x82, 0x05, 0, 1, 0, 0, 0], 0x8f, "an empty topic filter"),
        (&[0x82, 0x08, 0, 1, 0, 0, 2, b'a', b'#', 0], 0x8f, "a wildcard in the wrong place"),
        (&[0x82, 0x03, 0, 1, 0], 0x82, "SUBSCRIBE for nothing"),
        (&[0xa2, 0x03, 0, 1, 0], 0x82, "UNSUBSCRIBE for nothing"),
        (&[0xc1, 0x00], 0x81, "PINGREQ with flags"),
        (&[0x40, 0x03, 0, 1, 0x05], 0x81, "PUBACK with a code of its own"),
    ];
    for (bytes, code, what) in more {
        let mut side = Side::connected(SERVER, V5);
        side.hear_bytes(bytes);
        ends(run, ids, &mut side, code, what);
    }
    for (bytes, code, what) in BEYOND_LIMITS.into_iter().chain(OF_A_CLIENT) {
        let mut side = limited(SERVER);
        (side.config.maximum_qos, side.config.retain_available) = (Q1, false);
        side.open();
        side.hear_bytes(bytes);
        ends(run, ids, &mut side, code, what);
    }
    // What the broker decides: each code that DISCONNECT has for a server, and a general one for the others.
    for code in (1..=255).map(ReasonCode::new) {
        let mut side = Side::connected(SERVER, V5);
        side.disconnect(code);
        let said = side.packets();
        let [Packet::Disconnect(disconnect)] = &said[..] else { panic!("{code}: {said:?}") };
        let legal = code.is_legal_in(PacketType::Disconnect, SERVER);
        let is_told = if legal { disconnect.reason == code } else { disconnect.reason.is_error() };
        run.acting(ids).holds(is_told, format!("{code}: {}", disconnect.reason));
        run.acting(ids).holds(!side.as_server().wants_input(), code);
    }
    // And before: each that CONNACK has.
    for code in (0..=255).map(ReasonCode::new) {
        let mut side = Side::new(SERVER, V5);
        side.refusal = Some(code);
        side.open();
        let Some(Packet::ConnAck(connack)) = &side.greeting else { panic!("{code}: no CONNACK") };
        let legal = code.is_error() && code.is_legal_in(PacketType::ConnAck, SERVER);
        let is_told = if legal { connack.reason == code } else { connack.reason.is_error() };
        run.acting(ids).holds(is_told, format!("{code}: {}", connack.reason));
        run.acting(ids).holds(!side.as_server().wants_input(), code);
    }
}

pub(crate) fn at_the_client(run: &mut Run) {
    let ids = &["v5 U5-4.13.1-1"];
    bytes_that_end_it(run, ids, CLIENT);
    for (bytes, code, what) in BEYOND_LIMITS {
        let mut side = limited(CLIENT).opened();
        side.hear_bytes(bytes);
        ends(run, ids, &mut side, code, what);
    }
    let ids = &["v3.1.1 MQTT-4.8.0-1"];
    for role in ROLES {
        for (bytes, what) in IN_V311 {
            let mut side = Side::connected(role, V311);
            side.hear_bytes(bytes);
            ends(run, ids, &mut side, 0, what);
        }
        out_of_place(run, ids, role, V311);
    }
    let more: [&[u8]; 3] = [&[0x82, 0x05, 0, 1, 0, 0, 0], &[0x82, 0x02, 0, 1], &[0xa2, 0x02, 0, 1]];
    for bytes in more {
        let mut side = Side::connected(SERVER, V311);
        side.hear_bytes(bytes);
        ends(run, ids, &mut side, 0, "a request");
    }
}

/// Whoever cannot take a message just now ends the connection, and does not say that the message arrived.
pub(crate) fn of_the_moment(run: &mut Run) {
    let ids = &["v3.1.1 MQTT-4.8.0-2"];
    for role in ROLES {
        for qos in [Q1, Q2] {
            let mut side = Side::undecided(role, V311);
            let mut other = Side::connected(role, V311);
            let what = format!("{} {qos:?}", side.which());
            side.hear(&publish(qos, 7, "x"));
            // No word either: a DISCONNECT of 3.1.1 would say that all is well.
            side.disconnect(ReasonCode::UNSPECIFIED_ERROR);
            run.acting(ids).equal(side.said(), [""; 0], &what);
            let reason = CloseReason::Requested(ReasonCode::UNSPECIFIED_ERROR);
            run.acting(ids).equal(side.closed.as_ref(), Some(&reason), &what);
            let late = side.acknowledge(0, ReasonCode::SUCCESS);
            run.acting(ids).holds(late.is_err(), format!("{what}: too late"));
            run.acting(ids).equal(side.said(), [""; 0], format!("{what}: too late"));
            let acknowledged = other.answer(&publish(Q1, 7, "y"));
            run.acting(ids).equal(acknowledged, ["PUBACK 7"], "another connection");
            // It was not taken, so it comes as new.
            side.heard();
            side.resume();
            let answer = side.answer(&publish(qos, 7, "x"));
            run.acting(ids).equal(answer, [""; 0], &what);
            run.acting(ids).equal(side.heard(), ["x"], format!("{what}: comes again"));
            // What was decided about the first one says nothing of this one.
            let stale = side.acknowledge(0, ReasonCode::SUCCESS);
            run.acting(ids).holds(stale.is_err(), format!("{what}: of the old connection"));
            run.acting(ids).equal(side.said(), [""; 0], &what);
            let answered = side.acknowledge(1, ReasonCode::SUCCESS);
            run.acting(ids).equal(answered, Ok(()), &what);
            run.acting(ids).equal(side.said().len(), 1, what);
        }
    }
}

/// Peers that say as little as the standard lets them, and everything that can be done with them.
pub(crate) fn no_extensions(run: &mut Run) {
    let ids = &["v3.1.1 MQTT-7.0.0-2"];
    for version in VERSIONS {
        for role in ROLES {
            // What it writes is read by a decoder that knows nothing but the standard.
            let mut side = Side::connected(role, version);
            let which = side.which();
            for qos in EVERY_QOS {
                let number = side.publish(qos, "x");
                side.complete(qos, number);
                side.hear(&publish(qos, 7, "x"));
                side.hear(&pubrel(7));
            }
            let acknowledged: Vec<_> = side.finished.iter().map(|(_, how)| *how).collect();
            run.acting(ids).equal(acknowledged, [SUCCESS, SUCCESS], &which);
            run.acting(ids).equal(side.heard(), ["x"; 3], &which);
            run.acting(ids).holds(side.is_open(), &which);
            if role == CLIENT {
                let number = side.subscribe(&["t"]).expect("room");
                let suback: &[u8] = if version == V5 { &[0x90, 4] } else { &[0x90, 3] };
                let codes: &[u8] = if version == V5 { &[0, 1] } else { &[1] };
                side.hear_bytes(&[suback, &number.to_be_bytes(), codes].concat());
                run.acting(ids).equal(side.requests.len(), 1, &which);
                let first = side.greeting.as_ref().map(|packet| packet.packet_type());
                run.acting(ids).equal(first, Some(PacketType::Connect), &which);
            }
            side.said();
            side.disconnect(ReasonCode::NORMAL_DISCONNECTION);
            let goodbye = side.said();
            let expected: &[&str] =
                if (version, role) == (V311, SERVER) { &[] } else { &["DISCONNECT"] };
            run.acting(ids).equal(goodbye, expected, which);
        }
    }
}
