//! A fan-out: an event that takes several requests, one after another. Each of them carries the event to a part of its channels.
//!
//! A request takes at most `max_channels` channels, or one end-to-end encrypted channel, whose key encrypts the data.

use std::borrow::Cow;
use std::str::Split;

use super::call::{Call, RequestContext};
use super::event::{BETWEEN_CHANNELS, Event};
use super::publish::EVENTS;
use crate::encryption::{MasterKey, is_encrypted, sealed_bytes};
use crate::error::Error;
use crate::json::Json;
use crate::time_limit::TimeLimit;

/// The channels of one request.
#[derive(Clone, Debug)]
pub struct Part<'e> {
    /// The channels of the event, from the first one of this part on.
    names: Split<'e, &'static str>,
    is_encrypted: bool,
    count: usize,
}

impl<'e> Part<'e> {
    /// Returns the names of the channels.
    pub fn channels(&self) -> impl Iterator<Item = &'e str> + Clone + use<'e> {
        let wanted = self.is_encrypted;
        self.names.clone().filter(move |name| is_encrypted(name) == wanted).take(self.count)
    }
}

/// The parts of a fan-out, in the order of their first channels. A channel that is not encrypted is in the first part that has
/// room for it, so that there are as few requests as possible.
#[derive(Clone, Debug)]
pub struct Parts<'e> {
    names: Split<'e, &'static str>,
    /// The number of channels, not encrypted, that come next and are in a part already.
    taken: usize,
    max_channels: usize,
}

impl<'e> Iterator for Parts<'e> {
    type Item = Part<'e>;

    fn next(&mut self) -> Option<Part<'e>> {
        loop {
            let names = self.names.clone();
            if is_encrypted(self.names.next()?) {
                return Some(Part { names, is_encrypted: true, count: 1 });
            }
            if self.taken == 0 {
                let count = names.clone().filter(|name| !is_encrypted(name)).take(self.max_channels).count();
                self.taken = count - 1;
                return Some(Part { names, is_encrypted: false, count });
            }
            self.taken -= 1;
        }
    }
}

/// Returns the parts of a fan-out.
pub fn parts<'e>(context: &RequestContext, event: &'e Event) -> Parts<'e> {
    Parts {
        names: event.joined_channels().split(BETWEEN_CHANNELS),
        taken: 0,
        max_channels: context.limits.channels.max(1),
    }
}

/// Returns the request for a part, encrypted if its channel is.
pub fn part_request(context: &RequestContext, event: &Event, part: &Part<'_>, limit: TimeLimit) -> Result<Call, Error> {
    let channel = part.channels().next().filter(|_| part.is_encrypted);
    let data = match channel {
        Some(channel) => {
            Some(MasterKey::required(context.master_key.as_ref())?.encrypt(channel, content(event)?.as_bytes())?)
        }
        None => None,
    };
    let event = event.for_channels(part.channels(), data.as_deref(), limit)?;
    let effect = event.effect();
    Ok(Call::post(EVENTS, event.into_body(), effect, None))
}

/// Returns the size of the largest body of the requests.
pub fn largest_part_bytes(context: &RequestContext, event: &Event) -> Result<usize, Error> {
    let plain = event.length_without_channels();
    // Quotes around the string, and a backslash before each of its eight quotes.
    let sealed = plain - event.data().len() + 2 + 8 + sealed_bytes(content(event)?.len());
    let body = |part: Part<'_>| {
        let names: usize = part.channels().map(|name| name.len() + BETWEEN_CHANNELS.len()).sum();
        let frame = if part.is_encrypted { sealed } else { plain };
        frame + names - BETWEEN_CHANNELS.len()
    };
    Ok(parts(context, event).map(body).max().unwrap_or(0))
}

/// Returns the attributes of channels in a response, `{"channels":{…}}`: the members of that object, without its braces.
pub fn attributes_in(response: &str) -> &str {
    let [channels] = Json::pick(response, "", ["channels"]).unwrap_or_default();
    let members = channels.and_then(|channels| channels.text().strip_prefix('{')?.strip_suffix('}'));
    members.unwrap_or_default().trim_ascii()
}

