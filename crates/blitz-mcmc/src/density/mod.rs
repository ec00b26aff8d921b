//! The log density of a network's weights: that of the data given them, and of the prior.

mod adopt;
mod digest;
mod jitter;
mod precision;
mod slopes;
mod weights;

pub(crate) use digest::Digest;
pub(crate) use jitter::jitter;
pub use weights::Weight;
pub(crate) use weights::Weights;

use blitz_train::blitz_core::noise::density::HALF_LOG_TWO_PI;
use blitz_train::blitz_core::{BayesianModule, BuiltinPrior, Prior, PriorConfig, posterior_in};
use blitz_train::{LabeledBatch, Likelihood, Network};
use burn::module::{Flag, Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::error::McmcError;

/// `ln p(data | w) + ln p(w)` of a network's weights, and its gradient by Burn's autodiff, in `f64` on the CPU.
///
/// The likelihood is of all examples at once, in as many batches as there are. What the likelihood has of its own, such
/// as a learned noise, stays as it is: the draws are given it. Of the network what trains is sampled; a parameter that
/// is frozen stays as it is.
///
/// Some layers of Burn's make tensors of the type that the device has by default, which is `f32`: `Lstm`, `Gru`, `Rnn`,
/// their bidirectional forms, and `PositionalEncoding`. A network of them is refused ([`McmcError::Precision`]), unless
/// the program makes `f64` that type before its first tensor, by `Device::flex().configure(FloatDType::F64)`. The
/// `mean_network()` of blitz's `BayesianLstm` or `BayesianGru` runs as it is.
///
/// ```
/// use blitz_mcmc::{LogDensity, McmcError};
/// use blitz_train::prelude::*;
/// # use burn::module::Module;
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::{Device, Tensor};
/// # #[derive(Module, Debug)]
/// # struct Net { layer: Linear }
/// # impl Network for Net {
/// #     type Input = Tensor<2>;
/// #     type Output = Tensor<2>;
/// #     fn forward(&self, input: Tensor<2>) -> Tensor<2> { self.layer.forward(input) }
/// # }
/// # let device = Device::flex();
/// # let network = Net { layer: LinearConfig::new(1, 1).init(&device) };
/// let likelihood = GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Fixed(1.0)).init(&device);
/// let data = LabeledBatch {
///     inputs: Tensor::<2>::from_floats([[1.0], [2.0]], &device),
///     targets: Tensor::<2>::from_floats([[0.5], [1.5]], &device),
/// };
/// let density = LogDensity::new(&network, &likelihood, |_| PriorConfig::normal(2.0), vec![data])?;
/// let mut gradient = [0.0; 2];
/// // At the weight 1 and the bias 0 the residuals are −0.5 and −0.5.
/// let value = density.evaluate(&[1.0, 0.0], &mut gradient);
/// // scipy.stats.norm.logpdf: two residuals of deviation 1, two weights of deviation 2
/// assert!((value - (-2.0878771 - 3.3491714)).abs() < 1e-6, "{value}");
/// assert!((gradient[0] - (-0.5 - 1.0 - 0.25)).abs() < 1e-12);
/// # Ok::<(), McmcError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LogDensity<N, F> {
    /// As it was given, off the graph: what draws are put into.
    given: N,
    /// In `f64` on the autodiff device.
    network: N,
    weights: Weights,
    priors: Vec<BuiltinPrior>,
    nll: F,
    device: Device,
}

impl<N: Network> LogDensity<N, ()> {
    /// The density of a network's weights given a likelihood and data, which are brought to `f64`: tensors of real
    /// numbers, of labels and counts, and those with an exposure. For inputs of another type there is
    /// [`of_nll`](Self::of_nll).
    ///
    /// `prior` says which prior a weight has; the weights of one tensor have the same.
    ///
    /// # Errors
    ///
    /// A network without weights that train, or with posteriors; a prior that learns its scale; data without examples;
    /// layers that are random or that behave otherwise in training; layers that can't be computed in `f64`, such as
    /// Burn's LSTM ([`McmcError::Precision`], which says what to do); a likelihood whose gradient is not that of its
    /// value, such as the β-NLL ([`McmcError::Gradient`]).
    ///
    /// # Panics
    ///
    /// Panics with the value if a parameter of a prior is out of its range.
    pub fn new<L, P>(
        network: &N,
        likelihood: &L,
        prior: P,
        data: Vec<LabeledBatch<N::Input, L::Target>>,
    ) -> Result<LogDensity<N, impl Fn(&N) -> Tensor<1> + Clone + Send + use<N, L, P>>, McmcError>
    where
        L: Likelihood<Output = N::Output>,
        P: Fn(&Weight) -> PriorConfig,
    {
        if data.is_empty() {
            return Err(McmcError::Empty);
        }
        let device = device();
        let likelihood = adopt::module(likelihood, &device);
        let data: Vec<_> = data
            .into_iter()
            .map(|batch| LabeledBatch {
                inputs: adopt::value(batch.inputs, &device),
                targets: adopt::value(batch.targets, &device),
            })
            .collect();
        let nll = move |network: &N| {
            let batches = data.iter().map(|batch| {
                let output = network.forward(batch.inputs.clone());
                likelihood.nll(output, batch.targets.clone())
            });
            Tensor::cat(batches.collect(), 0)
        };
        LogDensity::of_nll(network, prior, nll)
    }
}

