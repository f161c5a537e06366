//! Functions without a client: versions, names, and the accessors of error documents.

use std::ffi::CStr;

use crate::support::calls::{
    error_delivery, error_message, error_message_length, error_numbers, error_text, json_string, status_name,
};
use crate::support::functions::Function;
use crate::support::signature::hmac_hex;
use crate::support::{Answer, Client, KEY, SECRET, Server, config};
use pusher::ffi;
use serde_json::json;

const STATUSES: [(i32, &str); 23] = [
    (0, "OK"),
    (1, "INVALID_ARGUMENT"),
    (2, "INVALID_CONFIG"),
    (3, "INVALID_STATE"),
    (20, "NOT_SENT"),
    (21, "DELIVERY_UNKNOWN"),
    (22, "BAD_RESPONSE"),
    (40, "BAD_REQUEST"),
    (41, "UNAUTHORIZED"),
    (42, "FORBIDDEN"),
    (43, "NOT_FOUND"),
    (44, "PAYLOAD_TOO_LARGE"),
    (45, "RATE_LIMITED"),
    (46, "SERVER_ERROR"),
    (47, "REDIRECTED"),
    (48, "PARTIAL"),
    (60, "WEBHOOK_INVALID"),
    (61, "ENCRYPTION"),
    (80, "QUEUE_FULL"),
    (81, "CLOSED"),
    (82, "TIMED_OUT"),
    (83, "FORKED"),
    (255, "INTERNAL"),
];

#[test]
fn the_version_is_that_of_the_package() {
    // SAFETY: the version is a static string.
    let version = unsafe { CStr::from_ptr(ffi::pusher_version()) };
    assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    let parts: Vec<u32> = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().unwrap()).collect();
    assert_eq!(ffi::pusher_version_number(), parts[0] << 16 | parts[1] << 8 | parts[2]);
}

#[test]
fn every_status_has_a_name_and_no_other_number_has() {
    for status in (-1000..=1000).chain([i32::MIN, i32::MAX, 1 << 16]) {
        let expected = STATUSES.iter().find(|(number, _)| *number == status).map_or("?", |(_, name)| name);
        assert_eq!(status_name(status), expected, "{status}");
    }
}

