//! One stream, as a connection of HTTP/1.1 would be: a head as text, then content, in each direction.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};

use crate::limits::RELAY_BYTES;
use crate::shard::multiplex::heads::{Asked, response};
use crate::shard::multiplex::memory::Memory;
use crate::shard::reactor::waiters::Waiter;
use crate::wire::answer_head::AnswerContent;
use crate::wire::answer_reader::AnswerReader;
use crate::wire::framing::Framing;
use crate::wire::head::{HeadError, HeadLimits};

/// What is sent.
enum Send {
    /// The head of the answer is to come.
    Answer(SendResponse<Bytes>, Asked),
    /// Content.
    Content(SendStream<Bytes>),
    /// Nothing more.
    Over,
}

/// See the module. Used by one task; whoever likes may [end](Self::reset) it.
pub(in crate::shard) struct Stream {
    send: RefCell<Send>,
    receive: RefCell<Option<RecvStream>>,
    /// It was ended in both directions, on this side.
    cut: Cell<bool>,
    /// What follows the heads is not HTTP.
    tunnel: Cell<bool>,
    /// A read is under way that can be taken back.
    cancellable: Cell<bool>,
    cancelled: Cell<bool>,
    waiter: Waiter,
    memory: Rc<Memory>,
}

impl Stream {
    /// One on which a request has come.
    pub fn answering(respond: SendResponse<Bytes>, asked: Asked, receive: RecvStream, memory: Rc<Memory>) -> Self {
        Stream {
            send: RefCell::new(Send::Answer(respond, asked)),
            receive: RefCell::new(Some(receive)),
            cut: Cell::default(),
            tunnel: Cell::default(),
            cancellable: Cell::default(),
            cancelled: Cell::default(),
            waiter: Waiter::default(),
            memory,
        }
    }

    /// Waits for content, and hands it to `put`; says how much it was, 0 at the end. What is not asked for keeps the window closed
    /// (RFC 9113 5.2).
    pub async fn fill(&self, mut put: impl FnMut(&[u8]), cancellable: bool) -> io::Result<usize> {
        let filled = std::future::poll_fn(|cx| self.poll_fill(cx, &mut put, cancellable)).await;
        self.cancellable.set(false);
        filled
    }

    fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        put: &mut impl FnMut(&[u8]),
        cancellable: bool,
    ) -> Poll<io::Result<usize>> {
        self.waiter.remember(cx);
        if self.cut.get() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        self.cancellable.set(cancellable);
        if self.cancelled.take() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::ECANCELED)));
        }
        let mut receive = self.receive.borrow_mut();
        while let Some(content) = &mut *receive {
            match content.poll_data(cx) {
                Poll::Ready(Some(Ok(bytes))) => {
                    self.memory.took(bytes.len());
                    let _ = content.flow_control().release_capacity(bytes.len());
                    if !bytes.is_empty() {
                        put(&bytes);
                        return Poll::Ready(Ok(bytes.len()));
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Poll::Ready(None) => *receive = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(0))
    }

    /// Sends a head, and then content; `progress` hears of each piece, and once before the first. Gives the buffer back.
    pub async fn send(&self, bytes: Vec<u8>, limits: &HeadLimits, progress: impl Fn()) -> (io::Result<()>, Vec<u8>) {
        let mut done = match self.send_heads(&bytes, limits) {
            Ok(done) => done,
            Err(error) => return (Err(error), bytes),
        };
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            progress();
            match std::future::poll_fn(|cx| self.poll_send(cx, rest)).await {
                Ok(sent) => done += sent,
                Err(error) => return (Err(error), bytes),
            }
        }
        (Ok(()), bytes)
    }

    /// Sends the heads that `bytes` begin with, if none was sent; says where they end. Heads come whole.
    fn send_heads(&self, bytes: &[u8], limits: &HeadLimits) -> io::Result<usize> {
        let mut send = self.send.borrow_mut();
        let broken = |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        let mut done = 0;
        while let Send::Answer(respond, asked) = &mut *send {
            let rest = bytes.get(done..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let mut reader = AnswerReader::default();
            let end = reader.find(rest, asked.method, limits).and_then(|end| end.ok_or(HeadError::Truncated));
            let end = end.map_err(|_| broken(&"an answer that is none"))?;
            let head = reader.head();
            let answer = response(head, &rest[..end], asked).map_err(|error| broken(&error))?;
            done += end;
            if head.is_interim() {
                respond.send_informational(answer).map_err(|error| broken(&error))?;
                continue;
            }
            self.tunnel.set(head.content == AnswerContent::Tunnel);
            let empty = matches!(head.content, AnswerContent::Framed(Framing::None | Framing::Length(0)));
            let content = respond.send_response(answer, empty).map_err(|error| broken(&error))?;
            *send = if empty { Send::Over } else { Send::Content(content) };
        }
        Ok(done)
    }

    fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.waiter.remember(cx);
        let gone = || Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        if self.cut.get() {
            return gone();
        }
        let Send::Content(content) = &mut *self.send.borrow_mut() else { return gone() };
        let wanted = bytes.len().min(RELAY_BYTES);
        content.reserve_capacity(wanted);
        while content.capacity() == 0 {
            match content.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return gone(),
                Poll::Pending => return Poll::Pending,
            }
        }
        let piece = &bytes[..wanted.min(content.capacity())];
        match content.send_data(Bytes::copy_from_slice(piece), false) {
            Ok(()) => Poll::Ready(Ok(piece.len())),
            Err(_) => gone(),
        }
    }

    /// Nothing more is sent.
    pub fn end(&self) {
        let mut send = self.send.borrow_mut();
        if let Send::Content(content) = &mut *send {
            let _ = content.send_data(Bytes::new(), true);
            *send = Send::Over;
        }
    }

    /// Ready when the peer has ended the stream in both directions, while there is something to send.
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.send.borrow_mut() {
            Send::Answer(respond, _) => respond.poll_reset(cx).map(drop),
            Send::Content(content) => content.poll_reset(cx).map(drop),
            Send::Over => Poll::Pending,
        }
    }

    /// Ends it in both directions. Of a tunnel that means that the connection behind it was reset (RFC 9113 8.5).
    pub fn reset(&self) {
        if self.cut.replace(true) {
            return;
        }
        let reason = if self.tunnel.get() { Reason::CONNECT_ERROR } else { Reason::CANCEL };
        match &mut *self.send.borrow_mut() {
            Send::Answer(respond, _) => respond.send_reset(reason),
            Send::Content(content) => content.send_reset(reason),
            Send::Over => {}
        }
        self.waiter.wake();
    }

    /// Ends it as a connection is closed: what was sent stays whole.
    pub fn close(&self) {
        if matches!(*self.send.borrow(), Send::Answer(..)) {
            return self.reset();
        }
        self.end();
        self.cut.set(true);
        self.waiter.wake();
    }

    /// Takes the read back that is under way, where it was begun so that it can be.
    pub fn cancel_read(&self) {
        if self.cancellable.get() {
            self.cancelled.set(true);
            self.waiter.wake();
        }
    }
}
