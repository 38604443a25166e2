//! What `poll_timeout` promises a driver: a time that has come is dealt with by one call, so that
//! nobody turns in circles, and an idle side has none.

mod common;

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use common::{
    Q1, Q2, connack, expiring, filters, id,
    lone::{Lone, Setup},
    publication, publish,
};
use mqtt_session::{
    Backoff, ClientDriver, ClientOptions, CloseReason, ConnectionState, DriverAction, Instant,
    Overflow, Request,
    proto::{Ack, Packet, Properties, Property, ProtocolVersion, ReasonCode, Role},
};
use proptest::prelude::*;

use ProtocolVersion::{V5, V311};

/// What happens to a side; whatever is not legal then ends the connection.
#[derive(Clone, Debug)]
enum Op {
    Open,
    Connect,
    Cut,
    Publish {
        qos_2: bool,
        expiry: Option<u32>,
    },
    Subscribe,
    Hear(Heard),
    /// Acknowledges the oldest message that waits for it.
    Acknowledge,
    Write(usize),
    /// Lets so much time pass, without a look at the deadline.
    Pass(Duration),
    /// Waits for the deadline.
    Wait,
    Disconnect,
}

#[derive(Clone, Copy, Debug)]
enum Heard {
    Connack,
    Publish(bool, u16),
    PubAck(u16),
    PubRec(u16),
    PubRel(u16),
    PubComp(u16),
    PingResp,
}

fn heard() -> impl Strategy<Value = Heard> {
    let id = || 1..6u16;
    prop_oneof![
        Just(Heard::Connack),
        (any::<bool>(), id()).prop_map(|(qos_2, id)| Heard::Publish(qos_2, id)),
        id().prop_map(Heard::PubAck),
        id().prop_map(Heard::PubRec),
        id().prop_map(Heard::PubRel),
        id().prop_map(Heard::PubComp),
        Just(Heard::PingResp),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Open),
        3 => Just(Op::Connect),
        1 => Just(Op::Cut),
        6 => (any::<bool>(), prop::option::of(0..4u32))
            .prop_map(|(qos_2, expiry)| Op::Publish { qos_2, expiry }),
        1 => Just(Op::Subscribe),
        6 => heard().prop_map(Op::Hear),
        2 => Just(Op::Acknowledge),
        4 => (0..200usize).prop_map(Op::Write),
        4 => prop::sample::select(vec![0, 1, 999_999, 1_000_000, 5_000_000])
            .prop_map(|micros| Op::Pass(Duration::from_micros(micros))),
        8 => Just(Op::Wait),
        1 => Just(Op::Disconnect),
    ]
}

fn time() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![0, 1, 1_000_000, 3_000_000]).prop_map(Duration::from_micros)
}

fn setup() -> impl Strategy<Value = Setup> {
    let times = (time(), time(), prop::option::of(time()), 0..3u16);
    let role = prop::sample::select(vec![Role::Client, Role::Server]);
    let version = prop::sample::select(vec![V311, V5]);
    let policy =
        prop::sample::select(vec![Overflow::Refuse, Overflow::DropOldest, Overflow::DropNewest]);
    (role, version, times, any::<bool>(), policy).prop_map(
        |(role, version, (connect, ping, ack, keep_alive), tiny, policy)| {
            let setup = Setup::new(role, version).max_in_flight(2).keep_alive(keep_alive);
            let mut setup = setup.ack_timeout(ack).options(|options| {
                let options = options.connect_timeout(connect).ping_timeout(ping);
                options.max_pending(4).overflow(policy)
            });
            setup.config.connect_timeout = connect;
            setup.config.max_queued = 4;
            if tiny && version == V5 {
                // Not even a PINGREQ.
                setup = setup.told(&[Property::MaximumPacketSize(1)]);
            }
            setup
        },
    )
}

fn packet(heard: Heard) -> Packet<Bytes> {
    match heard {
        Heard::Connack => connack(true, &[]),
        Heard::Publish(true, id) => publish(Q2, id, "x"),
        Heard::Publish(false, id) => publish(Q1, id, "x"),
        Heard::PubAck(number) => Packet::PubAck(Ack::success(id(number))),
        Heard::PubRec(number) => Packet::PubRec(Ack::success(id(number))),
        Heard::PubRel(number) => Packet::PubRel(Ack::success(id(number))),
        Heard::PubComp(number) => Packet::PubComp(Ack::success(id(number))),
        Heard::PingResp => Packet::PingResp,
    }
}

