//! The flag of a send that raises no SIGPIPE.

use nix::sys::socket::MsgFlags;

#[cfg(not(target_vendor = "apple"))]
pub(super) const NO_SIGNAL: MsgFlags = MsgFlags::MSG_NOSIGNAL;
/// There the socket has an option for it (`SO_NOSIGPIPE`).
#[cfg(target_vendor = "apple")]
pub(super) const NO_SIGNAL: MsgFlags = MsgFlags::empty();
