//! The catalogue of faults, as data. Each is a few lines; what they mean stands in `script`.

mod answer;
mod connection;
mod proxy;
mod request;
mod status;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::script::{Params, Script};

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before there is a connection.
    Connect,
    /// As soon as there is one.
    Accept,
    /// In the TLS handshake, or right behind it.
    Handshake,
    /// While the request comes in.
    Request,
    /// When the request is whole.
    AfterRequest,
    /// While it is answered.
    Answer,
    /// By the answer itself: its status.
    Status,
    /// Behind the answer.
    AfterAnswer,
    /// In a proxy on the way.
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

/// A fault by its name.
pub struct Fault {
    /// What it is called.
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
    /// Whether it can strike a connection that has carried a request before.
    reused: bool,
    /// Whether a proxy has it, and not a server.
    pub proxy: bool,
    /// Whether it can't be counted: it stays until its listener is closed.
    forever: bool,
    /// What it does.
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
            behaviour: Box::new(behaviour),
        }
    }

    /// With these parameters.
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

    /// As it stands in `GET /faults`.
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
        })
    }
}

/// A fault that comes twice: once the request is lost, and once (`…-applied`) it is applied and only the answer is.
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

/// All of them, in the order in which they strike.
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

/// The fault with this name.
pub fn find(name: &str) -> Result<&'static Fault, String> {
    all().iter().find(|fault| fault.name == name).ok_or_else(|| format!("there is no fault {name:?}"))
}
