//! Reads the numbers of headers, and writes numbers without memory. This module uses no other.

/// Reads `1*DIGIT`: no sign, no blank, no list. Returns `None` for a number that is too large, too.
pub fn decimal(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

/// A number in decimal digits. It allocates nothing.
pub struct Digits {
    text: [u8; Digits::MOST],
    start: usize,
}

impl Digits {
    /// The digits of `u64::MAX`.
    const MOST: usize = 20;

    /// Returns the digits of a number.
    pub fn of(mut number: u64) -> Digits {
        let mut digits = Digits { text: [b'0'; Digits::MOST], start: Digits::MOST };
        for (at, digit) in digits.text.iter_mut().enumerate().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
            digits.start = at;
            if number == 0 {
                break;
            }
        }
        digits
    }

    /// Returns them as a string.
    pub fn as_str(&self) -> &str {
        self.text.get(self.start..).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(Digits::of(number).as_str(), number.to_string());
        }
    }

    #[test]
    fn a_number_is_decimal_digits() {
        for (text, length) in [("0", 0), ("007", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(decimal(text.as_bytes()), Some(length));
        }
        for text in ["", "+2", "-2", " 2", "2 ", "2, 2", "2;", "0x2", "18446744073709551616", "٢"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text:?}");
        }
    }
}
