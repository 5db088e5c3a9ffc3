//! Why a request does not get the answer of the server that it is for: what its client hears (RFC 9110 15, RFC 9209).

use crate::proxy::credentials::REALM;
use crate::wire::body::BodyError;
use crate::wire::date::HttpDate;
use crate::wire::head_error::HeadError;
use crate::wire::status::reason_phrase;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => $status:literal, $error:expr;)*) => {
        /// See the module.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
            /// The head of the request is refused.
            Head(HeadError),
        }

        impl Fault {
            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Fault::$name => $status,)*
                    Fault::Head(error) => error.status(),
                }
            }

            /// The type of error of `Proxy-Status` (RFC 9209 2.3), where there is one.
            #[must_use]
            pub const fn error(self) -> Option<&'static str> {
                match self {
                    $(Fault::$name => $error,)*
                    Fault::Head(_) => Some("http_request_error"),
                }
            }
        }

        /// All of them but those of heads.
        pub const FAULTS: &[Fault] = &[$(Fault::$name,)*];
    };
}

faults! {
    /// No context has these credentials.
    Unauthenticated => 407, None;
    /// The target is none of a proxy's, or of no host that could be connected to.
    Target => 400, Some("http_request_error");
    /// `Max-Forwards` is no number.
    MaxForwards => 400, Some("http_request_error");
    /// The coding of the content is broken.
    Content => 400, Some("http_request_error");
    /// More of chunk extensions than allowed (RFC 9112 7.1.1).
    Extensions => 413, Some("http_request_error");
    /// More of trailers than allowed.
    Trailers => 431, Some("http_request_error");
    /// The client has not sent all of its content in time.
    ContentLate => 408, Some("http_request_error");
    /// The head has not come in time.
    HeadLate => 408, Some("http_request_error");
    /// A port or a host that the rules do not allow.
    Denied => 403, Some("http_request_denied");
    /// All addresses of the host are of a kind that the rules do not allow.
    Prohibited => 403, Some("destination_ip_prohibited");
    /// The request has been here before, or is for the proxy itself.
    Loop => 508, Some("proxy_loop_detected");
    /// The host has no address.
    NotFound => 502, Some("dns_error");
    /// Nobody has said in time what address the host has.
    DnsLate => 504, Some("dns_timeout");
    /// Too many names are being looked up.
    DnsBusy => 503, Some("connection_limit_reached");
    /// Too many connections to servers.
    TooMany => 503, Some("connection_limit_reached");
    /// Nobody listens there.
    Refused => 502, Some("connection_refused");
    /// There is no way to it.
    Unroutable => 502, Some("destination_ip_unroutable");
    /// Another error of connecting.
    Unavailable => 502, Some("destination_unavailable");
    /// Nobody has answered the connection in time.
    ConnectLate => 504, Some("connection_timeout");
    /// The handshake of TLS has failed.
    Tls => 502, Some("tls_protocol_error");
    /// The server's certificate is not to be trusted.
    Certificate => 502, Some("tls_certificate_error");
    /// The server has closed before it has answered.
    Terminated => 502, Some("connection_terminated");
    /// The server has not taken the request in time.
    WriteLate => 504, Some("connection_write_timeout");
    /// The server has not begun its answer in time.
    AnswerLate => 504, Some("http_response_timeout");
    /// The server has answered with what is no HTTP, or what two readers could read in two ways.
    Answer => 502, Some("http_protocol_error");
    /// The head of the answer is larger than allowed.
    AnswerHead => 502, Some("http_response_header_section_size");
    /// The server has switched to a protocol that nobody has asked for.
    Upgrade => 502, Some("http_upgrade_failed");
    /// The server demands credentials of a proxy, which it is not.
    Challenge => 502, Some("http_protocol_error");
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Fault {
        match error {
            // Of the size of content there is no bound.
            BodyError::Malformed(_) | BodyError::TooLarge => Fault::Content,
            BodyError::ExtensionsTooLarge => Fault::Extensions,
            BodyError::TrailersTooLarge => Fault::Trailers,
        }
    }
}

