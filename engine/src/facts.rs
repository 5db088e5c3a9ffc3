//! What the host's language has to know as well: numbers of the call table, flags, ranges and defaults of options, names.
//! `examples/facts.rs` writes it down; [`hash`] tells whether what was written is of this build.

use std::fmt;

use crate::bounds::{self, Bound};
use crate::host::codes;
use crate::host::layout::{self, frame, news, outcome};
use crate::limits::{ANSWER_FIRST_BYTES, BEAT_MS, FRAME_BYTES, HANDLERS_SETTLE, RETRY_AFTER_S};
use crate::link::{batch::flags, census, meter};
use crate::shard::counters;
use crate::shard::report::names;
use crate::stated::{Stated, Statistic};
use crate::tunnel::auth::DEFAULT_TOKEN_HEADER;
use crate::tunnel::envelope::{CONTENT_TYPE, OF_THE_HOST, Refusal};
use crate::tunnel::multipart::BodyRefusal;
use crate::tunnel::request_id::REQUEST_ID_HEADER;
use crate::tunnel::route::BasePath;
use crate::wire::head::NOTICE_OPTION;

/// One of them. Its text is `NAME = value`, as in JavaScript.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What the constant is called.
    pub name: String,
    /// What it is.
    pub says: String,
    /// Its value.
    pub value: Value,
}

