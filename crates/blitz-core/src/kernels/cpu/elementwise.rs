//! What each fused operation does to one element.

use std::marker::PhantomData;

use super::group::GroupKernel;
use super::real::{Deviation, Real};
use crate::kernels::formula::ScaleMixture;
use blitz_noise::NoiseKey;
use blitz_noise::fill::{GROUP, normal_group};

/// The number of identifiers.
macro_rules! count {
    () => { 0 };
    ($first:ident $($rest:ident)*) => { 1 + count!($($rest)*) };
}

/// A loop over a group of elements: of which stream, from which inputs, to which outputs.
macro_rules! group_kernel {
    (
        $(#[$doc:meta])*
        $name:ident<$real:ident> { $($field:ident: $type:ty),* }
        ($($input:ident),*) -> ($($output:ident),*)
        $(with $epsilon:ident of $key:ident)?
        $body:block
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(super) struct $name<$real> { $(pub $field: $type,)* pub real: PhantomData<$real> }

        impl<$real: Real> GroupKernel<$real, { count!($($input)*) }, { count!($($output)*) }> for $name<$real> {
            #[inline(always)]
            #[allow(unused_variables)] // Not every operation has noise.
            fn run(
                self,
                block: u32,
                inputs: &[[$real; GROUP]; count!($($input)*)],
                outputs: &mut [[$real; GROUP]; count!($($output)*)],
            ) {
                let Self { $($field,)* .. } = self;
                $(
                    let mut normals = [0.0; GROUP];
                    normal_group($key, block, &mut normals);
                )?
                let [$($input),*] = inputs;
                let [$($output),*] = outputs;
                for i in 0..GROUP {
                    $(let $epsilon = $real::from_f32(normals[i]);)?
                    $(let $input = $input[i];)*
                    ($($output[i]),*) = $body;
                }
            }
        }
    };
}

group_kernel! {
    StandardNormal<R> { key: NoiseKey } () -> (out) with epsilon of key { epsilon }
}

group_kernel! {
    Draw<R> { key: NoiseKey } (mu, rho) -> (out) with epsilon of key {
        mu + Deviation::of(rho).sigma * epsilon
    }
}

group_kernel! {
    DrawBackward<R> { key: NoiseKey } (grad, rho) -> (out) with epsilon of key {
        grad * epsilon * Deviation::of(rho).slope()
    }
}

group_kernel! {
    NormalTerms<R> { constant: R, log_std: R, second_moment: R } (mu, rho) -> (out) {
        let deviation = Deviation::of(rho);
        let sigma = deviation.sigma;
        constant + log_std * deviation.log_sigma() + second_moment * (mu * mu + sigma * sigma)
    }
}

group_kernel! {
    /// With coefficients that the gradient of the sum is in.
    NormalTermsBackward<R> { log_std: R, twice_second_moment: R } (mu, rho) -> (mu_grad, rho_grad) {
        let deviation = Deviation::of(rho);
        (
            twice_second_moment * mu,
            log_std * deviation.log_slope()
                + twice_second_moment * (deviation.sigma * deviation.slope()),
        )
    }
}

group_kernel! {
    /// A weight and its term.
    DrawAndTerms<R> { key: NoiseKey, constant: R, log_std: R, second_moment: R } (mu, rho) -> (out, term)
    with epsilon of key {
        let deviation = Deviation::of(rho);
        let sigma = deviation.sigma;
        (
            mu + sigma * epsilon,
            constant + log_std * deviation.log_sigma() + second_moment * (mu * mu + sigma * sigma),
        )
    }
}

group_kernel! {
    /// With coefficients that the gradient of the sum is in.
    DrawAndTermsBackward<R> { key: NoiseKey, log_std: R, twice_second_moment: R } (grad, mu, rho) -> (mu_grad, rho_grad)
    with epsilon of key {
        let deviation = Deviation::of(rho);
        let slope = deviation.slope();
        (
            grad + twice_second_moment * mu,
            slope * (grad * epsilon + twice_second_moment * deviation.sigma)
                + log_std * deviation.log_slope(),
        )
    }
}

/// A [`ScaleMixture`] in the working precision.
#[derive(Clone, Copy)]
pub(super) struct Mixture<R> {
    log_wide: R,
    half_wide_precision: R,
    log_ratio: R,
    curvature: R,
}

impl<R: Real> Mixture<R> {
    pub fn new(prior: ScaleMixture) -> Self {
        Self {
            log_wide: R::from_f64(prior.log_wide),
            half_wide_precision: R::from_f64(0.5 * prior.wide_precision),
            log_ratio: R::from_f64(prior.log_ratio),
            curvature: R::from_f64(prior.curvature),
        }
    }

    #[inline(always)]
    fn log_density(self, w: R) -> R {
        let square = w * w;
        let narrow_over_wide = Deviation::of(self.log_ratio + self.curvature * square).sigma;
        (self.log_wide - self.half_wide_precision * square) + narrow_over_wide
    }

    /// Its derivative.
    #[inline(always)]
    fn score(self, w: R) -> R {
        let share = Deviation::of(self.log_ratio + self.curvature * (w * w)).slope();
        let slope = self.curvature * share - self.half_wide_precision;
        (w + w) * slope
    }
}

group_kernel! {
    MixtureTerms<R> { key: NoiseKey, prior: Mixture<R>, half_log_two_pi: R } (mu, rho) -> (out) with epsilon of key {
        let deviation = Deviation::of(rho);
        let w = mu + deviation.sigma * epsilon;
        let log_q = -(deviation.log_sigma() + half_log_two_pi) - R::from_f32(0.5) * (epsilon * epsilon);
        log_q - prior.log_density(w)
    }
}

group_kernel! {
    /// Along `w = μ + σ ε` with ε fixed, where `ln q(w)` varies with σ alone.
    MixtureTermsBackward<R> { key: NoiseKey, prior: Mixture<R>, grad: R } (mu, rho) -> (mu_grad, rho_grad)
    with epsilon of key {
        let deviation = Deviation::of(rho);
        let w = mu + deviation.sigma * epsilon;
        let mu_grad = -(grad * prior.score(w));
        (mu_grad, mu_grad * (epsilon * deviation.slope()) - grad * deviation.log_slope())
    }
}

group_kernel! {
    /// In the order in which Burn's optimizer computes, so as to get its bits.
    Adam<R> {
        beta_1: R,
        rest_1: R,
        beta_2: R,
        rest_2: R,
        correction: R,
        epsilon: R,
        learning_rate: R
    } (weight, grad, moment_1, moment_2) -> (new_weight, new_moment_1, new_moment_2) {
        let moment_1 = moment_1 * beta_1 + grad * rest_1;
        let moment_2 = moment_2 * beta_2 + (grad * grad) * rest_2;
        let delta = (moment_1 * correction) / (moment_2.sqrt() + epsilon);
        (weight - delta * learning_rate, moment_1, moment_2)
    }
}

group_kernel! {
    StdDev<R> {} (rho) -> (out) { Deviation::of(rho).sigma }
}

group_kernel! {
    StdDevBackward<R> {} (grad, rho) -> (out) { grad * Deviation::of(rho).slope() }
}

group_kernel! {
    Variance<R> {} (rho) -> (out) {
        let sigma = Deviation::of(rho).sigma;
        sigma * sigma
    }
}

group_kernel! {
    VarianceBackward<R> {} (grad, rho) -> (out) {
        let deviation = Deviation::of(rho);
        let half = deviation.sigma * deviation.slope() * grad;
        half + half
    }
}

group_kernel! {
    DrawOutput<R> { key: NoiseKey, smallest: R } (mean, variance) -> (out) with epsilon of key {
        // A comparison, since `max` would lose a NaN.
        let variance = if variance < smallest { smallest } else { variance };
        mean + variance.sqrt() * epsilon
    }
}

group_kernel! {
    DrawOutputBackward<R> { key: NoiseKey, smallest: R } (grad, variance) -> (out) with epsilon of key {
        let std = (if variance < smallest { smallest } else { variance }).sqrt();
        let slope = grad * epsilon / (std + std);
        if variance < smallest { R::ZERO } else { slope }
    }
}
