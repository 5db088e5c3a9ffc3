//! Servers behind a proxy, each connection of which does what the test says, and a proxy in front of them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fasttunnel_engine::Config;
use fasttunnel_engine::proxy::base64;
use fasttunnel_engine::proxy::credentials::Names;
use fasttunnel_engine::proxy::policy::Policy;
use fasttunnel_engine::proxy::route::Route;
use fasttunnel_engine::proxy::settings::Settings;

use fasttunnel_engine::trust::Trust;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Client, DriverChoice, Server};

/// A server on a port of its own.
pub struct Origin {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Origin {
    /// Serves each connection on a thread of its own; `serve` gets its number, too.
    pub fn start(serve: impl Fn(Peer, usize) + Send + Sync + 'static) -> Origin {
        Origin::over(|stream| Box::new(stream), serve)
    }

    /// As [`Self::start`], under TLS.
    pub fn secure(config: Arc<rustls::ServerConfig>, serve: impl Fn(Peer, usize) + Send + Sync + 'static) -> Origin {
        let line = move |stream| -> Box<dyn Line> {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            Box::new(rustls::StreamOwned::new(connection, stream))
        };
        Origin::over(line, serve)
    }

    /// Answers every request with the address at which it has come.
    #[track_caller]
    pub fn telling(address: &str) -> Origin {
        let listener = TcpListener::bind(address).unwrap();
        let line = |stream| -> Box<dyn Line> { Box::new(stream) };
        Origin::at(listener, line, |mut peer, _| {
            while peer.request().is_some() {
                let host = peer.local.ip().to_string();
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{host}", host.len()));
            }
        })
    }

    fn over(
        line: impl Fn(TcpStream) -> Box<dyn Line> + Send + 'static,
        serve: impl Fn(Peer, usize) + Send + Sync + 'static,
    ) -> Origin {
        Origin::at(TcpListener::bind("127.0.0.1:0").unwrap(), line, serve)
    }

    fn at(
        listener: TcpListener,
        line: impl Fn(TcpStream) -> Box<dyn Line> + Send + 'static,
        serve: impl Fn(Peer, usize) + Send + Sync + 'static,
    ) -> Origin {
        let address = listener.local_addr().unwrap();
        let (accepted, serve) = (Arc::<AtomicUsize>::default(), Arc::new(serve));
        let count = accepted.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let serve = serve.clone();
                stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
                let local = stream.local_addr().unwrap();
                let peer = Peer { local, line: line(stream), unread: Vec::new() };
                std::thread::spawn(move || serve(peer, number));
            }
        });
        Origin { address, accepted }
    }

    /// Answers every request of every connection with these bytes.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Origin {
        let answer = answer.into();
        Origin::start(move |mut peer, _| {
            while peer.request().is_some() {
                peer.send(&answer);
            }
        })
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// A server that accepts nothing, and whose queue is full: whoever connects waits.
pub struct Full {
    pub address: SocketAddr,
    _listener: Socket,
    _waiting: Vec<Socket>,
}

impl Full {
    #[track_caller]
    pub fn bind(address: &str) -> Full {
        let address: SocketAddr = address.parse().unwrap();
        let new = || Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        let listener = new();
        listener.bind(&SockAddr::from(address)).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = (0..4).map(|_| {
            let socket = new();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            socket
        });
        let waiting = waiting.collect();
        std::thread::sleep(Duration::from_millis(50));
        Full { address: address.as_socket().unwrap(), _listener: listener, _waiting: waiting }
    }
}

/// What a connection of a server goes over.
trait Line: Read + Write + Send {
    /// Says that nothing more is sent.
    fn finish(&mut self);
}

impl Line for TcpStream {
    fn finish(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Line for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

/// One connection of a server.
pub struct Peer {
    /// Where it has come in.
    pub local: SocketAddr,
    line: Box<dyn Line>,
    unread: Vec<u8>,
}

impl Peer {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.line.write_all(bytes.as_ref());
    }

    /// Says that nothing more is sent, as what carries the connection says it.
    pub fn finish(&mut self) {
        self.line.finish();
    }

    /// More of what comes; false at the end.
    pub fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.line.read(&mut bytes) {
            Ok(read) if read > 0 => {
                self.unread.extend_from_slice(&bytes[..read]);
                true
            }
            _ => false,
        }
    }

    /// The next head, or nothing at the end.
    pub fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return Some(String::from_utf8(self.unread.drain(..at + 4).collect()).unwrap());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// So many bytes, or what there is at the end.
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        while self.unread.len() < bytes && self.fill() {}
        self.unread.drain(..bytes.min(self.unread.len())).collect()
    }

    /// Everything until the end.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.unread)
    }

    /// The next request: its head, and its content as it came.
    pub fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let head = self.head()?;
        let lower = head.to_ascii_lowercase();
        if lower.contains("transfer-encoding: chunked") {
            let mut content = Vec::new();
            let has_last =
                |content: &[u8]| content.starts_with(b"0\r\n") || content.windows(5).any(|at| at == b"\r\n0\r\n");
            while !content.ends_with(b"\r\n\r\n") || !has_last(&content) {
                let more = self.take(1);
                if more.is_empty() {
                    return None;
                }
                content.extend(more);
            }
            return Some((head, content));
        }
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let content = self.take(length);
        (content.len() == length).then_some((head, content))
    }
}

/// A proxy with one context.
pub struct Proxy {
    pub server: Server,
    pub names: Names,
}

impl Proxy {
    /// A proxy that may connect to this machine, and a context without a route.
    #[track_caller]
    pub fn start(driver: DriverChoice) -> Proxy {
        Proxy::with(driver, None, |_| {})
    }

    #[track_caller]
    pub fn with(driver: DriverChoice, route: Option<Route>, change: impl FnOnce(&mut Settings)) -> Proxy {
        let policy = Policy { loopback: true, ..Policy::default() };
        let mut settings = Settings { policy, ..Settings::default() };
        change(&mut settings);
        Proxy::trusting(driver, route, settings, Trust::of_the_web().unwrap())
    }

    #[track_caller]
    pub fn trusting(driver: DriverChoice, route: Option<Route>, settings: Settings, trust: Trust) -> Proxy {
        Proxy::configured(driver, route, settings, trust, |_| {})
    }

    #[track_caller]
    pub fn configured(
        driver: DriverChoice,
        route: Option<Route>,
        settings: Settings,
        trust: Trust,
        change: impl FnOnce(&mut Config),
    ) -> Proxy {
        let server = Server::with(driver, |config| {
            config.proxy = Some((settings, trust));
            change(config);
        });
        let names = server.engine().create_context(7, route).unwrap().unwrap();
        Proxy { server, names }
    }

    /// The line that proves for whom a request is.
    pub fn credentials(&self) -> String {
        credentials(&self.names)
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        self.server.client()
    }

    /// A request for a server, with these lines.
    pub fn request(&self, line: &str, lines: &str) -> String {
        format!("{line} HTTP/1.1\r\nHost: whatever\r\n{}{lines}\r\n", self.credentials())
    }

    /// The answer to `GET`.
    #[track_caller]
    pub fn get(&self, url: &str) -> super::Reply {
        let mut client = self.client();
        client.send(self.request(&format!("GET {url}"), ""));
        client.reply()
    }
}

pub fn credentials(names: &Names) -> String {
    let pair = format!("{}:{}", names.username, names.password);
    format!("Proxy-Authorization: Basic {}\r\n", base64::encode(pair.as_bytes()))
}
