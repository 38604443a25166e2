//! Each publish, subscribe and unsubscribe ends in exactly one outcome, whatever happens: to the
//! connection, to the session, and whatever the other side says.

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{
    Q1, Q2, VERSIONS, expiring, filters, id,
    lone::{Lone, Setup, sides},
    publication,
};
use mqtt_session::{
    CommandError, Outcome, Overflow, Session,
    proto::{
        Ack, ConnAck, Packet, Properties, Property, ProtocolVersion, QoS, ReasonCode, ReasonCodes,
        Role, SubAck, TopicFilter, UnsubAck, UnsubscribeFilters,
    },
};
use proptest::prelude::*;

use ProtocolVersion::V5;

const ACKNOWLEDGED: Outcome = Outcome::Acknowledged(ReasonCode::SUCCESS);

const SMALL: Property<'static> = Property::MaximumPacketSize(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Publish(QoS),
    Subscribe,
    Unsubscribe,
}

#[derive(Clone, Debug)]
enum Op {
    Publish {
        qos_2: bool,
        expiry: Option<u32>,
        large: bool,
    },
    Subscribe,
    Unsubscribe,
    /// The other side says one of these about an identifier.
    Hear(Heard, u16),
    Write(usize),
    Wait,
    Pass(u64),
    Cut,
    /// With the session or without it; in 5.0 to a side that may take no large packets.
    Connect {
        present: bool,
        small: bool,
    },
    /// A client is refused.
    Refuse,
    Discard,
}

#[derive(Clone, Copy, Debug)]
enum Heard {
    PubAck,
    PubAckError,
    PubRec,
    PubRecError,
    PubComp,
    SubAck,
    /// With two codes where there is one filter.
    SubAckTwice,
    UnsubAck,
}

const HEARD: [Heard; 8] = [
    Heard::PubAck,
    Heard::PubAckError,
    Heard::PubRec,
    Heard::PubRecError,
    Heard::PubComp,
    Heard::SubAck,
    Heard::SubAckTwice,
    Heard::UnsubAck,
];

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (any::<bool>(), prop::option::of(0..3u32), any::<bool>())
            .prop_map(|(qos_2, expiry, large)| Op::Publish { qos_2, expiry, large }),
        2 => Just(Op::Subscribe),
        2 => Just(Op::Unsubscribe),
        12 => (prop::sample::select(HEARD.to_vec()), 1..7u16)
            .prop_map(|(heard, id)| Op::Hear(heard, id)),
        3 => (1..200usize).prop_map(Op::Write),
        3 => Just(Op::Wait),
        2 => prop::sample::select(vec![1, 500_000, 2_000_000]).prop_map(Op::Pass),
        1 => Just(Op::Cut),
        3 => (any::<bool>(), any::<bool>())
            .prop_map(|(present, small)| Op::Connect { present, small }),
        1 => Just(Op::Refuse),
        1 => Just(Op::Discard),
    ]
}

fn packet(version: ProtocolVersion, heard: Heard, number: u16) -> Packet<bytes::Bytes> {
    let error = if version == V5 { ReasonCode::NOT_AUTHORIZED } else { ReasonCode::SUCCESS };
    let codes = |count: usize| -> ReasonCodes<_> {
        std::iter::repeat_n(ReasonCode::SUCCESS, count).collect()
    };
    match heard {
        Heard::PubAck => Packet::PubAck(Ack::success(id(number))),
        Heard::PubAckError => Packet::PubAck(Ack::new(id(number), error)),
        Heard::PubRec => Packet::PubRec(Ack::success(id(number))),
        Heard::PubRecError => Packet::PubRec(Ack::new(id(number), error)),
        Heard::PubComp => Packet::PubComp(Ack::success(id(number))),
        Heard::SubAck => Packet::SubAck(SubAck::new(id(number), codes(1))),
        Heard::SubAckTwice => Packet::SubAck(SubAck::new(id(number), codes(2))),
        Heard::UnsubAck => {
            let count = usize::from(version == V5);
            Packet::UnsubAck(UnsubAck::new(id(number), codes(count)))
        }
    }
}

