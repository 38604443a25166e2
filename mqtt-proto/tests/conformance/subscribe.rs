//! SUBSCRIBE and UNSUBSCRIBE, sections 3.8 and 3.10.

use bytes::Bytes;
use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, Ids, MALFORMED, PROTOCOL},
    common::wire::{behind_u16, frame, unhex},
    samples::{filter, subscribe, unsubscribe},
};

const CLIENT: Role = Role::Client;

/// At least one.
pub(crate) fn no_filter(run: &mut Run) {
    let subscribing: [(Ids<'_>, &[&str]); 2] = [
        (&["v5 MQTT-3.8.3-2", "v5 U5-3.8.3-1"], &["8203 0001 00", "8205 0001 02 0b07"]),
        (&["v3.1.1 MQTT-3.8.3-3"], &["8202 0001"]),
    ];
    let unsubscribing: [(Ids<'_>, &[&str]); 2] = [
        (
            &["v5 MQTT-3.10.3-2", "v5 U5-3.10.3-1"],
            &["a203 0001 00", "a20a 0001 07 26 0001 6e 0001 76"],
        ),
        (&["v3.1.1 MQTT-3.10.3-2"], &["a202 0001"]),
    ];
    for (ids, packets) in subscribing.into_iter().chain(unsubscribing) {
        for hex in packets {
            let kind = DecodeErrorKind::NoTopicFilter;
            check::refuses(run, ids, CLIENT, &unhex(hex), kind, PROTOCOL);
        }
    }
    for (ids, _) in subscribing {
        let none: [(TopicFilter<Bytes>, QoS); 0] = [];
        let made = SubscribeFilters::new(none).map(|_| ());
        run.encoding(ids).equal(made, Err(EncodeError::NoTopicFilter), "no filter");
        let one = Packet::Subscribe(subscribe([("a", QoS::AtMostOnce.into())]));
        check::encodes(run, ids, &one, &a_subscribe(ids, b"\0\x01a\0"));
    }
    for (ids, _) in unsubscribing {
        let none: [TopicFilter<Bytes>; 0] = [];
        let made = UnsubscribeFilters::new(none).map(|_| ());
        run.encoding(ids).equal(made, Err(EncodeError::NoTopicFilter), "no filter");
        let one = Packet::Unsubscribe(unsubscribe(["a"]));
        check::encodes(run, ids, &one, &an_unsubscribe(ids, b"\0\x01a"));
    }
}

fn empty_list(ids: Ids<'_>) -> &'static [u8] {
    if check::version(ids) == ProtocolVersion::V5 { &[0] } else { &[] }
}

fn a_subscribe(ids: Ids<'_>, payload: &[u8]) -> Vec<u8> {
    frame(0x82, &[&[0, 1], empty_list(ids), payload])
}

fn an_unsubscribe(ids: Ids<'_>, payload: &[u8]) -> Vec<u8> {
    frame(0xa2, &[&[0, 1], empty_list(ids), payload])
}

/// The options that a byte stands for in 5.0, or the statement it breaks and how it is refused.
fn options_of(byte: u8) -> Result<SubscriptionOptions, (&'static str, DecodeErrorKind, u8)> {
    let qos = [Some(QoS::AtMostOnce), Some(QoS::AtLeastOnce), Some(QoS::ExactlyOnce), None];
    let handling = [
        Some(RetainHandling::Send),
        Some(RetainHandling::SendIfNew),
        Some(RetainHandling::DoNotSend),
        None,
    ];
    let retain_handling = handling[usize::from(byte >> 4 & 3)];
    match (byte >> 6, qos[usize::from(byte & 3)], retain_handling) {
        (0, Some(qos), Some(retain_handling)) => Ok(SubscriptionOptions {
            qos,
            no_local: byte & 4 != 0,
            retain_as_published: byte & 8 != 0,
            retain_handling,
        }),
        (0, None, _) => Err(("v5 U5-3.8.3.1-1", DecodeErrorKind::RequestedQoS3, PROTOCOL)),
        (0, _, None) => Err(("v5 U5-3.8.3.1-2", DecodeErrorKind::RetainHandling, PROTOCOL)),
        _ => Err(("v5 MQTT-3.8.3-5", DecodeErrorKind::SubscriptionOptions, MALFORMED)),
    }
}

/// All 256 bytes behind a filter, the first of two and the second.
pub(crate) fn all_options(run: &mut Run) {
    let ids = ["v5 MQTT-3.8.3-5", "v5 U5-3.8.3.1-1", "v5 U5-3.8.3.1-2"];
    for byte in 0..=255 {
        let list = |[one, two]: [u8; 2]| a_subscribe(&ids, &[0, 1, b'a', one, 0, 1, b'b', two]);
        let made = SubscriptionOptions::from_byte(byte, ProtocolVersion::V5);
        match options_of(byte) {
            Ok(options) => {
                let subscribe = subscribe([("a", options), ("b", QoS::ExactlyOnce.into())]);
                let packet = Packet::Subscribe(subscribe);
                check::both_ways(run, &ids, CLIENT, &list([byte, 2]), &packet);
                run.encoding(&ids).equal(options.to_byte(), byte, "what is written");
                run.encoding(&ids).equal(made, Ok(options), byte);
            }
            Err((id, kind, code)) => {
                check::refuses(run, &[id], CLIENT, &list([byte, 0]), kind, code);
                check::refuses(run, &[id], CLIENT, &list([0, byte]), kind, code);
                // No other way leads to options with these bits.
                run.encoding(&[id]).equal(made, Err(kind), byte);
            }
        }
    }
    let ids = ["v3.1.1 MQTT-3.8.3-4"];
    for byte in 0..=255 {
        let bytes = a_subscribe(&ids, &[0, 1, b'b', 1, 0, 1, b'a', byte]);
        let packet = |options: SubscriptionOptions| {
            Packet::Subscribe(subscribe([("b", QoS::AtLeastOnce.into()), ("a", options)]))
        };
        match (byte, options_of(byte)) {
            (0..=2, Ok(options)) => {
                check::both_ways(run, &ids, CLIENT, &bytes, &packet(options));
                continue;
            }
            (_, Ok(options)) => {
                let error = EncodeError::NotInV311("a subscription option beside the QoS");
                check::does_not_encode(run, &ids, &packet(options), error);
            }
            // There are no options with these bits.
            (_, Err(_)) => {}
        }
        let kind = match byte {
            3 => DecodeErrorKind::RequestedQoS3,
            _ => DecodeErrorKind::SubscriptionOptions,
        };
        check::refuses(run, &ids, CLIENT, &bytes, kind, PROTOCOL);
        let made = SubscriptionOptions::from_byte(byte, ProtocolVersion::V311);
        run.encoding(&ids).equal(made, Err(kind), byte);
    }
}

/// No Local is for filters that are not shared.
pub(crate) fn no_local_of_a_share(run: &mut Run) {
    let ids = &["v5 MQTT-3.8.3-4"];
    let no_local = |no_local| SubscriptionOptions { no_local, ..QoS::AtMostOnce.into() };
    for (text, is_shared) in
        [("$share/g/a", true), ("$share/g/#", true), ("$share", false), ("share/g/a", false)]
    {
        let payload = |byte| [behind_u16(text.as_bytes()), vec![byte]].concat();
        let plain = Packet::Subscribe(subscribe([(text, no_local(false))]));
        check::both_ways(run, ids, CLIENT, &a_subscribe(ids, &payload(0)), &plain);
        let bytes = a_subscribe(ids, &payload(4));
        if is_shared {
            check::refuses(run, ids, CLIENT, &bytes, DecodeErrorKind::NoLocalShared, PROTOCOL);
            let made = SubscribeFilters::new([(filter(text), no_local(true))]).map(|_| ());
            run.encoding(ids).equal(made, Err(EncodeError::NoLocalShared), text);
            let second = [(filter("a"), no_local(true)), (filter(text), no_local(true))];
            let made = SubscribeFilters::new(second).map(|_| ());
            run.encoding(ids).equal(made, Err(EncodeError::NoLocalShared), text);
        } else {
            let packet = Packet::Subscribe(subscribe([(text, no_local(true))]));
            check::both_ways(run, ids, CLIENT, &bytes, &packet);
        }
    }
}

/// Filter after filter, without anything between or behind them.
pub(crate) fn filters_cut_anywhere(run: &mut Run) {
    let subscribing = [["v5 MQTT-3.8.3-1"], ["v3.1.1 MQTT-3.8.3-1"]];
    let unsubscribing = [["v5 MQTT-3.10.3-1"], ["v3.1.1 MQTT-3.10.3-1"]];
    for ids in subscribing {
        let payload = b"\0\x03a/b\x01\0\x01+\x02";
        let two = [("a/b", QoS::AtLeastOnce.into()), ("+", QoS::ExactlyOnce.into())];
        let whole = a_subscribe(&ids, payload);
        check::both_ways(run, &ids, CLIENT, &whole, &Packet::Subscribe(subscribe(two)));
        for len in (1..payload.len()).filter(|&len| len != 6) {
            let cut = a_subscribe(&ids, &payload[..len]);
            check::refuses(run, &ids, CLIENT, &cut, DecodeErrorKind::UnexpectedEnd, MALFORMED);
        }
    }
    for ids in unsubscribing {
        let payload = b"\0\x03a/b\0\x01+";
        let whole = an_unsubscribe(&ids, payload);
        let packet = Packet::Unsubscribe(unsubscribe(["a/b", "+"]));
        check::both_ways(run, &ids, CLIENT, &whole, &packet);
        for len in (1..payload.len()).filter(|&len| len != 5) {
            let cut = an_unsubscribe(&ids, &payload[..len]);
            check::refuses(run, &ids, CLIENT, &cut, DecodeErrorKind::UnexpectedEnd, MALFORMED);
        }
    }
}
