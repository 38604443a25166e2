//! The rules of sections 3.3.4, 3.8, 4.7 and 4.8 against lists that are searched from end to end.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    format,
    string::String,
    vec,
    vec::Vec,
};

use mqtt_session::proto::QoS;
use proptest::prelude::*;

use super::*;

/// Does not fit into a node.
const LONG: &str = "a level of forty bytes, more than a node";

fn filter(text: &str) -> TopicFilter<&[u8]> {
    TopicFilter::try_from(text).unwrap()
}

fn name(text: &str) -> TopicName<&[u8]> {
    TopicName::try_from(text).unwrap()
}

fn subscription(qos: u8, identifier: u32) -> Subscription {
    let options = SubscriptionOptions::new(QoS::from_bits(qos).unwrap());
    Subscription { options, identifier: NonZeroU32::new(identifier) }
}

/// What one subscriber is to get: QoS, Retain As Published, identifiers in order.
type Copy = (QoS, bool, Vec<u32>);

fn copies(matches: &Matches) -> Vec<(u32, Copy)> {
    let mut copies: Vec<_> = matches
        .subscribers()
        .map(|found| {
            let mut identifiers: Vec<_> = found.identifiers.map(NonZeroU32::get).collect();
            identifiers.sort_unstable();
            (found.subscriber.0, (found.qos, found.retain_as_published, identifiers))
        })
        .collect();
    copies.sort_unstable();
    copies
}

/// Everything done to a [`Subscriptions`] is done to lists too, and must come to the same.
struct Oracle {
    tested: Subscriptions,
    out: Matches,
    /// In the order they were made.
    list: Vec<(String, SubscriberId, Subscription)>,
    /// By filter, in the order of rotation.
    rotations: BTreeMap<String, VecDeque<SubscriberId>>,
}

#[derive(Clone, Debug)]
enum Op {
    Insert(String, SubscriberId, Subscription),
    Remove(String, SubscriberId),
    RemoveSubscriber(SubscriberId),
    /// Publishes; the member at this place in the rotation of every shared group that matches is
    /// chosen.
    Publish(String, Option<SubscriberId>, usize),
}

