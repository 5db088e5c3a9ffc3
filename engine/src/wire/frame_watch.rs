//! The frames of an HTTP/2 connection as they pass (RFC 9113 4.1): their headers alone, whatever they carry. Tells what has
//! come, so that nobody has to look for it, when there is too much of what costs a client nothing (RFC 9113 10.5), and when a
//! frame is none that a client may send, with the code that its kind of error has.

use std::collections::VecDeque;

use super::section_watch::{Flaw, SectionWatch};

/// Bytes that every client begins with (RFC 9113 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What of the preface looks like a head of HTTP/1.1: a scanner finds its end.
pub const PREFACE_HEAD: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// The interval of [`FrameLimits`].
pub const INTERVAL_MS: u64 = 30_000;

/// So many bytes that a client has taken pay for one of its control frames, and so does a request.
const BYTES_A_FRAME: u64 = 512;

const HEADER_BYTES: usize = 9;

/// Where in a header the type of its frame is.
const TYPE_AT: usize = 3;

const GOAWAY: u8 = 7;

/// A type of frame that means nothing to anybody (RFC 9113 4.1).
pub const UNKNOWN: u8 = 0xff;

/// The longest payload that a client may send: no other was announced.
const MAX_PAYLOAD_BYTES: u32 = 16 * 1024;

/// Streams of which is known whether they are ended. More: nothing is said of the oldest.
const KNOWN_STREAMS: usize = 128;

/// Bytes of one setting: its identifier, and its value.
const SETTING_BYTES: usize = 6;

/// What a client may send in each [`INTERVAL_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// `RST_STREAM`.
    pub max_resets: u32,
    /// Frames that ask for nothing: `PING`, `SETTINGS`, `PRIORITY`, `WINDOW_UPDATE`, `CONTINUATION`, `DATA` without data,
    /// and unknown ones; those that requests and answers pay for not included.
    pub max_control_frames: u32,
}

/// Why the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Too many streams are reset.
    Resets,
    /// There are too many frames that ask for nothing.
    Control,
    /// A frame of a length that its type cannot have (RFC 9113 4.2).
    FrameSize,
    /// A window that is larger than any may be (RFC 9113 6.5.2).
    Window,
    /// A frame of a stream that its client has ended before (RFC 9113 5.1).
    StreamClosed,
    /// A frame where none such may be: one between the frames that carry the fields of a request (RFC 9113 6.10), a `GOAWAY`
    /// on a stream (RFC 9113 6.8), or `PUSH_PROMISE`, which is for servers (RFC 9113 8.4).
    Misplaced,
}

impl Breach {
    /// True when it was too much of something, each of which is allowed.
    #[must_use]
    pub const fn is_flood(self) -> bool {
        matches!(self, Breach::Resets | Breach::Control)
    }

