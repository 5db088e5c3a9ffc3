//! Finds the end of a head in a growing buffer, each byte looked at once.

use super::head_error::HeadError;
use super::head_limits::HeadLimits;
use super::request_line::RequestLine;
use super::start_line::StartLine;
use super::status_line::StatusLine;
use memchr::memchr_iter;
use std::marker::PhantomData;

/// What a search gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Good so far; call again when more has arrived.
    Partial,
    /// The head is `start..end` of the buffer, its final empty line included; content begins at `end`.
    Complete {
        /// First byte of the start line, after any leading empty lines.
        start: usize,
        /// One past the empty line.
        end: usize,
    },
}

/// Finds the heads of requests.
pub type HeadScanner = Scanner<RequestLine>;

/// Finds the heads of answers.
pub type AnswerScanner = Scanner<StatusLine>;

/// Searches one head after the other, of messages that begin with such a line. It remembers how far it has searched, so a
/// head that arrives byte by byte costs O(n) in all, and it refuses hopeless bytes as they arrive rather than wait for the
/// end of a head.
///
/// Until a search gives [`Scan::Complete`] the buffer must keep its first byte where it is (growing or moving it is
/// fine); then call [`Scanner::reset`] and begin at the next message.
#[derive(Clone, Debug)]
pub struct Scanner<L> {
    /// First byte of the head, after leading empty lines.
    start: usize,
    /// Bytes before this one were searched for line ends.
    searched: usize,
    /// Bytes before this one hold no forbidden byte. Only kept up while a head is partial.
    vetted: usize,
    /// First byte of the line that is not finished.
    line_start: usize,
    /// Finished lines that are not empty.
    lines: usize,
    /// One past the start line, its CRLF excluded. Set when `lines` is at least 1.
    start_line_end: usize,
    empty_lines: usize,
    start_line_good: bool,
    of: PhantomData<L>,
}

impl<L> Default for Scanner<L> {
    fn default() -> Self {
        Scanner {
            start: 0,
            searched: 0,
            vetted: 0,
            line_start: 0,
            lines: 0,
            start_line_end: 0,
            empty_lines: 0,
            start_line_good: false,
            of: PhantomData,
        }
    }
}

impl<L: StartLine> Scanner<L> {
    /// Forgets everything: the next search begins at the first byte of its buffer.
    #[inline]
    pub fn reset(&mut self) {
        *self = Scanner::default();
    }

