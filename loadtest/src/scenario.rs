//! What is asked, and what a good answer is.

use crate::options::Options;
use crate::target::Target;

/// Which task is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// `{"input":{"a":1,"b":2}}`: the smallest useful call.
    Add,
    /// A text of a given size that comes back.
    Echo,
    /// A list of small objects that comes back, so that most of the work is in the server's JSON.
    Records,
    /// A number that comes back from a handler that keeps its thread busy.
    Block,
    /// What is at the URL.
    Get,
}

impl Scenario {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Add => "add",
            Scenario::Echo => "echo",
            Scenario::Records => "records",
            Scenario::Block => "block",
            Scenario::Get => "get",
        }
    }
}

/// One request and the body of a good answer to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The whole request.
    pub request: Vec<u8>,
    /// The exact body that is expected.
    pub expected: Vec<u8>,
    /// Where the request's body begins.
    body_at: usize,
}

impl Exchange {
    /// Writes the request that `options` ask for.
    pub fn new(options: &Options) -> Exchange {
        let (task, body, result) = match options.scenario {
            Scenario::Add => ("app.tasks.add", r#"{"input":{"a":1,"b":2}}"#.to_owned(), "3".to_owned()),
            Scenario::Block => ("app.tasks.block", r#"{"input":1}"#.to_owned(), "1".to_owned()),
            Scenario::Get => return Exchange::get(options),
            Scenario::Records => {
                let list = records(options.body_bytes.saturating_sub(br#"{"input":}"#.len()));
                ("app.tasks.echo", format!("{{\"input\":{list}}}"), list)
            }
            Scenario::Echo => {
                let text = format!("\"{}\"", "x".repeat(options.body_bytes.saturating_sub(br#"{"input":""}"#.len())));
                ("app.tasks.echo", format!("{{\"input\":{text}}}"), text)
            }
        };
        let target = &options.target;
        let task = options.task.as_deref().unwrap_or(task);
        let token = options.token.as_ref().map_or(String::new(), |token| format!("x-runner-token: {token}\r\n"));
        let (base, host, length) = (&target.base, &target.host, body.len());
        let (origin, proof) = for_proxy(options);
        let request = format!(
            "POST {origin}{base}/task/{task} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{token}{proof}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let expected = options.expect.clone().unwrap_or_else(|| format!("{{\"ok\":true,\"result\":{result}}}"));
        let body_at = request.len() - body.len();
        Exchange { request: request.into_bytes(), expected: expected.into_bytes(), body_at }
    }

    fn get(options: &Options) -> Exchange {
        let Target { host, base, .. } = &options.target;
        let path = if base.is_empty() { "/" } else { base };
        let (origin, proof) = for_proxy(options);
        let request = format!("GET {origin}{path} HTTP/1.1\r\nHost: {host}\r\n{proof}\r\n");
        let expected = options.expect.clone().unwrap_or_default().into_bytes();
        Exchange { body_at: request.len(), request: request.into_bytes(), expected }
    }

    /// The request's body.
    pub fn body(&self) -> &[u8] {
        &self.request[self.body_at..]
    }

    /// The request's target.
    pub fn path(&self) -> &[u8] {
        self.request.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
    }
}

/// What a forward proxy is told besides: where the request is to go, and who asks.
fn for_proxy(options: &Options) -> (String, String) {
    let origin = options.proxy.map_or(String::new(), |_| format!("http://{}", options.target.host));
    let proof =
        options.proxy_basic.as_ref().map_or(String::new(), |text| format!("Proxy-Authorization: Basic {text}\r\n"));
    (origin, proof)
}

/// A list of at most so many bytes, of at least one object, as every JSON library would write it.
fn records(bytes: usize) -> String {
    let mut list = String::new();
    for id in 1.. {
        let (price, stocked) = (id * 7 % 100, id % 3 > 0);
        let record = format!(
            r#"{{"id":{id},"name":"record number {id}","price":{price}.5,"stocked":{stocked},"tags":["first","second"],"next":null}}"#
        );
        // The brackets and a comma.
        if id > 1 && list.len() + record.len() + 3 > bytes {
            break;
        }
        list.push(if id == 1 { '[' } else { ',' });
        list.push_str(&record);
    }
    list.push(']');
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Command, parse};

    #[test]
    fn records_fill_the_body() {
        let line = "records --body-bytes 10240";
        let Ok(Command::Run(options)) = parse(line.split(' ').map(str::to_owned)) else { panic!("refused") };
        let exchange = Exchange::new(&options);
        assert!((10_100..=10_240).contains(&exchange.body().len()), "{}", exchange.body().len());
        let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap_or_default();
        let (sent, expected) = (value(exchange.body()), value(&exchange.expected));
        assert_eq!(sent["input"], expected["result"]);
        assert!(sent["input"][90]["tags"].is_array() && sent["input"][0]["price"] == 7.5, "{sent}");
        assert_eq!(records(0).matches("id").count(), 1);
    }

    #[test]
    fn a_proxy_is_told_where_to_ask_and_by_whom() {
        let line = "get http://127.0.0.1:9/health --proxy 127.0.0.1:8 --proxy-basic YTpi --expect ok";
        let Ok(Command::Run(options)) = parse(line.split(' ').map(str::to_owned)) else { panic!("refused") };
        assert_eq!(options.address().port(), 8);
        let exchange = Exchange::new(&options);
        let head =
            "GET http://127.0.0.1:9/health HTTP/1.1\r\nHost: 127.0.0.1:9\r\nProxy-Authorization: Basic YTpi\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&exchange.request), head);
        assert_eq!((exchange.body(), &exchange.expected[..]), (&b""[..], &b"ok"[..]));
    }

    #[test]
    fn an_echo_has_the_size_that_was_asked_for() {
        let line = "echo http://[::1]:9/t --body-bytes 40 --token secret";
        let Ok(Command::Run(options)) = parse(line.split(' ').map(str::to_owned)) else { panic!("refused") };
        let exchange = Exchange::new(&options);
        let text = String::from_utf8_lossy(&exchange.request);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        assert_eq!((exchange.body(), exchange.path()), (body.as_bytes(), &b"/t/task/app.tasks.echo"[..]));
        assert_eq!(body.len(), 40);
        assert!(head.starts_with("POST /t/task/app.tasks.echo HTTP/1.1\r\nHost: [::1]:9\r\n"), "{head}");
        assert!(head.contains("x-runner-token: secret") && head.ends_with("Content-Length: 40"), "{head}");
        assert_eq!(exchange.expected.len(), 40 - r#"{"input":""}"#.len() + r#"{"ok":true,"result":""}"#.len());
    }
}
