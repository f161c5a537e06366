//! Which configurations `pusher_new` accepts.
//!
//! docs/configuration.md has every key of the library and no other, with its range, its default and an example that is accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::support::calls;
use super::support::functions::{FUNCTIONS, Form, Function, Purpose};
use super::support::hooks::{self, Without};
use super::support::tls::{Authority, KEY_KINDS, PemFile, pem};
use super::support::{APP_ID, Client, KEY, Outcome, SECRET, Server, config, publisher};

/// A row of a table of keys.
struct Row {
    key: String,
    cells: BTreeMap<String, String>,
}

impl Row {
    fn cell(&self, title: &str) -> &str {
        self.cells.get(title).unwrap_or_else(|| panic!("{} has no {title}", self.key))
    }

    fn example(&self) -> Value {
        match value(self.cell("example")) {
            Value::String(path) if self.cell("range") == "an absolute path" => absolute(&path),
            example => example,
        }
    }

    /// Whether `pusher_new()` reads the file that is the value.
    fn is_read(&self) -> bool {
        self.cell("range") == "the path of a file that can be read"
    }

    /// Values from the range: some that are accepted, and some that are not.
    fn values(&self) -> (Vec<Value>, Vec<Value>) {
        let range = self.cell("range");
        if let Some((first, last)) = range.split_once(" to ").filter(|_| self.cell("type") == "integer") {
            let number = |text: &str| text.replace("the client's", "10").parse::<u64>().unwrap();
            let (first, last) = (number(first), number(last));
            let mut outside = vec![json!(last + 1), json!(-1), json!(first as f64 + 0.5), json!(first.to_string())];
            outside.extend(first.checked_sub(1).map(|number| json!(number)));
            return (vec![json!(first), json!(last)], outside);
        }
        if let Some((first, last)) = range.split_once(" to ").filter(|_| self.cell("type") == "number") {
            let number = |text: &str| text.parse::<f64>().unwrap();
            let (first, last) = (number(first), number(last));
            let inside = vec![json!(first), json!(last), json!((first + last) / 2.0), json!(0.001), json!(last as u64)];
            return (inside, vec![json!(last + 0.001), json!(first - 0.001), json!(0.0001), json!("0.1")]);
        }
        let words: Option<Vec<Value>> = range.split(", ").map(json_in).collect();
        if let Some(words) = words {
            return (words, vec![json!("no-such-word"), json!(1)]);
        }
        (Vec::new(), vec![json!([[]])])
    }
}

/// The JSON in a cell.
fn value(cell: &str) -> Value {
    json_in(cell).unwrap_or_else(|| panic!("{cell} is not JSON"))
}

fn json_in(cell: &str) -> Option<Value> {
    serde_json::from_str(cell.strip_prefix('`')?.strip_suffix('`')?).ok()
}

/// An absolute path of this platform: on Windows, it begins with a drive.
fn absolute(path: &str) -> Value {
    json!(if cfg!(windows) { format!("C:{path}") } else { path.to_owned() })
}

/// The rows of the tables below a heading of docs/configuration.md whose first column has this title.
fn documented(heading: &str, title: &str) -> Vec<Row> {
    let page = read("docs/configuration.md");
    let begin = page.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = page[begin + 1..].split("\n## ").next().unwrap();
    rows(section, title)
}

fn rows(text: &str, title: &str) -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    let mut rows = Vec::new();
    let mut titles: Option<Vec<String>> = None;
    for line in text.lines() {
        let row = cells(line);
        match &titles {
            _ if !line.starts_with('|') => titles = None,
            None => titles = Some(row),
            Some(_) if line.starts_with("|-") => {}
            Some(titles) if titles[0] == title => {
                assert_eq!(row.len(), titles.len(), "{line}");
                let key = row[0].trim_matches('`').to_owned();
                rows.push(Row { key, cells: titles.iter().cloned().zip(row).collect() });
            }
            Some(_) => {}
        }
    }
    assert!(!rows.is_empty(), "no table with the title {title}");
    rows
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A place for keys: how to set one, and how its tables are found.
struct Place {
    heading: &'static str,
    title: &'static str,
    /// What the library says of a key that it does not know.
    unknown: &'static str,
    set: fn(&str, &Value) -> Result<(), Outcome>,
}

