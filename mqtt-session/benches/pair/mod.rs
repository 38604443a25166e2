//! A client and a server joined by two wires in memory, and messages from one to the other: what
//! the benches of this crate measure.

// Each bench is a crate of its own and uses a part of this.
#![allow(dead_code, unreachable_pub)]

use std::hint::black_box;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_session::{
    Accept, Client, ClientAction, ClientOptions, Instant, Outcome, Server, ServerAction,
    ServerConfig, Session, Transmit,
    proto::{ProtocolVersion, Publication, QoS, ReasonCode, Status, TopicName},
};

const NOW: Instant = Instant::ZERO;
/// How much one write or read moves at most. No larger, as valgrind counts the bytes of long
/// copies.
const PIECE: usize = 2048;
const TOPIC: &str = "plant/7/line/3/temperature";
const PAYLOAD: [u8; 64] = [b'x'; 64];

/// How many messages are in flight at a time.
pub const WINDOWS: [u16; 3] = [1, 100, 65_535];

/// Messages of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub version: ProtocolVersion,
    pub qos: QoS,
    pub receiver: Receiver,
}

/// Who gets the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    Server,
    Client,
}

impl Case {
    /// As it stands in `budgets.tsv`.
    pub fn name(&self) -> String {
        let version = if self.version == ProtocolVersion::V311 { "v4" } else { "v5" };
        let receiver = if self.receiver == Receiver::Server { "server" } else { "client" };
        format!("qos{}_to_{receiver}_{version}", self.qos.bits())
    }
}

/// All that are measured.
pub fn cases() -> impl Iterator<Item = Case> {
    let versions = [ProtocolVersion::V311, ProtocolVersion::V5].into_iter();
    let receivers = |version| [Receiver::Server, Receiver::Client].map(|to| (version, to));
    versions.flat_map(receivers).flat_map(|(version, receiver)| {
        [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| Case {
            version,
            qos,
            receiver,
        })
    })
}

/// Bytes under way.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
    /// How many were read already.
    read: usize,
}

impl Wire {
    fn write(&mut self, transmit: &mut Transmit) {
        while !transmit.is_empty() {
            let count = transmit.len().min(PIECE);
            self.bytes.extend_from_slice(&transmit.chunk()[..count]);
            transmit.advance(count);
        }
    }

    /// Whether there was anything to read.
    fn read(&mut self, src: &mut BytesMut) -> bool {
        let count = (self.bytes.len() - self.read).min(PIECE);
        src.extend_from_slice(&self.bytes[self.read..][..count]);
        self.read += count;
        if self.read == self.bytes.len() {
            self.bytes.clear();
            self.read = 0;
        }
        count > 0
    }
}

/// How many messages came, and how many were acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    delivered: usize,
    finished: usize,
}

/// A connection with nothing under way.
pub struct Pair {
    pub client: Client,
    pub server: Server,
    up: Wire,
    down: Wire,
    client_src: BytesMut,
    server_src: BytesMut,
    /// The same topic and payload for all messages, made once as a program would.
    message: Publication<Bytes>,
    counts: Counts,
}

impl Pair {
    /// With room for so many messages in flight, in either direction.
    pub fn connected(version: ProtocolVersion, window: u16) -> Self {
        let options = ClientOptions::new("bench")
            .version(version)
            .receive_maximum(window)
            .max_in_flight(window)
            .max_pending(window);
        let config = ServerConfig {
            receive_maximum: window,
            max_in_flight: window,
            max_queued: window,
            ..ServerConfig::default()
        };
        let mut client = Client::new(options).expect("legal options");
        client.handle_connected(NOW);
        let topic = TopicName::try_from(TOPIC).expect("a topic name");
        let mut pair = Self {
            client,
            server: Server::new(config, NOW),
            up: Wire::default(),
            down: Wire::default(),
            client_src: BytesMut::with_capacity(2 * PIECE),
            server_src: BytesMut::with_capacity(2 * PIECE),
            message: Publication::new(topic, Bytes::from_static(&PAYLOAD)),
            counts: Counts::default(),
        };
        pair.write();
        pair.settle();
        assert!(pair.server.is_connected());
        pair
    }

