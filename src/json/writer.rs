//! Writes JSON: error documents, results, log fields and request bodies.
//!
//! Each call appends one token and returns the writer. The writer places the commas:
//!
//! ```text
//! let mut json = Writer::new();
//! json.begin_object();
//! json.key("name").string("it's \"new\"");
//! json.key("channels").begin_array().string("a").string("b").end_array();
//! json.key("data").raw(payload); // is JSON already
//! json.end_object();
//! let body: Vec<u8> = json.finish()?;
//! // {"name":"it's \"new\"","channels":["a","b"],"data":…}
//! ```

use std::fmt;
use std::io::{self, Write};

use serde::Serializer as _;

use crate::error::Error;
use crate::time_limit::{PIECE_BYTES, TimeIsUp, TimeLimit};

/// A JSON document that is being written.
///
/// Memory is reserved fallibly, because callers and servers decide the sizes. Once a reservation
/// fails, the writer drops everything that follows, and `finish` returns [`Error::Unavailable`]. In
/// the same way it stops at its time limit.
#[derive(Debug)]
pub struct Writer {
    text: Vec<u8>,
    /// Why the writer stopped.
    fault: Option<Fault>,
    limit: TimeLimit,
    /// The size beyond which the writer looks at the clock.
    look_at: usize,
    /// The size up to which there is nothing to decide: neither memory, nor the time, nor a fault.
    end: usize,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer { text: Vec::new(), fault: None, limit: TimeLimit::NONE, look_at: usize::MAX, end: 0 }
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    OutOfMemory,
    TimeIsUp,
}

impl Writer {
    /// Returns an empty writer.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Returns an empty writer with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Result<Writer, Error> {
        let mut text = Vec::new();
        text.try_reserve_exact(bytes).map_err(|_| Error::Unavailable("memory"))?;
        Ok(Writer { end: text.capacity(), text, ..Writer::default() })
    }

    /// Sets the time limit.
    pub fn stop_at(&mut self, limit: TimeLimit) {
        (self.limit, self.look_at) = (limit, self.text.len() + PIECE_BYTES);
        self.end = self.end.min(self.look_at);
    }

    /// Returns the number of bytes written so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Writes `{`.
    pub fn begin_object(&mut self) -> &mut Writer {
        self.separate().push(b"{")
    }

    /// Writes `}`.
    pub fn end_object(&mut self) -> &mut Writer {
        self.push(b"}")
    }

    /// Writes `[`.
    pub fn begin_array(&mut self) -> &mut Writer {
        self.separate().push(b"[")
    }

    /// Writes `]`.
    pub fn end_array(&mut self) -> &mut Writer {
        self.push(b"]")
    }

    /// Writes the name of a member. `name` must need no escaping.
    pub fn key(&mut self, name: &str) -> &mut Writer {
        self.separate().append([b"\"", name.as_bytes(), b"\":"])
    }

    /// Writes a string, escaped where necessary.
    pub fn string(&mut self, value: &str) -> &mut Writer {
        self.separate();
        // Both fail only with a fault, which `append` has recorded.
        let _ = match self.limit.concerns(value.len()) {
            true => serde_json::Serializer::new(Sink(self)).collect_str(&InPieces(value)),
            false => serde_json::to_writer(Sink(self), value),
        };
        self
    }

    /// Writes one string made of `parts`, none of which may need escaping: hex, base64, checked
    /// names.
    pub fn plain<const N: usize>(&mut self, parts: [&[u8]; N]) -> &mut Writer {
        self.separate().push(b"\"").append(parts).push(b"\"")
    }

    /// Writes an integer.
    pub fn number(&mut self, value: impl Into<i128>) -> &mut Writer {
        self.separate();
        // As for `string`.
        let _ = write!(Sink(self), "{}", value.into());
        self
    }

    /// Writes `true` or `false`.
    pub fn boolean(&mut self, value: bool) -> &mut Writer {
        self.raw(if value { "true" } else { "false" })
    }

    /// Writes a value that is JSON already, or one or more whole members of an object
    /// (`"a":1,"b":2`).
    pub fn raw(&mut self, json: &str) -> &mut Writer {
        self.raw_bytes(json.as_bytes())
    }

    /// Writes the same from bytes, which must be UTF-8.
    pub fn raw_bytes(&mut self, json: &[u8]) -> &mut Writer {
        self.separate().push(json)
    }

    /// Returns the document as bytes.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        match self.fault {
            Some(Fault::OutOfMemory) => Err(Error::Unavailable("memory")),
            Some(Fault::TimeIsUp) => Err(TimeIsUp.into()),
            None => Ok(self.text),
        }
    }

    /// Returns the document as a string.
    pub fn finish_string(self) -> Result<String, Error> {
        String::from_utf8(self.finish()?).map_err(|_| Error::Internal("wrote JSON that is not UTF-8".to_owned()))
    }

    /// Appends part of a document unchanged, without a comma before it.
    pub fn verbatim(&mut self, part: &str) -> &mut Writer {
        self.push(part.as_bytes())
    }

    /// Appends part of a document that is in pieces, without a comma before it. Reserves memory once.
    #[inline]
    pub fn append<const N: usize>(&mut self, pieces: [&[u8]; N]) -> &mut Writer {
        let size = pieces.iter().map(|piece| piece.len()).fold(0, usize::saturating_add);
        if size <= self.end.saturating_sub(self.text.len()) {
            pieces.iter().for_each(|piece| self.text.extend_from_slice(piece));
        } else {
            pieces.iter().for_each(|piece| self.append_slowly(piece));
        }
        self
    }

    /// Appends bytes if there is memory, and looks at the clock as often as is due.
    #[cold]
    fn append_slowly(&mut self, bytes: &[u8]) {
        if self.fault.is_none() && self.text.try_reserve(bytes.len()).is_err() {
            self.stop(Fault::OutOfMemory);
        }
        for piece in bytes.chunks(PIECE_BYTES) {
            if self.fault.is_none() && self.text.len() + piece.len() > self.look_at {
                match self.limit.check() {
                    Ok(()) => self.look_at = self.text.len() + PIECE_BYTES,
                    Err(TimeIsUp) => self.stop(Fault::TimeIsUp),
                }
            }
            if self.fault.is_none() {
                self.text.extend_from_slice(piece);
            }
        }
        if self.fault.is_none() {
            self.end = self.text.capacity().min(self.look_at);
        }
    }

    /// Drops everything that follows.
    fn stop(&mut self, fault: Fault) {
        self.fault = Some(fault);
        self.end = 0;
    }

    /// Writes a comma if a value or a member precedes. (No value ends in one of these four
    /// characters.)
    fn separate(&mut self) -> &mut Writer {
        match self.text.iter().rfind(|byte| !byte.is_ascii_whitespace()) {
            None | Some(b'{' | b'[' | b':' | b',') => self,
            Some(_) => self.push(b","),
        }
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) -> &mut Writer {
        self.append([bytes])
    }
}

