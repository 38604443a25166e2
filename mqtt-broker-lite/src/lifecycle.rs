//! Sessions from CONNECT to their end: takeover, expiry and wills (sections 3.1.2 to 3.1.4, 4.1).

use alloc::{boxed::Box, format};

use bytes::Bytes;
use mqtt_session::{
    Accept, Instant, Session,
    proto::{Connect, Publication, ReasonCode, Str},
};

use crate::{
    Broker, ConnectionId,
    broker::{Deadline, WillFate, after},
    sessions::{ClientSession, Offline, Place},
    subscriptions::SubscriberId,
};

impl Broker {
    /// A client introduces itself.
    pub(crate) fn connect(&mut self, now: Instant, id: ConnectionId, connect: &Connect<&[u8]>) {
        if let Err(reason) = self.try_connect(now, id, connect)
            && let Some(connection) = self.connections.get_mut(id)
        {
            let reason = connection.server.reject(now, reason);
            self.end(now, id, reason, WillFate::Discard);
        }
    }

    fn try_connect(
        &mut self,
        now: Instant,
        id: ConnectionId,
        connect: &Connect<&[u8]>,
    ) -> Result<(), ReasonCode> {
        // [MQTT-4.12.0-1] There is no method here yet.
        if connect.properties.authentication_method().is_some() {
            return Err(ReasonCode::BAD_AUTHENTICATION_METHOD);
        }
        let assigned = connect.client_id.is_empty().then(|| self.assign_client_id());
        let client_id = match &assigned {
            Some(assigned) => assigned.clone(),
            None => Str::try_from(connect.client_id.as_str())
                .map_err(|_| ReasonCode::CLIENT_IDENTIFIER_NOT_VALID)?,
        };
        let existing = self.sessions.find(client_id.as_bytes());
        if existing.is_none() && self.sessions.len() >= self.config.max_sessions {
            return Err(ReasonCode::QUOTA_EXCEEDED);
        }
        let Some(connection) = self.connections.get(id) else {
            return Ok(());
        };
        let longest = self.config.max_session_expiry;
        let mut accept = Accept {
            assigned_client_id: assigned,
            session_expiry: (connection.server.session_expiry() > longest).then_some(longest),
            ..Accept::default()
        };
        if !connection.server.can_accept(&accept) {
            return Err(ReasonCode::PACKET_TOO_LARGE);
        }
        let resumed =
            existing.and_then(|subscriber| self.take_over(now, subscriber, connect.clean_start));
        accept.session_present = resumed.is_some();
        let (subscriber, session) = resumed.unwrap_or_else(|| {
            let session = Session::new(self.config.server.max_queued);
            (self.sessions.insert(client_id, id), session)
        });
        if let Some(client) = self.sessions.get_mut(subscriber) {
            client.place = Place::Connected(id);
        }
        let Some(connection) = self.connections.get_mut(id) else {
            return Ok(());
        };
        connection.subscriber = Some(subscriber);
        connection.will = connect.will.as_ref().map(Publication::detach);
        // The size was checked above; whatever happens, the session is kept.
        connection
            .server
            .accept(now, session, &accept, |_, outcome| self.stats.ended(outcome))
            .map_err(|_| ReasonCode::PACKET_TOO_LARGE)
    }

    /// Ends the connection a session has, and the session if it is to be clean. What is left of it,
    /// lent to nobody.
    fn take_over(
        &mut self,
        now: Instant,
        subscriber: SubscriberId,
        clean_start: bool,
    ) -> Option<(SubscriberId, Session)> {
        if let Place::Connected(id) = self.sessions.get(subscriber)?.place {
            // [MQTT-3.1.4-3]
            self.close(now, id, ReasonCode::SESSION_TAKEN_OVER, WillFate::Publish);
        }
        if clean_start {
            // [MQTT-3.1.2-4]
            self.end_session(now, subscriber);
            return None;
        }
        // The session may have ended with its connection.
        match &mut self.sessions.get_mut(subscriber)?.place {
            Place::Connected(_) => None,
            Place::Offline(offline) => {
                if let Some(at) = offline.expires {
                    self.deadlines.remove(&(at, Deadline::Session(subscriber)));
                }
                // [MQTT-3.1.3-9]
                if let Some((at, _)) = offline.will.take() {
                    self.deadlines.remove(&(at, Deadline::Will(subscriber)));
                }
                Some((subscriber, core::mem::replace(&mut offline.session, Session::new(0))))
            }
        }
    }

