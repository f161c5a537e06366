//! The C ABI, wrapped for Rust tests: real C strings in, statuses and documents out.
//!
//! Every call starts with a stale `out`, so that a function that does not set it is found. Every returned document is
//! searched for the secret and for signatures.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pusher::ffi;
use serde_json::{Map, Value, json};

/// The application of most tests.
pub const APP_ID: &str = "4711";
/// Its key.
pub const KEY: &str = "test-key_1";
/// Its secret, with characters that each encoding writes differently.
pub const SECRET: &str = "s3cr3t/Canary+&=%é";
/// The 32 bytes of the master key of tests that encrypt.
pub const MASTER_KEY: &str = "m4st3r-Key-Canary-0123456789/+ü";
/// The password of a proxy.
pub const PROXY_PASSWORD: &str = "pr0xy/Canary?&é";
/// The secret of an additional webhook token.
pub const WEBHOOK_SECRET: &str = "w3bh00k/Canary&+";

/// What a call returned.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The status as C sees it.
    pub status: i32,
    /// What was written to `out`.
    pub document: Option<String>,
    /// How long the call took.
    pub elapsed: Duration,
}

/// A client made by `pusher_new`, freed when it is dropped.
#[derive(Debug)]
pub struct Client(pub NonNull<c_void>);

// SAFETY: the library promises that clients may be used by any thread.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

/// Returns a configuration of the test application on 127.0.0.1 without TLS; `more` overrides it. Retries are off, so that
/// each call is one exchange.
pub fn config(port: u16, more: Value) -> String {
    let mut all = json!({
        "app_id": APP_ID, "key": KEY, "secret": SECRET, "host": "127.0.0.1", "port": port, "ssl": false,
        "retry": {"mode": "never"},
    });
    let Value::Object(more) = more else { panic!("more configuration has to be an object") };
    all.as_object_mut().unwrap().extend(more);
    all.to_string()
}

impl Client {
    /// Creates a client; panics if that fails.
    #[track_caller]
    pub fn new(config: &str) -> Client {
        Client::try_new(Some(config.as_bytes())).unwrap_or_else(|outcome| panic!("{config}: {outcome:?}"))
    }

    /// Calls `pusher_new`.
    #[track_caller]
    pub fn try_new(config: Option<&[u8]>) -> Result<Client, Outcome> {
        let config = config.map(c_string);
        let mut client: *mut c_void = NonNull::dangling().as_ptr();
        let outcome = call(|out| {
            // SAFETY: every pointer is NULL or good for the call.
            unsafe { ffi::pusher_new(pointer(config.as_deref()), (&raw mut client).cast(), out) as i32 }
        });
        assert_ne!(client, NonNull::dangling().as_ptr(), "*client was not written: {outcome:?}");
        match NonNull::new(client) {
            Some(client) if outcome.status == 0 => {
                assert_eq!(outcome.document, None, "pusher_new has no result");
                Ok(Client(client))
            }
            None if outcome.status != 0 => Err(outcome),
            _ => panic!("*client is {client:?} with {outcome:?}"),
        }
    }

    /// Calls `pusher_clone`.
    #[track_caller]
    pub fn another(&self) -> Client {
        let mut clone: *mut c_void = NonNull::dangling().as_ptr();
        let outcome = call(|out| {
            // SAFETY: every pointer is good for the call.
            unsafe { ffi::pusher_clone(self.0.as_ptr().cast_const().cast(), (&raw mut clone).cast(), out) as i32 }
        });
        assert_eq!((outcome.status, outcome.document.as_deref()), (0, None), "pusher_clone");
        Client(NonNull::new(clone).expect("a handle"))
    }

    /// Calls `pusher_cancel`.
    pub fn cancel(&self) {
        // SAFETY: the handle is live.
        unsafe { ffi::pusher_cancel(self.0.as_ptr().cast_const().cast()) };
    }

    /// Calls `pusher_trigger` without options.
    #[track_caller]
    pub fn trigger(&self, channels: &str, event: &str, data: &str) -> Outcome {
        self.trigger_bytes(Some(channels.as_bytes()), Some(event.as_bytes()), Some(data.as_bytes()), None)
    }

