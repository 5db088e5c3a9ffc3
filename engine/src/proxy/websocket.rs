//! What one end of a WebSocket asks the other with whether it speaks that (RFC 6455 1.3). Over HTTP/2 nobody asks (RFC 8441 5), so who
//! passes one on to HTTP/1.1, or from there, asks and answers in its place.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::proxy::base64;

/// What the key is answered with, hashed together with it.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Key`.
#[must_use]
pub fn key(random: [u8; 16]) -> String {
    base64::encode(&random)
}

/// The value of `Sec-WebSocket-Accept` that answers it.
#[must_use]
pub fn accept(key: &str) -> String {
    base64::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()).as_ref())
}

/// True when `answer` answers the key of `request`, each the value of its field.
#[must_use]
pub fn agrees(request: Option<&[u8]>, answer: Option<&[u8]>) -> bool {
    let key = request.and_then(|key| std::str::from_utf8(key).ok());
    key.is_some_and(|key| answer == Some(accept(key).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_answer_that_the_rfc_has() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(key(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
        let key = Some(&b"dGhlIHNhbXBsZSBub25jZQ=="[..]);
        assert!(agrees(key, Some(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        for (key, answer) in [(key, None), (key, key), (None, None), (Some(&b"\xff"[..]), key)] {
            assert!(!agrees(key, answer));
        }
    }
}
