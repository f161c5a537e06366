//! `circuit_breaker` of the client: while it is open, the events of a publisher wait in the queue.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::publisher::{Publisher, data_of};
use crate::support::{Answer, Client, End, Server, config, publisher, trigger};
use crate::{Scene, delivered, reporting_all};

/// An address on which nothing listens yet.
struct Absent {
    socket: Socket,
    address: SocketAddr,
}

impl Absent {
    fn new() -> Absent {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Absent { socket, address }
    }

    /// Starts a server on it.
    fn start(self) -> Server {
        drop(self.socket);
        Server::builder().start_on(self.address).unwrap()
    }

    /// Returns a client of the server that is to be, and a publisher of it.
    fn client(&self, of_client: Value, more: Value) -> (Client, Publisher) {
        let mut all = json!({"retry": {"mode": "safe"}});
        all.as_object_mut().unwrap().extend(of_client.as_object().unwrap().clone());
        let client = Client::new(&config(self.address.port(), all));
        let publisher = Publisher::new(&client, &reporting_all(more));
        (client, publisher)
    }
}

fn breaker(failures: u32, open_ms: u64) -> Value {
    json!({"circuit_breaker": {"failures": failures, "open_ms": open_ms}})
}

/// Opens the circuit of a client.
#[track_caller]
fn open(client: &Client) {
    while trigger(client).text("cause") != "circuit" {}
}

#[test]
fn events_wait_for_the_server_and_keep_their_order() {
    for connections in [1, 3] {
        let absent = Absent::new();
        let more = json!({"connections": connections, "max_batch_events": 3});
        let (_client, publisher) = absent.client(breaker(3, 100), more);
        let ids: Vec<u64> = (0..20).map(|number| publisher.publish("c", "e", &number.to_string())).collect();
        // An event for several channels waits in several shards.
        publisher.publish(r#"["c","d","f"]"#, "e", "20");
        publisher.publish("c", "e", "21");
        // Several probes fail.
        std::thread::sleep(Duration::from_millis(500));
        publisher.has_no_report();
        let server = absent.start();
        publisher.flush();
        let reports = publisher.reports(ids.len() + 2);
        assert!(reports.iter().all(|report| report.delivery == "delivered"), "{reports:?}");
        let expected: Vec<String> = (0..=21).map(|number| number.to_string()).collect();
        assert_eq!(data_of(&server.ledger()).concat(), expected);
    }
}

#[test]
fn a_call_that_opens_it_holds_the_publisher_back_too() {
    let absent = Absent::new();
    let (client, publisher) = absent.client(breaker(1, 600_000), json!({"retry": {"mode": "never"}}));
    open(&client);
    // Nothing was tried, so this is no retry.
    publisher.publish("c", "e", "1");
    assert!(publisher.poll(300).is_none());
    assert_eq!(publisher.stats()["requests"], 0);
    assert_eq!(publisher.stats()["queue"]["in_flight"].as_u64().unwrap_or(0), 0);
}

#[test]
fn without_retries_an_event_that_was_tried_ends() {
    let absent = Absent::new();
    // The server is there before the circuit closes, also on a machine that is busy.
    let (_client, publisher) = absent.client(breaker(1, 700), json!({"retry": {"mode": "never"}}));
    publisher.publish("c", "e", "1");
    publisher.report().is(1, "NOT_SENT", "not_sent", "");
    publisher.publish("c", "e", "2");
    let server = absent.start();
    delivered(&[publisher.report()], [2]);
    assert_eq!(data_of(&server.ledger()).concat(), ["2"]);
}

#[test]
fn events_that_wait_can_expire_be_dropped_and_be_superseded() {
    let absent = Absent::new();
    let more = json!({"connections": 1, "event_ttl_ms": 2000, "overflow": "drop_oldest", "max_queue_events": 3});
    let (client, publisher) = absent.client(breaker(1, 600_000), more);
    open(&client);
    publisher.publish("c", "e", "1");
    publisher.publish_with("c", "e", "2", &json!({"conflate": "k"}));
    publisher.publish_with("c", "e", "3", &json!({"conflate": "k"}));
    publisher.report().is(2, "NOT_SENT", "not_sent", "superseded");
    publisher.publish("c", "e", "4");
    publisher.publish("c", "e", "5");
    publisher.report().is(1, "NOT_SENT", "not_sent", "dropped");
    for (report, id) in publisher.reports(3).iter().zip(3..) {
        report.is(id, "NOT_SENT", "not_sent", "expired");
    }
}

#[test]
fn flush_and_close_end_in_time() {
    let absent = Absent::new();
    let (client, publisher) = absent.client(breaker(1, 600_000), json!({"connections": 2}));
    open(&client);
    publisher.publish("c", "e", "1");
    publisher.publish(r#"["c","d"]"#, "e", "2");
    assert_eq!(publisher::flush(Some(&publisher), 200).name(), "TIMED_OUT");
    assert_eq!(publisher::close(Some(&publisher), 200).name(), "TIMED_OUT");
    let mut reports = publisher.reports(2);
    reports.sort_by_key(|report| report.id);
    reports[0].is(1, "NOT_SENT", "not_sent", "closed");
    reports[1].is(2, "NOT_SENT", "not_sent", "closed");
}

#[test]
fn an_event_that_may_have_arrived_is_not_sent_again() {
    let more = json!({"connections": 1, "retry": {"mode": "safe"}});
    let server = Server::start([Answer::nothing().then(End::Close)]);
    let scene = Scene::on(server, breaker(1, 100), more);
    scene.publisher.publish("c", "e", "1");
    scene.publisher.report().is(1, "DELIVERY_UNKNOWN", "unknown", "");
    scene.publisher.publish("c", "e", "2");
    delivered(&[scene.publisher.report()], [2]);
    assert_eq!(data_of(&scene.server.ledger()).concat(), ["1", "2"]);
    drop(scene.client);
}

#[test]
fn a_fan_out_that_has_begun_does_not_wait() {
    let server = Server::start([Answer::ok("{}"), Answer::nothing().then(End::Close)]);
    let mut of_client = breaker(1, 700);
    of_client["max_channels"] = json!(1);
    let scene = Scene::on(server, of_client, json!({"connections": 1}));
    scene.publisher.publish_with(r#"["a","b","c"]"#, "e", "1", &json!({"fan_out": true}));
    scene.publisher.report().is(1, "PARTIAL", "unknown", "");
    // The next one waits, and then is sent as a whole.
    scene.publisher.publish_with(r#"["a","b","c"]"#, "e", "2", &json!({"fan_out": true}));
    delivered(&[scene.publisher.report()], [2]);
    assert_eq!(data_of(&scene.server.ledger()).concat(), ["1", "1", "2", "2", "2"]);
}

#[test]
fn a_paced_publisher_waits_for_both() {
    let absent = Absent::new();
    let more = json!({"connections": 2, "pace_by_rate_limit": true, "max_events_per_second": 1000});
    let (_client, publisher) = absent.client(breaker(1, 50), more);
    for number in 0..10 {
        publisher.publish(&format!("c{number}"), "e", "1");
    }
    assert!(publisher.poll(300).is_none());
    let server = absent.start();
    publisher.flush();
    assert!(publisher.reports(10).iter().all(|report| report.delivery == "delivered"));
    assert!(server.ledger().len() <= 10);
}
