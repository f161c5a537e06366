//! The exchange that a user's transport or event loop reports, piece by piece.

use super::failure::{Cause, Failure, Progress};
use super::feed::{Fed, Feed};
use super::message::Response;
use super::response::Malformed;
use crate::rate_limit::RateLimitHeaders;

/// The pieces of an exchange reported so far.
#[derive(Debug, Default)]
pub struct ResponseBuilder {
    /// The status as it was reported, and the body.
    response: Option<(i32, Vec<u8>)>,
    /// A response that is not whole yet, or is broken.
    feed: Option<Box<Feed>>,
    /// Whether the response was fed: its status may be any that HTTP permits.
    was_fed: bool,
    failure: Option<Failure>,
    retry_after: Option<String>,
    date: Option<String>,
    rate_limit: RateLimitHeaders,
    has_length: bool,
}

/// The longest body of a response that is fed.
const MAX_FED_BODY_BYTES: usize = 1 << 20;

const NO_MESSAGE: &str = "the transport failed";

/// Returns a copy of a message, whose length a caller decides. (An error shows the beginning, but secrets are redacted before.)
fn message(text: &str) -> String {
    let mut copy = String::new();
    if copy.try_reserve_exact(text.len()).is_err() {
        return NO_MESSAGE.to_owned();
    }
    copy.push_str(text);
    copy
}

fn copied(failure: &Failure, progress: Progress) -> Failure {
    Failure { progress, cause: failure.cause, message: message(&failure.message) }
}

impl ResponseBuilder {
    /// Sets the status and the body, and forgets an earlier failure.
    pub fn set(&mut self, status: i32, body: Vec<u8>) {
        self.response = Some((status, body));
        (self.feed, self.was_fed, self.failure) = (None, false, None);
    }

    /// Reads bytes of the response, or takes note of the end of the input if there are none. Forgets an earlier failure. Returns how
    /// many bytes were used: none once the response is whole or broken.
    pub fn feed(&mut self, bytes: &[u8]) -> (Fed, usize) {
        if self.response.is_some() {
            return (Fed::Whole, 0);
        }
        let feed = self.feed.get_or_insert_with(|| Box::new(Feed::new(MAX_FED_BODY_BYTES)));
        if feed.fault().is_some() {
            return (Fed::Broken, 0);
        }
        self.failure = None;
        let (fed, used) = feed.feed(bytes);
        let feed = if fed == Fed::Whole { self.feed.take() } else { None };
        if let Some(response) = feed.and_then(|feed| feed.into_reader().into_response(true)) {
            self.response = Some((response.status.into(), response.body));
            self.was_fed = true;
            self.has_length = response.has_length;
            self.retry_after = response.retry_after;
            self.date = response.date;
            self.rate_limit = response.rate_limit;
        }
        (fed, used)
    }

    /// Takes note of a header. Only a few matter.
    pub fn set_header(&mut self, name: &str, value: &str) {
        // A caller decides their length. What matters is short, and longer values have no meaning.
        const MAX_BYTES: usize = 256;
        if name.len() > MAX_BYTES {
            return;
        }
        let short = || (value.len() <= MAX_BYTES).then(|| value.to_owned());
        match name.to_ascii_lowercase().as_str() {
            "retry-after" => self.retry_after = short(),
            "date" => self.date = short(),
            "content-length" | "transfer-encoding" => self.has_length = true,
            name => self.rate_limit.take_header(name, value.as_bytes()),
        }
    }

    /// Reports that the exchange failed: after [`ResponseBuilder::set`], while the body was received. An unknown `cause` counts
    /// as [`Cause::Transport`].
    pub fn fail(&mut self, was_sent: bool, cause: Option<&str>, message: Option<&str>) {
        self.failure = Some(Failure {
            progress: if was_sent { Progress::Sent } else { Progress::NotSent },
            cause: cause.and_then(Cause::from_name).unwrap_or(Cause::Transport),
            message: self::message(message.unwrap_or(NO_MESSAGE)),
        });
    }

