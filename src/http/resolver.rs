//! Looking up host names within a deadline.
//!
//! A system look-up can't be interrupted, so it runs on a thread of its own, which is left to itself when the deadline comes
//! first. An address is no look-up and needs no thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};

use super::sys;

/// How many look-ups may run at the same time. More than one is only ever needed when a name server hangs.
const MOST: usize = 4;

/// Enough for the C library's resolver and its plug-ins.
const STACK_BYTES: usize = 512 * 1024;

/// Looks up names. One of these belongs to one client in one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolver(Arc<Slots>);

#[derive(Debug, Default)]
struct Slots {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// Why there are no addresses.
#[derive(Debug)]
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
        let slot = self.take_slot(deadline).ok_or(Unresolved::TimedOut)?;
        let (tell, answer) = mpsc::sync_channel(1);
        let name = host.to_owned();
        let look_up = move || {
            // Whoever asked may be gone by now.
            let _ = tell.send(look_up(&name, port));
            drop(slot);
        };
        let builder = thread::Builder::new().name("pusher-resolver".to_owned()).stack_size(STACK_BYTES);
        sys::without_signals(|| builder.spawn(look_up))
            .map_err(|e| Unresolved::Failed(format!("could not start a thread for the look-up ({e})")))?;
        match answer.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Unresolved::TimedOut),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(Unresolved::Failed("the look-up ended early".to_owned())),
        }
    }

    fn take_slot(&self, deadline: Instant) -> Option<Slot> {
        let mut taken = self.0.lock();
        while *taken >= MOST {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            taken = self.0.freed.wait_timeout(taken, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *taken += 1;
        Some(Slot(Arc::clone(&self.0)))
    }
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one look-up, given back when it ends.
struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.freed.notify_one();
    }
}

fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, Unresolved> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = dns_lookup::getaddrinfo(Some(name), None, Some(hints)).map_err(unresolved)?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for info in found {
        let address = info.map(|info| SocketAddr::new(info.sockaddr.ip(), port)).map_err(failed)?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(Unresolved::NoSuchHost) } else { Ok(take_turns(addresses)) }
}

fn unresolved(error: LookupError) -> Unresolved {
    match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => Unresolved::NoSuchHost,
        _ => failed(error.into()),
    }
}

fn failed(error: io::Error) -> Unresolved {
    Unresolved::Failed(error.to_string())
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
    use super::*;
    use std::time::Duration;

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
    fn a_look_up_that_finds_no_slot_ends_at_its_deadline() {
        let resolver = Resolver::default();
        let far = Instant::now() + Duration::from_secs(60);
        let slots: Vec<_> = (0..MOST).map(|_| resolver.take_slot(far).unwrap()).collect();
        let result = resolver.resolve("localhost", 80, Instant::now() + Duration::from_millis(10));
        assert!(matches!(result, Err(Unresolved::TimedOut)));
        drop(slots);
        assert!(resolver.resolve("localhost", 80, far).is_ok());
    }
}
