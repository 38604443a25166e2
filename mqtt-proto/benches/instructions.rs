//! Instructions per packet, counted by valgrind: the same on every machine that runs the same code.
//! One process runs everything under callgrind, which writes what it counted, and begins anew,
//! each time the process leaves [`prepared`] and [`counted`]. What is counted is a thousand calls,
//! with the drop of what they give.
//!
//! Fails if an operation costs more than `budgets.tsv` allows.
//!
//! * `cargo bench -p mqtt-proto --bench instructions`
//! * `cargo bench -p mqtt-proto --bench instructions -- budgets` prints new budgets
#![allow(missing_docs)]

mod packets;

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    num::NonZeroU16,
    process::{self, Command, Stdio},
};

use bytes::{Bytes, BytesMut};
use mqtt_proto::{Decoder, Packet, ProtocolVersion, Publish, PublishOverrides, Status, TopicAlias};
use packets::{Case, cases};

/// A name, and what does it a thousand times.
type Operation = (&'static str, fn(&Case));

const OPERATIONS: [Operation; 7] = [
    ("header", count_header),
    ("borrowed", count_borrowed),
    ("owned", count_owned),
    ("encode", count_encode),
    ("to_slice", count_encode_to_slice),
    ("head", count_encode_head),
    ("alias", count_encode_alias),
];
const RUNS: usize = 1000;

/// What each operation may cost at most: 4 % more than it did when the file was written, as the
/// compiler has moods. `-` is what cannot be done.
const BUDGETS: &str = include_str!("budgets.tsv");

fn main() {
    let args: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(|arg| &**arg) {
        Some("under-valgrind") => run_under_valgrind(),
        Some("budgets") => print_budgets(&counts()),
        _ => table(&counts()),
    }
}

/// What each operation costs, by case; nothing for what cannot be done.
type Counts = Vec<(&'static str, Vec<Option<u64>>)>;

fn table(counts: &Counts) {
    let budgets = budgets();
    let mut over = Vec::new();
    print!("{:40}", "instructions");
    OPERATIONS.iter().for_each(|(operation, _)| print!("{operation:>10}"));
    println!();
    for (name, costs) in counts {
        print!("{name:40}");
        let budgets = budgets.get(name).unwrap_or_else(|| panic!("no budget for {name}"));
        assert_eq!(budgets.len(), OPERATIONS.len(), "budgets for {name}");
        for (((operation, _), cost), budget) in OPERATIONS.iter().zip(costs).zip(budgets) {
            match cost {
                Some(cost) => print!("{cost:>10}"),
                None => print!("{:>10}", "-"),
            }
            if cost > budget {
                over.push(format!("{operation} {name}: {cost:?}, {budget:?} allowed"));
            }
        }
        println!();
    }
    assert!(over.is_empty(), "over budget: {over:#?}");
}

fn print_budgets(counts: &Counts) {
    let operations = OPERATIONS.map(|(operation, _)| operation);
    println!("case\t{}", operations.join("\t"));
    for (name, costs) in counts {
        let budget = |cost: &Option<u64>| match cost {
            Some(cost) => (cost + cost.div_ceil(25)).to_string(),
            None => "-".into(),
        };
        println!("{name}\t{}", costs.iter().map(budget).collect::<Vec<_>>().join("\t"));
    }
}

fn budgets() -> BTreeMap<&'static str, Vec<Option<u64>>> {
    let parse = |line: &'static str| {
        let mut cells = line.split('\t');
        let name = cells.next().unwrap_or_default();
        let budget = |cell: &str| (cell != "-").then(|| cell.parse().expect("a number"));
        (name, cells.map(budget).collect())
    };
    BUDGETS.lines().skip(1).map(parse).collect()
}

