//! What topic aliases save, and what it costs to choose them: the way of this crate beside others.
//!
//! * `cargo bench -p mqtt-session --bench aliases` prints which part of the topic names is saved
//! * `cargo bench -p mqtt-session --bench aliases -- instructions` counts instructions for each
//!   publish, under valgrind
#![allow(missing_docs)]

extern crate alloc;

#[allow(dead_code, unreachable_pub, unused_imports, reason = "the crate's own, with its tests")]
#[path = "../../src/alias/outbound.rs"]
mod outbound;
mod ways;
mod workloads;

use std::{
    env,
    hint::black_box,
    process::{Command, Stdio},
};

use bytes::Bytes;
use mqtt_proto::{TopicAlias, TopicName};
use ways::{Make, WAYS, Way};
use workloads::{WORKLOADS, Workload};

const TABLES: [u16; 2] = [16, 128];

fn main() {
    let args: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => table("% of the bytes of topic names that is saved", saved),
        ["instructions"] => table("instructions for each publish", instructions),
        ["under-valgrind", way, workload, table] => {
            let make = WAYS.iter().find(|(name, _)| *name == way).expect("a way").1;
            let workload = WORKLOADS.iter().find(|at| at.name == workload).expect("a workload");
            let table = table.parse().expect("a number");
            let topics = topics(workload, table);
            let mut way = make(table);
            send(&mut *way, &topics);
            counted(&mut *way, &topics);
        }
        _ => panic!("what is {args:?}?"),
    }
}

/// One row for each way, one column for each workload.
fn table(what: &str, cell: fn(&str, Make, &Workload, u16) -> String) {
    println!("{what}");
    for table in TABLES {
        print!("\n| {table} aliases |");
        WORKLOADS.iter().for_each(|workload| print!(" {} |", workload.name));
        print!("\n|---|");
        WORKLOADS.iter().for_each(|_| print!("--:|"));
        println!();
        for (name, make) in WAYS {
            print!("| {name} |");
            for workload in &WORKLOADS {
                print!(" {} |", cell(name, make, workload, table));
            }
            println!();
        }
    }
}

fn topics(workload: &Workload, table: u16) -> Vec<TopicName<Bytes>> {
    let name = |topic| format!("plant/{}/sensor/{topic:06}/value", topic % 7);
    let topics = (workload.topics)(u64::from(table));
    topics.into_iter().map(|topic| TopicName::try_from(name(topic)).expect("legal")).collect()
}

fn saved(_: &str, make: Make, workload: &Workload, table: u16) -> String {
    let topics = topics(workload, table);
    let names: usize = topics.iter().map(|topic| topic.as_bytes().len()).sum();
    let sent = send(&mut *make(table), &topics);
    format!("{:.1}", 100.0 - 100.0 * sent as f64 / names as f64)
}

/// How many bytes topic names and aliases take.
fn send(way: &mut dyn Way, topics: &[TopicName<Bytes>]) -> usize {
    let bytes = topics.iter().map(|topic| match way.publish(topic) {
        None => topic.as_bytes().len(),
        Some(TopicAlias::Set(_)) => 3 + topic.as_bytes().len(),
        Some(TopicAlias::Use(_)) => 3,
    });
    bytes.sum()
}

/// Callgrind knows it by its name.
#[inline(never)]
fn counted(way: &mut dyn Way, topics: &[TopicName<Bytes>]) {
    black_box(send(way, topics));
}

fn instructions(way: &str, _: Make, workload: &Workload, table: u16) -> String {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*aliases::counted*"])
        .arg("--callgrind-out-file=/dev/null")
        .arg(env::current_exe().expect("a path"))
        .args(["under-valgrind", way, workload.name, &table.to_string()])
        .stdout(Stdio::null())
        .output()
        .expect("valgrind is needed to count instructions");
    let output = String::from_utf8_lossy(&output.stderr);
    let total = output.lines().find_map(|line| line.split_once("Collected : ")).expect("a total").1;
    let total: usize = total.trim().parse().expect("a number");
    (total / topics(workload, table).len()).to_string()
}
