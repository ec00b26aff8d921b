//! The Bayesian counterpart of Burn's [`Linear`].

use burn::config::Config;
use burn::module::{Content, DisplaySettings, ModuleDisplay, Param};
use burn::nn::{Linear, LinearConfig, LinearLayout};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::axes::{Features, LayerAxes, Rows};
use crate::estimator::{Estimator, estimate};
use crate::moments::{Correlations, ForwardMoments, Moments, of_linear};
use crate::rows::linear;
use crate::traversal::traversed_as;
use crate::weights::{WeightsConfig, add_families, configures_weights};

/// Configuration to create a [`BayesianLinear`] layer using the [init function](BayesianLinearConfig::init).
///
/// | field | default | meaning |
/// |---|---|---|
/// | `d_input`, `d_output` | | the sizes, as in Burn's `LinearConfig` |
/// | `bias` | true | whether a bias is added; it is Bayesian as well |
/// | `layout` | row | how a record stores the matrix, as in Burn's `LinearConfig` |
/// | `weights` | [`WeightsConfig`]'s | posterior, prior and initial means of weight and bias |
/// | `estimator` | shared weights | how the output is sampled |
#[derive(Config, Debug)]
pub struct BayesianLinearConfig {
    /// The size of the input features.
    pub d_input: usize,
    /// The size of the output features.
    pub d_output: usize,
    /// If a bias should be applied during the linear transformation.
    #[config(default = true)]
    pub bias: bool,
    /// How a record stores the matrix.
    #[config(default = "LinearLayout::Row")]
    pub layout: LinearLayout,
    /// The posterior, the prior and the initial means of weight and bias.
    #[config(default = "WeightsConfig::new()")]
    pub weights: WeightsConfig,
    /// How the output is sampled.
    #[config(default = "Estimator::SharedWeights")]
    pub estimator: Estimator,
}

/// Applies a linear transformation with weights drawn from their posterior.
///
/// Should be created with [`BayesianLinearConfig`].
///
/// `O = IW + b`, with `W` and `b` drawn once per [draw](blitz_core::Draw) and shared by the batch; or, with [local
/// reparameterization](Estimator::LocalReparameterization), `O ~ N(I M + m, I² S² + s²)` for each row on its own, where
/// `M, m` are the means and `S, s` the deviations of `W, b`; or, with [flipout](Estimator::Flipout), with the signs of
/// the draw's perturbation flipped for each row.
///
/// ```
/// use blitz_layers::prelude::*;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let layer = BayesianLinearConfig::new(3, 2).init(&device);
/// let x = Tensor::<2>::ones([5, 3], &device);
/// let output = layer.with_draw(1, 0, |layer| layer.forward(x));
/// assert_eq!(output.dims(), [5, 2]);
/// assert_eq!(layer.num_bayesian_weights(), 3 * 2 + 2);
/// ```
#[derive(Clone, Debug)]
pub struct BayesianLinear {
    /// Matrix of shape `[d_input, d_output]`: the posterior's means, with the posterior attached.
    pub weight: Param<Tensor<2>>,
    /// Vector of size `d_output`, likewise.
    pub bias: Option<Param<Tensor<1>>>,
    /// How the output is sampled.
    pub estimator: Estimator,
}

traversed_as!(Linear, BayesianLinear { weight, bias });

configures_weights! {
    BayesianLinearConfig => BayesianLinear, ;
    /// Panics if a size is zero, or the [estimator](Estimator) doesn't allow a posterior.
}

impl BayesianLinearConfig {
    /// The means alone.
    pub(crate) fn deterministic(&self, device: &Device) -> BayesianLinear {
        assert!(
            self.d_input > 0 && self.d_output > 0,
            "a linear layer needs at least one input and one output feature, got {} and {}",
            self.d_input,
            self.d_output
        );
        let burn = LinearConfig::new(self.d_input, self.d_output);
        let initializer = self.weights.initializer_or(burn.initializer.clone());
        let Linear { weight, bias } = burn
            .with_bias(self.bias)
            .with_layout(self.layout)
            .with_initializer(initializer)
            .init(device);
        BayesianLinear {
            weight,
            bias,
            estimator: self.estimator,
        }
    }
}

impl BayesianLinear {
    /// Applies the forward pass on the input tensor.
    ///
    /// # Shapes
    ///
    /// - input: `[..., d_input]`
    /// - output: `[..., d_output]`
    ///
    /// # Randomness
    ///
    /// Under an open [draw](blitz_core::Draw), its joint sample of the weights; otherwise a fresh sample each call.
    ///
    /// # Panics
    ///
    /// Panics if the last axis of `input` is not `d_input`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [d_input, _] = self.weight.base().dims();
        assert_shape!(input, [.., d_input]);
        estimate(
            self.estimator,
            LayerAxes {
                features: Features::Last,
                rows: Rows::Inputs,
                groups: 1,
            },
            input,
            &self.weight,
            self.bias.as_ref(),
            linear,
        )
    }
}

/// Exact, of independent inputs or of inputs with their covariances, whatever the estimator.
impl<const D: usize, C: Correlations> ForwardMoments<Moments<D, C>> for BayesianLinear {
    type Output = Moments<D, C>;

    /// # Panics
    ///
    /// Panics if the last axis of `input` is not `d_input`.
    fn forward_moments(&self, input: Moments<D, C>) -> Moments<D, C> {
        of_linear(input, &self.weight, self.bias.as_ref())
    }
}

impl ModuleDisplay for BayesianLinear {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [d_input, d_output] = self.weight.shape().dims();
        let content = content
            .add("d_input", &d_input)
            .add("d_output", &d_output)
            .add("bias", &self.bias.is_some());
        add_families(content, self)
            .add_debug_attribute("estimator", &self.estimator)
            .optional()
    }
}
