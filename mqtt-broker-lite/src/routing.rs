//! Messages on their way from publisher to subscribers, and into the retained store (sections
//! 3.3.1.3, 3.3.4, 4.8).

use core::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use mqtt_session::{
    Instant, Outcome, PublishError,
    proto::{
        Message, Properties, Property, PropertyId, PropertySet, Publication, QoS, ReasonCode,
        TopicName,
    },
    remaining_expiry,
};

use crate::{
    Broker,
    sessions::{ClientSession, Place},
    subscriptions::{Matches, SharedGroup, SubscriberId, Subscription},
};

/// A message kept for those who subscribe later.
#[derive(Debug)]
pub(crate) struct RetainedMessage {
    pub(crate) qos: QoS,
    pub(crate) message: Message<Bytes>,
    pub(crate) stored: Instant,
}

/// How many retained messages are dropped in one turn because they have expired.
const EXPIRED_IN_A_TURN: usize = 1000;

impl RetainedMessage {
    /// When it is of no use any more, and what it is found by then.
    pub(crate) fn expiry(&self) -> Option<(Instant, Bytes)> {
        let seconds = self.message.properties.message_expiry_interval()?;
        let at = self.stored + Duration::from_secs(seconds.into());
        Some((at, self.message.topic.clone().into_inner()))
    }

    /// The message for a subscription with this identifier, and with what is left of its Message
    /// Expiry Interval; `None` if it has expired [MQTT-3.3.2-5], or no packet holds as many bytes.
    pub(crate) fn message(
        &self,
        now: Instant,
        identifier: Option<NonZeroU32>,
    ) -> Option<Message<Bytes>> {
        let mut message = self.message.clone();
        let expiry = message.properties.message_expiry_interval();
        let left = match expiry {
            None => None,
            Some(seconds) => Some(remaining_expiry(seconds, now.since(self.stored))?),
        };
        if left != expiry || identifier.is_some() {
            let properties = message.properties.iter().map(|property| match (property, left) {
                (Property::MessageExpiryInterval(_), Some(seconds)) => {
                    Property::MessageExpiryInterval(seconds)
                }
                (property, _) => property,
            });
            let identifier =
                identifier.map(|number| Property::SubscriptionIdentifier(number.get()));
            message.properties = Properties::new(properties.chain(identifier)).ok()?;
        }
        Some(message)
    }
}

/// What a publisher says to the server and not to the subscribers.
const NOT_FORWARDED: PropertySet = PropertySet::EMPTY
    .with(PropertyId::TopicAlias)
    .with(PropertyId::WillDelayInterval)
    .with(PropertyId::SubscriptionIdentifier);

/// One copy of a message, on its way to one subscriber.
struct Copy<'a> {
    message: &'a Message<&'a [u8]>,
    /// The same message with an allocation of its own, made for the first session that keeps it
    /// and shared by the others.
    kept: &'a mut Option<Message<Bytes>>,
    qos: QoS,
    retain: bool,
}

