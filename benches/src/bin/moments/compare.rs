//! The distance of propagated moments from those of draws.

use blitz_train::blitz_layers::moments::{Correlations, Moments};
use burn::tensor::Tensor;

/// How far the outputs' moments are from those of draws.
pub struct Distance {
    /// The root of the mean squared difference of the means, in parts of the draws' root mean variance.
    pub mean: f64,
    /// The roots of the mean variances, the propagated one over that of the draws.
    pub std: f64,
    /// The largest share by which the deviation of one output is off, of the middle 90 % of outputs.
    pub off: f64,
}

/// Compares the moments of outputs with those of draws of them.
pub fn distance<C: Correlations>(moments: &Moments<2, C>, draws: &[Tensor<2>]) -> Distance {
    let n = draws.len() as f64;
    let sum = |f: &dyn Fn(Tensor<2>) -> Tensor<2>| {
        let sums = draws.iter().map(|draw| f(draw.clone()));
        sums.reduce(|sum, draw| sum + draw)
            .map(|sum| sum / n)
            .unwrap_or_else(|| panic!("there are no draws to compare with"))
    };
    let mean = sum(&|draw| draw);
    let variance = sum(&|draw| (draw - mean.clone()).square());
    let average = |tensor: Tensor<2>| tensor.mean().into_scalar::<f64>();
    let spread = average(variance.clone());
    let off = (moments.mean.clone() - mean).square();
    let ratios = (moments.variance() / variance).sqrt() - 1.0;
    let mut ratios: Vec<f64> = ratios.abs().into_data().iter::<f64>().collect();
    ratios.sort_by(f64::total_cmp);
    Distance {
        mean: (average(off) / spread).sqrt(),
        std: (average(moments.variance()) / spread).sqrt(),
        off: ratios[ratios.len() * 9 / 10],
    }
}
