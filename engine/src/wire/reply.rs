//! Answers as HTTP/1.1 sends them (RFC 9112 4, RFC 9110 8), appended to a send buffer.

use super::answer::{Answer, Content, Given, SECURITY, has_content, json_lines, security_lines};
use super::date::HttpDate;
use super::decimal::put_decimal;
use super::field_lines::FieldLines;
use super::status::{known_status_line, reason_phrase};

/// The interim answer that makes a client send its content (RFC 9110 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The seconds that [`Connection::KeepAlive`] announces by default.
pub const KEEP_ALIVE_HINT_S: u32 = 5;

const CLOSE: &[u8] = b"\r\nConnection: close\r\n\r\n";
const KEEP_ALIVE_5: &[u8] = b"\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n";

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

impl Answer<'_> {
    /// Appends the head, final empty line included, and what there is of the content. Does not allocate beyond the growth
    /// of `out`.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>, connection: Connection) {
        if let (200, Given::Json, true, Content::Whole(pieces), Connection::KeepAlive { hint_s: KEEP_ALIVE_HINT_S }) =
            (self.status, self.given, self.security, self.content, connection)
        {
            return encode_json_ok(out, self.own, pieces, self.date);
        }
        self.encode_head(out, false, connection);
        if has_content(self.status) {
            for piece in self.content.pieces() {
                out.extend_from_slice(piece);
            }
        }
    }

    /// Appends the head alone, final empty line included. Fields are written in the order of [`Self::for_each_field`]; in
    /// front of the security fields stands what delimits the content, if it comes in chunks.
    pub fn encode_head(&self, out: &mut Vec<u8>, chunked: bool, connection: Connection) {
        debug_assert!(self.own.is_well_formed() && self.given.fields().is_well_formed(), "{self:?}");
        put_status_line(out, self.status, self.given);
        match self.given {
            Given::Json | Given::Engine(_) => {
                out.extend_from_slice(self.own.as_bytes());
                out.extend_from_slice(self.given.fields().as_bytes());
            }
            Given::Application { .. } => {
                self.own_lines().chain(self.given_lines()).for_each(|line| out.extend_from_slice(line));
            }
        }
        if has_content(self.status) {
            if chunked {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            } else if let Some(length) = self.content.length() {
                out.extend_from_slice(b"content-length: ");
                put_decimal(out, length);
                out.extend_from_slice(b"\r\n");
            }
        }
        if self.security {
            out.extend_from_slice(SECURITY.as_bytes());
        }
        if self.is_dated() {
            // What follows begins with the end of the line before it.
            out.truncate(out.len() - 2);
        } else {
            out.extend_from_slice(b"Date: ");
            out.extend_from_slice(self.date.as_bytes());
        }
        match connection {
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

/// Appends the answer that nearly all calls get: 200, JSON, security fields, kept alive with the default hint. The bytes
/// are those that [`Answer::encode_head`] would write, and the content.
#[inline]
fn encode_json_ok(out: &mut Vec<u8>, own: FieldLines<'_>, pieces: [&[u8]; 3], date: &HttpDate) {
    const BEFORE_LENGTH: &[u8] = concat!(json_lines!(), "content-length: ").as_bytes();
    const BEFORE_DATE: &[u8] = concat!("\r\n", security_lines!(), "Date: ").as_bytes();
    debug_assert!(own.is_well_formed(), "{own:?}");
    let [before, json, behind] = pieces;
    let (own, length) = (own.as_bytes(), before.len() + json.len() + behind.len());
    // One reservation: 19 more bytes than all pieces need, for the digits.
    out.reserve(17 + own.len() + BEFORE_LENGTH.len() + 20 + BEFORE_DATE.len() + 29 + KEEP_ALIVE_5.len() + length);
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    out.extend_from_slice(own);
    out.extend_from_slice(BEFORE_LENGTH);
    put_decimal(out, length as u64);
    out.extend_from_slice(BEFORE_DATE);
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(KEEP_ALIVE_5);
    out.extend_from_slice(before);
    out.extend_from_slice(json);
    match behind {
        // The brace that ends an envelope.
        [byte] => out.push(*byte),
        _ => out.extend_from_slice(behind),
    }
}

fn put_status_line(out: &mut Vec<u8>, status: u16, given: Given<'_>) {
    let status = if (100..=999).contains(&status) { status } else { 500 };
    let reason = match given {
        Given::Application { reason, .. } => reason,
        Given::Json | Given::Engine(_) => b"",
    };
    if reason.is_empty()
        && let Some(line) = known_status_line(status)
    {
        return out.extend_from_slice(line);
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    put_decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(if reason.is_empty() { reason_phrase(status).as_bytes() } else { reason });
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::field_lines::put_field;
    use super::*;

    const OWN: FieldLines<'static> =
        FieldLines::new(b"x-runner-request-id: a\r\nVary: Origin\r\nAccess-Control-Allow-Origin: *\r\n");
    const KEPT: Connection = Connection::KeepAlive { hint_s: KEEP_ALIVE_HINT_S };

    fn answer(date: &HttpDate) -> Answer<'_> {
        let content = Content::Whole([b"{\"ok\":", b"true", b"}"]);
        Answer { status: 200, own: OWN, given: Given::Json, security: true, date, content }
    }

    fn encode(answer: Answer<'_>, connection: Connection) -> String {
        let mut out = Vec::new();
        answer.encode(&mut out, connection);
        String::from_utf8(out).unwrap()
    }

    fn head(answer: Answer<'_>, chunked: bool) -> String {
        let mut out = Vec::new();
        answer.encode_head(&mut out, chunked, KEPT);
        String::from_utf8(out).unwrap()
    }

    fn fields(given: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in given {
            put_field(&mut out, name.as_bytes(), value.as_bytes()).unwrap();
        }
        out
    }

    #[test]
    fn lines_are_in_the_order_and_case_of_the_contract() {
        let date = HttpDate::from_unix(784_111_777);
        let expected = "HTTP/1.1 200 OK\r\nx-runner-request-id: a\r\nVary: Origin\r\n\
            Access-Control-Allow-Origin: *\r\n\
            content-type: application/json; charset=utf-8\r\ncontent-length: 11\r\n\
            X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
            Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n";
        let whole = encode(answer(&date), KEPT);
        assert_eq!(whole, format!("{expected}{{\"ok\":true}}"));
        // What is written in one go is what is written line by line.
        assert_eq!(head(answer(&date), false), expected);
        let withheld = Answer { content: answer(&date).content.withheld_if(true), ..answer(&date) };
        assert_eq!(encode(withheld, KEPT), expected);
    }

    #[test]
    fn answers_without_content_say_no_length() {
        let date = HttpDate::from_unix(0);
        for status in [100, 101, 204, 304] {
            let given = Given::Engine(FieldLines::NONE);
            for chunked in [false, true] {
                let text = head(Answer { status, given, ..answer(&date) }, chunked).to_ascii_lowercase();
                assert!(!text.contains("content-length") && !text.contains("transfer-encoding"), "{text}");
            }
            let text = encode(Answer { status, given, ..answer(&date) }, KEPT);
            assert!(text.ends_with("\r\n\r\n"), "{text}");
        }
        assert!(encode(Answer { status: 205, ..answer(&date) }, KEPT).contains("content-length: 11"));
        let closing = Answer {
            status: 400,
            own: FieldLines::NONE,
            given: Given::Engine(FieldLines::NONE),
            security: false,
            content: Content::text(b""),
            ..answer(&date)
        };
        assert_eq!(
            encode(closing, Connection::Close),
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
            assert!(encode(Answer { status, ..answer(&date) }, KEPT).starts_with(line), "{status}");
        }
        let text = head(answer(&date), false);
        assert!(text.ends_with("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n"), "{text}");
        let text = encode(answer(&date), Connection::KeepAlive { hint_s: 61 });
        assert!(text.ends_with("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=61\r\n\r\n{\"ok\":true}"), "{text}");
    }

    #[test]
    fn own_lines_come_first_and_give_way() {
        let date = HttpDate::from_unix(0);
        let encode = |status, given: &[(&str, &str)], security| {
            let fields = fields(given);
            let given = Given::Application { reason: b"", fields: FieldLines::new(&fields) };
            encode(Answer { status, given, security, content: Content::text(b"abc"), ..answer(&date) }, KEPT)
        };
        let tail = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nabc";
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
        let dated = encode(200, &[("date", "now")], false);
        assert_eq!(dated.matches("ate:").count(), 1);
        assert!(dated.contains("\r\ndate: now\r\ncontent-length: 3\r\nConnection: keep-alive\r\n"), "{dated}");
        // 204 and 304 end with the head.
        assert!(encode(304, &[], true).ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_reason_of_the_application_replaces_the_usual_one() {
        let date = HttpDate::from_unix(0);
        for (reason, line) in [(&b"Fine"[..], "HTTP/1.1 200 Fine\r\n"), (b"", "HTTP/1.1 200 OK\r\n")] {
            let given = Given::Application { reason, fields: FieldLines::NONE };
            assert!(encode(Answer { given, ..answer(&date) }, KEPT).starts_with(line));
        }
    }

    #[test]
    fn a_body_of_unknown_length_is_chunked_or_ends_the_connection() {
        let date = HttpDate::from_unix(0);
        let lines = fields(&[("content-length", "7")]);
        let given = Given::Application { reason: b"", fields: FieldLines::new(&lines) };
        let streamed = Answer { given, content: Content::Streamed(None), ..answer(&date) };
        let chunked = head(streamed, true);
        assert!(chunked.contains("\r\nTransfer-Encoding: chunked\r\n"), "{chunked}");
        let until_close = head(streamed, false);
        for text in [&chunked, &until_close] {
            assert!(!text.contains("content-length"), "{text}");
        }
        assert!(!until_close.contains("chunked"));
        let promised = head(Answer { content: Content::Streamed(Some(9)), ..streamed }, false);
        assert!(promised.contains("\r\ncontent-length: 9\r\n"), "{promised}");
    }
}
