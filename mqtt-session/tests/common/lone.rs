//! One side alone, of either role; the test is the other one.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_session::{
    Accept, Client, ClientAction, ClientOptions, ClientState, CloseReason, CommandError, Instant,
    JournalEntry, Outcome, PublishError, Receipt, Server, ServerAction, ServerConfig, Session,
    proto::{
        ConnAck, Connect, Decoder, Packet, PacketId, Properties, Property, ProtocolVersion,
        Publication, QoS, ReasonCode, Role, Status, Str,
    },
};

use super::{describe, lasting, publication};

pub const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Both roles in both versions.
pub fn sides() -> impl Iterator<Item = (Role, ProtocolVersion)> {
    ROLES.into_iter().flat_map(|role| super::VERSIONS.map(|version| (role, version)))
}

/// How a side is made; the same words for both roles.
#[derive(Clone, Debug)]
pub struct Setup {
    pub role: Role,
    pub version: ProtocolVersion,
    pub options: ClientOptions,
    pub config: ServerConfig,
    /// What the other side says of itself, in CONNECT or CONNACK.
    pub peer: Vec<Property<'static>>,
    keep_alive: u16,
}

impl Setup {
    /// A session that lasts, without a keep alive; a client acknowledges by hand, as a server does.
    pub fn new(role: Role, version: ProtocolVersion) -> Self {
        let options = lasting(version).manual_acknowledgement(true);
        let peer = match (role, version) {
            (Role::Server, ProtocolVersion::V5) => {
                vec![Property::SessionExpiryInterval(u32::MAX)]
            }
            _ => Vec::new(),
        };
        let config = ServerConfig::default();
        Self { role, version, options, config, peer, keep_alive: 0 }
    }

    pub fn options(mut self, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// What the other side says beside.
    pub fn told(mut self, properties: &[Property<'static>]) -> Self {
        self.peer.extend_from_slice(properties);
        self
    }

    /// How many messages this side takes at a time.
    pub fn receive_maximum(mut self, messages: u16) -> Self {
        self.options = self.options.receive_maximum(messages);
        self.config.receive_maximum = messages;
        self
    }

    /// How many messages this side sends at a time.
    pub fn max_in_flight(mut self, messages: u16) -> Self {
        self.options = self.options.max_in_flight(messages);
        self.config.max_in_flight = messages;
        self
    }

    pub fn keep_alive(mut self, seconds: u16) -> Self {
        self.options = self.options.keep_alive(seconds);
        self.keep_alive = seconds;
        self
    }

    pub fn max_transmit(mut self, bytes: usize) -> Self {
        self.options = self.options.max_transmit(bytes);
        self.config.max_transmit = bytes;
        self
    }

    pub fn ack_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options = self.options.ack_timeout(timeout);
        self.config.ack_timeout = timeout;
        self
    }

    /// Not connected yet.
    pub fn build(self) -> Lone {
        let client = Client::new(self.options.clone()).expect("legal options");
        let (reader, version) = (Decoder::new(self.role, self.version), self.version);
        Lone {
            setup: self,
            version,
            now: Instant::ZERO,
            client,
            server: None,
            session: None,
            reader,
            inbox: BytesMut::new(),
            unread: BytesMut::new(),
            delivered: Vec::new(),
            finished: Vec::new(),
            auths: Vec::new(),
            connacks: Vec::new(),
            answered: Vec::new(),
            journal: Vec::new(),
            closed: None,
        }
    }

    pub fn connected(self) -> Lone {
        let mut lone = self.build();
        lone.connect();
        lone.said();
        lone
    }
}

pub struct Lone {
    pub setup: Setup,
    pub version: ProtocolVersion,
    pub now: Instant,
    /// One of the two.
    pub client: Client,
    pub server: Option<Server>,
    /// What a broker keeps between connections.
    pub session: Option<Session>,
    reader: Decoder,
    inbox: BytesMut,
    /// Written, but not read by the other side yet.
    unread: BytesMut,
    /// Payload and receipt of each message, in order.
    pub delivered: Vec<(String, Option<Receipt>)>,
    pub finished: Vec<(u16, Outcome)>,
    /// Reason, method and data of each AUTH.
    pub auths: Vec<(ReasonCode, Option<String>, Vec<u8>)>,
    /// What a client was told, accepted or refused.
    pub connacks: Vec<ConnAck<Bytes>>,
    pub answered: Vec<u16>,
    pub journal: Vec<JournalEntry>,
    pub closed: Option<CloseReason>,
}

impl Lone {
    pub const fn is_client(&self) -> bool {
        matches!(self.setup.role, Role::Client)
    }

    /// Opens a network connection over which nothing has come yet.
    pub fn open(&mut self) {
        self.reader = Decoder::new(self.setup.role, self.version);
        self.inbox.clear();
        self.unread.clear();
        self.closed = None;
        if self.is_client() {
            self.client.handle_connected(self.now);
        } else {
            self.server = Some(Server::new(self.setup.config, self.now));
        }
        self.act();
    }

