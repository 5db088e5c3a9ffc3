//! The task of a connection: reads, lets `h2` work, and writes, side by side.

use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use monoio::buf::{IoBuf, IoBufMut};

use crate::limits::{LEAN_READ_BUFFER_BYTES, READ_BUFFER_BYTES, RELAY_BYTES};
use crate::shard::Shard;
use crate::shard::multiplex::memory::Memory;
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::socket::{Shutdown, Socket};

/// Rounds in which a task goes on without letting others have a turn.
const ROUNDS: usize = 32;

/// What one end of a connection does with its frames.
pub(in crate::shard) trait Role {
    /// Works; ready when the connection is over, and all is written that is to be sent.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Sending makes progress now, or (`false`) is done.
    fn note_writing(&self, writing: bool);

    /// The peer has some time to close when everything is said: it may still be sending.
    fn lingers(&self) -> bool {
        true
    }
}

/// Drives a connection until both directions have ended. Its end is the business of whoever can cut the socket: nothing here waits
/// for a time.
pub(in crate::shard) async fn drive(
    shard: &Shard,
    memory: &Memory,
    socket: &Socket,
    mut reader: ReadHalf,
    mut writer: WriteHalf,
    role: &mut impl Role,
) {
    let sent = std::cell::Cell::new(None);
    let mut reading = pin!(read(memory, &mut reader));
    let mut writing = pin!(write(memory, socket, &mut writer, |writing| sent.set(Some(writing))));
    let (mut read, mut written) = (false, false);
    std::future::poll_fn(|cx| {
        for _ in 0..ROUNDS {
            read = read || reading.as_mut().poll(cx).is_ready();
            if !memory.is_finished() && role.turn(cx).is_ready() {
                memory.finish();
            }
            if !written && writing.as_mut().poll(cx).is_ready() {
                written = true;
                if !role.lingers() {
                    socket.cut(false);
                }
            }
            if let Some(writing) = sent.take() {
                role.note_writing(writing);
            }
            match (read && written, memory.moved()) {
                (true, _) => return Poll::Ready(()),
                (false, true) => {}
                (false, false) => return Poll::Pending,
            }
        }
        // Others have a turn; a task must not wake itself.
        shard.wake_after_tick(cx.waker());
        Poll::Pending
    })
    .await;
    shard.touch();
}

/// Reads until there is nothing more to read, even when nobody looks at it any more: a peer that still sends would meet a reset.
async fn read(memory: &Memory, reader: &mut ReadHalf) {
    let mut room = LEAN_READ_BUFFER_BYTES;
    loop {
        std::future::poll_fn(|_| {
            if memory.is_finished() || memory.wants_input() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let free = IoBufMut::slice_mut(BytesMut::with_capacity(room), 0..room);
        let (read, filled) = reader.read(free).await;
        match read {
            Ok(bytes) if bytes > 0 && memory.is_finished() => {}
            Ok(bytes) if bytes > 0 => {
                // As large as what comes in one go.
                room = if bytes == room { room * 4 } else { bytes.next_power_of_two() };
                room = room.clamp(LEAN_READ_BUFFER_BYTES, RELAY_BYTES);
                memory.arrive(filled.into_inner());
            }
            _ => return memory.end_input(),
        }
    }
}

/// Writes until all is written.
async fn write(memory: &Memory, socket: &Socket, writer: &mut WriteHalf, note: impl Fn(bool)) {
    while let Some(mut bytes) = std::future::poll_fn(|_| memory.poll_output()).await {
        let mut done = 0;
        while done < bytes.len() {
            note(true);
            let end = bytes.len().min(done + READ_BUFFER_BYTES.max(RELAY_BYTES));
            let (result, slice) = writer.write(bytes.slice(done..end)).await;
            bytes = slice.into_inner();
            match result {
                Ok(sent) if sent > 0 => done += sent,
                _ => {
                    // Reading ends by that, too.
                    socket.cut(false);
                    return memory.finish();
                }
            }
        }
        note(false);
    }
    if let Some(end) = writer.end() {
        note(true);
        end.await;
        note(false);
    }
    socket.shutdown(Shutdown::Write);
}
