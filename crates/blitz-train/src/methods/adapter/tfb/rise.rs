//! By how much the loss rises at a deviation, measured in pairs, within what may be spent.

use blitz_layers::blitz_core::BayesianModule;
use blitz_layers::blitz_core::noise::{NoiseKey, layout};

use super::super::factors::with_values;
use super::TfbError;
use super::directions::Directions;
use crate::batch::LabeledBatch;
use crate::likelihood::Likelihood;
use crate::network::Network;

/// By how much the mean loss rises.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rise {
    pub mean: f64,
    /// Its standard error, by how it differs between the draws; `None` of a single one.
    pub error: Option<f64>,
}

/// The losses of a network around its mean. Draw j is of batch j, and begins again with the first after the last one;
/// its noise is its own, and the same at every deviation.
pub(super) struct Rises<'a, N: Network, L: Likelihood> {
    network: &'a N,
    likelihood: &'a L,
    directions: &'a [Directions],
    batches: &'a [LabeledBatch<N::Input, L::Target>],
    seed: u64,
    /// How many examples the batches have that were run.
    sizes: Vec<usize>,
    /// The losses of the draws at the mean, summed over their examples.
    at_mean: Vec<f64>,
    forwards: usize,
}

impl<'a, N: Network, L: Likelihood<Output = N::Output>> Rises<'a, N, L> {
    /// Runs the first batch that has examples.
    ///
    /// # Errors
    ///
    /// Returns an error if there is none, or if its loss is not finite.
    pub(super) fn new(
        network: &'a N,
        likelihood: &'a L,
        directions: &'a [Directions],
        batches: &'a [LabeledBatch<N::Input, L::Target>],
        seed: u64,
    ) -> Result<Self, TfbError> {
        let mut rises = Self {
            network,
            likelihood,
            directions,
            batches,
            seed,
            sizes: Vec::new(),
            at_mean: Vec::new(),
            forwards: 0,
        };
        while rises.forwards == 0 {
            if rises.draws() == batches.len() {
                return Err(TfbError::Empty);
            }
            rises.begin(rises.draws() + 1)?;
        }
        Ok(rises)
    }

    /// How many draws were measured at the mean.
    pub(super) fn draws(&self) -> usize {
        self.at_mean.len()
    }

    /// How many examples the network was run on.
    pub(super) fn forwards(&self) -> usize {
        self.forwards
    }

    /// The mean loss at the mean, of the draws that were measured.
    pub(super) fn loss_at_mean(&self) -> f64 {
        let examples: usize = (0..self.draws()).map(|draw| self.size(draw)).sum();
        self.at_mean.iter().sum::<f64>() / examples as f64
    }

    /// How many draws can be measured at so many deviations before so many passes over the examples have been made, all
    /// together.
    pub(super) fn draws_within(&self, passes: f64, deviations: usize) -> usize {
        let examples: usize = (0..self.batches.len()).map(|batch| self.size(batch)).sum();
        let mut left = passes * examples as f64 - self.forwards as f64;
        let cost = |draw: usize| {
            let runs = 2 * deviations + usize::from(draw >= self.draws());
            (runs * self.size(draw).max(1)) as f64
        };
        let is_within = |draw: &usize| {
            left -= cost(*draw);
            left >= 0.0
        };
        (0..).take_while(is_within).count()
    }

    /// The rise over the first draws.
    ///
    /// # Errors
    ///
    /// Returns an error if the loss of one is not finite at the mean.
    pub(super) fn at(&mut self, draws: usize, std: f64) -> Result<Rise, TfbError> {
        self.begin(draws)?;
        let mut rises = Vec::with_capacity(draws);
        for draw in 0..draws {
            let streams = 0..self.directions.len() as u32;
            let seed = self.seed ^ layout::TFB;
            let noise = streams.map(|stream| NoiseKey::new(seed, draw as u64, stream));
            let noise = self.directions.iter().zip(noise);
            let noise: Vec<_> = noise.map(|(of, key)| of.noise(key)).collect();
            let mut loss = |std: f64| {
                let moved = self.directions.iter().zip(&noise);
                let moved = moved.map(|(of, noise)| of.moved(noise, std)).collect();
                self.run(&with_values(self.network.clone(), moved), draw)
            };
            let ((up, size), (down, _)) = (loss(std), loss(-std));
            rises.push((0.5 * (up + down) - self.at_mean[draw], size as f64));
        }
        Ok(rise(&rises))
    }

    /// The losses at the mean of the first draws.
    fn begin(&mut self, draws: usize) -> Result<(), TfbError> {
        for draw in self.draws()..draws {
            let (loss, size) = self.run(self.network, draw);
            if size > 0 && !loss.is_finite() {
                return Err(TfbError::NonFinite {
                    batch: draw % self.batches.len(),
                    loss: loss / size as f64,
                });
            }
            if draw < self.batches.len() {
                self.sizes.push(size);
            }
            self.at_mean.push(loss);
        }
        Ok(())
    }

    /// The loss of a draw, summed over its examples, and how many these are. What is random besides, such as a head
    /// with a posterior, has the same draw at every deviation.
    fn run(&mut self, network: &N, draw: usize) -> (f64, usize) {
        let batch = &self.batches[draw % self.batches.len()];
        let output = network.with_draw(self.seed, layout::validation(draw as u64), |network| {
            network.forward(batch.inputs.clone())
        });
        let nll = self.likelihood.nll(output, batch.targets.clone());
        let size = nll.dims()[0];
        self.forwards += size;
        (nll.sum().into_scalar::<f64>(), size)
    }

    /// The examples of a draw. A batch that was not run yet counts as long as the first that has any, and the last one
    /// as a single example.
    fn size(&self, draw: usize) -> usize {
        let batch = draw % self.batches.len();
        let first = self.sizes.iter().copied().find(|size| *size > 0);
        let unknown = match batch + 1 == self.batches.len() {
            true => 1,
            false => first.unwrap_or(1),
        };
        self.sizes.get(batch).copied().unwrap_or(unknown)
    }
}

/// The mean of rises that are sums over so many examples, and its standard error as that of a ratio of sums.
fn rise(rises: &[(f64, f64)]) -> Rise {
    let examples: f64 = rises.iter().map(|(_, size)| size).sum();
    let mean = rises.iter().map(|(rise, _)| rise).sum::<f64>() / examples;
    let draws = rises.iter().filter(|(_, size)| *size > 0.0).count() as f64;
    let squares = rises
        .iter()
        .map(|(rise, size)| (rise - mean * size).powi(2));
    let variance = squares.sum::<f64>() * draws / (draws - 1.0);
    let error = (draws > 1.0).then(|| variance.sqrt() / examples);
    Rise { mean, error }
}
