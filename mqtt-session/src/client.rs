//! The client's side of a session.

use alloc::{collections::VecDeque, string::String};
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    ConnAck, Connect, Decoder, MAX_PACKET_SIZE, Packet, PacketId, PacketRef, PacketType,
    Properties, ProtocolVersion, Publication, Publish, QoS, ReasonCode, Role, Status, SubAck,
    Subscribe, SubscribeFilters, UnsubAck, Unsubscribe, UnsubscribeFilters,
};

use crate::{
    ClientOptions, CloseReason, CommandError, Instant, OptionsError, Outcome, PublishError,
    Session, Transmit, Violation,
    connection::{Connection, Limits, check_alias},
    limits::ServerLimits,
};

/// The client's side of one session over any number of network connections, one at a time.
///
/// It does no input or output and reads no clock. Four kinds of methods:
///
/// * `handle_*` say what happened: a connection, bytes, a time. They never fail; what the peer did
///   wrong comes out as [`ClientAction::Close`].
/// * verbs say what the application wants: [`publish`](Self::publish),
///   [`subscribe`](Self::subscribe), [`unsubscribe`](Self::unsubscribe),
///   [`disconnect`](Self::disconnect). What the caller did wrong comes back as an error, and
///   nothing changed.
/// * `poll_*` and [`transmit`](Self::transmit) say what to do.
/// * nouns look in.
///
/// After every `handle_*` or verb, in this order: take every action from
/// [`poll_action`](Self::poll_action); write [`transmit`](Self::transmit), and when some of it was
/// written poll again, since more may have been waiting for room; then wait for bytes, a command,
/// or the time of [`poll_timeout`](Self::poll_timeout). On [`ClientAction::Close`] write what is
/// left, close the network connection and call [`handle_closed`](Self::handle_closed), as when it
/// was lost. The session is still there: [`handle_connected`](Self::handle_connected) resumes it
/// over a new one.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    connect: Connect<Bytes>,
    session: Session,
    connection: Option<Connection>,
    state: ClientState,
    server: ServerLimits,
    /// When PINGRESP must have come.
    ping_deadline: Option<Instant>,
    actions: VecDeque<ClientAction>,
    /// What there is to transmit without a connection; always empty.
    nothing: Transmit,
    now: Instant,
}

/// Where a client is in the life of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientState {
    /// There is no network connection.
    Idle,
    /// CONNECT was sent, CONNACK is awaited until the given time.
    Connecting {
        /// After it the server is too late.
        deadline: Instant,
    },
    /// CONNACK came.
    Connected,
    /// [`ClientAction::Close`] was given; nothing more is read.
    Closing,
}

/// What a client asks of its driver, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAction {
    /// The server accepted; its limits are honoured from here on.
    Connected(ConnAck<Bytes>),
    /// A message for the application. It shares the read buffer: detach it to keep it for long.
    Deliver(Publish<Bytes>),
    /// A publish ended; of requests that got no answer too.
    Finished {
        /// What [`Client::publish`], [`Client::subscribe`] or [`Client::unsubscribe`] returned.
        id: PacketId,
        /// How.
        outcome: Outcome,
    },
    /// The answer to a subscribe.
    Subscribed(SubAck<Bytes>),
    /// The answer to an unsubscribe.
    Unsubscribed(UnsubAck<Bytes>),
    /// Write what is to be transmitted, close the network connection, call
    /// [`Client::handle_closed`].
    Close(CloseReason),
}

impl Client {
    /// A client that has never been connected.
    ///
    /// # Errors
    /// [`OptionsError`] if the options make no legal CONNECT.
    pub fn new(options: ClientOptions) -> Result<Self, OptionsError> {
        let connect = options.connect()?;
        let server = ServerLimits::unknown(&options);
        Ok(Self {
            session: Session::new(options.max_pending),
            connect,
            options,
            connection: None,
            state: ClientState::Idle,
            server,
            ping_deadline: None,
            actions: VecDeque::new(),
            nothing: Transmit::new(),
            now: Instant::ZERO,
        })
    }

