//! The statistics, as JSON and for Prometheus: the documented fields, and no others.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::publisher::{self, Publisher, data_of};
use crate::support::{Answer, End, SECRET, Server};
use crate::{Scene, busy, documentation, reporting_all};

/// Returns the code spans of the header's description of the statistics.
fn documented() -> Vec<&'static str> {
    let text = documentation("pusher_publisher_stats").split("@param").next().unwrap();
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_fields_are_the_documented_ones() {
    let scene = Scene::new([busy()], json!({"retry": {"mode": "safe"}}));
    scene.publisher.publish("c", "e", "1");
    scene.publisher.report();
    let Value::Object(stats) = scene.publisher.stats() else { panic!("no object") };
    let words = documented();
    for (name, value) in &stats {
        assert!(words.contains(&name.as_str()), "{name} is not documented");
        for member in value.as_object().into_iter().flat_map(|members| members.keys()) {
            // The reasons in `unsent` are documented with the reports.
            let is_documented = words.contains(&member.as_str()) || name == "unsent";
            assert!(is_documented, "{name}.{member} is not documented");
        }
    }
    let all: Vec<&str> = stats.keys().map(String::as_str).collect();
    let expected = ["batch_events", "events", "latency_ms", "queue", "reports", "requests", "retries", "unsent"];
    assert_eq!(all, expected);
    let members = |name: &str| stats[name].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(members("queue"), ["bytes", "events", "in_flight"]);
    assert_eq!(members("events"), ["delivered", "not_sent", "published", "refused", "rejected", "unknown"]);
    assert_eq!(members("unsent"), ["closed", "drained", "dropped", "expired", "superseded"]);
    assert_eq!(members("retries"), ["rate_limited"]);
    assert_eq!(members("reports"), ["lost", "waiting"]);
    for histogram in ["batch_events", "latency_ms"] {
        assert_eq!(members(histogram), ["buckets", "count", "sum"]);
    }
}

/// Returns the bounds and counts of a histogram, after checking that they are consistent.
fn buckets(histogram: &Value) -> Vec<(Option<u64>, u64)> {
    let pairs: Vec<(Option<u64>, u64)> = serde_json::from_value(histogram["buckets"].clone()).unwrap();
    let (last, bounded) = pairs.split_last().unwrap();
    assert_eq!(last.0, None);
    assert!(bounded.windows(2).all(|pair| pair[0].0 < pair[1].0) && bounded[0].0 > Some(0), "{histogram}");
    assert_eq!(pairs.iter().map(|(_, count)| count).sum::<u64>(), histogram["count"].as_u64().unwrap());
    pairs
}

#[test]
fn all_counts_of_a_new_publisher_are_zero() {
    let scene = Scene::new([], json!({}));
    let stats = scene.publisher.stats();
    for (name, empty) in [
        ("queue", json!({"events": 0, "bytes": 0, "in_flight": 0})),
        ("events", json!({"published": 0, "refused": 0, "delivered": 0, "not_sent": 0, "rejected": 0, "unknown": 0})),
        ("unsent", json!({"expired": 0, "dropped": 0, "superseded": 0, "closed": 0, "drained": 0})),
        ("requests", json!(0)),
        ("retries", json!({})),
        ("reports", json!({"waiting": 0, "lost": 0})),
    ] {
        assert_eq!(stats[name], empty);
    }
    for histogram in ["batch_events", "latency_ms"] {
        assert!(buckets(&stats[histogram]).iter().all(|(_, count)| *count == 0));
        assert_eq!(stats[histogram]["sum"], 0);
    }
}

