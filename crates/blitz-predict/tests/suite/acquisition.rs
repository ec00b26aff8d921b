//! Choosing from a pool: against enumeration, closed forms and determinants.

use blitz_noise::NoiseKey;
use blitz_predict::acquisition::{
    Acquisition, BatchBald, ClassDraws, bald, entropy, epistemic_variance, highest, margin,
    normal_bald, normal_batch_bald, random,
};
use blitz_predict::distribution::{Normal, Poisson};
use blitz_predict::{CategoricalMixture, InputError, Mixture, NormalMixture};
use nalgebra::DMatrix;
use rand_distr::{Distribution as _, StandardNormal};

use crate::standard_errors_off;

fn normals(seed: u64, count: usize) -> Vec<f64> {
    let mut rng = NoiseKey::new(seed, 0, 0).rng();
    (0..count)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect()
}

/// Logits of deviation 2: `[draw][point · classes + class]`.
fn logits(draws: usize, points: usize, classes: usize, seed: u64) -> Vec<Vec<f64>> {
    let all = normals(seed, draws * points * classes);
    let rows = all.chunks(points * classes);
    rows.map(|row| row.iter().map(|z| 2.0 * z).collect())
        .collect()
}

fn pool(draws: usize, points: usize, classes: usize, seed: u64) -> ClassDraws {
    ClassDraws::try_from_logits(logits(draws, points, classes, seed), classes).unwrap()
}

/// `I[y_1, …, y_b; s]` as the definition has it, over all configurations, from logits.
fn joint_information(logits: &[Vec<f64>], classes: usize, points: &[usize]) -> f64 {
    let probabilities = |draw: &Vec<f64>, point: usize| {
        let row: Vec<f64> = draw[point * classes..][..classes]
            .iter()
            .map(|z| z.exp())
            .collect();
        let sum: f64 = row.iter().sum();
        row.into_iter().map(|e| e / sum).collect::<Vec<f64>>()
    };
    let tables: Vec<Vec<Vec<f64>>> = logits
        .iter()
        .map(|draw| {
            points
                .iter()
                .map(|point| probabilities(draw, *point))
                .collect()
        })
        .collect();
    let plogp = |p: f64| if p > 0.0 { p * p.ln() } else { 0.0 };
    let (mut joint, mut of_draws) = (0.0, 0.0);
    for configuration in 0..classes.pow(points.len() as u32) {
        let mut mean = 0.0;
        for table in &tables {
            let mut rest = configuration;
            let mut p = 1.0;
            for row in table {
                p *= row[rest % classes];
                rest /= classes;
            }
            mean += p / tables.len() as f64;
            of_draws -= plogp(p) / tables.len() as f64;
        }
        joint -= plogp(mean);
    }
    joint - of_draws
}

#[test]
fn a_batch_of_one_is_that_of_bald() {
    for seed in 0..50 {
        let draws = pool(7, 20, 4, seed);
        let batch = BatchBald::new(seed).choose(&draws, 1).unwrap();
        assert_eq!(batch, bald(draws.mixture(), 1).unwrap());
    }
}

#[test]
fn every_step_takes_the_largest_joint_information_by_enumeration() {
    for seed in 0..12 {
        let (classes, points) = (3, 9);
        let logits = logits(6, points, classes, seed);
        let draws = ClassDraws::try_from_logits(logits.clone(), classes).unwrap();
        let batch = BatchBald::new(0).choose(&draws, 5).unwrap();
        let mut before = 0.0;
        for (place, (index, score)) in batch.indices.iter().zip(&batch.scores).enumerate() {
            let chosen = &batch.indices[..place];
            let with = |point: usize| {
                let points: Vec<usize> = chosen.iter().copied().chain([point]).collect();
                joint_information(&logits, classes, &points)
            };
            let information = with(*index);
            assert!(
                (information - before - score).abs() < 1e-12,
                "seed {seed}, point {place}: a gain of {score} for {}",
                information - before
            );
            for other in (0..points).filter(|other| !batch.indices[..=place].contains(other)) {
                assert!(
                    with(other) <= information + 1e-12,
                    "seed {seed}: {other} is better than {index} at place {place}"
                );
            }
            before = information;
        }
        // What S draws can tell at most.
        assert!(before <= 6f64.ln());
    }
}

