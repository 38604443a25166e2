//! Who subscribed to what, and whom a message is for.
//!
//! Everyone who subscribed with the same filter is in one group. The group of a filter without
//! wildcards is found by one look-up of the topic name; the others by walking a trie whose nodes
//! are the levels of filters.
//!
//! # Cost
//!
//! With `n` the length of a filter or name in bytes: inserting, replacing and removing a
//! subscription takes O(n), however many there are (now and then something grows). Matching takes
//! O(n), plus O(1) for each trie node whose path matches the beginning of the name and the bytes of
//! such a node's level, plus O(1) for each subscription that matches. No node is looked at twice,
//! so filters such as `+/+/+` cost what they hold in memory at most. Nothing recurses. Peers cannot
//! steer hashes into collisions unless they know the seed.
//!
//! A subscription takes about 140 bytes on a 64-bit machine if its filter is short, its own, and
//! without wildcards; about 50 if others have the same filter; and 60 more for each level, but a
//! wildcard at the end, that no other filter with wildcards or a share name begins with. A filter
//! of 65,535 levels makes as many nodes: brokers limit levels.
//!
//! What is freed is used again first, and returned to the allocator when the last of its kind is
//! gone, but for four bytes per subscriber. Tables grow in parts, so a million subscriptions stop
//! nobody for more than some milliseconds.

mod hash;
mod matches;
mod members;
mod slab;
mod table;
#[cfg(test)]
mod tests;
mod trie;

use core::num::NonZeroU32;

use bytes::Bytes;
use mqtt_session::proto::{Storage, SubscriptionOptions, TopicFilter, TopicName};

pub use self::matches::{Identifiers, Match, Matches};
use self::{
    hash::Seed,
    members::{Member, Members},
    slab::{Id, Slab},
    table::Table,
    trie::{Node, Trie},
};

/// Index of a session in the broker; stable while the session lives. Indices are dense: a few bytes
/// are kept for every number up to the highest that ever subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub u32);

/// What a session asked for with one filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// How it wants its messages. The broker lowers the QoS to what it grants before it
    /// subscribes.
    pub options: SubscriptionOptions,
    /// The Subscription Identifier; 5.0 only.
    pub identifier: Option<NonZeroU32>,
}

/// A share name and a filter, and those who share: a filter shared under two names is two groups,
/// and so are two filters under one name. Good until the next subscription is inserted or removed;
/// after that it may stand for another group or for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedGroup(Id<Group>);

/// All subscriptions of all sessions.
#[derive(Debug)]
pub struct Subscriptions {
    groups: Slab<Group>,
    /// Groups by the text of their filter, share name and all.
    index: Table<Group>,
    members: Members,
    trie: Trie,
    seed: Seed,
}

/// Everyone who subscribed with the same filter; never empty between two calls.
#[derive(Debug)]
struct Group {
    filter: TopicFilter<Bytes>,
    /// Where the next rotation of a shared group begins, and where the ring of any group is
    /// entered.
    start: Option<Id<Member>>,
    /// Where the filter ends in the trie, for a filter that is there.
    node: Option<Id<Node>>,
    /// Groups that end in the same place: those with and without share names.
    next: Option<Id<Self>>,
    previous: Option<Id<Self>>,
}

impl Subscriptions {
    /// No subscriptions. The seed keys the hash tables: give a random one where peers are not
    /// trusted. Results do not depend on it.
    #[must_use]
    pub fn new(seed: u128) -> Self {
        Self {
            groups: Slab::new(),
            index: Table::new(),
            members: Members::new(),
            trie: Trie::new(),
            seed: Seed::new(seed),
        }
    }

    /// How many subscriptions there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Subscribes, and returns what the same subscriber had asked for with the identical filter:
    /// that is replaced [MQTT-3.8.4-3], and keeps its turn if it is shared.
    pub fn insert<B: Storage>(
        &mut self,
        filter: &TopicFilter<B>,
        subscriber: SubscriberId,
        subscription: Subscription,
    ) -> Option<Subscription> {
        let filter = filter.as_ref();
        let group = match self.find_group(filter.as_bytes()) {
            Some(group) => group,
            None => self.insert_group(filter),
        };
        if let Some(member) = self.members.find(group, subscriber, &self.seed) {
            let old = &mut self.members.get_mut(member).subscription;
            return Some(core::mem::replace(old, subscription));
        }
        let start = &mut self.groups[group].start;
        let member = self.members.join(group, *start, (subscriber, subscription), &self.seed);
        start.get_or_insert(member);
        None
    }

    /// What a subscriber asked for with exactly this filter.
    #[must_use]
    pub fn get<B: Storage>(
        &self,
        filter: &TopicFilter<B>,
        subscriber: SubscriberId,
    ) -> Option<Subscription> {
        let member = self.find_member(filter.as_bytes(), subscriber)?;
        Some(self.members.get(member).subscription)
    }

    /// Unsubscribes from exactly this filter [MQTT-3.10.4-1], and returns what was asked for with
    /// it.
    pub fn remove<B: Storage>(
        &mut self,
        filter: &TopicFilter<B>,
        subscriber: SubscriberId,
    ) -> Option<Subscription> {
        let member = self.find_member(filter.as_bytes(), subscriber)?;
        Some(self.remove_member(member))
    }

    /// Unsubscribes from everything, when a session ends; returns how many subscriptions that were.
    pub fn remove_subscriber(&mut self, subscriber: SubscriberId) -> usize {
        let mut removed = 0;
        while let Some(member) = self.members.oldest(subscriber) {
            self.remove_member(member);
            removed += 1;
        }
        removed
    }

