//! The frames of an HTTP/2 connection as they pass (RFC 9113 4.1): their headers alone, whatever they carry. Tells what has
//! come, so that nobody has to look for it, and when there is too much of what costs a client nothing (RFC 9113 10.5).

/// Bytes that every client begins with (RFC 9113 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What of the preface looks like a head of HTTP/1.1: a scanner finds its end.
pub const PREFACE_HEAD: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// The interval of [`FrameLimits`].
pub const INTERVAL_MS: u64 = 30_000;

/// So many bytes that a client has taken pay for one of its control frames, and so does a request.
const BYTES_A_FRAME: u64 = 512;

const HEADER_BYTES: usize = 9;

/// What a client may send in each [`INTERVAL_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// `RST_STREAM`.
    pub max_resets: u32,
    /// Frames that ask for nothing: `PING`, `SETTINGS`, `PRIORITY`, `WINDOW_UPDATE`, `CONTINUATION`, `DATA` without data,
    /// and unknown ones; those that requests and answers pay for not included.
    pub max_control_frames: u32,
}

/// There is too much of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Of streams that are reset.
    Resets,
    /// Of frames that ask for nothing.
    Control,
}

/// What has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// `DATA`, or the end of a stream.
    pub data: bool,
    /// Bytes of `DATA`.
    pub data_bytes: u64,
    /// What may have ended a stream: `RST_STREAM`, or something that is wrong on one.
    pub ends: bool,
    /// What may have opened a window.
    pub windows: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct FrameWatch {
    limits: FrameLimits,
    /// Bytes of the preface that are still to come.
    preface_left: usize,
    header: [u8; HEADER_BYTES],
    /// Bytes of `header` that have come.
    have: usize,
    /// Bytes of the payload that are still to come.
    left: u32,
    /// The fields of a request are not complete.
    in_fields: bool,
    since_ms: u64,
    resets: u32,
    control: u32,
    /// Bytes that the client has taken, or requests in their place, that have paid for nothing yet.
    earned: u64,
    seen: Seen,
}

impl FrameWatch {
    /// At the first byte of the preface.
    #[must_use]
    pub fn new(limits: FrameLimits, now_ms: u64) -> Self {
        FrameWatch {
            limits,
            preface_left: PREFACE.len(),
            header: [0; HEADER_BYTES],
            have: 0,
            left: 0,
            in_fields: false,
            since_ms: now_ms,
            resets: 0,
            control: 0,
            earned: 0,
            seen: Seen::default(),
        }
    }

    /// Looks at what has come, which may be cut at any byte.
    pub fn take(&mut self, input: &[u8], now_ms: u64) -> Result<(), Flood> {
        if now_ms.saturating_sub(self.since_ms) >= INTERVAL_MS {
            (self.since_ms, self.resets, self.control) = (now_ms, 0, 0);
        }
        let mut rest = input.get(self.preface_left.min(input.len())..).unwrap_or_default();
        self.preface_left -= self.preface_left.min(input.len());
        loop {
            let passed = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
            self.left -= passed as u32;
            rest = rest.get(passed..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let wanted = (HEADER_BYTES - self.have).min(rest.len());
            let (header, behind) = rest.split_at(wanted);
            self.header[self.have..self.have + wanted].copy_from_slice(header);
            self.have += wanted;
            rest = behind;
            if self.have == HEADER_BYTES {
                self.have = 0;
                let [a, b, c, kind, flags, ..] = self.header;
                let length = u32::from_be_bytes([0, a, b, c]);
                self.left = length;
                self.note(kind, flags, length)?;
            }
        }
    }

    fn note(&mut self, kind: u8, flags: u8, length: u32) -> Result<(), Flood> {
        const END_STREAM: u8 = 1;
        const END_HEADERS: u8 = 4;
        let mut control = false;
        match kind {
            // DATA
            0 => {
                self.seen.data = true;
                self.seen.data_bytes += u64::from(length);
                control = length == 0 && flags & END_STREAM == 0;
            }
            // HEADERS: of a request, or behind its content, which ends it.
            1 => {
                self.seen.data = true;
                self.in_fields = flags & END_HEADERS == 0;
                self.earned = self.earned.saturating_add(BYTES_A_FRAME);
            }
            // RST_STREAM
            3 => {
                self.seen.ends = true;
                self.resets += 1;
                if self.resets > self.limits.max_resets {
                    return Err(Flood::Resets);
                }
            }
            // SETTINGS
            4 => (self.seen.windows, control) = (true, true),
            // WINDOW_UPDATE
            8 => (self.seen.windows, self.seen.ends, control) = (true, true, true),
            // CONTINUATION
            9 => {
                self.seen.data = true;
                self.in_fields &= flags & END_HEADERS == 0;
                control = true;
            }
            // PRIORITY, PING, and what nobody knows
            _ => (self.seen.ends, control) = (true, true),
        }
        if control {
            match self.earned.checked_sub(BYTES_A_FRAME) {
                Some(left) => self.earned = left,
                None => self.control += 1,
            }
        }
        if self.control > self.limits.max_control_frames { Err(Flood::Control) } else { Ok(()) }
    }

    /// The client is sent so many bytes.
    pub fn sent(&mut self, bytes: u64) {
        // No more than a long answer is worth: nobody saves up for a flood.
        self.earned = self.earned.saturating_add(bytes).min(BYTES_A_FRAME * u64::from(self.limits.max_control_frames));
    }

    /// What has come since this was asked.
    pub fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }

    /// True while a part of a frame has come, or of the fields of a request: nothing else can come before the rest.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.preface_left > 0 || self.have > 0 || self.left > 0 || self.in_fields
    }
}

