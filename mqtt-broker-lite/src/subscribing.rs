//! SUBSCRIBE and UNSUBSCRIBE, and the retained messages a subscription brings (sections 3.8 to
//! 3.11, 3.3.1.3).

use alloc::vec::Vec;
use core::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use mqtt_session::{
    CommandError, Instant, Session,
    proto::{Publication, ReasonCode, RetainHandling, Subscribe, TopicFilter, Unsubscribe},
};

use crate::{
    Broker, ConnectionId,
    broker::{Deadline, WillFate},
    retained::Cursor,
    subscriptions::{SubscriberId, Subscription},
};

/// Retained messages that a new subscription brings, as far as its connection has taken them.
#[derive(Debug)]
pub(crate) struct Replay {
    filter: TopicFilter<Bytes>,
    cursor: Cursor,
}

/// How many names are looked at for one filter, and how often, before others have their turn.
const NAMES_IN_A_SLICE: usize = 256;
const SLICES_IN_A_TURN: usize = 64;

impl Broker {
    pub(crate) fn subscribe(
        &mut self,
        now: Instant,
        id: ConnectionId,
        subscribe: &Subscribe<&[u8]>,
    ) {
        let Some(subscriber) = self.connections.get(id).and_then(|c| c.subscriber) else {
            return;
        };
        let identifier = subscribe.properties.subscription_identifier().and_then(NonZeroU32::new);
        let codes: Vec<ReasonCode> = subscribe
            .filters
            .iter()
            .map(|(filter, options)| {
                self.subscribe_one(id, subscriber, filter, Subscription { options, identifier })
            })
            .collect();
        if let Some(connection) = self.connections.get_mut(id) {
            // [MQTT-3.8.4-1]
            let answered = connection.server.suback(now, subscribe.id, codes);
            self.close_unanswered(now, id, answered);
        }
        self.replay(now, id);
    }

    fn subscribe_one(
        &mut self,
        id: ConnectionId,
        subscriber: SubscriberId,
        filter: TopicFilter<&[u8]>,
        subscription: Subscription,
    ) -> ReasonCode {
        let levels = filter.as_bytes().split(|&byte| byte == b'/').count();
        if levels > self.config.max_filter_levels {
            return ReasonCode::QUOTA_EXCEEDED;
        }
        // What CONNACK ruled out.
        let server = self.connections.get(id).map(|connection| &connection.server);
        let identifier = subscription.identifier.is_some();
        if let Some(Err(refused)) = server.map(|server| server.check_filter(&filter, identifier)) {
            return refused;
        }
        let existing = self.subscriptions.get(&filter, subscriber).is_some();
        let Some(client) = self.sessions.get_mut(subscriber) else {
            return ReasonCode::UNSPECIFIED_ERROR;
        };
        if !existing {
            if client.subscriptions >= self.config.max_subscriptions {
                return ReasonCode::QUOTA_EXCEEDED;
            }
            client.subscriptions += 1;
        }
        // [MQTT-3.8.4-3]
        self.subscriptions.insert(&filter, subscriber, subscription);
        let wanted = match subscription.options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => !existing,
            RetainHandling::DoNotSend => false,
        };
        // [section 4.8.2] A shared subscription brings none.
        if wanted
            && filter.shared().is_none()
            && let Some(connection) = self.connections.get_mut(id)
        {
            let filter = filter.to_bytes();
            // Who asks again while they are on their way gets them from the beginning, and not
            // twice.
            let replay = Replay { filter: filter.clone(), cursor: Cursor::default() };
            connection.replays.insert(filter.into_inner(), replay);
        }
        ReasonCode::granted(subscription.options.qos)
    }

    pub(crate) fn unsubscribe(
        &mut self,
        now: Instant,
        id: ConnectionId,
        unsubscribe: &Unsubscribe<&[u8]>,
    ) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(subscriber) = connection.subscriber else {
            return;
        };
        let mut codes = Vec::new();
        for filter in unsubscribe.filters.iter() {
            let removed = self.subscriptions.remove(&filter, subscriber).is_some();
            if removed && let Some(client) = self.sessions.get_mut(subscriber) {
                client.subscriptions -= 1;
                connection.replays.remove(filter.as_bytes());
            }
            codes.push(match removed {
                true => ReasonCode::SUCCESS,
                false => ReasonCode::NO_SUBSCRIPTION_EXISTED,
            });
        }
        let answered = connection.server.unsuback(now, unsubscribe.id, codes);
        self.close_unanswered(now, id, answered);
    }

    /// One code for each filter of a checked list can be said, but the client may not take as many
    /// bytes.
    fn close_unanswered(
        &mut self,
        now: Instant,
        id: ConnectionId,
        answered: Result<(), CommandError>,
    ) {
        if answered.is_err() {
            self.close(now, id, ReasonCode::PACKET_TOO_LARGE, WillFate::Publish);
        }
    }

    /// Sends retained messages that wait, as many as the connection takes now and as are found in
    /// one turn.
    pub(crate) fn replay(&mut self, now: Instant, id: ConnectionId) {
        for _ in 0..SLICES_IN_A_TURN {
            if !self.replay_slice(now, id) {
                return self.flush(id);
            }
        }
        if let Some(connection) = self.connections.get_mut(id)
            && connection.replay_at.is_none()
        {
            // As soon as can be, but not before the caller has looked at the others.
            let at = now + Duration::from_micros(1);
            connection.replay_at = Some(at);
            self.deadlines.insert((at, Deadline::Replay(id)));
        }
        self.flush(id);
    }

    pub(crate) fn replay_timeout(&mut self, now: Instant, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.replay_at = None;
            self.replay(now, id);
        }
    }

    /// One slice of one subscription; whether there may be more that the connection takes now.
    fn replay_slice(&mut self, now: Instant, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(id) else {
            return false;
        };
        let (Some(subscriber), Some(mut entry)) =
            (connection.subscriber, connection.replays.first_entry())
        else {
            return false;
        };
        let Replay { filter, cursor } = entry.get_mut();
        let Some(Subscription { options, identifier }) = self.subscriptions.get(filter, subscriber)
        else {
            entry.remove();
            return true;
        };
        let limit = usize::from(self.config.server.max_queued);
        let server = &mut connection.server;
        let mut found = self.retained.slice(filter, cursor, NAMES_IN_A_SLICE);
        let room = loop {
            let queued = server.session().map_or(limit, Session::open);
            if !server.has_room() || queued >= limit {
                break false;
            }
            let Some((_, retained)) = found.next() else {
                break true;
            };
            let Some(message) = retained.message(now, identifier) else {
                continue;
            };
            // [MQTT-3.3.1-8] and table row A54 of the decisions.
            let qos = retained.qos.min(options.qos);
            match server.publish(now, Publication { qos, retain: true, message }) {
                Ok(_) => self.stats.delivered += 1,
                Err(_) => self.stats.dropped_too_large += 1,
            }
        };
        match found.into_cursor() {
            None => {
                entry.remove();
            }
            Some(next) => *cursor = next,
        }
        room
    }
}
