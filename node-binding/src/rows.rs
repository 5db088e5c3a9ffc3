//! The table that JavaScript reads and the rows that it writes, as [`layout`] says.

use fasttunnel_engine::host::layout::{self, frame, news, outcome};
use fasttunnel_engine::host::{Answer, Drained, Rows};
use fasttunnel_engine::link::batch::{CallRecord, FrameKind};

/// The table that a drain fills.
pub struct Table<'a>(pub &'a mut [u32]);

impl Table<'_> {
    /// Writes what the drain has given beside its rows.
    pub fn write_header(&mut self, drained: &Drained) {
        let shards =
            [(drained.stopped, news::STOPPED), (drained.restarted, news::RESTARTED), (drained.failed, news::FAILED)];
        let shards = shards.iter().filter(|(is, _)| *is).fold(0, |all, (_, bit)| all | bit);
        self.write(layout::CALLS, drained.calls as u32);
        self.write(layout::GONE, drained.departed as u32);
        self.write(layout::NOTICES, drained.notices as u32);
        self.write(layout::SHARDS, shards);
        self.write(layout::FRAMES, drained.frames as u32);
    }

    /// Writes what the frame is whose bytes are fetched; `None`: its call is over.
    pub fn write_frame(&mut self, frame: Option<(u32, FrameKind)>) {
        let (ticket, (kind, argument)) = frame.map_or((0, (0, 0)), |(ticket, kind)| (ticket, kind_and_argument(kind)));
        for (at, value) in [ticket, kind, argument].into_iter().enumerate() {
            self.write(layout::FRAME + at, value);
        }
    }

    fn write(&mut self, at: usize, value: u32) {
        if let Some(place) = self.0.get_mut(at) {
            *place = value;
        }
    }
}

impl Rows for Table<'_> {
    #[inline]
    fn call(&mut self, at: usize, ticket: u32, record: &CallRecord) {
        let row = layout::HEADER + at * layout::PER_CALL;
        if let Some([a, b, c]) = self.0.get_mut(row..row + layout::PER_CALL) {
            (*a, *b, *c) = (ticket, record.handler, record.flags);
        }
    }

    fn departed(&mut self, calls: usize, at: usize, ticket: u32) {
        self.write(layout::HEADER + calls * layout::PER_CALL + at, ticket);
    }
}

/// The rows of answers that JavaScript has written: tickets, and what is to be said.
pub fn answers(rows: &[u32]) -> impl Iterator<Item = (u32, Answer)> {
    rows.as_chunks::<{ layout::PER_ANSWER }>().0.iter().map(|&[ticket, code]| (ticket, answer(code)))
}

fn answer(code: u32) -> Answer {
    match code {
        outcome::RESULT => Answer::Result,
        outcome::DONE => Answer::Done,
        outcome::INVALID_JSON => Answer::InvalidJson,
        400.. => Answer::Failed(u16::try_from(code).unwrap_or(u16::MAX)),
        _ => Answer::Nonsense,
    }
}

/// A kind of frame as numbers.
fn kind_and_argument(kind: FrameKind) -> (u32, u32) {
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
