//! Prepared requests, and callbacks.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use pusher::ffi::{self, PusherRequest, PusherResponse};

use super::calls::{self, Client, Outcome};
use super::signature;

/// The readable parts of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `POST` or `GET`.
    pub method: String,
    /// The full URL.
    pub url: String,
    /// Its headers in their order.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// The remaining time.
    pub timeout_ms: u32,
}

impl Snapshot {
    /// Reads a whole request, and checks that the accessors agree.
    fn of(request: *const PusherRequest) -> Snapshot {
        // SAFETY: the request and its strings live for this call.
        unsafe {
            let text = |text: *const c_char| CStr::from_ptr(text).to_str().unwrap().to_owned();
            let count = ffi::pusher_request_header_count(request);
            let header = |index: usize| {
                let (mut name, mut value) = (ptr::null(), ptr::null());
                assert_eq!(ffi::pusher_request_header(request, index, &raw mut name, &raw mut value), 1);
                assert_eq!(ffi::pusher_request_header(request, index, ptr::null_mut(), ptr::null_mut()), 1);
                (text(name), text(value))
            };
            for index in [count, count + 1, usize::MAX] {
                let stale: *const c_char = NonNull::dangling().as_ptr();
                let (mut name, mut value) = (stale, stale);
                assert_eq!(ffi::pusher_request_header(request, index, &raw mut name, &raw mut value), 0);
                assert!(name.is_null() && value.is_null());
            }
            let mut length = usize::MAX;
            let body = ffi::pusher_request_body(request, &raw mut length);
            assert_eq!(body, ffi::pusher_request_body(request, ptr::null_mut()));
            // With its terminating NUL.
            let bytes = std::slice::from_raw_parts(body, length + 1);
            assert_eq!(bytes[length], 0);
            Snapshot {
                method: text(ffi::pusher_request_method(request)),
                url: text(ffi::pusher_request_url(request)),
                headers: (0..count).map(header).collect(),
                body: bytes[..length].to_vec(),
                timeout_ms: ffi::pusher_request_timeout_ms(request),
            }
        }
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        &rest[rest.find('/').unwrap_or(rest.len())..]
    }

    /// The path.
    pub fn path(&self) -> &str {
        signature::path_of(self.target())
    }

    /// The query.
    pub fn query(&self) -> &str {
        signature::query_of(self.target())
    }

    /// The signature.
    pub fn signature(&self) -> &str {
        signature::signature_of(self.target())
    }

    /// Returns the body as a string.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Returns the path and query without the timestamp and the signature.
    pub fn timeless(&self) -> String {
        let kept = |pair: &&str| !pair.starts_with("auth_timestamp=") && !pair.starts_with("auth_signature=");
        format!("{}?{}", self.path(), self.query().split('&').filter(kept).collect::<Vec<_>>().join("&"))
    }

    /// Checks that a server with this application would accept it.
    pub fn verify(&self, key: &str, secret: &str) -> Result<(), String> {
        signature::verify(&self.method, self.path(), self.query(), &self.body, key, secret)
    }
}

/// A prepared request, freed when it is dropped.
#[derive(Debug)]
pub struct Request(NonNull<PusherRequest>);

impl Request {
    /// Reads the request.
    pub fn read(&self) -> Snapshot {
        Snapshot::of(self.0.as_ptr())
    }

    /// `pusher_request_bytes`: where the bytes are, and a copy.
    pub fn bytes(&self) -> (*const u8, Vec<u8>) {
        let mut length = 0;
        // SAFETY: the request lives, and the bytes as long as it.
        unsafe {
            let bytes = ffi::pusher_request_bytes(self.0.as_ptr(), &raw mut length);
            assert_eq!(ffi::pusher_request_bytes(self.0.as_ptr(), ptr::null_mut()), bytes);
            (bytes, std::slice::from_raw_parts(bytes, length).to_vec())
        }
    }

    /// Returns the host, the port and whether the request goes over TLS.
    pub fn place(&self) -> (String, u16, i32) {
        let request = self.0.as_ptr();
        // SAFETY: as above.
        unsafe {
            let host = CStr::from_ptr(ffi::pusher_request_host(request)).to_str().unwrap().to_owned();
            (host, ffi::pusher_request_port(request), ffi::pusher_request_tls(request))
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // SAFETY: it came from pusher_prepare, and nothing uses it any more.
        unsafe { ffi::pusher_request_free(self.0.as_ptr()) };
    }
}

/// A `PusherResponse`: created by a test, or passed to a transport.
#[derive(Debug)]
pub struct Reply {
    pointer: *mut PusherResponse,
    own: bool,
}

impl Reply {
    /// Creates an empty response.
    pub fn new() -> Reply {
        Reply { pointer: ffi::pusher_response_new(), own: true }
    }

