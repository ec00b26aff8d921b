//! The fused operations as values: what each reads and writes, and its numbers, fixed when it is recorded.
//!
//! There are two shapes. A [`Map`] gives a number for every element, a [`Sum`] one number for all. To add an operation
//! is to add its variant here, its arithmetic in `elementwise.rs`, and a door in `mod.rs`: how backends run the two
//! shapes and differentiate them knows no operation by name.

use blitz_noise::{NoiseKey, STREAM_LEN};
use burn::tensor::{DType, Tensor};

use crate::math::HALF_LOG_TWO_PI;

/// The smallest variance of a layer's output that has a gradient: below it, a row of zeros would make an infinite one.
pub(crate) const SMALLEST_VARIANCE: f64 = 1e-20;

/// Where in which stream the noise of an operation lies: element i of its tensor takes element `4 · first_block + i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseSpan {
    /// The stream.
    pub key: NoiseKey,
    /// The first Philox block, of four elements each.
    pub first_block: u32,
}

impl NoiseSpan {
    /// `elements` of the stream of `key` from element `start` on.
    ///
    /// # Panics
    ///
    /// Panics if `start` lies inside a block, or if the stream ends before.
    pub(crate) fn new(key: NoiseKey, start: u64, elements: usize) -> Self {
        assert!(
            start.is_multiple_of(4),
            "noise starts with a block, not at element {start}"
        );
        assert!(
            start + elements as u64 <= STREAM_LEN,
            "elements {start}.. (+{elements}) go beyond the stream's 2^34 elements"
        );
        Self {
            key,
            first_block: (start / 4) as u32,
        }
    }
}

/// A normal's precision as a linear function of a parameter h, `λ (h + δ)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Precision {
    /// λ.
    pub scale: f64,
    /// δ.
    pub shift: f64,
}

impl Precision {
    /// `λ (h + δ)` of each element.
    pub fn of<const D: usize>(&self, h: Tensor<D>) -> Tensor<D> {
        (h + self.shift) * self.scale
    }
}

/// A moment of `max(x, 0) + slope · min(x, 0)` of normals `x ~ N(mean, variance)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rectified {
    /// The slope below zero.
    pub slope: f64,
    /// Which of the two.
    pub moment: Moment,
}

/// A moment of a normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Its mean.
    Mean,
    /// Its variance.
    Variance,
}

/// One number for every element, of a location and a scale. Shaped like the location.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Map {
    /// `ε`, of neither.
    StandardNormal(NoiseSpan),
    /// `μ + softplus(ρ) ε`.
    Draw(NoiseSpan),
    /// `μ + σ ε`.
    DrawScaled(NoiseSpan),
    /// `μ + ε / √(λ (h + δ))`.
    DrawPrecise(NoiseSpan, Precision),
    /// `m + √v ε` with `v` no smaller than [`SMALLEST_VARIANCE`].
    DrawOutput(NoiseSpan),
    /// A power of `softplus(ρ)`, of the scale alone.
    Spread(Spread),
}

impl Map {
    /// The noise that it reads.
    #[allow(dead_code)] // Depends on the backends in the build.
    pub(super) fn noise(self) -> Option<NoiseSpan> {
        match self {
            Self::StandardNormal(noise)
            | Self::Draw(noise)
            | Self::DrawScaled(noise)
            | Self::DrawPrecise(noise, _)
            | Self::DrawOutput(noise) => Some(noise),
            Self::Spread(_) => None,
        }
    }

    /// Its numbers, as its arithmetic names them.
    #[allow(dead_code)] // Depends on the backends in the build.
    pub(super) fn coefficients(self) -> [f64; 5] {
        match self {
            Self::DrawPrecise(_, Precision { scale, shift }) => [0.0, 0.0, 0.0, scale, shift],
            _ => [0.0; 5],
        }
    }

    /// Whether it reads the location, which it adds to the rest, so that its gradient is the output's; and whether the
    /// scale.
    pub(super) fn reads(self) -> [bool; 2] {
        match self {
            Self::StandardNormal(_) => [false, false],
            Self::Draw(_) | Self::DrawScaled(_) | Self::DrawPrecise(..) | Self::DrawOutput(_) => {
                [true, true]
            }
            Self::Spread(_) => [false, true],
        }
    }
}

/// One number for all elements, of μ and ρ, in `f64` of `f64` tensors and else in `f32`. Of shape `[1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sum {
    /// Over independent normals.
    Normal(NormalSum),
    /// The same over normals `N(μ, 1 / (λ (h + δ)))`, with h in the place of ρ.
    Precise(NormalSum, Precision),
    /// `Σ μ²`, of μ alone.
    Squares,
    /// `Σ ln q(w) − ln p(w)` at the weights `w = μ + softplus(ρ) ε`, for a scale mixture p.
    Mixture(ScaleMixture, NoiseSpan),
}

impl Sum {
    /// The noise that it reads.
    #[allow(dead_code)] // Depends on the backends in the build.
    pub(super) fn noise(self) -> Option<NoiseSpan> {
        match self {
            Self::Normal(_) | Self::Precise(..) | Self::Squares => None,
            Self::Mixture(_, noise) => Some(noise),
        }
    }

    /// Its numbers, as its arithmetic names them.
    #[allow(dead_code)] // Depends on the backends in the build.
    pub(super) fn coefficients(self) -> [f64; 5] {
        match self {
            Self::Normal(form) => [form.log_std, form.second_moment, form.constant, 0.0, 0.0],
            Self::Precise(form, Precision { scale, shift }) => [
                form.log_std,
                form.second_moment,
                form.constant,
                scale,
                shift,
            ],
            Self::Squares => [0.0, 1.0, 0.0, 0.0, 0.0],
            Self::Mixture(prior, _) => [
                0.5 * prior.wide_precision,
                crate::math::HALF_LOG_TWO_PI,
                prior.log_wide,
                prior.log_ratio,
                prior.curvature,
            ],
        }
    }

