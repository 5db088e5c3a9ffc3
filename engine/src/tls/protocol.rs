//! What may be spoken over a connection, and what a client calls that when it chooses (ALPN, RFC 7301).

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 9113. Its preface says so as well.
    Http2,
    /// RFC 9112; also where a client says nothing.
    #[default]
    Http1,
}

impl Protocol {
    /// All that is offered, the best first.
    pub const OFFERED: &[Protocol] = &[Protocol::Http2, Protocol::Http1];

    /// As IANA's registry has it.
    #[must_use]
    pub fn name(self) -> &'static [u8] {
        match self {
            Protocol::Http2 => b"h2",
            Protocol::Http1 => b"http/1.1",
        }
    }

    /// What was agreed on by this name.
    #[must_use]
    pub fn of(name: Option<&[u8]>) -> Self {
        Self::OFFERED.iter().copied().find(|offered| name == Some(offered.name())).unwrap_or_default()
    }
}
