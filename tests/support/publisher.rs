//! The background publisher, wrapped for Rust tests: its calls, its reports, and the events that arrive at the server.

use std::ffi::{c_char, c_void};
use std::ptr::{self, NonNull};

use pusher::ffi;
use serde_json::{Map, Value};

use super::PATIENCE;
use super::calls::{self, Client, Outcome};
use super::server::Received;

/// The `timeout_ms` of a wait without limit.
pub const FOR_EVER: u32 = u32::MAX;

/// Returns [`PATIENCE`] in milliseconds.
pub fn patience_ms() -> u32 {
    u32::try_from(PATIENCE.as_millis()).unwrap()
}

/// TIMED_OUT.
const TIMED_OUT: i32 = 82;

/// A publisher made by `pusher_publisher_new`, freed when it is dropped.
#[derive(Debug)]
pub struct Publisher(pub NonNull<c_void>);

// SAFETY: the library promises that publishers may be used by any thread.
unsafe impl Send for Publisher {}
// SAFETY: as above.
unsafe impl Sync for Publisher {}

impl Drop for Publisher {
    fn drop(&mut self) {
        // SAFETY: it came from pusher_publisher_new, and nothing uses it any more.
        unsafe { ffi::pusher_publisher_free(self.0.as_ptr().cast()) };
    }
}

/// Calls `pusher_publisher_free` on NULL.
pub fn free_null() {
    // SAFETY: the function accepts NULL.
    unsafe { ffi::pusher_publisher_free(ptr::null_mut()) };
}

/// The result of `pusher_publisher_poll`.
#[derive(Clone, Debug, Default)]
pub struct Polled {
    /// The reports in their order.
    pub reports: Vec<Report>,
    /// The number of lost reports; `None` if the document has none.
    pub lost: Option<u64>,
}

/// The report of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The id of the event.
    pub id: u64,
    /// A status's name.
    pub status: String,
    /// One of the four words.
    pub delivery: String,
    /// The whole report.
    pub members: Map<String, Value>,
}

impl Report {
    /// Reads a report, and checks what must be true of every report.
    #[track_caller]
    fn new(value: Value) -> Report {
        const MEMBERS: [&str; 16] = [
            "id",
            "status",
            "message",
            "delivery",
            "reason",
            "answer",
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
        let Value::Object(members) = value else { panic!("a report is {value}") };
        let text = |name: &str| members[name].as_str().unwrap_or_else(|| panic!("no {name}: {members:?}")).to_owned();
        let (status, delivery) = (text("status"), text("delivery"));
        let id = members["id"].as_u64().unwrap_or_else(|| panic!("no id: {members:?}"));
        assert_ne!(id, 0);
        assert!(members.keys().all(|name| MEMBERS.contains(&name.as_str())), "{members:?}");
        assert!(["delivered", "not_sent", "rejected", "unknown"].contains(&&*delivery), "{members:?}");
        assert_eq!(status == "OK", delivery == "delivered", "{members:?}");
        assert_ne!(status, "INTERNAL", "{members:?}");
        assert!(status == "OK" || !text("message").is_empty(), "{members:?}");
        Report { id, status, delivery, members }
    }

    /// Returns a string member; `""` if it is absent.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        match self.members.get(name) {
            None => "",
            Some(Value::String(text)) => text,
            Some(other) => panic!("{name} is {other}"),
        }
    }

    /// Returns a number member, if it is present.
    #[track_caller]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.members.get(name).map(|value| value.as_u64().unwrap_or_else(|| panic!("{name} is {value}")))
    }

    /// Asserts id, status, delivery and reason.
    #[track_caller]
    pub fn is(&self, id: u64, status: &str, delivery: &str, reason: &str) -> &Self {
        let said = (self.id, &*self.status, &*self.delivery, self.text("reason"));
        assert_eq!(said, (id, status, delivery, reason), "{self:?}");
        self
    }
}

