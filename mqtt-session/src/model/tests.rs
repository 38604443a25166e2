//! What is searched, and that the search sees.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;
use std::{env, println, sync::Mutex, thread};

use bytes::Bytes;
use mqtt_proto::{
    Ack, ConnAck, Delivery, Packet, PacketId, PacketRef, Properties, ProtocolVersion, Publication,
    Publish, QoS, ReasonCode, TopicName,
};

use super::{
    cells::{self, Answer, Cell},
    check::{Counterexample, Report, explore},
    ledger::TOPIC,
    setup::{Bounds, Setup},
    world::World,
};
use crate::{
    Client, ClientOptions, Instant,
    qos::transition::{
        AckInput, PublishStep, ReceiveState, SendState, SendStep, Verdict, VerdictStep,
    },
};

/// A name, and how it differs from the plainest.
type Row = (&'static str, fn(&mut Setup));

/// Each for both directions, both versions, QoS 1 and QoS 2.
const ROWS: [Row; 11] = [
    ("cuts and crashes", |_| {}),
    ("takeover", |setup| setup.takeover = true),
    ("Receive Maximum 1", |setup| setup.window = 1),
    ("keep alive", |setup| (setup.keep_alive, setup.bounds.crashes) = (10, 0)),
    ("late answers", |setup| setup.automatic = false),
    ("refusals", |setup| {
        setup.automatic = false;
        setup.bounds.crashes = 0;
        setup.bounds.refusals = if setup.version == ProtocolVersion::V5 { 2 } else { 0 };
    }),
    ("QoS 2, then QoS 1", |setup| {
        setup.takeover = true;
        setup.qos = [QoS::ExactlyOnce, QoS::AtLeastOnce];
    }),
    ("both directions", |setup| {
        let messages = setup.bounds.messages.iter().sum::<u8>();
        setup.bounds.messages = [messages - messages / 2, messages / 2];
        setup.takeover = true;
    }),
    ("sessions that end", |setup| (setup.lasts, setup.bounds.crashes) = (false, 0)),
    ("the server loses its session", |setup| {
        (setup.bounds.losses, setup.bounds.crashes) = (1, 0);
    }),
    ("acknowledgement time-out", |setup| {
        setup.ack_timeout = Some(Duration::from_secs(20));
        (setup.bounds.repeats, setup.bounds.crashes) = (1, 0);
    }),
];

fn searches(messages: u8, cuts: u8, crashes: u8) -> Vec<(&'static str, Setup)> {
    let mut all: Vec<(_, Setup)> = Vec::new();
    for (name, change) in ROWS {
        for messages in [[messages, 0], [0, messages]] {
            for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
                for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                    let mut setup = Setup {
                        version,
                        qos: [qos; 2],
                        lasts: true,
                        takeover: false,
                        automatic: true,
                        window: 10,
                        keep_alive: 0,
                        ack_timeout: None,
                        bounds: Bounds {
                            messages,
                            cuts,
                            crashes,
                            refusals: 0,
                            losses: 0,
                            repeats: 0,
                        },
                    };
                    change(&mut setup);
                    // What a client does by itself does not matter if it only publishes.
                    setup.automatic |= setup.bounds.messages[1] == 0;
                    if all.iter().all(|(_, other)| *other != setup) {
                        all.push((name, setup));
                    }
                }
            }
        }
    }
    all
}

/// A line of the table in `docs/MODEL.md`.
fn line(name: &str, setup: &Setup, report: &Report, time: Duration) -> String {
    let direction = match setup.bounds.messages {
        [_, 0] => "client to server",
        [0, _] => "server to client",
        _ => "both",
    };
    let version = if setup.version == ProtocolVersion::V5 { "5.0" } else { "3.1.1" };
    let qos = match setup.qos.map(|qos| qos.bits()) {
        [first, second] if first == second => format!("{first}"),
        [first, second] => format!("{first}, {second}"),
    };
    let Report { states, steps, depth } = report;
    format!(
        "| {name} | {direction} | {version} | {qos} | {states} | {steps} | {depth} | {time:.1?} |"
    )
}

