//! What packets are taken from.

#[cfg(feature = "bytes")]
use crate::name::Name;
use crate::{Publish, Storage, packet::publish::Layout};

/// What packets are taken from: bytes to borrow from, or a buffer to share.
pub(crate) trait Source {
    type Storage: Storage;

    fn bytes(&self) -> &[u8];

    /// The first `len` bytes, taken out where that is possible.
    fn take(self, len: usize) -> Self::Storage;

    /// Takes them out and does not look at them again.
    fn skip(self, len: usize);

    /// Takes a PUBLISH out.
    fn publish<T>(
        self,
        layout: Layout,
        len: usize,
        ready: impl FnOnce(Publish<Self::Storage>) -> T,
    ) -> T;
}

impl<'a> Source for &'a [u8] {
    type Storage = &'a [u8];

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self
    }

    #[inline(always)]
    fn take(self, len: usize) -> &'a [u8] {
        &self[..len]
    }

    #[inline(always)]
    fn skip(self, _: usize) {}

    #[inline(always)]
    fn publish<T>(
        self,
        layout: Layout,
        len: usize,
        ready: impl FnOnce(Publish<&'a [u8]>) -> T,
    ) -> T {
        ready(layout.of(self.take(len)))
    }
}

#[cfg(feature = "bytes")]
impl Source for &mut bytes::BytesMut {
    type Storage = bytes::Bytes;

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self
    }

    #[inline(always)]
    fn take(self, len: usize) -> bytes::Bytes {
        self.split_to(len).freeze()
    }

    #[inline(always)]
    fn skip(self, len: usize) {
        bytes::Buf::advance(self, len);
    }

    /// A short topic name is copied rather than shared. That `ready` is called in two places lets
    /// the copy go to where it belongs.
    #[inline(always)]
    fn publish<T>(
        self,
        layout: Layout,
        len: usize,
        ready: impl FnOnce(Publish<bytes::Bytes>) -> T,
    ) -> T {
        let topic = layout.topic();
        match Name::short_at(&self[topic.start..], topic.len()) {
            Some(name) => ready(layout.with_topic(name, self.take(len))),
            None => publish_rare(self, layout, len, ready),
        }
    }
}

/// With a long topic name, or at the end of the buffer.
#[cfg(feature = "bytes")]
#[cold]
#[inline(never)]
fn publish_rare<T>(
    src: &mut bytes::BytesMut,
    layout: Layout,
    len: usize,
    ready: impl FnOnce(Publish<bytes::Bytes>) -> T,
) -> T {
    ready(layout.of(src.take(len)))
}
