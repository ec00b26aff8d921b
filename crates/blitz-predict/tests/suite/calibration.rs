//! Calibrators: against SciPy's optimum and scikit-learn (see `calibration_reference.py`), and what theory says of
//! them.

use blitz_predict::InputError;
use blitz_predict::NormalMixture;
use blitz_predict::blitz_noise::NoiseKey;
use blitz_predict::calibration::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::close::assert_close;
use crate::{calibration_reference as reference, standard_errors_off};

const CLASSES: usize = 3;

#[test]
fn the_temperature_is_scipys() {
    let fit = TemperatureScaling::fit(&reference::LOGITS, CLASSES, &reference::LABELS);
    assert_close(&[fit.temperature], &[reference::TEMPERATURE], 1e-10);
    let p = fit.apply(&reference::LOGITS[..12], CLASSES);
    assert_close(&p, &reference::SCALED, 1e-12);
}

#[test]
fn the_scales_and_offsets_are_scipys() {
    let fit = VectorScaling::fit(&reference::LOGITS, CLASSES, &reference::LABELS);
    // BFGS stops at a gradient of 1e-6 at worst.
    assert_close(&fit.scale, &reference::SCALE, 1e-6);
    assert_close(&fit.offset, &reference::OFFSET, 1e-6);
    assert!(fit.offset.iter().sum::<f64>().abs() < 1e-12);
}

#[test]
fn the_optimum_of_vector_scaling_gives_each_class_its_frequency() {
    // The gradient by the offsets, which vanishes there: the probabilities of a class sum to its labels.
    let fit = VectorScaling::fit(&reference::LOGITS, CLASSES, &reference::LABELS);
    let p = fit.apply(&reference::LOGITS);
    for class in 0..CLASSES {
        let expected: f64 = p.iter().skip(class).step_by(CLASSES).sum();
        let labels = reference::LABELS.iter().filter(|label| **label == class);
        let count = labels.count() as f64;
        assert!((expected - count).abs() < 1e-9, "{expected} for {count}");
    }
}

#[test]
fn temperature_one_is_a_fixed_point_of_calibrated_logits() {
    // Frequencies that are the probabilities exactly.
    let logits = [[3f64.ln(), 0.0].repeat(4), [0.0, 4f64.ln()].repeat(5)].concat();
    let labels = [0, 0, 1, 0, 1, 1, 0, 1, 1];
    let fit = TemperatureScaling::fit(&logits, 2, &labels);
    assert!((fit.temperature - 1.0).abs() < 1e-12, "{fit:?}");
    // And what a fit has scaled needs no more.
    let fit = TemperatureScaling::fit(&reference::LOGITS, CLASSES, &reference::LABELS);
    let scaled = fit.scale(&reference::LOGITS);
    let again = TemperatureScaling::fit(&scaled, CLASSES, &reference::LABELS);
    assert!((again.temperature - 1.0).abs() < 1e-9, "{again:?}");
}

#[test]
fn labels_drawn_from_the_logits_have_temperature_one_within_its_standard_error() {
    let n = 5000;
    let noise = NoiseKey::new(8, 0, 0);
    let mut logits = Vec::new();
    let mut labels = Vec::new();
    let mut information = 0.0;
    for i in 0..n {
        let z: Vec<f64> = (0..3)
            .map(|c| 2.0 * f64::from(noise.standard_normal_at(6 * i + c)))
            .collect();
        // A label by the largest of logits and Gumbel noise.
        let gumbel = |c: usize| {
            let uniform = normal_cdf(f64::from(noise.standard_normal_at(6 * i + 3 + c as u64)));
            z[c] - (-uniform.ln()).ln()
        };
        let label = (1..3).fold(0, |best, c| if gumbel(c) > gumbel(best) { c } else { best });
        let weights: Vec<f64> = z.iter().map(|z| z.exp()).collect();
        let sum: f64 = weights.iter().sum();
        let moment = |k: i32| {
            z.iter()
                .zip(&weights)
                .map(|(z, w)| w / sum * z.powi(k))
                .sum::<f64>()
        };
        information += moment(2) - moment(1).powi(2);
        logits.extend(z);
        labels.push(label);
    }
    let fit = TemperatureScaling::fit(&logits, 3, &labels);
    // The Fisher information of 1/T at T = 1 is the sum of the logits' variances.
    let k = (1.0 / fit.temperature - 1.0) * information.sqrt();
    assert!(k.abs() < 5.0, "{fit:?}, {k:.1} standard errors off");
}

/// By Abramowitz & Stegun 7.1.26, to 1e-7: enough to draw labels.
fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * z.abs() / 2f64.sqrt());
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * series * (-0.5 * z * z).exp();
    if z > 0.0 { 1.0 - tail } else { tail }
}

#[test]
fn an_offset_of_a_row_changes_no_temperature_however_large() {
    let shifted: Vec<f64> = reference::LOGITS
        .chunks(CLASSES)
        .enumerate()
        .flat_map(|(i, row)| row.iter().map(move |z| z + 1e6 * i as f64))
        .collect();
    let fit = TemperatureScaling::fit(&shifted, CLASSES, &reference::LABELS);
    // The logits themselves lose digits at 6e7.
    assert_close(&[fit.temperature], &[reference::TEMPERATURE], 1e-6);
}

#[test]
fn a_sure_model_that_is_wrong_once_in_a_hundred_has_its_temperature() {
    let logits = [50.0, 0.0].repeat(100);
    let mut labels = vec![0; 100];
    labels[17] = 1;
    let fit = TemperatureScaling::fit(&logits, 2, &labels);
    let expected = 50.0 / 99f64.ln();
    assert!((fit.temperature / expected - 1.0).abs() < 1e-14, "{fit:?}");
    assert!((fit.apply(&[50.0, 0.0], 2)[0] - 0.99).abs() < 1e-14);
}