    /// Sets a response.
    pub fn set(&self, http_status: i32, body: &[u8]) -> &Reply {
        self.set_raw(http_status, body.as_ptr(), body.len())
    }

    /// Sets a response with any pointer and length as its body.
    pub fn set_raw(&self, http_status: i32, body: *const u8, length: usize) -> &Reply {
        // SAFETY: the response lives; an impossible length is refused before the body is read.
        unsafe { ffi::pusher_response_set(self.pointer, http_status, body, length) };
        self
    }

    /// Sets a header; `None` is NULL.
    pub fn header(&self, name: Option<&[u8]>, value: Option<&[u8]>) -> &Reply {
        let [name, value] = [name, value].map(|text| text.map(calls::c_string));
        let (name, value) = (calls::pointer(name.as_deref()), calls::pointer(value.as_deref()));
        // SAFETY: the response and the strings live.
        unsafe { ffi::pusher_response_set_header(self.pointer, name, value) };
        self
    }

    /// Feeds bytes, the end of the input if there are none. Returns the result and how many bytes were used.
    pub fn feed(&self, bytes: &[u8]) -> (i32, usize) {
        let mut used = usize::MAX;
        // SAFETY: the response and the bytes live.
        let result = unsafe { ffi::pusher_response_feed(self.pointer, bytes.as_ptr(), bytes.len(), &raw mut used) };
        (result, used)
    }

    /// Feeds with any pointer and length.
    pub fn feed_raw(&self, bytes: *const u8, length: usize) -> i32 {
        // SAFETY: the response lives; an impossible length is refused before the bytes are read.
        unsafe { ffi::pusher_response_feed(self.pointer, bytes, length, ptr::null_mut()) }
    }

