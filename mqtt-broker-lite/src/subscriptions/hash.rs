//! The keyed hash of everything that is looked up here. No order depends on it: tables are looked
//! up, never iterated.

use core::fmt;

use siphasher::sip::SipHasher13;

/// SipHash-1-3 under a key that peers do not know, so that those who choose filters and names
/// cannot choose collisions.
#[derive(Clone)]
pub(super) struct Seed {
    hasher: SipHasher13,
    /// What is left of a hash, so that tests can have collisions.
    #[cfg(test)]
    pub(super) mask: u64,
}

impl Seed {
    pub(super) fn new(seed: u128) -> Self {
        Self {
            hasher: SipHasher13::new_with_key(&seed.to_le_bytes()),
            #[cfg(test)]
            mask: u64::MAX,
        }
    }

    pub(super) fn text(&self, text: &[u8]) -> u64 {
        let hash = self.hasher.hash(text);
        #[cfg(test)]
        let hash = hash & self.mask;
        hash
    }

    pub(super) fn pair(&self, one: u32, other: u32) -> u64 {
        self.text(&(u64::from(one) << 32 | u64::from(other)).to_le_bytes())
    }
}

/// The hash of a level below a node. The level's hash is secret, so spreading the parent over it is
/// enough; and a walk hashes each level of a name once, however many nodes it looks at.
pub(super) const fn edge(level: u64, parent: u32) -> u64 {
    let mixed = (level ^ parent as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}
