//! What `h2` reads from and writes to: memory. Nobody has to be woken by it, because the connection's task drives `h2`
//! whenever something has come, was asked for or was sent.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::shard::connection::conn::Conn;

/// What has come and was not taken.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: RefCell<BytesMut>,
    ended: Cell<bool>,
    /// Something was not taken by the connection's queue.
    full: Cell<bool>,
    /// Bytes that were.
    written: Cell<u64>,
}

impl Input {
    /// Gives more, if all was taken before.
    pub fn put(&self, bytes: BytesMut) {
        self.bytes.replace(bytes);
    }

    /// Nothing follows.
    pub fn end(&self) {
        self.ended.set(true);
    }

    /// The buffer, if all of it was taken.
    pub fn take_buffer(&self) -> BytesMut {
        std::mem::take(&mut *self.bytes.borrow_mut())
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.borrow().is_empty()
    }

    pub fn capacity(&self) -> usize {
        self.bytes.borrow().capacity()
    }

    /// True when something was not taken by the connection's queue since this was asked.
    pub fn take_full(&self) -> bool {
        self.full.take()
    }

    /// True when something was not, since [`Self::take_full`].
    pub fn is_full(&self) -> bool {
        self.full.get()
    }

    /// Bytes that were since this was asked.
    pub fn take_written(&self) -> u64 {
        self.written.take()
    }
}

/// See the module.
pub(super) struct Pipe {
    pub conn: Rc<Conn>,
    pub input: Rc<Input>,
    /// Bytes that the connection's queue takes.
    pub most: usize,
}

impl Pipe {
    fn write(&self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.conn.is_dead() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut answers = self.conn.answers();
        if answers.held_bytes() >= self.most {
            self.input.full.set(true);
            return Poll::Pending;
        }
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        answers.answer_now(|out| slices.iter().for_each(|slice| out.extend_from_slice(slice)));
        self.input.written.set(self.input.written.get() + bytes as u64);
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut bytes = self.input.bytes.borrow_mut();
        if bytes.is_empty() {
            return if self.input.ended.get() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let some = into.remaining().min(bytes.len());
        into.put_slice(&bytes[..some]);
        bytes.advance(some);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(&[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
