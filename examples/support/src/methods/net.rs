//! The network of the literature: one hidden layer with ReLUs.

use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
use blitz_train::prelude::*;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};

/// Units of the hidden layer.
const HIDDEN: usize = 50;

/// Of Burn's layers, for methods that need no posterior in training, and for those that attach one.
#[derive(Module, Debug)]
pub struct Net {
    /// To the hidden units.
    pub hidden: Linear,
    activation: Relu,
    /// To the outputs.
    pub output: Linear,
}

impl Net {
    /// With Burn's initial weights.
    pub fn new(features: usize, outputs: usize, device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(features, HIDDEN).init(device),
            activation: Relu::new(),
            output: LinearConfig::new(HIDDEN, outputs).init(device),
        }
    }

    /// The hidden units.
    pub fn features(&self, input: Tensor<2>) -> Tensor<2> {
        self.activation.forward(self.hidden.forward(input))
    }
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let hidden = self.features(input);
        self.output.forward(hidden)
    }
}

/// Normal priors under which functions have about the scale of a standardized target: the deviation of a layer's
/// weights is `scale / √inputs`, that of everything else 1.
pub fn prior(path: &str, shape: &[usize], scale: f64) -> PriorConfig {
    PriorConfig::normal(match path.rsplit('.').next() {
        Some("weight") => scale / (shape[0] as f64).sqrt(),
        _ => 1.0,
    })
}

/// The network with its noise as one weight more, for what samples both: it predicts the mean and the logarithm of the
/// noise, as a `HeteroscedasticLikelihood` wants them.
#[derive(Module, Debug)]
pub struct NoisyNet {
    /// The mean.
    pub net: Net,
    /// `[1]`, the same at every input.
    log_noise: Param<Tensor<1>>,
}

impl NoisyNet {
    /// A network with a noise of that deviation.
    pub fn new(net: Net, noise: f64) -> Self {
        let device = net.hidden.weight.device();
        Self {
            log_noise: Param::from_tensor(Tensor::full([1], noise.ln(), &device)),
            net,
        }
    }
}

impl Network for NoisyNet {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let mean = self.net.forward(input);
        let noise = self.log_noise.val().reshape([1, 1]);
        let noise = noise.expand(mean.dims());
        Tensor::cat(vec![mean, noise], 1)
    }
}

/// The network with the deviation of its prior as one weight more, for what samples both: all weights of `net` are
/// multiplied by it, and their own prior is standard normal. So the chains go wherever the deviation goes without a
/// funnel.
#[derive(Module, Debug)]
pub struct ScaledNet {
    /// Its weights over the deviation.
    pub net: Net,
    /// `[1]`, of the deviation over `scale`.
    log_scale: Param<Tensor<1>>,
    scale: f64,
}

impl ScaledNet {
    /// A network whose prior has a deviation around `scale`.
    pub fn new(net: Net, scale: f64) -> Self {
        let device = net.hidden.weight.device();
        Self {
            log_scale: Param::from_tensor(Tensor::zeros([1], &device)),
            net,
            scale,
        }
    }
}

impl Network for ScaledNet {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let scale = self.log_scale.val().exp().mul_scalar(self.scale);
        // A ReLU goes by a positive factor of its weights and bias as its input does.
        let features = self.net.features(input);
        let output = &self.net.output;
        let weight = output.weight.val() * scale.clone().square().reshape([1, 1]);
        let bias = output.bias.as_ref().map(|bias| bias.val() * scale);
        linear(features, weight, bias)
    }
}

/// One hidden layer, and a normal with all covariances over what leads from its units, and from a 1 in the place of a
/// bias, to an output. The scale of its prior is learned.
#[derive(Module, Debug)]
pub struct LastLayerNet {
    hidden: Linear,
    activation: Relu,
    output: Linear,
}

