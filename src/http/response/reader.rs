//! Reads a response from the bytes of a connection, as they come.

use super::super::message::Response;
use super::body::{Framing, Step};
use super::head::{self, Head, Parsed, Reuse};
use super::malformed::Malformed;

/// The most that is read of the body of a response that is not 2xx: enough for its message.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The most interim responses (1xx) before a final one.
const MAX_INTERIM_RESPONSES: u32 = 1000;

/// The space that a body gets at first, however long its stated length is.
const MAX_FIRST_RESERVE_BYTES: usize = 64 * 1024;

/// Reads one response.
///
/// It knows no connection: it gets bytes, and says how many it has used.
#[derive(Debug)]
pub(crate) struct ResponseReader {
    max_body_bytes: usize,
    reads_rate_limit: bool,
    state: State,
    status: Option<u16>,
    interim_responses: u32,
    head: Head,
    body: Vec<u8>,
}

/// The part of the response that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Body,
    /// Nothing.
    Complete,
    /// Nothing that matters: the rest of a long refusal is left unread.
    Enough,
}

impl ResponseReader {
    /// Returns a reader for the response to one request. Its body may have `max_body_bytes`.
    pub(crate) fn new(max_body_bytes: usize) -> ResponseReader {
        ResponseReader {
            max_body_bytes,
            reads_rate_limit: false,
            state: State::Head,
            status: None,
            interim_responses: 0,
            head: Head::default(),
            body: Vec::new(),
        }
    }

    /// Reads the headers of a rate limit, too.
    pub(crate) fn read_rate_limit(&mut self) {
        self.reads_rate_limit = true;
    }

