//! An answer head: status line, field lines, and where its content ends (RFC 9112 4, 5, 6.3).

pub use super::scanner::AnswerScanner;

use super::body::{BodyReader, ChunkLimits};
use super::connection_options::ConnectionOptions;
use super::field_reader::{read_field_lines, split_start_line};
use super::fields::{FieldTable, Span};
use super::framing::{Framing, FramingFields};
use super::head_error::HeadError;
use super::head_limits::HeadLimits;
use super::method::Method;
use super::status_line::StatusLine;

/// What follows the head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerContent {
    /// Content that tells where it ends, or none; then the next answer.
    Framed(Framing),
    /// Content up to the end of the connection.
    UntilClose,
    /// No message: the connection is a tunnel from here on, or speaks another protocol (a `CONNECT` that succeeded, 101).
    Tunnel,
}

impl Default for AnswerContent {
    fn default() -> Self {
        AnswerContent::Framed(Framing::None)
    }
}

impl AnswerContent {
    /// A reader at the first byte behind the head; `None` where what follows is no content.
    #[must_use]
    pub fn reader(self, max_body_bytes: u64, limits: ChunkLimits) -> Option<BodyReader> {
        match self {
            AnswerContent::Framed(framing) => Some(BodyReader::within(framing, max_body_bytes, limits)),
            AnswerContent::UntilClose => Some(BodyReader::until_close(max_body_bytes)),
            AnswerContent::Tunnel => None,
        }
    }

    /// Decides as RFC 9112 6.3 does, in its order, refusing whatever another reader might decide otherwise.
    fn decide(asked: Method, line: &StatusLine, fields: &FramingFields<'_>) -> Result<AnswerContent, HeadError> {
        // Whatever such an answer says of content is ignored (RFC 9110 9.3.6).
        if asked == Method::Connect && (200..300).contains(&line.status) {
            return Ok(AnswerContent::Tunnel);
        }
        let framing = fields.decide(line.minor_version)?;
        match (line.status, framing) {
            (100..200 | 204, Framing::Length(1..)) => Err(HeadError::LengthWithoutContent),
            (100..200 | 204, Framing::Chunked) => Err(HeadError::TransferEncodingWithoutContent),
            (101, _) => Ok(AnswerContent::Tunnel),
            (100..200 | 204 | 304, _) => Ok(AnswerContent::Framed(Framing::None)),
            // What they say is of the answer to GET.
            _ if asked == Method::Head => Ok(AnswerContent::Framed(Framing::None)),
            (_, Framing::None) => Ok(AnswerContent::UntilClose),
            (_, framing) => Ok(AnswerContent::Framed(framing)),
        }
    }
}

/// One answer head as ranges into its bytes. Reused from answer to answer: parsing allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct AnswerHead {
    /// 100 to 999; what is not below 600 means as much as 500 (RFC 9110 15).
    pub status: u16,
    /// The reason phrase; may be empty.
    pub reason: Span,
    /// 0 or 1, of HTTP/1.x.
    pub minor_version: u8,
    /// All field lines in order.
    pub fields: FieldTable,
    /// What follows.
    pub content: AnswerContent,
    /// The connection may be used again after this message (RFC 9112 9.3).
    pub keep_alive: bool,
}

impl AnswerHead {
    /// Reads `bytes`, exactly one head as the scanner found it, of an answer to a request with the method `asked`; all
    /// spans are relative to them. Of the limits only the number of field lines counts: the scanner has seen to the others.
    ///
    /// After an error the contents of `self` mean nothing, and neither does what follows on the connection.
    pub fn parse(&mut self, bytes: &[u8], asked: Method, limits: &HeadLimits) -> Result<(), HeadError> {
        let (line, fields_start) = split_start_line(bytes)?;
        let line = StatusLine::parse(line)?;
        let (mut framing, mut connection) = (FramingFields::default(), ConnectionOptions::default());
        read_field_lines(bytes, fields_start, limits, &mut self.fields, |name, value| {
            // The length of the name decides first: few lines get to a comparison.
            match name.len() {
                10 if name.eq_ignore_ascii_case(b"connection") => connection.add(value),
                14 if name.eq_ignore_ascii_case(b"content-length") => framing.add_length(value),
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => framing.add_coding(value),
                _ => {}
            }
            Ok(())
        })?;
        self.status = line.status;
        self.reason = line.reason;
        self.minor_version = line.minor_version;
        self.content = AnswerContent::decide(asked, &line, &framing)?;
        self.keep_alive = matches!(self.content, AnswerContent::Framed(_)) && connection.persists(self.minor_version);
        Ok(())
    }

