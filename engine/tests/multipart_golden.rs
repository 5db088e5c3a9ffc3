//! The multipart reader against what the reference really answered (shared/golden) and against the vectors of
//! shared/http. A host of a few lines stands for JavaScript. Skipped, with a message, where those files are missing.
#![allow(clippy::unwrap_used)]

#[path = "wire_corpus/base64.rs"]
mod base64;
#[path = "wire_corpus/shared.rs"]
mod shared;

use fasttunnel_engine::limits::MultipartLimits;
use fasttunnel_engine::tunnel::envelope::Refusal;
use fasttunnel_engine::tunnel::multipart::fuzz::{Told, read};
use fasttunnel_engine::tunnel::multipart::{BodyRefusal, boundary, write_file_json};
use serde_json::{Value, json};
use shared::shared;

/// A whole request: the value of its `Content-Type`, and its body.
fn split(request: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let line = request[..end].split(|&byte| byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(b"content-type:".len())?;
        name.eq_ignore_ascii_case(b"content-type:").then_some(value)
    })?;
    Some((line.trim_ascii(), &request[end + 4..]))
}

/// A form as the host gets it.
#[derive(Debug, PartialEq)]
struct Form {
    manifest: Option<Vec<u8>>,
    /// The JSON of each file, and its bytes.
    files: Vec<(Value, Vec<u8>)>,
    verdict: Result<(), BodyRefusal>,
}

fn form(content_type: &[u8], body: &[u8], limits: &MultipartLimits) -> Form {
    let mut form = Form { manifest: None, files: Vec::new(), verdict: Err(BodyRefusal::Malformed) };
    let Some(boundary) = boundary(content_type) else { return form };
    let (told, verdict) = read(&boundary, limits, [body]);
    for piece in [1, 7, 4096] {
        assert_eq!(read(&boundary, limits, body.chunks(piece)), (told.clone(), verdict), "by {piece}");
    }
    for event in told {
        match event {
            Told::Manifest(bytes) => form.manifest = Some(bytes),
            Told::File(head) => {
                let mut json = Vec::new();
                write_file_json(&mut json, &head);
                form.files.push((serde_json::from_slice(&json).unwrap(), Vec::new()));
            }
            Told::Data(bytes) => form.files.last_mut().unwrap().1.extend_from_slice(&bytes),
            Told::FileEnd => {}
        }
    }
    Form { verdict, ..form }
}

impl Form {
    fn file(&self, id: &str) -> Option<&(Value, Vec<u8>)> {
        self.files.iter().find(|(head, _)| head["name"].as_str().unwrap().strip_prefix("file:") == Some(id))
    }

    /// What this form is refused with; or the manifest.
    fn hosted(&self, limits: &MultipartLimits) -> Result<Value, Refusal<'static>> {
        let missing = Err(Refusal::MissingManifest);
        // The manifest is judged before what follows it.
        let manifest = match self.manifest.as_deref() {
            None | Some(b"") => None,
            Some(bytes) => match serde_json::from_slice::<Value>(bytes) {
                Err(_) => return Err(Refusal::InvalidManifest),
                Ok(manifest) => Some(manifest).filter(|manifest| manifest.is_object() || manifest.is_array()),
            },
        };
        let mut ids = Vec::new();
        if let Some(manifest) = &manifest {
            sentinels(&manifest["input"], &mut ids);
            if limits.files.is_some_and(|limit| ids.len() > limit as usize) {
                return Err(Refusal::FilesExceeded);
            }
        } else if self.manifest.is_some() {
            return missing;
        }
        match self.verdict {
            Err(BodyRefusal::ManifestIsFile) => unreachable!("the reference passes it over"),
            Err(reason) => Err(reason.refusal()),
            Ok(()) => match manifest {
                None => missing,
                Some(_) if ids.iter().any(|id| self.file(id).is_none()) => Err(Refusal::MissingFilePart),
                Some(manifest) => Ok(manifest),
            },
        }
    }

    /// What a task says of the file that `sentinel` stands for (`app.tasks.file.meta` of the fixtures).
    fn described(&self, sentinel: &Value) -> Value {
        let (head, bytes) = self.file(sentinel["id"].as_str().unwrap()).unwrap();
        let meta = &sentinel["meta"];
        let first = |values: [&Value; 3]| values.into_iter().find(|value| !value.is_null()).unwrap().clone();
        let text: String = bytes.iter().take(60).map(|&byte| char::from(byte)).collect();
        json!({
            "name": first([&meta["name"], &head["filename"], &json!("upload")]),
            "type": first([&meta["type"], &head["type"], &Value::Null]),
            "bytes": bytes.len(),
            "text": text,
        })
    }
}

