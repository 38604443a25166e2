//! Whose fault it is: the peer's bytes, the peer's behaviour, or the caller's.

use bytes::Bytes;
use mqtt_proto::{DecodeError, EncodeError, PacketId, PacketType, QoS, ReasonCode, TopicFilter};

/// Well-formed packets that the peer must not have sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A packet that is not legal in this state, such as a second CONNECT [MQTT-3.1.0-2].
    #[error("{} is not legal now", .0.name())]
    UnexpectedPacket(PacketType),
    /// More PUBLISH of QoS 1 and 2 than Receive Maximum allows [MQTT-3.3.4-9].
    #[error("more unacknowledged PUBLISH packets than Receive Maximum allows [MQTT-3.3.4-9]")]
    ReceiveMaximumExceeded,
    /// A topic alias above the announced maximum [MQTT-3.3.2-9].
    #[error("topic alias {0} is above the Topic Alias Maximum [MQTT-3.3.2-9]")]
    TopicAliasInvalid(u16),
    /// An alias that nothing was ever said for on this connection (section 3.3.4).
    #[error("topic alias {0} stands for no topic name")]
    TopicAliasUnknown(u16),
    /// The acknowledgement of another QoS, or out of order.
    #[error("{} {id} answers a packet that does not await it", packet.name())]
    WrongAck {
        /// What came.
        packet: PacketType,
        /// For which exchange.
        id: PacketId,
    },
    /// CONNACK says a session is present that this client asked to discard [MQTT-3.2.2-2].
    #[error("the server resumes a session that was to be discarded [MQTT-3.2.2-2]")]
    SessionPresent,
    /// SUBACK with another number of codes than SUBSCRIBE had filters [MQTT-3.8.4-5].
    #[error("{} {id} has another number of reason codes than there were filters", packet.name())]
    WrongNumberOfCodes {
        /// SUBACK or UNSUBACK.
        packet: PacketType,
        /// Of which request.
        id: PacketId,
    },
    /// A packet names another Authentication Method than CONNECT, or none where it must
    /// [MQTT-4.12.0-5] [MQTT-4.12.1-1].
    #[error("another Authentication Method than that of CONNECT [MQTT-4.12.0-5]")]
    AuthenticationMethod,
    /// A PUBLISH of a QoS that CONNACK ruled out [MQTT-3.2.2-11].
    #[error("the QoS is above the announced Maximum QoS of {0} [MQTT-3.2.2-11]")]
    QoSNotSupported(QoS),
    /// A PUBLISH with RETAIN where CONNACK ruled it out [MQTT-3.2.2-14].
    #[error("retained messages were announced as not available [MQTT-3.2.2-14]")]
    RetainNotSupported,
    /// A Reason String or User Property where this client asked for none (section 3.1.2.11.7).
    #[error("{} has a Reason String or User Properties, and none were asked for", .0.name())]
    ProblemInformation(PacketType),
    /// DISCONNECT raises the Session Expiry Interval from 0 (section 3.14.2.2.2).
    #[error("Session Expiry Interval was 0 and may not be raised [MQTT-3.14.2-2]")]
    SessionExpiryRaised,
}

impl Violation {
    /// What to put into DISCONNECT.
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::ReceiveMaximumExceeded => ReasonCode::RECEIVE_MAXIMUM_EXCEEDED,
            Self::TopicAliasInvalid(_) => ReasonCode::TOPIC_ALIAS_INVALID,
            Self::QoSNotSupported(_) => ReasonCode::QOS_NOT_SUPPORTED,
            Self::RetainNotSupported => ReasonCode::RETAIN_NOT_SUPPORTED,
            Self::AuthenticationMethod
            | Self::UnexpectedPacket(_)
            | Self::TopicAliasUnknown(_)
            | Self::WrongAck { .. }
            | Self::SessionPresent
            | Self::WrongNumberOfCodes { .. }
            | Self::ProblemInformation(_)
            | Self::SessionExpiryRaised => ReasonCode::PROTOCOL_ERROR,
        }
    }
}

