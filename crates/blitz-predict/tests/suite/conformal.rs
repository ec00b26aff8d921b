//! Conformal prediction: against the code of Angelopoulos & Bates' tutorial (see `calibration_reference.py`), and the
//! coverage it promises.

use blitz_predict::blitz_noise::NoiseKey;
use blitz_predict::calibration::*;
use blitz_predict::{InputError, Interval};

use crate::{calibration_reference as reference, standard_errors_off};

fn intervals(lower: &[f64], upper: &[f64]) -> Vec<Interval> {
    let ends = lower.iter().zip(upper);
    ends.map(|(lower, upper)| Interval {
        lower: *lower,
        upper: *upper,
    })
    .collect()
}

#[test]
fn radius_factor_and_correction_are_the_tutorials() {
    let (mean, std, y) = (&reference::MEAN, &reference::STD, &reference::TARGET);
    let own = intervals(&reference::LOWER, &reference::UPPER);
    for (level, radius, factor, correction) in [
        (
            0.8,
            reference::RADIUS_80,
            reference::FACTOR_80,
            reference::CORRECTION_80,
        ),
        (
            0.9,
            reference::RADIUS_90,
            reference::FACTOR_90,
            reference::CORRECTION_90,
        ),
    ] {
        assert_eq!(SplitConformal::fit(mean, y, level).radius, radius);
        assert_eq!(
            NormalizedSplitConformal::fit(mean, std, y, level).factor,
            factor
        );
        assert_eq!(
            ConformalQuantiles::fit(&own, y, level).correction,
            correction
        );
    }
}

#[test]
fn sets_are_the_tutorials() {
    let (p, labels) = (&reference::PROBABILITIES, &reference::LABELS);
    let aps = AdaptiveSetsConfig::new(0.7);
    let raps = aps.with_penalty(0.1, 1);
    for (config, threshold, expected) in [
        (aps, reference::APS_THRESHOLD, &reference::APS_SETS),
        (raps, reference::RAPS_THRESHOLD, &reference::RAPS_SETS),
    ] {
        let fit = config.fit(p, 3, labels);
        assert!((fit.threshold - threshold).abs() < 1e-12, "{fit:?}");
        let bits = |set: Vec<usize>| set.into_iter().map(|class| 1 << class).sum::<usize>();
        let sets: Vec<usize> = fit.apply(p).into_iter().map(bits).collect();
        assert_eq!(sets, expected);
        // A threshold that lost its last digit in a file.
        let mut stored = fit.clone();
        for threshold in [fit.threshold.next_down(), fit.threshold.next_up()] {
            stored.threshold = threshold;
            assert_eq!(stored.apply(p), fit.apply(p));
        }
    }
}

#[test]
fn the_quantile_is_the_one_of_a_finite_sample() {
    let scores = |n: u32| (1..=n).rev().map(f64::from).collect::<Vec<_>>();
    // ⌈(n + 1) level⌉, also where the product is whole in numbers but not in floats: 0.55 · 100, 0.7 · 10.
    for (n, level, expected) in [
        (99, 0.55, 55.0),
        (9, 0.7, 7.0),
        (19, 0.95, 19.0),
        (20, 0.95, 20.0),
        (10, 0.5, 6.0),
        (1, 0.5, 1.0),
    ] {
        assert_eq!(
            conformal_quantile(&scores(n), level),
            expected,
            "{n} {level}"
        );
    }
}

#[test]
fn too_few_examples_for_a_level_are_refused_with_the_number_it_needs() {
    for (level, needed) in [(0.9, 9), (0.95, 19), (0.99, 99), (0.5, 1), (0.8, 4)] {
        let scores = vec![1.0; needed - 1];
        let error = InputError::TooFewExamples {
            level,
            needed,
            got: needed - 1,
        };
        assert_eq!(try_conformal_quantile(&scores, level), Err(error));
        assert_eq!(try_conformal_quantile(&vec![1.0; needed], level), Ok(1.0));
    }
    let error = SplitConformal::try_fit(&[0.0; 8], &[0.0; 8], 0.9).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("needs at least 9 calibration examples, got 8"),
        "{error}"
    );
}

