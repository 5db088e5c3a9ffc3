//! Any request head under many configurations: who may call is who a simple reading of the rules lets in, and what goes
//! into the answer is whole, known header lines and a JSON body.
#![no_main]

use std::sync::LazyLock;

use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions, Origin};
use fasttunnel_engine::tunnel::decide::{BodyMode, Decision, Exposure, Verdict};
use fasttunnel_engine::tunnel::request::Request;
use fasttunnel_engine::tunnel::request_id::write_uuid_v4;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable, Kind, Registration};
use fasttunnel_engine::wire::fields::Fields;
use fasttunnel_engine::wire::head::{Head, HeadError, HeadLimits, HeadScanner, Scan};
use fasttunnel_engine::wire::token::{is_field_value, is_token};

const TOKENS: [&str; 2] = ["s3cret", "other"];
const ORIGINS: [&str; 2] = ["https://a.example", "null"];

struct Setup {
    exposure: Exposure,
    header: &'static str,
    tokens: bool,
    anonymous: bool,
    origin: usize,
    credentials: bool,
}

static SETUPS: LazyLock<Vec<Setup>> = LazyLock::new(|| (0..=255).map(setup).collect());

/// One configuration for each value of the first byte.
fn setup(choice: u8) -> Setup {
    let bit = |at: u8| choice >> at & 1 == 1;
    let (tokens, anonymous, credentials) = (bit(0), bit(1), bit(2));
    let header = if bit(3) { "authorization" } else { "x-runner-token" };
    let origin = usize::from(choice >> 4 & 3);
    let registered =
        [(Kind::Task, "add", 1), (Kind::Task, "a/b", 2), (Kind::Event, "add", 3), (Kind::Task, "__proto__", 4)]
            .map(|(kind, id, index)| Registration { kind, id: id.into(), index });
    let options = AuthOptions {
        header: Some(header.into()),
        tokens: tokens.then(|| TOKENS.map(str::to_owned).to_vec()),
        allow_anonymous: anonymous,
        validators: false,
    };
    let cors = CorsOptions {
        origin: match origin {
            0 => Origin::Unset,
            1 => Origin::Fixed(ORIGINS[0].into()),
            2 => Origin::List(ORIGINS.map(str::to_owned).to_vec()),
            _ => Origin::Asked,
        },
        credentials,
        max_age: bit(6).then_some(5),
        allowed_headers: if bit(7) { vec!["x-a".into()] } else { Vec::new() },
        ..CorsOptions::default()
    };
    let exposure = Exposure {
        base_path: BasePath::default(),
        table: HandlerTable::new(&registered, &Allow::AllRegistered).expect("distinct ids"),
        auth: AuthConfig::new(options).expect("good options"),
        cors: Cors::new(&cors).expect("good options"),
        disable_discovery: bit(6),
        server_options: bit(7),
        any_coding: bit(7),
    };
    Setup { exposure, header, tokens, anonymous, origin, credentials }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [choice, bytes @ ..] = data else { return };
    let limits = HeadLimits::default();
    let Ok(Scan::Complete { start, end }) = HeadScanner::default().find(bytes, &limits) else { return };
    let (bytes, mut head) = (&bytes[start..end], Head::default());
    if !matches!(head.parse(bytes, &limits), Ok(()) | Err(HeadError::Expectation)) {
        return;
    }
    let request = Request {
        method: &bytes[..head.target.start as usize - 1],
        path: head.path.of(bytes),
        fields: head.fields.of(bytes),
    };
    let setup = &SETUPS[usize::from(*choice)];
    let (mut lines, mut decoded) = (Vec::new(), b"left over".to_vec());
    let verdict = setup.exposure.decide(&request, &mut lines, &mut decoded, |id| write_uuid_v4([9; 16], id));
    check_lines(&verdict, &lines);
    check_cors(setup, &request, &verdict, &lines);
    check_entry(setup, &request, &verdict);
});

fn check_lines(verdict: &Verdict<'_>, lines: &[u8]) {
    if let Some(range) = &verdict.request_id {
        let id = &lines[range.clone()];
        assert!((1..=128).contains(&id.len()));
        assert!(id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(byte)));
    }
    let mut names = Vec::new();
    for (name, value) in parsed(lines) {
        assert!(is_token(&name) && is_field_value(&value));
        let name = name.to_ascii_lowercase();
        assert!(
            [&b"x-runner-request-id"[..], b"vary", b"allow", b"accept-encoding"].contains(&&name[..])
                || name.starts_with(b"access-control-"),
            "{}",
            name.escape_ascii()
        );
        assert!(!names.contains(&name), "{} twice", name.escape_ascii());
        names.push(name);
    }
}

