//! Reads the numbers of headers, and writes numbers without memory. This module uses no other.

/// Reads `1*DIGIT`: no sign, no blank, no list. Returns `None` for a number that is too large, too.
pub fn decimal(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

/// The digits of `u64::MAX`.
pub const MAX_DIGITS: usize = 20;

/// A number in decimal digits. It allocates nothing.
pub struct Digits {
    text: [u8; MAX_DIGITS],
    length: usize,
}

impl Digits {
    /// Returns the digits of a number.
    pub fn of(number: u64) -> Digits {
        let mut text = [0; MAX_DIGITS];
        let length = write_digits(&mut text, number);
        Digits { text, length }
    }

    /// Returns them as a string.
    pub fn as_str(&self) -> &str {
        self.text.get(..self.length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// Writes the digits of a number to the beginning of `place`, and returns how many there are.
#[inline(always)]
pub fn write_digits(place: &mut [u8; MAX_DIGITS], number: u64) -> usize {
    match number {
        0..10 => {
            place[0] = digit(number);
            1
        }
        10..100 => {
            place[..2].copy_from_slice(&PAIRS[number as usize]);
            2
        }
        100..1000 => {
            place[0] = digit(number / 100);
            place[1..3].copy_from_slice(&PAIRS[(number % 100) as usize]);
            3
        }
        1000..10_000 => {
            place[..4].copy_from_slice(&four_digits(number));
            4
        }
        _ => write_many_digits(place, number),
    }
}

/// Writes a number of more than four digits.
#[inline(never)]
fn write_many_digits(place: &mut [u8; MAX_DIGITS], number: u64) -> usize {
    let before = write_digits(place, number / 10_000);
    if let Some(place) = place.get_mut(before..before + 4) {
        place.copy_from_slice(&four_digits(number % 10_000));
    }
    before + 4
}

/// Returns the digits of a number that is less than 10,000, with leading zeros.
#[inline(always)]
fn four_digits(number: u64) -> [u8; 4] {
    let ([a, b], [c, d]) = (PAIRS[(number / 100 % 100) as usize], PAIRS[(number % 100) as usize]);
    [a, b, c, d]
}

const fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// The two digits of each number that is less than 100.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [digit(number as u64 / 10), digit(number as u64)];
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        for number in (0..11_000).chain((0..64).map(|bit| 1 << bit)).chain([99_999, 1_234_567_890, u64::MAX]) {
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
