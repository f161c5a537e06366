//! Reads the numbers of headers. This module uses no other.

/// Reads `1*DIGIT`: no sign, no blank, no list. Returns `None` for a number that is too large, too.
pub fn decimal(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
