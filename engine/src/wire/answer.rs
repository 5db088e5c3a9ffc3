//! The answer to a request, apart from how it is sent: status, fields and content (RFC 9110 6). HTTP/1.1 writes it by
//! [`super::reply`].

use super::date::HttpDate;
use super::decimal::put_decimal;
use super::field_lines::{FieldLines, name_of};

/// The fields of [`Answer::security`], as a literal.
macro_rules! security_lines {
    () => {
        "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
    };
}

/// The fields of [`Given::Json`], as a literal.
macro_rules! json_lines {
    () => {
        "content-type: application/json; charset=utf-8\r\n"
    };
}

pub(super) use {json_lines, security_lines};

pub(super) const SECURITY: FieldLines<'static> = FieldLines::new(security_lines!().as_bytes());
const JSON: FieldLines<'static> = FieldLines::new(json_lines!().as_bytes());

/// One final answer, whole or with content that follows.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// 100 to 999; anything else is sent as 500.
    pub status: u16,
    /// What depends on the request: its id, CORS, what would do instead.
    pub own: FieldLines<'a>,
    /// The other fields, and who has put them together.
    pub given: Given<'a>,
    /// Sends `X-Content-Type-Options: nosniff` and `X-Frame-Options: DENY`.
    pub security: bool,
    /// The value of `Date`, unless the application has written one.
    pub date: &'a HttpDate,
    /// What follows the head.
    pub content: Content<'a>,
}

/// The fields of an answer that do not depend on the request.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// The engine's JSON: its `content-type`.
    Json,
    /// These, of the engine.
    Engine(FieldLines<'a>),
    /// These, of the application. A field in [`Answer::own`] gives way to the application's of the same name, but for
    /// `Vary`, of which there may be several; the security fields replace the application's.
    Application {
        /// The reason phrase, a field value; empty for the usual one. HTTP/2 has none.
        reason: &'a [u8],
        /// As [`super::field_lines::put_field`] has written them.
        fields: FieldLines<'a>,
    },
}

/// The content of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// None, and no length is said.
    Absent,
    /// These pieces, one behind the other.
    Whole([&'a [u8]; 3]),
    /// So many bytes, which are not sent: the request was a HEAD (RFC 9110 9.3.2).
    Withheld(u64),
    /// It comes in pieces; so many bytes, where that is promised.
    Streamed(Option<u64>),
}

impl<'a> Content<'a> {
    /// This text.
    #[inline]
    #[must_use]
    pub fn text(text: &'a [u8]) -> Self {
        Content::Whole([text, b"", b""])
    }

    /// The same length, but nothing is sent, if `head_only`.
    #[must_use]
    pub fn withheld_if(self, head_only: bool) -> Self {
        match self {
            Content::Whole(_) if head_only => Content::Withheld(self.length().unwrap_or_default()),
            content => content,
        }
    }

    /// The length, where it is known.
    #[inline]
    #[must_use]
    pub fn length(self) -> Option<u64> {
        match self {
            Content::Absent => None,
            Content::Whole(pieces) => Some(pieces.iter().map(|piece| piece.len() as u64).sum()),
            Content::Withheld(length) => Some(length),
            Content::Streamed(length) => length,
        }
    }

    /// What is sent with the head.
    #[inline]
    #[must_use]
    pub fn pieces(self) -> [&'a [u8]; 3] {
        match self {
            Content::Whole(pieces) => pieces,
            Content::Absent | Content::Withheld(_) | Content::Streamed(_) => [b""; 3],
        }
    }
}

impl<'a> Answer<'a> {
    /// The fields in the order in which they are sent, but for those that only a version of HTTP knows (`Connection`,
    /// `Transfer-Encoding`). Names are in the case of the contract; HTTP/2 wants them in lower case (RFC 9113 8.2.1).
    pub fn for_each_field(&self, mut put: impl FnMut(&[u8], &[u8])) {
        let given = self.given.fields();
        self.own.iter().filter(|(name, _)| self.keeps_own(name)).for_each(|(name, value)| put(name, value));
        given.iter().filter(|(name, _)| self.keeps_given(name)).for_each(|(name, value)| put(name, value));
        if has_content(self.status)
            && let Some(length) = self.content.length()
        {
            let mut digits = Vec::with_capacity(20);
            put_decimal(&mut digits, length);
            put(b"content-length", &digits);
        }
        if self.security {
            SECURITY.iter().for_each(|(name, value)| put(name, value));
        }
        if !self.is_dated() {
            put(b"Date", self.date.as_bytes());
        }
    }

    /// False for a field in `own` that gives way to one of the application.
    pub(super) fn keeps_own(&self, name: &[u8]) -> bool {
        match self.given {
            Given::Application { fields, .. } => name.eq_ignore_ascii_case(b"vary") || !fields.has(name),
            Given::Json | Given::Engine(_) => true,
        }
    }

    /// False for a given field that one of the security fields replaces.
    pub(super) fn keeps_given(&self, name: &[u8]) -> bool {
        let replaced = self.security && matches!(self.given, Given::Application { .. }) && SECURITY.has(name);
        !replaced
    }

    /// True when the application has written the date.
    pub(super) fn is_dated(&self) -> bool {
        matches!(self.given, Given::Application { fields, .. } if fields.has(b"date"))
    }

    /// The lines of `own` that are sent.
    pub(super) fn own_lines(&self) -> impl Iterator<Item = &'a [u8]> {
        self.own.lines().filter(|line| self.keeps_own(name_of(line)))
    }

    /// Those of the given ones that are.
    pub(super) fn given_lines(&self) -> impl Iterator<Item = &'a [u8]> {
        self.given.fields().lines().filter(|line| self.keeps_given(name_of(line)))
    }
}

