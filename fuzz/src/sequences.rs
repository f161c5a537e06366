//! Sequences of C calls on several handles, in any order that the header permits.

use crate::support::functions::FUNCTIONS;
use crate::support::hooks::{self, Without};
use crate::support::publisher::{self as publishers, Publisher};
use crate::support::{Client, Reply, Request};
use crate::{ANSWERS, answering};

/// Runs one call for each byte: its low bits choose the call, the others the handle or the argument.
pub fn sequences(bytes: &[u8]) {
    let mut clients: Vec<Client> = vec![answering(0)];
    let mut publishers: Vec<Publisher> = Vec::new();
    let mut requests: Vec<Request> = Vec::new();
    for byte in bytes.iter().take(64) {
        let choice = usize::from(byte >> 4);
        match byte & 15 {
            0 if clients.len() < 4 => clients.push(answering(choice)),
            1 if clients.len() > 1 && publishers.is_empty() => {
                clients.remove(choice % clients.len());
            }
            2 | 3 => {
                let function = FUNCTIONS[choice % FUNCTIONS.len()];
                function.call(Some(&clients[choice % clients.len()]), &function.good());
            }
            4 => {
                let function = FUNCTIONS[choice % FUNCTIONS.len()];
                let texts = function.with(choice % function.arguments.len(), None);
                function.call(Some(&clients[0]), &texts);
            }
            5 if publishers.len() < 2 => {
                let client = &clients[choice % clients.len()];
                publishers.extend(publishers::try_new(Some(client), Some(b"{\"reports\":\"all\"}")));
            }
            6 if !publishers.is_empty() => {
                publishers.remove(choice % publishers.len());
            }
            7 | 8 => {
                let publisher = publishers.get(choice % 2);
                let _ = publishers::publish(publisher, [Some(b"c"), Some(b"e"), Some(b"1"), None]);
            }
            9 => {
                publishers::flush(publishers.first(), 20);
            }
            10 => {
                publishers::close(publishers.last(), 20);
            }
            11 => {
                publishers::raw_poll(publishers.first(), 0);
            }
            12 => {
                let good = FUNCTIONS[0].good();
                let client = &clients[choice % clients.len()];
                requests.extend(hooks::prepare(Some(client), Some(b"trigger"), &good, Without::default()));
            }
            13 if !requests.is_empty() => {
                let request = &requests[choice % requests.len()];
                let (status, body) = ANSWERS[choice % ANSWERS.len()];
                let reply = Reply::new();
                reply.set(status, body);
                clients[choice % clients.len()].finish(request, &reply);
            }
            14 if !requests.is_empty() => {
                requests.remove(choice % requests.len());
            }
            _ => {
                publishers::stats(publishers.first());
            }
        }
    }
}
