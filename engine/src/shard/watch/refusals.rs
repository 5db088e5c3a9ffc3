//! How often which status was the engine's own word on a request or a call.

use crate::link::counter::Counter;

/// Those that there are: what [`crate::tunnel::envelope::Refusal`] answers with.
pub const STATUSES: [u16; 18] =
    [400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 429, 431, 499, 500, 501, 503, 504, 505];

/// A counter for each: one thread writes, anyone reads.
#[derive(Debug, Default)]
pub struct Refusals([Counter; STATUSES.len()]);

impl Refusals {
    /// A request was refused with this status.
    pub fn note(&self, status: u16) {
        let known = STATUSES.iter().position(|one| *one == status);
        if let Some(counter) = known.and_then(|at| self.0.get(at)) {
            counter.add(1);
        }
    }

    /// Each status that was ever said, and how often.
    pub fn seen(&self) -> impl Iterator<Item = (u16, u64)> {
        STATUSES.iter().zip(&self.0).map(|(status, counter)| (*status, counter.get())).filter(|(_, times)| *times > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::envelope::Refusal;

    #[test]
    fn statuses_that_were_said_are_told_and_no_others() {
        let refusals = Refusals::default();
        let refused = [Refusal::TooManyRequests, Refusal::TooManyCalls, Refusal::ServiceUnavailable]
            .map(|refusal| refusal.status());
        for status in [401, 401, 200].into_iter().chain(refused) {
            refusals.note(status);
        }
        assert_eq!(refusals.seen().collect::<Vec<_>>(), [(401, 2), (429, 2), (503, 1)]);
    }
}
