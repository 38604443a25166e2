//! All variable byte integers of up to four bytes, section 1.5.5, against the algorithms that are
//! printed there.

use std::ops::Range;

use mqtt_proto::*;

use crate::{VERSIONS, halves, ran};

/// One more than the largest.
const END: u64 = 1 << 28;

/// "The algorithm for encoding a non-negative integer (X) into the Variable Byte Integer encoding
/// scheme", into bytes and how many of them count.
fn encoded(mut x: u64) -> ([u8; 4], usize) {
    let (mut bytes, mut len) = ([0; 4], 0);
    loop {
        let mut encoded_byte = x % 128;
        x /= 128;
        if x > 0 {
            encoded_byte += 128;
        }
        bytes[len] = encoded_byte as u8;
        len += 1;
        if x == 0 {
            return (bytes, len);
        }
    }
}

/// "The algorithm for decoding": the value and how many bytes it took; `Err` for a malformed one,
/// `None` where the next byte is missing.
fn decoded(bytes: &[u8]) -> Result<Option<(u32, usize)>, ()> {
    let (mut multiplier, mut value) = (1, 0);
    for (at, &encoded_byte) in bytes.iter().enumerate() {
        value += u32::from(encoded_byte % 128) * multiplier;
        // Where the standard goes on it is about to read a fifth byte.
        if multiplier > 128 * 128 && encoded_byte >= 128 {
            return Err(());
        }
        multiplier *= 128;
        if encoded_byte < 128 {
            return Ok(Some((value, at + 1)));
        }
    }
    Ok(None)
}

/// The remaining length of a PUBLISH is written for every payload there is. Nobody looks at the
/// payload, so the system never has to find memory for it.
#[test]
fn every_remaining_length_is_written_as_the_standard_says() {
    const BEFORE_PAYLOAD: u64 = 3;
    let zeros = vec![0; (END - BEFORE_PAYLOAD) as usize];
    let topic = TopicName::try_from("t").unwrap();
    let check = |remaining: u64| {
        let payload = &zeros[..(remaining - BEFORE_PAYLOAD) as usize];
        let message = Message { topic, payload, properties: Properties::default() };
        let publish = Publish { delivery: Delivery::AtMostOnce, retain: false, message };
        let mut head = [0; 8];
        let mut room = &mut head[..];
        let (bytes, len) = encoded(remaining);
        let right = publish.encode_head(ProtocolVersion::V311, &mut room).is_ok()
            && room.len() == 8 - 1 - len - 3
            && head[0] == 0x30
            && head[1..=len] == bytes[..len]
            && head[1 + len..4 + len] == [0, 1, b't'];
        assert!(right, "{remaining}: {head:02x?}");
        1
    };
    let mut count = halves(END - BEFORE_PAYLOAD, |range| {
        range.map(|above| check(BEFORE_PAYLOAD + above)).sum()
    });
    // No PUBLISH is as short as these.
    let said = Disconnect::<&[u8]>::new(ReasonCode::UNSPECIFIED_ERROR);
    let short =
        [Packet::PingReq, Packet::Disconnect(said), Packet::PubAck(Ack::success(PacketId::MIN))];
    for (remaining, packet) in short.into_iter().enumerate() {
        let mut bytes = [0; 4];
        packet.encode_to_slice(ProtocolVersion::V5, &mut bytes).unwrap();
        assert_eq!(usize::from(bytes[1]), remaining);
        count += 1;
    }
    ran("remaining lengths written", count, END);
}

/// As the remaining length of a PUBLISH, which is not there.
fn check_header(bytes: &[u8], decoders: &[Decoder; 2]) {
    let expected = decoded(&bytes[1..]);
    for (decoder, version) in decoders.iter().zip(VERSIONS) {
        let actual = decoder.clone().header(bytes);
        let ok = match (expected, &actual) {
            (Ok(Some((value, len))), Ok(Status::Ready(header))) => {
                header.packet_len() == 1 + len as u32 + value
                    && (version == ProtocolVersion::V311 || encoded(value.into()).1 == len)
            }
            (Ok(Some((value, len))), Err(error)) => {
                version == ProtocolVersion::V5
                    && encoded(value.into()).1 < len
                    && error.kind() == DecodeErrorKind::VarIntNotMinimal
            }
            (Ok(None), Ok(Status::NeedMore(missing))) => missing.get() == 1,
            (Err(()), Err(error)) => error.kind() == DecodeErrorKind::VarIntTooLong,
            _ => false,
        };
        assert!(ok, "{version} {bytes:02x?}: {actual:?}");
    }
}

