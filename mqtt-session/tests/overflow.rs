//! More messages than may wait: each policy, message expiry, and who hears of what was dropped.

mod common;

use std::time::Duration;

use bytes::{Buf, Bytes};
use common::{
    Q1, Q2, VERSIONS, expiring, filters, id, lasting,
    lone::{Lone, Setup},
    publication,
};
use mqtt_session::{
    Answer, CallError, ClientDriver, DriverAction, Instant, Outcome, Overflow, PublishError,
    Request, Session,
    proto::{Ack, Packet, Properties, ProtocolVersion, Publication, ReasonCode, Role},
};
use proptest::prelude::*;

use ProtocolVersion::{V5, V311};

const ACKNOWLEDGED: Outcome = Outcome::Acknowledged(ReasonCode::SUCCESS);
const POLICIES: [Overflow; 3] = [Overflow::Refuse, Overflow::DropOldest, Overflow::DropNewest];

fn client(version: ProtocolVersion, policy: Overflow, limit: u16) -> Setup {
    let setup = Setup::new(Role::Client, version).max_in_flight(1);
    setup.options(|options| options.max_pending(limit).overflow(policy))
}

#[test]
fn each_policy_says_what_becomes_of_one_message_too_many() {
    // Whether one is in flight; what publish says of the fourth message, what ends at once, and
    // what arrives in the end.
    type Ends = &'static [(u16, Outcome)];
    fn check(
        policy: Overflow,
        online: bool,
        expected: Result<u16, PublishError>,
        ends: Ends,
        arrives: &[&str],
    ) {
        for version in VERSIONS {
            let told = format!("{version} {policy:?}, online: {online}");
            let mut lone = client(version, policy, 3).build();
            if online {
                lone.connect();
            }
            for text in ["1", "2", "3"] {
                lone.publish(Q1, text);
            }
            let fourth = lone.try_publish(publication(Q1, "4"));
            assert_eq!(fourth.map(|id| id.expect("QoS 1").get()), expected, "{told}");
            assert_eq!(lone.finished, ends, "{told}");
            if !online {
                lone.connect();
            }
            let mut arrived = Vec::new();
            loop {
                let said = lone.packets();
                let Some(Packet::Publish(publish)) = said.last() else { break };
                arrived.push(common::text(&publish.message.payload));
                let id = publish.delivery.id().expect("QoS 1");
                lone.hear(&Packet::PubAck(Ack::success(id)));
            }
            assert_eq!(arrived, arrives, "{told}");
            let acknowledged = lone.finished.iter().filter(|(_, how)| *how == ACKNOWLEDGED);
            assert_eq!(acknowledged.count(), arrives.len(), "{told}");
            assert_eq!(lone.client.session().open(), 0, "{told}");
        }
    }
    let full = Err(PublishError::Full { limit: 3 });
    for online in [false, true] {
        check(Overflow::Refuse, online, full, &[], &["1", "2", "3"]);
        check(Overflow::DropNewest, online, Ok(4), &[(4, Outcome::Dropped)], &["1", "2", "3"]);
    }
    check(Overflow::DropOldest, false, Ok(4), &[(1, Outcome::Dropped)], &["2", "3", "4"]);
    check(Overflow::DropOldest, true, Ok(4), &[(2, Outcome::Dropped)], &["1", "3", "4"]);
}

#[test]
fn what_was_sent_is_not_displaced() {
    for version in VERSIONS {
        for qos in [Q1, Q2] {
            let setup = client(version, Overflow::DropOldest, 2).max_in_flight(2);
            let mut lone = setup.connected();
            lone.publish(qos, "1");
            lone.publish(qos, "2");
            let full = Err(PublishError::Full { limit: 2 });
            assert_eq!(lone.try_publish(publication(qos, "3")), full);
            lone.cut();
            assert_eq!(lone.try_publish(publication(qos, "3")), full, "not even offline");
            assert_eq!(lone.finished, []);
        }
    }
}

#[test]
fn what_has_expired_gives_way_before_any_policy_is_asked() {
    for policy in POLICIES {
        let mut lone = client(V5, policy, 2).build();
        lone.try_publish(expiring(Q1, "1", 10)).expect("room");
        lone.publish(Q1, "2");
        lone.pass(Duration::from_secs(10));
        // Under another identifier than the one that is told to be free.
        assert_eq!(lone.publish(Q1, "3"), 3, "{policy:?}");
        assert_eq!(lone.finished, [(1, Outcome::Expired)], "{policy:?}");
    }
}

