//! Invariants of the bookkeeping of bodies and answers that travel in pieces, for arbitrary input. Called by fuzz targets
//! and by property tests; panics on a violation.

use super::connection::answer_queue::AnswerQueue;
use super::exchange::sink::Progress;
use super::request::body_frames::{read_form, read_octets};
use crate::limits::{ANSWER_FIRST_BYTES, BODY_WINDOW_MIN_BYTES, FRAME_BYTES, MultipartLimits};
use crate::link::batch::{CallBatch, CallKey, FrameKind};
use crate::tunnel::multipart::MultipartReader;
use crate::wire::answer_body::{AnswerBody, AnswerFraming};
use crate::wire::body::{BodyError, BodyReader};
use crate::wire::framing::Framing;

/// Requests that may be under way at once; more are pushed only when some are answered.
const MOST_PENDING: usize = 6;
const PIECES: [usize; 6] = [0, 1, 5, 700, 4096, 20_000];
const WINDOWS: [u32; 3] = [BODY_WINDOW_MIN_BYTES, 2 * BODY_WINDOW_MIN_BYTES, 1 << 20];

/// What the model knows of a request and of its answer.
struct Asked {
    key: CallKey,
    state: State,
    /// The bytes of its answer so far, as they have to be on the wire.
    wire: Vec<u8>,
    /// Bytes that the host may still send.
    allowance: u64,
    /// The most of them that it may ever have.
    window: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Open { framing: AnswerFraming, put: u64 },
    Done,
}

impl Asked {
    fn framing(&self) -> Option<(AnswerFraming, u64)> {
        if let State::Open { framing, put } = self.state { Some((framing, put)) } else { None }
    }
}

/// A queue of answers and a slow, obvious reading of what it has to do.
#[derive(Default)]
struct Model {
    queue: AnswerQueue,
    asked: Vec<Asked>,
    /// Index in `asked` of the first request that is not answered whole.
    first: usize,
    /// What was sent.
    sent: Vec<u8>,
    /// No request follows: an answer broke off.
    ended: bool,
}

/// Any pairs of bytes as what happens to the answers of a connection: they leave whole and in order, each call is given
/// up once, and a host that keeps to its credit neither waits for ever nor gets ahead of its window.
pub fn fuzz_answers(data: &[u8]) {
    let mut model = Model::default();
    for pair in data.chunks_exact(2) {
        let [op, argument] = *pair else { return };
        model.step(op, usize::from(argument));
        model.grant(op);
    }
    // Whoever has credit sends, and the client takes everything.
    for _ in 0..4 {
        model.send();
        model.grant(0);
    }
    if let Some(asked) = model.asked.get(model.first)
        && asked.framing().is_some()
    {
        assert!(asked.allowance > 0, "everything is sent, and the host still waits for credit");
    }
    model.check();
}

impl Model {
    fn step(&mut self, op: u8, argument: usize) {
        let at = self.first + argument % MOST_PENDING;
        let state = self.asked.get(at).map(|asked| asked.state);
        match (op % 8, state) {
            (0, _) if !self.ended && self.queue.len() < MOST_PENDING => {
                let key = CallKey { slot: self.asked.len() as u32, generation: 0 };
                assert_eq!(self.queue.next_sequence(), self.asked.len() as u64);
                self.queue.push_waiting(key, argument);
                self.ask(key);
            }
            (1, _) if !self.ended && self.queue.len() < MOST_PENDING => {
                let text = format!("<now {}>", self.asked.len());
                self.queue.answer_now(|out| out.extend_from_slice(text.as_bytes()));
                self.ask(CallKey { slot: u32::MAX, generation: 0 });
                self.finish(self.asked.len() - 1, text.as_bytes());
            }
            (2, Some(State::Waiting)) => {
                let text = format!("<whole {at}>");
                let now = self.queue.answer(at as u64, |out| out.extend_from_slice(text.as_bytes()));
                assert_eq!(now, at == self.first);
                self.finish(at, text.as_bytes());
            }
            (3, Some(State::Waiting)) => self.open(at, argument),
            (4 | 5, Some(State::Open { .. })) => self.put(at, argument),
            (6, Some(State::Open { framing, put })) => {
                let progress = self.queue.end(at as u64);
                if matches!(framing, AnswerFraming::Length(length) if length > put) {
                    assert_eq!(progress, Progress::Broken);
                    return self.truncate(at);
                }
                assert_eq!(progress, Progress::Fine);
                self.finish(at, if framing == AnswerFraming::Chunked { b"0\r\n\r\n" } else { b"" });
            }
            (7, _) if argument == 255 => self.truncate(at),
            (7, _) => self.send(),
            _ => {}
        }
        self.check();
    }

