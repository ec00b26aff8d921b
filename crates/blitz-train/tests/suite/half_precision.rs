//! Trainings in half precision, and the metrics of what they compute: against the same outputs scored in `f64`.

use blitz_train::blitz_core::noise::layout;
use blitz_train::distribution::Distribution;
use blitz_train::metric::brier_score;
use blitz_train::prelude::*;
use blitz_train::{BrierMetric, CoverageMetric, EceMetric, ElboOutput, Evaluation};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoaderBuilder, Progress};
use burn::data::dataset::InMemDataset;
use burn::tensor::{DType, Device, Int, Tensor};
use burn::train::metric::{AccuracyMetric, Adaptor, LossMetric, Metric, MetricMetadata, Numeric};
use burn::train::{InferenceStep, Learner, SupervisedTraining, TrainStep};

use crate::digest::given;
use crate::learner::Net;
use crate::types::TYPES;
use crate::{scalar, values};

const EXAMPLES: usize = 37;
const FEATURES: usize = 3;
const DRAWS: u64 = 3;
const SEED: u64 = 5;
const BATCHES: [usize; 3] = [1, 8, EXAMPLES];

fn device() -> Device {
    Device::flex().autodiff()
}

fn net(outputs: usize, dtype: DType) -> Net {
    let layer = BayesianLinearConfig::new(FEATURES, outputs).init(&device());
    given(Net { layer }, 2.0, dtype)
}

fn elbo() -> Elbo {
    ElboConfig::new(EXAMPLES)
        .with_samples(DRAWS as usize)
        .with_validation_samples(DRAWS as usize)
        .with_seed(SEED)
        .init()
}

/// Eighths, which every type holds.
fn inputs(rows: std::ops::Range<usize>, dtype: DType) -> Tensor<2> {
    let feature = |i: usize, j: usize| ((7 * i + 3 * j * j + i * j) % 17) as f32 / 8.0 - 1.0;
    let all: Vec<f32> = rows
        .clone()
        .flat_map(|i| (0..FEATURES).map(move |j| feature(i, j)))
        .collect();
    let all = Tensor::<1>::from_floats(all.as_slice(), &device());
    all.reshape([rows.len(), FEATURES]).cast(dtype)
}

fn batches(size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..EXAMPLES.div_ceil(size)).map(move |i| i * size..EXAMPLES.min((i + 1) * size))
}

fn labels(rows: std::ops::Range<usize>, classes: usize) -> Vec<usize> {
    rows.map(|i| (i * i + i / 3) % classes).collect()
}

fn ints(labels: &[usize]) -> Tensor<1, Int> {
    let labels: Vec<i64> = labels.iter().map(|label| *label as i64).collect();
    Tensor::from_ints(labels.as_slice(), &device())
}

fn epoch<I, M: Metric<Input = I> + Numeric, E: Evaluation>(
    mut metric: M,
    outputs: &[ElboOutput<E>],
) -> f64
where
    ElboOutput<E>: Adaptor<I>,
{
    let metadata = MetricMetadata {
        progress: Progress::new(1, 1, None),
        iteration: Some(1),
        lr: None,
    };
    for output in outputs {
        metric.update(&output.adapt(), &metadata).unwrap();
    }
    metric.final_value().current()
}

/// What the steps of an epoch hand to the metrics, and for each the outputs of its draws.
type Epoch<E> = (Vec<ElboOutput<E>>, Vec<Vec<Tensor<2>>>);

/// What a model's training and validation steps hand to the metrics, batch after batch, each with the outputs of the
/// same draws.
fn epochs<L: Likelihood<Output = Tensor<2>>>(
    model: &ElboModel<Net, L>,
    size: usize,
    dtype: DType,
    targets: impl Fn(std::ops::Range<usize>) -> L::Target,
) -> [Epoch<L::Evaluation>; 2] {
    let batch = |rows: std::ops::Range<usize>| LabeledBatch {
        inputs: inputs(rows.clone(), dtype),
        targets: targets(rows),
    };
    let outputs = |rows: std::ops::Range<usize>, draw: &dyn Fn(u64) -> u64| {
        let of_draw = |sample| {
            model.network.with_draw(SEED, draw(sample), |net| {
                net.forward(inputs(rows.clone(), dtype))
            })
        };
        (0..DRAWS).map(of_draw).collect::<Vec<_>>()
    };
    let training = batches(size).map(|rows| TrainStep::step(model, batch(rows)).item);
    let validation = batches(size).map(|rows| InferenceStep::step(model, batch(rows)));
    let of_training = batches(size).enumerate().map(|(turn, rows)| {
        outputs(rows, &|sample| {
            layout::training(0, turn as u16, sample as u16)
        })
    });
    let of_validation = batches(size).map(|rows| outputs(rows, &layout::validation));
    [
        (training.collect(), of_training.collect()),
        (validation.collect(), of_validation.collect()),
    ]
}

