//! A connection under TLS, otherwise as in [`crate::connection`]. It asks for no resumption: a new connection costs the server
//! a whole handshake.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::answer::AnswerReader;
use crate::connection::{Broken, take};
use crate::load::Load;
use crate::other::Sent;
use crate::tally::Failure;

/// What is read at a time: a record of the largest.
const READ_BYTES: usize = 18 * 1024;

/// What connections begin with.
pub fn config() -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Anybody(provider.clone()));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(io::Error::other)?.dangerous();
    let mut config = builder.with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// A client of a server on this machine.
pub fn session(config: &Arc<ClientConfig>) -> io::Result<ClientConnection> {
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    ClientConnection::new(config.clone(), name).map_err(io::Error::other)
}

/// Whoever listens on this machine is who he says. His signature is checked all the same: clients do that work.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Sends and receives until the run is over and nothing is under way, or until one answer has come where each request has a
/// connection of its own.
pub async fn talk(
    load: &Rc<Load>,
    config: &Arc<ClientConfig>,
    socket: TcpStream,
    started: &mut VecDeque<Sent>,
) -> Result<(), Broken> {
    let (mut reader, mut writer) = socket.into_split();
    let (mut tls, mut raw) = (session(config)?, Vec::with_capacity(READ_BYTES));
    let (mut answers, mut input) = (AnswerReader::default(), Vec::new());
    loop {
        let count = load.begin(started).await;
        if started.is_empty() {
            return Ok(());
        }
        let (requests, length) = load.bytes(started, count);
        tls.writer().write_all(&requests[..length])?;
        let mut answered = 0;
        while !started.is_empty() && answered == 0 {
            flush(&mut tls, &mut writer).await?;
            raw = receive(&mut tls, &mut reader, raw, &mut input).await?;
            answered += take(load, &mut answers, &mut input, started)?;
        }
        if load.fresh {
            tls.send_close_notify();
            return flush(&mut tls, &mut writer).await;
        }
    }
}

/// Sends what there is to be sent.
async fn flush(tls: &mut ClientConnection, writer: &mut OwnedWriteHalf<TcpStream>) -> Result<(), Broken> {
    let mut records = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut records)?;
    }
    if !records.is_empty() {
        writer.write_all(records).await.0?;
    }
    Ok(())
}

/// Waits for more; its content goes behind `input`.
async fn receive(
    tls: &mut ClientConnection,
    reader: &mut OwnedReadHalf<TcpStream>,
    mut raw: Vec<u8>,
    input: &mut Vec<u8>,
) -> Result<Vec<u8>, Broken> {
    raw.clear();
    let (outcome, raw) = reader.read(raw).await;
    if outcome? == 0 {
        return Err(Broken(Failure::Closed, "the server has closed the connection".to_owned()));
    }
    let mut rest = &raw[..];
    while !rest.is_empty() {
        tls.read_tls(&mut rest)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        match tls.reader().read_to_end(input) {
            // Nothing further until more has come.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => drop(outcome?),
        }
    }
    Ok(raw)
}
