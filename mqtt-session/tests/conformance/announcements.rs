//! What a server says in CONNACK that it does not offer, sections 3.2.2.3.4 to 3.2.2.3.16, and where it sends its
//! clients.

use bytes::Bytes;
use conformance::Run;
use mqtt_session::{
    CloseReason, PublishError, Violation,
    proto::{ConnAck, Disconnect, Packet, Properties, Property, QoS, ReasonCode, Str},
};

use crate::{
    common::{Q0, Q1, Q2, publication, publish},
    publish::EVERY_QOS,
    side::*,
};

fn server(maximum_qos: QoS, retain_available: bool) -> Side {
    let mut side = Side::new(SERVER, V5);
    (side.config.maximum_qos, side.config.retain_available) = (maximum_qos, retain_available);
    side
}

fn retained(qos: QoS) -> Packet<Bytes> {
    let Packet::Publish(mut publish) = publish(qos, 7, "x") else { unreachable!() };
    publish.retain = true;
    Packet::Publish(publish)
}

pub(crate) fn maximum_qos(run: &mut Run) {
    let ids = &["v5 MQTT-3.2.2-9"];
    for (maximum, expected) in [(Q0, Some(false)), (Q1, Some(true)), (Q2, None)] {
        let side = server(maximum, true).opened();
        let said = side.greeting.as_ref().and_then(|connack| connack.properties());
        let said = said.expect("CONNACK").maximum_qos();
        run.acting(ids).equal(said, expected, format!("{maximum:?}"));
    }
    let ids = &["v5 U5-3.2.2.3.4-2"];
    for maximum in EVERY_QOS {
        for qos in EVERY_QOS {
            let what = format!("{qos:?} of {maximum:?}");
            let mut side = server(maximum, true).opened();
            let said = side.answer(&publish(qos, 7, "x"));
            let taken = qos <= maximum;
            run.acting(ids).equal(side.heard().len(), usize::from(taken), &what);
            run.acting(ids).equal(side.is_open(), taken, &what);
            if !taken {
                run.acting(ids).equal(said, ["DISCONNECT 0x9b"], &what);
                let reason = CloseReason::Violation(Violation::QoSNotSupported(maximum));
                run.acting(ids).equal(side.closed.as_ref(), Some(&reason), &what);
            }
            // The client's part: it does not try.
            let peer: Vec<_> = match maximum {
                Q2 => Vec::new(),
                _ => vec![Property::MaximumQoS(maximum == Q1)],
            };
            let mut side = Side::new(CLIENT, V5).told(&peer).opened();
            let published = side.try_publish(publication(qos, "x"));
            let refused = Err(PublishError::QoSNotSupported(maximum));
            run.acting(ids).holds(published.is_ok() == taken, &what);
            run.acting(ids).holds(taken || published == refused, &what);
            run.acting(ids).equal(side.packets().len(), usize::from(taken), what);
        }
    }
}

pub(crate) fn retain_available(run: &mut Run) {
    let ids = &["v5 U5-3.2.2.3.5-2"];
    for available in [true, false] {
        for qos in EVERY_QOS {
            let what = format!("{qos:?}, available {available}");
            let mut side = server(Q2, available).opened();
            let said = side.greeting.as_ref().and_then(|connack| connack.properties());
            let said = said.expect("CONNACK").retain_available();
            run.acting(ids).equal(said, (!available).then_some(false), &what);
            side.hear(&publish(qos, 6, "not retained"));
            run.acting(ids).equal(side.heard(), ["not retained"], &what);
            let said = side.answer(&retained(qos));
            run.acting(ids).equal(side.heard().len(), usize::from(available), &what);
            run.acting(ids).equal(side.is_open(), available, &what);
            if !available {
                run.acting(ids).equal(said, ["DISCONNECT 0x9a"], &what);
                let reason = CloseReason::Violation(Violation::RetainNotSupported);
                run.acting(ids).equal(side.closed.as_ref(), Some(&reason), &what);
            }
            let peer: Vec<_> =
                (!available).then_some(Property::RetainAvailable(false)).into_iter().collect();
            let mut side = Side::new(CLIENT, V5).told(&peer).opened();
            let published = side.try_publish(publication(qos, "x").with_retain(true));
            run.acting(ids).equal(published.is_ok(), available, &what);
            run.acting(ids).equal(side.packets().len(), usize::from(available), what);
        }
    }
}

/// Said to a client that asked with 1, and to nobody else.
pub(crate) fn response_information(run: &mut Run) {
    let ids = &["v5 MQTT-3.1.2-28"];
    let rows: [(&[Property<'static>], bool); 3] = [
        (&[], false),
        (&[Property::RequestResponseInformation(false)], false),
        (&[Property::RequestResponseInformation(true)], true),
    ];
    for (asked, expected) in rows {
        for given in [None, Some("prefix")] {
            let mut side = Side::new(SERVER, V5).told(asked);
            side.accept.response_information =
                given.map(|given| Str::try_from(given).expect("a string"));
            let side = side.opened();
            let said = side.greeting.as_ref().and_then(|connack| connack.properties());
            let said = said.and_then(|properties| properties.response_information());
            run.acting(ids).equal(said, given.filter(|_| expected), format!("{asked:?}"));
        }
    }
}

/// Another server, in CONNACK and in DISCONNECT: the client's application hears of it.
pub(crate) fn other_servers(run: &mut Run) {
    let ids = &["v5 U5-4.11-1"];
    let elsewhere = Properties::new([Property::ServerReference("other:1883")]).expect("legal");
    for code in [ReasonCode::USE_ANOTHER_SERVER, ReasonCode::SERVER_MOVED] {
        for properties in [Properties::EMPTY, elsewhere.clone()] {
            let expected = properties.server_reference();
            let mut side = Side::new(CLIENT, V5);
            side.dial();
            let refusal = ConnAck::refused(code).with_properties(properties.clone());
            side.hear(&Packet::ConnAck(refusal));
            let reason = CloseReason::Refused(code);
            run.acting(ids).equal(side.closed.as_ref(), Some(&reason), "CONNACK");
            let told = side.refused.as_ref();
            let told = told.map(|refused| (refused.reason, refused.properties.server_reference()));
            run.acting(ids).equal(told, Some((code, expected)), "CONNACK");

            let mut side = Side::connected(CLIENT, V5);
            let goodbye = Disconnect::new(code).with_properties(properties.clone());
            side.hear(&Packet::Disconnect(goodbye));
            let reason = CloseReason::Disconnected(code);
            run.acting(ids).equal(side.closed.as_ref(), Some(&reason), "DISCONNECT");
            let told = side.dismissed.as_ref();
            let told = told.map(|goodbye| (goodbye.reason, goodbye.properties.server_reference()));
            run.acting(ids).equal(told, Some((code, expected)), "DISCONNECT");
            run.acting(ids).equal(side.said(), [""; 0], "nothing is said to it");
        }
        // The server's part: it has both words.
        let mut side = Side::new(SERVER, V5);
        side.refusal = Some(code);
        side.open();
        let said = side.greeting.as_ref().map(crate::common::describe);
        let expected = format!("CONNACK {:#04x}", code.get());
        run.acting(ids).equal(said, Some(expected), "a server's CONNACK");
        let mut side = Side::connected(SERVER, V5);
        side.disconnect(code);
        let expected = format!("DISCONNECT {:#04x}", code.get());
        run.acting(ids).equal(side.said(), [expected], "a server's DISCONNECT");
    }
}
