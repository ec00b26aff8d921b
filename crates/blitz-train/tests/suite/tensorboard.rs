//! Event files for TensorBoard. `tensorboard_reference.py` reads the same folder with TensorBoard itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use blitz_train::prelude::*;
use blitz_train::{Checkpoints, FitError, LayerKlMetric, MetricFiles, TensorBoardFiles};
use burn::train::SupervisedTraining;
use burn::train::metric::NumericEntry;

use crate::learner::{bare, learner, training};
use crate::line::{line, loader, meanwhile};

/// The records of an event file; its lengths have to fit.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        records.push(rest[12..12 + length].to_vec());
        rest = &rest[16 + length..];
    }
    records
}

/// What a record says beside its time: a step, and the tag and value of a scalar.
fn event(record: &[u8]) -> (u64, Option<(String, f32)>) {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    }
    let mut rest = &record[9..];
    let (mut step, mut scalar) = (0, None);
    while !rest.is_empty() {
        match varint(&mut rest) {
            0x10 => step = varint(&mut rest),
            key => {
                let length = varint(&mut rest) as usize;
                let (inside, after) = rest.split_at(length);
                rest = after;
                if key == 0x2a {
                    let mut inside = inside;
                    assert_eq!(varint(&mut inside), 0x0a);
                    varint(&mut inside);
                    assert_eq!(varint(&mut inside), 0x0a);
                    let length = varint(&mut inside) as usize;
                    let tag = String::from_utf8(inside[..length].to_vec()).unwrap();
                    let value = inside[length + 1..].try_into().unwrap();
                    scalar = Some((tag, f32::from_le_bytes(value)));
                }
            }
        }
    }
    (step, scalar)
}

/// The event files of a run, the first first.
fn event_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_events = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .contains("tfevents")
    };
    let mut files: Vec<_> = entries.filter(is_events).collect();
    files.sort();
    files
}

type Points = BTreeMap<String, Vec<(u64, f32)>>;

fn points(file: &Path) -> Points {
    let mut points = Points::new();
    for record in records(file) {
        if let (step, Some((tag, value))) = event(&record) {
            points.entry(tag).or_default().push((step, value));
        }
    }
    points
}

#[test]
fn an_epoch_is_a_point_and_a_training_that_goes_on_counts_on() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("BLITZ_TENSORBOARD");
    let folder = folder.map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
    let checkpoints = Checkpoints::new(folder.join("checkpoint"));
    let run = |epochs, after: Option<usize>| {
        let training = training(&folder, line(), epochs);
        let training = TensorBoardFiles::new(&folder).keep(training);
        let training = MetricFiles::new(&folder).keep(checkpoints.keep(training));
        let training = match after {
            Some(epoch) => training.checkpoint(epoch),
            None => training,
        };
        fit(training, learner()).unwrap();
    };
    run(3, None);
    // From the second epoch: the third is run again.
    run(4, Some(2));

    for split in ["train", "valid"] {
        let [first, second] = &event_files(&folder.join(split))[..] else {
            panic!("{split}")
        };
        let heads: Vec<_> = [first, second]
            .map(|file| event(&records(file)[1]).0)
            .into();
        assert_eq!(heads, [1, 3], "{split}");
        let (first, second) = (points(first), points(second));
        let tags: Vec<_> = first.keys().map(String::as_str).collect();
        assert_eq!(
            tags,
            ["Coverage 95%", "KL", "Loss", "NLL", "RMSE"],
            "{split}"
        );
        for (tag, points) in &first {
            let steps: Vec<_> = points
                .iter()
                .chain(&second[tag])
                .map(|point| point.0)
                .collect();
            assert_eq!(steps, [1, 2, 3, 3, 4], "{tag}");
        }
        // The value of an epoch is what Burn's files have as its last.
        for (step, value) in &second["NLL"] {
            let file = folder.join(format!("{split}/epoch-{step}/NLL.log"));
            let text = fs::read_to_string(file).unwrap();
            let last = NumericEntry::deserialize(text.lines().last().unwrap()).unwrap();
            let NumericEntry::Final(whole) = last else {
                panic!("{last:?}")
            };
            assert_eq!(whole as f32, *value);
        }
    }
}

#[test]
fn the_kl_of_a_layer_is_its_share_and_its_change_begins_at_zero() {
    let folder = tempfile::tempdir().unwrap();
    let training = SupervisedTraining::new(folder.path(), loader(line()), loader(line()))
        .metrics((
            KlMetric::new(),
            LayerKlMetric::new("layer.weight"),
            LayerKlMetric::new("layer.bias"),
            LayerKlMetric::new("").from_start(),
            LayerKlMetric::new("lay"),
        ))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(3);
    let training = TensorBoardFiles::new(folder.path()).keep(training);
    fit(training, learner()).unwrap();
    let points = points(&event_files(&folder.path().join("valid"))[0]);
    let at = |tag: &str| {
        let all = points
            .get(tag)
            .unwrap_or_else(|| panic!("{tag}: {:?}", points.keys()));
        all.iter()
            .map(|point| f64::from(point.1))
            .collect::<Vec<_>>()
    };
    let (whole, weight, bias) = (at("KL"), at("KL of layer.weight"), at("KL of layer.bias"));
    for epoch in 0..3 {
        let sum = weight[epoch] + bias[epoch];
        assert!(
            (sum / whole[epoch] - 1.0).abs() < 1e-5,
            "{sum} for {}",
            whole[epoch]
        );
    }
    // A start common to training and validation: it moves as the KL does.
    let change = at("KL change of all layers");
    assert!((change[2] - change[1] - (whole[2] - whole[1])).abs() < 1e-4);
    assert!(change[2].abs() > 0.1, "{change:?}");
    // A part of a name is no layer.
    assert!(at("KL of lay").iter().all(|kl| kl.is_nan()));
}

/// Of five batches an epoch, one in the middle of the third.
const IN_THE_THIRD_EPOCH: usize = 13;

#[test]
fn a_folder_that_cannot_be_written_ends_a_training_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let [out, kept] = ["run", "kept"].map(|name| folder.path().join(name));
    let data = {
        let (out, kept) = (out.clone(), kept.clone());
        meanwhile(IN_THE_THIRD_EPOCH, move |_| {
            fs::rename(&out, &kept).unwrap();
            fs::write(&out, "").unwrap();
        })
    };
    let error = fit(
        TensorBoardFiles::new(&out).keep(bare(&out, data, 4)),
        learner(),
    )
    .unwrap_err();
    let FitError::Metrics { path, reason } = error else {
        panic!("{error}")
    };
    assert!(path.starts_with(out.join("train")), "{path:?}");
    assert!(reason.contains("ot a directory"), "{reason}");
    // What was written is whole.
    let written = points(&event_files(&kept.join("valid"))[0]);
    assert_eq!(
        written["Loss"]
            .iter()
            .map(|point| point.0)
            .collect::<Vec<_>>(),
        [1, 2]
    );
}

#[test]
fn a_folder_that_is_only_removed_is_made_anew_and_begins_where_the_training_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let data = {
        let out = out.clone();
        meanwhile(IN_THE_THIRD_EPOCH, move |_| {
            fs::remove_dir_all(&out).unwrap()
        })
    };
    fit(
        TensorBoardFiles::new(&out).keep(bare(&out, data, 4)),
        learner(),
    )
    .unwrap();
    let file = &event_files(&out.join("train"))[0];
    assert_eq!(event(&records(file)[1]).0, 3);
    assert_eq!(
        points(file)["Loss"]
            .iter()
            .map(|point| point.0)
            .collect::<Vec<_>>(),
        [3, 4]
    );
}