/// Returns the content of the event's data.
fn content(event: &Event) -> Result<Cow<'_, str>, Error> {
    Ok(Json::parse(event.data(), "data")?.string("data")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::event_to_publish;
    use crate::config::{BatchRoute, RequestLimits, Server};

    fn context() -> RequestContext {
        let limits =
            RequestLimits { data_bytes: 1000, channels: 2, batch_events: 1, request_bytes: None, response_bytes: 1 };
        let key = MasterKey::from_base64("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").unwrap();
        RequestContext {
            server: Server::Pusher,
            limits,
            batch_route: BatchRoute::Present,
            channel_names: Default::default(),
            master_key: Some(key),
            idempotency: Default::default(),
        }
    }

    fn event(names: &[&str], data: &str) -> Event {
        let options = r#"{"fan_out":true,"socket_id":"1.2","info":"user_count"}"#;
        let channels = serde_json::to_string(names).unwrap();
        event_to_publish(&context(), Some(&channels), "e\"", data, Some(options)).unwrap().0
    }

    fn channels_of(names: &[&str]) -> Vec<Vec<String>> {
        let of = |part: Part<'_>| part.channels().map(str::to_owned).collect();
        parts(&context(), &event(names, "1")).map(of).collect()
    }

    #[test]
    fn parts_have_few_channels_or_an_encrypted_one_in_the_order_of_the_list() {
        let (x, y) = ("private-encrypted-x", "private-encrypted-y");
        assert_eq!(channels_of(&["a", "b", "c"]), [vec!["a", "b"], vec!["c"]]);
        assert_eq!(channels_of(&[x, y]), [[x], [y]]);
        assert_eq!(channels_of(&["a", x]), [["a"], [x]]);
        assert_eq!(channels_of(&[x, "a"]), [[x], ["a"]]);
        assert_eq!(channels_of(&["a", x, "b", y, "c"]), [vec!["a", "b"], vec![x], vec![y], vec!["c"]]);
        assert_eq!(channels_of(&["a", "b", x, "c", "d"]), [vec!["a", "b"], vec![x], vec!["c", "d"]]);
    }

    #[test]
    fn the_request_of_a_part_is_that_of_the_event_alone() {
        for data in [r#"{"x":"\\\""}"#, r#""t\\\"\u00e9\n""#, r#""""#, "[]"] {
            let names = ["a", "b", "private-encrypted-x", "c"];
            let event = event(&names, data);
            let mut largest = 0;
            for part in parts(&context(), &event) {
                let call = part_request(&context(), &event, &part, TimeLimit::NONE).unwrap();
                let body = String::from_utf8(call.body.unwrap()).unwrap();
                largest = largest.max(body.len());
                let names: Vec<_> = part.channels().collect();
                let channels = serde_json::to_string(&names).unwrap();
                let options = r#"{"socket_id":"1.2","info":"user_count"}"#;
                let (alone, _) = event_to_publish(&context(), Some(&channels), "e\"", data, Some(options)).unwrap();
                let alone = std::str::from_utf8(alone.body()).unwrap();
                if part.is_encrypted {
                    let sealed = |body: &str| {
                        let mut body: serde_json::Value = serde_json::from_str(body).unwrap();
                        let data = body["data"].take();
                        let key = context().master_key.unwrap();
                        (body, key.decrypt(names[0], data.as_str().unwrap()).unwrap())
                    };
                    assert_eq!(sealed(&body), sealed(alone));
                    assert_eq!(body.len(), alone.len());
                } else {
                    assert_eq!(body, alone);
                }
            }
            assert_eq!(largest_part_bytes(&context(), &event), Ok(largest));
        }
    }

    #[test]
    fn attributes_are_those_of_all_channels() {
        assert_eq!(
            attributes_in(r#"{"channels": { "a":{"user_count":1}, "b":{} } }"#),
            r#""a":{"user_count":1}, "b":{}"#
        );
        for none in ["{}", "[]", "x", r#"{"channels":{}}"#, r#"{"channels":[]}"#] {
            assert_eq!(attributes_in(none), "");
        }
    }
}
