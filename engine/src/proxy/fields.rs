//! Fields that end with a connection, and are not passed on (RFC 9110 7.6.1).

use crate::wire::fields::Fields;

/// Those that do so by themselves.
const OF_THE_CONNECTION: &[&[u8]] = &[
    b"connection",
    b"proxy-connection",
    b"keep-alive",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"http2-settings",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"proxy-authentication-info",
    b"proxy-status",
];

/// Those that are for the other end, whoever says otherwise: who could have them left out on the way would change what the
/// request means there.
const FOR_THE_END: &[&[u8]] = &[
    b"host",
    b"content-length",
    b"content-type",
    b"content-encoding",
    b"content-range",
    b"cookie",
    b"set-cookie",
    b"authorization",
    b"www-authenticate",
    b"origin",
    b"referer",
    b"date",
    b"via",
    b"forwarded",
    b"expect",
    b"max-forwards",
    b"cache-control",
    b"vary",
    b"etag",
    b"location",
    b"range",
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
    b"strict-transport-security",
    b"content-security-policy",
    b"x-frame-options",
];

/// Prefixes of such.
const FOR_THE_END_FROM: &[&[u8]] = &[b"x-forwarded-", b"x-real-", b"sec-", b"access-control-", b"x-cmux-"];

/// What one head says of its connection.
#[derive(Clone, Copy)]
pub struct Hop<'a> {
    fields: Fields<'a>,
    /// A field may be named that is not known here.
    names: bool,
    upgrade: bool,
}

/// True for a field that ends with a connection whatever `Connection` says.
pub(super) fn is_of_a_connection(name: &[u8]) -> bool {
    OF_THE_CONNECTION.iter().any(|known| name.eq_ignore_ascii_case(known))
}

impl<'a> Hop<'a> {
    /// Of these fields.
    #[must_use]
    pub fn of(fields: Fields<'a>) -> Hop<'a> {
        let (mut names, mut upgrade) = (false, false);
        for option in fields.members(b"connection") {
            let known = [&b"close"[..], b"keep-alive"].iter().any(|known| option.eq_ignore_ascii_case(known));
            let is_upgrade = option.eq_ignore_ascii_case(b"upgrade");
            upgrade |= is_upgrade;
            names |= !known && !is_upgrade;
        }
        Hop { fields, names, upgrade }
    }

    /// `Connection` names `Upgrade`, and there is one.
    #[must_use]
    pub fn upgrades(&self) -> bool {
        self.upgrade && self.fields.get(b"upgrade").first().is_some_and(|value| !value.is_empty())
    }

    /// A field may be named by `Connection` that would go on otherwise.
    #[must_use]
    pub fn names_others(&self) -> bool {
        self.names
    }

    /// The client understands trailers (RFC 9110 10.1.4).
    #[must_use]
    pub fn takes_trailers(&self) -> bool {
        self.fields.members(b"te").any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    }

    /// True for a field that is not passed on.
    #[must_use]
    pub fn ends_here(&self, name: &[u8]) -> bool {
        let is = |known: &&[u8]| name.eq_ignore_ascii_case(known);
        let begins = |known: &&[u8]| name.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known));
        if is_of_a_connection(name) {
            return true;
        }
        self.names
            && !FOR_THE_END.iter().any(is)
            && !FOR_THE_END_FROM.iter().any(begins)
            && self.fields.members(b"connection").any(|option| option.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::head::{Head, HeadLimits};

    #[test]
    fn what_connection_names_ends_here_unless_the_other_end_needs_it() {
        let text = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Mine ,host\r\nconnection: Cookie, x-forwarded-for, upgrade\r\nX-Mine: 1\r\n\r\n";
        let mut head = Head::default();
        head.parse(text, &HeadLimits::default()).unwrap();
        let hop = Hop::of(head.fields.of(text));
        for name in ["X-Mine", "connection", "TE", "Transfer-Encoding", "Keep-Alive", "Proxy-Authorization", "Upgrade"]
        {
            assert!(hop.ends_here(name.as_bytes()), "{name}");
        }
        for name in ["Host", "Cookie", "X-Forwarded-For", "Accept", "X-Mine2", "Content-Length", "Trailer", "close"] {
            assert_eq!(hop.ends_here(name.as_bytes()), name == "close", "{name}");
        }
        assert!(!hop.upgrades(), "there is no such field");
    }
}