/// Powers of ten from 1e-6 to 1e6, and far beyond.
fn scales() -> impl Iterator<Item = f64> {
    let powers = (-6..=6).map(|k| 10f64.powi(k));
    powers.chain([3.7e-150, 5e-300, 1e150, 1e300])
}

fn times(logits: &[f64], scale: f64) -> Vec<f64> {
    logits.iter().map(|z| z * scale).collect()
}

#[test]
fn the_temperature_scales_with_the_logits() {
    let sure = [[50.0, 0.0].repeat(99), vec![0.0, 50.0]].concat();
    let of_sure = 50.0 / 99f64.ln();
    for scale in scales() {
        let logits = times(&reference::LOGITS, scale);
        let fit = TemperatureScaling::fit(&logits, CLASSES, &reference::LABELS);
        let ratio = fit.temperature / scale / reference::TEMPERATURE;
        assert!((ratio - 1.0).abs() < 1e-10, "{scale:e}: {fit:?}");
        let p = fit.apply(&logits[..12], CLASSES);
        assert_close(&p, &reference::SCALED, 1e-12);

        let fit = TemperatureScaling::fit(&times(&sure, scale), 2, &[0; 100]);
        let ratio = fit.temperature / scale / of_sure;
        assert!((ratio - 1.0).abs() < 1e-13, "{scale:e}: {fit:?}");
    }
}

#[test]
fn rows_of_any_scale_beside_each_other_have_a_temperature() {
    // A row of 1e9 or of 1e-9 that is right says nothing at the temperature of the others.
    for scale in [1e-9, 1e9, 1e200] {
        let logits = [[2.0, 0.0].repeat(4), vec![scale, 0.0]].concat();
        let fit = TemperatureScaling::fit(&logits, 2, &[0, 0, 1, 0, 0]);
        let expected = 2.0 / 3f64.ln();
        assert!(
            (fit.temperature - expected).abs() < 1e-8,
            "{scale:e}: {fit:?}"
        );
    }
    // One of 1e12 that is wrong, beside two that are right, decides it.
    let logits = [[2.0, 0.0].repeat(4), [1e12, 0.0].repeat(3)].concat();
    let fit = TemperatureScaling::fit(&logits, 2, &[0, 0, 1, 0, 1, 0, 0]);
    let expected = 1e12 / 2f64.ln();
    assert!((fit.temperature / expected - 1.0).abs() < 1e-9, "{fit:?}");
}

#[test]
fn the_scales_of_vector_scaling_are_in_units_of_the_logits() {
    for scale in scales() {
        let logits = times(&reference::LOGITS, scale);
        let fit = VectorScaling::fit(&logits, CLASSES, &reference::LABELS);
        assert_close(&times(&fit.scale, scale), &reference::SCALE, 1e-6);
        assert_close(&fit.offset, &reference::OFFSET, 1e-6);
        let unit = VectorScaling::fit(&reference::LOGITS, CLASSES, &reference::LABELS);
        assert_close(&fit.apply(&logits), &unit.apply(&reference::LOGITS), 1e-10);
    }
}

#[test]
fn each_class_of_vector_scaling_may_have_a_scale_and_an_offset_of_its_own() {
    let unit = VectorScaling::fit(&reference::LOGITS, CLASSES, &reference::LABELS);
    let of_class = |list: [f64; CLASSES]| list.into_iter().cycle();
    let (scales, offsets) = ([1e6, 1e-6, 40.0], [3e8, -1.0, 0.0]);
    let logits: Vec<f64> = reference::LOGITS
        .iter()
        .zip(of_class(scales).zip(of_class(offsets)))
        .map(|(z, (scale, offset))| z * scale + offset)
        .collect();
    let fit = VectorScaling::fit(&logits, CLASSES, &reference::LABELS);
    for ((got, scale), unit) in fit.scale.iter().zip(scales).zip(&unit.scale) {
        let ratio = got * scale / unit;
        assert!((ratio - 1.0).abs() < 1e-6, "{scale}: {fit:?}");
    }
    assert_close(&fit.apply(&logits), &unit.apply(&reference::LOGITS), 1e-6);
}

#[test]
fn sure_logits_that_are_seldom_wrong_have_scales() {
    // As for the temperature: at a scale of 1 every probability is 0 or 1, and the likelihood flat to rounding.
    let mut logits = Vec::new();
    let mut labels = Vec::new();
    for i in 0..200 {
        let z = 40.0 + f64::from(i % 7);
        let sure = i % 2;
        logits.extend(if sure == 0 {
            [z, f64::from(i % 5)]
        } else {
            [f64::from(i % 3), z]
        });
        labels.push(if i % 20 < 2 {
            1 - sure as usize
        } else {
            sure as usize
        });
    }
    let fit = VectorScaling::fit(&logits, 2, &labels);
    let p = fit.apply(&logits);
    let ones: f64 = p.iter().skip(1).step_by(2).sum();
    assert!((ones - 100.0).abs() < 1e-8, "{ones}");
    let nll = |p: &[f64]| -> f64 {
        let own = labels.iter().enumerate().map(|(i, label)| p[2 * i + label]);
        -own.map(f64::ln).sum::<f64>()
    };
    let temperature = TemperatureScaling::fit(&logits, 2, &labels);
    assert!(nll(&p) <= nll(&temperature.apply(&logits, 2)));
}

