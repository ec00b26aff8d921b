//! Mixtures of every kind of component. Expected numbers are printed by `mixtures_reference.py`.

use blitz_predict::blitz_noise::PhiloxRng;
use blitz_predict::calibration::QuantileRecalibration;
use blitz_predict::distribution::{
    Bernoulli, Distribution, Laplace, NegativeBinomial, Normal, Poisson, StudentT, Support,
};
use blitz_predict::score::{
    interval_score, normal_crps, normal_nll, sample_crps, sample_wasserstein, sharpness,
};
use blitz_predict::{CategoricalMixture, Interval, Mixture, NormalMixture, Predictive as _};
use proptest::prelude::*;

use crate::survival_reference::{UPPER_QUANTILES, WAITING_QUANTILE};

fn of<C: Distribution>(components: Vec<C>) -> Mixture<C> {
    Mixture::from_draws(components.into_iter().map(|c| vec![c]), 1)
}

fn poissons(rates: &[f64]) -> Mixture<Poisson> {
    of(rates
        .iter()
        .map(|rate| Poisson {
            log_rate: rate.ln(),
        })
        .collect())
}

fn normals(parts: &[(f64, f64)]) -> Mixture<Normal> {
    of(parts
        .iter()
        .map(|(mean, std)| Normal {
            mean: *mean,
            std: *std,
        })
        .collect())
}

/// A waiting time of mean `1 / rate`, whose quantiles are searched for.
#[derive(Debug, Clone)]
struct Waiting {
    rate: f64,
}

impl Distribution for Waiting {
    const SUPPORT: Support = Support::Continuous;

    fn is_valid(&self) -> bool {
        self.rate > 0.0
    }
    fn ln_pdf(&self, y: f64) -> f64 {
        self.rate.ln() - self.rate * y
    }
    fn cdf(&self, y: f64) -> f64 {
        -(-self.rate * y.max(0.0)).exp_m1()
    }
    fn survival(&self, y: f64) -> f64 {
        (-self.rate * y.max(0.0)).exp()
    }
    fn mean(&self) -> f64 {
        self.rate.recip()
    }
    fn variance(&self) -> f64 {
        self.rate.powi(-2)
    }
    fn sample(&self, _: &mut PhiloxRng) -> f64 {
        unreachable!("nobody samples it")
    }
}

