//! The laws that hold for any bytes at all: bodies of the fuzz targets, outside of semantic
//! versioning.
//!
//! `fuzz/fuzz_targets` has one line for each; `cargo test` replays what is in `fuzz/corpus`. A law
//! that does not hold is a panic.

mod decode;
mod generate;
mod oracle;
mod properties;
mod rebuild;
mod roundtrip;
mod stream;
mod topics;

pub use {
    decode::decode, generate::Sent, properties::properties, roundtrip::roundtrip, stream::stream,
    topics::topics,
};

use alloc::{vec, vec::Vec};

use bytes::BufMut;

use crate::{EncodeError, Packet, ProtocolVersion, Publish, Role, Storage};

/// What a target does with the bytes that the fuzzer made.
pub type Body = fn(&[u8]);

/// Every target by its name: that of its line in `fuzz/fuzz_targets` and of its corpus.
pub const TARGETS: [(&str, Body); 5] = [
    ("decode", decode),
    ("properties", properties),
    ("roundtrip", roundtrip),
    ("stream", stream),
    ("topics", topics),
];

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];
const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// What is written within a limit is within it, in every way the same, and all of it if it fits.
fn check_limit<B: Storage>(packet: &Packet<B>, version: ProtocolVersion, limit: u32, whole: &[u8]) {
    let mut bytes = Vec::new();
    let outcome = packet.encode_within(version, limit, &mut bytes);
    let mut slice = vec![0; limit as usize];
    let len = bytes.len();
    assert_eq!(packet.encoded_len_within(version, limit), outcome.map(|()| len as u32));
    assert_eq!(packet.encode_to_slice_within(version, limit, &mut slice), outcome.map(|()| len));
    assert_eq!(slice[..len], bytes);
    assert!(outcome.is_ok() || bytes.is_empty());
    if whole.len() <= limit as usize {
        assert_eq!(bytes, whole);
    }
}

/// Encodes in every way there is. All must agree, and write nothing where they fail.
fn encode<B: Storage>(
    packet: &Packet<B>,
    version: ProtocolVersion,
) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    let outcome = packet.encode(version, &mut bytes);
    let len = match (outcome, packet.encoded_len(version)) {
        (Ok(()), Ok(len)) => len as usize,
        (Err(error), same) => {
            assert_eq!(same, Err(error));
            assert_eq!(packet.encode_to_slice(version, &mut [0; 64]), Err(error));
            assert!(bytes.is_empty());
            return Err(error);
        }
        (Ok(()), Err(error)) => panic!("{packet:?} was encoded but has no length: {error}"),
    };
    assert_eq!(bytes.len(), len);
    for limit in [2, 5, 40, len - 1, len] {
        check_limit(packet, version, limit as u32, &bytes);
    }

    const UNTOUCHED: u8 = 0xee;
    let mut slice = vec![UNTOUCHED; len + 3];
    assert_eq!(packet.encode_to_slice(version, &mut slice), Ok(len));
    assert_eq!(slice[..len], bytes);
    assert_eq!(slice[len..], [UNTOUCHED; 3]);

    slice.fill(UNTOUCHED);
    let room = &mut slice[..len - 1];
    assert_eq!(packet.encode_to_slice(version, room), Err(EncodeError::BufferTooSmall));
    assert_eq!(packet.encode(version, &mut &mut *room), Err(EncodeError::BufferTooSmall));
    assert!(slice.iter().all(|&byte| byte == UNTOUCHED));

    if let Packet::Publish(publish) = packet {
        check_head(publish, version, &bytes);
    }
    Ok(bytes)
}

/// The head and the payload are the packet.
fn check_head<B: Storage>(publish: &Publish<B>, version: ProtocolVersion, bytes: &[u8]) {
    let mut whole = Vec::new();
    assert_eq!(publish.encode(version, &mut whole), Ok(()));
    assert_eq!(whole, bytes);
    assert_eq!(publish.encoded_len(version), Ok(bytes.len() as u32));

    let mut head = Vec::new();
    assert_eq!(publish.encode_head(version, &mut head), Ok(()));
    assert_eq!(publish.head_len(version), Ok(head.len() as u32));
    let mut room = vec![0; head.len() - 1];
    let too_small = Err(EncodeError::BufferTooSmall);
    assert_eq!(publish.encode_head(version, &mut &mut room[..]), too_small);
    head.put_slice(publish.message.payload.as_ref());
    assert_eq!(head, bytes);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, string::String, vec::Vec};

    use super::*;

    #[test]
    fn the_laws_hold_for_every_input_in_the_corpora() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let mut names: Vec<String> = fs::read_dir(&corpora)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, TARGETS.map(|(name, _)| name));
        for (name, body) in TARGETS {
            let mut count = 0;
            for entry in fs::read_dir(corpora.join(name)).unwrap() {
                body(&fs::read(entry.unwrap().path()).unwrap());
                count += 1;
            }
            assert_ne!(count, 0, "no corpus for {name}");
        }
    }
}
