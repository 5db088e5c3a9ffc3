//! Any bytes as a JSON body: our two judges agree, serde_json agrees with them, and no marked name gets by.
#![no_main]

use fasttunnel_engine::limits::MAX_JSON_DEPTH;
use fasttunnel_engine::tunnel::json::{JsonChecker, JsonVerdict, fuzz_json};
use fasttunnel_engine::tunnel::json_grammar::is_marked;
use serde::de::{Deserialize, IgnoredAny};
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_json(data);
    let text = String::from_utf8_lossy(data);
    let mut checker = JsonChecker::default();
    let verdict = checker.check(data);
    // serde_json builds no value here, so it judges the grammar alone: numbers of any size, lone surrogates.
    let valid = !text.is_empty() && is_json(&text) && deepest_value(&text) < MAX_JSON_DEPTH;
    assert_eq!(matches!(verdict, JsonVerdict::Plain(_) | JsonVerdict::Input(_) | JsonVerdict::Marked(_)), valid, "{text}");
    // Where it can build the value, a name that means something to the serializer is never called plain.
    if let (JsonVerdict::Plain(_) | JsonVerdict::Input(_), Ok(value)) = (verdict, serde_json::from_str::<Value>(&text)) {
        assert!(!has_mark(&value), "{text}");
    }
});

fn is_json(text: &str) -> bool {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    IgnoredAny::deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// How many containers the innermost value of a valid text is in.
fn deepest_value(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0, 0, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b']' | b'}' => depth -= 1,
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {}
            byte => {
                deepest = deepest.max(depth);
                depth += usize::from(matches!(byte, b'[' | b'{'));
                in_string = byte == b'"';
            }
        }
    }
    deepest
}

fn has_mark(value: &Value) -> bool {
    match value {
        Value::String(text) => is_marked(text.as_bytes()),
        Value::Array(items) => items.iter().any(has_mark),
        Value::Object(pairs) => pairs.iter().any(|(key, item)| is_marked(key.as_bytes()) || has_mark(item)),
        _ => false,
    }
}
