//! An answer whose head an application has put together: its lines are checked, ours are kept apart from them.

use super::answer_body::AnswerFraming;
use super::date::HttpDate;
use super::reply::{Connection, put_decimal};
use super::status::reason_phrase;
use super::token::{is_field_value, is_token};

/// Lines that only the server may write: they say where the message and the connection end.
const OURS: [&[u8]; 4] = [b"connection", b"keep-alive", b"transfer-encoding", b"content-length"];

/// Lines that [`RawReply::security`] puts in place of the application's.
const SECURITY_NAMES: [&[u8]; 2] = [b"x-content-type-options", b"x-frame-options"];

/// A name that is no token, or a value (or reason) with a control byte: writing it could add lines or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine;

/// Appends one header line of the application, or nothing for those that are not its to write.
///
/// # Errors
/// [`BadLine`], after which `out` is as before.
pub fn put_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), BadLine> {
    if !is_token(name) || !is_field_value(value) {
        return Err(BadLine);
    }
    if !OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// True for a status that may be written with a raw answer: final, and known to be one.
#[must_use]
pub fn is_final_status(status: u16) -> bool {
    (200..=599).contains(&status)
}

/// False for the statuses whose answers end with the head (RFC 9110 6.4.1).
#[must_use]
pub fn has_content(status: u16) -> bool {
    !matches!(status, 204 | 304)
}

/// The head of a raw answer. An own line gives way to the application's line of the same name, but for the security
/// lines, which replace it, and `Vary`, of which there may be several.
#[derive(Clone, Copy, Debug)]
pub struct RawReply<'a> {
    /// 200 to 599.
    pub status: u16,
    /// The reason phrase, a field value; empty for the usual one.
    pub reason: &'a [u8],
    /// Our own lines (request id, CORS), each with its CRLF.
    pub own: &'a [u8],
    /// The application's lines, as [`put_line`] has written them.
    pub lines: &'a [u8],
    /// How the body is delimited. Without meaning for 204 and 304, which have none.
    pub framing: AnswerFraming,
    /// Send `X-Content-Type-Options` and `X-Frame-Options`.
    pub security: bool,
    /// The value of `Date`, unless the application has written one.
    pub date: &'a HttpDate,
    /// Kept or closed.
    pub connection: Connection,
}

impl RawReply<'_> {
    /// False for the statuses whose answers end with the head (RFC 9110 6.4.1).
    #[must_use]
    pub fn has_body(&self) -> bool {
        has_content(self.status)
    }

    /// Appends the head, final empty line included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        put_decimal(out, u64::from(self.status));
        out.push(b' ');
        out.extend_from_slice(if self.reason.is_empty() { reason_phrase(self.status).as_bytes() } else { self.reason });
        out.extend_from_slice(b"\r\n");
        for (name, line) in lines_of(self.own) {
            if name.eq_ignore_ascii_case(b"vary") || !has_line(self.lines, name) {
                out.extend_from_slice(line);
            }
        }
        for (name, line) in lines_of(self.lines) {
            if !self.security || !SECURITY_NAMES.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
                out.extend_from_slice(line);
            }
        }
        match self.framing {
            AnswerFraming::Length(length) if self.has_body() => {
                out.extend_from_slice(b"content-length: ");
                put_decimal(out, length);
                out.extend_from_slice(b"\r\n");
            }
            AnswerFraming::Chunked if self.has_body() => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            _ => {}
        }
        if self.security {
            out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n");
        }
        if !has_line(self.lines, b"date") {
            out.extend_from_slice(b"Date: ");
            out.extend_from_slice(self.date.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        match self.connection {
            Connection::KeepAlive { hint_s } => {
                out.extend_from_slice(b"Connection: keep-alive\r\nKeep-Alive: timeout=");
                put_decimal(out, u64::from(hint_s));
                out.extend_from_slice(b"\r\n\r\n");
            }
            Connection::Close => out.extend_from_slice(b"Connection: close\r\n\r\n"),
        }
    }
}

/// Name and whole text of each line.
fn lines_of(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        (&line[..colon], line)
    })
}

