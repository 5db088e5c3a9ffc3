//! The bodies of answers (CONTRACT 6), byte for byte, and the status that goes with each.

use super::json_string::write_json_string_content;
use super::table::Kind;

/// Media type of every envelope.
pub const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// Answer to an event without `returnPayload`.
pub const OK: &[u8] = br#"{"ok":true}"#;

const OK_RESULT_HEAD: &[u8] = br#"{"ok":true,"result":"#;

/// The success envelope around `json`, the serializer's text of the result: its pieces, one behind the other.
#[inline]
#[must_use]
pub fn ok_result(json: &[u8]) -> [&[u8]; 3] {
    [OK_RESULT_HEAD, json, b"}"]
}

/// Value of the `Allow` header of a 405.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Tasks and events.
    Post,
    /// Discovery.
    Get,
}

/// Every answer that is not a success and not a typed error. Texts borrowed from the request are decoded ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// 400: not HTTP, or a target that no URI is.
    BadRequest,
    /// 400: JSON syntax, or a serializer rejection.
    InvalidJson,
    /// 400: no boundary, unparsable stream, unexpected end.
    InvalidMultipart,
    /// 400: `__manifest` unparsable or sent twice.
    InvalidManifest,
    /// 400: `__manifest` absent, empty or not an object.
    MissingManifest,
    /// 400: `__manifest` is a file (where the reference is not followed).
    ManifestIsFile,
    /// 401.
    Unauthorized,
    /// 403: no tunnel counts.
    ExposureNotEnabled,
    /// 403: outside the allow list.
    NotExposed(Kind, &'a str),
    /// 403: `access` does not let the caller in.
    CallerDenied,
    /// 404: no such route.
    NotFound,
    /// 404: exposed but not registered.
    NotRegistered(Kind, &'a str),
    /// 405.
    MethodNotAllowed(Allowed),
    /// 408: the request did not arrive in time.
    RequestTimeout,
    /// 413: JSON body.
    PayloadTooLarge,
    /// 413: a multipart file.
    FileSizeExceeded,
    /// 413: number of multipart files.
    FilesExceeded,
    /// 413: a multipart field.
    FieldExceeded,
    /// 413: number of multipart fields.
    FieldsExceeded,
    /// 413: number of multipart parts.
    PartsExceeded,
    /// 414.
    UriTooLong,
    /// 415.
    UnsupportedMediaType,
    /// 415: a body with a `Content-Encoding`.
    UnsupportedCoding,
    /// 417: an expectation other than `100-continue`.
    ExpectationFailed,
    /// 429: the caller has asked too often.
    TooManyRequests,
    /// 429: the caller has too many calls under way.
    TooManyCalls,
    /// 431.
    HeaderFieldsTooLarge,
    /// 499: cancelled.
    Aborted,
    /// 500: everything unexpected.
    Internal,
    /// 500: neither tokens nor validators, and anonymous access is not allowed.
    AuthNotConfigured,
    /// 500: a sentinel without its part (the text is sanitised).
    MissingFilePart,
    /// 500: a file part's stream failed (the text is sanitised).
    StreamError,
    /// 501: unknown method or transfer coding.
    NotImplemented,
    /// 503: too many calls in flight, or shutting down.
    ServiceUnavailable,
    /// 503: the event loop that ran the handler has ended.
    HandlerLost,
    /// 504: the handler did not answer in time.
    HandlerTimeout,
    /// 505.
    VersionNotSupported,
}

/// Status, code and body of a refusal; the body is None where it names an id.
struct Facts {
    status: u16,
    code: &'static str,
    body: Option<&'static str>,
}

macro_rules! facts {
    ($status:literal, $code:literal, $message:literal) => {
        Facts {
            status: $status,
            code: $code,
            body: Some(concat!(r#"{"ok":false,"error":{"message":""#, $message, r#"","code":""#, $code, r#""}}"#)),
        }
    };
    ($status:literal, $code:literal) => {
        Facts { status: $status, code: $code, body: None }
    };
}

/// Those that the host answers with as well, and how it calls them.
pub const OF_THE_HOST: [(&str, Refusal<'static>); 10] = [
    ("badRequest", Refusal::BadRequest),
    ("invalidManifest", Refusal::InvalidManifest),
    ("missingManifest", Refusal::MissingManifest),
    ("exposureNotEnabled", Refusal::ExposureNotEnabled),
    ("notFound", Refusal::NotFound),
    ("filesExceeded", Refusal::FilesExceeded),
    ("aborted", Refusal::Aborted),
    ("internal", Refusal::Internal),
    ("missingFilePart", Refusal::MissingFilePart),
    ("serviceUnavailable", Refusal::ServiceUnavailable),
];

impl Refusal<'_> {
    fn facts(&self) -> Facts {
        match self {
            Refusal::BadRequest => facts!(400, "BAD_REQUEST", "Bad Request"),
            Refusal::InvalidJson => facts!(400, "INVALID_JSON", "Invalid JSON body"),
            Refusal::InvalidMultipart => facts!(400, "INVALID_MULTIPART", "Invalid multipart payload"),
            Refusal::InvalidManifest => facts!(400, "INVALID_MULTIPART", "Invalid manifest"),
            Refusal::MissingManifest => facts!(400, "MISSING_MANIFEST", "Missing manifest"),
            Refusal::ManifestIsFile => facts!(
                400,
                "MISSING_MANIFEST",
                "The part __manifest must be a field, not a file: send it without a file name"
            ),
            Refusal::Unauthorized => facts!(401, "UNAUTHORIZED", "Unauthorized"),
            Refusal::ExposureNotEnabled => facts!(403, "FORBIDDEN", "Exposure not enabled"),
            Refusal::NotExposed(..) => facts!(403, "FORBIDDEN"),
            Refusal::CallerDenied => facts!(403, "FORBIDDEN", "Forbidden"),
            Refusal::NotFound => facts!(404, "NOT_FOUND", "Not Found"),
            Refusal::NotRegistered(..) => facts!(404, "NOT_FOUND"),
            Refusal::MethodNotAllowed(_) => facts!(405, "METHOD_NOT_ALLOWED", "Method Not Allowed"),
            Refusal::RequestTimeout => facts!(408, "REQUEST_TIMEOUT", "Request Timeout"),
            Refusal::PayloadTooLarge => facts!(413, "PAYLOAD_TOO_LARGE", "Payload too large"),
            Refusal::FileSizeExceeded => facts!(413, "PAYLOAD_TOO_LARGE", "File size limit exceeded"),
            Refusal::FilesExceeded => facts!(413, "PAYLOAD_TOO_LARGE", "Files limit exceeded"),
            Refusal::FieldExceeded => facts!(413, "PAYLOAD_TOO_LARGE", "Field limit exceeded"),
            Refusal::FieldsExceeded => facts!(413, "PAYLOAD_TOO_LARGE", "Fields limit exceeded"),
            Refusal::PartsExceeded => facts!(413, "PAYLOAD_TOO_LARGE", "Parts limit exceeded"),
            Refusal::UriTooLong => facts!(414, "URI_TOO_LONG", "URI Too Long"),
            Refusal::UnsupportedMediaType => facts!(415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type"),
            Refusal::UnsupportedCoding => {
                facts!(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding is not supported; send the body as it is")
            }
            Refusal::ExpectationFailed => facts!(417, "EXPECTATION_FAILED", "Expectation Failed"),
            Refusal::TooManyRequests => facts!(429, "TOO_MANY_REQUESTS", "Too many requests"),
            Refusal::TooManyCalls => facts!(429, "TOO_MANY_REQUESTS", "Too many calls under way"),
            Refusal::HeaderFieldsTooLarge => {
                facts!(431, "REQUEST_HEADER_FIELDS_TOO_LARGE", "Request Header Fields Too Large")
            }
            Refusal::Aborted => facts!(499, "REQUEST_ABORTED", "Client Closed Request"),
            Refusal::Internal => facts!(500, "INTERNAL_ERROR", "Internal Error"),
            Refusal::AuthNotConfigured => facts!(500, "AUTH_NOT_CONFIGURED", "Authentication not configured."),
            Refusal::MissingFilePart => facts!(500, "MISSING_FILE_PART", "Internal Error"),
            Refusal::StreamError => facts!(500, "STREAM_ERROR", "Internal Error"),
            Refusal::NotImplemented => facts!(501, "NOT_IMPLEMENTED", "Not Implemented"),
            Refusal::ServiceUnavailable => facts!(503, "SERVICE_UNAVAILABLE", "Service Unavailable"),
            Refusal::HandlerLost => {
                facts!(503, "HANDLER_LOST", "The worker that ran the handler has ended: it may have run")
            }
            Refusal::HandlerTimeout => facts!(504, "HANDLER_TIMEOUT", "Gateway Timeout"),
            Refusal::VersionNotSupported => {
                facts!(505, "HTTP_VERSION_NOT_SUPPORTED", "HTTP Version Not Supported")
            }
        }
    }

    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.facts().status
    }

    /// The envelope's `code`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.facts().code
    }

    /// The header line that says what would do instead: `Allow` on a 405, `Accept-Encoding` on the 415 of a coding.
    #[must_use]
    pub fn line(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Refusal::MethodNotAllowed(Allowed::Post) => Some(("Allow", "POST")),
            Refusal::MethodNotAllowed(Allowed::Get) => Some(("Allow", "GET")),
            Refusal::UnsupportedCoding => Some(("Accept-Encoding", "identity")),
            _ => None,
        }
    }

    /// The body where it is the same for every request; None: [`Self::write_body`] has to write it.
    #[must_use]
    pub fn fixed_body(&self) -> Option<&'static [u8]> {
        self.fixed_text().map(str::as_bytes)
    }

    /// The text of that body.
    #[must_use]
    pub fn fixed_text(&self) -> Option<&'static str> {
        self.facts().body
    }

    /// Appends the body.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        let (before, id, after) = match self {
            Refusal::NotExposed(kind, id) => (kind.name(), id, " not exposed"),
            Refusal::NotRegistered(kind, id) => (kind.name(), id, " not found"),
            _ => {
                out.extend_from_slice(self.fixed_body().unwrap_or_default());
                return;
            }
        };
        out.extend_from_slice(br#"{"ok":false,"error":{"message":""#);
        out.extend_from_slice(before.as_bytes());
        out.push(b' ');
        write_json_string_content(out, id);
        out.extend_from_slice(after.as_bytes());
        out.extend_from_slice(br#"","code":""#);
        out.extend_from_slice(self.code().as_bytes());
        out.extend_from_slice(br#""}}"#);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn body(refusal: Refusal<'_>) -> String {
        let mut out = b"kept".to_vec();
        refusal.write_body(&mut out);
        String::from_utf8(out).unwrap().strip_prefix("kept").unwrap().into()
    }

    #[test]
    fn bodies_are_the_contracts() {
        use Refusal::*;
        let error =
            |message: &str, code: &str| format!(r#"{{"ok":false,"error":{{"message":"{message}","code":"{code}"}}}}"#);
        let table: &[(Refusal<'_>, u16, &str, &str)] = &[
            (BadRequest, 400, "Bad Request", "BAD_REQUEST"),
            (InvalidJson, 400, "Invalid JSON body", "INVALID_JSON"),
            (InvalidMultipart, 400, "Invalid multipart payload", "INVALID_MULTIPART"),
            (InvalidManifest, 400, "Invalid manifest", "INVALID_MULTIPART"),
            (MissingManifest, 400, "Missing manifest", "MISSING_MANIFEST"),
            (
                ManifestIsFile,
                400,
                "The part __manifest must be a field, not a file: send it without a file name",
                "MISSING_MANIFEST",
            ),
            (Unauthorized, 401, "Unauthorized", "UNAUTHORIZED"),
            (ExposureNotEnabled, 403, "Exposure not enabled", "FORBIDDEN"),
            (NotExposed(Kind::Task, "app.tasks.hidden"), 403, "Task app.tasks.hidden not exposed", "FORBIDDEN"),
            (NotExposed(Kind::Event, "e"), 403, "Event e not exposed", "FORBIDDEN"),
            (NotExposed(Kind::Task, "a\"b<c>\n"), 403, "Task a\\\"b<c>\\n not exposed", "FORBIDDEN"),
            (NotExposed(Kind::Task, "app\0"), 403, "Task app\\u0000 not exposed", "FORBIDDEN"),
            (NotExposed(Kind::Task, "\""), 403, "Task \\\" not exposed", "FORBIDDEN"),
            (CallerDenied, 403, "Forbidden", "FORBIDDEN"),
            (NotFound, 404, "Not Found", "NOT_FOUND"),
            (NotRegistered(Kind::Task, "no pe/x"), 404, "Task no pe/x not found", "NOT_FOUND"),
            (MethodNotAllowed(Allowed::Post), 405, "Method Not Allowed", "METHOD_NOT_ALLOWED"),
            (RequestTimeout, 408, "Request Timeout", "REQUEST_TIMEOUT"),
            (PayloadTooLarge, 413, "Payload too large", "PAYLOAD_TOO_LARGE"),
            (FileSizeExceeded, 413, "File size limit exceeded", "PAYLOAD_TOO_LARGE"),
            (FilesExceeded, 413, "Files limit exceeded", "PAYLOAD_TOO_LARGE"),
            (FieldExceeded, 413, "Field limit exceeded", "PAYLOAD_TOO_LARGE"),
            (FieldsExceeded, 413, "Fields limit exceeded", "PAYLOAD_TOO_LARGE"),
            (PartsExceeded, 413, "Parts limit exceeded", "PAYLOAD_TOO_LARGE"),
            (UriTooLong, 414, "URI Too Long", "URI_TOO_LONG"),
            (UnsupportedMediaType, 415, "Unsupported Media Type", "UNSUPPORTED_MEDIA_TYPE"),
            (
                UnsupportedCoding,
                415,
                "Content-Encoding is not supported; send the body as it is",
                "UNSUPPORTED_MEDIA_TYPE",
            ),
            (ExpectationFailed, 417, "Expectation Failed", "EXPECTATION_FAILED"),
            (TooManyRequests, 429, "Too many requests", "TOO_MANY_REQUESTS"),
            (TooManyCalls, 429, "Too many calls under way", "TOO_MANY_REQUESTS"),
            (HeaderFieldsTooLarge, 431, "Request Header Fields Too Large", "REQUEST_HEADER_FIELDS_TOO_LARGE"),
            (Aborted, 499, "Client Closed Request", "REQUEST_ABORTED"),
            (Internal, 500, "Internal Error", "INTERNAL_ERROR"),
            (AuthNotConfigured, 500, "Authentication not configured.", "AUTH_NOT_CONFIGURED"),
            (MissingFilePart, 500, "Internal Error", "MISSING_FILE_PART"),
            (StreamError, 500, "Internal Error", "STREAM_ERROR"),
            (NotImplemented, 501, "Not Implemented", "NOT_IMPLEMENTED"),
            (ServiceUnavailable, 503, "Service Unavailable", "SERVICE_UNAVAILABLE"),
            (HandlerLost, 503, "The worker that ran the handler has ended: it may have run", "HANDLER_LOST"),
            (HandlerTimeout, 504, "Gateway Timeout", "HANDLER_TIMEOUT"),
            (VersionNotSupported, 505, "HTTP Version Not Supported", "HTTP_VERSION_NOT_SUPPORTED"),
        ];
        for (refusal, status, message, code) in table {
            assert_eq!(body(*refusal), error(message, code), "{refusal:?}");
            assert_eq!((refusal.status(), refusal.code()), (*status, *code), "{refusal:?}");
            serde_json::from_str::<serde_json::Value>(&body(*refusal)).unwrap();
        }
    }

    #[test]
    fn what_the_host_answers_with_is_the_same_for_every_request() {
        for (name, refusal) in OF_THE_HOST {
            assert!(refusal.fixed_body().is_some() && refusal.line().is_none(), "{name}");
        }
    }

    #[test]
    fn methods_and_codings_that_would_do_are_named() {
        assert_eq!(Refusal::MethodNotAllowed(Allowed::Post).line(), Some(("Allow", "POST")));
        assert_eq!(Refusal::MethodNotAllowed(Allowed::Get).line(), Some(("Allow", "GET")));
        assert_eq!(Refusal::UnsupportedCoding.line(), Some(("Accept-Encoding", "identity")));
        assert_eq!((Refusal::Unauthorized.line(), Refusal::UnsupportedMediaType.line()), (None, None));
        // CONTRACT 7: a HEAD is answered with the 405 head and this length.
        assert_eq!(Refusal::MethodNotAllowed(Allowed::Get).fixed_body().map(<[u8]>::len), Some(81));
    }

    #[test]
    fn results_are_wrapped() {
        for (json, expected) in
            [("3", r#"{"ok":true,"result":3}"#), (r#"{"a":[]}"#, r#"{"ok":true,"result":{"a":[]}}"#)]
        {
            assert_eq!(ok_result(json.as_bytes()).concat(), expected.as_bytes());
        }
    }
}
