//! Faults of the connection and of the TLS handshake.

use serde_json::json;

use super::super::http;
use super::super::script::{End, Opening, Script};
use super::super::tls::{self, Certificate};
use super::{Fault, Phase};

const NOT_SENT: &str = "not sent";
/// The kernel may take the request before the client notices that the connection ended.
const EITHER: &str = "not sent, or unknown if the request had left";

pub(super) fn add(all: &mut Vec<Fault>) {
    let mut connection = |phase, name, what, honest, opening: Opening| {
        all.push(Fault::new(phase, name, what, honest, move |_| Script::opens(opening.clone())));
    };
    let raw = |answers, bytes: &[u8], end| Opening::Raw { answers, bytes: bytes.to_vec(), end };

    connection(Phase::Connect, "refused", "Nobody listens on the port.", NOT_SENT, Opening::Refused);
    connection(
        Phase::Connect,
        "black-hole",
        "Nothing answers: the kernel's queue of connections is full, and SYNs are dropped.",
        NOT_SENT,
        Opening::BlackHole,
    );
    connection(Phase::Accept, "rst-at-accept", "Resets each connection at once.", EITHER, raw(false, b"", End::Reset));
    connection(Phase::Accept, "fin-at-accept", "Ends each connection at once.", EITHER, raw(false, b"", End::Fin));
    connection(
        Phase::Accept,
        "silence-at-accept",
        "Accepts, and never reads or writes a byte.",
        "unknown; under TLS not sent",
        raw(false, b"", End::Hold),
    );
    let handshake = [
        ("tls-expired", "The certificate has expired.", Opening::Certificate(Certificate::Expired)),
        ("tls-not-yet-valid", "The certificate is not valid yet.", Opening::Certificate(Certificate::NotYetValid)),
        ("tls-self-signed", "The certificate is signed by itself.", Opening::Certificate(Certificate::SelfSigned)),
        ("tls-wrong-host", "The certificate is for another host.", Opening::Certificate(Certificate::WrongHost)),
        (
            "tls-wrong-ca",
            "Another authority has signed the certificate.",
            Opening::Certificate(Certificate::WrongAuthority),
        ),
        (
            "tls-old-version",
            "Says a ServerHello of TLS 1.1, and waits.",
            raw(true, &tls::old_server_hello(), End::Hold),
        ),
        ("tls-version-alert", "Says the alert protocol_version, and FIN.", raw(true, &tls::alert(70), End::Fin)),
        ("tls-failure-alert", "Says the alert handshake_failure, and FIN.", raw(true, &tls::alert(40), End::Fin)),
        ("tls-fin-after-hello", "FIN once the client has said hello.", raw(true, b"", End::Fin)),
        ("tls-rst-after-hello", "RST once the client has said hello.", raw(true, b"", End::Reset)),
        ("tls-silence", "Never answers the client's hello.", raw(true, b"", End::Hold)),
        ("tls-garbage", "Answers the client's hello with bytes that are no TLS.", raw(true, &[0xa5; 64], End::Hold)),
        (
            "tls-plain-http",
            "Answers the client's hello with a 400 of plain HTTP.",
            raw(true, &tls::plain_http(), End::Fin),
        ),
    ];
    for (name, what, opening) in handshake {
        connection(Phase::Handshake, name, what, NOT_SENT, opening);
    }
    let after_handshake = [
        ("tls-fin-before-request", "Ends right behind the handshake: close_notify and FIN.", EITHER, End::Fin),
        ("tls-cut-before-request", "Ends right behind the handshake: FIN without close_notify.", EITHER, End::Cut),
        ("tls-rst-before-request", "RST right behind the handshake.", EITHER, End::Reset),
        ("tls-silence-after-handshake", "Reads and writes nothing after the handshake.", "unknown", End::Hold),
    ];
    for (name, what, honest, end) in after_handshake {
        connection(Phase::Handshake, name, what, honest, Opening::Established(end));
    }
    all.push(Fault::new(
        Phase::Accept,
        "unasked-answer",
        "Says 200 before it has read anything, then takes the request, applies it and says nothing more.",
        "delivered, or unknown",
        |_| Script { opening: Opening::Greeting(http::json_answer(200, "{}")), ..Script::mute() },
    ));
    for (name, what, end) in [
        ("tls-flight-cut-fin", "FIN within the server's first flight.", End::Cut),
        ("tls-flight-cut-rst", "RST within the server's first flight.", End::Reset),
        ("tls-flight-cut-silence", "Nothing more from somewhere within the server's first flight on.", End::Hold),
    ] {
        let fault =
            Fault::new(Phase::Handshake, name, what, NOT_SENT, move |p| Script::opens(Opening::Flight(p.at(), end)));
        all.push(fault.with(json!({"at": "half"})));
    }
}