impl Broker {
    /// Retains a message if that was asked for, and gives it to everyone who subscribed. What to
    /// answer the publisher.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        publisher: Option<SubscriberId>,
        publication: &Publication<&[u8]>,
    ) -> ReasonCode {
        self.stats.received += 1;
        // [section 4.7.2] What begins with $SYS is the server's own.
        if publication.message.topic.levels().next() == Some(b"$SYS") {
            return ReasonCode::NOT_AUTHORIZED;
        }
        let forwarded = forwarded(&publication.message.properties);
        let message = match &forwarded {
            None => publication.message,
            Some(properties) => Message { properties: properties.as_ref(), ..publication.message },
        };
        if publication.retain && !self.retain(now, publication.qos, &message) {
            return ReasonCode::QUOTA_EXCEEDED;
        }
        let mut matches = core::mem::take(&mut self.matches);
        self.subscriptions.matches(&message.topic, publisher, &mut matches);
        let reason = if matches.is_empty() {
            ReasonCode::NO_MATCHING_SUBSCRIBERS
        } else {
            self.fan_out(now, publication, &message, &matches);
            ReasonCode::SUCCESS
        };
        self.matches = matches;
        reason
    }

    fn fan_out(
        &mut self,
        now: Instant,
        publication: &Publication<&[u8]>,
        message: &Message<&[u8]>,
        matches: &Matches,
    ) {
        let mut kept = None;
        for matched in matches.subscribers() {
            let qos = publication.qos.min(matched.qos);
            // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
            let retain = publication.retain && matched.retain_as_published;
            let copy = Copy { message, kept: &mut kept, qos, retain };
            self.deliver_with(now, matched.subscriber, copy, matched.identifiers);
        }
        for &group in matches.shared() {
            // [MQTT-4.8.2-4]
            let Some((subscriber, subscription)) = self.choose(group) else {
                continue;
            };
            self.subscriptions.advance(group, subscriber);
            let qos = publication.qos.min(subscription.options.qos);
            let retain = publication.retain && subscription.options.retain_as_published;
            let copy = Copy { message, kept: &mut kept, qos, retain };
            self.deliver_with(now, subscriber, copy, subscription.identifier);
        }
    }

    /// Delivers a copy with the identifiers of the subscriptions it is for. With any, it is a
    /// message of its own and shares nothing with the other copies.
    fn deliver_with(
        &mut self,
        now: Instant,
        subscriber: SubscriberId,
        copy: Copy<'_>,
        identifiers: impl IntoIterator<Item = NonZeroU32>,
    ) {
        let mut identifiers = identifiers.into_iter().peekable();
        if identifiers.peek().is_none() {
            return self.deliver(now, subscriber, copy);
        }
        match with_identifiers(&copy.message.properties, identifiers) {
            Some(properties) => {
                let message = Message { properties: properties.as_ref(), ..*copy.message };
                let copy = Copy { message: &message, kept: &mut None, ..copy };
                self.deliver(now, subscriber, copy);
            }
            None => self.stats.dropped_too_large += 1,
        }
    }

    /// Who of a shared group gets the next message: in turn, one that is connected and can take it
    /// now, or else one that is connected, or else anyone (table row A28 of the decisions).
    fn choose(&self, group: SharedGroup) -> Option<(SubscriberId, Subscription)> {
        let (mut connected, mut anyone) = (None, None);
        for member in self.subscriptions.members(group) {
            let place = self.sessions.get(member.0).map(|session| &session.place);
            match place {
                Some(Place::Connected(id)) => {
                    let connection = self.connections.get(*id);
                    if connection.is_some_and(|connection| connection.server.is_ready()) {
                        return Some(member);
                    }
                    connected = connected.or(Some(member));
                }
                Some(Place::Offline(_)) => anyone = anyone.or(Some(member)),
                None => {}
            }
        }
        connected.or(anyone)
    }

    /// Gives a copy to a subscriber's connection, or to its session for later.
    fn deliver(&mut self, now: Instant, subscriber: SubscriberId, copy: Copy<'_>) {
        let Copy { message, kept, qos, retain } = copy;
        let mut keep = || Publication {
            qos,
            retain,
            message: kept.get_or_insert_with(|| message.detach()).clone(),
        };
        let Some(ClientSession { place, .. }) = self.sessions.get_mut(subscriber) else {
            return;
        };
        let result = match place {
            // [section 4.1] QoS 0 is not kept for a client that is away.
            Place::Offline(_) if qos == QoS::AtMostOnce => return,
            Place::Offline(offline) => {
                // Costs nothing unless something has.
                offline.session.expire(now, |_| self.stats.ended(Outcome::Expired));
                offline.session.publish(now, keep()).map(|_| ())
            }
            Place::Connected(id) => {
                let id = *id;
                let Some(connection) = self.connections.get_mut(id) else {
                    return;
                };
                let result = match qos {
                    QoS::AtMostOnce => connection.server.publish_at_most_once(now, retain, message),
                    _ => connection.server.publish(now, keep()).map(|_| ()),
                };
                self.flush(id);
                result
            }
        };
        match result {
            Ok(()) => self.stats.delivered += 1,
            Err(PublishError::PacketTooLarge { .. }) => self.stats.dropped_too_large += 1,
            Err(_) => self.stats.dropped_full += 1,
        }
    }

    /// Keeps a message, or forgets the one that was kept if the payload is empty; `false` if there
    /// is no room for another topic.
    fn retain(&mut self, now: Instant, qos: QoS, message: &Message<&[u8]>) -> bool {
        // [MQTT-3.3.1-6] [MQTT-3.3.1-7]
        if message.payload.is_empty() {
            let old = self.retained.remove(&message.topic);
            self.forget_expiry(old.as_ref());
            return true;
        }
        let full = self.retained.len() >= self.config.max_retained;
        if full && self.retained.get(&message.topic).is_none() {
            return false;
        }
        let message = message.detach();
        let name = message.topic.clone();
        let retained = RetainedMessage { qos, message, stored: now };
        let expiry = retained.expiry();
        let old = self.retained.insert(name, retained);
        self.forget_expiry(old.as_ref());
        self.expiring.extend(expiry);
        true
    }

    fn forget_expiry(&mut self, old: Option<&RetainedMessage>) {
        if let Some(expiry) = old.and_then(RetainedMessage::expiry) {
            self.expiring.remove(&expiry);
        }
    }

    /// Makes room: what has expired is not sent to anyone [MQTT-3.3.2-5].
    pub(crate) fn expire_retained(&mut self, now: Instant) {
        for _ in 0..EXPIRED_IN_A_TURN {
            let Some((_, name)) = self.expiring.first().filter(|(at, _)| *at <= now) else {
                return;
            };
            if let Ok(name) = TopicName::new(&name[..]) {
                self.retained.remove(&name);
            }
            self.expiring.pop_first();
        }
    }
}

/// The properties that go on to subscribers; `None` if that is all of them.
fn forwarded(properties: &Properties<&[u8]>) -> Option<Properties<Bytes>> {
    let wanted = |property: &Property<'_>| !NOT_FORWARDED.contains(property.id());
    properties.set().intersects(NOT_FORWARDED).then(|| {
        Properties::new(properties.iter().filter(wanted)).expect("a part of a checked list")
    })
}

/// The properties, and the identifiers of the subscriptions a copy is for [MQTT-3.3.4-3]; `None` if
/// no packet holds as many bytes.
fn with_identifiers(
    properties: &Properties<&[u8]>,
    identifiers: impl IntoIterator<Item = NonZeroU32>,
) -> Option<Properties<Bytes>> {
    let identifiers = identifiers.into_iter().map(|id| Property::SubscriptionIdentifier(id.get()));
    Properties::new(properties.iter().chain(identifiers)).ok()
}
