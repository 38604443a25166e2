//! Acknowledgement by the application: when, in which order and with which code (sections 4.3, 4.6),
//! in both roles.

mod common;

use std::collections::{BTreeMap, VecDeque};

use common::{
    Q0, Q1, Q2, VERSIONS, id, lasting,
    lone::{Lone, Setup, sides},
    publish,
};
use mqtt_session::{
    CloseReason, CommandError, Receipt, Violation,
    proto::{Ack, Delivery, Packet, PacketType, ProtocolVersion, QoS, ReasonCode, Role},
};
use proptest::prelude::*;

use ProtocolVersion::{V5, V311};

const SUCCESS: ReasonCode = ReasonCode::SUCCESS;
const NOTHING: Result<(), CommandError> = Err(CommandError::NothingToAnswer);

/// What answers a PUBLISH first.
fn first_answer(qos: QoS) -> &'static str {
    if qos == Q2 { "PUBREC" } else { "PUBACK" }
}

/// Receipts of so many messages that came under the identifiers from 1 on.
fn receive(lone: &mut Lone, qos: QoS, count: u16) -> Vec<Receipt> {
    let receipts = (1..=count).map(|number| {
        lone.hear(&publish(qos, number, &number.to_string()));
        lone.last_receipt()
    });
    receipts.collect()
}

/// PUBLISH once more, with DUP.
fn again(qos: QoS, number: u16, text: &str) -> Packet<bytes::Bytes> {
    let mut packet = publish(qos, number, text);
    if let Packet::Publish(publish) = &mut packet {
        let (Delivery::AtLeastOnce { dup, .. } | Delivery::ExactlyOnce { dup, .. }) =
            &mut publish.delivery
        else {
            panic!("QoS 0 is not repeated");
        };
        *dup = true;
    }
    packet
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let shorter = permutations(last);
    let insert =
        |at| shorter.iter().map(move |order| [&order[..at], &[last], &order[at..]].concat());
    (0..count).flat_map(insert).collect()
}

#[test]
fn acknowledgements_go_out_in_the_order_of_their_publishes() {
    // [MQTT-4.6.0-2] [MQTT-4.6.0-3]: whatever the order the application gives them in.
    for (role, version) in sides() {
        for qos in [Q1, Q2] {
            for order in permutations(4) {
                let told = format!("{role:?} {version} {qos:?} {order:?}");
                let mut lone = Setup::new(role, version).connected();
                let receipts = receive(&mut lone, qos, 4);
                assert_eq!(lone.said(), [""; 0], "{told}: nothing before the application has said");
                let (mut given, mut said) = ([false; 4], 0);
                for at in order {
                    assert_eq!(lone.acknowledge(receipts[at], SUCCESS), Ok(()), "{told}");
                    given[at] = true;
                    let ready = given.iter().take_while(|given| **given).count();
                    let answer = first_answer(qos);
                    let expected = (said + 1..=ready).map(|number| format!("{answer} {number}"));
                    assert_eq!(lone.said(), expected.collect::<Vec<_>>(), "{told}");
                    said = ready;
                }
                assert_eq!(said, 4, "{told}");
            }
        }
    }
}

#[test]
fn pubacks_and_pubrecs_do_not_wait_for_each_other() {
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).connected();
        let mut receipts = Vec::new();
        for (number, qos) in [(1, Q1), (2, Q2), (3, Q1), (4, Q2)] {
            lone.hear(&publish(qos, number, "x"));
            receipts.push(lone.last_receipt());
        }
        for (at, expected) in [(0, "PUBACK 1"), (2, "PUBACK 3"), (1, "PUBREC 2"), (3, "PUBREC 4")] {
            lone.acknowledge(receipts[at], SUCCESS).expect("it is owed");
            assert_eq!(lone.said(), [expected], "{role:?} {version}");
        }
    }
}

