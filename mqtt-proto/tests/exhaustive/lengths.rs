//! Every length in every vector, set to everything it could say.

use bytes::BytesMut;
use mqtt_proto::{Packet, Status};

use crate::{
    Vector, halves, ran, vectors,
    walk::{Field, walk},
};

/// Where a variable byte integer gets a byte longer, and the largest.
const BOUNDARIES: [u32; 7] = [127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455];

/// Above it are only Subscription Identifiers, whose values are all in `variable_byte_integer`:
/// here the first so many of them will do, and those about the one there is.
const LONG: u32 = 17_000;

fn fields(vectors: &[Vector]) -> Vec<(&Vector, Field)> {
    let walked = vectors.iter().map(|vector| {
        let fields = walk(&vector.bytes, vector.version).expect("a wellformed packet");
        assert!(matches!(fields[0], Field::VarInt(1, _)), "{}", vector.id);
        fields.into_iter().map(move |field| (vector, field))
    });
    walked.flatten().collect()
}

/// The laws for any bytes: an error or a packet, the same borrowed and owned, whose layout is that
/// of the standard, and which is written and read again as what it is. Whether it is a packet.
fn check(vector: &Vector, bytes: &[u8]) -> bool {
    let mut decoder = vector.decoder();
    let borrowed = decoder.decode(bytes);
    let mut src = BytesMut::from(bytes);
    let owned = vector.decoder().decode_bytes(&mut src);
    match borrowed {
        Err(error) => {
            assert_eq!(owned, Err(error), "{bytes:02x?}");
            false
        }
        Ok(Status::NeedMore(missing)) => {
            assert_eq!(owned, Ok(Status::NeedMore(missing)), "{bytes:02x?}");
            assert_eq!(src, bytes);
            false
        }
        Ok(Status::Ready((packet, len))) => {
            assert_eq!(owned, Ok(Status::Ready(packet.to_bytes())), "{bytes:02x?}");
            assert_eq!(src, bytes[len..]);
            assert!(walk(&bytes[..len], vector.version).is_some(), "{packet:?} {bytes:02x?}");
            check_round_trip(vector, &packet, len);
            true
        }
    }
}

fn check_round_trip(vector: &Vector, packet: &Packet<&[u8]>, len: usize) {
    let mut again = Vec::with_capacity(len);
    packet.encode(vector.version, &mut again).expect("what was read can be written");
    assert!(again.len() <= len, "{packet:?}");
    let (read, read_len) = vector.decoder().decode(&again).unwrap().ready().unwrap();
    assert_eq!((&read, read_len), (packet, again.len()));
}

#[test]
fn every_two_byte_length_has_every_value() {
    let vectors = vectors();
    let mut fields = fields(&vectors);
    fields.retain(|(_, field)| matches!(field, Field::TwoByte(_)));
    ran("two-byte lengths", fields.len() as u64, 172);
    let count = halves(1 << 16, |values| {
        let mut count = 0;
        for &(vector, field) in &fields {
            let Field::TwoByte(at) = field else { unreachable!() };
            let mut bytes = vector.bytes.clone();
            for value in values.clone() {
                bytes[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
                let accepted = check(vector, &bytes);
                assert!(accepted || bytes != vector.bytes, "{}", vector.id);
                count += 1;
            }
        }
        count
    });
    ran("values of two-byte lengths", count, 65_536 * fields.len() as u64);
}

fn var_int(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[test]
fn every_variable_byte_integer_has_every_value_up_to_its_own_and_300_more_and_at_each_boundary() {
    let vectors = vectors();
    let (mut fields_seen, mut count) = (0, 0);
    for (vector, field) in fields(&vectors) {
        let Field::VarInt(start, end) = field else { continue };
        fields_seen += 1;
        let groups = vector.bytes[start..end].iter().rev();
        let own = groups.fold(0, |value, byte| value << 7 | u32::from(byte & 0x7f));
        let ranges = [0..=(own + 300).min(LONG), own.max(LONG) - 300..=own.max(LONG) + 300];
        let values = ranges.into_iter().flatten().filter(|&value| value <= own + 300);
        for value in values.chain(BOUNDARIES) {
            let bytes = with_var_int(vector, start, end, value);
            let accepted = check(vector, &bytes);
            assert!(accepted || value != own, "{}", vector.id);
            // Behind it comes something that a length could swallow.
            let followed = [&bytes[..], &[0; 320]].concat();
            assert!(check(vector, &followed) || value != own, "{}", vector.id);
            if start == 1 {
                check_missing(vector, &bytes, value);
            }
            count += 1;
        }
    }
    ran("variable byte integers", fields_seen, 157);
    ran("values of variable byte integers", count, 118_247);
}

/// The vector with another number there, and a remaining length that is right all the same, if it
/// is not the number.
fn with_var_int(vector: &Vector, start: usize, end: usize, value: u32) -> Vec<u8> {
    let body = 1 + vector.bytes[1..].iter().take_while(|&&byte| byte > 0x7f).count() + 1;
    if start == 1 {
        return [&vector.bytes[..1], &var_int(value), &vector.bytes[body..]].concat();
    }
    let body = [&vector.bytes[body..start], &var_int(value), &vector.bytes[end..]].concat();
    [&vector.bytes[..1], &var_int(body.len() as u32), &body].concat()
}

/// Whoever declares more than is there is asked for exactly the rest.
fn check_missing(vector: &Vector, bytes: &[u8], remaining: u32) {
    let declared = 1 + var_int(remaining).len() + remaining as usize;
    if let Some(missing) = declared.checked_sub(bytes.len()).filter(|&missing| missing > 0) {
        match vector.decoder().decode(bytes) {
            Ok(Status::NeedMore(more)) => assert_eq!(more.get() as usize, missing, "{}", vector.id),
            other => panic!("{}: {other:?}", vector.id),
        }
    }
}

/// Beyond the first 300 bytes there is nothing but payload.
#[test]
fn every_byte_has_every_value() {
    let vectors = vectors();
    let count = halves(1 << 8, |values| {
        let mut count = 0;
        for vector in &vectors {
            let mut bytes = vector.bytes.clone();
            for at in 0..bytes.len().min(300) {
                let own = bytes[at];
                for value in values.clone() {
                    bytes[at] = value as u8;
                    assert!(check(vector, &bytes) || bytes[at] != own, "{}", vector.id);
                    count += 1;
                }
                bytes[at] = own;
            }
        }
        count
    });
    let places: usize = vectors.iter().map(|vector| vector.bytes.len().min(300)).sum();
    ran("values of bytes", count, 256 * places as u64);
    ran("bytes", places as u64, 2565);
}
