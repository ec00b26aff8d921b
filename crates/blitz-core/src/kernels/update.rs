//! What a step of an optimizer does to one weight, written once, as [`elementwise`](super::elementwise) is.

// All of it: what CubeCL makes of the code needs CubeCL's prelude.
use super::real::*;

arithmetic! {
    /// The numbers of a step of Adam.
    pub(in crate::kernels) struct AdamNumbers<R: Real> {
        pub beta_1: R,
        /// 1 − β₁.
        pub rest_1: R,
        pub beta_2: R,
        /// 1 − β₂.
        pub rest_2: R,
        pub correction: R,
        pub epsilon: R,
        pub learning_rate: R,
    }
}

arithmetic! {
    #[cube]
    /// The weight and the moments after a step of Adam, in the order in which Burn's optimizer computes, so as to get
    /// its bits.
    #[inline(always)]
    pub(in crate::kernels) fn adam<R: Real>(
        weight: R,
        grad: R,
        moment_1: R,
        moment_2: R,
        numbers: &AdamNumbers<R>,
    ) -> (R, R, R) {
        let moment_1 = moment_1 * numbers.beta_1 + grad * numbers.rest_1;
        let moment_2 = moment_2 * numbers.beta_2 + (grad * grad) * numbers.rest_2;
        let delta = (moment_1 * numbers.correction) / (moment_2.sqrt() + numbers.epsilon);
        (weight - delta * numbers.learning_rate, moment_1, moment_2)
    }
}

arithmetic! {
    /// The numbers of a step of IVON but for the momentum's weight.
    pub(in crate::kernels) struct IvonNumbers<R: Real> {
        pub beta_1: R,
        /// 1 − β₁.
        pub rest_1: R,
        /// 1 − β₂.
        pub rate: R,
        pub half_rate: R,
        /// −2 λ.
        pub curvature: R,
        /// δ.
        pub decay: R,
        pub clip_radius: R,
        pub learning_rate: R,
    }
}

arithmetic! {
    #[cube]
    /// The mean, the Hessian's estimate and the momentum after a step of IVON, in the order in which tensor operations
    /// compute, so as to get their bits. `momentum_weight` is `1 − β₁ᵗ`.
    #[inline(always)]
    pub(in crate::kernels) fn ivon<R: Real>(
        mean: R,
        grad: R,
        grad_hess: R,
        hess: R,
        momentum: R,
        momentum_weight: R,
        numbers: &IvonNumbers<R>,
    ) -> (R, R, R) {
        let regularized = hess + numbers.decay;
        let estimate = grad_hess * (regularized * regularized) * numbers.curvature;
        let change = estimate - hess;
        let correction = change / regularized * numbers.half_rate + R::new(1.0f32);
        let hess = hess + change * numbers.rate * correction;

        let momentum = momentum * numbers.beta_1 + grad * numbers.rest_1;
        let gradient = momentum / momentum_weight + mean * numbers.decay;
        let direction = gradient / (hess + numbers.decay);
        let direction = R::at_least(direction, -numbers.clip_radius);
        let direction = -R::at_least(-direction, -numbers.clip_radius);
        (mean - direction * numbers.learning_rate, hess, momentum)
    }
}