/// Lets serde_json and `write!` append to a writer.
struct Sink<'a>(&'a mut Writer);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.0.push(bytes).fault {
            Some(_) => Err(io::ErrorKind::Other.into()),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Passes a long string on in pieces, between which the writer may stop.
struct InPieces<'a>(&'a str);

impl fmt::Display for InPieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while !rest.is_empty() {
            let end = (0..=PIECE_BYTES.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at));
            let (piece, others) = rest.split_at(end.unwrap_or(rest.len()));
            f.write_str(piece)?;
            rest = others;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_read_back_as_they_were(text in any::<String>()) {
            let mut json = Writer::new();
            json.string(&text);
            let written = json.finish_string().unwrap();
            let read: Option<String> = serde_json::from_str(&written).ok();
            prop_assert_eq!(read, Some(text));
        }
    }

    #[test]
    fn commas_separate_members_and_elements() {
        let mut json = Writer::new();
        json.begin_object();
        json.key("empty").begin_object().end_object();
        json.key("all").begin_array().string("a,").number(-1).boolean(true).raw("[1]").begin_array();
        json.end_array().begin_object().key("x").raw("null").end_object().end_array();
        json.raw(r#""more":1,"members":2"#).key("hex").plain([b"k", b":", b"00ff"]);
        json.key("last").boolean(false).end_object();
        let expected = concat!(
            r#"{"empty":{},"all":["a,",-1,true,[1],[],{"x":null}],"more":1,"members":2,"#,
            r#""hex":"k:00ff","last":false}"#
        );
        assert_eq!(json.len(), expected.len());
        assert_eq!(json.finish_string().as_deref(), Ok(expected));
    }

    #[test]
    fn strings_are_escaped() {
        let mut json = Writer::new();
        json.string("a\"b\\c\n\u{1}ü");
        assert_eq!(json.finish_string().as_deref(), Ok(r#""a\"b\\c\n\u0001ü""#));
    }

    #[test]
    fn members_continue_a_copied_object() {
        for (part, expected) in
            [("{ ", r#"{ "a":1}"#), (r#"{"x":[] "#, r#"{"x":[] ,"a":1}"#), (r#"{"x": 0"#, r#"{"x": 0,"a":1}"#)]
        {
            let mut json = Writer::new();
            json.verbatim(part).key("a").number(1).verbatim("}");
            assert_eq!(json.finish_string().as_deref(), Ok(expected));
        }
    }

    #[test]
    fn running_out_of_memory_is_reported_by_finish() {
        assert_eq!(Writer::with_capacity(usize::MAX).err(), Some(Error::Unavailable("memory")));
        let mut json = Writer::new();
        json.stop(Fault::OutOfMemory);
        json.begin_array().string("a").number(1).end_array();
        assert_eq!((json.len(), json.finish()), (0, Err(Error::Unavailable("memory"))));
    }

    #[test]
    fn a_long_document_is_written_in_pieces_until_the_time_limit() {
        let long = "\u{e9}\n".repeat(PIECE_BYTES);
        let write = |looks| {
            let mut json = Writer::new();
            json.stop_at(TimeLimit::after_looks(looks));
            json.begin_array().string(&long).raw(&long).end_array();
            json.finish_string()
        };
        let mut whole = Writer::new();
        whole.begin_array().string(&long).raw(&long).end_array();
        assert_eq!(write(20), whole.finish_string());
        for looks in 0..5 {
            assert_eq!(write(looks), Err(TimeIsUp.into()), "{looks}");
        }
        let mut small = Writer::new();
        small.stop_at(TimeLimit::after_looks(0));
        small.string(&long[..PIECE_BYTES / 2 / 3 * 3]);
        assert!(small.finish().is_ok());
    }
}
