//! Finds the file that a command names, as `execvp` does, but in the `PATH` that the child will have.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

/// Where programs are when there is no `PATH`, as in glibc.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The file of `command`. A command with a slash is a path, relative to `cwd`; any other is looked for in `path`.
///
/// # Errors
/// `ENOENT`, or `EACCES` when all that was found may not be run.
pub fn find_program(command: &OsStr, path: Option<&OsStr>, cwd: Option<&Path>) -> Result<PathBuf, Errno> {
    let base = cwd.unwrap_or(Path::new(""));
    if command.as_bytes().contains(&b'/') {
        return runnable(base.join(command));
    }
    if command.is_empty() {
        return Err(Errno::NOENT);
    }
    let mut error = Errno::NOENT;
    for folder in path.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes().split(|byte| *byte == b':') {
        // An empty one is the working directory.
        let folder = if folder.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(folder) };
        match runnable(base.join(folder).join(command)) {
            Err(Errno::ACCESS) => error = Errno::ACCESS,
            Err(_) => {}
            found => return found,
        }
    }
    Err(error)
}

fn runnable(file: PathBuf) -> Result<PathBuf, Errno> {
    let found = fs::metadata(&file).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::NOENT))?;
    if found.is_dir() {
        return Err(Errno::ACCESS);
    }
    access(&file, Access::EXEC_OK).map(|()| file)
}
