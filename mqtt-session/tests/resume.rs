//! Section 4.4: what a lost connection costs, cut at every byte.

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{Pair, Q0, Q1, Q2, VERSIONS, filters, id, lasting, on_topic, publication};
use mqtt_session::{
    ClientOptions, CloseReason, CommandError, Outcome, PublishError, Session, Violation,
    proto::{
        Ack, Packet, Properties, ProtocolVersion, QoS, ReasonCode, ReasonCodes, SubAck,
        TopicFilter, UnsubscribeFilters,
    },
};

const TEXTS: [&str; 3] = ["a", "b", "c"];
const ACKNOWLEDGED: Outcome = Outcome::Acknowledged(ReasonCode::SUCCESS);

#[derive(Clone, Copy, Debug)]
struct Flow {
    version: ProtocolVersion,
    up: bool,
    qos: QoS,
}

fn flows() -> impl Iterator<Item = Flow> {
    VERSIONS.into_iter().flat_map(|version| {
        [(true, Q1), (true, Q2), (false, Q1), (false, Q2)].map(|(up, qos)| Flow {
            version,
            up,
            qos,
        })
    })
}

impl Flow {
    /// Three messages on their way, nothing delivered yet.
    fn begin(self) -> Pair {
        let mut pair = Pair::connected(self.version);
        for text in TEXTS {
            if self.up {
                pair.publish_up(self.qos, text)
            } else {
                pair.publish_down(self.qos, text)
            };
        }
        pair
    }

    fn bytes(self) -> usize {
        let mut pair = self.begin();
        (0..).take_while(|_| pair.run_bytes(1)).count()
    }

    /// Section 4.3 as seen by the application, once everything has come to rest.
    fn check(self, pair: &mut Pair, told: &str) {
        let (delivered, finished) = if self.up {
            (&mut pair.at_server, &mut pair.client_finished)
        } else {
            (&mut pair.at_client, &mut pair.server_finished)
        };
        if self.qos == Q1 {
            let mut seen = BTreeSet::new();
            delivered.retain(|text| seen.insert(text.clone()));
        }
        assert_eq!(*delivered, TEXTS, "{told}");
        finished.sort_by_key(|(id, _)| *id);
        assert_eq!(*finished, [1, 2, 3].map(|id| (id, ACKNOWLEDGED)), "{told}");
        assert!(pair.at_rest(), "{told}");
        assert_eq!(pair.client.send_quota(), 100, "{told}");
    }

    /// What the sender owes after this much of the exchange was heard: PUBREL where PUBREC came,
    /// else PUBLISH with DUP; in the order of each.
    fn owed(self, heard: &[String]) -> Vec<String> {
        let (out, back) = if self.up { ('>', '<') } else { ('<', '>') };
        let came = |packet: &str, id: usize| heard.contains(&format!("{back} {packet} {id}"));
        let releases = (1..=3)
            .filter(|&id| came("PUBREC", id) && !came("PUBCOMP", id))
            .map(|id| format!("{out} PUBREL {id}"));
        let publishes = (1..=3)
            .filter(|&id| !came("PUBREC", id) && !came("PUBACK", id))
            .map(|id| format!("{out} PUBLISH {id} q{} dup {}", self.qos.bits(), TEXTS[id - 1]));
        releases.chain(publishes).collect()
    }
}

#[test]
fn a_cut_after_any_byte_costs_nothing_but_what_is_owed() {
    for flow in flows() {
        for cut in 0..=flow.bytes() {
            // What is under way at the cut: nothing arrives, or all of one direction does.
            for rest in 0..3 {
                let told = format!("{flow:?} cut after byte {cut}, rest {rest}");
                let mut pair = flow.begin();
                pair.run_bytes(cut);
                match rest {
                    0 => {}
                    1 => drop(pair.arrive_up(usize::MAX)),
                    _ => drop(pair.arrive_down(usize::MAX)),
                }
                pair.cut();
                let heard = std::mem::take(&mut pair.trace);
                pair.reconnect();
                pair.run();
                assert_eq!(pair.trace[..2], ["> CONNECT resume", "< CONNACK present"], "{told}");
                let arrow = if flow.up { '>' } else { '<' };
                let owed = flow.owed(&heard);
                let mut sent = pair.trace[2..].iter().filter(|line| line.starts_with(arrow));
                assert!(owed.iter().all(|packet| sent.next() == Some(packet)), "{told}: {owed:?}");
                flow.check(&mut pair, &told);
            }
        }
    }
}

