//! A hundred thousand events from eight threads of one client, on a server that fails at random.
//!
//! There is no witness here. The seed decides the fault of each attempt, and each event has its own
//! payload, so that the report can be compared with what the server did with the event.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::SockRef;

use crate::caller::Mode;
use crate::support::{Client, KEY, SECRET, config, signature};

const THREADS: usize = 8;

/// The fate of an attempt whose request the server has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is published, and the response is complete.
    Served,
    /// As above, then the connection ends silently: the next request finds it stale, or is lost.
    ServedThenFin,
    ServedThenReset,
    /// It is published or not, and the connection ends without a response.
    Lost {
        published: bool,
        reset: bool,
    },
    /// It is published, and the response is truncated after this many bytes.
    Cut {
        at: usize,
        reset: bool,
    },
    /// It is published or not, and this is the response.
    Answered {
        status: u16,
        published: bool,
    },
    /// It is published, and the response is a 200 with an HTML page.
    Page,
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const STATUS_LINE: usize = "HTTP/1.1 200 OK\r\n".len();

impl Fate {
    /// Returns the fate for any number.
    fn of(number: u64) -> Fate {
        let flag = number >> 40 & 1 == 1;
        let published = number >> 41 & 1 == 1;
        match number % 1000 {
            0..700 => Fate::Served,
            700..740 => Fate::ServedThenFin,
            740..760 => Fate::ServedThenReset,
            760..800 => Fate::Lost { published, reset: flag },
            800..840 => Fate::Cut { at: (number >> 42) as usize % ANSWER.len(), reset: flag },
            840..900 => Fate::Answered { status: 429, published: false },
            900..960 => {
                let status = [302, 307, 400, 401, 403, 404, 413, 415, 422][(number >> 42) as usize % 9];
                Fate::Answered { status, published: false }
            }
            960..990 => {
                let status = [500, 502, 503, 504][(number >> 42) as usize % 4];
                Fate::Answered { status, published }
            }
            _ => Fate::Page,
        }
    }

    fn is_published(self) -> bool {
        match self {
            Fate::Served | Fate::ServedThenFin | Fate::ServedThenReset | Fate::Cut { .. } | Fate::Page => true,
            Fate::Lost { published, .. } | Fate::Answered { published, .. } => published,
        }
    }

    /// Returns the correct status and delivery.
    fn verdict(self) -> (&'static str, &'static str) {
        match self {
            Fate::Served | Fate::ServedThenFin | Fate::ServedThenReset => ("OK", "delivered"),
            Fate::Cut { at, .. } if at >= STATUS_LINE => ("BAD_RESPONSE", "unknown"),
            Fate::Lost { .. } | Fate::Cut { .. } => ("DELIVERY_UNKNOWN", "unknown"),
            Fate::Page => ("BAD_RESPONSE", "unknown"),
            Fate::Answered { status, .. } => match status {
                302 | 307 => ("REDIRECTED", "rejected"),
                401 => ("UNAUTHORIZED", "rejected"),
                403 => ("FORBIDDEN", "rejected"),
                404 => ("NOT_FOUND", "rejected"),
                413 => ("PAYLOAD_TOO_LARGE", "rejected"),
                429 => ("RATE_LIMITED", "rejected"),
                400 | 415 | 422 => ("BAD_REQUEST", "rejected"),
                _ => ("SERVER_ERROR", "unknown"),
            },
        }
    }

    /// Returns whether the mode `safe` retries it.
    fn is_retried(self) -> bool {
        matches!(self, Fate::Answered { status: 429, .. })
    }
}

/// How many attempts in a thousand have their connection reset as soon as it is made.
const RESET_AT_ONCE: u64 = 20;

