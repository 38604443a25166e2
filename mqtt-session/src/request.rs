//! What goes into a [`ClientDriver`](crate::ClientDriver) and comes out of it.

use core::time::Duration;

use bytes::Bytes;
use mqtt_proto::{
    Auth, ConnAck, Properties, Publication, Publish, ReasonCode, ReasonCodes, SubscribeFilters,
    TopicFilter, UnsubscribeFilters,
};

use crate::{CallError, CloseReason, JournalEntry, Receipt};

/// What an application asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// See [`Client::publish`](crate::Client::publish).
    Publish(Publication<Bytes>),
    /// See [`Client::subscribe`](crate::Client::subscribe).
    Subscribe {
        /// What for.
        filters: SubscribeFilters<Bytes>,
        /// Subscription Identifier and User Properties in 5.0.
        properties: Properties<Bytes>,
    },
    /// See [`Client::unsubscribe`](crate::Client::unsubscribe).
    Unsubscribe {
        /// Which subscriptions.
        filters: UnsubscribeFilters<Bytes>,
        /// User Properties in 5.0.
        properties: Properties<Bytes>,
    },
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The handshake of a message is complete, with a code that is no error. At QoS 0 the message
    /// was handed to the connection.
    Acknowledged(ReasonCode),
    /// One code for each filter, errors among them; none for an unsubscribe in 3.1.1.
    Codes(ReasonCodes<Bytes>),
}

/// Where a client is, as its application sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// No server has accepted yet.
    Connecting,
    /// The server accepted, and said this.
    Connected(ConnAck<Bytes>),
    /// The connection was lost, and another one is waited for or being opened.
    Reconnecting {
        /// The number of the coming attempt, counted since a connection last held.
        attempt: u32,
        /// Why the last connection ended.
        reason: CloseReason,
    },
    /// All is over.
    Closed(CloseReason),
}

/// What a driver asks of its adapter, in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverAction<W> {
    /// A message for the application, in memory of its own. Say
    /// [`ClientDriver::handle_taken`](crate::ClientDriver::handle_taken)
    /// when it was taken.
    Deliver {
        /// The packet, with its topic name.
        publish: Publish<Bytes>,
        /// See [`ClientAction::Deliver`](crate::ClientAction::Deliver).
        receipt: Option<Receipt>,
    },
    /// See [`ClientAction::Auth`](crate::ClientAction::Auth).
    Auth(Auth<Bytes>),
    /// Write it down before anything that follows is acted upon or sent; only with
    /// [`ClientOptions::journaled`](crate::ClientOptions::journaled).
    Journal(JournalEntry),
    /// A call is over.
    Complete(W, Result<Answer, CallError>),
    /// The state is another one now.
    State(ConnectionState),
    /// The server has lost the session, and this subscription with it: see
    /// [`Resubscribe`](crate::Resubscribe).
    SubscriptionLost {
        /// What for.
        filter: TopicFilter<Bytes>,
        /// What SUBACK, or this side's knowledge of the server, said to taking it up again; `None` if
        /// it was not tried.
        reason: Option<ReasonCode>,
    },
    /// Close the network connection and call
    /// [`ClientDriver::handle_closed`](crate::ClientDriver::handle_closed).
    Close {
        /// Write what is to be transmitted first, but for no longer than this. `None` if there is
        /// nobody to read it.
        flush: Option<Duration>,
    },
    /// Open another network connection.
    Connect,
}

/// What a message counts for in
/// [`ClientOptions::max_undelivered`](crate::ClientOptions::max_undelivered): its bytes,
/// and its place in a queue.
#[must_use]
pub fn undelivered_size(publish: &Publish<Bytes>) -> usize {
    let message = &publish.message;
    message.topic.as_bytes().len()
        + message.payload.len()
        + message.properties.as_bytes().len()
        + 256
}
