//! Plays scripts: one connection from beginning to end.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channels::Handled;
use super::connection::Connection;
use super::http::{self, Head, Request};
use super::ledger::Entry;
use super::listener::{Listener, Service, Turn};
use super::script::{At, End, Opening, Part, Script};
use super::{proxy, tls};

/// The limit of an endless response, for a client that reads all of it.
const FOR_EVER: Duration = Duration::from_secs(60);

/// The largest read, in bytes.
const CHUNK: usize = 16 * 1024;

/// Serves one connection.
pub fn serve(listener: &Listener, number: usize, socket: Arc<TcpStream>, turn: &Turn) {
    let mut struck = None;
    let mut connection = match turn {
        Turn::Healthy { .. } => match establish(listener, socket, None) {
            Ok(connection) => connection,
            Err(_) => return,
        },
        Turn::Struck(fault, script) => {
            let entry = listener.begin(number, 0, Some(&fault.name));
            match open(listener, &entry, &script.opening, socket) {
                Some(connection) => {
                    // After a fault that only sends a greeting, the request follows.
                    struck = matches!(script.opening, Opening::Greeting(_)).then(|| (Arc::clone(script), entry));
                    connection
                }
                None => return,
            }
        }
    };
    let mut count = 0;
    let healthy = Arc::new(Script::healthy());
    while connection.begins() {
        count += 1;
        let (turn, script, entry) = match struck.take() {
            Some((script, entry)) => {
                entry.lock().number = count;
                (Turn::Healthy { warm: false }, script, entry)
            }
            None => match listener.request_turn() {
                Turn::Struck(fault, script) => {
                    let entry = listener.begin(number, count, Some(&fault.name));
                    (Turn::Struck(fault, Arc::clone(&script)), script, entry)
                }
                turn @ Turn::Healthy { .. } => (turn, Arc::clone(&healthy), listener.begin(number, count, None)),
            },
        };
        let exchange = Exchange { listener, entry: &entry, script: &script };
        match exchange.run(connection, &turn, &healthy) {
            Some(next) => connection = next,
            None => return,
        }
    }
}

/// Sets up the connection, with TLS if the listener uses it.
fn establish(
    listener: &Listener,
    socket: Arc<TcpStream>,
    certificate: Option<tls::Certificate>,
) -> io::Result<Connection> {
    if listener.tls() {
        Connection::with_tls(socket, listener.authorities.config(certificate))
    } else {
        Ok(Connection::plain(socket))
    }
}

/// Plays the beginning of a faulty connection. Returns the connection if it stays open.
fn open(listener: &Listener, entry: &Entry, opening: &Opening, socket: Arc<TcpStream>) -> Option<Connection> {
    let end = |end, socket| {
        entry.lock().end = end;
        Connection::plain(socket).end(end, true);
        None
    };
    match opening {
        // The first two never reach this: no connection is accepted.
        Opening::Refused | Opening::BlackHole | Opening::Proper => establish(listener, socket, None).ok(),
        Opening::Raw { answers, bytes, end: how } => {
            if *answers && !matches!(socket.peek(&mut [0]), Ok(1)) {
                return None;
            }
            // These bytes do not respond to a request: they are not in the ledger.
            let _ = (&*socket).write_all(bytes);
            end(*how, socket)
        }
        Opening::Certificate(certificate) => establish(listener, socket, Some(*certificate)).ok(),
        Opening::Flight(at, how) => {
            let flight = tls::first_flight(&socket, listener.authorities.config(None)).ok()?;
            let length = at.of(0, 0, flight.len());
            let _ = (&*socket).write_all(&flight[..length]);
            end(*how, socket)
        }
        Opening::Established(how) => {
            let connection = establish(listener, socket, None).ok()?;
            entry.lock().end = *how;
            connection.end(*how, true);
            None
        }
        Opening::Greeting(bytes) => {
            let mut connection = establish(listener, socket, None).ok()?;
            entry.lock().means(bytes);
            connection.send(bytes, entry).ok()?;
            Some(connection)
        }
    }
}

/// One request and its response.
struct Exchange<'a> {
    listener: &'a Listener,
    entry: &'a Entry,
    script: &'a Script,
}

