//! The server's side of one network connection.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    Auth, ConnAck, ConnectPacket, DecodeError, DecodeErrorKind, Decoder, Delivery, Disconnect,
    Message, Packet, PacketId, PacketRef, PacketType, ProtocolVersion, Publication, Publish, QoS,
    ReasonCode, ReasonCodes, Role, Status, Storage, SubAck, Subscribe, TopicFilter, UnsubAck,
    Unsubscribe,
};

use crate::{
    Accept, CloseReason, CommandError, Inbound, Instant, JournalEntry, Outcome, PublishError,
    Receipt, ServerConfig, Session, Transmit, Violation,
    auth::{Authentication, Turn},
    connection::{Arrival, Connection, check_alias, for_version},
};

/// The server's side of one network connection, from its first byte to its last.
///
/// It does no input or output and reads no clock. A broker has one for each connection, and drives
/// it packet by packet:
///
/// 1. [`decode`](Self::decode) takes a packet from the bytes that came, borrowed or owned;
/// 2. [`handle_packet`](Self::handle_packet) does what the protocol asks for and returns what the
///    broker is to decide, if anything: a CONNECT wants [`accept`](Self::accept) or
///    [`reject`](Self::reject), a PUBLISH [`acknowledge`](Self::acknowledge), a SUBSCRIBE
///    [`suback`](Self::suback), an UNSUBSCRIBE [`unsuback`](Self::unsuback);
/// 3. [`poll_journal`](Self::poll_journal), for sessions that are journaled, has what to write down
///    before anything of this is acted upon;
/// 4. [`transmit`](Self::transmit) is written when the broker sees fit, and
///    [`handle_flushed`](Self::handle_flushed) called when some of it was, which also tells which
///    messages could not be sent any more;
/// 5. [`handle_timeout`](Self::handle_timeout) is called at [`poll_timeout`](Self::poll_timeout).
///
/// After [`ServerAction::Close`] the rest of [`transmit`](Self::transmit) is written, the network
/// connection closed, and the session taken back with [`take_session`](Self::take_session).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Server {
    config: ServerConfig,
    connection: Connection,
    session: Option<Session>,
    state: State,
    /// 1.5 times the keep alive [MQTT-3.1.2-22].
    silence: Option<Duration>,
    session_expiry: u32,
    /// Whether CONNECT asked for a session that lasts; only then DISCONNECT may set how long.
    asked_to_last: bool,
    /// Whether CONNECT asked for Response Information.
    asked_for_response_information: bool,
    send_window: u16,
    /// Messages that could not be sent any more, until the broker hears of them.
    ended: Vec<(PacketId, Outcome)>,
    opened: Instant,
    now: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AwaitConnect,
    AwaitVerdict,
    /// The broker has challenged the client.
    AwaitAuth,
    Connected,
    Closed,
}

/// What a packet asks of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerAction<B: Storage> {
    /// A client introduces itself: [`Server::accept`] or [`Server::reject`] it, or
    /// [`Server::challenge`] it if its CONNECT names an Authentication Method. Now or later: until
    /// then [`Server::wants_input`] says no.
    Connect(ConnectPacket<B>),
    /// A message to be routed, and then to be answered with [`Server::acknowledge`].
    Publish(Inbound<B>),
    /// Answer with [`Server::suback`].
    Subscribe(Subscribe<B>),
    /// Answer with [`Server::unsuback`].
    Unsubscribe(Unsubscribe<B>),
    /// The next step of enhanced authentication (section 4.12): Continue authentication answers
    /// [`Server::challenge`], Re-authenticate begins anew on a connection that is accepted. To be
    /// answered as the CONNECT was, or with [`Server::authenticated`] in the place of `accept`, or
    /// with [`Server::close`].
    Auth(Auth<B>),
    /// A message that [`Server::publish`] or [`Session::publish`] took has ended its exchange.
    Finished {
        /// The identifier it was given.
        id: PacketId,
        /// How.
        outcome: Outcome,
    },
    /// The client said good-bye; close without another word. The will is void unless the code says
    /// otherwise.
    Disconnect(Disconnect<B>),
    /// Write what is to be transmitted, then close the network connection.
    Close(CloseReason),
}

