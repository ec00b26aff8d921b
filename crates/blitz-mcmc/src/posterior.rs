//! Draws as networks, and whether they have converged.

use std::fmt;

use blitz_train::NetworkPosterior;
use blitz_train::blitz_core::BayesianModule;
use blitz_train::blitz_predict::convergence::try_summary;
use blitz_train::chains::spread;
use burn::module::Module;
use burn::tensor::Tensor;

use crate::density::{Weights, same_weights};
use crate::draws::Draws;
use crate::error::McmcError;

/// The draws of several chains as networks: a [`NetworkPosterior`], which
/// [`PredictorConfig::init_with`](blitz_train::PredictorConfig::init_with) predicts with.
///
/// Network i is a draw of chain `i mod C`; the draws of a chain come in an order of which every beginning is spread
/// over the whole chain, so that a prediction may take a few of many. After all of them it begins anew. The seed has no
/// part in it.
#[derive(Debug, Clone)]
pub struct McmcPosterior<N> {
    network: N,
    weights: Weights,
    draws: Draws,
}

impl<N: Module> McmcPosterior<N> {
    /// Draws that were [loaded](Draws::load), of the weights of `network`.
    ///
    /// # Errors
    ///
    /// If they are of weights of other paths or shapes, or were made with other numbers in what is not sampled: frozen
    /// weights, statistics of a batch norm. Files that were written before do not say those. If a draw is beyond the
    /// largest number of its weight's type, as 65,504 is of `f16`.
    pub fn new(network: &N, draws: Draws) -> Result<Self, McmcError> {
        // As the density has it: a frozen copy beside what was sampled has no draws.
        let network = network.clone().with_weights_apart().valid();
        let weights = Weights::of(&network);
        same_weights(&weights.tensors, draws.weights())?;
        if draws.unsampled.is_some_and(|it| it != weights.unsampled) {
            return Err(McmcError::OtherFrozen);
        }
        for chain in 0..draws.chains().len() {
            for draw in 0..draws.draws() {
                weights.check_range(draws.position(chain, draw))?;
            }
        }
        Ok(Self {
            network,
            weights,
            draws,
        })
    }

    /// The draws as numbers.
    pub fn draws(&self) -> &Draws {
        &self.draws
    }

    /// How many networks there are.
    pub fn networks(&self) -> usize {
        self.draws.chains().len() * self.draws.draws()
    }

    /// The network of one draw, in the types and on the device of the network that was sampled.
    ///
    /// # Panics
    ///
    /// Panics if there is no such chain or draw.
    pub fn network(&self, chain: usize, draw: usize) -> N {
        let position = self.draws.position(chain, draw);
        self.weights.put(self.network.clone(), position)
    }

    /// The convergence of each weight. Chains may differ in their weights and agree in what they predict: see
    /// [`convergence_of`](Self::convergence_of).
    ///
    /// # Errors
    ///
    /// If a weight is the same number in all draws.
    pub fn convergence(&self) -> Result<Convergence, McmcError> {
        let weights = 0..self.draws.dimensions();
        Convergence::of(weights.map(|index| self.draws.weight(index)))
    }

    /// The convergence of each number that `f` computes from a network: of its outputs at a few inputs, for instance.
    ///
    /// # Errors
    ///
    /// If a number is not finite, or the same in all draws.
    ///
    /// # Panics
    ///
    /// Panics if `f` returns another count of numbers for one draw than for another.
    pub fn convergence_of<const D: usize>(
        &self,
        mut f: impl FnMut(&N) -> Tensor<D>,
    ) -> Result<Convergence, McmcError> {
        let mut series: Vec<Vec<Vec<f64>>> = Vec::new();
        for chain in 0..self.draws.chains().len() {
            for draw in 0..self.draws.draws() {
                let numbers: Vec<f64> = f(&self.network(chain, draw)).into_data().iter().collect();
                if series.is_empty() {
                    series = vec![vec![Vec::new(); self.draws.chains().len()]; numbers.len()];
                }
                assert_eq!(
                    series.len(),
                    numbers.len(),
                    "each draw has to give as many numbers as the first"
                );
                for (series, number) in series.iter_mut().zip(numbers) {
                    series[chain].push(number);
                }
            }
        }
        Convergence::of(series.into_iter())
    }
}

impl<N: Module> NetworkPosterior<N> for McmcPosterior<N> {
    fn draw_network(&self, _seed: u64, index: u64) -> N {
        let chains = self.draws.chains().len() as u64;
        let draws = self.draws.draws() as u64;
        let draw = spread(index / chains, draws);
        self.network((index % chains) as usize, draw as usize)
    }
}

/// The convergence of several numbers, each of them by itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Convergence {
    /// [R̂](blitz_train::blitz_predict::convergence::r_hat), which wants to be below 1.01.
    pub r_hat: Vec<f64>,
    /// The [effective sample size](blitz_train::blitz_predict::convergence::ess_bulk) of the bulk.
    pub ess_bulk: Vec<f64>,
    /// That of the [tails](blitz_train::blitz_predict::convergence::ess_tail).
    pub ess_tail: Vec<f64>,
}

impl Convergence {
    fn of(numbers: impl Iterator<Item = Vec<Vec<f64>>>) -> Result<Self, McmcError> {
        let mut convergence = Self {
            r_hat: Vec::new(),
            ess_bulk: Vec::new(),
            ess_tail: Vec::new(),
        };
        for (number, chains) in numbers.enumerate() {
            let judged =
                try_summary(&chains).map_err(|reason| McmcError::Number { number, reason })?;
            convergence.r_hat.push(judged.r_hat);
            convergence.ess_bulk.push(judged.ess_bulk);
            convergence.ess_tail.push(judged.ess_tail);
        }
        Ok(convergence)
    }

    /// The largest R̂; NaN without numbers.
    pub fn largest_r_hat(&self) -> f64 {
        self.r_hat.iter().copied().fold(f64::NAN, f64::max)
    }

    /// The smallest effective sample size of a bulk; NaN without numbers.
    pub fn least_ess_bulk(&self) -> f64 {
        self.ess_bulk.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The smallest effective sample size of the tails; NaN without numbers.
    pub fn least_ess_tail(&self) -> f64 {
        self.ess_tail.iter().copied().fold(f64::NAN, f64::min)
    }
}

impl fmt::Display for Convergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "R-hat up to {:.3}, effective draws from {:.0} (bulk) and {:.0} (tails)",
            self.largest_r_hat(),
            self.least_ess_bulk(),
            self.least_ess_tail()
        )
    }
}
