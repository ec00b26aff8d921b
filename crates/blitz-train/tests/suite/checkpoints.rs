//! What a training saves is read back whole, or refused.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use blitz_train::prelude::*;
use blitz_train::{
    BestEpoch, CheckpointError, Checkpoints, EceMetric, FitError, MetricFiles, NllMetric,
};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataset::InMemDataset;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{LinearConfig, LinearLayout};
use burn::optim::AdamConfig;
use burn::tensor::{DType, Device, Tensor};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::{Learner, SupervisedTraining};

use crate::learner::{Model, Net, learner, model, training, weights};
use crate::line::{line, loader};
use crate::{LinearNet, values};

/// A training of so many epochs, whose checkpoints have digests.
fn trained(folder: &Path, epochs: usize) -> Checkpoints {
    let checkpoints = Checkpoints::new(folder.join("checkpoint"));
    let training = checkpoints.keep(training(folder, line(), epochs));
    fit(training, learner()).unwrap();
    checkpoints
}

fn flip_bit(path: &Path, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    let bit = bit % (8 * bytes.len());
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_training_goes_on_from_its_last_whole_checkpoint_to_the_bit() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [whole, resumed] = [6, 3].map(|epochs| {
        let folder = folders[usize::from(epochs == 3)].path();
        (folder, trained(folder, epochs))
    });
    assert_eq!(resumed.1.last_whole(), Ok(Some(3)));
    let training = resumed.1.keep(training(resumed.0, line(), 6)).checkpoint(3);
    let end = fit(training, learner()).unwrap().model;
    let uninterrupted = model().load(whole.0.join("checkpoint/model-6.bpk"));
    assert_eq!(weights(&end), weights(&uninterrupted.unwrap()));
    assert_eq!(resumed.1.epochs().unwrap(), [1, 2, 3, 4, 5, 6]);
}

/// The checkpoint after `from` as that after `to`.
fn moved(folder: &Path, from: usize, to: usize) {
    let parts = ["model", "optim", "scheduler"];
    let [from, to] = [from, to].map(|epoch| parts.map(|part| format!("{part}-{epoch}.bpk")));
    for (from, to) in from.iter().zip(&to) {
        fs::copy(folder.join(from), folder.join(to)).unwrap();
        let digest = fs::read_to_string(folder.join(format!("{from}.sha256"))).unwrap();
        let digest = digest.replace(from, to);
        fs::write(folder.join(format!("{to}.sha256")), digest).unwrap();
    }
    for from in from {
        fs::remove_file(folder.join(&from)).unwrap();
        fs::remove_file(folder.join(format!("{from}.sha256"))).unwrap();
    }
}

#[test]
fn the_last_checkpoint_of_a_training_that_removes_earlier_ones_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = trained(folder.path(), 1);
    let under_way = AtomicBool::new(true);
    let found: BTreeSet<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            for epoch in 1..300 {
                moved(checkpoints.folder(), epoch, epoch + 1);
            }
            under_way.store(false, Ordering::Relaxed);
        });
        let look = || checkpoints.last_whole().unwrap();
        let looks = std::iter::from_fn(|| under_way.load(Ordering::Relaxed).then(look));
        // A list that was begun before an epoch came and read on after the one before went has neither.
        looks.flatten().collect()
    });
    assert!(found.len() > 3, "{found:?}");
    assert_eq!(checkpoints.last_whole(), Ok(Some(300)));
}

#[test]
fn a_flipped_bit_anywhere_in_a_checkpoint_is_refused_with_the_name_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = trained(folder.path(), 2);
    for part in ["model", "optim", "scheduler"] {
        let path = checkpoints.folder().join(format!("{part}-2.bpk"));
        let whole = fs::read(&path).unwrap();
        // In the header, in the names of the tensors, in their numbers, in the last byte.
        let steps = 0..64;
        let bits = steps.map(|i| i * (8 * whole.len() - 1) / 63);
        for bit in bits {
            flip_bit(&path, bit);
            let damaged = CheckpointError::Damaged { path: path.clone() };
            assert_eq!(checkpoints.check(2), Err(damaged), "{part}, bit {bit}");
            assert_eq!(checkpoints.last_whole(), Ok(Some(1)));
            fs::write(&path, &whole).unwrap();
        }
        for bytes in [
            &[][..],
            &whole[..whole.len() / 2],
            &[&whole[..], b"x"].concat(),
        ] {
            fs::write(&path, bytes).unwrap();
            assert!(checkpoints.check(2).is_err());
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(checkpoints.last_whole(), Ok(Some(2)));
    }
}

