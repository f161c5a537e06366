//! What a server or a proxy sends.

use std::sync::OnceLock;

use pusher::fuzzing;
use serde_json::json;

use crate::support::{Client, Reply};
use crate::texts;

/// Returns the input as one piece, in bytes, and in pieces whose lengths its first byte chooses.
fn pieces(bytes: &[u8]) -> [Vec<&[u8]>; 3] {
    let length = usize::from(bytes.first().copied().unwrap_or_default() % 13) + 1;
    [vec![bytes], bytes.chunks(1).collect(), bytes.chunks(length).collect()]
}

/// A response means the same, however its bytes arrive.
pub fn response(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(4096)];
    let [whole, single, chosen] = pieces(bytes).map(|pieces| fuzzing::read_response(pieces));
    assert_eq!(whole, single);
    assert_eq!(whole, chosen);
    let [fed, single, chosen] = pieces(bytes).map(|pieces| fuzzing::feed_response(pieces));
    assert_eq!((&fed, &fed), (&single, &chosen));
    if let (Some(status), Some(body), Some(used)) = (whole.status, &whole.body, whole.used) {
        assert_eq!(fed.1, Some((status, body.clone(), Some(used))));
    } else if let Some((status, ..)) = fed.1 {
        // A refusal whose body is broken.
        assert!(whole.status == Some(status) && !(200..300).contains(&status), "{whole:?}");
    }
    if let Some(used) = whole.used {
        assert!(used <= bytes.len());
        // 101 is final, too: nobody asked for another protocol.
        assert!(whole.status.is_some_and(|status| status == 101 || (200..1000).contains(&status)), "{whole:?}");
    }
    if whole.is_kept {
        // What follows belongs to nobody: an own response must not begin with it.
        let used = whole.used.expect("a kept connection has a complete response");
        assert_eq!(fuzzing::read_response([&bytes[..used]]), whole);
    }
}

/// A proxy opens a tunnel by a 2xx head alone, however its bytes arrive.
pub fn tunnel(bytes: &[u8]) {
    let [whole, single, chosen] = pieces(bytes).map(|pieces| fuzzing::open_tunnel(pieces));
    for outcome in [whole, chosen] {
        // Bytes after the head are only seen if they came with it.
        assert!(outcome == single || (outcome, single) == (Some(false), Some(true)), "{}", bytes.escape_ascii());
    }
}

/// Whatever a server says about waiting and about its clock, the wait is a number, and the delivery stays.
pub fn retry_after(bytes: &[u8]) {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let client = CLIENT.get_or_init(|| crate::client(json!({"clock_correction": true})));
    let [retry_after, date, limit, remaining, reset] = texts(bytes);
    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("{}"), None]);
    let reply = Reply::new();
    reply.set(429, b"{}");
    let headers = [
        ("Retry-After", retry_after),
        ("Date", date),
        ("X-RateLimit-Limit", limit),
        ("X-RateLimit-Remaining", remaining),
        ("X-RateLimit-Reset", reset),
    ];
    for (name, value) in headers {
        reply.header(Some(name.as_bytes()), Some(value));
    }
    let outcome = client.finish(&request, &reply);
    outcome.is("RATE_LIMITED", "rejected");
    outcome.number("retry_after_ms");
}