    /// A network connection was opened: CONNECT is ready to be written.
    pub fn handle_connected(&mut self, now: Instant) {
        self.handle_closed(now);
        let now = self.now;
        // It was about the connection before.
        self.actions.retain(|action| !matches!(action, ClientAction::Close(_)));
        let limits = Limits {
            max_packet_size: self.options.max_packet_size,
            receive_maximum: self.options.receive_maximum,
            topic_alias_maximum: self.options.topic_alias_maximum,
            transmit_limit: self.options.max_transmit,
        };
        let decoder = Decoder::new(Role::Server, self.options.version);
        let mut connection = Connection::new(Role::Client, decoder, limits, now);
        // It was checked once, in `new`; only the client identifier and Clean Start have changed
        // since.
        let _ = connection.send_connect(now, &self.connect);
        self.connection = Some(connection);
        self.ping_deadline = None;
        self.state = ClientState::Connecting { deadline: now + self.options.connect_timeout };
    }

    /// Bytes came. Takes every complete packet out of `src`; an incomplete one stays in it, for the
    /// next call.
    pub fn handle_input(&mut self, now: Instant, src: &mut BytesMut) {
        let now = self.advance(now);
        while let Some(connection) = self.reading() {
            match connection.decoder.decode_bytes(src) {
                Ok(Status::Ready(packet)) => self.handle_packet(now, packet),
                Ok(Status::NeedMore(_)) => return,
                Err(error) => {
                    connection.say_disconnect(now, error.reason_code());
                    self.close(CloseReason::Malformed(error));
                }
            }
        }
    }

