//! Distances of predictions from those of another posterior.

use blitz_predict::InputError;
use blitz_predict::blitz_noise::NoiseKey;
use blitz_predict::score::{
    agreement, sample_wasserstein, total_variation, try_agreement, try_sample_wasserstein,
    try_total_variation,
};

#[test]
fn distances_of_a_prediction_from_itself_are_none() {
    let p = [0.2, 0.3, 0.5, 0.6, 0.3, 0.1];
    assert_eq!(agreement(&p, &p, 3), 1.0);
    assert_eq!(total_variation(&p, &p, 3), 0.0);
    assert_eq!(sample_wasserstein((&p, 3), (&p, 3)), 0.0);
}

#[test]
fn total_variation_is_one_for_classes_that_exclude_each_other() {
    assert_eq!(total_variation(&[1.0, 0.0], &[0.0, 1.0], 2), 1.0);
}

#[test]
fn wasserstein_distances_are_those_of_scipy() {
    // scipy.stats.wasserstein_distance([3.4, 3.9, 7.5, 7.8], [4.5, 1.4]) and ([1.0, 1.0, 2.0], [1.0, 5.0, -3.0])
    let got = sample_wasserstein((&[3.4, 3.9, 7.5, 7.8], 4), (&[4.5, 1.4], 2));
    assert!((got - 2.7).abs() < 1e-12, "{got}");
    let got = sample_wasserstein((&[1.0, 1.0, 2.0], 3), (&[1.0, 5.0, -3.0], 3));
    assert!((got - 7.0 / 3.0).abs() < 1e-12, "{got}");
}

#[test]
fn the_wasserstein_distance_of_normals_that_are_moved_is_the_move() {
    let draws = |index, shift: f64| {
        let mut values = vec![0.0f32; 4000];
        NoiseKey::new(1, index, 0).fill_standard_normal(0, &mut values);
        values
            .into_iter()
            .map(|value| f64::from(value) + shift)
            .collect::<Vec<_>>()
    };
    let moved = sample_wasserstein((&draws(0, 0.0), 4000), (&draws(1, 2.0), 4000));
    // The difference of two means has a deviation of √(2 / 4000).
    assert!(
        (moved - 2.0).abs() < 5.0 * (2.0f64 / 4000.0).sqrt(),
        "{moved}"
    );
    let same = sample_wasserstein((&draws(0, 0.0), 4000), (&draws(1, 0.0), 4000));
    assert!(same < 0.1, "{same}");
}

#[test]
fn predictions_that_dont_go_together_are_refused() {
    let p = [0.5, 0.5];
    assert!(matches!(
        try_agreement(&p, &[0.5, 0.5, 1.0, 0.0], 2),
        Err(InputError::Length { .. })
    ));
    assert!(matches!(
        try_total_variation(&p, &[0.5, 0.6], 2),
        Err(InputError::Sum { .. })
    ));
    assert!(matches!(
        try_agreement(&[], &[], 2),
        Err(InputError::Empty { .. })
    ));
    let two = [1.0, 2.0];
    assert!(matches!(
        try_sample_wasserstein((&two, 2), (&two, 1)),
        Err(InputError::Length { .. })
    ));
    assert!(matches!(
        try_sample_wasserstein((&two, 0), (&two, 1)),
        Err(InputError::Empty { .. })
    ));
    let nan = [f64::NAN, 2.0];
    assert!(matches!(
        try_sample_wasserstein((&two, 1), (&nan, 1)),
        Err(InputError::Value { index: 0, .. })
    ));
}
