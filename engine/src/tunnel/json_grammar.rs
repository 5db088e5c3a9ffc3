//! The grammar of `JSON.parse`, exactly (RFC 8259, numbers of any size, lone surrogate escapes). No recursion, no
//! allocation. Decides where simd-json is stricter, and is what simd-json is tested against.

use memchr::memchr2;

use crate::limits::MAX_JSON_DEPTH;

/// What the grammar says about a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// `JSON.parse` refuses it, or it has a value inside as many containers as are too deep.
    Invalid,
    /// `JSON.parse` accepts it.
    Valid {
        /// A string may be a name that means something to the serializer: see [`is_marked`].
        marked: bool,
    },
}

/// Names that the serializer's reader does not leave alone (CONTRACT 11.2). `$runner.escape::` is a prefix.
const MARKS: [&[u8]; 5] = [b"__type", b"__graph", b"__proto__", b"constructor", b"prototype"];
const MARK_PREFIX: &[u8] = b"$runner.escape::";

/// True if a string (unescaped) is a key that the serializer reads specially.
#[inline]
#[must_use]
pub fn is_marked(text: &[u8]) -> bool {
    match text.len() {
        6 | 7 | 9 | 11 => MARKS.contains(&text),
        len => len >= MARK_PREFIX.len() && text.starts_with(MARK_PREFIX),
    }
}

/// Checks `text`, with the depth of the contract. It must be UTF-8 already (bytes of 0x80 and more are taken for granted inside strings).
#[must_use]
pub fn check_grammar(text: &[u8]) -> Grammar {
    check_grammar_within(text, MAX_JSON_DEPTH)
}

/// Checks `text` as [`check_grammar`] does, and refuses values inside `max_depth` containers, at most [`MAX_JSON_DEPTH`].
#[must_use]
pub fn check_grammar_within(text: &[u8], max_depth: usize) -> Grammar {
    let mut cursor = Cursor { text, at: 0, max_depth: max_depth.min(MAX_JSON_DEPTH), marked: false };
    match cursor.document() {
        Some(()) => Grammar::Valid { marked: cursor.marked },
        None => Grammar::Invalid,
    }
}

/// Which containers are open: one bit each, set for an object.
struct Stack {
    bits: [u64; MAX_JSON_DEPTH.div_ceil(64)],
    depth: usize,
}

impl Stack {
    /// Opens a container; [`Cursor::document`] sees to it that there is room.
    fn push(&mut self, object: bool) {
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if object {
            self.bits[word] |= bit;
        } else {
            self.bits[word] &= !bit;
        }
        self.depth += 1;
    }

    /// Whether the innermost container is an object; None outside of all.
    fn top(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        Some(self.bits[last / 64] >> (last % 64) & 1 == 1)
    }
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    /// No value inside so many containers.
    max_depth: usize,
    marked: bool,
}

