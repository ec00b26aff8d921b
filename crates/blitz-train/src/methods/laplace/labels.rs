//! The labels of a classification, and what they cost.

use blitz_predict::distribution::softmax::log_softmax;
use burn::tensor::{Int, Tensor};

use super::error::{LaplaceError, size};

/// The labels of a batch.
pub(super) fn labels(
    targets: Tensor<1, Int>,
    classes: usize,
    rows: usize,
    before: usize,
) -> Result<Vec<usize>, LaplaceError> {
    let targets: Vec<i64> = targets.into_data().iter::<i64>().collect();
    size("the number of labels", rows, targets.len())?;
    let label = |(i, label): (usize, &i64)| {
        let class = usize::try_from(*label).ok().filter(|l| *l < classes);
        class.ok_or(LaplaceError::Label {
            example: before + i,
            label: *label,
            classes,
        })
    };
    targets.iter().enumerate().map(label).collect()
}

/// The negative log likelihood of a label under these logits.
pub(super) fn label_nll(mut logits: Vec<f64>, label: usize) -> f64 {
    log_softmax(&mut logits);
    -logits[label]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_logits_have_in_common_costs_no_digits() {
        let nll = label_nll(vec![1e11, 1e11 - 1.0], 0);
        assert_eq!(nll, label_nll(vec![0.0, -1.0], 0));
    }
}
