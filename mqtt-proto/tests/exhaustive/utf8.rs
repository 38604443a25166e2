//! All byte strings of up to four bytes as UTF-8 Encoded Strings, section 1.5.4, against `std`.

use mqtt_proto::{Str, StringError, TopicName};

use crate::{halves, ran};

fn expected(bytes: &[u8]) -> Result<(), StringError> {
    match std::str::from_utf8(bytes) {
        Err(_) => Err(StringError::InvalidUtf8),
        Ok(text) if text.contains('\0') => Err(StringError::Nul),
        Ok(_) => Ok(()),
    }
}

fn check(bytes: &[u8]) {
    assert_eq!(Str::new(bytes).map(drop), expected(bytes), "{bytes:02x?}");
}

/// One byte of each class that a well-formed string tells apart (Unicode, table 3-7), and U+0000.
const CLASSES: [u8; 13] =
    [0x00, 0x7f, 0x80, 0x90, 0xa0, 0xc0, 0xc2, 0xe0, 0xe1, 0xed, 0xf0, 0xf1, 0xf4];

/// All strings of up to three bytes. Of those of four, all whose first three bytes can begin a
/// well-formed string. Where they cannot, no fourth byte makes up for it, and one of each class is
/// tried: a reader that looks at the first three bytes alone sees them all.
#[test]
fn every_string_of_up_to_four_bytes_is_what_std_says() {
    let (mut count, mut valid) = (1, 1);
    check(b"");
    for number in 0..1u32 << 24 {
        let [_, bytes @ ..] = number.to_be_bytes();
        for len in 1..=3 {
            // Each once.
            if bytes[len..].iter().all(|&byte| byte == 0) {
                check(&bytes[..len]);
                valid += u64::from(expected(&bytes[..len]).is_ok());
                count += 1;
            }
        }
    }
    ran("strings of up to three bytes", count, 1 + 256 + 256 * 256 + 256 * 256 * 256);
    // By the length of their characters: 127 characters of one byte, 1,920 of two, 61,440 of three.
    let of_two = 127 * 127 + 1920;
    ran("of them well-formed", valid, 1 + 127 + of_two + 127 * of_two + 1920 * 127 + 61_440);

    let after_ascii: [_; 256] =
        std::array::from_fn(|last| expected(&[b'a', b'a', b'a', last as u8]));
    let count =
        halves(1 << 24, |range| range.map(|number| check_four(number as u32, &after_ascii)).sum());
    // Three bytes of characters; two or one, and the first byte or bytes of a character; three of
    // one.
    let hopeful = 128 * 128 * 128
        + 2 * 128 * 1920
        + 61_440
        + (128 * 128 + 1920) * (30 + 16 + 5)
        + 128 * (960 + 256)
        + 256 * 64;
    ran(
        "strings of four bytes",
        count,
        hopeful * 256 + ((1 << 24) - hopeful) * CLASSES.len() as u64,
    );
}

/// The strings that begin with these three bytes.
fn check_four(number: u32, after_ascii: &[Result<(), StringError>; 256]) -> u64 {
    let [_, start @ ..] = number.to_be_bytes();
    let [first, second, third] = start;
    let check = |last, expected: Result<(), StringError>| {
        let bytes = [first, second, third, last];
        let actual = Str::new(&bytes[..]).map(drop);
        assert!(actual == expected, "{bytes:02x?}: {actual:?}, not {expected:?}");
    };
    match std::str::from_utf8(&start) {
        Err(error) if error.error_len().is_some() => {
            for last in CLASSES {
                check(last, Err(StringError::InvalidUtf8));
            }
            return CLASSES.len() as u64;
        }
        // Such characters say nothing about what follows, so `std` need not be asked again.
        Ok(text) if text.is_ascii() && !text.contains('\0') => {
            for last in 0..=255 {
                check(last, after_ascii[usize::from(last)]);
            }
        }
        _ => {
            for last in 0..=255 {
                check(last, expected(&[first, second, third, last]));
            }
        }
    }
    256
}

/// A check that takes several bytes at a time must see everything, wherever it stands.
#[test]
fn every_pair_of_bytes_is_seen_at_every_place_of_a_longer_string() {
    let mut count = 0;
    for pair in 0..=u16::MAX {
        for len in [2, 7, 8, 9, 15, 16, 17, 33] {
            count += check_at_every_place(&pair.to_be_bytes(), len);
        }
    }
    let places = 1 + 6 + 7 + 8 + 14 + 15 + 16 + 32;
    ran("places of pairs", count, 65_536 * places);
}

#[test]
fn every_character_is_seen_at_every_place_of_a_longer_string() {
    let characters = '\0'..=char::MAX;
    let count = characters
        .map(|character| check_at_every_place(character.encode_utf8(&mut [0; 4]).as_bytes(), 17));
    let all = 128 * 17 + 1920 * 16 + 61_440 * 15 + 0x10_0000 * 14;
    ran("places of characters", count.sum(), all);
}

/// As a string and as a topic name.
fn check_at_every_place(part: &[u8], len: usize) -> u64 {
    let places = len - part.len() + 1;
    for at in 0..places {
        let mut text = [b'a'; 33];
        text[at..at + part.len()].copy_from_slice(part);
        let text = &text[..len];
        let expected = expected(text);
        assert_eq!(Str::new(text).map(drop), expected, "{text:02x?}");
        let wildcard = text.contains(&b'+') || text.contains(&b'#');
        let expected = if wildcard { expected.and(Err(StringError::Wildcard)) } else { expected };
        assert_eq!(TopicName::new(text).map(drop), expected, "{text:02x?}");
    }
    places as u64
}
