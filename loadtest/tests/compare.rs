//! Runs a comparison of node:http and ours, as they are in this checkout.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fasttunnel_engine::shard::driver::{DriverChoice, choose};
use serde_json::Value;

/// Why it cannot be run here.
fn missing() -> Option<String> {
    let binding = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node-binding");
    let built = |path: &str| fs::read_dir(binding.join(path)).is_ok_and(|mut files| files.next().is_some());
    if let Err(error) = choose(DriverChoice::IoUring, 1) {
        return Some(error.to_string());
    }
    if Command::new("node").arg("--version").output().is_err() {
        return Some("node is not installed".to_owned());
    }
    (!built("native") || !built("dist/esm")).then(|| "the addon is not built: make build-test".to_owned())
}

fn compare(options: &str, folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["compare", "--rounds", "2", "--duration-s", "0.3", "--warmup-s", "0.1", "--out"])
        .arg(folder)
        .args(options.split_whitespace())
        .output()
        .unwrap()
}

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("compare-test-{}-{name}", std::process::id()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn two_servers_are_compared() {
    if let Some(reason) = missing() {
        println!("left out: {reason}");
        return;
    }
    let folder = folder("two");
    let output = compare("--peers node,ours --cases add-64,half-rate,echo-10k,block-1ms", &folder);
    let (printed, progress) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{printed}{progress}");
    let value: Value = serde_json::from_str(&fs::read_to_string(folder.join("compare.json")).unwrap()).unwrap();
    let series = value["series"].as_array().unwrap();
    for (case, server) in
        [("add-64", "node"), ("add-64", "ours"), ("half-rate", "ours"), ("echo-10k", "ours"), ("block-1ms", "node")]
    {
        let one = series.iter().find(|one| one["case"] == case && one["server"] == server).unwrap();
        assert!(one["answers_per_s"].as_f64().unwrap() > 10.0 && one["failed"] == 0, "{one}");
        assert_eq!(one["rounds"].as_array().unwrap().len(), 2, "{one}");
        assert!(one["latency_us"]["p99"].as_f64() >= one["latency_us"]["p50"].as_f64(), "{one}");
    }
    let base = series.iter().find(|one| one["server"] == "node").unwrap();
    assert_eq!(base["against"]["answers_per_s"], 1.0);
    assert!(value["servers"]["ours"].as_str().unwrap().contains("io_uring"), "{value}");
    assert!(progress.contains("1 of 18,") && progress.contains("round 2, fasttunnel by loadtest"), "{progress}");
    assert!(printed.contains("### add, 64 connections\n") && printed.contains("| node:http"), "{printed}");
    assert_eq!(fs::read_to_string(folder.join("compare.md")).unwrap(), printed);
    let picture = fs::read_to_string(folder.join("compare.svg")).unwrap();
    assert!(picture.contains(">fasttunnel<") && picture.contains("requests/s"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn servers_under_tls_are_compared() {
    if let Some(reason) = missing() {
        println!("left out: {reason}");
        return;
    }
    let folder = folder("tls");
    let output = compare("--peers node-tls,ours-tls,ours-plain --cases tls-64,tls-handshakes --rounds 1", &folder);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    for (case, rows) in [("### add, 64 connections, under TLS", 3), ("### add, a whole handshake", 2)] {
        let table = printed.split(case).nth(1).unwrap().split("\n\n").nth(1).unwrap();
        assert_eq!(table.lines().count(), 2 + rows, "{printed}");
    }
    assert!(printed.contains("node:https of Node.js"), "{printed}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn servers_over_http2_are_compared() {
    let h2load =
        Command::new("h2load").arg("--version").output().is_err().then(|| "h2load is not installed".to_owned());
    if let Some(reason) = missing().or(h2load) {
        println!("left out: {reason}");
        return;
    }
    let folder = folder("http2");
    let output = compare("--peers node-h2,ours-h2 --cases h2-64,h2-1x64 --rounds 1", &folder);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    for case in ["### add, HTTP/2, 64 connections", "### add, HTTP/2, 64 streams on 1 connection"] {
        let table = printed.split(case).nth(1).unwrap().split("\n\n").nth(1).unwrap();
        assert_eq!(table.lines().count(), 4, "{printed}");
    }
    assert!(printed.contains("node:http2 of Node.js"), "{printed}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn who_cannot_be_started_is_left_out_with_the_reason() {
    if let Some(reason) = missing() {
        println!("left out: {reason}");
        return;
    }
    let (folder, empty) = (folder("none"), folder("empty"));
    fs::create_dir_all(&empty).unwrap();
    let options =
        format!("--peers deno,node,ceiling --cases add-64 --peers-dir {} --ceiling /bin/false", empty.display());
    let output = compare(&options, &folder);
    let printed = text(&output.stdout);
    // Nothing was measured.
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for words in [
        "node:http was left out of add-64: ended with exit status: 1: Error: Cannot find module",
        "Deno.serve was left out of add-64:",
        "fasttunnel without JS was left out of add-64: ended with exit status: 1: it said nothing",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    for folder in [folder, empty] {
        fs::remove_dir_all(folder).unwrap();
    }
}
