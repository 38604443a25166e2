//! Entries as bytes.
//!
//! The first byte has the version of the format in its upper four bits, 1 until further notice, and
//! the kind of entry in the lower four; what follows depends on it. Numbers are big endian, as in
//! MQTT.
//!
//! | kind | entry | follows |
//! | --- | --- | --- |
//! | 1 | `Accepted`, with properties | 8 bytes, microseconds of `accepted`; a PUBLISH of MQTT 5.0 |
//! | 2 | `Accepted`, without | 8 bytes, the same; a PUBLISH of MQTT 3.1.1 |
//! | 3 | `Sent` | 2 bytes, the packet identifier |
//! | 4 | `Released` | the same |
//! | 5 | `Finished` | the same |
//! | 6 | `Held` | the same |
//! | 7 | `Freed` | the same |
//! | 8 | `SessionPresent` | |
//! | 9 | `PeerLost` | |
//!
//! The PUBLISH has the packet identifier of the entry, and DUP if the message was sent. Without
//! properties it is one of 3.1.1, a byte shorter than in 5.0 and as long as the shortest packet that
//! can carry the message: whatever a session accepts can be written down.

use bytes::BufMut;
use mqtt_proto::{
    DecodeError, Decoder, Delivery, EncodeError, Packet, PacketId, PropertyId, ProtocolVersion,
    Publication, Publish, QoS, Role, Status,
};

use super::{JournalEntry, kept_version};
use crate::Instant;

const VERSION: u8 = 1;

const ACCEPTED_5: u8 = 1;
const ACCEPTED_311: u8 = 2;
const SENT: u8 = 3;
const RELEASED: u8 = 4;
const FINISHED: u8 = 5;
const HELD: u8 = 6;
const FREED: u8 = 7;
const SESSION_PRESENT: u8 = 8;
const PEER_LOST: u8 = 9;

/// Bytes that are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// They end inside of it.
    #[error("the bytes end inside of an entry")]
    UnexpectedEnd,
    /// Of another version of the format.
    #[error("version {0} of journal entries is not known here")]
    Version(u8),
    /// A kind of entry that this version of the format does not have.
    #[error("there is no kind of journal entry with the number {0}")]
    Kind(u8),
    /// Packet identifiers are 1 to 65,535 [MQTT-2.2.1-3].
    #[error("the packet identifier is 0")]
    PacketIdZero,
    /// What should be a PUBLISH is none.
    #[error("the message is no PUBLISH: {0}")]
    Decode(#[from] DecodeError),
    /// A packet that is no message of QoS 1 or 2 with a topic name of its own.
    #[error("the packet is no message that is kept")]
    NotKept,
}