    /// Sets a failure; `None` is NULL.
    pub fn fail(&self, delivery: i32, cause: Option<&[u8]>, message: Option<&[u8]>) -> &Reply {
        let [cause, message] = [cause, message].map(|text| text.map(calls::c_string));
        let (cause, message) = (calls::pointer(cause.as_deref()), calls::pointer(message.as_deref()));
        // SAFETY: as above.
        unsafe { ffi::pusher_response_fail(self.pointer, delivery, cause, message) };
        self
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.own {
            // SAFETY: it came from pusher_response_new, and nothing uses it any more.
            unsafe { ffi::pusher_response_free(self.pointer) };
        }
    }
}

/// Calls every function that returns no status with NULL.
pub fn read_and_set_null() {
    let nothing: *const PusherRequest = ptr::null();
    let stale: *const c_char = NonNull::dangling().as_ptr();
    let (mut name, mut value, mut length) = (stale, stale, 7);
    let reply = Reply { pointer: ptr::null_mut(), own: true };
    // SAFETY: each function is documented for NULL.
    unsafe {
        assert!(ffi::pusher_request_method(nothing).is_null());
        assert!(ffi::pusher_request_url(nothing).is_null());
        assert_eq!(ffi::pusher_request_header_count(nothing), 0);
        assert_eq!(ffi::pusher_request_header(nothing, 0, &raw mut name, &raw mut value), 0);
        assert!(name.is_null() && value.is_null());
        assert_eq!(ffi::pusher_request_header(nothing, 0, ptr::null_mut(), ptr::null_mut()), 0);
        assert!(ffi::pusher_request_body(nothing, &raw mut length).is_null());
        assert_eq!(length, 0);
        assert!(ffi::pusher_request_body(nothing, ptr::null_mut()).is_null());
        assert_eq!(ffi::pusher_request_timeout_ms(nothing), 0);
        length = 7;
        assert!(ffi::pusher_request_bytes(nothing, &raw mut length).is_null());
        assert_eq!(length, 0);
        assert!(ffi::pusher_request_bytes(nothing, ptr::null_mut()).is_null());
        assert!(ffi::pusher_request_host(nothing).is_null());
        assert_eq!((ffi::pusher_request_port(nothing), ffi::pusher_request_tls(nothing)), (0, 0));
        ffi::pusher_cancel(ptr::null());
        ffi::pusher_request_free(ptr::null_mut());
        ffi::pusher_response_free(ptr::null_mut());
        ffi::pusher_string_free(ptr::null_mut());
        ffi::pusher_free(ptr::null_mut());
    }
    assert_eq!((reply.feed(b"x"), reply.feed(b""), reply.feed_raw(ptr::null(), 0)), ((-1, 0), (-1, 0), -1));
    reply.set(200, b"{}").header(Some(b"a"), Some(b"b")).fail(1, None, None);
}

/// Which of `pusher_prepare`'s pointers are NULL.
#[derive(Clone, Copy, Debug, Default)]
pub struct Without {
    /// The place for the request.
    pub request: bool,
    /// The array of arguments; the count may differ.
    pub arguments: bool,
    /// A count that differs from the number of arguments.
    pub count: Option<usize>,
}

/// Calls `pusher_prepare`; `None` is NULL.
#[track_caller]
pub fn prepare(
    client: Option<&Client>,
    call: Option<&[u8]>,
    arguments: &[Option<&[u8]>],
    without: Without,
) -> Result<Request, Outcome> {
    let call = call.map(calls::c_string);
    let texts: Vec<Option<CString>> = arguments.iter().map(|text| text.map(calls::c_string)).collect();
    let pointers: Vec<*const c_char> = texts.iter().map(|text| calls::pointer(text.as_deref())).collect();
    let stale: *mut PusherRequest = NonNull::dangling().as_ptr();
    let mut request = stale;
    let outcome = calls::call(|out| {
        let array = if without.arguments { ptr::null() } else { pointers.as_ptr() };
        let place = if without.request { ptr::null_mut() } else { &raw mut request };
        let count = without.count.unwrap_or(pointers.len());
        let client = client.map_or(ptr::null_mut(), |client| client.0.as_ptr()).cast();
        // SAFETY: every pointer is NULL or valid for the call; a wrong count is refused before it is used.
        unsafe { ffi::pusher_prepare(client, calls::pointer(call.as_deref()), array, count, place, out) as i32 }
    });
    assert_eq!(request == stale, without.request, "*request was not written: {outcome:?}");
    match NonNull::new(request).filter(|_| !without.request) {
        Some(request) if outcome.status == 0 => {
            assert_eq!(outcome.document, None, "pusher_prepare has no result");
            Ok(Request(request))
        }
        None if outcome.status != 0 => Err(outcome),
        _ => panic!("*request is {request:?} with {outcome:?}"),
    }
}

/// Calls `pusher_finish`; `None` is NULL.
#[track_caller]
pub fn finish(client: Option<&Client>, request: Option<&Request>, reply: Option<&Reply>) -> Outcome {
    let client = client.map_or(ptr::null_mut(), |client| client.0.as_ptr()).cast();
    let request = request.map_or(ptr::null_mut(), |request| request.0.as_ptr());
    let reply = reply.map_or(ptr::null_mut(), |reply| reply.pointer);
    // SAFETY: every pointer is NULL or good for the call.
    calls::call(|out| unsafe { ffi::pusher_finish(client, request, reply, out) as i32 })
}

impl Client {
    /// Prepares a call; panics if that fails.
    #[track_caller]
    pub fn prepare(&self, call: &str, texts: &[Option<&str>]) -> Request {
        let bytes: Vec<Option<&[u8]>> = texts.iter().map(|text| text.map(str::as_bytes)).collect();
        prepare(Some(self), Some(call.as_bytes()), &bytes, Without::default())
            .unwrap_or_else(|outcome| panic!("{call}: {outcome:?}"))
    }

