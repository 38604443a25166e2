//! What ends with a network connection, and the part of the protocol that both roles share.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::Bytes;
use mqtt_proto::{
    Ack, Connect, Decoder, Delivery, Disconnect, EncodeError, MAX_PACKET_SIZE, Message, Packet,
    PacketId, PacketRef, PacketType, Properties, PropertyId, ProtocolVersion, Publication, Publish,
    PublishOverrides, QoS, ReasonCode, Role, Storage, TopicName,
};

use crate::{
    CloseReason, CommandError, Instant, Outcome, PublishError, Receipt, Session, Transmit,
    Violation,
    alias::{InboundAliases, OutboundAliases},
    auth::{Authentication, Turn},
    qos::{
        Next, Owed,
        transition::{AckInput, PubRelStep, PublishStep, SendStep, Verdict, VerdictStep},
    },
};

// The model watches what the tables are asked.
#[cfg(test)]
use crate::model::cells::{on_publish, on_pubrel, on_verdict};
#[cfg(not(test))]
use crate::qos::transition::{on_publish, on_pubrel, on_verdict};

/// One network connection: everything here dies with it.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Connection {
    role: Role,
    pub(crate) version: ProtocolVersion,
    pub(crate) decoder: Decoder,
    pub(crate) transmit: Transmit,
    /// The peer's Maximum Packet Size.
    pub(crate) peer_max_packet_size: u32,
    /// The server's Maximum QoS and Retain Available; a client rules nothing out.
    pub(crate) peer_maximum_qos: QoS,
    pub(crate) peer_retain_available: bool,
    /// What waits for a peer that does not read: QoS 0 is refused above it, QoS 1 and 2 wait in
    /// the session.
    transmit_limit: usize,
    /// By how much the last message passed it.
    excess: usize,
    /// How many PUBLISH of QoS 1 and 2 this side takes at a time, and those it has not answered
    /// for good.
    receive_maximum: u16,
    owed: Owed,
    /// How long the peer may take to answer a PUBLISH or PUBREL, and since when at the earliest.
    ack_timeout: Option<Duration>,
    ack_awaited: Instant,
    aliases: InboundAliases,
    /// Those of this side's messages; none before the peer has said how many it takes.
    pub(crate) outbound_aliases: OutboundAliases,
    /// If CONNECT named an Authentication Method.
    pub(crate) auth: Option<Box<Authentication>>,
    pub(crate) last_received: Instant,
    pub(crate) last_sent: Instant,
}

/// The answers to 4,096 messages: those that a peer may have open at a time should fit, or it could
/// wait for an answer that waits for the peer to read.
const LEAST_ROOM_FOR_ANSWERS: usize = 16 * 1024;

/// What this side announced, or would announce if the version had words for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_packet_size: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) transmit_limit: usize,
    pub(crate) ack_timeout: Option<Duration>,
}

/// What came of a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Nothing: it was delivered before.
    Repeated,
    /// It is to be delivered, and answered if there is a receipt.
    New(Option<Receipt>),
}

impl Connection {
    pub(crate) fn new(role: Role, decoder: Decoder, limits: Limits, now: Instant) -> Self {
        Self {
            role,
            version: decoder.version().unwrap_or(ProtocolVersion::V5),
            decoder: decoder.with_max_packet_size(limits.max_packet_size),
            transmit: Transmit::new(),
            peer_max_packet_size: MAX_PACKET_SIZE,
            peer_maximum_qos: QoS::ExactlyOnce,
            peer_retain_available: true,
            // With 0 nothing could ever be sent.
            transmit_limit: limits.transmit_limit.max(1),
            excess: 0,
            receive_maximum: limits.receive_maximum,
            owed: Owed::default(),
            ack_timeout: limits.ack_timeout,
            ack_awaited: now,
            aliases: InboundAliases::new(limits.topic_alias_maximum),
            outbound_aliases: OutboundAliases::default(),
            auth: None,
            last_received: now,
            last_sent: now,
        }
    }