    /// The whole handshake, with the session there was.
    pub fn connect(&mut self) {
        self.connect_with(true);
    }

    pub fn connect_with(&mut self, present: bool) {
        self.open();
        if self.is_client() {
            let present = present && !self.connect_is_clean();
            let connack = ConnAck::accepted(present).with_properties(self.peer());
            self.hear(&Packet::ConnAck(connack));
        } else {
            if !present {
                self.session = None;
            }
            self.hear(&self.connect_packet());
            self.accept();
        }
        assert_eq!(self.closed, None);
    }

    fn connect_is_clean(&mut self) -> bool {
        self.said().iter().any(|line| line == "CONNECT clean")
    }

    fn peer(&self) -> Properties<Bytes> {
        Properties::new(self.setup.peer.iter().copied()).expect("legal")
    }

    /// The CONNECT of a client, for a server.
    pub fn connect_packet(&self) -> Packet<Bytes> {
        let name = Str::try_from("c").expect("a string");
        let mut connect = Connect::new(self.version, name).with_properties(self.peer());
        (connect.clean_start, connect.keep_alive) = (false, self.setup.keep_alive);
        connect.to_packet().expect("encodable")
    }

    /// The broker's verdict on a CONNECT.
    pub fn accept(&mut self) {
        let session = self.session.take();
        let accept = Accept { session_present: session.is_some(), ..Accept::default() };
        let limit = self.setup.config.max_queued;
        let (session, finished) =
            (session.unwrap_or_else(|| Session::new(limit)), &mut self.finished);
        let server = self.server.as_mut().expect("open");
        let ended = |id: PacketId, how| finished.push((id.get(), how));
        server.accept(self.now, session, &accept, ended).expect("a CONNECT");
    }

    pub fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("open")
    }

    pub fn session(&self) -> Option<&Session> {
        match (self.is_client(), &self.server) {
            (true, _) => Some(self.client.session()),
            (false, Some(server)) => server.session(),
            (false, None) => self.session.as_ref(),
        }
    }

    /// Ends the network connection; what was under way is lost.
    pub fn cut(&mut self) {
        self.unread.clear();
        if self.is_client() {
            self.client.handle_closed(self.now);
            self.act();
        } else if let Some(mut server) = self.server.take() {
            let finished = &mut self.finished;
            server.handle_flushed(self.now, |id, how| finished.push((id.get(), how)));
            let lasts = server.session_expiry() > 0;
            self.session = server.take_session().filter(|_| lasts);
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub fn deadline(&self) -> Option<Instant> {
        match (self.is_client(), &self.server) {
            (true, _) => self.client.poll_timeout(),
            (false, Some(server)) => server.poll_timeout(),
            (false, None) => None,
        }
    }

    pub fn timeout(&mut self) {
        if self.is_client() {
            self.client.handle_timeout(self.now);
        } else if let Some(server) = &mut self.server
            && let Some(reason) = server.handle_timeout(self.now)
        {
            self.closed.get_or_insert(reason);
        }
        self.act();
    }

    /// The other side sends a packet.
    pub fn hear(&mut self, packet: &Packet<Bytes>) {
        let mut bytes = BytesMut::new();
        packet.encode(self.version, &mut bytes).expect("encodable");
        self.hear_bytes(&bytes);
    }

    pub fn hear_bytes(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        if self.is_client() {
            self.client.handle_input(self.now, &mut self.inbox);
            return self.act();
        }
        while let Some(server) = &mut self.server {
            match server.decode_bytes(self.now, &mut self.inbox) {
                Ok(Status::Ready(packet)) => self.serve(packet),
                Ok(Status::NeedMore(_)) => break,
                Err(reason) => {
                    self.closed.get_or_insert(reason);
                    self.inbox.clear();
                    break;
                }
            }
        }
    }

    fn serve(&mut self, packet: Packet<Bytes>) {
        let now = self.now;
        match self.server().handle_packet(now, packet) {
            Some(ServerAction::Publish(inbound)) => {
                let receipt = inbound.receipt();
                let text = super::text(&inbound.into_publish().message.payload);
                self.delivered.push((text, receipt));
            }
            Some(ServerAction::Auth(auth)) => self.auths.push(said_in_auth(&auth)),
            Some(ServerAction::Finished { id, outcome }) => {
                self.finished.push((id.get(), outcome));
            }
            Some(ServerAction::Disconnect(disconnect)) => {
                self.closed.get_or_insert(CloseReason::Disconnected(disconnect.reason));
            }
            Some(ServerAction::Close(reason)) => drop(self.closed.get_or_insert(reason)),
            // The test answers these.
            Some(
                ServerAction::Connect(_)
                | ServerAction::Subscribe(_)
                | ServerAction::Unsubscribe(_),
            )
            | None => {}
            Some(action) => panic!("what is {action:?}?"),
        }
    }

    /// Takes what a client says is to be done.
    pub fn act(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                ClientAction::Connected(connack) | ClientAction::Refused(connack) => {
                    self.connacks.push(connack);
                }
                ClientAction::Deliver { publish, receipt } => {
                    self.delivered.push((super::text(&publish.message.payload), receipt));
                }
                ClientAction::Auth(auth) => self.auths.push(said_in_auth(&auth)),
                ClientAction::Finished { id, outcome } => self.finished.push((id.get(), outcome)),
                ClientAction::Subscribed(suback) => self.answered.push(suback.id.get()),
                ClientAction::Unsubscribed(unsuback) => self.answered.push(unsuback.id.get()),
                ClientAction::Journal(entry) => self.journal.push(entry),
                ClientAction::Close(reason) => drop(self.closed.get_or_insert(reason)),
                ClientAction::Disconnected(_) => {}
                action => panic!("what is {action:?}?"),
            }
        }
    }

