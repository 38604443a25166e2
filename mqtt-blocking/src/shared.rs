//! What the application's threads and the connection's have in common: the session behind one lock.

use std::{
    collections::VecDeque,
    net::TcpStream,
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use bytes::Bytes;
use mqtt_session::{
    Answer, CallError, ClientDriver, CloseReason, ConnectionState, DriverAction, Instant, Request,
    proto::{Publish, ReasonCode},
    undelivered_size,
};

use crate::{Error, clock::Clock};

/// Who waits for the end of a call.
pub(crate) type Waiter = mpsc::Sender<Result<Answer, CallError>>;

/// Nobody reads, writes or connects while holding the lock: two peers with full buffers would
/// wait for each other.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Mutex<Core>,
    pub(crate) clock: Clock,
    /// For the thread that writes and keeps the time, and between two connections for the one
    /// that reconnects.
    pub(crate) work: Condvar,
    /// For the thread that reads, when it may go on.
    pub(crate) resume: Condvar,
    /// For the application: nothing is in line any more.
    pub(crate) room: Condvar,
    /// For the application: a message came.
    pub(crate) message: Condvar,
    /// For the application: the state is another one.
    pub(crate) state: Condvar,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) driver: ClientDriver<Waiter>,
    /// Whether a server ever accepted.
    pub(crate) accepted: bool,
    pub(crate) messages: VecDeque<Publish<Bytes>>,
    /// Whether anybody will take the messages.
    pub(crate) receiving: bool,
    /// The network connection is to be closed, after writing what is left for as long as this.
    pub(crate) closing: Option<Option<Duration>>,
    /// The session knows that the network connection is gone.
    pub(crate) gone: bool,
    /// The thread that reads has ended.
    pub(crate) read_all: bool,
    /// Another network connection is to be opened.
    pub(crate) connect: bool,
    /// How that went.
    pub(crate) connected: Option<Option<TcpStream>>,
    /// When the thread that keeps the time looks again.
    pub(crate) wakes: Option<Instant>,
}

impl Shared {
    pub(crate) fn new(driver: ClientDriver<Waiter>) -> Self {
        let core = Core {
            driver,
            accepted: false,
            messages: VecDeque::new(),
            receiving: true,
            closing: None,
            gone: true,
            read_all: true,
            connect: false,
            connected: None,
            wakes: None,
        };
        Self {
            core: Mutex::new(core),
            clock: Clock::new(),
            work: Condvar::new(),
            resume: Condvar::new(),
            room: Condvar::new(),
            message: Condvar::new(),
            state: Condvar::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // The session is consistent between any two calls, whatever became of the thread that
        // made them.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait<'a>(
        &self,
        condition: &Condvar,
        core: MutexGuard<'a, Core>,
        limit: Duration,
    ) -> MutexGuard<'a, Core> {
        condition.wait_timeout(core, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Does what the session asks for, and wakes whom it concerns. To be called after every change.
    pub(crate) fn act(&self, core: &mut Core) {
        while let Some(action) = core.driver.poll_action() {
            match action {
                DriverAction::Deliver { publish, .. } if core.receiving => {
                    core.messages.push_back(publish);
                    self.message.notify_one();
                }
                DriverAction::Deliver { publish, .. } => {
                    core.driver.handle_taken(undelivered_size(&publish));
                }
                // Whoever does not wait any longer need not know.
                DriverAction::Complete(waiter, result) => drop(waiter.send(result)),
                DriverAction::State(state) => {
                    core.accepted |= matches!(state, ConnectionState::Connected(_));
                    self.state.notify_all();
                    self.message.notify_all();
                    self.work.notify_all();
                }
                DriverAction::Close { flush } => self.close(core, flush),
                DriverAction::Connect => {
                    core.connect = true;
                    self.work.notify_all();
                }
                _ => {}
            }
        }
        let sooner = match (core.driver.poll_timeout(), core.wakes) {
            (Some(at), Some(wakes)) => at < wakes,
            (at, None) => at.is_some(),
            (None, Some(_)) => false,
        };
        if sooner || !core.driver.transmit().is_empty() {
            self.work.notify_all();
        }
        if core.driver.wants_input() {
            self.resume.notify_all();
        }
        if core.driver.wants_requests() {
            self.room.notify_all();
        }
    }

    /// The network connection is to be closed, for the first reason there was.
    pub(crate) fn close(&self, core: &mut Core, flush: Option<Duration>) {
        core.closing.get_or_insert(flush);
        self.work.notify_all();
        self.resume.notify_all();
    }

    /// Hands a request to the session.
    pub(crate) fn request(&self, request: Request) -> mpsc::Receiver<Result<Answer, CallError>> {
        let (waiter, answer) = mpsc::channel();
        let mut core = self.lock();
        core.driver.request(self.clock.now(), request, waiter);
        self.act(&mut core);
        answer
    }

    /// Hands a request to the session, and waits while others are in line before it.
    pub(crate) fn request_in_line(
        &self,
        request: Request,
    ) -> mpsc::Receiver<Result<Answer, CallError>> {
        let answer = self.request(request);
        let mut core = self.lock();
        // A request that waits for room ends by its own time-out.
        while !core.driver.wants_requests() {
            core = self.wait(&self.room, core, self.clock.until(None));
        }
        answer
    }

    /// Waits until the server has accepted, however long that held.
    pub(crate) fn wait_accepted(&self) -> Result<(), Error> {
        let mut core = self.lock();
        while !core.accepted {
            if matches!(core.driver.state(), ConnectionState::Closed(_)) {
                return Err(core.ended());
            }
            core = self.wait(&self.state, core, self.clock.until(None));
        }
        Ok(())
    }

    pub(crate) fn disconnect(&self) {
        let mut core = self.lock();
        core.driver.disconnect(self.clock.now(), ReasonCode::NORMAL_DISCONNECTION);
        self.act(&mut core);
    }

    /// Waits for a state that is right, at most until `deadline`.
    pub(crate) fn wait_state(
        &self,
        deadline: Option<Instant>,
        right: impl Fn(&ConnectionState) -> bool,
    ) -> Option<ConnectionState> {
        let mut core = self.lock();
        while !right(core.driver.state()) {
            let limit = self.clock.until(deadline);
            if limit.is_zero() {
                return None;
            }
            core = self.wait(&self.state, core, limit);
        }
        Some(core.driver.state().clone())
    }
}

impl Core {
    /// Why there is nobody to answer.
    pub(crate) fn ended(&self) -> Error {
        match self.driver.state() {
            ConnectionState::Closed(reason) => Error::Closed(reason.clone()),
            _ => Error::Closed(CloseReason::Lost),
        }
    }
}
