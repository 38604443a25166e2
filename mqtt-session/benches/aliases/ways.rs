//! Ways to choose which topics have an alias. All find a topic and keep it in the same way; they differ
//! in whom they give an alias and from whom they take it.

use core::num::NonZeroU16;
use std::collections::BTreeMap;

use bytes::Bytes;
use mqtt_proto::{TopicAlias, TopicName};

use crate::outbound::{OutboundAliases, hash};

pub(crate) trait Way {
    fn publish(&mut self, topic: &TopicName<Bytes>) -> Option<TopicAlias>;
}

/// For so many aliases.
pub(crate) type Make = fn(u16) -> Box<dyn Way>;

pub(crate) const WAYS: [(&str, Make); 7] = [
    ("ours", |table| {
        let mut aliases = OutboundAliases::default();
        aliases.reset(table);
        Box::new(aliases)
    }),
    ("never replaced", |table| Box::new(Table::new(table, Never))),
    ("LRU", |table| Box::new(Table::new(table, Lru::default()))),
    ("CLOCK", |table| Box::new(Table::new(table, Clock::default()))),
    ("LRU, seen twice", |table| {
        Box::new(Table::new(table, SeenTwice { recent: Recent::new(table), lru: Lru::default() }))
    }),
    ("CLOCK, seen twice", |table| {
        Box::new(Table::new(table, SeenTwice { recent: Recent::new(table), lru: Clock::default() }))
    }),
    ("TinyLFU", |table| Box::new(Table::new(table, TinyLfu::new(table)))),
];

impl Way for OutboundAliases {
    fn publish(&mut self, topic: &TopicName<Bytes>) -> Option<TopicAlias> {
        let choice = self.choose(topic);
        self.commit(choice, topic);
        choice.alias()
    }
}

/// Which topics have an alias, and who gives one away.
struct Table<P> {
    table: usize,
    places: BTreeMap<u64, u16>,
    entries: Vec<(TopicName<Bytes>, u64)>,
    policy: P,
}

trait Policy {
    /// A topic is published that has the alias of this place, or none.
    fn seen(&mut self, hash: u64, place: Option<usize>);
    /// Whose alias this topic is to have, if any.
    fn victim(&mut self, hash: u64) -> Option<usize>;
    /// It has it now.
    fn put(&mut self, hash: u64, place: usize);
}

impl<P> Table<P> {
    fn new(table: u16, policy: P) -> Self {
        let (places, entries) = (BTreeMap::new(), Vec::new());
        Self { table: table.into(), places, entries, policy }
    }
}

impl<P: Policy> Way for Table<P> {
    fn publish(&mut self, topic: &TopicName<Bytes>) -> Option<TopicAlias> {
        let hash = hash(topic.as_bytes());
        let alias = |place: usize| NonZeroU16::new(place as u16 + 1);
        if let Some(&place) = self.places.get(&hash) {
            let place = usize::from(place);
            assert!(self.entries[place].0 == *topic);
            self.policy.seen(hash, Some(place));
            return alias(place).map(TopicAlias::Use);
        }
        self.policy.seen(hash, None);
        let entry = (topic.as_ref().to_bytes(), hash);
        let place = if self.entries.len() < self.table {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let place = self.policy.victim(hash)?;
            self.places.remove(&self.entries[place].1);
            self.entries[place] = entry;
            place
        };
        self.places.insert(hash, place as u16);
        self.policy.put(hash, place);
        alias(place).map(TopicAlias::Set)
    }
}

struct Never;

impl Policy for Never {
    fn seen(&mut self, _: u64, _: Option<usize>) {}

    fn victim(&mut self, _: u64) -> Option<usize> {
        None
    }

    fn put(&mut self, _: u64, _: usize) {}
}

/// A list from the one that was used last to the one that was not for the longest time.
#[derive(Default)]
struct Lru {
    /// Before and behind, as a ring; where it begins.
    links: Vec<(usize, usize)>,
    head: usize,
}

impl Policy for Lru {
    fn seen(&mut self, _: u64, place: Option<usize>) {
        let Some(place) = place.filter(|&place| place != self.head) else { return };
        let (before, behind) = self.links[place];
        self.links[before].1 = behind;
        self.links[behind].0 = before;
        let last = self.links[self.head].0;
        self.links[place] = (last, self.head);
        self.links[last].1 = place;
        self.links[self.head].0 = place;
        self.head = place;
    }

