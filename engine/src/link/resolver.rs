//! Looks names up for shards, on threads of its own: the system's resolver (`getaddrinfo`) waits, and a shard must not. It is
//! the system's because every other program on the machine goes by it: `/etc/hosts`, search domains, mDNS, a VPN's own server.

use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::port::{ShardPort, ToShard};
use super::resolved::Resolved;
use crate::limits::{LOOKUP_THREADS, MAX_LOOKUPS};

struct Question {
    host: String,
    ticket: u64,
    port: ShardPort,
}

/// See the module.
pub struct Resolver {
    questions: Mutex<Option<Sender<Question>>>,
    waiting: Receiver<Question>,
    idle: Arc<AtomicUsize>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The next question's number: no two have the same, whichever shard asks, and however often it was started anew.
    next: AtomicU64,
}

impl Default for Resolver {
    fn default() -> Self {
        let (questions, waiting) = bounded(MAX_LOOKUPS);
        Resolver {
            questions: Mutex::new(Some(questions)),
            waiting,
            idle: Arc::default(),
            threads: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }
}

impl Resolver {
    /// Looks a name up; the shard behind `port` hears of it by the number that this gives. `None` when too many others wait.
    pub fn ask(&self, host: &str, port: &ShardPort) -> Option<u64> {
        let questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = questions.as_ref()?;
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let question = Question { host: host.to_owned(), ticket, port: port.clone() };
        if sender.try_send(question).is_err() {
            return None;
        }
        if self.idle.load(Ordering::Relaxed) < self.waiting.len() {
            self.add_thread();
        }
        Some(ticket)
    }

    fn add_thread(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() >= LOOKUP_THREADS {
            return;
        }
        let (waiting, idle) = (self.waiting.clone(), self.idle.clone());
        // One less: the others come to it.
        if let Ok(thread) =
            std::thread::Builder::new().name("fasttunnel-dns".to_owned()).spawn(move || look_up(&waiting, &idle))
        {
            threads.push(thread);
        }
    }

    /// Takes no further question and waits for the threads, each of which may have to hear of one name first.
    pub fn end(&self) {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).take();
        while self.waiting.try_recv().is_ok() {}
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn look_up(waiting: &Receiver<Question>, idle: &AtomicUsize) {
    loop {
        idle.fetch_add(1, Ordering::Relaxed);
        let next = waiting.recv();
        idle.fetch_sub(1, Ordering::Relaxed);
        let Ok(Question { host, ticket, port }) = next else { return };
        let found =
            (host.as_str(), 0).to_socket_addrs().map(|addresses| addresses.map(|address| address.ip()).collect());
        // A shard that has ended has nobody who waits for it.
        let _ = port.send(ToShard::Resolved(Resolved { ticket, addresses: found.unwrap_or_default() }));
    }
}
