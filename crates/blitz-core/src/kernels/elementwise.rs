//! What each fused operation does to one element, written once.
//!
//! The file is a module of `cpu` and of `cube`. Either has a `real` with the same names, where `arithmetic!` hands the
//! code to the compiler as it stands, or to CubeCL.

// All of it: what CubeCL makes of the code needs CubeCL's prelude.
use super::real::*;

/// Evaluates an expression with the arithmetic of a [`Map`](crate::kernels::formula::Map).
macro_rules! with_map {
    ($op:expr, |$arithmetic:ident| $result:expr) => {{
        use crate::kernels::formula::{Map, Spread};
        match $op {
            Map::StandardNormal(_) => {
                let $arithmetic = elementwise::StandardNormal;
                $result
            }
            Map::Draw(_) => {
                let $arithmetic = elementwise::Draw;
                $result
            }
            Map::DrawScaled(_) => {
                let $arithmetic = elementwise::DrawScaled;
                $result
            }
            Map::DrawPrecise(..) => {
                let $arithmetic = elementwise::DrawPrecise;
                $result
            }
            Map::DrawOutput(_) => {
                let $arithmetic = elementwise::DrawOutput;
                $result
            }
            Map::Spread(Spread::StdDev) => {
                let $arithmetic = elementwise::StdDev;
                $result
            }
            Map::Spread(Spread::Variance) => {
                let $arithmetic = elementwise::Variance;
                $result
            }
        }
    }};
}
pub(super) use with_map;

/// Evaluates an expression with the arithmetic of a [`Sum`](crate::kernels::formula::Sum).
macro_rules! with_sum {
    ($op:expr, |$arithmetic:ident| $result:expr) => {{
        use crate::kernels::formula::Sum;
        match $op {
            Sum::Normal(_) => {
                let $arithmetic = elementwise::Normal;
                $result
            }
            Sum::Precise(..) => {
                let $arithmetic = elementwise::Precise;
                $result
            }
            Sum::Squares => {
                let $arithmetic = elementwise::Squares;
                $result
            }
            Sum::Mixture(..) => {
                let $arithmetic = elementwise::Mixture;
                $result
            }
        }
    }};
}
pub(super) use with_sum;

arithmetic! {
    #[cube]
    /// One number for each element, of a location, a scale and ε.
    pub(in crate::kernels) trait Map: Copy + Send + Sync + 'static {
        /// Whether the scale's parameter is ρ.
        const IS_RHO: bool;

        fn value<R: Real>(location: R, scale: &Scale<R>, epsilon: R, coefficients: &Coefficients<R>) -> R;

        /// The gradient in the scale's parameter, from that of the value.
        fn gradient<R: Real>(grad: R, scale: &Scale<R>, epsilon: R, coefficients: &Coefficients<R>) -> R;
    }
}

arithmetic! {
    #[cube]
    /// A term of a sum over the weights, of μ, a scale and ε.
    pub(in crate::kernels) trait Terms: Copy + Send + Sync + 'static {
        /// Whether the scale's parameter is ρ.
        const IS_RHO: bool;

        fn term<R: Real>(mu: R, scale: &Scale<R>, epsilon: R, coefficients: &Coefficients<R>) -> R;

        /// Its derivatives in μ and the scale's parameter, times the gradient of the sum.
        fn gradients<R: Real>(
            mu: R,
            scale: &Scale<R>,
            epsilon: R,
            grad: R,
            coefficients: &Coefficients<R>,
        ) -> (R, R);
    }
}

arithmetic! {
    /// The parameter of a scale: a ρ with σ = softplus(ρ) and what its derivatives need, or a precision or variance and
    /// nothing else.
    pub(in crate::kernels) struct Scale<R: Real> {
        pub parameter: R,
        /// `e^−|ρ|`.
        tail: R,
        /// σ.
        pub sigma: R,
    }
}