#[test]
fn the_queue_counts_events_in_flight_separately() {
    let scene = Scene::new([], json!({"connections": 1}));
    scene.hold("c");
    for _ in 0..7 {
        scene.publisher.publish("c", "e", r#""12345678""#);
    }
    let queue = scene.publisher.stats()["queue"].clone();
    assert_eq!((&queue["events"], &queue["in_flight"]), (&json!(8), &json!(1)));
    // Payloads and overhead.
    let bytes = queue["bytes"].as_u64().unwrap();
    assert!((8 * 40..8 * 400).contains(&bytes), "{bytes}");
    scene.server.release();
    scene.publisher.flush();
    let stats = scene.publisher.stats();
    assert_eq!(stats["queue"], json!({"events": 0, "bytes": 0, "in_flight": 0}));
    assert_eq!((&stats["requests"], &stats["reports"]["waiting"]), (&json!(2), &json!(8)));
    let batches = buckets(&stats["batch_events"]);
    let of_size = |least: u64, most: u64| {
        batches.iter().find(|(bound, _)| bound.is_none_or(|b| (least..=most).contains(&b))).unwrap().1
    };
    assert_eq!((of_size(1, 1), of_size(7, 10), &stats["batch_events"]["sum"]), (1, 1, &json!(8)));
}

#[test]
fn latency_runs_from_publishing_to_the_end_of_the_event() {
    let scene = Scene::new([], json!({"connections": 1}));
    scene.hold("c");
    assert!(scene.publisher.poll(120).is_none());
    scene.server.release();
    scene.publisher.flush();
    let latency = scene.publisher.stats()["latency_ms"].clone();
    assert!((120..10_000).contains(&latency["sum"].as_u64().unwrap()), "{latency}");
    let slow: u64 = buckets(&latency).iter().filter(|(bound, _)| bound.is_none_or(|ms| ms > 100)).map(|(_, n)| n).sum();
    assert_eq!(slow, 1, "{latency}");
}

/// A sample of Prometheus's text format.
#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Parses the text format, version 0.0.4, strictly, and checks that its metrics are consistent.
/// Returns type and samples of each metric by its name.
#[track_caller]
fn parsed(text: &str) -> BTreeMap<String, (String, Vec<Sample>)> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
    };
    assert!(text.ends_with('\n') && !text.contains("\n\n") && !text.contains('\r'), "{text}");
    let mut metrics: BTreeMap<String, (String, Vec<Sample>)> = BTreeMap::new();
    let mut current = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty() && !help.contains('\\'), "{line}");
            let kind =
                lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} "))).expect("a TYPE line");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            let is_new = metrics.insert(name.to_owned(), (kind.to_owned(), Vec::new())).is_none();
            assert!(is_new, "{name} is repeated");
            name.clone_into(&mut current);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            None => (series, BTreeMap::new()),
            Some((name, labels)) => {
                let labels = labels.strip_suffix('}').unwrap().split(',').map(|label| {
                    let (name, value) = label.split_once('=').unwrap();
                    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
                    assert!(is_name(name) && !value.contains(['"', '\\', ',']), "{line}");
                    (name.to_owned(), value.to_owned())
                });
                (name, labels.collect())
            }
        };
        let (kind, samples) = metrics.get_mut(&current).expect("a TYPE line before the samples");
        let rest = name.strip_prefix(&current).unwrap_or_else(|| panic!("{name} does not belong to {current}"));
        let is_part = if kind == "histogram" { ["_bucket", "_sum", "_count"].contains(&rest) } else { rest.is_empty() };
        assert!(is_part && is_name(name), "{line}");
        let value: f64 = value.parse().unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value.is_finite() && value >= 0.0, "{line}");
        assert!(kind != "counter" || name.ends_with("_total"), "{name} is a counter");
        samples.push(Sample { name: name.to_owned(), labels, value });
    }
    for (name, (kind, samples)) in &metrics {
        let mut keys: Vec<_> = samples.iter().map(|sample| (&sample.name, &sample.labels)).collect();
        keys.sort();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{name} repeats a series");
        if kind == "histogram" {
            let buckets: Vec<(f64, f64)> = samples
                .iter()
                .filter(|sample| sample.name.ends_with("_bucket"))
                .map(|sample| (sample.labels["le"].replace("+Inf", "inf").parse().unwrap(), sample.value))
                .collect();
            assert!(
                buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1),
                "{name}: {buckets:?}"
            );
            let (bound, all) = buckets.last().unwrap();
            let count = samples.iter().find(|sample| sample.name.ends_with("_count")).unwrap().value;
            assert!(bound.is_infinite() && *all == count, "{name}");
            assert!(samples.iter().any(|sample| sample.name.ends_with("_sum")), "{name}");
        }
    }
    metrics
}

#[test]
fn the_parser_of_the_exposition_can_fail() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"y\"} 1\n";
    assert_eq!(parsed(good)["a_total"].1[0].value, 1.0);
    for bad in [
        good.trim_end(),
        "a_total 1\n",
        "# HELP a_total A.\na_total 1\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        "# HELP a_total A.\n# TYPE a_total counter\nb_total 1\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total -1\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total{x=y} 1\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total 1\na_total 2\n",
        "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
    ] {
        assert!(std::panic::catch_unwind(|| parsed(bad)).is_err(), "{bad}");
    }
}

/// Returns a publisher that counted every delivery, three causes of retries and dropped events,
/// with statistics in `format`.
fn eventful(format: &str) -> (Server, Publisher) {
    let server = Server::start([]);
    let client = server.client();
    let more = json!({
        "connections": 1, "stats_format": format, "max_queue_events": 4, "overflow": "drop_oldest", "event_ttl_ms": 60_000,
        "retry": {"mode": "at_least_once", "max_attempts": 2}, "max_reports": 3,
    });
    let publisher = Publisher::new(&client, &reporting_all(more));
    for answer in [
        Answer::ok("{}"),
        busy(),
        Answer::ok("{}"),
        Answer::new(403, &[], SECRET),
        Answer::new(500, &[], "no"),
        Answer::new(500, &[], "no"),
        Answer::nothing().then(End::Close),
        Answer::ok("{}"),
    ] {
        server.next(answer);
    }
    for _ in 0..5 {
        publisher.publish("c", "e", "1");
        publisher.flush();
    }
    server.next(Answer::ok("{}").when_released());
    publisher.publish("c", "held", "0");
    server.wait_until("the held request", |log| log.ledger.last().is_some_and(|last| last.text().contains("held")));
    for _ in 0..4 {
        publisher.publish_with("c", "e", "1", &json!({"conflate": "k"}));
        publisher.publish("d", "e", "1");
    }
    (server, publisher)
}

