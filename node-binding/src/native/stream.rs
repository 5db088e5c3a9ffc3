//! Reads what is not a regular file: FIFOs, terminals, devices. Others may keep it waiting for as long as they like.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use super::failure::{Failure, Reason};
use super::outcome::Outcome;
use super::output::{Gathered, gather};
use super::watch::Watched;

/// Gathers bytes until their end.
pub struct Stream {
    fd: OwnedFd,
    path: PathBuf,
    bytes: Vec<u8>,
    most: usize,
    /// A FIFO that nobody has opened yet looks like one at its end.
    begun: bool,
}

impl Stream {
    /// Reads at most `most` bytes from `fd`, which does not block.
    pub fn new(fd: OwnedFd, path: PathBuf, most: usize) -> Self {
        Stream { fd, path, bytes: Vec::new(), most, begun: false }
    }

    fn go_on(&mut self) -> Option<Result<Outcome, Failure>> {
        match gather(&self.fd, &mut self.bytes, self.most) {
            Ok(Gathered::Waiting) => None,
            Ok(Gathered::Ended) => Some(Ok(Outcome::Bytes(std::mem::take(&mut self.bytes)))),
            Ok(Gathered::TooMuch) => Some(Err(Failure::own(Reason::TooLarge(self.most as u64), &self.path))),
            Err(errno) => Some(Err(Failure::system(errno, "read", &self.path))),
        }
    }
}

impl Watched for Stream {
    fn polls<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(&self.fd, PollFlags::IN));
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn advance(&mut self, _now: Instant, cancelled: bool) -> Option<Outcome> {
        if cancelled {
            return Some(Outcome::Failed(Failure::aborted()));
        }
        // The first time it has only been inserted; from then on it is called when there is something to read.
        if !std::mem::replace(&mut self.begun, true) {
            return None;
        }
        self.go_on().map(|result| result.unwrap_or_else(Outcome::Failed))
    }
}