/// Why a connection ends. What the peer is owed has been put into the transmit buffer: write it,
/// then close.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer's bytes are not MQTT.
    #[error("malformed packet: {0}")]
    Malformed(DecodeError),
    /// The peer's packets are, but not legal now.
    #[error("protocol error: {0}")]
    Violation(Violation),
    /// The server refused the connection; CONNACK said why.
    #[error("the server refused the connection: {0}")]
    Refused(ReasonCode),
    /// The peer said DISCONNECT. 3.1.1 has no code and means Normal disconnection.
    #[error("the peer disconnected: {0}")]
    Disconnected(ReasonCode),
    /// This side did, by [`disconnect`](crate::Client::disconnect) or
    /// [`close`](crate::Server::close).
    #[error("disconnected: {0}")]
    Requested(ReasonCode),
    /// Nothing came for longer than the keep alive allows, or no PINGRESP.
    #[error("the peer was silent for too long")]
    KeepAliveTimeout,
    /// The peer did not answer a PUBLISH or PUBREL for longer than was configured; the session is
    /// resumed over another connection.
    #[error("the peer did not acknowledge a message in time")]
    AckTimeout,
    /// No CONNECT, or no CONNACK, in time.
    #[error("the handshake took too long")]
    ConnectTimeout,
    /// The network connection ended without a word.
    #[error("the network connection was lost")]
    Lost,
    /// The server had lost the session, and refused to take up one of its subscriptions again.
    #[error(
        "the server refused the subscription to {filter} after it had lost the session: {reason}"
    )]
    SubscriptionLost {
        /// What for.
        filter: TopicFilter<Bytes>,
        /// What SUBACK said.
        reason: ReasonCode,
    },
}

impl CloseReason {
    /// Whether another connection may fare better: it was the network, or the server said
    /// something that passes.
    ///
    /// Not after a refusal that will be repeated, nor after bytes that the server would send
    /// again, nor when another client took over the session, which would take it back.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Lost | Self::KeepAliveTimeout | Self::AckTimeout | Self::ConnectTimeout => true,
            Self::Refused(reason) | Self::Disconnected(reason) => matches!(
                *reason,
                ReasonCode::NORMAL_DISCONNECTION
                    | ReasonCode::UNSPECIFIED_ERROR
                    | ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR
                    | ReasonCode::SERVER_UNAVAILABLE
                    | ReasonCode::SERVER_BUSY
                    | ReasonCode::SERVER_SHUTTING_DOWN
                    | ReasonCode::KEEP_ALIVE_TIMEOUT
                    | ReasonCode::MESSAGE_RATE_TOO_HIGH
                    | ReasonCode::QUOTA_EXCEEDED
                    | ReasonCode::ADMINISTRATIVE_ACTION
                    | ReasonCode::CONNECTION_RATE_EXCEEDED
                    | ReasonCode::MAXIMUM_CONNECT_TIME
            ),
            Self::Malformed(_)
            | Self::Violation(_)
            | Self::Requested(_)
            | Self::SubscriptionLost { .. } => false,
        }
    }
}

/// Why a message was not accepted. The caller's fault or the moment's; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// QoS 0 without a connection: there is nothing that could keep it.
    #[error("there is no connection, and QoS 0 is not kept for a later one")]
    NotConnected,
    /// As many exchanges as there may be are open already.
    #[error("as many messages as allowed are waiting or in flight ({limit})")]
    Full {
        /// See [`ClientOptions::max_in_flight`](crate::ClientOptions::max_in_flight) and
        /// [`ServerConfig::max_queued`](crate::ServerConfig::max_queued).
        limit: u16,
    },
    /// The transmit buffer is full: the peer does not read.
    #[error("the transmit buffer is full; the peer does not read")]
    TransmitFull,
    /// Larger than the peer's Maximum Packet Size [MQTT-3.1.2-24] [MQTT-3.2.2-15].
    #[error("a packet of {size} bytes is larger than the {limit} the peer takes")]
    PacketTooLarge {
        /// With the fixed header.
        size: u32,
        /// The peer's Maximum Packet Size.
        limit: u32,
    },
    /// The server does not take this QoS [MQTT-3.2.2-11].
    #[error("the server's Maximum QoS is {0}")]
    QoSNotSupported(QoS),
    /// The server does not retain [MQTT-3.2.2-14].
    #[error("the server does not keep retained messages")]
    RetainNotSupported,
    /// It has a Topic Alias, which belongs to one connection: a message has its topic name.
    #[error("a message is published with its topic name, not with a topic alias")]
    TopicAlias,
    /// It has a Subscription Identifier, which only a server may say [MQTT-3.3.4-6].
    #[error("a client publishes no subscription identifier [MQTT-3.3.4-6]")]
    SubscriptionIdentifier,
    /// The message cannot be said in this version.
    #[error("{0}")]
    Encode(#[from] EncodeError),
}