#[test]
fn a_damaged_digest_is_no_reason_to_trust_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = trained(folder.path(), 1);
    let path = checkpoints.folder().join("model-1.bpk");
    let digest = checkpoints.folder().join("model-1.bpk.sha256");
    for text in [&b""[..], b"\xff\xfe", b"  model-1.bpk\n"] {
        fs::write(&digest, text).unwrap();
        let damaged = CheckpointError::Damaged { path: path.clone() };
        assert_eq!(checkpoints.last_whole(), Err(damaged));
    }
}

#[test]
fn the_parts_of_two_epochs_cannot_be_exchanged() {
    for part in ["model", "optim", "scheduler"] {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = trained(folder.path(), 2);
        for file in ["bpk", "bpk.sha256"] {
            let [first, second] = [1, 2].map(|epoch| {
                let name = format!("{part}-{epoch}.{file}");
                checkpoints.folder().join(name)
            });
            let kept = fs::read(&first).unwrap();
            fs::rename(&second, &first).unwrap();
            fs::write(&second, kept).unwrap();
        }
        for epoch in [1, 2] {
            let path = checkpoints.folder().join(format!("{part}-{epoch}.bpk"));
            let damaged = CheckpointError::Damaged { path };
            assert_eq!(checkpoints.check(epoch), Err(damaged), "{part}-{epoch}");
        }
    }
}

#[test]
fn digests_are_those_of_sha256sum() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = trained(folder.path(), 1);
    for part in ["model", "optim", "scheduler"] {
        let digest = checkpoints.folder().join(format!("{part}-1.bpk.sha256"));
        let text = fs::read_to_string(digest).unwrap();
        let (digest, name) = text.trim_end().split_once("  ").unwrap();
        assert_eq!(name, format!("{part}-1.bpk"));
        assert_eq!(digest.len(), 64);
        assert!(digest.bytes().all(|c| c.is_ascii_hexdigit()));
    }
    // FIPS 180-2, appendix B.1, for "abc"; the seal of a file that another program wrote is compared alike.
    let abc = folder.path().join("abc.bpk");
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    fs::write(&abc, "abc").unwrap();
    fs::write(
        folder.path().join("abc.bpk.sha256"),
        format!("{known}  abc.bpk\n"),
    )
    .unwrap();
    let Err(error) = model().load(&abc) else {
        panic!("three letters are a model");
    };
    assert!(
        matches!(error, CheckpointError::Unreadable { .. }),
        "{error}"
    );
}

#[test]
fn checkpoints_without_digests_are_read_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    fit(training(folder.path(), line(), 2), learner()).unwrap();
    let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
    assert_eq!(checkpoints.last_whole(), Ok(Some(2)));
    let training = checkpoints
        .keep(training(folder.path(), line(), 3))
        .checkpoint(2);
    assert_eq!(fit(training, learner()).unwrap().model.steps(), 15);
}

#[test]
fn a_checkpoint_that_is_not_there_is_an_error_that_says_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let none = Checkpoints::new(folder.path().join("nowhere"));
    assert_eq!(none.last_whole(), Ok(None));
    let error = none.check(98).unwrap_err().to_string();
    assert!(
        error.ends_with("no checkpoint of epoch 98, nor one of another"),
        "{error}"
    );

    let checkpoints = trained(folder.path(), 2);
    let error = checkpoints.check(98).unwrap_err().to_string();
    assert!(
        error.ends_with("of epoch 98, only those of epochs 1, 2"),
        "{error}"
    );
    // One of three files alone is no checkpoint.
    fs::remove_file(checkpoints.folder().join("optim-2.bpk")).unwrap();
    let error = checkpoints.check(2).unwrap_err().to_string();
    assert!(
        error.ends_with("of epoch 2, only one of epoch 1"),
        "{error}"
    );
}

