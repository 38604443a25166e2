//! What is searched: two sides, and what may happen to them how often.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use mqtt_proto::{ProtocolVersion, QoS, Role};

use crate::{ClientOptions, ServerConfig};

/// What is the same in every state of one search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) version: ProtocolVersion,
    /// Of the messages in turn.
    pub(super) qos: [QoS; 2],
    /// Whether sessions outlive connections; then they are journaled.
    pub(super) lasts: bool,
    /// Whether only the client notices a cut: the server goes on with what it has not read yet,
    /// until it comes to the end of it or the client comes back.
    pub(super) takeover: bool,
    /// Whether the client acknowledges messages by itself. Otherwise its application does, as the
    /// server's does in any case: later, and in any order.
    pub(super) automatic: bool,
    /// The Receive Maximum of both sides; in 3.1.1 the most that they send.
    pub(super) window: u16,
    /// In seconds, 0 for none.
    pub(super) keep_alive: u16,
    pub(super) ack_timeout: Option<Duration>,
    pub(super) bounds: Bounds,
}

/// How often the world may do what it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounds {
    /// Messages that the client and the server publish.
    pub(super) messages: [u8; 2],
    /// Connections lost, by a cut or by a deadline that passed.
    pub(super) cuts: u8,
    /// Processes that end, with everything that they have not written down.
    pub(super) crashes: u8,
    /// Messages that an application refuses; 3.1.1 has no word for it.
    pub(super) refusals: u8,
    /// Losses of the server's session.
    pub(super) losses: u8,
    /// Repetitions on the same connection of what was not acknowledged in time; 3.1.1 only.
    pub(super) repeats: u8,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The next message is published, whether there is a connection or not.
    Publish(Role),
    /// The client opens a network connection.
    Connect,
    /// The next packet arrives at the client.
    ToClient,
    /// The next packet arrives at the server, on this connection.
    ToServer(usize),
    /// An application accepts a message that it was given, the first or a later one.
    Accept(Role, usize),
    /// An application refuses one.
    Refuse(Role, usize),
    /// The client finds that its connection has ended.
    EndClient,
    /// The server finds that this connection has ended, and reads no more of it.
    EndServer(usize),
    /// The connection is cut, and what was under way is lost.
    Cut,
    /// Nothing happens before the next deadline.
    Tick,
    /// The server loses the session of a client that is away.
    Lose,
    /// A process ends, between two calls.
    Crash(Role),
}

/// An action, and whose process ends in the middle of it: after so many commits, and before
/// anything that follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) crash: Option<(Role, u8)>,
}

impl Action {
    pub(super) fn all() -> Vec<Self> {
        use Action::{
            Accept, Connect, Crash, Cut, EndClient, EndServer, Lose, Publish, Refuse, Tick,
        };
        let mut all = vec![Connect, Self::ToClient, EndClient, Cut, Tick, Lose];
        for role in [Role::Client, Role::Server] {
            all.extend([Publish(role), Crash(role)]);
            all.extend([0, 1].map(|at| Accept(role, at)));
            all.extend([0, 1].map(|at| Refuse(role, at)));
        }
        all.extend([0, 1].map(Self::ToServer));
        all.extend([0, 1].map(EndServer));
        all
    }

    /// Whether it happens sooner or later where nothing else does.
    pub(super) const fn is_progress(self) -> bool {
        use Action::{Accept, Connect, EndClient, EndServer, ToClient, ToServer};
        matches!(self, Connect | ToClient | ToServer(_) | Accept(..) | EndClient | EndServer(_))
    }
}

/// How many messages a session may hold: more than there are.
pub(super) const LIMIT: u16 = 100;

impl Setup {
    pub(super) fn options(&self) -> ClientOptions {
        let options = ClientOptions::new("c")
            .version(self.version)
            .keep_alive(self.keep_alive)
            .receive_maximum(self.window)
            .max_in_flight(self.window)
            .max_pending(LIMIT)
            .manual_acknowledgement(!self.automatic)
            .ack_timeout(self.ack_timeout)
            .journaled(self.lasts);
        match (self.version, self.lasts) {
            (ProtocolVersion::V311, lasts) => options.clean_start(!lasts),
            // The first connection discards what was before.
            (ProtocolVersion::V5, true) => {
                options.session_expiry(u32::MAX).outbound_topic_aliases(1)
            }
            (ProtocolVersion::V5, false) => options,
        }
    }

    pub(super) fn config(&self) -> ServerConfig {
        ServerConfig {
            receive_maximum: self.window,
            max_in_flight: self.window,
            ack_timeout: self.ack_timeout,
            outbound_topic_aliases: 1,
            ..ServerConfig::default()
        }
    }
}
