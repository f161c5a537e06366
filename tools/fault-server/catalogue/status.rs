//! Responses other than a success.

use serde_json::json;

use super::super::http;
use super::super::script::{Applies, End, Part, Script};
use super::{Fault, Phase, lost_and_applied};

const REJECTED: &str = "rejected";
/// A server may have applied the events before the refused one.
const IN_PART: &str = "rejected; unknown for several events";
const UNKNOWN: &str = "unknown";

/// In seconds.
const HOUR: i64 = 3_600;

pub(super) fn add(all: &mut Vec<Fault>) {
    for status in [301, 302, 303, 307, 308] {
        let what = format!("{status} to a healthy server, which counts the requests.");
        all.push(Fault::new(Phase::Status, &format!("redirect-{status}"), &what, REJECTED, move |_| {
            Script::parts([Part::Redirect(status)]).applies(Applies::Nothing)
        }));
    }
    for status in [300, 304, 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 421, 422, 426, 429, 431, 451] {
        let honest = match status {
            300..=399 | 401 | 403 | 404 | 405 | 415 | 429 => REJECTED,
            _ => IN_PART,
        };
        refusal(all, &format!("status-{status}"), status, honest);
    }
    for (name, what, body) in [
        ("refusal-text", "400 with plain text.", "no\n"),
        ("refusal-empty", "400 without a body.", ""),
        ("refusal-html", "400 with an HTML page.", "<html><body><h1>400</h1></body></html>"),
    ] {
        all.push(Fault::new(Phase::Status, name, what, IN_PART, move |_| {
            Script::says(http::answer(400, &[("Content-Type", "text/plain")], body)).applies(Applies::Nothing)
        }));
    }
    let huge = "A 400 of 17 MiB.";
    all.push(Fault::new(Phase::Status, "refusal-huge", huge, IN_PART, |_| {
        Script::says(http::answer(400, &[], &"x".repeat(17 << 20))).applies(Applies::Nothing)
    }));
    for (name, what, end) in [
        ("refusal-cut-fin", "FIN within a 403's body.", End::Fin),
        ("refusal-cut-rst", "RST within a 403's body.", End::Reset),
        ("refusal-cut-silence", "Sends only a part of a 403's body.", End::Hold),
    ] {
        let fault = Fault::new(Phase::Status, name, what, "rejected; unknown if the status line was cut", move |p| {
            let answer = http::json_answer(403, &json!({"error": "over quota", "code": 403}).to_string());
            Script::says(answer).applies(Applies::Nothing).cut(p.at()).then(end)
        });
        all.push(fault.with(json!({"at": "half"})));
    }
    retry_after(all);
    for status in [500, 501, 502, 503, 504, 599] {
        let what = format!("{status}.");
        all.extend(lost_and_applied(Phase::Status, &format!("status-{status}"), &what, UNKNOWN, move |_| {
            let body = json!({"error": http::reason(status), "code": status}).to_string();
            Script::says(http::json_answer(status, &body))
        }));
    }
    for (status, what) in [
        (600, "600, which HTTP does not define."),
        (999, "999, which HTTP does not define."),
        (199, "199 with a body: an interim response without a final one."),
        (99, "099, which HTTP does not define."),
    ] {
        all.extend(lost_and_applied(Phase::Status, &format!("status-{status:03}"), what, UNKNOWN, move |_| {
            Script::says(format!("HTTP/1.1 {status:03} Because\r\nContent-Length: 2\r\n\r\n{{}}")).then(End::Fin)
        }));
    }
    clocks(all);
}

/// A refusal with this status, which applies nothing.
fn refusal(all: &mut Vec<Fault>, name: &str, status: u16, honest: &'static str) {
    all.push(Fault::new(Phase::Status, name, &format!("{status}."), honest, move |_| {
        let answer = match status {
            304 => b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(),
            _ => http::json_answer(status, &json!({"error": http::reason(status), "code": status}).to_string()),
        };
        Script::says(answer).applies(Applies::Nothing)
    }));
}

fn retry_after(all: &mut Vec<Fault>) {
    let script = |status, retry_after: &str| {
        let body = json!({"error": "later", "code": status}).to_string();
        Script::says(http::answer(status, &[("Content-Type", "application/json"), ("Retry-After", retry_after)], &body))
    };
    for (name, value) in [
        ("0", "0"),
        ("1", "1"),
        ("99999", "99999"),
        ("negative", "-1"),
        ("garbage", "soon"),
        ("overflow", "18446744073709551617"),
        ("fraction", "0.5"),
        ("empty", ""),
        ("year-9999", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ("past", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ] {
        let what = format!("429 with `Retry-After: {value}`.");
        let fault = Fault::new(Phase::Status, &format!("retry-after-{name}"), &what, REJECTED, move |p| {
            script(429, &p.text("retry_after")).applies(Applies::Nothing)
        });
        all.push(fault.with(json!({"retry_after": value})));
    }
    let dated = Fault::new(
        Phase::Status,
        "retry-after-date",
        "429 with a Retry-After that is the date `seconds` from now.",
        REJECTED,
        move |p| script(429, &http::date(http::now() + p.seconds())).applies(Applies::Nothing),
    );
    all.push(dated.with(json!({"seconds": 2})));
    let unavailable = lost_and_applied(Phase::Status, "retry-after-503", "503 with Retry-After.", UNKNOWN, move |p| {
        script(503, &p.text("retry_after"))
    });
    all.extend(unavailable.map(|fault| fault.with(json!({"retry_after": "1"}))));
}

/// A 401 whose `Date` shows the difference of the clocks.
fn clocks(all: &mut Vec<Fault>) {
    let script = |clock: i64| {
        let body = json!({"error": "the timestamp is too far from our clock", "code": 401}).to_string();
        let date = http::date(http::now() + clock);
        let answer = http::answer(401, &[("Content-Type", "application/json"), ("Date", &date)], &body);
        Script { clock, ..Script::says(answer).applies(Applies::Nothing) }
    };
    for (name, what, clock) in [
        ("clock-ahead", "401 with a Date one hour ahead. Later requests may use either clock.", HOUR),
        ("clock-behind", "401 with a Date one hour in the past. Later requests may use either clock.", -HOUR),
        ("clock-right", "401 with the right Date.", 0),
    ] {
        all.push(Fault::new(Phase::Status, name, what, REJECTED, move |_| script(clock)));
    }
}
