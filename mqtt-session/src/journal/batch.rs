//! Batches of entries in a file.
//!
//! ```text
//! header   "mqttjrnl" | version u32 | generation u32 | checksum u32
//! batch    length u32 | checksum u32 | entries, `length` bytes of them | checksum u32
//! ```
//!
//! Numbers are little endian. A checksum is the CRC-32 of what lies between it and the one before,
//! begun with the one before: a batch is good in its place only, behind those it was written behind,
//! in a file of this generation. The length has one of its own, so that a file that ends inside of a
//! batch is told from one whose length is wrong.

use std::{
    io::{self, Read},
    vec::Vec,
};

use mqtt_proto::EncodeError;

use super::{DamageCause, JournalEntry};

/// The size of the header.
pub(super) const HEADER: usize = 20;
/// What a batch takes beside its entries.
const AROUND: usize = 12;
/// A batch is closed when its entries have more bytes than this.
const LARGE: usize = 1024 * 1024;
/// What the buffer keeps once it was written.
const KEPT: usize = 64 * 1024;

const MAGIC: [u8; 8] = *b"mqttjrnl";
const VERSION: u32 = 1;

/// The header of a file of this generation, and its checksum.
pub(super) fn header(generation: u32) -> ([u8; HEADER], u32) {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&generation.to_le_bytes());
    let checksum = checksum(0, &header[..16]);
    header[16..].copy_from_slice(&checksum.to_le_bytes());
    (header, checksum)
}

fn checksum(before: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(bytes);
    hasher.finalize()
}

/// Batches on their way to the end of a file.
#[derive(Debug)]
pub(super) struct Batches {
    bytes: Vec<u8>,
    /// Where the batch begins that is not closed yet.
    open: Option<usize>,
    /// The last checksum.
    checksum: u32,
}

impl Batches {
    /// To be written behind what has this checksum.
    pub(super) const fn behind(checksum: u32) -> Self {
        Self { bytes: Vec::new(), open: None, checksum }
    }

    pub(super) fn push(&mut self, entry: &JournalEntry) -> Result<(), EncodeError> {
        let start = *self.open.get_or_insert(self.bytes.len());
        if start == self.bytes.len() {
            self.bytes.extend_from_slice(&[0; 8]);
        }
        entry.encode(&mut self.bytes)?;
        if self.bytes.len() - start > LARGE {
            self.close();
        }
        Ok(())
    }

    /// Ends the batch: what follows is another one.
    pub(super) fn close(&mut self) {
        let Some(start) = self.open.take() else {
            return;
        };
        // A batch has at most one entry beyond `LARGE`, of at most 256 MiB.
        let len = ((self.bytes.len() - start - 8) as u32).to_le_bytes();
        let head = checksum(self.checksum, &len);
        self.bytes[start..start + 4].copy_from_slice(&len);
        self.bytes[start + 4..start + 8].copy_from_slice(&head.to_le_bytes());
        self.checksum = checksum(head, &self.bytes[start + 8..]);
        self.bytes.extend_from_slice(&self.checksum.to_le_bytes());
    }

    /// What is closed; everything, after [`close`](Self::close).
    pub(super) fn closed(&self) -> &[u8] {
        &self.bytes[..self.open.unwrap_or(self.bytes.len())]
    }

    /// What is closed was written.
    pub(super) fn written(&mut self) {
        let closed = self.closed().len();
        self.bytes.drain(..closed);
        self.open = self.open.map(|_| 0);
        self.bytes.shrink_to(KEPT);
    }
}

/// The batches of a file, in order.
#[derive(Debug)]
pub(super) struct Reader<R> {
    src: R,
    /// How much of the file is not read yet.
    left: u64,
    /// The size of the header and of all batches that were good.
    good: u64,
    checksum: u32,
    entries: Vec<u8>,
}

/// Why reading ended before the end of the file.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file could not be read.
    Io(io::Error),
    /// It is of another version of the format.
    Version(u32),
    Damage(DamageCause),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<R: Read> Reader<R> {
    /// Of a file of `len` bytes.
    pub(super) const fn new(src: R, len: u64) -> Self {
        Self { src, left: len, good: 0, checksum: 0, entries: Vec::new() }
    }

    /// The generation of the file; to be called first.
    pub(super) fn header(&mut self) -> Result<u32, Stop> {
        let mut header = [0; HEADER];
        self.read(&mut header)?;
        let [version, generation, found] = [8, 12, 16].map(|at| number(&header[at..]));
        self.checksum = checksum(0, &header[..16]);
        if header[..8] != MAGIC || found != self.checksum {
            return Err(Stop::Damage(DamageCause::Header));
        }
        if version != VERSION {
            return Err(Stop::Version(version));
        }
        self.good = HEADER as u64;
        Ok(generation)
    }

    /// The entries of the next batch, `None` at the end of the file.
    pub(super) fn batch(&mut self) -> Result<Option<&[u8]>, Stop> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut head = [0; 8];
        self.read(&mut head)?;
        let len = number(&head);
        let checked = checksum(self.checksum, &head[..4]);
        if checked != number(&head[4..]) {
            return Err(Stop::Damage(DamageCause::Checksum));
        }
        if self.left < u64::from(len) + 4 {
            return Err(Stop::Damage(DamageCause::Unfinished));
        }
        // It is there: no more is allocated than the file has.
        self.entries.resize(len as usize, 0);
        self.left -= u64::from(len);
        self.src.read_exact(&mut self.entries)?;
        let mut tail = [0; 4];
        self.read(&mut tail)?;
        let checked = checksum(checked, &self.entries);
        if checked != number(&tail) {
            return Err(Stop::Damage(DamageCause::Checksum));
        }
        self.checksum = checked;
        Ok(Some(&self.entries))
    }

    /// The entries of the last batch were good as well.
    pub(super) fn accept(&mut self) {
        self.good += (self.entries.len() + AROUND) as u64;
    }

    /// How much of the file is good.
    pub(super) const fn good(&self) -> u64 {
        self.good
    }

    /// The checksum of the last batch.
    pub(super) const fn checksum(&self) -> u32 {
        self.checksum
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Stop> {
        if self.left < buffer.len() as u64 {
            return Err(Stop::Damage(DamageCause::Unfinished));
        }
        self.left -= buffer.len() as u64;
        Ok(self.src.read_exact(buffer)?)
    }
}

/// The number at the start of `bytes`.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |number| u32::from_le_bytes(*number))
}
