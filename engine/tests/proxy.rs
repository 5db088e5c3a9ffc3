//! The forward proxy on the wire: who may ask, what is passed on both ways, and what servers and clients cannot do to it.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use fasttunnel_engine::limits::{DEFAULT_CHUNK_EXTENSION_BYTES, DEFAULT_TRAILER_BYTES};
use support::origin::{Origin, Proxy, credentials};
use support::{DriverChoice, eventually, ms};

on_both_drivers!(
    a_request_goes_to_its_server_and_its_answer_comes_back_both_told_of_the_way,
    requests_of_one_connection_are_answered_in_order_over_connections_that_are_kept,
    nobody_without_credentials_has_anything_dialled,
    content_streams_both_ways_whatever_its_length,
    trailers_go_on_both_ways_unless_they_belong_into_a_head,
    interim_answers_and_answers_without_content_pass,
    a_server_that_answers_early_is_heard,
    an_answer_that_two_readers_could_read_in_two_ways_is_refused,
    an_answer_that_breaks_off_does_not_look_whole,
    requests_that_two_readers_could_read_in_two_ways_go_nowhere,
    what_stands_around_chunks_has_the_bounds_and_statuses_of_the_tunnel,
    a_connection_that_was_closed_while_it_waited_costs_nobody_a_request,
    a_request_whose_answer_has_begun_is_not_sent_again,
    a_request_that_may_go_no_further_is_answered_here_and_shown_without_its_secrets,
    a_tunnel_carries_bytes_both_ways_and_ends_each_way_by_itself,
    another_protocol_begins_when_the_server_says_so,
    what_cannot_be_reached_is_told_by_its_cause,
    addresses_around_here_are_out_of_reach_unless_they_are_allowed,
    a_released_context_ends_with_all_that_is_under_way,
    a_stop_waits_for_answers_and_not_for_tunnels,
    servers_that_do_not_answer_in_time_are_given_up,
    a_client_that_leaves_ends_its_request,
    a_server_of_whom_no_connection_may_be_made_is_told_so,
);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn a_request_goes_to_its_server_and_its_answer_comes_back_both_told_of_the_way(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::start(|mut peer, _| {
        while let Some((head, content)) = peer.request() {
            let content = format!("{head}{}", String::from_utf8_lossy(&content));
            peer.send(format!(
                "HTTP/1.1 201 Made\r\nX-A: b\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: {}\r\n\r\n{content}",
                content.len()
            ));
        }
    });
    let mut client = proxy.client();
    client.send(
        proxy.request(&format!("PUT {}", origin.url("/x?y")), "Content-Length: 3\r\nX-Cmux-Port-Internal: 1\r\n")
            + "abc",
    );
    let reply = client.reply();
    assert!(reply.head.starts_with("HTTP/1.1 201 Made\r\nX-A: b\r\n"), "{reply:?}");
    assert!(reply.field("x-hop").is_none() && reply.field("date").is_some());
    let via = reply.field("via").unwrap().to_owned();
    assert_eq!(
        reply.body,
        format!("PUT /x?y HTTP/1.1\r\nHost: {}\r\nContent-Length: 3\r\nVia: {via}\r\n\r\nabc", origin.address)
    );
    // What has been here is not sent round again.
    client.send(proxy.request(&format!("GET {}", origin.url("/")), &format!("Via: {via}\r\n")));
    let reply = client.reply();
    assert_eq!((reply.status, reply.field("proxy-status")), (508, Some("fasttunnel; error=proxy_loop_detected")));
    assert_eq!(origin.accepted(), 1);
}

