//! What lies under a connection: bytes in, bytes out, and the socket beside them. TCP, unix sockets and connections from
//! this process are the same here; what encrypts would lie behind the same two halves.
//!
//! Nobody outside knows a descriptor. A [`Socket`](socket::Socket) lends it while the halves are there, and they close it.

pub(in crate::shard) mod halves;
pub(in crate::shard) mod socket;

use std::io;
use std::os::fd::OwnedFd;

use monoio::net::TcpStream;

use crate::shard::reactor::driver::Driver;
use halves::{ReadHalf, WriteHalf, split};
use socket::Socket;

/// Registers a connected socket with the driver of the current thread's runtime.
pub(in crate::shard) fn open(socket: OwnedFd, driver: &Driver) -> io::Result<(Socket, ReadHalf, WriteHalf)> {
    let socket = std::net::TcpStream::from(socket);
    // epoll wants EAGAIN; the ring must not get it: it waits by itself.
    socket.set_nonblocking(*driver != Driver::IoUring)?;
    Ok(split(TcpStream::from_std(socket)?))
}

#[cfg(test)]
mod tests;