#[test]
fn a_checkpoint_that_is_deleted_takes_its_digest_along() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
    let training = training(folder.path(), line(), 5);
    let training = training.with_checkpointing_strategy(KeepLastNCheckpoints::new(2));
    fit(checkpoints.keep(training), learner()).unwrap();
    assert_eq!(checkpoints.epochs().unwrap(), [4, 5]);
    assert_eq!(fs::read_dir(checkpoints.folder()).unwrap().count(), 12);
}

#[test]
fn a_saved_model_is_loaded_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let saved = model();
    // The extension is Burn's where there is none.
    let path = folder.path().join("model.bpk");
    saved.save(folder.path().join("model")).unwrap();
    let loaded = model().load(folder.path().join("model")).unwrap();
    assert_eq!(weights(&loaded), weights(&saved));
    // Burn needs no digest.
    assert_eq!(weights(&model().load_file(&path)), weights(&saved));

    let absent = model().load(folder.path().join("other.bpk")).unwrap_err();
    assert!(absent.to_string().contains("other.bpk"), "{absent}");

    flip_bit(&path, 4001);
    let damaged = CheckpointError::Damaged { path: path.clone() };
    assert_eq!(model().load(&path).unwrap_err(), damaged);
    // Saved again, it is whole again.
    saved.save(&path).unwrap();
    model().load(&path).unwrap();
}

/// A disk that is full, say: the record is there, and its digest as well.
#[test]
fn a_record_that_could_not_be_replaced_is_still_whole_and_refused_once_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("model.bpk");
    model().save(&short).unwrap();
    // The name of what the next digest is written to first would be too long for a file.
    let path = folder.path().join(format!("{}.bpk", "m".repeat(226)));
    let digest = |path: &Path| path.with_added_extension("sha256");
    fs::rename(&short, &path).unwrap();
    fs::rename(digest(&short), digest(&path)).unwrap();
    assert!(model().save(&path).is_err());
    model().load(&path).unwrap();
    flip_bit(&path, 4001);
    let damaged = CheckpointError::Damaged { path: path.clone() };
    assert_eq!(model().load(&path).unwrap_err(), damaged);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn the_model_of_another_network_is_refused_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("linear.bpk");
    let linear = LinearConfig::new(1, 1).init(&Device::flex());
    linear.save_file(&path).unwrap();
    let error = model().load(&path).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Unreadable { .. }),
        "{error}"
    );
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn where_nothing_can_be_written_saving_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = model().save(file.join("model.bpk")).unwrap_err();
    assert!(
        matches!(error, CheckpointError::NotWritten { .. }),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_folder_in_which_a_training_saves_is_refused_to_a_second_until_the_first_ends() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = trained(folder.path(), 2);
    let first = fs::File::open(checkpoints.folder()).unwrap();
    first.try_lock().unwrap();
    let in_use = CheckpointError::InUse {
        folder: checkpoints.folder().into(),
    };
    let anew = || checkpoints.keep(training(folder.path(), line(), 3));
    let Err(FitError::Checkpoint(error)) = fit(anew().checkpoint(2), learner()) else {
        panic!("two trainings in one folder");
    };
    assert_eq!(error, in_use);
    let error = fit(anew(), learner()).unwrap_err().to_string();
    assert!(error.contains(&in_use.to_string()), "{error}");
    drop(first);
    assert_eq!(
        fit(anew().checkpoint(2), learner()).unwrap().model.steps(),
        15
    );
}

fn watched(folder: &Path, epochs: usize, best: &BestEpoch) -> SupervisedTraining<Model> {
    let checkpoints = Checkpoints::new(folder.join("checkpoint"));
    let training = checkpoints.keep(training(folder, line(), epochs));
    best.watch(MetricFiles::new(folder).keep(training), &checkpoints)
}

