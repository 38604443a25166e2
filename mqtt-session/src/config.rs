//! What a server allows its clients.

use core::time::Duration;

use mqtt_proto::{MAX_PACKET_SIZE, QoS};

use crate::{connection::Limits, options::long_enough};

/// The limits of a server, the same for all its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// How long CONNECT may take; 10 seconds by default.
    pub connect_timeout: Duration,
    /// The largest packet that is read, in bytes; 1 MiB by default. 5.0 clients are told.
    pub max_packet_size: u32,
    /// How many messages of QoS 1 and 2 a client may send before one is acknowledged; 1,024 by
    /// default, never 0. Costs nothing but identifiers, at most 10 KiB for each client. 5.0
    /// clients are told.
    pub receive_maximum: u16,
    /// How many topic aliases a client may use; 16 by default. Each costs its topic name. 5.0
    /// clients are told.
    pub topic_alias_maximum: u16,
    /// How many topic aliases the server uses for what it sends, if the client takes as many; 0 by
    /// default, none. They are given to the topics that come most. Each costs about 100 bytes for
    /// each client, and a topic name of more than 38 bytes itself.
    pub outbound_topic_aliases: u16,
    /// The highest QoS that clients may publish at; 2 by default. 5.0 clients are told, and
    /// disconnected if they exceed it; in 3.1.1 there are no words for it, and no limit.
    pub maximum_qos: QoS,
    /// Whether clients may publish with RETAIN; by default they may. As [`maximum_qos`](Self::maximum_qos).
    pub retain_available: bool,
    /// Whether clients may subscribe with wildcards; by default they may. 5.0 clients are told. See
    /// [`Server::check_filter`](crate::Server::check_filter).
    pub wildcard_subscriptions: bool,
    /// Whether clients may give their subscriptions an identifier; by default they may. As
    /// [`wildcard_subscriptions`](Self::wildcard_subscriptions).
    pub subscription_identifiers: bool,
    /// Whether clients may share subscriptions; by default they may. As
    /// [`wildcard_subscriptions`](Self::wildcard_subscriptions).
    pub shared_subscriptions: bool,
    /// How many messages of QoS 1 and 2 wait or are in flight for a client at the same time; 1,000
    /// by default, never 0. Each costs about 150 bytes and itself.
    pub max_queued: u16,
    /// How many of them are in flight, if the client allows as many; 100 by default, never 0. The
    /// only limit in 3.1.1.
    pub max_in_flight: u16,
    /// How many bytes wait for a client that does not read; 256 KiB by default. Above it QoS 0 is
    /// dropped, and QoS 1 and 2 wait in the session. One packet may exceed it, and the answers to
    /// what the client sends may take as much again, at least 16 KiB.
    pub max_transmit: usize,
    /// How long a client may take to answer a PUBLISH of QoS 1 or 2, or a PUBREL; for ever by
    /// default, never less than a millisecond. After it 5.0 clients are disconnected, to resume
    /// their session; to 3.1.1 clients everything that is open is sent again, PUBLISH with DUP. An
    /// identifier that was sent again rests until the next connection; when as many rest as may be
    /// queued, 3.1.1 clients are disconnected too.
    pub ack_timeout: Option<Duration>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            max_packet_size: 1024 * 1024,
            receive_maximum: 1024,
            topic_alias_maximum: 16,
            outbound_topic_aliases: 0,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcard_subscriptions: true,
            subscription_identifiers: true,
            shared_subscriptions: true,
            max_queued: 1000,
            max_in_flight: 100,
            max_transmit: 256 * 1024,
            ack_timeout: None,
        }
    }
}

impl ServerConfig {
    /// 0 would be a protocol error to announce, and nothing could be received or sent, or be
    /// answered in time.
    pub(crate) fn legal(mut self) -> Self {
        self.max_packet_size = self.max_packet_size.clamp(1, MAX_PACKET_SIZE);
        self.receive_maximum = self.receive_maximum.max(1);
        self.max_in_flight = self.max_in_flight.max(1);
        self.ack_timeout = self.ack_timeout.map(long_enough);
        self
    }

    /// What this side announces.
    pub(crate) const fn limits(&self) -> Limits {
        Limits {
            max_packet_size: self.max_packet_size,
            receive_maximum: self.receive_maximum,
            topic_alias_maximum: self.topic_alias_maximum,
            transmit_limit: self.max_transmit,
            ack_timeout: self.ack_timeout,
        }
    }
}