    /// Finishes a request.
    #[track_caller]
    pub fn finish(&self, request: &Request, reply: &Reply) -> Outcome {
        finish(Some(self), Some(request), Some(reply))
    }
}

/// How often `drop` was called.
pub type Drops = Arc<AtomicUsize>;

type Send = dyn Fn(&Snapshot, &Reply) + std::marker::Send + Sync;

struct Transport {
    send: Box<Send>,
    drops: Drops,
}

unsafe extern "C" fn send(data: *mut c_void, request: *const PusherRequest, response: *mut PusherResponse) {
    // SAFETY: `data` is the leaked box of `set_transport`.
    let transport: &Transport = unsafe { &*data.cast() };
    (transport.send)(&Snapshot::of(request), &Reply { pointer: response, own: false });
}

unsafe extern "C" fn drop_transport(data: *mut c_void) {
    // SAFETY: as above. The box stays leaked, so that a second call is counted and does not crash.
    let transport: &Transport = unsafe { &*data.cast() };
    transport.drops.fetch_add(1, Ordering::SeqCst);
}

/// Calls `pusher_set_transport`; `None` is NULL.
#[track_caller]
pub fn set_transport(client: Option<&Client>, function: Option<Box<Send>>) -> (Outcome, Drops) {
    let drops = Drops::default();
    let given = function.is_some();
    let transport = Transport { send: function.unwrap_or_else(|| Box::new(|_, _| ())), drops: Arc::clone(&drops) };
    let data: *mut Transport = Box::into_raw(Box::new(transport));
    let client = client.map_or(ptr::null_mut(), |client| client.0.as_ptr()).cast();
    let function: ffi::PusherSendFn = if given { Some(send) } else { None };
    // SAFETY: every pointer is NULL or good for as long as the client lives.
    let outcome = calls::call(|out| unsafe {
        ffi::pusher_set_transport(client, function, data.cast(), Some(drop_transport), out) as i32
    });
    (outcome, drops)
}

/// One message of the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// 1 to 4.
    pub level: i32,
    /// The message.
    pub message: String,
    /// The JSON.
    pub fields: String,
    /// The thread on which the callback ran.
    pub thread: ThreadId,
}

/// All messages so far.
#[derive(Clone, Debug, Default)]
pub struct Messages(Arc<Mutex<Vec<Logged>>>);

