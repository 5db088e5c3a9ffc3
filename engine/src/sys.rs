//! System calls that no safe wrapper offers for a descriptor we do not own. The only file of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::os::fd::{BorrowedFd, RawFd};

pub use rustix::net::Shutdown;

/// Shuts one or both directions of a connection down, so that its pending operations end.
///
/// `socket` must be the descriptor of a connection that is still open: the caller asks its own flag first
/// (`Conn::shutdown`). Errors (the peer was faster) are of no interest.
pub fn shutdown(socket: RawFd, how: Shutdown) {
    if socket < 0 {
        return;
    }
    // SAFETY: `borrow_raw` needs a descriptor that is open for the duration of the borrow and is not -1. The borrow
    // ends with this call; the descriptor belongs to a connection of the calling thread, whose task clears
    // `Conn::open` before it drops the stream, and the caller has checked that flag on the same thread.
    let socket = unsafe { BorrowedFd::borrow_raw(socket) };
    let _ = rustix::net::shutdown(socket, how);
}
