//! Allocations per message, from one side to the other and back to rest, both sides counted: none
//! once the buffers are as large as the window needs.
//!
//! `cargo bench -p mqtt-session --bench allocations`
#![allow(missing_docs)]

mod pair;

use allocation_counter::measure;
use pair::{Case, Pair, WINDOWS, cases};

/// So many windows; the first may find memory that was never used before.
const EXCHANGES: usize = 10;

fn main() {
    println!("allocations of {EXCHANGES} times a window of messages");
    print!("{:24}", "");
    WINDOWS.iter().for_each(|window| print!("{window:>10}"));
    println!();
    let mut total = 0;
    for case in cases() {
        print!("{:24}", case.name());
        for window in WINDOWS {
            let count = allocations(case, window);
            print!("{count:>10}");
            total += count;
        }
        println!();
    }
    assert_eq!(total, 0, "something allocates");
}

fn allocations(case: Case, window: u16) -> u64 {
    let mut pair = Pair::connected(case.version, window);
    pair.exchange(case, window);
    measure(|| (0..EXCHANGES).for_each(|_| pair.exchange(case, window))).count_total
}