#[test]
fn a_correction_that_turns_an_interval_inside_out_leaves_its_middle() {
    let conformal = ConformalQuantiles {
        correction: -1.0,
        level: 0.5,
    };
    let own = intervals(&[0.0, 0.0], &[1.0, 4.0]);
    assert_eq!(conformal.apply(&own), intervals(&[0.5, 1.0], &[0.5, 3.0]));
    // Of two ends whose sum is beyond the numbers.
    let conformal = ConformalQuantiles {
        correction: -1e308,
        level: 0.5,
    };
    let middle = conformal.apply(&intervals(&[1e308], &[1.5e308]));
    assert_eq!(middle, intervals(&[1.25e308], &[1.25e308]));
}

#[test]
fn a_wrong_setting_or_input_is_named() {
    let p = [0.5, 0.5].repeat(20);
    let labels = [0; 20];
    let message = |result: Result<AdaptiveSets, InputError>| result.unwrap_err().to_string();
    let negative = AdaptiveSetsConfig::new(0.9)
        .with_penalty(-1.0, 0)
        .try_fit(&p, 2, &labels);
    assert!(message(negative).contains("a penalty must be finite and not negative, got -1"));
    let percent = AdaptiveSetsConfig::new(90.0).try_fit(&p, 2, &labels);
    assert!(message(percent).contains("a level must be inside (0, 1), got 90"));
    let label = AdaptiveSetsConfig::new(0.9).try_fit(&p, 2, &[7; 20]);
    assert!(message(label).contains("there is no class 7 among 2"));
    let crossed = ConformalQuantiles::try_fit(&intervals(&[1.0], &[0.0]), &[0.0], 0.5);
    assert!(crossed.unwrap_err().to_string().contains("got [1, 0]"));
    let all =
        ConformalQuantiles::try_fit(&intervals(&[-f64::INFINITY], &[f64::INFINITY]), &[0.0], 0.5);
    assert!(
        all.unwrap_err()
            .to_string()
            .contains("distance from the interval 0 must be finite, got -inf")
    );
    let std = NormalizedSplitConformal::try_fit(&[0.0], &[0.0], &[1.0], 0.5).unwrap_err();
    assert!(
        std.to_string()
            .contains("deviation 0 must be positive and finite, got 0")
    );
}

#[test]
fn classes_of_probability_zero_are_in_no_set_that_a_sure_class_ends() {
    for level in [0.5, 0.9] {
        for (p, set) in [
            (vec![1.0, 0.0, 0.0], vec![0]),
            (vec![0.5, 0.5, 0.0], vec![0, 1]),
            // Sums that are 1 to the last digit before the last class.
            (vec![1.0, 1e-20, 1e-30], vec![0]),
            (vec![0.7, 0.2, 0.1, 0.0], vec![0, 1, 2]),
        ] {
            let classes = p.len();
            let labels = vec![*set.last().unwrap(); 100];
            let fit = AdaptiveSetsConfig::new(level).fit(&p.repeat(100), classes, &labels);
            assert_eq!(fit.apply(&p.repeat(100)), vec![set; 100], "{p:?} {fit:?}");
        }
    }
}

#[test]
fn impossible_classes_that_happen_are_in_the_sets_that_the_level_needs() {
    // Two in ten labels had probability 0: at a level of 0.9 the sets must hold more than the sure class.
    let p = [1.0, 0.0, 0.0].repeat(100);
    let labels: Vec<usize> = (0..100).map(|i| usize::from(i % 5 == 0)).collect();
    let fit = AdaptiveSetsConfig::new(0.9).fit(&p, 3, &labels);
    assert_eq!(fit.apply(&p[..3]), [vec![0, 1]]);
    let fit = AdaptiveSetsConfig::new(0.75).fit(&p, 3, &labels);
    assert_eq!(fit.apply(&p[..3]), [vec![0]]);
}

