//! The fields of an answer that depend on its request: the request id, which comes first, CORS, what would do instead.

use crate::wire::field_lines::FieldLines;
use crate::wire::fields::Span;

/// As the tunnel's decision has written them.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::shard) struct OwnFields<'a> {
    bytes: &'a [u8],
    /// The request id in `bytes`; empty where the answer carries none.
    id: Span,
}

/// The same of a request that waits.
#[derive(Debug, Default)]
pub(in crate::shard) struct KeptFields {
    bytes: Vec<u8>,
    id: Span,
}

impl<'a> OwnFields<'a> {
    /// An answer that says nothing of its request.
    pub const NONE: OwnFields<'static> = OwnFields { bytes: b"", id: Span { start: 0, end: 0 } };

    /// These lines, in which the request id is at `id`.
    pub fn new(bytes: &'a [u8], id: Span) -> Self {
        OwnFields { bytes, id }
    }

    /// All of them.
    #[inline]
    pub fn all(self) -> FieldLines<'a> {
        FieldLines::new(self.bytes)
    }

    /// The request id's alone.
    pub fn id_only(self) -> FieldLines<'a> {
        let end = if self.id.is_empty() { 0 } else { self.id.end as usize + b"\r\n".len() };
        FieldLines::new(self.bytes.get(..end).unwrap_or_default())
    }

    /// The effective request id.
    #[inline]
    pub fn request_id(self) -> &'a [u8] {
        self.id.of(self.bytes)
    }
}

impl KeptFields {
    /// Keeps these in place of those before.
    #[inline]
    pub fn keep(&mut self, fields: OwnFields<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(fields.bytes);
        self.id = fields.id;
    }

    #[inline]
    pub fn get(&self) -> OwnFields<'_> {
        OwnFields { bytes: &self.bytes, id: self.id }
    }

    /// Bytes that it takes.
    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_id_is_the_first_field_and_may_be_missing() {
        let lines = b"x-runner-request-id: abc\r\nVary: Origin\r\n";
        let mut kept = KeptFields::default();
        for (id, text, line) in [
            (Span { start: 21, end: 24 }, &b"abc"[..], &b"x-runner-request-id: abc\r\n"[..]),
            (Span::default(), b"", b""),
        ] {
            kept.keep(OwnFields::new(lines, id));
            let own = kept.get();
            assert_eq!((own.request_id(), own.id_only().as_bytes(), own.all().as_bytes()), (text, line, &lines[..]));
        }
        kept.keep(OwnFields::NONE);
        assert_eq!(kept.get().all(), FieldLines::NONE);
        assert!(kept.held_bytes() >= lines.len(), "its memory is kept");
    }
}
