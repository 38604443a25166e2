//! What can be wrong with bytes from a peer, and with a packet a caller wants to encode.

use crate::{PacketType, PropertyId, ProtocolVersion, ReasonCode};

/// Why bytes from a peer are not a packet. Always the peer's fault, never the caller's.
///
/// Small and `Copy`. After one of these a byte stream has no packet boundary left to trust: the
/// connection ends, with [`reason_code`](Self::reason_code) in a DISCONNECT or CONNACK where the
/// version has it (5.0 section 4.13.1, 3.1.1 section 4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{kind} (byte {offset} of the packet)")]
pub struct DecodeError {
    kind: DecodeErrorKind,
    offset: u32,
}

impl DecodeError {
    pub(crate) const fn new(kind: DecodeErrorKind, offset: u32) -> Self {
        Self { kind, offset }
    }

    /// The rule that was broken.
    #[must_use]
    pub const fn kind(self) -> DecodeErrorKind {
        self.kind
    }

    /// Where it was noticed, in bytes from the start of the fixed header.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.offset
    }

    /// What to put on the wire, from section 4.13 and the rules that name a code of their own.
    ///
    /// A client may not send every one of these in DISCONNECT; [`ReasonCode::for_disconnect`]
    /// narrows it.
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        self.kind.reason_code()
    }
}

