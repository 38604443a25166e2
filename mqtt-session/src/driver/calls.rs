//! The calls of an application, until each has its answer.

use alloc::{collections::VecDeque, vec::Vec};

use mqtt_proto::PacketId;

use crate::{Instant, Request};

/// Who waits for what.
#[derive(Debug)]
pub(super) struct Calls<W> {
    /// Calls that were accepted, by packet identifier less one.
    open: Vec<Option<Call<W>>>,
    /// Calls that were not, in the order they came.
    line: VecDeque<Call<W>>,
    /// How many of `open` have a waiter.
    awaited: usize,
    serial: u64,
    /// No call is late before this time.
    check_at: Option<Instant>,
}

/// A request, and who waits for its end.
#[derive(Debug)]
pub(super) struct Call<W> {
    /// In the order of the calls; [`OURS`] for those of the driver itself.
    serial: u64,
    /// `None` if it may take for ever.
    deadline: Option<Instant>,
    /// `None` if nobody waits, or no longer.
    pub(super) waiter: Option<W>,
    /// `None` for a message that the session has.
    pub(super) request: Option<Request>,
}

const OURS: u64 = 0;

impl<W> Call<W> {
    /// Whether it takes up a subscription again, which nobody asked for but the driver.
    pub(super) const fn is_ours(&self) -> bool {
        self.serial == OURS
    }

    fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

impl<W> Calls<W> {
    pub(super) const fn new() -> Self {
        Self { open: Vec::new(), line: VecDeque::new(), awaited: 0, serial: OURS, check_at: None }
    }

    /// A new call, at the end of the line; how long that is now.
    pub(super) fn wait(&mut self, request: Request, waiter: W, deadline: Option<Instant>) -> usize {
        self.serial += 1;
        self.check_at = self.check_at.or(deadline);
        let (waiter, request) = (Some(waiter), Some(request));
        self.line.push_back(Call { serial: self.serial, deadline, waiter, request });
        self.line.len()
    }

    /// A call of the driver's own, before all others.
    pub(super) fn resubscribe(&mut self, request: Request, deadline: Option<Instant>) {
        self.check_at = self.check_at.or(deadline);
        let request = Some(request);
        self.line.push_front(Call { serial: OURS, deadline, waiter: None, request });
    }

    /// The connection ended before the answer. Those without a waiter have none to disappoint; the
    /// driver's own are made anew.
    pub(super) fn wait_again(&mut self, call: Call<W>) {
        if call.waiter.is_some() {
            self.line.push_back(call);
        }
    }

    /// Puts those that wait, again or still, in the order they were made.
    pub(super) fn line_up(&mut self) {
        self.line.retain(|call| !call.is_ours());
        self.line.make_contiguous().sort_by_key(|call| call.serial);
    }

    /// The first in the line.
    pub(super) fn next(&mut self) -> Option<Call<W>> {
        self.line.pop_front()
    }

    /// It is not its time: the first in the line again.
    pub(super) fn not_yet(&mut self, call: Call<W>) {
        self.line.push_front(call);
    }

    /// How many wait in the line.
    pub(super) fn line(&self) -> usize {
        self.line.len()
    }

    /// Whether anyone waits for an answer, or to be asked.
    pub(super) fn are_awaited(&self) -> bool {
        self.awaited > 0 || !self.line.is_empty()
    }

    /// No call is late before this.
    pub(super) const fn check_at(&self) -> Option<Instant> {
        self.check_at
    }

    /// The call was accepted under this identifier.
    pub(super) fn put(&mut self, id: PacketId, call: Call<W>) {
        let at = usize::from(id.get()) - 1;
        if self.open.len() <= at {
            self.open.resize_with(at + 1, || None);
        }
        self.awaited += usize::from(call.waiter.is_some());
        self.open[at] = Some(call);
    }

    /// The call of this identifier is over.
    pub(super) fn take(&mut self, id: PacketId) -> Option<Call<W>> {
        let call = self.open.get_mut(usize::from(id.get()) - 1)?.take()?;
        self.awaited -= usize::from(call.waiter.is_some());
        Some(call)
    }

    /// Who has waited for too long, and whether the driver itself has. Their calls go on without
    /// them, if they were accepted.
    pub(super) fn take_late(&mut self, now: Instant) -> (Vec<W>, bool) {
        let (mut late, mut ours) = (Vec::new(), false);
        if self.check_at.is_none_or(|at| at > now) {
            return (late, ours);
        }
        for call in self.open.iter_mut().flatten().filter(|call| call.is_late(now)) {
            ours |= call.is_ours();
            call.deadline = None;
            if let Some(waiter) = call.waiter.take() {
                self.awaited -= 1;
                late.push(waiter);
            }
        }
        for _ in 0..self.line.len() {
            match self.line.pop_front() {
                Some(call) if call.is_late(now) => {
                    ours |= call.is_ours();
                    late.extend(call.waiter);
                }
                call => self.line.extend(call),
            }
        }
        let calls = self.open.iter().flatten().chain(&self.line);
        self.check_at = calls.filter_map(|call| call.deadline).min();
        (late, ours)
    }

    /// Everyone who waits. What the driver asks for itself goes on.
    pub(super) fn take_waiters(&mut self) -> Vec<W> {
        let mut waiters: Vec<W> =
            self.open.iter_mut().flatten().filter_map(|call| call.waiter.take()).collect();
        self.awaited = 0;
        for _ in 0..self.line.len() {
            match self.line.pop_front() {
                Some(call) if !call.is_ours() => waiters.extend(call.waiter),
                call => self.line.extend(call),
            }
        }
        waiters
    }

    /// Nothing is to be asked any more.
    pub(super) fn clear(&mut self) {
        self.line.clear();
        self.check_at = None;
    }
}