fn requests_of_one_connection_are_answered_in_order_over_connections_that_are_kept(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::start(|mut peer, number| {
        while let Some((head, _)) = peer.request() {
            let path = head.split(' ').nth(1).unwrap();
            let content = format!("{number}{path}");
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len()));
        }
    });
    let mut client = proxy.client();
    let all: String = (0..20).map(|at| proxy.request(&format!("GET {}", origin.url(&format!("/{at}"))), "")).collect();
    client.send(all);
    for at in 0..20 {
        assert_eq!(client.reply().body, format!("0/{at}"));
    }
    // Another context has connections of its own.
    let names = proxy.server.engine().create_context(8, None).unwrap().unwrap();
    client.send(format!("GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n", origin.url("/other"), credentials(&names)));
    assert_eq!(client.reply().body, "1/other");
    client.send(proxy.request(&format!("GET {}", origin.url("/last")), "Connection: close\r\n"));
    let reply = client.reply();
    assert_eq!((reply.body.as_str(), reply.closes()), ("0/last", true));
    client.expect_end();
}

fn nobody_without_credentials_has_anything_dialled(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::answering(OK);
    let mut client = proxy.client();
    let wrong = "Proxy-Authorization: Basic d2M6cGFzcw==\r\n";
    for lines in ["", wrong, "Authorization: Basic d2M6cGFzcw==\r\n"] {
        for line in [format!("GET {}", origin.url("/")), format!("CONNECT {}", origin.address), "GET /".to_owned()] {
            client.send(format!("{line} HTTP/1.1\r\nHost: x\r\n{lines}\r\n"));
            let reply = client.reply();
            assert_eq!((reply.status, reply.body.as_str()), (407, "Proxy Authentication Required"), "{line}");
            assert_eq!(reply.field("proxy-authenticate"), Some("Basic realm=\"Cmux Preview Proxy\""));
        }
    }
    // With content that is thrown away; the client tries again on the same connection.
    client.send(format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", origin.url("/")));
    assert_eq!(client.reply().status, 407);
    assert_eq!(origin.accepted(), 0);
    client.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
    assert_eq!(client.reply().body, "ok");
    // Every request has to prove it.
    client.send(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", origin.url("/")));
    assert_eq!(client.reply().status, 407);
}

fn content_streams_both_ways_whatever_its_length(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    // Sends back what comes, in chunks, or until it closes where it is asked to.
    let origin = Origin::start(|mut peer, _| {
        while let Some((head, content)) = peer.request() {
            if head.contains("/close") {
                peer.send("HTTP/1.1 200 OK\r\n\r\n");
                peer.send(&content);
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for piece in content.chunks(10_000) {
                peer.send(format!("{:x}\r\n", piece.len()));
                peer.send(piece);
                peer.send("\r\n");
            }
            peer.send("0\r\nX-Trailer: 1\r\n\r\n");
        }
    });
    let content = support::pattern(300_000);
    for path in ["/chunks", "/close"] {
        let mut client = proxy.client();
        let line = format!("POST {}", origin.url(path));
        client.send(proxy.request(&line, &format!("Content-Length: {}\r\n", content.len())));
        client.send(&content);
        let head = client.head();
        assert_eq!(head.field("transfer-encoding"), Some("chunked"), "{head:?}");
        assert!(client.chunks().unwrap().concat() == content, "{path}");
        // A client of HTTP/1.0 gets it until the end.
        let request = proxy.request(&line, &format!("Content-Length: {}\r\n", content.len()));
        client.send(request.replace("HTTP/1.1", "HTTP/1.0"));
        client.send(&content);
        let head = client.head();
        assert!(head.closes() && head.field("transfer-encoding").is_none(), "{head:?}");
        assert!(client.until_end().0 == content, "{path}");
    }
    // In chunks to the server; the content is what it was.
    let mut client = proxy.client();
    client.send(proxy.request(&format!("POST {}", origin.url("/")), "Transfer-Encoding: chunked\r\n"));
    client.send("3;a=b\r\nabc\r\n");
    std::thread::sleep(ms(20));
    client.send("2\r\nde\r\n0\r\nX: y\r\n\r\n");
    client.head();
    assert_eq!(client.chunks().unwrap().concat(), b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n");
}

fn trailers_go_on_both_ways_unless_they_belong_into_a_head(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    // Answers with the request, and with its chunks as they came.
    let origin = Origin::start(|mut peer, _| {
        while let Some((head, content)) = peer.request() {
            let text = format!("{head}{}", String::from_utf8_lossy(&content));
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{:x}\r\n{text}\r\n",
                text.len()
            ));
            peer.send("0\r\nX-Sum: 1\r\nContent-Length: 7\r\nSet-Cookie: a=b\r\nX-Last:2\r\n\r\n");
        }
    });
    let mut client = proxy.client();
    let line = format!("POST {}", origin.url("/"));
    for _ in 0..2 {
        client.send(proxy.request(&line, "Transfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n"));
        client.send("3\r\nabc\r\n0\r\nX-Digest: 9\r\nHost: evil\r\nTransfer-Encoding: x\r\n");
        std::thread::sleep(ms(20));
        client.send("X-Cmux-Port-Internal: 22\r\nX-Other: 8\r\n\r\n");
        let head = client.head();
        assert_eq!(head.field("trailer"), Some("X-Sum"), "{head:?}");
        let seen = String::from_utf8(client.chunks().unwrap().concat()).unwrap();
        assert!(seen.contains("TE: trailers\r\nConnection: te\r\n"), "{seen}");
        assert!(seen.ends_with("\r\n\r\n3\r\nabc\r\n0\r\nX-Digest: 9\r\nX-Other: 8\r\n\r\n"), "{seen}");
        assert_eq!(client.trailers, b"X-Sum: 1\r\nX-Last:2\r\n");
    }
    // A client of HTTP/1.0 has no place for them.
    client.send(proxy.request(&format!("GET {}", origin.url("/")), "").replace("HTTP/1.1", "HTTP/1.0"));
    client.head();
    let (content, _) = client.until_end();
    assert!(!String::from_utf8_lossy(&content).contains("X-Sum"));
    assert_eq!(origin.accepted(), 1);
}

fn interim_answers_and_answers_without_content_pass(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::start(|mut peer, _| {
        while let Some(head) = peer.head() {
            if head.contains("Expect: 100-continue") {
                peer.send("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
                assert_eq!(peer.take(5), b"hello");
            }
            let status = head.split('/').nth(1).unwrap().split(' ').next().unwrap().to_owned();
            let lines = if status == "204" { "" } else { "Content-Length: 9\r\n" };
            peer.send(format!("HTTP/1.1 {status} x\r\n{lines}\r\n"));
        }
    });
    let mut client = proxy.client();
    client
        .send(proxy.request(&format!("POST {}", origin.url("/204")), "Content-Length: 5\r\nExpect: 100-continue\r\n"));
    let hints = client.head();
    assert_eq!((hints.status, hints.field("link")), (103, Some("a")));
    assert_eq!(client.head().status, 100);
    client.send("hello");
    let reply = client.head();
    assert_eq!((reply.status, reply.field("content-length")), (204, None));
    for (method, status) in [("HEAD", 200), ("GET", 304), ("GET", 204)] {
        client.send(proxy.request(&format!("{method} {}", origin.url(&format!("/{status}"))), ""));
        let reply = client.reply_to_head();
        assert_eq!((reply.status, reply.field("content-length").is_some()), (status, status != 204));
    }
    assert_eq!(origin.accepted(), 1, "the connection to the server is kept");
}

fn a_server_that_answers_early_is_heard(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::start(|mut peer, _| {
        peer.head();
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    });
    let mut client = proxy.client();
    client.send(proxy.request(&format!("POST {}", origin.url("/")), "Content-Length: 100000000\r\n"));
    // It goes on sending: the answer has to come through all the same.
    let _ = client.try_send(vec![b'x'; 200_000]);
    let reply = client.reply();
    assert_eq!((reply.status, reply.body.as_str()), (413, "big"));
}

fn an_answer_that_two_readers_could_read_in_two_ways_is_refused(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        "nonsense\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
    ] {
        let origin = Origin::answering(answer);
        let reply = proxy.get(&origin.url("/"));
        assert_eq!((reply.status, reply.body.as_str()), (502, "Bad Gateway"), "{answer}");
        assert!(reply.field("proxy-status").unwrap().starts_with("fasttunnel; error=http_"), "{reply:?}");
    }
    // Bytes behind an answer belong to nobody: the next request gets an answer of its own.
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    );
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
        assert_eq!(client.reply().body, "ok");
    }
    assert_eq!(origin.accepted(), 2);
}

