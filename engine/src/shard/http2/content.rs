//! The content of requests, as it comes: gathered, or handed over within the window that the host gives. What is not taken
//! keeps the window of its stream closed, and so its client from sending more (RFC 9113 5.2).

use std::rc::Rc;

use crate::shard::connection::streams::stream::Stream;
use crate::shard::exchange::flow::{Flow, Took};
use crate::shard::exchange::phase::Phase;
use crate::shard::http2::reading::{Came, Reading, Wanted};
use crate::shard::http2::session::Session;
use crate::shard::request::body_stream::StreamStep;
use crate::shard::request::body_whole::WholeStep;

/// What became of a look at it.
enum Step {
    /// There is nothing to take, or nobody who takes it.
    Waits,
    /// Something was taken.
    Took(usize),
    /// It is complete, or its stream has ended.
    Over,
    /// No more of it is wanted.
    Unwanted,
    /// The word on the request has come.
    Advised,
}

impl Session<'_> {
    /// Keeps what has come of a request for the time when it can be taken.
    pub fn keep(&mut self, stream: &Rc<Stream>, came: Came, wanted: Wanted) {
        let at = stream.index();
        if self.readings.len() <= at {
            self.readings.resize_with(at + 1, || None);
        }
        self.forget(stream);
        self.readings[at] = Some(Box::new(Reading::of(stream.clone(), came, wanted)));
        self.reading += 1;
    }

    /// Nothing more is wanted of a request.
    pub fn forget(&mut self, stream: &Stream) {
        if self.take_reading(stream).is_some() {
            self.reading -= 1;
        }
    }

    /// Throws what is still to come of a request away; false when nothing is.
    pub fn discard(&mut self, stream: &Rc<Stream>) -> bool {
        let most = self.shard.limits.max_discarded_bytes;
        let Some(reading) = self.readings.get_mut(stream.index()).and_then(Option::as_mut) else { return false };
        if !matches!(reading.wanted, Wanted::Nothing(_)) {
            reading.wanted = Wanted::Nothing(most);
            stream.incoming().clock.restart(Phase::Skip, self.shard.now_ms());
            self.read_on(stream);
        }
        self.readings.get(stream.index()).is_some_and(Option::is_some)
    }

    fn take_reading(&mut self, stream: &Stream) -> Option<Box<Reading>> {
        self.readings.get_mut(stream.index()).and_then(Option::take)
    }

    /// Takes what has come of a request; true when that was something.
    pub fn read_on(&mut self, stream: &Rc<Stream>) -> bool {
        let mut took = false;
        while let Some(mut reading) = self.take_reading(stream) {
            let step = self.step(&mut reading);
            match step {
                Step::Waits => {
                    self.readings[stream.index()] = Some(reading);
                    return took;
                }
                Step::Took(bytes) => {
                    reading.took(bytes);
                    stream.incoming().clock.count_bytes(bytes, self.shard.now_ms());
                    self.readings[stream.index()] = Some(reading);
                    took = true;
                }
                Step::Over => {
                    self.reading -= 1;
                    reading.took(reading.next.len());
                    return true;
                }
                Step::Unwanted => {
                    reading.wanted = Wanted::Nothing(self.shard.limits.max_discarded_bytes);
                    stream.incoming().clock.restart(Phase::Skip, self.shard.now_ms());
                    self.readings[stream.index()] = Some(reading);
                    took = true;
                }
                Step::Advised => {
                    self.reading -= 1;
                    self.consider_again(stream, *reading);
                    took = true;
                }
            }
        }
        took
    }

    fn consider_again(&mut self, stream: &Rc<Stream>, reading: Reading) {
        let Reading { receive, next, complete, wanted, .. } = reading;
        let (Wanted::Asked(mut text), Some(advised)) = (wanted, stream.incoming().take_advice()) else { return };
        self.consider(stream, &mut text, Came { receive, bytes: next, complete }, Some(&advised));
    }

    fn step(&mut self, reading: &mut Reading) -> Step {
        let shard = self.shard;
        if reading.stream.was_reset() {
            return Step::Over;
        }
        let intact = reading.look(&mut self.unread);
        let stream = reading.stream.clone();
        let exchange = shard.stream_exchange(self.conn, &self.streams, &stream);
        if !intact {
            // The client has ended the stream, or has broken its rules.
            self.streams.touch(&stream);
            return Step::Over;
        }
        let is_last = reading.complete && reading.next.is_empty();
        match &mut reading.wanted {
            Wanted::Asked(_) if stream.incoming().is_advised() => Step::Advised,
            // It is answered without the word.
            Wanted::Asked(_) if !stream.is_awaited() => Step::Unwanted,
            Wanted::Asked(_) => Step::Waits,
            Wanted::Nothing(_) if is_last => {
                self.streams.touch(&stream);
                Step::Over
            }
            Wanted::Nothing(_) if reading.next.is_empty() => Step::Waits,
            Wanted::Nothing(left) => match left.checked_sub(reading.next.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    Step::Took(reading.next.len())
                }
                None => {
                    self.streams.touch(&stream);
                    Step::Over
                }
            },
            Wanted::Whole(_) if !stream.is_awaited() => Step::Unwanted,
            Wanted::Whole(_) if reading.next.is_empty() && !is_last => Step::Waits,
            Wanted::Whole(open) => {
                if is_last {
                    open.reader.end();
                }
                match shard.take_whole(open, &reading.next) {
                    WholeStep::More => Step::Took(reading.next.len()),
                    WholeStep::Complete(_) => {
                        exchange.enter(Phase::Idle, shard.now_ms());
                        shard.dispatch(exchange, &open.ready(), false);
                        Step::Over
                    }
                    WholeStep::Refused(_, refusal) => {
                        shard.counters.refused.add(1);
                        exchange.enter(Phase::Idle, shard.now_ms());
                        shard.refuse(exchange, refusal, open.own.get(), false);
                        Step::Unwanted
                    }
                    WholeStep::Broken(status) => {
                        shard.refuse_framing(exchange, status, open.own.get());
                        Step::Over
                    }
                }
            }
            Wanted::Streamed(content) => {
                if is_last {
                    content.reader.end();
                } else if reading.next.is_empty() && exchange.inflow().is_some() {
                    if exchange.inflow().is_some_and(|inflow| inflow.is_open()) {
                        exchange.enter(content.phase(), shard.now_ms());
                    }
                    return Step::Waits;
                }
                match shard.take_stream(exchange, content, &reading.next) {
                    StreamStep::Took(Took::Bytes(bytes)) => Step::Took(bytes),
                    StreamStep::Took(Took::Stop(Flow::Close)) | StreamStep::Unwanted => Step::Unwanted,
                    StreamStep::Took(_) => Step::Waits,
                    StreamStep::Done(..) => Step::Over,
                }
            }
        }
    }
}
