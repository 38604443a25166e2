//! Packets built again from what they say, as a caller would.

use alloc::{vec, vec::Vec};
use core::{
    cmp::Ordering,
    hash::{Hash, Hasher},
    num::NonZeroU16,
};

use crate::{
    Ack, Auth, ConnAck, Connect, Disconnect, EncodeError, Message, Packet, PacketId, PacketRef,
    Properties, Property, PropertyId, ProtocolVersion, Publication, Publish, PublishOverrides,
    ReasonCodes, Str, SubAck, Subscribe, SubscribeFilters, TopicAlias, TopicFilter, TopicName,
    UnsubAck, Unsubscribe, UnsubscribeFilters,
};

/// A packet that was read is the one that its parts make, without an allocator.
pub(super) fn check(packet: &PacketRef<'_>, version: ProtocolVersion) {
    let room = packet.encoded_len(version).expect("what is decoded can be encoded") as usize;
    let (mut properties, mut list) = (vec![0; room], vec![0; room]);
    let properties = packet.properties().map_or_else(Properties::default, |read| {
        Properties::in_buffer(&mut properties, read.iter()).expect("they were read")
    });
    let ack = |ack: &Ack<_>| Ack::new(ack.id, ack.reason).with_properties(properties);
    let again = match packet {
        Packet::Connect(read) => {
            check_connect(&read.fields(), properties, room);
            *packet
        }
        Packet::ConnAck(read) => Packet::ConnAck(
            ConnAck { reason: read.reason, ..ConnAck::accepted(read.session_present) }
                .with_properties(properties),
        ),
        Packet::Publish(read) => {
            check_topic(&read.message.topic);
            check_publish(read, version);
            Packet::Publish(
                Publish::new(read.message.topic, read.message.payload)
                    .with_delivery(read.delivery)
                    .with_retain(read.retain)
                    .with_properties(properties),
            )
        }
        Packet::PubAck(read) => Packet::PubAck(ack(read)),
        Packet::PubRec(read) => Packet::PubRec(ack(read)),
        Packet::PubRel(read) => Packet::PubRel(ack(read)),
        Packet::PubComp(read) => Packet::PubComp(ack(read)),
        Packet::Subscribe(read) => {
            let filters = read.filters.iter().map(|(filter, options)| (same(filter), options));
            let filters = SubscribeFilters::in_buffer(&mut list, filters).expect("there are some");
            Packet::Subscribe(Subscribe::new(read.id, filters).with_properties(properties))
        }
        Packet::Unsubscribe(read) => {
            let filters = read.filters.iter().map(same);
            let filters =
                UnsubscribeFilters::in_buffer(&mut list, filters).expect("there are some");
            Packet::Unsubscribe(Unsubscribe::new(read.id, filters).with_properties(properties))
        }
        Packet::SubAck(read) => {
            let codes =
                ReasonCodes::in_buffer(&mut list, read.codes.iter()).expect("there are some");
            Packet::SubAck(SubAck::new(read.id, codes).with_properties(properties))
        }
        Packet::UnsubAck(read) => {
            // There are none in 3.1.1.
            let codes = ReasonCodes::in_buffer(&mut list, read.codes.iter()).unwrap_or_default();
            Packet::UnsubAck(UnsubAck::new(read.id, codes).with_properties(properties))
        }
        Packet::PingReq => Packet::PingReq,
        Packet::PingResp => Packet::PingResp,
        Packet::Disconnect(read) => {
            Packet::Disconnect(Disconnect::new(read.reason).with_properties(properties))
        }
        Packet::Auth(read) => Packet::Auth(Auth::new(read.reason, properties)),
    };
    assert_eq!(again, *packet);
}

fn check_connect(read: &Connect<&[u8]>, properties: Properties<&[u8]>, room: usize) {
    let client_id = Str::borrowed(read.client_id.as_str()).expect("it was read");
    let again = Connect {
        clean_start: read.clean_start,
        keep_alive: read.keep_alive,
        will: read.will,
        user_name: read.user_name,
        password: read.password,
        ..Connect::new(read.version, client_id).with_properties(properties)
    };
    assert_eq!(again, *read);
    let (mut slice, mut bytes) = (vec![0; room], Vec::new());
    assert_eq!(again.encode_to_slice(&mut slice), Ok(room));
    assert_eq!(again.encode(&mut bytes), Ok(()));
    assert_eq!(slice, bytes);
}

