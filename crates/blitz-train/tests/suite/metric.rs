//! The metrics, over batches of different sizes.

use blitz_train::prelude::*;
use blitz_train::{CoverageInput, NllInput, RmseInput};
use burn::data::dataloader::Progress;
use burn::tensor::{Device, Tensor};
use burn::train::metric::{Metric, MetricMetadata, Numeric};

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
    let rmse = epoch(RmseMetric::new().with_scale(2.0), batches);
    assert!((rmse - 2.0 * 12.5f64.sqrt()).abs() < 1e-6, "{rmse}");
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
#[should_panic(expected = "got 95")]
fn a_level_in_percent_is_refused() {
    CoverageMetric::new(95.0);
}
