//! The request line: method, target, version (RFC 9112 3).

use super::fields::Span;
use super::head_error::HeadError;
use super::head_limits::HeadLimits;
use super::method::Method;
use super::start_line::{StartLine, parse_version};
use super::target::{TargetForm, TargetParts};
use super::token::is_tchar;
use crate::limits::{MAX_LEADING_EMPTY_LINES, MAX_METHOD_BYTES};
use memchr::{memchr, memrchr};

/// What a request line says; spans are relative to its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The method.
    pub method: Method,
    /// The target as sent.
    pub target: Span,
    /// Its form.
    pub form: TargetForm,
    /// The path of the target, undecoded. `*` for the asterisk form; empty for an absolute form without a path
    /// (`http://host`), which means `/`, and for the authority form, which has none.
    pub path: Span,
    /// The query without its `?`, undecoded; empty when there is none.
    pub query: Span,
    /// 0 or 1, of HTTP/1.x.
    pub minor_version: u8,
}

impl RequestLine {
    /// Reads a request line given without its CRLF. Refuses anything but three parts with one space between them.
    pub fn parse(line: &[u8], limits: &HeadLimits) -> Result<RequestLine, HeadError> {
        let method_end = match memchr(b' ', line) {
            Some(end) if end <= MAX_METHOD_BYTES => end,
            _ => return Err(vet_method_start(line).err().unwrap_or(HeadError::RequestLine)),
        };
        let method = Method::parse(&line[..method_end]).ok_or(HeadError::Method)?;
        let target_start = method_end + 1;
        let target_end = target_start + memrchr(b' ', &line[target_start..]).ok_or(HeadError::RequestLine)?;
        let minor_version = parse_version(&line[target_end + 1..])?;
        let target = &line[target_start..target_end];
        if target.len() > limits.max_target_bytes {
            return Err(HeadError::TargetTooLong);
        }
        let TargetParts { form, path, path_end, end } = TargetParts::of(method, target, limits)?;
        Ok(RequestLine {
            method,
            target: span(target_start, target_end),
            form,
            path: span(target_start + path, target_start + path_end),
            query: span(target_start + (path_end + 1).min(end), target_start + end),
            minor_version,
        })
    }
}

impl StartLine for RequestLine {
    const LEADING_EMPTY_LINES: usize = MAX_LEADING_EMPTY_LINES;
    const TOO_MANY_EMPTY_LINES: HeadError = HeadError::LeadingEmptyLines;
    // Method and version have lengths of their own.
    const TOO_LONG: HeadError = HeadError::TargetTooLong;

    /// Method, SP, target, SP, `HTTP/1.1`.
    fn max_bytes(limits: &HeadLimits) -> usize {
        limits.max_target_bytes.saturating_add(MAX_METHOD_BYTES + 2 + b"HTTP/1.1".len())
    }

    fn vet_start(line: &[u8]) -> Result<(), HeadError> {
        vet_method_start(line)
    }

    fn vet(line: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
        RequestLine::parse(line, limits).map(drop)
    }
}

/// Refuses a request line, finished or not, whose first bytes cannot be a method: TLS, binary protocols, blanks, more
/// than [`MAX_METHOD_BYTES`].
fn vet_method_start(line: &[u8]) -> Result<(), HeadError> {
    for (at, &byte) in line.iter().enumerate().take(MAX_METHOD_BYTES + 1) {
        match byte {
            b' ' if at > 0 => return Ok(()),
            byte if !is_tchar(byte) => return Err(HeadError::Method),
            _ if at == MAX_METHOD_BYTES => return Err(HeadError::MethodTooLong),
            _ => {}
        }
    }
    Ok(())
}

