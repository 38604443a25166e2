//! Reason codes (section 2.4): one table says what each is called and who may send it in which
//! packet.

use core::fmt;

use crate::{PacketType, ProtocolVersion, QoS, Role};

/// The outcome of an operation, one byte in most acknowledgements, in DISCONNECT and in AUTH. Below
/// 0x80 it is a success, from there on a failure.
///
/// 3.1.1 knows return codes in CONNACK (0 to 5) and SUBACK (0x80) only; they are read as the 5.0
/// code of the same meaning and written back as the number of 3.1.1.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReasonCode(u8);

macro_rules! reason_codes {
    ($($value:literal $name:ident $text:literal client [$($client:ident)*] server [$($server:ident)*];)*) => {
        impl ReasonCode {
            $(#[doc = concat!("`", stringify!($value), "` ", $text, ".")]
            pub const $name: Self = Self($value);)*

            /// The standard's name for the code, empty for a number that has none.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => $text,)*
                    _ => "",
                }
            }
        }

        /// For each code the packets that may carry it, as bits, from a client and from a server.
        static LEGAL: [[u16; 256]; 2] = {
            let mut legal = [[0; 256]; 2];
            $(legal[0][$value] = 0 $(| PacketType::$client.bit())*;
            legal[1][$value] = 0 $(| PacketType::$server.bit())*;)*
            legal
        };
    };
}

reason_codes! {
    0x00 SUCCESS "Success" client [PubAck PubRec PubRel PubComp Disconnect] server [ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth];
    0x01 GRANTED_QOS_1 "Granted QoS 1" client [] server [SubAck];
    0x02 GRANTED_QOS_2 "Granted QoS 2" client [] server [SubAck];
    0x04 DISCONNECT_WITH_WILL_MESSAGE "Disconnect with Will Message" client [Disconnect] server [];
    0x10 NO_MATCHING_SUBSCRIBERS "No matching subscribers" client [PubAck PubRec] server [PubAck PubRec];
    0x11 NO_SUBSCRIPTION_EXISTED "No subscription existed" client [] server [UnsubAck];
    0x18 CONTINUE_AUTHENTICATION "Continue authentication" client [Auth] server [Auth];
    0x19 RE_AUTHENTICATE "Re-authenticate" client [Auth] server [];
    0x80 UNSPECIFIED_ERROR "Unspecified error" client [PubAck PubRec Disconnect] server [ConnAck PubAck PubRec SubAck UnsubAck Disconnect];
    0x81 MALFORMED_PACKET "Malformed Packet" client [Disconnect] server [ConnAck Disconnect];
    0x82 PROTOCOL_ERROR "Protocol Error" client [Disconnect] server [ConnAck Disconnect];
    0x83 IMPLEMENTATION_SPECIFIC_ERROR "Implementation specific error" client [PubAck PubRec Disconnect] server [ConnAck PubAck PubRec SubAck UnsubAck Disconnect];
    0x84 UNSUPPORTED_PROTOCOL_VERSION "Unsupported Protocol Version" client [] server [ConnAck];
    0x85 CLIENT_IDENTIFIER_NOT_VALID "Client Identifier not valid" client [] server [ConnAck];
    0x86 BAD_USER_NAME_OR_PASSWORD "Bad User Name or Password" client [] server [ConnAck];
    0x87 NOT_AUTHORIZED "Not authorized" client [PubAck PubRec] server [ConnAck PubAck PubRec SubAck UnsubAck Disconnect];
    0x88 SERVER_UNAVAILABLE "Server unavailable" client [] server [ConnAck];
    0x89 SERVER_BUSY "Server busy" client [] server [ConnAck Disconnect];
    0x8a BANNED "Banned" client [] server [ConnAck];
    0x8b SERVER_SHUTTING_DOWN "Server shutting down" client [] server [Disconnect];
    0x8c BAD_AUTHENTICATION_METHOD "Bad authentication method" client [Disconnect] server [ConnAck Disconnect];
    0x8d KEEP_ALIVE_TIMEOUT "Keep Alive timeout" client [] server [Disconnect];
    0x8e SESSION_TAKEN_OVER "Session taken over" client [] server [Disconnect];
    0x8f TOPIC_FILTER_INVALID "Topic Filter invalid" client [] server [SubAck UnsubAck Disconnect];
    0x90 TOPIC_NAME_INVALID "Topic Name invalid" client [PubAck PubRec Disconnect] server [ConnAck PubAck PubRec Disconnect];
    0x91 PACKET_IDENTIFIER_IN_USE "Packet identifier in use" client [PubAck PubRec] server [PubAck PubRec SubAck UnsubAck];
    0x92 PACKET_IDENTIFIER_NOT_FOUND "Packet Identifier not found" client [PubRel PubComp] server [PubRel PubComp];
    0x93 RECEIVE_MAXIMUM_EXCEEDED "Receive Maximum exceeded" client [Disconnect] server [Disconnect];
    0x94 TOPIC_ALIAS_INVALID "Topic Alias invalid" client [Disconnect] server [Disconnect];
    0x95 PACKET_TOO_LARGE "Packet too large" client [Disconnect] server [ConnAck Disconnect];
    0x96 MESSAGE_RATE_TOO_HIGH "Message rate too high" client [Disconnect] server [Disconnect];
    0x97 QUOTA_EXCEEDED "Quota exceeded" client [PubAck PubRec Disconnect] server [ConnAck PubAck PubRec SubAck Disconnect];
    0x98 ADMINISTRATIVE_ACTION "Administrative action" client [Disconnect] server [Disconnect];
    0x99 PAYLOAD_FORMAT_INVALID "Payload format invalid" client [PubAck PubRec Disconnect] server [ConnAck PubAck PubRec Disconnect];
    0x9a RETAIN_NOT_SUPPORTED "Retain not supported" client [] server [ConnAck Disconnect];
    0x9b QOS_NOT_SUPPORTED "QoS not supported" client [] server [ConnAck Disconnect];
    0x9c USE_ANOTHER_SERVER "Use another server" client [] server [ConnAck Disconnect];
    0x9d SERVER_MOVED "Server moved" client [] server [ConnAck Disconnect];
    0x9e SHARED_SUBSCRIPTIONS_NOT_SUPPORTED "Shared Subscriptions not supported" client [] server [SubAck Disconnect];
    0x9f CONNECTION_RATE_EXCEEDED "Connection rate exceeded" client [] server [ConnAck Disconnect];
    0xa0 MAXIMUM_CONNECT_TIME "Maximum connect time" client [] server [Disconnect];
    0xa1 SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED "Subscription Identifiers not supported" client [] server [SubAck Disconnect];
    0xa2 WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED "Wildcard Subscriptions not supported" client [] server [SubAck Disconnect];
}

