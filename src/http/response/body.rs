//! The end of a body: its length, its chunks, or the end of the connection. (RFC 9112, 6 and 7)

use super::malformed::{MAX_HEAD_BYTES, MAX_HEADERS, Malformed};

/// How a body ends, and how much of it is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// After this many more bytes.
    Length(u64),
    /// With its last chunk.
    Chunked(Chunk),
    /// With the connection.
    #[default]
    UntilClose,
}

/// The next part of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// The line with the size of a chunk.
    Size,
    /// This many more bytes of a chunk.
    Data(u64),
    /// The end of the line after a chunk.
    DataEnd,
    /// The headers after the last chunk.
    Trailer,
    /// Nothing: the body is complete.
    End,
}

/// A step through a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This many bytes of the input are content.
    Content(usize),
    /// This many bytes of the input are framing.
    Framing(usize),
    /// The input ends before the next step does.
    Incomplete,
    /// The body is complete.
    Complete,
}

impl Framing {
    /// Returns the framing of a chunked body.
    pub(super) const fn chunked() -> Framing {
        Framing::Chunked(Chunk::Size)
    }

    /// Returns how many bytes of content are certain to come: of the body, or of its chunk.
    pub(super) const fn stated(self) -> Option<u64> {
        match self {
            Framing::Length(left) | Framing::Chunked(Chunk::Data(left)) => Some(left),
            Framing::Chunked(_) | Framing::UntilClose => None,
        }
    }

    /// Takes the next step into `input`. The caller consumes the bytes of the step.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, Malformed> {
        match self {
            Framing::Length(0) | Framing::Chunked(Chunk::End) => Ok(Step::Complete),
            _ if input.is_empty() => Ok(Step::Incomplete),
            Framing::UntilClose => Ok(Step::Content(input.len())),
            Framing::Length(left) => Ok(content(left, input)),
            Framing::Chunked(chunk) => chunk.step(input),
        }
    }
}

/// Takes as much content from `input` as is `left`.
fn content(left: &mut u64, input: &[u8]) -> Step {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= length as u64;
    Step::Content(length)
}

impl Chunk {
    fn step(&mut self, input: &[u8]) -> Result<Step, Malformed> {
        match self {
            Chunk::Size => {
                let Some(line) = line(input)? else { return Ok(Step::Incomplete) };
                let size = chunk_size(line)?;
                *self = if size == 0 { Chunk::Trailer } else { Chunk::Data(size) };
                Ok(Step::Framing(line.len()))
            }
            Chunk::Data(left) => {
                let step = content(left, input);
                if *left == 0 {
                    *self = Chunk::DataEnd;
                }
                Ok(step)
            }
            Chunk::DataEnd if input.starts_with(b"\r\n") => {
                *self = Chunk::Size;
                Ok(Step::Framing(2))
            }
            Chunk::DataEnd if input == b"\r" => Ok(Step::Incomplete),
            Chunk::DataEnd => Err(Malformed::Because("a chunk is longer than its size")),
            Chunk::Trailer => {
                let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
                match httparse::parse_headers(input, &mut headers) {
                    Ok(httparse::Status::Complete((length, _))) if length <= MAX_HEAD_BYTES => {
                        *self = Chunk::End;
                        Ok(Step::Framing(length))
                    }
                    Ok(httparse::Status::Partial) if input.len() < MAX_HEAD_BYTES => Ok(Step::Incomplete),
                    Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Malformed::Because("its trailer is too long")),
                    Err(_) => Err(Malformed::Because("its trailer is not HTTP")),
                }
            }
            Chunk::End => Ok(Step::Complete),
        }
    }
}

/// Returns the first line of `input` with its end, if it is complete.
fn line(input: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    match input.iter().take(MAX_HEAD_BYTES).position(|byte| *byte == b'\n') {
        Some(end) => Ok(Some(&input[..=end])),
        None if input.len() < MAX_HEAD_BYTES => Ok(None),
        None => Err(Malformed::Because("the line of a chunk is too long")),
    }
}

/// Reads the line of a chunk: `1*HEXDIG`, then extensions, which are ignored. (RFC 9112, 7.1)
///
/// httparse alone also accepts a line without digits, blanks after the size, and control characters
/// in an extension.
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let malformed = Malformed::Because("the size of a chunk is not a number");
    let text = line.strip_suffix(b"\r\n").unwrap_or_default();
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = &text[digits..];
    let is_extension = rest.trim_ascii_start().starts_with(b";");
    let is_visible = rest.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
    if digits == 0 || !(rest.is_empty() || is_extension && is_visible) {
        return Err(malformed);
    }
    match httparse::parse_chunk_size(line) {
        Ok(httparse::Status::Complete((_, size))) => Ok(size),
        _ => Err(malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_size_is_hexadecimal_digits_and_extensions() {
        for (line, size) in [
            ("0\r\n", 0),
            ("0000000000000002\r\n", 2),
            ("fF\r\n", 255),
            ("2;a=b\r\n", 2),
            ("2 ;a=\"b c\"\r\n", 2),
            ("2\t;\r\n", 2),
            ("ffffffffffffffff\r\n", u64::MAX),
        ] {
            assert_eq!(chunk_size(line.as_bytes()).ok(), Some(size), "{line:?}");
        }
        for line in [
            "\r\n",
            " 2\r\n",
            "+2\r\n",
            "-2\r\n",
            "0x2\r\n",
            "2 \r\n",
            "2 2\r\n",
            " ;a\r\n",
            ";a\r\n",
            "2;a\rb\r\n",
            "2;\0\r\n",
            "2\n",
            "2;a\n",
            "2\u{b}\r\n",
            "10000000000000000\r\n",
            "00000000000000002\r\n",
            "g\r\n",
        ] {
            assert!(chunk_size(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}
