//! A journal in a file, for clients on an operating system.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use mqtt_proto::EncodeError;

use super::{
    EntryError, JournalEntry, RestoreError,
    disk::{Directory, Name, NoDirectory},
    store::{AppendError, Flaw, OpenError, Store},
};
use crate::Session;

/// The journal of one session, in a file: what a client restarts from.
///
/// It belongs to one client identifier at one server. Whoever drives the client gives it every
/// [`ClientAction::Journal`](crate::ClientAction::Journal) in order with [`append`](Self::append),
/// and [`commit`](Self::commit)s before acting on what followed them and before writing a byte to
/// the network. That is once in each turn of the loop:
///
/// ```
/// use std::time::{Instant as Time, SystemTime};
///
/// use mqtt_session::{
///     Client, ClientAction, ClientOptions, Epoch, FileJournal, FileJournalError,
///     FileJournalOptions, SyncPolicy,
///     proto::{Publication, QoS, TopicName},
/// };
/// # use bytes::{Buf, BytesMut};
/// # use mqtt_session::{
/// #     Accept, Instant, Server, ServerAction, ServerConfig, Session,
/// #     proto::{ReasonCode, Status},
/// # };
///
/// /// What the session asks for, once it is written down; then there is nothing but to write.
/// fn act(client: &mut Client, journal: &mut FileJournal) -> Result<(), FileJournalError> {
///     let mut actions = Vec::new();
///     while let Some(action) = client.poll_action() {
///         match action {
///             ClientAction::Journal(entry) => journal.append(&entry)?,
///             action => actions.push(action),
///         }
///     }
///     journal.commit()?;
///     for action in actions {
///         // Here messages are delivered, and calls are told how they ended.
/// #       drop(action);
///     }
///     Ok(())
/// }
///
/// # /// The server's part: its connection, what it keeps of the client, and who got what.
/// # struct Peer { server: Server, kept: Option<Session>, delivered: Vec<String> }
/// # impl Peer {
/// #     fn connect(kept: Option<Session>, now: Instant) -> Self {
/// #         Self { server: Server::new(ServerConfig::default(), now), kept, delivered: Vec::new() }
/// #     }
/// #     /// Bytes came; what is to be written is in `transmit`.
/// #     fn input(&mut self, now: Instant, src: &mut BytesMut) {
/// #         while let Ok(Status::Ready(packet)) = self.server.decode_bytes(now, src) {
/// #             match self.server.handle_packet(now, packet) {
/// #                 Some(ServerAction::Connect(connect)) => {
/// #                     let kept = self.kept.take().filter(|_| !connect.fields().clean_start);
/// #                     let accept = Accept { session_present: kept.is_some(), ..Accept::default() };
/// #                     let session = kept.unwrap_or_else(|| Session::new(100));
/// #                     self.server.accept(now, session, &accept, |_, _| {}).unwrap();
/// #                 }
/// #                 Some(ServerAction::Publish(inbound)) => {
/// #                     let payload = inbound.publication().message.payload.to_vec();
/// #                     self.delivered.push(String::from_utf8(payload).unwrap());
/// #                     if let Some(receipt) = inbound.receipt() {
/// #                         self.server.acknowledge(now, receipt, ReasonCode::SUCCESS).unwrap();
/// #                     }
/// #                 }
/// #                 _ => {}
/// #             }
/// #         }
/// #     }
/// # }
/// # fn pass(from: &mut mqtt_session::Transmit, to: &mut BytesMut) -> bool {
/// #     let count = from.remaining();
/// #     to.extend_from_slice(from.chunk());
/// #     from.advance(count);
/// #     count > 0
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("thermometer.journal");
/// let options = || ClientOptions::new("thermometer").session_expiry(u32::MAX).journaled(true);
/// let durable = FileJournalOptions::new(SyncPolicy::Always);
/// // An epoch that outlives the process: messages go on to expire.
/// let epoch = Epoch::new(Time::now(), SystemTime::now());
/// let now = || epoch.instant(Time::now());
///
/// let (mut journal, restored) = FileJournal::open(&path, 1000, durable)?;
/// assert_eq!(restored.damage, None);
/// let mut client = Client::with_session(options(), restored.session)?;
/// client.handle_connected(now());
/// let message = Publication::new(TopicName::try_from("room/1")?, "21.5");
/// client.publish(now(), message.with_qos(QoS::ExactlyOnce))?;
/// act(&mut client, &mut journal)?;
/// # let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
/// # let mut peer = Peer::connect(None, now());
/// # // CONNECT, CONNACK, PUBLISH, and PUBREC is under way.
/// # pass(client.transmit(), &mut up);
/// # peer.input(now(), &mut up);
/// # pass(peer.server.transmit(), &mut down);
/// # client.handle_input(now(), &mut down);
/// # act(&mut client, &mut journal)?;
/// # pass(client.transmit(), &mut up);
/// # peer.input(now(), &mut up);
/// // The server has the message, and this process dies before it hears so.
/// drop((client, journal));
/// assert_eq!(peer.delivered, ["21.5"]);
///
/// let (mut journal, restored) = FileJournal::open(&path, 1000, durable)?;
/// let mut client = Client::with_session(options(), restored.session)?;
/// client.handle_connected(now());
/// # let delivered = std::mem::take(&mut peer.delivered);
/// # peer = Peer::connect(peer.server.take_session(), now());
/// # peer.delivered = delivered;
/// # (up, down) = (BytesMut::new(), BytesMut::new());
/// # loop {
/// #     act(&mut client, &mut journal)?;
/// #     let wrote = pass(client.transmit(), &mut up);
/// #     peer.input(now(), &mut up);
/// #     let answered = pass(peer.server.transmit(), &mut down);
/// #     client.handle_input(now(), &mut down);
/// #     if !wrote && !answered { break; }
/// # }
/// // It was sent again, with DUP, and the handshake is complete; nobody got it twice.
/// assert_eq!(peer.delivered, ["21.5"]);
/// assert_eq!(client.session().open(), 0);
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// After a crash at any moment, and within the [`SyncPolicy`], [`open`](Self::open) gives the session
/// with every entry that a commit has returned for, and either all or none of those of the commit
/// that was interrupted. Then of what the session was told:
///
/// * no message is lost that [`publish`](crate::Client::publish) took and a commit has returned for
///   since;
/// * such a message reaches the server once at QoS 2 and at least once at QoS 1, as long as the
///   server keeps its session;
/// * a message of QoS 2 that came in is not delivered again once its entry was committed. Whether
///   the application still knows of it is the application's affair:
///   [`manual_acknowledgement`](crate::ClientOptions::manual_acknowledgement) leaves the entry until
///   the application has the message safe, and then a crash between the two delivers it twice. Exactly
///   once takes a store that the application writes together with the entry, in one transaction;
///   [`JournalEntry::encode`] is for those, and this file is not one.
///
/// # Files
///
/// Beside the journal there are, with its name and a suffix, `.lock`, which is never removed; `.new`,
/// which takes the place of the journal when that has become too large, or is left of such an attempt;
/// and `.damaged-1` to `.damaged-8`, see [`Damage`]. All are for their owner alone (on Unix). To
/// forget a session for good, remove all of them while nobody has the journal open.
///
/// Reading a journal takes as much time as its size, which [`FileJournalOptions`] bound. Memory: a
/// second copy of the session, that shares its messages; the entries since the last commit; while it
/// is read or written anew 1 MiB and the largest message.
pub struct FileJournal {
    store: Store<Directory>,
}

