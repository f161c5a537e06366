//! What to wait for on a socket, and how to receive from it.

/// How to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// Wait for bytes, up to the socket's receive timeout. On Windows it is the same as `Now`.
    Waiting,
    /// Take the bytes that are there.
    Now,
    /// Look at the bytes that are there, and leave them.
    Peek,
}

/// The events to wait for, and the events that happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readiness {
    /// Bytes, an end or an error can be read.
    pub read: bool,
    /// Bytes can be written, or a write will return the error.
    pub write: bool,
}

impl Readiness {
    /// Waits for input only.
    pub const READ: Readiness = Readiness { read: true, write: false };
    /// Waits for space to write only.
    pub const WRITE: Readiness = Readiness { read: false, write: true };
    /// Waits for either.
    pub const BOTH: Readiness = Readiness { read: true, write: true };
}
