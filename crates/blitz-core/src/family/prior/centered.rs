//! A prior with a location: any prior, moved so that its centre lies at given weights.

use burn::module::{Module, Param};
use burn::tensor::{Shape, Tensor};

use super::{Prior, PriorForm};
use crate::family::{ConstantError, Constants, Marginals, at_least_f32, in_type_of, select_rows};
use crate::fields::fixed;

/// `p(w) = p₀(w − c)`: the prior p₀ with its centre at c, one number for each weight.
///
/// What [`moped`](crate::BayesianModule::moped) attaches, with the trained weights as the centre. The centre does not
/// train, even where Burn's `unfreeze` was called; it is saved, loaded and moved with the module.
///
/// ```
/// use blitz_core::{CenteredPrior, NormalPrior, Prior};
/// use burn::tensor::{Device, Tensor};
///
/// let weight = Tensor::<1>::from_floats([0.5, 2.0], &Device::flex());
/// let prior = CenteredPrior::new(weight.clone(), NormalPrior::new(1.0));
/// // At its centre the density is that of a standard normal at zero.
/// let log_density = prior.log_density(weight).into_scalar::<f32>();
/// assert!((log_density + 2.0 * 0.918_938_5).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct CenteredPrior<P: Prior> {
    /// c, flat: element i belongs to element i of the weight in row-major order.
    pub center: Param<Tensor<1>>,
    /// The prior p₀ of the differences from the centre.
    pub prior: P,
}

impl<P: Prior> CenteredPrior<P> {
    /// `prior` with its centre at `center`.
    pub fn new<const D: usize>(center: Tensor<D>, prior: P) -> Self {
        Self {
            center: fixed(center.flatten(0, D - 1)),
            prior,
        }
    }

    fn difference<const D: usize>(&self, weight: Tensor<D>) -> Tensor<D> {
        // The difference of two close numbers of 16 bits is exact in `f32`.
        let weight = at_least_f32(weight);
        let center = in_type_of(self.center.val().detach(), &weight);
        weight.clone() - center.reshape(weight.shape())
    }
}

impl<P: Prior> Prior for CenteredPrior<P> {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        self.prior.log_density(self.difference(weight))
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        // No marginal family changes when it is moved.
        let mean = self.difference(q.mean.clone());
        self.prior
            .expected_log_density(&Marginals { mean, ..q.clone() })
    }

    fn of_rows(&self, shape: &Shape, rows: &[usize]) -> Self {
        let length = shape.num_elements() / shape[0].max(1);
        let centers = self.center.val().reshape([shape[0], length]);
        Self::new(select_rows(centers, rows), self.prior.of_rows(shape, rows))
    }

    fn form(&self) -> PriorForm {
        PriorForm::Centered {
            center: self.center.val().detach(),
            prior: Box::new(self.prior.form()),
        }
    }

    fn constants(&self) -> Option<Constants> {
        Some(self.prior.constants()?.within("Centered"))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        self.prior.set_constants(values)
    }
}
