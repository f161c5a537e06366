//! The background publisher.

use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

use libc::intptr_t as IntPtr;

use super::boundary::{boundary, guarded, handle, optional_text, out_place, text, write};
use crate::client::Pusher;
use crate::error::Purpose;
use crate::publisher::PusherPublisher;
use crate::status::Status;

/// Creates a publisher: a queue whose events are sent in the background.
///
/// pusher_publisher_publish() checks an event and queues it, without waiting for the network.
/// The publisher has one thread for each of its `connections`, started by the first event for
/// it. Each thread puts the events that wait into batches and sends them.
///
/// An unknown key in `config` is an error. `docs/configuration.md` has the types, ranges and
/// examples of these keys:
///
/// | key                     | default      | meaning                                         |
/// |-------------------------|--------------|-------------------------------------------------|
/// | `connections`           | 2            | requests in flight at the same time             |
/// | `max_queue_events`      | 10000        | limit of events that have not ended             |
/// | `max_queue_bytes`       | 16777216     | limit of the memory of these and their requests |
/// | `overflow`              | `"reject"`   | if full; or `"block"`, `"drop_oldest"`          |
/// | `max_batch_events`      | the client's | limit of events in a request                    |
/// | `max_batch_bytes`       | 1048576      | approximate limit of a request                  |
/// | `linger_ms`             | 5            | how long to wait to fill a batch                |
/// | `event_ttl_ms`          | 0            | oldest event to send; 0 for any age             |
/// | `max_events_per_second` | none         | limit of the rate of sending                    |
/// | `pace_by_rate_limit`    | `false`      | wait before the server answers 429: see below   |
/// | `reports`               | `"failures"` | events to report; or `"all"`, `"none"`          |
/// | `max_reports`           | 10000        | limit of reports kept until they are fetched    |
/// | `batch_is_atomic`       | `false`      | see below                                       |
/// | `retry`                 | the client's | retry mode and attempts                         |
/// | `timeout_ms`            | the client's | limit of a request, with all its attempts       |
/// | `hooks_on_threads`      | `false`      | allow callbacks on the publisher's threads      |
/// | `stats_format`          | `"json"`     | or `"prometheus"`, for pusher_publisher_stats() |
///
/// **Order.** The events of a channel are delivered in the order in which they were published:
/// a channel always belongs to the same connection, which has one request in flight at a time,
/// retries included. Events that several threads publish at once are ordered by their ids. An
/// event for several channels keeps the order of each. There is no order between channels. An
/// event that ended as `unknown` may be delivered late, after those that follow it. An event
/// that replaces another (option `conflate`) takes its place.
///
/// **Reports.** Every event ends exactly once: as `delivered`, `not_sent`, `rejected` or
/// `unknown`. pusher_publisher_stats() counts these ends, pusher_publisher_poll() reports them.
///
/// **Refused batches.** A server that refuses a batch (400, 413, 422) may have delivered a part
/// of it. In retry mode `"at_least_once"` the publisher then sends its events one by one. In
/// the other modes each of them ends as `unknown`, unless `batch_is_atomic` says that the
/// server refuses a batch as a whole: then the events are sent one by one in mode `"safe"`, and
/// end as `rejected` in mode `"never"`. With the client's `server` `"soketi"` or `"reverb"` it
/// is `true` by default.
///
/// **No batches.** If the client's `batch_route` is false, each event has a request of its own.
/// If it is `"auto"`, the events of a batch that the server answers with 404 or 405, and so has
/// not published, are sent one by one. Once such an event is delivered, no batch is tried for
/// ten minutes.
///
/// **Rate limits.** With `pace_by_rate_limit` the publisher reads the headers
/// `X-RateLimit-Remaining`, `-Reset` and `-Limit` of each response. When no request remains, the
/// next one waits until a second after the reset, at most a minute. A reset of up to 86,400 is
/// in seconds from now, a larger one in seconds since 1970.
///
/// @param client     the client. It may be freed before the publisher. Its callbacks can no
///                   longer be set. Its log gets nothing from the publisher unless
///                   `hooks_on_threads` is true.
/// @param config     a JSON object, or NULL for the defaults.
/// @param publisher  receives the publisher, or NULL on failure. The caller frees it with
///                   pusher_publisher_free().
/// @param out        receives the error document on failure, else NULL. The caller frees it
///                   with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_CONFIG (`argument` names the key),
///         ::PUSHER_STATUS_INVALID_STATE if the client has a transport and `hooks_on_threads`
///         is not true, or ::PUSHER_STATUS_INVALID_ARGUMENT.
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
            out_place(publisher, "publisher")?;
            let made = PusherPublisher::new(client, optional_text(config, "config")?)?;
            write(publisher, Box::into_raw(Box::new(made)));
            Ok(())
        })
    }
}

