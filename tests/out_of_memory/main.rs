//! No memory for anything large: every function, with large arguments and responses, while each of its large allocations
//! fails in turn, and while all of them fail. A call must end with a true result and never abort the process.
//!
//! Small allocations do not fail here: Rust aborts the process for those, as SECURITY.md says.

#[path = "../support/mod.rs"]
mod support;

mod allocator;

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use pusher::ffi;
use serde_json::{Value, json};

use allocator::{Plan, alone, during, end, watch_threads};
use support::calls::{MASTER_KEY, base64, error_delivery};
use support::functions::call_raw;
use support::publisher::Publisher;
use support::{Answer, Client, End, KEY, SECRET, Server, config, signature};

/// The size of what is large: more than the library works on in one piece.
const LONG_BYTES: usize = 300 << 10;

/// What a call returned: its status and its document, which the library made.
struct Returned(i32, *mut c_char);

impl Returned {
    fn text(&self) -> Option<&str> {
        // SAFETY: the library made the string, and it is freed when this is dropped.
        (!self.1.is_null()).then(|| unsafe { CStr::from_ptr(self.1) }.to_str().unwrap())
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        // SAFETY: the library made the string.
        unsafe { ffi::pusher_string_free(self.1) };
    }
}

const OK: i32 = 0;
const INTERNAL: i32 = 255;
/// The statuses of a call that reached the server, or tried.
const NETWORK: [i32; 5] = [20, 21, 22, 46, 48];

/// Makes a call with each of its large allocations failing, alone and with all after it. Without a failed allocation its
/// status is `expected`.
///
/// A call that fails for memory says so, and never that it sent nothing if the server has received something.
#[track_caller]
fn check(what: &str, server: &Server, expected: i32, call: impl Fn(*mut *mut c_char) -> i32) {
    let make = |plan| {
        let before = server.ledger().len();
        let (returned, count) = during(plan, || {
            let mut out = ptr::null_mut();
            let status = call(&raw mut out);
            Returned(status, out)
        });
        (returned, count, server.ledger().len() - before)
    };
    let (good, count, _) = make(Plan::None);
    let excerpt = |returned: &Returned| returned.text().map(|text| text.chars().take(300).collect::<String>());
    assert_eq!(good.0, expected, "{what}: {:?}", excerpt(&good));
    println!("{what}: {count} large allocations");
    assert!(count > 0 || expected != OK, "{what}");
    let length = |returned: &Returned| returned.text().map(str::len);
    for plan in (1..=count).flat_map(|number| [Plan::Only(number), Plan::From(number)]) {
        let (failed, _, received) = make(plan);
        let shown = excerpt(&failed);
        if failed.0 == expected {
            // It did without: the result is whole, and an error may lack the response.
            assert!(expected != OK || length(&failed) == length(&good), "{what}, {plan:?}: {shown:?}");
            continue;
        }
        assert!(failed.0 == INTERNAL || NETWORK.contains(&failed.0), "{what}, {plan:?}: {} {shown:?}", failed.0);
        let Some(document) = failed.text() else { continue };
        assert!(document.contains("memory"), "{what}, {plan:?}: {shown:?}");
        let is_not_sent = error_delivery(Some(document.as_bytes())) == 1;
        assert!(!(is_not_sent && received > 0), "{what}, {plan:?}: {received} requests, {shown:?}");
    }
}

/// A function and its strings.
type Call<'a> = (&'a str, Vec<String>);

/// Returns a call of a function.
fn call<'a>(client: &'a Client, name: &'a str, texts: &[String]) -> impl Fn(*mut *mut c_char) -> i32 + use<'a> {
    let texts: Vec<CString> = texts.iter().map(|text| CString::new(text.as_str()).unwrap()).collect();
    let client = client.0.as_ptr();
    move |out| {
        let at = |index: usize| texts.get(index).map_or(ptr::null(), |text| text.as_ptr());
        // SAFETY: every pointer is NULL or good for the call.
        unsafe { call_raw(name, client, at, out) }
    }
}

fn limits() -> Value {
    json!({
        "max_data_bytes": 64 << 20, "max_batch_events": 10_000, "timeout_ms": 60_000,
        "encryption_master_key_base64": base64(MASTER_KEY.as_bytes()),
    })
}

