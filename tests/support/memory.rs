//! The memory of a server that knows idempotency keys, as sockudo does: it keeps no fingerprint of bodies.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::server::{Answer, Builder, End, Received, Server};

/// The header that carries a key.
pub const KEY_HEADER: &str = "x-idempotency-key";

/// Returns the key of a request, if it has one; panics if it has several.
#[track_caller]
pub fn key_of(request: &Received) -> Option<String> {
    let keys = request.header(KEY_HEADER);
    assert!(keys.len() < 2, "{keys:?}");
    keys.into_iter().next()
}

/// What happens to a request that publishes, whose key the server does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server publishes it and responds.
    Good,
    /// It is lost before the server looks at it.
    Lost,
    /// The server publishes it, and the response is lost.
    AnswerLost,
    /// The server publishes it, and does not respond.
    Silent,
    /// A proxy responds with this status, and does not forward it.
    Before(u16),
    /// A proxy forwards it, and responds with this status.
    After(u16),
    /// The server publishes it, loses the response, and answers so many requests with this key that it is still in
    /// progress.
    InProgress(usize),
    /// The server publishes it, loses the response, and forgets all keys, as after a restart.
    Restarted,
    /// The server fails, and its claim on the key stays: it answers all others that it is in progress.
    Stuck,
}

/// A published request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its key.
    pub key: Option<String>,
    /// Its body.
    pub body: String,
}

#[derive(Clone, Copy)]
enum Claim {
    InProgress(usize),
    Done,
}

#[derive(Default)]
struct State {
    fates: VecDeque<Fate>,
    claims: HashMap<(String, String), (Claim, Instant)>,
    lifetime: Option<Duration>,
    retry_after: String,
    published: Vec<Published>,
}

/// What the server remembers.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<State>>);

impl Memory {
    /// Starts a server with a memory. The requests that publish have these fates, and then good ones.
    pub fn start(fates: impl IntoIterator<Item = Fate>) -> (Memory, Server) {
        let memory = Memory::new(fates);
        let server = memory.server().start();
        (memory, server)
    }

    /// Returns a memory alone.
    pub fn new(fates: impl IntoIterator<Item = Fate>) -> Memory {
        let fates = fates.into_iter().collect();
        Memory(Arc::new(Mutex::new(State { fates, retry_after: "0".to_owned(), ..State::default() })))
    }

    /// Returns a server that has it.
    pub fn server(&self) -> Builder {
        let memory = self.clone();
        Server::builder().answering(move |request| memory.answer(request))
    }

    /// Forgets keys after this time.
    pub fn forgetting_after(self, lifetime: Duration) -> Memory {
        self.lock().lifetime = Some(lifetime);
        self
    }

    /// Asks to wait so many seconds for a request in progress.
    pub fn retry_after(self, seconds: u32) -> Memory {
        self.lock().retry_after = seconds.to_string();
        self
    }

    /// Returns the published requests, in order.
    pub fn published(&self) -> Vec<Published> {
        self.lock().published.clone()
    }

    /// Returns the bodies of the published requests, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.published().into_iter().map(|published| published.body).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the response to a request.
    pub fn answer(&self, request: &Received) -> Answer {
        let mut state = self.lock();
        let key = key_of(request);
        let claim = key.clone().map(|key| (request.path().to_owned(), key));
        if let (Some(lifetime), Some(claim)) = (state.lifetime, &claim) {
            if state.claims.get(claim).is_some_and(|(_, since)| since.elapsed() >= lifetime) {
                state.claims.remove(claim);
            }
        }
        // A proxy does not look at keys.
        let fate = state.fates.pop_front().unwrap_or(Fate::Good);
        match fate {
            Fate::Lost => return Answer::nothing().then(End::Close),
            Fate::Before(status) => return Answer::new(status, &[], "from a proxy"),
            _ => {}
        }
        let retry_after = state.retry_after.clone();
        if let Some((known, _)) = claim.as_ref().and_then(|claim| state.claims.get_mut(claim)) {
            return match known {
                Claim::InProgress(left) => {
                    *left -= 1;
                    if *left == 0 {
                        *known = Claim::Done;
                    }
                    fate.response(Answer::new(503, &[("Retry-After", &retry_after)], r#"{"code":"backpressure"}"#))
                }
                Claim::Done => fate.response(Answer::ok(r#"{"replayed":true}"#)),
            };
        }
        let outcome = match fate {
            Fate::InProgress(times) => Claim::InProgress(times),
            Fate::Stuck => Claim::InProgress(usize::MAX),
            _ => Claim::Done,
        };
        if let Some(claim) = claim {
            state.claims.insert(claim, (outcome, Instant::now()));
        }
        if fate != Fate::Stuck {
            state.published.push(Published { key, body: request.text().to_owned() });
        }
        if fate == Fate::Restarted {
            state.claims.clear();
        }
        fate.response(if fate == Fate::Stuck { Answer::new(500, &[], "a fault") } else { Answer::ok("{}") })
    }
}

impl Fate {
    /// Returns what the client sees of the server's response.
    fn response(self, answer: Answer) -> Answer {
        match self {
            Fate::Silent => Answer::nothing(),
            Fate::AnswerLost | Fate::Restarted | Fate::InProgress(_) => Answer::nothing().then(End::Close),
            Fate::After(status) => Answer::new(status, &[], "from a proxy"),
            Fate::Good | Fate::Stuck | Fate::Lost | Fate::Before(_) => answer,
        }
    }
}
