//! The peers that the signatures are compared with, callable from C: see `peers.h`.

use std::ffi::{CStr, c_char};
use std::hint::black_box;
use std::slice;

use pushers::{Config, Pusher};
use serde_json::value::RawValue;

/// A client of the peer.
pub struct Peer(Pusher);

/// # Safety
/// The strings are NUL-terminated.
unsafe fn text<'a>(text: *const c_char) -> &'a str {
    unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_new(app_id: *const c_char, key: *const c_char, secret: *const c_char) -> *mut Peer {
    let (app_id, key, secret) = unsafe { (text(app_id), text(key), text(secret)) };
    Box::into_raw(Box::new(Peer(Pusher::new(Config::new(app_id, key, secret)).expect("a client"))))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_authorize(peer: *const Peer, channel: *const c_char, socket_id: *const c_char) {
    let (peer, channel, socket_id) = unsafe { (&*peer, text(channel), text(socket_id)) };
    black_box(peer.0.authorize_channel_with_name(socket_id, channel, None).expect("a signature"));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_free(peer: *mut Peer) {
    drop(unsafe { Box::from_raw(peer) });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn json_check(json: *const u8, size: usize) {
    let json = unsafe { slice::from_raw_parts(json, size) };
    black_box(serde_json::from_slice::<&RawValue>(json).expect("JSON"));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn json_escape(json: *const u8, size: usize, buffer: *mut u8, room: usize) {
    let (json, buffer) = unsafe { (slice::from_raw_parts(json, size), slice::from_raw_parts_mut(buffer, room)) };
    serde_json::to_writer(buffer, str::from_utf8(json).expect("UTF-8")).expect("room");
}
