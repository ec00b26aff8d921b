//! A split of a table: the regressions of `uci`.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use blitz_mcmc::{LogDensity, Weight};
use blitz_train::HeteroscedasticLikelihoodConfig;
use blitz_train::metric::{interval_coverage, rmse, sample_wasserstein};
use blitz_train::prelude::*;
use burn::tensor::Device;
use example_support::methods::{Data, Net, NoisyNet, Number, Rows as Scaled, Scales, prior};
use example_support::tabular::{Split, Table, TableFormat};
use example_support::{LeftOut, RunError, RunFolder, present};
use serde::Serialize;

use crate::report::{Line, Report};
use crate::sampling::{Chains, plot_draws};
use crate::{Cli, failed};

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
    pub fn read(folder: &Path, split: usize) -> Result<Self, RunError> {
        let table = Table::read(&folder.join("data.csv"), TableFormat::default())?;
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
pub fn run(cli: &Cli, data: &Rows, folder: RunFolder) -> Result<String, RunError> {
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

    let start = Instant::now();
    let network = NoisyNet::new(Net::new(train.features(), 1, &device), NOISE);
    let likelihood = HeteroscedasticLikelihoodConfig::new().init();
    let batch = LabeledBatch {
        inputs: train.inputs.clone(),
        targets: train.targets.clone(),
    };
    let prior = |weight: &Weight| prior(&weight.path, &weight.shape, cli.prior);
    let density = LogDensity::new(&network, &likelihood, prior, vec![batch]).map_err(failed)?;
    let posterior = cli.sampling.run(&density, &folder)?;
    let predictor = PredictorConfig::new(cli.sampling.predictive_draws())
        .init_with(&posterior, &likelihood);
    let gold = scales.unscaled(predictor.predict(test.clone())?);
    let convergence = posterior
        .convergence_of(|net| net.net.forward(test.clone()))
        .map_err(failed)?;
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("nuts: {seconds:.1} s, predictions: {convergence}");

    let compared = Compared {
        gold: &gold,
        targets: &targets,
        seed,
    };
    let mut distances = vec![compared.distance("nuts", &gold, seconds)];
    let mut left_out = Vec::new();
    for method in cli.methods() {
        let name = method.name();
        let start = Instant::now();
        let predict = method.fit_by_default(Data {
            task: &Number,
            rows: &train,
            seed,
            device: &device,
        });
        match predict(&test) {
            Ok(predictive) => {
                let seconds = start.elapsed().as_secs_f64();
                eprintln!("{name}: {seconds:.1} s");
                let predictive = scales.unscaled(predictive);
                distances.push(compared.distance(&name, &predictive, seconds));
            }
            Err(error) => left_out.push(LeftOut::new(name, seed, error)),
        }
    }

    let first = test.narrow(0, 0, 1);
    let of_first = |net: &NoisyNet| net.net.forward(first.clone()).into_scalar::<f64>();
    plot_draws(&posterior, "the first test row", of_first, &folder)?;
    let report = Report {
        distances,
        left_out,
        chains: Chains::of(&posterior, &convergence),
        folder: folder.path().into(),
    };
    Ok(present(&report, cli.json))
}

/// What predictions are compared with.
struct Compared<'a> {
    gold: &'a NormalMixture,
    targets: &'a [f64],
    seed: u64,
}

impl Compared<'_> {
    fn distance(&self, name: &str, predictive: &NormalMixture, seconds: f64) -> Distance {
        // In the order of rows, those of a row side by side.
        let samples = |mixture: &NormalMixture, seed| {
            let drawn = mixture.sample(SAMPLES, seed);
            let rows = 0..self.targets.len();
            rows.flat_map(|row| drawn.iter().map(move |sample| sample[row]))
                .collect::<Vec<f64>>()
        };
        // Other samples than those of the gold standard: its distance from itself is that of two sets of samples.
        let own = samples(predictive, self.seed);
        let gold = samples(self.gold, self.seed.wrapping_add(1));
        let unit = mean(&self.gold.aleatoric_std());
        Distance {
            name: name.into(),
            wasserstein: sample_wasserstein((&own, SAMPLES), (&gold, SAMPLES)) / unit,
            epistemic: mean(&predictive.epistemic_std()) / unit,
            noise: mean(&predictive.aleatoric_std()),
            rmse: rmse(&predictive.mean(), self.targets),
            log_likelihood: mean(&predictive.log_density(self.targets)),
            coverage_95: interval_coverage(&predictive.interval(0.95), self.targets),
            seconds,
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl Line for Distance {
    fn header(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<12} {:>29}", "", "in noise deviations")?;
        writeln!(
            f,
            "  {:<12} {:>14} {:>14} {:>9} {:>9} {:>15} {:>11} {:>9}",
            "",
            "distance",
            "epistemic",
            "noise",
            "RMSE",
            "log likelihood",
            "95 % hold",
            "seconds"
        )
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<12} {:>14.2} {:>14.2} {:>9.3} {:>9.3} {:>15.3} {:>9.0} % {:>9.1}",
            self.name,
            self.wasserstein,
            self.epistemic,
            self.noise,
            self.rmse,
            self.log_likelihood,
            100.0 * self.coverage_95,
            self.seconds
        )
    }
}
