//! The fields of an answer, in one compact encoding: `name ": " value CRLF`, one behind the other. HTTP/1.1 copies them as
//! they are; whoever encodes names and values by themselves (HTTP/2) reads them as pairs.

use std::fmt;

use super::token::{is_field_value, is_token};

/// Fields that say where a message and the connection end: no application may write them, and HTTP/2 has none of them
/// (RFC 9113 8.2.2).
const FRAMING: [&[u8]; 4] = [b"connection", b"keep-alive", b"transfer-encoding", b"content-length"];

/// Fields whose names and values were checked when they were written: see [`put_field`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldLines<'a>(&'a [u8]);

/// A name that is no token, or a value (or reason) with a control byte: writing it could add lines or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine;

impl<'a> FieldLines<'a> {
    /// No fields.
    pub const NONE: FieldLines<'static> = FieldLines(b"");

    /// Fields that [`put_field`] has written, or of which each name and value was checked as it does.
    #[inline]
    #[must_use]
    pub const fn new(lines: &'a [u8]) -> Self {
        FieldLines(lines)
    }

    /// True when each line is a field that may be sent.
    #[must_use]
    pub fn is_well_formed(self) -> bool {
        self.0.split_inclusive(|byte| *byte == b'\n').all(|line| {
            let line = line.strip_suffix(b"\r\n").map(split);
            line.is_some_and(|(name, value)| is_token(name) && value.is_some_and(is_field_value))
        })
    }

    /// All of them, as HTTP/1.1 sends them.
    #[inline]
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Names, as they were written, and values, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.lines().map(|line| {
            let (name, value) = split(line.strip_suffix(b"\r\n").unwrap_or(line));
            (name, value.unwrap_or_default())
        })
    }

    /// True when there is a field of this name.
    #[must_use]
    pub fn has(self, name: &[u8]) -> bool {
        self.lines().any(|line| name_of(line).eq_ignore_ascii_case(name))
    }

    /// The first value of the field of this name.
    #[must_use]
    pub fn get(self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whole lines, each with its CRLF.
    pub(super) fn lines(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.split_inclusive(|byte| *byte == b'\n')
    }
}

/// The name in a line.
pub(super) fn name_of(line: &[u8]) -> &[u8] {
    split(line).0
}

/// Name and value of a line; no value where there is no mark between them.
fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let value = line.get(colon..).and_then(|rest| rest.strip_prefix(b": "));
    (&line[..colon], value)
}

/// Names only: a value may be a secret of the application.
impl fmt::Debug for FieldLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name.escape_ascii().to_string())).finish()
    }
}

/// Appends a field of the application, or nothing for those that are not its to write.
///
/// # Errors
/// [`BadLine`], after which `out` is as before.
pub fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), BadLine> {
    if !is_token(name) || !is_field_value(value) {
        return Err(BadLine);
    }
    if !FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn written(given: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in given {
            put_field(&mut out, name.as_bytes(), value.as_bytes()).unwrap();
        }
        out
    }

    #[test]
    fn only_whole_lines_are_written() {
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\nb", "x"),
            ("a\0", "x"),
            ("é", "x"),
            ("a", "x\r\nevil: 1"),
            ("a", "x\n"),
            ("a", "\r"),
            ("a", "\0"),
            ("a", "\x7f"),
        ] {
            let mut out = b"kept".to_vec();
            assert_eq!(put_field(&mut out, name.as_bytes(), value.as_bytes()), Err(BadLine), "{name:?} {value:?}");
            assert_eq!(out, b"kept");
        }
        assert_eq!(written(&[("A", ""), ("b", "x\ty \u{e9}")]), "A: \r\nb: x\ty \u{e9}\r\n".as_bytes());
        let framing = [("Connection", "x"), ("keep-alive", "x"), ("Transfer-Encoding", "x"), ("CONTENT-LENGTH", "1")];
        assert_eq!(written(&framing), b"");
    }

    #[test]
    fn what_was_written_reads_back_as_pairs() {
        let given = [("A", ""), ("b", "x: y"), ("set-cookie", "1"), ("Set-Cookie", "2 ")];
        let bytes = written(&given);
        let fields = FieldLines::new(&bytes);
        assert!(fields.is_well_formed());
        let pairs: Vec<_> = given.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        assert_eq!(fields.iter().collect::<Vec<_>>(), pairs);
        assert_eq!((fields.get(b"SET-COOKIE"), fields.get(b"c")), (Some(&b"1"[..]), None));
        assert!(fields.has(b"B") && !fields.has(b"x") && !FieldLines::NONE.has(b"a"));
        assert_eq!(format!("{fields:?}"), r#"["A", "b", "set-cookie", "Set-Cookie"]"#);
    }

    #[test]
    fn what_is_no_line_is_not_well_formed_and_reads_as_something() {
        for bad in ["a", "a: b", "a: b\n", "a:b\r\n", ": b\r\n", "a b: c\r\n", "a: b\r\n\r\n", "a: b\rc: d\r\n", "\r\n"]
        {
            let fields = FieldLines::new(bad.as_bytes());
            assert!(!fields.is_well_formed(), "{bad:?}");
            assert!(fields.iter().count() > 0, "{bad:?}");
        }
        assert!(FieldLines::NONE.is_well_formed());
    }
}
