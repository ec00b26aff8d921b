//! The metrics as functions: against scikit-learn, properscoring, MAPIE and enumeration (see `score_reference.py`), and
//! the input they refuse.

use blitz_predict::calibration::{HistogramBinning, HistogramClasses};
use blitz_predict::score::*;
use blitz_predict::{CategoricalMixture, InputError, Interval};

use super::close::assert_relatively_close;
use crate::score_reference as reference;

const CLASSES: usize = 4;

#[track_caller]
fn close(got: f64, expected: f64) {
    assert_relatively_close(&[got], &[expected], 1e-12);
}

fn intervals() -> Vec<Interval> {
    let ends = reference::LOWER.iter().zip(&reference::UPPER);
    ends.map(|(lower, upper)| Interval {
        lower: *lower,
        upper: *upper,
    })
    .collect()
}

#[test]
fn of_equal_probabilities_the_first_class_is_the_answer() {
    let p = [0.5, 0.5, 0.2, 0.4, 0.4];
    assert_eq!(accuracy(&p[..2], 2, &[0]), 1.0);
    assert_eq!(accuracy(&p[..2], 2, &[1]), 0.0);
    assert_eq!(accuracy(&p[2..], 3, &[1]), 1.0);
    assert_eq!(accuracy(&p[2..], 3, &[2]), 0.0);
}

#[test]
fn scores_of_classes_agree_with_scikit_learn() {
    let (p, labels) = (&reference::PROBABILITIES, &reference::LABELS);
    let nll = categorical_nll(p, CLASSES, labels);
    close(nll, reference::CATEGORICAL_NLL);
    let accuracy = accuracy(p, CLASSES, labels);
    close(accuracy, reference::ACCURACY);
    close(brier_score(p, CLASSES, labels), reference::BRIER);
}

#[test]
fn macro_averages_agree_with_scikit_learn() {
    let (p, labels) = (&reference::PROBABILITIES, &reference::LABELS);
    let auroc = macro_auroc(p, CLASSES, labels);
    close(auroc, reference::MACRO_AUROC);
    let precision = macro_average_precision(p, CLASSES, labels);
    close(precision, reference::MACRO_AVERAGE_PRECISION);
    close(macro_f1(p, CLASSES, labels), reference::MACRO_F1);
}

#[test]
fn scores_that_tell_classes_apart_refuse_what_they_cannot_score() {
    let empty = |what| InputError::Empty { what };
    assert_eq!(try_auroc(&[1.0], &[true]), Err(empty("negative example")));
    let nothing = try_average_precision(&[1.0], &[false]);
    assert_eq!(nothing, Err(empty("positive example")));
    assert!(try_auroc(&[1.0, f64::NAN], &[true, false]).is_err());
    assert!(try_auroc(&[1.0], &[true, false]).is_err());
    assert_eq!(try_f1_score(&[], &[]), Err(empty("answer")));
    // No example of class 1.
    let error = try_macro_auroc(&[0.5; 4], 2, &[0, 0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "class 0: there must be at least one negative example, got 0"
    );
    assert_eq!(f1_score(&[false; 2], &[false; 2]), 0.0);
    // Two hits, one false alarm, three misses.
    let answers = [true, true, true, false, false, false, false];
    let labels = [true, true, false, true, true, true, false];
    assert!((f1_score(&answers, &labels) - 0.5).abs() < 1e-15);
}

#[test]
fn brier_score_is_reliability_less_resolution_plus_uncertainty() {
    let (p, labels) = (&reference::PROBABILITIES, &reference::LABELS);
    let parts = brier_decomposition(p, CLASSES, labels);
    close(parts.reliability, reference::RELIABILITY);
    close(parts.resolution, reference::RESOLUTION);
    close(parts.uncertainty, reference::UNCERTAINTY);
    assert_eq!(parts.within_bins, 0.0);
    close(parts.score(), reference::BRIER);

    let parts = binned_brier_decomposition(p, CLASSES, labels, 7);
    let [reliability, resolution, within_bins] = reference::BINNED_PARTS;
    close(parts.reliability, reliability);
    close(parts.resolution, resolution);
    close(parts.within_bins, within_bins);
    close(parts.score(), reference::BRIER);
}

#[test]
fn calibration_errors_agree_with_numpy_where_confidences_tie() {
    let (confidence, correct) = (&reference::CONFIDENCE, &reference::CORRECT);
    let ece = expected_calibration_error(confidence, correct, 7);
    close(ece, reference::ECE);
    let adaptive = adaptive_calibration_error(confidence, correct, 7);
    close(adaptive, reference::ADAPTIVE_ECE);
    let (p, labels) = (&reference::PROBABILITIES, &reference::LABELS);
    let classwise = classwise_calibration_error(p, CLASSES, labels, 7);
    close(classwise, reference::CLASSWISE_ECE);
}

#[test]
fn the_k_th_of_n_edges_ends_the_k_th_bin_whatever_type_it_was_computed_in() {
    for n in (1..=300).chain([499, 997, 1000, 1024, 1999, 3000]) {
        let k = 1..=n;
        let exact = k.clone().map(|k| f64::from(k) / f64::from(n));
        let halfway = k.clone().map(|k| (f64::from(k) - 0.5) / f64::from(n));
        let single = k.clone().map(|k| f64::from(k as f32 / n as f32));
        let times = k.clone().map(|k| f64::from(k) * f64::from(n).recip());
        let p: Vec<f64> = exact.chain(halfway).chain(single).chain(times).collect();
        let bins = reliability_bins(&p, &vec![true; p.len()], n as usize);
        // Each bin has its own end four times: the counts can't even out, since a bin has no more.
        let counts: Vec<usize> = bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, vec![4; n as usize], "{n} bins");
        for (k, bin) in k.zip(bins) {
            let mean = (f64::from(k) - 0.125) / f64::from(n);
            assert!((bin.confidence - mean).abs() < 1e-7, "{k} of {n}: {bin:?}");
        }
    }
}

