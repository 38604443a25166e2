//! Tables and hexadecimal text, for the tests that are data.

use mqtt_proto::ProtocolVersion;

/// The rows of a tab-separated table, without its heading.
pub(crate) fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    table.lines().skip(1).map(|line| {
        let cells: Vec<_> = line.split('\t').collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{N} cells wanted: {cells:?}"))
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2) && text.is_ascii(), "{text:?} is not hexadecimal");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn version(level: &str) -> ProtocolVersion {
    level.parse().ok().and_then(ProtocolVersion::from_level).expect("4 or 5")
}
