//! What statistics are made of: histograms, and the two formats that they are written in.

mod histogram;
mod json;
mod prometheus;

use strum::{EnumString, VariantNames};

pub use histogram::{Histogram, SharedHistogram};
pub use json::{write_histogram, write_numbers};
pub use prometheus::Exposition;

/// The format of statistics.
#[derive(Clone, Copy, Debug, EnumString, PartialEq, Eq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum StatsFormat {
    /// A JSON object.
    Json,
    /// The text format of Prometheus.
    Prometheus,
}
