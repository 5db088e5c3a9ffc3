//! Errors of starting and of connecting, with the codes that JavaScript knows.

use fasttunnel_engine::host::codes;
use fasttunnel_engine::{ConnectError, StartError};

use crate::options::CodedError;

/// An error of Node-API's.
pub fn coded(error: napi::Error) -> CodedError {
    CodedError::new(codes::INTERNAL.to_owned(), error.reason.to_string())
}

/// Why nothing listens.
pub fn start_error(error: &StartError) -> CodedError {
    let code = match error {
        StartError::Driver(_) => codes::NO_IO_URING,
        StartError::Shards { .. } | StartError::Log { .. } => codes::BAD_OPTION,
        _ => codes::of_system(error.os_error()),
    };
    CodedError::new(code.to_owned(), error.to_string())
}

/// Why there is no connection.
pub fn connect_error(error: &ConnectError) -> CodedError {
    let code = match error {
        ConnectError::Full { .. } => codes::FULL,
        ConnectError::Socket(source) => codes::of_system(source.raw_os_error()),
        _ => codes::CLOSED,
    };
    CodedError::new(code.to_owned(), error.to_string())
}
