//! The part of a request that the contract decides on: everything before the body.

use crate::wire::fields::Fields;

/// A request head, as the tunnel sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method, in the sender's case (methods are case-sensitive: `post` is not `POST`).
    pub method: &'a [u8],
    /// Raw path: not decoded, no scheme and authority, no query, no fragment. Starts with `/`, or is `*`.
    pub path: &'a [u8],
    /// Header fields.
    pub fields: Fields<'a>,
}

/// Request heads for tests, from `(name, value)` lists.
#[cfg(test)]
pub(crate) mod sample {
    use super::Request;
    use crate::wire::fields::{FieldSpan, FieldTable, Fields, Span};

    /// Owns what a [`Request`] borrows.
    pub(crate) struct Sample {
        bytes: Vec<u8>,
        table: FieldTable,
        method: Vec<u8>,
        path: Vec<u8>,
    }

    impl Sample {
        pub(crate) fn new(method: &str, path: impl AsRef<[u8]>, lines: &[(&str, &[u8])]) -> Sample {
            let mut bytes = Vec::new();
            let mut table = FieldTable::default();
            let mut keep = |text: &[u8]| {
                let start = bytes.len() as u32;
                bytes.extend_from_slice(text);
                Span { start, end: bytes.len() as u32 }
            };
            for (name, value) in lines {
                let name = keep(name.as_bytes());
                let value = keep(value);
                assert!(table.push(FieldSpan { name, value }));
            }
            Sample { bytes, table, method: method.into(), path: path.as_ref().into() }
        }

        pub(crate) fn fields(&self) -> Fields<'_> {
            self.table.of(&self.bytes)
        }

        pub(crate) fn request(&self) -> Request<'_> {
            Request { method: &self.method, path: &self.path, fields: self.fields() }
        }
    }
}