    /// The filters of a subscriber, the oldest first.
    pub fn subscriber_filters(
        &self,
        subscriber: SubscriberId,
    ) -> impl Iterator<Item = (TopicFilter<&[u8]>, Subscription)> {
        self.members
            .of_subscriber(subscriber)
            .map(|member| (self.groups[member.group].filter.as_ref(), member.subscription))
    }

    /// Finds everyone who subscribed to messages of this name, without the publisher's own
    /// subscriptions with No Local [MQTT-3.8.3-3]. Overlapping subscriptions of one subscriber
    /// are merged; those with No Local are left out before that.
    pub fn matches<B: Storage>(
        &self,
        name: &TopicName<B>,
        publisher: Option<SubscriberId>,
        out: &mut Matches,
    ) {
        let name = name.as_bytes();
        out.clear();
        // A name may be spelled like a shared subscription; those are in the trie.
        let exact = self.find_group(name).filter(|&group| self.groups[group].node.is_none());
        if let Some(group) = exact {
            out.add_group(group, false);
        }
        let mut walk = core::mem::take(&mut out.walk);
        let visited = self.trie.walk(name, &self.seed, &mut walk, |first| {
            let mut next = Some(first);
            while let Some(id) = next {
                let group = &self.groups[id];
                out.add_group(id, group.filter.shared().is_some());
                next = group.next;
            }
        });
        out.walk = walk;
        out.set_visited(visited);

        let plain = core::mem::take(&mut out.plain);
        let members =
            plain.iter().flat_map(|&group| self.members.of_group(self.groups[group].start));
        let wanted = |member: &&Member| {
            !member.subscription.options.no_local || Some(member.subscriber) != publisher
        };
        out.merge(plain.len() > 1, self.members.subscribers(), members.filter(wanted));
        out.plain = plain;
    }

    /// The members of a shared group in the order of its rotation: who joined last is last.
    pub fn members(
        &self,
        group: SharedGroup,
    ) -> impl Iterator<Item = (SubscriberId, Subscription)> {
        let start = self.groups.get(group.0).and_then(|group| group.start);
        self.members.of_group(start).map(|member| (member.subscriber, member.subscription))
    }

    /// Turns a shared group after `chosen` got a message: the next rotation begins behind it.
    pub fn advance(&mut self, group: SharedGroup, chosen: SubscriberId) {
        if let Some(member) = self.members.find(group.0, chosen, &self.seed) {
            self.groups[group.0].start = Some(self.members.next_in_group(member));
        }
    }

    /// What the members of a shared group subscribed with, `$share/` and all; `None` if the group
    /// is gone.
    #[must_use]
    pub fn group_filter(&self, group: SharedGroup) -> Option<TopicFilter<&[u8]>> {
        self.groups.get(group.0).map(|group| group.filter.as_ref())
    }
}

impl Subscriptions {
    fn find_member(&self, filter: &[u8], subscriber: SubscriberId) -> Option<Id<Member>> {
        self.members.find(self.find_group(filter)?, subscriber, &self.seed)
    }

    fn remove_member(&mut self, id: Id<Member>) -> Subscription {
        let Member { group, subscription, .. } = *self.members.get(id);
        match self.members.leave(id, &self.seed) {
            None => self.remove_group(group),
            Some(next) => {
                let start = &mut self.groups[group].start;
                if *start == Some(id) {
                    *start = Some(next);
                }
            }
        }
        subscription
    }

    fn find_group(&self, filter: &[u8]) -> Option<Id<Group>> {
        let found = |id| self.groups[id].filter.as_bytes() == filter;
        self.index.find(self.seed.text(filter), found)
    }

    /// Makes a group that someone must join at once.
    fn insert_group(&mut self, filter: TopicFilter<&[u8]>) -> Id<Group> {
        let group = Group {
            filter: filter.to_bytes(),
            start: None,
            node: None,
            next: None,
            previous: None,
        };
        let id = self.groups.insert(group);
        let (groups, seed) = (&self.groups, &self.seed);
        self.index
            .insert(seed.text(filter.as_bytes()), id, |id| seed.text(groups[id].filter.as_bytes()));
        if filter.has_wildcard() || filter.shared().is_some() {
            let walked = walked_filter(&filter);
            let node = self.trie.insert(walked, &self.seed);
            let next = self.trie.groups_mut(node, walked).replace(id);
            if let Some(next) = next {
                self.groups[next].previous = Some(id);
            }
            self.groups[id].node = Some(node);
            self.groups[id].next = next;
        }
        id
    }

    fn remove_group(&mut self, id: Id<Group>) {
        let Some(group) = self.groups.remove(id) else { return };
        let hash = self.seed.text(group.filter.as_bytes());
        self.index.remove(hash, id);
        let Some(node) = group.node else { return };
        if let Some(next) = group.next {
            self.groups[next].previous = group.previous;
        }
        match group.previous {
            Some(previous) => self.groups[previous].next = group.next,
            None => {
                let walked = walked_filter(&group.filter);
                *self.trie.groups_mut(node, walked) = group.next;
                self.trie.prune(node, &self.seed);
            }
        }
    }
}

/// What the trie holds of a filter: all but the share name.
fn walked_filter<B: Storage>(filter: &TopicFilter<B>) -> &[u8] {
    filter.shared().map_or(filter.as_bytes(), |shared| shared.filter().into_inner())
}
