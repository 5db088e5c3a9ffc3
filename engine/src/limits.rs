//! Every bound of the system, its default, and what happens when it is reached.
//!
//! Options ([`Limits`]) can be set by the user; constants cannot.

/// The largest `max_headers` that may be configured, and its default: the table of field lines has a fixed size.
pub const MAX_HEADERS: usize = 100;

/// The largest `max_head_bytes` that may be configured.
pub const MAX_HEAD_BYTES_CEILING: usize = 64 * 1024;

/// Empty lines before a request line (RFC 9112 2.2 asks to ignore at least one). More: 400, close.
pub const MAX_LEADING_EMPTY_LINES: usize = 4;

/// Seconds after which a client that is refused for want of room may try again: `Retry-After`. One digit.
pub const RETRY_AFTER_S: u8 = 1;

/// Interim answers (1xx) in a row. More: the answer is refused, and the connection closed.
pub const MAX_INTERIM_ANSWERS: usize = 16;

/// Bytes of chunk extensions in one request, default of `max_chunk_extension_bytes`. More: 413, close.
pub const DEFAULT_CHUNK_EXTENSION_BYTES: usize = 4 * 1024;

/// The largest `max_json_depth` that may be configured, and its default (CONTRACT 11.2: 1001 nested arrays pass, 1002
/// fail): whoever reads typed values goes no deeper.
pub const MAX_JSON_DEPTH: usize = 1001;

/// Bytes of a client's `x-runner-request-id`. Longer: replaced by a fresh one (CONTRACT 9).
pub const MAX_REQUEST_ID_BYTES: usize = 128;

/// Bytes of a method name. Longer: 501, close (RFC 9112 3: longer than any method that is implemented).
pub const MAX_METHOD_BYTES: usize = 32;

/// Bytes of one head, default of `max_head_bytes`. More: 431, close.
pub const DEFAULT_HEAD_BYTES: usize = 16 * 1024;

/// Bytes of a request target, default of `max_target_bytes`. More: 414, close.
pub const DEFAULT_TARGET_BYTES: usize = 8 * 1024;

/// Bytes of the trailer section of one chunked body, default of `max_trailer_bytes`. More: 431, close.
pub const DEFAULT_TRAILER_BYTES: usize = 8 * 1024;

const _: () = assert!(DEFAULT_HEAD_BYTES <= MAX_HEAD_BYTES_CEILING && DEFAULT_TARGET_BYTES < DEFAULT_HEAD_BYTES);
/// Messages in a shard's inbox. Full: the sender waits; a shard waits for nobody, so it makes room as soon as it runs.
pub const SHARD_INBOX_MESSAGES: usize = 1024;

/// Batches that wait for the host, per shard. Full: the shard keeps the open batch, which grows up to
/// [`Limits::max_calls_in_flight`]; from then on calls are answered 503.
pub const HOST_QUEUE_BATCHES: usize = 64;

/// Event loops that may be attached as hosts at once. More: the next is refused.
pub const MAX_HOSTS: usize = 64;

/// Event loops that the option `workers` may ask for: while they are exchanged, others attach beside them.
pub const MAX_WORKERS: usize = MAX_HOSTS - 4;

/// How long a worker may be busy with one thing, default of `blockedTimeoutMs`. Longer: it is ended.
pub const DEFAULT_BLOCKED_TIMEOUT_MS: u64 = 30_000;

/// A call may be on its way for so long to a handler that was replaced or removed, or whose host has left. Later: its
/// number means nothing, and the call waits for its time to be over.
pub const HANDLERS_SETTLE: std::time::Duration = std::time::Duration::from_secs(10);

/// Batches that the host holds because JavaScript has no time for them yet: it takes them early, to hear which clients
/// have left. More: they wait in the queue above.
pub const BACKLOG_BATCHES: usize = 4096;

/// Calls that the host gives the event loop in one drain. More: at the next, so that the application's own events get their
/// turn.
pub const DRAIN_CALLS: usize = 1024;

/// Bytes of their JSON text, unless a single call has more. More: at the next drain.
///
/// V8 keeps a longer string (from 128 KiB on) in pages of its own, which are faulted in for it and given back with it,
/// and what is parsed at once is alive at once. With 4 MiB, 64 clients with 10 KiB each got 11 000 answers a second; with
/// this, 14 200.
pub const DRAIN_TEXT_BYTES: usize = 100 * 1024;