/// Calls `pusher_publisher_new` with any bytes; `None` is NULL.
#[track_caller]
pub fn try_new(client: Option<&Client>, config: Option<&[u8]>) -> Result<Publisher, Outcome> {
    let config = config.map(calls::c_string);
    let stale: *mut c_void = NonNull::dangling().as_ptr();
    let mut publisher = stale;
    let outcome = calls::call(|out| {
        let client = client.map_or(ptr::null_mut(), |client| client.0.as_ptr());
        // SAFETY: every pointer is NULL or good for the call.
        unsafe {
            ffi::pusher_publisher_new(
                client.cast(),
                calls::pointer(config.as_deref()),
                (&raw mut publisher).cast(),
                out,
            ) as i32
        }
    });
    assert_ne!(publisher, stale, "*publisher was not written: {outcome:?}");
    match NonNull::new(publisher) {
        Some(publisher) if outcome.status == 0 => {
            assert_eq!(outcome.document, None, "pusher_publisher_new has no result");
            Ok(Publisher(publisher))
        }
        None if outcome.status != 0 => Err(outcome),
        _ => panic!("*publisher is {publisher:?} with {outcome:?}"),
    }
}

/// Calls `pusher_publisher_new` with NULL for `publisher`.
#[track_caller]
pub fn new_without_place(client: &Client) -> Outcome {
    let client: *const c_void = client.0.as_ptr();
    // SAFETY: the client is alive, and the rest is NULL.
    calls::call(|out| unsafe { ffi::pusher_publisher_new(client.cast(), ptr::null(), ptr::null_mut(), out) as i32 })
}

/// Calls `pusher_publisher_publish` with any bytes: channels, event, data and options. `None` is NULL.
#[track_caller]
pub fn publish(publisher: Option<&Publisher>, texts: [Option<&[u8]>; 4]) -> Result<u64, Outcome> {
    let texts = texts.map(|text| text.map(calls::c_string));
    let [channels, event, data, options] = texts.each_ref().map(|text| calls::pointer(text.as_deref()));
    const STALE: u64 = 0x5151_5151;
    let mut id = STALE;
    let outcome = calls::call(|out| {
        // SAFETY: every pointer is NULL or good for the call.
        unsafe {
            ffi::pusher_publisher_publish(raw(publisher).cast(), channels, event, data, options, &raw mut id, out)
                as i32
        }
    });
    assert_ne!(id, STALE, "*id was not written: {outcome:?}");
    assert_eq!(id > 0, outcome.status == 0, "{id} with {outcome:?}");
    if id > 0 {
        assert_eq!(outcome.document, None, "pusher_publisher_publish has no result");
        return Ok(id);
    }
    assert_eq!(outcome.delivery(), "not_sent", "{outcome:?}");
    Err(outcome)
}

/// Calls every function of a publisher but `new` and `free` with NULL for `out` and `id`, or for everything. Returns the
/// statuses of publish, poll, flush, close and stats.
pub fn without_out(publisher: Option<&Publisher>) -> [i32; 5] {
    let raw = raw(publisher);
    let none = ptr::null_mut();
    // SAFETY: the strings are C strings, and every other pointer is NULL or a live publisher.
    unsafe {
        [
            ffi::pusher_publisher_publish(
                raw.cast(),
                c"c".as_ptr(),
                c"e".as_ptr(),
                c"1".as_ptr(),
                ptr::null(),
                ptr::null_mut(),
                none,
            ) as i32,
            ffi::pusher_publisher_poll(raw.cast(), patience_ms(), none) as i32,
            ffi::pusher_publisher_flush(raw.cast(), patience_ms(), none) as i32,
            ffi::pusher_publisher_close(raw.cast(), patience_ms(), none) as i32,
            ffi::pusher_publisher_stats(raw.cast(), none) as i32,
        ]
    }
}

/// Calls `pusher_publisher_poll`, and checks that it writes NULL with TIMED_OUT only.
#[track_caller]
pub fn raw_poll(publisher: Option<&Publisher>, timeout_ms: u32) -> Outcome {
    let mut timed_out = false;
    let mut outcome = calls::call(|out| {
        // SAFETY: a live publisher or NULL, and a valid `out`.
        let (status, is_null) = unsafe {
            let status = ffi::pusher_publisher_poll(raw(publisher).cast(), timeout_ms, out) as i32;
            (status, (*out).is_null())
        };
        timed_out = status == TIMED_OUT;
        // There is no document to check.
        if timed_out && is_null { 0 } else { status }
    });
    assert_eq!(timed_out, outcome.document.is_none(), "{outcome:?}");
    if timed_out {
        outcome.status = TIMED_OUT;
    }
    outcome
}

