//! Fields behind content: which of them are passed on (RFC 9110 6.5.1).

use crate::proxy::fields::Hop;

/// Fields that a recipient acts upon before it has the content, or by which it decides what the message is, who sends it and
/// where it goes. Behind content they come too late, and whoever merges them into the head would act upon what nobody has checked.
const OF_THE_HEAD: &[&[u8]] = &[
    b"host",
    b"content-length",
    b"content-type",
    b"content-encoding",
    b"content-range",
    b"content-location",
    b"trailer",
    b"authorization",
    b"www-authenticate",
    b"cookie",
    b"set-cookie",
    b"cache-control",
    b"expires",
    b"pragma",
    b"age",
    b"date",
    b"vary",
    b"location",
    b"retry-after",
    b"expect",
    b"max-forwards",
    b"range",
    b"via",
    b"forwarded",
    b"origin",
    b"strict-transport-security",
    b"content-security-policy",
];

/// Prefixes of such.
const OF_THE_HEAD_FROM: &[&[u8]] = &[b"if-", b"sec-", b"x-forwarded-", b"x-cmux-", b"access-control-"];

/// The lines of a trailer section that go on, in their order. Lines end with CRLF, as a reader has found them. `hop`: what the
/// head says of its connection, which counts for them as well (RFC 9110 7.6.1).
#[must_use]
pub fn passed_on<'a>(section: &[u8], hop: impl FnOnce() -> Hop<'a>) -> Vec<u8> {
    if section.is_empty() {
        return Vec::new();
    }
    let hop = hop();
    let lines = section.split_inclusive(|byte| *byte == b'\n').filter(|line| goes_on(line, &hop));
    lines.flatten().copied().collect()
}

fn goes_on(line: &[u8], hop: &Hop<'_>) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let is = |known: &&[u8]| name.eq_ignore_ascii_case(known);
    let begins = |known: &&[u8]| name.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known));
    !hop.ends_here(name) && !OF_THE_HEAD.iter().any(is) && !OF_THE_HEAD_FROM.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{Head, HeadLimits};

    #[test]
    fn what_belongs_into_a_head_does_not_go_on_behind_content() {
        let text = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: x-hop\r\n\r\n";
        let mut head = Head::default();
        assert_eq!(head.parse(text, &HeadLimits::default()), Ok(()));
        let hop = || Hop::of(head.fields.of(text));
        let section = b"Grpc-Status: 0\r\nContent-Length: 5\r\nTRANSFER-ENCODING: chunked\r\nHost: evil\r\nServer-Timing: a;dur=1\r\n\
            Proxy-Authorization: Basic x\r\nX-Hop: 1\r\nSet-Cookie: a=b\r\nx-cmux-port-internal: 22\r\nIf-Match: x\r\nTrailer: a\r\nETag: \"x\"\r\nDigest:a\r\n";
        let text = String::from_utf8(passed_on(section, hop)).unwrap_or_default();
        assert_eq!(text, "Grpc-Status: 0\r\nServer-Timing: a;dur=1\r\nETag: \"x\"\r\nDigest:a\r\n");
        assert!(passed_on(b"", hop).is_empty());
    }
}
