//! What theory says of the metrics, for any input.

use blitz_predict::blitz_noise::NoiseKey;
use blitz_predict::score::*;
use proptest::prelude::*;

use crate::standard_errors_off;

#[test]
fn crps_of_draws_goes_to_the_closed_form() {
    // Draws from a mixture of two normals, and targets from elsewhere: the mean difference is zero for the fair form,
    // and half the mean distance of two draws, over S, for the other.
    let (examples, draws) = (4000, 8);
    let noise = NoiseKey::new(5, 0, 0);
    let normal = |i: usize| f64::from(noise.standard_normal_at(i as u64));
    let (means, stds) = ([-1.0, 2.0], [0.5, 1.5]);
    let mut next = 0;
    let mut draw = || {
        next += 2;
        let component = usize::from(normal(next) > 0.0);
        means[component] + stds[component] * normal(next + 1)
    };
    let (mut fair, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..examples {
        let samples: Vec<f64> = (0..draws).map(|_| draw()).collect();
        let y = [1.0 + 2.0 * draw()];
        let exact = normal_mixture_crps(&means, &stds, 2, &y);
        fair.push(fair_sample_crps(&samples, draws, &y) - exact);
        plain.push(sample_crps(&samples, draws, &y) - exact);
    }
    let k = standard_errors_off(&fair, 0.0);
    assert!(k.abs() < 5.0, "{k:.1} standard errors off");
    // The mixture's mean distance is twice what its CRPS lacks of its mean distance to a point far away.
    let far = 1e6;
    let mean_distance = 2.0 * (far - 0.5 - normal_mixture_crps(&means, &stds, 2, &[far]));
    let k = standard_errors_off(&plain, 0.5 * mean_distance / draws as f64);
    assert!(k.abs() < 5.0, "{k:.1} standard errors off");
}

#[test]
fn one_component_is_a_normal_and_equal_components_are_one() {
    let (mean, std, y) = ([0.3, -2.0], [0.7, 3.0], [1.0, 1.0]);
    let one = normal_crps(&mean, &std, &y);
    let repeated = |v: [f64; 2]| [[v[0]; 3], [v[1]; 3]].concat();
    let three = normal_mixture_crps(&repeated(mean), &repeated(std), 3, &y);
    assert!((one - three).abs() < 1e-14, "{one} {three}");
}

/// Class probabilities of three classes in multiples of 1/10, and labels.
fn classification() -> impl Strategy<Value = (Vec<f64>, Vec<usize>)> {
    let row = (0..=10u32, 0..=10u32, 0..3usize).prop_map(|(a, b, label)| {
        let (a, b) = (a.min(b), a.max(b));
        let p = [a, b - a, 10 - b].map(|tenths| f64::from(tenths) / 10.0);
        (p, label)
    });
    prop::collection::vec(row, 1..40).prop_map(|rows| {
        let p = rows.iter().flat_map(|(p, _)| *p).collect();
        (p, rows.iter().map(|(_, label)| *label).collect())
    })
}

/// Confidences with ties, and losses.
fn selection() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let pair = (0..=5u32, 0..=3u32).prop_map(|(c, l)| (f64::from(c) / 5.0, f64::from(l)));
    prop::collection::vec(pair, 1..40)
}

/// Scores with ties.
fn scores() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-5..=5i32).prop_map(f64::from), 1..40)
}

