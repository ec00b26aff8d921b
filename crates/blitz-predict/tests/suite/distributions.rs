//! The distributions that predictive mixtures are made of. The tables are printed by `distributions_reference.py`.

use blitz_predict::Mixture;
use blitz_predict::blitz_noise::{NoiseKey, PhiloxRng};
use blitz_predict::distribution::{
    Bernoulli, Distribution, Laplace, NegativeBinomial, Normal, Poisson, StudentT, Support,
};

use crate::survival_reference::{
    LAPLACE_BEYOND, NEGATIVE_BINOMIAL_BEYOND, NORMAL_BEYOND, POISSON_TAILS, STUDENT_T_BEYOND,
};

#[rustfmt::skip]
const NORMAL: &[(&[f64], f64, f64, f64)] = &[
    (&[0.5, 2.0], -40.0, -206.64333571376463, 1.77619986494957e-91),
    (&[0.5, 2.0], 0.5, -1.612085713764618, 0.5),
    (&[0.5, 2.0], 3.0, -2.393335713764618, 0.8943502263331446),
];
#[rustfmt::skip]
const NORMAL_QUANTILES: &[(&[f64], f64, f64)] = &[
    (&[0.5, 2.0], 0.001, -5.680464612335626),
    (&[0.5, 2.0], 0.1, -2.0631031310892007),
    (&[0.5, 2.0], 0.5, 0.5),
    (&[0.5, 2.0], 0.9, 3.0631031310892007),
    (&[0.5, 2.0], 0.999, 6.680464612335626),
];
#[rustfmt::skip]
const LAPLACE: &[(&[f64], f64, f64, f64)] = &[
    (&[-1.0, 0.5], -30.0, -58.0, 3.23511746282273e-26),
    (&[-1.0, 0.5], -1.0, 0.0, 0.5),
    (&[-1.0, 0.5], 0.7, -3.3999999999999995, 0.9833133650198369),
];
#[rustfmt::skip]
const LAPLACE_QUANTILES: &[(&[f64], f64, f64)] = &[
    (&[-1.0, 0.5], 0.001, -4.107304049211096),
    (&[-1.0, 0.5], 0.1, -1.8047189562170503),
    (&[-1.0, 0.5], 0.5, -1.0),
    (&[-1.0, 0.5], 0.9, -0.19528104378294975),
    (&[-1.0, 0.5], 0.999, 2.1073040492110953),
];
#[rustfmt::skip]
const STUDENT_T: &[(&[f64], f64, f64, f64)] = &[
    (&[0.5, 2.0, 0.7], -40.0, -7.333647374833381, 0.03783212725092445),
    (&[0.5, 2.0, 0.7], 0.5, -1.915160762183394, 0.5),
    (&[0.5, 2.0, 0.7], 3.0, -2.912334301634469, 0.7555274860983863),
    (&[0.5, 2.0, 4.0], -40.0, -13.273282852308549, 1.7554696071462922e-05),
    (&[0.5, 2.0, 4.0], 0.5, -1.6739764335716716, 0.5),
    (&[0.5, 2.0, 4.0], 3.0, -2.4983596495028415, 0.8602801783167684),
    (&[0.5, 2.0, 300.0], -40.0, -131.2792822564802, 2.2587417898649483e-58),
    (&[0.5, 2.0, 300.0], 0.5, -1.6129190455548907, 0.5),
    (&[0.5, 2.0, 300.0], 3.0, -2.394738985559043, 0.8938631215381523),
];
#[rustfmt::skip]
const STUDENT_T_QUANTILES: &[(&[f64], f64, f64)] = &[
    (&[0.5, 2.0, 0.7], 0.001, -7273.529260211479),
    (&[0.5, 2.0, 0.7], 0.1, -9.519895919292809),
    (&[0.5, 2.0, 0.7], 0.5, 0.5),
    (&[0.5, 2.0, 0.7], 0.9, 10.519895919292813),
    (&[0.5, 2.0, 0.7], 0.999, 7274.52926021147),
    (&[0.5, 2.0, 4.0], 0.001, -13.846364439564617),
    (&[0.5, 2.0, 4.0], 0.1, -2.566412548117887),
    (&[0.5, 2.0, 4.0], 0.5, 0.5),
    (&[0.5, 2.0, 4.0], 0.9, 3.566412548117888),
    (&[0.5, 2.0, 4.0], 0.999, 14.846364439564613),
    (&[0.5, 2.0, 300.0], 0.001, -5.7352391076230465),
    (&[0.5, 2.0, 300.0], 0.1, -2.068759735158026),
    (&[0.5, 2.0, 300.0], 0.5, 0.5),
    (&[0.5, 2.0, 300.0], 0.9, 3.068759735158026),
    (&[0.5, 2.0, 300.0], 0.999, 6.7352391076230465),
];
#[rustfmt::skip]
const BERNOULLI: &[(&[f64], f64, f64, f64)] = &[
    (&[-1.5], 0.0, -0.2014132779827524, 0.8175744761936437),
    (&[-1.5], 1.0, -1.7014132779827524, 1.0),
    (&[3.0], 0.0, -3.0485873515737403, 0.04742587317756686),
    (&[3.0], 1.0, -0.04858735157374214, 1.0),
];
#[rustfmt::skip]
const BERNOULLI_QUANTILES: &[(&[f64], f64, f64)] = &[
    (&[-1.5], 0.001, 0.0),
    (&[-1.5], 0.1, 0.0),
    (&[-1.5], 0.5, 0.0),
    (&[-1.5], 0.9, 1.0),
    (&[-1.5], 0.999, 1.0),
    (&[3.0], 0.001, 0.0),
    (&[3.0], 0.1, 1.0),
    (&[3.0], 0.5, 1.0),
    (&[3.0], 0.9, 1.0),
    (&[3.0], 0.999, 1.0),
];
#[rustfmt::skip]
const POISSON: &[(&[f64], f64, f64, f64)] = &[
    (&[0.03], 0.0, -0.03, 0.9704455335485082),
    (&[0.03], 3.0, -12.341433161187998, 0.9999999670499612),
    (&[0.03], 19900.0, -246866.05305007423, 1.0),
    (&[4.5], 0.0, -4.5, 0.011108996538242308),
    (&[4.5], 3.0, -1.779527278899233, 0.34229595583459105),
    (&[4.5], 19900.0, -147158.88069755872, 1.0),
    (&[20000.0], 0.0, -20000.0, 0.0),
    (&[20000.0], 3.0, -19972.08129681162, 0.0),
    (&[20000.0], 19900.0, -6.118597937660525, 0.2410352471680328),
];
#[rustfmt::skip]
const POISSON_QUANTILES: &[(&[f64], f64, f64)] = &[
    (&[0.03], 0.001, 0.0),
    (&[0.03], 0.1, 0.0),
    (&[0.03], 0.5, 0.0),
    (&[0.03], 0.9, 0.0),
    (&[0.03], 0.999, 1.0),
    (&[4.5], 0.001, 0.0),
    (&[4.5], 0.1, 2.0),
    (&[4.5], 0.5, 4.0),
    (&[4.5], 0.9, 7.0),
    (&[4.5], 0.999, 12.0),
    (&[20000.0], 0.001, 19564.0),
    (&[20000.0], 0.1, 19819.0),
    (&[20000.0], 0.5, 20000.0),
    (&[20000.0], 0.9, 20181.0),
    (&[20000.0], 0.999, 20438.0),
];
#[rustfmt::skip]
const NEGATIVE_BINOMIAL: &[(&[f64], f64, f64, f64)] = &[
    (&[4.5, 2.0], 0.0, -1.1512925464970227, 0.31622776601683794),
    (&[4.5, 2.0], 3.0, -2.6305249032761826, 0.6266250825977403),
    (&[4.5, 2.0], 250.0, -30.825016862476065, 0.999999999999638),
    (&[4.5, 2.0], 19900.0, -2103.3471628669395, 1.0),
    (&[4.5, 0.01], 0.0, -4.401688541677421, 0.012256626595517219),
    (&[4.5, 0.01], 3.0, -1.7835135186776387, 0.3478600084835502),
    (&[4.5, 0.01], 250.0, -585.5917302389074, 1.0),
    (&[4.5, 0.01], 19900.0, -61971.0210627807, 1.0),
    (&[300.0, 0.5], 0.0, -10.034559673629849, 4.385772553835358e-05),
    (&[300.0, 0.5], 3.0, -8.668198940665963, 0.0004327970866612513),
    (&[300.0, 0.5], 250.0, -6.170242414165183, 0.49772523610124086),
    (&[300.0, 0.5], 19900.0, -132.36243451445466, 1.0),
    (&[20000.0, 0.0001], 0.0, -10986.122886681098, 0.0),
    (&[20000.0, 0.0001], 3.0, -10961.499720383721, 0.0),
    (&[20000.0, 0.0001], 250.0, -9915.862369963179, 0.0),
    (&[20000.0, 0.0001], 19900.0, -6.499388016518424, 0.34333935523849685),
];
#[rustfmt::skip]
const NEGATIVE_BINOMIAL_QUANTILES: &[(&[f64], f64, f64)] = &[
    (&[4.5, 2.0], 0.001, 0.0),
    (&[4.5, 2.0], 0.1, 0.0),
    (&[4.5, 2.0], 0.5, 2.0),
    (&[4.5, 2.0], 0.9, 13.0),
    (&[4.5, 2.0], 0.999, 51.0),
    (&[4.5, 0.01], 0.001, 0.0),
    (&[4.5, 0.01], 0.1, 2.0),
    (&[4.5, 0.01], 0.5, 4.0),
    (&[4.5, 0.01], 0.9, 7.0),
    (&[4.5, 0.01], 0.999, 13.0),
    (&[300.0, 0.5], 0.001, 6.0),
    (&[300.0, 0.5], 0.1, 79.0),
    (&[300.0, 0.5], 0.5, 252.0),
    (&[300.0, 0.5], 0.9, 584.0),
    (&[300.0, 0.5], 0.999, 1389.0),
    (&[20000.0, 0.0001], 0.001, 19250.0),
    (&[20000.0, 0.0001], 0.1, 19687.0),
    (&[20000.0, 0.0001], 0.5, 19999.0),
    (&[20000.0, 0.0001], 0.9, 20314.0),
    (&[20000.0, 0.0001], 0.999, 20764.0),
];

