//! A circuit breaker: after consecutive failures to reach the server, requests fail at once, until a
//! probe reaches it. Time and randomness are arguments.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::platform::PerProcess;

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitPolicy {
    /// The number of consecutive failures that open it.
    pub failures: u32,
    /// How long after the last of them a probe is sent.
    pub open: Duration,
}

impl Default for CircuitPolicy {
    fn default() -> CircuitPolicy {
        CircuitPolicy { failures: 5, open: Duration::from_secs(10) }
    }
}

/// What the end of a request says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It answered, whatever the answer was.
    Answered,
    /// There was no connection to it, or no answer.
    Failed,
    /// Nothing: the request did not come so far.
    Untried,
}

/// A change of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Requests fail at once from now on.
    Opened,
    /// The server was reached again.
    Closed,
}

/// The circuit of one client. A forked child begins with a closed one: the probe of its parent does
/// not end in it.
pub struct Circuit {
    policy: CircuitPolicy,
    process: PerProcess<Mutex<Breaker>>,
}

/// The permission to send one request. If it is dropped, the request was not tried.
pub struct Pass<'a> {
    circuit: &'a Circuit,
    probe: Option<u64>,
}

impl Circuit {
    /// Returns a closed circuit.
    pub fn new(policy: CircuitPolicy) -> Circuit {
        Circuit { policy, process: PerProcess::new() }
    }

    /// Returns until when a request would be refused, unless one would be permitted now.
    pub fn check(&self, now: Instant) -> Result<(), Instant> {
        self.lock().check(now)
    }

    /// Permits a request that ends by `deadline`, or returns until when it is refused.
    pub fn admit(&self, now: Instant, deadline: Instant) -> Result<Pass<'_>, Instant> {
        self.lock().admit(now, deadline).map(|probe| Pass { circuit: self, probe })
    }

    /// Takes note of a request that had no pass.
    pub fn note(&self, reach: Reach, now: Instant, random: u64) -> Option<Change> {
        self.lock().end(None, reach, now, random)
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        let Ok(breaker) = self.process.get_or_try_init(|| Ok::<_, Infallible>(Mutex::new(Breaker::new(self.policy))));
        breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Takes note of the end of the request. `random` is any 64 bits.
    pub fn end(mut self, reach: Reach, now: Instant, random: u64) -> Option<Change> {
        self.circuit.lock().end(self.probe.take(), reach, now, random)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe.is_some() {
            self.circuit.lock().end(self.probe, Reach::Untried, Instant::now(), 0);
        }
    }
}

/// The state of a circuit.
#[derive(Debug)]
struct Breaker {
    policy: CircuitPolicy,
    state: State,
    /// The number of probes so far.
    probes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Requests are sent. So many in a row have failed.
    Closed { failures: u32 },
    /// Requests are refused. From this moment on, one is sent as a probe.
    Open { until: Instant },
    /// The probe with this number is in flight. If it has not ended at this moment, another one is sent: a transport of
    /// the user may never return.
    Probing { probe: u64, until: Instant },
}

impl Breaker {
    fn new(policy: CircuitPolicy) -> Breaker {
        Breaker { policy, state: State::Closed { failures: 0 }, probes: 0 }
    }

    fn check(&self, now: Instant) -> Result<(), Instant> {
        match self.state {
            State::Open { until } | State::Probing { until, .. } if now < until => Err(until),
            _ => Ok(()),
        }
    }

    /// Returns the number of the probe, if the request is one.
    fn admit(&mut self, now: Instant, deadline: Instant) -> Result<Option<u64>, Instant> {
        self.check(now)?;
        if let State::Closed { .. } = self.state {
            return Ok(None);
        }
        self.probes += 1;
        self.state = State::Probing { probe: self.probes, until: deadline };
        Ok(Some(self.probes))
    }

