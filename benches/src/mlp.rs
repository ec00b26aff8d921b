//! A multilayer perceptron of Burn's own layers.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};

/// Linear layers with ReLUs between them.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Layers from each width to the next.
    pub fn new(widths: &[usize], device: &Device) -> Self {
        let pairs = widths.windows(2);
        let layers = pairs.map(|w| LinearConfig::new(w[0], w[1]).init(device));
        Self {
            layers: layers.collect(),
        }
    }

    /// The output for a batch.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let layers = self.layers.iter().enumerate();
        layers.fold(x, |x, (i, layer)| match layer.forward(x) {
            x if i < last => Relu::new().forward(x),
            x => x,
        })
    }
}
