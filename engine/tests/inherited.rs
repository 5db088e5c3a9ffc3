//! Sockets that others have bound: an engine listens on them beside whoever else has them, and leaves them as they are.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use fasttunnel_engine::Listen;
use fasttunnel_engine::inherited::Inherited;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use support::{Client, DriverChoice, Server, call, eventually, ms, process};

fn handed(listener: &TcpListener) -> Listen {
    Listen::Inherited(Inherited::new(OwnedFd::from(listener.try_clone().unwrap())).unwrap())
}

fn on(driver: DriverChoice, listener: &TcpListener, shards: usize) -> Server {
    Server::with(driver, |config| {
        config.listen = handed(listener);
        config.shards = shards;
    })
}

fn bound() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn serves_on_a_socket_that_was_handed_over_and_leaves_it_listening(driver: DriverChoice) {
    let (listener, address) = bound();
    let mut first = on(driver, &listener, 2);
    assert_eq!(first.engine().address(), &Listen::Tcp(address));
    let mut clients: Vec<_> = (0..8).map(|_| first.client()).collect();
    clients.iter_mut().for_each(Client::expect_usable);
    first.engine().stop(ms(2000));
    clients.iter_mut().for_each(Client::expect_fin);
    first.join();
    assert!(SockRef::from(&listener).is_listener().unwrap());
    // It waits for whoever listens next.
    let mut early = Client::tcp(address);
    early.send(call("echo", "7"));
    let second = on(driver, &listener, 1);
    assert_eq!(early.reply().result(), "7");
    assert_eq!(second.sum(|shard| shard.accepted), 1);
}

fn an_engine_that_ends_takes_no_connection_from_the_one_that_follows(driver: DriverChoice) {
    process::expect_several_engines();
    let (listener, address) = bound();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = 0;
                    while !over.load(Ordering::Relaxed) {
                        // Each connection is fresh: one that nobody accepts, or that is reset, fails here.
                        let mut client = Client::tcp(address);
                        client.send(call("echo", "1"));
                        assert_eq!(client.reply().result(), "1");
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        let mut serving = on(driver, &listener, 2);
        for _ in 0..5 {
            eventually("it serves", || serving.sum(|shard| shard.answered) >= 20);
            let next = on(driver, &listener, 2);
            serving.engine().stop(ms(2000));
            serving.join();
            serving = next;
        }
        eventually("it serves", || serving.sum(|shard| shard.answered) >= 20);
        over.store(true, Ordering::Relaxed);
        assert!(callers.into_iter().map(|caller| caller.join().unwrap()).sum::<i32>() >= 120);
    });
}

fn a_socket_that_is_bound_and_does_not_listen_yet_is_made_to(driver: DriverChoice) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    let server = on(driver, &TcpListener::from(socket), 1);
    server.client().expect_usable();
}

fn the_file_of_a_unix_socket_stays(driver: DriverChoice) {
    let path = std::env::temp_dir().join(format!("fasttunnel-handed-{driver:?}-{}.sock", std::process::id()));
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let inherited = Inherited::new(socket.try_clone().unwrap().into()).unwrap();
    let mut server = Server::with(driver, |config| config.listen = Listen::Inherited(inherited));
    assert_eq!(server.engine().address(), &Listen::Unix(path.clone()));
    Client::unix(&path).expect_usable();
    server.engine().stop(ms(2000));
    server.join();
    assert!(path.exists());
    assert!(Client::unix(&path).try_send(call("echo", "1")).is_ok(), "the socket listens on");
    std::fs::remove_file(&path).unwrap();
}

fn an_engine_without_connections_stops_at_once(driver: DriverChoice) {
    let (listener, _) = bound();
    let mut server = on(driver, &listener, 2);
    let began = std::time::Instant::now();
    server.engine().stop(ms(5000));
    server.join();
    assert!(began.elapsed() < ms(1000), "{:?}", began.elapsed());
}

on_both_drivers!(
    serves_on_a_socket_that_was_handed_over_and_leaves_it_listening,
    an_engine_that_ends_takes_no_connection_from_the_one_that_follows,
    a_socket_that_is_bound_and_does_not_listen_yet_is_made_to,
    the_file_of_a_unix_socket_stays,
    an_engine_without_connections_stops_at_once,
);
