//! The radial posterior of Farquhar, Osborne & Gal (2020).

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Shape, Tensor};
use core::f64::consts::{E, LN_2, PI};

use super::{LocationScale, UnitNoise};
use crate::family::{Constants, Nats, Noise, square_sum};
use crate::math::log_gamma;

/// The Euler–Mascheroni constant.
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

/// Configuration of a [`RadialPosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_std` | 0.02 | the deviation every weight starts with | [1e-30, 1e15] |
///
/// The deviation of a weight is `σ_i / √n` in a tensor of n weights. The paper's own σ, at `initial_std / √n`, would
/// start with so little noise that a layer hardly feels it.
#[derive(Config, Debug, PartialEq)]
pub struct RadialPosteriorConfig {
    /// The deviation that every weight starts with.
    #[config(default = 0.02)]
    pub initial_std: f64,
}

impl RadialPosteriorConfig {
    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics if `initial_std` is not a number from 1e-30 to 1e15.
    pub fn init(&self, shape: &Shape, device: &Device) -> RadialPosterior {
        LocationScale::new(RadialUnit {}, self.initial_std, shape, device)
    }
}

/// A random direction with a normal length: `w = μ + σ ∘ d r`, with `d = ε / ‖ε‖` for `ε ~ N(0, I)`, `r ~ N(0, 1)` and
/// `σ_i = ln(1 + e^ρ_i)`, one direction and one length for each weight tensor.
///
/// The draws of a mean-field normal lie on a thin shell: almost none is near the mean in many dimensions, and the noise
/// of the gradient grows with the tensor. Here the length `‖(w − μ) / σ‖ = |r|` is half-normal whatever the dimension.
/// (The sign of r makes no difference, the direction being symmetric.) The weights of a tensor are uncorrelated but not
/// independent.
///
/// # Density
///
/// The paper knows the entropy up to a constant; the constant follows from polar coordinates. With `ξ = (w − μ) / σ`,
/// `R = ‖ξ‖` and the surface `A = 2 π^(n/2) / Γ(n/2)` of the unit sphere,
///
/// ```text
/// ln q(w) = ln 2 − ½ ln 2π − R²/2 − (n − 1) ln R − ln A − Σ ln σ_i
/// H(q)    = ½ ln 2πe − ln 2 − (n − 1) (γ + ln 2) / 2 + ln A + Σ ln σ_i
/// ```
///
/// since `E ln |r| = −(γ + ln 2) / 2` with Euler's γ. The KL to a normal prior is thus exact.
///
/// Farquhar, Osborne & Gal, *Radial Bayesian neural networks: beyond discrete support in large-scale Bayesian deep
/// learning* (2020).
pub type RadialPosterior = LocationScale<RadialUnit>;

/// `d r`: a random direction d, one for the whole tensor, with a standard normal length r.
#[derive(Module, Debug)]
pub struct RadialUnit {}

/// Below those of all normals but 0 itself; the length over it is a number of `f32`.
const SMALLEST_NORM: f64 = 1e-30;

impl UnitNoise for RadialUnit {
    fn sample<const D: usize>(&self, noise: &mut Noise, like: &Tensor<D>) -> Tensor<D> {
        let epsilon = noise.standard_normal(like);
        let one: Tensor<1> = Tensor::zeros([1], (&like.device(), like.dtype()));
        let length = noise.standard_normal(&one);
        // All of one or two normals are 0 once in 2²⁵ draws: zero has no direction, and then the weight is its mean.
        let norm = square_sum(&epsilon).sqrt().clamp_min(SMALLEST_NORM);
        epsilon * (length / norm).reshape([1; D])
    }

    fn std_dev(&self, elements: usize) -> f64 {
        (elements as f64).sqrt().recip()
    }

    fn log_density<const D: usize>(&self, z: Tensor<D>) -> Nats<D> {
        // Below this the mean itself is meant, where the density is infinite and its derivative undefined.
        const SMALLEST_SQUARE: f64 = 1e-30;
        let n = z.shape().num_elements();
        if n == 0 {
            // No sphere has no dimensions.
            return Nats::of_weights(z);
        }
        let square = square_sum(&z).clamp_min(SMALLEST_SQUARE);
        let constant = 0.5 * (2.0 / PI).ln() - log_sphere(n);
        let of_length = square.clone() * -0.5 - square.log() * (0.5 * (n as f64 - 1.0));
        Nats::of_tensor(of_length + constant)
    }