fn normal(p: &[f64]) -> Normal {
    Normal {
        mean: p[0],
        std: p[1],
    }
}

fn laplace(p: &[f64]) -> Laplace {
    Laplace {
        location: p[0],
        scale: p[1],
    }
}

fn student_t(p: &[f64]) -> StudentT {
    StudentT {
        location: p[0],
        scale: p[1],
        degrees_of_freedom: p[2],
    }
}

fn bernoulli(p: &[f64]) -> Bernoulli {
    Bernoulli { logit: p[0] }
}

fn poisson(p: &[f64]) -> Poisson {
    Poisson {
        log_rate: p[0].ln(),
    }
}

fn negative_binomial(p: &[f64]) -> NegativeBinomial {
    NegativeBinomial {
        log_mean: p[0].ln(),
        dispersion: p[1],
    }
}

fn agrees<C: Distribution>(
    make: impl Fn(&[f64]) -> C,
    table: &[(&[f64], f64, f64, f64)],
    quantiles: &[(&[f64], f64, f64)],
) {
    for (parameters, y, ln_pdf, cdf) in table {
        let c = make(parameters);
        let got = c.ln_pdf(*y);
        // SciPy's own error at large counts, where it takes differences of numbers of 1e5 and more.
        assert!(
            (got - ln_pdf).abs() < 1e-9 * ln_pdf.abs().max(1.0),
            "{c:?} at {y}: ln p = {got}, {ln_pdf}"
        );
        let got = c.cdf(*y);
        assert!(
            (got - cdf).abs() < 1e-9 * cdf.max(1e-30),
            "{c:?} at {y}: F = {got}, {cdf}"
        );
    }
    for (parameters, p, expected) in quantiles {
        let c = make(parameters);
        let got = c.quantile(*p);
        match C::SUPPORT {
            Support::Continuous => assert!(
                (got - expected).abs() < 1e-9 * expected.abs().max(1.0),
                "{c:?}: Q({p}) = {got}, {expected}"
            ),
            Support::Discrete => assert_eq!(got, *expected, "{c:?}: Q({p})"),
            other => panic!("{other:?} has tests of its own"),
        }
    }
}