impl Oracle {
    /// Of every hash, only the bits of the mask are left.
    fn new(mask: u64) -> Self {
        let mut tested = Subscriptions::new(0x1234_5678_9abc_def0);
        tested.seed.mask = mask;
        Self { tested, out: Matches::new(), list: Vec::new(), rotations: BTreeMap::new() }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert(text, subscriber, subscription) => {
                let old = self.tested.insert(&filter(&text), subscriber, subscription);
                assert_eq!(old, self.insert(text, subscriber, subscription));
            }
            Op::Remove(text, subscriber) => {
                let old = self.tested.get(&filter(&text), subscriber);
                assert_eq!(self.tested.remove(&filter(&text), subscriber), old);
                assert_eq!(old, self.remove(&text, subscriber));
            }
            Op::RemoveSubscriber(subscriber) => {
                let own = self.list.iter().filter(|(_, who, _)| *who == subscriber).cloned();
                let own: Vec<_> = own.collect();
                assert_eq!(self.tested.remove_subscriber(subscriber), own.len());
                for (text, who, _) in own {
                    self.remove(&text, who);
                }
            }
            Op::Publish(text, publisher, choice) => self.publish(&text, publisher, choice),
        }
        self.check_rotations();
        self.check_size();
    }

    fn insert(
        &mut self,
        text: String,
        who: SubscriberId,
        new: Subscription,
    ) -> Option<Subscription> {
        for (other, subscriber, subscription) in &mut self.list {
            if (other as &str, *subscriber) == (&text, who) {
                return Some(core::mem::replace(subscription, new));
            }
        }
        self.rotations.entry(text.clone()).or_default().push_back(who);
        self.list.push((text, who, new));
        None
    }

    fn remove(&mut self, text: &str, who: SubscriberId) -> Option<Subscription> {
        let at = self.list.iter().position(|(other, owner, _)| other == text && *owner == who)?;
        let rotation = self.rotations.get_mut(text).unwrap();
        rotation.retain(|&member| member != who);
        if rotation.is_empty() {
            self.rotations.remove(text);
        }
        Some(self.list.remove(at).2)
    }

    fn publish(&mut self, text: &str, publisher: Option<SubscriberId>, choice: usize) {
        self.tested.matches(&name(text), publisher, &mut self.out);
        let mut expected: BTreeMap<u32, Copy> = BTreeMap::new();
        let mut shared = BTreeSet::new();
        for (other, who, Subscription { options, identifier }) in &self.list {
            if !filter(other).matches(&name(text)) {
                continue;
            }
            if filter(other).shared().is_some() {
                shared.insert(other.clone());
            } else if !(options.no_local && publisher == Some(*who)) {
                let copy = expected.entry(who.0).or_default();
                copy.0 = copy.0.max(options.qos);
                copy.1 |= options.retain_as_published;
                copy.2.extend(identifier.map(NonZeroU32::get));
                copy.2.sort_unstable();
            }
        }
        assert_eq!(copies(&self.out), Vec::from_iter(expected), "{text}");
        assert_eq!(self.out.is_empty(), self.out.subscribers().len() == 0 && shared.is_empty());
        assert!(self.out.visited() <= self.tested.trie.len());

        assert_eq!(self.out.shared().len(), shared.len());
        for &group in self.out.shared() {
            let text = String::from(self.tested.group_filter(group).unwrap().as_str());
            assert!(shared.remove(&text), "{text} again");
            let members: Vec<_> = self.tested.members(group).collect();
            let rotation = self.rotations.get_mut(&text).unwrap();
            assert!(members.iter().map(|member| member.0).eq(rotation.iter().copied()));
            for (who, subscription) in &members {
                assert_eq!(self.tested.get(&filter(&text), *who), Some(*subscription));
            }
            let place = choice % members.len();
            self.tested.advance(group, members[place].0);
            rotation.rotate_left(place + 1);
        }
    }

    fn check_rotations(&self) {
        for (text, rotation) in &self.rotations {
            let group = SharedGroup(self.tested.find_group(text.as_bytes()).unwrap());
            let members = self.tested.members(group).map(|(who, _)| who);
            assert!(members.eq(rotation.iter().copied()), "{text}");
        }
    }

    /// Nothing is kept of what is gone: there are exactly the groups and nodes that the filters
    /// need.
    fn check_size(&self) {
        let mut nodes = BTreeSet::new();
        for text in self.rotations.keys() {
            let filter = filter(text);
            if filter.has_wildcard() || filter.shared().is_some() {
                let levels = walked_filter(&filter).split(|&byte| byte == b'/');
                let mut levels: Vec<_> = levels.map(<[u8]>::to_vec).collect();
                levels.pop_if(|last| matches!(&last[..], b"+" | b"#"));
                nodes.extend((0..=levels.len()).map(|len| levels[..len].to_vec()));
            }
        }
        assert_eq!(self.tested.len(), self.list.len());
        assert_eq!(self.tested.is_empty(), self.list.is_empty());
        assert_eq!(self.tested.groups.len(), self.rotations.len());
        assert_eq!(self.tested.index.len(), self.rotations.len());
        assert_eq!(self.tested.trie.len(), nodes.len());
    }

    fn check_filters(&self, subscriber: SubscriberId) {
        let own = self.list.iter().filter(|(_, who, _)| *who == subscriber);
        let own = own.map(|(text, _, subscription)| (filter(text), *subscription));
        assert!(self.tested.subscriber_filters(subscriber).eq(own));
    }
}

fn levels(
    of: &'static [&'static str],
    last: &'static [&'static str],
) -> impl Strategy<Value = String> {
    (prop::collection::vec(prop::sample::select(of), 0..4), prop::sample::select(last))
        .prop_map(|(mut levels, last)| {
            levels.push(last);
            levels.join("/")
        })
        .prop_filter("may not be empty", |text| !text.is_empty())
}

fn any_name() -> impl Strategy<Value = String> {
    const LEVELS: &[&str] = &["a", "b", "", "$", LONG];
    prop_oneof![
        9 => levels(LEVELS, LEVELS),
        1 => levels(LEVELS, LEVELS).prop_map(|name| format!("$share/g/{name}")),
    ]
}

