//! A client with the calls of its application: what every adapter needs beside bytes, threads and
//! a clock.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::{mem, time::Duration};

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    ConnAck, PacketId, Properties, Publication, Publish, QoS, ReasonCode, SubAck, SubscribeFilters,
    SubscriptionOptions, TopicFilter, UnsubAck,
};

use crate::{
    Answer, CallError, Client, ClientAction, ClientOptions, ClientState, CloseReason, CommandError,
    ConnectionState, DriverAction, Instant, OptionsError, Outcome, Receipt, Request, Transmit,
    backoff::scramble, request::undelivered_size,
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
    /// Calls that were accepted, by packet identifier less one.
    calls: Vec<Option<Call<W>>>,
    /// Calls that were not, in the order they came.
    waiting: VecDeque<Call<W>>,
    /// How many of `calls` have a waiter.
    awaited: usize,
    serial: u64,
    /// No call is late before this time.
    check_at: Option<Instant>,
    /// What was subscribed; kept only to be subscribed again.
    subscriptions: BTreeMap<TopicFilter<Bytes>, Subscription>,
    undelivered: usize,
    /// Why the connection is ending.
    reason: Option<CloseReason>,
    /// The application wants no other connection.
    leaving: Option<ReasonCode>,
    reconnecting: Reconnecting,
    actions: VecDeque<DriverAction<W>>,
    now: Instant,
}

/// A request, and who waits for its end.
#[derive(Debug)]
struct Call<W> {
    /// In the order of the calls; [`RESUBSCRIBE`] for those of the driver itself.
    serial: u64,
    /// `None` if it may take for ever.
    deadline: Option<Instant>,
    /// `None` if nobody waits, or no longer.
    waiter: Option<W>,
    /// `None` for a message that the session has.
    request: Option<Request>,
}

const RESUBSCRIBE: u64 = 0;

#[derive(Debug)]
struct Subscription {
    options: SubscriptionOptions,
    properties: Properties<Bytes>,
    /// Whether the session of the present connection has it.
    confirmed: bool,
}

#[derive(Debug)]
struct Reconnecting {
    /// Attempts since a connection last held.
    attempt: u32,
    random: u64,
    /// Whether any connection was.
    accepted: bool,
    /// When the present connection was accepted.
    connected: Option<Instant>,
    /// When to open the next one.
    at: Option<Instant>,
}