#[test]
fn a_receipt_is_good_once() {
    for (role, version) in sides() {
        for qos in [Q1, Q2] {
            let mut lone = Setup::new(role, version).connected();
            let receipts = receive(&mut lone, qos, 2);
            // While it waits for the first, and when it was said.
            assert_eq!(lone.acknowledge(receipts[1], SUCCESS), Ok(()));
            assert_eq!(lone.acknowledge(receipts[1], ReasonCode::NOT_AUTHORIZED), NOTHING);
            assert_eq!(lone.acknowledge(receipts[0], SUCCESS), Ok(()));
            let answer = first_answer(qos);
            assert_eq!(lone.said(), [format!("{answer} 1"), format!("{answer} 2")]);
            for receipt in receipts {
                assert_eq!(lone.acknowledge(receipt, SUCCESS), NOTHING, "{role:?} {version}");
            }
            assert_eq!(lone.said(), [""; 0]);
        }
    }
}

#[test]
fn a_receipt_of_an_earlier_connection_is_good_for_nothing() {
    // Decision A45: neither between connections, nor during the handshake, nor on the next
    // connection, even where the same message has come again.
    for (role, version) in sides() {
        for qos in [Q1, Q2] {
            let told = format!("{role:?} {version} {qos:?}");
            let mut lone = Setup::new(role, version).connected();
            let old = receive(&mut lone, qos, 1)[0];
            lone.cut();
            assert_eq!(lone.acknowledge(old, SUCCESS), NOTHING, "{told}");
            lone.open();
            assert_eq!(lone.acknowledge(old, SUCCESS), NOTHING, "{told}");
            lone.connect();
            assert_eq!(lone.acknowledge(old, SUCCESS), NOTHING, "{told}");
            lone.said();
            lone.hear(&again(qos, 1, "1"));
            assert_eq!(lone.acknowledge(old, SUCCESS), NOTHING, "{told}");
            assert_eq!(lone.said(), [""; 0], "{told}");
            assert_eq!(lone.texts(), ["1", "1"], "{told}: nobody has said that it arrived");
            let new = lone.last_receipt();
            assert_eq!(lone.acknowledge(new, SUCCESS), Ok(()), "{told}");
            assert_eq!(lone.said(), [format!("{} 1", first_answer(qos))], "{told}");
        }
    }
}

#[test]
fn nothing_is_acknowledged_on_a_connection_that_is_closing() {
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).connected();
        let receipt = receive(&mut lone, Q1, 1)[0];
        let now = lone.now;
        match role {
            Role::Client => lone.client.disconnect(now, SUCCESS),
            Role::Server => drop(lone.server().close(now, SUCCESS)),
        }
        assert_eq!(lone.acknowledge(receipt, SUCCESS), NOTHING);
        let goodbye: &[&str] = match (role, version) {
            (Role::Server, V311) => &[],
            _ => &["DISCONNECT"],
        };
        assert_eq!(lone.said(), goodbye, "{role:?} {version}");
    }
}

#[test]
fn a_client_acknowledges_by_itself_unless_it_is_told_not_to() {
    for version in VERSIONS {
        for qos in [Q0, Q1, Q2] {
            let setup = Setup::new(Role::Client, version);
            let mut lone = setup.options(|_| lasting(version)).connected();
            lone.hear(&publish(qos, 1, "x"));
            assert_eq!(lone.delivered, [("x".to_owned(), None)]);
            let expected = (qos != Q0).then(|| format!("{} 1", first_answer(qos)));
            assert_eq!(lone.said(), expected.into_iter().collect::<Vec<_>>());
        }
    }
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).connected();
        lone.hear(&publish(Q0, 0, "x"));
        assert_eq!(lone.delivered, [("x".to_owned(), None)], "QoS 0 is not acknowledged");
    }
}

/// What an acknowledgement with this code says, and whether the message counts as taken.
fn as_said(version: ProtocolVersion, code: ReasonCode) -> (ReasonCode, bool) {
    let legal = code.is_legal_in(PacketType::PubAck, Role::Server);
    match version {
        // It has no codes, and no refusals.
        V311 => (SUCCESS, true),
        V5 if legal => (code, !code.is_error()),
        V5 if code.is_error() => (ReasonCode::UNSPECIFIED_ERROR, false),
        V5 => (SUCCESS, true),
    }
}

