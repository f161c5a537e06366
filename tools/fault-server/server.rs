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
mod system;
mod tls;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{self, Command, ExitCode};
use std::sync::Arc;
use std::{env, thread};

use serde_json::json;

use system::Signals;

const HELP: &str = "\
usage: pusher-testserver [--port N]                  serves until standard input ends, or until SIGTERM
       pusher-testserver [--port N] -- COMMAND…      serves while a command runs: PUSHER_URL is a listener,
                                                     PUSHER_TESTSERVER_URL its address on the control port
       pusher-testserver --faults | --help | --version
";

/// What the command line asks for.
enum Task {
    Serve { port: u16 },
    Run { port: u16, command: Vec<String> },
    Print(String),
}

fn main() -> ExitCode {
    let done = task(env::args().skip(1).collect()).and_then(|task| match task {
        Task::Print(text) => print(&text),
        Task::Serve { port } => serve(port),
        Task::Run { port, command } => run(port, &command),
    });
    done.unwrap_or_else(|why| {
        eprintln!("pusher-testserver: {why}");
        ExitCode::FAILURE
    })
}

fn task(arguments: Vec<String>) -> io::Result<Task> {
    let mut port = 0;
    let mut rest = &arguments[..];
    loop {
        match rest.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => return Ok(Task::Serve { port }),
            ["--", _, ..] => return Ok(Task::Run { port, command: rest[1..].to_vec() }),
            ["--port", number, ..] => {
                port = number.parse().map_err(|_| io::Error::other(format!("{number:?} is not a port")))?
            }
            ["--faults"] => return Ok(Task::Print(faults())),
            ["--help"] => return Ok(Task::Print(HELP.to_owned())),
            ["--version"] => return Ok(Task::Print(format!("pusher-testserver {}\n", env!("CARGO_PKG_VERSION")))),
            _ => return Err(io::Error::other(HELP.trim_end())),
        }
        rest = &rest[2..];
    }
}

fn print(text: &str) -> io::Result<ExitCode> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a line for each fault.
fn faults() -> String {
    let line = |fault: &catalogue::Fault| {
        let fault = fault.to_json();
        let text = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
        format!("{:34} {:14} {} ({})\n", text("name"), text("phase"), text("what"), text("honest"))
    };
    catalogue::all().iter().map(line).collect()
}

/// The control port is open, and its first line can be printed.
struct Started {
    world: Arc<listener::World>,
    authorities: Arc<tls::Authorities>,
    control: u16,
}

fn start(port: u16) -> io::Result<Started> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let control = listener.local_addr()?.port();
    let authorities = Arc::new(tls::Authorities::new()?);
    let world = Arc::new(listener::World::new(Arc::clone(&authorities)));
    let serving = Arc::clone(&world);
    thread::spawn(move || control::serve(&listener, &serving));
    Ok(Started { world, authorities, control })
}

/// Serves until standard input ends, so that it ends with the process that started it, or until a signal.
fn serve(port: u16) -> io::Result<ExitCode> {
    let signals = Signals::block()?;
    let Started { authorities, control, .. } = start(port)?;
    let cleaned = Arc::clone(&authorities);
    signals.on_arrival(move || {
        cleaned.remove();
        process::exit(0);
    });
    let ready = json!({
        "control": control,
        "ca": authorities.file(),
        "key": channels::KEY,
        "secret": channels::SECRET,
    });
    writeln!(io::stdout(), "{ready}")?;
    io::stdout().flush()?;
    let mut ignored = [0; 1024];
    while io::stdin().read(&mut ignored)? > 0 {}
    authorities.remove();
    Ok(ExitCode::SUCCESS)
}

/// Serves while a command runs, and ends as it does. A signal is passed on to the command.
fn run(port: u16, command: &[String]) -> io::Result<ExitCode> {
    let signals = Signals::block()?;
    let Started { world, authorities, control } = start(port)?;
    let opened = world.listen(listener::Order::healthy())?;
    let child = Command::new(&command[0])
        .args(&command[1..])
        .env("PUSHER_URL", opened["url"].as_str().unwrap_or_default())
        .env("PUSHER_TESTSERVER_URL", format!("http://127.0.0.1:{control}/listen/{}", opened["port"]))
        .spawn();
    let ended = child.map_err(|error| io::Error::other(format!("{}: {error}", command[0]))).and_then(|mut child| {
        signals.pass_on(&child)?;
        child.wait()
    });
    authorities.remove();
    Ok(ended?.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
