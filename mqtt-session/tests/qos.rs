//! Section 4.3: the exchanges of QoS 0, 1 and 2, packet by packet.

mod common;

use bytes::Bytes;
use common::{
    Pair, Q0, Q1, Q2, VERSIONS, id,
    lone::{Setup, sides},
};
use mqtt_session::{
    CloseReason, Outcome, Violation,
    proto::{
        Ack, Delivery, Message, Packet, PacketType, Properties, ProtocolVersion, Publish, QoS,
        ReasonCode, Role, SubAck, TopicName,
    },
    qos::transition::SendState,
};

/// The same trace seen from the other end.
fn turned(trace: &[&str]) -> Vec<String> {
    let turn = |line: &&str| match line.split_at(1) {
        (">", rest) => format!("<{rest}"),
        (_, rest) => format!(">{rest}"),
    };
    trace.iter().map(turn).collect()
}

#[test]
fn each_qos_has_its_packets_and_no_others() {
    fn check(qos: QoS, expected: &[&str]) {
        for version in VERSIONS {
            let mut pair = Pair::connected(version);
            let id = pair.publish_up(qos, "x");
            pair.run();
            assert_eq!(pair.trace, expected, "{version} up");
            assert_eq!(pair.at_server, ["x"]);
            let finished: &[_] = match qos {
                Q0 => &[],
                _ => &[(id, Outcome::Acknowledged(ReasonCode::SUCCESS))],
            };
            assert_eq!(pair.client_finished, finished);

            pair.trace.clear();
            pair.publish_down(qos, "x");
            pair.run();
            assert_eq!(pair.trace, turned(expected), "{version} down");
            assert_eq!(pair.at_client, ["x"]);
            assert_eq!(pair.server_finished, finished);
            assert!(pair.at_rest());
        }
    }
    check(Q0, &["> PUBLISH q0 x"]);
    check(Q1, &["> PUBLISH 1 q1 x", "< PUBACK 1"]);
    check(Q2, &["> PUBLISH 1 q2 x", "< PUBREC 1", "> PUBREL 1", "< PUBCOMP 1"]);
}

#[test]
fn a_refusal_ends_the_exchange_and_no_pubrel_follows() {
    // [MQTT-4.3.3-4]
    fn check(qos: QoS, code: ReasonCode, expected: &[&str]) {
        let mut pair = Pair::connected(ProtocolVersion::V5);
        pair.verdict = code;
        let quota = pair.client.send_quota();
        pair.publish_up(qos, "x");
        assert_eq!(pair.client.send_quota(), quota - 1);
        pair.run();
        assert_eq!(pair.trace, expected);
        assert_eq!(pair.client_finished, [(1, Outcome::Acknowledged(code))]);
        assert!(pair.at_rest());
        assert_eq!(pair.client.send_quota(), quota);
    }
    check(Q1, ReasonCode::NOT_AUTHORIZED, &["> PUBLISH 1 q1 x", "< PUBACK 1 0x87"]);
    check(Q2, ReasonCode::NOT_AUTHORIZED, &["> PUBLISH 1 q2 x", "< PUBREC 1 0x87"]);
    check(Q2, ReasonCode::QUOTA_EXCEEDED, &["> PUBLISH 1 q2 x", "< PUBREC 1 0x97"]);
}

#[test]
fn in_3_1_1_a_refused_message_is_acknowledged_and_held_like_any_other() {
    let mut pair = Pair::connected(ProtocolVersion::V311);
    pair.verdict = ReasonCode::NOT_AUTHORIZED;
    pair.publish_up(Q2, "x");
    pair.run();
    assert_eq!(pair.trace, ["> PUBLISH 1 q2 x", "< PUBREC 1", "> PUBREL 1", "< PUBCOMP 1"]);
}

#[test]
fn a_code_that_no_acknowledgement_may_carry_is_sent_as_one_that_it_may() {
    let mut pair = Pair::connected(ProtocolVersion::V5);
    pair.verdict = ReasonCode::SERVER_BUSY;
    pair.publish_up(Q1, "x");
    pair.run();
    assert_eq!(pair.trace, ["> PUBLISH 1 q1 x", "< PUBACK 1 0x80"]);
}

#[test]
fn no_matching_subscribers_is_not_an_error() {
    let mut pair = Pair::connected(ProtocolVersion::V5);
    pair.verdict = ReasonCode::NO_MATCHING_SUBSCRIBERS;
    pair.publish_up(Q2, "x");
    pair.run();
    assert_eq!(pair.trace, ["> PUBLISH 1 q2 x", "< PUBREC 1 0x10", "> PUBREL 1", "< PUBCOMP 1"]);
    assert!(pair.at_rest());
}

/// One of the four, for identifier 1.
fn ack(packet: PacketType, code: ReasonCode) -> Packet<Bytes> {
    let ack = Ack::new(id(1), code);
    match packet {
        PacketType::PubAck => Packet::PubAck(ack),
        PacketType::PubRec => Packet::PubRec(ack),
        PacketType::PubRel => Packet::PubRel(ack),
        _ => Packet::PubComp(ack),
    }
}

