//! Bytes on their way out.

use alloc::vec::Vec;
use core::fmt;

use bytes::Buf;

/// What is to be written to the peer, as a [`bytes::Buf`]: write [`chunk`](Buf::chunk) to the
/// socket and [`advance`](Buf::advance) by as much as it took. What a partial write left stays, and
/// the session appends behind it.
///
/// One contiguous buffer, so that everything queued goes out in one write. It grows with what is
/// queued, up to the limits of the session that fills it, and keeps no more than
/// [`KEPT`](Self::KEPT) bytes once it is empty.
#[derive(Clone, Default)]
pub struct Transmit {
    bytes: Vec<u8>,
    start: usize,
}

impl Transmit {
    /// The capacity that an empty buffer keeps for the next time, in bytes.
    pub const KEPT: usize = 16 * 1024;

    /// Nothing to write; allocates with the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0 }
    }

    /// How many bytes wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether none does.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything: the connection is gone.
    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.bytes.clear();
        self.bytes.shrink_to(Self::KEPT);
    }

    /// Where packets are appended.
    pub(crate) const fn sink(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Buf for Transmit {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "more bytes written than there were");
        self.start += count;
        if self.is_empty() {
            self.clear();
        } else if self.start >= self.bytes.len() - self.start {
            // At least half of it was written: what moves was paid for by what went.
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transmit({} bytes)", self.len())
    }
}
