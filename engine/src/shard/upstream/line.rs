//! What somebody waits for, and can be told to wait for no longer.

use std::rc::Rc;

use crate::shard::transport::socket::Socket;

/// See the module. No operation is dropped in flight: they are ended, and whoever has begun them hears of it.
pub(in crate::shard) trait Line {
    /// Ends what is under way.
    fn cut(&self);

    /// The time has moved on.
    fn look(&self) {}
}

/// The connection to a server.
impl Line for Socket {
    fn cut(&self) {
        // A reset: a server must not take what has come of a request for all of it.
        Socket::cut(self, true);
    }
}

/// Lets go of what was waited for.
pub(in crate::shard) type SharedLine = Rc<dyn Line>;
