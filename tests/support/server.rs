//! A server that answers as it is told, and keeps a ledger of what it accepted, byte for byte.
//!
//! It accepts only what a Channels server would: whole requests with a right signature. What it would not accept fails the
//! test when the server goes, unless the test [tolerates](Server::tolerant) it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

use super::calls::{self, Client, KEY, SECRET};
use super::{PATIENCE, signature};

/// A request that was accepted.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// The request line and the headers as they came, without the empty line at their end.
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
        self.target().split('?').next().unwrap_or_default()
    }

    /// The query.
    pub fn query(&self) -> &str {
        self.target().split_once('?').map_or("", |(_, query)| query)
    }

    /// The signature.
    pub fn signature(&self) -> &str {
        self.query().split("auth_signature=").nth(1).unwrap_or_default()
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

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body is JSON")
    }
}

/// What to do with one request.
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
    /// Sends these one at a time, with this much time before each.
    Dribble(Vec<u8>, Duration),
    /// Sends these again and again until the client has enough.
    Endless(Vec<u8>),
    /// Waits for [`Server::release`].
    Wait,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It waits for the next request.
    Keep,
    /// It is closed as the protocol has it.
    Close,
    /// It ends without TLS having said so.
    Cut,
    /// It is reset.
    Reset,
    /// The server has nothing more to say, but does not go.
    HalfClose,
    /// It stays open, and nothing more is read or written.
    Hold,
}

impl Answer {
    /// An answer with this body, its length, and these headers besides.
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

    /// These very bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Answer {
        Answer { reads: true, steps: vec![Step::Bytes(bytes.into())], end: End::Keep }
    }

    /// No byte.
    pub fn nothing() -> Answer {
        Answer { reads: true, steps: Vec::new(), end: End::Hold }
    }

    /// These bytes after what there is.
    pub fn and(mut self, bytes: impl Into<Vec<u8>>) -> Answer {
        self.steps.push(Step::Bytes(bytes.into()));
        self
    }

    /// These bytes after what there is, for ever.
    pub fn and_endless(mut self, bytes: impl Into<Vec<u8>>) -> Answer {
        self.steps.push(Step::Endless(bytes.into()));
        self
    }

    /// Every byte by itself, and that slowly.
    pub fn dribbling(mut self, pause: Duration) -> Answer {
        let dribble = |step| if let Step::Bytes(bytes) = step { Step::Dribble(bytes, pause) } else { step };
        self.steps = self.steps.into_iter().map(dribble).collect();
        self
    }

    /// Every byte from the step with this number on by itself, and that slowly.
    pub fn dribbling_from(mut self, step: usize, pause: Duration) -> Answer {
        let slow = self.steps.split_off(step);
        let slow = Answer { steps: slow, ..self.clone() }.dribbling(pause);
        self.steps.extend(slow.steps);
        self
    }

    /// Not before [`Server::release`] says so.
    pub fn when_released(mut self) -> Answer {
        self.steps.insert(0, Step::Wait);
        self
    }

    /// Waits for [`Server::release`] after what there is.
    pub fn and_wait(mut self) -> Answer {
        self.steps.push(Step::Wait);
        self
    }

    /// What comes after it.
    pub fn then(mut self, end: End) -> Answer {
        self.end = end;
        self
    }

    /// As soon as somebody connects, before anything is read.
    pub fn without_reading(mut self) -> Answer {
        self.reads = false;
        self
    }
}

type Responder = dyn Fn(&Received) -> Answer + Send + Sync;

/// Where it listens, and what it has seen. Dropping it ends it.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
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
}

/// What has happened at a server so far.
#[derive(Default)]
pub struct Log {
    /// What it accepted, in order.
    pub ledger: Vec<Received>,
    /// Why it did not accept the rest.
    pub refused: Vec<String>,
    /// How many connections there were.
    pub connections: usize,
    /// How many the client ended.
    pub ended_by_client: usize,
    /// How many the server ended.
    pub ended_by_server: usize,
    /// How many the server has said its last word on, without ending them.
    pub half_closed: usize,
    /// How many requests were signed at another time than the server's.
    pub refused_for_the_clock: usize,
    /// How many TLS handshakes did not come about.
    pub failed_handshakes: usize,
    answers: VecDeque<Answer>,
    releases: usize,
    stopping: bool,
    open: Vec<(usize, TcpStream)>,
    threads: Vec<JoinHandle<()>>,
}

/// A server yet to be started.
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

    /// Knows another application.
    pub fn application(mut self, key: &str, secret: &str) -> Builder {
        self.options.key = Some(key.to_owned());
        self.options.secret = Some(secret.to_owned());
        self
    }

    /// Stands behind a proxy that takes this off the path, so that it is not signed.
    pub fn behind_prefix(mut self, prefix: &str) -> Builder {
        prefix.clone_into(&mut self.options.stripped);
        self
    }

    /// Does not mind requests that it can't accept.
    pub fn tolerant(mut self) -> Builder {
        self.options.tolerant = true;
        self
    }

    /// Has a clock of its own, and refuses with its `Date` what was signed at another time.
    pub fn clock_ahead(mut self, seconds: i64) -> Builder {
        self.options.clock_ahead = seconds;
        self
    }

    /// Takes no more than about this many bytes that it does not read.
    pub fn receive_buffer(mut self, bytes: usize) -> Builder {
        self.options.receive_buffer = Some(bytes);
        self
    }

    /// Answers each request as this says.
    pub fn answering(mut self, responder: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Builder {
        self.responder = Some(Box::new(responder));
        self
    }

    /// Starts it on a free port.
    pub fn start(self) -> Server {
        self.start_on((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
    }

    /// Starts it on this address, if it can be had.
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
            log: Mutex::default(),
            changed: Condvar::new(),
            responder: self.responder,
            options: self.options,
        });
        let acceptor = Arc::clone(&shared);
        let acceptor = thread::spawn(move || acceptor.accept(&listener));
        Ok(Server { address, shared, acceptor: Some(acceptor) })
    }
}

