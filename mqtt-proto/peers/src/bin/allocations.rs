//! The part of `peers allocations` that counts. It prints what it found for that one to read.

use allocation_counter::measure;
use codec_peers::command::{Options, Result, allocations, silence_panics};

fn main() -> Result {
    silence_panics();
    let options = Options::parse(std::env::args().skip(1))?;
    allocations::run_counting(&options, |run| {
        let info = measure(run);
        (info.count_total, info.bytes_total)
    });
    Ok(())
}
