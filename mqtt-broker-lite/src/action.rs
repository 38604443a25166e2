//! What the broker asks of its driver.

use mqtt_session::{CloseReason, Outcome};

use crate::ConnectionId;

/// What is to be done about a connection, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerAction {
    /// There are bytes to write: take them from [`Broker::transmit`](crate::Broker::transmit), call
    /// [`Broker::handle_flushed`](crate::Broker::handle_flushed) when some were written.
    Flush(ConnectionId),
    /// Write what is left, close the network connection and call
    /// [`Broker::handle_closed`](crate::Broker::handle_closed).
    Close(ConnectionId, CloseReason),
}

/// What went through a broker since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Messages that clients published.
    pub received: u64,
    /// Copies of them that were handed to the connections and sessions of subscribers.
    pub delivered: u64,
    /// Copies that were dropped because the queue of their session or connection was full.
    pub dropped_full: u64,
    /// Copies that were dropped because they were larger than their subscriber takes.
    pub dropped_too_large: u64,
}

impl BrokerStats {
    /// A copy that a session had kept was not sent after all.
    pub(crate) fn ended(&mut self, outcome: Outcome) {
        if outcome == Outcome::TooLarge {
            self.dropped_too_large += 1;
        }
    }
}
