//! Journal entries as bytes.

use bytes::{Bytes, BytesMut};
use mqtt_session::{
    EntryError, Instant, JournalEntry, PublishError, Session,
    proto::{
        DecodeErrorKind, EncodeError, MAX_PACKET_SIZE, PacketId, Properties, Property, Publication,
        QoS, TopicName,
    },
};
use proptest::prelude::*;

/// Beside the message: the count of its owners, and what the allocator rounds up.
const SMALL: u64 = 64;

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

fn publication(qos: QoS, topic: &str, payload: impl Into<Bytes>) -> Publication<Bytes> {
    Publication::new(TopicName::try_from(topic).expect("a topic name"), payload).with_qos(qos)
}

fn properties(properties: &[Property<'_>]) -> Properties<Bytes> {
    Properties::new(properties.iter().copied()).expect("legal")
}

fn accepted(micros: u64, sent: bool, publication: Publication<Bytes>) -> JournalEntry {
    JournalEntry::Accepted {
        id: id(0x0102),
        accepted: Instant::from_micros(micros),
        sent,
        publication,
    }
}

fn encode(entry: &JournalEntry) -> Vec<u8> {
    let mut bytes = Vec::new();
    entry.encode(&mut bytes).expect("an entry of a session");
    assert_eq!(entry.encoded_len(), Ok(bytes.len()), "{entry:?}");
    bytes
}

fn decode(bytes: &[u8]) -> Result<(JournalEntry, usize), EntryError> {
    let mut rest = bytes;
    match JournalEntry::decode(&mut rest) {
        Ok(entry) => Ok((entry, bytes.len() - rest.len())),
        Err(error) => {
            assert_eq!(rest, bytes, "a part of no entry was taken");
            Err(error)
        }
    }
}

/// One entry of each kind, in the bytes that every later version must read.
fn table() -> Vec<(JournalEntry, &'static [u8])> {
    let (q1, q2) = (QoS::AtLeastOnce, QoS::ExactlyOnce);
    let expiry = properties(&[Property::MessageExpiryInterval(7)]);
    let retained = publication(q2, "t", "hi").with_retain(true).with_properties(expiry);
    vec![
        (
            accepted(1, false, retained),
            b"\x11\0\0\0\0\0\0\0\x01\x35\x0d\0\x01t\x01\x02\x05\x02\0\0\0\x07hi",
        ),
        (
            accepted(0x0102_0304_0506_0708, true, publication(q1, "t", "hi")),
            b"\x12\x01\x02\x03\x04\x05\x06\x07\x08\x3a\x07\0\x01t\x01\x02hi",
        ),
        (JournalEntry::Sent { id: id(0x0102) }, b"\x13\x01\x02"),
        (JournalEntry::Released { id: id(0x0102) }, b"\x14\x01\x02"),
        (JournalEntry::Finished { id: id(0x0102) }, b"\x15\x01\x02"),
        (JournalEntry::Held { id: id(0x0102) }, b"\x16\x01\x02"),
        (JournalEntry::Freed { id: id(0x0102) }, b"\x17\x01\x02"),
        (JournalEntry::SessionPresent, b"\x18"),
        (JournalEntry::PeerLost, b"\x19"),
    ]
}

#[test]
fn the_bytes_of_each_kind_stay_what_they_are() {
    for (entry, bytes) in table() {
        assert_eq!(encode(&entry), bytes, "{entry:?}");
        assert_eq!(decode(bytes), Ok((entry, bytes.len())));
    }
}

#[test]
fn an_entry_that_ends_too_early_is_none() {
    for (entry, bytes) in table() {
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), Err(EntryError::UnexpectedEnd), "{entry:?} {len}");
        }
    }
}

#[test]
fn what_no_session_would_keep_is_no_entry() {
    let cases: [(&str, &[u8], EntryError); 10] = [
        ("version 0", b"\x03\0\x01", EntryError::Version(0)),
        ("version 2", b"\x23\0\x01", EntryError::Version(2)),
        ("kind 0", b"\x10\0\x01", EntryError::Kind(0)),
        ("kind 10", b"\x1a\0\x01", EntryError::Kind(10)),
        ("identifier 0", b"\x13\0\0", EntryError::PacketIdZero),
        ("QoS 0", b"\x12\0\0\0\0\0\0\0\0\x30\x03\0\x01t", EntryError::NotKept),
        ("PUBACK", b"\x12\0\0\0\0\0\0\0\0\x40\x02\0\x01", EntryError::NotKept),
        (
            "a topic alias",
            b"\x11\0\0\0\0\0\0\0\0\x32\x09\0\x01t\0\x01\x03\x23\0\x01",
            EntryError::NotKept,
        ),
        (
            "an alias for a name",
            b"\x11\0\0\0\0\0\0\0\0\x32\x08\0\0\0\x01\x03\x23\0\x01",
            EntryError::NotKept,
        ),
        ("5.0 for nothing", b"\x11\0\0\0\0\0\0\0\0\x32\x06\0\x01t\0\x01\0", EntryError::NotKept),
    ];
    for (what, bytes, error) in cases {
        assert_eq!(decode(bytes), Err(error), "{what}");
    }
    let wildcard = decode(b"\x12\0\0\0\0\0\0\0\0\x32\x05\0\x01#\0\x01");
    assert!(
        matches!(wildcard, Err(EntryError::Decode(e)) if e.kind() == DecodeErrorKind::TopicNameWildcard),
        "{wildcard:?}"
    );
}

