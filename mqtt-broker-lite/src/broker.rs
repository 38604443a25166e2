//! The broker as a value.

use alloc::collections::{BTreeSet, VecDeque};
use core::time::Duration;

use bytes::Bytes;
use mqtt_session::{
    CloseReason, Inbound, Instant, Server, ServerAction, Session, Transmit,
    proto::{PacketRef, QoS, ReasonCode, Status, TopicFilter},
};

use crate::{
    BrokerAction, BrokerConfig, BrokerStats, ConnectionId,
    connections::Connections,
    retained::Retained,
    routing::RetainedMessage,
    sessions::{Place, Sessions},
    subscriptions::{Matches, SubscriberId, Subscriptions},
};

/// An MQTT server without input or output, clock, thread or lock: bytes and the time in, actions
/// and bytes out.
///
/// * `handle_*` say what happened to a connection: it was accepted, bytes came, bytes were written,
///   it is gone; or that time passed.
/// * [`poll_action`](Self::poll_action) and [`poll_timeout`](Self::poll_timeout) say what to do,
///   [`transmit`](Self::transmit) what to write. Drain the actions after every `handle_*`.
/// * the rest looks in.
///
/// Everything is in memory and ends with the value. The same calls with the same seed give the same
/// bytes.
///
/// Work for a packet is bounded by its size and by the number of subscribers it is for; a retained
/// message for a new subscription goes out as its connection takes it, and is looked for in slices.
#[derive(Debug)]
pub struct Broker {
    pub(crate) config: BrokerConfig,
    pub(crate) connections: Connections,
    pub(crate) sessions: Sessions,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) retained: Retained<RetainedMessage>,
    /// When to look at what. An entry that is out of date is found out when its time comes.
    pub(crate) deadlines: BTreeSet<(Instant, Deadline)>,
    /// When which retained message expires.
    pub(crate) expiring: BTreeSet<(Instant, Bytes)>,
    pub(crate) matches: Matches,
    pub(crate) stats: BrokerStats,
    pub(crate) seed: u64,
    pub(crate) assigned: u64,
    pub(crate) actions: VecDeque<BrokerAction>,
}

/// What to look at when a time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    /// CONNECT, or the keep alive.
    Connection(ConnectionId),
    /// A delayed will.
    Will(SubscriberId),
    /// The Session Expiry Interval.
    Session(SubscriberId),
    /// Retained messages that are still to be looked for.
    Replay(ConnectionId),
}

impl Broker {
    /// Without connections, sessions or messages. The seed makes the client identifiers it assigns
    /// and keys its hash tables: give a random one where peers are not trusted.
    #[must_use]
    pub fn new(config: BrokerConfig, seed: u64) -> Self {
        Self {
            config,
            connections: Connections::default(),
            sessions: Sessions::default(),
            subscriptions: Subscriptions::new(u128::from(seed) << 64 | u128::from(!seed)),
            retained: Retained::new(),
            deadlines: BTreeSet::new(),
            expiring: BTreeSet::new(),
            matches: Matches::new(),
            stats: BrokerStats::default(),
            seed,
            assigned: 0,
            actions: VecDeque::new(),
        }
    }

    /// A network connection was accepted. `None` if there are too many: close it.
    pub fn handle_accepted(&mut self, now: Instant) -> Option<ConnectionId> {
        if self.connections.len() >= self.config.max_connections {
            return None;
        }
        let id = self.connections.insert(Server::new(self.config.server, now));
        self.arm(id);
        Some(id)
    }

    /// Bytes came. Returns how many were used: the caller keeps the rest and gives it again with
    /// what comes next, or after [`handle_flushed`](Self::handle_flushed) when
    /// [`wants_input`](Self::wants_input) had said no.
    pub fn handle_input(&mut self, now: Instant, id: ConnectionId, src: &[u8]) -> usize {
        let mut used = 0;
        while let Some(connection) = self.connections.get_mut(id) {
            if connection.closing {
                used = src.len();
                break;
            }
            if !connection.server.wants_input() {
                break;
            }
            match connection.server.decode(now, &src[used..]) {
                Ok(Status::Ready((packet, len))) => {
                    used += len;
                    self.handle_packet(now, id, packet);
                }
                Ok(Status::NeedMore(_)) => break,
                Err(reason) => self.end(now, id, reason, WillFate::Publish),
            }
        }
        self.arm(id);
        self.flush(id);
        used
    }