#[test]
fn prometheus_and_json_have_the_same_numbers() {
    let (server, json) = eventful("json");
    let (other_server, prometheus) = eventful("prometheus");
    let text = prometheus.stats_text();
    let stats = json.stats();
    let metrics = parsed(&text);
    let value = |name: &str, label: Option<(&str, &str)>| {
        let (_, samples) =
            metrics.get(&format!("pusher_publisher_{name}")).unwrap_or_else(|| panic!("no {name}: {text}"));
        let is_meant = |sample: &&Sample| match label {
            None => sample.labels.is_empty(),
            Some((label, word)) => sample.labels.get(label).is_some_and(|other| other == word),
        };
        samples.iter().find(is_meant).unwrap_or_else(|| panic!("no {name} {label:?}: {text}")).value
    };
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!(value("queue_events", None), number(&stats["queue"]["events"]));
    assert_eq!(value("queue_bytes", None), number(&stats["queue"]["bytes"]));
    assert_eq!(value("in_flight_events", None), number(&stats["queue"]["in_flight"]));
    assert_eq!(value("published_total", None), number(&stats["events"]["published"]));
    assert_eq!(value("refused_total", None), number(&stats["events"]["refused"]));
    assert_eq!(value("requests_total", None), number(&stats["requests"]));
    assert_eq!(value("reports_waiting", None), number(&stats["reports"]["waiting"]));
    assert_eq!(value("reports_lost_total", None), number(&stats["reports"]["lost"]));
    let mut ended = 0.0;
    for delivery in ["delivered", "not_sent", "rejected", "unknown"] {
        let count = value("events_total", Some(("delivery", delivery)));
        assert!(count > 0.0 && count == number(&stats["events"][delivery]), "{delivery}: {text}");
        ended += count;
    }
    assert_eq!(value("published_total", None), ended + value("queue_events", None));
    for reason in ["expired", "dropped", "superseded", "closed", "drained"] {
        assert_eq!(value("unsent_total", Some(("reason", reason))), number(&stats["unsent"][reason]), "{reason}");
    }
    assert!(value("unsent_total", Some(("reason", "dropped"))) > 0.0, "{text}");
    assert_eq!(stats["retries"], json!({"rate_limited": 1, "server_error": 1, "closed": 1}));
    for cause in ["rate_limited", "server_error", "closed"] {
        assert_eq!(value("retries_total", Some(("cause", cause))), number(&stats["retries"][cause]));
    }
    // Prometheus has seconds, JSON has milliseconds.
    for (name, histogram, unit) in [("batch_events", "batch_events", 1.0), ("latency_seconds", "latency_ms", 1000.0)] {
        let (_, samples) = &metrics[&format!("pusher_publisher_{name}")];
        let bounds: Vec<f64> = samples
            .iter()
            .filter_map(|sample| sample.labels.get("le"))
            .map(|le| le.replace("+Inf", "inf").parse::<f64>().unwrap() * unit)
            .collect();
        let expected: Vec<f64> =
            buckets(&stats[histogram]).iter().map(|(bound, _)| bound.map_or(f64::INFINITY, |b| b as f64)).collect();
        assert!(bounds.iter().zip(&expected).all(|(a, b)| a == b || (a - b).abs() < 1e-6), "{bounds:?} {expected:?}");
        let count = samples.iter().find(|sample| sample.name.ends_with("_count")).unwrap().value;
        assert_eq!(count, number(&stats[histogram]["count"]));
    }
    for server in [server, other_server] {
        server.release();
    }
}

#[test]
fn retries_of_single_events_of_a_refused_batch_are_counted() {
    let more = json!({"connections": 1, "retry": {"mode": "at_least_once"}});
    let scene = Scene::new([], more);
    scene.hold("c");
    scene.server.next(Answer::new(422, &[], "no"));
    for _ in 0..3 {
        scene.publisher.publish("c", "e", "1");
    }
    scene.server.release();
    scene.publisher.reports(4);
    let stats = scene.publisher.stats();
    assert_eq!(stats["retries"], json!({"refused": 3}));
    assert_eq!(stats["requests"], data_of(&scene.server.ledger()).len());
    assert_eq!(publisher::stats(Some(&scene.publisher)).name(), "OK");
}
