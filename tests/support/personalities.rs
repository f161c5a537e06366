//! Servers that cannot run here, as their sources have them: routes, statuses, bodies, and what happens to the connection.
//!
//! Only what docs/servers.md states is imitated.

use serde_json::{Value, json};

use super::APP_ID;
use super::calls::Client;
use super::server::{Answer, End, Received, Server};

/// A server that answers as another one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personality {
    /// Laravel Reverb.
    Reverb,
    /// beyondcode/laravel-websockets.
    LaravelWebsockets,
    /// Poxa.
    Poxa,
    /// Slanger.
    Slanger,
    /// The Pusher protocol adapter of Ably.
    Ably,
}

/// The most bytes of a request that Reverb reads, with its head.
pub const REVERB_REQUEST_BYTES: usize = 10_000;

/// The most bytes of `data` that Poxa takes.
const POXA_DATA_BYTES: usize = 10_000;

/// The routes of the HTTP API.
enum Route<'a> {
    Events,
    BatchEvents,
    Channels,
    Channel,
    Users,
    Terminate,
    Other(&'a str),
}

impl Personality {
    /// All of them.
    pub const ALL: [Personality; 5] = [
        Personality::Reverb,
        Personality::LaravelWebsockets,
        Personality::Poxa,
        Personality::Slanger,
        Personality::Ably,
    ];

    /// The value of `server`.
    pub fn name(self) -> &'static str {
        match self {
            Personality::Reverb => "reverb",
            Personality::LaravelWebsockets => "laravel-websockets",
            Personality::Poxa => "poxa",
            Personality::Slanger => "slanger",
            Personality::Ably => "ably",
        }
    }

    /// Starts a server.
    pub fn start(self) -> Server {
        Server::builder().answering(move |request| self.answer(request)).start()
    }

    /// Returns a client of such a server, which knows the server's kind, with more configuration.
    #[track_caller]
    pub fn client_with(self, server: &Server, more: Value) -> Client {
        let mut config = json!({"server": self.name()});
        let Value::Object(more) = more else { panic!("more configuration has to be an object") };
        config.as_object_mut().unwrap().extend(more);
        server.client_with(config)
    }

    /// Returns a client of such a server, which knows the server's kind.
    #[track_caller]
    pub fn client(self, server: &Server) -> Client {
        self.client_with(server, json!({}))
    }

    /// Returns the response to a request.
    pub fn answer(self, request: &Received) -> Answer {
        let path = request.path();
        let (app_id, rest) = path.split_once("/apps/").and_then(|(_, rest)| rest.split_once('/')).unwrap_or_default();
        let parts: Vec<&str> = rest.split('/').collect();
        let route = match parts[..] {
            ["events"] => Route::Events,
            ["batch_events"] => Route::BatchEvents,
            ["channels"] => Route::Channels,
            ["channels", _] => Route::Channel,
            ["channels", _, "users"] => Route::Users,
            ["users", _, "terminate_connections"] => Route::Terminate,
            _ => Route::Other(rest),
        };
        match self {
            Personality::Reverb => reverb(request, app_id, &route),
            Personality::LaravelWebsockets => laravel_websockets(request, app_id, &route),
            Personality::Poxa => poxa(request, &route),
            Personality::Slanger => slanger(request, &route),
            Personality::Ably => ably(request, &route),
        }
    }
}

/// Returns the `data` of each event of a request.
fn data(request: &Received) -> Vec<String> {
    let body = request.json();
    let events = body["batch"].as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
    events.iter().map(|event| event["data"].as_str().expect("data is a string").to_owned()).collect()
}

/// A response that ends with its connection: without a length.
fn until_the_end(status_line: &str, content_type: &str, body: &str) -> Answer {
    Answer::raw(format!("{status_line}\r\nContent-Type: {content_type}\r\n\r\n{body}")).then(End::Close)
}

