//! The tunnel's decisions against what the reference really answered (shared/golden/open.json) and the JSON check
//! against the vectors of shared/http. Skipped, with a message, where those files are missing.
#![allow(clippy::unwrap_used)]

#[path = "wire_corpus/base64.rs"]
mod base64;
#[path = "wire_corpus/shared.rs"]
mod shared;

use fasttunnel_engine::tunnel::advice::Advice;
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions, Origin};
use fasttunnel_engine::tunnel::decide::{BodyMode, Decision, Exposure};
use fasttunnel_engine::tunnel::envelope::Refusal;
use fasttunnel_engine::tunnel::json::{JsonChecker, JsonVerdict};
use fasttunnel_engine::tunnel::request::Request;
use fasttunnel_engine::tunnel::request_id::write_uuid_v4;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable, Kind, Registration};
use fasttunnel_engine::wire::fields::{FieldSpan, FieldTable, Span};
use serde_json::Value;
use shared::shared;

/// A request as the wire would hand it over. Enough of a parser for well-formed heads.
struct Parsed {
    bytes: Vec<u8>,
    table: FieldTable,
    method: Span,
    path: Span,
    body: usize,
}

impl Parsed {
    fn new(bytes: Vec<u8>) -> Parsed {
        let find = |from: usize, needle: &[u8]| {
            from + bytes[from..].windows(needle.len()).position(|window| window == needle).unwrap()
        };
        let span = |start: usize, end: usize| Span { start: start as u32, end: end as u32 };
        let blank = |at: usize| matches!(bytes[at], b' ' | b'\t');
        let method_end = find(0, b" ");
        let mut path_start = method_end + 1;
        let target_end = find(path_start, b" HTTP/1.1\r\n");
        if bytes[path_start..].starts_with(b"http://") {
            path_start = find(path_start + 7, b"/");
        }
        let path_len = bytes[path_start..target_end].iter().take_while(|byte| !b"?#".contains(byte)).count();
        let path = span(path_start, path_start + path_len);
        let head_end = find(0, b"\r\n\r\n") + 2;
        let mut table = FieldTable::default();
        let mut at = find(0, b"\r\n") + 2;
        while at < head_end {
            let end = find(at, b"\r\n");
            let colon = find(at, b":");
            let (mut from, mut to) = (colon + 1, end);
            while from < to && blank(from) {
                from += 1;
            }
            while from < to && blank(to - 1) {
                to -= 1;
            }
            assert!(table.push(FieldSpan { name: span(at, colon), value: span(from, to) }));
            at = end + 2;
        }
        Parsed { table, method: span(0, method_end), path, body: head_end + 2, bytes }
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: self.method.of(&self.bytes),
            path: self.path.of(&self.bytes),
            fields: self.table.of(&self.bytes),
        }
    }
}

fn request_bytes(request: &Value) -> Option<Vec<u8>> {
    match (&request["text"], &request["base64"]) {
        (Value::String(text), _) => Some(text.clone().into_bytes()),
        (_, Value::String(text)) => Some(base64::decode(text)),
        _ => None,
    }
}

fn texts(list: &Value) -> Option<Vec<String>> {
    Some(list.as_array()?.iter().map(|text| text.as_str().unwrap().to_owned()).collect())
}

/// The application of fixtures.mjs, as far as routing sees it: ids, in the order of registration.
fn registered(cases: &[Value]) -> Vec<Registration> {
    let anonymous = cases.iter().find(|case| case["name"] == "discovery/anonymous").unwrap();
    let body: Value = serde_json::from_str(anonymous["response"]["body"].as_str().unwrap()).unwrap();
    let list = &body["result"]["allowList"];
    let mut ids: Vec<(Kind, String)> = Vec::new();
    ids.extend(texts(&list["tasks"]).unwrap().into_iter().map(|id| (Kind::Task, id)));
    ids.extend(texts(&list["events"]).unwrap().into_iter().map(|id| (Kind::Event, id)));
    ids.push((Kind::Task, "app.tasks.hidden".into()));
    ids.push((Kind::Event, "app.events.hidden".into()));
    ids.into_iter().enumerate().map(|(index, (kind, id))| Registration { kind, id, index: index as u32 }).collect()
}

