//! Why a head is refused, and with which status.

use std::fmt;

macro_rules! head_errors {
    ($($(#[$doc:meta])* $name:ident => $status:literal, $text:literal;)*) => {
        /// Why a head is refused. The sender's fault, never worth a repetition; after each of them the connection is
        /// closed, because where the next message begins is no longer certain.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum HeadError {
            $($(#[$doc])* $name,)*
        }

        impl HeadError {
            /// The status of the answer to such a request: 400, 413, 414, 417, 431, 501 or 505. Where it is an answer that is
            /// refused there is nobody to answer; a gateway tells its own client 502 (RFC 9110 15.6.3), whatever this says.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(HeadError::$name => $status,)*
                }
            }

            /// What is wrong, in one line without any byte of the sender.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(HeadError::$name => $text,)*
                }
            }
        }

        #[cfg(test)]
        const ALL: &[HeadError] = &[$(HeadError::$name,)*];
    };
}

head_errors! {
    /// A line that ends with LF alone.
    BareLf => 400, "line ends with LF alone (RFC 9112 2.2)";
    /// A CR that is not followed by LF.
    BareCr => 400, "CR without LF (RFC 9112 2.2)";
    /// NUL or another control byte than HTAB.
    ControlByte => 400, "control byte in the head (RFC 9110 5.5)";
    /// More empty lines before the request line than are ignored.
    LeadingEmptyLines => 400, "too many empty lines before the request line (RFC 9112 2.2)";
    /// The bytes end before the head does.
    Truncated => 400, "head without its end (RFC 9112 2.1)";
    /// Not three parts separated by single spaces.
    RequestLine => 400, "malformed request line (RFC 9112 3)";
    /// The method is not a token.
    Method => 400, "method is not a token (RFC 9110 9.1)";
    /// A method longer than any that is implemented.
    MethodTooLong => 501, "method too long (RFC 9112 3)";
    /// `CONNECT`, where there are no tunnels to other hosts.
    Connect => 501, "CONNECT is not implemented (RFC 9110 9.3.6)";
    /// The target has none of the four forms, or bytes that no URI has.
    Target => 400, "malformed request target (RFC 9112 3.2)";
    /// The target is longer than allowed.
    TargetTooLong => 414, "request target too long (RFC 9110 15.5.15)";
    /// Not `HTTP/` DIGIT `.` DIGIT.
    Version => 400, "malformed protocol version (RFC 9112 2.3)";
    /// A version other than 1.0 and 1.1.
    VersionUnsupported => 505, "protocol version is not supported (RFC 9110 15.6.6)";
    /// The head is larger than allowed.
    HeadTooLarge => 431, "head too large (RFC 6585 5)";
    /// More field lines than allowed.
    TooManyFields => 431, "too many field lines (RFC 6585 5)";
    /// A field line whose name is not a token directly followed by a colon: also blanks before the colon and folded
    /// lines.
    FieldName => 400, "malformed field line (RFC 9112 5)";
    /// A field value with a control byte.
    FieldValue => 400, "control byte in a field value (RFC 9110 5.5)";
    /// No `Host` in HTTP/1.1.
    HostMissing => 400, "no Host (RFC 9112 3.2)";
    /// Several `Host` lines.
    HostRepeated => 400, "several Host lines (RFC 9112 3.2)";
    /// `Host` is not host [":" port].
    HostInvalid => 400, "invalid Host (RFC 9110 7.2)";
    /// `Content-Length` is not all digits.
    ContentLength => 400, "invalid Content-Length (RFC 9112 6.3)";
    /// Several `Content-Length` lines, even equal ones.
    ContentLengthRepeated => 400, "several Content-Length lines (RFC 9112 6.3)";
    /// `Content-Length` of 2^64 or more.
    ContentLengthTooLarge => 413, "Content-Length is out of range (RFC 9110 8.6)";
    /// `Transfer-Encoding` is malformed, or `chunked` is not its last and only use.
    TransferEncoding => 400, "invalid Transfer-Encoding (RFC 9112 6.1)";
    /// Several `Transfer-Encoding` lines.
    TransferEncodingRepeated => 400, "several Transfer-Encoding lines (RFC 9112 6.1)";
    /// A transfer coding other than `chunked`.
    TransferCodingUnknown => 501, "transfer coding is not implemented (RFC 9112 6.1)";
    /// `Transfer-Encoding` together with `Content-Length`.
    TransferEncodingAndLength => 400, "Transfer-Encoding and Content-Length (RFC 9112 6.3)";
    /// `Transfer-Encoding` in HTTP/1.0.
    TransferEncodingInOldVersion => 400, "Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1)";
    /// An expectation other than `100-continue`.
    Expectation => 417, "unknown expectation (RFC 9110 10.1.1)";
    /// Of an answer: not version, code and reason phrase, each behind a single space; or a line before it.
    StatusLine => 502, "malformed status line (RFC 9112 4)";
    /// Not three digits from 100 on, or an interim answer in HTTP/1.0.
    StatusCode => 502, "invalid status code (RFC 9110 15)";
    /// A reason phrase with a control byte.
    ReasonPhrase => 502, "control byte in the reason phrase (RFC 9112 4)";
    /// More interim answers than are passed over.
    InterimAnswers => 502, "too many interim answers (RFC 9110 15.2)";
    /// `Content-Length` of more than 0 with a status that has no content: 1xx, 204.
    LengthWithoutContent => 502, "Content-Length with a status that has no content (RFC 9110 8.6)";
    /// `Transfer-Encoding` with a status that has no content: 1xx, 204.
    TransferEncodingWithoutContent => 502, "Transfer-Encoding with a status that has no content (RFC 9112 6.1)";
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for HeadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_its_rule_and_a_status_of_the_contract() {
        for error in ALL {
            assert!([400, 413, 414, 417, 431, 501, 502, 505].contains(&error.status()), "{error:?}");
            assert!(error.to_string().contains("RFC"), "{error:?}");
        }
    }
}