#[test]
fn each_message_has_a_reason_code_of_its_own() {
    for (role, version) in sides() {
        for qos in [Q1, Q2] {
            let mut lone = Setup::new(role, version).connected();
            for code in (0..=u8::MAX).map(ReasonCode::new) {
                let told = format!("{role:?} {version} {qos:?} {code:?}");
                let number = u16::from(code.get()) + 1;
                lone.hear(&publish(qos, number, "x"));
                assert_eq!(lone.acknowledge(lone.last_receipt(), code), Ok(()), "{told}");
                let (said, taken) = as_said(version, code);
                let packets = lone.packets();
                let [Packet::PubAck(ack) | Packet::PubRec(ack)] = &packets[..] else {
                    panic!("{told}: {packets:?}");
                };
                assert_eq!((ack.id, ack.reason), (id(number), said), "{told}");
                let held = lone.session().is_some_and(|kept| kept.received().contains(id(number)));
                assert_eq!(held, taken && qos == Q2, "{told}");
            }
        }
    }
}

#[test]
fn the_reason_code_of_each_message_reaches_its_publisher() {
    // Those that both PUBACK and PUBREC may have, in both directions.
    use mqtt_session::Outcome;
    for (role, version) in sides() {
        for qos in [Q1, Q2] {
            for code in (0..=u8::MAX).map(ReasonCode::new) {
                let legal = code.is_legal_in(PacketType::PubAck, Role::Server);
                if !legal || version == V311 && code != SUCCESS {
                    continue;
                }
                let mut lone = Setup::new(role, version).connected();
                let number = lone.publish(qos, "x");
                let ack = Ack::new(id(number), code);
                let expected = match qos {
                    Q2 => {
                        lone.hear(&Packet::PubRec(ack));
                        if !code.is_error() {
                            lone.hear(&Packet::PubComp(Ack::success(id(number))));
                        }
                        // What follows PUBREC has no room for its code.
                        if code.is_error() { code } else { SUCCESS }
                    }
                    _ => {
                        lone.hear(&Packet::PubAck(ack));
                        code
                    }
                };
                let told = format!("{role:?} {version} {qos:?} {code:?}");
                assert_eq!(lone.finished, [(number, Outcome::Acknowledged(expected))], "{told}");
            }
        }
    }
}

#[test]
fn a_repetition_is_not_delivered_while_its_answer_is_owed() {
    // [MQTT-4.3.2-5] [MQTT-4.3.3-10]: one answer for both, and the next one is a new message.
    for (role, version) in sides() {
        for qos in [Q1, Q2] {
            let told = format!("{role:?} {version} {qos:?}");
            let mut lone = Setup::new(role, version).receive_maximum(1).connected();
            let receipt = receive(&mut lone, qos, 1)[0];
            for _ in 0..3 {
                lone.hear(&again(qos, 1, "1"));
                lone.hear(&publish(qos, 1, "other"));
            }
            assert_eq!(lone.texts(), ["1"], "{told}");
            assert_eq!(lone.closed, None, "{told}: it takes no second slot");
            assert_eq!(lone.acknowledge(receipt, SUCCESS), Ok(()), "{told}");
            assert_eq!(lone.said(), [format!("{} 1", first_answer(qos))], "{told}");
            if qos == Q2 {
                lone.hear(&Packet::PubRel(Ack::success(id(1))));
                assert_eq!(lone.said(), ["PUBCOMP 1"], "{told}");
            }
            lone.hear(&publish(qos, 1, "new"));
            assert_eq!(lone.texts(), ["1", "new"], "{told}");
        }
    }
}