#[test]
fn densities_distribution_functions_and_quantiles_agree_with_scipy() {
    agrees(normal, NORMAL, NORMAL_QUANTILES);
    agrees(laplace, LAPLACE, LAPLACE_QUANTILES);
    agrees(student_t, STUDENT_T, STUDENT_T_QUANTILES);
    agrees(bernoulli, BERNOULLI, BERNOULLI_QUANTILES);
    agrees(poisson, POISSON, POISSON_QUANTILES);
    agrees(
        negative_binomial,
        NEGATIVE_BINOMIAL,
        NEGATIVE_BINOMIAL_QUANTILES,
    );
}

#[test]
fn the_normal_keeps_all_digits() {
    // scipy.stats.norm: where the error function of statrs is off by 2e-11, and far out.
    let n = normal(&[0.0, 1.0]);
    for (z, cdf) in [
        (-0.7427445818102881, 0.22881816650604847),
        (1.3, 0.9031995154143897),
        (-20.0, 2.7536241186061556e-89),
    ] {
        // An argument rounded to the last digit moves the tail by z² of it.
        let rounding = 4.0 * f64::EPSILON * (1.0 + z * z);
        assert!((n.cdf(z) - cdf).abs() < rounding * cdf, "{z}");
        assert!((n.quantile(cdf) - z).abs() < 1e-14 * z.abs(), "{z}");
    }
    assert_eq!(n.quantile(0.0), f64::NEG_INFINITY);
}

