//! CONNACK, section 3.2.

use bytes::{Buf, Bytes, BytesMut};
use conformance::Run;
use mqtt_session::{
    Accept, CloseReason, CommandError, Session, Violation,
    proto::{ConnAck, Disconnect, Packet, PacketType, ReasonCode, ReasonCodes, SubAck},
};

use crate::{
    common::{Q0, Q1, Q2, id, publish},
    side::*,
};

/// A session full of everything that may have to be sent again, and of what was never sent.
fn full(version: mqtt_session::proto::ProtocolVersion) -> Side {
    let mut side = Side::connected(SERVER, version);
    side.publish(Q1, "a");
    side.publish(Q2, "b");
    let released = side.publish(Q2, "c");
    side.said();
    side.hear(&pubrec(released));
    side.cut();
    side.publish(Q1, "d");
    side
}

pub(crate) fn comes_first(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-3.2.0-1"], &["v5 MQTT-3.2.0-1"]) {
        let mut side = full(version);
        side.dial();
        // Whatever the broker would like to say before.
        let now = side.now;
        let early = crate::common::publication(Q0, "x");
        run.acting(ids).holds(side.as_server().publish(now, early).is_err(), version);
        let suback = side.as_server().suback(now, id(1), [ReasonCode::SUCCESS]);
        run.acting(ids).equal(suback, Err(CommandError::NotConnected), version);
        run.acting(ids).equal(side.said(), [""; 0], version);
        let connect = side.connect_packet();
        let said = side.answer(&connect);
        run.acting(ids).equal(said.first().map(String::as_str), Some("CONNACK present"), version);
        run.acting(ids).equal(said.len(), 5, version);
        let others = said[1..].iter().any(|packet| packet.starts_with("CONNACK"));
        run.acting(ids).holds(!others, version);

        // The client's part: nothing else is taken as the first packet, and nothing of it is delivered.
        let codes = ReasonCodes::from_iter([ReasonCode::SUCCESS]);
        let mut packets = vec![
            publish(Q0, 0, "x"),
            publish(Q1, 1, "x"),
            publish(Q2, 2, "x"),
            puback(1),
            pubrec(1),
            pubrel(1),
            pubcomp(1),
            Packet::SubAck(SubAck::new(id(1), codes)),
            Packet::PingResp,
        ];
        if version == V5 {
            packets.push(Packet::Disconnect(Disconnect::new(ReasonCode::SERVER_BUSY)));
        }
        for packet in packets {
            let mut side = Side::new(CLIENT, version);
            side.dial();
            let packet_type = packet.packet_type();
            let said = side.answer(&packet);
            let goodbye: &[&str] = if version == V5 { &["DISCONNECT 0x82"] } else { &[] };
            run.acting(ids).equal(said, goodbye, packet_type.name());
            let reason = CloseReason::Violation(Violation::UnexpectedPacket(packet_type));
            run.acting(ids).equal(side.closed.as_ref(), Some(&reason), packet_type.name());
            run.acting(ids).equal(side.heard(), [""; 0], packet_type.name());
            let connack = side.connack(false);
            side.hear(&connack);
            run.acting(ids).equal(side.connacks.len(), 0, packet_type.name());
        }
    }
}

pub(crate) fn comes_once(run: &mut Run) {
    let ids = &["v5 MQTT-3.2.0-2"];
    let mut side = Side::connected(SERVER, V5);
    let now = side.now;
    let again = side.as_server().accept(now, Session::new(1), &Accept::default(), |_, _| {});
    run.acting(ids).equal(again, Err(CommandError::NothingToAnswer), "accepted twice");
    run.acting(ids).equal(side.said(), [""; 0], "accepted twice");
    run.acting(ids).holds(side.as_server().is_connected(), "accepted twice");
    side.as_server().reject(now, ReasonCode::SERVER_BUSY);
    run.acting(ids).equal(side.said(), ["DISCONNECT 0x89"], "rejected when it is accepted");
    side.as_server().reject(now, ReasonCode::SERVER_BUSY);
    run.acting(ids).equal(side.said(), [""; 0], "rejected when it is over");

    for second in [
        ConnAck::accepted(false),
        ConnAck::accepted(true),
        ConnAck::refused(ReasonCode::SERVER_BUSY),
    ] {
        let mut side = Side::connected(CLIENT, V5);
        let said = side.answer(&Packet::ConnAck(second));
        run.acting(ids).equal(said, ["DISCONNECT 0x82"], "the client's part");
        run.acting(ids).equal(side.connacks.len(), 1, "the client's part");
        let reason = CloseReason::Violation(Violation::UnexpectedPacket(PacketType::ConnAck));
        run.acting(ids).equal(side.closed.as_ref(), Some(&reason), "the client's part");
    }
}

/// A broker that has no word for it closes, and there is no word beyond the six.
pub(crate) fn refusals_without_a_code(run: &mut Run) {
    let ids = &["v3.1.1 MQTT-3.2.2-6"];
    let mut side = Side::new(SERVER, V311);
    side.dial();
    let connect = side.connect_packet();
    let now = side.now;
    side.as_server().handle_packet(now, connect);
    side.disconnect(ReasonCode::UNSPECIFIED_ERROR);
    run.acting(ids).equal(side.said(), [""; 0], "closed before the verdict");
    run.acting(ids).holds(!side.as_server().wants_input(), "closed before the verdict");
    for code in (0..=255).map(ReasonCode::new) {
        let mut side = Side::new(SERVER, V311);
        side.refusal = Some(code);
        side.dial();
        let connect = side.connect_packet();
        side.as_server().handle_packet(now, connect);
        side.as_server().reject(now, code);
        let said = side.as_server().transmit().chunk().to_vec();
        // Success is no refusal.
        let expected = if code.is_error() || code.get() > 0 { 4 } else { 0 };
        run.acting(ids).equal(said.len(), expected, format!("{code}"));
        let known = matches!(said[..], [] | [0x20, 2, 0, 1..=5]);
        run.acting(ids).holds(known, format!("{code}: {said:02x?}"));
        let mut bytes = BytesMut::new();
        let encoded = Packet::<Bytes>::ConnAck(ConnAck::refused(code)).encode(V311, &mut bytes);
        let exists = code.connect_return_code().is_some();
        run.acting(ids).equal(encoded.is_ok(), exists, format!("{code} in 3.1.1"));
        let written: &[u8] = if exists { &bytes[..3] } else { &bytes };
        let expected: &[u8] = if exists { &[0x20, 2, 0] } else { &[] };
        run.acting(ids).equal(written, expected, format!("{code} in 3.1.1"));
    }
}
