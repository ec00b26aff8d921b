//! The mixture of class probabilities, and its calibration error.

use super::close::assert_relatively_close;
use blitz_predict::acquisition::ClassDraws;
use blitz_predict::distribution::Bernoulli;
use blitz_predict::score::{expected_calibration_error, reliability_bins};
use blitz_predict::{CategoricalMixture, Mixture};

// Printed by `categorical_mixture_reference.py`.
#[rustfmt::skip]
const DRAW_0: [f64; 32] = [4.08, -5.11, 0.84, -1.14, -0.91, -0.43, -4.04, -0.46, -1.73, 6.65, 0.45, -0.71, -0.56, -1.34, -2.11, -0.78, 0.96, -0.48, 1.92, -0.4, 0.05, 3.09, 1.09, -1.01, -0.37, 1.08, 3.87, -0.54, -0.49, 2.0, -1.77, -0.58];
#[rustfmt::skip]
const DRAW_1: [f64; 32] = [1.77, 1.16, 0.18, 1.34, -5.66, 2.04, -1.92, -3.34, 0.55, 1.4, -0.89, -2.15, 0.05, -0.11, 2.81, 1.49, 0.39, 2.22, -0.41, -1.85, 1.17, 1.17, -0.43, -1.57, 0.46, -4.99, 1.38, 0.98, -3.28, 0.12, -1.93, 1.51];
#[rustfmt::skip]
const DRAW_2: [f64; 32] = [800.0, -800.0, 0.0, 1.0, -4.32, -1.0, 0.66, -1.22, 3.18, -2.38, 0.71, -2.1, 2.81, -0.04, -0.74, -3.44, 3.36, 1.51, 1.51, 2.28, 0.7, -1.28, -1.6, -1.6, 2.74, -2.92, -1.19, -0.64, 0.45, 1.15, -2.5, -3.46];
#[rustfmt::skip]
const LABELS: [usize; 8] = [2, 0, 3, 1, 3, 2, 2, 3];
#[rustfmt::skip]
const NLL: [f64; 8] = [3.1979577346172547, 2.5172308313002625, 4.839410446312316, 2.380719606521896, 2.366251897244638, 2.3831357948410252, 0.7474797122561725, 1.265685544792549];
#[rustfmt::skip]
const ENTROPY: [f64; 8] = [0.730646522831865, 1.1943105090933277, 0.8808946588142443, 1.2377140046490975, 1.3029117478188066, 1.069527644284494, 1.057376280759009, 1.0283987272037503];
#[rustfmt::skip]
const MUTUAL_INFORMATION: [f64; 8] = [0.2447320235269535, 0.5208113487151352, 0.46845574206373475, 0.43257934614152527, 0.3991024775437578, 0.24794544174920963, 0.5097006507174092, 0.373275573568424];
#[rustfmt::skip]
const CONFIDENCE: [f64; 8] = [0.7914295170484495, 0.4998505206400016, 0.547575411027402, 0.4562513302695984, 0.32551096961229103, 0.45929094225198414, 0.4735585538364066, 0.5639642690468735];
#[rustfmt::skip]
const ACCURACY: f64 = 0.125;
#[rustfmt::skip]
const ECE: f64 = 0.3963266705975238;

fn mixture() -> CategoricalMixture {
    CategoricalMixture::from_logits([DRAW_0.to_vec(), DRAW_1.to_vec(), DRAW_2.to_vec()], 4)
}

#[test]
fn the_mixture_agrees_with_scipy_and_survives_a_draw_that_is_sure() {
    let y = mixture();
    assert_relatively_close(&y.nll(&LABELS), &NLL, 1e-12);
    assert_relatively_close(&y.entropy(), &ENTROPY, 1e-12);
    assert_relatively_close(&y.mutual_information(), &MUTUAL_INFORMATION, 1e-12);
    assert_relatively_close(&y.confidence(), &CONFIDENCE, 1e-12);
    assert_eq!(y.accuracy(&LABELS), ACCURACY);
    assert_relatively_close(&[y.ece(&LABELS)], &[ECE], 1e-12);
    // A probability of e^-1600 has a logarithm still.
    let sure = CategoricalMixture::from_logits([vec![800.0, -800.0]], 2);
    assert_eq!(sure.nll(&[1]), [1600.0]);
    assert_eq!(sure.entropy(), [0.0]);
}

#[test]
fn predictions_made_in_batches_are_those_made_at_once() {
    let part = |rows: std::ops::Range<usize>| {
        let draws = [DRAW_0, DRAW_1, DRAW_2];
        let rows = 4 * rows.start..4 * rows.end;
        CategoricalMixture::from_logits(draws.map(|draw| draw[rows.clone()].to_vec()), 4)
    };
    let mut y = part(0..3);
    y.append(part(3..8));
    assert_eq!(y, mixture());
}

