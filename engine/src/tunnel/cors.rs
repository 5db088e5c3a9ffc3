//! CORS headers (CONTRACT 8), rendered as complete header lines.
//!
//! An origin that JavaScript decides on (RegExp, function) is not known here: it comes with the request's
//! [`Advice`](super::advice::Advice).

use std::fmt;

use crate::wire::fields::{FieldValue, Fields};
use crate::wire::token::is_field_value;

/// The configured `origin`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Undefined or null: everybody (`*`), or nobody when credentials are on.
    #[default]
    Unset,
    /// This text, always, without a comparison.
    Fixed(String),
    /// The request's origin if it is listed exactly, else none.
    List(Vec<String>),
    /// What JavaScript says for each request.
    Asked,
}

/// The configured `cors`. The default is what no `cors` at all means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOptions {
    /// Who may read answers.
    pub origin: Origin,
    /// For preflights; empty: `POST, OPTIONS`.
    pub methods: Vec<String>,
    /// For preflights; empty: what the request asks for.
    pub allowed_headers: Vec<String>,
    /// For actual answers; empty: no header.
    pub exposed_headers: Vec<String>,
    /// `Access-Control-Allow-Credentials: true`, whether or not the origin matches.
    pub credentials: bool,
    /// Seconds; zero is sent too.
    pub max_age: Option<u32>,
    /// Send `Vary: Origin` where the answer depends on the origin.
    pub vary_origin: bool,
}

impl Default for CorsOptions {
    fn default() -> Self {
        CorsOptions {
            origin: Origin::Unset,
            methods: Vec::new(),
            allowed_headers: Vec::new(),
            exposed_headers: Vec::new(),
            credentials: false,
            max_age: None,
            vary_origin: true,
        }
    }
}

/// A configured text that cannot be the value of a header: empty, or with control or non-latin-1 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsError {
    /// Which option.
    pub option: &'static str,
}

impl fmt::Display for CorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cors: {} cannot be sent in a header", self.option)
    }
}

impl std::error::Error for CorsError {}

/// Where the `Access-Control-Allow-Origin` line comes from.
#[derive(Clone, Debug)]
enum AllowOrigin {
    /// One line (or none) for everybody.
    Same(Vec<u8>),
    /// A listed origin (as sent) and its line.
    Listed(Vec<(Vec<u8>, Vec<u8>)>),
    /// The advised origin.
    Asked,
}

/// Compiled CORS answers.
#[derive(Clone, Debug)]
pub struct Cors {
    vary: &'static [u8],
    allow_origin: AllowOrigin,
    /// After the origin line of an actual answer.
    actual_tail: Vec<u8>,
    methods: Vec<u8>,
    /// None: echo what the request asks for.
    allowed_headers: Option<Vec<u8>>,
    /// After the allowed headers of a preflight answer.
    preflight_tail: Vec<u8>,
}

impl Cors {
    /// Compiles the options.
    pub fn new(options: &CorsOptions) -> Result<Cors, CorsError> {
        let (allow_origin, varies) = match &options.origin {
            Origin::Unset if options.credentials => (AllowOrigin::Same(Vec::new()), true),
            Origin::Unset => (AllowOrigin::Same(allow_origin_line(b"*")), false),
            Origin::Fixed(origin) => (AllowOrigin::Same(allow_origin_line(&field_text("origin", &[origin])?)), false),
            Origin::List(origins) => {
                let mut listed = Vec::with_capacity(origins.len());
                for origin in origins {
                    let origin = field_text("origin", &[origin])?;
                    let line = allow_origin_line(&origin);
                    listed.push((origin, line));
                }
                (AllowOrigin::Listed(listed), true)
            }
            Origin::Asked => (AllowOrigin::Asked, true),
        };
        let mut actual_tail = Vec::new();
        let mut preflight_tail = Vec::new();
        if options.credentials {
            push_line(&mut actual_tail, CREDENTIALS, b"true");
            push_line(&mut preflight_tail, CREDENTIALS, b"true");
        }
        if !options.exposed_headers.is_empty() {
            let exposed = field_text("exposedHeaders", &options.exposed_headers)?;
            push_line(&mut actual_tail, b"Access-Control-Expose-Headers: ", &exposed);
        }
        if let Some(seconds) = options.max_age {
            push_line(&mut preflight_tail, b"Access-Control-Max-Age: ", seconds.to_string().as_bytes());
        }
        let mut methods = Vec::new();
        if options.methods.is_empty() {
            push_line(&mut methods, METHODS, b"POST, OPTIONS");
        } else {
            push_line(&mut methods, METHODS, &field_text("methods", &options.methods)?);
        }
        let mut allowed_headers = None;
        if !options.allowed_headers.is_empty() {
            let mut line = Vec::new();
            push_line(&mut line, HEADERS, &field_text("allowedHeaders", &options.allowed_headers)?);
            allowed_headers = Some(line);
        }
        Ok(Cors {
            vary: if varies && options.vary_origin { b"Vary: Origin\r\n" } else { b"" },
            allow_origin,
            actual_tail,
            methods,
            allowed_headers,
            preflight_tail,
        })
    }

