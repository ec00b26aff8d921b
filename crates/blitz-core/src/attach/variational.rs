//! What turns an ordinary Burn parameter into a Bayesian one.

use std::any::Any;

use burn::module::{Flag, Param, ParamId, Reparameterization};
use burn::tensor::Tensor;

use crate::draw::{self, KeptDeviations, Part, PartSlot, Request, Site, is_configured};
use crate::family::posterior::{Posterior, PosteriorForm, PosteriorStructure};
use crate::family::prior::{PosteriorPrior, Prior};
use crate::family::{
    Noise, at_least_f32, constants, in_one_type, in_type_of, reflected, select_rows, unpacked,
};
use crate::fields::{POSTERIOR, fixed};
use crate::kl::{KlEstimator, KlTerm, SharedScale, pair};

/// A posterior and its prior, attached to a parameter whose stored tensor is the posterior's location μ.
///
/// `Param::val` of such a parameter is a sample of the weight (or its mean, see [`Draw`](crate::Draw)); `Param::base`
/// is μ. Attached by [`bayesianize`](crate::BayesianModule::bayesianize) or
/// [`attach_posteriors`](crate::BayesianModule::attach_posteriors), read back with
/// `param.reparameterization::<Variational<Q, P>>()`.
///
/// Its records have the [constants](Posterior::constants) of posterior and prior beside their tensors.
#[derive(Debug, Clone)]
pub struct Variational<Q: Posterior, P: Prior> {
    /// The posterior's parameters other than μ.
    pub posterior: Q,
    /// The prior.
    pub prior: P,
    /// Whether the weight is sampled; off, it reads as its mean. Its id is the parameter's identity in a draw, since
    /// unlike the ids of tensors it does not change when a record is loaded.
    pub(super) sampling: Param<Flag>,
    /// 1 for each weight that is kept and 0 for each that is pruned, flat; `None` until the first pruning. Not trained.
    pub(super) mask: Option<Param<Tensor<1>>>,
    /// A row that the model never reads, and that pays no KL.
    pub(super) unused_row: Option<usize>,
}

impl<Q: Posterior, P: Prior> Variational<Q, P> {
    /// A posterior and its prior, sampled.
    pub fn new(posterior: Q, prior: P) -> Self {
        Self {
            posterior: constants::mark(posterior),
            prior,
            sampling: Param::from_bool(true),
            mask: None,
            unused_row: None,
        }
    }

    /// The same, under the prior that this posterior is at the location `mu`; `None` for a family that can't be a
    /// prior.
    pub(super) fn under_itself<const D: usize>(
        &self,
        mu: Tensor<D>,
    ) -> Option<Variational<Q, PosteriorPrior<Q>>> {
        // A rule of its own has the prior in it, and would not look at this one.
        let can_be_prior = self.posterior.has_density() && !self.posterior.has_own_update();
        can_be_prior.then(|| Variational {
            posterior: self.posterior.clone(),
            prior: PosteriorPrior::new(mu, self.posterior.clone()),
            sampling: self.sampling.clone(),
            mask: self.mask.clone(),
            unused_row: self.unused_row,
        })
    }

    /// The same, with every deviation of the posterior `factor` times as large; `None` for a family that does not say
    /// how.
    pub(super) fn scaled(&self, factor: f64) -> Option<Self> {
        let posterior = self.posterior.clone().with_deviations_scaled(factor)?;
        Some(Self {
            posterior,
            ..self.clone()
        })
    }

    pub(super) fn id(&self) -> ParamId {
        self.sampling.id
    }

