//! Listeners: each has an order, which says what fails and when, and its own ledger.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::catalogue::Fault;
use super::channels::{APP_ID, Channels, Handled, KEY, SECRET};
use super::http::Request;
use super::ledger::{Entry, Ledger};
use super::script::{Applies, Opening, Script};
use super::tls::Authorities;
use super::{exchange, http, proxy};

/// The size of a "small" window. The kernel doubles it.
const SMALL_WINDOW: usize = 4 * 1024;

/// The length of the queue of connections.
const BACKLOG: i32 = 1024;

/// The order of a listener.
#[derive(Clone)]
pub struct Order {
    /// The faults: none, one, or several to draw from.
    pub faults: Vec<(&'static Fault, Arc<Script>)>,
    /// How to draw from several.
    pub draw: Option<Draw>,
    /// Whether it speaks TLS; for a proxy, whether the server that it forwards to does.
    pub tls: bool,
    /// The number of complete requests that succeed first.
    pub warm: u64,
    /// The number of attempts that then fail. `None` is all.
    pub times: Option<u64>,
    /// Whether it verifies signatures.
    pub verifies: bool,
}

impl Order {
    /// Without faults.
    pub fn healthy() -> Order {
        Order { faults: Vec::new(), draw: None, tls: false, warm: 0, times: None, verifies: true }
    }
}

/// Random choices, from a seed.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// The state of the generator.
    pub seed: u64,
    /// One attempt in this many fails.
    pub one_in: u64,
}

impl Draw {
    /// Returns the next number. (splitmix64)
    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The next behaviour.
pub enum Turn {
    /// No fault. `warm` if it counts as one of the first requests.
    Healthy { warm: bool },
    /// This fault.
    Struck(&'static Fault, Arc<Script>),
}

/// The server of a listener.
pub enum Service {
    /// A Channels server.
    Channels(Channels),
    /// A server that accepts everything: the target of redirects.
    Anything(Channels),
    /// A proxy before the healthy server at this port.
    Proxy(u16),
}

impl Service {
    /// Processes a complete request.
    pub fn handle(&self, request: &Request, applies: Applies) -> Handled {
        match self {
            Service::Channels(channels) => channels.handle(request, applies),
            Service::Anything(channels) => {
                Handled { answer: http::json_answer(200, "{}"), refused: None, ..channels.handle(request, applies) }
            }
            Service::Proxy(origin) => proxy::handle(*origin, request, applies),
        }
    }
}

/// Counters of all that happened.
#[derive(Default)]
pub struct Totals {
    listeners: AtomicU64,
    connections: AtomicU64,
    attempts: AtomicU64,
    struck: AtomicU64,
}

/// All listeners.
pub struct World {
    authorities: Arc<Authorities>,
    totals: Arc<Totals>,
    open: Mutex<HashMap<u16, Arc<Listener>>>,
}

impl World {
    /// Without any.
    pub fn new(authorities: Arc<Authorities>) -> World {
        World { authorities, totals: Arc::default(), open: Mutex::default() }
    }

    /// Opens a listener, and the healthy server that it leads to, if any.
    pub fn listen(&self, order: Order) -> io::Result<Value> {
        let is_proxy = order.faults.iter().any(|(fault, _)| fault.proxy);
        let redirects = order.faults.iter().any(|(_, script)| script.redirects());
        let clock = order.faults.iter().map(|(_, script)| script.clock).find(|clock| *clock != 0).unwrap_or(0);
        let channels = Channels::new(order.verifies, clock);
        let healthy = Order { faults: Vec::new(), draw: None, warm: 0, ..order.clone() };
        let mut answer = json!({});
        let mut beside = None;
        let mut service = Service::Channels(channels.clone());
        let tls = order.tls;
        let mut order = order;
        if is_proxy {
            let origin = self.start(healthy, Service::Channels(channels), None)?;
            answer["origin"] = json!(origin);
            service = Service::Proxy(origin);
            beside = Some(origin);
            // The connection to the proxy itself never uses TLS.
            order.tls = false;
        } else if redirects {
            let target = self.start(healthy, Service::Anything(channels), None)?;
            answer["target"] = json!(target);
            beside = Some(target);
        }
        let port = self.start(order, service, beside)?;
        answer["port"] = json!(port);
        let proxy = beside.filter(|_| is_proxy).map(|_| port);
        let (host, port) = (if tls { "localhost" } else { "127.0.0.1" }, beside.filter(|_| is_proxy).unwrap_or(port));
        let scheme = if tls { "https" } else { "http" };
        let secret = http::percent_encoded(SECRET);
        answer["url"] = json!(format!("{scheme}://{KEY}:{secret}@{host}:{port}/apps/{APP_ID}"));
        let mut config =
            json!({"app_id": APP_ID, "key": KEY, "secret": SECRET, "host": host, "port": port, "ssl": tls});
        if tls {
            config["ca_file"] = json!(self.authorities.file());
        }
        if let Some(proxy) = proxy {
            config["proxy"] = json!(format!("http://127.0.0.1:{proxy}"));
        }
        answer["config"] = config;
        Ok(answer)
    }

