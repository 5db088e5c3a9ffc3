//! What becomes of the bytes of tokens: the memory that held them is wiped when it is given back.
#![allow(clippy::unwrap_used)]

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;

use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use sha2::{Digest, Sha256};

/// Bytes to look for, kept in a form that is not found itself.
struct Needle(Vec<u8>);

const MASK: u8 = 0x5a;

impl Needle {
    fn new(bytes: &[u8]) -> Needle {
        Needle(bytes.iter().map(|byte| byte ^ MASK).collect())
    }

    fn is_in(&self, hay: &[u8]) -> bool {
        let is_here = |window: &[u8]| window.iter().zip(&self.0).all(|(byte, masked)| byte ^ MASK == *masked);
        hay.windows(self.0.len()).any(is_here)
    }
}

/// Where the heap is: every anonymous mapping that can be written, but for the stack that we stand on.
fn heap() -> Vec<(u64, u64)> {
    let local = 0u8;
    let here = std::ptr::from_ref(&local).addr() as u64;
    let maps = read_to_string("/proc/self/maps").unwrap();
    let mappings = maps.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        let name = words.nth(3).unwrap_or_default();
        let (start, end) = range.split_once('-')?;
        let range = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        let is_heap = rights.starts_with("rw") && (name.is_empty() || name == "[heap]");
        (is_heap && !(range.0..range.1).contains(&here)).then_some(range)
    });
    mappings.collect()
}

/// Is it anywhere on the heap, in use or free? Free blocks lose their first words to the allocator: the needle should
/// be from behind them.
fn is_on_the_heap(needle: &Needle) -> bool {
    const PIECE: usize = 1 << 16;
    let memory = File::open("/proc/self/mem").unwrap();
    // On the stack, so that what was read is not searched as well.
    let mut piece = [0u8; PIECE];
    let mut found = false;
    for (start, end) in heap() {
        let mut at = start;
        while at < end && !found {
            let wanted = PIECE.min((end - at) as usize);
            // A mapping may have shrunk since.
            let Ok(read) = memory.read_at(&mut piece[..wanted], at) else { break };
            found = needle.is_in(&piece[..read]);
            // Pieces overlap: it may lie across two.
            at += if at + (wanted as u64) < end { (wanted - needle.0.len()) as u64 } else { wanted as u64 };
        }
    }
    found
}

/// 96 bytes that stand nowhere else in this process.
fn token(salt: u8) -> String {
    (0..96u8).map(|n| char::from(b'!' + (n.wrapping_mul(37) ^ salt) % 90)).collect()
}

#[test]
fn no_text_of_a_token_stays_on_the_heap() {
    for (salt, header, works) in [(1, "x-runner-token", true), (2, "not a name", false)] {
        let tail = {
            let text = token(salt);
            let tail = Needle::new(&text.as_bytes()[32..]);
            let options =
                AuthOptions { header: Some(header.into()), tokens: Some(vec![text]), ..AuthOptions::default() };
            assert!(is_on_the_heap(&tail), "the search finds what is there");
            assert_eq!(AuthConfig::new(options).is_ok(), works);
            tail
        };
        assert!(!is_on_the_heap(&tail), "{header}: the text of the token is still there");
    }
}

#[test]
fn no_digest_of_a_token_outlives_its_configuration() {
    let digest = Needle::new(&Sha256::digest(token(3))[16..]);
    let auth = AuthConfig::new(AuthOptions { tokens: Some(vec![token(3)]), ..AuthOptions::default() }).unwrap();
    let copy = auth.clone();
    assert!(is_on_the_heap(&digest), "the search finds what is there");
    drop(auth);
    assert!(is_on_the_heap(&digest), "a copy has its own");
    drop(copy);
    assert!(!is_on_the_heap(&digest), "the digest is still there");
}
