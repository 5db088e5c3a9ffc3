//! Text as a JSON string literal, spelled as `JSON.stringify` spells it.

/// Appends `text` in quotes, escaped as `JSON.stringify` does: the short escapes, `\u00xx` (lower case) for other
/// controls, everything else raw.
pub fn write_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_json_string_content(out, text);
    out.push(b'"');
}

/// Appends `text` escaped, without the quotes: a part of a literal.
pub fn write_json_string_content(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| ESCAPE[usize::from(*byte)] != 0) {
        out.extend_from_slice(&rest[..at]);
        match ESCAPE[usize::from(rest[at])] {
            b'u' => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(rest[at] >> 4)]);
                out.push(DIGITS[usize::from(rest[at] & 15)]);
            }
            short => out.extend_from_slice(&[b'\\', short]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// The letter after the backslash; 0 for a byte that stays as it is.
const ESCAPE: [u8; 256] = {
    let mut escape = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escape[control] = b'u';
        control += 1;
    }
    escape[0x08] = b'b';
    escape[0x09] = b't';
    escape[0x0a] = b'n';
    escape[0x0c] = b'f';
    escape[0x0d] = b'r';
    escape[b'"' as usize] = b'"';
    escape[b'\\' as usize] = b'\\';
    escape
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn literal(text: &str) -> String {
        let mut out = Vec::new();
        write_json_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn spelled_as_json_stringify_does() {
        for (text, expected) in [
            ("", r#""""#),
            ("plain", r#""plain""#),
            ("a\"b<c>\n", r#""a\"b<c>\n""#),
            ("app\0", r#""app\u0000""#),
            ("\u{8}\t\n\u{b}\u{c}\r\u{1f}", r#""\b\t\n\u000b\f\r\u001f""#),
            ("\\/", r#""\\/""#),
            ("\u{7f}\u{2028}ü😀", "\"\u{7f}\u{2028}ü😀\""),
        ] {
            assert_eq!(literal(text), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn reads_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&literal(&text)).unwrap(), text);
        }
    }
}
