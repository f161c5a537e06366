//! A TLS connection that ends or breaks in the same read as the response: what came before counts.

use std::collections::BTreeSet;

use crate::support::tls::Authority;
use crate::support::{Answer, Client, End, Ending, Server};
use serde_json::json;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const REFUSAL: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno";
const UNTIL_THE_END: &str = "HTTP/1.1 200 OK\r\n\r\n{}";

/// Returns a server with TLS, and a client that trusts it.
fn server_and_client() -> (Authority, Server, Client) {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["localhost"])).start();
    let more = json!({"ssl": true, "host": "localhost", "ca_file": authority.file(), "timeout_ms": 3000});
    let client = server.client_with(more);
    (authority, server, client)
}

/// Sends each of these responses with each ending, once on a new and once on a reused connection,
/// and asserts the status and the delivery. The connection must not be reused.
#[track_caller]
fn are(answers: &[&str], expected: impl Fn(Ending) -> (&'static str, &'static str)) {
    let mut wrong = BTreeSet::new();
    for (ending, name) in Ending::ALL {
        for answer in answers {
            for reused in [false, true] {
                for end in [End::With(ending), End::HoldWith(ending)] {
                    // A record may come in parts: only FIN shows that this one is cut.
                    if end == End::HoldWith(Ending::PartialRecord) {
                        continue;
                    }
                    let (_authority, server, client) = server_and_client();
                    if reused {
                        server.next(Answer::ok("{}"));
                        client.trigger("c", "e", "{}").is_ok("{}");
                    }
                    server.next(Answer::raw(*answer).then(end));
                    let outcome = client.trigger("c", "e", "{}");
                    let delivery = if outcome.status == 0 { "delivered" } else { outcome.delivery() };
                    if (outcome.name(), delivery) != expected(ending) {
                        let document = outcome.document.clone().unwrap_or_default();
                        wrong.insert(format!("{name} after {answer:?} is {}: {document}", outcome.name()));
                        continue;
                    }
                    if end == End::With(ending) {
                        server.wait_until("the end of the connection", |log| log.ended_by_server == 1);
                    }
                    // On a connection of its own: this one is over.
                    client.trigger("c", "e", "{}").is_ok("{}");
                    assert_eq!(server.connections(), 2, "{name} after {answer:?}, {end:?}, reused {reused}");
                    assert_eq!(server.ledger().len(), if reused { 3 } else { 2 });
                }
            }
        }
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_whole_response_counts_whatever_follows_it() {
    let no_content = "HTTP/1.1 204 No Content\r\n\r\n";
    let interim = format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}");
    for answer in [OK, &format!("{CHUNKED}2\r\n{{}}\r\n0\r\n\r\n"), &interim] {
        are(&[answer], |_| ("OK", "delivered"));
    }
    are(&[no_content], |_| ("OK", "delivered"));
}

#[test]
fn a_whole_refusal_counts_whatever_follows_it() {
    are(&[REFUSAL], |_| ("BAD_REQUEST", "rejected"));
    are(&["HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"], |_| ("SERVER_ERROR", "unknown"));
}

#[test]
fn a_refusal_whose_body_is_cut_counts_whatever_follows_it() {
    are(&[&REFUSAL[..REFUSAL.len() - 1]], |_| ("BAD_REQUEST", "rejected"));
}

#[test]
fn a_response_that_is_cut_is_unknown_whatever_follows_it() {
    let chunks = format!("{CHUNKED}2\r\n{{}}\r\n");
    let cuts = [&OK[..OK.len() - 1], &OK[..OK.len() - 2], &OK[..20], &chunks, &chunks[..chunks.len() - 3]];
    are(&cuts, |_| ("BAD_RESPONSE", "unknown"));
}

#[test]
fn an_end_before_the_status_line_is_unknown_whatever_it_is() {
    are(&["", "HTTP/1.1 20", "HTTP/1.1 103 Early Hints\r\n\r\n"], |_| ("DELIVERY_UNKNOWN", "unknown"));
}

#[test]
fn only_close_notify_ends_a_response_without_a_length() {
    are(&[UNTIL_THE_END], |ending| match ending {
        Ending::CloseNotify => ("OK", "delivered"),
        _ => ("BAD_RESPONSE", "unknown"),
    });
}