/// The share of `votes` among sure draws, by a mixture's own sums and by those of `f32`.
fn shares(votes: usize, draws: usize) -> Vec<f64> {
    let sure = |draw: usize| vec![if draw < votes { 800.0 } else { -800.0 }, 0.0];
    let of = |order: &mut dyn Iterator<Item = usize>| {
        let logits: Vec<_> = order.map(sure).collect();
        CategoricalMixture::from_logits(logits, 2).probabilities(0)[0]
    };
    let part = 1.0 / draws as f32;
    let single = (0..votes).fold(0.0, |sum: f32, _| sum + part);
    vec![
        of(&mut (0..draws)),
        of(&mut (0..draws).rev()),
        of(&mut (0..draws).map(|i| (7 * i + 3) % draws)),
        f64::from(single.min(1.0)),
    ]
}

#[test]
fn the_share_of_votes_among_sure_draws_is_in_the_bin_that_ends_there() {
    for draws in 2usize..=100 {
        for votes in 1..=draws {
            // One order of the three is none of all draws if 7 divides their number.
            let shares = shares(votes, draws).into_iter().enumerate();
            let shares = shares.filter(|(order, _)| *order != 2 || !draws.is_multiple_of(7));
            let shares: Vec<f64> = shares.map(|(_, share)| share).collect();
            for bins in [2, 3, 7, 10, 12, 15, 20, 50, 99, 100] {
                let expected = (votes * bins).div_ceil(draws) - 1;
                let found = reliability_bins(&shares, &vec![true; shares.len()], bins);
                assert_eq!(
                    found[expected].count,
                    shares.len(),
                    "{votes} of {draws} in {bins} bins: {shares:?}"
                );
            }
        }
    }
}

#[test]
fn bins_too_many_for_any_memory_are_refused() {
    for bins in [(1 << 20) + 1, 1 << 40, usize::MAX] {
        let p = [0.5, 0.5];
        let errors = [
            try_reliability_bins(&p, &[true; 2], bins).unwrap_err(),
            try_equal_mass_bins(&p, &[true; 2], bins).unwrap_err(),
            try_expected_calibration_error(&p, &[true; 2], bins).unwrap_err(),
            try_adaptive_calibration_error(&p, &[true; 2], bins).unwrap_err(),
            try_classwise_calibration_error(&p, 2, &[0], bins).unwrap_err(),
            try_binned_brier_decomposition(&p, 2, &[0], bins).unwrap_err(),
            HistogramBinning::try_fit(&p, &[true; 2], bins).unwrap_err(),
            HistogramClasses::try_fit(&p, 2, &[0], bins).unwrap_err(),
        ];
        for error in errors {
            let message = error.to_string();
            assert!(message.contains("at most 1,048,576"), "{message}");
        }
    }
    let most = try_equal_mass_bins(&[0.5; 3], &[true; 3], 1 << 20).unwrap();
    assert_eq!(most.iter().map(|bin| bin.count).sum::<usize>(), 3);
}

