//! Random scripts of both sides publishing, packets arriving, connections breaking, sessions being
//! forgotten, processes ending and time passing.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_session::{
    Accept, Client, ClientAction, ClientDriver, DriverAction, Instant, JournalEntry, Request,
    Server, ServerAction, ServerConfig, Session,
    proto::{Ack, Packet, PacketId, ProtocolVersion, QoS, Role, Status},
};
use proptest::prelude::*;

use crate::{
    common::{Q0, Q1, Q2, connack, expiring, id, lasting, publish},
    world::{Answers, LIMIT, Settings, World, message},
};

#[derive(Clone, Debug)]
enum Op {
    Publish { up: bool, qos: QoS, expiry: Option<u32> },
    Arrive { up: bool },
    Settle,
    Cut,
    Connect,
    Forget,
    Restart(Role),
    Pass(Duration),
}

fn op() -> impl Strategy<Value = Op> {
    let qos = prop_oneof![1 => Just(Q0), 2 => Just(Q1), 3 => Just(Q2)];
    let expiry = prop_oneof![3 => Just(None), 1 => (0..20u32).prop_map(Some)];
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    prop_oneof![
        12 => (any::<bool>(), qos, expiry)
            .prop_map(|(up, qos, expiry)| Op::Publish { up, qos, expiry }),
        30 => any::<bool>().prop_map(|up| Op::Arrive { up }),
        2 => Just(Op::Settle),
        3 => Just(Op::Cut),
        6 => Just(Op::Connect),
        1 => Just(Op::Forget),
        2 => role.prop_map(Op::Restart),
        2 => (1..15_000u64).prop_map(|millis| Op::Pass(Duration::from_millis(millis))),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let version = prop_oneof![Just(ProtocolVersion::V311), Just(ProtocolVersion::V5)];
    let answers =
        prop_oneof![Just(Answers::Automatic), Just(Answers::Manual), Just(Answers::Backwards)];
    (version, 1..5u16, answers).prop_map(|(version, window, answers)| Settings {
        version,
        window,
        answers,
    })
}

fn perform(world: &mut World, op: &Op, number: usize) {
    let text = number.to_string();
    let died = world.perform(|world| match *op {
        Op::Publish { up, qos, expiry } => {
            let expiry = expiry.filter(|_| world.settings.version == ProtocolVersion::V5);
            let publication = match expiry {
                Some(seconds) => expiring(qos, &text, seconds),
                None => message(qos, &text),
            };
            world.publish(up, publication)
        }
        Op::Arrive { up } => world.arrive(up).map(drop),
        Op::Settle => world.settle(),
        Op::Cut => world.cut(),
        Op::Connect => world.connect(),
        Op::Forget => world.forget(),
        Op::Restart(role) => {
            world.restart(role);
            Ok(())
        }
        Op::Pass(time) => {
            world.pass(time);
            world.timeout()
        }
    });
    assert_eq!(died, None);
}

fn snapshot(session: &Session) -> Vec<JournalEntry> {
    session.snapshot().collect()
}

fn restore(journal: &[JournalEntry]) -> Session {
    let restored = Session::restore(LIMIT, journal.iter().cloned());
    restored.unwrap_or_else(|error| panic!("{error}: {journal:?}"))
}

/// What a connection begins with that goes on with this session.
fn resumed(role: Role, settings: Settings, now: Instant, session: Session) -> Vec<u8> {
    let Settings { version, window, .. } = settings;
    let options = lasting(version).max_in_flight(window).max_pending(LIMIT);
    let mut output = BytesMut::new();
    match role {
        Role::Client => {
            let options = options.clean_start(version == ProtocolVersion::V5);
            let options = match version {
                ProtocolVersion::V311 => options.clean_start(false),
                ProtocolVersion::V5 => options,
            };
            let present = session.is_present();
            let mut client = Client::with_session(options, session).expect("legal options");
            client.handle_connected(now);
            let mut src = BytesMut::new();
            connack(present, &[]).encode(version, &mut src).expect("encodable");
            client.handle_input(now, &mut src);
            while client.poll_action().is_some() {}
            output.extend_from_slice(client.transmit().chunk());
        }
        Role::Server => {
            let mut client = Client::new(options).expect("legal options");
            client.handle_connected(now);
            let mut src = BytesMut::from(client.transmit().chunk());
            let config = ServerConfig { max_in_flight: window, ..Default::default() };
            let mut server = Server::new(config, now);
            let Ok(Status::Ready(connect)) = server.decode_bytes(now, &mut src) else {
                panic!("no CONNECT");
            };
            let action = server.handle_packet(now, connect);
            assert!(matches!(action, Some(ServerAction::Connect(_))), "{action:?}");
            let accept = Accept { session_present: true, ..Accept::default() };
            server.accept(now, session, &accept, |_, _| {}).expect("a CONNECT awaits it");
            output.extend_from_slice(server.transmit().chunk());
        }
    }
    output.to_vec()
}

/// The same in every way that an application or a peer can tell.
fn assert_same(role: Role, settings: Settings, now: Instant, one: &Session, other: &Session) {
    assert_eq!(snapshot(one), snapshot(other), "{role:?}");
    assert_eq!(one.is_present(), other.is_present(), "{role:?}");
    assert_eq!(one.open(), other.open(), "{role:?}");
    assert!(one.received().iter().eq(other.received().iter()), "{role:?}");
    assert!(one.waiting().eq(other.waiting()), "{role:?}");
    for id in (1..=LIMIT + 1).filter_map(PacketId::new) {
        assert_eq!(one.send_state(id), other.send_state(id), "{role:?} {id}");
    }
    let bytes = |session: &Session| resumed(role, settings, now, session.clone());
    assert_eq!(bytes(one), bytes(other), "{role:?}");
}

#[test]
fn a_message_that_was_held_back_is_sent_by_an_entry_of_its_own() {
    let now = Instant::ZERO;
    let options = lasting(ProtocolVersion::V5).max_transmit(1).journaled(true);
    let mut client = Client::new(options).expect("legal options");
    client.handle_connected(now);
    let connect = client.transmit().remaining();
    client.transmit().advance(connect);
    let mut src = BytesMut::new();
    connack(false, &[]).encode(ProtocolVersion::V5, &mut src).expect("encodable");
    client.handle_input(now, &mut src);
    let mut journal = Vec::new();
    // The buffer has room for one at a time, and nobody polls between the last two.
    for (text, writes) in [("a", true), ("b", false), ("c", true), ("d", false)] {
        client.publish(now, message(Q1, text)).expect("room");
        if !writes {
            while let Some(action) = client.poll_action() {
                if let ClientAction::Journal(entry) = action {
                    journal.push(entry);
                }
            }
        }
        let written = if writes { client.transmit().remaining() } else { 0 };
        client.transmit().advance(written);
    }
    assert_eq!(snapshot(&restore(&journal)), snapshot(client.session()));
    assert_eq!(client.session().waiting().count(), 1);
}

/// Entries, deliveries and ends of calls, in the order a driver gives them.
fn driven(driver: &mut ClientDriver<()>) -> Vec<&'static str> {
    let said = std::iter::from_fn(|| driver.poll_action()).filter_map(|action| match action {
        DriverAction::Journal(JournalEntry::Accepted { sent: true, .. }) => Some("sent"),
        DriverAction::Journal(JournalEntry::Released { .. }) => Some("released"),
        DriverAction::Journal(JournalEntry::Finished { .. }) => Some("finished"),
        DriverAction::Journal(JournalEntry::Held { .. }) => Some("held"),
        DriverAction::Journal(entry) => panic!("{entry:?}"),
        DriverAction::Deliver { .. } => Some("deliver"),
        DriverAction::Complete((), Ok(_)) => Some("complete"),
        DriverAction::Complete((), Err(error)) => panic!("{error}"),
        _ => None,
    });
    said.collect()
}

