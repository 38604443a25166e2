//! Which property belongs where, how often and with which values, against
//! `data/properties-5.0.tsv`.
#![cfg(feature = "bytes")]

mod common;

use common::{
    ROLES,
    properties::{Row, matrix, owners, table},
};
use mqtt_proto::*;

fn from_wire(list: &[u8], owner: PropertyOwner) -> Result<Properties<&[u8]>, DecodeErrorKind> {
    Properties::from_wire(list, owner)
}

fn owner_of(row: &Row) -> PropertyOwner {
    owners().find(|(name, _)| row.belongs_in(name)).unwrap().1
}

/// 27 properties, 15 packets and the will, each absent, once, twice, with its least, its greatest and with illegal
/// values, from either side.
#[test]
fn every_property_in_every_list_in_every_state_is_decoded_as_the_table_says() {
    let table = table();
    let (mut cells, mut lists) = (0, 0);
    for cell in matrix(&table) {
        for sender in ROLES {
            cell.check_decoding(sender, &mut |holds, what| {
                lists += 1;
                assert!(holds, "{what}");
            });
            cells += 1;
        }
    }
    println!("{cells} cells of property, list, state and sender, decoded: {lists} lists");
    assert_eq!(cells, 27 * 16 * 6 * 2);
}

#[test]
fn every_property_in_every_list_in_every_state_is_encoded_as_the_table_says() {
    let table = table();
    let (mut cells, mut checks) = (0, 0);
    for cell in matrix(&table) {
        cell.check_encoding(&mut |holds, what| {
            checks += 1;
            assert!(holds, "{what}");
        });
        cells += 1;
    }
    println!("{cells} cells of property, list and state, encoded: {checks} checks");
    assert_eq!(cells, 27 * 16 * 6);
}

#[test]
fn a_property_has_the_values_of_the_table() {
    for row in &table() {
        let list = |value: &[u8]| row.with(value);
        let check = |value: &[u8], legal: bool| {
            let list = list(value);
            let checked = from_wire(&list, owner_of(row)).map(|_| ());
            let expected = if legal { Ok(()) } else { Err(DecodeErrorKind::PropertyValue(row.id)) };
            assert_eq!(checked, expected, "{:?} {value:?}", row.id);
        };
        match (row.kind, row.values) {
            ("u8", "0..1") => (0..=255).for_each(|byte| check(&[byte], byte < 2)),
            ("u16", values) => {
                (0..=u16::MAX).for_each(|n| check(&n.to_be_bytes(), n > 0 || values == "any"));
            }
            ("u32", values) => {
                for n in [0, 1, 255, 256, 1 << 24, u32::MAX] {
                    check(&n.to_be_bytes(), n > 0 || values == "any");
                }
            }
            ("varint", "1..268435455") => {
                check(&[0], false);
                for value in [&[1][..], &[0x7f], &[0x80, 1], &[0xff, 0xff, 0xff, 0x7f]] {
                    check(value, true);
                }
                let too_long = from_wire(&list(&[0xff; 5]), owner_of(row)).map(|_| ());
                assert_eq!(too_long, Err(DecodeErrorKind::VarIntTooLong));
            }
            ("string", "any") => {
                check(&[0, 0], row.id != PropertyId::ResponseTopic);
                let broken = list(&[0, 1, 0xff]);
                let broken = from_wire(&broken, owner_of(row)).map(|_| ());
                assert_eq!(broken, Err(DecodeErrorKind::InvalidUtf8), "{:?}", row.id);
                let nul = from_wire(&list(&[0, 1, 0]), owner_of(row)).map(|_| ());
                assert_eq!(nul, Err(DecodeErrorKind::NulCharacter), "{:?}", row.id);
            }
            ("binary", "any") => check(&[0, 2, 0xff, 0], true),
            ("string_pair", "any") => check(&[0, 1, b'a', 0, 1, b'b'], true),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_number_without_a_property_is_refused() {
    let known: Vec<_> = table().iter().map(|row| row.id as u8).collect();
    for number in (0..=255).filter(|number| !known.contains(number)) {
        let owner = PropertyOwner::Packet(PacketType::ConnAck);
        let list = [number, 0, 0, 0, 0];
        let kind = from_wire(&list, owner).map(|_| ());
        assert_eq!(kind, Err(DecodeErrorKind::PropertyUnknown(number)));
    }
}

#[test]
fn text_and_numbers_out_of_range_cannot_be_written() {
    let long = "a".repeat(65_536);
    for (property, error) in [
        (Property::TopicAlias(0), PropertyError::Value(PropertyId::TopicAlias)),
        (Property::ReceiveMaximum(0), PropertyError::Value(PropertyId::ReceiveMaximum)),
        (Property::MaximumPacketSize(0), PropertyError::Value(PropertyId::MaximumPacketSize)),
        (
            Property::SubscriptionIdentifier(268_435_456),
            PropertyError::Value(PropertyId::SubscriptionIdentifier),
        ),
        (
            Property::ContentType("\0"),
            PropertyError::Text(PropertyId::ContentType, StringError::Nul),
        ),
        (
            Property::ContentType(&long),
            PropertyError::Text(PropertyId::ContentType, StringError::TooLong),
        ),
        (
            Property::ResponseTopic("a/+"),
            PropertyError::Text(PropertyId::ResponseTopic, StringError::Wildcard),
        ),
        (
            Property::ResponseTopic(""),
            PropertyError::Text(PropertyId::ResponseTopic, StringError::Empty),
        ),
        (
            Property::UserProperty(("a", &long)),
            PropertyError::Text(PropertyId::UserProperty, StringError::TooLong),
        ),
        (
            Property::CorrelationData(long.as_bytes()),
            PropertyError::TooLong(PropertyId::CorrelationData),
        ),
    ] {
        let mut builder = PropertiesBuilder::new();
        builder.push(Property::ReasonString("before")).unwrap();
        assert_eq!(builder.push(property).map(|_| ()), Err(error));
        builder.push(Property::ServerKeepAlive(1)).unwrap();
        let expected = [Property::ReasonString("before"), Property::ServerKeepAlive(1)];
        assert!(builder.build().iter().eq(expected), "a refused property left a trace");
    }
}

#[test]
fn a_getter_finds_its_property_among_others_and_the_first_of_many() {
    let list = Properties::new([
        Property::UserProperty(("a", "1")),
        Property::SubscriptionIdentifier(7),
        Property::ContentType("text/plain"),
        Property::UserProperty(("b", "2")),
        Property::SubscriptionIdentifier(300),
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(60),
        Property::TopicAlias(9),
        Property::CorrelationData(b"\xff"),
    ])
    .unwrap();
    assert_eq!(list.user_property(), Some(("a", "1")));
    assert!(list.user_properties().eq([("a", "1"), ("b", "2")]));
    assert_eq!(list.subscription_identifier(), Some(7));
    assert!(list.subscription_identifiers().eq([7, 300]));
    assert_eq!(list.content_type(), Some("text/plain"));
    assert_eq!(list.payload_format_indicator(), Some(true));
    assert_eq!(list.message_expiry_interval(), Some(60));
    assert_eq!(list.topic_alias(), Some(9));
    assert_eq!(list.correlation_data(), Some(&b"\xff"[..]));
    assert_eq!(list.response_topic(), None);
    assert_eq!(list.reason_string(), None);
}
