//! The background publisher.

use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

use super::boundary::{NO_DOCUMENT, boundary, guarded, handle, optional_text, text, write};
use crate::client::Pusher;
use crate::error::Purpose;
use crate::publisher::PusherPublisher;
use crate::status::Status;

/// Makes a publisher: a queue whose events are sent in the background, several at a time.
///
/// pusher_publisher_publish() checks an event and queues it; it does not wait for the network. Threads of the publisher's own, one
/// for each of `connections`, put what waits together into batches and send them; the first are started by the first event.
///
/// **Order.** A channel's events are delivered in the order in which they were published: a channel always belongs to the same
/// connection, which has one request under way at a time, its retries included. Events that were published by several threads at once
/// have the order in which the calls came through; events of different channels have none. An event for several channels keeps the
/// order of each. An event that is `unknown` may have been delivered late, after those behind it. One that took the place of another
/// (`conflate`) is delivered in that one's place.
///
/// **Reports.** Every event ends exactly once: `delivered`, `not_sent`, `rejected` or `unknown`, as an event that was triggered.
/// What becomes of events is counted (pusher_publisher_stats()) and reported (pusher_publisher_poll()).
///
/// **Refused batches.** A server that refuses a batch (400, 413, 422) may have delivered a part of it. With the retry mode
/// `"at_least_once"` its events are sent again one by one. Otherwise each is `unknown`, except where `batch_is_atomic` says that a
/// refused batch is refused as a whole: then its events are sent one by one in mode `"safe"`, and are `rejected` in mode `"never"`.
///
/// @param client     the client. It may be freed before the publisher; hooks can't be set any more. Its log is told nothing unless
///                   `hooks_on_threads` is true.
/// @param config     a JSON object, or NULL. Not kept.
///                   | key | default | |
///                   |---|---|---|
///                   | `connections` | 2 | requests under way at the same time, 1 to 64 |
///                   | `max_queue_events`, `max_queue_bytes` | 10000, 16777216 | of events that have not ended, with all they take |
///                   | `overflow` | `"reject"` | when full: ::PUSHER_STATUS_QUEUE_FULL; `"block"`: wait up to `timeout_ms`; `"drop_oldest"`: the oldest is not sent |
///                   | `max_batch_events` | the client's | events of one request |
///                   | `max_batch_bytes` | 1048576 | of one request, roughly |
///                   | `linger_ms` | 5 | how long the first of several waits for more, and at most half of `event_ttl_ms`; an event that is alone never waits |
///                   | `event_ttl_ms` | 0 | events that have waited longer are not sent; 0 for none |
///                   | `max_events_per_second` | none | sent by this publisher |
///                   | `reports` | `"failures"` | all but `delivered`; or `"all"`, or `"none"` |
///                   | `max_reports` | 10000 | kept until they are fetched; older ones are given up, and counted |
///                   | `batch_is_atomic` | `false` | above |
///                   | `retry`, `timeout_ms` | the client's | of each request |
///                   | `hooks_on_threads` | `false` | the client's transport and log may be called on the publisher's threads |
///                   | `stats_format` | `"json"` | or `"prometheus"`, for pusher_publisher_stats() |
/// @param publisher  where the publisher goes; set to NULL on failure. The caller frees it with pusher_publisher_free().
/// @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_CONFIG naming the key, or ::PUSHER_STATUS_INVALID_STATE if the client has a
///         transport and `hooks_on_threads` is not true.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_new(
    client: *const Pusher,
    config: *const c_char,
    publisher: *mut *mut PusherPublisher,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        write(publisher, ptr::null_mut());
        boundary(out, Purpose::Other, || {
            let client = handle(client, "client")?;
            handle(publisher, "publisher")?;
            let made = PusherPublisher::new(client, optional_text(config, "config")?)?;
            write(publisher, Box::into_raw(Box::new(made)));
            Ok(NO_DOCUMENT)
        })
    }
}

/// Queues an event, to be sent in the background. It does not wait for the network.
///
/// @param publisher  the publisher.
/// @param channels   as for pusher_trigger(); NULL with the option `user_id`.
/// @param event      the event's name, 1 to 200 characters.
/// @param data       the payload, as for pusher_trigger().
/// @param options    a JSON object, or NULL: `socket_id` and `info` as for pusher_trigger() (what `info` asks for comes with the report);
///                   `user_id`, to send to a user as pusher_send_to_user() does; `conflate`, a text: an event on the same channel with
///                   the same name and `conflate` that still waits is replaced by this one, and reported as `superseded`;
///                   `timeout_ms`, how long to wait for room where `overflow` is `"block"`.
/// @param id         where the event's id goes, by which reports name it: 1 and up; 0 on failure. May be NULL.
/// @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK: queued, and it will be reported. Else it was not taken: ::PUSHER_STATUS_QUEUE_FULL,
///         ::PUSHER_STATUS_CLOSED, ::PUSHER_STATUS_FORKED, or what pusher_trigger() would say before it sends anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_publish(
    publisher: *mut PusherPublisher,
    channels: *const c_char,
    event: *const c_char,
    data: *const c_char,
    options: *const c_char,
    id: *mut u64,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        write(id, 0);
        boundary(out, Purpose::Publish, || {
            let publisher = handle(publisher, "publisher")?;
            let channels = optional_text(channels, "channels")?;
            let (event, data) = (text(event, "event")?, text(data, "data")?);
            let queued = publisher.publish(channels, event, data, optional_text(options, "options")?)?;
            write(id, queued);
            Ok(NO_DOCUMENT)
        })
    }
}

