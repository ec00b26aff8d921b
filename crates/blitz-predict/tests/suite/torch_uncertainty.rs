//! Scores and calibrators against torch-uncertainty 0.13 on the same arrays (see `torch_uncertainty_reference.py`).
//! Where it computes something else, the test says what, and goes from one to the other. `docs/parity.md` has the
//! table.

use blitz_predict::calibration::*;
use blitz_predict::score::*;
use blitz_predict::{CategoricalMixture, Interval};

use super::close::assert_close;
use crate::torch_uncertainty_reference as theirs;

const EXAMPLES: usize = 200;
const CLASSES: usize = 4;
/// The rows that calibrators are fitted on; the others they are applied to.
const HALF: usize = EXAMPLES / 2;
/// What they keep in f64.
const EXACT: f64 = 1e-12;
/// What they cast to f32.
const SINGLE: f64 = 1e-7;
/// Where their optimizer stops.
const OPTIMUM: f64 = 1e-6;

#[track_caller]
fn close(got: f64, expected: f64, tolerance: f64) {
    assert_close(&[got], &[expected], tolerance);
}

fn mixture() -> CategoricalMixture {
    let draws = theirs::DRAWS
        .chunks(EXAMPLES * CLASSES)
        .map(<[f64]>::to_vec);
    CategoricalMixture::from_logits(draws, CLASSES)
}

fn probabilities() -> Vec<f64> {
    let mixture = mixture();
    (0..EXAMPLES)
        .flat_map(|i| mixture.probabilities(i))
        .collect()
}

/// The confidence and the loss, 1 where the answer is wrong, of each example.
fn selective() -> (Vec<f64>, Vec<f64>) {
    let mixture = mixture();
    let correct = mixture.correct(&theirs::LABELS);
    let loss = correct
        .iter()
        .map(|correct| if *correct { 0.0 } else { 1.0 });
    (mixture.confidence(), loss.collect())
}

/// The logits of the first draw, of the fit and of the application, and the labels of the fit.
fn halves() -> (&'static [f64], &'static [f64], &'static [usize]) {
    let logits = &theirs::DRAWS[..EXAMPLES * CLASSES];
    let (first, second) = logits.split_at(HALF * CLASSES);
    (first, second, &theirs::LABELS[..HALF])
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    TemperatureScaling { temperature: 1.0 }.apply(logits, CLASSES)
}

#[test]
fn proper_scores_and_uncertainties_are_equal() {
    let (mixture, p) = (mixture(), probabilities());
    close(
        categorical_nll(&p, CLASSES, &theirs::LABELS),
        theirs::NLL,
        EXACT,
    );
    close(
        brier_score(&p, CLASSES, &theirs::LABELS),
        theirs::BRIER,
        EXACT,
    );
    assert_close(&mixture.entropy(), &theirs::ENTROPY, EXACT);
    assert_close(
        &mixture.mutual_information(),
        &theirs::MUTUAL_INFORMATION,
        EXACT,
    );
}

#[test]
fn the_variation_ratio_is_equal_where_the_vote_is_for_the_mean() {
    // Of the votes for another class than the most frequent one. Theirs: than the one that is most probable on average,
    // which may have fewer votes.
    let own = mixture().variation_ratio();
    let pairs = || own.iter().zip(&theirs::VARIATION_RATIO);
    assert!(pairs().all(|(own, theirs)| *own <= theirs + EXACT));
    let equal = pairs().filter(|(own, theirs)| (*own - **theirs).abs() < EXACT);
    assert!(equal.count() > 180);
}

#[test]
fn calibration_errors_are_equal_to_f32_where_no_confidence_ties() {
    let (mixture, p) = (mixture(), probabilities());
    let (confidence, correct) = (mixture.confidence(), mixture.correct(&theirs::LABELS));
    close(mixture.ece(&theirs::LABELS), theirs::ECE, SINGLE);
    let adaptive = adaptive_calibration_error(&confidence, &correct, 10);
    close(adaptive, theirs::ADAPTIVE_ECE, SINGLE);
    let classwise = classwise_calibration_error(&p, CLASSES, &theirs::LABELS, 15);
    close(classwise, theirs::CLASSWISE_ECE, SINGLE);
}

#[test]
fn the_smooth_error_is_its_definition_and_theirs_to_the_width_of_their_grid() {
    let right: Vec<bool> = theirs::RIGHT.iter().map(|right| *right == 1).collect();
    let at = |sigma| smooth_calibration_error_at(&theirs::CONFIDENCE, &right, sigma);
    let own = smooth_calibration_error(&theirs::CONFIDENCE, &right);
    // By SciPy's quadrature.
    close(at(0.1), theirs::SMOOTH_AT_01, 1e-9);
    close(at(0.03), theirs::SMOOTH_AT_003, 1e-9);
    close(own, theirs::SMOOTH, 1e-9);
    // They round confidences to a grid of 1,001 points, add 1e-4 to a density and compute in f32.
    close(at(0.1), theirs::THEIR_SMOOTH_AT_01, 1e-5);
    close(at(0.03), theirs::THEIR_SMOOTH_AT_003, 2e-5);
    // And look for σ among multiples of 1/1024.
    close(own, theirs::THEIR_SMOOTH, 4e-4);
}

