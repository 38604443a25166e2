//! The tests. Each name stands in `client_tests!` too.

use std::{collections::BTreeMap, net::TcpListener, thread, time::Duration};

use bytes::Bytes;
use mqtt_broker_lite::TestBroker;
use mqtt_session::{
    Backoff, ClientOptions,
    proto::{
        Packet, PacketType, Properties, Property, ProtocolVersion, Publication, Publish, QoS,
        ReasonCode, Role, TopicName,
    },
};

use super::{
    Adapter, Made, Outgoing,
    peer::{LIMIT, Peer, Step::*},
    proxy::{Cut, Proxy},
};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];
pub(crate) const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
pub(crate) const V5: ProtocolVersion = ProtocolVersion::V5;

pub(crate) fn options(client_id: &str, version: ProtocolVersion) -> ClientOptions {
    ClientOptions::new(client_id).version(version)
}

/// A session that lasts, and connections that come back.
pub(crate) fn lasting(client_id: &str, version: ProtocolVersion) -> ClientOptions {
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(20));
    let options = options(client_id, version).reconnect(Some(backoff));
    match version {
        ProtocolVersion::V311 => options.clean_start(false),
        ProtocolVersion::V5 => options.session_expiry(600),
    }
}

pub(crate) fn connect<A: Adapter>(url: &str, options: ClientOptions) -> (A::Client, A::Messages) {
    A::connect(url, options).expect("a connection")
}

pub(crate) fn next<A: Adapter>(messages: &mut A::Messages) -> Publish<Bytes> {
    A::recv(messages, LIMIT).expect("no error").expect("a message")
}

pub(crate) fn payload(publish: &Publish<Bytes>) -> String {
    String::from_utf8(publish.message.payload.to_vec()).expect("text")
}

/// How a call failed, without what its text says.
pub(crate) fn failed<T: std::fmt::Debug>(made: Made<T>) -> String {
    made.expect_err("a failure").debug
}

fn url(broker: &TestBroker) -> String {
    format!("mqtt://{}", broker.addr())
}

pub(crate) fn round_trip<A: Adapter>() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let (client, mut messages) = connect::<A>(&url(&broker), options("c", version));
        for granted in QOS {
            assert_eq!(A::subscribe(&client, "a/+", granted), Ok(granted));
            for qos in QOS {
                let mut message = Outgoing::new("a/b", format!("{granted}{qos}"), qos);
                if version == V5 {
                    let properties = [Property::UserProperty(("n", "1"))];
                    message.properties = Properties::new(properties).expect("properties");
                }
                assert_eq!(A::send(&client, &message), Ok(ReasonCode::SUCCESS));
                let publish = next::<A>(&mut messages);
                assert_eq!(payload(&publish), message.payload);
                assert_eq!(publish.message.topic.as_str(), "a/b");
                assert_eq!(publish.delivery.qos(), qos.min(granted));
                assert!(!publish.retain);
                assert_eq!(publish.message.properties, message.properties);
            }
            assert_eq!(A::unsubscribe(&client, "a/+"), Ok(ReasonCode::SUCCESS));
        }
        let existed = A::unsubscribe(&client, "a/+");
        let none = [ReasonCode::SUCCESS, ReasonCode::NO_SUBSCRIPTION_EXISTED];
        assert_eq!(existed, Ok(none[usize::from(version == V5)]));
        A::disconnect(&client).expect("an orderly end");
    }
}

pub(crate) fn retained<A: Adapter>() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let (client, mut messages) = connect::<A>(&url(&broker), options("c", version));
        let message = Outgoing { retain: true, ..Outgoing::new("a", 1, QoS::AtLeastOnce) };
        A::send(&client, &message).expect("an acknowledgement");
        A::subscribe(&client, "a", QoS::AtMostOnce).expect("a subscription");
        let publish = next::<A>(&mut messages);
        assert_eq!((payload(&publish).as_str(), publish.retain), ("1", true));
    }
}

