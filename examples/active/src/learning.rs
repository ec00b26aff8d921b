//! One course of labelling: train, measure, choose, label, and again.

use blitz_train::InputError;
use blitz_train::acquisition::{Acquisition, BatchBald, ClassDraws, bald, margin, random};
use burn::tensor::Device;
use example_support::RunError;
use serde::{Deserialize, Serialize};

use crate::Cli;
use crate::data::Division;
use crate::net::Net;

/// The labels of a batch that `BatchBald` enumerates or draws: fewer than its default, for the sake of time.
const CONFIGURATIONS: usize = 200;

/// How the next digits to label are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// At random.
    Random,
    /// By the smallest margin between two classes.
    Margin,
    /// By the information of each label about the weights.
    Bald,
    /// By that of all labels of a batch together.
    BatchBald,
}

impl Method {
    /// In the order of the report.
    pub const ALL: [Self; 4] = [Self::Random, Self::Margin, Self::Bald, Self::BatchBald];

    /// As the report has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Margin => "margin",
            Self::Bald => "BALD",
            Self::BatchBald => "BatchBALD",
        }
    }

    fn choose(self, pool: &ClassDraws, count: usize, seed: u64) -> Result<Acquisition, InputError> {
        match self {
            Self::Random => random(pool.len(), count, seed),
            Self::Margin => margin(pool.mixture(), count),
            Self::Bald => bald(pool.mixture(), count),
            Self::BatchBald => BatchBald::new(seed)
                .with_max_configurations(CONFIGURATIONS)
                .choose(pool, count),
        }
    }
}

/// How the accuracy grew with the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// How they were chosen.
    pub method: Method,
    /// The division.
    pub seed: u64,
    /// The numbers of labels.
    pub labels: Vec<usize>,
    /// The share of the test digits that were recognised with so many.
    pub accuracy: Vec<f64>,
}

/// The numbers of labels after which the accuracy is measured.
pub fn stops(cli: &Cli) -> Vec<usize> {
    let before_the_last = (cli.start..cli.labels).step_by(cli.batch);
    before_the_last.chain([cli.labels]).collect()
}

impl Curve {
    /// Refuses a course, read from a file, that has no accuracy for each of the `stops`.
    pub fn check(&self, stops: &[usize]) -> Result<(), String> {
        if self.labels != stops || self.accuracy.len() != stops.len() {
            return Err(format!(
                "it has {} numbers of labels and {} accuracies, and not one for each of the run's {}",
                self.labels.len(),
                self.accuracy.len(),
                stops.len()
            ));
        }
        Ok(())
    }

    /// The first number of labels with an accuracy of `target` percent.
    pub fn reaches(&self, target: f64) -> Option<usize> {
        let mut points = self.labels.iter().zip(&self.accuracy);
        let (labels, _) = points.find(|(_, accuracy)| 100.0 * *accuracy >= target)?;
        Some(*labels)
    }
}

/// The course of one method on one division.
pub fn curve(
    cli: &Cli,
    division: &Division,
    method: Method,
    seed: u64,
    device: &Device,
) -> Result<Curve, RunError> {
    let said = |error: InputError| RunError::Setting(error.to_string());
    let Division { pool, test } = division;
    // The same start for all methods.
    let mut labelled = random(pool.len(), cli.start, seed).map_err(said)?.indices;
    let mut curve = Curve {
        method,
        seed,
        labels: Vec::new(),
        accuracy: Vec::new(),
    };
    loop {
        let net = Net::trained(cli, &pool.of(&labelled), seed, device);
        let predicted = net.draws(cli, test, device)?;
        curve.labels.push(labelled.len());
        curve
            .accuracy
            .push(predicted.mixture().accuracy(&test.labels()));
        if labelled.len() >= cli.labels {
            return Ok(curve);
        }
        let rest: Vec<usize> = (0..pool.len()).filter(|i| !labelled.contains(i)).collect();
        let draws = net.draws(cli, &pool.of(&rest), device)?;
        let count = cli.batch.min(cli.labels - labelled.len());
        // Another seed after each batch.
        let seed = seed ^ ((labelled.len() as u64) << 32);
        let chosen = method.choose(&draws, count, seed).map_err(said)?;
        labelled.extend(chosen.indices.iter().map(|index| rest[*index]));
    }
}
