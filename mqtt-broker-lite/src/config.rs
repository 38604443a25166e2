//! What a broker allows.

use mqtt_session::ServerConfig;

/// The limits of a broker. Everything a peer can make it keep has one.
///
/// Memory, at most: for each connection 1 KiB, twice [`ServerConfig::max_transmit`], one packet of
/// [`ServerConfig::max_packet_size`] on its way in and one on its way out; for each session 500
/// bytes, its client identifier and its will, [`ServerConfig::max_queued`] messages of 150 bytes
/// and themselves, and `max_subscriptions` filters of 150 bytes, 60 for each level, and themselves;
/// for each retained message 300 bytes and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// The limits of each connection and its session.
    pub server: ServerConfig,
    /// How many network connections are open at the same time; 10,000 by default. Beyond it a new
    /// one is closed at once.
    pub max_connections: usize,
    /// How many sessions there are at the same time, connected or not; 100,000 by default. Beyond
    /// it a new client is refused with Quota exceeded.
    pub max_sessions: usize,
    /// For how many seconds a session is kept after its connection; `u32::MAX`, for ever, by
    /// default. 5.0 clients are told when they asked for more.
    pub max_session_expiry: u32,
    /// How many subscriptions one session has; 1,000 by default. Beyond it a filter is refused
    /// with Quota exceeded.
    pub max_subscriptions: usize,
    /// How many levels a topic filter has; 128 by default. Beyond it a filter is refused with
    /// Quota exceeded.
    pub max_filter_levels: usize,
    /// How many messages are retained; 100,000 by default. Beyond it new topics are refused with
    /// Quota exceeded.
    pub max_retained: usize,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            max_connections: 10_000,
            max_sessions: 100_000,
            max_session_expiry: u32::MAX,
            max_subscriptions: 1000,
            max_filter_levels: 128,
            max_retained: 100_000,
        }
    }
}
