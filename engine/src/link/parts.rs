//! A batch in parts: calls, and what follows them, are copied from one batch to another.

use std::collections::HashSet;
use std::time::Instant;

use super::batch::{Arrival, CallBatch, CallKey, CallRecord, Frame, Notice, flags};
use crate::wire::fields::Span;

/// Copies a call of `from`, to be run by `handler`; it came at `arrived`.
pub(super) fn copy_call(
    to: &mut CallBatch,
    from: &CallBatch,
    record: &CallRecord,
    handler: u32,
    arrived: Option<Instant>,
) {
    let start = to.open_body();
    to.json.extend_from_slice(record.body.of(&from.json));
    let body = to.close_body(start);
    // Request id, request line and field lines lie one behind the other.
    let head = Span { start: record.request_id.start, end: record.fields.end };
    let copied = to.push_head(head.of(&from.heads));
    let moved = |span: Span| Span {
        start: copied.start + (span.start - head.start),
        end: copied.start + (span.end - head.start),
    };
    let (request_id, fields) = (moved(record.request_id), moved(record.fields));
    to.records.push(CallRecord { handler, body, request_id, fields, ..*record });
    to.asks += usize::from(record.flags & flags::ASK != 0);
    if let Some(at) = arrived {
        let calls = to.records.len();
        match to.arrivals.last_mut() {
            Some(last) if last.at == at => last.calls = calls,
            _ => to.arrivals.push(Arrival { calls, at }),
        }
    }
}

/// Copies a frame of another batch, and its `bytes`.
pub(super) fn copy_frame(to: &mut CallBatch, frame: &Frame, bytes: &[u8]) {
    let start = to.data.len() as u32;
    to.data.extend_from_slice(bytes);
    to.frames.push(Frame { data: Span { start, end: to.data.len() as u32 }, ..*frame });
}

/// Keeps the frames that `keep` wants, given their bytes, and the bytes of these alone. So the last frame still ends where
/// the data ends: whoever has more of the same body adds it there.
pub(super) fn retain_frames(batch: &mut CallBatch, mut keep: impl FnMut(&Frame, &[u8]) -> bool) {
    let CallBatch { frames, data, .. } = batch;
    let mut end = 0;
    frames.retain_mut(|frame| {
        let bytes = frame.data.of(data);
        let kept = keep(frame, bytes);
        if kept {
            // Frames lie in their order, so that what is moved overwrites nothing that is still to be looked at.
            let (start, length) = (frame.data.start as usize, bytes.len());
            if length > 0 && start > end {
                data.copy_within(start..start + length, end);
            }
            frame.data = Span { start: end as u32, end: (end + length) as u32 };
            end += length;
        }
        kept
    });
    data.truncate(end);
}

/// Copies what the shard reports of refusals.
pub(super) fn copy_notices(to: &mut CallBatch, from: &CallBatch) {
    for notice in &from.notices {
        let [request_id, method, path] =
            [notice.request_id, notice.method, notice.path].map(|span| to.push_head(span.of(&from.heads)));
        to.notices.push(Notice { request_id, method, path, ..*notice });
    }
}

/// Copies all of `from` behind what `to` holds.
pub(super) fn append(to: &mut CallBatch, from: &CallBatch) {
    for (index, record) in from.records.iter().enumerate() {
        copy_call(to, from, record, record.handler, from.arrival_of(index));
    }
    from.frames.iter().for_each(|frame| copy_frame(to, frame, frame.data.of(&from.data)));
    copy_notices(to, from);
    to.gone.extend_from_slice(&from.gone);
    to.restarted |= from.restarted;
    to.weigh_as(from);
}

/// Forgets the first `count` calls, and the frames that follow them. The texts of the calls stay until the batch is emptied.
pub fn drop_first(batch: &mut CallBatch, count: usize) {
    let mut dropped: Vec<_> = batch.records.drain(..count.min(batch.records.len())).collect();
    batch.asks -= dropped.iter().filter(|record| record.flags & flags::ASK != 0).count();
    batch.arrivals.retain_mut(|arrival| {
        arrival.calls = arrival.calls.saturating_sub(count);
        arrival.calls > 0
    });
    if !batch.frames.is_empty() {
        dropped.sort_unstable_by_key(|record| record.key.slot);
        retain_frames(batch, |frame, _| {
            let from = dropped.partition_point(|record| record.key.slot < frame.key.slot);
            let same_slot = dropped.get(from..).unwrap_or_default().iter().take_while(|r| r.key.slot == frame.key.slot);
            !same_slot.into_iter().any(|record| record.key == frame.key)
        });
    }
}

