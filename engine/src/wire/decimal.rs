//! Numbers in decimal digits.

/// Appends a number in decimal digits.
#[inline]
pub fn put_decimal(out: &mut Vec<u8>, number: u64) {
    // What most lengths are, without a copy of a length that is not known.
    if number < 1000 {
        if number >= 100 {
            out.push(b'0' + (number / 100) as u8);
        }
        if number >= 10 {
            out.push(b'0' + (number / 10 % 10) as u8);
        }
        return out.push(b'0' + (number % 10) as u8);
    }
    put_long(out, number);
}

fn put_long(out: &mut Vec<u8>, mut number: u64) {
    // 20 digits hold every u64.
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_digits() {
        for number in (0..=1001).chain([9999, 10_000, 1_048_576, u64::MAX]) {
            let mut out = Vec::new();
            put_decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