fn reversed(values: &[f64]) -> Vec<f64> {
    values.iter().rev().copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_of_a_brier_score_add_up((p, labels) in classification(), bins in 1..12usize) {
        let score = brier_score(&p, 3, &labels);
        prop_assert!((0.0..=2.0 + 1e-12).contains(&score));
        let parts = brier_decomposition(&p, 3, &labels);
        prop_assert!((parts.score() - score).abs() < 1e-12);
        let binned = binned_brier_decomposition(&p, 3, &labels, bins);
        prop_assert!((binned.score() - score).abs() < 1e-12);
        prop_assert!((binned.uncertainty - parts.uncertainty).abs() < 1e-12);
        for part in [parts.reliability, parts.resolution, binned.reliability, binned.resolution] {
            prop_assert!(part >= 0.0);
        }
    }

    #[test]
    fn scores_of_classes_do_not_depend_on_the_order((p, labels) in classification(), bins in 1..12usize) {
        let rows: Vec<f64> = p.chunks(3).rev().flatten().copied().collect();
        let back: Vec<usize> = labels.iter().rev().copied().collect();
        let all = |p: &[f64], labels: &[usize]| {
            let confidence: Vec<f64> = p.chunks(3).map(|row| row.iter().copied().fold(0.0, f64::max)).collect();
            let correct: Vec<bool> = labels.iter().map(|label| *label == 0).collect();
            [
                accuracy(p, 3, labels),
                brier_score(p, 3, labels),
                brier_decomposition(p, 3, labels).resolution,
                expected_calibration_error(&confidence, &correct, bins),
                adaptive_calibration_error(&confidence, &correct, bins),
                classwise_calibration_error(p, 3, labels, bins),
            ]
        };
        for (there, back) in all(&p, &labels).into_iter().zip(all(&rows, &back)) {
            prop_assert!((there - back).abs() < 1e-12, "{there} {back}");
            prop_assert!((0.0..=2.0 + 1e-12).contains(&there));
        }
    }

    #[test]
    fn risk_ends_at_the_mean_loss_and_no_order_beats_the_losses_own(pairs in selection()) {
        let (confidence, loss): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let curve = risk_coverage_curve(&confidence, &loss);
        let mean = loss.iter().sum::<f64>() / loss.len() as f64;
        let last = curve[curve.len() - 1];
        prop_assert!(last.coverage == 1.0 && (last.risk - mean).abs() < 1e-12);
        let area = aurc(&confidence, &loss);
        let back = aurc(&reversed(&confidence), &reversed(&loss));
        prop_assert!((area - back).abs() < 1e-12, "{area} {back}");
        let best: Vec<f64> = loss.iter().map(|loss| -loss).collect();
        prop_assert!(aurc(&best, &loss) <= area + 1e-12);
        prop_assert!(excess_aurc(&best, &loss) == 0.0);
        // A confidence that is the same for all answers at random.
        let constant = aurc(&vec![0.5; loss.len()], &loss);
        prop_assert!((constant - mean).abs() < 1e-12);
    }

    #[test]
    fn detection_depends_on_the_order_of_the_scores_alone(inside in scores(), outside in scores()) {
        let auroc = ood_auroc(&inside, &outside);
        prop_assert!((0.0..=1.0).contains(&auroc));
        // Every pair is counted from one side or the other.
        prop_assert!((auroc + ood_auroc(&outside, &inside) - 1.0).abs() < 1e-12);
        let pairs = inside.iter().flat_map(|i| outside.iter().map(move |o| (i, o)));
        let won = pairs.map(|(i, o)| if o > i { 1.0 } else if o == i { 0.5 } else { 0.0 }).sum::<f64>();
        prop_assert!((auroc - won / (inside.len() * outside.len()) as f64).abs() < 1e-12);
        let curved = |scores: &[f64]| scores.iter().map(|s| s.exp()).rev().collect::<Vec<_>>();
        let (inside_curved, outside_curved) = (curved(&inside), curved(&outside));
        for metric in [ood_auroc, ood_aupr_in, ood_aupr_out, ood_fpr95] {
            let value = metric(&inside, &outside);
            prop_assert!((0.0..=1.0).contains(&value));
            prop_assert!((value - metric(&inside_curved, &outside_curved)).abs() < 1e-12);
        }
    }

    #[test]
    fn crps_by_sorting_is_the_sum_over_all_pairs(samples in prop::collection::vec(-10.0..10.0f64, 2..30), y in -10.0..10.0f64) {
        let s = samples.len() as f64;
        let to_target: f64 = samples.iter().map(|x| (x - y).abs()).sum();
        let between: f64 = samples.iter().flat_map(|a| samples.iter().map(move |b| (a - b).abs())).sum();
        let crps = sample_crps(&samples, samples.len(), &[y]);
        prop_assert!(crps >= 0.0);
        prop_assert!((crps - (to_target / s - between / (2.0 * s * s))).abs() < 1e-12);
    }
}
