//! Counters of one shard: one thread writes, anyone reads.

pub use crate::link::counter::Counter;

use crate::shard::watch::refusals::Refusals;
use crate::stated::{Kind, Statistic};

macro_rules! kind {
    (counter) => {
        Kind::Counter
    };
    (gauge) => {
        Kind::Gauge
    };
}

/// The documentation of each is what users read of it: in the types of the package, and in its metrics.
macro_rules! counters {
    ($($(#[doc = $says:literal])+ $kind:ident $name:ident,)*) => {
        /// What one shard has done since it started.
        #[derive(Debug, Default)]
        #[repr(align(128))] // two shards never share a cache line
        pub struct Counters {
            $($(#[doc = $says])+ pub $name: Counter,)*
            /// What the engine itself has answered with that is an error.
            pub refusals: Refusals,
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot { $($(#[doc = $says])+ pub $name: u64,)* }

        /// All of them, in the order of [`Snapshot::values`].
        pub const STATED: &[Statistic] = &[$(
            Statistic { name: stringify!($name), kind: kind!($kind), says: concat!($($says),+) },
        )*];

        impl Counters {
            /// Reads all counters.
            #[must_use]
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.get(),)* }
            }
        }

        impl Snapshot {
            /// All counters, in the order of [`STATED`].
            #[must_use]
            pub fn values(&self) -> [u64; STATED.len()] {
                [$(self.$name,)*]
            }
        }
    };
}

counters! {
    /// Connections open now.
    gauge connections,
    /// Connections open now that speak HTTP/2.
    gauge http2_connections,
    /// Streams of HTTP/2 open now: requests that are received or answered.
    gauge http2_streams,
    /// Connections of HTTP/2 ended because the client reset too many streams, or sent too many frames that ask for nothing.
    counter http2_floods,
    /// Connections taken over.
    counter accepted,
    /// Connections closed at once: `maxConnections`, or no descriptor left.
    counter turned_away,
    /// Connections closed, and requests refused with 403, because `access` does not let their callers in.
    counter denied,
    /// Requests refused with 429 because of `rateLimit`.
    counter limited,
    /// Callers that `rateLimit` forgot before their time, because others needed their place.
    counter callers_forgotten,
    /// Requests whose head was complete and well-formed.
    counter requests,
    /// Requests that the shard answered by itself: refusals, preflights, discovery.
    counter refused,
    /// Malformed, too large or too slow requests; each ended its connection.
    counter protocol_errors,
    /// Calls that went to JavaScript, and questions of hooks.
    counter calls,
    /// Requests that hooks were asked about.
    counter asks,
    /// Authentication failures that `onRefused` did not hear of.
    counter notices_dropped,
    /// Calls whose body came as a stream or a form.
    counter streamed_bodies,
    /// Answers that were streams.
    counter streamed_answers,
    /// Streamed answers that broke off.
    counter cut_answers,
    /// Pieces of bodies, and credit for answers, that went to JavaScript.
    counter frames,
    /// Records from JavaScript that made no sense; each cost its call.
    counter host_errors,
    /// Calls and questions answered.
    counter answered,
    /// Calls whose client left before they were answered: at rest, `calls` are `answered` and `abandoned`.
    counter abandoned,
    /// Answers that came too late.
    counter dropped,
    /// Calls refused with 503 because there were too many.
    counter overloaded,
    /// Calls refused with 503 because they had waited too long for JavaScript.
    counter shed,
    /// Bytes held now for connections and calls: what `limits.maxTotalBufferedBytes` bounds.
    gauge held_bytes,
    /// Large answers that became a 500 because the shard held too much.
    counter discarded_answers,
    /// Connections ended because the shard held too much, and they much of it without progress.
    counter evicted,
    /// Calls ended with 504.
    counter handler_timeouts,
    /// Calls under way now.
    gauge in_flight,
    /// Batches that went to JavaScript.
    counter batches,
    /// Times the shard slept and was woken by another thread.
    counter wakes,
    /// Turns of the shard: rounds of reading and sending.
    counter ticks,
    /// Panics that were contained; each ended its connection, or all of its shard.
    counter panics,
    /// Times that the shard failed as a whole and was started anew; each ended all of its connections.
    counter restarts,
}
