//! Reads the heads of answers off a connection, one after the other, interim ones among them (RFC 9110 15.2).

use super::answer_head::AnswerHead;
use super::head_error::HeadError;
use super::head_limits::HeadLimits;
use super::method::Method;
use super::scanner::{AnswerScanner, Scan};
use crate::limits::MAX_INTERIM_ANSWERS;

/// Finds and reads heads; the content behind a final one is the caller's to take, by
/// [`AnswerContent::reader`](super::answer_head::AnswerContent::reader).
#[derive(Clone, Debug, Default)]
pub struct AnswerReader {
    scanner: AnswerScanner,
    head: AnswerHead,
    /// Interim answers since the last final one.
    interim: usize,
}

impl AnswerReader {
    /// How many bytes of `buf` are the head that it begins with; `None`: it has not come as a whole. `asked` is the method of
    /// the oldest request without a final answer.
    ///
    /// Until there is a head the buffer must keep its first byte where it is; the next one is searched behind it, and behind
    /// the content. After an error nothing that follows on the connection means anything.
    #[inline]
    pub fn find(&mut self, buf: &[u8], asked: Method, limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        let Scan::Complete { end, .. } = self.scanner.find(buf, limits)? else { return Ok(None) };
        self.scanner.reset();
        self.head.parse(&buf[..end], asked, limits)?;
        self.interim = if self.head.is_interim() { self.interim + 1 } else { 0 };
        if self.interim > MAX_INTERIM_ANSWERS {
            return Err(HeadError::InterimAnswers);
        }
        Ok(Some(end))
    }

    /// The head that was found last.
    #[must_use]
    pub fn head(&self) -> &AnswerHead {
        &self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_answer_follows_after_some_interim_ones() {
        let limits = HeadLimits::default();
        let mut reader = AnswerReader::default();
        let (interim, last) = (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n");
        for _ in 0..2 {
            for _ in 0..MAX_INTERIM_ANSWERS {
                assert_eq!(reader.find(interim, Method::Get, &limits), Ok(Some(interim.len())));
                assert!(reader.head().is_interim());
            }
            assert_eq!(reader.find(&last[..last.len() - 1], Method::Get, &limits), Ok(None));
            assert_eq!(reader.find(last, Method::Get, &limits), Ok(Some(last.len())));
            assert_eq!(reader.head().status, 200);
        }
        for _ in 0..MAX_INTERIM_ANSWERS {
            assert!(reader.find(interim, Method::Get, &limits).is_ok());
        }
        assert_eq!(reader.find(interim, Method::Get, &limits), Err(HeadError::InterimAnswers));
    }

    #[test]
    fn a_head_that_has_no_end_is_refused() {
        let limits = HeadLimits { max_head_bytes: 64, ..HeadLimits::default() };
        for start in [&b"HTTP/1.1 200 "[..], b"HTTP/1.1 200 OK\r\nA: "] {
            let bytes = [start, &[b'a'; 64]].concat();
            assert_eq!(AnswerReader::default().find(&bytes, Method::Get, &limits), Err(HeadError::HeadTooLarge));
        }
        // Nothing may stand in front of it, and what is no answer is not waited for.
        for (bytes, error) in [(&b"\r\nHTTP"[..], HeadError::StatusLine), (b"SSH-2", HeadError::Version)] {
            assert_eq!(AnswerReader::default().find(bytes, Method::Get, &limits), Err(error));
        }
    }
}
