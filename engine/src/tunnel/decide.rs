//! What becomes of a request, in the contract's order of precedence (CONTRACT 3), before its body is read.

use std::ops::Range;

use memchr::memchr2_iter;

use super::advice::{Advice, Question};
use super::auth::{AuthConfig, AuthVerdict};
use super::cors::Cors;
use super::envelope::{Allowed, Refusal};
use super::request::Request;
use super::request_id::{self, UUID_TEXT_BYTES};
use super::route::{BasePath, Route};
use super::table::{HandlerTable, Kind, Lookup};
use crate::wire::fields::{FieldValue, Fields};

/// How the body of a call is read (CONTRACT 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// JSON text, whatever the Content-Type says. Always for events.
    Json,
    /// Untouched bytes for the task to stream (CONTRACT 12).
    OctetStream,
    /// Manifest and files (CONTRACT 13).
    Multipart,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Read the body and run the handler.
    Call {
        /// The index given at registration.
        handler: u32,
        /// Task or event.
        kind: Kind,
        /// How to read the body.
        body: BodyMode,
    },
    /// 200 with [`HandlerTable::discovery`] as the body.
    Discovery,
    /// 204 without a body.
    Preflight,
    /// Not under the base path: an own server answers [`Refusal::NotFound`], an attached one stays silent.
    Outside,
    /// Only JavaScript knows: ask it, then decide again with its [`Advice`].
    Ask(Question),
    /// Answer with this.
    Refuse(Refusal<'a>),
}

/// A decision and what belongs to the head of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// What to do.
    pub decision: Decision<'a>,
    /// Write `X-Content-Type-Options` and `X-Frame-Options` after `content-length`: on all but preflights.
    pub security: bool,
    /// Where in `lines` the effective request id is. None: the answer carries none (CONTRACT 7).
    pub request_id: Option<Range<usize>>,
}

/// Everything that decides on requests. Immutable; shared by Arc and swapped whole.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// Where the routes are.
    pub base_path: BasePath,
    /// Which handlers there are.
    pub table: HandlerTable,
    /// Who may call.
    pub auth: AuthConfig,
    /// Which browsers may read the answers.
    pub cors: Cors,
    /// `disableDiscovery`: 404 for all methods but OPTIONS, before method and authentication.
    pub disable_discovery: bool,
    /// Answer `OPTIONS *` with 204 (RFC 9110 9.3.7). Off: 404, as the reference does.
    pub server_options: bool,
    /// Read JSON and forms as they come whatever their `Content-Encoding` says, as the reference does. Off: 415 for any
    /// coding but `identity` (RFC 9110 15.5.16).
    pub any_coding: bool,
}

