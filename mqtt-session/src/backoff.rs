//! How long to wait before the next attempt.

use core::time::Duration;

/// Waits that double from `min` to `max`, each shortened by chance to between a half and the
/// whole of it, so that the clients of a server that comes back do not come back all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    min: Duration,
    max: Duration,
}

impl Backoff {
    /// The first wait is at most `min`, none is longer than `max`.
    ///
    /// # Panics
    /// If `min` is zero, which would be no wait at all, or larger than `max`.
    #[must_use]
    pub const fn new(min: Duration, max: Duration) -> Self {
        assert!(!min.is_zero(), "attempts without a pause");
        assert!(min.as_nanos() <= max.as_nanos(), "the first wait is the shortest");
        Self { min, max }
    }

    /// The longest first wait.
    #[must_use]
    pub const fn min(&self) -> Duration {
        self.min
    }

    /// The longest wait.
    #[must_use]
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// The wait before an attempt, counted from 0. `random` is any number, each time another.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let whole = self.min.saturating_mul(1 << attempt.min(31)).min(self.max);
        let half = u64::try_from((whole / 2).as_nanos()).unwrap_or(u64::MAX);
        // The upper half of the product: `random` scaled to 0..half, without a division.
        let random = ((u128::from(random) * u128::from(half)) >> 64) as u64;
        whole - Duration::from_nanos(random)
    }
}

/// One second at first, a minute at last.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(60))
    }
}

/// The next of a sequence of numbers that look like chance (SplitMix64).
pub(crate) const fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays() {
        let secs = Duration::from_secs;
        let backoff = Backoff::new(secs(1), secs(60));
        for (attempt, whole) in [(0, 1), (1, 2), (5, 32), (6, 60), (31, 60), (u32::MAX, 60)] {
            assert_eq!(backoff.delay(attempt, 0), secs(whole), "attempt {attempt}");
            let shortest = backoff.delay(attempt, u64::MAX);
            assert!(
                shortest >= secs(whole) / 2 && shortest < secs(whole) * 51 / 100,
                "{shortest:?}"
            );
            let middle = backoff.delay(attempt, u64::MAX / 2);
            assert!(middle > secs(whole) * 74 / 100 && middle < secs(whole) * 76 / 100);
        }
    }

    #[test]
    fn longest() {
        let backoff = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!(backoff.delay(9, 0), Duration::MAX);
    }
}
