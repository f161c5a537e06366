use super::draft::Draft;
use super::{Config, KEYS};
use crate::error::Error;
use crate::retry::{Mode, RetryPolicy};

const REQUIRED: &str = r#""app_id":"1","key":"k","secret":"s3cr3t""#;

fn with(more: &str) -> Result<Config, Error> {
    Config::parse(Some(&format!("{{{REQUIRED}{more}}}")))
}

fn named(result: Result<Config, Error>) -> String {
    match result {
        Err(Error::Config(problem)) => problem.argument,
        other => panic!("{other:?}"),
    }
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Config, Error> {
    let mut draft = Draft::new();
    let find = |name: &str| Ok(variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()));
    draft.take_environment(&find).and_then(|()| draft.finish(&find)).map_err(Error::Config)
}

fn of_server(text: &str, variables: &[(&str, &str)]) -> Result<Config, Error> {
    let mut draft = Draft::new();
    let find = |name: &str| Ok(variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()));
    let taken = draft.take_json(text).and_then(|()| draft.take_environment_of_server(&find));
    taken.and_then(|()| draft.finish(&find)).map_err(Error::Config)
}

#[test]
fn absent_keys_have_the_documented_defaults() {
    let config = with("").unwrap();
    assert_eq!((config.host.as_str(), config.port, config.ssl), ("api-mt1.pusher.com", 443, true));
    assert_eq!((config.timeout.as_millis(), config.connect_timeout.as_millis()), (5000, 3000));
    assert_eq!((config.retry.mode, config.retry.max_attempts, config.clock_correction), (Mode::Safe, 3, true));
    assert_eq!((config.max_idle_connections, config.idle_timeout.as_millis()), (8, 15_000));
    assert_eq!(
        (config.limits.data_bytes, config.limits.channels, config.limits.response_bytes),
        (10_240, 100, 16 << 20)
    );
    assert_eq!((config.path.as_str(), config.sign_path_prefix), ("", true));
}