impl<N: Module> LogDensity<N, ()> {
    /// The density of any module's weights given the negative log likelihood of each example, of shape `[examples]` and
    /// in nats.
    ///
    /// `nll` gets the module in `f64` on [`device`], and its data have to be there and of that type.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn of_nll<F>(
        network: &N,
        prior: impl Fn(&Weight) -> PriorConfig,
        nll: F,
    ) -> Result<LogDensity<N, F>, McmcError>
    where
        F: Fn(&N) -> Tensor<1>,
    {
        if let Some(path) = posterior_in(network) {
            return Err(McmcError::Bayesian { path });
        }
        let device = device();
        let network = &network.clone().with_weights_apart();
        // Each `valid` is a copy of its own, also of what a batch norm shares among clones.
        let given = network.valid();
        let weights = Weights::of(&given);
        if weights.len() == 0 {
            return Err(McmcError::NoWeights);
        }
        let priors = weights
            .tensors
            .iter()
            .map(|weight| init_prior(weight, &prior(weight), &device));
        let density = LogDensity {
            network: adopt::module(network, &device),
            priors: priors.collect::<Result<_, _>>()?,
            given,
            weights,
            nll,
            device,
        };
        density.check(network)?;
        Ok(density)
    }
}

/// Where a density is computed: the CPU, with autodiff.
pub fn device() -> Device {
    Device::flex().autodiff()
}

fn init_prior(
    weight: &Weight,
    config: &PriorConfig,
    device: &Device,
) -> Result<BuiltinPrior, McmcError> {
    let learned = match config {
        PriorConfig::LearnedNormal(_) => Some("a learned normal prior"),
        PriorConfig::LearnedLaplace(_) => Some("a learned Laplace prior"),
        PriorConfig::EmpiricalNormal(_) => Some("an empirical normal prior"),
        _ => None,
    };
    match learned {
        Some(prior) => Err(McmcError::LearnedPrior {
            path: weight.path.clone(),
            prior,
        }),
        None => Ok(config.init(device)),
    }
}

impl<N: Module, F: Fn(&N) -> Tensor<1>> LogDensity<N, F> {
    /// The log density at `position`, in nats, and its gradient; NaN where either is not finite.
    ///
    /// The numbers of a position are those of [`weights`](Self::weights), in their order, row-major.
    ///
    /// # Panics
    ///
    /// Panics unless `position` and `gradient` have [`len`](Self::len) numbers.
    pub fn evaluate(&self, position: &[f64], gradient: &mut [f64]) -> f64 {
        assert!(
            position.len() == self.len() && gradient.len() == self.len(),
            "a density of {} weights needs as many numbers, got {} and room for {} gradients",
            self.len(),
            position.len(),
            gradient.len()
        );
        let network = self.network.clone();
        let network = self.weights.on_graph(network, position, &self.device);
        let log_density = self.on_graph(&network);
        let value = log_density.clone().into_scalar::<f64>();
        self.weights
            .gradient(&network, &log_density.backward(), gradient);
        let value = value + self.normal_priors(position, gradient);
        match gradient.iter().all(|g| g.is_finite()) && value.is_finite() {
            true => value,
            false => f64::NAN,
        }
    }

    /// What autodiff differentiates: the likelihood, and the priors that are not normal.
    fn on_graph(&self, network: &N) -> Tensor<1> {
        let mut sum = PriorSum {
            weights: &self.weights,
            priors: &self.priors,
            next: 0,
            sum: None,
            seen: Vec::new(),
        };
        network.visit(&mut sum);
        let log_likelihood = -(self.nll)(network).sum();
        match sum.sum {
            None => log_likelihood,
            Some(log_prior) => log_prior + log_likelihood,
        }
    }

    /// The log density of the normal priors, whose gradient is added: on the graph they would take more than a tenth of
    /// the time of a small network.
    fn normal_priors(&self, position: &[f64], gradient: &mut [f64]) -> f64 {
        let mut start = 0;
        let mut sum = 0.0;
        for (weight, prior) in self.weights.tensors.iter().zip(&self.priors) {
            let stretch = start..start + weight.len();
            start = stretch.end;
            let BuiltinPrior::Normal(prior) = prior else {
                continue;
            };
            let mut squares = 0.0;
            for (w, g) in position[stretch.clone()].iter().zip(&mut gradient[stretch]) {
                let z = w / prior.std;
                squares += z * z;
                *g -= z / prior.std;
            }
            let constant = prior.std.ln() + HALF_LOG_TWO_PI;
            sum -= 0.5 * squares + weight.len() as f64 * constant;
        }
        sum
    }

