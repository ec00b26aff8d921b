//! The digits of 8×8 pixels.

use std::fmt;

use blitz_mcmc::LogDensity;
use blitz_train::metric::{agreement, expected_calibration_error, total_variation};
use blitz_train::prelude::*;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use example_support::digits;
use example_support::methods::{Class, Data, Net, Rows, Task};
use example_support::{NotFiniteScore, RunError, check_scores, mean, present};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;
use serde::Serialize;

use crate::report::{Line, Report, with_faster_ways};
use crate::{Cli, MakeFolder, failed};

const CLASSES: usize = 10;
const PIXELS: usize = 64;
/// Digits that are predicted.
const TEST: usize = 500;
/// Bins of the calibration error.
const BINS: usize = 15;

/// Digits to learn from, and others.
pub struct Division {
    train: Rows<Tensor<1, Int>>,
    test: Tensor<2>,
    labels: Vec<usize>,
}

impl Division {
    /// `count` digits to learn from, chosen at random, and as many as are predicted.
    pub fn of(count: usize, cli: &Cli) -> Result<Self, RunError> {
        let mut all = digits::small();
        if count + TEST > all.len() {
            return Err(RunError::Setting(format!(
                "--digits: there are {} digits, of which {TEST} are for the test, got {count}",
                all.len()
            )));
        }
        all.shuffle(&mut ChaCha12Rng::seed_from_u64(cli.sampling.seed));
        let (test, others) = all.split_at(TEST);
        let train = &others[..count];
        let device = Device::flex();
        let labels: Vec<i32> = train.iter().map(|(_, label)| i32::from(*label)).collect();
        Ok(Self {
            train: Rows {
                inputs: inputs(train, &device),
                targets: Tensor::from_data(TensorData::new(labels, [count]), &device),
            },
            test: inputs(test, &device),
            labels: test.iter().map(|(_, label)| usize::from(*label)).collect(),
        })
    }
}

/// Pixels between 0 and 1.
fn inputs(digits: &[([u8; PIXELS], u8)], device: &Device) -> Tensor<2> {
    let pixels = digits.iter().flat_map(|(pixels, _)| pixels);
    let pixels: Vec<f32> = pixels.map(|pixel| f32::from(*pixel) / 16.0).collect();
    Tensor::from_data(TensorData::new(pixels, [digits.len(), PIXELS]), device)
}

/// How one way predicts the test digits, and how far from the posterior itself.
#[derive(Debug, Serialize)]
pub struct Distance {
    name: String,
    /// The share of digits for which it names the same class.
    agreement: f64,
    /// The mean total variation of the class probabilities.
    total_variation: f64,
    /// The mean mutual information of class and weights, in nats.
    mutual_information: f64,
    accuracy: f64,
    /// The mean negative log likelihood, in nats.
    nll: f64,
    ece: f64,
    seconds: f64,
}

/// Samples and compares.
pub fn run(cli: &Cli, data: &Division, folder: MakeFolder<'_>) -> Result<String, RunError> {
    let Division {
        train,
        test,
        labels,
    } = data;
    let seed = cli.sampling.seed;
    let device = Device::flex();
    device.seed(seed);

    let network = Net::new(PIXELS, CLASSES, &device);
    let task = Class { classes: CLASSES };
    let likelihood = task.likelihood(&device);
    let prior = |_: &_| PriorConfig::normal(cli.prior);
    let density = LogDensity::new(&network, &likelihood, prior, vec![train.batch()]);
    let density = density.map_err(failed)?;
    cli.sampling.check_draws(&network, test)?;
    let folder = folder()?;
    let mut gold = cli.sampling.run(&density, &likelihood, test, &folder)?;

    let probabilities = all_probabilities(&gold.predictive);
    let distance = |name, predictive: &CategoricalMixture, seconds| {
        Distance::of(name, predictive, &probabilities, labels, seconds)
    };
    let of_gold = distance("nuts".into(), &gold.predictive, gold.seconds)?;
    let data = Data {
        task,
        rows: train,
        seed,
        device: &device,
    };
    let (distances, left_out) = with_faster_ways(
        of_gold,
        &cli.methods(),
        data,
        test,
        |name, predictive, seconds| distance(name, &predictive, seconds),
    );

    let first = test.clone().narrow(0, 0, 1);
    let of_first = |net: &Net| {
        let log_p = log_softmax(net.forward(first.clone()), 1);
        log_p.narrow(1, labels[0], 1).into_scalar::<f64>()
    };
    gold.plot("ln p of the first test digit", of_first, &folder);
    let report = Report::new(distances, left_out, gold, &folder);
    Ok(present(&report, cli.json))
}

fn all_probabilities(predictive: &CategoricalMixture) -> Vec<f64> {
    (0..predictive.len())
        .flat_map(|example| predictive.probabilities(example))
        .collect()
}

impl Distance {
    /// Refuses scores that are not finite.
    fn of(
        name: String,
        predictive: &CategoricalMixture,
        gold: &[f64],
        labels: &[usize],
        seconds: f64,
    ) -> Result<Self, NotFiniteScore> {
        let probabilities = all_probabilities(predictive);
        let correct = predictive.correct(labels);
        let distance = Self {
            name,
            agreement: agreement(&probabilities, gold, CLASSES),
            total_variation: total_variation(&probabilities, gold, CLASSES),
            mutual_information: mean(&predictive.mutual_information()),
            accuracy: predictive.accuracy(labels),
            nll: mean(&predictive.nll(labels)),
            ece: expected_calibration_error(&predictive.confidence(), &correct, BINS),
            seconds,
        };
        // All others are between 0 and the logarithm of the classes.
        check_scores(&[("NLL", distance.nll)])?;
        Ok(distance)
    }
}

impl Line for Distance {
    fn header(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {:<12} {:>10} {:>16} {:>19} {:>10} {:>8} {:>8} {:>9}",
            "",
            "agreement",
            "total variation",
            "mutual information",
            "accuracy",
            "NLL",
            "ECE",
            "seconds"
        )
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<12} {:>8.1} % {:>16.3} {:>19.3} {:>8.1} % {:>8.3} {:>8.3} {:>9.1}",
            self.name,
            100.0 * self.agreement,
            self.total_variation,
            self.mutual_information,
            100.0 * self.accuracy,
            self.nll,
            self.ece,
            self.seconds
        )
    }
}