impl Exposure {
    /// Decides on a request that nobody has been asked about; see [`Self::decide_advised`].
    pub fn decide<'a>(
        &self,
        request: &Request<'a>,
        lines: &mut Vec<u8>,
        decoded: &'a mut Vec<u8>,
        fresh: impl FnOnce(&mut [u8; UUID_TEXT_BYTES]),
    ) -> Verdict<'a> {
        self.decide_advised(request, None, lines, decoded, fresh)
    }

    /// Decides on a request. With advice it never says [`Decision::Ask`]; without, the lines that come with that
    /// decision are those of an answer that does not wait for JavaScript's word (a 503, a 504).
    ///
    /// Appends to `lines` the header lines that come before `content-type` in the answer, each with its CRLF:
    /// request id, Vary, CORS, Allow or Accept-Encoding. `decoded` is a reused buffer for the id (its content does not matter).
    /// `fresh` writes a UUID ([`request_id::write_uuid_v4`]) and is called at most once.
    pub fn decide_advised<'a>(
        &self,
        request: &Request<'a>,
        advice: Option<&Advice>,
        lines: &mut Vec<u8>,
        decoded: &'a mut Vec<u8>,
        fresh: impl FnOnce(&mut [u8; UUID_TEXT_BYTES]),
    ) -> Verdict<'a> {
        if self.server_options && request.path == b"*" && request.method == b"OPTIONS" {
            return self.preflight(request, advice, lines);
        }
        let route = self.base_path.route(request.path, decoded);
        let (target, decision) = match route {
            // The reference answers a target it cannot parse without an id, too (with a 500).
            Route::Malformed => (None, Some(Decision::Refuse(Refusal::BadRequest))),
            Route::Outside => (None, Some(Decision::Outside)),
            Route::NoTarget | Route::Task(_) | Route::Event(_) | Route::Discovery if request.method == b"OPTIONS" => {
                return self.preflight(request, advice, lines);
            }
            Route::Refused | Route::NoTarget => (Some(route), Some(Decision::Refuse(Refusal::NotFound))),
            Route::Task(_) | Route::Event(_) | Route::Discovery => (Some(route), None),
        };
        let request_id = target.map(|_| write_request_id(request, lines, fresh));
        self.cors.actual(request.fields, advised_origin(advice), lines);
        let mut decision = decision.unwrap_or_else(|| self.decide_target(route, request, advice));
        if advice.is_none() && self.cors.asks() {
            // One question for both: whether the validators are needed is known already.
            let auth = matches!(decision, Decision::Ask(_));
            decision = Decision::Ask(Question { origin: true, auth });
        }
        if let Decision::Refuse(refusal) = decision
            && let Some((name, value)) = refusal.line()
        {
            for part in [name, ": ", value, "\r\n"] {
                lines.extend_from_slice(part.as_bytes());
            }
        }
        Verdict { decision, security: true, request_id }
    }

    fn preflight(&self, request: &Request<'_>, advice: Option<&Advice>, lines: &mut Vec<u8>) -> Verdict<'static> {
        self.cors.preflight(request.fields, advised_origin(advice), lines);
        let decision = match advice {
            None if self.cors.asks() => Decision::Ask(Question { origin: true, auth: false }),
            _ => Decision::Preflight,
        };
        Verdict { decision, security: false, request_id: None }
    }

    /// Steps 6 to 8 of CONTRACT 3.
    fn decide_target<'a>(&self, route: Route<'a>, request: &Request<'a>, advice: Option<&Advice>) -> Decision<'a> {
        let (method, allowed) = match route {
            Route::Discovery if self.disable_discovery => return Decision::Refuse(Refusal::NotFound),
            Route::Discovery => (&b"GET"[..], Allowed::Get),
            _ => (&b"POST"[..], Allowed::Post),
        };
        if request.method != method {
            return Decision::Refuse(Refusal::MethodNotAllowed(allowed));
        }
        match self.auth.verdict(request.fields) {
            AuthVerdict::Pass => self.decide_authenticated(route, request),
            AuthVerdict::Unauthorized => Decision::Refuse(Refusal::Unauthorized),
            AuthVerdict::NotConfigured => Decision::Refuse(Refusal::AuthNotConfigured),
            AuthVerdict::AskValidators => match advice {
                None => Decision::Ask(Question { origin: false, auth: true }),
                Some(advice) if advice.passed => self.decide_authenticated(route, request),
                Some(_) => Decision::Refuse(Refusal::Unauthorized),
            },
        }
    }

    /// Steps 9 and 10 of CONTRACT 3, and what the head says of a body that cannot be read.
    fn decide_authenticated<'a>(&self, route: Route<'a>, request: &Request<'a>) -> Decision<'a> {
        let (kind, id) = match route {
            Route::Task(id) => (Kind::Task, id),
            Route::Event(id) => (Kind::Event, id),
            Route::Discovery => return Decision::Discovery,
            Route::Malformed | Route::Outside | Route::Refused | Route::NoTarget => {
                return Decision::Refuse(Refusal::NotFound);
            }
        };
        match self.table.lookup(kind, id) {
            Lookup::Handler(handler) => {
                let body = match kind {
                    Kind::Task => body_mode(request.fields.get(b"content-type").first().unwrap_or_default()),
                    Kind::Event => BodyMode::Json,
                };
                if body != BodyMode::OctetStream && !self.any_coding && is_coded(request.fields) {
                    return Decision::Refuse(Refusal::UnsupportedCoding);
                }
                Decision::Call { handler, kind, body }
            }
            Lookup::NotEnabled => Decision::Refuse(Refusal::ExposureNotEnabled),
            Lookup::NotExposed => Decision::Refuse(Refusal::NotExposed(kind, id)),
            Lookup::NotFound => Decision::Refuse(Refusal::NotRegistered(kind, id)),
        }
    }
}