/// Two at a time. What they found, and the cells that were asked for.
fn run(searches: Vec<(&'static str, Setup)>, most: usize) -> (Vec<Cell>, Vec<Counterexample>) {
    let (searches, found) =
        (Mutex::new(searches.into_iter()), Mutex::new((Vec::new(), Vec::new())));
    let next = || searches.lock().expect("nobody panics").next();
    let work = || {
        while let Some((name, setup)) = next() {
            cells::begin(None);
            #[expect(clippy::disallowed_methods, reason = "for people; nothing depends on it")]
            let start = std::time::Instant::now();
            let result = explore(World::new(setup), most);
            let mut found = found.lock().expect("nobody panics");
            found.0.extend(cells::begin(None));
            match result {
                Ok(report) => println!("{}", line(name, &setup, &report, start.elapsed())),
                Err(counterexample) => {
                    println!("{name}, {setup:?}\n{counterexample}");
                    found.1.push(*counterexample);
                }
            }
        }
    };
    thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    found.into_inner().expect("nobody panics")
}

/// Many more states than there are within the bounds of the tests.
const MOST: usize = 500_000;

#[test]
fn every_promise_is_kept_in_every_state() {
    let (asked, broken) = match env::var("MODEL") {
        Err(_) => run(searches(2, 2, 1), MOST),
        Ok(bounds) => {
            let bounds: Vec<u8> = bounds.split(',').map(|n| n.parse().expect("numbers")).collect();
            let [messages, cuts, crashes] = bounds[..] else {
                panic!("MODEL=messages,cuts,crashes")
            };
            run(searches(messages, cuts, crashes), usize::MAX)
        }
    };
    assert!(broken.is_empty(), "see above");
    for cell in Cell::all() {
        let reached = !BY_A_WRONG_PEER.contains(&cell) && !is_never_asked(cell);
        assert_eq!(asked.contains(&cell), reached, "{cell:?}");
    }
}

/// Cells that two peers that keep to the protocol do not ask for.
const BY_A_WRONG_PEER: [Cell; 9] = [
    Cell::Ack(None, AckInput::PubRecError),
    Cell::Ack(Some(SendState::AwaitPubAck), AckInput::PubRec),
    Cell::Ack(Some(SendState::AwaitPubAck), AckInput::PubRecError),
    Cell::Ack(Some(SendState::AwaitPubAck), AckInput::PubComp),
    Cell::Ack(Some(SendState::AwaitPubRec), AckInput::PubAck),
    Cell::Ack(Some(SendState::AwaitPubRec), AckInput::PubComp),
    Cell::Ack(Some(SendState::AwaitPubComp), AckInput::PubAck),
    Cell::Ack(Some(SendState::AwaitPubComp), AckInput::PubRecError),
    Cell::PubRel(Some(ReceiveState::OwePubRec)),
];

/// Cells that nobody asks for: QoS 0 has no exchange, one QoS is not asked about the exchange of the
/// other, and only what is owed gets a verdict.
fn is_never_asked(cell: Cell) -> bool {
    use ReceiveState::{AwaitPubRel, OwePubAck, OwePubRec};
    match cell {
        Cell::Ack(..) => false,
        Cell::Publish(_, QoS::AtMostOnce) => true,
        Cell::Publish(state, QoS::AtLeastOnce) => matches!(state, Some(OwePubRec | AwaitPubRel)),
        Cell::Publish(state, QoS::ExactlyOnce) => state == Some(OwePubAck),
        Cell::Verdict(state, _) => matches!(state, None | Some(AwaitPubRel)),
        Cell::PubRel(state) => state == Some(OwePubAck),
    }
}

#[test]
fn a_peer_that_breaks_the_protocol_reaches_the_other_cells() {
    let ack = Ack::<&[u8]>::success(PacketId::MIN);
    let no = Ack::new(PacketId::MIN, ReasonCode::QUOTA_EXCEEDED);
    let [puback, pubrec, pubcomp] =
        [Packet::PubAck(ack), Packet::PubRec(ack), Packet::PubComp(ack)];
    cells::begin(None);
    // What the client has published, and what it was answered.
    let states: [(Option<QoS>, &[PacketRef<'_>]); 4] = [
        (None, &[]),
        (Some(QoS::AtLeastOnce), &[]),
        (Some(QoS::ExactlyOnce), &[]),
        (Some(QoS::ExactlyOnce), core::slice::from_ref(&pubrec)),
    ];
    for (qos, answers) in states {
        for packet in [&puback, &pubrec, &Packet::PubRec(no), &pubcomp] {
            let mut client = connected();
            if let Some(qos) = qos {
                client.publish(Instant::ZERO, message().with_qos(qos)).expect("room");
            }
            for packet in answers.iter().chain([packet]) {
                assert!(client.handle_packet(Instant::ZERO, *packet).is_none());
            }
        }
    }
    let delivery = Delivery::ExactlyOnce { id: PacketId::MIN, dup: false };
    let Publication { retain, message, .. } = message();
    let mut client = connected();
    let publish = Packet::Publish(Publish { delivery, retain, message });
    assert!(client.handle_packet(Instant::ZERO, publish).is_some());
    assert!(client.handle_packet(Instant::ZERO, Packet::PubRel(ack)).is_none());
    let asked = cells::begin(None);
    assert!(BY_A_WRONG_PEER.iter().all(|cell| asked.contains(cell)), "{asked:?}");
    assert!(!asked.into_iter().any(is_never_asked));
}

fn message() -> Publication<Bytes> {
    Publication::new(TopicName::try_from(TOPIC).expect("a topic name"), Bytes::new())
}

/// A client whose application does not answer what it is given.
fn connected() -> Client {
    let options = ClientOptions::new("c").manual_acknowledgement(true);
    let mut client = Client::new(options).expect("legal options");
    client.handle_connected(Instant::ZERO);
    let (reason, properties) = (ReasonCode::SUCCESS, Properties::<Bytes>::default());
    let connack = Packet::ConnAck(ConnAck { session_present: false, reason, properties });
    assert!(client.handle_packet(Instant::ZERO, connack).is_none());
    client
}

/// Each cell that correct peers ask for, with each answer that the table does not give.
#[test]
fn another_answer_in_any_cell_breaks_a_promise() {
    let searches = [searches(1, 1, 0), searches(2, 1, 0)].concat();
    let cells = Cell::all().into_iter().filter(|cell| !BY_A_WRONG_PEER.contains(cell));
    for cell in cells.filter(|cell| !is_never_asked(*cell)) {
        for wrong in cell.wrong_answers() {
            let broken = searches.iter().find_map(|(_, setup)| {
                cells::begin(Some((cell, wrong)));
                explore(World::new(*setup), MOST).err()
            });
            assert_eq!(broken.is_none(), is_as_good(cell, wrong), "{cell:?}: {wrong:?}");
        }
    }
    cells::begin(None);
}

/// Wrong answers from which the same comes.
fn is_as_good(cell: Cell, wrong: Answer) -> bool {
    use PublishStep::{DeliverOwePubAck, DeliverOwePubRec, PubRecAgain};
    use ReceiveState::OwePubRec;
    use SendStep::{ReleaseAgain, ReleaseUnknown};
    match (cell, wrong) {
        // The same PUBREL in 3.1.1, and correct peers of 5.0 do not come here.
        (Cell::Ack(None, AckInput::PubRec), Answer::Ack(step)) => step == ReleaseAgain,
        (Cell::Ack(Some(SendState::AwaitPubComp), AckInput::PubRec), Answer::Ack(step)) => {
            step == ReleaseUnknown
        }
        // What is owed follows from the QoS.
        (Cell::Publish(None, _), Answer::Publish(DeliverOwePubAck | DeliverOwePubRec)) => true,
        // A PUBREC that is owed is sent once.
        (Cell::Publish(Some(OwePubRec), _), Answer::Publish(step)) => step == PubRecAgain,
        // What is said follows from the QoS, and only whether it is held from the verdict.
        (Cell::Verdict(Some(OwePubRec), Verdict::Accepted), _) => false,
        (Cell::Verdict(..), Answer::Verdict(step)) => step != VerdictStep::HoldPubRec,
        // Whether an identifier was found is for people.
        (Cell::PubRel(None), _) => true,
        _ => false,
    }
}

#[test]
fn a_broken_promise_is_shown_on_the_shortest_way() {
    // PUBREC is sent and the identifier not held.
    let cell = Cell::Verdict(Some(ReceiveState::OwePubRec), Verdict::Accepted);
    cells::begin(Some((cell, Answer::Verdict(VerdictStep::PubRec))));
    let (name, setup) = searches(1, 1, 0)[1];
    assert_eq!((name, setup.version), ("cuts and crashes", ProtocolVersion::V311));
    let found = explore(World::new(setup), MOST).err().expect("it breaks a promise");
    cells::begin(None);
    let found = found.to_string();
    // Without the packets, and what was written down.
    let steps: Vec<_> = found.lines().filter(|line| !line.starts_with("      ")).collect();
    assert_eq!(
        steps,
        [
            "  1 Connect",
            "  2 Publish(Client)",
            "  3 ToServer(0)",
            "  4 ToClient",
            "  5 ToServer(0)",
            "  6 Accept(Server, 0)",
            "  7 Cut",
            "  8 Connect",
            "  9 ToServer(0)",
            " 10 ToClient",
            " 11 ToServer(0)",
            "broken: exactly once: message 0",
        ],
        "{found}"
    );
}
