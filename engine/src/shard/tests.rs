//! Exchanges that no connection carries: the same code answers them through a sink that only notes what it is told.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;

use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

use super::exchange::flow::{Flow, Took};
use super::exchange::handle::Exchange;
use super::exchange::incoming::Incoming;
use super::exchange::own_fields::OwnFields;
use super::exchange::phase::Phase;
use super::exchange::ready_call::ReadyCall;
use super::exchange::sink::{Opening, Place, Progress, Sink};
use super::request::body_stream::{BodyStream, StreamStep};
use super::*;
use crate::limits::BODY_WINDOW_BYTES;
use crate::link::batch::{AnswerRecord, CallKey, Frame, FrameKind, Outcome, RawAnswer, StreamHead};
use crate::link::callers::Numbers;
use crate::link::peers::{Entered, Peers};
use crate::link::port::letter_box;
use crate::tunnel::advice::Question;
use crate::tunnel::auth::{AuthConfig, AuthOptions};
use crate::tunnel::cors::{Cors, CorsOptions};
use crate::tunnel::decide::Decision;
use crate::tunnel::envelope::Refusal;
use crate::tunnel::route::BasePath;
use crate::tunnel::table::{Allow, HandlerTable};
use crate::wire::answer::{Answer, Content};
use crate::wire::body::Step;
use crate::wire::fields::Span;
use crate::wire::framing::Framing;

/// Takes every batch, and answers nothing.
struct Nobody;

impl Backend for Nobody {
    fn attach(&self, _ports: &[ShardPort]) {}

    fn submit(&self, _shard: usize, mut calls: Box<CallBatch>, _answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        calls.reset();
        Some(calls)
    }

    fn takes_frames(&self) -> bool {
        true
    }

    fn stopped(&self, _shard: usize) {}
}

/// A shard that has no connection, nor a runtime.
fn shard(change: impl FnOnce(&mut Setup)) -> Rc<Shard> {
    let exposure = Exposure {
        base_path: BasePath::default(),
        table: HandlerTable::new(&[], &Allow::AllRegistered).unwrap(),
        auth: AuthConfig::new(AuthOptions { allow_anonymous: true, ..AuthOptions::default() }).unwrap(),
        cors: Cors::new(&CorsOptions::default()).unwrap(),
        disable_discovery: false,
        server_options: false,
        any_coding: false,
    };
    let mut setup = Setup {
        index: 0,
        driver: Driver::Epoll { reason: "nothing is waited for".to_owned() },
        limits: Limits::default(),
        max_calls: 4,
        tls: None,
        admin_tls: None,
        peers: Arc::default(),
        callers: Arc::default(),
        caller_limits: Arc::default(),
        max_handshakes: 4,
        max_held: 1 << 20,
        with_host: Scales::default(),
        exposures: Arc::new(Latest::new(Arc::new(exposure))),
        proxy: None,
        exact_bodies: false,
        bare_inputs: false,
        reference: false,
        report_refusals: false,
        log: None,
        release_memory: || {},
        backend: Arc::new(Nobody),
        inbox: letter_box().unwrap().1,
        ports: Vec::new(),
        loads: Arc::new([AtomicUsize::new(0)]),
        counters: Arc::default(),
        figures: Arc::new(Figures::new(0, Driver::Epoll { reason: String::new() }, false, Arc::new(Nobody), None)),
        dashboard: false,
        meter: Arc::default(),
        given_up: Arc::default(),
        vitals: Arc::new(Vitals::new(1, None, false)),
    };
    change(&mut setup);
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
    Shard::new(setup, timer, Legacy::default())
}

/// What a sink is told.
#[derive(Debug, PartialEq)]
enum Told {
    Expect(CallKey, usize),
    Proceed,
    Answer { status: u16, fields: Vec<String>, content: String, last: bool },
    Open { status: u16, length: Option<u64>, old: bool, last: bool },
    Piece(String),
    End,
    Cut,
    Abort,
    Close,
    Wake,
}

/// A request of no connection, and what its sink was told.
struct Recorded {
    incoming: Incoming,
    told: RefCell<Vec<Told>>,
    /// What pieces and ends are said to have become.
    progress: Progress,
}

#[derive(Clone, Copy)]
struct Recorder<'a>(&'a Recorded);

const PLACE: Place = Place { conn: 7, sequence: 9 };