/// What survives what.
///
/// There is no default: each costs something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncPolicy {
    /// Every commit waits until the disk says that it has the entries (`fdatasync`), which takes from
    /// a tenth of a millisecond to tens of them. Nothing is lost when the process dies, the operating
    /// system does or the power fails, as far as disks tell the truth.
    Always,
    /// Every commit hands the entries to the operating system, which takes microseconds. Nothing is
    /// lost when the process dies, however it does. When the operating system dies or the power fails,
    /// the last entries are lost, as many as it had not written: by default those of the last 30
    /// seconds on Linux, and nowhere is there a promise. The session is then older than what the server
    /// knows of it, which may cost more than those messages: see [`Damage`]. That this happened can
    /// not always be seen in the file.
    Process,
}

/// How a journal file is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileJournalOptions {
    /// See [`SyncPolicy`].
    pub sync: SyncPolicy,
    /// A file of no more bytes than this is never written anew; 1 MiB by default.
    pub compact_above: u64,
    /// A larger one is, when it is more than so many times as large as it need be for the session; 4 by
    /// default, at least 2. This happens within [`FileJournal::commit`], and is waited for whatever the
    /// policy is.
    pub compact_ratio: u32,
}

impl FileJournalOptions {
    /// With this policy, and the defaults.
    #[must_use]
    pub const fn new(sync: SyncPolicy) -> Self {
        Self { sync, compact_above: 1024 * 1024, compact_ratio: 4 }
    }
}

/// What [`FileJournal::open`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Restored {
    /// The session, [`journaled`](Session::journaled), for
    /// [`Client::with_session`](crate::Client::with_session) or
    /// [`ClientDriver::with_session`](crate::ClientDriver::with_session); a new one if there was no
    /// file.
    pub session: Session,
    /// What was wrong with the file, if anything. The session is as it was before that.
    pub damage: Option<Damage>,
}