impl Server {
    /// A network connection was accepted at `now`; CONNECT must come within the configured time.
    #[must_use]
    pub fn new(config: ServerConfig, now: Instant) -> Self {
        let (config, limits) = (config.legal(), config.legal().limits());
        Self {
            config,
            connection: Connection::new(Role::Server, Decoder::awaiting_connect(), limits, now),
            session: None,
            state: State::AwaitConnect,
            silence: None,
            session_expiry: 0,
            asked_to_last: false,
            asked_for_response_information: false,
            send_window: 0,
            ended: Vec::new(),
            opened: now,
            now,
        }
    }

    /// The packet at the start of `src`, borrowed, and its size.
    ///
    /// # Errors
    /// The bytes are no packet: what the client is owed has been put into the transmit buffer, the
    /// connection ends.
    pub fn decode<'a>(
        &mut self,
        now: Instant,
        src: &'a [u8],
    ) -> Result<Status<(PacketRef<'a>, usize)>, CloseReason> {
        match self.connection.decoder.decode(src) {
            Ok(status) => Ok(status),
            Err(error) => Err(self.malformed(now, error, src)),
        }
    }

    /// The packet at the start of `src`, taken out of it and sharing its buffer.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_bytes(
        &mut self,
        now: Instant,
        src: &mut BytesMut,
    ) -> Result<Status<Packet<Bytes>>, CloseReason> {
        // A packet that fails is taken out of `src`, but its first bytes say in which version to
        // answer.
        let mut start = [0; CONNECT_START];
        let len = src.len().min(CONNECT_START);
        start[..len].copy_from_slice(&src[..len]);
        match self.connection.decoder.decode_bytes(src) {
            Ok(status) => Ok(status),
            Err(error) => Err(self.malformed(now, error, &start[..len])),
        }
    }

    /// A packet came. What the broker is to do about it, if anything; whatever the protocol alone
    /// decides is done.
    pub fn handle_packet<B: Storage>(
        &mut self,
        now: Instant,
        packet: Packet<B>,
    ) -> Option<ServerAction<B>> {
        let now = self.advance(now);
        self.connection.last_received = now;
        let handled = match self.state {
            State::AwaitConnect => self.handle_connect(packet),
            State::Connected => self.handle_connected(now, packet),
            State::AwaitAuth => self.handle_auth_answer(packet),
            State::AwaitVerdict => Err(Violation::UnexpectedPacket(packet.packet_type())),
            State::Closed => Ok(None),
        };
        handled
            .unwrap_or_else(|violation| Some(ServerAction::Close(self.violation(now, violation))))
    }

    /// Some of the transmit buffer was written: more may follow. `ended` hears of messages that
    /// could not be sent any more, now or since the last time.
    pub fn handle_flushed(&mut self, now: Instant, mut ended: impl FnMut(PacketId, Outcome)) {
        let now = self.advance(now);
        for (id, outcome) in self.ended.drain(..) {
            ended(id, outcome);
        }
        if let (State::Connected, Some(session)) = (self.state, &mut self.session) {
            self.connection.pump(session, now, |_, id, outcome| ended(id, outcome));
        }
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) came, or any other: a call too early does
    /// nothing.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<CloseReason> {
        let now = self.advance(now);
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let reason = match self.state {
            State::AwaitConnect | State::AwaitAuth if due(self.connect_deadline()) => {
                CloseReason::ConnectTimeout
            }
            State::Connected if due(self.silence_deadline()) => {
                self.connection.say_disconnect(now, ReasonCode::KEEP_ALIVE_TIMEOUT);
                CloseReason::KeepAliveTimeout
            }
            State::Connected if due(self.ack_deadline()) => return self.ack_timeout(),
            _ => return None,
        };
        self.state = State::Closed;
        Some(reason)
    }

    /// Accepts the CONNECT and goes on with `session`: sends CONNACK, then again what the client
    /// may not have. `ended` hears of messages that cannot be sent any more.
    ///
    /// # Errors
    /// [`CommandError::NothingToAnswer`] if no CONNECT awaits an answer,
    /// [`CommandError::AuthenticationData`] if there are too many,
    /// [`CommandError::PacketTooLarge`] if the client takes no packet of the size of this CONNACK, even
    /// without what may be left out:
    /// [`reject`](Self::reject) it; the session is to be had from
    /// [`take_session`](Self::take_session).
    pub fn accept(
        &mut self,
        now: Instant,
        session: Session,
        accept: &Accept,
        mut ended: impl FnMut(PacketId, Outcome),
    ) -> Result<(), CommandError> {
        if self.state != State::AwaitVerdict {
            return Err(CommandError::NothingToAnswer);
        }
        let now = self.advance(now);
        self.session = Some(session);
        accept.check()?;
        self.connection.send(now, &self.connack(accept))?;
        self.state = State::Connected;
        if let Some(auth) = &mut self.connection.auth {
            auth.pass_to(Turn::Nobody);
        }
        if let Some(seconds) = accept.keep_alive {
            self.silence = silence(seconds);
        }
        if let Some(seconds) = accept.session_expiry {
            self.session_expiry = seconds;
        }
        if let Some(session) = &mut self.session {
            session.begin_connection();
            let ended = |_: &mut Session, id, outcome| ended(id, outcome);
            self.connection.resume(session, now, self.send_window, ended);
        }
        Ok(())
    }

    /// Whether the client takes a CONNACK that says this; if not, [`reject`](Self::reject) it.
    #[must_use]
    pub fn can_accept(&self, accept: &Accept) -> bool {
        accept.check().is_ok() && self.connection.can_send(&self.connack(accept))
    }

    fn connack(&self, accept: &Accept) -> Packet<Bytes> {
        let auth = self.connection.auth.as_deref();
        let asked = self.asked_for_response_information;
        accept.connack(self.connection.version, &self.config, auth, asked)
    }

    /// Asks the client for more before the CONNECT is accepted, or before a re-authentication is:
    /// AUTH, Continue authentication, with these data if there are any. The answer is
    /// [`ServerAction::Auth`]; until a CONNECT is accepted it must come within the configured time.
    ///
    /// # Errors
    /// [`CommandError::NothingToAnswer`] unless a CONNECT with an Authentication Method or an AUTH
    /// awaits an answer; the other [`CommandError`]s. Nothing changed then.
    pub fn challenge(&mut self, now: Instant, data: &[u8]) -> Result<(), CommandError> {
        self.answer_auth(now, ReasonCode::CONTINUE_AUTHENTICATION, data, Turn::Client)?;
        if self.state == State::AwaitVerdict {
            self.state = State::AwaitAuth;
        }
        Ok(())
    }

    /// Ends a re-authentication well: AUTH, Success. The first authentication ends with
    /// [`accept`](Self::accept).
    ///
    /// # Errors
    /// As [`challenge`](Self::challenge).
    pub fn authenticated(&mut self, now: Instant, data: &[u8]) -> Result<(), CommandError> {
        if self.state != State::Connected {
            return Err(CommandError::NotConnected);
        }
        self.answer_auth(now, ReasonCode::SUCCESS, data, Turn::Nobody)
    }

    fn answer_auth(
        &mut self,
        now: Instant,
        reason: ReasonCode,
        data: &[u8],
        next: Turn,
    ) -> Result<(), CommandError> {
        let now = self.advance(now);
        let open = matches!(self.state, State::AwaitVerdict | State::Connected);
        let auth = self.connection.auth.as_ref().filter(|auth| auth.turn() == Turn::Server);
        if !open || auth.is_none() {
            return Err(CommandError::NothingToAnswer);
        }
        self.connection.send_auth(now, reason, data, next)
    }

    /// Why a subscription is to be refused, if CONNACK ruled its kind out
    /// ([`ServerConfig::wildcard_subscriptions`] and its like): the code for SUBACK (table row A53 of
    /// the decisions).
    ///
    /// # Errors
    /// That code.
    pub fn check_filter<B: Storage>(
        &self,
        filter: &TopicFilter<B>,
        has_identifier: bool,
    ) -> Result<(), ReasonCode> {
        if has_identifier && !self.config.subscription_identifiers {
            Err(ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)
        } else if filter.shared().is_some() && !self.config.shared_subscriptions {
            Err(ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)
        } else if filter.has_wildcard() && !self.config.wildcard_subscriptions {
            Err(ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED)
        } else {
            Ok(())
        }
    }

    /// Refuses the CONNECT with this code, or in 3.1.1 with the nearest one it has; the connection
    /// ends. What is no refusal that CONNACK has a code for is an Unspecified error, of which 3.1.1
    /// says nothing [MQTT-3.2.2-6].
    pub fn reject(&mut self, now: Instant, reason: ReasonCode) -> CloseReason {
        let now = self.advance(now);
        if !matches!(self.state, State::AwaitConnect | State::AwaitVerdict | State::AwaitAuth) {
            return self.close(now, reason);
        }
        self.state = State::Closed;
        let reason = match reason.nearest_in(self.connection.version, PacketType::ConnAck) {
            code if code.is_error() && code.is_legal_in(PacketType::ConnAck, Role::Server) => code,
            _ => ReasonCode::UNSPECIFIED_ERROR,
        };
        let connack = Packet::<Bytes>::ConnAck(ConnAck::refused(reason));
        // [MQTT-3.1.2-24] Who takes no five bytes is told nothing.
        let _ = self.connection.send(now, &connack);
        CloseReason::Refused(reason)
    }

    /// Sends a message, to a 3.1.1 client without its properties. At QoS 0 it is in the transmit
    /// buffer and forgotten. At QoS 1 and 2 the session keeps it until the client has it; what was
    /// kept should share no read buffer, see [`Publication::detach`].
    ///
    /// # Errors
    /// [`PublishError`]; nothing changed then.
    pub fn publish(
        &mut self,
        now: Instant,
        publication: Publication<Bytes>,
    ) -> Result<Option<PacketId>, PublishError> {
        let now = self.advance(now);
        if publication.qos == QoS::AtMostOnce {
            return self
                .publish_at_most_once(now, publication.retain, &publication.message)
                .map(|()| None);
        }
        let Some(session) = self.session.as_mut().filter(|_| self.state == State::Connected) else {
            return Err(PublishError::NotConnected);
        };
        let Publication { retain, message, .. } = publication.as_ref();
        let message = for_version(self.connection.version, message);
        let delivery = Delivery::AtLeastOnce { id: PacketId::MIN, dup: false };
        self.connection.check_publish(&Publish { delivery, retain, message })?;
        if session.is_full() || !self.ended.is_empty() {
            let untold = |id| self.ended.iter().any(|(ended, _)| *ended == id);
            session.sender.set_aside(untold).ok_or_else(|| session.full())?;
            if session.is_full() {
                session.expire(now, |id| self.ended.push((id, Outcome::Expired)));
            }
        }
        let id = session.publish(now, publication)?;
        self.connection.pump(session, now, |_, id, outcome| self.ended.push((id, outcome)));
        Ok(Some(id))
    }

    /// Sends a message of QoS 0, which is not kept and may therefore be borrowed; to a 3.1.1 client
    /// without its properties.
    ///
    /// # Errors
    /// [`PublishError`]; nothing changed then.
    pub fn publish_at_most_once<B: Storage>(
        &mut self,
        now: Instant,
        retain: bool,
        message: &Message<B>,
    ) -> Result<(), PublishError> {
        if self.state != State::Connected {
            return Err(PublishError::NotConnected);
        }
        let now = self.advance(now);
        check_alias(message)?;
        let message = for_version(self.connection.version, message.as_ref());
        self.connection.send_at_most_once(now, retain, &message)
    }

    /// Answers the PUBLISH that [`ServerAction::Publish`] gave, once it was routed or refused, now or
    /// later and in any order: what goes on the wire keeps to the order of the standard
    /// [MQTT-4.6.0-2] [MQTT-4.6.0-3]. 3.1.1 has no word for a refusal: there the message is
    /// acknowledged all the same (table row A33 of the decisions).
    ///
    /// # Errors
    /// [`CommandError::NothingToAnswer`] if it was answered before, or came on another connection.
    pub fn acknowledge(
        &mut self,
        now: Instant,
        receipt: Receipt,
        reason: ReasonCode,
    ) -> Result<(), CommandError> {
        let now = self.advance(now);
        match (self.state, &mut self.session) {
            (State::Connected, Some(session)) => {
                self.connection.acknowledge(session, now, receipt, reason)
            }
            _ => Err(CommandError::NothingToAnswer),
        }
    }

    /// The next change of the session to be written down, if it is
    /// [`journaled`](Session::journaled).
    pub fn poll_journal(&mut self) -> Option<JournalEntry> {
        self.session.as_mut()?.poll_journal()
    }

    /// Answers a SUBSCRIBE, with one code for each of its filters.
    ///
    /// # Errors
    /// [`CommandError`]; nothing changed then.
    pub fn suback(
        &mut self,
        now: Instant,
        id: PacketId,
        codes: impl IntoIterator<Item = ReasonCode>,
    ) -> Result<(), CommandError> {
        let version = self.connection.version;
        let codes = codes.into_iter().map(|code| code.nearest_in(version, PacketType::SubAck));
        let codes = ReasonCodes::from_iter(codes);
        self.answer(now, &Packet::SubAck(SubAck::new(id, codes)))
    }

    /// Answers an UNSUBSCRIBE, with one code for each of its filters; 3.1.1 clients are not told.
    ///
    /// # Errors
    /// [`CommandError`]; nothing changed then.
    pub fn unsuback(
        &mut self,
        now: Instant,
        id: PacketId,
        codes: impl IntoIterator<Item = ReasonCode>,
    ) -> Result<(), CommandError> {
        let codes = match self.connection.version {
            ProtocolVersion::V311 => ReasonCodes::default(),
            ProtocolVersion::V5 => ReasonCodes::from_iter(codes),
        };
        self.answer(now, &Packet::UnsubAck(UnsubAck::new(id, codes)))
    }

    /// Ends the connection: 5.0 clients are told why.
    pub fn close(&mut self, now: Instant, reason: ReasonCode) -> CloseReason {
        let now = self.advance(now);
        if self.state == State::Connected {
            self.connection.say_disconnect(now, reason);
        }
        self.state = State::Closed;
        CloseReason::Requested(reason)
    }

    /// Takes the session back, if the CONNECT was accepted and it was not taken before: the
    /// connection is over, but for what is left to transmit.
    pub fn take_session(&mut self) -> Option<Session> {
        self.state = State::Closed;
        let mut session = self.session.take()?;
        // Quota is of this connection; whoever is asked before the next one has none.
        session.sender.connect(0);
        Some(session)
    }

    /// What to write to the network connection.
    pub const fn transmit(&mut self) -> &mut Transmit {
        &mut self.connection.transmit
    }

    /// Whether to read more from the network connection, and to decode what was read. Not while a
    /// CONNECT waits for the broker's verdict: what follows it is legal (section 3.1.4), but not to be
    /// looked at before. Nor while the client reads nothing of what this side answers, so that the
    /// transmit buffer stays bounded.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match self.state {
            State::AwaitConnect | State::AwaitAuth | State::Connected => {
                self.connection.wants_input()
            }
            State::AwaitVerdict | State::Closed => false,
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = match self.state {
            State::AwaitConnect | State::AwaitAuth => [self.connect_deadline(), None],
            State::Connected => [self.silence_deadline(), self.ack_deadline()],
            State::AwaitVerdict | State::Closed => [None, None],
        };
        deadlines.into_iter().flatten().min()
    }

    /// The session lent to this connection.
    #[must_use]
    pub const fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Whether the transmit buffer has room for another message.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state == State::Connected && self.connection.has_room()
    }

    /// Whether a message of QoS 1 or 2 would be sent at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.sender.quota() > 0) && self.has_room()
    }

    /// What the client speaks; 5.0 until it has said.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.connection.version
    }

    /// Whether the CONNECT was accepted and the connection not ended since.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// How long the session lives after this connection, in seconds; `u32::MAX` is for ever.
    #[must_use]
    pub const fn session_expiry(&self) -> u32 {
        self.session_expiry
    }

    fn handle_connect<B: Storage>(
        &mut self,
        packet: Packet<B>,
    ) -> Result<Option<ServerAction<B>>, Violation> {
        // [MQTT-3.1.0-1] The decoder has refused anything else.
        let Packet::Connect(packet) = packet else {
            return Err(Violation::UnexpectedPacket(packet.packet_type()));
        };
        let connect = packet.fields();
        self.state = State::AwaitVerdict;
        self.connection.version = connect.version;
        self.silence = silence(connect.keep_alive);
        let properties = &connect.properties;
        self.session_expiry = match connect.version {
            // A session that is not clean lasts (table row A46 of the decisions).
            ProtocolVersion::V311 if connect.clean_start => 0,
            ProtocolVersion::V311 => u32::MAX,
            ProtocolVersion::V5 => properties.session_expiry_interval().unwrap_or(0),
        };
        self.asked_to_last = self.session_expiry > 0;
        self.asked_for_response_information =
            properties.request_response_information().unwrap_or(false);
        let window = properties.receive_maximum().unwrap_or(u16::MAX);
        self.send_window = window.min(self.config.max_in_flight);
        if let Some(limit) = properties.maximum_packet_size() {
            self.connection.peer_max_packet_size = limit;
        }
        let aliases = properties.topic_alias_maximum().unwrap_or(0);
        self.connection.outbound_aliases.reset(aliases.min(self.config.outbound_topic_aliases));
        if let Some(method) = properties.authentication_method() {
            self.connection.auth = Authentication::begin(method);
        }
        if let Some(will) = &connect.will {
            let refused = self.check_announced(will.qos, will.retain);
            // [MQTT-3.2.2-12] [MQTT-3.2.2-13]
            if let Err(violation) = refused {
                let reason = self.reject(self.now, violation.reason_code());
                return Ok(Some(ServerAction::Close(reason)));
            }
        }
        // [3.1.1 MQTT-3.1.3-8] A session that lasts needs a name.
        if connect.version == ProtocolVersion::V311
            && connect.client_id.is_empty()
            && !connect.clean_start
        {
            let reason = self.reject(self.now, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
            return Ok(Some(ServerAction::Close(reason)));
        }
        Ok(Some(ServerAction::Connect(packet)))
    }

    /// That CONNACK has not ruled such a message out, or will not. 3.1.1 has no words for it.
    fn check_announced(&self, qos: QoS, retain: bool) -> Result<(), Violation> {
        let ServerConfig { maximum_qos, retain_available, .. } = self.config;
        if self.connection.version == ProtocolVersion::V311 {
            Ok(())
        } else if qos > maximum_qos {
            Err(Violation::QoSNotSupported(maximum_qos))
        } else if retain && !retain_available {
            Err(Violation::RetainNotSupported)
        } else {
            Ok(())
        }
    }

    /// [MQTT-3.1.2-30] Only AUTH and DISCONNECT may come before CONNACK.
    fn handle_auth_answer<B: Storage>(
        &mut self,
        packet: Packet<B>,
    ) -> Result<Option<ServerAction<B>>, Violation> {
        match packet {
            Packet::Auth(auth) => {
                let action = self.handle_auth(auth)?;
                self.state = State::AwaitVerdict;
                Ok(Some(action))
            }
            Packet::Disconnect(disconnect) => {
                self.state = State::Closed;
                Ok(Some(ServerAction::Disconnect(disconnect)))
            }
            packet => Err(Violation::UnexpectedPacket(packet.packet_type())),
        }
    }

    fn handle_auth<B: Storage>(&mut self, auth: Auth<B>) -> Result<ServerAction<B>, Violation> {
        let unexpected = Violation::UnexpectedPacket(PacketType::Auth);
        let exchange = self.connection.auth.as_mut().ok_or(unexpected)?;
        let expected = [
            (Turn::Client, ReasonCode::CONTINUE_AUTHENTICATION),
            (Turn::Nobody, ReasonCode::RE_AUTHENTICATE),
        ];
        exchange.handle(&auth, &expected)?;
        exchange.pass_to(Turn::Server);
        Ok(ServerAction::Auth(auth))
    }

    fn handle_connected<B: Storage>(
        &mut self,
        now: Instant,
        packet: Packet<B>,
    ) -> Result<Option<ServerAction<B>>, Violation> {
        let packet_type = packet.packet_type();
        if let Packet::Publish(publish) = &packet {
            self.check_announced(publish.delivery.qos(), publish.retain)?;
        }
        let Some(session) = &mut self.session else {
            return Err(Violation::UnexpectedPacket(packet_type));
        };
        Ok(match packet {
            Packet::Auth(auth) => Some(self.handle_auth(auth)?),
            Packet::Publish(publish) => {
                let topic = self.connection.resolve_topic(&publish)?;
                match self.connection.handle_publish(session, now, publish.delivery, false)? {
                    Arrival::Repeated => None,
                    Arrival::New(receipt) => {
                        Some(ServerAction::Publish(Inbound::new(publish, topic, receipt)))
                    }
                }
            }
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => {
                let id = ack.id;
                let outcome = self.connection.handle_ack(session, now, packet_type, &ack)?;
                if outcome.is_some() {
                    self.connection.pump(session, now, |_, id, how| self.ended.push((id, how)));
                }
                outcome.map(|outcome| ServerAction::Finished { id, outcome })
            }
            Packet::Subscribe(subscribe) => Some(ServerAction::Subscribe(subscribe)),
            Packet::Unsubscribe(unsubscribe) => Some(ServerAction::Unsubscribe(unsubscribe)),
            Packet::PingReq => {
                // [MQTT-3.12.4-1]
                let _ = self.connection.send(now, &PacketRef::PingResp);
                None
            }
            Packet::Disconnect(disconnect) => {
                if let Some(seconds) = disconnect.properties.session_expiry_interval() {
                    if !self.asked_to_last && seconds > 0 {
                        return Err(Violation::SessionExpiryRaised);
                    }
                    self.session_expiry = seconds;
                }
                self.state = State::Closed;
                Some(ServerAction::Disconnect(disconnect))
            }
            _ => return Err(Violation::UnexpectedPacket(packet_type)),
        })
    }

    fn connect_deadline(&self) -> Option<Instant> {
        Some(self.opened + self.config.connect_timeout)
    }

    fn silence_deadline(&self) -> Option<Instant> {
        self.silence.map(|silence| self.connection.last_received + silence)
    }

    fn ack_deadline(&self) -> Option<Instant> {
        self.connection.ack_deadline(self.session.as_ref()?)
    }

    fn ack_timeout(&mut self) -> Option<CloseReason> {
        let ended = |_: &mut Session, id, how| self.ended.push((id, how));
        let session = self.session.as_mut()?;
        let reason = self.connection.handle_ack_timeout(session, self.now, ended)?;
        self.state = State::Closed;
        Some(reason)
    }

    fn answer(&mut self, now: Instant, packet: &Packet<Bytes>) -> Result<(), CommandError> {
        if self.state != State::Connected {
            return Err(CommandError::NotConnected);
        }
        let now = self.advance(now);
        Ok(self.connection.send(now, packet)?)
    }

    /// Time does not run backwards, whatever the caller's clock does.
    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    fn violation(&mut self, now: Instant, violation: Violation) -> CloseReason {
        if self.state == State::AwaitAuth {
            self.reject(now, violation.reason_code());
        }
        // [section 4.13] Before CONNECT was accepted there is nobody to say DISCONNECT to.
        let connected = self.state == State::Connected;
        self.state = State::Closed;
        if connected {
            self.connection.close_violation(now, violation)
        } else {
            CloseReason::Violation(violation)
        }
    }

    fn malformed(&mut self, now: Instant, error: DecodeError, src: &[u8]) -> CloseReason {
        match self.state {
            State::Connected => self.connection.say_disconnect(now, error.reason_code()),
            State::AwaitConnect => self.refuse_malformed(now, error, src),
            State::AwaitAuth => drop(self.reject(now, error.reason_code())),
            State::AwaitVerdict | State::Closed => {}
        }
        self.state = State::Closed;
        CloseReason::Malformed(error)
    }

    /// A CONNECT that cannot be read is answered if it is known which version would read the
    /// answer: 5.0 clients get the reason code, an unknown level the refusal of its own time
    /// [MQTT-3.1.2-2], anything else nothing [MQTT-3.1.4-1].
    fn refuse_malformed(&mut self, now: Instant, error: DecodeError, src: &[u8]) {
        let version = match error.kind() {
            DecodeErrorKind::UnsupportedProtocolLevel(level) if level <= 5 => ProtocolVersion::V311,
            DecodeErrorKind::UnsupportedProtocolLevel(_) => ProtocolVersion::V5,
            _ if src.first().is_some_and(|first| first >> 4 == PacketType::Connect as u8)
                && (2..=5).any(|at| src.get(at..at + 7) == Some(b"\x00\x04MQTT\x05")) =>
            {
                ProtocolVersion::V5
            }
            _ => return,
        };
        self.connection.version = version;
        let reason = match error.reason_code() {
            code if code.is_legal_in(PacketType::ConnAck, Role::Server) => code,
            _ => ReasonCode::MALFORMED_PACKET,
        };
        self.reject(now, reason);
    }
}

/// A fixed header of at most 5 bytes, the protocol name and the level.
const CONNECT_START: usize = 12;

/// [MQTT-3.1.2-22]
fn silence(keep_alive: u16) -> Option<Duration> {
    (keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1500))
}

#[cfg(test)]
impl crate::model::Fingerprint for Server {
    fn print(&self, to: &mut crate::model::Print) {
        let Self {
            connection,
            session,
            state,
            silence,
            session_expiry,
            asked_to_last,
            asked_for_response_information,
            send_window,
            ended,
            opened,
            // The same in every state; the caller's, or earlier.
            config: _,
            now: _,
        } = self;
        to.of(connection);
        to.optional(session.as_ref());
        to.value(&(core::mem::discriminant(state), silence, session_expiry));
        to.value(&(asked_to_last, asked_for_response_information, send_window, ended));
        // When the connection was opened matters until CONNECT came, and when something was
        // received for the keep alive alone.
        match (state, silence) {
            (State::AwaitConnect, _) => to.of(opened),
            (State::Connected, Some(_)) => to.of(&connection.last_received),
            _ => {}
        }
    }
}
