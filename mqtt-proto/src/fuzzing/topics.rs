use alloc::{format, string::String, vec, vec::Vec};
use core::str::FromStr;

use bytes::Bytes;

use super::oracle;
use crate::{Decoder, Packet, ProtocolVersion, Role, Status, Storage, Str, TopicFilter, TopicName};

/// A filter and a name with a line feed between them, against a second reading of sections 4.7 and
/// 4.8: by themselves, and in the packets that carry them.
pub fn topics(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == b'\n');
    let (filter, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    check_name(name);
    check_filter(filter);
    check_lists(filter);
    let (Ok(name), Ok(filter)) = (TopicName::new(name), TopicFilter::new(filter)) else { return };
    let plain = oracle::plain_filter(filter.as_bytes()).expect("the two agree");
    let expected = oracle::matches(plain, name.as_str());
    assert_eq!(filter.matches(&name), expected, "{filter} and {name}");
    assert_eq!(filter.to_bytes().matches(&name.to_bytes()), expected);
    if let Some(shared) = filter.shared() {
        assert_eq!(shared.matches(&name), expected);
    }
}

fn check_name(bytes: &[u8]) {
    let text = Str::new(bytes);
    assert_eq!(text.is_ok(), oracle::is_text(bytes));
    if let Ok(text) = text {
        assert_eq!(text.as_str(), core::str::from_utf8(bytes).expect("the two agree"));
        assert_eq!(text, text.as_str());
        assert_eq!(text.is_empty(), bytes.is_empty());
        assert_eq!(format!("{text}").as_bytes(), text.as_bytes());
        assert_eq!(text.into_inner(), bytes);
    }

    let name = TopicName::new(bytes);
    assert_eq!(name.is_ok(), oracle::is_topic_name(bytes), "{name:?}");
    if let Ok(text) = core::str::from_utf8(bytes) {
        assert_eq!(TopicName::<&[u8]>::try_from(text), name);
        let owned = name.map(|name| name.to_bytes());
        assert_eq!(TopicName::<Bytes>::try_from(text), owned);
        assert_eq!(TopicName::<Bytes>::try_from(String::from(text)), owned);
        assert_eq!(TopicName::<Bytes>::from_str(text), owned);
        let owned = Str::new(Bytes::copy_from_slice(bytes));
        assert_eq!(Str::<&[u8]>::try_from(text).is_ok(), owned.is_ok());
        assert_eq!(Str::<Bytes>::try_from(text), owned);
        assert_eq!(Str::<Bytes>::try_from(String::from(text)), owned);
    }
    let Ok(name) = name else { return };
    let levels: Vec<_> = name.levels().collect();
    assert_eq!(levels.join(&b'/'), bytes);
    assert!(!name.is_empty());
    assert_eq!(name, name.as_str());
    assert_eq!(name.as_ref(), name);
    assert_eq!(format!("{name}").into_bytes(), name.as_bytes());
}

fn check_filter(bytes: &[u8]) {
    let plain = oracle::plain_filter(bytes);
    let filter = TopicFilter::new(bytes);
    assert_eq!(filter.is_ok(), plain.is_some(), "{filter:?}");
    if let Ok(text) = core::str::from_utf8(bytes) {
        assert_eq!(TopicFilter::<&[u8]>::try_from(text), filter);
        let owned = filter.map(|filter| filter.to_bytes());
        assert_eq!(TopicFilter::<Bytes>::try_from(text), owned);
        assert_eq!(TopicFilter::<Bytes>::try_from(String::from(text)), owned);
        assert_eq!(TopicFilter::<Bytes>::from_str(text), owned);
    }
    let (Ok(filter), Some(plain)) = (filter, plain) else { return };
    assert_eq!(filter.has_wildcard(), plain.contains(['+', '#']));
    assert_eq!(filter, filter.as_str());
    assert_eq!(filter.as_ref(), filter);
    assert_eq!(format!("{filter}").as_bytes(), bytes);
    match filter.shared() {
        None => assert_eq!(plain.as_bytes(), bytes),
        Some(shared) => {
            assert_eq!(shared.filter(), plain);
            assert_eq!(format!("{shared:?}"), filter.as_str());
            let whole = format!("$share/{}/{}", shared.name(), shared.filter());
            assert_eq!(whole, filter.as_str());
        }
    }
    assert_eq!(filter.into_inner(), bytes);
}

/// The filter alone in a SUBSCRIBE and an UNSUBSCRIBE. For 3.1.1, `$share/` is a name like any.
fn check_lists(filter: &[u8]) {
    let Ok(len) = u16::try_from(filter.len()) else { return };
    for version in super::VERSIONS {
        let legal = match version {
            ProtocolVersion::V311 => oracle::is_filter(filter),
            ProtocolVersion::V5 => oracle::plain_filter(filter).is_some(),
        };
        for (first, options) in [(0x82, &[1][..]), (0xa2, &[])] {
            let mut body = vec![0, 1];
            if version == ProtocolVersion::V5 {
                body.push(0);
            }
            body.extend(len.to_be_bytes());
            body.extend(filter);
            body.extend(options);
            let mut packet = vec![first];
            packet.extend(oracle::varint(body.len()));
            packet.extend(body);
            let read = Decoder::new(Role::Client, version).decode(&packet);
            assert_eq!(read.is_ok(), legal, "{packet:x?} in {version}");
            if let Ok(Status::Ready((packet, _))) = read {
                assert_eq!(the_filter(&packet), filter);
                assert_eq!(the_filter(&packet.to_bytes()), filter);
            }
        }
    }
}

fn the_filter<B: Storage>(packet: &Packet<B>) -> Vec<u8> {
    let filters: Vec<_> = match packet {
        Packet::Subscribe(packet) => packet.filters.iter().map(|(filter, _)| filter).collect(),
        Packet::Unsubscribe(packet) => packet.filters.iter().collect(),
        packet => panic!("{packet:?} has no filters"),
    };
    assert_eq!(filters.len(), 1);
    filters[0].as_bytes().into()
}
