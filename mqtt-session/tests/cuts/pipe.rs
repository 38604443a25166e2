//! One direction of one network connection, and what the standard says about the packets in it.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use mqtt_session::{
    Instant, Transmit,
    proto::{
        Decoder, Packet, PacketId, PacketRef, PacketType, ProtocolVersion, Publish, QoS,
        ReasonCode, Role, Status,
    },
};

use super::{
    common::describe,
    ledger::Ledger,
    scenario::{Message, Scenario},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    Down,
}

impl Way {
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    const fn arrow(self) -> char {
        match self {
            Self::Up => '>',
            Self::Down => '<',
        }
    }

    const fn writer(self) -> Role {
        match self {
            Self::Up => Role::Client,
            Self::Down => Role::Server,
        }
    }
}

/// A packet, as far as the promises go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen {
    /// Of QoS 1 or 2.
    Publish {
        id: u16,
        qos: QoS,
    },
    Ack {
        packet: PacketType,
        id: u16,
        reason: ReasonCode,
    },
    ConnAck {
        present: bool,
    },
    Other,
}

/// Everything a pipe needs to know of its surroundings.
pub(crate) struct Watch<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) now: Instant,
    /// Which connection this is.
    pub(crate) connection: u32,
    /// Of what the writer publishes; where bytes arrive, of what the reader does.
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) trace: Option<&'a mut Vec<String>>,
}

pub(crate) struct Pipe {
    way: Way,
    /// All that was ever written to this connection.
    pub(crate) bytes: Vec<u8>,
    /// How much of it arrived.
    pub(crate) arrived: usize,
    /// How much of it may arrive: the cut.
    pub(crate) limit: usize,
    /// Where each packet that has not arrived ends.
    under_way: VecDeque<(usize, Seen)>,
    decoder: Decoder,
    /// What the writer owes for what arrived at it: PUBACK, PUBREC, PUBCOMP.
    owed: [VecDeque<u16>; 3],
    /// Messages of QoS 1 and 2 written and not acknowledged.
    pub(crate) in_flight: u16,
    pub(crate) window: u16,
    /// The last message written, and the rank of the last PUBREL.
    last_message: Option<usize>,
    last_release: Option<u32>,
    /// How many messages had a topic alias and no topic name.
    pub(crate) aliased: usize,
}

impl Pipe {
    pub(crate) fn new(way: Way, version: ProtocolVersion, window: u16, limit: usize) -> Self {
        Self {
            way,
            bytes: Vec::with_capacity(256),
            arrived: 0,
            limit,
            under_way: VecDeque::new(),
            decoder: Decoder::new(way.writer(), version),
            owed: Default::default(),
            in_flight: 0,
            window,
            last_message: None,
            last_release: None,
            aliased: 0,
        }
    }

    /// Whether any byte was written that can never arrive.
    pub(crate) fn is_cut(&self) -> bool {
        self.bytes.len() > self.limit
    }

