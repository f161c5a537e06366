//! The calls of the HTTP API: builds a request from arguments, and a result from a response.
//!
//! This module does no I/O, reads no clock (time is an argument) and knows no key that signs requests. Its source is the Channels
//! HTTP API reference; comments say where self-hosted servers differ.

mod call;
mod drained;
mod endpoint;
mod event;
mod extra;
mod fan_out;
mod interpret;
mod options;
mod parameters;
mod publish;
mod queries;

pub use call::{Call, CallTime, Effect, RequestContext};
pub use drained::{DrainedEvent, read_drained, write_drained};
pub use endpoint::Endpoint;
pub use event::Event;
pub use fan_out::{Parts, attributes_in, largest_part_bytes, part_request, parts};
pub use interpret::Interpreter;
pub use publish::{BATCH_EVENTS, BATCH_FRAME_BYTES, EVENTS, Plan, PublishOptions, answers, event_to_publish, request};
