//! What the benches share: the requests they time, the exposure they ask, and how long they take.

use std::time::{Duration, Instant};

use criterion::Criterion;
use fasttunnel_engine::link::batch::{CallBatch, CallKey, CallRecord};
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions};
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable, Registration};

/// The body of the smallest useful call, 23 bytes.
pub const ADD_BODY: &[u8] = br#"{"input":{"a":1,"b":2}}"#;

/// A head of 138 bytes: the least that a client sends.
pub const SMALL_HEAD: &[u8] = b"POST /__runner/task/app.tasks.add HTTP/1.1\r\nHost: app.localhost:17070\r\n\
Content-Type: application/json\r\nContent-Length: 23\r\nAccept: */*\r\n\r\n";

/// A head of 337 bytes: what Node's `fetch` sends, with a token and a request id.
pub const FETCH_HEAD: &[u8] = b"POST /__runner/task/app.tasks.add HTTP/1.1\r\nHost: [::1]:7070\r\n\
Connection: keep-alive\r\nContent-Type: application/json; charset=utf-8\r\n\
X-Runner-Token: 0123456789abcdef0123456789abcdef\r\n\
X-Runner-Request-Id: 0b9f7c1e-3f0a-4a55-9d39-51f0c1a2b3c4\r\nAccept: */*\r\nAccept-Language: *\r\n\
Sec-Fetch-Mode: cors\r\nUser-Agent: node\r\nContent-Length: 23\r\n\r\n";

const _: () = assert!(ADD_BODY.len() == 23 && SMALL_HEAD.len() == 138 && FETCH_HEAD.len() == 337);

/// The token that [`FETCH_HEAD`] carries.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Short enough for all benches to end within minutes on two cores; `--measurement-time` asks for more.
#[must_use]
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(30)
        .nresamples(10_000)
        .configure_from_args()
}

/// Exposes `handlers`: to whoever has one of `tokens`, or to everybody when there are none.
///
/// # Panics
/// When the handlers or tokens are not valid: the benches' own mistake.
#[must_use]
pub fn exposure(handlers: &[Registration], tokens: Option<Vec<String>>) -> Exposure {
    let auth = AuthOptions { allow_anonymous: tokens.is_none(), tokens, ..AuthOptions::default() };
    Exposure {
        base_path: BasePath::default(),
        table: HandlerTable::new(handlers, &Allow::AllRegistered).expect("the handlers' names are valid"),
        auth: AuthConfig::new(auth).expect("the tokens are valid"),
        cors: Cors::new(&CorsOptions::default()).expect("the default is valid"),
        disable_discovery: false,
        server_options: true,
        any_coding: false,
    }
}

/// Appends `calls` calls as a shard does; the request id is the shard's own.
pub fn fill(batch: &mut CallBatch, calls: u32, text: &[u8], head: &[u8]) {
    for slot in 0..calls {
        let start = batch.open_body();
        batch.json.extend_from_slice(text);
        let body = batch.close_body(start);
        let (request_id, fields) = batch.push_call_head(b"0b9f7c1e-3f0a-4a55-9d39-51f0c1a2b3c4", head);
        let key = CallKey { slot, generation: 1 };
        batch.records.push(CallRecord { key, handler: 0, flags: 0, body, request_id, fields, peer: 0 });
    }
}

/// Longer than anything here may take: a lost message ends the bench instead of hanging it.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Asks `ready` again and again, without sleeping, until it has something.
///
/// # Panics
/// When that takes longer than [`PATIENCE`].
pub fn spin<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for _ in 0..4096 {
            if let Some(found) = ready() {
                return found;
            }
            std::hint::spin_loop();
        }
        assert!(Instant::now() < deadline, "the other thread has not answered for {PATIENCE:?}");
    }
}
