//! What tests of estimators share: repeated draws, their moments and gradients, and the gates they have to pass.

use blitz_core::BuiltinVariational;
use blitz_core::deviation::std_from_rho;
use blitz_layers::prelude::*;
use burn::module::Param;
use burn::tensor::{Gradients, Tensor};

pub const ESTIMATORS: [Estimator; 3] = [
    Estimator::SharedWeights,
    Estimator::LocalReparameterization,
    Estimator::Flipout,
];

/// Standard errors: of two million correct values, one is refused.
pub const GATE: f64 = 5.0;

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Panics unless the numbers are the same but for what `f32` loses of numbers near one.
pub fn assert_close<const D: usize>(got: Tensor<D>, want: Tensor<D>, case: &str) {
    assert_eq!(got.dims(), want.dims(), "{case}");
    for (got, want) in values(got).iter().zip(values(want)) {
        assert!((got - want).abs() < 1e-5, "{case}: {got} for {want}");
    }
}

/// Panics unless the mean of `samples` is `expected`, by its own standard error.
pub fn assert_mean(samples: &[Vec<f64>], expected: &[f64], what: &str) {
    let n = samples.len() as f64;
    for (i, expected) in expected.iter().enumerate() {
        let mean = samples.iter().map(|sample| sample[i]).sum::<f64>() / n;
        let variance = samples.iter().map(|sample| (sample[i] - mean).powi(2));
        let standard_error = (variance.sum::<f64>() / (n * (n - 1.0))).sqrt();
        let off = (mean - expected).abs();
        assert!(
            off <= GATE * standard_error,
            "{what}: the mean of value {i} is {mean} for {expected}, {} standard errors off",
            off / standard_error
        );
    }
}

/// Panics unless normal `samples` have the mean and variance that theory gives them.
pub fn assert_normal(samples: &[Vec<f64>], mean: &[f64], variance: &[f64], what: &str) {
    let n = samples.len() as f64;
    for i in 0..mean.len() {
        let deviations = || samples.iter().map(|sample| sample[i] - mean[i]);
        let off = deviations().sum::<f64>() / n / (variance[i] / n).sqrt();
        assert!(off.abs() < GATE, "{what}: mean {i}, {off} standard errors");
        let measured = deviations().map(|d| d * d).sum::<f64>() / n;
        let off = (measured - variance[i]) / (variance[i] * (2.0 / n).sqrt());
        assert!(
            off.abs() < GATE,
            "{what}: variance {i} is {measured} for {}, {off} standard errors",
            variance[i]
        );
    }
}

/// Panics unless normal `samples` have, over all values, the variance that theory gives them, and a tenth more or less
/// would be seen.
pub fn assert_total_variance(samples: &[Vec<f64>], mean: &[f64], variance: &[f64], what: &str) {
    let n = samples.len() as f64;
    let ratio = |sample: &Vec<f64>| {
        let parts = sample.iter().zip(mean).zip(variance);
        parts.map(|((x, m), v)| (x - m).powi(2) / v).sum::<f64>() / mean.len() as f64
    };
    let ratios: Vec<f64> = samples.iter().map(ratio).collect();
    let average = ratios.iter().sum::<f64>() / n;
    let of_ratios = ratios.iter().map(|r| (r - average).powi(2)).sum::<f64>() / (n - 1.0);
    let standard_error = (of_ratios / n).sqrt();
    assert!(
        GATE * standard_error < 0.1,
        "{what}: {n} draws see no less than {}",
        GATE * standard_error
    );
    assert!(
        (average - 1.0).abs() < GATE * standard_error,
        "{what}: {average} of the variance, with a standard error of {standard_error}"
    );
}