/// Calls whose clients have left that one drain tells of. More: at the next.
pub const DRAIN_DEPARTED: usize = 1024;

/// Refusals for the application's log that wait for it. More: no batch is fetched until it has taken them.
pub const DRAIN_NOTICES: usize = 1024;

/// Bytes of frames in one drain, unless a single frame has more. More: at the next drain, and no further batch is fetched.
pub const DRAIN_FRAME_BYTES: usize = 1024 * 1024;

/// Frames in one drain, which may be empty. More: at the next drain, and no further batch is fetched.
pub const DRAIN_FRAMES: usize = 1024;

/// Memory of frames that were fetched, kept for the next batches. More: freed.
pub const SPARE_PARCELS: usize = 4;

/// Bytes of streamed answers with which a batch is sent at once: the shard begins to send them while the event loop goes on,
/// and blocks of memory that cross threads stay small (the allocator keeps many of the large ones that it gets back).
pub const ANSWERS_SENT_BYTES: usize = 256 * 1024;

/// So many calls may wait for however long: with a few that take seconds each, nobody has fallen behind.
pub const QUEUE_KEEPS_CALLS: usize = 4;

/// Arrival times in one batch are noted no more exactly than this.
pub const ARRIVAL_RESOLUTION: std::time::Duration = std::time::Duration::from_millis(1);

/// Bytes of calls in one batch; far below what one JavaScript string and the 32-bit spans of its records can hold.
/// More (a host that takes nothing for long): 503 with `Retry-After`.
pub const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// Refusals for want of authentication that one batch tells the host, for its log. More: answered all the same, and
/// counted in `notices_dropped`.
pub const MAX_NOTICES: usize = 256;

/// Bytes that are read ahead while JavaScript is asked about a request. More: that socket is not read until it has
/// answered, so that the client's leaving is noticed only then.
pub const ASK_READ_AHEAD_BYTES: usize = 64 * 1024;

/// A read or send buffer that has grown over this is freed when its connection has nothing more to read or send.
pub const CONN_BUFFER_KEEP_BYTES: usize = 16 * 1024;

/// A buffer that has grown over this is freed, not kept, when its batch is done with it.
pub const BATCH_BUFFER_KEEP_BYTES: usize = 256 * 1024;

/// A buffer for the bytes of streamed bodies that has grown over this is freed when its batch is done with it.
pub const BATCH_DATA_KEEP_BYTES: usize = 1024 * 1024;

/// Emptied batches a shard keeps for the next ticks. More: freed.
pub const BATCH_POOL: usize = 16;

/// Emptied answer batches that a shard keeps until the next calls take them home, and that the host keeps. More: freed.
pub const ANSWERS_POOL: usize = 4;

/// Read buffer of a connection that has not had more to read at a time, or has been idle since: what a connection costs
/// that nobody uses is mostly this. Full: [`READ_BUFFER_BYTES`], until it is idle.
pub const LEAN_READ_BUFFER_BYTES: usize = 512;

/// First read buffer of a connection with more to read; doubled on every full read up to [`READ_BUFFER_MAX_BYTES`].
pub const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Connections of a shard that read into a large buffer in a way that cannot be taken back: cheaper, but should they all be
/// idle, they hold their buffers. More: reads that can be taken back (a third of a microsecond each).
pub const HELD_READS: usize = 128;

/// Time between two requests after which a connection gives its buffers back but the lean one. Costs it a few
/// allocations at the next request.
pub const REST_AFTER_MS: u64 = 2 * TIMER_MS;

/// Empty buffers for answers that a shard keeps, none larger than [`CONN_BUFFER_KEEP_BYTES`]. More: freed; and those that
/// are not needed, by and by.
pub const ANSWER_BUFFERS: usize = 1024;

/// Connections that have given their buffers back, or have closed, before a shard asks its allocator to give memory
/// back to the system; fewer: it keeps it for the next ones.
pub const RELEASE_AFTER_CONNECTIONS: usize = 256;

/// Largest read buffer of a connection outside a head. Full: what is there is handled before more is read.
pub const READ_BUFFER_MAX_BYTES: usize = 64 * 1024;

/// Bytes of a body that nobody wants which are dropped in one go, before a read has seen them. More: in several.
pub const UNSEEN_BYTES: usize = 256 * 1024;