/// What an acknowledgement does in each state of identifier 1, in both roles; the table of section
/// 4.3 and the decisions A12 to A14.
#[test]
fn every_acknowledgement_in_every_state_of_its_identifier() {
    const ACKS: [PacketType; 4] =
        [PacketType::PubAck, PacketType::PubRec, PacketType::PubRel, PacketType::PubComp];
    let table = [
        (None, ["", "PUBREL 1 0x92", "PUBCOMP 1 0x92", ""]),
        (Some(SendState::AwaitPubAck), ["finished", "violation", "PUBCOMP 1 0x92", "violation"]),
        (Some(SendState::AwaitPubRec), ["violation", "PUBREL 1", "PUBCOMP 1 0x92", "violation"]),
        (Some(SendState::AwaitPubComp), ["violation", "PUBREL 1", "PUBCOMP 1 0x92", "finished"]),
    ];
    for version in VERSIONS {
        for (state, row) in table {
            for (packet, expected) in ACKS.into_iter().zip(row) {
                let expected = match version {
                    ProtocolVersion::V311 => expected.trim_end_matches(" 0x92"),
                    ProtocolVersion::V5 => expected,
                };
                let told = format!("{version}: {} in {state:?}", packet.name());
                assert_eq!(told_client(version, state, packet), expected, "client, {told}");
                assert_eq!(told_server(version, state, packet), expected, "server, {told}");
            }
        }
    }
}

fn told_client(version: ProtocolVersion, state: Option<SendState>, packet: PacketType) -> String {
    let mut pair = Pair::connected(version);
    pair.up.open = false;
    match state {
        None => {}
        Some(SendState::AwaitPubAck) => drop(pair.publish_up(Q1, "x")),
        Some(_) => drop(pair.publish_up(Q2, "x")),
    }
    if state == Some(SendState::AwaitPubComp) {
        pair.inject_down(&ack(PacketType::PubRec, ReasonCode::SUCCESS));
        pair.run();
    }
    assert_eq!(pair.client.session().send_state(id(1)), state);
    pair.run();
    pair.cut_up();
    pair.inject_down(&ack(packet, ReasonCode::SUCCESS));
    pair.run();
    let answer = pair.read_up();
    verdict(&answer, &pair.client_finished, pair.client_closed.clone(), packet)
}

fn told_server(version: ProtocolVersion, state: Option<SendState>, packet: PacketType) -> String {
    let mut pair = Pair::connected(version);
    pair.down.open = false;
    match state {
        None => {}
        Some(SendState::AwaitPubAck) => drop(pair.publish_down(Q1, "x")),
        Some(_) => drop(pair.publish_down(Q2, "x")),
    }
    if state == Some(SendState::AwaitPubComp) {
        pair.inject_up(&ack(PacketType::PubRec, ReasonCode::SUCCESS));
        pair.run();
    }
    assert_eq!(pair.server().session().and_then(|session| session.send_state(id(1))), state);
    pair.run();
    pair.cut_down();
    pair.inject_up(&ack(packet, ReasonCode::SUCCESS));
    pair.run();
    let answer = pair.read_down();
    verdict(&answer, &pair.server_finished, pair.server_closed.clone(), packet)
}

