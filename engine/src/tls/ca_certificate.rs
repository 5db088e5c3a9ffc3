//! What has to be known of the certificate of a CA to sign for it (RFC 5280 4.1). Whether it is a certificate was checked before.

use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString};
use rcgen::{DistinguishedName, DnType, DnValue};

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const BOOLEAN: u8 = 0x01;

/// `id-ce-subjectKeyIdentifier` and `id-ce-basicConstraints`.
const KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// See the module.
pub(super) struct CaCertificate<'a> {
    /// Whose it is. DER.
    pub subject: &'a [u8],
    /// By which number others name its key.
    pub key_id: Option<&'a [u8]>,
    /// It may certify others.
    pub is_ca: bool,
}

/// One value of DER: its tag, what is in it, and all of it.
#[derive(Clone, Copy)]
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

/// Values that follow each other.
struct Values<'a>(&'a [u8]);

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..0x80 => (usize::from(first), rest),
            _ => {
                let (digits, rest) =
                    rest.split_at_checked(usize::from(first & 0x7f)).filter(|(it, _)| it.len() <= 3)?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Value { tag, content, whole })
    }
}

/// What is in the one value that `der` is, if that has this tag.
fn within(der: &[u8], tag: u8) -> Option<Values<'_>> {
    Values(der).next().filter(|value| value.tag == tag).map(|value| Values(value.content))
}

impl<'a> CaCertificate<'a> {
    /// Reads it; `None`: it is none.
    pub fn read(der: &'a [u8]) -> Option<Self> {
        let signed = within(der, SEQUENCE)?.next().filter(|signed| signed.tag == SEQUENCE)?;
        // Behind version, serial number, algorithm, issuer and validity; the version may be left out.
        let mut values = Values(signed.content).skip_while(|value| value.tag != SEQUENCE);
        let subject = values.nth(3).filter(|subject| subject.tag == SEQUENCE)?;
        let mut found = CaCertificate { subject: subject.whole, key_id: None, is_ca: false };
        // Behind the public key and two that nobody uses.
        if let Some(extensions) = values.find(|value| value.tag == 0xa3) {
            for extension in within(extensions.content, SEQUENCE)?.filter(|extension| extension.tag == SEQUENCE) {
                found.see(extension.content);
            }
        }
        Some(found)
    }

    /// Who has signed a certificate. DER.
    pub fn issuer(der: &[u8]) -> Option<&[u8]> {
        let signed = within(der, SEQUENCE)?.next()?;
        Values(signed.content).skip_while(|value| value.tag != SEQUENCE).nth(1).map(|issuer| issuer.whole)
    }

    fn see(&mut self, extension: &'a [u8]) {
        let mut parts = Values(extension);
        let Some(name) = parts.next().filter(|name| name.tag == OID) else { return };
        let Some(value) = parts.find(|part| part.tag == OCTETS) else { return };
        if name.content == KEY_ID {
            self.key_id = Values(value.content).next().filter(|id| id.tag == OCTETS).map(|id| id.content);
        } else if name.content == BASIC_CONSTRAINTS {
            let first = within(value.content, SEQUENCE).and_then(|mut constraints| constraints.next());
            self.is_ca = first.is_some_and(|first| first.tag == BOOLEAN && first.content.iter().any(|byte| *byte != 0));
        }
    }

    /// Its name, for what it signs; `None` where that could not be written in the same way.
    pub fn name(&self) -> Option<DistinguishedName> {
        let mut name = DistinguishedName::new();
        for set in within(self.subject, SEQUENCE)? {
            let mut parts = within(Values(set.content).next()?.whole, SEQUENCE)?;
            let (kind, value) = (parts.next()?, parts.next()?);
            name.push(DnType::from_oid(&arcs(kind.content)?), text(value)?);
        }
        Some(name)
    }
}

/// The numbers of an object identifier (X.690 8.19).
fn arcs(bytes: &[u8]) -> Option<Vec<u64>> {
    let (mut arcs, mut number) = (Vec::new(), 0u64);
    for byte in bytes {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let first = (number / 40).min(2);
                arcs.extend([first, number - 40 * first]);
            } else {
                arcs.push(number);
            }
            number = 0;
        }
    }
    Some(arcs)
}

fn text(value: Value<'_>) -> Option<DnValue> {
    let text = || std::str::from_utf8(value.content).ok();
    Some(match value.tag {
        0x0c => DnValue::Utf8String(text()?.to_owned()),
        0x13 => DnValue::PrintableString(PrintableString::try_from(text()?).ok()?),
        0x14 => DnValue::TeletexString(TeletexString::try_from(text()?).ok()?),
        0x16 => DnValue::Ia5String(Ia5String::try_from(text()?).ok()?),
        0x1e => DnValue::BmpString(BmpString::from_utf16be(value.content.to_vec()).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_off_or_is_no_certificate_is_none() {
        let der = [0x30, 0x82, 0x00, 0x04, 0x30, 0x02, 0x05, 0x00];
        assert!(CaCertificate::read(&der).is_none());
        for end in 0..der.len() {
            assert!(CaCertificate::read(&der[..end]).is_none(), "{end}");
        }
        assert!(CaCertificate::read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).is_none());
    }

    #[test]
    fn names_of_kinds_are_read_in_all_their_numbers() {
        assert_eq!(arcs(&[0x55, 0x04, 0x03]).unwrap(), [2, 5, 4, 3]);
        assert_eq!(
            arcs(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01]).unwrap(),
            [1, 2, 840, 113_549, 1, 9, 1]
        );
        assert_eq!(arcs(&[0xff; 12]), None);
    }
}
