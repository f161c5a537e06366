//! A server that sends the responses of a test, and keeps a ledger of the requests that it accepted, byte for byte.
//!
//! It accepts only what a Channels server would: complete requests with a valid signature. Any other request fails the test
//! when the server is dropped, unless the test [tolerates](Server::tolerant) it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

use super::calls::{self, Client, KEY, SECRET};
use super::ending::Ending;
use super::{PATIENCE, signature};

/// A request that was accepted.
#[derive(Clone, Debug)]
pub struct Received {
    /// The number of the connection, counted from 0.
    pub connection: usize,
    /// The request line and the headers, without the empty line at their end.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap_or_default()
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.line().split(' ').next().unwrap_or_default()
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// The path.
    pub fn path(&self) -> &str {
        signature::path_of(self.target())
    }

    /// The query.
    pub fn query(&self) -> &str {
        signature::query_of(self.target())
    }

    /// The signature.
    pub fn signature(&self) -> &str {
        signature::signature_of(self.target())
    }

    /// The headers, names in lower case.
    pub fn headers(&self) -> Vec<(String, String)> {
        let header =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        self.head.split("\r\n").skip(1).filter_map(header).collect()
    }

    /// The values of the headers with this name.
    pub fn header(&self, name: &str) -> Vec<String> {
        self.headers().into_iter().filter(|(n, _)| n == name).map(|(_, value)| value).collect()
    }

    /// Returns the size of the whole request, in bytes.
    pub fn size(&self) -> usize {
        self.head.len() + "\r\n\r\n".len() + self.body.len()
    }

    /// Returns the body as a string.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body is JSON")
    }
}

/// The response to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    reads: bool,
    steps: Vec<Step>,
    end: End,
}

#[derive(Clone, Debug)]
enum Step {
    /// Sends these.
    Bytes(Vec<u8>),
    /// Sends these one at a time, with a pause before each.
    Dribble(Vec<u8>, Duration),
    /// Sends these repeatedly until the client closes the connection.
    Endless(Vec<u8>),
    /// Waits for [`Server::release`].
    Wait,
    /// Waits this long.
    Pause(Duration),
}

/// The fate of the connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It waits for the next request.
    Keep,
    /// It is closed cleanly.
    Close,
    /// It is closed without close_notify.
    Cut,
    /// This follows in one write with the response; then it is closed. Without TLS it is closed in the segment of the response.
    With(Ending),
    /// This follows in one write with the response; then it stays open, but the server neither reads nor writes.
    HoldWith(Ending),
    /// It is reset.
    Reset,
    /// The server closes its sending direction only.
    HalfClose,
    /// It stays open, but the server neither reads nor writes.
    Hold,
}

impl Answer {
    /// Returns a response with this body, its length, and these headers.
    pub fn new(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("HTTP/1.1 {status} Because\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        Answer::raw(format!("{text}\r\n{body}"))
    }

    /// 200 with this body.
    pub fn ok(body: &str) -> Answer {
        Answer::new(200, &[("Content-Type", "application/json")], body)
    }

    /// Returns a response of these bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Answer {
        Answer { reads: true, steps: vec![Step::Bytes(bytes.into())], end: End::Keep }
    }

    /// Returns a response without any byte.
    pub fn nothing() -> Answer {
        Answer { reads: true, steps: Vec::new(), end: End::Hold }
    }

    /// Appends these bytes.
    pub fn and(mut self, bytes: impl Into<Vec<u8>>) -> Answer {
        self.steps.push(Step::Bytes(bytes.into()));
        self
    }

    /// Appends these bytes without end.
    pub fn and_endless(mut self, bytes: impl Into<Vec<u8>>) -> Answer {
        self.steps.push(Step::Endless(bytes.into()));
        self
    }

    /// Sends each byte alone, after a pause.
    pub fn dribbling(mut self, pause: Duration) -> Answer {
        let dribble = |step| if let Step::Bytes(bytes) = step { Step::Dribble(bytes, pause) } else { step };
        self.steps = self.steps.into_iter().map(dribble).collect();
        self
    }

    /// Sends each byte alone, after a pause, from this step on.
    pub fn dribbling_from(mut self, step: usize, pause: Duration) -> Answer {
        let slow = self.steps.split_off(step);
        let slow = Answer { steps: slow, ..self.clone() }.dribbling(pause);
        self.steps.extend(slow.steps);
        self
    }

    /// Waits for [`Server::release`] first.
    pub fn when_released(mut self) -> Answer {
        self.steps.insert(0, Step::Wait);
        self
    }

