//! The first bytes of a connection, looked at where they lie: whoever reads it finds all that was not taken.

use std::io;
use std::os::fd::AsFd;

use monoio::net::TcpStream;
use rustix::net::RecvFlags;

use crate::shard::transport::socket::{Lent, Socket};

/// See the module.
pub(in crate::shard) struct Beginning {
    socket: Lent,
    /// The same by a descriptor of its own, which can be waited for: the halves are those who read.
    readiness: TcpStream,
}

impl Beginning {
    pub fn of(socket: &Socket) -> io::Result<Self> {
        let socket = socket.lend().ok_or(io::ErrorKind::NotConnected)?;
        let own = socket.as_fd().try_clone_to_owned()?;
        let readiness = TcpStream::from_std(std::net::TcpStream::from(own))?;
        Ok(Beginning { socket, readiness })
    }

    /// Waits until something has come, or will not.
    pub async fn wait(&self) -> io::Result<()> {
        self.readiness.readable(false).await
    }

    /// What has come, as far as there is room; 0: the end.
    pub fn look(&self, room: &mut [u8]) -> io::Result<usize> {
        self.receive(room, RecvFlags::PEEK)
    }

    /// Takes as many bytes as there is room: those that were looked at.
    pub fn take(&self, room: &mut [u8]) -> io::Result<()> {
        let taken = self.receive(room, RecvFlags::empty())?;
        if taken == room.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn receive(&self, room: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
        Ok(rustix::net::recv(&self.socket, room, flags | RecvFlags::DONTWAIT).map(|(_, bytes)| bytes)?)
    }
}
