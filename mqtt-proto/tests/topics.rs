//! Topic names and filters against a second reading of sections 4.7 and 4.8, over every short text
//! there is. With `--nocapture` they print how many there were.
#![cfg(feature = "bytes")]

use mqtt_proto::{StringError, TopicFilter, TopicName};

/// What has a meaning in a topic, one letter that has none, and what no text may have.
const ALPHABET: [char; 6] = ['a', '/', '+', '#', '$', '\0'];

/// Says how much was done, and that it was not less.
fn ran(what: &str, count: usize, expected: usize) {
    println!("{what}: {count}");
    assert_eq!(count, expected, "{what}");
}

fn texts(longest: usize) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut from = 0;
    for _ in 0..longest {
        let to = texts.len();
        for at in from..to {
            for letter in ALPHABET {
                texts.push(format!("{}{letter}", texts[at]));
            }
        }
        from = to;
    }
    texts
}

fn name(text: &str) -> Result<TopicName<&[u8]>, StringError> {
    TopicName::try_from(text)
}

fn filter(text: &str) -> Result<TopicFilter<&[u8]>, StringError> {
    TopicFilter::try_from(text)
}

/// [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1], level by level.
fn is_filter(text: &str) -> bool {
    let levels: Vec<_> = text.split('/').collect();
    let (last, before) = levels.split_last().unwrap();
    let plain = |level: &&str| !level.contains(['+', '#']);
    !text.is_empty()
        && (*last == "#" || *last == "+" || plain(last))
        && before.iter().all(|level| *level == "+" || plain(level))
}

/// Section 4.7, by recursion over levels.
fn oracle(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) | ([], []) => true,
        ([], _) | (_, []) => false,
        ([wanted, filter @ ..], [level, name @ ..]) => {
            (*wanted == "+" || wanted == level) && oracle(filter, name)
        }
    }
}

fn matches(filter: &str, name: &str) -> bool {
    // [MQTT-4.7.2-1]
    let hidden = name.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'));
    let levels = |text| str::split(text, '/').collect::<Vec<_>>();
    !hidden && oracle(&levels(filter), &levels(name))
}

#[test]
fn a_name_is_any_text_but_the_empty_one_without_wildcards() {
    let (mut count, mut legal) = (0, 0);
    for text in texts(7) {
        let expected = match &text[..] {
            "" => Err(StringError::Empty),
            text if text.contains('\0') => Err(StringError::Nul),
            text if text.contains(['+', '#']) => Err(StringError::Wildcard),
            text => Ok(text),
        };
        let name = name(&text);
        assert_eq!(name.as_ref().map(TopicName::as_str).map_err(|error| *error), expected);
        legal += usize::from(expected.is_ok());
        count += 1;
    }
    // Up to seven of six letters, and of three.
    ran("texts as names", count, (6usize.pow(8) - 1) / 5);
    ran("names", legal, (3usize.pow(8) - 1) / 2 - 1);
}

#[test]
fn a_filter_has_its_wildcards_on_levels_of_their_own_and_hash_last() {
    let (mut count, mut legal) = (0, 0);
    for text in texts(7) {
        let expected = match &text[..] {
            "" => Err(StringError::Empty),
            text if text.contains('\0') => Err(StringError::Nul),
            text if !is_filter(text) => Err(StringError::Wildcard),
            text => Ok(text),
        };
        let filter = filter(&text);
        assert_eq!(filter.as_ref().map(TopicFilter::as_str).map_err(|error| *error), expected);
        if let Ok(filter) = filter {
            assert_eq!(filter.has_wildcard(), text.contains(['+', '#']));
            assert_eq!(filter.shared(), None, "{text}");
            legal += 1;
        }
        count += 1;
    }
    ran("texts as filters", count, (6usize.pow(8) - 1) / 5);
    ran("filters", legal, 5309);
}

#[test]
fn what_begins_with_share_is_a_shared_subscription_or_nothing() {
    let (mut count, mut legal) = (0, 0);
    for text in texts(7) {
        let shared = format!("$share/{text}");
        let parts = text.split_once('/').filter(|(name, filter)| {
            !name.is_empty() && !name.contains(['+', '#']) && !filter.is_empty()
        });
        let expected = match parts {
            None => Err(StringError::Share),
            _ if text.contains('\0') => Err(StringError::Nul),
            Some((_, filter)) if !is_filter(filter) => Err(StringError::Wildcard),
            Some(parts) => Ok(parts),
        };
        let filter = filter(&shared);
        assert_eq!(filter.map(|_| ()), expected.map(|_| ()), "{shared}");
        if let (Ok(filter), Ok((name, behind))) = (filter, expected) {
            let shared = filter.shared().expect("it is one");
            assert_eq!(shared.name(), *name);
            assert_eq!(shared.filter(), *behind);
            legal += 1;
        }
        count += 1;
    }
    ran("texts behind $share/", count, (6usize.pow(8) - 1) / 5);
    ran("shared subscriptions", legal, 2674);
}

/// As names too: `$share/` is nothing but a beginning there.
#[test]
fn a_name_may_begin_with_share() {
    let (mut count, mut legal) = (0, 0);
    for text in texts(7) {
        let text = format!("$share/{text}");
        let expected = match &text[..] {
            text if text.contains('\0') => Err(StringError::Nul),
            text if text.contains(['+', '#']) => Err(StringError::Wildcard),
            text => Ok(text),
        };
        let name = name(&text);
        assert_eq!(name.as_ref().map(TopicName::as_str).map_err(|error| *error), expected);
        legal += usize::from(expected.is_ok());
        count += 1;
    }
    ran("texts behind $share/ as names", count, (6usize.pow(8) - 1) / 5);
    ran("names behind $share/", legal, (3usize.pow(8) - 1) / 2);
}

