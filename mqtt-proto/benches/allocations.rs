//! Allocations per packet: none, whatever the packet, however it is read or written.
//!
//! `cargo bench -p mqtt-proto --bench allocations`
#![allow(missing_docs)]

mod packets;

use std::hint::black_box;

use allocation_counter::measure;
use bytes::{BufMut, BytesMut};
use mqtt_proto::{Decoder, Packet};
use packets::{Case, cases};

/// How often an operation on a packet allocates.
type Count = fn(&Case) -> u64;

const OPERATIONS: [(&str, Count); 5] = [
    ("borrowed", borrowed),
    ("owned", owned),
    ("encode", encode),
    ("to slice", encode_to_slice),
    ("head", encode_head),
];

/// So many packets; the first may find memory that was never used before.
const RUNS: usize = 100;

fn main() {
    println!("allocations of {RUNS} packets");
    print!("{:40}", "");
    OPERATIONS.iter().for_each(|(name, _)| print!("{name:>10}"));
    println!();
    let mut total = 0;
    for case in cases() {
        print!("{:40}", case.name);
        for (_, count) in OPERATIONS {
            let count = count(&case);
            print!("{count:>10}");
            total += count;
        }
        println!();
    }
    assert_eq!(total, 0, "something allocates");
}

fn borrowed(case: &Case) -> u64 {
    let mut decoder = Decoder::new(case.sender, case.version);
    count(|| {
        for _ in 0..RUNS {
            black_box(&decoder.decode(black_box(&case.bytes))).as_ref().unwrap();
        }
    })
}

/// Out of a buffer that packets have been taken out of before.
fn owned(case: &Case) -> u64 {
    let mut decoder = Decoder::new(case.sender, case.version);
    let mut src = BytesMut::from(&case.bytes.repeat(RUNS + 1)[..]);
    let mut next = || decoder.decode_bytes(&mut src).unwrap().ready().unwrap();
    next();
    count(|| {
        for _ in 0..RUNS {
            black_box(&next());
        }
    })
}

fn encode(case: &Case) -> u64 {
    let mut dst = BytesMut::with_capacity(case.bytes.len());
    count(|| {
        for _ in 0..RUNS {
            dst.clear();
            black_box(&case.packet).encode(case.version, &mut dst).unwrap();
        }
    })
}

fn encode_to_slice(case: &Case) -> u64 {
    let mut dst = vec![0; case.bytes.len()];
    count(|| {
        for _ in 0..RUNS {
            black_box(&case.packet).encode_to_slice(case.version, &mut dst).unwrap();
        }
    })
}

/// Of PUBLISH, everything but the payload, which is sent by reference.
fn encode_head(case: &Case) -> u64 {
    let Packet::Publish(publish) = &case.packet else { return 0 };
    let head = publish.head_len(case.version).unwrap() as usize;
    let mut dst = vec![0; head];
    count(|| {
        for _ in 0..RUNS {
            let mut dst = (&mut dst[..]).limit(head);
            black_box(publish).encode_head(case.version, &mut dst).unwrap();
        }
    })
}

fn count(run: impl FnOnce()) -> u64 {
    measure(run).count_total
}
