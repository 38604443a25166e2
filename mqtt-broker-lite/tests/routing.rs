//! From publisher to subscribers (sections 3.3.2, 3.3.4, 3.4.2, 3.8.3, 4.7, 4.8.2).

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::*;
use mqtt_broker_lite::session::{
    Instant,
    proto::{
        Connect, Packet, Properties, Property, ProtocolVersion, QoS, ReasonCode,
        SubscriptionOptions,
    },
};

const NO_LOCAL: SubscriptionOptions =
    SubscriptionOptions { no_local: true, ..SubscriptionOptions::new(AtMostOnce) };
const AS_PUBLISHED: SubscriptionOptions =
    SubscriptionOptions { retain_as_published: true, ..SubscriptionOptions::new(AtMostOnce) };

fn pair() -> (World, Who, Who) {
    let mut world = World::new();
    let publisher = world.join(options(V5, "publisher"));
    let subscriber = world.join(options(V5, "subscriber"));
    (world, publisher, subscriber)
}

/// Table row A01 of the decisions [MQTT-3.3.4-2] [MQTT-3.3.4-3].
#[test]
fn overlapping_subscriptions_make_one_copy_of_the_highest_qos_with_all_identifiers() {
    let (mut world, publisher, subscriber) = pair();
    let options = SubscriptionOptions::new;
    world.subscribe_all(subscriber, &[("a/b", options(AtMostOnce))], 7);
    world.subscribe_all(subscriber, &[("a/+", options(ExactlyOnce))], 8);
    world.subscribe_all(subscriber, &[("#", options(AtLeastOnce))], 9);
    world.subscribe_all(subscriber, &[("a/#", options(AtMostOnce))], 0);
    world.subscribe_all(subscriber, &[("other", options(ExactlyOnce))], 10);
    world.publish(publisher, message("a/b", "x").with_qos(ExactlyOnce));
    assert_eq!(world.inbox(subscriber), ["a/b=x q2 #7 #8 #9"]);
    world.publish(publisher, message("a/c", "x").with_qos(ExactlyOnce));
    assert_eq!(world.inbox(subscriber), ["a/c=x q2 #8 #9"]);
    world.publish(publisher, message("c", "x").with_qos(ExactlyOnce));
    assert_eq!(world.inbox(subscriber), ["c=x q1 #9"]);
}

/// Table row A02 of the decisions.
#[test]
fn no_local_takes_a_subscription_out_before_the_rest_is_merged() {
    let (mut world, publisher, subscriber) = pair();
    for who in [publisher, subscriber] {
        let own = SubscriptionOptions { qos: ExactlyOnce, retain_as_published: true, ..NO_LOCAL };
        world.subscribe_all(who, &[("t", own)], 1);
        world.subscribe_all(who, &[("+", SubscriptionOptions::new(AtLeastOnce))], 2);
    }
    world.publish(publisher, message("t", "x").with_qos(ExactlyOnce).with_retain(true));
    assert_eq!(world.inbox(publisher), ["t=x q1 #2"]);
    assert_eq!(world.inbox(subscriber), ["t=x q2 r #1 #2"]);
}

#[test]
fn no_local_keeps_a_client_from_its_own_messages_only() {
    let (mut world, publisher, subscriber) = pair();
    world.subscribe(publisher, "t", NO_LOCAL);
    world.publish(publisher, message("t", "own"));
    world.publish(subscriber, message("t", "other"));
    assert_eq!(world.inbox(publisher), ["t=other q0"]);
}

/// [MQTT-3.3.1-12] [MQTT-3.3.1-13]
#[test]
fn retain_as_published_keeps_the_flag() {
    for (subscription, retain, expected) in [
        (SubscriptionOptions::new(AtMostOnce), true, "t=x q0"),
        (SubscriptionOptions::new(AtMostOnce), false, "t=x q0"),
        (AS_PUBLISHED, true, "t=x q0 r"),
        (AS_PUBLISHED, false, "t=x q0"),
    ] {
        for filter in ["t", "$share/g/t"] {
            let (mut world, publisher, subscriber) = pair();
            world.subscribe(subscriber, filter, subscription);
            world.publish(publisher, message("t", "x").with_retain(retain));
            assert_eq!(world.inbox(subscriber), [expected], "{filter} {subscription:?} {retain}");
        }
    }
}

