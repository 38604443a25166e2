//! The sessions by client identifier, connected or not.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use bytes::Bytes;
use mqtt_session::{
    Instant, Session,
    proto::{Publication, Str},
};

use crate::{ConnectionId, subscriptions::SubscriberId};

/// What the broker keeps for a client identifier.
#[derive(Debug)]
pub(crate) struct ClientSession {
    pub(crate) client_id: Str<Bytes>,
    pub(crate) place: Place,
    /// How many subscriptions it has.
    pub(crate) subscriptions: usize,
}

/// Where a session is.
#[derive(Debug)]
pub(crate) enum Place {
    /// Lent to a connection.
    Connected(ConnectionId),
    /// Waiting for its client.
    Offline(Box<Offline>),
}

/// What a session without a connection needs.
#[derive(Debug)]
pub(crate) struct Offline {
    pub(crate) session: Session,
    /// When it ends; `None` for never.
    pub(crate) expires: Option<Instant>,
    /// What is to be published at this time, unless the client comes back before.
    pub(crate) will: Option<(Instant, Publication<Bytes>)>,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    slots: Vec<Option<ClientSession>>,
    free: Vec<u32>,
    by_client_id: BTreeMap<Bytes, SubscriberId>,
}

impl Sessions {
    pub(crate) fn find(&self, client_id: &[u8]) -> Option<SubscriberId> {
        self.by_client_id.get(client_id).copied()
    }

    /// A new session, lent to this connection. There is none of this client identifier.
    pub(crate) fn insert(
        &mut self,
        client_id: Str<Bytes>,
        connection: ConnectionId,
    ) -> SubscriberId {
        let key = client_id.clone().into_inner();
        let session = Some(ClientSession {
            client_id,
            place: Place::Connected(connection),
            subscriptions: 0,
        });
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("fewer sessions than addresses")
        });
        self.slots[index as usize] = session;
        let before = self.by_client_id.insert(key, SubscriberId(index));
        debug_assert!(before.is_none(), "one session for each client identifier");
        SubscriberId(index)
    }

    pub(crate) fn remove(&mut self, id: SubscriberId) -> Option<ClientSession> {
        let session = self.slots.get_mut(id.0 as usize)?.take()?;
        self.by_client_id.remove(session.client_id.as_bytes());
        self.free.push(id.0);
        Some(session)
    }

    #[inline]
    pub(crate) fn get(&self, id: SubscriberId) -> Option<&ClientSession> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: SubscriberId) -> Option<&mut ClientSession> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SubscriberId, &ClientSession)> {
        self.slots
            .iter()
            .zip(0..)
            .filter_map(|(slot, index)| slot.as_ref().map(|slot| (SubscriberId(index), slot)))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_client_id.len()
    }
}
