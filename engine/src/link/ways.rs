//! Where the calls of a batch go, among several hosts.

use std::cmp::Reverse;

use super::batch::CallBatch;

/// Where a call of a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To this host, by its place, and the number that the handler has there.
    To(usize, u32),
    /// Nobody can take it now.
    Waits,
    /// It has waited too long.
    Late,
    /// Its client has left.
    Gone,
}

/// What a host is about to get.
pub(super) struct Part {
    /// Calls that it has, with those that it is about to get.
    pub outstanding: u64,
    /// When it last looked for calls: the longer ago, the longer it is busy with one.
    pub looked_ns: u64,
    pub has_room: bool,
    pub batch: Option<Box<CallBatch>>,
}

impl Part {
    /// The least is who gets the next call.
    pub fn rank(&self) -> (u64, Reverse<u64>) {
        // Whoever has nothing to do is as good as any other.
        (self.outstanding, Reverse(if self.outstanding == 0 { u64::MAX } else { self.looked_ns }))
    }

    pub fn batch(&mut self) -> &mut CallBatch {
        self.batch.get_or_insert_default()
    }
}

/// THE policy by which calls are spread: whoever has the fewest calls outstanding gets the next; of equals, whoever has
/// looked for calls most recently, for the other is busy with a long one; of those that have nothing to do, whoever came
/// first, so that one is woken and not all.
pub(super) fn least_outstanding<T>(candidates: impl Iterator<Item = ((u64, Reverse<u64>), T)>) -> Option<T> {
    candidates.min_by_key(|(rank, _)| *rank).map(|(_, host)| host)
}
