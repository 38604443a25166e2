//! How fast the codec and the sessions must be, beside their peers, and whether they are.

use super::{Options, Result, Suite, allocations, instructions, wall};
use crate::{
    Kind,
    figures::{Direction, Figures, short, store},
    inputs::cases,
    sessions,
};

use Direction::{Decode, Encode, Flow};
use Limit::{Instructions, InstructionsOver, NoAllocation, NotSlower, Times};
use Rival::{AnyPeer, BorrowingPeer, OwnedPeer, Split};

const BORROWED: &str = "ours:borrowed";
const OWNED: &str = "ours:owned";
const HEAD: &str = "ours:head";

/// What one of ours is held to, on each of some cases.
struct Bar {
    direction: Direction,
    ours: &'static str,
    cases: &'static [&'static str],
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Limit {
    /// So many times the wall time of another.
    Times(f64, Rival),
    /// At most as slow as the fastest of these, and 10 % or 1 ns, whichever is larger.
    NotSlower(Rival),
    /// Instructions per packet.
    Instructions(f64),
    /// Instructions per packet more than for another case. A longer remaining length costs some; to
    /// touch 16 KiB costs thousands.
    InstructionsOver(f64, &'static str),
    NoAllocation,
}

/// The fastest of these.
#[derive(Clone, Copy, PartialEq)]
enum Rival {
    BorrowingPeer,
    OwnedPeer,
    AnyPeer,
    /// The floor that only looks at fixed headers.
    Split,
}

const PUBLISH_64: &[&str] = &["v4_pub0_64", "v4_pub1_64", "v4_pub2_64", "v5_pub0_64", "v5_pub1_64"];
const PUBLISH_16K: &[&str] = &["v4_pub0_16k", "v5_pub0_16k"];
const PUBLISH_PROPERTIES: &[&str] = &["v5_pub1_props"];
const CONNECT: &[&str] = &["v4_connect", "v5_connect"];
const SUBSCRIBE: &[&str] = &["v4_sub5", "v5_sub5"];
const ACKS: &[&str] = &[
    "v4_puback",
    "v4_pubrec",
    "v4_pubrel",
    "v4_pubcomp",
    "v5_puback",
    "v5_pubrec",
    "v5_pubrel",
    "v5_pubcomp",
];
const MIXED_V4: &[&str] = &["v4_mixed"];
const MIXED_V5: &[&str] = &["v5_mixed"];
const MIXED: &[&str] = &["v4_mixed", "v5_mixed"];
const PUBLISH: &[&str] = &[
    "v4_pub0_64",
    "v4_pub1_64",
    "v4_pub2_64",
    "v4_pub0_16k",
    "v5_pub0_64",
    "v5_pub1_64",
    "v5_pub0_16k",
    "v5_pub1_props",
];
const FLOWS_V4: &[&str] = &["v4_qos1", "v4_qos2"];
const FLOWS_V5: &[&str] = &["v5_qos1", "v5_qos2"];
/// Whatever there is.
const ALL: &[&str] = &[];

const fn bar(
    direction: Direction,
    ours: &'static str,
    cases: &'static [&'static str],
    limit: Limit,
) -> Bar {
    Bar { direction, ours, cases, limit }
}

const SESSION_BARS: &[Bar] = &[
    bar(Flow, BORROWED, FLOWS_V4, Times(0.5, AnyPeer)),
    bar(Flow, OWNED, FLOWS_V4, Times(0.5, AnyPeer)),
    bar(Flow, BORROWED, FLOWS_V5, Times(0.4, AnyPeer)),
    bar(Flow, OWNED, FLOWS_V5, Times(0.4, AnyPeer)),
    bar(Flow, BORROWED, ALL, NoAllocation),
    bar(Flow, OWNED, ALL, NoAllocation),
];

