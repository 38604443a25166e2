//! Section 4.12: who may say AUTH when, in both roles, and what comes of it.

mod common;

use std::time::Duration;

use common::{
    Q1, VERSIONS, describe, lasting,
    lone::{Lone, Setup},
    publish,
};
use mqtt_session::{
    Accept, Client, ClientOptions, ClientState, CloseReason, CommandError, Instant, OptionsError,
    Server, ServerConfig, Session, Violation,
    proto::{ConnAck, Packet, PacketType, Properties, Property, ProtocolVersion, ReasonCode, Role},
};

use ProtocolVersion::{V5, V311};

const METHOD: &str = "SCRAM";
const SUCCESS: ReasonCode = ReasonCode::SUCCESS;
const CONTINUE: ReasonCode = ReasonCode::CONTINUE_AUTHENTICATION;
const AGAIN: ReasonCode = ReasonCode::RE_AUTHENTICATE;

/// Where a side may be when an AUTH comes or is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// A client without a connection, a server without a CONNECT.
    Idle,
    /// CONNECT named no method, and is not answered.
    PlainConnecting,
    /// CONNECT named no method, and was accepted.
    PlainConnected,
    /// The same in 3.1.1, which has no AUTH.
    OldConnected,
    /// CONNECT named a method, and the server is to speak.
    Begun,
    /// The server has challenged the client.
    Challenged,
    /// CONNECT was accepted.
    Connected,
    /// The client asked for another authentication.
    BegunAgain,
    /// And the server has challenged it.
    ChallengedAgain,
    /// The connection has ended, but was not closed.
    Closing,
}

use At::{
    Begun, BegunAgain, Challenged, ChallengedAgain, Closing, Connected, Idle, OldConnected,
    PlainConnected, PlainConnecting,
};

/// AUTH as it is on the wire, legal or not.
fn auth(reason: ReasonCode, method: Option<&str>) -> Vec<u8> {
    let method = method
        .map_or(Vec::new(), |method| [&[0x15, 0, method.len() as u8], method.as_bytes()].concat());
    let len = method.len() as u8;
    [&[0xf0, len + 2, reason.get(), len], &method[..]].concat()
}

fn lone(role: Role, at: At) -> Lone {
    let method = match at {
        Idle | PlainConnecting | PlainConnected | OldConnected => None,
        _ => Some(Property::AuthenticationMethod(METHOD)),
    };
    let setup = Setup::new(role, if at == OldConnected { V311 } else { V5 });
    let setup = match (role, method) {
        (_, None) => setup,
        (Role::Client, Some(method)) => {
            setup.told(&[method]).options(|options| options.authentication(METHOD, "first"))
        }
        (Role::Server, Some(method)) => setup.told(&[method]),
    };
    let mut lone = setup.build();
    match at {
        Idle if role == Role::Server => lone.open(),
        Idle => {}
        PlainConnecting | Begun => open(&mut lone),
        Challenged => {
            open(&mut lone);
            challenge(&mut lone);
        }
        PlainConnected | OldConnected | Connected => lone.connect(),
        BegunAgain | ChallengedAgain => {
            lone.connect();
            begin_again(&mut lone);
            if at == ChallengedAgain {
                challenge(&mut lone);
            }
        }
        Closing => {
            lone.connect();
            let now = lone.now;
            match role {
                Role::Client => lone.client.disconnect(now, SUCCESS),
                Role::Server => drop(lone.server().close(now, SUCCESS)),
            }
            lone.act();
        }
    }
    lone.said();
    lone.auths.clear();
    lone
}

/// CONNECT has come or was sent.
fn open(lone: &mut Lone) {
    lone.open();
    if !lone.is_client() {
        lone.hear(&lone.connect_packet());
    }
}

fn challenge(lone: &mut Lone) {
    if lone.is_client() {
        lone.hear_bytes(&auth(CONTINUE, Some(METHOD)));
    } else {
        let now = lone.now;
        lone.server().challenge(now, b"more?").expect("it is the server's turn");
    }
}

fn begin_again(lone: &mut Lone) {
    if lone.is_client() {
        lone.client.reauthenticate(lone.now, b"again").expect("it is nobody's turn");
    } else {
        lone.hear_bytes(&auth(AGAIN, Some(METHOD)));
    }
}