arithmetic! {
    #[cube]
    impl<R: Real> Scale<R> {
        /// Of a ρ.
        #[inline(always)]
        pub fn of(rho: R) -> Scale<R> {
            let tail = R::exp_neg(rho.abs());
            Scale::<R>::of_parts(rho, tail, R::log1p_unit(tail))
        }

        /// Of a ρ, `e^−|ρ|` and `ln(1 + e^−|ρ|)`.
        #[inline(always)]
        pub fn of_parts(rho: R, tail: R, log: R) -> Scale<R> {
            let zero = R::new(0.0f32);
            Scale::<R> {
                parameter: rho,
                tail,
                sigma: select(rho > zero, rho, zero) + log,
            }
        }

        /// Of another parameter.
        #[inline(always)]
        pub fn plain(parameter: R) -> Scale<R> {
            Scale::<R> {
                parameter,
                tail: R::new(0.0f32),
                sigma: R::new(0.0f32),
            }
        }

        /// `dσ/dρ`, the logistic function of ρ.
        #[inline(always)]
        pub fn slope(&self) -> R {
            let one = R::new(1.0f32);
            select(self.parameter > R::new(0.0f32), one, self.tail) / (one + self.tail)
        }

        /// `ln σ`.
        #[inline(always)]
        pub fn log_sigma(&self) -> R {
            let linear = R::log_is_linear(self.parameter);
            // Of 1 where the result is not used: `log` wants a normal number.
            let log = R::log(select(linear, R::new(1.0f32), self.sigma));
            select(linear, self.parameter, log)
        }

        /// `d ln σ / dρ`.
        #[inline(always)]
        pub fn log_slope(&self) -> R {
            let linear = R::log_is_linear(self.parameter);
            let one = R::new(1.0f32);
            let slope = self.slope() / select(linear, one, self.sigma);
            select(linear, one, slope)
        }
    }
}

#[derive(Clone, Copy)]
pub(in crate::kernels) struct StandardNormal;

arithmetic! {
    #[cube]
    impl Map for StandardNormal {
        const IS_RHO: bool = false;

        #[inline(always)]
        fn value<R: Real>(_location: R, _scale: &Scale<R>, epsilon: R, _coefficients: &Coefficients<R>) -> R {
            epsilon
        }

        #[inline(always)]
        fn gradient<R: Real>(_grad: R, _scale: &Scale<R>, _epsilon: R, _coefficients: &Coefficients<R>) -> R {
            R::new(0.0f32)
        }
    }
}

#[derive(Clone, Copy)]
pub(in crate::kernels) struct Draw;

arithmetic! {
    #[cube]
    impl Map for Draw {
        const IS_RHO: bool = true;

        #[inline(always)]
        fn value<R: Real>(mu: R, scale: &Scale<R>, epsilon: R, _coefficients: &Coefficients<R>) -> R {
            mu + R::rounded(scale.sigma * epsilon)
        }

        #[inline(always)]
        fn gradient<R: Real>(grad: R, scale: &Scale<R>, epsilon: R, _coefficients: &Coefficients<R>) -> R {
            grad * epsilon * scale.slope()
        }
    }
}

#[derive(Clone, Copy)]
pub(in crate::kernels) struct DrawScaled;

arithmetic! {
    #[cube]
    impl Map for DrawScaled {
        const IS_RHO: bool = false;

        #[inline(always)]
        fn value<R: Real>(mu: R, scale: &Scale<R>, epsilon: R, _coefficients: &Coefficients<R>) -> R {
            mu + R::rounded(scale.parameter * epsilon)
        }

        #[inline(always)]
        fn gradient<R: Real>(grad: R, _scale: &Scale<R>, epsilon: R, _coefficients: &Coefficients<R>) -> R {
            grad * epsilon
        }
    }
}

arithmetic! {
    #[cube]
    /// `λ (h + δ)`.
    #[inline(always)]
    fn precision<R: Real>(h: R, coefficients: &Coefficients<R>) -> R {
        (h + coefficients.e) * coefficients.d
    }
}

#[derive(Clone, Copy)]
pub(in crate::kernels) struct DrawPrecise;

arithmetic! {
    #[cube]
    impl Map for DrawPrecise {
        const IS_RHO: bool = false;

        #[inline(always)]
        fn value<R: Real>(mu: R, scale: &Scale<R>, epsilon: R, coefficients: &Coefficients<R>) -> R {
            mu + epsilon / precision::<R>(scale.parameter, coefficients).sqrt()
        }

        #[inline(always)]
        fn gradient<R: Real>(grad: R, scale: &Scale<R>, epsilon: R, coefficients: &Coefficients<R>) -> R {
            let std_grad = grad * epsilon / precision::<R>(scale.parameter, coefficients).sqrt();
            std_grad * R::new(-0.5f32) / (scale.parameter + coefficients.e)
        }
    }
}

#[derive(Clone, Copy)]
pub(in crate::kernels) struct DrawOutput;

arithmetic! {
    #[cube]
    impl Map for DrawOutput {
        const IS_RHO: bool = false;

        #[inline(always)]
        fn value<R: Real>(mean: R, scale: &Scale<R>, epsilon: R, _coefficients: &Coefficients<R>) -> R {
            let smallest = smallest_variance::<R>();
            mean + R::at_least(scale.parameter, smallest).sqrt() * epsilon
        }

        #[inline(always)]
        fn gradient<R: Real>(grad: R, scale: &Scale<R>, epsilon: R, _coefficients: &Coefficients<R>) -> R {
            let smallest = smallest_variance::<R>();
            let std = R::at_least(scale.parameter, smallest).sqrt();
            let slope = grad * epsilon / (std + std);
            select(scale.parameter < smallest, R::new(0.0f32), slope)
        }
    }
}

