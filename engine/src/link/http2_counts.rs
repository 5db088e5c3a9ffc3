//! What a proxy counts of HTTP/2, over all shards, on both of its sides. Statistics tell it in these words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub struct Http2Counts {
    /// Toward clients.
    pub clients: Arc<Side>,
    /// Toward servers.
    pub servers: Arc<Side>,
    /// Requests that a server has refused unseen (`REFUSED_STREAM`, `GOAWAY`).
    pub refused: AtomicU64,
    /// Requests that were sent once more, over another connection.
    pub retried: AtomicU64,
    /// Times that a server which was offered HTTP/2 wanted HTTP/1.1: by ALPN, or by `HTTP_1_1_REQUIRED`.
    pub fallbacks: AtomicU64,
}

/// One side.
#[derive(Debug, Default)]
pub struct Side {
    connections: AtomicU64,
    opened: AtomicU64,
    streams: AtomicU64,
    requests: AtomicU64,
    resets: AtomicU64,
}

/// One more.
pub fn count(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}

impl Http2Counts {
    /// What is told of servers alone: their names, and their numbers.
    #[must_use]
    pub fn of_servers(&self) -> [(&'static str, u64); 3] {
        [("refused", &self.refused), ("retried", &self.retried), ("fallbacks", &self.fallbacks)]
            .map(|(name, number)| (name, number.load(Ordering::Relaxed)))
    }
}

impl Side {
    /// A connection that begins now.
    #[must_use]
    pub fn connection(self: &Arc<Side>) -> CountedConnection {
        count(&self.connections);
        count(&self.opened);
        CountedConnection(self.clone())
    }

    /// A stream whose request begins now.
    #[must_use]
    pub fn stream(self: &Arc<Side>) -> CountedStream {
        count(&self.streams);
        count(&self.requests);
        CountedStream { side: self.clone(), reset: false }
    }

    /// The names, and the numbers.
    #[must_use]
    pub fn read(&self) -> [(&'static str, u64); 5] {
        [
            ("connections", &self.connections),
            ("opened", &self.opened),
            ("streams", &self.streams),
            ("requests", &self.requests),
            ("resets", &self.resets),
        ]
        .map(|(name, number)| (name, number.load(Ordering::Relaxed)))
    }
}

/// A connection, as long as it is open.
#[derive(Debug)]
pub struct CountedConnection(Arc<Side>);

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream, as long as it is open.
#[derive(Debug)]
pub struct CountedStream {
    side: Arc<Side>,
    reset: bool,
}

impl CountedStream {
    /// It ends with a reset, whoever says so.
    pub fn note_reset(&mut self) {
        if !std::mem::replace(&mut self.reset, true) {
            count(&self.side.resets);
        }
    }
}

impl Drop for CountedStream {
    fn drop(&mut self) {
        self.side.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_ends_and_what_was_stays_and_a_reset_counts_once() {
        let side = Arc::<Side>::default();
        let connection = side.connection();
        let (mut first, second) = (side.stream(), side.stream());
        first.note_reset();
        first.note_reset();
        let numbers = || side.read().map(|(_, number)| number);
        assert_eq!(numbers(), [1, 1, 2, 2, 1]);
        drop((connection, first, second));
        assert_eq!(numbers(), [0, 1, 0, 2, 1]);
    }
}
