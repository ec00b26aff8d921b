//! What a training writes beside its checkpoints, and what becomes of it where nothing can be written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blitz_train::prelude::*;
use blitz_train::{CheckpointError, Checkpoints, FitError, MetricFiles};
use burn::train::SupervisedTraining;
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::logger::{InMemoryMetricLogger, TrainingProgressLogger};
use burn::train::metric::LossMetric;
use burn::train::metric::store::{Aggregate, Direction, EventStoreClient, Split};

use crate::learner::{bare, learner, model, training, weights};
use crate::line::{line, loader, meanwhile};

/// Every file under `folder`, by its path in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    fn collect(folder: &Path, base: &Path, into: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(&path, base, into),
                false => {
                    let text = fs::read_to_string(&path).unwrap();
                    into.insert(path.strip_prefix(base).unwrap().into(), text);
                }
            }
        }
    }

    let mut all = BTreeMap::new();
    for split in ["train", "valid"] {
        if folder.join(split).is_dir() {
            collect(&folder.join(split), folder, &mut all);
        }
    }
    all
}

#[test]
fn the_files_are_those_of_burns_own_logger() {
    let [burns, ours] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let launched = training(burns.path(), line(), 3).launch(learner());
    assert!(launched.error.is_none());
    let training = training(ours.path(), line(), 3);
    fit(MetricFiles::new(ours.path()).keep(training), learner()).unwrap();
    let expected = files(burns.path());
    assert_eq!(expected.len(), 5 * 3 * 2, "{:?}", expected.keys());
    assert_eq!(files(ours.path()), expected);
}

#[test]
fn a_training_writes_no_metrics_but_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    fit(training(folder.path(), line(), 2), learner()).unwrap();
    assert!(files(folder.path()).is_empty());
}

/// Burn writes a checkpoint while the next epoch trains.
fn wait_for_checkpoint(folder: &Path, epoch: usize, sealed: bool) {
    let checkpoints = Checkpoints::new(folder);
    let is_sealed = |part: &str| folder.join(format!("{part}-{epoch}.bpk.sha256")).is_file();
    let seals = || ["model", "optim", "scheduler"].into_iter().all(is_sealed);
    while checkpoints.check(epoch).is_err() || sealed && !seals() {
        std::thread::sleep(Duration::from_millis(2));
    }
    // The folder is synced after the last seal.
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn a_folder_that_cannot_be_is_an_error_at_the_first_thing_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let out = file.join("run");
    // A training that writes nothing needs no folder.
    fit(bare(&out, loader(line()), 2), learner()).unwrap();

    let error = fit(
        MetricFiles::new(&out).keep(bare(&out, loader(line()), 2)),
        learner(),
    );
    let Err(FitError::Metrics { path, reason }) = error else {
        panic!("{error:?}");
    };
    assert!(path.starts_with(out.join("train/epoch-1")), "{path:?}");
    assert!(reason.contains("ot a directory"), "{reason}");

    let checkpoints = Checkpoints::new(out.join("checkpoint"));
    let error = fit(checkpoints.keep(bare(&out, loader(line()), 2)), learner());
    let Err(FitError::Checkpoint(CheckpointError::NotWritten { path, .. })) = error else {
        panic!("{error:?}");
    };
    assert!(path.starts_with(checkpoints.folder()), "{path:?}");

    // Burn's own checkpointers, and its log.
    let error = fit(
        bare(&out, loader(line()), 2).with_default_checkpointers(),
        learner(),
    );
    assert!(matches!(error, Err(FitError::Training(_))), "{error:?}");
    let logged = SupervisedTraining::new(&out, loader(line()), loader(line()))
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)));
    let error = fit(logged, learner());
    assert!(matches!(error, Err(FitError::Start { .. })), "{error:?}");
}

#[test]
fn a_folder_that_vanishes_ends_a_training_with_an_error_and_what_was_saved_is_whole() {
    for written in ["metrics", "checkpoints", "both", "by Burn"] {
        // In the middle of the third epoch, and at its first batch.
        for batch in [13, 11] {
            let folder = tempfile::tempdir().unwrap();
            let [out, kept] = ["run", "kept"].map(|name| folder.path().join(name));
            let data = {
                let (out, kept) = (out.clone(), kept.clone());
                meanwhile(batch, move |_| {
                    if written != "metrics" {
                        wait_for_checkpoint(&out.join("checkpoint"), 2, written != "by Burn");
                    }
                    fs::rename(&out, &kept).unwrap();
                    fs::write(&out, "").unwrap();
                })
            };
            fs::create_dir(&out).unwrap();
            let mut training = bare(&out, data, 9);
            if matches!(written, "metrics" | "both") {
                training = MetricFiles::new(&out).keep(training);
            }
            training = match written {
                "metrics" => training,
                "by Burn" => training.with_default_checkpointers(),
                _ => Checkpoints::new(out.join("checkpoint")).keep(training),
            };
            let error = fit(training, learner()).unwrap_err();
            let expected = match (&error, written) {
                (FitError::Metrics { path, .. }, "metrics" | "both") => path.starts_with(&out),
                (FitError::Checkpoint(CheckpointError::NotWritten { path, .. }), _) => {
                    written != "metrics" && path.starts_with(&out)
                }
                (FitError::Training(_), "by Burn") => true,
                _ => false,
            };
            assert!(expected, "{written}: {error}");
            if written != "metrics" {
                let checkpoints = Checkpoints::new(kept.join("checkpoint"));
                assert_eq!(checkpoints.last_whole(), Ok(Some(2)), "{written}");
                let saved = model().load(kept.join("checkpoint/model-2.bpk")).unwrap();
                assert_eq!(saved.steps(), 10);
            }
        }
    }
}

