//! Requests that JavaScript is asked about before they are decided: the question out, its word back, and the connection
//! that waits in between.
//!
//! The head stays at the front of the connection's buffer: with the advice it is simply decided again. Meanwhile no
//! further request is taken, but the socket is read on, because only a read tells that the client has left.

use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;

use crate::limits::{ASK_READ_AHEAD_BYTES, READ_BUFFER_BYTES};
use crate::link::batch::{AnswerRecord, CallRecord, Outcome, flags};
use crate::link::peers::{Entered, NO_PEER};
use crate::shard::Shard;
use crate::shard::connection::conn::{Conn, Phase};
use crate::shard::exchange::asking::Advised;
use crate::shard::exchange::flow::Flow;
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::sink::Sink;
use crate::shard::request::intake::Intake;
use crate::shard::transport::halves::ReadHalf;
use crate::tunnel::advice::{Advice, Question};
use crate::tunnel::envelope::Refusal;
use crate::wire::scanner::begins_a_head;

impl Shard {
    /// Asks about a request; false when too many calls are under way.
    pub(in crate::shard) fn ask(
        &self,
        exchange: Exchange<'_, impl Sink>,
        question: Question,
        own: OwnFields<'_>,
        head: &[u8],
    ) -> bool {
        let Some(key) = self.take_slot(exchange.sink.place(), own, true) else { return false };
        let mut bits = 0;
        if question.origin {
            bits |= flags::ASK_ORIGIN;
        }
        if question.auth {
            bits |= flags::ASK_AUTH;
        }
        let mut open = self.open.borrow_mut();
        let start = open.open_body();
        open.json.extend_from_slice(b"null");
        let body = open.close_body(start);
        let peer = exchange.sink.peer(&self.peers).map_or(NO_PEER, Entered::number);
        let (request_id, fields) = open.push_call_head(own.request_id(), head);
        open.records.push(CallRecord { key, handler: 0, flags: bits, body, request_id, fields, peer });
        open.asks += 1;
        drop(open);
        self.counters.asks.add(1);
        exchange.incoming.begin_ask(key);
        true
    }

    /// Takes the word on a request. Anything but advice counts as: nobody vouches for it.
    pub(in crate::shard) fn take_advice(
        &self,
        exchange: Exchange<'_, impl Sink>,
        record: &AnswerRecord,
        raw: &[u8],
        own: OwnFields<'_>,
    ) {
        let advice = match record.outcome {
            Outcome::Advice { passed } => Advice { passed, origin: record.body.of(raw).to_vec() },
            Outcome::TimedOut => {
                exchange.incoming.end_ask();
                self.refuse(exchange, Refusal::HandlerTimeout, own, true);
                // The request is answered, but its head still stands before everything that follows.
                return exchange.sink.begin_close();
            }
            _ => Advice::default(),
        };
        let request_id = own.request_id().to_vec();
        let overloaded = record.outcome == Outcome::Overloaded;
        if overloaded {
            self.counters.shed.add(1);
        }
        exchange.advise(Box::new(Advised { advice, request_id, overloaded }));
    }
}

/// What has become of a connection that asked.
pub(in crate::shard) enum Consulted {
    /// It reads on as any other.
    Done,
    /// No further request is taken; the last answer may still be on its way.
    Closing,
    /// Nothing more will come in.
    Ended,
}

/// Waits for the word on the request at the front of `buffer`, and for whatever requests behind it have to wait for,
/// while a read is under way. Returns when none is, because a read cannot be taken back.
pub(in crate::shard) async fn consult(
    shard: &Shard,
    conn: &Conn,
    intake: &mut Intake,
    buffer: &mut BytesMut,
    reader: &mut ReadHalf,
) -> Consulted {
    let mut flow = Flow::Ask;
    while flow == Flow::Ask && buffer.len() < ASK_READ_AHEAD_BYTES {
        let (read, ahead) = {
            let mut read = pin!(reader.read(Vec::with_capacity(READ_BUFFER_BYTES)));
            std::future::poll_fn(|cx| {
                go_on(shard, conn, intake, buffer, &mut flow);
                read.as_mut().poll(cx)
            })
            .await
        };
        shard.touch();
        match read {
            Ok(0) if !conn.service().half_closes => {
                shard.cut_off(conn);
                return Consulted::Ended;
            }
            Ok(0) => return end_of_input(shard, conn, intake, buffer, flow).await,
            Ok(bytes) => {
                conn.count_bytes(bytes, shard.now_ms());
                buffer.extend_from_slice(&ahead);
                conn.hold_input(buffer.capacity());
            }
            Err(_) => {
                shard.cut_off(conn);
                return Consulted::Ended;
            }
        }
    }
    std::future::poll_fn(|_| {
        go_on(shard, conn, intake, buffer, &mut flow);
        if flow == Flow::Ask { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    if flow == Flow::Close { Consulted::Closing } else { Consulted::Done }
}

/// Takes in what the buffer holds as far as it goes: again whenever what it waits for has come.
fn go_on(shard: &Shard, conn: &Conn, intake: &mut Intake, buffer: &mut BytesMut, flow: &mut Flow) {
    loop {
        let may_go_on = match *flow {
            Flow::Ask => conn.incoming().is_advised() || conn.closing(),
            Flow::Full => conn.may_read(&shard.limits),
            Flow::More | Flow::Http2 | Flow::Close => false,
        };
        if !may_go_on {
            return conn.set_unread(*flow == Flow::Full);
        }
        shard.touch();
        *flow = intake.take_in(shard, conn, buffer);
        if *flow == Flow::Close {
            conn.begin_close();
        }
    }
}

/// The client has sent FIN: what it has asked for before may still be answered within the grace of any half-closed
/// connection.
async fn end_of_input(
    shard: &Shard,
    conn: &Conn,
    intake: &mut Intake,
    buffer: &mut BytesMut,
    mut flow: Flow,
) -> Consulted {
    std::future::poll_fn(|_| {
        go_on(shard, conn, intake, buffer, &mut flow);
        if matches!(flow, Flow::More | Flow::Close) {
            return Poll::Ready(());
        }
        conn.enter(Phase::HalfClosed, shard.now_ms());
        Poll::Pending
    })
    .await;
    if flow == Flow::More {
        intake.end_of_input(shard, conn, begins_a_head(buffer));
    } else if !conn.settled() {
        conn.enter(Phase::HalfClosed, shard.now_ms());
    }
    Consulted::Ended
}
