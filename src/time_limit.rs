//! The time limit of work whose size a caller or a server decides. This module uses no other.

#[cfg(test)]
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// The amount of work between two looks at the clock. Less work never looks.
pub const PIECE_BYTES: usize = 256 * 1024;

/// The time limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeIsUp;

/// A moment at which work has to stop.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimit {
    end: Option<Instant>,
    /// How many looks at the clock come before the end, in a test.
    #[cfg(test)]
    looks: Option<&'static AtomicU32>,
}

impl TimeLimit {
    /// No limit.
    pub const NONE: TimeLimit = TimeLimit {
        end: None,
        #[cfg(test)]
        looks: None,
    };

    /// Returns the limit that is reached at `end`.
    pub const fn until(end: Instant) -> TimeLimit {
        TimeLimit {
            end: Some(end),
            #[cfg(test)]
            looks: None,
        }
    }

    /// Looks at the clock.
    pub fn check(self) -> Result<(), TimeIsUp> {
        #[cfg(test)]
        if let Some(left) = self.looks {
            let look = |left: u32| left.checked_sub(1);
            return left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, look).map(drop).map_err(|_| TimeIsUp);
        }
        match self.end {
            Some(end) if Instant::now() >= end => Err(TimeIsUp),
            _ => Ok(()),
        }
    }

    /// Returns whether it pays to do work of this size in pieces.
    pub fn concerns(self, bytes: usize) -> bool {
        self.end.is_some() && bytes > PIECE_BYTES
    }

    /// Splits work into pieces, and looks at the clock before each but the first.
    pub fn pieces(self, work: &[u8]) -> impl Iterator<Item = Result<&[u8], TimeIsUp>> {
        work.chunks(PIECE_BYTES).enumerate().map(move |(index, piece)| match index {
            0 => Ok(piece),
            _ => self.check().map(|()| piece),
        })
    }

    /// Returns a limit that is reached at the look after this many.
    #[cfg(test)]
    pub fn after_looks(looks: u32) -> TimeLimit {
        TimeLimit { end: Some(Instant::now()), looks: Some(Box::leak(Box::new(AtomicU32::new(looks)))) }
    }
}

impl Default for TimeLimit {
    fn default() -> TimeLimit {
        TimeLimit::NONE
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn small_work_does_not_look_at_the_clock() {
        let pieces = |size: usize, limit: TimeLimit| {
            let bytes = vec![0; size];
            limit.pieces(&bytes).map(|piece| piece.map(<[u8]>::len)).collect::<Vec<_>>()
        };
        assert_eq!(pieces(PIECE_BYTES, TimeLimit::after_looks(0)), [Ok(PIECE_BYTES)]);
        assert_eq!(pieces(PIECE_BYTES + 1, TimeLimit::after_looks(0)), [Ok(PIECE_BYTES), Err(TimeIsUp)]);
        assert_eq!(pieces(PIECE_BYTES + 1, TimeLimit::after_looks(1)), [Ok(PIECE_BYTES), Ok(1)]);
        assert_eq!(pieces(PIECE_BYTES + 1, TimeLimit::NONE), [Ok(PIECE_BYTES), Ok(1)]);
    }

    #[test]
    fn a_limit_is_reached_at_its_end() {
        assert_eq!(TimeLimit::until(Instant::now()).check(), Err(TimeIsUp));
        assert_eq!(TimeLimit::until(Instant::now() + Duration::from_secs(60)).check(), Ok(()));
        assert_eq!(TimeLimit::NONE.check(), Ok(()));
    }
}