fn any_filter() -> impl Strategy<Value = String> {
    const LEVELS: &[&str] = &["a", "b", "", "$", "+", "+", LONG];
    const LAST: &[&str] = &["a", "b", "", "$", "+", "#", "#", LONG];
    prop_oneof![
        2 => levels(LEVELS, LAST),
        1 => (prop::sample::select(&["g", "h"][..]), levels(LEVELS, LAST))
            .prop_map(|(share, filter)| format!("$share/{share}/{filter}")),
    ]
}

fn any_subscriber() -> impl Strategy<Value = SubscriberId> {
    (0..4u32).prop_map(SubscriberId)
}

fn any_op() -> impl Strategy<Value = Op> {
    let subscription = (0..3u8, any::<bool>(), any::<bool>(), 0..4u32).prop_map(
        |(qos, no_local, retain_as_published, identifier)| {
            let mut subscription = subscription(qos, identifier);
            subscription.options.no_local = no_local;
            subscription.options.retain_as_published = retain_as_published;
            subscription
        },
    );
    prop_oneof![
        8 => (any_filter(), any_subscriber(), subscription).prop_map(|(a, b, c)| Op::Insert(a, b, c)),
        4 => (any_filter(), any_subscriber()).prop_map(|(a, b)| Op::Remove(a, b)),
        1 => any_subscriber().prop_map(Op::RemoveSubscriber),
        8 => (any_name(), prop::option::of(any_subscriber()), 0..4usize)
            .prop_map(|(a, b, c)| Op::Publish(a, b, c)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn agrees_with_lists(
        ops in prop::collection::vec(any_op(), 0..120),
        mask in prop::sample::select(&[u64::MAX, 1, 0][..]),
    ) {
        let mut oracle = Oracle::new(mask);
        for op in ops {
            // What is removed is what is there, every other time.
            let op = match op {
                Op::Remove(text, who) if text.len() % 2 == 0 && !oracle.list.is_empty() => {
                    let (text, who, _) = &oracle.list[who.0 as usize * 7 % oracle.list.len()];
                    Op::Remove(text.clone(), *who)
                }
                op => op,
            };
            oracle.apply(op);
        }
        for subscriber in (0..4).map(SubscriberId) {
            oracle.check_filters(subscriber);
            oracle.apply(Op::RemoveSubscriber(subscriber));
        }
        prop_assert!(oracle.tested.is_empty());
    }
}

/// Who of the subscribers, each with one of the filters, gets a message.
fn check(filters: &[&str], topic: &str, expected: &[u32]) {
    let mut subscriptions = Subscriptions::new(1);
    for (subscriber, text) in (0..).map(SubscriberId).zip(filters) {
        subscriptions.insert(&filter(text), subscriber, subscription(0, 0));
    }
    let mut out = Matches::new();
    subscriptions.matches(&name(topic), None, &mut out);
    let found: Vec<_> = copies(&out).into_iter().map(|(subscriber, _)| subscriber).collect();
    assert_eq!(found, expected, "{topic} for {filters:?}");
}

#[test]
fn number_sign_matches_its_parent_and_everything_below() {
    let filters = ["a/#", "a/b/#", "#", "a/+/#"];
    check(&filters, "a", &[0, 2]);
    check(&filters, "a/", &[0, 2, 3]);
    check(&filters, "a/b", &[0, 1, 2, 3]);
    check(&filters, "a/b/c/d", &[0, 1, 2, 3]);
    check(&filters, "ab", &[2]);
}

#[test]
fn plus_stands_for_one_level_even_an_empty_one() {
    let filters = ["+", "+/+", "/+", "a/+/c", "+/b/+"];
    check(&filters, "a", &[0]);
    check(&filters, "/a", &[1, 2]);
    check(&filters, "/", &[1, 2]);
    check(&filters, "a/b/c", &[3, 4]);
    check(&filters, "a//c", &[3]);
}

#[test]
fn wildcards_do_not_stand_for_a_first_level_with_a_dollar_mqtt_4_7_2_1() {
    let filters = ["#", "+/a", "+/#", "$x/#", "$x/+", "$x/a", "a/+", "a/#"];
    check(&filters, "$x/a", &[3, 4, 5]);
    check(&filters, "$x", &[3]);
    check(&filters, "a/$x", &[0, 2, 6, 7]);
}

#[test]
fn names_match_byte_by_byte_mqtt_4_7_3_4() {
    check(&["A", "a", "a/", "é", "e\u{301}"], "a", &[1]);
    check(&["A", "a", "a/", "é", "e\u{301}"], "é", &[3]);
}

#[test]
fn a_name_spelled_like_a_shared_subscription_does_not_reach_it() {
    let mut subscriptions = Subscriptions::new(1);
    subscriptions.insert(&filter("$share/g/a"), SubscriberId(0), subscription(0, 0));
    let mut out = Matches::new();
    subscriptions.matches(&name("$share/g/a"), None, &mut out);
    assert!(out.is_empty());
}

#[test]
fn an_identical_filter_replaces_the_subscription_mqtt_3_8_4_3() {
    let mut subscriptions = Subscriptions::new(1);
    for text in ["a/b", "a/+", "$share/g/a"] {
        let (first, second) = (subscription(1, 5), subscription(2, 6));
        assert_eq!(subscriptions.insert(&filter(text), SubscriberId(3), first), None);
        assert_eq!(subscriptions.insert(&filter(text), SubscriberId(3), second), Some(first));
        assert_eq!(subscriptions.insert(&filter(text), SubscriberId(4), first), None);
        assert_eq!(subscriptions.get(&filter(text), SubscriberId(3)), Some(second));
    }
    assert_eq!(subscriptions.len(), 6);
}

#[test]
fn overlapping_subscriptions_make_one_copy_mqtt_3_3_4_2() {
    let mut subscriptions = Subscriptions::new(1);
    let mut retaining = subscription(0, 9);
    retaining.options.retain_as_published = true;
    let one = [("a/b", subscription(1, 7)), ("a/#", subscription(2, 7)), ("+/b", retaining)];
    for (text, subscription) in one {
        subscriptions.insert(&filter(text), SubscriberId(1), subscription);
    }
    subscriptions.insert(&filter("a/#"), SubscriberId(0), subscription(0, 0));
    let mut out = Matches::new();
    // The second time finds no trace of the first.
    for _ in 0..2 {
        subscriptions.matches(&name("a/b"), None, &mut out);
        let expected =
            [(0, (QoS::AtMostOnce, false, vec![])), (1, (QoS::ExactlyOnce, true, vec![7, 7, 9]))];
        assert_eq!(copies(&out), expected);
    }
}

#[test]
fn no_local_is_left_out_before_merging_mqtt_3_8_3_3() {
    let mut subscriptions = Subscriptions::new(1);
    let mut local = subscription(2, 1);
    local.options.no_local = true;
    subscriptions.insert(&filter("a/#"), SubscriberId(1), local);
    subscriptions.insert(&filter("a/b"), SubscriberId(1), subscription(1, 2));
    subscriptions.insert(&filter("#"), SubscriberId(2), local);
    let mut out = Matches::new();
    let mut check = |publisher: Option<u32>, expected: &[(u32, Copy)]| {
        subscriptions.matches(&name("a/b"), publisher.map(SubscriberId), &mut out);
        assert_eq!(copies(&out), expected);
    };
    let other = (2, (QoS::ExactlyOnce, false, vec![1]));
    let both = (1, (QoS::ExactlyOnce, false, vec![1, 2]));
    check(None, &[both.clone(), other.clone()]);
    check(Some(1), &[(1, (QoS::AtLeastOnce, false, vec![2])), other]);
    check(Some(2), &[both]);
}

#[test]
fn shared_groups_are_a_share_name_and_a_filter_mqtt_4_8_2() {
    let mut subscriptions = Subscriptions::new(1);
    let filters = ["$share/g/a/#", "$share/h/a/#", "$share/g/a/b", "$share/g/c", "a/#", "a/b"];
    for text in filters {
        for subscriber in 0..2 {
            subscriptions.insert(&filter(text), SubscriberId(subscriber), subscription(0, 0));
        }
    }
    let mut out = Matches::new();
    subscriptions.matches(&name("a/b"), None, &mut out);
    let shared = out.shared().iter().map(|&group| subscriptions.group_filter(group).unwrap());
    let shared: BTreeSet<_> = shared.collect();
    assert_eq!(
        shared,
        BTreeSet::from([filter(filters[0]), filter(filters[1]), filter(filters[2])])
    );
    assert_eq!(out.subscribers().len(), 2);

    // To leave the filter is not to leave the share, and the other way round.
    assert!(subscriptions.remove(&filter("a/b"), SubscriberId(0)).is_some());
    assert!(subscriptions.remove(&filter("$share/h/a/#"), SubscriberId(0)).is_some());
    assert!(subscriptions.get(&filter("$share/g/a/b"), SubscriberId(0)).is_some());
    assert!(subscriptions.get(&filter("$share/g/a/#"), SubscriberId(0)).is_some());
    assert!(subscriptions.get(&filter("a/#"), SubscriberId(0)).is_some());
}

#[test]
fn members_take_turns_as_they_can() {
    let mut subscriptions = Subscriptions::new(1);
    let text = "$share/g/a";
    for subscriber in [5, 3, 8] {
        subscriptions.insert(&filter(text), SubscriberId(subscriber), subscription(1, 0));
    }
    let mut out = Matches::new();
    // The first in turn of those who are able gets it.
    let mut turn = |subscriptions: &mut Subscriptions, able: &[u32]| {
        subscriptions.matches(&name("a"), None, &mut out);
        let [group] = *out.shared() else { panic!("one group") };
        let chosen = subscriptions.members(group).find(|(who, _)| able.contains(&who.0));
        let (chosen, _) = chosen.unwrap();
        subscriptions.advance(group, chosen);
        chosen.0
    };
    let all = [3, 5, 8, 9];
    assert_eq!([(); 5].map(|()| turn(&mut subscriptions, &all)), [5, 3, 8, 5, 3]);
    assert_eq!([(); 3].map(|()| turn(&mut subscriptions, &[3, 5])), [5, 3, 5]);
    // Who was next leaves; who joins is last.
    subscriptions.remove(&filter(text), SubscriberId(3));
    subscriptions.insert(&filter(text), SubscriberId(9), subscription(1, 0));
    assert_eq!([(); 4].map(|()| turn(&mut subscriptions, &all)), [8, 5, 9, 8]);
    // Who is not next leaves.
    subscriptions.remove(&filter(text), SubscriberId(9));
    assert_eq!([(); 3].map(|()| turn(&mut subscriptions, &all)), [5, 8, 5]);
}

#[test]
fn a_group_that_is_gone_has_no_members() {
    let mut subscriptions = Subscriptions::new(1);
    subscriptions.insert(&filter("$share/g/a"), SubscriberId(0), subscription(0, 0));
    let mut out = Matches::new();
    subscriptions.matches(&name("a"), None, &mut out);
    let [group] = *out.shared() else { panic!("one group") };
    subscriptions.remove_subscriber(SubscriberId(0));
    assert_eq!(subscriptions.members(group).count(), 0);
    assert_eq!(subscriptions.group_filter(group), None);
    subscriptions.advance(group, SubscriberId(0));
}

#[test]
fn any_number_of_levels_fits_a_small_stack() {
    let run = || {
        let slashes = "/".repeat(65_535);
        let filters = [
            slashes.clone(),
            format!("{}#", &slashes[1..]),
            format!("{}+", "+/".repeat(32_767)),
            format!("+{}", &slashes[1..]),
            format!("$share/g/{}", &slashes[9..]),
            format!("$share/g/{}#", &slashes[10..]),
        ];
        let mut subscriptions = Subscriptions::new(1);
        for text in &filters {
            subscriptions.insert(&filter(text), SubscriberId(0), subscription(0, 0));
        }
        let mut out = Matches::new();
        subscriptions.matches(&name(&slashes), None, &mut out);
        assert_eq!((out.subscribers().len(), out.shared().len()), (1, 1));
        assert!(out.visited() < 200_000);
        subscriptions.remove(&filter(&filters[1]), SubscriberId(0));
        subscriptions.remove(&filter(&filters[2]), SubscriberId(0));
        drop(subscriptions);
    };
    let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(run).unwrap();
    thread.join().unwrap();
}

#[test]
fn matching_visits_only_what_begins_like_the_name() {
    let visited = |filters: &mut dyn Iterator<Item = String>, topic: &str| {
        let mut subscriptions = Subscriptions::new(1);
        for text in filters {
            subscriptions.insert(&filter(&text), SubscriberId(0), subscription(0, 0));
        }
        let mut out = Matches::new();
        subscriptions.matches(&name(topic), None, &mut out);
        (out.visited(), out.plain.len())
    };
    // Without wildcards: one look-up, no walk.
    assert_eq!(visited(&mut (0..10_000).map(|i| format!("a/{i}")), "a/7"), (0, 1));
    // The root and two first levels.
    let mut filters = (0..10_000).map(|i| format!("{i}/+")).chain([String::from("+/x")]);
    assert_eq!(visited(&mut filters, "7/a"), (3, 1));
    // Every mixture of `+` and `a` matches, and each of their beginnings is visited once.
    let mixtures = |last: &'static str| {
        (0..1 << 10).map(move |bits| {
            let levels = (0..10).map(|bit| if bits >> bit & 1 == 0 { "+" } else { "a" });
            levels.chain([last]).collect::<Vec<_>>().join("/")
        })
    };
    let topic = "a/".repeat(10) + "b";
    assert_eq!(visited(&mut mixtures("+"), &topic), (2047, 1024));
    // One of these is the name itself, and not in the trie.
    assert_eq!(visited(&mut mixtures("b"), &topic), (2046 + 1023, 1024));
    // Many that match all of a long name but its end.
    let mut filters = (1..100).map(|len| "+/".repeat(len) + "x");
    assert_eq!(visited(&mut filters, &("a/".repeat(200) + "x")), (100, 0));
}

#[test]
fn a_result_is_filled_again_without_allocating() {
    let mut subscriptions = Subscriptions::new(1);
    for (subscriber, text) in
        (0..100).flat_map(|i| ["a/+", "#", "a/b", "$share/g/#"].map(|f| (i, f)))
    {
        subscriptions.insert(&filter(text), SubscriberId(subscriber), subscription(1, 1));
    }
    let mut out = Matches::new();
    subscriptions.matches(&name("a/b"), None, &mut out);
    let before = out.capacities();
    for topic in ["a/c", "a/b", "a", "a/b"] {
        subscriptions.matches(&name(topic), None, &mut out);
        assert_eq!(out.capacities(), before);
    }
}

#[test]
fn memory_is_used_again_and_returned_at_the_end() {
    let mut subscriptions = Subscriptions::new(1);
    let capacities = |subscriptions: &Subscriptions| {
        let groups = [subscriptions.groups.capacity(), subscriptions.index.capacity()];
        [groups, subscriptions.members.capacities(), subscriptions.trie.capacities()]
    };
    let empty = capacities(&subscriptions);
    subscriptions.insert(&filter("a/#"), SubscriberId(0), subscription(0, 0));
    let one = capacities(&subscriptions);
    for i in 1..1000 {
        let text = format!("{i}/#");
        subscriptions.insert(&filter(&text), SubscriberId(1), subscription(0, 0));
        subscriptions.remove_subscriber(SubscriberId(1));
    }
    let slabs = |[groups, members, nodes]: [[usize; 2]; 3]| [groups[0], members[0], nodes[0]];
    assert_eq!(slabs(capacities(&subscriptions)), slabs(one));
    subscriptions.remove_subscriber(SubscriberId(0));
    assert_eq!(capacities(&subscriptions), empty);
}

#[test]
fn hashes_depend_on_both_of_a_pair_and_on_the_seed() {
    let (seed, other) = (Seed::new(1), Seed::new(2));
    let pairs = (0..1000).flat_map(|i| [(i, 7), (7, i)]).collect::<BTreeSet<_>>();
    let hashes: BTreeSet<_> = pairs.iter().map(|&(one, other)| seed.pair(one, other)).collect();
    assert_eq!(hashes.len(), pairs.len());
    assert_ne!(seed.text(b"a"), other.text(b"a"));
    assert_ne!(hash::edge(seed.text(b"a"), 1), hash::edge(seed.text(b"a"), 2));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn sizes_are_what_the_documentation_counts_on() {
    assert_eq!(Slab::<Member>::SLOT, 32);
    assert_eq!(Slab::<Group>::SLOT, 48);
    assert_eq!(Slab::<Node>::SLOT, 48);
}
