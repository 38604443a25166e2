//! All packets of both versions.

pub(crate) mod ack;
mod connack;
mod connect;
pub(crate) mod connect_packet;
mod disconnect;
mod limit;
mod overrides;
pub(crate) mod publish;
mod subscribe;

pub use ack::Ack;
pub use connack::ConnAck;
pub use connect::Connect;
pub use connect_packet::ConnectPacket;
pub use disconnect::{Auth, Disconnect};
pub use overrides::{PublishOverrides, TopicAlias};
pub use publish::{Delivery, Publish};
pub use subscribe::{SubAck, Subscribe, UnsubAck, Unsubscribe};

use crate::{
    DecodeError, EncodeError, PacketType, Properties, ProtocolVersion, ReasonCode, Storage, wire,
    wire::{Context, Cursor, Put, SliceWriter},
};

const PUBACK: u8 = PacketType::PubAck as u8;
const PUBREC: u8 = PacketType::PubRec as u8;
const PUBREL: u8 = PacketType::PubRel as u8;

/// Runs the same call on the body of any packet.
macro_rules! dispatch {
    ($packet:ident, $body:ident => $call:expr) => {{
        use ack::TypedAck;
        match $packet {
            Packet::Connect($body) => $call,
            Packet::ConnAck($body) => $call,
            Packet::Publish($body) => $call,
            Packet::PubAck(ack) => {
                let $body = TypedAck(PacketType::PubAck, ack);
                $call
            }
            Packet::PubRec(ack) => {
                let $body = TypedAck(PacketType::PubRec, ack);
                $call
            }
            Packet::PubRel(ack) => {
                let $body = TypedAck(PacketType::PubRel, ack);
                $call
            }
            Packet::PubComp(ack) => {
                let $body = TypedAck(PacketType::PubComp, ack);
                $call
            }
            Packet::Subscribe($body) => $call,
            Packet::SubAck($body) => $call,
            Packet::Unsubscribe($body) => $call,
            Packet::UnsubAck($body) => $call,
            Packet::PingReq => {
                let $body = Ping(PacketType::PingReq);
                $call
            }
            Packet::PingResp => {
                let $body = Ping(PacketType::PingResp);
                $call
            }
            Packet::Disconnect($body) => $call,
            Packet::Auth($body) => $call,
        }
    }};
}

/// A Control Packet of either version. `B` is where its text and bytes live: [`PacketRef`] borrows
/// them from the buffer they were read from, `Packet<Bytes>` shares that buffer.
///
/// How to build each of the 15 is shown with its type. PINGREQ and PINGRESP are nothing but their
/// type:
///
/// ```
/// use mqtt_proto::{PacketRef, ProtocolVersion};
///
/// let mut buffer = [0; 2];
/// PacketRef::PingReq.encode_to_slice(ProtocolVersion::V5, &mut buffer)?;
/// assert_eq!(buffer, [0xc0, 0]);
/// # Ok::<_, mqtt_proto::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Packet<B: Storage> {
    Connect(ConnectPacket<B>),
    ConnAck(ConnAck<B>),
    Publish(Publish<B>),
    PubAck(Ack<B>),
    PubRec(Ack<B>),
    PubRel(Ack<B>),
    PubComp(Ack<B>),
    Subscribe(Subscribe<B>),
    SubAck(SubAck<B>),
    Unsubscribe(Unsubscribe<B>),
    UnsubAck(UnsubAck<B>),
    PingReq,
    PingResp,
    Disconnect(Disconnect<B>),
    Auth(Auth<B>),
}

/// A packet that borrows from the bytes it was read from; nothing is allocated for it.
pub type PacketRef<'a> = Packet<&'a [u8]>;

impl<B: Storage> Packet<B> {
    /// Which of the 15 it is.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }

