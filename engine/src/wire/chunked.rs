//! The chunked transfer coding (RFC 9112 7.1), as a machine that stops and goes on at any byte.

use super::body_step::{BodyError, Step};
use super::token::{is_field_byte, is_qdtext, is_tchar};
use crate::limits::{DEFAULT_CHUNK_EXTENSION_BYTES, DEFAULT_TRAILER_BYTES, MAX_HEADERS};

/// Hexadecimal digits of a chunk size: as many as 64 bits need, leading zeros counted.
const MAX_SIZE_DIGITS: u8 = 16;

/// The configurable bounds of what stands around the content of one chunked message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Bytes of extensions, all chunks together. More: 413.
    pub max_extension_bytes: usize,
    /// Bytes of the trailer section, without its final empty line. More: 431.
    pub max_trailer_bytes: usize,
    /// Field lines in the trailer section. More: 431.
    pub max_trailer_lines: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        ChunkLimits {
            max_extension_bytes: DEFAULT_CHUNK_EXTENSION_BYTES,
            max_trailer_bytes: DEFAULT_TRAILER_BYTES,
            max_trailer_lines: MAX_HEADERS,
        }
    }
}

impl ChunkLimits {
    /// Whether a trailer section that has come in another way, given as lines, is within the bounds of those behind chunks.
    ///
    /// # Errors
    /// It is not.
    pub fn check_trailers(&self, lines: &[u8]) -> Result<(), BodyError> {
        let count = lines.iter().filter(|byte| **byte == b'\n').count();
        match lines.len() <= self.max_trailer_bytes && count <= self.max_trailer_lines {
            true => Ok(()),
            false => Err(BodyError::TrailersTooLarge),
        }
    }
}

/// Reads a chunked message. Chunk extensions and trailer fields are checked and bounded. The former are dropped, and the latter
/// as well where nobody asks for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkedReader {
    state: State,
    /// Content bytes taken and announced so far.
    announced: u64,
    /// What may still come around the content.
    left: ChunkLimits,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A digit of the size, or what ends it.
    Size { digits: u8, size: u64 },
    /// Inside the extensions of a chunk of this size.
    Extension { at: Extension, size: u64 },
    /// The LF of the size line.
    SizeLf { size: u64 },
    /// Content.
    Data { left: u64 },
    /// The CR behind content.
    DataCr,
    /// The LF behind content.
    DataLf,
    /// Within the trailer section.
    Trailer(Trailer),
    /// Behind the message.
    Done,
}

/// Position in `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    /// Blanks that only a `;` may end.
    BeforeSemicolon,
    /// Behind `;`: blanks, or the name begins.
    BeforeName,
    Name,
    /// Blanks behind the name: `=` or `;` follows.
    AfterName,
    /// Behind `=`: blanks, or the value begins.
    BeforeValue,
    Token,
    Quoted,
    /// Behind a backslash in a quoted string.
    Escaped,
    /// Behind the closing quote.
    QuotedEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trailer {
    /// A field line or the final empty line begins.
    LineStart,
    Name,
    Value,
    /// The LF of a field line.
    Lf,
    /// The LF of the final empty line.
    LastLf,
}

impl ChunkedReader {
    pub(super) fn new(limits: ChunkLimits) -> ChunkedReader {
        ChunkedReader { state: State::Size { digits: 0, size: 0 }, announced: 0, left: limits }
    }

    pub(super) fn done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of the chunk that are still to come.
    pub(super) fn content_run(&self) -> u64 {
        match self.state {
            State::Data { left } => left,
            _ => 0,
        }
    }

    /// So many of them were dropped unseen.
    pub(super) fn pass_unseen(&mut self, bytes: u64) {
        if let State::Data { left } = self.state {
            let left = left.saturating_sub(bytes);
            self.state = if left == 0 { State::DataCr } else { State::Data { left } };
        }
    }

