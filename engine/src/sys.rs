//! System calls that no safe wrapper offers for a descriptor we do not own. The only file of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::os::fd::{BorrowedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;

pub use rustix::net::Shutdown;

/// Shuts one or both directions of a connection down, so that its pending operations end.
///
/// `socket` must be the descriptor of a connection that is still open: the caller asks its own flag first
/// (`Conn::shutdown`). Errors (the peer was faster) are of no interest.
pub fn shutdown(socket: RawFd, how: Shutdown) {
    if let Some(socket) = borrow(&socket) {
        let _ = rustix::net::shutdown(socket, how);
    }
}

/// Ends a connection with a reset, at once: what the peer has not been sent yet is lost, and it sees an error instead
/// of the end. TCP only; elsewhere nothing happens. `socket` as for [`shutdown`].
pub fn reset(socket: RawFd) {
    if let Some(socket) = borrow(&socket) {
        // Unlike closing with SO_LINGER 0 it does not wait until operations in flight have let go of the socket.
        let _ = rustix::net::connect_unspec(socket);
    }
}

/// What the kernel knows of the peers of these connections, in their order: whether they have left. Does not wait.
/// `sockets` as for [`shutdown`].
pub fn departures(sockets: &[RawFd]) -> Vec<PollFlags> {
    poll(sockets, PollFlags::RDHUP)
}

/// What the kernel knows of the bytes of these connections, in their order: whether there is something to read. Does not
/// wait. `sockets` as for [`shutdown`].
pub fn arrivals(sockets: &[RawFd]) -> Vec<PollFlags> {
    poll(sockets, PollFlags::IN)
}

fn poll(sockets: &[RawFd], events: PollFlags) -> Vec<PollFlags> {
    let mut polled: Vec<_> =
        sockets.iter().filter_map(borrow).map(|socket| PollFd::from_borrowed_fd(socket, events)).collect();
    match rustix::event::poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(_) if polled.len() == sockets.len() => polled.iter().map(PollFd::revents).collect(),
        // Interrupted: the next turn of the timer tells.
        _ => vec![PollFlags::empty(); sockets.len()],
    }
}

/// Whether bytes lie in the receive buffer. `socket` as for [`shutdown`].
pub fn has_input(socket: RawFd) -> bool {
    borrow(&socket).is_some_and(|socket| rustix::io::ioctl_fionread(socket).is_ok_and(|bytes| bytes > 0))
}

/// Drops up to `scratch.len()` bytes that lie in the receive buffer of a connection, and says how many; 0 when there are
/// none, or when a read has more to tell (the end, an error). Does not wait. Over TCP nothing is copied: the kernel frees
/// the bytes where they are (tcp(7), MSG_TRUNC). Unix sockets know no such thing, so that the bytes end up in `scratch`.
/// `socket` as for [`shutdown`].
pub fn drop_input(socket: RawFd, scratch: &mut [u8]) -> usize {
    let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
    borrow(&socket).and_then(|socket| rustix::net::recv(socket, scratch, flags).ok()).map_or(0, |(_, bytes)| bytes)
}

fn borrow(socket: &RawFd) -> Option<BorrowedFd<'_>> {
    if *socket < 0 {
        return None;
    }
    // SAFETY: `borrow_raw` needs a descriptor that is open for the duration of the borrow and is not -1. The borrow
    // ends with the function of this file that asked for it; the descriptor belongs to a connection of the calling
    // thread, whose task clears `Conn::open` before it drops the stream, and the caller has checked that flag on the
    // same thread.
    Some(unsafe { BorrowedFd::borrow_raw(*socket) })
}
