//! The first line of a message (RFC 9112 2.1), as far as the search for the end of its head has to know it.

use super::head_error::HeadError;
use super::head_limits::HeadLimits;

/// A request line or a status line.
pub trait StartLine {
    /// Empty lines before it that are ignored (RFC 9112 2.2).
    const LEADING_EMPTY_LINES: usize;

    /// What more of them are.
    const TOO_MANY_EMPTY_LINES: HeadError;

    /// What a line is that is longer than [`StartLine::max_bytes`].
    const TOO_LONG: HeadError;

    /// The longest line that can still be good.
    fn max_bytes(limits: &HeadLimits) -> usize;

    /// Refuses a line, finished or not, whose first bytes cannot become good.
    fn vet_start(line: &[u8]) -> Result<(), HeadError>;

    /// Refuses a finished line, given without its CRLF, that cannot be parsed.
    fn vet(line: &[u8], limits: &HeadLimits) -> Result<(), HeadError>;
}

/// The minor version of HTTP/1.0 and HTTP/1.1. Every other well-formed version is refused as unsupported (505 for a
/// request), the rest as malformed (RFC 9112 2.3).
#[inline]
pub(super) fn parse_version(version: &[u8]) -> Result<u8, HeadError> {
    match version {
        b"HTTP/1.1" => Ok(1),
        b"HTTP/1.0" => Ok(0),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(HeadError::VersionUnsupported)
        }
        _ => Err(HeadError::Version),
    }
}