/// What becomes of an AUTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    /// The application hears of it.
    Heard,
    /// It is not legal now.
    Unexpected,
    /// It names another method, or none.
    OtherMethod,
    /// The decoder refuses it.
    Malformed,
    /// Nothing is read any more.
    Ignored,
}

use Becomes::{Heard, Ignored, Malformed, OtherMethod, Unexpected};

/// Every AUTH there is, in every state. The reasons are those that the other side may send at all;
/// the columns are the method of CONNECT, another one, and none.
#[test]
fn every_auth_in_every_state_of_either_role() {
    use Role::{Client, Server};
    fn check(role: Role, at: At, reason: ReasonCode, expected: [Becomes; 3]) {
        for (method, expected) in [Some(METHOD), Some("PLAIN"), None].into_iter().zip(expected) {
            let told = format!("{role:?} {at:?} {reason:?} {method:?}");
            let mut lone = lone(role, at);
            let before = lone.closed.clone();
            lone.hear_bytes(&auth(reason, method));
            let unexpected = Violation::UnexpectedPacket(PacketType::Auth);
            let (heard, closed) = match expected {
                Heard => (true, None),
                Ignored => (false, before),
                Unexpected => (false, Some(CloseReason::Violation(unexpected))),
                OtherMethod => {
                    (false, Some(CloseReason::Violation(Violation::AuthenticationMethod)))
                }
                Malformed => {
                    assert!(matches!(lone.closed, Some(CloseReason::Malformed(_))), "{told}");
                    (false, lone.closed.clone())
                }
            };
            assert_eq!(lone.closed, closed, "{told}");
            let expected_auths = if heard {
                vec![(reason, method.map(str::to_owned), Vec::new())]
            } else {
                Vec::new()
            };
            assert_eq!(lone.auths, expected_auths, "{told}");
            assert_eq!(lone.said(), goodbye(role, at, reason, expected), "{told}");
            assert_eq!(lone.is_connected(), heard && !matches!(at, Begun | Challenged), "{told}");
        }
    }
    /// The last words of a side that was told something illegal.
    fn goodbye(role: Role, at: At, reason: ReasonCode, becomes: Becomes) -> Vec<String> {
        // A reason that the other side never has is no AUTH at all.
        let never = match role {
            Client => reason == AGAIN,
            Server => reason == SUCCESS,
        };
        let code = if becomes == Malformed && never { "0x81" } else { "0x82" };
        match (role, at, becomes) {
            (_, _, Heard | Ignored) => Vec::new(),
            // 3.1.1 has no word for it, and who has said its last word has none.
            (_, OldConnected | Closing, _) => Vec::new(),
            // Nobody is told why who has not said CONNECT, or not been answered.
            (Server, Idle | PlainConnecting | Begun, _) => Vec::new(),
            (Server, Challenged, _) => vec![format!("CONNACK {code}")],
            _ => vec![format!("DISCONNECT {code}")],
        }
    }
    const NEVER: [Becomes; 3] = [Unexpected, Unexpected, Malformed];
    for at in [PlainConnecting, PlainConnected, Challenged, Connected, ChallengedAgain] {
        check(Client, at, SUCCESS, [Unexpected; 3]);
        check(Client, at, CONTINUE, NEVER);
    }
    check(Client, Begun, SUCCESS, [Unexpected; 3]);
    check(Client, Begun, CONTINUE, [Heard, OtherMethod, Malformed]);
    check(Client, BegunAgain, SUCCESS, [Heard, OtherMethod, Heard]);
    check(Client, BegunAgain, CONTINUE, [Heard, OtherMethod, Malformed]);
    for at in [PlainConnected, Begun, Challenged, Connected, BegunAgain, ChallengedAgain] {
        check(Client, at, AGAIN, [Malformed; 3]);
    }
    for reason in [SUCCESS, CONTINUE, AGAIN] {
        check(Client, OldConnected, reason, [Malformed; 3]);
        check(Server, OldConnected, reason, [Malformed; 3]);
        check(Client, Closing, reason, [Ignored; 3]);
        check(Server, Idle, reason, [Malformed; 3]);
    }

    for at in [PlainConnecting, Begun, PlainConnected, BegunAgain] {
        check(Server, at, CONTINUE, NEVER);
        check(Server, at, AGAIN, NEVER);
    }
    check(Server, Challenged, CONTINUE, [Heard, OtherMethod, Malformed]);
    check(Server, Challenged, AGAIN, NEVER);
    check(Server, Connected, CONTINUE, NEVER);
    check(Server, Connected, AGAIN, [Heard, OtherMethod, Malformed]);
    check(Server, ChallengedAgain, CONTINUE, [Heard, OtherMethod, Malformed]);
    check(Server, ChallengedAgain, AGAIN, NEVER);
    for at in [PlainConnecting, Begun, Challenged, Connected, BegunAgain, ChallengedAgain] {
        check(Server, at, SUCCESS, [Malformed; 3]);
    }
    check(Server, Closing, CONTINUE, [Ignored, Ignored, Malformed]);
    check(Server, Closing, AGAIN, [Ignored, Ignored, Malformed]);
}