/// Bytes of such a body that are to come in one piece. Fewer (small chunks): they are read.
pub const DISCARD_UNSEEN_BYTES: u64 = 4 * 1024;

/// Bytes of such a body that a connection takes before it is the turn of others.
pub const DISCARD_TURN_BYTES: usize = 64 * 1024;

/// Bytes behind the last request of a connection that are thrown away at least, where [`Limits::max_discarded_bytes`] is less:
/// without any of that a client's leaving would not be heard. More: closed.
pub const STRAY_BYTES: u64 = 64 * 1024;

/// When a shard holds as much as [`Limits::max_total_buffered_bytes`] lets it, a client that has taken nothing of its answer
/// for this long is disconnected, and so is one whose head or body takes longer, with 503 where that can be told: those
/// with most first, while connections hold more than half of what is allowed.
pub const MEMORY_GRACE_MS: u64 = 1_000;

/// Bytes of an answer that is sent however much a shard holds: there are no more such than calls in flight.
pub const ALWAYS_ANSWERED_BYTES: usize = 4 * 1024;

/// Time without a byte that the client has to close after the last answer, where nothing is to come of the request. Later:
/// closed, and so is who sends more slowly than [`Limits::min_body_bytes_per_s`]. Who was late has no more than that in all.
pub const LINGER_MS: u64 = 2_000;

/// A client that has sent FIN may still be reading: calls under way have this long to finish. Later (up to two turns of the
/// timer, as with every time): the client counts as gone, as in the reference (CONTRACT 18), for a FIN is all that tells of
/// one; the connection is cut off one turn after that.
pub const HALF_CLOSE_GRACE_MS: u64 = 100;

/// Bytes of one request body that may be on their way to the host or wait there. Full: that socket is not read.
pub const BODY_WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes of all request bodies of a shard that may be on their way to the host or wait there: with many, each gets its
/// part of them, and at least [`BODY_WINDOW_MIN_BYTES`].
pub const BODY_WINDOWS_BYTES: u32 = 32 * 1024 * 1024;
/// See [`BODY_WINDOWS_BYTES`].
pub const BODY_WINDOW_MIN_BYTES: u32 = 16 * 1024;

/// Bytes of a streamed answer that the host may send before it is granted more. The grant comes when the answer is the
/// first of its connection; then, and as the client takes them, up to [`ANSWER_WINDOW_BYTES`] may be under way.
pub const ANSWER_FIRST_BYTES: u32 = 16 * 1024;

/// Bytes of one streamed answer that may be on their way to the client or wait for it; less with many streams, as with
/// [`BODY_WINDOW_BYTES`]. Full: its source is not read.
pub const ANSWER_WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes of a streamed answer that are given to the kernel in one go, so that the host can send on meanwhile. More: in
/// several.
pub const STREAM_WRITE_BYTES: usize = 256 * 1024;

/// Largest read buffer of a connection whose body is read as a stream: each read may cost a wake of the host.
pub const STREAM_READ_BYTES: usize = 256 * 1024;

/// Bytes of one frame: a longer piece is sent in several.
pub const FRAME_BYTES: usize = 64 * 1024;

/// Bytes of the header of one part of a multipart body. More: 400. Of the reference, as the next one.
pub const MAX_PART_HEAD_BYTES: usize = 16 * 1024;

/// Field lines in the header of one part of a multipart body. This one and those behind it are not looked at.
pub const MAX_PART_FIELDS: usize = 2000;

/// Bytes of a `__manifest`, which is held as a whole, where [`MultipartLimits::field_bytes`] sets no bound. More: 413.
pub const MAX_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;

/// What is read at a time under TLS once a record has begun: one of the largest, or several.
pub const TLS_READ_BYTES: usize = 18 * 1024;

/// What a record of TLS has beside its content, at most as much as any cipher adds (RFC 8446 5.2).
pub const TLS_RECORD_OVERHEAD_BYTES: usize = 5 + 256;

/// What is read of a handshake at a time.
pub const TLS_HELLO_BYTES: usize = 2 * 1024;

/// Content that is made into records at a time.
pub const TLS_WRITE_BYTES: usize = 32 * 1024;

/// Reads in a row that may bring records and no content. More: cut.
pub const TLS_BARREN_READS: u32 = 32;

