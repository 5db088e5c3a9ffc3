//! What runs the calls: the one trait that the Node bridge and Rust handlers implement.

use super::batch::{AnswerBatch, CallBatch};
use super::census::Census;
use super::port::ShardPort;
use super::tally::Tally;

/// How much the hosts have to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Calls that were handed over and are not over, of all shards.
    pub calls: u64,
    /// Nanoseconds for which calls wait, of late, until they begin.
    pub waited_ns: u64,
}

/// Runs calls. A shard hands over the calls of a tick at its end; the answers come back at once, or later through
/// the shard's [`ShardPort`] from any thread.
pub trait Backend: Send + Sync + 'static {
    /// The shards are about to start: these are their letter boxes, in the order of the `shard` argument below.
    fn attach(&self, ports: &[ShardPort]);

    /// Takes the calls of one tick, on the shard's own thread. Must not block.
    ///
    /// Answers that are there at once go into `answers`. The batch comes back in `Some` when it is empty again
    /// (everything was answered at once), or when the backend has no room: then the shard keeps it, lets it grow,
    /// and offers it again.
    fn submit(&self, shard: usize, calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Option<Box<CallBatch>>;

    /// Takes bodies in frames ([`crate::link::batch::Frame`]). Otherwise such requests are answered 415.
    fn takes_frames(&self) -> bool {
        false
    }

    /// Nanoseconds for which nobody has looked at what this shard has handed over; 0 when nothing waits.
    fn unseen_ns(&self, _shard: usize) -> u64 {
        0
    }

    /// How much there is to do.
    fn pressure(&self) -> Pressure {
        Pressure::default()
    }

    /// What was measured of the calls of a shard.
    fn tally(&self, _shard: usize) -> Tally {
        Tally::default()
    }

    /// What there is to tell of event loops and tasks.
    fn census(&self) -> Census {
        Census::default()
    }

    /// The shard's thread is about to end: the last thing it says.
    fn stopped(&self, shard: usize);

    /// The shard's thread is about to end, and nobody has told it to: it has failed too often, and is given up. Its calls
    /// are gone.
    fn failed(&self, shard: usize) {
        self.stopped(shard);
    }
}
