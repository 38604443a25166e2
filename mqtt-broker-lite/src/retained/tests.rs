//! What is retained, against a sorted list of names that is searched from end to end.

use alloc::{collections::BTreeSet, format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use super::*;

fn filter(text: &str) -> TopicFilter<&[u8]> {
    TopicFilter::try_from(text).unwrap()
}

fn name(text: &str) -> TopicName<Bytes> {
    TopicName::try_from(text).unwrap()
}

fn store<'a>(names: impl IntoIterator<Item = &'a str>) -> Retained<String> {
    let mut store = Retained::new();
    for text in names {
        store.insert(name(text), text.into());
    }
    store
}

/// The names a filter matches in the store, and how many were looked at.
fn look(store: &Retained<String>, text: &str) -> (Vec<String>, usize) {
    let filter = filter(text);
    let mut matching = store.matching(&filter);
    let found = matching.by_ref().map(|(name, value)| {
        assert_eq!(name, value.as_str());
        value.clone()
    });
    let found = found.collect();
    (found, usize::MAX - matching.names)
}

/// How many ways to fill in the `+` of some beginning of the filter there are names for.
fn branches(names: &BTreeSet<String>, filter: &str) -> usize {
    let wanted: Vec<_> = filter.split('/').collect();
    let mut branches = BTreeSet::new();
    for name in names.iter().filter(|name| !(name.starts_with('$') && wanted[0] == "+")) {
        let levels: Vec<_> = name.split('/').collect();
        let alike = wanted.iter().zip(&levels).take_while(|(w, l)| **w == "+" || w == l).count();
        for len in (1..=alike).filter(|len| wanted[len - 1] == "+") {
            branches.insert(levels[..len].to_vec());
        }
    }
    branches.len()
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

/// With levels just below and above the separator.
const LEVELS: &[&str] = &["a", "b", "", "$", "a-", "a0", "a!", "ab", "%", "."];

fn any_name() -> impl Strategy<Value = String> {
    levels(LEVELS, LEVELS)
}

fn any_filter() -> impl Strategy<Value = String> {
    levels(
        &["a", "b", "", "$", "a-", "+", "+", "+"],
        &["a", "b", "", "$", "a-", "+", "+", "#", "#", "#"],
    )
}

fn any_names() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(any_name(), 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn agrees_with_a_list_and_looks_at_matches_and_branches(
        names in any_names(),
        text in any_filter(),
    ) {
        let store = store(names.iter().map(String::as_str));
        let (found, looked) = look(&store, &text);
        let expected: Vec<_> =
            names.iter().filter(|text_of| filter(&text).matches(&name(text_of))).cloned().collect();
        prop_assert!(looked <= found.len() + 4 * branches(&names, &text) + 4, "{looked}");
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn slices_add_up_while_the_store_changes(
        names in any_names(),
        text in any_filter(),
        slices in prop::collection::vec((1..6usize, 1..6usize, any_name(), any_name()), 1..200),
    ) {
        let mut store = store(names.iter().map(String::as_str));
        let filter = filter(&text);
        // What was there all along must come, and what was never there must not.
        let (mut always, mut ever) = (names.clone(), names);
        let mut found: Vec<String> = Vec::new();
        let mut cursor = Some(Cursor::default());
        for (looks, takes, new, old) in slices {
            let Some(from) = cursor else { break };
            let mut matching = store.slice(&filter, &from, looks);
            found.extend(matching.by_ref().take(takes).map(|(_, value)| value.clone()));
            cursor = matching.into_cursor();
            store.insert(name(&new), new.clone());
            store.remove(&name(&old));
            ever.insert(new);
            always.remove(&old);
        }
        prop_assert!(found.is_sorted_by(|a, b| a < b));
        for text in &found {
            prop_assert!(ever.contains(text) && filter.matches(&name(text)));
        }
        if cursor.is_none() {
            let found: BTreeSet<_> = found.into_iter().collect();
            always.retain(|text| filter.matches(&name(text)));
            prop_assert!(found.is_superset(&always));
        }
    }
}

/// Which of the names a filter matches, and that no more than these are looked at.
fn check(names: &[&str], filter: &str, expected: &[&str], looks: usize) {
    let (found, looked) = look(&store(names.iter().copied()), filter);
    assert_eq!(found, expected, "{filter}");
    assert!(looked <= looks, "{filter} looked at {looked}");
}

#[test]
fn wildcards_do_not_stand_for_a_first_level_with_a_dollar_mqtt_4_7_2_1() {
    let names = ["!", "$SYS/a", "$SYS/b", "$x", "%", "a/$x"];
    check(&names, "#", &["!", "%", "a/$x"], 4);
    check(&names, "+", &["!", "%"], 5);
    check(&names, "$SYS/#", &["$SYS/a", "$SYS/b"], 4);
    check(&names, "a/+", &["a/$x"], 2);
}

#[test]
fn a_parent_comes_with_what_is_below() {
    let names = ["a", "a-b", "a/", "a/b", "a/b/c", "a0"];
    check(&names, "a/#", &["a", "a/", "a/b", "a/b/c"], 6);
    check(&names, "a/+", &["a/", "a/b"], 6);
    check(&names, "+/b/#", &["a/b", "a/b/c"], 6);
}

#[test]
fn shared_subscriptions_get_nothing_retained_section_4_8_2() {
    check(&["a", "$share/g/a"], "$share/g/a", &[], 0);
    check(&["a", "$share/g/a"], "$share/g/#", &[], 0);
}

#[test]
fn a_value_is_replaced_with_its_name_mqtt_3_3_1_5() {
    let mut store = Retained::new();
    let (first, second) = (name("a/b"), name("a/b"));
    assert_eq!(store.insert(first, 1), None);
    assert_eq!(store.insert(second.clone(), 2), Some(1));
    assert_eq!((store.get(&second), store.len()), (Some(&2), 1));
    // The bytes of the first message are not kept for its name.
    let filter = filter("a/b");
    let (kept, _) = store.matching(&filter).next().unwrap();
    assert_eq!(kept.as_bytes().as_ptr(), second.as_bytes().as_ptr());
    assert_eq!(store.remove(&second.as_ref()), Some(2));
    assert_eq!(store.remove(&second), None);
    assert!(store.is_empty());
}

#[test]
fn any_number_of_names_is_looked_at_in_slices() {
    let names: Vec<_> = (0..10_000).map(|i| format!("{i:04}/a")).collect();
    let store = store(names.iter().map(String::as_str));
    let check = |text: &str, expected: usize| {
        let filter = filter(text);
        let (mut cursor, mut found) = (Some(Cursor::default()), 0);
        while let Some(from) = cursor {
            let mut slice = store.slice(&filter, &from, 64);
            let part = slice.by_ref().count();
            assert!(part <= 64);
            found += part;
            cursor = slice.into_cursor();
        }
        assert_eq!(found, expected);
    };
    check("#", 10_000);
    check("+/a", 10_000);
    // No matches: still in slices.
    check("+/b", 0);
    let (_, looked) = look(&store, "5000/#");
    assert_eq!(looked, 3);
}

#[test]
fn a_leap_is_not_lost_between_slices() {
    let names: Vec<_> = (0..10_000).map(|i| format!("a/{i}")).chain(["b".into()]).collect();
    let store = store(names.iter().map(String::as_str));
    for text in ["b", "+"] {
        let filter = filter(text);
        let (mut cursor, mut slices) = (Some(Cursor::default()), 0);
        while let Some(from) = cursor {
            let mut slice = store.slice(&filter, &from, 1);
            slice.by_ref().for_each(drop);
            cursor = slice.into_cursor();
            slices += 1;
        }
        assert!(slices <= 4, "{text}: {slices}");
    }
}

#[test]
fn any_number_of_levels_fits_a_small_stack() {
    let run = || {
        let slashes = "/".repeat(65_535);
        let mut store = store([&slashes[..], "a"]);
        let plus = format!("{}+", "+/".repeat(32_767));
        let many = format!("{}#", &slashes[1..]);
        for (text, expected) in [(&slashes, 1), (&many, 1), (&plus, 0)] {
            assert_eq!(look(&store, text).0.len(), expected);
        }
        assert_eq!(store.remove(&name(&slashes)), Some(slashes));
    };
    let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(run).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_cursor_is_behind_what_was_taken() {
    let store = store(["a", "b", "c"]);
    let filter = filter("#");
    let mut slice = store.slice(&filter, &Cursor::default(), 2);
    assert_eq!(slice.next().map(|(name, _)| name.as_str()), Some("a"));
    let cursor = slice.into_cursor().unwrap();
    let rest: Vec<_> = store.slice(&filter, &cursor, 9).map(|(name, _)| name.as_str()).collect();
    assert_eq!(rest, vec!["b", "c"]);
    assert_eq!(store.slice(&filter, &cursor, 0).into_cursor(), Some(cursor));
}