    fn ask(&mut self, key: CallKey) {
        self.asked.push(Asked { key, state: State::Waiting, wire: Vec::new(), allowance: 0, window: 0 });
    }

    fn finish(&mut self, at: usize, text: &[u8]) {
        self.asked[at].wire.extend_from_slice(text);
        self.asked[at].state = State::Done;
        while self.asked.get(self.first).is_some_and(|asked| asked.state == State::Done) {
            self.first += 1;
        }
    }

    fn open(&mut self, at: usize, argument: usize) {
        let framing = match argument / MOST_PENDING % 5 {
            0 | 1 => AnswerFraming::Chunked,
            2 => AnswerFraming::Length(PIECES[argument % PIECES.len()] as u64 + 7),
            3 => AnswerFraming::UntilClose,
            _ => AnswerFraming::NoContent,
        };
        let head = format!("<head {at}>");
        self.queue.open(at as u64, AnswerBody::new(framing), |out| out.extend_from_slice(head.as_bytes()));
        let asked = &mut self.asked[at];
        asked.state = State::Open { framing, put: 0 };
        asked.wire.extend_from_slice(head.as_bytes());
        (asked.allowance, asked.window) = (u64::from(ANSWER_FIRST_BYTES), u64::from(ANSWER_FIRST_BYTES));
    }

    fn put(&mut self, at: usize, argument: usize) {
        let asked = &mut self.asked[at];
        let Some((framing, put)) = asked.framing() else { return };
        let wanted = PIECES[argument / MOST_PENDING % PIECES.len()];
        let length = usize::try_from(asked.allowance).map_or(wanted, |allowance| wanted.min(allowance));
        let piece = vec![b'a' + (at % 26) as u8; length];
        let progress = self.queue.put(at as u64, &piece);
        let grant = self.queue.settle(at as u64);
        asked.allowance -= length as u64;
        asked.allowance += u64::from(grant.unwrap_or_default());
        asked.state = State::Open { framing, put: put + length as u64 };
        match framing {
            AnswerFraming::Length(promised) => {
                let fits = usize::try_from(promised - put.min(promised)).map_or(length, |left| left.min(length));
                // With its last byte the client would take it for whole.
                let written = if fits < length { fits.saturating_sub(1) } else { fits };
                asked.wire.extend_from_slice(&piece[..written]);
                if fits < length {
                    assert_eq!(progress, Progress::Broken);
                    return self.truncate(at);
                }
            }
            AnswerFraming::Chunked if length > 0 => {
                asked.wire.extend_from_slice(format!("{length:x}\r\n").as_bytes());
                asked.wire.extend_from_slice(&piece);
                asked.wire.extend_from_slice(b"\r\n");
            }
            AnswerFraming::UntilClose => asked.wire.extend_from_slice(&piece),
            AnswerFraming::Chunked | AnswerFraming::NoContent => {}
        }
        assert_eq!(progress, Progress::Fine);
    }

    /// The shard looks after each batch of answers whether a stream has come to the front.
    fn grant(&mut self, choice: u8) {
        let window = WINDOWS[usize::from(choice) % WINDOWS.len()];
        let Some((key, bytes)) = self.queue.grant(|| window) else { return };
        let asked = &mut self.asked[self.first];
        assert_eq!(asked.key, key, "credit for a stream that is not the first");
        asked.allowance += u64::from(bytes);
        asked.window = u64::from(window);
    }

    fn send(&mut self) {
        let Some(output) = self.queue.take_output() else { return };
        self.sent.extend_from_slice(&output.bytes);
        self.queue.recycle(output.bytes);
        let Some((key, load)) = output.load else { return };
        // In two portions, as a socket might take it.
        for bytes in [load / 3, load - load / 3] {
            let Some(grant) = self.queue.sent(key, bytes) else { continue };
            let asked = self.asked.iter_mut().find(|asked| asked.key == key && asked.framing().is_some());
            asked.expect("credit is for streams").allowance += u64::from(grant);
        }
    }

    /// The answer to a request breaks off, or the client is to get no more.
    fn truncate(&mut self, at: usize) {
        let mut abandoned = Vec::new();
        self.queue.truncate(at as u64, &mut abandoned);
        let rest: Vec<_> = self.asked.drain(at.min(self.asked.len())..).collect();
        let calls: Vec<_> = rest.iter().filter(|asked| asked.state != State::Done).map(|asked| asked.key).collect();
        assert_eq!(abandoned, calls, "each call that is not answered is given up, once");
        if at == self.first
            && let Some(asked) = rest.into_iter().next().filter(|asked| asked.framing().is_some())
        {
            // What it has written stays.
            self.asked.push(Asked { state: State::Done, ..asked });
            self.first += 1;
        }
        self.ended = true;
    }

