//! Every reader of files that the libraries, the examples' support and `finetune` have, with sound files for it.

use std::fs;
use std::io::Write;
use std::path::Path;

use blitz_train::calibration::{
    AdaptiveSets, AdaptiveSetsConfig, ConformalQuantiles, HistogramBinning, HistogramClasses,
    IsotonicClasses, IsotonicRegression, LeastAmbiguousSets, MatrixScalingConfig,
    NormalizedSplitConformal, QuantileRecalibration, SortedSetsConfig, SplitConformal,
    TemperatureScaling, VectorScaling,
};
use blitz_train::prelude::*;
use blitz_train::{InputError, Interval};
use burn::config::Config;
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::store::{ModuleSnapshot, PytorchStore, PytorchStoreError, SafetensorsStore};
use burn::tensor::Device;
use burn::train::Interrupter;
use example_support::cifar;
use example_support::classification::Data;
use example_support::digits;
use example_support::series::Series;
use example_support::tabular::{Header, Split, Table};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{posteriors, texts};
use crate::work::{self, checkpoints, model, try_fingerprint};

/// What would notice other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    Digest,
    None,
}

type Read = Box<dyn Fn(&Path) -> Result<Vec<u64>, String>>;

/// A reader, and the sound files of a folder that it reads.
pub(crate) struct Reader {
    pub(crate) name: &'static str,
    pub(super) guard: Guard,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(super) read: Read,
}

/// All of them; `folder` is for what makes their files.
pub(crate) fn readers(folder: &Path) -> Vec<Reader> {
    let mut readers = saved(folder);
    readers.extend(tables());
    readers.extend(images());
    readers.extend(configurations());
    readers.extend(calibrators());
    readers.extend(posteriors::readers(folder));
    readers.extend(texts::readers());
    readers
}

pub(super) fn reader(
    name: &'static str,
    guard: Guard,
    files: Vec<(String, Vec<u8>)>,
    read: impl Fn(&Path) -> Result<Vec<u64>, String> + 'static,
) -> Reader {
    Reader {
        name,
        guard,
        files,
        read: Box::new(read),
    }
}

pub(super) fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn bits(values: impl IntoIterator<Item = f64>) -> Vec<u64> {
    values.into_iter().map(f64::to_bits).collect()
}

/// What trainings save.
fn saved(folder: &Path) -> Vec<Reader> {
    const EPOCHS: usize = 2;
    let never = Interrupter::new();
    let trained = work::train(1, folder, EPOCHS, None, &never).expect("a training");
    trained.save(folder.join("model.bpk")).expect("a model");
    let mut tensors = SafetensorsStore::from_file(folder.join("net.safetensors"));
    let saved = trained.network.save_into(&mut tensors);
    saved.expect("tensors");

    let files = |names: &[String]| -> Vec<(String, Vec<u8>)> {
        let file = |name: &String| (name.clone(), fs::read(folder.join(name)).expect("a file"));
        names.iter().map(file).collect()
    };
    let parts = ["model", "optim", "scheduler"].iter().flat_map(|part| {
        ["", ".sha256"].map(|digest| format!("checkpoint/{part}-{EPOCHS}.bpk{digest}"))
    });
    let parts: Vec<String> = parts.collect();
    let model_file = ["model.bpk".to_string()];
    let with_digest = ["model.bpk".to_string(), "model.bpk.sha256".to_string()];
    vec![
        reader(
            "a checkpoint, checked",
            Guard::Digest,
            files(&parts),
            |folder| {
                let checkpoints = checkpoints(folder);
                checkpoints.check(EPOCHS).map_err(sentence)?;
                let file = checkpoints.folder().join(format!("model-{EPOCHS}.bpk"));
                let model = model(2).load(file).map_err(sentence)?;
                try_fingerprint(&model).map_err(sentence)
            },
        ),
        reader(
            "a checkpoint, trained on",
            Guard::Digest,
            files(&parts),
            |folder| {
                let never = Interrupter::new();
                let trained = work::train(1, folder, EPOCHS + 1, Some(EPOCHS), &never);
                try_fingerprint(&trained.map_err(sentence)?).map_err(sentence)
            },
        ),
        reader(
            "a model with its digest",
            Guard::Digest,
            files(&with_digest),
            |folder| {
                let model = model(2).load(folder.join("model.bpk")).map_err(sentence)?;
                try_fingerprint(&model).map_err(sentence)
            },
        ),
        reader(
            "a model without a digest",
            Guard::None,
            files(&model_file),
            |folder| {
                let model = model(2).load(folder.join("model.bpk")).map_err(sentence)?;
                try_fingerprint(&model).map_err(sentence)
            },
        ),
        reader(
            "a Burn record by try_load_file",
            Guard::None,
            files(&model_file),
            |folder| {
                let model = model(2);
                let loaded = model.try_load_file(folder.join("model.bpk"));
                try_fingerprint(&loaded.map_err(sentence)?).map_err(sentence)
            },
        ),
        reader(
            "safetensors by burn-store",
            Guard::None,
            files(&["net.safetensors".to_string()]),
            |folder| {
                let mut model = model(2);
                let mut store = SafetensorsStore::from_file(folder.join("net.safetensors"));
                model.network.load_from(&mut store).map_err(sentence)?;
                try_fingerprint(&model).map_err(sentence)
            },
        ),
        reader(
            "PyTorch by burn-store",
            Guard::None,
            vec![("net.pt".into(), NET_PT.to_vec())],
            |folder| {
                let mut store = PytorchStore::from_file(folder.join("net.pt"));
                let net = Pytorch::new(&Device::flex()).map_means(|mut means| {
                    means.load_from(&mut store)?;
                    Ok::<_, PytorchStoreError>(means)
                });
                Ok(net.map_err(sentence)?.values())
            },
        ),
    ]
}