/// What the application may say when; whatever is out of turn changes nothing.
#[test]
fn every_command_in_every_state_of_either_role() {
    type Command = fn(&mut Lone) -> Result<(), CommandError>;
    fn check(role: Role, name: &str, command: Command, table: &[(At, Result<&str, CommandError>)]) {
        for (at, expected) in table {
            let told = format!("{role:?} {at:?} {name}");
            let mut lone = lone(role, *at);
            let before = format!("{:?} {:?}", lone.client, lone.server);
            let result = command(&mut lone);
            let packets = lone.packets();
            match expected {
                Ok(said) => {
                    assert_eq!(result, Ok(()), "{told}");
                    let [packet] = &packets[..] else { panic!("{told}: {packets:?}") };
                    assert_eq!(in_words(packet), *said, "{told}");
                    let again = command(&mut lone);
                    assert!(again.is_err(), "{told}: it is the other side's turn");
                    assert_eq!(lone.said(), [""; 0], "{told}");
                }
                Err(error) => {
                    assert_eq!(result, Err(*error), "{told}");
                    assert_eq!(packets, [], "{told}");
                    let after = format!("{:?} {:?}", lone.client, lone.server);
                    assert_eq!(after, before, "{told}");
                }
            }
            assert_eq!(lone.auths, [], "{told}");
        }
    }
    let nothing = Err(CommandError::NothingToAnswer);
    let unconnected = Err(CommandError::NotConnected);

    let authenticate: Command = |lone| lone.client.authenticate(lone.now, b"x");
    check(
        Role::Client,
        "authenticate",
        authenticate,
        &[
            (Idle, unconnected),
            (PlainConnecting, nothing),
            (PlainConnected, nothing),
            (OldConnected, nothing),
            (Begun, nothing),
            (Challenged, Ok("AUTH 0x18 SCRAM x")),
            (Connected, nothing),
            (BegunAgain, nothing),
            (ChallengedAgain, Ok("AUTH 0x18 SCRAM x")),
            (Closing, unconnected),
        ],
    );
    let reauthenticate: Command = |lone| lone.client.reauthenticate(lone.now, b"x");
    check(
        Role::Client,
        "reauthenticate",
        reauthenticate,
        &[
            (Idle, unconnected),
            (PlainConnecting, unconnected),
            (PlainConnected, nothing),
            (OldConnected, nothing),
            (Begun, unconnected),
            (Challenged, unconnected),
            (Connected, Ok("AUTH 0x19 SCRAM x")),
            (BegunAgain, nothing),
            (ChallengedAgain, nothing),
            (Closing, unconnected),
        ],
    );
    let challenge: Command = |lone| {
        let now = lone.now;
        lone.server().challenge(now, b"x")
    };
    check(
        Role::Server,
        "challenge",
        challenge,
        &[
            (Idle, nothing),
            (PlainConnecting, nothing),
            (PlainConnected, nothing),
            (OldConnected, nothing),
            (Begun, Ok("AUTH 0x18 SCRAM x")),
            (Challenged, nothing),
            (Connected, nothing),
            (BegunAgain, Ok("AUTH 0x18 SCRAM x")),
            (ChallengedAgain, nothing),
            (Closing, nothing),
        ],
    );
    let authenticated: Command = |lone| {
        let now = lone.now;
        lone.server().authenticated(now, b"x")
    };
    check(
        Role::Server,
        "authenticated",
        authenticated,
        &[
            (Idle, unconnected),
            (PlainConnecting, unconnected),
            (PlainConnected, nothing),
            (OldConnected, nothing),
            (Begun, unconnected),
            (Challenged, unconnected),
            (Connected, nothing),
            (BegunAgain, Ok("AUTH 0x00 SCRAM x")),
            (ChallengedAgain, nothing),
            (Closing, unconnected),
        ],
    );
    let accept: Command = |lone| {
        let (now, data) = (lone.now, Some("x".into()));
        let accept = Accept { authentication_data: data, ..Accept::default() };
        lone.server().accept(now, Session::new(1), &accept, |_, _| {})
    };
    check(
        Role::Server,
        "accept",
        accept,
        &[
            (Idle, nothing),
            (PlainConnecting, Ok("CONNACK 0x00 - -")),
            (PlainConnected, nothing),
            (OldConnected, nothing),
            (Begun, Ok("CONNACK 0x00 SCRAM x")),
            (Challenged, nothing),
            (Connected, nothing),
            (BegunAgain, nothing),
            (ChallengedAgain, nothing),
            (Closing, nothing),
        ],
    );
}