/// The bytes with these 7-bit groups, the first of them lowest, all but the last with a
/// continuation bit.
fn sequence(groups: u64, len: usize) -> [u8; 5] {
    let mut bytes = [0x30, 0, 0, 0, 0];
    for (at, byte) in bytes[1..=len].iter_mut().enumerate() {
        *byte = (groups >> (7 * at)) as u8 & 0x7f | if at + 1 < len { 0x80 } else { 0 };
    }
    bytes
}

/// A decoder tells sequences apart up to the first byte without a continuation bit, or to the
/// fourth: these are all of them.
#[test]
fn every_remaining_length_is_read_as_the_standard_says() {
    let decoders = VERSIONS.map(|version| Decoder::new(Role::Client, version));
    let mut count = 0;
    for len in 1..=3 {
        for groups in 0..1 << (7 * len) {
            let mut bytes = sequence(groups, len);
            check_header(&bytes[..=len], &decoders);
            // What comes after it is of no account.
            bytes[len + 1..].fill(0xff);
            check_header(&bytes, &decoders);
            // The same, cut off before its last byte.
            bytes[len] |= 0x80;
            check_header(&bytes[..=len], &decoders);
            count += 2;
        }
    }
    check_header(&[0x30], &decoders);
    count += 1;
    count += halves(END, |range: Range<u64>| {
        let mut count = 0;
        for groups in range {
            let mut bytes = sequence(groups, 4);
            check_header(&bytes, &decoders);
            // It goes on: refused, before the fifth byte is there.
            bytes[4] |= 0x80;
            check_header(&bytes, &decoders);
            count += 2;
        }
        count
    });
    let up_to_three: u64 = 2 * (128 + 128 * 128 + 128 * 128 * 128) + 1;
    ran("remaining lengths read", count, up_to_three + 2 * END);
}

#[test]
fn a_fifth_byte_is_refused_whatever_it_is() {
    let decoders = VERSIONS.map(|version| Decoder::new(Role::Client, version));
    let mut count = 0;
    for fifth in 0..=255 {
        for last in 0x80..=0xff {
            for rest in [0x80, 0xff] {
                check_header(&[0x30, rest, rest, rest, last, fifth], &decoders);
                count += 1;
            }
        }
    }
    ran("fifth bytes", count, 256 * 128 * 2);
}

/// Subscription Identifiers are read by another way in than remaining lengths.
#[test]
fn every_subscription_identifier_is_read_as_the_standard_says() {
    let mut count = halves(END, |range: Range<u64>| {
        range.map(|groups| check_identifier(sequence(groups, 4), 4)).sum()
    });
    for len in 1..=3 {
        for groups in 0..1 << (7 * len) {
            count += check_identifier(sequence(groups, len), len);
        }
    }
    ran("subscription identifiers read", count, 128 + 128 * 128 + 128 * 128 * 128 + END);
}

fn check_identifier(mut bytes: [u8; 5], len: usize) -> u64 {
    bytes[0] = 0x0b;
    let block = &bytes[..=len];
    let owner = PropertyOwner::Packet(PacketType::Publish);
    let list = Properties::from_wire(block, owner);
    let (value, _) = decoded(&block[1..]).unwrap().unwrap();
    let ok = match &list {
        Ok(list) => {
            encoded(value.into()).1 == len
                && list.subscription_identifier() == Some(value)
                && value > 0
        }
        Err(DecodeErrorKind::VarIntNotMinimal) => encoded(value.into()).1 < len,
        Err(DecodeErrorKind::PropertyValue(PropertyId::SubscriptionIdentifier)) => {
            block == [0x0b, 0]
        }
        Err(_) => false,
    };
    assert!(ok, "{block:02x?}: {list:?}");
    1
}
