//! Whom a message is for: a result that is filled again and again.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use mqtt_session::proto::QoS;

use super::{Group, SharedGroup, SubscriberId, members::Member, slab::Id, trie::Walk};

/// Whom a message is for. Made once and filled by
/// [`Subscriptions::matches`](super::Subscriptions::matches) for each message; allocates only to
/// grow beyond the largest result so far.
#[derive(Debug, Default)]
pub struct Matches {
    merged: Vec<Merged>,
    identifiers: Vec<Identifier>,
    shared: Vec<SharedGroup>,
    visited: usize,
    /// The groups without a share name that match.
    pub(super) plain: Vec<Id<Group>>,
    pub(super) walk: Walk,
    /// For each subscriber, 1 + its position in `merged`, and 0 between two messages.
    positions: Vec<u32>,
}

/// A subscriber that gets one copy of the message, for all of its subscriptions that match it.
#[derive(Clone, Debug)]
pub struct Match<'a> {
    /// Who gets it.
    pub subscriber: SubscriberId,
    /// The highest QoS among the subscriptions [MQTT-3.3.4-2]; the copy has this or the QoS of the
    /// message, whichever is lower.
    pub qos: QoS,
    /// Whether any of the subscriptions asked to keep the RETAIN flag as it was published.
    pub retain_as_published: bool,
    /// The Subscription Identifiers of all of them [MQTT-3.3.4-3], twice what is there twice, in
    /// no particular order.
    pub identifiers: Identifiers<'a>,
}

/// The Subscription Identifiers of a [`Match`].
#[derive(Clone, Debug)]
pub struct Identifiers<'a> {
    all: &'a [Identifier],
    next: Option<NonZeroU32>,
}

#[derive(Clone, Copy, Debug)]
struct Merged {
    subscriber: SubscriberId,
    qos: QoS,
    retain_as_published: bool,
    /// 1 + the position of the first in `identifiers`.
    identifiers: Option<NonZeroU32>,
}

#[derive(Clone, Copy, Debug)]
struct Identifier {
    value: NonZeroU32,
    /// 1 + the position of the next.
    next: Option<NonZeroU32>,
}

impl Matches {
    /// An empty result.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those who get a copy each for their subscriptions without a share name, every subscriber
    /// once.
    pub fn subscribers(&self) -> impl ExactSizeIterator<Item = Match<'_>> {
        self.merged.iter().map(|merged| Match {
            subscriber: merged.subscriber,
            qos: merged.qos,
            retain_as_published: merged.retain_as_published,
            identifiers: Identifiers { all: &self.identifiers, next: merged.identifiers },
        })
    }

    /// The shared subscriptions of which one member each gets a copy [MQTT-4.8.2-4], besides the
    /// subscribers above.
    #[must_use]
    pub fn shared(&self) -> &[SharedGroup] {
        &self.shared
    }

    /// Whether the message is for nobody. It may still be for nobody that can take it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.merged.is_empty() && self.shared.is_empty()
    }

    /// How many nodes of the trie were looked at, besides the one look-up of the name: what it cost
    /// to find the filters.
    #[must_use]
    pub const fn visited(&self) -> usize {
        self.visited
    }

    pub(super) fn clear(&mut self) {
        self.merged.clear();
        self.identifiers.clear();
        self.shared.clear();
        self.plain.clear();
        self.visited = 0;
    }

    pub(super) fn add_group(&mut self, group: Id<Group>, shared: bool) {
        if shared {
            self.shared.push(SharedGroup(group));
        } else {
            self.plain.push(group);
        }
    }

    pub(super) const fn set_visited(&mut self, visited: usize) {
        self.visited = visited;
    }

    /// Makes one match per subscriber, who may be among the members more than once if they are
    /// `overlapping`, and whose index is below `subscribers`.
    pub(super) fn merge<'a>(
        &mut self,
        overlapping: bool,
        subscribers: usize,
        members: impl Iterator<Item = &'a Member>,
    ) {
        if overlapping && self.positions.len() < subscribers {
            self.positions.resize(subscribers, 0);
        }
        for member in members {
            self.add(member, overlapping);
        }
        if overlapping {
            for merged in &self.merged {
                self.positions[merged.subscriber.0 as usize] = 0;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn capacities(&self) -> [usize; 6] {
        [
            self.merged.capacity(),
            self.identifiers.capacity(),
            self.shared.capacity(),
            self.plain.capacity(),
            self.positions.capacity(),
            self.walk.capacity(),
        ]
    }

    fn add(&mut self, member: &Member, overlapping: bool) {
        let at = match overlapping.then(|| self.positions[member.subscriber.0 as usize]) {
            None | Some(0) => self.merged.len(),
            Some(position) => position as usize - 1,
        };
        if at == self.merged.len() {
            self.merged.push(Merged {
                subscriber: member.subscriber,
                qos: QoS::AtMostOnce,
                retain_as_published: false,
                identifiers: None,
            });
            if overlapping {
                self.positions[member.subscriber.0 as usize] = self.merged.len() as u32;
            }
        }
        let merged = &mut self.merged[at];
        let options = member.subscription.options;
        merged.qos = merged.qos.max(options.qos);
        merged.retain_as_published |= options.retain_as_published;
        if let Some(value) = member.subscription.identifier {
            self.identifiers.push(Identifier { value, next: merged.identifiers });
            merged.identifiers = NonZeroU32::new(self.identifiers.len() as u32);
        }
    }
}

impl Iterator for Identifiers<'_> {
    type Item = NonZeroU32;

    fn next(&mut self) -> Option<NonZeroU32> {
        let identifier = self.all.get(self.next?.get() as usize - 1)?;
        self.next = identifier.next;
        Some(identifier.value)
    }
}