/// The rule that malformed bytes broke. The text names the statement of MQTT 5.0, or of 3.1.1 where
/// only that version has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// Packet type 0, or 15 in 3.1.1.
    #[error("packet type {0} is reserved [section 2.1.2]")]
    ReservedPacketType(u8),
    /// The low four bits of the first byte.
    #[error("the fixed header flags are not those of this packet type [MQTT-2.1.3-1]")]
    FixedHeaderFlags,
    /// Both QoS bits set, in PUBLISH or in a will.
    #[error("QoS 3 does not exist [MQTT-3.3.1-4]")]
    QoS3,
    /// DUP with QoS 0.
    #[error("DUP is set on a QoS 0 PUBLISH [MQTT-3.3.1-2]")]
    DupOnQoS0,
    /// A variable byte integer of more than four bytes.
    #[error("a variable byte integer is longer than four bytes [section 1.5.5]")]
    VarIntTooLong,
    /// 5.0 demands the shortest form, 3.1.1 does not.
    #[error("a variable byte integer is not in its shortest form [MQTT-1.5.5-1]")]
    VarIntNotMinimal,
    /// The declared size is above the limit the decoder was given.
    #[error("the packet is larger than this side's Maximum Packet Size [MQTT-3.1.2-24]")]
    PacketTooLarge,
    /// A field runs past the end of the packet.
    #[error("a field runs past the end of the packet [section 4.13.1]")]
    UnexpectedEnd,
    /// Bytes are left over after the last field.
    #[error("bytes are left over after the last field [section 4.13.1]")]
    TrailingBytes,
    /// Packet identifiers are 1 to 65,535.
    #[error("the packet identifier is 0 [MQTT-2.2.1-3]")]
    PacketIdZero,
    /// Not well-formed UTF-8, surrogates included.
    #[error("a string is not well-formed UTF-8 [MQTT-1.5.4-1]")]
    InvalidUtf8,
    /// U+0000 in a string.
    #[error("a string contains U+0000 [MQTT-1.5.4-2]")]
    NulCharacter,
    /// A zero-length topic name, without an alias that could stand for it.
    #[error("the topic name is empty and there is no topic alias [MQTT-4.7.3-1]")]
    TopicNameEmpty,
    /// `+` or `#` in a topic name.
    #[error("a topic name contains a wildcard [MQTT-3.3.2-2]")]
    TopicNameWildcard,
    /// A zero-length topic filter.
    #[error("a topic filter is empty [MQTT-4.7.3-1]")]
    TopicFilterEmpty,
    /// A wildcard that does not stand alone on its level, or `#` before the last level.
    #[error("a wildcard does not fill a level of its own, or # is not last [MQTT-4.7.1-1]")]
    TopicFilterWildcard,
    /// `$share/` without a share name and a filter after it, or with a wildcard in the name.
    #[error("a shared subscription is not $share/name/filter [MQTT-4.8.2-2]")]
    SharedFilter,
    /// The protocol name is not `MQTT`.
    #[error("the protocol name is not MQTT [MQTT-3.1.2-1]")]
    ProtocolName,
    /// A protocol level we do not speak, or not the one this decoder was made for.
    #[error("protocol level {0} is not supported here [MQTT-3.1.2-2]")]
    UnsupportedProtocolLevel(u8),
    /// Bit 0 of the connect flags.
    #[error("the reserved connect flag is set [MQTT-3.1.2-3]")]
    ConnectFlags,
    /// Will QoS or Will Retain without Will Flag.
    #[error("Will QoS or Will Retain is set without Will Flag [MQTT-3.1.2-11]")]
    WillFlags,
    /// Allowed in 5.0 only.
    #[error("there is a password without a user name [3.1.1 MQTT-3.1.2-22]")]
    PasswordWithoutUserName,
    /// Bits 7 to 1 of the connect acknowledge flags.
    #[error("a reserved connect acknowledge flag is set [MQTT-3.2.2-1]")]
    ConnAckFlags,
    /// Session Present together with a refusal.
    #[error("Session Present is set in a refusal [MQTT-3.2.2-6]")]
    SessionPresentInRefusal,
    /// A code this packet does not have, or not from this side.
    #[error("reason code {0:#04x} is not legal here [section 2.4]")]
    ReasonCode(u8),
    /// SUBSCRIBE or UNSUBSCRIBE without a filter.
    #[error("there is no topic filter [MQTT-3.8.3-2]")]
    NoTopicFilter,
    /// SUBACK or UNSUBACK without a code.
    #[error("there is no reason code [section 3.9.3]")]
    NoReasonCode,
    /// Both bits of the requested QoS set; unlike QoS 3 elsewhere, a Protocol Error in 5.0.
    #[error("the requested QoS is 3 [section 3.8.3.1]")]
    RequestedQoS3,
    /// Bits 6 and 7, in 3.1.1 bits 2 to 7.
    #[error("a reserved bit of the subscription options is set [MQTT-3.8.3-5]")]
    SubscriptionOptions,
    /// Retain Handling 3.
    #[error("Retain Handling 3 does not exist [section 3.8.3.1]")]
    RetainHandling,
    /// No Local on a shared subscription.
    #[error("No Local is set on a shared subscription [MQTT-3.8.3-4]")]
    NoLocalShared,
    /// An identifier that is in no table.
    #[error("property {0:#04x} does not exist [section 2.2.2.2]")]
    PropertyUnknown(u8),
    /// A property of other packets, or of the other side.
    #[error("property {0:?} does not belong in this packet [section 2.2.2.2]")]
    PropertyNotAllowed(PropertyId),
    /// A property that may occur once.
    #[error("property {0:?} occurs twice [section 2.2.2]")]
    PropertyTwice(PropertyId),
    /// A value outside the legal range.
    #[error("the value of property {0:?} is not legal [section 2.2.2.2]")]
    PropertyValue(PropertyId),
    /// A property runs past the property length.
    #[error("a property runs past the property length [section 2.2.2.1]")]
    PropertyLength,
    /// AUTH, or authentication data, without an authentication method.
    #[error("there is no authentication method [section 3.15.2.2.2]")]
    NoAuthenticationMethod,
    /// A packet that the other role sends.
    #[error("{0:?} may not come from this side [section 2.1.2]")]
    WrongSender(PacketType),
    /// Anything before CONNECT.
    #[error("the first packet is not CONNECT [MQTT-3.1.0-1]")]
    ConnectExpected,
}

