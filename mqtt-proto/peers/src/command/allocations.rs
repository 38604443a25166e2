//! Allocations per packet. They are counted in a binary of its own, because counting takes time.

use std::{env, process::Command};

use super::{Options, Result, Row, Suite, publish};
use crate::{
    Bench,
    figures::{Figure, Figures},
};

pub fn run(options: &Options) -> Result {
    publish(&measure(options)?, &options.suite.measures().allocations)?;
    Ok(())
}

/// Asks the binary `allocations`, which is built beside this one.
pub fn measure(options: &Options) -> Result<Figures> {
    let program = env::current_exe()?.with_file_name("allocations");
    let output = Command::new(&program)
        .args((options.suite == Suite::Sessions).then_some("sessions"))
        .args(options.selection())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(Figures::parse(&String::from_utf8(output.stdout)?)?)
}

/// What that binary does, with its way to count: allocations and bytes.
pub fn run_counting(options: &Options, count: impl Fn(&mut dyn FnMut()) -> (u64, u64)) {
    let mut figures = Figures::default();
    for Row { direction, case, benches } in options.rows() {
        for (peer, bench) in benches() {
            let values = per_packet(bench, &count);
            let (case, peer) = (case.into(), peer.into());
            figures.0.push(Figure { direction, case, peer, values });
        }
    }
    print!("{}", figures.to_tsv(&options.suite.measures().allocations));
}

fn per_packet(
    mut bench: Box<dyn Bench>,
    count: impl Fn(&mut dyn FnMut()) -> (u64, u64),
) -> Vec<f64> {
    bench.prepare();
    let mut packets = 0;
    let (allocations, bytes) = count(&mut || packets = bench.run());
    vec![allocations as f64 / packets as f64, bytes as f64 / packets as f64]
}
