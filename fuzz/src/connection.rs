//! A connection without a socket: bytes in, messages out, as a shard reads them.

use std::fmt;

use fasttunnel_engine::wire::body::BodyReader;
use fasttunnel_engine::wire::framing::Framing;
use fasttunnel_engine::wire::head::{Head, HeadLimits, HeadScanner, Scan};

/// Small enough for a fuzzer to reach.
const MAX_BODY_BYTES: u64 = 4096;

/// One request that was read to its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub minor_version: u8,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub framing: Framing,
    pub body: Vec<u8>,
    pub keep_alive: bool,
    /// Where its content begins on the connection, and one past it.
    pub start: usize,
    pub end: usize,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} 1.{}", self.method.escape_ascii(), self.target.escape_ascii(), self.minor_version)?;
        for (name, value) in &self.fields {
            write!(f, " | {}: {}", name.escape_ascii(), value.escape_ascii())?;
        }
        write!(f, " | {:?} ends at {}: {}", self.framing, self.end, self.body.escape_ascii())
    }
}

/// How the connection stands after all bytes.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// More may come.
    Waits,
    /// The last message was the last (`Connection: close`).
    Closed,
    /// Refused with this status.
    Refused(u16),
}

/// A head with two faults may be refused for either of them, by where it was cut.
impl PartialEq for End {
    fn eq(&self, other: &End) -> bool {
        matches!(
            (self, other),
            (End::Waits, End::Waits) | (End::Closed, End::Closed) | (End::Refused(_), End::Refused(_))
        )
    }
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub messages: Vec<Message>,
    pub end: End,
}

/// Reads a connection that arrives in these pieces.
pub fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let mut reader = Reader::default();
    for piece in pieces {
        reader.buffer.extend_from_slice(piece);
        match reader.advance() {
            Ok(true) => {}
            Ok(false) => return Reading { messages: reader.messages, end: End::Closed },
            Err(status) => return Reading { messages: reader.messages, end: End::Refused(status) },
        }
    }
    Reading { messages: reader.messages, end: End::Waits }
}

#[derive(Default)]
struct Reader {
    buffer: Vec<u8>,
    /// Bytes that were taken off the front of `buffer`.
    taken: usize,
    scanner: HeadScanner,
    head: Head,
    open: Option<(Message, BodyReader)>,
    messages: Vec<Message>,
}

impl Reader {
    /// False after the last message; the status of a refusal.
    fn advance(&mut self) -> Result<bool, u16> {
        let limits = HeadLimits::default();
        loop {
            if self.open.is_none() {
                let found = self.scanner.find(&self.buffer, &limits).map_err(|error| error.status())?;
                let Scan::Complete { start, end } = found else { return Ok(true) };
                let bytes = &self.buffer[start..end];
                self.head.parse(bytes, &limits).map_err(|error| error.status())?;
                let message = message(&self.head, bytes, self.taken + end);
                self.scanner.reset();
                self.take(end);
                self.open = Some((message, BodyReader::new(self.head.framing, MAX_BODY_BYTES)));
            }
            let Some((message, body)) = &mut self.open else { return Ok(true) };
            let step = body.read(&self.buffer, &mut message.body).map_err(|error| error.status())?;
            self.take(step.consumed);
            if !step.done {
                return Ok(true);
            }
            if let Some((mut message, _)) = self.open.take() {
                message.end = self.taken;
                self.messages.push(message);
            }
            if !self.head.keep_alive {
                return Ok(false);
            }
        }
    }

    fn take(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.taken += count;
    }
}

fn message(head: &Head, bytes: &[u8], start: usize) -> Message {
    let fields = head.fields.of(bytes);
    Message {
        method: bytes[..head.target.start as usize - 1].to_vec(),
        target: head.target.of(bytes).to_vec(),
        minor_version: head.minor_version,
        fields: fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        framing: head.framing,
        body: Vec::new(),
        keep_alive: head.keep_alive,
        start,
        end: start,
    }
}