    /// A packet came. For drivers that decode by themselves; the rest call
    /// [`handle_input`](Self::handle_input).
    pub fn handle_packet(&mut self, now: Instant, packet: Packet<Bytes>) {
        let now = self.advance(now);
        let Some(connection) = self.reading() else {
            return;
        };
        connection.last_received = now;
        if let Err(violation) = self.handle(packet)
            && let Some(connection) = &mut self.connection
        {
            let reason = connection.close_violation(now, violation);
            self.close(reason);
        }
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) came, or any other: a call too early does
    /// nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        let due = self.poll_timeout().is_some_and(|deadline| deadline <= now);
        let Some(connection) = self.connection.as_mut().filter(|_| due) else {
            return;
        };
        match self.state {
            ClientState::Connecting { .. } => self.close(CloseReason::ConnectTimeout),
            ClientState::Connected if self.ping_deadline.is_some() => {
                // [section 3.1.2.10] The server is gone; there is nobody to say DISCONNECT to.
                self.close(CloseReason::KeepAliveTimeout);
            }
            ClientState::Connected => {
                let _ = connection.send(now, &PacketRef::PingReq);
                self.ping_deadline = Some(now + self.options.ping_timeout);
            }
            ClientState::Idle | ClientState::Closing => {}
        }
    }

    /// The network connection is gone, whoever closed it. What was sent and not acknowledged waits
    /// for the next one, if the session lasts; requests without an answer end here.
    pub fn handle_closed(&mut self, now: Instant) {
        self.advance(now);
        if self.connection.take().is_none() {
            return;
        }
        self.state = ClientState::Idle;
        self.ping_deadline = None;
        let actions = &mut self.actions;
        let mut lost =
            |id| actions.push_back(ClientAction::Finished { id, outcome: Outcome::Lost });
        self.session.sender.cancel_requests(&mut lost);
        if !self.server.session_lasts {
            self.session.sender.lose_session(&mut lost);
            self.session.receiver.clear();
            // A server that has not seen the connection end would resume a session that this side
            // has forgotten.
            self.connect.clean_start = true;
        }
    }

    /// Publishes a message. At QoS 0 it is in the transmit buffer and forgotten. At QoS 1 and 2 it
    /// is kept until [`ClientAction::Finished`] with the identifier returned, over as many
    /// connections as it takes; without one it waits.
    ///
    /// The message is kept as it is: [`detach`](Publication::detach) it first if it shares a
    /// buffer.
    ///
    /// # Errors
    /// [`PublishError`]; nothing changed then.
    pub fn publish(
        &mut self,
        now: Instant,
        publication: Publication<Bytes>,
    ) -> Result<Option<PacketId>, PublishError> {
        let now = self.advance(now);
        self.check_publication(&publication)?;
        if publication.qos == QoS::AtMostOnce {
            let connection = self.connected().ok_or(PublishError::NotConnected)?;
            connection.send_at_most_once(now, publication.retain, &publication.message)?;
            return Ok(None);
        }
        let id = self.session.publish(now, publication)?;
        self.pump();
        Ok(Some(id))
    }

    /// Asks for messages. [`ClientAction::Subscribed`] with the identifier returned says what was
    /// granted, or [`ClientAction::Finished`] that the connection was lost before.
    ///
    /// # Errors
    /// [`CommandError`]; nothing changed then.
    pub fn subscribe(
        &mut self,
        now: Instant,
        filters: SubscribeFilters<Bytes>,
        properties: Properties<Bytes>,
    ) -> Result<PacketId, CommandError> {
        self.server.check_filters(&filters, &properties)?;
        let codes = filters.iter().count() as u32;
        let subscribe = |id| Packet::Subscribe(Subscribe { id, properties, filters });
        self.request(now, PacketType::SubAck, codes, subscribe)
    }

    /// Asks for no more of them. [`ClientAction::Unsubscribed`] with the identifier returned says
    /// how it went, or [`ClientAction::Finished`] that the connection was lost before.
    ///
    /// # Errors
    /// [`CommandError`]; nothing changed then.
    pub fn unsubscribe(
        &mut self,
        now: Instant,
        filters: UnsubscribeFilters<Bytes>,
        properties: Properties<Bytes>,
    ) -> Result<PacketId, CommandError> {
        // 3.1.1 has no codes in UNSUBACK.
        let codes = match self.options.version {
            ProtocolVersion::V311 => 0,
            ProtocolVersion::V5 => filters.iter().count() as u32,
        };
        let unsubscribe = |id| Packet::Unsubscribe(Unsubscribe { id, properties, filters });
        self.request(now, PacketType::UnsubAck, codes, unsubscribe)
    }

    /// Says DISCONNECT with this code and asks to close. In 3.1.1 it has no code and means Normal
    /// disconnection, so with any other the connection ends without a word, and the server
    /// publishes the will. What is in the transmit buffer is written first; what waits for an
    /// acknowledgement stays in the session.
    pub fn disconnect(&mut self, now: Instant, reason: ReasonCode) {
        let now = self.advance(now);
        if let Some(connection) = self.connected() {
            connection.say_disconnect(now, reason);
        }
        if self.reading().is_some() {
            self.close(CloseReason::Requested(reason));
        }
    }

    /// What to do next; `None` when there is nothing but to write [`transmit`](Self::transmit) and
    /// wait.
    pub fn poll_action(&mut self) -> Option<ClientAction> {
        if self.actions.is_empty() {
            self.pump();
        }
        self.actions.pop_front()
    }

    /// What to write to the network connection.
    pub fn transmit(&mut self) -> &mut Transmit {
        match &mut self.connection {
            Some(connection) => &mut connection.transmit,
            None => &mut self.nothing,
        }
    }

    /// Whether to read more from the network connection. Not while the server reads nothing of what
    /// this side answers, so that the transmit buffer stays bounded.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.state != ClientState::Closing
            && self.connection.as_ref().is_some_and(Connection::wants_input)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            ClientState::Connecting { deadline } => Some(deadline),
            ClientState::Connected if self.ping_deadline.is_some() => self.ping_deadline,
            ClientState::Connected if self.server.keep_alive > Duration::ZERO => self
                .connection
                .as_ref()
                .map(|connection| connection.last_sent + self.server.keep_alive),
            _ => None,
        }
    }

    /// Where the client is in the life of its connection.
    #[must_use]
    pub const fn state(&self) -> ClientState {
        self.state
    }

    /// What outlives the connection.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The client identifier, once the server has chosen one: that.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.options.client_id
    }

    /// How many more PUBLISH of QoS 1 and 2 may be sent now (section 4.9).
    #[must_use]
    pub const fn send_quota(&self) -> u16 {
        match self.state {
            ClientState::Connected => self.session.sender.quota(),
            ClientState::Idle | ClientState::Connecting { .. } | ClientState::Closing => 0,
        }
    }

    /// Time does not run backwards, whatever the caller's clock does.
    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// The options it was made with, and the client identifier of the server's choice.
    pub(crate) const fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Whether [`publish`](Self::publish) has room for a message of this QoS now.
    pub(crate) fn has_room(&self, qos: QoS) -> bool {
        match (qos, &self.connection) {
            (QoS::AtMostOnce, Some(connection)) => connection.has_room(),
            (QoS::AtMostOnce, None) => true,
            _ => self.session.open() < self.options.max_pending.into(),
        }
    }

    /// The adapter does not read, by its own choice: no PINGRESP can be missed.
    pub(crate) const fn forgive_ping(&mut self) {
        self.ping_deadline = None;
    }

    fn reading(&mut self) -> Option<&mut Connection> {
        match self.state {
            ClientState::Connecting { .. } | ClientState::Connected => self.connection.as_mut(),
            ClientState::Idle | ClientState::Closing => None,
        }
    }

    fn connected(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut().filter(|_| self.state == ClientState::Connected)
    }

    fn close(&mut self, reason: CloseReason) {
        self.state = ClientState::Closing;
        self.actions.push_back(ClientAction::Close(reason));
    }

    fn handle(&mut self, packet: Packet<Bytes>) -> Result<(), Violation> {
        let packet_type = packet.packet_type();
        let now = self.now;
        let connecting = matches!(self.state, ClientState::Connecting { .. });
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        match packet {
            Packet::ConnAck(connack) if connecting => self.handle_connack(connack)?,
            // [MQTT-3.2.0-1]
            _ if connecting => return Err(Violation::UnexpectedPacket(packet_type)),
            Packet::Publish(mut publish) => {
                if let Some(topic) = connection.resolve_topic(&publish)? {
                    publish.message.topic = topic;
                }
                if connection.handle_publish(&self.session, now, &publish)? {
                    let delivery = publish.delivery;
                    connection.acknowledge(&mut self.session, now, delivery, ReasonCode::SUCCESS);
                    self.actions.push_back(ClientAction::Deliver(publish));
                }
            }
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => {
                let outcome = connection.handle_ack(&mut self.session, now, packet_type, &ack)?;
                if let Some(outcome) = outcome {
                    self.actions.push_back(ClientAction::Finished { id: ack.id, outcome });
                    self.pump();
                }
            }
            Packet::SubAck(suback) => {
                if self.answered(suback.id, packet_type, suback.codes.iter().len())? {
                    self.actions.push_back(ClientAction::Subscribed(suback));
                }
            }
            Packet::UnsubAck(unsuback) => {
                if self.answered(unsuback.id, packet_type, unsuback.codes.iter().len())? {
                    self.actions.push_back(ClientAction::Unsubscribed(unsuback));
                }
            }
            Packet::PingResp => self.ping_deadline = None,
            Packet::Disconnect(disconnect) => {
                self.close(CloseReason::Disconnected(disconnect.reason));
            }
            _ => return Err(Violation::UnexpectedPacket(packet_type)),
        }
        Ok(())
    }

    fn handle_connack(&mut self, connack: ConnAck<Bytes>) -> Result<(), Violation> {
        if connack.reason.is_error() {
            self.close(CloseReason::Refused(connack.reason));
            return Ok(());
        }
        // [MQTT-3.2.2-2]
        if connack.session_present && self.connect.clean_start {
            return Err(Violation::SessionPresent);
        }
        let session_present = connack.session_present;
        let window = self.learn_limits(&connack.properties);
        self.state = ClientState::Connected;
        self.actions.push_back(ClientAction::Connected(connack));
        let actions = &mut self.actions;
        // [section 3.2.2.1.1] What the server does not know of, this side forgets as well.
        if !session_present {
            self.session.receiver.clear();
            self.session.sender.lose_session(|id| {
                actions.push_back(ClientAction::Finished { id, outcome: Outcome::Lost });
            });
        }
        if let Some(connection) = &mut self.connection {
            connection.resume(&mut self.session, self.now, window, |id, outcome| {
                actions.push_back(ClientAction::Finished { id, outcome });
            });
        }
        // From here on there is a session to resume.
        self.connect.clean_start =
            self.options.version == ProtocolVersion::V311 && self.options.clean_start;
        Ok(())
    }

    /// Takes over what CONNACK says; returns the send window.
    fn learn_limits(&mut self, properties: &Properties<Bytes>) -> u16 {
        if let Some(client_id) = properties.assigned_client_identifier() {
            self.options.client_id = String::from(client_id);
            self.connect.client_id =
                client_id.try_into().expect("a string of a checked property list");
        }
        self.server = ServerLimits::learn(&self.options, properties);
        if let Some(connection) = &mut self.connection {
            connection.peer_max_packet_size =
                properties.maximum_packet_size().unwrap_or(MAX_PACKET_SIZE);
            connection.peer_maximum_qos = self.server.maximum_qos;
            connection.peer_retain_available = self.server.retain_available;
        }
        properties.receive_maximum().unwrap_or(u16::MAX).min(self.options.max_in_flight)
    }

    /// Whether this answers an open request; one that does not is ignored.
    fn answered(
        &mut self,
        id: PacketId,
        packet: PacketType,
        codes: usize,
    ) -> Result<bool, Violation> {
        match self.session.sender.finish_request(id, packet) {
            None => Ok(false),
            Some(expected) if expected as usize == codes => Ok(true),
            Some(_) => {
                self.actions.push_back(ClientAction::Finished { id, outcome: Outcome::Lost });
                Err(Violation::WrongNumberOfCodes { packet, id })
            }
        }
    }

    fn request(
        &mut self,
        now: Instant,
        answer: PacketType,
        codes: u32,
        packet: impl FnOnce(PacketId) -> Packet<Bytes>,
    ) -> Result<PacketId, CommandError> {
        self.advance(now);
        if self.connected().is_none() {
            return Err(CommandError::NotConnected);
        }
        let id =
            self.session.sender.accept_request(answer, codes).ok_or(CommandError::NoPacketId)?;
        let sent = self.send_request(&packet(id));
        if sent.is_err() {
            self.session.sender.finish_request(id, answer);
        }
        sent.map(|()| id)
    }

    fn send_request(&mut self, packet: &Packet<Bytes>) -> Result<(), CommandError> {
        let now = self.now;
        let connection = self.connected().ok_or(CommandError::NotConnected)?;
        Ok(connection.send(now, packet)?)
    }

    /// [MQTT-3.2.2-11] [MQTT-3.2.2-14] and that the message can be said at all.
    fn check_publication(&self, publication: &Publication<Bytes>) -> Result<(), PublishError> {
        if publication.qos > self.server.maximum_qos {
            return Err(PublishError::QoSNotSupported(self.server.maximum_qos));
        }
        if publication.retain && !self.server.retain_available {
            return Err(PublishError::RetainNotSupported);
        }
        let publish = publication.as_ref().into_publish(PacketId::MIN);
        match &self.connection {
            Some(connection) => connection.check_publish(&publish),
            None => {
                check_alias(&publish.message)?;
                Ok(publish.encoded_len(self.options.version).map(|_| ())?)
            }
        }
    }

    fn pump(&mut self) {
        let (now, actions) = (self.now, &mut self.actions);
        if let (ClientState::Connected, Some(connection)) = (self.state, &mut self.connection) {
            connection.pump(&mut self.session, now, |id, outcome| {
                actions.push_back(ClientAction::Finished { id, outcome });
            });
        }
    }
}
