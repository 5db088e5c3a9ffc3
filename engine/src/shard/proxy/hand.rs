//! Sending to a client, and ending its connection.

use std::rc::Rc;

use crate::limits::READ_BUFFER_BYTES;
use crate::proxy::fault::Fault;
use crate::shard::Shard;
use crate::shard::exchange::phase::Phase;
use crate::shard::proxy::client::{Client, Wait};
use crate::shard::transport::layer::Layer;
use crate::shard::upstream::flow::{Inlet, Outlet};
use crate::shard::upstream::line::Line;
use crate::wire::body::BodyReader;
use crate::wire::framing::Framing;
use crate::wire::head::Head;

/// The client is gone, or was cut off: nobody is there to hear anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// What a task has of its client.
pub(super) struct Hand {
    pub shard: Rc<Shard>,
    pub client: Rc<Client>,
    pub inlet: Inlet,
    pub outlet: Outlet,
    /// Frames tell where its content ends, and where that of an answer does.
    pub framed: bool,
    /// And there is none.
    pub empty: bool,
}

/// Sends to the client.
pub(super) async fn send(shard: &Shard, client: &Client, outlet: &mut Outlet, bytes: Vec<u8>) -> Result<Vec<u8>, Gone> {
    let (sent, mut bytes) = outlet.send(bytes, || client.note_writing(Some(shard.now_ms()))).await;
    client.note_writing(None);
    bytes.clear();
    match sent {
        Ok(()) if !client.is_dead() => Ok(bytes),
        _ => Err(Gone),
    }
}

/// The read of a client, which can be taken back.
struct Reading(Rc<Client>);

impl Line for Reading {
    fn cut(&self) {
        self.0.cancel_read();
    }
}

impl Hand {
    /// The same client, under TLS.
    pub fn under(self, layer: &Rc<Layer>) -> Self {
        let Hand { shard, client, inlet, outlet, framed, empty } = self;
        client.go_under(layer.clone());
        let (inlet, outlet) = (inlet.under(layer.clone()), outlet.under(layer.clone()));
        Hand { shard, client, inlet, outlet, framed, empty }
    }

    /// Waits for more through a tunnel; false when nothing has come until then. Nothing is asked yet: an engine that stops does not wait
    /// for it.
    pub async fn hear(&mut self, until_ms: u64, late: Fault) -> bool {
        let client = self.client.clone();
        if client.closing() {
            return false;
        }
        client.busy.set(false);
        client.read_freely(self.now_ms());
        client.hold(Rc::new(Reading(client.clone())));
        client.expect(Wait::Hear, Some((until_ms, late)));
        let heard = self.inlet.fill(Some(client.socket())).await;
        client.let_go();
        client.busy.set(true);
        matches!(heard, Ok(1..)) && !client.is_dead()
    }

    /// Says how the content of a request is delimited that came in frames.
    pub fn frame(&self, head: &mut Head) {
        if self.framed && !self.empty && head.framing == Framing::None {
            head.framing = Framing::Chunked;
        }
    }

    /// What reads it.
    pub fn body(&self, framing: Framing) -> BodyReader {
        match framing {
            Framing::Chunked if self.framed => BodyReader::until_close(u64::MAX),
            framing => BodyReader::within(framing, u64::MAX, self.shard.chunk_limits),
        }
    }

    pub fn now_ms(&self) -> u64 {
        self.shard.now_ms()
    }

    pub async fn send(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        send(&self.shard, &self.client, &mut self.outlet, bytes).await.map(drop)
    }

    /// Nothing more is said: tells a client so, where that takes more than the end of the stream.
    pub async fn end(&mut self) {
        self.client.note_writing(Some(self.now_ms()));
        self.outlet.end().await;
        self.client.note_writing(None);
    }

    /// Everything is said: waits for the client to close, and throws away what it sends until then.
    pub async fn linger(&mut self) {
        let client = self.client.clone();
        client.begin_close();
        client.end();
        self.end().await;
        client.end_of().end_output();
        client.clock.restart(Phase::Stray, self.now_ms());
        client.weigh(READ_BUFFER_BYTES);
        loop {
            self.inlet.buffer.clear();
            match self.inlet.fill(None).await {
                Ok(bytes) if bytes > 0 && !client.is_dead() => client.clock.count_bytes(bytes, self.now_ms()),
                _ => return,
            }
        }
    }
}
