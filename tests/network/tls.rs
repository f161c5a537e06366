//! Certificates are always verified, and a failed handshake has sent nothing.

use std::time::Duration;

use crate::support::tls::{
    Authority, Identity, KEY_KINDS, PemFile, self_signed_server, self_signed_server_and_certificate,
};
use crate::support::{Answer, Client, End, Outcome, Server, child, config, in_time};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

/// Makes a client that uses TLS and trusts this authority.
fn client(server: &Server, authority: &Authority, more: Value) -> Client {
    let mut config = json!({"ssl": true, "host": "localhost", "ca_file": authority.file()});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.client_with(config)
}

/// Asserts that a message has this part, and that docs/private-certificates.md has it, too.
#[track_caller]
fn says_as_documented(outcome: &Outcome, part: &str) {
    assert!(outcome.text("message").contains(part), "{part}: {outcome:?}");
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/private-certificates.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(&format!("`{part}`")), "the page does not have the error {part}");
}

fn trigger(client: &Client) -> Outcome {
    client.trigger("c", "e", r#"{"a":1}"#)
}

/// Asserts that TLS failed and nothing was sent.
#[track_caller]
fn distrusted(outcome: &Outcome) {
    outcome.is("NOT_SENT", "not_sent").because("tls");
    // A retry would fail in the same way.
    assert_eq!(outcome.error()["retryable"], json!(false), "{outcome:?}");
}

#[test]
fn a_valid_certificate_is_trusted_and_the_connection_is_kept() {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["localhost"])).start();
    let client = client(&server, &authority, json!({}));
    for _ in 0..20 {
        trigger(&client).is_ok("{}");
    }
    assert_eq!((server.ledger().len(), server.connections()), (20, 1));
    let request = server.last();
    assert_eq!(request.text(), r#"{"name":"e","channels":["c"],"data":"{\"a\":1}"}"#);
    assert_eq!(request.header("host"), [format!("localhost:{}", server.port())]);
}

#[test]
fn a_certificate_may_name_an_ip_address() {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["127.0.0.1"])).start();
    trigger(&client(&server, &authority, json!({"host": "127.0.0.1"}))).is_ok("{}");
    distrusted(&trigger(&client(&server, &authority, json!({"host": "localhost"}))));
    assert_eq!(server.ledger().len(), 1);
}

#[test]
fn an_invalid_certificate_is_refused() {
    let (trusted, other) = (Authority::new(), Authority::new());
    for (what, config, message) in [
        ("expired", trusted.expired_server(&["localhost"]), "certificate expired"),
        ("self-signed", self_signed_server(&["localhost"]), "UnknownIssuer"),
        ("for another host", trusted.server(&["example.org", "127.0.0.1"]), "certificate not valid for name"),
        (
            "for a part of the name",
            trusted.server(&["localhost.example.org", "local", "*.localhost"]),
            "certificate not valid for name",
        ),
        ("for no name", trusted.server(&[]), "is not valid for any names"),
        ("of another authority", other.server(&["localhost"]), "UnknownIssuer"),
    ] {
        let server = Server::builder().tls(config).start();
        let client = client(&server, &trusted, json!({}));
        for _ in 0..2 {
            let outcome = trigger(&client);
            assert_eq!((outcome.name(), &*outcome.text("cause")), ("NOT_SENT", "tls"), "{what}: {outcome:?}");
            distrusted(&outcome);
            says_as_documented(&outcome, message);
        }
        assert_eq!(server.ledger().len(), 0, "{what}");
    }
}

#[test]
fn without_a_ca_file_only_the_systems_authorities_are_trusted() {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["localhost"])).start();
    distrusted(&trigger(&server.client_with(json!({"ssl": true, "host": "localhost"}))));
    assert_eq!(server.ledger().len(), 0);
}

