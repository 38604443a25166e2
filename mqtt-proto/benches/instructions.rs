//! Instructions per packet, counted by valgrind: the same on every machine that runs the same code.
//! Each case runs a thousand and two thousand times; the difference is what one packet costs, with
//! the call and the drop of what it gives.
//!
//! `cargo bench -p mqtt-proto --bench instructions`
#![allow(missing_docs)]

mod packets;

use std::{env, hint::black_box, process::Command};

use bytes::BytesMut;
use mqtt_proto::{Decoder, Status};
use packets::{Case, cases};

const OPERATIONS: [&str; 4] = ["header", "borrowed", "owned", "encode"];
const RUNS: usize = 1000;

/// What these may cost at most.
const BUDGETS: [(&str, &str, u64); 6] = [
    ("borrowed", "publish_64B_qos0_v4", 250),
    ("owned", "publish_64B_qos0_v4", 430),
    ("encode", "publish_64B_qos0_v4", 160),
    ("borrowed", "puback_v4", 155),
    ("owned", "puback_v4", 225),
    ("encode", "puback_v4", 115),
];

fn main() {
    let args: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match &args[..] {
        [operation, name, runs] => run(operation, name, runs.parse().expect("a number")),
        _ => table(),
    }
}

fn table() {
    println!(
        "{:40}{:>10}{:>10}{:>10}{:>10}",
        "instructions", "header", "borrowed", "owned", "encode"
    );
    let mut over = Vec::new();
    for Case { name, .. } in cases() {
        print!("{name:40}");
        for operation in OPERATIONS {
            let cost = [2 * RUNS, RUNS].map(|runs| instructions(operation, name, runs));
            let [Some(twice), Some(once)] = cost else {
                println!("\nvalgrind is needed to count instructions");
                return;
            };
            let cost = (twice - once) / RUNS as u64;
            print!("{cost:>10}");
            let budget = BUDGETS.iter().find(|budget| (budget.0, budget.1) == (operation, name));
            if budget.is_some_and(|budget| cost > budget.2) {
                over.push((operation, name, cost));
            }
        }
        println!();
    }
    assert!(over.is_empty(), "over budget: {over:?}");
}

fn instructions(operation: &str, name: &str, runs: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().ok()?)
        .args([operation, name, &runs.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stderr).ok()?;
    text.split("Collected :").nth(1)?.split_whitespace().next()?.parse().ok()
}

fn run(operation: &str, name: &str, runs: usize) {
    let case = cases().into_iter().find(|case| case.name == name).expect("a case");
    let mut decoder = Decoder::new(case.sender, case.version);
    match operation {
        "header" => (0..runs).for_each(|_| header(&mut decoder, black_box(&case.bytes))),
        "borrowed" => (0..runs).for_each(|_| borrowed(&mut decoder, black_box(&case.bytes))),
        "owned" => {
            let mut src = BytesMut::from(&case.bytes.repeat(2 * RUNS)[..]);
            (0..runs).for_each(|_| owned(&mut decoder, &mut src));
        }
        "encode" => {
            let mut out = BytesMut::with_capacity(case.bytes.len());
            (0..runs).for_each(|_| {
                out.clear();
                encode(black_box(&case), &mut out);
            });
        }
        _ => panic!("{operation}?"),
    }
}

#[inline(never)]
fn header(decoder: &mut Decoder, bytes: &[u8]) {
    let _ = black_box(&decoder.header(bytes));
}

#[inline(never)]
fn borrowed(decoder: &mut Decoder, bytes: &[u8]) {
    match black_box(&decoder.decode(bytes)) {
        Ok(Status::Ready(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[inline(never)]
fn owned(decoder: &mut Decoder, src: &mut BytesMut) {
    match black_box(&decoder.decode_bytes(src)) {
        Ok(Status::Ready(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[inline(never)]
fn encode(case: &Case, out: &mut BytesMut) {
    black_box(case.packet.encode(case.version, out)).expect("it fits");
}