    /// Takes what it can from `input`, handing content to `put`. Refuses a chunk that would make more than
    /// `max_body_bytes` of content in all, before its data.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        max_body_bytes: u64,
        put: impl FnMut(&[u8]),
    ) -> Result<Step, BodyError> {
        self.advance_noting(input, max_body_bytes, put, |_| {})
    }

    /// As [`ChunkedReader::advance`]; `note` is handed each byte of the trailer section, without the empty line behind it.
    pub(super) fn advance_noting(
        &mut self,
        input: &[u8],
        max_body_bytes: u64,
        mut put: impl FnMut(&[u8]),
        mut note: impl FnMut(u8),
    ) -> Result<Step, BodyError> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            self.state = match self.state {
                State::Data { left } => {
                    let rest = &input[at..];
                    let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                    put(&rest[..taken]);
                    at += taken;
                    let left = left - taken as u64;
                    self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                    continue;
                }
                State::Size { digits, size } => self.size(byte, digits, size)?,
                State::SizeLf { size } => {
                    expect(byte, b'\n', "CR without LF behind a chunk size")?;
                    self.announced = self.announced.saturating_add(size);
                    match size {
                        0 => State::Trailer(Trailer::LineStart),
                        _ if self.announced > max_body_bytes => return Err(BodyError::TooLarge),
                        left => State::Data { left },
                    }
                }
                State::DataCr => {
                    expect(byte, b'\r', "chunk data without CRLF behind it")?;
                    State::DataLf
                }
                State::DataLf => {
                    expect(byte, b'\n', "chunk data without CRLF behind it")?;
                    State::Size { digits: 0, size: 0 }
                }
                State::Extension { at, size } => self.extension(byte, at, size)?,
                State::Trailer(at) => {
                    let next = self.trailer(byte, at)?;
                    if !matches!(next, State::Trailer(Trailer::LastLf) | State::Done) {
                        note(byte);
                    }
                    next
                }
                State::Done => break,
            };
            at += 1;
        }
        Ok(Step { consumed: at, done: self.done() })
    }

    #[inline]
    fn size(&mut self, byte: u8, digits: u8, size: u64) -> Result<State, BodyError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ if digits == 0 => return Err(BodyError::Malformed("chunk without a size")),
            b'\r' => return Ok(State::SizeLf { size }),
            b';' | b' ' | b'\t' => return self.extension(byte, Extension::BeforeSemicolon, size),
            _ => return Err(BodyError::Malformed("chunk size is not hexadecimal")),
        };
        if digits == MAX_SIZE_DIGITS {
            return Err(BodyError::Malformed("chunk size of more than 16 digits"));
        }
        Ok(State::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
    }

    fn extension(&mut self, byte: u8, at: Extension, size: u64) -> Result<State, BodyError> {
        use Extension::{AfterName, BeforeName, BeforeSemicolon, BeforeValue, Escaped, Name, Quoted, QuotedEnd, Token};
        let next = match (at, byte) {
            (Name | Token | QuotedEnd, b'\r') => return Ok(State::SizeLf { size }),
            (BeforeSemicolon | Name | AfterName | Token | QuotedEnd, b';') => BeforeName,
            (BeforeSemicolon | BeforeName | AfterName | BeforeValue, b' ' | b'\t') => at,
            (Name, b' ' | b'\t') => AfterName,
            (Token | QuotedEnd, b' ' | b'\t') => BeforeSemicolon,
            (Name | AfterName, b'=') => BeforeValue,
            (BeforeName | Name, byte) if is_tchar(byte) => Name,
            (BeforeValue, b'"') => Quoted,
            (BeforeValue | Token, byte) if is_tchar(byte) => Token,
            (Quoted, b'"') => QuotedEnd,
            (Quoted, b'\\') => Escaped,
            (Quoted, byte) if is_qdtext(byte) => Quoted,
            (Escaped, byte) if is_field_byte(byte) => Quoted,
            _ => return Err(BodyError::Malformed("malformed chunk extension")),
        };
        spend(&mut self.left.max_extension_bytes, BodyError::ExtensionsTooLarge)?;
        Ok(State::Extension { at: next, size })
    }

    /// Field lines as in a head: a token directly followed by a colon, no folding, no control byte, CRLF (RFC 9112
    /// 7.1.2). They are never merged into the head, whose meaning they could change.
    fn trailer(&mut self, byte: u8, at: Trailer) -> Result<State, BodyError> {
        let next = match (at, byte) {
            (Trailer::LineStart, b'\r') => return Ok(State::Trailer(Trailer::LastLf)),
            (Trailer::LineStart, byte) if is_tchar(byte) => {
                spend(&mut self.left.max_trailer_lines, BodyError::TrailersTooLarge)?;
                Trailer::Name
            }
            (Trailer::Name, byte) if is_tchar(byte) => Trailer::Name,
            (Trailer::Name, b':') => Trailer::Value,
            (Trailer::Value, b'\r') => Trailer::Lf,
            (Trailer::Value, byte) if is_field_byte(byte) => Trailer::Value,
            (Trailer::Lf, b'\n') => Trailer::LineStart,
            (Trailer::LastLf, b'\n') => return Ok(State::Done),
            (Trailer::Lf | Trailer::LastLf, _) => return Err(BodyError::Malformed("CR without LF in the trailers")),
            _ => return Err(BodyError::Malformed("malformed trailer line")),
        };
        spend(&mut self.left.max_trailer_bytes, BodyError::TrailersTooLarge)?;
        Ok(State::Trailer(next))
    }
}

/// Takes one of what is left.
#[inline]
fn spend(left: &mut usize, otherwise: BodyError) -> Result<(), BodyError> {
    *left = left.checked_sub(1).ok_or(otherwise)?;
    Ok(())
}

#[inline]
fn expect(byte: u8, wanted: u8, otherwise: &'static str) -> Result<(), BodyError> {
    if byte == wanted { Ok(()) } else { Err(BodyError::Malformed(otherwise)) }
}

#[cfg(test)]
mod tests;
