//! Looking up host names within a deadline.
//!
//! A system look-up can't be interrupted, so it runs on a thread of its own, which is left to itself when the deadline comes
//! first. An address is no look-up and needs no thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use socket2::{Domain, Socket, Type};

use crate::process;

/// How many look-ups may run at the same time. More than one is only ever needed when a name server hangs.
const MOST: usize = 4;

/// Enough for the C library's resolver and its plug-ins.
const STACK_BYTES: usize = 512 * 1024;

/// After this long a look-up may be hanging, and whoever comes then starts another.
const HANGING: Duration = Duration::from_secs(1);

/// Looks up one name. One of these belongs to one client in one process.
///
/// Those who need the name at the same time share a look-up: a look-up that ends after one has asked is as good as one's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolver(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// How many were started, and when the youngest was, if it is still running.
    started: u64,
    youngest_since: Option<Instant>,
    /// How many have ended, and what the last of them found.
    ended: u64,
    found: Option<Result<Vec<SocketAddr>, Unresolved>>,
}

/// Why there are no addresses.
#[derive(Clone, Debug)]
pub(super) enum Unresolved {
    /// There is no such name.
    NoSuchHost,
    /// The look-up failed; another may not.
    Failed(String),
    /// The deadline came first.
    TimedOut,
}

impl Resolver {
    /// The addresses of `host`, families taking turns as RFC 8305 has it. Never empty.
    pub(super) fn resolve(&self, host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Unresolved> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let mut state = self.0.lock();
        let ended = state.ended;
        loop {
            let found = state.found.clone().filter(|_| state.ended > ended);
            let now = Instant::now();
            match found {
                // A failure may be that of an old look-up, while a younger one is still running.
                Some(found) if found.is_ok() || state.youngest_since.is_none() || now >= deadline => return found,
                None if now >= deadline => return Err(Unresolved::TimedOut),
                _ => {}
            }
            // Older ones that hang are no reason to wait when the youngest has ended.
            let hanging_at = state.youngest_since.map(|start| start + HANGING);
            if state.running < MOST && hanging_at.is_none_or(|at| at <= now) {
                state.running += 1;
                state.started += 1;
                state.youngest_since = Some(now);
                let number = state.started;
                drop(state);
                self.start(host, port, number)?;
                state = self.0.lock();
                continue;
            }
            let until = match hanging_at {
                Some(at) if state.running < MOST => at.min(deadline),
                _ => deadline,
            };
            let wait = until.saturating_duration_since(now);
            state = self.0.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts the look-up with this number, which is counted already.
    fn start(&self, host: &str, port: u16, number: u64) -> Result<(), Unresolved> {
        let (ending, name) = (Ending { shared: Arc::clone(&self.0), number }, host.to_owned());
        let run = move || ending.with(look_up(&name, port));
        match process::spawn("pusher-resolver", STACK_BYTES, run) {
            Ok(_) => Ok(()),
            Err(error) => Err(Unresolved::Failed(format!("could not start a thread for the look-up ({error})"))),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look-up's end, which comes whatever becomes of its thread.
struct Ending {
    shared: Arc<Shared>,
    number: u64,
}

impl Ending {
    fn with(self, found: Result<Vec<SocketAddr>, Unresolved>) {
        let mut state = self.shared.lock();
        state.ended += 1;
        state.found = Some(found);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.running -= 1;
        if state.started == self.number {
            state.youngest_since = None;
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, Unresolved> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = dns_lookup::getaddrinfo(Some(name), None, Some(hints)).map_err(unresolved)?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for info in found {
        // With its scope, which a link-local address needs. An entry that can't be read takes nothing from the others.
        let Ok(mut address) = info.map(|info| info.sockaddr) else { continue };
        address.set_port(port);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(Unresolved::NoSuchHost) } else { Ok(take_turns(addresses)) }
}

fn unresolved(error: LookupError) -> Unresolved {
    match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => match Socket::new(Domain::IPV4, Type::DGRAM, None) {
            Ok(_) => Unresolved::NoSuchHost,
            // The C library says so, too, when it has no descriptor to ask with.
            Err(error) => Unresolved::Failed(error.to_string()),
        },
        _ => Unresolved::Failed(io::Error::from(error).to_string()),
    }
}

/// Lets address families take turns, beginning with the first one's, so that a family that leads nowhere costs one try.
fn take_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (leading, following): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut following = following.into_iter();
    let mut turns: Vec<SocketAddr> = Vec::new();
    for address in leading {
        turns.push(address);
        turns.extend(following.next());
    }
    turns.extend(following);
    turns
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn an_address_is_no_look_up() {
        let resolver = Resolver::default();
        let past = Instant::now();
        assert_eq!(resolver.resolve("127.0.0.1", 80, past).unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(resolver.resolve("::1", 80, past).unwrap(), ["[::1]:80".parse().unwrap()]);
    }

    #[test]
    fn families_take_turns() {
        let addresses = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(|a| a.parse().unwrap());
        let expected = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(|a| a.parse().unwrap());
        assert_eq!(take_turns(addresses.to_vec()), expected);
    }

    #[test]
    fn a_look_up_that_hangs_costs_the_deadline_and_no_more() {
        let resolver = Resolver::default();
        // As many as there may be, none of which ever ends.
        *resolver.0.lock() = State { running: MOST, youngest_since: Some(Instant::now()), ..State::default() };
        let result = resolver.resolve("localhost", 80, Instant::now() + Duration::from_millis(10));
        assert!(matches!(result, Err(Unresolved::TimedOut)));
        // One that was hanging ends after all, and its result serves whoever waits.
        let waiting = thread::spawn({
            let resolver = resolver.clone();
            move || resolver.resolve("localhost", 80, Instant::now() + Duration::from_secs(60))
        });
        let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
        while !waiting.is_finished() {
            Ending { shared: Arc::clone(&resolver.0), number: 1 }.with(Ok(vec![address]));
            resolver.0.lock().running = MOST;
            thread::yield_now();
        }
        assert_eq!(waiting.join().unwrap().unwrap(), [address]);
    }

    #[test]
    fn a_look_up_frees_its_place() {
        let resolver = Resolver::default();
        for _ in 0..2 * MOST {
            let deadline = Instant::now() + Duration::from_secs(60);
            assert!(resolver.resolve("localhost", 80, deadline).unwrap().iter().all(|a| a.ip().is_loopback()));
        }
    }
}
