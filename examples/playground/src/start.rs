//! Initial weights that are a function of the seed. Burn's generator is one for all threads of a process, so that
//! trainings which start beside each other would share its numbers out by chance.

use std::convert::Infallible;

use blitz_train::blitz_core::noise::NoiseKey;
use blitz_train::prelude::*;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

/// Folded into the seed: the same number given to an ELBO makes other noise.
const START: u64 = 0x706c_6179_7374_6172;

/// Where a network has its initial weights from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    seed: u64,
    network: u64,
}

impl Start {
    /// Of the first network of a way, given by its place among them.
    pub fn new(seed: u64, way: usize) -> Self {
        Self {
            seed,
            network: (way as u64) << 32,
        }
    }

    /// Of another network of the same way.
    pub fn member(self, index: usize) -> Self {
        Self {
            network: self.network | index as u64,
            ..self
        }
    }

    /// The network of linear layers with normal weights of the variance of Burn's, 1 / (3 · inputs). Of a Bayesian one
    /// the means.
    pub fn weights<M: Module>(self, network: M) -> M {
        let mut fill = Fill {
            start: self,
            stream: 0,
            inputs: 1,
        };
        let filled = network.map_means(|means| Ok::<_, Infallible>(means.map(&mut fill)));
        filled.unwrap_or_else(|never| match never {})
    }
}

struct Fill {
    start: Start,
    stream: u32,
    /// Those of the layer, whose bias comes after its weights.
    inputs: usize,
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Start { seed, network } = self.start;
        let key = NoiseKey::new(seed ^ START, network, self.stream);
        self.stream += 1;
        param.map(|weights| {
            let trains = weights.is_require_grad();
            let dims = weights.dims();
            if D > 1 {
                self.inputs = dims[0];
            }
            let mut normals = vec![0.0; dims.iter().product()];
            key.fill_standard_normal(0, &mut normals);
            let normals = TensorData::new(normals, dims);
            let normals = Tensor::from_data(normals, &weights.device());
            let scaled = normals / (3.0 * self.inputs as f64).sqrt();
            scaled.set_require_grad(trains)
        })
    }
}