/// Why a command was not accepted. The caller's fault or the moment's; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// It needs a connection, and there is none.
    #[error("there is no connection")]
    NotConnected,
    /// It cannot be done while there is a connection.
    #[error("there is a connection")]
    Connected,
    /// No packet identifier is free.
    #[error("no packet identifier is free")]
    NoPacketId,
    /// Larger than the peer's Maximum Packet Size, even without what may be left out
    /// [MQTT-3.1.2-24] [MQTT-3.2.2-15].
    #[error("a packet of {size} bytes is larger than the {limit} the peer takes")]
    PacketTooLarge {
        /// With the fixed header.
        size: u32,
        /// The peer's Maximum Packet Size.
        limit: u32,
    },
    /// CONNACK said that the server cannot do this.
    #[error("the server does not support this: {0}")]
    NotSupported(ReasonCode),
    /// Authentication Data longer than MQTT can carry.
    #[error("{size} bytes of authentication data, 65,535 are allowed")]
    AuthenticationData {
        /// How long it is.
        size: usize,
    },
    /// There is nothing to answer, or it was answered; or CONNECT named no Authentication Method.
    #[error("nothing of this kind awaits an answer")]
    NothingToAnswer,
    /// The request cannot be said in this version.
    #[error("{0}")]
    Encode(#[source] EncodeError),
}

impl From<EncodeError> for CommandError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::PacketTooLarge { size, limit } => Self::PacketTooLarge { size, limit },
            error => Self::Encode(error),
        }
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The receiver has it, or has refused it: see [`ReasonCode::is_error`]. A server refuses
    /// beforehand what its CONNACK rules out.
    Acknowledged(ReasonCode),
    /// Its Message Expiry Interval passed before it was sent.
    Expired,
    /// It was larger than the Maximum Packet Size of the connection it was to be sent on.
    TooLarge,
    /// It gave way to another message, or did not displace one: see
    /// [`Overflow`](crate::Overflow).
    Dropped,
    /// The session ended, or for a request the connection, before an answer came. It may have
    /// arrived.
    Lost,
}

/// How a call of an application failed, as far as the protocol goes; adapters add the network,
/// and must know every one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The message was not accepted: nothing was sent.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The request was not accepted: nothing was sent.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The server said no.
    #[error("the server refused: {0}")]
    Refused(ReasonCode),
    /// The Message Expiry Interval passed before the message could be sent.
    #[error("the Message Expiry Interval passed before the message could be sent")]
    Expired,
    /// The server of a later connection takes no packet as large as this message.
    #[error("the message is larger than the server now takes")]
    TooLarge,
    /// As many messages as allowed were waiting, and it was dropped: see
    /// [`Overflow`](crate::Overflow).
    #[error("as many messages as allowed were waiting, and this one was dropped")]
    Dropped,
    /// The session is gone, and with it the exchange. The message may have arrived.
    #[error("the session was lost before an answer came; the message may have arrived")]
    SessionLost,
    /// [`ClientOptions::request_timeout`](crate::ClientOptions::request_timeout) passed. A
    /// message of QoS 1 or 2 that was accepted is still in the session and may yet arrive.
    #[error("no answer in time")]
    TimedOut,
    /// The application takes no messages, and twice
    /// [`ClientOptions::max_undelivered`](crate::ClientOptions::max_undelivered) of them are
    /// waiting: nothing more is read, so no answer can be. A message of QoS 1 or 2 that was
    /// accepted is still in the session and may yet arrive.
    #[error("too many messages received and not taken; no answer can be read behind them")]
    MessagesNotTaken,
    /// The connection is over for good.
    #[error("the connection has ended: {0}")]
    Closed(CloseReason),
}