    /// The number of weights.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a density without weights is refused"
    )]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// The tensors of weights, in the order of a position.
    pub fn weights(&self) -> &[Weight] {
        &self.weights.tensors
    }

    /// The weights that the network has.
    pub fn start(&self) -> &[f64] {
        &self.weights.values
    }

    /// The weights of another network of the same kind, such as a member of an ensemble.
    ///
    /// # Errors
    ///
    /// If its weights have other paths or shapes.
    pub fn position_of(&self, network: &N) -> Result<Vec<f64>, McmcError> {
        let other = Weights::of(&network.valid());
        same_weights(self.weights(), &other.tensors)?;
        Ok(other.values)
    }

    pub(crate) fn all_weights(&self) -> &Weights {
        &self.weights
    }

    pub(crate) fn given(&self) -> &N {
        &self.given
    }

    /// Computes the density at the network's own weights, in prediction and, if that is how it was given, in training;
    /// and compares values and gradients near them.
    fn check(&self, network: &N) -> Result<(), McmcError> {
        let nll = precision::in_f64(&self.network, &self.nll)?;
        let examples = nll.dims()[0];
        if examples == 0 {
            return Err(McmcError::Empty);
        }
        let mut gradient = vec![0.0; self.len()];
        let mut value = |density: &Self| density.evaluate(self.start(), &mut gradient);
        let first = value(self);
        let mut others = vec![value(self)];
        if flags(network) != flags(&self.given) {
            let training = adopt::module_in_training(network, &self.device);
            let training = Training {
                density: self,
                network: training,
            };
            others.extend([training.value(), training.value()]);
        }
        // Two that are not finite are alike: the start of a chain says what is wrong there.
        let differs = |other: &&f64| match first.is_finite() && other.is_finite() {
            true => (**other - first).abs() > 1e-9 * first.abs().max(1.0),
            false => first.is_finite() != other.is_finite(),
        };
        match others.iter().find(differs) {
            Some(other) => Err(McmcError::Training {
                first,
                second: *other,
            }),
            None => slopes::check(self.start(), |position, gradient| {
                self.evaluate(position, gradient)
            }),
        }
    }
}

/// A density of a network whose layers are as in training.
struct Training<'a, N, F> {
    density: &'a LogDensity<N, F>,
    network: N,
}

impl<N: Module, F: Fn(&N) -> Tensor<1>> Training<'_, N, F> {
    fn value(&self) -> f64 {
        let LogDensity {
            weights, device, ..
        } = self.density;
        let network = weights.on_graph(self.network.clone(), &weights.values, device);
        let on_graph = self.density.on_graph(&network).into_scalar::<f64>();
        on_graph
            + self
                .density
                .normal_priors(&weights.values, &mut vec![0.0; weights.len()])
    }
}

/// Refuses weights of another network.
pub(crate) fn same_weights(expected: &[Weight], got: &[Weight]) -> Result<(), McmcError> {
    let text = |weights: &[Weight]| {
        let texts = weights
            .iter()
            .map(|weight| format!("{} {:?}", weight.path, weight.shape));
        texts.collect::<Vec<_>>().join(", ")
    };
    match expected == got {
        true => Ok(()),
        false => Err(McmcError::OtherNetwork {
            expected: text(expected),
            got: text(got),
        }),
    }
}

/// Adds up the log priors that are not normal, of a weight that is tied once.
struct PriorSum<'a> {
    weights: &'a Weights,
    priors: &'a [BuiltinPrior],
    next: usize,
    sum: Option<Tensor<1>>,
    seen: Vec<burn::module::ParamId>,
}

impl ModuleVisitor for PriorSum<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.seen.contains(&param.id) || !self.weights.has(param.id) {
            return;
        }
        self.seen.push(param.id);
        // The order of a traversal is that of the weights.
        let prior = &self.priors[self.next];
        self.next += 1;
        if matches!(prior, BuiltinPrior::Normal(_)) {
            return;
        }
        let term = prior.log_density(param.val());
        self.sum = Some(match self.sum.take() {
            None => term,
            Some(sum) => sum + term,
        });
    }
}

/// The flags of a module's layers, in order.
fn flags<M: Module>(module: &M) -> Vec<bool> {
    #[derive(Default)]
    struct Flags(Vec<bool>);

    impl ModuleVisitor for Flags {
        fn visit_flag(&mut self, flag: &Param<Flag>) {
            self.0.push(flag.val().is_enabled());
        }
    }

    let mut flags = Flags::default();
    module.visit(&mut flags);
    flags.0
}
