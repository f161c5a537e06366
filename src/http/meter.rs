//! The measurements of one exchange, for the caller who wants them. Without one, the exchange reads no clock for its phases.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::phase::Phase;

/// What one exchange took.
#[derive(Debug)]
pub struct Meter {
    /// When the current phase began.
    since: Cell<Instant>,
    /// The current phase. Before the first one the exchange takes a connection from the pool.
    phase: Cell<Option<Phase>>,
    pool: Cell<Duration>,
    /// The time of each phase.
    phases: [Cell<Duration>; Phase::COUNT],
    /// The phases that were entered, one bit each.
    entered: Cell<u8>,
    /// Whether the connection had been used before. `None` if there was none.
    pub is_reused: Cell<Option<bool>>,
    /// The bytes of the request that were sent, without those of TLS.
    pub sent: Cell<usize>,
    /// The bytes of the response that were read, without those of TLS.
    pub received: Cell<usize>,
    /// The status of the response.
    pub status: Cell<Option<u16>>,
}

impl Meter {
    /// Returns a meter of an exchange that begins at `now`.
    pub fn new(now: Instant) -> Meter {
        Meter {
            since: Cell::new(now),
            phase: Cell::new(None),
            pool: Cell::new(Duration::ZERO),
            phases: Default::default(),
            entered: Cell::new(0),
            is_reused: Cell::new(None),
            sent: Cell::new(0),
            received: Cell::new(0),
            status: Cell::new(None),
        }
    }

    /// Ends the current phase and begins another.
    pub(super) fn enter(&self, phase: Phase) {
        self.stop(Instant::now());
        self.phase.set(Some(phase));
        self.entered.set(self.entered.get() | (1 << phase as u8));
    }

    /// Ends the current phase. The time of a phase that is entered again is added.
    pub fn stop(&self, now: Instant) {
        let place = match self.phase.get() {
            Some(phase) => &self.phases[phase as usize],
            None => &self.pool,
        };
        place.set(place.get() + now.saturating_duration_since(self.since.replace(now)));
    }

    /// Returns the time from the start to the last stop.
    pub fn duration(&self) -> Duration {
        // Cheaper than the difference of two instants.
        self.phases.iter().map(Cell::get).fold(self.pool.get(), |sum, time| sum + time)
    }

    /// Returns the time that the exchange waited for a connection of the pool. `None` if the exchange was not this library's.
    pub fn pool(&self) -> Option<Duration> {
        (self.entered.get() != 0).then(|| self.pool.get())
    }

    /// Returns the time of a phase, if it was entered.
    pub fn time(&self, phase: Phase) -> Option<Duration> {
        (self.entered.get() & (1 << phase as u8) != 0).then(|| self.phases[phase as usize].get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moment_belongs_to_one_phase() {
        let start = Instant::now();
        let meter = Meter::new(start);
        assert_eq!((meter.pool(), meter.time(Phase::Sending)), (None, None));
        meter.enter(Phase::Connecting);
        meter.enter(Phase::Sending);
        let end = Instant::now() + Duration::from_secs(1);
        meter.stop(end);
        let times = [meter.pool(), meter.time(Phase::Connecting), meter.time(Phase::Sending)];
        assert_eq!(times.into_iter().flatten().sum::<Duration>(), end - start);
        assert_eq!(meter.duration(), end - start);
        assert_eq!((meter.time(Phase::Resolving), meter.time(Phase::Reading)), (None, None));
    }
}
