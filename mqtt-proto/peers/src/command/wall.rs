//! Wall clock. The peers of a case take turns, so that whatever else the machine does is shared by
//! all.

use std::time::Instant;

use super::{Benches, Options, Result, Row, publish, rivals};
use crate::figures::{Direction, Figure, Figures, short};

pub fn run(options: &Options) -> Result {
    let figures = measure(options);
    publish(&figures, &options.suite.measures().wall)?;
    println!("{}", comparison(&figures));
    Ok(())
}

pub fn measure(options: &Options) -> Figures {
    let mut figures = Figures::default();
    for row in options.rows() {
        figures.0.extend(measure_row(options, &row));
        eprintln!("{} {}", row.direction, row.case);
    }
    figures
}

/// The median of the medians of all passes, and the least of all.
fn measure_row(options: &Options, row: &Row) -> Vec<Figure> {
    let passes: Vec<_> =
        (0..options.passes).map(|_| pass(options.rounds, (row.benches)())).collect();
    let Some(first) = passes.first() else { return Vec::new() };
    let figure = |(at, &(peer, ..)): (usize, &(&str, f64, f64))| {
        let median = median(passes.iter().map(|pass| pass[at].1).collect());
        let least = passes.iter().map(|pass| pass[at].2).fold(f64::INFINITY, f64::min);
        let (direction, case, peer) = (row.direction, row.case.into(), peer.into());
        Figure { direction, case, peer, values: vec![median, least] }
    };
    first.iter().enumerate().map(figure).collect()
}

fn pass(rounds: usize, mut benches: Benches) -> Vec<(&'static str, f64, f64)> {
    const WARM_UP: usize = 3;
    let mut times = vec![Vec::with_capacity(rounds); benches.len()];
    for round in 0..WARM_UP + rounds {
        for ((_, bench), times) in benches.iter_mut().zip(&mut times) {
            bench.prepare();
            let start = Instant::now();
            let count = bench.run();
            let elapsed = start.elapsed().as_nanos() as f64;
            if round >= WARM_UP {
                times.push(elapsed / count as f64);
            }
        }
    }
    let summary = |((name, _), times): ((&'static str, _), Vec<f64>)| {
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        (name, median(times), least)
    };
    benches.into_iter().zip(times).map(summary).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Ours beside the fastest peer that it can be compared with.
pub fn comparison(figures: &Figures) -> String {
    let mut text = String::from(
        "| direction | case | ours | ns | fastest peer | ns | ratio |\n|---|---|---|--:|---|--:|--:|\n",
    );
    for case in figures.cases() {
        for direction in Direction::ALL {
            for ours in figures.of(direction, case).filter(|row| row.peer.starts_with("ours:")) {
                let rival = figures.best_peer(direction, case, rivals(&ours.peer, direction));
                let Some(rival) = rival else { continue };
                let [mine, theirs] = [ours.values[0], rival.values[0]];
                text += &format!(
                    "| {direction} | {case} | {} | {} | {} | {} | {:.2} |\n",
                    ours.peer,
                    short(mine),
                    rival.peer,
                    short(theirs),
                    mine / theirs
                );
            }
        }
    }
    text
}