/// `pusher_publisher_fd`: the descriptor, or the error.
#[track_caller]
pub fn fd(publisher: Option<&Publisher>) -> Result<i32, Outcome> {
    let mut fd = -7;
    // SAFETY: a live publisher or NULL, and valid places.
    let outcome =
        calls::call(|out| unsafe { ffi::pusher_publisher_fd(raw(publisher).cast(), &raw mut fd, out) as i32 });
    assert_eq!(fd >= 0, outcome.status == 0, "{fd} with {outcome:?}");
    if outcome.status != 0 {
        assert_eq!(fd, -1);
        return Err(outcome);
    }
    assert_eq!(outcome.document, None, "pusher_publisher_fd has no result");
    Ok(i32::try_from(fd).unwrap())
}

/// Calls `pusher_publisher_fd` with NULL for `fd`.
pub fn fd_without_place(publisher: &Publisher) -> Outcome {
    // SAFETY: a live publisher, and a valid `out`.
    calls::call(|out| unsafe { ffi::pusher_publisher_fd(raw(Some(publisher)).cast(), ptr::null_mut(), out) as i32 })
}

/// `pusher_publisher_flush`.
#[track_caller]
pub fn flush(publisher: Option<&Publisher>, timeout_ms: u32) -> Outcome {
    // SAFETY: a live publisher or NULL, and a valid `out`.
    calls::call(|out| unsafe { ffi::pusher_publisher_flush(raw(publisher).cast(), timeout_ms, out) as i32 })
}

/// `pusher_publisher_close`.
#[track_caller]
pub fn close(publisher: Option<&Publisher>, timeout_ms: u32) -> Outcome {
    // SAFETY: as above.
    calls::call(|out| unsafe { ffi::pusher_publisher_close(raw(publisher).cast(), timeout_ms, out) as i32 })
}

/// `pusher_publisher_stats`.
#[track_caller]
pub fn stats(publisher: Option<&Publisher>) -> Outcome {
    // SAFETY: as above.
    calls::call(|out| unsafe { ffi::pusher_publisher_stats(raw(publisher).cast(), out) as i32 })
}

/// `pusher_publisher_drain`.
#[track_caller]
pub fn drain(publisher: Option<&Publisher>, timeout_ms: u32) -> Outcome {
    // SAFETY: as above.
    calls::call(|out| unsafe { ffi::pusher_publisher_drain(raw(publisher).cast(), timeout_ms, out) as i32 })
}

/// `pusher_publisher_drain` with NULL for `out`. Returns the status.
pub fn drain_without_out(publisher: Option<&Publisher>) -> i32 {
    // SAFETY: as above; the function accepts NULL.
    unsafe { ffi::pusher_publisher_drain(raw(publisher).cast(), 0, ptr::null_mut()) as i32 }
}

/// `pusher_publisher_restore`; `None` is NULL.
#[track_caller]
pub fn restore(publisher: Option<&Publisher>, drained: Option<&[u8]>) -> Outcome {
    let drained = drained.map(calls::c_string);
    // SAFETY: as above, and a C string or NULL.
    calls::call(|out| unsafe {
        ffi::pusher_publisher_restore(raw(publisher).cast(), calls::pointer(drained.as_deref()), out) as i32
    })
}

fn raw(publisher: Option<&Publisher>) -> *mut c_void {
    publisher.map_or(ptr::null_mut(), |publisher| publisher.0.as_ptr())
}

impl Publisher {
    /// Creates a publisher; panics if that fails.
    #[track_caller]
    pub fn new(client: &Client, config: &Value) -> Publisher {
        let config = config.to_string();
        try_new(Some(client), Some(config.as_bytes())).unwrap_or_else(|outcome| panic!("{config}: {outcome:?}"))
    }

    /// Publishes an event, and returns its id; panics if it is refused.
    #[track_caller]
    pub fn publish(&self, channels: &str, event: &str, data: &str) -> u64 {
        self.try_publish(channels, event, data, None).unwrap_or_else(|outcome| panic!("{channels}: {outcome:?}"))
    }

