//! The bytes of a topic name.

use crate::Storage;

/// Bytes in the storage of their packet, or a copy of a few.
///
/// An owned name that is short is copied: two changes of a shared reference count cost more than
/// that. Where it is does not matter for equality, order and hash, which are those of the bytes.
#[derive(Clone, Copy)]
pub(crate) enum Name<B> {
    Kept(B),
    /// Behind the name there may be any bytes.
    Short {
        len: u8,
        bytes: [u8; SHORT],
    },
}

/// The longest name that is copied. A name of any storage takes 40 bytes with it.
pub(crate) const SHORT: usize = 38;

impl<B: Storage> Name<B> {
    #[inline(always)]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes.as_ref(),
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
        }
    }

    pub(crate) fn map<C>(self, f: &mut impl FnMut(B) -> C) -> Name<C> {
        match self {
            Self::Kept(bytes) => Name::Kept(f(bytes)),
            Self::Short { len, bytes } => Name::Short { len, bytes },
        }
    }
}

#[cfg(feature = "bytes")]
impl Name<bytes::Bytes> {
    /// A copy of the short name that begins here, out of more bytes than it has: to copy as much as
    /// a name may have takes less time than to copy just what it has.
    #[inline(always)]
    pub(crate) fn short_at(bytes: &[u8], len: usize) -> Option<Self> {
        match bytes.first_chunk() {
            Some(bytes) if len <= SHORT => Some(Self::Short { len: len as u8, bytes: *bytes }),
            _ => None,
        }
    }

    /// A copy of a short name.
    pub(crate) fn short(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self::Short { len: name.len() as u8, bytes })
    }

    /// Allocates if the name is short.
    pub(crate) fn into_bytes(self) -> bytes::Bytes {
        match self {
            Self::Kept(bytes) => bytes,
            Self::Short { .. } => bytes::Bytes::copy_from_slice(self.as_bytes()),
        }
    }
}