#[test]
fn sums_that_are_equal_but_for_rounding_tie() {
    // 0.7 + 0.2 is below 0.9, 0.5 + 0.4 is not, and 0.3 + 0.3 + 0.3 is 0.9 as well.
    let rows = [
        [0.7, 0.2, 0.1, 0.0],
        [0.5, 0.4, 0.1, 0.0],
        [0.8, 0.1, 0.1, 0.0],
        [0.6, 0.3, 0.1, 0.0],
    ];
    for row in rows {
        let fit = AdaptiveSetsConfig::new(0.75).fit(&row.repeat(20), 4, &[1; 20]);
        for other in rows {
            assert_eq!(fit.apply(&other), [vec![0, 1]], "{row:?} {other:?}");
        }
    }
    // Rows that sum to 1 as f32 does: their last class has the score 1 all the same.
    let rows = [0.3f32, 0.6, 0.1, 0.15, 0.05, 0.8, 0.7, 0.1, 0.2].map(f64::from);
    let fit = AdaptiveSetsConfig::new(0.9).fit(&rows.repeat(10), 3, &[2, 1, 1].repeat(10));
    assert_eq!((fit.threshold, fit.rank), (1.0, 3));
    assert!(fit.apply(&rows).iter().all(|set| set.len() == 3));
}

#[test]
fn sets_without_a_rank_in_their_file_are_limited_by_their_threshold_alone() {
    let json = r#"{"threshold":1.0,"classes":2,"config":{"level":0.9,"penalty":0.0,"free_classes":0,"seed":null}}"#;
    let fit: AdaptiveSets = serde_json::from_str(json).unwrap();
    assert_eq!(fit.apply(&[1.0, 0.0]), [vec![0, 1]]);
}

/// Decimal fractions, whose differences are rounded.
fn tenths(from: i32, to: i32) -> impl Iterator<Item = f64> + Clone {
    (from..=to).map(|i| f64::from(i) / 10.0)
}

#[test]
fn an_interval_holds_the_targets_whose_score_is_the_threshold() {
    for mean in tenths(-20, 20) {
        for y in tenths(-30, 30) {
            // Of one example at level ½, its own score.
            let fit = SplitConformal::fit(&[mean], &[y], 0.5);
            assert!(fit.apply(&[mean])[0].contains(y), "{mean} {y} {fit:?}");
            for std in [0.1, 0.3, 0.7, 1.1, 3.0] {
                let fit = NormalizedSplitConformal::fit(&[mean], &[std], &[y], 0.5);
                let interval = fit.apply(&[mean], &[std])[0];
                assert!(interval.contains(y), "{mean} {std} {y} {fit:?}");
            }
            for upper in tenths(-10, 20).filter(|upper| mean <= *upper) {
                let own = intervals(&[mean], &[upper]);
                let fit = ConformalQuantiles::fit(&own, &[y], 0.5);
                let interval = fit.apply(&own)[0];
                // One that is turned inside out becomes its middle.
                let inside_out = fit.correction < 0.0 && interval.width() == 0.0;
                assert!(
                    interval.contains(y) || inside_out,
                    "{own:?} {y} {fit:?} {interval:?}"
                );
            }
        }
    }
}

#[test]
fn an_interval_is_wider_than_its_score_by_rounding_alone() {
    for mean in tenths(-20, 20) {
        for radius in tenths(0, 20) {
            let fit = SplitConformal { radius, level: 0.5 };
            let interval = fit.apply(&[mean])[0];
            assert!((interval.lower - (mean - radius)).abs() < 1e-15 * 8.0);
            assert!((interval.upper - (mean + radius)).abs() < 1e-15 * 8.0);
        }
    }
}

