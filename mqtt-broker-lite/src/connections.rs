//! The open network connections.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use core::fmt;

use bytes::Bytes;
use mqtt_session::{Instant, Server, proto::Publication};

use crate::{subscribing::Replay, subscriptions::SubscriberId};

/// Names a connection for as long as the broker lives: no later connection is taken for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    index: u32,
    generation: u32,
}

impl ConnectionId {
    /// Where the connection is in a dense table: small, and used again once the connection is
    /// closed.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) server: Server,
    /// Whose it is, once CONNECT was accepted and until the session is taken from it.
    pub(crate) subscriber: Option<SubscriberId>,
    pub(crate) will: Option<Publication<Bytes>>,
    /// Retained messages on their way, by the bytes of their filter: one for each subscription at
    /// most.
    pub(crate) replays: BTreeMap<Bytes, Replay>,
    /// When to go on with them, if it is not the client that holds them up.
    pub(crate) replay_at: Option<Instant>,
    /// The time its entry among the deadlines has.
    pub(crate) deadline: Option<Instant>,
    /// Whether a [`Flush`](crate::BrokerAction::Flush) is among the actions.
    pub(crate) flushing: bool,
    /// Whether a [`Close`](crate::BrokerAction::Close) was given.
    pub(crate) closing: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Connections {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    generation: u32,
    connection: Option<Box<Connection>>,
}

impl Connections {
    pub(crate) fn insert(&mut self, server: Server) -> ConnectionId {
        let connection = Some(Box::new(Connection {
            server,
            subscriber: None,
            will: None,
            replays: BTreeMap::new(),
            replay_at: None,
            deadline: None,
            flushing: false,
            closing: false,
        }));
        if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            entry.connection = connection;
            return ConnectionId { index, generation: entry.generation };
        }
        let index = u32::try_from(self.entries.len()).expect("fewer connections than addresses");
        self.entries.push(Entry { generation: 0, connection });
        ConnectionId { index, generation: 0 }
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Box<Connection>> {
        let entry = self.entries.get_mut(id.index())?;
        if entry.generation != id.generation {
            return None;
        }
        let connection = entry.connection.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(connection)
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let entry = self.entries.get(id.index())?;
        entry.connection.as_deref().filter(|_| entry.generation == id.generation)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let entry = self.entries.get_mut(id.index())?;
        entry.connection.as_deref_mut().filter(|_| entry.generation == id.generation)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.entries
            .iter()
            .zip(0..)
            .filter(|(entry, _)| entry.connection.is_some())
            .map(|(entry, index)| ConnectionId { index, generation: entry.generation })
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}
