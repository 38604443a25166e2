//! Every malformed and every well-formed packet of the codec's tests, to every peer.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use mqtt_proto::Role;

use super::{Options, Result};
use crate::{Codec, Outcome, Peer, figures::store};

const MALFORMED: &str = include_str!("../../../tests/data/malformed.tsv");
const WELLFORMED: &str = include_str!("../../../tests/data/wellformed.tsv");

/// Prints the counts, keeps the outcome of each row, and fails if ours is wrong about one.
pub fn run(options: &Options) -> Result {
    let malformed = table(options, "malformed", MALFORMED, |line| {
        let senders = match line[5] {
            "client" => vec![Role::Client],
            "server" => vec![Role::Server],
            _ => vec![Role::Client, Role::Server],
        };
        // Whoever sends it, it is to be refused.
        (senders, Verdict::worst)
    })?;
    let wellformed = table(options, "wellformed", WELLFORMED, |_| {
        // The rows do not say who may send it.
        (vec![Role::Client, Role::Server], Verdict::best)
    })?;
    let wrong = malformed.of_ours_other_than(Verdict::Refused)
        + wellformed.of_ours_other_than(Verdict::Accepted);
    if wrong == 0 { Ok(()) } else { Err(format!("ours is wrong about {wrong} rows").into()) }
}

/// What becomes of a packet, the better before the worse for one that is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Refused,
    /// The decoder asks for more, although all of the packet is there.
    AsksForMore,
    Accepted,
    /// Accepted, but not all of the packet was taken, or more than that.
    OtherLength,
    Panicked,
}

impl Verdict {
    const ALL: [Self; 5] =
        [Self::Accepted, Self::OtherLength, Self::Refused, Self::AsksForMore, Self::Panicked];

    fn of(codec: &Codec, bytes: &[u8], sender: Role) -> Option<Self> {
        let decode = codec.decode_one?;
        Some(match catch_unwind(AssertUnwindSafe(|| decode(bytes, sender))) {
            Err(_) => Self::Panicked,
            Ok(Outcome::Incomplete) => Self::AsksForMore,
            Ok(Outcome::Refused(_)) => Self::Refused,
            Ok(Outcome::Accepted(_, Some(len))) if len != bytes.len() => Self::OtherLength,
            Ok(Outcome::Accepted(..)) => Self::Accepted,
        })
    }

    fn worst(verdicts: Vec<Self>) -> Option<Self> {
        verdicts.into_iter().max()
    }

    fn best(verdicts: Vec<Self>) -> Option<Self> {
        if verdicts.contains(&Self::Accepted) {
            Some(Self::Accepted)
        } else {
            Self::worst(verdicts)
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::OtherLength => "accepted, other length",
            Self::Refused => "refused",
            Self::AsksForMore => "asks for more",
            Self::Panicked => "panicked",
        })
    }
}

/// The verdicts of each peer.
struct Verdicts(Vec<(Peer, Vec<Verdict>)>);

impl Verdicts {
    fn of_ours_other_than(&self, right: Verdict) -> usize {
        let ours = self.0.iter().filter(|(peer, _)| peer.is_ours());
        ours.flat_map(|(_, verdicts)| verdicts).filter(|verdict| **verdict != right).count()
    }

    fn print(&self, name: &str) {
        let head = Verdict::ALL.map(|verdict| verdict.to_string()).join(" | ");
        println!("| {name} | rows | {head} |\n|---|--:|--:|--:|--:|--:|--:|");
        for (peer, verdicts) in &self.0 {
            let count = |kind| verdicts.iter().filter(|verdict| **verdict == kind).count();
            let counts = Verdict::ALL.map(|kind| count(kind).to_string()).join(" | ");
            println!("| {} | {} | {counts} |", peer.name, verdicts.len());
        }
        println!();
    }
}

type Judge = fn(Vec<Verdict>) -> Option<Verdict>;

fn table(
    options: &Options,
    name: &str,
    rows: &str,
    how: impl Fn(&[&str]) -> (Vec<Role>, Judge),
) -> Result<Verdicts> {
    let can_decode = |peer: &Peer| peer.codecs.iter().any(|codec| codec.decode_one.is_some());
    let peers = options.peers().into_iter().filter(can_decode);
    let mut table = Verdicts(peers.map(|peer| (peer, Vec::new())).collect());
    let mut tsv = String::from("id\tlevel\tpeer\toutcome\n");
    for line in rows.lines().skip(1) {
        let line: Vec<_> = line.split('\t').collect();
        let (id, level, bytes) = (line[0], line[1].parse()?, unhex(line[2])?);
        let (senders, judge) = how(&line);
        for (peer, verdicts) in &mut table.0 {
            let Some(codec) = peer.codec(level) else { continue };
            let all = senders.iter().filter_map(|&sender| Verdict::of(codec, &bytes, sender));
            let Some(verdict) = judge(all.collect()) else { continue };
            tsv += &format!("{id}\t{level}\t{}\t{verdict}\n", peer.name);
            verdicts.push(verdict);
        }
    }
    table.print(name);
    store(name, &tsv)?;
    Ok(table)
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let byte = |at| Ok(u8::from_str_radix(text.get(at..at + 2).ok_or("half a byte")?, 16)?);
    (0..text.len()).step_by(2).map(byte).collect()
}
