//! The predictive mixture.

use blitz_predict::NormalMixture;
use blitz_predict::calibration::QuantileRecalibration;

/// Three draws of one prediction; see `normal_mixture_reference.py`.
fn mixture() -> NormalMixture {
    NormalMixture::new(vec![vec![-1.0], vec![0.5], vec![4.0]], vec![0.8], 1)
}

#[test]
fn quantiles_agree_with_scipys_root_finder() {
    for (p, expected) in [
        (0.001, -3.198390525729933),
        (0.025, -2.154195412375614),
        (0.125, -1.2823695785342033),
        (0.5, 0.5524684341017704),
        (0.875, 4.254914322299698),
        (0.975, 5.15162519393247),
        (0.999, 6.198225108402213),
    ] {
        let quantile = mixture().quantile(p)[0];
        assert!((quantile - expected).abs() < 1e-8, "{p}: {quantile}");
    }
}

#[test]
fn distribution_function_and_density_agree_with_scipy_far_into_the_tails() {
    for (y, cdf, nll) in [
        (-3.0, 0.002071912316562488, 4.917820581757581),
        (0.0, 0.3867786806778057, 1.547223299130388),
        (2.2, 0.6651331649882543, 3.4846541657396815),
        (60.0, 1.0, 2451.7944072705586),
    ] {
        assert!((mixture().cdf(&[y])[0] - cdf).abs() < 1e-9);
        assert!((mixture().nll(&[y])[0] - nll).abs() < 1e-9 * nll);
    }
}

#[test]
fn the_variance_is_the_sum_of_its_two_parts() {
    let mixture = mixture();
    let (total, epistemic, aleatoric) = (
        mixture.std_dev()[0],
        mixture.epistemic_std()[0],
        mixture.aleatoric_std()[0],
    );
    assert!((total.powi(2) - epistemic.powi(2) - aleatoric.powi(2)).abs() < 1e-12);
    // -1, 0.5 and 4 have the variance 4.388…
    assert!((epistemic.powi(2) - 158.0 / 36.0).abs() < 1e-12);
}

#[test]
fn one_draw_is_a_plain_normal_without_epistemic_uncertainty() {
    let one = NormalMixture::new(vec![vec![2.0]], vec![3.0], 1);
    assert_eq!(one.epistemic_std(), [0.0]);
    let interval = one.interval(0.95)[0];
    assert!((interval.lower - (2.0 - 3.0 * 1.959963984540054)).abs() < 1e-9);
    assert!((interval.upper - (2.0 + 3.0 * 1.959963984540054)).abs() < 1e-9);
}

#[test]
fn rescaling_moves_every_quantity_into_the_new_units() {
    let columns = NormalMixture::new(vec![vec![0.0, 1.0], vec![1.0, 3.0]], vec![0.5, 2.0], 2);
    let scaled = columns.clone().rescale(&[10.0, -1.0], &[4.0, 0.1]);
    assert_eq!(scaled.mean(), [12.0, -0.8]);
    assert_eq!(scaled.aleatoric_std(), [2.0, 0.2]);
    let epistemic = scaled.epistemic_std();
    assert!((epistemic[0] - 2.0).abs() < 1e-12 && (epistemic[1] - 0.1).abs() < 1e-12);
    // A density changes by the scale: ln 4 for the first column, ln 0.1 for the second.
    let before = columns.nll(&[0.25, 2.0]);
    let after = scaled.nll(&[11.0, -0.8]);
    assert!((after[0] - before[0] - 4f64.ln()).abs() < 1e-12);
    assert!((after[1] - before[1] - 0.1f64.ln()).abs() < 1e-12);
}

#[test]
fn intervals_of_a_right_model_cover_what_they_promise() {
    use blitz_predict::blitz_noise::NoiseKey;

    // Targets drawn from the mixture itself.
    let n = 20_000;
    let noise = NoiseKey::new(1, 0, 0);
    let means: Vec<Vec<f64>> = vec![vec![-1.0; n], vec![0.5; n], vec![4.0; n]];
    let targets: Vec<f64> = (0..n)
        .map(|i| means[i % 3][i] + 0.8 * f64::from(noise.standard_normal_at(i as u64)))
        .collect();
    // The same for every example, so one quantile serves all.
    for level in [0.5, 0.75, 0.95] {
        let interval = mixture().interval(level)[0];
        let inside = targets.iter().filter(|y| interval.contains(**y)).count() as f64 / n as f64;
        let standard_error = (level * (1.0 - level) / n as f64).sqrt();
        assert!(
            (inside - level).abs() < 4.0 * standard_error,
            "{level}: {inside}"
        );
    }
}

#[test]
fn many_draws_and_a_tiny_noise_don_t_lose_the_quantile() {
    let means: Vec<Vec<f64>> = (0..1000).map(|i| vec![f64::from(i) / 1000.0]).collect();
    let quantile = NormalMixture::new(means, vec![1e-9], 1).quantile(0.25)[0];
    assert!((quantile - 0.2495).abs() < 1e-3, "{quantile}");
}

#[test]
#[should_panic(expected = "got 0")]
fn a_prediction_without_draws_is_refused() {
    NormalMixture::new(vec![], vec![1.0], 1);
}

#[test]
fn the_last_level_before_everything_has_intervals() {
    let level = 1f64.next_down();
    let y = mixture();
    for interval in [y.interval(level)[0], y.highest_density_interval(level)[0]] {
        assert!(interval.width().is_finite(), "{interval:?}");
        assert!(
            interval.lower < -6.0 && interval.upper > 9.0,
            "{interval:?}"
        );
    }
    let recalibration = QuantileRecalibration::fit(&[0.3, 0.4, 0.5, 0.6, 0.7]);
    let interval = recalibration.interval(&y, level)[0];
    assert!(
        interval.lower < -6.0 && interval.upper > 9.0,
        "{interval:?}"
    );
    assert!(y.try_credible_interval(level).is_err());
}

#[test]
#[should_panic(expected = "got 1.2")]
fn an_interval_of_more_than_everything_is_refused() {
    mixture().interval(1.2);
}

#[test]
#[should_panic(expected = "got 2")]
fn a_wrong_number_of_targets_is_refused() {
    mixture().nll(&[1.0, 2.0]);
}
