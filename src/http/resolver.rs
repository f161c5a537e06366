//! Host name lookups with a deadline.
//!
//! getaddrinfo() cannot be interrupted, so it runs on a thread of its own, which is abandoned when
//! the deadline passes first. It is used because it follows the host's configuration (nsswitch,
//! hosts, mDNS), and because asynchronous resolvers such as hickory need a runtime. An IP address
//! needs no lookup and no thread.

use std::collections::TryReserveError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use socket2::{Domain, Socket, Type};

use crate::platform::{self, Cancellation};

/// The most lookups at the same time. More than one runs only while a name server hangs.
const MAX_LOOKUPS: usize = 4;

/// Enough for the C library's resolver and its plug-ins (NSS modules).
const STACK_BYTES: usize = 512 * 1024;

/// The age at which a lookup counts as hanging, so that the next caller starts another.
const HANGING_AFTER: Duration = Duration::from_secs(1);

/// How often a call that waits for a lookup looks whether it was cancelled.
const CANCELLATION_CHECK: Duration = Duration::from_millis(50);

/// Looks up one host name, for one client in one process.
///
/// Threads that need the name at the same time share a lookup: the result of any lookup that ends
/// after the call began is current.
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
    /// How many were started, and when the newest one was, if it is still running.
    started: u64,
    newest_since: Option<Instant>,
    /// How many have ended, and the result of the last one to end.
    ended: u64,
    found: Option<Result<Vec<SocketAddr>, Unresolved>>,
}

/// The reason for a lookup without addresses.
#[derive(Clone, Debug)]
pub(super) enum Unresolved {
    /// The name does not exist.
    NoSuchHost,
    /// The lookup failed; another may succeed.
    Failed(String),
    /// The deadline passed first.
    TimedOut,
    /// The call was cancelled first.
    Cancelled,
}

impl Unresolved {
    /// Returns that there is no memory for the addresses, whose number a name server decides.
    pub(super) fn no_memory() -> Unresolved {
        Unresolved::Failed(io::Error::from(io::ErrorKind::OutOfMemory).to_string())
    }
}

impl From<TryReserveError> for Unresolved {
    fn from(_: TryReserveError) -> Unresolved {
        Unresolved::no_memory()
    }
}

/// Returns a copy of what a lookup found.
fn copied(found: &Result<Vec<SocketAddr>, Unresolved>) -> Result<Vec<SocketAddr>, Unresolved> {
    let (mut copy, found) = (Vec::new(), found.as_ref().map_err(Unresolved::clone)?);
    copy.try_reserve_exact(found.len())?;
    copy.extend_from_slice(found);
    Ok(copy)
}