/// The value of a fact.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number.
    Number(u64),
    /// More than any number.
    Infinity,
    /// A text.
    Text(&'static str),
    /// Values by name: one line, or one for each where they have names themselves.
    Record(Vec<(&'static str, Value)>),
    /// Numbers of the statistics: by name what each counts, and what it means.
    Statistics(Vec<Statistic>),
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Fact> {
    let mut facts = Vec::new();
    for (prefix, table) in [
        ("", layout::STATED),
        ("NEWS_", news::STATED),
        ("FLAG_", flags::STATED),
        ("FRAME_", frame::STATED),
        ("", outcome::STATED),
    ] {
        facts.extend(table.iter().map(|row| of_row(prefix, row)));
    }
    facts.extend(REST.map(|(name, says, value)| Fact { name: name.to_owned(), says: says.to_owned(), value: value() }));
    facts
}

/// Name, what it is, and value.
type Row = (&'static str, &'static str, fn() -> Value);

/// Those that stand in no such table.
const REST: [Row; 22] = [
    ("ANSWER_FIRST_BYTES", "Bytes of a streamed answer that may be sent before any credit has come.", || {
        Value::Number(ANSWER_FIRST_BYTES.into())
    }),
    ("FRAME_BYTES", "Bytes of one frame, at most.", || Value::Number(FRAME_BYTES as u64)),
    (
        "HANDLERS_SETTLE_MS",
        "For so long, in milliseconds, calls may come that name handlers by numbers of before.",
        || Value::Number(HANDLERS_SETTLE.as_millis() as u64),
    ),
    ("BEAT_MS", "Milliseconds between two times that an event loop says how it is.", || Value::Number(BEAT_MS)),
    ("RETRY_AFTER_S", "`Retry-After` of every 503, in seconds.", || Value::Number(RETRY_AFTER_S.into())),
    ("JSON_TYPE", "Media type of the bodies that are the engine's own.", || Value::Text(CONTENT_TYPE)),
    ("BASE_PATH", "Default of `basePath`.", || Value::Text(BasePath::DEFAULT)),
    ("TOKEN_HEADER", "Default name of the header that carries the token.", || Value::Text(DEFAULT_TOKEN_HEADER)),
    (
        "NOTICE_OPTION",
        "The connection option of a client that wants to be told, by a 408, when no further request is read.",
        || Value::Text(NOTICE_OPTION),
    ),
    ("REQUEST_ID_HEADER", "The header that carries the request id.", || Value::Text(REQUEST_ID_HEADER)),
    ("LIMITS", "What each limit may be. `Limits` of the engine says what happens when one is reached.", || {
        table(&bounds::LIMITS)
    }),
    ("NUMBERS", "What the other options may be that are numbers.", || table(&bounds::OPTIONS)),
    ("MULTIPART", "What each bound of a multipart form may be.", || forms(&bounds::MULTIPART)),
    ("REFUSALS", "Refusals of the engine that the host answers with as well.", refusals),
    ("ERROR_CODES", "Codes of errors that the addon throws.", || {
        Value::Record(codes::OWN.iter().map(|(name, code)| (*name, Value::Text(code))).collect())
    }),
    ("ERRNO", "Those that it has of the system, with their numbers.", || {
        Value::Record(
            codes::SYSTEM.iter().map(|(name, errno)| (*name, Value::Number(errno.unsigned_abs().into()))).collect(),
        )
    }),
    ("SHARD_STATS", "Numbers in the statistics of a shard.", || Value::Statistics(shard_statistics().collect())),
    ("TUNNEL_STATS", "Numbers in the statistics of a tunnel.", || Value::Statistics(census::OF_A_TUNNEL.to_vec())),
    ("WORKER_STATS", "Numbers in the statistics of a worker.", || Value::Statistics(census::OF_A_WORKER.to_vec())),
    ("LOG_STATS", "Numbers in the statistics of an access log.", || Value::Statistics(census::OF_A_LOG.to_vec())),
    ("METRICS", "Families of metrics that are more than a number: their names and what they mean.", metrics),
    ("BODY_REFUSALS", "Why a form is refused, by the number that its frame carries.", body_refusals),
];

/// Numbers that the statistics of a shard hold.
pub fn shard_statistics() -> impl Iterator<Item = Statistic> {
    counters::STATED.iter().chain(&meter::STATED).map(|row| Statistic { says: row.says.trim(), ..*row })
}

/// Sixteen hexadecimal digits that are others when any fact is another.
#[must_use]
pub fn hash() -> String {
    let text: String = all().iter().map(|fact| format!("{fact};\n")).collect();
    format!("{:016x}", fnv1a(text.as_bytes()))
}

/// FNV-1a with 64 bits: nobody has a reason to look for two builds with one hash.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn of_row(prefix: &str, row: &Stated) -> Fact {
    Fact {
        name: format!("{prefix}{}", row.name),
        says: without_links(row.says.trim()),
        value: Value::Number(row.value),
    }
}

/// What is a link in Rust's documentation is a name anywhere else: of [`crate::a::B`] remains `B`.
fn without_links(text: &str) -> String {
    let mut pieces = text.split("[`");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (path, rest) = piece.split_once("`]").unwrap_or((piece, ""));
        plain += &format!("`{}`{rest}", path.rsplit("::").next().unwrap_or(path));
    }
    plain
}

fn metrics() -> Value {
    let row =
        |(name, help): names::Family| Value::Record(vec![("name", Value::Text(name)), ("help", Value::Text(help))]);
    Value::Record(names::STATED.iter().map(|(key, family)| (*key, row(*family))).collect())
}

fn refusals() -> Value {
    Value::Record(OF_THE_HOST.iter().map(|(name, refusal)| (*name, Value::Record(answer(refusal)))).collect())
}

fn body_refusals() -> Value {
    let row = |reason: BodyRefusal| {
        let number = ("number", Value::Number(reason as u64));
        Value::Record(std::iter::once(number).chain(answer(&reason.refusal())).collect())
    };
    Value::Record(BodyRefusal::ALL.iter().map(|(name, reason)| (*name, row(*reason))).collect())
}

/// What a refusal is answered with.
fn answer(refusal: &Refusal<'static>) -> Vec<(&'static str, Value)> {
    vec![
        ("status", Value::Number(refusal.status().into())),
        ("code", Value::Text(refusal.code())),
        ("body", Value::Text(refusal.fixed_text().unwrap_or_default())),
    ]
}

/// A row for each option; one without a default has no `fallback`.
fn table(bounds: &[Bound]) -> Value {
    Value::Record(bounds.iter().map(|bound| (bound.option, row(bound, bound.default.map(Value::Number)))).collect())
}

/// A row for each bound of forms; without a default it falls back to no bound.
fn forms(bounds: &[Bound]) -> Value {
    Value::Record(bounds.iter().map(|bound| (bound.option, row(bound, Some(or_infinity(bound.default))))).collect())
}

fn row(bound: &Bound, fallback: Option<Value>) -> Value {
    let fallback = fallback.map(|fallback| ("fallback", fallback));
    let range = [("least", Value::Number(bound.least)), ("most", or_infinity(bound.most))];
    let unit = bound.unit.map(|unit| ("unit", Value::Text(unit)));
    Value::Record(fallback.into_iter().chain(range).chain(unit).collect())
}

fn or_infinity(bound: Option<u64>) -> Value {
    bound.map_or(Value::Infinity, Value::Number)
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name, self.value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Infinity => f.write_str("Infinity"),
            Value::Text(text) => write!(f, "'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            Value::Statistics(rows) => {
                f.write_str("{\n")?;
                for row in rows {
                    let (kind, help) = (Value::Text(row.kind.name()), Value::Text(row.says));
                    writeln!(f, "  {}: {{ kind: {kind}, help: {help} }},", row.camel_case())?;
                }
                f.write_str("}")
            }
            Value::Record(members) if members.iter().any(|(_, value)| matches!(value, Value::Record(_))) => {
                f.write_str("{\n")?;
                members.iter().try_for_each(|(name, value)| writeln!(f, "  {name}: {value},"))?;
                f.write_str("}")
            }
            Value::Record(members) => {
                f.write_str("{ ")?;
                for (at, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{name}: {value}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str(" }")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        for (text, expected) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(fnv1a(text.as_bytes()), expected, "{text}");
        }
        assert!(hash().len() == 16 && hash() == hash());
    }

    #[test]
    fn a_fact_has_a_name_of_its_own_and_says_what_it_is() {
        let facts = all();
        for fact in &facts {
            assert_eq!(facts.iter().filter(|other| other.name == fact.name).count(), 1, "{}", fact.name);
            assert!(fact.says.ends_with(['.', ')']) && !fact.says.contains("*/"), "{}: {}", fact.name, fact.says);
        }
    }

    #[test]
    fn refusals_are_written_with_all_that_they_are_answered_with() {
        let body = |message: &str, code: &str| {
            format!(r#"code: '{code}', body: '{{"ok":false,"error":{{"message":"{message}","code":"{code}"}}}}' }},"#)
        };
        let aborted = body("Client Closed Request", "REQUEST_ABORTED");
        let files = body("Files limit exceeded", "PAYLOAD_TOO_LARGE");
        for (text, line) in [
            (refusals().to_string(), format!("  aborted: {{ status: 499, {aborted}\n")),
            (body_refusals().to_string(), format!("  files: {{ number: 4, status: 413, {files}\n")),
        ] {
            assert!(text.contains(&line) && !text.contains("body: ''"), "{text}");
        }
    }

    #[test]
    fn a_number_of_a_body_refusal_is_its_place() {
        for (at, (name, reason)) in BodyRefusal::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at + 1, "{name}");
        }
    }

    #[test]
    fn a_number_of_the_statistics_has_a_name_of_its_own_and_a_meaning() {
        let rows: Vec<_> = shard_statistics().collect();
        let text = Value::Statistics(rows.clone()).to_string();
        assert!(text.contains("\n  handlerTimeouts: { kind: 'counter', help: 'Calls ended with 504.' },\n"), "{text}");
        for row in &rows {
            assert_eq!(rows.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
            assert!(row.says.ends_with('.') && !row.says.contains(['\n', '\\']), "{}: {}", row.name, row.says);
        }
    }

    #[test]
    fn links_become_names() {
        assert_eq!(without_links("see [`super::A::B`], [`C`] and `D`"), "see `B`, `C` and `D`");
    }

    #[test]
    fn values_are_written_as_javascript_has_them() {
        let inner = Value::Record(vec![("a", Value::Number(1)), ("b", Value::Text("it's")), ("c", Value::Infinity)]);
        assert_eq!(inner.to_string(), r"{ a: 1, b: 'it\'s', c: Infinity }");
        assert_eq!(Value::Record(vec![("x", inner)]).to_string(), "{\n  x: { a: 1, b: 'it\\'s', c: Infinity },\n}");
    }

    #[test]
    fn an_option_without_a_default_has_none_to_fall_back_to() {
        let facts: Vec<String> = all().iter().map(Fact::to_string).collect();
        for line in [
            "maxHeaders: { fallback: 100, least: 1, most: 100, unit: 'header lines' },",
            "port: { fallback: 0, least: 0, most: 65535 },",
            "parts: { fallback: Infinity, least: 0, most: Infinity, unit: 'Infinity = none' },",
            "maxAge: { least: 0, most: 2147483647, unit: 'seconds' },",
        ] {
            assert!(facts.iter().any(|fact| fact.contains(line)), "{line} in {facts:#?}");
        }
    }
}
