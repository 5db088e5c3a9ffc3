//! Finds the delimiter of the parts in a body that comes in pieces.

use memchr::memmem::Finder;
use memchr::memrchr;

/// CRLF, two dashes and the boundary (RFC 2046 5.1.1), and how much of it the last piece ended with.
///
/// CR is its first byte and never another one (a boundary is one field value). So a beginning that comes to nothing
/// holds no other beginning, and the last CR of a piece is the only place where a delimiter may be cut off.
#[derive(Debug)]
pub(super) struct Delimiter {
    finder: Finder<'static>,
    held: usize,
}

/// What a piece of the body holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// So many bytes before the delimiter, and so many up to behind it.
    Delimiter(usize, usize),
    /// So many bytes, and then perhaps the beginning of a delimiter.
    Bytes(usize),
}

impl Delimiter {
    pub(super) fn new(boundary: &[u8]) -> Self {
        let text = [b"\r\n--", boundary].concat();
        // The first delimiter may stand at the very start: as if a line had ended there.
        Delimiter { finder: Finder::new(&text).into_owned(), held: 2 }
    }

    /// What the next piece makes of the beginning that was held back. To be asked before [`Delimiter::find`].
    pub(super) fn resume(&mut self, piece: &[u8]) -> Resumed<'_> {
        let due = &self.finder.needle()[self.held..];
        let len = due.len().min(piece.len());
        if self.held == 0 || piece[..len] != due[..len] {
            return Resumed::Not(self.give_up());
        }
        if len < due.len() {
            self.held += len;
            return Resumed::More;
        }
        self.held = 0;
        Resumed::Delimiter(len)
    }

    /// The bytes that were held back: they are no delimiter.
    pub(super) fn give_up(&mut self) -> &[u8] {
        &self.finder.needle()[..std::mem::take(&mut self.held)]
    }

    /// What `piece` holds; what may be the beginning of a delimiter is held back for [`Delimiter::resume`].
    pub(super) fn find(&mut self, piece: &[u8]) -> Found {
        let text = self.finder.needle();
        if let Some(at) = self.finder.find(piece) {
            return Found::Delimiter(at, at + text.len());
        }
        let tail = piece.len().saturating_sub(text.len() - 1);
        let held = memrchr(b'\r', &piece[tail..]).map(|at| &piece[tail + at..]).filter(|end| text.starts_with(end));
        self.held = held.map_or(0, <[u8]>::len);
        Found::Bytes(piece.len() - self.held)
    }
}

/// What became of the beginning that was held back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resumed<'a> {
    /// It was none: these bytes precede the piece. None, if nothing was held back.
    Not(&'a [u8]),
    /// It goes on through the whole piece.
    More,
    /// So many bytes of the piece complete the delimiter.
    Delimiter(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body with each delimiter as `|`, read in such pieces; and no byte is held back that could not be one.
    fn marked(body: &[u8], piece: usize) -> Vec<u8> {
        let (mut delimiter, mut out) = (Delimiter::new(b"bd"), Vec::new());
        for mut bytes in body.chunks(piece) {
            match delimiter.resume(bytes) {
                Resumed::Not(stale) => out.extend_from_slice(stale),
                Resumed::More => continue,
                Resumed::Delimiter(len) => {
                    out.push(b'|');
                    bytes = &bytes[len..];
                }
            }
            loop {
                match delimiter.find(bytes) {
                    Found::Delimiter(before, behind) => {
                        out.extend_from_slice(&bytes[..before]);
                        out.push(b'|');
                        bytes = &bytes[behind..];
                    }
                    Found::Bytes(len) => {
                        out.extend_from_slice(&bytes[..len]);
                        assert!(b"\r\n--b".starts_with(&bytes[len..]), "{}", bytes[len..].escape_ascii());
                        break;
                    }
                }
            }
        }
        out.extend_from_slice(delimiter.give_up());
        out
    }

    #[test]
    fn found_wherever_the_pieces_end() {
        for (body, expected) in [
            (&b""[..], &b"\r\n"[..]),
            (b"--bd", b"|"),
            (b"--b", b"\r\n--b"),
            (b"\r\n--bd", b"\r\n|"),
            (b"a--bd\r\n--bd", b"\r\na--bd|"),
            (b"--bd\r\n--bd", b"||"),
            (b"--bd--bd", b"|--bd"),
            (b"x\r\r\n--\r\n--b\r\n--bd\r", b"\r\nx\r\r\n--\r\n--b|\r"),
            (b"\r\n-\r\n--bx\r\n--bd\n--bd", b"\r\n\r\n-\r\n--bx|\n--bd"),
        ] {
            for piece in 1..=body.len().max(1) {
                assert_eq!(marked(body, piece), expected, "{} by {piece}", body.escape_ascii());
            }
        }
    }
}