/// The origin to allow, as far as it is known.
fn advised_origin(advice: Option<&Advice>) -> &[u8] {
    advice.map_or(&[], |advice| &advice.origin)
}

/// Appends the `x-runner-request-id` line; where the id is.
fn write_request_id(
    request: &Request<'_>,
    lines: &mut Vec<u8>,
    fresh: impl FnOnce(&mut [u8; UUID_TEXT_BYTES]),
) -> Range<usize> {
    lines.extend_from_slice(request_id::REQUEST_ID_HEADER.as_bytes());
    lines.extend_from_slice(b": ");
    let start = lines.len();
    request_id::effective(request.fields, lines, fresh);
    let end = lines.len();
    lines.extend_from_slice(b"\r\n");
    start..end
}

/// True when the content is coded, in any way but `identity` (RFC 9110 8.4).
fn is_coded(fields: Fields<'_>) -> bool {
    const NAME: &[u8] = b"content-encoding";
    let codes = |value: &[u8]| {
        value
            .split(|&byte| byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    };
    match fields.get(NAME) {
        FieldValue::Absent => false,
        FieldValue::One(value) => codes(value),
        FieldValue::Repeated(_) => fields.iter().any(|(name, value)| name.eq_ignore_ascii_case(NAME) && codes(value)),
    }
}

/// How a task's body is read, by the value of its Content-Type (empty: none was sent). Multipart is looked for
/// anywhere in the text, octet-stream only as the whole media type.
#[must_use]
pub fn body_mode(content_type: &[u8]) -> BodyMode {
    const MULTIPART: &[u8] = b"multipart/form-data";
    const OCTETS: &[u8] = b"application/octet-stream";
    let starts_with = |text: &[u8], name: &[u8]| text.get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name));
    if memchr2_iter(b'm', b'M', content_type).any(|at| starts_with(&content_type[at..], MULTIPART)) {
        BodyMode::Multipart
    } else if starts_with(content_type, OCTETS) && matches!(content_type.get(OCTETS.len()), None | Some(b';')) {
        BodyMode::OctetStream
    } else {
        BodyMode::Json
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::auth::AuthOptions;
    use super::super::cors::{CorsOptions, Origin};
    use super::super::request::sample::Sample;
    use super::super::table::{Allow, Registration};
    use super::*;

    fn exposure(allow: Allow, auth: AuthOptions, disable_discovery: bool) -> Exposure {
        let registered = [(Kind::Task, "add", 1), (Kind::Event, "notify", 2), (Kind::Task, "hidden", 3)]
            .map(|(kind, id, index)| Registration { kind, id: id.into(), index });
        Exposure {
            base_path: BasePath::default(),
            table: HandlerTable::new(&registered, &allow).unwrap(),
            auth: AuthConfig::new(auth).unwrap(),
            cors: Cors::new(&CorsOptions::default()).unwrap(),
            disable_discovery,
            server_options: false,
            any_coding: false,
        }
    }

    fn token() -> AuthOptions {
        AuthOptions { tokens: Some(vec!["t".into()]), ..AuthOptions::default() }
    }

    fn list() -> Allow {
        Allow::List { tasks: vec!["add".into()], events: vec!["notify".into()] }
    }

    /// Decides and renders: the decision's text, the lines.
    fn decide(exposure: &Exposure, method: &str, path: &str, lines: &[(&str, &[u8])]) -> (String, String) {
        let sample = Sample::new(method, path, lines);
        let mut out = b"earlier\r\n".to_vec();
        let mut decoded = Vec::new();
        let verdict =
            exposure.decide(&sample.request(), &mut out, &mut decoded, |id| request_id::write_uuid_v4([0; 16], id));
        if !matches!(verdict.decision, Decision::Ask(_)) {
            assert_eq!(verdict.security, verdict.decision != Decision::Preflight);
        }
        let id = verdict.request_id.map(|range| String::from_utf8(out[range].to_vec()).unwrap());
        let rendered = String::from_utf8(out.clone()).unwrap().strip_prefix("earlier\r\n").unwrap().to_owned();
        match id {
            Some(id) => assert!(rendered.starts_with(&format!("x-runner-request-id: {id}\r\n"))),
            None => assert!(!rendered.contains("x-runner-request-id")),
        }
        (format!("{:?}", verdict.decision), rendered)
    }

    fn decide_advised<'a>(
        exposure: &Exposure,
        sample: &'a Sample,
        advice: &Advice,
        decoded: &'a mut Vec<u8>,
    ) -> (Verdict<'a>, String) {
        let mut lines = Vec::new();
        let request = sample.request();
        let verdict = exposure.decide_advised(&request, Some(advice), &mut lines, decoded, |id| {
            request_id::write_uuid_v4([0; 16], id);
        });
        (verdict, String::from_utf8(lines).unwrap())
    }

    const ASK_AUTH: &str = "Ask(Question { origin: false, auth: true })";
    const FRESH: &str = "x-runner-request-id: 00000000-0000-4000-8000-000000000000\r\n";
    const ANY: &str = "Access-Control-Allow-Origin: *\r\n";

    #[test]
    fn a_server_may_answer_for_itself() {
        let mut own = exposure(list(), token(), false);
        assert_eq!(decide(&own, "OPTIONS", "*", &[]).0, "Outside");
        own.server_options = true;
        assert_eq!(decide(&own, "OPTIONS", "*", &[]).0, "Preflight");
        assert_eq!(decide(&own, "GET", "*", &[]).0, "Outside");
    }

    #[test]
    fn precedence() {
        let std = exposure(list(), token(), false);
        let off = exposure(list(), token(), true);
        let open = exposure(Allow::Open, token(), false);
        let none = exposure(Allow::NotEnabled, token(), false);
        let unset = exposure(list(), AuthOptions::default(), false);
        let validated = exposure(list(), AuthOptions { validators: true, ..AuthOptions::default() }, false);
        let t: &[(&str, &[u8])] = &[("x-runner-token", b"t")];
        let no: &[(&str, &[u8])] = &[];
        let call = |kind: Kind, handler| format!("{:?}", Decision::Call { handler, kind, body: BodyMode::Json });
        let refuse = |refusal: Refusal<'_>| format!("{:?}", Decision::Refuse(refusal));
        let post = || refuse(Refusal::MethodNotAllowed(Allowed::Post));
        let get = || refuse(Refusal::MethodNotAllowed(Allowed::Get));
        let hidden = || refuse(Refusal::NotExposed(Kind::Task, "hidden"));
        let nope = || refuse(Refusal::NotExposed(Kind::Task, "nope"));
        type Row<'a> = (&'a Exposure, &'a str, &'a str, &'a [(&'a str, &'a [u8])], String);
        let table: Vec<Row<'_>> = vec![
            (&std, "POST", "/__runner/task/add", t, call(Kind::Task, 1)),
            (&std, "POST", "/__runner/event/notify", t, call(Kind::Event, 2)),
            (&std, "GET", "/__runner/discovery", t, "Discovery".into()),
            (&std, "POST", "/__runner/task/hidden", t, hidden()),
            (&std, "POST", "/__runner/task/nope", t, nope()),
            // 405 before authentication, authentication before the allow list.
            (&std, "GET", "/__runner/task/nope", no, post()),
            (&std, "HEAD", "/__runner/task/add", t, post()),
            (&std, "post", "/__runner/task/add", t, post()),
            (&std, "HEAD", "/__runner/discovery", no, get()),
            (&std, "POST", "/__runner/discovery", t, get()),
            (&std, "POST", "/__runner/task/nope", no, refuse(Refusal::Unauthorized)),
            (&std, "GET", "/__runner/discovery", no, refuse(Refusal::Unauthorized)),
            (&unset, "POST", "/__runner/task/nope", t, refuse(Refusal::AuthNotConfigured)),
            (&validated, "POST", "/__runner/task/nope", t, ASK_AUTH.into()),
            (&none, "POST", "/__runner/task/nope", no, refuse(Refusal::Unauthorized)),
            (&none, "POST", "/__runner/task/nope", t, refuse(Refusal::ExposureNotEnabled)),
            (&none, "GET", "/__runner/discovery", t, "Discovery".into()),
            (&open, "POST", "/__runner/task/hidden", t, call(Kind::Task, 3)),
            (&open, "POST", "/__runner/task/nope", t, refuse(Refusal::NotRegistered(Kind::Task, "nope"))),
            (&open, "POST", "/__runner/event/nope", t, refuse(Refusal::NotRegistered(Kind::Event, "nope"))),
            // A disabled discovery is not there for any method.
            (&off, "GET", "/__runner/discovery", no, refuse(Refusal::NotFound)),
            (&off, "POST", "/__runner/discovery", t, refuse(Refusal::NotFound)),
            (&off, "OPTIONS", "/__runner/discovery", no, "Preflight".into()),
            (&std, "OPTIONS", "/__runner", no, "Preflight".into()),
            (&std, "OPTIONS", "/__runner/nope/x", no, "Preflight".into()),
            (&std, "OPTIONS", "/__runner/task/nope", no, "Preflight".into()),
            (&unset, "OPTIONS", "/__runner/task/add", no, "Preflight".into()),
            (&std, "OPTIONS", "/other", no, "Outside".into()),
            (&std, "OPTIONS", "*", no, "Outside".into()),
            (&std, "POST", "/other", t, "Outside".into()),
            (&std, "POST", "/__runner", t, refuse(Refusal::NotFound)),
            (&std, "POST", "/__runner/task/%ff", t, refuse(Refusal::NotFound)),
            (&std, "OPTIONS", "/__runner/task/../task/add", no, refuse(Refusal::NotFound)),
            (&std, "POST", "/__runner/task/../task/add", t, refuse(Refusal::NotFound)),
            (&std, "POST", "/__runner\\task\\add", t, refuse(Refusal::BadRequest)),
        ];
        for (row, (exposure, method, path, lines, expected)) in table.into_iter().enumerate() {
            assert_eq!(decide(exposure, method, path, lines).0, expected, "row {row}: {method} {path}");
        }
    }

    #[test]
    fn lines_of_every_kind_of_answer() {
        let std = exposure(list(), token(), false);
        let table: &[(&str, &str, String)] = &[
            ("POST", "/__runner/task/add", format!("{FRESH}{ANY}")),
            ("GET", "/__runner/task/add", format!("{FRESH}{ANY}Allow: POST\r\n")),
            ("POST", "/__runner/discovery", format!("{FRESH}{ANY}Allow: GET\r\n")),
            ("POST", "/__runner/nope", format!("{FRESH}{ANY}")),
            ("POST", "/__runner/task/../x", format!("{FRESH}{ANY}")),
            ("POST", "/other", ANY.into()),
            ("POST", "/__runner\\x", ANY.into()),
            ("OPTIONS", "/__runner/x", format!("{ANY}Access-Control-Allow-Methods: POST, OPTIONS\r\n")),
        ];
        for (method, path, expected) in table {
            assert_eq!(decide(&std, method, path, &[]).1, *expected, "{method} {path}");
        }
        let own = decide(&std, "POST", "/__runner/task/add", &[("x-runner-request-id", b"trace-1")]);
        assert_eq!(own.1, format!("x-runner-request-id: trace-1\r\n{ANY}"));
    }

    #[test]
    fn validators_have_the_last_word() {
        let auth = AuthOptions { validators: true, ..token() };
        let exposure = exposure(list(), auth, false);
        for (method, path, passed, expected) in [
            ("POST", "/__runner/task/add", true, Decision::Call { handler: 1, kind: Kind::Task, body: BodyMode::Json }),
            ("POST", "/__runner/task/add", false, Decision::Refuse(Refusal::Unauthorized)),
            ("POST", "/__runner/task/hi%64den", true, Decision::Refuse(Refusal::NotExposed(Kind::Task, "hidden"))),
            ("GET", "/__runner/discovery", true, Decision::Discovery),
        ] {
            assert_eq!(decide(&exposure, method, path, &[("x-runner-token", b"bad")]).0, ASK_AUTH);
            assert_ne!(decide(&exposure, method, path, &[("x-runner-token", b"t")]).0, ASK_AUTH);
            let advice = Advice { passed, ..Advice::default() };
            let mut decoded = Vec::new();
            let sample = Sample::new(method, path, &[]);
            let (verdict, _) = decide_advised(&exposure, &sample, &advice, &mut decoded);
            assert_eq!(verdict.decision, expected, "{path} {passed}");
        }
    }

    #[test]
    fn an_asked_origin_is_asked_for_once_and_applies_to_every_answer() {
        let asked = CorsOptions { origin: Origin::Asked, ..CorsOptions::default() };
        let with_cors = |auth| Exposure { cors: Cors::new(&asked).unwrap(), ..exposure(list(), auth, false) };
        let plain = with_cors(token());
        let validated = with_cors(AuthOptions { validators: true, ..token() });
        let lines: &[(&str, &[u8])] = &[("x-runner-token", b"t")];
        let cors = "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a\r\n";
        for (method, path, auth) in [
            ("POST", "/__runner/task/add", true),
            ("POST", "/__runner/task/hidden", true),
            ("GET", "/__runner/task/add", false),
            ("OPTIONS", "/__runner/task/add", false),
            ("POST", "/__runner", false),
            ("POST", "/other", false),
            ("POST", "/__runner\\x", false),
        ] {
            let question = |auth| format!("{:?}", Decision::Ask(Question { origin: true, auth }));
            assert_eq!(decide(&plain, method, path, &[]).0, question(false), "{method} {path}");
            assert_eq!(decide(&validated, method, path, &[]).0, question(auth), "{method} {path}");
            assert_eq!(decide(&validated, method, path, lines).0, question(false), "{method} {path}");
            let advice = Advice { passed: false, origin: b"https://a".to_vec() };
            let mut decoded = Vec::new();
            let sample = Sample::new(method, path, lines);
            let (verdict, sent) = decide_advised(&validated, &sample, &advice, &mut decoded);
            assert!(!matches!(verdict.decision, Decision::Ask(_)), "{method} {path}");
            assert!(sent.contains(cors), "{method} {path}: {sent}");
        }
    }

    #[test]
    fn a_coded_body_is_refused_where_it_is_to_be_read() {
        let own = exposure(list(), token(), false);
        let following = Exposure { any_coding: true, ..exposure(list(), token(), false) };
        let t: (&str, &[u8]) = ("x-runner-token", b"t");
        let refused = format!("{:?}", Decision::Refuse(Refusal::UnsupportedCoding));
        for (codings, coded) in [
            (&[][..], false),
            (&[""], false),
            (&["identity"], false),
            (&["Identity, ,identity"], false),
            (&["", "identity"], false),
            (&["gzip"], true),
            (&["x"], true),
            (&["identity, br"], true),
            (&["identity", "gzip"], true),
            (&["identityx"], true),
            (&["deflate", "gzip", "identity"], true),
        ] {
            for (path, content_type, reads) in [
                ("/__runner/task/add", "application/json", true),
                ("/__runner/task/add", "multipart/form-data; boundary=x", true),
                ("/__runner/event/notify", "application/octet-stream", true),
                ("/__runner/task/add", "application/octet-stream", false),
            ] {
                let mut lines: Vec<(&str, &[u8])> = vec![t, ("Content-Type", content_type.as_bytes())];
                lines.extend(codings.iter().map(|coding| ("Content-Encoding", coding.as_bytes())));
                let (decision, sent) = decide(&own, "POST", path, &lines);
                assert_eq!(decision == refused, coded && reads, "{path} {content_type} {codings:?}: {decision}");
                assert_eq!(sent.ends_with("Accept-Encoding: identity\r\n"), coded && reads, "{sent}");
                assert!(decide(&following, "POST", path, &lines).0.starts_with("Call"), "{codings:?}");
            }
        }
        // Behind everything that the head is refused for otherwise.
        let gzip: (&str, &[u8]) = ("Content-Encoding", b"gzip");
        for (method, path, lines, status) in [
            ("POST", "/__runner/task/add", [gzip, gzip], 401),
            ("POST", "/__runner/task/hidden", [gzip, t], 403),
            ("GET", "/__runner/task/add", [gzip, t], 405),
        ] {
            let (sample, mut decoded) = (Sample::new(method, path, &lines), Vec::new());
            let verdict = own.decide(&sample.request(), &mut Vec::new(), &mut decoded, |_| {});
            let Decision::Refuse(refusal) = verdict.decision else { panic!("{path}") };
            assert_eq!(refusal.status(), status);
        }
        assert_eq!(decide(&own, "GET", "/__runner/discovery", &[gzip, t]).0, "Discovery");
    }

    #[test]
    fn body_modes() {
        use BodyMode::*;
        for (content_type, expected) in [
            ("", Json),
            ("application/json", Json),
            ("APPLICATION/JSON; charset=utf-16", Json),
            ("text/plain", Json),
            ("nonsense", Json),
            ("application/octet-stream", OctetStream),
            ("Application/Octet-Stream", OctetStream),
            ("application/octet-stream;x", OctetStream),
            ("application/octet-stream ; x", Json),
            ("application/octet-streams", Json),
            ("x application/octet-stream", Json),
            ("multipart/form-data; boundary=x", Multipart),
            ("MULTIPART/Form-Data", Multipart),
            ("x; multipart/form-data", Multipart),
            ("mmultipart/form-data", Multipart),
            ("application/octet-stream; multipart/form-data", Multipart),
            ("multipart/form-dat", Json),
            ("multipart/mixed", Json),
        ] {
            assert_eq!(body_mode(content_type.as_bytes()), expected, "{content_type}");
        }
        let exposure = exposure(list(), token(), false);
        let octets: (&str, &[u8]) = ("Content-Type", b"application/octet-stream");
        let json: (&str, &[u8]) = ("content-type", b"application/json");
        let t: (&str, &[u8]) = ("x-runner-token", b"t");
        for (path, lines, expected) in [
            ("/__runner/task/add", [octets, json, t], "OctetStream"),
            ("/__runner/task/add", [json, octets, t], "Json"),
            ("/__runner/event/notify", [octets, octets, t], "Json"),
        ] {
            let (decision, _) = decide(&exposure, "POST", path, &lines);
            assert!(decision.ends_with(&format!("body: {expected} }}")), "{path}: {decision}");
        }
    }
}
