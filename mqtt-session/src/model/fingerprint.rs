//! What of a state decides its future, in 128 bits.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;

use crate::Instant;

/// Writes down everything that decides what a value will ever do, and nothing else. Two values
/// that write the same must behave the same for ever: whoever leaves a field out says why.
///
/// Each type in which something is left out implements it beside itself, and takes itself apart field
/// by field, so that a new field does not compile before it was thought about. Where everything
/// counts, it is [`Hash`].
pub(crate) trait Fingerprint {
    fn print(&self, to: &mut Print);
}

/// Collects the bytes of one state. Times count from `now`, so that a state is the same state
/// whenever it is reached.
pub(crate) struct Print {
    bytes: Vec<u8>,
    now: Instant,
    awaits: bool,
}

impl Print {
    /// `awaits` is whether there are deadlines for acknowledgements.
    pub(crate) const fn new(now: Instant, awaits: bool) -> Self {
        Self { bytes: Vec::new(), now, awaits }
    }

    pub(crate) fn value(&mut self, value: &impl Hash) {
        value.hash(self);
    }

    pub(crate) fn of(&mut self, value: &impl Fingerprint) {
        value.print(self);
    }

    pub(crate) fn optional(&mut self, value: Option<&impl Fingerprint>) {
        self.value(&value.is_some());
        if let Some(value) = value {
            self.of(value);
        }
    }

    /// Something since when an acknowledgement has been awaited.
    pub(crate) fn awaited(&mut self, since: Instant) {
        if self.awaits {
            self.of(&since);
        }
    }

    /// SipHash twice, of different streams. Among n states two have the same 128 bits with a
    /// probability of n² / 2^129: 10^-25 for ten million.
    pub(crate) fn finish(&self) -> u128 {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(salt);
            hasher.write(&self.bytes);
            hasher.finish()
        };
        u128::from(half(0)) << 64 | u128::from(half(1))
    }
}

impl Hasher for Print {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("see Print::finish")
    }
}

/// By how long ago it was, or how far away it is.
impl Fingerprint for Instant {
    fn print(&self, to: &mut Print) {
        let (past, future) = (to.now.since(*self), self.since(to.now));
        to.value(&(past, future));
    }
}
