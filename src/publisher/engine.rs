//! What the threads of a publisher share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::api::Event;
use crate::client::{Application, Hooks};

use super::config::Settings;
use super::reports::Reports;
use super::shared::Shared;
use super::stats::Traffic;

/// What the handle shares with its threads.
pub(super) struct Engine {
    pub(super) application: Arc<Application>,
    /// The caller's functions, if they may be called on threads of ours.
    pub(super) hooks: Option<Arc<Hooks>>,
    pub(super) settings: Settings,
    pub(super) shared: Shared<Event, Reports>,
    pub(super) traffic: Mutex<Traffic>,
    /// Which shards have a thread.
    pub(super) started: AtomicU64,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(super) refused: AtomicU64,
}
