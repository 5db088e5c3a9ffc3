//! What balancers are told: how busy the engine is, as `/load` and as a line for each connection to the agent.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use fasttunnel_engine::limits::HOST_BEHIND;
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::{Config, Listen};
use support::server::any_port;
use support::{Client, DriverChoice, Server, call, eventually, ms};

fn observed(config: &mut Config) {
    (config.admin, config.agent) = (Some(any_port()), Some(any_port()));
}

fn tcp(listen: Option<&Listen>) -> SocketAddr {
    match listen {
        Some(Listen::Tcp(address)) => *address,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn load(server: &Server) -> u64 {
    let reply = Client::tcp(tcp(server.engine().admin_address())).ask("GET /load HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((reply.status, reply.field("content-type")), (200, Some("text/plain; charset=utf-8")));
    reply.body.parse().unwrap()
}

/// All that the agent says, to a client that has sent `bytes`.
fn told(server: &Server, bytes: &str) -> String {
    let mut client = Client::tcp(tcp(server.engine().agent_address()));
    if !bytes.is_empty() {
        client.send(bytes);
    }
    let (said, error) = client.until_end();
    assert_eq!(error, None);
    String::from_utf8(said).unwrap()
}

fn calls_under_way_fill_it(driver: DriverChoice) {
    let host = Arc::new(Host::new(1, || {}));
    let server = Server::with_backend(driver, &["echo"], host.clone(), |config| {
        observed(config);
        config.limits.max_calls_in_flight = 4;
        config.limits.queue_timeout_ms = 3_600_000;
    });
    assert_eq!((load(&server), told(&server, "")), (0, "up 100%\n".to_owned()));
    let mut callers: Vec<_> = (0..3).map(|_| server.client()).collect();
    for (index, caller) in callers.iter_mut().enumerate() {
        caller.send(call("echo", "1"));
        eventually("the call waits", || host.outstanding() == index as u64 + 1);
    }
    host.awake();
    assert_eq!((load(&server), told(&server, "")), (75, "up 25%\n".to_owned()));
    let mut fourth = server.client();
    fourth.send(call("echo", "1"));
    eventually("the call waits", || host.outstanding() == 4);
    assert_eq!((load(&server), told(&server, "")), (100, "up 1%\n".to_owned()), "and never nothing");
}

fn calls_that_wait_fill_it_whether_the_host_looks_or_not(driver: DriverChoice) {
    let host = Arc::new(Host::new(1, || {}));
    let server = Server::with_backend(driver, &["echo"], host.clone(), |config| {
        observed(config);
        config.limits.queue_timeout_ms = 400;
    });
    host.awake();
    let mut caller = server.client();
    caller.send(call("echo", "1"));
    eventually("it has waited for half of what it may", || load(&server) >= 50);
    eventually("and for all of it", || load(&server) == 100);
    host.awake();
    assert!(matches!(host.next(0), Next::Calls(_)));
    assert_eq!(load(&server), 0);
    // It looks, and finds calls that have waited: that counts for less each time that it finds none.
    host.note_wait(ms(300));
    assert_eq!(load(&server), 75);
    host.note_wait(ms(0));
    assert_eq!(load(&server), 65);
    (0..50).for_each(|_| host.note_wait(ms(0)));
    assert_eq!(load(&server), 0);
    host.note_wait(ms(300));
    std::thread::sleep(HOST_BEHIND + ms(50));
    assert_eq!(load(&server), 0, "a host that has nothing to do does not look");
}

fn the_agent_says_why_no_calls_are_taken(driver: DriverChoice) {
    let host = Arc::new(Host::new(1, || {}));
    let server = Server::with_backend(driver, &["echo"], host.clone(), observed);
    host.awake();
    let mut caller = server.client();
    caller.send(call("echo", "1"));
    eventually("the call waits", || host.queued() == 1);
    std::thread::sleep(HOST_BEHIND);
    assert_eq!(told(&server, ""), "down #javascript is behind\n");
    host.awake();
    server.engine().retire();
    assert_eq!((told(&server, ""), load(&server)), ("up 0%\n".to_owned(), 100));
}

fn what_is_sent_to_the_agent_costs_no_answer_and_many_connections_nothing(driver: DriverChoice) {
    let server = Server::with(driver, observed);
    assert_eq!(told(&server, "weight\n"), "up 100%\n");
    let many: Vec<_> = (0..300).map(|_| Client::tcp(tcp(server.engine().agent_address()))).collect();
    assert_eq!(told(&server, ""), "up 100%\n");
    server.client().expect_usable();
    assert_eq!(server.sum(|shard| shard.accepted), 1, "they are no load");
    drop(many);
}

fn the_agent_is_there_until_the_last_call_is_answered(driver: DriverChoice) {
    let mut server = Server::with(driver, |config| config.agent = Some(any_port()));
    assert!(server.engine().admin_address().is_none());
    let mut client = server.client();
    client.send(call("later", "1"));
    let (ticket, _) = server.taken();
    server.engine().stop(ms(10_000));
    eventually("the port is closed", || std::net::TcpStream::connect(server.address()).is_err());
    assert_eq!(told(&server, ""), "up 0%\n");
    let agent = tcp(server.engine().agent_address());
    ticket.json("1");
    assert!(client.reply().closes());
    drop(client);
    server.join();
    assert!(Client::try_tcp(agent).is_err());
}

on_both_drivers!(
    calls_under_way_fill_it,
    calls_that_wait_fill_it_whether_the_host_looks_or_not,
    the_agent_says_why_no_calls_are_taken,
    what_is_sent_to_the_agent_costs_no_answer_and_many_connections_nothing,
    the_agent_is_there_until_the_last_call_is_answered,
);
