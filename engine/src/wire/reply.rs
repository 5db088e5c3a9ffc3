//! Response heads (RFC 9112 4, RFC 9110 8), appended to a send buffer.

use super::date::HttpDate;
use super::status::{known_status_line, reason_phrase};

/// The interim answer that makes a client send its content (RFC 9110 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The seconds that [`Connection::KeepAlive`] announces by default.
pub const KEEP_ALIVE_HINT_S: u32 = 5;

const SECURITY: &[u8] = b"X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n";
const CLOSE: &[u8] = b"\r\nConnection: close\r\n\r\n";
const KEEP_ALIVE_5: &[u8] = b"\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n";

/// What an answer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// Value of `content-type`; empty sends none.
    pub media_type: &'a [u8],
    /// Value of `content-length`, in bytes.
    pub length: u64,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It stays open.
    KeepAlive {
        /// For how many idle seconds, as told to the client. Undici uses it so as not to write on a closing
        /// connection.
        hint_s: u32,
    },
    /// It is closed behind this answer.
    Close,
}

/// The head of one final answer. Lines are written in the order of the fields here; names in the case of the contract.
#[derive(Clone, Copy, Debug)]
pub struct ReplyHead<'a> {
    /// 100 to 999; anything else is sent as 500.
    pub status: u16,
    /// Complete header lines, each with its CRLF, put right behind the status line. Every name and value in it was
    /// checked before ([`super::token::is_token`], [`super::token::is_field_value`]).
    pub lines: &'a [u8],
    /// Type and length of the content; ignored for 1xx and 204, which have none (RFC 9110 8.6).
    pub content: Option<Content<'a>>,
    /// Sends `X-Content-Type-Options: nosniff` and `X-Frame-Options: DENY`.
    pub security: bool,
    /// The value of `Date`.
    pub date: &'a HttpDate,
    /// Kept or closed.
    pub connection: Connection,
}

impl ReplyHead<'_> {
    /// Appends the head, final empty line included. Does not allocate beyond the growth of `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_status_line(out, self.status);
        out.extend_from_slice(self.lines);
        let bodiless = self.status / 100 == 1 || self.status == 204;
        if let Some(content) = self.content.filter(|_| !bodiless) {
            if !content.media_type.is_empty() {
                out.extend_from_slice(b"content-type: ");
                out.extend_from_slice(content.media_type);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"content-length: ");
            put_decimal(out, content.length);
            out.extend_from_slice(b"\r\n");
        }
        if self.security {
            out.extend_from_slice(SECURITY);
        }
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(self.date.as_bytes());
        match self.connection {
            Connection::KeepAlive { hint_s: KEEP_ALIVE_HINT_S } => out.extend_from_slice(KEEP_ALIVE_5),
            Connection::KeepAlive { hint_s } => {
                out.extend_from_slice(b"\r\nConnection: keep-alive\r\nKeep-Alive: timeout=");
                put_decimal(out, u64::from(hint_s));
                out.extend_from_slice(b"\r\n\r\n");
            }
            Connection::Close => out.extend_from_slice(CLOSE),
        }
    }
}

/// Appends the head of the answer that nearly all calls get: 200, JSON of `length` bytes, security lines, kept alive
/// with the default hint. The bytes are those of [`ReplyHead::encode`].
#[inline]
pub fn encode_json_ok(out: &mut Vec<u8>, lines: &[u8], length: u64, date: &HttpDate) {
    const BEFORE_LENGTH: &[u8] = b"content-type: application/json; charset=utf-8\r\ncontent-length: ";
    const BEFORE_DATE: &[u8] = b"\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nDate: ";
    // One reservation: 19 more bytes than all pieces need, for the digits.
    out.reserve(17 + lines.len() + BEFORE_LENGTH.len() + 20 + BEFORE_DATE.len() + 29 + KEEP_ALIVE_5.len());
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    out.extend_from_slice(lines);
    out.extend_from_slice(BEFORE_LENGTH);
    put_decimal(out, length);
    out.extend_from_slice(BEFORE_DATE);
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(KEEP_ALIVE_5);
}

fn put_status_line(out: &mut Vec<u8>, status: u16) {
    let status = if (100..=999).contains(&status) { status } else { 500 };
    if let Some(line) = known_status_line(status) {
        out.extend_from_slice(line);
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
        put_decimal(out, u64::from(status));
        out.push(b' ');
        out.extend_from_slice(reason_phrase(status).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a number in decimal digits.
#[inline]
pub fn put_decimal(out: &mut Vec<u8>, mut number: u64) {
    // 20 digits hold every u64.
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const JSON: Content<'_> = Content { media_type: b"application/json; charset=utf-8", length: 11 };

    fn encode(head: ReplyHead<'_>) -> String {
        let mut out = Vec::new();
        head.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn reply<'a>(date: &'a HttpDate) -> ReplyHead<'a> {
        ReplyHead {
            status: 200,
            lines: b"x-runner-request-id: a\r\nAccess-Control-Allow-Origin: *\r\n",
            content: Some(JSON),
            security: true,
            date,
            connection: Connection::KeepAlive { hint_s: 5 },
        }
    }

    #[test]
    fn lines_are_in_the_order_and_case_of_the_contract() {
        let date = HttpDate::from_unix(784_111_777);
        let expected = "HTTP/1.1 200 OK\r\nx-runner-request-id: a\r\nAccess-Control-Allow-Origin: *\r\n\
            content-type: application/json; charset=utf-8\r\ncontent-length: 11\r\n\
            X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
            Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n";
        assert_eq!(encode(reply(&date)), expected);
        let mut fast = Vec::new();
        encode_json_ok(&mut fast, reply(&date).lines, 11, &date);
        assert_eq!(String::from_utf8(fast).unwrap(), expected);
    }

    #[test]
    fn answers_without_content_say_no_length() {
        let date = HttpDate::from_unix(0);
        for status in [100, 101, 204] {
            let text = encode(ReplyHead { status, ..reply(&date) });
            assert!(!text.contains("content-"), "{text}");
        }
        let closing = ReplyHead {
            status: 400,
            lines: b"",
            content: Some(Content { media_type: b"", length: 0 }),
            security: false,
            connection: Connection::Close,
            ..reply(&date)
        };
        assert_eq!(
            encode(closing),
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
            Connection: close\r\n\r\n"
        );
    }

    #[test]
    fn odd_codes_and_hints() {
        let date = HttpDate::from_unix(0);
        for (status, line) in [
            (499, "HTTP/1.1 499 unknown\r\n"),
            (999, "HTTP/1.1 999 unknown\r\n"),
            (418, "HTTP/1.1 418 I'm a Teapot\r\n"),
            (1000, "HTTP/1.1 500 Internal Server Error\r\n"),
            (0, "HTTP/1.1 500 Internal Server Error\r\n"),
        ] {
            assert!(encode(ReplyHead { status, ..reply(&date) }).starts_with(line), "{status}");
        }
        let text = encode(ReplyHead { connection: Connection::KeepAlive { hint_s: 61 }, ..reply(&date) });
        assert!(text.ends_with("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=61\r\n\r\n"), "{text}");
    }

    #[test]
    fn decimal_digits() {
        for number in [0, 9, 10, 1_048_576, u64::MAX] {
            let mut out = Vec::new();
            put_decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