fn span(start: usize, end: usize) -> Span {
    // A head is at most MAX_HEAD_BYTES_CEILING bytes: 32 bits always fit.
    Span { start: start as u32, end: end as u32 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<RequestLine, HeadError> {
        RequestLine::parse(
            line.as_bytes(),
            &HeadLimits { max_head_bytes: 256, max_target_bytes: 40, ..HeadLimits::default() },
        )
    }

    #[test]
    fn a_fragment_is_refused_or_ignored() {
        let lenient =
            HeadLimits { max_head_bytes: 256, max_target_bytes: 40, ignore_fragment: true, ..HeadLimits::default() };
        for (target, path, query) in
            [("/a#b", "/a", ""), ("/a?b#c?d#e", "/a", "b"), ("/a#", "/a", ""), ("http://h#/x", "", "")]
        {
            let line = format!("POST {target} HTTP/1.1");
            assert_eq!(parse(&line).err(), Some(HeadError::Target), "{line}");
            let parsed = RequestLine::parse(line.as_bytes(), &lenient).unwrap();
            assert_eq!(
                (parsed.path.of(line.as_bytes()), parsed.query.of(line.as_bytes())),
                (path.as_bytes(), query.as_bytes())
            );
            assert_eq!(parsed.target.of(line.as_bytes()), target.as_bytes());
        }
        for target in ["#", "/a#\u{7f}", "a#b"] {
            let line = format!("POST {target} HTTP/1.1");
            assert_eq!(RequestLine::parse(line.as_bytes(), &lenient).err(), Some(HeadError::Target), "{line}");
        }
    }

    #[test]
    fn splits_targets_into_path_and_query() {
        use TargetForm::{Absolute, Asterisk, Origin};
        for (line, method, form, path, query, minor) in [
            ("POST /a/b HTTP/1.1", Method::Post, Origin, "/a/b", "", 1),
            ("GET /a?b=c?d HTTP/1.0", Method::Get, Origin, "/a", "b=c?d", 0),
            ("GET /? HTTP/1.1", Method::Get, Origin, "/", "", 1),
            ("GET // HTTP/1.1", Method::Get, Origin, "//", "", 1),
            ("GET /a?z[]=3&\"{^|\\ HTTP/1.1", Method::Get, Origin, "/a", "z[]=3&\"{^|\\", 1),
            ("OPTIONS * HTTP/1.1", Method::Options, Asterisk, "*", "", 1),
            ("GET http://a/b?c HTTP/1.1", Method::Get, Absolute, "/b", "c", 1),
            ("GET HTTP://A:80/b HTTP/1.1", Method::Get, Absolute, "/b", "", 1),
            ("GET https://[::1]:8/b HTTP/1.1", Method::Get, Absolute, "/b", "", 1),
            ("GET http://a HTTP/1.1", Method::Get, Absolute, "", "", 1),
            ("GET http://a?b HTTP/1.1", Method::Get, Absolute, "", "b", 1),
            ("PURGE /x HTTP/1.1", Method::Other, Origin, "/x", "", 1),
        ] {
            let parsed = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!((parsed.method, parsed.form), (method, form), "{line}");
            assert_eq!(parsed.path.of(line.as_bytes()), path.as_bytes(), "{line}");
            assert_eq!(parsed.query.of(line.as_bytes()), query.as_bytes(), "{line}");
            assert_eq!(parsed.target.of(line.as_bytes()), line.split(' ').nth(1).unwrap().as_bytes(), "{line}");
            assert_eq!(parsed.minor_version, minor, "{line}");
        }
    }

    #[test]
    fn connect_is_refused_where_nobody_serves_it_and_is_of_one_form_elsewhere() {
        let limits = HeadLimits { connect: true, ..HeadLimits::default() };
        for target in ["a:80", "a.example:443", "[::1]:8080", "127.0.0.1:1"] {
            let line = format!("CONNECT {target} HTTP/1.1");
            let parsed = RequestLine::parse(line.as_bytes(), &limits).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!((parsed.method, parsed.form), (Method::Connect, TargetForm::Authority), "{line}");
            assert_eq!(parsed.target.of(line.as_bytes()), target.as_bytes());
            assert!(parsed.path.is_empty() && parsed.query.is_empty(), "{line}");
            assert_eq!(parse(&line), Err(HeadError::Connect), "{line}");
        }
        for target in [
            "a",
            "a:",
            "a:0",
            "a:65536",
            ":80",
            "/x",
            "*",
            "http://a:80",
            "http://a:80/",
            "u@a:80",
            "a:80/",
            "a:80?b",
            "a:80#",
        ] {
            let line = format!("CONNECT {target} HTTP/1.1");
            let lenient = HeadLimits { ignore_fragment: true, ..limits };
            assert_eq!(RequestLine::parse(line.as_bytes(), &limits), Err(HeadError::Target), "{line}");
            assert_eq!(RequestLine::parse(line.as_bytes(), &lenient), Err(HeadError::Target), "{line}");
        }
        // The authority form is of CONNECT alone.
        assert_eq!(RequestLine::parse(b"GET a:80 HTTP/1.1", &limits), Err(HeadError::Target));
    }

    #[test]
    fn refuses_with_the_status_of_the_part_that_is_wrong() {
        for (line, error) in [
            ("", HeadError::RequestLine),
            ("GET", HeadError::RequestLine),
            ("GET /", HeadError::RequestLine),
            ("GET  / HTTP/1.1", HeadError::Target),
            ("GET  HTTP/1.1", HeadError::Target),
            ("GET HTTP/1.1", HeadError::RequestLine),
            ("GET / HTTP/1.1 ", HeadError::Version),
            ("GET /a b HTTP/1.1", HeadError::Target),
            ("GET / HTTP/1.1 HTTP/1.1", HeadError::Target),
            (" / HTTP/1.1", HeadError::Method),
            ("G/T / HTTP/1.1", HeadError::Method),
            ("GET\t/\tHTTP/1.1", HeadError::Method),
            ("GET\x0b/23456789012345678901234567890123 HTTP/1.1", HeadError::Method),
            ("GET foo HTTP/1.1", HeadError::Target),
            ("GET /\u{e9} HTTP/1.1", HeadError::Target),
            ("GET /a#b HTTP/1.1", HeadError::Target),
            ("GET /a\x7fb HTTP/1.1", HeadError::Target),
            ("GET /a\0b HTTP/1.1", HeadError::Target),
            ("GET * HTTP/1.1", HeadError::Target),
            ("OPTIONS *a HTTP/1.1", HeadError::Target),
            ("GET http:// HTTP/1.1", HeadError::Target),
            ("GET http:/a HTTP/1.1", HeadError::Target),
            ("GET http:///a HTTP/1.1", HeadError::Target),
            ("GET ftp://a/b HTTP/1.1", HeadError::Target),
            ("GET http://a:x/ HTTP/1.1", HeadError::Target),
            ("GET http://u:p@a/ HTTP/1.1", HeadError::Target),
            ("CONNECT a:80 HTTP/1.1", HeadError::Connect),
            ("CONNECT /x HTTP/1.1", HeadError::Connect),
            ("GET / HTTP/1.2", HeadError::VersionUnsupported),
            ("PRI * HTTP/2.0", HeadError::VersionUnsupported),
            ("GET / HTTP/0.9", HeadError::VersionUnsupported),
            ("GET / HTTP/2", HeadError::Version),
            ("GET / HTTP/1.10", HeadError::Version),
            ("GET / HTTP/01.1", HeadError::Version),
            ("GET / http/1.1", HeadError::Version),
            ("GET / HTTP/1,1", HeadError::Version),
            ("GET / RTSP/1.0", HeadError::Version),
            ("GET /2345678901234567890123456789012345678901 HTTP/1.1", HeadError::TargetTooLong),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1", HeadError::MethodTooLong),
        ] {
            assert_eq!(parse(line), Err(error), "{}", line.escape_debug());
        }
        assert!(parse("GET /234567890123456789012345678901234567890 HTTP/1.1").is_ok());
        assert!(parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1").is_ok());
    }
}