    /// Appends a packet, without its User Properties and its Reason String where it is too large
    /// for the peer with them (see [`Packet::encode_within`]). Nothing changes if it is too large
    /// all the same [MQTT-3.1.2-24] [MQTT-3.2.2-15], or cannot be said.
    pub(crate) fn send<B: Storage>(
        &mut self,
        now: Instant,
        packet: &Packet<B>,
    ) -> Result<(), EncodeError> {
        packet.encode_within(self.version, self.peer_max_packet_size, self.transmit.sink())?;
        self.last_sent = now;
        Ok(())
    }

    /// Appends the packet that is known to be legal and has no limit yet.
    pub(crate) fn send_connect(
        &mut self,
        now: Instant,
        connect: &Connect<Bytes>,
    ) -> Result<(), EncodeError> {
        connect.encode(self.transmit.sink())?;
        self.last_sent = now;
        Ok(())
    }

    /// Whether there is room for another message.
    pub(crate) const fn has_room(&self) -> bool {
        self.transmit.len() < self.transmit_limit
    }

    /// Whether the answers to more input would still find room, which is theirs alone: if messages
    /// could stop the reading, two sides that both send much would wait for each other.
    pub(crate) fn wants_input(&self) -> bool {
        let messages = self.transmit_limit.saturating_add(self.excess);
        let answers = self.transmit_limit.max(LEAST_ROOM_FOR_ANSWERS);
        self.transmit.len() < messages.saturating_add(answers)
    }

    /// A message was appended; none is above the limit, but it may have been passed by this one.
    fn message_appended(&mut self, now: Instant) {
        self.last_sent = now;
        self.excess = self.transmit.len().saturating_sub(self.transmit_limit);
    }

    /// Whether [`send`](Self::send) would take this packet.
    pub(crate) fn can_send<B: Storage>(&self, packet: &Packet<B>) -> bool {
        packet.encoded_len_within(self.version, self.peer_max_packet_size).is_ok()
    }

    /// Says good-bye where the version has a word for it, and forgets nothing: what was queued
    /// before is written first.
    pub(crate) fn say_disconnect(&mut self, now: Instant, reason: ReasonCode) {
        let said = match self.version {
            ProtocolVersion::V5 => true,
            // Only the client has it, and it means that all is well: the will is void.
            ProtocolVersion::V311 => {
                self.role == Role::Client && reason == ReasonCode::NORMAL_DISCONNECTION
            }
        };
        if said {
            let reason = reason.for_disconnect(self.role);
            // Two or three bytes: whoever takes no more than two is not told why.
            let _ = self.send(now, &PacketRef::Disconnect(Disconnect::new(reason)));
        }
    }

    /// Sends an AUTH, after which it is the turn of `next`.
    pub(crate) fn send_auth(
        &mut self,
        now: Instant,
        reason: ReasonCode,
        data: &[u8],
        next: Turn,
    ) -> Result<(), CommandError> {
        let auth = self.auth.as_ref().ok_or(CommandError::NothingToAnswer)?;
        let packet = auth.packet(reason, data)?;
        self.send(now, &packet)?;
        if let Some(auth) = &mut self.auth {
            auth.pass_to(next);
        }
        Ok(())
    }

    /// The topic name that the alias of this PUBLISH stands for, and learns it if the packet says
    /// both [MQTT-3.3.2-7]. `None` if there is no alias or the packet has its name.
    pub(crate) fn resolve_topic<B: Storage>(
        &mut self,
        publish: &Publish<B>,
    ) -> Result<Option<TopicName<Bytes>>, Violation> {
        match publish.message.properties.topic_alias() {
            None => Ok(None),
            Some(alias) => self.aliases.resolve(alias, &publish.message.topic),
        }
    }

