//! When to open the next network connection.

use core::time::Duration;

use crate::{Backoff, Instant, backoff::scramble};

#[derive(Debug)]
pub(super) struct Reconnecting {
    /// Attempts since a connection last held.
    attempt: u32,
    random: u64,
    /// Whether any connection was accepted.
    accepted: bool,
    /// When the present connection was.
    connected: Option<Instant>,
    /// When to open the next one.
    at: Option<Instant>,
}

impl Reconnecting {
    pub(super) const fn new(seed: u64) -> Self {
        Self { attempt: 0, random: seed, accepted: false, connected: None, at: None }
    }

    /// A server accepted.
    pub(super) const fn accept(&mut self, now: Instant) {
        self.accepted = true;
        self.connected = Some(now);
    }

    pub(super) const fn was_accepted(&self) -> bool {
        self.accepted
    }

    /// How long the connection held that has ended.
    pub(super) fn held(&mut self, now: Instant) -> Duration {
        self.connected.take().map_or(Duration::ZERO, |connected| now.since(connected))
    }

    /// The waits begin with the shortest again.
    pub(super) const fn begin_anew(&mut self) {
        self.attempt = 0;
    }

    /// Plans the next attempt; its number.
    pub(super) fn plan(&mut self, now: Instant, backoff: Backoff) -> u32 {
        self.random = scramble(self.random);
        self.at = Some(now + backoff.delay(self.attempt, self.random));
        self.attempt = self.attempt.saturating_add(1);
        self.attempt
    }

    pub(super) const fn give_up(&mut self) {
        self.at = None;
    }

    /// When the next attempt is planned.
    pub(super) const fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is time for it, once.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.at.take_if(|at| *at <= now).is_some()
    }
}
