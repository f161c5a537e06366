//! Statistics as JSON.

use super::histogram::Histogram;
use crate::json::Writer;

/// Writes an object of numbers.
pub fn write_numbers<'a>(json: &mut Writer, values: impl IntoIterator<Item = (&'a str, u64)>) {
    json.begin_object();
    for (name, value) in values {
        json.key(name).number(value);
    }
    json.end_object();
}

/// Writes `{"count","sum","buckets":[[bound,count]...,[null,count]]}`, with bounds and sum divided
/// by `unit`.
pub fn write_histogram(json: &mut Writer, histogram: &Histogram, unit: u64) {
    json.begin_object().key("count").number(histogram.count()).key("sum").number(histogram.sum / unit);
    json.key("buckets").begin_array();
    let bounds = histogram.bounds.iter().map(|bound| Some(bound / unit)).chain([None]);
    for (bound, count) in bounds.zip(&histogram.counts) {
        json.begin_array();
        match bound {
            Some(bound) => json.number(bound),
            None => json.raw("null"),
        };
        json.number(*count).end_array();
    }
    json.end_array().end_object();
}