fn an_answer_that_breaks_off_does_not_look_whole(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n|z",
    ] {
        let origin = Origin::start(move |mut peer, _| {
            peer.head();
            for part in answer.split('|') {
                peer.send(part);
                // A reset overtakes what a client has not read.
                std::thread::sleep(ms(100));
            }
        });
        let mut client = proxy.client();
        client.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
        client.head();
        let rest = client.until_end().0;
        assert!(!rest.ends_with(b"0\r\n\r\n") && rest.len() < 20, "{answer} {}", rest.escape_ascii());
    }
    // Before it has said anything it can still be told.
    for answer in ["", "HTTP/1.1 200"] {
        let origin = Origin::start(move |mut peer, _| {
            peer.head();
            peer.send(answer);
        });
        let reply = proxy.get(&origin.url("/"));
        assert_eq!((reply.status, reply.field("proxy-status")), (502, Some("fasttunnel; error=connection_terminated")));
    }
}

fn requests_that_two_readers_could_read_in_two_ways_go_nowhere(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::answering(OK);
    let url = origin.url("/");
    for (lines, status) in [
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 501),
        ("X : y\r\n", 400),
        ("X: y\r\n z\r\n", 400),
        ("Expect: the-unexpected\r\n", 417),
    ] {
        let mut client = proxy.client();
        client.send(proxy.request(&format!("POST {url}"), lines));
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (status, true), "{lines}");
    }
    for line in
        ["GET /", "GET ftp://x/", "OPTIONS *", "GET http://u@x/", "GET http://0x7f.1/", "CONNECT x", "CONNECT x:0"]
    {
        let mut client = proxy.client();
        client.send(proxy.request(line, ""));
        assert_eq!(client.reply().status, 400, "{line}");
    }
    // Broken chunks: the server sees no end of them.
    let (sender, seen) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let server = Origin::start(move |mut peer, _| {
        peer.head();
        let _ = sender.lock().unwrap().send(peer.rest());
    });
    let mut client = proxy.client();
    client.send(
        proxy.request(&format!("POST {}", server.url("/")), "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\nzz\r\n",
    );
    assert_eq!(client.reply().status, 400);
    let rest = seen.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", rest.escape_ascii());
    assert_eq!(origin.accepted(), 0);
}

