//! A clock for measurements: a number of nanoseconds, whose differences take one instruction each.

pub use super::system::nanoseconds;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_counts_what_the_clock_of_deadlines_counts() {
        let (outer, before) = (Instant::now(), nanoseconds());
        std::thread::sleep(std::time::Duration::from_millis(2));
        let inner = Instant::now();
        let passed = nanoseconds() - before;
        assert!(u128::from(passed) <= outer.elapsed().as_nanos());
        assert!(passed >= 2_000_000 && inner > outer);
    }
}
