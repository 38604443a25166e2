//! Random scripts of both sides publishing, bytes moving, connections breaking, sessions being
//! forgotten and time passing, held against the promises of section 4.3.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use common::{Pair, Q0, Q1, Q2, id, lasting, on_topic};
use mqtt_session::{
    Outcome, Session,
    proto::{ProtocolVersion, QoS, ReasonCode},
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Publish {
        up: bool,
        qos: QoS,
        topic: bool,
    },
    Bytes(usize),
    Rest,
    Cut,
    Reconnect,
    /// The server loses its session, with the connection.
    Forget,
    Pass(Duration),
}

#[derive(Clone, Debug)]
struct World {
    version: ProtocolVersion,
    /// What each side takes and sends at a time.
    windows: [u16; 2],
    max_transmit: usize,
    capacity: usize,
    /// How long either side waits for an answer.
    ack_timeout: Option<Duration>,
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![1 => Just(Q0), 2 => Just(Q1), 3 => Just(Q2)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (any::<bool>(), qos(), any::<bool>())
            .prop_map(|(up, qos, topic)| Op::Publish { up, qos, topic }),
        12 => (1..60usize).prop_map(Op::Bytes),
        2 => Just(Op::Rest),
        3 => Just(Op::Cut),
        6 => Just(Op::Reconnect),
        1 => Just(Op::Forget),
        2 => (1..50_000u64).prop_map(|millis| Op::Pass(Duration::from_millis(millis))),
    ]
}

fn world() -> impl Strategy<Value = World> {
    let version = prop_oneof![Just(ProtocolVersion::V311), Just(ProtocolVersion::V5)];
    let windows = prop::array::uniform2(1..5u16);
    let ack_timeout = prop::option::of((1..10u64).prop_map(Duration::from_secs));
    (version, windows, 1..150usize, 1..40usize, ack_timeout).prop_map(
        |(version, windows, max_transmit, capacity, ack_timeout)| World {
            version,
            windows,
            max_transmit,
            capacity,
            ack_timeout,
        },
    )
}

/// One message as its publisher remembers it.
#[derive(Debug)]
struct Sent {
    text: String,
    qos: QoS,
    topic: &'static str,
    /// Not before it ended.
    outcome: Option<Outcome>,
    /// Whether the session it was in was forgotten.
    forgotten: bool,
}

/// Everything published in one direction.
#[derive(Debug, Default)]
struct Ledger {
    sent: Vec<Sent>,
    open: BTreeMap<u16, usize>,
}

impl Ledger {
    fn accepted(&mut self, id: u16, text: String, qos: QoS, topic: &'static str) {
        if qos != Q0 {
            let reused = self.open.insert(id, self.sent.len());
            assert_eq!(reused, None, "identifier {id} is open");
        }
        self.sent.push(Sent { text, qos, topic, outcome: None, forgotten: false });
    }

    fn finished(&mut self, finished: Vec<(u16, Outcome)>) {
        for (id, outcome) in finished {
            let at = self.open.remove(&id).expect("an open identifier ends, and ends once");
            self.sent[at].outcome = Some(outcome);
        }
    }

    fn forget(&mut self) {
        self.sent.iter_mut().for_each(|sent| sent.forgotten = true);
        self.open.clear();
    }

    fn check(&self, delivered: &[String], told: &str) {
        for sent in &self.sent {
            let count = delivered.iter().filter(|text| **text == sent.text).count();
            let whole = match (sent.qos, sent.outcome) {
                (Q0, _) => count <= 1,
                (Q1, Some(Outcome::Acknowledged(ReasonCode::SUCCESS))) => count >= 1,
                (Q2, Some(Outcome::Acknowledged(ReasonCode::SUCCESS))) => count == 1,
                (Q1, Some(Outcome::Lost)) => true,
                (Q2, Some(Outcome::Lost)) => count <= 1,
                (qos, None) => sent.forgotten && (qos == Q1 || count <= 1),
                _ => false,
            };
            assert!(whole, "{told}: delivered {count} times: {sent:?}");
        }
        // First deliveries of one topic and QoS are in the order of their publishes.
        let mut seen = BTreeSet::new();
        let first: Vec<_> = delivered.iter().filter(|text| seen.insert(text.as_str())).collect();
        for qos in [Q0, Q1, Q2] {
            for topic in TOPICS {
                let ours = |sent: &&Sent| sent.qos == qos && sent.topic == topic;
                let texts: Vec<_> = self.sent.iter().filter(ours).map(|sent| &sent.text).collect();
                let places: Vec<_> =
                    first.iter().filter_map(|text| texts.iter().position(|t| t == text)).collect();
                assert!(places.is_sorted(), "{told}: {topic} {qos:?}: {places:?}");
            }
        }
    }
}

const TOPICS: [&str; 2] = ["a", "b"];

struct Run {
    pair: Pair,
    world: World,
    up: Ledger,
    down: Ledger,
    number: u32,
}

