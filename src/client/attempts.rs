//! A call on its way: one attempt after another, as the retry policy has it. Who makes the call does the waiting.

use std::time::{Duration, Instant};

use super::application::Application;
use super::hooks::Hooks;
use crate::api::{Call, Endpoint};
use crate::error::{Error, FailedExchange};
use crate::retry::RetryPolicy;
use crate::status::Delivery;

/// A call that is being made.
pub struct Attempts<'a> {
    application: &'a Application,
    endpoint: Endpoint,
    call: &'a Call,
    options: AttemptOptions<'a>,
    made: u32,
    /// The first attempt that may have been delivered.
    first_doubt: Option<Box<FailedExchange>>,
    last: Option<Box<FailedExchange>>,
}

/// How a call is made.
#[derive(Clone, Copy)]
pub struct AttemptOptions<'a> {
    /// What is sent again.
    pub policy: RetryPolicy,
    /// When all attempts have to be over.
    pub deadline: Instant,
    /// The caller's functions, where they may be called.
    pub hooks: Option<&'a Hooks>,
}

/// What came of an attempt.
pub enum Step {
    /// It was the last.
    Ended(Result<String, Error>),
    /// There may be another after this time.
    Again(Duration),
}

impl<'a> Attempts<'a> {
    /// None yet.
    pub fn new(
        application: &'a Application,
        endpoint: Endpoint,
        call: &'a Call,
        options: AttemptOptions<'a>,
    ) -> Attempts<'a> {
        application.budget.earn();
        Attempts { application, endpoint, call, options, made: 0, first_doubt: None, last: None }
    }

    /// Makes the next one.
    pub fn next(&mut self) -> Step {
        // Who waits may wake late: then the failure that there was says more than that the time is up.
        if self.made > 0 && Instant::now() >= self.options.deadline {
            return Step::Ended(Err(self.so_far()));
        }
        self.remember();
        self.made += 1;
        let mut failed = match self.send() {
            Err(Error::Exchange(failed)) => failed,
            ended => return Step::Ended(ended),
        };
        failed.attempts = self.made;
        let left = self.options.deadline.saturating_duration_since(Instant::now());
        match self.options.policy.wait(&failed, left, random(), &self.application.budget) {
            Some(wait) => {
                if let Some(hooks) = self.options.hooks {
                    hooks.log_retry(self.endpoint, &failed, wait);
                }
                self.last = Some(failed);
                Step::Again(wait)
            }
            None => Step::Ended(Err(Error::Exchange(in_all(self.first_doubt.take(), failed)))),
        }
    }

    /// What the call has come to should there be no other attempt.
    pub fn so_far(&self) -> Error {
        match &self.last {
            Some(last) => Error::Exchange(in_all(self.first_doubt.clone(), last.clone())),
            None => Error::Internal("nothing was attempted".to_owned()),
        }
    }

    fn remember(&mut self) {
        if let Some(last) = self.last.take().filter(|last| last.delivery == Some(Delivery::Unknown)) {
            self.first_doubt.get_or_insert(last);
        }
    }

    fn send(&self) -> Result<String, Error> {
        let prepared = self.application.sign(self.endpoint, self.call, self.options.deadline)?;
        self.application.send(&prepared, self.options.hooks)
    }
}

/// What a call that was sent several times has come to: once it may have been delivered, a later attempt that was not does not
/// take that back.
fn in_all(first_doubt: Option<Box<FailedExchange>>, last: Box<FailedExchange>) -> Box<FailedExchange> {
    match first_doubt {
        Some(doubt) => Box::new(FailedExchange { attempts: last.attempts, ..*doubt }),
        None => last,
    }
}

/// For spreading waits: should the system have none, they are the longest.
fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}
