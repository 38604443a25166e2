//! Instructions per message, counted by valgrind: from one side to the other and back to rest, bytes
//! to bytes, both sides counted, with the copies that stand for the network.
//! One process runs everything under callgrind, which writes what it counted, and begins anew,
//! each time the process leaves [`prepared`] and [`counted`].
//!
//! Fails if a message costs more than `budgets.tsv` allows, or if it costs noticeably more with
//! 65,535 in flight than with 100.
//!
//! * `cargo bench -p mqtt-session --bench instructions`
//! * `cargo bench -p mqtt-session --bench instructions -- budgets` prints new budgets
#![allow(missing_docs)]

mod pair;

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    process::{self, Command, Stdio},
};

use pair::{Case, Pair, WINDOWS, cases};

/// At least so many messages are counted.
const MESSAGES: u16 = 1000;

/// What a message may cost at most: 4 % more than it did when the file was written, as the compiler
/// has moods.
const BUDGETS: &str = include_str!("budgets.tsv");

/// What each message costs, by case, for each window.
type Counts = Vec<(String, [u64; WINDOWS.len()])>;

fn main() {
    let args: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(|arg| &**arg) {
        Some("under-valgrind") => run_under_valgrind(),
        Some("budgets") => print_budgets(&counts()),
        _ => table(&counts()),
    }
}

fn table(counts: &Counts) {
    let budgets = budgets();
    let mut wrong = Vec::new();
    print!("{:24}", "instructions per message");
    WINDOWS.iter().for_each(|window| print!("{window:>10}"));
    println!();
    for (name, costs) in counts {
        print!("{name:24}");
        let budgets = budgets.get(&**name).unwrap_or_else(|| panic!("no budget for {name}"));
        assert_eq!(budgets.len(), WINDOWS.len(), "budgets for {name}");
        for ((window, cost), budget) in WINDOWS.iter().zip(costs).zip(budgets) {
            print!("{cost:>10}");
            if cost > budget {
                wrong.push(format!("{name}, {window} in flight: {cost}, {budget} allowed"));
            }
        }
        println!();
        let [_, hundred, all] = costs;
        // No step looks at the other messages.
        if *all > hundred + hundred / 32 {
            wrong.push(format!("{name}: {all} with all in flight, {hundred} with a hundred"));
        }
    }
    assert!(wrong.is_empty(), "over budget: {wrong:#?}");
}

fn print_budgets(counts: &Counts) {
    println!("case\t{}", WINDOWS.map(|window| window.to_string()).join("\t"));
    for (name, costs) in counts {
        let budgets = costs.map(|cost| (cost + cost.div_ceil(25)).to_string());
        println!("{name}\t{}", budgets.join("\t"));
    }
}

fn budgets() -> BTreeMap<&'static str, Vec<u64>> {
    let parse = |line: &'static str| {
        let mut cells = line.split('\t');
        let name = cells.next().unwrap_or_default();
        (name, cells.map(|cell| cell.parse().expect("a number")).collect())
    };
    BUDGETS.lines().skip(1).map(parse).collect()
}

fn counts() -> Counts {
    let file = env::temp_dir().join(format!("mqtt-session.{}.callgrind", process::id()));
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
    let counts = cases().map(|case| {
        let count = |window| {
            let messages = u64::from(exchanges(window)) * u64::from(window);
            totals.next().expect("a total for each") / messages
        };
        (case.name(), WINDOWS.map(count))
    });
    let counts = counts.collect();
    assert_eq!(totals.next(), None, "more totals than cases and windows");
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
        for window in WINDOWS {
            let mut pair = Pair::connected(case.version, window);
            // What is done once is not part of the cost: memory grows, pages come.
            pair.exchange(case, window);
            prepared();
            counted(&mut pair, case, window);
        }
    }
}

const fn exchanges(window: u16) -> u16 {
    MESSAGES.div_ceil(window)
}

/// Callgrind knows it by its name.
#[inline(never)]
fn prepared() {
    black_box(());
}

/// Callgrind knows it by its name.
#[inline(never)]
fn counted(pair: &mut Pair, case: Case, window: u16) {
    for _ in 0..exchanges(window) {
        pair.exchange(black_box(case), window);
    }
    black_box(());
}
