//! Special functions in `f64`, in the forms that lose nothing where their textbook forms cancel.

/// `S(x) = ln Γ(x) − [(x − ½) ln x − x + ½ ln 2π]` for x > 0: what Stirling's formula leaves.
///
/// Differences of `ln Γ` at large arguments cancel to nothing; written with S they don't.
pub(super) fn stirling_remainder(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    // S(x) = S(x + 1) + (x + ½) ln(1 + 1/x) − 1, up to where the series' first omitted term is below 1e-15.
    while x < 12.0 {
        sum += (x + 0.5) * x.recip().ln_1p() - 1.0;
        x += 1.0;
    }
    let t = x.powi(-2);
    let series = 1.0 / 12.0
        - t * (1.0 / 360.0
            - t * (1.0 / 1260.0 - t * (1.0 / 1680.0 - t * (1.0 / 1188.0 - t * 691.0 / 360_360.0))));
    sum + series / x
}

/// The regularized incomplete gamma functions `P(a, x) = γ(a, x) / Γ(a)` and `Q(a, x) = Γ(a, x) / Γ(a)`, for a ≥ 1 and
/// x > 0.
///
/// The factor before their series, `x^a e^−x / Γ(a)`, cancels for large a as `statrs` has it.
pub(super) fn gamma_tails(a: f64, x: f64) -> [f64; 2] {
    if x > 1e6 {
        return gamma_expansion(a, x);
    }
    let exponent = a * minus_ln((x - a) / a, x / a) + stirling_remainder(a);
    let power = (a / std::f64::consts::TAU).sqrt() * (-exponent).exp();
    if x < a + 1.0 {
        let lower = power * lower_gamma_series(a, x);
        [lower, 1.0 - lower]
    } else {
        let upper = power * upper_gamma_fraction(a, x);
        [1.0 - upper, upper]
    }
}

/// The most terms of a series or fraction: some ten times the root of what they are summed for.
const TERMS: u32 = 100_000;

/// `γ(a, x) / (x^a e^−x)`, for an x up to about the mean, as a power series (DLMF 8.11.4).
fn lower_gamma_series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (a.recip(), a.recip());
    for n in 1..TERMS {
        term *= x / (a + f64::from(n));
        sum += term;
        if term <= 1e-17 * sum {
            break;
        }
    }
    sum
}

