//! Properties of what the forward proxy reads and sends on, over generated requests: ordinary ones and noise.

use fasttunnel_engine::proxy::fuzz::{fuzz_request, fuzz_target};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[rustfmt::skip]
const LINES: &[&[u8]] = &[
    b"GET http://a.com/x?y HTTP/1.1\r\n", b"POST http://a.com HTTP/1.1\r\n", b"OPTIONS http://a.com?q HTTP/1.1\r\n",
    b"TRACE http://[::1]:1/ HTTP/1.1\r\n", b"CONNECT a.com:443 HTTP/1.1\r\n", b"GET https://127.0.0.1/ HTTP/1.0\r\n",
    b"X http://localhost:5173/%2e%2e//? HTTP/1.1\r\n", b"OPTIONS http://a.com HTTP/1.1\r\n",
];

#[rustfmt::skip]
const FIELDS: &[&[u8]] = &[
    b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: keep-alive, x-a, host\r\n",
    b"Connection: Upgrade\r\n", b"Upgrade: websocket\r\n", b"Proxy-Authorization: Basic x\r\n", b"X-A: b\r\n", b"Via: 1.1 a\r\n",
    b"Max-Forwards: 3\r\n", b"Max-Forwards: x\r\n", b"X-Cmux-Port-Internal: 1\r\n", b"TE: trailers\r\n", b"Keep-Alive: 5\r\n",
    b"Expect: 100-continue\r\n", b"Cookie: a\r\n", b"Proxy-Connection: x\r\n", b"Empty:\r\n", b"Via: 1.1 own\r\n",
];

const HOSTS: &[&str] = &[
    "localhost",
    "a.b.localhost.",
    "127.0.0.1",
    "127.1",
    "[::1]",
    "[::ffff:1.2.3.4]",
    "0x7f.1",
    "a_b.c",
    "EXAMPLE.com",
    "1.2.3.4.5",
    "-a",
    "",
];

proptest! {
    #[test]
    fn what_is_sent_on_is_one_request_without_anything_of_this_hop(line in select(LINES), fields in vec(select(FIELDS), 0..12)) {
        fuzz_request(&[line, b"Host: x\r\n", &fields.concat(), b"\r\n"].concat());
    }

    #[test]
    fn a_target_reads_the_same_again(host in select(HOSTS), port in proptest::option::of("[0-9a:]{0,6}"), noise in vec(any::<u8>(), 0..12)) {
        fuzz_target(format!("{host}{}", port.map_or_else(String::new, |port| format!(":{port}"))).as_bytes());
        fuzz_target(&noise);
    }
}