    fn check(&self) {
        let written = self.asked.iter().take(self.first + 1).filter(|asked| asked.state != State::Waiting);
        let expected: Vec<u8> = written.flat_map(|asked| asked.wire.iter().copied()).collect();
        assert!(expected.starts_with(&self.sent), "sent out of order, or not what was written");
        assert_eq!(expected.len() - self.sent.len(), self.queue.queued_bytes());
        let answered: usize = self.asked.iter().map(|asked| asked.wire.len()).sum();
        assert_eq!(
            answered - self.sent.len(),
            self.queue.held_bytes(),
            "bytes of those whose turn has not come as well"
        );
        if self.asked.iter().all(|asked| asked.state != State::Waiting) {
            assert_eq!(self.queue.asked_bytes(), 0, "nothing is asked any more");
        }
        for asked in self.asked.iter().filter(|asked| asked.framing().is_some()) {
            assert!(asked.allowance <= asked.window, "{} bytes of credit, window {}", asked.allowance, asked.window);
        }
    }
}

/// Any bytes as two bodies, of octets and of a form, that come piece by piece in turns: the frames of each, put together,
/// are what the body holds, and take exactly the bytes of the window that they say.
pub fn fuzz_body_frames(data: &[u8]) {
    let [mode, step, data @ ..] = data else { return };
    let framing = || if mode & 1 == 0 { Framing::Chunked } else { Framing::Length(data.len() as u64 / 2) };
    let limits = MultipartLimits { file_bytes: Some(64), ..MultipartLimits::default() };
    let keys = [CallKey { slot: 0, generation: 1 }, CallKey { slot: 1, generation: 0 }];
    let mut readers = [BodyReader::new(framing(), u64::MAX), BodyReader::new(framing(), u64::MAX)];
    let mut form = MultipartReader::new(b"B-b", &limits);
    let (mut open, mut taken, mut over, mut at) = (CallBatch::default(), [0, 0], [false, false], [0, 0]);
    // The last turn is without input, as when the reader waits for more.
    while at.iter().zip(over).any(|(at, over)| !over && *at < data.len()) {
        for (body, key) in keys.into_iter().enumerate() {
            if over[body] || at[body] >= data.len() {
                continue;
            }
            let piece = usize::from(*step) * (1 + body * 3) + 1;
            let input = &data[at[body]..data.len().min(at[body] + piece)];
            let reader = &mut readers[body];
            let (read, refused, bytes) = if body == 0 {
                read_octets(reader, input, &mut open, key)
            } else {
                read_form(reader, &mut form, input, &mut open, key)
            };
            taken[body] += bytes as usize;
            at[body] += input.len();
            over[body] = refused.is_some() || read.is_err() || read.is_ok_and(|step| step.done);
        }
    }
    let mut came = [0, 0];
    let (mut octets, mut end) = (Vec::new(), 0);
    for frame in &open.frames {
        let (body, bytes) = (frame.key.slot as usize, frame.data.of(&open.data));
        assert_eq!((frame.key, frame.data.start), (keys[body], end), "frames lie one behind the other");
        end = frame.data.end;
        match frame.kind {
            FrameKind::Data => {
                assert!((1..=FRAME_BYTES).contains(&bytes.len()));
                came[body] += bytes.len();
            }
            FrameKind::Manifest => came[body] += bytes.len(),
            _ => assert_eq!(body, 1, "octets are data"),
        }
        if body == 0 {
            octets.extend_from_slice(bytes);
        }
    }
    assert_eq!((end as usize, came), (open.data.len(), taken));
    let mut whole = Vec::new();
    match BodyReader::new(framing(), u64::MAX).read(data, &mut whole) {
        Ok(_) => assert_eq!(octets, whole),
        Err(error) => assert!(error != BodyError::TooLarge && whole.starts_with(&octets)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough of a generator to walk through many orders of events (xorshift), the same in every run.
    fn noise(seed: u32, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 8) as u8
            })
            .collect()
    }

    #[test]
    fn answers_leave_whole_and_in_order_whatever_happens() {
        (0..2000).for_each(|seed| fuzz_answers(&noise(seed, 160)));
    }

    #[test]
    fn frames_hold_the_body_whatever_it_is() {
        let form = b"9\r\n--B-b\r\nCo\r\n45\r\nntent-Disposition: form-data; name=\"file:1\"; filename=\"a\"\r\n\r\nbytes of it\r\n--B-b--\r\n0\r\n\r\n";
        for step in 0..40 {
            for mode in 0..2 {
                fuzz_body_frames(&[&[mode, step][..], form].concat());
                fuzz_body_frames(&[&[mode, step][..], &noise(u32::from(step), 300)].concat());
            }
        }
    }
}
