//! Writes a whole file, in pieces, so that whoever has the bytes never copies many at a time.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::cancel::Cancel;
use super::failure::Failure;

/// Permissions of a new file, before the umask.
const DEFAULT_MODE: u32 = 0o666;
/// Names that are tried for the file that will be renamed.
const ATTEMPTS: u32 = 16;

/// Links that follow each other, at most: as many as the system follows.
const LINKS: u32 = 40;
/// What a new file takes over of the permissions of the one that it replaces: not set-user-ID and set-group-ID, since it
/// has another owner, or other content.
const KEPT_MODE: u32 = 0o1777;
/// How often a writer that waits for a reader looks whether anybody still wants that: 50 ms.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What to write, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where.
    pub path: PathBuf,
    /// Into another file of the same directory, which then takes its name.
    pub atomic: bool,
    /// Waits until it is on the disk.
    pub fsync: bool,
    /// Permissions of a new file, before the umask.
    pub mode: Option<u32>,
}

/// A file that is being written. When it is dropped before its end, an atomic one leaves nothing behind.
#[derive(Debug)]
pub struct Writing {
    target: Target,
    file: File,
    renamed: Option<Renamed>,
}

/// The file that will take the name.
#[derive(Debug)]
struct Renamed {
    from: PathBuf,
    to: PathBuf,
    done: bool,
}

impl Drop for Renamed {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.from);
        }
    }
}

impl Writing {
    /// Opens the file, or the one that will take its name.
    ///
    /// # Errors
    /// What the system says; `EINVAL` for an atomic write to what cannot be replaced: a FIFO, a device.
    pub fn begin(target: &Target) -> Result<Self, Failure> {
        let target = target.clone();
        if target.atomic { Self::beside(target) } else { Self::in_place(target) }
    }

    fn in_place(target: Target) -> Result<Self, Failure> {
        // Without blocking: a FIFO that nobody reads is an error (ENXIO) instead of a thread that waits.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(target.mode.unwrap_or(DEFAULT_MODE))
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(&target.path)
            .map_err(Failure::of("open", &target.path))?;
        Ok(Writing { target, file, renamed: None })
    }

    fn beside(target: Target) -> Result<Self, Failure> {
        let (to, before) = match fs::symlink_metadata(&target.path) {
            // A link keeps pointing at its file, which gets the new bytes.
            Ok(found) if found.file_type().is_symlink() => {
                let to = fs::canonicalize(&target.path)
                    .or_else(|_| destination(&target.path))
                    .map_err(Failure::of("realpath", &target.path))?;
                let before = fs::metadata(&to).ok();
                (to, before)
            }
            found => (target.path.clone(), found.ok()),
        };
        if let Some(before) = &before {
            let kind = before.file_type();
            if kind.is_dir() {
                return Err(Failure::system(Errno::ISDIR, "open", &target.path));
            }
            if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() || kind.is_socket() {
                return Err(Failure::system(Errno::INVAL, "rename", &target.path));
            }
        }
        let directory = match to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let (file, from) =
            fresh(directory, target.mode.unwrap_or(DEFAULT_MODE)).map_err(Failure::of("open", &target.path))?;
        let renamed = Renamed { from, to, done: false };
        if let (Some(before), None) = (before, target.mode) {
            // Whoever may read the old one may read the new one, and nobody else.
            let permissions = fs::Permissions::from_mode(before.mode() & KEPT_MODE);
            file.set_permissions(permissions).map_err(Failure::of("fchmod", &target.path))?;
        }
        Ok(Writing { target, file, renamed: Some(renamed) })
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// What the system says, and that it is aborted.
    pub fn append(&mut self, bytes: &[u8], cancel: &Cancel) -> Result<(), Failure> {
        let mut left = bytes;
        while !left.is_empty() {
            cancel.check()?;
            match self.file.write(left) {
                Ok(count) => left = left.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A FIFO that is full: its reader takes its time.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let _ = poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], Some(&LOOK_EVERY));
                }
                Err(error) => return Err(Failure::of("write", &self.target.path)(error)),
            }
        }
        Ok(())
    }

    /// Everything is written: gives the file its name.
    ///
    /// # Errors
    /// What the system says, and that it is aborted; then the old file stands as it was.
    pub fn finish(self, cancel: &Cancel) -> Result<(), Failure> {
        let Writing { target, file, renamed } = self;
        let path = target.path.as_path();
        if target.fsync {
            file.sync_all().map_err(Failure::of("fsync", path))?;
        }
        drop(file);
        let Some(mut renamed) = renamed else { return Ok(()) };
        cancel.check()?;
        fs::rename(&renamed.from, &renamed.to).map_err(Failure::of("rename", path))?;
        renamed.done = true;
        if target.fsync {
            // The name is on the disk when the directory is.
            let directory = renamed.to.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = File::open(directory.unwrap_or(Path::new("."))).map_err(Failure::of("open", path))?;
            directory.sync_all().map_err(Failure::of("fsync", path))?;
        }
        Ok(())
    }
}

/// Where a link leads to when nothing is there yet.
fn destination(link: &Path) -> std::io::Result<PathBuf> {
    let mut path = link.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(Errno::LOOP.into())
}

/// A new file in `directory`, under a name that nobody has.
fn fresh(directory: &Path, mode: u32) -> std::io::Result<(File, PathBuf)> {
    let mut attempts = 0;
    loop {
        let number = RandomState::new().build_hasher().finish();
        let path = directory.join(format!(".fasttunnel-{number:016x}.tmp"));
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempts < ATTEMPTS => attempts += 1,
            result => return result.map(|file| (file, path)),
        }
    }
}
