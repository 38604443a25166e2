//! CONNECT as a server takes it, section 3.1.

use std::fmt::Write as _;

use bytes::{Buf, Bytes, BytesMut};
use conformance::Run;
use mqtt_session::{
    CloseReason, CommandError, Instant, Server, ServerAction, ServerConfig, Violation,
    proto::{Connect, Packet, PacketType, Properties, Property, ProtocolVersion, ReasonCode, Str},
};

use crate::{
    common::{Q0, Q1, Q2, VERSIONS, on_topic, publish},
    side::*,
};

const NOW: Instant = Instant::ZERO;

/// What a new server says to these first bytes, read as borrowed and as owned packets, and that it closes.
fn refuses(run: &mut Run, ids: Ids<'_>, bytes: &[u8], expected: &[&[u8]]) {
    let mut what = String::new();
    bytes.iter().take(40).for_each(|byte| write!(what, "{byte:02x}").expect("a string"));
    let mut borrowed = Server::new(ServerConfig::default(), NOW);
    let mut owned = Server::new(ServerConfig::default(), NOW);
    let refused = borrowed.decode(NOW, bytes).is_err();
    run.acting(ids).holds(refused, format!("{what}, borrowed"));
    let refused = owned.decode_bytes(NOW, &mut BytesMut::from(bytes)).is_err();
    run.acting(ids).holds(refused, format!("{what}, owned"));
    for mut server in [borrowed, owned] {
        let said = server.transmit().chunk().to_vec();
        run.acting(ids).holds(
            expected.contains(&&said[..]),
            format!("{what}: {said:02x?} where one of {expected:02x?} is expected"),
        );
        // Nothing can come of it any more.
        server.transmit().advance(said.len());
        run.acting(ids).holds(!server.wants_input() && !server.is_connected(), &what);
        run.acting(ids).equal(server.poll_timeout(), None, &what);
        let action = server.handle_packet(NOW, connect(V5));
        run.acting(ids).equal(action, None, &what);
        run.acting(ids).holds(server.transmit().is_empty(), &what);
    }
}

fn connect(version: ProtocolVersion) -> Packet<Bytes> {
    let connect = Connect::new(version, Str::borrowed("c").expect("a string"));
    connect.to_packet().expect("encodable")
}

/// Before the verdict, after it, and by which version it was.
pub(crate) fn twice(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-3.1.0-2"], &["v5 MQTT-3.1.0-2"]) {
        let violation = CloseReason::Violation(Violation::UnexpectedPacket(PacketType::Connect));
        let mut side = Side::connected(SERVER, version);
        let second = side.connect_packet();
        let goodbye: &[&str] = if version == V5 { &["DISCONNECT 0x82"] } else { &[] };
        run.acting(ids).equal(side.answer(&second), goodbye, version);
        run.acting(ids).equal(side.closed.as_ref(), Some(&violation), version);
        // Not by the client's good-bye: its will is published.
        run.acting(ids).equal(side.farewell, None, version);
        run.acting(ids).equal(side.connects, 1, version);
        run.acting(ids).equal(side.answer(&publish(Q1, 1, "x")), [""; 0], version);
        run.acting(ids).equal(side.heard(), [""; 0], version);

        let mut server = Server::new(ServerConfig::default(), NOW);
        let first = server.handle_packet(NOW, connect(version));
        run.acting(ids).holds(matches!(first, Some(ServerAction::Connect(_))), version);
        let second = server.handle_packet(NOW, connect(version));
        run.acting(ids).equal(second, Some(ServerAction::Close(violation)), version);
        run.acting(ids).holds(server.transmit().is_empty(), "no DISCONNECT without a CONNACK");
    }
}

