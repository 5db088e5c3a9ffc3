//! The task of one connection: a reader and a writer side by side, and the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::BytesMut;
use monoio::buf::IoBuf;
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;

use super::Shard;
use super::asks::{Consulted, consult};
use super::conn::{Conn, Origin, Phase};
use super::intake::{Flow, Intake};
use crate::limits::{
    CONN_BUFFER_KEEP_BYTES, LINGER_BYTES, READ_BUFFER_BYTES, READ_BUFFER_MAX_BYTES, STREAM_WRITE_BYTES,
};
use crate::link::batch::CallKey;
use crate::sys::Shutdown;

/// Serves one connection until it ends.
pub(super) async fn serve(shard: Rc<Shard>, conn: Rc<Conn>, stream: TcpStream) {
    let (reader, writer) = stream.into_split();
    {
        let mut read = pin!(read_loop(&shard, &conn, reader));
        let mut write = pin!(write_loop(&shard, &conn, writer));
        let (mut read_done, mut write_done) = (false, false);
        std::future::poll_fn(|cx| {
            conn.remember_waker(cx);
            // A panic costs this connection, not the shard.
            let step = catch_unwind(AssertUnwindSafe(|| {
                if !read_done {
                    read_done = read.as_mut().poll(cx).is_ready();
                }
                if !write_done {
                    write_done = write.as_mut().poll(cx).is_ready();
                }
            }));
            if step.is_err() {
                shard.counters.panics.add(1);
                // Ends what is in flight: the ring holds the socket open until then.
                shard.cut_off(&conn);
                return Poll::Ready(());
            }
            if !read_done && conn.may_go_on_reading(&shard.limits) {
                // The writer has made room at once, after the reader's turn. A task must not wake itself (it would run
                // before all others), so the reader goes on after the tick.
                shard.wake_after_tick(cx.waker());
            }
            if read_done && write_done { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        // The socket is closed when the halves are dropped, at the end of this block: nobody may touch it by number.
        conn.forget_socket();
    }
    shard.unregister(&conn);
}

async fn read_loop(shard: &Shard, conn: &Conn, mut reader: OwnedReadHalf<TcpStream>) {
    let mut intake = Intake::default();
    let mut buffer = BytesMut::new();
    let mut capacity = READ_BUFFER_BYTES;
    loop {
        std::future::poll_fn(|_| {
            let open = conn.may_read(&shard.limits);
            conn.set_unread(!open);
            if open { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        shard.touch();
        // What the last read left over, held back by the bound on pipelined requests.
        match intake.take_in(shard, conn, &mut buffer) {
            Flow::Full => continue,
            Flow::Ask => match consult(shard, conn, &mut intake, &mut buffer, &mut reader).await {
                Consulted::Done => continue,
                Consulted::Closing => break,
                Consulted::Ended => return,
            },
            Flow::Close => break,
            Flow::More => {}
        }
        if buffer.is_empty() && buffer.capacity() > CONN_BUFFER_KEEP_BYTES && conn.phase().0 == Phase::Idle {
            // Between two requests: it may idle for long, and there may be many such.
            buffer = BytesMut::new();
            capacity = READ_BUFFER_BYTES;
        }
        // `take_in` only moves the start of the buffer forward; asking for the room that was there before moves it back
        // (`BytesMut` copies what is left over, if that is less, and allocates nothing).
        let room = if buffer.is_empty() { capacity } else { capacity / 2 };
        if buffer.capacity() - buffer.len() < room {
            buffer.reserve(room);
        }
        let (from, to) = (buffer.len(), buffer.capacity());
        let (read, filled) = reader.read(monoio::buf::IoBufMut::slice_mut(buffer, from..to)).await;
        buffer = filled.into_inner();
        shard.touch();
        match read {
            Ok(0) if conn.origin() == Origin::InProcess => {
                shard.cut_off(conn);
                return;
            }
            Ok(0) => {
                intake.end_of_input(shard, conn, begins_a_head(&buffer));
                return;
            }
            Ok(bytes) => {
                conn.count_bytes(bytes);
                if bytes == to - from {
                    let (most, factor) =
                        conn.inflow().map_or((READ_BUFFER_MAX_BYTES, 2), |inflow| (inflow.read_buffer_max(), 16));
                    capacity = (capacity * factor).min(most);
                }
            }
            Err(_) => {
                shard.cut_off(conn);
                return;
            }
        }
    }
    conn.begin_close();
    discard(shard, conn, &mut reader, buffer).await;
}

/// True when the input ends in a head: an empty line behind the last body is no request (RFC 9112 2.2).
pub(super) fn begins_a_head(buffer: &[u8]) -> bool {
    buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
}

/// Reads on after the last request, so that the client can finish sending and read the last answer (RFC 9112 9.6).
async fn discard(shard: &Shard, conn: &Conn, reader: &mut OwnedReadHalf<TcpStream>, mut buffer: BytesMut) {
    let mut left = LINGER_BYTES;
    // Whatever the client was in the middle of has been answered: no deadline of a head or a body strikes any more.
    conn.restart(Phase::Linger, shard.now_ms());
    buffer.clear();
    if buffer.capacity() < READ_BUFFER_BYTES {
        buffer.reserve(READ_BUFFER_MAX_BYTES);
    }
    while left > 0 {
        let (read, used) = reader.read(buffer).await;
        buffer = used;
        shard.touch();
        match read {
            Ok(0) if conn.origin() == Origin::InProcess => {
                shard.cut_off(conn);
                return;
            }
            Ok(0) => {
                if !conn.settled() {
                    conn.enter(Phase::HalfClosed, shard.now_ms());
                }
                return;
            }
            Ok(bytes) => left = left.saturating_sub(bytes as u64),
            Err(_) => {
                shard.cut_off(conn);
                return;
            }
        }
        buffer.clear();
    }
    // Too much: the answers still go out, but the rest of the input meets a reset.
    conn.set_unread(true);
    conn.shutdown(Shutdown::Read);
}

async fn write_loop(shard: &Shard, conn: &Conn, mut writer: OwnedWriteHalf<TcpStream>) {
    let mut spare = Vec::new();
    while let Some(output) = std::future::poll_fn(|_| conn.poll_output(&mut spare)).await {
        conn.note_writing(Some(shard.now_ms()));
        let (answered, timed) = (conn.take_answered(), output.load.is_none());
        let (sent, mut used) = match output.load {
            None => write_all(shard, conn, &mut writer, output.bytes).await,
            Some((key, load)) => write_stream(shard, conn, &mut writer, output.bytes, key, load).await,
        };
        conn.note_writing(None);
        shard.touch();
        if !sent {
            shard.cut_off(conn);
            break;
        }
        // The pace of a stream is the client's.
        if timed {
            shard.timing.note_sent(answered);
        }
        if used.capacity() > CONN_BUFFER_KEEP_BYTES && !conn.streams_answer() {
            used = Vec::new();
            conn.answers().trim();
        }
        used.clear();
        spare = used;
        if matches!(conn.phase().0, Phase::Idle) {
            conn.restart(Phase::Idle, shard.now_ms());
        }
    }
    conn.shutdown(Shutdown::Write);
    conn.restart(Phase::Linger, shard.now_ms());
}

async fn write_all(
    shard: &Shard,
    conn: &Conn,
    writer: &mut OwnedWriteHalf<TcpStream>,
    bytes: Vec<u8>,
) -> (bool, Vec<u8>) {
    let total = bytes.len();
    let (sent, bytes) = writer.write(bytes).await;
    let mut done = match sent {
        Ok(sent) if sent > 0 => sent,
        _ => return (false, bytes),
    };
    let mut rest = bytes;
    while done < total {
        conn.note_writing(Some(shard.now_ms()));
        let (sent, slice) = writer.write(rest.slice(done..)).await;
        rest = slice.into_inner();
        match sent {
            Ok(sent) if sent > 0 => done += sent,
            _ => return (false, rest),
        }
    }
    (true, rest)
}

/// Writes bytes of which `load` are of the streamed answer to `key`, and says on the way how far it has come.
async fn write_stream(
    shard: &Shard,
    conn: &Conn,
    writer: &mut OwnedWriteHalf<TcpStream>,
    bytes: Vec<u8>,
    key: CallKey,
    load: u64,
) -> (bool, Vec<u8>) {
    let total = bytes.len();
    let (mut rest, mut done, mut told) = (bytes, 0, 0);
    while done < total {
        conn.note_writing(Some(shard.now_ms()));
        let (sent, slice) = writer.write(rest.slice(done..total.min(done + STREAM_WRITE_BYTES))).await;
        rest = slice.into_inner();
        match sent {
            Ok(sent) if sent > 0 => done += sent,
            _ => return (false, rest),
        }
        // What frames the pieces is spread over all of them: exact at the end.
        let share = (u128::from(load) * done as u128 / total as u128) as u64;
        shard.note_sent(conn, key, share - told);
        told = share;
    }
    (true, rest)
}
