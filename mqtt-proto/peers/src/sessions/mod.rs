//! The sessions of those that have one without input and output, and ours: a message from one side
//! of a connection to the other and back to rest, from bytes to bytes.
//!
//! All do the same. The message is made once, with the same topic name and payload, and cloned as
//! the library likes it best. A window of messages is sent before the first is read; then bytes go
//! to and fro until there are none, and it is checked that every message was delivered and, above
//! QoS 0, acknowledged to the end. Ours copies what it sends into the buffer that the other side
//! reads from, as a socket would; the others read where they wrote.

mod flowsdk;
mod mqtt_protocol_core;
mod ours;
mod rumqttc;

use crate::{Bench, Kind};

/// How many messages are in flight.
const WINDOW: usize = 100;
/// How many windows are sent in one run.
const ROUNDS: usize = 10;

const TOPIC: &str = "sensors/00001/status";
const PAYLOAD: [u8; 64] = [b'x'; 64];

/// Messages of one kind.
pub struct Case {
    pub name: &'static str,
    /// 4 is MQTT 3.1.1, 5 is MQTT 5.0.
    pub level: u8,
    pub qos: u8,
}

const fn case(name: &'static str, level: u8, qos: u8) -> Case {
    Case { name, level, qos }
}

pub const CASES: [Case; 6] = [
    case("v4_qos0", 4, 0),
    case("v4_qos1", 4, 1),
    case("v4_qos2", 4, 2),
    case("v5_qos0", 5, 0),
    case("v5_qos1", 5, 1),
    case("v5_qos2", 5, 2),
];

/// A session, or one of several ways to use it.
pub struct Peer {
    pub name: &'static str,
    pub kind: Kind,
    pub make: fn(&Case) -> Box<dyn Bench>,
}

const fn peer(name: &'static str, kind: Kind, make: fn(&Case) -> Box<dyn Bench>) -> Peer {
    Peer { name, kind, make }
}

/// All that can be measured, in the order of the tables.
pub const PEERS: [Peer; 8] = [
    peer("rumqttc/state", Kind::Floor, rumqttc::state),
    peer("rumqttc-next/state", Kind::Floor, rumqttc::next_state),
    peer("ours:borrowed", Kind::Owned, ours::make::<false>),
    peer("ours:owned", Kind::Owned, ours::make::<true>),
    peer("rumqttc", Kind::Owned, rumqttc::wire),
    peer("rumqttc-next", Kind::Owned, rumqttc::next_wire),
    peer("mqtt-protocol-core", Kind::Owned, mqtt_protocol_core::make),
    peer("flowsdk", Kind::Owned, flowsdk::make),
];

/// Both sides of a connection.
trait Connection: 'static {
    /// Sends the message once more; it is not read yet.
    fn publish(&mut self);

    /// Moves bytes until there are none.
    fn settle(&mut self) -> Seen;
}

/// What the application is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// To the receiver.
    delivered: usize,
    /// To the sender: the last acknowledgement of a message came.
    acknowledged: usize,
}

struct Session<C> {
    connection: C,
    expected: Seen,
}

fn session(case: &Case, connection: impl Connection) -> Box<dyn Bench> {
    let acknowledged = if case.qos == 0 { 0 } else { WINDOW };
    Box::new(Session { connection, expected: Seen { delivered: WINDOW, acknowledged } })
}

impl<C: Connection> Bench for Session<C> {
    fn prepare(&mut self) {}

    fn run(&mut self) -> usize {
        for _ in 0..ROUNDS {
            for _ in 0..WINDOW {
                self.connection.publish();
            }
            assert_eq!(self.connection.settle(), self.expected);
        }
        ROUNDS * WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each run has its own assertions.
    #[test]
    fn every_message_arrives_and_every_exchange_ends() {
        for case in &CASES {
            for peer in &PEERS {
                let mut bench = (peer.make)(case);
                for _ in 0..3 {
                    assert_eq!(bench.run(), ROUNDS * WINDOW, "{} {}", peer.name, case.name);
                }
            }
        }
    }
}
