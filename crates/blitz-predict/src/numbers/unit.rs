//! The unit in which distances of any numbers can be added up and multiplied.

/// A power of two, which rounds nothing: 1 unless a number is so large that sums and products of distances would be
/// beyond the numbers.
pub(crate) fn unit<'a>(numbers: impl Iterator<Item = &'a f64>) -> f64 {
    let largest = numbers.fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if largest > 1e150 { 2f64.powi(512) } else { 1.0 }
}
