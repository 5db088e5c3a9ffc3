//! Runs the program itself, against an engine, and against servers that misbehave.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fasttunnel_engine::handlers::{Answer, Handlers};
use fasttunnel_engine::shard::driver::{DriverChoice, choose};
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions};
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable};
use fasttunnel_engine::{Config, Engine, Listen};
use serde_json::Value;

/// The program needs a ring; where there is none it can only say so.
fn no_ring() -> bool {
    let refused = choose(DriverChoice::IoUring, 1).err();
    if let Some(error) = &refused {
        println!("left out: {error}");
    }
    refused.is_some()
}

fn engine() -> (Engine, SocketAddr) {
    let handlers = Handlers::new()
        .task("app.tasks.add", |_, _| Answer::Json("3".into()))
        .task("app.tasks.other", |_, _| {
            thread::sleep(Duration::from_millis(30));
            Answer::Json("3".into())
        })
        .task("app.tasks.echo", |call, _| {
            let text = call.body.unwrap_or_default();
            Answer::Json(text[r#"{"input":"#.len()..text.len() - 1].into())
        });
    let exposure = Exposure {
        base_path: BasePath::default(),
        table: HandlerTable::new(handlers.specs(), &Allow::AllRegistered).unwrap(),
        auth: AuthConfig::new(AuthOptions { allow_anonymous: true, ..AuthOptions::default() }).unwrap(),
        cors: Cors::new(&CorsOptions::default()).unwrap(),
        disable_discovery: false,
        server_options: true,
        any_coding: false,
    };
    let mut config = Config::new(Listen::Tcp(([127, 0, 0, 1], 0).into()), Arc::new(exposure));
    config.shards = 1;
    let engine = Engine::start(config, handlers.into_backend()).unwrap();
    let address = engine.tcp_address().unwrap();
    (engine, address)
}

fn loadtest(scenario: &str, address: SocketAddr, options: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args([scenario, &format!("http://{address}/__runner"), "--duration-s", "1", "--warmup-s", "0"])
        .args(options.split_whitespace())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_answer_of_an_engine_is_good() {
    if no_ring() {
        return;
    }
    let (_engine, address) = engine();
    let file = std::env::temp_dir().join(format!("loadtest-{}.json", std::process::id()));
    let json = file.to_str().unwrap();
    for (scenario, options) in [
        ("add", "--connections 4"),
        ("add", "--connections 3 --pipeline 16"),
        ("echo", "--connections 2 --body-bytes 100000"),
        ("echo", "--connections 2 --pipeline 8 --body-bytes 100000"),
        ("add", "--connections 4 --rate 500"),
    ] {
        let output = loadtest(scenario, address, &format!("{options} --json {json}"));
        assert!(output.status.success(), "{options}: {}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
        let record: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let answers = record["answers"].as_u64().unwrap();
        assert!(answers > 20, "{options}: {answers}");
        assert!(record["server"]["pids"].as_array().unwrap().contains(&std::process::id().into()));
        if options.contains("--rate") {
            assert!((400..=510).contains(&answers), "{answers} instead of 500");
        }
    }
    let chart = Command::new(env!("CARGO_BIN_EXE_loadtest")).args(["chart", json, json]).output().unwrap();
    assert_eq!(stdout(&chart).matches("<polyline").count(), 2);
    std::fs::remove_file(&file).unwrap();
}

/// One connection, on which nothing waits: what takes long is the handler of the other task.
#[test]
fn what_handlers_compute_is_no_waiting() {
    if no_ring() {
        return;
    }
    let (_engine, address) = engine();
    let file = std::env::temp_dir().join(format!("loadtest-other-{}.json", std::process::id()));
    for pace in ["", "--rate 40"] {
        let options = format!("--connections 1 --other 3:app.tasks.other:30 --json {} {pace}", file.to_str().unwrap());
        let output = loadtest("add", address, &options);
        assert!(output.status.success(), "{}", stdout(&output));
        let record: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let all = record["latency_us"]["quantiles"].as_array().unwrap();
        let slow = all.iter().find(|pair| pair[0] == 0.75).unwrap()[1].as_f64().unwrap();
        let part = |name: &str| record["parts_us"][name]["p50"].as_f64().unwrap();
        assert!(slow >= 30_000.0, "{pace}: every third has taken {slow} us");
        assert!(part("waiting") < 20_000.0 && part("usual") < 20_000.0, "{pace}: {}", record["parts_us"]);
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn answers_that_are_not_expected_are_errors() {
    if no_ring() {
        return;
    }
    let (_engine, address) = engine();
    for (options, kind) in
        [("--expect 4", "body, first: HTTP/1.1 200 OK"), ("--task other", "status, first: HTTP/1.1 403")]
    {
        let output = loadtest("add", address, options);
        assert_eq!(output.status.code(), Some(1), "{options}");
        assert!(stdout(&output).contains(kind), "{options}: {}", stdout(&output));
    }
}

/// A server that accepts, reads, and then does `misbehave`.
fn server(misbehave: impl Fn(std::net::TcpStream) + Send + Copy + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the test's process.
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            thread::spawn(move || {
                let _ = socket.read(&mut [0; 1024]);
                misbehave(socket);
            });
        }
    });
    address
}

#[test]
fn a_server_that_stalls_or_hangs_up_ends_in_errors_and_in_time() {
    if no_ring() {
        return;
    }
    let silent = server(|_socket| thread::sleep(Duration::from_secs(20)));
    let closing = server(drop);
    let babbling = server(|mut socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nno-length: 1\r\n\r\n");
    });
    let smuggling = server(|mut socket| {
        let _ = socket.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\nContent-Length: 22\r\n\r\n{\"ok\":true,\"result\":3}",
        );
    });
    for (address, options, kind) in [
        (silent, "--connections 2", "2 unanswered"),
        (silent, "--connections 2 --rate 100", "2 unanswered"),
        (closing, "--connections 2", "closed, first: the server has closed"),
        (babbling, "--connections 2", "malformed, first: an answer without content-length"),
        (smuggling, "--connections 2", "malformed, first: several Content-Length lines"),
    ] {
        let start = Instant::now();
        let output = loadtest("add", address, options);
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        assert!(stdout(&output).contains(kind), "{kind}: {}", stdout(&output));
        assert!(start.elapsed() < Duration::from_secs(8), "{kind}: {:?}", start.elapsed());
    }
}

#[test]
fn without_a_server_the_error_says_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = loadtest("add", free, "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("start the server first"));
    let output = loadtest("add", ([192, 0, 2, 1], 80).into(), "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("loopback"));
}