    /// The code that tells the client (RFC 9113 7).
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Breach::Resets | Breach::Control => 11,
            Breach::FrameSize => 6,
            Breach::Window => 3,
            Breach::StreamClosed => 5,
            Breach::Misplaced => 1,
        }
    }
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
    /// `GOAWAY`: the client is about to leave.
    pub leaves: bool,
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
    /// The payload is content.
    in_data: bool,
    /// The payload is settings; this is one of them, of which so many bytes have come.
    in_settings: bool,
    setting: [u8; SETTING_BYTES],
    setting_bytes: usize,
    /// The last streams that have begun, at most [`KNOWN_STREAMS`], and whether the client may send more on each.
    streams: VecDeque<(u32, bool)>,
    since_ms: u64,
    resets: u32,
    control: u32,
    /// Bytes that the client has taken, or requests in their place, that have paid for nothing yet.
    earned: u64,
    /// Where the type of the first `GOAWAY` is in what was taken last.
    goaway: Option<usize>,
    /// The fields behind content that come, as long as nothing is wrong with them.
    section: Option<SectionWatch>,
    /// Streams behind whose content fields have come that are wrong, by what was taken last.
    spoiled: Vec<(u32, Flaw)>,
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
            in_data: false,
            in_settings: false,
            setting: [0; SETTING_BYTES],
            setting_bytes: 0,
            streams: VecDeque::new(),
            since_ms: now_ms,
            resets: 0,
            control: 0,
            earned: 0,
            goaway: None,
            section: None,
            spoiled: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Looks at what has come, which may be cut at any byte.
    pub fn take(&mut self, input: &[u8], now_ms: u64) -> Result<(), Breach> {
        self.take_unless(input, now_ms, &|_| false)
    }

    /// The same, but that resets of streams which are `answered` do not count.
    pub fn take_unless(&mut self, input: &[u8], now_ms: u64, answered: &dyn Fn(u32) -> bool) -> Result<(), Breach> {
        if now_ms.saturating_sub(self.since_ms) >= INTERVAL_MS {
            (self.since_ms, self.resets, self.control) = (now_ms, 0, 0);
        }
        if self.left > 0 && !input.is_empty() {
            // The rest of a frame, whichever it is: only now does it take effect.
            self.seen = Seen { data: true, ends: true, windows: true, ..self.seen };
        }
        self.goaway = None;
        self.spoiled.clear();
        let mut rest = input.get(self.preface_left.min(input.len())..).unwrap_or_default();
        self.preface_left -= self.preface_left.min(input.len());
        loop {
            let passed = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
            self.left -= passed as u32;
            if self.in_settings {
                self.note_settings(rest.get(..passed).unwrap_or_default())?;
            }
            if self.section.is_some() {
                self.note_section(rest.get(..passed).unwrap_or_default());
            }
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
                self.note(kind, flags, length, answered)?;
                if kind == GOAWAY {
                    let at = (input.len() - rest.len()).checked_sub(HEADER_BYTES - TYPE_AT);
                    self.goaway = self.goaway.or(at);
                }
            }
        }
    }

    /// Looks at settings for a window that cannot be.
    fn note_settings(&mut self, payload: &[u8]) -> Result<(), Breach> {
        for byte in payload {
            self.setting[self.setting_bytes] = *byte;
            self.setting_bytes = (self.setting_bytes + 1) % SETTING_BYTES;
            // SETTINGS_INITIAL_WINDOW_SIZE of more than 2^31 - 1
            if self.setting_bytes == 0 && matches!(self.setting, [0, 4, 128..=255, ..]) {
                return Err(Breach::Window);
            }
        }
        Ok(())
    }

    /// Looks at fields behind content.
    fn note_section(&mut self, payload: &[u8]) {
        if let Some(flaw) = self.section.as_mut().and_then(|section| section.take(payload)) {
            self.section = None;
            self.spoiled.push((self.stream(), flaw));
        }
    }

    /// A frame of a stream has come that the end of that ends. What `h2` makes of streams that have not begun, is right.
    fn note_stream(&mut self, begins: bool, ends: bool) -> Result<(), Breach> {
        let stream = self.stream();
        if begins && self.streams.back().is_none_or(|(last, _)| stream > *last) {
            if self.streams.len() == KNOWN_STREAMS {
                self.streams.pop_front();
            }
            self.streams.push_back((stream, !ends));
            return Ok(());
        }
        let known = self.streams.binary_search_by_key(&stream, |(known, _)| *known);
        match known.ok().and_then(|at| self.streams.get_mut(at)) {
            Some((_, open)) if *open => *open = !ends,
            Some(_) => return Err(Breach::StreamClosed),
            None => {}
        }
        Ok(())
    }

    /// The stream of the frame whose header has come.
    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.header;
        u32::from_be_bytes([a & 0x7f, b, c, d])
    }

    fn note(&mut self, kind: u8, flags: u8, length: u32, answered: &dyn Fn(u32) -> bool) -> Result<(), Breach> {
        const END_STREAM: u8 = 1;
        const ACK: u8 = 1;
        const END_HEADERS: u8 = 4;
        let fits = match kind {
            2 => length == 5,
            3 | 8 => length == 4,
            4 => length.is_multiple_of(SETTING_BYTES as u32) && (length == 0 || flags & ACK == 0),
            6 => length == 8,
            GOAWAY => length >= 8,
            _ => true,
        };
        if !fits || length > MAX_PAYLOAD_BYTES {
            return Err(Breach::FrameSize);
        }
        if self.in_fields != (kind == 9) || kind == 5 {
            return Err(Breach::Misplaced);
        }
        (self.in_data, self.in_settings, self.setting_bytes) = (kind == 0, kind == 4, 0);
        if kind != 9 {
            self.section = None;
        }
        let mut control = false;
        match kind {
            // DATA
            0 => {
                self.seen.data = true;
                self.seen.data_bytes += u64::from(length);
                self.note_stream(false, flags & END_STREAM != 0)?;
                control = length == 0 && flags & END_STREAM == 0;
            }
            // HEADERS: of a request, or behind its content, which ends it.
            1 => {
                self.seen.data = true;
                self.in_fields = flags & END_HEADERS == 0;
                if self.streams.back().is_some_and(|(last, _)| self.stream() <= *last) {
                    self.section = Some(SectionWatch::of(flags));
                }
                self.note_stream(true, flags & END_STREAM != 0)?;
                self.earned = self.earned.saturating_add(BYTES_A_FRAME);
            }
            // RST_STREAM
            3 => {
                self.seen.ends = true;
                // It may be a second one.
                let _ = self.note_stream(false, true);
                self.resets += u32::from(!answered(self.stream()));
                if self.resets > self.limits.max_resets {
                    return Err(Breach::Resets);
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
            // It is about no stream (RFC 9113 6.8).
            GOAWAY if self.stream() != 0 => return Err(Breach::Misplaced),
            GOAWAY => (self.seen.ends, self.seen.leaves, control) = (true, true, true),
            // PRIORITY, PING, and what nobody knows
            _ => (self.seen.ends, control) = (true, true),
        }
        if control {
            match self.earned.checked_sub(BYTES_A_FRAME) {
                Some(left) => self.earned = left,
                None => self.control += 1,
            }
        }
        if self.control > self.limits.max_control_frames { Err(Breach::Control) } else { Ok(()) }
    }

    /// Where the type of the first `GOAWAY` is in what was taken last, unless it came before that.
    #[must_use]
    pub const fn goaway(&self) -> Option<usize> {
        self.goaway
    }

    /// Streams behind whose content fields have come that are wrong, by what was taken last: `h2` leaves those out.
    #[must_use]
    pub fn spoiled(&self) -> &[(u32, Flaw)] {
        &self.spoiled
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

    /// True while a part of a frame has come, or of the fields of a request: nothing else can come before the rest. Not within
    /// content, which has the time of its request, however it is cut into frames.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.preface_left > 0 || self.have > 0 || (self.left > 0 && !self.in_data) || self.in_fields
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
    // What comes in pieces is looked at once more with the last of them.
    let Seen { data, data_bytes, ends, windows, leaves } = whole.seen;
    assert_eq!((data_bytes, leaves), (pieces.seen.data_bytes, pieces.seen.leaves));
    assert!(pieces.seen.data >= data && pieces.seen.ends >= ends && pieces.seen.windows >= windows);
    assert!(whole.resets <= limits.max_resets + 1 && whole.control <= limits.max_control_frames + 1);
    // A breach ends the connection: where in a payload it was found, is of no use.
    if at_once.is_ok() {
        assert_eq!((whole.left, whole.have, whole.in_fields), (pieces.left, pieces.have, pieces.in_fields));
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

    fn on(stream: u8, kind: u8, flags: u8) -> Vec<u8> {
        let mut frame = frame(kind, flags, b"1234");
        frame[8] = stream;
        frame
    }

    fn nth_refused(kind: u8, flags: u8, payload: &[u8]) -> (usize, Option<Breach>) {
        let mut watch = watch();
        if kind == 9 {
            assert_eq!(watch.take(&frame(1, 0, b""), 0), Ok(()), "which pays for one");
        }
        for at in 1..100 {
            // Each request on a stream of its own.
            let mut frame = frame(kind, flags, payload);
            frame[8] = if kind == 1 { 2 * at as u8 + 1 } else { 0 };
            if let Err(breach) = watch.take(&frame, 0) {
                return (at, Some(breach));
            }
        }
        (100, None)
    }

    #[test]
    fn what_asks_for_nothing_is_counted_and_requests_are_not() {
        for (name, kind, flags, payload, expected) in [
            ("DATA", 0, 0, &b"x"[..], (100, None)),
            ("empty DATA", 0, 0, b"", (4, Some(Breach::Control))),
            ("empty DATA that ends", 0, 1, b"", (100, None)),
            ("HEADERS", 1, 5, b"x", (100, None)),
            ("PRIORITY", 2, 0, b"12345", (4, Some(Breach::Control))),
            ("RST_STREAM", 3, 0, b"1234", (3, Some(Breach::Resets))),
            ("SETTINGS", 4, 0, b"", (4, Some(Breach::Control))),
            ("PING", 6, 0, b"12345678", (4, Some(Breach::Control))),
            ("WINDOW_UPDATE", 8, 0, b"1234", (4, Some(Breach::Control))),
            ("CONTINUATION", 9, 0, b"", (5, Some(Breach::Control))),
            ("unknown", 99, 0, b"x", (4, Some(Breach::Control))),
        ] {
            assert_eq!(nth_refused(kind, flags, payload), expected, "{name}");
        }
    }

    #[test]
    fn a_frame_that_cannot_be_has_the_code_of_its_error() {
        for (name, kind, flags, length, breach) in [
            ("PRIORITY", 2, 0, 4, Breach::FrameSize),
            ("RST_STREAM", 3, 0, 5, Breach::FrameSize),
            ("SETTINGS", 4, 0, 7, Breach::FrameSize),
            ("SETTINGS that acknowledge", 4, 1, 6, Breach::FrameSize),
            ("PUSH_PROMISE", 5, 0, 4, Breach::Misplaced),
            ("PING", 6, 0, 7, Breach::FrameSize),
            ("GOAWAY", 7, 0, 7, Breach::FrameSize),
            ("GOAWAY of a stream", 7, 0, 8, Breach::Misplaced),
            ("WINDOW_UPDATE", 8, 0, 3, Breach::FrameSize),
            ("DATA", 0, 0, MAX_PAYLOAD_BYTES as usize + 1, Breach::FrameSize),
        ] {
            assert_eq!(watch().take(&frame(kind, flags, &vec![0; length]), 0), Err(breach), "{name}");
        }
        let windows = |value: [u8; 4]| [&[0, 3, 255, 255, 255, 255, 0, 4][..], &value].concat();
        assert_eq!(watch().take(&frame(4, 0, &windows([127, 255, 255, 255])), 0), Ok(()));
        assert_eq!(watch().take(&frame(4, 0, &windows([128, 0, 0, 0])), 0), Err(Breach::Window));
        let codes = [
            Breach::Control,
            Breach::Resets,
            Breach::FrameSize,
            Breach::Window,
            Breach::Misplaced,
            Breach::StreamClosed,
        ];
        assert_eq!(
            codes.map(|breach| (breach.code(), breach.is_flood())),
            [(11, true), (11, true), (6, false), (3, false), (1, false), (5, false)]
        );
    }

    #[test]
    fn a_stream_that_its_client_has_ended_has_no_further_frames() {
        const END: u8 = 5;
        for (name, frames, expected) in [
            ("trailers", vec![on(1, 1, 4), on(1, 0, 0), on(1, 1, END)], Ok(())),
            ("HEADERS behind the end", vec![on(1, 1, END), on(1, 1, END)], Err(Breach::StreamClosed)),
            ("DATA behind the end", vec![on(1, 1, 4), on(1, 0, 1), on(1, 0, 0)], Err(Breach::StreamClosed)),
            ("DATA behind a reset", vec![on(1, 1, 4), on(1, 3, 0), on(1, 0, 0)], Err(Breach::StreamClosed)),
            ("HEADERS behind a reset", vec![on(1, 1, 4), on(1, 3, 0), on(1, 1, 4)], Err(Breach::StreamClosed)),
            ("a reset behind the end", vec![on(1, 1, END), on(1, 3, 0)], Ok(())),
            ("another stream", vec![on(1, 1, END), on(3, 1, 4), on(3, 0, 1)], Ok(())),
            ("one that has not begun", vec![on(1, 1, END), on(3, 0, 0)], Ok(())),
            ("one that was left out", vec![on(1, 1, END), on(5, 1, END), on(3, 1, END)], Ok(())),
            ("DATA between fields", vec![on(1, 1, 0), on(1, 0, 0)], Err(Breach::Misplaced)),
            ("CONTINUATION behind fields", vec![on(1, 1, 4), on(1, 9, 4)], Err(Breach::Misplaced)),
        ] {
            assert_eq!(watch().take(&frames.concat(), 0), expected, "{name}");
        }
    }

    #[test]
    fn pseudo_fields_behind_content_spoil_their_stream_however_the_frames_are_cut() {
        let section = |kind: u8, flags: u8, payload: &[u8]| frame(kind, flags, payload);
        let (head, content) = (section(1, 4, &[0x82]), section(0, 0, b"abc"));
        for (name, frames, expected) in [
            ("of a head", vec![], &[][..]),
            ("behind content", vec![section(1, 5, &[0x84])], &[1]),
            ("behind a beginning", vec![section(1, 1, &[0x20]), section(9, 4, &[0x84])], &[1]),
            ("behind an empty beginning", vec![section(1, 1, &[]), section(9, 0, &[]), section(9, 4, &[0x84])], &[1]),
            ("padded", vec![section(1, 13, &[1, 0x84, 0])], &[1]),
            ("another field", vec![section(1, 5, &[0, 1, b'x', 1, b'y'])], &[]),
            ("nothing, and then another frame", vec![section(1, 5, &[]), section(6, 0, &[0x84; 8])], &[]),
        ] {
            let bytes = [&[head.clone(), content.clone()], &frames[..]].concat().concat();
            for cut in 0..=bytes.len() {
                let (mut watch, mut spoiled) = (watch(), Vec::new());
                for piece in [&bytes[..cut], &bytes[cut..]] {
                    // What else is wrong with these frames does not matter here.
                    let _ = watch.take(piece, 0);
                    spoiled.extend(watch.spoiled().iter().map(|(stream, _)| *stream));
                }
                assert_eq!(spoiled, expected, "{name}, cut at {cut}");
            }
        }
    }

    #[test]
    fn of_many_streams_the_oldest_are_forgotten() {
        let mut watch = watch();
        let open = |stream: u32| {
            let mut open = frame(1, 4, b"");
            open[5..].copy_from_slice(&stream.to_be_bytes());
            open
        };
        (0..2 * KNOWN_STREAMS as u32).for_each(|at| assert_eq!(watch.take(&open(2 * at + 1), 0), Ok(())));
        assert_eq!(watch.streams.len(), KNOWN_STREAMS);
        assert_eq!(watch.take(&on(1, 0, 1), 0), Ok(()), "nothing is known of it");
        assert_eq!(watch.take(&on(1, 0, 1), 0), Ok(()));
    }

    #[test]
    fn an_interval_begins_with_nothing_counted() {
        let mut watch = watch();
        let reset = on(0, 3, 0);
        assert_eq!([watch.take(&reset, 1), watch.take(&reset, INTERVAL_MS - 1)], [Ok(()), Ok(())]);
        assert_eq!([watch.take(&reset, INTERVAL_MS), watch.take(&reset, INTERVAL_MS)], [Ok(()), Ok(())]);
        assert_eq!(watch.take(&reset, INTERVAL_MS), Err(Breach::Resets));
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
        assert_eq!(watch.take(&update, 0), Err(Breach::Control));
    }

    #[test]
    fn what_has_come_is_told_once() {
        let mut watch = watch();
        for (kind, payload, seen) in [
            (0, &b"abc"[..], Seen { data: true, data_bytes: 3, ..Seen::default() }),
            (1, b"", Seen { data: true, ..Seen::default() }),
            (3, b"1234", Seen { ends: true, ..Seen::default() }),
            (4, b"", Seen { windows: true, ..Seen::default() }),
            (8, b"1234", Seen { ends: true, windows: true, ..Seen::default() }),
        ] {
            let mut frame = frame(kind, 4, payload);
            frame[8] = 2 * kind + 1;
            assert_eq!(watch.take(&frame, 0), Ok(()));
            assert_eq!((watch.take_seen(), watch.take_seen()), (seen, Seen::default()), "{kind}");
        }
    }

    #[test]
    fn a_frame_that_comes_in_pieces_is_told_of_again_with_the_last() {
        let mut watch = watch();
        let frames = [frame(1, 4, b""), frame(0, 1, b"abc")].concat();
        let (first, last) = frames.split_at(frames.len() - 1);
        assert_eq!(watch.take(first, 0), Ok(()));
        assert!(watch.take_seen().data);
        assert_eq!(watch.take(last, 0), Ok(()));
        assert!(watch.take_seen().data, "the content is complete only now");
    }

    #[test]
    fn the_type_of_a_goaway_is_where_it_is_said_to_be() {
        let mut goaway = frame(GOAWAY, 0, &[0; 8]);
        goaway[8] = 0;
        let input = [&frame(6, 0, &[7; 8])[..], &goaway, &goaway].concat();
        let type_at = 17 + TYPE_AT;
        for cut in 0..input.len() {
            let mut watch = watch();
            let (first, last) = input.split_at(cut);
            let mut found = None;
            for (from, piece) in [(0, first), (cut, last)] {
                assert_eq!(watch.take(piece, 0), Ok(()));
                found = found.or(watch.goaway().map(|at| from + at));
            }
            // Its type has passed before it was known what it is: the next one is found.
            let passed = cut > type_at && cut < 17 + HEADER_BYTES;
            assert_eq!(found, Some(if passed { type_at + goaway.len() } else { type_at }), "{cut}");
            assert!(watch.take_seen().leaves);
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
    fn content_may_take_the_time_of_its_request() {
        let mut watch = watch();
        let content = frame(0, 0, b"abc");
        for (at, byte) in content.iter().enumerate() {
            assert_eq!(watch.take(&[*byte], 0), Ok(()));
            assert_eq!(watch.is_within(), at + 1 < HEADER_BYTES, "{at}");
        }
        assert_eq!(watch.take(&frame(6, 0, b"12345678")[..12], 0), Ok(()));
        assert!(watch.is_within(), "a ping has no such time");
    }

    #[test]
    fn input_may_be_cut_at_any_byte() {
        let frames =
            [PREFACE, &frame(1, 4, b"abc"), &frame(3, 0, b"1234"), &frame(6, 0, b"12345678"), &frame(0, 1, b"")];
        (0..60).for_each(|cut| fuzz_frame_watch(&[&[cut][..], &frames.concat()].concat()));
        // A window that cannot be, far from the end of its frame.
        let settings = [&[0, 4, 255, 0, 0, 0][..], &[0; 600]].concat();
        (0..60).for_each(|cut| fuzz_frame_watch(&[&[cut][..], PREFACE, &frame(4, 0, &settings)].concat()));
    }
}
