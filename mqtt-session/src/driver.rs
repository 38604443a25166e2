//! A client with the calls of its application: what every adapter needs beside bytes, threads and
//! a clock.

mod calls;
mod reconnecting;
mod subscriptions;

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    ConnAck, PacketId, Publication, Publish, QoS, ReasonCode, SubAck, TopicFilter, UnsubAck,
};

use self::{
    calls::{Call, Calls},
    reconnecting::Reconnecting,
    subscriptions::Subscriptions,
};
use crate::{
    Answer, CallError, Client, ClientAction, ClientOptions, ClientState, CloseReason, CommandError,
    ConnectionState, DriverAction, Instant, OptionsError, Outcome, Receipt, Request, Resubscribe,
    Session, Transmit, request::undelivered_size,
};

/// A [`Client`], who waits for which answer, what is subscribed, and when to connect again.
///
/// A `W` is whatever wakes the caller of a [`request`](Self::request): every `W` that comes in
/// goes out once, with [`DriverAction::Complete`]. Driven like a [`Client`], by the same four
/// kinds of methods and in the same order; beside that, [`handle_taken`](Self::handle_taken) says
/// that the application took messages, and after [`DriverAction::Connect`] a network connection
/// is to be opened and [`handle_connected`](Self::handle_connected) or
/// [`handle_connect_failed`](Self::handle_connect_failed) called. All is over with
/// [`ConnectionState::Closed`].
#[derive(Debug)]
pub struct ClientDriver<W> {
    client: Client,
    state: ConnectionState,
    calls: Calls<W>,
    subscriptions: Subscriptions,
    undelivered: usize,
    /// Why the connection is ending.
    reason: Option<CloseReason>,
    /// The application wants no other connection.
    leaving: Option<ReasonCode>,
    reconnecting: Reconnecting,
    actions: VecDeque<DriverAction<W>>,
    now: Instant,
}

impl<W> ClientDriver<W> {
    /// For the first connection; the adapter opens it without being asked. `seed` is any number:
    /// the waits between attempts depend on it.
    ///
    /// # Errors
    /// [`OptionsError`] if the options make no legal CONNECT.
    pub fn new(options: ClientOptions, seed: u64) -> Result<Self, OptionsError> {
        Ok(Self::over(Client::new(options)?, seed))
    }

    /// As [`new`](Self::new), with a session of another life: see [`Client::with_session`]. Nobody
    /// waits for the messages in it.
    ///
    /// # Errors
    /// As there.
    pub fn with_session(
        options: ClientOptions,
        session: Session,
        seed: u64,
    ) -> Result<Self, OptionsError> {
        Ok(Self::over(Client::with_session(options, session)?, seed))
    }

    fn over(client: Client, seed: u64) -> Self {
        Self {
            client,
            state: ConnectionState::Connecting,
            calls: Calls::new(),
            subscriptions: Subscriptions::default(),
            undelivered: 0,
            reason: None,
            leaving: None,
            reconnecting: Reconnecting::new(seed),
            actions: VecDeque::new(),
            now: Instant::ZERO,
        }
    }

    /// See [`Client::handle_connected`].
    pub fn handle_connected(&mut self, now: Instant) {
        self.now = now;
        self.reason = None;
        self.client.handle_connected(now);
    }

    /// The network connection that [`DriverAction::Connect`] asked for could not be opened.
    pub fn handle_connect_failed(&mut self, now: Instant) {
        self.now = now;
        if let ConnectionState::Reconnecting { reason, .. } = &self.state {
            let reason = reason.clone();
            self.reconnect(reason);
        }
    }

    /// See [`Client::handle_input`].
    pub fn handle_input(&mut self, now: Instant, src: &mut BytesMut) {
        self.now = now;
        self.client.handle_input(now, src);
    }

    /// The application took messages: the sum of their [`undelivered_size`]s.
    pub fn handle_taken(&mut self, bytes: usize) {
        let paused = self.paused();
        self.undelivered = self.undelivered.saturating_sub(bytes);
        self.forgive_ping(paused);
    }