    pub fn wants_input(&self) -> bool {
        match &self.server {
            Some(server) => server.wants_input(),
            None => self.is_client() && self.client.wants_input(),
        }
    }

    /// How many bytes the other side has not taken yet.
    pub fn unwritten(&mut self) -> usize {
        match (self.is_client(), &mut self.server) {
            (true, _) => self.client.transmit().remaining(),
            (false, Some(server)) => server.transmit().remaining(),
            (false, None) => 0,
        }
    }

    /// Writes at most so many bytes, and what they made room for.
    pub fn write(&mut self, limit: usize) {
        let mut left = limit;
        loop {
            let transmit = match (self.setup.role, &mut self.server) {
                (Role::Client, _) => self.client.transmit(),
                (Role::Server, Some(server)) => server.transmit(),
                (Role::Server, None) => return,
            };
            let count = transmit.chunk().len().min(left);
            self.unread.extend_from_slice(&transmit.chunk()[..count]);
            transmit.advance(count);
            left -= count;
            if let Some(server) = self.server.as_mut().filter(|_| count > 0) {
                let finished = &mut self.finished;
                server.handle_flushed(self.now, |id, how| finished.push((id.get(), how)));
            }
            self.act();
            if count == 0 {
                return;
            }
        }
    }

    /// What the other side reads, all of it.
    pub fn packets(&mut self) -> Vec<Packet<Bytes>> {
        self.write(usize::MAX);
        let mut packets = Vec::new();
        while let Ok(Status::Ready(packet)) = self.reader.decode_bytes(&mut self.unread) {
            packets.push(packet);
        }
        packets
    }

    /// The same in a few words each.
    pub fn said(&mut self) -> Vec<String> {
        self.packets().iter().map(describe).collect()
    }

    pub fn publish(&mut self, qos: QoS, text: &str) -> u16 {
        let id = self.try_publish(publication(qos, text)).expect("room");
        id.map_or(0, PacketId::get)
    }

    pub fn try_publish(
        &mut self,
        publication: Publication<Bytes>,
    ) -> Result<Option<PacketId>, PublishError> {
        let result = if self.is_client() {
            self.client.publish(self.now, publication)
        } else {
            match (&mut self.server, &mut self.session) {
                (Some(server), _) => server.publish(self.now, publication),
                (None, Some(session)) => session.publish(self.now, publication).map(Some),
                (None, None) => Err(PublishError::NotConnected),
            }
        };
        self.act();
        result
    }

    pub fn acknowledge(
        &mut self,
        receipt: Receipt,
        reason: ReasonCode,
    ) -> Result<(), CommandError> {
        let result = match (self.is_client(), &mut self.server) {
            (true, _) => self.client.acknowledge(self.now, receipt, reason),
            (false, Some(server)) => server.acknowledge(self.now, receipt, reason),
            (false, None) => Err(CommandError::NothingToAnswer),
        };
        self.act();
        result
    }

    /// The receipt of the message delivered last.
    pub fn last_receipt(&self) -> Receipt {
        self.delivered.last().and_then(|(_, receipt)| *receipt).expect("one to be acknowledged")
    }

    /// The payloads that were delivered, in order.
    pub fn texts(&self) -> Vec<&str> {
        self.delivered.iter().map(|(text, _)| text.as_str()).collect()
    }

    pub fn is_connected(&self) -> bool {
        match &self.server {
            Some(server) => server.is_connected(),
            None => self.is_client() && self.client.state() == ClientState::Connected,
        }
    }
}

fn said_in_auth(auth: &mqtt_session::proto::Auth<Bytes>) -> (ReasonCode, Option<String>, Vec<u8>) {
    let method = auth.properties.authentication_method().map(str::to_owned);
    let data = auth.properties.authentication_data().unwrap_or_default().to_vec();
    (auth.reason, method, data)
}
