//! The body of an answer that comes in pieces, as it goes over the wire (RFC 9112 6 and 7.1).

use super::answer::{Answer, has_content};

/// Where the content of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFraming {
    /// After so many bytes: `Content-Length`.
    Length(u64),
    /// After the last chunk: `Transfer-Encoding: chunked`.
    Chunked,
    /// With the connection (HTTP/1.0).
    UntilClose,
    /// There is none (204, 304).
    NoContent,
}

impl AnswerFraming {
    /// How the content of a streamed answer is delimited. `old`: the client speaks HTTP/1.0.
    #[must_use]
    pub fn of(answer: &Answer<'_>, old: bool) -> Self {
        match answer.content.length() {
            _ if !has_content(answer.status) => AnswerFraming::NoContent,
            Some(length) => AnswerFraming::Length(length),
            None if old => AnswerFraming::UntilClose,
            None => AnswerFraming::Chunked,
        }
    }
}

/// Writes the pieces of one body.
#[derive(Clone, Copy, Debug)]
pub struct AnswerBody {
    framing: AnswerFraming,
    /// Bytes still promised, where the length was.
    left: u64,
    /// More came than was promised.
    surplus: bool,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// Bytes of the piece that were written.
    pub written: usize,
    /// There were more than the answer's length has promised: it is over, and something is wrong with its sender. The
    /// last byte of that length is not written, if it was not before: with it the client would take the answer for whole.
    pub surplus: bool,
}

impl AnswerBody {
    /// At the first byte behind the head.
    #[must_use]
    pub fn new(framing: AnswerFraming) -> Self {
        let left = if let AnswerFraming::Length(length) = framing { length } else { 0 };
        AnswerBody { framing, left, surplus: false }
    }

    /// How the content is delimited.
    #[must_use]
    pub fn framing(&self) -> AnswerFraming {
        self.framing
    }

    /// Appends a piece to `out`.
    pub fn put(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Put {
        let whole = Put { written: piece.len(), surplus: false };
        match self.framing {
            AnswerFraming::Length(_) => {
                self.surplus |= piece.len() as u64 > self.left;
                if self.surplus {
                    let written = usize::try_from(self.left.saturating_sub(1)).map_or(0, |fits| fits.min(piece.len()));
                    self.left = 0;
                    out.extend_from_slice(&piece[..written]);
                    return Put { written, surplus: true };
                }
                self.left -= piece.len() as u64;
                out.extend_from_slice(piece);
                whole
            }
            // A chunk without content would be the last one.
            AnswerFraming::Chunked if piece.is_empty() => whole,
            AnswerFraming::Chunked => {
                out.reserve(piece.len() + 20);
                put_hexadecimal(out, piece.len() as u64);
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(piece);
                out.extend_from_slice(b"\r\n");
                whole
            }
            AnswerFraming::UntilClose => {
                out.extend_from_slice(piece);
                whole
            }
            AnswerFraming::NoContent => Put { written: 0, surplus: false },
        }
    }

    /// Appends what ends the body; false when bytes that were promised are missing, or there were too many.
    #[must_use = "when false, only the end of the connection tells the client"]
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        self.finish_with(b"", out)
    }

    /// As [`AnswerBody::finish`], with these field lines behind chunks; nothing else can carry any.
    #[must_use = "when false, only the end of the connection tells the client"]
    pub fn finish_with(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> bool {
        if self.framing == AnswerFraming::Chunked {
            out.extend_from_slice(b"0\r\n");
            out.extend_from_slice(trailers);
            out.extend_from_slice(b"\r\n");
        }
        self.left == 0 && !self.surplus
    }
}

/// Appends a number in hexadecimal digits.
fn put_hexadecimal(out: &mut Vec<u8>, number: u64) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[(number >> (4 * digit) & 15) as usize]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(framing: AnswerFraming, pieces: &[&str]) -> (String, Vec<Put>, bool) {
        let (mut body, mut out) = (AnswerBody::new(framing), Vec::new());
        let puts = pieces.iter().map(|piece| body.put(piece.as_bytes(), &mut out)).collect();
        let complete = body.finish(&mut out);
        (String::from_utf8_lossy(&out).into_owned(), puts, complete)
    }

    fn put(written: usize, surplus: bool) -> Put {
        Put { written, surplus }
    }

    #[test]
    fn a_length_is_kept_to_the_byte() {
        let length = AnswerFraming::Length;
        let puts = vec![put(2, false), put(0, false), put(3, false)];
        assert_eq!(write(length(5), &["ab", "", "cde"]), ("abcde".into(), puts, true));
        // Nobody takes what is cut for the whole.
        let puts = vec![put(2, false), put(2, true), put(0, true)];
        assert_eq!(write(length(5), &["ab", "cdef", "g"]), ("abcd".into(), puts, false));
        assert_eq!(write(length(2), &["ab", "c"]), ("ab".into(), vec![put(2, false), put(0, true)], false));
        assert_eq!(write(length(0), &["a"]), (String::new(), vec![put(0, true)], false));
        assert_eq!(write(length(5), &["ab"]), ("ab".into(), vec![put(2, false)], false));
        assert_eq!(write(length(0), &[]), (String::new(), vec![], true));
    }

    #[test]
    fn chunks_carry_their_size_and_end_with_an_empty_one() {
        assert_eq!(write(AnswerFraming::Chunked, &[]).0, "0\r\n\r\n");
        let long = "x".repeat(0x1a0);
        let (text, puts, complete) = write(AnswerFraming::Chunked, &["ab", "", &long]);
        assert_eq!(text, format!("2\r\nab\r\n1a0\r\n{long}\r\n0\r\n\r\n"));
        assert_eq!((puts, complete), (vec![put(2, false), put(0, false), put(0x1a0, false)], true));
    }

    #[test]
    fn the_framing_follows_from_status_length_and_version() {
        use super::super::answer::{Content, Given};
        use super::super::{date::HttpDate, field_lines::FieldLines};
        let date = HttpDate::from_unix(0);
        for (status, length, old, framing) in [
            (200, None, false, AnswerFraming::Chunked),
            (200, None, true, AnswerFraming::UntilClose),
            (200, Some(3), false, AnswerFraming::Length(3)),
            (200, Some(0), true, AnswerFraming::Length(0)),
            (204, None, true, AnswerFraming::NoContent),
            (304, Some(3), false, AnswerFraming::NoContent),
        ] {
            let (own, given, content) = (FieldLines::NONE, Given::Json, Content::Streamed(length));
            let answer = Answer { status, own, given, security: true, date: &date, content };
            assert_eq!(AnswerFraming::of(&answer, old), framing, "{status} {length:?} {old}");
        }
    }

    #[test]
    fn other_bodies_have_no_marks() {
        assert_eq!(write(AnswerFraming::UntilClose, &["ab", "", "c"]).0, "abc");
        assert_eq!(write(AnswerFraming::NoContent, &["ab"]), (String::new(), vec![put(0, false)], true));
    }

    #[test]
    fn hexadecimal_digits() {
        for number in [0, 1, 15, 16, 0x1234, 0xffff_ffff, u64::MAX] {
            let mut out = Vec::new();
            put_hexadecimal(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), format!("{number:x}"));
        }
    }
}
