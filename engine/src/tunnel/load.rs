//! How busy the engine is, as one number for balancers: how much is used up of what the overload control lets through.

/// From 0 (idle) to 100 (calls are refused, or about to be).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load(u8);

const FULL: u8 = 100;

impl Load {
    /// Everything is used up.
    pub const FULL: Load = Load(FULL);

    /// Of each bound, what is used of it and the bound itself, in the same unit: the fullest counts. A bound of 0 is none.
    #[must_use]
    pub fn of(bounds: &[(u64, u64)]) -> Self {
        let share = |(used, bound): &(u64, u64)| match bound {
            0 => 0,
            bound => used.saturating_mul(u64::from(FULL)) / bound,
        };
        Load(bounds.iter().map(share).max().unwrap_or(0).min(u64::from(FULL)) as u8)
    }

    /// In decimal.
    #[must_use]
    pub fn text(self) -> &'static str {
        let (digits, length) = &NUMBERS[usize::from(self.0.min(FULL))];
        std::str::from_utf8(&digits[..*length]).unwrap_or_default()
    }

    /// The share of its usual calls that it should get, in percent. Never nothing: nobody would notice that it is better.
    #[must_use]
    pub fn weight(self) -> u8 {
        (FULL - self.0.min(FULL)).max(1)
    }
}

/// The digits of 0 to 100, and how many each has.
const NUMBERS: [([u8; 3], usize); FULL as usize + 1] = {
    let mut numbers = [([0; 3], 1); FULL as usize + 1];
    let mut number = 0;
    while number < numbers.len() {
        let digits = [b'0' + (number / 100) as u8, b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
        numbers[number] = match number {
            0..10 => ([digits[2], 0, 0], 1),
            10..100 => ([digits[1], digits[2], 0], 2),
            _ => (digits, 3),
        };
        number += 1;
    }
    numbers
};

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn the_fullest_bound_counts() {
        assert_eq!(Load::of(&[(1, 10), (250, 500), (7, 0)]), Load(50));
        assert_eq!(Load::of(&[(0, 10)]), Load::default());
        assert_eq!(Load::of(&[(u64::MAX, 3)]), Load::FULL);
        assert_eq!(Load::of(&[(999, 100_000)]), Load(0));
    }

    #[test]
    fn its_text_is_its_number_and_its_weight_what_is_left() {
        for number in 0..=100 {
            assert_eq!(Load(number).text(), number.to_string());
            assert_eq!(Load(number).weight(), if number == 100 { 1 } else { 100 - number });
        }
    }
}