/// Panics unless the normal values `a` and `b` of `samples` have covariance `expected`; their means and variances are
/// given.
pub fn assert_covariance(
    samples: &[Vec<f64>],
    [a, b]: [usize; 2],
    mean: &[f64],
    variance: &[f64],
    expected: f64,
    what: &str,
) {
    let n = samples.len() as f64;
    let products = samples.iter().map(|s| (s[a] - mean[a]) * (s[b] - mean[b]));
    let covariance = products.sum::<f64>() / n;
    let standard_error = ((variance[a] * variance[b] + expected.powi(2)) / n).sqrt();
    let off = (covariance - expected) / standard_error;
    assert!(
        off.abs() < GATE,
        "{what}: the covariance of {a} and {b} is {covariance} for {expected}, {off} standard errors off"
    );
}

/// ρ of a weight's normal posterior.
pub fn rho<const D: usize>(weight: &Param<Tensor<D>>) -> Tensor<1> {
    let variational = weight.reparameterization::<BuiltinVariational>().unwrap();
    variational.posterior.as_normal().unwrap().rho.val()
}

/// The gradients of a layer's μ and ρ, weight before bias.
pub fn gradients<const D: usize>(
    weight: &Param<Tensor<D>>,
    bias: &Param<Tensor<1>>,
    gradients: &Gradients,
) -> Vec<f64> {
    [
        values(weight.base().grad(gradients).unwrap()),
        values(rho(weight).grad(gradients).unwrap()),
        values(bias.base().grad(gradients).unwrap()),
        values(rho(bias).grad(gradients).unwrap()),
    ]
    .concat()
}

/// The gradients of `E[mean exp(output)]` for a layer that is linear in its weights: each output is normal, with mean m
/// and variance v, so the expectation is `mean exp(m + v / 2)`.
pub fn expected_gradients<const I: usize, const W: usize, const O: usize>(
    weight: &Param<Tensor<W>>,
    bias: &Param<Tensor<1>>,
    input: Tensor<I>,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Vec<f64> {
    let mu = weight.base();
    let variance = std_from_rho(rho(weight)).square().reshape(mu.shape());
    let bias_variance = std_from_rho(rho(bias)).square();
    let variance = op(input.clone().square(), variance, Some(bias_variance));
    let mean = op(input, mu, Some(bias.base()));
    let loss = (mean + variance / 2.0).exp().mean();
    gradients(weight, bias, &loss.backward())
}

/// The slope of the logarithm of a value's variance over the logarithm of the batch size, and its standard error.
///
/// `value` is one of batch size and draw. The variance of n values with kurtosis κ has the relative variance (κ − 1) /
/// n.
pub fn variance_slope(draws: u64, value: impl Fn(usize, u64) -> f64) -> (f64, f64) {
    const BATCHES: [usize; 3] = [2, 8, 32];
    let n = draws as f64;
    let x = BATCHES.map(|batch| (batch as f64).ln());
    let center = x.iter().sum::<f64>() / 3.0;
    let spread: f64 = x.iter().map(|x| (x - center).powi(2)).sum();
    let (mut slope, mut variance_of_slope) = (0.0, 0.0);
    for (batch, x) in BATCHES.into_iter().zip(x) {
        let values: Vec<f64> = (0..draws).map(|draw| value(batch, draw)).collect();
        let mean = values.iter().sum::<f64>() / n;
        let moment = |power| values.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / n;
        let (variance, kurtosis) = (moment(2), moment(4) / moment(2).powi(2));
        let weight = (x - center) / spread;
        slope += weight * variance.ln();
        variance_of_slope += weight.powi(2) * (kurtosis - 1.0) / n;
    }
    (slope, variance_of_slope.sqrt())
}

/// Panics unless the variance of a gradient falls as 1/batch where rows have noise of their own, and not at all where
/// they share it.
pub fn assert_falls_with_the_batch(estimator: Estimator, gradient: impl Fn(usize, u64) -> f64) {
    let expected = match estimator {
        Estimator::SharedWeights => 0.0,
        _ => -1.0,
    };
    let (slope, standard_error) = variance_slope(600, gradient);
    // So that half the slope would be refused.
    assert!(
        GATE * standard_error < 0.5,
        "{estimator:?}: {standard_error}"
    );
    assert!(
        (slope - expected).abs() < GATE * standard_error,
        "{estimator:?}: {slope} for {expected}, with a standard error of {standard_error}"
    );
}
