//! The expected calibration error, and the bins of a reliability diagram.

/// The predictions whose confidence falls into one bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// How many they are.
    pub count: usize,
    /// Their mean confidence; 0 in an empty bin.
    pub confidence: f64,
    /// The share that is correct; 0 in an empty bin.
    pub accuracy: f64,
}

/// Predictions in `bins` bins of equal width over confidence, `(i/bins, (i+1)/bins]`; the first holds 0 as well.
///
/// # Panics
///
/// Panics without bins, unless there is one confidence for each prediction, or if one lies outside [0, 1].
pub fn reliability_bins(confidence: &[f64], correct: &[bool], bins: usize) -> Vec<ReliabilityBin> {
    assert!(bins > 0, "a reliability diagram needs bins, got 0");
    assert!(
        confidence.len() == correct.len(),
        "{} confidences need as many outcomes, got {}",
        confidence.len(),
        correct.len()
    );
    let mut sums = vec![(0usize, 0.0f64, 0usize); bins];
    for (p, correct) in confidence.iter().zip(correct) {
        // Mixtures are rounded: their largest probability may exceed 1 by an ulp.
        assert!(
            (0.0..=1.0 + 1e-9).contains(p),
            "a confidence must lie inside [0, 1], got {p}"
        );
        let bin = ((p * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        let (count, confidence, hits) = &mut sums[bin];
        *count += 1;
        *confidence += p;
        *hits += usize::from(*correct);
    }
    let bin = |(count, confidence, hits): (usize, f64, usize)| {
        let n = count.max(1) as f64;
        ReliabilityBin {
            count,
            confidence: confidence / n,
            accuracy: hits as f64 / n,
        }
    };
    sums.into_iter().map(bin).collect()
}

/// `Σ_b n_b/n · |accuracy_b − confidence_b|` over bins of equal width (Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017).
///
/// Zero for calibrated predictions; above zero in expectation for any finite sample, the more so the more bins.
///
/// ```
/// use blitz_train::expected_calibration_error;
///
/// // Four predictions at 0.75, of which three are right: calibrated.
/// let ece = expected_calibration_error(&[0.75; 4], &[true, true, true, false], 15);
/// assert!(ece.abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`reliability_bins`], and without predictions.
pub fn expected_calibration_error(confidence: &[f64], correct: &[bool], bins: usize) -> f64 {
    assert!(
        !confidence.is_empty(),
        "no calibration error without predictions"
    );
    let n = confidence.len() as f64;
    let bins = reliability_bins(confidence, correct, bins).into_iter();
    bins.map(|bin| bin.count as f64 / n * (bin.accuracy - bin.confidence).abs())
        .sum()
}
