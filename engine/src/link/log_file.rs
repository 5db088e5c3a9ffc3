//! The file of an access log: opened with care, and written to with as much as it takes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Between two tries to write into what takes nothing now, where others have made it so that nobody can wait for it.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// Opens a file to append to, and makes it where there is none, for its owner and its group. A FIFO that nobody reads is an
/// error: to wait for a reader would be for ever.
///
/// # Errors
/// What `open` said.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags.bits() as i32).open(path);
    let file = match opened {
        // The journal's, or a pipe of Node's, is a socket: it has no path by which it could be opened again, but it can be shared.
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
            return standard(path).unwrap_or(Err(error));
        }
        opened => opened?,
    };
    // Whoever reads a FIFO or a terminal slowly is waited for, by a thread that has nothing else to do.
    let before = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, before - OFlags::NONBLOCK)?;
    Ok(file)
}

/// Standard output or error, as the process has it. Its flags are others' as well, and stay.
fn standard(path: &Path) -> Option<io::Result<File>> {
    let own = match path.to_str()? {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => io::stdout().as_fd().try_clone_to_owned(),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => io::stderr().as_fd().try_clone_to_owned(),
        _ => return None,
    };
    Some(own.map(File::from))
}

/// Lines on their way into a file.
#[derive(Debug)]
pub(super) struct LogFile<Out> {
    out: Out,
    /// What was written last was half a line.
    torn: bool,
}

impl<Out: Write> LogFile<Out> {
    pub fn new(out: Out) -> Self {
        LogFile { out, torn: false }
    }

    /// Writes lines; how many were, and how many were not, and why not. Half a line is none: the next begins on a new one.
    pub fn write(&mut self, lines: &[u8]) -> (u64, Option<(u64, io::Error)>) {
        if self.torn && !lines.is_empty() {
            match self.out.write_all(b"\n") {
                Ok(()) => self.torn = false,
                Err(error) => return (0, Some((count(lines), error))),
            }
        }
        let mut written = 0;
        while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
            let error = match self.out.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(bytes) => {
                    written += bytes;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(RETRY_PAUSE);
                    continue;
                }
                Err(error) => error,
            };
            let (done, _) = lines.split_at(written);
            self.torn = done.last().is_some_and(|byte| *byte != b'\n');
            return (count(done), Some((count(rest), error)));
        }
        (count(lines), None)
    }
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            self.bytes.extend_from_slice(&bytes[..fits]);
            self.room -= fits;
            if fits == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(fits) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_costs_lines_that_are_counted_and_spoils_none_after_them() {
        let mut file = LogFile::new(Disk { bytes: Vec::new(), room: 5 });
        let (written, failed) = file.write(b"aa\nbbb\ncc\n");
        assert_eq!(
            (written, failed.map(|(lines, error)| (lines, error.kind()))),
            (1, Some((2, io::ErrorKind::StorageFull)))
        );
        let (written, failed) = file.write(b"dd\n");
        assert_eq!((written, failed.map(|(lines, _)| lines)), (0, Some(1)));
        file.out.room = 100;
        let (written, failed) = file.write(b"ee\nff\n");
        assert_eq!((written, failed.is_none(), &file.out.bytes[..]), (2, true, &b"aa\nbb\nee\nff\n"[..]));
    }
}
