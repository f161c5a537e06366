//! The catalogue of faults, as data. `script` defines what the data means.

mod answer;
mod connection;
mod proxy;
mod request;
mod status;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::script::{Params, Script};

/// When a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the connection.
    Connect,
    /// On connecting.
    Accept,
    /// In the TLS handshake, or directly after it.
    Handshake,
    /// During the request.
    Request,
    /// After the request.
    AfterRequest,
    /// During the response.
    Answer,
    /// In the status of the response.
    Status,
    /// After the response.
    AfterAnswer,
    /// In a proxy.
    Proxy,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::Accept => "accept",
            Phase::Handshake => "handshake",
            Phase::Request => "request",
            Phase::AfterRequest => "after request",
            Phase::Answer => "answer",
            Phase::Status => "status",
            Phase::AfterAnswer => "after answer",
            Phase::Proxy => "proxy",
        }
    }
}

/// The faults besides the silent ones whose response never ends or never begins.
const ENDLESS: [&str; 5] =
    ["black-hole", "endless-interim", "endless-trailer", "tls-old-version", "proxy-granted-extra"];

/// The faults whose response comes before the request.
const LYING: [&str; 3] = ["unasked-answer", "early-200", "early-200-rst"];

/// A named fault.
pub struct Fault {
    /// Its name.
    pub name: String,
    phase: Phase,
    what: String,
    honest: &'static str,
    /// Parameters with their defaults.
    pub params: Map<String, Value>,
    /// Whether it exists with TLS.
    pub tls: bool,
    /// Whether it exists without.
    pub plain: bool,
    /// Whether it can happen on a reused connection.
    reused: bool,
    /// Whether it is a fault of a proxy, not of a server.
    pub proxy: bool,
    /// Whether it cannot be counted: it lasts until its listener is closed.
    forever: bool,
    /// Whether a client waits until its deadline.
    waits: bool,
    /// Whether the server reports a success before it has the request, which no client can detect.
    lies: bool,
    /// Its behaviour.
    pub behaviour: Box<dyn Fn(&Params) -> Script + Send + Sync>,
}

impl Fault {
    fn new(
        phase: Phase,
        name: &str,
        what: &str,
        honest: &'static str,
        behaviour: impl Fn(&Params) -> Script + Send + Sync + 'static,
    ) -> Fault {
        Fault {
            name: name.to_owned(),
            what: what.to_owned(),
            phase,
            honest,
            params: Map::new(),
            tls: true,
            plain: phase != Phase::Handshake,
            reused: !matches!(phase, Phase::Connect | Phase::Accept | Phase::Handshake | Phase::Proxy),
            proxy: phase == Phase::Proxy,
            forever: phase == Phase::Connect,
            waits: name.contains("silence") || ENDLESS.contains(&name),
            lies: LYING.contains(&name),
            behaviour: Box::new(behaviour),
        }
    }

    /// Sets its parameters.
    fn with(mut self, params: Value) -> Fault {
        if let Value::Object(params) = params {
            self.params.extend(params);
        }
        self
    }

    fn tls_only(self) -> Fault {
        Fault { plain: false, ..self }
    }

    fn plain_only(self) -> Fault {
        Fault { tls: false, ..self }
    }

    /// Returns its entry in `GET /faults`.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "phase": self.phase.name(),
            "what": self.what,
            "honest": self.honest,
            "params": self.params,
            "tls": self.tls,
            "plain": self.plain,
            "reused": self.reused,
            "proxy": self.proxy,
            "forever": self.forever,
            "waits": self.waits,
            "lies": self.lies,
        })
    }
}

/// Two faults: one loses the request, and one (`…-applied`) applies it and loses only the response.
fn lost_and_applied(
    phase: Phase,
    name: &str,
    what: &str,
    honest: &'static str,
    behaviour: impl Fn(&Params) -> Script + Clone + Send + Sync + 'static,
) -> [Fault; 2] {
    [(false, "", "Nothing is applied"), (true, "-applied", "All is applied")].map(|(applied, suffix, applies)| {
        let behaviour = behaviour.clone();
        let behaviour = move |params: &Params| behaviour(params).applies(params.applied());
        Fault::new(phase, &format!("{name}{suffix}"), &format!("{applies}. {what}"), honest, behaviour)
            .with(json!({"applied": applied}))
    })
}

/// Returns all faults, in the order of their phases.
pub fn all() -> &'static [Fault] {
    static ALL: LazyLock<Vec<Fault>> = LazyLock::new(|| {
        let mut all = Vec::new();
        connection::add(&mut all);
        request::add(&mut all);
        answer::add(&mut all);
        status::add(&mut all);
        proxy::add(&mut all);
        all
    });
    &ALL
}

/// Returns the fault with this name.
pub fn find(name: &str) -> Result<&'static Fault, String> {
    all().iter().find(|fault| fault.name == name).ok_or_else(|| format!("there is no fault {name:?}"))
}
