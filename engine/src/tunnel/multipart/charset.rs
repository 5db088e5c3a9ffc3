//! The character sets that a part may name.

/// How bytes become text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Charset {
    /// What is no UTF-8 becomes U+FFFD.
    #[default]
    Utf8,
    /// Byte by byte: U+0000..=U+00FF.
    Latin1,
    /// UTF-8 where it is valid, else Latin-1. No label means this.
    Utf8OrLatin1,
}

/// Labels, in lower case, that the reference reads as Latin-1.
#[rustfmt::skip]
const LATIN1: [&str; 11] = [
    "latin1", "ascii", "us-ascii", "iso-8859-1", "iso8859-1", "iso88591", "iso_8859-1", "windows-1252",
    "iso_8859-1:1987", "cp1252", "x-cp1252",
];

impl Charset {
    /// By its label; RFC 8187 3.2.1 asks for UTF-8 alone, RFC 5987 had ISO-8859-1 as well.
    pub(super) fn named(label: &[u8]) -> Option<Charset> {
        let is = |known: &str| label.eq_ignore_ascii_case(known.as_bytes());
        if is("utf-8") || is("utf8") {
            Some(Charset::Utf8)
        } else if LATIN1.into_iter().any(is) {
            Some(Charset::Latin1)
        } else {
            None
        }
    }

    /// The text that `bytes` stand for.
    pub(super) fn decode(self, bytes: &[u8]) -> String {
        match self {
            Charset::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Charset::Utf8OrLatin1 => match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => Charset::Latin1.decode(bytes),
            },
            Charset::Latin1 => bytes.iter().map(|&byte| char::from(byte)).collect(),
        }
    }
}
