//! CONNACK, section 3.2.

use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, MALFORMED},
    common::codes::{is_listed, value},
};

const SERVER: Role = Role::Server;

fn connack(session_present: bool, reason: ReasonCode) -> Packet<bytes::Bytes> {
    match value(PacketType::ConnAck, reason) {
        Packet::ConnAck(connack) => Packet::ConnAck(ConnAck { session_present, ..connack }),
        other => panic!("{other:?}"),
    }
}

/// All 256: 0 and 1 are legal, and nothing else is written.
pub(crate) fn acknowledge_flags(run: &mut Run) {
    let ids = &["v5 MQTT-3.2.2-1"];
    for flags in 0..=255 {
        let bytes = [0x20, 3, flags, 0, 0];
        if flags < 2 {
            check::both_ways(run, ids, SERVER, &bytes, &connack(flags == 1, ReasonCode::SUCCESS));
        } else {
            check::refuses(run, ids, SERVER, &bytes, DecodeErrorKind::ConnAckFlags, MALFORMED);
        }
    }
}

/// Session Present is 0 with every code but success.
pub(crate) fn sessions_in_refusals(run: &mut Run) {
    let kind = DecodeErrorKind::SessionPresentInRefusal;
    let error = EncodeError::SessionPresentInRefusal;
    let ids = &["v5 MQTT-3.2.2-6"];
    for code in (1..=255).filter(|&code| is_listed(PacketType::ConnAck, code, SERVER)) {
        let reason = ReasonCode::new(code);
        check::both_ways(run, ids, SERVER, &[0x20, 3, 0, code, 0], &connack(false, reason));
        check::refuses(run, ids, SERVER, &[0x20, 3, 1, code, 0], kind, MALFORMED);
        check::does_not_encode(run, ids, &connack(true, reason), error);
    }
    let ids = &["v3.1.1 MQTT-3.2.2-4"];
    for code in 1..=5 {
        let reason = ReasonCode::from_connect_return_code(code).unwrap();
        check::both_ways(run, ids, SERVER, &[0x20, 2, 0, code], &connack(false, reason));
        check::refuses(run, ids, SERVER, &[0x20, 2, 1, code], kind, MALFORMED);
        check::does_not_encode(run, ids, &connack(true, reason), error);
    }
    let accepted = connack(true, ReasonCode::SUCCESS);
    check::both_ways(run, ids, SERVER, &[0x20, 2, 1, 0], &accepted);
    check::both_ways(run, &["v5 MQTT-3.2.2-6"], SERVER, &[0x20, 3, 1, 0, 0], &accepted);
}
