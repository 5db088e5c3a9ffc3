//! The two directions of a connection, with what has come and is not looked at yet.

use std::io;

use bytes::BytesMut;
use monoio::buf::{IoBuf, IoBufMut};

use crate::limits::{LEAN_READ_BUFFER_BYTES, READ_BUFFER_BYTES, RELAY_BYTES};
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::socket::Socket;

/// What comes.
pub(in crate::shard) struct Inlet {
    half: ReadHalf,
    /// What has come.
    pub buffer: BytesMut,
    /// Bytes that the next read has room for.
    room: usize,
}

/// What goes.
pub(in crate::shard) struct Outlet(WriteHalf);

impl Inlet {
    pub fn new(half: ReadHalf) -> Self {
        Inlet { half, buffer: BytesMut::new(), room: LEAN_READ_BUFFER_BYTES }
    }

    /// Nothing may come for long: what is not needed is given back.
    pub fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.room = LEAN_READ_BUFFER_BYTES;
        }
    }

    /// Bytes that it holds, those included that the next read needs.
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity().max(self.room)
    }

    /// Waits for more, and says how much has come; 0: the end. With a socket the read can be taken back.
    pub async fn fill(&mut self, until_cancelled: Option<&Socket>) -> io::Result<usize> {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() - buffer.len() < self.room {
            buffer.reserve(self.room);
        }
        let (start, end) = (buffer.len(), buffer.capacity());
        let free = IoBufMut::slice_mut(buffer, start..end);
        let (read, filled) = match until_cancelled {
            Some(socket) => self.half.read_until_cancelled(free, socket).await,
            None => self.half.read(free).await,
        };
        self.buffer = filled.into_inner();
        let bytes = read?;
        self.adapt(bytes, end - start);
        Ok(bytes)
    }

    /// As [`Self::fill`], into a buffer of its own, for what is passed on as it is.
    pub async fn take(&mut self, mut spare: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        if !self.buffer.is_empty() {
            let bytes = std::mem::take(&mut self.buffer);
            return (Ok(bytes.len()), bytes.to_vec());
        }
        spare.clear();
        if spare.capacity() < self.room || spare.capacity() > 4 * self.room {
            spare = Vec::with_capacity(self.room);
        }
        let room = spare.capacity();
        let (read, filled) = self.half.read(spare).await;
        if let Ok(bytes) = read {
            self.adapt(bytes, room);
        }
        (read, filled)
    }

    /// Room for more where a read has had no more, and for less where it has had far less.
    fn adapt(&mut self, bytes: usize, room: usize) {
        if bytes == room {
            self.room = (self.room * 4).clamp(READ_BUFFER_BYTES, RELAY_BYTES);
        } else if bytes < self.room / 16 {
            self.room = (self.room / 4).max(LEAN_READ_BUFFER_BYTES);
        }
    }
}

impl Outlet {
    pub fn new(half: WriteHalf) -> Self {
        Outlet(half)
    }

    /// Says that nothing more comes, where that takes more than the end of the stream.
    pub async fn end(&mut self) {
        if let Some(end) = self.0.end() {
            end.await;
        }
    }

    /// Sends all of it; `progress` hears of each piece, and once before the first. Gives the buffer back.
    pub async fn send(&mut self, mut bytes: Vec<u8>, progress: impl Fn()) -> (io::Result<()>, Vec<u8>) {
        let mut done = 0;
        while done < bytes.len() {
            progress();
            let end = bytes.len();
            let (result, slice) = self.0.write(bytes.slice(done..end)).await;
            bytes = slice.into_inner();
            match result {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), bytes),
                Ok(sent) => done += sent,
                Err(error) => return (Err(error), bytes),
            }
        }
        (Ok(()), bytes)
    }
}