impl Messages {
    /// Returns the messages since the last call.
    pub fn take(&self) -> Vec<Logged> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Log {
    messages: Messages,
    drops: Drops,
}

unsafe extern "C" fn log(data: *mut c_void, level: i32, message: *const c_char, fields: *const c_char) {
    // SAFETY: `data` is the leaked box of `set_log`, and the strings live for this call.
    unsafe {
        let log: &Log = &*data.cast();
        let text = |text: *const c_char| CStr::from_ptr(text).to_str().unwrap().to_owned();
        let logged = Logged { level, message: text(message), fields: text(fields), thread: thread::current().id() };
        log.messages.0.lock().unwrap_or_else(PoisonError::into_inner).push(logged);
    }
}

unsafe extern "C" fn drop_log(data: *mut c_void) {
    // SAFETY: as above.
    let log: &Log = unsafe { &*data.cast() };
    log.drops.fetch_add(1, Ordering::SeqCst);
}

/// Calls `pusher_set_log`; with NULL for the client or the callback, if asked to.
#[track_caller]
pub fn set_log(client: Option<&Client>, function: bool) -> (Outcome, Messages, Drops) {
    let (messages, drops) = (Messages::default(), Drops::default());
    let data = Box::into_raw(Box::new(Log { messages: messages.clone(), drops: Arc::clone(&drops) }));
    let client = client.map_or(ptr::null_mut(), |client| client.0.as_ptr()).cast();
    let function: ffi::PusherLogFn = if function { Some(log) } else { None };
    // SAFETY: every pointer is NULL or good for as long as the client lives.
    let outcome =
        calls::call(|out| unsafe { ffi::pusher_set_log(client, function, data.cast(), Some(drop_log), out) as i32 });
    (outcome, messages, drops)
}

unsafe extern "C" fn sleep(data: *mut c_void, _: i32, _: *const c_char, _: *const c_char) {
    // SAFETY: `data` is the leaked duration of `log_slowly`.
    thread::sleep(unsafe { *data.cast::<Duration>() });
}

unsafe extern "C" fn drop_duration(data: *mut c_void) {
    // SAFETY: as above, and this is the last use.
    drop(unsafe { Box::from_raw(data.cast::<Duration>()) });
}

/// One observation.
#[derive(Clone, Debug)]
pub struct Observed {
    /// 1 to 4.
    pub kind: i32,
    /// The id of the call.
    pub call_id: u64,
    /// The JSON.
    pub fields: String,
    /// The thread on which the callback ran.
    pub thread: ThreadId,
}

/// All observations so far.
#[derive(Clone, Debug, Default)]
pub struct Observations(Arc<Mutex<Vec<Observed>>>);

impl Observations {
    /// Returns the observations since the last call.
    pub fn take(&self) -> Vec<Observed> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Observer {
    observations: Observations,
    drops: Drops,
}

unsafe extern "C" fn observe(data: *mut c_void, kind: i32, call_id: u64, fields: *const c_char) {
    // SAFETY: `data` is the leaked box of `set_observer`, and the string lives for this call.
    unsafe {
        let observer: &Observer = &*data.cast();
        let fields = CStr::from_ptr(fields).to_str().unwrap().to_owned();
        let observed = Observed { kind, call_id, fields, thread: thread::current().id() };
        observer.observations.0.lock().unwrap_or_else(PoisonError::into_inner).push(observed);
    }
}

unsafe extern "C" fn drop_observer(data: *mut c_void) {
    // SAFETY: as above.
    let observer: &Observer = unsafe { &*data.cast() };
    observer.drops.fetch_add(1, Ordering::SeqCst);
}

/// Calls `pusher_set_observer`; with NULL for the client or the callback, if asked to.
#[track_caller]
pub fn set_observer(client: Option<&Client>, function: bool) -> (Outcome, Observations, Drops) {
    let (observations, drops) = (Observations::default(), Drops::default());
    let data = Box::into_raw(Box::new(Observer { observations: observations.clone(), drops: Arc::clone(&drops) }));
    let client = client.map_or(ptr::null_mut(), |client| client.0.as_ptr()).cast();
    let function: ffi::PusherObserveFn = if function { Some(observe) } else { None };
    // SAFETY: every pointer is NULL or good for as long as the client lives.
    let outcome = calls::call(|out| unsafe {
        ffi::pusher_set_observer(client, function, data.cast(), Some(drop_observer), out) as i32
    });
    (outcome, observations, drops)
}

/// Calls both setters with `drop` NULL and no data.
pub fn set_without_drop(client: &Client) -> [i32; 2] {
    let client = client.0.as_ptr().cast();
    // SAFETY: neither function is called with this data before a call is made, and both setters take NULL.
    unsafe {
        [
            ffi::pusher_set_transport(client, Some(no_transport), ptr::null_mut(), None, ptr::null_mut()) as i32,
            ffi::pusher_set_log(client, Some(no_log), ptr::null_mut(), None, ptr::null_mut()) as i32,
        ]
    }
}

unsafe extern "C" fn no_transport(_: *mut c_void, _: *const PusherRequest, _: *mut PusherResponse) {}

unsafe extern "C" fn no_log(_: *mut c_void, _: i32, _: *const c_char, _: *const c_char) {}

impl Client {
    /// Sends through this function from now on.
    #[track_caller]
    pub fn send_by(&self, function: impl Fn(&Snapshot, &Reply) + std::marker::Send + Sync + 'static) -> Drops {
        let (outcome, drops) = set_transport(Some(self), Some(Box::new(function)));
        assert_eq!((outcome.name(), outcome.document), ("OK", None));
        drops
    }

    /// Makes each message of the log take this long from now on.
    #[track_caller]
    pub fn log_slowly(&self, duration: Duration) {
        let (client, data) = (self.0.as_ptr().cast(), Box::into_raw(Box::new(duration)).cast());
        // SAFETY: the client is alive, and the data lives until `drop_duration`.
        let outcome = calls::call(|out| unsafe {
            ffi::pusher_set_log(client, Some(sleep), data, Some(drop_duration), out) as i32
        });
        assert_eq!(outcome.name(), "OK");
    }

    /// Collects what is observed from now on.
    #[track_caller]
    pub fn observe(&self) -> (Observations, Drops) {
        let (outcome, observations, drops) = set_observer(Some(self), true);
        assert_eq!((outcome.name(), outcome.document), ("OK", None));
        (observations, drops)
    }

    /// Returns the statistics.
    #[track_caller]
    pub fn stats(&self) -> String {
        // SAFETY: the client is alive.
        let outcome = calls::call(|out| unsafe { ffi::pusher_stats(self.0.as_ptr().cast(), out) as i32 });
        assert_eq!(outcome.name(), "OK");
        outcome.document.unwrap()
    }

    /// Collects what is logged from now on.
    #[track_caller]
    pub fn log(&self) -> (Messages, Drops) {
        let (outcome, messages, drops) = set_log(Some(self), true);
        assert_eq!((outcome.name(), outcome.document), ("OK", None));
        (messages, drops)
    }
}
