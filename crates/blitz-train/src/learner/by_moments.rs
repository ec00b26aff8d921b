//! A network and a likelihood that train by moments, as the Learner trains any other.

use std::fmt;

use blitz_layers::blitz_core::{BayesianModule, ConstantError, Constants};
use blitz_layers::moments::{ForwardMoments, Moments};
use burn::module::{
    Content, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor,
};
use burn::tensor::{Device, Tensor};

use crate::error::{PredictError, TargetError};
use crate::likelihood::{ExpectedNll, Likelihood};
use crate::network::Network;
use crate::predict::Quantiles;

/// The values of an output that an [`Evaluation`](crate::Evaluation) sees, at every step of a training.
const EVALUATED: usize = 10;

/// The values of an output that a predictive distribution is made of.
const PREDICTED: usize = 100;

/// A network whose output is the [moments](blitz_layers::moments) of another's, in one pass without draws.
///
/// With a [`MomentsLikelihood`] it is an [`ElboModel`](crate::ElboModel) that trains by
/// [`Elbo::loss_by_moments`](crate::Elbo::loss_by_moments): deterministic variational inference, or a variational last
/// layer, on Burn's `Learner` and with all that [`fit`](crate::fit) does. One draw a step and one for a validation are
/// enough, since they are all alike; only a KL without a closed form is of the step's draw. A prediction is one pass,
/// whatever the number of draws.
///
/// Paths and records are those of the network itself: a model that was trained by draws loads into one by moments, and
/// the other way round. Layers are as in prediction, as in every pass of moments: Burn's dropout drops nothing in
/// training either, and the statistics of a batch norm stay where they are.
///
/// ```
/// use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
/// use blitz_train::prelude::*;
/// use blitz_train::{MomentsLikelihood, MomentsNetwork};
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::activation::tanh;
/// use burn::tensor::{Device, Tensor};
///
/// #[derive(Module, Debug)]
/// struct Net { hidden: Linear, last: Linear }
///
/// impl Network for Net {
///     type Input = Tensor<2>;
///     type Output = Tensor<2>;
///
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.last.forward(tanh(self.hidden.forward(x)))
///     }
/// }
///
/// impl ForwardMoments<Moments<2>> for Net {
///     type Output = Moments<2>;
///
///     fn forward_moments(&self, x: Moments<2>) -> Moments<2> {
///         self.last.forward_moments(self.hidden.forward_moments(x).tanh())
///     }
/// }
///
/// let device = Device::flex();
/// let net = Net { hidden: LinearConfig::new(1, 20).init(&device), last: LinearConfig::new(20, 1).init(&device) };
/// // A variational last layer.
/// let posterior = PosteriorConfig::full_rank_normal(0.02);
/// let net = net.bayesianize(&BayesianizeConfig::new().with_posterior(posterior).only(WeightFilter::last_layer()));
/// let likelihood = GaussianLikelihoodConfig::new().init(&device);
///
/// let elbo = ElboConfig::new(100).with_validation_samples(1).init();
/// let model = ElboModel::new(MomentsNetwork { network: net }, MomentsLikelihood { likelihood }, elbo);
/// // ... `fit` it; a prediction is one pass.
/// let predictive = model.predict(Tensor::ones([5, 1], &device), 1, 0);
/// assert!(predictive.epistemic_std()[0] > 0.0);
/// ```
#[derive(Debug, Clone)]
pub struct MomentsNetwork<N: Network> {
    /// The network.
    pub network: N,
}

impl<N> Network for MomentsNetwork<N>
where
    N: Network + ForwardMoments<<N as Network>::Input, Output = Moments<2>>,
{
    type Input = N::Input;
    type Output = Moments<2>;

    /// # Panics
    ///
    /// Panics if the moments leave out the uncertainty of a weight or a layer, with its name.
    fn forward(&self, input: N::Input) -> Moments<2> {
        let moments = self
            .network
            .with_moments(|network| network.forward_moments(input));
        moments.unwrap_or_else(|error| panic!("{error}"))
    }

    fn is_drawn(&self) -> bool {
        false
    }
}