/// The distinct ids of the files that a manifest names.
fn sentinels(value: &Value, ids: &mut Vec<String>) {
    match (value["$runnerFile"].as_str(), value["id"].as_str(), value) {
        (Some("File"), Some(id), _) if ids.iter().any(|known| known == id) => {}
        (Some("File"), Some(id), _) => ids.push(id.to_owned()),
        (_, _, Value::Array(items)) => items.iter().for_each(|item| sentinels(item, ids)),
        (_, _, Value::Object(entries)) => entries.values().for_each(|item| sentinels(item, ids)),
        _ => {}
    }
}

/// Of a case's configuration: an object replaces all defaults, and a field's bound falls back to busboy's.
fn limits(configured: &Value) -> MultipartLimits {
    let Some(configured) = configured.as_object() else { return MultipartLimits::default() };
    let number = |key: &str| configured.get(key).and_then(Value::as_u64);
    let count = |key: &str| number(key).map(|count| count as u32);
    MultipartLimits {
        file_bytes: number("fileSize"),
        files: count("files"),
        field_bytes: number("fieldSize").or(Some(1024 * 1024)),
        fields: count("fields"),
        parts: count("parts"),
    }
}

/// The bytes that the client of a case sends.
fn sent(request: &Value) -> Vec<u8> {
    match request["parts"].as_array() {
        Some(parts) => parts.iter().flat_map(sent).collect(),
        None => match (&request["text"], &request["base64"], &request["repeat"]) {
            (Value::String(text), _, _) => text.clone().into_bytes(),
            (_, Value::String(text), _) => base64::decode(text),
            (_, _, Value::Object(repeat)) => {
                repeat["text"].as_str().unwrap().repeat(repeat["count"].as_u64().unwrap() as usize).into_bytes()
            }
            // A pause, or the end.
            _ => Vec::new(),
        },
    }
}

#[test]
fn forms_are_read_as_the_reference_read_them() {
    let mut cases: Vec<Value> = Vec::new();
    for file in ["golden/open.json", "golden/known_hangs.json"] {
        let Some(text) = shared(file) else { return };
        let corpus: Value = serde_json::from_str(&text).unwrap();
        cases.extend(corpus["cases"].as_array().unwrap().iter().cloned());
    }
    let (mut compared, mut described) = (0, 0);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let bytes = sent(&case["request"]);
        let Some((content_type, body)) = split(&bytes) else { continue };
        let is_form = content_type.to_ascii_lowercase().windows(19).any(|part| part == b"multipart/form-data");
        // Recorded, or what is wanted instead of a hang.
        let response = if case["response"].is_null() { &case["recommended"] } else { &case["response"] };
        let Some(status) = response["status"].as_u64().filter(|&status| is_form && status != 403) else { continue };
        let limits = limits(&case["app"]["http"]["limits"]["multipart"]);
        let form = form(content_type, body, &limits);
        compared += 1;
        let recorded: Value = response["body"].as_str().map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        match form.hosted(&limits) {
            Err(refusal) => {
                assert_eq!(u64::from(refusal.status()), status, "{name}");
                if !recorded.is_null() {
                    let ours: Value = serde_json::from_slice(refusal.fixed_body().unwrap()).unwrap();
                    assert_eq!(recorded["error"], ours["error"], "{name}");
                }
            }
            Ok(manifest) => {
                let by_task = recorded["error"]["id"].is_string();
                assert!(status == 200 || by_task, "{name}: accepted, the reference answered {recorded}");
                if let Some(len) = response["bodyLength"].as_u64() {
                    assert_eq!(form.files[0].1.len() as u64, len, "{name}: the file comes back");
                }
                described += usize::from(agrees(name, &form, &manifest["input"], &recorded["result"]));
            }
        }
    }
    assert!(compared > 60 && described > 25, "compared {compared}, described {described}");
}

