//! What becomes of an operation.

use super::command::Ended;
use super::failure::Failure;
use super::read::{Filled, OpenFile};
use super::walk::Batch;
use super::watch::Watched;

/// Memory of somebody else's, which goes back to the thread that it comes from.
pub trait Memory: AsMut<[u8]> + Send {}

impl<T: AsMut<[u8]> + Send> Memory for T {}

/// How an operation has ended.
pub enum Outcome {
    /// A file's bytes.
    Bytes(Vec<u8>),
    /// A file is open, for whose bytes memory is wanted.
    Opened(OpenFile),
    /// That memory is filled, or was not, for a reason.
    Filled(Box<dyn Memory>, Result<Filled, Failure>),
    /// There is nothing to tell.
    Done,
    /// Entries of directories.
    Entries(Batch),
    /// A command has ended, by itself or not.
    Command(Box<Ended>),
    /// It has failed.
    Failed(Failure),
}

/// What a thread of the pool makes of an operation.
pub enum Step {
    /// It has ended.
    Done(Outcome),
    /// It waits for others.
    Watch(Box<dyn Watched>),
}

impl From<Result<Outcome, Failure>> for Step {
    fn from(result: Result<Outcome, Failure>) -> Self {
        Step::Done(result.unwrap_or_else(Outcome::Failed))
    }
}