    /// A PUBLISH came. What is owed for a new one waits for [`acknowledge`](Self::acknowledge), or is
    /// said at once if the application leaves that to us.
    pub(crate) fn handle_publish(
        &mut self,
        session: &mut Session,
        now: Instant,
        delivery: Delivery,
        automatic: bool,
    ) -> Result<Arrival, Violation> {
        let (qos, Some(id)) = (delivery.qos(), delivery.id()) else {
            return Ok(Arrival::New(None));
        };
        // [MQTT-3.3.4-9] An identifier that is open takes no second slot. One that the peer has
        // released without its PUBREC is open no longer, but its answer is owed all the same.
        let repeated = self.owed.is_open(qos, id);
        let waiting = self.owed.waiting(qos);
        let (taken, maximum) = match self.version {
            ProtocolVersion::V5 => (waiting.max(self.owed.open()), self.receive_maximum),
            ProtocolVersion::V311 => (waiting, u16::MAX),
        };
        if !repeated && taken >= maximum.into() {
            return Err(Violation::ReceiveMaximumExceeded);
        }
        let state = self.owed.state(qos, id, session.receiver.held());
        if !repeated {
            self.owed.begin(qos, id);
        }
        Ok(match on_publish(state, qos) {
            PublishStep::Deliver => Arrival::New(None),
            PublishStep::Ignore => Arrival::Repeated,
            PublishStep::PubRecAgain => {
                if self.owed.repeat(id) {
                    self.send_ack(now, PacketType::PubRec, Ack::success(id));
                }
                Arrival::Repeated
            }
            PublishStep::DeliverOwePubAck | PublishStep::DeliverOwePubRec if automatic => {
                self.judge(session, qos, id, Verdict::Accepted);
                self.answer(now, qos, id, ReasonCode::SUCCESS);
                Arrival::New(None)
            }
            PublishStep::DeliverOwePubAck | PublishStep::DeliverOwePubRec => {
                let place = self.owed.wait(qos, id);
                Arrival::New(Some(Receipt { connection: session.connection, place }))
            }
        })
    }

    /// The application has a message or, with an error code, refuses it; 3.1.1 has no word for a
    /// refusal. What it has it has from here on, even if the connection ends before the answer is
    /// sent, which is once those to earlier messages of its QoS are.
    pub(crate) fn acknowledge(
        &mut self,
        session: &mut Session,
        now: Instant,
        receipt: Receipt,
        reason: ReasonCode,
    ) -> Result<(), CommandError> {
        let code = match self.version {
            ProtocolVersion::V311 => ReasonCode::SUCCESS,
            ProtocolVersion::V5 if reason.is_legal_in(PacketType::PubAck, self.role) => reason,
            ProtocolVersion::V5 if reason.is_error() => ReasonCode::UNSPECIFIED_ERROR,
            ProtocolVersion::V5 => ReasonCode::SUCCESS,
        };
        let Receipt { connection, place } = receipt;
        if connection != session.connection {
            return Err(CommandError::NothingToAnswer);
        }
        let id = self.owed.decide(place, code).ok_or(CommandError::NothingToAnswer)?;
        let verdict = if code.is_error() { Verdict::Refused } else { Verdict::Accepted };
        self.judge(session, place.qos(), id, verdict);
        while let Some((id, code)) = self.owed.next(place.qos()) {
            self.answer(now, place.qos(), id, code);
        }
        Ok(())
    }

    fn judge(&self, session: &mut Session, qos: QoS, id: PacketId, verdict: Verdict) {
        let state = self.owed.state(qos, id, session.receiver.held());
        match on_verdict(state, verdict) {
            VerdictStep::HoldPubRec => session.hold(id),
            VerdictStep::Ignore | VerdictStep::PubAck | VerdictStep::PubRec => {}
        }
    }

    /// Says what is owed.
    fn answer(&mut self, now: Instant, qos: QoS, id: PacketId, code: ReasonCode) {
        let packet = match qos {
            QoS::ExactlyOnce => PacketType::PubRec,
            QoS::AtMostOnce | QoS::AtLeastOnce => PacketType::PubAck,
        };
        if packet == PacketType::PubAck || code.is_error() {
            self.owed.end(qos, id);
        }
        self.send_ack(now, packet, Ack::new(id, code));
    }

