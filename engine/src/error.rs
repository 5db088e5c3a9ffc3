//! What can go wrong with an engine as a whole: what, whose fault, may it be retried, what caused it.

use std::io;
use std::path::PathBuf;

use crate::config::Listen;
use crate::inherited::Bound;

/// Starting failed. Nothing listens then, and no thread is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be bound. Retry when the cause (`EADDRINUSE`, `EACCES`, …) is gone.
    #[error("cannot listen on {}: {source}", show(.listen))]
    Listen {
        /// The address asked for.
        listen: Listen,
        /// What the kernel said.
        source: io::Error,
    },
    /// io_uring was demanded and does not work here. Ask for `auto` or `epoll`.
    #[error("{0}")]
    Driver(#[from] crate::shard::driver::RingRefused),
    /// A shard could not be set up: threads, descriptors or memory are exhausted. May be retried.
    #[error("cannot start shard {shard}: {source}")]
    Shard {
        /// Which one.
        shard: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// A shard cannot be turned by the current thread here. Start it on a thread.
    #[error("no shard can be turned by this thread: {0}")]
    Inline(io::Error),
    /// The file of the access log cannot be opened, or nothing can write into it. The caller's fault, most often.
    #[error(
        "log.path: {path:?} cannot be written to: {source}. Name a file in a folder that is there, which this process may write to"
    )]
    Log {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The number of shards is out of range. The caller's fault.
    #[error("shards: must be an integer from 1 to {max}, got {got}")]
    Shards {
        /// What was asked for.
        got: usize,
        /// The most that may be asked for.
        max: usize,
    },
}

impl StartError {
    /// The operating system's name for the cause, such as `EADDRINUSE`, where there is one.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        match self {
            StartError::Listen { source, .. } | StartError::Shard { source, .. } => source.raw_os_error(),
            StartError::Driver(_) | StartError::Inline(_) | StartError::Log { .. } | StartError::Shards { .. } => None,
        }
    }
}

/// An in-process connection was not made. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// As many connections are open as may be. Retry when some have gone.
    #[error("{max} connections are open, as many as may be")]
    Full {
        /// The bound, [`max_connections`](crate::limits::Limits::max_connections).
        max: usize,
    },
    /// The engine stops, or every shard has ended. Final.
    #[error("the engine takes no more connections")]
    Ended,
    /// No descriptors or memory left. May be retried.
    #[error("cannot make a socket pair: {0}")]
    Socket(#[from] io::Error),
}

fn show(listen: &Listen) -> String {
    match listen {
        Listen::InProcess => "no address (in process)".to_owned(),
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => path.display().to_string(),
        Listen::Inherited(inherited) => match inherited.address() {
            Bound::Tcp(address) => address.to_string(),
            Bound::Unix(path) => path.display().to_string(),
        },
    }
}