/// Any bytes as frames: however they are cut, what is seen is the same, and no flood passes that is larger than allowed.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz_frame_watch(data: &[u8]) {
    let [cut, data @ ..] = data else { return };
    let limits = FrameLimits { max_resets: 3, max_control_frames: 8 };
    let (mut whole, mut pieces) = (FrameWatch::new(limits, 0), FrameWatch::new(limits, 0));
    let at_once = whole.take(data, 0);
    let in_pieces = data.chunks(usize::from(*cut) + 1).try_for_each(|piece| pieces.take(piece, 0));
    assert_eq!(at_once, in_pieces);
    assert_eq!(whole.seen, pieces.seen);
    assert_eq!((whole.left, whole.have, whole.in_fields), (pieces.left, pieces.have, pieces.in_fields));
    assert!(whole.resets <= limits.max_resets + 1 && whole.control <= limits.max_control_frames + 1);
    if at_once.is_ok() {
        assert!(whole.resets <= limits.max_resets && whole.control <= limits.max_control_frames);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { max_resets: 2, max_control_frames: 3 };

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn watch() -> FrameWatch {
        let mut watch = FrameWatch::new(LIMITS, 0);
        assert_eq!(watch.take(PREFACE, 0), Ok(()));
        watch
    }

    fn nth_refused(kind: u8, flags: u8, payload: &[u8]) -> (usize, Option<Flood>) {
        let mut watch = watch();
        for at in 1..100 {
            if let Err(flood) = watch.take(&frame(kind, flags, payload), 0) {
                return (at, Some(flood));
            }
        }
        (100, None)
    }

    #[test]
    fn what_asks_for_nothing_is_counted_and_requests_are_not() {
        for (name, kind, flags, payload, expected) in [
            ("DATA", 0, 0, &b"x"[..], (100, None)),
            ("empty DATA", 0, 0, b"", (4, Some(Flood::Control))),
            ("empty DATA that ends", 0, 1, b"", (100, None)),
            ("HEADERS", 1, 5, b"x", (100, None)),
            ("PRIORITY", 2, 0, b"12345", (4, Some(Flood::Control))),
            ("RST_STREAM", 3, 0, b"1234", (3, Some(Flood::Resets))),
            ("SETTINGS", 4, 0, b"", (4, Some(Flood::Control))),
            ("PING", 6, 0, b"12345678", (4, Some(Flood::Control))),
            ("WINDOW_UPDATE", 8, 0, b"1234", (4, Some(Flood::Control))),
            ("CONTINUATION", 9, 0, b"", (4, Some(Flood::Control))),
            ("unknown", 99, 0, b"x", (4, Some(Flood::Control))),
        ] {
            assert_eq!(nth_refused(kind, flags, payload), expected, "{name}");
        }
    }

    #[test]
    fn an_interval_begins_with_nothing_counted() {
        let mut watch = watch();
        let reset = frame(3, 0, b"1234");
        assert_eq!([watch.take(&reset, 1), watch.take(&reset, INTERVAL_MS - 1)], [Ok(()), Ok(())]);
        assert_eq!([watch.take(&reset, INTERVAL_MS), watch.take(&reset, INTERVAL_MS)], [Ok(()), Ok(())]);
        assert_eq!(watch.take(&reset, INTERVAL_MS), Err(Flood::Resets));
    }

    #[test]
    fn answers_and_requests_pay_for_control_frames_up_to_a_bound() {
        let mut watch = watch();
        let update = frame(8, 0, b"1234");
        watch.sent(1 << 40);
        for _ in 0..6 {
            assert_eq!(watch.take(&update, 0), Ok(()));
        }
        assert_eq!(watch.take(&frame(1, 4, b""), 0), Ok(()));
        assert_eq!(watch.take(&update, 0), Ok(()), "the request has paid");
        assert_eq!(watch.take(&update, 0), Err(Flood::Control));
    }

    #[test]
    fn what_has_come_is_told_once() {
        let mut watch = watch();
        for (kind, seen) in [
            (0, Seen { data: true, data_bytes: 3, ..Seen::default() }),
            (1, Seen { data: true, ..Seen::default() }),
            (3, Seen { ends: true, ..Seen::default() }),
            (4, Seen { windows: true, ..Seen::default() }),
            (8, Seen { ends: true, windows: true, ..Seen::default() }),
        ] {
            assert_eq!(watch.take(&frame(kind, 0, b"abc"), 0), Ok(()));
            assert_eq!((watch.take_seen(), watch.take_seen()), (seen, Seen::default()), "{kind}");
        }
    }

    #[test]
    fn fields_are_within_until_their_last_frame() {
        let mut watch = FrameWatch::new(LIMITS, 0);
        assert!(watch.is_within(), "the preface");
        let input = [PREFACE, &frame(1, 0, b"ab"), &frame(9, 4, b"c")].concat();
        for (at, byte) in input.iter().enumerate() {
            assert_eq!(watch.take(&[*byte], 0), Ok(()));
            assert_eq!(watch.is_within(), at + 1 != PREFACE.len() && at + 1 != input.len(), "{at}");
        }
    }

    #[test]
    fn input_may_be_cut_at_any_byte() {
        let frames = [PREFACE, &frame(1, 4, b"abc"), &frame(3, 0, b"1234"), &frame(6, 0, b"12345678"), &frame(0, 1, b"")];
        (0..60).for_each(|cut| fuzz_frame_watch(&[&[cut][..], &frames.concat()].concat()));
    }
}