#[test]
fn a_server_hears_of_what_expired_before_its_identifier_comes_again() {
    // Full of what has expired; then what expired behind a full window, and was not told yet.
    let mut lone = Setup::new(Role::Server, V5).max_in_flight(1);
    lone.config.max_queued = 3;
    let mut lone = lone.connected();
    lone.publish(Q1, "1");
    lone.try_publish(expiring(Q1, "2", 1)).expect("room");
    lone.try_publish(expiring(Q1, "3", 2)).expect("room");
    lone.pass(Duration::from_secs(1));
    let now = lone.now;
    let next = |lone: &mut Lone| {
        let id = lone.server().publish(now, publication(Q1, "x"));
        id.map(|id| id.expect("QoS 1").get())
    };
    assert_eq!(next(&mut lone), Ok(4));
    assert_eq!(next(&mut lone), Err(PublishError::Full { limit: 3 }));
    lone.pass(Duration::from_secs(1));
    let now = lone.now;
    let action = lone.server().handle_packet(now, Packet::<Bytes>::PubAck(Ack::success(id(1))));
    assert!(action.is_some());
    // 4 is in flight, 2 and 3 have ended and nobody knows.
    let next = |lone: &mut Lone| {
        let id = lone.server().publish(now, publication(Q1, "x"));
        id.map(|id| id.expect("QoS 1").get())
    };
    assert_eq!((next(&mut lone), next(&mut lone)), (Ok(5), Ok(1)));
    let mut told = Vec::new();
    lone.server().handle_flushed(now, |id, how| told.push((id.get(), how)));
    assert_eq!(told, [(2, Outcome::Expired), (3, Outcome::Expired)]);
    assert_eq!(lone.session().map(Session::open), Some(3));
}

#[test]
fn with_every_identifier_taken_every_policy_refuses() {
    for policy in POLICIES {
        let mut lone = client(V311, policy, u16::MAX).build();
        for _ in 0..u16::MAX {
            lone.publish(Q1, "");
        }
        let full = Err(PublishError::Full { limit: u16::MAX });
        assert_eq!(lone.try_publish(publication(Q1, "")), full, "{policy:?}");
        assert_eq!(lone.finished, [], "{policy:?}");
        assert_eq!(lone.client.session().open(), usize::from(u16::MAX));
    }
}

#[test]
fn a_session_that_is_not_lent_is_told_what_to_give_up() {
    let now = Instant::ZERO;
    let mut session = Session::new(4);
    assert_eq!((session.drop_oldest(), session.next_expiry()), (None, None));
    for message in
        [publication(Q1, "1"), expiring(Q2, "2", 5), publication(Q2, "3"), expiring(Q1, "4", 3)]
    {
        session.publish(now, message).expect("room");
    }
    let full = Err(PublishError::Full { limit: 4 });
    assert_eq!(session.publish(now, publication(Q1, "5")), full);
    assert_eq!(session.drop_oldest(), Some(id(1)));
    assert_eq!(session.next_expiry(), Some(now + Duration::from_secs(3)));
    let mut expired = Vec::new();
    session.expire(now + Duration::from_secs(2), |id| expired.push(id));
    assert_eq!(expired, []);
    session.expire(now + Duration::from_secs(3), |id| expired.push(id));
    assert_eq!(expired, [id(4)]);
    assert_eq!(session.next_expiry(), Some(now + Duration::from_secs(5)));
    let mut lost = Vec::new();
    session.discard(|id| lost.push(id));
    assert_eq!(lost, [id(2), id(3)]);
    assert_eq!((session.open(), session.waiting().count()), (0, 0));
    session.publish(now, publication(Q1, "6")).expect("room");
}

