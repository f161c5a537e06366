//! Faults of a proxy. With TLS, a client asks it for a tunnel (CONNECT); without TLS it sends the whole URL (absolute form).

use serde_json::json;

use super::super::http;
use super::super::proxy::ESTABLISHED;
use super::super::script::{Applies, End, Opening, Part, Script, TunnelCut};
use super::super::tls;
use super::{Fault, Phase, lost_and_applied};

const NOT_SENT: &str = "not sent";
const UNKNOWN: &str = "unknown";
/// In the absolute form, the request itself takes the place of CONNECT.
const BY_FORM: &str = "with TLS not sent, without unknown";

pub(super) fn add(all: &mut Vec<Fault>) {
    let lost = |script: Script| script.applies(Applies::Nothing);
    let mut proxy = |name, what, honest, script: Script| {
        all.push(Fault::new(Phase::Proxy, name, what, honest, move |_| script.clone()));
    };
    for (name, what, end) in
        [("proxy-rst-at-accept", "RST at once.", End::Reset), ("proxy-fin-at-accept", "FIN at once.", End::Fin)]
    {
        let opening = Opening::Raw { answers: false, bytes: Vec::new(), end };
        proxy(name, what, "not sent, or without TLS unknown if the request had left", Script::opens(opening));
    }
    let asks = [("Proxy-Authenticate", "Basic realm=\"proxy\"")];
    proxy(
        "proxy-407",
        "407: the credentials are missing or wrong.",
        "with TLS not sent, without rejected",
        lost(Script::says(http::answer(407, &asks, ""))),
    );
    proxy("proxy-403", "403.", "with TLS not sent, without rejected", lost(Script::says(http::answer(403, &[], ""))));
    proxy("proxy-502", "502.", BY_FORM, lost(Script::says(http::answer(502, &[], ""))));
    proxy("proxy-503", "503.", BY_FORM, lost(Script::says(http::answer(503, &[], ""))));
    proxy(
        "proxy-302",
        "302 to a page of the proxy.",
        "with TLS not sent, without rejected",
        lost(Script::says(http::answer(302, &[("Location", "http://localhost/sign-in")], ""))),
    );
    proxy("proxy-fin", "FIN without a response.", BY_FORM, lost(Script::mute().then(End::Fin)));
    proxy("proxy-rst", "RST without a response.", BY_FORM, lost(Script::mute().then(End::Reset)));
    proxy("proxy-silence", "Never responds.", BY_FORM, lost(Script::mute().then(End::Hold)));
    proxy("proxy-garbage", "A response that is not HTTP.", BY_FORM, lost(Script::says("Good morning!\r\n\r\n")));
    for (name, what, end) in [
        ("proxy-answer-cut-fin", "FIN within the response of the proxy to CONNECT, or of the server.", End::Fin),
        ("proxy-answer-cut-rst", "RST within the response of the proxy to CONNECT, or of the server.", End::Reset),
        (
            "proxy-answer-cut-silence",
            "Sends only a part of the response of the proxy to CONNECT, or of the server.",
            End::Hold,
        ),
    ] {
        let fault = Fault::new(Phase::Proxy, name, what, BY_FORM, move |p| Script::healthy().cut(p.at()).then(end));
        all.push(fault.with(json!({"at": "last"})));
    }
    for (status, what) in [(502, "502 in the absolute form."), (504, "504 in the absolute form.")] {
        let [_, applied] = lost_and_applied(Phase::Proxy, &format!("proxy-{status}"), what, UNKNOWN, move |_| {
            Script::says(http::answer(status, &[], ""))
        });
        all.push(applied.plain_only());
    }
    tunnels(all);
}

/// Faults of an open tunnel.
fn tunnels(all: &mut Vec<Fault>) {
    for (name, what, honest, parts, end) in [
        ("proxy-granted-fin", "200 to CONNECT, then FIN.", NOT_SENT, vec![Part::Healthy], End::Fin),
        ("proxy-granted-rst", "200 to CONNECT, then RST.", NOT_SENT, vec![Part::Healthy], End::Reset),
        ("proxy-granted-silence", "200 to CONNECT, then nothing.", NOT_SENT, vec![Part::Healthy], End::Hold),
        (
            "proxy-granted-extra",
            "200 to CONNECT, followed by extra bytes.",
            NOT_SENT,
            vec![Part::Bytes(format!("{ESTABLISHED}extra").into())],
            End::Hold,
        ),
        (
            "proxy-granted-http",
            "200 to CONNECT, and the tunnel leads to plain HTTP.",
            NOT_SENT,
            vec![Part::Healthy, Part::Await, Part::Bytes(tls::plain_http())],
            End::Fin,
        ),
    ] {
        let fault = Fault::new(Phase::Proxy, name, what, honest, move |_| Script::parts(parts.clone()).then(end));
        all.push(fault.tls_only());
    }
    let interim = Fault::new(Phase::Proxy, "proxy-interim-first", "100 before the response.", "delivered", |_| {
        Script::parts([Part::Bytes("HTTP/1.1 100 Continue\r\n\r\n".into()), Part::Healthy])
    });
    all.push(interim);
    for (name, what, up, end, at) in [
        ("proxy-tunnel-cut-up-fin", "FIN in the tunnel after `at` bytes to the server.", true, End::Fin, 600),
        ("proxy-tunnel-cut-up-rst", "RST in the tunnel after `at` bytes to the server.", true, End::Reset, 600),
        ("proxy-tunnel-cut-down-fin", "FIN in the tunnel after `at` bytes from the server.", false, End::Fin, 200),
        ("proxy-tunnel-cut-down-rst", "RST in the tunnel after `at` bytes from the server.", false, End::Reset, 200),
    ] {
        let honest = "not sent; unknown if the request had left";
        let fault = Fault::new(Phase::Proxy, name, what, honest, move |p| Script {
            tunnel: Some(TunnelCut { up, at: p.number("at"), end }),
            ..Script::healthy()
        });
        all.push(fault.with(json!({"at": at})).tls_only());
    }
}
