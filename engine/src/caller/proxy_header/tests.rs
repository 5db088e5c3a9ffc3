#![allow(clippy::unwrap_used)]
use super::*;

fn at(text: &str) -> Source {
    Source::At(text.parse().unwrap())
}

/// Reads a header that must be complete at its last byte, and partial at every byte before.
#[track_caller]
fn whole(header: &[u8]) -> Said {
    for end in 0..header.len() {
        assert_eq!(read(&header[..end]), Ok(Begin::Partial), "cut at {end} of {}", header.escape_ascii());
    }
    let Ok(Begin::Header(bytes, said)) = read(header) else { panic!("{}", header.escape_ascii()) };
    assert_eq!(bytes, header.len());
    let followed = [header, b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(read(&followed), Ok(Begin::Header(bytes, said)), "what follows is not the header's");
    said
}

/// Version 2, with this command, family and content.
fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, content].concat()
}

const INET: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb];

fn inet6() -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    [&address("2001:db8::9")[..], &address("2001:db8::1"), &[0x12, 0x67, 1, 0xbb]].concat()
}

/// The examples of section 2.1, and its longest lines.
#[test]
fn lines_of_version_1_are_read_as_the_specification_says() {
    for (line, source) in [
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", at("255.255.255.255:65535")),
        ("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", at("192.168.0.1:56324")),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 0 1\r\n", at("1.2.3.4:0")),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            at("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
        ("PROXY TCP6 2001:db8::9 ::1 4711 443\r\n", at("[2001:db8::9]:4711")),
        ("PROXY UNKNOWN\r\n", Source::Peer),
        (
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Source::Peer,
        ),
    ] {
        assert_eq!(whole(line.as_bytes()), Said { source, secure: false }, "{line}");
    }
}

#[test]
fn lines_that_are_not_as_the_specification_says_are_malformed() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 02\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
        "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n",
        "PROXY \u{e9}\r\n",
    ] {
        assert_eq!(read(line.as_bytes()), Err(Malformed), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(read(&endless.as_bytes()[..LONGEST_LINE - 1]), Ok(Begin::Partial));
    assert_eq!(read(&endless.as_bytes()[..LONGEST_LINE]), Err(Malformed));
}

#[test]
fn addresses_of_version_2_are_read_in_every_family() {
    let unix = [0; 216];
    for (command, family, content, source) in [
        (PROXY, 0x11, &INET[..], at("203.0.113.9:4711")),
        (PROXY, 0x12, &INET, at("203.0.113.9:4711")),
        (PROXY, 0x10, &INET, at("203.0.113.9:4711")),
        (PROXY, 0x21, &inet6(), at("[2001:db8::9]:4711")),
        (PROXY, 0x31, &unix, Source::Unix),
        (PROXY, 0x00, &[], Source::Peer),
        (PROXY, 0x00, b"whatever", Source::Peer),
        (LOCAL, 0x00, &[], Source::Peer),
        (LOCAL, 0x11, &INET, Source::Peer),
        (LOCAL, 0x11, &[], Source::Peer),
        (LOCAL, 0xff, b"whatever", Source::Peer),
    ] {
        assert_eq!(
            whole(&binary(command, family, content)),
            Said { source, secure: false },
            "{command:#x} {family:#x}"
        );
    }
    let mapped = [&"::ffff:1.2.3.4".parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 16], &[0, 1, 0, 2]].concat();
    assert_eq!(whole(&binary(PROXY, 0x21, &mapped)).source, at("1.2.3.4:1"));
}

