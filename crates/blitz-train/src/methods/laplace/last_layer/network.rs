//! Whole networks with a drawn last layer.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Device;

use super::super::error::deterministic;
use crate::predict::NetworkPosterior;

/// A posterior of a network's last layer.
pub trait LastLayerPosterior {
    /// Draw `index` of a prediction under `seed`, on `device`: the same numbers for the same posterior, always, rounded
    /// to the type of the layer that it was fitted to.
    fn sample_layer(&self, seed: u64, index: u64, device: &Device) -> Linear;
}

/// A trained network whose last layer has a posterior.
///
/// `set` puts a layer in the place of the last, for instance `|net: &mut Net, layer| net.last = layer`.
#[derive(Debug, Clone)]
pub struct LastLayerNetwork<N, P, F> {
    /// The trained network.
    pub network: N,
    /// The posterior of its last layer.
    pub posterior: P,
    set: F,
}

impl<N: Module, P: LastLayerPosterior, F: Fn(&mut N, Linear)> LastLayerNetwork<N, P, F> {
    /// A network, its last layer's posterior and how to set that layer.
    ///
    /// # Panics
    ///
    /// Panics if the network has posteriors already: the features that the last layer's posterior is of are then others
    /// in each draw, and their noise is that of the drawn layer.
    #[track_caller]
    pub fn new(network: N, posterior: P, set: F) -> Self {
        if let Err(error) = deterministic(&network) {
            panic!("{error}");
        }
        Self {
            network,
            posterior,
            set,
        }
    }

    /// The network with draw `index` of a prediction under `seed` in the place of its last layer, on the network's
    /// device.
    pub fn sample_network(&self, seed: u64, index: u64) -> N {
        let mut network = self.network.clone();
        let device = network.devices().into_iter().next().unwrap_or_default();
        let layer = self.posterior.sample_layer(seed, index, &device);
        (self.set)(&mut network, layer);
        network
    }
}

impl<N, P, F> NetworkPosterior<N> for LastLayerNetwork<N, P, F>
where
    N: Module,
    P: LastLayerPosterior,
    F: Fn(&mut N, Linear),
{
    fn draw_network(&self, seed: u64, index: u64) -> N {
        self.sample_network(seed, index)
    }
}
