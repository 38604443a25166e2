//! A journal in a file that is cut, damaged, fought over, and whose writer is killed.
#![cfg(feature = "std")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bytes::Bytes;
use mqtt_session::{
    DamageCause, FileJournal, FileJournalError, FileJournalOptions, Instant, JournalEntry,
    RestoreError, Restored, Session, SyncPolicy,
    proto::{PacketId, Publication, QoS, TopicName},
};
use tempfile::TempDir;

const LIMIT: u16 = 1000;
/// How many messages are open at a time.
const OPEN: u64 = 20;

/// What is written with the commit of this number: a message, and the end of an older one.
fn entries(number: u64) -> Vec<JournalEntry> {
    let id = |number| PacketId::new((number % 100) as u16 + 1).expect("not 0");
    let topic = TopicName::try_from("t").expect("a topic name");
    let payload = Bytes::from(format!("message {number}"));
    let mut entries = vec![JournalEntry::Accepted {
        id: id(number),
        accepted: Instant::from_micros(number),
        sent: false,
        publication: Publication::new(topic, payload).with_qos(QoS::AtLeastOnce),
    }];
    if let Some(older) = number.checked_sub(OPEN) {
        entries.push(JournalEntry::Finished { id: id(older) });
    }
    entries
}

/// The session after so many commits.
fn state(count: u64) -> Vec<JournalEntry> {
    (count.saturating_sub(OPEN)..count).map(|number| entries(number).swap_remove(0)).collect()
}

fn snapshot(session: &Session) -> Vec<JournalEntry> {
    session.snapshot().collect()
}

/// How many commits a session has seen.
fn count(session: &Session) -> u64 {
    let count = match snapshot(session).last() {
        Some(JournalEntry::Accepted { accepted, .. }) => accepted.as_micros() + 1,
        Some(entry) => panic!("what is {entry:?}?"),
        None => 0,
    };
    assert_eq!(snapshot(session), state(count));
    count
}

fn commit(journal: &mut FileJournal, number: u64) {
    for entry in entries(number) {
        journal.append(&entry).expect("an entry of this session");
    }
    journal.commit().expect("room on the disk");
}

fn options() -> FileJournalOptions {
    FileJournalOptions::new(SyncPolicy::Process)
}

fn open(path: &Path) -> (FileJournal, Restored) {
    FileJournal::open(path, LIMIT, options()).expect("a journal or none")
}

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("room on the disk");
    let path = directory.path().join("journal");
    (directory, path)
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("as we chose");
    let mut names: Vec<_> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

/// A file of 40 commits, and its size after each, beginning with none.
fn written() -> (Vec<u8>, Vec<u64>) {
    let (_directory, path) = directory();
    let (mut journal, _) = open(&path);
    let mut sizes = vec![journal.size()];
    for number in 0..40 {
        commit(&mut journal, number);
        sizes.push(journal.size());
    }
    (fs::read(&path).expect("a file"), sizes)
}

#[test]
fn a_journal_goes_on_where_it_was_left() {
    let (directory, path) = directory();
    for number in 0..50 {
        let (mut journal, restored) = open(&path);
        assert_eq!(restored.damage, None);
        assert_eq!(count(&restored.session), number);
        commit(&mut journal, number);
        // What was appended only is not there.
        journal.append(&JournalEntry::SessionPresent).expect("an entry of this session");
    }
    assert_eq!(names(&directory), ["journal", "journal.lock"]);
}

#[test]
fn the_restored_session_says_its_changes() {
    let (_directory, path) = directory();
    let (mut journal, Restored { mut session, .. }) = open(&path);
    let [JournalEntry::Accepted { publication, .. }] = &entries(0)[..] else { panic!("a message") };
    session.publish(Instant::ZERO, publication.clone()).expect("room");
    let entry = session.poll_journal().expect("it is journaled");
    journal.append(&entry).expect("an entry of this session");
    journal.commit().expect("room on the disk");
    drop(journal);
    let (_, restored) = open(&path);
    assert_eq!(snapshot(&restored.session), snapshot(&session));
}

#[test]
fn a_lower_limit_loses_nothing_and_takes_no_more() {
    let (_directory, path) = directory();
    let (mut journal, _) = open(&path);
    (0..OPEN).for_each(|number| commit(&mut journal, number));
    drop(journal);
    let (mut journal, restored) = FileJournal::open(&path, 5, options()).expect("a journal");
    assert_eq!(count(&restored.session), OPEN);
    let mut session = restored.session;
    let JournalEntry::Accepted { publication, .. } = entries(0).swap_remove(0) else { panic!() };
    assert!(session.publish(Instant::ZERO, publication).is_err());
    commit(&mut journal, OPEN);
}

