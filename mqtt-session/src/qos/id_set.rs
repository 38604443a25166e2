//! Sets of packet identifiers.

use alloc::vec::Vec;
use core::fmt;

use mqtt_proto::PacketId;

/// A set of packet identifiers in sorted pages of 256: an empty one costs 24 bytes, a full one 10
/// KiB, and the pages it once needed are kept for the next time.
#[derive(Clone, Default)]
pub struct PacketIdSet {
    pages: Vec<Page>,
    len: u32,
}

#[derive(Clone)]
struct Page {
    number: u8,
    bits: [u64; 4],
}

impl PacketIdSet {
    /// An empty set; allocates with the first identifier.
    #[must_use]
    pub const fn new() -> Self {
        Self { pages: Vec::new(), len: 0 }
    }

    /// Whether it was not in the set before.
    pub fn insert(&mut self, id: PacketId) -> bool {
        let (number, word, bit) = place(id);
        let at = match self.find(number) {
            Ok(at) => at,
            Err(at) => {
                self.pages.insert(at, Page { number, bits: [0; 4] });
                at
            }
        };
        let bits = &mut self.pages[at].bits[word];
        let new = *bits & bit == 0;
        *bits |= bit;
        self.len += u32::from(new);
        new
    }

    /// Whether it was in the set.
    pub fn remove(&mut self, id: PacketId) -> bool {
        let (number, word, bit) = place(id);
        let Ok(at) = self.find(number) else {
            return false;
        };
        let bits = &mut self.pages[at].bits[word];
        let held = *bits & bit != 0;
        *bits &= !bit;
        self.len -= u32::from(held);
        held
    }

    /// Whether it is in the set.
    #[must_use]
    #[inline]
    pub fn contains(&self, id: PacketId) -> bool {
        let (number, word, bit) = place(id);
        self.find(number).is_ok_and(|at| self.pages[at].bits[word] & bit != 0)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PacketId> {
        self.pages.iter().flat_map(|page| {
            (0..=u8::MAX).filter_map(move |low| {
                let held = page.bits[usize::from(low >> 6)] & 1 << (low & 63) != 0;
                PacketId::new(u16::from_be_bytes([page.number, low])).filter(|_| held)
            })
        })
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.pages.clear();
        self.len = 0;
    }

    /// Where a page is or would be. Identifiers are taken from 1 upwards, so most sets have all their
    /// pages from the first one on, each in its place.
    #[inline]
    fn find(&self, number: u8) -> Result<usize, usize> {
        match self.pages.get(usize::from(number)) {
            Some(page) if page.number == number => Ok(number.into()),
            _ => self.search(number),
        }
    }

    #[inline(never)]
    fn search(&self, number: u8) -> Result<usize, usize> {
        self.pages.binary_search_by_key(&number, |page| page.number)
    }
}

/// Page, word in the page and bit in the word.
const fn place(id: PacketId) -> (u8, usize, u64) {
    let [number, low] = id.get().to_be_bytes();
    (number, (low >> 6) as usize, 1 << (low & 63))
}

#[cfg(test)]
impl core::hash::Hash for PacketIdSet {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        // Pages that were kept for the next time are of no consequence.
        for Page { number, bits } in self.pages.iter().filter(|page| page.bits != [0; 4]) {
            (true, number, bits).hash(state);
        }
        false.hash(state);
    }
}

impl fmt::Debug for PacketIdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    fn steps() -> impl Strategy<Value = Vec<(bool, u16)>> {
        prop::collection::vec((any::<bool>(), 1..2000u16), 0..300)
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_numbers(steps in steps()) {
            let (mut set, mut oracle) = (PacketIdSet::new(), BTreeSet::new());
            for (insert, number) in steps {
                // Spread over all pages.
                let id = PacketId::new(number.wrapping_mul(97) | 1).expect("odd");
                if insert {
                    prop_assert_eq!(set.insert(id), oracle.insert(id));
                } else {
                    prop_assert_eq!(set.remove(id), oracle.remove(&id));
                }
                prop_assert_eq!(set.contains(id), oracle.contains(&id));
                prop_assert_eq!(set.len(), oracle.len());
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), oracle.into_iter().collect::<Vec<_>>());
        }
    }
}
