//! One stream, as a connection of HTTP/1.1 would be: a head as text, then content, in each direction.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;

use crate::limits::RELAY_BYTES;
use crate::link::http2_counts::{CountedStream, Side};
use crate::shard::multiplex::asking::{request, write_answer};
use crate::shard::multiplex::heads::{Asked, Unfit, response};
use crate::shard::multiplex::memory::Memory;
use crate::shard::multiplex::trailers;
use crate::shard::reactor::waiters::Waiter;
use crate::wire::answer_head::AnswerContent;
use crate::wire::answer_reader::AnswerReader;
use crate::wire::body::BodyError;
use crate::wire::head::{Head, HeadError, HeadLimits, HeadScanner, Scan};
use crate::wire::section_watch::Flaw;

/// What is sent.
enum Send {
    /// The head of the request is to come.
    Request(SendRequest<Bytes>),
    /// The head of the answer is to come.
    Answer(SendResponse<Bytes>, Asked),
    /// Content.
    Content(SendStream<Bytes>),
    /// Nothing more.
    Over,
}

/// What is received.
enum Receive {
    /// Nothing, before the request is sent.
    Unasked,
    /// The head of the answer is to come.
    Answer(ResponseFuture, Asked),
    /// Content.
    Content(RecvStream),
    /// Nothing more.
    Over,
}

/// Why a request was not answered that may be sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Failure {
    /// The server has not looked at it (RFC 9113 8.7).
    Unprocessed,
    /// It has to be sent in HTTP/1.1.
    WantsHttp1,
}

impl Failure {
    fn of(error: &h2::Error) -> Option<Failure> {
        match error.reason() {
            Some(Reason::REFUSED_STREAM) => Some(Failure::Unprocessed),
            Some(Reason::HTTP_1_1_REQUIRED) => Some(Failure::WantsHttp1),
            // It is told to those streams that have come too late.
            Some(Reason::NO_ERROR) if error.is_go_away() && error.is_remote() => Some(Failure::Unprocessed),
            _ => None,
        }
    }
}

/// See the module. Used by one task; whoever likes may [end](Self::reset) it.
pub(in crate::shard) struct Stream {
    /// That of the frames, where it has one already.
    number: u32,
    send: RefCell<Send>,
    receive: RefCell<Receive>,
    failure: Cell<Option<Failure>>,
    /// The fields behind content that has ended, as lines.
    trailers: RefCell<Result<Vec<u8>, BodyError>>,
    /// It was ended in both directions, on this side.
    cut: Cell<bool>,
    /// What follows the heads is not HTTP.
    tunnel: Cell<bool>,
    /// A read is under way that can be taken back.
    cancellable: Cell<bool>,
    cancelled: Cell<bool>,
    waiter: Waiter,
    memory: Rc<Memory>,
    side: Arc<Side>,
    /// Once its request has begun.
    counted: RefCell<Option<CountedStream>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        // `h2` resets what has begun and is not over.
        if self.counted.get_mut().is_some() && !self.is_over() {
            self.memory.note_reset();
        }
        // What has come of it, and nobody will take.
        if let Receive::Content(content) = self.receive.get_mut() {
            self.memory.took(content.flow_control().used_capacity());
        }
    }
}

impl Stream {
    /// One on which a request has come.
    pub fn answering(
        respond: SendResponse<Bytes>,
        asked: Asked,
        receive: RecvStream,
        memory: Rc<Memory>,
        side: Arc<Side>,
    ) -> Self {
        let number = receive.stream_id().as_u32();
        let stream = Stream::new(number, Send::Answer(respond, asked), Receive::Content(receive), memory, side);
        stream.count();
        stream
    }

    /// One on which a request is to be sent.
    pub fn asking(send: SendRequest<Bytes>, memory: Rc<Memory>, side: Arc<Side>) -> Self {
        Stream::new(0, Send::Request(send), Receive::Unasked, memory, side)
    }

    fn new(number: u32, send: Send, receive: Receive, memory: Rc<Memory>, side: Arc<Side>) -> Self {
        Stream {
            number,
            send: RefCell::new(send),
            receive: RefCell::new(receive),
            failure: Cell::default(),
            trailers: RefCell::new(Ok(Vec::new())),
            cut: Cell::default(),
            tunnel: Cell::default(),
            cancellable: Cell::default(),
            cancelled: Cell::default(),
            waiter: Waiter::default(),
            memory,
            side,
            counted: RefCell::default(),
        }
    }