    fn end(&mut self, probe: Option<u64>, reach: Reach, now: Instant, random: u64) -> Option<Change> {
        let is_current = matches!(self.state, State::Probing { probe: current, .. } if probe == Some(current));
        match (reach, self.state) {
            (Reach::Answered, before) => {
                self.state = State::Closed { failures: 0 };
                (!matches!(before, State::Closed { .. })).then_some(Change::Closed)
            }
            (Reach::Failed, State::Closed { failures }) if failures + 1 < self.policy.failures => {
                self.state = State::Closed { failures: failures + 1 };
                None
            }
            (Reach::Failed, State::Closed { .. }) => {
                self.open(now, random);
                Some(Change::Opened)
            }
            (Reach::Failed, _) if is_current => {
                self.open(now, random);
                None
            }
            // Another request may be the probe.
            (Reach::Untried, _) if is_current => {
                self.state = State::Open { until: now };
                None
            }
            // It was sent before the circuit opened, or is a probe that took too long.
            _ => None,
        }
    }

    /// Opens the circuit. The time is up to a tenth longer, so that clients that lost a server together do not probe it
    /// together.
    fn open(&mut self, now: Instant, random: u64) {
        let spread = u64::try_from(self.policy.open.as_nanos() / 10).unwrap_or(u64::MAX);
        let more = Duration::from_nanos(((u128::from(spread) * u128::from(random)) >> 64) as u64);
        self.state = State::Open { until: now + self.policy.open + more };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    const OPEN: Duration = Duration::from_millis(1000);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(CircuitPolicy { failures, open: OPEN })
    }

    /// A breaker that opened at `now`.
    fn opened(now: Instant) -> Breaker {
        let mut breaker = breaker(1);
        assert_eq!(breaker.end(None, Reach::Failed, now, 0), Some(Change::Opened));
        breaker
    }

    #[test]
    fn opens_after_consecutive_failures_only() {
        let now = Instant::now();
        let mut breaker = breaker(3);
        for reach in [Reach::Failed, Reach::Failed, Reach::Answered, Reach::Failed, Reach::Untried, Reach::Failed] {
            assert_eq!(breaker.end(None, reach, now, 0), None);
            assert_eq!(breaker.admit(now, now), Ok(None));
        }
        assert_eq!(breaker.end(None, Reach::Failed, now, 0), Some(Change::Opened));
        assert_eq!(breaker.admit(now, now), Err(now + OPEN));
        assert_eq!(breaker.check(now + OPEN - ms(1)), Err(now + OPEN));
    }

    #[test]
    fn one_probe_is_sent_at_a_time_and_its_end_decides() {
        let now = Instant::now();
        for (reach, change, next) in [
            (Reach::Answered, Some(Change::Closed), Ok(None)),
            (Reach::Failed, None, Err(now + ms(1100) + OPEN)),
            (Reach::Untried, None, Ok(Some(2))),
        ] {
            let mut breaker = opened(now);
            let (start, deadline) = (now + OPEN, now + ms(6000));
            assert_eq!(breaker.check(start), Ok(()));
            assert_eq!(breaker.admit(start, deadline), Ok(Some(1)));
            assert_eq!(breaker.admit(start, deadline), Err(deadline));
            assert_eq!(breaker.end(Some(1), reach, now + ms(1100), 0), change);
            assert_eq!(breaker.admit(now + ms(1100), deadline), next, "{reach:?}");
        }
    }

