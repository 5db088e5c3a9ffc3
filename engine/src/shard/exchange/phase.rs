//! What is waited for of the requests of one client. Each phase has its own deadline (`bounds::judge`).

/// What the read side is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Phase {
    /// The first byte after accepting.
    Fresh,
    /// The first byte of the next request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body that a call waits for.
    Body,
    /// More of a body that a call reads as it comes.
    Stream,
    /// The call that reads the body, which is behind: the socket is not read.
    Held,
    /// The rest of a body that nobody wants; its request is answered already.
    Skip,
    /// FIN came while calls were under way.
    HalfClosed,
    /// No request is taken any more, and none was cut short; once everything is answered, the client should close. What
    /// it sends instead belongs to no request.
    Stray,
    /// As `Stray`, for a client that has been late: whatever it sends, the time is short.
    Linger,
}
