//! Servers without the route for batches: `batch_route`.

use serde_json::{Value, json};

use crate::support::publisher::{Report, data_of, events_of};
use crate::support::server::Received;
use crate::support::{Answer, End, Server};
use crate::{Scene, delivered};

fn is_batch(request: &Received) -> bool {
    request.path().ends_with("/batch_events")
}

/// A server that answers batches with this status, as slanger, Poxa and laravel-websockets do.
fn without_batches(status: u16) -> Server {
    let answer = move |request: &Received| match is_batch(request) {
        true => Answer::new(status, &[], "no such route"),
        false => Answer::ok("{}"),
    };
    Server::builder().answering(answer).start()
}

/// A publisher of one connection whose client has this `batch_route`.
fn scene(server: Server, batch_route: Value, mode: &str) -> Scene {
    let more = json!({"connections": 1, "retry": {"mode": mode, "max_attempts": 2}});
    Scene::on(server, json!({"batch_route": batch_route}), more)
}

/// Publishes `1`, `2`, `3` on two channels so that they are in one batch, if there are batches. Returns their reports.
fn publish_together(scene: &Scene) -> Vec<Report> {
    // The first event is sent at once, and the others linger.
    scene.publisher.publish("a", "e", "0");
    for (channel, data) in [("a", "1"), ("b", "2"), ("a", "3")] {
        scene.publisher.publish(channel, "e", data);
    }
    scene.publisher.flush();
    let mut reports = scene.publisher.reports(4);
    reports.remove(0);
    reports
}

fn said(reports: &[Report]) -> Vec<(&str, &str)> {
    reports.iter().map(|report| (&*report.status, &*report.delivery)).collect()
}