/// Long strings: plain, with an escape here and there, and of escapes only.
fn long_strings() -> [String; 3] {
    [
        format!("\"{}\"", "a".repeat(LONG_BYTES)),
        format!("\"{}\"", "aaaaaaaaaaaaaa\\n".repeat(LONG_BYTES / 16)),
        format!("\"{}\"", "\\u00e9".repeat(LONG_BYTES / 6)),
    ]
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

#[test]
fn events() {
    let _alone = alone();
    let server = Server::start([]);
    let client = server.client_with(limits());
    let mut calls: Vec<Call<'_>> = Vec::new();
    let nested = format!("{}1{}", "[".repeat(LONG_BYTES), "]".repeat(LONG_BYTES));
    let object = format!("{{{}\"last\":1}}", (0..50_000).map(|n| format!("\"key {n}\":[1],")).collect::<String>());
    for data in long_strings().iter().chain([&nested, &object]) {
        for channel in ["c", "private-encrypted-c"] {
            calls.push(("trigger", strings([channel, "e", data])));
            calls.push(("trigger_batch", vec![format!(r#"[{{"channel":"{channel}","name":"e","data":{data}}}]"#)]));
        }
        calls.push(("send_to_user", strings(["7", "e", data])));
        calls.push(("post", strings(["/events", "{}", data])));
    }
    let members: String = (0..5000).map(|n| format!("\"k{n}\":\"\\n\",")).collect();
    let extra = format!(r#"{{"extra":{{{members}"z":1}}}}"#);
    calls.push(("trigger", strings(["c", "e", "1", &extra])));
    let many =
        (0..10_000).map(|n| format!(r#"{{"channel":"c{n}","name":"e","data":"1"}}"#)).collect::<Vec<_>>().join(",");
    calls.push(("trigger_batch", vec![format!("[{many}]")]));
    let names = (0..3000).map(|n| format!("\"\\u0063{n}\"")).collect::<Vec<_>>().join(",");
    calls.push(("trigger", vec![format!("[{names}]"), "e".into(), "1".into(), r#"{"fan_out":true}"#.into()]));
    let members: String = (0..10_000).map(|n| format!("\"unknown {n}\":1,")).collect();
    for (name, texts) in &calls {
        check(&format!("{name} {:.60}", texts.join(" ")), &server, OK, call(&client, name, texts));
    }
    let long = &long_strings()[2];
    let plain = &long_strings()[0];
    let wrong: [Call<'_>; 11] = [
        ("trigger", strings(["c", "e", "1", &format!(r#"{{"headers":{{"x":{plain}}}}}"#)])),
        ("trigger", strings(["c", "e", "1", &format!("{{{members}\"z\":1}}")])),
        ("trigger", strings(["c", "e", "1", &format!("{{{long}:1}}")])),
        ("trigger", strings(["c", "e", "1", &format!(r#"{{"socket_id":{long}}}"#)])),
        ("trigger", strings(["c", "e", "1", &format!(r#"{{"headers":{{"x":{long}}}}}"#)])),
        ("trigger", strings(["c", "e", "1", &format!(r#"{{"headers":{{{long}:"1"}}}}"#)])),
        ("trigger", strings(["c", "e", "1", &format!(r#"{{"idempotency_key":{long}}}"#)])),
        ("trigger", strings([&format!("[{long}]"), "e", "1"])),
        ("trigger", strings(["c", "e", &format!("{long}x")])),
        ("get", strings(["/channels", &format!("{{\"a\":{long}}}")])),
        ("delete", strings(["/channels", &format!("{{{members}\"z\":1}}")])),
    ];
    for (name, texts) in &wrong {
        check(&format!("wrong {name} {:.60}", texts.join(" ")), &server, 1, call(&client, name, texts));
    }
}

#[test]
fn responses() {
    let _alone = alone();
    let attributes = format!(
        r#"{{"channels":{{{}"z":{{}}}}}}"#,
        (0..50_000).map(|n| format!("\"c{n}\":{{\"user_count\":1}},")).collect::<String>()
    );
    let escaped = format!("{{\"a\\n\":{}}}", long_strings()[2]);
    let inside = format!("{{\"error\":{},\"code\":500}}", long_strings()[1]);
    let members: String = (0..5000).map(|n| format!("\"k{n}\":1,")).collect();
    let behind_members = format!("{{{members}\"error\":\"x\",\"code\":500}}");
    let chunk = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    let endless = |body: &str| format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    let invalid = [b"HTTP/1.1 400 No\r\nContent-Length: 100000\r\n\r\n".to_vec(), vec![0xff; 100_000]].concat();
    let answers = [
        (Answer::ok(&attributes), OK),
        (Answer::ok(&escaped), OK),
        (Answer::ok(&inside), 46),
        (Answer::ok(&behind_members), 46),
        (Answer::raw(chunk(&attributes)), OK),
        (Answer::raw(endless(&attributes)).then(End::Close), OK),
        (Answer::new(400, &[], &inside), 40),
        (Answer::new(500, &[], &escaped), 46),
        (Answer::raw(invalid), 40),
        (Answer::new(200, &[], &format!("{}x", attributes)), 22),
    ];
    let options = r#"{"info":"user_count"}"#;
    let calls: [Call<'_>; 8] = [
        ("trigger", strings(["c", "e", "1", options])),
        ("trigger_batch", strings([r#"[{"channel":"c","name":"e","data":"1","info":"user_count"}]"#])),
        ("send_to_user", strings(["7", "e", "1"])),
        ("terminate_user_connections", strings(["7"])),
        ("channels_info", strings(["presence-", "user_count"])),
        ("users_info", strings(["presence-c"])),
        ("get", strings(["/channels"])),
        ("post", strings(["/x", "{}", "{}"])),
    ];
    for (answer, expected) in answers {
        let server = Server::builder().answering(move |_| answer.clone()).start();
        let client = server.client_with(limits());
        for (name, texts) in &calls {
            check(&format!("{name}, answered {expected}"), &server, expected, call(&client, name, texts));
        }
    }
}

#[test]
fn signatures() {
    let _alone = alone();
    let server = Server::start([]);
    let client = server.client_with(limits());
    for data in long_strings() {
        let member = format!(r#"{{"user_id":"7","user_info":{{"a":{data}}}}}"#);
        let user = format!(r#"{{"id":"7","user_info":{{"a":{data}}}}}"#);
        let string = serde_json::to_string(&member).unwrap();
        let calls: [Call<'_>; 4] = [
            ("authenticate", strings(["presence-c", "1.2", &member])),
            ("authenticate_user", strings(["1.2", &user])),
            (
                "authenticate_channels",
                vec!["1.2".into(), format!(r#"[{{"channel":"presence-c","channel_data":{member}}}]"#)],
            ),
            (
                "authenticate_channels",
                vec!["1.2".into(), format!(r#"[{{"channel":"presence-c","channel_data":{string}}}]"#)],
            ),
        ];
        for (name, texts) in &calls {
            check(&format!("{name} {:.60}", texts.join(" ")), &server, OK, call(&client, name, texts));
        }
    }
}

#[test]
fn webhooks() {
    let _alone = alone();
    let server = Server::start([]);
    let mut more = limits();
    more["webhook_max_age_ms"] = json!(0);
    let client = server.client_with(more);
    let channel = "private-encrypted-c";
    let plain = format!("{{\"x\":\"{}\"}}", "a".repeat(LONG_BYTES));
    let sealed = {
        let request = client.prepare("trigger", &[Some(channel), Some("e"), Some(&plain)]);
        let body: Value = serde_json::from_slice(&request.read().body).unwrap();
        body["data"].clone()
    };
    let event = |data: &Value| json!({"name": "client_event", "channel": channel, "event": "client-e", "data": data});
    let as_object: Value = serde_json::from_str(sealed.as_str().unwrap()).unwrap();
    let bodies = [
        json!({"time_ms": 1, "events": [event(&sealed), event(&as_object), event(&json!("x"))]}).to_string(),
        format!(
            r#"{{"time_ms":1,"events":[{{"name":"client_event","channel":"private-c","data":{}}}]}}"#,
            long_strings()[2]
        ),
        format!(
            r#"{{"time_ms":1,"events":[{}1]}}"#,
            "{\"name\":\"client_event\",\"\\u0063hannel\":\"private-encrypted-c\",\"data\":1},".repeat(10_000)
        ),
    ];
    for body in bodies {
        let signed = CString::new(signature::hmac_hex(SECRET.as_bytes(), body.as_bytes())).unwrap();
        let key = CString::new(KEY).unwrap();
        check(&format!("webhook {body:.80}"), &server, OK, |out| {
            // SAFETY: every pointer is good for the call.
            unsafe {
                ffi::pusher_validate_webhook(
                    client.0.as_ptr().cast_const().cast(),
                    key.as_ptr(),
                    signed.as_ptr(),
                    body.as_ptr(),
                    body.len(),
                    out,
                ) as i32
            }
        });
        let wrong = CString::new(vec![0xff; LONG_BYTES]).unwrap();
        check("webhook with a long signature", &server, 60, |out| {
            // SAFETY: every pointer is good for the call.
            unsafe {
                ffi::pusher_validate_webhook(
                    client.0.as_ptr().cast_const().cast(),
                    key.as_ptr(),
                    wrong.as_ptr(),
                    body.as_ptr(),
                    body.len(),
                    out,
                ) as i32
            }
        });
    }
}

#[test]
fn configurations() {
    let _alone = alone();
    let server = Server::start([]);
    let tokens: Vec<Value> = (0..20_000).map(|n| json!({"key": format!("k{n}"), "secret": "s"})).collect();
    let good: Value = serde_json::from_str(&config(server.port(), json!({}))).unwrap();
    let with = |key: &str, value: Value| {
        let mut all = good.clone();
        all[key] = value;
        all.to_string()
    };
    let long = "\n".repeat(LONG_BYTES);
    let mut configs: Vec<String> = [
        "app_id",
        "key",
        "secret",
        "host",
        "path",
        "proxy",
        "url",
        "ca_file",
        "cluster",
        "unix_socket",
        "channel_characters",
        "unknown",
    ]
    .map(|key| with(key, json!(long)))
    .to_vec();
    configs.push(with("webhook_tokens", json!(tokens)));
    configs.push(with("webhook_tokens", json!([{"key": "k", "secret": long}])));
    configs.push(with(&long, json!(1)));
    configs.push(with("headers", json!({"x": long})));
    configs.push(format!("http://{}:s@h/apps/1", "k".repeat(LONG_BYTES)));
    configs.push(format!("{} x", with("a", json!("a".repeat(LONG_BYTES)))));
    for text in configs {
        let c_text = CString::new(text.as_str()).unwrap();
        let make = |out| {
            let mut client = ptr::null_mut();
            // SAFETY: every pointer is good for the call.
            unsafe {
                let status = ffi::pusher_new(c_text.as_ptr(), &raw mut client, out) as i32;
                ffi::pusher_free(client);
                status
            }
        };
        let (status, count) = during(Plan::None, || make(ptr::null_mut()));
        println!("{:.60}: {status}", text.chars().rev().take(60).collect::<String>());
        if count > 0 {
            check(&format!("new {text:.200}"), &server, status, make);
        }
    }
    let client = server.client();
    let text = CString::new(format!("{{\"overflow\":\"{}\"}}", "\\n".repeat(LONG_BYTES))).unwrap();
    check("publisher_new", &server, 2, |out| {
        let mut publisher = ptr::null_mut();
        // SAFETY: every pointer is good for the call.
        unsafe {
            ffi::pusher_publisher_new(client.0.as_ptr().cast_const().cast(), text.as_ptr(), &raw mut publisher, out)
                as i32
        }
    });
}

#[test]
fn prepared_requests() {
    let _alone = alone();
    let server = Server::start([]);
    let client = server.client_with(limits());
    let pointer = client.0.as_ptr().cast_const().cast();
    let texts = [c"c".to_owned(), c"e".to_owned(), CString::new(long_strings()[1].as_str()).unwrap()];
    let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    let body = long_strings()[2].clone();
    let message = CString::new([vec![0xff_u8; LONG_BYTES], b"x".repeat(LONG_BYTES)].concat()).unwrap();
    for fails in [false, true] {
        check("prepare and finish", &server, if fails { 21 } else { OK }, |out| {
            let mut request = ptr::null_mut();
            // SAFETY: every pointer is good for the call.
            unsafe {
                let status =
                    ffi::pusher_prepare(pointer, c"trigger".as_ptr(), pointers.as_ptr(), 3, &raw mut request, out)
                        as i32;
                if status != 0 {
                    return status;
                }
                let response = ffi::pusher_response_new();
                if fails {
                    ffi::pusher_response_fail(response, 3, ptr::null(), message.as_ptr());
                } else {
                    ffi::pusher_response_set(response, 200, body.as_ptr(), body.len());
                    ffi::pusher_response_set_header(response, message.as_ptr(), message.as_ptr());
                    ffi::pusher_response_set_header(response, c"date".as_ptr(), texts[2].as_ptr());
                }
                let status = ffi::pusher_finish(pointer, request, response, out) as i32;
                ffi::pusher_response_free(response);
                ffi::pusher_request_free(request);
                status
            }
        });
    }
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    check("prepare, bytes, feed and finish", &server, OK, |out| {
        let (mut request, mut size) = (ptr::null_mut(), 0);
        // SAFETY: every pointer is good for the call.
        unsafe {
            let status = ffi::pusher_prepare(pointer, c"trigger".as_ptr(), pointers.as_ptr(), 3, &raw mut request, out);
            if status as i32 != 0 {
                return status as i32;
            }
            let bytes = ffi::pusher_request_bytes(request, &raw mut size);
            assert_eq!(bytes.is_null(), size == 0);
            let response = ffi::pusher_response_new();
            if bytes.is_null() {
                ffi::pusher_response_fail(response, 1, c"write".as_ptr(), c"no memory".as_ptr());
            } else {
                // Without its last byte first.
                ffi::pusher_response_feed(response, whole.as_ptr(), whole.len() - 1, ptr::null_mut());
                ffi::pusher_response_feed(response, whole.as_ptr().add(whole.len() - 1), 1, ptr::null_mut());
            }
            let status = ffi::pusher_finish(pointer, request, response, out) as i32;
            ffi::pusher_response_free(response);
            ffi::pusher_request_free(request);
            status
        }
    });
    let many = vec![ptr::null(); 100_000];
    check("prepare with many arguments", &server, 1, |out| {
        let mut request = ptr::null_mut();
        // SAFETY: every pointer is good for the call.
        unsafe {
            ffi::pusher_prepare(pointer, c"trigger".as_ptr(), many.as_ptr(), many.len(), &raw mut request, out) as i32
        }
    });
    let document =
        format!(r#"{{"error":{{"status":"X","delivery":"not_sent","message":{},"parts":[{{}}]}}}}"#, long_strings()[2]);
    let document = CString::new(document).unwrap();
    assert_eq!(during(Plan::From(1), || error_parts(&document)), ((1, LONG_BYTES / 6 * 2), 0));
}

/// Responds with success.
unsafe extern "C" fn succeed(_: *mut c_void, _: *const ffi::PusherRequest, response: *mut ffi::PusherResponse) {
    // SAFETY: the response lives for this call.
    unsafe {
        ffi::pusher_response_set(response, 200, b"{}".as_ptr(), 2);
        ffi::pusher_response_set_header(response, c"content-length".as_ptr(), c"2".as_ptr());
    }
}

#[test]
fn a_transport() {
    let _alone = alone();
    let server = Server::start([]);
    let client = server.client_with(limits());
    let pointer = client.0.as_ptr().cast();
    // SAFETY: the client was not used before, and `succeed` takes no data.
    let status =
        unsafe { ffi::pusher_set_transport(pointer, Some(succeed), ptr::null_mut(), None, ptr::null_mut()) as i32 };
    assert_eq!(status, OK);
    for data in long_strings() {
        let texts = strings(["c", "e", &data]);
        check("trigger through a transport", &server, OK, call(&client, "trigger", &texts));
    }
}

fn error_parts(document: &CStr) -> (i32, usize) {
    // SAFETY: the document is a C string.
    unsafe {
        (
            ffi::pusher_error_delivery(document.as_ptr()),
            ffi::pusher_error_message(document.as_ptr(), ptr::null_mut(), 0),
        )
    }
}

#[test]
fn a_publisher() {
    let _alone = alone();
    let server = Server::builder().answering(|_| Answer::new(400, &[], &"x".repeat(LONG_BYTES))).start();
    let client = server.client_with(limits());
    let publisher = Publisher::new(&client, &json!({"connections": 1, "max_queue_bytes": 1 << 30, "reports": "all"}));
    let raw = publisher.0.as_ptr().cast();
    // The threads of the publisher send meanwhile, to the other server.
    let server = Server::start([]);
    let publish = |data: &CStr, options: &CStr, out| {
        // SAFETY: every pointer is good for the call.
        unsafe {
            ffi::pusher_publisher_publish(
                raw,
                c"c".as_ptr(),
                c"e".as_ptr(),
                data.as_ptr(),
                options.as_ptr(),
                ptr::null_mut(),
                out,
            ) as i32
        }
    };
    for data in long_strings() {
        let data = CString::new(data).unwrap();
        check("publish", &server, OK, |out| publish(&data, c"{}", out));
    }
    let key = CString::new(format!(r#"{{"conflate":{}}}"#, long_strings()[1])).unwrap();
    check("publish with a key", &server, OK, |out| publish(c"1", &key, out));
    publisher.flush();
    // Reports that cannot be returned for lack of memory are kept for the next call.
    while publisher.poll(0).is_some() {}
    for _ in 0..1000 {
        publisher.publish("c", "e", "1");
    }
    publisher.flush();
    let poll = || {
        let mut out = ptr::null_mut();
        // SAFETY: every pointer is good for the call.
        let status = unsafe { ffi::pusher_publisher_poll(raw, 0, &raw mut out) } as i32;
        Returned(status, out)
    };
    let mut number = 1;
    loop {
        let waiting = publisher.stats()["reports"]["waiting"].clone();
        assert!(waiting.as_u64() > Some(0));
        let (returned, count) = during(Plan::Only(number), poll);
        if count < number {
            assert_eq!(returned.0, OK);
            break;
        }
        assert_eq!(returned.0, INTERNAL, "{number}");
        assert!(returned.text().is_some_and(|text| text.contains("memory")));
        assert_eq!(publisher.stats()["reports"], json!({"waiting": waiting, "lost": 0}));
        number += 1;
    }
    assert!(number > 2);
}

#[test]
fn the_queue_of_a_publisher() {
    let _alone = alone();
    let server = Server::start([Answer::ok("{}").when_released()]);
    let client = server.client_with(limits());
    let publisher =
        Publisher::new(&client, &json!({"connections": 1, "max_queue_bytes": 1 << 30, "max_queue_events": 100_000}));
    let mut refused = 0;
    for number in 0..5000 {
        let channels = if number % 3 == 0 { r#"["c","d"]"# } else { "c" };
        let options = if number % 3 == 1 { format!(r#"{{"conflate":"{number}"}}"#) } else { "{}".to_owned() };
        let texts = [channels, "e", "1", &options].map(|text| CString::new(text).unwrap());
        let [channels, event, data, options] = texts.each_ref().map(|text| text.as_ptr());
        let (returned, _) = during(Plan::Only(1), || {
            let mut out = ptr::null_mut();
            let raw = publisher.0.as_ptr().cast();
            // SAFETY: every pointer is good for the call.
            let status = unsafe {
                ffi::pusher_publisher_publish(raw, channels, event, data, options, ptr::null_mut(), &raw mut out)
            };
            Returned(status as i32, out)
        });
        if returned.0 != OK {
            assert_eq!(returned.0, INTERNAL);
            assert!(returned.text().is_some_and(|text| text.contains("memory") && text.contains("not_sent")));
            refused += 1;
            let texts = texts.each_ref().map(|text| Some(text.to_bytes()));
            support::publisher::publish(Some(&publisher), texts).unwrap();
        }
    }
    // The slots, the keys and the events that are sent alone are reserved several times.
    assert!(refused >= 3, "{refused}");
    server.release();
    publisher.flush();
    let sent: usize = server.ledger().iter().map(|request| support::publisher::events_of(request).len()).sum();
    assert!(sent >= 5000, "{sent}");
}

/// Without memory for its document, a drain ends no event; without memory for all events, a restore queues none.
#[test]
fn a_drained_publisher() {
    let _alone = alone();
    let server = Server::start([Answer::ok("{}").when_released()]);
    let client = server.client_with(limits());
    let config = json!({"connections": 1, "max_queue_bytes": 1 << 30, "max_queue_events": 100_000});
    let publisher = Publisher::new(&client, &config);
    publisher.publish("c", "held", "0");
    server.wait_until("a request", |log| log.ledger.len() == 1);
    for number in 0..600 {
        match number % 3 {
            0 => publisher.publish_with("c", "e", "1", &json!({"conflate": number.to_string()})),
            1 => publisher.publish(r#"["c","d"]"#, "e", "1"),
            _ => publisher.publish("d", "e", "1"),
        };
    }
    let fan_out = json!({"fan_out": true});
    publisher.publish_with(r#"["c","private-encrypted-c"]"#, "e", &format!("\"{}\"", "a\\n".repeat(10_000)), &fan_out);
    let waiting = publisher.stats()["queue"]["events"].clone();
    let drain = || {
        let mut out = ptr::null_mut();
        // SAFETY: every pointer is good for the call.
        let status = unsafe { ffi::pusher_publisher_drain(publisher.0.as_ptr().cast(), 0, &raw mut out) };
        Returned(status as i32, out)
    };
    let refused = |returned: &Returned, number| {
        assert_eq!(returned.0, INTERNAL, "{number}");
        assert!(returned.text().is_some_and(|text| text.contains("memory")));
    };
    let mut number = 1;
    let drained = loop {
        let (returned, _) = during(Plan::Only(number), drain);
        if returned.0 == OK {
            break returned;
        }
        refused(&returned, number);
        assert_eq!(publisher.stats()["queue"]["events"], waiting);
        number += 1;
    };
    assert!(number > 3, "{number}");

    let document = CString::new(drained.text().unwrap()).unwrap();
    let other = Publisher::new(&client, &config);
    let restore = || {
        let mut out = ptr::null_mut();
        let raw = other.0.as_ptr().cast();
        // SAFETY: every pointer is good for the call.
        let status = unsafe { ffi::pusher_publisher_restore(raw, document.as_ptr(), &raw mut out) };
        Returned(status as i32, out)
    };
    let mut number = 1;
    let restored = loop {
        let (returned, _) = during(Plan::Only(number), restore);
        if returned.0 == OK {
            break returned;
        }
        refused(&returned, number);
        assert_eq!(other.stats()["events"]["published"], 0);
        number += 1;
    };
    assert!(number > 3 && restored.text().is_some(), "{number}");
    assert_eq!(other.stats()["events"]["published"], 601);
    server.release();
    other.flush();
    assert_eq!(other.stats()["events"]["delivered"], 601);
}

/// The threads of a publisher, with large events, batches and responses: each event ends truly.
#[test]
fn the_threads_of_a_publisher() {
    let _alone = alone();
    let data = long_strings();
    for number in 1..=8 {
        for plan in [Plan::Only(number), Plan::From(number)] {
            let fails = |count: usize| count % 3 == 1;
            let count = std::sync::atomic::AtomicUsize::new(0);
            let (plain, escaped) = (data[0].clone(), data[1].clone());
            let respond = move |_: &support::server::Received| match fails(
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            ) {
                true => Answer::new(400, &[], &plain),
                false => Answer::ok(&format!("{{\"channels\":{{\"c\":{}}}}}", escaped)),
            };
            let server = Server::builder().answering(respond).start();
            let client = server.client_with(limits());
            let publisher = Publisher::new(
                &client,
                &json!({"connections": 1, "max_queue_bytes": 1 << 30, "reports": "all", "max_batch_events": 10_000, "max_batch_bytes": 1 << 30}),
            );
            watch_threads(plan);
            for data in &data {
                publisher.publish_with("c", "e", data, &json!({"info": "user_count"}));
                publisher.publish_with(r#"["c","private-encrypted-c"]"#, "e", data, &json!({"fan_out": true}));
                for _ in 0..100 {
                    publisher.publish("c", "e", "1");
                }
            }
            publisher.flush();
            end();
            let stats = publisher.stats();
            let sum: u64 = ["delivered", "not_sent", "rejected", "unknown"]
                .iter()
                .map(|end| stats["events"][end].as_u64().unwrap())
                .sum();
            assert_eq!(stats["events"]["published"], json!(sum), "{plan:?}: {stats}");
            loop {
                let polled = support::publisher::raw_poll(Some(&publisher), 0);
                let Some(document) = polled.document.filter(|_| polled.status == OK) else { break };
                let document: Value = serde_json::from_str(&document).unwrap();
                for report in document["reports"].as_array().unwrap() {
                    assert!(report["status"].is_string() && report["delivery"].is_string(), "{plan:?}: {report}");
                }
            }
        }
    }
}
