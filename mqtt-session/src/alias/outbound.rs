//! Which topic names of this side's messages get an alias.
//!
//! An alias costs 3 bytes in each PUBLISH, and from the second one on it saves the topic name. While
//! aliases are left, every topic gets one. After that a topic must come twice, not too far apart, and
//! then it meets one of those that have an alias; these take turns. One that was not used lately gives
//! its alias away, any other is only weakened. So topics that come once cost nothing, a cycle of topics
//! that is one too long loses only that one, and no alias is kept for what was of use long ago.
//!
//! Of the topic names that a Zipf distribution over 160 topics takes, 16 aliases save 50 %, at 220
//! instructions for each publish; LRU saves 34 % at 490, LRU of what was seen twice 44 % at 320, TinyLFU
//! 51 % at 350. Of a cycle of 17 topics they save 84 %, LRU nothing. Where half a table of topics is in
//! use for a while and then another, LRU saves 84 %, this 63 %. `cargo bench -p mqtt-session --bench
//! aliases`, and the same with `-- instructions`, has more of it.

use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};
use core::num::NonZeroU16;

use bytes::Bytes;
use mqtt_proto::{Storage, TopicAlias, TopicName};

/// The topic aliases of this side's messages on one network connection. Without any it takes 8 bytes
/// and no allocation.
///
/// A publish takes logarithmic time, and allocates only for a topic that gets an alias. An alias in use
/// costs about 100 bytes, and a topic name of more than 38 bytes as much again as it has. Nothing
/// depends on chance.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct OutboundAliases(Option<Box<Table>>);

/// How a topic name goes out. Nothing has changed before it is [committed](OutboundAliases::commit):
/// a packet that cannot be sent teaches the peer nothing.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    alias: Option<TopicAlias>,
    /// `None` for what is never given an alias.
    hash: Option<u64>,
}

impl Choice {
    const NONE: Self = Self { alias: None, hash: None };

    /// What the PUBLISH is to say; without an alias it says its topic name and nothing else.
    pub(crate) const fn alias(&self) -> Option<TopicAlias> {
        self.alias
    }
}

/// The shortest topic name for which an alias saves anything: the alias takes 3 bytes.
const LEAST_LEN: usize = 4;

impl OutboundAliases {
    /// Forgets everything: a new network connection [MQTT-3.3.2-7]. From here on at most `maximum`
    /// aliases: no more than the peer's Topic Alias Maximum [MQTT-3.3.2-9] [MQTT-3.3.2-11].
    pub(crate) fn reset(&mut self, maximum: u16) {
        self.0 = NonZeroU16::new(maximum).map(|maximum| Box::new(Table::new(maximum)));
    }

    /// How a message of this topic goes out now.
    pub(crate) fn choose<B: Storage>(&self, topic: &TopicName<B>) -> Choice {
        match &self.0 {
            Some(table) if topic.as_bytes().len() >= LEAST_LEN => {
                table.choose(hash(topic.as_bytes()), topic.as_bytes())
            }
            _ => Choice::NONE,
        }
    }

    /// The message was written as the last [`choose`](Self::choose) for its topic said.
    pub(crate) fn commit<B: Storage>(&mut self, choice: Choice, topic: &TopicName<B>) {
        let (Some(table), Some(hash)) = (&mut self.0, choice.hash) else { return };
        match choice.alias {
            Some(TopicAlias::Use(alias)) => table.used(place_of(alias)),
            Some(TopicAlias::Set(alias)) => {
                table.put(place_of(alias), Entry::new(hash, topic.as_ref().to_bytes()));
            }
            None => table.passed(hash),
        }
    }
}

#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Hash))]
struct Table {
    maximum: NonZeroU16,
    /// By alias less one.
    entries: Vec<Entry>,
    /// Where in `entries` the topic of this hash is. Of two topics of one hash only one has an alias.
    places: BTreeMap<u64, u16>,
    /// Marks of topics that came and have no alias, by hash; each stays until the next one in its
    /// place. Empty as long as aliases are left.
    recent: Vec<u16>,
    /// Who is next to give its alias away or to be weakened.
    turn: usize,
}

#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Hash))]
struct Entry {
    topic: TopicName<Bytes>,
    hash: u64,
    /// Lately: halved at each of its turns.
    uses: u8,
}

/// More uses than these do not count.
const MOST_USES: u8 = 3;

/// How many marks there is room for, for each alias.
const RECENT: usize = 4;

