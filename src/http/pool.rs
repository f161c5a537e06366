//! Kept-alive connections to one server.
//!
//! The newest idle connection is used first, because the oldest is the most likely to be stale. The
//! lock is never held across a system call.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::failpoint;
use crate::platform::Readiness;

use super::connection::Connection;
use super::response::Reuse;
use super::stream::Idleness;

/// Limits of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolLimits {
    /// The most idle connections kept.
    pub(super) max_idle: usize,
    /// How long an idle connection is kept.
    pub(super) idle_timeout: Duration,
    /// How long after it was made a connection is used for another request.
    pub(super) max_age: Duration,
}

/// How long a server that closes after each response may take for that. A connection that is still
/// open then is kept.
const SETTLING: Duration = Duration::from_millis(20);

/// A server that closes a connection so soon after a response closes after each one. No server has
/// so short an idle timeout.
const SILENT_CLOSE: Duration = Duration::from_secs(1);

/// One close may be that of a server that is shutting down. The next one is a habit.
const MAX_SILENT_CLOSES: u32 = 2;

/// How long no connection is kept after the server was found to close them.
const NOT_KEEPING: Duration = Duration::from_secs(60);

/// A server that says how long it keeps a connection may count from an earlier moment than the
/// client.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

/// The idle connections of one client in one process.
pub(super) struct Pool {
    limits: PoolLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The newest is at the back.
    idle: VecDeque<Idle>,
    server: Server,
    /// How many connections the server has closed right after their only response, since it last
    /// kept one.
    silent_closes: u32,
}

/// An idle connection, and how long it is kept.
struct Idle {
    connection: Connection,
    until: Instant,
}

/// Whether the server keeps connections.
///
/// Some servers close after each response without saying so (Laravel Reverb, tinyproxy). A request
/// that is sent just before the close arrives is lost, and its delivery is unknown. So a client
/// finds out before it uses a connection again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Server {
    /// Unknown: a connection is used again only after it stayed open for `SETTLING`.
    #[default]
    Unknown,
    /// It keeps them.
    Keeps,
    /// It was found to close them, and is taken to do so until this time.
    Closes(Instant),
}

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Pool {
        Pool { limits, state: Mutex::new(State::default()) }
    }

    /// Takes an idle connection that is as good as a new one.
    pub(super) fn take(&self, deadline: Instant) -> Option<Connection> {
        loop {
            let (Idle { mut connection, until }, server) = self.newest()?;
            let now = Instant::now();
            if now >= until {
                continue;
            }
            connection.idle_time = now.saturating_duration_since(connection.last_response);
            let idleness = match server {
                Server::Keeps => connection.idleness(deadline),
                Server::Unknown | Server::Closes(_) => settled(&mut connection, deadline),
            };
            match idleness {
                Idleness::Open => {
                    if server == Server::Unknown {
                        self.lock().server = Server::Keeps;
                    }
                    return Some(connection);
                }
                Idleness::Ended => self.note_close(&connection),
                Idleness::Unusable => {}
            }
        }
    }

    /// Returns the number of idle connections that are not too old.
    pub(super) fn idle(&self) -> usize {
        let now = Instant::now();
        self.lock().idle.iter().filter(|idle| now < idle.until).count()
    }

    fn newest(&self) -> Option<(Idle, Server)> {
        let mut state = self.lock();
        let server = state.server;
        state.idle.pop_back().map(|idle| (idle, server))
    }

    /// Keeps a connection after a response, if the server and the limits allow it.
    pub(super) fn put(&self, mut connection: Connection, reuse: Reuse) {
        let stated = match reuse {
            Reuse::Never => return,
            Reuse::Unstated => None,
            Reuse::Stated(timeout) => timeout,
        };
        let now = Instant::now();
        let margin = |timeout: Duration| timeout.saturating_sub(KEEP_ALIVE_MARGIN);
        let kept = stated.map_or(self.limits.idle_timeout, |timeout| margin(timeout).min(self.limits.idle_timeout));
        let until = (now + kept).min(connection.since + self.limits.max_age);
        if until <= now || self.limits.max_idle == 0 {
            return;
        }
        connection.rest(now);
        // Connections are closed after the lock is released.
        let evicted: Vec<Idle>;
        {
            let mut state = self.lock();
            match state.server {
                Server::Closes(until) if now < until => return,
                Server::Closes(_) => state.server = Server::Unknown,
                Server::Unknown if matches!(reuse, Reuse::Stated(_)) => state.server = Server::Keeps,
                Server::Unknown | Server::Keeps => {}
            }
            if connection.responses > 1 {
                state.silent_closes = 0;
            }
            if state.idle.try_reserve(1).is_err() {
                return;
            }
            // The front has been idle for longest.
            let expired = state.idle.iter().take_while(|idle| idle.until <= now).count();
            let excess = (state.idle.len() + 1).saturating_sub(self.limits.max_idle);
            evicted = state.idle.drain(..expired.max(excess)).collect();
            state.idle.push_back(Idle { connection, until });
        }
        drop(evicted);
    }

    /// Takes note that the server closed a connection that had been idle: a request was about to be
    /// sent, or was sent and not answered.
    pub(super) fn note_close(&self, connection: &Connection) {
        if connection.responses != 1 || connection.idle_time >= SILENT_CLOSE {
            return;
        }
        let idle = {
            let mut state = self.lock();
            state.silent_closes = state.silent_closes.saturating_add(1);
            if state.silent_closes < MAX_SILENT_CLOSES {
                state.server = Server::Unknown;
                return;
            }
            state.server = Server::Closes(Instant::now() + NOT_KEEPING);
            mem::take(&mut state.idle)
        };
        drop(idle);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        failpoint::hit();
        state
    }
}

/// Returns what an idle connection is once it has been idle for `SETTLING`.
fn settled(connection: &mut Connection, deadline: Instant) -> Idleness {
    let settled_at = deadline.min(connection.last_response + SETTLING);
    loop {
        match connection.idleness(deadline) {
            // Bytes may come that are no end, such as TLS session tickets.
            Idleness::Open if connection.wait(Readiness::READ, settled_at).is_ok() => {}
            idleness => return idleness,
        }
    }
}