    fn start(&self, order: Order, service: Service, beside: Option<u16>) -> io::Result<u16> {
        let listener =
            Listener::start(order, service, beside, Arc::clone(&self.authorities), Arc::clone(&self.totals))?;
        self.totals.listeners.fetch_add(1, Ordering::Relaxed);
        let port = listener.port;
        self.lock().insert(port, listener);
        Ok(port)
    }

    /// Gives a listener a new order. Returns false if there is no such listener. Its TLS and verification do not change.
    pub fn rearm(&self, port: u16, order: Order) -> bool {
        let Some(listener) = self.lock().get(&port).cloned() else { return false };
        let mut state = listener.lock();
        let (tls, verifies) = (state.order.tls, state.order.verifies);
        state.order = Order { tls, verifies, ..order };
        true
    }

    /// Returns the ledger of a listener.
    pub fn ledger(&self, port: u16, from: usize) -> Option<Value> {
        let (listener, beside) = {
            let open = self.lock();
            let listener = Arc::clone(open.get(&port)?);
            let beside = listener.beside.and_then(|port| open.get(&port)).cloned();
            (listener, beside)
        };
        let mut ledger = json!({
            "connections": listener.lock().connections,
            "attempts": listener.ledger.to_json(from),
        });
        if let (Some(target), false) = (beside, matches!(listener.service, Service::Proxy(_))) {
            ledger["followed"] = json!(target.ledger.len());
        }
        Some(ledger)
    }

    /// Returns what was published on a listener, or through a proxy, once there are `count` events or at the deadline.
    pub fn record(&self, port: u16, count: usize, deadline: Instant) -> Option<Value> {
        let listener = self.publisher(port)?;
        Some(listener.ledger.record(count, deadline))
    }

    /// Forgets what was published on a listener, or through a proxy. Returns false if there is no such listener.
    pub fn clear(&self, port: u16) -> bool {
        let Some(listener) = self.publisher(port) else { return false };
        listener.ledger.clear();
        true
    }

    /// Returns the listener that publishes: for a proxy, the server after it.
    fn publisher(&self, port: u16) -> Option<Arc<Listener>> {
        let open = self.lock();
        let listener = open.get(&port)?;
        let beside = listener.beside.filter(|_| matches!(listener.service, Service::Proxy(_)));
        beside.and_then(|port| open.get(&port)).or(Some(listener)).cloned()
    }

    /// Closes a listener, its connections and the server that it led to. Returns false if there is no such listener.
    pub fn close(&self, port: u16) -> bool {
        let Some(listener) = self.lock().remove(&port) else { return false };
        if let Some(beside) = listener.beside {
            self.close(beside);
        }
        listener.stop();
        true
    }