/// AUTH or CONNACK: its reason, method and data.
fn in_words(packet: &Packet<bytes::Bytes>) -> String {
    let (reason, properties) = match packet {
        Packet::Auth(auth) => (auth.reason, &auth.properties),
        Packet::ConnAck(connack) => (connack.reason, &connack.properties),
        packet => return describe(packet),
    };
    let method = properties.authentication_method().unwrap_or("-");
    let data = properties.authentication_data().map(String::from_utf8_lossy);
    let data = data.as_deref().unwrap_or("-");
    format!("{} {:#04x} {method} {data}", packet.packet_type().name(), reason.get())
}

/// Moves what each side has to say to the other, until both are silent: the whole conversation.
fn talk(client: &mut Lone, server: &mut Lone) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        let (up, down) = (client.packets(), server.packets());
        if up.is_empty() && down.is_empty() {
            return said;
        }
        for packet in up {
            said.push(format!("> {}", in_words(&packet)));
            server.hear(&packet);
        }
        for packet in down {
            said.push(format!("< {}", in_words(&packet)));
            client.hear(&packet);
        }
    }
}

fn two() -> (Lone, Lone) {
    let method = Property::AuthenticationMethod(METHOD);
    let client = Setup::new(Role::Client, V5)
        .options(|options| options.authentication(METHOD, "client-first"));
    let mut client = client.build();
    let mut server = Setup::new(Role::Server, V5).told(&[method]).build();
    client.open();
    server.open();
    (client, server)
}

#[test]
fn a_connect_is_accepted_after_as_many_steps_as_the_method_has() {
    for steps in 0..4 {
        let (mut client, mut server) = two();
        let mut expected = vec!["> CONNECT resume".to_owned()];
        assert_eq!(talk(&mut client, &mut server), expected);
        for step in 0..steps {
            let now = server.now;
            server.server().challenge(now, format!("s{step}").as_bytes()).expect("its turn");
            expected = vec![format!("< AUTH 0x18 SCRAM s{step}")];
            assert_eq!(talk(&mut client, &mut server), expected);
            let heard = (CONTINUE, Some(METHOD.to_owned()), format!("s{step}").into_bytes());
            assert_eq!(client.auths.pop(), Some(heard));
            client.client.authenticate(now, format!("c{step}").as_bytes()).expect("its turn");
            expected = vec![format!("> AUTH 0x18 SCRAM c{step}")];
            assert_eq!(talk(&mut client, &mut server), expected);
            let heard = (CONTINUE, Some(METHOD.to_owned()), format!("c{step}").into_bytes());
            assert_eq!(server.auths.pop(), Some(heard));
        }
        let data = Some("server-final".into());
        let accept = Accept { authentication_data: data, ..Accept::default() };
        let now = server.now;
        server.server().accept(now, Session::new(1), &accept, |_, _| {}).expect("a CONNECT");
        assert_eq!(talk(&mut client, &mut server), ["< CONNACK 0x00 SCRAM server-final"]);
        assert!(client.is_connected() && server.is_connected());
    }
}

