//! Statistics in the text format of Prometheus.

use std::fmt::Write as _;

use super::histogram::Histogram;

/// A text in the format of Prometheus, version 0.0.4.
pub struct Exposition {
    /// The beginning of each name.
    prefix: &'static str,
    text: String,
}

impl Exposition {
    /// Returns an empty text whose names begin with `prefix`.
    pub fn new(prefix: &'static str) -> Exposition {
        Exposition { prefix, text: String::new() }
    }

    /// Returns the text.
    pub fn finish(self) -> String {
        self.text
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let prefix = self.prefix;
        let _ = writeln!(self.text, "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}");
    }

    /// Writes a value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        let prefix = self.prefix;
        self.head(name, help, "gauge");
        let _ = writeln!(self.text, "{prefix}{name} {value}");
    }

    /// Writes a value that only goes up.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        let prefix = self.prefix;
        self.head(name, help, "counter");
        let _ = writeln!(self.text, "{prefix}{name} {value}");
    }

    /// Writes values that only go up, each with its word for one label.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        let prefix = self.prefix;
        self.head(name, help, "counter");
        for (word, value) in values {
            let _ = writeln!(self.text, "{prefix}{name}{{{label}=\"{word}\"}} {value}");
        }
    }

    /// Writes a histogram with its values divided by `unit`.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram, unit: f64) {
        let prefix = self.prefix;
        self.head(name, help, "histogram");
        let mut sum = 0;
        let bounds = histogram.bounds.iter().map(|bound| (*bound as f64 / unit).to_string()).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&histogram.counts) {
            sum += count;
            let _ = writeln!(self.text, "{prefix}{name}_bucket{{le=\"{bound}\"}} {sum}");
        }
        let _ = writeln!(self.text, "{prefix}{name}_sum {}", histogram.sum as f64 / unit);
        let _ = writeln!(self.text, "{prefix}{name}_count {sum}");
    }

    /// Writes values that only go up, each with its words for two labels.
    pub fn counters_by_two<'a>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; 2],
        values: impl IntoIterator<Item = ([&'a str; 2], u64)>,
    ) {
        let prefix = self.prefix;
        self.head(name, help, "counter");
        let [first, second] = labels;
        for ([one, other], value) in values {
            let _ = writeln!(self.text, "{prefix}{name}{{{first}=\"{one}\",{second}=\"{other}\"}} {value}");
        }
    }
}
