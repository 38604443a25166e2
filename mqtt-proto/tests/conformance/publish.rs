//! PUBLISH, section 3.3; its flags are with the other fixed headers, its properties with the other lists.

use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, Ids, MALFORMED},
    common::{
        ROLES,
        wire::{frame, unhex},
    },
    samples::publish,
};

/// The topic name first, then what the QoS and the version ask for, then the payload.
pub(crate) fn golden_bytes(run: &mut Run) {
    let id = PacketId::new(10).unwrap();
    let delivery = Delivery::AtLeastOnce { id, dup: false };
    let publish = Packet::Publish(Publish { delivery, ..publish("a/b", "hi") });
    for from in ROLES {
        let bytes = unhex("3209 0003 612f62 000a 6869");
        check::both_ways(run, &["v3.1.1 MQTT-3.3.2-1"], from, &bytes, &publish);
        let bytes = unhex("320a 0003 612f62 000a 00 6869");
        check::both_ways(run, &["v5 MQTT-3.3.2-1"], from, &bytes, &publish);
    }
}

/// The topic name is there, all of it.
pub(crate) fn topics_cut_anywhere(run: &mut Run) {
    for ids in [["v3.1.1 MQTT-3.3.2-1"], ["v5 MQTT-3.3.2-1"]] {
        for len in 0..5 {
            let cut = frame(0x30, &[&b"\0\x03a/b"[..len]]);
            for from in ROLES {
                let kind = DecodeErrorKind::UnexpectedEnd;
                check::refuses(run, &ids, from, &cut, kind, MALFORMED);
            }
        }
    }
}

/// At QoS 0 there is none: what follows the topic name is the property list, or the payload in 3.1.1.
pub(crate) fn packet_identifiers(run: &mut Run) {
    let rows: [(Ids<'_>, &str, &str); 4] = [
        (&["v5 MQTT-2.2.1-2"], "3006 0001 61 00 000a", "\0\n"),
        (&["v5 MQTT-2.2.1-2"], "3004 0001 61 00", ""),
        (&["v3.1.1 MQTT-2.3.1-5"], "3005 0001 61 000a", "\0\n"),
        (&["v3.1.1 MQTT-2.3.1-5"], "3003 0001 61", ""),
    ];
    for (ids, hex, payload) in rows {
        let packet = Packet::Publish(publish("a", payload));
        for from in ROLES {
            check::both_ways(run, ids, from, &unhex(hex), &packet);
        }
        // The type of the value has no place for one.
        run.encoding(ids).equal(Delivery::AtMostOnce.id(), None, "identifier of QoS 0");
    }
}
