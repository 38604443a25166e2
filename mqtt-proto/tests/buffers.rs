//! Lists written into a buffer of the caller are those that an allocator would have made.
#![cfg(feature = "bytes")]

use std::fmt::Debug;

use bytes::Bytes;
use mqtt_proto::{
    EncodeError, Properties, Property, PropertyError, PropertyId, QoS, ReasonCode, ReasonCodes,
    SubscribeFilters, SubscriptionOptions, TopicFilter, UnsubscribeFilters,
};

/// `write` gives the bytes of the list, or an error, for a buffer of each size.
fn check<E: Debug + PartialEq>(
    expected: &[u8],
    too_small: E,
    write: impl Fn(&mut [u8]) -> Result<Vec<u8>, E>,
) {
    for size in 0..expected.len() + 3 {
        let written = write(&mut vec![0xaa; size]);
        if size < expected.len() {
            assert_eq!(written.unwrap_err(), too_small, "{size}");
        } else {
            assert_eq!(written.unwrap(), expected, "{size}");
        }
    }
}

fn filter(text: &str) -> TopicFilter<&[u8]> {
    TopicFilter::borrowed(text).unwrap()
}

#[test]
fn a_list_of_filters_or_codes_is_the_same_in_a_buffer() {
    let no_local = SubscriptionOptions { no_local: true, ..QoS::ExactlyOnce.into() };
    let filters = [(filter("a/+"), no_local), (filter("$share/s/#"), QoS::AtLeastOnce.into())];
    let owned = SubscribeFilters::new(filters).unwrap();
    check(owned.as_bytes(), EncodeError::BufferTooSmall, |buffer| {
        SubscribeFilters::in_buffer(buffer, filters).map(|list| list.as_bytes().to_vec())
    });
    let names = filters.map(|(filter, _)| filter);
    let owned = UnsubscribeFilters::new(names).unwrap();
    check(owned.as_bytes(), EncodeError::BufferTooSmall, |buffer| {
        UnsubscribeFilters::in_buffer(buffer, names).map(|list| list.as_bytes().to_vec())
    });
    let codes = [ReasonCode::GRANTED_QOS_2, ReasonCode::QUOTA_EXCEEDED];
    let owned = ReasonCodes::from_iter(codes);
    check(owned.as_bytes(), EncodeError::BufferTooSmall, |buffer| {
        ReasonCodes::in_buffer(buffer, codes).map(|list| list.as_bytes().to_vec())
    });
}

#[test]
fn a_property_list_is_the_same_in_a_buffer() {
    // One of each shape.
    let list = [
        Property::PayloadFormatIndicator(true),
        Property::TopicAlias(7),
        Property::MessageExpiryInterval(u32::MAX),
        Property::SubscriptionIdentifier(268_435_455),
        Property::SubscriptionIdentifier(1),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("a/b"),
        Property::CorrelationData(&[0, 255]),
        Property::UserProperty(("name", "")),
        Property::UserProperty(("name", "value")),
    ];
    let owned = Properties::new(list).unwrap();
    check(owned.as_bytes(), PropertyError::BufferTooSmall, |buffer| {
        let written = Properties::in_buffer(buffer, list)?;
        assert_eq!(written, owned.as_ref());
        Ok(written.as_bytes().to_vec())
    });
    assert_eq!(Properties::in_buffer(&mut [], []), Ok(Properties::<&[u8]>::default()));
}

#[test]
fn what_no_list_may_hold_no_buffer_takes() {
    let buffer = &mut [0; 64][..];
    let no_local = SubscriptionOptions { no_local: true, ..QoS::AtMostOnce.into() };
    let shared = [(filter("$share/s/a"), no_local)];
    let none: [(TopicFilter<Bytes>, QoS); 0] = [];
    assert_eq!(SubscribeFilters::in_buffer(buffer, shared), Err(EncodeError::NoLocalShared));
    assert_eq!(SubscribeFilters::in_buffer(buffer, none.clone()), Err(EncodeError::NoTopicFilter));
    assert_eq!(
        UnsubscribeFilters::in_buffer(buffer, none.map(|(filter, _)| filter)),
        Err(EncodeError::NoTopicFilter)
    );
    assert_eq!(ReasonCodes::in_buffer(buffer, []), Err(EncodeError::NoReasonCode));

    let twice = [Property::TopicAlias(1), Property::TopicAlias(1)];
    let range = [Property::SubscriptionIdentifier(268_435_456)];
    let errors = [
        (&twice[..], PropertyError::Twice(PropertyId::TopicAlias)),
        (&range[..], PropertyError::Value(PropertyId::SubscriptionIdentifier)),
    ];
    for (list, error) in errors {
        assert_eq!(Properties::new(list.iter().copied()), Err(error));
        assert_eq!(Properties::in_buffer(buffer, list.iter().copied()), Err(error));
    }
}
