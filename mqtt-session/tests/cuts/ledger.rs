//! What one side published, and what of it the other side got.

use mqtt_session::{
    Instant, Outcome,
    proto::{PacketType, QoS, ReasonCode},
};

use super::{
    common::{Q0, Q1, Q2},
    scenario::{REFUSED, Scenario},
};

/// One message as its publisher remembers it.
#[derive(Debug)]
struct Entry {
    /// 0 at QoS 0.
    id: u16,
    message: usize,
    qos: QoS,
    accepted: Instant,
    /// The last connection it was sent on.
    sent: Option<u32>,
    /// How often it was.
    count: usize,
    /// Its place among the PUBRECs, once that came.
    rank: Option<u32>,
    /// The last connection PUBREL was sent on.
    released: Option<u32>,
    /// What the last acknowledgement of the exchange said.
    answer: Option<ReasonCode>,
    /// It has an outcome, but the receiver may hold its identifier until PUBCOMP comes.
    held: bool,
    outcome: Option<Outcome>,
    /// The session was lost while the exchange was open.
    session_lost: bool,
    /// The server takes no such message any more.
    ruled_out: bool,
    /// And with it whoever could tell the outcome.
    forgotten: bool,
}

impl Entry {
    fn is_open(&self) -> bool {
        self.qos != Q0 && self.outcome.is_none() && !self.forgotten
    }
}

/// Everything published in one direction.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    /// Messages in the order they were delivered.
    delivered: Vec<usize>,
    /// Too large to be accepted.
    declined: Vec<usize>,
    ranks: u32,
}

/// How often each message was delivered, as far as that must be the same in every run: `None` where
/// the message expired, was too large, or its session was lost.
pub(crate) type Harvest = Vec<Option<usize>>;

impl Ledger {
    pub(crate) fn accepted(&mut self, id: u16, message: usize, qos: QoS, now: Instant) {
        // [MQTT-2.2.1-3]
        let held = self.entries.iter().any(|entry| entry.id == id && entry.held);
        assert!(self.open(id).is_none() && !held, "identifier {id} is in use");
        self.entries.push(Entry {
            id,
            message,
            qos,
            accepted: now,
            sent: None,
            count: 0,
            rank: None,
            released: None,
            answer: None,
            held: false,
            outcome: None,
            session_lost: false,
            ruled_out: false,
            forgotten: false,
        });
    }

    pub(crate) fn accepted_at(&self, entry: usize) -> Instant {
        self.entries[entry].accepted
    }

    /// A PUBLISH of QoS 1 or 2 went out; which entry it is.
    pub(crate) fn publish_written(
        &mut self,
        id: u16,
        message: usize,
        dup: bool,
        connection: u32,
    ) -> usize {
        let at = self.open(id).unwrap_or_else(|| panic!("PUBLISH {id} of no open exchange"));
        let entry = &mut self.entries[at];
        assert_eq!(entry.message, message, "is what {id} stands for");
        // [MQTT-4.3.3-6] PUBREL goes out when PUBREC comes.
        assert_eq!(entry.rank, None, "PUBLISH {id} after its PUBREL");
        // [MQTT-4.4.0-1]
        assert!(entry.sent < Some(connection), "PUBLISH {id} again on the same connection");
        // [MQTT-3.3.1-1]
        assert_eq!(dup, entry.sent.is_some(), "is DUP of PUBLISH {id}");
        entry.sent = Some(connection);
        entry.count += 1;
        at
    }

    /// A PUBREL went out; the place of its PUBREC among all of them, if the exchange is open.
    pub(crate) fn release_written(&mut self, id: u16, connection: u32) -> Option<u32> {
        let at = self.open(id)?;
        let entry = &mut self.entries[at];
        assert!(entry.rank.is_some(), "PUBREL {id} before its PUBREC");
        entry.released = Some(connection);
        entry.rank
    }

    /// An acknowledgement came; whether the message it ends was sent on this connection, and so
    /// takes no quota any more.
    pub(crate) fn answered(
        &mut self,
        packet: PacketType,
        id: u16,
        reason: ReasonCode,
        connection: u32,
    ) -> bool {
        if packet == PacketType::PubComp {
            self.entries.iter_mut().for_each(|entry| entry.held &= entry.id != id);
        }
        let Some(at) = self.open(id) else { return false };
        let entry = &mut self.entries[at];
        if packet == PacketType::PubRec && !reason.is_error() {
            if entry.rank.is_none() {
                entry.rank = Some(self.ranks);
                self.ranks += 1;
            }
            return false;
        }
        // At PUBCOMP the message has arrived, whatever the receiver knows of it by now.
        let is_end = packet == PacketType::PubComp;
        entry.answer = Some(if is_end { ReasonCode::SUCCESS } else { reason });
        entry.sent == Some(connection)
    }

    pub(crate) fn finished(&mut self, id: u16, outcome: Outcome) {
        let at = self.open(id).unwrap_or_else(|| panic!("{outcome:?} for {id}, which is not open"));
        let entry = &mut self.entries[at];
        let legal = match outcome {
            Outcome::Acknowledged(reason) if entry.sent.is_some() => entry.answer == Some(reason),
            Outcome::Acknowledged(reason) => entry.ruled_out && reason.is_error(),
            Outcome::Lost => entry.session_lost || entry.ruled_out && entry.sent.is_some(),
            Outcome::Expired => entry.sent.is_none(),
            Outcome::TooLarge => true,
            Outcome::Dropped => false,
        };
        assert!(legal, "{outcome:?} for {entry:?}");
        let gone = matches!(outcome, Outcome::Acknowledged(_)) || entry.session_lost;
        entry.held = entry.qos == Q2 && entry.sent.is_some() && !gone;
        entry.outcome = Some(outcome);
    }