impl Recorded {
    fn new() -> Self {
        Recorded { incoming: Incoming::new(0), told: RefCell::default(), progress: Progress::Fine }
    }

    fn exchange(&self) -> Exchange<'_, Recorder<'_>> {
        Exchange { incoming: &self.incoming, sink: Recorder(self) }
    }

    /// What was told since it was asked last.
    fn told(&self) -> Vec<Told> {
        self.told.take()
    }

    /// The one answer among that.
    fn answer(&self) -> (u16, Vec<String>, String, bool) {
        let answers: Vec<_> = self.told().into_iter().filter(|told| matches!(told, Told::Answer { .. })).collect();
        let [Told::Answer { status, fields, content, last }] = <[Told; 1]>::try_from(answers).unwrap() else {
            unreachable!("only answers are left")
        };
        (status, fields, content, last)
    }
}

impl Recorder<'_> {
    fn tell(self, told: Told) {
        self.0.told.borrow_mut().push(told);
    }
}

impl Sink for Recorder<'_> {
    fn place(&self) -> Place {
        PLACE
    }

    fn peer(&self, _: &Arc<Peers>) -> Option<&Entered> {
        None
    }

    fn at(&self, place: Place) -> Self {
        assert_eq!(place, PLACE);
        *self
    }

    fn expect(&self, key: CallKey, bytes: usize) {
        self.tell(Told::Expect(key, bytes));
    }

    fn proceed(&self) {
        self.tell(Told::Proceed);
    }

    fn is_last(&self) -> bool {
        false
    }

    fn answer(&self, answer: &Answer<'_>, last: bool) -> bool {
        let mut fields = Vec::new();
        answer.for_each_field(|name, value| {
            if !name.eq_ignore_ascii_case(b"date") {
                fields.push(format!("{}={}", name.escape_ascii(), value.escape_ascii()));
            }
        });
        let content = String::from_utf8(answer.content.pieces().concat()).unwrap();
        self.tell(Told::Answer { status: answer.status, fields, content, last });
        true
    }

    fn open(&self, answer: &Answer<'_>, opening: Opening, _abandoned: &mut Vec<CallKey>) {
        let Content::Streamed(length) = answer.content else { panic!("{:?}", answer.content) };
        self.tell(Told::Open { status: answer.status, length, old: opening.old, last: opening.last });
    }

    fn put(&self, piece: &[u8]) -> (Progress, Option<u32>) {
        self.tell(Told::Piece(String::from_utf8(piece.to_vec()).unwrap()));
        (self.0.progress, None)
    }

    fn end(&self) -> Progress {
        self.tell(Told::End);
        self.0.progress
    }

    fn cut(&self, _abandoned: &mut Vec<CallKey>) {
        self.tell(Told::Cut);
    }

    fn abort(&self, _abandoned: &mut Vec<CallKey>) {
        self.tell(Told::Abort);
    }

    fn begin_close(&self) {
        self.tell(Told::Close);
    }

    fn wake(&self) {
        self.tell(Told::Wake);
    }
}

const OWN: &[u8] = b"x-runner-request-id: abc\r\nVary: Origin\r\n";
const OWN_FIELDS: [&str; 2] = ["x-runner-request-id=abc", "Vary=Origin"];
const SECURITY: [&str; 2] = ["X-Content-Type-Options=nosniff", "X-Frame-Options=DENY"];

fn own() -> OwnFields<'static> {
    OwnFields::new(OWN, Span { start: 21, end: 24 })
}

fn json_fields(length: usize) -> Vec<String> {
    let length = format!("content-length={length}");
    let given = ["content-type=application/json; charset=utf-8", &length];
    [&OWN_FIELDS[..], &given, &SECURITY].concat().into_iter().map(str::to_owned).collect()
}

