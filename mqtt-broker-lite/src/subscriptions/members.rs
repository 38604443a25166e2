//! Every subscription, on two rings: that of its group and that of its subscriber.
//!
//! Rings because a group turns: where it is entered is where its rotation goes on, and who joins
//! comes last from there. Joining, leaving and finding cost the same whether a group or a
//! subscriber has one subscription or a million.

use alloc::vec::Vec;

use super::{
    Group, SubscriberId, Subscription,
    hash::Seed,
    slab::{Id, Slab},
    table::Table,
};

#[derive(Debug)]
pub(super) struct Members {
    slab: Slab<Member>,
    /// Members by group and subscriber.
    index: Table<Member>,
    /// The oldest member of each subscriber.
    oldest: Vec<Option<Id<Member>>>,
}

/// A subscriber in a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) group: Id<Group>,
    pub(super) subscriber: SubscriberId,
    pub(super) subscription: Subscription,
    /// By [`Ring`].
    links: [Links; 2],
}

#[derive(Clone, Copy, Debug)]
struct Links {
    next: Id<Member>,
    previous: Id<Member>,
}

#[derive(Clone, Copy, Debug)]
enum Ring {
    Group,
    Subscriber,
}

impl Members {
    pub(super) fn new() -> Self {
        Self { slab: Slab::new(), index: Table::new(), oldest: Vec::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.slab.len()
    }

    /// More than the index of any subscriber that ever was.
    pub(super) const fn subscribers(&self) -> usize {
        self.oldest.len()
    }

    #[cfg(test)]
    pub(super) fn capacities(&self) -> [usize; 2] {
        [self.slab.capacity(), self.index.capacity()]
    }

    pub(super) fn find(
        &self,
        group: Id<Group>,
        subscriber: SubscriberId,
        seed: &Seed,
    ) -> Option<Id<Member>> {
        let found = |id| {
            let member: &Member = &self.slab[id];
            member.group == group && member.subscriber == subscriber
        };
        self.index.find(seed.pair(group.get(), subscriber.0), found)
    }

    pub(super) fn get(&self, id: Id<Member>) -> &Member {
        &self.slab[id]
    }

    pub(super) fn get_mut(&mut self, id: Id<Member>) -> &mut Member {
        &mut self.slab[id]
    }

    pub(super) fn next_in_group(&self, id: Id<Member>) -> Id<Member> {
        self.slab[id].links[Ring::Group as usize].next
    }

    /// The members of a group from `start` on, once around.
    pub(super) fn of_group(&self, start: Option<Id<Member>>) -> impl Iterator<Item = &Member> {
        self.around(Ring::Group, start)
    }

    /// The members that are this subscriber, the oldest first.
    pub(super) fn of_subscriber(&self, subscriber: SubscriberId) -> impl Iterator<Item = &Member> {
        self.around(Ring::Subscriber, self.oldest(subscriber))
    }

    pub(super) fn oldest(&self, subscriber: SubscriberId) -> Option<Id<Member>> {
        self.oldest.get(subscriber.0 as usize).copied().flatten()
    }

    /// Adds a subscriber that is not in the group, before `start` and so at its end.
    pub(super) fn join(
        &mut self,
        group: Id<Group>,
        start: Option<Id<Member>>,
        (subscriber, subscription): (SubscriberId, Subscription),
        seed: &Seed,
    ) -> Id<Member> {
        let at = subscriber.0 as usize;
        if self.oldest.len() <= at {
            self.oldest.resize(at + 1, None);
        }
        let id = self.slab.insert_with(|id| {
            let links = [Links { next: id, previous: id }; 2];
            Member { group, subscriber, subscription, links }
        });
        self.link(Ring::Group, id, start);
        self.link(Ring::Subscriber, id, self.oldest[at]);
        self.oldest[at].get_or_insert(id);
        let slab = &self.slab;
        self.index.insert(seed.pair(group.get(), subscriber.0), id, |id| {
            seed.pair(slab[id].group.get(), slab[id].subscriber.0)
        });
        id
    }

    /// Removes a member; `None` if it was the last of its group, else the next.
    pub(super) fn leave(&mut self, id: Id<Member>, seed: &Seed) -> Option<Id<Member>> {
        let Member { group, subscriber, .. } = self.slab[id];
        let hash = seed.pair(group.get(), subscriber.0);
        self.index.remove(hash, id);
        let next = self.unlink(Ring::Group, id);
        let oldest = self.unlink(Ring::Subscriber, id);
        if self.oldest(subscriber) == Some(id) {
            self.oldest[subscriber.0 as usize] = oldest;
        }
        self.slab.remove(id);
        next
    }

    fn around(&self, ring: Ring, start: Option<Id<Member>>) -> impl Iterator<Item = &Member> {
        let mut at = start;
        core::iter::from_fn(move || {
            let member = self.slab.get(at?)?;
            let next = member.links[ring as usize].next;
            at = Some(next).filter(|_| Some(next) != start);
            Some(member)
        })
    }

    /// Puts a member that is alone on its ring before `place`.
    fn link(&mut self, ring: Ring, id: Id<Member>, place: Option<Id<Member>>) {
        let Some(next) = place else { return };
        let ring = ring as usize;
        let previous = self.slab[next].links[ring].previous;
        self.slab[id].links[ring] = Links { next, previous };
        self.slab[previous].links[ring].next = id;
        self.slab[next].links[ring].previous = id;
    }

    /// Takes a member off its ring and returns the one behind it, if there is another.
    fn unlink(&mut self, ring: Ring, id: Id<Member>) -> Option<Id<Member>> {
        let ring = ring as usize;
        let Links { next, previous } = self.slab[id].links[ring];
        self.slab[previous].links[ring].next = next;
        self.slab[next].links[ring].previous = previous;
        (next != id).then_some(next)
    }
}
