//! The status line: version, status code, reason phrase (RFC 9112 4).

use super::fields::Span;
use super::head_error::HeadError;
use super::head_limits::HeadLimits;
use super::start_line::{StartLine, parse_version};
use super::token::is_field_value;

/// Bytes of `HTTP/1.1`.
const VERSION_BYTES: usize = 8;
/// Bytes before the reason phrase: version, SP, three digits, SP.
const FIXED_BYTES: usize = VERSION_BYTES + 5;

/// What a status line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusLine {
    /// 100 to 999; what is not below 600 means as much as 500 (RFC 9110 15).
    pub status: u16,
    /// The reason phrase, relative to the first byte of the line; may be empty.
    pub reason: Span,
    /// 0 or 1, of HTTP/1.x.
    pub minor_version: u8,
}

impl StatusLine {
    /// Reads a status line given without its CRLF. The space behind the code is demanded also where no reason phrase
    /// follows, as the grammar has it.
    pub fn parse(line: &[u8]) -> Result<StatusLine, HeadError> {
        let (version, rest) = line.split_at_checked(VERSION_BYTES).ok_or(HeadError::StatusLine)?;
        let minor_version = parse_version(version)?;
        let (code, reason) = match rest {
            [b' ', code @ ..] => code.split_at_checked(3).ok_or(HeadError::StatusCode)?,
            _ => return Err(HeadError::StatusLine),
        };
        // An interim answer in HTTP/1.0, which knows none, is a final one to some (RFC 9110 15.2).
        let status = match code {
            [b'0', ..] => return Err(HeadError::StatusCode),
            [b'1', ..] if minor_version == 0 => return Err(HeadError::StatusCode),
            code if code.iter().all(u8::is_ascii_digit) => {
                code.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'))
            }
            _ => return Err(HeadError::StatusCode),
        };
        match reason {
            [b' ', phrase @ ..] if is_field_value(phrase) => {}
            [b' ', ..] => return Err(HeadError::ReasonPhrase),
            [next, ..] if next.is_ascii_digit() => return Err(HeadError::StatusCode),
            _ => return Err(HeadError::StatusLine),
        }
        // A head is at most MAX_HEAD_BYTES_CEILING bytes: 32 bits always fit.
        Ok(StatusLine { status, reason: Span { start: FIXED_BYTES as u32, end: line.len() as u32 }, minor_version })
    }
}

impl StartLine for StatusLine {
    // Whoever has asked reads what comes next as the answer: nothing may stand before it.
    const LEADING_EMPTY_LINES: usize = 0;
    const TOO_MANY_EMPTY_LINES: HeadError = HeadError::StatusLine;
    const TOO_LONG: HeadError = HeadError::HeadTooLarge;

    fn max_bytes(limits: &HeadLimits) -> usize {
        limits.max_head_bytes
    }

    /// The version alone: what else is wrong can wait for the end of the line.
    fn vet_start(line: &[u8]) -> Result<(), HeadError> {
        match line.get(..VERSION_BYTES) {
            Some(version) => parse_version(version).map(drop),
            None if b"HTTP/".iter().zip(line).all(|(expected, byte)| expected == byte) => Ok(()),
            None => Err(HeadError::Version),
        }
    }

    fn vet(line: &[u8], _limits: &HeadLimits) -> Result<(), HeadError> {
        StatusLine::parse(line).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_a_line_into_code_and_reason() {
        for (line, status, reason, minor_version) in [
            (&b"HTTP/1.1 200 OK"[..], 200, &b"OK"[..], 1),
            (b"HTTP/1.0 404 Not Found", 404, b"Not Found", 0),
            (b"HTTP/1.1 204 ", 204, b"", 1),
            (b"HTTP/1.1 100 Continue", 100, b"Continue", 1),
            (b"HTTP/1.1 999  two\tblanks ", 999, b" two\tblanks ", 1),
            (b"HTTP/1.1 500 \xe9\xff", 500, b"\xe9\xff", 1),
        ] {
            let text = line.escape_ascii();
            let parsed = StatusLine::parse(line).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((parsed.status, parsed.minor_version), (status, minor_version), "{text}");
            assert_eq!(parsed.reason.of(line), reason, "{text}");
        }
    }

    #[test]
    fn refuses_what_another_reader_might_read_otherwise() {
        for (line, error) in [
            (&b""[..], HeadError::StatusLine),
            (b"HTTP/1.1", HeadError::StatusLine),
            (b"HTTP/1.1 ", HeadError::StatusCode),
            (b"HTTP/1.1  200 OK", HeadError::StatusCode),
            (b"HTTP/1.1\t200 OK", HeadError::StatusLine),
            (b"HTTP/1.1 20", HeadError::StatusCode),
            (b"HTTP/1.1 2000 OK", HeadError::StatusCode),
            (b"HTTP/1.1 200", HeadError::StatusLine),
            (b"HTTP/1.1 200OK", HeadError::StatusLine),
            (b"HTTP/1.1 200\tOK", HeadError::StatusLine),
            (b"HTTP/1.1 2 0 OK", HeadError::StatusCode),
            (b"HTTP/1.1 +20 OK", HeadError::StatusCode),
            (b"HTTP/1.1 099 Low", HeadError::StatusCode),
            (b"HTTP/1.1 000 None", HeadError::StatusCode),
            (b"HTTP/1.0 100 Continue", HeadError::StatusCode),
            (b"HTTP/1.1 200 O\0K", HeadError::ReasonPhrase),
            (b"HTTP/1.1 200 OK\r", HeadError::ReasonPhrase),
            (b"HTTP/1.1 200 \x7f", HeadError::ReasonPhrase),
            (b"HTTP/2.0 200 OK", HeadError::VersionUnsupported),
            (b"HTTP/1.2 200 OK", HeadError::VersionUnsupported),
            (b"HTTP/2 200 OK", HeadError::Version),
            (b"http/1.1 200 OK", HeadError::Version),
            (b" HTTP/1.1 200 OK", HeadError::Version),
            (b"ICY 200 OK", HeadError::Version),
            (b"GET / HTTP/1.1", HeadError::Version),
        ] {
            assert_eq!(StatusLine::parse(line), Err(error), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn what_cannot_become_a_version_is_refused_at_once() {
        for (start, verdict) in [
            (&b""[..], Ok(())),
            (b"HTT", Ok(())),
            (b"HTTP/1.", Ok(())),
            (b"HTTP/1.1", Ok(())),
            (b"HTTP/1.1 2", Ok(())),
            (b"G", Err(HeadError::Version)),
            (b"HTTPS", Err(HeadError::Version)),
            (b"\xef\xbb\xbfH", Err(HeadError::Version)),
            (b"HTTP/3.0", Err(HeadError::VersionUnsupported)),
        ] {
            assert_eq!(StatusLine::vet_start(start), verdict, "{}", start.escape_ascii());
        }
    }
}
