//! The variance of the gradient by batch size, for each estimator, of a perceptron and of a convolutional net.
//!
//! `cargo run --release -p blitz-benches --bin gradient_variance [FOLDER]` writes `gradient_variance.csv` and `.svg`
//! into the folder (default: docs/figures). `gradient_variance pairs` prints what antithetic pairs leave of the
//! variance instead.
//!
//! What is measured is the noise of the draws alone: of two gradients of one batch's mean loss, with different draws,
//! half the squared difference, averaged over the parameters and over batches. The data are ten noisy patterns, the
//! nets untrained.

mod nets;
mod pairs;
mod plot;

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use blitz_train::blitz_core::Noise;
use blitz_train::files::put;
use blitz_train::prelude::*;
use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor};
use clap::Parser;
use rand::RngExt;

use nets::{Classifier, ConvNet, Perceptron};

const ESTIMATORS: [Estimator; 3] = [
    Estimator::SharedWeights,
    Estimator::LocalReparameterization,
    Estimator::Flipout,
];
/// Rows of the data, and the largest batch.
const ROWS: usize = 256;
/// Pairs of gradients for each figure.
const PAIRS: usize = 200;
const SEED: u64 = 17;
/// The deviation of every weight.
const STD: f64 = 0.05;

/// Measures the variance of the gradient by batch size, for each estimator.
#[derive(Debug, Parser)]
struct Options {
    /// Folder for gradient_variance.csv and .svg, which take the place of those there [default: docs/figures], or
    /// `pairs`, which prints what antithetic pairs leave of the variance instead.
    #[arg(value_name = "FOLDER|pairs")]
    folder: Option<PathBuf>,
}

/// The variance of the gradient of one kind of parameter, averaged over them, at one batch size.
struct Figure {
    net: &'static str,
    estimator: Estimator,
    batch: usize,
    parameter: &'static str,
    variance: f64,
    /// Of `variance`, over the pairs.
    standard_error: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { folder } = Options::parse();
    if folder.as_deref() == Some(Path::new("pairs")) {
        pairs::print();
        return Ok(());
    }
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/figures");
    let folder = folder.unwrap_or_else(default);
    // Before what takes minutes.
    fs::create_dir_all(&folder)?;
    let device = Device::flex().autodiff();
    let mut figures = Vec::new();
    for estimator in ESTIMATORS {
        device.seed(SEED);
        let net = Perceptron::new(estimator, STD, &device);
        curve("linear", estimator, &net, &device, &mut figures);
        device.seed(SEED);
        let net = ConvNet::new(estimator, STD, &device);
        curve("convolution", estimator, &net, &device, &mut figures);
    }

    let mut csv = String::from("net,estimator,batch,parameter,variance,standard_error\n");
    for figure in &figures {
        writeln!(
            csv,
            "{},{:?},{},{},{:e},{:e}",
            figure.net,
            figure.estimator,
            figure.batch,
            figure.parameter,
            figure.variance,
            figure.standard_error
        )?;
    }
    put(&folder.join("gradient_variance.csv"), csv.as_bytes())?;
    let svg = plot::svg(&figures);
    put(&folder.join("gradient_variance.svg"), svg.as_bytes())?;
    Ok(())
}

/// Adds the figures of one net and estimator, at all batch sizes.
fn curve<C: Classifier>(
    name: &'static str,
    estimator: Estimator,
    net: &C,
    device: &Device,
    figures: &mut Vec<Figure>,
) {
    let (images, classes) = patterns(device);
    for batch in (0..).map(|i| 1 << i).take_while(|&batch| batch <= ROWS) {
        let mut halves = [Vec::new(), Vec::new()];
        for pair in 0..PAIRS {
            let start = pair * batch % ROWS;
            let images = images.clone().narrow(0, start, batch);
            let classes = classes.clone().narrow(0, start, batch);
            let gradient = |index: usize| {
                let loss = net.with_draw(SEED, index as u64, |net| {
                    net.loss(images.clone(), classes.clone())
                });
                let mut split = SplitGradient::new(loss.backward());
                net.visit(&mut split);
                split.parts
            };
            let (first, second) = (gradient(2 * pair), gradient(2 * pair + 1));
            for part in 0..2 {
                let squares = first[part].iter().zip(&second[part]);
                let sum: f64 = squares.map(|(a, b)| (a - b).powi(2)).sum();
                halves[part].push(sum / (2.0 * first[part].len() as f64));
            }
        }
        for (parameter, halves) in ["mu", "rho"].into_iter().zip(halves) {
            let n = halves.len() as f64;
            let variance = halves.iter().sum::<f64>() / n;
            let spread: f64 = halves.iter().map(|half| (half - variance).powi(2)).sum();
            let standard_error = (spread / (n * (n - 1.0))).sqrt();
            println!(
                "{name} {estimator:?} {batch} {parameter}: {variance:.3e} ± {standard_error:.1e}"
            );
            figures.push(Figure {
                net: name,
                estimator,
                batch,
                parameter,
                variance,
                standard_error,
            });
        }
    }
}

/// Images of 8×8 in ten classes: the class's pattern and as much noise.
fn patterns(device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let like = Tensor::<4>::zeros([ROWS, 1, 8, 8], device);
    let noise = Noise::new(NoiseKey::new(SEED, 0, 0)).standard_normal(&like);
    let like = Tensor::<4>::zeros([10, 1, 8, 8], device);
    let centres = Noise::new(NoiseKey::new(SEED, 1, 0)).standard_normal(&like);
    // At random: batches with every class as often as the other would have less variance than their rows.
    let mut rng = NoiseKey::new(SEED, 2, 0).rng();
    let classes: Vec<i64> = (0..ROWS).map(|_| rng.random_range(0..10)).collect();
    let classes = Tensor::<1, Int>::from_ints(classes.as_slice(), device);
    (centres.select(0, classes.clone()) + noise, classes)
}

/// Sorts the gradients of a net's parameters into those of the means and those of what is attached to them.
struct SplitGradient {
    gradients: Gradients,
    parts: [Vec<f64>; 2],
    attached: bool,
}

impl SplitGradient {
    fn new(gradients: Gradients) -> Self {
        Self {
            gradients,
            parts: [Vec::new(), Vec::new()],
            attached: false,
        }
    }
}

impl ModuleVisitor for SplitGradient {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.attached |= container_type == "Reparameterization";
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.attached &= container_type != "Reparameterization";
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.base().grad(&self.gradients) {
            self.parts[usize::from(self.attached)].extend(gradient.into_data().iter::<f64>());
        }
    }
}

#[cfg(test)]
mod tests {
    use example_support::program::assert_refused;

    use super::*;

    #[test]
    fn an_option_is_no_folder() {
        assert_refused::<Options>(&[
            ("--help", "Usage: "),
            ("--out", "unexpected argument"),
            ("one two", "unexpected argument"),
        ]);
    }
}
