//! Who asks: `Proxy-Authorization: Basic` (RFC 7617), and the names and passwords that contexts are given.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::proxy::base64;
use crate::wire::fields::{FieldValue, Fields};
use crate::wire::token::trim_ows;

/// Random bytes that a context's credentials are made of.
pub const RANDOM_BYTES: usize = 4 + 12 + 8;

/// The realm that a client is told.
pub const REALM: &str = "Cmux Preview Proxy";

/// A password, as far as it has to be known to tell it from others.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Of a password.
    #[must_use]
    pub fn of(password: &[u8]) -> Secret {
        Secret(Sha256::digest(password).into())
    }

    /// Of no password: nothing hashes to it in anybody's lifetime.
    #[must_use]
    pub const fn nobody() -> Secret {
        Secret([0; 32])
    }

    /// True for that password. Takes as long for any other.
    #[must_use]
    pub fn is(&self, password: &[u8]) -> bool {
        self.0.ct_eq(&Sha256::digest(password)).into()
    }
}

/// What a context is called, and how a client proves that it speaks for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Names {
    /// Names the context.
    pub id: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl Names {
    /// Of random bytes.
    #[must_use]
    pub fn new(web_contents_id: u32, random: &[u8; RANDOM_BYTES]) -> Names {
        let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let (user, rest) = random.split_at(4);
        let (password, id) = rest.split_at(12);
        let id = id.iter().fold(0u64, |id, byte| id << 8 | u64::from(*byte));
        Names {
            id: format!("ctx-{web_contents_id}-{id}"),
            username: format!("wc-{web_contents_id}-{}", hex(user)),
            password: hex(password),
        }
    }
}

/// A user name and a password that were presented.
pub struct Presented {
    decoded: Vec<u8>,
    colon: usize,
}

impl Presented {
    /// Of the fields of a request; `None` where there is nothing of use, several of them among that.
    #[must_use]
    pub fn of(fields: &Fields<'_>) -> Option<Presented> {
        let FieldValue::One(value) = fields.get(b"proxy-authorization") else { return None };
        let (scheme, rest) = value.split_at(memchr::memchr(b' ', value)?);
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let decoded = base64::decode(trim_ows(rest))?;
        // The first: a password may have more of them, a user name none.
        let colon = memchr::memchr(b':', &decoded)?;
        Some(Presented { decoded, colon })
    }

    /// The user name.
    #[must_use]
    pub fn username(&self) -> &[u8] {
        &self.decoded[..self.colon]
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        &self.decoded[self.colon + 1..]
    }
}

impl Drop for Presented {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.decoded);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::head::{Head, HeadLimits};

    fn presented(lines: &str) -> Option<(String, String)> {
        let text = format!("GET http://x/ HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let mut head = Head::default();
        head.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let bytes = format!("GET http://x/ HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        Presented::of(&head.fields.of(bytes.as_bytes())).map(|it| (text(it.username()), text(it.password())))
    }

    #[test]
    fn credentials_are_read_whatever_the_case_and_split_at_the_first_colon() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (lines, expected) in [
            ("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n", pair("user", "pass")),
            ("proxy-authorization: bASIC   dXNlcjpwYXNz\r\n", pair("user", "pass")),
            ("Proxy-Authorization: Basic dTpwOnE=\r\n", pair("u", "p:q")),
            ("Proxy-Authorization: Basic Og==\r\n", pair("", "")),
            ("Proxy-Authorization: Basic dXNlcg==\r\n", None),
            ("Proxy-Authorization: Basic\r\n", None),
            ("Proxy-Authorization: Basic dXNlcjpwYXNz,\r\n", None),
            ("Proxy-Authorization: Bearer dXNlcjpwYXNz\r\n", None),
            ("Authorization: Basic dXNlcjpwYXNz\r\n", None),
            ("Proxy-Authorization: Basic dXNlcjpwYXNz\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n", None),
            ("", None),
        ] {
            assert_eq!(presented(lines), expected, "{lines}");
        }
    }

    #[test]
    fn names_have_the_forms_that_the_app_knows() {
        let names = Names::new(7, &core::array::from_fn(|at| at as u8));
        assert_eq!(names.username, "wc-7-00010203");
        assert_eq!(names.password, "0405060708090a0b0c0d0e0f");
        assert_eq!(names.id, format!("ctx-7-{}", 0x1011_1213_1415_1617_u64));
        let secret = Secret::of(b"pass");
        assert!(secret.is(b"pass") && !secret.is(b"") && !secret.is(b"pasS") && !secret.is(b"pass\0"));
    }
}