    /// The mean of the weight.
    pub(super) fn mean<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.masked(self.posterior.mean(mu))
    }

    pub(super) fn set_mask(&mut self, mask: Tensor<1>) {
        self.mask = Some(fixed(mask));
    }

    pub(super) fn mask(&self) -> Option<Tensor<1>> {
        // Detached: Burn's `unfreeze` makes every parameter of a module require a gradient.
        self.mask.as_ref().map(|mask| mask.val().detach())
    }

    /// `weight`, with zeros where it is pruned.
    fn masked<const D: usize>(&self, weight: Tensor<D>) -> Tensor<D> {
        match self.mask() {
            None => weight,
            Some(mask) => {
                let mask = in_type_of(mask, &weight).reshape(weight.shape());
                weight * mask
            }
        }
    }

    /// The factors of the covariances of a weight's columns, with rows of zeros for the weights that are pruned.
    fn masked_columns(&self, factors: Tensor<3>) -> Tensor<3> {
        match self.mask() {
            None => factors,
            Some(mask) => {
                let [columns, rows, _] = factors.dims();
                let mask = in_type_of(mask, &factors).reshape([rows, columns]);
                factors * mask.transpose().unsqueeze_dim(2)
            }
        }
    }

    /// Leaves out of the KL a row of the weight that the model never reads, such as an embedding's padding.
    ///
    /// Where the posterior has no [marginal of rows](Posterior::marginal_of_rows), the row is counted like the others:
    /// a radial posterior is that of a whole tensor, and that of a part of a full-rank one is not computed.
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

    /// The weight of the innermost draw, made at the first read; without a draw, a sample of its own. Not masked, since
    /// the KL is that of the posterior.
    pub(super) fn weight<const D: usize>(&self, mu: &Tensor<D>) -> Tensor<D> {
        self.weight_at(draw::site(self.id(), mu), mu)
    }

    fn weight_at<const D: usize>(&self, site: Site<D>, mu: &Tensor<D>) -> Tensor<D> {
        if let Some(weight) = site.weight {
            return weight;
        }
        let mut noise = Noise::new(site.key);
        if site.is_antithetic {
            let first = site.first;
            let first = first.unwrap_or_else(|| self.posterior.sample(mu.clone(), &mut noise));
            let weight = self.reflected(mu.clone(), first);
            draw::keep(self.id(), mu, &weight, None);
            return weight;
        }
        let with_kl = (site.wants_kl && self.unused_row.is_none())
            .then(|| pair::draw_with_kl(&self.posterior, &self.prior, mu, &mut noise))
            .flatten();
        let (weight, kl) = match with_kl {
            Some((weight, kl)) => (weight, Some(kl)),
            None => (self.sample(mu, &mut noise, site.deviations.as_ref()), None),
        };
        draw::keep(self.id(), mu, &weight, kl);
        weight
    }

    /// A weight, with the deviations that are kept where that gives the same bits.
    fn sample<const D: usize>(
        &self,
        mu: &Tensor<D>,
        noise: &mut Noise,
        deviations: Option<&KeptDeviations>,
    ) -> Tensor<D> {
        match (deviations, self.posterior.form()) {
            (Some(kept), PosteriorForm::Normal { rho }) if !rho.is_autodiff() => {
                let (_, rho) = in_one_type(mu, &rho);
                noise.location_std(mu.clone(), kept.of(self.id(), rho))
            }
            _ => self.posterior.sample(mu.clone(), noise),
        }
    }

    /// The weight of a draw before it is rounded to 16 bits. Where a deviation is below the rounding of its weight, the
    /// rounded one is where the posterior has no mass: the estimate of a KL there is half a nat too large for each
    /// weight, and its difference from the mean is nothing or far too much.
    fn unrounded_weight_at<const D: usize>(&self, site: Site<D>, mu: &Tensor<D>) -> Tensor<D> {
        let wide = at_least_f32(mu.clone());
        if wide.dtype() == mu.dtype() {
            return self.weight_at(site, mu);
        }
        let mut noise = Noise::new(site.key);
        let weight = self.posterior.sample(wide.clone(), &mut noise);
        match site.is_antithetic {
            true => self.reflected(wide, weight),
            false => weight,
        }
    }

    /// The other weight of an antithetic pair.
    fn reflected<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<D> {
        // Those of the model were checked when the draw was opened.
        assert!(
            self.posterior.is_symmetric(),
            "an antithetic draw reads a weight whose posterior is not symmetric about its mean, {}",
            std::any::type_name::<Q>()
        );
        reflected(self.posterior.mean(mu), weight)
    }

    /// What stands in the place of the innermost draw's weight, or that weight.
    fn weight_in_force<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        draw::replacement(self.id(), &mu).unwrap_or_else(|| self.weight(&mu))
    }

    /// Some rows of a sample, unless the whole weight is there already or has to be made.
    fn weight_rows<const D: usize>(&self, mu: &Tensor<D>, rows: &[usize]) -> Option<Tensor<D>> {
        if draw::is_replaced(self.id()) || draw::is_made(self.id(), mu) {
            return None;
        }
        let shape = mu.shape();
        let posterior = self.posterior.rows(&shape, rows)?;
        let Site {
            key, is_antithetic, ..
        } = draw::site(self.id(), mu);
        let mut noise = Noise::new(key).of_rows(rows, shape[0]);
        let used = select_rows(mu.clone(), rows);
        let weight = posterior.sample(used.clone(), &mut noise);
        let weight = match is_antithetic {
            true => self.reflected(used, weight),
            false => weight,
        };
        Some(match self.mask() {
            None => weight,
            Some(mask) => {
                let mask = in_type_of(mask, &weight).reshape(shape);
                weight * select_rows(mask, rows)
            }
        })
    }

    fn part<const D: usize>(&self, wanted: Part, mu: &Tensor<D>) -> Option<Box<dyn Any>> {
        let wide = || at_least_f32(mu.clone());
        match wanted {
            Part::Moments => {
                // Signs that are independent leave no correlation.
                let is_general = self.posterior.structure() == PosteriorStructure::General;
                return (!is_general).then(|| {
                    Box::new(self.masked(self.posterior.variance(wide()))) as Box<dyn Any>
                });
            }
            Part::ColumnFactors => {
                let factors = self.posterior.column_factors(&wide())?;
                return Some(Box::new(self.masked_columns(factors)));
            }
            Part::Variance | Part::VarianceFactors | Part::Perturbation | Part::Identity => {}
        }
        if draw::is_replaced(self.id()) {
            return None;
        }
        match (wanted, self.posterior.structure()) {
            (Part::Variance, PosteriorStructure::IndependentNormal) => {
                Some(Box::new(self.masked(self.posterior.variance(wide()))))
            }
            // Zeros here and there are not of rank one.
            (Part::VarianceFactors, PosteriorStructure::IndependentNormal)
                if self.mask.is_none() =>
            {
                Some(Box::new(self.posterior.variance_factors(&wide())?))
            }
            (
                Part::Perturbation,
                PosteriorStructure::IndependentNormal | PosteriorStructure::SignSymmetric,
            ) => {
                // Rounded once: a deviation may be below the digits of the weight.
                let site = draw::site(self.id(), mu);
                let delta = self.unrounded_weight_at(site, mu) - self.posterior.mean(wide());
                Some(Box::new(in_type_of(self.masked(delta), mu)))
            }
            _ => None,
        }
    }

    /// The KL, whether or not the weight is sampled at the moment: it is a function of the parameters. A part without a
    /// closed form is estimated at the weight of the innermost draw.
    pub(super) fn kl<const D: usize>(&self, mu: &Tensor<D>) -> (KlTerm, Option<SharedScale>) {
        let (mut term, mut share) = self.kl_with_gradient(mu);
        if self.posterior.has_own_update() {
            term.value = term.value.detach();
            share = share.map(SharedScale::detach);
        }
        (term, share)
    }

    /// The KL, if it is estimated at the weight of the innermost draw. One in closed form would be computed to be
    /// dropped.
    pub(super) fn sampled_kl<const D: usize>(&self, mu: &Tensor<D>) -> Option<KlTerm> {
        let is_closed = draw::kept_kl(self.id(), mu).is_some()
            || pair::has_closed_form(&self.posterior, &self.prior, mu);
        if is_closed {
            return None;
        }
        let (term, _) = self.kl(mu);
        (term.estimator == KlEstimator::MonteCarlo).then_some(term)
    }

    fn kl_with_gradient<const D: usize>(&self, mu: &Tensor<D>) -> (KlTerm, Option<SharedScale>) {
        if let Some(term) = draw::kept_kl(self.id(), mu) {
            return (term, None);
        }
        let shape = mu.shape();
        let Some(unused) = self.unused_row.filter(|row| *row < shape[0]) else {
            return self.kl_of_all(mu);
        };
        let rows: Vec<_> = (0..shape[0]).filter(|row| *row != unused).collect();
        if rows.is_empty() {
            // Of no weights; with a gradient, of zeros, like every other.
            let nothing = at_least_f32(mu.clone()).sum().mul_scalar(0.0);
            return (KlTerm::new(nothing, KlEstimator::ClosedForm), None);
        }
        let Some(posterior) = self.posterior.marginal_of_rows(&shape, &rows) else {
            return self.kl_of_all(mu);
        };
        let prior = self.prior.of_rows(&shape, &rows);
        let used = select_rows(mu.clone(), &rows);
        if let Some(kl) = pair::closed_form(&posterior, &prior, &used) {
            return (KlTerm::new(kl.value, KlEstimator::ClosedForm), kl.share);
        }
        let site = draw::site(self.id(), mu);
        let weight = select_rows(self.unrounded_weight_at(site, mu), &rows);
        let value = pair::at_weight(&posterior, &prior, used, weight);
        (KlTerm::new(value, KlEstimator::MonteCarlo), None)
    }

    /// The KL of all rows.
    fn kl_of_all<const D: usize>(&self, mu: &Tensor<D>) -> (KlTerm, Option<SharedScale>) {
        if let Some(kl) = pair::closed_form(&self.posterior, &self.prior, mu) {
            return (KlTerm::new(kl.value, KlEstimator::ClosedForm), kl.share);
        }
        let site = draw::site(self.id(), mu);
        let noise = Noise::new(site.key);
        let at_once = pair::at_draw(&self.posterior, &self.prior, mu, noise, site.is_antithetic);
        let value = at_once.unwrap_or_else(|| {
            let weight = self.unrounded_weight_at(site, mu);
            pair::at_weight(&self.posterior, &self.prior, mu.clone(), weight)
        });
        (KlTerm::new(value, KlEstimator::MonteCarlo), None)
    }
}