fn has_line(lines: &[u8], name: &[u8]) -> bool {
    lines_of(lines).any(|(known, _)| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OWN: &[u8] = b"x-runner-request-id: a\r\nVary: Origin\r\nAccess-Control-Allow-Origin: *\r\n";

    fn lines(given: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in given {
            put_line(&mut out, name.as_bytes(), value.as_bytes()).unwrap();
        }
        out
    }

    fn encode(status: u16, given: &[(&str, &str)], security: bool) -> String {
        encode_framed(status, given, security, AnswerFraming::Length(3))
    }

    fn encode_framed(status: u16, given: &[(&str, &str)], security: bool, framing: AnswerFraming) -> String {
        let (mut out, date) = (Vec::new(), HttpDate::from_unix(0));
        let lines = lines(given);
        let connection = Connection::KeepAlive { hint_s: 5 };
        RawReply { status, reason: b"", own: OWN, lines: &lines, framing, security, date: &date, connection }
            .encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_whole_lines_are_written() {
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\nb", "x"),
            ("a\0", "x"),
            ("é", "x"),
            ("a", "x\r\nevil: 1"),
            ("a", "x\n"),
            ("a", "\r"),
            ("a", "\0"),
            ("a", "\x7f"),
        ] {
            let mut out = b"kept".to_vec();
            assert_eq!(put_line(&mut out, name.as_bytes(), value.as_bytes()), Err(BadLine), "{name:?} {value:?}");
            assert_eq!(out, b"kept");
        }
        assert_eq!(lines(&[("A", ""), ("b", "x\ty \u{e9}")]), "A: \r\nb: x\ty \u{e9}\r\n".as_bytes());
        let framing = [("Connection", "x"), ("keep-alive", "x"), ("Transfer-Encoding", "x"), ("CONTENT-LENGTH", "1")];
        assert_eq!(lines(&framing), b"");
    }

    #[test]
    fn own_lines_come_first_and_give_way() {
        let tail = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n";
        assert_eq!(
            encode(
                206,
                &[("content-type", "text/csv"), ("Vary", "Accept"), ("set-cookie", "a"), ("set-cookie", "b")],
                true
            ),
            format!(
                "HTTP/1.1 206 Partial Content\r\nx-runner-request-id: a\r\nVary: Origin\r\n\
                 Access-Control-Allow-Origin: *\r\ncontent-type: text/csv\r\nVary: Accept\r\nset-cookie: a\r\n\
                 set-cookie: b\r\ncontent-length: 3\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n{tail}"
            )
        );
        let mine = [
            ("Access-Control-Allow-Origin", "https://x"),
            ("X-Frame-Options", "SAMEORIGIN"),
            ("X-Runner-Request-Id", "b"),
        ];
        let theirs =
            "Access-Control-Allow-Origin: https://x\r\nX-Frame-Options: SAMEORIGIN\r\nX-Runner-Request-Id: b\r\n";
        assert_eq!(
            encode(200, &mine, false),
            format!("HTTP/1.1 200 OK\r\nVary: Origin\r\n{theirs}content-length: 3\r\n{tail}")
        );
        let secured = encode(200, &mine, true);
        assert!(secured.contains("X-Frame-Options: DENY") && !secured.contains("SAMEORIGIN"), "{secured}");
        assert_eq!(encode(200, &[("date", "now")], false).matches("ate:").count(), 1);
    }

    #[test]
    fn a_body_of_unknown_length_is_chunked_or_ends_the_connection() {
        let chunked = encode_framed(200, &[("content-length", "7")], true, AnswerFraming::Chunked);
        assert!(chunked.contains("\r\nTransfer-Encoding: chunked\r\n"), "{chunked}");
        for text in [&chunked, &encode_framed(200, &[], true, AnswerFraming::UntilClose)] {
            assert!(!text.contains("content-length"), "{text}");
        }
        assert!(!encode_framed(200, &[], true, AnswerFraming::UntilClose).contains("chunked"));
    }

    #[test]
    fn answers_that_have_no_body_say_no_length() {
        for status in [204, 304] {
            for framing in [AnswerFraming::Length(3), AnswerFraming::Chunked, AnswerFraming::NoContent] {
                let text = encode_framed(status, &[], true, framing).to_ascii_lowercase();
                assert!(!text.contains("content-length") && !text.contains("transfer-encoding"), "{text}");
            }
        }
        assert!(encode(205, &[], true).contains("content-length: 3"));
        assert!(is_final_status(200) && is_final_status(599) && !is_final_status(199) && !is_final_status(600));
    }
}
