//! Reads answers: where each one ends, and whether it is the expected one.

use memchr::memmem::Finder;

/// An answer larger than this is an error, so that a buffer cannot grow without end.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// Finds the answers in what a connection has received.
pub struct AnswerReader {
    head_end: Finder<'static>,
    /// The content-length line of the last answer and where it was: the next one most likely has the same there.
    length_line: Vec<u8>,
    length_at: usize,
    last_length: usize,
    /// Bytes that the answer at hand takes in all, once its head has come.
    needed: Option<(usize, usize)>,
}

/// One whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Its bytes, head and body.
    pub bytes: &'a [u8],
    /// Only the body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// 200, in HTTP/1.1.
    pub fn is_ok(&self) -> bool {
        self.bytes.starts_with(b"HTTP/1.1 200 ")
    }

    /// 503, and when to try again.
    pub fn is_refusal(&self) -> bool {
        const NAME: &[u8] = b"\r\nretry-after: ";
        let head = &self.bytes[..self.bytes.len() - self.body.len()];
        self.bytes.starts_with(b"HTTP/1.1 503 ") && head.windows(NAME.len()).any(|line| line.eq_ignore_ascii_case(NAME))
    }
}

impl Default for AnswerReader {
    fn default() -> Self {
        AnswerReader {
            head_end: Finder::new(b"\r\n\r\n"),
            length_line: Vec::new(),
            length_at: 0,
            last_length: 0,
            needed: None,
        }
    }
}

impl AnswerReader {
    /// The answer that `bytes` begin with; None: it has not come as a whole. An error says what is wrong with it.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Answer<'a>>, &'static str> {
        let (head, whole) = match self.needed {
            Some(needed) => needed,
            None => {
                let Some(at) = self.head_end.find(bytes) else {
                    return if bytes.len() > 64 * 1024 { Err("a head of more than 64 kB") } else { Ok(None) };
                };
                let head = at + 4;
                let length = self.content_length(&bytes[..head])?;
                if length > MAX_ANSWER_BYTES {
                    return Err("an answer of more than 8 MB");
                }
                (head, head + length)
            }
        };
        if bytes.len() < whole {
            self.needed = Some((head, whole));
            return Ok(None);
        }
        self.needed = None;
        Ok(Some(Answer { bytes: &bytes[..whole], body: &bytes[head..whole] }))
    }

    fn content_length(&mut self, head: &[u8]) -> Result<usize, &'static str> {
        let same = head.get(self.length_at..).is_some_and(|rest| rest.starts_with(&self.length_line));
        if same && !self.length_line.is_empty() {
            return Ok(self.last_length);
        }
        const NAME: &[u8] = b"\r\ncontent-length:";
        let at = head
            .windows(NAME.len())
            .position(|window| window.eq_ignore_ascii_case(NAME))
            .ok_or("an answer without content-length")?;
        let rest = &head[at + NAME.len()..];
        let end = memchr::memchr(b'\r', rest).ok_or("a content-length that does not end")?;
        let text = std::str::from_utf8(&rest[..end]).map_or("", str::trim);
        self.last_length = text.parse().map_err(|_| "a content-length that is no number")?;
        self.length_at = at;
        // With its CRLF: 22 must not be taken for 222.
        self.length_line = head[at..at + NAME.len() + end + 2].to_vec();
        Ok(self.last_length)
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
                    assert!(answer.is_ok());
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
            let found = AnswerReader::default().next(text.as_bytes()).map(|answer| answer.map(|it| it.is_refusal()));
            assert_eq!(found, Ok(Some(refusal)), "{head}");
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
        for text in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"] {
            assert!(AnswerReader::default().next(text.as_bytes()).is_err(), "{text}");
        }
        assert!(AnswerReader::default().next(&vec![b'a'; 70_000]).is_err());
    }
}