const NET_PT: &[u8] = include_bytes!("../../../crates/blitz-core/tests/suite/data/net.pt");

/// The network that the file of PyTorch's has weights for.
#[derive(Module, Debug)]
struct Pytorch {
    hidden: Linear,
    norm: BatchNorm,
    output: Linear,
}

impl Pytorch {
    fn new(device: &Device) -> Self {
        let net = Self {
            hidden: LinearConfig::new(3, 5).init(device),
            norm: BatchNormConfig::new(5).init(device),
            output: LinearConfig::new(5, 2).with_bias(false).init(device),
        };
        net.bayesianize(&BayesianizeConfig::new())
    }

    /// The means of the weights.
    fn values(&self) -> Vec<u64> {
        let weights = [self.hidden.weight.base(), self.output.weight.base()];
        let values = weights.map(|weight| weight.into_data().try_to_vec::<f32>());
        let values = values
            .into_iter()
            .flat_map(|values| values.expect("floats"));
        values.map(|value| u64::from(value.to_bits())).collect()
    }
}

/// Tables of numbers.
fn tables() -> Vec<Reader> {
    let rows = (0..30).map(|i| format!("{},{},{}\n", i % 7, f64::from(i) / 8.0, 100 - i));
    let table = format!("a,b,y\n{}", rows.collect::<String>());
    let series = (0..60).map(|i| format!("{},{}\n", 1900 + i, f64::from(i % 11) / 4.0));
    let series = format!("year,value\n{}", series.collect::<String>());
    let splits = "0 1 2\n3 4 5\n6 7 8\n";
    let table_values = |table: &Table| {
        let all: Vec<usize> = (0..table.n_rows()).collect();
        let mut values = table.features_of(&all);
        values.extend(table.targets_of(&all));
        let (inputs, _) = table.standardizers(&all).map_err(sentence)?;
        values.extend(inputs.std);
        Ok(bits(values))
    };
    vec![
        reader(
            "a CSV table",
            Guard::None,
            one("t.csv", table),
            move |folder| {
                let table = Table::read(&folder.join("t.csv"), Header::Auto).map_err(sentence)?;
                table_values(&table)
            },
        ),
        reader("splits", Guard::None, one("s.txt", splits), |folder| {
            let splits = Split::read_all(&folder.join("s.txt"), 30).map_err(sentence)?;
            let rows = splits
                .iter()
                .flat_map(|split| split.test.iter().chain(&split.train));
            Ok(rows.map(|row| *row as u64).collect())
        }),
        reader(
            "a time series",
            Guard::None,
            one("s.csv", series),
            |folder| {
                let series = Series::read(&folder.join("s.csv"), Header::Auto).map_err(sentence)?;
                let windows = series.windows(5).len() as f64;
                let values = series.times.iter().chain(&series.values).copied();
                Ok(bits(values.chain([windows])))
            },
        ),
    ]
}

pub(super) fn one(name: &str, text: impl Into<String>) -> Vec<(String, Vec<u8>)> {
    vec![(name.into(), text.into().into_bytes())]
}