/// torch-uncertainty integrates from the coverage 1/n, by trapezia, and divides by the width of what is left.
fn from_the_first_example(curve: &[f64]) -> f64 {
    let n = curve.len() as f64;
    let ends = 0.5 * (curve[0] + curve[curve.len() - 1]);
    (curve.iter().sum::<f64>() - ends) / (n - 1.0)
}

fn check_areas(confidence: &[f64], loss: &[f64], their_aurc: f64, their_augrc: f64) {
    let n = loss.len() as f64;
    let curve = risk_coverage_curve(confidence, loss);
    let risks: Vec<f64> = curve.iter().map(|point| point.risk).collect();
    let generalized: Vec<f64> = curve
        .iter()
        .map(|point| point.risk * point.coverage)
        .collect();
    // The curves are equal; the ends of the integral are not.
    close(from_the_first_example(&risks), their_aurc, EXACT);
    close(from_the_first_example(&generalized), their_augrc, EXACT);
    close(aurc(confidence, loss), their_aurc, 1.0 / n);
    close(augrc(confidence, loss), their_augrc, 1.0 / n);
}

#[test]
fn areas_are_equal_but_for_the_ends_of_the_integral() {
    let (confidence, loss) = selective();
    check_areas(&confidence, &loss, theirs::THEIR_AURC, theirs::THEIR_AUGRC);
    let risk = risk_at_coverage(&confidence, &loss, 0.8);
    close(risk, theirs::RISK_AT_COVERAGE, EXACT);
    let coverage = coverage_at_risk(&confidence, &loss, 0.4);
    close(coverage, theirs::COVERAGE_AT_RISK, SINGLE);
}

#[test]
fn the_area_of_the_generalized_risk_is_that_of_the_paper_with_ties() {
    // Traub et al. 2024, equation 7: by AUROC and accuracy.
    let (mut confidence, loss) = selective();
    for tied in [false, true] {
        if tied {
            confidence
                .iter_mut()
                .for_each(|c| *c = (*c * 8.0).round() / 8.0);
        }
        let right: Vec<bool> = loss.iter().map(|loss| *loss == 0.0).collect();
        let accuracy = 1.0 - loss.iter().sum::<f64>() / loss.len() as f64;
        let order = auroc(&confidence, &right);
        let expected = (1.0 - order) * accuracy * (1.0 - accuracy) + 0.5 * (1.0 - accuracy).powi(2);
        close(augrc(&confidence, &loss), expected, EXACT);
    }
}

#[test]
fn selective_classification_with_strangers_is_equal() {
    let (_, loss) = selective();
    let outside: Vec<bool> = theirs::OUTSIDE.iter().map(|o| *o == 1).collect();
    let confidence: Vec<f64> = theirs::OOD_SCORE.iter().map(|score| -score).collect();
    let loss = scod_losses(&loss, &outside, 0.7);
    check_areas(&confidence, &loss, theirs::SCOD_AURC, theirs::SCOD_AUGRC);
    let risk = risk_at_coverage(&confidence, &loss, 0.8);
    close(risk, theirs::SCOD_RISK_AT_COVERAGE, EXACT);
    let coverage = coverage_at_risk(&confidence, &loss, 0.2);
    close(coverage, theirs::SCOD_COVERAGE_AT_RISK, SINGLE);
}

#[test]
fn detection_is_equal_to_f32() {
    let of = |kind| {
        let pairs = theirs::OOD_SCORE.iter().zip(&theirs::OUTSIDE);
        pairs
            .filter(|(_, outside)| **outside == kind)
            .map(|(score, _)| *score)
            .collect::<Vec<_>>()
    };
    close(ood_fpr95(&of(0), &of(1)), theirs::FPR95, SINGLE);
    close(ood_auroc(&of(0), &of(1)), theirs::AUROC, SINGLE);
}

#[test]
fn scores_of_intervals_are_equal() {
    let ends = theirs::LOWER.iter().zip(&theirs::UPPER);
    let intervals: Vec<Interval> = ends
        .map(|(lower, upper)| Interval {
            lower: *lower,
            upper: *upper,
        })
        .collect();
    close(
        interval_coverage(&intervals, &theirs::TARGET),
        theirs::COVERAGE,
        SINGLE,
    );
    close(sharpness(&intervals), theirs::WIDTH, EXACT);
    close(
        interval_score(&intervals, &theirs::TARGET, 0.8),
        theirs::INTERVAL_SCORE,
        EXACT,
    );
    // Of 200 scores the ⌈201 · 0.9⌉ = 181st is asked for. They take the 182nd: theirs counts from the first of n − 1
    // steps.
    let at = |level| ConformalQuantiles::fit(&intervals, &theirs::TARGET, level).correction;
    close(at(182.0 / 201.0), theirs::CQR, EXACT);
    assert!(at(0.9) < theirs::CQR);
}