impl ReasonCode {
    /// `0x00` in a SUBACK: Granted QoS 0.
    pub const GRANTED_QOS_0: Self = Self(0x00);
    /// `0x00` in a DISCONNECT: Normal disconnection.
    pub const NORMAL_DISCONNECTION: Self = Self(0x00);

    /// Any byte; whether it is legal depends on the packet, see [`is_legal_in`](Self::is_legal_in).
    #[must_use]
    pub const fn new(code: u8) -> Self {
        Self(code)
    }

    /// The byte of 5.0.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether the operation failed: 0x80 and above.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// Whether `sender` may put this code into a 5.0 packet of this type.
    ///
    /// 0x8C is accepted in DISCONNECT although its table lacks it: section 2.4 lists it.
    #[must_use]
    #[inline]
    pub fn is_legal_in(self, packet: PacketType, sender: Role) -> bool {
        LEGAL[sender as usize][self.0 as usize] & packet.bit() != 0
    }

    /// The code itself where `sender` may put it into a DISCONNECT, and the nearest general one
    /// where not.
    #[must_use]
    pub fn for_disconnect(self, sender: Role) -> Self {
        match self {
            code if code.is_legal_in(PacketType::Disconnect, sender) => code,
            Self::TOPIC_FILTER_INVALID => Self::MALFORMED_PACKET,
            _ => Self::PROTOCOL_ERROR,
        }
    }

    /// What SUBACK says for a granted QoS.
    #[must_use]
    pub const fn granted(qos: QoS) -> Self {
        Self(qos.bits())
    }

    /// The QoS that a code of SUBACK grants, `None` for a failure.
    #[must_use]
    pub const fn granted_qos(self) -> Option<QoS> {
        QoS::from_bits(if self.0 < 3 { self.0 } else { 3 })
    }

    /// The CONNACK return code of 3.1.1 (section 3.2.2.3) with this meaning, if it has one.
    #[must_use]
    pub const fn connect_return_code(self) -> Option<u8> {
        match self {
            Self::SUCCESS => Some(0),
            Self::UNSUPPORTED_PROTOCOL_VERSION => Some(1),
            Self::CLIENT_IDENTIFIER_NOT_VALID => Some(2),
            Self::SERVER_UNAVAILABLE => Some(3),
            Self::BAD_USER_NAME_OR_PASSWORD => Some(4),
            Self::NOT_AUTHORIZED => Some(5),
            _ => None,
        }
    }

    /// The meaning of a CONNACK return code of 3.1.1; 6 and above are reserved.
    #[must_use]
    pub const fn from_connect_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::SUCCESS),
            1 => Some(Self::UNSUPPORTED_PROTOCOL_VERSION),
            2 => Some(Self::CLIENT_IDENTIFIER_NOT_VALID),
            3 => Some(Self::SERVER_UNAVAILABLE),
            4 => Some(Self::BAD_USER_NAME_OR_PASSWORD),
            5 => Some(Self::NOT_AUTHORIZED),
            _ => None,
        }
    }

    /// The code that comes nearest in the given version: every code in 5.0, and for a 3.1.1 CONNACK
    /// or SUBACK the one of its few that a client will understand.
    #[must_use]
    pub const fn nearest_in(self, version: ProtocolVersion, packet: PacketType) -> Self {
        match (version, packet) {
            (ProtocolVersion::V311, PacketType::SubAck) if self.is_error() => {
                Self::UNSPECIFIED_ERROR
            }
            (ProtocolVersion::V311, PacketType::ConnAck)
                if self.connect_return_code().is_none() =>
            {
                match self {
                    Self::BANNED | Self::BAD_AUTHENTICATION_METHOD => Self::NOT_AUTHORIZED,
                    _ => Self::SERVER_UNAVAILABLE,
                }
            }
            _ => self,
        }
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x} {}", self.0, self.name())
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl From<ReasonCode> for u8 {
    fn from(code: ReasonCode) -> Self {
        code.0
    }
}