#[test]
fn what_no_number_can_hold_is_an_error_and_no_nan() {
    let sure = [1e300, -1e300].repeat(4);
    let fit = TemperatureScaling::fit(&sure, 2, &[0, 0, 1, 0]);
    assert!((fit.temperature / 2e300 * 3f64.ln() - 1.0).abs() < 1e-12);
    let cold = TemperatureScaling {
        temperature: 1e-300,
    };
    let message = |result: Result<Vec<f64>, InputError>| result.unwrap_err().to_string();
    assert!(
        message(cold.try_apply(&[1e10, 0.0], 2))
            .contains("logit over the temperature 0 must be finite")
    );
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let fit = TemperatureScaling { temperature };
        assert!(
            message(fit.try_apply(&[1.0, 0.0], 2))
                .contains("a temperature must be positive and finite")
        );
    }
    let steep = VectorScaling {
        scale: vec![1e300; 2],
        offset: vec![0.0; 2],
    };
    assert!(
        message(steep.try_apply(&[1e10, 0.0])).contains("scaled logit 0 must be finite, got inf")
    );
}

#[test]
fn logits_with_no_finite_temperature_are_refused_and_say_why() {
    let reason = |result: Result<_, InputError>| match result.map(|_: TemperatureScaling| ()) {
        Err(InputError::NoOptimum { reason }) => reason,
        other => panic!("{other:?}"),
    };
    let separated = TemperatureScaling::try_fit(&[1.0, 0.0, 0.0, 2.0], 2, &[0, 1]);
    assert!(reason(separated).contains("the colder the better"));
    let wrong = TemperatureScaling::try_fit(&[1.0, 0.0, 0.0, 2.0], 2, &[1, 0]);
    assert!(reason(wrong).contains("no better than chance"));
    // At every scale, and where rounding hides that it is exactly chance.
    for scale in scales() {
        let separated =
            TemperatureScaling::try_fit(&times(&[1.0, 0.0, 0.0, 0.3], scale), 2, &[0, 1]);
        assert!(reason(separated).contains("the colder the better"));
        let logits = times(&[0.1, 0.7, 0.3], scale).repeat(3);
        let chance = TemperatureScaling::try_fit(&logits, 3, &[0, 1, 2]);
        assert!(reason(chance).contains("no better than chance"));
    }
    let equal = TemperatureScaling::try_fit(&[0.0; 4], 2, &[0, 1]);
    assert!(reason(equal).contains("the colder the better"));
}

#[test]
fn vector_scaling_without_a_finite_optimum_is_refused() {
    let refused = |logits: &[f64], labels: &[usize]| {
        let result = VectorScaling::try_fit(logits, 2, labels);
        assert!(
            matches!(result, Err(InputError::NoOptimum { .. })),
            "{result:?}"
        );
    };
    // Separable by an offset, though not by the largest logit.
    refused(&[2.0, 0.0, 1.5, 0.0, 1.0, 0.0, 0.5, 0.0], &[0, 0, 1, 1]);
    refused(&[1.0, 0.0, 2.0, 0.0, 0.0, 3.0], &[0, 0, 0]);
    // Separable at every scale, and without a logit that is constant.
    for scale in scales() {
        let logits = times(&[2.0, 0.1, 1.5, 0.2, 1.0, 0.4, 0.5, 0.3], scale);
        refused(&logits, &[0, 0, 1, 1]);
        // Logits that determine each other.
        let logits = times(&[2.0, -2.0, 1.5, -1.5, 1.0, -1.0, 0.5, -0.5], scale);
        refused(&logits, &[0, 1, 0, 1]);
        refused(&times(&[50.0, 0.0].repeat(4), scale), &[0, 1, 0, 0]);
    }
}

#[test]
fn isotonic_regression_is_scikit_learns_where_points_tie() {
    let fit = IsotonicRegression::fit(&reference::ISOTONIC_X, &reference::ISOTONIC_Y);
    let got = fit.apply(&reference::ISOTONIC_GRID);
    assert_close(&got, &reference::ISOTONIC_FIT, 1e-12);
    let fit = IsotonicClasses::fit(&reference::PROBABILITIES, CLASSES, &reference::LABELS);
    let got = fit.apply(&reference::PROBABILITIES);
    assert_close(&got, &reference::ISOTONIC_CLASSES, 1e-12);
}

#[test]
fn the_frequency_of_an_event_is_fitted_to_its_probability() {
    // At 0.2 one in two, at 0.3 never, which is out of order: one in three of both. At 0.9 always.
    let probability = [0.2, 0.9, 0.2, 0.3, 0.9];
    let happened = [true, true, false, false, true];
    let fit = IsotonicRegression::fit_event(&probability, &happened);
    let points: Vec<_> = fit.points().collect();
    let third = 1.0 / 3.0;
    assert_eq!(points, [(0.2, third), (0.3, third), (0.9, 1.0)]);
    let [below, middle] = fit.apply(&[0.1, 0.6])[..] else {
        panic!("one for each")
    };
    assert_eq!(below, third);
    assert!((middle - 2.0 * third).abs() < 1e-15);
}

#[test]
fn classes_that_all_become_impossible_are_taken_for_equal() {
    // Each class happened at 0.6, and never at 0.4 or below.
    let p = [0.6, 0.4, 0.0, 0.0, 0.6, 0.4, 0.4, 0.0, 0.6];
    let fit = IsotonicClasses::fit(&p, 3, &[0, 1, 2]);
    let third = 1.0 / 3.0;
    assert_eq!(fit.apply(&[third; 3]), [third; 3]);
    assert_eq!(fit.apply(&p[..3]), [1.0, 0.0, 0.0]);
}

