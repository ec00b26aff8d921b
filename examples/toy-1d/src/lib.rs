//! One curve, learnt from a few points: the data, the ways to a posterior, and what their bands come to. A library, so
//! that `gold` can compare with the posterior itself.

pub mod comparison;
pub mod curve;
pub mod picture;
pub mod report;

/// The places where the methods are asked.
pub fn grid() -> Vec<f64> {
    let (low, high) = curve::RANGE;
    (0..=160)
        .map(|i| low + (high - low) * f64::from(i) / 160.0)
        .collect()
}
