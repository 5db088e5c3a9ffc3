//! Takes whole answers off a connection, as `wire/` of the engine reads them, and says whether they are the expected ones.

use fasttunnel_engine::wire::answer_head::AnswerContent;
use fasttunnel_engine::wire::answer_reader::AnswerReader as HeadReader;
use fasttunnel_engine::wire::fields::FieldValue;
use fasttunnel_engine::wire::framing::Framing;
use fasttunnel_engine::wire::head::{HeadError, HeadLimits, Method};

use crate::known_head::{KnownHead, Likeness};

/// An answer larger than this is an error, so that a buffer cannot grow without end.
const MAX_ANSWER_BYTES: u64 = 8 << 20;

/// Bytes of a head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Finds the answers in what a connection has received.
pub struct AnswerReader {
    heads: HeadReader,
    limits: HeadLimits,
    /// The head that was read last, and what it says.
    known: KnownHead,
    body_bytes: usize,
    kind: Kind,
    /// What stands of the answer at hand.
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nothing that was looked at.
    Start,
    /// A part of a head that is another than the known one.
    Head,
    /// A part of the body; the head is the known one.
    Body,
}

/// What an answer says of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 200, in HTTP/1.1.
    Ok,
    /// 503, and when to try again.
    Refusal,
    /// Anything else.
    Other,
}

/// One whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Its bytes, head and body.
    pub bytes: &'a [u8],
    /// Only the body.
    pub body: &'a [u8],
    /// By its head.
    pub kind: Kind,
}

impl Default for AnswerReader {
    fn default() -> Self {
        AnswerReader {
            heads: HeadReader::default(),
            limits: HeadLimits { max_head_bytes: MAX_HEAD_BYTES, ..HeadLimits::default() },
            known: KnownHead::default(),
            body_bytes: 0,
            kind: Kind::Other,
            at: At::Start,
        }
    }
}

impl AnswerReader {
    /// The answer that `bytes` begin with; None: it has not come as a whole. An error says what is wrong with it.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Answer<'a>>, &'static str> {
        let unread = match self.at {
            At::Start => match self.known.likeness(bytes) {
                Likeness::Same => false,
                Likeness::SoFar => return Ok(None),
                Likeness::Other => true,
            },
            At::Head => true,
            At::Body => false,
        };
        if unread && !self.read_head(bytes)? {
            return Ok(None);
        }
        let (head, whole) = (self.known.len(), self.known.len() + self.body_bytes);
        if bytes.len() < whole {
            self.at = At::Body;
            return Ok(None);
        }
        self.at = At::Start;
        Ok(Some(Answer { bytes: &bytes[..whole], body: &bytes[head..whole], kind: self.kind }))
    }

    /// Makes the head that `bytes` begin with the known one; false when it has not come as a whole.
    fn read_head(&mut self, bytes: &[u8]) -> Result<bool, &'static str> {
        self.at = At::Head;
        let Some(end) = self.heads.find(bytes, Method::Post, &self.limits).map_err(HeadError::message)? else {
            return Ok(false);
        };
        let (head, bytes) = (self.heads.head(), &bytes[..end]);
        self.body_bytes = match head.content {
            _ if head.is_interim() => return Err("an interim answer, for which nobody has asked"),
            AnswerContent::Framed(Framing::None) => 0,
            AnswerContent::Framed(Framing::Length(length @ ..=MAX_ANSWER_BYTES)) => length as usize,
            AnswerContent::Framed(Framing::Length(_)) => return Err("an answer of more than 8 MB"),
            _ => return Err("an answer without content-length"),
        };
        let retries = head.fields.of(bytes).get(b"retry-after") != FieldValue::Absent;
        self.kind = match head.status {
            200 if head.minor_version == 1 => Kind::Ok,
            503 if retries => Kind::Refusal,
            _ => Kind::Other,
        };
        self.known.learn(head, bytes);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(extra: &str, body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\n{extra}Content-Length: {}\r\nDate: x\r\n\r\n{body}", body.len())
    }

    #[test]
    fn answers_are_found_however_they_are_cut() {
        let stream =
            [answer("", "one"), answer("", "two"), answer("A: b\r\n", "three"), answer("A: b\r\n", "")].concat();
        for size in 1..stream.len() {
            let (mut reader, mut bodies, mut from) = (AnswerReader::default(), Vec::new(), 0);
            for end in (0..stream.len()).step_by(size).chain([stream.len()]) {
                while let Ok(Some(answer)) = reader.next(&stream.as_bytes()[from..end]) {
                    assert_eq!(answer.kind, Kind::Ok);
                    bodies.push(String::from_utf8_lossy(answer.body).into_owned());
                    from += answer.bytes.len();
                }
            }
            assert_eq!(bodies, ["one", "two", "three", ""], "pieces of {size}");
        }
    }

    #[test]
    fn a_refusal_says_when_to_try_again() {
        for (head, refusal) in [("503 X\r\nRetry-After: 1", true), ("503 X", false), ("500 X\r\nRetry-After: 1", false)]
        {
            let text = format!("HTTP/1.1 {head}\r\nContent-Length: 1\r\n\r\n.");
            let found = AnswerReader::default().next(text.as_bytes()).map(|answer| answer.map(|it| it.kind));
            assert_eq!(found, Ok(Some(if refusal { Kind::Refusal } else { Kind::Other })), "{head}");
        }
    }

    #[test]
    fn a_longer_number_is_not_the_remembered_one() {
        let mut reader = AnswerReader::default();
        for body in ["22", &"2".repeat(22), "22"] {
            let text = answer("", body);
            let found = reader.next(text.as_bytes());
            assert!(matches!(found, Ok(Some(answer)) if answer.body == body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for (text, error) in [
            ("HTTP/1.1 200 OK\r\n\r\n", "an answer without content-length"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "an answer without content-length"),
            ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", HeadError::ContentLength.message()),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
                HeadError::ContentLengthRepeated.message(),
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n", "an answer of more than 8 MB"),
            ("HTTP/1.1 100 Continue\r\n\r\n", "an interim answer, for which nobody has asked"),
            ("HTTP/1.1 200 OK\ncontent-length: 0\n\n", HeadError::BareLf.message()),
        ] {
            // Also behind a good one, which is known by then.
            let mut reader = AnswerReader::default();
            let good = answer("", "one");
            for _ in 0..2 {
                assert!(matches!(reader.next(good.as_bytes()), Ok(Some(_))));
            }
            assert_eq!(reader.next(text.as_bytes()), Err(error), "{text}");
        }
        let endless = ["HTTP/1.1 200 OK\r\nA: ", &"a".repeat(70_000)].concat();
        assert_eq!(AnswerReader::default().next(endless.as_bytes()), Err(HeadError::HeadTooLarge.message()));
    }
}
