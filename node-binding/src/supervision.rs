//! What a supervisor (systemd, or whoever keeps its protocols) hands to this process, and is told by it.

use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use fasttunnel_engine::inherited::{Bound, Inherited};
use napi_derive::napi;

use crate::options::{CodedError, bad_option};
use crate::raw;
use crate::start_error::coded;

/// Where an inherited socket listens.
#[napi(object, object_from_js = false)]
pub struct NativeSocket {
    /// IP address; none of a unix socket.
    pub host: Option<String>,
    /// TCP port; 0 of a unix socket.
    pub port: u32,
    /// Path of a unix socket.
    pub socket_path: Option<String>,
}

/// Tells where a descriptor listens that another process has bound. `option` is what messages call it.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn inherited_socket(option: String, descriptor: i32) -> Result<NativeSocket, CodedError> {
    Ok(match inherited(&option, descriptor)?.address() {
        Bound::Tcp(address) => {
            NativeSocket { host: Some(address.ip().to_string()), port: address.port().into(), socket_path: None }
        }
        Bound::Unix(path) => {
            NativeSocket { host: None, port: 0, socket_path: Some(path.to_string_lossy().into_owned()) }
        }
    })
}

/// A socket that this process has inherited. The descriptor itself stays as it is, but for the programs that this process
/// starts, which do not get it.
pub fn inherited(option: &str, descriptor: i32) -> Result<Inherited, CodedError> {
    let duplicate: std::io::Result<OwnedFd> = raw::duplicate(descriptor);
    let own =
        duplicate.map_err(|error| bad_option(format!("{option}: descriptor {descriptor} is not open ({error})")))?;
    Inherited::new(own).map_err(|error| bad_option(format!("{option}: descriptor {descriptor} {error}")))
}

/// Sends one message to the socket of a service manager (sd_notify(3)). `@` at the beginning of the address stands for the
/// zero byte of an abstract one. Never waits: a manager that does not read loses the message, and that is an error.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn notify_manager(address: String, message: String) -> Result<(), CodedError> {
    let send = || -> std::io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        match address.strip_prefix('@') {
            Some(name) => socket.send_to_addr(message.as_bytes(), &SocketAddr::from_abstract_name(name)?)?,
            None => socket.send_to(message.as_bytes(), &address)?,
        };
        Ok(())
    };
    send().map_err(|error| coded(napi::Error::from_reason(error.to_string())))
}
