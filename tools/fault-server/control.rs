//! The control port: HTTP for curl and for test programs.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::catalogue::{self, Fault};
use super::connection::Connection;
use super::http::{self, Head};
use super::listener::{Draw, Order, World};
use super::script::Params;

/// The longest accepted body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// The longest wait for events.
const MAX_WAIT_MS: u64 = 600_000;

/// The answer to any other request.
const ROUTES: &str =
    "GET /faults, POST /listen, GET, PUT or DELETE /listen/PORT, GET or DELETE /listen/PORT/events, GET /stats";

/// A status and a message.
type Refusal = (u16, String);

/// Serves the control port without end.
pub fn serve(control: &TcpListener, world: &Arc<World>) {
    for client in control.incoming().flatten() {
        let world = Arc::clone(world);
        thread::spawn(move || converse(client, &world));
    }
}

fn converse(client: TcpStream, world: &World) -> io::Result<()> {
    client.set_nodelay(true)?;
    let client = Arc::new(client);
    let mut connection = Connection::plain(Arc::clone(&client));
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            match parse(&bytes) {
                Some(Ok(head)) if bytes.len() >= head.whole_length() => break Ok(head),
                Some(Err(why)) => break Err(why),
                _ => {}
            }
            if connection.read(&mut bytes, usize::MAX)? == 0 {
                return Ok(());
            }
        };
        let (status, body) = match &head {
            Err(why) => (400, json!({"error": why})),
            Ok(head) => match act(world, head, &bytes[head.length..head.whole_length()]) {
                Ok(value) => (200, value),
                Err((status, why)) => (status, json!({"error": why})),
            },
        };
        (&*client).write_all(&http::json_answer(status, &format!("{body}\n")))?;
        let Ok(head) = head else { return Ok(()) };
        bytes.drain(..head.whole_length());
    }
}

/// Reads a head with any method, unlike the Channels API.
fn parse(bytes: &[u8]) -> Option<Result<Head, String>> {
    let head = Head::parse_any(bytes)?;
    Some(head.and_then(|head| if head.body_length > MAX_BODY { Err("too long".to_owned()) } else { Ok(head) }))
}

fn act(world: &World, head: &Head, body: &[u8]) -> Result<Value, Refusal> {
    let path: Vec<&str> = head.path().split('/').skip(1).collect();
    let port = |text: &str| text.parse::<u16>().map_err(|_| (404, format!("{text:?} is not a port")));
    let known = |known: bool| if known { Ok(json!({})) } else { Err((404, "there is no such listener".to_owned())) };
    match (head.method.as_str(), &path[..]) {
        ("GET", ["faults"]) => Ok(catalogue::all().iter().map(Fault::to_json).collect()),
        ("GET", ["stats"]) => Ok(world.totals()),
        ("POST", ["listen"]) => world.listen(order(body)?).map_err(|error| (500, error.to_string())),
        ("GET", ["listen", text]) => {
            let from = head.query().strip_prefix("from=").map_or(Ok(0), str::parse);
            let from = from.map_err(|_| (400, "from is a number".to_owned()))?;
            world.ledger(port(text)?, from).ok_or_else(|| (404, "there is no such listener".to_owned()))
        }
        ("PUT", ["listen", text]) => {
            let order = order(body)?;
            if let Some((fault, _)) = order.faults.iter().find(|(_, script)| script.needs_its_own_listener()) {
                return Err((400, format!("{} needs a listener of its own", fault.name)));
            }
            if let Some((fault, _)) = order.faults.iter().find(|(fault, _)| fault.proxy) {
                return Err((400, format!("{} needs a proxy of its own", fault.name)));
            }
            known(world.rearm(port(text)?, order))
        }
        ("GET", ["listen", text, "events"]) => {
            let port = port(text)?;
            let (count, patience) = wait(head.query()).map_err(|why| (400, why))?;
            let deadline = Instant::now() + patience;
            world.record(port, count, deadline).ok_or_else(|| (404, "there is no such listener".to_owned()))
        }
        ("DELETE", ["listen", text, "events"]) => known(world.clear(port(text)?)),
        ("DELETE", ["listen", text]) => known(world.close(port(text)?)),
        _ => Err((404, ROUTES.to_owned())),
    }
}