fn what_stands_around_chunks_has_the_bounds_and_statuses_of_the_tunnel(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::start(|mut peer, _| {
        while peer.request().is_some() {
            peer.send(OK);
        }
    });
    let line = format!("POST {}", origin.url("/"));
    let extension = |bytes: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(bytes - 1));
    let trailer = |bytes: usize| format!("1\r\nx\r\n0\r\na:{}\r\n\r\n", "b".repeat(bytes - 4));
    for (content, status) in [
        (extension(DEFAULT_CHUNK_EXTENSION_BYTES), 200),
        (extension(DEFAULT_CHUNK_EXTENSION_BYTES + 1), 413),
        (trailer(DEFAULT_TRAILER_BYTES), 200),
        (trailer(DEFAULT_TRAILER_BYTES + 1), 431),
        ("1;\r\nx\r\n0\r\n\r\n".to_owned(), 400),
    ] {
        let mut client = proxy.client();
        client.send(proxy.request(&line, "Transfer-Encoding: chunked\r\n") + &content);
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (status, status != 200), "{} bytes", content.len());
    }
}

fn a_connection_that_was_closed_while_it_waited_costs_nobody_a_request(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    // Each connection answers once, and closes when the second request comes.
    let origin = Origin::start(|mut peer, _| {
        peer.request();
        peer.send(OK);
        peer.request();
    });
    let mut client = proxy.client();
    for round in 0..4 {
        client.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
        assert_eq!(client.reply().body, "ok", "{round}");
    }
    assert_eq!(origin.accepted(), 4);
    // What may not be done twice is not.
    client.send(proxy.request(&format!("POST {}", origin.url("/")), "Content-Length: 1\r\n") + "x");
    assert_eq!(client.reply().field("proxy-status"), Some("fasttunnel; error=connection_terminated"));
}

