//! What lies under a connection: bytes in, bytes out, and the socket beside them. TCP, unix sockets and connections from
//! this process are the same here, and TLS lies behind the same two halves.
//!
//! Nobody outside knows a descriptor. A [`Socket`](socket::Socket) lends it while the halves are there, and they close it.
//! What lies under all of them, the driver of a shard without a thread, is found by its descriptor, too ([`outlet`]).

mod encrypted;
pub(in crate::shard) mod halves;
pub(in crate::shard) mod handshake;
pub(in crate::shard) mod outlet;
mod records;
mod rooms;
mod session;
pub(in crate::shard) mod socket;

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use monoio::io::{OwnedReadHalf, OwnedWriteHalf};
use monoio::net::TcpStream;
use rustls::ServerConfig;

use crate::shard::reactor::driver::Driver;
use encrypted::encrypt;
use halves::{ReadHalf, WriteHalf};
use socket::Socket;

/// What TLS is begun with, and where the bytes count that it holds.
pub(in crate::shard) struct Encryption {
    pub config: Arc<ServerConfig>,
    pub held: Rc<Cell<usize>>,
}

/// Registers a connected socket with the driver of the current thread's runtime. Under TLS the handshake comes first.
pub(in crate::shard) fn open(
    socket: OwnedFd,
    driver: &Driver,
    encryption: Option<Encryption>,
) -> io::Result<(Socket, ReadHalf, WriteHalf)> {
    let socket = std::net::TcpStream::from(socket);
    // epoll wants EAGAIN; the ring must not get it: it waits by itself.
    socket.set_nonblocking(*driver != Driver::IoUring)?;
    let stream = TcpStream::from_std(socket)?;
    let Some(Encryption { config, held }) = encryption else {
        let (socket, stream) = Socket::beside(stream, None);
        return Ok((socket, ReadHalf::Plain(OwnedReadHalf(stream.clone())), WriteHalf::Plain(OwnedWriteHalf(stream))));
    };
    let beneath = Rc::new(socket::Beneath::new(held));
    let (socket, stream) = Socket::beside(stream, Some(beneath.clone()));
    let lent = socket.lend().ok_or(io::ErrorKind::NotConnected)?;
    let (read, write) = (OwnedReadHalf(stream.clone()), OwnedWriteHalf(stream));
    let (reader, writer) = encrypt(read, write, lent, &beneath, config)?;
    Ok((socket, ReadHalf::Encrypted(Box::new(reader)), WriteHalf::Encrypted(Box::new(writer))))
}

#[cfg(test)]
mod tests;
