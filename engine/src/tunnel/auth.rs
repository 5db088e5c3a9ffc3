//! Static tokens (CONTRACT 4). Validators run in JavaScript; this says when they are to be asked.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use crate::wire::fields::{FieldValue, Fields};

/// Header that carries the token when nothing else is configured.
pub const DEFAULT_TOKEN_HEADER: &str = "x-runner-token";

/// Headers of which node:http keeps the first line; it joins the lines of all others.
const FIRST_WINS: [&str; 18] = [
    "age",
    "authorization",
    "content-length",
    "content-type",
    "etag",
    "expires",
    "from",
    "host",
    "if-modified-since",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "proxy-authorization",
    "referer",
    "retry-after",
    "server",
    "user-agent",
];

/// What the user configured. `token: "t"` is a list of one; `token: ""` means no token (CONTRACT 4), so None.
#[derive(Clone, Default)]
pub struct AuthOptions {
    /// Header that carries the token, any case; None: [`DEFAULT_TOKEN_HEADER`].
    pub header: Option<String>,
    /// Accepted tokens. Some, even of an empty list, counts as configured (an empty list accepts nothing).
    pub tokens: Option<Vec<String>>,
    /// Pass requests when neither tokens nor validators exist. Ignored as soon as either does.
    pub allow_anonymous: bool,
    /// At least one auth validator is registered (in JavaScript).
    pub validators: bool,
}

/// Why authentication could not be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// A token without characters: the reference takes it for a missing header and lets everybody in (D7).
    EmptyToken,
    /// Not a header name.
    InvalidHeader,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthError::EmptyToken => "auth: a token must not be empty",
            AuthError::InvalidHeader => "auth: the header is not a valid header name",
        })
    }
}

impl std::error::Error for AuthError {}

/// What authentication says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthVerdict {
    /// Go on.
    Pass,
    /// 401.
    Unauthorized,
    /// 500 `AUTH_NOT_CONFIGURED`.
    NotConfigured,
    /// No static token matched, but validators exist: the first truthy `ok` passes, otherwise 401.
    AskValidators,
}

/// A token, kept as its digest only; wiped when it is dropped.
#[derive(Clone)]
struct Token([u8; 32]);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Compiled authentication. Holds no token text, and what it holds of them is wiped when it is dropped.
#[derive(Clone)]
pub struct AuthConfig {
    header: Box<str>,
    first_wins: bool,
    tokens: Vec<Token>,
    configured: bool,
    validators: bool,
    allow_anonymous: bool,
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig").field("header", &self.header).field("tokens", &self.tokens.len()).finish()
    }
}

impl AuthConfig {
    /// Compiles the options and wipes the token texts, also when it fails.
    pub fn new(mut options: AuthOptions) -> Result<AuthConfig, AuthError> {
        let compiled = AuthConfig::compile(&options);
        if let Some(tokens) = &mut options.tokens {
            tokens.iter_mut().for_each(Zeroize::zeroize);
        }
        compiled
    }

    fn compile(options: &AuthOptions) -> Result<AuthConfig, AuthError> {
        let header = options.header.as_deref().unwrap_or(DEFAULT_TOKEN_HEADER).to_ascii_lowercase();
        if header.is_empty() || !header.bytes().all(is_name_byte) {
            return Err(AuthError::InvalidHeader);
        }
        let configured = options.tokens.is_some();
        let given = options.tokens.as_deref().unwrap_or_default();
        if given.iter().any(String::is_empty) {
            return Err(AuthError::EmptyToken);
        }
        Ok(AuthConfig {
            first_wins: FIRST_WINS.contains(&header.as_str()),
            header: header.into(),
            tokens: given.iter().filter_map(|token| digest_latin1(token)).collect(),
            configured,
            validators: options.validators,
            allow_anonymous: options.allow_anonymous,
        })
    }

    /// Name of the header that carries the token, lower case.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// Decides on a request's fields. Takes the same time whichever token matches, or none.
    #[must_use]
    pub fn verdict(&self, fields: Fields<'_>) -> AuthVerdict {
        if self.matches(fields) {
            AuthVerdict::Pass
        } else if self.validators {
            AuthVerdict::AskValidators
        } else if self.configured {
            AuthVerdict::Unauthorized
        } else if self.allow_anonymous {
            AuthVerdict::Pass
        } else {
            AuthVerdict::NotConfigured
        }
    }

