//! A Channels server that fails on request: by the name of a fault, at the requested moment, with a ledger of what it did.
//!
//! It shares no code with the library, and can test any client of the Channels API. See README.md in this folder.

mod catalogue;
mod channels;
mod connection;
mod control;
#[path = "../../tests/support/ending.rs"]
mod ending;
mod exchange;
mod http;
mod ledger;
mod listener;
mod proxy;
mod script;
#[allow(dead_code)]
#[path = "../../tests/support/signature.rs"]
mod signature;
mod tls;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, thread};

use serde_json::json;

fn main() -> ExitCode {
    match port().and_then(|port| run(port).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("fault-server: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The requested control port, or 0.
fn port() -> Result<u16, String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(0),
        ["--port", port] => port.parse().map_err(|_| format!("{port:?} is not a port")),
        _ => Err("usage: fault-server [--port N]".to_owned()),
    }
}

/// Serves until standard input ends, so that it ends with the process that started it.
fn run(port: u16) -> io::Result<()> {
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let authorities = Arc::new(tls::Authorities::new()?);
    let ready = json!({
        "control": control.local_addr()?.port(),
        "ca": authorities.file(),
        "key": channels::KEY,
        "secret": channels::SECRET,
    });
    let world = Arc::new(listener::World::new(Arc::clone(&authorities)));
    thread::spawn(move || control::serve(&control, &world));
    writeln!(io::stdout(), "{ready}")?;
    io::stdout().flush()?;
    let mut ignored = [0; 1024];
    while io::stdin().read(&mut ignored)? > 0 {}
    authorities.remove();
    Ok(())
}