impl<'a> Given<'a> {
    /// As they were given.
    #[inline]
    #[must_use]
    pub fn fields(self) -> FieldLines<'a> {
        match self {
            Given::Json => JSON,
            Given::Engine(fields) | Given::Application { fields, .. } => fields,
        }
    }
}

/// True for a status that may be sent with an answer of the application: final, and known to be one.
#[must_use]
pub fn is_final_status(status: u16) -> bool {
    (200..=599).contains(&status)
}

/// False for the statuses whose answers end with the head, and say no length (RFC 9110 6.4.1 and 8.6).
#[inline]
#[must_use]
pub fn has_content(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OWN: FieldLines<'static> =
        FieldLines::new(b"x-runner-request-id: a\r\nVary: Origin\r\nAccess-Control-Allow-Origin: *\r\n");

    fn fields(answer: &Answer<'_>) -> Vec<String> {
        let mut all = Vec::new();
        answer.for_each_field(|name, value| {
            all.push(format!("{}={}", name.escape_ascii(), value.escape_ascii()));
        });
        all
    }

    #[test]
    fn fields_are_in_the_order_of_the_contract() {
        let date = HttpDate::from_unix(784_111_777);
        let content = Content::Whole([b"{\"ok\":true,\"result\":", b"3", b"}"]);
        let answer = Answer { status: 200, own: OWN, given: Given::Json, security: true, date: &date, content };
        let json = [
            "x-runner-request-id=a",
            "Vary=Origin",
            "Access-Control-Allow-Origin=*",
            "content-type=application/json; charset=utf-8",
            "content-length=22",
            "X-Content-Type-Options=nosniff",
            "X-Frame-Options=DENY",
            "Date=Sun, 06 Nov 1994 08:49:37 GMT",
        ];
        assert_eq!(fields(&answer), json);
        let preflight = Answer { status: 204, given: Given::Engine(FieldLines::NONE), security: false, ..answer };
        assert_eq!(fields(&preflight), [&json[..3], &json[7..]].concat());
    }

    #[test]
    fn own_fields_give_way_to_the_application_and_security_to_nobody() {
        let date = HttpDate::from_unix(0);
        let given = FieldLines::new(
            b"access-control-allow-origin: x\r\nVary: Accept\r\nX-Frame-Options: SAMEORIGIN\r\nDATE: now\r\n",
        );
        let given = Given::Application { reason: b"", fields: given };
        let content = Content::Streamed(None);
        let answer = Answer { status: 206, own: OWN, given, security: true, date: &date, content };
        let own = ["x-runner-request-id=a", "Vary=Origin", "access-control-allow-origin=x", "Vary=Accept"];
        let security = ["X-Content-Type-Options=nosniff", "X-Frame-Options=DENY"];
        assert_eq!(fields(&answer), [&own[..], &["DATE=now"], &security].concat());
        let bare = Answer { security: false, content: Content::Streamed(Some(7)), ..answer };
        assert_eq!(fields(&bare), [&own[..], &["X-Frame-Options=SAMEORIGIN", "DATE=now", "content-length=7"]].concat());
    }

    #[test]
    fn the_answer_to_a_head_says_the_length_and_sends_nothing() {
        let content = Content::Whole([b"ab", b"", b"c"]);
        assert_eq!(content.withheld_if(false), content);
        let withheld = content.withheld_if(true);
        assert_eq!((withheld, withheld.length()), (Content::Withheld(3), Some(3)));
        assert_eq!((withheld.pieces().concat(), content.pieces().concat()), (Vec::new(), b"abc".to_vec()));
        assert_eq!(Content::Absent.withheld_if(true), Content::Absent);
    }

    #[test]
    fn some_statuses_end_with_the_head() {
        for (status, content, is_final) in
            [(100, false, false), (199, false, false), (200, true, true), (204, false, true), (205, true, true)]
                .into_iter()
                .chain([(304, false, true), (599, true, true), (600, true, false)])
        {
            assert_eq!((has_content(status), is_final_status(status)), (content, is_final), "{status}");
        }
    }
}
