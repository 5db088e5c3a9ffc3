//! The content of one request, as far as it has come.

use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use h2::RecvStream;

use crate::shard::connection::streams::stream::Stream;
use crate::shard::request::body_stream::BodyStream;
use crate::shard::request::body_whole::OpenCall;

/// The content of a request as far as it has come.
pub(super) struct Came {
    pub receive: RecvStream,
    pub bytes: Bytes,
    /// That is all of it.
    pub complete: bool,
}

/// A request that is not complete, or not decided on.
pub(super) struct Reading {
    pub stream: Rc<Stream>,
    pub receive: RecvStream,
    /// What has come and was not taken.
    pub next: Bytes,
    /// Nothing follows that.
    pub complete: bool,
    pub wanted: Wanted,
}

/// What the content is wanted for.
pub(super) enum Wanted {
    /// That is not known: JavaScript is asked about the request with this head.
    Asked(Vec<u8>),
    /// A call that waits for it.
    Whole(Box<OpenCall>),
    /// A call that reads it as it comes.
    Streamed(Box<BodyStream>),
    /// Nobody wants it: the request is answered. So many bytes are taken all the same.
    Nothing(u64),
}

impl Reading {
    pub fn of(stream: Rc<Stream>, came: Came, wanted: Wanted) -> Self {
        let Came { receive, bytes, complete } = came;
        Reading { stream, receive, next: bytes, complete, wanted }
    }

    /// Bytes that are held of it.
    pub fn held_bytes(&self) -> usize {
        self.next.len()
            + match &self.wanted {
                Wanted::Asked(text) => text.len(),
                Wanted::Whole(open) => open.held_bytes(),
                Wanted::Streamed(stream) => stream.held_bytes(),
                Wanted::Nothing(_) => 0,
            }
    }

    /// Looks for more, if all that has come was taken; false when there is an end instead that is none.
    pub fn look(&mut self, unread: &mut u64) -> bool {
        if !self.next.is_empty() || self.complete {
            return true;
        }
        match self.receive.poll_data(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(bytes))) => {
                *unread = unread.saturating_sub(bytes.len() as u64);
                self.next = bytes;
                self.complete = self.receive.is_end_stream();
                true
            }
            Poll::Ready(Some(Err(_))) => false,
            Poll::Ready(None) => {
                // Fields may follow it (RFC 9113 8.1); nobody looks at them, as in HTTP/1.1.
                self.complete = true;
                true
            }
            Poll::Pending => true,
        }
    }

    /// So many bytes are taken: the client may send as many more.
    pub fn took(&mut self, bytes: usize) {
        self.next.advance(bytes);
        if bytes > 0 {
            let _ = self.receive.flow_control().release_capacity(bytes);
        }
    }
}

impl Came {
    /// What has come by now.
    pub fn look(mut receive: RecvStream) -> Self {
        let mut bytes = Bytes::new();
        if !receive.is_end_stream()
            && let Poll::Ready(Some(Ok(first))) = receive.poll_data(&mut Context::from_waker(Waker::noop()))
        {
            bytes = first;
        }
        let complete = receive.is_end_stream();
        Came { receive, bytes, complete }
    }

    /// It is used up.
    pub fn let_go(mut self) {
        if !self.bytes.is_empty() {
            let _ = self.receive.flow_control().release_capacity(self.bytes.len());
        }
    }
}
