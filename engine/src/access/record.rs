//! One request as the shard hands it over: a few numbers, and texts behind one another.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::limits::MAX_LOG_TEXT_BYTES;

/// The texts of a record, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Of the request.
    Method,
    /// The target's path as received, without the query, which may hold a secret.
    Path,
    /// What the client calls itself.
    Agent,
    /// Without its query, for the same reason.
    Referer,
    /// In the field `traceparent`.
    TraceId,
    /// The effective request id.
    RequestId,
}

const TEXTS: usize = 6;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When the head was complete, on the monotonic clock.
    pub began_ns: u64,
    /// When the answer was given.
    pub ended_ns: u64,
    /// The other end of the connection; none for a socket without addresses.
    pub remote: Option<SocketAddr>,
    /// 10, 11 or 20; 0 where the head could not be read.
    pub version: u8,
    /// Of the answer.
    pub status: u16,
    /// Bytes of the answer's content.
    pub bytes: u64,
    /// The client has not got the whole answer.
    pub aborted: bool,
    pub(crate) texts: Vec<u8>,
    pub(crate) ends: [u16; TEXTS],
}

impl Record {
    /// The same memory for another request.
    pub fn clear(&mut self) {
        let mut texts = std::mem::take(&mut self.texts);
        texts.clear();
        *self = Record { texts, ..Record::default() };
    }

    /// Sets a text. They are set in their order; one that is left out is empty. What is too long is cut.
    pub fn set(&mut self, text: Text, bytes: &[u8]) {
        let bytes = bytes.get(..MAX_LOG_TEXT_BYTES).unwrap_or(bytes);
        self.texts.extend_from_slice(bytes);
        self.ends[text as usize..].fill(self.texts.len() as u16);
    }

    /// A text; empty where there is none.
    #[must_use]
    pub fn text(&self, text: Text) -> &[u8] {
        let index = text as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.texts.get(usize::from(start)..usize::from(self.ends[index])).unwrap_or_default()
    }

    /// Appends it to others.
    pub fn put(&self, out: &mut Vec<u8>) {
        for number in [self.began_ns, self.ended_ns, self.bytes] {
            out.extend_from_slice(&number.to_ne_bytes());
        }
        let (kind, ip, port) = match self.remote {
            None => (0, Ipv6Addr::UNSPECIFIED, 0),
            Some(SocketAddr::V4(address)) => (4, address.ip().to_ipv6_mapped(), address.port()),
            Some(SocketAddr::V6(address)) => (6, *address.ip(), address.port()),
        };
        out.extend_from_slice(&ip.octets());
        for number in [port, self.status].iter().chain(&self.ends) {
            out.extend_from_slice(&number.to_ne_bytes());
        }
        out.extend_from_slice(&[kind, self.version, u8::from(self.aborted)]);
        out.extend_from_slice(&self.texts);
    }

    /// Reads the record that `bytes` begin with into this one; what is behind it.
    pub fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = bytes;
        self.clear();
        self.began_ns = u64::from_ne_bytes(array(&mut rest)?);
        self.ended_ns = u64::from_ne_bytes(array(&mut rest)?);
        self.bytes = u64::from_ne_bytes(array(&mut rest)?);
        let ip = Ipv6Addr::from(array::<16>(&mut rest)?);
        let port = u16::from_ne_bytes(array(&mut rest)?);
        self.status = u16::from_ne_bytes(array(&mut rest)?);
        for end in &mut self.ends {
            *end = u16::from_ne_bytes(array(&mut rest)?);
        }
        let [kind, version, aborted] = array(&mut rest)?;
        self.remote = match kind {
            4 => ip.to_ipv4_mapped().map(|ip| SocketAddr::new(IpAddr::V4(ip), port)),
            6 => Some(SocketAddr::new(IpAddr::V6(ip), port)),
            _ => None,
        };
        (self.version, self.aborted) = (version, aborted != 0);
        let (texts, rest) = rest.split_at_checked(usize::from(self.ends[TEXTS - 1]))?;
        self.texts.extend_from_slice(texts);
        Some(rest)
    }
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*array)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn record(remote: Option<SocketAddr>) -> Record {
        let mut record =
            Record { began_ns: 1, ended_ns: u64::MAX, remote, version: 11, status: 200, ..Record::default() };
        (record.bytes, record.aborted) = (7, true);
        record.set(Text::Method, b"POST");
        record.set(Text::Path, b"/a");
        record.set(Text::RequestId, b"id");
        record
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let remotes = [None, Some("1.2.3.4:5".parse().unwrap()), Some("[2001:db8::1]:65535".parse().unwrap())];
        let mut bytes = Vec::new();
        remotes.iter().for_each(|remote| record(*remote).put(&mut bytes));
        let (mut rest, mut taken) = (&bytes[..], Record::default());
        for remote in remotes {
            rest = taken.take(rest).unwrap();
            assert_eq!(taken, record(remote));
        }
        assert!(rest.is_empty());
        assert_eq!(
            (taken.text(Text::Path), taken.text(Text::Agent), taken.text(Text::RequestId)),
            (&b"/a"[..], &b""[..], &b"id"[..])
        );
    }

    #[test]
    fn half_a_record_is_none_and_a_long_text_is_cut() {
        let mut long = record(None);
        long.set(Text::RequestId, &[b'a'; 2 * MAX_LOG_TEXT_BYTES]);
        let mut bytes = Vec::new();
        long.put(&mut bytes);
        let mut taken = Record::default();
        for length in 0..bytes.len() {
            assert!(taken.take(&bytes[..length]).is_none(), "{length}");
        }
        assert!(taken.take(&bytes).unwrap().is_empty());
        assert_eq!(taken.text(Text::RequestId).len(), MAX_LOG_TEXT_BYTES + 2);
    }
}