fn verdict(
    answer: &[String],
    finished: &[(u16, Outcome)],
    closed: Option<CloseReason>,
    packet: PacketType,
) -> String {
    match (answer, finished, closed) {
        (_, [], Some(CloseReason::Violation(violation))) => {
            assert_eq!(violation, Violation::WrongAck { packet, id: id(1) });
            "violation".to_owned()
        }
        ([], [(1, Outcome::Acknowledged(ReasonCode::SUCCESS))], None) => "finished".to_owned(),
        ([], [], None) => String::new(),
        ([one], [], None) => one[2..].to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_changes_nothing() {
    let mut pair = Pair::new(common::lasting(ProtocolVersion::V5), ProtocolVersion::V5);
    pair.config.receive_maximum = 1;
    pair.connect();
    pair.run();
    pair.up.open = false;
    pair.publish_up(Q1, "sent");
    pair.publish_up(Q1, "waits");
    pair.inject_down(&Packet::PubAck(Ack::success(id(2))));
    pair.run();
    assert_eq!(pair.client.session().open(), 2);
    pair.up.open = true;
    pair.run();
    assert_eq!(pair.at_server, ["sent", "waits"]);
}

#[test]
fn a_repeated_qos_2_identifier_is_answered_and_not_delivered_again() {
    // [MQTT-4.3.3-10], decisions A10 and A11: whatever DUP and content say.
    fn check(version: ProtocolVersion, dup: bool, text: &'static str) {
        let publish = |dup, text: &'static str| {
            let topic = TopicName::try_from("t").expect("a topic name");
            let delivery = Delivery::ExactlyOnce { id: id(7), dup };
            let message = Message { topic, payload: text.into(), properties: Properties::EMPTY };
            Packet::Publish(Publish { delivery, retain: false, message })
        };
        let mut pair = Pair::connected(version);
        pair.inject_up(&publish(false, "first"));
        for _ in 0..1000 {
            pair.inject_up(&publish(dup, text));
        }
        pair.run();
        assert_eq!(pair.at_server, ["first"]);
        let answers = pair.trace.iter().filter(|line| *line == "< PUBREC 7").count();
        assert_eq!(answers, 1001);
        pair.trace.clear();
        pair.inject_up(&Packet::PubRel(Ack::success(id(7))));
        pair.inject_up(&publish(false, "second"));
        pair.run();
        assert_eq!(pair.at_server, ["first", "second"]);

        let mut pair = Pair::connected(version);
        pair.up.open = false;
        pair.inject_down(&publish(false, "first"));
        pair.inject_down(&publish(dup, text));
        pair.run();
        assert_eq!(pair.at_client, ["first"]);
        assert_eq!(pair.client.session().received().iter().collect::<Vec<_>>(), [id(7)]);
    }
    for version in VERSIONS {
        check(version, true, "first");
        check(version, false, "first");
        check(version, true, "another");
        check(version, false, "another");
    }
}

#[test]
fn deliveries_of_one_qos_are_in_the_order_of_their_publishes() {
    for version in VERSIONS {
        for qos in [Q0, Q1, Q2] {
            let mut pair = Pair::connected(version);
            (pair.up.chunk, pair.down.chunk) = (3, 5);
            let texts: Vec<_> = (0..300).map(|number| number.to_string()).collect();
            for text in &texts {
                pair.publish_up(qos, text);
                pair.publish_down(qos, text);
            }
            pair.run();
            assert_eq!(pair.at_server, texts, "{version} {qos:?}");
            assert_eq!(pair.at_client, texts, "{version} {qos:?}");
            assert!(pair.at_rest());
        }
    }
}

#[test]
fn the_same_identifier_in_both_directions_is_two_exchanges() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        assert_eq!((pair.publish_up(Q2, "up"), pair.publish_down(Q2, "down")), (1, 1));
        pair.run();
        assert_eq!((pair.at_server.len(), pair.at_client.len()), (1, 1));
        assert!(pair.at_rest());
    }
}

#[test]
fn a_qos_2_message_is_delivered_with_its_publish_and_not_with_its_pubrel() {
    // Decision A09.
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).connected();
        lone.hear(&common::publish(Q2, 1, "x"));
        assert_eq!(lone.texts(), ["x"], "{role:?} {version}");
        lone.acknowledge(lone.last_receipt(), ReasonCode::SUCCESS).expect("it is owed");
        lone.hear(&Packet::PubRel(Ack::success(id(1))));
        assert_eq!(lone.texts(), ["x"], "{role:?} {version}");
        assert_eq!(lone.said(), ["PUBREC 1", "PUBCOMP 1"], "{role:?} {version}");
    }
}

#[test]
fn messages_of_qos_1_and_2_have_one_order_and_qos_0_does_not_wait_for_them() {
    // Decision A23.
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).max_in_flight(1).connected();
        for (qos, text) in [(Q1, "a"), (Q2, "b"), (Q0, "c"), (Q1, "d"), (Q0, "e")] {
            lone.publish(qos, text);
        }
        let told = format!("{role:?} {version}");
        assert_eq!(lone.said(), ["PUBLISH 1 q1 a", "PUBLISH q0 c", "PUBLISH q0 e"], "{told}");
        lone.hear(&Packet::PubAck(Ack::success(id(1))));
        assert_eq!(lone.said(), ["PUBLISH 2 q2 b"], "{told}");
        lone.hear(&Packet::PubRec(Ack::success(id(2))));
        assert_eq!(lone.said(), ["PUBREL 2"], "{told}");
        lone.hear(&Packet::PubComp(Ack::success(id(2))));
        assert_eq!(lone.said(), ["PUBLISH 3 q1 d"], "{told}");
    }
}

#[test]
fn a_message_may_come_before_the_suback_of_its_subscription() {
    // Section 3.8.4, decision A24.
    for version in VERSIONS {
        let mut lone = Setup::new(Role::Client, version).connected();
        let request = lone.client.subscribe(lone.now, common::filters(&["t"]), Properties::EMPTY);
        let request = request.expect("connected");
        lone.hear(&common::publish(Q0, 0, "early"));
        let codes = [ReasonCode::GRANTED_QOS_2].into_iter().collect();
        lone.hear(&Packet::SubAck(SubAck::new(request, codes)));
        assert_eq!((lone.texts(), lone.closed.clone()), (vec!["early"], None), "{version}");
        assert_eq!(lone.answered, [request.get()], "{version}");
    }
}
