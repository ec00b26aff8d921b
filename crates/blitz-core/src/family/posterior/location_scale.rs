//! Posteriors `w = μ + scale · noise`: what the families of that form share.

use burn::module::{Module, ModuleDisplay, Param, ParamId};
use burn::tensor::{Device, Shape, Tensor};

use super::{Posterior, PosteriorForm, PosteriorStructure};
use crate::family::deviation::{
    MIN_STD, log_std_from_rho, rho_from_std, scaled_rho, std_from_rho, variance_from_rho,
};
use crate::family::{
    ConstantError, Constants, MarginalFamily, Marginals, Nats, Noise, at_least_f32, in_type_of,
    scale_type, select_rows,
};
use crate::fields::changed;

/// Where ρ stops to count as a divisor: a weight whose scale is below e^-40 equals its mean in floating point, and the
/// derivative of a quotient, 1 / σ², would overflow.
pub(super) const LEAST_RHO: f64 = -40.0;

/// The noise of a [`LocationScale`] posterior: a distribution over tensors with mean zero and a fixed shape, such as
/// the standard normal.
///
/// All a family has to say. A triangular posterior, complete:
///
/// ```
/// use blitz_core::prelude::*;
/// use blitz_core::{KlEstimator, Nats, Noise, NormalPrior, LocationScale, UnitNoise};
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
///
/// /// The sum of two uniforms on (−½, ½), of density 1 − |z|.
/// #[derive(Module, Debug)]
/// struct Triangle {}
///
/// impl UnitNoise for Triangle {
///     fn sample<const D: usize>(&self, noise: &mut Noise, like: &Tensor<D>) -> Tensor<D> {
///         // ½ erf(ε / √2) of a standard normal ε is uniform on (−½, ½).
///         let mut uniform = || (noise.standard_normal(like) * 0.5f64.sqrt()).erf() * 0.5;
///         uniform() + uniform()
///     }
///
///     fn std_dev(&self, _weights: usize) -> f64 {
///         6f64.sqrt().recip()
///     }
///
///     fn log_density<const D: usize>(&self, z: Tensor<D>) -> Nats<D> {
///         Nats::of_weights((z.abs().neg() + 1.0).clamp_min(1e-30).log())
///     }
///
///     fn entropy(&self, _weights: usize) -> Option<f64> {
///         Some(0.5) // a weight
///     }
/// }
///
/// let net = LinearConfig::new(3, 2).init(&Device::flex()).attach_posteriors(|weight| {
///     let posterior = LocationScale::new(Triangle {}, 0.1, weight.shape, weight.device);
///     Some((posterior, NormalPrior::new(1.0)))
/// });
/// assert_eq!(net.kl_terms()[0].estimator, KlEstimator::ClosedForm);
/// assert!((net.weight_marginals()[0].std_devs[0] - 0.1).abs() < 1e-6);
/// ```
pub trait UnitNoise: Module + ModuleDisplay + Sync + 'static {
    /// Noise in the shape, type and on the device of `like`.
    fn sample<const D: usize>(&self, noise: &mut Noise, like: &Tensor<D>) -> Tensor<D>;

    /// The deviation of each element, in a tensor of so many.
    fn std_dev(&self, elements: usize) -> f64;

    /// The logarithm of its density at `z`.
    fn log_density<const D: usize>(&self, z: Tensor<D>) -> Nats<D>;

    /// Its entropy divided by the number of elements, in a tensor of so many; or `None` (the default) where it is not
    /// known.
    fn entropy(&self, elements: usize) -> Option<f64> {
        let _ = elements;
        None
    }

    /// Whether [`log_density`](Self::log_density) is that of a density over *all* noise; see
    /// [`Posterior::has_density`]. The default is no.
    fn has_density(&self) -> bool {
        false
    }

    /// `E_q[ln p(z_i)]` of each element in closed form, where p is this noise and q has these marginals; or `None` (the
    /// default).
    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        let _ = q;
        None
    }

    /// Whether it is the standard normal itself, which is drawn in one pass over memory. The default is no.
    fn is_standard_normal(&self) -> bool {
        false
    }

    /// The family of each element.
    fn family(&self) -> MarginalFamily {
        MarginalFamily::Other
    }

    /// What the estimators may assume. The default, sign-symmetric, is true of independent elements with an even
    /// density.
    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::SignSymmetric
    }

    /// Whether its elements are independent: those of some rows then have the same distribution without the others. The
    /// default is yes, unless the structure is general.
    fn is_independent(&self) -> bool {
        self.structure() != PosteriorStructure::General
    }

    /// The numbers that it is made of and that do not train; see [`Posterior::constants`]. The default is `None`.
    fn constants(&self) -> Option<Constants> {
        None
    }

    /// Takes the constants of a record; see [`Posterior::set_constants`].
    ///
    /// # Errors
    ///
    /// If one is out of its range.
    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let _ = values;
        Ok(())
    }
}