    /// A PUBACK, PUBREC, PUBREL or PUBCOMP came. The outcome of the exchange, if this was the end
    /// of it: then there is quota for another, see [`pump`](Self::pump).
    pub(crate) fn handle_ack<B: Storage>(
        &mut self,
        session: &mut Session,
        now: Instant,
        packet: PacketType,
        ack: &Ack<B>,
    ) -> Result<Option<Outcome>, Violation> {
        let id = ack.id;
        let input = match packet {
            PacketType::PubAck => AckInput::PubAck,
            PacketType::PubRec if ack.reason.is_error() => AckInput::PubRecError,
            PacketType::PubRec => AckInput::PubRec,
            PacketType::PubComp => AckInput::PubComp,
            _ => {
                self.handle_pubrel(session, now, id);
                return Ok(None);
            }
        };
        let told = session.sender.is_abandoned(id);
        match session.on_ack(now, id, input) {
            SendStep::Ignore => Ok(None),
            SendStep::Finish if told => Ok(None),
            SendStep::Finish => Ok(Some(Outcome::Acknowledged(match packet {
                // Packet Identifier not found is not an error: the receiver had released it before.
                PacketType::PubComp => ReasonCode::SUCCESS,
                _ => ack.reason,
            }))),
            SendStep::Release | SendStep::ReleaseAgain => {
                self.send_ack(now, PacketType::PubRel, Ack::success(id));
                Ok(None)
            }
            SendStep::ReleaseUnknown => {
                self.send_ack(now, PacketType::PubRel, self.not_found(id));
                Ok(None)
            }
            SendStep::Violation => Err(Violation::WrongAck { packet, id }),
        }
    }

    fn handle_pubrel(&mut self, session: &mut Session, now: Instant, id: PacketId) {
        let state = self.owed.state(QoS::ExactlyOnce, id, session.receiver.held());
        let ack = match on_pubrel(state) {
            PubRelStep::ReleasePubComp => {
                self.owed.end(QoS::ExactlyOnce, id);
                session.release(id);
                Ack::success(id)
            }
            PubRelStep::PubCompUnknown => self.not_found(id),
        };
        self.send_ack(now, PacketType::PubComp, ack);
    }

    /// Sends again what the peer may not have [MQTT-4.4.0-1]: first every PUBREL, in the order of
    /// the PUBRECs, then every PUBLISH in its original order, as far as the peer's Receive Maximum
    /// goes [MQTT-4.6.0-1] [MQTT-4.6.0-4].
    pub(crate) fn resume(
        &mut self,
        session: &mut Session,
        now: Instant,
        window: u16,
        ended: impl FnMut(&mut Session, PacketId, Outcome),
    ) {
        session.sender.connect(window);
        self.send_again(session, now, ended);
    }

    fn send_again(
        &mut self,
        session: &mut Session,
        now: Instant,
        ended: impl FnMut(&mut Session, PacketId, Outcome),
    ) {
        for id in session.sender.releases() {
            self.send_ack(now, PacketType::PubRel, Ack::success(id));
        }
        session.sender.releases_sent(now);
        self.pump(session, now, ended);
    }

    /// When the peer has taken too long to answer a PUBLISH or PUBREL.
    pub(crate) fn ack_deadline(&self, session: &Session) -> Option<Instant> {
        let timeout = self.ack_timeout?;
        session.sender.oldest_sent().map(|sent| sent.max(self.ack_awaited) + timeout)
    }

    /// It has. In 3.1.1 everything open is sent again, as long as that leaves identifiers for others;
    /// in 5.0 nothing may be but on a new connection [MQTT-4.4.0-1], so this one ends.
    pub(crate) fn handle_ack_timeout(
        &mut self,
        session: &mut Session,
        now: Instant,
        ended: impl FnMut(&mut Session, PacketId, Outcome),
    ) -> Option<CloseReason> {
        if self.version == ProtocolVersion::V5 || session.sender.is_worn() {
            self.say_disconnect(now, ReasonCode::UNSPECIFIED_ERROR);
            return Some(CloseReason::AckTimeout);
        }
        self.ack_awaited = now;
        // What the peer has not even read need not be said twice.
        if self.transmit.is_empty() {
            session.sender.repeat();
            self.send_again(session, now, ended);
        }
        None
    }

