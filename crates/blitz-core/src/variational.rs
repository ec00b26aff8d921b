//! What turns an ordinary Burn parameter into a Bayesian one.

use burn::module::{Flag, Module, Param, ParamId, Reparameterization};
use burn::tensor::Tensor;

use crate::draw::{self, Parts, PartsSlot, Request};
use crate::kl::{KlEstimator, KlTerm};
use crate::noise_source::Noise;
use crate::posterior::{Posterior, PosteriorStructure};
use crate::prior::Prior;
use crate::rows::select_rows;
use crate::survey;
use blitz_noise::NoiseKey;

/// The path component of a posterior's parameters: `fc.weight` has its ρ at `fc.weight.bayes.posterior.rho`.
pub(crate) const NAME: &str = "bayes";

/// Whether a flag is on, whatever mode its module is in: `valid()` switches flags off for prediction, where sampling must go on, and `train()`
/// restores what was configured.
pub(crate) fn is_configured(flag: &Param<Flag>) -> bool {
    Module::train(flag.clone()).base().is_enabled()
}

/// A posterior and its prior, attached to a parameter whose stored tensor is the posterior's location μ.
///
/// `Param::val` of such a parameter is a sample of the weight (or its mean, see [`Draw`](crate::Draw)); `Param::base` is μ.
/// Attached by [`bayesianize`](crate::BayesianModule::bayesianize) or
/// [`attach_posteriors`](crate::BayesianModule::attach_posteriors), read back with
/// `param.reparameterization::<Variational<Q, P>>()`.
#[derive(Module, Debug)]
pub struct Variational<Q: Posterior, P: Prior> {
    /// The posterior's parameters other than μ.
    pub posterior: Q,
    /// The prior.
    pub prior: P,
    /// Whether the weight is sampled; off, it reads as its mean. Its id is the parameter's identity in a draw, since
    /// unlike the ids of tensors it does not change when a record is loaded.
    sampling: Param<Flag>,
    /// 1 for each weight that is kept and 0 for each that is pruned, flat; `None` until the first pruning. Not trained.
    mask: Option<Param<Tensor<1>>>,
    /// A row that the model never reads, and that pays no KL.
    #[module(skip)]
    unused_row: Option<usize>,
}

impl<Q: Posterior, P: Prior> Variational<Q, P> {
    /// A posterior and its prior, sampled.
    pub fn new(posterior: Q, prior: P) -> Self {
        Self {
            posterior,
            prior,
            sampling: Param::from_bool(true),
            mask: None,
            unused_row: None,
        }
    }

    pub(crate) fn id(&self) -> ParamId {
        self.sampling.id
    }