    /// Its request begins.
    fn count(&self) {
        self.counted.replace(Some(self.side.stream()));
    }

    /// It has ended with a reset, or does.
    fn note_reset(&self) {
        if let Some(counted) = &mut *self.counted.borrow_mut() {
            counted.note_reset();
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
        let broken = || Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        let mut receive = self.receive.borrow_mut();
        loop {
            match &mut *receive {
                Receive::Unasked => return Poll::Pending,
                Receive::Over => return Poll::Ready(Ok(0)),
                Receive::Answer(answer, asked) => match poll_answer(answer, asked, cx) {
                    Poll::Ready(Ok((text, content))) => {
                        put(&text);
                        if let Some(content) = content {
                            *receive = Receive::Content(content);
                        }
                        return Poll::Ready(Ok(text.len()));
                    }
                    Poll::Ready(Err(failure)) => {
                        self.failure.set(failure);
                        self.note_reset();
                        return broken();
                    }
                    Poll::Pending => return Poll::Pending,
                },
                Receive::Content(content) => match content.poll_data(cx) {
                    Poll::Ready(Some(Ok(bytes))) => {
                        self.memory.took(bytes.len());
                        let _ = content.flow_control().release_capacity(bytes.len());
                        if !bytes.is_empty() {
                            put(&bytes);
                            return Poll::Ready(Ok(bytes.len()));
                        }
                    }
                    Poll::Ready(Some(Err(_))) => {
                        self.note_reset();
                        return broken();
                    }
                    Poll::Ready(None) => match content.poll_trailers(cx) {
                        Poll::Ready(Ok(fields)) if self.end_content(content.stream_id().as_u32(), fields.as_ref()) => {
                            *receive = Receive::Over
                        }
                        Poll::Ready(_) => return broken(),
                        Poll::Pending => return Poll::Pending,
                    },
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    /// Content has ended, with these fields behind it; false when they are malformed.
    fn end_content(&self, number: u32, fields: Option<&HeaderMap>) -> bool {
        let Some(fields) = fields else { return true };
        let mut lines = Vec::new();
        let fits = match self.memory.take_flaw(number) {
            // Behind the bytes of a tunnel there are none (RFC 9113 8.5).
            _ if self.tunnel.get() => false,
            Some(Flaw::PseudoField) => false,
            Some(Flaw::TooLarge) => {
                drop(self.trailers.replace(Err(BodyError::TrailersTooLarge)));
                return true;
            }
            None => trailers::write_lines(fields, &mut lines).is_ok(),
        };
        match fits {
            true => drop(self.trailers.replace(Ok(lines))),
            false => {
                self.refuse(Reason::PROTOCOL_ERROR);
                self.note_reset();
            }
        }
        fits
    }

    /// The fields behind content that has ended, as lines.
    ///
    /// # Errors
    /// They are more than allowed.
    pub fn take_trailers(&self) -> Result<Vec<u8>, BodyError> {
        self.trailers.replace(Ok(Vec::new()))
    }

    /// Nothing more comes, and no fields behind what has come.
    pub fn has_ended(&self) -> bool {
        match &*self.receive.borrow() {
            Receive::Over => true,
            Receive::Content(content) => content.is_end_stream(),
            Receive::Unasked | Receive::Answer(..) => false,
        }
    }

    /// It has ended in both directions.
    fn is_over(&self) -> bool {
        matches!(*self.send.borrow(), Send::Over) && self.has_ended()
    }

    /// It has this number, and the head of the answer was sent.
    pub fn is_answered(&self, number: u32) -> bool {
        self.number == number && !matches!(*self.send.borrow(), Send::Request(_) | Send::Answer(..))
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
        let broken = |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        let mut send = self.send.borrow_mut();
        let mut done = 0;
        if let Send::Request(requests) = &mut *send {
            let (end, content, receive) = ask(requests, bytes, limits).inspect_err(|_| {
                // Nobody answers.
                self.receive.replace(Receive::Over);
                self.waiter.wake();
            })?;
            self.count();
            *send = content.map_or(Send::Over, Send::Content);
            self.receive.replace(receive);
            self.waiter.wake();
            done = end;
        }
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
            let empty = matches!(head.content, AnswerContent::Framed(framing) if framing.is_empty());
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

    /// Nothing more is sent but fields behind the content, given as lines.
    pub fn end(&self, trailers: &[u8]) {
        let mut send = self.send.borrow_mut();
        if let Send::Content(content) = &mut *send {
            let fields = trailers::section(trailers);
            // When it cannot be sent, the stream has ended already.
            let _ = match fields.is_empty() {
                true => content.send_data(Bytes::new(), true),
                false => content.send_trailers(fields),
            };
            *send = Send::Over;
        }
    }

    /// Why the request was not answered, where it may be sent once more.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.get()
    }

    /// Ready when the peer has ended the stream in both directions, while there is something to send.
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let gone = match &mut *self.send.borrow_mut() {
            Send::Answer(respond, _) => respond.poll_reset(cx).map(drop),
            Send::Content(content) => content.poll_reset(cx).map(drop),
            Send::Request(_) | Send::Over => Poll::Pending,
        };
        if gone.is_ready() {
            self.note_reset();
        }
        gone
    }

    /// Ends it in both directions. Of a tunnel that means that the connection behind it was reset (RFC 9113 8.5).
    pub fn reset(&self) {
        if self.cut.replace(true) {
            return;
        }
        let is_over = self.is_over();
        self.refuse(if self.tunnel.get() { Reason::CONNECT_ERROR } else { Reason::CANCEL });
        if !is_over {
            self.note_reset();
        }
        self.waiter.wake();
    }

    /// Tells the peer why it ends, if that can be.
    fn refuse(&self, reason: Reason) {
        match &mut *self.send.borrow_mut() {
            Send::Answer(respond, _) => respond.send_reset(reason),
            Send::Content(content) => content.send_reset(reason),
            Send::Request(_) | Send::Over => {}
        }
    }

    /// Ends it as a connection is closed: what was sent stays whole.
    pub fn close(&self) {
        if matches!(*self.send.borrow(), Send::Request(_) | Send::Answer(..)) {
            return self.reset();
        }
        self.end(b"");
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

/// The next head of an answer, and what comes behind it where that is the last.
type Answered = (Vec<u8>, Option<RecvStream>);

fn poll_answer(
    answer: &mut ResponseFuture,
    asked: &Asked,
    cx: &mut Context<'_>,
) -> Poll<Result<Answered, Option<Failure>>> {
    let mut text = Vec::new();
    match answer.poll_informational(cx) {
        Poll::Ready(Some(Ok(interim))) => {
            let written = write_answer(&interim.into_parts().0, asked, false, &mut text);
            return Poll::Ready(written.map(|()| (text, None)).map_err(|_| None));
        }
        Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Failure::of(&error))),
        Poll::Ready(None) | Poll::Pending => {}
    }
    match std::pin::Pin::new(answer).poll(cx) {
        Poll::Ready(Ok(response)) => {
            let (parts, content) = response.into_parts();
            let written = write_answer(&parts, asked, content.is_end_stream(), &mut text);
            Poll::Ready(written.map(|()| (text, Some(content))).map_err(|_| None))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(Failure::of(&error))),
        Poll::Pending => Poll::Pending,
    }
}

/// Bytes that the proxy adds to a head at most.
const ADDED_BYTES: usize = 1024;

/// Sends the head of a request; says where it ends.
fn ask(
    requests: &mut SendRequest<Bytes>,
    bytes: &[u8],
    limits: &HeadLimits,
) -> io::Result<(usize, Option<SendStream<Bytes>>, Receive)> {
    let unfit = |_| io::Error::from(io::ErrorKind::InvalidData);
    // It was within bounds when it came; what the proxy has added may be more.
    let limits = &HeadLimits { max_head_bytes: limits.max_head_bytes + ADDED_BYTES, ..*limits };
    let found = HeadScanner::default().find(bytes, limits).map_err(unfit)?;
    let Scan::Complete { start: 0, end } = found else { return Err(io::ErrorKind::InvalidData.into()) };
    let mut head = Box::<Head>::default();
    head.parse(&bytes[..end], limits).map_err(unfit)?;
    let (request, asked) = request(&head, &bytes[..end]).map_err(|_: Unfit| io::ErrorKind::InvalidData)?;
    let empty = asked.key.is_none() && head.framing.is_empty();
    let (answer, content) = requests.send_request(request, empty).map_err(io::Error::other)?;
    Ok((end, (!empty).then_some(content), Receive::Answer(answer, asked)))
}