    /// A sum and the factor by which its gradients have to be multiplied, for those of this one times `grad`.
    #[allow(dead_code)] // Depends on the backends in the build.
    pub(super) fn times(self, grad: f64) -> (Self, f64) {
        match self {
            Self::Normal(form) => (Self::Normal(form.times(grad)), 1.0),
            Self::Precise(form, precision) => (Self::Precise(form.times(grad), precision), 1.0),
            Self::Squares | Self::Mixture(..) => (self, grad),
        }
    }
}

/// The type of a sum over tensors of this type, and of whatever else is computed of them in more than 16 bits. Half
/// precision ends at 65,504, which a model's KL soon exceeds.
pub fn wide_type(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// Which power of the deviation `σ = softplus(ρ)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// σ.
    StdDev,
    /// σ².
    Variance,
}

/// `Σ c + a ln σ + b (μ² + σ²)` over independent normals: every sum over them that a normal prior needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalSum {
    /// c, for each weight.
    pub constant: f64,
    /// a.
    pub log_std: f64,
    /// b.
    pub second_moment: f64,
}

impl NormalSum {
    /// `KL(N(μ, σ²) ‖ N(0, s²))`.
    pub(crate) fn kl(prior_std: f64) -> Self {
        Self {
            constant: prior_std.ln() - 0.5,
            log_std: -1.0,
            second_moment: 0.5 / prior_std.powi(2),
        }
    }

    /// The sum times a factor.
    #[allow(dead_code)] // Depends on the backends in the build.
    pub(super) fn times(self, factor: f64) -> Self {
        Self {
            constant: self.constant * factor,
            log_std: self.log_std * factor,
            second_moment: self.second_moment * factor,
        }
    }

    /// The second moments `E w²`.
    pub(crate) const SECOND_MOMENT: Self = Self {
        constant: 0.0,
        log_std: 0.0,
        second_moment: 1.0,
    };

    /// The logarithms of the deviations.
    pub(crate) const LOG_STD: Self = Self {
        constant: 0.0,
        log_std: 1.0,
        second_moment: 0.0,
    };
}

/// One step of Adam (Kingma & Ba 2015), as Burn's optimizer computes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// β₁, the decay of the first moment.
    pub beta_1: f32,
    /// β₂, the decay of the second moment.
    pub beta_2: f32,
    /// ε, in the units of the gradient.
    pub epsilon: f32,
    /// The number of this step, from 1.
    pub time: usize,
    /// The learning rate.
    pub learning_rate: f64,
}

impl AdamStep {
    /// `√(1 − β₂ᵗ)`, the correction of the second moment's root.
    pub(crate) fn root_correction(&self) -> f32 {
        (1.0 - self.beta_2.powi(self.time as i32)).sqrt()
    }

    /// Both corrections, for the first moment.
    pub(crate) fn combined_correction(&self) -> f32 {
        self.root_correction() / (1.0 - self.beta_1.powi(self.time as i32))
    }
}

/// The numbers of one step of IVON (Shen et al. 2024).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IvonStep {
    /// λ and δ, of the posterior's precision.
    pub precision: Precision,
    /// β₁, the decay of the gradient's mean.
    pub beta_1: f64,
    /// β₂, the decay of the Hessian's mean.
    pub beta_2: f64,
    /// The largest step of a weight, before the learning rate; `None` for no bound.
    pub clip_radius: Option<f64>,
    /// The learning rate.
    pub learning_rate: f64,
}

impl IvonStep {
    /// What the kernels compute with, in the order of their numbers: β₁, 1 − β₁, 1 − β₂ and half of it, −2 λ, δ, the
    /// clipping radius and the learning rate.
    #[cfg(any(feature = "flex", feature = "ndarray", feature = "cubecl"))]
    pub(super) fn numbers(self) -> [f64; 8] {
        let Precision { scale, shift } = self.precision;
        let rate = 1.0 - self.beta_2;
        let radius = self.clip_radius.unwrap_or(f64::INFINITY);
        [
            self.beta_1,
            1.0 - self.beta_1,
            rate,
            0.5 * rate,
            -2.0 * scale,
            shift,
            radius,
            self.learning_rate,
        ]
    }
}

/// The density `π N(0, σ₁²) + (1 − π) N(0, σ₂²)`, as `ln p(w) = c − w²/2σ₁² + softplus(d + e w²)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleMixture {
    /// c, the logarithm of the wide component at zero.
    pub log_wide: f64,
    /// 1 / σ₁².
    pub wide_precision: f64,
    /// d, the logarithm of the narrow component over the wide one at zero.
    pub log_ratio: f64,
    /// e, negative: half the wide precision less half the narrow one.
    pub curvature: f64,
}

impl ScaleMixture {
    /// Of the density's own parameters.
    pub(crate) fn new(pi: f64, sigma1: f64, sigma2: f64) -> Self {
        Self {
            log_wide: pi.ln() - sigma1.ln() - HALF_LOG_TWO_PI,
            wide_precision: sigma1.powi(-2),
            log_ratio: (1.0 - pi).ln() - pi.ln() + sigma1.ln() - sigma2.ln(),
            curvature: 0.5 / sigma1.powi(2) - 0.5 / sigma2.powi(2),
        }
    }
}