/// An answer that the proxy gives by itself.
#[derive(Clone, Copy, Debug)]
pub struct OwnAnswer<'a> {
    /// 200 or above.
    pub status: u16,
    /// Of `Proxy-Status`.
    pub error: Option<&'a str>,
    /// Of the content; whoever asks for credentials is not told more.
    pub media_type: &'a str,
    /// The content.
    pub content: &'a [u8],
    /// It is told, but not sent: the answer to HEAD.
    pub head_only: bool,
    /// The connection ends after it.
    pub close: bool,
    /// The client speaks HTTP/1.0, where a connection that goes on has to be told.
    pub old: bool,
}

impl<'a> OwnAnswer<'a> {
    /// What a client hears of a fault: no more than the status says, and nothing of the server.
    #[must_use]
    pub fn of(fault: Fault) -> OwnAnswer<'a> {
        OwnAnswer {
            status: fault.status(),
            error: fault.error(),
            media_type: "text/plain; charset=utf-8",
            content: reason_phrase(fault.status()).as_bytes(),
            head_only: false,
            close: false,
            old: false,
        }
    }

    /// Appends it to `out`.
    pub fn encode(&self, name: &str, date: &HttpDate, out: &mut Vec<u8>) {
        let line = |out: &mut Vec<u8>, name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        out.extend_from_slice(format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status)).as_bytes());
        line(out, "Date", date.as_bytes());
        if self.status == 407 {
            line(out, "Proxy-Authenticate", format!("Basic realm=\"{REALM}\"").as_bytes());
        }
        if let Some(error) = self.error {
            line(out, "Proxy-Status", format!("{name}; error={error}").as_bytes());
        }
        if !self.content.is_empty() {
            line(out, "Content-Type", self.media_type.as_bytes());
        }
        line(out, "Content-Length", self.content.len().to_string().as_bytes());
        match (self.close, self.old) {
            (true, _) => line(out, "Connection", b"close"),
            (false, true) => line(out, "Connection", b"keep-alive"),
            (false, false) => {}
        }
        out.extend_from_slice(b"\r\n");
        if !self.head_only {
            out.extend_from_slice(self.content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_proxy_says_what_is_wrong_in_words_of_the_rfc_and_no_more() {
        let date = HttpDate::from_unix(0);
        let mut out = Vec::new();
        OwnAnswer { close: true, ..OwnAnswer::of(Fault::Refused) }.encode("fasttunnel", &date, &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "HTTP/1.1 502 Bad Gateway\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nProxy-Status: fasttunnel; error=connection_refused\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 11\r\nConnection: close\r\n\r\nBad Gateway"
        );
        out.clear();
        OwnAnswer { old: true, head_only: true, ..OwnAnswer::of(Fault::Unauthenticated) }.encode("x", &date, &mut out);
        let text = String::from_utf8_lossy(&out).into_owned();
        assert!(text.contains("\r\nProxy-Authenticate: Basic realm=\"Cmux Preview Proxy\"\r\n"), "{text}");
        assert!(
            !text.contains("Proxy-Status") && text.ends_with("Content-Length: 29\r\nConnection: keep-alive\r\n\r\n")
        );
    }

    #[test]
    fn content_that_cannot_be_read_has_the_status_that_the_tunnel_has_for_it() {
        for error in [BodyError::Malformed("x"), BodyError::ExtensionsTooLarge, BodyError::TrailersTooLarge] {
            assert_eq!(Fault::from(error).status(), error.status(), "{error}");
        }
    }

    #[test]
    fn every_fault_has_a_status_that_fits_its_error() {
        for fault in FAULTS {
            let late = fault.error().is_some_and(|error| error.ends_with("_timeout"));
            assert_eq!(fault.status() == 504, late, "{fault:?}");
            assert_ne!(reason_phrase(fault.status()), "unknown", "{fault:?}");
        }
    }
}