/// What JavaScript makes of the tunnels before it hands an allow list over.
fn allow(app: &Value, registered: &[Registration]) -> Allow {
    let no_tunnels = Vec::new();
    let counting: Vec<&Value> = app["tunnels"]
        .as_array()
        .unwrap_or(&no_tunnels)
        .iter()
        .filter(|tunnel| tunnel["mode"] == "server" || tunnel["mode"] == "both")
        .filter(|tunnel| tunnel["transport"].is_null() || tunnel["transport"] == "http")
        .collect();
    if counting.is_empty() {
        let open = app["http"]["dangerouslyAllowOpenExposure"] == true;
        return if open { Allow::Open } else { Allow::NotEnabled };
    }
    let union = |key: &str, kind: Kind| {
        let mut ids = Vec::new();
        for tunnel in &counting {
            let selector = &tunnel[key];
            if selector["$fn"].is_string() {
                let visible = |one: &&Registration| one.kind == kind && !one.id.ends_with(".hidden");
                ids.extend(registered.iter().filter(visible).map(|one| one.id.clone()));
            } else {
                ids.extend(texts(selector).or_else(|| texts(&selector["$defs"])).unwrap_or_default());
            }
        }
        ids
    };
    Allow::List { tasks: union("tasks", Kind::Task), events: union("events", Kind::Event) }
}

fn exposure(app: &Value, registered: &[Registration]) -> Exposure {
    let (auth, cors) = (&app["http"]["auth"], &app["http"]["cors"]);
    let tokens = match &auth["token"] {
        Value::String(token) if token.is_empty() => None,
        Value::String(token) => Some(vec![token.clone()]),
        list => texts(list),
    };
    let auth = AuthOptions {
        header: auth["header"].as_str().map(String::from),
        tokens,
        allow_anonymous: auth["allowAnonymous"] == true,
        validators: app["validators"].as_array().is_some_and(|list| !list.is_empty()),
    };
    let origin = match &cors["origin"] {
        Value::String(origin) => Origin::Fixed(origin.clone()),
        list => texts(list).map_or(Origin::Unset, Origin::List),
    };
    let cors = CorsOptions {
        origin,
        methods: texts(&cors["methods"]).unwrap_or_default(),
        allowed_headers: texts(&cors["allowedHeaders"]).unwrap_or_default(),
        exposed_headers: texts(&cors["exposedHeaders"]).unwrap_or_default(),
        credentials: cors["credentials"] == true,
        max_age: cors["maxAge"].as_u64().map(|seconds| seconds as u32),
        vary_origin: cors["varyOrigin"] != false,
    };
    Exposure {
        base_path: app["http"]["basePath"].as_str().map_or_else(BasePath::default, |path| BasePath::new(path).unwrap()),
        table: HandlerTable::new(registered, &allow(app, registered)).unwrap(),
        auth: AuthConfig::new(auth).unwrap(),
        cors: Cors::new(&cors).unwrap(),
        disable_discovery: app["http"]["disableDiscovery"] == true,
        server_options: false,
        any_coding: true,
    }
}