/// What each operation on each case costs.
fn counts() -> Counts {
    let file = env::temp_dir().join(format!("mqtt-proto.{}.callgrind", process::id()));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--combine-dumps=yes"])
        .args(["--dump-after=*instructions::prepared*", "--dump-after=*instructions::counted*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe().expect("a path"))
        .arg("under-valgrind")
        .stderr(Stdio::null())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "valgrind is needed to count instructions"
    );
    let dumps = fs::read_to_string(&file).expect("what callgrind wrote");
    fs::remove_file(&file).expect("what callgrind wrote");

    let mut totals = totals_of_counted(&dumps);
    let counts = cases().into_iter().map(|case| {
        let count = |&(operation, _): &Operation| {
            let is_publish = matches!(case.packet, Packet::Publish(_));
            let is_possible = match operation {
                "head" => is_publish,
                "alias" => is_publish && case.version == ProtocolVersion::V5,
                _ => true,
            };
            is_possible.then(|| totals.next().expect("a total for each") / RUNS as u64)
        };
        (case.name, OPERATIONS.iter().map(count).collect())
    });
    let counts = counts.collect();
    assert_eq!(totals.next(), None, "more totals than operations");
    counts
}

fn totals_of_counted(dumps: &str) -> impl Iterator<Item = u64> {
    let mut is_counted = false;
    dumps.lines().filter_map(move |line| {
        if let Some(trigger) = line.strip_prefix("desc: Trigger: ") {
            is_counted = trigger.contains("instructions::counted");
        }
        let total = line.strip_prefix("totals: ").filter(|_| is_counted)?;
        Some(total.parse().expect("a number"))
    })
}

fn run_under_valgrind() {
    for case in cases() {
        for (_, count) in OPERATIONS {
            count(&case);
        }
    }
}

/// Twice, and the second time counts: what is done once is not part of the cost.
fn count(mut run: impl FnMut()) {
    run();
    prepared();
    counted(&mut run);
}

/// Callgrind knows it by its name.
#[inline(never)]
fn prepared() {
    black_box(());
}

/// Callgrind knows it by its name.
#[inline(never)]
fn counted(run: &mut dyn FnMut()) {
    run();
    black_box(());
}

fn count_header(case: &Case) {
    let mut decoder = Decoder::new(case.sender, case.version);
    count(|| (0..RUNS).for_each(|_| header(&mut decoder, black_box(&case.bytes))));
}

fn count_borrowed(case: &Case) {
    let mut decoder = Decoder::new(case.sender, case.version);
    count(|| (0..RUNS).for_each(|_| borrowed(&mut decoder, black_box(&case.bytes))));
}

fn count_owned(case: &Case) {
    let mut decoder = Decoder::new(case.sender, case.version);
    let mut src = BytesMut::from(&case.bytes.repeat(2 * RUNS)[..]);
    count(|| (0..RUNS).for_each(|_| owned(&mut decoder, &mut src)));
}

fn count_encode(case: &Case) {
    let mut dst = BytesMut::with_capacity(case.bytes.len());
    count(|| {
        (0..RUNS).for_each(|_| {
            dst.clear();
            encode(black_box(case), &mut dst);
        });
    });
}

fn count_encode_to_slice(case: &Case) {
    let mut dst = vec![0; case.bytes.len()];
    count(|| (0..RUNS).for_each(|_| encode_to_slice(black_box(case), &mut dst)));
}

/// Of PUBLISH, everything but the payload.
fn count_encode_head(case: &Case) {
    let Packet::Publish(publish) = &case.packet else { return };
    let mut dst = BytesMut::with_capacity(case.bytes.len());
    count(|| {
        (0..RUNS).for_each(|_| {
            dst.clear();
            encode_head(black_box(publish), case.version, &mut dst);
        });
    });
}

/// With a topic alias in the place of the topic name, and another Message Expiry Interval.
fn count_encode_alias(case: &Case) {
    let (Packet::Publish(publish), ProtocolVersion::V5) = (&case.packet, case.version) else {
        return;
    };
    let overrides = PublishOverrides {
        message_expiry_interval: Some(7),
        topic_alias: Some(TopicAlias::Use(NonZeroU16::MIN)),
    };
    let mut dst = BytesMut::with_capacity(case.bytes.len());
    count(|| {
        (0..RUNS).for_each(|_| {
            dst.clear();
            encode_alias(black_box(publish), black_box(overrides), &mut dst);
        });
    });
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
fn encode(case: &Case, dst: &mut BytesMut) {
    black_box(case.packet.encode(case.version, dst)).expect("it fits");
}

#[inline(never)]
fn encode_to_slice(case: &Case, dst: &mut [u8]) {
    black_box(case.packet.encode_to_slice(case.version, dst)).expect("it fits");
}

#[inline(never)]
fn encode_head(publish: &Publish<Bytes>, version: ProtocolVersion, dst: &mut BytesMut) {
    black_box(publish.encode_head(version, dst)).expect("it fits");
}

#[inline(never)]
fn encode_alias(publish: &Publish<Bytes>, overrides: PublishOverrides, dst: &mut BytesMut) {
    black_box(publish.encode_with(ProtocolVersion::V5, overrides, dst)).expect("it fits");
}
