//! The socket of a connection, beside the halves that read and write it: it can be shut, asked and emptied while they are
//! there. With `outlet` the only file of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::{Rc, Weak};

use monoio::io::{CancelHandle, Canceller};
use monoio::net::TcpStream;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;

pub(in crate::shard) use rustix::net::Shutdown;

/// The stream, as the halves share it: it closes its descriptor when the last of its owners goes.
pub(super) type Stream = UnsafeCell<TcpStream>;

/// See the module. Errors (the peer was faster) are of no interest: reading and writing tell.
pub(in crate::shard) struct Socket {
    stream: Weak<Stream>,
    /// The descriptor of `stream`.
    descriptor: RawFd,
    /// Takes the read back that is under way, where it was begun so that it can be.
    canceller: Cell<Option<Canceller>>,
    /// Nobody reads it.
    unread: Cell<bool>,
    /// What TLS holds, under which it is.
    beneath: Option<Rc<Beneath>>,
}

/// Bytes that lie between a connection and its socket, because they are no complete record yet, or one that is not sent.
/// They count in a total, too.
pub(super) struct Beneath {
    input: Cell<usize>,
    output: Cell<usize>,
    total: Rc<Cell<usize>>,
}

impl Beneath {
    pub fn new(total: Rc<Cell<usize>>) -> Self {
        Beneath { input: Cell::default(), output: Cell::default(), total }
    }

    /// So much has come.
    pub fn hold_input(&self, bytes: usize) {
        self.total.set(self.total.get() + bytes - self.input.replace(bytes));
    }

    /// So much is to be sent.
    pub fn hold_output(&self, bytes: usize) {
        self.total.set(self.total.get() + bytes - self.output.replace(bytes));
    }

    pub fn bytes(&self) -> usize {
        self.input.get() + self.output.get()
    }
}

impl Drop for Beneath {
    fn drop(&mut self) {
        self.total.set(self.total.get() - self.bytes());
    }
}

/// A socket that stays open as long as this is there. Lent for the length of a system call: it would outlive the halves.
pub(in crate::shard) struct Lent {
    _stream: Rc<Stream>,
    descriptor: RawFd,
}

impl AsFd for Lent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `borrow_raw` needs a descriptor that is open as long as the borrow and is not -1. It is the one that
        // `Socket::beside` was told by the stream itself; the stream closes it when it is dropped, at no other time, and is
        // not dropped before `self`. To take the stream out of its cell, or to replace it, takes `unsafe` or the only `Rc`.
        unsafe { BorrowedFd::borrow_raw(self.descriptor) }
    }
}

impl Socket {
    /// The socket of `stream`, and the stream to be shared by those who read and write.
    pub(super) fn beside(stream: TcpStream, beneath: Option<Rc<Beneath>>) -> (Self, Rc<Stream>) {
        let descriptor = stream.as_raw_fd();
        let stream = Rc::new(UnsafeCell::new(stream));
        let socket = Socket {
            stream: Rc::downgrade(&stream),
            descriptor,
            canceller: Cell::default(),
            unread: Cell::default(),
            beneath,
        };
        (socket, stream)
    }

    /// The socket, unless it is closed.
    pub fn lend(&self) -> Option<Lent> {
        self.stream.upgrade().map(|stream| Lent { _stream: stream, descriptor: self.descriptor })
    }

    /// Under TLS: its bytes are not those of the connection.
    #[inline]
    pub fn is_encrypted(&self) -> bool {
        self.beneath.is_some()
    }

    /// Where the peer is; `None`: at a unix socket. Costs a system call.
    ///
    /// # Errors
    /// It is gone, and the kernel does not know any more where it was: not that it is at a unix socket. What it has sent before it
    /// went can still be read.
    pub fn peer_address(&self) -> io::Result<Option<SocketAddr>> {
        let socket = self.lend().ok_or(io::ErrorKind::NotConnected)?;
        Ok(rustix::net::getpeername(&socket)?.and_then(|address| SocketAddr::try_from(address).ok()))
    }

    /// Bytes that lie between it and the connection.
    pub fn beneath_bytes(&self) -> usize {
        self.beneath.as_ref().map_or(0, |beneath| beneath.bytes())
    }

