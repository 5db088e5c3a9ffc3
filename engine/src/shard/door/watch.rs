//! How an accept loop hears that somebody waits, and that it is to end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};

/// See the module.
pub(in crate::shard) struct Watch {
    /// Can be read when somebody waits, and for good once [`Closer::close`] was called.
    pub readiness: OwnedFd,
    pub closer: Closer,
}

/// Wakes an accept loop for good.
pub(in crate::shard) enum Closer {
    /// The socket stops listening, whoever else has it.
    Shut(OwnedFd),
    /// The socket stays as it is: the loop of this shard ends, those of other processes go on.
    Leave(OwnedFd),
}

impl Watch {
    /// Of a socket that nobody else listens on.
    pub fn of_own(listener: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Watch { readiness: listener.try_clone_to_owned()?, closer: Closer::Shut(listener.try_clone_to_owned()?) })
    }

    /// Of a socket that others listen on, too. An operation that waits on it could be ended by shutting it alone, so that it
    /// waits on an epoll instance, which has an alarm beside the socket.
    pub fn of_shared(listener: BorrowedFd<'_>) -> io::Result<Self> {
        let readiness = epoll::create(CreateFlags::CLOEXEC)?;
        let alarm = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&readiness, listener, EventData::new_u64(0), EventFlags::IN)?;
        epoll::add(&readiness, &alarm, EventData::new_u64(1), EventFlags::IN)?;
        Ok(Watch { readiness, closer: Closer::Leave(alarm) })
    }
}

impl Closer {
    pub fn close(&self) {
        match self {
            Closer::Shut(listener) => shut(listener),
            Closer::Leave(alarm) => drop(rustix::io::write(alarm, &1u64.to_ne_bytes())),
        }
    }
}

/// The socket stops listening.
pub(in crate::shard) fn shut(listener: impl AsFd) {
    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
}
