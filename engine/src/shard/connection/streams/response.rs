//! The head of an answer as HTTP/2 sends it (RFC 9113 8.3.2): fields in lower case, and none that is about a connection.

use std::cell::RefCell;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::wire::answer::{Answer, Given};

/// Fields that an answer usually has, so that their names need not be looked up.
static USUAL: [HeaderName; 9] = [
    HeaderName::from_static("x-runner-request-id"),
    CONTENT_TYPE,
    CONTENT_LENGTH,
    http::header::X_CONTENT_TYPE_OPTIONS,
    http::header::X_FRAME_OPTIONS,
    DATE,
    http::header::VARY,
    http::header::ACCESS_CONTROL_ALLOW_ORIGIN,
    http::header::CACHE_CONTROL,
];

/// Values that an answer usually has, so that they need not be copied.
static USUAL_VALUES: [HeaderValue; 3] = [
    HeaderValue::from_static("application/json; charset=utf-8"),
    HeaderValue::from_static("nosniff"),
    HeaderValue::from_static("DENY"),
];

/// The field whose value no other answer has: kept out of the table that both sides keep of fields (RFC 7541 7.1.3), where it
/// would push out those that come again, and be compared with each of its kind.
const UNIQUE: &HeaderName = &USUAL[0];

/// True for a field that an application or a server may have set, and that means nothing on a stream (RFC 9113 8.2.2).
pub(in crate::shard) fn is_of_connection(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || *name == TE
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

/// The fields of an answer with a result, which the next ones most likely have as well: they are put together once.
#[derive(Default)]
struct LastFields {
    /// Their names, and the values that others may have.
    text: Vec<u8>,
    fields: HeaderMap,
    /// Memory for what `text` is compared with.
    other: Vec<u8>,
}

thread_local! {
    static LAST: RefCell<LastFields> = RefCell::default();
}

/// The head of `answer`.
pub(super) fn head_of(answer: &Answer<'_>) -> Response<()> {
    let last = match answer.given {
        Given::Json => LAST.with_borrow_mut(|last| last.fields_of(answer)),
        Given::Application { .. } | Given::Engine(_) => None,
    };
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = last.unwrap_or_else(|| fields_of(answer));
    response
}

fn fields_of(answer: &Answer<'_>) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(12);
    answer.for_each_field(|name, value| {
        let Some(name) = name_of(name) else { return };
        if let Some(mut value) = value_of(value)
            && !is_of_connection(&name)
        {
            value.set_sensitive(name == UNIQUE);
            // There is a bound on how many there are. Those beyond it are left out, as no client takes so many.
            let _ = fields.try_append(name, value);
        }
    });
    fields
}

impl LastFields {
    /// The fields of `answer`, unless they are too odd.
    fn fields_of(&mut self, answer: &Answer<'_>) -> Option<HeaderMap> {
        let (mut id, mut length, mut odd) = (None, None, false);
        self.other.clear();
        answer.for_each_field(|name, value| {
            self.other.extend_from_slice(name);
            let own = match name {
                b"x-runner-request-id" => &mut id,
                b"content-length" => &mut length,
                _ => {
                    self.other.push(b':');
                    self.other.extend_from_slice(value);
                    self.other.push(b'\n');
                    return;
                }
            };
            self.other.push(b'\n');
            match HeaderValue::from_bytes(value) {
                Ok(value) => odd |= own.replace(value).is_some(),
                Err(_) => odd = true,
            }
        });
        if odd {
            return None;
        }
        if self.other != self.text {
            self.fields = fields_of(answer);
            std::mem::swap(&mut self.text, &mut self.other);
        }
        let mut fields = self.fields.clone();
        for (name, value) in [(UNIQUE, id), (&CONTENT_LENGTH, length)] {
            if let Some(mut value) = value
                && let Some(field) = fields.get_mut(name)
            {
                value.set_sensitive(name == UNIQUE);
                *field = value;
            }
        }
        Some(fields)
    }
}

fn name_of(name: &[u8]) -> Option<HeaderName> {
    let is_it = |usual: &&HeaderName| {
        let usual = usual.as_str().as_bytes();
        usual.len() == name.len() && usual.eq_ignore_ascii_case(name)
    };
    let usual = USUAL.iter().find(is_it);
    usual.cloned().or_else(|| HeaderName::from_bytes(name).ok())
}

fn value_of(value: &[u8]) -> Option<HeaderValue> {
    let usual = USUAL_VALUES.iter().find(|usual| usual.len() == value.len() && usual.as_bytes() == value);
    usual.cloned().or_else(|| HeaderValue::from_bytes(value).ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::answer::Content;
    use crate::wire::date::HttpDate;
    use crate::wire::field_lines::FieldLines;

    #[test]
    fn fields_are_in_lower_case_and_none_is_about_a_connection() {
        let date = HttpDate::from_unix(0);
        let own = FieldLines::new(b"x-runner-request-id: a\r\nVary: Origin\r\n");
        let fields = FieldLines::new(
            b"Connection: x\r\nKeep-Alive: 1\r\nTransfer-Encoding: x\r\nUpgrade: x\r\nTE: gzip\r\nProxy-Connection: x\r\nX-Mine: 1\r\nVary: A\r\n",
        );
        let given = Given::Application { reason: b"Fine", fields };
        let content = Content::text(b"abc");
        let head = head_of(&Answer { status: 201, own, given, security: true, date: &date, content });
        let fields: Vec<_> =
            head.headers().iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        let expected = [
            "x-runner-request-id=a",
            "vary=Origin",
            "vary=A",
            "x-mine=1",
            "content-length=3",
            "x-content-type-options=nosniff",
            "x-frame-options=DENY",
            "date=Thu, 01 Jan 1970 00:00:00 GMT",
        ];
        assert_eq!((head.status().as_u16(), &fields[..]), (201, &expected.map(str::to_owned)[..]));
        let many: String = (0..40_000).map(|at| format!("x-{at}: 1\r\n")).collect();
        let given = Given::Application { reason: b"", fields: FieldLines::new(many.as_bytes()) };
        let most = head_of(&Answer { status: 200, own, given, security: true, date: &date, content });
        assert!(most.headers().len() > 20_000, "as many as there may be");
        let odd = Answer { status: 7, own, given: Given::Json, security: false, date: &date, content };
        assert_eq!(head_of(&odd).status(), 500);
    }

    #[test]
    fn each_answer_has_its_own_fields_whatever_those_before_had() {
        let dates = [HttpDate::from_unix(0), HttpDate::from_unix(1)];
        let own = ["x-runner-request-id: a\r\n", "x-runner-request-id: bc\r\nVary: Origin\r\n", "Vary: Origin\r\n"];
        let contents = ["", "{}", "{\"ok\":true}"].map(|text| Content::text(text.as_bytes()));
        for at in [0, 0, 1, 8, 8, 2, 3, 0, 4, 5, 6, 6, 7, 8, 1] {
            let own = FieldLines::new(own[at % 3].as_bytes());
            let (date, content) = (&dates[at % 2], contents[at / 3]);
            let answer = Answer { status: 200, own, given: Given::Json, security: at < 4, date, content };
            let head = head_of(&answer);
            assert_eq!(head.headers(), &fields_of(&answer), "{at}");
            let kept_out: Vec<_> = head.headers().iter().filter(|(_, value)| value.is_sensitive()).collect();
            assert!(kept_out.iter().all(|(name, _)| *name == UNIQUE), "{kept_out:?}");
            assert_eq!(kept_out.len(), head.headers().get_all(UNIQUE).iter().count());
        }
        let twice = FieldLines::new(b"x-runner-request-id: a\r\nx-runner-request-id: b\r\n");
        let odd = Answer {
            status: 200,
            own: twice,
            given: Given::Json,
            security: true,
            date: &dates[0],
            content: contents[1],
        };
        assert_eq!(head_of(&odd).headers().get_all(UNIQUE).iter().count(), 2);
    }
}