#[test]
fn host_overrides_cluster_and_a_port_does_not_change_ssl() {
    let config = with(r#","cluster":"eu","host":"example.org","port":80"#).unwrap();
    assert_eq!((config.host.as_str(), config.port, config.ssl), ("example.org", 80, true));
    assert_eq!(with(r#","cluster":"eu","ssl":false"#).unwrap().host, "api-eu.pusher.com");
    assert_eq!(with(r#","ssl":false"#).unwrap().port, 80);
}

#[test]
fn a_part_of_the_retry_policy_leaves_the_rest_as_it_is() {
    let retry = |text: &str| with(&format!(r#","retry":{text}"#)).unwrap().retry;
    assert_eq!(retry("{}"), RetryPolicy::default());
    assert_eq!(retry(r#"{"max_attempts":1}"#), RetryPolicy { max_attempts: 1, ..RetryPolicy::default() });
    assert_eq!(retry(r#"{"mode":"at_least_once"}"#), RetryPolicy { mode: Mode::AtLeastOnce, ..RetryPolicy::default() });
    assert_eq!(retry(r#"{"mode":"never"}"#).mode, Mode::Never);
}

#[test]
fn a_scheme_is_http_or_https_in_any_case_and_does_not_contradict_ssl() {
    for (more, ssl) in [
        (r#","scheme":"https""#, true),
        (r#","scheme":"HTTPS""#, true),
        (r#","scheme":"http""#, false),
        (r#","scheme":"Http","ssl":false"#, false),
        (r#","scheme":"HttpS","ssl":true"#, true),
        (r#","scheme":"""#, true),
        (r#","scheme":"","ssl":false"#, false),
        (r#","scheme":null,"unix_socket":"/a""#, false),
        (r#","scheme":"https","unix_socket":"/a""#, true),
        (r#","scheme":"https","url":"http://k:s@h/apps/1""#, true),
        (r#","url":"HTTP://k:s@h/apps/1","ssl":true"#, true),
    ] {
        let more = if more.contains("url") { format!("{{{}}}", &more[1..]) } else { format!("{{{REQUIRED}{more}}}") };
        let config = Config::parse(Some(&more)).unwrap();
        assert_eq!((config.ssl, config.port), (ssl, if ssl { 443 } else { 80 }), "{more}");
    }
    for scheme in ["wss", "https://", "ftp", "https ", "s", "true", "http/1.1", "ＨＴＴＰ"] {
        let error = with(&format!(r#","scheme":"{scheme}""#)).unwrap_err().to_string();
        assert_eq!(error, r#"scheme: must be "https" or "http""#, "{scheme}");
        let environment = [("PUSHER_KEY", "k"), ("PUSHER_SECRET", "s"), ("PUSHER_SCHEME", scheme)];
        assert_eq!(named(from_environment(&environment)), "PUSHER_SCHEME", "{scheme}");
    }
    for (ssl, scheme) in [(true, "HTTP"), (false, "https")] {
        let error = with(&format!(r#","ssl":{ssl},"scheme":"{scheme}""#)).unwrap_err().to_string();
        assert!(error.starts_with("scheme: ") && error.contains(&format!("ssl is {ssl}")), "{error}");
    }
    for (scheme, ssl) in [("HTTP", false), ("Https", true)] {
        let variables = REVERB.map(|(name, value)| (name, if name == "REVERB_SCHEME" { scheme } else { value }));
        assert_eq!(of_server(r#"{"server":"reverb"}"#, &variables).unwrap().ssl, ssl);
        let pusher = [("PUSHER_KEY", "k"), ("PUSHER_SECRET", "s"), ("PUSHER_SCHEME", scheme)];
        assert_eq!(from_environment(&pusher).unwrap().ssl, ssl);
    }
}

#[test]
fn a_host_may_begin_with_the_scheme_that_is_used() {
    for (more, ssl) in [
        (r#","host":"https://h""#, true),
        (r#","host":"HTTP://h""#, false),
        (r#","host":"http://h","ssl":false"#, false),
        (r#","host":"https://h","scheme":"https""#, true),
        (r#","host":"http://h","url":"https://k:s@x/apps/1""#, false),
    ] {
        let more = if more.contains("url") { format!("{{{}}}", &more[1..]) } else { format!("{{{REQUIRED}{more}}}") };
        let config = Config::parse(Some(&more)).unwrap();
        assert_eq!((config.host.as_str(), config.ssl, config.port), ("h", ssl, if ssl { 443 } else { 80 }), "{more}");
    }
    for (more, part) in [
        (r#","host":"http://h","ssl":true"#, "begins with http://, but ssl is true"),
        (r#","host":"https://h","ssl":false"#, "begins with https://, but ssl is false"),
        (r#","host":"https://h","scheme":"http""#, "begins with https://, but scheme is http"),
        (r#","host":"wss://h""#, "no scheme but http:// or https://"),
        (r#","host":"https://h/""#, "without port and path"),
        (r#","host":"https://https://h""#, "no scheme but"),
        (r#","host":"https://""#, "the host must be"),
    ] {
        let error = with(more).unwrap_err().to_string();
        assert!(error.starts_with("host: ") && error.contains(part), "{error}");
    }
}

#[test]
fn a_secret_or_a_key_with_white_space_at_an_end_is_refused_and_not_shown() {
    for (key, value, named) in [
        ("secret", "s3cr3t\\n", "secret"),
        ("secret", " s3cr3t", "secret"),
        ("secret", "s3cr3t\\r\\n", "secret"),
        ("secret", "s3cr3t\\u00a0", "secret"),
        ("secret", "\\ufeffs3cr3t", "secret"),
        ("key", "s3cr3t\\n", "key"),
        ("app_id", " s3cr3t", "app_id"),
        ("app_id", "\\ufeffs3cr3t", "app_id"),
        (
            "encryption_master_key_base64",
            "czNjcjN0czNjcjN0czNjcjN0czNjcjN0czNjcjN0czM=\\n",
            "encryption_master_key_base64",
        ),
        (
            "encryption_master_key_base64",
            "\\ufeffczNjcjN0czNjcjN0czNjcjN0czNjcjN0czNjcjN0czM=",
            "encryption_master_key_base64",
        ),
    ] {
        let rest = [("app_id", "1"), ("key", "k"), ("secret", "s")].into_iter().filter(|(name, _)| *name != key);
        let all: Vec<String> =
            rest.chain([(key, value)]).map(|(name, value)| format!(r#""{name}":"{value}""#)).collect();
        let error = Config::parse(Some(&format!("{{{}}}", all.join(",")))).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{named}: begins or ends with white space, such as the line end of a file: remove it")
        );
    }
    let tokens = with(r#","webhook_tokens":[{"key":"k","secret":"s3cr3t\n"}]"#);
    assert_eq!(named(tokens), "webhook_tokens[0].secret");
    assert_eq!(named(Config::parse(Some("https://k:s%0A@h/apps/1"))), "secret");
    assert!(with(r#","secret":"a b\tc""#).is_err_and(|error| error.to_string().contains("is given twice")));
    assert!(Config::parse(Some(r#"{"key":"k","secret":"a b\tc"}"#)).is_ok());
}

#[test]
fn a_secret_that_is_not_percent_encoded_in_a_url_is_explained() {
    for (url, part) in [
        ("https://k:s3/cr3t@h/apps/1", "write / as %2F"),
        ("https://k:s3@c/r3t@h/apps/1", "write / as %2F"),
        ("https://k:s3?cr3t@h/apps/1", "write ? as %3F"),
        ("https://k:s3#cr3t@h/apps/1", "# as %23"),
        ("https://k:s3 cr3t@h/apps/1", "percent-encode it"),
        ("https://k@h/apps/1", "has a key but no secret"),
    ] {
        let error = Config::parse(Some(url)).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("s3"), "{error}");
    }
}

#[test]
fn an_app_id_may_be_an_integer() {
    assert_eq!(Config::parse(Some(r#"{"app_id":42,"key":"k","secret":"s"}"#)).unwrap().app_id.as_deref(), Some("42"));
}

#[test]
fn a_url_sets_key_secret_host_port_path_and_app_id() {
    let config = Config::parse(Some("http://my-key:a%3Ab%2F@127.0.0.1:6001/apps/7")).unwrap();
    assert_eq!(
        (config.app_id.as_deref(), config.key.as_str(), config.secret.expose()),
        (Some("7"), "my-key", &b"a:b/"[..])
    );
    assert_eq!((config.host.as_str(), config.port, config.ssl), ("127.0.0.1", 6001, false));
    let config = Config::parse(Some("https://k:s@[::1]/pre/fix/apps/7/")).unwrap();
    assert_eq!((config.host.as_str(), config.port, config.path.as_str()), ("::1", 443, "/pre/fix"));
}

#[test]
fn other_keys_override_the_parts_of_a_url() {
    let config = Config::parse(Some(r#"{"port":81,"url":"http://k:s@h/apps/7","app_id":8,"secret":"t"}"#)).unwrap();
    assert_eq!((config.app_id.as_deref(), config.port, config.secret.expose()), (Some("8"), 81, &b"t"[..]));
}

#[test]
fn the_environment_is_read_under_both_spellings() {
    let config = from_environment(&[
        ("PUSHER_APP_ID", "1"),
        ("PUSHER_APP_KEY", "k"),
        ("PUSHER_APP_SECRET", "s"),
        ("PUSHER_APP_CLUSTER", "ap1"),
        ("PUSHER_SCHEME", "http"),
        ("PUSHER_PORT", "8080"),
    ])
    .unwrap();
    assert_eq!((config.host.as_str(), config.port, config.ssl), ("api-ap1.pusher.com", 8080, false));
    let config = from_environment(&[("PUSHER_URL", "https://k:s@h/apps/1"), ("PUSHER_APP_ID", "2")]).unwrap();
    assert_eq!(config.app_id.as_deref(), Some("1"));
}

#[test]
fn errors_name_the_wrong_environment_variable() {
    assert_eq!(named(from_environment(&[])), "config");
    assert_eq!(named(from_environment(&[("PUSHER_URL", "x")])), "PUSHER_URL");
    let three = [("PUSHER_APP_ID", "1"), ("PUSHER_KEY", "k"), ("PUSHER_SECRET", "s")];
    for (name, value) in
        [("PUSHER_PORT", "http"), ("PUSHER_PORT", "+80"), ("PUSHER_PORT", "0"), ("PUSHER_SCHEME", "https://")]
    {
        assert_eq!(named(from_environment(&[&three[..], &[(name, value)]].concat())), name);
    }
    assert_eq!(named(from_environment(&three[..2])), "secret");
}

#[test]
fn errors_name_the_key_of_a_wrong_value() {
    for (more, key) in [
        (r#","colour":1"#, "colour"),
        (r#","app_id":"2""#, "app_id"),
        (r#","\u0061pp_id":"2""#, "app_id"),
        (r#","ssl":"yes""#, "ssl"),
        (r#","scheme":"wss""#, "scheme"),
        (r#","ssl":true,"scheme":"http""#, "scheme"),
        (r#","port":0"#, "port"),
        (r#","port":65536"#, "port"),
        (r#","port":"80""#, "port"),
        (r#","port":80.0"#, "port"),
        (r#","timeout_ms":0"#, "timeout_ms"),
        (r#","timeout_ms":600001"#, "timeout_ms"),
        (r#","timeout_ms":1e3"#, "timeout_ms"),
        (r#","connect_timeout_ms":-1"#, "connect_timeout_ms"),
        (r#","idle_timeout_ms":0"#, "idle_timeout_ms"),
        (r#","max_idle_connections":1001"#, "max_idle_connections"),
        (r#","max_data_bytes":0"#, "max_data_bytes"),
        (r#","max_channels":0"#, "max_channels"),
        (r#","max_response_bytes":0"#, "max_response_bytes"),
        (r#","cluster":"EU""#, "cluster"),
        (r#","cluster":"eu.evil.org/""#, "cluster"),
        (r#","path":"pre""#, "path"),
        (r#","path":"/../x""#, "path"),
        (r#","path":"/a?b""#, "path"),
        (r#","path":"//""#, "path"),
        (r#","retry":"never""#, "retry"),
        (r#","retry":{"mode":"always"}"#, "retry.mode"),
        (r#","retry":{"max_attempts":0}"#, "retry.max_attempts"),
        (r#","retry":{"max_attempts":101}"#, "retry.max_attempts"),
        (r#","retry":{"attempts":3}"#, "retry.attempts"),
        (r#","retry":{"mode":"safe","mode":"never"}"#, "retry.mode"),
        (r#","clock_correction":1"#, "clock_correction"),
        (r#","ca_file":1"#, "ca_file"),
        (r#","tls_roots":"all""#, "tls_roots"),
        (r#","tls_roots":"both","ca_file":"x""#, "tls_roots"),
        (r#","proxy":"proxy:3128""#, "proxy"),
        (r#","encryption_master_key_base64":"AAAA""#, "encryption_master_key_base64"),
        (r#","webhook_tokens":{}"#, "webhook_tokens"),
        (r#","webhook_tokens":[{"key":"k"}]"#, "webhook_tokens[0].secret"),
        (r#","webhook_tokens":[{"key":"k","secret":"s"},{"key":"","secret":"s"}]"#, "webhook_tokens[1].key"),
        (r#","webhook_tokens":[{"key":"k","secret":"s","x":1}]"#, "webhook_tokens[0].x"),
        (r#","webhook_max_age_ms":-1"#, "webhook_max_age_ms"),
        (r#","log_level":"all""#, "log_level"),
        (r#","stats_format":"xml""#, "stats_format"),
        (r#","max_batch_events":0"#, "max_batch_events"),
        (r#","url":"https://h/apps/1""#, "url"),
    ] {
        assert_eq!(named(with(more)), key, "{more}");
    }
    for (config, key) in [
        ("", "config"),
        ("{", "config"),
        ("[]", "config"),
        ("null", "config"),
        ("api.pusher.com", "config"),
        (r#"{}"#, "key"),
        (r#"{"app_id":"1","secret":"s"}"#, "key"),
        (r#"{"app_id":"1","key":"k"}"#, "secret"),
        (r#"{"app_id":"1","key":"k","secret":""}"#, "secret"),
        (r#"{"app_id":"1/2","key":"k","secret":"s"}"#, "app_id"),
        (r#"{"app_id":1.5,"key":"k","secret":"s"}"#, "app_id"),
        (r#"{"app_id":"1","key":"k:l","secret":"s"}"#, "key"),
        ("ftp://k:s@h/apps/1", "url"),
        ("https://h/apps/1", "url"),
        ("https://k@h/apps/1", "url"),
        ("https://k:s@h", "url"),
        ("https://k:s@h/", "url"),
        ("https://k:s@h/apps/1?x=1", "url"),
        ("https://k:s@h/apps/1#x", "url"),
        ("https://k:s@h:0/apps/1", "url"),
        ("https://k:s@h:+1/apps/1", "url"),
        ("https://k:%ff@h/apps/1", "url"),
        ("https://k:s@h\r\n/apps/1", "url"),
        ("https://k:s@/apps/1", "url"),
        ("https://k:s@h/apps/", "app_id"),
        ("wss://k:s@h/apps/1", "url"),
    ] {
        assert_eq!(named(Config::parse(Some(config))), key, "{config:?}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let config = with("").unwrap();
    assert!(!format!("{config:?}").contains("s3cr3t"));
    for wrong in [
        r#"{"app_id":"1","key":"k","secret":"s3cr3t","secret":"s3cr3t"}"#,
        "https://k:s3cr3t@h",
        "http://s3cr3t",
        r#"{"s":"s3cr3t""#,
    ] {
        let error = Config::parse(Some(wrong)).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("s3cr3t"), "{error}");
    }
}

#[test]
fn every_listed_key_is_known_and_an_unknown_one_names_the_nearest() {
    for key in KEYS {
        if let Err(error) = Config::parse(Some(&format!(r#"{{"{key}":[[]]}}"#))) {
            assert!(!error.to_string().contains("is not a configuration key"), "{error}");
        }
    }
    let error = with(r#","timeout":1"#).unwrap_err().to_string();
    assert_eq!(error, "timeout: is not a configuration key; did you mean timeout_ms?");
}

#[test]
fn all_missing_keys_are_named_at_once() {
    let message = |config| Config::parse(Some(config)).unwrap_err().to_string();
    let rest = "; only signatures and webhooks need no app_id";
    assert_eq!(message("{}"), format!("key: is missing, and so are secret and app_id{rest}"));
    assert_eq!(message(r#"{"app_id":"1"}"#), "key: is missing, and so is secret");
    assert_eq!(message(r#"{"key":"","secret":"s"}"#), "key: is missing");
    assert_eq!(message(r#"{"key":"k","secret":null}"#), "secret: is missing");
    assert_eq!(message(r#"{"app_id":"1","key":"k"}"#), "secret: is missing");
}

const REVERB: [(&str, &str); 6] = [
    ("REVERB_APP_ID", "7"),
    ("REVERB_APP_KEY", "key"),
    ("REVERB_APP_SECRET", "s3cr3t"),
    ("REVERB_HOST", "ws.example.org"),
    ("REVERB_PORT", "8080"),
    ("REVERB_SCHEME", "http"),
];

#[test]
fn what_a_client_of_reverb_leaves_out_is_in_the_environment() {
    let read = |text: &str| {
        let config = of_server(text, &REVERB).unwrap();
        let secret = String::from_utf8(config.secret.expose().to_vec()).unwrap();
        (config.app_id.unwrap_or_default(), config.key, secret, format!("{}:{}", config.host, config.port), config.ssl)
    };
    let of = |id: &str, key: &str, secret: &str, address: &str, ssl: bool| {
        (id.to_owned(), key.to_owned(), secret.to_owned(), address.to_owned(), ssl)
    };
    for (text, expected) in [
        (r#"{"server":"reverb"}"#, of("7", "key", "s3cr3t", "ws.example.org:8080", false)),
        (r#"{"app_id":1,"server":"reverb","key":"k"}"#, of("1", "k", "s3cr3t", "ws.example.org:8080", false)),
        (r#"{"server":"reverb","secret":"s","host":"h"}"#, of("7", "key", "s", "h:8080", false)),
        (r#"{"server":"reverb","ssl":true,"port":443}"#, of("7", "key", "s3cr3t", "ws.example.org:443", true)),
        (r#"{"server":"reverb","cluster":"eu"}"#, of("7", "key", "s3cr3t", "api-eu.pusher.com:8080", false)),
        // These have the whole address.
        (r#"{"server":"reverb","url":"https://k:s@h/apps/1"}"#, of("1", "k", "s", "h:443", true)),
        (r#"{"server":"reverb","unix_socket":"/a"}"#, of("7", "key", "s3cr3t", "localhost:80", false)),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn the_variables_of_reverb_are_for_reverb_only() {
    for text in ["{}", r#"{"server":"pusher"}"#, r#"{"server":"soketi"}"#] {
        assert_eq!(named(of_server(text, &REVERB)), "key", "{text}");
    }
    assert_eq!(named(from_environment(&REVERB)), "config");
    let pusher = [("PUSHER_APP_ID", "1"), ("PUSHER_KEY", "k"), ("PUSHER_SECRET", "s"), ("PUSHER_HOST", "h")];
    assert_eq!(named(of_server(r#"{"server":"reverb"}"#, &pusher)), "key");
    assert_eq!(named(of_server(r#"{"server":"reverb"}"#, &[&REVERB[..3], &pusher[..]].concat())), "host");
}

#[test]
fn errors_name_the_wrong_variable_of_reverb() {
    for (name, value, named_key) in [
        ("REVERB_PORT", "http", "REVERB_PORT"),
        ("REVERB_SCHEME", "ws", "REVERB_SCHEME"),
        ("REVERB_HOST", "http://h/x", "host"),
        ("REVERB_HOST", "https://h", "host"),
        ("REVERB_APP_KEY", "k:l", "key"),
    ] {
        let variables = REVERB.map(|(other, kept)| (other, if other == name { value } else { kept }));
        assert_eq!(named(of_server(r#"{"server":"reverb"}"#, &variables)), named_key);
    }
    // A variable that a key overrides is not read.
    let variables = REVERB.map(|(name, value)| (name, if name == "REVERB_PORT" { "http" } else { value }));
    assert!(of_server(r#"{"server":"reverb","port":1}"#, &variables).is_ok());
}

#[test]
fn a_host_is_required_for_a_server_that_its_user_hosts() {
    for server in ["sockudo", "soketi", "reverb", "laravel-websockets", "poxa", "slanger"] {
        let config = |more: &str| of_server(&format!(r#"{{"server":"{server}",{REQUIRED}{more}}}"#), &[]);
        assert_eq!(named(config("")), "host", "{server}");
        for more in
            [r#","host":"h""#, r#","unix_socket":"/a""#, r#","cluster":"eu""#, r#","url":"https://k:s@h/apps/1""#]
        {
            assert!(config(more).is_ok(), "{server}: {more}");
        }
    }
}