#[track_caller]
fn assert_close(got: f64, expected: f64, what: &str) {
    let error = (got - expected).abs();
    assert!(
        error <= 2e-5 * expected.abs().max(0.1),
        "{what}: {got} for {expected}"
    );
}

#[test]
fn metrics_of_a_classification_in_any_type_are_those_of_its_outputs_in_f64() {
    const CLASSES: usize = 5;
    let likelihood = CategoricalLikelihoodConfig::new(CLASSES).init();
    for dtype in TYPES {
        for size in BATCHES {
            // A model of its own, which counts its draws from the first.
            let model = ElboModel::new(net(CLASSES, dtype), likelihood.clone(), elbo());
            let of_labels = |rows| ints(&labels(rows, CLASSES));
            for (steps, draws) in epochs(&model, size, dtype, of_labels) {
                let mut predictive: Option<CategoricalMixture> = None;
                for outputs in draws {
                    assert_eq!(outputs[0].dtype(), dtype);
                    let more = likelihood.predictive(outputs);
                    match &mut predictive {
                        None => predictive = Some(more),
                        Some(all) => all.append(more),
                    }
                }
                let predictive = predictive.unwrap();
                let labels = labels(0..EXAMPLES, CLASSES);
                let p: Vec<f64> = (0..EXAMPLES)
                    .flat_map(|i| predictive.probabilities(i))
                    .collect();
                let nll = predictive.nll(&labels).iter().sum::<f64>() / EXAMPLES as f64;
                let what = |metric: &str| format!("{metric} in {dtype:?}, batches of {size}");
                assert_close(
                    epoch(BrierMetric::new(), &steps),
                    brier_score(&p, CLASSES, &labels),
                    &what("Brier"),
                );
                assert_close(
                    epoch(EceMetric::new(), &steps),
                    100.0 * predictive.ece(&labels),
                    &what("ECE"),
                );
                assert_close(epoch(NllMetric::new(), &steps), nll, &what("NLL"));
                let accuracy = 100.0 * predictive.accuracy(&labels);
                assert_close(
                    epoch(AccuracyMetric::new(), &steps),
                    accuracy,
                    &what("accuracy"),
                );
                assert_close(
                    epoch(KlMetric::new(), &steps),
                    scalar(model.network.kl_cost()),
                    &what("KL"),
                );
            }
        }
    }
}

#[test]
fn metrics_of_binary_answers_in_any_type_are_those_of_its_outputs_in_f64() {
    let likelihood = BernoulliLikelihoodConfig::new().with_targets(2).init();
    for dtype in TYPES {
        for size in BATCHES {
            // A model of its own, which counts its draws from the first.
            let model = ElboModel::new(net(2, dtype), likelihood.clone(), elbo());
            let answers = |rows: std::ops::Range<usize>| -> Tensor<2, Int> {
                let n = rows.len();
                ints(&labels(2 * rows.start..2 * rows.end, 2)).reshape([n, 2])
            };
            for (steps, draws) in epochs(&model, size, dtype, answers) {
                let ones = draws
                    .into_iter()
                    .flat_map(|outputs| likelihood.predictive(outputs).probability());
                let p: Vec<f64> = ones.flat_map(|one| [1.0 - one, one]).collect();
                let labels = labels(0..2 * EXAMPLES, 2);
                let expected = brier_score(&p, 2, &labels);
                assert_close(epoch(BrierMetric::new(), &steps), expected, "Brier");
                let (confidence, correct): (Vec<f64>, Vec<bool>) = p
                    .chunks(2)
                    .zip(&labels)
                    .map(|(row, label)| (row[0].max(row[1]), (row[1] > row[0]) == (*label == 1)))
                    .unzip();
                let expected = 100.0
                    * blitz_train::metric::expected_calibration_error(&confidence, &correct, 15);
                assert_close(epoch(EceMetric::new(), &steps), expected, "ECE");
            }
        }
    }
}