#[test]
fn error_delivery_reads_the_delivery_of_an_error_document() {
    for (word, number) in [("not_sent", 1), ("rejected", 2), ("unknown", 3), ("delivered", 4)] {
        for document in [
            format!(r#"{{"error":{{"status":"X","message":"m","delivery":"{word}"}}}}"#),
            format!(r#"{{"error":{{"status":"X" , "delivery" : "{word}" , "new" : [{{}}] }} , "more" : 1 }}"#),
        ] {
            assert_eq!(error_delivery(Some(document.as_bytes())), number, "{document}");
        }
    }
}

/// Whoever asks for the delivery first, and looks at the status later, must not send again what was delivered.
#[test]
fn no_result_passes_for_an_error_document() {
    let server = Server::start([]);
    let client = server.client();
    for body in [
        r#"{"error":{"delivery":"not_sent"}}"#,
        r#"{"error":{"status":"NOT_SENT","message":"m","delivery":"not_sent"}}"#,
        r#"{"error":{"status":"X"}}"#,
        r#"{"error":{"status":200}}"#,
    ] {
        for function in Function::network() {
            server.next(Answer::ok(body));
            let outcome = function.call(Some(&client), &function.good());
            assert_eq!((outcome.name(), outcome.delivery()), ("OK", ""), "{outcome:?}");
            let document = outcome.document.unwrap();
            assert_eq!(document.trim_start(), body);
            assert_reads_nothing(Some(document.as_bytes()));
        }
        let client = Client::new(&config(1, json!({"webhook_max_age_ms": 0})));
        let signature = hmac_hex(SECRET.as_bytes(), body.as_bytes());
        let outcome = client.webhook(Some(KEY.as_bytes()), Some(signature.as_bytes()), body.as_bytes());
        assert_eq!((outcome.name(), error_delivery(outcome.document.as_deref().map(str::as_bytes))), ("OK", 0));
    }
    // The name of a channel is the caller's.
    let channels = r#"["private-error",{"channel":"error"}]"#;
    let outcome = client.call_with("authenticate_channels", &["1.2", channels]);
    assert_eq!((outcome.name(), error_delivery(outcome.document.as_deref().map(str::as_bytes))), ("OK", 0));
}

#[test]
fn error_delivery_and_message_ignore_other_documents() {
    assert_reads_nothing(None);
    let deep = "[".repeat(1_000_000);
    for document in [
        "",
        " ",
        "{}",
        "[]",
        "null",
        "1",
        "\"error\"",
        "{\"ok\":true}",
        "{",
        "x",
        "{\"error\":null}",
        "{\"error\":\"unknown\"}",
        "{\"error\":[]}",
        "{\"error\":{}}",
        "{\"error\":{\"delivery\":3,\"message\":4}}",
        "{\"error\":{\"delivery\":\"lost\"}}",
        "{\"error\":{\"delivery\":null}}",
        "{\"delivery\":\"unknown\",\"message\":\"m\"}",
        "{\"error\":{\"delivery\":\"unknown\",\"message\":\"m\"}",
        "{\"error\":{\"delivery\":\"not_sent\",\"message\":\"m\"}}",
        " {\"error\":{\"status\":\"NOT_SENT\",\"message\":\"m\",\"delivery\":\"not_sent\"}}",
        &deep,
    ] {
        assert_reads_nothing(Some(document.as_bytes()));
    }
    assert_reads_nothing(Some(&[WHOLE.as_bytes(), b"\xff"].concat()));
    assert_reads_nothing(Some(&WHOLE.replace("NOT_SENT", "\u{e9}").into_bytes().split_off(20)));
    for end in 0..WHOLE.len() {
        assert_reads_nothing(Some(&WHOLE.as_bytes()[..end]));
    }
}

/// An error document with all members that have an accessor, and others.
const WHOLE: &str = concat!(
    r#"{"error":{"status":"NOT_SENT","message":"m","delivery":"not_sent","cause":"connect","response":"{\"a\":[","#,
    r#""server_code":"feature_disabled","retryable":true,"attempts":3,"http_status":429,"retry_after_ms":86400000,"#,
    r#""rate_limit":{"limit":1,"http_status":7},"parts":[{"cause":"dns"},["]}"]]}}"#
);

#[track_caller]
fn assert_reads_nothing(document: Option<&[u8]>) {
    let shown = document.map(String::from_utf8_lossy);
    assert_eq!((error_delivery(document), error_numbers(document)), (0, (0, 0, 0, -1)), "{shown:.80?}");
    for accessor in [ffi::pusher_error_message, ffi::pusher_error_cause, ffi::pusher_error_server_code] {
        assert_eq!(error_text(accessor, document, 10), (Vec::new(), 0), "{shown:.80?}");
    }
}

#[test]
fn accessors_read_the_members_of_an_error_document() {
    let document = Some(WHOLE.as_bytes());
    assert_eq!(error_delivery(document), 1);
    assert_eq!(error_numbers(document), (20, 1, 429, 86_400_000));
    assert_eq!(error_text(ffi::pusher_error_cause, document, 16), (b"connect".to_vec(), 7));
    assert_eq!(error_text(ffi::pusher_error_cause, document, 4), (b"con".to_vec(), 7));
    assert_eq!(error_text(ffi::pusher_error_server_code, document, 65), (b"feature_disabled".to_vec(), 16));
    for (number, name) in STATUSES {
        let document = format!(r#"{{"error":{{"status":"{name}","message":"m"}}}}"#);
        assert_eq!(error_numbers(Some(document.as_bytes())), (number, 0, 0, -1));
    }
}

#[test]
fn accessors_do_not_believe_members_of_another_type() {
    let document = r#"{"error":{"status":"NEW","retryable":"true","http_status":-1,"retry_after_ms":1.5,"cause":{},"server_code":4001}}"#;
    assert_reads_nothing(Some(document.as_bytes()));
    let document =
        r#"{"error":{"status":"","http_status":2147483648,"retry_after_ms":9223372036854775808,"retryable":1}}"#;
    assert_reads_nothing(Some(document.as_bytes()));
}

#[test]
fn a_program_decides_about_a_retry_without_a_json_library() {
    let server = Server::start([]);
    let client = server.client_with(json!({"retry": {"mode": "never"}}));
    let trigger = Function::named("trigger");
    let answer = Answer::new(429, &[("Retry-After", "7")], r#"{"error":"slow down","code":"rate_limit_exceeded"}"#);
    server.next(answer);
    let document = trigger.call(Some(&client), &trigger.good()).document.unwrap();
    let document = Some(document.as_bytes());
    assert_eq!((error_delivery(document), error_numbers(document)), (2, (45, 1, 429, 7000)));
    assert_eq!(error_text(ffi::pusher_error_server_code, document, 65).0, b"rate_limit_exceeded");
    assert_eq!(error_text(ffi::pusher_error_cause, document, 16), (Vec::new(), 0));
    let closed = Client::new(&config(1, json!({"retry": {"mode": "never"}})));
    let document = trigger.call(Some(&closed), &trigger.good()).document.unwrap();
    let document = Some(document.as_bytes());
    assert_eq!((error_delivery(document), error_numbers(document)), (1, (20, 1, 0, -1)));
    assert_eq!(error_text(ffi::pusher_error_cause, document, 16), (b"connect".to_vec(), 7));
}

#[test]
fn json_string_quotes_and_escapes_any_text() {
    for text in
        ["", "hello", "O\"Brien<b>\\", "a\0b\n\u{1f}\u{7f}", "\u{e9}\u{20ac}\u{1f600}", r#"{"error":{"status":""#]
    {
        let outcome = json_string(Some(text.as_bytes()), text.len());
        let document = outcome.document.as_deref().unwrap();
        assert_eq!((outcome.name(), serde_json::from_str::<String>(document).ok().as_deref()), ("OK", Some(text)));
        assert!(document.starts_with('"') && !document.contains('\0'), "{document}");
    }
    assert_eq!(json_string(Some(b"hello"), 2).document.as_deref(), Some("\"he\""));
    assert_eq!(json_string(None, 0).document.as_deref(), Some("\"\""));
    for (text, len, needle) in [
        (None, 1, "NULL"),
        (Some(b"\xffx".as_slice()), 2, "the byte at offset 0 is not valid"),
        (Some(b"ab\xc3"), 3, "the byte at offset 2 is not valid"),
        (Some(b"x"), usize::MAX, "longer than the address space"),
    ] {
        let outcome = json_string(text, len);
        let document = outcome.document.as_deref().unwrap();
        assert_eq!((outcome.name(), outcome.delivery()), ("INVALID_ARGUMENT", ""), "{document}");
        assert!(document.contains(r#""argument":"text""#) && document.contains(needle), "{document}");
    }
    // SAFETY: the text has as many bytes.
    assert_eq!(unsafe { ffi::pusher_json_string(c"a".as_ptr(), 1, std::ptr::null_mut()) } as i32, 0);
}

#[test]
fn a_message_is_truncated_to_fit_but_never_inside_a_character() {
    // One character of each length: a, é, €, 😀.
    let message = "aé€😀z";
    let document = format!(r#"{{"error":{{"status":"X","message":"{message}"}}}}"#);
    let whole = message.len();
    for (size, fits) in [
        (1, ""),
        (2, "a"),
        (3, "a"),
        (4, "aé"),
        (5, "aé"),
        (6, "aé"),
        (7, "aé€"),
        (10, "aé€"),
        (11, "aé€😀"),
        (12, message),
        (100, message),
    ] {
        assert_eq!(error_message(Some(document.as_bytes()), size), (fits.as_bytes().to_vec(), whole), "{size}");
    }
    assert_eq!(error_message(Some(document.as_bytes()), 0), (Vec::new(), whole));
    assert_eq!(error_message_length(&document), whole);
    assert_eq!(error_message_length("{}"), 0);
}

#[test]
fn a_message_is_returned_unescaped() {
    let document = r#"{"error":{"status":"X","message":"a\n\"\u00e9\ud83d\ude00\\"}}"#;
    let message = "a\n\"é😀\\";
    assert_eq!(error_message(Some(document.as_bytes()), 100), (message.as_bytes().to_vec(), message.len()));
}

#[test]
fn free_functions_accept_null() {
    // SAFETY: both accept NULL.
    unsafe {
        ffi::pusher_string_free(std::ptr::null_mut());
        ffi::pusher_free(std::ptr::null_mut());
    }
}