/// Has the optimizer's files not be saved from the third epoch on.
fn refusing_optimizer(
    training: SupervisedTraining<Model>,
    checkpoints: &Checkpoints,
) -> SupervisedTraining<Model> {
    /// Puts folders where their digests are to lie, when it hears of the second epoch: what lies there when the first
    /// is saved is an earlier training's.
    struct Refuse {
        folder: PathBuf,
        epoch: usize,
    }

    impl Write for Refuse {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.epoch += line.iter().filter(|byte| **byte == b'\n').count();
            if self.epoch == 2 {
                for epoch in 3..=6 {
                    fs::create_dir_all(self.folder.join(format!("optim-{epoch}.bpk.sha256")))?;
                }
            }
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let refuse = Refuse {
        folder: checkpoints.folder().into(),
        epoch: 0,
    };
    training.renderer(Box::new(EpochLines::to(refuse, 1)))
}

#[test]
fn the_last_checkpoint_stays_when_the_next_is_not_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
    let training = training(folder.path(), line(), 6)
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(1));
    let training = refusing_optimizer(training, &checkpoints);
    let error = fit(checkpoints.keep(training), learner()).unwrap_err();
    let written = CheckpointError::NotWritten {
        path: checkpoints.folder().join("optim-3.bpk"),
        reason: String::new(),
    };
    let FitError::Checkpoint(error) = error else {
        panic!("{error}");
    };
    assert!(
        error.to_string().starts_with(&written.to_string()),
        "{error}"
    );
    assert_eq!(checkpoints.last_whole(), Ok(Some(2)));
}

#[test]
fn an_epoch_whose_checkpoint_is_not_written_is_not_the_best() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [undisturbed, refused] = [(); 2].map(|()| BestEpoch::lowest(&NllMetric::new()));
    fit(watched(folders[0].path(), 6, &undisturbed), learner()).unwrap();
    assert!(undisturbed.epoch() >= Some(3), "{:?}", undisturbed.epoch());

    let checkpoints = Checkpoints::new(folders[1].path().join("checkpoint"));
    let training = refusing_optimizer(watched(folders[1].path(), 6, &refused), &checkpoints);
    fit(training, learner()).unwrap_err();
    assert_eq!(refused.epoch(), Some(2));
    assert!(refused.value() > undisturbed.value());
    assert_eq!(refused.load(model()).unwrap().steps(), 10);
}

fn nll_of(model: &Model) -> f64 {
    let batches = loader(line());
    let mut sum = 0.0;
    for batch in batches.iter() {
        let output = burn::train::InferenceStep::step(model, batch.unwrap());
        sum += f64::from(output.predictive_nll.sum().into_scalar::<f32>());
    }
    sum / line().len() as f64
}

#[test]
fn the_best_epochs_model_is_kept_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let best = BestEpoch::lowest(&NllMetric::new());
    let end = fit(watched(folder.path(), 12, &best), learner()).unwrap();
    let epoch = best.epoch().unwrap();
    let model = best.load(end.model).unwrap();
    assert_eq!(model.steps(), 5 * epoch as u64);
    assert!((nll_of(&model) - best.value().unwrap()).abs() < 1e-5);
    assert_eq!(best.stopped_in(), None);
    let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
    let mut kept = vec![epoch, 11, 12];
    kept.sort_unstable();
    kept.dedup();
    assert_eq!(checkpoints.epochs().unwrap(), kept);
}

#[test]
fn a_training_without_a_better_epoch_stops_after_its_patience() {
    let folder = tempfile::tempdir().unwrap();
    // The worst loss is the first: nothing after it is better.
    let best = BestEpoch::highest(&NllMetric::new()).with_patience(3);
    let end = fit(watched(folder.path(), 20, &best), learner()).unwrap();
    assert_eq!((best.epoch(), best.stopped_in()), (Some(1), Some(4)));
    assert_eq!(end.model.steps(), 5 * 4);
    assert_eq!(best.load(end.model).unwrap().steps(), 5);
}

