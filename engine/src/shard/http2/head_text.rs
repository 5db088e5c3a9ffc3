//! A request of HTTP/2 as the head of HTTP/1.1 that asks for the same (RFC 9113 8.3.1, 8.2.3): what decides on requests, and the
//! application, know one form of head. What HTTP/1.1 would let through and HTTP/2 must not is found here.

use http::header::{COOKIE, HOST};
use http::request::Parts;

/// The version that every head is read as.
const VERSION: &[u8] = b"HTTP/1.1";

/// The version that the application sees.
const OWN_VERSION: &[u8] = b"HTTP/2.0";

/// The request is malformed (RFC 9113 8.1.1), beyond what `h2` finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Malformed;

/// Writes the head to `text`.
pub(super) fn write_head(parts: &Parts, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let authority = parts.uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(Malformed);
    }
    text.clear();
    text.extend_from_slice(parts.method.as_str().as_bytes());
    text.push(b' ');
    // CONNECT has no path: it is refused by its name, as in HTTP/1.1.
    let is_connect = parts.method == http::Method::CONNECT;
    match parts.uri.path_and_query().filter(|_| !is_connect).map(|target| target.as_str()) {
        None if is_connect && !authority.is_empty() => text.extend_from_slice(authority.as_bytes()),
        Some(target) if target.starts_with('/') || target == "*" => text.extend_from_slice(target.as_bytes()),
        _ => return Err(Malformed),
    }
    text.push(b' ');
    text.extend_from_slice(VERSION);
    text.extend_from_slice(b"\r\n");
    if !authority.is_empty() {
        put_line(text, b"host", authority.as_bytes());
    }
    write_fields(parts, authority, text)?;
    text.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the fields, as far as they do not say `authority` once more.
pub(in crate::shard) fn write_fields(parts: &Parts, authority: &str, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut cookies = parts.headers.get_all(COOKIE).iter().peekable();
    if cookies.peek().is_some() {
        let crumbs: Vec<&[u8]> = cookies.map(|crumb| crumb.as_bytes()).collect();
        put_line(text, b"cookie", &crumbs.join(&b"; "[..]));
    }
    for (name, value) in &parts.headers {
        let value = value.as_bytes();
        if [value.first(), value.last()].into_iter().flatten().any(|end| matches!(end, b' ' | b'\t')) {
            return Err(Malformed);
        }
        if name == HOST && !authority.is_empty() {
            if !is_same_host(value, authority.as_bytes()) {
                return Err(Malformed);
            }
        } else if name != COOKIE {
            put_line(text, name.as_str().as_bytes(), value);
        }
    }
    Ok(())
}

/// Says the version in a head that was read, whose target ends at `target_end`.
pub(super) fn put_version(text: &mut [u8], target_end: u32) {
    let at = target_end as usize + 1;
    if let Some(version) = text.get_mut(at..at + OWN_VERSION.len()) {
        version.copy_from_slice(OWN_VERSION);
    }
}

/// Says the version again that a head is read as.
pub(super) fn restore_version(text: &mut [u8]) {
    if let Some(at) = text.windows(2).position(|end| end == b"\r\n")
        && let Some(version) = at.checked_sub(8).and_then(|from| text.get_mut(from..at))
    {
        version.copy_from_slice(VERSION);
    }
}

pub(in crate::shard) fn put_line(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    text.reserve(name.len() + value.len() + 4);
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// True when `Host` names what `:authority` does.
fn is_same_host(host: &[u8], authority: &[u8]) -> bool {
    host.eq_ignore_ascii_case(authority)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Request;

    use super::*;

    fn text(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<String, Malformed> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut text = Vec::new();
        write_head(&request.body(()).unwrap().into_parts().0, &mut text).map(|()| String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_request_is_the_head_that_asks_for_the_same() {
        assert_eq!(
            text("POST", "http://a.b:1/p?q", &[("x-a", "1"), ("cookie", "a=b"), ("cookie", "c=d"), ("host", "A.B:1")]),
            Ok("POST /p?q HTTP/1.1\r\nhost: a.b:1\r\ncookie: a=b; c=d\r\nx-a: 1\r\n\r\n".to_owned())
        );
        assert_eq!(text("GET", "/", &[("host", "x")]), Ok("GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()));
        assert_eq!(text("GET", "/", &[]), Ok("GET / HTTP/1.1\r\n\r\n".to_owned()), "refused as in HTTP/1.1");
        assert_eq!(text("CONNECT", "a.b:1", &[]), Ok("CONNECT a.b:1 HTTP/1.1\r\nhost: a.b:1\r\n\r\n".to_owned()));
    }

    #[test]
    fn what_http2_must_not_let_through_is_malformed() {
        for (uri, fields) in [
            ("http://user@a/", &[][..]),
            ("http://a/", &[("host", "b")]),
            ("http://a/", &[("x", " a")]),
            ("http://a/", &[("x", "a\t")]),
        ] {
            assert_eq!(text("GET", uri, fields), Err(Malformed), "{uri} {fields:?}");
        }
    }

    #[test]
    fn the_application_sees_which_version_it_was() {
        let mut head = b"GET /ab HTTP/1.1\r\n\r\n".to_vec();
        put_version(&mut head, 7);
        assert_eq!(head, b"GET /ab HTTP/2.0\r\n\r\n");
        put_version(&mut head, 90);
        restore_version(&mut head);
        assert_eq!(head, b"GET /ab HTTP/1.1\r\n\r\n");
    }
}