impl Entry {
    const fn new(hash: u64, topic: TopicName<Bytes>) -> Self {
        Self { topic, hash, uses: 0 }
    }
}

impl Table {
    const fn new(maximum: NonZeroU16) -> Self {
        Self { maximum, entries: Vec::new(), places: BTreeMap::new(), recent: Vec::new(), turn: 0 }
    }

    fn choose(&self, hash: u64, topic: &[u8]) -> Choice {
        let place = match self.places.get(&hash) {
            Some(&place) => {
                let place = usize::from(place);
                let is_known = self.entries[place].topic.as_bytes() == topic;
                let alias = alias_of(place).filter(|_| is_known).map(TopicAlias::Use);
                return Choice { alias, hash: Some(hash) };
            }
            None if !self.is_full() => Some(self.entries.len()),
            None if self.is_recent(hash) && self.entries[self.turn].uses == 0 => Some(self.turn),
            None => None,
        };
        Choice { alias: place.and_then(alias_of).map(TopicAlias::Set), hash: Some(hash) }
    }

    fn used(&mut self, place: usize) {
        let uses = &mut self.entries[place].uses;
        *uses = (*uses + 1).min(MOST_USES);
    }

    /// Gives an alias to a topic, and takes it from the one that had it.
    fn put(&mut self, place: usize, entry: Entry) {
        self.places.insert(entry.hash, place as u16);
        if self.is_full() {
            self.places.remove(&self.entries[place].hash);
            *self.recent_mut(entry.hash) = 0;
            self.entries[place] = entry;
            self.pass_turn();
        } else {
            debug_assert_eq!(place, self.entries.len(), "not the last choice");
            self.entries.push(entry);
            if self.is_full() {
                self.recent = vec![0; (RECENT * self.entries.len()).next_power_of_two()];
            }
        }
    }

    /// A topic went out without an alias.
    fn passed(&mut self, hash: u64) {
        if !self.is_full() {
            return;
        }
        if self.is_recent(hash) {
            self.entries[self.turn].uses /= 2;
            self.pass_turn();
        } else {
            *self.recent_mut(hash) = mark(hash);
        }
    }

    fn pass_turn(&mut self) {
        self.turn += 1;
        if self.turn == self.entries.len() {
            self.turn = 0;
        }
    }

    fn is_full(&self) -> bool {
        self.entries.len() == usize::from(self.maximum.get())
    }

    fn is_recent(&self, hash: u64) -> bool {
        self.recent[self.recent_place(hash)] == mark(hash)
    }

    fn recent_mut(&mut self, hash: u64) -> &mut u16 {
        let place = self.recent_place(hash);
        &mut self.recent[place]
    }

    /// Its length is a power of two.
    const fn recent_place(&self, hash: u64) -> usize {
        hash as usize & (self.recent.len() - 1)
    }
}

fn alias_of(place: usize) -> Option<NonZeroU16> {
    NonZeroU16::new((place + 1) as u16)
}

fn place_of(alias: NonZeroU16) -> usize {
    usize::from(alias.get()) - 1
}

/// What stays of a topic without an alias; never 0, which is nothing.
const fn mark(hash: u64) -> u16 {
    (hash >> 48) as u16 | 1
}

/// Spreads names that were chosen without malice. Whoever chooses them with it keeps topics from having
/// an alias, and gains nothing else.
pub(super) fn hash(topic: &[u8]) -> u64 {
    let mut hash = topic.len() as u64;
    let mut rest = topic;
    while let Some((chunk, behind)) = rest.split_first_chunk() {
        hash = mix(hash ^ u64::from_le_bytes(*chunk));
        rest = behind;
    }
    if rest.is_empty() {
        return hash;
    }
    // The last eight bytes, some of them for the second time.
    let last = topic.last_chunk().copied().unwrap_or_else(|| {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last
    });
    mix(hash ^ u64::from_le_bytes(last))
}

/// The halves of a product of 128 bits.
const fn mix(number: u64) -> u64 {
    let product = (number ^ 0x9e37_79b9_7f4a_7c15) as u128 * 0xd1b5_4a32_d192_ed03;
    product as u64 ^ (product >> 64) as u64
}