    /// Whether every byte has arrived, and all that was owed for what came the other way has been
    /// written.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.arrived == self.bytes.len() && self.owed.iter().all(VecDeque::is_empty)
    }

    /// How many bytes may arrive now.
    pub(crate) fn ready(&self, chunk: usize) -> usize {
        (self.bytes.len().min(self.limit) - self.arrived).min(chunk)
    }

    /// The writer writes; whether there was anything.
    pub(crate) fn take(&mut self, transmit: &mut Transmit, watch: &mut Watch<'_>) -> bool {
        if transmit.is_empty() {
            return false;
        }
        let chunk = transmit.chunk();
        let mut at = 0;
        while at < chunk.len() {
            // Whole packets are appended, and all of them are written.
            let Ok(Status::Ready((packet, len))) = self.decoder.decode(&chunk[at..]) else {
                panic!("not a packet: {:?}", &chunk[at..]);
            };
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&chunk[at..at + len]);
            let end = self.bytes.len();
            self.note(watch, start);
            let seen = self.written(&packet, watch);
            self.under_way.push_back((end, seen));
            at += len;
        }
        transmit.advance(at);
        true
    }

    fn note(&self, watch: &mut Watch<'_>, start: usize) {
        let Some(trace) = &mut watch.trace else { return };
        let mut bytes = BytesMut::from(&self.bytes[start..]);
        let line = match self.decoder.clone().decode_bytes(&mut bytes) {
            Ok(Status::Ready(packet)) => describe(&packet),
            other => format!("{other:?}"),
        };
        let (arrow, end) = (self.way.arrow(), self.bytes.len());
        trace.push(format!("  {}{arrow} {line:<30} bytes {start}..{end}", watch.connection + 1));
    }

    fn written(&mut self, packet: &PacketRef<'_>, watch: &mut Watch<'_>) -> Seen {
        match packet {
            Packet::Publish(publish) => self.publish_written(publish, watch),
            Packet::PubAck(ack) => self.answer_written(PacketType::PubAck, ack.id, ack.reason),
            Packet::PubRec(ack) => self.answer_written(PacketType::PubRec, ack.id, ack.reason),
            Packet::PubComp(ack) => self.answer_written(PacketType::PubComp, ack.id, ack.reason),
            Packet::PubRel(ack) => {
                let id = ack.id.get();
                if let Some(rank) = watch.ledger.release_written(id, watch.connection) {
                    // [MQTT-4.6.0-4]
                    assert!(self.last_release < Some(rank), "PUBREL {id} out of order");
                    self.last_release = Some(rank);
                }
                Seen::Ack { packet: PacketType::PubRel, id, reason: ack.reason }
            }
            Packet::ConnAck(connack) => Seen::ConnAck { present: connack.session_present },
            _ => Seen::Other,
        }
    }

    fn publish_written(&mut self, publish: &Publish<&[u8]>, watch: &mut Watch<'_>) -> Seen {
        let scenario = watch.scenario;
        let index = scenario.find(publish.message.payload);
        let message = &scenario.messages[index];
        let qos = publish.delivery.qos();
        assert_eq!(qos, message.qos, "of '{}'", message.text);
        self.aliased += usize::from(publish.message.topic.is_empty());
        let Some(id) = publish.delivery.id().map(PacketId::get) else {
            return Seen::Other;
        };
        let dup = publish.delivery.dup();
        let row = watch.ledger.publish_written(id, index, dup, watch.connection);
        // [MQTT-4.6.0-1] And nothing new overtakes what is sent again.
        assert!(self.last_message < Some(row), "PUBLISH {id} out of order");
        self.last_message = Some(row);
        // [MQTT-3.3.4-7] [MQTT-3.3.4-9]
        self.in_flight += 1;
        assert!(self.in_flight <= self.window, "{} messages in flight", self.in_flight);
        if scenario.version == ProtocolVersion::V5 {
            let left = publish.message.properties.message_expiry_interval();
            let waited = watch.now.since(watch.ledger.accepted_at(row));
            check_expiry(message, left, waited.as_millis() as u64, dup);
        }
        Seen::Publish { id, qos }
    }

    /// [MQTT-4.6.0-2] [MQTT-4.6.0-3] Answers are in the order of what they answer.
    fn answer_written(&mut self, packet: PacketType, id: PacketId, reason: ReasonCode) -> Seen {
        let owed = self.owed[slot(packet)].pop_front();
        assert_eq!(owed, Some(id.get()), "is what {} should answer", packet.name());
        Seen::Ack { packet, id: id.get(), reason }
    }

    pub(crate) const fn has_quota(&self) -> bool {
        self.in_flight < self.window
    }

    /// So many bytes arrive. `back` is the other way, and `watch` has the ledger of the reader, which
    /// is what acknowledgements are about. Whether there was a CONNACK that knew of no session.
    pub(crate) fn arrive(&mut self, count: usize, back: &mut Self, watch: &mut Watch<'_>) -> bool {
        self.arrived += count;
        let mut no_session = false;
        while let Some(&(_, seen)) = self.under_way.front().filter(|(end, _)| *end <= self.arrived)
        {
            self.under_way.pop_front();
            match seen {
                Seen::Publish { id, qos: QoS::ExactlyOnce } => back.owed[1].push_back(id),
                Seen::Publish { id, .. } => back.owed[0].push_back(id),
                Seen::Ack { packet: PacketType::PubRel, id, .. } => back.owed[2].push_back(id),
                Seen::Ack { packet, id, reason } => {
                    let freed = watch.ledger.answered(packet, id, reason, watch.connection);
                    back.in_flight -= u16::from(freed);
                }
                Seen::ConnAck { present } => no_session |= !present,
                Seen::Other => {}
            }
        }
        no_session
    }
}

const fn slot(packet: PacketType) -> usize {
    match packet {
        PacketType::PubAck => 0,
        PacketType::PubRec => 1,
        _ => 2,
    }
}

/// [MQTT-3.3.2-6] What is left is sent, in seconds rounded up; [MQTT-4.3.3-7] what was sent before
/// is sent again however late it is.
fn check_expiry(message: &Message, left: Option<u32>, waited: u64, dup: bool) {
    let Some(seconds) = message.expiry else {
        return assert_eq!(left, None, "of '{}'", message.text);
    };
    let passed = u64::from(seconds) * 1000 <= waited && waited > 0;
    assert!(dup || !passed, "'{}' was sent after its expiry", message.text);
    let expected = if passed { 1 } else { seconds - (waited / 1000) as u32 };
    assert_eq!(left, Some(expected), "is left of '{}'", message.text);
}
