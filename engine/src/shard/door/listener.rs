//! Listening sockets. `accept` takes connections from them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::Listen;
use crate::inherited::{Bound, Inherited};
use crate::shard::door::watch::{Watch, shut};

/// A bound, listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: ListenSocket,
    address: Listen,
}

#[derive(Debug)]
enum ListenSocket {
    Tcp(TcpListener),
    // The file goes first: whoever comes then finds nobody, not somebody who refuses.
    Unix {
        _file: SocketFile,
        listener: UnixListener,
    },
    /// Others listen on it, too, or will: it is let go of, and never shut.
    Inherited(Socket),
}

impl Listener {
    /// Binds and listens; a taken address is an error (monoio's own listener sets SO_REUSEPORT, which hides it).
    ///
    /// # Errors
    /// What `socket`, `bind` or `listen` said; `InvalidInput` for [`Listen::InProcess`], which is nowhere.
    pub fn bind(listen: &Listen, backlog: i32) -> io::Result<Self> {
        match listen {
            Listen::InProcess => Err(io::ErrorKind::InvalidInput.into()),
            Listen::Inherited(inherited) => Self::inherit(inherited, backlog),
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
                let file = SocketFile::at(path);
                socket.listen(backlog)?;
                socket.set_nonblocking(true)?;
                let listener = UnixListener::from(OwnedFd::from(socket));
                Ok(Listener {
                    socket: ListenSocket::Unix { _file: file, listener },
                    address: Listen::Unix(path.clone()),
                })
            }
        }
    }

    /// Listens on what another process has bound. Where that listens already, its backlog stays what it is.
    fn inherit(inherited: &Inherited, backlog: i32) -> io::Result<Self> {
        let socket = Socket::from(inherited.as_fd().try_clone_to_owned()?);
        if !socket.is_listener()? {
            socket.listen(backlog)?;
        }
        socket.set_nonblocking(true)?;
        let address = match inherited.address() {
            Bound::Tcp(address) => {
                socket.set_tcp_nodelay(true)?;
                Listen::Tcp(*address)
            }
            Bound::Unix(path) => Listen::Unix(path.clone()),
        };
        Ok(Listener { socket: ListenSocket::Inherited(socket), address })
    }

    /// Where it listens; with the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> &Listen {
        &self.address
    }

    pub(in crate::shard) fn accept(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            ListenSocket::Tcp(listener) => listener.accept().map(|(stream, _): (_, SocketAddr)| stream.into()),
            ListenSocket::Unix { listener, .. } => listener.accept().map(|(stream, _)| stream.into()),
            ListenSocket::Inherited(socket) => socket.accept_raw().map(|(stream, _)| stream.into()),
        }
    }

    /// Ends the listening at once, whoever else has the socket still open: a ring that is about to go, for example.
    pub(in crate::shard) fn shut(self) {
        match &self.socket {
            ListenSocket::Tcp(listener) => shut(listener),
            ListenSocket::Unix { listener, .. } => shut(listener),
            // Nothing waits on the socket itself.
            ListenSocket::Inherited(_) => {}
        }
    }

    /// What tells an accept loop that somebody waits, and how that loop is woken for good.
    pub(in crate::shard) fn watch(&self) -> io::Result<Watch> {
        match &self.socket {
            ListenSocket::Tcp(listener) => Watch::of_own(listener.as_fd()),
            ListenSocket::Unix { listener, .. } => Watch::of_own(listener.as_fd()),
            ListenSocket::Inherited(socket) => Watch::of_shared(socket.as_fd()),
        }
    }
}

/// The file that `bind` has made. It goes with the listener, unless another has taken its place by then: of a process that
/// was started to take over, say.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn at(path: &Path) -> Self {
        SocketFile { path: path.to_path_buf(), identity: identity(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode of what stands at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// A socket file that nobody listens on is left over from a crash; anything else at that path is not ours to remove.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket && refuses(path)? {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// Whether nobody listens on a socket file. Waits for nobody: whoever has a full backlog listens.
fn refuses(path: &Path) -> io::Result<bool> {
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    Ok(probe.connect(&SockAddr::unix(path)?).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

/// The sockets that a shard accepts from. The first shard has what there is, the others none.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For calls.
    pub main: Option<Listener>,
    /// For clients of the proxy.
    pub proxy: Option<Listener>,
    /// For `/livez` and `/readyz`.
    pub admin: Option<Listener>,
    /// For balancers that are told a line.
    pub agent: Option<Listener>,
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
    fn a_listener_with_a_full_backlog_is_not_stale_and_not_waited_for() {
        let path = std::env::temp_dir().join(format!("fasttunnel-full-{}.sock", std::process::id()));
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        let waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let error = Listener::bind(&Listen::Unix(path.clone()), 16).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
        assert!(path.exists());
        drop((busy, waiting));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_has_taken_the_place_of_its_socket_file_stays_at_the_end() {
        let path = std::env::temp_dir().join(format!("fasttunnel-moved-{}.sock", std::process::id()));
        let listen = Listen::Unix(path.clone());
        let first = Listener::bind(&listen, 16).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = Listener::bind(&listen, 16).unwrap();
        drop(first);
        assert!(path.exists(), "it is the second one's");
        drop(second);
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