/// `w = μ + s ∘ z`, with scales `s_i = ln(1 + e^ρ_i)` and noise z of some [`UnitNoise`].
///
/// The deviation of weight i is `s_i` times the noise's. The log density is `ln p(z) − Σ ln s_i` at `z = (w − μ) / s`,
/// the entropy that of the noise and `Σ ln s_i`.
#[derive(Module, Debug)]
pub struct LocationScale<U: UnitNoise> {
    /// ρ, flat: element i belongs to element i of the weight in row-major order.
    pub rho: Param<Tensor<1>>,
    /// The noise.
    pub unit: U,
}

impl<U: UnitNoise> LocationScale<U> {
    /// A posterior for a weight of `shape`, with every deviation at `initial_std`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics if `initial_std` is not a number from 1e-30 to 1e15.
    pub fn new(unit: U, initial_std: f64, shape: &Shape, device: &Device) -> Self {
        super::assert_initial_std(initial_std);
        let n = shape.num_elements();
        Self {
            // The scale of the least deviation may be below it.
            rho: rho_param(n, (initial_std / unit.std_dev(n)).max(MIN_STD), device),
            unit,
        }
    }

    /// ρ in the shape and the type of `mu`.
    fn rho<const D: usize>(&self, mu: &Tensor<D>) -> Tensor<D> {
        in_type_of(self.rho.val(), mu).reshape(mu.shape())
    }
}

