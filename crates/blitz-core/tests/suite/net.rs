//! A small Burn network and helpers that the tests share.

use blitz_core::BuiltinVariational;
use blitz_core::prelude::*;
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, Relu};
use burn::tensor::{DType, Device, Tensor};

use crate::digest::given;

#[derive(Module, Debug)]
pub struct Net {
    pub hidden: Linear,
    pub norm: BatchNorm,
    pub output: Linear,
}

impl Net {
    /// A deterministic network, the same in every run.
    pub fn plain(device: &Device) -> Self {
        Self {
            hidden: linear(3, 5, true, 0.6, device),
            norm: BatchNormConfig::new(5).init(device),
            output: linear(5, 2, false, 0.5, device),
        }
    }

    pub fn bayesian(device: &Device) -> Self {
        Self::plain(device).bayesianize(&BayesianizeConfig::new())
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.norm.forward(self.hidden.forward(x));
        self.output.forward(Relu::new().forward(hidden))
    }
}

/// A layer with normal weights of deviation `scale`, the same in every run. (Burn's own generator is shared by all
/// tests of the process.)
pub fn linear(inputs: usize, outputs: usize, bias: bool, scale: f64, device: &Device) -> Linear {
    let config = LinearConfig::new(inputs, outputs).with_bias(bias);
    given(config.init(device), scale, DType::F32)
}

/// Every posterior family, with its deviations at `std`.
pub fn families(std: f64) -> [PosteriorConfig; 7] {
    [
        PosteriorConfig::normal(std),
        PosteriorConfig::laplace(std),
        // Enough degrees of freedom for the variance of a variance.
        PosteriorConfig::student_t(9.0, std),
        PosteriorConfig::radial(std),
        PosteriorConfig::low_rank_normal(3, std),
        PosteriorConfig::matrix_normal(std),
        PosteriorConfig::full_rank_normal(std),
    ]
}

/// Every CPU device.
#[allow(deprecated)] // ndarray stays supported here.
pub fn devices() -> [Device; 2] {
    [Device::flex(), Device::ndarray()]
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

pub fn scalar(tensor: Tensor<1>) -> f64 {
    tensor.into_scalar::<f64>()
}

pub fn rho(layer: &Linear) -> Tensor<1> {
    let posterior = layer.weight.reparameterization::<BuiltinVariational>();
    posterior.unwrap().posterior.as_normal().unwrap().rho.val()
}