    /// The property list of those packets that have one in 5.0; that of a will is with the will.
    #[must_use]
    pub const fn properties(&self) -> Option<&Properties<B>> {
        match self {
            Self::Connect(packet) => Some(&packet.properties),
            Self::ConnAck(packet) => Some(&packet.properties),
            Self::Publish(packet) => Some(&packet.message.properties),
            Self::PubAck(ack) | Self::PubRec(ack) | Self::PubRel(ack) | Self::PubComp(ack) => {
                Some(&ack.properties)
            }
            Self::Subscribe(packet) => Some(&packet.properties),
            Self::SubAck(packet) => Some(&packet.properties),
            Self::Unsubscribe(packet) => Some(&packet.properties),
            Self::UnsubAck(packet) => Some(&packet.properties),
            Self::PingReq | Self::PingResp => None,
            Self::Disconnect(packet) => Some(&packet.properties),
            Self::Auth(packet) => Some(&packet.properties),
        }
    }

    /// An acknowledgement of this type.
    #[inline(always)]
    pub(crate) fn of_ack(number: u8, ack: Ack<B>) -> Self {
        match number {
            PUBACK => Self::PubAck(ack),
            PUBREC => Self::PubRec(ack),
            PUBREL => Self::PubRel(ack),
            _ => Self::PubComp(ack),
        }
    }

