//! `Content-Type`, of the request and of its parts (RFC 9110 8.3).

use super::parameters::Parameters;
use crate::wire::token::{is_tchar, is_token};

/// `type/subtype; name=value…`.
#[derive(Debug)]
pub(super) struct MediaType<'a> {
    /// `type/subtype` in lower case.
    pub(super) essence: String,
    pub(super) parameters: Parameters<'a>,
}

impl<'a> MediaType<'a> {
    /// `None` when any of it is malformed, the parameters included.
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let slash = value.iter().position(|&byte| byte == b'/')?;
        let subtype = &value[slash + 1..];
        let len = subtype.iter().position(|&byte| !is_tchar(byte)).unwrap_or(subtype.len());
        if !is_token(&value[..slash]) || len == 0 {
            return None;
        }
        let (essence, parameters) = value.split_at(slash + 1 + len);
        let essence = String::from_utf8(essence.to_ascii_lowercase()).ok()?;
        Some(MediaType { essence, parameters: Parameters::of_content_type(parameters).ok()? })
    }
}

/// The boundary that a `Content-Type` value names: `multipart/form-data; boundary=…`, a token or a quoted string
/// (RFC 2046 5.1.1). `None` when there is none that can be used: the request is answered with
/// [`BodyRefusal::Malformed`](super::BodyRefusal::Malformed).
///
/// Longer than the RFC's 70 characters is fine; the head's own bound holds.
#[must_use]
pub fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let media_type = MediaType::parse(content_type).filter(|media_type| media_type.essence == "multipart/form-data")?;
    let boundary = media_type.parameters.get("boundary")?;
    // The reference takes an empty one, which no sender can mean, and does not find one beyond ASCII.
    (!boundary.is_empty() && boundary.is_ascii()).then(|| boundary.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        let longest = [b"multipart/form-data; boundary=", &[b'b'; 5000][..]].concat();
        for (content_type, expected) in [
            (&b"multipart/form-data; boundary=x"[..], Some(&b"x"[..])),
            (b"Multipart/Form-Data;BOUNDARY=----b7x", Some(b"----b7x")),
            (b"multipart/form-data; boundary=\"a b:/?=\"", Some(b"a b:/?=")),
            (br#"multipart/form-data; boundary="a\"b""#, Some(b"a\"b")),
            (b"multipart/form-data; charset=utf-8; boundary=a", Some(b"a")),
            (b"multipart/form-data; boundary=a; boundary=b", Some(b"a")),
            (b"multipart/form-data; boundary=a ", Some(b"a")),
            (&longest, Some(&[b'b'; 5000])),
            (b"multipart/form-data", None),
            (b"multipart/form-data; boundary", None),
            (b"multipart/form-data; boundary=", None),
            (b"multipart/form-data; boundary=\"\"", None),
            (b"multipart/form-data; boundary=\"\xc3\xa9\"", None),
            (b"multipart/form-data; boundary=a b", None),
            (b"multipart/form-data; boundary=a:b", None),
            (b"multipart/form-data; boundary=\"a", None),
            (b"multipart/form-data; boundary=a;", None),
            (b"multipart/form-data; x; boundary=a", None),
            (b"multipart/mixed; boundary=a", None),
            (b"x-multipart/form-data; boundary=a", None),
            (b"text/plain; x=multipart/form-data; boundary=a", None),
            (b"", None),
        ] {
            assert_eq!(boundary(content_type).as_deref(), expected, "{}", content_type.escape_ascii());
        }
    }
}
