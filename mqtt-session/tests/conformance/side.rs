//! One side of a connection, whichever it is, whose peer the test plays packet by packet.
//!
//! What the statements say of a sender or a receiver holds for both roles, so most tests are written once for a
//! [`Side`] and run for a [`Client`] and for a [`Server`].

mod wire;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt_session::{
    Accept, Client, ClientOptions, CloseReason, CommandError, Instant, Outcome, PublishError,
    Receipt, Server, ServerConfig, Session,
    proto::{
        Auth, ConnAck, Connect, Decoder, Disconnect, Packet, PacketId, Properties, Property,
        PropertyId, ProtocolVersion, Publication, Publish, QoS, ReasonCode, Role, Str,
    },
};

pub(crate) use crate::peer::{ack, no_more, puback, pubcomp, pubrec, pubrel};

use crate::common::{filters, lasting, publication};

pub(crate) use ProtocolVersion::{V5, V311};
pub(crate) use Role::{Client as CLIENT, Server as SERVER};

pub(crate) const ROLES: [Role; 2] = [CLIENT, SERVER];
pub(crate) const SUCCESS: Outcome = Outcome::Acknowledged(ReasonCode::SUCCESS);

/// The statements of one assertion.
pub(crate) type Ids<'a> = &'a [&'a str];

/// The statements of each version.
pub(crate) const fn by_version<'a>(v311: Ids<'a>, v5: Ids<'a>) -> [(ProtocolVersion, Ids<'a>); 2] {
    [(V311, v311), (V5, v5)]
}

/// What the side under test allows, in the words of either role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) receive_maximum: u16,
    pub(crate) max_packet_size: u32,
    pub(crate) topic_alias_maximum: u16,
    /// How many aliases it uses for what it sends.
    pub(crate) outbound_topic_aliases: u16,
    /// How many messages it sends at a time at most.
    pub(crate) max_in_flight: u16,
    /// How many it keeps.
    pub(crate) max_pending: u16,
    pub(crate) max_transmit: usize,
    /// Whether the application acknowledges when the test says so; at a server it always does, here at once if not.
    pub(crate) manual: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            receive_maximum: 1024,
            max_packet_size: 1 << 20,
            topic_alias_maximum: 16,
            outbound_topic_aliases: 0,
            max_in_flight: 100,
            max_pending: 1000,
            max_transmit: 256 * 1024,
            manual: false,
        }
    }
}

/// The side under test.
pub(crate) struct Side {
    pub(crate) role: Role,
    pub(crate) version: ProtocolVersion,
    pub(crate) now: Instant,
    /// The properties of the peer's CONNECT or CONNACK.
    pub(crate) peer: Vec<Property<'static>>,
    /// What the peer of a server says in its CONNECT beside them.
    pub(crate) keep_alive: u16,
    pub(crate) clean_start: bool,
    pub(crate) accept: Accept,
    pub(crate) config: ServerConfig,
    pub(crate) max_pending: u16,
    /// What the broker answers to CONNECT instead of accepting it.
    pub(crate) refusal: Option<ReasonCode>,
    /// Whether it answers CONNECT at all.
    pub(crate) answers_connect: bool,
    /// Whether the acknowledgement is left to the application; a server leaves it to its broker.
    manual: bool,
    /// How the application answers each message; `None` for later.
    pub(crate) verdict: Option<ReasonCode>,
    pub(crate) machine: Machine,
    /// What a broker keeps between two connections.
    session: Option<Session>,
    decoder: Decoder,
    written: BytesMut,
    inbox: BytesMut,
    said: Vec<Packet<Bytes>>,
    /// CONNECT or CONNACK.
    pub(crate) greeting: Option<Packet<Bytes>>,
    pub(crate) delivered: Vec<Publish<Bytes>>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) finished: Vec<(u16, Outcome)>,
    /// SUBACK and UNSUBACK as a client's application hears of them, SUBSCRIBE and UNSUBSCRIBE as a broker does.
    pub(crate) requests: Vec<Packet<Bytes>>,
    pub(crate) connects: usize,
    /// AUTH as the application hears of it.
    pub(crate) auths: Vec<Auth<Bytes>>,
    /// What a client's application was told of the server's words.
    pub(crate) connacks: Vec<ConnAck<Bytes>>,
    pub(crate) refused: Option<ConnAck<Bytes>>,
    pub(crate) dismissed: Option<Disconnect<Bytes>>,
    /// Whether the peer of a server said good-bye.
    pub(crate) farewell: Option<ReasonCode>,
    pub(crate) closed: Option<CloseReason>,
}

