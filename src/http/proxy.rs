//! A tunnel through an HTTP proxy, opened by CONNECT. (RFC 9110, 9.3.6)

use std::io::ErrorKind;
use std::time::Instant;

use zeroize::Zeroizing;

use super::failure::{Cause, Fault};
use super::message::Proxy;
use super::response::{MAX_HEAD_BYTES, MAX_HEADERS};
use super::stream::Stream;

/// Asks the proxy at the other end of `stream` for a tunnel to `authority`. The caller sends its
/// request afterwards.
pub(super) fn open_tunnel(stream: &mut Stream, proxy: &Proxy, authority: &str, deadline: Instant) -> Result<(), Fault> {
    // Allocate once: a string that grows leaves copies of the credentials in freed memory.
    let secret_bytes = proxy.authorization.as_ref().map_or(0, |authorization| authorization.len());
    let mut request = Zeroizing::new(String::new());
    let no_memory = |_| Fault::of_io(&ErrorKind::OutOfMemory.into(), Cause::Proxy);
    request.try_reserve_exact(2 * authority.len() + secret_bytes + 64).map_err(no_memory)?;
    request.extend(["CONNECT ", authority, " HTTP/1.1\r\nHost: ", authority, "\r\n"]);
    if let Some(authorization) = &proxy.authorization {
        request.push_str("Proxy-Authorization: ");
        request.push_str(authorization);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.send_all(request.as_bytes(), deadline).map_err(|error| Fault::of_io(&error, Cause::Write))?;

    let mut response = Vec::new();
    response.try_reserve_exact(MAX_HEAD_BYTES).map_err(no_memory)?;
    response.resize(MAX_HEAD_BYTES, 0);
    let mut filled = 0;
    loop {
        let length =
            stream.receive(&mut response[filled..], deadline).map_err(|error| Fault::of_io(&error, Cause::Reset))?;
        if length == 0 {
            return Err(Fault::new(Cause::Closed, "the proxy closed the connection"));
        }
        filled += length;
        if is_open(&mut response, &mut filled)? {
            return Ok(());
        }
    }
}

/// Returns whether the proxy's response is complete and opens the tunnel.
pub(super) fn is_open(response: &mut [u8], filled: &mut usize) -> Result<bool, Fault> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let malformed = |what: &str| Err(Fault::new(Cause::Proxy, format!("the proxy's response {what}")));
        match (head.parse(&response[..*filled]), head.code) {
            (Ok(httparse::Status::Partial), _) if *filled < response.len() => return Ok(false),
            (Ok(httparse::Status::Partial), _) => return malformed("is too long"),
            // Interim responses may come first.
            (Ok(httparse::Status::Complete(length)), Some(100..200)) => {
                response.copy_within(length..*filled, 0);
                *filled -= length;
            }
            (Ok(httparse::Status::Complete(length)), Some(200..300)) if length == *filled => return Ok(true),
            // In a TLS tunnel the client speaks first.
            (Ok(_), Some(200..300)) => return malformed("continues after its head"),
            (Ok(_), Some(407)) => {
                return malformed("is 407: check the user and password in `proxy`");
            }
            (Ok(_), Some(status)) => return malformed(&format!("is {status}")),
            (Ok(_), None) | (Err(_), _) => return malformed("is not HTTP"),
        }
    }
}
