//! The beginning of the fields that a frame carries (RFC 7541 6), as far as it tells whether the first of them is a pseudo-field. A
//! pseudo-field behind another field is found by whoever decodes them.
//!
//! The first field may also be one that both ends have in their dynamic tables: whether that is a pseudo-field, is not known here.

/// What has `PADDED` has a byte more in front, and what has `PRIORITY`, five (RFC 9113 6.2).
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// The last of the static table that is a pseudo-field; all in front of it are (RFC 7541 A).
const LAST_PSEUDO: u8 = 14;

/// `:` in the code of RFC 7541 B, which has seven bits.
const HUFFMAN_COLON: u8 = 0x5c;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldStart {
    /// Bytes in front of the fields.
    skipped: u8,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// A field begins, or a change of the table's size.
    Start,
    /// The rest of that size.
    Size,
    /// The length of a name.
    Length,
    /// Its first byte.
    Name { huffman: bool },
}

impl FieldStart {
    /// At the first byte of what a `HEADERS` frame with these flags holds.
    #[must_use]
    pub const fn of(flags: u8) -> FieldStart {
        let padded = if flags & PADDED != 0 { 1 } else { 0 };
        let prioritised = if flags & PRIORITY != 0 { 5 } else { 0 };
        FieldStart { skipped: padded + prioritised, at: At::Start }
    }

    /// Whether the first field is a pseudo-field; `None`: more bytes have to come.
    pub fn take(&mut self, bytes: &[u8]) -> Option<bool> {
        bytes.iter().find_map(|byte| self.next(*byte))
    }

    fn next(&mut self, byte: u8) -> Option<bool> {
        if let Some(left) = self.skipped.checked_sub(1) {
            self.skipped = left;
            return None;
        }
        let index = match self.at {
            At::Start => match byte {
                0x80.. => byte & 0x7f,
                0x40.. => byte & 0x3f,
                0x20.. => {
                    self.at = if byte & 0x1f == 0x1f { At::Size } else { At::Start };
                    return None;
                }
                _ => byte & 0xf,
            },
            At::Size => {
                self.at = if byte & 0x80 == 0 { At::Start } else { At::Size };
                return None;
            }
            At::Length => {
                self.at = At::Name { huffman: byte & 0x80 != 0 };
                // There is no pseudo-field without a name, nor with one of more than 126 bytes.
                return matches!(byte & 0x7f, 0 | 0x7f).then_some(false);
            }
            At::Name { huffman: true } => return Some(byte >> 1 == HUFFMAN_COLON),
            At::Name { huffman: false } => return Some(byte == b':'),
        };
        // An index of 0 is that of a name that follows, unless it stands for a field.
        if index == 0 && byte < 0x80 {
            self.at = At::Length;
            return None;
        }
        Some((1..=LAST_PSEUDO).contains(&index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_tells_whether_it_is_a_pseudo_field_however_it_is_written() {
        for (name, flags, bytes, expected) in [
            (":method GET, from the table", 0, &[0x82][..], Some(true)),
            (":status 500, from the table", 0, &[0x8e], Some(true)),
            ("accept-charset, from the table", 0, &[0x8f], Some(false)),
            ("of the dynamic table", 0, &[0xbe], Some(false)),
            (":authority with a value, to be kept", 0, &[0x41, 1, b'x'], Some(true)),
            ("a name of the dynamic table", 0, &[0x7e], Some(false)),
            (":path with a value", 0, &[0x04, 1, b'/'], Some(true)),
            (":path with a value, never to be kept", 0, &[0x14, 1, b'/'], Some(true)),
            ("a name from the table, with a value", 0, &[0x0f, 1], Some(false)),
            ("a name, to be kept", 0, &[0x40, 5, b':'], Some(true)),
            ("a name", 0, &[0, 1, b'x'], Some(false)),
            ("a name in the code of Huffman", 0, &[0, 0x84, 0xb9], Some(true)),
            ("another", 0, &[0, 0x81, 0xf3], Some(false)),
            ("no name", 0, &[0, 0], Some(false)),
            ("a change of the table's size", 0, &[0x20, 0x82], Some(true)),
            ("a large one", 0, &[0x3f, 0xe1, 0x1f, 0x82], Some(true)),
            ("padded", 8, &[0x82, 0, 1, b'x'], Some(false)),
            ("padded, with a priority", 0x28, &[0, 0, 0, 0, 1, 9, 0x82], Some(true)),
            ("nothing", 0, &[], None),
            ("not enough", 0, &[0x40, 5], None),
        ] {
            assert_eq!(FieldStart::of(flags).take(bytes), expected, "{name}");
            let mut start = FieldStart::of(flags);
            assert_eq!(bytes.iter().find_map(|byte| start.take(&[*byte])), expected, "{name}, byte by byte");
        }
    }
}
