//! What outlives a network connection.

use alloc::collections::VecDeque;

use bytes::Bytes;
use mqtt_proto::{PacketId, Publication, QoS, TopicName};

use crate::{
    Instant, JournalEntry, PublishError, RestoreError,
    connection::check_alias,
    journal::kept_version,
    qos::{
        PacketIdSet, Receiver, Sender,
        transition::{AckInput, SendState, SendStep},
    },
};

/// The Session State of section 4.1 as far as it concerns one client and one server, either of
/// them: messages sent and not acknowledged, messages waiting, and QoS 2 messages received and not
/// released. Subscriptions are a server's own affair.
///
/// A [`Client`](crate::Client) has one for its life. A server keeps one for each client identifier,
/// lends it to a [`Server`](crate::Server) while that client is connected, and gets it back.
///
/// # Surviving a crash
///
/// A session that is [`journaled`](Self::journaled) says every change of itself as a
/// [`JournalEntry`], in order: a client as [`ClientAction::Journal`](crate::ClientAction::Journal)
/// among its other actions, a server by [`Server::poll_journal`](crate::Server::poll_journal), a
/// session that is not lent by [`poll_journal`](Self::poll_journal). Whoever writes them down before
/// acting on what follows them, and before writing a byte to the network, can
/// [`restore`](Self::restore) the session after a crash at any moment: no message that was accepted
/// is lost, and none of QoS 2 is delivered again once its entry was written. An application that
/// keeps what it makes of a message together with the entry has it exactly once, whatever happens.
///
/// [`snapshot`](Self::snapshot) is the shortest journal that restores the same session; write it in
/// the place of a long one now and then.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    limit: u16,
    /// Whether the peer has this session as well, as far as this side knows.
    present: bool,
    /// How many connections there were: receipts are good on their own only.
    pub(crate) connection: u32,
    /// Entries that were not taken yet, if anyone takes them.
    journal: Option<VecDeque<JournalEntry>>,
}

impl Session {
    /// Nothing sent and nothing received. At most `limit` messages wait or are in flight at the
    /// same time; each costs about 160 bytes and itself.
    #[must_use]
    pub const fn new(limit: u16) -> Self {
        Self {
            sender: Sender::new(limit),
            receiver: Receiver::new(),
            limit,
            present: false,
            connection: 0,
            journal: None,
        }
    }

    /// Says its changes as [`JournalEntry`]s from here on. They are kept until they are taken, each
    /// as large as a message.
    #[must_use]
    pub fn journaled(mut self) -> Self {
        self.journal.get_or_insert_default();
        self
    }

    /// The session that wrote these entries, all of them since it was new or its
    /// [`snapshot`](Self::snapshot) and all after that. Not journaled, whether the other one was or
    /// not.
    ///
    /// # Errors
    /// [`RestoreError`] if no session with this limit could have written them.
    pub fn restore(
        limit: u16,
        journal: impl IntoIterator<Item = JournalEntry>,
    ) -> Result<Self, RestoreError> {
        let mut session = Self::new(limit);
        for entry in journal {
            session.replay(entry)?;
        }
        Ok(session)
    }

    /// The same session, that takes no more while it has so many messages.
    #[cfg(feature = "std")]
    pub(crate) fn with_limit(mut self, limit: u16) -> Self {
        self.limit = limit;
        self.sender.set_limit(limit);
        self
    }

    /// What this entry did, once more.
    pub(crate) fn replay(&mut self, entry: JournalEntry) -> Result<(), RestoreError> {
        let (id, done) = match entry {
            JournalEntry::Accepted { id, publication, .. }
                if publication.qos == QoS::AtMostOnce =>
            {
                return Err(RestoreError::AtMostOnce(id));
            }
            JournalEntry::Accepted { .. } if self.sender.is_full() => {
                return Err(RestoreError::Limit(self.limit));
            }
            // Messages are sent in the order they were accepted.
            JournalEntry::Accepted { id, sent: true, .. } if self.sender.has_fresh() => (id, false),
            JournalEntry::Accepted { id, accepted, sent, publication } => {
                let restored = self.sender.restore(id, accepted, sent, publication);
                self.present |= restored && sent;
                return if restored { Ok(()) } else { Err(RestoreError::Taken(id)) };
            }
            JournalEntry::Finished { id } => {
                let ended = self.sender.end(id);
                return if ended { Ok(()) } else { Err(RestoreError::Unknown(id)) };
            }
            JournalEntry::PeerLost => {
                self.sender.lose_session(|_| {});
                self.receiver.clear();
                self.present = false;
                return Ok(());
            }
            JournalEntry::SessionPresent => {
                self.present = true;
                return Ok(());
            }
            JournalEntry::Sent { id } => (id, self.sender.restore_sent(id)),
            JournalEntry::Released { id } => (id, self.sender.restore_release(id)),
            JournalEntry::Held { id } => {
                self.receiver.hold(id);
                (id, true)
            }
            JournalEntry::Freed { id } => {
                self.receiver.release(id);
                (id, true)
            }
        };
        self.present |= done;
        if done { Ok(()) } else { Err(RestoreError::Unknown(id)) }
    }

