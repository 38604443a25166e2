//! A journal on a disk, whatever a disk is.

use std::io;

use super::{
    DamageCause, FileJournalOptions, JournalEntry, RestoreError, SyncPolicy,
    batch::{Batches, HEADER, Reader, Stop, header},
    disk::{Disk, Name},
};
use crate::Session;

/// How many damaged files are kept aside; the last is replaced by later ones.
pub(super) const MAX_DAMAGED: u8 = 8;

/// The file, and the session that it restores.
#[derive(Debug)]
pub(super) struct Store<D: Disk> {
    disk: D,
    options: FileJournalOptions,
    /// What the entries come to, with those that are still in `batches`.
    session: Session,
    /// Nothing is written any more to a file that failed: the next commit makes a new one.
    file: Option<D::File>,
    generation: u32,
    len: u64,
    batches: Batches,
    /// The size at which to see whether the file is too large.
    check_at: u64,
}

/// What was wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) offset: u64,
    pub(super) lost: u64,
    pub(super) cause: DamageCause,
    /// The name that the file has now.
    pub(super) kept: Option<Name>,
}

#[derive(Debug)]
pub(super) enum OpenError {
    Io(io::Error),
    Version(u32),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A file that was read.
struct Found {
    session: Session,
    generation: u32,
    len: u64,
    checksum: u32,
    flaw: Option<Flaw>,
}

impl<D: Disk> Store<D> {
    /// Reads what is there. A damaged file is replaced by one of what was good in it.
    pub(super) fn open(
        mut disk: D,
        options: FileJournalOptions,
    ) -> Result<(Self, Option<Flaw>), OpenError> {
        let mut found = find(&mut disk, Name::Journal)?;
        if found.is_none() {
            // A crash between two renames leaves the file under its other name.
            found = find(&mut disk, Name::New)?.filter(|found| found.flaw.is_none());
            if found.is_some() {
                disk.rename(Name::New, Name::Journal)?;
                disk.sync_names()?;
            }
        }
        let exists = found.is_some();
        let found = found.unwrap_or_else(Found::nothing);
        let Found { session, generation, len, checksum, mut flaw } = found;
        let batches = Batches::behind(checksum);
        let check_at = options.compact_above;
        let mut store =
            Self { disk, options, session, file: None, generation, len, batches, check_at };
        match &mut flaw {
            None if exists => store.file = Some(store.disk.append(Name::Journal)?),
            None => store.rewrite(None)?,
            Some(flaw) => {
                flaw.kept = store.name_for_damaged(flaw.cause)?;
                store.rewrite(flaw.kept)?;
            }
        }
        Ok((store, flaw))
    }

    /// What the entries come to.
    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    pub(super) const fn disk(&self) -> &D {
        &self.disk
    }

    /// The size of the file.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// The entry is to be written with the next commit. Nothing changed if it cannot be.
    pub(super) fn append(&mut self, entry: &JournalEntry) -> Result<(), AppendError> {
        entry.encoded_len()?;
        self.session.replay(entry.clone())?;
        // Otherwise the next commit writes down the session.
        if self.file.is_some() {
            self.batches.push(entry)?;
        }
        Ok(())
    }

    /// Writes what was appended.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        self.batches.close();
        let Some(mut file) = self.file.take() else {
            return self.rewrite(None);
        };
        let bytes = self.batches.closed();
        if !bytes.is_empty() {
            let written =
                self.disk.write(&mut file, bytes).and_then(|()| match self.options.sync {
                    SyncPolicy::Always => self.disk.sync(&mut file),
                    SyncPolicy::Process => Ok(()),
                });
            self.len += bytes.len() as u64;
            self.batches.written();
            written?;
        }
        self.file = Some(file);
        self.compact()
    }

    /// Writes the file anew if it is much larger than it need be.
    fn compact(&mut self) -> io::Result<()> {
        if self.len <= self.check_at {
            return Ok(());
        }
        let snapshot = self.session.snapshot().filter_map(|entry| entry.encoded_len().ok());
        let worth = (HEADER + snapshot.sum::<usize>()) as u64;
        let limit = self.ratio(worth);
        if self.len <= limit {
            self.check_at = limit;
            return Ok(());
        }
        // If it fails, not with every commit.
        self.check_at = self.len.saturating_mul(2);
        self.rewrite(None)
    }

    /// How large a file may be that is worth so many bytes.
    fn ratio(&self, worth: u64) -> u64 {
        worth.saturating_mul(self.options.compact_ratio.max(2).into())
    }

