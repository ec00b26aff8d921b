//! The metrics, over batches of different sizes.

use blitz_train::metric::{
    ClassProbabilitiesInput, CoverageInput, NllInput, PredictiveInput, RmseInput,
};
use blitz_train::metric::{brier_score, expected_calibration_error, interval_score, sharpness};
use blitz_train::prelude::*;
use blitz_train::{
    BrierMetric, ClassificationEvaluation, CoverageMetric, CrpsMetric, EceMetric, ElboOutput,
    IntervalScoreMetric, LaplaceLikelihoodConfig, RegressionEvaluation, SharpnessMetric,
};
use burn::data::dataloader::Progress;
use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Int, Tensor};
use burn::train::metric::{Adaptor, Metric, MetricMetadata, Numeric};

use crate::types::TYPES;

fn metadata() -> MetricMetadata {
    MetricMetadata {
        progress: Progress::new(1, 1, None),
        iteration: Some(1),
        lr: None,
    }
}

fn epoch<M: Metric + Numeric>(mut metric: M, batches: Vec<M::Input>) -> f64 {
    for batch in &batches {
        metric.update(batch, &metadata()).unwrap();
    }
    metric.compute().unwrap();
    let value = metric.final_value().current();
    metric.clear();
    value
}

#[test]
fn rmse_is_the_root_over_the_whole_epoch_not_the_mean_of_batch_roots() {
    let device = Device::flex();
    let input = |errors: &[f32]| {
        let n = errors.len();
        let mean = Tensor::<1>::from_floats(errors, &device).reshape([n, 1]);
        RmseInput::new(mean.clone(), mean.zeros_like())
    };
    let batches = vec![input(&[3.0, 4.0, 0.0]), input(&[5.0])];
    // The last two are numbers whose squares are none.
    for scale in [2.0, 1e-170, 1e170] {
        let rmse = epoch(RmseMetric::new().with_scale(scale), batches.clone());
        assert!((rmse / scale - 12.5f64.sqrt()).abs() < 1e-6, "{rmse}");
    }
}

#[test]
fn nll_weighs_every_example_alike() {
    let device = Device::flex();
    let input = |values: &[f32]| NllInput::new(Tensor::from_floats(values, &device));
    let nll = epoch(
        NllMetric::new(),
        vec![input(&[1.0, 2.0, 3.0]), input(&[10.0])],
    );
    assert!((nll - 4.0).abs() < 1e-6);
}

#[test]
fn coverage_counts_the_targets_between_the_quantiles() {
    let device = Device::flex();
    // Inside the 95 % interval where the distribution function lies in [0.025, 0.975].
    let cdf = Tensor::<2>::from_floats([[0.01], [0.03], [0.5], [0.97], [0.98]], &device);
    let coverage = epoch(CoverageMetric::new(0.95), vec![CoverageInput::new(cdf)]);
    assert!((coverage - 60.0).abs() < 1e-6);
}

#[test]
fn coverage_of_a_target_that_is_no_number_is_none() {
    let cdf = Tensor::<2>::from_floats([[0.5], [f32::NAN], [0.4]], &Device::flex());
    let coverage = epoch(CoverageMetric::new(0.95), vec![CoverageInput::new(cdf)]);
    assert!(coverage.is_nan(), "{coverage}");
}

/// Batches of different sizes: rows of two probabilities, and labels.
fn class_batches(device: &Device) -> Vec<ClassProbabilitiesInput> {
    let batch = |rows: &[[f32; 2]], labels: &[i64]| {
        let p = rows.iter().flatten().copied().collect::<Vec<_>>();
        let p = Tensor::<1>::from_floats(p.as_slice(), device).reshape([rows.len(), 2]);
        ClassProbabilitiesInput::new(p, Tensor::<1, Int>::from_ints(labels, device))
    };
    vec![
        batch(&[[0.75, 0.25], [0.75, 0.25], [0.5, 0.5]], &[0, 0, 1]),
        batch(&[[0.75, 0.25], [0.25, 0.75]], &[1, 1]),
    ]
}

