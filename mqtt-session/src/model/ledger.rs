//! What is promised about every message that one side publishes, and what was seen of it.

use alloc::{format, string::String, vec::Vec};

use bytes::Bytes;
use mqtt_proto::{Delivery, Packet, PacketId, Publish, QoS, ReasonCode};

use crate::{JournalEntry, Outcome};

/// A promise that was broken: which one, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) rule: &'static str,
    pub(super) how: String,
}

pub(super) type Checked<T = ()> = Result<T, Broken>;

pub(super) fn broken(rule: &'static str, how: impl Into<String>) -> Broken {
    Broken { rule, how: how.into() }
}

pub(super) fn ensure(holds: bool, rule: &'static str, how: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(broken(rule, how())) }
}

/// One message, as its publisher, its receiver and the wire know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Message {
    /// While its exchange is open.
    id: Option<PacketId>,
    /// How it ended: as lost also if the publisher was never told, because it crashed or the broker
    /// dropped its session.
    end: Option<Outcome>,
    /// The receiving application was given it.
    arrived: bool,
    /// It has it for good.
    taken: bool,
    /// Its last answer was that it refuses it.
    refused: bool,
    /// PUBLISH was sent, on any connection.
    sent: bool,
    /// PUBLISH was sent on this connection, and the last answer has not come.
    in_flight: bool,
    /// PUBREL was sent, on any connection; its place among those of open exchanges.
    released: Option<u8>,
    /// The session is gone in which it was sent.
    doomed: bool,
}

/// Long enough for an alias.
pub(super) const TOPIC: &str = "topic";

/// Every message of one side in the order they were published; their payloads are their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    qos: [QoS; 2],
    /// Whether messages may be sent again on the same connection, at all and now; whether any were.
    repeats: bool,
    may_repeat: bool,
    repeated: bool,
    messages: Vec<Message>,
    /// Within a step: a PUBREC that was read and not answered, and the place of the last PUBREL that
    /// was sent again.
    pubrec: Option<PacketId>,
    last_pubrel: Option<u8>,
    /// PUBLISH packets of QoS 1 and of QoS 2 that were read on this connection and not answered, in
    /// order.
    owed: [Vec<PacketId>; 2],
}

impl Ledger {
    pub(super) const fn new(qos: [QoS; 2], repeats: bool) -> Self {
        Self {
            qos,
            repeats,
            may_repeat: false,
            repeated: false,
            messages: Vec::new(),
            pubrec: None,
            last_pubrel: None,
            owed: [Vec::new(), Vec::new()],
        }
    }

    pub(super) const fn published(&self) -> u8 {
        self.messages.len() as u8
    }

    /// How many messages have a share in the quota.
    pub(super) fn in_flight(&self) -> usize {
        self.messages.iter().filter(|message| message.in_flight).count()
    }

    /// Whether there is a message that was sent on earlier connections only.
    pub(super) fn keeps_what_was_sent(&self) -> bool {
        self.messages.iter().any(|message| message.sent && !message.in_flight)
    }

    /// The next message was accepted under this identifier.
    pub(super) fn accepted(&mut self, id: PacketId) -> Checked {
        let open = self.open(id).is_some();
        ensure(!open, "identifiers", || format!("{id} is open and given again"))?;
        self.messages.push(Message { id: Some(id), ..Message::default() });
        Ok(())
    }

    /// The publisher has a new connection, and is to send everything on it again.
    pub(super) fn begin_round(&mut self) {
        self.messages.iter_mut().for_each(|message| message.in_flight = false);
    }

    /// The receiver has a new connection, and owes nothing on it.
    pub(super) fn begin_reading(&mut self) {
        self.owed.iter_mut().for_each(Vec::clear);
    }

    /// Whether the publisher may send everything again on the connection it has.
    pub(super) const fn may_repeat(&mut self, may: bool) {
        (self.may_repeat, self.repeated) = (may, false);
    }

    /// Whether it has.
    pub(super) const fn repeated(&mut self) -> bool {
        self.may_repeat = false;
        core::mem::replace(&mut self.repeated, false)
    }

