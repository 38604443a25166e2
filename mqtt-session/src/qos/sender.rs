//! The sending half of the engine: what was accepted, in its order, until the receiver has it.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use mqtt_proto::{PacketId, PacketType, Publication, QoS};

use super::transition::{AckInput, SendState, SendStep};
use crate::Instant;

// The model watches what the table is asked.
#[cfg(not(test))]
use super::transition::on_ack;
#[cfg(test)]
use crate::model::cells::on_ack;

/// Everything sent or to be sent with a packet identifier. Outlives the network connection (section
/// 4.1), but for the quota and for requests.
///
/// A slot belongs to the identifier one above its index. Free slots form a queue, so that an
/// identifier rests as long as possible before it comes again; one whose packets were repeated on
/// this connection rests until the next, because an answer to them may still come. Messages form a list in the order
/// they were accepted; those from `unsent` on have not been sent in this round, those from `fresh` on
/// never. A message whose PUBREC came moves to the end of the list of releases, which is thereby in
/// the order of the PUBRECs, as [MQTT-4.6.0-4] asks of PUBREL.
///
/// Every operation but those on all messages takes constant time. Memory: a slot of about 160 bytes
/// for each message that was ever open at the same time, and the messages.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    slots: Vec<Slot>,
    free: List,
    /// Free from the next connection on.
    resting: List,
    messages: List,
    releases: List,
    /// First of `messages` that waits to be sent in this round.
    unsent: Link,
    /// First of `messages` that was never sent.
    fresh: Link,
    /// How many identifiers are taken, at most `limit`.
    taken: u16,
    limit: u16,
    /// How many more PUBLISH of QoS 1 and 2 may be sent now (section 4.9).
    quota: u16,
    window: u16,
    /// Which round of sending this is: each connection begins one. Only what was sent in it has a
    /// share in the quota.
    round: u32,
    /// No message that was never sent expires before this.
    next_expiry: Option<Instant>,
}

/// Index of a slot, or [`NONE`].
type Link = u16;
const NONE: Link = u16::MAX;

#[derive(Clone, Copy, Debug)]
struct List {
    head: Link,
    tail: Link,
}

impl List {
    const EMPTY: Self = Self { head: NONE, tail: NONE };
}

#[derive(Clone, Debug)]
struct Slot {
    previous: Link,
    next: Link,
    /// Whether its packets may have been sent more than once on this connection.
    repeated: bool,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Free,
    /// `sent` last in that round, and `at` that time.
    Message {
        publication: Publication<Bytes>,
        sent: Option<u32>,
        at: Instant,
        accepted: Instant,
    },
    /// PUBLISH was `sent` last in that round, PUBREL `at` that time.
    Release {
        sent: u32,
        at: Instant,
        /// See [`Sender::abandon_unsent`].
        abandoned: bool,
    },
    Request {
        answer: PacketType,
        codes: u32,
    },
}

/// A message as it is kept.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) id: PacketId,
    pub(crate) publication: &'a Publication<Bytes>,
    /// Whether it was sent on any connection.
    pub(crate) sent: bool,
    pub(crate) accepted: Instant,
}

/// A message that is to be sent now.
#[derive(Debug)]
pub(crate) struct Next<'a> {
    pub(crate) id: PacketId,
    pub(crate) publication: &'a Publication<Bytes>,
    /// Whether it was sent on an earlier connection [MQTT-3.3.1-1].
    pub(crate) dup: bool,
    /// When it was accepted.
    pub(crate) accepted: Instant,
}

impl Sender {
    /// For at most `limit` identifiers at the same time. Not connected: nothing is sent before
    /// [`connect`](Self::connect).
    pub(crate) const fn new(limit: u16) -> Self {
        Self {
            slots: Vec::new(),
            free: List::EMPTY,
            resting: List::EMPTY,
            messages: List::EMPTY,
            releases: List::EMPTY,
            unsent: NONE,
            fresh: NONE,
            taken: 0,
            limit,
            quota: 0,
            window: 0,
            round: 0,
            next_expiry: None,
        }
    }

