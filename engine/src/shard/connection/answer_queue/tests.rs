//! The queue alone: order, credit, and the books of bytes.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::limits::ANSWER_FIRST_BYTES;
use crate::wire::answer_body::AnswerFraming;

fn key(slot: u32) -> CallKey {
    CallKey { slot, generation: 0 }
}

/// A queue of calls, numbered from 0.
fn queue(calls: u32) -> AnswerQueue {
    let mut queue = AnswerQueue::default();
    (0..calls).for_each(|slot| queue.push_waiting(key(slot), 1));
    queue
}

fn open(queue: &mut AnswerQueue, sequence: u64, framing: AnswerFraming) {
    queue.open(sequence, AnswerBody::new(framing), |out| out.extend_from_slice(b"head "));
}

fn output(queue: &mut AnswerQueue) -> (String, Option<(CallKey, u64)>) {
    let output = queue.take_output().unwrap();
    (String::from_utf8(output.bytes).unwrap(), output.load)
}

#[test]
fn streams_take_turns_with_other_answers() {
    let mut queue = queue(3);
    open(&mut queue, 1, AnswerFraming::UntilClose);
    assert_eq!(queue.put(1, b"early "), Progress::Fine);
    assert!(!queue.answer(2, |out| out.extend_from_slice(b"last")));
    assert!(queue.take_output().is_none() && queue.grant(|| 9).is_none());
    assert!(queue.answer(0, |out| out.extend_from_slice(b"first ")));
    assert_eq!(queue.put(1, b"late "), Progress::Fine);
    assert!(queue.ends_with_connection());
    assert_eq!(queue.end(1), Progress::Fine);
    assert_eq!(output(&mut queue), ("first head early late last".into(), Some((key(1), 11))));
    assert_eq!((queue.len(), queue.next_sequence()), (0, 3));
}

#[test]
fn credit_follows_what_was_sent() {
    let mut queue = queue(1);
    open(&mut queue, 0, AnswerFraming::Chunked);
    let window = ANSWER_FIRST_BYTES * 4;
    assert_eq!(queue.grant(|| window), Some((key(0), window - ANSWER_FIRST_BYTES)));
    assert_eq!(queue.grant(|| window), None);
    assert_eq!(queue.put(0, &vec![b'x'; ANSWER_FIRST_BYTES as usize]), Progress::Fine);
    assert_eq!(output(&mut queue).1, Some((key(0), u64::from(ANSWER_FIRST_BYTES))));
    // In quarters of the window.
    assert_eq!(queue.sent(key(0), u64::from(ANSWER_FIRST_BYTES) - 1), None);
    assert_eq!(queue.sent(key(9), 1), None);
    assert_eq!(queue.sent(key(0), 1), Some(ANSWER_FIRST_BYTES));
    // Never more than what came.
    assert_eq!(queue.sent(key(0), 1 << 40), None);
}

#[test]
fn what_is_thrown_away_is_credited() {
    let mut queue = queue(2);
    open(&mut queue, 1, AnswerFraming::NoContent);
    assert_eq!(queue.put(1, &vec![b'x'; ANSWER_FIRST_BYTES as usize]), Progress::Fine);
    assert_eq!(queue.settle(1), Some(ANSWER_FIRST_BYTES));
    assert_eq!(queue.settle(1), None);
}

#[test]
fn a_broken_answer_takes_those_behind_it_along() {
    let mut queue = queue(4);
    open(&mut queue, 1, AnswerFraming::Length(5));
    open(&mut queue, 2, AnswerFraming::Chunked);
    assert_eq!(queue.put(1, b"123456"), Progress::Broken);
    assert_eq!((queue.end(0), queue.end(7), queue.put(0, b"")), (Progress::Broken, Progress::Broken, Progress::Broken));
    let mut abandoned = Vec::new();
    queue.truncate(1, &mut abandoned);
    assert_eq!(abandoned, [key(1), key(2), key(3)]);
    assert!(queue.answer(0, |out| out.extend_from_slice(b"first")));
    assert_eq!(output(&mut queue).0, "first");
    queue.truncate(0, &mut abandoned);
    assert_eq!(abandoned.len(), 3);
}

#[test]
fn what_the_first_has_written_stays() {
    let mut queue = queue(2);
    open(&mut queue, 0, AnswerFraming::Length(5));
    assert_eq!((queue.put(0, b"12"), queue.end(0)), (Progress::Fine, Progress::Broken));
    let mut abandoned = Vec::new();
    queue.truncate(0, &mut abandoned);
    assert_eq!(abandoned, [key(0), key(1)]);
    assert_eq!(output(&mut queue).0, "head 12");
}

/// What the buffers have on their books is what the queue holds, until nothing is left of it.
#[test]
fn bytes_are_counted_until_they_are_sent() {
    let buffers = Rc::<Buffers>::default();
    let mut queue = AnswerQueue::new(buffers.clone());
    queue.push_waiting(key(0), 70);
    queue.push_waiting(key(1), 7);
    assert_eq!((queue.asked_bytes(), queue.held_bytes(), buffers.held()), (77, 0, 0));
    // Out of turn they count as well.
    queue.answer(1, |out| out.extend_from_slice(b"second"));
    assert_eq!((queue.asked_bytes(), queue.held_bytes(), queue.queued_bytes()), (70, 6, 0));
    queue.answer(0, |out| out.extend_from_slice(b"first "));
    assert_eq!((queue.asked_bytes(), queue.held_bytes(), queue.queued_bytes()), (0, 12, 12));
    // On the way they do, too; when the connection ends, what is on the way is all that is left.
    let output = queue.take_output().unwrap();
    queue.answer_now(|out| out.extend_from_slice(b"third"));
    assert_eq!((queue.held_bytes(), buffers.held()), (17, 17));
    queue.clear(&mut Vec::new());
    assert_eq!((queue.held_bytes(), buffers.held()), (12, 12));
    queue.recycle(output.bytes);
    assert_eq!(buffers.held(), 0);
    // Whatever it still holds goes with it.
    queue.answer_now(|out| out.extend_from_slice(b"late"));
    drop(queue);
    assert_eq!(buffers.held(), 0);
}