fn check_publish(read: &Publish<&[u8]>, version: ProtocolVersion) {
    let publication =
        Publication { qos: read.delivery.qos(), retain: read.retain, message: read.message };
    let first = publication.into_publish(read.delivery.id().unwrap_or(PacketId::MIN));
    assert_eq!(first.delivery.id(), read.delivery.id());
    assert_eq!(first.with_delivery(read.delivery), *read);
    let mut head = Vec::new();
    read.encode_head(version, &mut head).expect("what is decoded can be encoded");
    let mut slice = vec![0; head.len()];
    assert_eq!(read.encode_head_to_slice(version, &mut slice), Ok(head.len()));
    assert_eq!(slice, head);
    check_overrides(read, version);
}

/// A PUBLISH whose topic name and Message Expiry Interval are overridden by those of another is that
/// other one.
fn check_overrides(read: &Publish<&[u8]>, version: ProtocolVersion) {
    let bare = read.message.properties.iter();
    let bare = Properties::new(bare.filter(|property| property.id() != PropertyId::TopicAlias));
    let bare = bare.expect("they were read");
    let message = Message { properties: bare.as_ref(), ..read.message };
    if message.topic.is_empty() {
        return;
    }
    let publish = Publish { message, ..*read };
    let (set, replace) = (TopicAlias::Set(NonZeroU16::MAX), TopicAlias::Use(NonZeroU16::MAX));
    for topic_alias in [None, Some(set), Some(replace)] {
        let overrides = PublishOverrides { message_expiry_interval: Some(7), topic_alias };
        let mut written = Vec::new();
        let encoded = publish.encode_with(version, overrides, &mut written);
        if topic_alias.is_some() && version == ProtocolVersion::V311 {
            assert_eq!(encoded, Err(EncodeError::NotInV311("a property")));
            continue;
        }
        assert_eq!(encoded, Ok(()));
        let mut slice = vec![0; written.len()];
        assert_eq!(publish.encode_to_slice_with(version, overrides, &mut slice), Ok(slice.len()));
        assert_eq!(slice, written);
        let len = publish.encoded_len_with(version, overrides);
        assert_eq!(len, Ok(written.len() as u32));

        let alias = topic_alias.map(|alias| Property::TopicAlias(alias.get()));
        let anew = bare.iter().map(|property| match property {
            Property::MessageExpiryInterval(_) => Property::MessageExpiryInterval(7),
            property => property,
        });
        let anew = Properties::new(anew.chain(alias)).expect("they were read");
        let named = topic_alias != Some(replace);
        let topic = if named { read.message.topic } else { TopicName::default() };
        let message = Message { topic, properties: anew.as_ref(), ..read.message };
        let mut expected = Vec::new();
        assert_eq!(Publish { message, ..*read }.encode(version, &mut expected), Ok(()));
        assert_eq!(written, expected);
    }
}

/// Borrowed, owned and copied names are the same.
fn check_topic(name: &TopicName<&[u8]>) {
    assert_eq!(name.into_inner(), Some(name.as_bytes()));
    let owned = name.to_bytes();
    assert_eq!(hash(&owned), hash(name));
    assert_eq!(owned.into_inner(), name.as_bytes());
    if name.is_empty() {
        return;
    }
    let again = TopicName::borrowed(name.as_str()).expect("it was read");
    assert_eq!(
        (again.cmp(name), again.partial_cmp(name)),
        (Ordering::Equal, Some(Ordering::Equal))
    );
}

/// What begins like a share in 3.1.1 is a filter only there.
fn same(filter: TopicFilter<&[u8]>) -> TopicFilter<&[u8]> {
    let made = TopicFilter::borrowed(filter.as_str()).map(|made| made == filter);
    assert!(made.is_err() || made == Ok(true));
    filter
}

fn hash(value: &impl Hash) -> u64 {
    struct Sum(u64);

    impl Hasher for Sum {
        fn write(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                self.0 = self.0.wrapping_mul(31).wrapping_add(byte.into());
            }
        }

        fn finish(&self) -> u64 {
            self.0
        }
    }

    let mut sum = Sum(0);
    value.hash(&mut sum);
    sum.finish()
}
