//! SUBSCRIBE and UNSUBSCRIBE, sections 3.8 to 3.11: the broker decides, the session says it.

use bytes::Bytes;
use conformance::Run;
use mqtt_session::{
    CloseReason, CommandError, Outcome, Violation,
    proto::{
        Packet, PacketType, ProtocolVersion, ReasonCode, ReasonCodes, SubAck, Subscribe, UnsubAck,
        Unsubscribe,
    },
};

use crate::{
    common::{filters, id},
    side::*,
};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("a/{at}")).collect()
}

fn subscribe(number: u16, count: usize) -> Packet<Bytes> {
    let names = names(count);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    Packet::Subscribe(Subscribe::new(id(number), filters(&names)))
}

fn unsubscribe(number: u16, count: usize) -> Packet<Bytes> {
    let names = names(count);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    Packet::Unsubscribe(Unsubscribe::new(id(number), no_more(&names)))
}

/// The request that came, answered with these codes; what the client is told.
fn decide(side: &mut Side, codes: &[ReasonCode]) -> Result<Packet<Bytes>, CommandError> {
    let request = side.requests.pop().ok_or(CommandError::NothingToAnswer)?;
    let now = side.now;
    match request {
        Packet::Subscribe(subscribe) => {
            side.as_server().suback(now, subscribe.id, codes.iter().copied())?;
        }
        Packet::Unsubscribe(unsubscribe) => {
            side.as_server().unsuback(now, unsubscribe.id, codes.iter().copied())?;
        }
        other => panic!("{other:?} is no request"),
    }
    let mut said = side.packets();
    assert_eq!(said.len(), 1, "{said:?}");
    Ok(said.remove(0))
}

fn suback(number: u16, codes: &[ReasonCode]) -> Packet<Bytes> {
    Packet::SubAck(SubAck::new(id(number), ReasonCodes::from_iter(codes.iter().copied())))
}

fn unsuback(number: u16, codes: &[ReasonCode]) -> Packet<Bytes> {
    Packet::UnsubAck(UnsubAck::new(id(number), ReasonCodes::from_iter(codes.iter().copied())))
}

/// Granted or refused, known or not: each reaches the broker, and its answer the client, with its identifier.
pub(crate) fn every_request_is_answered(run: &mut Run) {
    let of_subscribe = by_version(
        &["v3.1.1 MQTT-3.8.4-1", "v3.1.1 MQTT-3.8.4-2"],
        &["v5 MQTT-3.8.4-1", "v5 MQTT-3.8.4-2"],
    );
    for (version, ids) in of_subscribe {
        let mut side = Side::connected(SERVER, version);
        for number in [1, 0xabcd, 1, u16::MAX] {
            for code in [ReasonCode::SUCCESS, ReasonCode::UNSPECIFIED_ERROR] {
                side.hear(&subscribe(number, 1));
                run.acting(ids).equal(side.requests.len(), 1, version);
                let answer = decide(&mut side, &[code]);
                run.acting(ids).equal(answer, Ok(suback(number, &[code])), version);
            }
        }
        run.acting(ids).holds(side.is_open(), version);
    }
    let of_unsubscribe = by_version(&["v3.1.1 MQTT-3.10.4-4"], &["v5 MQTT-3.10.4-4"]);
    for (version, ids) in of_unsubscribe {
        let mut side = Side::connected(SERVER, version);
        for number in [1, 0xabcd, 1, u16::MAX] {
            for code in [ReasonCode::SUCCESS, ReasonCode::NO_SUBSCRIPTION_EXISTED] {
                side.hear(&unsubscribe(number, 1));
                run.acting(ids).equal(side.requests.len(), 1, version);
                let answer = decide(&mut side, &[code]);
                // 3.1.1 has no codes there.
                let codes = if version == V5 { &[code][..] } else { &[] };
                run.acting(ids).equal(answer, Ok(unsuback(number, codes)), version);
            }
        }
        run.acting(ids).holds(side.is_open(), version);
    }
}