#[test]
fn a_training_that_goes_on_remembers_its_best_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let best = BestEpoch::highest(&NllMetric::new());
    fit(watched(folder.path(), 3, &best), learner()).unwrap();
    assert_eq!(best.epoch(), Some(1));
    let again = BestEpoch::highest(&NllMetric::new()).with_patience(4);
    let training = watched(folder.path(), 9, &again).checkpoint(3);
    let end = fit(training, learner()).unwrap();
    assert_eq!((again.epoch(), again.stopped_in()), (Some(1), Some(5)));
    assert_eq!(again.value(), best.value());
    assert_eq!(again.load(end.model).unwrap().steps(), 5);
}

#[test]
fn a_training_that_goes_on_leaves_the_best_and_the_last_two_of_all_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    let run = |epochs: usize, from: Option<usize>| {
        // The first is the best, whatever comes.
        let best = BestEpoch::highest(&NllMetric::new());
        let training = watched(folder.path(), epochs, &best);
        let training = match from {
            Some(epoch) => training.checkpoint(epoch),
            None => training,
        };
        fit(training, learner()).unwrap();
        let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
        checkpoints.epochs().unwrap()
    };
    assert_eq!(run(4, None), [1, 3, 4]);
    assert_eq!(run(7, Some(4)), [1, 6, 7]);
    assert_eq!(run(10, Some(7)), [1, 9, 10]);
}

/// Checkpoints that another strategy kept on purpose are not a `BestEpoch`'s to delete, though each was the best when
/// it was saved.
#[test]
fn a_training_that_goes_on_deletes_of_earlier_ones_the_best_and_the_last_two_alone() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
    let all = checkpoints.keep(training(folder.path(), line(), 6));
    fit(MetricFiles::new(folder.path()).keep(all), learner()).unwrap();
    assert_eq!(checkpoints.epochs().unwrap(), [1, 2, 3, 4, 5, 6]);
    let best = BestEpoch::lowest(&NllMetric::new());
    let training = watched(folder.path(), 8, &best).checkpoint(6);
    fit(training, learner()).unwrap();
    assert_eq!(best.epoch(), Some(8));
    assert_eq!(checkpoints.epochs().unwrap(), [1, 2, 3, 4, 7, 8]);
}

#[test]
fn the_best_epoch_is_known_to_a_training_with_nothing_left_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
    let files = MetricFiles::new(folder.path());
    let best = BestEpoch::highest(&NllMetric::new());
    fit(watched(folder.path(), 5, &best), learner()).unwrap();
    assert_eq!(best.epoch(), Some(1));
    let again = BestEpoch::highest(&NllMetric::new());
    let over = |best: &BestEpoch| watched(folder.path(), 5, best).checkpoint(5);
    let end = fit(over(&again), learner()).unwrap().model;
    assert_eq!(again.epoch(), None);
    assert!(matches!(
        again.load(end),
        Err(CheckpointError::NoBest { .. })
    ));

    let again = BestEpoch::highest(&NllMetric::new()).with_files(&files);
    let end = fit(over(&again), learner()).unwrap().model;
    assert_eq!((again.epoch(), again.value()), (Some(1), best.value()));
    assert_eq!(again.load(end).unwrap().steps(), 5);
    // One that is stopped in its first epoch, after it had returned.
    let lowest = BestEpoch::lowest(&NllMetric::new()).with_files(&files);
    let training = watched(folder.path(), 9, &lowest).checkpoint(4);
    training.interrupter().stop(None);
    let stopped = fit(training, learner()).unwrap();
    assert!(stopped.interrupted.is_some());
    assert_eq!(checkpoints.epochs().unwrap(), [1, 4, 5]);
    assert_eq!(lowest.epoch(), Some(4));
    // One that begins anew has none before it is through an epoch, whatever another run left.
    let anew = BestEpoch::lowest(&NllMetric::new()).with_files(&files);
    let training = watched(folder.path(), 9, &anew);
    training.interrupter().stop(None);
    let stopped = fit(training, learner()).unwrap();
    assert_eq!((anew.epoch(), anew.value()), (None, None));
    assert!(matches!(
        anew.load(stopped.model),
        Err(CheckpointError::NoBest { .. })
    ));
}