    /// Puts a file of nothing but the session in the place of the one there is, which is kept under
    /// another name if one is given. It is there at every moment, one or the other, if not under its
    /// own name then under that of [`Name::New`].
    fn rewrite(&mut self, kept: Option<Name>) -> io::Result<()> {
        let generation = self.generation.wrapping_add(1);
        let (header, checksum) = header(generation);
        let mut file = self.disk.create(Name::New)?;
        self.disk.write(&mut file, &header)?;
        let mut len = header.len() as u64;
        let mut batches = Batches::behind(checksum);
        let mut snapshot = self.session.snapshot();
        loop {
            let entry = snapshot.next();
            match &entry {
                Some(entry) => batches.push(entry).map_err(io::Error::other)?,
                None => batches.close(),
            }
            if !batches.closed().is_empty() {
                self.disk.write(&mut file, batches.closed())?;
                len += batches.closed().len() as u64;
                batches.written();
            }
            if entry.is_none() {
                break;
            }
        }
        drop(snapshot);
        self.disk.sync(&mut file)?;
        // An open file cannot be replaced everywhere.
        self.file = None;
        if let Some(kept) = kept {
            self.disk.rename(Name::Journal, kept)?;
        }
        self.disk.rename(Name::New, Name::Journal)?;
        self.disk.sync_names()?;
        self.check_at = self.ratio(len).max(self.options.compact_above);
        (self.file, self.generation, self.len, self.batches) =
            (Some(file), generation, len, batches);
        Ok(())
    }

    /// What only ends too early was never promised: nothing of it is kept.
    fn name_for_damaged(&mut self, cause: DamageCause) -> io::Result<Option<Name>> {
        if cause == DamageCause::Unfinished {
            return Ok(None);
        }
        for number in 1..MAX_DAMAGED {
            if !self.disk.exists(Name::Damaged(number))? {
                return Ok(Some(Name::Damaged(number)));
            }
        }
        Ok(Some(Name::Damaged(MAX_DAMAGED)))
    }
}

/// An entry that cannot be written.
#[derive(Debug)]
pub(super) enum AppendError {
    Encode(mqtt_proto::EncodeError),
    Restore(RestoreError),
}

impl From<mqtt_proto::EncodeError> for AppendError {
    fn from(error: mqtt_proto::EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<RestoreError> for AppendError {
    fn from(error: RestoreError) -> Self {
        Self::Restore(error)
    }
}

impl Found {
    fn nothing() -> Self {
        let session = Session::new(u16::MAX);
        Self { session, generation: 0, len: 0, checksum: 0, flaw: None }
    }
}

/// Reads a file as far as it is good.
fn find<D: Disk>(disk: &mut D, name: Name) -> Result<Option<Found>, OpenError> {
    let mut bad = None;
    loop {
        let Some((src, len)) = disk.read(name)? else {
            return Ok(None);
        };
        let mut reader = Reader::new(src, len);
        let mut found = Found::nothing();
        match read(&mut reader, &mut found, bad) {
            Ok(()) => {}
            Err(Stop::Io(error)) => return Err(error.into()),
            Err(Stop::Version(version)) => return Err(OpenError::Version(version)),
            // A batch counts whole or not at all: once more, without it.
            Err(Stop::Damage(cause @ (DamageCause::Entry(_) | DamageCause::Restore(_))))
                if bad.is_none() =>
            {
                bad = Some((reader.good(), cause));
                continue;
            }
            Err(Stop::Damage(cause)) => {
                let (offset, lost) = (reader.good(), len - reader.good());
                found.flaw = Some(Flaw { offset, lost, cause, kept: None });
            }
        }
        found.len = reader.good();
        found.checksum = reader.checksum();
        return Ok(Some(found));
    }
}

/// Up to the first batch that is not good, which is known if some of it was read before.
fn read<R: io::Read>(
    reader: &mut Reader<R>,
    found: &mut Found,
    bad: Option<(u64, DamageCause)>,
) -> Result<(), Stop> {
    found.generation = reader.header()?;
    loop {
        if let Some((offset, cause)) = bad
            && offset == reader.good()
        {
            return Err(Stop::Damage(cause));
        }
        let Some(mut entries) = reader.batch()? else {
            return Ok(());
        };
        while !entries.is_empty() {
            let entry = JournalEntry::decode(&mut entries);
            let entry = entry.map_err(|error| Stop::Damage(DamageCause::Entry(error)))?;
            let replayed = found.session.replay(entry);
            replayed.map_err(|error| Stop::Damage(DamageCause::Restore(error)))?;
        }
        reader.accept();
    }
}

#[cfg(test)]
mod tests;
