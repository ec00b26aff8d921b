//! What the moments of rectified normals are made of.

use burn::tensor::Tensor;

/// The largest ratio of a mean to its deviation that is looked at: Φ is 0 or 1 there to the bit in `f64`, and the density is 0.
const FARTHEST: f64 = 40.0;

/// A deviation below which a normal counts as its mean.
const SMALLEST_STD: f64 = 1e-15;

/// `N(mean, variance)` against zero, by `α = mean / std`.
pub(super) struct AgainstZero<const D: usize> {
    /// The deviation, √variance.
    pub std: Tensor<D>,
    /// `Φ(α)`, the probability of being positive.
    pub positive: Tensor<D>,
    /// `φ(α)`.
    pub density: Tensor<D>,
    alpha: Tensor<D>,
}

impl<const D: usize> AgainstZero<D> {
    pub fn of(mean: &Tensor<D>, variance: &Tensor<D>) -> Self {
        let std = variance.clone().sqrt();
        let alpha = mean.clone() / std.clone().clamp_min(SMALLEST_STD);
        let alpha = alpha.clamp(-FARTHEST, FARTHEST);
        let erf = alpha
            .clone()
            .mul_scalar(std::f64::consts::FRAC_1_SQRT_2)
            .erf();
        let root_two_pi = std::f64::consts::TAU.sqrt();
        let density = alpha.clone().square().mul_scalar(-0.5).exp();
        Self {
            std,
            positive: erf.mul_scalar(0.5).add_scalar(0.5),
            density: density.div_scalar(root_two_pi),
            alpha,
        }
    }

    /// `1 − Φ(α)`.
    pub fn negative(&self) -> Tensor<D> {
        self.positive.clone().neg().add_scalar(1.0)
    }

    /// `E max(z, 0) · E max(−z, 0)` of `z ~ N(α, 1)`: `(φ + α Φ(α)) (φ − α Φ(−α))`.
    ///
    /// By it the variances of rectified normals have no differences of large squares.
    pub fn product_of_parts(&self) -> Tensor<D> {
        let above = self.density.clone() + self.alpha.clone() * self.positive.clone();
        let below = self.density.clone() - self.alpha.clone() * self.negative();
        above * below
    }
}