    /// Sends what waits, as far as quota and transmit buffer allow. `ended` hears of the messages
    /// that cannot be sent any more.
    pub(crate) fn pump(
        &mut self,
        session: &mut Session,
        now: Instant,
        mut ended: impl FnMut(&mut Session, PacketId, Outcome),
    ) {
        while self.has_room() {
            let Some(next) = session.sender.peek() else {
                return;
            };
            let (id, resent) = (next.id, next.dup && next.publication.qos == QoS::ExactlyOnce);
            match self.send_next(now, &next) {
                None => session.sent(now),
                Some(outcome) => {
                    if resent {
                        session.abandon_unsent(now, id);
                        self.send_ack(now, PacketType::PubRel, self.not_found(id));
                    } else {
                        session.drop_unsent(id);
                    }
                    ended(session, id, outcome);
                }
            }
        }
    }

    /// Writes a message of QoS 1 or 2, unless there is a reason not to.
    fn send_next(&mut self, now: Instant, next: &Next<'_>) -> Option<Outcome> {
        let Next { id, publication, dup, accepted } = next;
        let (id, dup) = (*id, *dup);
        let delivery = match publication.qos {
            QoS::ExactlyOnce => Delivery::ExactlyOnce { id, dup },
            QoS::AtMostOnce | QoS::AtLeastOnce => Delivery::AtLeastOnce { id, dup },
        };
        let Publication { retain, message, .. } = publication.as_ref();
        if let Some(refusal) = self.ruled_out(publication.qos, retain) {
            // What was sent before may have been taken then; what was not is refused as CONNACK
            // said.
            return Some(if dup { Outcome::Lost } else { Outcome::Acknowledged(refusal) });
        }
        let waited = now.since(*accepted);
        let mut overrides = PublishOverrides::default();
        if let Some(seconds) = message.properties.message_expiry_interval() {
            // [MQTT-3.3.2-6]
            overrides.message_expiry_interval = match remaining_expiry(seconds, waited) {
                Some(remaining) => Some(remaining),
                // Once sent it is sent until it is acknowledged (table row A15 of the decisions).
                None if dup => Some(seconds.min(1)),
                // [MQTT-3.3.2-5]
                None => return Some(Outcome::Expired),
            };
        }
        let message = for_version(self.version, message);
        let publish = Publish { delivery, retain, message };
        self.send_publish(now, &publish, overrides).err().map(|_| Outcome::TooLarge)
    }

    /// Why the peer said it would not take such a message [MQTT-3.2.2-11] [MQTT-3.2.2-14].
    fn ruled_out(&self, qos: QoS, retain: bool) -> Option<ReasonCode> {
        if qos > self.peer_maximum_qos {
            Some(ReasonCode::QOS_NOT_SUPPORTED)
        } else if retain && !self.peer_retain_available {
            Some(ReasonCode::RETAIN_NOT_SUPPORTED)
        } else {
            None
        }
    }

    /// Writes a PUBLISH, with a topic alias where there is one for it [MQTT-3.3.2-7].
    fn send_publish(
        &mut self,
        now: Instant,
        publish: &Publish<&[u8]>,
        overrides: PublishOverrides,
    ) -> Result<(), PublishError> {
        let topic = &publish.message.topic;
        let choice = self.outbound_aliases.choose(topic);
        let aliased = PublishOverrides { topic_alias: choice.alias(), ..overrides };
        match self.write_publish(publish, aliased) {
            Ok(()) => self.outbound_aliases.commit(choice, topic),
            // An alias that is new makes the packet three bytes larger.
            Err(PublishError::PacketTooLarge { .. }) if choice.alias().is_some() => {
                self.write_publish(publish, overrides)?;
            }
            Err(error) => return Err(error),
        }
        self.message_appended(now);
        Ok(())
    }

    fn write_publish(
        &mut self,
        publish: &Publish<&[u8]>,
        overrides: PublishOverrides,
    ) -> Result<(), PublishError> {
        let size = publish.encoded_len_with(self.version, overrides)?;
        let limit = self.peer_max_packet_size;
        if size > limit {
            return Err(PublishError::PacketTooLarge { size, limit });
        }
        Ok(publish.encode_with(self.version, overrides, self.transmit.sink())?)
    }

    /// Writes a message of QoS 0.
    pub(crate) fn send_at_most_once<B: Storage>(
        &mut self,
        now: Instant,
        retain: bool,
        message: &Message<B>,
    ) -> Result<(), PublishError> {
        let publish = Publish { delivery: Delivery::AtMostOnce, retain, message: message.as_ref() };
        check_alias(&publish.message)?;
        if !self.has_room() {
            return Err(PublishError::TransmitFull);
        }
        self.send_publish(now, &publish, PublishOverrides::default())
    }