/// Bytes that are read of a client that speaks plain HTTP where TLS is spoken, so that it can read the answer. More: cut.
pub const TLS_PLAIN_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of a header of the PROXY protocol, which are waited for. More: cut.
pub const PROXY_HEADER_BYTES: usize = 4 * 1024;

/// Callers whose requests are counted, where nobody says how many: 1.6 MB. More: those that have asked least are forgotten, and may
/// ask anew.
pub const DEFAULT_MAX_CALLERS: u64 = 100_000;

/// What a handshake counts for that is under way: what it needs for its messages.
pub const HANDSHAKE_BYTES: usize = 16 * 1024;

/// Period of a shard's one timer: the resolution of every time limit, which strikes up to two turns late and never early.
pub const TIMER_MS: u64 = 100;

/// What one turn of the timer counts for any deadline at most. Later: the process was stopped, its machine suspended, or
/// the shard too busy to hear anybody; that time makes nobody late.
pub const TURN_COUNTS_MS: u64 = 2 * TIMER_MS;

/// Connections of a shard that a turn of the timer ends because their time is over: thousands that came together end
/// together, and others should not notice. More: at the next turn.
pub const ENDS_PER_TURN: usize = 512;

/// Bytes that lie in the receive buffer at a deadline have come in time: the shard has this long to read them. Later: the
/// deadline strikes, who goes on sending is late.
pub const UNREAD_GRACE_MS: u64 = 1_000;

/// Times that a shard is started anew within [`SHARD_RESTART_WINDOW`]. More: it is given up, and the host is told.
pub const SHARD_RESTARTS: usize = 10;
/// See [`SHARD_RESTARTS`].
pub const SHARD_RESTART_WINDOW: std::time::Duration = std::time::Duration::from_secs(60);

/// What a shard that has failed leaves behind has this long to end. Later: the shard is given up.
pub const WIND_DOWN: std::time::Duration = std::time::Duration::from_secs(1);

/// Wait before a shard that could not be set up (no descriptor, no memory) is tried again.
pub const RESTART_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Connections accepted in one go before other work gets its turn.
pub const ACCEPT_BURST: usize = 64;

/// Connections accepted in one go before the listening socket is closed for good, so that whoever the kernel has let in
/// is served: the largest backlog that may be configured. More: those meet a reset, and have not been read.
pub const LAST_ACCEPTS: usize = 65_535;

/// Time that a connection without a request has, once the engine stops, for one that is on its way. Later: closed.
pub const IDLE_GRACE_MS: u64 = 25;

/// The same from its accepting on for a connection on which no request has come yet: its client has just made it for one, and
/// cannot be told that it was not read.
pub const FRESH_GRACE_MS: u64 = 150;

/// Connections of the admin listener. More: 503 and close.
pub const MAX_ADMIN_CONNECTIONS: usize = 64;

/// Connections that were turned away and still have something to send, which is thrown away. More: they meet a reset, and may
/// not find their answer.
pub const MAX_TURNED_AWAY: usize = 64;

/// Viewers of the dashboard at a time. More: 503.
pub const MAX_VIEWERS: usize = 16;

/// Milliseconds between two reports to a viewer.
pub const VIEW_MS: u64 = 1000;

/// Bytes that wait for a viewer who does not read. More: the next reports are left out, until `writeTimeoutMs` ends it.
pub const MAX_VIEWER_BYTES: usize = 1 << 20;

/// Milliseconds between two times that an event loop says how it is.
pub const BEAT_MS: u64 = 500;

/// So old a report may be, in milliseconds: scrapes that come faster get the same one, and cost next to nothing.
pub const REPORT_AGE_MS: u64 = 100;

/// Ids with figures of their own in metrics. The rest: figures of all of them together.
pub const MAX_METERED_IDS: usize = 200;

/// Bytes of such an id. Longer: it is among the rest.
pub const MAX_METERED_ID_BYTES: usize = 200;

/// A host that has been busy with its calls for so long, without a look for more, comes after others that are free.
pub const HOST_BUSY: std::time::Duration = std::time::Duration::from_millis(50);

/// Calls may wait so long without a look from the host before `/readyz` says no.
pub const HOST_BEHIND: std::time::Duration = std::time::Duration::from_secs(1);