    /// The shortest journal that [`restore`](Self::restore)s this session: an entry for each
    /// message, in the order they were accepted, for each PUBREL that is owed, in theirs, and for
    /// each identifier that is held; where there is none of what was sent or received, one that says
    /// whether the peer has this session.
    pub fn snapshot(&self) -> impl Iterator<Item = JournalEntry> {
        let sent = self.sender.messages().next().is_some_and(|held| held.sent)
            || self.sender.releases().next().is_some()
            || !self.receiver.held().is_empty();
        let present = (self.present && !sent).then_some(JournalEntry::SessionPresent);
        let messages = self.sender.messages().map(|held| JournalEntry::Accepted {
            id: held.id,
            accepted: held.accepted,
            sent: held.sent,
            publication: held.publication.clone(),
        });
        let releases = self.sender.releases().map(|id| JournalEntry::Released { id });
        let held = self.receiver.held().iter().map(|id| JournalEntry::Held { id });
        present.into_iter().chain(messages).chain(releases).chain(held)
    }

    /// The next change to be written down, if this session is [`journaled`](Self::journaled) and
    /// not lent.
    pub fn poll_journal(&mut self) -> Option<JournalEntry> {
        self.journal.as_mut()?.pop_front()
    }

    /// Queues a message of QoS 1 or 2 for the time when there is a connection.
    ///
    /// The message is kept as it is: [`detach`](Publication::detach) it first if it shares a read
    /// buffer.
    ///
    /// # Errors
    /// [`PublishError::NotConnected`] for QoS 0, [`PublishError::Full`],
    /// [`PublishError::TopicAlias`], [`PublishError::Encode`] if no packet can carry it with its
    /// properties.
    pub fn publish(
        &mut self,
        now: Instant,
        publication: Publication<Bytes>,
    ) -> Result<PacketId, PublishError> {
        if publication.qos == QoS::AtMostOnce {
            return Err(PublishError::NotConnected);
        }
        check(&publication)?;
        let recorded = self.journal.as_ref().map(|_| publication.clone());
        let id = self.sender.accept(now, publication).ok_or_else(|| self.full())?;
        if let Some(publication) = recorded {
            self.record(JournalEntry::Accepted { id, accepted: now, sent: false, publication });
        }
        Ok(id)
    }

    /// Gives up the messages that were never sent and whose Message Expiry Interval has passed
    /// [MQTT-3.3.2-5]; `expired` hears of each. Costs nothing before
    /// [`next_expiry`](Self::next_expiry).
    pub fn expire(&mut self, now: Instant, mut expired: impl FnMut(PacketId)) {
        let Self { sender, journal, .. } = self;
        sender.expire(now, |id| {
            if let Some(journal) = journal {
                journal.push_back(JournalEntry::Finished { id });
            }
            expired(id);
        });
    }

    /// No message expires before this; `None` if none ever does.
    #[must_use]
    pub const fn next_expiry(&self) -> Option<Instant> {
        self.sender.next_expiry()
    }

    /// Gives up the oldest message that was never sent: room for another one. `None` if all were
    /// sent.
    pub fn drop_oldest(&mut self) -> Option<PacketId> {
        let id = self.sender.drop_oldest()?;
        self.record(JournalEntry::Finished { id });
        Some(id)
    }

    /// Ends everything: `lost` hears of every message that waits or is in flight, and what was
    /// received and not released is forgotten. The session is as new.
    pub fn discard(&mut self, mut lost: impl FnMut(PacketId)) {
        self.lose_peer(&mut lost);
        while let Some(id) = self.drop_oldest() {
            lost(id);
        }
    }

    /// The topic names of the messages that were never sent, in their order.
    pub fn waiting(&self) -> impl Iterator<Item = (PacketId, &TopicName<Bytes>)> {
        self.sender.waiting().map(|held| (held.id, &held.publication.message.topic))
    }