#[test]
fn messages_go_on_while_the_client_authenticates_again() {
    // [MQTT-4.12.1-1]: as often as the client likes, and nothing is interrupted.
    let (mut client, mut server) = two();
    talk(&mut client, &mut server);
    server.accept();
    talk(&mut client, &mut server);
    for _ in 0..2 {
        let now = client.now;
        client.client.reauthenticate(now, b"c1").expect("nobody's turn");
        client.publish(Q1, "up");
        let up = ["> AUTH 0x19 SCRAM c1", "> PUBLISH 1 q1 up"];
        assert_eq!(talk(&mut client, &mut server), up);
        server.server().challenge(now, b"s1").expect("the server's turn");
        server.publish(Q1, "down");
        server.acknowledge(server.last_receipt(), SUCCESS).expect("it is owed");
        assert_eq!(
            talk(&mut client, &mut server),
            ["< AUTH 0x18 SCRAM s1", "< PUBLISH 1 q1 down", "< PUBACK 1"]
        );
        client.client.authenticate(now, b"c2").expect("the client's turn");
        client.acknowledge(client.last_receipt(), SUCCESS).expect("it is owed");
        assert_eq!(talk(&mut client, &mut server), ["> AUTH 0x18 SCRAM c2", "> PUBACK 1"]);
        server.server().authenticated(now, b"s2").expect("the server's turn");
        assert_eq!(talk(&mut client, &mut server), ["< AUTH 0x00 SCRAM s2"]);
        let heard = (SUCCESS, Some(METHOD.to_owned()), b"s2".to_vec());
        assert_eq!(client.auths.last(), Some(&heard));
        assert_eq!((&client.closed, &server.closed), (&None, &None));
    }
}

#[test]
fn a_connack_names_the_method_of_connect_and_no_other() {
    // [MQTT-4.12.0-5] [MQTT-4.12.0-6]: the method of CONNECT, that of CONNACK, whether it is
    // accepted.
    fn check(asked: Option<&str>, said: Option<&'static str>, accepted: bool) {
        let mut setup = Setup::new(Role::Client, V5);
        if let Some(method) = asked {
            setup = setup.options(|options| options.authentication(method, ""));
        }
        let mut client = setup.build();
        client.open();
        client.said();
        let properties = Properties::new(said.map(Property::AuthenticationMethod));
        let connack = ConnAck::accepted(false).with_properties(properties.expect("legal"));
        client.hear(&Packet::ConnAck(connack));
        let violation = CloseReason::Violation(Violation::AuthenticationMethod);
        assert_eq!(client.closed, (!accepted).then_some(violation), "{asked:?} {said:?}");
        assert_eq!(client.connacks.len(), usize::from(accepted), "{asked:?} {said:?}");
        let goodbye: &[&str] = if accepted { &[] } else { &["DISCONNECT 0x82"] };
        assert_eq!(client.said(), goodbye, "{asked:?} {said:?}");
    }
    check(None, None, true);
    check(None, Some("SCRAM"), false);
    check(Some("SCRAM"), Some("SCRAM"), true);
    check(Some("SCRAM"), Some("PLAIN"), false);
    check(Some("SCRAM"), None, false);
}

#[test]
fn a_connect_may_be_accepted_or_refused_at_every_step() {
    // A server that says CONNACK while the client is to speak has heard enough.
    for at in [Begun, Challenged] {
        let mut client = lone(Role::Client, at);
        let method = Properties::new([Property::AuthenticationMethod(METHOD)]).expect("legal");
        client.hear(&Packet::ConnAck(ConnAck::accepted(false).with_properties(method)));
        assert!(client.is_connected(), "{at:?}");
        let late = client.client.authenticate(client.now, b"x");
        assert_eq!(late, Err(CommandError::NothingToAnswer), "{at:?}");
        client.client.reauthenticate(client.now, b"x").expect("nobody's turn");
    }
    for (at, code) in [
        (Begun, ReasonCode::BAD_AUTHENTICATION_METHOD),
        (Begun, ReasonCode::NOT_AUTHORIZED),
        (Challenged, ReasonCode::NOT_AUTHORIZED),
    ] {
        let mut server = lone(Role::Server, at);
        let now = server.now;
        assert_eq!(server.server().reject(now, code), CloseReason::Refused(code));
        assert_eq!(server.said(), [format!("CONNACK {:#04x}", code.get())], "{at:?}");
        let mut client = lone(Role::Client, at);
        client.hear(&Packet::ConnAck(ConnAck::refused(code)));
        assert_eq!(client.closed, Some(CloseReason::Refused(code)), "{at:?}");
    }
}