impl<U: UnitNoise> Posterior for LocationScale<U> {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        if self.unit.is_standard_normal() {
            return noise.location_scale(mu, self.rho.val());
        }
        // In `f32` at least: the noise of a heavy tail has no place in 16 bits.
        let wide = at_least_f32(mu.clone());
        let z = self.unit.sample(noise, &wide);
        let weight = wide.clone() + std_from_rho(self.rho(&wide)) * z;
        in_type_of(weight, &mu)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        let scale = std_from_rho(self.rho(&at_least_f32(mu.clone())));
        let std = match self.unit.std_dev(mu.shape().num_elements()) {
            1.0 => scale,
            of_unit => scale * of_unit,
        };
        in_type_of(std, &mu)
    }

    fn variance<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        let of_scale = variance_from_rho(self.rho(&at_least_f32(mu.clone())));
        let variance = match self.unit.std_dev(mu.shape().num_elements()) {
            1.0 => of_scale,
            of_unit => of_scale * of_unit.powi(2),
        };
        in_type_of(variance, &mu)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let mu = at_least_f32(mu);
        let rho = self.rho(&mu);
        let weight = in_type_of(weight, &mu);
        let z = (weight - mu) / std_from_rho(rho.clone().clamp_min(LEAST_RHO));
        let log_scales = log_std_from_rho(rho);
        self.unit
            .log_density(z)
            .and_of_weights(log_scales.neg())
            .total()
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        let mu = at_least_f32(mu);
        let of_unit = self.unit.std_dev(mu.shape().num_elements());
        let log_scales = log_std_from_rho(self.rho(&mu));
        Marginals {
            std: self.std_dev(mu.clone()),
            log_std: match of_unit {
                1.0 => log_scales,
                of_unit => log_scales + of_unit.ln(),
            },
            mean: mu,
            family: self.unit.family(),
        }
    }

    fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
        let elements = q.mean.shape().num_elements();
        let at_std_1 = self.unit.entropy(elements)? - self.unit.std_dev(elements).ln();
        Some(Nats::of_weights(q.log_std.clone() + at_std_1))
    }

    fn has_density(&self) -> bool {
        self.unit.has_density()
    }

    fn expected_log_density<const D: usize>(
        &self,
        mu: Tensor<D>,
        q: &Marginals<D>,
    ) -> Option<Tensor<D>> {
        let rho = self.rho(&q.mean);
        let scale = std_from_rho(rho.clone().clamp_min(LEAST_RHO));
        let log_scale = log_std_from_rho(rho);
        // The marginals of z = (w − μ) / s.
        let of_unit = self.unit.expected_log_density(&Marginals {
            mean: (q.mean.clone() - in_type_of(mu, &q.mean)) / scale.clone(),
            std: relative_std(q, scale, &log_scale),
            log_std: q.log_std.clone() - log_scale.clone(),
            family: q.family,
        })?;
        Some(of_unit - log_scale)
    }

    fn form(&self) -> PosteriorForm {
        match self.unit.is_standard_normal() {
            true => PosteriorForm::Normal {
                rho: self.rho.val(),
            },
            false => PosteriorForm::Other,
        }
    }

    fn rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        // The noise of the others is more than the first standard normals.
        match self.unit.is_standard_normal() {
            true => self.marginal_of_rows(shape, rows),
            false => None,
        }
    }

    fn marginal_of_rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        let is_independent = self.unit.is_standard_normal() || self.unit.is_independent();
        is_independent.then(|| Self {
            rho: flat_rows(&self.rho, shape, rows),
            unit: self.unit.clone(),
        })
    }

    fn structure(&self) -> PosteriorStructure {
        self.unit.structure()
    }

    fn with_deviations_scaled(mut self, factor: f64) -> Option<Self> {
        self.rho = changed(self.rho, |rho| scaled_rho(rho, factor));
        Some(self)
    }

    fn constants(&self) -> Option<Constants> {
        self.unit.constants()
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        self.unit.set_constants(values)
    }
}

/// The deviations of q over scales s, from s as a divisor and from ln s.
///
/// Where the divisor is held at its least, the logarithms say the quotient of two deviations as small: q is as wide as
/// itself. One whose square would overflow stays that by the divisor.
pub(super) fn relative_std<const D: usize>(
    q: &Marginals<D>,
    divisor: Tensor<D>,
    log_scale: &Tensor<D>,
) -> Tensor<D> {
    let log_ratio = q.log_std.clone() - log_scale.clone();
    let is_held = log_scale.clone().lower_elem(LEAST_RHO);
    let by_logarithms = is_held.bool_and(log_ratio.clone().lower_elem(-LEAST_RHO));
    let ratio = log_ratio.clamp_max(-LEAST_RHO).exp();
    (q.std.clone() / divisor).mask_where(by_logarithms, ratio)
}

/// The elements of some rows of a weight of `shape`, out of one number for each weight.
pub(super) fn flat_rows(
    numbers: &Param<Tensor<1>>,
    shape: &Shape,
    rows: &[usize],
) -> Param<Tensor<1>> {
    let length = shape.num_elements() / shape[0].max(1);
    let table = numbers.val().reshape([shape[0], length]);
    let selected = select_rows(table, rows).reshape([rows.len() * length]);
    Param::initialized(ParamId::new(), selected)
}

/// A parameter of `len` scales, all of which start at `std`, of `f32` at least.
///
/// # Panics
///
/// Panics if `std` is not a finite number of at least 1e-30.
pub(super) fn rho_param(len: usize, std: f64, device: &Device) -> Param<Tensor<1>> {
    let rho = rho_from_std(std);
    // At once: clones of a parameter that Burn has not initialized share whether they train, so that a frozen copy
    // would freeze the original.
    Param::from_tensor(Tensor::full([len], rho, (device, scale_type(device))))
}
