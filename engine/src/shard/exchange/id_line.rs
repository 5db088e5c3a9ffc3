//! The header line with the request id, as it stands at the front of an answer's own lines.

use crate::wire::fields::Span;

/// Bytes of the line that ends with the request id at `id`.
pub(in crate::shard) fn id_line_len(id: Span) -> usize {
    id.end as usize + b"\r\n".len()
}

/// The id in its line.
pub(in crate::shard) fn id_in_line(line: &[u8]) -> &[u8] {
    let start = memchr::memchr(b' ', line).map_or(line.len(), |at| at + 1);
    line.get(start..line.len().saturating_sub(2)).unwrap_or_default()
}