impl Resolver {
    /// Returns the addresses of `host`, IPv6 and IPv4 alternating (RFC 8305). The list is never
    /// empty.
    pub(super) fn resolve(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
        cancellation: Option<&Cancellation>,
    ) -> Result<Vec<SocketAddr>, Unresolved> {
        if let Ok(address) = host.parse::<IpAddr>() {
            let mut one = Vec::new();
            one.try_reserve_exact(1)?;
            one.push(SocketAddr::new(address, port));
            return Ok(one);
        }
        let mut state = self.0.lock();
        let ended = state.ended;
        loop {
            let found = state.found.as_ref().filter(|_| state.ended > ended);
            let now = Instant::now();
            match found {
                // The failure may be that of an old lookup while a newer one is still running.
                Some(found) if found.is_ok() || state.newest_since.is_none() || now >= deadline => {
                    return copied(found);
                }
                None if now >= deadline => return Err(Unresolved::TimedOut),
                _ if cancellation.is_some_and(Cancellation::has_happened) => return Err(Unresolved::Cancelled),
                _ => {}
            }
            // Do not wait for older ones that hang when the newest has ended.
            let hanging_at = state.newest_since.map(|start| start + HANGING_AFTER);
            if state.running < MAX_LOOKUPS && hanging_at.is_none_or(|at| at <= now) {
                state.running += 1;
                state.started += 1;
                state.newest_since = Some(now);
                let number = state.started;
                drop(state);
                self.start(host, port, number)?;
                state = self.0.lock();
                continue;
            }
            let until = match hanging_at {
                Some(at) if state.running < MAX_LOOKUPS => at.min(deadline),
                _ => deadline,
            };
            let wait = until.saturating_duration_since(now);
            // A signal handler cannot notify a condition variable.
            let wait = if cancellation.is_some() { wait.min(CANCELLATION_CHECK) } else { wait };
            state = self.0.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts the lookup with this number. The caller has counted it.
    fn start(&self, host: &str, port: u16, number: u64) -> Result<(), Unresolved> {
        let (ending, name) = (Ending { shared: Arc::clone(&self.0), number }, host.to_owned());
        let run = move || ending.with(look_up(&name, port));
        match platform::spawn("pusher-resolver", STACK_BYTES, run) {
            Ok(_) => Ok(()),
            Err(error) => Err(Unresolved::Failed(format!("could not start a thread for it: {error}"))),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a lookup as ended when it is dropped, also if its thread panics.
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
            state.newest_since = None;
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
        // Keep the whole address: a link-local one needs its scope. Skip entries that cannot be
        // read.
        let Ok(mut address) = info.map(|info| info.sockaddr) else { continue };
        address.set_port(port);
        if !addresses.contains(&address) {
            addresses.try_reserve(1)?;
            addresses.push(address);
        }
    }
    alternate_families(&mut addresses);
    if addresses.is_empty() { Err(Unresolved::NoSuchHost) } else { Ok(addresses) }
}

fn unresolved(error: LookupError) -> Unresolved {
    match error.kind() {
        // The C library returns the same error when it has no file descriptor or no memory to ask
        // with.
        LookupErrorKind::NoName | LookupErrorKind::NoData => match try_resources() {
            Ok(()) => Unresolved::NoSuchHost,
            Err(error) => Unresolved::Failed(error.to_string()),
        },
        _ => Unresolved::Failed(io::Error::from(error).to_string()),
    }
}

/// Tries whether a lookup finds a file descriptor and memory.
fn try_resources() -> io::Result<()> {
    /// More than glibc's resolver needs for one answer.
    const LOOKUP_BYTES: usize = 128 * 1024;
    Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    Vec::<u8>::new().try_reserve_exact(LOOKUP_BYTES).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

/// Alternates the address families, beginning with that of the first address, so that a family
/// without a route costs one attempt.
fn alternate_families(addresses: &mut [SocketAddr]) {
    for at in 1..addresses.len() {
        let wants_v6 = !addresses[at - 1].is_ipv6();
        let Some(next) = addresses[at..].iter().position(|address| address.is_ipv6() == wants_v6) else { return };
        addresses[at..=at + next].rotate_right(1);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn an_ip_address_needs_no_lookup() {
        let resolver = Resolver::default();
        let past = Instant::now();
        assert_eq!(resolver.resolve("127.0.0.1", 80, past, None).unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(resolver.resolve("::1", 80, past, None).unwrap(), ["[::1]:80".parse().unwrap()]);
    }

    #[test]
    fn address_families_alternate() {
        let parsed = |addresses: &[&str]| -> Vec<SocketAddr> { addresses.iter().map(|a| a.parse().unwrap()).collect() };
        let (a, b, c, x, y) = ("[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1");
        for (addresses, expected) in [
            (vec![a, b, c, x], vec![a, x, b, c]),
            (vec![x, y, a, b], vec![x, a, y, b]),
            (vec![a, x, y, b], vec![a, x, b, y]),
            (vec![x], vec![x]),
            (vec![], vec![]),
        ] {
            let mut addresses = parsed(&addresses);
            alternate_families(&mut addresses);
            assert_eq!(addresses, parsed(&expected));
        }
    }

    #[test]
    fn a_hanging_lookup_ends_at_the_deadline() {
        let resolver = Resolver::default();
        // The most that may run, none of which ever ends.
        *resolver.0.lock() = State { running: MAX_LOOKUPS, newest_since: Some(Instant::now()), ..State::default() };
        let result = resolver.resolve("localhost", 80, Instant::now() + Duration::from_millis(10), None);
        assert!(matches!(result, Err(Unresolved::TimedOut)));
        // One that was hanging ends after all, and the waiting thread gets its result.
        let waiting = thread::spawn({
            let resolver = resolver.clone();
            move || resolver.resolve("localhost", 80, Instant::now() + Duration::from_secs(60), None)
        });
        let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
        while !waiting.is_finished() {
            Ending { shared: Arc::clone(&resolver.0), number: 1 }.with(Ok(vec![address]));
            resolver.0.lock().running = MAX_LOOKUPS;
            thread::yield_now();
        }
        assert_eq!(waiting.join().unwrap().unwrap(), [address]);
    }

    #[test]
    fn a_finished_lookup_makes_room_for_another() {
        let resolver = Resolver::default();
        for _ in 0..2 * MAX_LOOKUPS {
            let deadline = Instant::now() + Duration::from_secs(60);
            assert!(resolver.resolve("localhost", 80, deadline, None).unwrap().iter().all(|a| a.ip().is_loopback()));
        }
    }
}
