//! Training progress as one line an epoch.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use burn::train::LearnerSummary;
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};

/// A renderer that writes one line an epoch with all metrics: for logs, terminals without the dashboard, and programs
/// whose standard output belongs to something else.
///
/// ```text
/// epoch 12/400  0.8 s  train Loss 0.71 NLL 0.33 RMSE 3.10  valid Loss 0.75 NLL 0.36 RMSE 3.29
/// ```
///
/// Give it to `SupervisedTraining::renderer`.
pub struct EpochLines<W: Write + Send + Sync = std::io::Stderr> {
    out: W,
    every: usize,
    started: Instant,
    epochs: usize,
    /// In the order of registration.
    metrics: Vec<(MetricId, String)>,
    train: BTreeMap<String, f64>,
    valid: BTreeMap<String, f64>,
    /// The line of the latest epoch, if it was left out.
    left_out: Option<String>,
}

impl EpochLines {
    /// Lines on standard error, one every `every` epochs and one for the last, also of a training that was stopped
    /// early.
    ///
    /// # Panics
    ///
    /// Panics if `every` is zero.
    pub fn every(every: usize) -> Self {
        Self::to(std::io::stderr(), every)
    }
}

impl<W: Write + Send + Sync> EpochLines<W> {
    /// Lines on `out`, one every `every` epochs and one for the last, also of a training that was stopped early.
    ///
    /// # Panics
    ///
    /// Panics if `every` is zero.
    pub fn to(out: W, every: usize) -> Self {
        assert!(
            every > 0,
            "lines need an interval of at least 1 epoch, got 0"
        );
        Self {
            out,
            every,
            started: Instant::now(),
            epochs: 0,
            metrics: Vec::new(),
            train: BTreeMap::new(),
            valid: BTreeMap::new(),
            left_out: None,
        }
    }

    /// The epoch after which a training ended that was planned longer.
    fn last_line(&mut self) {
        if let Some(line) = self.left_out.take() {
            self.line(&line);
        }
    }

    fn line(&mut self, text: &str) {
        // A progress line that can't be written must not end a training.
        let _ = writeln!(self.out, "{text}");
    }

    fn event(&mut self, event: &str) {
        // Burn reports every batch by this event.
        if event != "Iteration" {
            self.line(event);
        }
    }

    fn name(&self, id: &MetricId) -> Option<String> {
        let found = self.metrics.iter().find(|(known, _)| known == id)?;
        Some(found.1.clone())
    }

    fn note(&self, state: MetricState) -> Option<(String, f64)> {
        match state {
            MetricState::Numeric(entry, Some(value)) => {
                Some((self.name(&entry.metric_id)?, value.current()))
            }
            _ => None,
        }
    }

    fn values(&self, values: &BTreeMap<String, f64>) -> String {
        let known = self.metrics.iter().filter_map(|(_, name)| {
            let value = values.get(name)?;
            Some(format!(" {name} {}", short(*value)))
        });
        known.collect()
    }
}

/// Four significant digits above 1, three decimals below, and three digits of what is so small that these would not
/// move. What is very large has an exponent.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e7 => format!("{value:.3e}"),
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 10.0 => format!("{value:.2}"),
        v if v > 0.0 && v < 0.01 => format!("{value:.2e}"),
        _ => format!("{value:.3}"),
    }
}

impl<W: Write + Send + Sync> std::fmt::Debug for EpochLines<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EpochLines")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

impl<W: Write + Send + Sync> MetricsRendererTraining for EpochLines<W> {
    fn update_train(&mut self, state: MetricState) {
        self.train.extend(self.note(state));
    }

    fn update_valid(&mut self, state: MetricState) {
        self.valid.extend(self.note(state));
    }

    fn on_train_end(
        &mut self,
        summary: Option<LearnerSummary>,
    ) -> Result<(), Box<dyn core::error::Error>> {
        self.last_line();
        if let Some(summary) = summary {
            self.line(&summary.to_string());
        }
        Ok(())
    }
}

impl<W: Write + Send + Sync> TrainingProgressLogger for EpochLines<W> {
    fn start(
        &mut self,
        total_epochs: usize,
        _starting_epoch: usize,
        _total_items: Option<usize>,
        _label: Option<&str>,
    ) {
        self.epochs = total_epochs;
        self.started = Instant::now();
    }

    fn start_split(&mut self, _split: &str, _total_items: usize) {}

    fn update_split(&mut self, _items_processed: usize) {}

    fn end_split(&mut self) {}

    fn update_epoch(&mut self, epoch: usize) {
        let line = format!(
            "epoch {epoch}/{}  {:.1} s  train{}  valid{}",
            self.epochs,
            self.started.elapsed().as_secs_f64(),
            self.values(&self.train),
            self.values(&self.valid),
        );
        self.left_out = Some(line);
        if epoch.is_multiple_of(self.every) || epoch == self.epochs {
            self.last_line();
        }
        self.train.clear();
        self.valid.clear();
    }

    fn end(&mut self) {
        self.last_line();
    }

    fn log_event_training(&mut self, event: String) {
        self.event(&event);
    }
}

impl<W: Write + Send + Sync> MetricsRendererEvaluation for EpochLines<W> {
    fn update_test(&mut self, _name: EvaluationName, state: MetricState) {
        self.valid.extend(self.note(state));
    }
}

impl<W: Write + Send + Sync> EvaluationProgressLogger for EpochLines<W> {
    fn start_global_progress(&mut self, _total_tests: usize) {
        self.started = Instant::now();
    }

    fn start_test(&mut self, _name: &str, _total_items: usize) {
        self.valid.clear();
    }

    fn update_test_progress(&mut self, _items_processed: usize) {}

    fn end_test(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        let line = format!("test  {seconds:.1} s {}", self.values(&self.valid));
        self.line(&line);
    }

    fn end_global_progress(&mut self) {}

    fn log_event_evaluation(&mut self, event: String) {
        self.event(&event);
    }
}

impl<W: Write + Send + Sync> MetricsRenderer for EpochLines<W> {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        let name = definition.name.to_string();
        if self.name(&definition.metric_id).is_none() {
            self.metrics.push((definition.metric_id, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_number_is_short_and_still_moves_where_it_is_small() {
        let values = [
            12345.6, -123.45, 12.345, 1.2345, 0.12345, 0.0924, 0.00042, 6.1e-4, 0.0,
        ];
        let expected = [
            "12346", "-123.5", "12.35", "1.234", "0.123", "0.092", "4.20e-4", "6.10e-4", "0.000",
        ];
        for (value, expected) in values.into_iter().zip(expected) {
            assert_eq!(short(value), expected);
        }
        assert_eq!([f64::NAN, f64::INFINITY].map(short), ["NaN", "inf"]);
        let large = [1234567.0, 12345678.0, -3.4e38];
        assert_eq!(large.map(short), ["1234567", "1.235e7", "-3.400e38"]);
    }
}