    /// A new connection, to a receiver that takes `window` messages at a time: everything open is to
    /// be sent again.
    pub(crate) fn connect(&mut self, window: u16) {
        while let Some(at) = self.first(self.resting) {
            self.unlink(|sender| &mut sender.resting, at);
            self.push(|sender| &mut sender.free, at);
        }
        self.mark_open(false);
        self.window = window;
        self.begin_round();
    }

    /// Everything open is to be sent again on the same connection.
    pub(crate) fn repeat(&mut self) {
        self.mark_open(true);
        self.begin_round();
    }

    const fn begin_round(&mut self) {
        self.quota = self.window;
        self.round = self.round.wrapping_add(1);
        self.unsent = self.messages.head;
    }

    fn mark_open(&mut self, repeated: bool) {
        for list in [self.messages, self.releases] {
            let mut at = list.head;
            while let Some(slot) = self.slots.get_mut(usize::from(at)) {
                slot.repeated = repeated;
                at = slot.next;
            }
        }
    }

    /// Takes a message of QoS 1 or 2; `None` if there is no identifier left.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        publication: Publication<Bytes>,
    ) -> Option<PacketId> {
        let expiry = expiry(&publication, now);
        let at = self.take(Content::Message { publication, sent: None, at: now, accepted: now })?;
        self.append(at, expiry);
        Some(id_of(at))
    }

    /// From here on; what is there stays.
    #[cfg(feature = "std")]
    pub(crate) const fn set_limit(&mut self, limit: u16) {
        self.limit = limit;
    }

    /// A message that was accepted in another life.
    pub(crate) fn restore(
        &mut self,
        id: PacketId,
        accepted: Instant,
        sent: bool,
        publication: Publication<Bytes>,
    ) -> bool {
        let expiry = expiry(&publication, accepted);
        let sent = sent.then_some(self.round);
        let content = Content::Message { publication, sent, at: accepted, accepted };
        let restored = self.take_at(index_of(id), content);
        if restored {
            self.append(index_of(id), expiry);
            if sent.is_some() {
                self.skip_sent();
            }
        }
        restored
    }

    /// A message that was accepted in another life was sent in it too, as the next one in its order.
    pub(crate) fn restore_sent(&mut self, id: PacketId) -> bool {
        let round = self.round;
        match self.slots.get_mut(usize::from(self.fresh)) {
            Some(Slot { content: Content::Message { sent, .. }, .. })
                if self.fresh == index_of(id) =>
            {
                *sent = Some(round);
                self.skip_sent();
                true
            }
            _ => false,
        }
    }

    /// A message was released in another life; it need not be known.
    pub(crate) fn restore_release(&mut self, id: PacketId) -> bool {
        let at = index_of(id);
        let release = Content::Release { sent: self.round, at: Instant::ZERO, abandoned: false };
        match self.slots.get_mut(usize::from(at)).map(|slot| &mut slot.content) {
            Some(Content::Message { publication, .. }) if publication.qos == QoS::ExactlyOnce => {
                self.unlink(|sender| &mut sender.messages, at);
                self.slots[usize::from(at)].content = release;
            }
            None | Some(Content::Free) => {
                if !self.take_at(at, release) {
                    return false;
                }
            }
            Some(_) => return false,
        }
        self.push(|sender| &mut sender.releases, at);
        true
    }

    /// An exchange ended, for whatever reason.
    pub(crate) fn end(&mut self, id: PacketId) -> bool {
        let at = index_of(id);
        match self.slots.get(usize::from(at)).map(|slot| &slot.content) {
            Some(Content::Message { .. }) => self.unlink(|sender| &mut sender.messages, at),
            Some(Content::Release { .. }) => self.unlink(|sender| &mut sender.releases, at),
            _ => return false,
        }
        self.give_back(at);
        true
    }

    /// Takes an identifier for a SUBSCRIBE or UNSUBSCRIBE, which need no quota, to be answered by
    /// `answer` with `codes` reason codes; `None` if no identifier is left.
    pub(crate) fn accept_request(&mut self, answer: PacketType, codes: u32) -> Option<PacketId> {
        self.take(Content::Request { answer, codes }).map(id_of)
    }

    /// The answer to a request came: how many codes it should have, `None` if there is no such
    /// request.
    pub(crate) fn finish_request(&mut self, id: PacketId, packet: PacketType) -> Option<u32> {
        let at = index_of(id);
        match self.slots.get(usize::from(at))?.content {
            Content::Request { answer, codes } if answer == packet => {
                self.give_back(at);
                Some(codes)
            }
            _ => None,
        }
    }

    /// The next message to be sent, if there is one and the quota allows it.
    pub(crate) fn peek(&self) -> Option<Next<'_>> {
        if self.quota == 0 {
            return None;
        }
        match self.slots.get(usize::from(self.unsent)) {
            Some(Slot {
                content: Content::Message { publication, sent, accepted, .. }, ..
            }) => {
                let (id, dup) = (id_of(self.unsent), sent.is_some());
                Some(Next { id, publication, dup, accepted: *accepted })
            }
            _ => None,
        }
    }

    /// The message [`peek`](Self::peek) showed was sent; whether for the first time.
    pub(crate) fn sent(&mut self, now: Instant) -> bool {
        let slot = &mut self.slots[usize::from(self.unsent)];
        if let Content::Message { sent, at, .. } = &mut slot.content {
            *sent = Some(self.round);
            *at = now;
        }
        let first = self.fresh == self.unsent;
        self.unsent = slot.next;
        if first {
            self.fresh = slot.next;
        }
        self.quota -= 1;
        first
    }

    /// The message [`peek`](Self::peek) showed will never be sent: its exchange is over.
    pub(crate) fn drop_unsent(&mut self) {
        self.drop_message(self.unsent);
    }

    /// The QoS 2 message [`peek`](Self::peek) showed was sent before and will not be again. The
    /// receiver may hold its identifier, and would take the next message that has it for this one:
    /// so it stays taken until the receiver has released it, by a PUBREL that waited for no PUBREC.
    pub(crate) fn abandon_unsent(&mut self, now: Instant) {
        let at = self.unsent;
        if let Content::Message { sent: Some(sent), .. } = self.slots[usize::from(at)].content {
            self.release(at, Content::Release { sent, at: now, abandoned: true });
        }
    }

    /// Whether the outcome of this exchange was told before its end.
    pub(crate) fn is_abandoned(&self, id: PacketId) -> bool {
        let slot = self.slots.get(usize::from(index_of(id)));
        slot.is_some_and(|slot| matches!(slot.content, Content::Release { abandoned: true, .. }))
    }

    /// Gives up the oldest message that was never sent.
    pub(crate) fn drop_oldest(&mut self) -> Option<PacketId> {
        let at = self.fresh;
        if at == NONE {
            return None;
        }
        self.drop_message(at);
        Some(id_of(at))
    }

    /// Gives up what has expired and was never sent. One walk over what waits, and only if something
    /// may have expired.
    pub(crate) fn expire(&mut self, now: Instant, mut expired: impl FnMut(PacketId)) {
        if self.next_expiry.is_none_or(|at| at > now) {
            return;
        }
        self.next_expiry = None;
        let mut at = self.fresh;
        while let Some(Slot { next, content, .. }) = self.slots.get(usize::from(at)) {
            let next = *next;
            if let Content::Message { publication, accepted, .. } = content
                && let Some(expiry) = expiry(publication, *accepted)
            {
                if expiry <= now {
                    self.drop_message(at);
                    expired(id_of(at));
                } else {
                    self.expires(expiry);
                }
            }
            at = next;
        }
    }

    /// An acknowledgement came. What is to be sent in answer is the caller's affair.
    pub(crate) fn on_ack(&mut self, now: Instant, id: PacketId, input: AckInput) -> SendStep {
        let at = index_of(id);
        let Some(state) = self.state(at) else {
            return on_ack(None, input);
        };
        let step = on_ack(Some(state), input);
        let sent = match self.slots[usize::from(at)].content {
            Content::Message { sent: Some(sent), .. } | Content::Release { sent, .. } => sent,
            _ => self.round,
        };
        match step {
            SendStep::Finish if state == SendState::AwaitPubComp => {
                self.unlink(|sender| &mut sender.releases, at);
                self.give_back(at);
                self.restore_quota(sent);
            }
            SendStep::Finish => {
                self.unlink(|sender| &mut sender.messages, at);
                self.give_back(at);
                self.restore_quota(sent);
            }
            SendStep::Release => {
                self.release(at, Content::Release { sent, at: now, abandoned: false });
            }
            SendStep::Ignore
            | SendStep::ReleaseAgain
            | SendStep::ReleaseUnknown
            | SendStep::Violation => {}
        }
        step
    }

    /// The exchanges whose PUBREL must be sent again on a new connection, in the order of their
    /// PUBRECs.
    pub(crate) fn releases(&self) -> impl Iterator<Item = PacketId> {
        self.walk(self.releases.head).map(id_of)
    }

    /// PUBREL was sent again for each of them.
    pub(crate) fn releases_sent(&mut self, now: Instant) {
        let mut next = self.releases.head;
        while let Some(slot) = self.slots.get_mut(usize::from(next)) {
            if let Content::Release { at, .. } = &mut slot.content {
                *at = now;
            }
            next = slot.next;
        }
    }

    /// Every message that is not released yet, in order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Held<'_>> {
        self.held(self.messages.head)
    }

    /// The messages that were not sent on any connection yet, in order.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Held<'_>> {
        self.held(self.fresh)
    }

    /// When the oldest of the packets was sent whose answer has not come in this round.
    pub(crate) fn oldest_sent(&self) -> Option<Instant> {
        let sent = |at: Link| match self.slots.get(usize::from(at))?.content {
            Content::Message { sent: Some(round), at, .. } if round == self.round => Some(at),
            Content::Release { at, .. } => Some(at),
            _ => None,
        };
        [sent(self.messages.head), sent(self.releases.head)].into_iter().flatten().min()
    }

    /// No message that was never sent expires before this.
    pub(crate) const fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    /// What an identifier awaits, if it is that of a message and the message was sent.
    pub(crate) fn send_state(&self, id: PacketId) -> Option<SendState> {
        self.state(index_of(id))
    }

    /// Ends all requests: they do not outlive their connection.
    pub(crate) fn cancel_requests(&mut self, mut cancelled: impl FnMut(PacketId)) {
        for at in 0..self.slots.len() as u16 {
            if matches!(self.slots[usize::from(at)].content, Content::Request { .. }) {
                cancelled(id_of(at));
                self.give_back(at);
            }
        }
    }

    /// Forgets every exchange the receiver may know of, because the receiver has lost its session.
    /// Messages that were never sent stay.
    pub(crate) fn lose_session(&mut self, mut lost: impl FnMut(PacketId)) {
        while let Some(at) = self.first(self.releases) {
            if !self.is_abandoned(id_of(at)) {
                lost(id_of(at));
            }
            self.unlink(|sender| &mut sender.releases, at);
            self.give_back(at);
        }
        let mut at = self.messages.head;
        while let Some(slot) = self.slots.get(usize::from(at)) {
            let next = slot.next;
            if matches!(slot.content, Content::Message { sent: Some(_), .. }) {
                lost(id_of(at));
                self.unlink(|sender| &mut sender.messages, at);
                self.give_back(at);
            }
            at = next;
        }
        self.unsent = self.messages.head;
        self.fresh = self.messages.head;
    }

    /// How many more PUBLISH of QoS 1 and 2 may be sent now.
    pub(crate) const fn quota(&self) -> u16 {
        self.quota
    }

    /// How many identifiers are taken.
    pub(crate) const fn taken(&self) -> u16 {
        self.taken
    }

    /// Sees to it that the next identifier is none that comes back from here on, and none to
    /// `avoid`: who is yet to hear of the end of one message must not take it for that of another.
    /// The identifier; `None` if all 65,535 are taken, or to be avoided.
    pub(crate) fn set_aside(&mut self, avoid: impl Fn(PacketId) -> bool) -> Option<PacketId> {
        let mut tried = None;
        while let Some(at) = self.first(self.free).filter(|&at| tried != Some(at)) {
            if !avoid(id_of(at)) {
                return Some(id_of(at));
            }
            tried.get_or_insert(at);
            self.rotate_free(at);
        }
        let new = Link::try_from(self.slots.len()).ok().filter(|&at| at != NONE)?;
        let content = Content::Free;
        self.slots.push(Slot { previous: NONE, next: NONE, repeated: false, content });
        self.push(|sender| &mut sender.free, new);
        while let Some(at) = self.first(self.free).filter(|&at| at != new) {
            self.rotate_free(at);
        }
        Some(id_of(new))
    }

    /// Whether as many identifiers rest as may be taken: it is time for another connection. A peer
    /// that is always late would use up one after the other.
    pub(crate) fn is_worn(&self) -> bool {
        self.walk(self.resting.head).count() >= self.limit.into()
    }

    /// Whether there is a message that was never sent.
    pub(crate) const fn has_fresh(&self) -> bool {
        self.fresh != NONE
    }

    /// Whether another message would be refused.
    pub(crate) const fn is_full(&self) -> bool {
        self.taken >= self.limit
    }

    fn state(&self, at: Link) -> Option<SendState> {
        match &self.slots.get(usize::from(at))?.content {
            Content::Message { publication, sent: Some(_), .. } => Some(match publication.qos {
                QoS::ExactlyOnce => SendState::AwaitPubRec,
                QoS::AtMostOnce | QoS::AtLeastOnce => SendState::AwaitPubAck,
            }),
            Content::Release { .. } => Some(SendState::AwaitPubComp),
            // What was never sent is no exchange yet.
            Content::Message { sent: None, .. } | Content::Free | Content::Request { .. } => None,
        }
    }

    /// [section 4.9] What was sent on an earlier connection took nothing from the quota of this one
    /// and gives nothing back, or more would be in flight than the receiver counts.
    fn restore_quota(&mut self, sent: u32) {
        if sent == self.round {
            debug_assert!(self.quota < self.window, "more came back than was taken");
            self.quota += 1;
        }
    }

    fn append(&mut self, at: Link, expiry: Option<Instant>) {
        self.push(|sender| &mut sender.messages, at);
        for first in [&mut self.unsent, &mut self.fresh] {
            if *first == NONE {
                *first = at;
            }
        }
        if let Some(expiry) = expiry {
            self.expires(expiry);
        }
    }

    fn expires(&mut self, at: Instant) {
        self.next_expiry = Some(self.next_expiry.map_or(at, |next| next.min(at)));
    }

    /// Only the last of the messages were never sent.
    fn skip_sent(&mut self) {
        while let Some(Slot { content: Content::Message { sent: Some(_), .. }, next, .. }) =
            self.slots.get(usize::from(self.fresh))
        {
            self.fresh = *next;
        }
    }

    fn drop_message(&mut self, at: Link) {
        self.unlink(|sender| &mut sender.messages, at);
        self.give_back(at);
    }

    fn held(&self, from: Link) -> impl Iterator<Item = Held<'_>> {
        self.walk(from).filter_map(|at| match &self.slots[usize::from(at)].content {
            Content::Message { publication, sent, accepted, .. } => {
                Some(Held { id: id_of(at), publication, sent: sent.is_some(), accepted: *accepted })
            }
            _ => None,
        })
    }

    /// Takes this very slot, if it is free.
    fn take_at(&mut self, at: Link, content: Content) -> bool {
        if self.taken >= self.limit {
            return false;
        }
        while self.slots.len() <= usize::from(at) {
            let free = self.slots.len() as Link;
            let content = Content::Free;
            self.slots.push(Slot { previous: NONE, next: NONE, repeated: false, content });
            self.push(|sender| &mut sender.free, free);
        }
        if !matches!(self.slots[usize::from(at)].content, Content::Free) {
            return false;
        }
        self.unlink(|sender| &mut sender.free, at);
        self.slots[usize::from(at)].content = content;
        self.taken += 1;
        true
    }

    fn take(&mut self, content: Content) -> Option<Link> {
        if self.taken >= self.limit {
            return None;
        }
        let at = if let Some(at) = self.first(self.free) {
            self.unlink(|sender| &mut sender.free, at);
            self.slots[usize::from(at)].content = content;
            at
        } else {
            let at = Link::try_from(self.slots.len()).ok().filter(|&at| at != NONE)?;
            self.slots.push(Slot { previous: NONE, next: NONE, repeated: false, content });
            at
        };
        self.taken += 1;
        Some(at)
    }

    fn release(&mut self, at: Link, content: Content) {
        self.unlink(|sender| &mut sender.messages, at);
        self.slots[usize::from(at)].content = content;
        self.push(|sender| &mut sender.releases, at);
    }

    fn give_back(&mut self, at: Link) {
        let slot = &mut self.slots[usize::from(at)];
        slot.content = Content::Free;
        if core::mem::take(&mut slot.repeated) {
            self.push(|sender| &mut sender.resting, at);
        } else {
            self.push(|sender| &mut sender.free, at);
        }
        self.taken -= 1;
    }

    fn rotate_free(&mut self, first: Link) {
        self.unlink(|sender| &mut sender.free, first);
        self.push(|sender| &mut sender.free, first);
    }

    const fn first(&self, list: List) -> Option<Link> {
        if list.head == NONE { None } else { Some(list.head) }
    }

    fn walk(&self, from: Link) -> impl Iterator<Item = Link> {
        let slot = move |at: Link| self.slots.get(usize::from(at)).map(|slot| (at, slot.next));
        core::iter::successors(slot(from), move |&(_, next)| slot(next)).map(|(at, _)| at)
    }

    fn push(&mut self, list: fn(&mut Self) -> &mut List, at: Link) {
        let tail = list(self).tail;
        let slot = &mut self.slots[usize::from(at)];
        slot.previous = tail;
        slot.next = NONE;
        match self.slots.get_mut(usize::from(tail)) {
            Some(last) => last.next = at,
            None => list(self).head = at,
        }
        list(self).tail = at;
    }

    fn unlink(&mut self, list: fn(&mut Self) -> &mut List, at: Link) {
        let Slot { previous, next, .. } = self.slots[usize::from(at)];
        match self.slots.get_mut(usize::from(previous)) {
            Some(slot) => slot.next = next,
            None => list(self).head = next,
        }
        match self.slots.get_mut(usize::from(next)) {
            Some(slot) => slot.previous = previous,
            None => list(self).tail = previous,
        }
        for first in [&mut self.unsent, &mut self.fresh] {
            if *first == at {
                *first = next;
            }
        }
    }
}

