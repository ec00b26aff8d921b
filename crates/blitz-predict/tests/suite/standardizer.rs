//! Scaled columns, and predictions brought back.

use blitz_predict::distribution::{Distribution, Laplace, Normal, Rescale, StudentT};
use blitz_predict::{InputError, Interval, Mixture, NormalMixture, Standardizer};

#[test]
fn scaled_columns_have_mean_0_and_deviation_1() {
    let scale = Standardizer::fit(&[1.0, 10.0, 3.0, 30.0], 2);
    assert_eq!(scale, Standardizer::new(vec![2.0, 20.0], vec![1.0, 10.0]));
    let scaled = scale.transform(&[1.0, 10.0, 3.0, 30.0, 4.0, 20.0]);
    assert_eq!(scaled, [-1.0, -1.0, 1.0, 1.0, 2.0, 0.0]);
    let back = scale.inverse(&scaled);
    assert_eq!(back, [1.0, 10.0, 3.0, 30.0, 4.0, 20.0]);
}

#[test]
fn constant_column_becomes_exactly_zero() {
    // Three times 0.1 sums to 0.30000000000000004, whose third is not 0.1.
    let values = [0.1, 5.0, 0.1, 6.0, 0.1, 7.0];
    let scale = Standardizer::fit(&values, 2);
    assert_eq!((scale.mean[0], scale.std[0]), (0.1, 1.0));
    let mut constant = scale.transform(&values).into_iter().step_by(2);
    assert!(constant.all(|value| value == 0.0));
    assert_eq!(Standardizer::fit(&[3.0], 1).transform(&[3.0]), [0.0]);
}

#[test]
fn a_column_that_is_constant_but_for_rounding_becomes_zero() {
    for values in [
        [0.3, 0.1 + 0.2],
        [-1e9, -1e9 - 2.4e-7],
        [1e-300, 1e-300 * (1.0 + 1e-15)],
    ] {
        let scale = Standardizer::fit(&values, 1);
        assert_eq!(scale.std, [1.0], "{values:?}");
        let scaled = scale.transform(&values);
        assert!(scaled.iter().all(|z| z.abs() <= 2.4e-7), "{scaled:?}");
    }
    // A hundred roundings apart are a column.
    let scale = Standardizer::fit(&[1.0, 1.0 + 100.0 * f64::EPSILON], 1);
    assert_eq!(scale.std, [50.0 * f64::EPSILON]);
}

#[test]
fn neither_offset_nor_size_costs_digits() {
    let scale = Standardizer::fit(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0], 1);
    assert!((scale.std[0] - (2.0f64 / 3.0).sqrt()).abs() < 1e-12);
    // Squared, the first two vanish.
    for size in [1e-300, 1e-200, 1e150] {
        let scale = Standardizer::fit(&[-size, size, 3.0 * size], 1);
        let std = size * (8.0f64 / 3.0).sqrt();
        assert!(
            (scale.std[0] / std - 1.0).abs() < 1e-14,
            "{size}: {scale:?}"
        );
        let scaled = scale.transform(&[-size, size, 3.0 * size]);
        assert!(
            (scaled[2] - 1.5f64.sqrt()).abs() < 1e-14,
            "{size}: {scaled:?}"
        );
    }
}

#[test]
fn a_value_far_beyond_the_numbers_of_the_fit_is_still_one() {
    let scale = Standardizer::new(vec![-1.5e308], vec![1e308]);
    assert_eq!(scale.transform(&[1.5e308]), [3.0]);
}

#[test]
fn what_cannot_be_scaled_is_an_error_that_names_it() {
    let error = |values: &[f64], columns| Standardizer::try_fit(values, columns).unwrap_err();
    assert_eq!(error(&[], 2), InputError::Empty { what: "row" });
    assert_eq!(error(&[1.0], 0), InputError::Empty { what: "column" });
    assert_eq!(
        error(&[1.0, 2.0, 3.0], 2),
        InputError::Rows { len: 3, width: 2 }
    );
    assert_eq!(
        error(&[1.0, 2.0, 3.0, f64::NAN], 2).to_string(),
        "row 1, column 1: NaN is not finite (both counted from 0)"
    );
    assert_eq!(
        error(&[0.0, 1.0, 0.0, 1e200], 2),
        InputError::Column { column: 1 }
    );
    // Half of the least number rounds to a deviation of 0.
    assert_eq!(error(&[0.0, 5e-324], 1), InputError::Column { column: 0 });
    assert_eq!(
        error(&[-1.7e308, 1.7e308], 1),
        InputError::Column { column: 0 }
    );

    let scale = Standardizer::fit(&[1.0, 10.0, 3.0, 30.0], 2);
    let error = scale
        .try_transform(&[1.0, 2.0, f64::INFINITY, 2.0])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 1, column 0: inf is not finite (both counted from 0)"
    );
    assert_eq!(
        scale.try_transform(&[1.0]).unwrap_err(),
        InputError::Rows { len: 1, width: 2 }
    );
}

