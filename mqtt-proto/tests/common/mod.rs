//! Tables and bytes, for the tests that are data.
#![allow(dead_code, reason = "each test target takes what it needs")]

#[cfg(feature = "bytes")]
pub(crate) mod codes;
#[cfg(feature = "bytes")]
pub(crate) mod properties;
pub(crate) mod wire;

use mqtt_proto::Role;

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// The rows of a tab-separated table, without its heading.
pub(crate) fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    table.lines().skip(1).map(|line| {
        let cells: Vec<_> = line.split('\t').collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{N} cells wanted: {cells:?}"))
    })
}

/// A byte written as `0x8C`.
pub(crate) fn number(text: &str) -> u8 {
    u8::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}