#[test]
fn a_release_before_the_verdict_finds_nothing() {
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).connected();
        let receipt = receive(&mut lone, Q2, 1)[0];
        lone.hear(&Packet::PubRel(Ack::success(id(1))));
        let code = if version == V5 { " 0x92" } else { "" };
        assert_eq!(lone.said(), [format!("PUBCOMP 1{code}")], "{role:?} {version}");
        assert_eq!(lone.acknowledge(receipt, SUCCESS), Ok(()));
        assert_eq!(lone.said(), ["PUBREC 1"], "{role:?} {version}: what is owed is still owed");
    }
}

#[test]
fn what_waits_for_its_verdict_counts_for_receive_maximum() {
    // [MQTT-3.3.4-9]. A verdict that cannot be said yet makes no room either: the other side cannot
    // know of it.
    for (role, version) in sides() {
        for qos in [Q1, Q2] {
            let told = format!("{role:?} {version} {qos:?}");
            let mut lone = Setup::new(role, version).receive_maximum(2).connected();
            let receipts = receive(&mut lone, qos, 2);
            assert_eq!(lone.acknowledge(receipts[1], SUCCESS), Ok(()), "{told}");
            lone.hear(&publish(qos, 3, "3"));
            let exceeded = CloseReason::Violation(Violation::ReceiveMaximumExceeded);
            assert_eq!(lone.closed, (version == V5).then_some(exceeded), "{told}");
            let expected: &[_] = if version == V5 { &["1", "2"] } else { &["1", "2", "3"] };
            assert_eq!(lone.texts(), expected, "{told}");
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// The peer sends a new message.
    Send(bool),
    /// In 3.1.1, which allows it: it sends one again that is not answered yet.
    Repeat(usize),
    /// It reads what was said, and answers PUBREC with PUBREL.
    Read,
    /// The application says something about one of the messages it has, or has had.
    Acknowledge { nth: usize, code: usize },
    /// The connection is lost with what was said and not read; on the next one the peer sends
    /// everything open again.
    Cut,
}

const CODES: [ReasonCode; 4] = [
    SUCCESS,
    ReasonCode::NO_MATCHING_SUBSCRIBERS,
    ReasonCode::NOT_AUTHORIZED,
    ReasonCode::SERVER_BUSY,
];

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => any::<bool>().prop_map(Op::Send),
        1 => (0..8usize).prop_map(Op::Repeat),
        4 => Just(Op::Read),
        8 => (0..16usize, 0..CODES.len()).prop_map(|(nth, code)| Op::Acknowledge { nth, code }),
        1 => Just(Op::Cut),
    ]
}

/// A message as the peer that sends it knows it.
#[derive(Debug)]
struct Sent {
    id: u16,
    qos: QoS,
    text: String,
    /// PUBREC came: PUBREL is what is sent again.
    released: bool,
}

/// A message as the application knows it.
#[derive(Debug)]
struct Got {
    receipt: Receipt,
    text: String,
    /// Which connection it came on.
    connection: usize,
    given: bool,
}

/// An answer that is owed: for which identifier, and what it is to say once that is known.
type Owed = VecDeque<(u16, Option<ReasonCode>)>;

struct Run {
    lone: Lone,
    window: usize,
    connection: usize,
    sent: Vec<Sent>,
    number: u32,
    got: Vec<Got>,
    /// Answers owed on this connection, in the order they must be said, by QoS; and those that were
    /// said and not read.
    owed: BTreeMap<QoS, Owed>,
    said: BTreeMap<QoS, VecDeque<(u16, ReasonCode)>>,
    /// What the application has accepted, of QoS 2.
    accepted: Vec<String>,
    /// How often each was delivered.
    delivered: BTreeMap<String, usize>,
}

