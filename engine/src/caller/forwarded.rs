//! The field `Forwarded` (RFC 7239): what each proxy has said of the one who asked it.

use crate::wire::fields::Fields;
use crate::wire::token::{is_qdtext, is_tchar};

use super::forwarded_for::MOST_ELEMENTS;

/// Name of the field.
pub const NAME: &[u8] = b"forwarded";

/// What one proxy has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Who asked it.
    pub client: Option<Vec<u8>>,
    /// The scheme that it was asked with.
    pub scheme: Option<Vec<u8>>,
    /// The host that it was asked for.
    pub host: Option<Vec<u8>>,
}

/// The field is not what RFC 7239 4 says: nobody knows which part of it was written by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The last elements of all lines, the last first. Read from the left, because only so a comma inside of quotes is seen.
///
/// # Errors
/// [`Malformed`].
pub fn from_the_right(fields: Fields<'_>) -> Result<Vec<Element>, Malformed> {
    let mut elements = Vec::new();
    for (name, value) in fields.iter() {
        if name.eq_ignore_ascii_case(NAME) {
            read_line(value, &mut elements)?;
        }
    }
    elements.reverse();
    elements.truncate(MOST_ELEMENTS);
    Ok(elements)
}

fn read_line(line: &[u8], elements: &mut Vec<Element>) -> Result<(), Malformed> {
    let mut rest = skip_blanks(line);
    let (mut element, mut pairs) = (Element::default(), 0);
    loop {
        match rest.split_first() {
            None | Some((b',', _)) => {
                // Empty elements of a list do not count (RFC 9110 5.6.1).
                if std::mem::take(&mut pairs) > 0 {
                    elements.push(std::mem::take(&mut element));
                }
                match rest.split_first() {
                    None => return Ok(()),
                    Some((_, behind)) => rest = skip_blanks(behind),
                }
            }
            Some((b';', behind)) => rest = skip_blanks(behind),
            Some(_) => {
                rest = read_pair(rest, &mut element)?;
                pairs += 1;
                if !matches!(rest.first(), None | Some(b',' | b';')) {
                    return Err(Malformed);
                }
            }
        }
    }
}

/// Reads `name=value`, and gives what follows.
fn read_pair<'a>(text: &'a [u8], element: &mut Element) -> Result<&'a [u8], Malformed> {
    let end = text.iter().position(|byte| !is_tchar(*byte)).filter(|end| *end > 0).ok_or(Malformed)?;
    let (name, rest) = text.split_at(end);
    let rest = rest.strip_prefix(b"=").ok_or(Malformed)?;
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => read_quoted(quoted)?,
        None => {
            // Colons and brackets should be quoted (RFC 7239 4), and are not by every proxy.
            let is_part = |byte: &u8| is_tchar(*byte) || b":[]".contains(byte);
            let (value, rest) = rest.split_at(rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len()));
            (value.to_vec(), rest)
        }
    };
    let place = match name.to_ascii_lowercase().as_slice() {
        b"for" => &mut element.client,
        b"proto" => &mut element.scheme,
        b"host" => &mut element.host,
        _ => return Ok(skip_blanks(rest)),
    };
    // Each parameter once (RFC 7239 4).
    if place.replace(value).is_some() { Err(Malformed) } else { Ok(skip_blanks(rest)) }
}

/// Reads a quoted string behind its first quote, and gives what follows.
fn read_quoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Malformed> {
    let (mut value, mut rest) = (Vec::new(), text);
    loop {
        match rest {
            [b'"', behind @ ..] => return Ok((value, behind)),
            [b'\\', byte, behind @ ..] => {
                value.push(*byte);
                rest = behind;
            }
            [byte, behind @ ..] if is_qdtext(*byte) => {
                value.push(*byte);
                rest = behind;
            }
            _ => return Err(Malformed),
        }
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tunnel::request::sample::Sample;

    /// `for|proto|host` of each element from the right.
    fn read(lines: &[&str]) -> Result<Vec<String>, Malformed> {
        let lines: Vec<_> = lines.iter().map(|line| ("Forwarded", line.as_bytes())).collect();
        let sample = Sample::new("GET", "/", &lines);
        let text = |part: &Option<Vec<u8>>| {
            part.as_ref().map_or("-".to_owned(), |part| String::from_utf8(part.clone()).unwrap())
        };
        from_the_right(sample.fields()).map(|elements| {
            elements.iter().map(|one| [&one.client, &one.scheme, &one.host].map(text).join("|")).collect()
        })
    }

    /// Those of RFC 7239 4, 5, 6 and 7, and what proxies send.
    #[test]
    fn elements_are_read_as_the_rfc_says() {
        for (lines, expected) in [
            (&["for=\"_gazonk\""][..], &["_gazonk|-|-"][..]),
            (&["For=\"[2001:db8:cafe::17]:4711\""], &["[2001:db8:cafe::17]:4711|-|-"]),
            (&["for=192.0.2.60;proto=http;by=203.0.113.43"], &["192.0.2.60|http|-"]),
            (&["for=192.0.2.43, for=198.51.100.17"], &["198.51.100.17|-|-", "192.0.2.43|-|-"]),
            (&["for=192.0.2.43", "for=198.51.100.17;host=a"], &["198.51.100.17|-|a", "192.0.2.43|-|-"]),
            (&["for=_hidden, for=_SEVKISEK"], &["_SEVKISEK|-|-", "_hidden|-|-"]),
            (
                &["for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown"],
                &["unknown|-|-", "[2001:db8:cafe::17]|-|-", "192.0.2.43|-|-"],
            ),
            (&["host=\"a,b;c=\\\"d\\\"\" ; for=x"], &["x|-|a,b;c=\"d\""]),
            (&["for=192.0.2.1:80;proto=https"], &["192.0.2.1:80|https|-"]),
            (&["for=[::1]:80"], &["[::1]:80|-|-"]),
            (&["secret=x;for=a;"], &["a|-|-"]),
            (&["by=a"], &["-|-|-"]),
            (&[", ,for=a,,"], &["a|-|-"]),
            (&["", " "], &[]),
        ] {
            assert_eq!(read(lines), Ok(expected.iter().map(|one| (*one).to_owned()).collect()), "{lines:?}");
        }
    }

    #[test]
    fn what_is_malformed_in_any_part_is_malformed_as_a_whole() {
        for line in [
            "for",
            "for=a b",
            "=a",
            "for=\"a",
            "for=\"a\\",
            "for=\"a\"b",
            "for =a",
            "for= a",
            "for=a;for=b",
            "a, for=b",
            "for=a/b",
            "for=\"\u{7f}\"",
            "proto=http;Proto=https",
            "\"a\"",
        ] {
            assert_eq!(read(&["for=x", line]), Err(Malformed), "{line}");
        }
    }

    #[test]
    fn only_so_many_elements_are_kept_as_proxies_write() {
        let line = "for=a,".repeat(1000);
        assert_eq!(read(&[&line]).unwrap().len(), MOST_ELEMENTS);
    }
}