#[test]
fn a_look_at_an_earlier_epoch_takes_no_checkpoint_away() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = trained(folder.path(), 6);
    for epoch in [5, 3] {
        let over = checkpoints.keep(training(folder.path(), line(), epoch));
        let looked = fit(over.checkpoint(epoch), learner()).unwrap();
        assert_eq!(looked.model.steps(), 5 * epoch as u64);
        // Nor does one that fails before it has saved any.
        let none = checkpoints.keep(training(folder.path(), Vec::new(), 9));
        assert!(fit(none.checkpoint(epoch), learner()).is_err());
        assert_eq!(checkpoints.epochs().unwrap(), [1, 2, 3, 4, 5, 6]);
    }
    assert!(!checkpoints.folder().join("previous").exists());
}

#[test]
fn a_training_that_returned_goes_on_from_its_own_last_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = trained(folder.path(), 6);
    let run = |epochs, from: usize| {
        let training = checkpoints.keep(training(folder.path(), line(), epochs));
        fit(training.checkpoint(from), learner()).unwrap().model
    };
    run(4, 2);
    assert_eq!(checkpoints.last_whole(), Ok(Some(4)));
    assert_eq!(checkpoints.epochs().unwrap(), [1, 2, 3, 4]);
    // Nothing that was saved is lost.
    let previous = Checkpoints::new(checkpoints.folder().join("previous"));
    assert_eq!(previous.epochs().unwrap(), [3, 4, 5, 6]);
    assert_eq!(previous.last_whole(), Ok(Some(6)));
    assert_eq!(run(5, 4).steps(), 25);
    assert_eq!(previous.epochs().unwrap(), [3, 4, 5, 6]);
    // And so it is of one that begins anew.
    trained(folder.path(), 1);
    assert_eq!(checkpoints.last_whole(), Ok(Some(1)));
    assert_eq!(previous.epochs().unwrap(), [1, 2, 3, 4, 5]);
}

/// Without the metrics' files nobody knows whether an earlier epoch is the best of all.
#[test]
fn a_training_that_goes_on_leaves_checkpoints_whose_metric_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
    let best = BestEpoch::highest(&NllMetric::new());
    fit(watched(folder.path(), 4, &best), learner()).unwrap();
    assert_eq!(checkpoints.epochs().unwrap(), [1, 3, 4]);
    let again = BestEpoch::highest(&NllMetric::new());
    let training = checkpoints
        .keep(training(folder.path(), line(), 8))
        .checkpoint(4);
    fit(again.watch(training, &checkpoints), learner()).unwrap();
    assert_eq!(again.epoch(), Some(5));
    assert_eq!(checkpoints.epochs().unwrap(), [1, 3, 4, 5, 7, 8]);
}

/// A layer whose weight is saved transposed.
fn columns(seed: u64) -> ElboModel<Net, GaussianLikelihood> {
    let device = Device::flex().autodiff();
    device.seed(seed);
    let layer = BayesianLinearConfig::new(3, 2)
        .with_layout(LinearLayout::Col)
        .init(&device);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .init(&device);
    ElboModel::new(Net { layer }, likelihood, ElboConfig::new(6).init())
}

#[test]
fn a_weight_that_is_saved_transposed_comes_back_into_a_new_model_and_a_used_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bpk");
    let saved = columns(1);
    saved.save(&path).unwrap();
    let weight = |model: &ElboModel<Net, GaussianLikelihood>| {
        assert_eq!(model.network.layer.weight.base().dims(), [3, 2]);
        values(model.network.layer.weight.base())
    };
    let new = columns(2);
    let used = columns(3);
    assert_ne!(weight(&used), weight(&saved));
    for other in [new, used.clone(), used.valid()] {
        let loaded = other.load(&path).unwrap();
        assert_eq!(weight(&loaded), weight(&saved));
        // And again into what was loaded, and as a training goes on.
        assert_eq!(weight(&loaded.load(&path).unwrap()), weight(&saved));
    }
    assert!(
        used.load(&path)
            .unwrap()
            .network
            .layer
            .weight
            .base()
            .is_require_grad()
    );
}