    #[test]
    fn a_probe_that_does_not_end_is_followed_by_another() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let deadline = now + ms(6000);
        assert_eq!(breaker.admit(now + OPEN, deadline), Ok(Some(1)));
        assert_eq!(breaker.admit(deadline, deadline + OPEN), Ok(Some(2)));
        // The first one says no more than a request that was sent before.
        assert_eq!(breaker.end(Some(1), Reach::Failed, deadline, 0), None);
        assert_eq!(breaker.end(Some(1), Reach::Untried, deadline, 0), None);
        assert_eq!(breaker.check(deadline), Err(deadline + OPEN));
        assert_eq!(breaker.end(Some(1), Reach::Answered, deadline, 0), Some(Change::Closed));
    }

    #[test]
    fn a_request_that_was_sent_before_the_circuit_opened_can_only_close_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.end(None, Reach::Failed, now + ms(500), 0), None);
        assert_eq!(breaker.check(now + ms(500)), Err(now + OPEN));
        assert_eq!(breaker.end(None, Reach::Answered, now + ms(600), 0), Some(Change::Closed));
        assert_eq!(breaker.admit(now + ms(600), now), Ok(None));
    }

    #[test]
    fn the_time_is_up_to_a_tenth_longer() {
        let now = Instant::now();
        for (random, extra) in [(0, ms(0)), (1 << 63, ms(50)), (u64::MAX, ms(100))] {
            let mut breaker = breaker(1);
            breaker.end(None, Reach::Failed, now, random);
            let until = breaker.check(now).unwrap_err();
            assert!(until <= now + OPEN + extra && until + ms(1) > now + OPEN + extra, "{random}");
        }
    }

    #[test]
    fn a_pass_that_is_dropped_lets_another_request_be_the_probe() {
        let now = Instant::now();
        let circuit = Circuit::new(CircuitPolicy { failures: 1, open: Duration::ZERO });
        assert_eq!(circuit.note(Reach::Failed, now, 0), Some(Change::Opened));
        let deadline = now + ms(60_000);
        let pass = circuit.admit(now, deadline).ok().unwrap();
        assert_eq!(circuit.admit(now, deadline).err(), Some(deadline));
        drop(pass);
        let later = Instant::now();
        let pass = circuit.admit(later, deadline).ok().unwrap();
        assert_eq!(pass.end(Reach::Answered, later, 0), Some(Change::Closed));
        assert_eq!(circuit.check(now), Ok(()));
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// A request wants to be sent.
        Admit,
        /// One of those in flight ends.
        End(usize, Reach),
        /// Time passes.
        Pass(u64),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let reach = prop_oneof![1 => Just(Reach::Answered), 4 => Just(Reach::Failed), 1 => Just(Reach::Untried)];
        let event = prop_oneof![
            3 => Just(Event::Admit),
            3 => (0..8_usize, reach).prop_map(|(which, reach)| Event::End(which, reach)),
            1 => (1..1500_u64).prop_map(Event::Pass),
        ];
        prop::collection::vec(event, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(8), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_open_circuit_has_one_probe_and_stays_open_as_long_as_it_says(
            failures in 1..5_u32, events in events(),
        ) {
            const PATIENCE: Duration = ms(700);
            let mut breaker = breaker(failures);
            let mut now = Instant::now();
            // The requests in flight, and when a probe has to end.
            let mut flying: Vec<(Option<u64>, Instant)> = Vec::new();
            let (mut in_a_row, mut refused_until, mut probing): (u32, Option<Instant>, Option<u64>) = (0, None, None);
            for event in events {
                match event {
                    Event::Pass(time) => now += ms(time),
                    Event::Admit => match breaker.admit(now, now + PATIENCE) {
                        Ok(probe) => {
                            prop_assert!(refused_until.is_none_or(|until| now >= until));
                            prop_assert_eq!(probe.is_some(), refused_until.is_some());
                            if probe.is_some() {
                                // Unless it took too long, no other one is in flight.
                                let current = |flying: &(Option<u64>, Instant)| flying.0.is_some() && flying.0 == probing;
                                prop_assert!(flying.iter().filter(|flying| current(flying)).all(|(_, until)| now >= *until));
                                (refused_until, probing) = (Some(now + PATIENCE), probe);
                            }
                            flying.push((probe, now + PATIENCE));
                        }
                        Err(until) => prop_assert_eq!(Some(until), refused_until),
                    },
                    Event::End(which, reach) if which < flying.len() => {
                        let (probe, _) = flying.remove(which);
                        let is_the_probe = probe.is_some() && probe == probing;
                        let change = breaker.end(probe, reach, now, 0);
                        match (reach, refused_until) {
                            (Reach::Answered, _) => {
                                prop_assert_eq!(change, refused_until.map(|_| Change::Closed));
                                (in_a_row, refused_until, probing) = (0, None, None);
                            }
                            (Reach::Failed, None) => {
                                in_a_row += 1;
                                prop_assert_eq!(change, (in_a_row == failures).then_some(Change::Opened));
                                refused_until = (in_a_row == failures).then_some(now + OPEN);
                            }
                            (Reach::Failed | Reach::Untried, Some(_)) => {
                                prop_assert_eq!(change, None);
                                if is_the_probe {
                                    let wait = if reach == Reach::Failed { OPEN } else { Duration::ZERO };
                                    (refused_until, probing) = (Some(now + wait), None);
                                }
                            }
                            (Reach::Untried, None) => prop_assert_eq!(change, None),
                        }
                        prop_assert_eq!(breaker.check(now).err(), refused_until.filter(|until| now < *until));
                    }
                    Event::End(..) => {}
                }
            }
        }
    }
}