pub(crate) fn several_filters<A: Adapter>() {
    let broker = TestBroker::start();
    let (client, mut messages) = connect::<A>(&url(&broker), options("c", V5));
    let filters = [("a", QoS::AtMostOnce), ("b", QoS::ExactlyOnce), ("c", QoS::AtLeastOnce)];
    let granted = filters.map(|(_, qos)| ReasonCode::granted(qos));
    assert_eq!(A::subscribe_with(&client, &filters), Ok(granted.to_vec()));
    A::send(&client, &Outgoing::new("b", "here", QoS::ExactlyOnce)).expect("an acknowledgement");
    assert_eq!(payload(&next::<A>(&mut messages)), "here");
    assert!(failed(A::subscribe_with(&client, &[])).contains("NoTopicFilter"));
}

pub(crate) fn pipelined_in_order<A: Adapter>() {
    const COUNT: usize = 1000;
    let broker = TestBroker::start();
    for (version, qos) in VERSIONS.into_iter().zip([QoS::ExactlyOnce, QoS::AtLeastOnce]) {
        let (client, mut messages) = connect::<A>(&url(&broker), options("c", version));
        A::subscribe(&client, "a", qos).expect("a subscription");
        let start = |n| A::start(&client, &Outgoing::new("a", n, qos)).expect("a place in line");
        let started: Vec<_> = (0..COUNT).map(start).collect();
        for n in 0..COUNT {
            assert_eq!(payload(&next::<A>(&mut messages)), n.to_string());
        }
        for acknowledgement in started {
            A::wait(acknowledgement).expect("an acknowledgement");
        }
    }
}

pub(crate) fn refused_requests<A: Adapter>() {
    let refuse = |code| {
        vec![
            Expect(PacketType::Connect),
            Answer(ReasonCode::SUCCESS),
            Expect(PacketType::Subscribe),
            Answer(code),
            Expect(PacketType::Subscribe),
            Answer(ReasonCode::granted(QoS::AtLeastOnce)),
        ]
    };
    let code = ReasonCode::NOT_AUTHORIZED;
    let more = [PacketType::Unsubscribe, PacketType::Publish, PacketType::Publish];
    let more = more.into_iter().flat_map(|packet| [Expect(packet), Answer(code)]);
    let peer = Peer::start(V5, vec![refuse(code).into_iter().chain(more).collect()]);
    let (client, _messages) = connect::<A>(&peer.url(), options("c", V5));
    let refused = format!("Refused({code:?})");
    assert_eq!(failed(A::subscribe(&client, "a", QoS::ExactlyOnce)), refused);
    assert_eq!(A::subscribe(&client, "a", QoS::ExactlyOnce), Ok(QoS::AtLeastOnce));
    assert_eq!(failed(A::unsubscribe(&client, "a")), refused);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        assert_eq!(failed(A::send(&client, &Outgoing::new("a", 1, qos))), refused);
    }

    // 3.1.1 has one code for every failure.
    let code = ReasonCode::UNSPECIFIED_ERROR;
    let peer = Peer::start(ProtocolVersion::V311, vec![refuse(code)]);
    let (client, _messages) = connect::<A>(&peer.url(), options("c", ProtocolVersion::V311));
    let refused = format!("Refused({code:?})");
    assert_eq!(failed(A::subscribe(&client, "a", QoS::ExactlyOnce)), refused);
    assert_eq!(A::subscribe(&client, "a", QoS::ExactlyOnce), Ok(QoS::AtLeastOnce));
}

pub(crate) fn wrong_topics<A: Adapter>() {
    let broker = TestBroker::start();
    let (client, _messages) = connect::<A>(&url(&broker), options("c", V5));
    for (topic, error) in [("", "Empty"), ("a/+", "Wildcard"), ("a\0", "Nul")] {
        let failure = A::send(&client, &Outgoing::new(topic, 1, QoS::AtLeastOnce)).unwrap_err();
        assert_eq!(failure.debug, format!("Topic {{ topic: {topic:?}, error: {error} }}"));
        assert!(failure.display.contains(&format!("{topic:?}")), "{failure:?}");
    }
    for (filter, error) in [("", "Empty"), ("a/#/b", "Wildcard"), ("$share/a", "Share")] {
        let expected = format!("Topic {{ topic: {filter:?}, error: {error} }}");
        assert_eq!(failed(A::subscribe(&client, filter, QoS::AtMostOnce)), expected);
        assert_eq!(failed(A::unsubscribe(&client, filter)), expected);
    }
}

