#![allow(clippy::unwrap_used)]
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::*;
use crate::tls::{Identity, MinVersion, Tls, TlsParts};

/// A client that has shaken hands with a session.
fn connected() -> (ClientConnection, Session) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=x"])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "-",
        ])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let identity = Identity { chain: &made.stdout, key: &made.stdout, names: &[] };
    let tls = Tls::new(TlsParts { identities: &[identity], least: MinVersion::Tls12, clients: None }).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&made.stdout).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut session = Session::new(ServerConnection::new(tls.config(false)).unwrap().into());
    while session.is_handshaking() {
        give(&sent(&mut client), &mut session).unwrap();
        session.shake_hands().unwrap();
        let mut answer = Vec::new();
        session.flush_into(&mut answer).unwrap();
        hear(&mut client, &answer);
    }
    (client, session)
}

/// What the client sends.
fn sent(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn hear(client: &mut ClientConnection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        client.process_new_packets().unwrap();
    }
}

/// The records of `content`.
fn records(client: &mut ClientConnection, content: &[u8]) -> Vec<u8> {
    client.writer().write_all(content).unwrap();
    sent(client)
}

fn give(bytes: &[u8], session: &mut Session) -> io::Result<()> {
    let mut buffer = session.buffer(bytes.len());
    buffer.extend_from_slice(bytes);
    session.took(buffer)
}

#[test]
fn content_comes_as_it_was_sent_however_records_and_reads_are_cut() {
    let (mut client, mut session) = connected();
    let content: Vec<u8> = (0..40_000_u32).map(|at| at as u8).collect();
    for (piece, room) in [(1, 1000), (700, 64), (5_000, 5_000), (18_000, 512)] {
        let bytes = records(&mut client, &content);
        let mut come = Vec::new();
        for piece in bytes.chunks(piece) {
            give(piece, &mut session).unwrap();
            loop {
                let mut part = Vec::with_capacity(room);
                match session.take(&mut part).unwrap() {
                    Some(taken) => assert!(taken > 0 && taken == part.len() && taken <= part.capacity()),
                    None => break,
                }
                come.append(&mut part);
            }
        }
        assert!(come == content, "{piece} {room}");
        assert_eq!(session.held_bytes(), 0);
    }
    let mut sealed = Vec::new();
    let taken = session.seal(&content[..30_000], &mut sealed).unwrap();
    assert_eq!(taken, 30_000);
    hear(&mut client, &sealed[..100]);
    let (mut got, rest) = (vec![0; taken], &sealed[100..]);
    // A client takes 16 KiB at a time.
    let mut at = 0;
    for piece in rest.chunks(4096) {
        hear(&mut client, piece);
        while let Ok(bytes) = client.reader().read(&mut got[at..]) {
            at += bytes;
            if bytes == 0 {
                break;
            }
        }
    }
    assert!(at == taken && got == content[..taken]);
}

#[test]
fn the_end_is_one_where_the_client_has_said_so_and_an_error_elsewhere() {
    for (says_so, expected) in [(true, Ok(Some(0))), (false, Err(ErrorKind::UnexpectedEof))] {
        let (mut client, mut session) = connected();
        let mut bytes = records(&mut client, b"all");
        if says_so {
            client.send_close_notify();
            bytes.extend(sent(&mut client));
            // What follows belongs to nobody.
            bytes.extend_from_slice(b"nothing of TLS");
        }
        give(&bytes, &mut session).unwrap();
        let mut room = Vec::with_capacity(100);
        assert_eq!(session.take(&mut room).unwrap(), Some(3));
        session.end_of_input().unwrap();
        assert_eq!(session.take(&mut room).map_err(|error| error.kind()), expected);
    }
}

#[test]
fn a_record_that_was_changed_is_an_error_and_is_answered_by_an_alert() {
    let (mut client, mut session) = connected();
    let mut bytes = records(&mut client, b"whole");
    *bytes.last_mut().unwrap() ^= 1;
    give(&bytes, &mut session).unwrap();
    let error = session.take(&mut Vec::with_capacity(9)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let mut said = Vec::new();
    session.say(|bytes| {
        said.extend_from_slice(bytes);
        bytes.len()
    });
    assert!(!said.is_empty());
    let outcome = client.read_tls(&mut &said[..]).map(|_| client.process_new_packets());
    assert!(matches!(outcome, Ok(Err(rustls::Error::AlertReceived(_)))), "{outcome:?}");
}

#[test]
fn records_without_content_are_borne_for_a_while() {
    let (mut client, mut session) = connected();
    let mut bear = |client: &mut ClientConnection| {
        client.refresh_traffic_keys().unwrap();
        let bytes = sent(client);
        give(&bytes, &mut session).and_then(|()| session.take(&mut Vec::with_capacity(9)))
    };
    for _ in 0..TLS_BARREN_READS {
        assert_eq!(bear(&mut client).unwrap(), None);
    }
    assert_eq!(bear(&mut client).unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn what_the_session_says_waits_for_the_records_of_the_writer_and_for_room() {
    let (mut client, mut session) = connected();
    session.tls.send_close_notify();
    session.begin_writing();
    session.say(|_| panic!("in the middle of a record"));
    session.end_writing(&mut Vec::new());
    let mut first = Vec::new();
    session.say(|bytes| {
        first.extend_from_slice(&bytes[..4]);
        4
    });
    let mut rest = Vec::new();
    session.flush_into(&mut rest).unwrap();
    hear(&mut client, &[first, rest].concat());
    assert_eq!(client.reader().read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn last_words_go_behind_the_records_that_are_being_sent_and_are_waited_for_until_they_have_left() {
    for leaves in [true, false] {
        let (mut client, mut session) = connected();
        let mut sealed = Vec::new();
        session.seal(b"answer", &mut sealed).unwrap();
        session.begin_writing();
        let mut broken = records(&mut client, b"whole");
        *broken.last_mut().unwrap() ^= 1;
        give(&broken, &mut session).unwrap();
        session.take(&mut Vec::with_capacity(9)).unwrap_err();
        let waits = |session: &mut Session| session.poll_last_words(&Context::from_waker(Waker::noop())).is_pending();
        assert!(waits(&mut session));
        hear(&mut client, &std::mem::take(&mut sealed));
        if leaves {
            session.end_writing(&mut sealed);
            assert!(!sealed.is_empty() && waits(&mut session));
            session.begin_writing();
            let outcome = client.read_tls(&mut &sealed[..]).map(|_| client.process_new_packets());
            assert!(matches!(outcome, Ok(Err(rustls::Error::AlertReceived(_)))), "{outcome:?}");
            session.end_writing(&mut Vec::new());
        } else {
            // Nobody takes them: the connection was cut.
            session.stop_writing();
        }
        assert!(!waits(&mut session));
        let mut answer = [0; 6];
        client.reader().read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
    }
}

#[test]
fn memory_of_what_was_taken_is_given_back_at_rest_and_of_nothing_else() {
    let (mut client, mut session) = connected();
    let bytes = records(&mut client, &[7; 60_000]);
    give(&bytes, &mut session).unwrap();
    session.rest();
    let mut come = Vec::with_capacity(60_000);
    while session.take(&mut come).unwrap().is_some() {}
    assert!(come == [7; 60_000] && session.came.capacity() >= bytes.len());
    session.rest();
    assert_eq!((session.came.capacity(), session.held_bytes()), (0, 0));
}