    /// How many packet identifiers are in use: messages waiting or in flight, and requests.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.sender.taken() as usize
    }

    /// Whether the peer has this session as well, as far as this side knows: it has since a
    /// connection was accepted, unless it said that it lost the session, or was to.
    #[must_use]
    pub const fn is_present(&self) -> bool {
        self.present
    }

    /// What the exchange of this identifier awaits, if the message was sent.
    #[must_use]
    pub fn send_state(&self, id: PacketId) -> Option<SendState> {
        self.sender.send_state(id)
    }

    /// The QoS 2 messages that were delivered and not yet released.
    #[must_use]
    pub const fn received(&self) -> &PacketIdSet {
        self.receiver.held()
    }

    /// The message [`Sender::peek`] showed was sent.
    pub(crate) fn sent(&mut self, now: Instant) {
        let next = self.journal.as_ref().and_then(|_| self.sender.peek()).map(|next| next.id);
        if let (true, Some(journal), Some(id)) = (self.sender.sent(now), &mut self.journal, next) {
            match journal.back_mut() {
                Some(JournalEntry::Accepted { id: last, sent, .. }) if *last == id => *sent = true,
                _ => journal.push_back(JournalEntry::Sent { id }),
            }
        }
    }

    /// The message [`Sender::peek`] showed will never be sent.
    pub(crate) fn drop_unsent(&mut self, id: PacketId) {
        self.sender.drop_unsent();
        self.record(JournalEntry::Finished { id });
    }

    /// The QoS 2 message [`Sender::peek`] showed was sent before and will not be again, but its
    /// identifier is not free yet.
    pub(crate) fn abandon_unsent(&mut self, now: Instant, id: PacketId) {
        self.sender.abandon_unsent(now);
        self.record(JournalEntry::Released { id });
    }

    pub(crate) fn on_ack(&mut self, now: Instant, id: PacketId, input: AckInput) -> SendStep {
        let step = self.sender.on_ack(now, id, input);
        match step {
            SendStep::Finish => self.record(JournalEntry::Finished { id }),
            SendStep::Release => self.record(JournalEntry::Released { id }),
            _ => {}
        }
        step
    }

    pub(crate) fn hold(&mut self, id: PacketId) {
        self.receiver.hold(id);
        self.record(JournalEntry::Held { id });
    }

    pub(crate) fn release(&mut self, id: PacketId) {
        self.receiver.release(id);
        self.record(JournalEntry::Freed { id });
    }

    /// A connection begins on which both sides have this session.
    pub(crate) fn begin_connection(&mut self) {
        self.connection = self.connection.wrapping_add(1);
        if !self.present {
            self.present = true;
            self.record(JournalEntry::SessionPresent);
        }
    }

    /// What the peer does not know of, this side forgets as well (section 3.2.2.1.1).
    pub(crate) fn lose_peer(&mut self, lost: impl FnMut(PacketId)) {
        self.sender.lose_session(lost);
        self.receiver.clear();
        // Otherwise there was nothing to forget.
        if self.present {
            self.present = false;
            self.record(JournalEntry::PeerLost);
        }
    }

    /// Whether there is a message that was never sent.
    pub(crate) const fn has_waiting(&self) -> bool {
        self.sender.has_fresh()
    }

    /// Whether another message would be refused.
    pub(crate) const fn is_full(&self) -> bool {
        self.sender.is_full()
    }

    /// And how.
    pub(crate) const fn full(&self) -> PublishError {
        PublishError::Full { limit: self.limit }
    }

    fn record(&mut self, entry: JournalEntry) {
        if let Some(journal) = &mut self.journal {
            journal.push_back(entry);
        }
    }
}

/// That the message can be said, and so be written down as a packet.
fn check(publication: &Publication<Bytes>) -> Result<(), PublishError> {
    check_alias(&publication.message)?;
    let publish = publication.as_ref().into_publish(PacketId::MIN);
    publish.encoded_len(kept_version(publication))?;
    Ok(())
}

#[cfg(test)]
impl crate::model::Fingerprint for Session {
    fn print(&self, to: &mut crate::model::Print) {
        // The limit is the same in every state.
        let Self { sender, receiver, present, connection, journal, limit: _ } = self;
        to.of(sender);
        to.value(receiver.held());
        to.value(&(present, connection, journal.is_some()));
        assert!(journal.iter().flatten().next().is_none(), "not taken: {journal:?}");
    }
}
