//! The two directions of a connection, with what has come and is not looked at yet.

use std::io;
use std::rc::Rc;

use bytes::BytesMut;
use monoio::buf::{IoBuf, IoBufMut};

use crate::limits::{LEAN_READ_BUFFER_BYTES, READ_BUFFER_BYTES, RELAY_BYTES};
use crate::shard::multiplex::stream::Stream;
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::layer::Layer;
use crate::shard::transport::rooms::Room;
use crate::shard::transport::socket::Socket;
use crate::wire::body::BodyError;
use crate::wire::head::HeadLimits;

/// Where it comes from.
enum Source {
    Half(ReadHalf),
    /// That of a connection which has others beside it.
    Stream(Rc<Stream>),
    /// Under TLS, what comes here.
    Layer(Box<Inlet>, Rc<Layer>),
}

/// What comes.
pub(in crate::shard) struct Inlet {
    source: Source,
    /// What has come.
    pub buffer: BytesMut,
    /// Bytes that the next read has room for.
    room: usize,
}

/// What goes.
pub(in crate::shard) enum Outlet {
    Half(WriteHalf),
    /// That of a connection which has others beside it, and within which bounds heads are for it.
    Stream(Rc<Stream>, HeadLimits),
    /// Under TLS, what goes here.
    Layer(Box<Outlet>, Rc<Layer>),
}

impl Inlet {
    pub fn new(half: ReadHalf) -> Self {
        Inlet { source: Source::Half(half), buffer: BytesMut::new(), room: LEAN_READ_BUFFER_BYTES }
    }

    /// Of a stream.
    pub fn of(stream: Rc<Stream>) -> Self {
        Inlet { source: Source::Stream(stream), buffer: BytesMut::new(), room: LEAN_READ_BUFFER_BYTES }
    }

    /// What comes under TLS, in what comes here.
    pub fn under(self, layer: Rc<Layer>) -> Self {
        let source = Source::Layer(Box::new(self), layer);
        Inlet { source, buffer: BytesMut::new(), room: LEAN_READ_BUFFER_BYTES }
    }

    /// The fields behind content that has ended, as lines, where they came in a frame.
    ///
    /// # Errors
    /// They are more than allowed.
    pub fn take_trailers(&self) -> Result<Vec<u8>, BodyError> {
        match &self.source {
            Source::Half(_) | Source::Layer(..) => Ok(Vec::new()),
            Source::Stream(stream) => stream.take_trailers(),
        }
    }

    /// A frame has said that nothing more comes, not even such fields.
    pub fn has_ended(&self) -> bool {
        match &self.source {
            Source::Half(_) | Source::Layer(..) => false,
            Source::Stream(stream) => stream.has_ended(),
        }
    }

    /// The half of a socket, and what has come over it.
    pub fn into_half(self) -> Option<(ReadHalf, BytesMut)> {
        match self.source {
            Source::Half(half) => Some((half, self.buffer)),
            Source::Stream(_) | Source::Layer(..) => None,
        }
    }

    /// Nothing may come for long: what is not needed is given back.
    pub fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.room = LEAN_READ_BUFFER_BYTES;
        }
        if let Source::Layer(beneath, layer) = &mut self.source {
            layer.rest();
            beneath.rest();
        }
    }

    /// Bytes that it holds, those included that the next read needs. What TLS holds counts by itself.
    pub fn held_bytes(&self) -> usize {
        let beneath = match &self.source {
            Source::Layer(beneath, _) => beneath.held_bytes(),
            Source::Half(_) | Source::Stream(_) => 0,
        };
        self.buffer.capacity().max(self.room) + beneath
    }

    /// Waits for more, and says how much has come; 0: the end. With a socket the read can be taken back.
    pub async fn fill(&mut self, until_cancelled: Option<&Socket>) -> io::Result<usize> {
        let half = match &mut self.source {
            Source::Half(half) => half,
            Source::Stream(stream) => {
                let buffer = &mut self.buffer;
                return stream.fill(|bytes| buffer.extend_from_slice(bytes), until_cancelled.is_some()).await;
            }
            Source::Layer(beneath, layer) => {
                self.buffer.reserve(self.room);
                let free = self.buffer.free();
                let bytes = Box::pin(open(beneath, layer, &mut self.buffer, until_cancelled)).await?;
                self.adapt(bytes, free);
                return Ok(bytes);
            }
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() - buffer.len() < self.room {
            buffer.reserve(self.room);
        }
        let (start, end) = (buffer.len(), buffer.capacity());
        let free = IoBufMut::slice_mut(buffer, start..end);
        let (read, filled) = match until_cancelled {
            Some(socket) => half.read_until_cancelled(free, socket).await,
            None => half.read(free).await,
        };
        self.buffer = filled.into_inner();
        let bytes = read?;
        self.adapt(bytes, end - start);
        Ok(bytes)
    }

    /// As [`Self::fill`], into a buffer of its own, for what is passed on as it is.
    pub async fn take(&mut self, mut spare: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        if !self.buffer.is_empty() {
            let bytes = std::mem::take(&mut self.buffer);
            return (Ok(bytes.len()), bytes.to_vec());
        }
        spare.clear();
        if let Source::Stream(stream) = &self.source {
            return (stream.fill(|bytes| spare.extend_from_slice(bytes), false).await, spare);
        }
        if spare.capacity() < self.room || spare.capacity() > 4 * self.room {
            spare = Vec::with_capacity(self.room);
        }
        let room = spare.capacity();
        let (read, filled) = match &mut self.source {
            Source::Half(half) => half.read(spare).await,
            Source::Layer(beneath, layer) => (Box::pin(open(beneath, layer, &mut spare, None)).await, spare),
            Source::Stream(_) => (Ok(0), spare),
        };
        if let Ok(bytes) = read {
            self.adapt(bytes, room);
        }
        (read, filled)
    }

    /// Room for more where a read has had no more, and for less where it has had far less.
    fn adapt(&mut self, bytes: usize, room: usize) {
        if bytes == room {
            self.room = (self.room * 4).clamp(READ_BUFFER_BYTES, RELAY_BYTES);
        } else if bytes < self.room / 16 {
            self.room = (self.room / 4).max(LEAN_READ_BUFFER_BYTES);
        }
    }
}

