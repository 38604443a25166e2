//! The tests with servers that refuse, fall silent, lie or go away.

use std::{sync::mpsc, time::Duration};

use bytes::Bytes;
use mqtt_session::{
    CloseReason, ConnectionState,
    proto::{Packet, PacketType, ProtocolVersion, QoS, ReasonCode},
};

use super::{
    Adapter, Outgoing,
    peer::{LIMIT, Peer, Step, Step::*},
    suite::{QOS, V5, connect, failed, lasting, next, options, payload},
};

/// Short enough for a test to wait for, where it is to pass.
const SHORT: Duration = Duration::from_millis(50);

pub(crate) fn refused_connection<A: Adapter>() {
    for (version, code) in [
        (ProtocolVersion::V311, ReasonCode::BAD_USER_NAME_OR_PASSWORD),
        (ProtocolVersion::V5, ReasonCode::BANNED),
    ] {
        let steps = vec![Expect(PacketType::Connect), Answer(code), Close];
        let peer = Peer::start(version, vec![steps]);
        let failure = A::connect(&peer.url(), lasting("c", version)).err().expect("a failure");
        assert_eq!(failure.debug, format!("Closed(Refused({code:?}))"));
        assert!(failure.display.contains(code.name()), "{failure:?}");
    }
}

pub(crate) fn silent_server<A: Adapter>() {
    let peer = Peer::start(V5, vec![vec![Expect(PacketType::Connect), UntilClosed]]);
    let options = options("c", V5).connect_timeout(SHORT);
    let failure = failed(A::connect(&peer.url(), options).map(|_| ()));
    assert_eq!(failure, "Closed(ConnectTimeout)");
}