#[test]
fn an_unusable_ca_file_is_reported_before_anything_is_sent() {
    let server = Server::start([]);
    let empty = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("empty-{}.pem", std::process::id()));
    std::fs::write(&empty, "not a certificate\n").unwrap();
    for (file, part) in [
        ("/nonexistent/ca.pem", "cannot be read"),
        ("/", "cannot be read"),
        (empty.to_str().unwrap(), "contains no certificate in PEM"),
    ] {
        let outcome = trigger(&server.client_with(json!({"ssl": true, "ca_file": file})));
        distrusted(&outcome);
        says_as_documented(&outcome, part);
        assert!(outcome.text("message").contains("ca_file"), "{outcome:?}");
    }
    std::fs::remove_file(empty).unwrap();
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_server_without_tls_1_2_or_later_is_refused() {
    let authority = Authority::new();
    // "protocol_version" (RFC 8446, 6.2), in the form of TLS 1.1 or 1.0.
    let alert = |minor: u8| vec![0x15, 3, minor, 0, 2, 2, 70];
    // A ServerHello of TLS 1.1: version, 32 random bytes, no session, TLS_RSA_WITH_AES_128_CBC_SHA,
    // no compression.
    let hello = [&[0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0, 0x2f, 0]].concat();
    let plain = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec();
    for bytes in [alert(2), alert(1), hello, plain, b"\0".repeat(100)] {
        let server = Server::start([Answer::raw(bytes.clone()).without_reading().then(End::HalfClose)]);
        let outcome = trigger(&client(&server, &authority, json!({})));
        assert_eq!((outcome.name(), &*outcome.text("cause")), ("NOT_SENT", "tls"), "{bytes:x?}: {outcome:?}");
        assert_eq!(outcome.delivery(), "not_sent");
    }
}

#[test]
fn a_plain_http_server_is_reported_as_one() {
    let authority = Authority::new();
    let refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec();
    let server = Server::start([Answer::raw(refusal).without_reading().then(End::HalfClose)]);
    let outcome = trigger(&client(&server, &authority, json!({})));
    outcome.is("NOT_SENT", "not_sent").because("tls");
    says_as_documented(&outcome, "does not speak TLS on this port");
    for part in ["\"ssl\" to false", "http://"] {
        assert!(outcome.text("message").contains(part), "{outcome:?}");
    }
}

#[test]
fn a_connection_that_ends_during_the_handshake_is_not_sent() {
    let authority = Authority::new();
    for end in [End::Close, End::HalfClose, End::Reset] {
        let server = Server::start([Answer::nothing().without_reading().then(end)]);
        let outcome = trigger(&client(&server, &authority, json!({})));
        outcome.is("NOT_SENT", "not_sent");
        assert!(matches!(&*outcome.text("cause"), "tls" | "closed" | "reset" | "connect"), "{end:?}: {outcome:?}");
        assert!(outcome.elapsed < Duration::from_secs(2), "{end:?}: {outcome:?}");
    }
}

#[test]
fn an_endless_handshake_is_not_sent_at_the_deadline() {
    let authority = Authority::new();
    for (timeout_ms, connect_timeout_ms) in [(5000, 200), (200, 3000)] {
        in_time(|| {
            let server = Server::start([Answer::nothing().without_reading().then(End::Hold)]);
            let more = json!({"timeout_ms": timeout_ms, "connect_timeout_ms": connect_timeout_ms});
            let outcome = trigger(&client(&server, &authority, more));
            outcome.is("NOT_SENT", "not_sent").because("timeout");
            outcome.took(200)
        });
    }
}

#[test]
fn a_missing_response_is_unknown_over_tls_too() {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["localhost"])).answering(|_| Answer::nothing()).start();
    let client = client(&server, &authority, json!({"timeout_ms": 400}));
    in_time(|| {
        let outcome = trigger(&client);
        outcome.is("DELIVERY_UNKNOWN", "unknown").because("timeout");
        outcome.took(400)
    });
}

#[test]
fn an_end_before_the_response_is_unknown() {
    let authority = Authority::new();
    for end in [End::Close, End::Cut, End::Reset, End::HalfClose] {
        let server = Server::builder().tls(authority.server(&["localhost"])).start();
        server.next(Answer::nothing().then(end));
        let outcome = trigger(&client(&server, &authority, json!({})));
        outcome.is("DELIVERY_UNKNOWN", "unknown");
        let cause = if end == End::Reset { "reset" } else { "closed" };
        assert_eq!(outcome.text("cause"), cause, "{end:?}: {outcome:?}");
        assert_eq!(server.ledger().len(), 1);
    }
}

