//! A disk in memory that dies, fails or loses power at every one of its steps.

use std::{
    cell::RefCell, collections::BTreeMap, format, io::Cursor, rc::Rc, string::String, vec, vec::Vec,
};

use bytes::Bytes;
use mqtt_proto::{PacketId, Publication, QoS, TopicName};

use super::*;
use crate::Instant;

type Names = BTreeMap<Name, usize>;

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// How many of them survive a loss of power for certain.
    synced: usize,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    /// Who has which name, since the names were synced last.
    names: Vec<Names>,
    /// Steps until it happens.
    left: Option<usize>,
    /// Whether only one step fails.
    recovers: bool,
    failed: bool,
}

#[derive(Clone, Debug)]
struct Memory(Rc<RefCell<State>>);

/// What is left of the bytes that were written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsynced {
    All,
    None,
    Half,
    Zeros,
}

const UNSYNCED: [Unsynced; 4] = [Unsynced::All, Unsynced::None, Unsynced::Half, Unsynced::Zeros];

impl Memory {
    fn empty() -> Self {
        Self::of(Vec::new(), Names::new())
    }

    fn of(files: Vec<Content>, names: Names) -> Self {
        let state = State { files, names: vec![names], ..State::default() };
        Self(Rc::new(RefCell::new(state)))
    }

    /// Fails at the step after so many: for ever, or once.
    fn fail_after(&self, steps: usize, recovers: bool) {
        let mut state = self.0.borrow_mut();
        (state.left, state.recovers) = (Some(steps), recovers);
    }

    fn failed(&self) -> bool {
        self.0.borrow().failed
    }

    fn step(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        match state.left {
            Some(0) => {
                state.failed = true;
                if state.recovers {
                    state.left = None;
                }
                Err(io::Error::other("as it was to be"))
            }
            left => {
                state.left = left.map(|left| left - 1);
                Ok(())
            }
        }
    }

    /// What the next process finds when this one was killed.
    fn after_kill(&self) -> Self {
        let state = self.0.borrow();
        Self::of(state.files.clone(), state.names.last().expect("one").clone())
    }

    /// What it may find when the power failed: file systems keep the order of what is done to names,
    /// and nothing else.
    fn after_power_loss(&self) -> Vec<Self> {
        let state = self.0.borrow();
        let of = |names: &Names, unsynced| {
            let files = state.files.iter().map(|file| {
                let (synced, len) = (file.synced, file.bytes.len());
                let mut bytes = file.bytes.clone();
                match unsynced {
                    Unsynced::All => {}
                    Unsynced::None => bytes.truncate(synced),
                    Unsynced::Half => bytes.truncate(synced.midpoint(len)),
                    Unsynced::Zeros => bytes[synced..].fill(0),
                }
                let synced = bytes.len();
                Content { bytes, synced }
            });
            Self::of(files.collect(), names.clone())
        };
        let names = state.names.iter();
        names.flat_map(|names| UNSYNCED.map(|unsynced| of(names, unsynced))).collect()
    }

    fn bytes(&self, name: Name) -> Option<Vec<u8>> {
        let state = self.0.borrow();
        let at = *state.names.last()?.get(&name)?;
        Some(state.files[at].bytes.clone())
    }

    fn change_name(&self, change: impl FnOnce(&mut Names)) {
        let mut state = self.0.borrow_mut();
        let mut names = state.names.last().expect("one").clone();
        change(&mut names);
        state.names.push(names);
    }
}

impl Disk for Memory {
    type File = usize;
    type Reader = Cursor<Vec<u8>>;

    fn read(&mut self, name: Name) -> io::Result<Option<(Self::Reader, u64)>> {
        self.step()?;
        Ok(self.bytes(name).map(|bytes| (Cursor::new(bytes.clone()), bytes.len() as u64)))
    }

    fn append(&mut self, name: Name) -> io::Result<usize> {
        self.step()?;
        let state = self.0.borrow();
        Ok(state.names.last().expect("one")[&name])
    }

    fn create(&mut self, name: Name) -> io::Result<usize> {
        self.step()?;
        let at = self.0.borrow().files.len();
        self.0.borrow_mut().files.push(Content::default());
        self.change_name(|names| {
            names.insert(name, at);
        });
        Ok(at)
    }

    fn write(&mut self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        let step = self.step();
        // Whoever dies here has written a part of it.
        let bytes = if step.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        self.0.borrow_mut().files[*file].bytes.extend_from_slice(bytes);
        step
    }