#[test]
fn a_saved_scale_comes_back_and_a_wrong_one_is_refused() {
    let scale = Standardizer::fit(&[1.0, 10.0, 3.0, 31.0], 2);
    let text = serde_json::to_string(&scale).unwrap();
    assert_eq!(serde_json::from_str::<Standardizer>(&text).unwrap(), scale);
    for wrong in [
        r#"{"mean": [], "std": []}"#,
        r#"{"mean": [0.0], "std": [1.0, 1.0]}"#,
        r#"{"mean": [0.0], "std": [0.0]}"#,
        r#"{"mean": [0.0], "std": [-1.0]}"#,
        r#"{"mean": [null], "std": [1.0]}"#,
    ] {
        assert!(
            serde_json::from_str::<Standardizer>(wrong).is_err(),
            "{wrong}"
        );
    }
}

/// Densities integrate over the data's own unit, so the NLL differs by ln std: the Jacobian.
fn comes_back<C: Rescale>(draws: Vec<Vec<C>>) {
    let scale = Standardizer::new(vec![50.0, -3.0], vec![4.0, 0.25]);
    let standardized = Mixture::from_draws(draws, 2);
    let restored = scale.inverse_predictive(standardized.clone());
    let z = [0.3, -0.7, 1.5, 0.1];
    let y = scale.inverse(&z);
    let close = |a: &[f64], b: &[f64]| {
        let pairs = a.iter().zip(b);
        for (a, b) in pairs {
            assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} for {b}");
        }
    };
    close(&restored.cdf(&y), &standardized.cdf(&z));
    let corrected: Vec<f64> = standardized
        .nll(&z)
        .iter()
        .zip(scale.log_std().iter().cycle())
        .map(|(nll, log_std)| nll + log_std)
        .collect();
    close(&restored.nll(&y), &corrected);
    close(&restored.mean(), &scale.inverse(&standardized.mean()));
    close(
        &restored.quantile(0.1),
        &scale.inverse(&standardized.quantile(0.1)),
    );
    let stds: Vec<f64> = standardized
        .epistemic_std()
        .iter()
        .zip(scale.std.iter().cycle())
        .map(|(z, std)| z * std)
        .collect();
    close(&restored.epistemic_std(), &stds);
    close(
        &restored.sample(1, 7)[0],
        &scale.inverse(&standardized.sample(1, 7)[0]),
    );
    let ends = |intervals: Vec<Interval>| -> Vec<f64> {
        intervals.iter().flat_map(|i| [i.lower, i.upper]).collect()
    };
    close(
        &ends(restored.interval(0.9)),
        &ends(scale.inverse_intervals(&standardized.interval(0.9))),
    );
}

fn drawn<C: Distribution>(component: impl Fn(f64) -> C) -> Vec<Vec<C>> {
    let draw = |draw: u32| {
        (0..4)
            .map(|i| component(f64::from(i * 3 + draw) / 5.0 - 1.0))
            .collect()
    };
    (0..3).map(draw).collect()
}

#[test]
fn predictions_of_every_family_with_a_location_come_back_in_the_unit_of_the_data() {
    comes_back(drawn(|mean| Normal { mean, std: 0.5 }));
    comes_back(drawn(|location| Laplace {
        location,
        scale: 0.4,
    }));
    comes_back(drawn(|location| StudentT {
        degrees_of_freedom: 4.0,
        location,
        scale: 0.6,
    }));
}

#[test]
#[should_panic(expected = "2 target columns need as many means and deviations, got 1 and 1")]
fn a_standardizer_of_other_columns_is_refused() {
    let predictive = NormalMixture::new(vec![vec![0.0, 0.0]], vec![1.0, 1.0], 2);
    let _ = Standardizer::fit(&[1.0, 2.0], 1).inverse_predictive(predictive);
}
