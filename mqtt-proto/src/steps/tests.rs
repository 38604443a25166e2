//! Work is linear in the bytes received, whatever they are and however they come.

use alloc::{format, vec::Vec};
use std::println;

use bytes::{BufMut, BytesMut};

use super::counter;
use crate::{
    Decoder, Delivery, Message, Packet, PacketId, PacketRef, Properties, PropertiesBuilder,
    Property, ProtocolVersion, Publish, ReasonCode, ReasonCodes, Role, Status, SubAck, Subscribe,
    TopicName, Unsubscribe,
};

const MIB: usize = 1 << 20;

/// A text is looked at once as ASCII, and if that fails twice more as UTF-8; a filter is searched
/// for the end of its share name and for wildcards as well, when it is read and when it is printed,
/// and what is printed is checked again.
const PER_BYTE: u64 = 7;
/// A fixed header, a packet identifier.
const PER_PACKET: u64 = 32;

fn publish<'a>(payload: &'a [u8], properties: &'a Properties<bytes::Bytes>) -> PacketRef<'a> {
    let topic = TopicName::try_from("t").unwrap();
    let message = Message { topic, payload, properties: properties.as_ref() };
    Packet::Publish(Publish { delivery: Delivery::AtMostOnce, retain: false, message })
}

fn encoded(packet: &PacketRef<'_>) -> BytesMut {
    let mut bytes = BytesMut::new();
    packet.encode(ProtocolVersion::V5, &mut bytes).unwrap();
    bytes
}

fn user_properties(count: usize, value: &str) -> BytesMut {
    let mut list = PropertiesBuilder::new();
    for _ in 0..count {
        list.push(Property::UserProperty(("name", value))).unwrap();
    }
    encoded(&publish(b"", &list.build()))
}

fn identifiers(count: usize) -> BytesMut {
    let mut list = PropertiesBuilder::new();
    for _ in 0..count {
        list.push(Property::SubscriptionIdentifier(300)).unwrap();
    }
    encoded(&publish(b"", &list.build()))
}

fn subscribe(count: usize, filter: &str) -> BytesMut {
    let mut block = BytesMut::new();
    block.put_slice(&[0, 1, 0]);
    for _ in 0..count {
        block.put_u16(filter.len() as u16);
        block.put_slice(filter.as_bytes());
        block.put_u8(1);
    }
    framed(0x82, &block)
}

fn unsubscribe(count: usize, filter: &str) -> BytesMut {
    let mut block = BytesMut::new();
    block.put_slice(&[0, 1, 0]);
    for _ in 0..count {
        block.put_u16(filter.len() as u16);
        block.put_slice(filter.as_bytes());
    }
    framed(0xa2, &block)
}

fn suback(count: usize) -> BytesMut {
    let codes = (0..count).map(|_| ReasonCode::GRANTED_QOS_1);
    let codes = ReasonCodes::from_iter(codes);
    let mut bytes = BytesMut::new();
    Packet::SubAck(SubAck { id: PacketId::MIN, properties: Properties::EMPTY, codes })
        .encode(ProtocolVersion::V5, &mut bytes)
        .unwrap();
    bytes
}

fn framed(first: u8, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    let (len, used) = crate::wire::varint(body.len() as u32);
    bytes.put_u8(first);
    bytes.put_slice(&len[..used]);
    bytes.put_slice(body);
    bytes
}

/// At most so many steps for each byte and so many more, and at most twice as many for twice as
/// much.
fn check_linear(what: &str, input: impl Fn(usize) -> BytesMut, work: fn(&[u8])) {
    let steps = [1, 2].map(|times| {
        let bytes = input(times);
        let steps = counter::of(|| work(&bytes));
        println!("{what}: {} bytes, {steps} steps", bytes.len());
        let limit = PER_BYTE * bytes.len() as u64 + PER_PACKET;
        assert!(steps <= limit, "{what}: {steps} steps for {} bytes", bytes.len());
        steps
    });
    assert!(steps[0] > 0, "{what}: nothing was counted");
    assert!(steps[1] <= 2 * steps[0] + PER_PACKET, "{what}: {steps:?}");
}

fn decoded(bytes: &[u8]) -> PacketRef<'_> {
    let sender = match bytes[0] >> 4 {
        8 | 10 => Role::Client,
        _ => Role::Server,
    };
    let status = Decoder::new(sender, ProtocolVersion::V5).decode(bytes).unwrap();
    status.ready().expect("all of it is there").0
}

fn decode(bytes: &[u8]) {
    decoded(bytes);
}

/// Both storages, a byte at a time, asked after each.
fn feed(bytes: &[u8]) {
    let mut borrowed = Decoder::new(Role::Server, ProtocolVersion::V5);
    let mut owned = borrowed.clone();
    let (mut start, mut buffer, mut seen) = (0, BytesMut::new(), [0, 0]);
    for end in 1..=bytes.len() {
        if let Status::Ready((_, len)) = borrowed.decode(&bytes[start..end]).unwrap() {
            start += len;
            seen[0] += 1;
        }
        buffer.put_u8(bytes[end - 1]);
        if owned.decode_bytes(&mut buffer).unwrap().ready().is_some() {
            seen[1] += 1;
        }
    }
    assert_eq!((start, buffer.len()), (bytes.len(), 0));
    assert!(seen[0] > 0 && seen[0] == seen[1]);
}

