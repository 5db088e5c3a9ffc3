//! Where the content of a request ends: Content-Length and Transfer-Encoding (RFC 9112 6).

use super::head_error::HeadError;
use super::token::{is_token, trim_ows};

/// How the content of a request is delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No content: neither Content-Length nor Transfer-Encoding was sent.
    #[default]
    None,
    /// Exactly so many bytes.
    Length(u64),
    /// The chunked coding; the length is known at the end.
    Chunked,
}

impl Framing {
    /// It is known from the head that there is no content.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Framing::None | Framing::Length(0))
    }
}

/// The framing fields of one head, as they are met.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FramingFields<'a> {
    length: Option<&'a [u8]>,
    length_repeated: bool,
    coding: Option<&'a [u8]>,
    coding_repeated: bool,
}

impl<'a> FramingFields<'a> {
    pub(super) fn add_length(&mut self, value: &'a [u8]) {
        self.length_repeated |= self.length.replace(value).is_some();
    }

    pub(super) fn add_coding(&mut self, value: &'a [u8]) {
        self.coding_repeated |= self.coding.replace(value).is_some();
    }

    /// Decides as RFC 9112 6.3 does, refusing whatever another reader might decide otherwise.
    #[inline]
    pub(super) fn decide(&self, minor_version: u8) -> Result<Framing, HeadError> {
        match (self.length, self.coding) {
            (None, None) => Ok(Framing::None),
            (Some(_), None) if self.length_repeated => Err(HeadError::ContentLengthRepeated),
            (Some(value), None) => parse_length(value).map(Framing::Length),
            (Some(_), Some(_)) => Err(HeadError::TransferEncodingAndLength),
            (None, Some(_)) if self.coding_repeated => Err(HeadError::TransferEncodingRepeated),
            (None, Some(_)) if minor_version == 0 => Err(HeadError::TransferEncodingInOldVersion),
            (None, Some(value)) if value.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            (None, Some(value)) => Err(refuse_codings(value)),
        }
    }
}

/// `1*DIGIT`; leading zeros are digits too (RFC 9110 8.6).
fn parse_length(value: &[u8]) -> Result<u64, HeadError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(HeadError::ContentLength);
    }
    value
        .iter()
        .try_fold(0u64, |length, byte| length.checked_mul(10)?.checked_add(u64::from(byte - b'0')))
        .ok_or(HeadError::ContentLengthTooLarge)
}

/// 501 for a list of other codings, 400 when the list is malformed or `chunked` stands where it must not: before
/// another coding, twice, or with parameters.
#[cold]
fn refuse_codings(value: &[u8]) -> HeadError {
    let mut chunked = false;
    for coding in value.split(|&b| b == b',') {
        let (name, parameters) = match memchr::memchr(b';', coding) {
            Some(at) => (&coding[..at], true),
            None => (coding, false),
        };
        let name = trim_ows(name);
        if chunked || !is_token(name) {
            return HeadError::TransferEncoding;
        }
        chunked = name.eq_ignore_ascii_case(b"chunked");
        if chunked && parameters {
            return HeadError::TransferEncoding;
        }
    }
    HeadError::TransferCodingUnknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(lengths: &[&str], codings: &[&str], minor_version: u8) -> Result<Framing, HeadError> {
        let mut fields = FramingFields::default();
        lengths.iter().for_each(|value| fields.add_length(value.as_bytes()));
        codings.iter().for_each(|value| fields.add_coding(value.as_bytes()));
        fields.decide(minor_version)
    }

    #[test]
    fn lengths_are_digits_and_stand_alone() {
        for (value, expected) in [
            ("0", Ok(0)),
            ("23", Ok(23)),
            ("0000000000000000000000000000000023", Ok(23)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err(HeadError::ContentLengthTooLarge)),
            ("340282366920938463463374607431768211479", Err(HeadError::ContentLengthTooLarge)),
            ("", Err(HeadError::ContentLength)),
            ("+23", Err(HeadError::ContentLength)),
            ("-23", Err(HeadError::ContentLength)),
            ("2 3", Err(HeadError::ContentLength)),
            ("0x17", Err(HeadError::ContentLength)),
            ("2_3", Err(HeadError::ContentLength)),
            ("23, 23", Err(HeadError::ContentLength)),
            ("23,", Err(HeadError::ContentLength)),
            ("\u{662}\u{663}", Err(HeadError::ContentLength)),
        ] {
            assert_eq!(decide(&[value], &[], 1), expected.map(Framing::Length), "{value}");
        }
        assert_eq!(decide(&["23", "23"], &[], 1), Err(HeadError::ContentLengthRepeated));
        assert_eq!(decide(&[], &[], 1), Ok(Framing::None));
    }

    #[test]
    fn chunked_is_the_only_coding_and_never_next_to_a_length() {
        for (value, expected) in [
            ("chunked", Ok(Framing::Chunked)),
            ("CHUNKED", Ok(Framing::Chunked)),
            ("identity", Err(HeadError::TransferCodingUnknown)),
            ("gzip, chunked", Err(HeadError::TransferCodingUnknown)),
            ("gzip;level=1", Err(HeadError::TransferCodingUnknown)),
            ("xchunked", Err(HeadError::TransferCodingUnknown)),
            ("", Err(HeadError::TransferEncoding)),
            (",chunked", Err(HeadError::TransferEncoding)),
            ("chunked,", Err(HeadError::TransferEncoding)),
            ("chunked, chunked", Err(HeadError::TransferEncoding)),
            ("chunked, gzip", Err(HeadError::TransferEncoding)),
            ("chunked;a=b", Err(HeadError::TransferEncoding)),
            (";chunked", Err(HeadError::TransferEncoding)),
            ("\"chunked\"", Err(HeadError::TransferEncoding)),
            ("chunked bar", Err(HeadError::TransferEncoding)),
            ("chun\u{212a}ed", Err(HeadError::TransferEncoding)),
            ("\u{a0}chunked", Err(HeadError::TransferEncoding)),
        ] {
            assert_eq!(decide(&[], &[value], 1), expected, "{value}");
        }
        assert_eq!(decide(&["5"], &["chunked"], 1), Err(HeadError::TransferEncodingAndLength));
        assert_eq!(decide(&["x"], &["identity"], 1), Err(HeadError::TransferEncodingAndLength));
        assert_eq!(decide(&[], &["chunked", "chunked"], 1), Err(HeadError::TransferEncodingRepeated));
        assert_eq!(decide(&[], &["chunked"], 0), Err(HeadError::TransferEncodingInOldVersion));
    }
}
