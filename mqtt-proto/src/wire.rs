//! Cursors over the bytes of a packet: the only code that reads or writes a wire byte.

use crate::{
    DecodeError, DecodeErrorKind, FrameHeader, PacketId, PacketType, Properties, PropertyOwner,
    ProtocolVersion, ReasonCode, Role, Storage, property,
};

/// What a decoder knows before it reads a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) version: ProtocolVersion,
    pub(crate) sender: Role,
}

/// The largest variable byte integer, and so the largest remaining length (section 1.5.5).
pub(crate) const MAX_VARINT: u32 = 268_435_455;

/// How many bytes a variable byte integer takes.
#[inline]
pub(crate) const fn varint_len(value: u32) -> u32 {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// The bytes of a variable byte integer and how many of them count.
#[inline]
pub(crate) const fn varint(mut value: u32) -> ([u8; 4], usize) {
    debug_assert!(value <= MAX_VARINT);
    let mut bytes = [0; 4];
    let mut len = 0;
    loop {
        bytes[len] = value as u8 & 0x7f;
        value >>= 7;
        if value == 0 || len == 3 {
            return (bytes, len + 1);
        }
        bytes[len] |= 0x80;
        len += 1;
    }
}

/// What a variable byte integer at the start of some bytes says.
pub(crate) enum VarInt {
    /// Its value, how many bytes it took, and whether fewer would have done.
    Value(u32, usize, bool),
    /// It goes on past the bytes there are.
    Incomplete,
    /// It goes on past its fourth byte.
    TooLong,
}

#[inline]
pub(crate) fn parse_varint(bytes: &[u8]) -> VarInt {
    match bytes {
        [byte @ 0..=0x7f, ..] => VarInt::Value((*byte).into(), 1, true),
        _ => parse_long_varint(bytes),
    }
}

#[inline(never)]
fn parse_long_varint(bytes: &[u8]) -> VarInt {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return VarInt::Value(value, at + 1, at == 0 || byte != 0);
        }
    }
    if bytes.len() < 4 { VarInt::Incomplete } else { VarInt::TooLong }
}

/// Reads fields from bytes, front to back. A failed read leaves the position at the field that
/// failed.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) const fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// Refuses what was read from `at` on: the position goes back there.
    #[cold]
    pub(crate) const fn refuse<T>(
        &mut self,
        at: usize,
        kind: DecodeErrorKind,
    ) -> Result<T, DecodeErrorKind> {
        self.at = at;
        Err(kind)
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeErrorKind> {
        match self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(DecodeErrorKind::UnexpectedEnd),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeErrorKind> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeErrorKind> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeErrorKind> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer in its shortest form [MQTT-1.5.5-1].
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeErrorKind> {
        match parse_varint(self.bytes.get(self.at..).unwrap_or_default()) {
            VarInt::Value(value, len, true) => {
                self.at += len;
                Ok(value)
            }
            VarInt::Value(_, _, false) => Err(DecodeErrorKind::VarIntNotMinimal),
            VarInt::Incomplete => Err(DecodeErrorKind::UnexpectedEnd),
            VarInt::TooLong => Err(DecodeErrorKind::VarIntTooLong),
        }
    }

    /// The next `len` bytes.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeErrorKind> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.get(..len));
        let bytes = bytes.ok_or(DecodeErrorKind::UnexpectedEnd)?;
        self.at += len;
        Ok(bytes)
    }

    /// Bytes behind a two-byte length: Binary Data or a string.
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeErrorKind> {
        let at = self.at;
        let len = self.u16()?;
        self.take(len.into()).or_else(|error| self.refuse(at, error))
    }
}

/// Reads fields from the body of a packet and hands them out in the body's own storage.
pub(crate) struct Reader<'a, B> {
    body: &'a B,
    pub(crate) cursor: Cursor<'a>,
}

impl<'a, B: Storage> Reader<'a, B> {
    #[inline]
    pub(crate) fn new(body: &'a B) -> Self {
        Self { body, cursor: Cursor::new(body.as_ref()) }
    }

    /// What was read from `start` on.
    #[inline]
    pub(crate) fn since(&self, start: usize) -> B {
        self.body.slice(start, self.cursor.position())
    }

    /// Bytes behind a two-byte length, after `check`.
    #[inline]
    pub(crate) fn field(
        &mut self,
        check: impl FnOnce(&[u8]) -> Result<(), DecodeErrorKind>,
    ) -> Result<B, DecodeErrorKind> {
        let at = self.cursor.position();
        match check(self.cursor.binary()?) {
            Ok(()) => Ok(self.since(at + 2)),
            Err(error) => self.cursor.refuse(at, error),
        }
    }

