//! The objective: the negative evidence lower bound, estimated by Monte Carlo.

mod beta;
mod sampling;

pub use beta::BetaSchedule;
pub use sampling::Sampling;

use blitz_layers::blitz_core::noise::layout;
use blitz_layers::blitz_core::{
    BayesianModule, Draw, KlEstimator, KlTerm, MomentsError, at_least_f32,
};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

use crate::error::ConfigError;
use crate::graph::Trained;
use crate::module_state::as_in_prediction;

/// Configuration of the [`Elbo`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `dataset_size` | | N, the number of examples in the *training set* (not the batch) | ≥ 1 |
/// | `samples` | 1 | Monte Carlo draws per training step | 1 to 65,535 |
/// | `sampling` | independent | whether the draws come in pairs `E w ± δ` ([`Sampling::Antithetic`]) | if so, `samples` is even |
/// | `beta` | constant 1 | the weight of the KL over time | |
/// | `validation_samples` | 10 | Monte Carlo draws for a validation loss | 1 to 65,535 |
/// | `seed` | 0 | decides every draw of the training | |
#[derive(Config, Debug, PartialEq)]
pub struct ElboConfig {
    /// The number of examples in the training set.
    pub dataset_size: usize,
    /// The number of draws that a training step averages over.
    #[config(default = 1)]
    pub samples: usize,
    /// How they depend on each other.
    #[config(default = "Sampling::Independent")]
    pub sampling: Sampling,
    /// The weight of the KL over time.
    #[config(default = "BetaSchedule::Constant(1.0)")]
    pub beta: BetaSchedule,
    /// The number of draws that a validation loss averages over.
    #[config(default = 10)]
    pub validation_samples: usize,
    /// The seed of all draws.
    #[config(default = 0)]
    pub seed: u64,
}

impl ElboConfig {
    /// The objective.
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range; see [`try_init`](Self::try_init).
    pub fn init(&self) -> Elbo {
        self.try_init().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The objective, or what is wrong with the configuration.
    ///
    /// # Errors
    ///
    /// Returns an error that names the field and its value if a value is out of its range: no data, no draws or more
    /// than 65,535, an odd number of antithetic draws, a weight of the KL that is negative or not finite, or an epoch
    /// without minibatches.
    pub fn try_init(&self) -> Result<Elbo, ConfigError> {
        if self.dataset_size == 0 {
            return Err(ConfigError::new(
                "dataset_size",
                0,
                "at least 1: the KL is weighed against a whole data set",
            ));
        }
        for (field, samples) in [
            ("samples", self.samples),
            ("validation_samples", self.validation_samples),
        ] {
            if samples == 0 || samples > usize::from(u16::MAX) {
                return Err(ConfigError::new(
                    field,
                    samples,
                    "between 1 and 65535 draws",
                ));
            }
        }
        if self.sampling == Sampling::Antithetic && !self.samples.is_multiple_of(2) {
            return Err(ConfigError::new(
                "samples",
                self.samples,
                "an even number of draws, which antithetic pairs are made of",
            ));
        }
        self.beta.check()?;
        Ok(Elbo {
            config: self.clone(),
        })
    }
}

/// Which training step a loss belongs to: it selects the draws and the weight of the KL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrainingStep {
    /// The number of optimizer steps made before.
    pub index: u64,
    /// The number of this loss among those of one optimizer step, from 0. A step has several if gradients are
    /// accumulated, or come from several workers.
    pub accumulated: u16,
}

impl From<u64> for TrainingStep {
    fn from(index: u64) -> Self {
        Self {
            index,
            accumulated: 0,
        }
    }
}

impl TrainingStep {
    /// The same step for worker `worker` of `workers` that train one model together: no two of them share a draw.
    ///
    /// The workers' draws are those of one worker that accumulates as many losses in turn.
    ///
    /// ```
    /// use blitz_train::TrainingStep;
    ///
    /// let step = TrainingStep::from(7);
    /// assert_eq!(step.on_worker(0, 1), step);
    /// assert_eq!(step.on_worker(2, 4), TrainingStep { index: 7, accumulated: 2 });
    /// let second_batch = TrainingStep { index: 7, accumulated: 1 };
    /// assert_eq!(second_batch.on_worker(2, 4).accumulated, 4 + 2);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if there is no such worker, or if the workers have more than 65536 losses in a step.
    #[must_use]
    pub fn on_worker(self, worker: usize, workers: usize) -> Self {
        assert!(worker < workers, "there is no worker {worker} of {workers}");
        let accumulated = usize::from(self.accumulated) * workers + worker;
        Self {
            index: self.index,
            accumulated: u16::try_from(accumulated)
                .unwrap_or_else(|_| panic!("a step has {accumulated} losses, more than 65536")),
        }
    }

