//! Hash tables of what is in a slab.

use alloc::vec::Vec;

use hashbrown::HashTable;

use super::slab::Id;

/// Finds values by their hash; looked up, never iterated. In parts, because a table that grows
/// moves everything at once: a part of a million entries does that within milliseconds.
#[derive(Debug)]
pub(super) struct Table<T>(Vec<HashTable<Id<T>>>);

/// Enough for the pauses, and a few kilobytes when empty.
const PARTS: usize = 64;

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self((0..PARTS).map(|_| HashTable::new()).collect())
    }

    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(Id<T>) -> bool) -> Option<Id<T>> {
        self.0[part(hash)].find(hash, |&id| is(id)).copied()
    }

    /// Inserts what is not there, given the hash of whatever is.
    pub(super) fn insert(&mut self, hash: u64, id: Id<T>, hash_of: impl Fn(Id<T>) -> u64) {
        self.0[part(hash)].insert_unique(hash, id, |&id| hash_of(id));
    }

    /// Removes what is there; the last to leave a part returns its memory.
    pub(super) fn remove(&mut self, hash: u64, id: Id<T>) {
        let part = &mut self.0[part(hash)];
        if let Ok(entry) = part.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        if part.is_empty() {
            *part = HashTable::new();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(HashTable::len).sum()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.iter().map(HashTable::capacity).sum()
    }
}

/// By bits that tables of this size do not use themselves: they take the lowest and the highest.
const fn part(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}