pub(crate) fn wrong_addresses<A: Adapter>() {
    let failure = |url| A::connect(url, options("c", V5)).err().expect("a failure");
    assert_eq!(failure("mqtts://localhost").debug, "Address(NotSupported(\"mqtts\"))");
    assert_eq!(failure("localhost:0").debug, "Address(Port(\"0\"))");
    let options = ClientOptions::new("\0");
    assert!(failed(A::connect("localhost", options).map(|_| ())).starts_with("Options("));
}

pub(crate) fn nobody_listens<A: Adapter>() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let failure = A::connect(&address.to_string(), options("c", V5)).err().expect("a failure");
    let start = format!("cannot connect to {address}: {address}: ");
    assert!(failure.display.starts_with(&start), "{failure:?}");
    assert!(failure.display.to_lowercase().contains("refused"), "{failure:?}");

    let failure = A::connect("no-such-host.invalid", options("c", V5)).err().expect("a failure");
    let start = "cannot connect to no-such-host.invalid:1883: ";
    assert!(failure.display.starts_with(start), "{failure:?}");
}

/// The name stands for the address of IPv6 too where there is one; nobody listens there.
pub(crate) fn localhost<A: Adapter>() {
    let broker = TestBroker::start();
    let url = format!("localhost:{}", broker.addr().port());
    let (client, _messages) = connect::<A>(&url, options("c", V5));
    A::disconnect(&client).expect("an orderly end");
}

pub(crate) fn user_of_the_url<A: Adapter>() {
    let check = |packet: &Packet<Bytes>| {
        let Packet::Connect(connect) = packet else { unreachable!() };
        let connect = connect.fields();
        let user_name = connect.user_name.as_ref().map(|name| name.to_string());
        assert_eq!(user_name.as_deref(), Some("m@e"));
        assert_eq!(connect.password, Some(&b"\xff"[..]));
    };
    let steps = vec![Expect(PacketType::Connect), Check(check), Answer(ReasonCode::SUCCESS)];
    let peer = Peer::start(V5, vec![steps]);
    let url = format!("mqtt://m%40e:%ff@{}", peer.address);
    let options = options("c", V5).user_name("other").password("other");
    connect::<A>(&url, options);
}

pub(crate) fn disconnect_ends_everything<A: Adapter>() {
    let mut steps = vec![Expect(PacketType::Connect), Answer(ReasonCode::SUCCESS)];
    steps.extend([PacketType::Publish, PacketType::Publish, PacketType::Disconnect].map(Expect));
    steps.push(UntilClosed);
    let peer = Peer::start(V5, vec![steps]);
    let (client, mut messages) = connect::<A>(&peer.url(), lasting("c", V5).max_in_flight(2));
    let start = |qos| A::start(&client, &Outgoing::new("a", 1, qos)).expect("a place in line");
    // The third one waits for the others.
    let started = [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtLeastOnce].map(start);
    thread::scope(|scope| {
        let taking = scope.spawn(|| A::recv(&mut messages, LIMIT));
        let waiting = started.map(|started| scope.spawn(move || A::wait(started)));
        assert_eq!(A::disconnect(&client), Ok(()));
        let ended = "Closed(Requested(0x00 Success))";
        for waiting in waiting {
            assert_eq!(failed(waiting.join().expect("no panic")), ended);
        }
        assert_eq!(taking.join().expect("no panic"), Ok(None));
        assert_eq!(failed(A::subscribe(&client, "a", QoS::AtMostOnce)), ended);
        assert_eq!(A::disconnect(&client), Ok(()));
    });
}