    /// The size of the packet on the wire, fixed header included: what
    /// [`maximum_packet_size`](Properties::maximum_packet_size) limits.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encoded_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        dispatch!(self, body => body.encoded_len(version))
    }

    /// Appends the packet to `dst`, which must have room for [`encoded_len`](Self::encoded_len)
    /// bytes or grow.
    ///
    /// # Errors
    /// [`EncodeError`] if the packet says what this version cannot, or what no packet may; nothing
    /// is written then.
    #[cfg(feature = "bytes")]
    #[inline(always)]
    pub fn encode(
        &self,
        version: ProtocolVersion,
        dst: &mut impl bytes::BufMut,
    ) -> Result<(), EncodeError> {
        match self {
            Self::Publish(publish) => publish.encode(version, dst),
            packet => match packet.bare(version) {
                Some(Bare::Four(bytes)) if dst.remaining_mut() >= 4 => {
                    dst.put_slice(&bytes);
                    Ok(())
                }
                Some(Bare::Two(bytes)) if dst.remaining_mut() >= 2 => {
                    dst.put_slice(&bytes);
                    Ok(())
                }
                _ => packet.encode_any(version, dst),
            },
        }
    }

    #[cfg(feature = "bytes")]
    #[inline(never)]
    fn encode_any(
        &self,
        version: ProtocolVersion,
        dst: &mut impl bytes::BufMut,
    ) -> Result<(), EncodeError> {
        dispatch!(self, body => body.encode(version, dst))
    }

    /// Writes the packet to the start of `dst` and returns its size.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and [`EncodeError::BufferTooSmall`]; nothing is written then.
    #[inline(always)]
    pub fn encode_to_slice(
        &self,
        version: ProtocolVersion,
        dst: &mut [u8],
    ) -> Result<usize, EncodeError> {
        match self {
            Self::Publish(publish) => publish.encode_to_slice(version, dst),
            packet => {
                let bare = packet.bare(version);
                if let (Some(Bare::Four(bytes)), Some(dst)) = (&bare, dst.first_chunk_mut()) {
                    *dst = *bytes;
                    return Ok(4);
                }
                if let (Some(Bare::Two(bytes)), Some(dst)) = (&bare, dst.first_chunk_mut()) {
                    *dst = *bytes;
                    return Ok(2);
                }
                packet.encode_any_to_slice(version, dst)
            }
        }
    }

    #[inline(never)]
    fn encode_any_to_slice(
        &self,
        version: ProtocolVersion,
        dst: &mut [u8],
    ) -> Result<usize, EncodeError> {
        dispatch!(self, body => body.encode_to_slice(version, dst))
    }

    /// All of the packet, where that is legal and little: what most packets beside PUBLISH are.
    #[inline(always)]
    fn bare(&self, version: ProtocolVersion) -> Option<Bare> {
        let (first, ack) = match self {
            Self::PubAck(ack) => (0x40, ack),
            Self::PubRec(ack) => (0x50, ack),
            Self::PubRel(ack) => (0x62, ack),
            Self::PubComp(ack) => (0x70, ack),
            Self::PingReq => return Some(Bare::Two([0xc0, 0])),
            Self::PingResp => return Some(Bare::Two([0xd0, 0])),
            Self::Disconnect(disconnect) if disconnect.is_bare() => {
                return Some(Bare::Two([0xe0, 0]));
            }
            Self::ConnAck(connack) if version == ProtocolVersion::V311 => {
                let [flags, code] = connack.bare()?;
                return Some(Bare::Four([0x20, 2, flags, code]));
            }
            Self::UnsubAck(ack) if version == ProtocolVersion::V311 && ack.is_bare() => {
                let [high, low] = ack.id.get().to_be_bytes();
                return Some(Bare::Four([0xb0, 2, high, low]));
            }
            _ => return None,
        };
        if ack.reason != ReasonCode::SUCCESS || !ack.properties.is_empty() {
            return None;
        }
        let [high, low] = ack.id.get().to_be_bytes();
        Some(Bare::Four([first, 2, high, low]))
    }

    /// The packet with its bytes in another storage. `f` must keep them as they are: what relies on
    /// their having been checked may panic otherwise. A short topic name that is in the packet itself
    /// stays there, and `f` does not see it.
    #[must_use]
    pub fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> Packet<C> {
        match self {
            Self::Connect(packet) => Packet::Connect(packet.map(f)),
            Self::ConnAck(packet) => Packet::ConnAck(packet.map(f)),
            Self::Publish(packet) => Packet::Publish(packet.map(f)),
            Self::PubAck(ack) => Packet::PubAck(ack.map(f)),
            Self::PubRec(ack) => Packet::PubRec(ack.map(f)),
            Self::PubRel(ack) => Packet::PubRel(ack.map(f)),
            Self::PubComp(ack) => Packet::PubComp(ack.map(f)),
            Self::Subscribe(packet) => Packet::Subscribe(packet.map(f)),
            Self::SubAck(packet) => Packet::SubAck(packet.map(f)),
            Self::Unsubscribe(packet) => Packet::Unsubscribe(packet.map(f)),
            Self::UnsubAck(packet) => Packet::UnsubAck(packet.map(f)),
            Self::PingReq => Packet::PingReq,
            Self::PingResp => Packet::PingResp,
            Self::Disconnect(packet) => Packet::Disconnect(packet.map(f)),
            Self::Auth(packet) => Packet::Auth(packet.map(f)),
        }
    }
}

#[cfg(feature = "bytes")]
impl PacketRef<'_> {
    /// A copy of its own, one allocation for each field that is not empty.
    #[must_use]
    pub fn to_bytes(self) -> Packet<bytes::Bytes> {
        self.map(&mut bytes::Bytes::copy_from_slice)
    }
}

/// The bytes of a packet that says no more than its type and which exchange it is about.
enum Bare {
    Two([u8; 2]),
    Four([u8; 4]),
}