#[test]
fn a_training_of_a_weight_that_is_saved_transposed_goes_on() {
    let rows = vec![
        ([1.0, 0.5, -1.0], [1.0, 0.0]),
        ([0.2, -0.4, 0.6], [0.5, -0.5]),
    ];
    let batches = || {
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(1)
            .build(InMemDataset::new(rows.clone()))
    };
    let run = |folder: &Path, epochs| {
        SupervisedTraining::new(folder, batches(), batches())
            .with_default_checkpointers()
            .with_application_logger(None)
            .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
            .num_epochs(epochs)
    };
    let learner = || Learner::new(columns(4), AdamConfig::new().init(), 0.05);
    let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let expected = fit(run(whole.path(), 3), learner()).unwrap().model;
    fit(run(parts.path(), 2), learner()).unwrap();
    let resumed = fit(run(parts.path(), 3).checkpoint(2), learner())
        .unwrap()
        .model;
    let weight =
        |model: &ElboModel<Net, GaussianLikelihood>| values(model.network.layer.weight.base());
    assert_eq!(weight(&resumed), weight(&expected));
}

#[test]
fn a_metric_that_the_training_has_not_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let best = BestEpoch::lowest(&EceMetric::new()).with_patience(1);
    let end = fit(watched(folder.path(), 3, &best), learner()).unwrap();
    assert_eq!(best.epoch(), None);
    let error = best.load(end.model).unwrap_err();
    assert!(error.to_string().contains("\"ECE\""), "{error}");
}

#[test]
fn a_record_without_posteriors_is_refused_with_the_way_into_the_means() {
    let device = Device::flex();
    let model = |config: Option<&BayesianizeConfig>| {
        let layer = LinearConfig::new(2, 1).init(&device);
        let layer = match config {
            Some(config) => layer.bayesianize(config),
            None => layer,
        };
        let likelihood = GaussianLikelihoodConfig::new().init(&device);
        ElboModel::new(LinearNet { layer }, likelihood, ElboConfig::new(1).init())
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deterministic.bpk");
    let deterministic = model(None);
    deterministic.save(&path).unwrap();

    let bayesian = model(Some(&BayesianizeConfig::new()));
    let error = bayesian.clone().load(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("goes into the means, within `map_means`"),
        "{error}"
    );
    // And that is the way.
    let loaded = bayesian.map_means(|means| means.load(&path)).unwrap();
    assert_eq!(loaded.network.num_bayesian_weights(), 3);
    let weight = |model: &ElboModel<LinearNet, GaussianLikelihood>| {
        values(model.network.layer.weight.base())
    };
    assert_eq!(weight(&loaded), weight(&deterministic));
}

/// Casts all weights.
struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| {
            let trains = weight.is_require_grad();
            let constant = weight.detach().set_require_grad(false);
            constant.cast(self.0).set_require_grad(trains)
        })
    }
}

/// The type of each weight, its numbers, and whether it requires a gradient.
#[derive(Debug, Default, PartialEq)]
struct Weights(Vec<(DType, Vec<f64>, bool)>);

impl Weights {
    fn of(model: &Model) -> Self {
        let mut weights = Self::default();
        model.visit(&mut weights);
        weights
    }
}

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weight = param.base();
        let trains = weight.is_require_grad();
        self.0.push((weight.dtype(), values(weight), trains));
    }
}

