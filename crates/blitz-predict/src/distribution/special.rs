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
