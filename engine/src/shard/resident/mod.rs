//! Who has a place in the shard's table: what deadlines, memory and the stop ask of one, and what they demand.

pub(in crate::shard) mod standing;

use crate::shard::Shard;
use crate::shard::service::Service;
use crate::shard::transport::socket::Socket;
use standing::Standing;

/// See the module. Whatever it speaks, it is judged by how it stands.
pub(in crate::shard) trait Resident {
    /// What it was let in for.
    fn service(&self) -> &'static Service;

    fn socket(&self) -> &Socket;

    fn standing(&self) -> Standing;

    /// It was let in for somebody who is no more.
    fn is_released(&self) -> bool {
        false
    }

    /// Ends what is under way for somebody who is no more.
    fn cut_released(&self, shard: &Shard, now_ms: u64) {
        if self.is_released() {
            self.carry_out(shard, Verdict::Cut, now_ms);
        }
    }

    /// Bytes that the shard holds for it.
    fn held_bytes(&self) -> usize;

    /// Has its exchanges judged, where each has a time of its own, and does what was judged of them.
    fn judge_exchanges(&self, shard: &Shard, judge: &dyn Fn(&Standing) -> Verdict);

    /// Does what was judged.
    fn carry_out(&self, shard: &Shard, verdict: Verdict, now_ms: u64);
}

/// What is demanded of a resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Verdict {
    /// Nothing.
    Wait,
    /// It has not been used for a while: it gives its buffers back.
    Rest,
    /// It waits for us, so its time stands still: for so many milliseconds.
    HoldClock(u64),
    /// Its client has sent FIN at this time, and the reader has not seen that yet.
    HalfClosed(u64),
    /// It takes no further request; what was asked is answered.
    LastAnswers,
    /// 408, then close.
    TimedOut,
    /// It holds too much, and its client can be told: 503, then close.
    Evicted,
    /// Close without a word: nothing was asked, or everything is answered.
    Close,
    /// The client counts as gone: its calls are abandoned. The connection is cut off at the next turn, so that whoever
    /// works for it has heard of it before the client sees the end, as in the reference.
    Forsake,
    /// Cut off: the peer does not play along, or is gone.
    Cut,
}

impl Verdict {
    /// True when the connection ends by it, which is work.
    pub fn ends(self) -> bool {
        matches!(self, Verdict::TimedOut | Verdict::Close | Verdict::Cut)
    }
}