impl Run {
    fn new(role: Role, version: ProtocolVersion, window: u16) -> Self {
        Self {
            lone: Setup::new(role, version).receive_maximum(window).connected(),
            window: window.into(),
            connection: 0,
            sent: Vec::new(),
            number: 0,
            got: Vec::new(),
            owed: BTreeMap::new(),
            said: BTreeMap::new(),
            accepted: Vec::new(),
            delivered: BTreeMap::new(),
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Send(qos_2) if self.sent.len() < self.window => {
                self.number += 1;
                let taken = |id: &u16| self.sent.iter().any(|sent| sent.id == *id);
                let id = (1..).find(|id| !taken(id)).expect("one is free");
                let qos = if qos_2 { Q2 } else { Q1 };
                let text = self.number.to_string();
                self.sent.push(Sent { id, qos, text, released: false });
                self.publish(self.sent.len() - 1, false);
            }
            Op::Repeat(nth) if self.lone.version == V311 => {
                let open = |sent: &&Sent| {
                    let owed = self.owed.get(&sent.qos).into_iter().flatten();
                    owed.into_iter().any(|(id, _)| *id == sent.id)
                };
                if let Some(id) = self.sent.iter().filter(open).nth(nth).map(|sent| sent.id) {
                    let at = self.sent.iter().position(|sent| sent.id == id);
                    self.publish(at.expect("just found"), true);
                }
            }
            Op::Read => self.read(),
            Op::Acknowledge { nth, code } => self.acknowledge(nth, CODES[code]),
            Op::Cut => self.reconnect(),
            Op::Send(_) | Op::Repeat(_) => {}
        }
        assert_eq!(self.lone.closed, None, "the peer has kept to the window");
    }

    fn publish(&mut self, at: usize, dup: bool) {
        let Sent { id: number, qos, ref text, .. } = self.sent[at];
        let text = text.clone();
        let packet = if dup { again(qos, number, &text) } else { publish(qos, number, &text) };
        let before = self.lone.delivered.len();
        self.lone.hear(&packet);
        let owed = self.owed.entry(qos).or_default();
        match self.lone.delivered.len() - before {
            0 if owed.iter().any(|(owed, _)| *owed == number) => {}
            0 => {
                // Known from the connection before, and acknowledged again.
                assert!(qos == Q2 && self.accepted.contains(&text), "{text} is not delivered");
                owed.push_back((number, Some(SUCCESS)));
            }
            _ => {
                assert_eq!(self.lone.delivered[before].0, text);
                assert!(!self.accepted.contains(&text), "{text} is delivered again");
                assert!(owed.iter().all(|(owed, _)| *owed != number), "{text} is owed an answer");
                owed.push_back((number, None));
                *self.delivered.entry(text.clone()).or_default() += 1;
                let (receipt, connection) = (self.lone.last_receipt(), self.connection);
                self.got.push(Got { receipt, text, connection, given: false });
            }
        }
        self.say();
    }

    /// What can be said is said at once.
    fn say(&mut self) {
        for (qos, owed) in &mut self.owed {
            let said = self.said.entry(*qos).or_default();
            while let Some(&(id, Some(code))) = owed.front() {
                owed.pop_front();
                said.push_back((id, code));
            }
        }
    }

    fn acknowledge(&mut self, nth: usize, code: ReasonCode) {
        let count = self.got.len();
        // The latest first, or most would be of long ago.
        let Some(got) = count.checked_sub(1 + nth).and_then(|at| self.got.get_mut(at)) else {
            return;
        };
        let current = got.connection == self.connection && !got.given;
        let expected = if current { Ok(()) } else { NOTHING };
        assert_eq!(self.lone.acknowledge(got.receipt, code), expected);
        if !current {
            return;
        }
        got.given = true;
        let sent = self.sent.iter().find(|sent| sent.text == got.text).expect("it is open");
        let (code, taken) = as_said(self.lone.version, code);
        let owed = self.owed.get_mut(&sent.qos).expect("it came");
        let owed = owed.iter_mut().find(|(id, _)| *id == sent.id).expect("it is owed");
        assert_eq!(owed.1.replace(code), None);
        if taken && sent.qos == Q2 {
            self.accepted.push(got.text.clone());
        }
        self.say();
    }

