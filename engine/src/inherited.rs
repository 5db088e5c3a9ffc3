//! Sockets that another process has bound and handed to this one: systemd, or the process that this one replaces.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;
use socket2::{SockRef, Type};

/// A stream socket that is bound to an address. Others may have it as well, and listen on: it is never shut down here.
#[derive(Clone, Debug)]
pub struct Inherited {
    descriptor: Arc<OwnedFd>,
    address: Bound,
}

/// What an inherited socket is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A path, or a zero byte and the name of an abstract socket.
    Unix(PathBuf),
}

/// Why a descriptor cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InheritedError {
    /// It is something else.
    #[error("is no socket")]
    NoSocket,
    /// Clients of the tunnel send streams of bytes.
    #[error("is no stream socket")]
    NoStream,
    /// Nobody could find it, or it is the end of a connection.
    #[error("is bound to no address that clients can connect to")]
    Unbound,
    /// Neither TCP nor a unix socket.
    #[error("is neither a TCP nor a unix socket")]
    Family,
    /// The system does not say what it is.
    #[error("cannot be looked at: {0}")]
    System(#[from] io::Error),
}

impl Inherited {
    /// Looks at what was handed over.
    ///
    /// # Errors
    /// See [`InheritedError`].
    pub fn new(descriptor: OwnedFd) -> Result<Self, InheritedError> {
        let socket = SockRef::from(&descriptor);
        match socket.r#type() {
            Ok(Type::STREAM) => {}
            Ok(_) => return Err(InheritedError::NoStream),
            Err(error) if error.raw_os_error() == Some(Errno::NOTSOCK.raw_os_error()) => {
                return Err(InheritedError::NoSocket);
            }
            Err(error) => return Err(error.into()),
        }
        if socket.peer_addr().is_ok() {
            return Err(InheritedError::Unbound);
        }
        let address = socket.local_addr()?;
        let address = if let Some(address) = address.as_socket() {
            Bound::Tcp(address)
        } else if let Some(path) = address.as_pathname() {
            Bound::Unix(path.to_path_buf())
        } else if let Some(name) = address.as_abstract_namespace() {
            Bound::Unix(std::ffi::OsStr::from_bytes(&[b"\0", name].concat()).into())
        } else if address.is_unix() {
            return Err(InheritedError::Unbound);
        } else {
            return Err(InheritedError::Family);
        };
        if matches!(address, Bound::Tcp(address) if address.port() == 0) {
            return Err(InheritedError::Unbound);
        }
        Ok(Inherited { descriptor: Arc::new(descriptor), address })
    }

    /// What it is bound to.
    #[must_use]
    pub fn address(&self) -> &Bound {
        &self.address
    }
}

impl AsFd for Inherited {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// What was handed over once.
impl PartialEq for Inherited {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.descriptor, &other.descriptor)
    }
}

impl Eq for Inherited {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use socket2::{Domain, Socket};

    fn refused(descriptor: impl Into<OwnedFd>) -> String {
        Inherited::new(descriptor.into()).unwrap_err().to_string()
    }

    #[test]
    fn what_clients_cannot_connect_to_is_refused_for_what_it_is() {
        assert_eq!(refused(std::fs::File::open("/dev/null").unwrap()), "is no socket");
        assert_eq!(refused(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()), "is no stream socket");
        let unbound = "is bound to no address that clients can connect to";
        assert_eq!(refused(Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()), unbound);
        assert_eq!(refused(Socket::new(Domain::UNIX, Type::STREAM, None).unwrap()), unbound);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(refused(client), unbound, "the end of a connection has an address, too");
        assert_eq!(refused(listener.accept().unwrap().0), unbound);
        assert_eq!(refused(std::os::unix::net::UnixStream::pair().unwrap().0), unbound);
    }

    #[test]
    fn the_address_is_that_of_the_socket() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(Inherited::new(listener.into()).unwrap().address(), &Bound::Tcp(address));
        let path = std::env::temp_dir().join(format!("fasttunnel-inherited-{}.sock", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(Inherited::new(listener.into()).unwrap().address(), &Bound::Unix(path.clone()));
        std::fs::remove_file(path).unwrap();
    }
}