#[test]
fn a_student_t_of_many_degrees_of_freedom_is_normal() {
    for y in [-7.0, 0.5, 1.1, 9.0] {
        let t = student_t(&[0.5, 2.0, 1e13]);
        let n = normal(&[0.5, 2.0]);
        // They differ by z⁴/4ν.
        assert!((t.ln_pdf(y) - n.ln_pdf(y)).abs() < 1e-10);
        assert!((t.cdf(y) - n.cdf(y)).abs() < 1e-10);
        // At 10 000 they don't agree yet: the limit is not simply built in.
        let near = student_t(&[0.5, 2.0, 1e4]);
        assert!((near.ln_pdf(y) - n.ln_pdf(y)).abs() > 1e-6);
    }
}

#[test]
fn a_student_t_is_normal_for_any_larger_degrees_of_freedom_and_never_falls() {
    let n = normal(&[0.5, 2.0]);
    for exponent in [15, 16, 17, 20, 21, 22, 25, 100, 300, 308] {
        let nu: f64 = format!("1e{exponent}").parse().unwrap();
        let t = student_t(&[0.5, 2.0, nu]);
        for z in [-30.0f64, -8.0, -1.7, -1e-3, -1e-9, 0.0, 1e-3, 1.0, 1.8, 8.0] {
            let y = 0.5 + 2.0 * z;
            // Tails differ by z⁴/4ν of them, and z² of a rounding.
            let close = 1e-13 * (1.0 + z * z) + z.powi(4) / nu;
            let (got, expected) = (t.cdf(y), n.cdf(y));
            assert!(
                (got / expected - 1.0).abs() < close,
                "{nu:e} {z}: {got} for {expected}"
            );
            assert!((t.ln_pdf(y) - n.ln_pdf(y)).abs() < 1e-12 * (1.0 + z * z) + z.powi(4) / nu);
        }
        assert!((t.quantile(0.1) - n.quantile(0.1)).abs() < 1e-12, "{nu:e}");
    }
    for nu in (0..=24).map(|k| 10f64.powf(14.0 + 0.25 * f64::from(k))) {
        let t = student_t(&[0.0, 1.0, nu]);
        let grid: Vec<f64> = (-400..=400).map(|k| t.cdf(0.01 * f64::from(k))).collect();
        assert!(grid.is_sorted(), "{nu:e}");
    }
}

