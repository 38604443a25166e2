//! Subscription options, section 3.8.3.1.

use crate::{DecodeErrorKind, ProtocolVersion, QoS};

/// What a subscription asks for, one byte behind its filter. 3.1.1 has the QoS only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubscriptionOptions {
    /// The highest QoS the subscriber wants.
    pub qos: QoS,
    /// Whether messages that this client publishes are kept from it; not for shared subscriptions.
    pub no_local: bool,
    /// Whether forwarded messages keep the RETAIN flag they were published with.
    pub retain_as_published: bool,
    /// Which retained messages come when the subscription is made.
    pub retain_handling: RetainHandling,
}

/// Which retained messages a new subscription brings, section 3.8.3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RetainHandling {
    /// All that match.
    #[default]
    Send = 0,
    /// All that match, if the subscription did not exist before.
    SendIfNew = 1,
    /// None.
    DoNotSend = 2,
}

impl SubscriptionOptions {
    /// This QoS, and the defaults of everything else.
    #[must_use]
    pub const fn new(qos: QoS) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.qos.bits()
            | (self.no_local as u8) << 2
            | (self.retain_as_published as u8) << 3
            | (self.retain_handling as u8) << 4
    }

    /// Reads the byte on the wire.
    ///
    /// # Errors
    /// [`DecodeErrorKind`] for QoS 3, reserved bits [MQTT-3.8.3-5] and Retain Handling 3.
    pub const fn from_byte(byte: u8, version: ProtocolVersion) -> Result<Self, DecodeErrorKind> {
        let reserved = match version {
            ProtocolVersion::V311 => 0xfc,
            ProtocolVersion::V5 => 0xc0,
        };
        if byte & reserved != 0 {
            return Err(DecodeErrorKind::SubscriptionOptions);
        }
        let Some(qos) = QoS::from_bits(byte & 3) else {
            return Err(DecodeErrorKind::RequestedQoS3);
        };
        let retain_handling = match byte >> 4 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(DecodeErrorKind::RetainHandling),
        };
        Ok(Self {
            qos,
            no_local: byte & 4 != 0,
            retain_as_published: byte & 8 != 0,
            retain_handling,
        })
    }
}

impl From<QoS> for SubscriptionOptions {
    fn from(qos: QoS) -> Self {
        Self::new(qos)
    }
}