    fn is_independent(&self) -> bool {
        false
    }

    // The weights are dependent, but the constant of their joint entropy can be shared out among them.
    fn entropy(&self, elements: usize) -> Option<f64> {
        Some(entropy_per_weight(elements))
    }

    fn has_density(&self) -> bool {
        true
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Radial", []))
    }
}

/// The entropy of `d r` in n dimensions, divided by n.
fn entropy_per_weight(n: usize) -> f64 {
    let of_length = 0.5 * (2.0 * PI * E).ln() - LN_2;
    let mean_log_length = -0.5 * (EULER_GAMMA + LN_2);
    (of_length + (n as f64 - 1.0) * mean_log_length + log_sphere(n)) / n as f64
}

/// The logarithm of the surface of the unit sphere in n dimensions, `2 π^(n/2) / Γ(n/2)`.
fn log_sphere(n: usize) -> f64 {
    let half = 0.5 * n as f64;
    LN_2 + half * PI.ln() - log_gamma(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blitz_noise::NoiseKey;

    #[test]
    fn spheres_have_the_surfaces_of_the_schoolbook() {
        for (n, surface) in [(1, 2.0), (2, 2.0 * PI), (3, 4.0 * PI), (4, 2.0 * PI * PI)] {
            assert!((log_sphere(n) - f64::ln(surface)).abs() < 1e-12, "{n}");
        }
    }

    #[test]
    fn the_entropy_is_the_integral_of_minus_the_log_density_over_the_length() {
        for n in [1, 2, 20] {
            // Of the length: the half-normal density, and that of the noise at a point so far away.
            let half_normal = |r: f64| 0.5 * (2.0 / PI).ln() - 0.5 * r * r;
            let log_density = |r: f64| half_normal(r) - log_sphere(n) - (n as f64 - 1.0) * r.ln();
            const STEPS: usize = 400_000;
            let width = 12.0 / STEPS as f64;
            let middles = (0..STEPS).map(|i| (i as f64 + 0.5) * width);
            let surprise = middles.map(|r| -half_normal(r).exp() * log_density(r) * width);
            let integral: f64 = surprise.sum();
            let entropy = n as f64 * entropy_per_weight(n);
            assert!(
                (entropy - integral).abs() < 1e-3,
                "{n}: {entropy} for {integral}"
            );
            // The tensor's density is the one integrated.
            let z = Tensor::<1>::full([n], 0.4, &Device::flex());
            let of_tensor: f64 = RadialUnit {}.log_density(z).total().into_scalar();
            let expected = log_density(0.4 * (n as f64).sqrt());
            assert!(
                (of_tensor - expected).abs() < 1e-4,
                "{n}: {of_tensor} for {expected}"
            );
        }
    }

    /// From 2²² elements on, Flex sums by threads.
    #[test]
    fn the_length_of_a_large_tensor_is_the_same_in_every_run() {
        let like = Tensor::<1>::zeros([(1 << 22) + 3], &Device::flex());
        let z = RadialUnit {}.sample(&mut Noise::new(NoiseKey::new(7, 1, 0)), &like);
        let mut noise = Noise::new(NoiseKey::new(7, 1, 0));
        let epsilon = noise.standard_normal(&like);
        let length = noise.standard_normal(&Tensor::<1>::zeros([1], &Device::flex()));
        let norm = crate::kernels::square_sum(&epsilon).unwrap().sqrt();
        let is_same = z.equal(epsilon * (length / norm));
        assert!(is_same.all().into_scalar::<bool>());
    }

    #[test]
    fn noise_without_a_direction_leaves_the_mean() {
        // The first word of this block is so near 2³² that both normals of the pair are 0.
        let key = NoiseKey::new(7, 80_764_671, 0);
        assert_eq!(
            [0, 1].map(|element| key.standard_normal_at(element)),
            [0.0; 2]
        );
        for elements in [1, 2] {
            let like = Tensor::<1>::zeros([elements], &Device::flex());
            let z = RadialUnit {}.sample(&mut Noise::new(key), &like);
            let z: Vec<f32> = z.into_data().iter().collect();
            assert_eq!(z, vec![0.0; elements]);
        }
    }
}
