//! Checks names and sizes by the protocol's rules, before anything is signed or sent.
//!
//! Only checked strings become part of a signed string. This keeps a crafted socket id from signing
//! something else (the 2015 advisory for Pusher's server libraries).

use std::borrow::Cow;

use crate::bytes::AsciiSet;
use crate::error::Problem;

/// The maximum length of channel names, event names and user ids, in characters.
const MAX_NAME_CHARS: usize = 200;

/// The characters of user ids, and of channel names on every server.
const CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=@,.;";

static PLAIN: AsciiSet = AsciiSet::new(CHARACTERS);
static WITH_COLON: AsciiSet = AsciiSet::new(CHARACTERS).with(b":");
static WITH_HASH: AsciiSet = AsciiSet::new(CHARACTERS).with(b"#");
static WITH_BOTH: AsciiSet = AsciiSet::new(CHARACTERS).with(b":#");

/// The beginning of the channels that users are subscribed to. Only a call that has checked the user's id
/// publishes on such a channel.
pub const USER_CHANNEL: &str = "#server-to-user-";

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

/// The rule for channel names: 1 to 200 of `A–Z a–z 0–9 _ - = @ , . ;` (Channels documentation, "Channel
/// naming conventions"), and of the characters that a server takes beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelNames {
    takes_colon: bool,
    takes_hash: bool,
}

impl ChannelNames {
    /// The rule of Pusher's own servers.
    pub const PLAIN: ChannelNames = ChannelNames { takes_colon: false, takes_hash: false };

    /// The rule that also takes `:` and `#`.
    pub const WITH_COLON_AND_HASH: ChannelNames = ChannelNames { takes_colon: true, takes_hash: true };

    /// Returns the rule that also takes these characters, of `:` and `#`, each given once at most.
    pub fn with(characters: &str) -> Option<ChannelNames> {
        match characters {
            "" => Some(ChannelNames::PLAIN),
            ":" => Some(ChannelNames { takes_colon: true, takes_hash: false }),
            "#" => Some(ChannelNames { takes_colon: false, takes_hash: true }),
            ":#" | "#:" => Some(ChannelNames::WITH_COLON_AND_HASH),
            _ => None,
        }
    }

    /// Returns whether a name may contain the character that separates the parts of a signed string.
    pub fn take_colon(self) -> bool {
        self.takes_colon
    }

    fn characters(self) -> &'static AsciiSet {
        match (self.takes_colon, self.takes_hash) {
            (false, false) => &PLAIN,
            (true, false) => &WITH_COLON,
            (false, true) => &WITH_HASH,
            (true, true) => &WITH_BOTH,
        }
    }

    /// Checks a channel name.
    #[inline]
    pub fn check(self, name: &str, argument: &str) -> Result<(), Problem> {
        let is_special = matches!(name.as_bytes().first(), Some(b':' | b'#'));
        if is_valid(name, self.characters()) && !is_special {
            return Ok(());
        }
        self.check_special(name, argument)
    }

    /// Checks a name that begins with `:` or `#`, or that has a character which is not permitted.
    #[cold]
    fn check_special(self, name: &str, argument: &str) -> Result<(), Problem> {
        explain(name, argument, "a channel name", self.characters()).map_err(|problem| match self.adding(name) {
            true => Problem { message: format!("{} (see channel_characters)", problem.message), ..problem },
            false => problem,
        })?;
        if name.starts_with(':') {
            return Err(Problem::new(argument, "must not begin with :"));
        }
        if name.starts_with(USER_CHANNEL) {
            return Err(Problem::new(argument, "is the channel of a user: publish to the user instead"));
        }
        Ok(())
    }

    /// Returns whether a name would be valid with more of the characters that some servers take.
    fn adding(self, name: &str) -> bool {
        self != ChannelNames::WITH_COLON_AND_HASH && is_valid(name, &WITH_BOTH)
    }

    /// Checks a channel name and returns it as a path segment, where `.` and `..` would name another path.
    pub fn segment<'a>(self, name: &'a str, argument: &str) -> Result<Cow<'a, str>, Problem> {
        not_a_step(name, argument)?;
        self.check(name, argument)?;
        Ok(self.encoded(name))
    }

    /// Checks a path below `/apps/{app_id}`, with channel names as segments, and returns it as it is sent.
    pub fn path<'a>(self, text: &'a str, argument: &str) -> Result<Cow<'a, str>, Problem> {
        match self.takes_hash {
            true => check_path(text, argument, &WITH_BOTH, "_ - = @ , . ; : #")?,
            false => path(text, argument)?,
        }
        Ok(self.encoded(text))
    }

    /// Encodes `#`, where the path of a URL would end. Servers verify the path as it is sent.
    fn encoded(self, text: &str) -> Cow<'_, str> {
        match self.takes_hash && text.contains('#') {
            true => text.replace('#', "%23").into(),
            false => text.into(),
        }
    }
}

