//! Maximum Packet Size, sections 3.1.2.11.4 and 3.2.2.3.6, and what is left out to keep it.

use bytes::Bytes;
use conformance::Run;
use mqtt_session::{
    CloseReason, Outcome, PublishError, Violation,
    proto::{
        Ack, Auth, Disconnect, Packet, PacketType, Properties, Property, PropertyId, QoS,
        ReasonCode, ReasonCodes, Role, SubAck, Subscribe, UnsubAck, Unsubscribe,
    },
};

use crate::{
    common::{Q0, Q1, Q2, filters, id, lasting, on_topic, publication, publish},
    side::*,
};

/// What each packet leaves out first, and who may send it.
const TEXTS: [(PacketType, &[&str]); 9] = [
    (PacketType::ConnAck, &["v5 MQTT-3.2.2-19", "v5 MQTT-3.2.2-20"]),
    (PacketType::PubAck, &["v5 MQTT-3.4.2-2", "v5 MQTT-3.4.2-3"]),
    (PacketType::PubRec, &["v5 MQTT-3.5.2-2", "v5 MQTT-3.5.2-3"]),
    (PacketType::PubRel, &["v5 MQTT-3.6.2-2", "v5 MQTT-3.6.2-3"]),
    (PacketType::PubComp, &["v5 MQTT-3.7.2-2", "v5 MQTT-3.7.2-3"]),
    (PacketType::SubAck, &["v5 MQTT-3.9.2-1", "v5 MQTT-3.9.2-2"]),
    (PacketType::UnsubAck, &["v5 MQTT-3.11.2-1", "v5 MQTT-3.11.2-2"]),
    (PacketType::Disconnect, &["v5 MQTT-3.14.2-3", "v5 MQTT-3.14.2-4"]),
    (PacketType::Auth, &["v5 MQTT-3.15.2-2", "v5 MQTT-3.15.2-3"]),
];

fn has_texts(packet: &Packet<Bytes>) -> bool {
    packet.properties().is_some_and(|properties| {
        let set = properties.set();
        set.contains(PropertyId::ReasonString) || set.contains(PropertyId::UserProperty)
    })
}

