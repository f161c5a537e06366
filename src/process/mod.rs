//! The process this library is loaded into: which one it is (a fork makes another), and starting
//! threads in it.
//!
//! Knows nothing of HTTP or of Pusher.

mod number;
mod per_process;
mod thread;

pub use number::process_number;
pub use per_process::PerProcess;
pub use thread::spawn;