#[test]
fn two_cuts_cost_no_more_than_one() {
    for flow in flows() {
        for first in (0..=flow.bytes()).step_by(3) {
            for second in (0..flow.bytes() + 60).step_by(5) {
                let mut pair = flow.begin();
                pair.run_bytes(first);
                pair.reconnect();
                pair.run_bytes(second);
                pair.reconnect();
                pair.run();
                flow.check(&mut pair, &format!("{flow:?} cut after {first} and {second}"));
            }
        }
    }
}

#[test]
fn acknowledgements_of_an_earlier_connection_are_not_sent() {
    // Decision A45.
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        pair.publish_down(Q1, "x");
        pair.up.open = false;
        pair.run();
        pair.up.open = true;
        pair.trace.clear();
        pair.reconnect();
        pair.run();
        let present = ["> CONNECT resume", "< CONNACK present"];
        assert_eq!(pair.trace[..2], present);
        assert_eq!(pair.trace[2..], ["< PUBLISH 1 q1 dup x", "> PUBACK 1"]);
    }
}

#[test]
fn what_an_application_has_is_not_delivered_again_though_its_answer_had_to_wait() {
    for version in VERSIONS {
        let options = lasting(version).manual_acknowledgement(true);
        let mut pair = Pair::connected_with(options, version);
        for text in TEXTS {
            pair.publish_down(Q2, text);
        }
        pair.run();
        assert_eq!(pair.at_client, TEXTS);
        let receipts = std::mem::take(&mut pair.receipts);
        let accept = |pair: &mut Pair, receipt| {
            pair.client.acknowledge(pair.now, receipt, ReasonCode::SUCCESS)
        };
        assert_eq!(accept(&mut pair, receipts[1]), Ok(()));
        pair.run();
        assert_eq!(pair.trace.last().map(String::as_str), Some("< PUBLISH 3 q2 c"));
        pair.reconnect();
        pair.trace.clear();
        pair.run();
        assert_eq!(pair.at_client, ["a", "b", "c", "a", "c"], "{version}");
        for receipt in receipts {
            assert_eq!(accept(&mut pair, receipt), Err(CommandError::NothingToAnswer));
        }
        for receipt in std::mem::take(&mut pair.receipts) {
            assert_eq!(accept(&mut pair, receipt), Ok(()));
        }
        pair.run();
        let sent: Vec<_> = pair.trace.iter().filter(|line| line.starts_with("> PUBREC")).collect();
        assert_eq!(sent, ["> PUBREC 1", "> PUBREC 2", "> PUBREC 3"], "[MQTT-4.6.0-3]");
        assert!(pair.at_rest());
    }
}

/// An answer to the repetition may come after the exchange has ended, and would be taken for one to
/// the next message of this identifier: which would be acknowledged before it arrived.
#[test]
fn an_identifier_that_was_repeated_rests_until_the_next_connection() {
    let timeout = Duration::from_secs(5);
    for qos in [Q1, Q2] {
        let options = lasting(ProtocolVersion::V311).ack_timeout(Some(timeout));
        let mut pair = Pair::connected_with(options, ProtocolVersion::V311);
        pair.down.open = false;
        let repeated = pair.publish_up(qos, "a");
        pair.run();
        pair.pass(timeout);
        pair.timeouts();
        pair.down.open = true;
        while pair.client_finished.is_empty() {
            assert!(pair.run_bytes(1), "{:?}", pair.trace);
        }
        assert_ne!(pair.publish_up(qos, "b"), repeated, "{qos:?}");
        pair.run();
        let finished = [(1, ACKNOWLEDGED), (2, ACKNOWLEDGED)];
        assert_eq!(pair.client_finished, finished, "{:?}", pair.trace);
        assert_eq!(pair.client_closed, None);
        pair.reconnect();
        pair.run();
        let ids = ["c", "d"].map(|text| pair.publish_up(qos, text));
        assert_eq!(ids, [2, repeated], "the one that rested longer comes first");
    }
}

