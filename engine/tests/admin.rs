//! The admin listener: what it answers, that it needs nothing that calls need, and when it ends.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use fasttunnel_engine::limits::{HOST_BEHIND, MAX_ADMIN_CONNECTIONS};
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::{Config, Listen};
use support::server::any_port;
use support::{Client, DriverChoice, Reply, Server, call, eventually, ms, request};

fn with_admin(config: &mut Config) {
    config.admin = Some(any_port());
}

fn admin(server: &Server) -> SocketAddr {
    match server.engine().admin_address() {
        Some(Listen::Tcp(address)) => *address,
        other => panic!("{other:?}"),
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// Asks on a connection of its own.
#[track_caller]
fn ask(server: &Server, path: &str) -> Reply {
    Client::tcp(admin(server)).ask(get(path))
}

#[track_caller]
fn expect(server: &Server, path: &str, status: u16, text: &str) {
    let reply = ask(server, path);
    assert_eq!((reply.status, &*reply.body), (status, text), "{path}");
}

fn answers_on_two_paths(driver: DriverChoice) {
    let server = Server::with(driver, with_admin);
    let mut client = Client::tcp(admin(&server));
    for path in ["/livez", "/readyz", "/readyz?verbose"] {
        let reply = client.ask(get(path));
        assert_eq!((reply.status, &*reply.body, reply.closes()), (200, "ok", false));
        assert_eq!(reply.field("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(reply.field("cache-control"), Some("no-store"));
    }
    client.send("HEAD /livez HTTP/1.1\r\nHost: test\r\n\r\n");
    let reply = client.reply_to_head();
    assert_eq!((reply.status, reply.field("content-length")), (200, Some("2")));
    assert_eq!(client.ask(call("echo", "1")).status, 404, "no call gets in here");
    let reply = client.ask(request("POST", "/livez", "", "body"));
    assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD")));
    let reply = client.ask("GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert!(reply.status == 200 && reply.closes());
    client.expect_fin();
    let mut strict = Client::tcp(admin(&server));
    let reply = strict.ask("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert!(reply.status == 400 && reply.closes());
    assert_eq!(server.client().ask(get("/livez")).status, 404, "and none of this over there");
    assert_eq!(server.sum(|shard| shard.accepted), 1);
}

fn needs_no_place_of_a_call(driver: DriverChoice) {
    let server = Server::with(driver, |config| {
        with_admin(config);
        config.limits.max_connections = 1;
        config.limits.max_calls_in_flight = 1;
    });
    let mut busy = server.client();
    busy.send(call("later", "1"));
    let (ticket, _) = server.taken();
    assert_eq!(server.client().reply().status, 503, "there is no place for another");
    let admins: Vec<_> = (0..10).map(|_| Client::tcp(admin(&server))).collect();
    expect(&server, "/livez", 200, "ok");
    expect(&server, "/readyz", 200, "ok");
    assert_eq!(server.sum(|shard| shard.connections), 1);
    ticket.json("1");
    assert_eq!(busy.reply().result(), "1");
    drop(busy);
    eventually("its place is free", || server.sum(|shard| shard.connections) == 0);
    server.client().expect_usable();
    drop(admins);
}

fn connections_beyond_its_own_bound_get_503(driver: DriverChoice) {
    let server = Server::with(driver, with_admin);
    let mut clients: Vec<_> = (0..MAX_ADMIN_CONNECTIONS).map(|_| Client::tcp(admin(&server))).collect();
    for client in &mut clients {
        assert_eq!(client.ask(get("/livez")).status, 200);
    }
    let mut surplus = Client::tcp(admin(&server));
    let reply = surplus.reply();
    assert!(reply.status == 503 && reply.closes(), "{reply:?}");
    surplus.expect_end();
    server.client().expect_usable();
    clients.pop();
    eventually("a place is free", || {
        let mut next = Client::tcp(admin(&server));
        next.try_send(get("/livez")).is_ok() && next.try_reply(true).is_ok_and(|reply| reply.status == 200)
    });
    assert_eq!(clients[0].ask(get("/livez")).status, 200);
}

fn says_no_while_calls_end_and_goes_with_the_last(driver: DriverChoice) {
    let mut server = Server::with(driver, with_admin);
    let mut client = server.client();
    client.send(call("later", "1"));
    let (ticket, _) = server.taken();
    let (mut idle, mut kept) = (Client::tcp(admin(&server)), Client::tcp(admin(&server)));
    assert_eq!(idle.ask(get("/readyz")).status, 200);
    server.engine().stop(ms(10_000));
    let reply = kept.ask(get("/readyz"));
    assert_eq!((reply.status, &*reply.body), (503, "closing"));
    eventually("the port is closed", || std::net::TcpStream::connect(server.address()).is_err());
    for _ in 0..3 {
        expect(&server, "/readyz", 503, "closing");
        expect(&server, "/livez", 200, "ok");
        std::thread::sleep(ms(60));
    }
    let (start, admin) = (Instant::now(), admin(&server));
    ticket.json("1");
    assert!(client.reply().closes());
    drop(client);
    idle.expect_end();
    server.join();
    assert!(start.elapsed() < ms(1500), "{:?}", start.elapsed());
    assert!(Client::try_tcp(admin).is_err());
}

fn waits_for_calls_of_other_shards(driver: DriverChoice) {
    let mut server = Server::with(driver, |config| {
        with_admin(config);
        config.shards = 2;
    });
    let (mut first, mut second) = (server.client(), server.client());
    first.expect_usable();
    second.send(call("later", "1"));
    let (ticket, _) = server.taken();
    assert_eq!(server.engine().stats().iter().map(|shard| shard.in_flight).collect::<Vec<_>>(), [0, 1]);
    server.engine().stop(ms(10_000));
    first.expect_fin();
    drop(first);
    for _ in 0..4 {
        std::thread::sleep(ms(60));
        expect(&server, "/readyz", 503, "closing");
    }
    let start = Instant::now();
    ticket.json("1");
    assert!(second.reply().closes());
    drop(second);
    server.join();
    assert!(start.elapsed() < ms(1500), "{:?}", start.elapsed());
}

fn an_engine_that_is_to_go_says_so_before(driver: DriverChoice) {
    let server = Server::with(driver, with_admin);
    expect(&server, "/readyz", 200, "ok");
    server.engine().retire();
    expect(&server, "/readyz", 503, "closing");
    expect(&server, "/livez", 200, "ok");
    server.client().expect_usable();
}

fn a_host_that_looks_at_nothing_is_told(driver: DriverChoice) {
    let host = Arc::new(Host::new(1, || {}));
    let server = Server::with_backend(driver, &["echo"], host.clone(), with_admin);
    host.awake();
    std::thread::sleep(HOST_BEHIND + ms(100));
    expect(&server, "/readyz", 200, "ok");
    let mut caller = server.client();
    let start = Instant::now();
    caller.send(call("echo", "1"));
    eventually("the call waits", || host.queued() == 1);
    let early = ask(&server, "/readyz");
    assert!(early.status == 200 || start.elapsed() > HOST_BEHIND);
    std::thread::sleep(HOST_BEHIND);
    expect(&server, "/readyz", 503, "javascript is behind");
    expect(&server, "/livez", 200, "ok");
    host.awake();
    assert!(matches!(host.next(0), Next::Calls(_)));
    expect(&server, "/readyz", 200, "ok");
}

fn listens_on_a_unix_socket_or_not_at_all(driver: DriverChoice) {
    let path = std::env::temp_dir().join(format!("fasttunnel-admin-{driver:?}-{}.sock", std::process::id()));
    let mut server = Server::with(driver, |config| config.admin = Some(Listen::Unix(path.clone())));
    assert_eq!(Client::unix(&path).ask(get("/livez")).body, "ok");
    let (handlers, _later) = support::server::handlers();
    let mut second = support::server::config(driver, handlers.specs());
    second.admin = Some(Listen::Unix(path.clone()));
    let error = fasttunnel_engine::Engine::start(second, handlers.into_backend()).err().unwrap();
    assert_eq!(error.os_error(), Some(libc::EADDRINUSE), "{error}");
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    server.engine().stop(ms(0));
    server.join();
    assert!(!path.exists());
    assert!(Server::start(driver).engine().admin_address().is_none());
}

on_both_drivers!(
    answers_on_two_paths,
    needs_no_place_of_a_call,
    connections_beyond_its_own_bound_get_503,
    says_no_while_calls_end_and_goes_with_the_last,
    waits_for_calls_of_other_shards,
    an_engine_that_is_to_go_says_so_before,
    a_host_that_looks_at_nothing_is_told,
    listens_on_a_unix_socket_or_not_at_all,
);
