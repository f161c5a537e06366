//! The phases of an exchange.

/// The phase that an exchange is in. An exchange on a kept-alive connection begins with `Sending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    /// Looking up the host name.
    Resolving,
    /// Connecting to an address.
    Connecting,
    /// Opening a tunnel through a proxy.
    Tunnel,
    /// The TLS handshake.
    Handshake,
    /// Handing the request to the kernel.
    Sending,
    /// Waiting for the first bytes of the response.
    Waiting,
    /// Reading the rest of the response.
    Reading,
}

impl Phase {
    /// The number of phases.
    pub(super) const COUNT: usize = Phase::Reading as usize + 1;

    /// Returns the phase as the subject of "… failed".
    pub(super) const fn name(self) -> &'static str {
        match self {
            Phase::Resolving => "looking up the host name",
            Phase::Connecting => "connecting",
            Phase::Tunnel => "opening a tunnel through the proxy",
            Phase::Handshake => "the TLS handshake",
            Phase::Sending => "sending the request",
            Phase::Waiting => "waiting for the response",
            Phase::Reading => "reading the response",
        }
    }
}
