//! The background publisher as Rust likes to call it, what it reports, and what of it arrives at the server.

use std::ffi::{c_char, c_void};
use std::ptr::{self, NonNull};

use pusher::ffi;
use serde_json::{Map, Value};

use super::PATIENCE;
use super::calls::{self, Client, Outcome};
use super::server::Received;

/// `timeout_ms` of those that wait for ever.
pub const FOR_EVER: u32 = u32::MAX;

/// [`PATIENCE`] as C says it.
pub fn patience_ms() -> u32 {
    u32::try_from(PATIENCE.as_millis()).unwrap()
}

/// TIMED_OUT.
const TIMED_OUT: i32 = 82;

/// A publisher made by `pusher_publisher_new`, freed when it is dropped.
#[derive(Debug)]
pub struct Publisher(NonNull<c_void>);

// SAFETY: that is what the library promises of its publishers.
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
    // SAFETY: it is documented for NULL.
    unsafe { ffi::pusher_publisher_free(ptr::null_mut()) };
}

/// What `pusher_publisher_poll` handed over.
#[derive(Clone, Debug, Default)]
pub struct Polled {
    /// The reports in their order.
    pub reports: Vec<Report>,
    /// How many were given up; `None` where nothing is said of that.
    pub lost: Option<u64>,
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The event.
    pub id: u64,
    /// A status's name.
    pub status: String,
    /// One of the four words.
    pub delivery: String,
    /// Everything, as it came.
    pub members: Map<String, Value>,
}

impl Report {
    /// Reads one, and holds what holds for every report.
    #[track_caller]
    fn new(value: Value) -> Report {
        const MEMBERS: [&str; 13] = [
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
            "retry_after_ms",
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

    /// A member that is a text; `""` where it is left out.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        match self.members.get(name) {
            None => "",
            Some(Value::String(text)) => text,
            Some(other) => panic!("{name} is {other}"),
        }
    }

    /// A member that is a number, if it is there.
    #[track_caller]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.members.get(name).map(|value| value.as_u64().unwrap_or_else(|| panic!("{name} is {value}")))
    }

    /// Holds id, status, delivery and reason.
    #[track_caller]
    pub fn is(&self, id: u64, status: &str, delivery: &str, reason: &str) -> &Self {
        let said = (self.id, &*self.status, &*self.delivery, self.text("reason"));
        assert_eq!(said, (id, status, delivery, reason), "{self:?}");
        self
    }
}

/// Calls `pusher_publisher_new` with whatever comes; `None` is NULL.
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

/// Calls `pusher_publisher_new` without a place for the publisher.
#[track_caller]
pub fn new_without_place(client: &Client) -> Outcome {
    let client: *const c_void = client.0.as_ptr();
    // SAFETY: a client that lives, and NULL for the rest.
    calls::call(|out| unsafe { ffi::pusher_publisher_new(client.cast(), ptr::null(), ptr::null_mut(), out) as i32 })
}

/// Calls `pusher_publisher_publish` with whatever comes: `None` is NULL. The texts are channels, event, data and options.
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