    /// Waits for [`Server::release`] at this point.
    pub fn and_wait(mut self) -> Answer {
        self.steps.push(Step::Wait);
        self
    }

    /// Waits this long at this point.
    pub fn and_pause(mut self, pause: Duration) -> Answer {
        self.steps.push(Step::Pause(pause));
        self
    }

    /// Sets the fate of the connection.
    pub fn then(mut self, end: End) -> Answer {
        self.end = end;
        self
    }

    /// Sends the response on connecting, before reading anything.
    pub fn without_reading(mut self) -> Answer {
        self.reads = false;
        self
    }
}

type Responder = dyn Fn(&Received) -> Answer + Send + Sync;

/// A running server. Dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    log: Mutex<Log>,
    changed: Condvar,
    responder: Option<Box<Responder>>,
    options: Options,
}

#[derive(Clone, Default)]
struct Options {
    tls: Option<Arc<ServerConfig>>,
    key: Option<String>,
    secret: Option<String>,
    stripped: String,
    tolerant: bool,
    clock_ahead: i64,
    receive_buffer: Option<usize>,
    refusing_after: Option<usize>,
}

/// The record of a server.
#[derive(Default)]
pub struct Log {
    /// The accepted requests, in order.
    pub ledger: Vec<Received>,
    /// The reasons for which it refused others.
    pub refused: Vec<String>,
    /// How many connections there were.
    pub connections: usize,
    /// The number of connections that the client closed.
    pub ended_by_client: usize,
    /// The number of connections that the server closed.
    pub ended_by_server: usize,
    /// The number of connections on which the server closed its sending direction only.
    pub half_closed: usize,
    /// The number of requests whose timestamp was outside the window.
    pub refused_for_the_clock: usize,
    /// The number of failed TLS handshakes.
    pub failed_handshakes: usize,
    /// The number of TLS sessions that were resumed.
    pub resumed: usize,
    answers: VecDeque<Answer>,
    releases: usize,
    stopping: bool,
    /// Whether the listener is to be closed, and whether it is.
    closing: bool,
    closed: bool,
    open: Vec<(usize, TcpStream)>,
    threads: Vec<JoinHandle<()>>,
}

/// The configuration of a server.
#[derive(Default)]
pub struct Builder {
    options: Options,
    responder: Option<Box<Responder>>,
}

impl Builder {
    /// Speaks TLS.
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Builder {
        self.options.tls = Some(config);
        self
    }

    /// Serves this application.
    pub fn application(mut self, key: &str, secret: &str) -> Builder {
        self.options.key = Some(key.to_owned());
        self.options.secret = Some(secret.to_owned());
        self
    }

    /// Expects a signature without this path prefix, as after a proxy that strips it.
    pub fn behind_prefix(mut self, prefix: &str) -> Builder {
        prefix.clone_into(&mut self.options.stripped);
        self
    }

    /// Allows requests that it cannot accept.
    pub fn tolerant(mut self) -> Builder {
        self.options.tolerant = true;
        self
    }

    /// Sets its clock ahead; it refuses other timestamps, and sends its `Date`.
    pub fn clock_ahead(mut self, seconds: i64) -> Builder {
        self.options.clock_ahead = seconds;
        self
    }

    /// Limits the receive buffer of the kernel to about this size.
    pub fn receive_buffer(mut self, bytes: usize) -> Builder {
        self.options.receive_buffer = Some(bytes);
        self
    }

    /// Refuses connections once it has accepted so many requests.
    pub fn refusing_after(mut self, requests: usize) -> Builder {
        self.options.refusing_after = Some(requests);
        self
    }

    /// Computes the response to each request.
    pub fn answering(mut self, responder: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Builder {
        self.responder = Some(Box::new(responder));
        self
    }

    /// Starts it on a free port.
    pub fn start(self) -> Server {
        self.start_on((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
    }

    /// Starts it on this address, if it is available.
    pub fn start_on(self, address: SocketAddr) -> io::Result<Server> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if let Some(bytes) = self.options.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(&address.into())?;
        socket.listen(64)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            address,
            log: Mutex::default(),
            changed: Condvar::new(),
            responder: self.responder,
            options: self.options,
        });
        let acceptor = Arc::clone(&shared);
        let acceptor = thread::spawn(move || acceptor.accept(listener));
        Ok(Server { shared, acceptor: Some(acceptor) })
    }
}