struct Run {
    lone: Lone,
    /// What has not ended.
    open: BTreeMap<u16, Kind>,
}

impl Run {
    fn begun(&mut self, id: u16, kind: Kind) {
        let before = self.open.insert(id, kind);
        assert_eq!(before, None, "{id} is given out and open");
        self.settle();
    }

    /// Everything that ends was open.
    fn settle(&mut self) {
        for (id, outcome) in self.lone.finished.drain(..) {
            let kind = self.open.remove(&id);
            let told = format!("{id} ends as {outcome:?}: {kind:?}");
            match outcome {
                Outcome::Lost => assert!(kind.is_some(), "{told}"),
                _ => assert!(matches!(kind, Some(Kind::Publish(_))), "{told}"),
            }
        }
        for id in self.lone.answered.drain(..) {
            let kind = self.open.remove(&id);
            assert!(matches!(kind, Some(Kind::Subscribe | Kind::Unsubscribe)), "{id}: {kind:?}");
        }
    }

    fn apply(&mut self, op: &Op) {
        let client = self.lone.is_client();
        let lone = &mut self.lone;
        match *op {
            Op::Publish { qos_2, expiry, large } => {
                let qos = if qos_2 { Q2 } else { Q1 };
                let text = "x".repeat(if large { 20 } else { 1 });
                let message = match (expiry, lone.version) {
                    (Some(seconds), V5) => expiring(qos, &text, seconds),
                    _ => publication(qos, &text),
                };
                if let Ok(Some(id)) = lone.try_publish(message) {
                    self.begun(id.get(), Kind::Publish(qos));
                }
            }
            Op::Subscribe if client => {
                let request = lone.client.subscribe(lone.now, filters(&["a"]), Properties::EMPTY);
                if let Ok(id) = request {
                    self.begun(id.get(), Kind::Subscribe);
                }
            }
            Op::Unsubscribe if client => {
                let filter: TopicFilter<&[u8]> = TopicFilter::try_from("a").expect("a filter");
                let list = UnsubscribeFilters::new([filter]).expect("a list");
                if let Ok(id) = lone.client.unsubscribe(lone.now, list, Properties::EMPTY) {
                    self.begun(id.get(), Kind::Unsubscribe);
                }
            }
            Op::Hear(heard, number) => {
                let request = matches!(heard, Heard::SubAck | Heard::SubAckTwice | Heard::UnsubAck);
                if lone.is_connected() && (client || !request) {
                    lone.hear(&packet(lone.version, heard, number));
                }
            }
            Op::Write(bytes) => lone.write(bytes),
            Op::Wait => {
                if let Some(deadline) = lone.deadline() {
                    lone.now = lone.now.max(deadline);
                    lone.timeout();
                }
            }
            Op::Pass(micros) => lone.pass(Duration::from_micros(micros)),
            Op::Cut => lone.cut(),
            Op::Connect { present, small } => {
                lone.cut();
                lone.setup.peer.retain(|property| *property != SMALL);
                if small && lone.version == V5 {
                    lone.setup.peer.push(SMALL);
                }
                self.settle();
                if !client && !present {
                    self.discard();
                }
                self.lone.connect_with(present);
            }
            Op::Refuse if client => {
                lone.cut();
                lone.open();
                let busy = ReasonCode::SERVER_UNAVAILABLE;
                lone.hear(&Packet::ConnAck(ConnAck::refused(busy)));
            }
            Op::Discard => self.discard(),
            Op::Subscribe | Op::Unsubscribe | Op::Refuse => {}
        }
        self.settle();
    }