    /// Searches the bytes that have arrived since the last call.
    ///
    /// `buf` is all of the message so far, possibly with content and further messages behind it. After an error the
    /// scanner is of no use until [`Scanner::reset`].
    #[inline]
    pub fn find(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Scan, HeadError> {
        let from = self.searched;
        for at in memchr_iter(b'\n', buf.get(from..).unwrap_or_default()) {
            let lf = from + at;
            // Before an LF at the start of a line stands nothing, or the LF of the line before.
            if lf == 0 || buf[lf - 1] != b'\r' {
                return Err(HeadError::BareLf);
            }
            let content_end = lf - 1;
            if content_end > self.line_start {
                if self.lines == 0 {
                    if content_end - self.line_start > L::max_bytes(limits) {
                        L::vet_start(&buf[self.line_start..])?;
                        return Err(L::TOO_LONG);
                    }
                    self.start_line_end = content_end;
                }
                self.lines += 1;
                // One of them is the start line.
                if self.lines > limits.max_headers.saturating_add(1) {
                    return Err(HeadError::TooManyFields);
                }
            } else if self.lines > 0 {
                let (start, end) = (self.start, lf + 1);
                if end - start > limits.max_head_bytes {
                    return Err(HeadError::HeadTooLarge);
                }
                return Ok(Scan::Complete { start, end });
            } else {
                self.empty_lines += 1;
                if self.empty_lines > L::LEADING_EMPTY_LINES {
                    return Err(L::TOO_MANY_EMPTY_LINES);
                }
                self.start = lf + 1;
            }
            self.line_start = lf + 1;
        }
        self.searched = buf.len();
        self.vet_partial(buf, limits)
    }

    /// Refuses what no further byte can make good. Everything it refuses, parsing refuses as well: cutting the
    /// bytes differently never changes the verdict.
    #[cold]
    fn vet_partial(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Scan, HeadError> {
        while let Some(&byte) = buf.get(self.vetted) {
            match byte {
                b'\t' | b'\n' | b' '..=0x7e | 0x80.. => {}
                b'\r' => match buf.get(self.vetted + 1) {
                    Some(b'\n') => {}
                    Some(_) => return Err(HeadError::BareCr),
                    None => break,
                },
                _ => return Err(HeadError::ControlByte),
            }
            self.vetted += 1;
        }
        let head = buf.get(self.start..).unwrap_or_default();
        if self.lines == 0 {
            // A lone CR is perhaps one more empty line.
            if head != b"\r" {
                L::vet_start(head)?;
            }
            if head.len() > L::max_bytes(limits) + b"\r".len() {
                return Err(L::TOO_LONG);
            }
        } else if !self.start_line_good {
            L::vet(&buf[self.start..self.start_line_end], limits)?;
            self.start_line_good = true;
        }
        if head.len() > limits.max_head_bytes {
            return Err(HeadError::HeadTooLarge);
        }
        Ok(Scan::Partial)
    }
}

/// True when the input ends in a head: an empty line behind the last body is no request (RFC 9112 2.2).
#[must_use]
pub fn begins_a_head(buffer: &[u8]) -> bool {
    buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_HEADERS;

    const LIMITS: HeadLimits = HeadLimits {
        max_head_bytes: 128,
        max_target_bytes: 32,
        max_headers: MAX_HEADERS,
        ignore_fragment: false,
        connect: false,
    };

    /// The verdict with all bytes at once, after checking that byte by byte gives the same (bytes behind the head are
    /// never looked at).
    fn scan(bytes: &[u8]) -> Result<Scan, HeadError> {
        let whole = HeadScanner::default().find(bytes, &LIMITS);
        let mut scanner = HeadScanner::default();
        let bytewise = (1..=bytes.len())
            .map(|n| scanner.find(&bytes[..n], &LIMITS))
            .find(|found| *found != Ok(Scan::Partial))
            .unwrap_or(Ok(Scan::Partial));
        if whole.is_err() || whole == Ok(Scan::Partial) {
            assert_eq!(bytewise.is_err(), whole.is_err(), "{}", bytes.escape_ascii());
        }
        whole
    }

    #[test]
    fn finds_the_end_behind_leading_empty_lines() {
        assert_eq!(scan(b"GET / HTTP/1.1\r\n\r\n"), Ok(Scan::Complete { start: 0, end: 18 }));
        assert_eq!(scan(b"\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\nrest\n"), Ok(Scan::Complete { start: 4, end: 28 }));
        assert_eq!(scan(b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Scan::Complete { start: 8, end: 26 }));
        assert_eq!(scan(b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Err(HeadError::LeadingEmptyLines));
    }

    #[test]
    fn waits_while_a_head_can_still_become_good() {
        for bytes in [
            "",
            "\r",
            "\r\n",
            "\r\n\r",
            "P",
            "POST ",
            "POST /a HTTP/1.1\r",
            "POST /a HTTP/1.1\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\n\r",
        ] {
            assert_eq!(scan(bytes.as_bytes()), Ok(Scan::Partial), "{}", bytes.escape_debug());
        }
    }

    #[test]
    fn refuses_hopeless_bytes_without_waiting_for_the_end() {
        for (bytes, error) in [
            (&b"\nGET / HTTP/1.1"[..], HeadError::BareLf),
            (b"\rGET", HeadError::BareCr),
            (b" GET", HeadError::Method),
            (b"\x16\x03\x01\x00", HeadError::ControlByte),
            (b"\xef\xbb\xbfPOST", HeadError::Method),
            (b"{\"a\":1}", HeadError::Method),
            (b"P\0O", HeadError::ControlByte),
            (b"\r\n\r\n\0", HeadError::ControlByte),
            (b"EHLO example.com\r\n", HeadError::RequestLine),
            (b"get key\r\n", HeadError::RequestLine),
            (b"GET /\r\n", HeadError::RequestLine),
            (b"PRI * HTTP/2.0\r\n", HeadError::VersionUnsupported),
            (b"SSH-2.0-OpenSSH_9.2\r\n", HeadError::RequestLine),
            (b"GET / HTTP/1.1\r\nA: b\n", HeadError::BareLf),
            (b"GET / HTTP/1.1\r\nA: b\rc", HeadError::BareCr),
            (b"GET / HTTP/1.1\r\nA: \x07", HeadError::ControlByte),
            (b"GET / HTTP/1.1\r\nA: \x7f", HeadError::ControlByte),
            (b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", HeadError::MethodTooLong),
        ] {
            assert_eq!(scan(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn bounds_the_line_the_head_and_the_number_of_lines() {
        let target = |n: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(n - 1));
        assert_eq!(scan(&target(100).as_bytes()[..90]), Err(HeadError::TargetTooLong));
        assert_eq!(scan(target(100).as_bytes()), Err(HeadError::TargetTooLong));
        let head = |n: usize| format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(n - 23));
        assert_eq!(scan(head(128).as_bytes()), Ok(Scan::Complete { start: 0, end: 128 }));
        assert_eq!(scan(head(129).as_bytes()), Err(HeadError::HeadTooLarge));
        assert_eq!(scan(&head(200).as_bytes()[..129]), Err(HeadError::HeadTooLarge));
        let lines = |n: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A:\r\n".repeat(n));
        for max_headers in [1, 2, 24, 25, MAX_HEADERS] {
            let limits = HeadLimits { max_head_bytes: 4096, max_headers, ..LIMITS };
            let find = |text: String| HeadScanner::default().find(text.as_bytes(), &limits);
            assert!(matches!(find(lines(max_headers)), Ok(Scan::Complete { .. })));
            assert_eq!(find(lines(max_headers + 1)), Err(HeadError::TooManyFields));
        }
    }
}
