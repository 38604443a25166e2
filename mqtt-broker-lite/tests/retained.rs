//! Retained messages (sections 3.3.1.3, 3.8.3.1, 3.8.4).

mod common;

use bytes::Bytes;
use common::*;
use mqtt_broker_lite::session::{
    ClientAction,
    proto::{
        Properties, Property, RetainHandling, SubscribeFilters, SubscriptionOptions,
        UnsubscribeFilters,
    },
};

fn retained(topic: &str, payload: &str) -> mqtt_broker_lite::session::proto::Publication<Bytes> {
    message(topic, payload).with_retain(true)
}

fn handling(retain_handling: RetainHandling) -> SubscriptionOptions {
    SubscriptionOptions { retain_handling, ..SubscriptionOptions::new(AtLeastOnce) }
}

fn filters(text: &str, options: SubscriptionOptions) -> SubscribeFilters<Bytes> {
    SubscribeFilters::new([(filter(text), options)]).expect("one filter")
}

/// [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8]
#[test]
fn the_last_message_is_kept_until_it_is_replaced_or_cleared() {
    for version in VERSIONS {
        let mut world = World::new();
        let publisher = world.join(options(version, "publisher"));
        let who = world.join(options(version, "c"));
        world.publish(publisher, message("t", "not retained"));
        for (payload, expected) in [
            ("first", &["t=first q0 r"][..]),
            ("second", &["t=second q0 r"]),
            ("", &[]),
            ("third", &["t=third q0 r"]),
        ] {
            world.publish(publisher, retained("t", payload));
            world.subscribe(who, "t", AtMostOnce);
            assert_eq!(world.inbox(who), expected, "{version:?} {payload}");
            assert_eq!(world.broker.retained(), expected.len());
            world.unsubscribe(who, "t");
        }
    }
}

#[test]
fn a_clearing_message_is_forwarded_like_any_other() {
    let mut world = World::new();
    let who = world.join(options(V5, "c"));
    world.subscribe(who, "t", AtMostOnce);
    world.publish(who, retained("t", ""));
    world.publish(who, retained("t", "x"));
    assert_eq!(world.inbox(who), ["t= q0", "t=x q0"], "and none of them as retained");
}

/// [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
#[test]
fn retain_handling_decides_by_whether_the_subscription_is_new() {
    for (how, new, existing) in [
        (RetainHandling::Send, true, true),
        (RetainHandling::SendIfNew, true, false),
        (RetainHandling::DoNotSend, false, false),
    ] {
        let mut world = World::new();
        let who = world.join(lasting(V5, "c", 60));
        world.publish(who, retained("t", "x"));
        for expected in [new, existing] {
            world.subscribe(who, "t", handling(how));
            assert_eq!(world.inbox(who).len(), usize::from(expected), "{how:?}");
        }
        // Table row A25 of the decisions: a resumed subscription is not new.
        world.cut(who);
        world.connect(who);
        assert!(world.inbox(who).is_empty());
        world.subscribe(who, "t", handling(how));
        assert_eq!(world.inbox(who).len(), usize::from(existing), "{how:?} resumed");
        // Another filter is another subscription.
        world.subscribe(who, "+", handling(how));
        assert_eq!(world.inbox(who).len(), usize::from(new), "{how:?} of another filter");
        world.unsubscribe(who, "t");
        world.subscribe(who, "t", handling(how));
        assert_eq!(world.inbox(who).len(), usize::from(new), "{how:?} again");
    }
}

/// Table row A26 of the decisions.
#[test]
fn a_shared_subscription_brings_none() {
    for version in VERSIONS {
        let mut world = World::new();
        let who = world.join(options(version, "c"));
        world.publish(who, retained("t", "x"));
        world.subscribe(who, "$share/g/t", AtLeastOnce);
        assert!(world.inbox(who).is_empty());
    }
}

/// Table row A54 of the decisions.
#[test]
fn the_qos_is_the_lower_of_what_was_published_and_what_was_granted() {
    for published in ALL_QOS {
        for granted in ALL_QOS {
            let mut world = World::new();
            let who = world.join(options(V5, "c"));
            world.publish(who, retained("t", "x").with_qos(published));
            world.subscribe(who, "t", granted);
            let expected = format!("t=x q{} r", published.min(granted).bits());
            assert_eq!(world.inbox(who), [expected]);
        }
    }
}

