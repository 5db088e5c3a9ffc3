//! The header of the PROXY protocol, versions 1 and 2: what a balancer says of its client before it passes on the first byte
//! (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::PROXY_HEADER_BYTES;

/// What a header of version 1 begins with.
const TEXT: &[u8] = b"PROXY ";
/// Bytes of the longest line of version 1, with its CRLF.
const LONGEST_LINE: usize = 107;
/// What a header of version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of what comes before the addresses in version 2.
const FIXED: usize = 16;

/// Where the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The balancer speaks for itself, or does not know: the peer of the connection counts.
    Peer,
    /// There.
    At(SocketAddr),
    /// It came to the balancer by a unix socket.
    Unix,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Where the client is.
    pub source: Source,
    /// It speaks TLS to the balancer.
    pub secure: bool,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Perhaps a header: more has to come.
    Partial,
    /// A header of so many bytes.
    Header(usize, Said),
    /// No header.
    Other,
}

/// It begins as a header does, and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads the first bytes of a connection.
///
/// # Errors
/// [`Malformed`].
pub fn read(bytes: &[u8]) -> Result<Begin, Malformed> {
    if bytes.starts_with(TEXT) {
        read_line(bytes)
    } else if bytes.starts_with(SIGNATURE) {
        read_binary(bytes)
    } else if TEXT.starts_with(bytes) || SIGNATURE.starts_with(bytes) {
        Ok(Begin::Partial)
    } else {
        Ok(Begin::Other)
    }
}

fn read_line(bytes: &[u8]) -> Result<Begin, Malformed> {
    let first = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = first.iter().position(|byte| *byte == b'\n') else {
        return if first.len() < LONGEST_LINE { Ok(Begin::Partial) } else { Err(Malformed) };
    };
    let line = first.get(TEXT.len()..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed)?;
    let line = core::str::from_utf8(line).map_err(|_| Malformed)?;
    let mut parts = line.split(' ');
    let source = match parts.next() {
        // What follows does not count.
        Some("UNKNOWN") => return Ok(Begin::Header(end + 1, Said { source: Source::Peer, secure: false })),
        Some("TCP4") => read_text::<Ipv4Addr>(parts)?,
        Some("TCP6") => read_text::<Ipv6Addr>(parts)?,
        _ => return Err(Malformed),
    };
    Ok(Begin::Header(end + 1, Said { source: Source::At(source), secure: false }))
}

/// Reads addresses and ports, of which the destination's are checked and not kept.
fn read_text<'a, A>(mut parts: impl Iterator<Item = &'a str>) -> Result<SocketAddr, Malformed>
where
    A: core::str::FromStr + Into<IpAddr>,
{
    let mut address = || parts.next().and_then(|text| text.parse::<A>().ok()).ok_or(Malformed);
    let (source, _) = (address()?, address()?);
    let mut port = || parts.next().and_then(read_port).ok_or(Malformed);
    let (source_port, _) = (port()?, port()?);
    match parts.next() {
        None => Ok(SocketAddr::new(source.into(), source_port)),
        Some(_) => Err(Malformed),
    }
}

/// Zeros in front are not permitted.
fn read_port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain)
}

/// What a balancer does with the connection.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

fn read_binary(bytes: &[u8]) -> Result<Begin, Malformed> {
    let Some((fixed, _)) = bytes.split_first_chunk::<FIXED>() else {
        let wrong = bytes.get(SIGNATURE.len()).is_some_and(|command| !matches!(*command, LOCAL | PROXY));
        return if wrong { Err(Malformed) } else { Ok(Begin::Partial) };
    };
    let [.., command, family, high, low] = *fixed;
    let end = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, LOCAL | PROXY) || end > PROXY_HEADER_BYTES {
        return Err(Malformed);
    }
    let Some(header) = bytes.get(..end) else { return Ok(Begin::Partial) };
    if command == LOCAL {
        // A check of the balancer's own: all that follows does not count, the family included (2.2).
        return Ok(Begin::Header(end, Said { source: Source::Peer, secure: false }));
    }
    let (source, fields) = read_addresses(family, header.get(FIXED..).unwrap_or_default())?;
    let secure = read_fields(header, fields)?;
    Ok(Begin::Header(end, Said { source, secure }))
}

/// Reads the addresses, and gives what follows.
fn read_addresses(family: u8, rest: &[u8]) -> Result<(Source, &[u8]), Malformed> {
    let port = |bytes: [u8; 2]| u16::from_be_bytes(bytes);
    if family & 0x0f > 2 {
        return Err(Malformed);
    }
    match family >> 4 {
        // Not specified: all of it are addresses of a kind that nobody knows, or fields.
        0 => Ok((Source::Peer, b"")),
        1 => {
            let (addresses, fields) = rest.split_first_chunk::<12>().ok_or(Malformed)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            Ok((Source::At(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port([high, low]))), fields))
        }
        2 => {
            let (addresses, fields) = rest.split_first_chunk::<36>().ok_or(Malformed)?;
            let (source, behind) = addresses.split_first_chunk::<16>().ok_or(Malformed)?;
            let [.., high, low, _, _] = behind else { return Err(Malformed) };
            let source = IpAddr::from(Ipv6Addr::from(*source)).to_canonical();
            Ok((Source::At(SocketAddr::new(source, port([*high, *low]))), fields))
        }
        3 => Ok((Source::Unix, rest.get(216..).ok_or(Malformed)?)),
        _ => Err(Malformed),
    }
}

/// Types of fields (`PP2_TYPE_…`).
const CRC32C: u8 = 0x03;
const SSL: u8 = 0x20;
/// The client speaks TLS (`PP2_CLIENT_SSL`).
const CLIENT_SSL: u8 = 0x01;

/// Reads the fields behind the addresses, and says whether the client speaks TLS.
fn read_fields(header: &[u8], mut fields: &[u8]) -> Result<bool, Malformed> {
    let mut secure = false;
    while !fields.is_empty() {
        let (fixed, rest) = fields.split_first_chunk::<3>().ok_or(Malformed)?;
        let [kind, high, low] = *fixed;
        let (value, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low]))).ok_or(Malformed)?;
        match kind {
            CRC32C => {
                let sum = u32::from_be_bytes(value.try_into().map_err(|_| Malformed)?);
                let at = header.len() - behind.len() - value.len();
                if crc32c(header, at..at + value.len()) != sum {
                    return Err(Malformed);
                }
            }
            // Whether, and whether the client's certificate was verified; then what is not asked for here.
            SSL => {
                let [client, _, _, _, _, ..] = value else { return Err(Malformed) };
                secure = client & CLIENT_SSL != 0;
            }
            _ => {}
        }
        fields = behind;
    }
    Ok(secure)
}

/// The checksum of a header (RFC 3309), whose own bytes count as zero. Bit by bit: it is once a connection, of few bytes.
fn crc32c(header: &[u8], own: core::ops::Range<usize>) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut sum = u32::MAX;
    for (at, byte) in header.iter().enumerate() {
        sum ^= if own.contains(&at) { 0 } else { u32::from(*byte) };
        for _ in 0..8 {
            sum = (sum >> 1) ^ (POLYNOMIAL & (sum & 1).wrapping_neg());
        }
    }
    !sum
}

#[cfg(test)]
mod tests;