/// Levels nobody serves, in either version's answer.
pub(crate) fn levels(run: &mut Run) {
    for level in (0..=255).filter(|level| !matches!(level, 4 | 5)) {
        let bytes = [b"\x10\x0d\0\x04MQTT", &[level, 2, 0, 60][..], b"\0\0\x01c"].concat();
        let bytes = match level {
            // As long as a CONNECT of 3.1.1, which those before it are.
            0..=3 => [b"\x10\x0d", &bytes[2..]].concat(),
            _ => [b"\x10\x0e\0\x04MQTT", &[level, 2, 0, 60][..], b"\0\0\x01c\0"].concat(),
        };
        let v311: &[u8] = &[0x20, 0x02, 0x00, 0x01];
        let v5: &[u8] = &[0x20, 0x03, 0x00, 0x84, 0x00];
        refuses(run, &["v5 MQTT-3.1.2-2"], &bytes, &[v311, v5, &[]]);
        if level < 4 {
            refuses(run, &["v3.1.1 MQTT-3.1.2-2"], &bytes, &[v311]);
        }
    }
}

/// A CONNECT with everything in it, its body in its two halves: header and payload.
fn everything(version: ProtocolVersion) -> Vec<u8> {
    let mut connect = Connect::new(version, Str::try_from("client").expect("a string"));
    let v5 = version == V5;
    let some = |property| Properties::new([property]).expect("legal");
    if v5 {
        connect.properties = some(Property::ReceiveMaximum(7));
    }
    let will = on_topic(Q2, "w/t", "gone").with_retain(true);
    connect.will = Some(match version {
        V5 => will.with_properties(some(Property::WillDelayInterval(1))),
        V311 => will,
    });
    connect.user_name = Some(Str::try_from("user").expect("a string"));
    connect.password = Some(Bytes::from_static(b"pass"));
    let mut bytes = BytesMut::new();
    connect.encode(&mut bytes).expect("encodable");
    bytes.to_vec()
}

/// Every CONNECT that ends too early, or has a byte that may not be there. In 5.0 it may be told why, in 3.1.1 not.
pub(crate) fn malformed(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-3.1.4-1"], &["v5 MQTT-3.1.4-1"]) {
        let whole = everything(version);
        run.acting(ids).holds(whole.len() < 128, "one byte of length");
        let codes = [0x80, 0x81, 0x82, 0x84, 0x85].map(|code| [0x20, 0x03, 0x00, code, 0x00]);
        let mut answers: Vec<&[u8]> = vec![&[]];
        if version == V5 {
            answers.extend(codes.iter().map(|answer| &answer[..]));
        }
        for len in 2..whole.len() {
            let mut cut = whole[..len].to_vec();
            cut[1] = (len - 2) as u8;
            refuses(run, ids, &cut, &answers);
        }
        let mut changed = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            refuses(run, ids, &bytes, &answers);
        };
        // Flags of the fixed header; the reserved flag; a will of QoS 3; a will's QoS without a will.
        (0x11..=0x1f).for_each(|first| changed(0, first));
        for flags in [0xef, 0xfe, 0xd2, 0xea] {
            changed(9, flags);
        }
        // No text: a client identifier of this.
        let text = whole.windows(6).position(|part| part == b"client").expect("it is there");
        changed(text, 0xff);
        changed(text, 0x00);
        // Something is left over at the end.
        let mut longer = whole.clone();
        longer.push(0);
        longer[1] += 1;
        refuses(run, ids, &longer, &answers);
    }
}

