//! What a fault does, as data: how a connection opens, how much of the request is read, what is applied, what is answered,
//! and how it ends. `exchange` plays it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::tls::Certificate;

/// A fault's behaviour. What is not said is as it should be.
#[derive(Clone, Debug)]
pub struct Script {
    /// How the connection begins.
    pub opening: Opening,
    /// How the request is read.
    pub reads: Reads,
    /// What a whole request brings about.
    pub applies: Applies,
    /// What is said.
    pub answer: Vec<Part>,
    /// Where that breaks off.
    pub cut: Option<At>,
    /// How long each byte of it is held back.
    pub pace: Option<Duration>,
    /// What becomes of the connection.
    pub end: End,
    /// By how many seconds the server's clock is ahead.
    pub clock: i64,
    /// Where a proxy's tunnel breaks off.
    pub tunnel: Option<TunnelCut>,
}

/// How a connection begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// As it should.
    Proper,
    /// Nobody listens.
    Refused,
    /// The kernel answers no more: its queue of connections is full.
    BlackHole,
    /// Below TLS: says this, once the client has spoken if `answers`, and ends.
    Raw { answers: bool, bytes: Vec<u8>, end: End },
    /// TLS with another certificate than the right one.
    Certificate(Certificate),
    /// TLS as far as this byte of the server's first flight.
    Flight(At, End),
    /// TLS and no more. Without TLS: nothing.
    Established(End),
    /// Says this before it is asked.
    Greeting(Vec<u8>),
}

/// How a request is read.
#[derive(Clone, Debug)]
pub struct Reads {
    /// As far as that.
    pub until: At,
    /// So many bytes at a time, with this much time before each.
    pub pace: Option<(usize, Duration)>,
    /// Whether the kernel may take only little of what is not read.
    pub small_window: bool,
}

/// A place in a request or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After so many bytes.
    Byte(usize),
    /// After the first line.
    Line,
    /// After the head, and what came along with it. (Requests only.)
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
    /// As it stands in parameters.
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

    /// How many bytes that is of a message with these lengths.
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

/// How many of a request's events are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// None.
    Nothing,
    /// All.
    All,
    /// So many, and never the last: that one is refused.
    First(usize),
}

impl Applies {
    /// All or nothing.
    pub fn all_if(applied: bool) -> Applies {
        if applied { Applies::All } else { Applies::Nothing }
    }
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// What a healthy server answers.
    Healthy,
    /// These.
    Bytes(Vec<u8>),
    /// These, again and again, until the client has had enough.
    Forever(Vec<u8>),
    /// Nothing for so long.
    Pause(Duration),
    /// Nothing until the client speaks.
    Await,
    /// A redirect to a healthy server.
    Redirect(u16),
}

impl Part {
    /// What is said.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Part::Bytes(bytes) | Part::Forever(bytes) => bytes,
            Part::Healthy | Part::Pause(_) | Part::Await | Part::Redirect(_) => &[],
        }
    }
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It waits for the next request.
    Keep,
    /// The rest of the request is read and thrown away, then the next is waited for.
    ReadOn,
    /// The rest of the request is read and applied, then the next is waited for.
    ApplyLate,
    /// FIN, under TLS after close_notify.
    Fin,
    /// FIN, without a word of TLS.
    Cut,
    /// RST.
    Reset,
    /// It stays open, and nothing more is read or written.
    Hold,
}

impl End {
    /// As it stands in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            End::Fin | End::Cut => "fin",
            End::Reset => "rst",
            End::Keep | End::ReadOn | End::ApplyLate | End::Hold => "open",
        }
    }
}

/// Where a tunnel breaks off.
#[derive(Clone, Copy, Debug)]
pub struct TunnelCut {
    /// Whether the bytes to the server are counted, or those from it.
    pub up: bool,
    /// After so many.
    pub at: usize,
    /// How the client learns of it.
    pub end: End,
}

impl Script {
    /// No fault at all.
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

    /// Takes the whole request and answers this.
    pub fn says(bytes: impl Into<Vec<u8>>) -> Script {
        Script::parts([Part::Bytes(bytes.into())])
    }

    /// Takes the whole request and answers so.
    pub fn parts(parts: impl Into<Vec<Part>>) -> Script {
        Script { answer: parts.into(), ..Script::healthy() }
    }

    /// Takes the whole request and says nothing.
    pub fn mute() -> Script {
        Script::parts([])
    }

    /// Begins so.
    pub fn opens(opening: Opening) -> Script {
        Script { opening, ..Script::healthy() }
    }

    /// Strikes when so much of the request was read, before anything could be applied.
    pub fn until(mut self, at: At) -> Script {
        self.reads.until = at;
        self
    }

    /// Lets the client feel that it is not read.
    pub fn small_window(mut self) -> Script {
        self.reads.small_window = true;
        self
    }

    /// Applies so many.
    pub fn applies(mut self, applies: Applies) -> Script {
        self.applies = applies;
        self
    }

    /// Ends so.
    pub fn then(mut self, end: End) -> Script {
        self.end = end;
        self
    }

    /// Breaks off there.
    pub fn cut(mut self, at: At) -> Script {
        self.cut = Some(at);
        self
    }

    /// Holds back each byte for so long.
    pub fn paced(mut self, pace: Duration) -> Script {
        self.pace = Some(pace);
        self
    }

    /// Whether it sends clients elsewhere.
    pub fn redirects(&self) -> bool {
        self.answer.iter().any(|part| matches!(part, Part::Redirect(_)))
    }

    /// Whether a listener has to be made for it.
    pub fn needs_its_own_listener(&self) -> bool {
        self.redirects()
            || self.clock != 0
            || self.reads.small_window
            || matches!(self.opening, Opening::Refused | Opening::BlackHole)
    }

    /// Whether a proxy that has said so carries bytes from then on.
    pub fn opens_tunnels(&self) -> bool {
        self.answer.last() == Some(&Part::Healthy) && self.cut.is_none()
    }

    /// Whether it strikes a connection and not a request.
    pub fn strikes_connections(&self) -> bool {
        self.opening != Opening::Proper
    }
}

/// A fault's parameters: its own, with what was asked for in their place.
#[derive(Clone, Debug)]
pub struct Params(Map<String, Value>);

impl Params {
    /// Says what is wrong with what was asked for.
    pub fn new(defaults: &Map<String, Value>, asked: &Map<String, Value>) -> Result<Params, String> {
        let mut all = defaults.clone();
        for (name, value) in asked {
            let default = defaults.get(name).ok_or_else(|| format!("there is no parameter {name:?} here"))?;
            let fits = match name.as_str() {
                "at" => At::parse(value).is_some(),
                // A Retry-After may be anything.
                "retry_after" => value.is_string(),
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

    /// Whether the request is applied although the client does not learn of it.
    pub fn applied(&self) -> Applies {
        Applies::all_if(self.flag("applied"))
    }

    /// Where it strikes.
    pub fn at(&self) -> At {
        self.0.get("at").and_then(At::parse).unwrap_or(At::Whole)
    }

    /// A length of time.
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

    /// A number that may be negative.
    pub fn seconds(&self) -> i64 {
        self.0.get("seconds").and_then(Value::as_i64).unwrap_or_default()
    }

    /// A text.
    pub fn text(&self, name: &str) -> String {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}
