//! Special functions of a configuration's constants, on the host in `f64`.

/// Where the asymptotic series is used; smaller arguments are shifted up to it by the recurrence.
const ASYMPTOTIC_FROM: f64 = 10.0;

/// `ln Γ(x)` for x > 0.
pub(crate) fn log_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// The digamma function `d ln Γ(x) / dx` for x > 0.
///
/// By its asymptotic series, of which the first omitted term, which bounds the error, is 1 / (12 x¹⁴) = 8e-16 at 10.
pub(crate) fn digamma(x: f64) -> f64 {
    let mut x = x;
    let mut shift = 0.0;
    while x < ASYMPTOTIC_FROM {
        shift += 1.0 / x;
        x += 1.0;
    }
    const SERIES: [f64; 6] = [
        1.0 / 12.0,
        -1.0 / 120.0,
        1.0 / 252.0,
        -1.0 / 240.0,
        1.0 / 132.0,
        -691.0 / 32760.0,
    ];
    x.ln() - 0.5 / x - x.powi(-2) * horner(&SERIES, x.powi(-2)) - shift
}

/// `ln erfc(x)` for x in [0, 1], by `ln(1 − erf(x))`, which keeps its digits near 0.
pub(crate) fn log_erfc(x: f64) -> f64 {
    (-libm::erf(x)).ln_1p()
}

fn horner(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_functions_agree_with_statrs() {
        for x in [1e-3, 0.5, 1.0, 1.5, 2.0, 3.7, 9.99, 10.0, 50.5, 1e4, 5e6] {
            let expected = statrs::function::gamma::ln_gamma(x);
            let got = log_gamma(x);
            assert!(
                (got - expected).abs() < 1e-12 * expected.abs().max(1.0),
                "lnΓ({x}) = {got}, {expected}"
            );
            let expected = statrs::function::gamma::digamma(x);
            let got = digamma(x);
            assert!(
                (got - expected).abs() < 1e-11 * expected.abs().max(1.0),
                "ψ({x}) = {got}, {expected}"
            );
        }
    }

    #[test]
    fn log_erfc_agrees_with_pythons() {
        // python3 -c "import math; print([math.log(math.erfc(x)) for x in (0, 1e-6, 0.01, 0.3, 0.7, 1)])"
        for (x, expected) in [
            (0.0, 0.0),
            (1e-6, -1.1283798037237617e-6),
            (0.01, -0.011347556229491533),
            (0.3, -0.3984300514400853),
            (0.7, -1.1325865135143411),
            (1.0, -1.8496055099332482),
        ] {
            let got = log_erfc(x);
            assert!((got - expected).abs() < 1e-14, "{x}: {got}");
        }
    }
}
