//! Counters of one shard: one thread writes, anyone reads.

pub use crate::link::counter::Counter;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one shard has done since it started.
        #[derive(Debug, Default)]
        #[repr(align(128))] // two shards never share a cache line
        pub struct Counters { $($(#[$doc])* pub $name: Counter,)* }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// Reads all counters.
            #[must_use]
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.get(),)* }
            }
        }

        impl Snapshot {
            /// All counters with their names, in a fixed order.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Connections open now.
    connections,
    /// Connections taken over.
    accepted,
    /// Connections closed at once because `max_connections` was reached or no descriptor was left.
    turned_away,
    /// Requests whose head was complete and well-formed.
    requests,
    /// Requests answered by the shard itself: refusals, preflights, discovery.
    refused,
    /// Malformed, too large or too slow requests; each ends its connection.
    protocol_errors,
    /// Calls handed to the backend, and requests that it was asked about.
    calls,
    /// Requests that the backend was asked about before they were decided.
    asks,
    /// Refusals that the backend was not told of, because there were too many in one batch.
    notices_dropped,
    /// Calls whose body went to the backend in frames.
    streamed_bodies,
    /// Calls whose answer came in pieces.
    streamed_answers,
    /// Streamed answers that broke off, or were not as long as promised; each ends its connection.
    cut_answers,
    /// Frames handed to the backend.
    frames,
    /// Records of the backend that break the rules of a streamed call; each costs the call.
    host_errors,
    /// Calls and questions answered.
    answered,
    /// Calls and questions whose client left, or whose connection ended, before they were answered.
    abandoned,
    /// Answers that came too late: the client was gone or the time was over.
    dropped,
    /// Calls refused with 503 because too many were under way.
    overloaded,
    /// Calls refused with 503 because they had waited too long for the host.
    shed,
    /// Bytes held now for connections and calls, as `max_total_buffered_bytes` counts them.
    held_bytes,
    /// Answers that became a 500 because the shard held too much.
    discarded_answers,
    /// Connections ended because the shard held too much, and they much of it without progress.
    evicted,
    /// Calls ended with 504.
    handler_timeouts,
    /// Calls under way now.
    in_flight,
    /// Batches handed to the backend.
    batches,
    /// Times the shard was woken through its eventfd.
    wakes,
    /// Ticks.
    ticks,
    /// Panics; each ends its connection, in the housekeeping all connections of the shard.
    panics,
    /// Times the shard was started anew, because it had failed as a whole; each ends all of its connections.
    restarts,
}
