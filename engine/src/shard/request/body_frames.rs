//! The frames that a body becomes: pieces of bytes, or what a form holds.

use crate::limits::FRAME_BYTES;
use crate::link::batch::{CallBatch, CallKey, Frame, FrameKind};
use crate::tunnel::multipart::{BodyRefusal, Event, MultipartReader, write_file_json};
use crate::wire::body::{BodyError, BodyReader, Step};
use crate::wire::fields::Span;

/// What was made of a piece: how far it went, why the body is refused, and how many bytes of the window it takes.
pub(in crate::shard) type Made = (Result<Step, BodyError>, Option<BodyRefusal>, u32);

pub(in crate::shard) fn read_octets(reader: &mut BodyReader, input: &[u8], open: &mut CallBatch, key: CallKey) -> Made {
    let before = open.data.len();
    let read = reader.read(input, &mut open.data);
    push_data(open, key, before);
    (read, None, (open.data.len() - before) as u32)
}

pub(in crate::shard) fn read_form(
    reader: &mut BodyReader,
    form: &mut MultipartReader,
    input: &[u8],
    open: &mut CallBatch,
    key: CallKey,
) -> Made {
    let (mut taken, mut verdict) = (0, Ok(()));
    let mut sink = |event: Event<'_>| {
        let before = open.data.len();
        let kind = match event {
            Event::Data(bytes) => {
                open.data.extend_from_slice(bytes);
                taken += bytes.len() as u32;
                return push_data(open, key, before);
            }
            Event::Manifest(bytes) => {
                open.data.extend_from_slice(bytes);
                taken += bytes.len() as u32;
                FrameKind::Manifest
            }
            Event::File(head) => {
                write_file_json(&mut open.data, head);
                FrameKind::File
            }
            Event::FileEnd => FrameKind::FileEnd,
        };
        open.frames.push(Frame { key, kind, data: Span { start: before as u32, end: open.data.len() as u32 } });
    };
    let read = reader.pass(input, |bytes| {
        if verdict.is_ok() {
            verdict = form.feed(bytes, &mut sink);
        }
    });
    if matches!(read, Ok(Step { done: true, .. })) && verdict.is_ok() {
        verdict = form.finish(&mut sink);
    }
    (read, verdict.err(), taken)
}

/// Puts what was appended to the batch's data since `from` into frames of call `key`.
fn push_data(open: &mut CallBatch, key: CallKey, from: usize) {
    let (mut start, end) = (from as u32, open.data.len() as u32);
    if let Some(frame) = open.frames.last_mut()
        && frame.kind == FrameKind::Data
        && frame.key == key
    {
        // Nothing else has been put behind it.
        let room = (FRAME_BYTES as u32).saturating_sub(frame.data.end - frame.data.start);
        start = end.min(start + room);
        frame.data.end = start;
    }
    while start < end {
        let next = end.min(start + FRAME_BYTES as u32);
        open.frames.push(Frame { key, kind: FrameKind::Data, data: Span { start, end: next } });
        start = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_one_body_are_merged_into_frames_of_bounded_length() {
        let (one, two) = (CallKey { slot: 1, generation: 0 }, CallKey { slot: 2, generation: 0 });
        let mut open = CallBatch::default();
        for (key, bytes) in
            [(one, 10), (one, 0), (one, FRAME_BYTES), (two, 5), (one, 2 * FRAME_BYTES + 1), (one, FRAME_BYTES)]
        {
            let from = open.data.len();
            open.data.resize(from + bytes, b'x');
            push_data(&mut open, key, from);
        }
        let lengths: Vec<_> = open.frames.iter().map(|frame| (frame.key.slot, frame.data.len())).collect();
        let full = FRAME_BYTES;
        assert_eq!(lengths, [(1, full), (1, 10), (2, 5), (1, full), (1, full), (1, full), (1, 1)]);
        let mut at = 0;
        for frame in &open.frames {
            assert_eq!(frame.data.start, at);
            at = frame.data.end;
        }
        assert_eq!(at as usize, open.data.len());
    }
}