    /// The receiver's session is gone: what was sent in it may end as lost.
    pub(super) fn doom(&mut self) {
        self.messages.iter_mut().for_each(|message| message.doomed |= message.sent);
    }

    /// The publisher's session is gone.
    pub(super) fn forget(&mut self) {
        let open = self.messages.iter_mut().filter(|message| message.id.is_some());
        open.for_each(|message| message.end(Outcome::Lost));
    }

    /// The publisher begins anew with what it has written down.
    pub(super) fn restarted(&mut self, journal: impl Iterator<Item = JournalEntry>) -> Checked {
        self.pubrec = None;
        let journal = Vec::from_iter(journal);
        for message in &mut self.messages {
            let Some(id) = message.id else { continue };
            let entry = journal.iter().find_map(|entry| match entry {
                JournalEntry::Accepted { id: open, sent, .. } if *open == id => Some(Some(*sent)),
                JournalEntry::Released { id: open } if *open == id => Some(None),
                _ => None,
            });
            match entry {
                Some(Some(sent)) => message.sent = sent,
                Some(None) => {}
                None => {
                    let over = message.taken || message.refused || message.doomed;
                    ensure(over, "no loss", || format!("{message:?} is gone"))?;
                    message.end(Outcome::Lost);
                }
            }
        }
        Ok(())
    }

    /// The publisher writes a packet to a connection.
    pub(super) fn written(&mut self, packet: &Packet<Bytes>) -> Checked {
        if let Packet::Publish(_) | Packet::PubRel(_) = packet
            && core::mem::take(&mut self.may_repeat)
        {
            self.repeated = true;
            self.begin_round();
        }
        match packet {
            Packet::Publish(publish) => self.sent(publish),
            Packet::PubRel(ack) => self.released(ack.id),
            _ => Ok(()),
        }
    }

    fn sent(&mut self, publish: &Publish<Bytes>) -> Checked {
        let (Delivery::AtLeastOnce { id, dup } | Delivery::ExactlyOnce { id, dup }) =
            publish.delivery
        else {
            return Err(broken("content", "QoS 0"));
        };
        let (number, message) = self.of(&publish.message.payload)?;
        let how = || format!("message {number} is sent under {id}: {message:?}");
        ensure(message.id == Some(id), "identifiers", how)?;
        ensure(message.released.is_none(), "nothing follows PUBREL", how)?;
        ensure(!message.in_flight, "once on a connection", how)?;
        ensure(dup == message.sent, "DUP", how)?;
        (message.sent, message.in_flight) = (true, true);
        let overtaken = self.messages[number + 1..].iter().any(|message| message.in_flight);
        ensure(!overtaken, "order of PUBLISH", || format!("message {number} comes late"))
    }

    fn released(&mut self, id: PacketId) -> Checked {
        let asked = self.pubrec.take_if(|pubrec| *pubrec == id).is_some();
        let (last, places) = (self.last_pubrel, self.messages.iter().filter_map(|m| m.released));
        let place = places.max().map_or(0, |place| place + 1);
        let Some(message) = self.open(id) else {
            return ensure(asked, "nothing unasked", || format!("PUBREL {id}"));
        };
        ensure(!message.refused, "a refusal is final", || format!("PUBREL {id}"))?;
        let place = *message.released.get_or_insert(place);
        ensure(asked || last <= Some(place), "order of PUBREL", || format!("{id} comes late"))?;
        self.last_pubrel = Some(place);
        Ok(())
    }

