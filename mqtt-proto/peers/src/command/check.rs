//! Whether each peer takes all packets of each case, and whether its encoder gives the same bytes.

use super::{Options, Result, bench};
use crate::{
    Kind, Peer,
    figures::{Direction, store},
    inputs::Case,
};

/// Fails if ours does not; peers may know less, or write the same in other bytes.
pub fn run(options: &Options) -> Result {
    let mut tsv = String::from("case\tpeer\tdecode\tencode\n");
    let mut wrong = Vec::new();
    println!("| case | peer | decode | encode |\n|---|---|---|---|");
    for case in options.cases() {
        for peer in options.peers().into_iter().filter(|peer| peer.kind != Kind::Floor) {
            let [decode, encode] = outcome(&peer, &case);
            println!("| {} | {} | {decode} | {encode} |", case.name, peer.name);
            tsv += &format!("{}\t{}\t{decode}\t{encode}\n", case.name, peer.name);
            // The form that sends payloads by reference is for PUBLISH only.
            let complete = peer.name != "ours:head" || case.name.contains("_pub0");
            if peer.is_ours()
                && complete
                && [decode, encode].iter().any(|said| *said == "not all" || *said == "other bytes")
            {
                wrong.push(format!("{}: {}", peer.name, case.name));
            }
        }
    }
    store("check", &tsv)?;
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ").into()) }
}

fn outcome(peer: &Peer, case: &Case) -> [&'static str; 2] {
    let Some(codec) = peer.codec(case.level) else { return ["-", "-"] };
    let decode = match codec.decode.and_then(|_| bench(peer, case, Direction::Decode)) {
        Some(_) => "all",
        None if codec.decode.is_none() => "-",
        None => "not all",
    };
    let encode = match bench(peer, case, Direction::Encode) {
        Some(bench) if bench.output().is_some_and(|bytes| bytes == case.stream) => "same bytes",
        Some(_) => "other bytes",
        None if codec.encode.is_none() => "-",
        None => "not all",
    };
    [decode, encode]
}