    /// Some of [`transmit`](Self::transmit) was written: what waited for room follows.
    pub fn handle_flushed(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.server.handle_flushed(now, |_, outcome| self.stats.ended(outcome));
        self.replay(now, id);
        self.flush(id);
    }

    /// The network connection is gone, whoever closed it.
    pub fn handle_closed(&mut self, now: Instant, id: ConnectionId) {
        self.detach(now, id, WillFate::Publish);
        if let Some(connection) = self.connections.remove(id)
            && let Some(armed) = connection.deadline
        {
            // A client that comes and goes would leave one for each time.
            self.deadlines.remove(&(armed, Deadline::Connection(id)));
        }
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) came, or any other: a call too early does
    /// nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, deadline)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, deadline));
            match deadline {
                Deadline::Connection(id) => self.connection_timeout(now, id),
                Deadline::Will(subscriber) => self.will_timeout(now, subscriber),
                Deadline::Session(subscriber) => self.session_timeout(now, subscriber),
                Deadline::Replay(id) => self.replay_timeout(now, id),
            }
        }
        self.expire_retained(now);
    }

    /// Ends every connection: 5.0 clients are told that the server shuts down, and everything
    /// queued is still to be written. Wills are not published, since there would be nobody left to
    /// read them.
    pub fn shut_down(&mut self, now: Instant) {
        for id in self.connections.ids().collect::<alloc::vec::Vec<_>>() {
            self.close(now, id, ReasonCode::SERVER_SHUTTING_DOWN, WillFate::Discard);
        }
    }

    /// What to do next; `None` when there is nothing but to wait.
    pub fn poll_action(&mut self) -> Option<BrokerAction> {
        let action = self.actions.pop_front()?;
        if let BrokerAction::Flush(id) = action
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.flushing = false;
        }
        Some(action)
    }

    /// What to write to a connection; `None` after [`handle_closed`](Self::handle_closed).
    pub fn transmit(&mut self, id: ConnectionId) -> Option<&mut Transmit> {
        self.connections.get_mut(id).map(|connection| connection.server.transmit())
    }

    /// Whether to read more from a connection. Not from one that does not read its answers.
    #[must_use]
    pub fn wants_input(&self, id: ConnectionId) -> bool {
        self.connections
            .get(id)
            .is_some_and(|connection| !connection.closing && connection.server.wants_input())
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let message = self.expiring.first().map(|&(at, _)| at);
        self.deadlines.first().map(|&(at, _)| at).into_iter().chain(message).min()
    }

    /// How many network connections are open.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Each session: its client identifier, whether its client is connected, and how many of its
    /// messages wait or are in flight.
    pub fn sessions(&self) -> impl Iterator<Item = (&str, bool, usize)> {
        self.sessions.iter().map(|(_, session)| {
            let (connected, open) = match &session.place {
                Place::Connected(id) => {
                    (true, self.connection_session(*id).map_or(0, Session::open))
                }
                Place::Offline(offline) => (false, offline.session.open()),
            };
            (session.client_id.as_str(), connected, open)
        })
    }

    /// What a client has subscribed to, the oldest first.
    pub fn subscriptions(
        &self,
        client_id: &str,
    ) -> impl Iterator<Item = (TopicFilter<&[u8]>, QoS)> {
        let subscriber = self.sessions.find(client_id.as_bytes());
        subscriber
            .into_iter()
            .flat_map(|subscriber| self.subscriptions.subscriber_filters(subscriber))
            .map(|(filter, subscription)| (filter, subscription.options.qos))
    }

    /// How many messages are retained.
    #[must_use]
    pub fn retained(&self) -> usize {
        self.retained.len()
    }

    /// What went through since the broker was made.
    #[must_use]
    pub const fn stats(&self) -> BrokerStats {
        self.stats
    }

    fn handle_packet(&mut self, now: Instant, id: ConnectionId, packet: PacketRef<'_>) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        match connection.server.handle_packet(now, packet) {
            None => {}
            Some(ServerAction::Publish(inbound)) => self.handle_publish(now, id, &inbound),
            Some(ServerAction::Finished { .. }) => {
                connection.server.handle_flushed(now, |_, outcome| self.stats.ended(outcome));
                self.replay(now, id);
            }
            Some(ServerAction::Connect(connect)) => self.connect(now, id, &connect.fields()),
            Some(ServerAction::Subscribe(subscribe)) => self.subscribe(now, id, &subscribe),
            Some(ServerAction::Unsubscribe(unsubscribe)) => self.unsubscribe(now, id, &unsubscribe),
            Some(ServerAction::Disconnect(disconnect)) => {
                // [MQTT-3.14.4-3] Only Normal disconnection voids the will.
                let fate = match disconnect.reason {
                    ReasonCode::NORMAL_DISCONNECTION => WillFate::Discard,
                    _ => WillFate::Publish,
                };
                self.end(now, id, CloseReason::Disconnected(disconnect.reason), fate);
            }
            Some(ServerAction::Close(reason)) => self.end(now, id, reason, WillFate::Publish),
            // The server side has no other actions.
            Some(_) => {}
        }
    }

    fn handle_publish(&mut self, now: Instant, id: ConnectionId, inbound: &Inbound<&[u8]>) {
        let subscriber = self.connections.get(id).and_then(|connection| connection.subscriber);
        let reason = self.publish(now, subscriber, &inbound.publication());
        if let (Some(connection), Some(receipt)) = (self.connections.get_mut(id), inbound.receipt())
        {
            // Routing does not end the publisher's connection; if it ever did, there is nobody to answer.
            let _ = connection.server.acknowledge(now, receipt, reason);
        }
    }

    fn connection_timeout(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.deadline = None;
        match connection.server.handle_timeout(now) {
            Some(reason) => self.end(now, id, reason, WillFate::Publish),
            // There may be something to send once more.
            None => {
                self.arm(id);
                self.flush(id);
            }
        }
    }

    /// Sees to it that the broker looks at a connection when its time comes. A later time than the
    /// one armed is found out when that comes, so that traffic does not move entries about.
    pub(crate) fn arm(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(at) = connection.server.poll_timeout() else {
            return;
        };
        if connection.deadline.is_none_or(|armed| at < armed) {
            if let Some(armed) = connection.deadline.replace(at) {
                self.deadlines.remove(&(armed, Deadline::Connection(id)));
            }
            self.deadlines.insert((at, Deadline::Connection(id)));
        }
    }

    /// Asks for a write, if there is something to be written and it was not asked for.
    pub(crate) fn flush(&mut self, id: ConnectionId) {
        if self.config.server.ack_timeout.is_some() {
            // What is to be written may wait for an answer then.
            self.arm(id);
        }
        if let Some(connection) = self.connections.get_mut(id)
            && !connection.flushing
            && !connection.server.transmit().is_empty()
        {
            connection.flushing = true;
            self.actions.push_back(BrokerAction::Flush(id));
        }
    }

    /// Ends a connection from this side, telling the client why.
    pub(crate) fn close(
        &mut self,
        now: Instant,
        id: ConnectionId,
        reason: ReasonCode,
        fate: WillFate,
    ) {
        if let Some(connection) = self.connections.get_mut(id)
            && !connection.closing
        {
            let reason = connection.server.close(now, reason);
            self.end(now, id, reason, fate);
        }
    }

    /// The connection is over but for what is left to write.
    pub(crate) fn end(
        &mut self,
        now: Instant,
        id: ConnectionId,
        reason: CloseReason,
        fate: WillFate,
    ) {
        if let Some(connection) = self.connections.get_mut(id)
            && !connection.closing
        {
            connection.closing = true;
            if let Some(armed) = connection.deadline.take() {
                self.deadlines.remove(&(armed, Deadline::Connection(id)));
            }
            self.detach(now, id, fate);
            self.flush(id);
            self.actions.push_back(BrokerAction::Close(id, reason));
        }
    }

    fn connection_session(&self, id: ConnectionId) -> Option<&Session> {
        self.connections.get(id)?.server.session()
    }
}

/// What becomes of the will when a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WillFate {
    /// Publish it, after its delay [MQTT-3.1.2-8].
    Publish,
    /// The client took it back, or nobody is there to read it.
    Discard,
}

/// Seconds of a wire interval after `now`; `None` for ever.
pub(crate) fn after(now: Instant, seconds: u32) -> Option<Instant> {
    (seconds != u32::MAX).then(|| now + Duration::from_secs(seconds.into()))
}
