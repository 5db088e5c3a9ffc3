//! Looks names up for shards, on threads of its own: the system's resolver (`getaddrinfo`) waits, and a shard must not. It is
//! the system's because every other program on the machine goes by it: `/etc/hosts`, search domains, mDNS, a VPN's own server.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::port::{ShardPort, ToShard};
use super::resolved::Resolved;
use crate::limits::{LOOKUP_END, LOOKUP_THREADS, LOOKUPS_OF_ONE, LOOKUPS_WAITING_OF_ONE, MAX_LOOKUPS};
use crate::proxy::settings::Find;

struct Question {
    host: String,
    /// Id of the context that it is for.
    context: String,
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

/// See the module.
pub struct Resolver {
    find: Find,
    desk: Arc<Desk>,
}

/// Where questions lie, and threads wait for them.
#[derive(Default)]
struct Desk {
    books: Mutex<Books>,
    bell: Condvar,
}

#[derive(Default)]
struct Books {
    waiting: VecDeque<Question>,
    /// How many are being looked up, by context.
    running: HashMap<String, usize>,
    threads: Vec<JoinHandle<()>>,
    /// The next question's number: no two have the same, whichever shard asks, and however often it was started anew.
    next: u64,
    ended: bool,
}

impl Books {
    /// The next question that somebody waits for, of a context that has not enough of them under way: names that take long
    /// hold up no other context, and none when they were given up.
    fn take(&mut self) -> Option<Question> {
        self.forget_given_up();
        let running = &self.running;
        let may = |question: &Question| running.get(&question.context).is_none_or(|count| *count < LOOKUPS_OF_ONE);
        let at = self.waiting.iter().position(may)?;
        let question = self.waiting.remove(at)?;
        *self.running.entry(question.context.clone()).or_default() += 1;
        Some(question)
    }

    /// No more may wait: of all, or of this context, so that its names leave room for those of others.
    fn is_full_for(&self, context: &str) -> bool {
        let of_context = || self.waiting.iter().filter(|question| question.context == context).count();
        self.waiting.len() >= MAX_LOOKUPS || of_context() >= LOOKUPS_WAITING_OF_ONE
    }

    fn forget_given_up(&mut self) {
        self.waiting.retain(|question| question.asker.strong_count() > 0);
    }

    fn is_over(&mut self, context: &str) {
        if let Some(count) = self.running.get_mut(context) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(context);
            }
        }
    }

    /// Another thread could have something to do.
    fn wants_thread(&self) -> bool {
        let open = self.waiting.len() + self.running.values().sum::<usize>();
        self.threads.len() < LOOKUP_THREADS.min(open)
    }
}

impl Desk {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks names up until there are to be no more.
    fn serve(&self, find: Find) {
        let mut books = self.books();
        while !books.ended {
            let Some(Question { host, context, ticket, port, .. }) = books.take() else {
                books = self.bell.wait(books).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(books);
            // A shard that has ended has nobody who waits for it.
            let _ = port.send(ToShard::Resolved(Resolved { ticket, addresses: find(&host) }));
            books = self.books();
            books.is_over(&context);
        }
    }
}

/// Asks the system.
fn system(host: &str) -> Vec<IpAddr> {
    let found = (host, 0).to_socket_addrs();
    found.map(|addresses| addresses.map(|address| address.ip()).collect()).unwrap_or_default()
}

impl Resolver {
    /// Looks names up by `find`; `None`: by the system.
    #[must_use]
    pub fn new(find: Option<Find>) -> Self {
        Resolver { find: find.unwrap_or(system), desk: Arc::default() }
    }

