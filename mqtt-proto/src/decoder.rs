//! Packets out of a byte stream.

use crate::{
    Connect, DecodeError, DecodeErrorKind, FrameHeader, MAX_PACKET_SIZE, Packet, PacketRef,
    PacketType, ProtocolVersion, Role, Status, Storage, wire::Context,
};

/// Reads the packets of one side of one connection, borrowed or owned, by one and the same code.
///
/// It keeps no bytes: the caller's buffer is the only one. It knows whose packets it reads, because
/// some packets, reason codes and properties are legal from one side only, and it learns the
/// version from CONNECT where it was not told. Its first error is its last word: after it there is
/// no packet boundary to trust.
///
/// Work is linear in the bytes of a packet, and nothing is allocated for them.
///
/// ```
/// use mqtt_proto::{Decoder, Packet, ProtocolVersion, Role, Status};
///
/// let mut decoder = Decoder::new(Role::Client, ProtocolVersion::V311);
/// let stream = [0x30, 0x06, 0, 1, b'a', b'h', b'i', b'!', 0xc0];
///
/// let Status::Ready((Packet::Publish(publish), len)) = decoder.decode(&stream)? else { panic!() };
/// assert_eq!(publish.message.payload, b"hi!");
/// let Status::NeedMore(missing) = decoder.decode(&stream[len..])? else { panic!() };
/// assert_eq!(missing.get(), 1);
/// # Ok::<_, mqtt_proto::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    sender: Role,
    version: Option<ProtocolVersion>,
    /// The packet types that may come now, as bits.
    legal: u16,
    max_packet_size: u32,
    failed: Option<DecodeError>,
}

impl Decoder {
    /// For the packets that `sender` sends on a connection of this version.
    #[must_use]
    pub const fn new(sender: Role, version: ProtocolVersion) -> Self {
        Self::with(sender, Some(version))
    }

    /// For the packets of a client whose first must be a CONNECT, which decides the version
    /// [MQTT-3.1.0-1].
    #[must_use]
    pub const fn awaiting_connect() -> Self {
        Self::with(Role::Client, None)
    }

    const fn with(sender: Role, version: Option<ProtocolVersion>) -> Self {
        let legal = legal_types(sender, version);
        Self { sender, version, legal, max_packet_size: MAX_PACKET_SIZE, failed: None }
    }

    /// Refuses packets of more than `limit` bytes, fixed header included, as soon as their length
    /// is known. Without it the limit is that of the standard, [`MAX_PACKET_SIZE`], 256 MiB.
    #[must_use]
    pub const fn with_max_packet_size(mut self, limit: u32) -> Self {
        self.set_max_packet_size(limit);
        self
    }

    /// As [`with_max_packet_size`](Self::with_max_packet_size), from the next packet on.
    pub const fn set_max_packet_size(&mut self, limit: u32) {
        self.max_packet_size = limit;
    }

    /// The version, once it is known.
    #[must_use]
    pub const fn version(&self) -> Option<ProtocolVersion> {
        self.version
    }

