//! The posterior whose precision IVON learns.

use blitz_layers::blitz_core::noise::density::{HALF_LOG_TWO_PI, NORMAL_ENTROPY};
use blitz_layers::blitz_core::{
    ConstantError, Constants, MarginalFamily, Marginals, Nats, Noise, Posterior, PosteriorForm,
    PosteriorStructure, WeightInfo, at_least_f32, in_type_of, wide_type,
};
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Int, Shape, Tensor, TensorData};

use super::{Ivon, IvonConfig};
use crate::update::UpdatedBy;

/// Independent normals `w_i = m_i + ε_i / √(λ (h_i + δ))`, with the state of the optimizer that trains them.
///
/// λ and δ are `ess` and `weight_decay` of the [`IvonConfig`]. With a mean loss ℓ̄ over λ examples, h estimates the
/// diagonal of its Hessian, so `λ (h + δ)` is the precision of the posterior under the prior `N(0, 1 / (λ δ))`.
///
/// Its KL has a value, so that an ELBO can be reported, but no gradient: prior and entropy are part of IVON's update.
#[derive(Module, Debug)]
pub struct IvonPosterior {
    /// h, flat: element i belongs to element i of the weight in row-major order.
    pub hess: Param<Tensor<1>>,
    /// The decaying mean of the gradient, flat. Not trained.
    pub(super) momentum: Param<Tensor<1>>,
    /// The same mean of ones, `1 − β₁ᵗ` after t steps: what the momentum is divided by. Not trained.
    pub(super) momentum_weight: Param<Tensor<1>>,
    /// Only IVON's own update trains it.
    update: UpdatedBy<Ivon>,
    #[module(skip)]
    pub(super) config: IvonConfig,
}

impl IvonPosterior {
    pub(super) fn new(config: &IvonConfig, weight: &WeightInfo<'_>) -> Self {
        let elements = weight.shape.num_elements();
        // A start of 1e-8 is 0 in 16 bits, whatever is the device's own type.
        let dtype = weight.device.settings().float_dtype.into();
        let options = (weight.device, wide_type(dtype));
        let filled = |len, value| Param::from_tensor(Tensor::full([len], value, options));
        Self {
            hess: filled(elements, config.hess_init),
            momentum: filled(elements, 0.0).set_require_grad(false),
            momentum_weight: filled(1, 0.0).set_require_grad(false),
            update: UpdatedBy::new(),
            config: config.clone(),
        }
    }

    /// λ (h + δ), in the shape of `mu` and its type, `f32` at least: λ alone exceeds what 16 bits hold.
    fn precision<const D: usize>(&self, mu: &Tensor<D>) -> Tensor<D> {
        let hess = self.hess.val().reshape(mu.shape());
        let hess = in_type_of(hess, &at_least_f32(mu.clone()));
        self.config.precision().of(hess)
    }
}

impl Posterior for IvonPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let wide = at_least_f32(mu.clone());
        let hess = in_type_of(self.hess.val(), &wide);
        let weight = noise.location_precision(wide, hess, self.config.precision());
        in_type_of(weight, &mu)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        in_type_of(self.precision(&mu).sqrt().recip(), &mu)
    }

    fn variance<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        in_type_of(self.precision(&mu).recip(), &mu)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let precision = self.precision(&mu);
        let square = (at_least_f32(weight) - at_least_f32(mu)).square() * precision.clone();
        ((precision.log() - square - 2.0 * HALF_LOG_TWO_PI) * 0.5).sum()
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        let precision = self.precision(&mu);
        Marginals {
            mean: at_least_f32(mu),
            std: precision.clone().sqrt().recip(),
            log_std: precision.log() * -0.5,
            family: MarginalFamily::Normal,
        }
    }

    fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
        let log_std = q.log_std.clone();
        Some(Nats::of_weights(log_std + NORMAL_ENTROPY))
    }

    fn form(&self) -> PosteriorForm {
        PosteriorForm::Precise {
            h: self.hess.val(),
            precision: self.config.precision(),
        }
    }

    fn has_own_update(&self) -> bool {
        true
    }

    fn rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        let length = shape.num_elements() / shape[0].max(1);
        let positions: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        let positions = TensorData::new(positions, [rows.len()]);
        let hess = self.hess.val().reshape([shape[0], length]);
        let positions = Tensor::<1, Int>::from_data(positions, &hess.device());
        let hess = hess.select(0, positions).reshape([rows.len() * length]);
        Some(Self {
            hess: Param::initialized(ParamId::new(), hess),
            ..self.clone()
        })
    }

    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::IndependentNormal
    }

    /// Those that the deviations are made of. The decays and the like belong to the training.
    fn constants(&self) -> Option<Constants> {
        let IvonConfig {
            ess, weight_decay, ..
        } = self.config;
        Some(Constants::new("Ivon", [ess, weight_decay]))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let (ess, weight_decay) = (values[0], values[1]);
        ConstantError::unless_positive("ess of IVON", ess)?;
        ConstantError::unless_positive("weight decay of IVON", weight_decay)?;
        (self.config.ess, self.config.weight_decay) = (ess, weight_decay);
        Ok(())
    }
}
