//! Requests of HTTP/1.1 as those of HTTP/2 that ask for the same, and the answers to them the other way round (RFC 9113 8.3).

use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TE};
use http::response::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri};

use crate::proxy::websocket;
use crate::shard::connection::streams::is_of_connection;
use crate::shard::http2::head_text::put_line;
use crate::shard::multiplex::heads::{Asked, Unfit};
use crate::wire::head::Head;
use crate::wire::method::Method;
use crate::wire::status::reason_phrase;

/// A request that is sent under TLS. What asks for a WebSocket becomes an extended `CONNECT` (RFC 8441), which has no key.
pub(super) fn request(head: &Head, bytes: &[u8]) -> Result<(Request<()>, Asked), Unfit> {
    let fields = head.fields.of(bytes);
    let first = |name: &[u8]| fields.get(name).first();
    let is_websocket = first(b"upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    let key = first(b"sec-websocket-key").filter(|_| is_websocket);
    let key = key.and_then(|key| std::str::from_utf8(key).ok()).map(str::to_owned);
    let method = bytes.get(..(head.target.start as usize).saturating_sub(1)).unwrap_or_default();
    let uri = Uri::builder()
        .scheme("https")
        .authority(first(b"host").unwrap_or_default())
        .path_and_query(head.target.of(bytes))
        .build();
    let mut request = Request::new(());
    *request.uri_mut() = uri.map_err(|_| Unfit::Line)?;
    *request.version_mut() = http::Version::HTTP_2;
    *request.method_mut() = match key {
        Some(_) => http::Method::CONNECT,
        None => http::Method::from_bytes(method).map_err(|_| Unfit::Line)?,
    };
    if key.is_some() {
        request.extensions_mut().insert(Protocol::from_static("websocket"));
    }
    for (name, value) in fields.iter() {
        let name = HeaderName::from_bytes(name).map_err(|_| Unfit::Line)?;
        let is_key = key.is_some() && name == SEC_WEBSOCKET_KEY;
        if name != HOST && !is_key && !is_of_connection(&name) {
            let value = HeaderValue::from_bytes(value).map_err(|_| Unfit::Line)?;
            request.headers_mut().try_append(name, value).map_err(|_| Unfit::Line)?;
        }
    }
    if first(b"te").is_some_and(|coding| coding.eq_ignore_ascii_case(b"trailers")) {
        // The one value that it may have (RFC 9113 8.2.2).
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok((request, Asked { method: head.method, key }))
}

/// Writes the head of an answer. `empty`: no content follows.
pub(super) fn write_answer(parts: &Parts, asked: &Asked, empty: bool, text: &mut Vec<u8>) -> Result<(), Unfit> {
    let key = asked.key.as_deref().filter(|_| parts.status.is_success());
    let status = if key.is_some() { StatusCode::SWITCHING_PROTOCOLS } else { parts.status };
    if status == StatusCode::SWITCHING_PROTOCOLS && key.is_none() {
        // There is no such answer (RFC 9113 8.6).
        return Err(Unfit::Line);
    }
    let code = status.as_u16();
    text.extend_from_slice(format!("HTTP/1.1 {code} {}\r\n", reason_phrase(code)).as_bytes());
    for (name, value) in &parts.headers {
        // What has no end has no length.
        let is_void = key.is_some() && (name == CONTENT_LENGTH || name == SEC_WEBSOCKET_ACCEPT);
        if !is_void && !is_of_connection(name) {
            put_line(text, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if let Some(key) = key {
        put_line(text, b"connection", b"upgrade");
        put_line(text, b"upgrade", b"websocket");
        put_line(text, b"sec-websocket-accept", websocket::accept(key).as_bytes());
    } else if empty
        && asked.method != Method::Head
        && !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        put_line(text, b"content-length", b"0");
    }
    text.extend_from_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::head::HeadLimits;
    use http::Response;

    #[test]
    fn a_request_says_the_same_without_what_is_of_its_connection() {
        let text = b"PUT /a?b HTTP/1.1\r\nHost: x.y:8443\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: te\r\nVia: 1.1 p\r\n\r\n";
        let mut head = Head::default();
        head.parse(text, &HeadLimits::default()).unwrap();
        let (request, asked) = request(&head, text).unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("PUT", "https://x.y:8443/a?b"));
        let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!((names, asked.key), (vec!["x-a", "via", "te"], None));
    }

    #[test]
    fn an_answer_says_where_its_content_ends_and_whether_a_websocket_begins() {
        let asked = |key: Option<&str>| Asked { method: Method::Get, key: key.map(str::to_owned) };
        let written = |status: u16, fields: &[(&str, &str)], asked: Asked, empty| {
            let mut answer = Response::builder().status(status);
            for (name, value) in fields {
                answer = answer.header(*name, *value);
            }
            let mut text = Vec::new();
            let parts = answer.body(()).unwrap().into_parts().0;
            write_answer(&parts, &asked, empty, &mut text).map(|()| String::from_utf8(text).unwrap())
        };
        assert_eq!(
            written(200, &[("x-a", "1"), ("content-length", "3")], asked(None), false).unwrap(),
            "HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 3\r\n\r\n"
        );
        assert_eq!(
            written(404, &[], asked(None), true).unwrap(),
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
        );
        assert_eq!(written(204, &[], asked(None), true).unwrap(), "HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(
            written(200, &[], asked(Some("dGhlIHNhbXBsZSBub25jZQ==")), false).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
        assert!(written(403, &[], asked(Some("x")), true).unwrap().starts_with("HTTP/1.1 403 "));
        assert_eq!(written(101, &[], asked(None), false), Err(Unfit::Line));
    }
}