pub(crate) fn dropped_with_disconnect<A: Adapter>() {
    let mut steps = vec![Expect(PacketType::Connect), Answer(ReasonCode::SUCCESS)];
    steps.extend([Expect(PacketType::Publish), Expect(PacketType::Disconnect), UntilClosed]);
    let peer = Peer::start(V5, vec![steps]);
    let (client, messages) = connect::<A>(&peer.url(), options("c", V5));
    let (other, message) = (client.clone(), Outgoing::new("a", 1, QoS::AtMostOnce));
    drop(client);
    drop(messages);
    A::send(&other, &message).expect("still a connection");
    drop(other);
}

/// What is in line when the application leaves still goes out.
pub(crate) fn last_words<A: Adapter>() {
    const COUNT: usize = 50;
    let broker = TestBroker::start();
    let (client, mut messages) = connect::<A>(&url(&broker), options("sub", V5));
    A::subscribe(&client, "a", QoS::AtMostOnce).expect("a subscription");
    for says_so in [true, false] {
        let (leaving, _) = connect::<A>(&url(&broker), options("pub", V5));
        for n in 0..COUNT {
            let message = Outgoing::new("a", n, QoS::AtMostOnce);
            drop(A::start(&leaving, &message).expect("a place in line"));
        }
        if says_so {
            A::disconnect(&leaving).expect("an orderly end");
        }
        drop(leaving);
        for n in 0..COUNT {
            assert_eq!(payload(&next::<A>(&mut messages)), n.to_string());
        }
    }
}

pub(crate) fn will<A: Adapter>() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let (client, mut messages) = connect::<A>(&url(&broker), options("sub", version));
        A::subscribe(&client, "#", QoS::AtLeastOnce).expect("a subscription");
        let will = |payload: &'static str| {
            Publication::new(TopicName::try_from("will").expect("a topic"), payload)
        };
        let dying = |text| options("dying", version).will(will(text));
        let proxy = Proxy::start(broker.addr(), version, None);
        let (_lost, mut of_lost) = connect::<A>(&proxy.url(), dying("lost"));
        proxy.cut();
        assert_eq!(failed(A::recv(&mut of_lost, LIMIT)), "Closed(Lost)");
        assert_eq!(payload(&next::<A>(&mut messages)), "lost");

        // Whoever says good-bye has no will; had it one, it would come before this.
        drop(connect::<A>(&url(&broker), dying("dropped")));
        let (left, _) = connect::<A>(&url(&broker), dying("left"));
        A::disconnect(&left).expect("an orderly end");
        let (last, _) = connect::<A>(&url(&broker), options("dying", version));
        A::send(&last, &Outgoing::new("end", "end", QoS::AtLeastOnce)).expect("an answer");
        assert_eq!(payload(&next::<A>(&mut messages)), "end");
    }
}

/// Every place where a handshake of QoS 1 or 2 can be torn apart.
fn cuts(sender: Role) -> impl Iterator<Item = (ProtocolVersion, QoS, Cut)> {
    let answerer = match sender {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    };
    let steps = [
        (QoS::AtLeastOnce, sender, PacketType::Publish),
        (QoS::AtLeastOnce, answerer, PacketType::PubAck),
        (QoS::ExactlyOnce, sender, PacketType::Publish),
        (QoS::ExactlyOnce, answerer, PacketType::PubRec),
        (QoS::ExactlyOnce, sender, PacketType::PubRel),
        (QoS::ExactlyOnce, answerer, PacketType::PubComp),
    ];
    VERSIONS.into_iter().flat_map(move |version| {
        steps.map(|(qos, sender, packet)| (version, qos, Cut { sender, packet, after: 5 }))
    })
}

const MESSAGES: usize = 30;

/// Takes messages until all are there, and after that those that `end` comes behind.
fn collect<A: Adapter>(messages: &mut A::Messages, end: impl FnOnce()) -> BTreeMap<usize, usize> {
    let mut seen = BTreeMap::new();
    let mut count = |publish: &Publish<Bytes>| {
        *seen.entry(payload(publish).parse().expect("a number")).or_default() += 1;
        seen.len()
    };
    while count(&next::<A>(messages)) < MESSAGES {}
    end();
    loop {
        let publish = next::<A>(messages);
        if payload(&publish) == "end" {
            return seen;
        }
        *seen.entry(payload(&publish).parse().expect("a number")).or_default() += 1;
    }
}