    /// Calls `pusher_trigger` with options.
    #[track_caller]
    pub fn trigger_with(&self, channels: &str, event: &str, data: &str, options: &str) -> Outcome {
        let options = Some(options.as_bytes());
        self.trigger_bytes(Some(channels.as_bytes()), Some(event.as_bytes()), Some(data.as_bytes()), options)
    }

    /// Calls `pusher_trigger` with any bytes; `None` is NULL.
    #[track_caller]
    pub fn trigger_bytes(
        &self,
        channels: Option<&[u8]>,
        event: Option<&[u8]>,
        data: Option<&[u8]>,
        options: Option<&[u8]>,
    ) -> Outcome {
        trigger(self.0.as_ptr(), [channels, event, data, options])
    }

    /// Calls `pusher_trigger` with C strings, so that the test itself allocates nothing for them.
    #[track_caller]
    pub fn trigger_c(&self, channels: &CStr, event: &CStr, data: &CStr) -> Outcome {
        call(|out| {
            // SAFETY: every pointer is NULL or good for the call.
            unsafe {
                let client = self.0.as_ptr().cast_const().cast();
                ffi::pusher_trigger(client, channels.as_ptr(), event.as_ptr(), data.as_ptr(), ptr::null(), out) as i32
            }
        })
    }

    /// Calls `pusher_trigger` with `out` NULL.
    pub fn trigger_without_out(&self, channels: &str, event: &str, data: &str) -> i32 {
        let [channels, event, data] = [channels, event, data].map(|text| c_string(text.as_bytes()));
        // SAFETY: every pointer is NULL or good for the call.
        unsafe {
            let client = self.0.as_ptr().cast_const().cast();
            ffi::pusher_trigger(client, channels.as_ptr(), event.as_ptr(), data.as_ptr(), ptr::null(), ptr::null_mut())
                as i32
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: it came from pusher_new, and nothing uses it any more.
        unsafe { ffi::pusher_free(self.0.as_ptr().cast()) };
    }
}

/// Calls `pusher_trigger` with NULL for the client.
#[track_caller]
pub fn trigger_on_null() -> Outcome {
    trigger(ptr::null_mut(), [Some(b"channel"), Some(b"event"), Some(b"{}"), None])
}

/// Calls `pusher_new` with one of its pointers NULL. Returns the status, and whether it still created a client.
pub fn new_without(client: bool, out: bool, config: &str) -> (i32, bool) {
    let config = c_string(config.as_bytes());
    let mut made: *mut c_void = ptr::null_mut();
    let mut document: *mut c_char = ptr::null_mut();
    let client = if client { ptr::null_mut() } else { &raw mut made };
    let out = if out { ptr::null_mut() } else { &raw mut document };
    // SAFETY: every pointer is NULL or valid for the call, and the client is freed.
    unsafe {
        let status = ffi::pusher_new(config.as_ptr(), client.cast(), out) as i32;
        ffi::pusher_string_free(document);
        ffi::pusher_free(made.cast());
        (status, !made.is_null())
    }
}

#[track_caller]
fn trigger(client: *mut c_void, texts: [Option<&[u8]>; 4]) -> Outcome {
    let texts = texts.map(|text| text.map(c_string));
    let [channels, event, data, options] = texts.each_ref().map(|text| pointer(text.as_deref()));
    call(|out| {
        // SAFETY: every pointer is NULL or good for the call.
        unsafe { ffi::pusher_trigger(client.cast_const().cast(), channels, event, data, options, out) as i32 }
    })
}

/// Makes a call that writes to `out`, and takes the document.
#[track_caller]
pub(super) fn call(body: impl FnOnce(*mut *mut c_char) -> i32) -> Outcome {
    let stale: *mut c_char = NonNull::dangling().as_ptr();
    let mut out = stale;
    let start = Instant::now();
    let status = body(&raw mut out);
    let elapsed = start.elapsed();
    assert_ne!(out, stale, "*out was not written; status {status}");
    let document = (!out.is_null()).then(|| {
        // SAFETY: a string that the library wrote to `out` is NUL-terminated, and freed here once.
        unsafe {
            let text = CStr::from_ptr(out).to_str().expect("a document is UTF-8").to_owned();
            ffi::pusher_string_free(out);
            text
        }
    });
    let outcome = Outcome { status, document, elapsed };
    outcome.check();
    outcome
}

pub(super) fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("a C string can't hold a NUL")
}