    fn sync(&mut self, file: &mut usize) -> io::Result<()> {
        self.step()?;
        let file = &mut self.0.borrow_mut().files[*file];
        file.synced = file.bytes.len();
        Ok(())
    }

    fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        self.step()?;
        self.change_name(|names| {
            let at = names.remove(&from).expect("it exists");
            names.insert(to, at);
        });
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.step()?;
        let names = &mut self.0.borrow_mut().names;
        names.drain(..names.len() - 1);
        Ok(())
    }

    fn exists(&mut self, name: Name) -> io::Result<bool> {
        self.step()?;
        Ok(self.0.borrow().names.last().expect("one").contains_key(&name))
    }
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

fn accepted(number: u16) -> JournalEntry {
    let topic = TopicName::try_from("t").expect("a topic name");
    let payload = Bytes::from(format!("message {number}"));
    let publication = Publication::new(topic, payload).with_qos(QoS::ExactlyOnce);
    let accepted = Instant::from_micros(number.into());
    JournalEntry::Accepted { id: id(number), accepted, sent: false, publication }
}

/// Entries by the commit that they are written with: three messages are open at a time.
fn script() -> Vec<Vec<JournalEntry>> {
    let mut script = vec![vec![JournalEntry::SessionPresent]];
    for number in 1..=12 {
        script.push(vec![accepted(number), JournalEntry::Sent { id: id(number) }]);
        if number > 2 {
            script.push(vec![JournalEntry::Released { id: id(number - 2) }]);
        }
        if number > 3 {
            script.push(vec![JournalEntry::Finished { id: id(number - 3) }]);
        }
        script.push(vec![JournalEntry::Held { id: id(number) }]);
    }
    script
}

/// As they are after each of the commits, beginning with none.
fn states(script: &[Vec<JournalEntry>]) -> Vec<Vec<JournalEntry>> {
    (0..=script.len())
        .map(|count| {
            let session = Session::restore(100, script[..count].iter().flatten().cloned());
            session.expect("a journal").snapshot().collect()
        })
        .collect()
}

/// Small enough that the file is written anew several times.
fn options(sync: SyncPolicy) -> FileJournalOptions {
    FileJournalOptions { sync, compact_above: 200, compact_ratio: 2 }
}

fn open(disk: &Memory, sync: SyncPolicy) -> Result<(Store<Memory>, Option<Flaw>), OpenError> {
    Store::open(disk.clone(), options(sync))
}

fn snapshot(store: &Store<Memory>) -> Vec<JournalEntry> {
    store.session().snapshot().collect()
}

/// Commits it until something fails; how many commits there were, and the last that made a new file.
fn run(store: &mut Store<Memory>, script: &[Vec<JournalEntry>]) -> (usize, usize) {
    let mut anew = 0;
    for (at, entries) in script.iter().enumerate() {
        let generation = store.generation;
        for entry in entries {
            store.append(entry).expect("an entry of this session");
        }
        if store.commit().is_err() {
            return (at, anew);
        }
        if store.generation != generation {
            anew = at + 1;
        }
    }
    (script.len(), anew)
}

/// The session is that after one of these commits, and goes on from there.
fn check(disk: &Memory, sync: SyncPolicy, expected: std::ops::RangeInclusive<usize>, told: &str) {
    let script = script();
    let states = states(&script);
    let (mut store, _) = open(disk, sync).expect("nothing fails");
    let found = snapshot(&store);
    let at = expected.clone().find(|&at| states[at] == found);
    let at = at.unwrap_or_else(|| panic!("{told}: not after {expected:?} commits: {found:?}"));
    assert_eq!(run(&mut store, &script[at..]).0, script.len() - at, "{told}");
    let (store, flaw) = open(&disk.after_kill(), sync).expect("nothing fails");
    assert_eq!((snapshot(&store), flaw), (states[script.len()].clone(), None), "{told}");
}

/// Runs the script with a failure at each step in turn. What was committed by then, and when the last
/// file was made.
fn fail_everywhere(sync: SyncPolicy, mut then: impl FnMut(&Memory, usize, usize, &str)) {
    let script = script();
    for steps in 0.. {
        let told = format!("{sync:?}, failed at step {steps}");
        let disk = Memory::empty();
        disk.fail_after(steps, false);
        let (committed, anew) = match open(&disk, sync) {
            Ok((mut store, _)) => run(&mut store, &script),
            Err(_) => (0, 0),
        };
        if !disk.failed() {
            assert!(steps > script.len() + 20 && anew > 20, "{told}: {anew}");
            return;
        }
        then(&disk, committed, anew, &told);
    }
}