#[test]
fn bald_takes_a_point_and_its_copy_where_a_batch_takes_one_of_them() {
    // Three questions, the best of them in the pool three times.
    let two_classes = |z: f64| [z, -z];
    let rows = [
        [3.0, 3.0, 3.0, 2.0],
        [3.0, 3.0, 3.0, -2.0],
        [-3.0, -3.0, -3.0, 2.0],
        [-3.0, -3.0, -3.0, -2.0],
    ];
    let logits = rows.map(|row| row.into_iter().flat_map(two_classes).collect::<Vec<_>>());
    let draws = ClassDraws::try_from_logits(logits, 2).unwrap();
    assert_eq!(bald(draws.mixture(), 3).unwrap().indices, [0, 1, 2]);
    let batch = BatchBald::new(0).choose(&draws, 3).unwrap();
    assert_eq!(batch.indices, [0, 3, 1]);
    // What point 3 tells has nothing to do with point 0; a copy tells next to nothing.
    let alone = draws.mixture().mutual_information()[3];
    assert!((batch.scores[1] - alone).abs() < 1e-12);
    assert!(batch.scores[2] < 0.05 * alone, "{:?}", batch.scores);
}

#[test]
fn drawn_configurations_estimate_the_joint_information_without_bias() {
    // Copies of one point, so that no choice depends on the estimate.
    let (classes, copies) = (3, 6);
    let one = logits(5, 1, classes, 3);
    let logits: Vec<Vec<f64>> = one.iter().map(|row| row.repeat(copies)).collect();
    let draws = ClassDraws::try_from_logits(logits.clone(), classes).unwrap();
    let exact = joint_information(&logits, classes, &(0..copies).collect::<Vec<_>>());
    let information = |max: usize, seed: u64| {
        let settings = BatchBald::new(seed).with_max_configurations(max);
        settings
            .choose(&draws, copies)
            .unwrap()
            .scores
            .iter()
            .sum::<f64>()
    };
    assert!((information(243, 0) - exact).abs() < 1e-12);
    // Nine configurations are enumerated, two hundred drawn from the third label on.
    let estimates: Vec<f64> = (0..300).map(|seed| information(200, seed)).collect();
    let k = standard_errors_off(&estimates, exact);
    assert!(k.abs() < 5.0, "{k} standard errors off {exact}");
    // Of the order that is promised.
    let worst = estimates
        .iter()
        .map(|e| (e - exact).abs())
        .fold(0.0, f64::max);
    assert!(
        worst < 3f64.ln() / 200f64.sqrt() * 4.0 && worst > 0.0,
        "{worst}"
    );
    assert_eq!(information(200, 8), information(200, 8));
}

#[test]
fn gains_never_grow_and_a_whole_pool_is_chosen_once() {
    for max in [1, 5, 1000] {
        let draws = pool(8, 25, 3, 11);
        let settings = BatchBald::new(5).with_max_configurations(max);
        let batch = settings.choose(&draws, 25).unwrap();
        let mut all = batch.indices.clone();
        all.sort_unstable();
        assert_eq!(all, (0..25).collect::<Vec<_>>());
        assert!(
            batch.scores.is_sorted_by(|a, b| a >= b),
            "{:?}",
            batch.scores
        );
        assert!(batch.scores.iter().all(|score| *score >= 0.0));
    }
}

#[test]
fn equal_scores_go_by_their_place() {
    let same = [0.5, -0.5].repeat(4);
    let draws = ClassDraws::try_from_logits([same.clone(), same], 2).unwrap();
    let y = draws.mixture();
    let by_place = [0, 1, 2];
    assert_eq!(bald(y, 3).unwrap().indices, by_place);
    assert_eq!(entropy(y, 3).unwrap().indices, by_place);
    assert_eq!(margin(y, 3).unwrap().indices, by_place);
    assert_eq!(
        BatchBald::new(0).choose(&draws, 3).unwrap().indices,
        by_place
    );
    let numbers = NormalMixture::new(vec![vec![1.0; 4], vec![2.0; 4]], vec![1.0], 1);
    assert_eq!(epistemic_variance(&numbers, 3).unwrap().indices, by_place);
    assert_eq!(normal_bald(&numbers, 3).unwrap().indices, by_place);
    assert_eq!(normal_batch_bald(&numbers, 3).unwrap().indices, by_place);
    // A zero is no better for its sign.
    assert_eq!(highest(&[-0.0, 0.0, 0.0], 2).unwrap().indices, [0, 1]);
}