    fn matches(&self, fields: Fields<'_>) -> bool {
        if self.tokens.is_empty() {
            return false;
        }
        self.presented(fields).is_some_and(|presented| is_one_of(&self.tokens, &Sha256::digest(presented)))
    }

    /// The token that a request has sent, whoever's it is.
    #[must_use]
    pub fn presented<'a>(&self, fields: Fields<'a>) -> Option<&'a [u8]> {
        match fields.get(self.header.as_bytes()) {
            FieldValue::One(value) => Some(value),
            FieldValue::Repeated(first) if self.first_wins => Some(first),
            // Joined with ", " by node:http: not one token, so none of ours.
            FieldValue::Repeated(_) | FieldValue::Absent => None,
        }
    }
}

/// Compares with every token, whichever matches, and each in constant time.
fn is_one_of<'t>(tokens: impl IntoIterator<Item = &'t Token>, presented: &[u8]) -> bool {
    let mut found = Choice::from(0);
    for token in tokens {
        found |= token.0.ct_eq(presented);
    }
    found.into()
}

/// Digest of the bytes that a client sends for `token`. A header is latin-1 to node:http, so a text with other
/// characters cannot be sent and never matches: None.
fn digest_latin1(token: &str) -> Option<Token> {
    let mut hash = Sha256::new();
    for character in token.chars() {
        hash.update([u8::try_from(u32::from(character)).ok()?]);
    }
    Some(Token(hash.finalize().into()))
}

