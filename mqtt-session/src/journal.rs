//! What a session has to remember beyond a crash.

#[cfg(feature = "std")]
mod batch;
#[cfg(feature = "std")]
mod disk;
mod entry;
#[cfg(feature = "std")]
mod file;
#[cfg(feature = "std")]
mod store;

use bytes::Bytes;
use mqtt_proto::{PacketId, ProtocolVersion, Publication, Storage};

pub use entry::EntryError;
#[cfg(feature = "std")]
pub use file::{
    Damage, DamageCause, FileJournal, FileJournalError, FileJournalOptions, Restored, SyncPolicy,
};

use crate::Instant;

/// One change of a [`Session`](crate::Session), to be written down before anything that follows it
/// is acted upon or sent. All entries in their order are a journal; see
/// [`Session::restore`](crate::Session::restore).
///
/// An entry of the first kind has the message; the others are an identifier each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalEntry {
    /// A message of QoS 1 or 2 was accepted, to be sent.
    Accepted {
        /// Its identifier, taken until [`Finished`](Self::Finished).
        id: PacketId,
        /// When, for its Message Expiry Interval. The epoch must be one that outlives the process,
        /// such as the Unix epoch.
        accepted: Instant,
        /// Whether it was sent as well.
        sent: bool,
        /// The message.
        publication: Publication<Bytes>,
    },
    /// It was sent for the first time: from here on it is sent with DUP, and does not expire.
    Sent {
        /// Which.
        id: PacketId,
    },
    /// PUBREC came: the message may be forgotten, the identifier not.
    Released {
        /// Which.
        id: PacketId,
    },
    /// The exchange is over and the identifier free.
    Finished {
        /// Which.
        id: PacketId,
    },
    /// A QoS 2 message of the peer was accepted: the next PUBLISH with this identifier is a
    /// repetition.
    Held {
        /// Which.
        id: PacketId,
    },
    /// PUBREL came: the next PUBLISH with this identifier is a new message.
    Freed {
        /// Which.
        id: PacketId,
    },
    /// Both sides have this session: the next connection resumes it. Before the first of these, and
    /// after [`PeerLost`](Self::PeerLost), a client begins a new one, so that nothing is left at the
    /// server of a session it does not know. Whatever says that something was sent or received says
    /// this as well.
    SessionPresent,
    /// The peer has lost its session, or is to: every exchange that it may have known of is over.
    /// Messages that were never sent stay.
    PeerLost,
}

/// A list of entries that no session has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// An identifier is taken twice.
    #[error("packet identifier {0} is taken twice")]
    Taken(PacketId),
    /// A message that was sent or released was never accepted, or not at this QoS, or was sent before
    /// one that was accepted earlier.
    #[error("packet identifier {0} belongs to no message of which this can be said")]
    Unknown(PacketId),
    /// A message of QoS 0, which has no identifier.
    #[error("the message of packet identifier {0} is of QoS 0")]
    AtMostOnce(PacketId),
    /// More messages than the session may hold.
    #[error("there are more messages than the limit of {0}")]
    Limit(u16),
}

/// The version of the PUBLISH that a message is kept as: 5.0 if it has properties. Without any the
/// packet of 3.1.1 is a byte shorter, and so every message fits that either version can send.
pub(crate) fn kept_version<B: Storage>(publication: &Publication<B>) -> ProtocolVersion {
    if publication.message.properties.is_empty() {
        ProtocolVersion::V311
    } else {
        ProtocolVersion::V5
    }
}