impl<W> ClientDriver<W> {
    /// For the first connection; the adapter opens it without being asked. `seed` is any number:
    /// the waits between attempts depend on it.
    ///
    /// # Errors
    /// [`OptionsError`] if the options make no legal CONNECT.
    pub fn new(options: ClientOptions, seed: u64) -> Result<Self, OptionsError> {
        Ok(Self {
            client: Client::new(options)?,
            state: ConnectionState::Connecting,
            calls: Vec::new(),
            waiting: VecDeque::new(),
            awaited: 0,
            serial: RESUBSCRIBE,
            check_at: None,
            subscriptions: BTreeMap::new(),
            undelivered: 0,
            reason: None,
            leaving: None,
            reconnecting: Reconnecting {
                attempt: 0,
                random: seed,
                accepted: false,
                connected: None,
                at: None,
            },
            actions: VecDeque::new(),
            now: Instant::ZERO,
        })
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
        if self.reconnecting.at.is_some_and(|at| at <= now) {
            self.reconnecting.at = None;
            self.actions.push_back(DriverAction::Connect);
        }
        if self.check_at.is_some_and(|at| at <= now) {
            self.end_late_calls();
        }
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
        let connected = self.reconnecting.connected.take();
        let reason = self.reason.take().unwrap_or(CloseReason::Lost);
        if let Some(code) = self.leaving {
            self.end(CloseReason::Requested(code));
        } else if self.reconnects() && reason.may_pass() {
            self.client.handle_closed(now);
            self.take_actions();
            // Requests without an answer wait again, in the order they were made.
            self.waiting.retain(|call| call.serial != RESUBSCRIBE);
            self.waiting.make_contiguous().sort_by_key(|call| call.serial);
            let held = connected.map_or(Duration::ZERO, |connected| now.since(connected));
            if self.client.options().reconnect.is_some_and(|backoff| held >= backoff.max()) {
                self.reconnecting.attempt = 0;
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
        let paused = self.paused();
        self.serial += 1;
        let deadline = self.deadline();
        self.check_at = self.check_at.or(deadline);
        let call =
            Call { serial: self.serial, deadline, waiter: Some(waiter), request: Some(request) };
        self.waiting.push_back(call);
        // What is first in the line has been tried.
        if self.waiting.len() == 1 {
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
        self.waiting.is_empty()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.client.poll_timeout(), self.reconnecting.at, self.check_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Where the client is.
    #[must_use]
    pub const fn state(&self) -> &ConnectionState {
        &self.state
    }

    /// How long opening a network connection may take, to each address.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        self.client.options().connect_timeout
    }

    /// Nothing is read, because the application does not take what was read.
    fn paused(&self) -> bool {
        let awaited = self.awaited > 0 || !self.waiting.is_empty();
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
        self.client.options().reconnect.is_some() && self.reconnecting.accepted
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
        self.reconnecting.accepted = true;
        self.reconnecting.connected = Some(self.now);
        self.set_state(ConnectionState::Connected(connack.clone()));
        let deadline = self.deadline();
        for (filter, subscription) in &mut self.subscriptions {
            subscription.confirmed &= connack.session_present;
            let filters = SubscribeFilters::new([(filter.as_ref(), subscription.options)]);
            if let (false, Ok(filters)) = (subscription.confirmed, filters) {
                let properties = subscription.properties.clone();
                let request = Some(Request::Subscribe { filters, properties });
                self.check_at = self.check_at.or(deadline);
                let call = Call { serial: RESUBSCRIBE, deadline, waiter: None, request };
                self.waiting.push_front(call);
            }
        }
    }

    fn handle_finished(&mut self, id: PacketId, outcome: Outcome) {
        let Some(mut call) = self.take_call(id) else {
            return;
        };
        if call.request.is_some() {
            // Those without a waiter have none to disappoint; the driver's own are made anew.
            if call.waiter.is_some() {
                self.waiting.push_back(call);
            }
            return;
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
        let Some(call) = self.take_call(suback.id) else {
            return;
        };
        let Some(Request::Subscribe { filters, properties }) = call.request else {
            return;
        };
        for ((filter, options), code) in filters.iter().zip(suback.codes.iter()) {
            if code.is_error() && call.serial == RESUBSCRIBE {
                self.lose_subscription(filter, code);
            } else if !code.is_error() && self.client.options().reconnect.is_some() {
                let properties = properties.clone();
                let subscription = Subscription { options, properties, confirmed: true };
                self.subscriptions.insert(filter.to_bytes(), subscription);
            }
        }
        self.complete(call.waiter, Ok(Answer::Codes(suback.codes)));
    }

    fn handle_unsuback(&mut self, unsuback: UnsubAck<Bytes>) {
        let Some(call) = self.take_call(unsuback.id) else {
            return;
        };
        let Some(Request::Unsubscribe { filters, .. }) = call.request else {
            return;
        };
        // 3.1.1 has no codes, and no failures.
        let codes = unsuback.codes.iter().chain(core::iter::repeat(ReasonCode::SUCCESS));
        for (filter, code) in filters.iter().zip(codes) {
            if !code.is_error() {
                self.subscriptions.remove(&filter.to_bytes());
            }
        }
        self.complete(call.waiter, Ok(Answer::Codes(unsuback.codes)));
    }

    /// A server that lost the session does not take the subscription again: whoever relies on it
    /// must hear.
    fn lose_subscription(&mut self, filter: TopicFilter<&[u8]>, reason: ReasonCode) {
        let filter = filter.to_bytes();
        self.subscriptions.remove(&filter);
        self.reason.get_or_insert(CloseReason::SubscriptionLost { filter, reason });
        self.client.disconnect(self.now, ReasonCode::NORMAL_DISCONNECTION);
    }

    /// Starts what can be; whether anything was.
    fn start_waiting(&mut self) -> bool {
        let before = self.waiting.len();
        while let Some(call) = self.waiting.pop_front() {
            if let Some(call) = self.start(call) {
                self.waiting.push_front(call);
                break;
            }
        }
        self.waiting.len() < before
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
            Ok(Some(id)) => self.put_call(id, call),
            Ok(None) => {
                let answer = Answer::Acknowledged(ReasonCode::SUCCESS);
                self.complete(call.waiter, Ok(answer));
            }
            Err(error) if call.serial == RESUBSCRIBE => self.refuse_resubscription(call, &error),
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

    fn put_call(&mut self, id: PacketId, call: Call<W>) {
        let at = usize::from(id.get()) - 1;
        if self.calls.len() <= at {
            self.calls.resize_with(at + 1, || None);
        }
        self.awaited += usize::from(call.waiter.is_some());
        self.calls[at] = Some(call);
    }

    fn take_call(&mut self, id: PacketId) -> Option<Call<W>> {
        let call = self.calls.get_mut(usize::from(id.get()) - 1)?.take()?;
        self.awaited -= usize::from(call.waiter.is_some());
        Some(call)
    }

    fn complete(&mut self, waiter: Option<W>, result: Result<Answer, CallError>) {
        if let Some(waiter) = waiter {
            self.actions.push_back(DriverAction::Complete(waiter, result));
        }
    }

    /// Ends the calls whose time has come. What the session has, it keeps.
    fn end_late_calls(&mut self) {
        let now = self.now;
        let late = |call: &Call<W>| call.deadline.is_some_and(|deadline| deadline <= now);
        let mut unanswered = false;
        for call in self.calls.iter_mut().flatten().filter(|call| late(call)) {
            unanswered |= call.serial == RESUBSCRIBE;
            if let Some(waiter) = call.waiter.take() {
                self.awaited -= 1;
                self.actions.push_back(DriverAction::Complete(waiter, Err(CallError::TimedOut)));
            }
            call.deadline = None;
        }
        for _ in 0..self.waiting.len() {
            match self.waiting.pop_front() {
                Some(call) if late(&call) => {
                    unanswered |= call.serial == RESUBSCRIBE;
                    self.complete(call.waiter, Err(CallError::TimedOut));
                }
                call => self.waiting.extend(call),
            }
        }
        let calls = self.calls.iter().flatten().chain(&self.waiting);
        self.check_at = calls.filter_map(|call| call.deadline).min();
        if unanswered {
            // Without its subscriptions this connection is of no use.
            self.reason.get_or_insert(CloseReason::KeepAliveTimeout);
            self.client.disconnect(now, ReasonCode::UNSPECIFIED_ERROR);
        }
    }

    /// Ends every call that waits for an answer. What the session has, it keeps.
    fn end_all(&mut self, error: &CallError) {
        for call in self.calls.iter_mut().flatten() {
            if let Some(waiter) = call.waiter.take() {
                self.actions.push_back(DriverAction::Complete(waiter, Err(error.clone())));
            }
        }
        self.awaited = 0;
        for call in mem::take(&mut self.waiting) {
            match call.serial {
                RESUBSCRIBE => self.waiting.push_back(call),
                _ => self.complete(call.waiter, Err(error.clone())),
            }
        }
    }

    fn reconnect(&mut self, reason: CloseReason) {
        let Some(backoff) = self.client.options().reconnect else {
            return self.end(reason);
        };
        let Reconnecting { attempt, random, at, .. } = &mut self.reconnecting;
        *random = scramble(*random);
        *at = Some(self.now + backoff.delay(*attempt, *random));
        *attempt = attempt.saturating_add(1);
        let attempt = *attempt;
        self.set_state(ConnectionState::Reconnecting { attempt, reason });
    }

    fn end(&mut self, reason: CloseReason) {
        if matches!(self.state, ConnectionState::Closed(_)) {
            return;
        }
        self.end_all(&CallError::Closed(reason.clone()));
        self.waiting.clear();
        self.reconnecting.at = None;
        self.check_at = None;
        self.set_state(ConnectionState::Closed(reason));
    }

    fn set_state(&mut self, state: ConnectionState) {
        self.state = state.clone();
        self.actions.push_back(DriverAction::State(state));
    }
}
