//! What was measured, and the files it is kept in.

use std::{fmt, fs, io, path::PathBuf, str::FromStr};

use crate::{Kind, peers::peers, sessions};

/// From bytes to packets or back, or a message from one side of a connection to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Decode,
    Encode,
    Flow,
}

impl Direction {
    pub const ALL: [Self; 3] = [Self::Decode, Self::Encode, Self::Flow];
    /// Those of a codec.
    pub const BOTH: [Self; 2] = [Self::Decode, Self::Encode];

    /// What the figures are for one of.
    const fn unit(self) -> &'static str {
        match self {
            Self::Decode | Self::Encode => "packet",
            Self::Flow => "message",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decode => "decode",
            Self::Encode => "encode",
            Self::Flow => "flow",
        })
    }
}

impl FromStr for Direction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|direction| direction.to_string() == text);
        found.ok_or_else(|| format!("no such direction: {text}"))
    }
}

/// What one peer needs for one packet or message of one case.
#[derive(Clone, Debug)]
pub struct Figure {
    pub direction: Direction,
    pub case: String,
    pub peer: String,
    /// In the order of the columns of the [`Measure`]; the first is the one that counts.
    pub values: Vec<f64>,
}

impl Figure {
    fn names_the_same(&self, other: &Self) -> bool {
        self.direction == other.direction && self.case == other.case && self.peer == other.peer
    }
}

/// What can be measured of a peer.
pub struct Measure {
    /// The name of its file.
    pub name: &'static str,
    /// What it is called in a table.
    what: &'static str,
    columns: &'static [&'static str],
}

const fn measure(
    name: &'static str,
    what: &'static str,
    columns: &'static [&'static str],
) -> Measure {
    Measure { name, what, columns }
}

/// What can be measured of one kind of thing.
pub struct Measures {
    pub wall: Measure,
    pub instructions: Measure,
    pub allocations: Measure,
}

pub const CODECS: Measures = Measures {
    wall: measure("wall", "Nanoseconds", &["median_ns", "min_ns"]),
    instructions: measure("instructions", "Instructions", &["instructions"]),
    allocations: measure("allocations", "Allocations", &["allocations", "bytes"]),
};
pub const SESSIONS: Measures = Measures {
    wall: measure("sessions-wall", "Nanoseconds", &["median_ns", "min_ns"]),
    instructions: measure("sessions-instructions", "Instructions", &["instructions"]),
    allocations: measure("sessions-allocations", "Allocations", &["allocations", "bytes"]),
};

/// All that are measured in a direction, in the order of the tables.
fn names(direction: Direction) -> Vec<(&'static str, Kind)> {
    match direction {
        Direction::Flow => sessions::PEERS.iter().map(|peer| (peer.name, peer.kind)).collect(),
        _ => peers().into_iter().map(|peer| (peer.name, peer.kind)).collect(),
    }
}

/// The figures of one measure.
#[derive(Clone, Debug, Default)]
pub struct Figures(pub Vec<Figure>);

impl Figures {
    /// The figure that counts.
    pub fn get(&self, direction: Direction, case: &str, peer: &str) -> Option<f64> {
        self.of(direction, case).find(|figure| figure.peer == peer).map(|figure| figure.values[0])
    }

    pub fn of(&self, direction: Direction, case: &str) -> impl Iterator<Item = &Figure> {
        self.0.iter().filter(move |figure| figure.direction == direction && figure.case == case)
    }

    /// The lowest figure among the peers of a kind, or of any kind, that are neither ours nor a
    /// floor.
    pub fn best_peer(
        &self,
        direction: Direction,
        case: &str,
        kind: Option<Kind>,
    ) -> Option<&Figure> {
        let peers: Vec<_> = names(direction)
            .into_iter()
            .filter(|(name, of)| !name.starts_with("ours:") && *of != Kind::Floor)
            .filter(|(_, of)| kind.is_none_or(|kind| *of == kind))
            .map(|(name, _)| name)
            .collect();
        self.of(direction, case)
            .filter(|figure| peers.contains(&&*figure.peer))
            .min_by(|a, b| a.values[0].total_cmp(&b.values[0]))
    }

