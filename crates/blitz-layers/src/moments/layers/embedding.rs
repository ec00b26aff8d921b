//! Burn's lookup table.

use blitz_core::WeightMoments;
use burn::nn::Embedding;
use burn::tensor::module::embedding;
use burn::tensor::{Int, Tensor};

use crate::moments::{ForwardMoments, Moments};

/// Exact. That an index which occurs twice gives the same vector twice is lost.
impl ForwardMoments<Tensor<2, Int>> for Embedding {
    type Output = Moments<3>;

    fn forward_moments(&self, input: Tensor<2, Int>) -> Moments<3> {
        let table = WeightMoments::of(&self.weight);
        Moments {
            mean: embedding(table.mean, input.clone()),
            variance: table.variance.map(|table| embedding(table, input)),
        }
    }
}