/// Returns a pseudo-random number for this event and attempt. (splitmix64)
fn mixed(seed: u64, event: u64, attempt: u64) -> u64 {
    let mut number = seed ^ event.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ attempt.wrapping_mul(0xd1b5_4a32_d192_ed03);
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// The records of the server.
struct Truth {
    seed: u64,
    /// The fates of each event's attempts, in order.
    events: Vec<Mutex<Vec<Fate>>>,
    /// The connections that were reset before anything was read.
    resets_at_once: AtomicUsize,
    connections: AtomicUsize,
    /// Requests that no client of this library may send.
    refused: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Truth {
    fn attempts_of(&self, event: usize) -> std::sync::MutexGuard<'_, Vec<Fate>> {
        self.events[event].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves until the test ends.
    fn serve(self: &Arc<Truth>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let (truth, stream) = (Arc::clone(self), stream.unwrap());
            let number = self.connections.fetch_add(1, Ordering::Relaxed) as u64;
            // By connection, not by event: the order of the connections depends on the threads.
            if mixed(self.seed, u64::MAX, number) % 1000 < RESET_AT_ONCE {
                self.resets_at_once.fetch_add(1, Ordering::Relaxed);
                reset(&stream);
                continue;
            }
            thread::spawn(move || truth.converse(stream));
        }
    }

    fn converse(&self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut buffer = Vec::new();
        while let Some(event) = self.request(&mut stream, &mut buffer) {
            let fate = {
                let mut fates = self.attempts_of(event);
                let fate = Fate::of(mixed(self.seed, event as u64, fates.len() as u64));
                // Recorded before the client can see a byte of the response.
                fates.push(fate);
                fate
            };
            let written = match fate {
                Fate::Served | Fate::ServedThenFin | Fate::ServedThenReset => stream.write_all(ANSWER.as_bytes()),
                Fate::Lost { .. } => Ok(()),
                Fate::Cut { at, .. } => stream.write_all(&ANSWER.as_bytes()[..at]),
                Fate::Page => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"),
                Fate::Answered { status, .. } => {
                    let more = if status < 400 { "Location: /elsewhere\r\n" } else { "" };
                    let head = format!("HTTP/1.1 {status} Because\r\n{more}Content-Length: 2\r\n\r\nno");
                    stream.write_all(head.as_bytes())
                }
            };
            match fate {
                _ if written.is_err() => return,
                Fate::Served | Fate::Page | Fate::Answered { .. } => {}
                Fate::ServedThenReset | Fate::Lost { reset: true, .. } | Fate::Cut { reset: true, .. } => {
                    return reset(&stream);
                }
                Fate::ServedThenFin | Fate::Lost { .. } | Fate::Cut { .. } => return,
            }
        }
    }

    /// Reads a complete request and returns its event. `None` is the end of the connection.
    fn request(&self, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<usize> {
        buffer.clear();
        let mut chunk = [0; 4096];
        loop {
            let length = stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
            buffer.extend_from_slice(&chunk[..length]);
            let text = std::str::from_utf8(buffer).ok()?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let wanted = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            });
            if body.len() < wanted? {
                continue;
            }
            return match accepted(head, body) {
                Ok(event) if body.len() == wanted? => Some(event),
                result => {
                    let why = format!("{result:?}: {text}");
                    self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(why);
                    None
                }
            };
        }
    }
}