    /// True when JavaScript has to be asked before any answer.
    #[inline]
    #[must_use]
    pub fn asks(&self) -> bool {
        matches!(self.allow_origin, AllowOrigin::Asked)
    }

    /// Appends the lines of every answer but a preflight's. `advised` counts only where [`Self::asks`] is true.
    #[inline]
    pub fn actual(&self, fields: Fields<'_>, advised: &[u8], lines: &mut Vec<u8>) {
        lines.extend_from_slice(self.vary);
        self.allow_origin(fields, advised, lines);
        lines.extend_from_slice(&self.actual_tail);
    }

    /// Appends the lines of a preflight answer (204). The same whether or not the origin is allowed.
    pub fn preflight(&self, fields: Fields<'_>, advised: &[u8], lines: &mut Vec<u8>) {
        lines.extend_from_slice(self.vary);
        self.allow_origin(fields, advised, lines);
        lines.extend_from_slice(&self.methods);
        match &self.allowed_headers {
            Some(line) => lines.extend_from_slice(line),
            None => echo_requested_headers(fields, lines),
        }
        lines.extend_from_slice(&self.preflight_tail);
    }

    #[inline]
    fn allow_origin(&self, fields: Fields<'_>, advised: &[u8], lines: &mut Vec<u8>) {
        match &self.allow_origin {
            AllowOrigin::Same(line) => lines.extend_from_slice(line),
            AllowOrigin::Listed(listed) => {
                // Two Origin lines are joined by node:http and match nothing.
                let FieldValue::One(origin) = fields.get(b"origin") else { return };
                if let Some((_, line)) = listed.iter().find(|(known, _)| known == origin) {
                    lines.extend_from_slice(line);
                }
            }
            // Often an echo of what the client sent: only text that is a field value goes out.
            AllowOrigin::Asked if !advised.is_empty() && is_field_value(advised) => {
                push_line(lines, ALLOW_ORIGIN, advised);
            }
            AllowOrigin::Asked => {}
        }
    }
}

const ALLOW_ORIGIN: &[u8] = b"Access-Control-Allow-Origin: ";
const CREDENTIALS: &[u8] = b"Access-Control-Allow-Credentials: ";
const METHODS: &[u8] = b"Access-Control-Allow-Methods: ";
const HEADERS: &[u8] = b"Access-Control-Allow-Headers: ";
const REQUESTED: &[u8] = b"access-control-request-headers";

/// Echoes `Access-Control-Request-Headers` verbatim, several lines joined as node:http does. Only text that is a
/// field value goes out again, so that no request can add a line to its answer.
fn echo_requested_headers(fields: Fields<'_>, lines: &mut Vec<u8>) {
    let before = lines.len();
    lines.extend_from_slice(HEADERS);
    let start = lines.len();
    let mut first = true;
    for (name, value) in fields.iter() {
        if name.eq_ignore_ascii_case(REQUESTED) {
            if !first {
                lines.extend_from_slice(b", ");
            }
            first = false;
            lines.extend_from_slice(value);
        }
    }
    if lines.len() == start || !lines[start..].iter().all(|byte| is_value_byte(*byte)) {
        lines.truncate(before);
    } else {
        lines.extend_from_slice(b"\r\n");
    }
}

fn allow_origin_line(origin: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    push_line(&mut line, ALLOW_ORIGIN, origin);
    line
}

