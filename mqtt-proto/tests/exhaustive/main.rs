//! Small domains, each of them whole, against a second reading of the standard. With `--nocapture`
//! they print how many cases there were.
#![cfg(feature = "bytes")]

#[path = "../common/mod.rs"]
mod common;
mod connect_flags;
mod first_byte;
mod lengths;
mod splits;
mod utf8;
mod variable_byte_integer;
mod walk;

use mqtt_proto::{Decoder, ProtocolVersion, Role};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];
const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A packet of `tests/data/wellformed.tsv`, and a side that may send it.
struct Vector {
    id: &'static str,
    version: ProtocolVersion,
    sender: Role,
    bytes: Vec<u8>,
}

impl Vector {
    fn decoder(&self) -> Decoder {
        Decoder::new(self.sender, self.version)
    }
}

fn vectors() -> Vec<Vector> {
    let rows = common::rows(include_str!("../data/wellformed.tsv"));
    let vectors = rows.map(|[id, level, hex, _, _]| {
        let bytes = common::wire::unhex(hex);
        let version = level.parse().ok().and_then(ProtocolVersion::from_level).unwrap();
        let sends = |&role: &Role| Decoder::new(role, version).decode(&bytes).is_ok();
        let sender = ROLES.into_iter().find(sends).unwrap();
        Vector { id, version, sender, bytes }
    });
    vectors.collect()
}

/// Says how much was done, and that it was not less.
fn ran(what: &str, count: u64, expected: u64) {
    println!("{what}: {count}");
    assert_eq!(count, expected, "{what}");
}

/// The same work on two halves of `0..end`, on a thread each; the sum of their counts.
fn halves(end: u64, work: impl Fn(std::ops::Range<u64>) -> u64 + Sync) -> u64 {
    std::thread::scope(|scope| {
        let lower = scope.spawn(|| work(0..end / 2));
        work(end / 2..end) + lower.join().unwrap()
    })
}
