//! Frames between a drain and JavaScript, which fetches them one by one.

use std::collections::VecDeque;

use fasttunnel_engine::limits::BATCH_DATA_KEEP_BYTES;
use fasttunnel_engine::link::batch::{CallBatch, Frame, FrameKind};

use crate::layout::frame;

/// Bytes of frames in one drain, unless a single frame has more. The rest waits for the next drain: the application's
/// own events get their turn. With as many waiting, no more batches are fetched.
const MAX_DRAIN_BYTES: usize = 1024 * 1024;

/// The same in frames, which may be empty.
const MAX_DRAIN_FRAMES: usize = 1024;

/// Parcels that are kept for the next batches. More: freed.
const SPARE_PARCELS: usize = 4;

/// The frames of one batch, with the memory that they lie in.
#[derive(Default)]
struct Parcel {
    shard: u32,
    frames: Vec<Frame>,
    data: Vec<u8>,
    /// The first that was not fetched.
    next: usize,
}

/// What was drained and not fetched. A batch goes home at once, with the memory of a parcel that is done.
#[derive(Default)]
pub struct FrameQueue {
    parcels: VecDeque<Parcel>,
    spare: Vec<Parcel>,
    /// Frames and bytes of them in all parcels, fetched ones not counted.
    frames: usize,
    bytes: usize,
}

impl FrameQueue {
    /// Takes the frames of a batch.
    pub fn take(&mut self, shard: u32, batch: &mut CallBatch) {
        if batch.frames.is_empty() {
            return;
        }
        let mut parcel = self.spare.pop().unwrap_or_default();
        parcel.shard = shard;
        std::mem::swap(&mut parcel.frames, &mut batch.frames);
        std::mem::swap(&mut parcel.data, &mut batch.data);
        self.frames += parcel.frames.len();
        self.bytes += parcel.frames.iter().map(|frame| frame.data.len()).sum::<usize>();
        self.parcels.push_back(parcel);
    }

    /// True with more than one drain's share.
    pub fn is_full(&self) -> bool {
        self.bytes >= MAX_DRAIN_BYTES || self.frames >= MAX_DRAIN_FRAMES
    }

    /// How many frames JavaScript should fetch in one go.
    pub fn portion(&self) -> usize {
        if !self.is_full() {
            return self.frames;
        }
        let (mut frames, mut bytes) = (0, 0);
        let waiting = self.parcels.iter().flat_map(|parcel| parcel.frames.get(parcel.next..).unwrap_or_default());
        for frame in waiting.take(MAX_DRAIN_FRAMES) {
            bytes += frame.data.len();
            if frames > 0 && bytes > MAX_DRAIN_BYTES {
                break;
            }
            frames += 1;
        }
        frames
    }

    /// Fetches the next frame: its shard, itself, its bytes.
    pub fn next(&mut self) -> Option<(u32, Frame, &[u8])> {
        while self.parcels.front().is_some_and(|parcel| parcel.next >= parcel.frames.len()) {
            self.retire();
        }
        let parcel = self.parcels.front_mut()?;
        let frame = *parcel.frames.get(parcel.next)?;
        parcel.next += 1;
        self.frames -= 1;
        self.bytes -= frame.data.len();
        Some((parcel.shard, frame, frame.data.of(&parcel.data)))
    }

    /// Keeps the memory of the first parcel for another batch.
    fn retire(&mut self) {
        let Some(mut parcel) = self.parcels.pop_front() else { return };
        if self.spare.len() < SPARE_PARCELS && parcel.data.capacity() <= BATCH_DATA_KEEP_BYTES {
            parcel.frames.clear();
            parcel.data.clear();
            parcel.next = 0;
            self.spare.push(parcel);
        }
    }
}

/// A kind of frame as numbers.
pub fn kind_and_argument(kind: FrameKind) -> (u32, u32) {
    match kind {
        FrameKind::Data => (frame::DATA, 0),
        FrameKind::End => (frame::END, 0),
        FrameKind::Manifest => (frame::MANIFEST, 0),
        FrameKind::File => (frame::FILE, 0),
        FrameKind::FileEnd => (frame::FILE_END, 0),
        FrameKind::Refused(reason) => (frame::REFUSED, reason as u32),
        FrameKind::Credit(bytes) => (frame::CREDIT, bytes),
    }
}
