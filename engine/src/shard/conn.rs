//! One connection: its queue of answers, its deadlines, and the task that reads and writes it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use monoio::buf::IoBuf;
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;

use super::Shard;
use super::asks::{Advised, Asking, Consulted, consult};
use super::intake::{Flow, Intake};
use crate::limits::{BATCH_BUFFER_KEEP_BYTES, LINGER_BYTES, Limits, READ_BUFFER_BYTES, READ_BUFFER_MAX_BYTES};
use crate::link::batch::CallKey;
use crate::sys::{self, Shutdown};

/// What the read side is waiting for; each phase has its own deadline (`sweep`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first byte after accepting.
    Fresh,
    /// The first byte of the next request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body that a call waits for.
    Body,
    /// The rest of a body that nobody wants; its request is answered already.
    Skip,
    /// FIN came while calls were under way.
    HalfClosed,
    /// No request is taken any more; once everything is answered, the client should close.
    Linger,
}

/// A request that has not been answered to the client yet, in order of arrival.
#[derive(Debug)]
enum Pending {
    /// The backend works on it.
    Waiting(CallKey),
    /// Answered out of turn: the bytes wait for the answers before it.
    Ready(Vec<u8>),
}

/// State of one connection, shared by its task and the shard. Single-threaded.
pub(super) struct Conn {
    /// Index in the shard's table of connections.
    pub id: u32,
    socket: RawFd,
    open: Cell<bool>,
    phase: Cell<Phase>,
    phase_since_ms: Cell<u64>,
    phase_bytes: Cell<u64>,
    writing_since_ms: Cell<Option<u64>>,
    /// No request is taken any more; the connection ends after the last answer.
    closing: Cell<bool>,
    /// The peer is gone or was cut off: nothing can be sent.
    dead: Cell<bool>,
    pending: RefCell<VecDeque<Pending>>,
    /// Sequence number of the first entry of `pending`.
    first: Cell<u64>,
    out: RefCell<Vec<u8>>,
    asking: RefCell<Asking>,
    /// The reader waits until answers make room for further requests.
    waits_for_room: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Conn {
    pub fn new(id: u32, socket: RawFd, now_ms: u64) -> Self {
        Conn {
            id,
            socket,
            open: Cell::new(true),
            phase: Cell::new(Phase::Fresh),
            phase_since_ms: Cell::new(now_ms),
            phase_bytes: Cell::new(0),
            writing_since_ms: Cell::new(None),
            closing: Cell::new(false),
            dead: Cell::new(false),
            pending: RefCell::default(),
            first: Cell::new(0),
            out: RefCell::default(),
            asking: RefCell::default(),
            waits_for_room: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    /// What the read side waits for, since when, and the bytes that have come since.
    pub fn phase(&self) -> (Phase, u64, u64) {
        (self.phase.get(), self.phase_since_ms.get(), self.phase_bytes.get())
    }

    /// Enters a phase; its clock starts only when it is a new one.
    pub fn enter(&self, phase: Phase, now_ms: u64) {
        if self.phase.replace(phase) != phase {
            self.phase_since_ms.set(now_ms);
            self.phase_bytes.set(0);
        }
    }

    /// Enters a phase and starts its clock anew.
    pub fn restart(&self, phase: Phase, now_ms: u64) {
        self.phase.set(phase);
        self.phase_since_ms.set(now_ms);
        self.phase_bytes.set(0);
    }

    pub fn count_bytes(&self, bytes: usize) {
        self.phase_bytes.set(self.phase_bytes.get() + bytes as u64);
    }

    /// Since when a send makes no progress.
    pub fn writing_since_ms(&self) -> Option<u64> {
        self.writing_since_ms.get()
    }

    pub fn closing(&self) -> bool {
        self.closing.get()
    }

    /// Takes no further request; ends when the last answer is out.
    pub fn begin_close(&self) {
        self.closing.set(true);
        self.wake();
    }

    /// Requests that are not answered yet.
    pub fn pending(&self) -> usize {
        self.pending.borrow().len() + usize::from(self.is_asking())
    }

    /// The calls and the question under way.
    pub fn waiting(&self) -> Vec<CallKey> {
        let asked = match *self.asking.borrow() {
            Asking::Waiting(key) => Some(key),
            Asking::Nothing | Asking::Advised(_) => None,
        };
        let pending = self.pending.borrow();
        let calls = pending.iter().filter_map(|entry| match entry {
            Pending::Waiting(key) => Some(*key),
            Pending::Ready(_) => None,
        });
        calls.chain(asked).collect()
    }

    /// True while a request cannot be decided without JavaScript's word, or has not been since it came.
    pub fn is_asking(&self) -> bool {
        !matches!(*self.asking.borrow(), Asking::Nothing)
    }

    /// JavaScript is asked about the next request; what it says comes to [`Self::advise`].
    pub fn begin_ask(&self, key: CallKey) {
        self.asking.replace(Asking::Waiting(key));
    }

    /// The request is answered without JavaScript's word.
    pub fn end_ask(&self) {
        self.asking.replace(Asking::Nothing);
    }

    pub fn advise(&self, advised: Box<Advised>) {
        self.asking.replace(Asking::Advised(advised));
        self.wake();
    }

    pub fn is_advised(&self) -> bool {
        matches!(*self.asking.borrow(), Asking::Advised(_))
    }

    /// The word on the request that is to be decided now.
    pub fn take_advice(&self) -> Option<Box<Advised>> {
        match self.asking.take() {
            Asking::Advised(advised) => Some(advised),
            Asking::Nothing | Asking::Waiting(_) => None,
        }
    }

    /// The reader waits until answers make room (or no longer).
    pub fn wait_for_room(&self, waits: bool) {
        self.waits_for_room.set(waits);
    }

    /// True when nothing waits to be answered or sent.
    pub fn settled(&self) -> bool {
        self.pending() == 0 && self.out.borrow().is_empty() && self.writing_since_ms.get().is_none()
    }

    /// True when the connection has room for one more request.
    pub fn has_room(&self, max_pipelined: usize, max_buffered_bytes: usize) -> bool {
        self.pending.borrow().len() < max_pipelined && self.out.borrow().len() < max_buffered_bytes
    }

    /// True when the reader has something to do: take requests, or see that there are no more to take.
    pub fn may_read(&self, limits: &Limits) -> bool {
        self.closing() || self.has_room(limits.max_pipelined, limits.max_buffered_bytes)
    }

    /// The number that the next request gets.
    pub fn next_sequence(&self) -> u64 {
        self.first.get() + self.pending.borrow().len() as u64
    }

    /// Queues a request that the backend works on; its number is the `next_sequence` of before.
    pub fn push_waiting(&self, key: CallKey) {
        self.pending.borrow_mut().push_back(Pending::Waiting(key));
    }

    /// True when an answer to this request must say `Connection: close`: it is the last one.
    pub fn is_last(&self, sequence: u64) -> bool {
        self.closing.get() && sequence + 1 >= self.next_sequence()
    }

    /// Answers a request that was just read: in its turn at once, otherwise behind the calls before it.
    pub fn answer_now(&self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.dead.get() {
            return;
        }
        if self.pending.borrow().is_empty() {
            write(&mut self.out.borrow_mut());
            self.first.set(self.first.get() + 1);
            self.wake();
        } else {
            let mut bytes = Vec::new();
            write(&mut bytes);
            self.pending.borrow_mut().push_back(Pending::Ready(bytes));
        }
    }

    /// Answers the call with number `sequence`.
    pub fn answer(&self, sequence: u64, write: impl FnOnce(&mut Vec<u8>)) {
        if self.dead.get() {
            return;
        }
        let first = self.first.get();
        let mut pending = self.pending.borrow_mut();
        if sequence == first {
            let mut out = self.out.borrow_mut();
            pending.pop_front();
            write(&mut out);
            let mut answered = 1;
            while let Some(Pending::Ready(bytes)) = pending.front() {
                out.extend_from_slice(bytes);
                pending.pop_front();
                answered += 1;
            }
            self.first.set(first + answered);
            drop(out);
            drop(pending);
            self.wake();
        } else if let Some(entry) = pending.get_mut((sequence - first) as usize) {
            let mut bytes = Vec::new();
            write(&mut bytes);
            *entry = Pending::Ready(bytes);
        }
    }

    /// Cuts the connection off: what waits is dropped, the calls under way are returned, both directions end.
    pub fn kill(&self, abandoned: &mut Vec<CallKey>) {
        self.dead.set(true);
        self.closing.set(true);
        let mut pending = self.pending.borrow_mut();
        self.first.set(self.first.get() + pending.len() as u64);
        abandoned.extend(pending.drain(..).filter_map(|entry| match entry {
            Pending::Waiting(key) => Some(key),
            Pending::Ready(_) => None,
        }));
        if let Asking::Waiting(key) = self.asking.take() {
            abandoned.push(key);
        }
        drop(pending);
        self.out.borrow_mut().clear();
        self.shutdown(Shutdown::Both);
        self.wake();
    }

    /// Shuts a direction down, unless the socket is closed already.
    pub fn shutdown(&self, how: Shutdown) {
        if self.open.get() {
            sys::shutdown(self.socket, how);
        }
    }

    /// Makes the task look at the queue again.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    fn remember_waker(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// The next bytes to send; `None` when everything is said.
    fn poll_output(&self, spare: &mut Vec<u8>) -> Poll<Option<Vec<u8>>> {
        let mut out = self.out.borrow_mut();
        if self.dead.get() {
            Poll::Ready(None)
        } else if !out.is_empty() {
            Poll::Ready(Some(std::mem::replace(&mut *out, std::mem::take(spare))))
        } else if self.closing.get() && self.pending() == 0 {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }
}

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
                return Poll::Ready(());
            }
            if !read_done && conn.waits_for_room.get() && conn.may_read(&shard.limits) {
                // The writer has made room at once, after the reader's turn. A task must not wake itself (it would run
                // before all others), so the reader goes on after the tick.
                shard.wake_after_tick(cx.waker());
            }
            if read_done && write_done { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        // The socket is closed when the halves are dropped, at the end of this block: nobody may touch it by number.
        conn.open.set(false);
    }
    shard.unregister(&conn);
}

async fn read_loop(shard: &Shard, conn: &Conn, mut reader: OwnedReadHalf<TcpStream>) {
    let mut intake = Intake::default();
    let mut buffer: Vec<u8> = Vec::new();
    let mut capacity = READ_BUFFER_BYTES;
    loop {
        std::future::poll_fn(|_| {
            let open = conn.may_read(&shard.limits);
            conn.waits_for_room.set(!open);
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
        if buffer.capacity() - buffer.len() < capacity / 2 {
            buffer.reserve_exact(capacity);
        }
        let (from, to) = (buffer.len(), buffer.capacity());
        let (read, filled) = reader.read(monoio::buf::IoBufMut::slice_mut(buffer, from..to)).await;
        buffer = filled.into_inner();
        shard.touch();
        match read {
            Ok(0) => {
                intake.end_of_input(shard, conn, begins_a_head(&buffer));
                return;
            }
            Ok(bytes) => {
                conn.count_bytes(bytes);
                if bytes == to - from {
                    capacity = (capacity * 2).min(READ_BUFFER_MAX_BYTES);
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
async fn discard(shard: &Shard, conn: &Conn, reader: &mut OwnedReadHalf<TcpStream>, mut buffer: Vec<u8>) {
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
    conn.shutdown(Shutdown::Read);
}

async fn write_loop(shard: &Shard, conn: &Conn, mut writer: OwnedWriteHalf<TcpStream>) {
    let mut spare = Vec::new();
    while let Some(bytes) = std::future::poll_fn(|_| conn.poll_output(&mut spare)).await {
        conn.writing_since_ms.set(Some(shard.now_ms()));
        let (sent, mut used) = write_all(shard, conn, &mut writer, bytes).await;
        conn.writing_since_ms.set(None);
        shard.touch();
        if !sent {
            shard.cut_off(conn);
            break;
        }
        if used.capacity() > BATCH_BUFFER_KEEP_BYTES {
            used = Vec::new();
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
        conn.writing_since_ms.set(Some(shard.now_ms()));
        let (sent, slice) = writer.write(rest.slice(done..)).await;
        rest = slice.into_inner();
        match sent {
            Ok(sent) if sent > 0 => done += sent,
            _ => return (false, rest),
        }
    }
    (true, rest)
}
