//! A posterior as a prior: what is known before today's data is what yesterday's have told.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Shape, Tensor};

use super::{Prior, PriorForm};
use crate::family::posterior::Posterior;
use crate::family::{ConstantError, Constants, Marginals, at_least_f32, in_type_of, select_rows};
use crate::fields::fixed;

/// `p(w) = q₀(w)`, a posterior as it was at one moment.
///
/// What [`posterior_as_prior`](crate::BayesianModule::posterior_as_prior) attaches. It does not train, even where
/// Burn's `unfreeze` was called; it is saved, loaded and moved with the module.
///
/// A deviation below e^-40 counts as that in what a mean pays for its distance from q₀, whose square would be infinite
/// in `f32`.
///
/// | q₀ | closed-form KL from |
/// |---|---|
/// | normal, matrix-variate normal | every posterior with a known entropy |
/// | Laplace | posteriors with normal or Laplace marginals |
/// | low-rank and full-rank normal, Student-t, radial | none: estimated at the draw's weights |
///
/// ```
/// use blitz_core::{NormalPosterior, PosteriorPrior, Prior};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let yesterday = NormalPosterior::from_std(Tensor::<1>::from_floats([0.5, 2.0], &device));
/// let prior = PosteriorPrior::new(Tensor::<1>::from_floats([1.0, -1.0], &device), yesterday);
/// // ln N(1; 1, 0.5²) + ln N(1; −1, 2²), whose deviations cancel.
/// let log_density = prior.log_density(Tensor::<1>::from_floats([1.0, 1.0], &device)).into_scalar::<f32>();
/// assert!((log_density + 2.0 * 0.918_938_5 + 0.5).abs() < 1e-5);
/// ```
#[derive(Module, Debug)]
pub struct PosteriorPrior<Q: Posterior> {
    /// μ, flat: element i belongs to element i of the weight in row-major order.
    pub location: Param<Tensor<1>>,
    /// The rest of q₀.
    pub posterior: Q,
}

impl<Q: Posterior> PosteriorPrior<Q> {
    /// The prior that `posterior` is at the location `mu`.
    ///
    /// # Panics
    ///
    /// Panics if the family has [no density](Posterior::has_density) over all weights.
    pub fn new<const D: usize>(mu: Tensor<D>, posterior: Q) -> Self {
        assert!(
            posterior.has_density(),
            "a prior needs a density over all weights, which this posterior does not have: {posterior:?}"
        );
        let elements = mu.shape().num_elements();
        Self::of_parts(mu.reshape([elements]), posterior)
    }

    fn of_parts(location: Tensor<1>, posterior: Q) -> Self {
        Self {
            location: fixed(location),
            posterior: posterior.map(&mut Fixed),
        }
    }

    /// q₀ without a gradient, whatever Burn's `unfreeze` made of its parameters.
    fn detached(&self) -> Q {
        self.posterior.clone().map(&mut Fixed)
    }

    fn location<const D: usize>(&self, like: &Tensor<D>) -> Tensor<D> {
        in_type_of(self.location.val().detach(), like).reshape(like.shape())
    }
}

impl<Q: Posterior> Prior for PosteriorPrior<Q> {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let weight = at_least_f32(weight);
        self.detached().log_density(self.location(&weight), weight)
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        self.detached()
            .expected_log_density(self.location(&q.mean), q)
    }

    /// # Panics
    ///
    /// Panics for a family that has no [marginal of rows](Posterior::marginal_of_rows). Under its own prior none is
    /// asked for one.
    fn of_rows(&self, shape: &Shape, rows: &[usize]) -> Self {
        let Some(posterior) = self.posterior.marginal_of_rows(shape, rows) else {
            panic!("some rows of this posterior have no density of their own: {self:?}")
        };
        let length = shape.num_elements() / shape[0].max(1);
        let locations = self.location.val().reshape([shape[0], length]);
        let selected = select_rows(locations, rows).reshape([rows.len() * length]);
        Self::of_parts(selected, posterior)
    }

    fn form(&self) -> PriorForm {
        PriorForm::Other
    }

    fn constants(&self) -> Option<Constants> {
        Some(self.posterior.constants()?.within("Posterior"))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        self.posterior.set_constants(values)
    }
}

/// Makes parameters of their own identity that do not train. Burn's optimizer and its gradients know a parameter by its
/// identity.
struct Fixed;

impl ModuleMapper for Fixed {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        fixed(param.val())
    }
}
