//! Connecting to one of several addresses: the first, and others beside it when that takes long (RFC 8305).
//!
//! Each attempt is a task that waits for its socket to be writable. The first that is wins; the others are shut, so that they
//! end by themselves.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;

use monoio::net::TcpStream;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::limits::{CONNECT_STAGGER_MS, MAX_ADDRESSES};
use crate::proxy::fault::Fault;
use crate::shard::Shard;
use crate::shard::reactor::waiters::Waiter;
use crate::shard::upstream::line::Line;

/// The attempts for one server.
#[derive(Default)]
pub(in crate::shard) struct Race {
    won: RefCell<Option<OwnedFd>>,
    failed: Cell<Option<Errno>>,
    /// Sockets of attempts under way, by their numbers, to shut them.
    running: RefCell<Vec<(usize, OwnedFd)>>,
    begun: Cell<usize>,
    /// When the next address is tried beside those under way.
    next_ms: Cell<u64>,
    over: Cell<bool>,
    waiter: Waiter,
}

impl Line for Race {
    fn cut(&self) {
        self.over.set(true);
        for (_, socket) in self.running.borrow().iter() {
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
        self.waiter.wake();
    }

    fn look(&self) {
        self.waiter.wake();
    }
}

impl Race {
    fn end(&self, outcome: Result<OwnedFd, Errno>) {
        match outcome {
            Ok(socket) if !self.over.get() && self.won.borrow().is_none() => drop(self.won.replace(Some(socket))),
            Ok(_) => {}
            Err(error) => {
                self.failed.set(Some(error));
                // What has failed leaves its turn to the next, whichever others are under way.
                self.next_ms.set(0);
            }
        }
        self.waiter.wake();
    }
}

/// Addresses in the order in which they are tried: both families in turn, beginning with the first that was given.
pub(in crate::shard) fn in_turn(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut other) = (first.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), other.next()];
        if pair == [None, None] || ordered.len() >= MAX_ADDRESSES {
            ordered.truncate(MAX_ADDRESSES);
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

/// Connects to the first of these that can be; the socket is not registered with anybody. `begun` gets what can be told to give
/// up.
///
/// # Errors
/// That none of them can.
pub(in crate::shard) async fn connect(
    shard: &Rc<Shard>,
    addresses: &[SocketAddr],
    begun: impl FnOnce(Rc<Race>),
) -> Result<OwnedFd, Fault> {
    let race = Rc::<Race>::default();
    begun(race.clone());
    let mut rest = addresses.iter();
    let won = std::future::poll_fn(|cx| {
        race.waiter.remember(cx);
        loop {
            if let Some(socket) = race.won.take() {
                return Poll::Ready(Some(socket));
            }
            let now = shard.now_ms();
            let is_time = race.running.borrow().is_empty() || now >= race.next_ms.get();
            match rest.as_slice().first() {
                _ if race.over.get() => return Poll::Ready(None),
                Some(address) if is_time => {
                    rest.next();
                    race.next_ms.set(now + CONNECT_STAGGER_MS);
                    attempt(shard, *address, &race);
                }
                None if race.running.borrow().is_empty() => return Poll::Ready(None),
                _ => return Poll::Pending,
            }
        }
    })
    .await;
    race.cut();
    won.ok_or_else(|| race.failed.get().map_or(Fault::Unavailable, fault_of))
}

fn fault_of(error: Errno) -> Fault {
    match error {
        Errno::CONNREFUSED => Fault::Refused,
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT => Fault::Unroutable,
        Errno::TIMEDOUT => Fault::ConnectLate,
        _ => Fault::Unavailable,
    }
}

/// Begins one attempt.
fn attempt(shard: &Rc<Shard>, address: SocketAddr, race: &Rc<Race>) {
    match begin(address) {
        Ok((socket, true)) => race.end(Ok(socket)),
        Ok((socket, false)) => match socket.try_clone().and_then(|handle| Ok((handle, socket.try_clone()?))) {
            Ok((handle, registered)) => {
                let number = race.begun.get();
                race.begun.set(number + 1);
                race.running.borrow_mut().push((number, handle));
                let race = race.clone();
                shard.spawn(async move {
                    let outcome = finish(socket, registered).await;
                    race.running.borrow_mut().retain(|(other, _)| *other != number);
                    race.end(outcome);
                });
            }
            Err(error) => race.end(Err(errno(&error))),
        },
        Err(error) => race.end(Err(errno(&error))),
    }
}

/// A socket that connects, and whether it is connected already.
fn begin(address: SocketAddr) -> std::io::Result<(OwnedFd, bool)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => Ok((socket.into(), true)),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok((socket.into(), false)),
        Err(error) => Err(error),
    }
}

/// Waits until a socket has connected, or cannot.
async fn finish(socket: OwnedFd, registered: OwnedFd) -> Result<OwnedFd, Errno> {
    let stream = TcpStream::from_std(std::net::TcpStream::from(registered)).map_err(|error| errno(&error))?;
    loop {
        match stream.writable(false).await {
            // See `Signal::wait`.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(errno(&error)),
            Ok(()) => break,
        }
    }
    match rustix::net::sockopt::socket_error(&socket) {
        Ok(Ok(())) if rustix::net::getpeername(&socket).is_ok() => Ok(socket),
        Ok(Ok(())) => Err(Errno::NOTCONN),
        Ok(Err(error)) | Err(error) => Err(error),
    }
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_families_have_their_turn_and_the_first_stays_first() {
        let parse = |texts: &str| texts.split(' ').map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        for (given, expected) in [
            ("::1 ::2 1.1.1.1 2.2.2.2", "::1 1.1.1.1 ::2 2.2.2.2"),
            ("1.1.1.1 2.2.2.2 ::1", "1.1.1.1 ::1 2.2.2.2"),
            ("::1", "::1"),
            (
                "1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9",
                "1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8",
            ),
        ] {
            assert_eq!(in_turn(parse(given)), parse(expected), "{given}");
        }
        assert!(in_turn(Vec::new()).is_empty());
    }
}