#[test]
fn pubrels_are_sent_again_in_the_order_of_their_pubrecs() {
    // [MQTT-4.6.0-4], decision A22.
    let mut pair = Pair::connected(ProtocolVersion::V5);
    pair.up.open = false;
    for text in ["a", "b", "c", "d"] {
        pair.publish_up(Q2, text);
    }
    for number in [3, 1] {
        pair.inject_down(&Packet::PubRec(Ack::success(id(number))));
    }
    pair.run();
    pair.cut();
    pair.connect();
    pair.inject_down(&common::connack(true, &[]));
    pair.run();
    assert_eq!(
        pair.read_up(),
        [
            "> CONNECT resume",
            "> PUBREL 3",
            "> PUBREL 1",
            "> PUBLISH 2 q2 dup b",
            "> PUBLISH 4 q2 dup d"
        ]
    );
}

#[test]
fn beyond_a_reduced_receive_maximum_a_resend_is_held_back_in_its_order() {
    // Decisions A17 and A18. The server breaks the connection if one too many comes.
    for qos in [Q1, Q2] {
        for released in 0..=3 {
            for receive_maximum in 1..=4 {
                let mut pair = Pair::connected(ProtocolVersion::V5);
                for text in ["1", "2", "3", "4", "5"] {
                    pair.publish_up(qos, text);
                }
                pair.up.open = false;
                pair.run();
                if qos == Q2 {
                    for number in 1..=released {
                        pair.inject_down(&Packet::PubRec(Ack::success(id(number))));
                    }
                }
                pair.run();
                pair.up.open = true;
                // Those were received too, as far as the server's session says.
                let received = if qos == Q2 { released } else { 0 };
                pair.cut();
                pair.config.receive_maximum = receive_maximum;
                pair.connect();
                pair.publish_up(qos, "new");
                pair.run();
                let told = format!("{qos:?}, released {received}, maximum {receive_maximum}");
                assert_eq!(pair.server_closed, None, "{told}");
                let expected: Vec<_> =
                    (received + 1..=5).map(|number| number.to_string()).collect();
                assert_eq!(pair.at_server, [expected, vec!["new".to_owned()]].concat(), "{told}");
                assert_eq!(pair.client.send_quota(), receive_maximum, "{told}");
                assert!(pair.at_rest(), "{told}");
            }
        }
    }
}

#[test]
fn a_late_acknowledgement_of_what_is_still_held_back_gives_no_quota() {
    let mut pair = Pair::connected(ProtocolVersion::V5);
    pair.up.open = false;
    for text in ["1", "2", "3"] {
        pair.publish_up(Q1, text);
    }
    pair.run();
    pair.up.open = true;
    pair.config.receive_maximum = 1;
    pair.reconnect();
    pair.up.open = false;
    pair.inject_down(&common::connack(true, &[mqtt_session::proto::Property::ReceiveMaximum(1)]));
    pair.inject_down(&Packet::PubAck(Ack::success(id(3))));
    pair.run();
    assert_eq!(pair.client.send_quota(), 0);
    assert_eq!(pair.client_finished, [(3, ACKNOWLEDGED)]);
    assert_eq!(pair.read_up(), ["> CONNECT resume", "> PUBLISH 1 q1 dup 1"]);
}

#[test]
fn with_the_session_every_open_exchange_is_lost_once_and_what_was_never_sent_stays() {
    for version in VERSIONS {
        for qos in [Q1, Q2] {
            let mut pair = Pair::new(lasting(version).max_in_flight(3), version);
            pair.connect();
            pair.run();
            // Answers come for none, one, or a PUBREC for one.
            pair.up.open = false;
            for text in ["1", "2", "3", "4", "5"] {
                pair.publish_up(qos, text);
            }
            pair.run();
            if qos == Q2 {
                pair.inject_down(&Packet::PubRec(Ack::success(id(2))));
                pair.run();
            }
            pair.up.open = true;
            pair.cut();
            assert_eq!(pair.client_finished, [], "not before the server has said so");
            pair.session = None;
            pair.connect();
            pair.run();
            let mut lost: Vec<_> = pair.client_finished.drain(..3).collect();
            lost.sort_by_key(|(id, _)| *id);
            assert_eq!(lost, [1, 2, 3].map(|id| (id, Outcome::Lost)));
            assert_eq!(pair.client_finished, [4, 5].map(|id| (id, ACKNOWLEDGED)));
            assert_eq!(pair.at_server, ["4", "5"]);
            assert!(pair.at_rest());
            assert_eq!(pair.client.send_quota(), 3);
        }
    }
}

