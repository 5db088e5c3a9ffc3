//! Gathers bytes from descriptors that do not block.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::io::{Errno, read};

/// Bytes that are read at a time: what a pipe holds by default.
const PIECE: usize = 64 * 1024;
/// Pieces that are read in a row; others wait meanwhile.
const IN_A_ROW: usize = 16;

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// There may come more.
    Waiting,
    /// There comes no more.
    Ended,
    /// There are more bytes than may be kept. `most` were.
    TooMuch,
}

/// Reads behind `bytes` what there is, and keeps `most` bytes in all.
///
/// # Errors
/// What the system says.
pub fn gather(fd: impl AsFd, bytes: &mut Vec<u8>, most: usize) -> Result<Gathered, Errno> {
    // Not into the room behind `bytes`, which may be large: whoever wants to stop this would wait for all of it.
    let mut piece = [MaybeUninit::uninit(); PIECE];
    for _ in 0..IN_A_ROW {
        match read(&fd, &mut piece) {
            Ok(([], _)) => return Ok(Gathered::Ended),
            Ok((got, _)) => {
                let room = most.saturating_sub(bytes.len());
                bytes.extend_from_slice(&got[..got.len().min(room)]);
                if got.len() > room {
                    return Ok(Gathered::TooMuch);
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(Gathered::Waiting),
            Err(errno) => return Err(errno),
        }
    }
    Ok(Gathered::Waiting)
}