// In place, since the benchmark includes this file by its path.
#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, format, string::String};

    use proptest::prelude::*;

    use super::*;

    fn topic(name: &str) -> TopicName<&[u8]> {
        TopicName::borrowed(name).expect("a topic name")
    }

    fn aliases(maximum: u16) -> OutboundAliases {
        let mut aliases = OutboundAliases::default();
        aliases.reset(maximum);
        aliases
    }

    /// Sends a message; what it says.
    fn send(aliases: &mut OutboundAliases, name: &str) -> Option<TopicAlias> {
        let choice = aliases.choose(&topic(name));
        aliases.commit(choice, &topic(name));
        choice.alias()
    }

    /// `!3` sets alias 3, `=3` uses it, `-` is without one.
    fn sends(aliases: &mut OutboundAliases, names: &str) -> String {
        let said = names.split_whitespace().map(|name| match send(aliases, name) {
            None => String::from("-"),
            Some(TopicAlias::Set(alias)) => format!("!{alias}"),
            Some(TopicAlias::Use(alias)) => format!("={alias}"),
        });
        said.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_gets_an_alias() {
        let rows = [
            (0, "aaaa aaaa", "- -", "there are none"),
            (1, "aaaa aaaa aaaa", "!1 =1 =1", "set once, then used"),
            (2, "aaaa bbbb aaaa bbbb", "!1 !2 =1 =2", "one each while some are left"),
            (2, "abc abc a a", "- - - -", "an alias would be as long as the name"),
            (
                1,
                "aaaa bbbb cccc dddd aaaa",
                "!1 - - - =1",
                "a topic that comes once changes nothing",
            ),
            (1, "aaaa bbbb bbbb bbbb aaaa", "!1 - !1 =1 -", "seen twice, an unused alias is taken"),
            (1, "aaaa aaaa bbbb bbbb bbbb", "!1 =1 - - !1", "a used one is weakened first"),
            (
                1,
                "aaaa aaaa aaaa aaaa aaaa aaaa bbbb bbbb bbbb bbbb bbbb",
                "!1 =1 =1 =1 =1 =1 - - - !1 =1",
                "more than three uses do not count",
            ),
            (2, "aaaa bbbb cccc cccc cccc dddd dddd", "!1 !2 - !1 =1 - !2", "they take turns"),
            (
                2,
                "aaaa bbbb cccc aaaa bbbb cccc aaaa bbbb cccc aaaa bbbb cccc",
                "!1 !2 - =1 =2 - =1 =2 - =1 =2 -",
                "a cycle that is one too long loses one",
            ),
            (
                2,
                "aaaa aaaa bbbb cccc cccc cccc",
                "!1 =1 !2 - - !2",
                "a weakened one has had its turn",
            ),
            (
                1,
                "aaaa bbbb bbbb cccc cccc bbbb bbbb",
                "!1 - !1 - !1 - !1",
                "who lost an alias must be seen twice again",
            ),
        ];
        for (maximum, names, expected, rule) in rows {
            assert_eq!(sends(&mut aliases(maximum), names), expected, "{rule}");
        }
    }

    #[test]
    fn a_choice_that_is_not_committed_changes_nothing() {
        let mut aliases = aliases(1);
        for _ in 0..3 {
            let said = aliases.choose(&topic("aaaa")).alias();
            assert_eq!(said, Some(TopicAlias::Set(NonZeroU16::MIN)));
        }
        assert_eq!(sends(&mut aliases, "aaaa bbbb"), "!1 -");
        for _ in 0..3 {
            // Each would be the second time.
            let said = aliases.choose(&topic("bbbb")).alias();
            assert_eq!(said, Some(TopicAlias::Set(NonZeroU16::MIN)));
        }
        assert_eq!(sends(&mut aliases, "aaaa bbbb"), "=1 -");
    }

    #[test]
    fn of_two_topics_of_one_hash_the_second_has_no_alias() {
        let mut table = Table::new(NonZeroU16::MIN);
        let (first, second) = (topic("aaaa"), topic("bbbb"));
        table.put(0, Entry::new(7, first.to_bytes()));
        for _ in 0..3 {
            assert_eq!(table.choose(7, second.as_bytes()).alias(), None);
            table.passed(7);
            let known = Some(TopicAlias::Use(NonZeroU16::MIN));
            assert_eq!(table.choose(7, first.as_bytes()).alias(), known);
        }
    }

    /// Names that differ in little differ in their hash, of any length.
    #[test]
    fn names_of_one_kind_have_different_hashes() {
        let mut hashes = BTreeSet::new();
        let mut count = 0;
        for number in 0..10_000 {
            for name in [
                format!("{number}"),
                format!("n{number}"),
                format!("{number:07}"),
                format!("{number:08}"),
                format!("room/{number}/light"),
                format!("sensor/{number:06}/a/b/c"),
                format!("{}{number}", "long/".repeat(20)),
                "x".repeat(number + 1),
            ] {
                hashes.insert(hash(name.as_bytes()));
                count += 1;
            }
        }
        assert_eq!(hashes.len(), count);
        // The low bits and the high ones are looked at apart.
        let low = hashes.iter().map(|hash| hash & 63).collect::<BTreeSet<_>>();
        let marks = hashes.iter().map(|&hash| mark(hash)).collect::<BTreeSet<_>>();
        assert_eq!(low.len(), 64);
        assert!(marks.len() > 20_000, "{}", marks.len());
    }

    #[test]
    fn without_aliases_it_is_a_pointer() {
        assert_eq!(size_of::<OutboundAliases>(), size_of::<usize>());
        let nothing = allocation_counter::measure(|| {
            let mut aliases = aliases(0);
            send(&mut aliases, "room/1/temperature");
        });
        assert_eq!(nothing.count_total, 0);
    }

    /// Also of a topic that is long, or has no alias.
    #[test]
    fn no_message_allocates_but_one_that_sets_an_alias() {
        let long = "a long topic name/".repeat(10);
        let mut aliases = aliases(2);
        for (name, said) in
            [(long.as_str(), "Set"), ("room/1", "Set"), (&long, "Use"), ("room/1", "Use")]
        {
            assert!(format!("{:?}", send(&mut aliases, name)).contains(said));
        }
        let nothing = allocation_counter::measure(|| {
            for name in [&long, "room/1", "room/2", "room/3", "room/2"] {
                assert!(!matches!(send(&mut aliases, name), Some(TopicAlias::Set(_))));
            }
        });
        assert_eq!(nothing.count_total, 0);
    }

    /// What one alias costs, as the documentation says.
    #[test]
    fn an_alias_costs_about_a_hundred_bytes() {
        const COUNT: u16 = 1000;
        let mut table = aliases(COUNT);
        let names: Vec<_> = (0..2 * COUNT).map(|at| format!("room/{at}")).collect();
        let info = allocation_counter::measure(|| {
            for name in names.iter().chain(&names) {
                send(&mut table, name);
            }
        });
        let each = info.bytes_current / i64::from(COUNT);
        assert!((60..=110).contains(&each), "{each}");
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// A message of this topic, and whether it can be sent at all.
        Message(usize, bool),
        Connect(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        let topic = prop_oneof![0..4usize, 0..12usize, 0..40usize];
        prop_oneof![
            60 => (topic, prop::bool::weighted(0.8)).prop_map(|(at, sent)| Step::Message(at, sent)),
            1 => (0..9u16).prop_map(Step::Connect),
        ]
    }

    /// Of all lengths, the shortest among them.
    fn name(at: usize) -> String {
        "0123456789abcdefghijklmnopqrstuvwxyz/-_.~"
            .chars()
            .cycle()
            .skip(at)
            .take(1 + 3 * at)
            .collect()
    }

    proptest! {
        /// The receiver is a map from numbers to names, as section 3.3.2.3.4 has it.
        #[test]
        fn the_receiver_always_finds_the_topic(
            maximum in 0..9u16,
            steps in prop::collection::vec(step(), 0..400),
        ) {
            let (mut aliases, mut maximum) = (aliases(maximum), maximum);
            let mut receiver = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Message(at, sent) => {
                        let name = name(at);
                        let topic = topic(&name);
                        let choice = aliases.choose(&topic);
                        if let Some(alias) = choice.alias() {
                            prop_assert!((1..=maximum).contains(&alias.get()), "{alias:?}");
                            prop_assert!(name.len() > 3, "{name} is as short as an alias");
                        }
                        if !sent {
                            continue;
                        }
                        match choice.alias() {
                            None => {}
                            Some(TopicAlias::Set(alias)) => {
                                receiver.insert(alias.get(), name.clone());
                            }
                            Some(TopicAlias::Use(alias)) => {
                                prop_assert_eq!(receiver.get(&alias.get()), Some(&name));
                            }
                        }
                        aliases.commit(choice, &topic);
                    }
                    Step::Connect(announced) => {
                        maximum = announced;
                        aliases.reset(maximum);
                        receiver.clear();
                    }
                }
                if let Some(table) = &aliases.0 {
                    prop_assert_eq!(table.places.len(), table.entries.len());
                    prop_assert!(table.entries.len() <= maximum.into());
                }
            }
        }
    }
}
