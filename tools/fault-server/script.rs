//! A fault as data: how a connection opens, how much of the request is read, what is applied, the response, and the end of
//! the connection. `exchange` plays it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::ending::Ending;
use super::tls::Certificate;

/// The behaviour of a fault. The default of each part is that of a healthy server.
#[derive(Clone, Debug)]
pub struct Script {
    /// How the connection begins.
    pub opening: Opening,
    /// How the request is read.
    pub reads: Reads,
    /// The events that a complete request applies.
    pub applies: Applies,
    /// The response.
    pub answer: Vec<Part>,
    /// Where the response ends early.
    pub cut: Option<At>,
    /// The pause before each byte of the response.
    pub pace: Option<Duration>,
    /// The end of the connection.
    pub end: End,
    /// The seconds by which the server's clock is ahead.
    pub clock: i64,
    /// Where a proxy cuts the tunnel.
    pub tunnel: Option<TunnelCut>,
}

/// How a connection begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// As a healthy server does.
    Proper,
    /// There is no listener.
    Refused,
    /// The kernel does not respond: its queue of connections is full.
    BlackHole,
    /// Below TLS: sends this, after the client's first bytes if `answers`, and ends.
    Raw { answers: bool, bytes: Vec<u8>, end: End },
    /// TLS with a wrong certificate.
    Certificate(Certificate),
    /// TLS up to this byte of the server's first flight.
    Flight(At, End),
    /// The TLS handshake only. Without TLS: nothing.
    Established(End),
    /// Sends this before any request.
    Greeting(Vec<u8>),
}

/// How a request is read.
#[derive(Clone, Debug)]
pub struct Reads {
    /// Up to this place.
    pub until: At,
    /// This many bytes at a time, with a pause before each.
    pub pace: Option<(usize, Duration)>,
    /// Whether the window is small, so that the kernel takes only a little that is not read.
    pub small_window: bool,
}

/// A place in a request or a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After this many bytes.
    Byte(usize),
    /// After the first line.
    Line,
    /// After the head, and the bytes that came with it. (Requests only.)
    Arrived,
    /// After the head.
    Head,
    /// After the head and half of the body.
    Half,
    /// Before the last byte.
    Last,
    /// At the end.
    Whole,
}

impl At {
    /// Reads it from a parameter.
    fn parse(value: &Value) -> Option<At> {
        match value {
            Value::Number(number) => number.as_u64().and_then(|at| usize::try_from(at).ok()).map(At::Byte),
            Value::String(text) => match text.as_str() {
                "line" => Some(At::Line),
                "head" => Some(At::Head),
                "half" => Some(At::Half),
                "last" => Some(At::Last),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the number of bytes in a message with these lengths.
    pub fn of(self, line: usize, head: usize, whole: usize) -> usize {
        match self {
            At::Byte(at) => at.min(whole),
            At::Line => line,
            At::Arrived | At::Head => head,
            At::Half => head + (whole - head) / 2,
            At::Last => whole.saturating_sub(1),
            At::Whole => whole,
        }
    }
}

/// The number of events of a request that are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// None.
    Nothing,
    /// All.
    All,
    /// This many, and never the last: that one is refused.
    First(usize),
}

impl Applies {
    /// All or nothing.
    pub fn all_if(applied: bool) -> Applies {
        if applied { Applies::All } else { Applies::Nothing }
    }
}

/// A part of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The response of a healthy server.
    Healthy,
    /// These.
    Bytes(Vec<u8>),
    /// These, repeatedly, until the client closes the connection.
    Forever(Vec<u8>),
    /// A pause.
    Pause(Duration),
    /// A wait for bytes of the client.
    Await,
    /// A redirect to a healthy server.
    Redirect(u16),
}

impl Part {
    /// The response.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Part::Bytes(bytes) | Part::Forever(bytes) => bytes,
            Part::Healthy | Part::Pause(_) | Part::Await | Part::Redirect(_) => &[],
        }
    }
}

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It waits for the next request.
    Keep,
    /// It discards the rest of the request, and waits for the next.
    ReadOn,
    /// It reads and applies the rest of the request, and waits for the next.
    ApplyLate,
    /// FIN, under TLS after close_notify.
    Fin,
    /// FIN without close_notify.
    Cut,
    /// This, in one write with the response, and FIN. Without TLS only FIN, in the segment of the response.
    With(Ending),
    /// RST.
    Reset,
    /// It stays open, but the server neither reads nor writes.
    Hold,
}

impl End {
    /// Returns the name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            End::Fin | End::Cut | End::With(_) => "fin",
            End::Reset => "rst",
            End::Keep | End::ReadOn | End::ApplyLate | End::Hold => "open",
        }
    }
}