    /// The publisher reads a packet.
    pub(super) fn answered(&mut self, packet: &Packet<Bytes>) {
        match packet {
            Packet::PubRec(ack) if !ack.reason.is_error() => self.pubrec = Some(ack.id),
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack) => {
                if let Some(message) = self.open(ack.id) {
                    message.in_flight = false;
                }
            }
            _ => {}
        }
    }

    /// A step is over.
    pub(super) fn check(&mut self) -> Checked {
        self.last_pubrel = None;
        let silent = || format!("PUBREC {:?} is not", self.pubrec);
        ensure(self.pubrec.is_none(), "PUBREC is answered", silent)
    }

    /// The receiver reads a packet.
    pub(super) fn came(&mut self, packet: &Packet<Bytes>) {
        if let Packet::Publish(publish) = packet
            && let Some(id) = publish.delivery.id()
        {
            let owed = &mut self.owed[usize::from(publish.delivery.qos() == QoS::ExactlyOnce)];
            // One answer is for both.
            if !owed.contains(&id) {
                owed.push(id);
            }
        }
    }

    /// The receiver writes a packet.
    pub(super) fn answers(&mut self, packet: &Packet<Bytes>) -> Checked {
        let (owed, id) = match packet {
            Packet::PubAck(ack) => (&mut self.owed[0], ack.id),
            Packet::PubRec(ack) => (&mut self.owed[1], ack.id),
            _ => return Ok(()),
        };
        let place = owed.iter().position(|owed| *owed == id);
        let place = place.ok_or_else(|| broken("nothing unasked", format!("{packet}")))?;
        ensure(place == 0, "order of answers", || format!("{packet}"))?;
        owed.remove(place);
        Ok(())
    }

    /// The receiver gives a message to its application. Which one it is.
    pub(super) fn arrived(&mut self, publish: &Publish<&[u8]>) -> Checked<u8> {
        let (qos, repeats) = (self.qos, self.repeats);
        let (number, message) = self.of(publish.message.payload)?;
        let again = message.taken && qos[number % 2] == QoS::ExactlyOnce;
        ensure(!again, "exactly once", || format!("message {number}"))?;
        let over = matches!(message.end, Some(Outcome::Acknowledged(_)));
        ensure(!over || repeats, "true outcome", || format!("message {number} comes after it"))?;
        let topic = publish.message.topic.as_str();
        ensure(topic == TOPIC, "content", || format!("topic {topic:?}"))?;
        message.arrived = true;
        let before = &self.messages[..number];
        let in_order = before.iter().all(|message| message.arrived || message.end.is_some());
        ensure(in_order, "order of arrival", || format!("message {number}"))?;
        Ok(number as u8)
    }

    /// The receiving application has a message for good.
    pub(super) fn taken(&mut self, number: u8) -> Checked {
        let exactly_once = self.qos[usize::from(number) % 2] == QoS::ExactlyOnce;
        let message = &mut self.messages[usize::from(number)];
        ensure(!exactly_once || !message.taken, "exactly once", || format!("message {number}"))?;
        message.taken = true;
        Ok(())
    }

    /// Its answer to a message counts.
    pub(super) fn decided(&mut self, number: u8, refused: bool) {
        self.messages[usize::from(number)].refused = refused;
    }

    /// The publisher was told how an exchange ended.
    pub(super) fn finished(&mut self, id: PacketId, outcome: Outcome) -> Checked {
        let how = || format!("{outcome:?} for {id}, which is not open");
        let message = self.open(id).ok_or_else(|| broken("one outcome", how()))?;
        let is_true = match outcome {
            Outcome::Acknowledged(ReasonCode::SUCCESS) => message.taken,
            Outcome::Acknowledged(reason) => reason.is_error() && message.refused,
            Outcome::Lost => message.doomed,
            Outcome::Expired | Outcome::TooLarge | Outcome::Dropped => false,
        };
        ensure(is_true, "true outcome", || format!("{outcome:?} for {message:?}"))?;
        message.end(outcome);
        Ok(())
    }

    /// What is owed when nothing is under way.
    pub(super) fn check_rest(&self) -> Checked {
        let ended = self.messages.iter().all(|message| message.end.is_some());
        ensure(ended, "one outcome", || format!("none for one of {:?}", self.messages))
    }

    fn open(&mut self, id: PacketId) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.id == Some(id))
    }

    fn of(&mut self, payload: &[u8]) -> Checked<(usize, &mut Message)> {
        let number = payload.first().map_or(usize::MAX, |&first| first.into());
        let message = self.messages.get_mut(number);
        message.map(|message| (number, message)).ok_or_else(|| broken("content", "not ours"))
    }
}

impl Message {
    /// Nothing else matters any more.
    fn end(&mut self, end: Outcome) {
        let Self { arrived, taken, .. } = *self;
        *self = Self { end: Some(end), arrived, taken, ..Self::default() };
    }
}
