//! The line that says how far a comparison is.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Counts measurements. On a terminal one line that is written over, elsewhere a line for each.
pub struct Progress {
    start: Instant,
    done: usize,
    total: usize,
    terminal: bool,
}

impl Progress {
    /// Before the first of `total`.
    pub fn new(total: usize) -> Progress {
        Progress { start: Instant::now(), done: 0, total, terminal: std::io::stderr().is_terminal() }
    }

    /// One is done.
    pub fn step(&mut self, what: &str) {
        self.done += 1;
        let line = line(self.done, self.total, self.start.elapsed(), what);
        let mut out = std::io::stderr().lock();
        // Nobody to tell is no reason to stop.
        let _ = if self.terminal { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
        let _ = out.flush();
    }

    /// So many will not take place.
    pub fn skip(&mut self, count: usize) {
        self.total = self.total.saturating_sub(count);
    }

    /// Something that stays on the terminal.
    pub fn say(&self, text: &str) {
        eprintln!("{}{text}", if self.terminal { "\r\x1b[K" } else { "" });
    }

    /// After the last.
    pub fn end(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

fn line(done: usize, total: usize, elapsed: Duration, what: &str) -> String {
    let left = elapsed.as_secs_f64() / done.max(1) as f64 * total.saturating_sub(done) as f64;
    let (minutes, seconds) = (left as u64 / 60, left as u64 % 60);
    format!("{done} of {total}, {minutes}:{seconds:02} left: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_what_it_took_so_far() {
        assert_eq!(line(10, 40, Duration::from_secs(25), "x"), "10 of 40, 1:15 left: x");
        assert_eq!(line(3, 2, Duration::from_secs(1), "x"), "3 of 2, 0:00 left: x");
    }
}
