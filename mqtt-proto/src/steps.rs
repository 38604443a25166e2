//! How many bytes were looked at, counted in the unit tests of this crate and nowhere else: work
//! must be linear in what came, and a count shows it on any machine.

#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn add(_: usize) {}

#[cfg(test)]
pub(crate) use counter::add;

#[cfg(test)]
mod counter {
    use std::{cell::Cell, thread_local};

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    /// As many bytes were looked at.
    pub(crate) fn add(bytes: usize) {
        STEPS.set(STEPS.get() + bytes as u64);
    }

    /// How many bytes `work` looks at.
    #[cfg(feature = "bytes")]
    pub(crate) fn of(work: impl FnOnce()) -> u64 {
        let before = STEPS.get();
        work();
        STEPS.get() - before
    }
}

#[cfg(all(test, feature = "bytes"))]
mod tests;