pub(super) fn pointer(text: Option<&CStr>) -> *const c_char {
    text.map_or(ptr::null(), CStr::as_ptr)
}

/// `pusher_status_name`.
pub fn status_name(status: i32) -> &'static str {
    // SAFETY: the name is a static string.
    unsafe { CStr::from_ptr(ffi::pusher_status_name(status)) }.to_str().unwrap()
}

/// `pusher_error_delivery`; `None` is NULL.
pub fn error_delivery(document: Option<&[u8]>) -> i32 {
    let document = document.map(c_string);
    // SAFETY: NULL or a C string.
    unsafe { ffi::pusher_error_delivery(pointer(document.as_deref())) }
}

/// What the accessors that return a number read: status, retryable, HTTP status, the wait. `None` is NULL.
pub fn error_numbers(document: Option<&[u8]>) -> (i32, i32, i32, i64) {
    let document = document.map(c_string);
    let document = pointer(document.as_deref());
    // SAFETY: NULL or a C string.
    unsafe {
        (
            ffi::pusher_error_status(document),
            ffi::pusher_error_retryable(document),
            ffi::pusher_error_http_status(document),
            ffi::pusher_error_retry_after_ms(document),
        )
    }
}

/// `pusher_error_message`, `pusher_error_cause` or `pusher_error_server_code`.
pub type CopyFn = unsafe extern "C" fn(*const c_char, *mut c_char, usize) -> usize;

/// Calls `pusher_error_message` with a buffer of `size` bytes; `None` is NULL. Returns the buffer and the result.
pub fn error_message(document: Option<&[u8]>, size: usize) -> (Vec<u8>, usize) {
    error_text(ffi::pusher_error_message, document, size)
}

/// Calls an accessor that copies a string, with a buffer of `size` bytes; `None` is NULL. Returns the buffer and the result.
pub fn error_text(accessor: CopyFn, document: Option<&[u8]>, size: usize) -> (Vec<u8>, usize) {
    const GUARD: u8 = 0xee;
    let document = document.map(c_string);
    let mut buffer = vec![GUARD; size + 8];
    // SAFETY: NULL or a C string; the buffer has more than `size` bytes.
    let length = unsafe { accessor(pointer(document.as_deref()), buffer.as_mut_ptr().cast(), size) };
    assert!(buffer[size..].iter().all(|byte| *byte == GUARD), "wrote beyond {size} bytes");
    buffer.truncate(size);
    if size > 0 {
        let end = buffer.iter().position(|byte| *byte == 0).expect("the buffer is NUL-terminated");
        buffer.truncate(end);
    }
    (buffer, length)
}

/// Calls `pusher_json_string`; `None` is NULL.
pub fn json_string(text: Option<&[u8]>, len: usize) -> Outcome {
    let pointer = text.map_or(ptr::null(), |text| text.as_ptr().cast());
    // SAFETY: the tests pass no length that is more than the text has, unless it is refused.
    call(|out| unsafe { ffi::pusher_json_string(pointer, len, out) } as i32)
}

/// `pusher_error_message` with a buffer that is NULL.
pub fn error_message_length(document: &str) -> usize {
    let document = c_string(document.as_bytes());
    // SAFETY: a C string, and no buffer with no size.
    unsafe { ffi::pusher_error_message(document.as_ptr(), ptr::null_mut(), 0) }
}