/// Waits for content under TLS, as a read would for bytes.
async fn open<B: Room>(
    beneath: &mut Inlet,
    layer: &Layer,
    room: &mut B,
    until_cancelled: Option<&Socket>,
) -> io::Result<usize> {
    loop {
        if let Some(taken) = layer.take(room)? {
            return Ok(taken);
        }
        if beneath.buffer.is_empty() && beneath.fill(until_cancelled).await? == 0 {
            layer.end_of_input()?;
        } else {
            layer.came(&beneath.buffer)?;
            beneath.buffer.clear();
        }
    }
}

/// Sends content under TLS.
async fn seal(beneath: &mut Outlet, layer: &Layer, bytes: Vec<u8>, progress: &dyn Fn()) -> (io::Result<()>, Vec<u8>) {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        let sent = match layer.seal(rest) {
            Ok((taken, sealed)) => {
                done += taken;
                beneath.send(sealed, progress).await.0
            }
            Err(error) => Err(error),
        };
        if sent.is_err() {
            return (sent, bytes);
        }
    }
    (Ok(()), bytes)
}

impl Outlet {
    pub fn new(half: WriteHalf) -> Self {
        Outlet::Half(half)
    }

    /// The half of a socket.
    pub fn into_half(self) -> Option<WriteHalf> {
        match self {
            Outlet::Half(half) => Some(half),
            Outlet::Stream(..) | Outlet::Layer(..) => None,
        }
    }

    /// What goes under TLS, in what goes here.
    pub fn under(self, layer: Rc<Layer>) -> Self {
        Outlet::Layer(Box::new(self), layer)
    }

    /// Says that nothing more comes, where that takes more than the end of the stream.
    pub async fn end(&mut self) {
        match self {
            Outlet::Half(half) => {
                if let Some(end) = half.end() {
                    end.await;
                }
            }
            Outlet::Stream(stream, _) => stream.end(b""),
            Outlet::Layer(beneath, layer) => {
                if let Ok(bytes) = layer.end_output()
                    && Box::pin(beneath.send(bytes, || {})).await.0.is_ok()
                {
                    Box::pin(beneath.end()).await;
                }
            }
        }
    }

    /// Says that nothing more comes but these fields, given as lines, where a frame carries them.
    pub fn end_with(&mut self, trailers: &[u8]) {
        if let Outlet::Stream(stream, _) = self {
            stream.end(trailers);
        }
    }

    /// Sends all of it; `progress` hears of each piece, and once before the first. Gives the buffer back.
    pub async fn send(&mut self, mut bytes: Vec<u8>, progress: impl Fn()) -> (io::Result<()>, Vec<u8>) {
        let half = match self {
            Outlet::Half(half) => half,
            Outlet::Stream(stream, limits) => return stream.send(bytes, limits, progress).await,
            Outlet::Layer(beneath, layer) => return Box::pin(seal(beneath, layer, bytes, &progress)).await,
        };
        let mut done = 0;
        while done < bytes.len() {
            progress();
            let end = bytes.len();
            let (result, slice) = half.write(bytes.slice(done..end)).await;
            bytes = slice.into_inner();
            match result {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), bytes),
                Ok(sent) => done += sent,
                Err(error) => return (Err(error), bytes),
            }
        }
        (Ok(()), bytes)
    }
}
