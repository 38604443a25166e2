//! Packet identifiers and qualities of service.

use core::{fmt, num::NonZeroU16};

/// Names a PUBLISH of QoS 1 or 2, a SUBSCRIBE or an UNSUBSCRIBE until its exchange ends: 1 to
/// 65,535 [MQTT-2.2.1-3]. Each direction of a session has its own space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The smallest identifier, 1.
    pub const MIN: Self = Self(NonZeroU16::MIN);
    /// The largest identifier, 65,535.
    pub const MAX: Self = Self(NonZeroU16::MAX);

    /// `None` for 0.
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        match NonZeroU16::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Debug for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<NonZeroU16> for PacketId {
    fn from(id: NonZeroU16) -> Self {
        Self(id)
    }
}

/// How hard a message is delivered, section 4.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0: no answer, no retry; arrives once or not at all.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: answered by PUBACK; arrives once or more often.
    AtLeastOnce = 1,
    /// QoS 2: PUBREC, PUBREL, PUBCOMP; arrives exactly once.
    ExactlyOnce = 2,
}

impl QoS {
    /// The QoS of two bits, `None` for 3.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// 0, 1 or 2.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for QoS {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bits().fmt(f)
    }
}

impl TryFrom<u8> for QoS {
    type Error = InvalidQoS;

    fn try_from(bits: u8) -> Result<Self, InvalidQoS> {
        Self::from_bits(bits).ok_or(InvalidQoS(bits))
    }
}

/// A number that is not a QoS; 0, 1 and 2 are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("QoS {0} does not exist: it is 0, 1 or 2")]
pub struct InvalidQoS(pub u8);
