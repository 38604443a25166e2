//! Cursors over the bytes of a packet. What is read or written in one piece goes past them: a short
//! fixed header, a bare packet.

use crate::{
    DecodeError, DecodeErrorKind, PacketId, PacketType, Properties, PropertyOwner, PropertySet,
    ProtocolVersion, ReasonCode, Role, Storage, StringError, property, steps, text,
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

#[inline(always)]
pub(crate) fn parse_varint(bytes: &[u8]) -> VarInt {
    steps::add(1);
    match *bytes {
        [byte @ 0..=0x7f, ..] => VarInt::Value(byte.into(), 1, true),
        _ => parse_long_varint(bytes),
    }
}

#[inline(never)]
fn parse_long_varint(bytes: &[u8]) -> VarInt {
    steps::add(4);
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return VarInt::Value(value, at + 1, at == 0 || byte != 0);
        }
    }
    if bytes.len() < 4 { VarInt::Incomplete } else { VarInt::TooLong }
}

/// Whether a variable byte integer of these bytes is in its shortest form.
pub(crate) const fn is_minimal(bytes: &[u8]) -> bool {
    bytes.len() == 1 || !matches!(bytes, [.., 0])
}

/// Reads fields from a packet, front to back. A failed read names the byte where the field begins
/// that failed.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// Where `rest` ends, in bytes from the start of the fixed header.
    end: usize,
}

impl<'a> Cursor<'a> {
    /// Over what follows the fixed header in a packet of `len` bytes.
    #[inline(always)]
    pub(crate) const fn new(rest: &'a [u8], len: usize) -> Self {
        Self { rest, end: len }
    }

    /// Over what follows the first `start` bytes of a packet.
    #[inline(always)]
    pub(crate) fn after(packet: &'a [u8], start: usize) -> Self {
        Self::new(&packet[start..], packet.len())
    }

    /// Over bytes that are in no packet.
    #[inline]
    pub(crate) const fn over(rest: &'a [u8]) -> Self {
        Self { rest, end: rest.len() }
    }