    /// Looks a name up for a context; the shard behind `port` hears of it by the number of what this gives. `None` when too
    /// many others wait.
    pub fn ask(&self, host: &str, context: &str, port: &ShardPort) -> Option<Asked> {
        let mut books = self.desk.books();
        if books.is_full_for(context) {
            books.forget_given_up();
        }
        if books.ended || books.is_full_for(context) {
            return None;
        }
        let (asker, ticket) = (Arc::new(()), books.next);
        books.next += 1;
        books.waiting.push_back(Question {
            host: host.to_owned(),
            context: context.to_owned(),
            ticket,
            port: port.clone(),
            asker: Arc::downgrade(&asker),
        });
        if books.wants_thread() {
            let (find, desk) = (self.find, self.desk.clone());
            // One less: the others come to it.
            let thread = std::thread::Builder::new().name("fasttunnel-dns".to_owned()).spawn(move || desk.serve(find));
            books.threads.extend(thread.ok());
        }
        drop(books);
        self.desk.bell.notify_one();
        Some(Asked { ticket, _asker: asker })
    }

    /// Takes no further question. The threads end; one that the system makes wait for a name is left to do so by itself.
    pub fn end(&self) {
        let threads = {
            let mut books = self.desk.books();
            books.ended = true;
            books.waiting.clear();
            std::mem::take(&mut books.threads)
        };
        self.desk.bell.notify_all();
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

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::link::port::{Inbox, letter_box};

    /// Takes a second for names that begin with `slow`.
    fn find(host: &str) -> Vec<IpAddr> {
        if host.starts_with("slow") {
            std::thread::sleep(Duration::from_secs(1));
        }
        vec![IpAddr::from([1, 2, 3, 4])]
    }

    /// Waits for an answer.
    fn hear(inbox: &Inbox, ticket: u64) {
        let until = Instant::now() + Duration::from_secs(3);
        loop {
            let message = inbox.messages.recv_deadline(until).unwrap();
            if matches!(message, ToShard::Resolved(resolved) if resolved.ticket == ticket) {
                break;
            }
        }
    }

    #[test]
    fn names_that_nobody_waits_for_any_more_hold_up_no_others() {
        let (resolver, (port, inbox)) = (Resolver::new(Some(find)), letter_box().unwrap());
        for number in 0..40 {
            drop(resolver.ask(&format!("slow{number}"), "a", &port).unwrap());
        }
        let asked = resolver.ask("quick", "a", &port).unwrap();
        hear(&inbox, asked.ticket);
        resolver.end();
    }

    #[test]
    fn names_of_one_context_that_take_long_hold_up_no_other() {
        let (resolver, (port, inbox)) = (Resolver::new(Some(find)), letter_box().unwrap());
        let slow: Vec<_> = (0..40).map(|number| resolver.ask(&format!("slow{number}"), "a", &port).unwrap()).collect();
        std::thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        let asked = resolver.ask("quick", "b", &port).unwrap();
        hear(&inbox, asked.ticket);
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        // Its own are not forgotten: as many at a time as it may have.
        hear(&inbox, slow[LOOKUPS_OF_ONE].ticket);
        resolver.end();
    }

    #[test]
    fn a_name_that_takes_long_does_not_hold_up_the_end() {
        let (resolver, (port, _inbox)) = (Resolver::new(Some(find)), letter_box().unwrap());
        let _asked: Vec<_> = (0..9).map(|number| resolver.ask(&format!("slow{number}"), "a", &port).unwrap()).collect();
        // It is under way.
        std::thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        resolver.end();
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert!(resolver.ask("quick", "a", &port).is_none());
    }

    #[test]
    fn names_of_one_context_that_wait_leave_room_for_those_of_others() {
        let (resolver, (port, inbox)) = (Resolver::new(Some(find)), letter_box().unwrap());
        // More than there is room for in all: what is too much is refused to the context that asks it.
        let asked: Vec<_> = (0..=MAX_LOOKUPS + LOOKUPS_OF_ONE)
            .map(|number| resolver.ask(&format!("slow{number}"), "a", &port))
            .collect();
        assert!(asked.iter().any(Option::is_none));
        let quick = resolver.ask("quick", "b", &port).expect("there is room for another context");
        hear(&inbox, quick.ticket);
        resolver.end();
    }
}