    /// Returns a builder for a response that is fed, and whose body may have `max_body_bytes`.
    #[cfg(test)]
    pub(super) fn limited_to(max_body_bytes: usize) -> ResponseBuilder {
        ResponseBuilder { feed: Some(Box::new(Feed::new(max_body_bytes))), ..ResponseBuilder::default() }
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        self.response.as_ref().map_or(&[], |(_, body)| body)
    }

    /// Returns the exchange, with `body` as its body.
    pub fn exchange(&self, body: Vec<u8>) -> Result<Response, Failure> {
        let unknown = |cause, message: &str| Failure { progress: Progress::Sent, cause, message: message.to_owned() };
        let Some((status, _)) = self.response else {
            let answered = self.feed.as_ref().and_then(|feed| feed.status()).map(Progress::Answered);
            return Err(match (&self.failure, &self.feed) {
                (Some(failure), _) => copied(failure, answered.unwrap_or(failure.progress)),
                (None, None) => unknown(Cause::Transport, "the transport set no response"),
                (None, Some(feed)) => {
                    let (cause, why) = match feed.fault() {
                        None => (Cause::Transport, "only a part of it was passed on".to_owned()),
                        Some(Malformed::Cut) => (Cause::Closed, Malformed::Cut.to_string()),
                        Some(why) => (Cause::Malformed, why.to_string()),
                    };
                    let failure = unknown(cause, &format!("reading the response failed: {why}"));
                    Failure { progress: answered.unwrap_or(failure.progress), ..failure }
                }
            });
        };
        // An interim response is not a response.
        let status = u16::try_from(status).ok().filter(|status| self.was_fed || (200..600).contains(status));
        let status = status
            .ok_or_else(|| unknown(Cause::Malformed, "the transport set a status that is not from 200 to 599"))?;
        if let Some(failure) = &self.failure {
            return Err(copied(failure, Progress::Answered(status)));
        }
        Ok(Response {
            status,
            body,
            // A 204 has no body and needs no length.
            has_length: self.has_length || status == 204,
            request_was_sent: true,
            retry_after: self.retry_after.clone(),
            date: self.date.clone(),
            rate_limit: self.rate_limit,
        })
    }

    /// Returns the exchange.
    pub fn into_exchange(mut self) -> Result<Response, Failure> {
        let body = self.response.as_mut().map(|(_, body)| std::mem::take(body)).unwrap_or_default();
        self.exchange(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(build: impl FnOnce(&mut ResponseBuilder)) -> Result<(u16, bool), (Progress, Cause)> {
        let mut builder = ResponseBuilder::default();
        build(&mut builder);
        let exchange = builder.into_exchange();
        exchange.map(|it| (it.status, it.has_length)).map_err(|failure| (failure.progress, failure.cause))
    }

    #[test]
    fn only_a_final_status_is_a_response() {
        assert_eq!(exchange(|_| {}), Err((Progress::Sent, Cause::Transport)));
        for status in [i32::MIN, -1, 0, 101, 199, 600, 65_736, i32::MAX] {
            assert_eq!(exchange(|it| it.set(status, Vec::new())), Err((Progress::Sent, Cause::Malformed)), "{status}");
        }
        for (status, has_length) in [(200, false), (204, true), (599, false)] {
            assert_eq!(exchange(|it| it.set(status.into(), Vec::new())), Ok((status, has_length)));
        }
        assert_eq!(
            exchange(|it| {
                it.set(200, Vec::new());
                it.set_header("Content-LENGTH", "0");
            }),
            Ok((200, true))
        );
    }

    #[test]
    fn a_failure_after_a_status_is_a_truncated_response() {
        let fail = |it: &mut ResponseBuilder| it.fail(false, Some("reset"), None);
        assert_eq!(exchange(fail), Err((Progress::NotSent, Cause::Reset)));
        assert_eq!(exchange(|it| it.fail(true, Some("?"), None)), Err((Progress::Sent, Cause::Transport)));
        let cut = exchange(|it| {
            it.set(200, Vec::new());
            fail(it);
        });
        assert_eq!(cut, Err((Progress::Answered(200), Cause::Reset)));
        let replaced = exchange(|it| {
            fail(it);
            it.set(500, Vec::new());
        });
        assert_eq!(replaced, Ok((500, false)));
    }
}
