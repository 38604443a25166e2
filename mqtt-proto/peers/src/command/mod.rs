//! What the binaries do.

pub mod allocations;
pub mod bars;
pub mod check;
pub mod instructions;
pub mod report;
pub mod sizes;
pub mod vectors;
pub mod wall;

use std::{
    error::Error,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    Bench, Kind, Peer,
    figures::{Direction, Figures, Measure},
    inputs::{Case, cases},
    peers::{LEFT_OUT, peers},
};

pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What to measure, and how often.
#[derive(Clone, Debug)]
pub struct Options {
    /// A case or a peer is measured if its name contains one of these, or if there are none.
    pub cases: Vec<String>,
    pub peers: Vec<String>,
    /// How often the peers of a case take turns, with the same buffers.
    pub rounds: usize,
    /// How often that is done, each time with new buffers.
    pub passes: usize,
}

impl Options {
    /// From `--case NAME`, `--peer NAME`, `--rounds N` and `--passes N`.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut options = Self { cases: vec![], peers: vec![], rounds: 200, passes: 3 };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg}: there is no value"))?;
            match &*arg {
                "--case" => options.cases.push(value),
                "--peer" => options.peers.push(value),
                "--rounds" => options.rounds = value.parse()?,
                "--passes" => options.passes = value.parse()?,
                _ => return Err(format!("no such option: {arg}").into()),
            }
        }
        Ok(options)
    }

    /// The arguments that say the same to another process.
    fn selection(&self) -> Vec<&str> {
        let cases = self.cases.iter().flat_map(|name| ["--case", name]);
        cases.chain(self.peers.iter().flat_map(|name| ["--peer", name])).collect()
    }

    pub fn cases(&self) -> Vec<Case> {
        cases().into_iter().filter(|case| is_named(case.name, &self.cases)).collect()
    }

    pub fn peers(&self) -> Vec<Peer> {
        peers().into_iter().filter(|peer| is_named(peer.name, &self.peers)).collect()
    }

    /// The benches of all chosen peers that take all packets of the case.
    pub fn benches(
        &self,
        case: &Case,
        direction: Direction,
    ) -> Vec<(&'static str, Box<dyn Bench>)> {
        let bench = |peer: Peer| Some((peer.name, bench(&peer, case, direction)?));
        self.peers().into_iter().filter_map(bench).collect()
    }
}

fn is_named(name: &str, parts: &[String]) -> bool {
    parts.is_empty() || parts.iter().any(|part| name.contains(&**part))
}

/// The bench of a peer, if it takes all packets of the case.
pub fn bench(peer: &Peer, case: &Case, direction: Direction) -> Option<Box<dyn Bench>> {
    if LEFT_OUT.contains(&(peer.name, case.name)) {
        return None;
    }
    let codec = peer.codec(case.level)?;
    let make = match direction {
        Direction::Decode => codec.decode?,
        Direction::Encode => codec.encode?,
    };
    let made = catch_unwind(AssertUnwindSafe(|| {
        let mut bench = make(&case.stream);
        bench.prepare();
        (bench.run() == case.count).then_some(bench)
    }));
    made.ok().flatten()
}

/// Nothing is printed for the panics of peers: they are an outcome.
pub fn silence_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Prints the table and keeps the figures.
fn publish(figures: &Figures, measure: &Measure, what: &str) -> io::Result<()> {
    println!("{}", figures.to_markdown(what));
    figures.store(measure)
}

/// The kind of peers that one of ours is compared with: any when encoding.
fn rivals(ours: &str, direction: Direction) -> Option<Kind> {
    match (direction, ours) {
        (Direction::Encode, _) => None,
        (Direction::Decode, "ours:borrowed") => Some(Kind::Borrowing),
        (Direction::Decode, _) => Some(Kind::Owned),
    }
}
