//! One connection: keeps its requests under way, checks the answers.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, Splitable};
use monoio::net::TcpStream;

use crate::answer::{Answer, AnswerReader, Kind};
use crate::encrypted;
use crate::load::Load;
use crate::other::Sent;
use crate::tally::Failure;

/// First read buffer; grows with the answers.
const READ_BYTES: usize = 16 * 1024;

/// A connection on this machine is there at once, or the server's queue is full.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// Why a connection has ended.
#[derive(Debug)]
pub struct Broken(pub Failure, pub String);

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken(Failure::Io, error.to_string())
    }
}

/// Opens the connection of `slot`. Blocking: the ring has nothing better to do, and it is bounded.
pub fn connect(load: &Load, slot: usize) -> io::Result<TcpStream> {
    let socket = std::net::TcpStream::connect_timeout(&load.address, CONNECT_PATIENCE)?;
    socket.set_nodelay(true)?;
    load.keep(slot, socket.try_clone()?);
    TcpStream::from_std(socket)
}

/// Runs a connection, and its successors if it breaks, until the run is over.
pub async fn serve(load: Rc<Load>, slot: usize, first: TcpStream) {
    let mut stream = Some(first);
    while !load.stopping() {
        let socket = match stream.take().map_or_else(|| connect(&load, slot), Ok) {
            Ok(socket) => socket,
            Err(error) => {
                load.tally.borrow_mut().fail(Failure::Connect, 1, || error.to_string());
                break;
            }
        };
        let mut started = VecDeque::with_capacity(load.pipeline);
        let talked = match &load.tls {
            Some(config) => encrypted::talk(&load, config, socket, &mut started).await,
            None => talk(&load, socket, &mut started).await,
        };
        if let Err(Broken(failure, text)) = talked {
            let failure = if load.cut() { Failure::Unanswered } else { failure };
            let lost = (started.len() as u64).max(1);
            load.tally.borrow_mut().fail(failure, lost, || text);
            load.lost(&started);
        }
    }
    load.ended();
}

/// Sends and receives until the run is over and nothing is under way. `started` holds the start of each request that
/// is, oldest first.
async fn talk(load: &Rc<Load>, socket: TcpStream, started: &mut VecDeque<Sent>) -> Result<(), Broken> {
    let (mut reader, mut writer) = socket.into_split();
    let mut answers = AnswerReader::default();
    let mut input = Vec::with_capacity(READ_BYTES);
    loop {
        let count = load.begin(started).await;
        if started.is_empty() {
            return Ok(());
        }
        // Both at once, so that a request costs one turn of the ring and not two.
        let (requests, length) = load.bytes(started, count);
        let block = requests.slice(..length);
        let mut write = pin!(writer.write_all(block));
        let (mut written, mut failed, mut answered) = (count == 0, None, 0);
        while !started.is_empty() && (answered == 0 || !written) {
            if input.len() == input.capacity() {
                input.reserve(input.len().max(READ_BYTES));
            }
            let filled = input.len();
            let mut read = pin!(reader.read(input.slice_mut(filled..)));
            let (outcome, slice) = std::future::poll_fn(|context| {
                if !written && let Poll::Ready((outcome, _)) = write.as_mut().poll(context) {
                    written = true;
                    failed = outcome.err();
                }
                read.as_mut().poll(context)
            })
            .await;
            input = slice.into_inner();
            if let Some(error) = failed {
                return Err(error.into());
            }
            if outcome? == 0 {
                return Err(Broken(Failure::Closed, "the server has closed the connection".to_owned()));
            }
            answered += take(load, &mut answers, &mut input, started)?;
        }
        if !written {
            write.await.0?;
        }
        if load.fresh {
            return Ok(());
        }
    }
}

/// Takes the whole answers out of `input`; how many.
pub fn take(
    load: &Load,
    answers: &mut AnswerReader,
    input: &mut Vec<u8>,
    started: &mut VecDeque<Sent>,
) -> Result<usize, Broken> {
    let now = load.now_ns();
    let (mut from, mut count) = (0, 0);
    let mut tally = load.tally.borrow_mut();
    while from < input.len() {
        let next = answers.next(&input[from..]).map_err(|why| Broken(Failure::Malformed, why.to_owned()))?;
        let Some(answer) = next else { break };
        let Some(sent) = started.pop_front() else {
            return Err(Broken(Failure::Malformed, "an answer that nobody has asked for".to_owned()));
        };
        let latency_ns = now.saturating_sub(sent.at_ns);
        match answer.kind {
            Kind::Refusal => tally.refuse(latency_ns, || excerpt(&answer)),
            Kind::Other => tally.fail(Failure::Status, 1, || excerpt(&answer)),
            Kind::Ok if answer.body != load.expected => tally.fail(Failure::Body, 1, || excerpt(&answer)),
            Kind::Ok => tally.record(latency_ns, sent.other),
        }
        from += answer.bytes.len();
        count += 1;
    }
    if from == input.len() {
        input.clear();
    } else {
        input.drain(..from);
    }
    Ok(count)
}

/// The status line and the beginning of the body.
fn excerpt(answer: &Answer<'_>) -> String {
    let line = answer.bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let body = answer.body.get(..120).unwrap_or(answer.body);
    format!("{} {}", String::from_utf8_lossy(line), String::from_utf8_lossy(body))
}

/// Ends whatever waits on a connection.
pub fn cut(socket: &std::net::TcpStream) {
    // An error says that it has ended already.
    let _ = socket.shutdown(Shutdown::Both);
}