    /// The final answer is still to come (RFC 9110 15.2). Not so behind 101, which is the last word of HTTP.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(asked: Method, head: &str) -> Result<AnswerHead, HeadError> {
        let mut parsed = AnswerHead::default();
        parsed.parse(head.as_bytes(), asked, &HeadLimits::default()).map(|()| parsed)
    }

    fn content(asked: Method, status: u16, lines: &str) -> Result<AnswerContent, HeadError> {
        parse(asked, &format!("HTTP/1.1 {status} X\r\n{lines}\r\n")).map(|head| head.content)
    }

    const NONE: Result<AnswerContent, HeadError> = Ok(AnswerContent::Framed(Framing::None));
    const CHUNKED: Result<AnswerContent, HeadError> = Ok(AnswerContent::Framed(Framing::Chunked));
    const UNTIL_CLOSE: Result<AnswerContent, HeadError> = Ok(AnswerContent::UntilClose);
    const TUNNEL: Result<AnswerContent, HeadError> = Ok(AnswerContent::Tunnel);

    fn length(bytes: u64) -> Result<AnswerContent, HeadError> {
        Ok(AnswerContent::Framed(Framing::Length(bytes)))
    }

    #[test]
    fn all_parts_are_ranges_of_the_head() {
        let text = "HTTP/1.1 404 Not Found\r\nX-A: \t b \r\nContent-Length: 3\r\n\r\n";
        let head = parse(Method::Get, text).unwrap();
        assert_eq!((head.status, head.minor_version, head.keep_alive), (404, 1, true));
        assert_eq!(head.reason.of(text.as_bytes()), b"Not Found");
        let fields: Vec<_> = head.fields.of(text.as_bytes()).iter().collect();
        assert_eq!(fields, [(&b"X-A"[..], &b"b"[..]), (b"Content-Length", b"3")]);
    }

    #[test]
    fn status_and_method_say_first_whether_there_is_content() {
        const LENGTH: &str = "Content-Length: 5\r\n";
        const ZERO: &str = "Content-Length: 0\r\n";
        const CODED: &str = "Transfer-Encoding: chunked\r\n";
        use Method::{Connect, Get, Head};
        let long = Err(HeadError::LengthWithoutContent);
        let coded = Err(HeadError::TransferEncodingWithoutContent);
        for (asked, status, [plain, zero, with_length, with_coding]) in [
            (Get, 200, [UNTIL_CLOSE, length(0), length(5), CHUNKED]),
            (Get, 205, [UNTIL_CLOSE, length(0), length(5), CHUNKED]),
            (Get, 500, [UNTIL_CLOSE, length(0), length(5), CHUNKED]),
            (Get, 999, [UNTIL_CLOSE, length(0), length(5), CHUNKED]),
            (Get, 304, [NONE, NONE, NONE, NONE]),
            (Get, 204, [NONE, NONE, long, coded]),
            (Get, 100, [NONE, NONE, long, coded]),
            (Get, 103, [NONE, NONE, long, coded]),
            (Get, 101, [TUNNEL, TUNNEL, long, coded]),
            (Head, 200, [NONE, NONE, NONE, NONE]),
            (Head, 404, [NONE, NONE, NONE, NONE]),
            (Head, 204, [NONE, NONE, long, coded]),
            (Connect, 200, [TUNNEL, TUNNEL, TUNNEL, TUNNEL]),
            (Connect, 204, [TUNNEL, TUNNEL, TUNNEL, TUNNEL]),
            (Connect, 100, [NONE, NONE, long, coded]),
            (Connect, 407, [UNTIL_CLOSE, length(0), length(5), CHUNKED]),
        ] {
            for (lines, expected) in [("", plain), (ZERO, zero), (LENGTH, with_length), (CODED, with_coding)] {
                assert_eq!(content(asked, status, lines), expected, "{asked:?} {status} {lines}");
            }
        }
    }

    #[test]
    fn framing_that_is_doubtful_is_refused_whether_content_follows_or_not() {
        for (lines, error) in [
            ("Content-Length: 5\r\nContent-Length: 5\r\n", HeadError::ContentLengthRepeated),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", HeadError::ContentLengthRepeated),
            ("Content-Length: 5, 5\r\n", HeadError::ContentLength),
            ("Content-Length: +5\r\n", HeadError::ContentLength),
            ("Content-Length:\r\n", HeadError::ContentLength),
            ("Content-Length: 18446744073709551616\r\n", HeadError::ContentLengthTooLarge),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HeadError::TransferEncodingAndLength),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HeadError::TransferEncodingRepeated),
            ("Transfer-Encoding: chunked, gzip\r\n", HeadError::TransferEncoding),
            ("Transfer-Encoding: chunked, chunked\r\n", HeadError::TransferEncoding),
            ("Transfer-Encoding: gzip, chunked\r\n", HeadError::TransferCodingUnknown),
            ("Transfer-Encoding: identity\r\n", HeadError::TransferCodingUnknown),
            ("Transfer-Encoding: \u{b}chunked\r\n", HeadError::FieldValue),
            ("Transfer-Encoding : chunked\r\n", HeadError::FieldName),
            ("A: b\r\n Transfer-Encoding: chunked\r\n", HeadError::FieldName),
        ] {
            for (asked, status) in [(Method::Get, 200), (Method::Head, 200), (Method::Get, 304), (Method::Get, 204)] {
                assert_eq!(content(asked, status, lines), Err(error), "{asked:?} {status} {lines}");
            }
        }
        let old = parse(Method::Get, "HTTP/1.0 200 X\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(old.unwrap_err(), HeadError::TransferEncodingInOldVersion);
        // They are not read at all where the answer opens a tunnel.
        assert_eq!(content(Method::Connect, 200, "Content-Length: 5, 6\r\nTransfer-Encoding: x\r\n"), TUNNEL);
    }

    #[test]
    fn connections_go_on_where_the_end_of_the_content_is_known() {
        for (head, keep_alive) in [
            ("HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\n", true),
            ("HTTP/1.1 200 X\r\nContent-Length: 5\r\nConnection: a, CLOSE\r\n\r\n", false),
            ("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", true),
            ("HTTP/1.1 200 X\r\n\r\n", false),
            ("HTTP/1.1 200 X\r\nConnection: keep-alive\r\n\r\n", false),
            ("HTTP/1.1 204 X\r\n\r\n", true),
            ("HTTP/1.0 204 X\r\n\r\n", false),
            ("HTTP/1.0 200 X\r\nContent-Length: 5\r\n\r\n", false),
            ("HTTP/1.0 200 X\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n", true),
            ("HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n", false),
        ] {
            assert_eq!(parse(Method::Get, head).unwrap().keep_alive, keep_alive, "{head}");
        }
    }

    #[test]
    fn interim_answers_are_those_behind_which_another_comes() {
        for (status, interim) in [(100, true), (101, false), (102, true), (103, true), (199, true), (200, false)] {
            let head = format!("HTTP/1.1 {status} X\r\n\r\n");
            assert_eq!(parse(Method::Get, &head).unwrap().is_interim(), interim, "{status}");
        }
    }

    #[test]
    fn a_head_may_have_as_many_lines_as_the_limit_says() {
        let head = |lines: usize| format!("HTTP/1.1 200 X\r\n{}\r\n", "A: b\r\n".repeat(lines));
        let limits = HeadLimits { max_headers: 30, ..HeadLimits::default() };
        let mut parsed = AnswerHead::default();
        assert_eq!(parsed.parse(head(30).as_bytes(), Method::Get, &limits), Ok(()));
        assert_eq!(parsed.fields.of(head(30).as_bytes()).len(), 30);
        assert_eq!(parsed.parse(head(31).as_bytes(), Method::Get, &limits), Err(HeadError::TooManyFields));
    }
}
