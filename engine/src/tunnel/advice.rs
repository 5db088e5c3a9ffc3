//! What only JavaScript can decide before a request is decided: the question, and its word.

/// What a request has to be asked about. At least one of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Which origin the answer allows (CONTRACT 8: RegExp and function origins).
    pub origin: bool,
    /// Whether the request may pass, as no static token matched (CONTRACT 4: validators).
    pub auth: bool,
}

/// JavaScript's word on a request. Its default is what counts where nobody vouches: no origin, and no entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// A validator let the request pass. Only asked when no static token matched.
    pub passed: bool,
    /// Value of `Access-Control-Allow-Origin`; empty for none.
    pub origin: Vec<u8>,
}