    /// The mean of the weight.
    pub(crate) fn mean<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.masked(self.posterior.mean(mu))
    }

    pub(crate) fn set_mask(&mut self, mask: Tensor<1>) {
        self.mask = Some(Param::from_tensor(mask).set_require_grad(false));
    }

    pub(crate) fn mask(&self) -> Option<Tensor<1>> {
        // Detached: Burn's `unfreeze` makes every parameter of a module require a gradient.
        self.mask.as_ref().map(|mask| mask.val().detach())
    }

    /// `weight`, with zeros where it is pruned.
    fn masked<const D: usize>(&self, weight: Tensor<D>) -> Tensor<D> {
        match self.mask() {
            None => weight,
            Some(mask) => {
                let mask = mask.reshape(weight.shape());
                weight * mask
            }
        }
    }

    /// Leaves out of the KL a row of the weight that the model never reads, such as an embedding's padding.
    ///
    /// Where the posterior has no [rows](Posterior::rows) of its own, the row is counted like the others.
    #[must_use]
    pub fn with_unused_row(mut self, row: Option<usize>) -> Self {
        self.unused_row = row;
        self
    }

    /// Whether the weight is sampled, in training and in prediction; see
    /// [`freeze_sampling`](crate::BayesianModule::freeze_sampling).
    pub fn is_sampling(&self) -> bool {
        is_configured(&self.sampling)
    }

    /// The noise of the weight in the innermost draw or, without one, the next of the process-wide stream.
    fn noise_key(&self) -> NoiseKey {
        draw::noise_key(self.sampling.id)
    }

    fn sample<const D: usize>(&self, key: NoiseKey, mu: Tensor<D>) -> Tensor<D> {
        self.posterior.sample(mu, &mut Noise::new(key))
    }

    /// The weight of the innermost draw, made at the first read; not masked, since the KL is that of the posterior.
    fn weight<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.weight_from(self.noise_key(), mu)
    }

    /// [`weight`](Self::weight), when its key is known.
    fn weight_from<const D: usize>(&self, key: NoiseKey, mu: Tensor<D>) -> Tensor<D> {
        let id = self.sampling.id;
        if let Some(weight) = draw::cached::<D>(id, &mu.device()) {
            return weight;
        }
        let weight = match self.weight_and_kl(key, &mu) {
            Some((weight, kl)) => {
                draw::keep_kl(id, kl);
                weight
            }
            None => self.sample(key, mu),
        };
        draw::cache(id, &weight);
        weight
    }

    /// The weight together with its KL, if the draw wants both and the pair has them in one pass.
    fn weight_and_kl<const D: usize>(
        &self,
        key: NoiseKey,
        mu: &Tensor<D>,
    ) -> Option<(Tensor<D>, KlTerm)> {
        if self.unused_row.is_some() || !draw::wants_kl() {
            return None;
        }
        self.posterior
            .sample_with_kl(mu, &self.prior, &mut Noise::new(key))
    }

    /// What stands in the place of the innermost draw's weight, or that weight.
    fn weight_in_force<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        draw::replacement(self.sampling.id, &mu).unwrap_or_else(|| self.weight(mu))
    }

    /// Some rows of a sample, unless the whole weight is there already or has to be made.
    fn weight_rows<const D: usize>(&self, mu: &Tensor<D>, rows: &[usize]) -> Option<Tensor<D>> {
        let id = self.sampling.id;
        if draw::is_replaced(id) || draw::cached::<D>(id, &mu.device()).is_some() {
            return None;
        }
        let shape = mu.shape();
        let posterior = self.posterior.rows(&shape, rows)?;
        let mut noise = Noise::new(self.noise_key()).of_rows(rows, shape[0]);
        let weight = posterior.sample(select_rows(mu.clone(), rows), &mut noise);
        Some(match self.mask() {
            None => weight,
            Some(mask) => weight * select_rows(mask.reshape(shape), rows),
        })
    }

    fn part<const D: usize>(&self, wanted: Parts, mu: &Tensor<D>) -> Option<Tensor<D>> {
        if draw::is_replaced(self.sampling.id) {
            return None;
        }
        match (wanted, self.posterior.structure()) {
            (Parts::Variance, PosteriorStructure::IndependentNormal) => {
                Some(self.masked(self.posterior.variance(mu.clone())))
            }
            (
                Parts::Perturbation,
                PosteriorStructure::IndependentNormal | PosteriorStructure::SignSymmetric,
            ) => {
                let delta = self.weight(mu.clone()) - self.posterior.mean(mu.clone());
                Some(self.masked(delta))
            }
            _ => None,
        }
    }

    fn put_kl<const D: usize>(&self, mu: Tensor<D>) {
        let wants_closed_form = draw::with_kl_sink(|sink| sink.wants_closed_form());
        if let Some(term) = draw::kept_kl(self.sampling.id, &mu.device()) {
            let term = wants_closed_form.then_some(term);
            return draw::with_kl_sink(|sink| sink.terms.extend(term));
        }
        let shape = mu.shape();
        let used = self.unused_row.and_then(|unused| {
            let rows: Vec<_> = (0..shape[0]).filter(|row| *row != unused).collect();
            let posterior = self.posterior.rows(&shape, &rows)?;
            Some((posterior, rows))
        });
        let posterior = used.as_ref().map_or(&self.posterior, |(used, _)| used);
        let used_of = |weight: Tensor<D>| match &used {
            Some((_, rows)) => select_rows(weight, rows),
            None => weight,
        };
        // Computed outside the sink's borrow: user code runs here.
        let term = match posterior.kl(used_of(mu.clone()), &self.prior) {
            Some(value) => wants_closed_form.then(|| KlTerm::new(value, KlEstimator::ClosedForm)),
            None => {
                draw::with_kl_sink(|sink| sink.forget_share());
                let key = self.noise_key();
                let at_once = match &used {
                    None => posterior.kl_at_draw(&mu, &self.prior, Noise::new(key)),
                    Some(_) => None,
                };
                let value = at_once.unwrap_or_else(|| {
                    let weight = used_of(self.weight_from(key, mu.clone()));
                    let log_q = posterior.log_density(used_of(mu), weight.clone());
                    log_q - self.prior.log_density(weight)
                });
                Some(KlTerm::new(value, KlEstimator::MonteCarlo))
            }
        };
        draw::with_kl_sink(|sink| sink.terms.extend(term));
    }
}

impl<Q: Posterior, P: Prior> Reparameterization for Variational<Q, P> {
    const NAME: &'static str = NAME;

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        match draw::request() {
            // The KL is a function of the parameters; whether they are sampled at the moment changes nothing.
            Request::Kl => {
                self.put_kl(base.clone());
                base
            }
            Request::Survey => {
                draw::put_survey(survey::taken(self, base.clone()));
                base
            }
            Request::Gather => {
                let is_sampling = self.is_sampling();
                let weight = match is_sampling {
                    true => self.weight(base.clone()),
                    false => self.mean(base.clone()),
                };
                draw::gather(self.sampling.id, is_sampling, weight);
                base
            }
            Request::Mean => self.mean(base),
            _ if !self.is_sampling() => self.mean(base),
            Request::Parts(wanted) => match self.part(wanted, &base) {
                Some(part) => {
                    draw::put_parts(PartsSlot::Part(self.sampling.id, Box::new(part)));
                    self.mean(base)
                }
                None => {
                    draw::put_parts(PartsSlot::Unavailable);
                    base
                }
            },
            Request::Rows(rows) => match self.weight_rows(&base, &rows) {
                Some(weight) => {
                    draw::answer_rows();
                    weight
                }
                None => self.masked(self.weight_in_force(base)),
            },
            Request::Fresh => self.masked(self.sample(self.noise_key(), base)),
            Request::Sample => self.masked(self.weight_in_force(base)),
        }
    }
}