#[test]
fn tied_residuals_are_covered_at_their_level() {
    // Counts and their rounded predictions: residuals of a few values, of which a rounded interval would lose some.
    let noise = NoiseKey::new(23, 0, 0);
    let mut covered = Vec::new();
    for repetition in 0..400u64 {
        let tenth = |i: u64| {
            (f64::from(noise.standard_normal_at(repetition * 200 + i)) * 5.0).round() / 10.0
        };
        let (mean, y): (Vec<f64>, Vec<f64>) =
            (0..60).map(|i| (tenth(2 * i), tenth(2 * i + 1))).unzip();
        let fit = SplitConformal::fit(&mean[..20], &y[..20], 0.8);
        let intervals = fit.apply(&mean[20..]);
        covered.push(blitz_predict::score::interval_coverage(
            &intervals,
            &y[20..],
        ));
    }
    // More than the level where scores tie, never less.
    let k = standard_errors_off(&covered, 0.8);
    assert!(k > -5.0, "{k:.1} standard errors off");
}

/// A regression whose noise grows, and a model that gets mean and deviation wrong.
struct Regression {
    mean: Vec<f64>,
    std: Vec<f64>,
    target: Vec<f64>,
}

impl Regression {
    fn new(repetition: u64, n: usize) -> Self {
        let noise = NoiseKey::new(21, repetition, 0);
        let normal = |i: usize| f64::from(noise.standard_normal_at(i as u64));
        let x: Vec<f64> = (0..n).map(|i| normal(2 * i)).collect();
        let noisy = |(i, x): (usize, &f64)| x + (0.3 + x.abs()) * normal(2 * i + 1);
        Self {
            mean: x.iter().map(|x| 0.7 * x + 0.2).collect(),
            std: x.iter().map(|x| 0.5 + 0.3 * x.abs()).collect(),
            target: x.iter().enumerate().map(noisy).collect(),
        }
    }

    fn own_intervals(&self) -> Vec<Interval> {
        let ends = |k: f64| -> Vec<f64> {
            let pairs = self.mean.iter().zip(&self.std);
            pairs.map(|(m, s)| m + k * s).collect()
        };
        intervals(&ends(-0.8), &ends(1.2))
    }

    /// The examples up to `n`, and those after.
    fn split(mut self, n: usize) -> (Self, Self) {
        let rest = Self {
            mean: self.mean.split_off(n),
            std: self.std.split_off(n),
            target: self.target.split_off(n),
        };
        (self, rest)
    }
}

const REPETITIONS: u64 = 1500;
const CALIBRATION: usize = 30;
const TEST: usize = 20;

/// Coverage is `⌈(n + 1) level⌉/(n + 1)` exactly where scores don't tie, over many calibration sets; these are
/// independent, the tests of one are not.
fn assert_covers(level: f64, coverage: impl Fn(Regression, Regression) -> Vec<Interval>) {
    let shares: Vec<f64> = (0..REPETITIONS)
        .map(|repetition| {
            let (calibration, test) =
                Regression::new(repetition, CALIBRATION + TEST).split(CALIBRATION);
            let target = test.target.clone();
            let intervals = coverage(calibration, test);
            blitz_predict::score::interval_coverage(&intervals, &target)
        })
        .collect();
    let n = CALIBRATION as f64 + 1.0;
    let k = standard_errors_off(&shares, (n * level).ceil() / n);
    assert!(k.abs() < 5.0, "{level}: {k:.1} standard errors off");
}

#[test]
fn split_conformal_intervals_cover_at_their_level() {
    for level in [0.5, 0.8, 0.95] {
        assert_covers(level, |calibration, test| {
            SplitConformal::fit(&calibration.mean, &calibration.target, level).apply(&test.mean)
        });
        assert_covers(level, |calibration, test| {
            NormalizedSplitConformal::fit(
                &calibration.mean,
                &calibration.std,
                &calibration.target,
                level,
            )
            .apply(&test.mean, &test.std)
        });
    }
}

