//! The first error of a decoder is its last word.
#![cfg(feature = "bytes")]

mod common;

use bytes::BytesMut;
use common::{rows, wire::unhex};
use mqtt_proto::{DecodeError, Decoder, ProtocolVersion, Role};

type Way = fn(&mut Decoder, &[u8]) -> Result<(), DecodeError>;

/// Every way to ask a decoder.
const WAYS: [(&str, Way); 3] = [
    ("header", |decoder, bytes| decoder.header(bytes).map(drop)),
    ("decode", |decoder, bytes| decoder.decode(bytes).map(drop)),
    ("decode_bytes", |decoder, bytes| {
        let mut src = BytesMut::from(bytes);
        let result = decoder.decode_bytes(&mut src).map(drop);
        assert!(src.len() == bytes.len() || result.is_ok() || !bytes.is_empty());
        result
    }),
];

/// What may come after an error, most of which would be welcome at any other time.
const AFTERWARDS: [&[u8]; 8] = [
    b"",
    b"\xc0",
    b"\xc0\0",
    b"\xd0\0",
    b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02c1",
    b"\x10\x0f\0\x04MQTT\x05\x02\0\x3c\0\0\x02c1",
    b"\x30\x04\0\x01ax",
    b"\x00\xff\xff\xff\xff\xff",
];

#[test]
fn after_an_error_every_call_gives_the_same_error_whatever_comes() {
    let (mut errors, mut calls) = (0, 0);
    for [_, level, hex, ..] in rows::<9>(include_str!("data/malformed.tsv")) {
        let version = level.parse().ok().and_then(ProtocolVersion::from_level).unwrap();
        let bytes = unhex(hex);
        let decoders = [
            Decoder::new(Role::Client, version),
            Decoder::new(Role::Server, version),
            Decoder::awaiting_connect(),
        ];
        for decoder in decoders {
            for (first, ask) in WAYS {
                let mut decoder = decoder.clone();
                // A fixed header may be all right in itself.
                let Err(error) = ask(&mut decoder, &bytes) else { continue };
                errors += 1;
                for after in AFTERWARDS.into_iter().chain([&bytes[..]]) {
                    for (then, ask) in WAYS {
                        let again = ask(&mut decoder, after);
                        assert_eq!(again, Err(error), "{first}, then {then}: {hex}");
                        // A limit or a copy does not make it forget.
                        decoder.set_max_packet_size(100);
                        decoder = decoder.clone();
                        calls += 1;
                    }
                }
            }
        }
    }
    println!("errors: {errors}, calls after them: {calls}");
    assert_eq!(calls, errors * 9 * 3);
    // Every vector is refused by each of three decoders in two ways, and some by their header.
    assert!(errors > 215 * 3 * 2);
}
