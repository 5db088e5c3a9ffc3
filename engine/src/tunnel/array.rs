//! Splits the text of a JSON array into its elements, without parsing them.

use std::ops::Range;

use memchr::memchr2;

/// Yields the byte ranges of the top-level elements of a JSON array.
///
/// The text comes from `JSON.stringify`, so it is trusted to be valid; on any other text the ranges make no sense,
/// but they lie within it, in order, and nothing panics. Ask [`Self::is_complete`] after the last one.
#[derive(Clone, Debug)]
pub struct ArraySplitter<'a> {
    text: &'a [u8],
    /// Where the next element starts; past the end when there is none.
    at: usize,
    complete: bool,
}

impl<'a> ArraySplitter<'a> {
    /// Starts at the opening bracket, which must be the first byte (`JSON.stringify` writes no blanks).
    #[must_use]
    pub fn new(text: &'a [u8]) -> ArraySplitter<'a> {
        let (at, complete) = match text {
            b"[]" => (text.len(), true),
            [b'[', ..] => (1, false),
            _ => (text.len(), false),
        };
        ArraySplitter { text, at, complete }
    }

    /// True when all elements were yielded and the closing bracket was the last byte.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

impl Iterator for ArraySplitter<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut at = start;
        let mut depth = 0_usize;
        loop {
            // Skip what is neither a string nor structure.
            let rest = self.text.get(at..)?;
            let Some(skipped) = rest.iter().position(|byte| STRUCTURE[usize::from(*byte)] != 0) else {
                self.at = self.text.len();
                return None;
            };
            at += skipped;
            match STRUCTURE[usize::from(self.text[at])] {
                OPEN => depth += 1,
                QUOTE => {
                    at = string_end(self.text, at + 1);
                    continue;
                }
                COMMA if depth == 0 => {
                    self.at = at + 1;
                    return Some(start..at);
                }
                CLOSE if depth == 0 => {
                    self.at = self.text.len();
                    self.complete = &self.text[at..] == b"]";
                    return (at > start).then_some(start..at);
                }
                CLOSE => depth -= 1,
                _ => {}
            }
            at += 1;
        }
    }
}

const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const COMMA: u8 = 3;
const QUOTE: u8 = 4;

const STRUCTURE: [u8; 256] = {
    let mut class = [0; 256];
    class[b'[' as usize] = OPEN;
    class[b'{' as usize] = OPEN;
    class[b']' as usize] = CLOSE;
    class[b'}' as usize] = CLOSE;
    class[b',' as usize] = COMMA;
    class[b'"' as usize] = QUOTE;
    class
};

/// One past the closing quote of a string whose content starts at `at`; the end of the text if it never closes.
fn string_end(text: &[u8], mut at: usize) -> usize {
    loop {
        // Keys and most values are short: look at the first bytes before setting up a search.
        let near = text.len().min(at + 16);
        while at < near && text[at] != b'"' && text[at] != b'\\' {
            at += 1;
        }
        if at == near {
            match text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
                Some(skipped) => at += skipped,
                None => return text.len(),
            }
        }
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
        if at >= text.len() {
            return text.len();
        }
    }
}

/// Splits arbitrary bytes; the ranges must lie in order within them.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz_array(text: &[u8]) {
    let mut splitter = ArraySplitter::new(text);
    let mut end = 0;
    for range in &mut splitter {
        assert!(end < range.start && range.start <= range.end && range.end < text.len());
        end = range.end;
    }
    assert!(splitter.next().is_none());
    assert!(!splitter.is_complete() || text.last() == Some(&b']'));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> (Vec<&str>, bool) {
        let mut splitter = ArraySplitter::new(text.as_bytes());
        let parts = splitter.by_ref().map(|range| &text[range]).collect();
        assert_eq!(splitter.next(), None);
        (parts, splitter.is_complete())
    }

    #[test]
    fn elements_of_arrays() {
        let table: &[(&str, &[&str])] = &[
            ("[]", &[]),
            ("[1]", &["1"]),
            ("[1,null,true,-2.5e3]", &["1", "null", "true", "-2.5e3"]),
            ("[[],{},[[]],[1,2]]", &["[]", "{}", "[[]]", "[1,2]"]),
            (r#"[{"a":[1,{"b":2}],"c":3},4]"#, &[r#"{"a":[1,{"b":2}],"c":3}"#, "4"]),
            (r#"["a,b","]","{","\"","\\",""]"#, &[r#""a,b""#, r#""]""#, r#""{""#, r#""\"""#, r#""\\""#, r#""""#]),
            (r#"["a\\\",","\\\\"]"#, &[r#""a\\\",""#, r#""\\\\""#]),
            (
                r#"["0123456789abcdef,","0123456789abcde\",","0123456789abcdef0123\\"]"#,
                &[r#""0123456789abcdef,""#, r#""0123456789abcde\",""#, r#""0123456789abcdef0123\\""#],
            ),
            (r#"["é","😀",{"é":"]"}]"#, &[r#""é""#, r#""😀""#, r#"{"é":"]"}"#]),
        ];
        for (text, expected) in table {
            assert_eq!(split(text), (expected.to_vec(), true), "{text}");
        }
    }

    #[test]
    fn broken_texts_are_not_complete() {
        for text in ["", "1", "{}", "[", "[1", "[1,", "[\"", "[\"\\", "[\"\\\"", "[[]", "[1]]", "[1],2", " [1]", "]"] {
            let (_, complete) = split(text);
            assert!(!complete, "{text}");
            fuzz_array(text.as_bytes());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn splits_what_was_joined(parts in prop::collection::vec(super::super::json::tests::document(), 0..6)) {
            let parts: Vec<String> = parts.iter().map(|part| serde_json::to_string(part).unwrap()).collect();
            let text = format!("[{}]", parts.join(","));
            prop_assert_eq!(split(&text), (parts.iter().map(String::as_str).collect(), true));
        }

        #[test]
        fn arbitrary_bytes(text in "\\[?[\\[\\]{},\"\\\\ax]{0,24}") {
            fuzz_array(text.as_bytes());
        }
    }
}
