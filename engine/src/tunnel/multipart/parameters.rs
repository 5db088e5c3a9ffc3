//! The parameters of `Content-Type` and `Content-Disposition`: `; name=value` (RFC 9110 5.6.6, RFC 8187).

use super::charset::Charset;
use crate::wire::token::{is_qdtext, is_tchar};

/// A parameter that cannot be read: the whole field is worth nothing then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What stands behind the first token of a field: names as sent, values unescaped and decoded.
#[derive(Debug)]
pub(super) struct Parameters<'a>(Vec<(&'a [u8], String)>);

impl<'a> Parameters<'a> {
    /// Those of a `Content-Type`.
    pub(super) fn of_content_type(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Cursor { rest: bytes, extended: false, charset: Charset::Latin1 }.collect::<Result<_, _>>().map(Parameters)
    }

    /// Those of a `Content-Disposition`, quoted strings in `charset`: a name that ends in `*` has a value as in RFC 8187.
    pub(super) fn of_disposition(bytes: &'a [u8], charset: Charset) -> Result<Self, Malformed> {
        Cursor { rest: bytes, extended: true, charset }.collect::<Result<_, _>>().map(Parameters)
    }

    /// The first of that name, in any case of letters.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value.as_str())
    }
}

/// What has not been read yet.
struct Cursor<'a> {
    rest: &'a [u8],
    extended: bool,
    charset: Charset,
}

impl<'a> Iterator for Cursor<'a> {
    type Item = Result<(&'a [u8], String), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.parameter().transpose()
    }
}

impl<'a> Cursor<'a> {
    fn parameter(&mut self) -> Result<Option<(&'a [u8], String)>, Malformed> {
        self.skip_blanks();
        match self.take() {
            None => return Ok(None),
            Some(b';') => {}
            Some(_) => return Err(Malformed),
        }
        self.skip_blanks();
        let name = self.take_while(is_tchar);
        if self.take() != Some(b'=') {
            return Err(Malformed);
        }
        let value = match self.rest.first() {
            Some(_) if self.extended && name.ends_with(b"*") => self.extended_value()?,
            Some(b'"') => self.quoted_value()?,
            Some(byte) if is_tchar(*byte) => Charset::Latin1.decode(self.take_while(is_tchar)),
            _ => return Err(Malformed),
        };
        Ok(Some((name, value)))
    }

    /// `"` … `"`. A backslash escapes a quote or a backslash and stands for itself otherwise, as in the paths that
    /// some clients send.
    fn quoted_value(&mut self) -> Result<String, Malformed> {
        self.take();
        let mut value = Vec::new();
        loop {
            match self.take().ok_or(Malformed)? {
                b'"' => return Ok(self.charset.decode(&value)),
                b'\\' => match self.rest.first() {
                    Some(&escaped @ (b'"' | b'\\')) => {
                        value.push(escaped);
                        self.take();
                    }
                    _ => value.push(b'\\'),
                },
                byte if is_qdtext(byte) => value.push(byte),
                _ => return Err(Malformed),
            }
        }
    }

    /// `charset'language'value`, percent-encoded (RFC 8187 3.2).
    fn extended_value(&mut self) -> Result<String, Malformed> {
        let label = self.take_while(is_charset_char);
        if self.take() != Some(b'\'') {
            return Err(Malformed);
        }
        self.take_while(|byte| byte != b'\'');
        if self.take() != Some(b'\'') || self.rest.is_empty() {
            return Err(Malformed);
        }
        let mut value = Vec::new();
        loop {
            value.extend_from_slice(self.take_while(is_attr_char));
            match self.rest {
                [b'%', high, low, rest @ ..] => {
                    value.push(hex(*high)? << 4 | hex(*low)?);
                    self.rest = rest;
                }
                [b'%', ..] => return Err(Malformed),
                _ => break,
            }
        }
        if value.is_empty() {
            return Ok(String::new());
        }
        Ok(Charset::named(label).ok_or(Malformed)?.decode(&value))
    }

    fn skip_blanks(&mut self) {
        self.take_while(|byte| byte == b' ' || byte == b'\t');
    }

    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.rest.iter().position(|&byte| !belongs(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }
}

/// `mime-charsetc` (RFC 8187 3.2.1).
fn is_charset_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&+-^_`{}~".contains(&byte)
}

/// `attr-char` (RFC 8187 3.2.1): what needs no percent-encoding.
fn is_attr_char(byte: u8) -> bool {
    is_tchar(byte) && !b"*'%".contains(&byte)
}

fn hex(digit: u8) -> Result<u8, Malformed> {
    char::from(digit).to_digit(16).map(|value| value as u8).ok_or(Malformed)
}
