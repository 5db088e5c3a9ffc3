//! The listening socket, and the one accept loop that feeds all shards.
//!
//! Shard 0 accepts and hands each connection to the shard with the fewest: with SO_REUSEPORT the kernel would spread
//! by hash, and few long-lived connections would pile up on one shard. Accepting is `accept4` after a readiness wait:
//! no accepted socket can be lost with a dropped operation, and descriptors are close-on-exec (monoio 0.2.4 does
//! neither through its own accept).

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Shard;
use crate::config::Listen;
use crate::limits::ACCEPT_BURST;

/// A bound, listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: ListenSocket,
    address: Listen,
}

#[derive(Debug)]
enum ListenSocket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf },
}

impl Listener {
    /// Binds and listens; a taken address is an error (monoio's own listener sets SO_REUSEPORT, which hides it).
    ///
    /// # Errors
    /// What `socket`, `bind` or `listen` said; `InvalidInput` for [`Listen::InProcess`], which is nowhere.
    pub fn bind(listen: &Listen, backlog: i32) -> io::Result<Self> {
        match listen {
            Listen::InProcess => Err(io::ErrorKind::InvalidInput.into()),
            Listen::Tcp(address) => {
                let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
                socket.set_reuse_address(true)?;
                // Inherited by accepted sockets on Linux: one call for all connections.
                socket.set_tcp_nodelay(true)?;
                socket.bind(&SockAddr::from(*address))?;
                socket.listen(backlog)?;
                socket.set_nonblocking(true)?;
                let listener = TcpListener::from(OwnedFd::from(socket));
                let address = Listen::Tcp(listener.local_addr()?);
                Ok(Listener { socket: ListenSocket::Tcp(listener), address })
            }
            Listen::Unix(path) => {
                remove_stale_socket(path)?;
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.bind(&SockAddr::unix(path)?)?;
                socket.listen(backlog)?;
                socket.set_nonblocking(true)?;
                let listener = UnixListener::from(OwnedFd::from(socket));
                Ok(Listener {
                    socket: ListenSocket::Unix { listener, path: path.clone() },
                    address: Listen::Unix(path.clone()),
                })
            }
        }
    }

    /// Where it listens; with the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> &Listen {
        &self.address
    }

    fn accept(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            ListenSocket::Tcp(listener) => listener.accept().map(|(stream, _): (_, SocketAddr)| stream.into()),
            ListenSocket::Unix { listener, .. } => listener.accept().map(|(stream, _)| stream.into()),
        }
    }

    /// Ends the listening at once, whoever else has the socket still open: a ring that is about to go, for example.
    pub(super) fn shut(self) {
        match &self.socket {
            ListenSocket::Tcp(listener) => shut(listener),
            ListenSocket::Unix { listener, .. } => shut(listener),
        }
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            ListenSocket::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            ListenSocket::Unix { listener, .. } => listener.as_fd().try_clone_to_owned(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let ListenSocket::Unix { path, .. } = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A socket file that nobody listens on is left over from a crash; anything else at that path is not ours to remove.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// Wakes an accept loop for good: the socket stops listening.
pub(super) fn shut(listener: impl AsFd) {
    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
}

/// Where a listener is while no accept loop has it: it outlives a shard that fails.
pub(super) type ListenerHome = Rc<Cell<Option<Listener>>>;

/// A listener that is registered with the driver of the current thread's runtime. Goes home when it is dropped.
pub(super) struct Acceptor {
    listener: Option<Listener>,
    home: ListenerHome,
    readiness: monoio::net::TcpStream,
    handle: Option<OwnedFd>,
}

impl Acceptor {
    /// Registers the listener at `home`, if there is one. Before the shard says that it is ready: an engine must not
    /// start deaf.
    pub fn new(home: &ListenerHome) -> io::Result<Option<Self>> {
        let Some(listener) = home.take() else { return Ok(None) };
        let registered = (|| {
            let (registered, handle) = (listener.descriptor()?, listener.descriptor()?);
            let readiness = monoio::net::TcpStream::from_std(std::net::TcpStream::from(registered))?;
            Ok((readiness, handle))
        })();
        match registered {
            Ok((readiness, handle)) => {
                Ok(Some(Acceptor { listener: Some(listener), home: home.clone(), readiness, handle: Some(handle) }))
            }
            Err(error) => {
                home.set(Some(listener));
                Err(error)
            }
        }
    }

    fn accept(&self) -> io::Result<OwnedFd> {
        self.listener.as_ref().map_or(Err(io::ErrorKind::NotConnected.into()), Listener::accept)
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.home.set(self.listener.take());
    }
}

/// Accepts until the shard stops.
pub(super) async fn accept_loop(shard: Rc<Shard>, mut acceptor: Acceptor) {
    shard.listener.replace(acceptor.handle.take());
    accept(&shard, &acceptor).await;
    if shard.winding_down.get() {
        return;
    }
    if shard.stopping() {
        // At once, not when the last call has been answered: the address is free for others.
        acceptor.listener = None;
    } else {
        shard.break_down();
    }
}

async fn accept(shard: &Rc<Shard>, acceptor: &Acceptor) {
    // Held back so that a connection can be taken and closed when no descriptor is left, instead of spinning on it.
    let mut reserve = reserve_descriptor();
    while !shard.stopping() {
        let mut readable = pin!(acceptor.readiness.readable(false));
        let ready = std::future::poll_fn(|cx| {
            if shard.winding_down.get() {
                return Poll::Ready(false);
            }
            shard.accept_waker.replace(Some(cx.waker().clone()));
            readable.as_mut().poll(cx).map(|ready| ready.is_ok())
        })
        .await;
        shard.touch();
        if !ready || shard.stopping() {
            return;
        }
        for _ in 0..ACCEPT_BURST {
            match acceptor.accept() {
                Ok(socket) => shard.place(socket),
                Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                    Some(Errno::AGAIN) => break,
                    Some(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                    Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                        drop(reserve.take());
                        if acceptor.accept().is_ok() {
                            shard.counters.turned_away.add(1);
                        }
                        reserve = reserve_descriptor();
                        // The surplus is closed at the pace of the timer, not in a busy loop.
                        shard.next_timer().await;
                        break;
                    }
                    _ if shard.stopping() => return,
                    // The socket is no longer what it was: nobody would ever be accepted.
                    Some(Errno::BADF | Errno::NOTSOCK | Errno::INVAL) => return,
                    _ => {
                        shard.next_timer().await;
                        break;
                    }
                },
            }
        }
        shard.next_tick().await;
    }
}

fn reserve_descriptor() -> Option<std::fs::File> {
    std::fs::File::open("/dev/null").ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_taken_port_is_an_error() {
        let any = Listen::Tcp("127.0.0.1:0".parse().unwrap());
        let first = Listener::bind(&any, 16).unwrap();
        let error = Listener::bind(first.address(), 16).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_removed_at_the_end() {
        let path = std::env::temp_dir().join(format!("fasttunnel-stale-{}.sock", std::process::id()));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file behind");
        let listen = Listen::Unix(path.clone());
        let listener = Listener::bind(&listen, 16).unwrap();
        assert!(Listener::bind(&listen, 16).is_err(), "somebody listens: not stale");
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn an_ordinary_file_is_left_alone() {
        let path = std::env::temp_dir().join(format!("fasttunnel-file-{}.txt", std::process::id()));
        std::fs::write(&path, b"mine").unwrap();
        assert!(Listener::bind(&Listen::Unix(path.clone()), 16).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::remove_file(&path).unwrap();
    }
}