/// What a question gets beside the value that is read.
enum Answer {
    Nothing,
    Part(PartSlot),
    /// The value is the rows alone.
    Rows,
}

impl<Q: Posterior, P: Prior> Variational<Q, P> {
    fn read<const D: usize>(&self, request: Request, base: Tensor<D>) -> (Tensor<D>, Answer) {
        let value = match request {
            Request::Survey => base,
            Request::Mean => self.mean(base),
            Request::MeanInPass => {
                if self.is_sampling() {
                    draw::note_alone(self.id());
                }
                self.mean(base)
            }
            _ if !self.is_sampling() => self.mean(base),
            Request::Part(Part::Identity) => {
                let slot = PartSlot::Part(self.id(), Box::new(()));
                return (base, Answer::Part(slot));
            }
            // A posterior has no location of few bits.
            request => return self.read_drawn(request, unpacked(base)),
        };
        (value, Answer::Nothing)
    }

    /// The answer to a question about the posterior, which is not the mean alone.
    fn read_drawn<const D: usize>(&self, request: Request, base: Tensor<D>) -> (Tensor<D>, Answer) {
        let value = match request {
            Request::Part(wanted) => {
                return match self.part(wanted, &base) {
                    Some(part) => {
                        let slot = PartSlot::Part(self.id(), part);
                        (self.mean(base), Answer::Part(slot))
                    }
                    None => (base, Answer::Part(PartSlot::Unavailable)),
                };
            }
            Request::Rows(rows) => match self.weight_rows(&base, &rows) {
                Some(weight) => return (weight, Answer::Rows),
                None => self.masked(self.weight_in_force(base)),
            },
            _ => self.masked(self.weight_in_force(base)),
        };
        (value, Answer::Nothing)
    }
}

impl<Q: Posterior, P: Prior> Reparameterization for Variational<Q, P> {
    const NAME: &'static str = POSTERIOR;

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let request = draw::request();
        let (value, answer) = draw::outside_question(|| self.read(request, base));
        match answer {
            Answer::Nothing => {}
            Answer::Part(slot) => draw::answer_part(slot),
            Answer::Rows => draw::answer_rows(),
        }
        value
    }
}
