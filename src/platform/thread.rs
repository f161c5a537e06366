//! Starting threads in a process that belongs to the host.

use std::io;
use std::thread::{self, JoinHandle};

use super::system;

/// Starts a thread of the library. The host's signal handlers never run on it.
pub fn spawn(name: &str, stack_bytes: usize, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes);
    system::with_signals_blocked(|| builder.spawn(run))
}
