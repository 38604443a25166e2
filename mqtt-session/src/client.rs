//! The client's side of a session.

use alloc::{collections::VecDeque, string::String, vec::Vec};

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    Auth, ConnAck, Connect, DecodeError, Decoder, Disconnect, MAX_PACKET_SIZE, Packet, PacketId,
    PacketRef, PacketType, Properties, PropertyId, ProtocolVersion, Publication, Publish, QoS,
    ReasonCode, Role, Status, Storage, SubAck, Subscribe, SubscribeFilters, UnsubAck, Unsubscribe,
    UnsubscribeFilters,
};

use crate::{
    ClientOptions, CloseReason, CommandError, Inbound, Instant, JournalEntry, OptionsError,
    Outcome, Overflow, PublishError, Receipt, Session, Transmit, Violation,
    auth::{Authentication, Turn},
    connection::{Arrival, Connection, Limits, check_alias},
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
#[cfg_attr(test, derive(Clone))]
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
    /// The server did not accept; [`Close`](Self::Close) follows. The properties may say why, and
    /// which other server to use.
    Refused(ConnAck<Bytes>),
    /// The next step of enhanced authentication (section 4.12): Continue authentication wants
    /// [`Client::authenticate`], Success ends what [`Client::reauthenticate`] began.
    Auth(Auth<Bytes>),
    /// The server said DISCONNECT; [`Close`](Self::Close) follows.
    Disconnected(Disconnect<Bytes>),
    /// Write it down before anything that follows is acted upon or sent; only with
    /// [`ClientOptions::journaled`].
    Journal(JournalEntry),
    /// A message for the application. It shares the read buffer: detach it to keep it for long.
    Deliver {
        /// The packet, with its topic name.
        publish: Publish<Bytes>,
        /// What to name in [`Client::acknowledge`]; only with
        /// [`ClientOptions::manual_acknowledgement`].
        receipt: Option<Receipt>,
    },
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
        let mut session = Session::new(options.max_pending);
        if options.journaled {
            session = session.journaled();
        }
        Self::build(options, session)
    }

    /// A client that goes on with a session it had in another life, see [`Session::restore`], with
    /// the same server and under the same client identifier. If both sides had it
    /// ([`Session::is_present`]), the first connection asks the server for it, whatever the options
    /// say; if not, it begins with a clean start unless the options say otherwise. In 3.1.1 there
    /// is no clean start of a session that lasts. Journaled, whatever the options say, if the
    /// session is.
    ///
    /// # Errors
    /// [`OptionsError`] if the options make no legal CONNECT, or none of a session that lasts under a
    /// name of its own.
    pub fn with_session(
        mut options: ClientOptions,
        session: Session,
    ) -> Result<Self, OptionsError> {
        if !options.lasts() {
            return Err(OptionsError::SessionDoesNotLast);
        }
        if options.client_id.is_empty() {
            return Err(OptionsError::NoClientId);
        }
        if session.is_present() {
            options.clean_start = false;
        }
        Self::build(options, session)
    }

    fn build(options: ClientOptions, session: Session) -> Result<Self, OptionsError> {
        let connect = options.connect()?;
        let server = ServerLimits::unknown(&options);
        Ok(Self {
            session,
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
            ack_timeout: self.options.ack_timeout,
        };
        let decoder = Decoder::new(Role::Server, self.options.version);
        let mut connection = Connection::new(Role::Client, decoder, limits, now);
        // It was checked once, in `new`; only the client identifier and Clean Start have changed
        // since.
        let _ = connection.send_connect(now, &self.connect);
        let method = self.connect.properties.authentication_method();
        connection.auth = method.and_then(Authentication::begin);
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
                Ok(Status::Ready(packet)) => {
                    if let Some(inbound) = self.handle_packet(now, packet) {
                        let receipt = inbound.receipt();
                        let publish = inbound.into_publish();
                        self.act(ClientAction::Deliver { publish, receipt });
                    }
                }
                Ok(Status::NeedMore(_)) => return,
                Err(error) => self.malformed(now, error),
            }
        }
    }

    /// The packet at the start of `src`, borrowed, and its size; for
    /// [`handle_packet`](Self::handle_packet). `None` if it has not come in full, or nothing more is
    /// read: what is no packet comes out as [`ClientAction::Close`].
    pub fn decode<'a>(&mut self, now: Instant, src: &'a [u8]) -> Option<(PacketRef<'a>, usize)> {
        let now = self.advance(now);
        match self.reading()?.decoder.decode(src) {
            Ok(Status::Ready(packet)) => Some(packet),
            Ok(Status::NeedMore(_)) => None,
            Err(error) => {
                self.malformed(now, error);
                None
            }
        }
    }

    /// A packet came, borrowed or owned. For drivers that take messages as they lie in their read
    /// buffer, by [`decode`](Self::decode), and so have no copy and no reference count; the rest call
    /// [`handle_input`](Self::handle_input).
    ///
    /// A message for the application is returned, and not an action: take the actions first, since
    /// the entry of a journal that belongs to it is among them.
    #[must_use = "a message for the application may be in it"]
    pub fn handle_packet<B: Storage>(
        &mut self,
        now: Instant,
        packet: Packet<B>,
    ) -> Option<Inbound<B>> {
        let now = self.advance(now);
        self.reading()?.last_received = now;
        self.handle(packet).unwrap_or_else(|violation| {
            let connection = self.connection.as_mut()?;
            let reason = connection.close_violation(now, violation);
            self.close(reason);
            None
        })
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) came, or any other: a call too early does
    /// nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.session.next_expiry()) {
            self.expire();
        }
        match self.state {
            ClientState::Connecting { deadline } if deadline <= now => {
                self.close(CloseReason::ConnectTimeout);
            }
            // [section 3.1.2.10] The server is gone; there is nobody to say DISCONNECT to.
            ClientState::Connected if due(self.ping_deadline) => {
                self.close(CloseReason::KeepAliveTimeout);
            }
            ClientState::Connected => {
                if due(self.ack_deadline()) {
                    self.ack_timeout();
                }
                // What was sent again just now puts it off.
                if due(self.ping_at())
                    && let Some(connection) = self.connected()
                {
                    let _ = connection.send(now, &PacketRef::PingReq);
                    self.ping_deadline = Some(now + self.options.ping_timeout);
                }
            }
            ClientState::Connecting { .. } | ClientState::Idle | ClientState::Closing => {}
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
        let mut lost = Vec::new();
        self.session.sender.cancel_requests(|id| lost.push(id));
        if !self.server.session_lasts {
            self.session.lose_peer(|id| lost.push(id));
        }
        self.lost(lost);
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
        let id = self.queue(publication)?;
        self.pump();
        Ok(Some(id))
    }

    /// Says that the application has a message, or with an error code that it refuses it; only with
    /// [`ClientOptions::manual_acknowledgement`]. Messages may be acknowledged late and in any order:
    /// what goes on the wire keeps to the order of the standard [MQTT-4.6.0-2] [MQTT-4.6.0-3]. In
    /// 3.1.1 there is no word for a refusal, and the message is acknowledged all the same.
    ///
    /// # Errors
    /// [`CommandError::NothingToAnswer`] if the connection has ended on which the message came, or
    /// it was acknowledged before; the server sends it again if it has to.
    pub fn acknowledge(
        &mut self,
        now: Instant,
        receipt: Receipt,
        reason: ReasonCode,
    ) -> Result<(), CommandError> {
        let now = self.advance(now);
        match (self.state, &mut self.connection) {
            (ClientState::Connected, Some(connection)) => {
                connection.acknowledge(&mut self.session, now, receipt, reason)
            }
            _ => Err(CommandError::NothingToAnswer),
        }
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

    /// Answers [`ClientAction::Auth`] that says Continue authentication.
    ///
    /// # Errors
    /// [`CommandError`]; nothing changed then.
    pub fn authenticate(&mut self, now: Instant, data: &[u8]) -> Result<(), CommandError> {
        self.send_auth(now, Turn::Client, ReasonCode::CONTINUE_AUTHENTICATION, data)
    }

    /// Begins to authenticate again over the connection, by the method of
    /// [`ClientOptions::authentication`], while messages go on. It ends with
    /// [`ClientAction::Auth`] that says Success, or with the connection.
    ///
    /// # Errors
    /// [`CommandError`]; nothing changed then.
    pub fn reauthenticate(&mut self, now: Instant, data: &[u8]) -> Result<(), CommandError> {
        if self.state != ClientState::Connected {
            return Err(CommandError::NotConnected);
        }
        self.send_auth(now, Turn::Nobody, ReasonCode::RE_AUTHENTICATE, data)
    }

    fn send_auth(
        &mut self,
        now: Instant,
        turn: Turn,
        reason: ReasonCode,
        data: &[u8],
    ) -> Result<(), CommandError> {
        let now = self.advance(now);
        let connection = self.reading().ok_or(CommandError::NotConnected)?;
        if connection.auth.as_ref().is_none_or(|auth| auth.turn() != turn) {
            return Err(CommandError::NothingToAnswer);
        }
        connection.send_auth(now, reason, data, Turn::Server)
    }

    /// Ends the session on this side: every message that waits or is in flight ends as lost, and the
    /// next connection begins a new session on both sides.
    ///
    /// # Errors
    /// [`CommandError::Connected`] while there is a network connection.
    pub fn discard_session(&mut self) -> Result<(), CommandError> {
        if self.connection.is_some() {
            return Err(CommandError::Connected);
        }
        let mut lost = Vec::new();
        self.session.discard(|id| lost.push(id));
        self.lost(lost);
        self.connect.clean_start = true;
        Ok(())
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
            self.take_journal();
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
        let connection = match self.state {
            ClientState::Connecting { deadline } => [Some(deadline), None],
            ClientState::Connected => {
                [self.ping_deadline.or_else(|| self.ping_at()), self.ack_deadline()]
            }
            ClientState::Idle | ClientState::Closing => [None, None],
        };
        connection.into_iter().flatten().chain(self.session.next_expiry()).min()
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
            _ => match self.options.overflow {
                _ if !self.session.is_full() => true,
                Overflow::Refuse => false,
                Overflow::DropOldest => self.session.has_waiting(),
                Overflow::DropNewest => true,
            },
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
        self.act(ClientAction::Close(reason));
    }

    fn malformed(&mut self, now: Instant, error: DecodeError) {
        if let Some(connection) = &mut self.connection {
            connection.say_disconnect(now, error.reason_code());
        }
        self.close(CloseReason::Malformed(error));
    }

    /// What was changed before comes before.
    fn act(&mut self, action: ClientAction) {
        self.take_journal();
        self.actions.push_back(action);
    }

    fn take_journal(&mut self) {
        while let Some(entry) = self.session.poll_journal() {
            self.actions.push_back(ClientAction::Journal(entry));
        }
    }

    fn finished(&mut self, id: PacketId, outcome: Outcome) {
        self.act(ClientAction::Finished { id, outcome });
    }

    fn lost(&mut self, ids: Vec<PacketId>) {
        for id in ids {
            self.finished(id, Outcome::Lost);
        }
    }

    /// When it is time for PINGREQ, unless one is under way.
    fn ping_at(&self) -> Option<Instant> {
        let connection = self.connection.as_ref()?;
        (self.ping_deadline.is_none() && !self.server.keep_alive.is_zero())
            .then(|| connection.last_sent + self.server.keep_alive)
    }

    fn ack_deadline(&self) -> Option<Instant> {
        self.connection.as_ref()?.ack_deadline(&self.session)
    }

    fn ack_timeout(&mut self) {
        let Self { connection: Some(connection), session, actions, now, .. } = self else {
            return;
        };
        let ended = |session: &mut Session, id, how| finished(actions, session, id, how);
        if let Some(reason) = connection.handle_ack_timeout(session, *now, ended) {
            self.close(reason);
        }
    }

    fn handle<B: Storage>(&mut self, packet: Packet<B>) -> Result<Option<Inbound<B>>, Violation> {
        let packet_type = packet.packet_type();
        let now = self.now;
        let connecting = matches!(self.state, ClientState::Connecting { .. });
        self.check_problem_information(&packet)?;
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        match packet {
            Packet::Publish(publish) if !connecting => {
                let topic = connection.resolve_topic(&publish)?;
                let automatic = !self.options.manual_acknowledgement;
                let session = &mut self.session;
                return match connection.handle_publish(session, now, publish.delivery, automatic)? {
                    Arrival::Repeated => Ok(None),
                    Arrival::New(receipt) => Ok(Some(Inbound::new(publish, topic, receipt))),
                };
            }
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack)
                if !connecting =>
            {
                let outcome = connection.handle_ack(&mut self.session, now, packet_type, &ack)?;
                if let Some(outcome) = outcome {
                    self.finished(ack.id, outcome);
                    self.pump();
                }
            }
            packet => self.handle_other(
                connecting,
                packet.map(&mut |bytes: B| Bytes::copy_from_slice(bytes.as_ref())),
            )?,
        }
        Ok(None)
    }

    /// [section 3.1.2.11.7] That a server gives no reasons where it was asked for none.
    fn check_problem_information<B: Storage>(&self, packet: &Packet<B>) -> Result<(), Violation> {
        let packet_type = packet.packet_type();
        let may = matches!(
            packet_type,
            PacketType::Publish | PacketType::ConnAck | PacketType::Disconnect
        );
        if self.options.request_problem_information || may {
            return Ok(());
        }
        let set = packet.properties().map(Properties::set).unwrap_or_default();
        if set.contains(PropertyId::ReasonString) || set.contains(PropertyId::UserProperty) {
            return Err(Violation::ProblemInformation(packet_type));
        }
        Ok(())
    }

    fn handle_other(&mut self, connecting: bool, packet: Packet<Bytes>) -> Result<(), Violation> {
        let packet_type = packet.packet_type();
        match packet {
            Packet::ConnAck(connack) if connecting => self.handle_connack(connack)?,
            Packet::Auth(auth) => self.handle_auth(connecting, auth)?,
            // [MQTT-3.2.0-1]
            _ if connecting => return Err(Violation::UnexpectedPacket(packet_type)),
            Packet::SubAck(suback) => {
                if self.answered(suback.id, packet_type, suback.codes.iter().len())? {
                    self.act(ClientAction::Subscribed(suback));
                }
            }
            Packet::UnsubAck(unsuback) => {
                if self.answered(unsuback.id, packet_type, unsuback.codes.iter().len())? {
                    self.act(ClientAction::Unsubscribed(unsuback));
                }
            }
            Packet::PingResp => self.ping_deadline = None,
            Packet::Disconnect(disconnect) => {
                let reason = disconnect.reason;
                self.act(ClientAction::Disconnected(disconnect));
                self.close(CloseReason::Disconnected(reason));
            }
            _ => return Err(Violation::UnexpectedPacket(packet_type)),
        }
        Ok(())
    }

    fn handle_auth(&mut self, connecting: bool, auth: Auth<Bytes>) -> Result<(), Violation> {
        let exchange = self.connection.as_mut().and_then(|connection| connection.auth.as_mut());
        let unexpected = Violation::UnexpectedPacket(PacketType::Auth);
        let exchange = exchange.ok_or(unexpected)?;
        // The first exchange succeeds with CONNACK.
        let expected = [
            (Turn::Server, ReasonCode::CONTINUE_AUTHENTICATION),
            (Turn::Server, ReasonCode::SUCCESS),
        ];
        exchange.handle(&auth, if connecting { &expected[..1] } else { &expected })?;
        exchange.pass_to(match auth.reason {
            ReasonCode::SUCCESS => Turn::Nobody,
            _ => Turn::Client,
        });
        self.act(ClientAction::Auth(auth));
        Ok(())
    }

    fn handle_connack(&mut self, connack: ConnAck<Bytes>) -> Result<(), Violation> {
        let ConnAck { reason, session_present, .. } = connack;
        if reason.is_error() {
            self.act(ClientAction::Refused(connack));
            self.close(CloseReason::Refused(reason));
            return Ok(());
        }
        // [MQTT-3.2.2-2]
        if session_present && self.connect.clean_start {
            return Err(Violation::SessionPresent);
        }
        self.end_first_exchange(&connack.properties)?;
        let window = self.learn_limits(&connack.properties);
        self.state = ClientState::Connected;
        self.act(ClientAction::Connected(connack));
        // [section 3.2.2.1.1] What the server does not know of, this side forgets as well.
        if !session_present {
            let mut lost = Vec::new();
            self.session.lose_peer(|id| lost.push(id));
            self.lost(lost);
        }
        self.session.begin_connection();
        self.resume(window);
        // From here on there is a session to resume, if it lasts: a server that does not see the
        // connection end would resume one that this side forgets.
        self.connect.clean_start = !self.server.session_lasts;
        Ok(())
    }

    /// [MQTT-4.12.0-5] and that a server does not authenticate by a method that nobody asked for
    /// [MQTT-4.12.0-6].
    fn end_first_exchange(&mut self, properties: &Properties<Bytes>) -> Result<(), Violation> {
        let method = properties.authentication_method();
        match self.connection.as_mut().and_then(|connection| connection.auth.as_mut()) {
            None if method.is_none() => Ok(()),
            None => Err(Violation::AuthenticationMethod),
            Some(exchange) => {
                exchange.check_method(method)?;
                exchange.pass_to(Turn::Nobody);
                Ok(())
            }
        }
    }

    fn resume(&mut self, window: u16) {
        let Self { connection: Some(connection), session, actions, now, .. } = self else {
            return;
        };
        connection.resume(session, *now, window, |session, id, outcome| {
            finished(actions, session, id, outcome);
        });
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
            // Without the property the server takes none.
            let aliases = properties.topic_alias_maximum().unwrap_or(0);
            connection.outbound_aliases.reset(aliases.min(self.options.outbound_topic_aliases));
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
                self.finished(id, Outcome::Lost);
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

    /// [MQTT-3.2.2-11] [MQTT-3.2.2-14] [MQTT-3.3.4-6] and that the message can be said at all.
    fn check_publication(&self, publication: &Publication<Bytes>) -> Result<(), PublishError> {
        if publication.qos > self.server.maximum_qos {
            return Err(PublishError::QoSNotSupported(self.server.maximum_qos));
        }
        if publication.retain && !self.server.retain_available {
            return Err(PublishError::RetainNotSupported);
        }
        if publication.message.properties.set().contains(PropertyId::SubscriptionIdentifier) {
            return Err(PublishError::SubscriptionIdentifier);
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

    /// Takes a message into the session, by the policy for a full one.
    fn queue(&mut self, publication: Publication<Bytes>) -> Result<PacketId, PublishError> {
        if self.session.is_full()
            && let Some(spare) = self.session.sender.set_aside(|_| false)
        {
            self.expire();
            match self.options.overflow {
                _ if !self.session.is_full() => {}
                Overflow::Refuse => {}
                Overflow::DropOldest => {
                    if let Some(id) = self.session.drop_oldest() {
                        self.finished(id, Outcome::Dropped);
                    }
                }
                Overflow::DropNewest => {
                    self.finished(spare, Outcome::Dropped);
                    return Ok(spare);
                }
            }
        }
        self.session.publish(self.now, publication)
    }

    fn expire(&mut self) {
        let mut expired = Vec::new();
        self.session.expire(self.now, |id| expired.push(id));
        for id in expired {
            self.finished(id, Outcome::Expired);
        }
    }

    fn pump(&mut self) {
        if self.state != ClientState::Connected {
            return;
        }
        let Self { connection: Some(connection), session, actions, now, .. } = self else {
            return;
        };
        connection.pump(session, *now, |session, id, outcome| {
            finished(actions, session, id, outcome);
        });
    }
}

/// An exchange ended, and the session has it written down.
fn finished(
    actions: &mut VecDeque<ClientAction>,
    session: &mut Session,
    id: PacketId,
    outcome: Outcome,
) {
    while let Some(entry) = session.poll_journal() {
        actions.push_back(ClientAction::Journal(entry));
    }
    actions.push_back(ClientAction::Finished { id, outcome });
}

#[cfg(test)]
impl crate::model::Fingerprint for Client {
    fn print(&self, to: &mut crate::model::Print) {
        let Self {
            connect,
            session,
            connection,
            state,
            server,
            ping_deadline,
            actions,
            // The same in every state; empty in every state; the caller's, or earlier.
            options: _,
            nothing: _,
            now: _,
        } = self;
        to.value(connect);
        to.of(session);
        to.optional(connection.as_ref());
        to.value(server);
        to.optional(ping_deadline.as_ref());
        to.value(&core::mem::discriminant(state));
        if let ClientState::Connecting { deadline } = state {
            to.of(deadline);
        }
        // When something was sent matters for the keep alive alone.
        if !server.keep_alive.is_zero() {
            to.optional(connection.as_ref().map(|connection| &connection.last_sent));
        }
        assert!(actions.is_empty(), "not drained: {actions:?}");
    }
}
