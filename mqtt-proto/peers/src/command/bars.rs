//! How fast the codec must be, beside its peers, and whether it is.

use super::{Options, Result, allocations, instructions, wall};
use crate::{
    Kind,
    figures::{ALLOCATIONS, Direction, Figures, INSTRUCTIONS, WALL, short, store},
    inputs::cases,
};

use Direction::{Decode, Encode};
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
    /// At most as slow as the fastest peer, and 10 % or 1 ns, whichever is larger.
    NotSlower,
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

const BARS: &[Bar] = &[
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
    bar(Encode, OWNED, ALL, NotSlower),
    bar(Encode, HEAD, PUBLISH_16K, NotSlower),
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
    case: &'static str,
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
    measured.wall.store(&WALL)?;
    measured.instructions.store(&INSTRUCTIONS)?;
    measured.allocations.store(&ALLOCATIONS)?;
    report(&measured)
}

/// Judges what is kept of earlier measurements.
pub fn run_on_results() -> Result {
    report(&Measured {
        wall: Figures::load(&WALL)?,
        instructions: Figures::load(&INSTRUCTIONS)?,
        allocations: Figures::load(&ALLOCATIONS)?,
    })
}

fn report(measured: &Measured) -> Result {
    let judged: Vec<_> = BARS.iter().flat_map(|bar| bar.judge(measured)).collect();
    let mut tsv = String::from("direction\tours\tcase\tfigure\tbar\tmet\n");
    println!("| direction | ours | case | figure | bar | met |\n|---|---|---|---|---|---|");
    for Judged { direction, ours, case, figure, bar, met } in &judged {
        let met = if *met { "yes" } else { "**no**" };
        println!("| {direction} | {ours} | {case} | {figure} | {bar} | {met} |");
        tsv += &format!("{direction}\t{ours}\t{case}\t{figure}\t{bar}\t{met}\n");
    }
    store("bars", &tsv)?;
    let missed = judged.iter().filter(|judged| !judged.met).count();
    println!("\n{} of {} bars are met", judged.len() - missed, judged.len());
    if judged.is_empty() {
        return Err("nothing was judged".into());
    }
    if missed == 0 { Ok(()) } else { Err(format!("{missed} bars are not met").into()) }
}

impl Bar {
    fn judge(&self, measured: &Measured) -> Vec<Judged> {
        let chosen = measured.wall.cases();
        let names = cases().into_iter().map(|case| case.name);
        names
            .filter(|case| self.cases.is_empty() || self.cases.contains(case))
            .filter(|case| chosen.contains(case) && self.has_rival(case, measured))
            .map(|case| {
                let (figure, bar, met) = self.judge_case(case, measured).unwrap_or_else(|| {
                    // Ours does not take its packets.
                    ("not measured".into(), "measured".into(), false)
                });
                Judged { direction: self.direction, ours: self.ours, case, figure, bar, met }
            })
            .collect()
    }

    /// Whether there is anybody to compare with, if the bar is a comparison. Copying 16 KiB is
    /// compared with nobody, as some do not copy; see the form by reference.
    fn has_rival(&self, case: &str, measured: &Measured) -> bool {
        match self.limit {
            NotSlower if self.ours == OWNED && PUBLISH_16K.contains(&case) => false,
            NotSlower => self.rival(&measured.wall, case, AnyPeer).is_some(),
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
                let figure = format!("{} ns = {:.2} x {name}", short(ns), ns / theirs);
                Some((figure, format!("{times} x"), ns <= times * theirs))
            }
            NotSlower => {
                let ns = get(&measured.wall, case)?;
                let (name, theirs) = self.rival(&measured.wall, case, AnyPeer)?;
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

    fn rival<'a>(&self, wall: &'a Figures, case: &str, rival: Rival) -> Option<(&'a str, f64)> {
        let figure = match rival {
            Split => wall.of(self.direction, case).find(|row| row.peer == "floor:split"),
            BorrowingPeer => wall.best_peer(self.direction, case, Some(Kind::Borrowing)),
            OwnedPeer => wall.best_peer(self.direction, case, Some(Kind::Owned)),
            AnyPeer => wall.best_peer(self.direction, case, None),
        };
        figure.map(|figure| (&*figure.peer, figure.values[0]))
    }
}