impl Cursor<'_> {
    /// None means a syntax error, here and below.
    fn document(&mut self) -> Option<()> {
        let mut stack = Stack { bits: [0; MAX_JSON_DEPTH.div_ceil(64)], depth: 0 };
        loop {
            // A value begins. Inside so many containers none may, so the innermost must be empty.
            if stack.depth == self.max_depth {
                return None;
            }
            match self.next_visible()? {
                b'{' => {
                    stack.push(true);
                    if self.next_is(b'}') {
                        stack.depth -= 1;
                    } else {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    stack.push(false);
                    if self.next_is(b']') {
                        stack.depth -= 1;
                    } else {
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                b'-' => {
                    let first = self.next()?;
                    self.number(first)?;
                }
                digit => self.number(digit)?,
            }
            // A value has ended: close containers until another value is due.
            loop {
                let Some(object) = stack.top() else {
                    return self.next_visible().is_none().then_some(());
                };
                match (self.next_visible()?, object) {
                    (b',', true) => self.key()?,
                    (b',', false) => {}
                    (b'}', true) | (b']', false) => {
                        stack.depth -= 1;
                        continue;
                    }
                    _ => return None,
                }
                break;
            }
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn next_visible(&mut self) -> Option<u8> {
        loop {
            match self.next()? {
                b' ' | b'\t' | b'\n' | b'\r' => {}
                byte => return Some(byte),
            }
        }
    }

    /// Takes the next visible byte if it is `expected`.
    fn next_is(&mut self, expected: u8) -> bool {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
        let found = self.text.get(self.at) == Some(&expected);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let end = self.at + rest.len();
        (self.text.get(self.at..end)? == rest).then(|| self.at = end)
    }

    fn key(&mut self) -> Option<()> {
        if self.next_visible()? != b'"' {
            return None;
        }
        self.string()?;
        (self.next_visible()? == b':').then_some(())
    }

    fn number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.digits();
        (self.at > start).then_some(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// The rest of a string whose opening quote is taken.
    fn string(&mut self) -> Option<()> {
        let start = self.at;
        let mut hidden = false;
        loop {
            self.plain_bytes();
            match self.next()? {
                b'"' => break,
                b'\\' => hidden |= self.escape()?,
                _ => return None,
            }
        }
        // An escaped ASCII letter could be part of a name. The other escapes stand for characters that no name has.
        self.marked |= hidden || is_marked(&self.text[start..self.at - 1]);
        Some(())
    }

    /// Skips bytes that stand for themselves.
    fn plain_bytes(&mut self) {
        // Most strings are short; a long one is worth a search with wide registers.
        let short = self.text.len().min(self.at + 32);
        while self.at < short {
            if is_special(self.text[self.at]) {
                return;
            }
            self.at += 1;
        }
        let rest = &self.text[self.at..];
        let long = &rest[..memchr2(b'"', b'\\', rest).unwrap_or(rest.len())];
        self.at += match long.iter().fold(false, |control, byte| control | (*byte < 0x20)) {
            true => long.iter().position(|byte| *byte < 0x20).unwrap_or(long.len()),
            false => long.len(),
        };
    }

    /// The rest of an escape whose backslash is taken; whether it could stand for a character of a marked name.
    fn escape(&mut self) -> Option<bool> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(false),
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?;
                self.at += 4;
                digits
                    .iter()
                    .all(u8::is_ascii_hexdigit)
                    .then(|| digits.starts_with(b"00") && matches!(digits[2], b'2'..=b'7'))
            }
            _ => None,
        }
    }
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::Grammar::{Invalid, Valid};
    use super::*;

    #[test]
    fn accepts_what_json_parse_accepts() {
        let long_string = format!("\"{}\\n{}\"", "a".repeat(100), "é".repeat(100));
        let long_number = "1".repeat(5000);
        for text in [
            "0",
            "-0",
            "-0.0e-0",
            "1E+5",
            "1e999",
            "-1e-999",
            "123.456",
            "18446744073709551616",
            &long_number,
            "true",
            "false",
            "null",
            r#""""#,
            r#""\ud800""#,
            r#""\udc00x""#,
            r#""\uD83d\uDE00""#,
            r#""\"\\\/\b\f\n\r\t""#,
            "\"\u{7f}\u{2028}\u{ffff}é\"",
            &long_string,
            "[]",
            "{}",
            " [ 1 , [ ] , { } ] ",
            "\t\r\n{ \"a\" : null }\n",
            r#"{"a":1,"a":2,"":[{}]}"#,
            "[[[[]]],[]]",
        ] {
            assert_eq!(check_grammar(text.as_bytes()), Valid { marked: false }, "{text}");
        }
    }

    #[test]
    fn refuses_what_json_parse_refuses() {
        let control = format!("\"{}\n\"", "a".repeat(100));
        for text in [
            "",
            " ",
            "\n",
            "[",
            "]",
            "{",
            "}",
            "\"",
            "\"\\",
            "\"\\\"",
            "\"\\u12",
            "\"\\u12zz\"",
            "\"\\x41\"",
            "\"a\nb\"",
            &control,
            "\"\0\"",
            "'a'",
            "tru",
            "truE",
            "truex",
            "nul",
            "NaN",
            "Infinity",
            "-Infinity",
            "undefined",
            "-",
            "- 1",
            "+1",
            ".5",
            "1.",
            "1.e1",
            "1e",
            "1e+",
            "01",
            "-01",
            "0x1",
            "1 2",
            "1,",
            "[1,]",
            "[,1]",
            "[1,,2]",
            "[1 2]",
            "[1}",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\" 1}",
            "{\"a\":1]",
            "{a:1}",
            "{}{}",
            "[]]",
            "[] x",
            "/*x*/1",
            "\u{feff}1",
            "\u{b}1",
            "\u{c}1",
            "\u{a0}1",
            "1\u{2028}",
            "\0",
            "1\0",
        ] {
            assert_eq!(check_grammar(text.as_bytes()), Invalid, "{text:?}");
        }
    }

    #[test]
    fn marks_names_however_they_are_spelled() {
        for (text, marked) in [
            (r#"{"__type":1}"#, true),
            (r#"{"a":[{"__graph":1}]}"#, true),
            (r#"{"__proto__":1}"#, true),
            (r#"{"constructor":1}"#, true),
            (r#"{"prototype":1}"#, true),
            (r#"{"$runner.escape::":1}"#, true),
            (r#"{"$runner.escape::x":1}"#, true),
            (r#"{"\u005f_type":1}"#, true),
            (r#"{"\u005F_type":1}"#, true),
            (r#"{"__typ\u0065":1}"#, true),
            (r#"{"\u0024runner.escape::x":1}"#, true),
            (r#"{"__typename":1,"__ref":"x","type":1,"runner.escape::":2}"#, false),
            (r#"{"a\u00e9\u0000\u001f\ud83d\ude00":"\n"}"#, false),
            (r#"{"a":"the constructor of __type"}"#, false),
        ] {
            assert_eq!(check_grammar(text.as_bytes()), Valid { marked }, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize, open: &str, leaf: &str, close: &str| {
            check_grammar(format!("{}{leaf}{}", open.repeat(depth), close.repeat(depth)).as_bytes()) != Invalid
        };
        // Innermost container empty, and not: the reader counts values.
        for (depth, empty, filled) in
            [(1, true, true), (64, true, true), (65, true, true), (1000, true, true), (1001, true, false)]
        {
            assert_eq!(nested(depth, "[", "", "]"), empty, "{depth}");
            assert_eq!(nested(depth - 1, "{\"a\":", "{}", "}"), empty, "{depth}");
            assert_eq!(nested(depth, "[", "1", "]"), filled, "{depth}");
            assert_eq!(nested(depth, "{\"a\":", "1", "}"), filled, "{depth}");
        }
        assert!(nested(500, "[{\"a\":", "1", "}]") && !nested(501, "[{\"a\":", "1", "}]"));
        assert!(!nested(1002, "[", "", "]") && !nested(100_000, "[", "", "]"));
        assert_eq!(check_grammar(&b"[".repeat(900_000)), Invalid);
    }
}
