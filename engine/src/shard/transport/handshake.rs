//! The handshake of TLS, before anything is read or written.

use std::io;

use crate::limits::TLS_PLAIN_BYTES;
use crate::link::peers::TlsPeer;
use crate::shard::transport::encrypted::{EncryptedRead, EncryptedWrite};
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::socket::{Shutdown, Socket};
use crate::tls::Protocol;

/// What a client hears that speaks plain HTTP here.
const SPEAKS_PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 60\r\n\
Connection: close\r\n\r\nThis port speaks HTTPS only: call it with https:// instead.\n";

/// What a client has said before its first request.
#[derive(Default)]
pub(in crate::shard) struct Greeting {
    /// What it wants to speak.
    pub protocol: Protocol,
    /// How it speaks TLS, if it does.
    pub tls: Option<Box<TlsPeer>>,
}

/// Shakes hands, unless the connection is plain. An error: nothing more is to be said. It has no end of its own when the client does not play along, so somebody cuts it off.
pub(in crate::shard) async fn shake_hands(
    reader: &mut ReadHalf,
    writer: &mut WriteHalf,
    socket: &Socket,
) -> io::Result<Greeting> {
    let (ReadHalf::Encrypted(reader), WriteHalf::Encrypted(writer)) = (reader, writer) else {
        return Ok(Greeting::default());
    };
    let first = reader.hear().await?;
    // A record begins with its type (RFC 8446 5.1); a request with a letter of its method, a proxy's header likewise.
    if first.is_some_and(|byte| byte.is_ascii_alphabetic()) {
        refuse(reader, writer, socket).await;
        return Err(io::ErrorKind::InvalidData.into());
    }
    loop {
        reader.shake_hands()?;
        writer.flush().await?;
        if !reader.is_handshaking() {
            let tls = reader.meet();
            return Ok(Greeting { protocol: Protocol::of(tls.alpn.as_deref()), tls: Some(Box::new(tls)) });
        }
        reader.hear().await?;
    }
}

/// Shakes hands with a server, unless the connection is plain, and says what it has chosen to speak. As above, somebody else has to
/// see to its end.
pub(in crate::shard) async fn shake_hands_with_server(
    reader: &mut ReadHalf,
    writer: &mut WriteHalf,
) -> io::Result<Protocol> {
    let (ReadHalf::Encrypted(reader), WriteHalf::Encrypted(writer)) = (reader, writer) else {
        return Ok(Protocol::default());
    };
    loop {
        writer.flush().await?;
        if !reader.is_handshaking() {
            return Ok(reader.protocol());
        }
        reader.hear().await?;
        reader.shake_hands()?;
    }
}

/// Says what is wrong, and reads on for a while: a client that still sends would meet a reset instead of the answer.
async fn refuse(reader: &mut EncryptedRead, writer: &mut EncryptedWrite, socket: &Socket) {
    writer.send_plain(SPEAKS_PLAIN).await;
    socket.shutdown(Shutdown::Write);
    reader.pass_over(TLS_PLAIN_BYTES).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = String::from_utf8_lossy(SPEAKS_PLAIN);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{} in {head}", body.len());
    }
}