impl Server {
    /// One that can be told what to do besides answering 200 with `{}`.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// One that answers the first requests with these, and then 200 with `{}`.
    pub fn start(answers: impl IntoIterator<Item = Answer>) -> Server {
        let server = Builder::default().start();
        answers.into_iter().for_each(|answer| server.next(answer));
        server
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A client of it, with more configuration.
    #[track_caller]
    pub fn client_with(&self, more: Value) -> Client {
        Client::new(&calls::config(self.port(), more))
    }

    /// A client of it.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.client_with(json!({}))
    }

    /// Says what to do next, after all that has been said so far.
    pub fn next(&self, answer: Answer) {
        self.shared.change(|log| log.answers.push_back(answer));
    }

    /// Lets one answer go on that waits for it.
    pub fn release(&self) {
        self.shared.change(|log| log.releases += 1);
    }

    /// Waits until this holds, or says what did not.
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

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// How many requests were signed at another time than the server's.
    pub fn refused_for_the_clock(&self) -> usize {
        self.shared.lock().refused_for_the_clock
    }

    /// How many of them the client ended.
    pub fn ended_by_client(&self) -> usize {
        self.shared.lock().ended_by_client
    }

    /// Why it did not accept what it did not accept.
    pub fn refused(&self) -> Vec<String> {
        self.shared.lock().refused.clone()
    }

    /// What it accepted so far.
    pub fn ledger(&self) -> Vec<Received> {
        self.shared.lock().ledger.clone()
    }

    /// The one request that it accepted.
    #[track_caller]
    pub fn only(&self) -> Received {
        let ledger = self.ledger();
        assert_eq!(ledger.len(), 1, "{ledger:?}");
        ledger.into_iter().next().unwrap()
    }

    /// The request that it accepted last.
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
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
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
    /// Tells the peer that nothing more comes.
    fn say_goodbye(&mut self);
}

impl Stream for TcpStream {
    fn say_goodbye(&mut self) {}
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn say_goodbye(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

/// Why a connection is done with.
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

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((connection, _)) = listener.accept() {
            let mut log = self.lock();
            if log.stopping {
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
    }

    fn serve(&self, number: usize, connection: TcpStream) {
        let raw = connection.try_clone().unwrap();
        // Far longer than any test: a thread that nobody ends must not hang the run.
        raw.set_read_timeout(Some(PATIENCE * 3)).unwrap();
        raw.set_write_timeout(Some(PATIENCE * 3)).unwrap();
        raw.set_nodelay(true).unwrap();
        let done = self.talk(number, connection, &raw);
        // With its last descriptor it closes, and whoever waits for that must not wake before.
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

    /// Writes a request down, if it is acceptable, and says what to answer.
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
        self.change(|log| log.ledger.push(request));
        Ok(answer.unwrap_or_else(|| Answer::ok("{}")))
    }

    /// Answers, and says if the connection is done with.
    fn play(&self, answer: &Answer, stream: &mut dyn Stream, raw: &TcpStream) -> Result<(), Done> {
        for step in &answer.steps {
            let played = match step {
                Step::Bytes(bytes) => stream.write_all(bytes).and_then(|()| stream.flush()),
                Step::Dribble(bytes, pause) => bytes.chunks(1).try_for_each(|byte| {
                    self.pause(*pause);
                    stream.write_all(byte).and_then(|()| stream.flush())
                }),
                Step::Endless(bytes) => {
                    // "For ever" has an end, or a client that never has enough would fill a disk with its core file.
                    let start = Instant::now();
                    let mut result = Ok(());
                    while result.is_ok() && start.elapsed() < PATIENCE {
                        result = stream.write_all(bytes);
                    }
                    result.and(Err(io::Error::other("the client took all of it")))
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

    /// Waits until this holds or the server stops.
    fn wait(&self, patience: Duration, holds: impl Fn(&Log) -> bool) {
        let still = |log: &mut Log| !log.stopping && !holds(log);
        drop(self.changed.wait_timeout_while(self.lock(), patience, still));
    }

    fn pause(&self, pause: Duration) {
        self.wait(pause, |_| false);
    }
}

/// Reads a request. It has to have a length, and nothing may come after it.
fn read_request(connection: usize, buffer: &mut Vec<u8>, stream: &mut dyn Stream) -> Result<Received, Done> {
    const END: &[u8] = b"\r\n\r\n";
    let mut chunk = [0; 16 * 1024];
    let mut more = |buffer: &mut Vec<u8>| match stream.read(&mut chunk) {
        // An end within a request is no fault of the client's: it may have given up.
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
        // What has no body says nothing of its length: some servers read "0" there as a body.
        ("GET", []) => Some(0),
        ("POST", [length]) => length.parse::<usize>().ok(),
        _ => None,
    };
    let Some(length) = length else { return wrong("not one Content-Length on a POST, or one on a GET") };
    let whole = head_end + END.len() + length;
    while buffer.len() < whole {
        more(buffer)?;
    }
    request.body = buffer.drain(..whole).skip(head_end + END.len()).collect();
    if buffer.is_empty() { Ok(request) } else { wrong("something after the body") }
}
