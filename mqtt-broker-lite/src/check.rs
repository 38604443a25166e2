//! What must hold between any two calls.

use alloc::{collections::BTreeSet, vec::Vec};

use mqtt_session::proto::{TopicFilter, TopicName};

use crate::{
    Broker, BrokerAction, ConnectionId,
    broker::Deadline,
    connections::Connection,
    sessions::{ClientSession, Place},
    subscriptions::SubscriberId,
};

impl Broker {
    /// For tests and simulations: checks that everything the broker knows agrees with everything
    /// else it knows. Looks at all of it, each time.
    ///
    /// # Panics
    /// If it does not, which is a bug in this crate.
    pub fn check(&self) {
        let mut expected = BTreeSet::new();
        let mut connections = 0;
        for id in self.connections.ids() {
            let connection = self.connections.get(id).expect("its identifier is good");
            connections += 1;
            self.check_connection(id, connection);
            let deadline = connection.deadline.map(|at| (at, Deadline::Connection(id)));
            let replay = connection.replay_at.map(|at| (at, Deadline::Replay(id)));
            expected.extend(deadline.into_iter().chain(replay));
        }
        assert_eq!(connections, self.connections.len(), "free places are free");
        let mut subscriptions = 0;
        let mut sessions = 0;
        for (subscriber, client) in self.sessions.iter() {
            sessions += 1;
            subscriptions += client.subscriptions;
            self.check_session(subscriber, client);
            if let Place::Offline(offline) = &client.place {
                let expires = offline.expires.map(|at| (at, Deadline::Session(subscriber)));
                let will = offline.will.as_ref().map(|(at, _)| (*at, Deadline::Will(subscriber)));
                expected.extend(expires.into_iter().chain(will));
            }
        }
        assert_eq!(sessions, self.sessions.len(), "every session has a name of its own");
        assert_eq!(subscriptions, self.subscriptions.len(), "every subscription has a session");
        assert_eq!(self.deadlines, expected, "every deadline is somebody's");
        assert!(connections <= self.config.max_connections);
        assert!(sessions <= self.config.max_sessions);
        assert!(self.retained.len() <= self.config.max_retained);
        for expiry in &self.expiring {
            let name = TopicName::new(&expiry.1[..]).expect("a name");
            let retained = self.retained.get(&name).expect("a message that is retained");
            assert_eq!(retained.expiry().as_ref(), Some(expiry));
        }
    }

    fn check_connection(&self, id: ConnectionId, connection: &Connection) {
        let Connection { server, subscriber, will, replays, deadline, .. } = connection;
        let place = subscriber.and_then(|subscriber| self.sessions.get(subscriber));
        match place.map(|client| &client.place) {
            Some(Place::Connected(theirs)) => assert_eq!(*theirs, id, "a session is lent once"),
            Some(Place::Offline(_)) => panic!("{id:?} has a session that is offline"),
            None => assert_eq!(*subscriber, None, "{id:?} has a session that has ended"),
        }
        assert_eq!(
            server.session().is_some(),
            subscriber.is_some(),
            "{id:?} gave its session back"
        );
        assert_eq!(server.is_connected(), subscriber.is_some(), "{id:?} is connected");
        if connection.closing {
            assert!(subscriber.is_none() && deadline.is_none(), "{id:?} is over");
        } else if let Some(at) = server.poll_timeout() {
            assert!(deadline.is_some_and(|armed| armed <= at), "{id:?} is looked at in time");
        }
        let Some(subscriber) = *subscriber else {
            assert!(will.is_none() && replays.is_empty() && connection.replay_at.is_none());
            return;
        };
        for filter in replays.keys() {
            let filter = TopicFilter::new(&filter[..]).expect("a filter");
            assert!(self.subscriptions.get(&filter, subscriber).is_some(), "{filter:?} is wanted");
        }
        let flushes =
            self.actions.iter().filter(|&action| *action == BrokerAction::Flush(id)).count();
        assert_eq!(flushes, usize::from(connection.flushing), "{id:?} is flushed once");
    }

    fn check_session(&self, subscriber: SubscriberId, client: &ClientSession) {
        let ClientSession { client_id, place, subscriptions } = client;
        assert_eq!(self.sessions.find(client_id.as_bytes()), Some(subscriber), "{client_id:?}");
        let filters = self.subscriptions.subscriber_filters(subscriber).collect::<Vec<_>>();
        assert_eq!(filters.len(), *subscriptions, "the subscriptions of {client_id:?}");
        assert!(filters.len() <= self.config.max_subscriptions);
        match place {
            Place::Connected(id) => {
                let connection = self.connections.get(*id).expect("a connection that is open");
                assert_eq!(connection.subscriber, Some(subscriber), "{client_id:?} is lent to it");
            }
            Place::Offline(offline) => {
                let limit = usize::from(self.config.server.max_queued);
                assert!(offline.session.open() <= limit, "what waits for {client_id:?}");
            }
        }
    }
}