#[test]
fn a_driver_keeps_the_order_of_its_client() {
    let (now, version) = (Instant::ZERO, ProtocolVersion::V5);
    let session = restore(&[JournalEntry::SessionPresent]).journaled();
    let mut driver = ClientDriver::with_session(lasting(version), session, 1).expect("legal");
    driver.handle_connected(now);
    let receive = |driver: &mut ClientDriver<()>, packet: Packet<Bytes>| {
        let mut src = BytesMut::new();
        packet.encode(version, &mut src).expect("encodable");
        driver.handle_input(now, &mut src);
        driven(driver)
    };
    assert_eq!(receive(&mut driver, connack(true, &[])), [""; 0]);
    driver.request(now, Request::Publish(message(Q2, "a")), ());
    assert_eq!(driven(&mut driver), ["sent"]);
    let id = id(1);
    assert_eq!(receive(&mut driver, Packet::PubRec(Ack::success(id))), ["released"]);
    let ends = receive(&mut driver, Packet::PubComp(Ack::success(id)));
    assert_eq!(ends, ["finished", "complete"]);
    assert_eq!(receive(&mut driver, publish(Q2, 1, "b")), ["held", "deliver"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The world checks the order: of entries and actions, and of entries and bytes.
    #[test]
    fn a_journal_restores_the_session_that_wrote_it(
        settings in settings(),
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let mut world = World::new(settings).looking();
        for (number, op) in ops.iter().enumerate() {
            perform(&mut world, op, number);
            for (role, journal, session) in std::mem::take(&mut world.seen) {
                assert_same(role, settings, world.now, &restore(&journal), &session);
            }
        }
    }

    #[test]
    fn every_beginning_of_a_journal_is_one(
        settings in settings(),
        ops in prop::collection::vec(op(), 0..80),
    ) {
        let mut world = World::new(settings);
        for (number, op) in ops.iter().enumerate() {
            perform(&mut world, op, number);
        }
        let now = world.now;
        for role in [Role::Client, Role::Server] {
            let journal = &world.disk(role).journal;
            for len in 0..=journal.len() {
                let restored = restore(&journal[..len]);
                let snapshot = snapshot(&restored);
                assert_same(role, settings, now, &restored, &restore(&snapshot));
                // And none of its entries could be left out.
                for left_out in 0..snapshot.len() {
                    let mut shorter = snapshot.clone();
                    shorter.remove(left_out);
                    let other = Session::restore(LIMIT, shorter);
                    let same = other.is_ok_and(|other| other.snapshot().eq(snapshot.iter().cloned()));
                    prop_assert!(!same, "{snapshot:?} without {left_out}");
                }
            }
        }
    }
}