const CODEC_BARS: &[Bar] = &[
    bar(Decode, BORROWED, PUBLISH_64, Times(0.55, BorrowingPeer)),
    bar(Decode, BORROWED, PUBLISH_64, Instructions(180.0)),
    bar(Decode, OWNED, PUBLISH_64, Times(0.55, OwnedPeer)),
    bar(Decode, OWNED, PUBLISH_64, Instructions(340.0)),
    bar(Decode, OWNED, PUBLISH_PROPERTIES, Times(0.45, OwnedPeer)),
    bar(Decode, OWNED, CONNECT, Times(0.6, OwnedPeer)),
    bar(Decode, OWNED, SUBSCRIBE, Times(0.55, OwnedPeer)),
    bar(Decode, OWNED, ACKS, Times(0.5, OwnedPeer)),
    bar(Decode, OWNED, MIXED_V4, Times(0.6, OwnedPeer)),
    bar(Decode, OWNED, MIXED_V5, Times(0.45, OwnedPeer)),
    bar(Decode, BORROWED, PUBLISH_16K, Times(1.5, Split)),
    bar(Decode, OWNED, PUBLISH_16K, Times(0.75, OwnedPeer)),
    bar(Encode, OWNED, PUBLISH_64, Times(0.75, AnyPeer)),
    bar(Encode, OWNED, PUBLISH_PROPERTIES, Times(0.6, AnyPeer)),
    bar(Encode, OWNED, CONNECT, Times(0.6, AnyPeer)),
    bar(Encode, OWNED, MIXED, Times(0.7, AnyPeer)),
    // A slice is there already, a buffer may have to grow: like is compared with like.
    bar(Encode, BORROWED, ALL, NotSlower(AnyPeer)),
    bar(Encode, OWNED, ALL, NotSlower(OwnedPeer)),
    bar(Encode, HEAD, PUBLISH_16K, NotSlower(AnyPeer)),
    bar(Encode, HEAD, &["v4_pub0_16k"], InstructionsOver(128.0, "v4_pub0_64")),
    bar(Encode, HEAD, &["v5_pub0_16k"], InstructionsOver(128.0, "v5_pub0_64")),
    bar(Decode, BORROWED, ALL, NoAllocation),
    bar(Decode, OWNED, ALL, NoAllocation),
    bar(Encode, BORROWED, ALL, NoAllocation),
    bar(Encode, OWNED, ALL, NoAllocation),
    bar(Encode, HEAD, PUBLISH, NoAllocation),
];

/// All that is measured.
struct Measured {
    wall: Figures,
    instructions: Figures,
    allocations: Figures,
}

/// A bar on one case.
struct Judged {
    direction: Direction,
    ours: &'static str,
    case: String,
    figure: String,
    bar: String,
    met: bool,
}

/// Measures, and fails if a bar is not met.
pub fn run(options: &Options) -> Result {
    let measured = Measured {
        wall: wall::measure(options),
        instructions: instructions::measure(options)?,
        allocations: allocations::measure(options)?,
    };
    let measures = options.suite.measures();
    measured.wall.store(&measures.wall)?;
    measured.instructions.store(&measures.instructions)?;
    measured.allocations.store(&measures.allocations)?;
    report(options.suite, &measured)
}

/// Judges what is kept of earlier measurements.
pub fn run_on_results(options: &Options) -> Result {
    let measures = options.suite.measures();
    let measured = Measured {
        wall: Figures::load(&measures.wall)?,
        instructions: Figures::load(&measures.instructions)?,
        allocations: Figures::load(&measures.allocations)?,
    };
    report(options.suite, &measured)
}

/// The bars of a suite, and the name of the file that says which are met.
const fn bars(suite: Suite) -> (&'static [Bar], &'static str) {
    match suite {
        Suite::Codecs => (CODEC_BARS, "bars"),
        Suite::Sessions => (SESSION_BARS, "sessions-bars"),
    }
}

