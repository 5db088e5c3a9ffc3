//! What a connection is ended by: its socket, or that stream of it which is meant.

use std::rc::Rc;

use crate::shard::multiplex::stream::{Failure, Stream};
use crate::shard::transport::socket::{Shutdown, Socket};
use crate::shard::upstream::line::Line;

/// See the module.
#[derive(Clone)]
pub(in crate::shard) enum End {
    Socket(Rc<Socket>),
    Stream(Rc<Stream>),
}

impl End {
    /// Ends both directions: with a reset, where the end alone would look like that of something whole.
    pub fn cut(&self, reset: bool) {
        match self {
            End::Socket(socket) => socket.cut(reset),
            End::Stream(stream) if reset => stream.reset(),
            End::Stream(stream) => stream.close(),
        }
    }

    /// Nothing more is sent, which [`Outlet::end`](super::flow::Outlet::end) has said if it can be.
    pub fn end_output(&self) {
        if let End::Socket(socket) = self {
            socket.shutdown(Shutdown::Write);
        }
    }

    /// Takes the read back that is under way.
    pub fn cancel_read(&self) {
        match self {
            End::Socket(socket) => drop(socket.cancel_read()),
            End::Stream(stream) => stream.cancel_read(),
        }
    }

    /// Why a request was not answered, where it may be sent once more.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            End::Socket(_) => None,
            End::Stream(stream) => stream.failure(),
        }
    }

    /// The socket, where nobody else uses that.
    pub fn socket(&self) -> Option<&Socket> {
        match self {
            End::Socket(socket) => Some(socket),
            End::Stream(_) => None,
        }
    }
}

/// The connection to a server.
impl Line for End {
    fn cut(&self) {
        // A reset: a server must not take what has come of a request for all of it.
        End::cut(self, true);
    }
}