    fn read(&mut self) {
        for packet in self.lone.packets() {
            let (qos, ack) = match &packet {
                Packet::PubAck(ack) => (Q1, ack),
                Packet::PubRec(ack) => (Q2, ack),
                Packet::PubComp(ack) => {
                    let done = |sent: &Sent| sent.id == ack.id.get() && sent.released;
                    let at = self.sent.iter().position(done).expect("PUBREL was sent");
                    self.sent.remove(at);
                    continue;
                }
                packet => panic!("{packet:?}"),
            };
            let said = self.said.entry(qos).or_default().pop_front();
            assert_eq!(said, Some((ack.id.get(), ack.reason)), "in order and as given");
            let number = ack.id.get();
            let open = |sent: &Sent| sent.id == number && sent.qos == qos && !sent.released;
            let at = self.sent.iter().position(open).expect("answered once");
            if qos == Q2 && !ack.reason.is_error() {
                self.sent[at].released = true;
                self.lone.hear(&Packet::PubRel(Ack::success(ack.id)));
            } else {
                self.sent.remove(at);
            }
        }
        let unsaid = self.said.values().any(|said| !said.is_empty());
        assert!(!unsaid, "{:?} could have been said", self.said);
    }

    /// [MQTT-4.4.0-1] by the peer: every PUBREL, then every PUBLISH in its order.
    fn reconnect(&mut self) {
        self.lone.cut();
        self.lone.connect();
        assert_eq!(self.answers(), [""; 0], "nothing of the connection before is said");
        self.connection += 1;
        self.owed.clear();
        self.said.clear();
        for at in 0..self.sent.len() {
            if self.sent[at].released {
                self.lone.hear(&Packet::PubRel(Ack::success(id(self.sent[at].id))));
            }
        }
        for at in 0..self.sent.len() {
            if !self.sent[at].released {
                self.publish(at, true);
            }
        }
    }

    fn answers(&mut self) -> Vec<String> {
        let said = self.lone.said();
        said.into_iter().filter(|line| !line.starts_with("CONN")).collect()
    }

    /// The application says yes to everything there is: nothing hangs.
    fn finish(mut self) {
        self.reconnect();
        for _ in 0..3 {
            for nth in 0..self.got.len() {
                self.acknowledge(nth, SUCCESS);
            }
            self.read();
        }
        assert!(self.sent.is_empty(), "{:?}", self.sent);
        assert!(self.lone.session().is_some_and(|session| session.received().is_empty()));
        assert_eq!(self.delivered.len(), self.number as usize, "each at least once");
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) }
}

proptest! {
    #![proptest_config(config())]

    /// Any messages, any order of verdicts, any cuts: PUBACKs go out in the order of their PUBLISH,
    /// PUBRECs too, each once and none on another connection; and what was accepted at QoS 2 is not
    /// delivered again.
    #[test]
    fn acknowledgements_are_in_order_and_once_whatever_the_application_does(
        client in any::<bool>(),
        version in prop::sample::select(VERSIONS.to_vec()),
        window in 1..6u16,
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let role = if client { Role::Client } else { Role::Server };
        let mut run = Run::new(role, version, window);
        for op in &ops {
            run.apply(op);
        }
        run.finish();
    }
}

#[test]
fn a_large_window_is_no_matter() {
    // Every identifier there is, decided in the reverse order.
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).receive_maximum(u16::MAX).connected();
        let receipts = receive(&mut lone, Q1, u16::MAX);
        for receipt in receipts[1..].iter().rev() {
            lone.acknowledge(*receipt, SUCCESS).expect("it is owed");
        }
        assert_eq!(lone.unwritten(), 0, "{role:?} {version}");
        lone.acknowledge(receipts[0], SUCCESS).expect("it is owed");
        assert_eq!(lone.unwritten(), 4 * usize::from(u16::MAX), "{role:?} {version}");
        assert_eq!(lone.said().last(), Some(&format!("PUBACK {}", u16::MAX)));
    }
}