    /// As above, with options.
    #[track_caller]
    pub fn publish_with(&self, channels: &str, event: &str, data: &str, options: &Value) -> u64 {
        self.try_publish(channels, event, data, Some(options))
            .unwrap_or_else(|outcome| panic!("{channels} {options}: {outcome:?}"))
    }

    /// Publishes an event; returns its id, or the error.
    #[track_caller]
    pub fn try_publish(
        &self,
        channels: &str,
        event: &str,
        data: &str,
        options: Option<&Value>,
    ) -> Result<u64, Outcome> {
        let options = options.map(Value::to_string);
        let [channels, event, data] = [channels, event, data].map(|text| Some(text.as_bytes()));
        publish(Some(self), [channels, event, data, options.as_deref().map(str::as_bytes)])
    }

    /// Fetches reports; `None` if the time passes without any.
    #[track_caller]
    pub fn poll(&self, timeout_ms: u32) -> Option<Polled> {
        let outcome = raw_poll(Some(self), timeout_ms);
        if outcome.status == TIMED_OUT {
            return None;
        }
        assert_eq!(outcome.name(), "OK", "{outcome:?}");
        let document = outcome.document.unwrap();
        if let Some(found) = calls::leak(&document) {
            panic!("the reports give away {found}: {document}");
        }
        let mut document: Value = serde_json::from_str(&document).unwrap_or_else(|e| panic!("{e}: {document}"));
        let members = document.as_object_mut().unwrap();
        let Some(Value::Array(reports)) = members.remove("reports") else { panic!("no reports: {members:?}") };
        let lost = members.remove("lost").map(|lost| lost.as_u64().unwrap());
        assert!(members.is_empty(), "{members:?}");
        // A document without reports is an error.
        assert!((1..=1000).contains(&reports.len()), "{} reports", reports.len());
        assert_ne!(lost, Some(0));
        Some(Polled { reports: reports.into_iter().map(Report::new).collect(), lost })
    }

    /// Returns the reports of `count` events, in the order in which they ended.
    #[track_caller]
    pub fn reports(&self, count: usize) -> Vec<Report> {
        let mut reports = Vec::new();
        while reports.len() < count {
            let polled = self.poll(patience_ms());
            let polled = polled.unwrap_or_else(|| panic!("{} of {count} reports came: {reports:?}", reports.len()));
            assert_eq!(polled.lost, None);
            reports.extend(polled.reports);
        }
        assert_eq!(reports.len(), count, "{reports:?}");
        reports
    }

    /// Returns the report of the event that ends next; asserts that it is the only one.
    #[track_caller]
    pub fn report(&self) -> Report {
        self.reports(1).remove(0)
    }

    /// Asserts that there is no report now.
    #[track_caller]
    pub fn has_no_report(&self) {
        let polled = self.poll(0);
        assert!(polled.is_none(), "{polled:?}");
    }

    /// Waits until all events have ended.
    #[track_caller]
    pub fn flush(&self) {
        self.flush_within(patience_ms() * 3);
    }

    /// As above, for so long.
    #[track_caller]
    pub fn flush_within(&self, timeout_ms: u32) {
        let outcome = flush(Some(self), timeout_ms);
        assert_eq!((outcome.name(), &outcome.document), ("OK", &None), "{outcome:?}: {}", self.stats_text());
    }

    /// Closes the publisher and waits until all events have ended.
    #[track_caller]
    pub fn close(&self) {
        let outcome = close(Some(self), patience_ms() * 3);
        assert_eq!((outcome.name(), &outcome.document), ("OK", &None), "{outcome:?}");
    }

    /// Drains the publisher, and returns the document.
    #[track_caller]
    pub fn drain(&self, timeout_ms: u32) -> String {
        let outcome = drain(Some(self), timeout_ms);
        assert_eq!(outcome.name(), "OK", "{outcome:?}");
        let document = outcome.document.unwrap();
        assert_eq!(calls::leak(&document), None, "{document}");
        document
    }

