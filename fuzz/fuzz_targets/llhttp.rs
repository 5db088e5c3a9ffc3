//! What we read as a message, llhttp (node:http) reads as the same message: no request can be smuggled past one of
//! them. The other way round we are stricter on purpose.
#![no_main]

use std::cell::RefCell;

use fasttunnel_engine::wire::framing::Framing;
use fasttunnel_fuzz::connection::{End, Message, read};
use fasttunnel_fuzz::llhttp::{self, Oracle};

thread_local!(static ORACLE: RefCell<Oracle> = RefCell::new(Oracle::start()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let ours = read([data]);
    if ours.messages.is_empty() {
        return;
    }
    let theirs = ORACLE.with_borrow_mut(|oracle| oracle.read(data));
    for (at, our) in ours.messages.iter().enumerate() {
        let Some(their) = theirs.messages.get(at) else {
            let error = theirs.error.as_deref();
            // To it the connection has ended: by a Proxy-Connection, or by a Connection in a trailer, which we drop.
            let may_have_ended = |our: &Message| is_proxied(our) || our.framing == Framing::Chunked;
            let ended = error == Some("HPE_CLOSED_CONNECTION") && ours.messages[..at].iter().any(may_have_ended);
            assert!(
                ended || may_refuse(our, &data[..our.end], error),
                "only we read message {at}: {our:?}\n{theirs:?}"
            );
            return;
        };
        assert_same(our, their);
    }
    // What we wait for, llhttp waits for: it does not take a part of a message for the whole.
    if let End::Waits = ours.end {
        assert!(theirs.messages.len() <= ours.messages.len(), "only llhttp has read all of it: {theirs:?}");
    }
});

/// What llhttp refuses though RFC 9112 allows it. Anything else that it refuses and we do not is to be looked at.
fn may_refuse(our: &Message, bytes: &[u8], error: Option<&str>) -> bool {
    let has = |byte: u8| bytes.contains(&byte);
    match error {
        // It knows a list of methods.
        Some("HPE_INVALID_METHOD") => !matches!(&our.method[..], b"GET" | b"POST" | b"OPTIONS" | b"HEAD" | b"PUT"),
        // Blanks around the semicolon of a chunk extension (RFC 9112 7.1.1: BWS, to be read by a recipient).
        Some("HPE_INVALID_CHUNK_SIZE" | "HPE_STRICT") => has(b' ') || has(b'\t'),
        // A tab around a length or a coding (RFC 9110 5.5: OWS), or a trailer of that name: we drop trailers.
        Some("HPE_INVALID_CONTENT_LENGTH" | "HPE_INVALID_TRANSFER_ENCODING" | "HPE_UNEXPECTED_CONTENT_LENGTH") => {
            has(b'\t') || our.framing == Framing::Chunked
        }
        _ => false,
    }
}

fn assert_same(our: &Message, their: &llhttp::Message) {
    let latin1 = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let fields: Vec<_> = our.fields.iter().map(|(name, value)| (latin1(name), latin1(value))).collect();
    assert_eq!(latin1(&our.method), their.method);
    assert_eq!(latin1(&our.target), their.target, "{our:?}");
    assert_eq!(fields, their.fields, "{our:?}");
    assert_eq!(latin1(&our.body), their.body, "{our:?}");
    // Closing earlier than llhttp is safe: it forgets a `close` when a `keep-alive` follows.
    assert!(!our.keep_alive || their.keep_alive || is_proxied(our), "{our:?}");
}

/// It takes the unspecified Proxy-Connection for Connection.
fn is_proxied(our: &Message) -> bool {
    our.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"proxy-connection"))
}
