//! Byte classes of HTTP fields (RFC 9110 5.5 and 5.6.2), one table for all.

const TCHAR: u8 = 1;
const FIELD: u8 = 2;
const QDTEXT: u8 = 4;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b == b'\t' || (b >= b' ' && b != 0x7f) {
            table[byte] |= FIELD;
            if b != b'"' && b != b'\\' {
                table[byte] |= QDTEXT;
            }
        }
        if b.is_ascii_alphanumeric() {
            table[byte] |= TCHAR;
        }
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] |= TCHAR;
        i += 1;
    }
    table
}

/// `tchar`: a byte that a token may hold (RFC 9110 5.6.2).
#[inline]
#[must_use]
pub fn is_tchar(byte: u8) -> bool {
    CLASSES[byte as usize] & TCHAR != 0
}

/// A byte that a field value may hold: HTAB, SP, visible ASCII and 0x80..=0xff (RFC 9110 5.5).
#[inline]
#[must_use]
pub fn is_field_byte(byte: u8) -> bool {
    CLASSES[byte as usize] & FIELD != 0
}

/// `qdtext`: a byte that stands for itself inside a quoted string (RFC 9110 5.6.4).
#[inline]
#[must_use]
pub fn is_qdtext(byte: u8) -> bool {
    CLASSES[byte as usize] & QDTEXT != 0
}

/// A whole token: a field name, a method, a coding. Never empty (RFC 9110 5.6.2).
#[inline]
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_tchar(b))
}

/// Bytes that may be written as a field value: no control byte but HTAB, so no line end can be smuggled in
/// (RFC 9110 5.5). Empty is a value.
#[inline]
#[must_use]
pub fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| is_field_byte(b))
}

/// Removes SP and HTAB at both ends (OWS, RFC 9110 5.6.3).
#[inline]
#[must_use]
pub fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_rfc() {
        for byte in 0..=255u8 {
            let tchar = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_tchar(byte), tchar, "tchar {byte:#x}");
            let field = byte == b'\t' || byte == b' ' || byte.is_ascii_graphic() || byte >= 0x80;
            assert_eq!(is_field_byte(byte), field, "field byte {byte:#x}");
            assert_eq!(is_qdtext(byte), field && byte != b'"' && byte != b'\\', "qdtext {byte:#x}");
        }
        assert!(!is_token(b"") && is_token(b"x-a") && !is_token(b"x a"));
        assert!(is_field_value(b"") && is_field_value("é\t".as_bytes()) && !is_field_value(b"a\r\nb"));
        assert_eq!(trim_ows(b" \t a b\t "), b"a b");
        assert_eq!(trim_ows(b" \t "), b"");
    }
}