#[test]
fn recalibrated_distributions_are_scikit_learns() {
    let fit = QuantileRecalibration::fit(&reference::PIT);
    let tenths: Vec<f64> = (0..=10).map(|i| f64::from(i) / 10.0).collect();
    assert_close(&fit.apply(&tenths), &reference::RECALIBRATED, 1e-12);
    assert_close(&[fit.inverse(0.9)], &[reference::RECALIBRATED_90], 1e-9);
    for p in [0.01, 0.3, 0.5, 0.97] {
        assert_close(&fit.apply(&[fit.inverse(p)]), &[p], 1e-12);
    }
}

#[test]
fn recalibrated_intervals_lie_between_the_calibrated_quantiles_of_each_prediction() {
    let fit = QuantileRecalibration::fit(&reference::PIT);
    let means = vec![vec![0.0, 5.0, -2.0, 1.0], vec![0.5, 5.0, -3.0, 2.0]];
    let predictive = NormalMixture::new(means, vec![1.0, 3.0], 2);
    for level in [0.5, 0.8] {
        let intervals = fit.interval(&predictive, level);
        let ends = [0.5 - 0.5 * level, 0.5 + 0.5 * level];
        let [lower, upper] = ends.map(|p| fit.quantile(&predictive, p));
        assert_eq!(intervals.len(), 4);
        for (i, interval) in intervals.iter().enumerate() {
            assert_eq!((interval.lower, interval.upper), (lower[i], upper[i]));
        }
        // By the recalibrated distribution function they hold the level.
        let held = |at: &[f64]| fit.apply(&predictive.cdf(at));
        for (upper, lower) in held(&upper).iter().zip(held(&lower)) {
            assert!((upper - lower - level).abs() < 1e-9);
        }
    }
}

#[test]
fn a_calibrated_quantile_beyond_the_model_is_the_end_of_its_support() {
    // Three of four targets lay below all that the model thought possible.
    let fit = QuantileRecalibration::fit(&[0.0, 0.0, 0.0, 0.5]);
    let predictive = NormalMixture::new(vec![vec![0.0]], vec![1.0], 1);
    assert_eq!(fit.inverse(0.1), 0.0);
    assert_eq!(fit.quantile(&predictive, 0.1), [f64::NEG_INFINITY]);
    assert_eq!(fit.interval(&predictive, 0.8)[0].lower, f64::NEG_INFINITY);
    assert!(fit.try_interval(&predictive, 80.0).is_err());
}

#[test]
fn uniform_values_need_no_recalibration_on_average() {
    // The k-th of n uniform values is k/(n + 1) on average, and so then is each quantile.
    let noise = NoiseKey::new(3, 0, 0);
    let (n, repetitions) = (19, 2000);
    let mut quantiles = [Vec::new(), Vec::new(), Vec::new()];
    for r in 0..repetitions {
        let pit: Vec<f64> = (0..n)
            .map(|i| normal_cdf(f64::from(noise.standard_normal_at(r * n + i))))
            .collect();
        let fit = QuantileRecalibration::fit(&pit);
        for (list, p) in quantiles.iter_mut().zip([0.05, 0.33, 0.95]) {
            list.push(fit.inverse(p));
        }
    }
    for (list, p) in quantiles.iter().zip([0.05, 0.33, 0.95]) {
        let k = standard_errors_off(list, p);
        assert!(k.abs() < 5.0, "{p}: {k:.1} standard errors off");
    }
}

#[test]
fn calibrators_come_back_from_json() {
    fn back<T: serde::Serialize + serde::de::DeserializeOwned>(fit: &T) -> T {
        serde_json::from_str(&serde_json::to_string(fit).unwrap()).unwrap()
    }
    let (logits, labels) = (&reference::LOGITS, &reference::LABELS);
    let fit = TemperatureScaling::fit(logits, CLASSES, labels);
    assert_close(
        &back(&fit).apply(logits, CLASSES),
        &fit.apply(logits, CLASSES),
        1e-14,
    );
    let fit = VectorScaling::fit(logits, CLASSES, labels);
    assert_close(&back(&fit).apply(logits), &fit.apply(logits), 1e-14);
    let fit = IsotonicClasses::fit(&reference::PROBABILITIES, CLASSES, labels);
    let p = &reference::PROBABILITIES;
    assert_close(&back(&fit).apply(p), &fit.apply(p), 1e-12);
    let fit = QuantileRecalibration::fit(&reference::PIT);
    assert_close(&[back(&fit).inverse(0.9)], &[fit.inverse(0.9)], 1e-14);
}