impl Server {
    /// Returns a builder of a server that responds with 200 and `{}`.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a server that sends these responses first, and then 200 with `{}`.
    pub fn start(answers: impl IntoIterator<Item = Answer>) -> Server {
        let server = Builder::default().start();
        answers.into_iter().for_each(|answer| server.next(answer));
        server
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.shared.address.port()
    }

    /// Returns a client of this server, with more configuration.
    #[track_caller]
    pub fn client_with(&self, more: Value) -> Client {
        Client::new(&calls::config(self.port(), more))
    }

    /// Returns a client of this server.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.client_with(json!({}))
    }

    /// Queues a response.
    pub fn next(&self, answer: Answer) {
        self.shared.change(|log| log.answers.push_back(answer));
    }

    /// Releases one response that waits.
    pub fn release(&self) {
        self.shared.change(|log| log.releases += 1);
    }

    /// Waits until `holds` is true; panics with `what` if it does not become true.
    #[track_caller]
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Log) -> bool) {
        let (log, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), PATIENCE, |log| !holds(log))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !timeout.timed_out(),
            "{what} did not happen; the ledger has {}, refused: {:?}",
            log.ledger.len(),
            log.refused
        );
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// The number of requests whose timestamp was outside the window.
    pub fn refused_for_the_clock(&self) -> usize {
        self.shared.lock().refused_for_the_clock
    }

    /// Returns the number of TLS sessions that were resumed.
    pub fn resumed(&self) -> usize {
        self.shared.lock().resumed
    }

    /// Returns the number of connections that the client closed.
    pub fn ended_by_client(&self) -> usize {
        self.shared.lock().ended_by_client
    }

    /// Returns the reasons for refused requests.
    pub fn refused(&self) -> Vec<String> {
        self.shared.lock().refused.clone()
    }

    /// Returns the accepted requests so far.
    pub fn ledger(&self) -> Vec<Received> {
        self.shared.lock().ledger.clone()
    }

    /// Returns the only accepted request; panics if there are others.
    #[track_caller]
    pub fn only(&self) -> Received {
        let ledger = self.ledger();
        assert_eq!(ledger.len(), 1, "{ledger:?}");
        ledger.into_iter().next().unwrap()
    }

    /// Returns the last accepted request.
    #[track_caller]
    pub fn last(&self) -> Received {
        self.ledger().pop().expect("a request")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let threads = self.shared.change(|log| {
            log.stopping = true;
            for (_, connection) in &log.open {
                let _ = connection.shutdown(Shutdown::Both);
            }
            std::mem::take(&mut log.threads)
        });
        self.shared.wake_acceptor();
        let ended: Vec<_> = self.acceptor.take().into_iter().chain(threads).map(JoinHandle::join).collect();
        if thread::panicking() {
            return;
        }
        assert!(ended.iter().all(Result::is_ok), "a thread of the server panicked");
        let refused = std::mem::take(&mut self.shared.lock().refused);
        assert!(self.shared.options.tolerant || refused.is_empty(), "the server could not accept: {refused:#?}");
    }
}

trait Stream: Read + Write + Send {
    /// Sends the TLS closing message, if there is TLS.
    fn say_goodbye(&mut self);

    /// Sends these bytes and this ending in one write.
    fn send_with(&mut self, bytes: &[u8], ending: Ending) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn say_goodbye(&mut self) {}

    fn send_with(&mut self, bytes: &[u8], _: Ending) -> io::Result<()> {
        // Held back until FIN.
        #[cfg(target_os = "linux")]
        let flags = libc::MSG_MORE;
        #[cfg(not(target_os = "linux"))]
        let flags = 0;
        let sent = SockRef::from(&*self).send_with_flags(bytes, flags)?;
        assert_eq!(sent, bytes.len(), "the response does not fit into the buffer");
        Ok(())
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn say_goodbye(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }

    fn send_with(&mut self, bytes: &[u8], ending: Ending) -> io::Result<()> {
        let records = ending.after(bytes, &mut self.conn)?;
        self.sock.write_all(&records)
    }
}

/// The reason for which a connection ended.
enum Done {
    ByClient,
    ByServer,
    Refused(String),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    fn accept(self: &Arc<Self>, listener: TcpListener) {
        while let Ok((connection, _)) = listener.accept() {
            let mut log = self.lock();
            if log.stopping || log.closing {
                break;
            }
            let number = log.connections;
            log.connections += 1;
            log.open.push((number, connection.try_clone().unwrap()));
            let shared = Arc::clone(self);
            log.threads.push(thread::spawn(move || shared.serve(number, connection)));
            drop(log);
            self.changed.notify_all();
        }
        drop(listener);
        self.change(|log| log.closed = true);
    }

