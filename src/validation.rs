//! Checks names and sizes by the protocol's rules, before anything is signed or sent.
//!
//! Only checked strings become part of a signed string. This keeps a crafted socket id from signing
//! something else (the 2015 advisory for Pusher's server libraries).

use crate::bytes::AsciiSet;
use crate::error::Problem;

/// The maximum length of channel names, event names and user ids, in characters.
const MAX_NAME_CHARS: usize = 200;

/// The characters of channel names and user ids.
static CHANNEL_CHARACTERS: AsciiSet =
    AsciiSet::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=@,.;");

/// Returns whether a string is one or more ASCII digits.
///
/// Looking at eight bytes at a time makes pusher_authenticate() 4 % faster.
fn is_number(text: &[u8]) -> bool {
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => {
            // The last chunk overlaps the one before it, unless the length is a multiple of eight.
            let others = text.chunks_exact(8).skip(1).filter_map(<[u8]>::first_chunk);
            are_digits(first) & are_digits(last) && others.fold(true, |all, chunk| all & are_digits(chunk))
        }
        _ => !text.is_empty() && text.iter().all(u8::is_ascii_digit),
    }
}

/// Returns whether each of eight bytes is an ASCII digit: 0x30 to 0x39, so that 0x30 to 0x3f is left
/// after adding six.
fn are_digits(bytes: &[u8; 8]) -> bool {
    const HIGH: u64 = u64::from_ne_bytes([0xf0; 8]);
    const SIX: u64 = u64::from_ne_bytes([6; 8]);
    const THREE: u64 = u64::from_ne_bytes([0x30; 8]);
    let word = u64::from_ne_bytes(*bytes);
    // A carry into the next byte comes from a byte that the first comparison refuses.
    word & HIGH == THREE && word.wrapping_add(SIX) & HIGH == THREE
}

/// Checks a channel name: 1 to 200 of `A–Z a–z 0–9 _ - = @ , . ;`. (Channels documentation,
/// "Channel naming conventions")
#[inline]
pub fn channel(name: &str, argument: &str) -> Result<(), Problem> {
    of_channel_characters(name, argument, "a channel name")
}

/// Checks a channel name that becomes a path segment, where `.` and `..` would name another path.
pub fn channel_in_path(name: &str, argument: &str) -> Result<(), Problem> {
    not_a_step(name, argument)?;
    channel(name, argument)
}

/// Checks a user id: the characters of a channel name, because it becomes part of one, and a path
/// segment.
pub fn user_id(id: &str, argument: &str) -> Result<(), Problem> {
    not_a_step(id, argument)?;
    of_channel_characters(id, argument, "a user id")
}

/// Checks a path below `/apps/{app_id}`: segments of the characters of channel names, none of them
/// `.` or `..`.
pub fn path(path: &str, argument: &str) -> Result<(), Problem> {
    fits_in_url(path, argument)?;
    let rest = path.strip_prefix('/').ok_or_else(|| Problem::new(argument, "must begin with /"))?;
    for segment in rest.split('/') {
        not_a_step(segment, argument)?;
        if segment.is_empty() || !CHANNEL_CHARACTERS.contains_all(segment.as_bytes()) {
            return Err(Problem::new(
                argument,
                "must be segments of A-Z a-z 0-9 _ - = @ , . ; separated by single slashes",
            ));
        }
    }
    Ok(())
}

/// Checks that one part of a URL leaves room for the rest in the URLs that servers accept.
fn fits_in_url(text: &str, argument: &str) -> Result<(), Problem> {
    const MAX_URL_PART_BYTES: usize = 1024;
    match text.len() {
        0..=MAX_URL_PART_BYTES => Ok(()),
        _ => Err(Problem::new(argument, format!("is too long: the maximum is {MAX_URL_PART_BYTES} bytes"))),
    }
}

fn not_a_step(segment: &str, argument: &str) -> Result<(), Problem> {
    match segment {
        "." | ".." => Err(Problem::new(argument, "must not be . or .., which would name another path")),
        _ => Ok(()),
    }
}

/// Checks an event name: 1 to 200 characters.
pub fn event(name: &str, argument: &str) -> Result<(), Problem> {
    length(name, argument, "an event name")
}

/// Checks a socket id: ASCII digits, a dot, ASCII digits.
#[inline]
pub fn socket_id(id: &str, argument: &str) -> Result<(), Problem> {
    let text = id.as_bytes();
    let dot = text.iter().position(|byte| *byte == b'.');
    match dot.is_some_and(|dot| is_number(&text[..dot]) && is_number(&text[dot + 1..])) {
        true => Ok(()),
        false => Err(not_a_socket_id(argument)),
    }
}

#[cold]
fn not_a_socket_id(argument: &str) -> Problem {
    Problem::new(argument, "is not a socket id: two numbers separated by a dot, such as 1234.5678")
}