/// Where a tunnel is cut.
#[derive(Clone, Copy, Debug)]
pub struct TunnelCut {
    /// Whether the bytes to the server are counted, or those from it.
    pub up: bool,
    /// After this many bytes.
    pub at: usize,
    /// How the connection to the client ends.
    pub end: End,
}

impl Script {
    /// No fault.
    pub fn healthy() -> Script {
        Script {
            opening: Opening::Proper,
            reads: Reads { until: At::Whole, pace: None, small_window: false },
            applies: Applies::All,
            answer: vec![Part::Healthy],
            cut: None,
            pace: None,
            end: End::Keep,
            clock: 0,
            tunnel: None,
        }
    }

    /// Reads the whole request and sends this response.
    pub fn says(bytes: impl Into<Vec<u8>>) -> Script {
        Script::parts([Part::Bytes(bytes.into())])
    }

    /// Reads the whole request and sends these parts.
    pub fn parts(parts: impl Into<Vec<Part>>) -> Script {
        Script { answer: parts.into(), ..Script::healthy() }
    }

    /// Reads the whole request and does not respond.
    pub fn mute() -> Script {
        Script::parts([])
    }

    /// Opens the connection in this way.
    pub fn opens(opening: Opening) -> Script {
        Script { opening, ..Script::healthy() }
    }

    /// Fails after reading this much of the request, before anything is applied.
    pub fn until(mut self, at: At) -> Script {
        self.reads.until = at;
        self
    }

    /// Uses a small window.
    pub fn small_window(mut self) -> Script {
        self.reads.small_window = true;
        self
    }

    /// Applies this many events.
    pub fn applies(mut self, applies: Applies) -> Script {
        self.applies = applies;
        self
    }

    /// Ends the connection in this way.
    pub fn then(mut self, end: End) -> Script {
        self.end = end;
        self
    }

    /// Ends the response at this place.
    pub fn cut(mut self, at: At) -> Script {
        self.cut = Some(at);
        self
    }

    /// Pauses before each byte.
    pub fn paced(mut self, pace: Duration) -> Script {
        self.pace = Some(pace);
        self
    }

    /// Returns whether it redirects clients.
    pub fn redirects(&self) -> bool {
        self.answer.iter().any(|part| matches!(part, Part::Redirect(_)))
    }

    /// Returns whether it needs a listener of its own.
    pub fn needs_its_own_listener(&self) -> bool {
        self.redirects()
            || self.clock != 0
            || self.reads.small_window
            || matches!(self.opening, Opening::Refused | Opening::BlackHole)
    }

    /// Returns whether the proxy forwards bytes after this response.
    pub fn opens_tunnels(&self) -> bool {
        self.answer.last() == Some(&Part::Healthy) && self.cut.is_none()
    }

    /// Returns whether it is a fault of a connection, not of a request.
    pub fn strikes_connections(&self) -> bool {
        self.opening != Opening::Proper
    }
}

/// The parameters of a fault: its defaults, overridden by the order.
#[derive(Clone, Debug)]
pub struct Params(Map<String, Value>);

impl Params {
    /// Checks the parameters of the order.
    pub fn new(defaults: &Map<String, Value>, asked: &Map<String, Value>) -> Result<Params, String> {
        let mut all = defaults.clone();
        for (name, value) in asked {
            let default = defaults.get(name).ok_or_else(|| format!("there is no parameter {name:?} here"))?;
            let fits = match name.as_str() {
                "at" => At::parse(value).is_some(),
                // These may be any string.
                "retry_after" | "body" => value.is_string(),
                _ if default.is_boolean() => value.is_boolean(),
                "seconds" => value.is_i64(),
                _ => value.is_u64(),
            };
            if !fits {
                return Err(format!("{name} can't be {value}"));
            }
            all.insert(name.clone(), value.clone());
        }
        Ok(Params(all))
    }

    /// Returns whether the request is applied although the client gets no response.
    pub fn applied(&self) -> Applies {
        Applies::all_if(self.flag("applied"))
    }

    /// Returns the place of the fault.
    pub fn at(&self) -> At {
        self.0.get("at").and_then(At::parse).unwrap_or(At::Whole)
    }

    /// Returns a duration.
    pub fn ms(&self) -> Duration {
        Duration::from_millis(self.number("ms") as u64)
    }

    /// A boolean.
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A number.
    pub fn number(&self, name: &str) -> usize {
        self.0.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
    }

    /// Returns a number that may be negative.
    pub fn seconds(&self) -> i64 {
        self.0.get("seconds").and_then(Value::as_i64).unwrap_or_default()
    }

    /// Returns a string.
    pub fn text(&self, name: &str) -> String {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}
