//! Lists that proxies append to (`X-Forwarded-For`, `-Proto`, `-Host`), read from the right: what stands there was written last,
//! by the proxy that is nearest.

use crate::wire::fields::Fields;

/// Upper bound of elements that are looked at. No chain of proxies is longer; whatever stands to the left of them is a client's.
pub const MOST_ELEMENTS: usize = 64;

/// The elements of all lines of a field from the right, without blanks around them. Empty ones do not count (RFC 9110 5.6.1).
pub fn from_the_right<'a>(fields: Fields<'a>, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let lines = fields.iter().rev().filter(move |(own, _)| own.eq_ignore_ascii_case(name));
    let elements = lines.flat_map(|(_, value)| value.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    elements.filter(|element| !element.is_empty()).take(MOST_ELEMENTS)
}

/// What the proxies have written that lie between us and hop `hop` (0: the peer itself has written it): the element that far from
/// the right, or the last before that, where some proxies replace the list instead of appending to it.
pub fn at<'a>(fields: Fields<'a>, name: &'static [u8], hop: usize) -> Option<&'a [u8]> {
    from_the_right(fields, name).take(hop + 1).last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::request::sample::Sample;

    #[test]
    fn elements_come_from_the_right_over_all_lines() {
        let sample = Sample::new(
            "GET",
            "/",
            &[("X-Forwarded-For", b"a, b ,,c"), ("Other", b"x"), ("x-forwarded-for", b"\td , e,")],
        );
        let all: Vec<_> = from_the_right(sample.fields(), b"x-forwarded-for").collect();
        assert_eq!(all, [b"e", b"d", b"c", b"b", b"a"].map(|one| &one[..]));
        let at = |hop| at(sample.fields(), b"x-forwarded-for", hop);
        assert_eq!([at(0), at(2), at(9)], [Some(&b"e"[..]), Some(b"c"), Some(b"a")]);
        assert_eq!(super::at(sample.fields(), b"x-forwarded-host", 0), None);
    }

    #[test]
    fn a_list_of_thousands_is_looked_at_as_far_as_proxies_reach() {
        let long = vec![b','; 3].into_iter().chain(b"a,".repeat(5000)).collect::<Vec<u8>>();
        let sample = Sample::new("GET", "/", &[("x", &long)]);
        assert_eq!(from_the_right(sample.fields(), b"x").count(), MOST_ELEMENTS);
    }
}