fn apply(lone: &mut Lone, op: &Op) {
    let client = lone.is_client();
    match op {
        Op::Open => {
            lone.cut();
            lone.open();
        }
        Op::Connect => {
            lone.cut();
            lone.open();
            if client {
                let properties = &lone.setup.peer.clone();
                lone.hear(&connack(false, properties));
            } else {
                lone.hear(&lone.connect_packet());
                if !lone.setup.peer.contains(&Property::MaximumPacketSize(1)) {
                    lone.accept();
                }
            }
        }
        Op::Cut => lone.cut(),
        Op::Publish { qos_2, expiry } => {
            let qos = if *qos_2 { Q2 } else { Q1 };
            let message = match (expiry, lone.version) {
                (Some(seconds), V5) => expiring(qos, "x", *seconds),
                _ => publication(qos, "x"),
            };
            let _ = lone.try_publish(message);
        }
        Op::Subscribe if client => {
            let _ = lone.client.subscribe(lone.now, filters(&["a"]), Properties::EMPTY);
        }
        Op::Hear(heard) => {
            // A client has no CONNACK to say.
            if lone.closed.is_none()
                && (client || !matches!(heard, Heard::Connack | Heard::PingResp))
            {
                lone.hear(&packet(*heard));
            }
        }
        Op::Acknowledge => {
            if let Some(receipt) = lone.delivered.iter_mut().find_map(|(_, receipt)| receipt.take())
            {
                let _ = lone.acknowledge(receipt, ReasonCode::SUCCESS);
            }
        }
        Op::Write(bytes) => lone.write(*bytes),
        Op::Pass(time) => lone.pass(*time),
        Op::Wait => {
            if let Some(deadline) = lone.deadline() {
                lone.now = lone.now.max(deadline);
                lone.timeout();
                let next = lone.deadline();
                assert!(next.is_none_or(|next| next > lone.now), "{next:?} at {:?}", lone.now);
            }
        }
        Op::Disconnect if client => {
            lone.client.disconnect(lone.now, ReasonCode::SUCCESS);
            lone.act();
        }
        Op::Subscribe | Op::Disconnect => {}
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_deadline_that_came_is_over(setup in setup(), ops in prop::collection::vec(op(), 0..60)) {
        let mut lone = setup.build();
        for op in &ops {
            apply(&mut lone, op);
        }
        // Left alone it comes to rest, or does one thing after another in a time of its own.
        lone.timeout();
        let next = lone.deadline();
        prop_assert!(next.is_none_or(|next| next > lone.now), "{:?} at {:?}", next, lone.now);
    }
}

/// A driver with callers that are numbers.
struct Bench {
    driver: ClientDriver<usize>,
    now: Instant,
    asked: usize,
    ended: Vec<usize>,
    closing: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Connect {
        present: bool,
    },
    ConnectFailed,
    Lose,
    /// So many callers at once: the adapter looks at what there is to do after them.
    Publish {
        callers: usize,
        qos_2: bool,
        expiry: Option<u32>,
    },
    Subscribe,
    Hear(Heard),
    Pass(Duration),
    Wait,
    Disconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<bool>().prop_map(|present| Step::Connect { present }),
        1 => Just(Step::ConnectFailed),
        2 => Just(Step::Lose),
        6 => (1..4usize, any::<bool>(), prop::option::of(0..4u32))
            .prop_map(|(callers, qos_2, expiry)| Step::Publish { callers, qos_2, expiry }),
        2 => Just(Step::Subscribe),
        4 => heard().prop_map(Step::Hear),
        4 => prop::sample::select(vec![0, 1, 1_000_000, 5_000_000])
            .prop_map(|micros| Step::Pass(Duration::from_micros(micros))),
        8 => Just(Step::Wait),
        1 => Just(Step::Disconnect),
    ]
}

impl Bench {
    fn act(&mut self) {
        while let Some(action) = self.driver.poll_action() {
            match action {
                DriverAction::Complete(waiter, _) => self.ended.push(waiter),
                DriverAction::Close { .. } => self.closing = true,
                _ => {}
            }
        }
        let transmit = self.driver.transmit();
        transmit.advance(transmit.remaining());
        if std::mem::take(&mut self.closing) {
            self.driver.handle_closed(self.now);
            self.act();
        }
    }

    fn hear(&mut self, packet: &Packet<Bytes>) {
        let mut bytes = BytesMut::new();
        packet.encode(V5, &mut bytes).expect("legal");
        self.driver.handle_input(self.now, &mut bytes);
        self.act();
    }