/// Queues an event to be sent in the background. Does not wait for the network.
///
/// @param publisher  the publisher.
/// @param channels   as for pusher_trigger(); NULL with the option `user_id`.
/// @param event      the event's name, 1 to 200 characters.
/// @param data       the payload, as for pusher_trigger().
/// @param options    a JSON object, or NULL: `socket_id`, `extra` and `extra_in_clear`, as for
///                   pusher_trigger(); `info` (the report then has the attributes); `user_id`,
///                   to publish to a user as pusher_send_to_user() does; `conflate`, a string:
///                   the event replaces one on the same channel with the same name and
///                   `conflate` that still waits; `idempotency_key` (the event is then sent
///                   alone, and cannot have `conflate`; never use a key for another body: see
///                   pusher_new()); `fan_out`, as for pusher_trigger(), within the publisher's
///                   `timeout_ms` and with one report; `timeout_ms`, how long to wait for space
///                   if `overflow` is `"block"`.
/// @param id         receives the event's id in reports: 1 or more; 0 on failure. May be NULL.
/// @param out        receives the error document on failure, else NULL. The caller frees it
///                   with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK if the event is queued. Otherwise it is not:
///         ::PUSHER_STATUS_QUEUE_FULL, ::PUSHER_STATUS_CLOSED, ::PUSHER_STATUS_FORKED, or a
///         status that pusher_trigger() returns before it sends anything.
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
            Ok(())
        })
    }
}

/// Fetches reports of how events ended, and waits for the first one.
///
/// Each event is reported once, by its id:
/// `{"reports":[{"id":7,"status":"SERVER_ERROR","message":"...","delivery":"unknown",...}]}`. A
/// report has the members of an error document (see ::PusherStatus), with `"status":"OK"` for
/// an event that was delivered, and:
/// - `answer`: the attributes that the option `info` asked for; for several channels, an object
///   of them by channel. A string of JSON if some parsers would refuse it: it has more than 64
///   levels, a number of more than 1,000 digits, or half a surrogate pair.
/// - `reason`: why the event was given up: `expired`, `dropped`, `superseded`, `closed` or
///   `drained` (the document of pusher_publisher_drain() has it).
///
/// Next to `reports`, `lost` is the number of reports discarded since the last call because
/// more than `max_reports` waited, or large ones (more than 8 KiB, such as `parts` of thousands of
/// channels) took more memory than `max_queue_bytes`.
///
/// @param publisher   the publisher.
/// @param timeout_ms  how long to wait for a report, in milliseconds; 0 to return at once,
///                    UINT32_MAX to wait without limit. If the publisher is closed and
///                    everything was fetched, it does not wait.
/// @param out         receives up to 1,000 reports, oldest first; NULL on
///                    ::PUSHER_STATUS_TIMED_OUT; else the error document. The caller frees it
///                    with pusher_string_free(). If it is NULL, the reports are lost.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT if there are no reports, or
///         ::PUSHER_STATUS_FORKED.
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

