//! The answers that are owed on one network connection, in the order the standard demands.

use alloc::collections::VecDeque;

use mqtt_proto::{PacketId, QoS, ReasonCode};

use super::{PacketIdSet, transition::ReceiveState};

/// The messages of QoS 1 and 2 that came on this connection and are not answered for good.
///
/// An application may answer late and in any order; PUBACKs go out in the order of their PUBLISH
/// packets, and so do PUBRECs [MQTT-4.6.0-2] [MQTT-4.6.0-3]. Every operation takes constant time.
/// Memory: 4 bytes for each message that waits for its verdict, and the sets of identifiers, at
/// most 10 KiB each.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Owed {
    at_least_once: Line,
    exactly_once: Line,
    /// Those that wait in `exactly_once`.
    pubrecs: PacketIdSet,
}

#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(Hash))]
struct Line {
    /// Those that count for Receive Maximum: at QoS 1 until PUBACK is sent, at QoS 2 until PUBREL
    /// comes or PUBREC refuses.
    open: PacketIdSet,
    /// Those whose answer is owed, in the order they came, with the verdicts that cannot be said
    /// before an earlier one is.
    waiting: VecDeque<(PacketId, Option<ReasonCode>)>,
    /// The number of the first of `waiting`.
    first: u32,
}

/// Which of the messages that wait for a verdict: a number for each QoS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    exactly_once: bool,
    number: u32,
}

impl Place {
    pub(crate) const fn qos(self) -> QoS {
        if self.exactly_once { QoS::ExactlyOnce } else { QoS::AtLeastOnce }
    }
}

impl Owed {
    /// What is owed or awaited for an identifier; `held` are those whose PUBREL is awaited.
    pub(crate) fn state(&self, qos: QoS, id: PacketId, held: &PacketIdSet) -> Option<ReceiveState> {
        match qos {
            QoS::ExactlyOnce if held.contains(id) => Some(ReceiveState::AwaitPubRel),
            QoS::ExactlyOnce => {
                self.exactly_once.open.contains(id).then_some(ReceiveState::OwePubRec)
            }
            _ => self.at_least_once.open.contains(id).then_some(ReceiveState::OwePubAck),
        }
    }

    /// How many messages count for Receive Maximum [MQTT-3.3.4-9].
    pub(crate) const fn open(&self) -> usize {
        self.at_least_once.open.len() + self.exactly_once.open.len()
    }

    /// How many answers of this QoS are owed.
    pub(crate) fn waiting(&self, qos: QoS) -> usize {
        self.line(qos).waiting.len()
    }

    /// Whether this one does already.
    pub(crate) fn is_open(&self, qos: QoS, id: PacketId) -> bool {
        self.line(qos).open.contains(id)
    }

    /// A message came that counts for Receive Maximum.
    pub(crate) fn begin(&mut self, qos: QoS, id: PacketId) {
        self.line_mut(qos).open.insert(id);
    }

    /// It counts no longer.
    pub(crate) fn end(&mut self, qos: QoS, id: PacketId) {
        self.line_mut(qos).open.remove(id);
    }

    /// A QoS 2 message came again that was accepted. Whether PUBREC may be sent at once: if not, it
    /// goes out after those that are owed for earlier messages.
    pub(crate) fn repeat(&mut self, id: PacketId) -> bool {
        let waiting = &mut self.exactly_once.waiting;
        let at_once = waiting.is_empty();
        if !at_once && self.pubrecs.insert(id) {
            waiting.push_back((id, Some(ReasonCode::SUCCESS)));
        }
        at_once
    }

    /// The message was given out and waits for its verdict.
    pub(crate) fn wait(&mut self, qos: QoS, id: PacketId) -> Place {
        if qos == QoS::ExactlyOnce {
            self.pubrecs.insert(id);
        }
        let line = self.line_mut(qos);
        let number = line.first.wrapping_add(line.waiting.len() as u32);
        line.waiting.push_back((id, None));
        Place { exactly_once: qos == QoS::ExactlyOnce, number }
    }

    /// The verdict on it; which message that is, if it was waited for.
    pub(crate) fn decide(&mut self, place: Place, reason: ReasonCode) -> Option<PacketId> {
        let line = self.line_mut(place.qos());
        let at = place.number.wrapping_sub(line.first) as usize;
        let (id, verdict) = line.waiting.get_mut(at)?;
        let id = *id;
        if verdict.is_some() {
            return None;
        }
        *verdict = Some(reason);
        Some(id)
    }

    /// The next verdict that may be said.
    pub(crate) fn next(&mut self, qos: QoS) -> Option<(PacketId, ReasonCode)> {
        let line = self.line_mut(qos);
        let &(id, Some(reason)) = line.waiting.front()? else {
            return None;
        };
        line.waiting.pop_front();
        line.first = line.first.wrapping_add(1);
        if qos == QoS::ExactlyOnce {
            self.pubrecs.remove(id);
        }
        Some((id, reason))
    }

    const fn line(&self, qos: QoS) -> &Line {
        match qos {
            QoS::ExactlyOnce => &self.exactly_once,
            _ => &self.at_least_once,
        }
    }

    const fn line_mut(&mut self, qos: QoS) -> &mut Line {
        match qos {
            QoS::ExactlyOnce => &mut self.exactly_once,
            _ => &mut self.at_least_once,
        }
    }
}
