//! Invariants of what reads answers.

use super::cuts;
use crate::limits::{MAX_HEADERS, MAX_INTERIM_ANSWERS};
use crate::wire::answer_head::{AnswerContent, AnswerHead};
use crate::wire::answer_reader::AnswerReader;
use crate::wire::body::{BodyReader, ChunkLimits};
use crate::wire::framing::Framing;
use crate::wire::head::{HeadLimits, Method};
use crate::wire::token::{is_field_value, is_token};

/// Small bounds, so that short inputs reach them.
const LIMITS: HeadLimits =
    HeadLimits { max_head_bytes: 256, max_target_bytes: 64, max_headers: 8, ignore_fragment: false, connect: false };
const MAX_BODY_BYTES: u64 = 64;

/// How what a connection brought was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The answers, in order; interim ones as well.
    pub answers: Vec<Answer>,
    /// How it ends.
    pub end: End,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What its head says of content.
    pub content: AnswerContent,
    /// Its content, as far as it came.
    pub body: Vec<u8>,
    /// Its last byte has come.
    pub whole: bool,
    /// Where its head begins and ends on the connection.
    pub head: (usize, usize),
}

/// How a connection stands after all bytes, and after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Between two answers.
    Between,
    /// In the middle of one.
    Within,
    /// Behind the last one, or where HTTP ends: so many bytes are left that are none of an answer's.
    Over(usize),
    /// Refused.
    Refused,
}

/// Any bytes as what a connection brings, the first of which picks the methods that were asked with: the same answers,
/// refusal or wait however the bytes are cut; what is accepted holds what it says, and httparse reads its heads alike.
pub fn fuzz_answers(data: &[u8]) {
    let [choice, data @ ..] = data else { return };
    let asked = [Method::Get, Method::Head, Method::Connect, Method::Post];
    let asked = |at: usize| asked[(usize::from(*choice) >> (2 * (at % 4))) & 3];
    let whole = read_answers([data], asked);
    for cut in cuts(data) {
        let (first, second) = data.split_at(cut);
        assert_eq!(read_answers([first, second], asked), whole, "cut at {cut}: {}", data.escape_ascii());
    }
    assert_eq!(read_answers(data.chunks(1), asked), whole, "byte by byte: {}", data.escape_ascii());
    let (mut end, mut final_ones, mut interim) = (0, 0, 0);
    for answer in &whole.answers {
        assert!(answer.head.0 == end && answer.head.0 < answer.head.1 && answer.head.1 <= data.len());
        check(answer, &data[answer.head.0..answer.head.1], asked(final_ones));
        let length = answer.body.len();
        end = match answer.content {
            AnswerContent::Framed(Framing::Chunked) => chunked_end(data, answer.head.1),
            _ => answer.head.1 + length,
        };
        let is_interim = (100..200).contains(&answer.status) && answer.status != 101;
        final_ones += usize::from(!is_interim);
        interim = if is_interim { interim + 1 } else { 0 };
        assert!(interim <= MAX_INTERIM_ANSWERS && length as u64 <= MAX_BODY_BYTES);
    }
}

/// Reads answers that come in these pieces, the one at `n` to a request with the method `asked(n)`.
pub fn read_answers<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, asked: impl Fn(usize) -> Method) -> Reading {
    let mut connection = Connection::default();
    for piece in pieces {
        connection.buffer.extend_from_slice(piece);
        if connection.advance(&asked).is_none() {
            // How much of it came before the fault is a matter of the cuts.
            connection.answers.iter_mut().filter(|answer| !answer.whole).for_each(|answer| answer.body.clear());
            return Reading { answers: connection.answers, end: End::Refused };
        }
    }
    let end = match &connection.body {
        _ if connection.over => End::Over(connection.buffer.len()),
        Some(body) if body.close() => {
            connection.finish();
            End::Over(0)
        }
        None if connection.buffer.is_empty() => End::Between,
        _ => End::Within,
    };
    Reading { answers: connection.answers, end }
}

