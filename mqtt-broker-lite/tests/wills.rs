//! Wills: whether, when and how often (sections 3.1.2.5, 3.1.3.2, 3.1.4, 3.14.4). Table rows A04 to
//! A07 of the decisions.

mod common;

use bytes::Bytes;
use common::*;
use mqtt_broker_lite::session::proto::{
    Connect, Disconnect, Packet, Property, ProtocolVersion, Publication, ReasonCode, TopicName,
};

/// How a connection comes to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Disconnect(ReasonCode),
    /// A second CONNECT [MQTT-3.1.0-2].
    ProtocolError,
    Malformed,
    Cut,
    KeepAlive,
    Takeover {
        clean_start: bool,
    },
    ShutDown,
}

const CAUSES: [Cause; 10] = [
    Cause::Disconnect(ReasonCode::NORMAL_DISCONNECTION),
    Cause::Disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE),
    Cause::Disconnect(ReasonCode::UNSPECIFIED_ERROR),
    Cause::ProtocolError,
    Cause::Malformed,
    Cause::Cut,
    Cause::KeepAlive,
    Cause::Takeover { clean_start: false },
    Cause::Takeover { clean_start: true },
    Cause::ShutDown,
];

fn connect(version: ProtocolVersion, expiry: u32, delay: u32) -> Connect<Bytes> {
    let mut connect = Connect::new(version, "owner".try_into().expect("a client identifier"));
    connect.keep_alive = 10;
    let mut will = message("will", "farewell").with_qos(AtLeastOnce);
    match version {
        V311 => connect.clean_start = expiry == 0,
        V5 => {
            connect.clean_start = false;
            connect.properties = properties([Property::SessionExpiryInterval(expiry)]);
            will = will.with_properties(properties([Property::WillDelayInterval(delay)]));
        }
    }
    connect.will = Some(will);
    connect
}

/// Seconds from the end of the connection to the will.
fn expected(version: ProtocolVersion, cause: Cause, delay: u32, expiry: u32) -> Option<u32> {
    match cause {
        Cause::Disconnect(ReasonCode::NORMAL_DISCONNECTION) | Cause::ShutDown => None,
        Cause::Takeover { .. } if version == V311 => Some(0),
        Cause::Takeover { clean_start } => (clean_start || delay == 0 || expiry == 0).then_some(0),
        _ => Some(delay.min(expiry)).filter(|&seconds| seconds != FOREVER),
    }
}

fn check(version: ProtocolVersion, cause: Cause, delay: u32, expiry: u32) {
    let row = format!("{version:?} {cause:?} delay {delay} expiry {expiry}");
    let mut world = World::new();
    let observer = world.join(options(V5, "observer"));
    world.subscribe(observer, "will", AtLeastOnce);
    let owner = world.raw_join(connect(version, expiry, delay));
    world.advance(1.0);
    match cause {
        Cause::Disconnect(reason) => {
            world.say(owner, &Packet::Disconnect(Disconnect::new(reason)), version);
        }
        Cause::ProtocolError => {
            world.say(owner, &connect(version, expiry, delay).to_packet().unwrap(), version);
        }
        Cause::Malformed => world.send(owner, b"\x00\x00"),
        Cause::Cut => world.cut(owner),
        Cause::KeepAlive => world.advance(14.0),
        Cause::Takeover { clean_start } => {
            let mut connect = connect(version, FOREVER, 0);
            connect.clean_start = clean_start;
            connect.will = None;
            connect.keep_alive = 0;
            world.raw_join(connect);
        }
        Cause::ShutDown => world.shut_down(),
    }
    assert!(!world.is_open(owner), "{row}");
    let expected = expected(version, cause, delay, expiry);
    let received = |world: &World| world.broker.stats().received;
    if let Some(seconds) = expected {
        if seconds > 0 {
            world.advance(f64::from(seconds) - 0.000_001);
            assert_eq!(received(&world), 0, "{row}: not before {seconds}");
            world.advance(0.000_001);
        }
        assert_eq!(world.inbox(observer), ["will=farewell q1"], "{row}: at {seconds}");
    }
    world.advance(1e7);
    assert_eq!(received(&world), u64::from(expected.is_some()), "{row}: never again");
}

