//! What a step through the content of a request gives, whatever its framing.

use std::fmt;

/// What one call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that belong to this message and were used; never past its end.
    pub consumed: usize,
    /// The message is complete; what follows is the next one.
    pub done: bool,
}

/// Why the content of a request is refused. The sender's fault, never worth a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The chunked coding is broken (400, close): where the message ends is unknown.
    Malformed(&'static str),
    /// More content than allowed (413). The framing is intact: [`BodyReader::skip`](super::body::BodyReader::skip) can go on.
    TooLarge,
    /// More bytes of chunk extensions than allowed (413, close).
    ExtensionsTooLarge,
    /// More or larger trailer lines than allowed (431, close).
    TrailersTooLarge,
}

impl BodyError {
    /// The status of the answer: 400, 413 or 431.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            BodyError::Malformed(_) => 400,
            BodyError::TooLarge | BodyError::ExtensionsTooLarge => 413,
            BodyError::TrailersTooLarge => 431,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Malformed(what) => write!(f, "{what} (RFC 9112 7.1)"),
            BodyError::TooLarge => f.write_str("content too large (RFC 9110 15.5.14)"),
            BodyError::ExtensionsTooLarge => f.write_str("chunk extensions too large (RFC 9112 7.1.1)"),
            BodyError::TrailersTooLarge => f.write_str("trailer section too large (RFC 6585 5)"),
        }
    }
}

impl std::error::Error for BodyError {}
