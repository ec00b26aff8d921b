//! The mean of any numbers.

/// `1/n Σ x`, of numbers whose sum may be beyond the numbers.
pub(crate) fn mean(numbers: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let count = numbers.len() as f64;
    let sum: f64 = numbers.clone().sum();
    match sum.is_finite() {
        true => sum / count,
        false => numbers.map(|x| x / count).sum(),
    }
}