#[test]
fn the_qos_is_the_lower_of_what_was_published_and_what_was_granted() {
    for version in VERSIONS {
        for published in ALL_QOS {
            for granted in ALL_QOS {
                for filter in ["t", "$share/g/t"] {
                    let mut world = World::new();
                    let publisher = world.join(options(version, "publisher"));
                    let subscriber = world.join(options(version, "subscriber"));
                    assert_eq!(world.subscribe(subscriber, filter, granted), granted.bits());
                    world.publish(publisher, message("t", "x").with_qos(published));
                    let expected = format!("t=x q{}", published.min(granted).bits());
                    assert_eq!(world.inbox(subscriber), [expected]);
                }
            }
        }
    }
}

/// Table row A28 of the decisions [MQTT-4.8.2-4].
#[test]
fn a_shared_message_goes_to_one_member_and_those_online_come_first() {
    let mut world = World::new();
    let publisher = world.join(options(V5, "publisher"));
    let members = ["a", "b", "c"].map(|id| world.join(lasting(V5, id, 60)));
    for who in members {
        world.subscribe(who, "$share/g/t", AtLeastOnce);
    }
    let publish = |world: &mut World, count: usize| {
        for number in 0..count {
            world.publish(publisher, message("t", &number.to_string()).with_qos(AtLeastOnce));
        }
    };
    let count = |world: &mut World| members.map(|who| world.inbox(who).len());
    publish(&mut world, 9);
    assert_eq!(count(&mut world), [3, 3, 3], "in turn");
    world.cut(members[1]);
    publish(&mut world, 8);
    assert_eq!(count(&mut world), [4, 0, 4]);
    assert_eq!(world.queued("b"), Some(0), "nothing for one who is away while others are there");
    for who in members {
        world.cut(who);
    }
    publish(&mut world, 9);
    let waiting: usize = ["a", "b", "c"].iter().filter_map(|id| world.queued(id)).sum();
    assert_eq!(waiting, 9, "each waits once");
    for who in members {
        world.connect(who);
    }
    assert_eq!(count(&mut world).iter().sum::<usize>(), 9);
}

#[test]
fn a_shared_message_avoids_a_member_that_does_not_read() {
    let mut world = World::with_server(|config| config.max_transmit = 1000);
    let publisher = world.join(options(V5, "publisher"));
    let members = ["a", "b"].map(|id| world.join(options(V5, id)));
    for who in members {
        world.subscribe(who, "$share/g/t", AtMostOnce);
    }
    world.stall(members[0], true);
    let payload = "x".repeat(300);
    for _ in 0..20 {
        world.publish(publisher, message("t", &payload));
    }
    assert_eq!(world.inbox(members[1]).len(), 20 - 4);
    world.stall(members[0], false);
    assert_eq!(world.inbox(members[0]).len(), 4, "until its buffer was full");
    assert_eq!(world.broker.stats().dropped_full, 0);
}

#[test]
fn a_member_that_is_online_and_busy_comes_before_one_that_is_away() {
    let mut world = World::with_server(|config| config.max_in_flight = 1);
    let publisher = world.join(options(V5, "publisher"));
    let members = ["away", "busy"].map(|id| world.join(lasting(V5, id, 60)));
    for who in members {
        world.subscribe(who, "$share/g/t", AtLeastOnce);
    }
    world.cut(members[0]);
    world.stall(members[1], true);
    for _ in 0..3 {
        world.publish(publisher, message("t", "x").with_qos(AtLeastOnce));
    }
    assert_eq!((world.queued("away"), world.queued("busy")), (Some(0), Some(3)));
}

#[test]
fn two_groups_and_a_plain_subscription_get_a_copy_each() {
    let (mut world, publisher, subscriber) = pair();
    let options = SubscriptionOptions::new(AtLeastOnce);
    world.subscribe_all(subscriber, &[("$share/g/t", options)], 1);
    world.subscribe_all(subscriber, &[("$share/h/t", options)], 2);
    world.subscribe_all(subscriber, &[("t", options)], 3);
    world.publish(publisher, message("t", "x").with_qos(AtLeastOnce));
    let mut inbox = world.inbox(subscriber);
    inbox.sort();
    assert_eq!(inbox, ["t=x q1 #1", "t=x q1 #2", "t=x q1 #3"]);
}