#[test]
fn brier_and_calibration_error_are_those_of_the_whole_epoch() {
    let device = Device::flex();
    let p = [0.75, 0.25, 0.75, 0.25, 0.5, 0.5, 0.75, 0.25, 0.25, 0.75];
    let labels = [0, 0, 1, 1, 1];
    let brier = epoch(BrierMetric::new(), class_batches(&device));
    assert!(
        (brier - brier_score(&p, 2, &labels)).abs() < 1e-12,
        "{brier}"
    );
    // 3 of 4 right at 0.75 over the epoch, though in neither batch; none at 0.5.
    let ece = epoch(EceMetric::new(), class_batches(&device));
    let confidence = [0.75, 0.75, 0.5, 0.75, 0.75];
    let correct = [true, true, false, false, true];
    let expected = 100.0 * expected_calibration_error(&confidence, &correct, 15);
    assert!((expected - 10.0).abs() < 1e-12);
    assert!((ece - expected).abs() < 1e-12, "{ece}");
}

/// A training that diverges ends with an error that names the step: the dashboard has to live that long.
#[test]
fn class_metrics_of_probabilities_that_are_no_numbers_are_nan() {
    let device = Device::flex();
    let batches = || {
        let mut batches = class_batches(&device);
        let p = Tensor::<2>::from_floats([[0.75, 0.25], [f32::NAN, f32::NAN]], &device);
        batches.insert(
            1,
            ClassProbabilitiesInput::new(p, Tensor::from_ints([0, 1], &device)),
        );
        batches
    };
    assert!(epoch(BrierMetric::new(), batches()).is_nan());
    assert!(epoch(EceMetric::new(), batches()).is_nan());
}

#[test]
fn class_metrics_of_any_float_type_are_those_of_f64_up_to_its_rounding() {
    let device = Device::flex();
    // Confidences in the middle of a bin, so that no rounding moves one to another bin.
    let confidence: Vec<f64> = (0..40)
        .map(|i| (f64::from(5 + i % 10) + 0.5) / 15.0)
        .collect();
    let rows = confidence.iter().map(|p| {
        let rest = (1.0 - p) / 6.0;
        [*p, rest, rest, rest, rest, rest, rest]
    });
    let p: Vec<f64> = rows.flatten().collect();
    let labels: Vec<usize> = (0..40).map(|i| (i / 7) % 3).collect();
    let correct: Vec<bool> = labels.iter().map(|label| *label == 0).collect();
    let expected = [
        brier_score(&p, 7, &labels),
        100.0 * expected_calibration_error(&confidence, &correct, 15),
    ];
    let logits: Vec<f32> = p.iter().map(|p| p.ln() as f32).collect();
    let logits = Tensor::<1>::from_floats(logits.as_slice(), &device).reshape([40, 7]);
    let labels: Vec<i64> = labels.iter().map(|label| *label as i64).collect();
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    for dtype in TYPES {
        // As a network in this type makes them.
        let p = softmax(logits.clone().cast(dtype), 1);
        assert_eq!(p.dtype(), dtype);
        let input = || vec![ClassProbabilitiesInput::new(p.clone(), labels.clone())];
        let got = [
            epoch(BrierMetric::new(), input()),
            epoch(EceMetric::new(), input()),
        ];
        // The logits were rounded once to f32.
        let epsilon = dtype.finfo().unwrap().epsilon.max(f64::from(f32::EPSILON));
        for (got, expected) in got.into_iter().zip(expected) {
            let error = (got - expected).abs() / expected;
            assert!(error < 8.0 * epsilon, "{dtype:?}: {got} for {expected}");
        }
    }
}

#[test]
#[should_panic(expected = "must sum to 1, got 0.75")]
fn half_precision_is_no_excuse_for_probabilities_that_are_none() {
    let device = Device::flex();
    let p = Tensor::<2>::from_floats([[0.5, 0.25]], &device).cast(DType::BF16);
    let labels = Tensor::<1, Int>::from_ints([0], &device);
    let input = ClassProbabilitiesInput::new(p, labels);
    BrierMetric::new().update(&input, &metadata()).ok();
}

#[test]
fn sums_beyond_the_range_of_half_precision_are_finite() {
    let device = Device::flex();
    for dtype in TYPES {
        // 300² and 1000 · 100 are more than f16 holds.
        let errors = Tensor::<2>::full([4, 1], 300.0, &device).cast(dtype);
        let input = RmseInput::new(errors.clone(), errors.zeros_like());
        assert_eq!(epoch(RmseMetric::new(), vec![input]), 300.0, "{dtype:?}");
        let values = Tensor::<1>::full([1000], 100.0, &device).cast(dtype);
        let nll = epoch(NllMetric::new(), vec![NllInput::new(values)]);
        assert!((nll - 100.0).abs() < 1e-4, "{dtype:?}: {nll}");
    }
}

