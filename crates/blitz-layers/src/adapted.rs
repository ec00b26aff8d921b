//! Burn's linear layer as an estimator samples it, also one with an adapter: by its factors, without their product.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Tensor, assert_shape};

use crate::axes::{Features, LayerAxes, Rows};
use crate::estimator::{Estimator, estimate};
use crate::rows::linear;

/// A linear layer whose rows may have positions.
const AXES: LayerAxes = LayerAxes {
    features: Features::LastAfterPositions,
    rows: Rows::Inputs,
    groups: 1,
};

impl Estimator {
    /// The output of Burn's linear layer by this estimator, for a network of one's own or a part of Burn's.
    ///
    /// Where the weight has Burn's LoRA, the output is
    ///
    /// ```text
    /// x W + b + scale · (x A) B
    /// ```
    ///
    /// and the estimator's noise is that of `x A` and of `(x A) B`, of the factors that have a posterior: a draw makes no
    /// matrix of the weight's size, neither do its gradients. With [shared weights](Self::SharedWeights) it is Burn's own
    /// `forward`, which merges the factors into the weight.
    ///
    /// A row of `[row, …, d_input]` is an example, and the places between, such as the tokens of a text, are its
    /// positions. With flipout they share their row's weights. With local reparameterization each has noise of its own,
    /// so that it is for examples without positions. A bias is that of the draw.
    ///
    /// ```
    /// use blitz_layers::prelude::*;
    /// use burn::module::{Lora, Module};
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let factors = BayesianizeConfig::new().only(WeightFilter::path("**.lora.*"));
    /// let layer = LinearConfig::new(6, 4).init(&device).apply_lora(Lora::new(2, 4.0)).bayesianize(&factors);
    /// let texts = Tensor::<3>::ones([8, 5, 6], &device);
    /// let output = layer.with_draw(1, 0, |layer| Estimator::Flipout.linear(layer, texts));
    /// assert_eq!(output.dims(), [8, 5, 4]);
    /// ```
    ///
    /// # Shapes
    ///
    /// - input: `[..., d_input]`
    /// - output: `[..., d_output]`
    ///
    /// # Panics
    ///
    /// Panics if the last axis of `input` is not `d_input`.
    pub fn linear<const D: usize>(self, layer: &Linear, input: Tensor<D>) -> Tensor<D> {
        let [d_input, _] = layer.weight.base().dims();
        assert_shape!(input, [.., d_input]);
        let Some(adapter) = layer.weight.adapter() else {
            let bias = layer.bias.as_ref();
            return estimate(self, AXES, input, &layer.weight, bias, linear);
        };
        if self == Self::SharedWeights {
            return layer.forward(input);
        }
        let bias = layer.bias.as_ref().map(Param::val);
        // The base may be in few bits, or of another type than the factors.
        let weight = layer.weight.base().dequantize().cast(input.dtype());
        let base = linear(input.clone(), weight, bias);
        let through = |input, factor| estimate(self, AXES, input, factor, None, linear);
        let low = through(input, &adapter.a);
        base + through(low, &adapter.b).mul_scalar(adapter.scale)
    }
}