#[test]
fn metrics_of_a_regression_in_any_type_are_those_of_its_outputs_in_f64() {
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .with_noise(LikelihoodParam::Fixed(1.5))
        .init(&device());
    // Quarters, which every type holds.
    let target = |i: usize| (i * i % 31) as f64 / 4.0 - 4.0;
    for dtype in TYPES {
        for size in BATCHES {
            // A model of its own, which counts its draws from the first.
            let model = ElboModel::new(net(2, dtype), likelihood.clone(), elbo());
            let targets = |rows: std::ops::Range<usize>| {
                let all: Vec<f32> = (2 * rows.start..2 * rows.end)
                    .map(|i| target(i) as f32)
                    .collect();
                let all = Tensor::<1>::from_floats(all.as_slice(), &device());
                all.reshape([rows.len(), 2]).cast(dtype)
            };
            for (steps, draws) in epochs(&model, size, dtype, targets) {
                let (mut squares, mut nll, mut inside) = (0.0, 0.0, 0usize);
                let mut at = 0;
                for outputs in draws {
                    let predictive = likelihood.predictive(outputs);
                    let y: Vec<f64> = (at..at + predictive.len()).map(target).collect();
                    at += y.len();
                    squares += predictive
                        .mean()
                        .iter()
                        .zip(&y)
                        .map(|(m, y)| (m - y).powi(2))
                        .sum::<f64>();
                    nll += joint_nll(&predictive, &y);
                    inside += predictive
                        .cdf(&y)
                        .iter()
                        .filter(|p| (*p - 0.5).abs() <= 0.45)
                        .count();
                }
                let n = 2.0 * EXAMPLES as f64;
                assert_eq!(at, 2 * EXAMPLES);
                assert_close(
                    epoch(RmseMetric::new(), &steps),
                    (squares / n).sqrt(),
                    "RMSE",
                );
                let coverage = 100.0 * inside as f64 / n;
                assert_close(
                    epoch(CoverageMetric::new(0.9), &steps),
                    coverage,
                    "coverage",
                );
                assert_close(
                    epoch(NllMetric::new(), &steps),
                    nll / EXAMPLES as f64,
                    "NLL",
                );
            }
        }
    }
}

/// `−ln 1/S Σ_s Π_k p(y_k | f_s)`, summed over the examples of two targets.
fn joint_nll(predictive: &NormalMixture, y: &[f64]) -> f64 {
    let columns: Vec<_> = predictive.components().collect();
    let pairs = columns.chunks(2).zip(y.chunks(2));
    let nll = pairs.map(|(columns, y)| {
        let draws = columns[0].len();
        let density =
            (0..draws).map(|s| (columns[0][s].ln_pdf(y[0]) + columns[1][s].ln_pdf(y[1])).exp());
        -(density.sum::<f64>() / draws as f64).ln()
    });
    nll.sum()
}

#[derive(Clone)]
struct Labelled(DType);

impl Batcher<usize, LabeledBatch<Tensor<2>, Tensor<1, Int>>> for Labelled {
    fn batch(&self, items: Vec<usize>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<1, Int>> {
        let rows = items[0]..items[items.len() - 1] + 1;
        LabeledBatch {
            inputs: inputs(rows.clone(), DType::F32)
                .inner()
                .to_device(device)
                .cast(self.0),
            targets: ints(&labels(rows, 3)).to_device(device),
        }
    }
}

#[test]
fn the_learner_trains_a_classifier_in_half_precision_under_all_of_its_metrics() {
    for dtype in [DType::F16, DType::BF16] {
        // The last of five batches has one example.
        let loader = |n: usize| {
            let items = InMemDataset::new((0..n).collect());
            DataLoaderBuilder::new(Labelled(dtype))
                .batch_size(8)
                .build(items)
        };
        let likelihood = CategoricalLikelihoodConfig::new(3).init();
        let model = ElboModel::new(net(3, dtype), likelihood, elbo());
        let folder = tempfile::tempdir().unwrap();
        let training = SupervisedTraining::new(folder.path(), loader(33), loader(33))
            .metrics((
                LossMetric::new(),
                NllMetric::new(),
                KlMetric::new(),
                BrierMetric::new(),
                EceMetric::new(),
            ))
            .metrics((AccuracyMetric::new(),))
            .with_application_logger(None)
            .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
            .num_epochs(3);
        let learner = Learner::new(model, FusedAdamConfig::new().init(), 0.01);
        let fitted = fit(training, learner).unwrap();
        assert_eq!(fitted.model.steps(), 15);
        let weights = values(fitted.model.network.layer.weight.base());
        assert!(
            weights.iter().all(|w| w.is_finite()),
            "{dtype:?}: {weights:?}"
        );
    }
}
