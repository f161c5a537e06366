//! The shape of a response, read with the greatest tolerance. It says which rule the bytes break,
//! for the table of differences, and decides nothing else.

/// The lines of a response, as far as they can be found.
#[derive(Debug, Default)]
pub(super) struct Shape<'a> {
    /// How many bytes there are.
    pub(super) length: usize,
    /// The heads: interim ones, and the final one.
    pub(super) heads: Vec<Head<'a>>,
    /// How many bytes are in chunks.
    pub(super) chunk_bytes: usize,
    /// The lines before chunks, with size and extensions.
    pub(super) sizes: Vec<Line<'a>>,
    /// The lines after the data of chunks, which should be empty.
    pub(super) chunk_ends: Vec<Line<'a>>,
    /// The lines after the last chunk, with the empty one at the end.
    pub(super) trailers: Vec<Line<'a>>,
}

/// A status line, and header lines with the empty one at the end.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) status_line: Line<'a>,
    pub(super) lines: Vec<Line<'a>>,
}

/// A line: its bytes, and whether they end with CRLF, with LF alone, or with the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) ends_with: &'a [u8],
}

impl<'a> Line<'a> {
    /// Takes a line off the input.
    fn take(input: &mut &'a [u8]) -> Line<'a> {
        let Some(newline) = input.iter().position(|byte| *byte == b'\n') else {
            return Line { bytes: std::mem::take(input), ends_with: b"" };
        };
        let end = if newline > 0 && input[newline - 1] == b'\r' { newline - 1 } else { newline };
        let line = Line { bytes: &input[..end], ends_with: &input[end..=newline] };
        *input = &input[newline + 1..];
        line
    }

    pub(super) fn length(&self) -> usize {
        self.bytes.len() + self.ends_with.len()
    }

    pub(super) fn is_bare(&self) -> bool {
        self.ends_with == b"\n"
    }

    /// Splits a header line into its name, with any blanks before the colon, and its value.
    fn split(&self) -> Option<(&'a [u8], &'a [u8])> {
        let colon = self.bytes.iter().position(|byte| *byte == b':')?;
        Some((&self.bytes[..colon], self.bytes[colon + 1..].trim_ascii()))
    }
}

impl<'a> Head<'a> {
    fn take(input: &mut &'a [u8]) -> Head<'a> {
        let mut head = Head { status_line: Line::take(input), ..Head::default() };
        while head.status_line.bytes.is_empty() && !input.is_empty() {
            head.status_line = Line::take(input);
        }
        while !input.is_empty() {
            let line = Line::take(input);
            head.lines.push(line);
            if line.bytes.is_empty() {
                break;
            }
        }
        head
    }

    /// Returns whether a name may contain the byte. (RFC 9110, 5.6.2)
    pub(super) fn is_name_byte(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
    }

    /// Returns the three digits of the status.
    pub(super) fn status(&self) -> Option<u16> {
        let digits = self.status_line.bytes.get(9..12).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        // RFC 9110, 15: below 100 it is invalid.
        std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| *status >= 100)
    }

    pub(super) fn is_http_1_0(&self) -> bool {
        self.status_line.bytes.starts_with(b"HTTP/1.0")
    }

    /// Returns the values of the header lines with this name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.lines
            .iter()
            .filter_map(Line::split)
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

impl<'a> Shape<'a> {
    pub(super) fn of(mut input: &'a [u8]) -> Shape<'a> {
        let mut shape = Shape { length: input.len(), ..Shape::default() };
        loop {
            let head = Head::take(&mut input);
            let is_interim = head.status().is_some_and(|status| matches!(status, 100 | 102..200));
            shape.heads.push(head);
            if !is_interim {
                break;
            }
        }
        if !shape.has_no_body() && shape.encodings().any(|value| find_word(value, b"chunked")) {
            shape.take_chunks(input);
        }
        shape
    }

    fn take_chunks(&mut self, mut input: &'a [u8]) {
        while !input.is_empty() {
            let line = Line::take(&mut input);
            self.sizes.push(line);
            let digits = line.bytes.iter().skip_while(|byte| byte.is_ascii_whitespace() || **byte == b'+');
            let digits: Vec<u8> = digits.copied().take_while(u8::is_ascii_hexdigit).collect();
            let digits = std::str::from_utf8(&digits).unwrap_or_default();
            let Ok(size) = usize::from_str_radix(digits, 16) else { return };
            if size == 0 {
                break;
            }
            let size = size.min(input.len());
            self.chunk_bytes += size;
            input = &input[size..];
            if input.is_empty() {
                return;
            }
            let end = Line::take(&mut input);
            self.chunk_ends.push(end);
            if !end.bytes.is_empty() {
                return;
            }
        }
        while !input.is_empty() {
            let line = Line::take(&mut input);
            self.trailers.push(line);
            if line.bytes.is_empty() {
                return;
            }
        }
    }

    /// Returns the final head, or the last one that there is.
    pub(super) fn head(&self) -> &Head<'a> {
        &self.heads[self.heads.len() - 1]
    }

    /// Returns the final status, if its line is complete and valid.
    pub(super) fn known_status(&self) -> Option<u16> {
        let line = &self.head().status_line;
        let version_is_valid = line.bytes.starts_with(b"HTTP/1.0 ") || line.bytes.starts_with(b"HTTP/1.1 ");
        let reason = line.bytes.get(12..)?;
        let reason_is_valid = reason.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
        let is_valid = version_is_valid && reason_is_valid && (reason.is_empty() || reason[0] == b' ');
        let is_interim = |status: &u16| matches!(status, 100 | 102..200);
        self.head().status().filter(|status| is_valid && !line.ends_with.is_empty() && !is_interim(status))
    }

    /// Returns whether the status says that there is no body.
    fn has_no_body(&self) -> bool {
        matches!(self.head().status(), Some(101 | 204 | 304))
    }

    /// Returns the heads before the final one.
    pub(super) fn interim(&self) -> &[Head<'a>] {
        &self.heads[..self.heads.len() - 1]
    }

    pub(super) fn lengths(&self) -> impl Iterator<Item = &'a [u8]> {
        self.head().values("Content-Length")
    }

    pub(super) fn encodings(&self) -> impl Iterator<Item = &'a [u8]> {
        self.head().values("Transfer-Encoding")
    }
}

fn find_word(value: &[u8], word: &[u8]) -> bool {
    value.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
