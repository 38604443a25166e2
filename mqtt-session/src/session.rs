//! What outlives a network connection.

use bytes::Bytes;
use mqtt_proto::{PacketId, Publication, QoS, TopicName};

use crate::{
    Instant, PublishError,
    connection::check_alias,
    qos::{PacketIdSet, Receiver, Sender, transition::SendState},
};

/// The Session State of section 4.1 as far as it concerns one client and one server, either of
/// them: messages sent and not acknowledged, messages waiting, and QoS 2 messages received and not
/// released. Subscriptions are a server's own affair.
///
/// A [`Client`](crate::Client) has one for its life. A server keeps one for each client identifier,
/// lends it to a [`Server`](crate::Server) while that client is connected, and gets it back.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    limit: u16,
}

impl Session {
    /// Nothing sent and nothing received. At most `limit` messages wait or are in flight at the
    /// same time; each costs about 150 bytes and itself.
    #[must_use]
    pub const fn new(limit: u16) -> Self {
        Self { sender: Sender::new(limit), receiver: Receiver::new(), limit }
    }

    /// Queues a message of QoS 1 or 2 for the time when there is a connection.
    ///
    /// The message is kept as it is: [`detach`](Publication::detach) it first if it shares a read
    /// buffer.
    ///
    /// # Errors
    /// [`PublishError::NotConnected`] for QoS 0, [`PublishError::Full`],
    /// [`PublishError::TopicAlias`].
    pub fn publish(
        &mut self,
        now: Instant,
        publication: Publication<Bytes>,
    ) -> Result<PacketId, PublishError> {
        if publication.qos == QoS::AtMostOnce {
            return Err(PublishError::NotConnected);
        }
        check_alias(&publication.message)?;
        self.sender.accept(now, publication).ok_or(PublishError::Full { limit: self.limit })
    }

    /// The topic names of the messages that were never sent, in their order.
    pub fn waiting(&self) -> impl Iterator<Item = (PacketId, &TopicName<Bytes>)> {
        self.sender.waiting().map(|(id, publication)| (id, &publication.message.topic))
    }

    /// How many packet identifiers are in use: messages waiting or in flight, and requests.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.sender.taken() as usize
    }

    /// What the exchange of this identifier awaits, if the message was sent.
    #[must_use]
    pub fn send_state(&self, id: PacketId) -> Option<SendState> {
        self.sender.send_state(id)
    }

    /// The QoS 2 messages that were delivered and not yet released.
    #[must_use]
    pub const fn received(&self) -> &PacketIdSet {
        self.receiver.held()
    }
}
