//! Reads a whole file.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::cancel::Cancel;
use super::failure::{Failure, Reason};
use super::outcome::{Outcome, Step};
use super::stream::Stream;

/// Up to here a file is read at once; for a larger one, whoever wants it gives the memory.
const AT_ONCE: u64 = 64 * 1024;
/// Bytes that are read between two looks at whether anybody still wants them.
const PIECE: usize = 8 * 1024 * 1024;

/// How many bytes may be read.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Of a regular file, whose size is known.
    pub regular: u64,
    /// Of anything else: a FIFO, a device.
    pub other: u64,
}

/// Reads the file at `path`; what is not a regular file is read in the background.
pub fn read(path: &Path, most: Most, cancel: &Cancel) -> Step {
    match begin(path, most, cancel) {
        Ok(step) => step,
        Err(failure) => Step::Done(Outcome::Failed(failure)),
    }
}

fn begin(path: &Path, most: Most, cancel: &Cancel) -> Result<Step, Failure> {
    cancel.check()?;
    // Without blocking: opening a FIFO waits for a writer otherwise. Regular files do not care.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = open(path, flags, Mode::empty()).map_err(Failure::of("open", path))?;
    let stat = fstat(&fd).map_err(Failure::of("fstat", path))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let size = stat.st_size.unsigned_abs();
            if size > most.regular {
                return Err(Failure::own(Reason::TooLarge(most.regular), path));
            }
            let file = OpenFile { fd, path: path.to_owned(), size, most: most.regular };
            let outcome = if size > AT_ONCE { Outcome::Opened(file) } else { Outcome::Bytes(file.read(cancel)?) };
            Ok(Step::Done(outcome))
        }
        FileType::Directory => Err(Failure::system(Errno::ISDIR, "read", path)),
        _ => Ok(Step::Watch(Box::new(Stream::new(fd, path.to_owned(), to_usize(most.other))))),
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A regular file that is open, with the size that it had then. It may grow or shrink; those of `/proc` are larger than they say.
#[derive(Debug)]
pub struct OpenFile {
    fd: OwnedFd,
    path: PathBuf,
    size: u64,
    most: u64,
}

/// How a file was read into memory of somebody else's.
#[derive(Debug, PartialEq, Eq)]
pub struct Filled {
    /// Bytes that stand in the memory.
    pub count: usize,
    /// And those that follow them, when the file has grown.
    pub rest: Vec<u8>,
}

impl OpenFile {
    /// The size that it had.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads it into `memory`, and what is more than that into memory of our own.
    ///
    /// # Errors
    /// What the system says, that there are too many bytes, and that it is aborted.
    pub fn fill(&self, memory: &mut [u8], cancel: &Cancel) -> Result<Filled, Failure> {
        let mut count = 0;
        while count < memory.len() {
            cancel.check()?;
            let end = memory.len().min(count.saturating_add(PIECE));
            match rustix::io::read(&self.fd, &mut memory[count..end]) {
                Ok(0) => return Ok(Filled { count, rest: Vec::new() }),
                Ok(more) => count += more,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Failure::system(errno, "read", &self.path)),
            }
        }
        let mut rest = Vec::new();
        self.append(&mut rest, count as u64, cancel)?;
        Ok(Filled { count, rest })
    }

    fn read(&self, cancel: &Cancel) -> Result<Vec<u8>, Failure> {
        let size = to_usize(self.size);
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            match rustix::io::read(&self.fd, spare_capacity(&mut bytes)) {
                Ok(0) => return Ok(bytes),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Failure::system(errno, "read", &self.path)),
            }
        }
        self.append(&mut bytes, 0, cancel)?;
        Ok(bytes)
    }

    /// Reads what is left behind `bytes`, `before` which there were others.
    fn append(&self, bytes: &mut Vec<u8>, before: u64, cancel: &Cancel) -> Result<(), Failure> {
        let mut piece = [0_u8; 4096];
        loop {
            cancel.check()?;
            match rustix::io::read(&self.fd, &mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    bytes.try_reserve(count).map_err(|_| Failure::system(Errno::NOMEM, "read", &self.path))?;
                    bytes.extend_from_slice(&piece[..count]);
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Failure::system(errno, "read", &self.path)),
            }
            if before + bytes.len() as u64 > self.most {
                return Err(Failure::own(Reason::TooLarge(self.most), &self.path));
            }
        }
    }
}