#[test]
fn a_file_of_other_types_is_loaded_into_those_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let types = [DType::F64, DType::F32, DType::F16, DType::BF16];
    let fitted = fit(training(folder.path(), line(), 1), learner()).unwrap();
    for saved in types {
        let of_file = fitted.model.clone().train().map(&mut Cast(saved));
        of_file.save(&path).unwrap();
        for own in types {
            let loaded = model().map(&mut Cast(own)).load(&path).unwrap();
            let expected = of_file.clone().map(&mut Cast(own));
            assert_eq!(Weights::of(&loaded), Weights::of(&expected));
            assert_eq!(loaded.steps(), fitted.model.steps());
            let x = Tensor::<2>::from_data([[0.5]], (&Device::flex(), own));
            let predicted = |model: Model| model.valid().predict(x.clone(), 3, 0);
            assert_eq!(predicted(loaded), predicted(expected));
        }
    }
}

/// All numbers are this one.
struct Fill(f64);

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| weight.detach() * 0.0 + self.0)
    }
}

/// Burn's Flex reads the tensors of a record when they are first used, from its file.
#[test]
fn what_was_loaded_stays_when_its_file_is_replaced_or_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bpk");
    let saved = |value: f64| model().map(&mut Fill(value)).save(&path).unwrap();
    saved(0.25);
    let loaded = || model().load(&path).unwrap();
    let [replaced, cut, removed] = [loaded(), loaded().valid(), loaded()];
    saved(0.5);
    assert!(weights(&replaced).iter().all(|weight| *weight == 0.25));
    fs::write(&path, "cut").unwrap();
    assert!(weights(&cut).iter().all(|weight| *weight == 0.25));
    fs::remove_file(&path).unwrap();
    removed.save(&path).unwrap();
    assert!(weights(&removed).iter().all(|weight| *weight == 0.25));
}

/// As above, of a training that only goes on.
#[test]
fn a_model_of_a_training_with_nothing_left_to_do_stays_when_another_one_saves() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = trained(folder.path(), 2);
    let path = checkpoints.folder().join("model-2.bpk");
    let expected = weights(&model().load(&path).unwrap());
    let training = checkpoints
        .keep(training(folder.path(), line(), 2))
        .checkpoint(2);
    let fitted = fit(training, learner()).unwrap();
    model().map(&mut Fill(0.5)).save(&path).unwrap();
    assert_eq!(weights(&fitted.model), expected);
}

#[test]
fn a_number_that_the_types_of_the_model_have_no_room_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bpk");
    let saved_and_loaded = |value: f64, saved: DType, own: DType| {
        let filled = model().map(&mut Cast(saved)).map(&mut Fill(value));
        filled.save(&path).unwrap();
        model().map(&mut Cast(own)).load(&path)
    };
    // 65,519 is rounded to 65,504, the largest of `f16`; what is infinite in the file is so by itself.
    for value in [65_519.0, -65_519.0, f64::INFINITY] {
        saved_and_loaded(value, DType::F32, DType::F16).unwrap();
    }
    for (value, saved, own) in [
        (1e5, DType::F32, DType::F16),
        (-1e5, DType::BF16, DType::F16),
        (1e300, DType::F64, DType::F32),
        (1e39, DType::F64, DType::BF16),
    ] {
        let error = saved_and_loaded(value, saved, own).unwrap_err();
        let CheckpointError::Unreadable { path: file, reason } = error else {
            panic!("{error}");
        };
        assert_eq!(file, path);
        assert!(
            reason.starts_with("network.layer.weight has the number ")
                && reason.ends_with(&format!("which is infinite in {own:?}, the model's type")),
            "{reason}"
        );
    }
}

#[test]
fn a_training_does_not_go_on_from_a_checkpoint_of_other_types() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = trained(folder.path(), 2);
    let training = checkpoints.keep(training(folder.path(), line(), 4));
    let model = model().map(&mut Cast(DType::F64));
    let learner = Learner::new(model, AdamConfig::new().init(), 0.05);
    let error = fit(training.checkpoint(2), learner).unwrap_err();
    let FitError::Checkpoint(CheckpointError::Refused { part, reason }) = error else {
        panic!("{error}");
    };
    assert_eq!(part, "model");
    assert!(
        reason.starts_with("network.layer.weight is F32 there and F64 here"),
        "{reason}"
    );
}
