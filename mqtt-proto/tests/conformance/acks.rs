//! What goes without saying: the short forms of PUBACK, PUBREC, PUBREL and PUBCOMP (section 3.4.2), of DISCONNECT
//! (3.14.2.1) and of AUTH (3.15.2.1).

use bytes::Bytes;
use conformance::Run;
use mqtt_proto::*;

use crate::{
    check,
    common::{ROLES, wire::frame},
};

/// Remaining lengths 2, 3 and 4 are one value where they say the same; the shortest is written.
pub(crate) fn short_forms(run: &mut Run) {
    let ids = &["v5 U5-3.4.2-1"];
    type Make = fn(Ack<Bytes>) -> Packet<Bytes>;
    let packets: [(u8, Make, ReasonCode); 4] = [
        (0x40, Packet::PubAck, ReasonCode::NO_MATCHING_SUBSCRIBERS),
        (0x50, Packet::PubRec, ReasonCode::NO_MATCHING_SUBSCRIBERS),
        (0x62, Packet::PubRel, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND),
        (0x70, Packet::PubComp, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND),
    ];
    for (first, make, code) in packets {
        let id = PacketId::new(0x1234).unwrap();
        let success = make(Ack::success(id));
        let other = make(Ack::new(id, code));
        let said = Properties::new([Property::ReasonString("r")]).unwrap();
        let said = make(Ack { properties: said, ..Ack::success(id) });
        let with = |rest: &[u8]| frame(first, &[&[0x12, 0x34], rest]);
        for from in ROLES {
            for rest in [&[][..], &[0], &[0, 0]] {
                check::decodes(run, ids, from, &with(rest), &success);
            }
            for rest in [&[code.get()][..], &[code.get(), 0]] {
                check::decodes(run, ids, from, &with(rest), &other);
            }
            check::decodes(run, ids, from, &with(&[0, 4, 0x1f, 0, 1, b'r']), &said);
        }
        check::encodes(run, ids, &success, &with(&[]));
        check::encodes(run, ids, &other, &with(&[code.get()]));
        check::encodes(run, ids, &said, &with(&[0, 4, 0x1f, 0, 1, b'r']));
    }
}

pub(crate) fn short_farewells(run: &mut Run) {
    let ids = &["v5 U5-3.14.2.1-1"];
    let normal = Packet::Disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
    let busy = Packet::Disconnect(Disconnect::new(ReasonCode::UNSPECIFIED_ERROR));
    for from in ROLES {
        for bytes in [&[0xe0, 0][..], &[0xe0, 1, 0], &[0xe0, 2, 0, 0]] {
            check::decodes(run, ids, from, bytes, &normal);
        }
        for bytes in [&[0xe0, 1, 0x80][..], &[0xe0, 2, 0x80, 0]] {
            check::decodes(run, ids, from, bytes, &busy);
        }
    }
    check::encodes(run, ids, &normal, &[0xe0, 0]);
    check::encodes(run, ids, &busy, &[0xe0, 1, 0x80]);

    let ids = &["v5 U5-3.15.2.1-1"];
    let properties = Properties::EMPTY;
    let success = Packet::Auth(Auth { reason: ReasonCode::SUCCESS, properties });
    for bytes in [&[0xf0, 0][..], &[0xf0, 1, 0], &[0xf0, 2, 0, 0]] {
        check::decodes(run, ids, Role::Server, bytes, &success);
    }
    // Success is a server's code, said or not.
    let kind = DecodeErrorKind::ReasonCode(0);
    check::refuses(run, ids, Role::Client, &[0xf0, 0], kind, check::MALFORMED);
    check::encodes(run, ids, &success, &[0xf0, 0]);
}
