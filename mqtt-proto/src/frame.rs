//! Fixed headers: where a packet begins and ends in a stream (section 2.1).

use core::num::NonZeroU32;

use crate::{
    DecodeError, DecodeErrorKind, Role,
    wire::{self, VarInt},
};

/// The outcome of looking at bytes that may not be all there yet. Incomplete input is not an error.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status<T> {
    /// All of it was there.
    Ready(T),
    /// At least this many more bytes are needed: a lower bound until the fixed header is complete,
    /// exact after.
    NeedMore(NonZeroU32),
}

impl<T> Status<T> {
    pub(crate) const fn need(missing: u32) -> Self {
        match NonZeroU32::new(missing) {
            Some(missing) => Self::NeedMore(missing),
            None => Self::NeedMore(NonZeroU32::MIN),
        }
    }

    /// What was there, if all of it was.
    #[must_use]
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Ready(value) => Some(value),
            Self::NeedMore(_) => None,
        }
    }
}

macro_rules! packet_types {
    ($($value:literal $name:ident $text:literal $flags:literal $client:literal $server:literal;)*) => {
        /// The 15 packet types, section 2.1.2.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PacketType {
            $(#[doc = $text]
            $name = $value,)*
        }

        impl PacketType {
            /// All of them, by number.
            pub const ALL: [Self; 15] = [$(Self::$name,)*];

            /// The type of these four bits, `None` for 0 and above 15.
            #[must_use]
            #[inline]
            pub const fn new(number: u8) -> Option<Self> {
                match number {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The standard's name in capitals, such as `PUBLISH`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The fixed header flags that this type must have; those of PUBLISH vary.
            #[inline]
            pub(crate) const fn flags(self) -> u8 {
                match self {
                    $(Self::$name => $flags,)*
                }
            }

            /// Whether this side may send it at all.
            #[must_use]
            #[inline]
            pub const fn may_be_sent_by(self, sender: Role) -> bool {
                match (self, sender) {
                    $((Self::$name, Role::Client) => $client,
                    (Self::$name, Role::Server) => $server,)*
                }
            }
        }
    };
}

packet_types! {
    1 Connect "CONNECT" 0 true false;
    2 ConnAck "CONNACK" 0 false true;
    3 Publish "PUBLISH" 0 true true;
    4 PubAck "PUBACK" 0 true true;
    5 PubRec "PUBREC" 0 true true;
    6 PubRel "PUBREL" 2 true true;
    7 PubComp "PUBCOMP" 0 true true;
    8 Subscribe "SUBSCRIBE" 2 true false;
    9 SubAck "SUBACK" 0 false true;
    10 Unsubscribe "UNSUBSCRIBE" 2 true false;
    11 UnsubAck "UNSUBACK" 0 false true;
    12 PingReq "PINGREQ" 0 true false;
    13 PingResp "PINGRESP" 0 false true;
    14 Disconnect "DISCONNECT" 0 true true;
    15 Auth "AUTH" 0 true true;
}

impl PacketType {
    #[cold]
    const fn refuse_flags(self, flags: u8) -> DecodeErrorKind {
        match self {
            Self::Publish if flags & 0b0110 == 0b0110 => DecodeErrorKind::QoS3,
            Self::Publish => DecodeErrorKind::DupOnQoS0,
            _ => DecodeErrorKind::FixedHeaderFlags,
        }
    }

    pub(crate) const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// The fixed header flags that each packet type may have, as bits.
const LEGAL_FLAGS: [u16; 16] = {
    let mut legal = [0; 16];
    let mut at = 0;
    while at < PacketType::ALL.len() {
        let packet = PacketType::ALL[at];
        legal[packet as usize] = match packet {
            // Not QoS 3, and DUP not with QoS 0.
            PacketType::Publish => 0b0011_1100_0011_1111,
            packet => 1 << packet.flags(),
        };
        at += 1;
    }
    legal
};

/// Whether a packet of the type in the first byte may have the flags in it.
pub(crate) const fn are_legal_flags(first: u8) -> bool {
    LEGAL_FLAGS[first as usize >> 4] & 1 << (first & 0x0f) != 0
}

/// The largest packet there can be: five bytes of fixed header and 268,435,455 of the rest.
pub const MAX_PACKET_SIZE: u32 = wire::MAX_VARINT + 5;

/// The fixed header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    pub(crate) packet_type: PacketType,
    pub(crate) flags: u8,
    /// How many bytes the header took, 2 to 5.
    pub(crate) len: u8,
    /// Whether the remaining length was in its shortest form.
    pub(crate) minimal: bool,
    pub(crate) remaining: u32,
}

impl FrameHeader {
    /// Reads the fixed header at the start of `src`. What can be refused is refused here, at the
    /// first byte or as soon as the length is known, before anything is buffered: reserved
    /// types and flags, and packets of more than `max_packet_size` bytes in all.
    ///
    /// # Errors
    /// [`DecodeError`] for a reserved type, wrong flags, a length of more than four bytes, a packet
    /// too large.
    #[inline]
    pub fn parse(src: &[u8], max_packet_size: u32) -> Result<Status<Self>, DecodeError> {
        let Some((&first, rest)) = src.split_first() else {
            return Ok(Status::need(2));
        };
        let (number, flags) = (first >> 4, first & 0x0f);
        let Some(packet_type) = PacketType::new(number) else {
            return Err(DecodeError::new(DecodeErrorKind::ReservedPacketType(number), 0));
        };
        if !are_legal_flags(first) {
            return Err(DecodeError::new(packet_type.refuse_flags(flags), 0));
        }
        let (remaining, len, minimal) = match wire::parse_varint(rest) {
            VarInt::Value(remaining, len, minimal) => (remaining, len as u8 + 1, minimal),
            VarInt::Incomplete => return Ok(Status::need(1)),
            VarInt::TooLong => return Err(DecodeError::new(DecodeErrorKind::VarIntTooLong, 1)),
        };
        let header = Self { packet_type, flags, len, minimal, remaining };
        if header.packet_len() > max_packet_size {
            return Err(DecodeError::new(DecodeErrorKind::PacketTooLarge, 1));
        }
        Ok(Status::Ready(header))
    }

    /// The type of the packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// The size of the packet with its fixed header, in bytes.
    #[must_use]
    #[inline]
    pub const fn packet_len(&self) -> u32 {
        self.len as u32 + self.remaining
    }
}