fn call(body: &'static [u8]) -> ReadyCall<'static> {
    ReadyCall {
        handler: 3,
        event: false,
        caller: Numbers::default(),
        old: false,
        own: own(),
        head: b"POST / HTTP/1.1\r\n\r\n",
        body,
    }
}

/// A call under way on `recorded`.
fn dispatched(shard: &Shard, recorded: &Recorded) -> CallKey {
    shard.dispatch(recorded.exchange(), &call(b"{\"a\":1}"), false);
    let key = shard.open.borrow().records.last().unwrap().key;
    assert_eq!(recorded.told(), [Told::Expect(key, 7)]);
    key
}

/// A call under way whose body is read as it comes.
fn streaming(shard: &Shard, recorded: &Recorded, framing: Framing) -> (CallKey, BodyStream) {
    let stream = BodyStream { reader: shard.body_reader(framing, u64::MAX), form: None };
    assert_eq!(shard.dispatch_stream(recorded.exchange(), &call(b""), &stream, false), Ok(()));
    let key = recorded.incoming.inflow().unwrap().key;
    assert_eq!(recorded.told(), [Told::Expect(key, 0)]);
    assert_eq!(recorded.incoming.clock.phase(), Phase::Stream);
    (key, stream)
}

/// Gives one record to the exchange, as `take_answers` does.
fn give(shard: &Shard, recorded: &Recorded, key: CallKey, outcome: Outcome, bytes: &[u8]) {
    let mut answers = AnswerBatch::default();
    let body = Span { start: 0, end: bytes.len() as u32 };
    (answers.raw, answers.json) = (bytes.to_vec(), bytes.to_vec());
    let record = AnswerRecord { key, outcome, body };
    let mut slots = shard.slots.borrow_mut();
    let slot = slots.get(key).unwrap();
    assert_eq!((slot.place, slot.own().request_id()), (PLACE, &b"abc"[..]));
    if slot.opened || outcome.is_of_a_stream() {
        return shard.take_stream_record(&mut slots, recorded.exchange(), &record, &answers.raw);
    }
    assert!(shard.give_answer(recorded.exchange(), slot, &record, &answers));
}

#[test]
fn a_call_is_dispatched_and_answered_without_a_connection() {
    let raw = RawAnswer { status: 201, reason_len: 0, lines_len: 6, cors: false, security: false };
    for (outcome, bytes, status, fields, content) in [
        (Outcome::Result, &b"3"[..], 200, json_fields(22), r#"{"ok":true,"result":3}"#),
        (Outcome::Done, b"", 200, json_fields(11), r#"{"ok":true}"#),
        (Outcome::Failed { status: 418 }, b"{}", 418, json_fields(2), "{}"),
        (
            Outcome::Raw(raw),
            b"a: b\r\nraw",
            201,
            [OWN_FIELDS[0], "a=b", "content-length=3"].map(str::to_owned).to_vec(),
            "raw",
        ),
    ] {
        let (shard, recorded) = (shard(|_| {}), Recorded::new());
        let key = dispatched(&shard, &recorded);
        {
            let open = shard.open.borrow();
            let record = open.records[0];
            assert_eq!((record.handler, record.body.of(&open.json)), (3, &b"{\"a\":1}"[..]));
            assert_eq!(record.request_id.of(&open.heads), b"abc");
        }
        give(&shard, &recorded, key, outcome, bytes);
        assert_eq!(recorded.answer(), (status, fields, content.to_owned(), false), "{outcome:?}");
    }
}

#[test]
fn a_call_that_cannot_run_is_refused_at_once() {
    let (shard, recorded) = (shard(|setup| setup.max_calls = 1), Recorded::new());
    shard.dispatch(recorded.exchange(), &call(b"{\"a\""), true);
    let (status, _, content, last) = recorded.answer();
    assert_eq!((status, last), (400, true));
    assert!(content.contains("INVALID_JSON"), "{content}");
    dispatched(&shard, &recorded);
    shard.dispatch(recorded.exchange(), &call(b"1"), false);
    let (status, fields, ..) = recorded.answer();
    assert_eq!(status, 503);
    assert_eq!(fields[2..4], ["Retry-After=1", "content-type=application/json; charset=utf-8"]);
}

#[test]
fn a_body_flows_within_its_window_and_is_thrown_away_when_its_call_is_answered() {
    let (shard, recorded) = (shard(|_| {}), Recorded::new());
    let body = vec![b'x'; BODY_WINDOW_BYTES as usize];
    let (key, mut stream) = streaming(&shard, &recorded, Framing::Length(body.len() as u64 + 5));
    let step = shard.take_stream(recorded.exchange(), &mut stream, &body);
    assert!(matches!(step, StreamStep::Took(Took::Bytes(taken)) if taken == body.len()));
    // The window is used up: no more is read until the host has taken some of it.
    let step = shard.take_stream(recorded.exchange(), &mut stream, b"more");
    assert!(matches!(step, StreamStep::Took(Took::Stop(Flow::Full))));
    assert_eq!((recorded.incoming.clock.phase(), recorded.told()), (Phase::Held, vec![]));
    give(&shard, &recorded, key, Outcome::Credit(4), b"");
    assert_eq!(recorded.told(), [Told::Wake]);
    let step = shard.take_stream(recorded.exchange(), &mut stream, b"more");
    assert!(matches!(step, StreamStep::Took(Took::Bytes(4))));
    let frames: usize = shard.open.borrow().frames.iter().map(|frame| frame.data.len()).sum();
    assert_eq!(frames, body.len() + 4);
    // The call is answered without the last byte.
    give(&shard, &recorded, key, Outcome::Result, b"1");
    shard.discard_body(recorded.exchange(), key);
    assert_eq!(recorded.incoming.clock.phase(), Phase::Skip);
    let told = recorded.told();
    assert!(matches!(&told[..], [Told::Answer { status: 200, last: false, .. }, Told::Wake]), "{told:?}");
    assert!(matches!(shard.take_stream(recorded.exchange(), &mut stream, b"x"), StreamStep::Unwanted));
}

#[test]
fn a_body_that_ends_ends_in_a_frame_and_a_broken_one_in_a_refusal() {
    let (shard, recorded) = (shard(|_| {}), Recorded::new());
    let (key, mut stream) = streaming(&shard, &recorded, Framing::Chunked);
    let step = shard.take_stream(recorded.exchange(), &mut stream, b"2\r\nab\r\n0\r\n\r\n");
    assert!(matches!(step, StreamStep::Done(Step { consumed: 12, done: true }, false)));
    let kinds: Vec<_> = shard.open.borrow().frames.iter().map(|frame| (frame.key, frame.kind)).collect();
    assert_eq!(kinds, [(key, FrameKind::Data), (key, FrameKind::End)]);
    assert_eq!(recorded.incoming.clock.phase(), Phase::Idle);

    let (_, mut stream) = streaming(&shard, &recorded, Framing::Chunked);
    let step = shard.take_stream(recorded.exchange(), &mut stream, b"nonsense\r\n");
    assert!(matches!(step, StreamStep::Took(Took::Stop(Flow::Close))));
    let told = recorded.told();
    assert!(matches!(&told[..], [Told::Answer { status: 400, last: true, .. }, Told::Close]), "{told:?}");
    assert_eq!(recorded.incoming.clock.phase(), Phase::Skip);

    // Its answer has begun: all that is left is to end it.
    let (key, mut stream) = streaming(&shard, &recorded, Framing::Chunked);
    let head = RawAnswer { status: 200, reason_len: 0, lines_len: 0, cors: true, security: true };
    give(&shard, &recorded, key, Outcome::Open(StreamHead { head, length: None }), b"");
    recorded.told();
    let step = shard.take_stream(recorded.exchange(), &mut stream, b"nonsense\r\n");
    assert!(matches!(step, StreamStep::Took(Took::Stop(Flow::Close))));
    assert_eq!(recorded.told(), [Told::Abort]);
}

#[test]
fn a_streamed_answer_arrives_as_head_pieces_and_end() {
    let (shard, mut recorded) = (shard(|_| {}), Recorded::new());
    let head = RawAnswer { status: 206, reason_len: 0, lines_len: 0, cors: true, security: true };
    let open = Outcome::Open(StreamHead { head, length: Some(3) });
    let opened = || Told::Open { status: 206, length: Some(3), old: false, last: false };
    let key = dispatched(&shard, &recorded);
    give(&shard, &recorded, key, open, b"");
    give(&shard, &recorded, key, Outcome::Data, b"abc");
    give(&shard, &recorded, key, Outcome::End, b"");
    assert_eq!(recorded.told(), [opened(), Told::Piece("abc".into()), Told::End]);
    assert!(shard.slots.borrow().get(key).is_none(), "the call is over");
    // The sink says that the length was wrong: the client has to see it.
    recorded.progress = Progress::Broken;
    let key = dispatched(&shard, &recorded);
    give(&shard, &recorded, key, open, b"");
    give(&shard, &recorded, key, Outcome::Data, b"abcd");
    assert_eq!(recorded.told(), [opened(), Told::Piece("abcd".into()), Told::Cut]);
    assert_eq!(shard.open.borrow().gone, [key], "the host hears that nobody wants the rest");
    // A head that may not be sent costs the call.
    let key = dispatched(&shard, &recorded);
    let bad = RawAnswer { status: 99, ..head };
    give(&shard, &recorded, key, Outcome::Open(StreamHead { head: bad, length: None }), b"");
    assert_eq!(recorded.answer().0, 500);
}

#[test]
fn a_request_is_asked_about_and_decided_again_with_the_word() {
    let (shard, recorded) = (shard(|_| {}), Recorded::new());
    let question = Question { origin: true, auth: false };
    let ask = || {
        assert!(shard.ask(recorded.exchange(), question, own(), b"POST / HTTP/1.1\r\n\r\n"));
        recorded.incoming.question().unwrap()
    };
    let key = ask();
    let word = |outcome, bytes: &[u8]| {
        let body = Span { start: 0, end: bytes.len() as u32 };
        shard.take_advice(recorded.exchange(), &AnswerRecord { key, outcome, body }, bytes, own());
    };
    word(Outcome::Advice { passed: true }, b"https://a");
    assert_eq!(recorded.told(), [Told::Wake]);
    let advised = recorded.incoming.take_advice().unwrap();
    assert_eq!((&advised.advice.origin[..], &advised.request_id[..]), (&b"https://a"[..], &b"abc"[..]));
    ask();
    word(Outcome::TimedOut, b"");
    let told = recorded.told();
    assert!(matches!(&told[..], [Told::Answer { status: 504, last: true, .. }, Told::Close]), "{told:?}");
    assert!(!recorded.incoming.is_asking());
}

#[test]
fn an_early_answer_leaves_the_rest_of_the_body_to_be_thrown_away() {
    let (shard, recorded) = (shard(|_| {}), Recorded::new());
    for (lines, behind, rest, last) in [
        ("Content-Length: 2\r\n", "ab", false, false),
        ("Content-Length: 9\r\n", "ab", true, false),
        ("Content-Length: 99999999999\r\n", "", true, true),
        ("Transfer-Encoding: chunked\r\n", "no chunk\r\n", false, true),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let mut head = Head::default();
        head.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
        let refusal = Decision::Refuse(Refusal::Unauthorized);
        let answered = shard.answer_early(recorded.exchange(), &head, refusal, own(), false, behind.as_bytes());
        let (status, fields, content, said_last) = recorded.answer();
        assert_eq!((status, said_last, answered.rest.is_some()), (401, last, rest), "{lines}");
        assert_eq!(fields, json_fields(content.len()));
        assert_eq!(recorded.incoming.clock.phase() == Phase::Skip, rest, "{lines}");
        recorded.incoming.clock.restart(Phase::Idle, 0);
    }
    let took = shard.protocol_error(recorded.exchange(), Refusal::BadRequest);
    assert!(matches!(took, Took::Stop(Flow::Close)));
    let (status, fields, ..) = recorded.answer();
    assert_eq!((status, fields.len()), (400, 4), "nothing of the request is known: {fields:?}");
}

/// Takes frames, and keeps calls waiting.
struct FramesOnly;

impl Backend for FramesOnly {
    fn attach(&self, _ports: &[ShardPort]) {}

    fn submit(&self, _shard: usize, mut calls: Box<CallBatch>, _answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        calls.frames.clear();
        calls.data.clear();
        Some(calls)
    }

    fn stopped(&self, _shard: usize) {}
}

#[test]
fn whoever_waits_for_room_in_the_batch_goes_on_when_frames_are_taken_and_no_call_is() {
    let (shard, recorded) = (shard(|setup| setup.backend = Arc::new(FramesOnly)), Recorded::new());
    let key = dispatched(&shard, &recorded);
    shard.batch_waiters.borrow_mut().push(PLACE.conn);
    shard.submit();
    assert_eq!(*shard.batch_waiters.borrow(), [PLACE.conn], "nothing was taken");
    shard.open.borrow_mut().frames.push(Frame { key, kind: FrameKind::Credit(1), data: Span::default() });
    shard.submit();
    assert!(shard.batch_waiters.borrow().is_empty());
    assert_eq!((shard.open.borrow().records.len(), shard.counters.frames.get()), (1, 1));
}
