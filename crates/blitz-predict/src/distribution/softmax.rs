//! The probabilities of classes from their logits, `softmax(z)_c = exp(z_c) / Σ_k exp(z_k)`.

/// The probabilities of each row of `classes` logits.
pub(crate) fn softmax(mut logits: Vec<f64>, classes: usize) -> Vec<f64> {
    for row in logits.chunks_mut(classes) {
        log_softmax(row);
        for log_p in row {
            *log_p = log_p.exp();
        }
    }
    logits
}

/// `ln softmax`, in place: finite wherever the logits are.
pub(crate) fn log_softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|logit| (logit - largest).exp()).sum();
    let log_sum = largest + sum.ln();
    for logit in row {
        *logit -= log_sum;
    }
}
