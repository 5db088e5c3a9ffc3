//! What lies under a connection: bytes in, bytes out, and the socket beside them. TCP, unix sockets and connections from
//! this process are the same here, and TLS lies behind the same two halves.
//!
//! Nobody outside knows a descriptor. A [`Socket`](socket::Socket) lends it while the halves are there, and they close it.
//! What lies under all of them, the driver of a shard without a thread, is found by its descriptor, too ([`outlet`]).

pub(in crate::shard) mod beginning;
mod encrypted;
pub(in crate::shard) mod halves;
pub(in crate::shard) mod handshake;
pub(in crate::shard) mod layer;
pub(in crate::shard) mod outlet;
mod records;
pub(in crate::shard) mod rooms;
mod session;
pub(in crate::shard) mod socket;

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use monoio::io::{OwnedReadHalf, OwnedWriteHalf};
use monoio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::shard::reactor::driver::Driver;
use encrypted::encrypt;
use halves::{ReadHalf, WriteHalf};
use socket::Socket;

/// What TLS is begun with, and where the bytes count that it holds.
pub(in crate::shard) struct Encryption {
    pub config: Arc<ServerConfig>,
    pub held: Rc<Cell<usize>>,
}

/// What TLS is begun with to a server, who it has to prove to be, and where the bytes count that it holds.
pub(in crate::shard) struct Toward {
    pub config: Arc<ClientConfig>,
    pub name: ServerName<'static>,
    pub held: Rc<Cell<usize>>,
}

/// Registers a connected socket with the driver of the current thread's runtime. Under TLS the handshake comes first.
pub(in crate::shard) fn open(
    socket: OwnedFd,
    driver: &Driver,
    encryption: Option<Encryption>,
) -> io::Result<(Socket, ReadHalf, WriteHalf)> {
    let stream = register(socket, driver)?;
    match encryption {
        None => Ok(plain(stream)),
        Some(Encryption { config, held }) => {
            under(stream, ServerConnection::new(config).map_err(io::Error::other)?.into(), held)
        }
    }
}

/// As [`open`], of a socket that is connected to a server.
pub(in crate::shard) fn open_toward(
    socket: OwnedFd,
    driver: &Driver,
    toward: Option<Toward>,
) -> io::Result<(Socket, ReadHalf, WriteHalf)> {
    let stream = register(socket, driver)?;
    match toward {
        None => Ok(plain(stream)),
        Some(Toward { config, name, held }) => {
            under(stream, ClientConnection::new(config, name).map_err(io::Error::other)?.into(), held)
        }
    }
}

fn register(socket: OwnedFd, driver: &Driver) -> io::Result<TcpStream> {
    let socket = std::net::TcpStream::from(socket);
    // epoll wants EAGAIN; the ring must not get it: it waits by itself.
    socket.set_nonblocking(*driver != Driver::IoUring)?;
    TcpStream::from_std(socket)
}

fn plain(stream: TcpStream) -> (Socket, ReadHalf, WriteHalf) {
    let (socket, stream) = Socket::beside(stream, None);
    (socket, ReadHalf::Plain(OwnedReadHalf(stream.clone())), WriteHalf::Plain(OwnedWriteHalf(stream)))
}

fn under(
    stream: TcpStream,
    connection: Connection,
    held: Rc<Cell<usize>>,
) -> io::Result<(Socket, ReadHalf, WriteHalf)> {
    let beneath = Rc::new(socket::Beneath::new(held));
    let (socket, stream) = Socket::beside(stream, Some(beneath.clone()));
    let lent = socket.lend().ok_or(io::ErrorKind::NotConnected)?;
    let (read, write) = (OwnedReadHalf(stream.clone()), OwnedWriteHalf(stream));
    let (reader, writer) = encrypt(read, write, lent, &beneath, connection);
    Ok((socket, ReadHalf::Encrypted(Box::new(reader)), WriteHalf::Encrypted(Box::new(writer))))
}

#[cfg(test)]
mod tests;
