//! Lists directories, breadth first: one of them is open at a time, and those to come are known by their paths.

use std::collections::VecDeque;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, open, statat};
use rustix::io::Errno;

use super::cancel::Cancel;
use super::failure::Failure;
use super::walk_plan::{Kind, Plan, Rules};

/// Numbers of an entry in [`Batch::rows`]: directory, kind, size, modified.
pub const PER_ENTRY: usize = 4;
/// Entries between two looks at whether anybody still wants them.
const LOOK_EVERY: usize = 256;

/// Entries, as they cross to JavaScript: few large values instead of many small ones.
#[derive(Debug, Default)]
pub struct Batch {
    /// The names, each with a zero behind it. What is not UTF-8 in them is U+FFFD.
    pub names: String,
    /// [`PER_ENTRY`] numbers an entry.
    pub rows: Vec<f64>,
    /// The directories of which `rows` tells, each with a zero behind it, as `names`.
    pub directories: String,
    /// Entries whose path is not UTF-8, by their place, with its bytes.
    pub raw: Vec<(u32, Vec<u8>)>,
    /// There are no more.
    pub ended: bool,
}

/// A directory whose entries are read.
struct Open {
    path: PathBuf,
    dir: Dir,
    depth: u32,
    /// Its place in the batch's directories.
    place: Option<usize>,
}

/// A walk that has begun, or has not yet.
pub struct Walk {
    rules: Rules,
    root: PathBuf,
    plan: Option<Plan>,
    open: Option<Open>,
    waiting: VecDeque<(PathBuf, u32)>,
}

impl Walk {
    /// A walk through `root`, which is not opened before the first batch is asked for.
    pub fn new(root: PathBuf, rules: Rules) -> Self {
        Walk { rules, root, plan: None, open: None, waiting: VecDeque::new() }
    }

    /// There will be no further entries.
    pub fn close(&mut self) {
        self.open = None;
        self.waiting = VecDeque::new();
    }

    /// The next entries, at most `most`.
    ///
    /// # Errors
    /// What the system says, that there are too many entries, and that it is aborted.
    pub fn next(&mut self, most: usize, cancel: &Cancel) -> Result<Batch, Failure> {
        cancel.check()?;
        let mut batch = Batch::default();
        if self.plan.is_none() {
            let (dir, plan) = start(&self.root, self.rules)?;
            self.plan = Some(plan);
            self.open = Some(Open { path: self.root.clone(), dir, depth: 1, place: None });
        }
        if let Some(open) = &mut self.open {
            open.place = None;
        }
        let mut directories = 0;
        let mut count = 0;
        while count < most {
            let Some(open) = &mut self.open else {
                let Some((path, depth)) = self.waiting.pop_front() else {
                    batch.ended = true;
                    break;
                };
                cancel.check()?;
                self.open = enter(&path, self.rules.follow_links)?.map(|dir| Open { path, dir, depth, place: None });
                continue;
            };
            let Some(entry) = open.dir.read() else {
                self.open = None;
                continue;
            };
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::NOENT | Errno::SRCH) => {
                    self.open = None;
                    continue;
                }
                Err(errno) => return Err(Failure::system(errno, "scandir", &open.path)),
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Some(plan) = &mut self.plan else { break };
            let Some(stat) = look(&open.dir, name, plan.follows_links()).map_err(Failure::of("lstat", &open.path))?
            else {
                continue;
            };
            plan.count().map_err(|reason| Failure::own(reason, &self.root))?;
            let place = *open.place.get_or_insert_with(|| {
                push(&mut batch.directories, open.path.as_os_str().as_bytes());
                directories += 1;
                directories - 1
            });
            let kind = kind_of(&stat);
            push(&mut batch.names, name.to_bytes());
            batch.rows.extend::<[f64; PER_ENTRY]>([
                place as f64,
                f64::from(kind as u8),
                stat.st_size as f64,
                modified_ms(&stat),
            ]);
            let enters = plan.enters(kind, open.depth, (stat.st_dev, stat.st_ino));
            let is_text = name.to_str().is_ok() && open.path.to_str().is_some();
            if enters || !is_text {
                let path = open.path.join(OsStr::from_bytes(name.to_bytes()));
                if !is_text {
                    batch.raw.push((count as u32, path.as_os_str().as_bytes().to_vec()));
                }
                if enters {
                    self.waiting.push_back((path, open.depth + 1));
                }
            }
            count += 1;
            if count % LOOK_EVERY == 0 {
                cancel.check()?;
            }
        }
        Ok(batch)
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn start(root: &Path, rules: Rules) -> Result<(Dir, Plan), Failure> {
    let fd = open(root, DIRECTORY, Mode::empty()).map_err(Failure::of("scandir", root))?;
    let stat = fstat(&fd).map_err(Failure::of("fstat", root))?;
    let dir = Dir::new(fd).map_err(Failure::of("scandir", root))?;
    Ok((dir, Plan::new(rules, (stat.st_dev, stat.st_ino))))
}

/// Opens a directory that was met. Nothing when it has gone meanwhile, or is another thing now.
fn enter(path: &Path, follow_links: bool) -> Result<Option<Dir>, Failure> {
    let flags = if follow_links { DIRECTORY } else { DIRECTORY | OFlags::NOFOLLOW };
    match open(path, flags, Mode::empty()) {
        Ok(fd) => Dir::new(fd).map(Some).map_err(Failure::of("scandir", path)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::SRCH) => Ok(None),
        Err(errno) => Err(Failure::system(errno, "scandir", path)),
    }
}

/// What an entry is. Nothing when it has gone meanwhile.
fn look(dir: &Dir, name: &CStr, follow_links: bool) -> Result<Option<Stat>, Errno> {
    let fd = dir.fd()?;
    if follow_links && let Ok(stat) = statat(fd, name, AtFlags::empty()) {
        return Ok(Some(stat));
    }
    // Also a link that leads nowhere, or in a circle.
    match statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        // Of a process that has ended, /proc says ESRCH.
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn push(text: &mut String, bytes: &[u8]) {
    text.push_str(&String::from_utf8_lossy(bytes));
    text.push('\0');
}

fn kind_of(stat: &Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharacterDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => Kind::Other,
    }
}

fn modified_ms(stat: &Stat) -> f64 {
    stat.st_mtime as f64 * 1e3 + stat.st_mtime_nsec as f64 / 1e6
}