    /// True when input has come that the connection cannot see yet: a part of a record.
    pub fn has_partial_input(&self) -> bool {
        self.beneath.as_ref().is_some_and(|beneath| beneath.input.get() > 0)
    }

    /// Nobody reads it, or somebody does again.
    #[inline]
    pub fn set_unread(&self, unread: bool) {
        self.unread.set(unread);
    }

    #[inline]
    pub fn is_unread(&self) -> bool {
        self.unread.get()
    }

    /// Shuts one or both directions down, so that their pending operations end.
    pub fn shutdown(&self, how: Shutdown) {
        if let Some(socket) = self.lend() {
            let _ = rustix::net::shutdown(&socket, how);
        }
    }

    /// Ends the connection with a reset, at once: what the peer has not been sent yet is lost, and it sees an error instead
    /// of the end. TCP only; elsewhere nothing happens.
    fn reset(&self) {
        if let Some(socket) = self.lend() {
            // Unlike closing with SO_LINGER 0 it does not wait until operations in flight have let go of the socket.
            let _ = rustix::net::connect_unspec(&socket);
        }
    }

    /// Ends both directions: with a reset, where the end alone would look like that of a whole answer.
    pub fn cut(&self, reset: bool) {
        if reset {
            self.reset();
        }
        self.shutdown(Shutdown::Both);
    }

    /// True when bytes lie in the receive buffer.
    pub fn has_input(&self) -> bool {
        self.lend().is_some_and(|socket| rustix::io::ioctl_fionread(&socket).is_ok_and(|bytes| bytes > 0))
    }

    /// Drops up to `scratch.len()` bytes that lie in the receive buffer, and says how many; 0 when there are none, or when a
    /// read has more to tell (the end, an error). Does not wait. Over TCP nothing is copied: the kernel frees the bytes
    /// where they are (tcp(7), MSG_TRUNC). Unix sockets know no such thing, so that the bytes end up in `scratch`. Under TLS
    /// nothing is dropped: what lies there has to be decrypted.
    pub fn drop_input(&self, scratch: &mut [u8]) -> usize {
        if self.is_encrypted() {
            return 0;
        }
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        self.lend().and_then(|socket| rustix::net::recv(&socket, scratch, flags).ok()).map_or(0, |(_, bytes)| bytes)
    }

    /// What a read needs to be taken back by [`Self::cancel_read`].
    pub(super) fn cancel_handle(&self) -> CancelHandle {
        let canceller = self.canceller.take().unwrap_or_default();
        let handle = canceller.handle();
        self.canceller.set(Some(canceller));
        handle
    }

    /// Takes a read back; true when there was one that can be. What it has got by now comes all the same.
    pub fn cancel_read(&self) -> bool {
        self.canceller.take().map(Canceller::cancel).is_some()
    }
}

/// What the kernel knows of a peer that nobody reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Peer {
    /// It has not left.
    There,
    /// It sends nothing further.
    HalfClosed,
    /// It has left, or the connection is broken.
    Gone,
}

impl Peer {
    fn of(flags: PollFlags) -> Self {
        if flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            Peer::Gone
        } else if flags.contains(PollFlags::RDHUP) {
            Peer::HalfClosed
        } else {
            Peer::There
        }
    }
}

/// Whether the peers of these sockets have left, in their order. Does not wait.
pub(in crate::shard) fn departures(sockets: &[Lent]) -> Vec<Peer> {
    poll(sockets, PollFlags::RDHUP, Peer::of)
}

/// Whether there is something to read from these sockets, in their order. Does not wait.
pub(in crate::shard) fn arrivals(sockets: &[Lent]) -> Vec<bool> {
    poll(sockets, PollFlags::IN, |flags| flags.contains(PollFlags::IN))
}

fn poll<T>(sockets: &[Lent], events: PollFlags, meaning: impl Fn(PollFlags) -> T) -> Vec<T> {
    let mut polled: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket, events)).collect();
    let known = rustix::event::poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok();
    // Interrupted: the next turn of the timer tells.
    polled.iter().map(|socket| meaning(if known { socket.revents() } else { PollFlags::empty() })).collect()
}
