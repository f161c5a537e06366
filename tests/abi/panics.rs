//! A panic inside a call. Only a bug causes one, so a test plants it: scripts/torture/coverage.sh runs this, and
//! scripts/torture/panics.sh tries every function.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::{Server, calls};

unsafe extern "C" {
    safe fn pusher_failpoint_arm(number: u32) -> i32;
}

/// Runs `body` with a panic at its first failpoint.
fn panicking<T>(body: impl FnOnce() -> T) -> T {
    assert_eq!(pusher_failpoint_arm(1), 0);
    let result = catch_unwind(AssertUnwindSafe(body));
    assert_eq!(pusher_failpoint_arm(0), 0, "it did not panic");
    result.expect("the panic left the library")
}

// One test, because one panic can be asked for at a time.
#[test]
fn a_panic_becomes_internal_and_the_client_works_again() {
    let server = Server::start([]);
    let client = server.client();
    client.trigger("c", "e", "1").is_ok("{}");
    let outcome = panicking(|| client.trigger("c", "e", "1"));
    outcome.is("INTERNAL", "unknown");
    assert!(outcome.text("message").contains("planted by a test"), "{outcome:?}");
    assert_eq!(panicking(|| client.trigger_without_out("c", "e", "1")), outcome.status);
    client.trigger("c", "e", "1").is_ok("{}");
    assert_eq!(server.ledger().len(), 2);

    // A function without a status returns what it returns for nothing.
    let document = Some(&br#"{"error":{"status":"CLOSED","delivery":"not_sent","message":"m"}}"#[..]);
    assert_eq!(panicking(|| calls::error_delivery(document)), 0);
    assert_eq!(calls::error_delivery(document), 1);
}