#[test]
fn a_negative_binomial_without_dispersion_is_poisson() {
    for (mean, y) in [(4.5, 0.0), (4.5, 7.0), (3e4, 30_100.0)] {
        let p = poisson(&[mean]);
        for dispersion in [1e-13, 1e-17] {
            let b = negative_binomial(&[mean, dispersion]);
            assert!((b.ln_pdf(y) - p.ln_pdf(y)).abs() < 1e-8, "{b:?}");
            assert!((b.cdf(y) - p.cdf(y)).abs() < 1e-8, "{b:?}");
        }
        let b = negative_binomial(&[mean, 1e-2]);
        assert!((b.ln_pdf(y) - p.ln_pdf(y)).abs() > 1e-4, "{b:?}");
    }
}

#[test]
fn probabilities_of_counts_sum_to_the_distribution_function() {
    let (p, b) = (poisson(&[30.0]), negative_binomial(&[30.0, 0.4]));
    let (mut sums, mut y) = ([0.0; 2], 0.0);
    while y < 200.0 {
        sums[0] += p.ln_pdf(y).exp();
        sums[1] += b.ln_pdf(y).exp();
        assert!((p.cdf(y) - sums[0]).abs() < 1e-12 && (b.cdf(y + 0.5) - sums[1]).abs() < 1e-12);
        y += 1.0;
    }
    // Between counts, and below zero, there is nothing.
    assert_eq!(
        (p.ln_pdf(1.5), b.ln_pdf(-1.0), p.cdf(-0.5)),
        (f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0)
    );
}

#[test]
fn extreme_arguments_give_numbers() {
    let t = student_t(&[0.0, 1.0, 3.0]);
    // ln p of z^-4: the square of z overflows.
    assert!((t.ln_pdf(1e200) - t.ln_pdf(1e190) + 4.0 * 10.0 * 10f64.ln()).abs() < 1e-9);
    assert_eq!((t.cdf(f64::NEG_INFINITY), t.cdf(1e300)), (0.0, 1.0));
    assert_eq!(bernoulli(&[-800.0]).ln_pdf(1.0), -800.0);
    assert_eq!(bernoulli(&[-800.0]).entropy(), 0.0);
    // Two in a million million, from a rate that is almost nothing.
    let rare = Poisson { log_rate: -700.0 };
    assert!((rare.ln_pdf(2.0) + 1400.0 + 2f64.ln()).abs() < 1e-9);
    assert_eq!(rare.quantile(0.999), 0.0);
    // A large count far from its mean, and one near it, at which the textbook formula has three digits left.
    let large = Poisson { log_rate: 30.0 };
    let mode = large.rate().floor();
    let expected = -0.5 * (std::f64::consts::TAU * mode).ln();
    assert!((large.ln_pdf(mode) - expected).abs() < 1e-9);
}

/// mpmath: `x^a / 2aB(a, ½)` of a = ν/2 and x = ν/z², whose square is beyond the numbers.
#[test]
fn tails_of_few_degrees_of_freedom_go_on_beyond_where_squares_overflow() {
    for (nu, z, tail) in [
        (0.01, 1e153, 0.014321134862851706),
        (0.01, 1e155, 0.013676577617436493),
        (0.01, 1e160, 0.01218926263199926),
        (0.01, 1e165, 0.010863691755927949),
        (0.01, 1e200, 0.0048526328575587),
        (0.01, 1e300, 0.00048526328575587),
        (0.01, 1.7e308, 0.00040148834764956916),
        (0.001, 1e200, 0.31417321248611507),
        (0.5, 1e250, 3.207009754142229e-126),
    ] {
        let t = student_t(&[0.0, 1.0, nu]);
        let (below, above) = (t.cdf(-z), t.cdf(z));
        assert!((below / tail - 1.0).abs() < 1e-12, "{nu} {z}: {below}");
        assert!((above + tail - 1.0).abs() < 1e-15, "{nu} {z}: {above}");
        // The density falls as |z|^−(ν + 1).
        let slope = (t.ln_pdf(z) - t.ln_pdf(1e100)) / (z.ln() - 1e100f64.ln());
        assert!((slope + nu + 1.0).abs() < 1e-12, "{nu} {z}: {slope}");
    }
    let t = student_t(&[0.0, 1.0, 0.01]);
    for (p, expected) in [
        (0.6, 246458794.8055437),
        (0.99, 3.960440137152482e168),
        (0.999, 3.960440137152482e268),
    ] {
        // Of the hundredth power of the tail, in which p has lost digits.
        let error = (t.quantile(p) / expected - 1.0).abs();
        let bound = 1000.0 * f64::EPSILON / (1.0 - p);
        assert!(error < bound, "{p}: {error}");
        assert!((t.quantile(1.0 - p) / -expected - 1.0).abs() < bound, "{p}");
    }
    assert_eq!(t.quantile(0.99999), f64::INFINITY);
}