#[test]
fn headers_of_version_2_that_are_not_as_the_specification_says_are_malformed() {
    for (command, family, content) in [
        (0x11, 0x11, &INET[..]),
        (0x22, 0x11, &INET),
        (0x2f, 0x11, &INET),
        (PROXY, 0x13, &INET),
        (PROXY, 0x41, &INET),
        (PROXY, 0xf1, &INET),
        (PROXY, 0x11, &INET[..11]),
        (PROXY, 0x21, &INET),
        (PROXY, 0x31, &INET),
        (PROXY, 0x11, &[&INET[..], &[4, 0]].concat()),
        (PROXY, 0x11, &[&INET[..], &[4, 0, 1]].concat()),
        (PROXY, 0x11, &[&INET[..], &[SSL, 0, 1, 1]].concat()),
        (PROXY, 0x11, &[&INET[..], &[CRC32C, 0, 3, 1, 2, 3]].concat()),
    ] {
        assert_eq!(read(&binary(command, family, content)), Err(Malformed), "{command:#x} {family:#x} {content:x?}");
    }
    // As early as that is certain.
    assert_eq!(read(&[SIGNATURE, &[0x11]].concat()), Err(Malformed));
    let long = PROXY_HEADER_BYTES - FIXED;
    let fill = |bytes: usize| [&INET[..], &[4], &((bytes - 15) as u16).to_be_bytes(), &vec![0; bytes - 15]].concat();
    assert_eq!(whole(&binary(PROXY, 0x11, &fill(long))).source, at("203.0.113.9:4711"));
    let longer = binary(PROXY, 0x11, &fill(long + 1));
    assert_eq!(read(&longer[..FIXED]), Err(Malformed), "before it is waited for");
}

#[test]
fn fields_say_whether_the_client_speaks_tls_and_that_nothing_was_damaged() {
    // NOOP, ALPN, AUTHORITY, UNIQUE_ID and one that nobody knows.
    let others: Vec<u8> = [(4u8, &b"xx"[..]), (1, b"h2"), (2, b"a.example"), (5, b"id"), (0xee, b"")]
        .iter()
        .flat_map(|(kind, value)| [&[*kind, 0, value.len() as u8], *value].concat())
        .collect();
    let ssl = |client: u8| [&[SSL, 0, 13, client, 0, 0, 0, 0][..], &[0x21, 0, 5], b"TLSv1"].concat();
    for (fields, secure) in
        [(others.clone(), false), ([others, ssl(1)].concat(), true), (ssl(7), true), (ssl(0), false)]
    {
        let header = binary(PROXY, 0x11, &[&INET[..], &fields].concat());
        assert_eq!(whole(&header), Said { source: at("203.0.113.9:4711"), secure });
        // With a checksum in front of them.
        let mut header = binary(PROXY, 0x11, &[&INET[..], &[CRC32C, 0, 4, 0, 0, 0, 0], &fields].concat());
        let own = FIXED + 12 + 3..FIXED + 12 + 7;
        let sum = crc32c(&header, own.clone()).to_be_bytes();
        header[own.clone()].copy_from_slice(&sum);
        assert_eq!(whole(&header), Said { source: at("203.0.113.9:4711"), secure });
        for damaged in (FIXED..header.len()).filter(|at| !(own.start - 2..own.start).contains(at)) {
            header[damaged] ^= 0x80;
            let seen = read(&header);
            // A type that has become another is a field that nobody knows: the checksum is not one any more.
            assert!(seen == Err(Malformed) || damaged == own.start - 3, "{damaged}: {seen:?}");
            header[damaged] ^= 0x80;
        }
    }
    // RFC 3720 B.4.
    assert_eq!(crc32c(&[0; 32], 0..0), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32], 0..0), 0x62a8_ab43);
    assert_eq!(crc32c(&[0xff; 32], 0..32), 0x8a91_36aa, "its own bytes count as zero");
}

#[test]
fn requests_and_handshakes_are_no_headers_as_soon_as_that_is_certain() {
    for (text, certain) in [
        (&b"GET / HTTP/1.1\r\n"[..], 1),
        (b"POST / HTTP/1.1\r\n", 2),
        (b"PROPFIND / HTTP/1.1\r\n", 4),
        (b"PROXYING / HTTP/1.1\r\n", 6),
        (b"PRI * HTTP/2.0\r\n", 3),
        (b"\r\nGET / HTTP/1.1\r\n", 3),
        (b"\r\n\r\n\r\nGET", 5),
        (b"\x16\x03\x01", 1),
    ] {
        for end in 0..text.len() {
            let expected = if end < certain { Begin::Partial } else { Begin::Other };
            assert_eq!(read(&text[..end]), Ok(expected), "{}", text[..end].escape_ascii());
        }
    }
}
