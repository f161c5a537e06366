//! The system below the library: sockets, descriptors to wait on, files, the identity of the process, threads and signals.
//!
//! Everything that differs between operating systems is here. Knows nothing of HTTP or of Pusher.

mod cancellation;
mod clock;
mod file;
mod in_use;
mod number;
mod per_process;
mod readable;
mod readiness;
mod socket;
mod sync;
mod system;
mod thread;

pub use cancellation::Cancellation;
pub use clock::nanoseconds;
pub use file::{lacks_resources, read_file, zeroed};
pub use number::process_number;
pub use per_process::PerProcess;
pub use readable::ReadableFlag;
pub use readiness::{Readiness, Receive};
pub use socket::{Address, Socket, is_socket_path, poll};
pub use system::Descriptor;
pub use thread::spawn;