/// As many codes as filters, each in the place of its filter.
pub(crate) fn codes_in_order(run: &mut Run) {
    let granted = [ReasonCode::GRANTED_QOS_0, ReasonCode::new(1), ReasonCode::new(2)];
    let subscribing: Vec<_> = granted.into_iter().chain([ReasonCode::UNSPECIFIED_ERROR]).collect();
    let rows = by_version(&["v3.1.1 MQTT-3.9.3-1"], &["v5 MQTT-3.9.3-1", "v5 MQTT-3.8.4-6"]);
    for (version, ids) in rows {
        for count in [1, 2, 3, 4, 100, 1000] {
            let codes: Vec<_> = (0..count).map(|at| subscribing[at * at % 7 % 4]).collect();
            let mut side = Side::connected(SERVER, version);
            side.hear(&subscribe(7, count));
            let Some(Packet::Subscribe(request)) = side.requests.last() else {
                panic!("no SUBSCRIBE came")
            };
            let came: Vec<_> =
                request.filters.iter().map(|(filter, _)| filter.to_string()).collect();
            run.acting(ids).equal(came, names(count), version);
            let answer = decide(&mut side, &codes);
            run.acting(ids).equal(answer, Ok(suback(7, &codes)), format!("{version}, {count}"));
        }
    }
    // What 3.1.1 has no word for is a failure in its place.
    let ids = &["v3.1.1 MQTT-3.9.3-1"];
    let mut side = Side::connected(SERVER, V311);
    side.hear(&subscribe(7, 3));
    let codes = [ReasonCode::QUOTA_EXCEEDED, ReasonCode::new(1), ReasonCode::NOT_AUTHORIZED];
    let (failure, granted) = (ReasonCode::UNSPECIFIED_ERROR, ReasonCode::new(1));
    let expected = suback(7, &[failure, granted, failure]);
    run.acting(ids).equal(decide(&mut side, &codes), Ok(expected), "failures");

    let ids = &["v5 MQTT-3.11.3-1"];
    let (known, unknown) = (ReasonCode::SUCCESS, ReasonCode::NO_SUBSCRIPTION_EXISTED);
    for codes in [&[known, unknown, known][..], &[unknown], &[unknown, known], &[known; 500]] {
        let mut side = Side::connected(SERVER, V5);
        side.hear(&unsubscribe(7, codes.len()));
        let answer = decide(&mut side, codes);
        run.acting(ids).equal(answer, Ok(unsuback(7, codes)), codes.len());
    }
    numbers_of_codes(run);
}

/// The client's part: the codes reach the application as they are, and only as many as it asked about.
fn numbers_of_codes(run: &mut Run) {
    let check = |run: &mut Run, ids: Ids<'_>, version: ProtocolVersion, subscribes, codes| {
        let codes = [ReasonCode::SUCCESS, ReasonCode::new(if subscribes { 1 } else { 0x11 })]
            .into_iter()
            .cycle()
            .take(codes)
            .collect::<Vec<_>>();
        let mut side = Side::connected(CLIENT, version);
        let asked = ["a", "b", "c"];
        let (number, answer) = if subscribes {
            let number = side.subscribe(&asked).expect("room");
            (number, suback(number, &codes))
        } else {
            let number = side.unsubscribe(&asked).expect("room");
            (number, unsuback(number, &codes))
        };
        side.said();
        let what = format!("{version}: {} codes for 3 filters", codes.len());
        let said = side.answer(&answer);
        let expected = if version == V311 && !subscribes { 0 } else { asked.len() };
        if codes.len() == expected {
            run.acting(ids).equal(&side.requests[..], [answer], &what);
            run.acting(ids).holds(side.is_open() && said.is_empty(), &what);
            return;
        }
        let packet = if subscribes { PacketType::SubAck } else { PacketType::UnsubAck };
        let violation = Violation::WrongNumberOfCodes { packet, id: id(number) };
        run.acting(ids).equal(
            side.closed.as_ref(),
            Some(&CloseReason::Violation(violation)),
            &what,
        );
        run.acting(ids).equal(&side.requests[..], [], &what);
        run.acting(ids).equal(&side.finished[..], [(number, Outcome::Lost)], &what);
        let goodbye: &[&str] = if version == V5 { &["DISCONNECT 0x82"] } else { &[] };
        run.acting(ids).equal(said, goodbye, &what);
    };
    for count in 1..6 {
        check(run, &["v5 MQTT-3.8.4-6", "v5 MQTT-3.9.3-1"], V5, true, count);
        check(run, &["v3.1.1 MQTT-3.9.3-1"], V311, true, count);
        check(run, &["v5 MQTT-3.11.3-1"], V5, false, count);
    }
    check(run, &["v3.1.1 MQTT-3.10.4-4"], V311, false, 0);
}
