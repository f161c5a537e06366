//! Signing without sending, and sending through a callback: the request, and the meaning of a response, do not depend on the
//! sender.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::functions::{Function, Purpose};
use crate::support::hooks::{self, Without, prepare};
use crate::support::{
    APP_ID, Answer, Client, KEY, Outcome, PATIENCE, Reply, Request, SECRET, Server, Snapshot, config,
};
use serde_json::{Value, json};

/// Ends a chain of setters.
fn done(_: &Reply) {}

/// A complete response of the server.
#[derive(Clone, Debug)]
struct Said {
    http_status: u16,
    retry_after: Option<&'static str>,
    body: Vec<u8>,
}

impl Said {
    fn new(http_status: u16, body: impl AsRef<[u8]>) -> Said {
        Said { http_status, retry_after: None, body: body.as_ref().to_vec() }
    }

    fn after(self, retry_after: &'static str) -> Said {
        Said { retry_after: Some(retry_after), ..self }
    }

    fn over_http(&self) -> Answer {
        let mut head = format!("HTTP/1.1 {} Because\r\nContent-Length: {}\r\n", self.http_status, self.body.len());
        if let Some(value) = self.retry_after {
            head.push_str(&format!("Retry-After: {value}\r\n"));
        }
        Answer::raw([format!("{head}\r\n").into_bytes(), self.body.clone()].concat())
    }

    fn to(&self, reply: &Reply) {
        reply.set(self.http_status.into(), &self.body);
        reply.header(Some(b"content-lengTH"), Some(self.body.len().to_string().as_bytes()));
        if let Some(value) = self.retry_after {
            reply.header(Some(b"rEtry-aFter"), Some(value.as_bytes()));
        }
    }
}