    /// Reads from `input`, the unread bytes of the connection. Returns how many it has used. Pass
    /// the others again, followed by more.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let step = match self.state {
                State::Complete | State::Enough => return Ok(used),
                State::Head if rest.is_empty() => return Ok(used),
                State::Head => self.read_head(rest)?,
                State::Body => self.read_body(rest)?,
            };
            match step {
                Some(length) => used += length,
                None => return Ok(used),
            }
        }
    }

    /// Reads a head. Returns its length, or `None` if it is incomplete.
    fn read_head(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        match head::parse(input, self.reads_rate_limit) {
            Parsed::Incomplete(status) => {
                self.status = status;
                Ok(None)
            }
            Parsed::Interim(_) if self.interim_responses == MAX_INTERIM_RESPONSES => {
                Err(Malformed::Because("too many interim responses (1xx) came before it"))
            }
            Parsed::Interim(length) => {
                self.interim_responses += 1;
                Ok(Some(length))
            }
            Parsed::Final(status, length, head) => {
                self.status = Some(status);
                self.head = head;
                self.state = State::Body;
                self.prepare_body()?;
                Ok(Some(length))
            }
            Parsed::Malformed(status, why) => {
                self.status = status;
                Err(why)
            }
        }
    }

    /// Checks a stated length, and reserves memory for it.
    fn prepare_body(&mut self) -> Result<(), Malformed> {
        if !self.is_success() {
            self.max_body_bytes = self.max_body_bytes.min(MAX_ERROR_BYTES);
        }
        let Some(length) = self.head.framing.stated() else { return Ok(()) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if self.is_success() && length > self.max_body_bytes {
            return Err(self.too_long());
        }
        let first = length.min(self.max_body_bytes).min(MAX_FIRST_RESERVE_BYTES);
        self.body.try_reserve_exact(first).map_err(|_| Malformed::NoMemory)
    }

    /// Reads a part of the body. Returns its length, or `None` if more input is needed.
    fn read_body(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        let length = match self.head.framing.step(input)? {
            Step::Incomplete => return Ok(None),
            Step::Complete => {
                self.state = State::Complete;
                return Ok(Some(0));
            }
            Step::Framing(length) => {
                let left = self.head.framing.stated().unwrap_or(0);
                let room = (self.max_body_bytes - self.body.len()) as u64;
                return if self.is_success() && left > room { Err(self.too_long()) } else { Ok(Some(length)) };
            }
            Step::Content(length) => length,
        };
        let fitting = length.min(self.max_body_bytes - self.body.len());
        self.body.try_reserve(fitting).map_err(|_| Malformed::NoMemory)?;
        self.body.extend_from_slice(&input[..fitting]);
        match fitting == length {
            true => Ok(Some(length)),
            false if self.is_success() => Err(self.too_long()),
            false => {
                self.state = State::Enough;
                Ok(Some(fitting))
            }
        }
    }

    fn too_long(&self) -> Malformed {
        Malformed::TooLong(self.max_body_bytes)
    }

    /// Takes note that the connection has ended, cleanly. That completes a body without a length.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        match (self.state, self.head.framing) {
            (State::Complete | State::Enough, _) => Ok(()),
            (State::Body, Framing::UntilClose) => {
                self.state = State::Complete;
                Ok(())
            }
            _ => Err(Malformed::Cut),
        }
    }

    /// Returns the final status, once its line was read.
    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns whether the status is 2xx.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self.status, Some(200..300))
    }

    /// Returns whether the whole head was read.
    pub(crate) fn has_head(&self) -> bool {
        self.state != State::Head
    }

    /// Returns whether nothing more is to be read.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete | State::Enough)
    }

    /// Returns whether the connection may be used again after this response.
    pub(crate) fn reuse(&self) -> Reuse {
        match self.state {
            State::Complete => self.head.reuse,
            _ => Reuse::Never,
        }
    }

    /// Returns the response, complete or not, if there is a whole head.
    pub(crate) fn into_response(self, request_was_sent: bool) -> Option<Response> {
        let status = self.status.filter(|_| self.state != State::Head)?;
        Some(Response {
            status,
            body: self.body,
            has_length: self.head.has_length,
            request_was_sent,
            retry_after: self.head.retry_after,
            date: self.head.date,
            rate_limit: self.head.rate_limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100_000;

    /// The end of an input: it may just stop for now, or the connection ends.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Then {
        Silence,
        End,
    }

    /// What a reader made of an input.
    #[derive(Debug, PartialEq, Eq)]
    struct Outcome {
        status: Option<u16>,
        body: String,
        /// `None` if more input is needed.
        result: Option<Result<(), Malformed>>,
        /// The bytes that were not used.
        left: usize,
        may_be_reused: bool,
    }

    /// Reads `input` in pieces of `size` bytes.
    fn read(input: &[u8], size: usize, then: Then) -> Outcome {
        let mut reader = ResponseReader::new(LIMIT);
        let (mut used, mut result) = (0, None);
        let ends = (size.min(input.len())..input.len()).step_by(size).chain([input.len()]);
        for end in ends {
            match reader.read(&input[used..end]) {
                Ok(length) => used += length,
                Err(why) => {
                    result = Some(Err(why));
                    break;
                }
            }
        }
        if result.is_none() {
            result = match then {
                Then::End => Some(reader.end()),
                Then::Silence => reader.is_complete().then_some(Ok(())),
            };
        }
        Outcome {
            status: reader.status(),
            may_be_reused: reader.reuse() != Reuse::Never,
            body: String::from_utf8_lossy(&reader.body).into_owned(),
            left: if matches!(result, Some(Err(_))) { 0 } else { input.len() - used },
            result,
        }
    }

    /// Checks that the size of the pieces makes no difference, and returns the outcome.
    #[track_caller]
    fn outcome(input: &str, then: Then) -> Outcome {
        let whole = read(input.as_bytes(), input.len().max(1), then);
        for size in [1, 2, 3, 7] {
            // Read in one piece, an input shows what follows the response.
            let pieces = read(input.as_bytes(), size, then);
            assert_eq!(pieces, whole, "{input:?} in pieces of {size}");
        }
        whole
    }

    fn complete(status: u16, body: &str, left: usize, may_be_reused: bool) -> Outcome {
        Outcome { status: Some(status), body: body.to_owned(), result: Some(Ok(())), left, may_be_reused }
    }

    #[test]
    fn a_response_ends_where_its_head_says() {
        for (input, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", complete(200, "{}", 0, true)),
            ("HTTP/1.1 200 OK\r\nCONTENT-length:\t2 \r\n\r\n{}x", complete(200, "{}", 1, true)),
            ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", complete(200, "{}", 0, true)),
            ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", complete(200, "", 0, true)),
            ("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", complete(200, "{}", 0, true)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", complete(200, "{}", 0, false)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: a, Close\r\n\r\n{}", complete(200, "{}", 0, false)),
            ("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", complete(204, "", 0, true)),
            ("HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", complete(304, "", 0, true)),
            ("HTTP/1.1 101 No\r\nUpgrade: x\r\n\r\nx", complete(101, "", 1, false)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\nX: y\r\n\r\nz",
                complete(200, "{}", 1, true),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
                complete(200, "{}", 0, false),
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 400 No\r\nContent-Length: 1\r\n\r\nx",
                complete(400, "x", 0, true),
            ),
        ] {
            assert_eq!(outcome(input, Then::Silence), expected, "{input:?}");
            assert_eq!(outcome(input, Then::End), expected, "{input:?}");
        }
        let until_close = "HTTP/1.1 200 OK\r\n\r\n{}";
        assert_eq!(outcome(until_close, Then::Silence).result, None);
        assert_eq!(outcome(until_close, Then::End), complete(200, "{}", 0, false));
    }

    #[test]
    fn a_truncated_response_is_incomplete_at_every_byte() {
        for input in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n",
        ] {
            let status_line = input.find("200 OK").unwrap() + "200 OK\r\n".len();
            for end in 0..input.len() {
                let cut = outcome(&input[..end], Then::End);
                let status = (end >= status_line).then_some(200);
                assert_eq!((cut.status, cut.result), (status, Some(Err(Malformed::Cut))), "{:?}", &input[..end]);
                assert_eq!(outcome(&input[..end], Then::Silence).result, None);
            }
        }
    }

    #[test]
    fn doubtful_framing_is_refused() {
        for headers in [
            "Content-Length: 2, 2",
            "Content-Length: +2",
            "Content-Length: 2;",
            "Content-Length:",
            "Content-Length: 18446744073709551616",
            "Content-Length: 2\r\nContent-Length: 2",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Content-Length: x\r\nTransfer-Encoding: chunked",
            "Content-Length : 2",
            "X: a\r\n b\r\nContent-Length: 2",
            "\0: a",
        ] {
            let outcome = outcome(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"), Then::End);
            assert_eq!(outcome.status, Some(200), "{headers:?}");
            assert!(matches!(outcome.result, Some(Err(Malformed::Because(_)))), "{headers:?}: {outcome:?}");
        }
        let old = outcome("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Then::End);
        assert!(matches!(old.result, Some(Err(Malformed::Because(_)))), "{old:?}");
        for line in
            ["HTTP/2 200 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 OK", "HTTP/1.1 20 OK", "SSH-2.0-x", "HTTP/1.1 +20 OK"]
        {
            let outcome = outcome(&format!("{line}\r\nContent-Length: 2\r\n\r\n{{}}"), Then::End);
            assert_eq!(outcome.status, None, "{line}");
            assert!(matches!(outcome.result, Some(Err(Malformed::Because(_)))), "{line}: {outcome:?}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let head = |length: usize| {
            let (start, end) = ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ", "\r\n\r\n");
            format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
        };
        let result = |input: &str| read(input.as_bytes(), input.len(), Then::End).result.unwrap();
        assert_eq!(result(&head(super::super::MAX_HEAD_BYTES)), Ok(()));
        assert!(result(&head(super::super::MAX_HEAD_BYTES + 1)).is_err());
        let headers = |count: usize| format!("HTTP/1.1 204 No\r\n{}\r\n", "X: y\r\n".repeat(count));
        assert_eq!(result(&headers(super::super::MAX_HEADERS)), Ok(()));
        assert_eq!(
            result(&headers(super::super::MAX_HEADERS + 1)),
            Err(Malformed::Because("it has more than 64 headers"))
        );
        let interim = |count: usize| "HTTP/1.1 102 Wait\r\n\r\n".repeat(count) + "HTTP/1.1 204 No\r\n\r\n";
        assert_eq!(result(&interim(1000)), Ok(()));
        assert!(result(&interim(1001)).is_err());
    }

    #[test]
    fn a_long_success_is_refused_and_a_long_refusal_is_shortened() {
        let body = "x".repeat(LIMIT + 1);
        let bodies = |status: u16| {
            [
                format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
                format!(
                    "HTTP/1.1 {status} x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                    body.len()
                ),
                format!("HTTP/1.1 {status} x\r\n\r\n{body}"),
            ]
        };
        for input in bodies(200) {
            for size in [1000, input.len()] {
                let outcome = read(input.as_bytes(), size, Then::End);
                assert_eq!(outcome.result, Some(Err(Malformed::TooLong(LIMIT))), "{size}");
            }
        }
        let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n";
        assert_eq!(outcome(endless, Then::Silence).result, Some(Err(Malformed::TooLong(LIMIT))));
        for input in bodies(400) {
            for size in [1000, input.len()] {
                let outcome = read(input.as_bytes(), size, Then::Silence);
                assert_eq!(outcome.result, Some(Ok(())), "{size}");
                assert_eq!((outcome.body.len(), outcome.may_be_reused), (MAX_ERROR_BYTES, false));
            }
        }
    }

    #[test]
    fn the_server_says_how_long_it_keeps_the_connection() {
        let reuse = |headers: &str| {
            let mut reader = ResponseReader::new(LIMIT);
            reader.read(format!("HTTP/1.1 204 No\r\n{headers}\r\n\r\n").as_bytes()).unwrap();
            reader.reuse()
        };
        let seconds = |seconds| Reuse::Stated(Some(std::time::Duration::from_secs(seconds)));
        for (headers, expected) in [
            ("X: y", Reuse::Unstated),
            ("Connection: upgrade", Reuse::Unstated),
            ("Connection: Keep-Alive", Reuse::Stated(None)),
            ("Keep-Alive: timeout=5, max=100", seconds(5)),
            ("Keep-Alive: max=100 , TIMEOUT = 7", seconds(7)),
            ("Keep-Alive: timeout=0", seconds(0)),
            ("Keep-Alive: timeout=-1", Reuse::Stated(None)),
            ("Keep-Alive: timeout", Reuse::Stated(None)),
            ("Keep-Alive: 5", Reuse::Stated(None)),
            ("Keep-Alive: timeout=5\r\nConnection: close", Reuse::Never),
        ] {
            assert_eq!(reuse(headers), expected, "{headers}");
        }
    }
}
