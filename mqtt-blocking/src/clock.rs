//! The session's time and the operating system's.

use std::time::{Duration, Instant as Time, SystemTime};

use mqtt_session::{Epoch, Instant};

/// The monotonic clock, since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Epoch);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Epoch::new(Time::now(), SystemTime::now()))
    }

    pub(crate) fn now(self) -> Instant {
        self.0.instant(Time::now())
    }

    /// How long until then; a day where there is nothing to wait for, since somebody will look
    /// again.
    pub(crate) fn until(self, at: Option<Instant>) -> Duration {
        const DAY: Duration = Duration::from_secs(86_400);
        at.map_or(DAY, |at| at.since(self.now()).min(DAY))
    }
}
