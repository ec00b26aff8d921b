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

/// `ln Γ(x)` for x > 0.
pub(super) fn ln_gamma(x: f64) -> f64 {
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + stirling_remainder(x)
}

/// The regularized incomplete beta function `I_x(a, b)`, given `x` and `y = 1 − x`, of which one may be tiny.
///
/// Lentz's evaluation of the continued fraction (DLMF 8.17.22), which takes O(√max(a, b)) terms; `statrs` stops after
/// 140 of them and forms `1 − x` itself.
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

fn beta_reg_below(a: f64, b: f64, x: f64, y: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = away(1.0 - (a + b) * x / (a + 1.0)).recip();
    let mut fraction = d;
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = away(1.0 + even * d).recip();
        c = away(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = away(1.0 + odd * d).recip();
        c = away(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    // x^a y^b / (a B(a, b)); the larger of a and b inside `ln_rising`, where nothing cancels.
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    let ln_beta = ln_gamma(small) - ln_rising(large, small);
    (power(a, x, y) + power(b, y, x) - ln_beta - a.ln()).exp() * fraction
}

/// `a ln x` where x = 1 − y.
fn power(a: f64, x: f64, y: f64) -> f64 {
    a * if y < 0.5 { (-y).ln_1p() } else { x.ln() }
}