/// Table row A27 of the decisions, and properties as they were sent.
#[test]
fn they_come_with_the_identifier_of_the_subscription_and_their_properties() {
    let list = [Property::UserProperty(("b", "1")), Property::ContentType("text/plain")];
    let mut world = World::new();
    let who = world.join(options(V5, "c"));
    world.publish(who, retained("t", "x").with_properties(properties(list)));
    world.subscribe_all(who, &[("t", AtMostOnce.into()), ("+", AtMostOnce.into())], 9);
    let messages = world.messages(who);
    assert_eq!(messages.len(), 2, "one for each subscription");
    for publish in messages {
        let properties = publish.message.properties.iter().collect::<Vec<_>>();
        assert_eq!(properties, [list[0], list[1], Property::SubscriptionIdentifier(9)]);
    }
}

/// Table row A24 of the decisions.
#[test]
fn suback_comes_first() {
    let mut world = World::new();
    let who = world.join(options(V5, "c"));
    world.publish(who, retained("a", "x"));
    world.publish(who, retained("b", "x"));
    world.actions(who).clear();
    world.subscribe_all(who, &[("a", AtLeastOnce.into()), ("b", AtLeastOnce.into())], 0);
    let kinds = world.actions(who).iter().map(|action| match action {
        ClientAction::Subscribed(_) => "SUBACK",
        ClientAction::Deliver { .. } => "PUBLISH",
        other => panic!("{other:?}"),
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["SUBACK", "PUBLISH", "PUBLISH"]);
}

/// Table row A03 of the decisions.
#[test]
fn no_local_does_not_hide_what_the_client_itself_retained() {
    let mut world = World::new();
    let who = world.join(options(V5, "c"));
    world.publish(who, retained("t", "x"));
    let options = SubscriptionOptions { no_local: true, ..SubscriptionOptions::new(AtMostOnce) };
    world.subscribe(who, "t", options);
    assert_eq!(world.inbox(who), ["t=x q0 r"]);
}

#[test]
fn wildcards_find_what_they_match() {
    let mut world = World::new();
    let who = world.join(options(V5, "c"));
    for topic in ["a", "a/b", "a/b/c", "b", "$other/b"] {
        world.publish(who, retained(topic, "x"));
    }
    for (text, expected) in [
        ("#", &["a", "a/b", "a/b/c", "b"][..]),
        ("+", &["a", "b"]),
        ("a/#", &["a", "a/b", "a/b/c"]),
        ("+/b", &["a/b"]),
        ("$other/+", &["$other/b"]),
    ] {
        world.subscribe(who, text, AtMostOnce);
        let inbox = world.messages(who);
        let topics = inbox.iter().map(|publish| publish.message.topic.as_str());
        assert_eq!(topics.collect::<Vec<_>>(), expected, "{text}");
        world.unsubscribe(who, text);
    }
}

const MANY: usize = 10_000;
const MAX_TRANSMIT: usize = 4096;

/// A world that retains many messages, and a client that takes a few bytes at a time.
fn many() -> (World, Who) {
    let mut world = World::with(|config| {
        config.server.max_transmit = MAX_TRANSMIT;
        config.server.max_queued = 50;
        config.server.max_in_flight = 10;
    });
    let publisher = world.join(options(V5, "publisher"));
    for number in 0..MANY {
        let kept = retained(&format!("{}/{number:05}", number % 7), "some payload");
        world.publish(publisher, kept.with_qos(ALL_QOS[number % 3]));
    }
    assert_eq!(world.broker.retained(), MANY);
    let who = world.join(options(V5, "c"));
    world.narrow(who, 1000);
    (world, who)
}

#[test]
fn many_go_out_as_they_are_taken_each_once() {
    for granted in ALL_QOS {
        let (mut world, who) = many();
        world.subscribe(who, "#", granted);
        let messages = world.messages(who);
        let mut topics = messages.iter().map(|p| p.message.topic.as_str()).collect::<Vec<_>>();
        assert_eq!(topics.len(), MANY, "{granted:?}");
        topics.sort_unstable();
        topics.dedup();
        assert_eq!(topics.len(), MANY, "{granted:?}");
        assert!(world.most_waiting(who) < MAX_TRANSMIT + 100, "{}", world.most_waiting(who));
        assert_eq!(world.broker.stats().dropped_full, 0);
    }
}

#[test]
fn a_client_is_heard_while_they_are_on_their_way() {
    for granted in ALL_QOS {
        let (mut world, who) = many();
        world.stall(who, true);
        let now = world.now;
        let client = world.client(who);
        let subscribed = client.subscribe(now, filters("#", granted.into()), Properties::EMPTY);
        subscribed.expect("a connection");
        world.settle();
        assert_eq!(world.broker.subscriptions("c").count(), 1);
        let gone = UnsubscribeFilters::new([filter("#")]).expect("one filter");
        let unsubscribed = world.client(who).unsubscribe(now, gone, Properties::EMPTY);
        unsubscribed.expect("a connection");
        world.settle();
        assert_eq!(world.broker.subscriptions("c").count(), 0, "UNSUBSCRIBE was read");
        world.stall(who, false);
        let actions = world.actions(who);
        let unsuback = actions.iter().position(|a| matches!(a, ClientAction::Unsubscribed(_)));
        let deliver = |action: &ClientAction| matches!(action, ClientAction::Deliver { .. });
        let before = actions[..unsuback.expect("UNSUBACK")].iter().filter(|a| deliver(a)).count();
        let all = actions.iter().filter(|a| deliver(a)).count();
        assert!(before > 0 && all <= before + 50 && all < 200, "{granted:?} {before} {all}");
    }
}

#[test]
fn who_asks_again_meanwhile_gets_all_of_them() {
    let (mut world, who) = many();
    world.stall(who, true);
    let now = world.now;
    for options in [ExactlyOnce, AtMostOnce, AtLeastOnce].map(SubscriptionOptions::new) {
        let subscribed = world.client(who).subscribe(now, filters("#", options), Properties::EMPTY);
        subscribed.expect("a connection");
        world.settle();
    }
    world.stall(who, false);
    let messages = world.messages(who);
    let mut topics = messages.iter().map(|p| p.message.topic.as_str()).collect::<Vec<_>>();
    assert!(topics.len() < MANY + 500, "those on their way, and then all once: {}", topics.len());
    topics.sort_unstable();
    topics.dedup();
    assert_eq!(topics.len(), MANY);
}

#[test]
fn a_filter_that_matches_few_of_many_is_answered_in_turns() {
    let (mut world, who) = many();
    let started = world.now;
    world.subscribe(who, "+/+/nothing", AtMostOnce);
    world.subscribe(who, "+/00001", AtMostOnce);
    assert_eq!(world.inbox(who), ["1/00001=some payload q0 r"]);
    let names = 64 * 256;
    assert!(MANY < names, "one turn does");
    assert_eq!(world.now, started);
    let publisher = world.join(options(V5, "another"));
    for number in 0..names {
        world.publish(publisher, retained(&format!("more/{number}"), "x"));
    }
    let other = world.join(options(V5, "other"));
    world.subscribe(other, "more/+/nothing", AtMostOnce);
    world.subscribe(other, "more/+/#", AtMostOnce);
    assert_eq!(world.inbox(other).len(), names);
    assert!(world.now > started, "others had their turn");
}

#[test]
fn beyond_max_retained_new_topics_are_refused() {
    let mut world = World::with(|config| config.max_retained = 2);
    let who = world.join(options(V5, "c"));
    world.subscribe(who, "#", AtMostOnce);
    let mut publish =
        |topic, payload| world.publish(who, retained(topic, payload).with_qos(AtLeastOnce));
    assert_eq!(publish("a", "1"), Some(0));
    assert_eq!(publish("b", "1"), Some(0));
    assert_eq!(publish("c", "1"), Some(0x97));
    assert_eq!(publish("c", ""), Some(0), "there is nothing to keep");
    assert_eq!(publish("b", "2"), Some(0), "there is room for this");
    assert_eq!(publish("a", ""), Some(0));
    assert_eq!(publish("c", "2"), Some(0), "and now for that");
}

#[test]
fn what_has_expired_makes_room() {
    let mut world = World::with(|config| config.max_retained = 2);
    let who = world.join(options(V5, "c"));
    let expiring = |topic, seconds| {
        let list = properties([Property::MessageExpiryInterval(seconds)]);
        retained(topic, "x").with_properties(list).with_qos(AtLeastOnce)
    };
    world.publish(who, expiring("a", 10));
    world.publish(who, expiring("b", 10));
    // This one is not what the first deadline was for.
    world.publish(who, expiring("b", 30));
    assert_eq!(world.publish(who, expiring("c", 10)), Some(0x97));
    world.advance(10.0);
    assert_eq!(world.broker.retained(), 1);
    assert_ne!(world.publish(who, expiring("c", 10)), Some(0x97));
    world.publish(who, retained("c", ""));
    world.advance(20.0);
    assert_eq!(world.broker.retained(), 0);
    assert_eq!(world.broker.poll_timeout(), World::new().broker.poll_timeout());
}