/// A likelihood of outputs that are known by their moments: its loss is the [expected](ExpectedNll) one, for a
/// [`MomentsNetwork`].
///
/// What it predicts and what its metrics see are those of the likelihood for quantiles of the output, as in a
/// [`MomentsPredictor`](crate::MomentsPredictor): 100 and 10. `NllMetric` has the expected loss, without smoothing of
/// labels and weights of classes, which is no less than that of the predictive distribution.
#[derive(Debug, Clone)]
pub struct MomentsLikelihood<L: Likelihood> {
    /// The likelihood of an output.
    pub likelihood: L,
}

impl<L> Likelihood for MomentsLikelihood<L>
where
    L: ExpectedNll + Likelihood<Output = Tensor<2>>,
{
    type Output = Moments<2>;
    type Target = L::Target;
    type Evaluation = L::Evaluation;
    type Predictive = L::Predictive;

    fn nll(&self, output: Moments<2>, target: L::Target) -> Tensor<1> {
        self.likelihood.expected_nll(output, target)
    }

    fn evaluate(&self, outputs: Vec<Moments<2>>, target: L::Target) -> L::Evaluation {
        self.likelihood.evaluate(values(outputs, EVALUATED), target)
    }

    fn try_predictive(&self, outputs: Vec<Moments<2>>) -> Result<L::Predictive, PredictError> {
        self.likelihood.try_predictive(values(outputs, PREDICTED))
    }

    fn predictive_likelihood(&self) -> Option<Self> {
        let likelihood = self.likelihood.predictive_likelihood()?;
        Some(Self { likelihood })
    }

    fn check_target(&self, target: &L::Target) -> Result<(), TargetError> {
        self.likelihood.check_target(target)
    }

    fn constants(&self) -> Option<Constants> {
        self.likelihood.constants()
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        self.likelihood.set_constants(values)
    }
}

/// A wrapper as a module that nobody sees: a derived implementation would put its field's name into every path.
macro_rules! passes_on {
    ($wrapper:ident, $field:ident, $inner:ident) => {
        impl<T: $inner> Module for $wrapper<T> {
            fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
                self.$field.visit(visitor);
            }

            fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
                let $field = self.$field.map(mapper);
                Self { $field }
            }

            fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
                self.$field.collect_devices(devices)
            }

            fn to_device(self, device: &Device) -> Self {
                let $field = self.$field.to_device(device);
                Self { $field }
            }

            fn fork(self, device: &Device) -> Self {
                let $field = self.$field.fork(device);
                Self { $field }
            }

            fn valid(&self) -> Self {
                let $field = self.$field.valid();
                Self { $field }
            }

            fn train(self) -> Self {
                let $field = self.$field.train();
                Self { $field }
            }

            fn materialize(self) -> Self {
                let $field = self.$field.materialize();
                Self { $field }
            }
        }

        impl<T: $inner> ModuleDisplayDefault for $wrapper<T> {
            fn content(&self, content: Content) -> Option<Content> {
                content
                    .set_top_level_type(stringify!($wrapper))
                    .add(stringify!($field), &self.$field)
                    .optional()
            }

            fn num_params(&self) -> usize {
                Module::num_params(self)
            }
        }

        impl<T: $inner> ModuleDisplay for $wrapper<T> {}

        impl<T: $inner> fmt::Display for $wrapper<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&ModuleDisplay::format(self, DisplaySettings::default()))
            }
        }
    };
}

passes_on!(MomentsNetwork, network, Network);
passes_on!(MomentsLikelihood, likelihood, Likelihood);

/// So many values each for normal outputs with these moments.
fn values(outputs: Vec<Moments<2>>, count: usize) -> Vec<Tensor<2>> {
    let of_one = |moments: Moments<2>| {
        let [_, columns] = moments.dims();
        Quantiles::new(count, columns, 0).of(moments)
    };
    outputs.into_iter().flat_map(of_one).collect()
}
