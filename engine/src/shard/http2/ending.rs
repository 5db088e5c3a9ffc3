//! What is counted of how a connection of HTTP/2 has ended, with a client of the tunnel or of the proxy.

use h2::Reason;

use crate::shard::Shard;

impl Shard {
    /// Counts the error that ended a connection, where the client has broken a rule.
    pub(in crate::shard) fn note_http2_end(&self, error: &h2::Error) {
        if !error.is_io() && !error.is_remote() {
            self.counters.protocol_errors.add(1);
            if error.reason() == Some(Reason::ENHANCE_YOUR_CALM) && error.is_library() {
                self.counters.http2_floods.add(1);
            }
        }
    }
}