/// Descriptors left to the application when `max_connections` is derived from RLIMIT_NOFILE.
pub const RESERVED_DESCRIPTORS: u64 = 64;

/// Rounds of one turn of a shard that another loop turns: it asks the kernel once in each. More: that loop gets its turn.
pub const INLINE_ROUNDS: usize = 32;
/// Rounds that such a turn still has when there are calls for the host: most often it ends by itself before, with more of them,
/// and one entry into the host's language is for all. More: the calls that are there do not wait for others.
pub const INLINE_GATHERS: usize = 4;
/// Time of one such turn, looked at between its rounds. See [`INLINE_ROUNDS`].
pub const INLINE_TURN: std::time::Duration = std::time::Duration::from_millis(5);

/// Rounds in which a shard looks at its inbox again because it was rung meanwhile, before I/O gets its turn.
pub const TICK_ROUNDS: usize = 8;

/// Entries of a shard's submission queue. Full: submitted early, nothing is lost.
pub const RING_ENTRIES: u32 = 1024;

/// The most shards that may be configured.
pub const MAX_SHARDS: usize = 64;

/// Connections that the kernel queues before they are accepted, default of [`crate::Config::backlog`].
pub const DEFAULT_BACKLOG: i32 = 4096;

/// Milliseconds that calls under way have to end when the engine stops. Later: they are cut off. The host's default, which it
/// gives with each stop.
pub const DEFAULT_DRAIN_TIMEOUT_MS: u64 = 10_000;

/// The bounds that can be configured. Each field: unit, default, and what happens when it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of request line and header fields, 16 KiB. More: 431, close.
    pub max_head_bytes: usize,
    /// Bytes of the request target, 8 KiB (RFC 9112 3 asks for 8000). More: 414, close.
    pub max_target_bytes: usize,
    /// Field lines in one head, and in one trailer section, 100 (at most [`MAX_HEADERS`]). More: 431, close.
    pub max_headers: usize,
    /// Bytes of chunk extensions in one request, all chunks together, 4 KiB. More: 413, close.
    pub max_chunk_extension_bytes: usize,
    /// Bytes of the trailer section of one chunked body, 8 KiB. More: 431, close.
    pub max_trailer_bytes: usize,
    /// Bytes of a JSON body, 2 MiB. More: 413, from the declared length at once.
    pub max_body_bytes: u64,
    /// Arrays and objects around a value of a JSON body, 1001 (at most [`MAX_JSON_DEPTH`]). So many, or more: 400. As
    /// many may be nested, then, if the innermost is empty.
    pub max_json_depth: usize,
    /// Requests of one connection that wait for their answers, 32. More: that socket is not read.
    pub max_pipelined: usize,
    /// Requests that one connection serves, 0 (the default): no limit, because nothing grows with their number, and a
    /// client that has sent more ahead would have to send them again. The last answer says `Connection: close`.
    pub max_requests_per_connection: u64,
    /// Bytes of answers that one connection has not taken, 64 KiB, and of its calls that are not answered. More of
    /// either: that socket is not read.
    pub max_buffered_bytes: usize,
    /// Bytes held for all connections together, 256 MiB; each shard has an equal part of them. They are what has come of
    /// requests that are not complete, calls that the host has not read, and answers that are not sent. More: calls get
    /// 503 with `Retry-After`, also in the middle of their body; who holds much without progress is disconnected
    /// ([`MEMORY_GRACE_MS`]); an answer over [`ALWAYS_ANSWERED_BYTES`] becomes a 500. One answer or body may pass it.
    pub max_total_buffered_bytes: usize,
    /// Calls under way, all shards together, 10 000. More: 503 with `Retry-After`.
    pub max_calls_in_flight: usize,
    /// Open connections, all shards together. More: 503 and close.
    pub max_connections: usize,
    /// Milliseconds from accepting to the end of the handshake of TLS, 10 s. Later: cut.
    pub handshake_timeout_ms: u64,
    /// Handshakes of TLS under way, all shards together, 1000; each shard has an equal part of them. More: the oldest is cut,
    /// so that those who make haste get in whoever does not.
    pub max_handshakes: usize,
    /// Milliseconds from a head's first byte (or from accepting) to its end, 10 s. Later: 408, close.
    pub head_timeout_ms: u64,
    /// Milliseconds for a body, 30 s; later it has to have kept up `min_body_bytes_per_s`. Slower: 408, close. A body of
    /// bytes that a task streams: milliseconds without a single one. No streamed body is timed while the task is behind.
    pub body_timeout_ms: u64,
    /// Bytes a second that a body has to keep up which takes longer than `body_timeout_ms`, 500; at least 1.
    pub min_body_bytes_per_s: u64,
    /// Milliseconds for a body that is gathered before its call runs, or that nobody wants, however fast it comes, 300 s.
    /// Later: 408, close. Less than `body_timeout_ms` counts as that. Streamed bodies and forms have no such bound: they
    /// are as long as their call wants.
    pub max_body_time_ms: u64,
    /// Bytes that are read and thrown away of a request which is answered before all of its body has come (CONTRACT 23 D14),
    /// 1 GiB. The connection stays usable; an answer says `Connection: close` if the request has declared more than that.
    /// More: cut, whether the client has read the answer or not.
    pub max_discarded_bytes: u64,
    /// Milliseconds without a byte of such a body, 10 s; and what it may be late against `min_body_bytes_per_s`. Later:
    /// close.
    pub discard_timeout_ms: u64,
    /// Milliseconds between two requests, 65 s. Later: close.
    pub idle_timeout_ms: u64,
    /// Milliseconds without progress in sending, 30 s. Later: close.
    pub write_timeout_ms: u64,
    /// Milliseconds until a handler answers, or begins to; 0 (the default): no limit. Later: 504, the call's signal
    /// aborts.
    pub handler_timeout_ms: u64,
    /// Milliseconds that calls may wait for the host's thread when it has fallen behind, 500: once each has waited longer
    /// for as long as that, those that have are answered 503 with `Retry-After` and never run. 0: no limit.
    pub queue_timeout_ms: u64,
    /// Seconds announced as `Keep-Alive: timeout=`, 5 (CONTRACT 7); the client closes first.
    pub keep_alive_hint_s: u32,
    /// Bounds of multipart bodies.
    pub multipart: MultipartLimits,
    /// Bounds of HTTP/2.
    pub http2: Http2Limits,
}