/// Reverb closes every connection after its response. A success is HTTP/1.0, an error has no length.
fn reverb(request: &Received, app_id: &str, route: &Route<'_>) -> Answer {
    let error = |status: &str, text: &str| until_the_end(&format!("HTTP/1.1 {status}"), "text/plain", text);
    let json = |status: &str, body: &str| {
        let head = "Content-Type: application/json\r\nCache-Control: no-cache, private";
        Answer::raw(format!("HTTP/1.0 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
            .then(End::Close)
    };
    // Before it looks at anything else.
    if request.head.len() + 4 + request.body.len() > REVERB_REQUEST_BYTES {
        return error("413 Payload Too Large", "Payload too large.");
    }
    let is_known = !matches!(route, Route::Other(path) if *path != "connections");
    let posts = matches!(route, Route::Events | Route::BatchEvents | Route::Terminate);
    if !is_known {
        return error("404 Not Found", "Not found.");
    }
    if (request.method() == "POST") != posts {
        return error("405 Method Not Allowed", "Method now allowed");
    }
    if app_id != APP_ID {
        return error("404 Not Found", &format!("No matching application for ID [{app_id}]."));
    }
    match route {
        Route::Events | Route::BatchEvents => {
            let is_batch = matches!(route, Route::BatchEvents);
            let blank = data(request).iter().position(|data| data.trim().is_empty());
            match (blank, is_batch) {
                (None, false) => json("200 OK", "{}"),
                (None, true) => json("200 OK", r#"{"batch":{}}"#),
                (Some(_), false) => json("422 Unprocessable Content", r#"{"data":["The data field is required."]}"#),
                (Some(index), true) => {
                    let name = format!("batch.{index}.data");
                    let errors = json!({&name: [format!("The {name} field is required.")]});
                    json("422 Unprocessable Content", &errors.to_string())
                }
            }
        }
        Route::Terminate => json("200 OK", "{}"),
        Route::Channels => json("200 OK", r#"{"channels":{}}"#),
        Route::Channel => json("200 OK", r#"{"occupied":false}"#),
        Route::Users => json("200 OK", r#"{"users":[]}"#),
        Route::Other(_) => json("200 OK", r#"{"connections":0}"#),
    }
}

/// laravel-websockets closes every connection after its response, which has no length.
fn laravel_websockets(request: &Received, app_id: &str, route: &Route<'_>) -> Answer {
    let json = |body: &str| until_the_end("HTTP/1.0 200 OK", "application/json", body);
    let body = match (request.method(), route) {
        ("POST", Route::Events) => "{}",
        ("GET", Route::Channels) => r#"{"channels":{}}"#,
        ("GET", Route::Channel) => r#"{"occupied":true,"subscription_count":1}"#,
        ("GET", Route::Users) => r#"{"users":[]}"#,
        _ => return Answer::raw("HTTP/1.1 404 Not Found\r\nX-Powered-By: Ratchet/0.4.4\r\n\r\n").then(End::Close),
    };
    match app_id == APP_ID {
        true => json(body),
        false => {
            let error = json!({"error": format!("Unknown app id `{app_id}` provided.")});
            until_the_end("HTTP/1.1 401 Unauthorized", "application/json", &error.to_string())
        }
    }
}

/// Poxa keeps connections, and has four routes.
fn poxa(request: &Received, route: &Route<'_>) -> Answer {
    match (request.method(), route) {
        ("POST", Route::Events) if data(request).iter().any(|data| data.len() > POXA_DATA_BYTES) => {
            Answer::new(413, &[], r#"{"error":"Data key must be smaller than 10000B"}"#)
        }
        ("POST", Route::Events) => Answer::ok("{}"),
        ("GET", Route::Channels) => Answer::ok(r#"{"channels":{}}"#),
        ("GET", Route::Channel) => Answer::ok(r#"{"occupied":false,"subscription_count":0}"#),
        ("GET", Route::Users) => Answer::ok(r#"{"users":[]}"#),
        (_, Route::Events | Route::Channels | Route::Channel | Route::Users) => {
            Answer::new(405, &[("Allow", "POST")], "")
        }
        _ => Answer::new(404, &[], ""),
    }
}

/// Slanger only publishes. It reads the body before it looks for the route.
fn slanger(request: &Received, route: &Route<'_>) -> Answer {
    let text = |status: u16, body: &str| Answer::new(status, &[("Content-Type", "text/html;charset=utf-8")], body);
    match (request.method(), route) {
        ("GET", _) => text(400, "400 Bad Request"),
        (_, Route::Events) => text(202, "{}"),
        (_, Route::Other(path)) if path.starts_with("channels/") && path.ends_with("/events") => text(202, "{}"),
        _ => text(404, "<h1>Not Found</h1>"),
    }
}

/// Ably's adapter publishes, lists channels, and shows the members of a presence channel.
fn ably(request: &Received, route: &Route<'_>) -> Answer {
    let json = |body: &str| Answer::new(200, &[("Content-Type", "application/json")], body);
    match (request.method(), route) {
        ("POST", Route::Events) => json("{}"),
        ("GET", Route::Channels) => json(r#"{"channels":{}}"#),
        ("GET", Route::Channel) => json(r#"{"occupied":true,"user_count":1}"#),
        ("GET", Route::Users) => json(r#"{"users":[]}"#),
        _ => Answer::new(404, &[("Content-Type", "application/json")], r#"{"error":{"code":40400,"statusCode":404}}"#),
    }
}