pub(crate) fn accepted(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-3.1.4-4"], &["v5 MQTT-3.1.4-5"]) {
        for clean_start in [true, false] {
            let mut side = Side::new(SERVER, version);
            side.clean_start = clean_start;
            side.dial();
            let connect = side.connect_packet();
            run.acting(ids).equal(side.answer(&connect), ["CONNACK"], version);
            run.acting(ids).holds(side.as_server().is_connected(), version);
            side.resume();
            let greeting = side.greeting.as_ref().map(crate::common::describe);
            let expected = if clean_start { "CONNACK" } else { "CONNACK present" };
            run.acting(ids).equal(greeting.as_deref(), Some(expected), version);
        }
        let mut server = Server::new(ServerConfig::default(), NOW);
        let everything = everything(version);
        let packet = server.decode_bytes(NOW, &mut BytesMut::from(&everything[..]));
        let packet = packet.ok().and_then(|status| status.ready()).expect("a CONNECT");
        server.handle_packet(NOW, packet);
        let accepted =
            server.accept(NOW, mqtt_session::Session::new(1), &Default::default(), |_, _| {});
        run.acting(ids).equal(accepted, Ok(()), version);
        let said = server.transmit().chunk().to_vec();
        let whole = said[0] == 0x20 && usize::from(said[1]) + 2 == said.len();
        run.acting(ids).holds(whole && said[2..4] == [0, 0], format!("{said:02x?}"));
    }
}

/// What was sent together with a CONNECT that is refused, and what comes after.
pub(crate) fn after_a_refusal(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-3.1.4-5"], &["v5 MQTT-3.1.4-6"]) {
        let mut side = Side::new(SERVER, version);
        side.refusal = Some(ReasonCode::BAD_USER_NAME_OR_PASSWORD);
        side.dial();
        let mut bytes = BytesMut::new();
        let messages = [publish(Q0, 0, "x"), publish(Q1, 1, "x"), publish(Q2, 2, "x")];
        let pipelined = [side.connect_packet()].into_iter().chain(messages.clone());
        for packet in pipelined.chain([Packet::PingReq, side.connect_packet()]) {
            packet.encode(version, &mut bytes).expect("encodable");
        }
        side.hear_bytes(&bytes);
        run.acting(ids).equal(side.said(), ["CONNACK 0x86"], version);
        run.acting(ids).equal(side.heard(), [""; 0], version);
        run.acting(ids).equal(side.connects, 1, version);
        for packet in messages {
            run.acting(ids).equal(side.answer(&packet), [""; 0], version);
        }
        // No second thoughts of the broker either.
        let now = side.now;
        let session = mqtt_session::Session::new(1);
        let late = side.as_server().accept(now, session, &Default::default(), |_, _| {});
        run.acting(ids).equal(late, Err(CommandError::NothingToAnswer), version);
        run.acting(ids).equal(side.said(), [""; 0], version);
    }
}

/// Refused by the session, whatever the broker thinks: a session that lasts needs a name.
pub(crate) fn no_client_identifier(run: &mut Run) {
    let ids = &["v3.1.1 MQTT-3.1.3-8"];
    for (version, clean_start, refused) in
        [(V311, false, true), (V311, true, false), (V5, false, false), (V5, true, false)]
    {
        let what = format!("{version}, clean {clean_start}");
        let mut server = Server::new(ServerConfig::default(), NOW);
        let mut connect = Connect::new(version, Str::<Bytes>::try_from("").expect("a string"));
        connect.clean_start = clean_start;
        let mut bytes = BytesMut::new();
        connect.encode(&mut bytes).expect("encodable");
        let packet = server.decode_bytes(NOW, &mut bytes).ok().and_then(|status| status.ready());
        let action = server.handle_packet(NOW, packet.expect("a CONNECT"));
        if refused {
            let reason = CloseReason::Refused(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
            run.acting(ids).equal(action, Some(ServerAction::Close(reason)), &what);
            run.acting(ids).equal(server.transmit().chunk(), [0x20, 2, 0, 2], &what);
            run.acting(ids).holds(!server.wants_input(), what);
        } else {
            run.acting(ids).holds(matches!(action, Some(ServerAction::Connect(_))), what);
        }
    }
    for version in VERSIONS {
        // The client's part: it does not ask.
        let options = mqtt_session::ClientOptions::new("").version(version).clean_start(false);
        let refused = mqtt_session::Client::new(options).is_err();
        run.acting(ids).equal(refused, version == V311, version);
    }
}