/// Bounds of one HTTP/2 connection, beside those that hold for every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Limits {
    /// HTTP/2 is spoken at all.
    pub enabled: bool,
    /// Streams that a client may have at a time, 100. More: `REFUSED_STREAM`; the client may try again.
    pub max_streams: u32,
    /// Bytes of the fields of one request as HTTP/2 counts them (32 more for each), 16 KiB. More: 431.
    pub max_field_bytes: u32,
    /// Bytes that a client may send on one stream before its task has read some, 64 KiB.
    pub stream_window_bytes: u32,
    /// Bytes that it may send on all of them, 1 MiB.
    pub connection_window_bytes: u32,
    /// Streams that a client may reset within [`INTERVAL_MS`](crate::wire::frame_watch::INTERVAL_MS), 200; and as many that it
    /// may make the server reset or refuse as long as the connection lives: `h2` counts those, and never begins anew. More:
    /// `GOAWAY` with `ENHANCE_YOUR_CALM`, close.
    pub max_resets: u32,
    /// Frames that ask for nothing, within the same time, 2000: see
    /// [`FrameLimits`](crate::wire::frame_watch::FrameLimits). More: as of `max_resets`.
    pub max_control_frames: u32,
}

impl Http2Limits {
    /// What holds where nothing is said.
    pub const DEFAULT: Self = Http2Limits {
        enabled: true,
        max_streams: 100,
        max_field_bytes: 16 * 1024,
        stream_window_bytes: 64 * 1024,
        connection_window_bytes: 1024 * 1024,
        max_resets: 200,
        max_control_frames: 2000,
    };
}

/// Bounds of one multipart body (CONTRACT 13.3). `None`: no bound. More: 413 with the contract's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultipartLimits {
    /// Bytes of one file for the task, 20 MiB. Reaching it is too much.
    pub file_bytes: Option<u64>,
    /// Files, those that are not for the task included, 10.
    pub files: Option<u32>,
    /// Bytes of one field (the manifest is one), 1 MiB. Reaching it is too much. See [`MAX_MANIFEST_BYTES`].
    pub field_bytes: Option<u64>,
    /// Fields, 100.
    pub fields: Option<u32>,
    /// Parts, files and fields and whatever else together; none. Reaching it is too much.
    pub parts: Option<u32>,
}