/// When a message that was accepted at that time has expired; one without an interval never does.
fn expiry(publication: &Publication<Bytes>, accepted: Instant) -> Option<Instant> {
    let seconds = publication.message.properties.message_expiry_interval()?;
    // An interval of 0 is good for the moment of the call.
    Some(accepted + Duration::from_secs(seconds.into()).max(Duration::from_micros(1)))
}

const fn id_of(at: Link) -> PacketId {
    match PacketId::new(at.wrapping_add(1)) {
        Some(id) => id,
        None => unreachable!(),
    }
}

const fn index_of(id: PacketId) -> Link {
    id.get() - 1
}

#[cfg(test)]
impl crate::model::Fingerprint for Sender {
    fn print(&self, to: &mut crate::model::Print) {
        let Self {
            slots,
            free,
            resting,
            messages,
            releases,
            unsent,
            fresh,
            taken,
            quota,
            window,
            round,
            next_expiry,
            // The same in every state.
            limit: _,
        } = self;
        // Numbers of rounds are only ever compared with the present one, and never repeat.
        let now = |sent: u32| sent == *round;
        for list in [free, resting, messages, releases] {
            to.value(&(list.head, list.tail));
        }
        to.value(&(unsent, fresh, taken, quota, window, slots.len()));
        assert_eq!(*next_expiry, None, "no message of the model expires");
        for Slot { previous, next, repeated, content } in slots {
            to.value(&(previous, next, repeated, core::mem::discriminant(content)));
            match content {
                Content::Free => {}
                // When it was accepted matters for its expiry alone, and when it was sent once it
                // was sent in this round.
                Content::Message { publication, sent, at, accepted: _ } => {
                    let sent = sent.map(now);
                    to.value(&(publication.qos, &publication.message.payload, sent));
                    if sent == Some(true) {
                        to.awaited(*at);
                    }
                }
                Content::Release { sent, at, abandoned } => {
                    to.value(&(now(*sent), abandoned));
                    to.awaited(*at);
                }
                Content::Request { answer, codes } => to.value(&(answer, codes)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