/// The part of a request that was read.
struct Taken {
    bytes: Vec<u8>,
    head: Option<Head>,
    /// Why reading stopped.
    wrong: Option<String>,
    /// Whether the client closed the connection first.
    gone: bool,
}

impl Taken {
    fn whole(self) -> Option<Request> {
        let head = self.head.filter(|head| self.bytes.len() == head.whole_length())?;
        Some(Request { body: self.bytes[head.length..].to_vec(), head })
    }
}

impl Exchange<'_> {
    /// Returns the connection if another request may follow on it.
    fn run(&self, mut connection: Connection, turn: &Turn, healthy: &Script) -> Option<Connection> {
        let taken = self.read(&mut connection, Vec::new(), self.script.reads.until);
        if taken.gone && taken.wrong.is_none() {
            // The request ended too early: give the fault to another one, unless the client left because nothing was read.
            if self.script.reads.pace.is_none() {
                self.listener.give_back(turn);
                self.forget_fault();
            }
            return None;
        }
        if let Some(why) = taken.wrong {
            self.listener.give_back(turn);
            self.forget_fault();
            self.entry.lock().refused = Some(why.clone());
            let answer = http::json_answer(400, &serde_json::json!({"error": why, "code": 400}).to_string());
            let refusal = Script::says(answer).then(End::Fin);
            return Exchange { script: &refusal, ..*self }.answer(connection, None, true);
        }
        let rest = taken.bytes.clone();
        let whole = taken.whole();
        let handled = whole.as_ref().map(|request| self.handle(request));
        if handled.as_ref().is_some_and(|handled| handled.refused.is_some()) {
            // A request that any server would refuse is only refused.
            self.listener.give_back(turn);
            self.forget_fault();
            return Exchange { script: healthy, ..*self }.answer(connection, handled, false);
        }
        let is_tunnel = matches!(&whole, Some(request) if request.head.method == "CONNECT");
        let unread = whole.is_none();
        let connection = self.answer(connection, handled, unread)?;
        match (&self.listener.service, self.script.end) {
            (Service::Proxy(origin), _) if is_tunnel && self.script.opens_tunnels() => {
                proxy::tunnel(connection, *origin, self.script.tunnel);
                None
            }
            (_, End::ReadOn | End::ApplyLate) if unread => self.read_on(connection, rest),
            _ => Some(connection),
        }
    }

    fn forget_fault(&self) {
        self.entry.lock().fault = None;
    }

    /// Processes a complete request, and records the result.
    fn handle(&self, request: &Request) -> Handled {
        let handled = self.listener.service.handle(request, self.script.applies);
        let mut attempt = self.entry.lock();
        attempt.applied.clone_from(&handled.applied);
        attempt.applied_all = handled.all;
        attempt.refused.clone_from(&handled.refused);
        drop(attempt);
        self.listener.wake();
        handled
    }

    /// Reads a request up to this place, after the part that was read before.
    fn read(&self, connection: &mut Connection, bytes: Vec<u8>, until: At) -> Taken {
        let mut taken = Taken { bytes, head: None, wrong: None, gone: false };
        loop {
            if taken.head.is_none() {
                match Head::parse(&taken.bytes) {
                    Some(Ok(head)) => {
                        let mut attempt = self.entry.lock();
                        attempt.request_length = Some(head.whole_length());
                        attempt.method = Some(head.method.clone());
                        attempt.path = Some(head.path().to_owned());
                        drop(attempt);
                        taken.head = Some(head);
                    }
                    Some(Err(why)) => taken.wrong = Some(why),
                    None => {}
                }
            }
            let wanted = match (&taken.head, until) {
                (None, At::Byte(at)) => at,
                (None, _) => usize::MAX,
                (Some(head), At::Arrived) if connection.has_arrived() => head.whole_length(),
                (Some(head), At::Arrived) => taken.bytes.len().min(head.whole_length()),
                (Some(head), until) => {
                    let whole = head.whole_length();
                    let at = until.of(head.line_length, head.length, whole);
                    // A fault within a request must not read all of it.
                    if until == At::Whole { whole } else { at.min(whole - 1) }
                }
            };
            let reached = taken.bytes.len() >= wanted;
            if reached {
                connection.put_back(&taken.bytes.split_off(wanted));
            }
            let mut attempt = self.entry.lock();
            attempt.request_bytes = taken.bytes.len();
            attempt.whole = attempt.request_length == Some(taken.bytes.len());
            drop(attempt);
            if reached || taken.wrong.is_some() {
                return taken;
            }
            let mut most = CHUNK.min(wanted - taken.bytes.len());
            if let Some((bytes, pause)) = self.script.reads.pace {
                most = most.min(bytes);
                if !self.listener.pause(pause) {
                    taken.gone = true;
                    return taken;
                }
            }
            if !matches!(connection.read(&mut taken.bytes, most), Ok(1..)) {
                taken.gone = true;
                return taken;
            }
        }
    }

    /// Reads the rest of a request after an early response.
    fn read_on(&self, mut connection: Connection, bytes: Vec<u8>) -> Option<Connection> {
        let taken = self.read(&mut connection, bytes, At::Whole);
        let request = taken.whole()?;
        if self.script.end == End::ApplyLate {
            self.handle(&request);
        }
        Some(connection)
    }

    /// Sends the response of the script, and ends the connection if the script does.
    fn answer(&self, mut connection: Connection, handled: Option<Handled>, unread: bool) -> Option<Connection> {
        let healthy = handled.map_or_else(|| http::json_answer(200, "{}"), |handled| handled.answer);
        let parts: Vec<Part> = self.script.answer.iter().map(|part| self.resolved(part, &healthy)).collect();
        let meant: Vec<u8> = parts.iter().flat_map(Part::bytes).copied().collect();
        let (line, head, whole) = http::lengths(&meant);
        let cut = self.script.cut.map(|at| at.of(line, head, whole));
        {
            let mut attempt = self.entry.lock();
            attempt.means(&meant);
            attempt.end = self.script.tunnel.map_or(self.script.end, |cut| cut.end);
        }
        if let End::With(ending) = self.script.end {
            let _ = connection.finish(&meant[..cut.unwrap_or(meant.len())], ending, self.entry);
            return None;
        }
        let mut left = cut.unwrap_or(usize::MAX);
        for part in &parts {
            if self.say(&mut connection, part, &mut left).is_err() {
                // The client closed the connection, or the listener is being closed.
                return None;
            }
        }
        match self.script.end {
            End::Keep | End::ReadOn | End::ApplyLate => Some(connection),
            end => {
                connection.end(end, unread);
                None
            }
        }
    }

    fn resolved(&self, part: &Part, healthy: &[u8]) -> Part {
        match part {
            Part::Healthy => Part::Bytes(healthy.to_vec()),
            Part::Redirect(status) => {
                let scheme = if self.listener.tls() { "https" } else { "http" };
                let path = self.entry.lock().path.clone().unwrap_or_default();
                let location = format!("{scheme}://localhost:{}{path}", self.listener.target());
                Part::Bytes(http::answer(*status, &[("Location", &location)], ""))
            }
            part => part.clone(),
        }
    }

    fn say(&self, connection: &mut Connection, part: &Part, left: &mut usize) -> io::Result<()> {
        let closed = || io::Error::other("closed");
        match part {
            Part::Pause(pause) if self.listener.pause(*pause) => Ok(()),
            Part::Pause(_) => Err(closed()),
            Part::Forever(bytes) => {
                let many = bytes.repeat(1 + CHUNK / bytes.len().max(1));
                let start = Instant::now();
                while start.elapsed() < FOR_EVER {
                    connection.send(&many, self.entry)?;
                }
                Err(io::Error::other("the client took all of it"))
            }
            Part::Bytes(bytes) => {
                let bytes = &bytes[..bytes.len().min(*left)];
                *left -= bytes.len();
                let Some(pace) = self.script.pace else { return connection.send(bytes, self.entry) };
                bytes.chunks(1).try_for_each(|byte| {
                    if !self.listener.pause(pace) {
                        return Err(closed());
                    }
                    connection.send(byte, self.entry)
                })
            }
            Part::Await if connection.begins() => Ok(()),
            Part::Await => Err(closed()),
            Part::Healthy | Part::Redirect(_) => Ok(()),
        }
    }
}