/// Cases that we answer differently on purpose, with our status, or that are not decided here (0).
const DEPARTURES: [(&str, u16); 16] = [
    // The path is not normalised: what a gateway authorises is what runs.
    ("route/dot-segments-normalised", 404),
    ("route/dot-segments-percent-normalised", 404),
    ("route/dot-segment-inside-id", 404),
    ("route/backslashes-are-slashes", 400),
    ("route/double-slash-authority-swallowed", 404),
    ("cors/on-unhandled-500", 404),
    // The recorded answers come from the HTTP parser, without the headers of the exposure.
    ("route/unicode-id-raw-bytes", 400),
    ("route/absolute-form-bad-port-500", 0),
    ("method/lowercase-method-is-rejected", 0),
    // The root base path works (D8).
    ("route/base-root-config-triple-slash", 404),
    ("route/base-root-config-quad-slash", 404),
    ("route/base-empty-config-behaves-as-root", 200),
    // An empty token is refused at configuration (D7).
    ("auth/array-with-empty-string-accepts-missing-header", 0),
    ("auth/array-with-empty-string-rejects-other", 0),
    // Somebody else's handler answered.
    ("attach/own-path-untouched", 0),
    ("attach/own-path-options-untouched", 0),
];

const AREAS: [&str; 8] = ["route", "auth", "cors", "request-id", "method", "allowlist", "discovery", "attach"];

/// Our lines as sorted pairs, names in lower case, without Allow (the reference sends none; RFC 9110 wants it).
fn rendered(lines: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(lines).unwrap();
    let pairs = text.split_terminator("\r\n").map(|line| line.split_once(": ").unwrap());
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    pairs.retain(|(name, _)| name != "allow");
    pairs.sort();
    pairs
}

/// The recorded lines that the tunnel is answerable for, as sorted pairs.
fn recorded(headers: &Value) -> Vec<(String, String)> {
    let ours = |name: &str| matches!(name, "vary" | "x-runner-request-id") || name.starts_with("access-control-");
    let mut pairs = Vec::new();
    for (name, value) in headers.as_object().unwrap().iter().filter(|(name, _)| ours(name)) {
        let value = match value.as_str().unwrap() {
            "<uuid>" => "07070707-0707-4707-8707-070707070707",
            value => value,
        };
        pairs.push((name.clone(), value.to_owned()));
    }
    pairs.sort();
    pairs
}

#[test]
fn decisions_are_the_references() {
    let Some(golden) = shared("golden/open.json") else { return };
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    let registered = registered(cases);
    let mut compared = 0;
    for case in cases.iter().filter(|case| AREAS.contains(&case["area"].as_str().unwrap())) {
        let name = case["name"].as_str().unwrap();
        let departure = DEPARTURES.iter().find(|(departing, _)| *departing == name).map(|(_, status)| *status);
        let by_javascript = case["app"]["http"]["cors"]["origin"].is_object();
        let Some(bytes) = request_bytes(&case["request"]) else { continue };
        if departure == Some(0) || by_javascript {
            continue;
        }
        let exposure = exposure(&case["app"], &registered);
        let parsed = Parsed::new(bytes);
        let (mut lines, mut decoded, mut again) = (Vec::new(), Vec::new(), Vec::new());
        let verdict = exposure.decide(&parsed.request(), &mut lines, &mut decoded, |id| write_uuid_v4([7; 16], id));
        let response = &case["response"];
        let status = response["status"].as_u64().unwrap() as u16;
        // What the validators say is recorded in the status.
        let decision = match verdict.decision {
            Decision::Ask(_) => {
                let advice = Advice { passed: status != 401, ..Advice::default() };
                lines.clear();
                exposure
                    .decide_advised(&parsed.request(), Some(&advice), &mut lines, &mut again, |id| {
                        write_uuid_v4([7; 16], id);
                    })
                    .decision
            }
            decision => decision,
        };
        let mut body = Vec::new();
        let ours = match decision {
            Decision::Ask(_) => panic!("{name}: asked twice"),
            Decision::Call { body, .. } => {
                assert_eq!(body, BodyMode::Json, "{name}");
                200
            }
            Decision::Discovery => {
                body.extend_from_slice(exposure.table.discovery());
                200
            }
            Decision::Preflight => 204,
            Decision::Outside => {
                Refusal::NotFound.write_body(&mut body);
                404
            }
            Decision::Refuse(refusal) => {
                refusal.write_body(&mut body);
                refusal.status()
            }
        };
        compared += 1;
        if let Some(departure) = departure {
            assert_eq!(ours, departure, "{name}");
            continue;
        }
        assert_eq!(ours, status, "{name}");
        if !body.is_empty() && parsed.request().method != b"HEAD" {
            assert_eq!(Some(std::str::from_utf8(&body).unwrap()), response["body"].as_str(), "{name}");
        }
        assert_eq!(rendered(&lines), recorded(&response["headers"]), "{name}");
        assert_eq!(verdict.security, response["headers"]["x-frame-options"] == "DENY", "{name}");
    }
    assert!(compared > 150, "only {compared} cases were compared");
}

