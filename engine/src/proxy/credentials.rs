//! Who asks: `Proxy-Authorization: Basic` (RFC 7617), and the names and passwords that contexts are given.

use core::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::proxy::base64;
use crate::wire::fields::{FieldValue, Fields};
use crate::wire::token::trim_ows;

/// Random bytes that a context's credentials are made of.
pub const RANDOM_BYTES: usize = 4 + 12 + 8;

/// The realm that a client is told.
pub const REALM: &str = "Cmux Preview Proxy";

/// A user name and a password, as far as they have to be known to tell them from others: the digest of both. By it a wrong
/// name is not told from a wrong password, nor a guess that is nearly right from any other.
#[derive(Clone, Copy, Eq)]
pub struct Proof([u8; 32]);

impl PartialEq for Proof {
    /// Takes as long whatever differs.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Proof {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
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

    /// What a client proves that it knows. No user name has a colon (RFC 7617 2).
    #[must_use]
    pub fn proof(&self) -> Proof {
        let digest = Sha256::new().chain_update(&self.username).chain_update(":").chain_update(&self.password);
        Proof(digest.finalize().into())
    }
}

/// A user name, a colon and a password that were presented.
pub struct Presented(Vec<u8>);

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
        // Without one it is no pair, and need not be looked for.
        memchr::memchr(b':', &decoded)?;
        Some(Presented(decoded))
    }

    /// Of which user name and password it is.
    #[must_use]
    pub fn proof(&self) -> Proof {
        Proof(Sha256::digest(&self.0).into())
    }
}

impl Drop for Presented {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::head::{Head, HeadLimits};

    fn presented(lines: &str) -> Option<Proof> {
        let bytes = format!("GET http://x/ HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let mut head = Head::default();
        head.parse(bytes.as_bytes(), &HeadLimits::default()).unwrap();
        Presented::of(&head.fields.of(bytes.as_bytes())).map(|it| it.proof())
    }

    fn proof(username: &str, password: &str) -> Proof {
        Names { id: String::new(), username: username.to_owned(), password: password.to_owned() }.proof()
    }

    #[test]
    fn credentials_are_read_whatever_the_case_of_the_scheme() {
        let pair = |user, password| Some(proof(user, password));
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
            assert!(presented(lines) == expected, "{lines}");
        }
    }

    #[test]
    fn names_have_the_forms_that_the_app_knows() {
        let names = Names::new(7, &core::array::from_fn(|at| at as u8));
        assert_eq!(names.username, "wc-7-00010203");
        assert_eq!(names.password, "0405060708090a0b0c0d0e0f");
        assert_eq!(names.id, format!("ctx-7-{}", 0x1011_1213_1415_1617_u64));
    }

    #[test]
    fn another_name_or_password_is_another_proof() {
        let right = proof("user", "pass");
        assert!(right == proof("user", "pass"));
        for (username, password) in [("user", ""), ("user", "pasS"), ("user", "pass\0"), ("User", "pass"), ("", "pass")]
        {
            assert!(right != proof(username, password), "{username} {password}");
        }
    }
}
