//! What remains without an allocator, the borrowed decoder and the slice encoder: also runs with
//! `--no-default-features`.

mod common;

use common::{rows, wire::unhex};
use mqtt_proto::{Decoder, ProtocolVersion, Role, Status};

fn check(version: ProtocolVersion, bytes: &[u8]) -> usize {
    let mut packets = 0;
    for sender in [Role::Client, Role::Server] {
        let mut decoder = Decoder::new(sender, version);
        let Ok(Status::Ready((packet, len))) = decoder.decode(bytes) else { continue };
        assert_eq!(len, bytes.len());
        let mut again = [0; 20_000];
        let written = packet.encode_to_slice(version, &mut again).unwrap();
        assert_eq!(packet.encoded_len(version), Ok(written as u32));
        let same = Decoder::new(sender, version).decode(&again[..written]);
        assert_eq!(same, Ok(Status::Ready((packet, written))));
        packets += 1;
    }
    packets
}

#[test]
fn every_vector_is_read_and_written_or_refused_without_an_allocator() {
    let version = |level: &str| level.parse().ok().and_then(ProtocolVersion::from_level).unwrap();
    let mut packets = 0;
    for [id, level, hex, ..] in rows::<5>(include_str!("data/wellformed.tsv")) {
        let count = check(version(level), &unhex(hex));
        assert_ne!(count, 0, "{id}");
        packets += count;
    }
    for [id, level, hex, ..] in rows::<9>(include_str!("data/malformed.tsv")) {
        assert_eq!(check(version(level), &unhex(hex)), 0, "{id}");
    }
    println!("packets: {packets}");
    assert!(packets >= 101);
}
