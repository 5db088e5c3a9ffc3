//! Which directories a walk enters, and how many entries it may meet.

use std::collections::HashSet;

use super::failure::Reason;

/// What a walk may do.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How deep it goes: 1 is the directory's own entries.
    pub max_depth: u32,
    /// How many entries it may meet.
    pub max_entries: u64,
    /// Whether links to directories are entered as well.
    pub follow_links: bool,
}

/// The kinds of entries, by the numbers that JavaScript knows (`lib/utilities/directories.ts`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File = 0,
    /// A directory.
    Directory = 1,
    /// A symbolic link.
    Symlink = 2,
    /// A FIFO.
    Fifo = 3,
    /// A socket.
    Socket = 4,
    /// A character device.
    CharacterDevice = 5,
    /// A block device.
    BlockDevice = 6,
    /// Something else.
    Other = 7,
}

/// What names a directory, however it is reached: device and inode.
pub type Identity = (u64, u64);

/// Decides; knows nothing of files.
#[derive(Debug)]
pub struct Plan {
    rules: Rules,
    entries: u64,
    /// Directories that were entered. Only links can lead to one of them again.
    entered: HashSet<Identity>,
}

impl Plan {
    /// A walk that starts in the directory of that identity.
    pub fn new(rules: Rules, root: Identity) -> Self {
        Plan { rules, entries: 0, entered: HashSet::from([root]) }
    }

    /// Whether links are looked through.
    pub fn follows_links(&self) -> bool {
        self.rules.follow_links
    }

    /// One more entry.
    ///
    /// # Errors
    /// That there are more than may be.
    pub fn count(&mut self) -> Result<(), Reason> {
        if self.entries >= self.rules.max_entries {
            return Err(Reason::TooMany(self.rules.max_entries));
        }
        self.entries += 1;
        Ok(())
    }

    /// Whether the walk goes into the entry that it has met at `depth`.
    pub fn enters(&mut self, kind: Kind, depth: u32, identity: Identity) -> bool {
        if kind != Kind::Directory || depth >= self.rules.max_depth {
            return false;
        }
        // Without links every directory is met once: there is nothing to remember.
        !self.rules.follow_links || self.entered.insert(identity)
    }
}