/// Checks a user id: Pusher's characters of channel names, because it becomes part of one, and a path segment.
pub fn user_id(id: &str, argument: &str) -> Result<(), Problem> {
    not_a_step(id, argument)?;
    if is_valid(id, &PLAIN) { Ok(()) } else { explain(id, argument, "a user id", &PLAIN) }
}

/// Checks a path: segments of the characters of channel names and `:`, none of them `.` or `..`.
pub fn path(path: &str, argument: &str) -> Result<(), Problem> {
    check_path(path, argument, &WITH_COLON, "_ - = @ , . ; :")
}

fn check_path(path: &str, argument: &str, characters: &AsciiSet, named: &str) -> Result<(), Problem> {
    fits_in_url(path, argument)?;
    let rest = path.strip_prefix('/').ok_or_else(|| Problem::new(argument, "must begin with /"))?;
    for segment in rest.split('/') {
        not_a_step(segment, argument)?;
        if segment.is_empty() || !characters.contains_all(segment.as_bytes()) {
            let message = format!("must be segments of A-Z a-z 0-9 {named} separated by single slashes");
            return Err(Problem::new(argument, message));
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
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if list.split(',').all(is_name) {
        Ok(())
    } else {
        Err(Problem::new(
            argument,
            "is not a comma-separated list of attributes, such as user_count,subscription_count",
        ))
    }
}

/// Checks an application's id: `[A-Za-z0-9_-]+`. It becomes part of signed strings, and a path segment.
pub fn app_id(text: &str, key: &str) -> Result<(), Problem> {
    credential(text, key, b"", "_ -")
}

/// Checks an application's key: `[A-Za-z0-9_.-]+`. It becomes part of signed strings. A colon would end it
/// in `auth`. (Only Ably's keys have a dot.)
pub fn key(text: &str, key: &str) -> Result<(), Problem> {
    credential(text, key, b".", "_ - .")
}

fn credential(text: &str, key: &str, more: &[u8], named: &str) -> Result<(), Problem> {
    let is_permitted = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || more.contains(&b);
    if !text.is_empty() && text.bytes().all(is_permitted) {
        return Ok(());
    }
    let message = match without_blank_ends(text) {
        Err(message) if !text.trim().is_empty() => message.to_owned(),
        _ => format!("must be one or more of A-Z a-z 0-9 {named}"),
    };
    Err(Problem::new(key, message))
}

/// Refuses white space at an end: the line end of a file.
pub fn without_blank_ends(text: &str) -> Result<(), &'static str> {
    match text.starts_with(is_blank) || text.ends_with(is_blank) {
        true => Err("begins or ends with white space, such as the line end of a file: remove it"),
        false => Ok(()),
    }
}

/// Returns whether a character at the end of a string is seen by nobody.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}')
}

#[inline]
fn is_valid(name: &str, characters: &AsciiSet) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.len()) && characters.contains_all(name.as_bytes())
}

