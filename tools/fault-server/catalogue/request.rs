//! Faults during and after the request.

use serde_json::json;

use super::super::http;
use super::super::script::{Applies, At, End, Script};
use super::{Fault, Phase, lost_and_applied};

const UNKNOWN: &str = "unknown";
const EITHER: &str = "unknown if the request had left, else not sent";

pub(super) fn add(all: &mut Vec<Fault>) {
    for (name, what, end) in [
        ("fin-mid-request", "FIN after a part of the request.", End::Fin),
        ("rst-mid-request", "RST after a part of the request.", End::Reset),
        (
            "silence-mid-request",
            "Reads a part of the request, then neither reads nor writes: the window fills.",
            End::Hold,
        ),
    ] {
        let fault = Fault::new(Phase::Request, name, what, EITHER, move |p| {
            Script::mute().until(p.at()).small_window().then(end)
        });
        all.push(fault.with(json!({"at": "half"})));
    }
    for (name, what, end) in [
        ("fin-at-first-byte", "FIN when the request begins, without reading it: a stale connection.", End::Fin),
        ("rst-at-first-byte", "RST when the request begins, without reading it: a stale connection.", End::Reset),
    ] {
        all.push(Fault::new(Phase::Request, name, what, EITHER, move |_| Script::mute().until(At::Byte(0)).then(end)));
    }
    let slow = Fault::new(
        Phase::Request,
        "slow-read",
        "Reads `bytes` at a time, each after `ms`, then responds.",
        "delivered; if time is up, unknown or not sent",
        |p| {
            let mut script = Script::healthy().small_window();
            script.reads.pace = Some((p.number("bytes"), p.ms()));
            script
        },
    );
    all.push(slow.with(json!({"bytes": 16, "ms": 1})));

    let after =
        |name, what, end| lost_and_applied(Phase::AfterRequest, name, what, UNKNOWN, move |_| Script::mute().then(end));
    all.extend(after("fin-after-request", "FIN without a response.", End::Fin));
    all.extend(
        after("cut-after-request", "FIN without a response, and without close_notify.", End::Cut).map(Fault::tls_only),
    );
    all.extend(after("rst-after-request", "RST without a response.", End::Reset));
    all.extend(after("silence-after-request", "Never responds.", End::Hold));

    for (status, honest) in [(401, "rejected"), (413, "rejected; unknown for several events"), (503, UNKNOWN)] {
        for (suffix, what, end) in [
            ("reads-on", "then discards the rest of the request", End::ReadOn),
            ("fin", "then FIN", End::Fin),
            ("rst", "then RST", End::Reset),
            ("silence", "then stops reading", End::Hold),
        ] {
            let name = format!("early-{status}-{suffix}");
            let what = format!("Sends {status} after the head of the request, {what}.");
            all.push(Fault::new(Phase::Request, &name, &what, honest, move |_| {
                let answer = http::json_answer(status, &json!({"error": "early", "code": status}).to_string());
                Script::says(answer).until(At::Head).small_window().then(end)
            }));
        }
    }
    let honest = "unknown; delivered if the request had left whole";
    all.push(Fault::new(
        Phase::Request,
        "early-200",
        "Sends 200 after the head of the request, then reads the rest and applies it.",
        honest,
        |_| Script::healthy().until(At::Head).small_window().then(End::ApplyLate),
    ));
    all.push(Fault::new(
        Phase::Request,
        "early-200-rst",
        "Sends 200 after the head of the request, then RST. Applies the request only if it has arrived completely by then.",
        honest,
        |_| Script::healthy().until(At::Arrived).small_window().then(End::Reset),
    ));

    for status in [400, 413, 422, 500, 503] {
        let fault = Fault::new(
            Phase::AfterRequest,
            &format!("partly-{status}"),
            &format!("Applies the first `after` events of several, and responds to the next with {status}."),
            if status < 500 { "unknown; rejected for one event" } else { UNKNOWN },
            move |p| {
                let answer = http::json_answer(status, &json!({"error": "the next one", "code": status}).to_string());
                Script::says(answer).applies(Applies::First(p.number("after")))
            },
        );
        all.push(fault.with(json!({"after": 1})));
    }
    for (name, what, end) in [
        ("partly-fin", "Applies the first `after` events of several, then FIN.", End::Fin),
        ("partly-rst", "Applies the first `after` events of several, then RST.", End::Reset),
    ] {
        let fault = Fault::new(Phase::AfterRequest, name, what, UNKNOWN, move |p| {
            Script::mute().applies(Applies::First(p.number("after"))).then(end)
        });
        all.push(fault.with(json!({"after": 1})));
    }
}
