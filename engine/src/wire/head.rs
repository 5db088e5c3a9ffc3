//! A request head: request line, field lines, and what they say about the message (RFC 9112 3, 5, 6, 9).

pub use super::connection_options::NOTICE_OPTION;
pub use super::framing::Framing;
pub use super::head_error::HeadError;
pub use super::head_limits::HeadLimits;
pub use super::method::Method;
pub use super::scanner::{HeadScanner, Scan};
pub use super::target::TargetForm;

use super::connection_options::ConnectionOptions;
use super::field_reader::{read_field_lines, split_start_line};
use super::fields::{FieldTable, Span};
use super::framing::FramingFields;
use super::host::is_host;
use super::request_line::RequestLine;

/// One request head as ranges into its bytes. Reused from request to request: parsing allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The method; [`Method::Connect`] only where [`HeadLimits::connect`] says so.
    pub method: Method,
    /// The request target as sent.
    pub target: Span,
    /// The form of the target.
    pub form: TargetForm,
    /// The path, undecoded; `*` for `OPTIONS *`, empty for `http://host` (which means `/`) and for `CONNECT`.
    pub path: Span,
    /// The query without `?`, undecoded; empty when there is none.
    pub query: Span,
    /// 0 or 1, of HTTP/1.x.
    pub minor_version: u8,
    /// All field lines in order.
    pub fields: FieldTable,
    /// How the content is delimited.
    pub framing: Framing,
    /// The connection may be used again after this message (RFC 9112 9.3).
    pub keep_alive: bool,
    /// The client wants to be told when no further request is read: [`NOTICE_OPTION`].
    pub wants_notice: bool,
    /// The client waits for 100 (Continue) before it sends the content; never true for HTTP/1.0 (RFC 9110 10.1.1).
    pub expect_continue: bool,
}

impl Head {
    /// Reads `bytes`, exactly one head as the scanner found it (`start..end`); all spans are relative to them.
    ///
    /// After an error the contents of `self` mean nothing, except after [`HeadError::Expectation`]: then all of it is
    /// read, and only that expectation is wrong.
    pub fn parse(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
        let (line, fields_start) = split_start_line(bytes)?;
        let line = RequestLine::parse(line, limits)?;
        self.method = line.method;
        self.target = line.target;
        self.form = line.form;
        self.path = line.path;
        self.query = line.query;
        self.minor_version = line.minor_version;

        let mut meaning = Meaning::default();
        read_field_lines(bytes, fields_start, limits, &mut self.fields, |name, value| meaning.add(name, value))?;
        self.framing = meaning.framing.decide(self.minor_version)?;
        match meaning.host {
            Some(host) if !is_host(host) => return Err(HeadError::HostInvalid),
            None if self.minor_version > 0 => return Err(HeadError::HostMissing),
            _ => {}
        }
        self.keep_alive = meaning.connection.persists(self.minor_version);
        self.wants_notice = meaning.connection.notice && self.minor_version > 0;
        // An HTTP/1.0 client knows no interim answers: the expectation is ignored (RFC 9110 10.1.1).
        self.expect_continue = meaning.expect_continue && self.minor_version > 0;
        if meaning.unknown_expectation { Err(HeadError::Expectation) } else { Ok(()) }
    }
}

/// What the field lines say about the message itself.
#[derive(Default)]
struct Meaning<'a> {
    host: Option<&'a [u8]>,
    framing: FramingFields<'a>,
    connection: ConnectionOptions,
    expect_continue: bool,
    unknown_expectation: bool,
}