/// `Γ(a, x) / (x^a e^−x)`, for an x above the mean, as a continued fraction (DLMF 8.9.2, contracted), by Lentz's
/// method.
fn upper_gamma_fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (f64::INFINITY, b.recip());
    let mut fraction = d;
    for n in 1..TERMS {
        let n = f64::from(n);
        let numerator = n * (a - n);
        b += 2.0;
        d = (b + numerator * d).recip();
        c = b + numerator / c;
        fraction *= c * d;
        if (c * d - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    fraction
}

/// [`gamma_tails`] by Temme's uniform expansion (1979) to its leading term, with an error below 1e-12 from an x of a million on. Their series need some
/// 8 √a terms.
fn gamma_expansion(a: f64, x: f64) -> [f64; 2] {
    let mu = (x - a) / a;
    let half_square = minus_ln(mu, 1.0 + mu);
    let eta = (2.0 * half_square).sqrt().copysign(mu);
    let c = if eta.abs() < 1e-3 {
        -1.0 / 3.0 + eta / 12.0 - 2.0 / 135.0 * eta * eta
    } else {
        mu.recip() - eta.recip()
    };
    let rest = (-a * half_square).exp() / (std::f64::consts::TAU * a).sqrt() * c;
    let z = eta * (0.5 * a).sqrt();
    [0.5 * libm::erfc(-z) - rest, 0.5 * libm::erfc(z) + rest]
}

/// The regularized incomplete beta function `I_x(a, b)`, given `x` and `y = 1 − x`, of which one may be tiny.
///
/// `statrs` forms `1 − x` itself, cancels where a parameter is large, and stops after 140 terms, which large counts
/// need more than.
pub(super) fn beta_reg(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let lambda = if a > b {
        (a + b) * y - b
    } else {
        a - (a + b) * x
    };
    beta_tails(a, b, [x, y], lambda)[0]
}

/// `I_x(a, b)` and `1 − I_x(a, b)`, given `λ = a − (a + b) x` as well, how far x lies below the mean: where both
/// parameters are large, all digits are in it.
pub(super) fn beta_tails(a: f64, b: f64, [x, y]: [f64; 2], lambda: f64) -> [f64; 2] {
    Beta { a, b, x, y, lambda }.tails()
}

/// As [`beta_reg`] for an x below the numbers, given its logarithm: `x^a / (a B(a, b))`, the first term of the series
/// in x.
pub(super) fn beta_reg_near_zero(a: f64, b: f64, ln_x: f64) -> f64 {
    (a * ln_x - a.ln() - ln_beta(a, b)).exp()
}

/// Where `I_x(a, b)` is asked for.
#[derive(Debug, Clone, Copy)]
struct Beta {
    a: f64,
    b: f64,
    x: f64,
    y: f64,
    lambda: f64,
}

/// From this size of the lesser parameter on, the leading term of Temme's expansion is right to 1e-13. The fraction
/// needs as many terms as a part of the parameter's root.
const LARGE: f64 = 1e7;

impl Beta {
    fn tails(self) -> [f64; 2] {
        let Self { a, b, x, y, lambda } = self;
        if x <= 0.0 {
            return [0.0, 1.0];
        }
        if y <= 0.0 {
            return [1.0, 0.0];
        }
        if a.min(b) >= LARGE {
            return self.expansion();
        }
        // The fraction converges fast below the mean; above it, the complement's does. This is x > (a + 1)/(a + b + 2),
        // of which both sides may round to 1.
        if lambda < x - y {
            let above = self.mirrored().fraction();
            return [1.0 - above, above];
        }
        let below = self.fraction();
        [below, 1.0 - below]
    }

    fn mirrored(self) -> Self {
        Self {
            a: self.b,
            b: self.a,
            x: self.y,
            y: self.x,
            lambda: -self.lambda,
        }
    }

    /// `−ln` of `(x / x₀)^a (y / y₀)^b`, where `x₀ = a / (a + b)`.
    fn exponent(self) -> f64 {
        let total = self.a + self.b;
        self.a * minus_ln(-self.lambda / self.a, self.x * (total / self.a))
            + self.b * minus_ln(self.lambda / self.b, self.y * (total / self.b))
    }

    /// Temme's uniform expansion for two large parameters (1982; DLMF 8.18.9) to its leading term.
    fn expansion(self) -> [f64; 2] {
        let Self { a, b, lambda, .. } = self;
        let exponent = self.exponent();
        let z = exponent.sqrt().copysign(lambda);
        let (root, total) = (a.sqrt() * b.sqrt(), (a + b).sqrt());
        let c = if lambda.abs() < 1e-5 * a.min(b) {
            // Its series about the mean, where the two parts cancel.
            let skew = (b - a) / root;
            (skew / 3.0 + (skew * skew + 3.0) / 12.0 * (lambda / root)) / total
        } else {
            root / total / lambda - (2.0 * exponent).sqrt().recip().copysign(lambda)
        };
        let rest = (-exponent).exp() / std::f64::consts::TAU.sqrt() * c;
        [0.5 * libm::erfc(z) + rest, 0.5 * libm::erfc(-z) - rest]
    }

    /// The continued fraction of Didonato and Morris (1992, TOMS 708, `bfrac`), which is written around λ and so keeps
    /// its digits for any parameters.
    fn fraction(self) -> f64 {
        let Self { a, b, x, y, lambda } = self;
        let (c, c0, c1) = (1.0 + lambda, b / a, 1.0 + 1.0 / a);
        let (mut p, mut s) = (1.0, a + 1.0);
        let (mut numerator, mut denominator) = ([0.0, 1.0], [1.0, c / c1]);
        let mut fraction = c1 / c;
        for n in 1..100_000 {
            let n = f64::from(n);
            let t = n / a;
            let w = n * (b - n) * x;
            let e = a / s;
            let alpha = p * (p + c0) * e * e * (w * x);
            let e = (1.0 + t) / (c1 + t + t);
            let beta = n + w / s + e * (c + n * (1.0 + y));
            (p, s) = (1.0 + t, s + 2.0);
            numerator = [numerator[1], alpha * numerator[0] + beta * numerator[1]];
            denominator = [
                denominator[1],
                alpha * denominator[0] + beta * denominator[1],
            ];
            let before = fraction;
            fraction = numerator[1] / denominator[1];
            if (fraction - before).abs() <= 1e-15 * fraction {
                break;
            }
            let scale = denominator[1];
            numerator = [numerator[0] / scale, fraction];
            denominator = [denominator[0] / scale, 1.0];
        }
        self.power() * fraction
    }

    /// `x^a y^b / B(a, b)`.
    fn power(self) -> f64 {
        let Self { a, b, x, y, .. } = self;
        let (small, large) = if a < b { (a, b) } else { (b, a) };
        if small >= 8.0 {
            // Its parts are as large as the parameters and cancel; what is left of them does not.
            let corrections =
                stirling_remainder(a) + stirling_remainder(b) - stirling_remainder(a + b);
            let scale = (small / (1.0 + small / large) / std::f64::consts::TAU).sqrt();
            return scale * (-self.exponent() - corrections).exp();
        }
        (times_ln(a, x, y) + times_ln(b, y, x) - ln_beta(a, b)).exp()
    }
}

/// `e − ln(1 + e)`, given 1 + e as well, for an e near −1.
fn minus_ln(e: f64, one_plus_e: f64) -> f64 {
    if e.abs() < 1e-2 {
        let series = (2..=12)
            .rev()
            .fold(0.0, |sum, k| sum * -e + 1.0 / f64::from(k));
        return e * e * series;
    }
    match e < -0.6 {
        true => e - one_plus_e.ln(),
        false => e - e.ln_1p(),
    }
}

/// `ln B(a, b)`, of which the lesser is below 8.
fn ln_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a.min(b)) - ln_rising(a.max(b), a.min(b))
}

/// `ln Γ(x + n) − ln Γ(x)` for x > 0 and n ≥ 0.
fn ln_rising(x: f64, n: f64) -> f64 {
    (x - 0.5) * (n / x).ln_1p() + n * (x + n).ln() - n + stirling_remainder(x + n)
        - stirling_remainder(x)
}

/// `a ln x` where x = 1 − y.
fn times_ln(a: f64, x: f64, y: f64) -> f64 {
    a * if y < 0.5 { (-y).ln_1p() } else { x.ln() }
}