#[test]
fn scores_are_the_closed_forms() {
    // Each draw is sure of its own class: K draws of K classes know nothing together, and everything alone.
    let sure = |class: usize| {
        (0..4)
            .map(|c| if c == class { 60.0 } else { 0.0 })
            .collect::<Vec<_>>()
    };
    let y = CategoricalMixture::from_logits((0..4).map(sure), 4);
    let ln4 = 4f64.ln();
    assert!((bald(&y, 1).unwrap().scores[0] - ln4).abs() < 1e-12);
    assert!((entropy(&y, 1).unwrap().scores[0] - ln4).abs() < 1e-12);
    assert!(margin(&y, 1).unwrap().scores[0].abs() < 1e-12);
    // A coin that all draws know for one.
    let coin = CategoricalMixture::from_logits([vec![0.0, 0.0], vec![1.0, 1.0]], 2);
    assert!(bald(&coin, 1).unwrap().scores[0] < 1e-12);
    assert!((entropy(&coin, 1).unwrap().scores[0] - 2f64.ln()).abs() < 1e-12);
    // Any distribution has an epistemic variance; targets of a row are summed.
    let draws = [2f64, 4.0].map(|rate| {
        vec![
            Poisson {
                log_rate: rate.ln()
            };
            2
        ]
    });
    let counts = Mixture::from_draws(draws, 2);
    let chosen = epistemic_variance(&counts, 1).unwrap();
    assert!((chosen.scores[0] - 2.0).abs() < 1e-12);
}

/// `½ ln det(cov(points) + noise) − ½ ln det noise` over all targets of the points.
fn information_by_determinant(means: &[Vec<f64>], noise: &[f64], points: &[usize]) -> f64 {
    let targets = noise.len();
    let columns: Vec<usize> = points
        .iter()
        .flat_map(|p| p * targets..(p + 1) * targets)
        .collect();
    let draws = means.len() as f64;
    let mean = |c: usize| means.iter().map(|m| m[c]).sum::<f64>() / draws;
    let n = columns.len();
    let total = DMatrix::from_fn(n, n, |i, j| {
        let (a, b) = (columns[i], columns[j]);
        let products = means.iter().map(|m| (m[a] - mean(a)) * (m[b] - mean(b)));
        let noise = if i == j {
            noise[a % targets].powi(2)
        } else {
            0.0
        };
        products.sum::<f64>() / draws + noise
    });
    let of_noise: f64 = columns.iter().map(|c| noise[c % targets].ln()).sum();
    0.5 * total.determinant().ln() - of_noise
}

#[test]
fn normal_information_is_that_of_the_determinants() {
    let (draws, points, noise) = (5, 8, [0.3, 0.7]);
    for seed in 0..10 {
        let all = normals(100 + seed, draws * points * 2);
        let means: Vec<Vec<f64>> = all.chunks(points * 2).map(<[f64]>::to_vec).collect();
        let y = NormalMixture::new(means.clone(), noise.to_vec(), 2);
        let single = normal_bald(&y, points).unwrap();
        for (index, score) in single.indices.iter().zip(&single.scores) {
            let expected = information_by_determinant(&means, &noise, &[*index]);
            assert!((score - expected).abs() < 1e-9, "{score} for {expected}");
        }
        let Acquisition {
            indices, scores, ..
        } = normal_batch_bald(&y, 4).unwrap();
        assert_eq!(
            (indices[0], scores[0]),
            (single.indices[0], single.scores[0])
        );
        for place in 1..=4 {
            let information: f64 = scores[..place].iter().sum();
            let expected = information_by_determinant(&means, &noise, &indices[..place]);
            assert!(
                (information - expected).abs() < 1e-9,
                "{information} for {expected}"
            );
            for other in (0..points).filter(|other| !indices[..place].contains(other)) {
                let mut with = indices[..place - 1].to_vec();
                with.push(other);
                let information = information_by_determinant(&means, &noise, &with);
                assert!(information <= expected + 1e-9);
            }
        }
    }
}

