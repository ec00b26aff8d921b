//! The network, from one number to one number: two hidden layers, of Burn's layers or of Bayesian ones.

use blitz_train::blitz_core::{NormalPosterior, NormalPosteriorConfig, NormalPrior};
use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};

use crate::start::Start;

/// Units of each hidden layer.
const HIDDEN: usize = 16;

/// The sizes of the layers, from the input on.
const SIZES: [usize; 4] = [1, HIDDEN, HIDDEN, 1];

/// The probability that dropout drops a hidden unit.
pub(crate) const DROPPED: f64 = 0.1;

/// Of Burn's layers: for the ways that attach their posterior themselves, or need none in training.
#[derive(Module, Debug)]
pub(crate) struct Net {
    first: Linear,
    second: Linear,
    /// The last layer, for the Laplace approximation of it.
    pub last: Linear,
    activation: Relu,
}

impl Net {
    pub fn new(start: Start, device: &Device) -> Self {
        let [first, second, last] = [0, 1, 2].map(|i| LinearConfig::new(SIZES[i], SIZES[i + 1]));
        start.weights(Self {
            first: first.init(device),
            second: second.init(device),
            last: last.init(device),
            activation: Relu::new(),
        })
    }

    /// What enters the last layer.
    pub fn features(&self, input: Tensor<2>) -> Tensor<2> {
        let hidden = self.activation.forward(self.first.forward(input));
        self.activation.forward(self.second.forward(hidden))
    }
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.last.forward(self.features(input))
    }
}

/// Of Bayesian layers with independent normals, whose outputs are sampled in training.
#[derive(Module, Debug)]
pub(crate) struct BayesianNet {
    first: BayesianLinear,
    second: BayesianLinear,
    last: BayesianLinear,
    activation: Relu,
}

impl BayesianNet {
    /// With this deviation of the prior, and deviations that start at a twentieth of the size of the layer's weights.
    pub fn new(prior_std: f64, start: Start, device: &Device) -> Self {
        let [first, second, last] = [0, 1, 2].map(|i| {
            let (inputs, outputs) = (SIZES[i], SIZES[i + 1]);
            let posterior = NormalPosteriorConfig {
                initial_std: 0.05 / (inputs as f64).sqrt(),
            };
            BayesianLinearConfig::new(inputs, outputs)
                .with_estimator(Estimator::LocalReparameterization)
                .init_with(device, |weight| {
                    (
                        posterior.init(weight.shape, weight.device),
                        NormalPrior::new(prior_std),
                    )
                })
        });
        start.weights(Self {
            first,
            second,
            last,
            activation: Relu::new(),
        })
    }

    /// The same posterior under another prior.
    pub fn with_prior(self, prior_std: f64) -> Self {
        let posteriors = self.posteriors::<NormalPosterior>();
        self.replace_posteriors(|weight| {
            let mut posteriors = posteriors.iter();
            let attached = posteriors.find(|attached| attached.id == weight.id)?;
            Some((attached.posterior.clone(), NormalPrior::new(prior_std)))
        })
    }
}

impl Network for BayesianNet {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let hidden = self.activation.forward(self.first.forward(input));
        let hidden = self.activation.forward(self.second.forward(hidden));
        self.last.forward(hidden)
    }
}

/// Of Burn's layers, with dropout of the hidden units.
#[derive(Module, Debug)]
pub(crate) struct DropoutNet {
    first: Linear,
    second: Linear,
    last: Linear,
    units: [McDropout; 2],
    activation: Relu,
}

impl DropoutNet {
    pub fn new(start: Start, device: &Device) -> Self {
        let Net {
            first,
            second,
            last,
            activation,
        } = Net::new(start, device);
        Self {
            first,
            second,
            last,
            units: [(); 2].map(|()| McDropoutConfig::new(DROPPED).init()),
            activation,
        }
    }
}

impl Network for DropoutNet {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let [first, second] = &self.units;
        let hidden = first.forward(self.activation.forward(self.first.forward(input)));
        let hidden = second.forward(self.activation.forward(self.second.forward(hidden)));
        self.last.forward(hidden)
    }
}