/// Provokes one packet of every type that this side may send on a connection, short and long, with a peer that says
/// this.
fn provoke_everything(role: Role, peer: &[Property<'static>]) -> Vec<Packet<Bytes>> {
    let method = Property::AuthenticationMethod("m");
    let mut side = match role {
        CLIENT => Side::client(lasting(V5).authentication("m", ""), V5),
        SERVER => Side::new(SERVER, V5),
    };
    side = side.told(&[&[method], peer].concat()).opened();
    let side = &mut side;
    let mut said: Vec<_> = side.greeting.take().into_iter().collect();
    for len in [0, 30, 90] {
        for qos in [Q0, Q1, Q2] {
            // What is too large is refused.
            let _ = side.try_publish(publication(qos, &"x".repeat(len)));
        }
    }
    side.hear(&pubrec(600));
    side.hear(&pubrel(601));
    for code in [ReasonCode::SUCCESS, ReasonCode::NOT_AUTHORIZED] {
        side.verdict = Some(code);
        for qos in [Q1, Q2] {
            side.hear(&publish(qos, 7, "x"));
        }
        side.hear(&pubrel(7));
    }
    if let (Machine::Server(Some(server)), true) = (&mut side.machine, side.closed.is_none()) {
        for count in [1, 5, 50] {
            let codes = || vec![ReasonCode::NOT_AUTHORIZED; count];
            let _ = server.suback(side.now, id(8), codes());
            let _ = server.unsuback(side.now, id(9), codes());
        }
        side.hear(&Packet::PingReq);
    }
    let auth = |reason| Packet::Auth(Auth::new(reason, Properties::new([method]).expect("legal")));
    for data in [&b""[..], &[b'x'; 90]] {
        match &mut side.machine {
            Machine::Server(Some(server)) => {
                server.handle_packet(side.now, auth(ReasonCode::RE_AUTHENTICATE));
                let _ = server.authenticated(side.now, data);
            }
            Machine::Client(client) => {
                if client.reauthenticate(side.now, data).is_ok() {
                    side.hear(&auth(ReasonCode::SUCCESS));
                }
            }
            Machine::Server(None) => {}
        }
    }
    if side.role == CLIENT {
        let _ = side.subscribe(&["a", &"b".repeat(50)]);
        let _ = side.subscribe(&["a"]);
        let _ = side.unsubscribe(&["a", &"b".repeat(50)]);
    }
    side.disconnect(ReasonCode::UNSPECIFIED_ERROR);
    said.extend(side.packets());
    said
}

/// Nothing above the limit goes out, whatever it is and whatever the limit; what there is room for does.
pub(crate) fn of_every_packet(run: &mut Run) {
    let ids = &["v5 MQTT-3.1.2-24"];
    let large = provoke_everything(SERVER, &[]);
    for limit in 1..=120 {
        let said = provoke_everything(SERVER, &[Property::MaximumPacketSize(limit)]);
        let sizes: Vec<_> = said.iter().map(|packet| packet.encoded_len(V5)).collect();
        for (packet, size) in said.iter().zip(&sizes) {
            let fits = size.is_ok_and(|size| size <= limit);
            let name = packet.packet_type().name();
            run.acting(ids).holds(fits, format!("{name} of {size:?} bytes, limit {limit}"));
        }
        // Once the client takes a CONNACK, whatever fits is there.
        if said.first().is_some_and(|first| !is_refusal(first)) {
            let fitting =
                |packet: &&Packet<Bytes>| packet.encoded_len(V5).is_ok_and(|size| size <= limit);
            let expected: Vec<_> = large.iter().filter(fitting).map(Packet::packet_type).collect();
            let found: Vec<_> = said.iter().map(Packet::packet_type).collect();
            run.acting(ids).equal(found, expected, format!("limit {limit}"));
        }
    }
}

fn is_refusal(packet: &Packet<Bytes>) -> bool {
    matches!(packet, Packet::ConnAck(connack) if connack.reason.is_error())
}

/// The texts of all these packets are the first to go; the rest of the packet is said as long as it has room.
pub(crate) fn what_has_no_room(run: &mut Run) {
    for role in ROLES {
        let all = provoke_everything(role, &[]);
        for (packet_type, ids) in TEXTS {
            let of = |said: &[Packet<Bytes>]| -> Vec<Packet<Bytes>> {
                let kind = said.iter().filter(|packet| packet.packet_type() == packet_type);
                kind.cloned().collect()
            };
            let unlimited = of(&all);
            if unlimited.is_empty() {
                assert!(!packet_type.may_be_sent_by(role), "{} is missing", packet_type.name());
                continue;
            }
            for limit in 2..=70 {
                let said = provoke_everything(role, &[Property::MaximumPacketSize(limit)]);
                for packet in of(&said) {
                    let fits = packet.encoded_len(V5).is_ok_and(|size| size <= limit);
                    let whole = unlimited.contains(&packet) || is_refusal(&packet);
                    let what = format!("{role:?}, limit {limit}: {packet:?}");
                    run.acting(ids).holds(fits && (whole || !has_texts(&packet)), what);
                }
            }
        }
    }
}

/// A message that is too large is as good as delivered: it holds no identifier and no quota.
pub(crate) fn of_messages(run: &mut Run) {
    let ids = &["v5 MQTT-3.1.2-24", "v5 MQTT-3.1.2-25"];
    let peer = [Property::ReceiveMaximum(1), Property::MaximumPacketSize(100)];
    for (qos, head) in [(Q0, 6), (Q1, 8), (Q2, 8)] {
        let text = |size: usize| "x".repeat(size - head);
        let mut side = Side::new(SERVER, V5).told(&peer).opened();
        for size in [99, 100, 101] {
            let published = side.try_publish(publication(qos, &text(size)));
            if size > 100 {
                let too_large = PublishError::PacketTooLarge { size: size as u32, limit: 100 };
                run.acting(ids).equal(published, Err(too_large), format!("{qos:?}, {size}"));
                run.acting(ids).equal(side.said(), [""; 0], format!("{qos:?}, {size}"));
                continue;
            }
            let sent = side.packets();
            let lens: Vec<_> = sent.iter().map(|packet| packet.encoded_len(V5)).collect();
            run.acting(ids).equal(lens, [Ok(size as u32)], format!("{qos:?}, {size}"));
            side.complete(qos, published.unwrap_or(0));
            side.packets();
        }
        run.acting(ids).equal(side.open_exchanges(), 0, format!("{qos:?}"));
        if qos != Q0 {
            waiting_messages(run, ids, qos, &text(101));
        }
    }
}

/// An alias that is said for the first time makes a packet longer: not beyond the limit, nor is the message lost.
pub(crate) fn of_messages_with_aliases(run: &mut Run) {
    let ids = &["v5 MQTT-3.1.2-24", "v5 MQTT-3.1.2-25"];
    let peer = [Property::MaximumPacketSize(100), Property::TopicAliasMaximum(9)];
    let topic = "a/topic/worth/an/alias";
    let is_aliased =
        |packet: &Packet<Bytes>| packet.properties().is_some_and(|all| all.topic_alias().is_some());
    let mut aliased = 0;
    for (qos, head) in [(Q0, 5), (Q1, 7), (Q2, 7)] {
        for again in [0, 1, 2, 3] {
            for size in 90..=101 {
                let limits = Limits { outbound_topic_aliases: 9, ..Limits::default() };
                let mut side = Side::limited(SERVER, V5, limits).told(&peer).opened();
                let what = format!("{qos:?}, {size}, after {again} others");
                for _ in 0..again {
                    side.try_publish(on_topic(Q0, topic, "x")).expect("connected");
                }
                side.packets();
                let text = "x".repeat(size - head - topic.len());
                let published = side.try_publish(on_topic(qos, topic, &text));
                let sent = side.packets();
                let fit =
                    sent.iter().all(|packet| packet.encoded_len(V5).is_ok_and(|len| len <= 100));
                run.acting(ids).holds(fit, &what);
                aliased += sent.iter().filter(|&packet| is_aliased(packet)).count();
                if size <= 100 {
                    run.acting(ids).holds(published.is_ok(), &what);
                    run.acting(ids).equal(sent.len(), 1, &what);
                }
                // Told at once, or as the outcome; in any case it is settled.
                side.complete(qos, published.unwrap_or(1));
                run.acting(ids).equal(side.open_exchanges(), 0, what);
            }
        }
    }
    run.acting(ids).holds(aliased > 0, "nothing had an alias");
}

/// Those that were accepted while nobody knew the limit.
fn waiting_messages(run: &mut Run, ids: Ids<'_>, qos: QoS, large: &str) {
    let mut side = Side::connected(SERVER, V5);
    let in_flight = side.publish(qos, large);
    side.said();
    side.cut();
    let mut numbers = Vec::new();
    for text in ["a", large, large, "b", large, "c"] {
        numbers.push(side.publish(qos, text));
    }
    side.peer = vec![Property::ReceiveMaximum(1), Property::MaximumPacketSize(100)];
    side.connect(true);
    for at in [0, 3, 5] {
        run.acting(ids).equal(side.published(), [numbers[at]], format!("{qos:?}: {at}"));
        side.complete(qos, numbers[at]);
    }
    // That one the client may have, and so its identifier is free once the client has released it.
    side.hear(&pubcomp(in_flight));
    let mut finished = std::mem::take(&mut side.finished);
    finished.sort_by_key(|(number, _)| numbers.iter().position(|other| other == number));
    let how = |at: usize| if [0, 3, 5].contains(&at) { SUCCESS } else { Outcome::TooLarge };
    let mut expected = vec![(in_flight, Outcome::TooLarge)];
    expected.extend(numbers.iter().enumerate().map(|(at, &number)| (number, how(at))));
    run.acting(ids).equal(finished, expected, format!("{qos:?}"));
    run.acting(ids).equal(side.open_exchanges(), 0, format!("{qos:?}"));
}

/// What is announced is what is taken, decided by the fixed header.
pub(crate) fn what_comes(run: &mut Run) {
    for (role, id) in [(CLIENT, "v5 U5-3.1.2.11.4-2"), (SERVER, "v5 U5-3.2.2.3.6-2")] {
        let ids = &[id];
        let limits = Limits { max_packet_size: 100, ..Limits::default() };
        let mut side = Side::limited(role, V5, limits).opened();
        let announced = match role {
            CLIENT => None,
            SERVER => side
                .greeting
                .as_ref()
                .and_then(|connack| connack.properties().and_then(Properties::maximum_packet_size)),
        };
        run.acting(ids).equal(announced.unwrap_or(100), 100, side.which());
        // 98 and the fixed header: topic, no properties, 94 of payload.
        let fits = [&[0x30, 98, 0, 1, b't', 0][..], &[b'x'; 94]].concat();
        side.hear_bytes(&fits);
        run.acting(ids).equal(side.heard(), ["x".repeat(94)], side.which());
        run.acting(ids).equal(side.said(), [""; 0], side.which());
        // No byte of the body is needed.
        for header in [&[0x30, 99][..], &[0x32, 0xff, 0xff, 0xff, 0x7f], &[0xc0, 0x80, 0x01]] {
            let header =
                if role == CLIENT && header[0] == 0xc0 { &[0xd0, 0x80, 1] } else { header };
            let mut side = Side::limited(role, V5, limits).opened();
            side.hear_bytes(header);
            run.acting(ids).equal(side.said(), ["DISCONNECT 0x95"], format!("{header:02x?}"));
            run.acting(ids).holds(side.closed.is_some(), format!("{header:02x?}"));
        }
    }
}

/// With Request Problem Information 0 only PUBLISH, CONNACK and DISCONNECT may have texts.
pub(crate) fn problem_information(run: &mut Run) {
    let ids = &["v5 MQTT-3.1.2-29"];
    let peer = [Property::RequestProblemInformation(false)];
    let mut said = provoke_everything(SERVER, &peer);
    let mut side = Side::new(SERVER, V5).told(&peer).opened();
    side.hear(&Packet::Subscribe(Subscribe::new(id(7), filters(&["a", "b"]))));
    side.hear(&Packet::Unsubscribe(Unsubscribe::new(id(8), no_more(&["a", "b"]))));
    let now = side.now;
    let codes = [ReasonCode::QUOTA_EXCEEDED; 2];
    run.acting(ids).equal(side.as_server().suback(now, id(7), codes), Ok(()), "SUBACK");
    let codes = [ReasonCode::NO_SUBSCRIPTION_EXISTED; 2];
    run.acting(ids).equal(side.as_server().unsuback(now, id(8), codes), Ok(()), "UNSUBACK");
    said.extend(side.packets());
    let mut types: Vec<_> = said.iter().map(Packet::packet_type).collect();
    types.dedup();
    run.acting(ids).holds(types.len() > 8, format!("{types:?}"));
    for packet in said {
        let may = matches!(
            packet.packet_type(),
            PacketType::Publish | PacketType::ConnAck | PacketType::Disconnect
        );
        run.acting(ids).holds(may || !has_texts(&packet), format!("{packet:?}"));
    }
}

/// Packets of a server with this text, and whether they may have it without being asked.
fn with_texts(text: Property<'_>) -> [(bool, Packet<Bytes>); 8] {
    let said = || Properties::new([text]).expect("legal");
    let ack = |number| Ack::success(id(number)).with_properties(said());
    let codes = || ReasonCodes::from_iter([ReasonCode::SUCCESS]);
    let suback = SubAck::new(id(5), codes()).with_properties(said());
    let unsuback = UnsubAck::new(id(6), codes()).with_properties(said());
    let goodbye = Disconnect::new(ReasonCode::SERVER_BUSY).with_properties(said());
    let Packet::Publish(publish) = publish(Q1, 7, "x") else { unreachable!() };
    let user = Properties::new([Property::UserProperty(("n", "v"))]).expect("legal");
    [
        (false, Packet::PubAck(ack(1))),
        (false, Packet::PubRec(ack(2))),
        (false, Packet::PubRel(ack(3))),
        (false, Packet::PubComp(ack(4))),
        (false, Packet::SubAck(suback)),
        (false, Packet::UnsubAck(unsuback)),
        (true, Packet::Disconnect(goodbye)),
        (true, Packet::Publish(publish.with_properties(user))),
    ]
}

/// The client's part: what it did not ask for breaks the rules.
pub(crate) fn problem_information_nobody_asked_for(run: &mut Run) {
    let ids = &["v5 U5-3.1.2.11.7-2"];
    let texts = [Property::ReasonString("r"), Property::UserProperty(("n", "v"))];
    for text in texts {
        for asked in [true, false] {
            for (may, packet) in with_texts(text) {
                let options = lasting(V5).request_problem_information(asked);
                let mut side = Side::client(options, V5);
                side.peer = vec![text];
                let mut side = side.opened();
                let what = format!("asked {asked}: {packet:?}");
                run.acting(ids).equal(side.connacks.len(), 1, "CONNACK may");
                let connect = side.greeting.take().expect("CONNECT");
                let said = connect.properties().and_then(|all| all.request_problem_information());
                run.acting(ids).equal(said, (!asked).then_some(false), &what);
                // 1 and 2 are open at its server.
                side.publish(Q1, "x");
                side.publish(Q2, "x");
                side.said();
                let answer = side.answer(&packet);
                let violation = Violation::ProblemInformation(packet.packet_type());
                if asked || may {
                    let blamed = Some(&CloseReason::Violation(violation)) == side.closed.as_ref();
                    run.acting(ids).holds(!blamed, what);
                } else {
                    run.acting(ids).equal(answer, ["DISCONNECT 0x82"], &what);
                    let reason = CloseReason::Violation(violation);
                    run.acting(ids).equal(side.closed.as_ref(), Some(&reason), what);
                }
            }
        }
    }
}