fn push_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// RFC 9110 5.5: visible, blank, tab or obs-text.
fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// The texts joined, as latin-1 bytes.
fn field_text<T: AsRef<str>>(option: &'static str, texts: &[T]) -> Result<Vec<u8>, CorsError> {
    let error = || CorsError { option };
    let mut value = Vec::new();
    for (position, text) in texts.iter().enumerate() {
        if position > 0 {
            value.extend_from_slice(b", ");
        }
        let start = value.len();
        for character in text.as_ref().chars() {
            value.push(u8::try_from(u32::from(character)).map_err(|_| error())?);
        }
        if value.len() == start || !value[start..].iter().all(|byte| is_value_byte(*byte)) {
            return Err(error());
        }
    }
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::request::sample::Sample;
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).into()).collect()
    }

    fn render(options: &CorsOptions, lines: &[(&str, &[u8])]) -> (String, String) {
        let sample = Sample::new("POST", "/", lines);
        let cors = Cors::new(options).unwrap();
        let (mut actual, mut preflight) = (Vec::new(), Vec::new());
        cors.actual(sample.fields(), b"https://advised", &mut actual);
        cors.preflight(sample.fields(), b"https://advised", &mut preflight);
        (String::from_utf8(actual).unwrap(), String::from_utf8(preflight).unwrap())
    }

    const ANY: &str = "Access-Control-Allow-Origin: *\r\n";
    const VARY: &str = "Vary: Origin\r\n";
    const DEFAULT_METHODS: &str = "Access-Control-Allow-Methods: POST, OPTIONS\r\n";

    #[test]
    fn nothing_configured() {
        let (actual, preflight) = render(&CorsOptions::default(), &[]);
        assert_eq!(actual, ANY);
        assert_eq!(preflight, format!("{ANY}{DEFAULT_METHODS}"));
    }

    #[test]
    fn origins() {
        let list = || Origin::List(texts(&["https://a.example", "https://b.example"]));
        let fixed = || Origin::Fixed("https://app.example".into());
        let a = "Access-Control-Allow-Origin: https://a.example\r\n";
        let app = "Access-Control-Allow-Origin: https://app.example\r\n";
        let credentials = "Access-Control-Allow-Credentials: true\r\n";
        type Row<'a> = (Origin, bool, bool, &'a [(&'a str, &'a [u8])], String);
        let table: Vec<Row<'_>> = vec![
            (Origin::Unset, false, true, &[("origin", b"https://x")], ANY.into()),
            (Origin::Unset, true, true, &[("origin", b"https://x")], format!("{VARY}{credentials}")),
            (Origin::Unset, true, false, &[], credentials.into()),
            (fixed(), false, true, &[("origin", b"https://other")], app.into()),
            (fixed(), true, true, &[], format!("{app}{credentials}")),
            (list(), false, true, &[("Origin", b"https://a.example")], format!("{VARY}{a}")),
            (list(), false, false, &[("Origin", b"https://a.example")], a.into()),
            (list(), false, true, &[("Origin", b"https://A.example")], VARY.into()),
            (list(), false, true, &[("Origin", b"https://a.example/")], VARY.into()),
            (list(), false, true, &[("Origin", b"null")], VARY.into()),
            (list(), false, true, &[], VARY.into()),
            (list(), false, true, &[("origin", b"https://a.example"), ("origin", b"https://a.example")], VARY.into()),
            (list(), true, true, &[("origin", b"https://zz")], format!("{VARY}{credentials}")),
            (list(), true, true, &[("origin", b"https://a.example")], format!("{VARY}{a}{credentials}")),
        ];
        for (row, (origin, credentials, vary_origin, lines, expected)) in table.into_iter().enumerate() {
            let options = CorsOptions { origin, credentials, vary_origin, ..CorsOptions::default() };
            assert_eq!(render(&options, lines).0, expected, "row {row}");
        }
    }

    #[test]
    fn everything_configured() {
        let options = CorsOptions {
            origin: Origin::List(texts(&["https://a.example"])),
            methods: texts(&["POST", "GET", "OPTIONS"]),
            allowed_headers: texts(&["x-runner-token", "content-type"]),
            exposed_headers: texts(&["x-runner-request-id", "x-total"]),
            credentials: true,
            max_age: Some(600),
            vary_origin: true,
        };
        let (actual, preflight) =
            render(&options, &[("origin", b"https://a.example"), ("access-control-request-headers", b"x-other")]);
        assert_eq!(
            actual,
            "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.example\r\n\
             Access-Control-Allow-Credentials: true\r\n\
             Access-Control-Expose-Headers: x-runner-request-id, x-total\r\n"
        );
        assert_eq!(
            preflight,
            "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.example\r\n\
             Access-Control-Allow-Methods: POST, GET, OPTIONS\r\n\
             Access-Control-Allow-Headers: x-runner-token, content-type\r\n\
             Access-Control-Allow-Credentials: true\r\nAccess-Control-Max-Age: 600\r\n"
        );
        let zero = CorsOptions { max_age: Some(0), ..CorsOptions::default() };
        assert_eq!(render(&zero, &[]).1, format!("{ANY}{DEFAULT_METHODS}Access-Control-Max-Age: 0\r\n"));
    }

    #[test]
    fn requested_headers_are_echoed_but_never_a_new_line() {
        type Row<'a> = (&'a [&'a [u8]], &'a str);
        let table: &[Row<'_>] = &[
            (&[b"content-type,x-runner-token"], "Access-Control-Allow-Headers: content-type,x-runner-token\r\n"),
            (&[b"x-a", b"x-b"], "Access-Control-Allow-Headers: x-a, x-b\r\n"),
            (&[b"x-a\tx-b"], "Access-Control-Allow-Headers: x-a\tx-b\r\n"),
            (&[b""], ""),
            (&[b"x-a\r\nX-Evil: 1"], ""),
            (&[b"x-a", b"x-b\nX-Evil: 1"], ""),
            (&[b"x-a\0"], ""),
        ];
        for (values, expected) in table {
            let lines: Vec<_> = values.iter().map(|value| ("Access-Control-Request-Headers", *value)).collect();
            let (_, preflight) = render(&CorsOptions::default(), &lines);
            assert_eq!(preflight, format!("{ANY}{DEFAULT_METHODS}{expected}"), "{values:?}");
        }
    }

    #[test]
    fn options_that_would_inject_are_errors() {
        let bad = |text: &str| texts(&["ok", text]);
        for text in ["a\r\nb", "a\nb", "", "λ", "a\0"] {
            let all = [
                ("origin", CorsOptions { origin: Origin::Fixed(text.into()), ..CorsOptions::default() }),
                ("origin", CorsOptions { origin: Origin::List(bad(text)), ..CorsOptions::default() }),
                ("methods", CorsOptions { methods: bad(text), ..CorsOptions::default() }),
                ("allowedHeaders", CorsOptions { allowed_headers: bad(text), ..CorsOptions::default() }),
                ("exposedHeaders", CorsOptions { exposed_headers: bad(text), ..CorsOptions::default() }),
            ];
            for (option, options) in all {
                assert_eq!(Cors::new(&options).unwrap_err(), CorsError { option }, "{text:?}");
            }
        }
    }

    #[test]
    fn an_asked_origin_comes_with_the_advice() {
        let options = |vary_origin| CorsOptions { origin: Origin::Asked, vary_origin, ..CorsOptions::default() };
        let a = "Access-Control-Allow-Origin: https://a\r\n";
        let table: [(bool, &[u8], String); 6] = [
            (true, b"https://a", format!("{VARY}{a}")),
            (false, b"https://a", a.into()),
            (true, b"", VARY.into()),
            (true, b"https://a\r\nX-Evil: 1", VARY.into()),
            (true, b"a\0", VARY.into()),
            (false, b"\n", String::new()),
        ];
        for (vary, advised, expected) in table {
            let cors = Cors::new(&options(vary)).unwrap();
            assert!(cors.asks());
            let sample = Sample::new("POST", "/", &[("origin", b"https://other")]);
            let (mut actual, mut preflight) = (Vec::new(), Vec::new());
            cors.actual(sample.fields(), advised, &mut actual);
            cors.preflight(sample.fields(), advised, &mut preflight);
            assert_eq!(String::from_utf8(actual).unwrap(), expected, "{advised:?}");
            assert_eq!(String::from_utf8(preflight).unwrap(), format!("{expected}{DEFAULT_METHODS}"), "{advised:?}");
        }
        assert!(!Cors::new(&CorsOptions::default()).unwrap().asks());
    }
}
