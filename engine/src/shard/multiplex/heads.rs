//! Heads of HTTP/2 as those of HTTP/1.1 that say the same, and the other way round (RFC 9113 8.2, 8.3).

use h2::ext::Protocol;
use http::header::{HOST, SEC_WEBSOCKET_ACCEPT};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::proxy::websocket;
use crate::shard::connection::streams::is_of_connection;
use crate::shard::http2::head_text::{Malformed, put_line, write_fields};
use crate::wire::answer_head::AnswerHead;
use crate::wire::method::Method;

/// What an answer is to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Asked {
    pub method: Method,
    /// The key that a server is asked with whether it speaks WebSocket, which an extended `CONNECT` has none of.
    pub key: Option<String>,
}

/// Why a head is none that can be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::shard) enum Unfit {
    #[error("a line of the head cannot be one of HTTP/2")]
    Line,
    #[error("the server does not speak WebSocket")]
    NoWebSocket,
}

/// Writes a request to a proxy as HTTP/1.1 has it: its target in absolute form, or the authority of `CONNECT`. An extended `CONNECT`
/// (RFC 8441) becomes the upgrade that asks for the same; `random` is for its key.
pub(in crate::shard) fn write_request(
    parts: &Parts,
    random: impl FnOnce() -> [u8; 16],
    text: &mut Vec<u8>,
) -> Result<Asked, Malformed> {
    let own = parts.uri.authority().map(|authority| authority.as_str());
    let host = || parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = own.or_else(host).filter(|authority| !authority.is_empty() && !authority.contains('@'));
    let authority = authority.ok_or(Malformed)?;
    let is_connect = parts.method == http::Method::CONNECT;
    let protocol = parts.extensions.get::<Protocol>();
    let mut asked = Asked { method: Method::Get, key: None };
    text.clear();
    if is_connect && protocol.is_none() {
        asked.method = Method::Connect;
        text.extend_from_slice(format!("CONNECT {authority} HTTP/1.1\r\n").as_bytes());
    } else {
        if protocol.is_none() && parts.method == http::Method::HEAD {
            asked.method = Method::Head;
        }
        let method = if is_connect { "GET" } else { parts.method.as_str() };
        let scheme = parts.uri.scheme_str().ok_or(Malformed)?;
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let path = match path {
            // For the server as a whole: in absolute form a target without a path (RFC 9112 3.2.4).
            "*" if parts.method == http::Method::OPTIONS => "",
            path if path.starts_with('/') => path,
            _ => return Err(Malformed),
        };
        text.extend_from_slice(format!("{method} {scheme}://{authority}{path} HTTP/1.1\r\n").as_bytes());
    }
    put_line(text, b"host", authority.as_bytes());
    write_fields(parts, authority, text)?;
    if let Some(protocol) = protocol {
        if !protocol.as_str().eq_ignore_ascii_case("websocket")
            || parts.headers.contains_key("sec-websocket-key")
            || parts.headers.contains_key(http::header::CONTENT_LENGTH)
        {
            return Err(Malformed);
        }
        let key = websocket::key(random());
        put_line(text, b"connection", b"upgrade");
        put_line(text, b"upgrade", b"websocket");
        put_line(text, b"sec-websocket-key", key.as_bytes());
        asked.key = Some(key);
    }
    text.extend_from_slice(b"\r\n");
    Ok(asked)
}

/// An answer of HTTP/1.1 without what is about its connection.
pub(in crate::shard) fn response(head: &AnswerHead, bytes: &[u8], asked: &Asked) -> Result<Response<()>, Unfit> {
    let fields = head.fields.of(bytes);
    let mut response = Response::new(());
    let switches = head.status == 101;
    if asked.key.is_some() && (200..300).contains(&head.status) {
        // Over frames it would say that it has switched (RFC 8441 5).
        return Err(Unfit::NoWebSocket);
    }
    if switches {
        let key = asked.key.as_deref().map(str::as_bytes);
        if !websocket::agrees(key, fields.get(b"sec-websocket-accept").first()) {
            return Err(Unfit::NoWebSocket);
        }
    }
    let status = if switches { StatusCode::OK } else { StatusCode::from_u16(head.status).map_err(|_| Unfit::Line)? };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in fields.iter() {
        let name = HeaderName::from_bytes(name).map_err(|_| Unfit::Line)?;
        let is_accept = switches && name == SEC_WEBSOCKET_ACCEPT;
        if !is_accept && !is_of_connection(&name) {
            let value = HeaderValue::from_bytes(value).map_err(|_| Unfit::Line)?;
            headers.try_append(name, value).map_err(|_| Unfit::Line)?;
        }
    }
    Ok(response)
}