/// Image files.
fn images() -> Vec<Reader> {
    const COUNT: u8 = 6;
    let idx = |dims: &[u32], values: Vec<u8>| {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        bytes.extend(dims.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(values);
        bytes
    };
    let pixels = |count: usize| (0..count).map(|i| (i * 7) as u8).collect::<Vec<u8>>();
    let idx_files = ["train", "t10k"].iter().flat_map(|set| {
        let images = idx(
            &[u32::from(COUNT), 28, 28],
            pixels(usize::from(COUNT) * 28 * 28),
        );
        let labels = idx(&[u32::from(COUNT)], (0..COUNT).collect());
        [
            (format!("{set}-images-idx3-ubyte"), images),
            (format!("{set}-labels-idx1-ubyte"), labels),
        ]
    });
    let idx_files: Vec<(String, Vec<u8>)> = idx_files.collect();
    let packed = idx_files.iter().map(|(name, bytes)| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("room in memory");
        let packed = encoder.finish().expect("room in memory");
        (format!("{name}.gz"), packed)
    });
    let packed = packed.collect();
    let records = (0..COUNT).flat_map(|label| [vec![label], pixels(3 * 32 * 32)].concat());
    let records: Vec<u8> = records.collect();
    let cifar_files = vec![
        ("data_batch_1.bin".into(), records.clone()),
        ("test_batch.bin".into(), records),
    ];
    let values = |data: &Data| {
        let sets = [&data.train, &data.test];
        let of_set = |set: &example_support::images::Images| -> Vec<u64> {
            let pixels = (0..set.len()).flat_map(|i| set.image(i).to_vec());
            let labels = set.labels().into_iter().map(|label| label as u64);
            pixels.map(u64::from).chain(labels).collect()
        };
        sets.iter()
            .flat_map(|set| of_set(set))
            .collect::<Vec<u64>>()
    };
    let read_idx = move |folder: &Path| {
        digits::idx(folder)
            .map(|data| values(&data))
            .map_err(sentence)
    };
    vec![
        reader("IDX images", Guard::None, idx_files, read_idx),
        reader("IDX images, compressed", Guard::None, packed, read_idx),
        reader("CIFAR images", Guard::None, cifar_files, move |folder| {
            cifar::read(folder)
                .map(|data| values(&data))
                .map_err(sentence)
        }),
    ]
}

/// Configurations as JSON, read and checked as far as they can be without a panic.
fn configurations() -> Vec<Reader> {
    fn config<C: Config + std::fmt::Display + 'static>(
        name: &'static str,
        config: &C,
        values: impl Fn(C) -> Result<Vec<u64>, String> + 'static,
    ) -> Reader {
        let text = config.to_string();
        reader(name, Guard::None, one("config.json", text), move |folder| {
            let config = C::load(folder.join("config.json")).map_err(sentence)?;
            values(config)
        })
    }
    let text_of = |text: String| Ok(text.bytes().map(u64::from).collect());
    vec![
        config(
            "ElboConfig",
            &ElboConfig::new(40).with_samples(2).with_seed(7),
            move |config| {
                config.try_init().map_err(sentence)?;
                text_of(config.to_string())
            },
        ),
        config(
            "PosteriorConfig",
            &PosteriorConfig::student_t(5.0, 0.1),
            move |config| text_of(config.to_string()),
        ),
        config(
            "PriorConfig",
            &PriorConfig::scale_mixture(0.5, 1.0, 0.1),
            move |config| text_of(config.to_string()),
        ),
        config(
            "BayesianLinearConfig",
            &BayesianLinearConfig::new(3, 2),
            move |config| text_of(config.to_string()),
        ),
    ]
}