#[test]
fn a_failed_authentication_ends_the_connection_with_its_code() {
    // [MQTT-4.12.1-2]: by either side, while a re-authentication is under way.
    for at in [BegunAgain, ChallengedAgain] {
        let code = ReasonCode::NOT_AUTHORIZED;
        let mut server = lone(Role::Server, at);
        let now = server.now;
        assert_eq!(server.server().close(now, code), CloseReason::Requested(code));
        assert_eq!(server.said(), ["DISCONNECT 0x87"]);
        // A client has no such code.
        let mut client = lone(Role::Client, at);
        client.client.disconnect(client.now, code);
        assert_eq!(client.said(), ["DISCONNECT 0x82"]);
        let mut client = lone(Role::Client, at);
        client.client.disconnect(client.now, ReasonCode::BAD_AUTHENTICATION_METHOD);
        assert_eq!(client.said(), ["DISCONNECT 0x8c"]);
    }
}

#[test]
fn an_exchange_dies_with_its_connection() {
    for at in [Begun, Challenged, BegunAgain, ChallengedAgain] {
        let mut client = lone(Role::Client, at);
        client.cut();
        client.connect();
        client.said();
        let late = client.client.authenticate(client.now, b"x");
        assert_eq!(late, Err(CommandError::NothingToAnswer), "{at:?}");
        client.client.reauthenticate(client.now, b"x").expect("nobody's turn");
    }
}

#[test]
fn only_auth_and_disconnect_come_before_connack() {
    // [MQTT-3.1.2-30], after a challenge.
    for packet in [Packet::PingReq, publish(Q1, 1, "x")] {
        let mut server = lone(Role::Server, Challenged);
        server.hear(&packet);
        let violation = Violation::UnexpectedPacket(packet.packet_type());
        assert_eq!(server.closed, Some(CloseReason::Violation(violation)));
        assert_eq!(server.said(), ["CONNACK 0x82"]);
        assert_eq!(server.delivered, []);
    }
    let mut server = lone(Role::Server, Challenged);
    server.hear_bytes(&[0xe0, 0]);
    assert_eq!(server.closed, Some(CloseReason::Disconnected(SUCCESS)));
    assert_eq!(server.said(), [""; 0]);
}

#[test]
fn no_step_puts_the_end_of_the_handshake_off() {
    let timeout = Duration::from_secs(10);
    let step = Duration::from_secs(6);
    for role in [Role::Client, Role::Server] {
        let mut lone = lone(role, Begun);
        lone.pass(step);
        challenge(&mut lone);
        assert_eq!(lone.deadline(), Some(Instant::ZERO + timeout), "{role:?}");
        if role == Role::Server {
            lone.hear_bytes(&auth(CONTINUE, Some(METHOD)));
            assert_eq!(lone.deadline(), None, "the broker is to speak");
            lone.pass(step);
            challenge(&mut lone);
            assert_eq!(lone.deadline(), Some(Instant::ZERO + timeout), "and has none left");
        }
        lone.pass(step);
        lone.timeout();
        assert_eq!(lone.closed, Some(CloseReason::ConnectTimeout), "{role:?}");
        assert_eq!(lone.deadline(), None, "{role:?}");
    }
}

