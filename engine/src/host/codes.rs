//! What the host's language calls errors: codes of our own, and the system's names.

/// An option that TypeScript should have refused.
pub const BAD_OPTION: &str = "FASTTUNNEL_BAD_OPTION";
/// It has ended, or is about to.
pub const CLOSED: &str = "FASTTUNNEL_CLOSED";
/// As many connections are open as may be.
pub const FULL: &str = "FASTTUNNEL_FULL";
/// A defect of ours.
pub const INTERNAL: &str = "FASTTUNNEL_INTERNAL";
/// io_uring was demanded and does not work.
pub const NO_IO_URING: &str = "FASTTUNNEL_NO_IO_URING";
/// Nothing listens, for a reason that has no name below.
pub const START: &str = "FASTTUNNEL_START";

/// Our own, by the names that the host has for them.
pub const OWN: [(&str, &str); 6] = [
    ("badOption", BAD_OPTION),
    ("closed", CLOSED),
    ("full", FULL),
    ("internal", INTERNAL),
    ("noIoUring", NO_IO_URING),
    ("start", START),
];

macro_rules! system {
    ($($name:ident),+ $(,)?) => {
        &[$((stringify!($name), libc::$name)),+]
    };
}

/// The system's, with their numbers: what binding an address, making a socket or starting a thread may fail with.
pub const SYSTEM: &[(&str, i32)] = system![
    EADDRINUSE,
    EADDRNOTAVAIL,
    EACCES,
    EPERM,
    ENOENT,
    ENOTDIR,
    EISDIR,
    EROFS,
    ENAMETOOLONG,
    ELOOP,
    ENOSPC,
    EDQUOT,
    EINVAL,
    EMFILE,
    ENFILE,
    ENOMEM,
    ENOBUFS,
    EAFNOSUPPORT,
    EAGAIN,
];

/// The code of what the system said.
#[must_use]
pub fn of_system(errno: Option<i32>) -> &'static str {
    SYSTEM.iter().find(|(_, number)| Some(*number) == errno).map_or(START, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_has_names_for_its_errors_and_others_are_a_failed_start() {
        assert_eq!(of_system(Some(libc::EADDRINUSE)), "EADDRINUSE");
        assert_eq!(of_system(Some(libc::EAGAIN)), "EAGAIN");
        assert_eq!((of_system(Some(libc::EXDEV)), of_system(None)), (START, START));
    }
}