/// A connection without a socket.
#[derive(Default)]
struct Connection {
    buffer: Vec<u8>,
    /// Bytes that were taken off the front of `buffer`.
    taken: usize,
    reader: AnswerReader,
    body: Option<BodyReader>,
    answers: Vec<Answer>,
    final_ones: usize,
    over: bool,
}

impl Connection {
    /// `None`: refused.
    fn advance(&mut self, asked: &impl Fn(usize) -> Method) -> Option<()> {
        while !self.over {
            let Some(body) = &mut self.body else {
                let Some(end) = self.reader.find(&self.buffer, asked(self.final_ones), &LIMITS).ok()? else { break };
                self.begin(end);
                continue;
            };
            let answer = self.answers.last_mut()?;
            let step = body.read(&self.buffer, &mut answer.body).ok()?;
            assert!(step.consumed <= self.buffer.len() && (step.done || step.consumed == self.buffer.len()));
            self.take(step.consumed);
            if !step.done {
                break;
            }
            self.finish();
        }
        Some(())
    }

    fn begin(&mut self, end: usize) {
        let AnswerHead { status, content, .. } = *self.reader.head();
        let head = (self.taken, self.taken + end);
        self.answers.push(Answer { status, content, body: Vec::new(), whole: false, head });
        self.take(end);
        self.final_ones += usize::from(!self.reader.head().is_interim());
        self.body = content.reader(MAX_BODY_BYTES, ChunkLimits::default());
        if self.body.is_none() {
            self.finish();
        }
    }

    /// The answer is whole.
    fn finish(&mut self) {
        self.body = None;
        if let Some(answer) = self.answers.last_mut() {
            answer.whole = true;
        }
        let head = self.reader.head();
        self.over = !head.is_interim() && !head.keep_alive;
    }

    fn take(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.taken += count;
    }
}

/// Behind the chunked content that begins at `start`; the end of the bytes, if they hold only a part of it.
fn chunked_end(data: &[u8], start: usize) -> usize {
    let step = BodyReader::new(Framing::Chunked, u64::MAX).skip(&data[start..]);
    step.map_or(data.len(), |step| start + step.consumed)
}

fn check(answer: &Answer, head: &[u8], asked: Method) {
    let mut parsed = AnswerHead::default();
    assert_eq!(parsed.parse(head, asked, &LIMITS), Ok(()));
    let fields = parsed.fields.of(head);
    let count = |name: &[u8]| fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count();
    let (lengths, codings) = (count(b"content-length"), count(b"transfer-encoding"));
    let has_none = asked == Method::Head || matches!(answer.status, 100..200 | 204 | 304);
    match answer.content {
        AnswerContent::Framed(Framing::None) => assert!(has_none && answer.body.is_empty()),
        AnswerContent::Framed(Framing::Length(length)) => {
            assert!(!has_none && (lengths, codings) == (1, 0));
            assert!(answer.body.len() as u64 == length || (!answer.whole && (answer.body.len() as u64) < length));
        }
        AnswerContent::Framed(Framing::Chunked) => {
            assert!(!has_none && (lengths, codings) == (0, 1) && parsed.minor_version == 1);
        }
        AnswerContent::UntilClose => assert!(!has_none && lengths + codings == 0),
        AnswerContent::Tunnel => {
            assert!(answer.status == 101 || (asked == Method::Connect && answer.status / 100 == 2));
            assert!(answer.body.is_empty());
        }
    }
    assert!(parsed.keep_alive <= matches!(answer.content, AnswerContent::Framed(_)));
    assert!(answer.content == AnswerContent::Tunnel || (lengths <= 1 && codings <= 1 && lengths + codings <= 1));
    for (name, value) in fields.iter() {
        assert!(is_token(name) && is_field_value(value));
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    assert_eq!(response.parse(head), Ok(httparse::Status::Complete(head.len())), "{}", head.escape_ascii());
    assert_eq!((response.code, response.version), (Some(answer.status), Some(parsed.minor_version)));
    assert_eq!(response.headers.len(), fields.len());
}
