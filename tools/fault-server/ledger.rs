//! The ledger: what really happened. Tests compare a client's report with it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::script::End;

/// The beginning of the channel of a user.
const USER_CHANNEL: &str = "#server-to-user-";

/// How much of a response is kept. An endless one would fill the memory.
const MOST_KEPT: usize = 1 << 20;

/// One attempt of a client: a request, or a connection that failed before a request.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The number of the connection, counted from 0.
    pub connection: usize,
    /// The number of the request on the connection, counted from 1; 0 for a fault of the connection.
    pub number: usize,
    /// The fault.
    pub fault: Option<String>,
    /// The number of bytes of the request that were read.
    pub request_bytes: usize,
    /// The length of the request.
    pub request_length: Option<usize>,
    /// Whether the whole request was read.
    pub whole: bool,
    /// Its method.
    pub method: Option<String>,
    /// Its path, without the signed query.
    pub path: Option<String>,
    /// The events that a real server would have published.
    pub applied: Vec<Value>,
    /// Whether these are all events of the request.
    pub applied_all: bool,
    /// The reason for which a healthy server would refuse the request.
    pub refused: Option<String>,
    /// The response, as much of it as is kept.
    pub answer: Vec<u8>,
    /// The length of the response. An endless response counts its repeated part once.
    pub answer_length: usize,
    /// The number of bytes of the response that the kernel took.
    pub answer_bytes: usize,
    /// The bytes of the response that the kernel took.
    pub answer_sent: Vec<u8>,
    /// The end of the connection.
    pub end: End,
}

impl Attempt {
    /// Records the response.
    pub fn means(&mut self, bytes: &[u8]) {
        self.answer_length += bytes.len();
        let room = MOST_KEPT.saturating_sub(self.answer.len());
        self.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Records the bytes of the response that the kernel took.
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

/// An attempt in progress.
#[derive(Clone, Debug)]
pub struct Entry(Arc<Mutex<Attempt>>);

impl Entry {
    /// Locks the attempt, to read or change it.
    pub fn lock(&self) -> MutexGuard<'_, Attempt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All attempts on one listener.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<Vec<Entry>>,
    changed: Condvar,
}

impl Ledger {
    /// Records the start of an attempt.
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

    /// Returns the number of attempts.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns the attempts from this one on.
    pub fn to_json(&self, from: usize) -> Vec<Value> {
        let entries: Vec<Entry> = self.lock().iter().skip(from).cloned().collect();
        entries.iter().map(|entry| entry.lock().to_json()).collect()
    }

    /// Returns what was published, once there are `count` events or at the deadline. See README.md.
    pub fn record(&self, count: usize, deadline: Instant) -> Value {
        let mut entries = self.lock();
        loop {
            let record = Record::new(&entries);
            let left = deadline.saturating_duration_since(Instant::now());
            if record.events.len() >= count || left.is_zero() {
                return record.to_json();
            }
            (entries, _) = self.changed.wait_timeout(entries, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes those who wait for events. The caller holds no lock of an attempt.
    pub fn wake(&self) {
        // Under the lock, or a thread that has just looked at the attempts would miss it.
        let _entries = self.lock();
        self.changed.notify_all();
    }

    /// Forgets all attempts, also those in progress.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an application published: the ledger without the bytes.
#[derive(Default)]
struct Record {
    attempts: usize,
    events: Vec<Value>,
    terminated: Vec<Value>,
    refused: Vec<String>,
}

impl Record {
    fn new(entries: &[Entry]) -> Record {
        let mut record = Record { attempts: entries.len(), ..Record::default() };
        for entry in entries {
            let attempt = entry.lock();
            record.refused.extend(attempt.refused.clone());
            for applied in &attempt.applied {
                if let Some(user) = applied.get("terminated") {
                    record.terminated.push(user.clone());
                }
                if let Some(channel) = applied["channel"].as_str() {
                    record.events.push(json!({
                        "channel": channel,
                        "event": applied["name"],
                        "data": applied["data"],
                        "socket_id": applied.get("socket_id"),
                        "user": channel.strip_prefix(USER_CHANNEL),
                    }));
                }
            }
        }
        record
    }

    fn to_json(&self) -> Value {
        json!({
            "attempts": self.attempts,
            "events": self.events,
            "terminated": self.terminated,
            "refused": self.refused,
        })
    }
}