/// Puts the word that a client has left into the batch that has its call. That may stand in a later batch than the call, and
/// the slot may have the call of another by now: whose client has left does not move. The word on calls that are in none of
/// the batches stays where it is.
#[allow(clippy::vec_box)]
pub(super) fn gather_gone(batches: &mut [Box<CallBatch>]) {
    let gone: HashSet<CallKey> = batches.iter().flat_map(|calls| &calls.gone).copied().collect();
    if gone.is_empty() {
        return;
    }
    let waiting: HashSet<CallKey> = batches.iter().flat_map(|calls| &calls.records).map(|record| record.key).collect();
    for calls in batches {
        calls.gone.retain(|key| !waiting.contains(key));
        let here = calls.records.iter().map(|record| record.key).filter(|key| gone.contains(key));
        calls.gone.extend(here);
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::FrameKind;
    use super::*;

    const HEAD: &[u8] = b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n";

    fn key(slot: u32) -> CallKey {
        CallKey { slot, generation: 7 }
    }

    fn batch(texts: &[&str], at: Instant) -> CallBatch {
        let mut batch = CallBatch::default();
        for (slot, text) in (0..).zip(texts) {
            let start = batch.open_body();
            batch.json.extend_from_slice(text.as_bytes());
            let body = batch.close_body(start);
            let (request_id, fields) = batch.push_call_head(text.as_bytes(), HEAD);
            batch.records.push(CallRecord {
                key: key(slot),
                handler: slot,
                flags: 0,
                body,
                request_id,
                fields,
                peer: 0,
            });
            batch.data.extend_from_slice(text.as_bytes());
            let data = Span { start: batch.data.len() as u32 - text.len() as u32, end: batch.data.len() as u32 };
            batch.frames.push(Frame { key: key(slot), kind: FrameKind::Data, data });
        }
        batch.note_arrival(at);
        batch
    }

    #[test]
    fn a_copied_call_reads_as_the_original() {
        let at = Instant::now();
        let (from, mut to) = (batch(&["1", "[22]", "333"], at), batch(&["0"], at));
        copy_call(&mut to, &from, &from.records[1], 9, from.arrival_of(1));
        copy_frame(&mut to, &from.frames[1], from.frames[1].data.of(&from.data));
        let copied = to.records[1];
        assert_eq!((to.json.as_slice(), copied.body.of(&to.json)), (&b"0,[22]"[..], &b"[22]"[..]));
        assert_eq!((copied.key, copied.handler, copied.request_id.of(&to.heads)), (key(1), 9, &b"[22]"[..]));
        assert_eq!(copied.head().of(&to.heads), &HEAD[..HEAD.len() - 2]);
        assert_eq!(copied.fields.of(&to.heads), b"Host: x\r\n");
        assert_eq!((to.arrival_of(1), to.frames[1].data.of(&to.data)), (Some(at), &b"[22]"[..]));
    }

    #[test]
    fn what_is_dropped_takes_its_frames_along() {
        let at = Instant::now();
        let mut left = batch(&["1", "2", "3"], at);
        drop_first(&mut left, 2);
        let keys: Vec<_> = left.records.iter().map(|record| record.key).collect();
        assert_eq!((keys, left.frames.len(), left.frames[0].key), (vec![key(2)], 1, key(2)));
        assert_eq!((left.arrival_of(0), left.arrival_of(1)), (Some(at), None));
        assert_eq!(left.records[0].body.of(&left.json), b"3");
    }

    /// The shard adds to the last frame what has come of the same body since.
    #[test]
    fn frames_that_are_kept_hold_their_own_bytes_and_no_others_are_left() {
        let at = Instant::now();
        let texts = ["1", "22", "", "4444", "5"];
        for kept in [&[0_u32, 3][..], &[1, 2, 4], &[2], &[], &[0, 1, 2, 3, 4]] {
            let mut left = batch(&texts, at);
            retain_frames(&mut left, |frame, bytes| {
                assert_eq!(bytes, texts[frame.key.slot as usize].as_bytes());
                kept.contains(&frame.key.slot)
            });
            let got: Vec<_> = left.frames.iter().map(|frame| (frame.key.slot, frame.data.of(&left.data))).collect();
            let wanted: Vec<_> = kept.iter().map(|slot| (*slot, texts[*slot as usize].as_bytes())).collect();
            assert_eq!(got, wanted);
            assert_eq!(left.frames.last().map_or(0, |last| last.data.end as usize), left.data.len());
        }
        let mut left = batch(&texts, at);
        drop_first(&mut left, 3);
        assert_eq!(left.data, b"44445");
    }
}
