//! One network that lives through all days.

use std::fmt;

use blitz_train::metric::{interval_coverage, rmse};
use blitz_train::plot::Band;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::Initializer;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use example_support::RunError;
use example_support::methods::column;

use crate::Cli;
use crate::stream::{Day, NOISE, RANGE};

/// Units of the hidden layer.
const HIDDEN: usize = 20;
/// Draws of the weights in a training step.
const SAMPLES: usize = 4;
/// The learning rate at the start of a day; it falls to 0.
const RATE: f64 = 0.02;
/// Of the interval whose coverage is counted.
pub const LEVEL: f64 = 0.9;
/// Places at which the mean is compared with the curve.
const GRID: usize = 101;

/// The numbers of each draw of a prediction: its outputs for the points of a day or for the places, whichever are more,
/// and its weights, which are kept.
pub fn numbers_of_a_draw(points: usize) -> usize {
    let weights = 2 * HIDDEN + HIDDEN + 1;
    points.max(GRID) + weights
}

/// How much of what is known the next day still knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Keep {
    /// This share.
    Share(f64),
    /// Nothing: a new network every day.
    Nothing,
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(discount) => write!(f, "discount {discount}"),
            Self::Nothing => write!(f, "anew every day"),
        }
    }
}

/// Hidden units that answer near one place.
#[derive(Module, Debug)]
pub struct Net {
    hidden: BayesianLinear,
    output: BayesianLinear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let std = 2.0;
        let hidden = BayesianLinearConfig::new(1, HIDDEN)
            .with_initializer(Initializer::Normal { mean: 0.0, std })
            .with_prior(PriorConfig::normal(std))
            .init(device);
        let output = BayesianLinearConfig::new(HIDDEN, 1).init(device);
        Self { hidden, output }
    }
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output
            .forward(self.hidden.forward(x).square().neg().exp())
    }
}

/// What a day's points were to a network that had not seen them.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The mean negative log likelihood of the points, in nats.
    pub nll: f64,
    /// The share of the points within their interval.
    pub coverage: f64,
    /// The root mean square distance of the mean from the curve.
    pub rmse: f64,
}

/// A network, and how it did so far.
#[derive(Debug)]
pub struct Learner {
    /// What it keeps.
    pub keep: Keep,
    /// Each day, before its points were learnt.
    pub outcomes: Vec<Outcome>,
    /// How far each day moved the posterior from its prior, in nats.
    pub kl_by_day: Vec<f64>,
    start: Net,
    net: Net,
    likelihood: GaussianLikelihood,
    cli: Cli,
    device: Device,
}

impl Learner {
    /// Before the first day.
    pub fn new(keep: Keep, cli: &Cli, device: &Device) -> Self {
        let autodiff = device.clone().autodiff();
        autodiff.seed(cli.seed);
        let net = Net::new(&autodiff);
        let noise = LikelihoodParam::Fixed(NOISE);
        let likelihood = GaussianLikelihoodConfig::new().with_noise(noise);
        Self {
            keep,
            outcomes: Vec::new(),
            kl_by_day: Vec::new(),
            start: net.clone(),
            net,
            likelihood: likelihood.init(&autodiff),
            cli: cli.clone(),
            device: device.clone(),
        }
    }

    /// Predicts each day's points and then learns them; the band after the last.
    pub fn live(&mut self, days: &[Day]) -> Result<Band, RunError> {
        for day in days {
            let number = day.number + 1;
            let failed =
                |reason: &dyn fmt::Display| RunError::Setting(format!("day {number}: {reason}"));
            self.predict(day).map_err(|error| failed(&error))?;
            self.learn(day);
            let (nll, kl) = (self.outcomes[day.number].nll, self.kl_by_day[day.number]);
            if !(nll.is_finite() && kl.is_finite()) {
                return Err(failed(&format!("an NLL of {nll} and a KL of {kl}")));
            }
        }
        self.band(&days[days.len() - 1])
    }

    /// Predicts the points of a day, and keeps how that went.
    fn predict(&mut self, day: &Day) -> Result<(), RunError> {
        let predictor = self.predictor();
        let predicted = predictor.predict(column(&day.x, &self.device))?;
        let grid = grid();
        let mean = predictor.predict(column(&grid, &self.device))?.mean();
        let curve: Vec<f64> = grid.iter().map(|x| day.truth(*x)).collect();
        let nll = predicted.nll(&day.y);
        self.outcomes.push(Outcome {
            nll: nll.iter().sum::<f64>() / nll.len() as f64,
            coverage: interval_coverage(&predicted.interval(LEVEL), &day.y),
            rmse: rmse(&mean, &curve),
        });
        Ok(())
    }

    /// Learns the points of a day. This is all that continual learning takes.
    fn learn(&mut self, day: &Day) {
        let mut net = match self.keep {
            Keep::Nothing => self.start.clone(),
            Keep::Share(_) if day.number == 0 => self.net.clone(),
            Keep::Share(discount) => self
                .net
                .clone()
                .scale_deviations(discount.powf(-0.5))
                .posterior_as_prior(),
        };
        let device = self.device.clone().autodiff();
        let (x, y) = (column(&day.x, &device), column(&day.y, &device));
        let likelihood = &self.likelihood;
        let elbo = ElboConfig::new(day.x.len())
            .with_samples(SAMPLES)
            .with_seed(self.cli.seed.wrapping_add(day.number as u64))
            .init();
        let mut adam = FusedAdamConfig::new().init();
        for step in 0..self.cli.steps {
            let loss = elbo.loss(&net, (step as u64).into(), |net: &Net| {
                likelihood.nll(net.forward(x.clone()), y.clone())
            });
            let grads = GradientsParams::from_grads(loss.loss.backward(), &net);
            let rate = RATE * (1.0 - step as f64 / self.cli.steps as f64);
            net = adam.step(rate, net, grads);
        }
        self.kl_by_day.push(net.kl_cost().into_scalar::<f64>());
        self.net = net;
    }

    /// What is predicted after the last day, with the points and the curve of that day.
    fn band(&self, day: &Day) -> Result<Band, RunError> {
        let grid = grid();
        let predicted = self.predictor().predict(column(&grid, &self.device))?;
        let band = Band::of(self.keep.to_string(), &grid, &predicted)?;
        let points = day.x.iter().copied().zip(day.y.iter().copied());
        let truth = grid.into_iter().map(|x| (x, day.truth(x)));
        Ok(band.with_points(points).with_truth(truth))
    }

    /// The mean negative log likelihood of each day's points, before they were learnt.
    pub fn nll_by_day(&self) -> Vec<f64> {
        self.outcomes.iter().map(|outcome| outcome.nll).collect()
    }

    /// The predictions of today's network.
    fn predictor(&self) -> Predictor<Net, GaussianLikelihood> {
        PredictorConfig::new(self.cli.predict_samples).init(&self.net, &self.likelihood)
    }
}

fn grid() -> Vec<f64> {
    let step = (RANGE.1 - RANGE.0) / (GRID - 1) as f64;
    (0..GRID).map(|i| RANGE.0 + step * i as f64).collect()
}