/// Holds the first event, so that the next ones are in one batch. The server answers in turn.
fn batch_of_three(scene: &Scene) -> Vec<Report> {
    scene.publisher.publish("c", "held", "0");
    scene.wait_for_requests(1);
    for data in ["1", "2", "3"] {
        scene.publisher.publish("c", "e", data);
    }
    scene.server.release();
    let mut reports = scene.publisher.reports(4);
    assert_eq!(reports.iter().map(|report| report.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    reports.remove(0);
    reports
}

/// A server that holds its first response, and then sends these.
fn holding(answers: impl IntoIterator<Item = Answer>) -> Server {
    Server::start(std::iter::once(Answer::ok("{}").when_released()).chain(answers))
}

#[test]
fn without_a_batch_route_each_event_is_sent_alone() {
    let scene = scene(without_batches(404), json!(false), "safe");
    for _ in 0..3 {
        let reports = publish_together(&scene);
        assert_eq!(said(&reports), [("OK", "delivered"); 3]);
    }
    let ledger = scene.server.ledger();
    assert!(!ledger.iter().any(is_batch));
    assert_eq!(data_of(&ledger).concat(), ["0", "1", "2", "3"].repeat(3));
    assert_eq!(scene.publisher.stats()["retries"], json!({}));
}

#[test]
fn a_missing_batch_route_is_found_and_remembered() {
    for status in [404, 405] {
        for mode in ["never", "safe", "at_least_once"] {
            let answers = [Answer::new(status, &[], "no such route"), Answer::ok("{}"), Answer::ok("{}")];
            let scene = scene(holding(answers), json!("auto"), mode);
            assert_eq!(said(&batch_of_three(&scene)), [("OK", "delivered"); 3]);
            let ledger = scene.server.ledger();
            assert_eq!(data_of(&ledger), [vec!["0"], vec!["1", "2", "3"], vec!["1"], vec!["2"], vec!["3"]]);
            assert_eq!(scene.publisher.stats()["retries"], json!({"no_batch_route": 3}));
            // No further batch is tried.
            for _ in 0..3 {
                assert_eq!(said(&publish_together(&scene)), [("OK", "delivered"); 3]);
            }
            assert!(scene.server.ledger()[ledger.len()..].iter().all(|request| !is_batch(request)));
        }
    }
}

#[test]
fn a_wrong_application_is_not_taken_for_a_missing_batch_route() {
    let no = || Answer::new(404, &[], "no such application");
    let scene = scene(holding([no(), no(), no(), no()]), json!("auto"), "safe");
    assert_eq!(said(&batch_of_three(&scene)), [("NOT_FOUND", "rejected"); 3]);
    assert_eq!(data_of(&scene.server.ledger()), [vec!["0"], vec!["1", "2", "3"], vec!["1"], vec!["2"], vec!["3"]]);
    // The next batch is one again.
    scene.hold("c");
    scene.publisher.publish("c", "e", "4");
    scene.publisher.publish("c", "e", "5");
    scene.server.release();
    scene.publisher.flush();
    assert_eq!(events_of(&scene.server.last()).len(), 2);
}

#[test]
fn without_a_batch_route_each_event_ends_as_its_own_request() {
    let answers = [
        Answer::new(405, &[], "no such route"),
        Answer::new(400, &[], "bad"),
        Answer::nothing().then(End::Reset),
        Answer::new(403, &[], "no"),
    ];
    let scene = scene(holding(answers), json!("auto"), "safe");
    let expected = [("BAD_REQUEST", "rejected"), ("DELIVERY_UNKNOWN", "unknown"), ("FORBIDDEN", "rejected")];
    assert_eq!(said(&batch_of_three(&scene)), expected);
}

#[test]
fn the_events_of_a_batch_that_may_have_arrived_are_not_sent_alone() {
    // The first attempt may have been delivered before a deploy took the route away.
    let answers = [Answer::nothing().then(End::Reset), Answer::new(404, &[], "no such route")];
    let scene = scene(holding(answers), json!("auto"), "at_least_once");
    assert_eq!(said(&batch_of_three(&scene)), [("DELIVERY_UNKNOWN", "unknown"); 3]);
    assert_eq!(scene.server.ledger().len(), 3);
}

#[test]
fn without_a_batch_route_each_channel_keeps_its_order() {
    for batch_route in [json!(false), json!("auto")] {
        let scene = Scene::on(without_batches(404), json!({"batch_route": batch_route}), json!({"connections": 4}));
        let channels: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
        for number in 0..200 {
            scene.publisher.publish(&channels[number % 7 % 8], "e", &number.to_string());
        }
        scene.publisher.flush();
        assert!(scene.publisher.reports(200).iter().all(|report| report.delivery == "delivered"));
        let ledger: Vec<Received> = scene.server.ledger().into_iter().filter(|request| !is_batch(request)).collect();
        assert_eq!(ledger.len(), 200);
        for channel in &channels {
            let of_channel = ledger.iter().flat_map(events_of).filter(|event| event.channels == [channel.as_str()]);
            let numbers: Vec<u32> = of_channel.map(|event| event.data.parse().unwrap()).collect();
            assert!(numbers.is_sorted(), "{channel}: {numbers:?}");
        }
    }
}

#[test]
fn a_batch_route_that_is_said_to_exist_is_not_doubted() {
    let scene = scene(holding([Answer::new(404, &[], "no such route")]), json!(true), "safe");
    assert_eq!(said(&batch_of_three(&scene)), [("NOT_FOUND", "rejected"); 3]);
    assert_eq!(scene.server.ledger().len(), 2);
}

#[test]
fn an_event_that_is_sent_alone_has_its_info() {
    let answer = |request: &Received| match is_batch(request) {
        true => Answer::new(404, &[], "no such route"),
        false => Answer::ok(r#"{"channels":{"c":{"subscription_count":7}}}"#),
    };
    let server = Server::builder().answering(answer).start();
    let scene = Scene::on(server, json!({"batch_route": "auto"}), json!({"connections": 1}));
    for _ in 0..20 {
        scene.publisher.publish_with("c", "e", "1", &json!({"info": "subscription_count"}));
    }
    let reports = scene.publisher.reports(20);
    delivered(&reports, 1..=20);
    assert!(reports.iter().all(|report| report.members["answer"] == json!({"subscription_count": 7})));
}

#[test]
fn the_batches_of_ably_are_tried() {
    let scene = Scene::on(without_batches(404), json!({"server": "ably"}), json!({"connections": 1}));
    assert_eq!(said(&publish_together(&scene)), [("OK", "delivered"); 3]);
    let alone = Scene::on(without_batches(404), json!({"server": "poxa"}), json!({"connections": 1}));
    assert_eq!(said(&publish_together(&alone)), [("OK", "delivered"); 3]);
    assert!(!alone.server.ledger().iter().any(is_batch));
}
