//! Instructions per packet, counted by callgrind: no other work on the machine can change them.
//!
//! One process runs everything under valgrind. Callgrind writes what it counted, and begins anew,
//! each time the process leaves [`prepared`] and each time it leaves [`counted`].

use std::{
    env, fs,
    hint::black_box,
    process::{self, Command, Stdio},
};

use super::{Options, Result, Row, Suite, publish};
use crate::{Bench, figures::Figures};

pub fn run(options: &Options) -> Result {
    publish(&measure(options)?, &options.suite.measures().instructions)?;
    Ok(())
}

pub fn measure(options: &Options) -> Result<Figures> {
    let totals = env::temp_dir().join(format!("codec-peers.{}.callgrind", process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--combine-dumps=yes"])
        .args(["--dump-after=*instructions::prepared*", "--dump-after=*instructions::counted*"])
        .arg(format!("--callgrind-out-file={}", totals.display()))
        .arg(env::current_exe()?)
        .args((options.suite == Suite::Sessions).then_some("sessions"))
        .arg("under-valgrind")
        .args(options.selection())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let dumps = fs::read_to_string(&totals)?;
    fs::remove_file(&totals)?;
    let totals = totals_of_counted(&dumps)?;
    // Here a value is the number of packets or messages.
    let mut figures = Figures::parse(&format!("\n{}", String::from_utf8(output.stdout)?))?;
    if totals.len() != figures.0.len() {
        return Err(format!("{} totals for {} figures", totals.len(), figures.0.len()).into());
    }
    for (figure, total) in figures.0.iter_mut().zip(totals) {
        figure.values[0] = total / figure.values[0];
    }
    Ok(figures)
}

fn totals_of_counted(dumps: &str) -> Result<Vec<f64>> {
    let mut totals = Vec::new();
    let mut is_counted = false;
    for line in dumps.lines() {
        if let Some(trigger) = line.strip_prefix("desc: Trigger: ") {
            is_counted = trigger.contains("instructions::counted");
        } else if let Some(total) = line.strip_prefix("totals: ")
            && is_counted
        {
            totals.push(total.parse()?);
        }
    }
    Ok(totals)
}

/// What runs under valgrind: everything, in the order that it prints.
pub fn run_under_valgrind(options: &Options) -> Result {
    for Row { direction, case, benches } in options.rows() {
        for (peer, mut bench) in benches() {
            bench.prepare();
            prepared();
            let count = counted(&mut *bench);
            println!("{direction}\t{case}\t{peer}\t{count}");
        }
    }
    Ok(())
}

/// Callgrind knows it by its name.
#[inline(never)]
fn prepared() {
    black_box(());
}

/// Callgrind knows it by its name.
#[inline(never)]
fn counted(bench: &mut dyn Bench) -> usize {
    black_box(bench.run())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_counted_is_a_total() {
        let dumps = "desc: Trigger: --dump-after=a::instructions::prepared\ntotals: 1\n\
                     desc: Trigger: --dump-after=a::instructions::counted\ntotals: 2\n\
                     desc: Trigger: Program termination\ntotals: 3\n";
        assert_eq!(totals_of_counted(dumps).unwrap(), [2.0]);
    }
}