#[test]
fn a_folder_that_is_only_removed_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let data = {
        let out = out.clone();
        meanwhile(13, move |_| {
            wait_for_checkpoint(&out.join("checkpoint"), 2, true);
            fs::remove_dir_all(&out).unwrap();
        })
    };
    let checkpoints = Checkpoints::new(out.join("checkpoint"));
    let training = MetricFiles::new(&out).keep(bare(&out, data, 4));
    fit(checkpoints.keep(training), learner()).unwrap();
    assert_eq!(checkpoints.last_whole(), Ok(Some(4)));
    assert!(out.join("valid/epoch-4/Loss.log").is_file());
    // The values of the third epoch that came after.
    let text = fs::read_to_string(out.join("train/epoch-3/Loss.log")).unwrap();
    assert!((2..=4).contains(&text.lines().count()), "{text}");
}

/// A folder made anew is another, and belongs to the training as the first did.
#[cfg(unix)]
#[test]
fn a_folder_made_anew_is_claimed_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("checkpoint");
    let checkpoints = Checkpoints::new(&out);
    let refused = Arc::new(Mutex::new(None));
    let data = {
        let out = out.clone();
        meanwhile(6, move |_| {
            wait_for_checkpoint(&out, 1, true);
            fs::remove_dir_all(&out).unwrap();
        })
    };
    let look = {
        let (out, refused) = (out.clone(), refused.clone());
        meanwhile(16, move |_| {
            let claim = blitz_train::FolderClaim::take(&out);
            *refused.lock().unwrap() = Some(claim.is_err());
        })
    };
    // The validation data looks in the fourth epoch, the training data removes in the second.
    let training = SupervisedTraining::new(folder.path(), data, look)
        .metrics((LossMetric::new(),))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(4);
    fit(checkpoints.keep(training), learner()).unwrap();
    assert_eq!(*refused.lock().unwrap(), Some(true));
    assert!(blitz_train::FolderClaim::take(&out).is_ok());
}

/// `/dev/full` takes nothing, as a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_a_training_with_an_error_and_what_was_saved_is_whole() {
    let full = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/dev/full", path).unwrap();
    };
    for name in ["train/epoch-3/Loss.log", "valid/epoch-2/NLL.log"] {
        let folder = tempfile::tempdir().unwrap();
        full(&folder.path().join(name));
        let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
        let training = bare(folder.path(), loader(line()), 5);
        let training = MetricFiles::new(folder.path()).keep(training);
        let error = fit(checkpoints.keep(training), learner()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("No space left on device"), "{message}");
        let FitError::Metrics { path, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(path, folder.path().join(name));
        let last = if name.contains("epoch-2") { 1 } else { 2 };
        let whole = checkpoints.last_whole().unwrap().unwrap();
        assert!((last..=3).contains(&whole), "{name}: {whole}");
    }
}

/// Counts what it hears.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl TrainingProgressLogger for Heard {
    fn start(&mut self, epochs: usize, first: usize, _items: Option<usize>, _label: Option<&str>) {
        let mut heard = self.0.lock().unwrap();
        heard.push(format!("{epochs} epochs from {first}"));
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.0.lock().unwrap().push(format!("epoch {epoch}"));
    }

    fn start_split(&mut self, _split: &str, _total_items: usize) {}

    fn update_split(&mut self, _items_processed: usize) {}

    fn end_split(&mut self) {}

    fn end(&mut self) {
        self.0.lock().unwrap().push("end".into());
    }

    fn log_event_training(&mut self, _event: String) {}
}

#[test]
fn a_programs_own_progress_logger_and_metric_logger_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let heard = Heard::default();
    let training = training(folder.path(), line(), 2)
        .with_progress_logger(heard.clone())
        .with_metric_logger(InMemoryMetricLogger::new());
    let with = fit(training, learner()).unwrap().model;
    assert_eq!(
        *heard.0.lock().unwrap(),
        ["2 epochs from 1", "epoch 1", "epoch 2", "end"]
    );
    let without = tempfile::tempdir().unwrap();
    let without = fit(self::training(without.path(), line(), 2), learner());
    assert_eq!(weights(&with), weights(&without.unwrap().model));
}

/// Saves every epoch, and notes the best one so far by the training loss.
struct Best(Arc<Mutex<Vec<Option<usize>>>>);

impl CheckpointingStrategy for Best {
    fn checkpointing(&mut self, _: usize, store: &EventStoreClient) -> Vec<CheckpointingAction> {
        let (mean, highest) = (Aggregate::Mean, Direction::Highest);
        let best = store.find_epoch("Loss", mean, highest, &Split::Train);
        let none = store.find_epoch("Accuracy", mean, highest, &Split::Train);
        assert_eq!(none, None);
        self.0.lock().unwrap().push(best);
        vec![CheckpointingAction::Save]
    }
}

#[test]
fn a_training_that_goes_on_compares_with_the_epochs_before_if_they_are_in_files() {
    for in_files in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let run = |epochs, after: Option<usize>| {
            let best = Arc::new(Mutex::new(Vec::new()));
            let mut training = training(folder.path(), line(), epochs)
                .with_checkpointing_strategy(Best(best.clone()));
            if in_files {
                training = MetricFiles::new(folder.path()).keep(training);
            }
            if let Some(epoch) = after {
                training = training.checkpoint(epoch);
            }
            fit(training, learner()).unwrap();
            let best = best.lock().unwrap();
            best.clone()
        };
        // The loss falls, so that the highest is the first that is known.
        assert_eq!(run(2, None), [Some(1); 2]);
        let known = if in_files { 1 } else { 3 };
        assert_eq!(run(4, Some(2)), [Some(known); 2]);
    }
}
