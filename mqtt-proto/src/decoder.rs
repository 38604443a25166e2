//! Packets out of a byte stream.

use crate::{
    Ack, DecodeError, DecodeErrorKind, FrameHeader, MAX_PACKET_SIZE, Packet, PacketId, PacketRef,
    PacketType, ProtocolVersion, Role, Status, Storage,
    legal::{FirstBytes, refusal},
    packet::{self, ack, connect_packet, publish},
    source::Source,
    steps,
    wire::{self, Context, Cursor},
};

const CONNECT: u8 = PacketType::Connect as u8;
const PUBLISH: u8 = PacketType::Publish as u8;
const PUBACK: u8 = PacketType::PubAck as u8;
const PUBCOMP: u8 = PacketType::PubComp as u8;

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
    /// Of every packet behind a CONNECT.
    context: Context,
    /// Whether that is known already.
    awaits_connect: bool,
    /// How a packet may begin now; after an error none may.
    legal: &'static FirstBytes,
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
        let legal = FirstBytes::of(sender, version);
        let awaits_connect = version.is_none();
        let version = match version {
            Some(version) => version,
            None => ProtocolVersion::V5,
        };
        let context = Context { version, sender };
        Self { context, awaits_connect, legal, max_packet_size: MAX_PACKET_SIZE, failed: None }
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
        if self.awaits_connect { None } else { Some(self.context.version) }
    }

    /// The fixed header at the start of `src`. What type, flags and length show to be wrong is
    /// refused as soon as they are there, and for the same reason however few bytes come at a
    /// time.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn header(&mut self, src: &[u8]) -> Result<Status<FrameHeader>, DecodeError> {
        self.parse_header(src).map_err(|error| self.fail(error))
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
        self.next(src, |packet, len| (packet, len))
    }

    /// Takes the packet at the start of `src` out of it. The packet shares the buffer, but for a short
    /// topic name; what is kept for long should be copied out of it, see
    /// [`Message::detach`](crate::Message::detach).
    ///
    /// # Errors
    /// As [`decode`](Self::decode). What is left in `src` is of no use then.
    #[cfg(feature = "bytes")]
    #[inline]
    pub fn decode_bytes(
        &mut self,
        src: &mut bytes::BytesMut,
    ) -> Result<Status<Packet<bytes::Bytes>>, DecodeError> {
        self.next(src, |packet, _| packet)
    }

    /// `ready` is called where the packet is made: every move of one is a copy of a hundred bytes
    /// and more.
    #[inline(always)]
    fn next<S: Source, T>(
        &mut self,
        src: S,
        ready: impl FnOnce(Packet<S::Storage>, usize) -> T,
    ) -> Result<Status<T>, DecodeError> {
        steps::add(src.bytes().len().min(4));
        // An acknowledgement that only names its exchange: every second packet of QoS 1 and 2.
        if let [first @ 0x40..=0x7f, 2, high, low, ..] = *src.bytes()
            && self.legal.contains(first)
            && let Some(id) = PacketId::new(u16::from_be_bytes([high, low]))
            && self.max_packet_size >= 4
        {
            src.skip(4);
            return Ok(Status::Ready(ready(Packet::of_ack(first >> 4, Ack::success(id)), 4)));
        }
        let Frame { first, start, len } = match self.short_frame(src.bytes()) {
            Some(frame) => frame,
            None => match self.frame(src.bytes())? {
                Status::Ready(frame) => frame,
                Status::NeedMore(missing) => return Ok(Status::NeedMore(missing)),
            },
        };
        let cursor = Cursor::new(&src.bytes()[start..len], len);
        match first >> 4 {
            PUBLISH => match publish::Layout::read(first, cursor, self.context) {
                Ok(layout) => src.publish(layout, len, |publish| {
                    Ok(Status::Ready(ready(Packet::Publish(publish), len)))
                }),
                Err(error) => Err(self.fail(error)),
            },
            number @ PUBACK..=PUBCOMP => match ack::Layout::read(number, cursor, self.context) {
                Ok(layout) => {
                    let ack = if layout.is_plain() {
                        src.skip(len);
                        layout.of(&S::Storage::default())
                    } else {
                        layout.of(&src.take(len))
                    };
                    Ok(Status::Ready(ready(Packet::of_ack(number, ack), len)))
                }
                Err(error) => Err(self.fail(error)),
            },
            CONNECT => self.connect(start, src.take(len), ready),
            _ => self.other(first, start, src.take(len), ready),
        }
    }

    /// Out of the hot path: once per connection.
    #[inline(never)]
    fn connect<B: Storage, T>(
        &mut self,
        start: usize,
        packet: B,
        ready: impl FnOnce(Packet<B>, usize) -> T,
    ) -> Result<Status<T>, DecodeError> {
        let (bytes, len) = (packet.as_ref(), packet.as_ref().len());
        let layout = match connect_packet::Layout::read(Cursor::after(bytes, start), self.version())
        {
            Ok(layout) => layout,
            Err(error) => return Err(self.fail(error)),
        };
        (self.context.version, self.awaits_connect) = (layout.version, false);
        self.legal = FirstBytes::of(self.context.sender, self.version());
        // Not checked while the version was unknown.
        if layout.version == ProtocolVersion::V5 && !wire::is_minimal(&bytes[1..start]) {
            return Err(self.fail(DecodeError::new(DecodeErrorKind::VarIntNotMinimal, 1)));
        }
        Ok(Status::Ready(ready(Packet::Connect(layout.of(packet)), len)))
    }

    #[inline(never)]
    fn other<B: Storage, T>(
        &mut self,
        first: u8,
        start: usize,
        packet: B,
        ready: impl FnOnce(Packet<B>, usize) -> T,
    ) -> Result<Status<T>, DecodeError> {
        let len = packet.as_ref().len();
        packet::decode_other(first >> 4, packet, start, self.context, |packet| match packet {
            Ok(packet) => Ok(Status::Ready(ready(packet, len))),
            Err(error) => Err(self.fail(error)),
        })
    }

    /// Where a packet that is legal, short and all there begins and ends. What is not is looked at
    /// again by [`frame`](Self::frame), which knows why.
    #[inline(always)]
    fn short_frame(&self, src: &[u8]) -> Option<Frame> {
        steps::add(src.len().min(3));
        let [first, rest @ ..] = src else { return None };
        if !self.legal.contains(*first) {
            return None;
        }
        let (start, remaining) = match *rest {
            [low @ 0..=0x7f, ..] => (2, u32::from(low)),
            [low, high @ 1..=0x7f, ..] => (3, u32::from(low & 0x7f) | u32::from(high) << 7),
            [low, middle @ 0x80..=0xff, high @ 1..=0x7f, ..] => {
                let low = u32::from(low & 0x7f) | u32::from(middle & 0x7f) << 7;
                (4, low | u32::from(high) << 14)
            }
            _ => return None,
        };
        let len = start as u32 + remaining;
        if len > self.max_packet_size {
            return None;
        }
        // Not `as`: see `frame`.
        let len = usize::try_from(len).ok().filter(|&len| len <= src.len())?;
        Some(Frame { first: *first, start, len })
    }

    /// Where a packet that is all there begins and ends.
    #[cold]
    #[inline(never)]
    fn frame(&mut self, src: &[u8]) -> Result<Status<Frame>, DecodeError> {
        let header = match self.header(src)? {
            Status::Ready(header) => header,
            Status::NeedMore(missing) => return Ok(Status::NeedMore(missing)),
        };
        // What is longer than the bytes there are may be longer than any bytes there can be.
        match usize::try_from(header.packet_len()) {
            Ok(len) if len <= src.len() => {
                Ok(Status::Ready(Frame { first: src[0], start: header.len.into(), len }))
            }
            _ => Ok(Status::need(header.packet_len() - src.len() as u32)),
        }
    }

    fn parse_header(&self, src: &[u8]) -> Result<Status<FrameHeader>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        // What is legal but for its flags is refused by the frame header.
        if let Some(&first) = src.first()
            && !self.legal.contains(first)
            && let Some(kind) = refusal(first >> 4, self.context.sender, self.version())
        {
            return Err(DecodeError::new(kind, 0));
        }
        let status = FrameHeader::parse(src, self.max_packet_size)?;
        if let Status::Ready(header) = &status {
            self.check_minimal(header)?;
        }
        Ok(status)
    }

    /// [MQTT-1.5.5-1]; 3.1.1 does not ask for the shortest form.
    fn check_minimal(&self, header: &FrameHeader) -> Result<(), DecodeError> {
        if !header.minimal && self.version() == Some(ProtocolVersion::V5) {
            return Err(DecodeError::new(DecodeErrorKind::VarIntNotMinimal, 1));
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self, error: DecodeError) -> DecodeError {
        self.failed = Some(error);
        self.legal = &FirstBytes::NONE;
        error
    }
}

/// A packet that is all there, at the start of some bytes.
#[derive(Clone, Copy)]
struct Frame {
    /// Packet type and flags.
    first: u8,
    /// The size of the fixed header.
    start: usize,
    /// The size of the packet.
    len: usize,
}
