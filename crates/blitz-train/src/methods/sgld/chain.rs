//! Thinned networks of a chain, in a fixed amount of memory.

use burn::config::Config;
use burn::module::Module;

use crate::predict::{NetworkPosterior, spread};

/// Configuration of a [`Chain`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `burn_in` | | the steps before the first network that is kept | |
/// | `thinning` | | the steps from one kept network to the next | ≥ 1 |
/// | `capacity` | 64 | the most networks that are kept | ≥ 2 |
#[derive(Config, Debug, PartialEq, Eq)]
pub struct ChainConfig {
    /// The steps before the first network that is kept.
    pub burn_in: u64,
    /// The steps from one kept network to the next.
    pub thinning: u64,
    /// The most networks that are kept.
    #[config(default = 64)]
    pub capacity: usize,
}

impl ChainConfig {
    /// A chain without networks.
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range.
    pub fn init<M: Module>(&self) -> Chain<M> {
        assert!(
            self.thinning > 0,
            "a chain's thinning must be at least 1, got 0"
        );
        assert!(
            self.capacity > 1,
            "a chain keeps at least 2 networks, got a capacity of {}",
            self.capacity
        );
        Chain {
            config: self.clone(),
            thinning: self.thinning,
            steps: 0,
            networks: Vec::new(),
        }
    }
}

/// Collects networks of a chain such as [`Sgld`](super::Sgld)'s, each a draw from the posterior.
///
/// When it is full, every other network goes and the thinning doubles: what is kept is evenly spaced over the whole
/// chain, however long that becomes.
///
/// ```
/// use blitz_train::ChainConfig;
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
///
/// let network = LinearConfig::new(1, 1).init(&Device::flex());
/// let mut chain = ChainConfig::new(100, 10).with_capacity(8).init();
/// for _ in 0..200 {
///     chain.push(&network); // after each optimizer step
/// }
/// assert_eq!(chain.networks().len(), 5); // of the steps 100, 120, ..., 180
/// assert_eq!(chain.thinning(), 20);
/// ```
#[derive(Debug, Clone)]
pub struct Chain<M> {
    config: ChainConfig,
    /// The thinning in force.
    thinning: u64,
    steps: u64,
    networks: Vec<M>,
}

impl<M: Module> Chain<M> {
    /// Counts a step, and keeps its network, off the autodiff graph, if its turn has come.
    pub fn push(&mut self, network: &M) {
        let step = self.steps;
        self.steps += 1;
        if !self.is_due(step) {
            return;
        }
        if self.networks.len() == self.config.capacity {
            let mut keep = [true, false].into_iter().cycle();
            self.networks.retain(|_| keep.next() == Some(true));
            self.thinning *= 2;
        }
        if self.is_due(step) {
            self.networks.push(network.valid());
        }
    }

    fn is_due(&self, step: u64) -> bool {
        let after = step.checked_sub(self.config.burn_in);
        after.is_some_and(|after| after.is_multiple_of(self.thinning))
    }

    /// The networks that are kept, oldest first.
    pub fn networks(&self) -> &[M] {
        &self.networks
    }

    /// The networks that are kept, oldest first.
    pub fn into_networks(self) -> Vec<M> {
        self.networks
    }

    /// The steps from one kept network to the next.
    pub fn thinning(&self) -> u64 {
        self.thinning
    }
}

/// The networks that the chain kept, in an order of which every beginning is spread over the whole chain, so that a
/// prediction may take a few of many. After all of them it begins anew. The seed has no part in it.
///
/// # Panics
///
/// Panics if the chain has kept none yet.
impl<N: Module> NetworkPosterior<N> for Chain<N> {
    fn draw_network(&self, _seed: u64, index: u64) -> N {
        let networks = self.networks();
        assert!(
            !networks.is_empty(),
            "the chain has kept no network yet: it is still burning in"
        );
        networks[spread(index, networks.len() as u64) as usize].clone()
    }
}