#[test]
fn what_is_above_an_edge_by_more_than_rounding_is_in_the_next_bin() {
    for n in [1usize, 2, 3, 7, 10, 15, 100, 1000] {
        for k in 0..n {
            let above = k as f64 / n as f64 + 1e-6 / n as f64;
            let bins = reliability_bins(&[above], &[true], n);
            assert_eq!(bins[k].count, 1, "{above} of {n} bins");
        }
    }
    assert_eq!(reliability_bins(&[0.0, 1.0], &[true; 2], 5)[0].count, 1);
}

#[test]
fn every_function_that_bins_has_the_same_bins() {
    // Class 0 has 0.07 and 0.065, both in bin 6 of 100; class 1 has 0.93 in bin 92 and 0.935 in the next.
    let p = [0.07, 0.93, 0.065, 0.935];
    let parts = binned_brier_decomposition(&p, 2, &[0, 1], 100);
    assert!((parts.resolution - 0.25).abs() < 1e-12, "{parts:?}");
    let error = classwise_calibration_error(&p, 2, &[0, 1], 100);
    assert!((error - 0.465).abs() < 1e-12, "{error}");
    let logits = vec![vec![0.0; 12]];
    // 1/3 is 5 of 15 bins, and ln 3 has lost its last digit.
    let mixture = blitz_predict::CategoricalMixture::from_logits(logits, 3);
    let bins = reliability_bins(&mixture.confidence(), &[true; 4], 15);
    assert_eq!(bins[4].count, 4);
}

#[test]
fn bins_of_equal_mass_hold_as_many_each_and_never_part_a_tie() {
    let confidence: Vec<f64> = (0..12).map(|i| f64::from((5 * i) % 12) / 12.0).collect();
    let counts = |confidence: &[f64]| -> Vec<usize> {
        let bins = equal_mass_bins(confidence, &[true; 12], 4);
        bins.iter().map(|bin| bin.count).collect()
    };
    assert_eq!(counts(&confidence), [3, 3, 3, 3]);
    assert_eq!(counts(&[1.0; 12]), [0, 0, 12, 0]);
}

#[test]
fn scores_of_distributions_agree_with_properscoring_and_quadrature() {
    let (mean, std, y) = (&reference::MEAN, &reference::STD, &reference::TARGET);
    close(normal_nll(mean, std, y), reference::NORMAL_NLL);
    close(rmse(mean, y), reference::RMSE);
    close(normal_crps(mean, std, y), reference::NORMAL_CRPS);
    let (means, stds) = (&reference::MIXTURE_MEANS, &reference::MIXTURE_STDS);
    let mixture = normal_mixture_crps(means, stds, 3, &reference::NEAR_TARGET);
    close(mixture, reference::MIXTURE_CRPS);
    let samples = &reference::SAMPLES;
    let crps = sample_crps(samples, 9, y);
    close(crps, reference::SAMPLE_CRPS);
    let fair = fair_sample_crps(samples, 9, y);
    close(fair, reference::FAIR_CRPS);
}

#[test]
fn scores_of_intervals_agree_with_mapie() {
    let (intervals, y) = (intervals(), &reference::TARGET);
    let coverage = interval_coverage(&intervals, y);
    close(coverage, reference::COVERAGE);
    close(sharpness(&intervals), reference::SHARPNESS);
    let score = interval_score(&intervals, y, 0.8);
    close(score, reference::INTERVAL_SCORE);
}

#[test]
fn risk_at_coverage_is_the_mean_over_every_order_of_the_ties() {
    let (confidence, loss) = (&reference::SURE, &reference::LOSS);
    let curve = risk_coverage_curve(confidence, loss);
    for (k, (point, expected)) in curve.iter().zip(&reference::RISKS).enumerate() {
        close(point.risk, *expected);
        close(point.coverage, (k + 1) as f64 / 9.0);
    }
    assert_eq!(curve.len(), 9);
    close(aurc(confidence, loss), reference::AURC);
    let excess = excess_aurc(confidence, loss);
    close(excess, reference::EXCESS_AURC);
}

