//! What the admin listener tells beside health: figures, the dashboard, and events for those who view it.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::net::SocketAddr;
use std::time::Instant;

use fasttunnel_engine::limits::{MAX_ADMIN_CONNECTIONS, MAX_VIEWERS};
use fasttunnel_engine::{Config, Listen};
use support::server::any_port;
use support::{Client, DriverChoice, Reply, Server, call, eventually, ms};

fn with_dashboard(config: &mut Config) {
    config.admin = Some(any_port());
    config.dashboard = true;
}

fn admin(server: &Server) -> SocketAddr {
    match server.engine().admin_address() {
        Some(Listen::Tcp(address)) => *address,
        other => panic!("{other:?}"),
    }
}

fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
}

/// Somebody who views the dashboard.
struct Viewer(Client);

impl Viewer {
    #[track_caller]
    fn begin(mut client: Client) -> (Viewer, Reply) {
        client.send(get("/dashboard/events", ""));
        let head = client.head();
        (Viewer(client), head)
    }

    #[track_caller]
    fn of(server: &Server) -> Viewer {
        let (mut viewer, head) = Viewer::begin(Client::tcp(admin(server)));
        assert_eq!((head.status, head.field("content-type")), (200, Some("text/event-stream; charset=utf-8")));
        assert_eq!(viewer.piece(), "retry: 1000\n\n");
        viewer
    }

    /// The next chunk.
    #[track_caller]
    fn piece(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.0.take(1));
        }
        let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let mut piece = self.0.take(size + 2);
        piece.truncate(size);
        String::from_utf8(piece).unwrap()
    }

    /// The next event.
    #[track_caller]
    fn event(&mut self) -> serde_json::Value {
        let piece = self.piece();
        let text = piece.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).expect("an event");
        serde_json::from_str(text).unwrap()
    }
}

fn figures_are_told_in_three_ways(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.admin = Some(any_port()));
    server.client().expect_usable();
    let mut client = Client::tcp(admin(&server));
    let plain = client.ask(get("/metrics", ""));
    let open = client.ask(get("/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n"));
    for (reply, kind, end) in [
        (&plain, "text/plain; version=0.0.4; charset=utf-8", false),
        (&open, "application/openmetrics-text; version=1.0.0; charset=utf-8", true),
    ] {
        assert_eq!((reply.status, reply.field("content-type")), (200, Some(kind)));
        assert!(reply.body.contains("\nfasttunnel_calls_total{shard=\"0\"} 1\n"), "{}", reply.body);
        assert_eq!(reply.body.ends_with("\n# EOF\n"), end);
        assert_eq!(reply.field("access-control-allow-origin"), None);
    }
    let stats: serde_json::Value = serde_json::from_str(&client.ask(get("/stats", "")).body).unwrap();
    assert_eq!((&stats["shards"][0]["calls"], &stats["ready"]), (&1.into(), &"ok".into()));
    assert!(stats["process"]["residentMemoryBytes"].as_f64().unwrap() > 1e6);
    for path in ["/dashboard", "/dashboard.js", "/dashboard.css", "/dashboard/events"] {
        assert_eq!(client.ask(get(path, "")).status, 404, "{path}: nobody has asked for a dashboard");
    }
}