    /// Takes the session back from a connection that is over, and does with the will what its fate
    /// is.
    pub(crate) fn detach(&mut self, now: Instant, id: ConnectionId, fate: WillFate) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(subscriber) = connection.subscriber.take() else {
            return;
        };
        let will = connection.will.take().filter(|_| fate == WillFate::Publish);
        connection.replays.clear();
        if let Some(at) = connection.replay_at.take() {
            self.deadlines.remove(&(at, Deadline::Replay(id)));
        }
        let expiry = connection.server.session_expiry().min(self.config.max_session_expiry);
        let Some(session) = connection.server.take_session() else {
            return;
        };
        let delay = |will: &Publication<Bytes>| will.message.properties.will_delay_interval();
        let will = will.map(|will| (after(now, delay(&will).unwrap_or(0)), will));
        let expires = after(now, expiry);
        if let Some(expires) = expires {
            self.deadlines.insert((expires, Deadline::Session(subscriber)));
        }
        // A delay of 0xFFFFFFFF is no promise of eternity: the end of the session publishes it.
        let will = will.map(|(at, will)| (at.unwrap_or(Instant::from_micros(u64::MAX)), will));
        if let Some((at, _)) = &will {
            self.deadlines.insert((*at, Deadline::Will(subscriber)));
        }
        if let Some(client) = self.sessions.get_mut(subscriber) {
            client.place = Place::Offline(Box::new(Offline { session, expires, will }));
        }
        // What is due at once is done at once. A session that ends here publishes its will by
        // itself, once it is no member of a shared group any more.
        self.session_timeout(now, subscriber);
        self.will_timeout(now, subscriber);
    }

    /// Publishes a will whose time has come.
    pub(crate) fn will_timeout(&mut self, now: Instant, subscriber: SubscriberId) {
        let Some(ClientSession { place: Place::Offline(offline), .. }) =
            self.sessions.get_mut(subscriber)
        else {
            return;
        };
        if let Some((at, will)) = offline.will.take_if(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, Deadline::Will(subscriber)));
            self.publish(now, Some(subscriber), &will.as_ref());
        }
    }

    /// Ends a session whose time has come.
    pub(crate) fn session_timeout(&mut self, now: Instant, subscriber: SubscriberId) {
        if let Some(ClientSession { place: Place::Offline(offline), .. }) =
            self.sessions.get(subscriber)
            && offline.expires.is_some_and(|at| at <= now)
        {
            self.end_session(now, subscriber);
        }
    }

    /// Forgets a session that has no connection; a will that waited is published [MQTT-3.1.2-8].
    fn end_session(&mut self, now: Instant, subscriber: SubscriberId) {
        let Some(client) = self.sessions.remove(subscriber) else {
            return;
        };
        self.subscriptions.remove_subscriber(subscriber);
        if let Place::Offline(offline) = client.place {
            let Offline { expires, will, .. } = *offline;
            if let Some(at) = expires {
                self.deadlines.remove(&(at, Deadline::Session(subscriber)));
            }
            if let Some((at, will)) = will {
                self.deadlines.remove(&(at, Deadline::Will(subscriber)));
                self.publish(now, None, &will.as_ref());
            }
        }
    }

    /// A client identifier that no session has [MQTT-3.1.3-6].
    fn assign_client_id(&mut self) -> Str<Bytes> {
        loop {
            self.assigned += 1;
            let name = format!("auto-{:016x}", mix(self.seed.wrapping_add(self.assigned)));
            if self.sessions.find(name.as_bytes()).is_none() {
                return Str::try_from(name).expect("ASCII, without NUL and short");
            }
        }
    }
}

/// One step of SplitMix64: neighbouring numbers in, unrelated numbers out.
const fn mix(number: u64) -> u64 {
    let mut number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
