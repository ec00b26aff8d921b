//! The values of a training's metrics, epoch by epoch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use burn::train::metric::store::{MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, MetricEntry, MetricId, NumericEntry};

/// What Burn asks for when it looks for the best epoch: a number for each metric, split and epoch, however many batches
/// there were.
#[derive(Default)]
pub(crate) struct History {
    names: HashMap<MetricId, Arc<String>>,
    epochs: HashMap<(Arc<String>, Split), BTreeMap<usize, Epoch>>,
}

/// The values of a metric in an epoch.
#[derive(Debug, Clone, Copy, Default)]
struct Epoch {
    /// Σ value · examples.
    sum: f64,
    examples: usize,
    /// The value of the whole epoch, of a metric that computes it at its end.
    whole: Option<f64>,
}

impl Epoch {
    fn add(&mut self, entry: &NumericEntry) {
        match entry {
            NumericEntry::Value(value) => {
                self.sum += value;
                self.examples += 1;
            }
            NumericEntry::Aggregated {
                aggregated_value,
                count,
            } => {
                self.sum += aggregated_value * *count as f64;
                self.examples += count;
            }
            NumericEntry::Final(value) => self.whole = Some(*value),
        }
    }

    fn value(self) -> f64 {
        let mean = self.sum / self.examples.max(1) as f64;
        self.whole.unwrap_or(mean)
    }

    fn entry(self) -> NumericEntry {
        match self.whole {
            Some(value) => NumericEntry::Final(value),
            None => NumericEntry::Aggregated {
                aggregated_value: self.value(),
                count: self.examples.max(1),
            },
        }
    }
}

impl History {
    pub(crate) fn define(&mut self, metric: MetricDefinition) {
        self.names.insert(metric.metric_id, metric.name);
    }

    /// The metrics of an update that have a value, each with its name and the value as Burn saves it.
    pub(crate) fn named<'a>(
        &self,
        update: &'a MetricsUpdate,
    ) -> impl Iterator<Item = (Arc<String>, &'a str)> {
        let numeric = update.entries_numeric.iter().map(|update| &update.entry);
        let entries = update.entries.iter().chain(numeric);
        entries.filter_map(|entry| {
            let MetricEntry {
                metric_id,
                serialized_entry,
            } = entry;
            let name = self.names.get(metric_id)?.clone();
            let has_value = !serialized_entry.is_not_available();
            has_value.then_some((name, serialized_entry.serialized.as_str()))
        })
    }

    pub(crate) fn add(&mut self, update: &MetricsUpdate, epoch: usize, split: &Split) {
        let values: Vec<_> = self.named(update).collect();
        for (name, value) in values {
            // One that is no number is compared by nobody.
            if let Ok(entry) = NumericEntry::deserialize(value) {
                let epochs = self.epochs.entry((name, split.clone())).or_default();
                epochs.entry(epoch).or_default().add(&entry);
            }
        }
    }

    /// The value of a metric in an epoch, as Burn's loggers return it: none after the last. Before the first, as of a
    /// training that goes on, `earlier` knows it or nobody, and NaN is the best of none.
    pub(crate) fn read(
        &self,
        name: &str,
        epoch: usize,
        split: &Split,
        earlier: impl FnOnce() -> Option<NumericEntry>,
    ) -> Vec<NumericEntry> {
        let known = self.of(name, split).and_then(|epochs| epochs.get(&epoch));
        let entry = match known {
            Some(epoch) => Some(epoch.entry()),
            None if self.began_after(name, epoch, split) => {
                Some(earlier().unwrap_or(NumericEntry::Value(f64::NAN)))
            }
            None => None,
        };
        entry.into_iter().collect()
    }

    /// Whether the first value of a metric is of a later epoch.
    pub(crate) fn began_after(&self, name: &str, epoch: usize, split: &Split) -> bool {
        let first = self.of(name, split).and_then(|epochs| epochs.keys().next());
        first.is_some_and(|first| epoch < *first)
    }

    /// The metrics that are numbers and have a value in an epoch, in the order of their names.
    pub(crate) fn values(&self, epoch: usize, split: &Split) -> Vec<(&str, f64)> {
        let metrics = self.epochs.iter().filter(|((_, of), _)| of == split);
        let mut values: Vec<_> = metrics
            .filter_map(|((name, _), epochs)| Some((name.as_str(), epochs.get(&epoch)?.value())))
            .collect();
        values.sort_by_key(|(name, _)| *name);
        values
    }

    fn of(&self, name: &str, split: &Split) -> Option<&BTreeMap<usize, Epoch>> {
        let key = (Arc::new(name.to_string()), split.clone());
        self.epochs.get(&key)
    }
}

/// The value of an epoch whose entries were saved, one a line; none if one can't be read.
pub(crate) fn saved(text: &str) -> Option<NumericEntry> {
    let mut epoch = Epoch::default();
    for line in text.lines() {
        epoch.add(&NumericEntry::deserialize(line).ok()?);
    }
    let is_empty = epoch.examples == 0 && epoch.whole.is_none();
    (!is_empty).then(|| epoch.entry())
}