const PLACES: [Place; 4] = [
    Place {
        heading: "Client",
        title: "key",
        unknown: "is not a configuration key",
        set: |key, value| client(key, value).map(drop),
    },
    Place {
        heading: "Client",
        title: "key of `retry`",
        unknown: "is not a configuration key",
        set: |key, value| client("retry", &object(key, value)).map(drop),
    },
    Place {
        heading: "Client",
        title: "key of `circuit_breaker`",
        unknown: "is not a configuration key",
        set: |key, value| client("circuit_breaker", &object(key, value)).map(drop),
    },
    Place {
        heading: "Publisher",
        title: "key",
        unknown: "is not a configuration key",
        set: |key, value| {
            let client = client("log_level", &json!("warn"))?;
            publisher::try_new(Some(&client), Some(object(key, value).to_string().as_bytes())).map(drop)
        },
    },
];

fn object(key: &str, value: &Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value.clone())]))
}

/// A client with its required keys and this one.
fn client(key: &str, value: &Value) -> Result<Client, Outcome> {
    let mut config = json!({"app_id": APP_ID, "key": KEY, "secret": SECRET});
    if key == "server" {
        // Most servers have no default host.
        config["host"] = json!("localhost");
    }
    config[key] = value.clone();
    Client::try_new(Some(config.to_string().as_bytes()))
}

/// Words that may be keys: the documented ones, those that the library lists, and each string and variant in the sources.
fn candidates(documented: &[Row]) -> BTreeSet<String> {
    let mut words: BTreeSet<String> = documented.iter().map(|row| row.key.clone()).collect();
    words.extend(pusher::KNOWN_KEYS.iter().flat_map(|keys| keys.iter().map(|key| (*key).to_owned())));
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path).unwrap();
                let is_word = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let strings =
                    text.split('"').filter(is_word).filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
                let names = text.split(|c: char| !c.is_ascii_alphanumeric());
                let variants = names.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase())).map(snake_case);
                // Unit tests contain secrets, which no error document may repeat.
                words.extend(strings.map(str::to_owned).chain(variants).filter(|word| calls::leak(word).is_none()));
            }
        }
    }
    words
}

/// A key as the library derives it from the name of a variant: `max_data_bytes` from `MaxDataBytes`.
fn snake_case(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

fn says(outcome: &Outcome, message: &str) -> bool {
    outcome.text("message").contains(message)
}

#[test]
fn each_key_of_the_library_is_documented_and_each_documented_key_exists() {
    for place in PLACES {
        let documented = documented(place.heading, place.title);
        let unknown = (place.set)("no_such_key", &json!([[]])).expect_err("an unknown key is an error");
        assert!(says(&unknown, place.unknown), "{unknown:?}");
        let is_key = |word: &String| match (place.set)(word, &json!([[]])) {
            Ok(()) => true,
            Err(outcome) => !says(&outcome, place.unknown),
        };
        let keys: Vec<String> = candidates(&documented).into_iter().filter(is_key).collect();
        let rows: BTreeSet<String> = documented.into_iter().map(|row| row.key).collect();
        assert_eq!(keys, rows.into_iter().collect::<Vec<_>>(), "{}, {}", place.heading, place.title);
    }
}

#[test]
fn the_documented_examples_and_ranges_of_keys_are_those_of_the_library() {
    for place in PLACES {
        for row in documented(place.heading, place.title) {
            let (mut inside, mut outside) = row.values();
            // This machine does not have the files of the examples.
            if row.is_read() { &mut outside } else { &mut inside }.push(row.example());
            for value in inside {
                if let Err(outcome) = (place.set)(&row.key, &value) {
                    panic!("{}: {value}: {outcome:?}", row.key);
                }
            }
            for value in outside {
                let Err(outcome) = (place.set)(&row.key, &value) else { panic!("{}: {value} is accepted", row.key) };
                assert_eq!(outcome.name(), "INVALID_CONFIG", "{}: {value}: {outcome:?}", row.key);
                assert!(!says(&outcome, place.unknown), "{outcome:?}");
            }
        }
    }
}

#[test]
fn the_header_has_each_key_with_the_documented_default() {
    let header = read("include/pusher.h").replace("\n * ", "\n");
    let tables = rows(&header, "key");
    let defaults = |rows: &[Row]| -> Vec<(String, String)> {
        rows.iter().map(|row| (row.key.clone(), row.cell("default").replace('`', ""))).collect()
    };
    let mut documented = documented("Client", "key");
    documented.extend(self::documented("Publisher", "key"));
    assert_eq!(defaults(&tables), defaults(&documented));
}

#[test]
fn the_documented_defaults_of_calls_are_those_of_the_library() {
    let rows = documented("Client", "key");
    let default = |key: &str| {
        let row = rows.iter().find(|row| row.key == key).unwrap();
        value(row.cell("default"))
    };
    let number = |key: &str| usize::try_from(default(key).as_u64().unwrap()).unwrap();
    let client = client("log_level", &default("log_level")).unwrap();

    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("1")]).read();
    let scheme = if default("ssl") == json!(true) { "https" } else { "http" };
    let server = format!("{scheme}://api-{}.pusher.com/apps/", default("cluster").as_str().unwrap());
    assert!(request.url.replace(":443/", "/").starts_with(&server), "{}", request.url);
    let timeout = u32::try_from(number("timeout_ms")).unwrap();
    assert!((timeout - 1000..=timeout).contains(&request.timeout_ms), "{}", request.timeout_ms);

    let is_accepted = |call: &str, texts: &[&str]| {
        let texts: Vec<Option<&[u8]>> = texts.iter().map(|text| Some(text.as_bytes())).collect();
        hooks::prepare(Some(&client), Some(call.as_bytes()), &texts, Without::default()).is_ok()
    };
    let array = |element: &str, count: usize| format!("[{}]", vec![element; count].join(","));
    let event = r#"{"channel":"c","name":"e","data":1}"#;
    for (excess, accepted) in [(0, true), (1, false)] {
        let data = json!("x".repeat(number("max_data_bytes") + excess)).to_string();
        assert_eq!(is_accepted("trigger", &["c", "e", &data]), accepted, "max_data_bytes");
        let channels = array(r#""c""#, number("max_channels") + excess);
        assert_eq!(is_accepted("trigger", &[&channels, "e", "1"]), accepted, "max_channels");
        let events = array(event, number("max_batch_events") + excess);
        assert_eq!(is_accepted("trigger_batch", &[&events]), accepted, "max_batch_events");
    }
}

