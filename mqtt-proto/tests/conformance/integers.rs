//! Variable byte integers (section 1.5.5), remaining lengths (2.1.4) and packet identifiers (2.2.1).

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, MALFORMED, VERSIONS},
    common::wire::{behind_u16, behind_varint, frame, unhex},
    samples::{publish, samples},
};

/// Both ends of each length, as the standard's table 1-1 has them.
const BOUNDARIES: [(u32, &[u8]); 10] = [
    (0, &[0x00]),
    (1, &[0x01]),
    (127, &[0x7f]),
    (128, &[0x80, 0x01]),
    (16_383, &[0xff, 0x7f]),
    (16_384, &[0x80, 0x80, 0x01]),
    (2_097_151, &[0xff, 0xff, 0x7f]),
    (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
    (268_435_454, &[0xfe, 0xff, 0xff, 0x7f]),
    (268_435_455, &[0xff, 0xff, 0xff, 0x7f]),
];

/// In the three places where there is one: Remaining Length, Property Length, Subscription Identifier.
pub(crate) fn variable_byte_integers(run: &mut Run) {
    let ids = &["v5 MQTT-1.5.5-1"];
    for (value, shortest) in BOUNDARIES {
        let header = [&[0x30], shortest].concat();
        let found = Decoder::new(Role::Client, ProtocolVersion::V5).header(&header);
        let found = found.map(|status| status.ready().map(|header| header.packet_len()));
        let size = 1 + shortest.len() as u32 + value;
        run.decoding(ids).equal(found, Ok(Some(size)), format_args!("{header:02x?}"));
        if value > 0 {
            let publish = with_property(Property::SubscriptionIdentifier(value));
            let list = behind_varint(&[&[0x0b], shortest].concat());
            let bytes = frame(0x30, &[&[0, 1, b'a'], &list]);
            check::both_ways(run, ids, Role::Server, &bytes, &publish);
        }
        // Every longer form of it, and one byte too many.
        for longer in longer(shortest) {
            let kind = if longer.len() > 4 {
                DecodeErrorKind::VarIntTooLong
            } else {
                DecodeErrorKind::VarIntNotMinimal
            };
            let header = [&[0x30], &longer[..]].concat();
            let found = Decoder::new(Role::Client, ProtocolVersion::V5).header(&header);
            let found = found.map_err(|error| (error.kind(), error.reason_code().get()));
            let what = format!("{header:02x?}");
            run.decoding(ids).equal(found, Err((kind, MALFORMED)), &what);
            let bytes = frame(0x30, &[&[0, 1, b'a'], &longer]);
            check::refuses(run, ids, Role::Server, &bytes, kind, MALFORMED);
            let list = behind_varint(&[&[0x0b], &longer[..]].concat());
            let bytes = frame(0x30, &[&[0, 1, b'a'], &list]);
            check::refuses(run, ids, Role::Server, &bytes, kind, MALFORMED);
        }
    }
    property_lengths(run, ids);
}

/// Property lists of the sizes where their length takes one byte more.
fn property_lengths(run: &mut Run, ids: &[&str]) {
    for (value, shortest) in
        BOUNDARIES.into_iter().filter(|&(value, _)| (5..70_000).contains(&value))
    {
        let text = "v".repeat(value as usize - 5);
        let publish = with_property(Property::UserProperty(("", &text)));
        let list = [&[0x26, 0, 0], &behind_u16(text.as_bytes())[..]].concat();
        let bytes = frame(0x30, &[&[0, 1, b'a'], shortest, &list]);
        check::both_ways(run, ids, Role::Client, &bytes, &publish);
    }
}

fn with_property(property: Property<'_>) -> Packet<Bytes> {
    let mut publish = publish("a", "");
    publish.message.properties = Properties::new([property]).unwrap();
    Packet::Publish(publish)
}

/// The same number in more bytes, up to five.
fn longer(shortest: &[u8]) -> Vec<Vec<u8>> {
    let (last, before) = shortest.split_last().unwrap();
    let pad = |count: usize| {
        let zeros = vec![0x80; count - 1];
        [before, &[last | 0x80], &zeros, &[0]].concat()
    };
    (1..=5 - shortest.len()).map(pad).collect()
}

/// Up to 268,435,455 is read and written, a fifth byte and anything larger never.
pub(crate) fn remaining_lengths(run: &mut Run) {
    let ids = &["v5 U5-2.1.4-1"];
    let header = |bytes: &[u8]| {
        let found = Decoder::new(Role::Client, ProtocolVersion::V5).header(bytes);
        found.map(|status| status.ready().map(|header| header.packet_len()))
    };
    let largest = unhex("30 ff ff ff 7f");
    run.decoding(ids).equal(header(&largest), Ok(Some(268_435_460)), "the largest");
    run.decoding(ids).equal(268_435_460, MAX_PACKET_SIZE, "what it is called");
    let limited = |limit| {
        let mut decoder =
            Decoder::new(Role::Client, ProtocolVersion::V5).with_max_packet_size(limit);
        decoder.header(&largest).map(|status| status.ready().is_some())
    };
    run.decoding(ids).equal(limited(268_435_460), Ok(true), "as large as the limit");
    let found = limited(268_435_459).map_err(|error| (error.kind(), error.reason_code().get()));
    let expected = Err((DecodeErrorKind::PacketTooLarge, 0x95));
    run.decoding(ids).equal(found, expected, "larger than the limit");
    for fifth in 0..=255 {
        for bytes in [[0x30, 0xff, 0xff, 0xff, 0xff, fifth], [0x30, 0x80, 0x80, 0x80, 0x80, fifth]]
        {
            let found = header(&bytes).map_err(|error| (error.kind(), error.reason_code().get()));
            let expected = Err((DecodeErrorKind::VarIntTooLong, MALFORMED));
            run.decoding(ids).equal(found, expected, format_args!("{bytes:02x?}"));
        }
    }
    // The fourth byte alone says that there is a fifth.
    let found = header(&largest[..4]);
    run.decoding(ids).equal(found, Ok(None), "not all there");
    let found = header(&unhex("30 80 80 80 80")).map_err(DecodeError::kind);
    run.decoding(ids).equal(found, Err(DecodeErrorKind::VarIntTooLong), "four bytes that go on");
    for (value, shortest) in BOUNDARIES.into_iter().filter(|&(value, _)| value > 127) {
        check_head(run, ids, value, shortest);
    }
    let too_long = sized(268_435_456);
    let version = ProtocolVersion::V5;
    run.encoding(ids).equal(too_long.encoded_len(version), Err(EncodeError::TooLong), "too long");
    let mut out = BytesMut::new();
    run.encoding(ids).equal(too_long.encode_head(version, &mut out), Err(EncodeError::TooLong), "");
    run.encoding(ids).holds(out.is_empty(), "nothing is written");
}

/// What is written before a payload that fills a remaining length of `value`, for both of its statements.
fn check_head(run: &mut Run, ids: &[&str], value: u32, shortest: &[u8]) {
    let publish = sized(value as usize);
    let mut head = BytesMut::new();
    let result = publish.encode_head(ProtocolVersion::V5, &mut head);
    let expected = [&[0x30], shortest, &[0, 1, b'a', 0]].concat();
    let len = publish.encoded_len(ProtocolVersion::V5);
    for ids in [ids, &["v5 MQTT-1.5.5-1"]] {
        run.encoding(ids).equal(result, Ok(()), value);
        run.encoding(ids).equal(&head[..], &expected[..], value);
        run.encoding(ids).equal(len, Ok(1 + shortest.len() as u32 + value), value);
    }
}

/// A PUBLISH of this remaining length. Its payload is zeros that nobody looks at.
fn sized(remaining: usize) -> Publish<Bytes> {
    let mut publish = publish("a", "");
    publish.message.payload = Bytes::from(vec![0; remaining - 4]);
    publish
}

/// 0 is no packet identifier, in no packet that has one.
pub(crate) fn packet_identifiers(run: &mut Run) {
    for version in VERSIONS {
        for sample in samples(version) {
            let (ids, at): (&[&str], _) = match (version, sample.packet_type) {
                (ProtocolVersion::V5, _) => (&["v5 U5-2.2.1-1"], 2),
                (_, PacketType::Subscribe | PacketType::Unsubscribe | PacketType::Publish) => {
                    (&["v3.1.1 MQTT-2.3.1-1"], 2)
                }
                _ => continue,
            };
            match sample.packet_type {
                PacketType::Publish => {
                    check_publish(run, ids);
                    continue;
                }
                packet if !has_identifier(packet) => continue,
                _ => {}
            }
            let mut bytes = sample.bytes.clone();
            check::both_ways(run, ids, sample.from, &bytes, &sample.packet);
            bytes[at..at + 2].fill(0);
            check::refuses(run, ids, sample.from, &bytes, DecodeErrorKind::PacketIdZero, MALFORMED);
        }
    }
    for ids in [["v5 U5-2.2.1-1"], ["v3.1.1 MQTT-2.3.1-1"]] {
        run.encoding(&ids).equal(PacketId::new(0), None, "0");
        for id in 1..=u16::MAX {
            let made = PacketId::new(id).map(PacketId::get);
            run.encoding(&ids).equal(made, Some(id), "a number");
        }
        let least = PacketId::from(NonZeroU16::MIN);
        run.encoding(&ids).equal((PacketId::MIN, least.get()), (least, 1), "the least");
    }
}

const fn has_identifier(packet: PacketType) -> bool {
    !matches!(
        packet,
        PacketType::Connect
            | PacketType::ConnAck
            | PacketType::PingReq
            | PacketType::PingResp
            | PacketType::Disconnect
            | PacketType::Auth
    )
}

fn check_publish(run: &mut Run, ids: &[&str]) {
    let end: &[u8] = if check::version(ids) == ProtocolVersion::V5 { &[0] } else { &[] };
    let id = PacketId::MAX;
    for (first, delivery) in [
        (0x32, Delivery::AtLeastOnce { id, dup: false }),
        (0x3c, Delivery::ExactlyOnce { id, dup: true }),
    ] {
        let bytes = frame(first, &[&[0, 1, b'a', 0xff, 0xff], end]);
        let packet = Packet::Publish(Publish { delivery, ..publish("a", "") });
        check::both_ways(run, ids, Role::Client, &bytes, &packet);
        let bytes = frame(first, &[&[0, 1, b'a', 0, 0], end]);
        let kind = DecodeErrorKind::PacketIdZero;
        check::refuses(run, ids, Role::Client, &bytes, kind, MALFORMED);
    }
}