    /// The session is given up; whoever does it hears of all that was in it.
    fn discard(&mut self) {
        let lone = &mut self.lone;
        if lone.is_client() {
            let connected = lone.client.state() != mqtt_session::ClientState::Idle;
            let discarded = lone.client.discard_session();
            assert_eq!(discarded, if connected { Err(CommandError::Connected) } else { Ok(()) });
            lone.act();
        } else if let Some(mut session) = lone.session.take() {
            let finished = &mut lone.finished;
            session.discard(|id| finished.push((id.get(), Outcome::Lost)));
            lone.session = Some(session);
        }
        self.settle();
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_publish_subscribe_and_unsubscribe_ends_once(
        client in any::<bool>(),
        version in prop::sample::select(VERSIONS.to_vec()),
        policy in prop::sample::select(vec![
            Overflow::Refuse,
            Overflow::DropOldest,
            Overflow::DropNewest,
        ]),
        ack_timeout in prop::option::of(Just(Duration::from_secs(1))),
        ops in prop::collection::vec(op(), 0..100),
    ) {
        let role = if client { Role::Client } else { Role::Server };
        let mut setup = Setup::new(role, version).max_in_flight(3).max_transmit(100);
        setup.config.max_queued = 5;
        let setup = setup.ack_timeout(ack_timeout);
        let setup = setup.options(|options| options.max_pending(5).overflow(policy));
        let mut run = Run { lone: setup.build(), open: BTreeMap::new() };
        for op in &ops {
            run.apply(op);
        }
        run.apply(&Op::Cut);
        run.apply(&Op::Discard);
        prop_assert_eq!(&run.open, &BTreeMap::new(), "what never ends");
        prop_assert_eq!(run.lone.session().map_or(0, Session::open), 0);
    }
}

#[test]
fn a_session_is_discarded_only_without_a_connection() {
    for version in VERSIONS {
        let mut lone = Setup::new(Role::Client, version).max_in_flight(2).build();
        let connected = Err(CommandError::Connected);
        lone.open();
        assert_eq!(lone.client.discard_session(), connected, "{version}: connecting");
        lone.connect();
        lone.publish(Q1, "sent");
        lone.publish(Q2, "released");
        lone.hear(&Packet::PubRec(Ack::success(id(2))));
        lone.publish(Q1, "waits");
        assert_eq!(lone.client.discard_session(), connected, "{version}: connected");
        lone.client.disconnect(lone.now, ReasonCode::SUCCESS);
        lone.act();
        assert_eq!(lone.client.discard_session(), connected, "{version}: closing");
        assert_eq!((&lone.finished, lone.client.session().open()), (&Vec::new(), 3));
        lone.cut();
        assert_eq!(lone.client.discard_session(), Ok(()));
        lone.act();
        lone.finished.sort_by_key(|(id, _)| *id);
        assert_eq!(lone.finished, [1, 2, 3].map(|id| (id, Outcome::Lost)), "{version}");
        assert_eq!(lone.client.discard_session(), Ok(()), "{version}: there is nothing in it");
        lone.act();
        assert_eq!(lone.finished.len(), 3);
        // The server is to forget it too, once.
        lone.open();
        assert_eq!(lone.said(), ["CONNECT clean"]);
        lone.hear(&Packet::ConnAck(ConnAck::accepted(false)));
        lone.publish(Q1, "new");
        lone.cut();
        lone.open();
        assert_eq!(lone.said(), ["CONNECT resume"]);
        lone.hear(&Packet::ConnAck(ConnAck::accepted(true)));
        let said = lone.said();
        let [again] = &said[..] else { panic!("{said:?}") };
        assert!(again.ends_with("q1 dup new"), "{again}");
    }
}

#[test]
fn what_is_received_and_not_released_is_discarded_too() {
    for (role, version) in sides() {
        let mut lone = Setup::new(role, version).connected();
        lone.hear(&common::publish(Q2, 7, "x"));
        lone.acknowledge(lone.last_receipt(), ReasonCode::SUCCESS).expect("it is owed");
        lone.publish(Q1, "y");
        lone.hear(&Packet::PubAck(Ack::success(id(1))));
        assert_eq!(lone.finished, [(1, ACKNOWLEDGED)]);
        lone.cut();
        assert_eq!(lone.session().map(|session| session.received().len()), Some(1));
        match role {
            Role::Client => lone.client.discard_session().expect("not connected"),
            Role::Server => lone.session.as_mut().expect("it lasts").discard(|_| {}),
        }
        assert_eq!(lone.session().map(|session| session.received().len()), Some(0));
        lone.connect_with(role == Role::Server);
        lone.hear(&common::publish(Q2, 7, "another"));
        assert_eq!(lone.texts(), ["x", "another"], "{role:?} {version}");
    }
}
