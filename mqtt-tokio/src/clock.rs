//! The session's time and tokio's.

use std::time::SystemTime;

use mqtt_session::{Epoch, Instant};
use tokio::time::Instant as Time;

/// Tokio's clock, which tests can hold, since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Epoch);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Epoch::new(Time::now().into_std(), SystemTime::now()))
    }

    pub(crate) fn now(self) -> Instant {
        self.0.instant(Time::now().into_std())
    }

    /// `None` for a time so far away that it never comes.
    pub(crate) fn instant(self, at: Instant) -> Option<Time> {
        self.0.time(at).map(Time::from_std)
    }
}