#[test]
fn conformalized_quantiles_cover_at_their_level() {
    // At 0.5 the model's own intervals are too wide and move in.
    for level in [0.5, 0.8, 0.95] {
        assert_covers(level, |calibration, test| {
            ConformalQuantiles::fit(&calibration.own_intervals(), &calibration.target, level)
                .apply(&test.own_intervals())
        });
    }
}

/// Labels from `softmax(z)`, for a model that believes `softmax(2 z + offset)`.
fn classes(repetition: u64, n: usize) -> (Vec<f64>, Vec<usize>) {
    const CLASSES: usize = 5;
    let noise = NoiseKey::new(22, repetition, 0);
    let (mut p, mut labels) = (Vec::new(), Vec::new());
    for i in 0..n {
        let at = |k: usize| f64::from(noise.standard_normal_at((i * 2 * CLASSES + k) as u64));
        let z: Vec<f64> = (0..CLASSES).map(at).collect();
        // Another choice than by Gumbel noise, as far as coverage goes: any distribution will do.
        let noisy = |c: usize| z[c] + at(CLASSES + c);
        labels.push((1..CLASSES).fold(0, |best, c| if noisy(c) > noisy(best) { c } else { best }));
        let weights: Vec<f64> = z
            .iter()
            .enumerate()
            .map(|(c, z)| (2.0 * z + 0.3 * c as f64).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        p.extend(weights.iter().map(|w| w / sum));
    }
    (p, labels)
}

/// The share of labels in their sets, and the mean size, for each repetition.
fn coverage_and_size(config: impl Fn(u64) -> AdaptiveSetsConfig) -> (Vec<f64>, Vec<f64>) {
    let mut coverage = Vec::new();
    let mut size = Vec::new();
    for repetition in 0..REPETITIONS {
        let (p, labels) = classes(repetition, CALIBRATION + TEST);
        let (calibration, test) = p.split_at(5 * CALIBRATION);
        let fit = config(repetition).fit(calibration, 5, &labels[..CALIBRATION]);
        let sets = fit.apply(test);
        let pairs = sets.iter().zip(&labels[CALIBRATION..]);
        let covered = pairs.filter(|(set, label)| set.contains(label)).count();
        coverage.push(covered as f64 / TEST as f64);
        size.push(sets.iter().map(Vec::len).sum::<usize>() as f64 / TEST as f64);
    }
    (coverage, size)
}

#[test]
fn adaptive_sets_cover_at_their_level_and_randomized_ones_no_more() {
    for level in [0.6, 0.9] {
        for penalty in [0.0, 0.2] {
            let config = AdaptiveSetsConfig::new(level).with_penalty(penalty, 1);
            let n = CALIBRATION as f64 + 1.0;
            let exact = (n * level).ceil() / n;
            // The score of the last class is a sum that ties, so there may be more, not less.
            let (coverage, size) = coverage_and_size(|_| config);
            let k = standard_errors_off(&coverage, exact);
            assert!(k > -5.0, "{config:?}: {k:.1} standard errors off");
            let (coverage, randomized_size) = coverage_and_size(|seed| config.with_seed(seed));
            let k = standard_errors_off(&coverage, exact);
            assert!(
                k.abs() < 5.0,
                "{config:?} randomized: {k:.1} standard errors off"
            );
            let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
            assert!(mean(&randomized_size) < mean(&size));
        }
    }
}

#[test]
fn randomized_sets_follow_from_the_seed() {
    let (p, labels) = classes(0, 100);
    let config = AdaptiveSetsConfig::new(0.8);
    let sets = |seed| config.with_seed(seed).fit(&p, 5, &labels).apply(&p);
    assert_eq!(sets(1), sets(1));
    assert_ne!(sets(1), sets(2));
}

#[test]
fn randomized_sets_that_are_made_one_by_one_cover_as_those_at_once() {
    // All rows alike: the share of a class is all that tells whether it is in the set.
    let n = 999;
    let labels: Vec<usize> = (0..n).map(|i| usize::from(i % 100 == 0)).collect();
    let p = [0.99, 0.01].repeat(n);
    let adaptive = AdaptiveSetsConfig::new(0.9)
        .with_seed(4)
        .fit(&p, 2, &labels);
    let sorted = SortedSetsConfig::new(0.9, 0.1)
        .with_seed(4)
        .fit(&p, 2, &labels);
    let row = &p[..2];
    let one_by_one: [Vec<Vec<usize>>; 2] = [
        (0..n).flat_map(|i| adaptive.apply_from(i, row)).collect(),
        (0..n).flat_map(|i| sorted.apply_from(i, row)).collect(),
    ];
    assert_eq!(one_by_one, [adaptive.apply(&p), sorted.apply(&p)]);
    for sets in one_by_one {
        let covered = sets.iter().filter(|set| set.contains(&0)).count() as f64;
        // Class 0 is the label of 99 %, and in the sets of 90 of 99 of them. Calibration and application are random:
        // √(2 · 0.09 / 999) = 0.013.
        assert!(
            (covered / n as f64 - 0.909).abs() < 5.0 * 0.014,
            "{covered}"
        );
    }
}

#[test]
fn fitted_intervals_and_sets_come_back_from_json() {
    let (p, labels) = classes(0, 100);
    let fit = AdaptiveSetsConfig::new(0.8)
        .with_seed(u64::MAX)
        .with_penalty(0.125, 2)
        .fit(&p, 5, &labels);
    let back: AdaptiveSets = serde_json::from_str(&serde_json::to_string(&fit).unwrap()).unwrap();
    assert_eq!(back.config, fit.config);
    assert!((back.threshold - fit.threshold).abs() < 1e-14);
    let fit = ConformalQuantiles {
        correction: -0.25,
        level: 0.5,
    };
    let json = serde_json::to_string(&fit).unwrap();
    assert_eq!(json, r#"{"correction":-0.25,"level":0.5}"#);
    assert_eq!(
        serde_json::from_str::<ConformalQuantiles>(&json).unwrap(),
        fit
    );
}

#[test]
fn sets_by_probability_and_by_rank_cover_at_their_level() {
    let noise = NoiseKey::new(29, 0, 0);
    let (classes, calibration, test) = (4, 50, 50);
    let n = (calibration + test) as u64;
    let mut covered = [Vec::new(), Vec::new(), Vec::new()];
    for repetition in 0..300u64 {
        let normal = |i: u64| f64::from(noise.standard_normal_at(repetition * 1000 * n + i));
        let (mut logits, mut labels) = (Vec::new(), Vec::new());
        for i in 0..n {
            // A model that knows the label's logit, with noise and too sure.
            let z: Vec<f64> = (0..4).map(|c| normal(16 * i + c)).collect();
            let noisy = |c: usize| z[c] + normal(16 * i + 4 + c as u64);
            labels.push(
                (1..classes).fold(0, |best, c| if noisy(c) > noisy(best) { c } else { best }),
            );
            logits.extend(z.iter().map(|z| 3.0 * z));
        }
        let p = TemperatureScaling { temperature: 1.0 }.apply(&logits, classes);
        let (fit_p, test_p) = p.split_at(calibration * classes);
        let (fit_labels, test_labels) = labels.split_at(calibration);
        let rank = SortedSetsConfig::new(0.8, 0.2);
        let sets = [
            LeastAmbiguousSets::fit(fit_p, classes, fit_labels, 0.8).apply(test_p),
            rank.fit(fit_p, classes, fit_labels).apply(test_p),
            rank.with_seed(repetition)
                .fit(fit_p, classes, fit_labels)
                .apply(test_p),
        ];
        for (covered, sets) in covered.iter_mut().zip(&sets) {
            let hits = sets
                .iter()
                .zip(test_labels)
                .filter(|(set, label)| set.contains(label));
            covered.push(hits.count() as f64 / test as f64);
        }
    }
    // ⌈51 · 0.8⌉ of 51 ranks: where scores don't tie, this is the coverage exactly.
    for covered in &covered {
        let k = standard_errors_off(covered, 41.0 / 51.0);
        assert!(k.abs() < 5.0, "{k:.1} standard errors off");
    }
}

#[test]
fn sets_by_probability_and_by_rank_refuse_what_they_cannot_use() {
    let p = [0.5, 0.5].repeat(9);
    let message = |error: InputError| error.to_string();
    let few = LeastAmbiguousSets::try_fit(&p[..8], 2, &[0; 4], 0.9).unwrap_err();
    assert!(message(few).contains("needs at least 9 calibration examples, got 4"));
    let weight = SortedSetsConfig::new(0.9, f64::NAN)
        .try_fit(&p, 2, &[0; 9])
        .unwrap_err();
    assert!(
        message(weight).contains("the weight of a rank must be finite and not negative, got NaN")
    );
    let percent = LeastAmbiguousSets::try_fit(&p, 2, &[0; 9], 90.0).unwrap_err();
    assert!(message(percent).contains("a level must be inside (0, 1), got 90"));
    // Both classes of every row tie at the threshold: all in, with what comes back from a file, too.
    let fit = LeastAmbiguousSets::fit(&[0.3, 0.7].repeat(9), 2, &[0; 9], 0.9);
    let json = serde_json::to_string(&fit).unwrap();
    let back: LeastAmbiguousSets = serde_json::from_str(&json).unwrap();
    assert_eq!(back.apply(&[0.3, 0.7, 0.29, 0.71]), [vec![1, 0], vec![1]]);
    let fit = SortedSetsConfig::new(0.9, 0.1)
        .with_seed(3)
        .fit(&p, 2, &[0; 9]);
    let back: SortedSets = serde_json::from_str(&serde_json::to_string(&fit).unwrap()).unwrap();
    assert_eq!(back.apply(&p), fit.apply(&p));
    for refused in [
        r#"{"threshold":0.9,"level":0.9,"classes":0}"#,
        r#"{"threshold":0.9,"bound":-0.1,"level":0.9,"classes":2}"#,
        r#"{"threshold":0.9,"bound":1.1,"level":0.9,"classes":2}"#,
    ] {
        assert!(
            serde_json::from_str::<LeastAmbiguousSets>(refused).is_err(),
            "{refused}"
        );
    }
}

/// `1 − p` is 1 for each of them.
#[test]
fn probabilities_below_a_rounding_of_one_are_told_apart() {
    let row = |p: f64| [1.0 - p, p, 0.0];
    let p: Vec<f64> = (0..9).flat_map(|i| row(1e-20 * f64::from(i + 1))).collect();
    let fit = LeastAmbiguousSets::fit(&p, 3, &[1; 9], 0.8);
    assert_eq!((fit.threshold, fit.bound), (1.0, Some(2e-20)));
    let new: Vec<f64> = [1.9e-20, 2e-20, 0.5].map(row).concat();
    let sets = [vec![0], vec![0, 1], vec![0, 1]];
    assert_eq!(fit.apply(&new), sets);
    let json = serde_json::to_string(&fit).unwrap();
    let back: LeastAmbiguousSets = serde_json::from_str(&json).unwrap();
    assert_eq!(back.apply(&new), sets);
    // What was saved without the bound is read as it was.
    let before = r#"{"threshold":0.75,"level":0.8,"classes":3}"#;
    let before: LeastAmbiguousSets = serde_json::from_str(before).unwrap();
    assert_eq!(before.apply(&[0.25, 0.5, 0.25, 0.24, 0.52, 0.24])[1], [1]);
    assert_eq!(before.apply(&[0.25, 0.5, 0.25])[0].len(), 3);
}