/// Three draws of N(0, 1) and one of N(4, 3).
fn skewed() -> Mixture<Normal> {
    normals(&[(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (4.0, 3.0)])
}

#[test]
fn quantiles_agree_with_scipys_root_finder_and_with_counting() {
    let t = of([(0.0, 1.0), (2.0, 0.5)]
        .map(|(location, scale)| StudentT {
            location,
            scale,
            degrees_of_freedom: 3.0,
        })
        .to_vec());
    let expected = [
        (0.01, -3.537830927117375),
        (0.5, 1.3333333333333337),
        (0.975, 3.476793415205578),
    ];
    for (p, expected) in expected {
        assert!((t.quantile(p)[0] - expected).abs() < 1e-9, "{p}");
    }
    let counts = poissons(&[2.0, 30.0]);
    let got = [0.01, 0.25, 0.5, 0.75, 0.99].map(|p| counts.quantile(p)[0]);
    assert_eq!(got, [0.0, 2.0, 10.0, 30.0, 42.0]);
}

/// By `survival_reference.py`.
#[test]
fn quantiles_of_a_mixture_have_their_digits_at_both_ends() {
    let near = |got: f64, expected: f64| {
        assert!(
            (got - expected).abs() < 1e-13 * expected.abs(),
            "{got} for {expected}"
        );
    };
    let (mixture, mirrored) = (
        normals(&[(0.0, 1.0), (0.1, 1.0)]),
        normals(&[(0.0, 1.0), (-0.1, 1.0)]),
    );
    for (p, expected) in UPPER_QUANTILES {
        near(mixture.quantile(*p)[0], *expected);
        near(mirrored.quantile(1.0 - p)[0], -expected);
    }
    let (interval, reverse) = (
        mixture.interval(0.9999999999)[0],
        mirrored.interval(0.9999999999)[0],
    );
    near(interval.lower, -reverse.upper);
    near(interval.upper, -reverse.lower);

    // Of a distribution of one's own, whose quantiles are searched for.
    let far = of(vec![Waiting { rate: 1.0 }, Waiting { rate: 1.5 }]);
    near(
        Waiting { rate: 2.0 }.quantile(1.0 - 2f64.powi(-50)),
        25.0 * std::f64::consts::LN_2,
    );
    near(far.quantile(1.0 - 2f64.powi(-50))[0], WAITING_QUANTILE);
}

#[test]
fn the_shortest_interval_of_a_skewed_mixture_is_scipys() {
    for (level, lower, upper) in [
        (0.5, -0.8723364240643038, 0.9325683777752433),
        (0.9, -2.2005812335098844, 5.245765269468603),
    ] {
        let interval = skewed().highest_density_interval(level)[0];
        // The width is flat at its minimum: the ends are known to the root of its precision.
        assert!((interval.lower - lower).abs() < 1e-5, "{interval:?}");
        assert!((interval.upper - upper).abs() < 1e-5, "{interval:?}");
        assert!((interval.width() - (upper - lower)).abs() < 1e-9);
        // Clearly shorter than the central one.
        assert!(interval.width() < 0.99 * skewed().interval(level)[0].width());
    }
    let interval = poissons(&[4.5]).highest_density_interval(0.9)[0];
    assert_eq!((interval.lower, interval.upper), (1.0, 7.0));
}

#[test]
fn the_shortest_interval_of_large_counts_is_that_of_trying_all() {
    for (mean, dispersion, level) in [
        (1e5f64, 0.7, 0.9),
        (2e4, 0.3, 0.5),
        (3e4, 0.45, 0.95),
        (2e4, 0.3, 0.3),
    ] {
        let counts = NegativeBinomial {
            log_mean: mean.ln(),
            dispersion,
        };
        let mut below = vec![0.0];
        while *below.last().unwrap() < 1.0 - 1e-9 {
            let y = below.len() - 1;
            below.push(below[y] + counts.ln_pdf(y as f64).exp());
        }
        // From each start, the first end at which enough is held.
        let (mut end, mut shortest) = (0, usize::MAX);
        for start in 0..below.len() {
            while end < below.len() && below[end] - below[start] < level {
                end += 1;
            }
            if end < below.len() {
                shortest = shortest.min(end - 1 - start);
            }
        }
        let interval = of(vec![counts]).highest_density_interval(level)[0];
        assert_eq!(
            interval.width(),
            shortest as f64,
            "{counts:?} {level}: {interval:?}"
        );
    }
    // Where neighbours are further apart than whole numbers there is an interval as well.
    let far = NegativeBinomial {
        log_mean: 50.0,
        dispersion: 0.7,
    };
    let far = of(vec![far]);
    assert!(far.highest_density_interval(0.9)[0].width() < far.interval(0.9)[0].width());
}

#[test]
fn the_shortest_interval_of_a_symmetric_distribution_is_the_central_one() {
    for level in [0.2, 0.95] {
        let one = normals(&[(3.0, 2.0)]);
        let (shortest, central) = (
            one.highest_density_interval(level)[0],
            one.interval(level)[0],
        );
        assert!(
            (shortest.lower - central.lower).abs() < 1e-4
                && (shortest.upper - central.upper).abs() < 1e-4
        );
    }
}

fn total_is_the_sum<C: Distribution>(mixture: &Mixture<C>) {
    let [total, epistemic, aleatoric] = [
        mixture.std_dev(),
        mixture.epistemic_std(),
        mixture.aleatoric_std(),
    ]
    .map(|std| std[0] * std[0]);
    assert!(
        (total - epistemic - aleatoric).abs() < 1e-12 * total,
        "{mixture:?}"
    );
    // Against samples: the parts must also be the right ones.
    let n = 20_000;
    let samples: Vec<f64> = mixture.sample(n, 5).into_iter().map(|row| row[0]).collect();
    let n = n as f64;
    let mean = mixture.mean()[0];
    let squares: Vec<f64> = samples.iter().map(|y| (y - mean).powi(2)).collect();
    let variance = squares.iter().sum::<f64>() / n;
    let error = (squares.iter().map(|s| (s - variance).powi(2)).sum::<f64>() / n / n).sqrt();
    let k = (variance - total) / error;
    assert!(
        k.abs() < 5.0,
        "{mixture:?}: {variance} for {total}, {k} standard errors off"
    );
    let k = (samples.iter().sum::<f64>() / n - mean) / (total / n).sqrt();
    assert!(
        k.abs() < 5.0,
        "{mixture:?}: the mean is {k} standard errors off"
    );
}

#[test]
fn total_variance_is_epistemic_plus_aleatoric_and_that_of_samples() {
    total_is_the_sum(&skewed());
    total_is_the_sum(&poissons(&[1.0, 4.0, 20.0]));
    total_is_the_sum(&of(vec![
        Laplace {
            location: 1.0,
            scale: 0.5,
        },
        Laplace {
            location: -1.0,
            scale: 2.0,
        },
    ]));
    total_is_the_sum(&of([7.0, 12.0]
        .map(|degrees_of_freedom| StudentT {
            location: degrees_of_freedom,
            scale: 1.5,
            degrees_of_freedom,
        })
        .to_vec()));
    total_is_the_sum(&of([0.1, 2.0]
        .map(|dispersion| NegativeBinomial {
            log_mean: 1.2,
            dispersion,
        })
        .to_vec()));
    let binary = of([-2.0, 0.3, 1.0].map(|logit| Bernoulli { logit }).to_vec());
    total_is_the_sum(&binary);
    // A binary target's variance is p (1 − p), whatever the parts.
    let p = binary.probability()[0];
    assert!((binary.std_dev()[0].powi(2) - p * (1.0 - p)).abs() < 1e-12);
}

#[test]
fn a_heavy_tail_has_no_variance_but_all_quantiles() {
    let t = of(vec![StudentT {
        location: 1.0,
        scale: 2.0,
        degrees_of_freedom: 1.5,
    }]);
    assert_eq!((t.mean()[0], t.std_dev()[0]), (1.0, f64::INFINITY));
    assert!((t.quantile(0.5)[0] - 1.0).abs() < 1e-12);
    let interval = t.interval(0.9999)[0];
    let mass = t.cdf(&[interval.upper])[0] - t.cdf(&[interval.lower])[0];
    assert!((mass - 0.9999).abs() < 1e-12);
}

#[test]
fn samples_are_made_again_by_seed_however_many_and_differ_otherwise() {
    let mixture = Mixture::from_draws(
        [
            vec![
                Normal {
                    mean: 0.0,
                    std: 1.0
                };
                3
            ],
            vec![
                Normal {
                    mean: 9.0,
                    std: 1.0
                };
                3
            ],
        ],
        1,
    );
    let samples = mixture.sample(4, 7);
    assert_eq!(samples[..2], mixture.sample(2, 7));
    assert_ne!(samples, mixture.sample(4, 8));
    // Examples and samples have noise of their own.
    let mut all: Vec<f64> = samples.concat();
    all.sort_by(f64::total_cmp);
    all.dedup();
    assert_eq!(all.len(), 12);
}

#[test]
fn samples_in_batches_are_those_made_at_once() {
    let normal = |mean| Normal { mean, std: 1.0 };
    let of =
        |means: &[f64]| Mixture::from_draws([means.iter().map(|mean| normal(*mean)).collect()], 1);
    let (all, first, rest) = (of(&[0.0, 0.0, 2.0]), of(&[0.0]), of(&[0.0, 2.0]));
    let parts = first
        .sample(5, 7)
        .into_iter()
        .zip(rest.sample_from(1, 5, 7));
    let parts: Vec<Vec<f64>> = parts.map(|(a, b)| [a, b].concat()).collect();
    assert_eq!(parts, all.sample(5, 7));
    assert_ne!(first.sample(5, 7), first.sample_from(1, 5, 7));

    let of = |examples| CategoricalMixture::from_logits([[0.0, 0.5, 1.0].repeat(examples)], 3);
    let parts = of(2)
        .sample(9, 7)
        .into_iter()
        .zip(of(3).sample_from(2, 9, 7));
    let parts: Vec<Vec<usize>> = parts.map(|(a, b)| [a, b].concat()).collect();
    assert_eq!(parts, of(5).sample(9, 7));
}

#[test]
fn sampled_classes_have_the_mixtures_probabilities() {
    let y = CategoricalMixture::from_logits(
        [vec![2.0, 0.0, -1.0, 0.0], vec![-1.0, 1.0, 0.5, -900.0]],
        4,
    );
    let n = 40_000;
    let mut counts = [0f64; 4];
    for sample in y.sample(n, 3) {
        counts[sample[0]] += 1.0;
    }
    // Pearson's χ² with three degrees of freedom: 30.7 at α = 1e-6.
    let expected = y.probabilities(0).into_iter().map(|p| p * n as f64);
    let chi: f64 = counts
        .iter()
        .zip(expected)
        .map(|(got, e)| (got - e).powi(2) / e)
        .sum();
    assert!(chi < 30.7, "{chi} {counts:?}");
}

#[test]
fn few_draws_have_no_credible_interval() {
    let draws = |n: usize| normals(&(1..=n).map(|i| (i as f64, 5.0)).collect::<Vec<_>>());
    // Of 19 draws the first and the last stand at the 5 % and the 95 % quantile.
    let interval = draws(19).try_credible_interval(0.9).unwrap()[0];
    assert!((interval.lower - 1.0).abs() < 1e-9 && (interval.upper - 19.0).abs() < 1e-9);
    let error = draws(18).try_credible_interval(0.9).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("needs at least 19 of them, got 18"), "{text}");
    assert!(
        draws(198).try_credible_interval(0.99).is_err()
            && draws(199).try_credible_interval(0.99).is_ok()
    );
    // Between the second and the third of 39: at 5 % stands number 2.
    let interval = draws(39).try_credible_interval(0.9).unwrap()[0];
    assert!((interval.lower - 2.0).abs() < 1e-9 && (interval.upper - 38.0).abs() < 1e-9);
    // The mixture's own interval needs no draws in its tails.
    assert!(draws(2).interval(0.99)[0].width() > 20.0);
}