    /// Returns the counters.
    pub fn totals(&self) -> Value {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "listeners": count(&self.totals.listeners),
            "open": self.lock().len(),
            "connections": count(&self.totals.connections),
            "attempts": count(&self.totals.attempts),
            "struck": count(&self.totals.struck),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u16, Arc<Listener>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One port.
pub struct Listener {
    port: u16,
    /// The server.
    pub service: Service,
    /// The healthy server that was opened with it.
    beside: Option<u16>,
    /// The authority that signs its certificates.
    pub authorities: Arc<Authorities>,
    totals: Arc<Totals>,
    ledger: Ledger,
    state: Mutex<State>,
    stopped: Condvar,
}

struct State {
    order: Order,
    connections: usize,
    open: HashMap<usize, Weak<TcpStream>>,
    stopping: bool,
    /// The reason for which a port does not respond.
    blocked: Vec<Socket>,
}

impl Listener {
    fn start(
        order: Order,
        service: Service,
        beside: Option<u16>,
        authorities: Arc<Authorities>,
        totals: Arc<Totals>,
    ) -> io::Result<Arc<Listener>> {
        let opening = order.faults.first().map_or(Opening::Proper, |(_, script)| script.opening.clone());
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if order.faults.iter().any(|(_, script)| script.reads.small_window) {
            socket.set_recv_buffer_size(SMALL_WINDOW)?;
        }
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?;
        let mut blocked = Vec::new();
        let listening = match opening {
            Opening::Refused => {
                blocked.push(socket);
                None
            }
            Opening::BlackHole => {
                socket.listen(0)?;
                blocked.push(socket);
                // Enough connections that at least the last one gets no response.
                for _ in 0..4 {
                    let filler = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                    filler.set_nonblocking(true)?;
                    let _ = filler.connect(&address);
                    blocked.push(filler);
                }
                None
            }
            _ => {
                socket.listen(BACKLOG)?;
                Some(TcpListener::from(socket))
            }
        };
        let port = address.as_socket().map_or(0, |address| address.port());
        let state = State { order, connections: 0, open: HashMap::new(), stopping: false, blocked };
        let listener = Arc::new(Listener {
            port,
            service,
            beside,
            authorities,
            totals,
            ledger: Ledger::default(),
            state: Mutex::new(state),
            stopped: Condvar::new(),
        });
        if let Some(listening) = listening {
            let acceptor = Arc::clone(&listener);
            thread::Builder::new().spawn(move || acceptor.accept(&listening))?;
        }
        Ok(listener)
    }

    fn accept(self: Arc<Self>, listening: &TcpListener) {
        for socket in listening.incoming() {
            let (number, socket) = {
                let mut state = self.lock();
                if state.stopping {
                    return;
                }
                let Ok(socket) = socket.map(Arc::new) else { continue };
                let number = state.connections;
                state.connections += 1;
                state.open.insert(number, Arc::downgrade(&socket));
                (number, socket)
            };
            self.totals.connections.fetch_add(1, Ordering::Relaxed);
            let _ = socket.set_nodelay(true);
            // Here and not on its thread: faults are assigned in the order of the connections.
            let turn = self.connection_turn();
            let this = Arc::clone(&self);
            let served = thread::Builder::new().spawn(move || {
                exchange::serve(&this, number, socket, &turn);
                this.lock().open.remove(&number);
            });
            if let Err(error) = served {
                eprintln!("fault-server: no thread for a connection: {error}");
            }
        }
    }

    fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        state.blocked.clear();
        let open: Vec<Arc<TcpStream>> = state.open.values().filter_map(Weak::upgrade).collect();
        drop(state);
        self.stopped.notify_all();
        for socket in open {
            let _ = socket.shutdown(Shutdown::Both);
        }
        // Wakes the accepting thread.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }

    /// Returns whether it speaks TLS.
    pub fn tls(&self) -> bool {
        self.lock().order.tls
    }

    /// Returns the fault of a new connection.
    fn connection_turn(&self) -> Turn {
        self.turn(true)
    }

    /// Returns the fault of the request that has begun.
    pub fn request_turn(&self) -> Turn {
        self.turn(false)
    }

    fn turn(&self, connection: bool) -> Turn {
        let order = &mut self.lock().order;
        if order.warm > 0 {
            // Count it at the start, or two connections could both take the last one.
            if !connection {
                order.warm -= 1;
            }
            return Turn::Healthy { warm: !connection };
        }
        let fits = |(_, script): &&(&'static Fault, Arc<Script>)| script.strikes_connections() == connection;
        let fitting = order.faults.iter().filter(fits).count() as u64;
        if fitting == 0 || order.times == Some(0) {
            return Turn::Healthy { warm: false };
        }
        let index = match &mut order.draw {
            None => 0,
            Some(draw) => {
                if draw.next() % draw.one_in != 0 {
                    return Turn::Healthy { warm: false };
                }
                draw.next() % fitting
            }
        };
        let Some((fault, script)) = order.faults.iter().filter(fits).nth(index as usize).cloned() else {
            return Turn::Healthy { warm: false };
        };
        order.times = order.times.map(|times| times - 1);
        self.totals.struck.fetch_add(1, Ordering::Relaxed);
        Turn::Struck(fault, script)
    }

    /// Gives back a fault that was not used.
    pub fn give_back(&self, turn: &Turn) {
        let order = &mut self.lock().order;
        match turn {
            Turn::Healthy { warm } => order.warm += u64::from(*warm),
            Turn::Struck(..) => {
                order.times = order.times.map(|times| times + 1);
                self.totals.struck.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Records the start of an attempt.
    pub fn begin(&self, connection: usize, number: usize, fault: Option<&str>) -> Entry {
        self.totals.attempts.fetch_add(1, Ordering::Relaxed);
        self.ledger.begin(connection, number, fault)
    }

    /// Wakes those who wait for events.
    pub fn wake(&self) {
        self.ledger.wake();
    }

    /// Returns the URL of its redirects.
    pub fn target(&self) -> u16 {
        self.beside.unwrap_or(self.port)
    }

    /// Waits this long. Returns false if the listener is closed first.
    pub fn pause(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        let mut state = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if state.stopping || left.is_zero() {
                return !state.stopping;
            }
            (state, _) = self.stopped.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
