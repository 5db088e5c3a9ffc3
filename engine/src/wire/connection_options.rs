//! Whether a connection goes on behind a message (RFC 9112 9.3).

use super::token::trim_ows;

/// What the `Connection` lines of one head say about it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
}

impl ConnectionOptions {
    /// Takes one line into account. Members that are no tokens are ignored, as any unknown option (RFC 9110 7.6.1).
    #[inline]
    pub(super) fn add(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',').map(trim_ows) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// The connection may be used again, by what a head of HTTP/1.`minor_version` says.
    #[inline]
    pub(super) fn persists(self, minor_version: u8) -> bool {
        !self.close && (minor_version > 0 || self.keep_alive)
    }
}
