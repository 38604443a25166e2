//! Topic names, topic filters and shared subscriptions, sections 4.7 and 4.8.

use bytes::Bytes;
use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, Ids, PROTOCOL},
    common::wire::{behind_u16, frame},
    samples::{name, publish, subscribe, text, unsubscribe},
};

const CLIENT: Role = Role::Client;

/// What the standard calls Topic Filter invalid and Topic Name invalid.
const FILTER_INVALID: u8 = 0x8f;
const NAME_INVALID: u8 = 0x90;

/// The same rule in the two versions, texts that keep it as a filter, and texts that break it.
struct Rule {
    ids: [&'static str; 2],
    legal: &'static [&'static str],
    illegal: &'static [&'static str],
}

const WILDCARDS: [Rule; 2] = [
    Rule {
        ids: ["v3.1.1 MQTT-4.7.1-2", "v5 MQTT-4.7.1-1"],
        legal: &["#", "/#", "a/#", "a/b/#", "+/#", "$a/#", "//#"],
        illegal: &[
            "a#", "#a", "##", "#/", "#/a", "a/#/b", "a/#/", "a/##", "a/b#", "/#/", "#/#", "#+",
        ],
    },
    Rule {
        ids: ["v3.1.1 MQTT-4.7.1-3", "v5 MQTT-4.7.1-2"],
        legal: &["+", "/+", "+/", "+/a", "a/+", "a/+/b", "+/+", "/+/", "+/a/+"],
        illegal: &["a+", "+a", "++", "a/b+", "a/+b", "+a/b", "a+/b", "a/++", "+/+a", "+#"],
    },
];

fn is_v5(ids: Ids<'_>) -> bool {
    check::version(ids) == ProtocolVersion::V5
}