/// Table row A30 of the decisions [MQTT-3.8.3-4].
#[test]
fn no_local_on_a_shared_subscription_ends_the_connection() {
    let mut world = World::new();
    let who = world.raw_join(Connect::new(V5, "c".try_into().expect("a client identifier")));
    world.send(who, b"\x82\x10\x00\x01\x00\x00\x0a$share/g/t\x04");
    let packets = world.packets(who);
    assert!(
        matches!(&packets[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::PROTOCOL_ERROR),
        "{packets:?}"
    );
}

fn all_properties() -> Vec<Property<'static>> {
    vec![
        Property::UserProperty(("b", "1")),
        Property::ContentType("text/plain"),
        Property::UserProperty(("a", "2")),
        Property::PayloadFormatIndicator(true),
        Property::ResponseTopic("answers"),
        Property::UserProperty(("b", "1")),
        Property::CorrelationData(b"\x00\xff"),
        Property::MessageExpiryInterval(60),
    ]
}

#[test]
fn properties_arrive_as_they_were_sent_and_in_order() {
    let (mut world, publisher, subscriber) = pair();
    world.subscribe_all(subscriber, &[("t", AtLeastOnce.into())], 5);
    for qos in ALL_QOS {
        let list = properties(all_properties());
        world.publish(publisher, message("t", "x").with_qos(qos).with_properties(list));
        let messages = world.messages(subscriber);
        let mut expected = all_properties();
        expected.push(Property::SubscriptionIdentifier(5));
        assert_eq!(messages[0].message.properties.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_topic_alias_is_between_two_and_goes_no_further() {
    let (mut world, _, subscriber) = pair();
    world.subscribe(subscriber, "t", AtMostOnce);
    let who = world.raw_join(Connect::new(V5, "c".try_into().expect("a client identifier")));
    // The name and alias 3, then the alias alone.
    world.send(who, b"\x30\x08\x00\x01t\x03\x23\x00\x03x\x30\x07\x00\x00\x03\x23\x00\x03y");
    let messages = world.messages(subscriber);
    assert_eq!(messages.iter().map(brief).collect::<Vec<_>>(), ["t=x q0", "t=y q0"]);
    assert!(messages.iter().all(|publish| publish.message.properties.is_empty()));
    // Above the maximum that was announced.
    world.send(who, b"\x30\x08\x00\x01t\x03\x23\x00\x11x");
    assert!(!world.is_open(who));
}

#[test]
fn a_subscriber_of_3_1_1_gets_no_properties() {
    for qos in ALL_QOS {
        let mut world = World::new();
        let publisher = world.join(options(V5, "publisher"));
        let subscriber = world.join(lasting(V311, "subscriber", 0));
        world.subscribe(subscriber, "t", qos);
        let rich = message("t", "x").with_qos(qos).with_properties(properties(all_properties()));
        world.publish(publisher, rich.clone());
        assert_eq!(world.inbox(subscriber), [format!("t=x q{}", qos.bits())]);
        world.cut(subscriber);
        world.publish(publisher, rich.with_retain(true));
        world.connect(subscriber);
        let expected = usize::from(qos != AtMostOnce);
        assert_eq!(world.inbox(subscriber).len(), expected, "queued at {qos:?}");
        world.subscribe(subscriber, "t", qos);
        assert_eq!(world.inbox(subscriber), [format!("t=x q{} r", qos.bits())]);
    }
}

/// Table row A40 of the decisions.
#[test]
fn a_publisher_hears_when_nobody_subscribed() {
    for (version, code) in [(V5, 0x10), (V311, 0)] {
        for qos in [AtLeastOnce, ExactlyOnce] {
            let mut world = World::new();
            let publisher = world.join(options(version, "publisher"));
            assert_eq!(
                world.publish(publisher, message("t", "x").with_qos(qos)),
                outcome(qos, code)
            );
            world.subscribe(publisher, "t", AtMostOnce);
            assert_eq!(world.publish(publisher, message("t", "x").with_qos(qos)), Some(0));
        }
    }
}

/// What the end of the exchange says: at QoS 2 PUBCOMP, which knows nothing of it.
fn outcome(qos: QoS, code: u8) -> Option<u8> {
    Some(if qos == ExactlyOnce && code < 0x80 { 0 } else { code })
}

#[test]
fn pubrec_says_when_nobody_subscribed() {
    let mut world = World::new();
    let who = world.raw_join(Connect::new(V5, "c".try_into().expect("a client identifier")));
    world.send(who, b"\x34\x07\x00\x01t\x00\x09\x00x");
    let packets = world.packets(who);
    let [Packet::PubRec(ack)] = &packets[..] else { panic!("{packets:?}") };
    assert_eq!(ack.reason, ReasonCode::NO_MATCHING_SUBSCRIBERS);
}

/// Table rows A33 and A36 of the decisions.
#[test]
fn the_topics_of_the_server_are_refused_and_other_dollars_are_not() {
    for (version, refused) in [(V5, 0x87), (V311, 0)] {
        for qos in ALL_QOS {
            let mut world = World::new();
            let publisher = world.join(options(version, "publisher"));
            let subscriber = world.join(options(version, "subscriber"));
            for filter in ["$SYS/#", "$SYS", "$other/#", "#", "+/+"] {
                world.subscribe(subscriber, filter, AtMostOnce);
            }
            for topic in ["$SYS", "$SYS/x"] {
                let code =
                    world.publish(publisher, message(topic, "x").with_qos(qos).with_retain(true));
                assert_eq!(code, (qos != AtMostOnce).then_some(refused), "{version:?} {qos:?}");
            }
            assert!(world.inbox(subscriber).is_empty());
            assert_eq!(world.broker.retained(), 0);
            for topic in ["$other/x", "$SYSTEM/x"] {
                world.publish(publisher, message(topic, "x").with_qos(qos));
            }
            assert_eq!(world.inbox(subscriber), ["$other/x=x q0"], "[MQTT-4.7.2-1]");
            assert!(world.is_open(publisher));
        }
    }
}

fn expiring(seconds: u32) -> Properties<Bytes> {
    properties([Property::MessageExpiryInterval(seconds)])
}

/// [MQTT-3.3.2-5] [MQTT-3.3.2-6] in a queue: the interval that arrives after so many seconds.
fn check_expiry(qos: QoS, interval: u32, waited: f64, arrives: Option<u32>) {
    let mut world = World::new();
    let publisher = world.join(options(V5, "publisher"));
    let subscriber = world.join(lasting(V5, "subscriber", FOREVER));
    world.subscribe(subscriber, "t", qos);
    world.cut(subscriber);
    world.publish(publisher, message("t", "x").with_qos(qos).with_properties(expiring(interval)));
    world.advance(waited);
    world.connect(subscriber);
    let messages = world.messages(subscriber);
    let left = messages.first().map(|p| p.message.properties.message_expiry_interval());
    assert_eq!(left, arrives.map(Some), "{qos:?}: {interval} after {waited}");
    // Either way the session is rid of it.
    assert_eq!(world.queued("subscriber"), Some(0));
}

#[test]
fn a_message_expires_in_the_queue_of_a_client_that_is_away() {
    for qos in [AtLeastOnce, ExactlyOnce] {
        check_expiry(qos, 60, 0.0, Some(60));
        check_expiry(qos, 60, 0.5, Some(60));
        check_expiry(qos, 60, 1.0, Some(59));
        check_expiry(qos, 60, 59.0, Some(1));
        check_expiry(qos, 60, 59.999, Some(1));
        check_expiry(qos, 60, 60.0, None);
        check_expiry(qos, FOREVER, 1e6, Some(FOREVER - 1_000_000));
    }
}

/// Table row A54 is about QoS; this is [MQTT-3.3.2-6] for what is retained.
#[test]
fn a_retained_message_expires() {
    for (waited, arrives) in [(0.0, Some(60)), (10.0, Some(50)), (59.9, Some(1)), (60.0, None)] {
        for identifier in [0, 3] {
            let (mut world, publisher, subscriber) = pair();
            let kept = message("t", "x").with_retain(true).with_properties(expiring(60));
            world.publish(publisher, kept);
            world.advance(waited);
            world.subscribe_all(subscriber, &[("t", AtMostOnce.into())], identifier);
            let messages = world.messages(subscriber);
            let left = messages.first().map(|p| p.message.properties.message_expiry_interval());
            assert_eq!(left, arrives.map(Some), "after {waited}");
        }
    }
}

/// [MQTT-3.1.2-24] [MQTT-3.1.2-25]
#[test]
fn what_is_too_large_for_a_subscriber_is_dropped_for_it_alone_and_counted() {
    for qos in ALL_QOS {
        let mut world = World::new();
        let publisher = world.join(options(V5, "publisher"));
        let small = world.join(lasting(V5, "small", 60).max_packet_size(100));
        let large = world.join(options(V5, "large"));
        for who in [small, large] {
            world.subscribe(who, "t", qos);
        }
        let payload = "x".repeat(100);
        assert_eq!(
            world.publish(publisher, message("t", &payload).with_qos(qos)),
            (qos != AtMostOnce).then_some(0)
        );
        assert_eq!(world.broker.stats().dropped_too_large, 1);
        assert_eq!(world.inbox(large).len(), 1);
        world.publish(publisher, message("t", "x").with_qos(qos));
        assert_eq!(world.inbox(small).len(), 1, "the connection goes on");
        // In its queue nobody knows yet how much it will take.
        world.cut(small);
        world.publish(publisher, message("t", &payload).with_qos(qos));
        world.publish(publisher, message("t", "y").with_qos(qos));
        world.connect(small);
        assert_eq!(world.inbox(small).len(), usize::from(qos != AtMostOnce));
        let dropped = if qos == AtMostOnce { 1 } else { 2 };
        assert_eq!(world.broker.stats().dropped_too_large, dropped);
        assert_eq!(world.queued("small"), Some(0));
    }
}

#[test]
fn messages_of_one_publisher_keep_their_order() {
    for qos in ALL_QOS {
        let (mut world, publisher, subscriber) = pair();
        world.subscribe(subscriber, "#", qos);
        world.stall(subscriber, true);
        for number in 0..500 {
            world.publish(publisher, message("t", &number.to_string()).with_qos(qos));
        }
        world.stall(subscriber, false);
        let expected = (0..500).map(|n| format!("t={n} q{}", qos.bits())).collect::<Vec<_>>();
        assert_eq!(world.inbox(subscriber), expected);
    }
}

/// The same script and the same seed.
#[test]
fn the_same_calls_give_the_same_bytes() {
    let run = |seed| {
        let mut world = World::new();
        world.broker = mqtt_broker_lite::Broker::new(Default::default(), seed);
        let script = |world: &mut World, version: ProtocolVersion| {
            let clients = [0, 1, 2, 3].map(|_| world.join(options(version, "")));
            for (number, &who) in clients.iter().enumerate() {
                world.subscribe(who, "a/#", ALL_QOS[number % 3]);
                world.subscribe(who, "+/b", ExactlyOnce);
                world.subscribe(who, "$share/g/a/+", AtLeastOnce);
            }
            for number in 0..50 {
                let topic = ["a/b", "a/c", "c/b"][number % 3];
                let message = message(topic, &number.to_string()).with_retain(number % 5 == 0);
                world.publish(clients[number % 4], message.with_qos(ALL_QOS[number % 3]));
                world.advance(0.3);
            }
            world.cut(clients[0]);
        };
        script(&mut world, V311);
        script(&mut world, V5);
        world.shut_down();
        world.written
    };
    assert!(run(1) == run(1));
    assert!(run(1) != run(2), "the seed names those without a name");
}

#[test]
fn time_that_stands_still_or_runs_back_does_no_harm() {
    let (mut world, publisher, subscriber) = pair();
    world.subscribe(subscriber, "t", AtLeastOnce);
    world.advance(100.0);
    let later = world.now;
    world.now = Instant::ZERO + Duration::from_secs(1);
    world.publish(publisher, message("t", "x").with_qos(AtLeastOnce));
    world.now = later;
    world.publish(publisher, message("t", "y").with_qos(AtLeastOnce));
    assert_eq!(world.inbox(subscriber), ["t=x q1", "t=y q1"]);
}

/// Table row A29 of the decisions.
#[test]
fn a_shared_message_waits_for_the_member_it_was_given_to() {
    let mut world = World::new();
    let publisher = world.join(options(V5, "publisher"));
    let first = world.join(lasting(V5, "first", 60));
    world.subscribe(first, "$share/g/t", AtLeastOnce);
    world.cut(first);
    world.publish(publisher, message("t", "x").with_qos(AtLeastOnce));
    let second = world.join(options(V5, "second"));
    world.subscribe(second, "$share/g/t", AtLeastOnce);
    assert_eq!(world.queued("first"), Some(1));
    world.advance(60.0);
    assert_eq!(world.queued("first"), None);
    assert!(world.inbox(second).is_empty(), "it ended with that member's session");
}

/// Table row A41 of the decisions.
#[test]
fn an_identifier_may_name_a_message_and_a_request_at_the_same_time() {
    let mut world = World::new();
    let who = world.raw_join(Connect::new(V311, "c".try_into().expect("a client identifier")));
    world.send(who, b"\x34\x06\x00\x01t\x00\x09x\x82\x06\x00\x09\x00\x01t\x00");
    let packets = world.packets(who);
    assert!(matches!(&packets[..], [Packet::PubRec(_), Packet::SubAck(_)]), "{packets:?}");
}
