//! The session's time and tokio's.

use std::time::Duration;

use mqtt_session::Instant;

/// Counts from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(tokio::time::Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }

    /// `None` for a time so far away that it never comes.
    pub(crate) fn instant(self, at: Instant) -> Option<tokio::time::Instant> {
        self.0.checked_add(Duration::from_micros(at.as_micros()))
    }
}