impl Outcome {
    /// The status's name.
    pub fn name(&self) -> &'static str {
        status_name(self.status)
    }

    /// Returns the delivery that the library reports, as the word in documents; `""` if it reports none.
    pub fn delivery(&self) -> &'static str {
        match error_delivery(self.document.as_deref().map(str::as_bytes)) {
            0 => "",
            1 => "not_sent",
            2 => "rejected",
            3 => "unknown",
            4 => "delivered",
            other => panic!("no delivery: {other}"),
        }
    }

    /// The fields of the error document.
    #[track_caller]
    pub fn error(&self) -> Map<String, Value> {
        let document = self.document.as_deref().unwrap_or_else(|| panic!("no document with {}", self.name()));
        let document: Value = serde_json::from_str(document).unwrap_or_else(|e| panic!("{e}: {document}"));
        let Value::Object(mut document) = document else { panic!("not an object: {document}") };
        match document.remove("error") {
            Some(Value::Object(fields)) if document.is_empty() => fields,
            _ => panic!("not an error document: {self:?}"),
        }
    }

    /// Returns a string member; `""` if it is absent.
    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        match self.error().remove(field) {
            None => String::new(),
            Some(Value::String(text)) => text,
            Some(other) => panic!("{field} is {other}"),
        }
    }

    /// Returns a number member, if it is present.
    #[track_caller]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.error().remove(field).map(|value| value.as_u64().unwrap_or_else(|| panic!("{field} is {value}")))
    }

    /// Asserts that the call was OK with this result.
    #[track_caller]
    pub fn is_ok(&self, result: &str) -> &Self {
        assert_eq!((self.name(), self.document.as_deref()), ("OK", Some(result)));
        self
    }

    /// Asserts the status and the delivery.
    #[track_caller]
    pub fn is(&self, status: &str, delivery: &str) -> &Self {
        assert_eq!((self.name(), self.delivery()), (status, delivery), "{self:?}");
        self
    }

    /// Asserts the cause.
    #[track_caller]
    pub fn because(&self, cause: &str) -> &Self {
        assert_eq!(self.text("cause"), cause, "{self:?}");
        self
    }

    /// Asserts the argument that the error names.
    #[track_caller]
    pub fn naming(&self, argument: &str) -> &Self {
        assert_eq!(self.text("argument"), argument, "{self:?}");
        self
    }

    /// Checks that the call ended at its deadline, at most 100 ms late.
    pub fn took(&self, deadline_ms: u64) -> Result<(), String> {
        let late = Duration::from_millis(deadline_ms + 100);
        let early = Duration::from_millis(deadline_ms.saturating_sub(5));
        if (early..=late).contains(&self.elapsed) { Ok(()) } else { Err(format!("{:?}: {self:?}", self.elapsed)) }
    }

    /// Checks what must be true of the outcome of every call.
    #[track_caller]
    fn check(&self) {
        assert_ne!(self.name(), "?", "{self:?}");
        // A lack of memory or of randomness is no bug, and neither is a panic that a test asked for.
        let document = self.document.as_deref().unwrap_or_default();
        let is_no_bug = ["the system has no ", "planted by a test"].iter().any(|reason| document.contains(reason));
        assert!(self.name() != "INTERNAL" || is_no_bug, "{self:?}");
        if self.status == 0 {
            // A result may contain a signature, but no secret.
            let leaked = self.document.as_deref().and_then(secret_in);
            assert_eq!(leaked, None, "{self:?}");
            return;
        }
        const FIELDS: [&str; 13] = [
            "status",
            "message",
            "delivery",
            "cause",
            "retryable",
            "attempts",
            "http_status",
            "response",
            "argument",
            "server_code",
            "retry_after_ms",
            "rate_limit",
            "parts",
        ];
        const CAUSES: [&str; 13] = [
            "",
            "dns",
            "connect",
            "tls",
            "proxy",
            "write",
            "timeout",
            "reset",
            "closed",
            "malformed",
            "transport",
            "cancelled",
            "circuit",
        ];
        let fields = self.error();
        assert!(fields.keys().all(|field| FIELDS.contains(&field.as_str())), "{self:?}");
        assert!(fields.values().all(|value| !value.is_null()), "{self:?}");
        assert!(CAUSES.contains(&self.text("cause").as_str()), "{self:?}");
        assert_eq!(self.text("status"), self.name());
        assert_eq!(self.text("delivery"), self.delivery());
        assert_ne!(self.text("message"), "", "{self:?}");
        let document = self.document.as_deref().unwrap_or_default();
        let (message, length) = error_message(Some(document.as_bytes()), document.len() + 1);
        assert_eq!((message.as_slice(), length), (self.text("message").as_bytes(), message.len()));
        if let Some(found) = leak(document) {
            panic!("the document gives away {found}: {document}");
        }
    }
}