#[test]
fn authentication_data_that_mqtt_cannot_carry_change_nothing() {
    let data = vec![b'x'; usize::from(u16::MAX) + 1];
    let error = Err(CommandError::AuthenticationData { size: data.len() });
    let fits = &data[..usize::from(u16::MAX)];

    let mut client = lone(Role::Client, Challenged);
    assert_eq!(client.client.authenticate(client.now, &data), error);
    assert_eq!(client.client.authenticate(client.now, fits), Ok(()));
    let mut client = lone(Role::Client, Connected);
    assert_eq!(client.client.reauthenticate(client.now, &data), error);
    assert_eq!(client.client.reauthenticate(client.now, fits), Ok(()));

    for at in [Begun, BegunAgain] {
        let mut server = lone(Role::Server, at);
        let now = server.now;
        assert_eq!(server.server().challenge(now, &data), error);
        assert_eq!(server.server().challenge(now, fits), Ok(()));
    }
    let mut server = lone(Role::Server, BegunAgain);
    let now = server.now;
    assert_eq!(server.server().authenticated(now, &data), error);
    assert_eq!(server.server().authenticated(now, fits), Ok(()));
}

#[test]
fn authentication_data_that_connack_cannot_carry_are_refused_and_not_left_out() {
    let data = vec![b'x'; usize::from(u16::MAX) + 1];
    let mut server = lone(Role::Server, Begun);
    let now = server.now;
    let accept = |len: usize| {
        let data = Some(data[..len].to_vec().into());
        Accept { authentication_data: data, ..Accept::default() }
    };
    let (large, fits) = (accept(data.len()), accept(data.len() - 1));
    let accepted = server.server().accept(now, Session::new(1), &large, |_, _| {});
    assert_eq!(accepted, Err(CommandError::AuthenticationData { size: data.len() }));
    assert!(!server.server().can_accept(&large));
    assert_eq!(server.said(), [""; 0]);
    assert!(server.server().can_accept(&fits));
    assert_eq!(server.server().accept(now, Session::new(1), &fits, |_, _| {}), Ok(()));
}

#[test]
fn an_auth_above_the_peers_maximum_packet_size_is_not_sent() {
    // Its turn is not over then.
    const SMALL: Property<'static> = Property::MaximumPacketSize(40);
    let (data, fits) = ([b'x'; 30], [b'x'; 1]);
    let error = Err(CommandError::PacketTooLarge { size: 45, limit: 40 });

    let method = Property::AuthenticationMethod(METHOD);
    let setup = Setup::new(Role::Client, V5).told(&[method, SMALL]);
    let mut client = setup.options(|options| options.authentication(METHOD, "")).connected();
    assert_eq!(client.client.reauthenticate(client.now, &data), error);
    assert_eq!(client.client.reauthenticate(client.now, &fits), Ok(()));

    let mut server = Setup::new(Role::Server, V5).told(&[method, SMALL]).build();
    open(&mut server);
    let now = server.now;
    assert_eq!(server.server().challenge(now, &data), error);
    assert_eq!(server.server().challenge(now, &fits), Ok(()));
}

#[test]
fn authentication_is_asked_for_in_connect_and_only_in_5_0() {
    let options = lasting(V5).authentication(METHOD, "first");
    let mut client = Client::new(options).expect("legal");
    client.handle_connected(Instant::ZERO);
    let mut decoder = mqtt_session::proto::Decoder::awaiting_connect();
    let bytes = bytes::Buf::chunk(client.transmit()).to_vec();
    let status = decoder.decode(&bytes).expect("a packet");
    let mqtt_session::proto::Status::Ready((Packet::Connect(connect), _)) = status else {
        panic!("a CONNECT");
    };
    let properties = connect.fields().properties;
    assert_eq!(properties.authentication_method(), Some(METHOD));
    assert_eq!(properties.authentication_data(), Some(&b"first"[..]));

    let old = Client::new(ClientOptions::new("c").version(V311).authentication(METHOD, ""));
    let error = old.expect_err("3.1.1 has no AUTH");
    assert_eq!(error, OptionsError::NotInV311("enhanced authentication"));
    assert_eq!(
        lasting(V5).authentication(METHOD, "").for_adapter().err(),
        Some(OptionsError::NeedsDriver("enhanced authentication"))
    );
}

#[test]
fn a_closing_side_reads_no_auth() {
    for version in VERSIONS {
        let mut client = Setup::new(Role::Client, version).connected();
        client.client.disconnect(client.now, SUCCESS);
        assert_eq!(client.client.state(), ClientState::Closing);
        assert!(!client.client.wants_input());
        let mut server = Server::new(ServerConfig::default(), Instant::ZERO);
        server.close(Instant::ZERO, SUCCESS);
        assert!(!server.wants_input());
    }
}