/// Each call looks at the fixed header alone, until everything is there: for two decoders and a
/// header of five bytes.
#[test]
fn a_mebibyte_that_comes_byte_by_byte_is_looked_at_once() {
    const PER_CALL: u64 = 2 * 12;
    let payload = std::vec![0; 2 * MIB];
    let inputs: [(&str, &dyn Fn(usize) -> BytesMut); 4] = [
        ("one payload", &|times| encoded(&publish(&payload[..times * MIB], &Properties::EMPTY))),
        ("one list", &|times| user_properties(times * (MIB / 16), "value")),
        ("many packets", &|times| BytesMut::from(&b"\xd0\0".repeat(times * MIB / 2)[..])),
        ("many acknowledgements", &|times| {
            BytesMut::from(&b"\x40\x02\0\x01".repeat(times * MIB / 4)[..])
        }),
    ];
    for (what, input) in inputs {
        let steps = [1, 2].map(|times| {
            let bytes = input(times);
            let steps = counter::of(|| feed(&bytes));
            println!("{what}, byte by byte: {} bytes, {steps} steps", bytes.len());
            let limit = (PER_CALL + 2 * PER_BYTE) * bytes.len() as u64 + PER_PACKET;
            assert!(steps <= limit, "{what}: {steps} steps for {} bytes", bytes.len());
            steps
        });
        assert!(steps[0] >= MIB as u64, "{what}: nothing was counted");
        assert!(steps[1] <= 2 * steps[0] + PER_PACKET, "{what}: {steps:?}");
    }
}

const COUNT: usize = 1 << 16;

#[test]
fn many_user_properties_are_read_and_printed_in_linear_time() {
    for value in ["value", "vålue", "a longer value, of several words"] {
        let input = |times| user_properties(times * COUNT, value);
        check_linear("user properties", input, decode);
        check_linear("user properties, read", input, |bytes| {
            let Packet::Publish(publish) = decoded(bytes) else { panic!() };
            let properties = publish.message.properties;
            assert!(properties.user_properties().count() >= COUNT);
        });
        check_linear("user properties, printed", input, |bytes| {
            assert!(format!("{:?}", decoded(bytes)).len() > COUNT);
        });
    }
}

#[test]
fn many_subscription_identifiers_are_read_and_printed_in_linear_time() {
    let input = |times| identifiers(times * COUNT);
    check_linear("identifiers", input, decode);
    check_linear("identifiers, read", input, |bytes| {
        let Packet::Publish(publish) = decoded(bytes) else { panic!() };
        let properties = publish.message.properties;
        assert!(properties.subscription_identifiers().count() >= COUNT);
    });
    check_linear("identifiers, printed", input, |bytes| {
        assert!(format!("{:?}", decoded(bytes)).len() > COUNT);
    });
}

#[test]
fn many_filters_are_read_and_printed_in_linear_time() {
    for filter in ["a/b", "a/+/c/#", "$share/group/a/+", "$share/å/+/å/#", "#"] {
        let input = |times| subscribe(times * COUNT, filter);
        check_linear("filters", input, decode);
        check_linear("filters, read", input, |bytes| {
            let Packet::Subscribe(Subscribe { filters, .. }) = decoded(bytes) else { panic!() };
            assert!(filters.iter().count() >= COUNT);
        });
        check_linear("filters, printed", input, |bytes| {
            assert!(format!("{:?}", decoded(bytes)).len() > COUNT);
        });
        check_linear("filters, written", input, |bytes| {
            let mut again = Vec::with_capacity(bytes.len());
            decoded(bytes).encode(ProtocolVersion::V5, &mut again).unwrap();
            assert_eq!(again, bytes);
        });
        let input = |times| unsubscribe(times * COUNT, filter);
        check_linear("filters of UNSUBSCRIBE, read", input, |bytes| {
            let Packet::Unsubscribe(Unsubscribe { filters, .. }) = decoded(bytes) else { panic!() };
            assert!(filters.iter().count() >= COUNT);
        });
        check_linear("filters of UNSUBSCRIBE, printed", input, |bytes| {
            assert!(format!("{:?}", decoded(bytes)).len() > COUNT);
        });
    }
}

#[test]
fn many_reason_codes_are_read_and_printed_in_linear_time() {
    check_linear(
        "reason codes",
        |times| suback(times * COUNT),
        |bytes| {
            let Packet::SubAck(SubAck { codes, .. }) = decoded(bytes) else { panic!() };
            assert!(codes.iter().len() >= COUNT);
            assert!(format!("{codes:?}").len() > COUNT);
        },
    );
}