#[test]
fn an_entry_is_written_whole_or_not_at_all() {
    for (entry, bytes) in table() {
        for room in 0..bytes.len() {
            let mut space = [0xee; 64];
            let mut dst = &mut space[..room];
            assert_eq!(entry.encode(&mut dst), Err(EncodeError::BufferTooSmall));
            assert_eq!(dst.len(), room);
            assert_eq!(space, [0xee; 64]);
        }
    }
}

/// What a session takes can be written down; what cannot be written down it does not take.
#[test]
fn the_largest_message_that_is_accepted_can_be_written_down() {
    let zeros = Bytes::from(vec![0; MAX_PACKET_SIZE as usize]);
    let expiry = properties(&[Property::MessageExpiryInterval(7)]);
    // Fixed header, topic name and packet identifier; in 5.0 the length of five bytes, and those.
    let largest = MAX_PACKET_SIZE as usize - 5 - 3 - 2;
    for (properties, most) in [(Properties::EMPTY, largest), (expiry, largest - 6)] {
        let mut session = Session::new(10).journaled();
        let mut publish = |len| {
            let publication = publication(QoS::AtLeastOnce, "t", zeros.slice(..len));
            session.publish(Instant::ZERO, publication.with_properties(properties.clone()))
        };
        assert_eq!(publish(most + 1), Err(PublishError::Encode(EncodeError::TooLong)));
        publish(most).expect("it fits");
        let entry = session.poll_journal().expect("it was accepted");
        assert_eq!(entry.encoded_len(), Ok(MAX_PACKET_SIZE as usize + 9));
        assert_eq!(session.poll_journal(), None);
    }
}

#[test]
fn what_belongs_to_another_packet_is_not_accepted() {
    let mut session = Session::new(10);
    let delayed = properties(&[Property::WillDelayInterval(7)]);
    let publication = publication(QoS::AtLeastOnce, "t", "").with_properties(delayed);
    let published = session.publish(Instant::ZERO, publication);
    assert!(matches!(published, Err(PublishError::Encode(_))), "{published:?}");
    assert_eq!(session.open(), 0);
}

/// Message Expiry Interval, Content Type, User Properties, and whether there is a Subscription Identifier.
type Parts = (Option<u32>, Option<String>, Vec<(String, String)>, bool);

fn property() -> impl Strategy<Value = Parts> {
    let text = "[a-zäöü]{0,20}";
    let users = prop::collection::vec((text, text), 0..3);
    (any::<Option<u32>>(), prop::option::of(text), users, any::<bool>())
}

fn message() -> impl Strategy<Value = Publication<Bytes>> {
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    ("[a-z/]{1,60}", payload, property(), any::<bool>(), any::<bool>()).prop_map(
        |(topic, payload, (expiry, content_type, users, subscribed), retain, q2)| {
            let mut list = Vec::new();
            list.extend(expiry.map(Property::MessageExpiryInterval));
            list.extend(content_type.as_deref().map(Property::ContentType));
            list.extend(users.iter().map(|(name, value)| Property::UserProperty((name, value))));
            list.extend(subscribed.then_some(Property::SubscriptionIdentifier(7)));
            let qos = if q2 { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
            publication(qos, &topic, payload).with_retain(retain).with_properties(properties(&list))
        },
    )
}

fn entry() -> impl Strategy<Value = JournalEntry> {
    let id = || (1..=u16::MAX).prop_map(id);
    prop_oneof![
        5 => (id(), any::<u64>(), any::<bool>(), message()).prop_map(
            |(id, micros, sent, publication)| {
                let accepted = Instant::from_micros(micros);
                JournalEntry::Accepted { id, accepted, sent, publication }
            },
        ),
        1 => id().prop_map(|id| JournalEntry::Sent { id }),
        1 => id().prop_map(|id| JournalEntry::Released { id }),
        1 => id().prop_map(|id| JournalEntry::Finished { id }),
        1 => id().prop_map(|id| JournalEntry::Held { id }),
        1 => id().prop_map(|id| JournalEntry::Freed { id }),
        1 => Just(JournalEntry::SessionPresent),
        1 => Just(JournalEntry::PeerLost),
    ]
}

/// Whatever the bytes are: no panic, and no more memory than they have. What is an entry is written
/// and read again as the same.
fn check_hostile(bytes: &[u8]) {
    let mut decoded = None;
    let used = allocation_counter::measure(|| decoded = Some(decode(bytes)));
    assert!(used.bytes_total <= bytes.len() as u64 + SMALL, "{used:?} for {}", bytes.len());
    assert_eq!(used.count_max as i64 - used.count_current, 0, "{used:?}");
    if let Some(Ok((entry, len))) = decoded {
        assert!(len <= bytes.len());
        let again = encode(&entry);
        assert_eq!(decode(&again), Ok((entry, again.len())));
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read_as_the_same(entries in prop::collection::vec(entry(), 0..10)) {
        let mut bytes = BytesMut::new();
        for entry in &entries {
            entry.encode(&mut bytes).expect("an entry of a session");
        }
        let mut rest = &bytes[..];
        for entry in entries {
            prop_assert_eq!(JournalEntry::decode(&mut rest), Ok(entry));
        }
        prop_assert_eq!(rest, b"");
    }

    #[test]
    fn any_bytes_are_an_entry_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_hostile(&bytes);
        for kind in 0x11..=0x19 {
            let mut bytes = bytes.clone();
            bytes.insert(0, kind);
            check_hostile(&bytes);
        }
    }

    #[test]
    fn a_byte_that_was_changed_does_no_harm(entry in entry(), at: prop::sample::Index, to: u8) {
        let mut bytes = encode(&entry);
        let at = at.index(bytes.len());
        bytes[at] = to;
        check_hostile(&bytes);
    }
}
