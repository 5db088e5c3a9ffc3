//! Fields behind content as lines, which HTTP/1.1 has behind chunks, and as a section of HTTP/2 (RFC 9113 8.1).

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::shard::http2::head_text::{Malformed, put_line};
use crate::wire::token::trim_ows;

/// Writes the lines of a section that has come.
pub(super) fn write_lines(fields: &HeaderMap, lines: &mut Vec<u8>) -> Result<(), Malformed> {
    for (name, value) in fields {
        if trim_ows(value.as_bytes()).len() != value.len() {
            // RFC 9113 8.2.1.
            return Err(Malformed);
        }
        put_line(lines, name.as_str().as_bytes(), value.as_bytes());
    }
    Ok(())
}

/// The section that these lines are, as a reader has found them. What HTTP/2 cannot say is left out.
pub(super) fn section(lines: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(trim_ows(&line[colon + 1..])));
        if let (Ok(name), Ok(value)) = (name, value) {
            let _ = fields.try_append(name, value);
        }
    }
    fields
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_behind_content_are_the_same_as_lines_and_as_a_section() {
        let fields = section(b"Grpc-Status: 0\r\nX-Sum:\t1 \r\nX-Sum: 2\r\nX-Empty:\r\n");
        let mut lines = Vec::new();
        assert_eq!(write_lines(&fields, &mut lines), Ok(()));
        assert_eq!(String::from_utf8(lines).unwrap(), "grpc-status: 0\r\nx-sum: 1\r\nx-sum: 2\r\nx-empty: \r\n");
        assert!(section(b"").is_empty());
    }

    #[test]
    fn blanks_around_a_value_are_malformed() {
        for value in [" a", "a\t"] {
            let fields = HeaderMap::from_iter([(HeaderName::from_static("x"), HeaderValue::from_static(value))]);
            assert_eq!(write_lines(&fields, &mut Vec::new()), Err(Malformed), "{value}");
        }
    }
}