/// A part of the file that could not be used: everything from an offset on.
///
/// [`DamageCause::Unfinished`] is what a crash leaves that came in the middle of a commit. What that
/// commit would have made safe was not acted upon, and nothing is amiss, unless the power failed under
/// [`SyncPolicy::Process`]. Anything else was promised to be there, and the damaged file is kept under
/// another name. Whole batches that are missing at the end leave no trace.
///
/// If promised entries are missing, the session is older than what the server knows. It can go on, and
/// that is what it does unless told otherwise, but what it says no longer holds: a message may come
/// twice or, where the other side still holds the identifier that it is given, be acknowledged and
/// never delivered. To have every message at least once instead, publish those of the
/// [`snapshot`](Session::snapshot) in a new [`Session`], which begins with a clean start (in 5.0), at
/// the cost of what the server holds for the old one:
///
/// ```
/// use mqtt_session::{Instant, JournalEntry, PublishError, Session};
///
/// fn begin_anew(damaged: &Session, now: Instant) -> Result<Session, PublishError> {
///     let mut session = Session::new(1000).journaled();
///     for entry in damaged.snapshot() {
///         if let JournalEntry::Accepted { accepted, publication, .. } = entry {
///             session.publish(accepted.min(now), publication)?;
///         }
///     }
///     Ok(session)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Where it begins, in bytes; everything before it was used.
    pub offset: u64,
    /// How many bytes of the file were not used.
    pub lost: u64,
    /// What was wrong there.
    pub cause: DamageCause,
    /// Where the file is now, if it was kept: there are at most 8 such files, and the last of them
    /// is replaced.
    pub kept: Option<PathBuf>,
}

/// What is wrong with a part of a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DamageCause {
    /// The file ends within it.
    #[error("the file ends within a batch")]
    Unfinished,
    /// It is not what was written.
    #[error("a checksum is wrong")]
    Checksum,
    /// This is how no journal begins.
    #[error("the file does not begin as a journal does")]
    Header,
    /// It was written like this, but is no entry: the writer's fault.
    #[error("{0}")]
    Entry(EntryError),
    /// It was written like this, but no session can have said so: the writer's fault.
    #[error("{0}")]
    Restore(RestoreError),
}

/// Why a journal file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileJournalError {
    /// Another process has it, or this one has it twice.
    #[error("{} is in use", .0.display())]
    Locked(PathBuf),
    /// A later version of this crate wrote it.
    #[error("{} has version {version} of the format, which is not known here", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The file system's fault.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it says.
        #[source]
        error: io::Error,
    },
    /// The caller's fault: an entry of another session, or one out of order.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The caller's fault: an entry of a message that no session takes.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl FileJournal {
    /// Opens the journal at `path`, or creates it in a directory that exists, and restores the session
    /// in it. The session takes no more messages while it has `limit` of them
    /// ([`ClientOptions::max_pending`](crate::ClientOptions::max_pending)); none that is there is lost
    /// for a lower limit.
    ///
    /// Whatever a file has in it is no reason to fail, see [`Restored::damage`].
    ///
    /// # Errors
    /// [`FileJournalError::Locked`], [`FileJournalError::Version`], [`FileJournalError::Io`].
    pub fn open(
        path: impl AsRef<Path>,
        limit: u16,
        options: FileJournalOptions,
    ) -> Result<(Self, Restored), FileJournalError> {
        let path = path.as_ref();
        let io = |error| FileJournalError::Io { path: path.to_path_buf(), error };
        let directory = Directory::lock(path).map_err(|error| match error {
            NoDirectory::Locked => FileJournalError::Locked(path.to_path_buf()),
            NoDirectory::Io(error) => io(error),
        })?;
        let (store, flaw) = Store::open(directory, options).map_err(|error| match error {
            OpenError::Io(error) => io(error),
            OpenError::Version(version) => {
                FileJournalError::Version { path: path.to_path_buf(), version }
            }
        })?;
        let session = store.session().clone().with_limit(limit).journaled();
        let damage = flaw.map(|Flaw { offset, lost, cause, kept }| {
            let kept = kept.map(|kept| store.disk().path(kept));
            Damage { offset, lost, cause, kept }
        });
        Ok((Self { store }, Restored { session, damage }))
    }

    /// Takes an entry, to be written with the next [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`FileJournalError::Restore`] and [`FileJournalError::Encode`] for an entry that the session of
    /// this journal has not written; nothing changed then.
    pub fn append(&mut self, entry: &JournalEntry) -> Result<(), FileJournalError> {
        self.store.append(entry).map_err(|error| match error {
            AppendError::Encode(error) => error.into(),
            AppendError::Restore(error) => error.into(),
        })
    }

    /// Writes what was appended, all of it or nothing (in parts if it is more than 1 MiB), and returns
    /// when it is as safe as the [`SyncPolicy`] says: it blocks, which not every thread may. Writes the
    /// file anew if it has become too large. Does nothing if there is nothing to do.
    ///
    /// # Errors
    /// [`FileJournalError::Io`]: nothing may be taken to be written that was appended since the last
    /// commit that returned without an error. Nothing is written to that file any more; the next commit
    /// tries to write all that should be in it to a new one.
    pub fn commit(&mut self) -> Result<(), FileJournalError> {
        self.store.commit().map_err(|error| FileJournalError::Io {
            path: self.store.disk().path(Name::Journal),
            error,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.store.disk().path(Name::Journal)
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.store.len()
    }
}

/// Where it is, and nothing of what is in it.
impl fmt::Debug for FileJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileJournal")
            .field("path", &self.path())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