#[test]
fn points_that_no_fit_has_are_refused_from_json() {
    let read = |json: &str| serde_json::from_str::<IsotonicRegression>(json);
    assert!(read(r#"{"x":[0.0,1.0],"y":[0.0,0.5]}"#).is_ok());
    for (json, expected) in [
        (r#"{"x":[],"y":[]}"#, "at least one point"),
        (r#"{"x":[0.0,1.0],"y":[0.0]}"#, "as many y, got 1"),
        (
            r#"{"x":[1.0,0.0],"y":[0.0,1.0]}"#,
            "x 1 must be above the one before, got 0",
        ),
        (
            r#"{"x":[0.0,1.0],"y":[0.5,0.0]}"#,
            "y 1 must be not below the one before, got 0",
        ),
    ] {
        let message = read(json).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} for {expected:?}");
    }
}

#[test]
fn a_step_has_its_lower_value_where_it_is() {
    let json = r#"{"x":[0.0,0.5,0.5,1.0],"y":[0.0,0.2,0.8,1.0]}"#;
    let fit: IsotonicRegression = serde_json::from_str(json).unwrap();
    assert_eq!(fit.apply(&[0.5, 0.25, 1.0]), [0.2, 0.1, 1.0]);
    assert!(fit.apply(&[0.5 + 1e-9])[0] >= 0.8);
}

#[test]
fn calibrators_name_the_value_they_cannot_use() {
    let errors: Vec<(InputError, &str)> = vec![
        (
            TemperatureScaling::try_fit(&[1.0, f64::NAN], 2, &[0]).unwrap_err(),
            "logit 1 must be finite, got NaN",
        ),
        (
            TemperatureScaling::try_fit(&[1.0, 2.0], 2, &[3]).unwrap_err(),
            "there is no class 3 among 2",
        ),
        (
            TemperatureScaling { temperature: 1.0 }
                .try_apply(&[1.0; 3], 2)
                .unwrap_err(),
            "3 values are no whole number of rows of 2",
        ),
        (
            VectorScaling::try_fit(&[], 2, &[]).unwrap_err(),
            "at least one example, got 0",
        ),
        (
            IsotonicRegression::try_fit(&[], &[]).unwrap_err(),
            "at least one point, got 0",
        ),
        (
            IsotonicRegression::try_fit(&[0.0], &[f64::INFINITY]).unwrap_err(),
            "y 0 must be finite, got inf",
        ),
        (
            IsotonicRegression::try_fit_event(&[1.2], &[true]).unwrap_err(),
            "probability 0 must be inside [0, 1], got 1.2",
        ),
        (
            IsotonicClasses::try_fit(&[0.5, 0.6], 2, &[0]).unwrap_err(),
            "must sum to 1, got 1.1",
        ),
        (
            QuantileRecalibration::try_fit(&[-0.1]).unwrap_err(),
            "PIT value 0 must be inside [0, 1], got -0.1",
        ),
        (
            QuantileRecalibration::fit(&[0.5])
                .try_inverse(1.0)
                .unwrap_err(),
            "must be inside (0, 1), got 1",
        ),
    ];
    for (error, expected) in errors {
        let message = error.to_string();
        assert!(message.contains(expected), "{message:?} for {expected:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(20), ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_fitted_comes_back_from_json(
        points in prop::collection::vec((0.0..1.0f64, 0..4u64, -1e3..1e3f64), 1..40),
        scale in -300..300i32,
        parameters in prop::collection::vec(-1e3..1e3f64, 2 * CLASSES),
    ) {
        // A reader of text may miss the last digits.
        fn assert_near(got: f64, wanted: f64) -> Result<(), TestCaseError> {
            prop_assert!((got - wanted).abs() <= 8.0 * f64::EPSILON * wanted.abs(), "{got} for {wanted}");
            Ok(())
        }
        fn back<T: serde::Serialize + serde::de::DeserializeOwned>(fit: &T) -> Result<T, TestCaseError> {
            let json = serde_json::to_string(fit).unwrap();
            serde_json::from_str(&json).map_err(|error| TestCaseError::fail(format!("{error}: {json}")))
        }
        // Neighbours of each other, also next to 0 and 1.
        let near = |(base, steps, _): &(f64, u64, f64)| {
            let bits = ((base * 50.0).round() / 50.0).to_bits();
            f64::from_bits(bits.saturating_sub(*steps)).clamp(0.0, 1.0)
        };
        let x: Vec<f64> = points.iter().map(near).collect();
        let y: Vec<f64> = points.iter().map(|point| point.2).collect();
        let fit = IsotonicRegression::fit(&x, &y);
        let read = back(&fit)?;
        prop_assert_eq!(read.points().count(), fit.points().count());
        for (got, wanted) in read.points().zip(fit.points()) {
            assert_near(got.0, wanted.0)?;
            assert_near(got.1, wanted.1)?;
        }
        back(&QuantileRecalibration::fit(&x))?;
        let temperature = 10f64.powi(scale) * (1.0 + points[0].0);
        let fit = TemperatureScaling { temperature };
        assert_near(back(&fit)?.temperature, temperature)?;
        let (scale, offset) = parameters.split_at(CLASSES);
        let fit = VectorScaling { scale: scale.to_vec(), offset: offset.to_vec() };
        let read = back(&fit)?;
        for (got, wanted) in read.scale.iter().chain(&read.offset).zip(&parameters) {
            assert_near(*got, *wanted)?;
        }
    }

    #[test]
    fn isotonic_fits_never_fall_and_are_their_own_fit(points in prop::collection::vec((0..20i32, -10..10i32), 1..60)) {
        let x: Vec<f64> = points.iter().map(|(x, _)| f64::from(*x)).collect();
        let y: Vec<f64> = points.iter().map(|(_, y)| f64::from(*y)).collect();
        let fit = IsotonicRegression::fit(&x, &y);
        let grid: Vec<f64> = (-10..210).map(|i| f64::from(i) / 10.0).collect();
        let values = fit.apply(&grid);
        prop_assert!(values.is_sorted());
        let fitted = fit.apply(&x);
        let again = IsotonicRegression::fit(&x, &fitted).apply(&x);
        for (once, twice) in fitted.iter().zip(&again) {
            prop_assert!((once - twice).abs() < 1e-12);
        }
        // Pooling keeps the sum.
        prop_assert!((fitted.iter().sum::<f64>() - y.iter().sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn recalibration_rises_from_zero_to_one(pit in prop::collection::vec(0.0..=1.0f64, 1..60)) {
        let fit = QuantileRecalibration::fit(&pit);
        let grid: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
        let values = fit.apply(&grid);
        prop_assert!(values.is_sorted());
        prop_assert!(values.iter().all(|p| (0.0..=1.0).contains(p)));
        prop_assert!(fit.inverse(0.05) <= fit.inverse(0.95));
    }
}

#[test]
fn files_with_numbers_out_of_range_are_no_fits() {
    fn refused<C: serde::de::DeserializeOwned + std::fmt::Debug>(json: &str, reason: &str) {
        let error = serde_json::from_str::<C>(json).unwrap_err().to_string();
        assert!(error.contains(reason), "{json}: {error}");
    }
    for t in ["-0.5", "0", "-1e308"] {
        let json = format!(r#"{{"temperature":{t}}}"#);
        refused::<TemperatureScaling>(&json, "a temperature must be positive and finite, got ");
    }
    refused::<VectorScaling>(
        r#"{"scale":[1.0,2.0],"offset":[0.0]}"#,
        "2 scales need as many offsets, got 1",
    );
    refused::<VectorScaling>(r#"{"scale":[],"offset":[]}"#, "at least one class");
    refused::<IsotonicClasses>(r#"{"classes":[]}"#, "at least one class");
    refused::<IsotonicClasses>(r#"{"classes":[{"x":[0.0],"y":[2.5]}]}"#, "2.5");
    refused::<SplitConformal>(
        r#"{"radius":-1.0,"level":0.9}"#,
        "half a width must be at least 0, got -1",
    );
    refused::<SplitConformal>(
        r#"{"radius":1.0,"level":90}"#,
        "a level must be inside (0, 1), got 90",
    );
    for level in ["0", "1"] {
        let stored = format!(r#"{{"radius":1.0,"level":{level}}}"#);
        refused::<SplitConformal>(&stored, &format!("inside (0, 1), got {level}"));
    }
    refused::<NormalizedSplitConformal>(r#"{"factor":-1.0,"level":0.9}"#, "got -1");
    refused::<ConformalQuantiles>(r#"{"correction":-1.0,"level":0}"#, "got 0");
    let sets = |classes: usize, penalty: f64| {
        format!(
            r#"{{"threshold":0.9,"classes":{classes},"config":{{"level":0.9,"penalty":{penalty},"free_classes":0,"seed":null}}}}"#
        )
    };
    refused::<AdaptiveSets>(&sets(0, 0.0), "at least one class, got 0");
    refused::<AdaptiveSets>(
        &sets(2, -1.0),
        "a penalty or weight must be finite and at least 0, got -1",
    );
    assert!(serde_json::from_str::<AdaptiveSets>(&sets(2, 0.0)).is_ok());
}

#[test]
fn a_temperature_beyond_the_numbers_is_an_error() {
    // T = z / ln(51/49) for 51 of 100 right.
    let labels: Vec<usize> = (0..100).map(|i| usize::from(i >= 51)).collect();
    let fit = |z: f64| TemperatureScaling::try_fit(&[z, 0.0].repeat(100), 2, &labels);
    let odds = (51f64 / 49.0).ln();
    let largest = fit(5e306).unwrap().temperature;
    assert!((largest / (5e306 / odds) - 1.0).abs() < 1e-9, "{largest:e}");
    let error = fit(1e308).unwrap_err().to_string();
    assert!(error.contains("beyond the numbers of f64"), "{error}");
}

#[test]
fn the_temperature_of_single_logits_is_that_of_both_logits() {
    let logits = [2.0, -1.0, 0.5, 3.0, -2.5, 1.5, -0.2];
    let labels = [true, false, false, true, true, true, false];
    let single = TemperatureScaling::fit_binary(&logits, &labels);
    // With any offset of the two.
    let both: Vec<f64> = logits.iter().flat_map(|z| [1.0 - z, 1.0]).collect();
    let classes: Vec<_> = labels.iter().map(|label| usize::from(*label)).collect();
    let pair = TemperatureScaling::fit(&both, 2, &classes);
    assert!((single.temperature / pair.temperature - 1.0).abs() < 1e-9);
    for (p, z) in single.apply_binary(&logits).iter().zip(logits) {
        let expected = 1.0 / (1.0 + (-z / single.temperature).exp());
        assert!((p - expected).abs() < 1e-12);
    }
    assert!(TemperatureScaling::try_fit_binary(&[1.0], &[]).is_err());
    assert!(single.try_apply_binary(&[f64::NAN]).is_err());
    assert!(single.apply_binary(&[]).is_empty());
}

#[test]
fn matrix_scaling_of_any_unit_gives_the_same_probabilities() {
    let plain = MatrixScalingConfig::new().fit(&reference::LOGITS, CLASSES, &reference::LABELS);
    let p = plain.apply(&reference::LOGITS);
    for scale in scales() {
        let logits = times(&reference::LOGITS, scale);
        let fit = MatrixScalingConfig::new().fit(&logits, CLASSES, &reference::LABELS);
        assert_close(&fit.apply(&logits), &p, 1e-8);
    }
    // A column's common part changes nothing.
    for column in 0..CLASSES {
        let sum: f64 = plain.weight.iter().skip(column).step_by(CLASSES).sum();
        assert!(sum.abs() < 1e-9, "{sum}");
    }
}

#[test]
fn heavy_penalties_leave_one_scale_for_each_class() {
    let config = MatrixScalingConfig::new()
        .with_off_diagonal(1e6)
        .with_offset(1e6);
    let fit = config.fit(&reference::LOGITS, CLASSES, &reference::LABELS);
    for (i, w) in fit.weight.iter().enumerate() {
        assert_eq!(w.abs() > 1e-4, i % (CLASSES + 1) == 0, "{fit:?}");
    }
    assert!(fit.offset.iter().all(|b| b.abs() < 1e-4));
    // None of them holds the diagonal, which separable labels send to infinity.
    let separable = [[3.0, 0.0].repeat(5), [0.0, 3.0].repeat(5)].concat();
    let labels = [[0; 5], [1; 5]].concat();
    for config in [MatrixScalingConfig::new(), config] {
        assert!(config.try_fit(&separable, 2, &labels).is_err());
    }
}

#[test]
fn a_class_without_labels_needs_a_penalty_on_offsets() {
    let labels = reference::LABELS.map(|label| label.min(CLASSES - 2));
    let config = MatrixScalingConfig::new().with_off_diagonal(0.1);
    let without = config.try_fit(&reference::LOGITS, CLASSES, &labels);
    assert!(without.is_err());
    let fit = config
        .with_offset(0.1)
        .fit(&reference::LOGITS, CLASSES, &labels);
    let least = fit.offset.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(fit.offset[CLASSES - 1], least);
}

#[test]
fn a_dirichlet_calibration_of_calibrated_probabilities_changes_nothing() {
    // Frequencies that are the probabilities exactly, at three points of two classes.
    let p: Vec<f64> = [
        [0.75, 0.25].repeat(4),
        [0.2, 0.8].repeat(5),
        [0.5, 0.5].repeat(2),
    ]
    .concat();
    let labels = [0, 0, 1, 0, 1, 1, 0, 1, 1, 0, 1];
    let log_p: Vec<f64> = p.iter().map(|p| p.ln()).collect();
    let fit = MatrixScalingConfig::new().fit_dirichlet(&log_p, 2, &labels);
    assert_close(&fit.apply(&log_p), &p, 1e-9);
}

#[test]
fn bins_without_an_example_keep_their_middle_and_edges_end_a_bin() {
    let fit = HistogramBinning::fit(&[0.2, 0.2], &[true, true], 5);
    assert_eq!(fit.frequencies(), [1.0, 0.3, 0.5, 0.7, 0.9]);
    assert_eq!(
        fit.apply(&[0.0, 0.2, 0.2 + 1e-9, 1.0]),
        [1.0, 1.0, 0.3, 0.9]
    );
}

#[test]
fn binned_and_matrix_calibrators_come_back_from_json_and_refuse_what_no_fit_has() {
    let (p, labels) = (&reference::PROBABILITIES, &reference::LABELS);
    let logits = &reference::LOGITS;
    fn back<T: serde::Serialize + serde::de::DeserializeOwned>(fit: &T) -> T {
        serde_json::from_str(&serde_json::to_string(fit).unwrap()).unwrap()
    }
    let histogram = HistogramClasses::fit(p, CLASSES, labels, 4);
    assert_close(&back(&histogram).apply(p), &histogram.apply(p), 1e-14);
    let config = MatrixScalingConfig::new().with_off_diagonal(0.1);
    let matrix = config.fit(logits, CLASSES, labels);
    assert_close(&back(&matrix).apply(logits), &matrix.apply(logits), 1e-12);
    let dirichlet = config.fit_dirichlet(logits, CLASSES, labels);
    assert_close(
        &back(&dirichlet).apply(logits),
        &dirichlet.apply(logits),
        1e-12,
    );
    fn refused<C: serde::de::DeserializeOwned + std::fmt::Debug>(json: &str, reason: &str) {
        let error = serde_json::from_str::<C>(json).unwrap_err().to_string();
        assert!(error.contains(reason), "{json}: {error}");
    }
    refused::<HistogramBinning>(r#"{"frequencies":[]}"#, "at least one bin");
    refused::<HistogramBinning>(
        r#"{"frequencies":[0.5,1.5]}"#,
        "frequency 1 must be inside [0, 1], got 1.5",
    );
    refused::<HistogramClasses>(r#"{"classes":[]}"#, "at least one class");
    refused::<MatrixScaling>(
        r#"{"weight":[1.0],"offset":[0.0,0.0]}"#,
        "need as many weights, got 1",
    );
    refused::<DirichletCalibration>(r#"{"weight":[],"offset":[]}"#, "at least one class");
    for (error, expected) in [
        (
            HistogramBinning::try_fit(&[0.5], &[true], 0).unwrap_err(),
            "the number of bins must be at least 1, got 0",
        ),
        (
            HistogramBinning::try_fit(&[0.5], &[], 3).unwrap_err(),
            "1 probabilities need as many outcomes, got 0",
        ),
        (
            HistogramClasses::try_fit(&[0.5, 0.6], 2, &[0], 3).unwrap_err(),
            "must sum to 1, got 1.1",
        ),
        (
            MatrixScalingConfig::new()
                .with_offset(-1.0)
                .try_fit(&[1.0, 2.0], 2, &[0])
                .unwrap_err(),
            "a penalty on offsets must be finite and not negative, got -1",
        ),
        (
            MatrixScalingConfig::new()
                .try_fit(&[1.0, 2.0], 2, &[0])
                .unwrap_err(),
            "a class occurs in no label",
        ),
        (
            MatrixScalingConfig::new()
                .try_fit(&[0.0; 65], 65, &[0])
                .unwrap_err(),
            "the number of classes must be at most 64 (vector scaling takes more), got 65",
        ),
        (
            matrix.try_apply(&[1.0, f64::NAN, 0.0]).unwrap_err(),
            "logit 1 must be finite, got NaN",
        ),
    ] {
        let message = error.to_string();
        assert!(message.contains(expected), "{message:?} for {expected:?}");
    }
}

#[test]
fn a_matrix_scaling_is_no_dirichlet_calibration_and_files_of_before_are_read_as_what_is_asked_for()
{
    let logits = &reference::LOGITS;
    let config = MatrixScalingConfig::new().with_off_diagonal(0.1);
    let matrix = config.fit(logits, CLASSES, &reference::LABELS);
    let dirichlet = config.fit_dirichlet(logits, CLASSES, &reference::LABELS);
    let (of_matrix, of_dirichlet) = (
        serde_json::to_string(&matrix).unwrap(),
        serde_json::to_string(&dirichlet).unwrap(),
    );
    let error = serde_json::from_str::<DirichletCalibration>(&of_matrix).unwrap_err();
    assert!(
        error.to_string().contains("it is a matrix scaling"),
        "{error}"
    );
    let error = serde_json::from_str::<MatrixScaling>(&of_dirichlet).unwrap_err();
    assert!(
        error.to_string().contains("it is a Dirichlet calibration"),
        "{error}"
    );

    let before = r#"{"weight":[1.5,0.0,0.0,2.0],"offset":[0.5,-0.5]}"#;
    let scaling: MatrixScaling = serde_json::from_str(before).unwrap();
    assert_eq!((scaling.weight[0], scaling.offset[1]), (1.5, -0.5));
    let calibration: DirichletCalibration = serde_json::from_str(before).unwrap();
    assert_eq!(calibration.scaling, scaling);
}

#[test]
fn a_recalibration_beyond_probabilities_is_refused_when_it_is_read() {
    for text in [
        r#"{"regression":{"x":[0.0,5.0],"y":[0.0,1.0]}}"#,
        r#"{"regression":{"x":[0.0,1.0],"y":[0.0,1.5]}}"#,
    ] {
        let error = serde_json::from_str::<QuantileRecalibration>(text).unwrap_err();
        assert!(error.to_string().contains("must"), "{error}");
    }
    let fine = r#"{"regression":{"x":[0.0,1.0],"y":[0.0,1.0]}}"#;
    let read: QuantileRecalibration = serde_json::from_str(fine).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), fine);
}

#[test]
fn targets_above_all_that_the_model_thought_possible_count_as_those_below() {
    let fit = |pit: &[f64]| QuantileRecalibration::fit(pit);
    assert_eq!(fit(&[1.0; 99]).inverse(0.95), 1.0);
    assert_eq!(fit(&[1.0; 99]).inverse(0.5), 1.0);
    let half = fit(&[0.5, 1.0, 1.0, 1.0]);
    assert_eq!(half.inverse(0.7), 1.0);
    assert_close(&half.apply(&[0.5, 0.75, 1.0]), &[0.2, 0.3, 0.8], 1e-12);
    assert_close(&[half.inverse(0.1)], &[0.25], 1e-12);
    let y = NormalMixture::new(vec![vec![0.0]], vec![1.0], 1);
    assert_eq!(half.quantile(&y, 0.7), [f64::INFINITY]);
    let both: Vec<f64> = [[0.0; 20], [1.0; 20]].concat();
    let middle = (0..60).map(|i| 0.05 + 0.9 * f64::from(i) / 59.0);
    let pit: Vec<f64> = both.into_iter().chain(middle).collect();
    let interval = fit(&pit).interval(&y, 0.8)[0];
    assert_eq!(
        (interval.lower, interval.upper),
        (f64::NEG_INFINITY, f64::INFINITY)
    );
}

proptest! {
    #[test]
    fn both_ends_of_a_recalibration_are_alike(
        inner in prop::collection::vec(0.01..0.99f64, 0..20),
        ends in (0..10usize, 0..10usize),
        p in 0.01..0.99f64,
    ) {
        prop_assume!(inner.len() + ends.0 + ends.1 > 0);
        let pit = |ends: (usize, usize), inner: Vec<f64>| {
            let (low, high) = (vec![0.0; ends.0], vec![1.0; ends.1]);
            QuantileRecalibration::fit(&[low, inner, high].concat())
        };
        // No two at one place, where a tie has the rank of its last.
        let mut distinct = inner;
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let mirrored = distinct.iter().map(|x| 1.0 - x).collect();
        let one = pit(ends, distinct);
        let other = pit((ends.1, ends.0), mirrored);
        let total = one.apply(&[0.0, 1.0]);
        // Where R jumps the two may land on its sides.
        prop_assume!(total.iter().all(|r| (r - p).abs() > 1e-9));
        prop_assert!((one.inverse(p) - (1.0 - other.inverse(1.0 - p))).abs() < 1e-9);
    }
}

#[test]
fn isotonic_fits_of_numbers_near_the_largest_are_their_means() {
    let fit = IsotonicRegression::fit(
        &[1.0, 1.0, 2.0, 2.0],
        &[1.7e308, 1.7e308, -1.7e308, -1.7e308],
    );
    assert_eq!(fit.apply(&[1.0, 1.5, 2.0]), [0.0; 3]);
    let steep = IsotonicRegression::fit(&[0.0, 1.0], &[-1.7e308, 1.7e308]);
    assert_eq!(steep.apply(&[0.0, 0.5, 1.0]), [-1.7e308, 0.0, 1.7e308]);
    let wide = IsotonicRegression::fit(&[-1.7e308, 1.7e308], &[0.0, 1.0]);
    let share = wide.apply(&[1e308])[0];
    assert!((share - 2.7 / 3.4).abs() < 1e-15, "{share}");
}