    /// Restores a document, and returns the pairs of `id` and `drained_id`.
    #[track_caller]
    pub fn restore(&self, drained: &str) -> Vec<(u64, u64)> {
        let outcome = restore(Some(self), Some(drained.as_bytes()));
        assert_eq!(outcome.name(), "OK", "{outcome:?}");
        let document: Value = serde_json::from_str(&outcome.document.unwrap()).unwrap();
        assert_eq!(document.as_object().unwrap().len(), 1, "{document}");
        let pair = |pair: &Value| {
            assert_eq!(pair.as_object().unwrap().len(), 2, "{document}");
            (pair["id"].as_u64().unwrap(), pair["drained_id"].as_u64().unwrap())
        };
        document["restored"].as_array().unwrap().iter().map(pair).collect()
    }

    /// Returns the statistics as a string.
    #[track_caller]
    pub fn stats_text(&self) -> String {
        let outcome = stats(Some(self));
        assert_eq!(outcome.name(), "OK", "{outcome:?}");
        let text = outcome.document.unwrap();
        assert_eq!(calls::leak(&text), None, "{text}");
        text
    }

    /// Returns the statistics, parsed as JSON.
    #[track_caller]
    pub fn stats(&self) -> Value {
        let text = self.stats_text();
        let stats: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let number = |group: &str, name: &str| stats[group][name].as_u64().unwrap_or_else(|| panic!("{group}.{name}"));
        let ended: u64 = ["delivered", "not_sent", "rejected", "unknown"].map(|end| number("events", end)).iter().sum();
        assert_eq!(number("events", "published"), ended + number("queue", "events"), "{stats}");
        let unsent: u64 = ["expired", "dropped", "superseded", "closed", "drained"]
            .map(|reason| number("unsent", reason))
            .iter()
            .sum();
        assert!(unsent <= number("events", "not_sent"), "{stats}");
        assert_eq!(number("latency_ms", "count"), ended, "{stats}");
        stats
    }
}

/// An event in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its channels.
    pub channels: Vec<String>,
    /// Its name.
    pub name: String,
    /// Its data, which is always a string.
    pub data: String,
    /// The excluded socket.
    pub socket_id: Option<String>,
    /// The requested attributes.
    pub info: Option<String>,
}

/// Reads the events of a request, as strictly as the strictest server.
#[track_caller]
pub fn events_of(request: &Received) -> Vec<Event> {
    let Value::Object(mut body) = request.json() else { panic!("{}", request.text()) };
    let event = |members: &mut Map<String, Value>, channels: Vec<String>| {
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            None => None,
            Some(other) => panic!("{name} is {other}"),
        };
        let (name, data) = (text("name").expect("a name"), text("data").expect("data"));
        let event = Event { channels, name, data, socket_id: text("socket_id"), info: text("info") };
        assert!(members.is_empty(), "there is more: {members:?}");
        event
    };
    if request.path().ends_with("/events") {
        let channels = body.remove("channels").and_then(|channels| serde_json::from_value(channels).ok());
        return vec![event(&mut body, channels.expect("channels"))];
    }
    assert!(request.path().ends_with("/batch_events"), "{}", request.line());
    let Some(Value::Array(batch)) = body.remove("batch") else { panic!("no batch: {}", request.text()) };
    assert!(body.is_empty(), "{}", request.text());
    let one = |value: Value| {
        let Value::Object(mut members) = value else { panic!("{value}") };
        let Some(Value::String(channel)) = members.remove("channel") else { panic!("no channel: {members:?}") };
        event(&mut members, vec![channel])
    };
    batch.into_iter().map(one).collect()
}

/// Returns the data of the events of each request.
pub fn data_of(ledger: &[Received]) -> Vec<Vec<String>> {
    let data = |request: &Received| events_of(request).into_iter().map(|event| event.data).collect();
    ledger.iter().map(data).collect()
}

/// Calls `pusher_set_log` with a callback of the test.
pub fn set_raw_log(
    client: &Client,
    log: unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char),
    data: *mut c_void,
    drop: unsafe extern "C" fn(*mut c_void),
) -> i32 {
    // SAFETY: the client is alive, and the test guarantees the rest.
    unsafe { ffi::pusher_set_log(client.0.as_ptr().cast(), Some(log), data, Some(drop), ptr::null_mut()) as i32 }
}
