//! Reads the corpus of HTTP vectors.

mod base64;

use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a vector allows: our policy (`strict`) where it has one.
#[derive(Debug)]
pub struct Expectation {
    /// Alternatives in the little language of the corpus, such as `400 close`.
    pub statuses: Vec<String>,
    /// The connection must (not) be closed.
    pub close: Option<bool>,
    /// `100` or `none`.
    pub interim: Option<String>,
}

/// One exchange.
pub struct Vector {
    pub id: String,
    pub bytes: Vec<u8>,
    /// The client half-closes behind the bytes.
    pub end_of_input: bool,
    pub expected: Expectation,
}

/// Beside the repository, where the corpus is kept.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/http/open.jsonl")
}

/// All vectors of the layer `http`; `None` when there is no corpus.
pub fn read() -> Option<Vec<Vector>> {
    let text = std::fs::read_to_string(path()).ok()?;
    let vectors = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    Some(vectors.filter(|vector| vector["layer"] == "http").map(|vector| parse(&vector)).collect())
}

fn parse(vector: &Value) -> Vector {
    let expected = if vector["strict"].is_object() { &vector["strict"] } else { &vector["expect"] };
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    Vector {
        id: text(&vector["id"]),
        bytes: request(vector),
        end_of_input: vector["send"]["shutdown_wr"] == true,
        expected: Expectation {
            statuses: expected["statuses"].as_array().expect("a list").iter().map(text).collect(),
            close: expected["close"].as_bool(),
            interim: expected["interim"].as_str().map(str::to_owned),
        },
    }
}

fn request(vector: &Value) -> Vec<u8> {
    match vector["request_parts"].as_array() {
        Some(parts) => parts
            .iter()
            .flat_map(|part| decode(part, "b64", "zb64").repeat(part["n"].as_u64().unwrap_or(1) as usize))
            .collect(),
        None => decode(vector, "request_b64", "request_zb64"),
    }
}

fn decode(value: &Value, plain: &str, compressed: &str) -> Vec<u8> {
    match value[compressed].as_str() {
        Some(text) => miniz_oxide::inflate::decompress_to_vec_zlib(&base64::decode(text)).expect("zlib data"),
        None => base64::decode(value[plain].as_str().expect("base64 text")),
    }
}