#[test]
fn a_response_without_length_or_close_notify_may_be_truncated() {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["localhost"])).start();
    let client = client(&server, &authority, json!({}));
    let until_the_end = Answer::raw("HTTP/1.1 200 OK\r\n\r\n{\"ok\":true}");
    server.next(until_the_end.clone().then(End::Close));
    trigger(&client).is_ok(r#"{"ok":true}"#);
    server.next(until_the_end.then(End::Cut));
    trigger(&client).is("BAD_RESPONSE", "unknown").because("closed");
    // With a length the response is known to be complete.
    server.next(Answer::ok(r#"{"ok":true}"#).then(End::Cut));
    trigger(&client).is_ok(r#"{"ok":true}"#);
}

#[test]
fn an_idle_connection_that_the_server_closed_is_replaced() {
    let authority = Authority::new();
    for end in [End::Close, End::Cut, End::Reset] {
        let server = Server::builder().tls(authority.server(&["localhost"])).start();
        let client = client(&server, &authority, json!({}));
        for round in 1..=3 {
            server.next(Answer::ok("{}").then(end));
            trigger(&client).is_ok("{}");
            server.wait_until("the end of the connection", |log| log.ended_by_server == round);
        }
        trigger(&client).is_ok("{}");
        assert_eq!((server.ledger().len(), server.connections()), (4, 4));
    }
}

#[test]
fn unexpected_bytes_are_not_taken_for_the_next_response() {
    let authority = Authority::new();
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (first, stale) = (answer("{}"), answer(r#"{"stale":true}"#));
    for together in [true, false] {
        let server = Server::builder().tls(authority.server(&["localhost"])).start();
        let client = client(&server, &authority, json!({}));
        // In one record, or in two, the second of which comes while the connection is idle.
        server.next(match together {
            true => Answer::raw(format!("{first}{stale}")),
            false => Answer::raw(&*first).and_wait().and(&*stale).then(End::HalfClose),
        });
        trigger(&client).is_ok("{}");
        if !together {
            server.release();
            server.wait_until("the unexpected bytes", |log| log.half_closed == 1);
        }
        trigger(&client).is_ok("{}");
        assert_eq!((server.ledger().len(), server.connections()), (2, 2), "together: {together}");
    }
}

#[test]
fn a_second_response_in_its_own_record_is_not_taken_for_the_next_response() {
    // The first response fills a record to the last byte (RFC 8446, 5.1: 2^14), so that reading it
    // leaves the second unread.
    const RECORD_BYTES: usize = 16_384;
    let authority = Authority::new();
    for size in [RECORD_BYTES - 1, RECORD_BYTES, RECORD_BYTES + 1, 2 * RECORD_BYTES] {
        let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let length = size - head(size - 45).len();
        let body = format!("\"{}\"", "a".repeat(length - 2));
        let first = format!("{}{body}", head(length));
        assert_eq!(first.len(), size);
        let stale = "HTTP/1.1 401 Stale\r\nContent-Length: 5\r\n\r\nstale";
        for (what, answer) in [
            ("together", Answer::raw(format!("{first}{stale}"))),
            ("one after the other", Answer::raw(&*first).and(stale)),
            ("and closed", Answer::raw(format!("{first}{stale}")).then(End::Close)),
        ] {
            let server = Server::builder().tls(authority.server(&["localhost"])).start();
            server.next(answer);
            let client = client(&server, &authority, json!({}));
            trigger(&client).is_ok(&body);
            let outcome = trigger(&client);
            match outcome.name() {
                // On a new connection.
                "OK" => assert_eq!(server.connections(), 2, "{what} {size}"),
                "NOT_SENT" => {}
                // A stale response that arrives after the next request was sent cannot be told from
                // a response to it. Here it was sent before.
                other => panic!("{what} {size}: {other}: {outcome:?}"),
            }
        }
    }
}

#[test]
fn a_chunked_body_without_its_end_is_unknown_over_tls_too() {
    let authority = Authority::new();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = Server::builder().tls(authority.server(&["localhost"])).start();
    let client = client(&server, &authority, json!({}));
    for chunks in
        ["b\r\n{\"ok\":true}", "b\r\n{\"ok\":true}\r\n", "b\r\n{\"ok\":true}\r\n0", "b\r\n{\"ok\":true}\r\n0\r\n"]
    {
        for end in [End::Close, End::Cut, End::Reset] {
            server.next(Answer::raw(format!("{head}{chunks}")).then(end));
            let outcome = trigger(&client);
            assert_eq!(
                (outcome.name(), outcome.delivery()),
                ("BAD_RESPONSE", "unknown"),
                "{end:?} after {chunks:?}: {outcome:?}"
            );
        }
    }
    server.next(Answer::raw(format!("{head}b\r\n{{\"ok\":true}}\r\n0\r\n\r\n")));
    trigger(&client).is_ok(r#"{"ok":true}"#);
}

#[test]
fn a_pipe_as_ca_file_does_not_hang_a_call() {
    let server = Server::start([]);
    let pipe = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pipe-{}.pem", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let client = server.client_with(json!({"ssl": true, "ca_file": pipe.to_str().unwrap(), "timeout_ms": 1000}));
    // On its own thread, which may hang: nothing writes to this pipe.
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(trigger(&client)));
    let outcome = receiver.recv_timeout(crate::support::PATIENCE);
    let _ = std::fs::remove_file(pipe);
    let outcome = outcome.expect("a call hangs on a pipe");
    outcome.is("NOT_SENT", "not_sent").because("tls");
    assert!(outcome.text("message").contains("ca_file"), "{outcome:?}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_big_body_is_sent_and_an_early_refusal_is_reported() {
    const BIG_BYTES: usize = 8 << 20;
    let authority = Authority::new();
    let data = format!("\"{}\"", "a".repeat(BIG_BYTES));
    let more = json!({"max_data_bytes": BIG_BYTES, "timeout_ms": 60_000});
    let start = || Server::builder().tls(authority.server(&["localhost"])).receive_buffer(16 * 1024).start();

    let server = start();
    let size = client(&server, &authority, more.clone()).trigger("c", "e", &data);
    size.is_ok("{}");
    assert!(server.only().body.len() > BIG_BYTES);

    let refusal = Answer::new(413, &[], "too much").without_reading();
    for end in [End::Hold, End::HalfClose, End::Close, End::Cut] {
        let server = start();
        server.next(refusal.clone().then(end));
        let outcome = client(&server, &authority, more.clone()).trigger("c", "e", &data);
        assert_eq!((outcome.name(), outcome.delivery()), ("PAYLOAD_TOO_LARGE", "rejected"), "{end:?}: {outcome:?}");
        assert!(outcome.elapsed < Duration::from_secs(10), "{end:?}: {outcome:?}");
    }

    let server = start();
    server.next(Answer::nothing().without_reading().then(End::Hold));
    let more = json!({"max_data_bytes": BIG_BYTES, "timeout_ms": 1500});
    let outcome = client(&server, &authority, more).trigger("c", "e", &data);
    outcome.is("NOT_SENT", "not_sent").because("timeout");
}

#[test]
fn refusals_and_interim_responses_work_over_tls() {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["localhost"])).start();
    let client = client(&server, &authority, json!({}));
    server.next(Answer::new(401, &[], "no"));
    trigger(&client).is("UNAUTHORIZED", "rejected");
    server.next(Answer::new(429, &[("Retry-After", "2")], ""));
    assert_eq!(trigger(&client).is("RATE_LIMITED", "rejected").number("retry_after_ms"), Some(2000));
    server.next(
        Answer::raw("HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n").and("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
    );
    trigger(&client).is_ok("{}");
    server.next(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}").then(End::Close));
    trigger(&client).is("BAD_RESPONSE", "unknown").because("closed");
}

#[test]
fn threads_share_a_client_over_tls() {
    let authority = Authority::new();
    let server = Server::builder()
        .tls(authority.server(&["localhost"]))
        .answering(|request| Answer::ok(request.json()["data"].as_str().unwrap()))
        .start();
    let client = client(&server, &authority, json!({"timeout_ms": 60_000}));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let client = &client;
            scope.spawn(move || {
                for call in 0..25 {
                    let id = (100 * thread + call).to_string();
                    client.trigger("c", "e", &id).is_ok(&id);
                }
            });
        }
    });
    assert_eq!(server.ledger().len(), 100);
    assert!(server.connections() <= 4);
}

#[test]
fn a_new_client_reads_a_ca_file_that_has_changed() {
    let (old, new) = (Authority::new(), Authority::new());
    let server = |authority: &Authority| Server::builder().tls(authority.server(&["localhost"])).start();
    let (old_server, new_server) = (server(&old), server(&new));
    let text = |authority: &Authority| std::fs::read_to_string(authority.file()).unwrap();
    for key in ["ca_file", "extra_ca_file"] {
        let file = PemFile::new(&text(&old));
        let of = |server: &Server| server.client_with(json!({"ssl": true, "host": "localhost", key: file.path()}));
        let before = of(&old_server);
        trigger(&before).is_ok("{}");
        file.rewrite(&text(&new));
        trigger(&of(&new_server)).is_ok("{}");
        distrusted(&trigger(&of(&old_server)));
        // A client keeps what it has read.
        trigger(&before).is_ok("{}");
    }
}

#[test]
fn an_extra_ca_file_is_trusted_besides_the_other_certificates() {
    let (first, extra, other) = (Authority::new(), Authority::new(), Authority::new());
    let server = |authority: &Authority| Server::builder().tls(authority.server(&["localhost"])).start();
    let (first_server, extra_server, other_server) = (server(&first), server(&extra), server(&other));
    for roots in [
        json!({"ca_file": first.file()}),
        json!({}),
        json!({"tls_roots": "system"}),
        json!({"tls_roots": "bundled"}),
        json!({"tls_roots": "both"}),
    ] {
        let client = |server: &Server| {
            let mut config = json!({"ssl": true, "host": "localhost", "extra_ca_file": extra.file()});
            config.as_object_mut().unwrap().extend(roots.as_object().unwrap().clone());
            server.client_with(config)
        };
        trigger(&client(&extra_server)).is_ok("{}");
        distrusted(&trigger(&client(&other_server)));
        match roots.get("ca_file") {
            Some(_) => drop(trigger(&client(&first_server)).is_ok("{}")),
            None => distrusted(&trigger(&client(&first_server))),
        }
    }
    assert_eq!((first_server.ledger().len(), extra_server.ledger().len(), other_server.ledger().len()), (1, 5, 0));
}

#[test]
fn an_unusable_extra_ca_file_is_reported_before_anything_is_sent() {
    let server = Server::start([]);
    let authority = Authority::new();
    for (text, part) in [
        ("not a certificate\n", "contains no certificate in PEM"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n", "is not PEM: a section of it has no END line"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "cannot be used: it is not a certificate"),
    ] {
        let file = PemFile::new(text);
        let outcome = trigger(&client(&server, &authority, json!({"extra_ca_file": file.path()})));
        distrusted(&outcome);
        assert!(outcome.text("message").contains(&format!("extra_ca_file {}", file.path())), "{outcome:?}");
        assert!(outcome.text("message").contains(part), "{outcome:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn the_systems_certificates_stay_trusted_beside_an_extra_ca_file() {
    const TEST: &str = "the_systems_certificates_stay_trusted_beside_an_extra_ca_file";
    if child::is_child() {
        for config in std::env::var("CONFIGS").unwrap().lines() {
            child::tell(trigger(&Client::new(config)).name());
        }
        return;
    }
    let (system, extra) = (Authority::new(), Authority::new());
    let servers = [&system, &extra].map(|authority| Server::builder().tls(authority.server(&["localhost"])).start());
    let configs: Vec<String> = servers
        .iter()
        .map(|server| config(server.port(), json!({"ssl": true, "host": "localhost", "extra_ca_file": extra.file()})))
        .collect();
    let variables =
        [("SSL_CERT_FILE", system.file().to_owned()), ("SSL_CERT_DIR", String::new()), ("CONFIGS", configs.join("\n"))];
    assert_eq!(child::run(module_path!(), TEST, &variables), ["OK", "OK"]);
}

#[test]
fn the_reason_why_there_are_no_system_certificates_is_reported() {
    const TEST: &str = "the_reason_why_there_are_no_system_certificates_is_reported";
    if child::is_child() {
        let outcome = trigger(&Client::new(&config(1, json!({"ssl": true}))));
        distrusted(&outcome);
        if std::env::var("SSL_CERT_FILE").is_ok_and(|file| std::fs::read(file).is_ok_and(|text| text.is_empty())) {
            says_as_documented(&outcome, "this system has no trusted certificates");
        }
        child::tell(&outcome.text("message"));
        return;
    }
    let (empty, broken) =
        (PemFile::new(""), PemFile::new("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"));
    for (file, part) in [
        (empty.path(), "this system has no trusted certificates: install its package (ca-certificates)"),
        ("/nonexistent.pem", "the system's certificates cannot be read: "),
        (broken.path(), "the system's 1 certificates cannot be used"),
    ] {
        let message = child::run(module_path!(), TEST, &[("SSL_CERT_FILE", file), ("SSL_CERT_DIR", "")]).concat();
        assert!(message.contains(part), "{message}");
        assert!(message.contains("set ca_file or tls_roots"), "{message}");
    }
}

/// A client's certificate and its key, in files.
struct IdentityFiles {
    certificate: PemFile,
    key: PemFile,
}

impl IdentityFiles {
    fn new(identity: &Identity) -> IdentityFiles {
        IdentityFiles { certificate: PemFile::new(&identity.certificate), key: PemFile::new(&identity.key) }
    }

    fn config(&self) -> Value {
        json!({"client_certificate_file": self.certificate.path(), "client_key_file": self.key.path()})
    }
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

#[test]
fn a_client_certificate_is_presented_to_a_server_that_requires_one() {
    let authority = Authority::new();
    for version in VERSIONS {
        let server = Server::builder().tls(authority.server_for_clients(&["localhost"], version)).start();
        for kind in KEY_KINDS {
            let files = IdentityFiles::new(&authority.client(kind));
            let client = client(&server, &authority, files.config());
            // The client keeps what it has read.
            drop(files);
            for _ in 0..3 {
                trigger(&client).is_ok("{}");
            }
        }
        assert_eq!((server.ledger().len(), server.connections()), (3 * KEY_KINDS.len(), KEY_KINDS.len()));
    }
}

#[test]
fn the_certificates_between_a_clients_and_its_authority_are_presented() {
    let authority = Authority::new();
    let (intermediate, between) = authority.intermediate();
    let server = Server::builder().tls(authority.server_for_clients(&["localhost"], &TLS13)).start();
    let mut identity = intermediate.client("P-256");
    let alone = IdentityFiles::new(&identity);
    distrusted(&trigger(&client(&server, &authority, alone.config())));
    identity.certificate += &between;
    let chain = IdentityFiles::new(&identity);
    trigger(&client(&server, &authority, chain.config())).is_ok("{}");
}

#[test]
fn a_server_that_refuses_the_clients_certificate_has_received_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    for version in VERSIONS {
        let server = Server::builder().tls(authority.server_for_clients(&["localhost"], version)).start();
        let stranger = IdentityFiles::new(&other.client("P-256"));
        for (more, part) in [(json!({}), "requires a client certificate"), (stranger.config(), "received fatal alert")]
        {
            let client = client(&server, &authority, more);
            for _ in 0..5 {
                let outcome = trigger(&client);
                distrusted(&outcome);
                says_as_documented(&outcome, part);
            }
        }
        assert_eq!(server.ledger().len(), 0);
    }
}

#[test]
fn a_server_that_requires_no_certificate_accepts_a_client_with_one() {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["localhost"])).start();
    let files = IdentityFiles::new(&authority.client("Ed25519"));
    trigger(&client(&server, &authority, files.config())).is_ok("{}");
}

#[test]
fn a_new_connection_resumes_the_tls_session() {
    let authority = Authority::new();
    for version in VERSIONS {
        let server = Server::builder().tls(authority.server_of_version(&["localhost"], version)).start();
        let client = client(&server, &authority, json!({}));
        for _ in 0..4 {
            server.next(Answer::ok("{}").then(End::Close));
            trigger(&client).is_ok("{}");
        }
        assert_eq!((server.connections(), server.resumed()), (4, 3), "{version:?}");
    }
}

#[test]
fn a_self_signed_certificate_is_its_own_authority_unless_it_says_that_it_is_one() {
    let (config, pem) = self_signed_server_and_certificate(&["localhost"]);
    let file = PemFile::new(&pem);
    let server = Server::builder().tls(config).start();
    for key in ["ca_file", "extra_ca_file"] {
        trigger(&server.client_with(json!({"ssl": true, "host": "localhost", key: file.path()}))).is_ok("{}");
    }
    let authority = Authority::new();
    let server = Server::builder().tls(authority.authority_as_server(&["localhost"])).start();
    let outcome = trigger(&client(&server, &authority, json!({})));
    distrusted(&outcome);
    assert!(outcome.text("message").contains("give it one with CA:FALSE"), "{outcome:?}");
    says_as_documented(&outcome, "CaUsedAsEndEntity");
}

#[test]
fn a_distrusted_authority_is_reported_with_the_remedy() {
    let server = Server::builder().tls(Authority::new().server(&["localhost"])).start();
    let outcome = trigger(&client(&server, &Authority::new(), json!({})));
    distrusted(&outcome);
    for part in ["UnknownIssuer", "set extra_ca_file to the certificate of that authority"] {
        assert!(outcome.text("message").contains(part), "{outcome:?}");
    }
}
