//! The curve of `toy-1d`.

use std::fmt;

use blitz_mcmc::{LogDensity, Weight};
use blitz_train::metric::sample_wasserstein;
use blitz_train::prelude::*;
use burn::tensor::{Device, Tensor};
use example_support::methods::{Data, Net, Number, ScaledNet, column};
use example_support::{RunError, present, written};
use serde::Serialize;
use toy_1d::curve::{NOISE, Points, is_in_gap, is_seen};
use toy_1d::grid;
use toy_1d::picture::save_bands;
use toy_1d::report::Figures;

use crate::report::{Line, Report, with_faster_ways};
use crate::{Cli, MakeFolder, failed};

/// Samples of a predictive distribution that are compared.
const SAMPLES: usize = 2_000;

/// One way's band, and its distance from the posterior itself.
#[derive(Debug, Serialize)]
pub struct Distance {
    /// Its band.
    #[serde(flatten)]
    pub figures: Figures,
    /// The mean 1-Wasserstein distance of the predictive distributions where points are, in deviations of the noise.
    pub wasserstein_seen: f64,
    /// In the gap between the stretches.
    pub wasserstein_gap: f64,
    /// Outside both.
    pub wasserstein_outside: f64,
}

/// Samples, compares and plots.
pub fn run(cli: &Cli, folder: MakeFolder<'_>) -> Result<String, RunError> {
    let seed = cli.sampling.seed;
    let points = Points::new(cli.points, seed);
    let device = Device::flex();
    device.seed(seed);
    let network = Net::new(1, 1, &device);
    match cli.learn_prior {
        false => {
            let prior = |_: &_| PriorConfig::normal(cli.prior);
            compare(cli, folder, &points, network, prior)
        }
        true => {
            let network = ScaledNet::new(network, cli.prior);
            compare(cli, folder, &points, network, |_| PriorConfig::normal(1.0))
        }
    }
}

/// Samples the posterior of `network`, and compares the faster ways with it.
fn compare<N>(
    cli: &Cli,
    folder: MakeFolder<'_>,
    points: &Points,
    network: N,
    prior: impl Fn(&Weight) -> PriorConfig,
) -> Result<String, RunError>
where
    N: Network<Input = Tensor<2>, Output = Tensor<2>>,
{
    let seed = cli.sampling.seed;
    let device = Device::flex();
    let rows = points.rows(&device);
    let noise = LikelihoodParam::Fixed(NOISE);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(&device);
    let density = LogDensity::new(&network, &likelihood, prior, vec![rows.batch()]);
    let density = density.map_err(failed)?;
    let at = column(&grid(), &device);
    cli.sampling.check_draws(&network, &at)?;
    let folder = folder()?;
    let mut gold = cli.sampling.run(&density, &likelihood, &at, &folder)?;

    let figures = Figures::of("nuts".into(), &gold.predictive, gold.seconds);
    let of_gold = Distance::of(figures, &gold.predictive, &gold.predictive, seed);
    let mut bands = vec![("nuts".to_string(), gold.predictive.clone())];
    let data = Data {
        task: Number,
        rows: &rows,
        seed,
        device: &device,
    };
    let (distances, mut left_out) = with_faster_ways(
        of_gold,
        &cli.methods(),
        data,
        &at,
        |name, predictive, seconds| {
            let figures = Figures::of(name.clone(), &predictive, seconds);
            let distance = Distance::of(figures, &predictive, &gold.predictive, seed);
            bands.push((name, predictive));
            Ok(distance)
        },
    );

    written(folder.join("bands.png"), seed, &mut left_out, |path| {
        save_bands(path, points, &bands)
    });
    let middle = column(&[0.0], &device);
    let of_middle = |net: &N| net.forward(middle.clone()).into_scalar::<f64>();
    gold.plot("f(0)", of_middle, &folder);

    let report = Report::new(distances, left_out, gold, &folder);
    Ok(present(&report, cli.json))
}

impl Distance {
    /// Of predictions along the grid from those of the posterior itself.
    fn of(figures: Figures, predictive: &NormalMixture, gold: &NormalMixture, seed: u64) -> Self {
        let grid = grid();
        let by_example = |mixture: &NormalMixture, seed| -> Vec<Vec<f64>> {
            let samples = mixture.sample(SAMPLES, seed);
            (0..grid.len())
                .map(|at| samples.iter().map(|sample| sample[at]).collect())
                .collect()
        };
        // Other samples than those of the gold standard: its distance from itself is that of two sets of samples.
        let (samples, gold) = (
            by_example(predictive, seed),
            by_example(gold, seed.wrapping_add(1)),
        );
        let mean_where = |wanted: &dyn Fn(f64) -> bool| {
            let there = grid
                .iter()
                .zip(samples.iter().zip(&gold))
                .filter(|(x, _)| wanted(**x));
            let (a, b): (Vec<f64>, Vec<f64>) = there
                .flat_map(|(_, (a, b))| a.iter().copied().zip(b.iter().copied()))
                .unzip();
            sample_wasserstein((&a, SAMPLES), (&b, SAMPLES)) / NOISE
        };
        Self {
            figures,
            wasserstein_seen: mean_where(&is_seen),
            wasserstein_gap: mean_where(&is_in_gap),
            wasserstein_outside: mean_where(&|x| !is_seen(x) && !is_in_gap(x)),
        }
    }
}

impl Line for Distance {
    fn header(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {:<12} {:>32} {:>30} {:>10}",
            "", "distance, in noise deviations", "epistemic deviation", "holds"
        )?;
        writeln!(
            f,
            "  {:<12} {:>12} {:>9} {:>9} {:>12} {:>8} {:>8} {:>10} {:>9}",
            "",
            "at points",
            "in gap",
            "outside",
            "at points",
            "in gap",
            "outside",
            "the curve",
            "seconds"
        )
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = &self.figures;
        write!(
            f,
            "{:<12} {:>12.2} {:>9.2} {:>9.2} {:>12.3} {:>8.3} {:>8.3} {:>8.0} % {:>9.1}",
            figures.name,
            self.wasserstein_seen,
            self.wasserstein_gap,
            self.wasserstein_outside,
            figures.std_seen,
            figures.std_gap,
            figures.std_outside,
            100.0 * figures.holds,
            figures.seconds
        )
    }
}
