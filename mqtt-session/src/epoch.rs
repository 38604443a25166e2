//! The operating system's time and that of the sessions.

use std::time::{Instant as Time, SystemTime};

use core::time::Duration;

use crate::Instant;

/// Turns the operating system's monotonic time into [`Instant`]s since the Unix epoch, and back.
///
/// An [`Instant`] counts from an epoch of the adapter's choice. One that begins with the process will
/// not do for a journal: a message of Message Expiry Interval 60 that was accepted 50 seconds before a
/// crash would have 60 seconds again. This one begins in 1970, and then goes on with the monotonic
/// clock, so that a process sees no jumps. It reads no clock by itself.
///
/// ```
/// use std::time::{Duration, Instant as Time, SystemTime};
///
/// use mqtt_session::{Epoch, Instant};
///
/// let start = Time::now();
/// let epoch = Epoch::new(start, SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
/// let at = epoch.instant(start + Duration::from_secs(5));
/// assert_eq!(at, Instant::from_micros(1_005_000_000));
/// assert_eq!(epoch.time(at), Some(start + Duration::from_secs(5)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    start: Time,
    at: Instant,
}

impl Epoch {
    /// What both clocks show at the same moment, once for a process.
    #[must_use]
    pub fn new(start: Time, wall: SystemTime) -> Self {
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { start, at: Instant::ZERO + since }
    }

    /// This moment since the epoch; that of [`new`](Self::new) for earlier ones.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        self.at + time.saturating_duration_since(self.start)
    }

    /// This moment on the monotonic clock; `None` if it is so far away that it never comes.
    #[must_use]
    pub fn time(&self, at: Instant) -> Option<Time> {
        self.start.checked_add(at.since(self.at))
    }
}