    /// Wakes the acceptor, so that it sees that it should end.
    fn wake_acceptor(&self) {
        // The port of a closed listener may be another server's.
        if !self.lock().closed {
            let _ = TcpStream::connect(self.address);
        }
    }

    fn serve(&self, number: usize, connection: TcpStream) {
        let raw = connection.try_clone().unwrap();
        // Far longer than any test: a forgotten thread must not hang the run.
        raw.set_read_timeout(Some(PATIENCE * 3)).unwrap();
        raw.set_write_timeout(Some(PATIENCE * 3)).unwrap();
        raw.set_nodelay(true).unwrap();
        let done = self.talk(number, connection, &raw);
        // Dropping the last descriptor closes the connection: do that before waking a waiter.
        self.change(|log| log.open.retain(|(other, _)| *other != number));
        drop(raw);
        self.change(|log| match done {
            Done::ByClient => log.ended_by_client += 1,
            Done::ByServer => log.ended_by_server += 1,
            Done::Refused(_) if log.stopping => {}
            Done::Refused(why) => log.refused.push(why),
        });
    }

    fn talk(&self, number: usize, connection: TcpStream, raw: &TcpStream) -> Done {
        let unread = self.change(|log| match log.answers.front() {
            Some(answer) if !answer.reads => log.answers.pop_front(),
            _ => None,
        });
        let mut stream: Box<dyn Stream> = match &self.options.tls {
            None => Box::new(connection),
            Some(config) => {
                let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), connection);
                while stream.conn.is_handshaking() {
                    if stream.conn.complete_io(&mut stream.sock).is_err() {
                        let _ = stream.flush();
                        self.change(|log| log.failed_handshakes += 1);
                        return Done::ByClient;
                    }
                }
                if stream.conn.handshake_kind() == Some(HandshakeKind::Resumed) {
                    self.change(|log| log.resumed += 1);
                }
                Box::new(stream)
            }
        };
        if let Some(Err(done)) = unread.map(|answer| self.play(&answer, &mut *stream, raw)) {
            return done;
        }
        let mut buffer = Vec::new();
        loop {
            let received = read_request(number, &mut buffer, &mut *stream).and_then(|request| self.accepts(request));
            if let Err(done) = received.and_then(|answer| self.play(&answer, &mut *stream, raw)) {
                return done;
            }
        }
    }

    /// Records a request, if it is acceptable, and returns the response.
    fn accepts(&self, request: Received) -> Result<Answer, Done> {
        let options = &self.options;
        let key = options.key.as_deref().unwrap_or(KEY);
        let secret = options.secret.as_deref().unwrap_or(SECRET);
        let path = request.path().strip_prefix(options.stripped.as_str()).unwrap_or("(the prefix is missing)");
        let now = signature::now().saturating_add_signed(options.clock_ahead);
        let signed_at = signature::timestamp(request.query()).unwrap_or(now);
        if options.clock_ahead != 0 && signed_at.abs_diff(now) > signature::WINDOW {
            self.change(|log| log.refused_for_the_clock += 1);
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
            return Ok(Answer::new(401, &[("Date", &date)], "Timestamp expired"));
        }
        signature::verify_at(now, request.method(), path, request.query(), &request.body, key, secret)
            .map_err(|why| Done::Refused(format!("{why}: {}", request.head)))?;
        let answer = match &self.responder {
            Some(responder) => Some(responder(&request)),
            None => self.lock().answers.pop_front(),
        };
        let accepted = self.change(|log| {
            log.ledger.push(request);
            log.ledger.len()
        });
        if options.refusing_after == Some(accepted) {
            // Only Linux ends accept() by a shutdown() of its listener.
            self.change(|log| log.closing = true);
            self.wake_acceptor();
            self.wait(PATIENCE, |log| log.closed);
        }
        Ok(answer.unwrap_or_else(|| Answer::ok("{}")))
    }

    /// Sends the response, and returns an error if the connection ended.
    fn play(&self, answer: &Answer, stream: &mut dyn Stream, raw: &TcpStream) -> Result<(), Done> {
        // With an ending, the bytes are sent at the end.
        let mut held_back = None;
        if let End::With(_) | End::HoldWith(_) = answer.end {
            held_back = Some(Vec::new());
        }
        for step in &answer.steps {
            let played = match step {
                Step::Bytes(bytes) if held_back.is_some() => {
                    held_back.iter_mut().for_each(|held_back| held_back.extend_from_slice(bytes));
                    Ok(())
                }
                Step::Bytes(bytes) => stream.write_all(bytes).and_then(|()| stream.flush()),
                Step::Dribble(bytes, pause) => bytes.chunks(1).try_for_each(|byte| {
                    self.pause(*pause);
                    stream.write_all(byte).and_then(|()| stream.flush())
                }),
                Step::Endless(bytes) => {
                    // "Endless" has a limit, or a client that never stops would fill the memory.
                    let start = Instant::now();
                    let mut result = Ok(());
                    while result.is_ok() && start.elapsed() < PATIENCE {
                        result = stream.write_all(bytes);
                    }
                    result.and(Err(io::Error::other("the client took all of it")))
                }
                Step::Pause(pause) => {
                    self.pause(*pause);
                    Ok(())
                }
                Step::Wait => {
                    self.wait(PATIENCE, |log| log.releases > 0);
                    self.change(|log| log.releases = log.releases.saturating_sub(1));
                    Ok(())
                }
            };
            if played.is_err() {
                return Err(Done::ByClient);
            }
        }
        match answer.end {
            End::Keep => return Ok(()),
            End::Close => stream.say_goodbye(),
            End::Cut => {}
            End::With(ending) | End::HoldWith(ending) => {
                if stream.send_with(&held_back.unwrap_or_default(), ending).is_err() {
                    return Err(Done::ByClient);
                }
                if let End::HoldWith(_) = answer.end {
                    self.wait(PATIENCE * 3, |_| false);
                }
            }
            End::Reset => SockRef::from(raw).set_linger(Some(Duration::ZERO)).unwrap(),
            End::HalfClose => {
                stream.say_goodbye();
                let _ = raw.shutdown(Shutdown::Write);
                self.change(|log| log.half_closed += 1);
                self.wait(PATIENCE * 3, |_| false);
            }
            End::Hold => self.wait(PATIENCE * 3, |_| false),
        }
        Err(Done::ByServer)
    }

    /// Waits until `holds` is true or the server stops.
    fn wait(&self, patience: Duration, holds: impl Fn(&Log) -> bool) {
        let still = |log: &mut Log| !log.stopping && !holds(log);
        drop(self.changed.wait_timeout_while(self.lock(), patience, still));
    }

    fn pause(&self, pause: Duration) {
        self.wait(pause, |_| false);
    }
}

