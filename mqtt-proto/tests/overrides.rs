//! A PUBLISH that says otherwise than its message is the PUBLISH of a message that says so.
#![cfg(feature = "bytes")]

#[allow(dead_code, reason = "of all packets, only PUBLISH is made here")]
mod strategies;

use core::num::NonZeroU16;

use allocation_counter::measure;
use bytes::Bytes;
use mqtt_proto::*;
use proptest::{option, prelude::*};
use strategies::{publish, role, version};

fn overrides() -> impl Strategy<Value = PublishOverrides> {
    let alias = (any::<NonZeroU16>(), any::<bool>())
        .prop_map(|(alias, set)| if set { TopicAlias::Set(alias) } else { TopicAlias::Use(alias) });
    (option::of(any::<u32>()), option::of(alias)).prop_map(
        |(message_expiry_interval, topic_alias)| PublishOverrides {
            message_expiry_interval,
            topic_alias,
        },
    )
}

/// The same with a message that was made for it.
fn anew(
    publish: &Publish<Bytes>,
    overrides: PublishOverrides,
) -> Result<Publish<Bytes>, EncodeError> {
    let mut publish = publish.clone();
    let Message { topic, properties, .. } = &mut publish.message;
    if overrides.topic_alias.is_some() && topic.is_empty() && properties.topic_alias().is_none() {
        return Err(EncodeError::TopicNameEmpty);
    }
    let replaced = properties.iter().map(|property| match property {
        Property::MessageExpiryInterval(seconds) => {
            Property::MessageExpiryInterval(overrides.message_expiry_interval.unwrap_or(seconds))
        }
        property => property,
    });
    let alias = overrides.topic_alias.map(|alias| Property::TopicAlias(alias.get()));
    *properties = Properties::new(replaced.chain(alias)).map_err(|error| match error {
        PropertyError::Twice(id) => EncodeError::PropertyTwice(id),
        error => panic!("{error}"),
    })?;
    if let Some(TopicAlias::Use(_)) = overrides.topic_alias {
        *topic = TopicName::default();
    }
    Ok(publish)
}

/// Every way to write it gives these bytes, or this error and nothing.
fn check(publish: &Publish<Bytes>, version: ProtocolVersion, overrides: PublishOverrides) {
    let mut expected = Vec::new();
    let made = anew(publish, overrides)
        .and_then(|publish| publish.encode(version, &mut expected))
        .map(|()| expected.len());

    let mut written = Vec::new();
    let encoded = publish.encode_with(version, overrides, &mut written);
    assert_eq!(encoded.map(|()| written.len()), made, "{publish:?} {overrides:?}");
    assert_eq!(written, expected, "{publish:?} {overrides:?}");
    assert_eq!(publish.encoded_len_with(version, overrides).map(|len| len as usize), made);

    let mut slice = vec![0; expected.len()];
    assert_eq!(publish.encode_to_slice_with(version, overrides, &mut slice), made);
    assert_eq!(slice, expected);
    let Some(short) = slice.len().checked_sub(1) else { return };
    let too_small = Err(EncodeError::BufferTooSmall);
    assert_eq!(publish.encode_to_slice_with(version, overrides, &mut slice[..short]), too_small);
    let mut short = &mut slice[..short];
    assert_eq!(publish.encode_with(version, overrides, &mut short), too_small.map(drop));
    let nothing = measure(|| {
        written.clear();
        publish.encode_with(version, overrides, &mut written).unwrap();
    });
    assert_eq!(nothing.count_total, 0);
}

fn delivered() -> impl Strategy<Value = Publish<Bytes>> {
    (role(), version()).prop_flat_map(|(sender, version)| publish(sender, version))
}

proptest! {
    #[test]
    fn what_is_written_is_what_a_message_made_for_it_writes(
        publish in delivered(),
        version in version(),
        overrides in overrides(),
    ) {
        check(&publish, version, overrides);
    }
}

const ALIAS: NonZeroU16 = NonZeroU16::MIN;
const SET: PublishOverrides =
    PublishOverrides { message_expiry_interval: None, topic_alias: Some(TopicAlias::Set(ALIAS)) };
const USE: PublishOverrides =
    PublishOverrides { message_expiry_interval: None, topic_alias: Some(TopicAlias::Use(ALIAS)) };
const EXPIRY: PublishOverrides =
    PublishOverrides { message_expiry_interval: Some(7), topic_alias: None };

fn with(topic: &str, properties: &[Property<'_>]) -> Publish<Bytes> {
    let topic = TopicName::try_from(topic).unwrap_or_default();
    Publish::new(topic, Bytes::new())
        .with_properties(Properties::new(properties.iter().copied()).unwrap())
}

#[test]
fn what_cannot_be_said_is_refused_as_in_a_list_made_anew() {
    use ProtocolVersion::{V5, V311};
    let twice = EncodeError::PropertyTwice(PropertyId::TopicAlias);
    let not_in_v311 = EncodeError::NotInV311("a property");
    let own_alias = [Property::TopicAlias(9)];
    let rows = [
        (with("a", &own_alias), V5, SET, Err(twice)),
        (with("a", &own_alias), V5, USE, Err(twice)),
        (with("", &own_alias), V5, USE, Err(twice)),
        (with("", &own_alias), V5, EXPIRY, Ok(8)),
        (with("", &[]), V5, SET, Err(EncodeError::TopicNameEmpty)),
        (with("", &[]), V5, USE, Err(EncodeError::TopicNameEmpty)),
        (with("a", &[]), V311, SET, Err(not_in_v311)),
        (with("a", &[]), V311, USE, Err(not_in_v311)),
        (with("a", &[]), V311, EXPIRY, Ok(5)),
        (with("a", &[]), V5, EXPIRY, Ok(6)),
        (with("a", &[Property::MessageExpiryInterval(1)]), V5, EXPIRY, Ok(11)),
        (with("a", &[Property::MessageExpiryInterval(1)]), V311, EXPIRY, Err(not_in_v311)),
        (with("a", &[]), V5, PublishOverrides::default(), Ok(6)),
        (
            with("a", &[Property::ReasonString("for another packet")]),
            V5,
            SET,
            Err(EncodeError::PropertyNotAllowed(PropertyId::ReasonString)),
        ),
    ];
    for (publish, version, overrides, expected) in rows {
        check(&publish, version, overrides);
        assert_eq!(publish.encoded_len_with(version, overrides), expected, "{publish:?}");
    }
}

/// The length before the list, and the remaining length, grow where an alias takes them over 127.
#[test]
fn an_alias_may_make_a_length_longer() {
    for text in 0..200 {
        let value = "x".repeat(text);
        let publish = with("a/b", &[Property::ContentType(&value)]);
        for overrides in [SET, USE, EXPIRY] {
            check(&publish, ProtocolVersion::V5, overrides);
        }
    }
}
