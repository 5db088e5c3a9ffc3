//! Why there is no result.

use std::io;
use std::path::PathBuf;

/// What went wrong, in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line; names the option and the fix.
    #[error("{0}\nSee `loadtest --help`.")]
    Usage(String),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not a result of this program.
    #[error("{}: not a result of `loadtest --json`: {reason}", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The run could not begin or go on.
    #[error("{doing}: {source}")]
    System {
        /// What was tried, and what may help.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server process was not found.
    #[error("{0}")]
    Server(String),
}

impl Error {
    /// For `map_err`: `doing` failed.
    pub fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::System { doing, source }
    }
}