#[test]
fn detection_agrees_with_scikit_learn_where_scores_tie() {
    let (inside, outside) = (&reference::INSIDE, &reference::OUTSIDE);
    close(ood_auroc(inside, outside), reference::AUROC);
    close(ood_aupr_out(inside, outside), reference::AUPR_OUT);
    close(ood_aupr_in(inside, outside), reference::AUPR_IN);
    close(ood_fpr95(inside, outside), reference::FPR95);
}

#[test]
fn a_label_of_probability_zero_scores_infinity_and_no_error() {
    assert_eq!(categorical_nll(&[1.0, 0.0], 2, &[1]), f64::INFINITY);
}

#[test]
fn crps_of_samples_keeps_its_digits_far_from_zero() {
    // The same draws and target, moved by 2^40: each is exact, their sum of products with the ranks would not be.
    let far = 2f64.powi(40);
    let samples = [3.0, -1.0, 0.5, 2.25];
    let moved = samples.map(|x| x + far);
    let (near, far) = (
        sample_crps(&samples, 4, &[0.75]),
        sample_crps(&moved, 4, &[far + 0.75]),
    );
    assert_eq!(near, far);
}

#[test]
fn every_function_names_the_value_it_cannot_score() {
    let nan = f64::NAN;
    let crossed = Interval {
        lower: 2.0,
        upper: 1.0,
    };
    let errors: Vec<(Result<f64, InputError>, &str)> = vec![
        (try_accuracy(&[], 2, &[]), "at least one example, got 0"),
        (
            try_accuracy(&[0.5, 0.5], 0, &[0]),
            "at least one class, got 0",
        ),
        (
            try_accuracy(&[0.5, 0.5, 1.0], 2, &[0]),
            "3 values are no whole number of rows of 2",
        ),
        (
            try_accuracy(&[0.5, 0.5], 2, &[0, 1]),
            "1 predictions need as many labels, got 2",
        ),
        (
            try_accuracy(&[0.5, 0.5], 2, &[2]),
            "example 0: there is no class 2 among 2",
        ),
        (
            try_categorical_nll(&[0.5, 0.5, 0.5, 0.6], 2, &[0, 0]),
            "of example 1 must sum to 1, got 1.1",
        ),
        (
            try_categorical_nll(&[1.5, -0.5], 2, &[0]),
            "probability 0 must be inside [0, 1], got 1.5",
        ),
        (
            try_brier_score(&[nan, 0.5], 2, &[0]),
            "probability 0 must be inside [0, 1], got NaN",
        ),
        (
            try_brier_decomposition(&[0.5, 0.5], 2, &[5]).map(|parts| parts.score()),
            "no class 5 among 2",
        ),
        (
            try_binned_brier_decomposition(&[0.5, 0.5], 2, &[0], 0).map(|parts| parts.score()),
            "bins must be at least 1, got 0",
        ),
        (
            try_normal_nll(&[0.0], &[-1.0], &[0.0]),
            "deviation 0 must be positive and finite, got -1",
        ),
        (
            try_normal_nll(&[0.0], &[1.0, 1.0], &[0.0]),
            "1 means need as many deviations, got 2",
        ),
        (
            try_rmse(&[0.0, 1.0], &[0.0, nan]),
            "target 1 must be finite, got NaN",
        ),
        (try_rmse(&[], &[]), "at least one prediction, got 0"),
        (
            try_normal_crps(&[f64::INFINITY], &[1.0], &[0.0]),
            "mean 0 must be finite, got inf",
        ),
        (
            try_normal_mixture_crps(&[0.0; 3], &[1.0; 3], 2, &[0.0]),
            "3 values are no whole number of rows of 2",
        ),
        (
            try_normal_mixture_crps(&[0.0; 2], &[1.0, 0.0], 2, &[0.0]),
            "deviation 1 must be positive and finite, got 0",
        ),
        (
            try_sample_crps(&[1.0, nan], 2, &[0.0]),
            "sample 1 must be finite, got NaN",
        ),
        (
            try_sample_crps(&[], 0, &[0.0]),
            "at least one draw or component, got 0",
        ),
        (
            try_fair_sample_crps(&[1.0], 1, &[0.0]),
            "number of draws must be at least 2, got 1",
        ),
        (
            try_expected_calibration_error(&[], &[], 5),
            "at least one prediction, got 0",
        ),
        (
            try_expected_calibration_error(&[0.5], &[true], 0),
            "bins must be at least 1, got 0",
        ),
        (
            try_adaptive_calibration_error(&[0.5], &[], 5),
            "1 confidences need as many outcomes, got 0",
        ),
        (
            try_adaptive_calibration_error(&[-0.5], &[true], 5),
            "confidence 0 must be inside [0, 1], got -0.5",
        ),
        (
            try_classwise_calibration_error(&[0.9, 0.2], 2, &[0], 5),
            "must sum to 1, got 1.1",
        ),
        (
            try_interval_coverage(&[crossed], &[0.0]),
            "interval 0 must have lower <= upper, got [2, 1]",
        ),
        (
            try_interval_coverage(&[], &[]),
            "at least one prediction, got 0",
        ),
        (try_sharpness(&[]), "at least one interval, got 0"),
        (try_sharpness(&[crossed]), "got [2, 1]"),
        (
            try_interval_score(&[crossed], &[0.0], 95.0),
            "a level must be inside (0, 1), got 95",
        ),
        (
            try_aurc(&[nan], &[0.0]),
            "confidence 0 must be a number, got NaN",
        ),
        (
            try_aurc(&[0.5], &[-1.0]),
            "loss 0 must be finite and not negative, got -1",
        ),
        (
            try_excess_aurc(&[0.5, 0.5], &[1.0]),
            "2 confidences need as many losses, got 1",
        ),
        (
            try_smooth_calibration_error(&[], &[]),
            "at least one prediction, got 0",
        ),
        (
            try_smooth_calibration_error(&[0.5, nan], &[true, true]),
            "confidence 1 must be inside [0, 1], got NaN",
        ),
        (
            try_smooth_calibration_error_at(&[0.5], &[true], 1e-4),
            "a bandwidth must be inside [0.001, 1], got 0.0001",
        ),
        (try_augrc(&[], &[]), "at least one prediction, got 0"),
        (
            try_risk_at_coverage(&[0.5], &[1.0], 0.0),
            "a coverage must be inside (0, 1], got 0",
        ),
        (
            try_coverage_at_risk(&[0.5], &[1.0], nan),
            "a risk must be not negative, got NaN",
        ),
        (
            try_scod_losses(&[0.5], &[true], 1.5).map(|losses| losses[0]),
            "the cost of an outside input must be inside [0, 1], got 1.5",
        ),
        (
            try_scod_losses(&[0.5, -1.0], &[true, false], 0.5).map(|losses| losses[0]),
            "loss 1 must be finite and not negative, got -1",
        ),
        (
            try_scod_losses(&[0.5, -1.0], &[true, false], 1.0).map(|losses| losses[0]),
            "loss 1 must be finite and not negative, got -1",
        ),
        (
            try_scod_losses(&[0.5], &[], 0.5).map(|losses| losses[0]),
            "1 losses need as many marks of the outside, got 0",
        ),
        (
            try_ood_auroc(&[], &[1.0]),
            "at least one inside score, got 0",
        ),
        (
            try_ood_aupr_out(&[1.0], &[]),
            "at least one outside score, got 0",
        ),
        (
            try_ood_aupr_in(&[1.0, nan], &[1.0]),
            "inside score 1 must be a number, got NaN",
        ),
        (
            try_ood_fpr95(&[1.0], &[nan]),
            "outside score 0 must be a number, got NaN",
        ),
    ];
    for (result, expected) in errors {
        let message = result.expect_err(expected).to_string();
        assert!(message.contains(expected), "{message:?} for {expected:?}");
    }
}

