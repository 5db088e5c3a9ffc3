//! The read side of a connection that speaks HTTP/2.

use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;
use monoio::buf::IoBufMut;

use crate::limits::{READ_BUFFER_BYTES, READ_BUFFER_MAX_BYTES};
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::connection::discard::discard;
use crate::shard::exchange::phase::Phase;
use crate::shard::http2::session::Session;
use crate::shard::transport::halves::ReadHalf;

/// Serves it until it is over; `buffer` begins with what has come of the preface.
pub(in crate::shard) async fn read_http2(shard: &Shard, conn: &Conn, socket: &mut ReadHalf, buffer: BytesMut) {
    let Some(of) = shard.conns.borrow().get(conn.id as usize).cloned() else { return };
    let mut session = Session::new(shard, conn, of, conn.begin_streams());
    session.feed(buffer);
    let mut capacity = READ_BUFFER_BYTES;
    let may_send_on = loop {
        // What has come cannot be taken before there is room for what is to be sent.
        let over = std::future::poll_fn(|_| match turn(shard, &mut session) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if session.wants_input() => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        });
        if over.await {
            end(shard, conn, session);
            break true;
        }
        let buffer = session.buffer(capacity);
        let free = 0..buffer.capacity();
        let mut read = pin!(socket.read(IoBufMut::slice_mut(buffer, free)));
        let came = std::future::poll_fn(|cx| match turn(shard, &mut session) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => read.as_mut().poll(cx).map(Some),
        })
        .await;
        let Some((came, buffer)) = came else {
            // The read that is under way cannot be taken back.
            end(shard, conn, session);
            break matches!(read.await.0, Ok(1..));
        };
        let buffer = buffer.into_inner();
        shard.touch();
        match came {
            Ok(0) => {
                session.end_of_input();
                std::future::poll_fn(|_| turn(shard, &mut session)).await;
                end(shard, conn, session);
                break false;
            }
            Ok(bytes) => {
                // As large as what comes in one go.
                capacity = if bytes == capacity { capacity * 4 } else { bytes.next_power_of_two() };
                capacity = capacity.clamp(READ_BUFFER_BYTES, READ_BUFFER_MAX_BYTES);
                session.feed(buffer);
            }
            Err(_) => return shard.cut_off(conn),
        }
    };
    if may_send_on && !conn.is_dead() {
        discard(shard, conn, socket, None, BytesMut::new()).await;
    }
}

fn turn(shard: &Shard, session: &mut Session<'_>) -> Poll<()> {
    if !session.has_work() {
        return Poll::Pending;
    }
    shard.touch();
    session.turn()
}

/// Everything is said: what is written goes out, and the client has a short time to leave.
fn end(shard: &Shard, conn: &Conn, session: Session<'_>) {
    drop(session);
    conn.restart(Phase::Linger, shard.now_ms());
    conn.set_unread(false);
    conn.hold_input(0);
    conn.begin_close();
}