/// Returns the problem of a name that is not valid.
#[cold]
fn explain(name: &str, argument: &str, what: &str, characters: &AsciiSet) -> Result<(), Problem> {
    length(name, argument, what)?;
    match name.chars().find(|c| !characters.contains(*c)) {
        Some(c) => {
            let more = [':', '#'].into_iter().filter(|more| characters.contains(*more));
            let more: String = more.flat_map(|more| [' ', more]).collect();
            let message = format!("contains {c:?}, but {what} may only contain A-Z a-z 0-9 _ - = @ , . ;{more}");
            Err(Problem::new(argument, message))
        }
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
            assert_eq!(ChannelNames::PLAIN.check(name, "channel"), Ok(()), "{name}");
        }
        let too_long = "a".repeat(201);
        for name in
            ["", " ", "a b", "a:b", "a/b", "a\n", "\n", "a?", "a#", "#server-to-user-1", "ä", "[", "a\"", &too_long]
        {
            assert!(ChannelNames::PLAIN.check(name, "channel").is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_may_have_the_characters_that_a_server_takes() {
        let longest = format!("a:{}", "#".repeat(198));
        for (name, colon, hash) in [
            ("tenant-42:orders", true, false),
            ("dialog:a#42,43", true, true),
            ("a#", false, true),
            ("#a", false, true),
            ("private-:a::b:", true, false),
            ("#server-to-user", false, true),
            (&longest, true, true),
        ] {
            for characters in ["", ":", "#", ":#", "#:"] {
                let names = ChannelNames::with(characters).unwrap();
                let is_valid = (!colon || characters.contains(':')) && (!hash || characters.contains('#'));
                let result = names.check(name, "channel");
                assert_eq!(result.is_ok(), is_valid, "{name} with {characters:?}: {result:?}");
                if let Err(problem) = result {
                    assert!(problem.message.ends_with("(see channel_characters)"), "{problem:?}");
                }
            }
        }
        for names in [ChannelNames::PLAIN, ChannelNames::WITH_COLON_AND_HASH] {
            for name in [
                "",
                ":",
                ":a",
                "#server-to-user-",
                "#server-to-user-1",
                "a b",
                "a/b",
                "a%23",
                "a?b",
                &format!("{longest}#"),
            ] {
                let problem = names.check(name, "channel").unwrap_err();
                assert!(names == ChannelNames::PLAIN || !problem.message.contains("channel_characters"), "{problem:?}");
            }
        }
        assert!(["::", "a", ":# ", "##"].iter().all(|characters| ChannelNames::with(characters).is_none()));
    }

    #[test]
    fn a_hash_is_encoded_in_paths_and_a_colon_is_not() {
        let names = ChannelNames::WITH_COLON_AND_HASH;
        assert_eq!(names.segment("dialog:a#42,43", "channel").unwrap(), "dialog:a%2342,43");
        assert_eq!(names.path("/channels/a:b#c/x#", "path").unwrap(), "/channels/a:b%23c/x%23");
        assert!(matches!(names.path("/a:b", "path"), Ok(Cow::Borrowed("/a:b"))));
        assert!(names.path("/a%23", "path").is_err() && names.path("/a?", "path").is_err());
        assert!(ChannelNames::PLAIN.path("/a#b", "path").is_err());
        assert!(matches!(ChannelNames::PLAIN.path("/a:b", "path"), Ok(Cow::Borrowed("/a:b"))));
    }

    #[test]
    fn keys_may_have_a_dot_and_application_ids_may_not() {
        for text in ["278d425bdf160c739803", "_-9Z"] {
            assert_eq!((app_id(text, "app_id"), key(text, "key")), (Ok(()), Ok(())));
        }
        assert!(key("appid.keyid", "key").is_ok() && app_id("appid.keyid", "app_id").is_err());
        for text in ["", "a:b", "a b", "a/b", "é", "a\n", "a#"] {
            assert!(key(text, "key").is_err() && app_id(text, "app_id").is_err(), "{text:?}");
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
            assert!(ChannelNames::PLAIN.segment(step, "channel").is_err(), "{step:?}");
            assert!(user_id(step, "user_id").is_err(), "{step:?}");
        }
        for right in ["...", "a.b", "@=,;_-"] {
            assert_eq!(ChannelNames::PLAIN.segment(right, "channel"), Ok(right.into()), "{right}");
            assert_eq!(user_id(right, "user_id"), Ok(()), "{right}");
        }
        for wrong in ["", "channels", "/", "//", "/a/", "/./a", "/a/..", "/a b", "/a?b", "/ä"] {
            assert!(path(wrong, "path").is_err(), "{wrong:?}");
        }
        assert_eq!(path("/channels/presence-a/users", "path"), Ok(()));
    }

    #[test]
    fn attributes_are_comma_separated() {
        for list in ["user_count", "user_count,subscription_count", "cache", "attr1,2"] {
            assert_eq!(attributes(list, "info"), Ok(()), "{list}");
        }
        for list in ["", ",", "a,", ",a", "a,,b", "a b", "A", "a&b", "a=b", "ä", "٣"] {
            assert!(attributes(list, "info").is_err(), "{list:?}");
        }
    }

    #[test]
    fn a_message_names_the_remedy_that_applies() {
        let message = |result: Result<(), Problem>| result.unwrap_err().message.to_string();
        // With no characters of channel_characters would these names be valid.
        for name in ["a b", "a?#", "a/b:", &"#".repeat(201), ""] {
            let message = message(ChannelNames::PLAIN.check(name, "channel"));
            assert!(!message.contains("channel_characters"), "{name}: {message}");
        }
        assert_eq!(message(event("", "event")), "must not be empty");
        assert_eq!(message(ChannelNames::PLAIN.check("", "channel")), "must not be empty");
        for (text, is_white_space_around) in
            [(" k", true), ("k\n", true), ("\tk ", true), ("a b", false), ("k!", false), ("", false), (" \n", false)]
        {
            let message = message(key(text, "key"));
            assert_eq!(
                message.starts_with("begins or ends with white space"),
                is_white_space_around,
                "{text:?}: {message}"
            );
            assert_eq!(message.starts_with("must be one or more of"), !is_white_space_around, "{text:?}: {message}");
        }
    }
}
