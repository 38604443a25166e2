//! The session's time and the operating system's.

use std::time::Duration;

use mqtt_session::Instant;

/// Counts from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }

    /// How long until then; a day where there is nothing to wait for, since somebody will look
    /// again.
    pub(crate) fn until(self, at: Option<Instant>) -> Duration {
        const DAY: Duration = Duration::from_secs(86_400);
        at.map_or(DAY, |at| at.since(self.now()).min(DAY))
    }
}
