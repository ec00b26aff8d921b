//! Smooth activations of normals.

use burn::tensor::{Tensor, activation};

use super::correlations::Correlations;
use super::hermite;
use super::quadrature::quadrature_of_activation;
use super::value::Moments;

impl<const D: usize, C: Correlations> Moments<D, C> {
    /// `x Φ(x)`: for `x ~ N(m, v)` and `h = m/√(1 + v)` exactly `E = m Φ(h) + v φ(h)/√(1 + v)`; the variance as
    /// [`by_quadrature`](Self::by_quadrature).
    #[must_use]
    pub fn gelu(self) -> Self {
        self.of_values(activation::gelu, gelu, |normals| {
            hermite::of_activation(normals, activation::gelu)
        })
    }

    /// `x σ(x)`, also called swish, as [`by_quadrature`](Self::by_quadrature).
    #[must_use]
    pub fn silu(self) -> Self {
        self.of_activation(activation::silu)
    }

    /// The logistic function, as [`by_quadrature`](Self::by_quadrature).
    #[must_use]
    pub fn sigmoid(self) -> Self {
        self.of_activation(activation::sigmoid)
    }

    /// As [`by_quadrature`](Self::by_quadrature).
    #[must_use]
    pub fn tanh(self) -> Self {
        self.of_activation(activation::tanh)
    }
}

/// Mean and variance.
fn gelu<const D: usize>(mean: Tensor<D>, variance: Tensor<D>) -> [Tensor<D>; 2] {
    let root = variance.clone().add_scalar(1.0).sqrt();
    let h = mean.clone() / root.clone();
    let density = h.clone().square().mul_scalar(-0.5).exp();
    let density = density.mul_scalar(std::f64::consts::TAU.sqrt().recip());
    let positive = h.mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf();
    let positive = positive.mul_scalar(0.5).add_scalar(0.5);
    let exact = mean.clone() * positive + variance.clone() / root * density;
    let [_, variance] = quadrature_of_activation(mean, variance, activation::gelu);
    [exact, variance]
}