#[test]
fn predictions_in_batches_are_those_made_at_once() {
    let draw = |offset: f64, rows: std::ops::Range<usize>| {
        rows.map(|i| Normal {
            mean: i as f64 + offset,
            std: 1.0 + offset,
        })
        .collect::<Vec<_>>()
    };
    let part = |rows: std::ops::Range<usize>| {
        Mixture::from_draws([0.0, 0.5].map(|offset| draw(offset, rows.clone())), 2)
    };
    let mut y = part(0..4);
    y.append(part(4..10));
    assert_eq!(y, part(0..10));
    assert_eq!((y.examples(), y.len()), (5, 10));
}

#[test]
fn a_component_that_is_no_number_is_named() {
    let draws = [vec![1.0; 4], vec![1.0, 1.0, f64::NAN, 1.0]].map(|means| {
        means
            .into_iter()
            .map(|mean| Normal { mean, std: 1.0 })
            .collect()
    });
    let error = Mixture::try_from_draws(draws, 2).unwrap_err().to_string();
    assert!(
        error.contains("draw 1, example 1: the distribution of target 0 is Normal { mean: NaN"),
        "{error}"
    );
}

#[test]
fn a_target_that_is_missing_has_no_density_and_no_probability() {
    fn check<C: Distribution>(component: C) {
        let y = Mixture::from_draws(vec![vec![component.clone()]; 2], 1);
        let nan = [f64::NAN];
        let all = [y.nll(&nan), y.log_density(&nan), y.cdf(&nan)];
        assert!(
            all.iter().all(|of| of[0].is_nan()),
            "{component:?}: {all:?}"
        );
        // What cannot be is still infinitely unlikely.
        if C::SUPPORT == Support::Discrete {
            assert_eq!(y.nll(&[-1.0]), [f64::INFINITY]);
        }
    }
    check(Normal {
        mean: 0.0,
        std: 1.0,
    });
    check(Laplace {
        location: 0.0,
        scale: 1.0,
    });
    check(StudentT {
        degrees_of_freedom: 4.0,
        location: 0.0,
        scale: 1.0,
    });
    check(Poisson { log_rate: 0.3 });
    // A rate of 0.
    check(Poisson { log_rate: -1e4 });
    check(NegativeBinomial {
        log_mean: 0.3,
        dispersion: 0.5,
    });
    check(NegativeBinomial {
        log_mean: 0.3,
        dispersion: 1e-17,
    });
    check(Bernoulli { logit: 0.4 });
}