impl MultipartLimits {
    /// What holds where nothing is said.
    pub const DEFAULT: Self = MultipartLimits {
        file_bytes: Some(20 * 1024 * 1024),
        files: Some(10),
        field_bytes: Some(1024 * 1024),
        fields: Some(100),
        parts: None,
    };
}

impl Default for MultipartLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Limits {
    /// What holds where nothing is said.
    pub const DEFAULT: Self = Limits {
        max_head_bytes: DEFAULT_HEAD_BYTES,
        max_target_bytes: DEFAULT_TARGET_BYTES,
        max_headers: MAX_HEADERS,
        max_chunk_extension_bytes: DEFAULT_CHUNK_EXTENSION_BYTES,
        max_trailer_bytes: DEFAULT_TRAILER_BYTES,
        max_body_bytes: 2 * 1024 * 1024,
        max_json_depth: MAX_JSON_DEPTH,
        max_pipelined: 32,
        max_requests_per_connection: 0,
        max_buffered_bytes: 64 * 1024,
        max_total_buffered_bytes: 256 * 1024 * 1024,
        max_calls_in_flight: 10_000,
        max_connections: 10_000,
        handshake_timeout_ms: 10_000,
        max_handshakes: 1000,
        head_timeout_ms: 10_000,
        body_timeout_ms: 30_000,
        min_body_bytes_per_s: 500,
        max_body_time_ms: 300_000,
        max_discarded_bytes: 1024 * 1024 * 1024,
        discard_timeout_ms: 10_000,
        idle_timeout_ms: 65_000,
        write_timeout_ms: 30_000,
        handler_timeout_ms: 0,
        queue_timeout_ms: 500,
        keep_alive_hint_s: 5,
        multipart: MultipartLimits::DEFAULT,
        http2: Http2Limits::DEFAULT,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Bytes of a host name (RFC 1035 2.3.4). More: it is none.
pub const MAX_HOST_BYTES: usize = 253;

/// Bytes of one label of a host name. More: it is none.
pub const MAX_LABEL_BYTES: usize = 63;

/// Names that all shards together have looked up at a time, or wait for that. More: 503.
pub const MAX_LOOKUPS: usize = 256;

/// Threads that look names up, started as they are needed: the system's resolver blocks. More names wait for one of them.
pub const LOOKUP_THREADS: usize = 8;

/// Names that are looked up at a time for one context. More: they wait, and others do not wait for them.
pub const LOOKUPS_OF_ONE: usize = 4;

/// Names of one context that wait to be looked up. More: 503, and room is left for those of other contexts.
pub const LOOKUPS_WAITING_OF_ONE: usize = 64;

/// Time that threads which look names up have to end with their proxy. Longer: they are left to end by themselves.
pub const LOOKUP_END: std::time::Duration = std::time::Duration::from_millis(100);

/// Addresses of one host that are tried. More: the first of them.
pub const MAX_ADDRESSES: usize = 8;

/// Time that an address has before the next one is tried beside it (RFC 8305 5).
pub const CONNECT_STAGGER_MS: u64 = 250;

/// Idle connections to servers that one shard keeps for one context and one server. More: closed.
pub const POOL_OF_ONE: usize = 8;

/// Requests that one connection to a server carries at a time under HTTP/2, if the server takes as many. More: another connection.
pub const UPSTREAM_STREAMS: usize = 100;

/// Requests of one connection to a server that end with a reset. More: it takes no other, and ends with those under way. Servers
/// bound resets, and what still comes for each has to be told from what nobody has asked for, as long as the connection lives.
pub const UPSTREAM_RESETS: usize = 128;

/// Bytes that a server may send on one stream before its client has taken some. More: it waits.
pub const UPSTREAM_STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// Bytes that it may send on all of them. More: it waits. Clients of 32 answers have to take nothing before they hold up the others.
pub const UPSTREAM_WINDOW_BYTES: u32 = 32 * UPSTREAM_STREAM_WINDOW_BYTES;

/// Servers of which a shard knows that they want HTTP/1.1. More: the first is forgotten, and asked again.
pub const KNOWN_HTTP1: usize = 64;

/// Bytes that one direction of a tunnel carries at a time, and those of an answer. A tunnel that has less to carry has a
/// smaller buffer, down to [`LEAN_READ_BUFFER_BYTES`].
pub const RELAY_BYTES: usize = 64 * 1024;

/// Bytes of a request that is refused, or answered early, which are thrown away so that the connection can go on. More:
/// closed.
pub const PROXY_DISCARD_BYTES: u64 = 1024 * 1024;

/// Requests of a proxy that wait for its application to hear of them. More: they are counted, and not told.
pub const MAX_PROXY_LOG: usize = 4096;

/// A client of the proxy that has sent FIN may still be reading: it has this long without being sent anything. Later: it counts
/// as gone, for a FIN is all that tells of one.
pub const PROXY_HALF_CLOSE_MS: u64 = 5_000;

/// The bounds of a proxy that can be configured. Each field: unit, default, and what happens when it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyLimits {
    /// Connections to servers, 4096: those in use and those that wait for the next request. More: one that waits is closed,
    /// or the request is answered 503.
    pub max_upstreams: usize,
    /// Idle connections to servers, 256. More: the oldest is closed.
    pub max_idle_upstreams: usize,
    /// Connections to servers that one context has, 1024: those that wait included. More: one of its own that waits is closed, or
    /// the request is answered 503.
    pub max_upstreams_per_context: usize,
    /// Milliseconds that an idle connection to a server is kept, 10 s. Later: closed.
    pub idle_upstream_timeout_ms: u64,
    /// Milliseconds for looking up a name, 10 s. Later: 504.
    pub dns_timeout_ms: u64,
    /// Milliseconds for connecting, all addresses together, 10 s. Later: 504.
    pub connect_timeout_ms: u64,
    /// Milliseconds for the handshake of TLS, 10 s. Later: 504.
    pub tls_timeout_ms: u64,
    /// Milliseconds without progress in sending a request, 30 s. Later: 504.
    pub send_timeout_ms: u64,
    /// Milliseconds until the head of an answer has come, from when the request was sent, or from the last interim answer, 120 s:
    /// a server of a developer may have much to compile. Later: 504.
    pub answer_timeout_ms: u64,
    /// Milliseconds without a byte of an answer's content, 120 s. Later: the client's connection is cut.
    pub content_timeout_ms: u64,
    /// Milliseconds without a byte through a tunnel, in either direction, 1 h. Later: closed.
    pub tunnel_timeout_ms: u64,
    /// The same once one end has said that it sends nothing more, 60 s: a peer that has left looks like that. Later: closed.
    pub tunnel_half_timeout_ms: u64,
    /// Milliseconds until the first byte comes through a tunnel that is read here, 10 s. Later: closed.
    pub sniff_timeout_ms: u64,
    /// Certificates of the local CA that are kept, 256. More: the one that was used longest ago is made anew when it is asked for.
    pub max_certificates: usize,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        ProxyLimits {
            max_upstreams: 4096,
            max_idle_upstreams: 256,
            max_upstreams_per_context: 1024,
            idle_upstream_timeout_ms: 10_000,
            dns_timeout_ms: 10_000,
            connect_timeout_ms: 10_000,
            tls_timeout_ms: 10_000,
            send_timeout_ms: 30_000,
            answer_timeout_ms: 120_000,
            content_timeout_ms: 120_000,
            tunnel_timeout_ms: 3_600_000,
            tunnel_half_timeout_ms: 60_000,
            sniff_timeout_ms: 10_000,
            max_certificates: 256,
        }
    }
}

/// Body bytes up to which the buffers of a JSON check are kept for the next one. A longer body: they are given
/// back afterwards (simd-json needs up to 28 bytes of tape and index for one byte of body).
pub const MAX_KEPT_JSON_BYTES: usize = 64 * 1024;

/// Bytes of a text in the access log: what is longer is cut.
pub const MAX_LOG_TEXT_BYTES: usize = 1024;
/// Bytes of records of one shard that wait to be written. More: they are dropped, and counted.
pub const LOG_DRAWER_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of lines that are written at once.
pub const LOG_PORTION_BYTES: usize = 256 * 1024;
/// How long the writer of the access log gathers records before it looks again: it is woken no more often than this.
pub const LOG_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// How long the end of an engine waits for the writer of its access log. A disk may hang.
pub const LOG_END: std::time::Duration = std::time::Duration::from_secs(2);