#[test]
fn only_one_has_the_journal() {
    let (_directory, path) = directory();
    let (mut journal, _) = open(&path);
    let again = FileJournal::open(&path, LIMIT, options());
    assert!(
        matches!(&again, Err(FileJournalError::Locked(locked)) if *locked == path),
        "{again:?}"
    );
    // The one that has it was not disturbed, not even by its other name.
    #[cfg(unix)]
    {
        let link = path.with_file_name("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        let again = FileJournal::open(&link, LIMIT, options());
        assert!(matches!(again, Err(FileJournalError::Locked(_))), "{again:?}");
    }
    commit(&mut journal, 0);
    drop(journal);
    let (_, restored) = open(&path);
    assert_eq!(count(&restored.session), 1);
}

#[test]
fn a_file_that_was_cut_goes_on_with_what_is_whole() {
    let (bytes, sizes) = written();
    for (whole, sizes) in sizes.windows(2).enumerate() {
        let (directory, path) = directory();
        fs::write(&path, &bytes[..sizes[1] as usize - 1]).expect("room on the disk");
        let (mut journal, restored) = open(&path);
        assert_eq!(count(&restored.session), whole as u64);
        let damage = restored.damage.expect("it is reported");
        assert_eq!((damage.offset, damage.lost), (sizes[0], sizes[1] - 1 - sizes[0]));
        assert_eq!((damage.cause, damage.kept), (DamageCause::Unfinished, None));
        commit(&mut journal, whole as u64);
        drop(journal);
        let (_, restored) = open(&path);
        assert_eq!((count(&restored.session), restored.damage), (whole as u64 + 1, None));
        assert_eq!(names(&directory), ["journal", "journal.lock"]);
    }
}

#[test]
fn a_file_that_was_damaged_is_kept_aside() {
    let (bytes, sizes) = written();
    for (whole, sizes) in sizes.windows(2).enumerate() {
        let (directory, path) = directory();
        let mut damaged = bytes.clone();
        damaged[sizes[1] as usize - 5] ^= 0x10;
        fs::write(&path, &damaged).expect("room on the disk");
        let (mut journal, restored) = open(&path);
        assert_eq!(count(&restored.session), whole as u64);
        let damage = restored.damage.expect("it is reported");
        assert_eq!((damage.offset, damage.cause), (sizes[0], DamageCause::Checksum));
        assert_eq!(damage.lost, bytes.len() as u64 - sizes[0]);
        let kept = damage.kept.expect("it is kept");
        assert_eq!(fs::read(kept).expect("a file"), damaged);
        commit(&mut journal, whole as u64);
        drop(journal);
        let (_, restored) = open(&path);
        assert_eq!((count(&restored.session), restored.damage), (whole as u64 + 1, None));
        assert_eq!(names(&directory), ["journal", "journal.damaged-1", "journal.lock"]);
    }
}

#[test]
fn what_is_no_journal_is_kept_aside_as_well() {
    for bytes in [&b"a letter to the editor, of more than twenty bytes"[..], &[0; 4096]] {
        let (_directory, path) = directory();
        fs::write(&path, bytes).expect("room on the disk");
        let (_, restored) = open(&path);
        assert_eq!(count(&restored.session), 0);
        let damage = restored.damage.expect("it is reported");
        assert_eq!((damage.offset, damage.cause), (0, DamageCause::Header));
        assert_eq!(fs::read(damage.kept.expect("it is kept")).expect("a file"), bytes);
    }
}

#[test]
fn what_an_attempt_to_write_it_anew_has_left_is_no_journal() {
    let (bytes, _) = written();
    let (_directory, path) = directory();
    fs::write(&path, &bytes).expect("room on the disk");
    let new = path.with_file_name("journal.new");
    fs::write(&new, &bytes[..bytes.len() / 2]).expect("room on the disk");
    let (mut journal, restored) = open(&path);
    assert_eq!((count(&restored.session), restored.damage), (40, None));
    // Until it is written anew, over what was left.
    let options = FileJournalOptions { compact_above: 100, ..options() };
    drop(journal);
    (journal, _) = FileJournal::open(&path, LIMIT, options).expect("a journal");
    (40..200).for_each(|number| commit(&mut journal, number));
    assert!(journal.size() < 8_000, "{}", journal.size());
    assert_eq!(journal.size(), fs::metadata(journal.path()).expect("a file").len());
    assert!(!new.exists());
    drop(journal);
    let (_, restored) = open(&path);
    assert_eq!((count(&restored.session), restored.damage), (200, None));
}

#[test]
fn an_entry_of_another_session_is_refused() {
    let (_directory, path) = directory();
    let (mut journal, _) = open(&path);
    commit(&mut journal, 0);
    let id = PacketId::new(1).expect("not 0");
    let refused = journal.append(&entries(0)[0]);
    assert!(
        matches!(refused, Err(FileJournalError::Restore(RestoreError::Taken(taken))) if taken == id),
        "{refused:?}"
    );
    commit(&mut journal, 1);
    drop(journal);
    let (_, restored) = open(&path);
    assert_eq!((count(&restored.session), restored.damage), (2, None));
}

#[cfg(unix)]
#[test]
fn a_commit_that_fails_is_made_up_for_by_the_next() {
    let (directory, path) = directory();
    let hidden = directory.path().join("hidden");
    fs::create_dir(&hidden).expect("room on the disk");
    let path = hidden.join(path.file_name().expect("a name"));
    let options = FileJournalOptions { compact_above: 0, ..options() };
    let (mut journal, _) = FileJournal::open(&path, LIMIT, options).expect("none yet");
    // The directory is gone when the file is to be written anew.
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&hidden, &elsewhere).expect("a directory");
    let mut failed = 0;
    for number in 0..200 {
        entries(number).iter().for_each(|entry| journal.append(entry).expect("of this session"));
        failed += u32::from(journal.commit().is_err());
    }
    assert!(failed > 0, "it was never written anew");
    fs::rename(&elsewhere, &hidden).expect("a directory");
    commit(&mut journal, 200);
    drop(journal);
    let (_, restored) = open(&path);
    assert_eq!((count(&restored.session), restored.damage), (201, None));
}