/// Fetches reports of what became of events, waiting for the first of them.
///
/// Each event is reported once, by `id`: `{"reports":[{"id":7,"status":"SERVER_ERROR","message":…,"delivery":"unknown",…}]}`, with
/// the members of an error document, and `"status":"OK"` for what was delivered. What `info` had asked for is in `"answer"`: what is
/// known of the channel, or of several an object of that by channel. An
/// event that was never sent says why: `"reason"` is `"expired"`, `"dropped"`, `"superseded"` or `"closed"`. With `"lost":N` come
/// reports that were given up since the last call, because more than `max_reports` waited.
///
/// @param publisher   the publisher.
/// @param timeout_ms  how long to wait for a report, in milliseconds; 0 not at all, UINT32_MAX for ever. When the publisher is closed
///                    and everything was fetched, it does not wait.
/// @param out         on success up to 1,000 reports, the oldest first; on ::PUSHER_STATUS_TIMED_OUT NULL; else the error document. The
///                    caller frees it with pusher_string_free(). With NULL, the reports are lost.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT if there are no reports, or ::PUSHER_STATUS_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_poll(
    publisher: *mut PusherPublisher,
    timeout_ms: u32,
    out: *mut *mut c_char,
) -> Status {
    let mut nothing = false;
    // SAFETY: each pointer is as the caller of this function promises.
    let status = unsafe {
        boundary(out, Purpose::Other, || {
            let reports = handle(publisher, "publisher")?.poll(duration(timeout_ms))?;
            nothing = reports.is_none();
            Ok(reports)
        })
    };
    if nothing { Status::TimedOut } else { status }
}

/// Waits until every event that was published has ended. Meanwhile nothing lingers. Events that other threads go on publishing are
/// waited for as well: while they do, it may be that only the timeout ends it.
///
/// @param publisher   the publisher.
/// @param timeout_ms  how long to wait, in milliseconds; UINT32_MAX for ever.
/// @param out         on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT (nothing is lost), or ::PUSHER_STATUS_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_flush(
    publisher: *mut PusherPublisher,
    timeout_ms: u32,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            handle(publisher, "publisher")?.flush(duration(timeout_ms))?;
            Ok(NO_DOCUMENT)
        })
    }
}

/// Takes no more events, and waits until those that were published have ended. What has not ended by then ends now: as `not_sent`
/// what waits, as `unknown` what is being sent. Reports can still be fetched, until pusher_publisher_poll() times out.
///
/// @param publisher   the publisher. Closing it again does no harm.
/// @param timeout_ms  how long to wait, in milliseconds; UINT32_MAX for ever.
/// @param out         on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT if there were events to be ended so, or ::PUSHER_STATUS_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_close(
    publisher: *mut PusherPublisher,
    timeout_ms: u32,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            handle(publisher, "publisher")?.close(duration(timeout_ms))?;
            Ok(NO_DOCUMENT)
        })
    }
}

/// Counts and times of a publisher.
///
/// As JSON: `queue` (`events` that have not ended, their `bytes`, and those `in_flight`), `events` (`published`, `refused` for want of
/// room, and ended as `delivered`, `not_sent`, `rejected`, `unknown`), `unsent` (of those not sent, by reason), `requests` (each
/// attempt), `batch_events` (events in a request), `retries` (by what had gone wrong: a `cause` of error documents, `rate_limited`,
/// `server_error`, `refused` for what is sent one by one), `latency_ms` (from publishing to the end), `reports` (`waiting`, `lost`).
/// `batch_events` and `latency_ms` are histograms: `count`, `sum`, and `buckets` of `[bound, count]`, the last without bound.
///
/// With `"stats_format":"prometheus"` the same as Prometheus' text format, ready to be served.
///
/// @param publisher  the publisher.
/// @param out        on success the statistics; on failure the error document. The caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_stats(publisher: *const PusherPublisher, out: *mut *mut c_char) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { boundary(out, Purpose::Other, || handle(publisher, "publisher")?.stats().map(Some)) }
}

/// Closes a publisher, waiting at most a second, and frees it. What becomes of its last events is not reported then: call
/// pusher_publisher_close() and fetch the reports first.
///
/// A request that is still waiting for its answer is left to itself: its thread ends with it, within its `timeout_ms`.
///
/// @param publisher  NULL is fine. No other call may be using it. In a forked child nothing is closed, and its memory stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_free(publisher: *mut PusherPublisher) {
    if !publisher.is_null() {
        // SAFETY: it came out of a Box in `pusher_publisher_new`, and the caller gives it back for good.
        let publisher = unsafe { Box::from_raw(publisher) };
        guarded((), || drop(publisher));
    }
}

/// A time to wait; `None` is for ever.
fn duration(timeout_ms: u32) -> Option<Duration> {
    (timeout_ms != u32::MAX).then(|| Duration::from_millis(timeout_ms.into()))
}