    /// As many messages as the window has room for: all of them are sent before the first is read,
    /// and then everything is handled until both sides rest.
    pub fn exchange(&mut self, case: Case, window: u16) {
        self.counts = Counts::default();
        for _ in 0..window {
            self.publish(case);
        }
        self.write();
        if case.qos > QoS::AtMostOnce {
            assert_eq!(self.open(case.receiver), usize::from(window), "{case:?}");
        }
        self.settle();
        let acknowledged = if case.qos == QoS::AtMostOnce { 0 } else { window.into() };
        let expected = Counts { delivered: window.into(), finished: acknowledged };
        assert_eq!(self.counts, expected, "{case:?}");
        assert!(self.rests(), "{case:?}");
    }

    #[inline(never)]
    fn publish(&mut self, case: Case) {
        let message = self.message.clone().with_qos(case.qos);
        let (id, transmit) = match case.receiver {
            Receiver::Server => (self.client.publish(NOW, message), self.client.transmit()),
            Receiver::Client => (self.server.publish(NOW, message), self.server.transmit()),
        };
        black_box(id.expect("room"));
        if transmit.len() >= PIECE {
            self.write();
        }
    }

    /// Everything that waits to be transmitted, by either side.
    fn write(&mut self) {
        self.up.write(self.client.transmit());
        self.down.write(self.server.transmit());
    }

    /// Reads and answers until nothing is under way.
    fn settle(&mut self) {
        loop {
            let up = self.up.read(&mut self.server_src);
            if up {
                self.serve();
                self.server.handle_flushed(NOW, |id, outcome| panic!("{id}: {outcome:?}"));
                self.down.write(self.server.transmit());
            }
            let down = self.down.read(&mut self.client_src);
            if down {
                self.client.handle_input(NOW, &mut self.client_src);
                self.poll_client();
                self.up.write(self.client.transmit());
            }
            if !up && !down {
                return;
            }
        }
    }

    #[inline(never)]
    fn serve(&mut self) {
        let mut used = 0;
        while let Ok(Status::Ready((packet, len))) =
            self.server.decode(NOW, &self.server_src[used..])
        {
            used += len;
            match self.server.handle_packet(NOW, packet) {
                None => {}
                Some(ServerAction::Connect(_)) => {
                    let session = Session::new(u16::MAX);
                    let accept = Accept::default();
                    self.server.accept(NOW, session, &accept, |_, _| {}).expect("a CONNECT");
                }
                Some(ServerAction::Publish(inbound)) => {
                    black_box(&inbound.publish());
                    self.counts.delivered += 1;
                    if let Some(receipt) = inbound.receipt() {
                        let answered = self.server.acknowledge(NOW, receipt, ReasonCode::SUCCESS);
                        answered.expect("it is owed");
                    }
                }
                Some(ServerAction::Finished { outcome, .. }) => self.finished(outcome),
                Some(action) => panic!("{action:?}"),
            }
        }
        self.server_src.advance(used);
    }

    #[inline(never)]
    fn poll_client(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                ClientAction::Connected(_) => {}
                ClientAction::Deliver { publish, .. } => {
                    black_box(&publish.message);
                    self.counts.delivered += 1;
                }
                ClientAction::Finished { outcome, .. } => self.finished(outcome),
                action => panic!("{action:?}"),
            }
        }
    }

    fn finished(&mut self, outcome: Outcome) {
        assert_eq!(outcome, Outcome::Acknowledged(ReasonCode::SUCCESS));
        self.counts.finished += 1;
    }

    /// How many messages to this receiver are not acknowledged.
    fn open(&self, receiver: Receiver) -> usize {
        match receiver {
            Receiver::Server => self.client.session().open(),
            Receiver::Client => self.server.session().map_or(0, Session::open),
        }
    }

    /// Whether nothing is open on either side, and nothing under way.
    fn rests(&mut self) -> bool {
        let rests = |session: &Session| session.open() == 0 && session.received().is_empty();
        rests(self.client.session())
            && self.server.session().is_some_and(rests)
            && self.client.transmit().is_empty()
            && self.server.transmit().is_empty()
            && self.client_src.is_empty()
            && self.server_src.is_empty()
    }
}