/// Samples `n` values: each of a generator of its own, as mixtures do.
fn samples<C: Distribution>(c: &C, n: u64) -> Vec<f64> {
    (0..n)
        .map(|i| c.sample(&mut NoiseKey::new(11, i, 0).rng()))
        .collect()
}

#[test]
fn samples_of_continuous_components_have_their_distribution() {
    fn check<C: Distribution>(c: &C) {
        let n = 20_000;
        let mut values = samples(c, n);
        values.sort_by(f64::total_cmp);
        let n = n as f64;
        let distance = |(i, y): (usize, &f64)| {
            let f = c.cdf(*y);
            (f - i as f64 / n).max((i as f64 + 1.0) / n - f)
        };
        let ks = values.iter().enumerate().map(distance).fold(0.0, f64::max);
        // Kolmogorov-Smirnov at α = 1e-6: √(ln(2/α)/2) = 2.69.
        assert!(ks * n.sqrt() < 2.69, "{c:?}: {}", ks * n.sqrt());
    }
    check(&normal(&[-1.0, 3.0]));
    check(&laplace(&[2.0, 0.5]));
    check(&student_t(&[2.0, 0.5, 1.5]));
    check(&student_t(&[0.0, 1.0, 40.0]));
}

#[test]
fn samples_of_discrete_components_have_their_mean_variance_and_zeros() {
    fn check<C: Distribution>(c: &C) {
        let n = 40_000.0;
        let values = samples(c, n as u64);
        let mean = values.iter().sum::<f64>() / n;
        let off = (mean - c.mean()) / (c.variance() / n).sqrt();
        assert!(
            off.abs() < 5.0,
            "{c:?}: the mean {mean} is {off} standard errors off"
        );
        let squares: Vec<f64> = values.iter().map(|y| (y - c.mean()).powi(2)).collect();
        let variance = squares.iter().sum::<f64>() / n;
        let spread = squares.iter().map(|s| (s - variance).powi(2)).sum::<f64>() / n;
        let off = (variance - c.variance()) / (spread / n).sqrt();
        assert!(
            off.abs() < 5.0,
            "{c:?}: the variance {variance} is {off} standard errors off"
        );
        // And where the middle of the distribution is.
        let median = c.quantile(0.5);
        let p = c.cdf(median);
        let below = values.iter().filter(|y| **y <= median).count() as f64 / n;
        let off = (below - p) / (p * (1.0 - p) / n).sqrt();
        assert!(
            off.abs() < 5.0,
            "{c:?}: {below} are at most the median, {off} standard errors off"
        );
    }
    check(&bernoulli(&[-1.5]));
    check(&poisson(&[0.4]));
    check(&poisson(&[25.0]));
    check(&negative_binomial(&[3.0, 0.8]));
    check(&negative_binomial(&[50.0, 0.05]));
}