fn the_dashboard_loads_nothing_from_elsewhere(driver: DriverChoice) {
    let server = Server::with(driver, with_dashboard);
    let mut client = Client::tcp(admin(&server));
    let page = client.ask(get("/dashboard", ""));
    assert_eq!((page.status, page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.field("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (path, kind) in
        [("/dashboard.js", "text/javascript; charset=utf-8"), ("/dashboard.css", "text/css; charset=utf-8")]
    {
        let file = client.ask(get(path, ""));
        assert_eq!((file.status, file.field("content-type"), file.body.is_empty()), (200, Some(kind), false));
        assert!(page.body.contains(&path[1..]), "the page asks for {path}");
        for text in [&file.body, &page.body] {
            assert!(
                !text.contains("https://") && !text.replace("http://www.w3.org/", "").contains("http://"),
                "{path}"
            );
        }
    }
    client.send("HEAD /dashboard/events HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.reply_to_head().status, 200);
    assert_eq!(client.ask(get("/livez", "")).body, "ok");
}

fn viewers_hear_once_a_second_however_long_they_stay(driver: DriverChoice) {
    let server = Server::with(driver, |config| {
        with_dashboard(config);
        config.limits.idle_timeout_ms = 200;
        config.limits.write_timeout_ms = 200;
    });
    let mut viewer = Viewer::of(&server);
    assert_eq!(viewer.event()["shards"][0]["calls"], 0);
    server.client().expect_usable();
    let first = viewer.event();
    let start = Instant::now();
    let second = viewer.event();
    assert!(start.elapsed() >= ms(700), "{:?}", start.elapsed());
    assert_eq!(second["shards"][0]["calls"], 1);
    assert!(second["upMs"].as_u64() > first["upMs"].as_u64());
    assert_eq!(server.sum(|shard| shard.connections), 0, "it is no load");
}

fn there_is_room_for_so_many_viewers_and_for_others_beside_them(driver: DriverChoice) {
    let server = Server::with(driver, with_dashboard);
    let mut viewers: Vec<_> = (0..MAX_VIEWERS).map(|_| Viewer::of(&server)).collect();
    let (mut surplus, head) = Viewer::begin(Client::tcp(admin(&server)));
    assert_eq!(head.status, 503);
    surplus.0.take(head.field("content-length").unwrap().parse().unwrap());
    assert_eq!(surplus.0.ask(get("/livez", "")).body, "ok", "the connection is good for more");
    const { assert!(MAX_VIEWERS < MAX_ADMIN_CONNECTIONS) };
    drop(viewers.pop());
    eventually("a place is free", || {
        let (_viewer, head) = Viewer::begin(Client::tcp(admin(&server)));
        head.status == 200
    });
    viewers[0].event();
    // What is asked behind a stream without an end waits for it.
    viewers[0].0.send(get("/dashboard/events", ""));
    viewers[0].event();
}

fn a_viewer_that_does_not_read_is_cut(driver: DriverChoice) {
    let path = std::env::temp_dir().join(format!("fasttunnel-view-{driver:?}-{}.sock", std::process::id()));
    let _server = Server::with(driver, |config| {
        config.admin = Some(Listen::Unix(path.clone()));
        config.dashboard = true;
        config.limits.write_timeout_ms = 300;
        // Each has some kilobytes to tell: two reports fill a socket.
        config.shards = 24;
    });
    let (viewer, head) = Viewer::begin(Client::unix(&path));
    assert_eq!(head.status, 200);
    let others: Vec<_> = (1..MAX_VIEWERS).map(|_| Viewer::begin(Client::unix(&path))).collect();
    assert!(others.iter().all(|(_, head)| head.status == 200));
    std::thread::sleep(ms(2500));
    eventually("they have made room", || Viewer::begin(Client::unix(&path)).1.status == 200);
    let mut viewer = viewer.0;
    let (bytes, _) = viewer.until_end();
    assert!(bytes.len() > 50_000 && !bytes.ends_with(b"0\r\n\r\n"), "{}", bytes.len());
}

fn viewers_hear_of_the_end_and_do_not_hold_it_up(driver: DriverChoice) {
    let mut server = Server::with(driver, with_dashboard);
    let mut viewer = Viewer::of(&server);
    let mut caller = server.client();
    caller.send(call("later", "1"));
    let (ticket, _) = server.taken();
    server.engine().stop(ms(10_000));
    eventually("it is told", || viewer.event()["ready"] == "closing");
    let start = Instant::now();
    ticket.json("1");
    assert!(caller.reply().closes());
    drop(caller);
    viewer.0.until_end();
    server.join();
    assert!(start.elapsed() < ms(1500), "{:?}", start.elapsed());
}

on_both_drivers!(
    figures_are_told_in_three_ways,
    the_dashboard_loads_nothing_from_elsewhere,
    viewers_hear_once_a_second_however_long_they_stay,
    there_is_room_for_so_many_viewers_and_for_others_beside_them,
    a_viewer_that_does_not_read_is_cut,
    viewers_hear_of_the_end_and_do_not_hold_it_up,
);
