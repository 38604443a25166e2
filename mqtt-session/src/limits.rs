//! What a server takes from this client.

use core::time::Duration;

use bytes::Bytes;
use mqtt_proto::{Properties, QoS, ReasonCode, SubscribeFilters};

use crate::{ClientOptions, CommandError};

/// What CONNACK ruled out, until the next one.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct ServerLimits {
    pub(crate) maximum_qos: QoS,
    pub(crate) retain_available: bool,
    wildcards: bool,
    identifiers: bool,
    shared: bool,
    pub(crate) keep_alive: Duration,
    pub(crate) session_lasts: bool,
}

impl ServerLimits {
    /// Before any CONNACK.
    pub(crate) const fn unknown(options: &ClientOptions) -> Self {
        Self {
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcards: true,
            identifiers: true,
            shared: true,
            keep_alive: Duration::ZERO,
            session_lasts: options.lasts(),
        }
    }

    /// What is not mentioned is allowed, or as the client asked for it.
    pub(crate) fn learn(options: &ClientOptions, properties: &Properties<Bytes>) -> Self {
        let keep_alive = properties.server_keep_alive().unwrap_or(options.keep_alive);
        Self {
            maximum_qos: match properties.maximum_qos() {
                None => QoS::ExactlyOnce,
                Some(true) => QoS::AtLeastOnce,
                Some(false) => QoS::AtMostOnce,
            },
            retain_available: properties.retain_available().unwrap_or(true),
            wildcards: properties.wildcard_subscription_available().unwrap_or(true),
            identifiers: properties.subscription_identifier_available().unwrap_or(true),
            shared: properties.shared_subscription_available().unwrap_or(true),
            keep_alive: Duration::from_secs(keep_alive.into()),
            session_lasts: match properties.session_expiry_interval() {
                None => options.lasts(),
                Some(seconds) => seconds > 0,
            },
        }
    }

    /// That CONNACK did not rule the filters out (sections 3.2.2.3.11 to 3.2.2.3.13).
    pub(crate) fn check_filters(
        &self,
        filters: &SubscribeFilters<Bytes>,
        properties: &Properties<Bytes>,
    ) -> Result<(), CommandError> {
        let Self { wildcards, identifiers, shared, .. } = *self;
        if !identifiers && properties.subscription_identifier().is_some() {
            return Err(CommandError::NotSupported(
                ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
            ));
        }
        for (filter, _) in filters.iter() {
            if !shared && filter.shared().is_some() {
                return Err(CommandError::NotSupported(
                    ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
                ));
            }
            if !wildcards && filter.has_wildcard() {
                return Err(CommandError::NotSupported(
                    ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
                ));
            }
        }
        Ok(())
    }
}