#[derive(Clone, Copy)]
pub(in crate::kernels) struct StdDev;

arithmetic! {
    #[cube]
    impl Map for StdDev {
        const IS_RHO: bool = true;

        #[inline(always)]
        fn value<R: Real>(_location: R, scale: &Scale<R>, _epsilon: R, _coefficients: &Coefficients<R>) -> R {
            scale.sigma
        }

        #[inline(always)]
        fn gradient<R: Real>(grad: R, scale: &Scale<R>, _epsilon: R, _coefficients: &Coefficients<R>) -> R {
            grad * scale.slope()
        }
    }
}

#[derive(Clone, Copy)]
pub(in crate::kernels) struct Variance;

arithmetic! {
    #[cube]
    impl Map for Variance {
        const IS_RHO: bool = true;

        #[inline(always)]
        fn value<R: Real>(_location: R, scale: &Scale<R>, _epsilon: R, _coefficients: &Coefficients<R>) -> R {
            let sigma = scale.sigma;
            sigma * sigma
        }

        #[inline(always)]
        fn gradient<R: Real>(grad: R, scale: &Scale<R>, _epsilon: R, _coefficients: &Coefficients<R>) -> R {
            let half = scale.sigma * scale.slope() * grad;
            half + half
        }
    }
}

/// `c + a ln σ + b (μ² + σ²)`.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Normal;

arithmetic! {
    #[cube]
    impl Terms for Normal {
        const IS_RHO: bool = true;

        #[inline(always)]
        fn term<R: Real>(mu: R, scale: &Scale<R>, _epsilon: R, coefficients: &Coefficients<R>) -> R {
            let sigma = scale.sigma;
            coefficients.c
                + coefficients.a * scale.log_sigma()
                + coefficients.b * (mu * mu + sigma * sigma)
        }

        #[inline(always)]
        fn gradients<R: Real>(
            mu: R,
            scale: &Scale<R>,
            _epsilon: R,
            grad: R,
            coefficients: &Coefficients<R>,
        ) -> (R, R) {
            let log_std = grad * coefficients.a;
            let half = grad * coefficients.b;
            let twice_second_moment = half + half;
            (
                twice_second_moment * mu,
                log_std * scale.log_slope()
                    + twice_second_moment * (scale.sigma * scale.slope()),
            )
        }
    }
}

/// The same of a normal's precision in the place of its deviation.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Precise;

arithmetic! {
    #[cube]
    impl Terms for Precise {
        const IS_RHO: bool = false;

        #[inline(always)]
        fn term<R: Real>(mu: R, scale: &Scale<R>, _epsilon: R, coefficients: &Coefficients<R>) -> R {
            let one = R::new(1.0f32);
            let precision = precision::<R>(scale.parameter, coefficients);
            // No number where the precision is negative, as in the root.
            let sigma = one / precision.sqrt();
            // Of 1 where the result is not used: `log` wants a positive number.
            let log_precision = R::log(select(precision > R::new(0.0f32), precision, one));
            coefficients.c - R::new(0.5f32) * coefficients.a * log_precision
                + coefficients.b * (mu * mu + sigma * sigma)
        }

        #[inline(always)]
        fn gradients<R: Real>(
            mu: R,
            scale: &Scale<R>,
            _epsilon: R,
            grad: R,
            coefficients: &Coefficients<R>,
        ) -> (R, R) {
            let half = grad * coefficients.b;
            let regularized = scale.parameter + coefficients.e;
            let log_std = grad * coefficients.a * R::new(0.5f32);
            (
                (half + half) * mu,
                -(log_std + half / precision::<R>(scale.parameter, coefficients)) / regularized,
            )
        }
    }
}

/// `b μ²`.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Squares;

arithmetic! {
    #[cube]
    impl Terms for Squares {
        const IS_RHO: bool = false;

        #[inline(always)]
        fn term<R: Real>(mu: R, _scale: &Scale<R>, _epsilon: R, coefficients: &Coefficients<R>) -> R {
            coefficients.b * (mu * mu)
        }

        #[inline(always)]
        fn gradients<R: Real>(
            mu: R,
            _scale: &Scale<R>,
            _epsilon: R,
            grad: R,
            coefficients: &Coefficients<R>,
        ) -> (R, R) {
            let half = grad * coefficients.b;
            ((half + half) * mu, R::new(0.0f32))
        }
    }
}

