//! Enhanced authentication, sections 3.15 and 4.12.

use bytes::Bytes;
use conformance::Run;
use mqtt_session::{
    CloseReason, CommandError, Violation,
    proto::{Auth, Disconnect, Packet, PacketType, Properties, Property, PropertyId, ReasonCode},
};

use crate::{
    common::{Q1, lasting, publish},
    side::*,
};

const METHOD: &str = "SCRAM-SHA-1";
const CONTINUE: ReasonCode = ReasonCode::CONTINUE_AUTHENTICATION;

fn auth(reason: ReasonCode, method: Option<&str>, data: &[u8]) -> Packet<Bytes> {
    let method = method.map(Property::AuthenticationMethod);
    let data = (!data.is_empty()).then_some(Property::AuthenticationData(data));
    let properties = Properties::new(method.into_iter().chain(data)).expect("legal");
    Packet::Auth(Auth { reason, properties })
}

/// A server that has the CONNECT of a client with this method, and thinks about it.
fn server(peer: &[Property<'static>]) -> Side {
    let method = Property::AuthenticationMethod(METHOD);
    let mut side = Side::new(SERVER, V5).told(&[&[method], peer].concat());
    side.answers_connect = false;
    side.open();
    side
}

/// A server in whose connection the first exchange is over.
fn authenticated_server() -> Side {
    let mut side = server(&[]);
    side.accept();
    side.said();
    side
}

/// A client that asks for the method, and whose server answers with these properties.
fn client(peer: &[Property<'static>]) -> Side {
    let options = lasting(V5).authentication(METHOD, "first");
    Side::client(options, V5).told(peer)
}

fn authenticated_client() -> Side {
    client(&[Property::AuthenticationMethod(METHOD)]).opened()
}

/// Method and data of the one packet that was said.
fn said_once(side: &mut Side) -> (Packet<Bytes>, Option<String>, Option<Bytes>) {
    let mut said = side.packets();
    assert_eq!(said.len(), 1, "{said:?}");
    let packet = said.remove(0);
    let properties = packet.properties().expect("5.0");
    let method = properties.authentication_method().map(str::to_owned);
    let data = properties.authentication_data().map(Bytes::copy_from_slice);
    (packet, method, data)
}

/// Two challenges of a server, and its acceptance: the code is 0x18, the method that of CONNECT throughout.
pub(crate) fn challenges(run: &mut Run) {
    let same = &["v5 MQTT-4.12.0-5"];
    let mut side = server(&[Property::AuthenticationData(b"first")]);
    run.acting(same).equal(side.connects, 1, "CONNECT");
    for data in [&b"one"[..], b"", b"two"] {
        let now = side.now;
        let challenged = side.as_server().challenge(now, data);
        let ids = &["v5 MQTT-4.12.0-2", "v5 MQTT-4.12.0-5"];
        run.acting(ids).equal(challenged, Ok(()), "challenge");
        let (packet, method, said) = said_once(&mut side);
        let Packet::Auth(challenge) = packet else { panic!("{packet:?}") };
        run.acting(ids).equal(challenge.reason.get(), 0x18, "challenge");
        run.acting(ids).equal(method.as_deref(), Some(METHOD), "challenge");
        run.acting(ids).equal(said.unwrap_or_default(), data, "challenge");
        // It is the client's turn.
        let twice = side.as_server().challenge(now, data);
        run.acting(ids).equal(twice, Err(CommandError::NothingToAnswer), "twice");
        side.hear(&auth(CONTINUE, Some(METHOD), b"answer"));
        let answer = side.auths.pop();
        let answer = answer.as_ref().and_then(|auth| auth.properties.authentication_data());
        run.acting(ids).equal(answer, Some(&b"answer"[..]), "the broker hears the answer");
    }
    side.accept.authentication_data = Some(Bytes::from_static(b"last"));
    side.accept();
    let (packet, method, data) = said_once(&mut side);
    let accepted = matches!(&packet, Packet::ConnAck(connack) if !connack.reason.is_error());
    run.acting(same).holds(accepted, format!("{packet:?}"));
    run.acting(same).equal(method.as_deref(), Some(METHOD), "CONNACK");
    run.acting(same).equal(data.as_deref(), Some(&b"last"[..]), "CONNACK");
    run.acting(same).holds(side.as_server().is_connected(), "CONNACK");

    // And over again, while messages go on.
    side.hear(&auth(ReasonCode::RE_AUTHENTICATE, Some(METHOD), b"again"));
    run.acting(same).equal(side.answer(&publish(Q1, 1, "x")), ["PUBACK 1"], "messages go on");
    let now = side.now;
    run.acting(same).equal(side.as_server().challenge(now, b"three"), Ok(()), "again");
    let (_, method, _) = said_once(&mut side);
    run.acting(same).equal(method.as_deref(), Some(METHOD), "again");
    side.hear(&auth(CONTINUE, Some(METHOD), b"answer"));
    run.acting(same).equal(side.as_server().authenticated(now, b""), Ok(()), "again");
    let (packet, method, _) = said_once(&mut side);
    let success = matches!(&packet, Packet::Auth(auth) if auth.reason == ReasonCode::SUCCESS);
    run.acting(same).holds(success, format!("{packet:?}"));
    run.acting(same).equal(method.as_deref(), Some(METHOD), "again");
    run.acting(same).holds(side.is_open(), "again");
}

/// The client's part of it.
pub(crate) fn answers(run: &mut Run) {
    let ids = &["v5 MQTT-4.12.0-5"];
    let mut side = client(&[Property::AuthenticationMethod(METHOD)]);
    side.dial();
    let connect = side.greeting.take().expect("CONNECT");
    let properties = connect.properties().expect("5.0");
    run.acting(ids).equal(properties.authentication_method(), Some(METHOD), "CONNECT");
    run.acting(ids).equal(properties.authentication_data(), Some(&b"first"[..]), "CONNECT");
    for data in [&b"one"[..], b"", b"two"] {
        side.hear(&auth(CONTINUE, Some(METHOD), b"challenge"));
        run.acting(ids).equal(side.auths.len(), 1, "the application hears the challenge");
        side.auths.clear();
        let now = side.now;
        run.acting(ids).equal(side.as_client().authenticate(now, data), Ok(()), "answer");
        let (packet, method, said) = said_once(&mut side);
        let Packet::Auth(answer) = packet else { panic!("{packet:?}") };
        run.acting(ids).equal(answer.reason, CONTINUE, "answer");
        run.acting(ids).equal(method.as_deref(), Some(METHOD), "answer");
        run.acting(ids).equal(said.unwrap_or_default(), data, "answer");
    }
    let connack = side.connack(false);
    side.hear(&connack);
    run.acting(ids).equal(side.connacks.len(), 1, "CONNACK");
    let now = side.now;
    run.acting(ids).equal(side.as_client().reauthenticate(now, b"again"), Ok(()), "again");
    let (packet, method, _) = said_once(&mut side);
    let Packet::Auth(again) = packet else { panic!("{packet:?}") };
    run.acting(ids).equal(again.reason, ReasonCode::RE_AUTHENTICATE, "again");
    run.acting(ids).equal(method.as_deref(), Some(METHOD), "again");
    side.hear(&auth(ReasonCode::SUCCESS, Some(METHOD), b""));
    run.acting(ids).equal(side.auths.len(), 1, "again");
    run.acting(ids).holds(side.is_open(), "again");
}

/// A broker says no at each step: CONNACK with its reason, and nothing after it.
pub(crate) fn refusals(run: &mut Run) {
    let ids = &["v5 MQTT-4.12.0-4"];
    for (steps, answered) in [(0, true), (1, false), (1, true), (2, false), (2, true)] {
        let what = format!("{steps} challenges, the last answered {answered}");
        let mut side = server(&[]);
        let now = side.now;
        for step in 1..=steps {
            run.acting(ids).equal(side.as_server().challenge(now, b"x"), Ok(()), &what);
            if step < steps || answered {
                side.hear(&auth(CONTINUE, Some(METHOD), b"x"));
            }
        }
        side.packets();
        let reason = side.as_server().reject(now, ReasonCode::NOT_AUTHORIZED);
        run.acting(ids).equal(reason, CloseReason::Refused(ReasonCode::NOT_AUTHORIZED), &what);
        run.acting(ids).equal(side.said(), ["CONNACK 0x87"], &what);
        run.acting(ids).holds(!side.as_server().wants_input(), &what);
        let late = side.answer(&auth(CONTINUE, Some(METHOD), b"x"));
        run.acting(&["v5 MQTT-4.12.0-4", "v5 MQTT-3.1.4-6"]).equal(late, [""; 0], &what);
        run.acting(ids).equal(side.as_server().poll_timeout(), None, what);
    }
    // The client's part: the application hears why.
    let mut side = client(&[]);
    side.dial();
    side.hear(&auth(CONTINUE, Some(METHOD), b"challenge"));
    side.hear_bytes(&[0x20, 3, 0, 0x87, 0]);
    let refused = side.refused.as_ref().map(|connack| connack.reason);
    run.acting(ids).equal(refused, Some(ReasonCode::NOT_AUTHORIZED), "a client");
    let now = side.now;
    run.acting(ids).holds(side.as_client().authenticate(now, b"x").is_err(), "a client");
    run.acting(ids).equal(side.said(), [""; 0], "a client");
}

/// Another method than that of CONNECT, or none, in each packet that comes.
pub(crate) fn other_methods(run: &mut Run) {
    let ids = &["v5 MQTT-4.12.0-5", "v5 U5-3.15-1"];
    let reason = CloseReason::Violation(Violation::AuthenticationMethod);
    for method in [Some("PLAIN"), Some("scram-sha-1"), None] {
        let what = format!("{method:?}");
        // Before there is a CONNACK, that is how it is told.
        let mut side = server(&[]);
        let now = side.now;
        run.acting(ids).equal(side.as_server().challenge(now, b""), Ok(()), &what);
        side.packets();
        if let Some(method) = method {
            let said = side.answer(&auth(CONTINUE, Some(method), b"x"));
            run.acting(ids).equal(said, ["CONNACK 0x82"], &what);
            run.acting(ids).equal(side.closed.as_ref(), Some(&reason), &what);

            let mut side = authenticated_server();
            let said = side.answer(&auth(ReasonCode::RE_AUTHENTICATE, Some(method), b"x"));
            run.acting(ids).equal(said, ["DISCONNECT 0x82"], &what);
            run.acting(ids).equal(side.closed.as_ref(), Some(&reason), &what);

            let mut side = client(&[]);
            side.dial();
            let said = side.answer(&auth(CONTINUE, Some(method), b"x"));
            run.acting(ids).equal(said, ["DISCONNECT 0x82"], &what);
            run.acting(ids).equal(side.closed.as_ref(), Some(&reason), &what);
            run.acting(ids).equal(side.auths.len(), 0, &what);
        } else {
            // AUTH that goes on has a method (bytes of 0x18 without one).
            side.hear_bytes(&[0xf0, 2, 0x18, 0]);
            run.acting(ids).equal(side.said(), ["CONNACK 0x82"], &what);
            run.acting(ids).holds(side.closed.is_some(), &what);
        }
        let peer: Vec<_> = method.map(Property::AuthenticationMethod).into_iter().collect();
        let mut side = client(&peer).opened();
        run.acting(ids).equal(side.said(), ["DISCONNECT 0x82"], format!("CONNACK, {what}"));
        run.acting(ids).equal(side.closed.as_ref(), Some(&reason), &what);
        run.acting(ids).equal(side.connacks.len(), 0, what);
    }
    out_of_turn(run);
}

/// AUTH when it is not one's turn, or with a code that is not the next.
fn out_of_turn(run: &mut Run) {
    let ids = &["v5 U5-3.15-1"];
    let reason = CloseReason::Violation(Violation::UnexpectedPacket(PacketType::Auth));
    let mut ends = |mut side: Side, code: ReasonCode, expected: &[&str], what: &str| {
        let said = side.answer(&auth(code, Some(METHOD), b"x"));
        let what = format!("{what}, {code}");
        run.acting(ids).equal(said, expected, &what);
        run.acting(ids).equal(side.closed.as_ref(), Some(&reason), &what);
        run.acting(ids).equal(side.auths.len(), 0, what);
    };
    // A server that was not answering anything yet says nothing, see 3.14.0-1.
    ends(server(&[]), CONTINUE, &[], "before the verdict");
    let goodbye = &["DISCONNECT 0x82"];
    ends(authenticated_server(), CONTINUE, goodbye, "nobody's turn");
    ends(authenticated_client(), CONTINUE, goodbye, "nobody's turn");
    ends(authenticated_client(), ReasonCode::SUCCESS, goodbye, "nobody's turn");
    let again = || {
        let mut side = authenticated_server();
        side.hear(&auth(ReasonCode::RE_AUTHENTICATE, Some(METHOD), b"x"));
        side.auths.clear();
        side
    };
    ends(again(), ReasonCode::RE_AUTHENTICATE, goodbye, "the server's turn");
    ends(again(), CONTINUE, goodbye, "the server's turn");
    let mut side = server(&[]);
    let now = side.now;
    side.as_server().challenge(now, b"").expect("a CONNECT awaits it");
    side.packets();
    ends(side, ReasonCode::RE_AUTHENTICATE, &["CONNACK 0x82"], "before CONNACK");
    let dialled = || {
        let mut side = client(&[]);
        side.dial();
        side
    };
    ends(dialled(), ReasonCode::SUCCESS, goodbye, "before CONNACK");
    let mut side = dialled();
    side.hear(&auth(CONTINUE, Some(METHOD), b"x"));
    side.auths.clear();
    ends(side, CONTINUE, goodbye, "the client's turn");
}

/// A re-authentication that fails ends the connection, whoever finds it wrong.
pub(crate) fn again_in_vain(run: &mut Run) {
    let ids = &["v5 MQTT-4.12.1-2"];
    for challenged in [false, true] {
        let mut side = authenticated_server();
        let now = side.now;
        side.hear(&auth(ReasonCode::RE_AUTHENTICATE, Some(METHOD), b"x"));
        run.acting(ids).equal(side.auths.len(), 1, "the broker is asked");
        if challenged {
            run.acting(ids).equal(side.as_server().challenge(now, b"x"), Ok(()), "challenge");
            side.packets();
        }
        run.acting(ids).equal(side.answer(&publish(Q1, 1, "x")), ["PUBACK 1"], "traffic");
        side.disconnect(ReasonCode::NOT_AUTHORIZED);
        run.acting(ids).equal(side.said(), ["DISCONNECT 0x87"], "refused");
        run.acting(ids).holds(!side.as_server().wants_input(), "refused");
    }
    let begun = || {
        let mut side = authenticated_client();
        let now = side.now;
        side.as_client().reauthenticate(now, b"x").expect("connected");
        side.packets();
        side
    };
    let mut side = begun();
    let goodbye = Disconnect::new(ReasonCode::NOT_AUTHORIZED);
    side.hear(&Packet::Disconnect(goodbye));
    let reason = CloseReason::Disconnected(ReasonCode::NOT_AUTHORIZED);
    run.acting(ids).equal(side.closed.as_ref(), Some(&reason), "by the server");
    let mut side = begun();
    run.acting(ids).equal(side.answer(&publish(Q1, 1, "x")), ["PUBACK 1"], "traffic");
    let said = side.answer(&auth(CONTINUE, Some("PLAIN"), b"x"));
    run.acting(ids).equal(said, ["DISCONNECT 0x82"], "another method");
    run.acting(ids).holds(side.closed.is_some(), "another method");
    // The application of a client that does not believe its server.
    let mut side = begun();
    side.hear(&auth(CONTINUE, Some(METHOD), b"wrong"));
    side.disconnect(ReasonCode::NOT_AUTHORIZED);
    let said = side.packets();
    let [Packet::Disconnect(goodbye)] = &said[..] else { panic!("{said:?}") };
    run.acting(ids).holds(goodbye.reason.is_error(), "by the client");
}

/// Without a method in CONNECT there is none anywhere, and an AUTH is a protocol error.
pub(crate) fn nobody_asked_for(run: &mut Run) {
    let by_server = &["v5 MQTT-4.12.0-6", "v5 U5-3.15-1"];
    let mut side = Side::new(SERVER, V5);
    side.answers_connect = false;
    side.open();
    let now = side.now;
    let nothing = Err(CommandError::NothingToAnswer);
    run.acting(by_server).equal(side.as_server().challenge(now, b"x"), nothing, "AUTH");
    side.accept.authentication_data = Some(Bytes::from_static(b"x"));
    side.accept();
    let said = side.packets();
    run.acting(by_server).equal(said.len(), 1, "CONNACK");
    let set = said[0].properties().expect("5.0").set();
    for property in [PropertyId::AuthenticationMethod, PropertyId::AuthenticationData] {
        run.acting(by_server).holds(!set.contains(property), "CONNACK");
    }
    run.acting(by_server).equal(side.as_server().challenge(now, b"x"), nothing, "AUTH");
    run.acting(by_server).equal(side.as_server().authenticated(now, b"x"), nothing, "AUTH");
    run.acting(by_server).equal(side.said(), [""; 0], "AUTH");

    // The client's part.
    for code in [CONTINUE, ReasonCode::SUCCESS] {
        for connected in [false, true] {
            let mut side = Side::new(CLIENT, V5);
            if connected {
                side.open();
            } else {
                side.dial();
            }
            let said = side.answer(&auth(code, Some(METHOD), b""));
            run.acting(by_server).equal(said, ["DISCONNECT 0x82"], code);
            run.acting(by_server).holds(side.closed.is_some(), code);
            run.acting(by_server).equal(side.auths.len(), 0, code);
        }
    }
    let mut side = Side::new(CLIENT, V5).told(&[Property::AuthenticationMethod(METHOD)]);
    side.open();
    run.acting(by_server).equal(side.said(), ["DISCONNECT 0x82"], "a method in CONNACK");
    run.acting(by_server).equal(side.connacks.len(), 0, "a method in CONNACK");

    let by_client = &["v5 U5-3.15-1"];
    for code in [CONTINUE, ReasonCode::RE_AUTHENTICATE] {
        let mut side = Side::connected(SERVER, V5);
        let said = side.answer(&auth(code, Some(METHOD), b""));
        run.acting(by_client).equal(said, ["DISCONNECT 0x82"], code);
        run.acting(by_client).holds(side.closed.is_some(), code);
        run.acting(by_client).equal(side.auths.len(), 0, code);
    }
    let mut side = Side::connected(CLIENT, V5);
    let now = side.now;
    run.acting(by_client).equal(side.as_client().reauthenticate(now, b"x"), nothing, "a client");
    run.acting(by_client).equal(side.as_client().authenticate(now, b"x"), nothing, "a client");
    run.acting(by_client).equal(side.said(), [""; 0], "a client");
}