#[test]
fn exactly_one_will_or_none_at_its_time() {
    for cause in CAUSES {
        for expiry in [0, 60, FOREVER] {
            for delay in [0, 5, 100, FOREVER] {
                check(V5, cause, delay, expiry);
            }
        }
        let has_code = matches!(cause, Cause::Disconnect(code) if code.get() != 0);
        if !has_code {
            check(V311, cause, 0, 0);
            check(V311, cause, 0, FOREVER);
        }
    }
}

#[test]
fn coming_back_before_the_delay_has_passed_takes_the_will_back() {
    for (back, sent) in [(4.999, 0), (5.0, 1)] {
        let mut world = World::new();
        let owner = world.raw_join(connect(V5, 60, 5));
        world.cut(owner);
        world.advance(back);
        let mut connect = connect(V5, 60, 5);
        connect.will = None;
        world.raw_join(connect);
        world.advance(1000.0);
        assert_eq!(world.broker.stats().received, sent, "{back}");
    }
}

#[test]
fn each_connection_has_its_own_will() {
    let mut world = World::new();
    let observer = world.join(options(V5, "observer"));
    world.subscribe(observer, "#", AtLeastOnce);
    for payload in ["first", "second"] {
        let mut connect = connect(V5, 60, 0);
        connect.will = Some(message("will", payload));
        // The first is taken over, and it is its own will that is sent then.
        world.raw_join(connect);
    }
    assert_eq!(world.inbox(observer), ["will=first q0"]);
    world.shut_down();
    assert!(world.inbox(observer).is_empty());
}

#[test]
fn a_refused_connect_has_no_will() {
    let mut world = World::with(|config| config.max_sessions = 1);
    let observer = world.join(options(V5, "observer"));
    world.subscribe(observer, "#", AtLeastOnce);
    let refused = world.raw(V5);
    world.say(refused, &connect(V5, 60, 0).to_packet().unwrap(), V5);
    assert!(!world.is_open(refused));
    world.advance(1000.0);
    assert_eq!(world.broker.stats().received, 0);
}

#[test]
fn a_will_is_published_as_any_message() {
    let mut world = World::new();
    let observer = world.join(options(V5, "observer"));
    world.subscribe(observer, "will", ExactlyOnce);
    let mut connect = connect(V5, 60, 0);
    let list = [
        Property::UserProperty(("b", "1")),
        Property::WillDelayInterval(7),
        Property::ContentType("text/plain"),
        Property::MessageExpiryInterval(20),
        Property::UserProperty(("a", "2")),
    ];
    let will = message("will", "farewell").with_qos(ExactlyOnce).with_retain(true);
    connect.will = Some(will.with_properties(properties(list)));
    let owner = world.raw_join(connect);
    world.cut(owner);
    world.advance(7.0);
    let messages = world.messages(observer);
    let [will] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(brief(will), "will=farewell q2");
    let kept = will.message.properties.iter().collect::<Vec<_>>();
    assert_eq!(kept, [list[0], list[2], list[3], list[4]], "all but its own delay");
    // Retained as asked, with an expiry that began when it was published.
    world.advance(19.0);
    world.subscribe(observer, "will", ExactlyOnce);
    assert_eq!(world.inbox(observer), ["will=farewell q2 r"]);
    world.advance(1.0);
    world.subscribe(observer, "will", ExactlyOnce);
    assert!(world.inbox(observer).is_empty());
}

#[test]
fn a_will_for_the_topics_of_the_server_is_dropped() {
    let mut world = World::new();
    let observer = world.join(options(V5, "observer"));
    world.subscribe(observer, "$SYS/#", AtLeastOnce);
    let mut connect = connect(V5, 0, 0);
    let topic: TopicName<Bytes> = name("$SYS/broker/uptime");
    connect.will = Some(Publication::new(topic, "0").with_retain(true));
    let owner = world.raw_join(connect);
    world.cut(owner);
    assert!(world.inbox(observer).is_empty());
    assert_eq!(world.broker.retained(), 0);
}

#[test]
fn a_session_that_ends_is_not_chosen_for_its_own_will() {
    let mut world = World::new();
    let waiting = world.join(lasting(V5, "waiting", 60));
    let owner = connect(V5, 0, 0);
    let owner = world.raw_join(owner);
    world.send(owner, b"\x82\x13\x00\x01\x00\x00\x0d$share/g/will\x01");
    world.subscribe(waiting, "$share/g/will", AtLeastOnce);
    world.cut(waiting);
    world.cut(owner);
    assert_eq!(world.queued("waiting"), Some(1));
}