fn empty_list(ids: Ids<'_>) -> &'static [u8] {
    if is_v5(ids) { &[0] } else { &[] }
}

fn publish_to(ids: Ids<'_>, name: &[u8]) -> Vec<u8> {
    frame(0x30, &[&behind_u16(name), empty_list(ids)])
}

fn will_to(ids: Ids<'_>, name: &[u8]) -> Vec<u8> {
    let level = check::version(ids).level();
    let list = empty_list(ids);
    let will = [list, &behind_u16(name), &[0, 0]].concat();
    frame(0x10, &[b"\0\x04MQTT", &[level, 6, 0, 60], list, &[0, 0], &will])
}

fn subscribe_to(ids: Ids<'_>, filter: &[u8]) -> Vec<u8> {
    frame(0x82, &[&[0, 1], empty_list(ids), &behind_u16(filter), &[0]])
}

fn unsubscribe_from(ids: Ids<'_>, filter: &[u8]) -> Vec<u8> {
    frame(0xa2, &[&[0, 1], empty_list(ids), &behind_u16(filter)])
}

/// That the text is a filter wherever there is one.
fn is_filter(run: &mut Run, ids: Ids<'_>, text: &str) {
    let bytes = text.as_bytes();
    let packet = Packet::Subscribe(subscribe([(text, QoS::AtMostOnce.into())]));
    check::both_ways(run, ids, CLIENT, &subscribe_to(ids, bytes), &packet);
    let packet = Packet::Unsubscribe(unsubscribe([text]));
    check::both_ways(run, ids, CLIENT, &unsubscribe_from(ids, bytes), &packet);
}

fn is_no_filter(
    run: &mut Run,
    ids: Ids<'_>,
    text: &str,
    kind: DecodeErrorKind,
    error: StringError,
) {
    for bytes in [subscribe_to(ids, text.as_bytes()), unsubscribe_from(ids, text.as_bytes())] {
        check::refuses(run, ids, CLIENT, &bytes, kind, FILTER_INVALID);
    }
    let made = [
        TopicFilter::new(text.as_bytes()).map(|_| ()),
        TopicFilter::<Bytes>::try_from(text).map(|_| ()),
    ];
    run.encoding(ids).equal(made, [Err(error); 2], text);
}

fn is_name(run: &mut Run, ids: Ids<'_>, topic: &str) {
    for from in crate::common::ROLES {
        let packet = Packet::Publish(publish(topic, ""));
        check::both_ways(run, ids, from, &publish_to(ids, topic.as_bytes()), &packet);
    }
    let mut connect = Connect::new(check::version(ids), text(""));
    connect.will = Some(Publication::new(name(topic), ""));
    let bytes = will_to(ids, topic.as_bytes());
    check::both_ways(run, ids, CLIENT, &bytes, &Packet::Connect(connect));
}

fn has_a_wildcard(run: &mut Run, ids: Ids<'_>, topic: &str) {
    let kind = DecodeErrorKind::TopicNameWildcard;
    for from in crate::common::ROLES {
        check::refuses(run, ids, from, &publish_to(ids, topic.as_bytes()), kind, NAME_INVALID);
    }
    check::refuses(run, ids, CLIENT, &will_to(ids, topic.as_bytes()), kind, NAME_INVALID);
    let made = [
        TopicName::new(topic.as_bytes()).map(|_| ()),
        TopicName::<Bytes>::try_from(topic).map(|_| ()),
    ];
    run.encoding(ids).equal(made, [Err(StringError::Wildcard); 2], topic);
}

/// Wildcards in filters, where each may stand, and in names, where none may.
pub(crate) fn names_and_filters(run: &mut Run) {
    for at in 0..2 {
        let anywhere = [["v3.1.1 MQTT-4.7.1-1"], ["v5 MQTT-4.7.0-1"]][at];
        let in_names = [
            ["v3.1.1 MQTT-4.7.1-1", "v3.1.1 MQTT-3.3.2-2"],
            ["v5 MQTT-4.7.0-1", "v5 MQTT-3.3.2-2"],
        ][at];
        for Rule { ids, legal, illegal } in &WILDCARDS {
            for text in *legal {
                is_filter(run, &[ids[at], anywhere[0]], text);
                has_a_wildcard(run, &in_names, text);
            }
            for text in *illegal {
                let kind = DecodeErrorKind::TopicFilterWildcard;
                is_no_filter(run, &[ids[at]], text, kind, StringError::Wildcard);
                has_a_wildcard(run, &in_names, text);
                let behind_a_share = format!("$share/g/{text}");
                if at == 1 {
                    let error = StringError::Wildcard;
                    is_no_filter(run, &[ids[at]], &behind_a_share, kind, error);
                }
            }
        }
        // A wildcard at every place of a longer name, where whole words are looked at at once.
        for len in 1..20 {
            for place in 0..len {
                for wildcard in ['+', '#'] {
                    let mut text = "a".repeat(len);
                    text.replace_range(place..=place, &wildcard.to_string());
                    has_a_wildcard(run, &in_names, &text);
                }
            }
        }
        for text in ["a", "/", "a/", "/a", "a//b", "$SYS/a", "a b", "*", "a,-.b"] {
            is_name(run, &in_names, text);
            is_filter(run, &anywhere, text);
        }
    }
}

/// At least one character and at most 65,535 bytes.
pub(crate) fn lengths(run: &mut Run) {
    for (least, most) in
        [("v3.1.1 MQTT-4.7.3-1", "v3.1.1 MQTT-4.7.3-3"), ("v5 MQTT-4.7.3-1", "v5 MQTT-4.7.3-3")]
    {
        let ids = &[least];
        is_no_filter(run, ids, "", DecodeErrorKind::TopicFilterEmpty, StringError::Empty);
        for from in crate::common::ROLES {
            let kind = DecodeErrorKind::TopicNameEmpty;
            check::refuses(run, ids, from, &publish_to(ids, b""), kind, PROTOCOL);
        }
        let kind = DecodeErrorKind::TopicNameEmpty;
        check::refuses(run, ids, CLIENT, &will_to(ids, b""), kind, PROTOCOL);
        run.encoding(ids).equal(TopicName::new(&b""[..]), Err(StringError::Empty), "a name");
        nameless(run, ids);
        is_name(run, ids, "a");
        is_filter(run, ids, "a");

        let ids = &[most];
        for letter in ["a", "\u{20ac}"] {
            let longest = letter.repeat(65_535 / letter.len());
            assert_eq!(longest.len(), 65_535);
            is_name(run, ids, &longest);
            is_filter(run, ids, &longest);
            let too_long = longest + "a";
            let made = TopicName::new(too_long.as_bytes()).map(|_| ());
            run.encoding(ids).equal(made, Err(StringError::TooLong), "a name");
            let made = TopicFilter::new(too_long.as_bytes()).map(|_| ());
            run.encoding(ids).equal(made, Err(StringError::TooLong), "a filter");
        }
    }
}

/// A topic name without a character, which only the default has: written beside a Topic Alias and nowhere else.
fn nameless(run: &mut Run, ids: Ids<'_>) {
    let mut nameless = publish("a", "");
    nameless.message.topic = TopicName::default();
    let packet = Packet::Publish(nameless.clone());
    check::does_not_encode(run, ids, &packet, EncodeError::TopicNameEmpty);
    let mut connect = Connect::new(check::version(ids), text(""));
    let mut will = Publication::new(name("w"), "");
    will.message.topic = TopicName::default();
    connect.will = Some(will);
    check::does_not_encode(run, ids, &Packet::Connect(connect), EncodeError::TopicNameEmpty);

    nameless.message.properties = Properties::new([Property::TopicAlias(7)]).unwrap();
    let packet = Packet::Publish(nameless);
    if is_v5(ids) {
        let bytes = frame(0x30, &[&[0, 0, 3, 0x23, 0, 7]]);
        for from in crate::common::ROLES {
            check::both_ways(run, ids, from, &bytes, &packet);
        }
    } else {
        check::does_not_encode(run, ids, &packet, EncodeError::NotInV311("a property"));
    }
}

/// `$share/`, a name of one level without wildcards, `/`, a filter.
pub(crate) fn shares(run: &mut Run) {
    let (begins, goes_on) = ("v5 MQTT-4.8.2-1", "v5 MQTT-4.8.2-2");
    let ids = &[begins, goes_on];
    for (text, share, filter) in [
        ("$share/g/a", "g", "a"),
        ("$share/g/#", "g", "#"),
        ("$share/g/+/b", "g", "+/b"),
        ("$share/group one//", "group one", "/"),
        ("$share/$share/$share/a", "$share", "$share/a"),
    ] {
        is_filter(run, ids, text);
        let made = TopicFilter::new(text.as_bytes()).unwrap();
        let parts = made.shared().map(|shared| (shared.name(), shared.filter()));
        let is = parts.map(|parts| parts.0 == share && parts.1 == filter);
        run.encoding(ids).equal(is, Some(true), text);
    }
    // These do not begin like one.
    for text in ["$share", "share/g/a", "$SHARE/g/a", "$shared/g/a", "/$share/g/a"] {
        is_filter(run, &[begins], text);
        let made = TopicFilter::new(text.as_bytes()).unwrap();
        run.encoding(&[begins]).equal(made.shared(), None, text);
    }
    for (id, text) in [
        (begins, "$share/"),
        (begins, "$share//"),
        (begins, "$share//a"),
        (begins, "$share///a"),
        (goes_on, "$share/g"),
        (goes_on, "$share/g/"),
        (goes_on, "$share/g+/a"),
        (goes_on, "$share/g#/a"),
        (goes_on, "$share/+/a"),
        (goes_on, "$share/#/a"),
        (goes_on, "$share/+g/a"),
        (goes_on, "$share/#"),
        (goes_on, "$share/+"),
    ] {
        is_no_filter(run, &[id], text, DecodeErrorKind::SharedFilter, StringError::Share);
        // 3.1.1 knows no shares, but what it takes for a filter does not become one of 5.0.
        for bytes in [
            frame(0x82, &[&[0, 1], &behind_u16(text.as_bytes()), &[0]]),
            frame(0xa2, &[&[0, 1], &behind_u16(text.as_bytes())]),
        ] {
            if let Ok(packet) = check::decode(ProtocolVersion::V311, CLIENT, &bytes) {
                check::does_not_encode(run, &[id], &packet, EncodeError::SharedFilter);
            }
        }
    }
}