    /// See [`Client::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.forgive_ping(self.paused());
        self.client.handle_timeout(now);
        if self.reconnecting.is_due(now) {
            self.actions.push_back(DriverAction::Connect);
        }
        self.end_late_calls();
    }

    /// See [`Client::handle_closed`]. Either all is over then, or the driver will ask for another
    /// connection.
    pub fn handle_closed(&mut self, now: Instant) {
        self.now = now;
        if matches!(self.state, ConnectionState::Closed(_)) {
            return;
        }
        // What came before the end is not lost with it.
        self.take_actions();
        self.actions.retain(|action| !matches!(action, DriverAction::Close { .. }));
        let held = self.reconnecting.held(now);
        let reason = self.reason.take().unwrap_or(CloseReason::Lost);
        if let Some(code) = self.leaving {
            self.end(CloseReason::Requested(code));
        } else if self.reconnects() && reason.may_pass() {
            self.client.handle_closed(now);
            self.take_actions();
            // Requests without an answer wait again, in the order they were made.
            self.calls.line_up();
            if self.client.options().reconnect.is_some_and(|backoff| held >= backoff.max()) {
                self.reconnecting.begin_anew();
            }
            self.reconnect(reason);
        } else {
            self.end(reason);
        }
        self.client.handle_closed(now);
    }

    /// Does what an application asks for as soon as there is room for it; meanwhile it waits in
    /// order.
    ///
    /// Adapters bound what waits: they ask for nothing more while it is not the turn of a new
    /// request ([`wants_requests`](Self::wants_requests)), or let every caller wait for its own.
    pub fn request(&mut self, now: Instant, request: Request, waiter: W) {
        self.now = now;
        if let ConnectionState::Closed(reason) = &self.state {
            let error = CallError::Closed(reason.clone());
            return self.complete(Some(waiter), Err(error));
        }
        // An identifier may be given out again as soon as its exchange is over: first to those who
        // wait for that.
        self.take_actions();
        let paused = self.paused();
        let deadline = self.deadline();
        // What is first in the line has been tried.
        if self.calls.wait(request, waiter, deadline) == 1 {
            self.start_waiting();
        }
        self.forgive_ping(paused);
    }

    /// See [`Client::acknowledge`].
    ///
    /// # Errors
    /// As there.
    pub fn acknowledge(
        &mut self,
        now: Instant,
        receipt: Receipt,
        reason: ReasonCode,
    ) -> Result<(), CommandError> {
        self.now = now;
        self.client.acknowledge(now, receipt, reason)
    }

    /// See [`Client::authenticate`].
    ///
    /// # Errors
    /// As there.
    pub fn authenticate(&mut self, now: Instant, data: &[u8]) -> Result<(), CommandError> {
        self.now = now;
        self.client.authenticate(now, data)
    }

    /// See [`Client::reauthenticate`].
    ///
    /// # Errors
    /// As there.
    pub fn reauthenticate(&mut self, now: Instant, data: &[u8]) -> Result<(), CommandError> {
        self.now = now;
        self.client.reauthenticate(now, data)
    }

    /// Says DISCONNECT with this code, if there is a connection, and ends everything.
    pub fn disconnect(&mut self, now: Instant, reason: ReasonCode) {
        self.now = now;
        self.leaving.get_or_insert(reason);
        match self.client.state() {
            ClientState::Idle => self.end(CloseReason::Requested(reason)),
            _ => self.client.disconnect(now, reason),
        }
    }

    /// What to do next; `None` when there is nothing but to write [`transmit`](Self::transmit)
    /// and wait.
    pub fn poll_action(&mut self) -> Option<DriverAction<W>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            match self.client.poll_action() {
                Some(action) => self.handle_action(action),
                None if self.start_waiting() => {}
                None => return None,
            }
        }
    }

    /// See [`Client::transmit`].
    pub fn transmit(&mut self) -> &mut Transmit {
        self.client.transmit()
    }

    /// Whether to read more from the network connection: see [`Client::wants_input`] and
    /// [`ClientOptions::max_undelivered`].
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.client.wants_input() && !self.paused()
    }

    /// Whether a request would be taken now, unless its own kind has to wait.
    #[must_use]
    pub fn wants_requests(&self) -> bool {
        self.calls.line() == 0
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.state, ConnectionState::Closed(_)) {
            return None;
        }
        [self.client.poll_timeout(), self.reconnecting.at(), self.calls.check_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Where the client is.
    #[must_use]
    pub const fn state(&self) -> &ConnectionState {
        &self.state
    }

    /// See [`Client::session`].
    #[must_use]
    pub const fn session(&self) -> &Session {
        self.client.session()
    }

    /// How long opening a network connection may take, to each address.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        self.client.options().connect_timeout
    }

    /// Nothing is read, because the application does not take what was read.
    fn paused(&self) -> bool {
        let awaited = self.calls.are_awaited();
        self.overfull() || !awaited && self.undelivered >= self.client.options().max_undelivered
    }

    /// Not even the answer to a call is read.
    const fn overfull(&self) -> bool {
        self.undelivered >= self.client.options().max_undelivered.saturating_mul(2)
    }

    /// A PINGRESP that nobody looked for was not missed.
    fn forgive_ping(&mut self, paused: bool) {
        if paused {
            self.client.forgive_ping();
        }
    }

    const fn reconnects(&self) -> bool {
        self.client.options().reconnect.is_some() && self.reconnecting.was_accepted()
    }

    fn deadline(&self) -> Option<Instant> {
        let timeout = self.client.options().request_timeout;
        (timeout < Duration::MAX).then(|| self.now + timeout)
    }

    fn take_actions(&mut self) {
        while let Some(action) = self.client.poll_action() {
            self.handle_action(action);
        }
    }

    fn handle_action(&mut self, action: ClientAction) {
        match action {
            ClientAction::Connected(connack) => self.handle_connack(&connack),
            ClientAction::Deliver { publish, receipt } => {
                // The read buffer is used again, and every message costs what it counts for.
                let publish = Publish { message: publish.message.detach(), ..publish };
                self.undelivered += undelivered_size(&publish);
                self.actions.push_back(DriverAction::Deliver { publish, receipt });
                if self.overfull() {
                    self.end_all(&CallError::MessagesNotTaken);
                }
            }
            ClientAction::Finished { id, outcome } => self.handle_finished(id, outcome),
            ClientAction::Subscribed(suback) => self.handle_suback(suback),
            ClientAction::Unsubscribed(unsuback) => self.handle_unsuback(unsuback),
            ClientAction::Auth(auth) => self.actions.push_back(DriverAction::Auth(auth)),
            // Why is in the Close that follows.
            ClientAction::Refused(_) | ClientAction::Disconnected(_) => {}
            ClientAction::Journal(entry) => self.actions.push_back(DriverAction::Journal(entry)),
            ClientAction::Close(reason) => {
                let flush = match reason {
                    CloseReason::KeepAliveTimeout | CloseReason::ConnectTimeout => None,
                    _ => Some(self.client.options().ping_timeout),
                };
                self.reason.get_or_insert(reason);
                self.actions.push_back(DriverAction::Close { flush });
            }
        }
    }

    fn handle_connack(&mut self, connack: &ConnAck<Bytes>) {
        self.reconnecting.accept(self.now);
        self.set_state(ConnectionState::Connected(connack.clone()));
        let deadline = self.deadline();
        match self.client.options().resubscribe {
            Resubscribe::Never if connack.session_present => {}
            Resubscribe::Never => {
                for filter in self.subscriptions.take() {
                    let lost = DriverAction::SubscriptionLost { filter, reason: None };
                    self.actions.push_back(lost);
                }
            }
            Resubscribe::OrClose | Resubscribe::OrReport => {
                for request in self.subscriptions.missing(connack.session_present) {
                    self.calls.resubscribe(request, deadline);
                }
            }
        }
    }

    fn handle_finished(&mut self, id: PacketId, outcome: Outcome) {
        let Some(mut call) = self.calls.take(id) else {
            return;
        };
        if call.request.is_some() {
            return self.calls.wait_again(call);
        }
        let result = match outcome {
            Outcome::Acknowledged(reason) if reason.is_error() => Err(CallError::Refused(reason)),
            Outcome::Acknowledged(reason) => Ok(Answer::Acknowledged(reason)),
            Outcome::Expired => Err(CallError::Expired),
            Outcome::TooLarge => Err(CallError::TooLarge),
            Outcome::Dropped => Err(CallError::Dropped),
            Outcome::Lost => Err(CallError::SessionLost),
        };
        self.complete(call.waiter.take(), result);
    }

    fn handle_suback(&mut self, suback: SubAck<Bytes>) {
        let Some(call) = self.calls.take(suback.id) else {
            return;
        };
        let ours = call.is_ours();
        let Some(Request::Subscribe { filters, properties }) = call.request else {
            return;
        };
        for ((filter, options), code) in filters.iter().zip(suback.codes.iter()) {
            if code.is_error() && ours {
                self.lose_subscription(filter, code);
            } else if !code.is_error() && self.client.options().reconnect.is_some() {
                self.subscriptions.insert(filter, options, properties.clone());
            }
        }
        self.complete(call.waiter, Ok(Answer::Codes(suback.codes)));
    }

    fn handle_unsuback(&mut self, unsuback: UnsubAck<Bytes>) {
        let Some(call) = self.calls.take(unsuback.id) else {
            return;
        };
        let Some(Request::Unsubscribe { filters, .. }) = call.request else {
            return;
        };
        // 3.1.1 has no codes, and no failures.
        let codes = unsuback.codes.iter().chain(core::iter::repeat(ReasonCode::SUCCESS));
        for (filter, code) in filters.iter().zip(codes) {
            if !code.is_error() {
                self.subscriptions.remove(filter);
            }
        }
        self.complete(call.waiter, Ok(Answer::Codes(unsuback.codes)));
    }

    /// A server that lost the session does not take the subscription again: whoever relies on it
    /// must hear.
    fn lose_subscription(&mut self, filter: TopicFilter<&[u8]>, reason: ReasonCode) {
        self.subscriptions.remove(filter);
        let filter = filter.to_bytes();
        if self.client.options().resubscribe == Resubscribe::OrReport {
            let lost = DriverAction::SubscriptionLost { filter, reason: Some(reason) };
            return self.actions.push_back(lost);
        }
        self.reason.get_or_insert(CloseReason::SubscriptionLost { filter, reason });
        self.client.disconnect(self.now, ReasonCode::NORMAL_DISCONNECTION);
    }

    /// Starts what can be; whether anything was.
    fn start_waiting(&mut self) -> bool {
        let before = self.calls.line();
        while let Some(call) = self.calls.next() {
            if let Some(call) = self.start(call) {
                self.calls.not_yet(call);
                break;
            }
        }
        self.calls.line() < before
    }

    /// Starts a call, or gives it back if it is not the time.
    fn start(&mut self, mut call: Call<W>) -> Option<Call<W>> {
        let connected = self.client.state() == ClientState::Connected;
        let lost = matches!(self.state, ConnectionState::Reconnecting { .. });
        let at_most_once = matches!(
            &call.request,
            Some(Request::Publish(Publication { qos: QoS::AtMostOnce, .. }))
        );
        if !at_most_once && self.overfull() {
            self.complete(call.waiter, Err(CallError::MessagesNotTaken));
            return None;
        }
        let id = match call.request.take()? {
            Request::Publish(publication) if at_most_once => {
                if !connected && !lost || !self.client.has_room(publication.qos) {
                    call.request = Some(Request::Publish(publication));
                    return Some(call);
                }
                self.client.publish(self.now, publication).map_err(CallError::Publish)
            }
            Request::Publish(publication) => {
                if !self.client.has_room(publication.qos) {
                    call.request = Some(Request::Publish(publication));
                    return Some(call);
                }
                self.client.publish(self.now, publication).map_err(CallError::Publish)
            }
            request => {
                call.request = Some(request);
                match self.start_request(&call) {
                    Err(CommandError::NotConnected | CommandError::NoPacketId) => {
                        return Some(call);
                    }
                    result => result.map(Some).map_err(CallError::Command),
                }
            }
        };
        match id {
            Ok(Some(id)) => {
                self.calls.put(id, call);
                // An identifier that came back meanwhile may be the next one's: its call ends first.
                self.take_actions();
            }
            Ok(None) => {
                let answer = Answer::Acknowledged(ReasonCode::SUCCESS);
                self.complete(call.waiter, Ok(answer));
            }
            Err(error) if call.is_ours() => self.refuse_resubscription(call, &error),
            Err(error) => self.complete(call.waiter, Err(error)),
        }
        None
    }

    fn start_request(&mut self, call: &Call<W>) -> Result<PacketId, CommandError> {
        match &call.request {
            Some(Request::Subscribe { filters, properties }) => {
                self.client.subscribe(self.now, filters.clone(), properties.clone())
            }
            Some(Request::Unsubscribe { filters, properties }) => {
                self.client.unsubscribe(self.now, filters.clone(), properties.clone())
            }
            Some(Request::Publish(_)) | None => Err(CommandError::NothingToAnswer),
        }
    }

    /// This side knows already that the server would not take the subscription again.
    fn refuse_resubscription(&mut self, call: Call<W>, error: &CallError) {
        let reason = match error {
            CallError::Command(CommandError::NotSupported(reason)) => *reason,
            CallError::Command(CommandError::PacketTooLarge { .. }) => ReasonCode::PACKET_TOO_LARGE,
            _ => ReasonCode::UNSPECIFIED_ERROR,
        };
        if let Some(Request::Subscribe { filters, .. }) = &call.request
            && let Some((filter, _)) = filters.iter().next()
        {
            self.lose_subscription(filter, reason);
        }
    }

    fn complete(&mut self, waiter: Option<W>, result: Result<Answer, CallError>) {
        if let Some(waiter) = waiter {
            self.actions.push_back(DriverAction::Complete(waiter, result));
        }
    }

    /// Ends the calls whose time has come. What the session has, it keeps.
    fn end_late_calls(&mut self) {
        let (late, unanswered) = self.calls.take_late(self.now);
        for waiter in late {
            self.complete(Some(waiter), Err(CallError::TimedOut));
        }
        if unanswered {
            // Without its subscriptions this connection is of no use.
            self.reason.get_or_insert(CloseReason::KeepAliveTimeout);
            self.client.disconnect(self.now, ReasonCode::UNSPECIFIED_ERROR);
        }
    }

    /// Ends every call that waits for an answer. What the session has, it keeps.
    fn end_all(&mut self, error: &CallError) {
        for waiter in self.calls.take_waiters() {
            self.complete(Some(waiter), Err(error.clone()));
        }
    }

    fn reconnect(&mut self, reason: CloseReason) {
        let Some(backoff) = self.client.options().reconnect else {
            return self.end(reason);
        };
        let attempt = self.reconnecting.plan(self.now, backoff);
        self.set_state(ConnectionState::Reconnecting { attempt, reason });
    }

    fn end(&mut self, reason: CloseReason) {
        if matches!(self.state, ConnectionState::Closed(_)) {
            return;
        }
        self.end_all(&CallError::Closed(reason.clone()));
        self.calls.clear();
        self.reconnecting.give_up();
        self.set_state(ConnectionState::Closed(reason));
    }

    fn set_state(&mut self, state: ConnectionState) {
        self.state = state.clone();
        self.actions.push_back(DriverAction::State(state));
    }
}