/// Every function of a publisher but `new` and `free`, with `out` and `id` NULL, or everything NULL. Their statuses: publish, poll,
/// flush, close, stats.
pub fn without_out(publisher: Option<&Publisher>) -> [i32; 5] {
    let raw = raw(publisher);
    let none = ptr::null_mut();
    // SAFETY: the texts are C strings, and every other pointer is NULL or a publisher that lives.
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

/// `pusher_publisher_poll` as it is: NULL comes with TIMED_OUT, and a document with everything else.
#[track_caller]
pub fn raw_poll(publisher: Option<&Publisher>, timeout_ms: u32) -> Outcome {
    let mut timed_out = false;
    let mut outcome = calls::call(|out| {
        // SAFETY: a publisher that lives or NULL, and a place for the document.
        let (status, is_null) = unsafe {
            let status = ffi::pusher_publisher_poll(raw(publisher).cast(), timeout_ms, out) as i32;
            (status, (*out).is_null())
        };
        timed_out = status == TIMED_OUT;
        // No error has come with it that could be checked.
        if timed_out && is_null { 0 } else { status }
    });
    assert_eq!(timed_out, outcome.document.is_none(), "{outcome:?}");
    if timed_out {
        outcome.status = TIMED_OUT;
    }
    outcome
}

/// `pusher_publisher_flush`.
#[track_caller]
pub fn flush(publisher: Option<&Publisher>, timeout_ms: u32) -> Outcome {
    // SAFETY: a publisher that lives or NULL, and a place for the document.
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

fn raw(publisher: Option<&Publisher>) -> *mut c_void {
    publisher.map_or(ptr::null_mut(), |publisher| publisher.0.as_ptr())
}

impl Publisher {
    /// One that has to come about.
    #[track_caller]
    pub fn new(client: &Client, config: &Value) -> Publisher {
        let config = config.to_string();
        try_new(Some(client), Some(config.as_bytes())).unwrap_or_else(|outcome| panic!("{config}: {outcome:?}"))
    }

    /// Publishes an event that has to be taken, and says its id.
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

    /// Publishes an event, or says why it was not taken.
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

    /// Fetches reports; `None` if none came in that time.
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
        // There is no reason to come with nothing.
        assert!((1..=1000).contains(&reports.len()), "{} reports", reports.len());
        assert_ne!(lost, Some(0));
        Some(Polled { reports: reports.into_iter().map(Report::new).collect(), lost })
    }

    /// The reports of so many events, as they come.
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

    /// The report of the one event that ends next.
    #[track_caller]
    pub fn report(&self) -> Report {
        self.reports(1).remove(0)
    }

    /// Holds that there is no report now.
    #[track_caller]
    pub fn has_no_report(&self) {
        let polled = self.poll(0);
        assert!(polled.is_none(), "{polled:?}");
    }

    /// Waits until everything has ended.
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

    /// Waits until everything has ended, and lets nothing more in.
    #[track_caller]
    pub fn close(&self) {
        let outcome = close(Some(self), patience_ms() * 3);
        assert_eq!((outcome.name(), &outcome.document), ("OK", &None), "{outcome:?}");
    }

    /// The statistics as they come.
    #[track_caller]
    pub fn stats_text(&self) -> String {
        let outcome = stats(Some(self));
        assert_eq!(outcome.name(), "OK", "{outcome:?}");
        let text = outcome.document.unwrap();
        assert_eq!(calls::leak(&text), None, "{text}");
        text
    }

    /// The statistics, JSON.
    #[track_caller]
    pub fn stats(&self) -> Value {
        let text = self.stats_text();
        let stats: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let number = |group: &str, name: &str| stats[group][name].as_u64().unwrap_or_else(|| panic!("{group}.{name}"));
        let ended: u64 = ["delivered", "not_sent", "rejected", "unknown"].map(|end| number("events", end)).iter().sum();
        assert_eq!(number("events", "published"), ended + number("queue", "events"), "{stats}");
        let unsent: u64 =
            ["expired", "dropped", "superseded", "closed"].map(|reason| number("unsent", reason)).iter().sum();
        assert!(unsent <= number("events", "not_sent"), "{stats}");
        assert_eq!(number("latency_ms", "count"), ended, "{stats}");
        stats
    }
}

/// An event on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where it goes.
    pub channels: Vec<String>,
    /// Its name.
    pub name: String,
    /// The content of its data, which is always a text.
    pub data: String,
    /// The socket that is left out.
    pub socket_id: Option<String>,
    /// What is asked for.
    pub info: Option<String>,
}

/// The events of a request, as strict as the strictest server would be.
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

/// The data of the events in each request.
pub fn data_of(ledger: &[Received]) -> Vec<Vec<String>> {
    let data = |request: &Received| events_of(request).into_iter().map(|event| event.data).collect();
    ledger.iter().map(data).collect()
}

/// `pusher_set_log` with a function of the test's own.
pub fn set_raw_log(
    client: &Client,
    log: unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char),
    data: *mut c_void,
    drop: unsafe extern "C" fn(*mut c_void),
) -> i32 {
    // SAFETY: the client lives, and the test vouches for the rest.
    unsafe { ffi::pusher_set_log(client.0.as_ptr().cast(), Some(log), data, Some(drop), ptr::null_mut()) as i32 }
}