fn report(suite: Suite, measured: &Measured) -> Result {
    let (bars, file) = bars(suite);
    let judged: Vec<_> = bars.iter().flat_map(|bar| bar.judge(measured)).collect();
    let mut tsv = String::from("direction\tours\tcase\tfigure\tbar\tmet\n");
    println!("| direction | ours | case | figure | bar | met |\n|---|---|---|---|---|---|");
    for Judged { direction, ours, case, figure, bar, met } in &judged {
        let met = if *met { "yes" } else { "**no**" };
        println!("| {direction} | {ours} | {case} | {figure} | {bar} | {met} |");
        tsv += &format!("{direction}\t{ours}\t{case}\t{figure}\t{bar}\t{met}\n");
    }
    store(file, &tsv)?;
    let missed = judged.iter().filter(|judged| !judged.met).count();
    println!("\n{} of {} bars are met", judged.len() - missed, judged.len());
    if judged.is_empty() {
        return Err("nothing was judged".into());
    }
    if missed == 0 { Ok(()) } else { Err(format!("{missed} bars are not met").into()) }
}

/// One line for all that are met: their figures are the same.
fn in_short(judged: Vec<Judged>) -> Vec<Judged> {
    let (met, mut short): (Vec<_>, Vec<_>) = judged.into_iter().partition(|judged| judged.met);
    let count = met.len();
    if let Some(first) = met.into_iter().next() {
        short.push(Judged { case: format!("{count} cases"), ..first });
    }
    short
}

impl Bar {
    fn judge(&self, measured: &Measured) -> Vec<Judged> {
        let chosen = measured.wall.cases();
        let judged = self
            .all_cases()
            .into_iter()
            .filter(|case| self.cases.is_empty() || self.cases.contains(case))
            .filter(|case| chosen.contains(case) && self.has_rival(case, measured))
            .map(|case| {
                let (figure, bar, met) = self.judge_case(case, measured).unwrap_or_else(|| {
                    // Ours does not take its packets.
                    ("not measured".into(), "measured".into(), false)
                });
                let (direction, ours, case) = (self.direction, self.ours, case.into());
                Judged { direction, ours, case, figure, bar, met }
            });
        let judged = judged.collect();
        if matches!(self.limit, NoAllocation) { in_short(judged) } else { judged }
    }