/// Returns the event of a correctly signed request. Mixed bytes of two threads would not be.
fn accepted(head: &str, body: &str) -> Result<usize, String> {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').ok_or("no query")?;
    signature::verify(method, path, query, body.as_bytes(), KEY, SECRET)?;
    let (_, data) = body.split_once(r#""data":""#).ok_or("no data")?;
    data.get(..8).and_then(|digits| digits.parse().ok()).ok_or_else(|| "no number".to_owned())
}

fn reset(stream: &TcpStream) {
    // The client may have closed already.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Makes this many calls in this mode and compares each result with the records. Returns the counts
/// as a sentence.
pub fn run(mode: Mode, seed: u64, events: usize) -> Result<String, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let truth = Arc::new(Truth {
        seed,
        events: (0..events).map(|_| Mutex::new(Vec::new())).collect(),
        resets_at_once: AtomicUsize::new(0),
        connections: AtomicUsize::new(0),
        refused: Mutex::new(Vec::new()),
        is_over: AtomicBool::new(false),
    });
    let serving = thread::spawn({
        let truth = Arc::clone(&truth);
        move || truth.serve(&listener)
    });
    // No call may reach its deadline: its result would then depend on the machine.
    let client = Client::new(&config(address.port(), json!({"retry": {"mode": mode.name()}, "timeout_ms": 60_000})));
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let mut outcomes: Vec<(usize, &'static str, &'static str)> = thread::scope(|scope| {
        let calls = || {
            let mut outcomes = Vec::new();
            loop {
                let event = next.fetch_add(1, Ordering::Relaxed);
                if event >= events {
                    return outcomes;
                }
                let outcome = client.trigger("orders", "placed", &format!("\"{event:08}\""));
                let delivery = if outcome.status == 0 { "delivered" } else { outcome.delivery() };
                outcomes.push((event, outcome.name(), delivery));
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(calls)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let elapsed = started.elapsed();
    drop(client);
    truth.is_over.store(true, Ordering::Relaxed);
    drop(TcpStream::connect(address));
    serving.join().unwrap();

    let mut complaints = Vec::new();
    outcomes.sort_unstable();
    let once = outcomes.iter().map(|(event, ..)| *event).eq(0..events);
    if !once {
        complaints.push("not every event has exactly one outcome".to_owned());
    }
    let mut unread = 0;
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (event, status, delivery) in &outcomes {
        *counts.entry((delivery, status)).or_default() += 1;
        let fates = truth.attempts_of(*event);
        match check(mode, &fates, status, delivery) {
            Ok(was_read) => unread += usize::from(!was_read),
            Err(why) => complaints.push(format!("event {event}, {status}, {delivery}: {why}; {fates:?}")),
        }
    }
    let resets = truth.resets_at_once.load(Ordering::Relaxed);
    // The server has no record of an attempt only if its connection was reset at once or went stale
    // as it was reused.
    let stale = outcomes
        .iter()
        .filter(|(event, ..)| {
            let fates = truth.attempts_of(*event);
            fates.iter().any(|fate| matches!(fate, Fate::ServedThenFin | Fate::ServedThenReset))
        })
        .count();
    if unread > resets + stale {
        complaints.push(format!("{unread} attempts left no trace, with {resets} resets and {stale} stale connections"));
    }
    complaints.extend(truth.refused.lock().unwrap().iter().map(|why| format!("not to be sent: {why}")));
    if !complaints.is_empty() {
        let count = complaints.len();
        complaints.truncate(20);
        return Err(format!("seed {seed}, mode {}: {count} complaints\n{}", mode.name(), complaints.join("\n")));
    }
    let mut lines = vec![format!(
        "seed {seed}, mode {}: {events} events in {:.1} s over {} connections",
        mode.name(),
        elapsed.as_secs_f64(),
        truth.connections.load(Ordering::Relaxed),
    )];
    lines.extend(counts.iter().map(|((delivery, status), count)| format!("  {delivery:9} {status:18} {count:7}")));
    Ok(lines.join("\n"))
}

/// Compares a result with what the server did with the event. Returns whether the server read the
/// attempt that the result is about.
fn check(mode: Mode, fates: &[Fate], status: &str, delivery: &str) -> Result<bool, &'static str> {
    let published = fates.iter().filter(|fate| fate.is_published()).count();
    if published > 1 && mode != Mode::AtLeastOnce {
        return Err("published twice");
    }
    match delivery {
        "delivered" if published == 0 => return Err("falsely delivered"),
        "not_sent" | "rejected" if published > 0 => return Err("published all the same"),
        _ => {}
    }
    let Some((last, earlier)) = fates.split_last() else {
        return match (status, delivery) {
            ("NOT_SENT", "not_sent") | ("DELIVERY_UNKNOWN", "unknown") => Ok(false),
            _ => Err("the server never saw it"),
        };
    };
    let again = |fate: &Fate| mode != Mode::Never && fate.is_retried();
    if !earlier.iter().all(again) {
        return Err("sent again");
    }
    if last.verdict() == (status, delivery) {
        return Ok(true);
    }
    // A further attempt, which the server did not see.
    match (status, delivery) {
        ("NOT_SENT", "not_sent") | ("DELIVERY_UNKNOWN", "unknown") if again(last) => Ok(false),
        _ => Err("not what the server did"),
    }
}
