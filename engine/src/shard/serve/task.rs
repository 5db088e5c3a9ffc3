//! The task of one connection: a reader and a writer side by side, and the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use monoio::buf::IoBuf;

use crate::limits::STREAM_WRITE_BYTES;
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::connection::outgoing::Output;
use crate::shard::exchange::phase::Phase;
use crate::shard::life::tick::CountedTask;
use crate::shard::serve::reader::read_loop;
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::socket::Shutdown;

/// Serves one connection until it ends. No `async fn`, as those below: it would hold its arguments twice, and there are as
/// many of these as connections.
#[allow(clippy::manual_async_fn)] // see above
pub(in crate::shard) fn serve(
    task: CountedTask,
    conn: Rc<Conn>,
    reader: ReadHalf,
    writer: WriteHalf,
) -> impl Future<Output = ()> {
    async move {
        let shard = &*task.0;
        {
            let mut read = pin!(read_loop(shard, &conn, reader));
            let mut write = pin!(write_loop(shard, &conn, writer));
            let (mut read_done, mut write_done) = (false, false);
            std::future::poll_fn(|cx| {
                shard.note_step();
                conn.wakeup().remember(cx);
                // A panic costs this connection, not the shard.
                let step = catch_unwind(AssertUnwindSafe(|| {
                    conn.wakeup().begin_turn();
                    if !read_done {
                        read_done = read.as_mut().poll(cx).is_ready();
                    }
                    conn.wakeup().begin_turn();
                    if !write_done {
                        write_done = write.as_mut().poll(cx).is_ready();
                    }
                }));
                let again = conn.wakeup().end_turn();
                if step.is_err() {
                    shard.counters.panics.add(1);
                    // Ends what is in flight: the ring holds the socket open until then.
                    shard.cut_off(&conn);
                    return Poll::Ready(());
                }
                if (again && !(read_done && write_done)) || (!read_done && conn.may_go_on_reading(&shard.limits)) {
                    // Something has changed in this turn: the writer has made room at once, after the reader's, for example.
                    // A task must not wake itself (it would run before all others), so it goes on after the tick.
                    shard.wake_after_tick(cx.waker());
                }
                if read_done && write_done { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            // The halves are dropped here, which closes the socket.
        }
        shard.unregister(&conn);
    }
}

/// Writes what is to be sent until everything is said.
#[allow(clippy::manual_async_fn)] // see `task`
fn write_loop(shard: &Shard, conn: &Conn, mut writer: WriteHalf) -> impl Future<Output = ()> {
    async move {
        #[allow(clippy::while_let_loop)]
        loop {
            // Taken apart at once: what is alive over an await has a place in every connection's task.
            let (mut bytes, load) = match std::future::poll_fn(|_| conn.poll_output()).await {
                Some(Output { bytes, load }) => (bytes, load),
                None => break,
            };
            let answered = conn.take_answered();
            let mut done = 0;
            while done < bytes.len() {
                conn.note_writing(Some(shard.now_ms()));
                // Of a streamed answer in pieces, so that its source hears on the way how far it has come.
                let piece = if load.is_some() { STREAM_WRITE_BYTES } else { usize::MAX };
                let end = bytes.len().min(done.saturating_add(piece));
                let (result, slice) = writer.write(bytes.slice(done..end)).await;
                bytes = slice.into_inner();
                let sent = result.unwrap_or(0);
                if sent == 0 {
                    break;
                }
                if let Some((key, load)) = load {
                    // What frames the pieces is spread over all of them: exact at the end.
                    let share = |done| (u128::from(load) * done as u128 / bytes.len() as u128) as u64;
                    shard.note_sent(conn, key, share(done + sent) - share(done));
                }
                done += sent;
            }
            conn.note_writing(None);
            shard.touch();
            if done < bytes.len() {
                shard.cut_off(conn);
                break;
            }
            // The pace of a stream is the client's.
            if load.is_none() {
                shard.timing.note_sent(answered);
            }
            conn.answers().recycle(bytes);
            if matches!(conn.phase().0, Phase::Idle) {
                conn.restart(Phase::Idle, shard.now_ms());
            }
        }
        if !conn.is_dead()
            && let Some(end) = writer.end()
        {
            conn.note_writing(Some(shard.now_ms()));
            end.await;
            conn.note_writing(None);
        }
        conn.socket().shutdown(Shutdown::Write);
        match conn.phase().0 {
            // The client has the answer, and may still be sending.
            Phase::Skip => {}
            Phase::Stray => conn.restart(Phase::Stray, shard.now_ms()),
            _ => conn.restart(Phase::Linger, shard.now_ms()),
        }
    }
}
