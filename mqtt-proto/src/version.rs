//! Which of the two wire formats a connection speaks.

use core::fmt;

/// The protocol version of a network connection, fixed by its CONNECT.
///
/// One packet set serves both: 3.1.1 is 5.0 with empty property lists and fewer reason codes, so
/// the version is an argument of the codec and not a second set of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5.0, protocol level 5.
    V5,
}

impl ProtocolVersion {
    /// The Protocol Level (3.1.1) or Protocol Version (5.0) byte of CONNECT, section 3.1.2.2.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }

    /// The version that a level byte stands for, if it is one of ours.
    #[must_use]
    pub const fn from_level(level: u8) -> Option<Self> {
        match level {
            4 => Some(Self::V311),
            5 => Some(Self::V5),
            _ => None,
        }
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        })
    }
}

/// The two ends of a connection. A decoder is told whose packets it reads, because some packets,
/// reason codes and properties are legal from one side only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The side that opened the connection and sent CONNECT.
    Client,
    /// The side that accepted it and sent CONNACK.
    Server,
}
