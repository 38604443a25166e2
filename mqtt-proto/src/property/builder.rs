//! Property lists written by a caller.

#[cfg(feature = "bytes")]
use alloc::vec::Vec;
#[cfg(feature = "bytes")]
use core::fmt;

use super::{
    Properties, Property, PropertyId, PropertySet, note,
    value::{Kind, Value},
};
use crate::{
    StringError, TopicName, text,
    wire::{self, Put, SliceWriter},
};

impl<'a> Properties<&'a [u8]> {
    /// A list of these properties, in this order, in the caller's buffer; for those without an
    /// allocator. Which packet it is for is checked when that packet is encoded.
    ///
    /// # Errors
    /// [`PropertyError`], [`BufferTooSmall`](PropertyError::BufferTooSmall) among them.
    pub fn in_buffer<'p>(
        buffer: &'a mut [u8],
        properties: impl IntoIterator<Item = Property<'p>>,
    ) -> Result<Self, PropertyError> {
        let (mut set, mut end) = (PropertySet::EMPTY, 0);
        for property in properties {
            let id = property.id();
            let value = property.value();
            set = note(set, id).ok_or(PropertyError::Twice(id))?;
            let start = end;
            end += check(id, value)?;
            if end > wire::MAX_VARINT as usize {
                return Err(PropertyError::TooLong(id));
            }
            let room = buffer.get_mut(start..end).ok_or(PropertyError::BufferTooSmall)?;
            write(id, value, &mut SliceWriter::new(room));
        }
        Ok(Self::new_unchecked(&buffer[..end], set))
    }
}

/// Writes a property list. Which packet it is for is checked when that packet is encoded.
#[cfg(feature = "bytes")]
#[derive(Clone, Default)]
pub struct PropertiesBuilder {
    block: Vec<u8>,
    set: PropertySet,
}

#[cfg(feature = "bytes")]
impl PropertiesBuilder {
    /// An empty list; allocates with the first property.
    #[must_use]
    pub const fn new() -> Self {
        Self { block: Vec::new(), set: PropertySet::EMPTY }
    }

    /// Adds a property at the end.
    ///
    /// # Errors
    /// [`PropertyError`]; the list is unchanged.
    pub fn push(&mut self, property: Property<'_>) -> Result<&mut Self, PropertyError> {
        let id = property.id();
        let set = note(self.set, id).ok_or(PropertyError::Twice(id))?;
        let value = property.value();
        let len = check(id, value)?;
        if self.block.len() + len > wire::MAX_VARINT as usize {
            return Err(PropertyError::TooLong(id));
        }
        self.block.reserve(len);
        write(id, value, &mut wire::BufWriter(&mut self.block));
        self.set = set;
        Ok(self)
    }

    /// The list.
    #[must_use]
    pub fn build(self) -> Properties<bytes::Bytes> {
        Properties { block: self.block.into(), set: self.set }
    }
}

#[cfg(feature = "bytes")]
impl fmt::Debug for PropertiesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Properties { block: self.block.as_slice(), set: self.set }.fmt(f)
    }
}

/// That a list may hold this value, and how many bytes it takes with its identifier.
fn check(id: PropertyId, value: Value<'_>) -> Result<usize, PropertyError> {
    let text = |bytes| {
        text::check_len(bytes)
            .and_then(|()| text::check(bytes))
            .map_err(|e| PropertyError::Text(id, e))
    };
    match (id.kind(), value) {
        (Kind::Text, Value::Binary(bytes)) => text(bytes)?,
        (Kind::Topic, Value::Binary(bytes)) => {
            TopicName::new(bytes).map_err(|error| PropertyError::Text(id, error))?;
        }
        (_, Value::Binary(bytes)) => {
            text::check_len(bytes).map_err(|_| PropertyError::TooLong(id))?;
        }
        (_, Value::Pair(name, value)) => text(name).and_then(|()| text(value))?,
        (Kind::NonZeroVarInt, Value::Number(number)) if number > wire::MAX_VARINT => {
            return Err(PropertyError::Value(id));
        }
        (kind, Value::Number(number)) if !kind.admits(number) => {
            return Err(PropertyError::Value(id));
        }
        (_, Value::Number(_)) => {}
    }
    Ok(1 + match (id.kind(), value) {
        (_, Value::Binary(bytes)) => 2 + bytes.len(),
        (_, Value::Pair(name, value)) => 4 + name.len() + value.len(),
        (Kind::Flag, _) => 1,
        (Kind::TwoByte | Kind::NonZeroTwoByte, _) => 2,
        (Kind::NonZeroVarInt, Value::Number(number)) => wire::varint_len(number) as usize,
        _ => 4,
    })
}

/// Writes a value that was checked.
fn write(id: PropertyId, value: Value<'_>, out: &mut impl Put) {
    out.u8(id as u8);
    match (id.kind(), value) {
        (_, Value::Binary(bytes)) => out.binary(bytes),
        (_, Value::Pair(name, value)) => {
            out.binary(name);
            out.binary(value);
        }
        (Kind::Flag, Value::Number(number)) => out.u8(number as u8),
        (Kind::TwoByte | Kind::NonZeroTwoByte, Value::Number(number)) => out.u16(number as u16),
        (Kind::NonZeroVarInt, Value::Number(number)) => out.varint(number),
        (_, Value::Number(number)) => out.slice(&number.to_be_bytes()),
    }
}

/// Why a property cannot be written. Always the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// Only User Property, and Subscription Identifier in PUBLISH, may occur again.
    #[error("property {0:?} is already in the list [section 2.2.2]")]
    Twice(PropertyId),
    /// 0 where 1 is the least, or above 268,435,455.
    #[error("the value of property {0:?} is out of range [section 2.2.2.2]")]
    Value(PropertyId),
    /// A string that MQTT cannot carry.
    #[error("the text of property {0:?} cannot be sent: {1}")]
    Text(PropertyId, StringError),
    /// More than 65,535 bytes in one property, or 268,435,455 in the list.
    #[error("property {0:?} is too long")]
    TooLong(PropertyId),
    /// The slice given is shorter than the list.
    #[error("the buffer is too small for the property list")]
    BufferTooSmall,
}
