//! A forward proxy for one healthy server: tunnels for CONNECT, and requests in the absolute form. It leads to that server
//! for every host: no connection leaves the machine.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::channels::Handled;
use super::connection::Connection;
use super::http::{self, Request};
use super::script::{Applies, End, TunnelCut};

/// The response that opens a tunnel.
pub const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// Opens a tunnel for CONNECT, or forwards a request.
pub fn handle(origin: u16, request: &Request, applies: Applies) -> Handled {
    let handled = |answer| Handled { answer, applied: Vec::new(), all: false, refused: None };
    if request.head.method == "CONNECT" {
        return handled(ESTABLISHED.into());
    }
    if applies == Applies::Nothing {
        return handled(http::answer(502, &[], ""));
    }
    match forward(origin, request) {
        Ok(answer) => handled(answer),
        Err(error) => handled(http::answer(502, &[], &error.to_string())),
    }
}

fn dial(origin: u16) -> io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, origin))
}

/// Forwards a request, and reads the complete response.
fn forward(origin: u16, request: &Request) -> io::Result<Vec<u8>> {
    let head = &request.head;
    let mut text = format!("{} {} HTTP/1.1\r\n", head.method, head.origin_form());
    for (name, value) in head.headers.iter().filter(|(name, _)| !name.starts_with("proxy-")) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut server = dial(origin)?;
    server.write_all(format!("{text}\r\n").as_bytes())?;
    server.write_all(&request.body)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = server.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..length]);
        if length == 0 || is_whole(&answer) {
            return Ok(answer);
        }
    }
}

/// Returns whether a response of the healthy server, whose last header is the length, is complete.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = http::find(answer, http::BLANK_LINE) else { return false };
    let head = String::from_utf8_lossy(&answer[..end]);
    let length = head.rsplit_once("Content-Length: ").and_then(|(_, length)| length.parse().ok()).unwrap_or(0);
    answer.len() >= end + http::BLANK_LINE.len() + length
}

/// Forwards bytes in both directions until one side ends, or the tunnel is cut.
pub fn tunnel(client: Connection, origin: u16, cut: Option<TunnelCut>) {
    let Ok(server) = dial(origin) else { return client.end(End::Fin, false) };
    let socket = client.socket();
    let is_cut = AtomicBool::new(false);
    let limit = |up| cut.filter(|cut| cut.up == up).map(|cut| cut.at);
    thread::scope(|scope| {
        scope.spawn(|| {
            if carry(&server, socket, limit(false), &is_cut) {
                // The other direction waits for the client; the cut below ends it.
                let _ = socket.shutdown(Shutdown::Read);
            }
        });
        if carry(socket, &server, limit(true), &is_cut) {
            let _ = server.shutdown(Shutdown::Both);
        }
    });
    drop(server);
    client.end(cut.filter(|_| is_cut.into_inner()).map_or(End::Keep, |cut| cut.end), true);
}

/// Forwards bytes in one direction until they end, or until the limit, which is a cut.
fn carry(from: &TcpStream, to: &TcpStream, limit: Option<usize>, is_cut: &AtomicBool) -> bool {
    let mut left = limit;
    let mut buffer = [0; 16 * 1024];
    loop {
        if left == Some(0) {
            is_cut.store(true, Ordering::SeqCst);
            return true;
        }
        let room = left.unwrap_or(buffer.len()).min(buffer.len());
        match (&*from).read(&mut buffer[..room]) {
            Ok(length @ 1..) if (&*to).write_all(&buffer[..length]).is_ok() => {
                left = left.map(|left| left - length);
            }
            _ => {
                // After a cut, nothing else may reach the client.
                if !is_cut.load(Ordering::SeqCst) {
                    let _ = to.shutdown(Shutdown::Write);
                }
                return false;
            }
        }
    }
}