pub(crate) fn garbage<A: Adapter>() {
    let steps =
        vec![Expect(PacketType::Connect), Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"), UntilClosed];
    let peer = Peer::start(V5, vec![steps]);
    let failure = failed(A::connect(&peer.url(), lasting("c", V5)).map(|_| ()));
    assert!(failure.starts_with("Closed(Malformed("), "{failure}");

    let steps = vec![
        Expect(PacketType::Connect),
        Answer(ReasonCode::SUCCESS),
        Bytes(b"\x00\x00"),
        Expect(PacketType::Disconnect),
        UntilClosed,
    ];
    let peer = Peer::start(V5, vec![steps]);
    // Not even one that reconnects: it would be sent the same again.
    let (client, mut messages) = connect::<A>(&peer.url(), lasting("c", V5));
    let failure = failed(A::recv(&mut messages, LIMIT));
    assert!(failure.starts_with("Closed(Malformed("), "{failure}");
    assert!(matches!(A::closed(&client), CloseReason::Malformed(_)));
}

pub(crate) fn half_a_connack<A: Adapter>() {
    let steps = vec![Expect(PacketType::Connect), Bytes(b"\x20\x03\x00"), Close];
    let peer = Peer::start(V5, vec![steps]);
    // The first failure is returned, whatever the options say of later ones.
    let failure = failed(A::connect(&peer.url(), lasting("c", V5)).map(|_| ()));
    assert_eq!(failure, "Closed(Lost)");
}

pub(crate) fn session_present_lie<A: Adapter>() {
    let lie = Accept { session_present: true };
    let peer = Peer::start(V5, vec![vec![Expect(PacketType::Connect), lie, UntilClosed]]);
    let failure = failed(A::connect(&peer.url(), options("c", V5)).map(|_| ()));
    assert_eq!(failure, "Closed(Violation(SessionPresent))");
}

pub(crate) fn not_acknowledged<A: Adapter>() {
    let mut steps = vec![Expect(PacketType::Connect), Answer(ReasonCode::SUCCESS)];
    steps.extend([PacketType::Publish, PacketType::Subscribe, PacketType::Unsubscribe].map(Expect));
    steps.extend([Expect(PacketType::Publish), Answer(ReasonCode::SUCCESS)]);
    let peer = Peer::start(V5, vec![steps]);
    let options = options("c", V5).request_timeout(SHORT);
    let (client, _messages) = connect::<A>(&peer.url(), options);
    let message = Outgoing::new("a", 1, QoS::AtLeastOnce);
    assert_eq!(failed(A::send(&client, &message)), "TimedOut");
    assert_eq!(failed(A::subscribe(&client, "a", QoS::AtMostOnce)), "TimedOut");
    assert_eq!(failed(A::unsubscribe(&client, "a")), "TimedOut");
    // The connection is as good as before.
    assert_eq!(A::send(&client, &message), Ok(ReasonCode::SUCCESS));
}

pub(crate) fn silent_later<A: Adapter>() {
    let connect_steps = [Expect(PacketType::Connect), Answer(ReasonCode::SUCCESS)];
    let silence = [Expect(PacketType::PingReq), Answer(ReasonCode::SUCCESS)];
    let end = [Expect(PacketType::PingReq), UntilClosed];
    let steps = [&connect_steps[..], &silence, &end].concat();
    let peer = Peer::start(V5, vec![steps]);
    let options = options("c", V5).keep_alive(1).ping_timeout(SHORT);
    let (_client, mut messages) = connect::<A>(&peer.url(), options);
    assert_eq!(failed(A::recv(&mut messages, LIMIT)), "Closed(KeepAliveTimeout)");
}

pub(crate) fn lost_connection<A: Adapter>() {
    let steps = vec![
        Expect(PacketType::Connect),
        Answer(ReasonCode::SUCCESS),
        Deliver { topic: "a", payload: "last".to_owned() },
        Expect(PacketType::Publish),
        Close,
    ];
    let peer = Peer::start(V5, vec![steps]);
    let (client, mut messages) = connect::<A>(&peer.url(), options("c", V5));
    let message = Outgoing::new("a", 1, QoS::AtLeastOnce);
    assert_eq!(failed(A::send(&client, &message)), "Closed(Lost)");
    // What had come is not lost with the connection; then the loss is seen, once.
    assert_eq!(payload(&next::<A>(&mut messages)), "last");
    assert_eq!(failed(A::recv(&mut messages, LIMIT)), "Closed(Lost)");
    assert_eq!(A::recv(&mut messages, LIMIT), Ok(None));
    for qos in QOS {
        let later = A::send(&client, &Outgoing { qos, ..message.clone() });
        assert_eq!(failed(later), "Closed(Lost)");
    }
    assert_eq!(failed(A::subscribe(&client, "a", QoS::AtMostOnce)), "Closed(Lost)");
    assert_eq!(failed(A::disconnect(&client)), "Closed(Lost)");
    assert_eq!(A::state(&client), ConnectionState::Closed(CloseReason::Lost));
}

/// A first conversation that ends with messages and subscriptions open.
fn first_conversation() -> Vec<Step> {
    vec![
        Expect(PacketType::Connect),
        Answer(ReasonCode::SUCCESS),
        Expect(PacketType::Subscribe),
        Answer(ReasonCode::granted(QoS::AtLeastOnce)),
        Expect(PacketType::Publish),
        Close,
    ]
}

pub(crate) fn session_lost<A: Adapter>() {
    let again = |packet: &Packet<Bytes>| {
        let Packet::Subscribe(subscribe) = packet else { unreachable!() };
        let filters: Vec<_> = subscribe.filters.iter().map(|(f, _)| f.to_string()).collect();
        assert_eq!(filters, ["a/#"]);
    };
    let second = vec![
        Expect(PacketType::Connect),
        Answer(ReasonCode::SUCCESS),
        Expect(PacketType::Subscribe),
        Check(again),
        Answer(ReasonCode::granted(QoS::AtLeastOnce)),
        Deliver { topic: "a/b", payload: "again".to_owned() },
        Expect(PacketType::Disconnect),
        UntilClosed,
    ];
    let peer = Peer::start(V5, vec![first_conversation(), second]);
    let (client, mut messages) = connect::<A>(&peer.url(), lasting("c", V5));
    A::subscribe(&client, "a/#", QoS::AtLeastOnce).expect("a subscription");
    let message = Outgoing::new("a", 1, QoS::ExactlyOnce);
    assert_eq!(failed(A::send(&client, &message)), "SessionLost");
    assert_eq!(payload(&next::<A>(&mut messages)), "again");
    A::disconnect(&client).expect("an orderly end");
}

pub(crate) fn subscription_lost<A: Adapter>() {
    let second = vec![
        Expect(PacketType::Connect),
        Answer(ReasonCode::SUCCESS),
        Expect(PacketType::Subscribe),
        Answer(ReasonCode::NOT_AUTHORIZED),
        Expect(PacketType::Disconnect),
        UntilClosed,
    ];
    let peer = Peer::start(V5, vec![first_conversation(), second]);
    let (client, mut messages) = connect::<A>(&peer.url(), lasting("c", V5));
    A::subscribe(&client, "a/#", QoS::AtLeastOnce).expect("a subscription");
    let started = A::start(&client, &Outgoing::new("a", 1, QoS::AtLeastOnce));
    let failure = A::recv(&mut messages, LIMIT).expect_err("no subscription");
    assert!(failure.debug.starts_with("Closed(SubscriptionLost"), "{failure:?}");
    assert!(failure.display.contains("a/#") && failure.display.contains("Not authorized"));
    assert_eq!(failed(started.and_then(A::wait)), "SessionLost");
}

/// A server that will never have this client again ends the attempts.
pub(crate) fn no_way_back<A: Adapter>() {
    let busy = vec![Expect(PacketType::Connect), Answer(ReasonCode::SERVER_BUSY), Close];
    let never = vec![Expect(PacketType::Connect), Answer(ReasonCode::NOT_AUTHORIZED), Close];
    let peer = Peer::start(V5, vec![first_conversation(), busy, never]);
    let (client, mut messages) = connect::<A>(&peer.url(), lasting("c", V5));
    A::subscribe(&client, "a/#", QoS::AtLeastOnce).expect("a subscription");
    let message = Outgoing::new("a", 1, QoS::AtLeastOnce);
    let refused = "Closed(Refused(0x87 Not authorized))";
    assert_eq!(failed(A::send(&client, &message)), refused);
    assert_eq!(failed(A::recv(&mut messages, LIMIT)), refused);
}

pub(crate) fn server_comes_back<A: Adapter>() {
    let first = vec![Expect(PacketType::Connect), Answer(ReasonCode::SUCCESS), Close];
    let peer = Peer::start(V5, vec![first]);
    let (client, _messages) = connect::<A>(&peer.url(), lasting("c", V5));
    let mut state = A::state(&client);
    while !matches!(state, ConnectionState::Reconnecting { attempt: 4.., .. }) {
        state = A::state_changed(&client, &state);
    }
    let second = vec![
        Expect(PacketType::Connect),
        Accept { session_present: true },
        Expect(PacketType::Subscribe),
        Answer(ReasonCode::granted(QoS::ExactlyOnce)),
    ];
    let _peer = Peer::start_at(peer.address, V5, vec![second]);
    assert_eq!(A::subscribe(&client, "a", QoS::ExactlyOnce), Ok(QoS::ExactlyOnce));
}

pub(crate) fn requests_wait_for_a_connection<A: Adapter>() {
    let first = vec![Expect(PacketType::Connect), Answer(ReasonCode::SUCCESS), Close];
    let second = vec![
        Expect(PacketType::Connect),
        Accept { session_present: true },
        Expect(PacketType::Subscribe),
        Close,
    ];
    let third = vec![
        Expect(PacketType::Connect),
        Accept { session_present: true },
        Expect(PacketType::Subscribe),
        Answer(ReasonCode::granted(QoS::ExactlyOnce)),
        Expect(PacketType::Disconnect),
        UntilClosed,
    ];
    let peer = Peer::start(V5, vec![first, second, third]);
    let (client, _messages) = connect::<A>(&peer.url(), lasting("c", V5));
    let connected = A::state(&client);
    if matches!(connected, ConnectionState::Connected(_)) {
        let lost = A::state_changed(&client, &connected);
        assert!(!matches!(lost, ConnectionState::Closed(_)), "{lost:?}");
    }
    assert_eq!(A::subscribe(&client, "a", QoS::ExactlyOnce), Ok(QoS::ExactlyOnce));
    let again = A::state(&client);
    let ConnectionState::Connected(connack) = again else { panic!("{again:?}") };
    assert!(connack.session_present);
    A::disconnect(&client).expect("an orderly end");
}

/// While the application takes nothing, no PINGRESP is read; that is no reason to give up the
/// server.
pub(crate) fn slow_application<A: Adapter>() {
    const SIZE: usize = 20_000;
    let (tell, told) = mpsc::channel();
    let mut steps = vec![Expect(PacketType::Connect), Answer(ReasonCode::SUCCESS)];
    steps.extend((0..3).map(|_| Deliver { topic: "a", payload: "x".repeat(SIZE) }));
    for _ in 0..2 {
        steps.extend([Expect(PacketType::PingReq), Answer(ReasonCode::SUCCESS)]);
    }
    steps.extend([Tell(tell), Expect(PacketType::Publish), Answer(ReasonCode::SUCCESS)]);
    let peer = Peer::start(V5, vec![steps]);
    let options = options("c", V5).keep_alive(1).ping_timeout(SHORT).max_undelivered(SIZE / 2);
    let (client, mut messages) = connect::<A>(&peer.url(), options);
    told.recv_timeout(LIMIT).expect("a client that pings");
    for _ in 0..3 {
        assert_eq!(payload(&next::<A>(&mut messages)).len(), SIZE);
    }
    let message = Outgoing::new("a", 1, QoS::AtLeastOnce);
    assert_eq!(A::send(&client, &message), Ok(ReasonCode::SUCCESS));
}
