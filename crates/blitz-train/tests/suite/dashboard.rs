//! A renderer that clears the interrupter when the training ends, as Burn's dashboard does: what `fit` says then.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use blitz_train::prelude::*;
use blitz_train::{CheckpointError, Checkpoints, FitError, MetricFiles};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataset::{Dataset, DatasetError, InMemDataset};
use burn::optim::SgdConfig;
use burn::tensor::Device;
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use burn::train::{ExecutionStrategy, Interrupter, Learner, LearnerSummary, SupervisedTraining};

use crate::learner::{Model, bare, learner, model, training, weights};
use crate::line::{Row, line, loader, meanwhile};

/// Shows nothing, and clears the interrupter as `TuiMetricsRendererWrapper::on_train_end` does.
struct Clears(Interrupter);

impl MetricsRendererTraining for Clears {
    fn update_train(&mut self, _state: MetricState) {}

    fn update_valid(&mut self, _state: MetricState) {}

    fn on_train_end(&mut self, _summary: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        self.0.reset();
        Ok(())
    }
}

impl TrainingProgressLogger for Clears {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}

    fn update_epoch(&mut self, _epoch: usize) {}

    fn start_split(&mut self, _split: &str, _total_items: usize) {}

    fn update_split(&mut self, _items_processed: usize) {}

    fn end_split(&mut self) {}

    fn end(&mut self) {}

    fn log_event_training(&mut self, _event: String) {}
}

impl MetricsRendererEvaluation for Clears {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl EvaluationProgressLogger for Clears {
    fn start_global_progress(&mut self, _total_tests: usize) {}

    fn start_test(&mut self, _name: &str, _total_items: usize) {}

    fn update_test_progress(&mut self, _items_processed: usize) {}

    fn end_test(&mut self) {}

    fn end_global_progress(&mut self) {}

    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRenderer for Clears {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, _definition: MetricDefinition) {}
}

fn clears(training: SupervisedTraining<Model>) -> SupervisedTraining<Model> {
    let interrupter = training.interrupter();
    training.renderer(Box::new(Clears(interrupter)))
}

fn error_of(training: SupervisedTraining<Model>, learner: Learner<Model>) -> FitError {
    fit(clears(training), learner).expect_err("the training fails")
}

/// At the first batch, in the middle, and at the last batch of all.
#[test]
fn a_stop_is_told() {
    for (batch, epochs) in [(1, 3), (8, 3), (15, 3), (3, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let interrupter = Interrupter::new();
        let data = {
            let interrupter = interrupter.clone();
            meanwhile(batch, move |_| interrupter.stop(Some("q, s")))
        };
        let training = bare(folder.path(), data, epochs).with_interrupter(interrupter);
        let fitted = fit(clears(training), learner()).unwrap();
        assert_eq!(fitted.model.steps(), batch as u64);
        let interruption = fitted.interrupted.expect("it was stopped");
        assert_eq!(interruption.reason.as_deref(), Some("q, s"));
    }
}

#[test]
fn a_training_to_its_last_epoch_and_one_with_nothing_to_do_were_not_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let run = |from: Option<usize>| {
        let training = clears(training(folder.path(), line(), 2));
        let training = match from {
            Some(epoch) => training.checkpoint(epoch),
            None => training,
        };
        fit(training, learner()).unwrap()
    };
    let [whole, over] = [None, Some(2)].map(run);
    assert!(whole.interrupted.is_none() && over.interrupted.is_none());
    assert_eq!(weights(&over.model), weights(&whole.model));
}

#[test]
fn a_loss_or_a_weight_that_is_not_finite_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let data = meanwhile(5, |rows| rows[0].1 = [f32::NAN]);
    let error = error_of(bare(folder.path(), data, 1), learner());
    assert!(matches!(error, FitError::NonFiniteLoss(_)), "{error}");

    for epochs in [1, 2] {
        let one_batch = DataLoaderBuilder::new(RowBatcher)
            .batch_size(64)
            .build(InMemDataset::new(line()));
        let leaps = Learner::new(model(), SgdConfig::new().init(), 1e39);
        let error = error_of(bare(folder.path(), one_batch, epochs), leaps);
        assert!(matches!(error, FitError::NonFiniteWeight { .. }), "{error}");
    }
}