#[test]
fn a_kill_at_any_step_loses_nothing_that_was_committed() {
    for sync in [SyncPolicy::Always, SyncPolicy::Process] {
        fail_everywhere(sync, |disk, committed, _, told| {
            // What was about to be committed may be there.
            let most = (committed + 1).min(script().len());
            check(&disk.after_kill(), sync, committed..=most, told);
            let (_, flaw) = open(&disk.after_kill(), sync).expect("nothing fails");
            let cause = flaw.map(|flaw| flaw.cause);
            assert!(matches!(cause, None | Some(DamageCause::Unfinished)), "{told}: {cause:?}");
        });
    }
}

#[test]
fn a_loss_of_power_at_any_step_loses_nothing_that_was_synced() {
    for sync in [SyncPolicy::Always, SyncPolicy::Process] {
        fail_everywhere(sync, |disk, committed, anew, told| {
            let least = if sync == SyncPolicy::Always { committed } else { anew };
            let most = (committed + 1).min(script().len());
            for (number, disk) in disk.after_power_loss().into_iter().enumerate() {
                check(&disk, sync, least..=most, &format!("{told}, remains {number}"));
            }
        });
    }
}

#[test]
fn a_first_file_that_was_never_finished_is_none() {
    let (head, _) = header(1);
    for len in 0..HEADER {
        let content = Content { synced: len, bytes: head[..len].to_vec() };
        let disk = Memory::of(vec![content], Names::from([(Name::New, 0)]));
        let (store, flaw) = open(&disk, SyncPolicy::Always).expect("nothing fails");
        assert_eq!((snapshot(&store), flaw), (Vec::new(), None), "{len}");
    }
}

#[test]
fn after_a_failure_the_next_commit_writes_everything() {
    let script = script();
    let states = states(&script);
    let sync = SyncPolicy::Always;
    for steps in 0.. {
        let mut failed = false;
        // At once, or with what comes next.
        for at_once in [true, false] {
            let told = format!("failed at step {steps}, again at once: {at_once}");
            let disk = Memory::empty();
            let (mut store, _) = open(&disk, sync).expect("nothing fails");
            disk.fail_after(steps, true);
            for (at, entries) in script.iter().enumerate() {
                for entry in entries {
                    store.append(entry).expect("an entry of this session");
                }
                if store.commit().is_err() {
                    assert!(!std::mem::replace(&mut failed, true) || !at_once, "{told}");
                    if !at_once {
                        continue;
                    }
                    store.commit().unwrap_or_else(|error| panic!("{told}: {error}"));
                }
                let (other, flaw) = open(&disk.after_kill(), sync).expect("nothing fails");
                assert_eq!((snapshot(&other), flaw), (states[at + 1].clone(), None), "{told}");
            }
        }
        if !failed {
            return;
        }
    }
}

#[test]
fn what_is_more_than_a_batch_is_several() {
    let disk = Memory::empty();
    let (mut store, _) = open(&disk, SyncPolicy::Always).expect("nothing fails");
    let mut entries = Vec::new();
    for number in 1..=5 {
        let JournalEntry::Accepted { id, accepted, sent, mut publication } = accepted(number)
        else {
            panic!("a message");
        };
        publication.message.payload = Bytes::from(vec![number as u8; 700_000]);
        entries.push(JournalEntry::Accepted { id, accepted, sent, publication });
    }
    for entry in &entries {
        store.append(entry).expect("an entry of this session");
    }
    store.commit().expect("nothing fails");
    // Once as it was committed, and once as it was written anew.
    for _ in 0..2 {
        let bytes = disk.bytes(Name::Journal).expect("a file");
        let mut reader = Reader::new(&bytes[..], bytes.len() as u64);
        reader.header().expect("a header");
        let batches = std::iter::from_fn(|| reader.batch().expect("no damage").map(<[u8]>::len));
        let sizes: Vec<_> = batches.collect();
        assert!(sizes.len() > 2 && sizes.iter().all(|&size| size < 2_000_000), "{sizes:?}");
        let (other, flaw) = open(&disk.after_kill(), SyncPolicy::Always).expect("nothing fails");
        assert_eq!((snapshot(&other), flaw), (entries.clone(), None));
        store.rewrite(None).expect("nothing fails");
    }
}

/// A disk with this file and no other.
fn disk_of(bytes: &[u8]) -> Memory {
    let content = Content { synced: bytes.len(), bytes: bytes.to_vec() };
    Memory::of(vec![content], Names::from([(Name::Journal, 0)]))
}