#[test]
fn each_option_is_documented_with_the_calls_that_take_it() {
    const UNKNOWN: &str = "is not an option";
    // No server listens there: the events of the publisher stay on this machine.
    let client = Client::new(&config(1, json!({})));
    let queue = publisher::try_new(Some(&client), Some(br#"{"reports":"none"}"#)).unwrap();
    let publish = |key: &str, value: &Value| {
        let channels = if key == "user_id" { None } else { Some(&b"c"[..]) };
        let options = object(key, value).to_string();
        publisher::publish(Some(&queue), [channels, Some(b"e"), Some(b"1"), Some(options.as_bytes())]).map(drop)
    };
    let prepare = |function: &Function, key: &str, value: &Value| {
        let options = object(key, value).to_string();
        let is_options = |form| matches!(form, Form::EventOptions | Form::Options);
        let index = function.arguments.iter().position(|argument| is_options(argument.form)).unwrap();
        let texts = function.with(index, Some(options.as_bytes()));
        hooks::prepare(Some(&client), Some(function.name.as_bytes()), &texts, Without::default()).map(drop)
    };
    let rows = documented("Options of a call", "key");
    let words = candidates(&rows);
    let check = |call: &str, set: &dyn Fn(&str, &Value) -> Result<(), Outcome>| {
        let unknown = set("no_such_key", &json!([[]])).expect_err("an unknown option is an error");
        assert!(says(&unknown, UNKNOWN), "{unknown:?}");
        let is_key = |word: &&String| match set(word, &json!([[]])) {
            Ok(()) => true,
            Err(outcome) => !says(&outcome, UNKNOWN),
        };
        let found: Vec<&String> = words.iter().filter(is_key).collect();
        let takes = |row: &&Row| {
            let calls = row.cell("calls");
            calls == "all" || calls.split(", ").any(|one| one.trim_matches('`') == call)
        };
        let documented: Vec<&Row> = rows.iter().filter(takes).collect();
        let keys: BTreeSet<&String> = documented.iter().map(|row| &row.key).collect();
        assert_eq!(found, keys.into_iter().collect::<Vec<_>>(), "options of {call}");
        for row in documented {
            let (mut inside, outside) = row.values();
            inside.push(row.example());
            for value in inside {
                if let Err(outcome) = set(&row.key, &value) {
                    panic!("{call}: {}: {value}: {outcome:?}", row.key);
                }
            }
            for value in outside {
                let Err(outcome) = set(&row.key, &value) else { panic!("{call}: {}: {value} is accepted", row.key) };
                assert_eq!(outcome.name(), "INVALID_ARGUMENT", "{call}: {}: {value}: {outcome:?}", row.key);
            }
        }
    };
    for function in Function::network() {
        check(function.name, &|key, value| prepare(&function, key, value));
    }
    check("publish", &publish);
}

#[test]
fn new_requires_client_and_accepts_null_for_out() {
    let good = crate::support::config(1, json!({}));
    assert_eq!(calls::new_without(true, false, &good), (1, false));
    assert_eq!(calls::new_without(true, true, &good), (1, false));
    assert_eq!(calls::new_without(false, true, &good), (0, true));
    assert_eq!(calls::new_without(false, true, "{}"), (2, false));
}

/// Asserts that `config` is refused, and that the error names `key`.
#[track_caller]
fn no_client(config: &str, key: &str) {
    let outcome = Client::try_new(Some(config.as_bytes())).expect_err(config);
    outcome.is("INVALID_CONFIG", "").naming(key);
}

#[test]
fn a_configuration_is_json_or_a_url() {
    for (bad, key) in [
        ("", "config"),
        (" ", "config"),
        ("x", "config"),
        ("{", "config"),
        ("{}}", "config"),
        ("[]", "config"),
        ("null", "config"),
        ("{}", "key"),
        ("ftp://k:s@h/apps/1", "url"),
        ("https://h/apps/1", "url"),
        ("https://k:s@h", "url"),
        ("https://k:s@h/apps/1?x", "url"),
        ("https://k:s@h/apps/1#x", "url"),
        ("https://k:s@h:99999/apps/1", "url"),
        ("https://k:s@h\n/apps/1", "url"),
        ("https://k:s@h /apps/1", "url"),
    ] {
        no_client(bad, key);
    }
    let outcome = Client::try_new(Some(b"{\"app_id\":\"\xff\"}")).unwrap_err();
    outcome.is("INVALID_ARGUMENT", "").naming("config");
    for good in [
        "https://k:s@api-eu.pusher.com/apps/1",
        "http://k:s@127.0.0.1:6001/apps/1",
        "https://k:s@[::1]:6001/a/b/apps/1",
    ] {
        Client::new(good);
    }
}

#[test]
fn an_unknown_configuration_key_is_named() {
    for key in ["colour", "Host", "hosts", "timeout", "encrypted", "", "use_tls", "verify", "ü"] {
        no_client(&crate::support::config(1, json!({ key: true })), key);
    }
}

#[test]
fn a_duplicate_configuration_key_is_refused() {
    for (more, key) in [
        (r#""key":"k""#, "key"),
        (r#""secret":"other""#, "secret"),
        (r#""\u0073ecret":"other""#, "secret"),
        (r#""ssl":false"#, "ssl"),
        (r#""host":"127.0.0.1""#, "host"),
    ] {
        let config = crate::support::config(1, json!({}));
        no_client(&format!("{},{more}}}", config.strip_suffix('}').unwrap()), key);
    }
}

#[test]
fn every_configuration_value_is_checked() {
    for (key, bad, good) in [
        (
            "app_id",
            vec![json!("1/2"), json!("1 "), json!("1\n"), json!("ä"), json!(1.5), json!(-1), json!([1])],
            vec![json!("1"), json!(1), json!("a_B-9")],
        ),
        (
            "key",
            vec![json!("k:l"), json!("k/"), json!("k\n"), json!("k&x=1"), json!(1)],
            vec![json!("a_B-9"), json!("appid.keyid")],
        ),
        ("secret", vec![json!(1), json!(["s"]), json!("s\n"), json!(" s")], vec![json!("any: \n thing")]),
        ("batch_route", vec![json!("true"), json!("AUTO"), json!(0)], vec![json!(true), json!(false), json!("auto")]),
        (
            "channel_characters",
            vec![json!("::"), json!("a"), json!(" "), json!(":#:"), json!([":"])],
            vec![json!(""), json!(":"), json!("#"), json!(":#"), json!("#:")],
        ),
        (
            "cluster",
            vec![json!("EU"), json!("a.b"), json!("a/b"), json!("a\n"), json!(1)],
            vec![json!("eu"), json!("us-east-1")],
        ),
        (
            "host",
            vec![
                json!("a b"),
                json!("a\r\nX: y"),
                json!("a@b"),
                json!("a/b"),
                json!("a?b"),
                json!("a#b"),
                json!("a:80"),
                json!("https://a"),
                json!("wss://a"),
                json!("http://a/"),
                json!("a.."),
                json!("."),
                json!("a..b"),
                json!("[a]"),
                json!("[127.0.0.1]"),
                json!("[::1"),
                json!("a\\b"),
                json!("a%b"),
                json!(1),
                json!("a".repeat(254)),
            ],
            vec![
                json!("localhost"),
                json!("::1"),
                json!("[::1]"),
                json!("a-b.example"),
                json!("a.example."),
                json!("http://a"),
            ],
        ),
        ("port", vec![json!(0), json!(65_536), json!(-1), json!("80"), json!(80.5)], vec![json!(1), json!(65_535)]),
        (
            "scheme",
            vec![json!("wss"), json!("https://"), json!(" http"), json!(true), json!(["http"])],
            vec![json!("http"), json!("HTTP")],
        ),
        ("ssl", vec![json!("true"), json!(1)], vec![json!(true), json!(false)]),
        (
            "path",
            vec![
                json!("a"),
                json!("/.."),
                json!("/a/../b"),
                json!("/."),
                json!("//"),
                json!("/a?b"),
                json!("/a#b"),
                json!("/a b"),
                json!("/a%2f"),
                json!(1),
            ],
            vec![json!("/a"), json!("/a/b-c.d")],
        ),
        ("sign_path_prefix", vec![json!("no"), json!(0)], vec![json!(true), json!(false)]),
        (
            "timeout_ms",
            vec![json!(0), json!(600_001), json!(-1), json!(1.5), json!("1")],
            vec![json!(1), json!(600_000)],
        ),
        ("connect_timeout_ms", vec![json!(0), json!(600_001), json!(-1), json!("1")], vec![json!(1), json!(600_000)]),
        (
            "attempt_timeout_ms",
            vec![json!(0), json!(600_001), json!(-1), json!(1.5), json!("1")],
            vec![json!(1), json!(600_000)],
        ),
        ("max_idle_connections", vec![json!(-1), json!("8"), json!(1.5)], vec![json!(0), json!(8)]),
        ("idle_timeout_ms", vec![json!(-1), json!("1")], vec![json!(1), json!(15_000)]),
        (
            "max_connection_age_ms",
            vec![json!(0), json!(86_400_001), json!(-1), json!(1.5), json!("1")],
            vec![json!(1), json!(86_400_000)],
        ),
        ("ca_file", vec![json!(1), json!(["a"])], vec![json!("/nowhere.pem")]),
        ("extra_ca_file", vec![json!(1), json!(["a"])], vec![json!("/nowhere.pem")]),
        ("client_certificate_file", vec![json!(1), json!(["a"])], vec![]),
        ("client_key_file", vec![json!(1), json!(["a"])], vec![]),
        (
            "unix_socket",
            vec![
                json!(1),
                json!("a.sock"),
                json!("./a.sock"),
                json!("\0abstract"),
                absolute("/a\0b"),
                absolute(&format!("/{}", "a".repeat(200))),
            ],
            vec![absolute("/run/a.sock"), absolute("/ä b")],
        ),
        (
            "tls_roots",
            vec![json!("System"), json!("all"), json!(true), json!(["system"])],
            vec![json!("system"), json!("bundled"), json!("both")],
        ),
        (
            "proxy",
            vec![
                json!("h:1"),
                json!("https://h:1"),
                json!("socks5://h:1"),
                json!("http://h:0"),
                json!("http://h/path"),
                json!("http://h?x"),
                json!("http://a b"),
                json!(1),
            ],
            vec![
                json!("env"),
                json!("http://h"),
                json!("HTTP://user@h"),
                json!("http://h:3128/"),
                json!("http://user:pass%20word@[::1]:3128"),
            ],
        ),
        ("max_batch_events", vec![json!(0), json!(-1), json!("1")], vec![json!(1), json!(1000)]),
        ("max_data_bytes", vec![json!(0), json!(-1), json!("1")], vec![json!(1), json!(10_000_000)]),
        ("max_channels", vec![json!(0), json!(-1), json!("1")], vec![json!(1), json!(1000)]),
        ("max_response_bytes", vec![json!(0), json!(-1), json!("1")], vec![json!(1), json!(1 << 24)]),
        ("retry", vec![json!("never"), json!([])], vec![json!({"mode": "never"}), json!({"ratio": 0.05}), json!({})]),
        ("circuit_breaker", vec![json!(true), json!(5), json!([])], vec![json!({"failures": 1}), json!({})]),
        ("url", vec![json!("x"), json!(1), json!("https://h/apps/1")], vec![json!("https://k:s@h/apps/1")]),
    ] {
        for value in bad {
            no_client(&crate::support::config(1, json!({ key: value })), key);
        }
        for value in good {
            Client::new(&crate::support::config(1, json!({ key: value })));
        }
    }
    no_client(&crate::support::config(1, json!({"retry": {"mode": "sometimes"}})), "retry.mode");
    no_client(&crate::support::config(1, json!({"retry": {"colour": 1}})), "retry.colour");
    no_client(&crate::support::config(1, json!({"retry": {"ratio": 1.1}})), "retry.ratio");
    no_client(&crate::support::config(1, json!({"circuit_breaker": {"failures": 0}})), "circuit_breaker.failures");
    no_client(&crate::support::config(1, json!({"circuit_breaker": {"open_ms": 0}})), "circuit_breaker.open_ms");
    no_client(&crate::support::config(1, json!({"circuit_breaker": {"half": 1}})), "circuit_breaker.half");
}

/// A configuration with this certificate and key.
fn with_identity(certificate: &str, key: &str) -> String {
    crate::support::config(1, json!({"client_certificate_file": certificate, "client_key_file": key}))
}

#[test]
fn a_client_certificate_and_its_key_are_checked_when_the_client_is_created() {
    let authority = Authority::new();
    let good = authority.client("P-256");
    let (certificate, key) = (PemFile::new(&good.certificate), PemFile::new(&good.key));
    Client::new(&with_identity(certificate.path(), key.path()));
    // One file may have both, in any order, with other text.
    for text in [
        format!("{}{}", good.certificate, good.key),
        format!("subject=a\r\n\r\n{}\r\n{}", good.key, good.certificate.replace('\n', "\r\n")),
    ] {
        let both = PemFile::new(&text);
        Client::new(&with_identity(both.path(), both.path()));
    }
    for (more, missing) in [
        (json!({"client_certificate_file": certificate.path()}), "client_key_file"),
        (json!({"client_key_file": key.path()}), "client_certificate_file"),
    ] {
        no_client(&crate::support::config(1, more), missing);
    }
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted_before = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n\
                            MAA=\n-----END RSA PRIVATE KEY-----\n";
    let truncated = &good.key[..good.key.len() / 2];
    let other = authority.client("P-256");
    let version_1 = pem("CERTIFICATE", &version_1(&good.certificate));
    let refused = |certificate: &str, key: &str, argument: &str, parts: &[&str]| {
        let outcome = Client::try_new(Some(with_identity(certificate, key).as_bytes())).expect_err(parts[0]);
        outcome.is("INVALID_CONFIG", "").naming(argument);
        let message = outcome.text("message");
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
        // A path may be a secret in the wrong place.
        for path in [certificate, key] {
            assert!(!message.contains(path), "{message}");
        }
    };
    for (text, part) in [
        ("", "no certificate"),
        (&*good.key, "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n", "is not PEM"),
        ("-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n", "is not PEM"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "it is not a certificate"),
        (&*version_1, "version 1"),
    ] {
        let file = PemFile::new(text);
        refused(file.path(), key.path(), "client_certificate_file", &[part]);
    }
    for (text, parts) in [
        ("", &["contains no private key in PEM"][..]),
        (&*good.certificate, &["contains no private key in PEM"]),
        (
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
            &["contains a key that cannot be used", "P-256"],
        ),
        ("-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n", &["PKCS#8"]),
        (truncated, &["is not PEM"]),
        (encrypted, &["contains an encrypted key", "openssl pkey"]),
        (encrypted_before, &["contains an encrypted key", "openssl pkey"]),
        (&*other.key, &["does not belong to the first certificate", "client_certificate_file"]),
        (&*authority.client("Ed25519").key, &["does not belong to"]),
        (&*authority.client("RSA").key, &["does not belong to"]),
    ] {
        let file = PemFile::new(text);
        refused(certificate.path(), file.path(), "client_key_file", parts);
    }
    let folder = std::env::temp_dir();
    for path in ["/nonexistent/file.pem", folder.to_str().unwrap(), "/dev/null", "/a\0b"] {
        refused(path, key.path(), "client_certificate_file", &["cannot be read"]);
        refused(certificate.path(), path, "client_key_file", &["cannot be read"]);
    }
    let huge = PemFile::new(&" ".repeat((16 << 20) + 1));
    refused(huge.path(), key.path(), "client_certificate_file", &["cannot be read", "16 MiB"]);
    // An authority's certificate before the client's.
    let chain = PemFile::new(&(std::fs::read_to_string(authority.file()).unwrap() + &good.certificate));
    refused(chain.path(), key.path(), "client_key_file", &["does not belong to", "first certificate"]);
}

#[test]
fn the_errors_of_a_client_certificate_are_documented() {
    let page = read("docs/private-certificates.md");
    for part in [
        "does not belong to the first certificate",
        "contains an encrypted key",
        "contains a key that cannot be used",
        "contains no private key in PEM",
    ] {
        assert!(page.contains(&format!("`{part}`")), "{part}");
    }
}

/// Returns a certificate in DER whose version says 1. Its signature is then wrong, but nothing checks it before.
fn version_1(pem: &str) -> Vec<u8> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    const VERSION_3: [u8; 5] = [0xa0, 3, 2, 1, 2];
    let mut der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
    let at = der.windows(VERSION_3.len()).position(|window| window == VERSION_3).unwrap();
    der[at + VERSION_3.len() - 1] = 0;
    der
}

#[test]
fn every_kind_of_key_is_accepted_in_each_of_its_forms() {
    let authority = Authority::new();
    for kind in KEY_KINDS {
        let identity = authority.client(kind);
        let certificate = PemFile::new(&identity.certificate);
        for key in [Some(&identity.key), identity.old_key.as_ref()].into_iter().flatten() {
            let key = PemFile::new(key);
            Client::new(&with_identity(certificate.path(), key.path()));
        }
    }
}

#[test]
fn a_unix_socket_has_no_tls_and_the_host_localhost_by_default() {
    let url = |more: Value| {
        let mut config =
            json!({"app_id": APP_ID, "key": KEY, "secret": SECRET, "unix_socket": absolute("/run/x.sock")});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = Client::new(&config.to_string()).prepare("channels_info", &[]).read();
        request.url.split("/apps/").next().unwrap().to_owned()
    };
    for (more, expected) in [
        (json!({}), "http://localhost"),
        (json!({"ssl": true}), "https://localhost"),
        (json!({"port": 6001}), "http://localhost:6001"),
        (json!({"host": "ws.example.org"}), "http://ws.example.org"),
        (json!({"host": "ws.example.org", "ssl": true, "port": 6001}), "https://ws.example.org:6001"),
        (json!({"cluster": "eu"}), "http://api-eu.pusher.com"),
        (json!({"proxy": "env"}), "http://localhost"),
    ] {
        assert_eq!(url(more.clone()), expected, "{more}");
    }
    for (scheme, expected) in [("https", "https://h.example"), ("http", "http://h.example")] {
        let config = json!({"url": format!("{scheme}://k:s@h.example/apps/1"), "unix_socket": absolute("/run/x.sock")});
        let request = Client::new(&config.to_string()).prepare("channels_info", &[]).read();
        assert!(request.url.starts_with(&format!("{expected}/apps/")), "{}", request.url);
    }
    no_client(&crate::support::config(1, json!({"unix_socket": absolute("/a"), "proxy": "http://h"})), "proxy");
}

#[test]
fn a_path_prefix_has_at_most_1024_bytes() {
    let prefix = |length: usize| format!("/{}", "a".repeat(length - 1));
    for length in [1023, 1024] {
        Client::new(&crate::support::config(1, json!({"path": prefix(length)})));
    }
    for length in [1025, 1026, 100_000] {
        no_client(&crate::support::config(1, json!({"path": prefix(length)})), "path");
    }
    let url = |length: usize| format!("https://k:s@h{}/apps/1", prefix(length));
    Client::new(&url(1024));
    no_client(&url(1025), "path");
    no_client(&json!({"url": url(1025)}).to_string(), "path");
}

#[test]
fn a_cluster_wins_over_the_host_of_a_url_and_a_host_over_both() {
    let url = "https://k:s@h.example:444/pre/apps/1";
    for (more, origin) in [
        (json!({}), "https://h.example:444/pre"),
        (json!({"cluster": "eu"}), "https://api-eu.pusher.com:444/pre"),
        (json!({"host": "other.example"}), "https://other.example:444/pre"),
        (json!({"host": "other.example", "cluster": "eu", "port": 443}), "https://other.example/pre"),
        (json!({"cluster": "mt1", "port": 443, "path": "/other"}), "https://api-mt1.pusher.com/other"),
        (json!({"cluster": "", "host": "", "path": "", "url": url}), "https://h.example:444/pre"),
        (json!({"scheme": "HTTP"}), "http://h.example:444/pre"),
        (json!({"scheme": ""}), "https://h.example:444/pre"),
    ] {
        let mut config = json!({"url": url});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = Client::new(&config.to_string()).prepare("channels_info", &[]).read();
        assert!(request.url.starts_with(&format!("{origin}/apps/1/channels?")), "{config}: {}", request.url);
    }
}

#[test]
fn a_missing_required_key_is_named() {
    for key in ["key", "secret"] {
        let mut config: Value = serde_json::from_str(&crate::support::config(1, json!({}))).unwrap();
        config.as_object_mut().unwrap().remove(key);
        no_client(&config.to_string(), key);
        for nothing in [json!(null), json!("")] {
            config[key] = nothing;
            no_client(&config.to_string(), key);
        }
    }
}

#[test]
fn a_client_without_an_app_id_signs_and_checks_and_makes_no_request() {
    let server = Server::start([]);
    for app_id in [None, Some(json!(null)), Some(json!(""))] {
        let mut config: Value = serde_json::from_str(&crate::support::config(server.port(), json!({}))).unwrap();
        config.as_object_mut().unwrap().remove("app_id");
        if let Some(app_id) = app_id {
            config["app_id"] = app_id;
        }
        let client = Client::new(&config.to_string());
        for function in FUNCTIONS {
            let outcome = function.call(Some(&client), &function.good());
            match function.purpose {
                Purpose::Sign => outcome.is("OK", ""),
                _ => outcome.is("INVALID_CONFIG", function.delivery_unsent()).naming("app_id"),
            };
        }
        let outcome = publisher::try_new(Some(&client), None).unwrap_err();
        outcome.is("INVALID_CONFIG", "").naming("app_id");
    }
    assert!(server.ledger().is_empty());
}

/// Whether the value of a key may be a string, and an empty one has no meaning.
fn is_string(row: &Row) -> bool {
    row.cell("type").contains("string") && row.key != "channel_characters"
}

#[test]
fn a_member_that_is_null_or_an_empty_string_counts_as_not_given() {
    for place in PLACES {
        for row in documented(place.heading, place.title) {
            let is_required = place.title == "key" && matches!(&*row.key, "key" | "secret");
            let mut nothing = vec![json!(null)];
            nothing.extend(is_string(&row).then(|| json!("")));
            for nothing in nothing {
                match (place.set)(&row.key, &nothing) {
                    Ok(()) => assert!(!is_required, "{}", row.key),
                    Err(outcome) => {
                        assert!(is_required && says(&outcome, "is missing"), "{}: {nothing}: {outcome:?}", row.key);
                    }
                }
            }
            if !is_string(&row) && row.key != "channel_characters" {
                let Err(outcome) = (place.set)(&row.key, &json!("")) else { panic!("{}: an empty string", row.key) };
                assert_eq!(outcome.name(), "INVALID_CONFIG", "{}: {outcome:?}", row.key);
            }
        }
        let unknown = (place.set)("no_such_key", &json!(null)).expect_err("an unknown key is an error");
        assert!(says(&unknown, place.unknown), "{unknown:?}");
    }
    // With all of them at once, the defaults are the same.
    let mut config = json!({});
    for row in documented("Client", "key") {
        config[&row.key] = if is_string(&row) { json!("") } else { json!(null) };
    }
    for (key, value) in [("app_id", APP_ID), ("key", KEY), ("secret", SECRET)] {
        config[key] = json!(value);
    }
    let request = Client::new(&config.to_string()).prepare("channels_info", &[]).read();
    assert!(
        request.url.replace(":443/", "/").starts_with("https://api-mt1.pusher.com/apps/4711/channels?"),
        "{}",
        request.url
    );
    // A key that is given twice is an error all the same.
    no_client(r#"{"app_id":"1","key":"k","secret":"s","host":null,"host":"h"}"#, "host");
}

#[test]
fn an_option_that_is_null_counts_as_not_given() {
    let client = Client::new(&config(1, json!({})));
    let queue = publisher::try_new(Some(&client), Some(br#"{"reports":"none"}"#)).unwrap();
    for row in documented("Options of a call", "key") {
        let options = object(&row.key, &json!(null)).to_string();
        for call in row.cell("calls").split(", ").map(|call| call.trim_matches('`')) {
            if call == "publish" {
                let texts = [Some(&b"c"[..]), Some(b"e"), Some(b"1"), Some(options.as_bytes())];
                publisher::publish(Some(&queue), texts).unwrap_or_else(|outcome| panic!("{}: {outcome:?}", row.key));
            }
        }
        for function in Function::network() {
            let calls = row.cell("calls");
            if calls != "all" && !calls.split(", ").any(|one| one.trim_matches('`') == function.name) {
                continue;
            }
            let is_options = |form| matches!(form, Form::EventOptions | Form::Options);
            let index = function.arguments.iter().position(|argument| is_options(argument.form)).unwrap();
            let prepare = |options: &[u8]| {
                let texts = function.with(index, Some(options));
                let request = hooks::prepare(Some(&client), Some(function.name.as_bytes()), &texts, Without::default());
                let request = request.unwrap_or_else(|outcome| panic!("{}: {outcome:?}", row.key)).read();
                (request.method, request.body, request.headers.len())
            };
            assert_eq!(prepare(options.as_bytes()), prepare(b"{}"), "{}: {}", function.name, row.key);
        }
    }
}