#[test]
fn bodies_are_judged_as_the_reference_judged_them() {
    let Some(golden) = shared("golden/open.json") else { return };
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let mut checker = JsonChecker::default();
    let (mut compared, mut marked) = (0, 0);
    for case in golden["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if !["body", "parse", "serialize"].contains(&case["area"].as_str().unwrap()) {
            continue;
        }
        let Some(bytes) = request_bytes(&case["request"]) else { continue };
        let parsed = Parsed::new(bytes);
        let invalid = case["response"]["body"].as_str().is_some_and(|body| body.contains("INVALID_JSON"));
        compared += 1;
        match checker.check(&parsed.bytes[parsed.body..]) {
            JsonVerdict::Invalid => assert!(invalid, "{name}: refused, the reference accepted it"),
            // The serializer has the last word on a marked body, and must never refuse a plain one.
            JsonVerdict::Marked(_) => marked += 1,
            JsonVerdict::Plain(_) | JsonVerdict::Input(_) | JsonVerdict::Empty => {
                assert!(!invalid, "{name}: plain, the reference refused it")
            }
        }
    }
    assert!(compared > 90 && marked > 30, "compared {compared}, marked {marked}");
}

/// The vectors of a file that are given as one base64 text: id and body.
fn bodies(file: &str) -> Vec<(String, Vec<u8>)> {
    let Some(lines) = shared(file) else { return Vec::new() };
    let vectors = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    vectors
        .filter_map(|vector| {
            let bytes = base64::decode(vector["request_b64"].as_str()?);
            let body = 4 + bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
            Some((vector["id"].as_str()?.to_owned(), bytes[body..].to_vec()))
        })
        .collect()
}

#[test]
fn the_json_suite() {
    let mut checker = JsonChecker::default();
    let (mut accepted, mut refused) = (0, 0);
    for (id, body) in bodies("http/json-suite.jsonl") {
        let verdict = checker.check(&body);
        if id.starts_with("jts-y_") {
            accepted += 1;
            assert!(
                matches!(verdict, JsonVerdict::Plain(_) | JsonVerdict::Input(_) | JsonVerdict::Marked(_)),
                "{id}: {verdict:?}"
            );
        } else if id.starts_with("jts-n_") {
            refused += 1;
            // An empty body is "undefined" to the contract.
            let expected = if body.is_empty() { JsonVerdict::Empty } else { JsonVerdict::Invalid };
            assert_eq!(verdict, expected, "{id}");
        }
    }
    assert!((accepted > 90 && refused > 150) || accepted + refused == 0, "{accepted} and {refused}");
}

#[test]
fn the_json_vectors_of_the_corpus() {
    let mut checker = JsonChecker::default();
    for (id, body) in bodies("http/open.jsonl") {
        let verdict = checker.check(&body);
        if id.starts_with("js-bad-") {
            assert_eq!(verdict, JsonVerdict::Invalid, "{id}");
        } else if id.starts_with("js-ok-") {
            assert!(matches!(verdict, JsonVerdict::Plain(_) | JsonVerdict::Input(_)), "{id}: {verdict:?}");
        } else if id.starts_with("js-proto-") || id.starts_with("js-graph-") {
            assert!(matches!(verdict, JsonVerdict::Marked(_)), "{id}: {verdict:?}");
        }
    }
}