/// `ln q(w) − ln p(w)` with `ln q(w) = −ln σ − b − ε²/2` and `ln p(w) = c − a w² + softplus(d + e w²)`. The gradient is
/// along `w = μ + σ ε` with ε fixed, where `ln q(w)` varies with σ alone.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Mixture;

arithmetic! {
    #[cube]
    impl Terms for Mixture {
        const IS_RHO: bool = true;

        #[inline(always)]
        fn term<R: Real>(mu: R, scale: &Scale<R>, epsilon: R, coefficients: &Coefficients<R>) -> R {
            let w = mu + scale.sigma * epsilon;
            let square = w * w;
            let narrow_over_wide =
                Scale::<R>::of(coefficients.d + coefficients.e * square).sigma;
            let log_q = -(scale.log_sigma() + coefficients.b)
                - R::new(0.5f32) * (epsilon * epsilon);
            let log_p = (coefficients.c - coefficients.a * square) + narrow_over_wide;
            log_q - log_p
        }

        #[inline(always)]
        fn gradients<R: Real>(
            mu: R,
            scale: &Scale<R>,
            epsilon: R,
            grad: R,
            coefficients: &Coefficients<R>,
        ) -> (R, R) {
            let w = mu + scale.sigma * epsilon;
            let share = Scale::<R>::of(coefficients.d + coefficients.e * (w * w)).slope();
            let score = (w + w) * (coefficients.e * share - coefficients.a);
            let mu_grad = -(grad * score);
            (
                mu_grad,
                mu_grad * (epsilon * scale.slope()) - grad * scale.log_slope(),
            )
        }
    }
}

arithmetic! {
    #[cube]
    /// The gradients in μ and ρ of a [`Draw`] and of a [`Normal`] term together, from that of the draw. The
    /// coefficients have the gradient of the sum in them.
    #[inline(always)]
    pub(in crate::kernels) fn draw_and_term_gradients<R: Real>(
        grad: R,
        mu: R,
        scale: &Scale<R>,
        epsilon: R,
        coefficients: &Coefficients<R>,
    ) -> (R, R) {
        let slope = scale.slope();
        let twice_second_moment = coefficients.b + coefficients.b;
        (
            grad + twice_second_moment * mu,
            slope * (grad * epsilon + twice_second_moment * scale.sigma)
                + coefficients.a * scale.log_slope(),
        )
    }
}

arithmetic! {
    #[cube]
    /// `1 / (1 + e^−x)`.
    #[inline(always)]
    fn logistic<R: Real>(x: R) -> R {
        let one = R::new(1.0f32);
        let tail = R::exp_neg(x.abs());
        select(x > R::new(0.0f32), one, tail) / (one + tail)
    }
}

arithmetic! {
    /// The gates of an LSTM's cell, before their activations, after them, or their gradients.
    pub(in crate::kernels) struct Gates<R: Real> {
        pub input: R,
        pub forget: R,
        pub output: R,
        pub candidate: R,
    }
}

arithmetic! {
    #[cube]
    impl<R: Real> Gates<R> {
        /// After their activations.
        #[inline(always)]
        pub fn activated(&self) -> Gates<R> {
            Gates::<R> {
                input: logistic::<R>(self.input),
                forget: logistic::<R>(self.forget),
                output: logistic::<R>(self.output),
                candidate: R::hyperbolic_tan(self.candidate),
            }
        }

        /// The cell state and the hidden state, of activated gates and the cell state before.
        #[inline(always)]
        pub fn states(&self, cell: R) -> (R, R) {
            let cell = self.forget * cell + self.input * self.candidate;
            (cell, self.output * R::hyperbolic_tan(cell))
        }

        /// The gradients of the gates before their activations, of activated ones, the cell states before and after,
        /// and the gradient of the hidden state and of the cell state; and that of the cell state before.
        #[inline(always)]
        pub fn gradients(&self, before: R, after: R, hidden_grad: R, cell_grad: R) -> (Gates<R>, R) {
            let one = R::new(1.0f32);
            let squashed = R::hyperbolic_tan(after);
            let grad = cell_grad + hidden_grad * self.output * (one - squashed * squashed);
            let gates = Gates::<R> {
                input: grad * self.candidate * (self.input - self.input * self.input),
                forget: grad * before * (self.forget - self.forget * self.forget),
                output: hidden_grad * squashed * (self.output - self.output * self.output),
                candidate: grad * self.input * (one - self.candidate * self.candidate),
            };
            (gates, grad * self.forget)
        }
    }
}