#[test]
#[should_panic(expected = "of example 0 must sum to 1, got 0.8")]
fn probabilities_that_do_not_sum_to_one_panic_in_the_plain_function() {
    brier_score(&[0.4, 0.4], 2, &[0]);
}

#[test]
#[should_panic(expected = "deviation 1 must be positive and finite, got -2")]
fn a_negative_deviation_panics_in_the_plain_function() {
    normal_crps(&[0.0, 0.0], &[1.0, -2.0], &[0.0, 0.0]);
}

#[test]
fn the_smooth_error_of_one_sign_is_the_mean_gap_whatever_the_kernel() {
    // All too sure: nothing cancels, and a reflected kernel loses no mass at an end.
    let confidence: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
    let correct = [false; 101];
    for bandwidth in [0.001, 0.01, 0.2, 1.0] {
        let error = smooth_calibration_error_at(&confidence, &correct, bandwidth);
        assert!((error - 0.5).abs() < 1e-9, "{bandwidth}: {error}");
    }
    // The ends of what an error may be.
    assert!((smooth_calibration_error(&[1.0; 3], &[false; 3]) - 1.0).abs() < 1e-9);
    assert_eq!(smooth_calibration_error(&[1.0; 3], &[true; 3]), 0.0);
    let sure = 1.0 - 1e-6;
    assert!((smooth_calibration_error(&[sure; 9], &[true; 9]) - 1e-6).abs() < 1e-12);
}