    fn request(&mut self, request: Request) {
        self.driver.request(self.now, request, self.asked);
        self.asked += 1;
    }

    fn apply(&mut self, step: &Step) {
        match step {
            // The adapter opens a connection only when it is asked to, or at first.
            Step::Connect { .. } | Step::ConnectFailed
                if matches!(self.driver.state(), ConnectionState::Closed(_)) => {}
            Step::Connect { present } => {
                self.driver.handle_closed(self.now);
                self.act();
                if !matches!(self.driver.state(), ConnectionState::Closed(_)) {
                    self.driver.handle_connected(self.now);
                    self.hear(&connack(*present, &[]));
                }
            }
            Step::ConnectFailed => self.driver.handle_connect_failed(self.now),
            Step::Lose => self.driver.handle_closed(self.now),
            Step::Publish { callers, qos_2, expiry } => {
                let qos = if *qos_2 { Q2 } else { Q1 };
                for _ in 0..*callers {
                    self.request(Request::Publish(match expiry {
                        Some(seconds) => expiring(qos, "x", *seconds),
                        None => publication(qos, "x"),
                    }));
                }
            }
            Step::Subscribe => {
                let (filters, properties) = (filters(&["a"]), Properties::EMPTY);
                self.request(Request::Subscribe { filters, properties });
            }
            Step::Hear(heard) => self.hear(&packet(*heard)),
            Step::Pass(time) => self.now = self.now + *time,
            Step::Wait => {
                if let Some(deadline) = self.driver.poll_timeout() {
                    self.now = self.now.max(deadline);
                    self.driver.handle_timeout(self.now);
                    self.act();
                    let next = self.driver.poll_timeout();
                    assert!(next.is_none_or(|next| next > self.now), "{next:?} at {:?}", self.now);
                }
            }
            Step::Disconnect => self.driver.disconnect(self.now, ReasonCode::SUCCESS),
        }
        self.act();
        if matches!(self.driver.state(), ConnectionState::Closed(_)) {
            assert_eq!(self.driver.poll_timeout(), None, "all is over");
        }
    }
}

fn driver_options() -> impl Strategy<Value = ClientOptions> {
    let policy =
        prop::sample::select(vec![Overflow::Refuse, Overflow::DropOldest, Overflow::DropNewest]);
    (time(), time(), prop::option::of(time()), any::<bool>(), 0..3u16, policy).prop_map(
        |(request, ping, ack, reconnects, keep_alive, policy)| {
            let backoff = Backoff::new(Duration::from_micros(1), Duration::from_secs(2));
            ClientOptions::new("c")
                .session_expiry(60)
                .keep_alive(keep_alive)
                .request_timeout(request)
                .ping_timeout(ping)
                .ack_timeout(ack)
                .max_pending(3)
                .max_in_flight(2)
                .overflow(policy)
                .reconnect(reconnects.then_some(backoff))
        },
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_deadline_of_a_driver_that_came_is_over_and_every_call_ends_once(
        options in driver_options(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let driver = ClientDriver::new(options, 7).expect("legal options");
        let (asked, ended, closing) = (0, Vec::new(), false);
        let mut bench = Bench { driver, now: Instant::ZERO, asked, ended, closing };
        bench.driver.handle_connected(bench.now);
        bench.act();
        for step in &steps {
            bench.apply(step);
        }
        bench.apply(&Step::Disconnect);
        bench.apply(&Step::Lose);
        prop_assert!(matches!(bench.driver.state(), ConnectionState::Closed(_)));
        bench.ended.sort_unstable();
        prop_assert_eq!(bench.ended, (0..bench.asked).collect::<Vec<_>>());
    }
}

#[test]
fn a_side_that_has_ended_has_no_deadline() {
    for (role, version) in common::lone::sides() {
        let ack_timeout = Some(Duration::from_secs(1));
        let mut lone = Setup::new(role, version).ack_timeout(ack_timeout).connected();
        lone.publish(Q1, "x");
        assert!(lone.deadline().is_some());
        match role {
            Role::Client => lone.client.disconnect(lone.now, ReasonCode::SUCCESS),
            Role::Server => {
                let now = lone.now;
                let reason = lone.server().close(now, ReasonCode::SUCCESS);
                assert_eq!(reason, CloseReason::Requested(ReasonCode::SUCCESS));
            }
        }
        assert_eq!(lone.deadline(), None, "{role:?} {version}");
        lone.cut();
        assert_eq!(lone.deadline(), None, "{role:?} {version}");
    }
}
