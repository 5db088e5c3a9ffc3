//! Why an operation has failed.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The system said so: the number of its error.
    System(i32),
    /// JavaScript does not want it any more.
    Aborted,
    /// There are more bytes than this.
    TooLarge(u64),
    /// There are more entries than this.
    TooMany(u64),
    /// A defect of ours.
    Internal,
}

/// What went wrong, in which system call, and with which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub reason: Reason,
    /// As Node calls it; empty where no system call has failed.
    pub syscall: &'static str,
    /// Bytes of the path; empty where there is none.
    pub path: Vec<u8>,
}

impl Failure {
    /// Failed for a reason of our own.
    #[must_use]
    pub fn own(reason: Reason, path: &Path) -> Self {
        Failure { reason, syscall: "", path: path.as_os_str().as_bytes().to_vec() }
    }

    /// JavaScript does not want it any more.
    #[must_use]
    pub fn aborted() -> Self {
        Failure { reason: Reason::Aborted, syscall: "", path: Vec::new() }
    }

    /// A defect of ours.
    #[must_use]
    pub fn internal() -> Self {
        Failure { reason: Reason::Internal, syscall: "", path: Vec::new() }
    }

    /// What the system said in `syscall` about `path`.
    #[must_use]
    pub fn system(errno: Errno, syscall: &'static str, path: &Path) -> Self {
        Failure { reason: Reason::System(errno.raw_os_error()), syscall, path: path.as_os_str().as_bytes().to_vec() }
    }

    /// Makes a failure of whatever is said in `syscall` about `path`.
    pub fn of<E: Into<io::Error>>(syscall: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |error| {
            let errno = Errno::from_io_error(&error.into()).unwrap_or(Errno::IO);
            Failure::system(errno, syscall, path)
        }
    }
}