    fn victim(&mut self, _: u64) -> Option<usize> {
        Some(self.links[self.head].0)
    }

    fn put(&mut self, hash: u64, place: usize) {
        if place < self.links.len() {
            return self.seen(hash, Some(place));
        }
        let last = if place == 0 { 0 } else { self.links[self.head].0 };
        let head = if place == 0 { 0 } else { self.head };
        self.links.push((last, head));
        self.links[last].1 = place;
        self.links[head].0 = place;
        self.head = place;
    }
}

#[derive(Default)]
struct Clock {
    used: Vec<bool>,
    hand: usize,
}

impl Policy for Clock {
    fn seen(&mut self, _: u64, place: Option<usize>) {
        if let Some(place) = place {
            self.used[place] = true;
        }
    }

    fn victim(&mut self, _: u64) -> Option<usize> {
        loop {
            let place = self.hand;
            self.hand = (place + 1) % self.used.len();
            if !core::mem::take(&mut self.used[place]) {
                return Some(place);
            }
        }
    }

    fn put(&mut self, _: u64, place: usize) {
        if place == self.used.len() {
            self.used.push(false);
        }
    }
}

/// Only topics that came not long ago get an alias.
struct SeenTwice<P> {
    recent: Recent,
    lru: P,
}

struct Recent(Vec<u16>);

impl Recent {
    fn new(table: u16) -> Self {
        Self(vec![0; 4 * usize::from(table).next_power_of_two()])
    }
}

impl<P: Policy> Policy for SeenTwice<P> {
    fn seen(&mut self, hash: u64, place: Option<usize>) {
        self.lru.seen(hash, place);
    }

    fn victim(&mut self, hash: u64) -> Option<usize> {
        let len = self.recent.0.len();
        let (place, mark) =
            (&mut self.recent.0[hash as usize & (len - 1)], (hash >> 48) as u16 | 1);
        if *place == mark {
            *place = 0;
            self.lru.victim(hash)
        } else {
            *place = mark;
            None
        }
    }

    fn put(&mut self, hash: u64, place: usize) {
        self.lru.put(hash, place);
    }
}

/// A topic gets the alias of the least recently used one if it was more frequent, by a sketch of four
/// counters for each topic that is halved now and then.
struct TinyLfu {
    lru: Lru,
    counters: Vec<u8>,
    seen: usize,
    period: usize,
    /// The hash of the topic at each place.
    hashes: Vec<u64>,
}

impl TinyLfu {
    fn new(table: u16) -> Self {
        let table = usize::from(table);
        Self {
            lru: Lru::default(),
            counters: vec![0; 16 * table.next_power_of_two()],
            seen: 0,
            period: 20 * table,
            hashes: Vec::new(),
        }
    }

    fn places(&self, hash: u64) -> [usize; 4] {
        [0, 16, 32, 48].map(|shift| hash.rotate_left(shift) as usize & (self.counters.len() - 1))
    }

    fn count(&self, hash: u64) -> u8 {
        self.places(hash).map(|place| self.counters[place]).into_iter().min().unwrap_or(0)
    }
}

impl Policy for TinyLfu {
    fn seen(&mut self, hash: u64, place: Option<usize>) {
        let count = self.count(hash);
        for place in self.places(hash) {
            if self.counters[place] == count && count < 15 {
                self.counters[place] += 1;
            }
        }
        self.seen += 1;
        if self.seen == self.period {
            self.seen /= 2;
            self.counters.iter_mut().for_each(|count| *count /= 2);
        }
        self.lru.seen(hash, place);
    }

    fn victim(&mut self, hash: u64) -> Option<usize> {
        let victim = self.lru.victim(hash)?;
        (self.count(hash) > self.count(self.hashes[victim])).then_some(victim)
    }

    fn put(&mut self, hash: u64, place: usize) {
        self.lru.put(hash, place);
        self.hashes.resize(self.hashes.len().max(place + 1), 0);
        self.hashes[place] = hash;
    }
}