    /// A property list behind its length, empty in 3.1.1.
    #[inline(always)]
    pub(crate) fn properties(
        &mut self,
        owner: PropertyOwner,
        context: Context,
    ) -> Result<Properties<B>, DecodeErrorKind> {
        if context.version == ProtocolVersion::V311 {
            return Ok(Properties::default());
        }
        match self.cursor.varint()? {
            0 => Ok(Properties::default()),
            len => self.property_list(len as usize, owner, context),
        }
    }

    #[inline(never)]
    fn property_list(
        &mut self,
        len: usize,
        owner: PropertyOwner,
        context: Context,
    ) -> Result<Properties<B>, DecodeErrorKind> {
        let start = self.cursor.position();
        let mut list = Cursor::new(self.cursor.take(len)?);
        match property::check(&mut list, owner.allowed(Some(context.sender)), owner) {
            Ok(set) => Ok(Properties::new_unchecked(self.since(start), set)),
            Err(error) => self.cursor.refuse(start + list.position(), error),
        }
    }

    /// A packet identifier [MQTT-2.2.1-3].
    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeErrorKind> {
        let at = self.cursor.position();
        match PacketId::new(self.cursor.u16()?) {
            Some(id) => Ok(id),
            None => self.cursor.refuse(at, DecodeErrorKind::PacketIdZero),
        }
    }

    /// A reason code that `sender` may put into this packet.
    #[inline]
    pub(crate) fn reason(
        &mut self,
        packet: PacketType,
        context: Context,
    ) -> Result<ReasonCode, DecodeErrorKind> {
        let at = self.cursor.position();
        let code = ReasonCode::new(self.cursor.u8()?);
        // [3.1.1 MQTT-3.9.3-2]
        if code.is_legal_in(packet, context.sender)
            && code.nearest_in(context.version, packet) == code
        {
            Ok(code)
        } else {
            self.cursor.refuse(at, DecodeErrorKind::ReasonCode(code.get()))
        }
    }

    /// That nothing is left.
    #[inline]
    pub(crate) const fn end(&self) -> Result<(), DecodeErrorKind> {
        if self.cursor.is_empty() { Ok(()) } else { Err(DecodeErrorKind::TrailingBytes) }
    }

    /// What is wrong with the packet, where the position is.
    #[cold]
    pub(crate) fn error(&self, header: FrameHeader, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, u32::from(header.len) + self.cursor.position() as u32)
    }

    /// Everything that is left.
    #[inline]
    pub(crate) fn rest(&mut self) -> B {
        let start = self.cursor.position();
        self.cursor.seek(start + self.cursor.len());
        self.since(start)
    }
}

/// Where packets are written. The size was computed before, so writing cannot fail.
pub(crate) trait Put {
    fn slice(&mut self, bytes: &[u8]);

    #[inline]
    fn u8(&mut self, byte: u8) {
        self.slice(&[byte]);
    }

    #[inline]
    fn u16(&mut self, value: u16) {
        self.slice(&value.to_be_bytes());
    }

    #[inline]
    fn varint(&mut self, value: u32) {
        if value <= 0x7f {
            return self.u8(value as u8);
        }
        self.long_varint(value);
    }

    #[inline(never)]
    fn long_varint(&mut self, value: u32) {
        let (bytes, len) = varint(value);
        self.slice(&bytes[..len]);
    }

    /// Bytes behind a two-byte length. Every value that gets here has been checked to fit.
    #[inline]
    fn binary(&mut self, bytes: &[u8]) {
        self.u16(bytes.len() as u16);
        self.slice(bytes);
    }
}

/// A fixed header and the number that comes first in most bodies. Most packets are short, and then
/// all of it is one write of a size that the compiler knows.
#[inline(always)]
pub(crate) fn put_header_and_u16(first: u8, remaining: u32, number: u16, out: &mut impl Put) {
    let [high, low] = number.to_be_bytes();
    if remaining <= 0x7f {
        return out.slice(&[first, remaining as u8, high, low]);
    }
    out.u8(first);
    out.varint(remaining);
    out.slice(&[high, low]);
}

/// Writes into a slice that is known to be large enough.
pub(crate) struct SliceWriter<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> SliceWriter<'a> {
    pub(crate) const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Put for SliceWriter<'_> {
    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

#[cfg(feature = "bytes")]
pub(crate) struct BufWriter<'a, T>(pub(crate) &'a mut T);

#[cfg(feature = "bytes")]
impl<T: bytes::BufMut> Put for BufWriter<'_, T> {
    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }
}
