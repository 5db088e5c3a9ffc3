//! Where an engine listens, how connections spread, and what an accepted socket is like.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::path::PathBuf;
use std::sync::Arc;

use fasttunnel_engine::handlers::{Answer, Handlers};
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::{Engine, Listen};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use support::server::{config, exposure};
use support::{Client, DriverChoice, Server, call, eventually, process, request};

fn sixteen_connections_spread_over_four_shards(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.shards = 4);
    let mut clients: Vec<_> = (0..16).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::expect_usable);
    let spread: Vec<u64> = server.engine().stats().iter().map(|shard| shard.connections).collect();
    assert!(spread.iter().all(|connections| (2..=6).contains(connections)), "{spread:?}");
    assert_eq!(spread.iter().sum::<u64>(), 16);
    // Every shard works, not only the one that accepts.
    assert!(server.engine().stats().iter().all(|shard| shard.answered > 0));
}

fn freed_places_are_taken_first(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.shards = 3);
    let mut clients: Vec<_> = (0..9).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::expect_usable);
    for _ in 0..20 {
        drop(clients.remove(0));
        eventually("it has left", || server.sum(|shard| shard.connections) == 8);
        clients.push(server.client());
        clients.last_mut().unwrap().expect_usable();
        let spread: Vec<u64> = server.engine().stats().iter().map(|shard| shard.connections).collect();
        assert_eq!(spread, [3, 3, 3]);
    }
}

fn a_burst_of_connections_is_accepted(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.shards = 2);
    let mut clients: Vec<_> = (0..600).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(call("echo", "1"));
    }
    for client in &mut clients {
        assert_eq!(client.reply().result(), "1");
    }
    drop(clients);
    eventually("all have left", || server.sum(|shard| shard.connections) == 0);
}

fn socket_path(name: &str, driver: DriverChoice) -> PathBuf {
    std::env::temp_dir().join(format!("fasttunnel-{name}-{driver:?}-{}.sock", std::process::id()))
}

fn a_unix_socket(driver: DriverChoice) {
    let path = socket_path("serves", driver);
    let mut server = Server::with(driver, |config| {
        config.listen = Listen::Unix(path.clone());
        config.shards = 2;
    });
    assert_eq!(server.engine().address(), &Listen::Unix(path.clone()));
    assert_eq!(server.engine().tcp_address(), None);
    let mut clients: Vec<_> = (0..4).map(|_| Client::unix(&path)).collect();
    let body = format!("\"{}\"", "u".repeat(300_000));
    for client in &mut clients {
        client.expect_usable();
        assert_eq!(client.ask(call("echo", &body)).result(), body);
    }
    clients[0].finish_sending();
    clients[0].expect_fin();
    server.engine().stop(support::ms(2000));
    for client in &mut clients[1..] {
        client.expect_fin();
    }
    drop(clients);
    server.join();
    assert!(!path.exists());
}

fn two_engines_do_not_know_of_each_other(driver: DriverChoice) {
    process::expect_several_engines();
    let (mut first, second) = (Server::start(driver), Server::start(driver));
    let mut client = second.client();
    first.client().expect_usable();
    client.expect_usable();
    first.engine().stop(support::ms(0));
    first.join();
    client.expect_usable();
    second.client().expect_usable();
    assert_eq!(second.sum(|shard| shard.answered), 3);
}

fn a_port_can_be_taken_again_at_once(driver: DriverChoice) {
    let mut first = Server::start(driver);
    let address = first.engine().address().clone();
    let mut client = first.client();
    client.send(request("POST", "/__runner/task/echo", "Connection: close\r\n", "1"));
    client.reply();
    first.engine().stop(support::ms(0));
    first.join();
    // The old connection lingers in TIME_WAIT.
    Server::with(driver, |config| config.listen = address).client().expect_usable();
}

fn the_exposure_is_replaced_while_serving(driver: DriverChoice) {
    let handlers =
        Handlers::new().task("old", |_, _| Answer::Json("1".into())).task("new", |_, _| Answer::Json("2".into()));
    let (old, all) = (vec![handlers.specs()[0].clone()], handlers.specs().to_vec());
    let mut config = config(driver, &old);
    config.shards = 2;
    let engine = Engine::start(config, handlers.into_backend()).unwrap();
    let server = Server { engine: Some(engine), turner: None, later: std::sync::mpsc::channel().1 };
    let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(call("new", "")).status, 403);
    }
    server.engine().set_exposure(&Arc::new(exposure(&all)));
    for client in &mut clients {
        eventually("the new task", || client.ask(call("new", "")).status == 200);
        assert_eq!(client.ask(call("old", "")).result(), "1");
    }
    // A body under way keeps the decision that its head got.
    let text = call("old", "{}");
    clients[0].send(&text[..text.len() - 1]);
    eventually("its head", || server.sum(|shard| shard.requests) >= 13);
    server.engine().set_exposure(&Arc::new(Exposure { disable_discovery: true, ..exposure(&[]) }));
    eventually("nothing is exposed", || clients[1].ask(call("old", "")).status == 403);
    clients[0].send(&text[text.len() - 1..]);
    assert!(matches!(clients[0].reply().status, 200 | 403));
}

fn accepted_sockets_are_close_on_exec_and_undelayed(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.shards = 2);
    // One for the shard that accepts, one that was handed over.
    for client in &mut [server.client(), server.client()] {
        client.expect_usable();
        let socket = process::descriptor_of(server.address(), client.tcp_stream().local_addr().unwrap());
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{socket}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        assert_ne!(flags & libc::O_CLOEXEC as u32, 0, "{info}");
        let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        let socket = pidfd_getfd(this, socket, PidfdGetfdFlags::empty()).unwrap();
        assert!(socket2::SockRef::from(&socket).tcp_nodelay().unwrap());
    }
}

on_both_drivers!(
    sixteen_connections_spread_over_four_shards,
    freed_places_are_taken_first,
    a_burst_of_connections_is_accepted,
    a_unix_socket,
    two_engines_do_not_know_of_each_other,
    a_port_can_be_taken_again_at_once,
    the_exposure_is_replaced_while_serving,
    accepted_sockets_are_close_on_exec_and_undelayed,
);