#[test]
fn the_smooth_error_does_not_depend_on_the_order_or_on_edges() {
    let confidence: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 200) / 199.0).collect();
    let correct: Vec<bool> = (0..200).map(|i| i * 53 % 7 < 3).collect();
    let error = smooth_calibration_error(&confidence, &correct);
    let back = |list: &[f64]| list.iter().rev().copied().collect::<Vec<_>>();
    let correct_back: Vec<bool> = correct.iter().rev().copied().collect();
    assert!((smooth_calibration_error(&back(&confidence), &correct_back) - error).abs() < 1e-12);
    // All confidences moved by δ: the error moves by no more than it does continuously (Błasiok & Nakkiran 2024: twice
    // the distance at most).
    let moved: Vec<f64> = confidence.iter().map(|c| (c + 1e-4).min(1.0)).collect();
    let change = (smooth_calibration_error(&moved, &correct) - error).abs();
    assert!(change < 2e-4, "{change}");
}

#[test]
fn a_share_of_the_examples_is_their_whole_number() {
    // 0.55 · 100 is above 55 in floating point.
    let confidence: Vec<f64> = (0..100).map(|i| 1.0 - f64::from(i) / 100.0).collect();
    let loss: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i >= 55))).collect();
    assert_eq!(risk_at_coverage(&confidence, &loss, 0.55), 0.0);
    assert_eq!(risk_at_coverage(&confidence, &loss, 1e-9), 0.0);
    assert_eq!(risk_at_coverage(&confidence, &loss, 1.0), 0.45);
    assert_eq!(coverage_at_risk(&confidence, &loss, 0.45), 1.0);
    // 3 of 60.
    assert_eq!(
        coverage_at_risk(
            &[1.0; 60],
            &[[1.0; 3].as_slice(), &[0.0; 57]].concat(),
            0.05
        ),
        1.0
    );
    assert_eq!(coverage_at_risk(&[0.5], &[1.0], 0.9), 0.0);
}

#[test]
fn a_mean_is_a_number_where_its_sum_is_none() {
    let near = |got: f64, expected: f64| {
        assert!(
            (got / expected - 1.0).abs() < 1e-14,
            "{got:e} for {expected:e}"
        );
    };
    let wide = [0.5e308, 0.75e308].map(|end| Interval {
        lower: -end,
        upper: end,
    });
    near(sharpness(&wide), 1.25e308);
    near(interval_score(&wide, &[0.0, 0.0], 0.9), 1.25e308);
    let (confidence, loss) = ([0.9, 0.5, 0.5], [1e308; 3]);
    for point in risk_coverage_curve(&confidence, &loss) {
        near(point.risk, 1e308);
    }
    near(aurc(&confidence, &loss), 1e308);
    near(augrc(&confidence, &loss), 0.5e308);
    assert_eq!(excess_aurc(&confidence, &loss), 0.0);
    // Of unequal losses what they are in units of 10³⁰⁰.
    let small = [3.0, 1.0, 2.5];
    let large = small.map(|loss| loss * 1e307);
    near(aurc(&confidence, &large), aurc(&confidence, &small) * 1e307);
    near(
        augrc(&confidence, &large),
        augrc(&confidence, &small) * 1e307,
    );
    let far = [1.2e154; 3];
    near(normal_nll(&[0.0; 3], &[1.0; 3], &far), 0.72e308);
}