#[test]
fn every_filter_matches_the_names_that_it_should() {
    let texts = texts(4);
    let names: Vec<_> = texts.iter().filter_map(|text| name(text).ok()).collect();
    let filters: Vec<_> = texts.iter().filter_map(|text| filter(text).ok()).collect();
    let (mut pairs, mut matching) = (0, 0);
    for filter_alone in filters {
        let shared = format!("$share/g/{filter_alone}");
        let shared = filter(&shared).unwrap();
        for name in &names {
            let expected = matches(filter_alone.as_str(), name.as_str());
            assert_eq!(filter_alone.matches(name), expected, "{filter_alone} and {name}");
            assert_eq!(shared.matches(name), expected, "{shared} and {name}");
            pairs += 1;
            matching += usize::from(expected);
        }
    }
    ran("pairs of filter and name, each shared too", pairs, 21_000);
    ran("of them matching", matching, 688);
}

/// Where the share name is of the same letters.
#[test]
fn a_shared_subscription_matches_by_the_filter_behind_its_name() {
    let texts = texts(4);
    let names: Vec<_> = texts.iter().filter_map(|text| name(text).ok()).collect();
    let shared: Vec<_> = texts.iter().map(|text| format!("$share/{text}")).collect();
    let (mut pairs, mut matching) = (0, 0);
    for filter in shared.iter().filter_map(|text| filter(text).ok()) {
        let (_, behind) = filter.as_str()["$share/".len()..].split_once('/').unwrap();
        for name in &names {
            let expected = matches(behind, name.as_str());
            assert_eq!(filter.matches(name), expected, "{filter} and {name}");
            pairs += 1;
            matching += usize::from(expected);
        }
    }
    ran("pairs of shared subscription and name", pairs, 6480);
    ran("of them matching", matching, 732);
}

#[test]
fn behind_a_share_name_share_is_a_level_like_any() {
    let filter = filter("$share/g/$share/h/+").unwrap();
    let shared = filter.shared().expect("it is one");
    assert_eq!(shared.filter(), "$share/h/+");
    for (expected, text) in [(true, "$share/h/a"), (false, "a")] {
        let name = name(text).unwrap();
        assert_eq!(filter.matches(&name), expected, "{text}");
        assert_eq!(shared.matches(&name), expected, "{text}");
    }
}

#[test]
fn the_examples_of_the_standard_hold() {
    fn check(expected: bool, filter_text: &str, names: &[&str]) {
        for text in names {
            let matches = filter(filter_text).unwrap().matches(&name(text).unwrap());
            assert_eq!(matches, expected, "{filter_text} and {text}");
        }
    }
    // Section 4.7.1.2.
    check(true, "sport/tennis/player1/#", &["sport/tennis/player1"]);
    check(true, "sport/tennis/player1/#", &["sport/tennis/player1/score/wimbledon"]);
    check(true, "sport/#", &["sport"]);
    // Section 4.7.1.3.
    check(true, "sport/tennis/+", &["sport/tennis/player1", "sport/tennis/player2"]);
    check(false, "sport/tennis/+", &["sport/tennis/player1/ranking"]);
    check(false, "sport/+", &["sport"]);
    check(true, "sport/+", &["sport/"]);
    check(true, "+/+", &["/finance"]);
    check(true, "/+", &["/finance"]);
    check(false, "+", &["/finance"]);
    // Section 4.7.2.
    check(false, "#", &["$SYS/monitor/Clients"]);
    check(false, "+/monitor/Clients", &["$SYS/monitor/Clients"]);
    check(true, "$SYS/#", &["$SYS/", "$SYS/monitor/Clients"]);
    check(true, "$SYS/monitor/+", &["$SYS/monitor/Clients"]);
    // Section 4.7.3: names are compared as they are.
    check(false, "ACCOUNTS", &["Accounts"]);
    check(true, "Accounts payable", &["Accounts payable"]);
    check(false, "/finance", &["finance"]);
}

#[test]
fn a_name_and_a_filter_have_at_most_65535_bytes() {
    for (len, expected) in [(65_535, Ok(())), (65_536, Err(StringError::TooLong))] {
        let text = "a".repeat(len);
        assert_eq!(name(&text).map(|_| ()), expected);
        assert_eq!(filter(&text).map(|_| ()), expected);
    }
}

#[test]
fn nul_and_broken_text_are_no_topic() {
    for (bytes, expected) in [
        (&b"a\0b"[..], StringError::Nul),
        (b"a/b/c/d/e/f\0", StringError::Nul),
        (b"\xed\xa0\x80", StringError::InvalidUtf8),
        (b"a/b/c/d/\xc0\xaf", StringError::InvalidUtf8),
        (b"+/b/c/d/\xff", StringError::InvalidUtf8),
        (b"+/\0", StringError::Nul),
    ] {
        if !bytes.contains(&b'+') {
            assert_eq!(TopicName::new(bytes).map(|_| ()), Err(expected));
        }
        assert_eq!(TopicFilter::new(bytes).map(|_| ()), Err(expected));
    }
}

#[test]
fn levels_are_what_stands_between_the_separators() {
    for text in texts(5) {
        if let Ok(name) = name(&text) {
            let levels: Vec<_> =
                name.levels().map(|level| str::from_utf8(level).unwrap()).collect();
            assert_eq!(levels.join("/"), text);
        }
    }
}
