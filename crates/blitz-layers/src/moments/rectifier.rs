//! ReLU and its leaky form of normals: exact.

use burn::tensor::activation;

use super::normal::AgainstZero;
use super::value::Moments;

impl<const D: usize> Moments<D> {
    /// `max(x, 0)`: for `x ~ N(m, v)` and `α = m/√v`, exactly
    ///
    /// ```text
    /// E   = m Φ(α) + √v φ(α)
    /// Var = v (Φ(α) − (φ + α Φ(α)) (φ − α Φ(−α)))
    /// ```
    #[must_use]
    pub fn relu(self) -> Self {
        self.elementwise(activation::relu, |mean, variance| {
            let x = AgainstZero::of(&mean, &variance);
            let kept = (x.positive.clone() - x.product_of_parts()).clamp(0.0, 1.0);
            let mean = mean * x.positive + x.std * x.density;
            (mean.clamp_min(0.0), variance * kept)
        })
    }

    /// `max(x, 0) + slope · min(x, 0)`: as [`relu`](Self::relu), exactly.
    #[must_use]
    pub fn leaky_relu(self, slope: f64) -> Self {
        // slope · x + (1 − slope) · max(x, 0), and Cov(x, max(x, 0)) = v Φ(α).
        let rest = 1.0 - slope;
        let certain = |x| activation::leaky_relu(x, slope);
        self.elementwise(certain, |mean, variance| {
            let x = AgainstZero::of(&mean, &variance);
            let share = (x.positive.clone() - x.product_of_parts()).clamp(0.0, 1.0);
            let kept = share.mul_scalar(rest * rest)
                + x.positive.clone().mul_scalar(2.0 * slope * rest)
                + slope * slope;
            let rectified = mean.clone() * x.positive + x.std * x.density;
            let mean = mean.mul_scalar(slope) + rectified.mul_scalar(rest);
            (mean, variance * kept.clamp_min(0.0))
        })
    }
}
