//! Errors of starting and of connecting, with the codes that JavaScript knows.

use fasttunnel_engine::{ConnectError, StartError};

use crate::options::{BAD_OPTION, CodedError};

/// An error of Node-API's.
pub fn coded(error: napi::Error) -> CodedError {
    CodedError::new("FASTTUNNEL_INTERNAL".to_owned(), error.reason.to_string())
}

/// Why nothing listens.
pub fn start_error(error: &StartError) -> CodedError {
    let code = match error {
        StartError::Driver(_) => "FASTTUNNEL_NO_IO_URING",
        StartError::Shards { .. } => BAD_OPTION,
        _ => error.os_error().map_or("FASTTUNNEL_START", errno_name),
    };
    CodedError::new(code.to_owned(), error.to_string())
}

/// Why there is no connection.
pub fn connect_error(error: &ConnectError) -> CodedError {
    let code = match error {
        ConnectError::Full { .. } => "FASTTUNNEL_FULL",
        ConnectError::Socket(source) => source.raw_os_error().map_or("FASTTUNNEL_START", errno_name),
        _ => "FASTTUNNEL_CLOSED",
    };
    CodedError::new(code.to_owned(), error.to_string())
}

/// The names that `listen` errors carry in Node.
fn errno_name(errno: i32) -> &'static str {
    match errno {
        libc::EADDRINUSE => "EADDRINUSE",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        libc::EACCES => "EACCES",
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::ENOTDIR => "ENOTDIR",
        libc::EISDIR => "EISDIR",
        libc::EROFS => "EROFS",
        libc::ENAMETOOLONG => "ENAMETOOLONG",
        libc::ELOOP => "ELOOP",
        libc::ENOSPC => "ENOSPC",
        libc::EDQUOT => "EDQUOT",
        libc::EINVAL => "EINVAL",
        libc::EMFILE => "EMFILE",
        libc::ENFILE => "ENFILE",
        libc::ENOMEM => "ENOMEM",
        libc::ENOBUFS => "ENOBUFS",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::EAGAIN => "EAGAIN",
        _ => "FASTTUNNEL_START",
    }
}