#[test]
fn scalings_are_those_that_their_optimizer_comes_to() {
    let (logits, later, labels) = halves();
    let temperature = TemperatureScaling::fit(logits, CLASSES, labels).temperature;
    close(temperature, theirs::TEMPERATURE, OPTIMUM);
    let matrix = MatrixScalingConfig::new().fit(logits, CLASSES, labels);
    // What is common to a column changes no probability. Theirs keep that of the identity, from where they start.
    let theirs_centred = theirs::MATRIX_WEIGHT.map(|w| w - 1.0 / CLASSES as f64);
    assert_close(&matrix.weight, &theirs_centred, OPTIMUM);
    assert_close(&matrix.offset, &theirs::MATRIX_OFFSET, OPTIMUM);
    assert_close(&matrix.apply(later), &theirs::MATRIX, OPTIMUM);
    let penalized = MatrixScalingConfig::new()
        .with_off_diagonal(0.3)
        .with_offset(0.2);
    let dirichlet = penalized.fit_dirichlet(logits, CLASSES, labels);
    assert_close(
        &dirichlet.scaling.weight,
        &theirs::DIRICHLET_WEIGHT,
        OPTIMUM,
    );
    assert_close(
        &dirichlet.scaling.offset,
        &theirs::DIRICHLET_OFFSET,
        OPTIMUM,
    );
    assert_close(&dirichlet.apply(later), &theirs::DIRICHLET, OPTIMUM);
}

#[test]
fn binned_and_isotonic_probabilities_are_equal_but_for_their_clamp() {
    // They hold probabilities inside [1e-6, 1 − 1e-6], to return logits.
    let clamp = |p: &[f64]| {
        p.iter()
            .map(|p| p.clamp(1e-6, 1.0 - 1e-6))
            .collect::<Vec<_>>()
    };
    let (logits, later, labels) = halves();
    let (p, later) = (softmax(logits), softmax(later));
    let histogram = HistogramClasses::fit(&p, CLASSES, labels, 5);
    assert_close(&clamp(&histogram.apply(&later)), &theirs::HISTOGRAM, SINGLE);
    // Theirs are scikit-learn's, in f64.
    let isotonic = IsotonicClasses::fit(&p, CLASSES, labels);
    assert_close(&clamp(&isotonic.apply(&later)), &theirs::ISOTONIC, 1e-11);
}

/// With the most probable class in every set, as theirs have it, and one bit for each class.
fn bits(sets: Vec<Vec<usize>>, probabilities: &[f64]) -> Vec<usize> {
    let rows = probabilities.chunks(CLASSES);
    let bits = |(set, row): (Vec<usize>, &[f64])| {
        let top = (1..CLASSES).fold(0, |best, c| if row[c] > row[best] { c } else { best });
        let all = set.into_iter().chain([top]);
        all.fold(0, |bits, class| bits | 1 << class)
    };
    sets.into_iter().zip(rows).map(bits).collect()
}

#[test]
fn sets_are_equal_at_the_order_statistic_that_their_level_misses() {
    let (logits, later, labels) = halves();
    let (p, later) = (softmax(logits), softmax(later));
    let lac = LeastAmbiguousSets::fit(&p, CLASSES, labels, 0.8);
    close(lac.threshold, theirs::LAC_THRESHOLD, EXACT);
    assert_eq!(bits(lac.apply(&later), &later), theirs::LAC_SETS);
    let aps = AdaptiveSetsConfig::new(0.8);
    for (config, threshold, sets) in [
        (aps, theirs::APS_THRESHOLD, theirs::APS_SETS),
        (
            aps.with_penalty(0.1, 2),
            theirs::RAPS_THRESHOLD,
            theirs::RAPS_SETS,
        ),
    ] {
        let fit = config.fit(&p, CLASSES, labels);
        close(fit.threshold, threshold, EXACT);
        assert_eq!(bits(fit.apply(&later), &later), sets);
    }
    // At their own level they ask for less, so that the label is in fewer sets than promised.
    for (theirs, needed) in [
        (theirs::LAC_THEIR_THRESHOLD, theirs::LAC_THRESHOLD),
        (theirs::APS_THEIR_THRESHOLD, theirs::APS_THRESHOLD),
        (theirs::RAPS_THEIR_THRESHOLD, theirs::RAPS_THRESHOLD),
    ] {
        assert!(theirs < needed);
    }
}

#[test]
fn sorted_sets_are_those_of_the_papers_formula() {
    let (logits, later, labels) = halves();
    let (p, later) = (softmax(logits), softmax(later));
    let fit = SortedSetsConfig::new(0.8, 0.3).fit(&p, CLASSES, labels);
    close(fit.threshold, theirs::SAPS_THRESHOLD, EXACT);
    let sets = fit.apply(&later).into_iter();
    let sets: Vec<usize> = sets
        .map(|set| set.into_iter().map(|c| 1 << c).sum())
        .collect();
    assert_eq!(sets, theirs::SAPS_SETS);
}
