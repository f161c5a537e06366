//! The state that a publisher shares with its threads.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::api::Event;
use crate::client::{Application, Hooks};

use super::config::PublisherConfig;
use super::reports::Reports;
use super::shared::Shared;
use super::stats::Traffic;

/// The state of one publisher.
pub(super) struct Engine {
    pub(super) application: Arc<Application>,
    /// The client's callbacks, if they may run on the publisher's threads.
    pub(super) hooks: Option<Arc<Hooks>>,
    pub(super) config: PublisherConfig,
    pub(super) shared: Shared<Event, Reports>,
    pub(super) traffic: Mutex<Traffic>,
    /// The shards that have a thread, one bit each.
    pub(super) started: AtomicU64,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    /// The number of calls that found the queue full.
    pub(super) refused: AtomicU64,
}