    /// The cases in the order in which they were measured.
    pub fn cases(&self) -> Vec<&str> {
        let mut cases = Vec::new();
        for figure in &self.0 {
            if !cases.contains(&&*figure.case) {
                cases.push(&*figure.case);
            }
        }
        cases
    }

    /// All that is kept of a measure.
    pub fn load(measure: &Measure) -> io::Result<Self> {
        Self::parse(&fs::read_to_string(path(measure))?).map_err(io::Error::other)
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let parse = |line: &str| {
            let mut fields = line.split('\t');
            let mut next = || fields.next().ok_or_else(|| format!("too short: {line}"));
            let (direction, case, peer) = (next()?.parse()?, next()?.into(), next()?.into());
            let values: Result<Vec<f64>, _> = fields.map(str::parse).collect();
            let values = values.map_err(|error| format!("{error}: {line}"))?;
            Ok(Figure { direction, case, peer, values })
        };
        text.lines().skip(1).map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// One line for each figure, with a head.
    pub fn to_tsv(&self, measure: &Measure) -> String {
        let mut text = format!("direction\tcase\tpeer\t{}\n", measure.columns.join("\t"));
        for Figure { direction, case, peer, values } in &self.0 {
            let values: Vec<_> = values.iter().map(|value| format!("{value:.3}")).collect();
            text += &format!("{direction}\t{case}\t{peer}\t{}\n", values.join("\t"));
        }
        text
    }

    /// Keeps these figures in the place of those that there are for the same.
    pub fn store(&self, measure: &Measure) -> io::Result<()> {
        let mut kept = Self::load(measure).unwrap_or_default();
        for figure in &self.0 {
            match kept.0.iter_mut().find(|old| old.names_the_same(figure)) {
                Some(old) => *old = figure.clone(),
                None => kept.0.push(figure.clone()),
            }
        }
        store(measure.name, &kept.to_tsv(measure))
    }

    /// One table for each direction: a row for each case, a column for each peer.
    pub fn to_markdown(&self, measure: &Measure) -> String {
        let mut text = String::new();
        for direction in Direction::ALL {
            let rows: Vec<_> = self.0.iter().filter(|row| row.direction == direction).collect();
            let peers = names(direction).into_iter().map(|(name, _)| name);
            let peers: Vec<_> =
                peers.filter(|peer| rows.iter().any(|row| row.peer == *peer)).collect();
            if peers.is_empty() {
                continue;
            }
            let (what, unit) = (measure.what, direction.unit());
            text += &format!("{what} per {unit}, {direction}:\n\n");
            text +=
                &format!("| case | {} |\n|---|{}\n", peers.join(" | "), "--:|".repeat(peers.len()));
            for case in self.cases() {
                let cell = |peer: &&str| self.get(direction, case, peer).map_or("-".into(), short);
                let cells: Vec<String> = peers.iter().map(cell).collect();
                text += &format!("| {case} | {} |\n", cells.join(" | "));
            }
            text.push('\n');
        }
        text
    }
}

/// Three digits that say something.
pub fn short(value: f64) -> String {
    match value {
        _ if value == 0.0 => "0".into(),
        ..1.0 => format!("{value:.3}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn path(measure: &Measure) -> PathBuf {
    results().join(measure.name).with_extension("tsv")
}

/// Where the files are.
fn results() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/results").into()
}

/// Keeps a table in the file of this name.
pub fn store(name: &str, tsv: &str) -> io::Result<()> {
    fs::create_dir_all(results())?;
    fs::write(results().join(name).with_extension("tsv"), tsv)
}

/// What is kept in the file of this name.
pub fn load(name: &str) -> io::Result<String> {
    fs::read_to_string(results().join(name).with_extension("tsv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_as_it_was_written() {
        let text = "direction\tcase\tpeer\tmedian_ns\tmin_ns\nencode\ta\tb\t1.500\t1.000\n";
        let figures = Figures::parse(text).unwrap();
        assert_eq!(figures.get(Direction::Encode, "a", "b"), Some(1.5));
        assert_eq!(figures.get(Direction::Decode, "a", "b"), None);
        assert_eq!(figures.to_tsv(&CODECS.wall), text);
        assert!(Figures::parse("\nacross\ta\tb\t1").is_err());
        assert!(Figures::parse("\nencode\ta").is_err());
    }
}
