//! The two halves of a connection: one reads, one writes. The socket is closed when both are dropped.

use std::io;

use monoio::BufResult;
use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRent, CancelableAsyncReadRent, OwnedReadHalf, OwnedWriteHalf};
use monoio::net::TcpStream;

use crate::shard::transport::socket::Socket;

pub(in crate::shard) struct ReadHalf(OwnedReadHalf<TcpStream>);

pub(in crate::shard) struct WriteHalf(OwnedWriteHalf<TcpStream>);

/// Takes a stream apart.
pub(super) fn split(stream: TcpStream) -> (Socket, ReadHalf, WriteHalf) {
    let (socket, stream) = Socket::beside(stream);
    (socket, ReadHalf(OwnedReadHalf(stream.clone())), WriteHalf(OwnedWriteHalf(stream)))
}

impl ReadHalf {
    /// Waits for bytes, for the end (0), or for an error. It stays until one of them has come.
    pub fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = BufResult<usize, B>> {
        self.0.read(buffer)
    }

    /// As [`Self::read`], unless [`Socket::cancel_read`] takes it back.
    pub fn read_until_cancelled<B: IoBufMut>(
        &mut self,
        buffer: B,
        socket: &Socket,
    ) -> impl Future<Output = BufResult<usize, B>> {
        self.0.cancelable_read(buffer, socket.cancel_handle())
    }
}

/// True for what a read says that was taken back.
pub(in crate::shard) fn was_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED)
}

impl WriteHalf {
    /// Sends some of the bytes, and says how many.
    pub fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = BufResult<usize, B>> {
        self.0.write(buffer)
    }
}