    /// That a message can be said in this version and is not too large for the peer.
    pub(crate) fn check_publish<B: Storage>(
        &self,
        publish: &Publish<B>,
    ) -> Result<(), PublishError> {
        check_alias(&publish.message)?;
        let (size, limit) = (publish.encoded_len(self.version)?, self.peer_max_packet_size);
        if size <= limit { Ok(()) } else { Err(PublishError::PacketTooLarge { size, limit }) }
    }

    pub(crate) fn close_violation(&mut self, now: Instant, violation: Violation) -> CloseReason {
        self.say_disconnect(now, violation.reason_code());
        CloseReason::Violation(violation)
    }

    fn send_ack(&mut self, now: Instant, packet: PacketType, ack: Ack<&[u8]>) {
        let packet = match packet {
            PacketType::PubAck => Packet::PubAck(ack),
            PacketType::PubRec => Packet::PubRec(ack),
            PacketType::PubRel => Packet::PubRel(ack),
            _ => Packet::PubComp(ack),
        };
        // Four or five bytes with a code that is legal here. Whoever takes no packet of that size
        // has asked for no answers.
        let _ = self.send(now, &packet);
    }

    /// For an exchange that is not known; 3.1.1 has no word for that.
    fn not_found(&self, id: PacketId) -> Ack<&'static [u8]> {
        Ack::new(
            id,
            match self.version {
                ProtocolVersion::V5 => ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
                ProtocolVersion::V311 => ReasonCode::SUCCESS,
            },
        )
    }
}

/// The message as it can be said in this version: 3.1.1 has no properties. Whoever published it, or
/// asked for it, may have spoken 5.0.
pub(crate) fn for_version(version: ProtocolVersion, message: Message<&[u8]>) -> Message<&[u8]> {
    match version {
        ProtocolVersion::V311 => Message { properties: Properties::default(), ..message },
        ProtocolVersion::V5 => message,
    }
}

/// An alias says something about one connection, a message may see many.
pub(crate) fn check_alias<B: Storage>(message: &Message<B>) -> Result<(), PublishError> {
    if message.properties.set().contains(PropertyId::TopicAlias) {
        return Err(PublishError::TopicAlias);
    }
    Ok(())
}

/// What is left of a Message Expiry Interval, in seconds rounded up; `None` if nothing is
/// [MQTT-3.3.2-6].
///
/// An interval of 0 is never sent after waiting, and is sent at once as it is.
#[must_use]
pub fn remaining_expiry(seconds: u32, waited: Duration) -> Option<u32> {
    if waited.is_zero() {
        return Some(seconds);
    }
    let left =
        Duration::from_secs(seconds.into()).checked_sub(waited).filter(|left| !left.is_zero())?;
    Some(left.as_secs() as u32 + u32::from(left.subsec_nanos() > 0))
}

#[cfg(test)]
impl crate::model::Fingerprint for Connection {
    fn print(&self, to: &mut crate::model::Print) {
        let Self {
            version,
            decoder,
            transmit,
            peer_max_packet_size,
            peer_maximum_qos,
            peer_retain_available,
            excess,
            owed,
            ack_awaited,
            aliases,
            outbound_aliases,
            auth,
            // The same in every state.
            role: _,
            transmit_limit: _,
            receive_maximum: _,
            ack_timeout: _,
            // Where they matter is the affair of the roles.
            last_received: _,
            last_sent: _,
        } = self;
        // A decoder keeps no bytes. It knows its version, and whether it has failed: then the
        // connection is closing.
        to.value(&(version, decoder.version(), bytes::Buf::chunk(transmit), excess));
        to.value(&(peer_max_packet_size, peer_maximum_qos, peer_retain_available));
        to.value(&(owed, aliases, outbound_aliases));
        to.awaited(*ack_awaited);
        assert!(auth.is_none(), "nobody in the model names an Authentication Method");
    }
}

#[cfg(test)]
mod tests;