/// Returns a descriptor for an event loop: it is readable while reports wait to be fetched.
///
/// It is also readable when there is space again after ::PUSHER_STATUS_QUEUE_FULL, until the next
/// call of pusher_publisher_publish(). Wait on it with poll(), epoll or kqueue, and then call
/// pusher_publisher_poll() with a timeout of 0. Never read from it, write to it or close it: the
/// publisher does all three.
///
/// **Edges.** An event loop that learns of changes only (`EPOLLET`, `EV_CLEAR`) must fetch reports
/// until ::PUSHER_STATUS_TIMED_OUT after each of them, and then publish what was refused.
///
/// **Cost.** A publisher whose descriptor was never asked for has none. Otherwise the first
/// report, and the fetch of the last one, cost a system call each.
///
/// **Lifetime.** It is the same descriptor until pusher_publisher_free(), which closes it: remove
/// it from the event loop first. pusher_publisher_close() changes nothing: its reports make the
/// descriptor readable. It is closed on exec. A forked child inherits it and must not wait on it:
/// it shows the reports of the parent.
///
/// @param publisher  the publisher.
/// @param fd         receives the descriptor, or -1 on failure. It does not block.
/// @param out        receives the error document on failure, else NULL. The caller frees it
///                   with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_FORKED, ::PUSHER_STATUS_INVALID_ARGUMENT, or
///         ::PUSHER_STATUS_INTERNAL if the process has no descriptor left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_fd(
    publisher: *mut PusherPublisher,
    fd: *mut IntPtr,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        write(fd, -1);
        boundary(out, Purpose::Other, || {
            let publisher = handle(publisher, "publisher")?;
            out_place(fd, "fd")?;
            // A descriptor fits on every system.
            write(fd, publisher.descriptor()? as IntPtr);
            Ok(())
        })
    }
}

/// Waits until every published event has ended, including those that other threads publish
/// during the call. During the call no event waits to fill a batch.
///
/// @param publisher   the publisher.
/// @param timeout_ms  how long to wait, in milliseconds; UINT32_MAX to wait without limit.
/// @param out         receives the error document on failure, else NULL. The caller frees it
///                    with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT (the events stay queued), or
///         ::PUSHER_STATUS_FORKED.
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
            Ok(())
        })
    }
}

/// Stops accepting events, and waits until those that were published have ended. Events that
/// have not ended by then end now: as `not_sent` if they wait in the queue, as `unknown` if
/// they are in flight, or with the result so far if they wait for a retry. Their reports can
/// still be fetched: call pusher_publisher_poll() until it times out.
///
/// @param publisher   the publisher. Closing it again is allowed.
/// @param timeout_ms  how long to wait, in milliseconds; UINT32_MAX to wait without limit.
/// @param out         receives the error document on failure, else NULL. The caller frees it
///                    with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT if events had not ended in time, or
///         ::PUSHER_STATUS_FORKED.
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
            Ok(())
        })
    }
}

/// Stops accepting events, and returns those that were never sent as a document for another
/// publisher. So a program that is replaced loses none: its successor calls
/// pusher_publisher_restore(), on another machine, too.
///
/// Requests in flight go on until they end or the time is up. Their events end as those of
/// pusher_publisher_close() do, and are not in the document. An event that waits for a retry is in
/// it if certainly nothing of it was sent. Each event of the document ends as `not_sent` with the
/// reason `drained`. Reports can still be fetched: call pusher_publisher_poll() until it times
/// out.
///
/// The document has everything of an event: channels or user, name, data, options and when it was
/// published. The data of end-to-end encrypted channels is encrypted. All other data is not, nor
/// is an `idempotency_key`: keep the document as you would keep these. Its members may change
/// between versions; a later version reads it.
///
/// Calling it again is allowed, from several threads too: an event is in one document. After an
/// error no event has ended: call it again, or pusher_publisher_close().
///
/// @param publisher   the publisher.
/// @param timeout_ms  how long to wait for the requests in flight, in milliseconds; UINT32_MAX
///                    to wait until they have ended.
/// @param out         receives the document, or the error document on failure. The caller frees
///                    it with pusher_string_free(). It must not be NULL: the events would be
///                    lost.
/// @return ::PUSHER_STATUS_OK, even if requests in flight had not ended in time or no event was
///         left; ::PUSHER_STATUS_FORKED, ::PUSHER_STATUS_INVALID_ARGUMENT, or
///         ::PUSHER_STATUS_INTERNAL if there is no memory for the document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_drain(
    publisher: *mut PusherPublisher,
    timeout_ms: u32,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let publisher = handle(publisher, "publisher")?;
            out_place(out, "out")?;
            publisher.drain(duration(timeout_ms))
        })
    }
}

