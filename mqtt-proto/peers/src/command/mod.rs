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
    rc::Rc,
};

use crate::{
    Bench, Kind, Peer,
    figures::{CODECS, Direction, Figures, Measure, Measures, SESSIONS},
    inputs::{Case, cases},
    peers::{LEFT_OUT, peers},
    sessions,
};

pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What can be measured in the same ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    Codecs,
    Sessions,
}

impl Suite {
    /// Which one the first of these arguments asks for, and the rest of them.
    pub fn of(args: impl Iterator<Item = String>) -> (Self, impl Iterator<Item = String>) {
        let mut args = args.peekable();
        let suite = match args.next_if(|arg| arg == "sessions") {
            Some(_) => Self::Sessions,
            None => Self::Codecs,
        };
        (suite, args)
    }

    pub const fn measures(self) -> &'static Measures {
        match self {
            Self::Codecs => &CODECS,
            Self::Sessions => &SESSIONS,
        }
    }
}

/// One line of the tables: who is measured doing the same.
pub struct Row {
    pub direction: Direction,
    pub case: &'static str,
    /// Makes the benches of all peers anew; each has run once, and so has all its memory.
    pub benches: Box<dyn Fn() -> Benches>,
}

pub type Benches = Vec<(&'static str, Box<dyn Bench>)>;

/// What to measure, and how often.
#[derive(Clone, Debug)]
pub struct Options {
    pub suite: Suite,
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
    pub fn parse(suite: Suite, args: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut options = Self { suite, cases: vec![], peers: vec![], rounds: 200, passes: 3 };
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

    /// The lines of the tables, in their order.
    pub fn rows(&self) -> Vec<Row> {
        match self.suite {
            Suite::Codecs => self.cases().into_iter().flat_map(|case| self.codecs(case)).collect(),
            Suite::Sessions => {
                let cases = sessions::CASES.iter().filter(|case| is_named(case.name, &self.cases));
                cases.map(|case| self.sessions(case)).collect()
            }
        }
    }

    fn codecs(&self, case: Case) -> [Row; 2] {
        let (name, case) = (case.name, Rc::new(case));
        Direction::BOTH.map(|direction| {
            let (options, case) = (self.clone(), Rc::clone(&case));
            let benches = Box::new(move || options.benches(&case, direction));
            Row { direction, case: name, benches }
        })
    }

    fn sessions(&self, case: &'static sessions::Case) -> Row {
        let named = self.peers.clone();
        let benches = Box::new(move || {
            let peers = sessions::PEERS.iter().filter(|peer| is_named(peer.name, &named));
            let make = |peer: &sessions::Peer| {
                let mut bench = (peer.make)(case);
                bench.run();
                (peer.name, bench)
            };
            peers.map(make).collect()
        });
        Row { direction: Direction::Flow, case: case.name, benches }
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
    fn benches(&self, case: &Case, direction: Direction) -> Benches {
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
        Direction::Flow => return None,
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
fn publish(figures: &Figures, measure: &Measure) -> io::Result<()> {
    println!("{}", figures.to_markdown(measure));
    figures.store(measure)
}

/// The kind of peers that one of ours is compared with: any when encoding.
fn rivals(ours: &str, direction: Direction) -> Option<Kind> {
    match (direction, ours) {
        (Direction::Encode | Direction::Flow, _) => None,
        (Direction::Decode, "ours:borrowed") => Some(Kind::Borrowing),
        (Direction::Decode, _) => Some(Kind::Owned),
    }
}
