//! Where the calls of a batch go, among several hosts.

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
    pub has_room: bool,
    pub batch: Option<Box<CallBatch>>,
}

impl Part {
    pub fn batch(&mut self) -> &mut CallBatch {
        self.batch.get_or_insert_default()
    }
}

/// THE policy by which calls are spread: whoever has the fewest calls outstanding gets the next; of equals, whoever came
/// first, so that with little to do one is woken and not all.
pub(super) fn least_outstanding<T>(candidates: impl Iterator<Item = (u64, T)>) -> Option<T> {
    candidates.min_by_key(|(outstanding, _)| *outstanding).map(|(_, host)| host)
}
