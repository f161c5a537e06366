//! What really happened. A client's word is held against this.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::script::End;

/// How much of an answer is kept. An endless one would fill the memory.
const MOST_KEPT: usize = 1 << 20;

/// One try of a client's: a request, or a connection that was struck before one could come.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// On which connection, counted from 0.
    pub connection: usize,
    /// Which request of that connection, counted from 1; 0 where the connection itself was struck.
    pub number: usize,
    /// What it suffers.
    pub fault: Option<String>,
    /// How much of the request was taken.
    pub request_bytes: usize,
    /// How long it is.
    pub request_length: Option<usize>,
    /// Whether all of it was taken.
    pub whole: bool,
    /// Its method.
    pub method: Option<String>,
    /// Its path, without the query, which is signed.
    pub path: Option<String>,
    /// What a real server would have published.
    pub applied: Vec<Value>,
    /// Whether that is all that was asked for.
    pub applied_all: bool,
    /// Why a healthy server would not have taken it.
    pub refused: Option<String>,
    /// What is to be answered, as much of it as is kept.
    pub answer: Vec<u8>,
    /// How long that is in truth. An endless answer counts once what it repeats.
    pub answer_length: usize,
    /// How much of it the kernel took.
    pub answer_bytes: usize,
    /// What of it the kernel took.
    pub answer_sent: Vec<u8>,
    /// What became of the connection.
    pub end: End,
}

impl Attempt {
    /// Notes what is to be answered.
    pub fn means(&mut self, bytes: &[u8]) {
        self.answer_length += bytes.len();
        let room = MOST_KEPT.saturating_sub(self.answer.len());
        self.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Notes what the kernel took of the answer.
    pub fn sent(&mut self, bytes: &[u8]) {
        self.answer_bytes += bytes.len();
        let room = MOST_KEPT.saturating_sub(self.answer_sent.len());
        self.answer_sent.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn to_json(&self) -> Value {
        let mut all = json!({
            "connection": self.connection,
            "number": self.number,
            "fault": self.fault,
            "request_bytes": self.request_bytes,
            "request_length": self.request_length,
            "whole": self.whole,
            "method": self.method,
            "path": self.path,
            "applied": self.applied,
            "applied_all": self.applied_all,
            "answer_bytes": self.answer_bytes,
            "answer_length": self.answer_length,
            "answer": STANDARD.encode(&self.answer),
            "answer_sent": STANDARD.encode(&self.answer_sent),
            "then": self.end.name(),
        });
        if let Some(why) = &self.refused {
            all["refused"] = json!(why);
        }
        all
    }
}

/// An attempt that is still going on.
#[derive(Clone, Debug)]
pub struct Entry(Arc<Mutex<Attempt>>);

impl Entry {
    /// It, to be read or changed.
    pub fn lock(&self) -> MutexGuard<'_, Attempt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All attempts of one listener.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Vec<Entry>>);

impl Ledger {
    /// Writes down that an attempt has begun.
    pub fn begin(&self, connection: usize, number: usize, fault: Option<&str>) -> Entry {
        let entry = Entry(Arc::new(Mutex::new(Attempt {
            connection,
            number,
            fault: fault.map(str::to_owned),
            request_bytes: 0,
            request_length: None,
            whole: false,
            method: None,
            path: None,
            applied: Vec::new(),
            applied_all: false,
            refused: None,
            answer: Vec::new(),
            answer_length: 0,
            answer_bytes: 0,
            answer_sent: Vec::new(),
            end: End::Keep,
        })));
        self.lock().push(entry.clone());
        entry
    }

    /// How many attempts there were.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// The attempts from this one on.
    pub fn to_json(&self, from: usize) -> Vec<Value> {
        let entries: Vec<Entry> = self.lock().iter().skip(from).cloned().collect();
        entries.iter().map(|entry| entry.lock().to_json()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
