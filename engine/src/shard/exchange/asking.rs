//! Where the questions of a connection stand that JavaScript is asked.

use crate::link::batch::CallKey;
use crate::tunnel::advice::Advice;

/// The word on a request, and the id that it was asked under.
#[derive(Debug)]
pub(in crate::shard) struct Advised {
    pub advice: Advice,
    /// A fresh id must not change between question and answer. Empty where the answer carries none.
    pub request_id: Vec<u8>,
    /// Nobody had the time to be asked: 503.
    pub overloaded: bool,
}

/// Where the questions of a connection stand.
#[derive(Debug, Default)]
pub(in crate::shard) enum Asking {
    /// It has none.
    #[default]
    Nothing,
    /// JavaScript is asked under this key.
    Waiting(CallKey),
    /// The word has come; the request is to be decided again.
    Advised(Box<Advised>),
}
