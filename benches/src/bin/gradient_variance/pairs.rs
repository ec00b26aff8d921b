//! What antithetic pairs leave of the gradient's variance.

use blitz_train::prelude::*;
use burn::tensor::Device;

use crate::nets::{Classifier, ConvNet, Perceptron};
use crate::{ESTIMATORS, SEED, SplitGradient, patterns};

/// Steps of each kind.
const STEPS: u64 = 100;
/// Rows of the batch.
const BATCH: usize = 32;
const DEVIATIONS: [f64; 3] = [0.02, 0.05, 0.2];

/// Prints a table: the variance of the gradient of a mean over an antithetic pair, divided by that over two independent
/// draws.
pub fn print() {
    let device = Device::flex().autodiff();
    println!("| net | estimator | σ | variance of μ's gradient, pair / two draws | of ρ's |");
    println!("|---|---|---|---|---|");
    for std in DEVIATIONS {
        for estimator in ESTIMATORS {
            device.seed(SEED);
            let net = Perceptron::new(estimator, std, &device);
            row("linear", &net, estimator, std, &device);
            device.seed(SEED);
            let net = ConvNet::new(estimator, std, &device);
            row("convolution", &net, estimator, std, &device);
        }
    }
}

fn row<C: Classifier>(name: &str, net: &C, estimator: Estimator, std: f64, device: &Device) {
    let [two, pair] = [Sampling::Independent, Sampling::Antithetic]
        .map(|sampling| variances(net, sampling, device));
    let ratio = |part: usize| {
        let ([two, two_error], [pair, pair_error]) = (two[part], pair[part]);
        let ratio = pair / two;
        let error = ratio * (pair_error / pair).hypot(two_error / two);
        format!("{ratio:.3} ± {error:.3}")
    };
    println!(
        "| {name} | {estimator:?} | {std} | {} | {} |",
        ratio(0),
        ratio(1)
    );
}

/// The variance of the gradients of means and of deviations, averaged over the parameters, with its standard error.
fn variances<C: Classifier>(net: &C, sampling: Sampling, device: &Device) -> [[f64; 2]; 2] {
    let (images, classes) = patterns(device);
    let (images, classes) = (images.narrow(0, 0, BATCH), classes.narrow(0, 0, BATCH));
    let elbo = ElboConfig::new(1)
        .with_samples(2)
        .with_sampling(sampling)
        .with_beta(BetaSchedule::Constant(0.0))
        .with_seed(SEED)
        .init();
    let gradient = |step: u64| {
        let loss = elbo.loss(net, step.into(), |net| {
            net.loss(images.clone(), classes.clone())
        });
        let mut split = SplitGradient::new(loss.loss.backward());
        net.visit(&mut split);
        split.parts
    };
    let mut halves = [Vec::new(), Vec::new()];
    for step in 0..STEPS {
        let (first, second) = (gradient(2 * step), gradient(2 * step + 1));
        for part in 0..2 {
            let squares = first[part].iter().zip(&second[part]);
            let sum: f64 = squares.map(|(a, b)| (a - b).powi(2)).sum();
            halves[part].push(sum / (2.0 * first[part].len() as f64));
        }
    }
    halves.map(|halves| {
        let n = halves.len() as f64;
        let mean = halves.iter().sum::<f64>() / n;
        let spread: f64 = halves.iter().map(|half| (half - mean).powi(2)).sum();
        [mean, (spread / (n * (n - 1.0))).sqrt()]
    })
}