/// By `survival_reference.py`.
#[test]
fn a_poisson_keeps_its_digits_up_to_large_rates() {
    for (log_rate, y, below, above) in POISSON_TAILS {
        let poisson = Poisson {
            log_rate: *log_rate,
        };
        // The rate is the exponential of its logarithm, rounded: 1e-16 √rate deviations.
        let tolerance = 1e-13 * (1.0 + log_rate.exp().sqrt() / 1e3);
        for (got, expected) in [(poisson.cdf(*y), below), (poisson.survival(*y), above)] {
            let error = (got / expected - 1.0).abs();
            assert!(
                error < 10.0 * tolerance,
                "{log_rate} {y}: {got}, off by {error}"
            );
        }
        let error = (poisson.cdf(*y) - below).abs();
        assert!(error < tolerance, "{log_rate} {y}: off by {error}");
    }
}

/// By `survival_reference.py`.
#[test]
fn what_lies_beyond_keeps_its_digits() {
    fn check<D: Distribution>(d: &D, y: f64, expected: f64) {
        let got = d.survival(y);
        assert!(
            (got / expected - 1.0).abs() < 1e-11,
            "{d:?} {y}: {got} for {expected}"
        );
        // Far below, all lies beyond; nothing lies beyond infinity.
        assert_eq!(
            (d.survival(f64::MIN), d.survival(f64::INFINITY)),
            (1.0, 0.0)
        );
        assert!(d.survival(f64::NAN).is_nan());
        for y in [-3.0, 0.0, 0.5, 1.0, 7.0] {
            assert!((d.survival(y) + d.cdf(y) - 1.0).abs() < 1e-14, "{d:?} {y}");
        }
    }
    for (params, y, expected) in NORMAL_BEYOND {
        check(&normal(params), *y, *expected);
    }
    for (params, y, expected) in LAPLACE_BEYOND {
        check(&laplace(params), *y, *expected);
    }
    for (params, y, expected) in STUDENT_T_BEYOND {
        check(&student_t(params), *y, *expected);
    }
    for (params, y, expected) in NEGATIVE_BINOMIAL_BEYOND {
        check(&negative_binomial(params), *y, *expected);
    }
    let odds = 1.5f64.exp();
    check(&bernoulli(&[-1.5]), 0.0, 1.0 / (1.0 + odds));
}