impl JournalEntry {
    /// How many bytes [`encode`](Self::encode) writes: at most
    /// [`MAX_PACKET_SIZE`](mqtt_proto::MAX_PACKET_SIZE) and 9.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        Ok(match self {
            Self::Accepted { id, sent, publication, .. } => {
                let (publish, version) = kept(*id, *sent, publication);
                9 + publish.encoded_len(version)? as usize
            }
            Self::SessionPresent | Self::PeerLost => 1,
            Self::Sent { .. }
            | Self::Released { .. }
            | Self::Finished { .. }
            | Self::Held { .. }
            | Self::Freed { .. } => 3,
        })
    }

    /// Appends the entry to `dst`, whole or not at all. The bytes are good for this and later
    /// versions of the crate, say how long they are, and have no checksum.
    ///
    /// # Errors
    /// [`EncodeError`] if `dst` has no room, which a `Vec` or `BytesMut` always has. Beside that
    /// never for an entry that a session has written: it takes no message that would fail here.
    pub fn encode(&self, dst: &mut impl BufMut) -> Result<(), EncodeError> {
        if dst.remaining_mut() < self.encoded_len()? {
            return Err(EncodeError::BufferTooSmall);
        }
        let (kind, id) = match self {
            Self::Accepted { id, accepted, sent, publication } => {
                let (publish, version) = kept(*id, *sent, publication);
                dst.put_u8(first(match version {
                    ProtocolVersion::V5 => ACCEPTED_5,
                    ProtocolVersion::V311 => ACCEPTED_311,
                }));
                dst.put_u64(accepted.as_micros());
                return publish.encode(version, dst);
            }
            Self::Sent { id } => (SENT, Some(id)),
            Self::Released { id } => (RELEASED, Some(id)),
            Self::Finished { id } => (FINISHED, Some(id)),
            Self::Held { id } => (HELD, Some(id)),
            Self::Freed { id } => (FREED, Some(id)),
            Self::SessionPresent => (SESSION_PRESENT, None),
            Self::PeerLost => (PEER_LOST, None),
        };
        dst.put_u8(first(kind));
        if let Some(id) = id {
            dst.put_u16(id.get());
        }
        Ok(())
    }

    /// Takes the entry at the start of `src` off it. Allocates for its message alone, no more than
    /// that has bytes in `src`, beside a small allocation that counts its owners.
    ///
    /// # Errors
    /// [`EntryError`]; `src` is then as it was.
    pub fn decode(src: &mut &[u8]) -> Result<Self, EntryError> {
        let (&first, rest) = src.split_first().ok_or(EntryError::UnexpectedEnd)?;
        if first >> 4 != VERSION {
            return Err(EntryError::Version(first >> 4));
        }
        let (entry, rest) = match first & 0x0f {
            ACCEPTED_5 => accepted(ProtocolVersion::V5, rest)?,
            ACCEPTED_311 => accepted(ProtocolVersion::V311, rest)?,
            SENT => with_id(rest, |id| Self::Sent { id })?,
            RELEASED => with_id(rest, |id| Self::Released { id })?,
            FINISHED => with_id(rest, |id| Self::Finished { id })?,
            HELD => with_id(rest, |id| Self::Held { id })?,
            FREED => with_id(rest, |id| Self::Freed { id })?,
            SESSION_PRESENT => (Self::SessionPresent, rest),
            PEER_LOST => (Self::PeerLost, rest),
            kind => return Err(EntryError::Kind(kind)),
        };
        *src = rest;
        Ok(entry)
    }
}

const fn first(kind: u8) -> u8 {
    VERSION << 4 | kind
}

/// The packet that a message is kept as, and its version.
fn kept<B: mqtt_proto::Storage>(
    id: PacketId,
    dup: bool,
    publication: &Publication<B>,
) -> (Publish<&[u8]>, ProtocolVersion) {
    let Publication { qos, retain, message } = publication.as_ref();
    let delivery = match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { id, dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { id, dup },
    };
    (Publish { delivery, retain, message }, kept_version(publication))
}

fn with_id(
    src: &[u8],
    entry: impl FnOnce(PacketId) -> JournalEntry,
) -> Result<(JournalEntry, &[u8]), EntryError> {
    let (id, rest) = src.split_first_chunk().ok_or(EntryError::UnexpectedEnd)?;
    let id = PacketId::new(u16::from_be_bytes(*id)).ok_or(EntryError::PacketIdZero)?;
    Ok((entry(id), rest))
}

fn accepted(version: ProtocolVersion, src: &[u8]) -> Result<(JournalEntry, &[u8]), EntryError> {
    let (micros, src) = src.split_first_chunk().ok_or(EntryError::UnexpectedEnd)?;
    let accepted = Instant::from_micros(u64::from_be_bytes(*micros));
    // Of a server: it may say all that a client may, and Subscription Identifiers.
    let Status::Ready((packet, len)) = Decoder::new(Role::Server, version).decode(src)? else {
        return Err(EntryError::UnexpectedEnd);
    };
    let Packet::Publish(Publish { delivery, retain, message }) = packet else {
        return Err(EntryError::NotKept);
    };
    let id = delivery.id().ok_or(EntryError::NotKept)?;
    let publication = Publication { qos: delivery.qos(), retain, message };
    let aliased = message.properties.set().contains(PropertyId::TopicAlias);
    if aliased || kept_version(&publication) != version {
        return Err(EntryError::NotKept);
    }
    let sent = delivery.dup();
    let publication = publication.detach();
    Ok((JournalEntry::Accepted { id, accepted, sent, publication }, &src[len..]))
}
