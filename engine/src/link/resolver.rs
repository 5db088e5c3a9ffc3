//! Looks names up for shards, on threads of its own: the system's resolver (`getaddrinfo`) waits, and a shard must not. It is
//! the system's because every other program on the machine goes by it: `/etc/hosts`, search domains, mDNS, a VPN's own server.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::port::{ShardPort, ToShard};
use super::resolved::Resolved;
use crate::limits::{LOOKUP_END, LOOKUP_THREADS, MAX_LOOKUPS};

struct Question {
    host: String,
    ticket: u64,
    port: ShardPort,
    asker: Weak<()>,
}

/// A question that was asked. Nobody waits for its answer once this is gone: it is not looked up then.
pub struct Asked {
    /// Its number.
    pub ticket: u64,
    _asker: Arc<()>,
}

/// The addresses of a name; none: there is no such host.
type Find = fn(&str) -> Vec<IpAddr>;

/// See the module.
pub struct Resolver {
    find: Find,
    questions: Mutex<Option<Sender<Question>>>,
    waiting: Receiver<Question>,
    /// Questions that wait or are being looked up.
    open: Arc<AtomicUsize>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The next question's number: no two have the same, whichever shard asks, and however often it was started anew.
    next: AtomicU64,
}

impl Default for Resolver {
    fn default() -> Self {
        Resolver::by(|host| {
            let found = (host, 0).to_socket_addrs();
            found.map(|addresses| addresses.map(|address| address.ip()).collect()).unwrap_or_default()
        })
    }
}

impl Resolver {
    fn by(find: Find) -> Self {
        let (questions, waiting) = bounded(MAX_LOOKUPS);
        Resolver {
            find,
            questions: Mutex::new(Some(questions)),
            waiting,
            open: Arc::default(),
            threads: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// Looks a name up; the shard behind `port` hears of it by the number of what this gives. `None` when too many others
    /// wait.
    pub fn ask(&self, host: &str, port: &ShardPort) -> Option<Asked> {
        let questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = questions.as_ref()?;
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let asker = Arc::new(());
        let question = Question { host: host.to_owned(), ticket, port: port.clone(), asker: Arc::downgrade(&asker) };
        // Before it is sent: it may be answered at once.
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        if sender.try_send(question).is_err() {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.see_to_threads(open);
        Some(Asked { ticket, _asker: asker })
    }

    /// As many threads as there are questions, within the bound.
    fn see_to_threads(&self, open: usize) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() >= LOOKUP_THREADS.min(open) {
            return;
        }
        let (find, waiting, open) = (self.find, self.waiting.clone(), self.open.clone());
        // One less: the others come to it.
        if let Ok(thread) =
            std::thread::Builder::new().name("fasttunnel-dns".to_owned()).spawn(move || look_up(find, &waiting, &open))
        {
            threads.push(thread);
        }
    }

    /// Takes no further question. The threads end; one that the system makes wait for a name is left to do so by itself.
    pub fn end(&self) {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).take();
        while self.waiting.try_recv().is_ok() {}
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let until = Instant::now() + LOOKUP_END;
        for thread in threads {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
    }
}

fn look_up(find: Find, waiting: &Receiver<Question>, open: &AtomicUsize) {
    while let Ok(Question { host, ticket, port, asker }) = waiting.recv() {
        // Names that take long are given up by who has asked: they are not to hold up those that somebody waits for.
        if asker.strong_count() > 0 {
            let addresses = find(&host);
            // A shard that has ended has nobody who waits for it.
            let _ = port.send(ToShard::Resolved(Resolved { ticket, addresses }));
        }
        open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::link::port::letter_box;

    /// Takes a second for names that begin with `slow`.
    fn find(host: &str) -> Vec<IpAddr> {
        if host.starts_with("slow") {
            std::thread::sleep(Duration::from_secs(1));
        }
        vec![IpAddr::from([1, 2, 3, 4])]
    }

    #[test]
    fn names_that_nobody_waits_for_any_more_hold_up_no_others() {
        let (resolver, (port, inbox)) = (Resolver::by(find), letter_box().unwrap());
        for number in 0..40 {
            drop(resolver.ask(&format!("slow{number}"), &port).unwrap());
        }
        let asked = resolver.ask("quick", &port).unwrap();
        let until = Instant::now() + Duration::from_secs(3);
        loop {
            let message = inbox.messages.recv_deadline(until).unwrap();
            if matches!(message, ToShard::Resolved(resolved) if resolved.ticket == asked.ticket) {
                break;
            }
        }
        resolver.end();
    }

    #[test]
    fn a_name_that_takes_long_does_not_hold_up_the_end() {
        let (resolver, (port, _inbox)) = (Resolver::by(find), letter_box().unwrap());
        let _asked: Vec<_> = (0..9).map(|number| resolver.ask(&format!("slow{number}"), &port).unwrap()).collect();
        // It is under way.
        std::thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        resolver.end();
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert!(resolver.ask("quick", &port).is_none());
    }
}
