//! Request methods.

use super::token::is_token;

/// A request method. Names are case-sensitive (RFC 9110 9.1): `post` is [`Method::Other`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `OPTIONS`
    Options,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// `TRACE`
    Trace,
    /// `CONNECT`; a head with it is refused ([`super::head_error::HeadError::Connect`]) unless the reader's limits allow it.
    Connect,
    /// Any other token; its spelling is in the bytes before the target.
    Other,
}

impl Method {
    /// The method that these bytes name; `None` when they are not a token (RFC 9110 9.1).
    #[inline]
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Method> {
        Some(match name {
            b"POST" => Method::Post,
            b"GET" => Method::Get,
            b"OPTIONS" => Method::Options,
            b"HEAD" => Method::Head,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"PATCH" => Method::Patch,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            other if is_token(other) => Method::Other,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_case_sensitive_tokens() {
        for (name, expected) in [
            (&b"GET"[..], Some(Method::Get)),
            (b"HEAD", Some(Method::Head)),
            (b"POST", Some(Method::Post)),
            (b"OPTIONS", Some(Method::Options)),
            (b"PUT", Some(Method::Put)),
            (b"DELETE", Some(Method::Delete)),
            (b"PATCH", Some(Method::Patch)),
            (b"TRACE", Some(Method::Trace)),
            (b"CONNECT", Some(Method::Connect)),
            (b"post", Some(Method::Other)),
            (b"XPOST", Some(Method::Other)),
            (b"*1", Some(Method::Other)),
            (b"", None),
            (b"PO(ST", None),
            (b"PO ST", None),
            (b"PO\0ST", None),
            (b"POST\xff", None),
        ] {
            assert_eq!(Method::parse(name), expected, "{}", name.escape_ascii());
        }
    }
}
