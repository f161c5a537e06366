//! ureq, with a connection that is in memory.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use ::ureq::http::header::{DATE, RETRY_AFTER};
use ::ureq::http::{self, Uri};
use ::ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ::ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ::ureq::{Agent, Error};

use super::super::MAX_HEAD_BYTES;
use super::generator::Case;
use super::outcome::{Headers, MAX_BODY_BYTES, Outcome, Reading};

/// The state of the connection that ureq has, which ureq hides.
#[derive(Debug, Default)]
struct Record {
    /// The bytes for the next connection, and the pieces in which they arrive.
    bytes: Vec<u8>,
    pieces: Vec<usize>,
    consumed_bytes: usize,
    /// How many of the bytes that arrived ureq has not consumed.
    buffered_bytes: usize,
    /// Whether ureq asked if the connection is open, which it does to keep it alive.
    was_to_be_kept: bool,
}

/// ureq as a reader of responses.
pub(super) struct Ureq {
    agent: Agent,
    record: Arc<Mutex<Record>>,
}

impl Ureq {
    pub(super) fn new() -> Ureq {
        // As the library has used it.
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .max_response_header_size(MAX_HEAD_BYTES)
            .build();
        let record = Arc::new(Mutex::new(Record::default()));
        let agent = Agent::with_parts(config, MemoryConnector(Arc::clone(&record)), NoLookup);
        Ureq { agent, record }
    }

    /// Sends a request like the library's, and reads the case as its response.
    pub(super) fn read(&self, case: &Case) -> Outcome {
        with(&self.record, |record| {
            *record = Record { bytes: case.bytes.clone(), pieces: case.pieces.clone(), ..Record::default() };
        });
        let mut request = http::Request::new(br#"{"name":"e","channels":["c"],"data":"{}"}"#.as_slice());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = Uri::from_static("http://127.0.0.1/apps/1/events?auth_key=k");
        request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        let Ok(response) = self.agent.run(request) else { return Outcome::Failed { status: None, body: vec![] } };
        let (head, body) = response.into_parts();
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let headers = Headers { retry_after: text(RETRY_AFTER), date: text(DATE) };
        let status = head.status.as_u16();
        // One byte more than the limit, to detect that it is exceeded.
        let (mut reader, mut body) = (body.into_reader().take(MAX_BODY_BYTES as u64 + 1), Vec::new());
        let result = reader.read_to_end(&mut body);
        // The connection is dropped.
        drop(reader);
        let is_truncated = body.len() > MAX_BODY_BYTES;
        body.truncate(MAX_BODY_BYTES);
        if result.is_err() || is_truncated && head.status.is_success() {
            return Outcome::Failed { status: Some(status), body };
        }
        // Of a refusal the library reads no more than it keeps.
        let (left_over, keeps_alive) = with(&self.record, |record| {
            let left_over = case.bytes.len() - record.consumed_bytes;
            // ureq closes a connection that has unread bytes, whatever the response says.
            ((!is_truncated).then_some(left_over), (record.buffered_bytes == 0).then_some(record.was_to_be_kept))
        });
        Outcome::Complete(Reading { status, body, left_over, keeps_alive, headers: Some(headers) })
    }
}

fn with<T>(record: &Mutex<Record>, body: impl FnOnce(&mut Record) -> T) -> T {
    body(&mut record.lock().unwrap_or_else(PoisonError::into_inner))
}

#[derive(Debug)]
struct MemoryConnector(Arc<Mutex<Record>>);

impl Connector for MemoryConnector {
    type Out = Memory;

    fn connect(&self, _: &ConnectionDetails, _: Option<()>) -> Result<Option<Memory>, Error> {
        let (bytes, mut pieces) =
            with(&self.0, |record| (std::mem::take(&mut record.bytes), std::mem::take(&mut record.pieces)));
        pieces.reverse();
        Ok(Some(Memory {
            record: Arc::clone(&self.0),
            bytes,
            pieces,
            arrived: 0,
            consumed: 0,
            made_progress: false,
            output: vec![0; 1024],
        }))
    }
}

/// A connection on which a response arrives in pieces, and then the end.
#[derive(Debug)]
struct Memory {
    record: Arc<Mutex<Record>>,
    bytes: Vec<u8>,
    /// The pieces that are still to come, the last one first.
    pieces: Vec<usize>,
    arrived: usize,
    consumed: usize,
    made_progress: bool,
    output: Vec<u8>,
}

impl Transport for Memory {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let piece = self.pieces.pop();
        self.arrived += piece.unwrap_or(0);
        Ok(piece.is_some())
    }

    fn is_open(&mut self) -> bool {
        with(&self.record, |record| record.was_to_be_kept = true);
        // Each case has a connection of its own.
        false
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        with(&self.record, |record| {
            record.consumed_bytes = self.consumed;
            record.buffered_bytes = self.arrived - self.consumed;
        });
    }
}

impl Buffers for Memory {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.bytes[self.consumed..self.arrived]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input_appended(&mut self, _: usize) {}

    fn input_consume(&mut self, amount: usize) {
        self.made_progress = amount > 0;
        self.consumed += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.output.split_at_mut(512)
    }

    fn can_use_input(&self) -> bool {
        self.made_progress && self.consumed < self.arrived
    }
}

#[derive(Debug)]
struct NoLookup;

impl Resolver for NoLookup {
    fn resolve(&self, _: &Uri, _: &::ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}