fn check_seen(seen: &BTreeMap<usize, usize>, qos: QoS, here: &str) {
    assert!(seen.keys().copied().eq(0..MESSAGES), "{here}: {seen:?}");
    if qos == QoS::ExactlyOnce {
        assert!(seen.values().all(|&times| times == 1), "{here}: {seen:?}");
    }
}

pub(crate) fn publisher_resumes<A: Adapter>() {
    for (version, qos, cut) in cuts(Role::Client) {
        let here = format!("{version:?} QoS {qos} {cut:?}");
        let broker = TestBroker::start();
        let proxy = Proxy::start(broker.addr(), version, Some(cut));
        let (subscriber, mut messages) = connect::<A>(&url(&broker), options("sub", version));
        A::subscribe(&subscriber, "a", qos).expect("a subscription");
        let (publisher, _) = connect::<A>(&proxy.url(), lasting("pub", version));
        let start = |n| A::start(&publisher, &Outgoing::new("a", n, qos)).expect(&here);
        let started: Vec<_> = (0..MESSAGES).map(start).collect();
        for acknowledgement in started {
            A::wait(acknowledgement).expect(&here);
        }
        let seen = collect::<A>(&mut messages, || {
            proxy.wait_cut();
            A::send(&publisher, &Outgoing::new("a", "end", qos)).expect(&here);
        });
        check_seen(&seen, qos, &here);
    }
}

pub(crate) fn subscriber_resumes<A: Adapter>() {
    for (version, qos, cut) in cuts(Role::Server) {
        let here = format!("{version:?} QoS {qos} {cut:?}");
        let broker = TestBroker::start();
        let proxy = Proxy::start(broker.addr(), version, Some(cut));
        let (subscriber, mut messages) = connect::<A>(&proxy.url(), lasting("sub", version));
        A::subscribe(&subscriber, "a", qos).expect("a subscription");
        let (publisher, _) = connect::<A>(&url(&broker), options("pub", version));
        for n in 0..MESSAGES {
            A::send(&publisher, &Outgoing::new("a", n, qos)).expect(&here);
        }
        let seen = collect::<A>(&mut messages, || {
            proxy.wait_cut();
            A::send(&publisher, &Outgoing::new("a", "end", qos)).expect(&here);
        });
        check_seen(&seen, qos, &here);
    }
}

/// More messages than the application is to have in line, at 1,000 bytes and some.
const FLOOD: usize = 400;
const LINE: usize = 100_000;

fn flood<A: Adapter>(broker: &TestBroker) {
    let (client, _) = connect::<A>(&url(broker), options("flood", V5));
    let send = |n: usize| {
        let payload = format!("{n:01000}");
        A::start(&client, &Outgoing::new("a", payload, QoS::AtLeastOnce)).expect("a place")
    };
    let started: Vec<_> = (0..FLOOD).map(send).collect();
    for acknowledgement in started {
        A::wait(acknowledgement).expect("an answer");
    }
}

pub(crate) fn messages_not_taken<A: Adapter>() {
    let broker = TestBroker::start();
    let options = options("sub", V5).max_undelivered(LINE);
    let (client, mut messages) = connect::<A>(&url(&broker), options);
    A::subscribe(&client, "a", QoS::AtLeastOnce).expect("a subscription");
    flood::<A>(&broker);
    // The answer to this is behind more messages than there is room for.
    let message = Outgoing::new("b", 1, QoS::AtLeastOnce);
    assert_eq!(failed(A::send(&client, &message)), "MessagesNotTaken");
    assert_eq!(failed(A::subscribe(&client, "c", QoS::AtMostOnce)), "MessagesNotTaken");
    for n in 0..FLOOD {
        assert_eq!(payload(&next::<A>(&mut messages)), format!("{n:01000}"));
    }
    assert_eq!(A::send(&client, &message).expect("an answer").get() & 0x80, 0);
}
