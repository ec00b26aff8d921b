//! Whether the draws are standard normal and independent. Seeds are fixed, so nothing here fails by chance:
//! the bounds, five standard errors (p = 6e-7 for one test), say what we would have believed of a new seed.

use statrs::function::erf::erfc;

use super::super::*;
use super::filled;

const DRAWS: usize = 10_000_000;

/// The standard normal's distribution function.
fn cdf(z: f64) -> f64 {
    0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

fn mean(values: impl Iterator<Item = f64>, n: usize) -> f64 {
    values.sum::<f64>() / n as f64
}

fn assert_within_five_standard_errors(what: &str, found: f64, expected: f64, error: f64) {
    let k = (found - expected) / error;
    assert!(
        k.abs() < 5.0,
        "{what}: {found} for {expected}, {k:.1} standard errors off"
    );
}

#[test]
fn moments_are_those_of_a_standard_normal() {
    let draws = filled(NoiseKey::new(20, 0, 0), 0, DRAWS);
    assert!(draws.iter().all(|z| z.is_finite()));

    let (mut m1, mut m2, mut m3, mut m4) = (0.0, 0.0, 0.0, 0.0);
    let m = mean(draws.iter().map(|z| f64::from(*z)), DRAWS);
    for z in &draws {
        let z = f64::from(*z);
        let d = z - m;
        m1 += z;
        m2 += d * d;
        m3 += d * d * d;
        m4 += d * d * d * d;
    }
    let n = DRAWS as f64;
    let variance = m2 / n;
    // The standard errors of a normal sample's moments, to order 1/n.
    let check = assert_within_five_standard_errors;
    check("mean", m1 / n, 0.0, (1.0 / n).sqrt());
    check("variance", variance, 1.0, (2.0 / n).sqrt());
    check(
        "skewness",
        m3 / n / variance.powf(1.5),
        0.0,
        (6.0 / n).sqrt(),
    );
    check(
        "kurtosis",
        m4 / n / variance.powi(2),
        3.0,
        (24.0 / n).sqrt(),
    );
}

/// The largest distance between the draws' distribution function and the normal's, over 2¹⁶ bins of equal
/// probability. Between two borders the distance can exceed that at them by one bin's 2⁻¹⁶ at most, which is
/// added; so there is nothing to sort.
///
/// For n draws the distance exceeds c/√n with probability α = 2 exp(−2c²): c = 1.95 for α = 0.001.
#[test]
fn the_distribution_passes_kolmogorov_and_smirnov() {
    const BINS: usize = 1 << 16;
    let mut counts = vec![0u32; BINS];
    for z in filled(NoiseKey::new(21, 0, 0), 0, DRAWS) {
        let bin = (cdf(f64::from(z)) * BINS as f64) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    let (mut below, mut distance) = (0, 0f64);
    for (bin, count) in counts.iter().enumerate() {
        below += count;
        let expected = (bin + 1) as f64 / BINS as f64;
        distance = distance.max((f64::from(below) / DRAWS as f64 - expected).abs());
    }
    let critical = 1.95 / (DRAWS as f64).sqrt();
    let distance = distance + 1.0 / BINS as f64;
    assert!(distance < critical, "{distance:e}, critical {critical:e}");
}

#[test]
fn tails_are_as_heavy_as_they_should_be() {
    let draws = filled(NoiseKey::new(22, 0, 0), 0, DRAWS);
    for sigma in [3.0, 4.0, 5.0] {
        for side in [-1.0, 1.0] {
            let beyond = draws
                .iter()
                .filter(|z| side * f64::from(**z) > sigma)
                .count() as f64;
            // A binomial count; at 5 sigma, where 2.9 are expected, all but Poisson.
            let p = cdf(-sigma);
            let expected = p * DRAWS as f64;
            let error = (expected * (1.0 - p)).sqrt();
            assert_within_five_standard_errors(
                &format!("beyond {} sigma", side * sigma),
                beyond,
                expected,
                error,
            );
        }
    }
}

/// Of standard normals, whose means and variances are known; so its standard error is exactly 1/√n.
fn correlation(a: &[f32], b: &[f32], power: i32) -> f64 {
    // z² has mean 1 and variance 2.
    let standardised = |z: f32| match power {
        1 => f64::from(z),
        _ => (f64::from(z).powi(2) - 1.0) / 2f64.sqrt(),
    };
    let products = a
        .iter()
        .zip(b)
        .map(|(a, b)| standardised(*a) * standardised(*b));
    mean(products, a.len())
}

/// The squares too: the two normals of a pair share their radius, so a flaw would show in them first.
fn assert_uncorrelated(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for power in [1, 2] {
        let r = correlation(a, b, power);
        let error = 1.0 / (a.len() as f64).sqrt();
        assert_within_five_standard_errors(&format!("{what}, power {power}"), r, 0.0, error);
    }
}

#[test]
fn neighbouring_seeds_draws_and_streams_are_uncorrelated() {
    const N: usize = 1_000_000;
    let base = filled(NoiseKey::new(23, 5, 9), 0, N);
    for (what, key) in [
        ("stream", NoiseKey::new(23, 5, 10)),
        ("index", NoiseKey::new(23, 6, 9)),
        ("seed", NoiseKey::new(24, 5, 9)),
        (
            "high half of the index",
            NoiseKey::new(23, 5 + (1 << 32), 9),
        ),
        ("high half of the seed", NoiseKey::new(23 + (1 << 32), 5, 9)),
        ("index and stream exchanged", NoiseKey::new(23, 9, 5)),
    ] {
        assert_uncorrelated(what, &base, &filled(key, 0, N));
    }
}

#[test]
fn neighbouring_elements_are_uncorrelated() {
    const N: usize = 1_000_000;
    let draws = filled(NoiseKey::new(25, 0, 0), 0, N + 64);
    for lag in [1, 2, 3, 4, 8, 64] {
        assert_uncorrelated(&format!("lag {lag}"), &draws[..N], &draws[lag..lag + N]);
    }
    // Lanes by themselves: in the whole, a pair's correlation would be diluted by the other pairs.
    let lane = |l: usize| draws.iter().skip(l).step_by(4).copied().collect::<Vec<_>>();
    for (a, b) in [(0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2)] {
        assert_uncorrelated(&format!("lanes {a} and {b}"), &lane(a), &lane(b));
    }
}

/// One element across many draws or streams: the direction in which a posterior is sampled.
#[test]
fn one_element_over_draws_and_streams_is_standard_normal() {
    const N: u64 = 200_000;
    let over_draws: Vec<_> = (0..N)
        .map(|i| NoiseKey::new(26, i, 3).standard_normal_at(17))
        .collect();
    let over_streams: Vec<_> = (0..N)
        .map(|i| NoiseKey::new(26, 3, i as u32).standard_normal_at(17))
        .collect();
    for values in [&over_draws, &over_streams] {
        let n = values.len();
        let m = mean(values.iter().map(|z| f64::from(*z)), n);
        assert_within_five_standard_errors("mean", m, 0.0, (1.0 / n as f64).sqrt());
        let m2 = mean(values.iter().map(|z| f64::from(*z).powi(2)), n);
        assert_within_five_standard_errors("mean square", m2, 1.0, (2.0 / n as f64).sqrt());
        assert_uncorrelated("neighbours", &values[1..], &values[..n - 1]);
    }
}