/// A file of the whole script with one bit turned in the middle of it.
fn damaged() -> Vec<u8> {
    let (mut bytes, _) = one_file();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[test]
fn a_crash_while_a_damaged_file_is_put_aside_loses_neither_it_nor_what_was_good() {
    let sync = SyncPolicy::Always;
    let bytes = damaged();
    let disk = disk_of(&bytes);
    let (store, flaw) = open(&disk.after_kill(), sync).expect("nothing fails");
    let flaw = flaw.expect("damage");
    assert_eq!((flaw.cause, flaw.kept), (DamageCause::Checksum, Some(Name::Damaged(1))));
    assert_eq!(flaw.offset + flaw.lost, bytes.len() as u64);
    let good = snapshot(&store);
    for steps in 0.. {
        let disk = disk.after_kill();
        disk.fail_after(steps, false);
        let opened = open(&disk, sync).is_ok();
        if opened {
            assert!(steps > 7 && !disk.failed());
            return;
        }
        for left in disk.after_power_loss().into_iter().chain([disk.after_kill()]) {
            let told = format!("failed at step {steps}: {left:?}");
            let (store, _) = open(&left, sync).expect("nothing fails");
            assert_eq!(snapshot(&store), good, "{told}");
            assert_eq!(left.bytes(Name::Damaged(1)).as_ref(), Some(&bytes), "{told}");
        }
    }
}

#[test]
fn no_more_than_eight_damaged_files_are_kept() {
    let sync = SyncPolicy::Always;
    let bytes = damaged();
    let disk = disk_of(&bytes);
    for round in 1..=MAX_DAMAGED + 2 {
        let damaged = bytes.iter().copied().chain([round]).collect::<Vec<_>>();
        let mut state = disk.0.borrow_mut();
        state.files.push(Content { synced: damaged.len(), bytes: damaged.clone() });
        let at = state.files.len() - 1;
        state.names.last_mut().expect("one").insert(Name::Journal, at);
        drop(state);
        let (_, flaw) = open(&disk, sync).expect("nothing fails");
        let kept = flaw.expect("damage").kept.expect("kept");
        assert_eq!(kept, Name::Damaged(round.min(MAX_DAMAGED)));
        assert_eq!(disk.bytes(kept), Some(damaged));
    }
}

/// A file of these entries, in one batch each, whatever they say.
fn written(entries: &[JournalEntry]) -> Memory {
    let (head, checksum) = header(1);
    let (mut bytes, mut batches) = (head.to_vec(), Batches::behind(checksum));
    for entry in entries {
        batches.push(entry).expect("it can be encoded");
        batches.close();
    }
    bytes.extend_from_slice(batches.closed());
    disk_of(&bytes)
}

#[test]
fn a_batch_that_no_session_has_written_is_not_used_in_part() {
    let (head, checksum) = header(1);
    let (mut bytes, mut batches) = (head.to_vec(), Batches::behind(checksum));
    batches.push(&accepted(1)).expect("an entry");
    batches.close();
    let good = (HEADER + batches.closed().len()) as u64;
    batches.push(&accepted(2)).expect("an entry");
    batches.push(&accepted(1)).expect("an entry");
    batches.close();
    bytes.extend_from_slice(batches.closed());
    let disk = disk_of(&bytes);
    let (store, flaw) = open(&disk, SyncPolicy::Always).expect("nothing fails");
    assert_eq!(snapshot(&store), [accepted(1)]);
    let flaw = flaw.expect("damage");
    assert_eq!(flaw.cause, DamageCause::Restore(RestoreError::Taken(id(1))));
    assert_eq!(flaw.offset, good);
}

#[test]
fn an_entry_of_another_session_is_refused_and_changes_nothing() {
    let disk = written(&[accepted(1)]);
    let (mut store, flaw) = open(&disk, SyncPolicy::Always).expect("nothing fails");
    assert_eq!(flaw, None);
    for wrong in
        [accepted(1), JournalEntry::Sent { id: id(7) }, JournalEntry::Finished { id: id(2) }]
    {
        assert!(matches!(store.append(&wrong), Err(AppendError::Restore(_))), "{wrong:?}");
    }
    store.commit().expect("nothing fails");
    let (store, flaw) = open(&disk, SyncPolicy::Always).expect("nothing fails");
    assert_eq!((snapshot(&store), flaw), (vec![accepted(1)], None));
}

#[test]
fn a_later_version_is_left_as_it_is() {
    let (mut head, _) = header(1);
    head[8] = 2;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..16]);
    head[16..].copy_from_slice(&hasher.finalize().to_le_bytes());
    let disk = disk_of(&head);
    assert!(matches!(open(&disk, SyncPolicy::Always), Err(OpenError::Version(2))));
    assert_eq!(disk.bytes(Name::Journal), Some(head.to_vec()));
}

