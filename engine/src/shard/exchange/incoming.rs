//! The request half of an exchange: what has come of it, what is waited for, and the question that is asked about it. The
//! requests of an HTTP/1.1 connection come one after another and have one in common.

use std::cell::{Cell, RefCell};

use crate::link::batch::CallKey;
use crate::shard::exchange::asking::{Advised, Asking};
use crate::shard::exchange::inflow::Inflow;
use crate::shard::exchange::phase::{Phase, PhaseClock};

/// See the module.
#[derive(Debug)]
pub(in crate::shard) struct Incoming {
    pub clock: PhaseClock,
    asking: RefCell<Asking>,
    /// The body that the call which came last reads as it comes, until it is complete or nobody wants it.
    inflow: Cell<Option<Inflow>>,
}

impl Incoming {
    pub fn new(now_ms: u64) -> Self {
        let clock = PhaseClock::new(Phase::Fresh, now_ms);
        Incoming { clock, asking: RefCell::default(), inflow: Cell::new(None) }
    }

    /// The body that a call reads as it comes.
    pub fn inflow(&self) -> Option<Inflow> {
        self.inflow.get()
    }

    /// That body, if it is the one of this call.
    pub fn inflow_of(&self, key: CallKey) -> Option<Inflow> {
        self.inflow.get().filter(|inflow| inflow.key == key)
    }

    pub fn set_inflow(&self, inflow: Option<Inflow>) {
        self.inflow.set(inflow);
    }

    /// The host has used up so many bytes of the body of this call; true when more may be read now, and might not before.
    pub fn credit(&self, key: CallKey, bytes: u32) -> bool {
        let Some(before) = self.inflow_of(key) else { return false };
        let inflow = before.credited(bytes);
        self.inflow.set(Some(inflow));
        !before.is_open() && inflow.is_open()
    }

    /// True while a request cannot be decided without JavaScript's word, or has not been since it came.
    pub fn is_asking(&self) -> bool {
        !matches!(*self.asking.borrow(), Asking::Nothing)
    }

    /// The question under way.
    pub fn question(&self) -> Option<CallKey> {
        match *self.asking.borrow() {
            Asking::Waiting(key) => Some(key),
            Asking::Nothing | Asking::Advised(_) => None,
        }
    }

    /// JavaScript is asked about the next request; what it says comes to [`Self::advise`].
    pub fn begin_ask(&self, key: CallKey) {
        self.asking.replace(Asking::Waiting(key));
    }

    /// The request is answered without JavaScript's word.
    pub fn end_ask(&self) {
        self.asking.replace(Asking::Nothing);
    }

    pub fn advise(&self, advised: Box<Advised>) {
        self.asking.replace(Asking::Advised(advised));
    }

    pub fn is_advised(&self) -> bool {
        matches!(*self.asking.borrow(), Asking::Advised(_))
    }

    /// The word on the request that is to be decided now.
    pub fn take_advice(&self) -> Option<Box<Advised>> {
        match self.asking.take() {
            Asking::Advised(advised) => Some(advised),
            Asking::Nothing | Asking::Waiting(_) => None,
        }
    }

    /// Nothing more is wanted of it; the question under way is handed to `abandoned`.
    pub fn give_up(&self, abandoned: &mut Vec<CallKey>) {
        self.inflow.set(None);
        if let Asking::Waiting(key) = self.asking.take() {
            abandoned.push(key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tunnel::advice::Advice;

    const KEY: CallKey = CallKey { slot: 3, generation: 1 };
    const OTHER: CallKey = CallKey { slot: 3, generation: 2 };

    #[test]
    fn credit_opens_a_body_once_and_only_that_of_its_call() {
        let incoming = Incoming::new(0);
        assert!(!incoming.credit(KEY, 5), "no body");
        incoming.set_inflow(Some(Inflow::new(KEY, 10, 0, false).took(10, 0)));
        assert!(!incoming.inflow().unwrap().is_open());
        assert!(!incoming.credit(OTHER, 10) && incoming.inflow_of(OTHER).is_none());
        assert_eq!([incoming.credit(KEY, 4), incoming.credit(KEY, 4)], [true, false]);
        assert_eq!(incoming.inflow_of(KEY).unwrap().room(), 8);
    }

    #[test]
    fn a_question_is_open_until_its_word_is_taken() {
        let incoming = Incoming::new(0);
        assert_eq!((incoming.is_asking(), incoming.question()), (false, None));
        incoming.begin_ask(KEY);
        assert_eq!((incoming.is_asking(), incoming.is_advised(), incoming.question()), (true, false, Some(KEY)));
        let advised = Advised { advice: Advice::default(), request_id: b"id".to_vec(), overloaded: false };
        incoming.advise(Box::new(advised));
        assert_eq!((incoming.is_asking(), incoming.is_advised(), incoming.question()), (true, true, None));
        assert_eq!(incoming.take_advice().unwrap().request_id, b"id");
        assert!(!incoming.is_asking() && incoming.take_advice().is_none());
    }

    #[test]
    fn giving_up_hands_the_question_over() {
        let (incoming, mut abandoned) = (Incoming::new(0), Vec::new());
        incoming.begin_ask(KEY);
        incoming.set_inflow(Some(Inflow::new(OTHER, 10, 0, false)));
        incoming.give_up(&mut abandoned);
        incoming.give_up(&mut abandoned);
        assert_eq!((abandoned, incoming.is_asking(), incoming.inflow().is_none()), (vec![KEY], false, true));
    }
}
