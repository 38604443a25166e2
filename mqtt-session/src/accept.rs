//! A server's yes.

use bytes::Bytes;
use mqtt_proto::{
    ConnAck, Packet, Properties, PropertiesBuilder, Property, ProtocolVersion, QoS, ReasonCode, Str,
};

use crate::{CommandError, ServerConfig, auth::Authentication};

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
    /// The last word of enhanced authentication, if it has data; the method is said in any case.
    pub authentication_data: Option<Bytes>,
    /// Answers Request Response Information: a prefix for response topics (section 3.2.2.3.15). Said
    /// only to a client that asked for it [MQTT-3.1.2-28].
    pub response_information: Option<Str<Bytes>>,
}

impl Accept {
    /// That it can be said at all.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        match self.authentication_data.as_ref().map(Bytes::len) {
            Some(size) if size > u16::MAX.into() => Err(CommandError::AuthenticationData { size }),
            _ => Ok(()),
        }
    }

    /// The CONNACK that says this; in 3.1.1 it has no properties to say it with.
    pub(crate) fn connack(
        &self,
        version: ProtocolVersion,
        config: &ServerConfig,
        auth: Option<&Authentication>,
        response_information: bool,
    ) -> Packet<Bytes> {
        Packet::ConnAck(ConnAck {
            session_present: self.session_present,
            reason: ReasonCode::SUCCESS,
            properties: match version {
                ProtocolVersion::V311 => Properties::EMPTY,
                ProtocolVersion::V5 => self.properties(config, auth, response_information),
            },
        })
    }

    fn properties(
        &self,
        config: &ServerConfig,
        auth: Option<&Authentication>,
        response_information: bool,
    ) -> Properties<Bytes> {
        let mut properties = PropertiesBuilder::new();
        let client_id = self.assigned_client_id.as_ref();
        let limits = [
            Some(Property::ReceiveMaximum(config.receive_maximum)),
            Some(Property::MaximumPacketSize(config.max_packet_size)),
            Some(Property::TopicAliasMaximum(config.topic_alias_maximum)),
            match config.maximum_qos {
                QoS::AtMostOnce => Some(Property::MaximumQoS(false)),
                QoS::AtLeastOnce => Some(Property::MaximumQoS(true)),
                QoS::ExactlyOnce => None,
            },
            (!config.retain_available).then_some(Property::RetainAvailable(false)),
            (!config.wildcard_subscriptions)
                .then_some(Property::WildcardSubscriptionAvailable(false)),
            (!config.subscription_identifiers)
                .then_some(Property::SubscriptionIdentifierAvailable(false)),
            (!config.shared_subscriptions).then_some(Property::SharedSubscriptionAvailable(false)),
            self.response_information
                .as_ref()
                .filter(|_| response_information)
                .map(|prefix| Property::ResponseInformation(prefix.as_str())),
            self.session_expiry.map(Property::SessionExpiryInterval),
            self.keep_alive.map(Property::ServerKeepAlive),
            client_id.map(|id| Property::AssignedClientIdentifier(id.as_str())),
        ];
        let data = self.authentication_data.as_deref().unwrap_or_default();
        let auth = auth.into_iter().flat_map(|auth| auth.properties(data));
        for property in limits.into_iter().flatten().chain(auth) {
            // Each is there once, and its value was checked here or with the configuration.
            let _ = properties.push(property);
        }
        properties.build()
    }
}