#[test]
fn what_the_server_forgot_this_side_receives_anew() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        pair.up.open = false;
        pair.inject_down(&common::publish(Q2, 1, "before"));
        pair.run();
        assert_eq!(pair.client.session().received().len(), 1);
        pair.up.open = true;
        pair.cut();
        pair.session = None;
        pair.connect();
        pair.run();
        assert!(pair.client.session().received().is_empty());
        pair.inject_down(&common::publish(Q2, 1, "after"));
        pair.run();
        assert_eq!(pair.at_client, ["before", "after"]);
    }
}

#[test]
fn a_session_that_ends_with_its_connection_is_lost_at_once() {
    fn check(options: ClientOptions, version: ProtocolVersion) {
        let mut pair = Pair::connected_with(options.max_in_flight(1), version);
        pair.up.open = false;
        pair.publish_up(Q2, "sent");
        pair.publish_up(Q2, "waits");
        pair.inject_down(&common::publish(Q2, 9, "down"));
        pair.run();
        pair.up.open = true;
        pair.cut();
        assert_eq!(pair.client_finished, [(1, Outcome::Lost)]);
        assert!(pair.client.session().received().is_empty());
        pair.connect();
        pair.run();
        assert_eq!(pair.at_server, ["waits"]);
        assert_eq!(pair.client_finished, [(1, Outcome::Lost), (2, ACKNOWLEDGED)]);
    }
    check(ClientOptions::new("c").version(ProtocolVersion::V311), ProtocolVersion::V311);
    check(ClientOptions::new("c"), ProtocolVersion::V5);
}

#[test]
fn a_request_does_not_outlive_its_connection() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        let now = pair.now;
        assert_eq!(pair.publish_up(Q1, "x"), 1);
        let unsubscribe =
            UnsubscribeFilters::new([TopicFilter::<&[u8]>::try_from("a").expect("a filter")]);
        let subscribe = pair.client.subscribe(now, filters(&["a"]), Properties::EMPTY);
        let unsubscribe =
            pair.client.unsubscribe(now, unsubscribe.expect("one"), Properties::EMPTY);
        assert_eq!((subscribe, unsubscribe), (Ok(id(2)), Ok(id(3))), "one space of identifiers");
        pair.cut();
        assert_eq!(pair.client_finished, [(2, Outcome::Lost), (3, Outcome::Lost)]);
        assert_eq!(pair.client.session().open(), 1);
        assert_eq!(pair.client.send_quota(), 0, "nothing can be sent");
        let offline = pair.client.subscribe(now, filters(&["a"]), Properties::EMPTY);
        assert_eq!(offline, Err(CommandError::NotConnected));
        pair.connect();
        pair.run();
        assert_eq!(pair.answered, [0; 0]);
        let again = pair.client.subscribe(now, filters(&["a", "b"]), Properties::EMPTY);
        pair.run();
        assert_eq!(pair.answered, [again.expect("connected").get()]);
        assert!(pair.at_rest());
    }
}

#[test]
fn a_suback_with_the_wrong_number_of_codes_ends_its_request_and_the_connection() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        pair.up.open = false;
        let request = pair.client.subscribe(pair.now, filters(&["a", "b"]), Properties::EMPTY);
        assert_eq!(request, Ok(id(1)));
        let codes = ReasonCodes::from_iter([ReasonCode::SUCCESS]);
        let suback = SubAck { id: id(1), properties: Properties::EMPTY, codes };
        pair.inject_down(&Packet::SubAck(suback));
        pair.run();
        let packet = mqtt_session::proto::PacketType::SubAck;
        let violation = Violation::WrongNumberOfCodes { packet, id: id(1) };
        assert_eq!(pair.client_closed, Some(CloseReason::Violation(violation)));
        assert_eq!(pair.client_finished, [(1, Outcome::Lost)]);
        assert_eq!(pair.answered, [0; 0]);
    }
}

#[test]
fn an_identifier_is_not_used_again_while_it_is_open() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        pair.up.open = false;
        let first: Vec<_> = TEXTS.map(|text| pair.publish_up(Q2, text)).into();
        assert_eq!(first, [1, 2, 3]);
        // Between PUBREC and PUBCOMP it is open too.
        pair.inject_down(&Packet::PubRec(Ack::success(id(2))));
        pair.run();
        assert_eq!(pair.publish_up(Q1, "d"), 4);
        pair.inject_down(&Packet::PubComp(Ack::success(id(2))));
        pair.run();
        let subscribe = pair.client.subscribe(pair.now, filters(&["a"]), Properties::EMPTY);
        assert_eq!(subscribe, Ok(id(2)));
        assert_eq!(pair.publish_up(Q1, "e"), 5);
        assert_eq!(pair.client.session().open(), 5);
    }
}