#[test]
fn the_policy_reaches_the_callers_of_a_driver() {
    // The limit is 2, and nothing can be sent: how each of the four calls ends.
    type Ends = Result<(), CallError>;
    fn check(policy: Overflow, expected: [Option<Ends>; 4]) {
        let options = lasting(V5).max_pending(2).overflow(policy);
        let mut driver = ClientDriver::new(options, 7).expect("legal options");
        for waiter in 0..4 {
            let request = Request::Publish(publication(Q1, "x"));
            driver.request(Instant::ZERO, request, waiter);
        }
        let mut ends = [None, None, None, None];
        while let Some(action) = driver.poll_action() {
            let DriverAction::Complete(waiter, result) = action else { continue };
            let before = ends[waiter].replace(result.map(|_: Answer| ()));
            assert_eq!(before, None, "{policy:?}: caller {waiter} is told twice");
        }
        assert_eq!(ends, expected, "{policy:?}");
    }
    let dropped = || Some(Err(CallError::Dropped));
    check(Overflow::Refuse, [None, None, None, None]);
    check(Overflow::DropOldest, [dropped(), dropped(), None, None]);
    check(Overflow::DropNewest, [None, None, dropped(), dropped()]);
}

#[test]
fn requests_have_a_share_in_the_limit_and_are_not_dropped() {
    for version in VERSIONS {
        let mut lone = client(version, Overflow::DropOldest, 2).connected();
        lone.client.subscribe(lone.now, filters(&["a"]), Properties::EMPTY).expect("room");
        lone.client.subscribe(lone.now, filters(&["b"]), Properties::EMPTY).expect("room");
        let full = Err(PublishError::Full { limit: 2 });
        assert_eq!(lone.try_publish(publication(Q1, "x")), full);
        assert_eq!(lone.finished, []);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Publish(Option<u32>),
    Pass(u64),
    /// Lets the time come that has passed.
    Timeout,
    /// Waits for the deadline.
    Wait,
    Connect,
    Cut,
    /// The server acknowledges one of those in flight.
    Acknowledge(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => prop::option::of(0..4u32).prop_map(Op::Publish),
        4 => prop::sample::select(vec![1, 500_000, 1_000_000, 2_000_001]).prop_map(Op::Pass),
        2 => Just(Op::Timeout),
        3 => Just(Op::Wait),
        1 => Just(Op::Connect),
        1 => Just(Op::Cut),
        3 => (0..4usize).prop_map(Op::Acknowledge),
    ]
}

#[derive(Debug)]
struct Item {
    id: u16,
    sent: bool,
    expires: Option<Instant>,
}

/// The same as a plain list.
#[derive(Debug)]
struct Model {
    policy: Overflow,
    limit: usize,
    window: usize,
    list: Vec<Item>,
    connected: bool,
    ended: Vec<(u16, Outcome)>,
    /// Messages that may expire: each may cost one wait in vain, if it is sent before.
    expiring: usize,
    in_vain: usize,
}

impl Model {
    fn end(&mut self, at: usize, outcome: Outcome) {
        let item = self.list.remove(at);
        self.ended.push((item.id, outcome));
    }

    fn is_full(&self) -> bool {
        self.list.len() >= self.limit
    }

    fn expire(&mut self, now: Instant) {
        let due = |item: &Item| !item.sent && item.expires.is_some_and(|at| at <= now);
        while let Some(at) = self.list.iter().position(due) {
            self.end(at, Outcome::Expired);
        }
    }

    /// How the message is taken: `None` if it is refused, or whether it stays.
    fn publish(&mut self, now: Instant) -> Option<bool> {
        if self.is_full() {
            self.expire(now);
        }
        if !self.is_full() {
            return Some(true);
        }
        match self.policy {
            Overflow::DropOldest => {
                let at = self.list.iter().position(|item| !item.sent)?;
                self.end(at, Outcome::Dropped);
                Some(true)
            }
            Overflow::DropNewest => Some(false),
            _ => None,
        }
    }

    fn pump(&mut self, now: Instant) {
        while self.connected && self.list.iter().filter(|item| item.sent).count() < self.window {
            let Some(at) = self.list.iter().position(|item| !item.sent) else { return };
            if self.list[at].expires.is_some_and(|at| at <= now) {
                self.end(at, Outcome::Expired);
            } else {
                self.list[at].sent = true;
            }
        }
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.list.iter().filter(|item| !item.sent).filter_map(|item| item.expires).min()
    }
}

struct Run {
    lone: Lone,
    model: Model,
}

impl Run {
    fn publish(&mut self, expiry: Option<u32>) {
        let Self { lone, model } = self;
        let message: Publication<Bytes> = match expiry {
            Some(seconds) => expiring(Q1, "x", seconds),
            None => publication(Q1, "x"),
        };
        let full = Err(PublishError::Full { limit: model.limit as u16 });
        let result = lone.try_publish(message);
        match model.publish(lone.now) {
            None => assert_eq!(result, full),
            Some(stays) => {
                let id = result.expect("room").expect("QoS 1").get();
                let is_free = model.list.iter().all(|item| item.id != id);
                let is_told = model.ended.iter().any(|(ended, _)| *ended == id);
                assert!(is_free && !is_told, "{id} is not free: {model:?}");
                if stays {
                    // An interval of 0 is good for the moment of the call.
                    let least = Duration::from_micros(1);
                    let expires = expiry
                        .map(|seconds| lone.now + Duration::from_secs(seconds.into()).max(least));
                    model.expiring += usize::from(expires.is_some());
                    model.list.push(Item { id, sent: false, expires });
                } else {
                    model.ended.push((id, Outcome::Dropped));
                }
            }
        }
    }

    fn apply(&mut self, op: &Op) {
        let lone = &mut self.lone;
        match *op {
            Op::Publish(expiry) => self.publish(expiry),
            Op::Pass(micros) => lone.pass(Duration::from_micros(micros)),
            Op::Timeout => self.timeout(),
            Op::Wait => {
                if let Some(deadline) = lone.deadline() {
                    lone.now = lone.now.max(deadline);
                    let before = self.model.ended.len();
                    self.timeout();
                    self.model.in_vain += usize::from(self.model.ended.len() == before);
                }
            }
            Op::Connect => {
                lone.cut();
                lone.connect();
                self.model.connected = true;
            }
            Op::Cut => {
                lone.cut();
                self.model.connected = false;
            }
            Op::Acknowledge(nth) => {
                let in_flight = |item: &&Item| item.sent && self.model.connected;
                let found = self.model.list.iter().filter(in_flight).nth(nth).map(|item| item.id);
                if let Some(number) = found {
                    lone.hear(&Packet::PubAck(Ack::success(id(number))));
                    let at = self.model.list.iter().position(|item| item.id == number);
                    self.model.end(at.expect("it is open"), ACKNOWLEDGED);
                }
            }
        }
        self.model.pump(self.lone.now);
        self.check();
    }

    fn timeout(&mut self) {
        let Self { lone, model } = self;
        let due = lone.client.session().next_expiry().is_some_and(|at| at <= lone.now);
        lone.timeout();
        model.expire(lone.now);
        if due {
            // One look at everything, and what it found is exact.
            assert_eq!(lone.client.session().next_expiry(), model.next_expiry());
        }
    }

    fn check(&mut self) {
        let Self { lone, model } = self;
        lone.said();
        assert_eq!(std::mem::take(&mut lone.finished), std::mem::take(&mut model.ended));
        let session = lone.client.session();
        let waiting: Vec<_> = session.waiting().map(|(id, _)| id.get()).collect();
        let expected = model.list.iter().filter(|item| !item.sent).map(|item| item.id);
        assert_eq!(waiting, expected.collect::<Vec<_>>());
        assert_eq!(session.open(), model.list.len());
        // Never later than the real one.
        if let Some(real) = model.next_expiry() {
            assert!(session.next_expiry().is_some_and(|next| next <= real));
        }
        assert!(
            model.in_vain <= model.expiring,
            "more waits in vain than messages that caused them"
        );
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_policy_and_expiry_agree_with_a_plain_list(
        policy in prop::sample::select(POLICIES.to_vec()),
        limit in 1..5u16,
        window in 1..4u16,
        ops in prop::collection::vec(op(), 0..100),
    ) {
        let lone = client(V5, policy, limit).max_in_flight(window).build();
        let model = Model {
            policy,
            limit: limit.into(),
            window: window.into(),
            list: Vec::new(),
            connected: false,
            ended: Vec::new(),
            expiring: 0,
            in_vain: 0,
        };
        let mut run = Run { lone, model };
        for op in &ops {
            run.apply(op);
        }
        // In the end everything has ended, once.
        run.lone.cut();
        run.lone.client.discard_session().expect("not connected");
        run.lone.act();
        let mut lost: Vec<_> = run.lone.finished.drain(..).collect();
        lost.sort_by_key(|(id, _)| *id);
        let mut open: Vec<_> = run.model.list.iter().map(|item| (item.id, Outcome::Lost)).collect();
        open.sort_by_key(|(id, _)| *id);
        prop_assert_eq!(lost, open);
        prop_assert_eq!(run.lone.client.session().open(), 0);
        prop_assert!(!run.lone.client.transmit().has_remaining());
    }
}