    /// The fixed header at the start of `src`. What type, flags and length show to be wrong is
    /// refused as soon as they are there, and for the same reason however few bytes come at a
    /// time.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn header(&mut self, src: &[u8]) -> Result<Status<FrameHeader>, DecodeError> {
        self.next_header(src)
    }

    /// The packet at the start of `src` and its size in bytes, borrowed: nothing is allocated.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not a packet that this side may send now, and the same one
    /// ever after.
    #[inline]
    pub fn decode<'a>(
        &mut self,
        src: &'a [u8],
    ) -> Result<Status<(PacketRef<'a>, usize)>, DecodeError> {
        let header = match self.next_header(src)? {
            Status::Ready(header) => header,
            Status::NeedMore(missing) => return Ok(Status::NeedMore(missing)),
        };
        let len = header.packet_len() as usize;
        match src.get(header.len.into()..len) {
            Some(body) => self.body(header, &body, |packet| (packet, len)),
            None => Ok(Status::need((len - src.len()) as u32)),
        }
    }

    /// Takes the packet at the start of `src` out of it. The packet shares the buffer; what is kept
    /// for long should be copied out of it, see [`Message::detach`](crate::Message::detach).
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    #[cfg(feature = "bytes")]
    #[inline]
    pub fn decode_bytes(
        &mut self,
        src: &mut bytes::BytesMut,
    ) -> Result<Status<Packet<bytes::Bytes>>, DecodeError> {
        let header = match self.next_header(src)? {
            Status::Ready(header) => header,
            Status::NeedMore(missing) => return Ok(Status::NeedMore(missing)),
        };
        let len = header.packet_len() as usize;
        if src.len() < len {
            return Ok(Status::need((len - src.len()) as u32));
        }
        let mut frame = src.split_to(len).freeze();
        bytes::Buf::advance(&mut frame, header.len.into());
        self.body(header, &frame, |packet| packet)
    }

    #[inline]
    fn body<B: Storage, T>(
        &mut self,
        header: FrameHeader,
        body: &B,
        ready: impl Fn(Packet<B>) -> T,
    ) -> Result<Status<T>, DecodeError> {
        if header.packet_type == PacketType::Connect {
            return self.connect(header, body).map(|packet| Status::Ready(ready(packet)));
        }
        // The first packet is a CONNECT, so the version is known.
        let version = self.version.unwrap_or(ProtocolVersion::V5);
        let context = Context { version, sender: self.sender };
        Packet::decode_body(header, body, context, |packet| Status::Ready(ready(packet)))
            .map_err(|error| self.fail(error))
    }

    /// Out of the hot path: once per connection, and the largest packet.
    #[inline(never)]
    fn connect<B: Storage>(
        &mut self,
        header: FrameHeader,
        body: &B,
    ) -> Result<Packet<B>, DecodeError> {
        let connect =
            Connect::decode_body(header, body, self.version).map_err(|error| self.fail(error))?;
        self.version = Some(connect.version);
        self.legal = legal_types(self.sender, self.version);
        // Not checked while the version was unknown.
        self.check_minimal(&header).map_err(|error| self.fail(error))?;
        Ok(Packet::Connect(connect))
    }

    /// Inlined, so that the header stays in registers on its way to the body.
    #[inline(always)]
    fn next_header(&mut self, src: &[u8]) -> Result<Status<FrameHeader>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.parse_header(src).map_err(|error| self.fail(error))
    }

    #[inline(always)]
    fn parse_header(&self, src: &[u8]) -> Result<Status<FrameHeader>, DecodeError> {
        if let Some(&first) = src.first() {
            self.check_type(first >> 4)?;
        }
        let status = FrameHeader::parse(src, self.max_packet_size)?;
        if let Status::Ready(header) = &status {
            self.check_minimal(header)?;
        }
        Ok(status)
    }

    /// [MQTT-1.5.5-1]; 3.1.1 does not ask for the shortest form.
    #[inline]
    fn check_minimal(&self, header: &FrameHeader) -> Result<(), DecodeError> {
        if !header.minimal && self.version == Some(ProtocolVersion::V5) {
            return Err(DecodeError::new(DecodeErrorKind::VarIntNotMinimal, 1));
        }
        Ok(())
    }

    #[inline]
    fn check_type(&self, number: u8) -> Result<(), DecodeError> {
        if self.legal & 1 << number != 0 { Ok(()) } else { Err(self.refuse_type(number)) }
    }

    #[cold]
    fn refuse_type(&self, number: u8) -> DecodeError {
        let kind = refusal(number, self.sender, self.version);
        DecodeError::new(kind.unwrap_or(DecodeErrorKind::ReservedPacketType(number)), 0)
    }

    #[cold]
    fn fail(&mut self, error: DecodeError) -> DecodeError {
        self.failed = Some(error);
        error
    }
}

/// The packet types that may come from `sender`, as bits.
const fn legal_types(sender: Role, version: Option<ProtocolVersion>) -> u16 {
    let mut legal = 0;
    let mut number = 0;
    while number < 16 {
        if refusal(number, sender, version).is_none() {
            legal |= 1 << number;
        }
        number += 1;
    }
    legal
}

/// Why a packet of this type may not come from `sender`.
const fn refusal(
    number: u8,
    sender: Role,
    version: Option<ProtocolVersion>,
) -> Option<DecodeErrorKind> {
    let Some(packet) = PacketType::new(number) else {
        return Some(DecodeErrorKind::ReservedPacketType(number));
    };
    match (packet, version, sender) {
        (PacketType::Connect, None, Role::Client) => None,
        (_, None, _) => Some(DecodeErrorKind::ConnectExpected),
        (PacketType::Auth, Some(ProtocolVersion::V311), _) => {
            Some(DecodeErrorKind::ReservedPacketType(number))
        }
        // Only the client of 3.1.1 says DISCONNECT (section 3.14).
        (PacketType::Disconnect, Some(ProtocolVersion::V311), Role::Server) => {
            Some(DecodeErrorKind::WrongSender(packet))
        }
        _ if packet.may_be_sent_by(sender) => None,
        _ => Some(DecodeErrorKind::WrongSender(packet)),
    }
}
