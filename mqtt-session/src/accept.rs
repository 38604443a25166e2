//! A server's yes.

use bytes::Bytes;
use mqtt_proto::{
    ConnAck, Packet, Properties, PropertiesBuilder, Property, ProtocolVersion, ReasonCode, Str,
};

use crate::ServerConfig;

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

impl Accept {
    /// The CONNACK that says this; in 3.1.1 it has no properties to say it with.
    pub(crate) fn connack(&self, version: ProtocolVersion, config: &ServerConfig) -> Packet<Bytes> {
        Packet::ConnAck(ConnAck {
            session_present: self.session_present,
            reason: ReasonCode::SUCCESS,
            properties: match version {
                ProtocolVersion::V311 => Properties::EMPTY,
                ProtocolVersion::V5 => self.properties(config),
            },
        })
    }

    fn properties(&self, config: &ServerConfig) -> Properties<Bytes> {
        let mut properties = PropertiesBuilder::new();
        let client_id = self.assigned_client_id.as_ref();
        let limits = [
            Some(Property::ReceiveMaximum(config.receive_maximum)),
            Some(Property::MaximumPacketSize(config.max_packet_size)),
            Some(Property::TopicAliasMaximum(config.topic_alias_maximum)),
            self.session_expiry.map(Property::SessionExpiryInterval),
            self.keep_alive.map(Property::ServerKeepAlive),
            client_id.map(|id| Property::AssignedClientIdentifier(id.as_str())),
        ];
        for property in limits.into_iter().flatten() {
            // Each is there once, and its value was checked with the configuration.
            let _ = properties.push(property);
        }
        properties.build()
    }
}
