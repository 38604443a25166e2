//! What a journal asks of the operating system, and how a directory does it.

use std::{
    ffi::OsString,
    format,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

/// The files of one journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Journal,
    /// What is to take its place.
    New,
    /// What was damaged.
    Damaged(u8),
}

/// Where the files are. Each method is one step that a crash may come before or after.
pub(super) trait Disk {
    type File;
    type Reader: Read;

    /// The file of that name and its length, to be read; `None` if there is none.
    fn read(&mut self, name: Name) -> io::Result<Option<(Self::Reader, u64)>>;
    /// The file of that name, to be written behind its end.
    fn append(&mut self, name: Name) -> io::Result<Self::File>;
    /// An empty file of that name, whatever was there.
    fn create(&mut self, name: Name) -> io::Result<Self::File>;
    fn write(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    /// What was written survives a loss of power.
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;
    /// Takes the place of a file that has the name already.
    fn rename(&mut self, from: Name, to: Name) -> io::Result<()>;
    /// What was renamed survives a loss of power.
    fn sync_names(&mut self) -> io::Result<()>;
    fn exists(&mut self, name: Name) -> io::Result<bool>;
}

/// A directory, and the lock that nobody else has while this lives.
#[derive(Debug)]
pub(super) struct Directory {
    journal: PathBuf,
    lock: File,
}

/// Closing the file is not enough: a process that this one is just starting has it as well, until it
/// has become another program.
impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs4::FileExt::unlock(&self.lock);
    }
}

/// Why there is no [`Directory`].
pub(super) enum NoDirectory {
    Locked,
    Io(io::Error),
}

impl From<io::Error> for NoDirectory {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Directory {
    /// For the journal of this name. The lock is a file of its own, because the journal itself is
    /// replaced; it is never removed, or two processes could have a lock each.
    pub(super) fn lock(journal: &Path) -> Result<Self, NoDirectory> {
        let journal = absolute(journal)?;
        let lock =
            options().write(true).create(true).truncate(false).open(with(&journal, ".lock"))?;
        match fs4::FileExt::try_lock(&lock) {
            Ok(()) => Ok(Self { journal, lock }),
            Err(fs4::TryLockError::WouldBlock) => Err(NoDirectory::Locked),
            Err(fs4::TryLockError::Error(error)) => Err(NoDirectory::Io(error)),
        }
    }

    pub(super) fn path(&self, name: Name) -> PathBuf {
        match name {
            Name::Journal => self.journal.clone(),
            Name::New => with(&self.journal, ".new"),
            Name::Damaged(number) => with(&self.journal, &format!(".damaged-{number}")),
        }
    }
}

/// The same file for whoever asks and whatever becomes of the working directory. The file need not
/// exist, its directory must.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            Ok(fs::canonicalize(parent.unwrap_or_else(|| Path::new(".")))?.join(name))
        }
        path => path,
    }
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(path);
    path.push(suffix);
    path.into()
}

/// Messages are nobody else's affair.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl Disk for Directory {
    type File = File;
    type Reader = BufReader<File>;

    fn read(&mut self, name: Name) -> io::Result<Option<(Self::Reader, u64)>> {
        match File::open(self.path(name)) {
            Ok(file) => {
                let len = file.metadata()?.len();
                Ok(Some((BufReader::new(file), len)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn append(&mut self, name: Name) -> io::Result<File> {
        OpenOptions::new().append(true).open(self.path(name))
    }

    fn create(&mut self, name: Name) -> io::Result<File> {
        let file = options().write(true).create(true).truncate(true).open(self.path(name))?;
        // Whoever was allowed to look still is.
        match fs::metadata(&self.journal) {
            Ok(journal) => file.set_permissions(journal.permissions())?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(file)
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    /// Elsewhere than on Unix a directory cannot be synced, and renaming has to do.
    fn sync_names(&mut self) -> io::Result<()> {
        match self.journal.parent() {
            Some(parent) if cfg!(unix) => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    }

    fn exists(&mut self, name: Name) -> io::Result<bool> {
        fs::exists(self.path(name))
    }
}
