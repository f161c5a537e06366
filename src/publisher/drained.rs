//! The document of the events that a publisher did not send, and what another publisher makes of it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::queue::Unsent;
use crate::api::{DrainedEvent, Event};
use crate::bytes::copied;
use crate::client::{Application, SizeLimit};
use crate::error::{Error, OutOfMemory, Problem, Refusal};
use crate::json::{Json, Writer, shown};

/// The version of the document, and the member that has it.
const VERSION: u64 = 1;
const VERSION_KEY: &str = "libpusher_drained";

/// The argument with the document.
const ARGUMENT: &str = "drained";

/// The time by the clock that others share, beside the one that only goes forward.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    now: Instant,
    since_1970: Duration,
}

impl Clock {
    /// Reads both clocks.
    pub fn read() -> Clock {
        Clock { now: Instant::now(), since_1970: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// Returns an instant in milliseconds since 1970.
    fn milliseconds(self, instant: Instant) -> u64 {
        let at = self.since_1970.saturating_sub(self.now.saturating_duration_since(instant));
        u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the instant of a time in milliseconds since 1970: now for a later one, and for one before what the clock
    /// knows.
    pub fn instant(self, milliseconds: u64) -> Instant {
        let age = self.since_1970.saturating_sub(Duration::from_millis(milliseconds));
        self.now.checked_sub(age).unwrap_or(self.now)
    }
}

/// Returns the document `{"libpusher_drained":1,"app_id","events":[…]}`.
pub fn document(application: &Application, events: &[Unsent<'_, Event>], clock: Clock) -> Result<Vec<u8>, Error> {
    let mut json = Writer::new();
    json.begin_object().key(VERSION_KEY).number(VERSION);
    json.key("app_id").string(application.app_id()).key("events").begin_array();
    for Unsent { id, published, key, event, .. } in events {
        application.write_drained(&mut json, (*id, clock.milliseconds(*published)), event, *key)?;
    }
    json.end_array().end_object();
    // With room for the NUL of the C boundary and no more, so that nothing can fail there: then the events would be lost.
    copied(&json.finish()?)
}

/// Reads a document. There are at most `max_events`, each of which fits into a request of this size.
pub fn read(
    application: &Application,
    text: &str,
    max_events: usize,
    limit: Option<SizeLimit>,
) -> Result<Vec<DrainedEvent>, Error> {
    let events = events_of(application, text).map_err(|problem| problem.within(ARGUMENT))?;
    let elements = events.elements("", max_events).map_err(|problem| problem.within("drained.events"))?;
    if elements.len() > max_events {
        return Err(Error::Publisher(Refusal::QueueFull));
    }
    let mut events = Vec::new();
    events.try_reserve_exact(elements.len()).map_err(|_| OutOfMemory)?;
    for (index, element) in elements.into_iter().enumerate() {
        let event = application.read_drained(element).and_then(|drained| {
            limit.map_or(Ok(()), |limit| application.check_size(&drained.event, limit))?;
            Ok(drained)
        });
        events.push(event.map_err(|error| error.within(format_args!("drained.events[{index}]")))?);
    }
    Ok(events)
}

/// Returns the events of a document, once its other members are checked.
fn events_of<'a>(application: &Application, text: &'a str) -> Result<Json<'a>, Problem> {
    let (mut version, mut app_id, mut events) = (None, None, None);
    for (key, value) in Json::members_of(text, "")? {
        match key.as_ref() {
            VERSION_KEY => version = Some(value),
            "app_id" => app_id = Some(value.string("app_id")?),
            "events" => events = Some(value),
            _ => return Err(Problem::new(shown(&key), "is not a member of a drained document")),
        }
    }
    let version = version.ok_or_else(|| Problem::new("", "is not a document of pusher_publisher_drain()"))?;
    if version.integer() != Some(VERSION) {
        let message = format!("must be {VERSION}: another version of libpusher has written the document");
        return Err(Problem::new(VERSION_KEY, message));
    }
    let app_id = app_id.ok_or_else(|| Problem::new("app_id", "is missing"))?;
    if app_id != application.app_id() {
        return Err(Problem::new("app_id", "is that of another application"));
    }
    events.ok_or_else(|| Problem::new("events", "is missing"))
}

/// Returns the document `{"restored":[{"id","drained_id"}…]}` of events whose ids begin with `first`.
pub fn restored(drained_ids: &[u64], first: u64) -> Result<Vec<u8>, Error> {
    let mut json = Writer::new();
    json.begin_object().key("restored").begin_array();
    for (id, drained_id) in (first..).zip(drained_ids) {
        json.begin_object().key("id").number(id).key("drained_id").number(*drained_id).end_object();
    }
    json.end_array().end_object();
    // As above.
    copied(&json.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_same_by_both_clocks() {
        let clock = Clock { now: Instant::now(), since_1970: Duration::from_millis(1_700_000_000_123) };
        let earlier = clock.now - Duration::from_millis(1500);
        assert_eq!(clock.milliseconds(earlier), 1_699_999_998_623);
        assert_eq!(clock.instant(1_699_999_998_623), earlier);
        // Of a clock that is ahead.
        assert_eq!(clock.instant(u64::MAX), clock.now);
        assert!(clock.instant(0) <= clock.now);
    }
}