fn a_request_whose_answer_has_begun_is_not_sent_again(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    for begun in ["H", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let origin = Origin::start(move |mut peer, _| {
            peer.request();
            peer.send(OK);
            peer.request();
            peer.send(begun);
        });
        let mut client = proxy.client();
        client.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
        assert_eq!(client.reply().body, "ok");
        client.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
        let mut reply = client.reply();
        if reply.status == 103 {
            reply = client.reply();
        }
        let told = (reply.status, reply.field("proxy-status"));
        assert_eq!(told, (502, Some("fasttunnel; error=connection_terminated")), "{begun}");
        assert_eq!(origin.accepted(), 1, "{begun}");
    }
}

fn a_request_that_may_go_no_further_is_answered_here_and_shown_without_its_secrets(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::answering(OK);
    let mut client = proxy.client();
    let lines = "X-A: 1\r\nCookie: secret=1\r\nAuthorization: Basic c2VjcmV0\r\nMax-Forwards: 0\r\n";
    client.send(proxy.request(&format!("TRACE {}", origin.url("/x")), lines));
    let reply = client.reply();
    assert_eq!((reply.status, reply.field("content-type")), (200, Some("message/http")));
    let seen = format!("TRACE {} HTTP/1.1\r\nHost: whatever\r\nX-A: 1\r\nMax-Forwards: 0\r\n\r\n", origin.url("/x"));
    assert_eq!(reply.body, seen);
    client.send(proxy.request(&format!("OPTIONS {}", origin.url("/x")), "Max-Forwards: 0\r\n"));
    let reply = client.reply();
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert_eq!(origin.accepted(), 0);
    // One more is one further.
    client.send(proxy.request(&format!("OPTIONS {}", origin.url("/x")), "Max-Forwards: 1\r\n"));
    assert_eq!((client.reply().body.as_str(), origin.accepted()), ("ok", 1));
}

fn a_tunnel_carries_bytes_both_ways_and_ends_each_way_by_itself(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::start(|mut peer, _| {
        peer.send("hello ");
        let came = peer.rest();
        peer.send(&came);
    });
    let mut client = proxy.client();
    // What follows the head is the other end's.
    let content = support::pattern(1_000_000);
    client.send(proxy.request(&format!("CONNECT {}", origin.address), "") + "early ");
    let head = client.head();
    assert_eq!((head.status, head.field("content-length"), head.field("transfer-encoding")), (200, None, None));
    assert_eq!(client.take(6), b"hello ");
    client.send(&content);
    // The end of one direction, and the other goes on.
    client.finish_sending();
    let came = client.until_end().0;
    assert!(came[..6] == *b"early " && came[6..] == content);
    let traffic = proxy.server.engine().proxy().unwrap().contexts.all()[0].traffic.read();
    assert_eq!((traffic[0], traffic[2], traffic[3]), (1, 1_000_006, 1_000_012));
    eventually("nothing is open", || proxy.server.sum(|shard| shard.connections) == 0);
}

