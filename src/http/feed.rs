//! The bytes of a response that a user received on sockets of its own, in pieces of any size.

use super::response::{MAX_HEAD_BYTES, Malformed, ResponseReader};

/// How far a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// More bytes, or the end of the input, are to come.
    More,
    /// The response is whole.
    Whole,
    /// The input is not HTTP, breaks a limit, or ends too early.
    Broken,
}

/// Reads a response as the exchange does, and keeps the bytes that the reader wants to see again.
#[derive(Debug)]
pub(super) struct Feed {
    reader: ResponseReader,
    /// The beginning of a head, or of a line in the body.
    held: Vec<u8>,
    fault: Option<Malformed>,
}

impl Feed {
    /// Returns a feed for a response whose body may have `max_body_bytes`.
    pub(super) fn new(max_body_bytes: usize) -> Feed {
        let mut reader = ResponseReader::new(max_body_bytes);
        // Whether the request reads them is known when it is finished.
        reader.read_rate_limit();
        Feed { reader, held: Vec::new(), fault: None }
    }

    /// Returns the final status, once its line was read.
    pub(super) fn status(&self) -> Option<u16> {
        self.reader.status()
    }

    /// Returns why the response is broken, if it is.
    pub(super) fn fault(&self) -> Option<Malformed> {
        self.fault
    }

    /// Returns the reader, which has read a whole response.
    pub(super) fn into_reader(self) -> ResponseReader {
        self.reader
    }

    /// Reads from `bytes`, or takes note of the end of the input if there are none. Returns how many bytes were used.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> (Fed, usize) {
        if self.fault.is_some() {
            return (Fed::Broken, 0);
        }
        let mut used = 0;
        let is_whole = match bytes.is_empty() {
            true => self.reader.end().map(|()| true),
            false => self.read(bytes, &mut used),
        };
        match is_whole {
            Ok(true) => (Fed::Whole, used),
            Ok(false) => (Fed::More, bytes.len()),
            // The status of a refusal decides. A body that could not be read is kept as it is.
            Err(_) if self.reader.has_head() && !self.reader.is_success() => (Fed::Whole, bytes.len()),
            Err(why) => {
                self.fault = Some(why);
                (Fed::Broken, bytes.len())
            }
        }
    }

    /// Reads from `bytes` and adds to `used`. Returns whether the response is whole.
    fn read(&mut self, bytes: &[u8], used: &mut usize) -> Result<bool, Malformed> {
        while !self.held.is_empty() && *used < bytes.len() {
            // No more than completes what is held, or shows that it is too long.
            let piece = &bytes[*used..][..MAX_HEAD_BYTES.min(bytes.len() - *used)];
            let before = self.held.len();
            self.hold(piece)?;
            let length = self.reader.read(&self.held)?;
            match length.checked_sub(before) {
                // The rest is read from `bytes`.
                Some(of_piece) if length > 0 => {
                    *used += of_piece;
                    self.held = Vec::new();
                }
                _ => {
                    *used += piece.len();
                    self.held.drain(..length);
                }
            }
            if self.reader.is_complete() {
                return Ok(true);
            }
        }
        if self.held.is_empty() {
            *used += self.reader.read(&bytes[*used..])?;
            if !self.reader.is_complete() {
                self.hold(&bytes[*used..])?;
            }
        }
        Ok(self.reader.is_complete())
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.held.try_reserve(bytes.len()).map_err(|_| Malformed::NoMemory)?;
        self.held.extend_from_slice(bytes);
        Ok(())
    }
}
