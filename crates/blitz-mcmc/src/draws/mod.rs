//! The draws of several chains, as numbers.

mod arviz;
mod store;

pub(crate) use store::{ChainFiles, Run};

use std::path::Path;

use blitz_train::blitz_predict::InputError;
use blitz_train::blitz_predict::convergence::try_e_bfmi;

use crate::density::Weight;
use crate::error::McmcError;

/// Draws of a network's weights by several chains of equal length, without their warm-up.
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    pub(crate) weights: Vec<Weight>,
    pub(crate) chains: Vec<ChainDraws>,
    /// A digest of what of the network was not sampled; files of before don't say it.
    pub(crate) unsampled: Option<u64>,
}

/// The draws of one chain.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainDraws {
    /// One position after the other.
    pub(crate) positions: Vec<f64>,
    pub(crate) stats: Vec<DrawStats>,
}

/// What the sampler says of a draw.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DrawStats {
    /// `ln p(data | w) + ln p(w)`.
    pub log_density: f64,
    /// The Hamiltonian, of which the draws' [E-BFMI](Draws::e_bfmi) is computed.
    pub energy: f64,
    /// The size of a leapfrog step of the draw after this one: nuts-rs tells it when it has adapted.
    pub step_size: f64,
    /// How often the trajectory was doubled.
    pub tree_depth: u64,
    /// The leapfrog steps of the trajectory.
    pub leapfrogs: u64,
    /// The mean acceptance probability along the trajectory.
    pub acceptance: f64,
    /// Whether the trajectory left the Hamiltonian's level: the draws may be missing where it did.
    pub diverging: bool,
}

impl ChainDraws {
    /// What the sampler says of each draw.
    pub fn stats(&self) -> &[DrawStats] {
        &self.stats
    }
}

impl Draws {
    /// The draws that a run left in a folder.
    ///
    /// # Errors
    ///
    /// If a chain is missing, damaged, or of another run than the first.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, McmcError> {
        store::load(folder.as_ref())
    }

    /// The tensors of weights, in the order of a position.
    pub fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// The chains.
    pub fn chains(&self) -> &[ChainDraws] {
        &self.chains
    }

    /// The number of draws of each chain.
    pub fn draws(&self) -> usize {
        self.chains.first().map_or(0, |chain| chain.stats.len())
    }

    /// The number of weights.
    pub fn dimensions(&self) -> usize {
        self.weights.iter().map(Weight::len).sum()
    }

    /// All weights of one draw.
    ///
    /// # Panics
    ///
    /// Panics if there is no such chain or draw.
    pub fn position(&self, chain: usize, draw: usize) -> &[f64] {
        let size = self.dimensions();
        &self.chains[chain].positions[draw * size..(draw + 1) * size]
    }

    /// The draws of weight `index`, of each chain.
    ///
    /// # Panics
    ///
    /// Panics if there is no such weight.
    pub fn weight(&self, index: usize) -> Vec<Vec<f64>> {
        let size = self.dimensions();
        assert!(index < size, "there is no weight {index} among {size}");
        let of = |chain: &ChainDraws| {
            chain
                .positions
                .iter()
                .skip(index)
                .step_by(size)
                .copied()
                .collect()
        };
        self.chains.iter().map(of).collect()
    }

    /// The number of draws whose trajectory diverged, of all chains.
    pub fn divergences(&self) -> usize {
        let stats = self.chains.iter().flat_map(|chain| &chain.stats);
        stats.filter(|draw| draw.diverging).count()
    }

    /// The [E-BFMI](blitz_train::blitz_predict::convergence::e_bfmi) of each chain.
    ///
    /// # Errors
    ///
    /// If a chain stood still.
    pub fn e_bfmi(&self) -> Result<Vec<f64>, InputError> {
        let energies = |chain: &ChainDraws| chain.stats.iter().map(|draw| draw.energy).collect();
        let chains = self.chains.iter();
        chains
            .map(|chain| {
                let energies: Vec<f64> = energies(chain);
                try_e_bfmi(&energies)
            })
            .collect()
    }

    /// Writes them in the form that ArviZ reads: `arviz.from_json(path)`, or `arviz.from_dict(json.load(..))` from its
    /// version 1 on.
    ///
    /// Each tensor of weights is a variable of the group `posterior` under its path; `sample_stats` has what the
    /// sampler says, under ArviZ's names. A weight called `chain` or `draw`, as ArviZ's axes are, gets a `_` at its
    /// end.
    ///
    /// # Errors
    ///
    /// If the file can't be written.
    pub fn write_arviz(&self, path: impl AsRef<Path>) -> Result<(), McmcError> {
        arviz::write(self, path.as_ref())
    }
}
