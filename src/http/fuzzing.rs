//! The readers of what a peer sends, for fuzz/. Only fuzzing builds have this module.

use super::feed::{Fed, Feed};
use super::proxy;
use super::response::{MAX_HEAD_BYTES, ResponseReader, Reuse};

/// The most that [`read_response`] takes of a body.
const MAX_BODY_BYTES: usize = 1 << 16;

/// A response as the library read it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// The status, if its line was read.
    pub status: Option<u16>,
    /// The body, if the response is complete.
    pub body: Option<Vec<u8>>,
    /// The bytes that were used, if the response is complete.
    pub used: Option<usize>,
    /// Whether the connection may be kept.
    pub is_kept: bool,
}

/// Reads a response from pieces, which the connection's end follows.
pub fn read_response<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let mut reader = ResponseReader::new(MAX_BODY_BYTES);
    reader.read_rate_limit();
    let (mut unread, mut used, mut is_good) = (Vec::new(), 0, true);
    for piece in pieces {
        unread.extend_from_slice(piece);
        match reader.read(&unread) {
            Ok(length) => {
                unread.drain(..length);
                used += length;
            }
            Err(_) => is_good = false,
        }
        if !is_good || reader.is_complete() {
            break;
        }
    }
    let is_good = is_good && reader.end().is_ok();
    let (status, is_kept) = (reader.status(), is_good && reader.reuse() != Reuse::Never);
    let body = reader.into_response(true).map(|response| response.body).filter(|_| is_good);
    Reading { status, used: body.is_some().then_some(used), body, is_kept }
}

/// Reads a response from pieces as a program with its own sockets does. Returns what came of it, and if it is whole the status, the
/// body and how many bytes were used, unless its body is broken.
pub fn feed_response<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Fed, Option<(u16, Vec<u8>, Option<usize>)>) {
    let (mut feed, mut used, mut fed) = (Feed::new(MAX_BODY_BYTES), 0, Fed::More);
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        let (result, length) = feed.feed(piece);
        (fed, used) = (result, used + length);
        if fed != Fed::More {
            break;
        }
    }
    if fed == Fed::More {
        fed = feed.feed(&[]).0;
    }
    let reader = feed.into_reader();
    let used = reader.is_complete().then_some(used);
    let response = if fed == Fed::Whole { reader.into_response(true) } else { None };
    (fed, response.map(|response| (response.status, response.body, used)))
}

/// Returns whether a proxy's response, in pieces, opens the tunnel; `None` if it is incomplete.
pub fn open_tunnel<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<bool> {
    let mut response = vec![0; MAX_HEAD_BYTES];
    let mut filled = 0;
    for piece in pieces {
        let length = piece.len().min(response.len() - filled);
        response[filled..filled + length].copy_from_slice(&piece[..length]);
        filled += length;
        match proxy::is_open(&mut response, &mut filled) {
            Ok(true) => return Some(true),
            Ok(false) => {}
            Err(_) => return Some(false),
        }
    }
    None
}
