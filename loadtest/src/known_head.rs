//! A head that was read once need not be read again: the answers of one second differ in their request ids alone.

use std::ops::Range;

use fasttunnel_engine::tunnel::request_id::REQUEST_ID_HEADER;
use fasttunnel_engine::wire::answer_head::AnswerHead;

/// A field that means nothing to whoever reads answers, and differs from one to the next.
const OPEN_NAME: &[u8] = REQUEST_ID_HEADER.as_bytes();

/// How bytes stand to a known head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// They begin with one that means the same.
    Same,
    /// They are the beginning of one, as far as they go.
    SoFar,
    /// They are something else.
    Other,
}

/// The bytes of a head, all of which have to come again but those of one value.
#[derive(Default)]
pub struct KnownHead {
    bytes: Vec<u8>,
    /// That value: any bytes of a field value in its place mean the same.
    open: Range<usize>,
}

impl KnownHead {
    /// Bytes of it.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes `head` in place of the last one; `bytes` are its.
    pub fn learn(&mut self, head: &AnswerHead, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        let lines = head.fields.of(bytes).spans();
        let open = lines.iter().find(|line| line.name.of(bytes).eq_ignore_ascii_case(OPEN_NAME));
        self.open = open.map_or(0..0, |line| line.value.start as usize..line.value.end as usize);
    }

    /// Compares.
    pub fn likeness(&self, bytes: &[u8]) -> Likeness {
        if self.bytes.is_empty() {
            return Likeness::Other;
        }
        let common = self.bytes.len().min(bytes.len());
        let (known, bytes) = (&self.bytes[..common], &bytes[..common]);
        let (start, end) = (self.open.start.min(common), self.open.end.min(common));
        let same = known[end..] == bytes[end..]
            && known[..start] == bytes[..start]
            && bytes[start..end].iter().fold(true, |all, &byte| all & is_value_byte(byte));
        match same {
            true if common == self.bytes.len() => Likeness::Same,
            true => Likeness::SoFar,
            false => Likeness::Other,
        }
    }
}

/// A byte that a field value may hold (RFC 9110 5.5); without a branch, so that a whole value is tested at once.
fn is_value_byte(byte: u8) -> bool {
    ((byte >= b' ') & (byte != 0x7f)) | (byte == b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;
    use fasttunnel_engine::wire::head::{HeadLimits, Method};

    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nX-Runner-Request-Id: abcd\r\nContent-Length: 22\r\nDate: now\r\nA: b\r\n\r\n";

    fn known() -> KnownHead {
        let (mut known, mut head) = (KnownHead::default(), AnswerHead::default());
        assert_eq!(known.likeness(HEAD.as_bytes()), Likeness::Other, "nothing is known yet");
        assert_eq!(head.parse(HEAD.as_bytes(), Method::Post, &HeadLimits::default()), Ok(()));
        known.learn(&head, HEAD.as_bytes());
        known
    }

    #[test]
    fn a_head_is_known_again_where_what_differs_means_nothing() {
        let known = known();
        for (from, to, likeness) in [
            ("", "", Likeness::Same),
            ("abcd", "wxyz", Likeness::Same),
            ("abcd", "\u{e9}\u{e9}", Likeness::Same),
            ("now", "nov", Likeness::Other),
            ("A: b\r\n\r\n", "A: b\r\n\r\nbody", Likeness::Same),
            ("A: b\r\n\r\n", "", Likeness::SoFar),
            ("22", "23", Likeness::Other),
            ("200", "500", Likeness::Other),
            ("A: b", "A: c", Likeness::Other),
            ("abcd", "a\r\nd", Likeness::Other),
            ("abcd", "a\0cd", Likeness::Other),
            ("abcd", "a\x7fcd", Likeness::Other),
            // Longer, shorter: the lines behind are not where they were.
            ("abcd", "abcde", Likeness::Other),
            ("abcd", "abc", Likeness::Other),
        ] {
            assert_eq!(known.likeness(HEAD.replacen(from, to, 1).as_bytes()), likeness, "{from:?} as {to:?}");
        }
    }

    #[test]
    fn every_beginning_of_a_known_head_is_one() {
        let known = known();
        for end in 0..HEAD.len() {
            assert_eq!(known.likeness(&HEAD.as_bytes()[..end]), Likeness::SoFar, "{end}");
        }
    }
}
