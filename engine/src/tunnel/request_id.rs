//! The id of a request (CONTRACT 9): the client's if it is well formed, otherwise a fresh UUID v4.

use crate::limits::MAX_REQUEST_ID_BYTES;
use crate::wire::fields::{FieldValue, Fields};

/// Name of the header, in requests and answers.
pub const REQUEST_ID_HEADER: &str = "x-runner-request-id";

/// Length of a UUID in text.
pub const UUID_TEXT_BYTES: usize = 36;

/// Appends the effective id of a request. `fresh` writes a UUID and is called only when the client sent no usable
/// id; [`write_uuid_v4`] makes one from random bytes.
pub fn effective(fields: Fields<'_>, out: &mut Vec<u8>, fresh: impl FnOnce(&mut [u8; UUID_TEXT_BYTES])) {
    // Repeated lines are joined with ", " by node:http, and a comma is not allowed in an id.
    if let FieldValue::One(value) = fields.get(REQUEST_ID_HEADER.as_bytes()) {
        let id = trim(value);
        if is_well_formed(id) {
            out.extend_from_slice(id);
            return;
        }
    }
    let mut id = [b'0'; UUID_TEXT_BYTES];
    fresh(&mut id);
    out.extend_from_slice(&id);
}

/// Writes the UUID v4 (RFC 9562) that 16 random bytes make: 122 of their bits and the version and variant marks.
pub fn write_uuid_v4(mut random: [u8; 16], out: &mut [u8; UUID_TEXT_BYTES]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let mut at = 0;
    for (position, byte) in random.into_iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            out[at] = b'-';
            at += 1;
        }
        out[at] = DIGITS[usize::from(byte >> 4)];
        out[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
}

fn is_well_formed(id: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-'))
}

/// What `String.prototype.trim` removes from latin-1 text.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b'\t'..=b'\r' | b' ' | 0xa0, rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b'\t'..=b'\r' | b' ' | 0xa0] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::request::sample::Sample;
    use super::*;

    fn id_of(values: &[&[u8]]) -> String {
        let lines: Vec<_> = values.iter().map(|value| ("X-Runner-Request-Id", *value)).collect();
        let sample = Sample::new("POST", "/", &lines);
        let mut out = b"before:".to_vec();
        effective(sample.fields(), &mut out, |id| write_uuid_v4([0xff; 16], id));
        String::from_utf8(out).unwrap().strip_prefix("before:").unwrap().into()
    }

    #[test]
    fn usable_ids_are_kept_and_others_replaced() {
        const FRESH: &str = "ffffffff-ffff-4fff-bfff-ffffffffffff";
        let long = [b'a'; 129];
        let table: &[(&[&[u8]], &str)] = &[
            (&[b"abc-123._:Z"], "abc-123._:Z"),
            (&[b"x"], "x"),
            (&[b"  padded \t"], "padded"),
            (&[b"\xa0padded\x0b"], "padded"),
            (&[&long[..128]], std::str::from_utf8(&long[..128]).unwrap()),
            (&[&long], FRESH),
            (&[], FRESH),
            (&[b""], FRESH),
            (&[b"   "], FRESH),
            (&[b"a b"], FRESH),
            (&[b"a\tb"], FRESH),
            (&[b"a;b"], FRESH),
            (&[b"a/b"], FRESH),
            (&[b"a\xe9b"], FRESH),
            (&[b"a%0d%0ab"], FRESH),
            (&[b"a\r\nX-Evil: 1"], FRESH),
            (&[b"a", b"b"], FRESH),
            (&[b"a", b"a"], FRESH),
        ];
        for (values, expected) in table {
            assert_eq!(id_of(values), *expected, "{values:?}");
        }
    }

    #[test]
    fn a_usable_id_costs_no_randomness() {
        let sample = Sample::new("POST", "/", &[("x-runner-request-id", b"mine")]);
        let mut out = Vec::new();
        effective(sample.fields(), &mut out, |_| panic!("asked for a fresh id"));
        assert_eq!(out, b"mine");
    }

    #[test]
    fn uuids_have_their_marks() {
        for (random, expected) in [
            ([0; 16], "00000000-0000-4000-8000-000000000000"),
            ([0xff; 16], "ffffffff-ffff-4fff-bfff-ffffffffffff"),
            (std::array::from_fn(|position| position as u8 * 17), "00112233-4455-4677-8899-aabbccddeeff"),
        ] {
            let mut out = [0; UUID_TEXT_BYTES];
            write_uuid_v4(random, &mut out);
            assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        }
    }
}
