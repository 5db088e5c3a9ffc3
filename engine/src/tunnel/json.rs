//! Is a body JSON, and may it go to JavaScript unseen (CONTRACT 10, 11.2)?
//!
//! simd-json judges first, on a scratch copy, because it rewrites strings with escapes in place. It accepts a
//! subset of what `JSON.parse` accepts (no `1e999`, no lone surrogate escapes, no integers beyond 64 bits, no
//! invalid UTF-8), so where it refuses, [`super::json_grammar`] decides.

use std::mem;

use simd_json::{Buffers, INPUT_PADDING, Node, Tape};

#[cfg(any(test, feature = "fuzzing"))]
use super::json_grammar::check_grammar;
use super::json_grammar::{Grammar, check_grammar_within, is_marked};
use crate::limits::{MAX_JSON_DEPTH, MAX_KEPT_JSON_BYTES};

/// What a body is. The text, where there is one, is JSON that `JSON.parse` accepts and valid UTF-8, and may be
/// spliced between commas into an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonVerdict<'a> {
    /// No bytes: the value is undefined.
    Empty,
    /// JSON that means to the serializer what it means to `JSON.parse`.
    Plain(&'a [u8]),
    /// JSON as for [`JsonVerdict::Plain`], and an object with `input` as its only member: the whole text, [`input_of`] is
    /// the member's.
    Input(&'a [u8]),
    /// JSON that the serializer has to read: a string in it is (or may hide) `__type`, `__graph`, `__proto__`,
    /// `constructor`, `prototype` or starts with `$runner.escape::`.
    Marked(&'a [u8]),
    /// 400 `INVALID_JSON`: syntax, or a value inside as many containers as are too deep.
    Invalid,
}

/// How almost every body of a task begins. Spelled in another way it is read like any other body.
const INPUT_START: &[u8] = br#"{"input":"#;

/// The text of the only member of a [`JsonVerdict::Input`].
#[inline]
#[must_use]
pub fn input_of(text: &[u8]) -> &[u8] {
    text.get(INPUT_START.len()..text.len().saturating_sub(1)).unwrap_or_default()
}

/// What simd-json says of a document that it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    /// A string of it is a marked name.
    marked: bool,
    /// It is an object with one member.
    single: bool,
}

/// Checks bodies. Owned by a shard; its buffers are reused, so that checking does not allocate once warm.
pub struct JsonChecker {
    max_depth: usize,
    scratch: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
    repaired: Vec<u8>,
}

impl Default for JsonChecker {
    fn default() -> Self {
        JsonChecker::new(MAX_JSON_DEPTH)
    }
}

impl JsonChecker {
    /// Refuses values inside `max_depth` containers, `1..=MAX_JSON_DEPTH`.
    #[must_use]
    pub fn new(max_depth: usize) -> JsonChecker {
        let max_depth = max_depth.clamp(1, MAX_JSON_DEPTH);
        JsonChecker {
            max_depth,
            scratch: Vec::new(),
            // One less: so many containers pass only if the innermost is empty, which the grammar finds out.
            buffers: Buffers::with_max_depth(0, max_depth - 1),
            tape: Tape(Vec::new()),
            repaired: Vec::new(),
        }
    }

    /// Judges a whole body. The text of the verdict is `body` itself, untouched; only if that is not UTF-8 it is a
    /// copy in which U+FFFD stands for every invalid sequence, as `Buffer.toString("utf8")` has it.
    pub fn check<'a>(&'a mut self, body: &'a [u8]) -> JsonVerdict<'a> {
        if body.is_empty() {
            return JsonVerdict::Empty;
        }
        if self.repaired.capacity() > MAX_KEPT_JSON_BYTES {
            self.repaired = Vec::new();
        }
        let judged = self.check_simd(body);
        if body.len() > MAX_KEPT_JSON_BYTES {
            *self = JsonChecker::new(self.max_depth);
        }
        let max_depth = self.max_depth;
        let (grammar, text) = match judged {
            // With one member, what stands around it is known by how the text begins and ends.
            Some(Found { marked: false, single: true }) if body.starts_with(INPUT_START) && body.ends_with(b"}") => {
                return JsonVerdict::Input(body);
            }
            Some(Found { marked, .. }) => (Grammar::Valid { marked }, body),
            None if std::str::from_utf8(body).is_ok() => (check_grammar_within(body, max_depth), body),
            None => {
                repair(body, &mut self.repaired);
                (check_grammar_within(&self.repaired, max_depth), &self.repaired[..])
            }
        };
        match grammar {
            Grammar::Valid { marked: false } => JsonVerdict::Plain(text),
            Grammar::Valid { marked: true } => JsonVerdict::Marked(text),
            Grammar::Invalid => JsonVerdict::Invalid,
        }
    }

    /// simd-json's word: None refuses.
    fn check_simd(&mut self, body: &[u8]) -> Option<Found> {
        self.scratch.clear();
        self.scratch.reserve(body.len() + INPUT_PADDING);
        self.scratch.extend_from_slice(body);
        self.scratch.resize(body.len() + INPUT_PADDING, b' ');
        // The tape borrows from the scratch copy; `reset` empties it, so only its allocation is carried over.
        let mut tape = mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let accepted = simd_json::fill_tape_padded(&mut self.scratch, body.len(), &mut self.buffers, &mut tape).is_ok();
        // The tape's strings are unescaped: no spelling hides a name. Values are looked at like keys; that a value
        // is such a name is too rare to be worth telling them apart.
        let marked = accepted
            && tape.0.iter().any(|node| match node {
                Node::String(text) => is_marked(text.as_bytes()),
                _ => false,
            });
        let single = matches!(tape.0.first(), Some(Node::Object { len: 1, .. }));
        self.tape = tape.reset();
        accepted.then_some(Found { marked, single })
    }
}

/// Copies `body` with U+FFFD for every maximal invalid subpart (what both WHATWG decoders and
/// `String::from_utf8_lossy` do).
fn repair(body: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for chunk in body.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Checks arbitrary bytes with both judges, and what must hold for all of them.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz_json(body: &[u8]) {
    let mut checker = JsonChecker::default();
    let simd = checker.check_simd(body);
    let utf8 = std::str::from_utf8(body).is_ok();
    if let Some(Found { marked: found, .. }) = simd {
        // Nothing gets past simd-json that JSON.parse refuses, and no mark that the grammar sees is missed: the
        // grammar only takes more for marks, where an escape could hide one.
        assert!(utf8, "accepted text that is not UTF-8");
        match check_grammar(body) {
            Grammar::Invalid => panic!("simd-json is more lenient than JSON.parse"),
            Grammar::Valid { marked } => assert!(marked || !found, "the grammar missed a mark"),
        }
    }
    let before = body.to_vec();
    match checker.check(body) {
        JsonVerdict::Empty => assert!(body.is_empty()),
        JsonVerdict::Input(text) => {
            assert_eq!(text, before);
            assert_ne!(check_grammar(input_of(text)), Grammar::Invalid, "what is cut out is one value");
        }
        JsonVerdict::Plain(text) | JsonVerdict::Marked(text) => {
            let text = std::str::from_utf8(text).expect("a text that is handed on is UTF-8");
            assert_eq!(text, String::from_utf8_lossy(&before));
            assert_ne!(check_grammar(text.as_bytes()), Grammar::Invalid);
        }
        JsonVerdict::Invalid => {
            assert_eq!(simd, None);
            assert_eq!(check_grammar(String::from_utf8_lossy(&before).as_bytes()), Grammar::Invalid);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Documents with keys and values that matter here.
    pub(crate) fn document() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "\\PC{0,12}",
            "[a-z]{0,80}",
            "[\"\\\\\n\u{1}é😀\\[\\]{},:]{0,40}",
            Just("__type".to_owned()),
            Just("$runner.escape::a".to_owned()),
            Just("__typename".to_owned()),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    /// Any unescaped string of the document is a marked name.
    fn has_mark(value: &Value) -> bool {
        match value {
            Value::String(text) => is_marked(text.as_bytes()),
            Value::Array(items) => items.iter().any(has_mark),
            Value::Object(pairs) => pairs.iter().any(|(key, item)| is_marked(key.as_bytes()) || has_mark(item)),
            _ => false,
        }
    }

    /// The document with every character of its strings as a `\u` escape.
    fn fully_escaped(value: &Value) -> String {
        let literal = |text: &str| {
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            format!("\"{units}\"")
        };
        match value {
            Value::String(text) => literal(text),
            Value::Array(items) => format!("[{}]", items.iter().map(fully_escaped).collect::<Vec<_>>().join(",")),
            Value::Object(pairs) => {
                let pairs: Vec<_> =
                    pairs.iter().map(|(key, item)| format!("{}:{}", literal(key), fully_escaped(item))).collect();
                format!("{{{}}}", pairs.join(","))
            }
            other => other.to_string(),
        }
    }

    #[test]
    fn verdicts() {
        use JsonVerdict::*;
        let mut checker = JsonChecker::default();
        let table: &[(&[u8], JsonVerdict<'_>)] = &[
            (b"", Empty),
            (b" ", Invalid),
            (b"{}", Plain(b"{}")),
            (b" [1] \n", Plain(b" [1] \n")),
            (br#"{"input":{"a":1,"b":2}}"#, Input(br#"{"input":{"a":1,"b":2}}"#)),
            (br#"{"input": [1] }"#, Input(br#"{"input": [1] }"#)),
            // Whoever says it in another way, or says more, is not cut.
            (br#" {"input":1}"#, Plain(br#" {"input":1}"#)),
            (br#"{"input":1} "#, Plain(br#"{"input":1} "#)),
            (br#"{"input" :1}"#, Plain(br#"{"input" :1}"#)),
            (br#"{"\u0069nput":1}"#, Plain(br#"{"\u0069nput":1}"#)),
            (br#"{"input":1,"input":2}"#, Plain(br#"{"input":1,"input":2}"#)),
            (br#"{"input":{},"b":{}}"#, Plain(br#"{"input":{},"b":{}}"#)),
            (br#"{"input":1e999}"#, Plain(br#"{"input":1e999}"#)),
            (br#"{"input":{"__type":1}}"#, Marked(br#"{"input":{"__type":1}}"#)),
            (b"5", Plain(b"5")),
            (b"true", Plain(b"true")),
            (b"\"s\"", Plain(b"\"s\"")),
            (b"tru", Invalid),
            (b"1.", Invalid),
            (b"-", Invalid),
            // What only the grammar accepts.
            (b"1e999", Plain(b"1e999")),
            (br#"["\ud800x"]"#, Plain(br#"["\ud800x"]"#)),
            (b"[18446744073709551616,-9223372036854775809]", Plain(b"[18446744073709551616,-9223372036854775809]")),
            (br#"{"__type":1e999}"#, Marked(br#"{"__type":1e999}"#)),
            // Invalid UTF-8 is repaired in strings and fatal elsewhere.
            (b"{\"input\":\"\xff\xfe\"}", Plain("{\"input\":\"\u{fffd}\u{fffd}\"}".as_bytes())),
            (b"\"\xed\xa0\x80\"", Plain("\"\u{fffd}\u{fffd}\u{fffd}\"".as_bytes())),
            (b"\"\xf0\x9f\x98\"", Plain("\"\u{fffd}\"".as_bytes())),
            (b"\"\xe2\x82\"", Plain("\"\u{fffd}\"".as_bytes())),
            (b"{\"__type\":\"\xff\"}", Marked("{\"__type\":\"\u{fffd}\"}".as_bytes())),
            (b"\xff{}", Invalid),
            (b"\xef\xbb\xbf{}", Invalid),
            (br#"{"__type":"Date","value":"x"}"#, Marked(br#"{"__type":"Date","value":"x"}"#)),
            (br#"{"\u005f_proto__":1}"#, Marked(br#"{"\u005f_proto__":1}"#)),
            (br#"{"__typename":1,"$runner":2}"#, Plain(br#"{"__typename":1,"$runner":2}"#)),
        ];
        for (body, expected) in table {
            assert_eq!(checker.check(body), *expected, "{}", String::from_utf8_lossy(body));
            fuzz_json(body);
        }
    }

    #[test]
    fn depth_is_bounded_whoever_judges() {
        let mut checker = JsonChecker::default();
        for (depth, empty, filled) in [
            (1000, true, true),
            (1001, true, false),
            (1002, false, false),
            (1500, false, false),
            (450_000, false, false),
        ] {
            for (open, leaf, close, valid) in [
                ("[", "", "]", empty),
                ("[", "1", "]", filled),
                ("{\"k\":", "1", "}", filled),
                ("[", "1e999", "]", filled),
            ] {
                let body = format!("{}{leaf}{}", open.repeat(depth), close.repeat(depth));
                let verdict = checker.check(body.as_bytes());
                assert_eq!(verdict != JsonVerdict::Invalid, valid, "{depth} {open} {leaf}");
            }
        }
        assert_eq!(checker.check(&b"[".repeat(900_000)), JsonVerdict::Invalid);
    }

    /// A document of so many containers, arrays and objects as `objects` says, and the innermost as `leaf` says.
    fn nested(objects: &[bool], leaf: &str) -> String {
        let mut text = String::new();
        text.extend(objects.iter().map(|object| if *object { "{\"k\":" } else { "[" }));
        text.push_str(leaf);
        text.extend(objects.iter().rev().map(|object| if *object { "}" } else { "]" }));
        text
    }

    #[test]
    fn a_lower_depth_is_exact_and_survives_a_large_body() {
        for max_depth in [1, 2, 3, 64, 65, MAX_JSON_DEPTH] {
            let mut checker = JsonChecker::new(max_depth);
            let large = format!("\"{}\"", "x".repeat(MAX_KEPT_JSON_BYTES));
            assert_ne!(checker.check(large.as_bytes()), JsonVerdict::Invalid, "a string is inside of none");
            for leaf in ["1", "1e999", "\"\"", "[]", "{}"] {
                let around = |containers: usize| nested(&vec![false; containers], leaf);
                assert_ne!(checker.check(around(max_depth - 1).as_bytes()), JsonVerdict::Invalid, "{max_depth} {leaf}");
                assert_eq!(checker.check(around(max_depth).as_bytes()), JsonVerdict::Invalid, "{max_depth} {leaf}");
            }
        }
    }

    #[test]
    fn the_original_is_untouched_and_buffers_stay_small() {
        let mut checker = JsonChecker::default();
        let body = br#"{"input":"a\nb\u00e9\\"}"#;
        let JsonVerdict::Input(text) = checker.check(body) else { panic!("not plain") };
        assert_eq!(text.as_ptr(), body.as_ptr());
        let large = format!("[{}1]", "1,".repeat(MAX_KEPT_JSON_BYTES));
        assert_eq!(checker.check(large.as_bytes()), JsonVerdict::Plain(large.as_bytes()));
        assert!(checker.scratch.capacity() + checker.tape.0.capacity() < MAX_KEPT_JSON_BYTES);
        let broken = [b"\"".to_vec(), vec![0xff; MAX_KEPT_JSON_BYTES], b"\"".to_vec()].concat();
        assert!(
            matches!(checker.check(&broken), JsonVerdict::Plain(text) if text.len() == 3 * MAX_KEPT_JSON_BYTES + 2)
        );
        checker.check(body);
        assert!(checker.repaired.capacity() <= MAX_KEPT_JSON_BYTES);
    }

    #[test]
    fn buffers_are_reused() {
        let mut checker = JsonChecker::default();
        let body = serde_json::to_vec(&json!({ "input": { "list": vec!["text\n"; 200], "n": 1.5 } })).unwrap();
        checker.check(&body);
        let before = (checker.scratch.as_ptr(), checker.tape.0.as_ptr(), checker.tape.0.capacity());
        for _ in 0..10 {
            assert_eq!(checker.check(&body), JsonVerdict::Input(&body));
        }
        assert_eq!((checker.scratch.as_ptr(), checker.tape.0.as_ptr(), checker.tape.0.capacity()), before);
    }

    /// serde_json refuses some of what JSON.parse accepts, and says why.
    fn serde_is_stricter(error: &serde_json::Error) -> bool {
        let text = error.to_string();
        ["number out of range", "surrogate", "unexpected end of hex escape", "recursion limit"]
            .iter()
            .any(|reason| text.contains(reason))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn documents_are_accepted_and_marked(value in document()) {
            let mut checker = JsonChecker::default();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            for text in [value.to_string(), pretty, fully_escaped(&value)] {
                fuzz_json(text.as_bytes());
                match checker.check(text.as_bytes()) {
                    JsonVerdict::Plain(found) => prop_assert!(found == text.as_bytes() && !has_mark(&value)),
                    JsonVerdict::Marked(found) => prop_assert_eq!(found, text.as_bytes()),
                    other => prop_assert!(false, "{:?} for {}", other, text),
                }
            }
        }

        #[test]
        fn mutated_documents_are_judged_as_serde_judges(
            value in document(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, "[\\[\\]{}\",:\\\\u0-9eE+.tn \u{1}\u{b}-]"), 1..4),
        ) {
            let mut body = value.to_string().into_bytes();
            for (at, how, byte) in changes {
                let at = at.index(body.len() + 1);
                let byte = byte.as_bytes()[0];
                match how {
                    0 => body.insert(at, byte),
                    1 if at < body.len() => body[at] = byte,
                    _ if at < body.len() => { body.remove(at); }
                    _ => {}
                }
            }
            fuzz_json(&body);
            let text = String::from_utf8_lossy(&body).into_owned();
            let ours = JsonChecker::default().check(text.as_bytes()) != JsonVerdict::Invalid;
            match serde_json::from_str::<Value>(&text) {
                Ok(_) => prop_assert!(ours, "refused {}", text),
                Err(error) => prop_assert!(!ours || text.is_empty() || serde_is_stricter(&error), "accepted {}: {}", text, error),
            }
        }

        #[test]
        fn the_depth_that_is_too_much_is_that_of_the_deepest_value(
            objects in prop::collection::vec(any::<bool>(), 0..40),
            max_depth in 1..40_usize,
            leaf in prop_oneof![Just("1"), Just("1e999"), Just("[]"), Just("{ }"), Just("\"\\ud800\"")],
            in_front in any::<bool>(),
            wide in 0..3_usize,
        ) {
            // Neighbours that are less deep change nothing.
            let mut text = nested(&objects, leaf);
            let mut depth = objects.len();
            for _ in 0..wide {
                text = if in_front { format!("[{text},[1]]") } else { format!("[[1],{text}]") };
                depth += 1;
            }
            // The innermost neighbour is in all of the wide arrays and in its own.
            let deepest = if wide > 0 { depth.max(wide + 1) } else { depth };
            let valid = deepest < max_depth;
            let mut checker = JsonChecker::new(max_depth);
            prop_assert_eq!(checker.check(text.as_bytes()) != JsonVerdict::Invalid, valid, "{} of {}: {}", deepest, max_depth, text);
            prop_assert_eq!(check_grammar_within(text.as_bytes(), max_depth) != Grammar::Invalid, valid, "{}", text);
            // simd-json alone may be stricter, never more lenient.
            prop_assert!(valid || checker.check_simd(text.as_bytes()).is_none(), "{}", text);
        }

        #[test]
        fn arbitrary_bytes(body in prop::collection::vec(any::<u8>(), 0..80)) {
            fuzz_json(&body);
            let mut quoted = body;
            quoted.retain(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\');
            quoted.insert(0, b'"');
            quoted.push(b'"');
            fuzz_json(&quoted);
            prop_assert!(!matches!(JsonChecker::default().check(&quoted), JsonVerdict::Invalid));
        }
    }
}
