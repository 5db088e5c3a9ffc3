//! How a host leaves a lane: what it has not begun goes to the others.

use super::batch::{AnswerBatch, CallBatch};
use super::host::{Host, Next};
use super::lane::{Lane, answer_all};
use super::parts;

impl Lane {
    /// A host is about to leave: it gets no more calls, and keeps those that it has begun, with what follows them. What it was
    /// handed and has not begun, `backlog` and then its queue, goes to the others; where there is nobody, it is answered.
    // Boxes, because they are the very boxes that travel.
    #[allow(clippy::vec_box)]
    pub fn retire(&mut self, host: &Host, backlog: Vec<Box<CallBatch>>, answers: &mut AnswerBatch) {
        self.change();
        self.hand_on(host, backlog, answers);
    }

    /// A host leaves; otherwise as in [`Self::retire`].
    #[allow(clippy::vec_box)]
    pub fn remove(&mut self, host: &Host, backlog: Vec<Box<CallBatch>>, answers: &mut AnswerBatch) {
        self.observers.retain(|one| !std::ptr::eq(&**one, host));
        let before = self.hosts.len();
        self.hosts.retain(|one| !std::ptr::eq(&**one, host));
        if self.hosts.len() < before {
            self.change();
            self.hand_on(host, backlog, answers);
        }
    }

    #[allow(clippy::vec_box)]
    fn hand_on(&mut self, host: &Host, backlog: Vec<Box<CallBatch>>, answers: &mut AnswerBatch) {
        let queue = std::iter::from_fn(|| {
            loop {
                match host.next(self.shard) {
                    Next::Calls(calls) => return Some(calls),
                    Next::Stopped | Next::Failed => {}
                    Next::Nothing => return None,
                }
            }
        });
        let mut left: Vec<_> = backlog.into_iter().chain(queue).collect();
        parts::gather_gone(&mut left);
        for mut calls in left {
            if !self.observers.is_empty() {
                self.tell_observers(&mut calls);
            }
            let parts = self.parts(true);
            let rest = if self.hosts.is_empty() { Some(calls) } else { self.spread(calls, parts, answers) };
            if let Some(rest) = rest {
                answer_all(&rest.records, answers);
                if !rest.notices.is_empty() {
                    parts::copy_notices(self.untold.get_or_insert_default(), &rest);
                }
                host.recycle(self.shard, rest);
            }
        }
    }
}