/// Queues the events of a document of pusher_publisher_drain(): all of them, or none.
///
/// Each event is checked as by pusher_publisher_publish() and gets a new id. Events of a channel
/// keep their order, and come after those that were published here before. `event_ttl_ms` counts
/// from when an event was first published. An event ends as `superseded` if one with the same
/// `conflate` waits here already: that one is newer.
///
/// Restore a document once: the library does not know whether another process has done so, and
/// would deliver its events again.
///
/// @param publisher  the publisher. Its client must have the same `app_id`, limits that are not
///                   smaller, and the same `encryption_master_key_base64` if there are encrypted
///                   events.
/// @param drained    the document.
/// @param out        receives `{"restored":[{"id":101,"drained_id":7},...]}` in the order of the
///                   document, or the error document on failure: each event's id here, and the
///                   one it had. The caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK if all events are queued. Otherwise none is:
///         ::PUSHER_STATUS_QUEUE_FULL if there is no space for all of them, whatever `overflow`
///         is; ::PUSHER_STATUS_INVALID_ARGUMENT or ::PUSHER_STATUS_PAYLOAD_TOO_LARGE
///         (`argument` names the part: `drained.events[3].channels`);
///         ::PUSHER_STATUS_ENCRYPTION, ::PUSHER_STATUS_CLOSED, ::PUSHER_STATUS_FORKED, or
///         ::PUSHER_STATUS_INTERNAL if there is no memory for them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_restore(
    publisher: *mut PusherPublisher,
    drained: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { boundary(out, Purpose::Publish, || handle(publisher, "publisher")?.restore(text(drained, "drained")?)) }
}

/// Returns the statistics of a publisher.
///
/// - `queue`: the `events` that have not ended, the `bytes` of memory of these and their requests,
///   and those `in_flight`.
/// - `events`: `published`, `refused` because the queue was full, and ended as `delivered`,
///   `not_sent`, `rejected` and `unknown`.
/// - `unsent`: events that were given up, by `reason`.
/// - `requests`: requests sent, each attempt counted.
/// - `batch_events`: a histogram of the events in a request.
/// - `retries`: by what had failed: a `cause`, `rate_limited`, `server_error`, `other`,
///   or, for the events of a batch that are sent one by one, `refused` or `no_batch_route`.
/// - `latency_ms`: a histogram of the time from publishing an event to its end.
/// - `reports`: `waiting` to be fetched, and `lost`.
///
/// A histogram has `count`, `sum` and `buckets`, an array of `[bound, count]`; the last bound
/// is null. With `"stats_format":"prometheus"` the result is the same in Prometheus' text
/// format.
///
/// @param publisher  the publisher.
/// @param out        receives the statistics, or the error document on failure. The caller
///                   frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_stats(publisher: *const PusherPublisher, out: *mut *mut c_char) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { boundary(out, Purpose::Other, || handle(publisher, "publisher")?.stats()) }
}

/// Frees a publisher, after closing it with a limit of one second. Reports that were not
/// fetched are lost: to learn how the last events end, call pusher_publisher_close() and fetch
/// the reports first.
///
/// A request that still waits for its response is not cancelled: its thread ends with it,
/// within its `timeout_ms`.
///
/// @param publisher  the publisher, which no other call may be using. NULL is ignored. In a
///                   forked child the parent's publisher is not closed, and its memory is not
///                   freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_publisher_free(publisher: *mut PusherPublisher) {
    if !publisher.is_null() {
        // SAFETY: `pusher_publisher_new` made it from a Box, and the caller gives up ownership.
        let publisher = unsafe { Box::from_raw(publisher) };
        guarded((), || drop(publisher));
    }
}

/// A time to wait; `None` is for ever.
fn duration(timeout_ms: u32) -> Option<Duration> {
    (timeout_ms != u32::MAX).then(|| Duration::from_millis(timeout_ms.into()))
}
