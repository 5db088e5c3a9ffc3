//! Reads the field lines of a head, of a request or of an answer (RFC 9112 5).

use super::fields::{FieldSpan, FieldTable, Span};
use super::head_error::HeadError;
use super::head_limits::HeadLimits;
use crate::limits::MAX_HEADERS;
use httparse::{EMPTY_HEADER, Header};

/// Field lines of an ordinary message. Clearing room for [`MAX_HEADERS`] instead would cost more than reading them.
pub(super) const FEW_HEADERS: usize = 24;

/// The start line of a whole head, without its CRLF, and where the field lines begin.
#[inline]
pub(super) fn split_start_line(head: &[u8]) -> Result<(&[u8], usize), HeadError> {
    let line_end = memchr::memchr(b'\n', head).ok_or(HeadError::Truncated)?;
    let line = head[..line_end].strip_suffix(b"\r").ok_or(HeadError::BareLf)?;
    Ok((line, line_end + 1))
}

/// Puts the field lines of `head`, which begin at `start`, into `table`, and hands name and value of each to `take`.
#[inline]
pub(super) fn read_field_lines<'a>(
    head: &'a [u8],
    start: usize,
    limits: &HeadLimits,
    table: &mut FieldTable,
    take: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), HeadError>,
) -> Result<(), HeadError> {
    let lines = &head[start..];
    match httparse::parse_headers(lines, &mut [EMPTY_HEADER; FEW_HEADERS]) {
        Err(httparse::Error::TooManyHeaders) => {
            store(head, httparse::parse_headers(lines, &mut [EMPTY_HEADER; MAX_HEADERS]), limits, table, take)
        }
        parsed => store(head, parsed, limits, table, take),
    }
}

#[inline]
fn store<'a>(
    head: &'a [u8],
    parsed: httparse::Result<(usize, &[Header<'a>])>,
    limits: &HeadLimits,
    table: &mut FieldTable,
    mut take: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), HeadError>,
) -> Result<(), HeadError> {
    let headers = match parsed {
        Ok(httparse::Status::Complete((_, headers))) => headers,
        Ok(httparse::Status::Partial) => return Err(HeadError::Truncated),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyFields),
        Err(httparse::Error::HeaderValue) => return Err(HeadError::FieldValue),
        Err(httparse::Error::NewLine) => return Err(HeadError::BareCr),
        Err(_) => return Err(HeadError::FieldName),
    };
    if headers.len() > limits.max_headers {
        return Err(HeadError::TooManyFields);
    }
    table.clear();
    for header in headers {
        let line = FieldSpan { name: span_in(head, header.name.as_bytes()), value: span_in(head, header.value) };
        if !table.push(line) {
            return Err(HeadError::TooManyFields);
        }
        take(header.name.as_bytes(), header.value)?;
    }
    Ok(())
}

/// Where `part`, a slice of `whole`, lies in it.
#[inline]
fn span_in(whole: &[u8], part: &[u8]) -> Span {
    let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    // A head is at most MAX_HEAD_BYTES_CEILING bytes: 32 bits always fit.
    Span { start: start as u32, end: (start + part.len()) as u32 }
}
