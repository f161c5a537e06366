//! Tests that need their own environment run in a child process: the test program runs one of its tests again.
//!
//! `set_var` is not an option: other threads of the test program may read the environment.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::{env, thread};

use super::PATIENCE;

const MARK: &str = "LIBPUSHER_TEST_CHILD";

/// Whether this process is such a child.
pub fn is_child() -> bool {
    env::var_os(MARK).is_some()
}

/// Sends a line from the child to its parent.
pub fn tell(line: &str) {
    eprintln!("child: {line}");
}

/// Returns a command that runs this test program. The system cannot run one for another processor by itself, so
/// `TEST_EMULATOR` may name the program that runs it, with its arguments.
fn this_program() -> Command {
    let program = env::current_exe().unwrap();
    let emulator = env::var("TEST_EMULATOR").unwrap_or_default();
    let mut words = emulator.split_whitespace();
    let Some(first) = words.next() else { return Command::new(program) };
    let mut command = Command::new(first);
    command.args(words).arg(program);
    command
}

/// Runs a test of a module (`module_path!()`) in a child process with these variables, and returns the lines that it sent.
#[track_caller]
pub fn run<T: AsRef<OsStr>>(module: &str, test: &str, variables: &[(&str, T)]) -> Vec<String> {
    // A test's name has the modules in it, but not the crate.
    let test = &module.split_once("::").map_or_else(|| test.to_owned(), |(_, module)| format!("{module}::{test}"));
    let mut command = this_program();
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("PUSHER_") || name.starts_with("REVERB_") || name.to_uppercase().ends_with("_PROXY") {
            command.env_remove(&*name);
        }
    }
    let mut child = command
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = stderr.read_to_string(&mut text);
        let _ = tell.send(read.map(|_| text));
    });
    let Ok(text) = told.recv_timeout(PATIENCE * 6) else {
        let _ = child.kill();
        panic!("the child {test} did not end");
    };
    let text = text.unwrap();
    assert!(child.wait().unwrap().success(), "the child {test} failed:\n{text}");
    text.lines().filter_map(|line| line.strip_prefix("child: ")).map(str::to_owned).collect()
}