#[test]
fn normal_information_does_not_depend_on_the_units_of_the_targets() {
    let (draws, points) = (6, 5);
    let means: Vec<Vec<f64>> = normals(7, draws * points)
        .chunks(points)
        .map(<[f64]>::to_vec)
        .collect();
    let noise = [0.3, 0.7, 1.0, 2.0, 0.01];
    // Powers of two, which round nothing: beyond and below where variances are numbers.
    let pool = |units: [i32; 5]| {
        let draws = means.iter().map(|means| {
            let normal = |i: usize| {
                let unit = 2f64.powi(units[i]);
                Normal {
                    mean: means[i] * unit,
                    std: noise[i] * unit,
                }
            };
            (0..points).map(normal).collect()
        });
        Mixture::from_draws(draws, 1)
    };
    let expected = pool([0; 5]);
    for units in [
        [1000; 5],
        [-1000; 5],
        [0, 900, -900, 30, 520],
        [600, 0, 0, -600, 330],
    ] {
        let scaled = pool(units);
        assert_eq!(normal_bald(&scaled, 5), normal_bald(&expected, 5));
        assert_eq!(
            normal_batch_bald(&scaled, 3),
            normal_batch_bald(&expected, 3)
        );
    }
}

#[test]
fn normal_information_keeps_its_digits_beside_a_large_noise() {
    for (noise, unit) in [(1e8, 1.0), (1e158, 1e150), (1e-140, 1e-148)] {
        let y = NormalMixture::new(
            vec![vec![-unit, 0.0], vec![unit, 3.0 * unit]],
            vec![noise],
            1,
        );
        let Acquisition {
            indices, scores, ..
        } = normal_bald(&y, 2).unwrap();
        assert_eq!(indices, [1, 0]);
        // Deviations of 3/2 and 1.
        for (score, variance) in scores.iter().zip([2.25, 1.0]) {
            let expected = 0.5 * variance * 1e-16;
            assert!((score / expected - 1.0).abs() < 1e-12, "{noise}: {score:e}");
        }
    }
}

#[test]
fn normal_information_bounds_that_of_two_far_draws() {
    // Far apart, two draws tell ln 2, and the normal of their covariance more.
    let far = NormalMixture::new(vec![vec![-50.0], vec![50.0]], vec![1.0], 1);
    assert!(normal_bald(&far, 1).unwrap().scores[0] > 2f64.ln());
    // Draws that differ in their noise alone tell something, too, by the bound.
    let noises = [0.5, 2.0].map(|std| vec![Normal { mean: 0.0, std }]);
    let y = Mixture::from_draws(noises, 1);
    let expected = 0.5 * (2.125f64).ln();
    assert!((normal_bald(&y, 1).unwrap().scores[0] - expected).abs() < 1e-12);
}

#[test]
fn a_random_choice_favours_no_point() {
    let mut times = [0f64; 5];
    let rounds = 4000;
    for seed in 0..rounds {
        let chosen = random(5, 2, seed).unwrap();
        assert_ne!(chosen.indices[0], chosen.indices[1]);
        assert!(chosen.scores[0] >= chosen.scores[1]);
        for index in chosen.indices {
            times[index] += 1.0;
        }
    }
    // Chosen two times of five. Five standard errors of a binomial.
    let se = (rounds as f64 * 0.4 * 0.6).sqrt();
    for times in times {
        assert!((times - 0.4 * rounds as f64).abs() < 5.0 * se, "{times}");
    }
}

