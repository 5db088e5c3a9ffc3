//! First connections to servers that may choose HTTP/2 by ALPN. Requests that come before a server has chosen wait for that: one
//! connection may carry them all.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use crate::limits::{KNOWN_HTTP1, TIMER_MS};
use crate::proxy::fault::Fault;
use crate::shard::reactor::waiters::Waiter;
use crate::shard::upstream::known::Known;
use crate::shard::upstream::line::Line;
use crate::shard::upstream::pool::Key;

/// What has become of a first connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Choice {
    Http2,
    Http1,
    /// There is no connection, for this reason.
    Failed(Fault),
    /// Nobody knows: it was given up, or takes too long.
    Unknown,
}

/// See the module.
pub(in crate::shard) struct Firsts {
    under_way: RefCell<Vec<Rc<First>>>,
    /// Servers that have chosen HTTP/1.1: they will again, and nobody waits for that.
    http1: Known,
}

/// A connection that comes about.
struct First {
    key: Key,
    waiting: RefCell<Vec<Rc<Turn>>>,
}

/// What a request has to do that has found no connection.
pub(in crate::shard) enum Part<'a> {
    /// It makes the first.
    Lead(Lead<'a>),
    /// It waits for another that does.
    Wait(Rc<Turn>),
}

/// Makes a first connection. However that ends, those that wait hear of it.
pub(in crate::shard) struct Lead<'a> {
    firsts: &'a Firsts,
    first: Rc<First>,
    choice: Cell<Choice>,
}

/// A request that waits.
#[derive(Default)]
pub(in crate::shard) struct Turn {
    choice: Cell<Option<Choice>>,
    waiter: Waiter,
}

impl Firsts {
    pub fn new() -> Self {
        Firsts { under_way: RefCell::default(), http1: Known::new(KNOWN_HTTP1) }
    }

    /// The part of a request for this server.
    pub fn join(&self, key: &Key) -> Part<'_> {
        let mut under_way = self.under_way.borrow_mut();
        if let Some(first) = under_way.iter().find(|first| first.key == *key) {
            let turn = Rc::<Turn>::default();
            let mut waiting = first.waiting.borrow_mut();
            if waiting.len() == waiting.capacity() {
                // Those that have given up keep the memory of their tasks.
                waiting.retain(|turn| Rc::strong_count(turn) > 1);
            }
            waiting.push(turn.clone());
            drop(waiting);
            return Part::Wait(turn);
        }
        let first = Rc::new(First { key: key.clone(), waiting: RefCell::default() });
        under_way.push(first.clone());
        Part::Lead(Lead { firsts: self, first, choice: Cell::new(Choice::Unknown) })
    }

    /// A server has chosen.
    pub fn note(&self, key: &Key, choice: Choice) {
        match choice {
            Choice::Http1 => self.http1.note(key),
            Choice::Http2 => self.http1.forget(key),
            Choice::Failed(_) | Choice::Unknown => {}
        }
    }

    /// It has chosen HTTP/1.1 the last time.
    pub fn chose_http1(&self, key: &Key) -> bool {
        self.http1.contains(key)
    }
}

impl Lead<'_> {
    /// This has become of it.
    pub fn tell(&self, choice: Choice) {
        self.choice.set(choice);
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.firsts.under_way.borrow_mut().retain(|first| !Rc::ptr_eq(first, &self.first));
        for turn in self.first.waiting.take() {
            turn.end(self.choice.get());
        }
    }
}

impl Turn {
    fn end(&self, choice: Choice) {
        if self.choice.get().is_none() {
            self.choice.set(Some(choice));
        }
        self.waiter.wake();
    }

    /// Waits for what becomes of the connection, and no longer than `until_ms`.
    pub async fn wait(&self, now_ms: impl Fn() -> u64, until_ms: u64) -> Choice {
        std::future::poll_fn(|cx| {
            self.waiter.remember(cx);
            match self.choice.get() {
                Some(choice) => Poll::Ready(choice),
                // Whoever makes the connection misses the same time a turn of the timer later: that is told before.
                None if now_ms().saturating_sub(2 * TIMER_MS) >= until_ms => Poll::Ready(Choice::Unknown),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Line for Turn {
    fn cut(&self) {
        self.end(Choice::Unknown);
    }

    fn look(&self) {
        self.waiter.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::target::{Host, Scheme, Target};

    #[test]
    fn requests_that_give_up_leave_nothing_behind() {
        let target = Target { scheme: Scheme::Https, host: Host::Name("x".into()), port: 443 };
        let (firsts, key) = (Firsts::new(), Key { context: "a".into(), target });
        let Part::Lead(lead) = firsts.join(&key) else { panic!("nobody is there") };
        let Part::Wait(stays) = firsts.join(&key) else { panic!("there is one") };
        for _ in 0..1000 {
            assert!(matches!(firsts.join(&key), Part::Wait(_)));
        }
        assert!(firsts.under_way.borrow().iter().all(|first| first.waiting.borrow().len() <= 8));
        lead.tell(Choice::Http2);
        drop(lead);
        assert_eq!(stays.choice.get(), Some(Choice::Http2));
        assert!(firsts.under_way.borrow().is_empty());
    }
}
