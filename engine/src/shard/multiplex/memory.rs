//! What `h2` reads from and writes to: memory, with the task of its connection on the other side.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::RELAY_BYTES;
use crate::wire::section_watch::Flaw;

/// See the module. Nobody has to be woken by it: what uses it is one task, which looks again while anything has [moved](Self::moved).
#[derive(Debug, Default)]
pub(in crate::shard) struct Memory {
    /// What was read, and nobody has looked at.
    arrived: RefCell<BytesMut>,
    /// What `h2` is to read.
    input: RefCell<BytesMut>,
    /// Nothing follows what was read.
    ended: Cell<bool>,
    /// What `h2` has written.
    output: RefCell<Vec<u8>>,
    /// So many bytes since that was asked.
    written: Cell<u64>,
    /// It writes no more.
    finished: Cell<bool>,
    moved: Cell<bool>,
    /// Bytes of content that have come, and that nobody has taken.
    unread: Cell<u64>,
    /// Streams behind whose content fields have come that are wrong. The latest last.
    spoiled: RefCell<Vec<(u32, Flaw)>>,
    /// Streams that have ended with a reset.
    resets: Cell<usize>,
}

/// So many of those are known: as many as a connection has streams.
const SPOILED_STREAMS: usize = 128;

impl Memory {
    /// True when something has come or gone since this was asked.
    pub fn moved(&self) -> bool {
        self.moved.take()
    }

    /// More can be read: all that was is taken.
    pub fn wants_input(&self) -> bool {
        self.arrived.borrow().is_empty() && self.input.borrow().is_empty()
    }

    /// Something was read.
    pub fn arrive(&self, bytes: BytesMut) {
        self.arrived.replace(bytes);
        self.moved.set(true);
    }

    /// Nothing follows.
    pub fn end_input(&self) {
        self.ended.set(true);
        self.moved.set(true);
    }

    /// What was read, for whoever looks at it before `h2` does.
    pub fn take_arrived(&self) -> Option<BytesMut> {
        let bytes = self.arrived.take();
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Gives `h2` what was read, all before it having been taken.
    pub fn feed(&self, bytes: BytesMut) {
        self.input.replace(bytes);
    }

    /// What is to be sent; `None`: nothing more.
    pub fn poll_output(&self) -> Poll<Option<Vec<u8>>> {
        let bytes = self.output.take();
        match bytes.is_empty() {
            false => {
                self.moved.set(true);
                Poll::Ready(Some(bytes))
            }
            true if self.finished.get() => Poll::Ready(None),
            true => Poll::Pending,
        }
    }

    /// `h2` writes no more.
    pub fn finish(&self) {
        self.finished.set(true);
        self.moved.set(true);
    }

    pub fn is_finished(&self) -> bool {
        self.finished.get()
    }

    /// Bytes that `h2` has written since this was asked.
    pub fn take_written(&self) -> u64 {
        self.written.take()
    }

    /// The fields behind the content of a stream are wrong.
    pub fn spoil(&self, stream: u32, flaw: Flaw) {
        let mut spoiled = self.spoiled.borrow_mut();
        if spoiled.len() == SPOILED_STREAMS {
            spoiled.remove(0);
        }
        spoiled.push((stream, flaw));
    }

    /// What is wrong with them; asked once.
    pub fn take_flaw(&self, stream: u32) -> Option<Flaw> {
        let mut spoiled = self.spoiled.borrow_mut();
        let at = spoiled.iter().position(|(known, _)| *known == stream)?;
        Some(spoiled.remove(at).1)
    }

    /// So much content has come, of which no more than `most` can be there.
    pub fn count_unread(&self, bytes: u64, most: u32) {
        self.unread.set((self.unread.get() + bytes).min(u64::from(most)));
    }

    /// So much of it was taken.
    pub fn took(&self, bytes: usize) {
        self.unread.set(self.unread.get().saturating_sub(bytes as u64));
    }

    /// What came for streams that nobody reads any more is gone: of it no more can be there than these have windows for, nor more than
    /// the connection has.
    pub fn bound_unread(&self, streams: usize, stream_window: u32, connection_window: u32) {
        let streams = u32::try_from(streams).unwrap_or(u32::MAX);
        self.count_unread(0, stream_window.saturating_mul(streams).min(connection_window));
    }

    /// A stream has ended with a reset.
    pub fn note_reset(&self) {
        self.resets.set(self.resets.get() + 1);
    }

    /// Streams that have.
    pub fn resets(&self) -> usize {
        self.resets.get()
    }

    /// Bytes that it holds, and those of content that wait for whoever takes them.
    pub fn held_bytes(&self) -> usize {
        let (arrived, input, output) = (self.arrived.borrow(), self.input.borrow(), self.output.borrow());
        arrived.capacity() + input.capacity() + output.capacity() + self.unread.get() as usize
    }
}

/// The end of it that `h2` has.
pub(in crate::shard) struct Pipe(pub Rc<Memory>);

impl Pipe {
    fn write(&self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut output = self.0.output.borrow_mut();
        if output.len() >= RELAY_BYTES {
            // The task looks again when it has taken that.
            return Poll::Pending;
        }
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        slices.iter().for_each(|slice| output.extend_from_slice(slice));
        self.0.written.set(self.0.written.get() + bytes as u64);
        self.0.moved.set(true);
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut bytes = self.0.input.borrow_mut();
        if bytes.is_empty() {
            return if self.0.ended.get() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let some = into.remaining().min(bytes.len());
        into.put_slice(&bytes[..some]);
        bytes.advance(some);
        if bytes.is_empty() {
            *bytes = BytesMut::new();
        }
        self.0.moved.set(true);
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
