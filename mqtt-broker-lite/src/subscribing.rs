//! SUBSCRIBE and UNSUBSCRIBE, and the retained messages a subscription brings (sections 3.8 to 3.11, 3.3.1.3).

use alloc::vec::Vec;
use core::num::NonZeroU32;

use bytes::Bytes;
use mqtt_session::{
    Instant, Session,
    proto::{Publication, ReasonCode, RetainHandling, Subscribe, TopicFilter, Unsubscribe},
};

use crate::{
    Broker, ConnectionId,
    retained::Cursor,
    subscriptions::{SubscriberId, Subscription},
};

/// Retained messages that a new subscription brings, as far as its connection has taken them.
#[derive(Debug)]
pub(crate) struct Replay {
    filter: TopicFilter<Bytes>,
    subscription: Subscription,
    cursor: Cursor,
}

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
        let mut replays = Vec::new();
        let codes: Vec<ReasonCode> = subscribe
            .filters
            .iter()
            .map(|(filter, options)| {
                let subscription = Subscription { options, identifier };
                self.subscribe_one(subscriber, filter, subscription, &mut replays)
            })
            .collect();
        if let Some(connection) = self.connections.get_mut(id) {
            // [MQTT-3.8.4-1] One code for each filter of a checked list: this can be said.
            let answered = connection.server.suback(now, subscribe.id, codes);
            debug_assert_eq!(answered, Ok(()));
            connection.replays.extend(replays);
        }
        self.replay(now, id);
    }

    fn subscribe_one(
        &mut self,
        subscriber: SubscriberId,
        filter: TopicFilter<&[u8]>,
        subscription: Subscription,
        replays: &mut Vec<Replay>,
    ) -> ReasonCode {
        let existing = self.subscriptions.get(&filter, subscriber).is_some();
        let count = self.subscriptions.subscriber_filters(subscriber).count();
        if !existing && count >= self.config.max_subscriptions {
            return ReasonCode::QUOTA_EXCEEDED;
        }
        // [MQTT-3.8.4-3]
        self.subscriptions.insert(&filter, subscriber, subscription);
        let wanted = match subscription.options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => !existing,
            RetainHandling::DoNotSend => false,
        };
        // [section 4.8.2] A shared subscription brings none.
        if wanted && filter.shared().is_none() {
            let filter = filter.to_bytes();
            replays.push(Replay { filter, subscription, cursor: Cursor::default() });
        }
        ReasonCode::granted(subscription.options.qos)
    }

    pub(crate) fn unsubscribe(
        &mut self,
        now: Instant,
        id: ConnectionId,
        unsubscribe: &Unsubscribe<&[u8]>,
    ) {
        let Some(subscriber) = self.connections.get(id).and_then(|c| c.subscriber) else {
            return;
        };
        let codes: Vec<ReasonCode> = unsubscribe
            .filters
            .iter()
            .map(|filter| match self.subscriptions.remove(&filter, subscriber) {
                Some(_) => ReasonCode::SUCCESS,
                None => ReasonCode::NO_SUBSCRIPTION_EXISTED,
            })
            .collect();
        if let Some(connection) = self.connections.get_mut(id) {
            let unsubscribed = |replay: &Replay| {
                unsubscribe.filters.iter().any(|filter| filter == replay.filter.as_ref())
            };
            connection.replays.retain(|replay| !unsubscribed(replay));
            let answered = connection.server.unsuback(now, unsubscribe.id, codes);
            debug_assert_eq!(answered, Ok(()));
        }
    }

    /// Sends retained messages that wait, as many as the connection takes now.
    pub(crate) fn replay(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let limit = usize::from(self.config.server.max_queued);
        while let Some(mut replay) = connection.replays.pop_front() {
            let Subscription { options, identifier } = replay.subscription;
            let mut found = self.retained.slice(&replay.filter, &replay.cursor, usize::MAX);
            loop {
                let server = &mut connection.server;
                let queued = server.session().map_or(limit, Session::open);
                if !server.has_room() || queued >= limit {
                    break;
                }
                let Some((_, retained)) = found.next() else {
                    break;
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
            }
            match found.into_cursor() {
                None => continue,
                Some(cursor) => replay.cursor = cursor,
            }
            connection.replays.push_front(replay);
            break;
        }
        self.flush(id);
    }
}
