//! Published examples and the test vectors of other libraries (`vectors/peers.json`, each with its source).
//!
//! The tests' own signer must agree with each vector. The library must agree with each one, through its ABI, except those that
//! contradict the protocol or the design (`DIFFERENT`).

use std::collections::BTreeMap;

use crate::support::functions::Function;
use crate::support::secretbox::channel_key;
use crate::support::{Client, Reply, Snapshot, calls, config, now_ms, signature};
use serde_json::{Value, json};

/// Returns the vectors of a kind, and asserts their number, so that none is lost.
fn vectors(kind: &str, count: usize) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("../vectors/peers.json")).unwrap();
    let found: Vec<Value> = all.into_iter().filter(|vector| vector["kind"] == kind).collect();
    assert_eq!(found.len(), count, "{kind}");
    found
}

#[track_caller]
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Returns the names and values of an object, as strings.
fn pairs(object: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn borrowed(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Returns the query that a vector's request signs.
fn query_of(inputs: &Value) -> String {
    let mut all = pairs(&inputs["params"]);
    all.push(("auth_key".to_owned(), text(inputs, "key").to_owned()));
    all.push(("auth_timestamp".to_owned(), inputs["timestamp"].to_string()));
    all.push(("auth_version".to_owned(), "1.0".to_owned()));
    // One library also signs the digest of an empty body on a GET.
    let empty = (inputs["body_md5_of_empty_body_included"] == true).then_some("");
    if let Some(body) = inputs["body"].as_str().or(empty) {
        all.push(("body_md5".to_owned(), signature::md5_hex(body.as_bytes())));
    }
    signature::query_to_sign(borrowed(&all))
}

#[test]
fn the_tests_signer_reproduces_every_signature() {
    for vector in vectors("request_signature", 15) {
        let (inputs, expected) = (&vector["inputs"], &vector["expected"]);
        let string = format!("{}\n{}\n{}", text(inputs, "method"), text(inputs, "path"), query_of(inputs));
        if expected.get("string_to_sign").is_some() {
            assert_eq!(string, text(expected, "string_to_sign"), "{vector}");
        }
        let made = signature::hmac_hex(text(inputs, "secret").as_bytes(), string.as_bytes());
        assert_eq!(made, text(expected, "auth_signature"), "{vector}");
    }
}

#[test]
fn the_tests_signer_reproduces_every_query_url_and_digest() {
    for vector in vectors("query_string_to_sign", 5) {
        let made = signature::query_to_sign(borrowed(&pairs(&vector["inputs"]["params"])));
        let expected = text(&vector["expected"], "string").split('\n').next_back().unwrap();
        // Contrary to the documentation, two libraries do not convert keys to lower case.
        if ["java-stringToSign-2", "php-array-implode"].contains(&text(&vector, "id")) {
            assert!(made != expected && made.eq_ignore_ascii_case(expected), "{vector}");
        } else {
            assert_eq!(made, expected, "{vector}");
        }
    }
    for vector in vectors("request_url", 3) {
        let inputs = &vector["inputs"];
        let query = query_of(inputs);
        let string = format!("{}\n{}\n{query}", text(inputs, "method"), text(inputs, "path"));
        let signed = signature::hmac_hex(text(inputs, "secret").as_bytes(), string.as_bytes());
        let (_, given) = text(&vector["expected"], "url").split_once('?').unwrap();
        let parameters = signature::parameters(given).unwrap();
        let (signatures, others): (Vec<_>, Vec<_>) =
            parameters.into_iter().partition(|(name, _)| name == "auth_signature");
        assert_eq!(signatures, [("auth_signature".to_owned(), signed)], "{vector}");
        assert_eq!(signature::query_to_sign(borrowed(&others)), query, "{vector}");
    }
    for vector in vectors("hmac_sha256_hex", 14) {
        let inputs = &vector["inputs"];
        let made = signature::hmac_hex(text(inputs, "secret").as_bytes(), text(inputs, "message").as_bytes());
        assert_eq!(made, text(&vector["expected"], "hex"), "{vector}");
    }
    for vector in vectors("md5_hex", 3) {
        assert_eq!(
            signature::md5_hex(text(&vector["inputs"], "data").as_bytes()),
            text(&vector["expected"], "hex"),
            "{vector}"
        );
    }
    for vector in vectors("request_body_md5", 10) {
        let made = signature::md5_hex(text(&vector["inputs"], "body").as_bytes());
        assert_eq!(made, text(&vector["expected"], "body_md5"), "{vector}");
    }
}

/// Vectors from which libpusher differs, and why. The tests' own signer and cipher still reproduce their signatures and
/// digests.
const DIFFERENT: [(&str, &str); 20] = [
    (
        "docs-raw-not-escaped",
        "has a parameter in upper case; here such a name is refused, so that none has to be changed",
    ),
    ("sockudo-rust-lowercase-keys", "has a parameter in upper case, which is refused"),
    ("java-stringToSign-2", "signs a parameter in upper case, against the documentation"),
    ("php-array-implode", "signs parameters in upper case, against the documentation"),
    ("rubysig-upcase-keys", "posts without a body, with parameters in upper case, and not below /apps/{app_id}"),
    ("rubysig-one-param", "posts without a body, which here is {}, and not below /apps/{app_id}"),
    ("python-get-sig", "signs the digest of an empty body on a GET, which a real server refuses"),
    ("python-post-sig", "posts to a path that is not below /apps/{app_id}"),
    ("seed-post-sig", "posts to a path that is not below /apps/{app_id}"),
    ("elixir-sign", "signs a whole URL as the path"),
    ("go-md5", "is the digest of what is no JSON and so no body"),
    ("rustn-md5", "is the digest of what is no JSON and so no body"),
    ("python-json-encoder", "authorizes a presence channel without a user_id, which the documentation requires"),
    (
        "python-s2u-ok-#server-to-user-ID-123",
        "triggers on a user's own channel, for which there is pusher_send_to_user",
    ),
    ("python-shared", "derives a key for a channel that is not an encrypted one"),
    ("python-encrypt-fixed-nonce", "encrypts for a channel that is not an encrypted one"),
    ("ruby-shared-1", "has a master key of 44 bytes; it has to have 32"),
    ("ruby-shared-2", "has a master key of 44 bytes; it has to have 32"),
    ("go-decrypt", "has a master key of 33 bytes; it has to have 32"),
    ("go-decrypt-wrong-key", "has a master key of 33 bytes; it has to have 32"),
];

/// Returns a client for this application, with more configuration. No server listens on its port.
fn client(app_id: &str, key: &str, secret: &str, more: Value) -> Result<Client, String> {
    let mut all = json!({"app_id": app_id, "key": key, "secret": secret});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Client::try_new(Some(config(1, all).as_bytes())).map_err(|outcome| format!("{outcome:?}"))
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} and not {expected:?}")) }
}

/// A call's result, or what went wrong.
fn called(client: &Client, name: &str, texts: &[Option<&str>]) -> Result<Value, String> {
    let outcome = client.call(name, texts);
    match (outcome.status, outcome.document.as_deref()) {
        (0, Some(document)) => serde_json::from_str(document).map_err(|error| error.to_string()),
        _ => Err(format!("{outcome:?}")),
    }
}

/// A call's request, or what went wrong.
fn prepared(client: &Client, name: &str, texts: &[Option<&str>]) -> Result<Snapshot, String> {
    let texts: Vec<Option<&[u8]>> = texts.iter().map(|text| text.map(str::as_bytes)).collect();
    let result = crate::support::hooks::prepare(Some(client), Some(name.as_bytes()), &texts, Default::default());
    result.map(|request| request.read()).map_err(|outcome| format!("{outcome:?}"))
}

/// A parameter of a request.
fn parameter(request: &Snapshot, name: &str) -> Option<String> {
    let parameters = signature::parameters(request.query()).unwrap();
    parameters.into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
}

/// The application's id and the rest of a path.
fn split_path(path: &str) -> Result<(&str, &str), String> {
    let (app_id, rest) = path.strip_prefix("/apps/").and_then(|rest| rest.split_once('/')).ok_or("another path")?;
    Ok((app_id, &path[path.len() - rest.len() - 1..]))
}

/// Returns the requests that the library makes for a vector's request: by the call for this path, if there is one, and by the
/// call for any path.
fn requests(
    client: &Client,
    method: &str,
    path: &str,
    params: &Value,
    body: Option<&str>,
) -> Result<Vec<Snapshot>, String> {
    let params = params.as_object().filter(|params| !params.is_empty()).map(|_| params.to_string());
    let params = params.as_deref();
    let mut all = Vec::new();
    let (_, rest) = split_path(path).unwrap_or(("", "/x"));
    all.push(match (method, body) {
        ("POST", Some(_)) => prepared(client, "post", &[Some(rest), params, body])?,
        ("GET", None) => prepared(client, "get", &[Some(rest), params])?,
        _ => return Err("a POST without a body, or a GET with one".to_owned()),
    });
    let parsed: Option<Value> = body.and_then(|body| serde_json::from_str(body).ok());
    let own = |name: &str| -> Option<String> {
        serde_json::from_str::<Value>(params?).ok()?[name].as_str().map(str::to_owned)
    };
    match (rest, &parsed) {
        ("/events", Some(event)) => {
            let mut options = event.as_object().unwrap().clone();
            let (name, channels, data) = (options.remove("name"), options.remove("channels"), options.remove("data"));
            let texts = [channels.unwrap().to_string(), data.unwrap().to_string(), Value::from(options).to_string()];
            let name = name.unwrap();
            all.push(prepared(client, "trigger", &[Some(&texts[0]), name.as_str(), Some(&texts[1]), Some(&texts[2])])?);
        }
        ("/batch_events", Some(batch)) => {
            all.push(prepared(client, "trigger_batch", &[Some(&batch["batch"].to_string())])?);
        }
        ("/channels", None) => {
            let texts = [own("filter_by_prefix"), own("info")];
            all.push(prepared(client, "channels_info", &[texts[0].as_deref(), texts[1].as_deref()])?);
        }
        (path, None) => match path
            .strip_prefix("/channels/")
            .map(|channel| channel.strip_suffix("/users").ok_or(channel))
        {
            Some(Ok(channel)) => all.push(prepared(client, "users_info", &[Some(channel)])?),
            Some(Err(channel)) => all.push(prepared(client, "channel_info", &[Some(channel), own("info").as_deref()])?),
            None => {}
        },
        _ => {}
    }
    Ok(all)
}

/// Checks whether the library agrees with a vector.
fn holds(vector: &Value) -> Result<(), String> {
    let (inputs, expected) = (&vector["inputs"], &vector["expected"]);
    let input = |name: &str| inputs[name].as_str();
    let need = |name: &str| text(inputs, name);
    let valid = expected["valid"].as_bool().unwrap_or_default();
    let any = || client("1", "k", "s", json!({}));
    let validity = |result: Result<Snapshot, String>| match result {
        Ok(_) => same(true, valid),
        Err(why) if why.contains("INVALID_ARGUMENT") => same(false, valid),
        Err(why) => Err(why),
    };
    match text(vector, "kind") {
        "request_signature" | "request_url" | "request_body_md5" => {
            let (key, secret) = (input("key").unwrap_or("k"), input("secret").unwrap_or("s"));
            let path = need("path");
            let (app_id, _) = split_path(path)?;
            let mut more = json!({});
            if let Some(url) = expected["url"].as_str() {
                let (scheme, rest) = url.split_once("://").unwrap();
                let ssl = scheme == "https";
                // The older default host must be configured.
                let host = rest.split('/').next().unwrap();
                more = json!({"ssl": ssl, "port": if ssl { 443 } else { 80 }, "host": host});
                if inputs["cluster"] == "eu" {
                    more = json!({"url": format!("{scheme}://{key}:{secret}@h.example/apps/1"), "cluster": "eu"});
                }
            }
            let client = match more.get("url") {
                Some(_) => Client::try_new(Some(
                    json!({"url": more["url"], "cluster": "eu", "app_id": app_id}).to_string().as_bytes(),
                ))
                .map_err(|outcome| format!("{outcome:?}"))?,
                None => client(app_id, key, secret, more)?,
            };
            let method = input("method").unwrap_or("POST");
            let body = input("body");
            for request in requests(&client, method, path, &inputs["params"], body)? {
                request.verify(key, secret)?;
                same((request.method.as_str(), request.path()), (method, path))?;
                if let Some(body) = body {
                    // The library may write the members in another order.
                    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
                    same(json(request.text()), json(body))?;
                    if request.text() == body {
                        let digest = expected["body_md5"].as_str().map(str::to_owned);
                        same(parameter(&request, "body_md5"), digest.or(Some(signature::md5_hex(body.as_bytes()))))?;
                    }
                }
                // The string to sign is that of the vector except for the time, and the URL has its parameters.
                let unsigned: Vec<(String, String)> = signature::parameters(request.query())?
                    .into_iter()
                    .filter(|(name, _)| name != "auth_signature")
                    .map(|(name, value)| {
                        let moment = name == "auth_timestamp" && inputs.get("timestamp").is_some();
                        let value = if moment { inputs["timestamp"].to_string() } else { value };
                        (name, value)
                    })
                    .collect();
                let query = signature::query_to_sign(borrowed(&unsigned));
                if inputs.get("timestamp").is_some() && body.is_none_or(|body| body == request.text()) {
                    same(&query, &query_of(inputs))?;
                    let string = format!("{method}\n{path}\n{query}");
                    let made = signature::hmac_hex(secret.as_bytes(), string.as_bytes());
                    let given = expected["auth_signature"].as_str().map(str::to_owned);
                    let url = expected["url"].as_str();
                    let given = given.or_else(|| {
                        let (_, query) = url?.split_once('?')?;
                        signature::parameters(query)
                            .ok()?
                            .into_iter()
                            .find(|(name, _)| name == "auth_signature")
                            .map(|(_, v)| v)
                    });
                    same(Some(made), given)?;
                }
                if let Some(url) = expected["url"].as_str() {
                    same(request.url.split('?').next(), url.split('?').next())?;
                }
            }
            Ok(())
        }
        "query_string_to_sign" => {
            let mut params = inputs["params"].as_object().unwrap().clone();
            let taken = ["auth_key", "auth_timestamp", "auth_version"].map(|name| params.remove(name));
            let key = taken[0].as_ref().and_then(Value::as_str).unwrap_or("k");
            let request = prepared(
                &client("1", key, "s", json!({}))?,
                "get",
                &[Some("/x"), Some(&Value::from(params.clone()).to_string())],
            )?;
            request.verify(key, "s")?;
            let string = text(expected, "string").split('\n').next_back().unwrap().replace("<ts>", "0");
            let own: Vec<(String, String)> = signature::parameters(request.query())?
                .into_iter()
                .filter(|(name, _)| params.contains_key(name) || (name == "auth_key" && taken[0].is_some()))
                .collect();
            same(signature::query_to_sign(borrowed(&own)), string)
        }
        // Webhook validation accepts any HMAC: with the right signature it reports another error, or none.
        "hmac_sha256_hex" => {
            let client = client("1", "k", need("secret"), json!({}))?;
            let (body, hex) = (need("message").as_bytes(), text(expected, "hex"));
            let outcome = client.webhook(Some(b"k"), Some(hex.as_bytes()), body);
            same((outcome.name(), &*outcome.text("argument")), ("WEBHOOK_INVALID", "body"))?;
            let outcome = client.webhook(Some(b"k"), Some(hex.as_bytes()), &[body, b" "].concat());
            same(&*outcome.text("argument"), "signature")
        }
        "md5_hex" => {
            let request = prepared(&any()?, "post", &[Some("/x"), None, Some(need("data"))])?;
            same(parameter(&request, "body_md5").as_deref(), expected["hex"].as_str())
        }
        "channel_auth" => {
            let more = input("master_key_base64").map_or(json!({}), |key| json!({"encryption_master_key_base64": key}));
            let client = client("1", need("key"), need("secret"), more)?;
            let data = input("channel_data");
            let answer = called(&client, "authenticate", &[Some(need("channel")), Some(need("socket_id")), data])?;
            same((&answer["auth"], answer["channel_data"].as_str()), (&expected["auth"], data))?;
            same(&answer["shared_secret"], &expected["shared_secret"])?;
            expected["response_json"].as_str().map_or(Ok(()), |json| same(answer, serde_json::from_str(json).unwrap()))
        }
        "user_auth" => {
            let client = client("1", need("key"), need("secret"), json!({}))?;
            let answer = called(&client, "authenticate_user", &[Some(need("socket_id")), Some(need("user_data"))])?;
            same(&answer, &json!({"auth": expected["auth"], "user_data": inputs["user_data"]}))?;
            expected["response_json"].as_str().map_or(Ok(()), |json| same(answer, serde_json::from_str(json).unwrap()))
        }
        "webhook" => {
            let (key, secret) = (need("app_key"), need("app_secret"));
            // As the application's own key, and as a webhook token.
            let tokens = json!([{"key": "x", "secret": "y"}, {"key": key, "secret": secret}]);
            let lax = |more: Value| {
                let mut all = json!({"webhook_max_age_ms": 0});
                all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                all
            };
            for client in [
                client("1", key, secret, lax(json!({})))?,
                client("1", "other", "other", lax(json!({"webhook_tokens": tokens})))?,
            ] {
                let given = (need("x_pusher_key"), need("x_pusher_signature"), need("body"));
                let outcome = client.webhook(Some(given.0.as_bytes()), Some(given.1.as_bytes()), given.2.as_bytes());
                same(outcome.name(), if valid { "OK" } else { "WEBHOOK_INVALID" })?;
                if valid {
                    same(outcome.document.as_deref(), Some(given.2))?;
                }
            }
            Ok(())
        }
        // At another time: only the age matters.
        "webhook_time" => {
            let (key, secret) = (need("app_key"), need("app_secret"));
            let client = client("1", key, secret, json!({"webhook_max_age_ms": inputs["max_skew_ms"]}))?;
            let body: Value = serde_json::from_str(need("body")).unwrap();
            let ago = inputs["now_s"].as_u64().unwrap() * 1000 - body["time_ms"].as_u64().unwrap();
            let body = json!({"time_ms": now_ms() - ago}).to_string();
            let signature = signature::hmac_hex(secret.as_bytes(), body.as_bytes());
            let outcome = client.webhook(Some(key.as_bytes()), Some(signature.as_bytes()), body.as_bytes());
            same(outcome.name(), if valid { "OK" } else { "WEBHOOK_INVALID" })
        }
        "validate_channel" => validity(prepared(&any()?, "trigger", &[Some(need("channel")), Some("e"), Some("1")])),
        "validate_user_id" => {
            validity(prepared(&any()?, "terminate_user_connections", &[Some(need("user_id"))]))?;
            validity(prepared(&any()?, "send_to_user", &[Some(need("user_id")), Some("e"), Some("1")]))
        }
        "validate_socket_id" => {
            let options = json!({"socket_id": inputs["socket_id"]}).to_string();
            validity(prepared(&any()?, "trigger", &[Some("c"), Some("e"), Some("1"), Some(&options)]))?;
            let signed = called(&any()?, "authenticate", &[Some("private-c"), Some(need("socket_id"))]);
            same(signed.is_ok(), valid)?;
            let signed = called(&any()?, "authenticate_user", &[Some(need("socket_id")), Some(r#"{"id":"1"}"#)]);
            same(signed.is_ok(), valid)
        }
        "is_encrypted_channel" => {
            let channel = need("channel");
            let with_key = client("1", "k", "s", json!({"encryption_master_key_base64": calls::base64(&[1; 32])}))?;
            let request = prepared(&with_key, "trigger", &[Some(channel), Some("e"), Some(r#""plain""#)]);
            let encrypted = expected["result"] == true;
            // Nothing is sent for an invalid name.
            same(request.is_ok_and(|request| request.text().contains("ciphertext")), encrypted)?;
            if channel.starts_with("private-") {
                let answer = called(&with_key, "authenticate", &[Some(channel), Some("1.1")])?;
                same(answer.get("shared_secret").is_some(), encrypted)?;
            }
            let outcome = any()?.trigger(channel, "e", "1");
            same(outcome.name() == "ENCRYPTION", encrypted)
        }
        "master_key_base64" => {
            let made =
                client("1", "k", "s", json!({"encryption_master_key_base64": need("encryption_master_key_base64")}));
            let Some(hex) = expected["key_hex"].as_str() else { return same(made.is_err(), true) };
            let answer = called(&made?, "authenticate", &[Some("private-encrypted-a"), Some("1.1")])?;
            let secret = calls::base64(&channel_key("private-encrypted-a", &from_hex(hex)));
            same(answer["shared_secret"].as_str(), Some(&secret))
        }
        "shared_secret" => {
            let key = calls::base64(&from_hex(need("master_key_hex")));
            let client = client("1", "k", "s", json!({"encryption_master_key_base64": key}))?;
            let answer = called(&client, "authenticate", &[Some(need("channel")), Some("1.1")])?;
            same(answer["shared_secret"].as_str(), expected["base64"].as_str())
        }
        "encrypt" | "encrypted_payload_json" => {
            let key = input("master_key_utf8").map_or([1; 32].to_vec(), |key| key.as_bytes().to_vec());
            let client = client("1", "k", "s", json!({"encryption_master_key_base64": calls::base64(&key)}))?;
            let channel = input("channel").unwrap_or("private-encrypted-a");
            let request = prepared(&client, "trigger", &[Some(channel), Some("e"), Some("1")])?;
            let body: Value = serde_json::from_str(request.text()).unwrap();
            let data = body["data"].as_str().unwrap();
            let Ok(sealed) = serde_json::from_str::<Value>(data) else { return Err("it is not encrypted".to_owned()) };
            if sealed.get("nonce").is_none() {
                return Err("it is not encrypted".to_owned());
            }
            // The result has these two members, in this order.
            let form = format!(r#"{{"nonce":{},"ciphertext":{}}}"#, sealed["nonce"], sealed["ciphertext"]);
            same(data, &form)
        }
        "decrypt" => {
            let key = calls::base64(need("master_key_utf8").as_bytes());
            let client = client("1", "k", "s", json!({"encryption_master_key_base64": key, "webhook_max_age_ms": 0}))?;
            let event = json!({"name": "client_event", "channel": need("channel"), "data": need("payload")});
            let body = json!({"events": [event]}).to_string();
            let outcome = client.webhook(
                Some(b"k"),
                Some(signature::hmac_hex(b"s", body.as_bytes()).as_bytes()),
                body.as_bytes(),
            );
            let answer: Value = serde_json::from_str(&outcome.document.unwrap()).unwrap();
            same(answer["events"][0].get("decryption_error").is_some(), expected["error"] == true)?;
            expected["plaintext"]
                .as_str()
                .map_or(Ok(()), |plain| same(answer["events"][0]["data"].as_str(), Some(plain)))
        }
        "from_url" => {
            let made = Client::try_new(Some(need("url").as_bytes()));
            if expected["error"] == true {
                return same(made.err().map(|outcome| outcome.name()), Some("INVALID_CONFIG"));
            }
            let client = made.map_err(|outcome| format!("{outcome:?}"))?;
            let request = prepared(&client, "channels_info", &[])?;
            let port = expected["port"].as_u64().map(|port| format!(":{port}")).unwrap_or_default();
            let (scheme, host, app_id) = (text(expected, "scheme"), text(expected, "host"), text(expected, "app_id"));
            same(request.url.split('?').next(), Some(&*format!("{scheme}://{host}{port}/apps/{app_id}/channels")))?;
            request.verify(text(expected, "key"), text(expected, "secret"))
        }
        "host" => {
            let mut all = json!({"app_id": "1", "key": "k", "secret": "s"});
            all.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
            let client = Client::try_new(Some(all.to_string().as_bytes())).map_err(|outcome| format!("{outcome:?}"))?;
            let url = prepared(&client, "channels_info", &[])?.url;
            same(url.split('/').nth(2), expected["host"].as_str())
        }
        "request_body" => {
            let (app_id, _) = split_path(need("path"))?;
            let request = prepared(
                &client(app_id, "k", "s", json!({}))?,
                "trigger_batch",
                &[Some(&inputs["events"].to_string())],
            )?;
            same((request.path(), request.text()), (need("path"), text(expected, "body")))
        }
        "request_body_json" => {
            let (app_id, _) = split_path(need("path"))?;
            let data = inputs["data"].to_string();
            let texts = [Some(need("user_id")), Some(need("event")), Some(&*data)];
            let request = prepared(&client(app_id, "k", "s", json!({}))?, "send_to_user", &texts)?;
            let body: Value = serde_json::from_str(request.text()).unwrap();
            same((request.path(), &body), (need("path"), &expected["json"]))
        }
        "request_path" => {
            let client = client(need("app_id"), "k", "s", json!({}))?;
            let request = prepared(&client, "terminate_user_connections", &[Some(need("user_id"))])?;
            let wanted = (text(expected, "method"), text(expected, "path"), text(expected, "body"));
            same((request.method.as_str(), request.path(), request.text()), wanted)
        }
        "response_parse" => {
            let client = any()?;
            for name in ["channels_info", "get", "users_info", "channel_info"] {
                let function = Function::named(name);
                let texts: Vec<Option<&str>> = function.arguments.iter().map(|argument| Some(argument.good)).collect();
                let request = client.prepare(name, &texts);
                let reply = Reply::new();
                reply.set(inputs["status"].as_i64().unwrap() as i32, need("body").as_bytes());
                let outcome = client.finish(&request, &reply);
                same(outcome.document.as_deref(), Some(need("body")))?;
                same(&serde_json::from_str::<Value>(need("body")).unwrap(), expected)?;
            }
            Ok(())
        }
        other => Err(format!("unknown kind of vector: {other}")),
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_library_agrees_with_every_vector_that_is_not_listed_as_different() {
    let all: Vec<Value> = serde_json::from_str(include_str!("../vectors/peers.json")).unwrap();
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for vector in &all {
        let id = text(vector, "id");
        let different = DIFFERENT.iter().find(|(other, _)| *other == id);
        let (held, not) = kinds.entry(text(vector, "kind")).or_default();
        match (holds(vector), different) {
            (Ok(()), None) => *held += 1,
            (Err(_), Some(_)) => *not += 1,
            (Err(why), None) => wrong.push(format!("{id}: {why}")),
            (Ok(()), Some((_, reason))) => wrong.push(format!("{id} holds, though it {reason}")),
        }
    }
    for (kind, (held, not)) in &kinds {
        println!("{kind:24} {held:3} hold, {not} are different");
    }
    for (id, reason) in DIFFERENT {
        println!("different: {id:40} {reason}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let expected = [
        ("channel_auth", (11, 1)),
        ("decrypt", (0, 2)),
        ("encrypt", (0, 1)),
        ("encrypted_payload_json", (1, 0)),
        ("from_url", (7, 0)),
        ("hmac_sha256_hex", (14, 0)),
        ("host", (5, 0)),
        ("is_encrypted_channel", (10, 0)),
        ("master_key_base64", (8, 0)),
        ("md5_hex", (1, 2)),
        ("query_string_to_sign", (1, 4)),
        ("request_body", (2, 0)),
        ("request_body_json", (1, 0)),
        ("request_body_md5", (10, 0)),
        ("request_path", (1, 0)),
        ("request_signature", (9, 6)),
        ("request_url", (3, 0)),
        ("response_parse", (2, 0)),
        ("shared_secret", (1, 3)),
        ("user_auth", (8, 0)),
        ("validate_channel", (15, 1)),
        ("validate_socket_id", (16, 0)),
        ("validate_user_id", (8, 0)),
        ("webhook", (15, 0)),
        ("webhook_time", (2, 0)),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
}

/// Reads a file of vectors. scripts/torture/vectors.sh has others, with faults, which must be found.
fn published(name: &str) -> String {
    let folder = std::env::var("VECTORS").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors").to_owned());
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

/// Validates a webhook with the key, message and code of a vector, and returns whether the code is right.
fn is_verified(secret: &str, message: &[u8], code: &str) -> bool {
    let outcome = client("1", "k", secret, json!({})).unwrap().webhook(Some(b"k"), Some(code.as_bytes()), message);
    // The body of an authentic webhook is read, and these are no JSON.
    let argument = outcome.text("argument");
    outcome.is("WEBHOOK_INVALID", "").naming(if argument == "body" { "body" } else { "signature" });
    argument == "body"
}

#[test]
fn webhooks_verify_the_codes_of_rfc_4231() {
    let file = published("rfc4231-hmac-sha256.txt");
    let mut verified = 0;
    for record in file.split("\n\n") {
        let value = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        let (Some(key), Some(message), Some(code)) = (value("Key"), value("Msg"), value("MD")) else { continue };
        // A secret is a string without white space at its ends; src/signing.rs has the other keys.
        let Ok(secret) = String::from_utf8(from_hex(key)) else { continue };
        if secret != secret.trim() {
            continue;
        }
        let message = from_hex(message);
        assert!(is_verified(&secret, &message, code), "{record}");
        assert!(!is_verified(&secret, &message, &code[..32]), "half of the code: {record}");
        verified += 1;
    }
    assert_eq!(verified, 2);
}

#[test]
fn webhooks_refuse_what_wycheproof_calls_invalid() {
    let file: Value = serde_json::from_str(&published("wycheproof-hmac-sha256.json")).unwrap();
    let mut refused = 0;
    for group in file["testGroups"].as_array().unwrap() {
        for vector in group["tests"].as_array().unwrap() {
            // All invalid codes have a key that is a string, and no valid one has.
            let Ok(secret) = String::from_utf8(from_hex(text(vector, "key"))) else { continue };
            assert_eq!(vector["result"], "invalid");
            assert!(!is_verified(&secret, &from_hex(text(vector, "msg")), text(vector, "tag")), "{vector}");
            refused += 1;
        }
    }
    assert_eq!(refused, 108);
}
