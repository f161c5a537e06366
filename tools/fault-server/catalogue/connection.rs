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

    connection(Phase::Connect, "refused", "The port is closed.", NOT_SENT, Opening::Refused);
    connection(
        Phase::Connect,
        "black-hole",
        "The kernel drops SYNs, because its accept queue is full.",
        NOT_SENT,
        Opening::BlackHole,
    );
    connection(Phase::Accept, "rst-at-accept", "Resets each connection at once.", EITHER, raw(false, b"", End::Reset));
    connection(Phase::Accept, "fin-at-accept", "Closes each connection at once.", EITHER, raw(false, b"", End::Fin));
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
        ("tls-self-signed", "The certificate is self-signed.", Opening::Certificate(Certificate::SelfSigned)),
        ("tls-wrong-host", "The certificate is for another host.", Opening::Certificate(Certificate::WrongHost)),
        (
            "tls-wrong-ca",
            "The certificate is from another authority.",
            Opening::Certificate(Certificate::WrongAuthority),
        ),
        (
            "tls-old-version",
            "Sends a ServerHello of TLS 1.1, and waits.",
            raw(true, &tls::old_server_hello(), End::Hold),
        ),
        ("tls-version-alert", "Sends the alert protocol_version, then FIN.", raw(true, &tls::alert(70), End::Fin)),
        ("tls-failure-alert", "Sends the alert handshake_failure, then FIN.", raw(true, &tls::alert(40), End::Fin)),
        ("tls-fin-after-hello", "FIN after the ClientHello.", raw(true, b"", End::Fin)),
        ("tls-rst-after-hello", "RST after the ClientHello.", raw(true, b"", End::Reset)),
        ("tls-silence", "Never responds to the ClientHello.", raw(true, b"", End::Hold)),
        ("tls-garbage", "Responds to the ClientHello with bytes that are not TLS.", raw(true, &[0xa5; 64], End::Hold)),
        (
            "tls-plain-http",
            "Responds to the ClientHello with a 400 in plain HTTP.",
            raw(true, &tls::plain_http(), End::Fin),
        ),
    ];
    for (name, what, opening) in handshake {
        connection(Phase::Handshake, name, what, NOT_SENT, opening);
    }
    let after_handshake = [
        ("tls-fin-before-request", "close_notify and FIN directly after the handshake.", EITHER, End::Fin),
        ("tls-cut-before-request", "FIN without close_notify directly after the handshake.", EITHER, End::Cut),
        ("tls-rst-before-request", "RST directly after the handshake.", EITHER, End::Reset),
        ("tls-silence-after-handshake", "Reads and writes nothing after the handshake.", "unknown", End::Hold),
    ];
    for (name, what, honest, end) in after_handshake {
        connection(Phase::Handshake, name, what, honest, Opening::Established(end));
    }
    all.push(Fault::new(
        Phase::Accept,
        "unasked-answer",
        "Sends 200 before it reads anything, then reads and applies the request without another response.",
        "delivered, or unknown",
        |_| Script { opening: Opening::Greeting(http::json_answer(200, "{}")), ..Script::mute() },
    ));
    for (name, what, end) in [
        ("tls-flight-cut-fin", "FIN within the server's first flight.", End::Cut),
        ("tls-flight-cut-rst", "RST within the server's first flight.", End::Reset),
        ("tls-flight-cut-silence", "Sends only a part of the server's first flight.", End::Hold),
    ] {
        let fault =
            Fault::new(Phase::Handshake, name, what, NOT_SENT, move |p| Script::opens(Opening::Flight(p.at(), end)));
        all.push(fault.with(json!({"at": "half"})));
    }
}
