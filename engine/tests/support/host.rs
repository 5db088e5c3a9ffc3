//! A host on a thread of its own, as Node's would be: takes batches through the link, and tells the test what came.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use fasttunnel_engine::Config;
use fasttunnel_engine::link::batch::{
    AnswerBatch, CallBatch, CallKey, FrameKind, Outcome, RawAnswer, StreamHead, flags,
};
use fasttunnel_engine::link::host::{Host, Next};

use super::{Client, DriverChoice, Server, call};

/// What a host is told.
#[derive(Debug)]
pub enum Told {
    Call { key: CallKey, flags: u32, text: String },
    Frame { key: CallKey, kind: FrameKind, bytes: Vec<u8> },
    Gone { key: CallKey },
}

impl Told {
    pub fn key(&self) -> CallKey {
        match self {
            Told::Call { key, .. } | Told::Frame { key, .. } | Told::Gone { key } => *key,
        }
    }
}

/// The test's end of a host.
pub struct TestHost {
    pub host: Arc<Host>,
    told: Receiver<Told>,
    /// What was received while the test waited for something else.
    aside: Mutex<Vec<Told>>,
    /// Takes no batches while this is set.
    pub deaf: Arc<AtomicBool>,
    /// Most bytes of bodies that one batch has brought.
    pub longest_batch: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A server with tasks called `ids`, and its host.
#[track_caller]
pub fn hosted(driver: DriverChoice, ids: &[&str], change: impl FnOnce(&mut Config)) -> (Server, TestHost) {
    let sleeper = Arc::new(OnceLock::<Thread>::new());
    let wakes = sleeper.clone();
    let host = Arc::new(Host::new(1, move || {
        if let Some(thread) = wakes.get() {
            thread.unpark();
        }
    }));
    let (tell, told) = channel();
    let (deaf, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let longest_batch = Arc::new(AtomicUsize::new(0));
    let thread = {
        let (host, deaf, over, longest) = (host.clone(), deaf.clone(), over.clone(), longest_batch.clone());
        let run = move || run(&host, &tell, &deaf, &over, &longest);
        std::thread::Builder::new().name("test-host".to_owned()).spawn(run).unwrap()
    };
    let _ = sleeper.set(thread.thread().clone());
    let server = Server::with_backend(driver, ids, host.clone(), change);
    let host = TestHost { host, told, aside: Mutex::default(), deaf, longest_batch, over, thread: Some(thread) };
    (server, host)
}

fn run(host: &Host, tell: &Sender<Told>, deaf: &AtomicBool, over: &AtomicBool, longest: &AtomicUsize) {
    let mut known = HashSet::new();
    while !over.load(Ordering::Relaxed) {
        host.awake();
        if !deaf.load(Ordering::Relaxed) {
            while let Next::Calls(calls) = host.next(0) {
                longest.fetch_max(calls.data.len(), Ordering::Relaxed);
                tell_all(&calls, tell, &mut known);
                host.recycle(0, calls);
            }
            if !host.try_park() {
                continue;
            }
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn tell_all(calls: &CallBatch, tell: &Sender<Told>, known: &mut HashSet<CallKey>) {
    for record in &calls.records {
        known.insert(record.key);
        let text = String::from_utf8(record.body.of(&calls.json).to_vec()).unwrap();
        let _ = tell.send(Told::Call { key: record.key, flags: record.flags, text });
    }
    for frame in &calls.frames {
        assert!(known.contains(&frame.key), "a frame of a call that is over: {frame:?}");
        let bytes = frame.data.of(&calls.data).to_vec();
        let _ = tell.send(Told::Frame { key: frame.key, kind: frame.kind, bytes });
    }
    for key in &calls.gone {
        assert!(known.remove(key), "gone twice, or never there: {key:?}");
        let _ = tell.send(Told::Gone { key: *key });
    }
}

/// The head of a streamed answer without lines.
pub fn head(status: u16, length: Option<u64>) -> Outcome {
    let head = RawAnswer { status, reason_len: 0, lines_len: 0, cors: true, security: true };
    Outcome::Open(StreamHead { head, length })
}

impl TestHost {
    /// Sends records, as one batch.
    pub fn answer(&self, fill: impl FnOnce(&mut AnswerBatch)) {
        let mut answers = Box::<AnswerBatch>::default();
        fill(&mut answers);
        self.host.answer(0, answers);
    }

    /// Sends one record; bytes as its outcome wants them.
    pub fn say(&self, key: CallKey, outcome: Outcome, bytes: &[u8]) {
        self.answer(|answers| match outcome {
            Outcome::Data | Outcome::Open(_) | Outcome::Raw(_) => {
                answers.push_raw(key, outcome, |raw| raw.extend_from_slice(bytes));
            }
            _ => answers.push(key, outcome, bytes),
        });
    }

    /// The next thing of which `pick` makes something; what comes before is put aside.
    #[track_caller]
    pub fn next<T>(&self, what: &str, pick: impl Fn(&Told) -> Option<T>) -> T {
        self.try_next(Duration::from_secs(5), pick).unwrap_or_else(|| panic!("not told within 5 seconds: {what}"))
    }

    /// What [`Self::next`] finds, or nothing when it has not come within `time`.
    pub fn try_next<T>(&self, time: Duration, pick: impl Fn(&Told) -> Option<T>) -> Option<T> {
        let mut aside = self.aside.lock().unwrap();
        if let Some((at, found)) = aside.iter().enumerate().find_map(|(at, told)| Some((at, pick(told)?))) {
            aside.remove(at);
            return Some(found);
        }
        let deadline = std::time::Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let told = self.told.recv_timeout(left).ok()?;
            if let Some(found) = pick(&told) {
                return Some(found);
            }
            aside.push(told);
        }
    }

    /// What was told so far does not count.
    pub fn forget(&self) {
        self.aside.lock().unwrap().clear();
        while self.told.try_recv().is_ok() {}
    }

    /// The connection of `client` still serves: it calls `echo`, and the host answers.
    #[track_caller]
    pub fn expect_usable(&self, client: &mut Client) {
        client.send(call("echo", "1"));
        let (key, _) = self.call();
        self.say(key, Outcome::Result, b"1");
        assert_eq!(client.reply().result(), "1");
    }

    /// The key of the next call, with its flags.
    #[track_caller]
    pub fn call(&self) -> (CallKey, u32) {
        self.next("a call", |told| match told {
            Told::Call { key, flags, .. } => Some((*key, *flags)),
            _ => None,
        })
    }

    /// The next call, whose body is to come in frames.
    #[track_caller]
    pub fn stream_call(&self) -> CallKey {
        let (key, bits) = self.call();
        assert_eq!(bits, flags::STREAM | flags::EMPTY);
        key
    }

    /// The next frame of this call that is no credit.
    #[track_caller]
    pub fn frame(&self, key: CallKey) -> (FrameKind, Vec<u8>) {
        self.next("a frame", |told| match told {
            Told::Frame { key: of, kind, bytes } if *of == key && !matches!(kind, FrameKind::Credit(_)) => {
                Some((*kind, bytes.clone()))
            }
            _ => None,
        })
    }

    /// Everything until the end of the body of this call, credited as it comes.
    #[track_caller]
    pub fn body(&self, key: CallKey) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            match self.frame(key) {
                (FrameKind::Data, bytes) => {
                    self.say(key, Outcome::Credit(bytes.len() as u32), b"");
                    body.extend_from_slice(&bytes);
                }
                (FrameKind::End, _) => return body,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Bytes of this body that come without further credit, until nothing comes for a while.
    pub fn until_silence(&self, key: CallKey) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(bytes) = self.try_next(Duration::from_millis(150), |told| match told {
            Told::Frame { key: of, kind: FrameKind::Data, bytes } if *of == key => Some(bytes.clone()),
            _ => None,
        }) {
            body.extend_from_slice(&bytes);
        }
        body
    }

    /// The next grant for the answer to this call.
    #[track_caller]
    pub fn grant(&self, key: CallKey) -> u32 {
        self.try_grant(key, Duration::from_secs(5)).expect("a grant")
    }

    pub fn try_grant(&self, key: CallKey, time: Duration) -> Option<u32> {
        self.try_next(time, |told| match told {
            Told::Frame { key: of, kind: FrameKind::Credit(bytes), .. } if *of == key => Some(*bytes),
            _ => None,
        })
    }

    /// Waits until this call is given up.
    #[track_caller]
    pub fn gone(&self, key: CallKey) {
        self.next("that it is gone", |told| matches!(told, Told::Gone { key: of } if *of == key).then_some(()));
    }

    /// Asserts that nothing (more) of this call comes for a while, but for credit.
    #[track_caller]
    pub fn expect_nothing_of(&self, key: CallKey) {
        let more = self.try_next(Duration::from_millis(100), |told| match told {
            Told::Frame { kind: FrameKind::Credit(_), .. } => None,
            told => (told.key() == key).then(|| format!("{told:?}")),
        });
        assert_eq!(more, None);
    }

    /// Sends a body piece by piece within what is granted, as a host should; the answer is open.
    #[track_caller]
    pub fn stream(&self, key: CallKey, pieces: &[&[u8]]) {
        let mut credit = u64::from(fasttunnel_engine::limits::ANSWER_FIRST_BYTES);
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                if credit == 0 {
                    credit += u64::from(self.grant(key));
                }
                let (now, later) = rest.split_at(rest.len().min(credit as usize));
                self.say(key, Outcome::Data, now);
                credit -= now.len() as u64;
                rest = later;
            }
        }
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok(), "the host has seen something that must not be");
        }
    }
}