    /// The draw of the step's Monte Carlo sample `sample`: no two samples of a training share one.
    fn draw(self, sample: u16) -> u64 {
        layout::training(self.index, self.accumulated, sample)
    }
}

/// The negative evidence lower bound per example.
///
/// `loss = 1/S Σ_s 1/B Σ_i −ln p(y_i | x_i, w_s) + β_t KL(q ‖ p) / N`, in nats, with S draws `w_s ~ q`, a batch of B
/// examples and a data set of N. The average over draws is taken over losses, never over outputs. The loss is put
/// together in `f32` at least, whatever the network computes in.
///
/// A training loop without the Learner:
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::optim::{AdamConfig, GradientsParams};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex().autodiff();
/// device.seed(1);
/// let x = Tensor::<2>::from_floats([[0.0], [1.0], [2.0], [3.0]], &device);
/// let y = x.clone() * 2.0 + 1.0;
/// let mut model = LinearConfig::new(1, 1).init(&device).bayesianize(&BayesianizeConfig::new());
/// let likelihood = GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Fixed(0.5)).init(&device);
/// let elbo = ElboConfig::new(4).with_samples(2).init();
/// let mut optimizer = AdamConfig::new().init();
///
/// let mut first = None;
/// for step in 0..100 {
///     let loss = elbo.loss(&model, step.into(), |model| likelihood.nll(model.forward(x.clone()), y.clone()));
///     first.get_or_insert(loss.nll.clone().into_scalar::<f32>());
///     let grads = GradientsParams::from_grads(loss.loss.backward(), &model);
///     model = optimizer.step(0.05, model, grads);
/// }
/// let mean = model.with_mean(|model| model.forward(x));
/// let error = (mean - y).abs().max().into_scalar::<f32>();
/// assert!(error < 1.5, "{error}");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Elbo {
    config: ElboConfig,
}

/// A loss and its parts, each of shape `[1]` and in nats.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ElboLoss {
    /// What to minimize: `nll + beta · kl / N`, the negative evidence lower bound per example.
    pub loss: Tensor<1>,
    /// The negative log likelihood per example, averaged over the batch and the draws.
    pub nll: Tensor<1>,
    /// The KL of the whole model, summed over its weights, averaged over the draws where it is estimated.
    pub kl: Tensor<1>,
    /// The KL of each weight tensor by its path, without a gradient; where it is estimated, that of the first draw.
    pub kl_terms: Vec<(String, Tensor<1>)>,
    /// The weight of the KL at this step.
    pub beta: f64,
}

impl Elbo {
    /// The configuration.
    pub fn config(&self) -> &ElboConfig {
        &self.config
    }

    /// The loss of training step `step`.
    ///
    /// `nll` is called once a draw, inside the draw, and returns the negative log likelihood of each example, of shape
    /// `[batch]`. The same `step` gives the same draws.
    ///
    /// # Panics
    ///
    /// Panics if `nll` returns an empty tensor; if it has a gradient by something else, such as a learned noise, and a
    /// weight of `model` that trains is off the autodiff graph; with antithetic pairs, if a weight's posterior is not
    /// known to be [symmetric](blitz_layers::blitz_core::Posterior::is_symmetric); and from step 2³⁰ on.
    pub fn loss<M: Module>(
        &self,
        model: &M,
        step: TrainingStep,
        nll: impl FnMut(&M) -> Tensor<1>,
    ) -> ElboLoss {
        let beta = self.config.beta.at(step.index);
        let loss = self.estimate(
            model,
            self.config.samples,
            self.config.sampling,
            beta,
            |sample| step.draw(sample),
            nll,
        );
        check_graph(model, &loss);
        loss
    }

