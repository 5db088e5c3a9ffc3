//! `wire`, `caller`, `tunnel` and `proxy` are pure: a byte slice drives them. Whatever could reach a socket, a clock, a thread or raw
//! memory is refused here, by file and line.

use std::path::Path;

/// Names that pure code has no use for, and what they reach.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::net", "sockets"),
    ("std::os", "the system"),
    ("std::thread", "threads"),
    ("std::sync::mpsc", "threads"),
    ("Condvar", "threads"),
    ("std::time", "the clock"),
    ("SystemTime", "the clock"),
    ("Instant", "the clock"),
    ("std::fs", "files"),
    ("std::io", "input and output"),
    ("std::env", "the environment"),
    ("std::process", "processes"),
    ("unsafe", "raw memory"),
    ("monoio", "the runtime"),
    ("io_uring", "the runtime"),
    ("tokio", "the runtime"),
    ("socket2", "sockets"),
    ("crossbeam", "threads"),
    ("crossbeam_channel", "threads"),
    ("libc", "the system"),
    ("napi", "Node"),
];

/// Use of `name` as a whole path or word in a line of code; comments do not count.
fn mentions(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        !before.ends_with(in_word) && !after.starts_with(in_word)
    })
}

/// Reads every Rust file below `folder` and returns how many there are.
fn violations(folder: &Path, found: &mut Vec<String>) -> usize {
    let mut files = 0;
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
        if path.is_dir() {
            files += violations(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for (number, line) in text.lines().enumerate() {
                for (name, what) in FORBIDDEN.iter().filter(|(name, _)| mentions(line, name)) {
                    found.push(format!("{}:{}: `{name}` ({what})", path.display(), number + 1));
                }
            }
        }
    }
    files
}

#[test]
fn wire_caller_tunnel_and_proxy_touch_nothing_but_bytes() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for folder in ["wire", "caller", "tunnel", "proxy"] {
        let mut found = Vec::new();
        assert!(violations(&source.join(folder), &mut found) > 0, "{folder}: no file was read");
        assert!(found.is_empty(), "{folder} is pure, but:\n{}", found.join("\n"));
    }
}

#[test]
fn the_search_sees_code_and_not_comments() {
    for (line, name, expected) in [
        ("use std::net::TcpStream;", "std::net", true),
        ("    let now = Instant::now();", "Instant", true),
        ("unsafe { x }", "unsafe", true),
        ("#![forbid(unsafe_code)]", "unsafe", false),
        ("//! No socket, clock, thread or unsafe.", "unsafe", false),
        ("let a = 1; // std::net", "std::net", false),
        ("use core::net::Ipv6Addr;", "std::net", false),
        ("let instantly = 1;", "Instant", false),
    ] {
        assert_eq!(mentions(line, name), expected, "{line}");
    }
}
