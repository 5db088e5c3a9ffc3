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
    /// For how long its next call would wait until the thread is free.
    pub wait_ns: u64,
    /// For how long a call keeps a thread.
    pub call_ns: u64,
    /// What counts as long.
    pub step_ns: u64,
    /// When it last looked for calls: the longer ago, the longer it is busy with one.
    pub looked_ns: u64,
    pub has_room: bool,
    pub batch: Option<Box<CallBatch>>,
}

/// For how long a call would wait, in steps; calls that are outstanding; how long ago it has looked.
pub(super) type Rank = (u64, u64, Reverse<u64>);

impl Part {
    /// The least is who gets the next call.
    pub fn rank(&self) -> Rank {
        let wait = self.wait_ns / self.step_ns.max(1);
        // Whoever has nothing to do is as good as any other.
        (wait, self.outstanding, Reverse(if self.outstanding == 0 { u64::MAX } else { self.looked_ns }))
    }

    /// It gets one more.
    pub fn note_call(&mut self) {
        self.outstanding += 1;
        self.wait_ns = self.wait_ns.saturating_add(self.call_ns);
    }

    pub fn batch(&mut self) -> &mut CallBatch {
        self.batch.get_or_insert_default()
    }
}

/// THE policy by which calls are spread: whoever is free the soonest gets the next, in steps of
/// [`HOST_BUSY`](crate::limits::HOST_BUSY): a thread that is busy with a long call, or has many of them before it, comes
/// after one that has few and short ones. Of equals, whoever has the fewest calls outstanding; of those, whoever has
/// looked for calls most recently, for the other is busy with a long one; of those that have nothing to do, whoever came
/// first, so that one is woken and not all.
pub(super) fn free_soonest<T>(candidates: impl Iterator<Item = (Rank, T)>) -> Option<T> {
    candidates.min_by_key(|(rank, _)| *rank).map(|(_, host)| host)
}
