//! What variable-length fields live in.

use core::fmt::Debug;

use crate::{name::Name, wire::Span};

/// Holds the bytes of a packet's variable-length fields: `&[u8]` for borrowed packets,
/// [`bytes::Bytes`] for owned ones. Sealed: the decoder relies on `slice` being free of side
/// effects and of allocation.
///
/// An owned topic name of up to 38 bytes is a copy; everything else shares the buffer it was read
/// from.
pub trait Storage: AsRef<[u8]> + Clone + Debug + Default + Eq + sealed::Sealed {
    /// The part of `self` from `start` up to `end`, without copying.
    #[doc(hidden)]
    fn slice(&self, start: usize, end: usize) -> Self;

    /// The bytes of a topic name in `self`.
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn name(&self, span: Span) -> Name<Self>;

    /// The part of `self` from `start` on: cheaper than a slice, since nothing else is kept.
    #[doc(hidden)]
    fn tail(self, start: usize) -> Self;
}

impl Storage for &[u8] {
    #[inline(always)]
    fn slice(&self, start: usize, end: usize) -> Self {
        &self[start..end]
    }

    #[inline(always)]
    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn name(&self, span: Span) -> Name<Self> {
        Name::Kept(span.of(self))
    }

    #[inline(always)]
    fn tail(self, start: usize) -> Self {
        &self[start..]
    }
}

#[cfg(feature = "bytes")]
impl Storage for bytes::Bytes {
    #[inline]
    fn slice(&self, start: usize, end: usize) -> Self {
        // An empty slice needs no reference count.
        if start == end { Self::new() } else { Self::slice(self, start..end) }
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn name(&self, span: Span) -> Name<Self> {
        Name::short(&self[span.start..span.end]).unwrap_or_else(|| Name::Kept(span.of(self)))
    }

    #[inline(always)]
    fn tail(mut self, start: usize) -> Self {
        if start == self.len() {
            return Self::new();
        }
        bytes::Buf::advance(&mut self, start);
        self
    }
}

mod sealed {
    #[allow(unnameable_types, reason = "that is what seals it")]
    pub trait Sealed {}
    impl Sealed for &[u8] {}
    #[cfg(feature = "bytes")]
    impl Sealed for bytes::Bytes {}
}
