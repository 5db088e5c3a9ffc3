//! Header fields as ranges into the bytes of a head, so that the buffer may move and nothing is copied.

use std::fmt;

use super::token::trim_ows;
use crate::limits::MAX_HEADERS;

/// A half-open byte range `start..end` in the head it was parsed from. A head is at most 64 KiB
/// ([`crate::limits::MAX_HEAD_BYTES_CEILING`]), so 16 bits would not do for `end`; 32 do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes of this span in `bytes`; empty when the span does not fit (never for spans of the same head).
    #[inline]
    #[must_use]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Number of bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// True when it spans nothing.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

/// One field line: where its name and its value (without surrounding blanks) are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSpan {
    /// Field name, in the sender's case.
    pub name: Span,
    /// Field value, leading and trailing SP / HTAB removed (RFC 9112 5.1).
    pub value: Span,
}

/// The field lines of one head, in order. Reused from request to request: no allocation.
#[derive(Clone, Debug)]
pub struct FieldTable {
    len: usize,
    lines: [FieldSpan; MAX_HEADERS],
}

impl Default for FieldTable {
    fn default() -> Self {
        FieldTable { len: 0, lines: [FieldSpan::default(); MAX_HEADERS] }
    }
}

impl FieldTable {
    /// Forgets all lines.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends a line; false when the table is full (the caller answers 431).
    #[inline]
    pub fn push(&mut self, line: FieldSpan) -> bool {
        match self.lines.get_mut(self.len) {
            Some(free) => {
                *free = line;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    /// The lines, read against the bytes they were parsed from.
    #[inline]
    #[must_use]
    pub fn of<'a>(&'a self, bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, lines: &self.lines[..self.len] }
    }
}

/// The field lines of one request together with their bytes.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    lines: &'a [FieldSpan],
}

/// Names only: one of the values may be a token.
impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name.escape_ascii().to_string())).finish()
    }
}

/// How often a field was sent, and with what value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// Not sent.
    Absent,
    /// Sent once.
    One(&'a [u8]),
    /// Sent on several lines; the value of the first.
    Repeated(&'a [u8]),
}

impl<'a> FieldValue<'a> {
    /// The first value, however often the field was sent.
    #[inline]
    #[must_use]
    pub fn first(self) -> Option<&'a [u8]> {
        match self {
            FieldValue::Absent => None,
            FieldValue::One(value) | FieldValue::Repeated(value) => Some(value),
        }
    }
}

impl<'a> Fields<'a> {
    /// All lines as `(name, value)`, in order, names in the sender's case.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.lines.iter().map(move |line| (line.name.of(bytes), line.value.of(bytes)))
    }

    /// The lines as ranges of the head, in order.
    #[must_use]
    pub fn spans(&self) -> &'a [FieldSpan] {
        self.lines
    }

    /// Looks a field up by name, ignoring ASCII case.
    #[inline]
    #[must_use]
    pub fn get(&self, name: &[u8]) -> FieldValue<'a> {
        let mut found = FieldValue::Absent;
        for line in self.lines {
            if line.name.len() == name.len() && line.name.of(self.bytes).eq_ignore_ascii_case(name) {
                match found {
                    FieldValue::Absent => found = FieldValue::One(line.value.of(self.bytes)),
                    FieldValue::One(first) | FieldValue::Repeated(first) => return FieldValue::Repeated(first),
                }
            }
        }
        found
    }

    /// The members of a list that stand on all lines of this name, without the empty ones (RFC 9110 5.6.1). No member here has a
    /// comma within quotes.
    pub fn members(&self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let lines = self.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        let members = lines.flat_map(|(_, value)| value.split(|byte| *byte == b',')).map(trim_ows);
        members.filter(|member| !member.is_empty())
    }

    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}