    pub(crate) fn delivered(&mut self, message: usize) {
        self.delivered.push(message);
    }

    pub(crate) fn declined(&mut self, message: usize) {
        self.declined.push(message);
    }

    /// The server takes no higher QoS any more.
    pub(crate) fn rule_out(&mut self, maximum: QoS) {
        for entry in &mut self.entries {
            entry.ruled_out |= entry.qos > maximum;
        }
    }

    /// The session is lost: what was sent may end as lost.
    pub(crate) fn lose(&mut self) {
        for entry in &mut self.entries {
            entry.session_lost |= entry.is_open() && entry.sent.is_some();
        }
    }

    /// Nothing moves any more: what is owed was sent on this connection, as far as the quota goes
    /// [MQTT-4.4.0-1].
    pub(crate) fn check_sent(&self, connection: u32, has_quota: bool) {
        for entry in self.entries.iter().filter(|entry| entry.is_open()) {
            match entry.rank {
                Some(_) => assert_eq!(entry.released, Some(connection), "is PUBREL of {entry:?}"),
                None if has_quota => {
                    assert_eq!(entry.sent, Some(connection), "is PUBLISH of {entry:?}");
                }
                None => {}
            }
        }
    }

    /// The publisher knows that the session is lost, and has told what that has cost.
    pub(crate) fn check_lost(&self) {
        for entry in &self.entries {
            assert!(!(entry.is_open() && entry.session_lost), "is lost: {entry:?}");
        }
    }

    /// The session is lost, and nobody will tell how anything ended.
    pub(crate) fn forget(&mut self) {
        for entry in &mut self.entries {
            entry.forgotten |= entry.is_open();
        }
    }

    fn open(&self, id: u16) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.id == id && entry.is_open())
    }

    /// Section 4.3 as the two applications see it, once everything has come to rest. Without
    /// `delivery` only that everything ended.
    pub(crate) fn check(&self, scenario: &Scenario, delivery: bool) {
        for entry in &self.entries {
            assert!(!entry.is_open(), "without an outcome: {entry:?}");
            let message = &scenario.messages[entry.message];
            match entry.outcome {
                Some(Outcome::TooLarge) => assert!(message.is_large, "{entry:?}"),
                Some(Outcome::Expired) => assert!(message.expiry.is_some(), "{entry:?}"),
                _ => {}
            }
        }
        if delivery {
            (0..scenario.messages.len()).for_each(|message| self.check_count(scenario, message));
            self.check_order(scenario);
        }
    }

    fn check_count(&self, scenario: &Scenario, message: usize) {
        let count = self.delivered.iter().filter(|&&delivered| delivered == message).count();
        let (mut least, mut most) = (0, 0);
        for entry in self.entries.iter().filter(|entry| entry.message == message) {
            let (at_least, at_most) = match (entry.qos, entry.outcome) {
                (Q0, _) => (0, 1),
                (_, Some(Outcome::Acknowledged(reason))) if reason.is_error() => (0, 0),
                (Q1, Some(Outcome::Acknowledged(_))) => (1, entry.count),
                (Q2, Some(Outcome::Acknowledged(_))) => (1, 1),
                (Q1, _) => (0, entry.count),
                (Q2, _) => (0, entry.count.min(1)),
            };
            least += at_least;
            most += at_most;
        }
        let message = &scenario.messages[message];
        let (text, qos) = (message.text, message.qos);
        assert!(
            (least..=most).contains(&count),
            "'{text}' of QoS {qos:?} was delivered {count} times, not {least} to {most}"
        );
    }

    /// [MQTT-4.6.0-5] First deliveries of one topic and QoS are in the order of their publishes.
    fn check_order(&self, scenario: &Scenario) {
        let place = |message| self.entries.iter().position(|entry| entry.message == message);
        for (at, &message) in self.delivered.iter().enumerate() {
            let earlier = &self.delivered[..at];
            if earlier.contains(&message) {
                continue;
            }
            let this = &scenario.messages[message];
            for &before in earlier {
                let other = &scenario.messages[before];
                if (other.topic, other.qos) == (this.topic, this.qos) {
                    let told = format_args!("'{}' before '{}'", other.text, this.text);
                    assert!(place(before) < place(message), "{told}");
                }
            }
        }
    }

    /// For a comparison with other runs. QoS 1 may repeat and QoS 0 may fail.
    pub(crate) fn harvest(&self, scenario: &Scenario) -> Harvest {
        let count = |index| self.delivered.iter().filter(|&&delivered| delivered == index).count();
        let whole = |entry: &Entry| matches!(entry.outcome, Some(Outcome::Acknowledged(_)));
        let messages = scenario.messages.iter().enumerate();
        messages
            .map(|(index, message)| {
                let mut ours = self.entries.iter().filter(|entry| entry.message == index);
                match message.qos {
                    Q0 => None,
                    _ if message.topic == REFUSED => Some(count(index)),
                    _ if self.declined.contains(&index) || !ours.all(whole) => None,
                    Q1 => Some(count(index).min(1)),
                    Q2 => Some(count(index)),
                }
            })
            .collect()
    }
}
