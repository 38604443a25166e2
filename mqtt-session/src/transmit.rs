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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Append(Vec<u8>),
        Write(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100).prop_map(Step::Append),
            (0..200usize).prop_map(Step::Write),
        ]
    }

    proptest! {
        #[test]
        fn partial_writes_take_from_the_front(steps in prop::collection::vec(step(), 0..100)) {
            let (mut transmit, mut model) = (Transmit::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Append(bytes) => {
                        transmit.sink().extend_from_slice(&bytes);
                        model.extend_from_slice(&bytes);
                    }
                    Step::Write(count) => {
                        let count = count.min(model.len());
                        transmit.advance(count);
                        model.drain(..count);
                    }
                }
                prop_assert_eq!(transmit.chunk(), &model);
                prop_assert_eq!(transmit.remaining(), model.len());
                prop_assert_eq!(transmit.is_empty(), model.is_empty());
                // What was written is given up before it is more than what waits.
                prop_assert!(transmit.bytes.len() <= 2 * model.len());
            }
        }
    }

    #[test]
    fn an_empty_buffer_keeps_little() {
        let mut transmit = Transmit::new();
        transmit.sink().resize(10 * Transmit::KEPT, 0);
        transmit.advance(10 * Transmit::KEPT);
        assert!(transmit.bytes.capacity() <= Transmit::KEPT);
        assert_eq!(alloc::format!("{transmit:?}"), "Transmit(0 bytes)");
    }

    #[test]
    #[should_panic(expected = "more bytes written than there were")]
    fn nobody_writes_more_than_there_is() {
        let mut transmit = Transmit::new();
        transmit.sink().push(0);
        transmit.advance(2);
    }
}