/// RFC 9110 5.6.2 `tchar`.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::request::sample::Sample;
    use super::*;

    fn options(header: Option<&str>, tokens: Option<&[&str]>) -> AuthOptions {
        AuthOptions {
            header: header.map(String::from),
            tokens: tokens.map(|tokens| tokens.iter().map(|token| (*token).into()).collect()),
            ..AuthOptions::default()
        }
    }

    fn verdict(options: &AuthOptions, lines: &[(&str, &[u8])]) -> AuthVerdict {
        AuthConfig::new(options.clone()).unwrap().verdict(Sample::new("POST", "/", lines).fields())
    }

    #[test]
    fn tokens_match_exactly() {
        use AuthVerdict::*;
        let one = options(None, Some(&["secret"]));
        let many = options(Some("X-Api-Key"), Some(&["k1", "k2", "k3"]));
        let scheme = options(Some("Authorization"), Some(&["Bearer abc"]));
        let latin = options(None, Some(&["pässwörd"]));
        let greek = options(None, Some(&["λόγος"]));
        let empty = options(None, Some(&[]));
        type Row<'a> = (&'a AuthOptions, &'a [(&'a str, &'a [u8])], AuthVerdict);
        let table: &[Row<'_>] = &[
            (&one, &[], Unauthorized),
            (&one, &[("x-runner-token", b"secret")], Pass),
            (&one, &[("X-RUNNER-TOKEN", b"secret")], Pass),
            (&one, &[("x-runner-token", b"SECRET")], Unauthorized),
            (&one, &[("x-runner-token", b"secre")], Unauthorized),
            (&one, &[("x-runner-token", b"secretX")], Unauthorized),
            (&one, &[("x-runner-token", b"\"secret\"")], Unauthorized),
            (&one, &[("x-runner-token", b"\xa0secret")], Unauthorized),
            (&one, &[("x-runner-token", b"")], Unauthorized),
            (&one, &[("authorization", b"secret")], Unauthorized),
            (&one, &[("x-runner-token", b"secret"), ("x-runner-token", b"secret")], Unauthorized),
            (&one, &[("x-runner-token", b"wrong"), ("x-runner-token", b"secret")], Unauthorized),
            (&many, &[("x-api-key", b"k1")], Pass),
            (&many, &[("X-API-KEY", b"k3")], Pass),
            (&many, &[("x-api-key", b"k4")], Unauthorized),
            (&many, &[("x-runner-token", b"k1")], Unauthorized),
            (&scheme, &[("authorization", b"Bearer abc")], Pass),
            (&scheme, &[("authorization", b"abc")], Unauthorized),
            (&scheme, &[("authorization", b"Bearer abc"), ("Authorization", b"Bearer zzz")], Pass),
            (&scheme, &[("authorization", b"Bearer zzz"), ("Authorization", b"Bearer abc")], Unauthorized),
            (&latin, &[("x-runner-token", b"p\xe4ssw\xf6rd")], Pass),
            (&latin, &[("x-runner-token", "pässwörd".as_bytes())], Unauthorized),
            (&greek, &[("x-runner-token", "λόγος".as_bytes())], Unauthorized),
            (&greek, &[], Unauthorized),
            (&empty, &[("x-runner-token", b"x")], Unauthorized),
            (&empty, &[("x-runner-token", b"")], Unauthorized),
        ];
        for (row, (options, lines, expected)) in table.iter().enumerate() {
            assert_eq!(verdict(options, lines), *expected, "row {row}: {lines:?}");
        }
    }

    #[test]
    fn what_counts_as_configured() {
        use AuthVerdict::*;
        // tokens, validators, anonymous; verdicts without and with the right token
        type Row<'a> = (Option<&'a [&'a str]>, bool, bool, AuthVerdict, AuthVerdict);
        let table: &[Row<'_>] = &[
            (None, false, false, NotConfigured, NotConfigured),
            (None, false, true, Pass, Pass),
            (None, true, false, AskValidators, AskValidators),
            (None, true, true, AskValidators, AskValidators),
            (Some(&["t"]), false, false, Unauthorized, Pass),
            (Some(&["t"]), false, true, Unauthorized, Pass),
            (Some(&["t"]), true, true, AskValidators, Pass),
            (Some(&[]), false, true, Unauthorized, Unauthorized),
        ];
        for (row, (tokens, validators, allow_anonymous, without, with)) in table.iter().enumerate() {
            let options = AuthOptions {
                validators: *validators,
                allow_anonymous: *allow_anonymous,
                ..options(Some("x-only"), *tokens)
            };
            assert_eq!(verdict(&options, &[]), *without, "row {row} without");
            assert_eq!(verdict(&options, &[("x-only", b"t")]), *with, "row {row} with");
        }
    }

    #[test]
    fn dangerous_options_are_errors() {
        for (header, tokens, expected) in [
            (None, &["a", ""][..], AuthError::EmptyToken),
            (None, &[""][..], AuthError::EmptyToken),
            (Some(""), &["a"][..], AuthError::InvalidHeader),
            (Some("x y"), &["a"][..], AuthError::InvalidHeader),
            (Some("x\r\ny"), &["a"][..], AuthError::InvalidHeader),
        ] {
            assert_eq!(AuthConfig::new(options(header, Some(tokens))).unwrap_err(), expected);
        }
    }

    #[test]
    fn every_token_is_compared_whichever_matches() {
        let tokens = ["first", "second", "third"].map(|token| digest_latin1(token).unwrap());
        for (presented, expected) in [("first", true), ("second", true), ("third", true), ("none", false)] {
            let mut compared = 0;
            let watched = tokens.iter().inspect(|_| compared += 1);
            assert_eq!(is_one_of(watched, &Sha256::digest(presented)), expected, "{presented}");
            assert_eq!(compared, 3, "{presented}");
        }
    }

    #[test]
    fn tokens_do_not_show() {
        let auth = AuthConfig::new(options(Some("X-Key"), Some(&["topsecret"]))).unwrap();
        assert_eq!(auth.header(), "x-key");
        assert!(!format!("{auth:?}").contains("topsecret"));
        // Nor those that callers present.
        let sample = Sample::new("POST", "/", &[("x-key", b"topsecret")]);
        assert_eq!(format!("{:?}", sample.fields()), r#"["x-key"]"#);
        let request = format!("{:?}", sample.request());
        let as_numbers = format!("{:?}", b"topsecret").replace(['[', ']'], "");
        assert!(!request.contains("topsecret") && !request.contains(&as_numbers), "{request}");
    }
}