/// Returns responses of every class.
fn answers() -> Vec<Said> {
    let mut all: Vec<Said> = (200..=599)
        .filter(|status| status % 100 < 6 || [307, 308, 407, 413, 415, 422, 429, 499, 599].contains(status))
        .map(|status| Said::new(status, if matches!(status, 204 | 205 | 304) { "" } else { r#"{"said":"so"}"# }))
        .collect();
    let bodies: [&[u8]; 12] = [
        b"",
        b" {} \n",
        b"null",
        r#"{ "n" : 1e400, "\u00e9":"\u00e9" }"#.as_bytes(),
        b"<html>",
        b"{",
        b" ",
        b"\xff",
        b"{}\0",
        br#"{"error":"x","code":401}"#,
        br#"{"error":"x","code":503}"#,
        br#"{"error":"x","code":200}"#,
    ];
    all.extend(bodies.map(|body| Said::new(200, body)));
    let refusals: [Vec<u8>; 6] = [
        vec![],
        b"plain".to_vec(),
        b"a\xffb\0c".to_vec(),
        "é".repeat(2000).into_bytes(),
        "x".repeat(100_000).into_bytes(),
        b"\"\x01\"".to_vec(),
    ];
    all.extend(refusals.map(|body| Said::new(400, body)));
    for value in ["0", "7", " 7 ", "3600", "soon", "-1", "99999999999999999999999"] {
        all.push(Said::new(429, "slower").after(value));
        all.push(Said::new(503, "slower").after(value));
    }
    all
}

/// Returns calls of every kind, with arguments.
fn calls() -> Vec<(Function, Vec<Option<&'static [u8]>>)> {
    let mut all: Vec<_> = Function::network().map(|function| (function, function.good())).collect();
    let trigger = Function::named("trigger");
    all.push((trigger, trigger.with(0, Some(br#"["a","b"]"#))));
    all.push((trigger, trigger.shortest()));
    let get = Function::named("get");
    all.push((get, get.with(1, Some(r#"{"x":"a b&c=d/é%"}"#.as_bytes()))));
    all
}

#[track_caller]
fn prepared(client: &Client, function: &Function, texts: &[Option<&[u8]>]) -> Request {
    prepare(Some(client), Some(function.name.as_bytes()), texts, Without::default()).unwrap()
}

#[test]
fn every_sender_sends_the_same_request() {
    let server = Server::start([]);
    let direct = server.client();
    let hooked = server.client();
    let handed: Arc<Mutex<Vec<Snapshot>>> = Arc::default();
    let take = Arc::clone(&handed);
    hooked.send_by(move |request, reply| {
        take.lock().unwrap().push(request.clone());
        reply.set(200, b"{}");
    });
    for (function, texts) in calls() {
        function.call(Some(&direct), &texts).is_ok("{}");
        function.call(Some(&hooked), &texts).is_ok("{}");
        let sent = server.last();
        let prepared = prepared(&direct, &function, &texts).read();
        let handed = handed.lock().unwrap().pop().unwrap();
        let mut headers: Vec<_> = sent.headers();
        headers.retain(|(name, _)| name != "host" && name != "content-length");
        headers.sort();
        for other in [&prepared, &handed] {
            assert_eq!((other.method.as_str(), &other.body), (sent.method(), &sent.body), "{}", function.name);
            // The query without the parameters that change every second.
            let sent = Snapshot { url: format!("http://h{}", sent.target()), ..other.clone() };
            assert_eq!(other.timeless(), sent.timeless());
            assert!(other.url.starts_with(&format!("http://127.0.0.1:{}/apps/{APP_ID}/", server.port())));
            let mut theirs = other.headers.clone();
            theirs.sort();
            assert_eq!(theirs, headers);
            assert_eq!(other.verify(KEY, SECRET), Ok(()));
        }
        assert_eq!((prepared.method.as_str(), &prepared.body), (handed.method.as_str(), &handed.body));
    }
}

#[test]
fn a_response_means_the_same_for_every_sender() {
    let server = Server::start([]);
    let direct = server.client();
    let hooked = server.client();
    let said: Arc<Mutex<Option<Said>>> = Arc::default();
    let say = Arc::clone(&said);
    hooked.send_by(move |_, reply| {
        if let Some(said) = &*say.lock().unwrap() {
            said.to(reply);
        }
    });
    let mut tried = 0;
    for answer in answers() {
        for (function, texts) in calls() {
            server.next(answer.over_http());
            let over_http = function.call(Some(&direct), &texts);
            *said.lock().unwrap() = Some(answer.clone());
            let by_callback = function.call(Some(&hooked), &texts);
            let request = prepared(&direct, &function, &texts);
            let reply = Reply::new();
            answer.to(&reply);
            let finished = direct.finish(&request, &reply);
            for other in [by_callback, finished] {
                assert_eq!(
                    (over_http.status, over_http.document.as_deref()),
                    (other.status, other.document.as_deref()),
                    "{} {answer:?}",
                    function.name
                );
            }
            tried += 1;
        }
    }
    assert!(tried > 700, "{tried}");
}

/// Returns the outcome of a trigger whose transport does `act`, after checking that finish agrees.
#[track_caller]
fn outcome_of(act: impl Fn(&Reply) + Send + Sync + 'static, more: Value, channels: &str) -> Outcome {
    let client = Client::new(&config(1, more));
    let act = Arc::new(act);
    let callback = Arc::clone(&act);
    client.send_by(move |_, reply| callback(reply));
    let by_callback = client.trigger(channels, "e", "1");
    let request = client.prepare("trigger", &[Some(channels), Some("e"), Some("1")]);
    let reply = Reply::new();
    act(&reply);
    let finished = client.finish(&request, &reply);
    assert_eq!((by_callback.status, &by_callback.document), (finished.status, &finished.document));
    by_callback
}

fn failing(delivery: i32, cause: Option<&'static [u8]>) -> Outcome {
    outcome_of(
        move |reply| {
            reply.fail(delivery, cause, Some("it went wrong, ü".as_bytes()));
        },
        json!({}),
        "c",
    )
}

#[test]
fn a_failure_reports_whether_the_request_was_sent() {
    for (cause, retryable) in [
        ("dns", true),
        ("connect", true),
        ("timeout", true),
        ("reset", true),
        ("closed", true),
        ("write", true),
        ("tls", false),
        ("proxy", false),
        ("malformed", false),
        ("transport", false),
    ] {
        let outcome = failing(1, Some(cause.as_bytes()));
        outcome.is("NOT_SENT", "not_sent").because(cause);
        assert_eq!(outcome.error()["retryable"], json!(retryable), "{outcome:?}");
        assert!(outcome.text("message").contains("it went wrong, ü"), "{outcome:?}");
        // Anything but NOT_SENT may have been sent.
        for delivery in [3, 0, 2, 4, -1, 99, i32::MIN, i32::MAX] {
            let outcome = failing(delivery, Some(cause.as_bytes()));
            outcome.is("DELIVERY_UNKNOWN", "unknown").because(cause);
            assert_eq!(outcome.error()["retryable"], json!(false), "{outcome:?}");
        }
    }
    for cause in [None, Some(&b""[..]), Some(b"DNS"), Some(b"gremlins"), Some(b"\xff")] {
        failing(1, cause).is("NOT_SENT", "not_sent").because("transport");
        failing(3, cause).is("DELIVERY_UNKNOWN", "unknown").because("transport");
    }
    for message in [None, Some(&b""[..]), Some(b"a\xffb"), Some(b"\x01\"\\")] {
        let outcome = outcome_of(move |reply| done(reply.fail(1, None, message)), json!({}), "c");
        outcome.is("NOT_SENT", "not_sent");
    }
}

#[test]
fn the_last_report_of_a_transport_counts() {
    let act = |act: fn(&Reply)| outcome_of(act, json!({}), "c");
    act(|reply| done(reply.set(400, b"no").set(200, b"{}"))).is_ok("{}");
    act(|reply| done(reply.fail(1, None, None).set(200, b"{}"))).is_ok("{}");
    act(|reply| done(reply.fail(1, None, None).fail(3, None, None))).is("DELIVERY_UNKNOWN", "unknown");
    act(|reply| done(reply.fail(3, None, None).fail(1, None, None))).is("NOT_SENT", "not_sent");
    // A header is kept, before or after the response is set.
    let early = act(|reply| done(reply.header(Some(b"Retry-After"), Some(b"7")).set(429, b"")));
    assert_eq!(early.number("retry_after_ms"), Some(7000));
    let late = act(|reply| done(reply.set(429, b"").header(Some(b"RETRY-AFTER"), Some(b"7"))));
    assert_eq!(late.document, early.document);
}

#[test]
fn a_failure_after_a_status_means_a_truncated_response() {
    for delivery in [0, 1, 3] {
        for (http_status, status, one, several) in [
            (200, "BAD_RESPONSE", "unknown", "unknown"),
            (204, "BAD_RESPONSE", "unknown", "unknown"),
            (302, "REDIRECTED", "rejected", "rejected"),
            (400, "BAD_REQUEST", "rejected", "unknown"),
            (401, "UNAUTHORIZED", "rejected", "rejected"),
            (413, "PAYLOAD_TOO_LARGE", "rejected", "unknown"),
            (503, "SERVER_ERROR", "unknown", "unknown"),
        ] {
            for (channels, expected) in [("c", one), (r#"["c","d"]"#, several)] {
                let cut = move |reply: &Reply| {
                    reply.set(http_status, b"{}").fail(delivery, Some(b"closed"), Some(b"cut"));
                };
                let outcome = outcome_of(cut, json!({}), channels);
                outcome.is(status, expected).because("closed");
                assert_eq!(outcome.number("http_status"), Some(http_status as u64));
            }
        }
    }
}

#[test]
fn a_silent_or_inconsistent_transport_counts_as_unknown() {
    let act = |act: fn(&Reply)| outcome_of(act, json!({}), "c");
    act(|_| ()).is("DELIVERY_UNKNOWN", "unknown").because("transport");
    act(|reply| done(reply.header(Some(b"Retry-After"), Some(b"7"))))
        .is("DELIVERY_UNKNOWN", "unknown")
        .because("transport");
    for http_status in [i32::MIN, -200, 0, 99, 100, 101, 199, 600, 999, 65_736, i32::MAX] {
        let outcome = outcome_of(move |reply| done(reply.set(http_status, b"{}")), json!({}), "c");
        outcome.is("DELIVERY_UNKNOWN", "unknown");
    }
    // A body that is NULL, or larger than any memory.
    let outcome = act(|reply| done(reply.set_raw(200, std::ptr::null(), 1)));
    outcome.is("BAD_RESPONSE", "unknown");
    let outcome = act(|reply| done(reply.set_raw(200, b"x".as_ptr(), usize::MAX)));
    outcome.is("BAD_RESPONSE", "unknown");
    let empty =
        |reply: &Reply| done(reply.set_raw(200, std::ptr::null(), 0).header(Some(b"Content-Length"), Some(b"0")));
    act(empty).is_ok("{}");
    for (name, value) in [
        (None, Some(&b"7"[..])),
        (Some(&b"Retry-After"[..]), None),
        (None, None),
        (Some(b"\xff"), Some(b"7")),
        (Some(b"Retry-After"), Some(b"\xff")),
        (Some(b"Retry"), Some(b"7")),
        (Some(b""), Some(b"")),
    ] {
        let outcome = outcome_of(move |reply| done(reply.set(429, b"").header(name, value)), json!({}), "c");
        outcome.is("RATE_LIMITED", "rejected");
        assert_eq!(outcome.number("retry_after_ms"), None);
    }
}

#[test]
fn an_empty_response_is_ok_if_its_framing_says_so() {
    let act = |act: fn(&Reply)| outcome_of(act, json!({}), "c");
    act(|reply| done(reply.set(204, b""))).is_ok("{}");
    for http_status in [200, 202] {
        for (name, value) in [("Content-Length", "0"), ("content-length", "0"), ("Transfer-Encoding", "chunked")] {
            let whole = move |reply: &Reply| {
                reply.header(Some(name.as_bytes()), Some(value.as_bytes())).set(http_status, b"");
            };
            outcome_of(whole, json!({}), "c").is_ok("{}");
        }
        let unframed = move |reply: &Reply| done(reply.set(http_status, b"").header(Some(b"Date"), Some(b"today")));
        outcome_of(unframed, json!({}), "c").is("BAD_RESPONSE", "unknown");
    }
}

#[test]
fn a_transports_message_does_not_reveal_a_signed_url() {
    let forms: [fn(&Snapshot) -> String; 8] = [
        |request| format!("could not send {}", request.url),
        |request| format!("<{}>: \"{}\"", request.url, request.target()),
        |request| request.query().to_owned(),
        |request| request.signature().to_owned(),
        |request| format!("{}{}", "x".repeat(1000), request.url),
        |request| format!("{0}{0}{0}", request.signature()),
        |request| format!("{}{}{}{}", "x".repeat(100), request.signature(), "y".repeat(870), request.signature()),
        |request| request.query().split('&').rev().collect::<Vec<_>>().join("&"),
    ];
    for form in forms {
        for delivery in [1, 3] {
            for status in [0, 200, 401] {
                let client = Client::new(&config(1, json!({"log_level": "debug"})));
                let (messages, _) = client.log();
                let seen: Arc<Mutex<Vec<String>>> = Arc::default();
                let see = Arc::clone(&seen);
                client.send_by(move |request, reply| {
                    see.lock().unwrap().push(request.signature().to_owned());
                    if status > 0 {
                        reply.set(status, b"{}");
                    }
                    reply.fail(delivery, Some(b"closed"), Some(form(request).as_bytes()));
                });
                let outcome = client.trigger("c", "e", "1");
                assert_ne!(outcome.status, 0);
                let signature = seen.lock().unwrap().pop().unwrap();
                let logged: String =
                    messages.take().iter().map(|logged| format!("{} {}", logged.message, logged.fields)).collect();
                let shown = format!("{} {logged}", outcome.document.unwrap());
                for at in 0..=48 {
                    assert!(!shown.contains(&signature[at..at + 16]), "{shown}");
                }
            }
        }
    }
}

#[test]
fn limits_apply_to_transports() {
    let answer = |size: usize| {
        move |reply: &Reply| {
            reply.set(200, format!("\"{}\"", "a".repeat(size - 2)).as_bytes());
        }
    };
    let limit = json!({"max_response_bytes": 1000});
    assert_eq!(outcome_of(answer(1000), limit.clone(), "c").name(), "OK");
    outcome_of(answer(1001), limit.clone(), "c").is("BAD_RESPONSE", "unknown").because("malformed");
    let refusal = |reply: &Reply| {
        reply.set(403, "x".repeat(5000).as_bytes());
    };
    outcome_of(refusal, limit, "c").is("FORBIDDEN", "rejected");
}

#[test]
fn a_signature_echoed_by_a_transport_is_redacted() {
    let client = Client::new(&config(1, json!({})));
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let see = Arc::clone(&seen);
    client.send_by(move |request, reply| {
        see.lock().unwrap().push(request.signature().to_owned());
        reply.set(401, format!("{0} {0} {1}", request.signature(), request.url).as_bytes());
    });
    for function in Function::network() {
        let outcome = function.call(Some(&client), &function.good());
        outcome.is("UNAUTHORIZED", if function.purpose == Purpose::Ask { "" } else { "rejected" });
        let signature = seen.lock().unwrap().pop().unwrap();
        let document = outcome.document.unwrap();
        assert!((0..48).all(|at| !document.contains(&signature[at..at + 16])), "{document}");
    }
}

#[test]
fn a_transport_runs_on_the_calling_thread() {
    let client = Client::new(&config(1, json!({})));
    let threads: Arc<Mutex<Vec<thread::ThreadId>>> = Arc::default();
    let note = Arc::clone(&threads);
    client.send_by(move |_, reply| {
        note.lock().unwrap().push(thread::current().id());
        reply.set(200, b"{}");
    });
    for function in Function::network() {
        function.call(Some(&client), &function.good()).is_ok("{}");
    }
    let elsewhere = thread::scope(|scope| {
        let call = || {
            client.trigger("c", "e", "1").is_ok("{}");
            thread::current().id()
        };
        scope.spawn(call).join().unwrap()
    });
    let mut expected = vec![thread::current().id(); 10];
    expected.push(elsewhere);
    assert_eq!(*threads.lock().unwrap(), expected);
}

#[test]
fn only_the_transport_sends() {
    let server = Server::start([]);
    let client = server.client();
    let drops = client.send_by(|_, reply| done(reply.set(200, b"{}")));
    for function in Function::network() {
        function.call(Some(&client), &function.good()).is_ok("{}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(drops.load(SeqCst), 0);
    drop(client);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn eight_threads_call_one_transport_at_the_same_time() {
    const THREADS: usize = 8;
    let client = Client::new(&config(1, json!({})));
    // All threads must be inside at the same time, or none continues.
    let inside = std::sync::Barrier::new(THREADS);
    client.send_by(move |request, reply| {
        inside.wait();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        reply.set(200, body["data"].as_str().unwrap_or("null").as_bytes());
    });
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let client = &client;
            scope.spawn(move || {
                for call in 0..50 {
                    let data = json!({"id": thread * 1000 + call}).to_string();
                    client.trigger("c", "e", &data).is_ok(&data);
                }
            });
        }
    });
}

#[test]
fn a_request_reports_its_remaining_time() {
    let client = Client::new(&config(1, json!({"timeout_ms": 70_000})));
    let left: Arc<Mutex<Vec<u32>>> = Arc::default();
    let note = Arc::clone(&left);
    client.send_by(move |request, reply| {
        note.lock().unwrap().push(request.timeout_ms);
        reply.set(200, b"{}");
    });
    let near = |left: u32, expected: u32| assert!(left <= expected && left + 2000 > expected, "{left} {expected}");
    for (options, expected) in [("{}", 70_000), (r#"{"timeout_ms":600000}"#, 600_000), (r#"{"timeout_ms":9000}"#, 9000)]
    {
        client.trigger_with("c", "e", "1", options).is_ok("{}");
        near(left.lock().unwrap().pop().unwrap(), expected);
        let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("1"), Some(options)]);
        near(request.read().timeout_ms, expected);
    }
    near(Client::new(&config(1, json!({}))).prepare("channels_info", &[]).read().timeout_ms, 5000);
    // The time goes down to 0 and stays there.
    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("1"), Some(r#"{"timeout_ms":30}"#)]);
    let start = Instant::now();
    let mut last = request.read().timeout_ms;
    assert!(last <= 30);
    while last > 0 {
        let next = request.read().timeout_ms;
        assert!(next <= last && start.elapsed() < PATIENCE);
        last = next;
    }
    assert!(start.elapsed() >= Duration::from_millis(25), "{:?}", start.elapsed());
    assert_eq!(request.read().timeout_ms, 0);
    // A late response still counts.
    let reply = Reply::new();
    reply.set(200, b"{}");
    client.finish(&request, &reply).is_ok("{}");
}

#[test]
fn urls_omit_the_default_port_of_the_scheme() {
    for (more, origin) in [
        (json!({"host": "h.example", "ssl": true, "port": 443}), "https://h.example"),
        (json!({"host": "h.example", "ssl": true, "port": 80}), "https://h.example:80"),
        (json!({"host": "h.example", "ssl": false, "port": 80}), "http://h.example"),
        (json!({"host": "h.example", "ssl": false, "port": 443}), "http://h.example:443"),
        (json!({"host": "::1", "port": 6001}), "http://[::1]:6001"),
        (json!({"host": "[2001:DB8::1]", "ssl": true, "port": 443}), "https://[2001:db8::1]"),
        (json!({"path": "/pre/fix"}), "http://127.0.0.1:1/pre/fix"),
    ] {
        let client = Client::new(&config(1, more));
        let url = client.prepare("channels_info", &[]).read().url;
        assert!(url.starts_with(&format!("{origin}/apps/{APP_ID}/channels?auth_key=")), "{url}");
    }
    let client = Client::new("https://k:s@api-eu.pusher.com/apps/1");
    let url = client.prepare("users_info", &[Some("presence-a")]).read().url;
    assert!(url.starts_with("https://api-eu.pusher.com/apps/1/channels/presence-a/users?"), "{url}");
}

#[test]
fn a_prepared_request_outlives_its_client() {
    let client = Client::new(&config(1, json!({})));
    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("1")]);
    let before = request.read();
    drop(client);
    let after = request.read();
    assert_eq!((before.url, before.body, before.headers), (after.url, after.body, after.headers));
}

#[test]
fn prepare_sends_nothing() {
    let server = Server::start([]);
    let client = server.client();
    for (function, texts) in calls() {
        for _ in 0..3 {
            prepared(&client, &function, &texts).read();
        }
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn one_response_may_finish_several_requests() {
    let client = Client::new(&config(1, json!({})));
    let reply = Reply::new();
    reply.set(200, b"{\"a\":1}");
    for _ in 0..3 {
        let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("1")]);
        client.finish(&request, &reply).is_ok("{\"a\":1}");
    }
}

#[test]
fn only_a_post_has_a_body() {
    let client = Client::new(&config(1, json!({})));
    for function in Function::network() {
        let request = prepared(&client, &function, &function.good()).read();
        let method = match (function.purpose, function.name) {
            (Purpose::Ask, _) => "GET",
            (_, "delete") => "DELETE",
            _ => "POST",
        };
        assert_eq!((request.method.as_str(), request.body.is_empty()), (method, method != "POST"));
    }
}

#[test]
fn eight_threads_prepare_and_finish_with_one_client() {
    let client = Client::new(&config(1, json!({})));
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for call in 0..100 {
                    let data = (thread * 1000 + call).to_string();
                    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some(&data)]);
                    let read = request.read();
                    assert_eq!(read.verify(KEY, SECRET), Ok(()));
                    assert_eq!(read.text(), format!(r#"{{"name":"e","channels":["c"],"data":"{data}"}}"#));
                    let reply = Reply::new();
                    reply.set(200, data.as_bytes());
                    client.finish(&request, &reply).is_ok(&data);
                }
            });
        }
    });
}

/// A transport that responds with success.
fn respond_ok(_: &Snapshot, reply: &Reply) {
    reply.set(200, b"{}");
}

#[test]
fn callbacks_are_dropped_exactly_once() {
    // Neither a client nor a callback: dropped at once.
    for (client, function) in [(false, false), (false, true), (true, false)] {
        let real = Client::new(&config(1, json!({})));
        let client = client.then_some(&real);
        let missing = if function { "client" } else { "" };
        let (outcome, drops) = hooks::set_transport(client, function.then(|| Box::new(|_: &_, _: &_| ()) as Box<_>));
        outcome.is("INVALID_ARGUMENT", "");
        assert!([missing, "send"].contains(&&*outcome.text("argument")), "{outcome:?}");
        assert_eq!(drops.load(SeqCst), 1);
        let (outcome, messages, log_drops) = hooks::set_log(client, function);
        outcome.is("INVALID_ARGUMENT", "");
        assert!([missing, "log"].contains(&&*outcome.text("argument")), "{outcome:?}");
        assert_eq!(log_drops.load(SeqCst), 1);
        drop(real);
        assert_eq!((drops.load(SeqCst), log_drops.load(SeqCst)), (1, 1));
        assert!(messages.take().is_empty());
    }
    // A second one is dropped at once, the first with the client.
    let client = Client::new(&config(1, json!({})));
    let first = client.send_by(respond_ok);
    let (_, first_log) = client.log();
    let (outcome, second) = hooks::set_transport(Some(&client), Some(Box::new(|_, _| ())));
    outcome.is("INVALID_STATE", "");
    let (outcome, _, second_log) = hooks::set_log(Some(&client), true);
    outcome.is("INVALID_STATE", "");
    client.trigger("c", "e", "{}").is_ok("{}");
    // One that is set after the first call is dropped at once, too.
    let (outcome, third) = hooks::set_transport(Some(&client), Some(Box::new(|_, _| ())));
    outcome.is("INVALID_STATE", "");
    let counts = || [&first, &first_log, &second, &second_log, &third].map(|drops| drops.load(SeqCst));
    assert_eq!(counts(), [0, 0, 1, 1, 1]);
    drop(client);
    assert_eq!(counts(), [1, 1, 1, 1, 1]);
}

#[test]
fn callbacks_must_be_set_before_the_first_call() {
    let server = Server::start([]);
    for function in Function::network() {
        let client = server.client();
        function.call(Some(&client), &function.good());
        let (outcome, _) = hooks::set_transport(Some(&client), Some(Box::new(|_, _| ())));
        assert_eq!((outcome.name(), outcome.delivery()), ("INVALID_STATE", ""), "{}", function.name);
        let (outcome, ..) = hooks::set_log(Some(&client), true);
        assert_eq!((outcome.name(), outcome.delivery()), ("INVALID_STATE", ""), "{}", function.name);
    }
    // A function that sends nothing does not count as a call.
    let client = server.client();
    client.trigger("no channel", "e", "{}");
    client.call_with("authenticate", &["private-c", "1.1"]).document.unwrap();
    client.webhook(None, None, b"{}");
    client.prepare("trigger", &[Some("c"), Some("e"), Some("{}")]);
    client.send_by(respond_ok);
    client.log();
    // Without a drop callback, the data is not released.
    let client = server.client();
    assert_eq!(hooks::set_without_drop(&client), [0, 0]);
    client.trigger("c", "e", "{}").is("DELIVERY_UNKNOWN", "unknown").because("transport");
}

#[test]
fn the_headers_of_a_rate_limit_count_in_a_transports_response() {
    let client = Client::new(&config(1, json!({})));
    client.send_by(|_, reply| {
        reply.set(429, br#"{"error":"slower","code":"rate_limited"}"#);
        reply.header(Some(b"X-RateLimit-LIMIT"), Some(b"100")).header(Some(b"x-ratelimit-reset"), Some(b"5"));
        reply.header(Some(b"x-ratelimit-remaining"), Some(b"none"));
    });
    let outcome = client.trigger("c", "e", "1");
    outcome.is("RATE_LIMITED", "rejected");
    assert_eq!(outcome.error()["rate_limit"], json!({"limit": 100, "reset": 5}));
    assert_eq!(outcome.text("server_code"), "rate_limited");
}