#[test]
fn errors_whose_squares_are_beyond_the_type_have_a_root_mean_square() {
    let device = Device::flex();
    for size in [3e-30_f64, 4e25, 0.0] {
        let errors = Tensor::<2>::from_floats([[size], [-size]], &device);
        let input = RmseInput::new(errors.clone(), errors.zeros_like());
        let rmse = epoch(RmseMetric::new(), vec![input]);
        assert!((rmse - size).abs() <= 1e-6 * size, "{size}: {rmse}");
    }
    let infinite = Tensor::<2>::from_floats([[f32::INFINITY], [1.0]], &device);
    let input = RmseInput::new(infinite.clone(), infinite.zeros_like());
    assert_eq!(epoch(RmseMetric::new(), vec![input]), f64::INFINITY);
}

#[test]
fn the_level_is_not_rounded_to_the_type_of_the_distribution_function() {
    // A number of f16; rounded to f16, so is half the level, 0.475, to 0.4751.
    let cdf = Tensor::<2>::from_floats([[0.975_097_66]], &Device::flex());
    for dtype in [DType::F64, DType::F32, DType::F16] {
        let input = CoverageInput::new(cdf.clone().cast(dtype));
        let coverage = epoch(CoverageMetric::new(0.95), vec![input]);
        assert_eq!(coverage, 0.0, "{dtype:?}");
    }
}

#[test]
fn a_training_step_hands_its_probabilities_to_the_metrics() {
    let device = Device::flex();
    let number = Tensor::<1>::zeros([1], &device);
    let output = ElboOutput {
        loss: number.clone(),
        nll: number.clone(),
        kl: number.clone(),
        kl_terms: Vec::new(),
        predictive_nll: number,
        evaluation: ClassificationEvaluation {
            probabilities: Tensor::from_floats([[0.75, 0.25]], &device),
            target: Tensor::from_ints([1], &device),
        },
    };
    let brier = epoch(BrierMetric::new(), vec![output.adapt()]);
    assert!((brier - 1.125).abs() < 1e-12, "{brier}");
    let ece = epoch(EceMetric::new(), vec![output.adapt()]);
    assert!((ece - 75.0).abs() < 1e-12, "{ece}");
}

#[test]
fn a_cleared_metric_starts_over() {
    let device = Device::flex();
    let mut metric = EceMetric::new().with_bins(4);
    for batch in class_batches(&device) {
        metric.update(&batch, &metadata()).unwrap();
    }
    metric.clear();
    let second = &class_batches(&device)[1];
    metric.update(second, &metadata()).unwrap();
    // One of two right at 0.75.
    assert!((metric.final_value().current() - 25.0).abs() < 1e-12);
    let entry = metric.compute().unwrap();
    assert_eq!(entry.formatted, "epoch 25.00 % - batch 25.00 %");
}

#[test]
fn an_entry_prints_epoch_and_batch_with_their_unit() {
    let device = Device::flex();
    let mut nll = NllMetric::new();
    for values in [[1.0, 2.0], [3.0, 5.0]] {
        let input = NllInput::new(Tensor::from_floats(values, &device));
        nll.update(&input, &metadata()).unwrap();
    }
    let entry = nll.compute().unwrap();
    assert_eq!(entry.formatted, "epoch 2.750 nats - batch 4.000 nats");
    assert_eq!(entry.serialized, "2.75,final");
}

#[test]
fn class_metrics_of_a_label_that_is_no_class_are_nan() {
    let device = Device::flex();
    for label in [-1, 2] {
        let input = || {
            let p = Tensor::<2>::from_floats([[0.5, 0.5]], &device);
            let labels = Tensor::<1, Int>::from_ints([label], &device);
            vec![ClassProbabilitiesInput::new(p, labels)]
        };
        assert!(epoch(BrierMetric::new(), input()).is_nan());
        assert!(epoch(EceMetric::new(), input()).is_nan());
    }
}

#[test]
#[should_panic(expected = "got 95")]
fn a_level_in_percent_is_refused() {
    CoverageMetric::new(95.0);
}

