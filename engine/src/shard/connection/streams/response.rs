//! The head of an answer as HTTP/2 sends it (RFC 9113 8.3.2): fields in lower case, and none that is about a connection.

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::wire::answer::Answer;

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

/// True for a field that an application may have set, and that means nothing on a stream (RFC 9113 8.2.2).
fn is_of_connection(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || *name == TE
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

/// The head of `answer`.
pub(super) fn head_of(answer: &Answer<'_>) -> Response<()> {
    let mut fields = HeaderMap::with_capacity(12);
    answer.for_each_field(|name, value| {
        let Some(name) = name_of(name) else { return };
        if let Some(value) = value_of(value)
            && !is_of_connection(&name)
        {
            // There is a bound on how many there are. Those beyond it are left out, as no client takes so many.
            let _ = fields.try_append(name, value);
        }
    });
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = fields;
    response
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
    use crate::wire::answer::{Content, Given};
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
}