impl DecodeErrorKind {
    /// See [`DecodeError::reason_code`].
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::PacketTooLarge => ReasonCode::PACKET_TOO_LARGE,
            Self::TopicNameWildcard => ReasonCode::TOPIC_NAME_INVALID,
            Self::TopicFilterEmpty | Self::TopicFilterWildcard | Self::SharedFilter => {
                ReasonCode::TOPIC_FILTER_INVALID
            }
            Self::ProtocolName | Self::UnsupportedProtocolLevel(_) => {
                ReasonCode::UNSUPPORTED_PROTOCOL_VERSION
            }
            Self::PropertyValue(PropertyId::TopicAlias) => ReasonCode::TOPIC_ALIAS_INVALID,
            Self::TopicNameEmpty
            | Self::NoTopicFilter
            | Self::NoReasonCode
            | Self::RequestedQoS3
            | Self::RetainHandling
            | Self::NoLocalShared
            | Self::PropertyTwice(_)
            | Self::PropertyValue(_)
            | Self::NoAuthenticationMethod
            | Self::WrongSender(_)
            | Self::ConnectExpected => ReasonCode::PROTOCOL_ERROR,
            _ => ReasonCode::MALFORMED_PACKET,
        }
    }
}

/// Why a packet cannot be encoded. Always the caller's fault; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Properties, options or codes that 3.1.1 has no bytes for. Never dropped silently.
    #[error("{0} is not part of MQTT 3.1.1")]
    NotInV311(&'static str),
    /// The property belongs to other packets.
    #[error("property {0:?} does not belong in this packet [section 2.2.2.2]")]
    PropertyNotAllowed(PropertyId),
    /// More than one subscription identifier in SUBSCRIBE.
    #[error("property {0:?} occurs twice [section 2.2.2]")]
    PropertyTwice(PropertyId),
    /// The code is not legal in this packet and version.
    #[error("reason code {0:?} is not legal in this packet [section 2.4]")]
    ReasonCode(ReasonCode),
    /// Session Present together with a refusal.
    #[error("Session Present is set in a refusal [MQTT-3.2.2-6]")]
    SessionPresentInRefusal,
    /// The topic name is empty and no topic alias stands for it.
    #[error("the topic name is empty and there is no topic alias [MQTT-4.7.3-1]")]
    TopicNameEmpty,
    /// No Local on a shared subscription.
    #[error("No Local is set on a shared subscription [MQTT-3.8.3-4]")]
    NoLocalShared,
    /// A filter of a 3.1.1 packet that 5.0 would take for a shared subscription.
    #[error("a shared subscription is not $share/name/filter [MQTT-4.8.2-2]")]
    SharedFilter,
    /// SUBSCRIBE or UNSUBSCRIBE without a filter.
    #[error("there is no topic filter [MQTT-3.8.3-2]")]
    NoTopicFilter,
    /// SUBACK or UNSUBACK without a code.
    #[error("there is no reason code [section 3.9.3]")]
    NoReasonCode,
    /// Allowed in 5.0 only.
    #[error("there is a password without a user name [3.1.1 MQTT-3.1.2-22]")]
    PasswordWithoutUserName,
    /// AUTH, or authentication data, without an authentication method.
    #[error("there is no authentication method [section 3.15.2.2.2]")]
    NoAuthenticationMethod,
    /// CONNECT carries its own version, and the caller named another.
    #[error("a CONNECT of version {0} cannot be sent on a connection of the other version")]
    Version(ProtocolVersion),
    /// A field of more than 65,535 bytes, or a packet of more than 268,435,455.
    #[error("the packet has a field that does not fit its length on the wire")]
    TooLong,
    /// Larger than the peer takes [MQTT-3.1.2-24] [MQTT-3.2.2-15], without all that may be left out.
    #[error("the packet has {size} bytes, and the peer takes at most {limit} [MQTT-3.1.2-24]")]
    PacketTooLarge {
        /// The least it can be, in bytes.
        size: u32,
        /// The peer's Maximum Packet Size.
        limit: u32,
    },
    /// The slice given is shorter than the packet.
    #[error("the buffer is too small for the packet")]
    BufferTooSmall,
}

#[cfg(test)]
mod tests;
