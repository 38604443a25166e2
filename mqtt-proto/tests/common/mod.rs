//! Tables, for the tests that are data.

/// The rows of a tab-separated table, without its heading.
pub(crate) fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    table.lines().skip(1).map(|line| {
        let cells: Vec<_> = line.split('\t').collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{N} cells wanted: {cells:?}"))
    })
}
