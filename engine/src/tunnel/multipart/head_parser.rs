//! The header of a part, byte by byte: field lines up to the empty one.

use super::Reading;
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
    reading: Reading,
}

/// What came of the bytes.
pub(super) enum Progress {
    /// All of them belong to the header, which goes on.
    More,
    /// So many of them did; what the header says, if it is of a part of the form.
    Complete(usize, Option<PartHead>),
}

impl HeadParser {
    pub(super) fn new(reading: Reading) -> Self {
        HeadParser { reading, ..HeadParser::default() }
    }

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
                    let (disposition, content_type) = (self.disposition.as_deref(), self.content_type.as_deref());
                    let head = PartHead::new(disposition, content_type, self.reading);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The name it gives the part, `-` for no part of the form; `None` while it goes on. In any pieces the same.
    fn named(head: &[u8]) -> Result<Option<String>, Malformed> {
        let read = |piece: usize| {
            let (mut parser, mut taken) = (HeadParser::default(), 0);
            for bytes in head.chunks(piece) {
                match parser.push(bytes)? {
                    Progress::More => taken += bytes.len(),
                    Progress::Complete(len, head) => {
                        taken += len;
                        return Ok(Some((head.map_or("-".into(), |head| head.name.unwrap_or_default()), taken)));
                    }
                }
            }
            Ok(None)
        };
        let whole = read(head.len().max(1));
        for piece in [1, 2, 3, 7] {
            assert_eq!(read(piece), whole, "{} by {piece}", head[..head.len().min(99)].escape_ascii());
        }
        whole.map(|found| {
            found.map(|(name, taken)| {
                assert!(head[..taken].ends_with(b"\r\n\r\n"));
                name
            })
        })
    }

    #[test]
    fn headers() {
        let name = |name: &str| Ok(Some(name.to_owned()));
        for (head, expected) in [
            (&b"Content-Disposition: form-data; name=x\r\n\r\nbody"[..], name("x")),
            (b"A:\r\ncontent-DISPOSITION:form-data; name=x\r\nB: c\r\n\r\n", name("x")),
            (b"Content-Disposition: form-data;\r\n name=x\r\n\t; filename=f\r\n\r\n", name("x")),
            (b"Content-Disposition: form-data; name=x\r\nContent-Disposition: form-data; name=y\r\n\r\n", name("x")),
            (b"X: y\r\n\r\n", name("-")),
            (b"Content-Disposition:\r\n\r\n", name("-")),
            (b"Content-Disposition: form-data; na", Ok(None)),
            (b"X: y\r\n", Ok(None)),
            (b"X: y\r\n\r", Ok(None)),
            (b"", Ok(None)),
            (b"\r\n", Err(Malformed)),
            (b": x\r\n\r\n", Err(Malformed)),
            (b"A : x\r\n\r\n", Err(Malformed)),
            (b"no colon\r\n\r\n", Err(Malformed)),
            (b"X: y\n\r\n", Err(Malformed)),
            (b"X: y\rz", Err(Malformed)),
            (b"X: y\r\n\rz", Err(Malformed)),
            (b"X: \0\r\n\r\n", Err(Malformed)),
            (b"X: \x7f\r\n\r\n", Err(Malformed)),
        ] {
            assert_eq!(named(head), expected, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn bounds_are_those_of_the_reference() {
        let long = |len: usize| format!("X:{}\r\nContent-Disposition:form-data;name=x\r\n\r\n", "a".repeat(len));
        assert_eq!(named(long(16_337).as_bytes()), Ok(Some("x".into())));
        assert_eq!(named(long(16_338).as_bytes()), Err(Malformed));
        let many = |fields: usize| "a:\r\n".repeat(fields) + "Content-Disposition:form-data;name=x\r\n\r\n";
        assert_eq!(named(many(MAX_PART_FIELDS - 2).as_bytes()), Ok(Some("x".into())));
        assert_eq!(named(many(MAX_PART_FIELDS - 1).as_bytes()), Ok(Some("-".into())));
        // Blanks and names count as well.
        for endless in [&b"a"[..], b"a: ", b"a: b"] {
            let head = [endless, &[endless[endless.len() - 1]; MAX_PART_HEAD_BYTES]].concat();
            assert_eq!(named(&head), Err(Malformed));
        }
    }
}