#[cfg(unix)]
#[test]
fn messages_are_for_their_owner_alone_unless_told_otherwise() {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let (_directory, path) = directory();
    let (journal, _) = open(&path);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_file_name("journal.lock")), 0o600);
    drop(journal);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
    let options = FileJournalOptions { compact_above: 0, ..options() };
    let (mut journal, _) = FileJournal::open(&path, LIMIT, options).expect("a journal");
    (0..100).for_each(|number| commit(&mut journal, number));
    assert!(journal.size() < 4_000, "it was never written anew");
    assert_eq!(mode(&path), 0o640);
}

const CHILD: &str = "MQTT_SESSION_JOURNAL_CHILD";

/// Not a test of its own: the process that `a_process_that_is_killed_loses_nothing` kills.
#[test]
fn child() {
    let Some(path) = env::var_os(CHILD) else {
        return;
    };
    let options = FileJournalOptions { compact_above: 4096, ..options() };
    let opened = FileJournal::open(PathBuf::from(path), LIMIT, options);
    let (mut journal, restored) = opened.expect("nobody else has it");
    let first = count(&restored.session);
    let mut stdout = std::io::stdout();
    for number in first..first + 1_000_000 {
        commit(&mut journal, number);
        writeln!(stdout, "committed {number}").expect("somebody listens");
    }
}

#[test]
fn a_process_that_is_killed_loses_nothing() {
    let (_directory, path) = directory();
    let mut known = 0;
    for round in 0..12 {
        let mut child = Command::new(env::current_exe().expect("this one"))
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut committed = lines.map_while(Result::ok).filter_map(|line| {
            line.split_once("committed ")
                .map(|(_, number)| number.parse::<u64>().expect("a number"))
        });
        // It would end by itself if nobody listened any more.
        let last = committed.by_ref().take(50 + 137 * round).last().expect("it commits");
        let locked = FileJournal::open(&path, LIMIT, options());
        assert!(matches!(locked, Err(FileJournalError::Locked(_))), "round {round}");
        child.kill().expect("it lives");
        child.wait().expect("it is ours");
        let (_, restored) = open(&path);
        let count = count(&restored.session);
        assert!(count > last && last >= known, "{count} after {last} after {known}");
        // A commit may have been interrupted, and nothing else.
        let cause = restored.damage.map(|damage| damage.cause);
        assert!(matches!(cause, None | Some(DamageCause::Unfinished)), "{cause:?}");
        known = count;
    }
}
