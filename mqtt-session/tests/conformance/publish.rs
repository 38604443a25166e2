//! PUBLISH, section 3.3: what is answered, and what a client may not say.

use bytes::Bytes;
use conformance::Run;
use mqtt_session::{
    Outcome,
    proto::{Delivery, Packet, PacketType, Properties, Property, Publish, QoS, ReasonCode},
};

use crate::{
    common::{Q0, Q1, Q2, id, publication, publish},
    side::*,
};

pub(crate) const EVERY_QOS: [QoS; 3] = [Q0, Q1, Q2];

pub(crate) fn answers_by_qos(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-3.3.4-1"], &["v5 MQTT-3.3.4-1"]) {
        for role in ROLES {
            let mut side = Side::connected(role, version);
            for (qos, expected) in [(Q0, &[][..]), (Q1, &["PUBACK 7"]), (Q2, &["PUBREC 7"])] {
                let answer = side.answer(&publish(qos, 7, "x"));
                run.acting(ids).equal(answer, expected, side.which());
            }
            run.acting(ids).equal(side.heard(), ["x"; 3], side.which());
        }
    }
}

/// What is sent again says so, each time, and what is sent for the first time does not.
pub(crate) fn repetitions(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-3.3.1-1"], &["v5 MQTT-3.3.1-1"]) {
        for role in ROLES {
            let mut side = Side::connected(role, version);
            side.publish(Q1, "a");
            side.publish(Q2, "b");
            let dups = |side: &mut Side| -> Vec<bool> {
                let dup = |packet: &Packet<Bytes>| match packet {
                    Packet::Publish(publish) => publish.delivery.dup(),
                    other => panic!("{other:?}"),
                };
                side.packets().iter().map(dup).collect()
            };
            run.acting(ids).equal(dups(&mut side), [false, false], side.which());
            for _ in 0..3 {
                side.resume();
                run.acting(ids).equal(dups(&mut side), [true, true], side.which());
            }
            side.publish(Q1, "c");
            run.acting(ids).equal(dups(&mut side), [false], side.which());
        }
    }
}

pub(crate) fn subscription_identifiers(run: &mut Run) {
    let ids = &["v5 MQTT-3.3.4-6"];
    let identified = Properties::new([Property::SubscriptionIdentifier(1)]).expect("legal");
    for qos in EVERY_QOS {
        let message = publication(qos, "x").with_properties(identified.clone());
        for connected in [false, true] {
            let mut side = Side::new(CLIENT, V5);
            if connected {
                side.open();
            }
            let published = side.try_publish(message.clone());
            let what = format!("{qos:?}, connected {connected}: {published:?}");
            run.acting(ids).holds(published.is_err(), what);
            run.acting(ids).equal(side.open_exchanges(), 0, "refused");
            side.cut();
            side.open();
            run.acting(ids).equal(side.said(), [""; 0], "refused");
        }
        // A server may, and it is the client's to read.
        let mut side = Side::connected(SERVER, V5);
        run.acting(ids).holds(side.try_publish(message.clone()).is_ok(), "a server's");
        let delivery = Delivery::first(qos, id(1));
        let packet = Packet::Publish(Publish { delivery, retain: false, message: message.message });
        let mut side = Side::connected(CLIENT, V5);
        side.hear(&packet);
        run.acting(ids).equal(side.heard(), ["x"], "a server's");
        // A client may not.
        let mut side = Side::connected(SERVER, V5);
        // A property that is not to be there makes the packet malformed (section 2.2.2.2).
        run.acting(ids).equal(side.answer(&packet), ["DISCONNECT 0x81"], "a client's");
        run.acting(ids).equal(side.heard(), [""; 0], "a client's");
        run.acting(ids).holds(side.closed.is_some(), "a client's");
    }
}

pub(crate) fn no_topic(run: &mut Run) {
    let ids = &["v5 U5-3.3.2.1-1"];
    let rows: [&[u8]; 3] = [b"\x30\x04\0\0\0x", b"\x32\x06\0\0\0\x01\0x", b"\x34\x06\0\0\0\x01\0x"];
    for role in ROLES {
        for bytes in rows {
            let mut side = Side::connected(role, V5);
            side.hear_bytes(bytes);
            run.acting(ids).equal(side.said(), ["DISCONNECT 0x82"], side.which());
            run.acting(ids).equal(side.heard(), [""; 0], side.which());
            run.acting(ids).holds(side.closed.is_some(), side.which());
        }
    }
}

/// Looking into a payload is the application's; it has the word for what it finds, and its peer hears it.
pub(crate) fn payloads_that_are_no_text(run: &mut Run) {
    let ids = &["v5 U5-3.3.2.3.2-2"];
    let flagged = Properties::new([Property::PayloadFormatIndicator(true)]).expect("legal");
    for (qos, expected) in [(Q1, "PUBACK 7 0x99"), (Q2, "PUBREC 7 0x99")] {
        let mut message = publication(qos, "").message;
        (message.payload, message.properties) = (Bytes::from_static(&[0xff]), flagged.clone());
        let delivery = Delivery::first(qos, id(7));
        let packet = Packet::Publish(Publish { delivery, retain: false, message });
        for role in ROLES {
            let mut side = Side::undecided(role, V5);
            let what = format!("{} {qos:?}", side.which());
            side.verdict = Some(ReasonCode::PAYLOAD_FORMAT_INVALID);
            run.acting(ids).equal(side.answer(&packet), [expected], &what);
            // It arrives with its flag, so that it can be looked at.
            let publish = &side.delivered[0].message;
            let indicator = publish.properties.payload_format_indicator();
            run.acting(ids).equal(indicator, Some(true), &what);
            run.acting(ids).holds(side.is_open(), what);
        }

        let mut side = Side::connected(CLIENT, V5);
        let number = side.publish(qos, "x");
        let answer = if qos == Q1 { PacketType::PubAck } else { PacketType::PubRec };
        side.hear(&ack(answer, number, ReasonCode::PAYLOAD_FORMAT_INVALID));
        let outcome = Outcome::Acknowledged(ReasonCode::PAYLOAD_FORMAT_INVALID);
        run.acting(ids).equal(&side.finished[..], [(number, outcome)], format!("{qos:?}"));
    }
}