#[test]
fn a_pool_read_in_batches_is_the_pool_read_at_once() {
    let all = logits(4, 10, 3, 2);
    let part = |from: usize, to: usize| {
        let rows = all.iter().map(|row| row[from * 3..to * 3].to_vec());
        ClassDraws::try_from_logits(rows, 3).unwrap()
    };
    let mut y = part(0, 4);
    y.append(part(4, 10)).unwrap();
    assert_eq!(y, part(0, 10));
    assert!(!y.is_empty());
    let shorter = ClassDraws::try_from_logits(all[..3].iter().cloned(), 3).unwrap();
    let error = y.append(shorter).unwrap_err().to_string();
    assert_eq!(
        error,
        "4 draws of a pool need as many draws of its further points, got 3"
    );
    let other = ClassDraws::try_from_logits(all.iter().cloned(), 6).unwrap();
    assert!(y.append(other).unwrap_err().to_string().contains("classes"));
    assert_eq!(y.len(), 10);
}

#[test]
fn what_cannot_be_chosen_from_is_an_error_that_says_so() {
    let small = InputError::Pool { pool: 3, asked: 4 };
    assert_eq!(
        small.to_string(),
        "4 points can't be chosen from a pool of 3"
    );
    let draws = pool(2, 3, 2, 0);
    let numbers = NormalMixture::new(vec![vec![0.0; 3], vec![1.0; 3]], vec![1.0], 1);
    assert_eq!(bald(draws.mixture(), 4).unwrap_err(), small);
    assert_eq!(entropy(draws.mixture(), 4).unwrap_err(), small);
    assert_eq!(margin(draws.mixture(), 4).unwrap_err(), small);
    assert_eq!(BatchBald::new(0).choose(&draws, 4).unwrap_err(), small);
    assert_eq!(epistemic_variance(&numbers, 4).unwrap_err(), small);
    assert_eq!(normal_bald(&numbers, 4).unwrap_err(), small);
    assert_eq!(normal_batch_bald(&numbers, 4).unwrap_err(), small);
    assert_eq!(random(3, 4, 0).unwrap_err(), small);
    assert_eq!(highest(&[0.0; 3], 4).unwrap_err(), small);
    // None of nothing is no error.
    assert_eq!(random(0, 0, 0).unwrap(), Acquisition::default());
    assert_eq!(
        BatchBald::new(0).choose(&draws, 0).unwrap(),
        Acquisition::default()
    );

    let wide = NormalMixture::new(vec![vec![0.0, -1e200], vec![1.0, 1e200]], vec![1.0], 1);
    for chosen in [
        normal_bald(&wide, 1),
        normal_batch_bald(&wide, 1),
        epistemic_variance(&wide, 1),
    ] {
        assert_eq!(
            chosen.unwrap_err().to_string(),
            "score 1 must be finite, got inf"
        );
    }

    let error = highest(&[0.0, f64::NAN], 1).unwrap_err().to_string();
    assert_eq!(error, "score 1 must be a number, got NaN");
    let error = |rows: Vec<Vec<f64>>, classes| {
        let result = ClassDraws::try_from_logits(rows, classes);
        result.unwrap_err().to_string()
    };
    assert_eq!(error(vec![], 2), "there must be at least one draw, got 0");
    assert_eq!(
        error(vec![vec![0.0]], 0),
        "there must be at least one class, got 0"
    );
    assert_eq!(
        error(vec![vec![0.0; 3]], 2),
        "3 values are no whole number of rows of 2"
    );
    assert_eq!(
        error(vec![vec![0.0; 4], vec![0.0; 4], vec![0.0; 2]], 2),
        "draw 2 must have the 4 values of draw 0, got 2"
    );
    assert_eq!(
        error(vec![vec![0.0; 4], vec![0.0, 0.0, 0.0, f64::NAN]], 2),
        "draw 1, example 1: a logit is NaN"
    );
    assert_eq!(
        error(vec![vec![f64::INFINITY, 0.0]], 2),
        "draw 0, example 0: a logit is inf"
    );
    let one_class = CategoricalMixture::from_logits([vec![0.0; 3]], 1);
    let error = margin(&one_class, 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "the number of classes of a margin must be at least 2, got 1"
    );
    let none = BatchBald::new(0).with_max_configurations(0);
    let error = none.choose(&draws, 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "the number of configurations must be at least 1, got 0"
    );
}