    /// The loss of training step `step` without draws: deterministic variational inference (Wu et al., *Deterministic
    /// variational inference for robust Bayesian neural networks*, ICLR 2019), with the moments of each layer for the
    /// draws.
    ///
    /// `nll` is called once, in a [pass of moments](BayesianModule::with_moments), and returns the expected loss of
    /// each example, of shape `[batch]`:
    /// [`ExpectedNll`](crate::ExpectedNll) of the outputs' moments. The gradient has no noise, but what the moments leave out (the activations'
    /// correlations) is left out of the objective. For Burn's Learner there is
    /// [`MomentsNetwork`](crate::MomentsNetwork). A KL without a closed form is estimated at one draw, the same at the
    /// same `step`.
    ///
    /// ```
    /// use blitz_train::ExpectedNll;
    /// use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
    /// use blitz_train::prelude::*;
    /// use burn::optim::GradientsParams;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex().autodiff();
    /// device.seed(1);
    /// let x = Tensor::<2>::from_floats([[0.0], [1.0], [2.0], [3.0]], &device);
    /// let y = x.clone() * 2.0 + 1.0;
    /// let mut net = BayesianLinearConfig::new(1, 1).init(&device);
    /// let likelihood = GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Fixed(0.5)).init(&device);
    /// let elbo = ElboConfig::new(4).init();
    /// let mut optimizer = FusedAdamConfig::new().init();
    /// for step in 0..300 {
    ///     let expected_nll = |net: &BayesianLinear| {
    ///         likelihood.expected_nll(net.forward_moments(Moments::certain(x.clone())), y.clone())
    ///     };
    ///     let loss = elbo.loss_by_moments(&net, step.into(), expected_nll).unwrap();
    ///     net = optimizer.step(0.02, net.clone(), GradientsParams::from_grads(loss.loss.backward(), &net));
    /// }
    /// let error = (net.with_mean(|net| net.forward(x)) - y).abs().max().into_scalar::<f32>();
    /// assert!(error < 0.5, "{error}");
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error that names the weights whose uncertainty is not in the outputs' moments.
    ///
    /// # Panics
    ///
    /// Panics if `nll` returns an empty tensor, as [`loss`](Self::loss) if a weight is off the autodiff graph, and from
    /// step 2³⁰ on.
    pub fn loss_by_moments<M: Module>(
        &self,
        model: &M,
        step: TrainingStep,
        nll: impl FnOnce(&M) -> Tensor<1>,
    ) -> Result<ElboLoss, MomentsError> {
        let nll = mean_over_examples(model.with_moments(nll)?);
        let kl = {
            let _draw = model.draw(self.config.seed, step.draw(0));
            KlOverDraws::at_first_draw(model)
        };
        let loss = self.put_together(nll, Some(kl), self.config.beta.at(step.index));
        check_graph(model, &loss);
        Ok(loss)
    }

    /// The loss at `validation_samples` draws that are the same at every call and with the weight that the KL settles
    /// at, for validation: it moves because the model does.
    ///
    /// `nll` gets the model with its layers as in prediction, also on an autodiff device: Burn's dropout drops nothing,
    /// and a batch norm keeps its statistics.
    ///
    /// # Panics
    ///
    /// Panics if `nll` returns an empty tensor.
    pub fn validation_loss<M: Module>(
        &self,
        model: &M,
        nll: impl FnMut(&M) -> Tensor<1>,
    ) -> ElboLoss {
        self.estimate(
            &as_in_prediction(model),
            self.config.validation_samples,
            Sampling::Independent,
            self.config.beta.settled(),
            |sample| layout::validation(sample.into()),
            nll,
        )
    }

    fn estimate<M: Module>(
        &self,
        model: &M,
        samples: usize,
        sampling: Sampling,
        beta: f64,
        draw: impl Fn(u16) -> u64,
        mut nll: impl FnMut(&M) -> Tensor<1>,
    ) -> ElboLoss {
        let mut nlls = Vec::with_capacity(samples);
        let mut kl = None;
        // The first of an antithetic pair, once it has been used.
        let mut first: Option<Draw> = None;
        for sample in 0..samples as u16 {
            let index = draw(sample);
            let guard = match first.take() {
                Some(first) => first
                    .antithetic(model, index)
                    .unwrap_or_else(|error| panic!("{error}")),
                None => model.draw(self.config.seed, index),
            };
            // One KL serves all draws, as far as it is the same in all of them.
            let guard = match kl {
                None => guard.with_kl(),
                Some(_) => guard,
            };
            nlls.push(mean_over_examples(nll(model)));
            match &mut kl {
                None => kl = Some(KlOverDraws::at_first_draw(model)),
                Some(kl) => kl.add_draw(model),
            }
            first = (sampling == Sampling::Antithetic && sample % 2 == 0).then_some(guard);
        }
        self.put_together(mean(nlls), kl, beta)
    }

