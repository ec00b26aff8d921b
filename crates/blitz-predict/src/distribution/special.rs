//! Special functions in `f64`, in the forms that lose nothing where their textbook forms cancel.

use statrs::function::gamma::gamma_ur;

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

/// `Q(a, x) = Γ(a, x) / Γ(a)`, the regularized upper incomplete gamma function.
///
/// `statrs` sums some 8 √a terms of a power series, whose factor cancels for large a, and does not end above 1e16. From a million on it is Temme's uniform
/// expansion (1979) to its leading term, with an error below 1e-12.
pub(super) fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 1e6 {
        return gamma_ur(a, x);
    }
    let mu = (x - a) / a;
    // mu − ln(1 + mu).
    let half_square = if mu.abs() < 1e-2 {
        let series = (2..=12)
            .rev()
            .fold(0.0, |sum, k| sum * -mu + 1.0 / f64::from(k));
        mu * mu * series
    } else {
        mu - mu.ln_1p()
    };
    let eta = (2.0 * half_square).sqrt().copysign(mu);
    let c = if eta.abs() < 1e-3 {
        -1.0 / 3.0 + eta / 12.0 - 2.0 / 135.0 * eta * eta
    } else {
        mu.recip() - eta.recip()
    };
    let normal = 0.5 * libm::erfc(eta * (0.5 * a).sqrt());
    normal + (-a * half_square).exp() / (std::f64::consts::TAU * a).sqrt() * c
}

/// `ln Γ(x + n) − ln Γ(x)` for x > 0 and n ≥ 0.
pub(super) fn ln_rising(x: f64, n: f64) -> f64 {
    (x - 0.5) * (n / x).ln_1p() + n * (x + n).ln() - n + stirling_remainder(x + n)
        - stirling_remainder(x)
}

/// The regularized incomplete beta function `I_x(a, b)`, given `x` and `y = 1 − x`, of which one may be tiny.
///
/// `statrs` forms `1 − x` itself, cancels where a parameter is large, and stops after 140 terms, which large counts need
/// more than.
pub(super) fn beta_reg(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    // The fraction converges fast below the mean; above it, the complement's does.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_reg_below(b, a, y, x);
    }
    beta_reg_below(a, b, x, y)
}

/// The continued fraction of Didonato and Morris (1992, TOMS 708, `bfrac`), which is written around
/// `a − (a + b) x` and so keeps its digits for any parameters.
fn beta_reg_below(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let lambda = if a > b {
        (a + b) * y - b
    } else {
        a - (a + b) * x
    };
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
    // x^a y^b / B(a, b); the larger of a and b inside `ln_rising`, where nothing cancels.
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    let ln_beta = libm::lgamma(small) - ln_rising(large, small);
    (power(a, x, y) + power(b, y, x) - ln_beta).exp() * fraction
}

/// `a ln x` where x = 1 − y.
fn power(a: f64, x: f64, y: f64) -> f64 {
    a * if y < 0.5 { (-y).ln_1p() } else { x.ln() }
}
