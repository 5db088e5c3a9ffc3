//! The two halves of a connection: one reads, one writes. The socket is closed when both are dropped.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use monoio::BufResult;
use monoio::io::{AsyncReadRent, AsyncWriteRent, CancelableAsyncReadRent, OwnedReadHalf, OwnedWriteHalf};
use monoio::net::TcpStream;
use pin_project_lite::pin_project;

use crate::shard::transport::encrypted::{EncryptedRead, EncryptedWrite};
use crate::shard::transport::rooms::{Content, Room};
use crate::shard::transport::socket::Socket;

pub(in crate::shard) enum ReadHalf {
    Plain(OwnedReadHalf<TcpStream>),
    // In a box, as all that a plain connection does not need.
    Encrypted(Box<EncryptedRead>),
}

pub(in crate::shard) enum WriteHalf {
    Plain(OwnedWriteHalf<TcpStream>),
    Encrypted(Box<EncryptedWrite>),
}

pin_project! {
    /// An operation of either kind. No `async` block: it would hold the operation's arguments twice.
    #[project = OperationProjection]
    enum Operation<P, E> {
        Plain { #[pin] operation: P },
        Encrypted { operation: Pin<Box<E>> },
    }
}

impl<P: Future<Output = T>, E: Future<Output = T>, T> Future for Operation<P, E> {
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match self.project() {
            OperationProjection::Plain { operation } => operation.poll(cx),
            OperationProjection::Encrypted { operation } => operation.as_mut().poll(cx),
        }
    }
}

impl ReadHalf {
    /// Waits for bytes, for the end (0), or for an error. It stays until one of them has come.
    pub fn read<B: Room>(&mut self, buffer: B) -> impl Future<Output = BufResult<usize, B>> {
        match self {
            ReadHalf::Plain(half) => Operation::Plain { operation: half.read(buffer) },
            ReadHalf::Encrypted(half) => Operation::Encrypted { operation: Box::pin(half.read(buffer, None)) },
        }
    }

    /// As [`Self::read`], unless [`Socket::cancel_read`] takes it back.
    pub fn read_until_cancelled<B: Room>(
        &mut self,
        buffer: B,
        socket: &Socket,
    ) -> impl Future<Output = BufResult<usize, B>> {
        match self {
            ReadHalf::Plain(half) => {
                Operation::Plain { operation: half.cancelable_read(buffer, socket.cancel_handle()) }
            }
            ReadHalf::Encrypted(half) => Operation::Encrypted { operation: Box::pin(half.read(buffer, Some(socket))) },
        }
    }
}

/// True for what a read says that was taken back.
pub(in crate::shard) fn was_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED)
}

impl WriteHalf {
    /// Sends some of the bytes, and says how many.
    pub fn write<B: Content>(&mut self, buffer: B) -> impl Future<Output = BufResult<usize, B>> {
        match self {
            WriteHalf::Plain(half) => Operation::Plain { operation: half.write(buffer) },
            WriteHalf::Encrypted(half) => Operation::Encrypted { operation: Box::pin(half.write(buffer)) },
        }
    }

    /// What has to be sent to say that no more will be: beside the end of the stream, which anybody on the way can make.
    pub fn end(&mut self) -> Option<Pin<Box<dyn Future<Output = ()> + '_>>> {
        match self {
            WriteHalf::Plain(_) => None,
            WriteHalf::Encrypted(half) => Some(Box::pin(half.end())),
        }
    }
}