pub(crate) enum Machine {
    Client(Box<Client>),
    /// None before the first connection.
    Server(Option<Box<Server>>),
}

impl Side {
    /// Not connected yet. Its session lasts.
    pub(crate) fn new(role: Role, version: ProtocolVersion) -> Self {
        Self::limited(role, version, Limits::default())
    }

    pub(crate) fn limited(role: Role, version: ProtocolVersion, limits: Limits) -> Self {
        let Limits {
            receive_maximum,
            max_packet_size,
            topic_alias_maximum,
            outbound_topic_aliases,
            max_in_flight,
            max_pending,
            max_transmit,
            manual,
        } = limits;
        let mut side = match role {
            CLIENT => Self::client(
                lasting(version)
                    .receive_maximum(receive_maximum)
                    .max_packet_size(max_packet_size)
                    .topic_alias_maximum(topic_alias_maximum)
                    .outbound_topic_aliases(outbound_topic_aliases)
                    .max_in_flight(max_in_flight)
                    .max_pending(max_pending)
                    .max_transmit(max_transmit)
                    .manual_acknowledgement(manual),
                version,
            ),
            SERVER => {
                let mut side = Self::of(Machine::Server(None), role, version);
                side.max_pending = max_pending;
                side.config = ServerConfig {
                    receive_maximum,
                    max_packet_size,
                    topic_alias_maximum,
                    outbound_topic_aliases,
                    max_in_flight,
                    max_transmit,
                    ..ServerConfig::default()
                };
                side
            }
        };
        side.manual = manual || role == SERVER;
        side.verdict = (!manual).then_some(ReasonCode::SUCCESS);
        side
    }

    /// A connected side whose application has not made up its mind about any message.
    pub(crate) fn undecided(role: Role, version: ProtocolVersion) -> Self {
        Self::limited(role, version, Limits { manual: true, ..Limits::default() }).opened()
    }

    pub(crate) fn client(options: ClientOptions, version: ProtocolVersion) -> Self {
        let client = Client::new(options.version(version)).expect("legal options");
        Self::of(Machine::Client(Box::new(client)), CLIENT, version)
    }

    fn of(machine: Machine, role: Role, version: ProtocolVersion) -> Self {
        Self {
            role,
            version,
            now: Instant::ZERO,
            peer: Vec::new(),
            keep_alive: 0,
            clean_start: false,
            accept: Accept::default(),
            config: ServerConfig::default(),
            max_pending: 1000,
            refusal: None,
            answers_connect: true,
            manual: role == SERVER,
            verdict: Some(ReasonCode::SUCCESS),
            machine,
            session: None,
            decoder: Decoder::new(role, version),
            written: BytesMut::new(),
            inbox: BytesMut::new(),
            said: Vec::new(),
            greeting: None,
            delivered: Vec::new(),
            receipts: Vec::new(),
            finished: Vec::new(),
            requests: Vec::new(),
            connects: 0,
            auths: Vec::new(),
            connacks: Vec::new(),
            refused: None,
            dismissed: None,
            farewell: None,
            closed: None,
        }
    }

    /// A connected side with defaults.
    pub(crate) fn connected(role: Role, version: ProtocolVersion) -> Self {
        Self::new(role, version).opened()
    }