/// Returns the name of a secret, in any spelling, or of a signature that `document` contains.
pub fn leak(document: &str) -> Option<&'static str> {
    let is_digest = |word: &str| {
        word.len() >= 64
            && word.contains(|c: char| c.is_ascii_digit())
            && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let has_digest = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_digest);
    secret_in(document).or_else(|| texts(document).iter().any(|text| has_digest(text)).then_some("a signature"))
}

/// Returns the name of a secret that `document` contains, in any spelling.
pub fn secret_in(document: &str) -> Option<&'static str> {
    let texts = texts(document);
    let (_, what) = spellings().iter().find(|(spelling, _)| texts.iter().any(|text| text.contains(spelling)))?;
    Some(what)
}

/// Returns the document, and its strings with the escapes of JSON resolved.
fn texts(document: &str) -> Vec<String> {
    fn collect(value: Value, texts: &mut Vec<String>) {
        match value {
            Value::String(text) => texts.push(text),
            Value::Array(values) => values.into_iter().for_each(|value| collect(value, texts)),
            Value::Object(members) => members.into_iter().for_each(|(key, value)| {
                texts.push(key);
                collect(value, texts);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut texts = vec![document.to_owned()];
    // Some tests run on a small stack, and serde_json recurses.
    let depth = document.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if let Some(value) = (depth < 50).then(|| serde_json::from_str(document).ok()).flatten() {
        collect(value, &mut texts);
    }
    texts
}

fn spellings() -> &'static [(String, &'static str)] {
    static ALL: OnceLock<Vec<(String, &str)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let secrets = [
            (SECRET, "the secret"),
            (MASTER_KEY, "the master key"),
            (PROXY_PASSWORD, "the proxy's password"),
            (WEBHOOK_SECRET, "a webhook token's secret"),
        ];
        let mut all: Vec<(String, &str)> = secrets
            .into_iter()
            .flat_map(|(secret, what)| spellings_of(secret.as_bytes()).into_iter().map(move |text| (text, what)))
            .collect();
        // These parts have no special characters, so they are the same in every encoding.
        for part in ["s3cr3t", "m4st3r", "pr0xy", "w3bh00k", "Canary"] {
            all.push((part.to_owned(), "a part of a secret"));
        }
        all
    })
}

/// Returns the spellings of `bytes`: plain, in hex, in base64, percent-encoded.
pub fn spellings_of(bytes: &[u8]) -> Vec<String> {
    let lower: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let percent = |kept: &[u8]| -> String {
        let one = |b: &u8| {
            if b.is_ascii_alphanumeric() || kept.contains(b) { char::from(*b).to_string() } else { format!("%{b:02X}") }
        };
        bytes.iter().map(one).collect()
    };
    let mut all = vec![lower.to_uppercase(), lower, percent(b""), percent(b"-._~"), percent(b"/+&=")];
    all.extend(std::str::from_utf8(bytes).map(str::to_owned));
    // At each offset in a group of three bytes, in both alphabets.
    for skipped in 0..3 {
        let shifted = [vec![0; skipped], bytes.to_vec()].concat();
        let encoded = base64(&shifted);
        let inner = encoded[4..encoded.len() - 4].to_owned();
        all.push(inner.replace('+', "-").replace('/', "_"));
        all.push(inner);
    }
    all
}

/// Base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| -> Vec<char> {
        let number = chunk.iter().chain([&0; 3]).take(3).fold(0usize, |number, b| number << 8 | usize::from(*b));
        let digit =
            |at: usize| if at <= chunk.len() { char::from(ALPHABET[number >> (18 - 6 * at) & 63]) } else { '=' };
        (0..4).map(digit).collect()
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// Decodes base64 with padding.
#[track_caller]
pub fn base64_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{:?} is no base64", char::from(other)),
    };
    assert_eq!(text.len() % 4, 0, "{text} has no padding");
    let digits = text.trim_end_matches('=').as_bytes();
    assert!(text.len() - digits.len() <= 2, "{text} has too much padding");
    let group = |chunk: &[u8]| {
        let number = chunk.iter().fold(0u32, |number, byte| number << 6 | u32::from(digit(*byte)));
        let bytes = (number << (6 * (4 - chunk.len()))).to_be_bytes();
        bytes[1..chunk.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
