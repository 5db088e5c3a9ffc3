//! llhttp, the parser of node:http, in a Node process at the other end of two pipes.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A message as llhttp read it. Texts are latin-1.
#[derive(Debug)]
pub struct Message {
    pub method: String,
    pub target: String,
    pub fields: Vec<(String, String)>,
    pub body: String,
    pub keep_alive: bool,
}

/// The messages it has read to their end, and its error code if it refused the rest.
#[derive(Debug)]
pub struct Reading {
    pub messages: Vec<Message>,
    pub error: Option<String>,
}

/// The process. It ends when its stdin does.
pub struct Oracle {
    _child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Oracle {
    pub fn start() -> Oracle {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/llhttp.cjs");
        let mut child = Command::new("node")
            .args(["--no-deprecation", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Oracle { _child: child, input, output }
    }

    /// Reads these bytes as one connection.
    pub fn read(&mut self, bytes: &[u8]) -> Reading {
        let mut question = (bytes.len() as u32).to_le_bytes().to_vec();
        question.extend_from_slice(bytes);
        self.input.write_all(&question).expect("the oracle lives");
        let mut length = [0; 4];
        self.output.read_exact(&mut length).expect("the oracle answers");
        let mut answer = vec![0; u32::from_le_bytes(length) as usize];
        self.output.read_exact(&mut answer).expect("the oracle answers");
        let answer: Value = serde_json::from_slice(&answer).expect("the oracle writes JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let messages = list(&answer["messages"]).into_iter().map(|message| {
            let flat = list(&message["fields"]);
            Message {
                method: text(&message["method"]),
                target: text(&message["target"]),
                fields: flat.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
                body: text(&message["body"]),
                keep_alive: message["keepAlive"] == true,
            }
        });
        Reading { messages: messages.collect(), error: answer["error"].as_str().map(str::to_owned) }
    }
}
