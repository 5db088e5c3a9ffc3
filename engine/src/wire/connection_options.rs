//! Whether a connection goes on behind a message (RFC 9112 9.3), and what else its `Connection` lines say.

use super::token::trim_ows;

/// The connection option (RFC 9110 7.6.1) of a client that wants to hear when the server reads no further request, though it
/// has asked nothing: by a 408 that nobody has asked for. It is for the next hop only: no proxy passes it on.
pub const NOTICE_OPTION: &str = "fasttunnel-notice";

/// What the `Connection` lines of one head say about it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
    /// [`NOTICE_OPTION`] is among them.
    pub(super) notice: bool,
}

impl ConnectionOptions {
    /// Takes one line into account. Members that are no tokens are ignored, as any unknown option (RFC 9110 7.6.1).
    #[inline]
    pub(super) fn add(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',').map(trim_ows) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.notice |= option.eq_ignore_ascii_case(NOTICE_OPTION.as_bytes());
        }
    }

    /// The connection may be used again, by what a head of HTTP/1.`minor_version` says.
    #[inline]
    pub(super) fn persists(self, minor_version: u8) -> bool {
        !self.close && (minor_version > 0 || self.keep_alive)
    }
}