    /// The names of all cases of its suite.
    fn all_cases(&self) -> Vec<&'static str> {
        match self.direction {
            Decode | Encode => cases().into_iter().map(|case| case.name).collect(),
            Flow => sessions::CASES.iter().map(|case| case.name).collect(),
        }
    }

    /// Whether there is anybody to compare with, if the bar is a comparison. Copying 16 KiB is
    /// compared with nobody, as some do not copy; see the form by reference.
    fn has_rival(&self, case: &str, measured: &Measured) -> bool {
        match self.limit {
            NotSlower(_) if self.ours != HEAD && PUBLISH_16K.contains(&case) => false,
            NotSlower(rival) => self.rival(&measured.wall, case, rival).is_some(),
            Times(_, rival) => self.rival(&measured.wall, case, rival).is_some(),
            _ => true,
        }
    }

    /// The figure, the bar, and whether it is met; nothing if there is no figure of ours.
    fn judge_case(&self, case: &str, measured: &Measured) -> Option<(String, String, bool)> {
        let get = |figures: &Figures, case: &str| figures.get(self.direction, case, self.ours);
        match self.limit {
            Times(times, rival) => {
                let ns = get(&measured.wall, case)?;
                let (name, theirs) = self.rival(&measured.wall, case, rival)?;
                let least = |peer: &str| {
                    let figure =
                        measured.wall.of(self.direction, case).find(|row| row.peer == peer);
                    figure.and_then(|row| row.values.last().copied())
                };
                let at_least = least(self.ours)? / least(name)?;
                let times_it = ns / theirs;
                let figure =
                    format!("{} ns = {times_it:.2} x {name} (least: {at_least:.2} x)", short(ns));
                Some((figure, format!("{times} x"), ns <= times * theirs))
            }
            NotSlower(rival) => {
                let ns = get(&measured.wall, case)?;
                let (name, theirs) = self.rival(&measured.wall, case, rival)?;
                let limit = theirs + f64::max(0.1 * theirs, 1.0);
                let figure = format!("{} ns, {name} {} ns", short(ns), short(theirs));
                Some((figure, format!("{} ns", short(limit)), ns <= limit))
            }
            Instructions(limit) => {
                let count = get(&measured.instructions, case)?;
                let bar = format!("{limit} instructions");
                Some((format!("{count:.0} instructions"), bar, count <= limit))
            }
            InstructionsOver(limit, other) => {
                let more = get(&measured.instructions, case)? - get(&measured.instructions, other)?;
                let figure = format!("{more:.0} instructions more than {other}");
                Some((figure, format!("{limit} instructions"), more <= limit))
            }
            NoAllocation => {
                let count = get(&measured.allocations, case)?;
                Some((format!("{count:.3} allocations"), "0 allocations".into(), count == 0.0))
            }
        }
    }

    fn rival<'a>(&self, figures: &'a Figures, case: &str, rival: Rival) -> Option<(&'a str, f64)> {
        let figure = match rival {
            Split => figures.of(self.direction, case).find(|row| row.peer == "floor:split"),
            BorrowingPeer => figures.best_peer(self.direction, case, Some(Kind::Borrowing)),
            OwnedPeer => figures.best_peer(self.direction, case, Some(Kind::Owned)),
            AnyPeer => figures.best_peer(self.direction, case, None),
        };
        figure.map(|figure| (&*figure.peer, figure.values[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figure;

    /// Encoding of one PUBLISH by one of ours, that of two peers and a floor beside it.
    fn measured(ours: &str, figure: f64) -> Measured {
        let figures = |peers: &[(&str, f64)]| {
            let figure = |&(peer, value): &(&str, f64)| Figure {
                direction: Encode,
                case: "v4_pub0_64".into(),
                peer: peer.into(),
                values: vec![value],
            };
            Figures(peers.iter().map(figure).collect())
        };
        let all =
            figures(&[("floor:memcpy", 1.0), (ours, figure), ("mqttrs", 8.0), ("rumqttc", 20.0)]);
        Measured { wall: all.clone(), instructions: all.clone(), allocations: all }
    }

    #[track_caller]
    fn check(limit: Limit, figure: f64, met: bool) {
        let judged = bar(Encode, OWNED, ALL, limit).judge(&measured(OWNED, figure));
        let [judged] = &judged[..] else { panic!("one case is judged") };
        assert_eq!(judged.met, met, "{}, {}", judged.figure, judged.bar);
    }

    #[test]
    fn a_bar_is_met_up_to_its_limit_and_missed_above() {
        check(Times(0.75, AnyPeer), 6.0, true);
        check(Times(0.75, AnyPeer), 6.1, false);
        check(Times(0.75, OwnedPeer), 15.0, true);
        check(Times(0.75, OwnedPeer), 15.1, false);
        check(Times(0.75, BorrowingPeer), 6.1, false);
        check(NotSlower(AnyPeer), 9.0, true);
        check(NotSlower(AnyPeer), 9.1, false);
        check(NotSlower(OwnedPeer), 22.0, true);
        check(NotSlower(OwnedPeer), 22.1, false);
        check(Instructions(180.0), 180.0, true);
        check(Instructions(180.0), 181.0, false);
        check(NoAllocation, 0.0, true);
        check(NoAllocation, 0.001, false);
    }

    #[test]
    fn a_case_that_ours_was_not_measured_on_is_missed() {
        let judged = bar(Encode, OWNED, ALL, NotSlower(AnyPeer)).judge(&measured(BORROWED, 1.0));
        assert_eq!(judged.iter().map(|judged| judged.met).collect::<Vec<_>>(), [false]);
    }

    #[test]
    fn every_bar_names_cases_and_one_of_ours_that_there_are() {
        let codecs: Vec<_> = crate::peers::peers().iter().map(|peer| peer.name).collect();
        let sessions: Vec<_> = sessions::PEERS.iter().map(|peer| peer.name).collect();
        for (suite, peers) in [(Suite::Codecs, codecs), (Suite::Sessions, sessions)] {
            for bar in bars(suite).0 {
                assert!(peers.contains(&bar.ours), "{}", bar.ours);
                let all = bar.all_cases();
                bar.cases.iter().for_each(|case| assert!(all.contains(case), "{case}"));
            }
        }
    }
}