/// The state of calibrators as JSON, applied once it is read.
fn calibrators() -> Vec<Reader> {
    fn state<C: Serialize + DeserializeOwned + 'static>(
        name: &'static str,
        fitted: &C,
        apply: impl Fn(&C) -> Result<Vec<f64>, InputError> + 'static,
    ) -> Reader {
        let text = serde_json::to_string(fitted).expect("numbers");
        reader(name, Guard::None, one("state.json", text), move |folder| {
            let text = fs::read_to_string(folder.join("state.json")).map_err(sentence)?;
            let state: C = serde_json::from_str(&text).map_err(sentence)?;
            Ok(bits(apply(&state).map_err(sentence)?))
        })
    }
    fn ends(intervals: Vec<Interval>) -> Vec<f64> {
        let ends = |interval: Interval| [interval.lower, interval.upper];
        intervals.into_iter().flat_map(ends).collect()
    }
    fn flat(sets: Vec<Vec<usize>>) -> Vec<f64> {
        let classes = sets.into_iter().flatten();
        classes.map(|class| class as f64).collect()
    }
    let penalized = MatrixScalingConfig::new()
        .with_off_diagonal(1e-2)
        .with_offset(1e-2);
    let logits = [2.0, 1.0, 2.0, 1.0, 1.0, 3.0, 1.0, 3.0, 0.0, 0.5, 0.0, 0.5];
    let labels = [0, 1, 0, 1, 1, 0];
    let p = [0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.4, 0.6, 0.2, 0.8, 0.6, 0.4];
    let mean = [0.0, 0.0, 0.0, 0.0];
    let target = [1.0, -3.0, 2.0, 0.5];
    let interval = |lower, upper| Interval { lower, upper };
    let intervals = mean.map(|mean| interval(mean - 1.0, mean + 1.0));
    vec![
        state(
            "a table's scaling",
            &Standardizer::fit(&[1.0, 2.0, 3.0, 5.0, 8.0, 13.0], 2),
            |scaling| scaling.try_transform(&[1.0, 2.0]),
        ),
        state(
            "TemperatureScaling",
            &TemperatureScaling::fit(&[4.0, 0.0].repeat(4), 2, &[0, 0, 1, 0]),
            move |scaling| scaling.try_apply(&logits, 2),
        ),
        state(
            "VectorScaling",
            &VectorScaling::fit(&logits, 2, &labels),
            move |scaling| scaling.try_apply(&logits[..2]),
        ),
        state(
            "MatrixScaling",
            &penalized.fit(&logits, 2, &labels),
            move |scaling| scaling.try_apply(&logits[..2]),
        ),
        state(
            "DirichletCalibration",
            &penalized.fit_dirichlet(&logits, 2, &labels),
            move |fit| fit.try_apply(&logits[..2]),
        ),
        state(
            "HistogramBinning",
            &HistogramBinning::fit(&[0.1, 0.4, 0.6, 0.9], &[false, true, false, true], 2),
            |fit| fit.try_apply(&[0.1, 0.4, 0.6, 0.9]),
        ),
        state(
            "HistogramClasses",
            &HistogramClasses::fit(&p, 2, &labels, 3),
            move |fit| fit.try_apply(&p),
        ),
        state(
            "IsotonicRegression",
            &IsotonicRegression::fit(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 5.0]),
            |fit| fit.try_apply(&[0.0, 1.5, 2.5, 4.0]),
        ),
        state(
            "IsotonicClasses",
            &IsotonicClasses::fit(&p, 2, &labels),
            move |fit| fit.try_apply(&p),
        ),
        state(
            "QuantileRecalibration",
            &QuantileRecalibration::fit(&[0.3, 0.4, 0.5, 0.6, 0.7]),
            |fit| {
                let (lower, upper) = (fit.inverse(1.0 / 6.0), fit.inverse(5.0 / 6.0));
                let applied = fit.try_apply(&[0.3, 0.5, 1.0])?;
                Ok([applied, vec![lower, upper]].concat())
            },
        ),
        state(
            "SplitConformal",
            &SplitConformal::fit(&mean, &target, 0.75),
            move |fit| fit.try_apply(&mean).map(ends),
        ),
        state(
            "NormalizedSplitConformal",
            &NormalizedSplitConformal::fit(&mean, &[1.0, 2.0, 1.0, 2.0], &target, 0.75),
            move |fit| fit.try_apply(&mean, &[1.0, 2.0, 1.0, 2.0]).map(ends),
        ),
        state(
            "ConformalQuantiles",
            &ConformalQuantiles::fit(&intervals, &target, 0.75),
            move |fit| fit.try_apply(&intervals).map(ends),
        ),
        state(
            "AdaptiveSets",
            &adaptive_sets(&p, &labels),
            move |fit: &AdaptiveSets| fit.try_apply(&p).map(flat),
        ),
        state(
            "LeastAmbiguousSets",
            &LeastAmbiguousSets::fit(&p, 2, &labels, 0.75),
            move |fit| fit.try_apply(&p).map(flat),
        ),
        state(
            "SortedSets",
            &SortedSetsConfig::new(0.75, 0.1)
                .with_seed(3)
                .fit(&p, 2, &labels),
            move |fit| fit.try_apply(&p).map(flat),
        ),
    ]
}

fn adaptive_sets(p: &[f64], labels: &[usize]) -> AdaptiveSets {
    AdaptiveSetsConfig {
        level: 0.75,
        penalty: 0.1,
        free_classes: 1,
        seed: Some(3),
    }
    .fit(p, 2, labels)
}