/// Checks a comma-separated list of channel attributes: `user_count,subscription_count`.
pub fn attributes(list: &str, argument: &str) -> Result<(), Problem> {
    fits_in_url(list, argument)?;
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if list.split(',').all(is_name) {
        Ok(())
    } else {
        Err(Problem::new(
            argument,
            "is not a comma-separated list of attributes, such as user_count,subscription_count",
        ))
    }
}

/// Checks an application's id or key: `[A-Za-z0-9_-]+`. Both become part of signed strings.
pub fn credential(text: &str, key: &str) -> Result<(), Problem> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        Ok(())
    } else {
        Err(Problem::new(key, "must be one or more of A-Z a-z 0-9 _ -"))
    }
}

#[inline]
fn of_channel_characters(name: &str, argument: &str, what: &str) -> Result<(), Problem> {
    if (1..=MAX_NAME_CHARS).contains(&name.len()) && CHANNEL_CHARACTERS.contains_all(name.as_bytes()) {
        return Ok(());
    }
    not_of_channel_characters(name, argument, what)
}

#[cold]
fn not_of_channel_characters(name: &str, argument: &str, what: &str) -> Result<(), Problem> {
    length(name, argument, what)?;
    match name.chars().find(|c| !CHANNEL_CHARACTERS.contains(*c)) {
        Some(c) => Err(Problem::new(
            argument,
            format!("contains {c:?}, but {what} may only contain A-Z a-z 0-9 _ - = @ , . ;"),
        )),
        None => Ok(()),
    }
}

fn length(name: &str, argument: &str, what: &str) -> Result<(), Problem> {
    match name.chars().take(MAX_NAME_CHARS + 1).count() {
        0 => Err(Problem::new(argument, "must not be empty")),
        1..=MAX_NAME_CHARS => Ok(()),
        _ => Err(Problem::new(argument, format!("is too long: {what} has at most {MAX_NAME_CHARS} characters"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_names_have_1_to_200_allowed_characters() {
        let longest = "a".repeat(200);
        for name in ["a", "private-x", "presence-A_1-=@,.;", ".", "..", &longest] {
            assert_eq!(channel(name, "channel"), Ok(()), "{name}");
        }
        let too_long = "a".repeat(201);
        for name in
            ["", " ", "a b", "a:b", "a/b", "a\n", "\n", "a?", "a#", "#server-to-user-1", "ä", "[", "a\"", &too_long]
        {
            assert!(channel(name, "channel").is_err(), "{name:?}");
        }
    }

    #[test]
    fn event_names_are_measured_in_characters() {
        assert_eq!(event(&"é".repeat(200), "event"), Ok(()));
        assert!(event(&"é".repeat(201), "event").is_err());
        assert!(event("", "event").is_err());
    }

    #[test]
    fn socket_ids_are_two_numbers_separated_by_a_dot() {
        for id in ["1.1", "0.0", "123456789012345678901234567890.1"] {
            assert_eq!(socket_id(id, "socket_id"), Ok(()), "{id}");
        }
        for id in [
            "", ".", "1", "1.", ".1", "1.1.1", "1.1\n", "\n1.1", "1.1:", ":1.1", "1:1", " 1.1", "1.1 ", "a.1", "٣.٣",
            "1.1a", "-1.1", "+1.1",
        ] {
            assert!(socket_id(id, "socket_id").is_err(), "{id:?}");
        }
    }

    #[test]
    fn a_number_has_nothing_but_digits_whatever_its_length() {
        assert!(!is_number(b""));
        for length in 1..=25 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = b"0918273645".repeat(3)[..length].to_vec();
                    text[at] = byte;
                    assert_eq!(is_number(&text), byte.is_ascii_digit(), "{byte:#x} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn paths_contain_no_dot_segments_and_no_separators() {
        for step in [".", "..", "", "a/b", "a?b", "a#b", "a%2fb"] {
            assert!(channel_in_path(step, "channel").is_err(), "{step:?}");
            assert!(user_id(step, "user_id").is_err(), "{step:?}");
        }
        for right in ["...", "a.b", "@=,;_-"] {
            assert_eq!((channel_in_path(right, "channel"), user_id(right, "user_id")), (Ok(()), Ok(())), "{right}");
        }
        for wrong in ["", "channels", "/", "//", "/a/", "/./a", "/a/..", "/a b", "/a?b", "/ä"] {
            assert!(path(wrong, "path").is_err(), "{wrong:?}");
        }
        assert_eq!(path("/channels/presence-a/users", "path"), Ok(()));
    }

    #[test]
    fn attributes_are_comma_separated() {
        for list in ["user_count", "user_count,subscription_count", "cache"] {
            assert_eq!(attributes(list, "info"), Ok(()), "{list}");
        }
        for list in ["", ",", "a,", ",a", "a,,b", "a b", "A", "a&b", "a=b", "a1"] {
            assert!(attributes(list, "info").is_err(), "{list:?}");
        }
    }
}
