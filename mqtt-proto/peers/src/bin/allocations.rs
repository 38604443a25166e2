//! The part of `peers allocations` that counts. It prints what it found for that one to read.

use allocation_counter::measure;
use codec_peers::command::{Options, Result, Suite, allocations, silence_panics};

fn main() -> Result {
    let (suite, args) = Suite::of(std::env::args().skip(1));
    let options = Options::parse(suite, args)?;
    if suite == Suite::Codecs {
        silence_panics();
    }
    allocations::run_counting(&options, |run| {
        let info = measure(run);
        (info.count_total, info.bytes_total)
    });
    Ok(())
}
