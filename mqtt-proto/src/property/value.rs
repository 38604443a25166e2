//! Property values by their shape on the wire, section 2.2.2.2.

use super::PropertyId;
use crate::{
    DecodeError, DecodeErrorKind, StringError,
    text::{self, utf8},
    wire::Cursor,
};

/// How a value is written, section 2.2.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One byte, 0 or 1.
    Flag,
    TwoByte,
    /// Two bytes, not 0.
    NonZeroTwoByte,
    FourByte,
    /// Four bytes, not 0.
    NonZeroFourByte,
    /// A variable byte integer, not 0.
    NonZeroVarInt,
    Binary,
    Text,
    /// A string without wildcards.
    Topic,
    Pair,
}

/// A value by its shape on the wire.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u32),
    Binary(&'a [u8]),
    Pair(&'a [u8], &'a [u8]),
}

impl From<Value<'_>> for bool {
    fn from(value: Value<'_>) -> Self {
        matches!(value, Value::Number(1))
    }
}

impl From<Value<'_>> for u16 {
    fn from(value: Value<'_>) -> Self {
        u32::from(value) as Self
    }
}

impl From<Value<'_>> for u32 {
    fn from(value: Value<'_>) -> Self {
        if let Value::Number(number) = value { number } else { 0 }
    }
}

impl<'a> From<Value<'a>> for &'a [u8] {
    fn from(value: Value<'a>) -> Self {
        if let Value::Binary(bytes) = value { bytes } else { &[] }
    }
}

impl<'a> From<Value<'a>> for &'a str {
    fn from(value: Value<'a>) -> Self {
        utf8(value.into())
    }
}

impl<'a> From<Value<'a>> for (&'a str, &'a str) {
    fn from(value: Value<'a>) -> Self {
        if let Value::Pair(name, value) = value { (utf8(name), utf8(value)) } else { ("", "") }
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Number(flag.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Binary(text.as_bytes())
    }
}

impl<'a> From<(&'a str, &'a str)> for Value<'a> {
    fn from((name, value): (&'a str, &'a str)) -> Self {
        Self::Pair(name.as_bytes(), value.as_bytes())
    }
}

impl<'a> Value<'a> {
    /// Reads what follows the identifier, checking lengths only.
    #[inline]
    pub(super) fn read(kind: Kind, cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        Ok(match kind {
            Kind::Flag => Self::Number(cursor.u8()?.into()),
            Kind::TwoByte | Kind::NonZeroTwoByte => Self::Number(cursor.u16()?.into()),
            Kind::FourByte | Kind::NonZeroFourByte => Self::Number(cursor.u32()?),
            Kind::NonZeroVarInt => Self::Number(cursor.varint()?),
            Kind::Binary | Kind::Text | Kind::Topic => Self::Binary(cursor.binary()?),
            Kind::Pair => Self::Pair(cursor.binary()?, cursor.binary()?),
        })
    }
}

impl Kind {
    /// Whether this number is a legal value.
    #[inline(always)]
    pub(super) const fn admits(self, number: u32) -> bool {
        match self {
            Self::Flag => number <= 1,
            Self::NonZeroTwoByte | Self::NonZeroFourByte | Self::NonZeroVarInt => number != 0,
            _ => true,
        }
    }
}

/// Reads what follows the identifier of this number, and checks it.
#[inline(always)]
pub(super) fn check_next(
    number: u8,
    kind: Kind,
    list: &mut Cursor<'_>,
) -> Result<(), DecodeErrorKind> {
    match kind {
        Kind::Text => return check_text(list.binary()),
        Kind::Pair => {
            check_text(list.binary())?;
            return check_text(list.binary());
        }
        Kind::Binary => return list.binary().map(|_| ()).map_err(kind_of),
        // A topic name has at least one character [MQTT-4.7.3-1] and no wildcard [MQTT-3.3.2-14].
        Kind::Topic => match list.binary().map_err(kind_of)? {
            [] => {}
            name => return text::check_topic_name(name).map_err(StringError::in_topic_name),
        },
        Kind::Flag if kind.admits(list.u8().map_err(kind_of)?.into()) => return Ok(()),
        Kind::TwoByte | Kind::NonZeroTwoByte
            if kind.admits(list.u16().map_err(kind_of)?.into()) =>
        {
            return Ok(());
        }
        Kind::FourByte | Kind::NonZeroFourByte if kind.admits(list.u32().map_err(kind_of)?) => {
            return Ok(());
        }
        Kind::NonZeroVarInt if kind.admits(list.varint().map_err(kind_of)?) => return Ok(()),
        _ => {}
    }
    Err(illegal(number))
}

#[inline(always)]
fn check_text(text: Result<&[u8], DecodeError>) -> Result<(), DecodeErrorKind> {
    text::check(text.map_err(kind_of)?).map_err(StringError::in_string)
}

/// What it is called if a field is cut short by the end of its list.
#[cold]
fn kind_of(error: DecodeError) -> DecodeErrorKind {
    match error.kind() {
        DecodeErrorKind::UnexpectedEnd => DecodeErrorKind::PropertyLength,
        kind => kind,
    }
}

#[cold]
fn illegal(number: u8) -> DecodeErrorKind {
    PropertyId::new(number)
        .map_or(DecodeErrorKind::PropertyUnknown(number), DecodeErrorKind::PropertyValue)
}

/// Walks a checked list.
pub(super) struct Values<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Values<'a> {
    #[inline]
    pub(super) const fn new(block: &'a [u8]) -> Self {
        Self { cursor: Cursor::over(block) }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = (PropertyId, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let id = PropertyId::new(self.cursor.u8().ok()?)?;
        Some((id, Value::read(id.kind(), &mut self.cursor).ok()?))
    }
}
