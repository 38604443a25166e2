//! Reason codes: every one of the 256 in every packet that has one, from either side.

use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, Ids, MALFORMED},
    common::{
        ROLES,
        codes::{encoded, is_listed, value, wire},
    },
};

/// The statement about the codes of each packet of 5.0.
const PACKETS: [(&str, PacketType); 9] = [
    ("v5 MQTT-3.2.2-8", PacketType::ConnAck),
    ("v5 MQTT-3.4.2-1", PacketType::PubAck),
    ("v5 MQTT-3.5.2-1", PacketType::PubRec),
    ("v5 MQTT-3.6.2-1", PacketType::PubRel),
    ("v5 MQTT-3.7.2-1", PacketType::PubComp),
    ("v5 MQTT-3.9.3-2", PacketType::SubAck),
    ("v5 MQTT-3.11.3-2", PacketType::UnsubAck),
    ("v5 MQTT-3.14.2-1", PacketType::Disconnect),
    ("v5 MQTT-3.15.2-1", PacketType::Auth),
];

/// Who may send a packet is known to who reads it; who writes it may be either.
pub(crate) fn reason_codes(run: &mut Run) {
    for (id, packet) in PACKETS {
        let ids: Ids<'_> = &[id];
        for code in 0..=255 {
            let (bytes, reason) = (wire(packet, code), ReasonCode::new(code));
            let value = value(packet, reason);
            for from in ROLES.into_iter().filter(|&from| packet.may_be_sent_by(from)) {
                if is_listed(packet, code, from) {
                    check::decodes(run, ids, from, &bytes, &value);
                } else {
                    let kind = DecodeErrorKind::ReasonCode(code);
                    check::refuses(run, ids, from, &bytes, kind, MALFORMED);
                }
            }
            if ROLES.into_iter().any(|from| is_listed(packet, code, from)) {
                check::encodes(run, ids, &value, &encoded(packet, code));
            } else {
                check::does_not_encode(run, ids, &value, EncodeError::ReasonCode(reason));
            }
        }
    }
}

/// SUBACK of 3.1.1.
pub(crate) fn return_codes(run: &mut Run) {
    let ids = &["v3.1.1 MQTT-3.9.3-2"];
    for code in 0..=255 {
        let bytes = [0x90, 4, 0, 1, 0, code];
        let reasons = [ReasonCode::GRANTED_QOS_0, ReasonCode::new(code)];
        let (id, properties) = (PacketId::MIN, Properties::EMPTY);
        let codes = reasons.into_iter().collect();
        let value = Packet::SubAck(SubAck { id, properties, codes });
        if matches!(code, 0..=2 | 0x80) {
            check::both_ways(run, ids, Role::Server, &bytes, &value);
            continue;
        }
        let kind = DecodeErrorKind::ReasonCode(code);
        check::refuses(run, ids, Role::Server, &bytes, kind, MALFORMED);
        let error = if code > 0x80 {
            EncodeError::NotInV311("a SUBACK reason code above 0x80")
        } else {
            EncodeError::ReasonCode(ReasonCode::new(code))
        };
        check::does_not_encode(run, ids, &value, error);
    }
}
