//! The header of a part, byte by byte: field lines up to the empty one.

use super::parameters::Malformed;
use super::part_head::PartHead;
use crate::limits::{MAX_PART_FIELDS, MAX_PART_HEAD_BYTES};
use crate::wire::token::{is_field_byte, is_tchar};

/// Where the parser is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Name,
    /// Blanks before the value.
    Blanks,
    Value,
    /// Behind CR, LF is due.
    Lf,
    /// Behind CRLF: the value goes on (obsolete folding), another line follows, or the empty one.
    Line,
    /// Behind the CR of the empty line.
    LastLf,
}

/// Reads the header of one part, keeps of it what a form needs. Bounded as in the reference.
#[derive(Debug, Default)]
pub(super) struct HeadParser {
    at: At,
    /// Bytes looked at, which is more than there are: those that decide what follows count twice.
    counted: usize,
    fields: usize,
    name: Vec<u8>,
    value: Vec<u8>,
    disposition: Option<Vec<u8>>,
    content_type: Option<Vec<u8>>,
}

/// What came of the bytes.
pub(super) enum Progress {
    /// All of them belong to the header, which goes on.
    More,
    /// So many of them did; what the header says, if it is of a part of the form.
    Complete(usize, Option<PartHead>),
}

impl HeadParser {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Progress, Malformed> {
        let mut next = 0;
        while let Some(&byte) = bytes.get(next) {
            if self.counted == MAX_PART_HEAD_BYTES {
                return Err(Malformed);
            }
            self.counted += 1;
            // Some bytes only decide what comes; the next state looks at them again.
            let taken = match self.at {
                At::Name if is_tchar(byte) => {
                    self.name.push(byte);
                    true
                }
                At::Name if byte == b':' && !self.name.is_empty() => self.go(At::Blanks, true),
                At::Blanks if byte == b' ' || byte == b'\t' => true,
                At::Blanks => self.go(At::Value, false),
                At::Value if is_field_byte(byte) => {
                    self.value.push(byte);
                    true
                }
                At::Value if byte == b'\r' => self.go(At::Lf, true),
                At::Lf if byte == b'\n' => self.go(At::Line, true),
                At::Line if byte == b' ' || byte == b'\t' => self.go(At::Value, false),
                At::Line => {
                    self.keep_field();
                    let last = byte == b'\r';
                    self.go(if last { At::LastLf } else { At::Name }, last)
                }
                At::LastLf if byte == b'\n' => {
                    let head = PartHead::new(self.disposition.as_deref(), self.content_type.as_deref());
                    return Ok(Progress::Complete(next + 1, head));
                }
                At::Name | At::Value | At::Lf | At::LastLf => return Err(Malformed),
            };
            next += usize::from(taken);
        }
        Ok(Progress::More)
    }

    /// To the next state, with the byte at hand taken or not.
    fn go(&mut self, at: At, taken: bool) -> bool {
        self.at = at;
        taken
    }

    /// The line is complete: the first of each name counts.
    fn keep_field(&mut self) {
        self.fields += 1;
        let slot = if self.name.eq_ignore_ascii_case(b"content-disposition") {
            Some(&mut self.disposition)
        } else if self.name.eq_ignore_ascii_case(b"content-type") {
            Some(&mut self.content_type)
        } else {
            None
        };
        if let Some(slot) = slot.filter(|slot| slot.is_none() && self.fields < MAX_PART_FIELDS) {
            *slot = Some(std::mem::take(&mut self.value));
        }
        self.name.clear();
        self.value.clear();
    }
}