/// Reads a request. It must have a length, and nothing may follow it.
fn read_request(connection: usize, buffer: &mut Vec<u8>, stream: &mut dyn Stream) -> Result<Received, Done> {
    const END: &[u8] = b"\r\n\r\n";
    let mut chunk = [0; 16 * 1024];
    let mut more = |buffer: &mut Vec<u8>| match stream.read(&mut chunk) {
        // A truncated request is no fault: the client may have closed the connection.
        Ok(0) | Err(_) => Err(Done::ByClient),
        Ok(count) => {
            buffer.extend_from_slice(&chunk[..count]);
            Ok(())
        }
    };
    let head_end = loop {
        match buffer.windows(END.len()).position(|window| window == END) {
            Some(at) => break at,
            None => more(buffer)?,
        }
    };
    let head = String::from_utf8(buffer[..head_end].to_vec())
        .map_err(|_| Done::Refused("a head that is not UTF-8".to_owned()))?;
    let mut request = Received { connection, head, body: Vec::new() };
    let wrong = |why: &str| Err(Done::Refused(format!("{why}: {}", request.head)));
    if !request.line().ends_with(" HTTP/1.1") || request.line().matches(' ').count() != 2 {
        return wrong("not a request line");
    }
    if request.header("host").len() != 1 || !request.header("transfer-encoding").is_empty() {
        return wrong("not one Host, or a Transfer-Encoding");
    }
    let length = match (request.method(), request.header("content-length").as_slice()) {
        // A request without a body has no Content-Length: some servers take "0" for a body.
        ("GET" | "DELETE", []) => Some(0),
        ("POST", [length]) => length.parse::<usize>().ok(),
        _ => None,
    };
    let Some(length) = length else { return wrong("not one Content-Length on a POST, or one on a GET or DELETE") };
    let whole = head_end + END.len() + length;
    while buffer.len() < whole {
        more(buffer)?;
    }
    request.body = buffer.drain(..whole).skip(head_end + END.len()).collect();
    if buffer.is_empty() { Ok(request) } else { wrong("something after the body") }
}