/// Reads those packets that have no way of their own, behind a fixed header of `start` bytes.
/// `ready` is called where the packet is made, once for each type, so that none is moved.
#[inline(always)]
pub(crate) fn decode_other<B: Storage, T>(
    number: u8,
    packet: B,
    start: usize,
    context: Context,
    ready: impl FnOnce(Result<Packet<B>, DecodeError>) -> T,
) -> T {
    macro_rules! decode {
        ($name:ident) => {
            match $name::decode(packet, start, context) {
                Ok(packet) => ready(Ok(Packet::$name(packet))),
                Err(error) => ready(Err(error)),
            }
        };
    }
    match PacketType::new(number) {
        Some(PacketType::ConnAck) => decode!(ConnAck),
        Some(PacketType::Subscribe) => decode!(Subscribe),
        Some(PacketType::SubAck) => decode!(SubAck),
        Some(PacketType::Unsubscribe) => decode!(Unsubscribe),
        Some(PacketType::UnsubAck) => decode!(UnsubAck),
        Some(PacketType::Disconnect) => decode!(Disconnect),
        Some(PacketType::Auth) => decode!(Auth),
        ping => match Cursor::after(packet.as_ref(), start).end() {
            Ok(()) if ping == Some(PacketType::PingReq) => ready(Ok(Packet::PingReq)),
            Ok(()) => ready(Ok(Packet::PingResp)),
            Err(error) => ready(Err(error)),
        },
    }
}

/// How a packet is written: sized and checked in one pass, written in a second that cannot fail.
pub(crate) trait Body {
    /// Packet type and flags.
    fn first_byte(&self) -> u8;

    /// The remaining length, and every check there is.
    fn body_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError>;

    /// Writes the packet, whose remaining length is `body`.
    fn put(&self, body: u32, version: ProtocolVersion, out: &mut impl Put);

    #[inline]
    fn encoded_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        let body = self.body_len(version)?;
        Ok(1 + wire::varint_len(body) + body)
    }

    #[cfg(feature = "bytes")]
    #[inline]
    fn encode(
        &self,
        version: ProtocolVersion,
        dst: &mut impl bytes::BufMut,
    ) -> Result<(), EncodeError> {
        let body = self.body_len(version)?;
        let len = (1 + wire::varint_len(body) + body) as usize;
        if dst.remaining_mut() < len {
            return Err(EncodeError::BufferTooSmall);
        }
        self.put(body, version, &mut wire::BufWriter(dst));
        Ok(())
    }

    #[inline]
    fn encode_to_slice(
        &self,
        version: ProtocolVersion,
        dst: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let body = self.body_len(version)?;
        let len = (1 + wire::varint_len(body) + body) as usize;
        let dst = dst.get_mut(..len).ok_or(EncodeError::BufferTooSmall)?;
        self.put(body, version, &mut SliceWriter::new(dst));
        Ok(len)
    }
}

/// PINGREQ and PINGRESP: their type says it all.
struct Ping(PacketType);

impl Body for Ping {
    fn first_byte(&self) -> u8 {
        (self.0 as u8) << 4
    }

    fn body_len(&self, _: ProtocolVersion) -> Result<u32, EncodeError> {
        Ok(0)
    }

    fn put(&self, body: u32, _: ProtocolVersion, out: &mut impl Put) {
        put_fixed_header(self.first_byte(), body, out);
    }
}

/// A list that 3.1.1 has no bytes for must be empty: nothing is dropped silently.
#[inline]
pub(crate) fn check_v311_properties<B: Storage>(
    properties: &Properties<B>,
) -> Result<(), EncodeError> {
    if properties.is_empty() { Ok(()) } else { Err(EncodeError::NotInV311("a property")) }
}

#[inline]
pub(crate) fn put_fixed_header(first: u8, body: u32, out: &mut impl Put) {
    out.u8(first);
    out.varint(body);
}

/// A property list behind its length.
#[inline]
pub(crate) fn put_properties<B: Storage>(properties: &Properties<B>, out: &mut impl Put) {
    if properties.is_empty() {
        return out.u8(0);
    }
    out.varint(properties.as_bytes().len() as u32);
    out.slice(properties.as_bytes());
}

/// That a remaining length can be written.
#[inline]
pub(crate) fn fits(len: usize) -> Result<u32, EncodeError> {
    match u32::try_from(len) {
        Ok(len) if len <= wire::MAX_VARINT => Ok(len),
        _ => Err(EncodeError::TooLong),
    }
}