#[test]
fn draws_that_agree_have_no_mutual_information_and_no_variation() {
    let same = CategoricalMixture::from_logits(vec![vec![0.3, -1.0, 2.0]; 7], 3);
    assert!(same.mutual_information()[0] < 1e-12);
    assert_eq!(same.variation_ratio(), [0.0]);
    // Two of three draws name the first class.
    let split =
        CategoricalMixture::from_logits([vec![1.0, 0.0], vec![0.1, 0.0], vec![0.0, 5.0]], 2);
    assert!((split.variation_ratio()[0] - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(split.predicted(), [1]);
    let same = of(vec![Bernoulli { logit: 0.4 }; 5]);
    assert!(same.mutual_information()[0] < 1e-12);
}

#[test]
fn binary_entropies_are_those_of_two_classes() {
    let logits = [-2.0, 0.3, 40.0];
    let binary = of(logits.map(|logit| Bernoulli { logit }).to_vec());
    let classes = CategoricalMixture::from_logits(logits.map(|logit| vec![0.0, logit]), 2);
    for (a, b) in [
        (binary.entropy(), classes.entropy()),
        (binary.expected_entropy(), classes.expected_entropy()),
        (binary.mutual_information(), classes.mutual_information()),
        (binary.nll(&[1.0]), classes.nll(&[1])),
    ] {
        assert!((a[0] - b[0]).abs() < 1e-12, "{a:?} {b:?}");
    }
}

/// Quantiles invert the distribution function, and intervals hold what they promise.
fn is_consistent<C: Distribution>(mixture: &Mixture<C>, p: f64) {
    let y = mixture.quantile(p)[0];
    let at = mixture.cdf(&[y])[0];
    let (central, shortest) = (
        mixture.interval(p)[0],
        mixture.highest_density_interval(p)[0],
    );
    // The two ask for quantiles of probabilities that are rounded differently.
    assert!(
        shortest.width() <= central.width() * (1.0 + 1e-12),
        "{mixture:?}: {shortest:?} {central:?}"
    );
    match C::SUPPORT {
        Support::Continuous => {
            // The precision of the argument times the density there.
            let slope = mixture.log_density(&[y])[0].exp();
            let precision = 1e-11 + 1e-13 * slope * (1.0 + y.abs());
            assert!((at - p).abs() < precision, "{mixture:?}: F(Q({p})) = {at}");
            let mass = mixture.cdf(&[shortest.upper])[0] - mixture.cdf(&[shortest.lower])[0];
            assert!(
                (mass - p).abs() < 1e-9,
                "{mixture:?}: {shortest:?} holds {mass}"
            );
        }
        Support::Discrete => {
            assert!(
                at >= p && mixture.cdf(&[y - 1.0])[0] < p,
                "{mixture:?}: Q({p}) = {y}"
            );
            for interval in [central, shortest] {
                let mass =
                    mixture.cdf(&[interval.upper])[0] - mixture.cdf(&[interval.lower - 1.0])[0];
                assert!(mass >= p - 1e-12, "{mixture:?}: {interval:?} holds {mass}");
            }
        }
        other => panic!("{other:?} has tests of its own"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn quantiles_invert_and_intervals_hold(
        parts in prop::collection::vec((-20.0..20.0f64, -4.0..2.0f64), 1..6),
        p in 0.01..0.99f64,
    ) {
        let scaled = |parts: &[(f64, f64)]| parts.iter().map(|(m, s)| (*m, s.exp())).collect::<Vec<_>>();
        let parts = scaled(&parts);
        is_consistent(&normals(&parts), p);
        let map = parts.iter();
        is_consistent(&of(map.clone().map(|(location, scale)| Laplace { location: *location, scale: *scale }).collect()), p);
        is_consistent(&of(map.clone().map(|(location, scale)| StudentT { location: *location, scale: *scale, degrees_of_freedom: 1.0 + scale }).collect()), p);
        is_consistent(&of(map.clone().map(|(m, _)| Poisson { log_rate: 0.3 * m }).collect()), p);
        is_consistent(&of(map.clone().map(|(m, s)| NegativeBinomial { log_mean: 0.3 * m, dispersion: *s }).collect()), p);
        is_consistent(&of(map.map(|(m, _)| Bernoulli { logit: *m }).collect()), p);
    }

    #[test]
    fn mutual_information_is_never_negative_nor_above_the_entropy(
        logits in prop::collection::vec(-30.0..30.0f64, 12),
    ) {
        let y = CategoricalMixture::from_logits(logits.chunks(4).map(<[f64]>::to_vec), 4);
        let (information, entropy) = (y.mutual_information()[0], y.entropy()[0]);
        prop_assert!(information >= 0.0 && information <= entropy + 1e-12);
        // It is bounded by the draws' number too, and the two parts are the whole.
        prop_assert!(information <= 3f64.ln() + 1e-12);
        prop_assert!((information + y.expected_entropy()[0] - entropy).abs() < 1e-9);
        let binary = of(logits.into_iter().map(|logit| Bernoulli { logit }).collect());
        prop_assert!(binary.mutual_information()[0] >= 0.0);
    }
}

#[test]
fn deviations_whose_squares_are_no_numbers_are_themselves() {
    for std in [1e-170, 1e155] {
        let y = NormalMixture::new(vec![vec![0.0]], vec![std], 1);
        assert_eq!((y.aleatoric_std()[0], y.std_dev()[0]), (std, std));
    }
    let y = Mixture::from_draws(
        [vec![Laplace {
            location: 0.0,
            scale: 1e-170,
        }]],
        1,
    );
    assert!((y.std_dev()[0] / (2f64.sqrt() * 1e-170) - 1.0).abs() < 1e-12);
    let t = StudentT {
        location: 0.0,
        scale: 1e160,
        degrees_of_freedom: 4.0,
    };
    let y = Mixture::from_draws([vec![t]], 1);
    assert!((y.std_dev()[0] / (2f64.sqrt() * 1e160) - 1.0).abs() < 1e-12);
    let heavy = StudentT {
        location: 0.0,
        scale: 1.0,
        degrees_of_freedom: 1.5,
    };
    assert_eq!(
        Mixture::from_draws([vec![heavy]], 1).std_dev(),
        [f64::INFINITY]
    );
}

#[test]
fn a_mixture_of_counts_ends_where_its_last_draw_does() {
    let draws = [-800.0, 0.0].map(|log_rate| vec![Poisson { log_rate }]);
    let y = Mixture::from_draws(draws, 1);
    let beyond = QuantileRecalibration::fit(&[1.0; 9]);
    assert_eq!(beyond.quantile(&y, 0.95), [f64::INFINITY]);
    let below = QuantileRecalibration::fit(&[0.0; 9]);
    assert_eq!(below.quantile(&y, 0.05), [0.0]);
}

#[test]
fn intervals_at_one_infinity_have_scores() {
    let low = f64::NEG_INFINITY;
    let nowhere = Interval {
        lower: low,
        upper: low,
    };
    assert_eq!(nowhere.width(), 0.0);
    assert_eq!(sharpness(&[nowhere]), 0.0);
    assert_eq!(interval_score(&[nowhere], &[1.0], 0.9), f64::INFINITY);
}

#[test]
fn mixtures_of_numbers_near_the_largest_have_moments_and_quantiles() {
    let y = NormalMixture::new(vec![vec![-1.5e308], vec![1.5e308]], vec![1.0], 1);
    // A half lies below anything between the two.
    assert!(y.quantile(0.5)[0].abs() < 1.5e308);
    assert_eq!(
        (y.quantile(0.3), y.quantile(0.9)),
        (vec![-1.5e308], vec![1.5e308])
    );
    assert_eq!((y.mean()[0], y.epistemic_std()[0]), (0.0, 1.5e308));
    let y = NormalMixture::new(vec![vec![1.5e308], vec![1.75e308]], vec![1e300], 1);
    assert!((y.mean()[0] / 1.625e308 - 1.0).abs() < 1e-15);
    // Two deviations, whose difference is no number.
    let wide = NormalMixture::new(vec![vec![-1.5e308]], vec![1.5e308], 1);
    assert!((wide.cdf(&[1.5e308])[0] - 0.9772498680518208).abs() < 1e-15);
    assert!((wide.nll(&[1.5e308])[0] - (2.0 + 1.5e308f64.ln() + 0.9189385332046727)).abs() < 1e-9);
    let wide = StudentT {
        location: -1.5e308,
        scale: 1e307,
        degrees_of_freedom: 1.0,
    };
    let quantile = Mixture::from_draws([vec![wide]], 1).quantile(0.99)[0];
    // scipy.stats.t.ppf(0.99, 1)
    assert!(
        (0.1 * quantile / (-1.5e307 + 31.820515953773956 * 1e306) - 1.0).abs() < 1e-12,
        "{quantile}"
    );
    // Its quantile of 0.98 lies 2.05 deviations up, more than the largest number.
    let wide = NormalMixture::new(vec![vec![-1.5e308]], vec![1.5e308], 1);
    let quantile = wide.quantile(0.98)[0];
    assert!(
        (wide.cdf(&[quantile])[0] - 0.98).abs() < 1e-14,
        "{quantile}"
    );
    let means = (0..39).map(|draw| vec![if draw < 20 { -1.7e308 } else { 1.7e308 }]);
    let y = NormalMixture::new(means.collect(), vec![1.0], 1);
    let ends = y.try_credible_interval(0.9).unwrap()[0];
    assert_eq!((ends.lower, ends.upper), (-1.7e308, 1.7e308));
}

#[test]
fn quantiles_beyond_the_numbers_are_those_that_the_mixture_has_there() {
    let normal = |std| vec![Normal { mean: 0.0, std }];
    let y = Mixture::from_draws([normal(1.0), normal(1e308)], 1);
    let quantile = |p| y.quantile(p)[0];
    // At 0.97 that of the wide one is infinite. mpmath: a half of Φ(y / 1e308), and a half.
    let expected = 1.5547735945968535e308;
    for (got, expected) in [
        (quantile(0.97), expected),
        (quantile(0.03), -expected),
        (y.interval(0.94)[0].lower, -expected),
        (y.interval(0.94)[0].upper, expected),
        // mpmath: Φ⁻¹(0.7), between the two components' own 0.25 and 2.5e307.
        (quantile(0.6), 0.5244005127080408),
    ] {
        assert!((got / expected - 1.0).abs() < 1e-12, "{got} for {expected}");
    }
    // As much is beyond the numbers of the mixture itself: Φ(1.8) of the wide one is below.
    assert_eq!(
        (quantile(0.99), quantile(0.01)),
        (f64::INFINITY, f64::NEG_INFINITY)
    );
}

/// Of a hundred draws one believes in a tail without an end: its own quantiles are from 1e168 to infinite.
#[test]
fn one_heavy_tail_among_many_light_ones_leaves_a_mixture_its_quantiles() {
    let t = |degrees_of_freedom| {
        vec![StudentT {
            location: 0.0,
            scale: 1.0,
            degrees_of_freedom,
        }]
    };
    let draws = (0..100).map(|draw| t(if draw == 37 { 0.01 } else { 1e300 }));
    let y = Mixture::from_draws(draws, 1);
    // mpmath: the root of 0.99 (1 − Φ(z)) + 0.01 · ½ I(ν / (ν + z²); ν/2, ½) = 1 − p.
    for (p, expected) in [(0.99, 2.5592293888457245), (0.9999, 3.960440137152482e168)] {
        let got = y.quantile(p)[0];
        // Of the second a rounding of p is a hundred times as large a share, and so is the tail's exponent.
        let bound = if got < 10.0 { 1e-12 } else { 1e-8 };
        assert!((got / expected - 1.0).abs() < bound, "{got} for {expected}");
    }
}

#[test]
fn scores_of_numbers_near_the_largest_are_numbers() {
    let close = |got: f64, expected: f64| {
        assert!((got / expected - 1.0).abs() < 1e-14, "{got} for {expected}");
    };
    // ½ (1.7 + 1.7) − ¼ 3.4
    close(sample_crps(&[1.7e308, -1.7e308], 2, &[0.0]), 0.85e308);
    close(sample_crps(&[1.7e308], 1, &[1.6e308]), 0.1e308);
    let (a, b) = ([1.7e308, -1.7e308], [-1.7e308, 1.7e308]);
    assert_eq!(sample_wasserstein((&a, 2), (&b, 2)), 0.0);
    close(
        sample_wasserstein((&[1.7e308, 1.7e308], 1), (&[0.2e308, 0.2e308], 1)),
        1.5e308,
    );
    assert!(normal_nll(&[-1.5e308], &[1.5e308], &[1.5e308]) < 800.0);
    // √2 − 1 over √π of the deviation.
    let expected = 1.5e308 * (2f64.sqrt() - 1.0) / std::f64::consts::PI.sqrt();
    let got = normal_crps(&[0.0], &[1.5e308], &[0.0]);
    assert!((got / expected - 1.0).abs() < 1e-9, "{got} for {expected}");
}