#[test]
fn all_identifiers_there_are_can_be_open_and_come_again() {
    for version in VERSIONS {
        let options = lasting(version).max_pending(u16::MAX).max_in_flight(u16::MAX);
        let mut pair = Pair::new(options, version);
        pair.config.receive_maximum = u16::MAX;
        for round in 0..2 {
            let mut ids = BTreeSet::new();
            for number in 0..u16::MAX {
                let qos = if number % 2 == 0 { Q1 } else { Q2 };
                let topic = format!("q{}", qos.bits());
                let message = on_topic(qos, &topic, &number.to_string());
                let id = pair.client.publish(pair.now, message).expect("room").expect("QoS");
                assert!(ids.insert(id.get()), "{id} is open");
            }
            assert_eq!((ids.first(), ids.last()), (Some(&1), Some(&u16::MAX)));
            let full = pair.client.publish(pair.now, publication(Q1, "x"));
            assert_eq!(full, Err(PublishError::Full { limit: u16::MAX }));
            pair.reconnect();
            let request = pair.client.subscribe(pair.now, filters(&["a"]), Properties::EMPTY);
            assert_eq!(request, Err(CommandError::NotConnected));
            pair.run();
            let expected: Vec<_> = (0..u16::MAX).map(|number| number.to_string()).collect();
            assert_eq!(pair.at_server, expected, "{version}, round {round}");
            pair.at_server.clear();
            assert!(pair.at_rest());
            assert_eq!(pair.client_finished.len(), usize::from(u16::MAX));
            pair.client_finished.clear();
            pair.trace.clear();
            pair.cut();
        }
    }
}

#[test]
fn no_more_messages_wait_than_were_allowed() {
    let mut pair = Pair::new(lasting(ProtocolVersion::V5).max_pending(2), ProtocolVersion::V5);
    for _ in 0..2 {
        pair.client.publish(pair.now, publication(Q1, "x")).expect("room");
    }
    let full = Err(PublishError::Full { limit: 2 });
    assert_eq!(pair.client.publish(pair.now, publication(Q1, "x")), full);
    assert_eq!(pair.client.publish(pair.now, publication(Q2, "x")), full);
    let offline = Err(PublishError::NotConnected);
    assert_eq!(pair.client.publish(pair.now, publication(Q0, "x")), offline);
    pair.connect();
    pair.run();
    assert_eq!(
        pair.client.publish(pair.now, publication(Q1, "x")).map(|id| id.is_some()),
        Ok(true)
    );

    let mut session = Session::new(0);
    assert_eq!(
        session.publish(pair.now, publication(Q1, "x")),
        Err(PublishError::Full { limit: 0 })
    );
    assert_eq!(session.publish(pair.now, publication(Q0, "x")), offline.map(|_: Option<_>| id(1)));
}

#[test]
fn what_a_server_queued_meanwhile_comes_after_what_it_owes() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        pair.down.open = false;
        pair.publish_down(Q1, "sent");
        pair.run();
        pair.down.open = true;
        pair.cut();
        pair.publish_down(Q1, "queued");
        let session = pair.session.as_ref().expect("it lasts");
        let waiting: Vec<_> = session.waiting().map(|(id, topic)| (id, topic.as_str())).collect();
        assert_eq!(waiting, [(id(2), "t")]);
        pair.connect();
        pair.run();
        pair.publish_down(Q1, "live");
        pair.run();
        assert_eq!(pair.at_client, ["sent", "queued", "live"]);
    }
}

#[test]
fn a_close_of_the_connection_before_is_not_one_of_the_next() {
    let mut pair = Pair::connected(ProtocolVersion::V5);
    let now = pair.now;
    pair.client.disconnect(now, ReasonCode::NORMAL_DISCONNECTION);
    pair.client.handle_connected(now);
    assert_eq!(pair.client.poll_action(), None);
    assert!(matches!(pair.client.state(), mqtt_session::ClientState::Connecting { .. }));
}

#[test]
fn a_connection_replaced_by_another_was_lost() {
    let mut pair = Pair::connected(ProtocolVersion::V5);
    let request = pair.client.subscribe(pair.now, filters(&["a"]), Properties::EMPTY);
    pair.client.handle_connected(pair.now);
    pair.poll_client();
    assert_eq!(pair.client_finished, [(request.expect("connected").get(), Outcome::Lost)]);
}
