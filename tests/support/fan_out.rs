//! Faults in the middle of a fan-out over 1,000 channels, and what each of its parts must say.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::server::{Answer, Builder, End, Received, Server};

/// The number of channels in a part.
const PART: usize = 100;

/// The number of parts.
const PARTS: usize = 10;

/// The part that fails.
const FAULTY: usize = 4;

/// The parts after the one that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// They are delivered.
    Delivered,
    /// They fail in the same way.
    Failing,
    /// They are not begun.
    NotBegun,
}

/// A fault of one part.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its name.
    pub name: &'static str,
    answer: fn() -> Answer,
    status: &'static str,
    delivery: &'static str,
    cause: Option<&'static str>,
    http_status: Option<u16>,
    rest: Rest,
    /// Whether the server stops listening before the part that fails.
    refuses: bool,
}

const fn fault(name: &'static str, answer: fn() -> Answer, status: &'static str, delivery: &'static str) -> Fault {
    let rest = Rest::Delivered;
    Fault { name, answer, status, delivery, cause: None, http_status: None, rest, refuses: false }
}

fn answer(http_status: u16) -> Answer {
    Answer::new(http_status, &[], "no")
}

/// The faults.
pub const FAULTS: [Fault; 12] = [
    Fault {
        cause: Some("connect"),
        rest: Rest::Failing,
        refuses: true,
        ..fault("refused connection", || Answer::ok("{}"), "NOT_SENT", "not_sent")
    },
    Fault { http_status: Some(400), ..fault("400", || answer(400), "BAD_REQUEST", "unknown") },
    Fault { http_status: Some(401), rest: Rest::NotBegun, ..fault("401", || answer(401), "UNAUTHORIZED", "rejected") },
    Fault { http_status: Some(403), rest: Rest::NotBegun, ..fault("403", || answer(403), "FORBIDDEN", "rejected") },
    Fault { http_status: Some(404), rest: Rest::NotBegun, ..fault("404", || answer(404), "NOT_FOUND", "rejected") },
    Fault { http_status: Some(413), ..fault("413", || answer(413), "PAYLOAD_TOO_LARGE", "unknown") },
    Fault { http_status: Some(429), ..fault("429", || answer(429), "RATE_LIMITED", "rejected") },
    Fault { http_status: Some(302), rest: Rest::NotBegun, ..fault("302", || answer(302), "REDIRECTED", "rejected") },
    Fault { http_status: Some(503), ..fault("503", || answer(503), "SERVER_ERROR", "unknown") },
    Fault {
        cause: Some("closed"),
        http_status: Some(200),
        ..fault(
            "cut response",
            || Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"a\"").then(End::Close),
            "BAD_RESPONSE",
            "unknown",
        )
    },
    Fault {
        cause: Some("closed"),
        ..fault("no response", || Answer::raw("").then(End::Close), "DELIVERY_UNKNOWN", "unknown")
    },
    Fault {
        cause: Some("timeout"),
        rest: Rest::NotBegun,
        ..fault("timeout", Answer::nothing, "DELIVERY_UNKNOWN", "unknown")
    },
];

/// Returns the names of the channels.
pub fn names() -> Vec<String> {
    (0..PART * PARTS).map(|number| format!("channel-{number}")).collect()
}

/// Returns the channels of a request.
fn channels_of(received: &Received) -> Vec<String> {
    serde_json::from_value(received.json()["channels"].clone()).unwrap()
}

/// Returns the part that a request carries.
fn part_of(received: &Received) -> usize {
    let channels = channels_of(received);
    names().chunks(PART).position(|part| part == channels).unwrap_or_else(|| panic!("{channels:?} are no part"))
}

impl Fault {
    /// Starts a server with this fault.
    pub fn server(self) -> Server {
        let respond = move |received: &Received| match part_of(received) {
            FAULTY if !self.refuses => (self.answer)(),
            part if self.refuses && part + 1 == FAULTY => {
                Answer::new(200, &[("Connection", "close")], "{}").then(End::Close)
            }
            _ => Answer::ok("{}"),
        };
        let builder = Builder::default().answering(respond);
        if self.refuses { builder.refusing_after(FAULTY).start() } else { builder.start() }
    }

    /// The time limit of the call.
    pub fn timeout_ms(self) -> u64 {
        if self.cause == Some("timeout") { 1000 } else { 30_000 }
    }

    /// The number of attempts, without retries.
    pub fn attempts(self) -> u64 {
        if self.rest == Rest::NotBegun { FAULTY as u64 + 1 } else { PARTS as u64 }
    }

    /// Checks what the parts say, in itself and against the requests that the server received.
    #[track_caller]
    pub fn check(self, parts: &Value, ledger: &[Received]) {
        let received: Vec<usize> = ledger.iter().map(part_of).collect();
        let once: HashSet<usize> = received.iter().copied().collect();
        assert!(received.is_sorted() && once.len() == received.len(), "{}: {received:?}", self.name);
        let names = names();
        let said = parts.as_array().unwrap_or_else(|| panic!("{}: {parts}", self.name));
        assert_eq!(said.len(), PARTS, "{}", self.name);
        for (number, part) in said.iter().enumerate() {
            let delivered = json!({"status": "OK", "delivery": "delivered"});
            let mut expected = match (number, self.rest) {
                (0..FAULTY, _) | (FAULTY.., Rest::Delivered) if number != FAULTY => delivered,
                (FAULTY, _) | (_, Rest::Failing) => {
                    let mut failed = json!({"status": self.status, "delivery": self.delivery});
                    if let Some(cause) = self.cause {
                        failed["cause"] = cause.into();
                    }
                    if let Some(http_status) = self.http_status {
                        failed["http_status"] = http_status.into();
                    }
                    failed
                }
                _ => json!({"status": "NOT_SENT", "delivery": "not_sent"}),
            };
            expected["channels"] = names[number * PART..(number + 1) * PART].into();
            assert_eq!(*part, expected, "{}: part {number}", self.name);
            assert_eq!(once.contains(&number), part["delivery"] != "not_sent", "{}: part {number}", self.name);
        }
    }
}
