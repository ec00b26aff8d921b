//! A split of a table: the regressions of `uci`.

use std::fmt;
use std::path::Path;

use blitz_mcmc::{LogDensity, Weight};
use blitz_train::HeteroscedasticLikelihoodConfig;
use blitz_train::metric::{interval_coverage, rmse, sample_wasserstein};
use blitz_train::prelude::*;
use burn::tensor::Device;
use example_support::methods::{Data, Net, NoisyNet, Number, Rows as Scaled, Scales, prior};
use example_support::tabular::{Split, Table, TableFormat};
use example_support::{NotFiniteScore, RunError, check_scores, figure, mean, present};
use serde::Serialize;

use crate::report::{Line, Report, with_faster_ways};
use crate::{Cli, MakeFolder, failed};

/// Samples of a predictive distribution that are compared.
const SAMPLES: usize = 2_000;
/// The noise that the chains' network has, which they begin near.
const NOISE: f64 = 0.3;

/// The rows of a split.
pub struct Rows {
    table: Table,
    split: Split,
    scales: Scales,
}

impl Rows {
    pub fn read(folder: &Path, format: &TableFormat, split: usize) -> Result<Self, RunError> {
        let table = Table::read(&folder.join("data.csv"), format.clone())?;
        let split = Split::read(&folder.join("test_splits.txt"), split, table.n_rows())?;
        let scales = Scales::of(&table, &split.train)?;
        Ok(Self {
            table,
            split,
            scales,
        })
    }
}

/// How one way predicts the test rows, and how far from the posterior itself.
#[derive(Debug, Serialize)]
pub struct Distance {
    name: String,
    /// The mean 1-Wasserstein distance of the predictive distributions, in deviations of the noise.
    wasserstein: f64,
    /// The mean epistemic deviation, in deviations of the noise.
    epistemic: f64,
    /// The mean deviation of the noise, in the unit of the target.
    noise: f64,
    rmse: f64,
    /// Mean log density of the targets, in nats.
    log_likelihood: f64,
    coverage_95: f64,
    seconds: f64,
}

/// Samples and compares.
pub fn run(cli: &Cli, data: &Rows, folder: MakeFolder<'_>) -> Result<String, RunError> {
    let Rows {
        table,
        split,
        scales,
    } = data;
    let seed = cli.sampling.seed;
    let device = Device::flex();
    device.seed(seed);
    let rows = |rows: &[usize]| Scaled::of(table, rows, scales, &device);
    let (train, test) = (rows(&split.train), rows(&split.test).inputs);
    let targets = table.targets_of(&split.test);

    let network = NoisyNet::new(Net::new(train.features(), 1, &device), NOISE);
    let likelihood = HeteroscedasticLikelihoodConfig::new().init();
    let prior = |weight: &Weight| prior(&weight.path, &weight.shape, cli.prior);
    let density = LogDensity::new(&network, &likelihood, prior, vec![train.batch()]);
    let density = density.map_err(failed)?;
    cli.sampling.check_draws(&network, &test)?;
    let folder = folder()?;
    let mut gold = cli.sampling.run(&density, &likelihood, &test, &folder)?;

    let predictive = scales.unscaled(gold.predictive.clone());
    let compared = Compared {
        // Other samples than those of a way: the gold standard's distance from itself is that of two sets of samples.
        gold: by_row(&predictive, seed.wrapping_add(1)),
        noise: mean(&predictive.aleatoric_std()),
        targets: &targets,
        seed,
    };
    let of_gold = compared.distance("nuts".into(), &predictive, gold.seconds)?;
    let data = Data {
        task: Number,
        rows: &train,
        seed,
        device: &device,
    };
    let (distances, left_out) = with_faster_ways(
        of_gold,
        &cli.methods(),
        data,
        &test,
        |name, predictive, seconds| compared.distance(name, &scales.unscaled(predictive), seconds),
    );

    let first = test.narrow(0, 0, 1);
    let of_first = |net: &NoisyNet| net.net.forward(first.clone()).into_scalar::<f64>();
    gold.plot("the first test row", of_first, &folder);
    let report = Report::new(distances, left_out, gold, &folder);
    Ok(present(&report, cli.json))
}

/// What predictions are compared with.
struct Compared<'a> {
    /// Samples of the posterior's predictions.
    gold: Vec<f64>,
    /// The posterior's mean deviation of the noise.
    noise: f64,
    targets: &'a [f64],
    seed: u64,
}

/// Samples in the order of rows, those of a row side by side.
fn by_row(mixture: &NormalMixture, seed: u64) -> Vec<f64> {
    let drawn = mixture.sample(SAMPLES, seed);
    let rows = 0..mixture.len();
    rows.flat_map(|row| drawn.iter().map(move |sample| sample[row]))
        .collect()
}

impl Compared<'_> {
    /// Refuses scores that are not finite.
    fn distance(
        &self,
        name: String,
        predictive: &NormalMixture,
        seconds: f64,
    ) -> Result<Distance, NotFiniteScore> {
        let own = by_row(predictive, self.seed);
        let distance = Distance {
            name,
            wasserstein: sample_wasserstein((&own, SAMPLES), (&self.gold, SAMPLES)) / self.noise,
            epistemic: mean(&predictive.epistemic_std()) / self.noise,
            noise: mean(&predictive.aleatoric_std()),
            rmse: rmse(&predictive.mean(), self.targets),
            log_likelihood: mean(&predictive.log_density(self.targets)),
            coverage_95: interval_coverage(&predictive.interval(0.95), self.targets),
            seconds,
        };
        check_scores(&[
            ("distance", distance.wasserstein),
            ("epistemic deviation", distance.epistemic),
            ("noise", distance.noise),
            ("RMSE", distance.rmse),
            ("log likelihood", distance.log_likelihood),
        ])?;
        Ok(distance)
    }
}

impl Line for Distance {
    fn header(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<12} {:>29}", "", "in noise deviations")?;
        writeln!(
            f,
            "  {:<12} {:>14} {:>14} {:>9} {:>9} {:>15} {:>11} {:>9}",
            "", "distance", "epistemic", "noise", "RMSE", "log likelihood", "95 % hold", "seconds"
        )
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<12} {:>14.2} {:>14.2} {:>9} {:>9} {:>15.3} {:>9.0} % {:>9.1}",
            self.name,
            self.wasserstein,
            self.epistemic,
            figure(self.noise),
            figure(self.rmse),
            self.log_likelihood,
            100.0 * self.coverage_95,
            self.seconds
        )
    }
}