/// Reads the number of events to wait for, and how long.
fn wait(query: &str) -> Result<(usize, Duration), String> {
    let (mut count, mut milliseconds) = (0, 0);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number: u64 = value.parse().map_err(|_| format!("{name} is a number"))?;
        match name {
            "count" => count = usize::try_from(number).map_err(|_| "count is too large")?,
            "timeout_ms" if number <= MAX_WAIT_MS => milliseconds = number,
            "timeout_ms" => return Err(format!("timeout_ms is at most {MAX_WAIT_MS}")),
            _ => return Err(format!("{name:?} is none of count, timeout_ms")),
        }
    }
    Ok((count, Duration::from_millis(milliseconds)))
}

/// Reads the body of POST and PUT.
fn order(body: &[u8]) -> Result<Order, Refusal> {
    understood(body).map_err(|why| (400, why))
}

fn understood(body: &[u8]) -> Result<Order, String> {
    const KEYS: [&str; 7] = ["fault", "params", "tls", "warm", "times", "verify", "mix"];
    let asked: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| format!("the body is not a JSON object: {error}"))?;
    if let Some(key) = asked.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("{key:?} is none of {}", KEYS.join(", ")));
    }
    let flag = |name: &str, default| match asked.get(name) {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| format!("{name} is true or false")),
    };
    let number = |name: &str, default| match asked.get(name) {
        None => Ok(default),
        Some(value) => value.as_u64().ok_or_else(|| format!("{name} is a number")),
    };
    let nothing = json!({});
    let params = asked.get("params").unwrap_or(&nothing).as_object().ok_or("params is an object")?;
    let tls = flag("tls", false)?;
    let mut draw = None;
    let faults: Vec<&'static Fault> = match (asked.get("fault"), asked.get("mix")) {
        (Some(name), None) => match name.as_str().ok_or("fault is a name")? {
            "none" => Vec::new(),
            name => vec![catalogue::find(name)?],
        },
        (None, Some(mix)) => {
            let number = |name: &str| mix[name].as_u64().filter(|n| *n > 0).ok_or(format!("mix.{name} is 1 or more"));
            draw = Some(Draw { seed: number("seed")?, one_in: number("one_in")? });
            let names = mix["faults"].as_array().filter(|names| !names.is_empty()).ok_or("mix.faults is a list")?;
            names.iter().map(|name| catalogue::find(name.as_str().unwrap_or_default())).collect::<Result<_, _>>()?
        }
        _ => return Err("either fault or mix".to_owned()),
    };
    if faults.iter().any(|fault| fault.proxy) && faults.iter().any(|fault| !fault.proxy) {
        return Err("a proxy's faults and a server's do not mix".to_owned());
    }
    let faults = faults.into_iter().map(|fault| fault.script(params, tls).map(|script| (fault, Arc::new(script))));
    Ok(Order {
        faults: faults.collect::<Result<_, String>>()?,
        draw,
        tls,
        warm: number("warm", 0)?,
        times: Some(number("times", 1)?).filter(|times| *times > 0),
        verifies: flag("verify", true)?,
    })
}

impl Fault {
    /// Returns the script of the fault with these parameters.
    fn script(&self, params: &Map<String, Value>, tls: bool) -> Result<super::script::Script, String> {
        if !(if tls { self.tls } else { self.plain }) {
            return Err(format!("{} does not exist {} TLS", self.name, if tls { "with" } else { "without" }));
        }
        let params = Params::new(&self.params, params).map_err(|why| format!("{}: {why}", self.name))?;
        Ok((self.behaviour)(&params))
    }
}