fn parsed(lines: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    if lines.is_empty() {
        return Vec::new();
    }
    let lines = lines.strip_suffix(b"\r\n").expect("a line ends with CRLF");
    let mut rest = lines;
    let mut out = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap_or(rest.len());
        let colon = rest[..end].windows(2).position(|pair| pair == b": ").expect("a colon and a blank");
        out.push((rest[..colon].to_vec(), rest[colon + 2..end].to_vec()));
        if end == rest.len() {
            return out;
        }
        rest = &rest[end + 2..];
    }
}

fn check_cors(setup: &Setup, request: &Request<'_>, verdict: &Verdict<'_>, lines: &[u8]) {
    let lines = parsed(lines);
    let line = |name: &[u8]| {
        lines.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    };
    let origin = line(b"access-control-allow-origin");
    if setup.credentials {
        assert_ne!(origin, Some(&b"*"[..]), "any origin with credentials");
    }
    let sent = sent(request.fields, "origin");
    let expected = match setup.origin {
        0 => (!setup.credentials).then_some(&b"*"[..]),
        1 => Some(ORIGINS[0].as_bytes()),
        2 => match sent[..] {
            [one] => ORIGINS.iter().map(|known| known.as_bytes()).find(|known| *known == one),
            _ => None,
        },
        // Nobody was asked: nobody is allowed.
        _ => None,
    };
    if origin.is_some() || !matches!(verdict.decision, Decision::Outside) {
        assert_eq!(origin, expected);
    }
    if origin.is_some() && setup.origin == 2 {
        assert_eq!(line(b"vary"), Some(&b"Origin"[..]));
    }
}

fn check_entry(setup: &Setup, request: &Request<'_>, verdict: &Verdict<'_>) {
    // An origin that JavaScript decides on is asked about first; nothing has run by then.
    match &verdict.decision {
        Decision::Ask(question) => {
            assert!(question.origin && setup.origin == 3);
        }
        Decision::Call { handler, kind, body } => {
            assert_eq!(request.method, b"POST");
            let raw = setup.exposure.any_coding || *body == BodyMode::OctetStream;
            assert!(raw || !sent(request.fields, "content-encoding").contains(&&b"gzip"[..]), "read as it is");
            assert!(may_enter(setup, request.fields), "called without a token");
            let path = String::from_utf8(request.path.to_vec()).expect("ASCII");
            let expected = match handler {
                1 => (Kind::Task, "add"),
                2 => (Kind::Task, "a/b"),
                3 => (Kind::Event, "add"),
                _ => (Kind::Task, "__proto__"),
            };
            assert_eq!((*kind, id_of(&path).as_str()), expected, "{path}");
        }
        Decision::Discovery => {
            assert_eq!(request.method, b"GET");
            assert!(may_enter(setup, request.fields), "listed without a token");
        }
        Decision::Refuse(refusal) => {
            let mut body = Vec::new();
            refusal.write_body(&mut body);
            let body: serde_json::Value = serde_json::from_slice(&body).expect("a body is JSON");
            assert_eq!((&body["ok"], &body["error"]["code"]), (&false.into(), &refusal.code().into()));
            assert!((400..600).contains(&refusal.status()));
        }
        Decision::Preflight => assert_eq!(request.method, b"OPTIONS"),
        Decision::Outside => {}
    }
}

fn may_enter(setup: &Setup, fields: Fields<'_>) -> bool {
    let values = sent(fields, setup.header);
    let presented = match values[..] {
        [] => None,
        [one] => Some(one),
        [first, ..] => (setup.header == "authorization").then_some(first),
    };
    if setup.tokens {
        presented.is_some_and(|value| TOKENS.iter().any(|token| token.as_bytes() == value))
    } else {
        setup.anonymous
    }
}

fn sent<'a>(fields: Fields<'a>, name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value).collect()
}

/// The id that a path names, by string functions.
fn id_of(path: &str) -> String {
    let segments: Vec<_> =
        path.strip_prefix("/__runner").expect("the base").split('/').filter(|s| !s.is_empty()).collect();
    let raw = segments[1..].join("/");
    let mut pieces = raw.split('%');
    let mut id = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        id.push(u8::from_str_radix(&piece[..2], 16).expect("hex digits"));
        id.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(id).expect("UTF-8")
}