impl LastLayerNet {
    /// With Burn's initial weights.
    pub fn new(features: usize, outputs: usize, device: &Device) -> Self {
        let size = 1.0 / (HIDDEN as f64).sqrt();
        let config = BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::full_rank_normal(0.1 * size))
            .with_prior(PriorConfig::learned_normal(size));
        let output = LinearConfig::new(HIDDEN + 1, outputs).with_bias(false);
        let net = Self {
            hidden: LinearConfig::new(features, HIDDEN).init(device),
            activation: Relu::new(),
            output: output.init(device),
        };
        net.bayesianize(&config.only(WeightFilter::last_layer()))
    }
}

/// A table with a column more, all of one value.
fn with_column(table: Tensor<2>, value: f64) -> Tensor<2> {
    let [rows, _] = table.dims();
    let column = Tensor::full([rows, 1], value, &table.device());
    Tensor::cat(vec![table, column], 1)
}

impl Network for LastLayerNet {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let hidden = self.activation.forward(self.hidden.forward(input));
        self.output.forward(with_column(hidden, 1.0))
    }
}

impl ForwardMoments<Moments<2>> for LastLayerNet {
    type Output = Moments<2>;

    fn forward_moments(&self, input: Moments<2>) -> Moments<2> {
        let hidden = self.hidden.forward_moments(input).relu();
        let variance = hidden.variance.map(|variance| with_column(variance, 0.0));
        let mean = with_column(hidden.mean, 1.0);
        self.output.forward_moments(Moments { mean, variance })
    }
}

/// Of Bayesian layers with local reparameterization and normal priors whose deviations are learned, one for each
/// tensor; trained by draws, or by the moments of each layer.
#[derive(Module, Debug)]
pub struct BayesianNet {
    hidden: BayesianLinear,
    activation: Relu,
    output: BayesianLinear,
}

impl BayesianNet {
    /// With so many outputs, and deviations that start at this share of the weights' size.
    pub fn new(features: usize, outputs: usize, initial_deviation: f64, device: &Device) -> Self {
        let layer = |inputs: usize, outputs: usize| {
            let size = 1.0 / (inputs as f64).sqrt();
            BayesianLinearConfig::new(inputs, outputs)
                .with_posterior(PosteriorConfig::normal(initial_deviation * size))
                .with_prior(PriorConfig::learned_normal(size))
                .with_estimator(Estimator::LocalReparameterization)
                .init(device)
        };
        Self {
            hidden: layer(features, HIDDEN),
            activation: Relu::new(),
            output: layer(HIDDEN, outputs),
        }
    }
}

impl Network for BayesianNet {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let hidden = self.activation.forward(self.hidden.forward(input));
        self.output.forward(hidden)
    }
}

impl ForwardMoments<Moments<2>> for BayesianNet {
    type Output = Moments<2>;

    fn forward_moments(&self, input: Moments<2>) -> Moments<2> {
        let hidden = self.hidden.forward_moments(input).relu();
        self.output.forward_moments(hidden)
    }
}

/// Of Burn's layers, with dropout of the inputs and of the hidden units.
#[derive(Module, Debug)]
pub struct DropoutNet {
    inputs: McDropout,
    hidden: Linear,
    activation: Relu,
    units: McDropout,
    output: Linear,
}

impl DropoutNet {
    /// With Burn's initial weights, and this share dropped.
    pub fn new(features: usize, outputs: usize, share: f64, device: &Device) -> Self {
        Self {
            inputs: McDropoutConfig::new(share).init(),
            hidden: LinearConfig::new(features, HIDDEN).init(device),
            activation: Relu::new(),
            units: McDropoutConfig::new(share).init(),
            output: LinearConfig::new(HIDDEN, outputs).init(device),
        }
    }
}

impl Network for DropoutNet {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let hidden = self.hidden.forward(self.inputs.forward(input));
        let hidden = self.units.forward(self.activation.forward(hidden));
        self.output.forward(hidden)
    }
}
