//! A blocking HTTP client that sees every byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(8);

/// One answer as received.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn closes(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The text of `result` in a success envelope.
    #[track_caller]
    pub fn result(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        self.body.strip_prefix("{\"ok\":true,\"result\":").unwrap().strip_suffix('}').unwrap()
    }
}

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection with what was read from it and not looked at yet.
pub struct Client {
    pub stream: Stream,
    unread: Vec<u8>,
    /// The lines behind the last chunk that was taken.
    pub trailers: Vec<u8>,
}

impl Client {
    #[track_caller]
    pub fn tcp(address: SocketAddr) -> Client {
        Client::try_tcp(address).unwrap()
    }

    pub fn try_tcp(address: SocketAddr) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: Stream::Tcp(stream), unread: Vec::new(), trailers: Vec::new() })
    }

    #[track_caller]
    pub fn unix(path: &Path) -> Client {
        Client::over(UnixStream::connect(path).unwrap())
    }

    /// Speaks over a connection that somebody else has made.
    pub fn over(stream: UnixStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream: Stream::Unix(stream), unread: Vec::new(), trailers: Vec::new() }
    }

    pub fn tcp_stream(&self) -> &TcpStream {
        match &self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Unix(_) => panic!("not a TCP connection"),
        }
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes.as_ref()),
            Stream::Unix(stream) => stream.write_all(bytes.as_ref()),
        }
    }

    /// Sends in two packets.
    pub fn send_split(&mut self, bytes: &[u8], at: usize) {
        self.send(&bytes[..at]);
        std::thread::sleep(Duration::from_micros(300));
        self.send(&bytes[at..]);
    }

    pub fn finish_sending(&self) {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
        }
    }

    /// Closes with a reset instead of a FIN.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(self.tcp_stream());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let read = loop {
            let read = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(&mut bytes),
                Stream::Unix(stream) => stream.read(&mut bytes),
            };
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.unread.extend_from_slice(&bytes[..read]);
        Ok(read)
    }

    /// Gives back the memory of what was read, so that it does not count.
    pub fn forget_buffer(&mut self) {
        self.unread = Vec::new();
    }

    /// Reads so many bytes, for `reply` to look at later.
    #[track_caller]
    pub fn read_ahead(&mut self, bytes: usize) {
        let end = self.unread.len() + bytes;
        while self.unread.len() < end {
            assert!(self.fill().unwrap() > 0);
        }
    }

    /// The next answer, which has content as its Content-Length says.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        self.try_reply(true).expect("an answer")
    }

    /// The next answer; without content whatever its Content-Length says, as after HEAD.
    #[track_caller]
    pub fn reply_to_head(&mut self) -> Reply {
        self.try_reply(false).expect("an answer")
    }

    /// The next answer, or why there is none.
    pub fn try_reply(&mut self, content: bool) -> Result<Reply, String> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill_some()?;
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let mut reply = Reply { status: head[9..12].parse().unwrap(), head, body: String::new() };
        if content && let Some(length) = reply.field("content-length") {
            let length = length.parse::<usize>().unwrap();
            while self.unread.len() < length {
                self.fill_some()?;
            }
            reply.body = String::from_utf8(self.unread.drain(..length).collect()).unwrap();
        }
        Ok(reply)
    }

    /// The head of the next answer; what follows is taken with `take`, `chunks` or `until_end`.
    #[track_caller]
    pub fn head(&mut self) -> Reply {
        self.try_reply(false).expect("a head")
    }

    /// So many bytes.
    #[track_caller]
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        while self.unread.len() < bytes {
            self.fill_some().unwrap();
        }
        self.unread.drain(..bytes).collect()
    }

    /// What comes until the end: the bytes, and how it ended where that was no FIN.
    pub fn until_end(&mut self) -> (Vec<u8>, Option<ErrorKind>) {
        loop {
            match self.fill() {
                Ok(0) => return (std::mem::take(&mut self.unread), None),
                Ok(_) => {}
                Err(error) => return (std::mem::take(&mut self.unread), Some(error.kind())),
            }
        }
    }

    /// A chunked body: its chunks, the last and empty one left out; or why it is not whole.
    pub fn chunks(&mut self) -> Result<Vec<Vec<u8>>, String> {
        let mut chunks = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = self.unread.windows(2).position(|bytes| bytes == b"\r\n") {
                    break self.unread.drain(..at + 2).collect::<Vec<_>>();
                }
                self.fill_some()?;
            };
            let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            while self.unread.len() < size + 2 {
                self.fill_some()?;
            }
            if size == 0 {
                self.trailers.clear();
                while !self.trailers.ends_with(b"\r\n\r\n") && self.trailers != b"\r\n" {
                    if self.unread.is_empty() {
                        self.fill_some()?;
                    }
                    self.trailers.push(self.unread.remove(0));
                }
                self.trailers.truncate(self.trailers.len() - 2);
                return Ok(chunks);
            }
            let chunk: Vec<_> = self.unread.drain(..size + 2).collect();
            assert_eq!(&chunk[size..], b"\r\n");
            chunks.push(chunk[..size].to_vec());
        }
    }

    fn fill_some(&mut self) -> Result<(), String> {
        match self.fill() {
            Ok(0) => Err(format!("closed after {:?}", self.unread_text())),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{error} after {:?}", self.unread_text())),
        }
    }

    fn unread_text(&self) -> String {
        String::from_utf8_lossy(&self.unread[..self.unread.len().min(300)]).into_owned()
    }

    /// Sends a request and takes the answer.
    #[track_caller]
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes);
        self.reply()
    }

    /// Asserts that the server closes without another byte, with a FIN or a reset.
    #[track_caller]
    pub fn expect_end(&mut self) {
        match self.fill() {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("expected the end, got {other:?}"),
        }
        assert!(self.unread.is_empty(), "{:?}", self.unread_text());
    }

    /// Asserts that the server closes with a FIN, so that nothing that it sent can be lost.
    #[track_caller]
    pub fn expect_fin(&mut self) {
        assert!(matches!(self.fill(), Ok(0)), "{:?}", self.unread_text());
        assert!(self.unread.is_empty(), "{:?}", self.unread_text());
    }

    /// Asserts that nothing comes for a while: neither bytes nor the end.
    #[track_caller]
    pub fn expect_silence(&mut self, time: Duration) {
        assert!(self.unread.is_empty(), "{:?}", self.unread_text());
        self.set_patience(time);
        let start = Instant::now();
        let read = self.fill();
        self.set_patience(PATIENCE);
        match read {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => {
                let unread = self.unread_text();
                panic!("{other:?} after {:?} instead of silence: {unread:?}", start.elapsed())
            }
        }
    }

    pub fn set_patience(&self, time: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(time)).unwrap(),
            Stream::Unix(stream) => stream.set_read_timeout(Some(time)).unwrap(),
        }
    }

    /// Asserts that the connection still works.
    #[track_caller]
    pub fn expect_usable(&mut self) {
        assert_eq!(self.ask(call("echo", "\"still here\"")).result(), "\"still here\"");
    }
}

/// A request with any method, path and extra field lines (each with its CRLF).
pub fn request(method: &str, path: &str, lines: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{lines}content-length: {}\r\n\r\n{body}", body.len())
}

/// The call of a task.
pub fn call(task: &str, body: &str) -> String {
    request("POST", &format!("/__runner/task/{task}"), "", body)
}

/// The head of a task's call whose body is a stream of bytes; `lines` say how it is delimited.
pub fn octets(task: &str, lines: &str) -> String {
    let lines = format!("content-type: application/octet-stream\r\n{lines}");
    format!("POST /__runner/task/{task} HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
}

/// Bytes that tell where they are from.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

/// The call of an event.
pub fn event(event: &str, body: &str) -> String {
    request("POST", &format!("/__runner/event/{event}"), "", body)
}
