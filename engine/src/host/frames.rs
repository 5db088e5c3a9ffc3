//! Frames between a drain and the event loop, which fetches them one by one.

use std::collections::VecDeque;

use crate::limits::{BATCH_DATA_KEEP_BYTES, DRAIN_FRAME_BYTES, DRAIN_FRAMES, SPARE_PARCELS};
use crate::link::batch::{CallBatch, Frame};

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
pub(super) struct FrameQueue {
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
        self.bytes >= DRAIN_FRAME_BYTES || self.frames >= DRAIN_FRAMES
    }

    /// How many frames the event loop should fetch in one go.
    pub fn portion(&self) -> usize {
        if !self.is_full() {
            return self.frames;
        }
        let (mut frames, mut bytes) = (0, 0);
        let waiting = self.parcels.iter().flat_map(|parcel| parcel.frames.get(parcel.next..).unwrap_or_default());
        for frame in waiting.take(DRAIN_FRAMES) {
            bytes += frame.data.len();
            if frames > 0 && bytes > DRAIN_FRAME_BYTES {
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