fn another_protocol_begins_when_the_server_says_so(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::start(|mut peer, number| {
        let head = peer.head().unwrap();
        assert!(head.contains("\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"), "{head}");
        if number == 0 {
            peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: abc\r\n\r\nfirst");
            let came = peer.take(5);
            peer.send(came);
        } else {
            peer.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    let request = proxy.request(&format!("GET {}", origin.url("/ws")), "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    let mut client = proxy.client();
    client.send(&request);
    let head = client.head();
    assert_eq!(
        (head.status, head.field("sec-websocket-accept"), head.field("upgrade")),
        (101, Some("abc"), Some("websocket"))
    );
    assert_eq!(client.take(5), b"first");
    client.send("frame");
    assert_eq!(client.take(5), b"frame");
    client.expect_end();
    let mut client = proxy.client();
    client.send(&request);
    let reply = client.reply();
    assert_eq!((reply.status, reply.body.as_str()), (403, "no"));
}

fn what_cannot_be_reached_is_told_by_its_cause(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut client = proxy.client();
    for (line, status, error) in [
        (format!("GET http://{closed}/"), 502, "connection_refused"),
        (format!("CONNECT {closed}"), 502, "connection_refused"),
        ("GET http://no-such-host.invalid/".to_owned(), 502, "dns_error"),
        ("GET http://127.0.0.1:22/".to_owned(), 403, "http_request_denied"),
        ("CONNECT 127.0.0.1:25".to_owned(), 403, "http_request_denied"),
        (format!("GET http://{}/", proxy.server.address()), 508, "proxy_loop_detected"),
        (format!("CONNECT localhost:{}", proxy.server.address().port()), 508, "proxy_loop_detected"),
    ] {
        client.send(proxy.request(&line, ""));
        let reply = client.reply();
        let told = (reply.status, reply.field("proxy-status"));
        assert_eq!(told, (status, Some(format!("fasttunnel; error={error}").as_str())), "{line}");
    }
    // A name is looked up, and its addresses are tried one after the other.
    let origin = Origin::answering(OK);
    client.send(proxy.request(&format!("GET http://localhost:{}/", origin.address.port()), ""));
    assert_eq!(client.reply().body, "ok");
}

fn addresses_around_here_are_out_of_reach_unless_they_are_allowed(driver: DriverChoice) {
    let origin = Origin::answering(OK);
    let strict = Proxy::with(driver, None, |settings| settings.policy.loopback = false);
    let mut client = strict.client();
    let port = origin.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "[64:ff9b::7f00:1]",
    ] {
        for line in [format!("GET http://{host}:{port}/"), format!("CONNECT {host}:{port}")] {
            client.send(strict.request(&line, ""));
            let reply = client.reply();
            assert_eq!(
                (reply.status, reply.field("proxy-status")),
                (403, Some("fasttunnel; error=destination_ip_prohibited")),
                "{line}"
            );
        }
    }
    assert_eq!(origin.accepted(), 0);
}

fn a_released_context_ends_with_all_that_is_under_way(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let origin = Origin::start(|mut peer, _| {
        peer.request();
        peer.rest();
    });
    let idle = Origin::answering(OK);
    let (mut asking, mut tunnel, mut other) = (proxy.client(), proxy.client(), proxy.client());
    let names = proxy.server.engine().create_context(8, None).unwrap().unwrap();
    asking.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
    tunnel.send(proxy.request(&format!("CONNECT {}", origin.address), ""));
    assert_eq!(tunnel.head().status, 200);
    other.send(format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n{}\r\n", idle.address, credentials(&names)));
    assert_eq!(other.head().status, 200);
    eventually("both are there", || origin.accepted() == 2);
    proxy.server.engine().release_context("nobody");
    proxy.server.engine().release_context(&proxy.names.id);
    assert!(asking.until_end().0.is_empty() && tunnel.until_end().0.is_empty());
    assert_eq!(proxy.get(&idle.url("/")).status, 407, "its credentials are nobody's");
    other.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(other.reply().body, "ok", "another context goes on");
}

fn a_stop_waits_for_answers_and_not_for_tunnels(driver: DriverChoice) {
    let mut proxy = Proxy::start(driver);
    let origin = Origin::start(|mut peer, _| {
        peer.request();
        std::thread::sleep(ms(300));
        peer.send(OK);
    });
    let silent = Origin::start(|mut peer, _| drop(peer.rest()));
    let (mut asking, mut tunnel, mut idle) = (proxy.client(), proxy.client(), proxy.client());
    idle.send("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n");
    idle.reply();
    tunnel.send(proxy.request(&format!("CONNECT {}", silent.address), ""));
    assert_eq!(tunnel.head().status, 200);
    asking.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
    eventually("it is asked", || origin.accepted() == 1);
    let start = Instant::now();
    proxy.server.engine().stop(ms(1000));
    idle.expect_end();
    let reply = asking.reply();
    assert_eq!((reply.body.as_str(), reply.closes()), ("ok", true));
    assert!(tunnel.until_end().0.is_empty());
    assert!(start.elapsed() >= ms(900), "{:?}", start.elapsed());
    proxy.server.join();
}

fn servers_that_do_not_answer_in_time_are_given_up(driver: DriverChoice) {
    let proxy = Proxy::with(driver, None, |settings| {
        settings.limits.answer_timeout_ms = 300;
        settings.limits.content_timeout_ms = 300;
        settings.limits.tunnel_timeout_ms = 300;
        settings.limits.send_timeout_ms = 300;
    });
    let silent = Origin::start(|mut peer, _| drop((peer.head(), std::thread::sleep(Duration::from_secs(3)))));
    let start = Instant::now();
    let reply = proxy.get(&silent.url("/"));
    assert_eq!((reply.status, reply.field("proxy-status")), (504, Some("fasttunnel; error=http_response_timeout")));
    assert!((ms(300)..ms(1500)).contains(&start.elapsed()), "{:?}", start.elapsed());
    // It does not read: what it does not take does not fill the memory here.
    let mut client = proxy.client();
    client.send(proxy.request(&format!("POST {}", silent.url("/")), "Content-Length: 100000000\r\n"));
    client.send(vec![b'x'; 30_000_000]);
    let reply = client.reply();
    assert_eq!((reply.status, reply.field("proxy-status")), (504, Some("fasttunnel; error=connection_write_timeout")));
    let stalled = Origin::start(|mut peer, _| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        std::thread::sleep(Duration::from_secs(3));
    });
    let mut client = proxy.client();
    client.send(proxy.request(&format!("GET {}", stalled.url("/")), ""));
    client.head();
    assert_eq!(client.until_end().0, b"hello");
    let mut tunnel = proxy.client();
    tunnel.send(proxy.request(&format!("CONNECT {}", silent.address), ""));
    tunnel.head();
    assert!(tunnel.until_end().0.is_empty());
}

fn a_client_that_leaves_ends_its_request(driver: DriverChoice) {
    let proxy = Proxy::start(driver);
    let (sender, left) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let origin = Origin::start(move |mut peer, _| {
        peer.head();
        peer.rest();
        let _ = sender.lock().unwrap().send(());
    });
    for half in [false, true] {
        let mut client = proxy.client();
        let lines = if half { "Content-Length: 10\r\n" } else { "" };
        client.send(proxy.request(&format!("POST {}", origin.url("/")), lines) + if half { "hello" } else { "" });
        eventually("it is asked", || origin.accepted() == 1 + usize::from(half));
        client.reset();
        assert!(left.recv_timeout(Duration::from_secs(5)).is_ok(), "half: {half}");
    }
    eventually("nothing is open", || proxy.server.sum(|shard| shard.connections) == 0);
    let traffic = proxy.server.engine().proxy().unwrap().contexts.all()[0].traffic.read();
    assert_eq!(traffic[1], 0, "nothing is under way");
}

fn a_server_of_whom_no_connection_may_be_made_is_told_so(driver: DriverChoice) {
    let proxy = Proxy::with(driver, None, |settings| settings.limits.max_upstreams = 2);
    let origin = Origin::answering(OK);
    let silent = Origin::start(|mut peer, _| drop(peer.rest()));
    assert_eq!(proxy.get(&origin.url("/")).body, "ok");
    let mut tunnels: Vec<_> = (0..2)
        .map(|_| {
            // The one that waits makes room.
            let mut tunnel = proxy.client();
            tunnel.send(proxy.request(&format!("CONNECT {}", silent.address), ""));
            assert_eq!(tunnel.head().status, 200);
            tunnel
        })
        .collect();
    let reply = proxy.get(&origin.url("/"));
    assert_eq!((reply.status, reply.field("proxy-status")), (503, Some("fasttunnel; error=connection_limit_reached")));
    tunnels.clear();
    eventually("there is room", || proxy.get(&origin.url("/")).status == 200);
}
