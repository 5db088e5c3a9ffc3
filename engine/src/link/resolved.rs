//! The answer to a question for a name's addresses.

use std::net::IpAddr;

/// What a shard hears of a name that it has asked for.
pub struct Resolved {
    /// Its question.
    pub ticket: u64,
    /// In the order in which they should be tried; none: there is no such host.
    pub addresses: Vec<IpAddr>,
}