/// Whether the recorded result tells something of the input; then it must be the same.
fn agrees(name: &str, form: &Form, input: &Value, result: &Value) -> bool {
    if result["bytes"].is_number() && result["text"].is_string() {
        let described = form.described(&input["file"]);
        for key in ["name", "type", "bytes", "text"] {
            assert_eq!(described[key], result[key], "{name}: {key}");
        }
    } else if result["a"].is_string() {
        for (key, sentinel) in [("a", &input["a"]), ("b", &input["list"][0]["b"])] {
            assert_eq!(form.described(sentinel)["text"], result[key], "{name}: {key}");
        }
    } else if result["bytes"].is_number() || result["bytesWritten"].is_number() {
        let bytes = if result["bytes"].is_number() { &result["bytes"] } else { &result["bytesWritten"] };
        assert_eq!(&form.described(&input["file"])["bytes"], bytes, "{name}");
    } else if result["gotFile"] == true {
        assert_eq!(form.described(&input["file"])["name"], result["name"], "{name}");
    } else if let Some(inspected) = result.as_str() {
        // Node's `util.inspect`.
        match input {
            Value::String(text) => assert_eq!(inspected, format!("'{text}'"), "{name}"),
            Value::Number(number) => assert_eq!(inspected, number.to_string(), "{name}"),
            Value::Null => assert_eq!(inspected, "undefined", "{name}"),
            _ => return false,
        }
    } else {
        return false;
    }
    true
}

/// The bytes of a vector of shared/http.
fn vector_bytes(vector: &Value) -> Vec<u8> {
    let decode = |value: &Value, plain: &str, compressed: &str| match value[compressed].as_str() {
        Some(text) => miniz_oxide::inflate::decompress_to_vec_zlib(&base64::decode(text)).unwrap(),
        None => base64::decode(value[plain].as_str().unwrap()),
    };
    match vector["request_parts"].as_array() {
        Some(parts) => {
            let times = |part: &Value| part["n"].as_u64().unwrap_or(1) as usize;
            parts.iter().flat_map(|part| decode(part, "b64", "zb64").repeat(times(part))).collect()
        }
        None => decode(vector, "request_b64", "request_zb64"),
    }
}

#[test]
fn the_multipart_vectors_of_the_corpus() {
    let Some(lines) = shared("http/open.jsonl") else { return };
    let mut compared = 0;
    for line in lines.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let id = vector["id"].as_str().unwrap();
        if vector["area"] != "app-multipart" {
            continue;
        }
        let bytes = vector_bytes(&vector);
        let (content_type, body) = split(&bytes).unwrap();
        let limits = MultipartLimits::default();
        let answer = form(content_type, body, &limits).hosted(&limits);
        let status = answer.as_ref().map_or_else(|refusal| refusal.status(), |_| 200).to_string();
        let expected = vector["expect"]["statuses"].as_array().unwrap();
        let allowed = expected.iter().any(|one| one.as_str().unwrap().starts_with(&status));
        assert!(allowed, "{id}: {answer:?}, expected {expected:?}");
        if vector["expect"]["body_has"] == json!(["MISSING_MANIFEST"]) {
            assert_eq!(answer.unwrap_err().code(), "MISSING_MANIFEST", "{id}");
        }
        compared += 1;
    }
    assert!(compared > 30, "only {compared} vectors were compared");
}