    /// A connected side.
    pub(crate) fn opened(mut self) -> Self {
        self.open();
        self
    }

    /// With these properties in the peer's CONNECT or CONNACK.
    pub(crate) fn told(mut self, peer: &[Property<'static>]) -> Self {
        self.peer = peer.to_vec();
        self
    }

    /// The first connection, or one whose session the peer has lost.
    pub(crate) fn open(&mut self) {
        self.connect(false);
    }

    /// Loses the connection and resumes the session over another.
    pub(crate) fn resume(&mut self) {
        self.cut();
        self.connect(true);
    }

    /// Opens a network connection, without a word of the peer.
    pub(crate) fn dial(&mut self) {
        self.cut();
        (self.written, self.inbox) = (BytesMut::new(), BytesMut::new());
        self.decoder = Decoder::new(self.role, self.version);
        (self.closed, self.farewell, self.greeting) = (None, None, None);
        self.said.clear();
        match &mut self.machine {
            Machine::Client(client) => client.handle_connected(self.now),
            Machine::Server(server) => {
                *server = Some(Box::new(Server::new(self.config, self.now)));
            }
        }
        self.collect();
        if self.role == CLIENT {
            self.greeting = self.said.pop();
        }
    }

    /// `present` is what the CONNACK of a played server says.
    pub(crate) fn connect(&mut self, present: bool) {
        self.dial();
        match self.role {
            CLIENT => {
                let connack = self.connack(present);
                self.hear(&connack);
            }
            SERVER => {
                let connect = self.connect_packet();
                self.hear(&connect);
                self.collect();
                if !self.said.is_empty() {
                    self.greeting = Some(self.said.remove(0));
                }
            }
        }
    }

    pub(crate) fn connack(&self, session_present: bool) -> Packet<Bytes> {
        let v5 = self.version == V5;
        let properties = self.peer.iter().copied().filter(|_| v5);
        Packet::ConnAck(
            ConnAck::accepted(session_present)
                .with_properties(Properties::new(properties).expect("legal")),
        )
    }

    pub(crate) fn connect_packet(&self) -> Packet<Bytes> {
        let lasts = Property::SessionExpiryInterval(u32::MAX);
        let expiry = |property: &Property<'_>| property.id() == PropertyId::SessionExpiryInterval;
        let said = self.peer.iter().any(expiry);
        let properties = self.peer.iter().copied().chain((!said).then_some(lasts));
        let v5 = self.version == V5;
        let mut connect = Connect::new(self.version, Str::try_from("c").expect("a string"));
        connect.clean_start = self.clean_start;
        connect.keep_alive = self.keep_alive;
        connect.properties = Properties::new(properties.filter(|_| v5)).expect("legal");
        connect.to_packet().expect("encodable")
    }

    /// The network connection is gone.
    pub(crate) fn cut(&mut self) {
        self.collect();
        match &mut self.machine {
            Machine::Client(client) => client.handle_closed(self.now),
            Machine::Server(server) => {
                if let Some(mut server) = server.take() {
                    let lasts = server.session_expiry() > 0;
                    if let Some(session) = server.take_session() {
                        self.session = Some(session).filter(|_| lasts);
                    }
                }
            }
        }
        self.poll();
        self.said.clear();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        match &mut self.machine {
            Machine::Client(client) => client.handle_timeout(self.now),
            Machine::Server(Some(server)) => {
                let reason = server.handle_timeout(self.now);
                self.closed = self.closed.take().or(reason);
            }
            Machine::Server(None) => {}
        }
        self.poll();
    }

    /// The broker accepts the CONNECT that came.
    pub(crate) fn accept(&mut self) {
        let Machine::Server(Some(server)) = &mut self.machine else { panic!("no server") };
        let kept = self.session.take().filter(|_| !self.clean_start);
        let accept = Accept { session_present: kept.is_some(), ..self.accept.clone() };
        let session = kept.unwrap_or_else(|| Session::new(self.max_pending));
        let finished = &mut self.finished;
        let ended = |id: PacketId, how| finished.push((id.get(), how));
        if server.accept(self.now, session, &accept, ended).is_err() {
            self.closed = Some(server.reject(self.now, ReasonCode::PACKET_TOO_LARGE));
        }
    }

    pub(crate) fn try_publish(
        &mut self,
        publication: Publication<Bytes>,
    ) -> Result<u16, PublishError> {
        let published = match &mut self.machine {
            Machine::Client(client) => client.publish(self.now, publication),
            Machine::Server(Some(server)) => server.publish(self.now, publication),
            // A broker's message for a client that is away.
            Machine::Server(None) => {
                let kept = self.session.as_mut().ok_or(PublishError::NotConnected)?;
                kept.publish(self.now, publication).map(Some)
            }
        };
        self.poll();
        published.map(|id| id.map_or(0, PacketId::get))
    }

    pub(crate) fn publish(&mut self, qos: QoS, text: &str) -> u16 {
        self.try_publish(publication(qos, text)).expect("room")
    }

    /// A client's request.
    pub(crate) fn subscribe(&mut self, texts: &[&str]) -> Result<u16, CommandError> {
        let now = self.now;
        self.as_client().subscribe(now, filters(texts), Properties::EMPTY).map(PacketId::get)
    }

    pub(crate) fn unsubscribe(&mut self, texts: &[&str]) -> Result<u16, CommandError> {
        let now = self.now;
        self.as_client().unsubscribe(now, no_more(texts), Properties::EMPTY).map(PacketId::get)
    }

    /// Says good-bye with this code.
    pub(crate) fn disconnect(&mut self, reason: ReasonCode) {
        match &mut self.machine {
            Machine::Client(client) => client.disconnect(self.now, reason),
            Machine::Server(Some(server)) => self.closed = Some(server.close(self.now, reason)),
            Machine::Server(None) => {}
        }
        self.poll();
    }

    /// The application answers the message that came as the `at`th of those without an answer.
    pub(crate) fn acknowledge(
        &mut self,
        at: usize,
        reason: ReasonCode,
    ) -> Result<(), CommandError> {
        let receipt = self.receipts[at];
        match &mut self.machine {
            Machine::Client(client) => client.acknowledge(self.now, receipt, reason),
            Machine::Server(Some(server)) => server.acknowledge(self.now, receipt, reason),
            Machine::Server(None) => Err(CommandError::NotConnected),
        }
    }

    pub(crate) fn as_client(&mut self) -> &mut Client {
        match &mut self.machine {
            Machine::Client(client) => client,
            Machine::Server(_) => panic!("a server"),
        }
    }

    pub(crate) fn as_server(&mut self) -> &mut Server {
        match &mut self.machine {
            Machine::Server(Some(server)) => server,
            Machine::Server(None) | Machine::Client(_) => panic!("no server"),
        }
    }

    pub(crate) fn session(&self) -> &Session {
        match &self.machine {
            Machine::Client(client) => client.session(),
            Machine::Server(Some(server)) => server.session().expect("accepted"),
            Machine::Server(None) => self.session.as_ref().expect("kept"),
        }
    }

    /// How many identifiers are in use.
    pub(crate) fn open_exchanges(&self) -> usize {
        self.session().open()
    }

    /// Whether the peer may still say something.
    pub(crate) fn is_open(&self) -> bool {
        self.closed.is_none() && self.farewell.is_none()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Client(client) => client.poll_timeout(),
            Machine::Server(server) => server.as_ref()?.poll_timeout(),
        }
    }

    /// "client 5.0: …", for the report of an assertion.
    pub(crate) fn which(&self) -> String {
        format!("{:?} {}", self.role, self.version)
    }
}