/// The evaluation of a batch of two targets by three draws, of normal and of Laplace noise.
fn evaluations(device: &Device) -> (RegressionEvaluation, RegressionEvaluation, Vec<f64>) {
    let draw = |values: [[f32; 1]; 2]| Tensor::<2>::from_floats(values, device);
    let outputs = || {
        vec![
            draw([[0.0], [1.0]]),
            draw([[0.5], [3.0]]),
            draw([[-1.0], [2.0]]),
        ]
    };
    let target = draw([[0.25], [4.0]]);
    let fixed = LikelihoodParam::Fixed(0.5);
    let normal = GaussianLikelihoodConfig::new()
        .with_noise(fixed)
        .init(device);
    let laplace = LaplaceLikelihoodConfig::new()
        .with_scale(fixed)
        .init(device);
    let evaluations = [
        normal.evaluate(outputs(), target.clone()),
        laplace.evaluate(outputs(), target),
    ];
    let [normal, laplace] = evaluations;
    (normal, laplace, vec![0.25, 4.0])
}

#[test]
fn scores_of_distributions_on_the_dashboard_are_those_of_the_mixture() {
    let device = Device::flex();
    let (evaluation, _, target) = evaluations(&device);
    let mixture = NormalMixture::new(
        vec![vec![0.0, 1.0], vec![0.5, 3.0], vec![-1.0, 2.0]],
        vec![0.5],
        1,
    );
    let intervals = mixture.interval(0.9);
    let input = || {
        let predictive = evaluation.predictive.clone();
        vec![PredictiveInput::new(predictive, evaluation.target.clone())]
    };
    let close = |got: f64, expected: f64, what: &str| {
        assert!(
            (got - expected).abs() < 1e-5,
            "{what}: {got} for {expected}"
        );
    };
    let crps = epoch(CrpsMetric::new().with_scale(2.0), input());
    close(crps, 2.0 * mixture.crps(&target), "CRPS");
    let width = epoch(SharpnessMetric::new(0.9), input());
    close(width, sharpness(&intervals), "sharpness");
    let score = epoch(IntervalScoreMetric::new(0.9), input());
    close(
        score,
        interval_score(&intervals, &target, 0.9),
        "interval score",
    );
}

#[test]
fn the_crps_of_a_mixture_without_a_closed_form_is_that_of_its_density() {
    let (_, evaluation, target) = evaluations(&Device::flex());
    let predictive = evaluation.predictive.unwrap();
    // ∫ (F(t) − [t ≥ y])² dt by the midpoint rule.
    let f = |example: usize, t: f64| {
        let medians = [[0.0, 1.0], [0.5, 3.0], [-1.0, 2.0]];
        let cdf = |median: f64| {
            let z = (t - median) / 0.5;
            0.5 + 0.5 * z.signum() * (1.0 - (-z.abs()).exp())
        };
        medians.iter().map(|draw| cdf(draw[example])).sum::<f64>() / 3.0
    };
    let step = 1e-3;
    let integral = |example: usize, y: f64| {
        let points = (0..40_000).map(|i| -18.0 + (f64::from(i) + 0.5) * step);
        let square = |t: f64| (f(example, t) - f64::from(u8::from(t >= y))).powi(2);
        points.map(square).sum::<f64>() * step
    };
    let expected = (integral(0, target[0]) + integral(1, target[1])) / 2.0;
    let got = predictive.crps(&target).unwrap();
    assert!((got - expected).abs() < 1e-3, "{got} for {expected}");
}

#[test]
fn without_a_finite_prediction_the_scores_are_nan_and_do_not_panic() {
    let device = Device::flex();
    let target = Tensor::<2>::from_floats([[1.0]], &device);
    let normal = GaussianLikelihoodConfig::new().init(&device);
    let evaluation = normal.evaluate(vec![target.full_like(f32::NAN)], target.clone());
    let input = PredictiveInput::new(evaluation.predictive, target.clone());
    assert!(epoch(CrpsMetric::new(), vec![input]).is_nan());
    let input = PredictiveInput::new(None, target.clone());
    assert!(epoch(SharpnessMetric::new(0.5), vec![input]).is_nan());
    // A width needs no target.
    let evaluation = normal.evaluate(vec![target.clone()], target.clone());
    let input = PredictiveInput::new(evaluation.predictive, target.full_like(f32::NAN));
    assert!(epoch(SharpnessMetric::new(0.5), vec![input.clone()]) > 0.0);
    assert!(epoch(CrpsMetric::new(), vec![input.clone()]).is_nan());
    assert!(epoch(IntervalScoreMetric::new(0.5), vec![input]).is_nan());
}
