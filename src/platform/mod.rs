//! The system below the library: sockets, descriptors to wait on, files, the identity of the process, threads and signals.
//!
//! Everything that differs between operating systems is here. Knows nothing of HTTP or of Pusher.

mod cancellation;
mod file;
mod in_use;
mod no_signal;
mod number;
mod per_process;
mod poll;
mod readable;
mod socket;
mod sync;
mod thread;

pub use cancellation::Cancellation;
pub use file::{read_file, zeroed};
pub use number::process_number;
pub use per_process::PerProcess;
pub use readable::ReadableFlag;
pub use socket::{Address, Readiness, Receive, Socket, is_socket_path, poll};
pub use thread::spawn;