/// mpmath: gammainc(y + 1, rate, inf, regularized=True).
#[test]
fn a_poisson_of_any_rate_has_a_distribution_function() {
    let cases = [
        (2e6, 2e6, 0.500_188_063_182_500_8),
        (2e6, 1_997_000.0, 0.016_944_943_934_034_82),
        (2e6, 2_004_000.0, 0.997_657_689_447_165_6),
        (1e9, 1e9, 0.500_008_410_441_739),
        (1e9, 1_000_060_000.0, 0.971_110_353_468_541_2),
        (1e9, 999_900_000.0, 0.000_782_616_125_335_316_4),
    ];
    for (rate, y, expected) in cases {
        let poisson = Poisson {
            log_rate: f64::ln(rate),
        };
        // The rate's own logarithm is rounded: 1e-16 of it is 1e-16 √rate deviations.
        let error = (poisson.cdf(y) - expected).abs();
        assert!(error < 1e-12 + 4e-15 * rate.sqrt(), "{rate} {y}: {error}");
    }
    // Where the two ways meet, and where a sum would not end.
    let at = |rate: f64, deviations: f64| {
        let poisson = Poisson {
            log_rate: rate.ln(),
        };
        poisson.cdf((rate + deviations * rate.sqrt()).round())
    };
    for deviations in [-3.0, -1.0, 0.0, 2.0] {
        assert!((at(999_999.0, deviations) - at(1_000_001.0, deviations)).abs() < 1e-3);
    }
    for log_rate in [33.0, 40.0, 300.0] {
        let poisson = Poisson { log_rate };
        assert!((poisson.cdf(poisson.mean()) - 0.5).abs() < 1e-6);
        assert!((poisson.quantile(0.9) / poisson.mean() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn the_quantile_at_one_is_the_end_of_the_support() {
    let poisson = Poisson {
        log_rate: 2f64.ln(),
    };
    let counts = NegativeBinomial {
        log_mean: 1.0,
        dispersion: 0.5,
    };
    let t = student_t(&[0.0, 1.0, 4.0]);
    for end in [poisson.quantile(1.0), counts.quantile(1.0), t.quantile(1.0)] {
        assert_eq!(end, f64::INFINITY);
    }
    assert_eq!(t.quantile(0.0), f64::NEG_INFINITY);
    assert_eq!(poisson.quantile(0.0), 0.0);
    // Also of large counts, whose distribution function is 0 but for rounding from far above zero.
    let log_rate = 1e4f64.ln();
    let poisson = Poisson { log_rate };
    let counts = NegativeBinomial {
        log_mean: log_rate,
        dispersion: 1e-6,
    };
    assert_eq!([poisson.quantile(0.0), counts.quantile(0.0)], [0.0; 2]);
}

#[test]
fn quantiles_of_a_heavy_tail_have_their_digits_at_both_ends() {
    // mpmath, 60 digits, of the double: 1 − p is exact there.
    let t = student_t(&[0.0, 1.0, 3.0]);
    for (p, expected) in [
        (1.0 - 1e-9, 1_033.109_684_243_275_5),
        (1.0 - 2f64.powi(-40), 10_663.019_114_246_484),
        (1.0 - 2f64.powi(-53), 214_952.998_062_579_53),
    ] {
        let got = t.quantile(p);
        assert!((got / expected - 1.0).abs() < 1e-12, "{got} for {expected}");
        assert_eq!(got, -t.quantile(1.0 - p));
    }
}

/// Uniform over `[start, start + 1]`.
#[derive(Debug, Clone, PartialEq)]
struct Interval {
    start: f64,
}

impl Distribution for Interval {
    const SUPPORT: Support = Support::Continuous;

    fn is_valid(&self) -> bool {
        self.start.is_finite()
    }

    fn ln_pdf(&self, y: f64) -> f64 {
        match (self.start..=self.start + 1.0).contains(&y) {
            true => 0.0,
            false => f64::NEG_INFINITY,
        }
    }

    fn cdf(&self, y: f64) -> f64 {
        (y - self.start).clamp(0.0, 1.0)
    }

    fn mean(&self) -> f64 {
        self.start + 0.5
    }

    fn variance(&self) -> f64 {
        1.0 / 12.0
    }

    fn sample(&self, _rng: &mut PhiloxRng) -> f64 {
        self.mean()
    }
}

#[test]
fn the_quantile_at_a_gap_is_where_the_gap_begins() {
    let mixture = Mixture::from_draws([0.0, 10.0].map(|start| vec![Interval { start }]), 1);
    assert_eq!(mixture.quantile(0.5), [1.0]);
    // Nothing is lost where there is none.
    let symmetric = Mixture::from_draws([-1.0, 1.0].map(|mean| vec![normal(&[mean, 1.0])]), 1);
    assert_eq!(symmetric.quantile(0.5), [0.0]);
}

/// Between modes that are far apart the distribution function is level but for rounding, and the density is not zero.
#[test]
fn the_quantile_between_modes_is_as_far_from_either() {
    let mixture =
        |modes: &[[f64; 2]]| Mixture::from_draws(modes.iter().map(|mode| vec![normal(mode)]), 1);
    assert_eq!(mixture(&[[0.0, 0.1], [10.0, 0.1]]).quantile(0.5), [5.0]);
    assert_eq!(mixture(&[[0.0, 0.1], [-10.0, 0.1]]).quantile(0.5), [-5.0]);
    let modes = [0.0, 10.0, 20.0, 30.0].map(|mean| [mean, 0.1]);
    let four = mixture(&modes).interval(0.5)[0];
    let mirrored = mixture(&modes.map(|[mean, std]| [-mean, std])).interval(0.5)[0];
    for (got, expected) in [
        (four.lower, 5.0),
        (four.upper, 25.0),
        (mirrored.lower, -25.0),
        (mirrored.upper, -5.0),
    ] {
        assert!((got - expected).abs() < 1e-6, "{got} for {expected}");
    }
    // As much probability lies above the one as below the other at 10/11; the density is lowest within a few deviations
    // of it.
    let unequal = mixture(&[[0.0, 0.1], [10.0, 1.0]]).quantile(0.5)[0];
    assert!((unequal - 10.0 / 11.0).abs() < 0.1, "{unequal}");
}
