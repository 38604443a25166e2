//! A server's yes.

use bytes::Bytes;
use mqtt_proto::Str;

/// How a CONNECT is accepted.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    /// Whether the session existed before.
    pub session_present: bool,
    /// The identifier chosen for a client that had none.
    pub assigned_client_id: Option<Str<Bytes>>,
    /// How long the session lives after the connection in seconds, if not as long as the client
    /// asked for.
    pub session_expiry: Option<u32>,
    /// The keep alive in seconds, if not the client's. 3.1.1 clients are not told.
    pub keep_alive: Option<u16>,
}
