//! Metrics as Prometheus' text, by Prometheus' own model of them.

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// What the text is, for the scraper.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// What every name begins with.
const PREFIX: &str = "emq_plugin_kafka_";

/// Names and values of labels. The encoder escapes the values.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// Metrics, a family after the other.
#[derive(Default)]
pub struct Families(Vec<MetricFamily>);

impl Families {
    /// A counter without labels.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help).add(&[], value);
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help).add(&[], value);
    }

    /// Counters with labels, to be added.
    pub fn counters(&mut self, name: &str, help: &str) -> Counters<'_> {
        Counters(self.family(name, help, MetricType::COUNTER))
    }

    /// Gauges with labels, to be added.
    pub fn gauges(&mut self, name: &str, help: &str) -> Gauges<'_> {
        Gauges(self.family(name, help, MetricType::GAUGE))
    }

    /// A histogram: upper bounds, each with the number of values up to it; how many there are, and their sum.
    pub fn histogram(&mut self, name: &str, help: &str, buckets: &[(f64, u64)], count: u64, sum: f64) {
        let bucket = |(bound, count): &(f64, u64)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.iter().map(bucket).collect());
        histogram.set_sample_count(count);
        histogram.set_sample_sum(sum);
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        if let Some(family) = self.family(name, help, MetricType::HISTOGRAM) {
            family.mut_metric().push(metric);
        }
    }

    fn family(&mut self, name: &str, help: &str, kind: MetricType) -> Option<&mut MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(format!("{PREFIX}{name}"));
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        self.0.push(family);
        self.0.last_mut()
    }
}

/// A family of counters.
pub struct Counters<'f>(Option<&'f mut MetricFamily>);

impl Counters<'_> {
    /// One of them.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    pub fn add(&mut self, labels: Labels<'_>, value: u64) {
        let mut counter = Counter::default();
        counter.set_value(value as f64);
        let mut metric = metric(labels);
        metric.set_counter(counter);
        add(&mut self.0, metric);
    }
}

/// A family of gauges.
pub struct Gauges<'f>(Option<&'f mut MetricFamily>);

impl Gauges<'_> {
    /// One of them.
    pub fn add(&mut self, labels: Labels<'_>, value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = metric(labels);
        metric.set_gauge(gauge);
        add(&mut self.0, metric);
    }
}

fn add(family: &mut Option<&mut MetricFamily>, metric: Metric) {
    if let Some(family) = family {
        family.mut_metric().push(metric);
    }
}

fn metric(labels: Labels<'_>) -> Metric {
    let pair = |(name, value): &(&'static str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut metric = Metric::default();
    metric.set_label(labels.iter().map(pair).collect());
    metric
}

/// The text. Families without metrics are left out.
///
/// # Errors
///
/// The encoder's reason.
pub fn encode(families: &Families) -> Result<String, prometheus::Error> {
    let mut text = String::new();
    let some: Vec<_> = families.0.iter().filter(|family| !family.get_metric().is_empty()).cloned().collect();
    TextEncoder::new().encode_utf8(&some, &mut text)?;
    Ok(text)
}