#[test]
fn a_file_is_written_anew_once_it_is_large_and_not_worth_it() {
    let disk = Memory::empty();
    let options = options(SyncPolicy::Process);
    let (mut store, _) = Store::open(disk.clone(), options).expect("nothing fails");
    let (mut largest, mut rewritten) = (0, 0);
    for number in 0..2_000u16 {
        let generation = store.generation;
        for entry in [accepted(1), JournalEntry::Finished { id: id(1) }] {
            store.append(&entry).expect("an entry of this session");
            store.commit().expect("nothing fails");
            largest = largest.max(store.len());
        }
        rewritten += usize::from(store.generation != generation);
        assert_eq!(
            store.len(),
            disk.bytes(Name::Journal).expect("a file").len() as u64,
            "{number}"
        );
    }
    // Above the limit for one batch, and rewritten with every third message or so.
    assert!(largest < options.compact_above + 100, "{largest}");
    assert!((400..1_500).contains(&rewritten), "{rewritten}");
    // What is worth its size stays: the work is in proportion to what is appended.
    let generation = store.generation;
    for number in 1..=1_000 {
        store.append(&accepted(number)).expect("an entry of this session");
        store.commit().expect("nothing fails");
    }
    assert!(store.generation - generation <= 1, "{}", store.generation - generation);
    let _: String = format!("{store:?}");
}

/// The script in one file, and its size after each commit, beginning with none.
fn one_file() -> (Vec<u8>, Vec<u64>) {
    let disk = Memory::empty();
    let large = FileJournalOptions::new(SyncPolicy::Always);
    let (mut store, _) = Store::open(disk.clone(), large).expect("nothing fails");
    let mut sizes = vec![store.len()];
    for entries in &script() {
        run(&mut store, std::slice::from_ref(entries));
        sizes.push(store.len());
    }
    (disk.bytes(Name::Journal).expect("a file"), sizes)
}

/// What is good before this byte is used, and nothing else; the rest is reported, and kept aside unless
/// it was never finished.
fn check_damaged(sizes: &[u64], bytes: &[u8], at: u64, unfinished: bool) {
    let (script, states) = (script(), states(&script()));
    let whole = sizes.iter().filter(|&&size| size <= at).count().saturating_sub(1);
    let disk = disk_of(bytes);
    let large = FileJournalOptions::new(SyncPolicy::Always);
    let (mut store, flaw) = Store::open(disk.clone(), large).expect("nothing fails");
    assert_eq!(snapshot(&store), states[whole], "byte {at}");
    let offset = if at < HEADER as u64 { 0 } else { sizes[whole] };
    let lost = bytes.len() as u64 - offset;
    // A file of nothing is none that was ever finished.
    if lost == 0 && !bytes.is_empty() {
        assert_eq!(flaw, None, "byte {at}");
    } else {
        let flaw = flaw.unwrap_or_else(|| panic!("byte {at}: no damage"));
        assert_eq!((flaw.offset, flaw.lost), (offset, lost), "byte {at}");
        let cause = match (unfinished, at < HEADER as u64) {
            (true, _) => DamageCause::Unfinished,
            (false, true) => DamageCause::Header,
            (false, false) => DamageCause::Checksum,
        };
        assert_eq!(flaw.cause, cause, "byte {at}");
        let kept = (!unfinished).then_some(Name::Damaged(1));
        assert_eq!(flaw.kept, kept, "byte {at}");
        assert_eq!(kept.and_then(|kept| disk.bytes(kept)), kept.map(|_| bytes.to_vec()));
    }
    // It goes on from there, and what was damaged is reported once.
    assert_eq!(run(&mut store, &script[whole..]).0, script.len() - whole, "byte {at}");
    let (store, flaw) = Store::open(disk.after_kill(), large).expect("nothing fails");
    assert_eq!((snapshot(&store), flaw), (states[script.len()].clone(), None), "byte {at}");
}

#[test]
fn a_file_cut_after_any_byte_loses_the_batch_that_was_cut_and_what_followed_it() {
    let (bytes, sizes) = one_file();
    assert!(sizes.len() > 40);
    for len in 0..bytes.len() {
        check_damaged(&sizes, &bytes[..len], len as u64, true);
    }
}

#[test]
fn a_file_with_any_bit_turned_loses_the_batch_it_is_in_and_what_followed_it() {
    let (bytes, sizes) = one_file();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            check_damaged(&sizes, &damaged, at as u64, false);
        }
    }
}
