//! The probabilities of classes from their logits, `softmax(z)_c = exp(z_c) / Σ_k exp(z_k)`. For the crates of blitz.

/// The probabilities of each row of `classes` logits.
pub fn softmax(mut logits: Vec<f64>, classes: usize) -> Vec<f64> {
    for row in logits.chunks_mut(classes.max(1)) {
        log_softmax(row);
        for log_p in row {
            *log_p = log_p.exp();
        }
    }
    logits
}

/// `ln softmax`, in place: finite wherever the logits are.
pub fn log_softmax(row: &mut [f64]) {
    let (place, largest) = most_probable(row);
    // Without the largest itself, whose 1 would take the digits of all others where one class is sure.
    let logits = row.iter().enumerate();
    let others = logits.filter(|(class, _)| *class != place);
    let sum: f64 = others.map(|(_, logit)| (logit - largest).exp()).sum();
    let log_sum = sum.ln_1p();
    for logit in row {
        // The largest first: beside what all logits have in common the logarithm would lose its digits.
        let log_p = (*logit - largest) - log_sum;
        *logit = match logit.is_finite() {
            true => log_p.max(f64::MIN),
            false => log_p,
        };
    }
}

/// Where a logit stands that makes its row no distribution. One of −∞ is a class of probability zero, as a mask makes
/// it, beside a finite one.
pub fn unusable_logit(logits: &[f64], classes: usize) -> Option<usize> {
    let of_row = |(row, logits): (usize, &[f64])| {
        let is_wrong = |logit: &f64| !logit.is_finite() && *logit != f64::NEG_INFINITY;
        let has_none = !logits.iter().any(|logit| logit.is_finite());
        let wrong = logits.iter().position(is_wrong);
        let place = wrong.or(has_none.then_some(0));
        place.map(|place| row * classes + place)
    };
    logits.chunks(classes.max(1)).enumerate().find_map(of_row)
}

/// The first of the largest values of a row, and where it is.
pub fn most_probable(row: &[f64]) -> (usize, f64) {
    let larger = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    row.iter()
        .copied()
        .enumerate()
        .fold((0, f64::NEG_INFINITY), larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_logits_have_in_common_costs_no_digits() {
        let alone = softmax(vec![0.0, -1.0], 2);
        for offset in [1e11, 1e15, -1e15] {
            assert_eq!(softmax(vec![offset, offset - 1.0], 2), alone, "{offset}");
        }
        let equal = softmax(vec![1e15; 10], 10);
        assert!(equal.iter().all(|p| (p - 0.1).abs() < 1e-15), "{equal:?}");
    }

    #[test]
    fn logits_at_both_ends_of_the_numbers_have_finite_logarithms() {
        let mut row = [1.7e308, -1.7e308];
        log_softmax(&mut row);
        assert_eq!(row, [0.0, f64::MIN]);
        let mut impossible = [0.0, f64::NEG_INFINITY];
        log_softmax(&mut impossible);
        assert_eq!(impossible, [0.0, f64::NEG_INFINITY]);
    }
}