    fn put_together(&self, nll: Tensor<1>, mut kl: Option<KlOverDraws>, beta: f64) -> ElboLoss {
        let weight = beta / self.config.dataset_size as f64;
        let kl_terms = kl.as_mut().map(|kl| std::mem::take(&mut kl.by_path));
        let (loss, kl) = match kl {
            Some(kl) => kl.add_to(&nll, weight),
            None => (nll.clone(), nll.zeros_like()),
        };
        ElboLoss {
            loss,
            nll,
            kl,
            kl_terms: kl_terms.unwrap_or_default(),
            beta,
        }
    }
}

/// # Panics
///
/// Panics if the loss has a gradient, and a weight of the model trains and is off the autodiff graph: steps would move
/// all but that weight. Without any gradient Burn's backward pass says so.
#[track_caller]
fn check_graph<M: Module>(model: &M, loss: &ElboLoss) {
    if loss.loss.is_tracked() {
        Trained::check(model);
    }
}

/// The KL of a step: its closed-form part once, its Monte Carlo part at the weights of each draw.
struct KlOverDraws {
    /// All terms at the first draw.
    by_path: Vec<(String, Tensor<1>)>,
    closed_form: Vec<KlTerm>,
    /// One value a draw, or none at all if every term has a closed form.
    sampled: Vec<Tensor<1>>,
}

impl KlOverDraws {
    /// The KL at the first draw.
    fn at_first_draw<M: Module>(model: &M) -> Self {
        let mut terms = model.kl_terms();
        let by_path = terms.iter_mut().map(|term| {
            let path = std::mem::take(&mut term.path);
            (path, term.value.clone().without_autodiff())
        });
        let by_path = by_path.collect();
        let (closed_form, sampled): (Vec<_>, Vec<_>) = terms
            .into_iter()
            .partition(|term| term.estimator == KlEstimator::ClosedForm);
        Self {
            by_path,
            closed_form,
            sampled: KlTerm::total(sampled).into_iter().collect(),
        }
    }

    fn add_draw<M: Module>(&mut self, model: &M) {
        if !self.sampled.is_empty() {
            self.sampled.extend(model.kl_cost_of_draw());
        }
    }

    /// The loss, `nll + weight · KL`, and the mean KL, on the device of `nll` and in its type.
    fn add_to(self, nll: &Tensor<1>, weight: f64) -> (Tensor<1>, Tensor<1>) {
        let (device, dtype) = (nll.device(), nll.dtype());
        let alike = |kl: Tensor<1>| kl.to_device(&device).cast(dtype);
        let values = self.closed_form.iter().map(|term| term.value.clone());
        let closed_form = values.map(alike).reduce(|sum, kl| sum + kl);
        let sampled = (!self.sampled.is_empty()).then(|| alike(mean(self.sampled)));

        // A link to the draw holds for a value as it is; one of another type is cast and goes its own way.
        let (linked, others): (Vec<_>, Vec<_>) = self
            .closed_form
            .into_iter()
            .partition(|term| term.value.dtype() == dtype);
        let others = others.into_iter().map(|term| alike(term.value));
        let loss = KlTerm::add_to(nll.clone(), linked, weight);
        let loss = others
            .chain(sampled.clone())
            .fold(loss, |loss, kl| loss + kl.mul_scalar(weight));

        let kl = match (closed_form, sampled) {
            (Some(closed_form), Some(sampled)) => closed_form + sampled,
            (Some(kl), None) | (None, Some(kl)) => kl,
            (None, None) => nll.zeros_like(),
        };
        (loss, kl)
    }
}

fn mean_over_examples(nll: Tensor<1>) -> Tensor<1> {
    assert!(
        nll.dims()[0] > 0,
        "the negative log likelihood of a batch is empty: the batch has no examples"
    );
    at_least_f32(nll).mean()
}

fn mean(values: Vec<Tensor<1>>) -> Tensor<1> {
    let n = values.len() as f64;
    let sum = values.into_iter().reduce(|sum, value| sum + value);
    sum.map(|sum| sum.mul_scalar(n.recip()))
        .unwrap_or_else(|| unreachable!("an ELBO has at least one draw"))
}