#[test]
fn metrics_that_cannot_be_written_are_an_error_up_to_those_of_the_last_epoch() {
    for name in ["train/epoch-1", "train/epoch-3", "valid/epoch-3"] {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join(name);
        std::fs::create_dir_all(taken.parent().unwrap()).unwrap();
        std::fs::write(&taken, "").unwrap();
        let training = bare(folder.path(), loader(line()), 3);
        let error = error_of(MetricFiles::new(folder.path()).keep(training), learner());
        assert!(
            matches!(&error, FitError::Metrics { path, .. } if path.starts_with(&taken)),
            "{error}"
        );
    }
}

/// Burn hears of the last checkpoint's error after its loop.
#[test]
fn a_checkpoint_that_cannot_be_written_is_an_error_up_to_the_last() {
    for epoch in [1, 3] {
        for part in ["model", "optim", "scheduler"] {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
            let path = checkpoints.folder().join(format!("{part}-{epoch}.bpk"));
            // Where its digest is to lie.
            let digest = format!("{part}-{epoch}.bpk.sha256");
            std::fs::create_dir_all(checkpoints.folder().join(digest)).unwrap();
            let training = bare(folder.path(), loader(line()), 3);
            let error = error_of(checkpoints.keep(training), learner());
            let FitError::Checkpoint(CheckpointError::NotWritten { path: said, .. }) = error else {
                panic!("{error}");
            };
            assert_eq!(said, path);
        }
    }
    // Burn's own.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint/optim-3.bpk");
    std::fs::create_dir_all(path).unwrap();
    let training = bare(folder.path(), loader(line()), 3).with_default_checkpointers();
    let error = error_of(training, learner());
    assert!(matches!(error, FitError::Training(_)), "{error}");
}

/// A line, one of whose rows can't be read in the third epoch.
struct Failing(AtomicUsize);

impl Dataset<Row> for Failing {
    fn get(&self, index: usize) -> Result<Row, DatasetError> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 117 {
            return Err(DatasetError::new(std::io::Error::other("a bad sector")));
        }
        Ok(line()[index])
    }

    fn len(&self) -> usize {
        line().len()
    }
}

fn failing(folder: &Path) -> SupervisedTraining<Model> {
    let data = DataLoaderBuilder::new(RowBatcher)
        .batch_size(8)
        .build(Failing(AtomicUsize::new(0)));
    bare(folder, data, 3)
}

#[test]
fn data_that_cannot_be_read_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = error_of(failing(folder.path()), learner());
    assert!(matches!(error, FitError::Training(_)), "{error}");
    assert!(error.to_string().contains("a bad sector"), "{error}");
}

#[test]
fn a_stop_is_told_on_two_devices_too() {
    let folder = tempfile::tempdir().unwrap();
    let interrupter = Interrupter::new();
    let data = {
        let interrupter = interrupter.clone();
        meanwhile(3, move |_| interrupter.stop(None))
    };
    let training = bare(folder.path(), data, 3).with_interrupter(interrupter);
    let devices = vec![Device::flex(), Device::flex()];
    let strategy =
        ExecutionStrategy::multi(devices, burn::train::MultiDeviceOptim::OptimMainDevice);
    let fitted = blitz_train::fit_on(clears(training), learner(), strategy).unwrap();
    assert!(fitted.interrupted.is_some());
}

/// Only the training's own interrupter stops it.
#[test]
fn a_cleared_interrupter_is_the_next_trainings_as_new() {
    let folder = tempfile::tempdir().unwrap();
    let interrupter = Interrupter::new();
    let training = failing(folder.path()).with_interrupter(interrupter.clone());
    error_of(training, learner());
    assert!(!interrupter.should_stop());
    let training = bare(folder.path(), loader(line()), 1).with_interrupter(interrupter);
    assert!(
        fit(clears(training), learner())
            .unwrap()
            .interrupted
            .is_none()
    );
}