    /// How many bytes of the packet lie before what is read next.
    #[inline(always)]
    pub(crate) const fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    /// What is wrong with what is read next.
    #[cold]
    #[inline(never)]
    pub(crate) const fn fault(self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.position() as u32)
    }

    #[inline(always)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline(always)]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                steps::add(N);
                Ok(*bytes)
            }
            None => Err(self.fault(DecodeErrorKind::UnexpectedEnd)),
        }
    }

    #[inline(always)]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    #[inline(always)]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline(always)]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer in its shortest form [MQTT-1.5.5-1].
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let kind = match parse_varint(self.rest) {
            VarInt::Value(value, len, true) => {
                self.rest = &self.rest[len..];
                return Ok(value);
            }
            VarInt::Value(_, _, false) => DecodeErrorKind::VarIntNotMinimal,
            VarInt::Incomplete => DecodeErrorKind::UnexpectedEnd,
            VarInt::TooLong => DecodeErrorKind::VarIntTooLong,
        };
        Err(self.fault(kind))
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: u32) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(len as usize) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.fault(DecodeErrorKind::UnexpectedEnd)),
        }
    }

    /// Bytes behind a two-byte length: Binary Data or a string.
    #[inline(always)]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        if let Some((len, rest)) = self.rest.split_first_chunk()
            && let Some((field, rest)) = rest.split_at_checked(u16::from_be_bytes(*len).into())
        {
            self.rest = rest;
            steps::add(2);
            return Ok(field);
        }
        Err(self.fault(DecodeErrorKind::UnexpectedEnd))
    }

    /// As [`binary`](Self::binary), after `check`.
    #[inline(always)]
    pub(crate) fn checked(
        &mut self,
        check: impl FnOnce(&[u8]) -> Result<(), DecodeErrorKind>,
    ) -> Result<&'a [u8], DecodeError> {
        let start = *self;
        let field = self.binary()?;
        match check(field) {
            Ok(()) => Ok(field),
            Err(kind) => Err(start.fault(kind)),
        }
    }

    /// As [`checked`](Self::checked), by its place.
    #[inline]
    pub(crate) fn span(
        &mut self,
        check: impl FnOnce(&[u8]) -> Result<(), DecodeErrorKind>,
    ) -> Result<Span, DecodeError> {
        let field = self.checked(check)?;
        let end = self.position();
        Ok(Span { start: end - field.len(), end })
    }

    /// A UTF-8 Encoded String, by its place.
    pub(crate) fn text(&mut self) -> Result<Span, DecodeError> {
        self.span(|bytes| text::check(bytes).map_err(StringError::in_string))
    }

    /// A packet identifier [MQTT-2.2.1-3].
    #[inline(always)]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let start = *self;
        match PacketId::new(self.u16()?) {
            Some(id) => Ok(id),
            None => Err(start.fault(DecodeErrorKind::PacketIdZero)),
        }
    }

    /// A reason code that `sender` may put into this packet.
    #[inline(always)]
    pub(crate) fn reason(
        &mut self,
        packet: PacketType,
        context: Context,
    ) -> Result<ReasonCode, DecodeError> {
        let start = *self;
        let code = ReasonCode::new(self.u8()?);
        // [3.1.1 MQTT-3.9.3-2]
        if code.is_legal_in(packet, context.sender)
            && code.nearest_in(context.version, packet) == code
        {
            Ok(code)
        } else {
            Err(start.fault(DecodeErrorKind::ReasonCode(code.get())))
        }
    }

    /// A property list behind its length, empty in 3.1.1.
    #[inline(always)]
    pub(crate) fn properties(
        &mut self,
        owner: PropertyOwner,
        context: Context,
    ) -> Result<PropertyList, DecodeError> {
        if context.version == ProtocolVersion::V311 {
            return Ok(PropertyList::EMPTY);
        }
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(PropertyList::EMPTY);
        }
        let list = self.property_list(owner, context.sender)?;
        self.rest = &self.rest[list.end as usize - self.position()..];
        Ok(list)
    }

    #[inline(never)]
    fn property_list(
        mut self,
        owner: PropertyOwner,
        sender: Role,
    ) -> Result<PropertyList, DecodeError> {
        let len = self.varint()?;
        let start = self.position();
        // Not `as`, which would make a large length a small one where `usize` has 16 bits.
        let len = usize::try_from(len).ok();
        let Some(list) = len.and_then(|len| self.rest.get(..len)) else {
            return Err(self.fault(DecodeErrorKind::UnexpectedEnd));
        };
        let end = start + list.len();
        let set = property::check(Cursor { rest: list, end }, owner, Some(sender))?;
        Ok(PropertyList { start: start as u32, end: end as u32, set })
    }

    /// That nothing is left.
    #[inline(always)]
    pub(crate) fn end(self) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(self.fault(DecodeErrorKind::TrailingBytes)) }
    }
}

/// A field by its place in the packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    #[inline(always)]
    pub(crate) const fn len(self) -> usize {
        self.end - self.start
    }

    /// The field, as a part of its packet.
    #[inline(always)]
    pub(crate) fn of<B: Storage>(self, packet: &B) -> B {
        packet.slice(self.start, self.end)
    }
}

/// A property list that was checked, by its place in the packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PropertyList {
    start: u32,
    end: u32,
    set: PropertySet,
}

impl PropertyList {
    pub(crate) const EMPTY: Self = Self { start: 0, end: 0, set: PropertySet::EMPTY };

    #[inline(always)]
    pub(crate) const fn set(self) -> PropertySet {
        self.set
    }

    /// The list, as a part of its packet.
    #[inline(always)]
    pub(crate) fn of<B: Storage>(self, packet: &B) -> Properties<B> {
        if self.set.is_empty() {
            return Properties::default();
        }
        Properties::new_unchecked(packet.slice(self.start as usize, self.end as usize), self.set)
    }

    /// As [`of`](Self::of), for the last field of the packet.
    pub(crate) fn last_of<B: Storage>(self, packet: B) -> Properties<B> {
        if self.set.is_empty() {
            return Properties::default();
        }
        Properties::new_unchecked(packet.tail(self.start as usize), self.set)
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

/// A fixed header and the number that comes first in most bodies. Most packets are of less than
/// 16 KiB, and then all of it is one write of a size that the compiler knows.
#[inline(always)]
pub(crate) fn put_header_and_u16(first: u8, remaining: u32, number: u16, out: &mut impl Put) {
    let [high, low] = number.to_be_bytes();
    if remaining <= 0x7f {
        return out.slice(&[first, remaining as u8, high, low]);
    }
    if remaining <= 0x3fff {
        return out.slice(&[first, remaining as u8 | 0x80, (remaining >> 7) as u8, high, low]);
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
