//! The measurements of one exchange, for the caller who wants them. Without one, the exchange reads no clock for its phases.

use std::cell::Cell;

use super::phase::Phase;
use crate::platform::nanoseconds;

/// What one exchange took. Times are in nanoseconds.
#[derive(Debug)]
pub struct Meter {
    /// When the current phase began.
    since: Cell<u64>,
    /// The place of the time of the current phase.
    current: Cell<usize>,
    /// The time of each phase. The last one is that before the first phase: the exchange takes a connection from the pool.
    times: [Cell<u64>; POOL + 1],
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

/// The place of the time before the first phase.
const POOL: usize = Phase::COUNT;

impl Meter {
    /// Returns a meter of an exchange that begins now.
    #[inline(always)]
    pub fn new() -> Meter {
        Meter::since(nanoseconds())
    }

    #[inline(always)]
    fn since(now: u64) -> Meter {
        Meter {
            since: Cell::new(now),
            current: Cell::new(POOL),
            times: Default::default(),
            entered: Cell::new(0),
            is_reused: Cell::new(None),
            sent: Cell::new(0),
            received: Cell::new(0),
            status: Cell::new(None),
        }
    }

    /// Ends the current phase and begins another.
    pub(super) fn enter(&self, phase: Phase) {
        self.stop();
        self.current.set(phase as usize);
        self.entered.set(self.entered.get() | (1 << phase as u8));
    }

    /// Ends the current phase. The time of a phase that is entered again is added.
    pub fn stop(&self) {
        self.stop_at(nanoseconds());
    }

    #[inline(always)]
    fn stop_at(&self, now: u64) {
        if let Some(time) = self.times.get(self.current.get()) {
            time.set(time.get().wrapping_add(now).wrapping_sub(self.since.replace(now)));
        }
    }

    /// Returns the time from the start to the last stop.
    pub fn duration(&self) -> u64 {
        self.times.iter().map(Cell::get).sum()
    }

    /// Returns the time that the exchange waited for a connection of the pool. `None` if the exchange was not this library's.
    pub fn pool(&self) -> Option<u64> {
        (self.entered.get() != 0).then(|| self.times[POOL].get())
    }

    /// Returns the time of a phase, if it was entered.
    pub fn time(&self, phase: Phase) -> Option<u64> {
        (self.entered.get() & (1 << phase as u8) != 0).then(|| self.times[phase as usize].get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moment_belongs_to_one_phase() {
        let start = nanoseconds();
        let meter = Meter::since(start);
        assert_eq!((meter.pool(), meter.time(Phase::Sending)), (None, None));
        meter.enter(Phase::Connecting);
        meter.enter(Phase::Sending);
        let end = nanoseconds() + 1_000_000_000;
        meter.stop_at(end);
        let times = [meter.pool(), meter.time(Phase::Connecting), meter.time(Phase::Sending)];
        assert_eq!(times.into_iter().flatten().sum::<u64>(), end - start);
        assert_eq!(meter.duration(), end - start);
        assert_eq!((meter.time(Phase::Resolving), meter.time(Phase::Reading)), (None, None));
    }
}