impl<'a> Meaning<'a> {
    /// Takes one field line into account. The length of the name decides first: few lines get to a comparison.
    #[inline]
    fn add(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), HeadError> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") && self.host.replace(value).is_some() => {
                return Err(HeadError::HostRepeated);
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                self.expect_continue |= known;
                self.unknown_expectation |= !known;
            }
            10 if name.eq_ignore_ascii_case(b"connection") => self.connection.add(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.framing.add_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.framing.add_coding(value),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::field_reader::FEW_HEADERS;
    use super::*;
    use crate::limits::MAX_HEADERS;

    fn parse(head: &str) -> Result<Head, HeadError> {
        let mut parsed = Head::default();
        parsed.parse(head.as_bytes(), &HeadLimits::default()).map(|()| parsed)
    }

    fn with(lines: &str) -> Result<Head, HeadError> {
        parse(&format!("POST /a HTTP/1.1\r\nHost: x\r\n{lines}\r\n"))
    }

    fn old(lines: &str) -> Result<Head, HeadError> {
        parse(&format!("POST /a HTTP/1.0\r\n{lines}\r\n"))
    }

    #[test]
    fn fields_are_ranges_of_the_head() {
        let text = "POST /a?b HTTP/1.1\r\nHost:\t x \r\nX-A: b: c \t\r\nEmpty:\r\n\r\n";
        let head = parse(text).unwrap();
        let fields: Vec<_> = head.fields.of(text.as_bytes()).iter().collect();
        assert_eq!(fields, [(&b"Host"[..], &b"x"[..]), (b"X-A", b"b: c"), (b"Empty", b"")]);
        assert_eq!((head.path.of(text.as_bytes()), head.query.of(text.as_bytes())), (&b"/a"[..], &b"b"[..]));
    }

    #[test]
    fn a_table_is_reused_without_leftovers_and_full_at_its_bound() {
        let many = |n: usize| with(&"X: y\r\n".repeat(n));
        for lines in [0, FEW_HEADERS - 1, FEW_HEADERS, MAX_HEADERS - 1] {
            assert_eq!(many(lines).unwrap().fields.of(b"").len(), lines + 1);
        }
        assert_eq!(many(MAX_HEADERS).unwrap_err(), HeadError::TooManyFields);
        // A lower bound is exact as well, whichever of the two tables is read into.
        for max_headers in [1, 2, FEW_HEADERS, FEW_HEADERS + 1, MAX_HEADERS] {
            let limits = HeadLimits { max_headers, ..HeadLimits::default() };
            let lines = |n: usize| format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(n - 1));
            let mut head = Head::default();
            assert_eq!(head.parse(lines(max_headers).as_bytes(), &limits), Ok(()));
            assert_eq!(head.parse(lines(max_headers + 1).as_bytes(), &limits), Err(HeadError::TooManyFields));
        }
        let (first, second) = ("GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n", "GET / HTTP/1.0\r\n\r\n");
        let mut head = Head::default();
        head.parse(first.as_bytes(), &HeadLimits::default()).unwrap();
        head.parse(second.as_bytes(), &HeadLimits::default()).unwrap();
        assert!(head.fields.of(second.as_bytes()).is_empty());
    }

    #[test]
    fn connections_persist_unless_somebody_says_close() {
        for (lines, new_keeps, old_keeps) in [
            ("", true, false),
            ("Connection: close\r\n", false, false),
            ("Connection: keep-alive\r\n", true, true),
            ("connection: KEEP-ALIVE\r\nConnection: foo,\t Close ,\r\n", false, false),
            ("Connection: xclose, \"close\"\r\n", true, false),
            ("Connection:\r\n", true, false),
            ("Proxy-Connection: close\r\n", true, false),
        ] {
            assert_eq!(with(lines).unwrap().keep_alive, new_keeps, "1.1 {lines}");
            assert_eq!(old(lines).unwrap().keep_alive, old_keeps, "1.0 {lines}");
        }
    }

    #[test]
    fn a_client_of_http_1_1_may_want_a_notice() {
        for (lines, wants) in [
            ("", false),
            ("Connection: keep-alive\r\n", false),
            ("Connection: keep-alive, FastTunnel-Notice\r\n", true),
            ("Connection: fasttunnel-notice\r\nConnection: keep-alive\r\n", true),
            ("Connection: fasttunnel-notices\r\nfasttunnel-notice: 1\r\n", false),
        ] {
            assert_eq!(with(lines).unwrap().wants_notice, wants, "{lines}");
            assert!(with(lines).unwrap().keep_alive && !old(lines).unwrap().wants_notice, "{lines}");
        }
    }

    #[test]
    fn expectations() {
        assert!(!with("").unwrap().expect_continue);
        assert!(with("Expect: 100-Continue\r\n").unwrap().expect_continue);
        assert!(!old("Expect: 100-continue\r\n").unwrap().expect_continue);
        for value in ["200-ok", "y 100-continue", "100-continue, foo", ""] {
            assert_eq!(with(&format!("Expect: {value}\r\n")).unwrap_err(), HeadError::Expectation, "{value}");
        }
    }

    #[test]
    fn refuses_what_httparse_or_another_server_would_let_pass() {
        for (head, error) in [
            ("", HeadError::Truncated),
            ("GET / HTTP/1.1\r\n", HeadError::Truncated),
            ("GET / HTTP/1.1\nHost: x\r\n\r\n", HeadError::BareLf),
            ("GET / HTTP/1.1\r\n\r\n", HeadError::HostMissing),
            ("GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n", HeadError::HostRepeated),
            ("GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", HeadError::HostRepeated),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HeadError::HostInvalid),
            ("GET http://x/ HTTP/1.1\r\nHost:\r\n\r\n", HeadError::HostInvalid),
            ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\n Host: x\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nHost: x\r\nA: b\x07\r\n\r\n", HeadError::FieldValue),
            ("GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", HeadError::FieldValue),
            ("GET / HTTP/1.1\r\nHost: x\r\n\rX\r\n", HeadError::BareCr),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::TransferEncodingInOldVersion),
        ] {
            assert_eq!(parse(head).unwrap_err(), error, "{}", head.escape_debug());
        }
    }
}
