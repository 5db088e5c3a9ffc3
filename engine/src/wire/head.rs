//! A request head: request line, field lines, and what they say about the message (RFC 9112 3, 5, 6, 9).

pub use super::framing::Framing;
pub use super::head_error::HeadError;
pub use super::method::Method;
pub use super::scanner::{HeadLimits, HeadScanner, Scan};

use super::fields::{FieldSpan, FieldTable, Span};
use super::framing::FramingFields;
use super::host::is_host;
use super::request_line::RequestLine;
use super::token::trim_ows;
use crate::limits::MAX_HEADERS;
use httparse::{EMPTY_HEADER, Header};

/// Field lines of an ordinary request. Clearing room for [`MAX_HEADERS`] instead would cost more than reading them.
const FEW_HEADERS: usize = 24;

/// One request head as ranges into its bytes. Reused from request to request: parsing allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The method; never [`Method::Connect`] after a successful parse.
    pub method: Method,
    /// The request target as sent.
    pub target: Span,
    /// The path, undecoded; `*` for `OPTIONS *`, empty for `http://host` (which means `/`).
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
    /// The client waits for 100 (Continue) before it sends the content; never true for HTTP/1.0 (RFC 9110 10.1.1).
    pub expect_continue: bool,
}

impl Head {
    /// Reads `bytes`, exactly one head as the scanner found it (`start..end`); all spans are relative to them.
    ///
    /// After an error the contents of `self` mean nothing.
    pub fn parse(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
        let line_end = memchr::memchr(b'\n', bytes).ok_or(HeadError::Truncated)?;
        let line = bytes[..line_end].strip_suffix(b"\r").ok_or(HeadError::BareLf)?;
        let line = RequestLine::parse(line, limits)?;
        self.method = line.method;
        self.target = line.target;
        self.path = line.path;
        self.query = line.query;
        self.minor_version = line.minor_version;

        let field_lines = &bytes[line_end + 1..];
        match httparse::parse_headers(field_lines, &mut [EMPTY_HEADER; FEW_HEADERS]) {
            Err(httparse::Error::TooManyHeaders) => {
                self.take_fields(bytes, httparse::parse_headers(field_lines, &mut [EMPTY_HEADER; MAX_HEADERS]))
            }
            parsed => self.take_fields(bytes, parsed),
        }
    }

    /// Stores the field lines and decides what they mean for this message.
    fn take_fields(&mut self, bytes: &[u8], parsed: httparse::Result<(usize, &[Header<'_>])>) -> Result<(), HeadError> {
        let headers = match parsed {
            Ok(httparse::Status::Complete((_, headers))) => headers,
            Ok(httparse::Status::Partial) => return Err(HeadError::Truncated),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyFields),
            Err(httparse::Error::HeaderValue) => return Err(HeadError::FieldValue),
            Err(httparse::Error::NewLine) => return Err(HeadError::BareCr),
            Err(_) => return Err(HeadError::FieldName),
        };
        self.fields.clear();
        let mut meaning = Meaning::default();
        for header in headers {
            let line = FieldSpan { name: span_in(bytes, header.name.as_bytes()), value: span_in(bytes, header.value) };
            if !self.fields.push(line) {
                return Err(HeadError::TooManyFields);
            }
            meaning.add(header.name.as_bytes(), header.value)?;
        }
        self.framing = meaning.framing.decide(self.minor_version)?;
        match meaning.host {
            Some(host) if !is_host(host) => return Err(HeadError::HostInvalid),
            None if self.minor_version > 0 => return Err(HeadError::HostMissing),
            _ => {}
        }
        if meaning.unknown_expectation {
            return Err(HeadError::Expectation);
        }
        self.keep_alive = !meaning.close && (self.minor_version > 0 || meaning.keep_alive);
        // An HTTP/1.0 client knows no interim answers: the expectation is ignored (RFC 9110 10.1.1).
        self.expect_continue = meaning.expect_continue && self.minor_version > 0;
        Ok(())
    }
}

/// Where `part`, a slice of `whole`, lies in it.
#[inline]
fn span_in(whole: &[u8], part: &[u8]) -> Span {
    let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    // A head is at most MAX_HEAD_BYTES_CEILING bytes: 32 bits always fit.
    Span { start: start as u32, end: (start + part.len()) as u32 }
}

/// What the field lines say about the message itself.
#[derive(Default)]
struct Meaning<'a> {
    host: Option<&'a [u8]>,
    framing: FramingFields<'a>,
    close: bool,
    keep_alive: bool,
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
            10 if name.eq_ignore_ascii_case(b"connection") => self.add_connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.framing.add_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.framing.add_coding(value),
            _ => {}
        }
        Ok(())
    }

    /// Members that are no tokens are ignored, as any unknown option (RFC 9110 7.6.1).
    fn add_connection(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',').map(trim_ows) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}
