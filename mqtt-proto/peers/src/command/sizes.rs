//! How large packets are in memory.

use super::{Options, Result};
use crate::figures::store;

pub fn run(options: &Options) -> Result {
    let mut tsv = String::from("peer\tlevel\tpacket\tpublish\n");
    println!("| peer | protocol level | any packet | PUBLISH |\n|---|--:|--:|--:|");
    for peer in options.peers() {
        for codec in &peer.codecs {
            let Some([packet, publish]) = codec.sizes else { continue };
            println!("| {} | {} | {packet} | {publish} |", peer.name, codec.level);
            tsv += &format!("{}\t{}\t{packet}\t{publish}\n", peer.name, codec.level);
        }
    }
    Ok(store("sizes", &tsv)?)
}