#[test]
fn reliability_bins_hold_every_prediction_once_the_ends_included() {
    let confidence = [0.0, 0.1, 0.1, 0.25, 1.0, 1.0];
    let correct = [false, true, false, true, true, false];
    let bins = reliability_bins(&confidence, &correct, 4);
    assert_eq!(
        bins.iter().map(|bin| bin.count).collect::<Vec<_>>(),
        [4, 0, 0, 2]
    );
    assert_eq!((bins[0].accuracy, bins[3].accuracy), (0.5, 0.5));
    let expected = 4.0 / 6.0 * (0.5 - 0.45 / 4.0) + 2.0 / 6.0 * 0.5;
    let ece = expected_calibration_error(&confidence, &correct, 4);
    assert!((ece - expected).abs() < 1e-12);
}

#[test]
#[should_panic(expected = "example 1: a logit is NaN")]
fn a_logit_that_is_no_number_is_named() {
    CategoricalMixture::from_logits([vec![0.0, 1.0, f64::NAN, 0.0]], 2);
}

#[test]
#[should_panic(expected = "inside [0, 1], got 1.5")]
fn a_confidence_that_is_no_probability_is_named() {
    expected_calibration_error(&[1.5], &[true], 10);
}

#[test]
fn a_class_that_every_draw_excludes_has_no_probability_and_no_nan() {
    let logits = vec![vec![1.7e308, -1.7e308]; 2];
    let mixture = CategoricalMixture::from_logits(logits, 2);
    assert_eq!(mixture.probabilities(0), [1.0, 0.0]);
    assert_eq!(mixture.entropy(), [0.0]);
}

#[test]
fn a_logit_of_minus_infinity_is_a_class_that_cannot_be() {
    let masked = vec![1.0, f64::NEG_INFINITY, 2.0];
    let shifted = vec![2.0, f64::NEG_INFINITY, 1.0];
    let mixture = CategoricalMixture::from_logits([masked.clone(), shifted.clone()], 3);
    let without = CategoricalMixture::from_logits([vec![1.0, 2.0], vec![2.0, 1.0]], 2);
    let [first, second] = [0, 1].map(|class| without.probabilities(0)[class]);
    assert_eq!(mixture.probabilities(0), [first, 0.0, second]);
    assert_eq!(mixture.entropy(), without.entropy());
    assert_eq!(mixture.mutual_information(), without.mutual_information());
    let draws = ClassDraws::try_from_logits([masked, shifted], 3).unwrap();
    assert_eq!(*draws.mixture(), mixture);
    // No class is left.
    let none = CategoricalMixture::try_from_logits([vec![0.0, f64::NEG_INFINITY]], 1);
    assert_eq!(
        none.unwrap_err().to_string(),
        "draw 0, example 1: a logit is -inf"
    );
}

/// The entropy of two classes, given the lesser probability.
fn entropy_of_two(q: f64) -> f64 {
    -q * q.ln() - (1.0 - q) * (-q).ln_1p()
}

#[test]
fn sure_predictions_keep_their_digits() {
    let lesser = |logit: f64| logit.exp() / (1.0 + logit.exp());
    let near = |got: f64, expected: f64, what: &str| {
        let error = (got / expected - 1.0).abs();
        assert!(error < 1e-12, "{what}: {got:e} for {expected:e}");
    };
    for logits in [
        vec![-37.0],
        vec![-30.0],
        vec![-37.0, -30.0],
        vec![-38.0; 3],
        vec![-33.0, -36.0, -41.0, -30.5],
    ] {
        let mean = |f: &dyn Fn(f64) -> f64| {
            logits.iter().map(|l| f(*l)).sum::<f64>() / logits.len() as f64
        };
        let q = mean(&lesser);
        let (total, expected) = (entropy_of_two(q), mean(&|l| entropy_of_two(lesser(l))));
        let classes = CategoricalMixture::from_logits(logits.iter().map(|l| vec![*l, 0.0]), 2);
        near(classes.nll(&[1])[0], -(-q).ln_1p(), "NLL");
        near(classes.nll(&[0])[0], -q.ln(), "NLL of the other");
        near(classes.entropy()[0], total, "entropy");
        near(classes.expected_entropy()[0], expected, "expected entropy");
        let events = Mixture::from_draws(logits.iter().map(|l| vec![Bernoulli { logit: *l }]), 1);
        near(events.nll(&[0.0])[0], -(-q).ln_1p(), "NLL of no event");
        near(events.entropy()[0], total, "entropy of an event");
        near(
            events.expected_entropy()[0],
            expected,
            "expected entropy of an event",
        );
        // Of one draw, or of draws that are the same, nothing but rounding.
        let (information, of_event) = (
            classes.mutual_information()[0],
            events.mutual_information()[0],
        );
        for got in [information, of_event] {
            let error = (got - (total - expected)).abs();
            assert!(error < 1e-13 * total, "{got:e} for {:e}", total - expected);
        }
    }
    let one = CategoricalMixture::from_logits([vec![0.3, -0.2, 4.0]], 3);
    assert_eq!(one.mutual_information(), [0.0]);
}