impl Run {
    fn new(world: World) -> Self {
        let [ours, theirs] = world.windows;
        let options = lasting(world.version)
            .keep_alive(60)
            .receive_maximum(ours)
            .max_in_flight(ours)
            .max_transmit(world.max_transmit)
            .ack_timeout(world.ack_timeout);
        let mut pair = Pair::new(options, world.version);
        pair.config.receive_maximum = theirs;
        pair.config.max_in_flight = theirs;
        pair.config.max_transmit = world.max_transmit;
        pair.config.ack_timeout = world.ack_timeout;
        (pair.up.capacity, pair.down.capacity) = (world.capacity, world.capacity);
        pair.connect();
        pair.run();
        Self { pair, world, up: Ledger::default(), down: Ledger::default(), number: 0 }
    }

    fn apply(&mut self, op: &Op) {
        let pair = &mut self.pair;
        match *op {
            Op::Publish { up, qos, topic } => self.publish(up, qos, TOPICS[usize::from(topic)]),
            Op::Bytes(count) => drop(pair.run_bytes(count)),
            Op::Rest => pair.run(),
            Op::Cut => pair.cut(),
            Op::Reconnect => pair.reconnect(),
            Op::Forget => {
                pair.cut();
                pair.session = None;
                self.settle();
                self.down.forget();
                // The client hears of it before the next cut: MQTT has no way to say it later,
                // since the server would find the session that this handshake begins.
                let pair = &mut self.pair;
                pair.connect();
                pair.run();
            }
            Op::Pass(time) => {
                pair.pass(time);
                pair.timeouts();
            }
        }
        self.settle();
        self.check_bounds();
    }

    fn publish(&mut self, up: bool, qos: QoS, topic: &'static str) {
        self.number += 1;
        let text = self.number.to_string();
        let message = on_topic(qos, topic, &text);
        let Pair { now, client, server, session, .. } = &mut self.pair;
        let accepted = match (up, server, session) {
            (true, ..) => client.publish(*now, message),
            (false, Some(server), _) if server.is_connected() => server.publish(*now, message),
            (false, _, Some(session)) => session.publish(*now, message).map(Some),
            // Nobody knows this client any more.
            (false, _, None) => return,
        };
        if let Ok(id) = accepted {
            let ledger = if up { &mut self.up } else { &mut self.down };
            ledger.accepted(id.map_or(0, |id| id.get()), text, qos, topic);
        }
    }

    fn settle(&mut self) {
        self.pair.poll_client();
        self.up.finished(std::mem::take(&mut self.pair.client_finished));
        self.down.finished(std::mem::take(&mut self.pair.server_finished));
    }

    fn window(&self) -> u16 {
        let [ours, theirs] = self.world.windows;
        match self.world.version {
            ProtocolVersion::V311 => ours,
            ProtocolVersion::V5 => ours.min(theirs),
        }
    }

    fn check_bounds(&mut self) {
        let pair = &mut self.pair;
        for closed in [&pair.client_closed, &pair.server_closed].into_iter().flatten() {
            use mqtt_session::CloseReason as Reason;
            let quiet = matches!(
                closed,
                Reason::KeepAliveTimeout | Reason::ConnectTimeout | Reason::AckTimeout
            );
            let told = matches!(
                closed,
                Reason::Disconnected(
                    ReasonCode::KEEP_ALIVE_TIMEOUT | ReasonCode::UNSPECIFIED_ERROR
                )
            );
            assert!(quiet || told, "{closed}");
        }
        // Two windows at most: this connection's, and what an earlier one left to be released.
        let sent = |session: &Session| {
            (1..=1000).filter(|&number| session.send_state(id(number)).is_some()).count()
        };
        let window = usize::from(self.window());
        let pair = &self.pair;
        assert!(usize::from(pair.client.send_quota()) <= window);
        if pair.client.state() == mqtt_session::ClientState::Connected {
            let taken = window - usize::from(pair.client.send_quota());
            assert!(taken <= sent(pair.client.session()), "a quota unit is gone");
        }
        // Messages up to the limit and one more; the answers of two windows and a handshake.
        let limit = self.world.max_transmit + 200;
        assert!(self.pair.client.transmit().len() <= limit);
    }

    fn finish(mut self) {
        self.pair.reconnect();
        self.pair.run();
        self.settle();
        let trace = self.pair.trace.join("\n");
        let told = format!("{:?}\n{trace}", self.world);
        assert!(self.pair.at_rest(), "{told}");
        assert!(self.up.open.is_empty() && self.down.open.is_empty(), "{told}");
        assert_eq!(self.pair.client.send_quota(), self.window(), "{told}");
        self.up.check(&self.pair.at_server, &told);
        self.down.check(&self.pair.at_client, &told);
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_promises_of_each_qos_hold(world in world(), ops in prop::collection::vec(op(), 0..120)) {
        let mut run = Run::new(world);
        for op in &ops {
            run.apply(op);
        }
        run.finish();
    }
}
